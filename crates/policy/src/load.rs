//! From rule texts and a catalogue to something that answers, or to the list of everything that is wrong.

use crate::{
    actions::{self, Action, METHODS},
    answer::Answer,
    ask::{ServerPlans, Standing},
    check,
    memo::{Key, Memo},
    nesting,
    rule::{self, Rule},
    sight::Sight,
    slice::{Covered, Slice, Slicer, cover},
    source::{Problem, Reach, Severity, Source, statements},
    validate::{self, Kept},
};
use catalog::{Catalogue, split};
use cedar_policy::Authorizer;
use decision::{Digest, ItemKind, RuleId, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Most answers to *see* that are kept: a few hundred bytes each.
const SEEN_MAX: usize = 65_536;
/// Most pairs of a principal and an item whose standing is kept: about two kilobytes each.
const STANDINGS_MAX: usize = 8_192;
/// Most lists of rules that are kept for those; one has a copy of its rules.
const SLICES_MAX: usize = 1_024;

/// A checked set of rules over one catalogue, immutable, named by its digest in every record.
pub struct Policies {
    digest: Digest,
    /// Over the texts as they are written, comments and all.
    texts: Digest,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) rules: Vec<Rule>,
    by_id: BTreeMap<RuleId, usize>,
    pub(crate) plans: BTreeMap<ServerName, ServerPlans>,
    pub(crate) authorizer: Authorizer,
    pub(crate) seen: Memo<Key, Answer>,
    pub(crate) sights: Memo<Key, Sight>,
    pub(crate) standings: Memo<Key, Arc<Standing>>,
    /// Equal lists of rules share one slice.
    pub(crate) slices: Memo<Vec<usize>, Arc<Slice>>,
    warnings: Vec<Problem>,
    closed: BTreeSet<ServerName>,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({} rules, {})", self.rules.len(), self.digest)
    }
}

impl Policies {
    /// Checks everything and prepares the answers. Errors: all problems found, none of them only a warning.
    pub fn load(sources: Vec<Source>, catalogue: Arc<Catalogue>) -> Result<Self, Vec<Problem>> {
        Loader::default().load(sources, catalogue)
    }

    /// No rules over no catalogue: nothing is permitted and nothing is visible.
    pub fn none() -> Self {
        Loader::default().read(Vec::new(), Arc::default()).0
    }

    fn with(mut self, warnings: Vec<Problem>, closed: BTreeSet<ServerName>) -> Self {
        self.warnings = warnings;
        self.closed = closed;
        self
    }

    /// With what servers changed as warnings, and those servers closed that the rules do not fit any more.
    fn closing(self, problems: Vec<Problem>) -> Self {
        let mut closed = BTreeSet::new();
        for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
            if let Reach::Servers(servers) = &problem.reach {
                closed.extend(servers.iter().cloned());
            }
        }
        self.with(problems.into_iter().map(Problem::demoted).collect(), closed)
    }

    /// Servers the rules do not fit any more ([`Loader::refit`]); every question about them is refused.
    pub fn closed(&self) -> &BTreeSet<ServerName> {
        &self.closed
    }
    /// SHA-256 over what the rules say, with their annotations: comments, blanks, files and the order of rules make no
    /// difference.
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// The snapshot these rules were checked against.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }
    /// Whether they were loaded from these texts.
    pub fn are_from(&self, sources: &[Source]) -> bool {
        self.texts == of_texts(sources)
    }
    /// Whether loading these texts over this catalogue would come to the same.
    pub fn are_of(&self, sources: &[Source], catalogue: &Catalogue) -> bool {
        self.are_from(sources) && *self.catalogue == *catalogue
    }
    /// Whether any rule asks which client somebody uses.
    pub fn read_host(&self) -> bool {
        self.rules.iter().any(|rule| rule.reads.has("host"))
    }
    /// What an operator should know; the rules are in force all the same.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
    pub(crate) fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.get(*self.by_id.get(id)?)
    }
}

/// Loads policies and keeps what it found out about rules and servers that did not change: that is what takes long.
#[derive(Default)]
pub struct Loader {
    kept: Kept,
    /// The rules of the texts that were read last.
    parsed: Mutex<Option<Parsed>>,
}

/// What texts say, whatever the catalogue.
#[derive(Clone)]
struct Parsed {
    sources: Vec<Source>,
    rules: Vec<Rule>,
    problems: Vec<Problem>,
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (schemas, verdicts) = self.kept.counts();
        write!(f, "Loader({schemas} schemas, {verdicts} verdicts)")
    }
}

impl Loader {
    /// As [`Policies::load`]: for rules that somebody wrote or changed.
    pub fn load(&self, sources: Vec<Source>, catalogue: Arc<Catalogue>) -> Result<Policies, Vec<Problem>> {
        let (policies, problems) = self.read(sources, catalogue);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.severity == Severity::Error);
        if errors.is_empty() { Ok(policies.with(warnings, BTreeSet::new())) } else { Err(errors) }
    }

    /// As [`Loader::load`], for texts that come in the place of rules in force. A rule that stays as it is fitted once: what
    /// is wrong with it now is what a server changed, and is that server's problem as in [`Loader::refit`], so that no server
    /// keeps rules from being put in force. Errors: all problems of rules that are new or other ones.
    pub fn replace(
        &self,
        sources: Vec<Source>,
        catalogue: Arc<Catalogue>,
        before: &Policies,
    ) -> Result<Policies, Vec<Problem>> {
        let (policies, problems) = self.read(sources, catalogue);
        let stays = |id: &String| {
            let id = RuleId::new(id.as_str()).ok()?;
            Some(meant(policies.rule(&id)?) == meant(before.rule(&id)?))
        };
        let fitted = |problem: &Problem| {
            let rule = problem.rule.as_ref();
            problem.reach != Reach::Text && rule.is_none_or(|id| stays(id).unwrap_or_default())
        };
        let (errors, warnings): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.severity == Severity::Error && !fitted(problem));
        if errors.is_empty() { Ok(policies.closing(warnings)) } else { Err(errors) }
    }

    /// Fits rules that are in force to a catalogue that changed under them, so that one server's change stays that
    /// server's problem. A rule that names what is gone matches nothing, with a warning. A server whose items the
    /// rules do not fit any more is closed: every question about it is refused ([`Policies::closed`]). Errors: the
    /// texts themselves are wrong.
    pub fn refit(&self, sources: Vec<Source>, catalogue: Arc<Catalogue>) -> Result<Policies, Vec<Problem>> {
        let (policies, problems) = self.read(sources, catalogue);
        let wrong = |problem: &Problem| problem.severity == Severity::Error && problem.reach == Reach::Text;
        if problems.iter().any(wrong) {
            return Err(problems.into_iter().filter(wrong).collect());
        }
        Ok(policies.closing(problems))
    }

    /// The rules of these texts: those of the last time, if the texts are.
    fn parse(&self, sources: Vec<Source>) -> Parsed {
        let mut last = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(parsed) if parsed.sources == sources => parsed.clone(),
            Some(_) | None => {
                let (rules, problems) = read(&sources);
                last.insert(Parsed { sources, rules, problems }).clone()
            }
        }
    }

    /// Everything but the decision what the problems mean.
    fn read(&self, sources: Vec<Source>, catalogue: Arc<Catalogue>) -> (Policies, Vec<Problem>) {
        let Parsed { sources, rules, mut problems } = self.parse(sources);
        let (digest, texts) = (of_rules(&rules), of_texts(&sources));
        let servers: Vec<(ServerName, Vec<Action>)> = catalogue
            .servers()
            .map(|(name, entry)| (name.clone(), actions::of_server(name, entry)))
            .collect();
        let covered = cover(&rules, servers);
        problems.extend(check::names(&rules, &catalogue));
        problems.extend(check::arguments(&rules, &covered));
        if !problems.iter().any(|p| p.severity == Severity::Error && p.reach == Reach::Text) {
            problems.extend(validate::types(&self.kept, &rules, &covered, &catalogue));
        }
        problems.extend(check::reach(&rules, &covered));
        let policies = Policies {
            digest,
            texts,
            plans: plans(&rules, &covered),
            by_id: rules.iter().enumerate().map(|(index, rule)| (rule.id.clone(), index)).collect(),
            catalogue,
            rules,
            authorizer: Authorizer::new(),
            seen: Memo::new(SEEN_MAX),
            sights: Memo::new(SEEN_MAX),
            standings: Memo::new(STANDINGS_MAX),
            slices: Memo::new(SLICES_MAX),
            warnings: Vec::new(),
            closed: BTreeSet::new(),
        };
        (policies, problems)
    }
}

fn plans(rules: &[Rule], covered: &[Covered]) -> BTreeMap<ServerName, ServerPlans> {
    let mut slicer = Slicer::new(rules);
    let mut plans: BTreeMap<ServerName, ServerPlans> = BTreeMap::new();
    for covered in covered {
        let Some(plan) = slicer.plan(covered) else {
            continue; // no plan, no answer but no
        };
        let (server, action) = (&covered.server, &covered.action.name);
        let of_server = plans.entry(server.clone()).or_default();
        let method = METHODS.iter().find(|method| actions::method_action(server, method.name) == *action);
        match (method, split(action)) {
            (Some(method), _) => drop(of_server.methods.insert(method.name, plan)),
            (None, Some((_, tool))) => drop(of_server.tools.insert(tool.to_owned(), plan)),
            (None, None) => {}
        }
    }
    plans
}

fn of_texts(sources: &[Source]) -> Digest {
    let texts = sources.iter().map(|source| source.text.as_bytes().to_vec());
    of_sorted(b"callgate/policy-texts/v1\0", texts.collect())
}

/// Over each rule as it is meant.
fn of_rules(rules: &[Rule]) -> Digest {
    of_sorted(b"callgate/policy/v2\0", rules.iter().map(meant).collect())
}

/// As Cedar itself writes a rule down, in the canonical form of JSON.
fn meant(rule: &Rule) -> Vec<u8> {
    let json = rule.policy.to_json().ok().and_then(|json| serde_json::to_vec(&json).ok());
    json.and_then(|json| decision::canonical::bytes(&json).ok())
        .unwrap_or_else(|| rule.policy.to_string().into_bytes())
}

fn of_sorted(domain: &[u8], mut parts: Vec<Vec<u8>>) -> Digest {
    parts.sort_unstable();
    let mut bytes = domain.to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&part);
    }
    Digest::of(&bytes)
}

pub(crate) fn read(sources: &[Source]) -> (Vec<Rule>, Vec<Problem>) {
    let (mut rules, mut problems): (Vec<Rule>, Vec<Problem>) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<RuleId, String> = BTreeMap::new();
    for source in sources {
        for (place, cedar) in statements(source) {
            if nesting::depth(&cedar) > nesting::DEPTH_MAX {
                let deep = format!("the rule nests deeper than {} levels", nesting::DEPTH_MAX);
                let split = "write several rules, or compare with a set instead of value by value";
                problems.push(Problem::error(&place, deep).help(split));
                continue;
            }
            match rule::parse(&place, &cedar) {
                Err(found) => problems.extend(found),
                Ok(rule) => match seen.get(&rule.id) {
                    Some(first) => {
                        let twice =
                            Problem::error(&place.find("@id"), format!("the id is taken, in `{first}`"));
                        problems.push(twice.of(rule.id.as_str()).help("every rule needs an id of its own"));
                    }
                    None => {
                        seen.insert(rule.id.clone(), source.path.clone());
                        rules.push(rule);
                    }
                },
            }
        }
    }
    (rules, problems)
}

/// Items of a server, for messages.
pub(crate) fn tool_names(catalogue: &Catalogue) -> Vec<String> {
    let of = |(server, entry): (&ServerName, &catalog::ServerEntry)| {
        let name = |item: &catalog::Item| catalog::federated(server, item.definition.name());
        entry.of_kind(ItemKind::Tool).map(name).collect::<Vec<_>>()
    };
    catalogue.servers().flat_map(of).collect()
}
