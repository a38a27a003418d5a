//! Types: every rule against the schema of every server it can speak of.
//!
//! One server at a time, because the time Cedar takes grows faster than the number of typed actions in one schema.
//! A verdict depends on one rule and one schema only, so verdicts are kept: a reload looks at what changed.

use crate::{
    actions::{self, Known},
    check::{distance, is_early, literals},
    rule::{Rule, Sway},
    slice::Covered,
    source::{Problem, Reach, Severity},
};
use catalog::Catalogue;
use cedar_policy::{PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator};
use decision::{Digest, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Most schemas that are kept; one of 100 tools takes some hundred kilobytes.
const SCHEMAS_MAX: usize = 1024;
/// Most verdicts that are kept; nearly all of them are empty.
const VERDICTS_MAX: usize = 1 << 18;

/// What Cedar says of one rule under one schema.
#[derive(Debug, Default)]
struct Verdict {
    said: Vec<Said>,
    /// It can never match there.
    never: bool,
}

#[derive(Debug)]
struct Said {
    message: String,
    help: Option<String>,
    /// Inside the statement.
    at: Option<Range<usize>>,
}

impl Said {
    fn of<D: miette::Diagnostic>(rule: &Rule, diagnostic: &D) -> Self {
        // Cedar puts the policy's id in front; ours is there already
        let text = diagnostic.to_string();
        let prefix = format!("for policy `{}`, ", rule.id);
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        Self {
            message: text.strip_prefix(&prefix).unwrap_or(&text).replace('\n', " "),
            help: diagnostic.help().map(|help| help.to_string()),
            at: label.map(|label| label.offset()..label.offset() + label.len()),
        }
    }
}

impl Said {
    fn place(&self) -> Option<(usize, usize)> {
        self.at.as_ref().map(|at| (at.start, at.end))
    }
}

/// Schemas and verdicts of earlier loads.
#[derive(Default)]
pub(crate) struct Kept {
    schemas: Mutex<BTreeMap<Digest, Arc<Schema>>>,
    verdicts: Mutex<BTreeMap<Digest, Arc<Verdict>>>,
}

impl Kept {
    pub(crate) fn counts(&self) -> (usize, usize) {
        let schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner).len();
        (schemas, self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    fn schema(&self, key: Digest, json: serde_json::Value) -> Result<Arc<Schema>, String> {
        let mut kept = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = kept.get(&key) {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(Schema::from_json_value(json).map_err(|e| e.to_string())?);
        if kept.len() >= SCHEMAS_MAX {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&schema));
        Ok(schema)
    }

    /// The verdict on each of these rules under this schema, in their order.
    fn verdicts(&self, json: serde_json::Value, rules: &[&Rule]) -> Result<Vec<Arc<Verdict>>, String> {
        let schema_key = Digest::of(json.to_string().as_bytes());
        let key =
            |rule: &Rule| Digest::of_parts(&[b"verdict\0", &schema_key.0, rule.place.text().as_bytes()]);
        let keys: Vec<Digest> = rules.iter().map(|rule| key(rule)).collect();
        let mut found: Vec<Option<Arc<Verdict>>> = {
            let kept = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().map(|key| kept.get(key).cloned()).collect()
        };
        let missing: Vec<&Rule> =
            rules.iter().zip(&found).filter(|(_, v)| v.is_none()).map(|(r, _)| *r).collect();
        if !missing.is_empty() {
            let schema = self.schema(schema_key, json)?;
            let mut made = judge(&schema, &missing);
            let mut kept = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() + missing.len() > VERDICTS_MAX {
                kept.clear();
            }
            for ((rule, key), slot) in
                rules.iter().zip(&keys).zip(&mut found).filter(|(_, slot)| slot.is_none())
            {
                let verdict = Arc::new(made.remove(rule.id.as_str()).unwrap_or_default());
                kept.insert(*key, Arc::clone(&verdict));
                *slot = Some(verdict);
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The type that was meant, if one is near to the name in the message.
fn nearest_type(schema: &Schema, message: &str) -> Option<String> {
    let name = message.split('`').nth(1)?;
    let far = |known: &String| distance(known, name);
    let known = schema.entity_types().map(ToString::to_string);
    let nearest = known.min_by_key(|known| (far(known), known.clone()))?;
    (far(&nearest) <= 2.max(name.len() / 4)).then(|| format!("did you mean `{nearest}`?"))
}

fn judge<'a>(schema: &Schema, rules: &[&'a Rule]) -> BTreeMap<&'a str, Verdict> {
    let mut set = PolicySet::new();
    let mut verdicts: BTreeMap<&str, (&Rule, Verdict)> = BTreeMap::new();
    for rule in rules {
        // ids are unique, checked when the rules were read
        let _ = set.add(rule.policy.clone());
        verdicts.insert(rule.id.as_str(), (rule, Verdict::default()));
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    for error in result.validation_errors() {
        if let Some((rule, verdict)) = verdicts.get_mut(AsRef::<str>::as_ref(error.policy_id())) {
            let mut said = Said::of(rule, error);
            if matches!(error, ValidationError::UnrecognizedEntityType(_)) {
                // of two that are equally near, Cedar names now one and now the other
                said.help = nearest_type(schema, &said.message);
            }
            verdict.said.push(said);
        }
    }
    for warning in result.validation_warnings() {
        let Some((rule, verdict)) = verdicts.get_mut(AsRef::<str>::as_ref(warning.policy_id())) else {
            continue;
        };
        match warning {
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                verdict.never = true;
            }
            ValidationWarning::MixedScriptString(_)
            | ValidationWarning::BidiCharsInString(_)
            | ValidationWarning::BidiCharsInIdentifier(_)
            | ValidationWarning::MixedScriptIdentifier(_)
            | ValidationWarning::ConfusableIdentifier(_)
            | _ => verdict.said.push(Said::of(rule, warning)),
        }
    }
    let in_order = |(id, (_, mut verdict)): (_, (_, Verdict))| {
        // Cedar says them in no order, and the same text is to be told the same
        verdict.said.sort_by(|a, b| a.place().cmp(&b.place()).then_with(|| a.message.cmp(&b.message)));
        (id, verdict)
    };
    verdicts.into_iter().map(in_order).collect()
}

/// Validates all rules. What one server's schema makes wrong is marked with that server.
pub(crate) fn types(kept: &Kept, rules: &[Rule], covered: &[Covered], catalogue: &Catalogue) -> Vec<Problem> {
    let mut findings = Findings::default();
    for of_server in covered.chunk_by(|a, b| a.server == b.server) {
        let Some(Covered { server, .. }) = of_server.first() else { continue };
        let relevant: BTreeSet<usize> = of_server.iter().flat_map(|c| c.by_action.iter().copied()).collect();
        // a rule that names other servers' actions needs a schema that knows them; the others keep the plain one,
        // which does not change with the rules
        let mut foreign = BTreeSet::new();
        let (mut plain, mut mixed) = (Vec::new(), Vec::new());
        for rule in relevant.into_iter().filter_map(|index| rules.get(index)) {
            let named = others(rule, server, catalogue);
            if named.is_empty() {
                plain.push(rule)
            } else {
                mixed.push(rule)
            }
            foreign.extend(named);
        }
        for (rules, foreign) in [(plain, BTreeSet::new()), (mixed, foreign)] {
            if rules.is_empty() {
                continue;
            }
            let schema =
                actions::schema(of_server.iter().map(|c| &c.action), foreign.iter().map(String::as_str));
            match kept.verdicts(schema, &rules) {
                Ok(verdicts) => {
                    rules.iter().zip(verdicts).for_each(|(rule, v)| findings.take(server, rule, &v))
                }
                Err(why) => findings.unreadable(server, &why),
            }
        }
    }
    findings.finish(rules, covered.is_empty(), catalogue)
}

/// Actions a rule names that are not this server's.
fn others(rule: &Rule, server: &ServerName, catalogue: &Catalogue) -> Vec<String> {
    let foreign = |uid: cedar_policy::EntityUid| {
        let id: &str = uid.id().as_ref();
        let here = match actions::known(catalogue, id) {
            Known::Of(owner) => owner == *server,
            Known::Everywhere => true,
            Known::NotYet(_) | Known::Nothing => false,
        };
        (!here && uid.type_name().to_string() == "Action").then(|| id.to_owned())
    };
    literals(rule).into_iter().filter_map(foreign).collect()
}

#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
    /// Rule and message to the place in `problems`: the same is often wrong with many servers.
    said: BTreeMap<(String, String), usize>,
    /// For each rule, against which servers it was checked, and for how many of them it can never match.
    checked: BTreeMap<String, (BTreeSet<ServerName>, usize)>,
}

impl Findings {
    fn take(&mut self, server: &ServerName, rule: &Rule, verdict: &Verdict) {
        let (servers, failed) = self.checked.entry(rule.id.to_string()).or_default();
        servers.insert(server.clone());
        *failed += usize::from(verdict.never);
        for said in &verdict.said {
            let key = (rule.id.to_string(), said.message.clone());
            if let Some(known) = self.said.get(&key).and_then(|index| self.problems.get_mut(*index)) {
                if let Reach::Servers(servers) = &mut known.reach {
                    servers.insert(server.clone());
                }
                continue;
            }
            let place = said.at.clone().map_or_else(|| rule.place.clone(), |at| rule.place.within(at));
            let problem = Problem::error(&place, said.message.clone())
                .of(rule.id.as_str())
                .reach(Reach::Servers([server.clone()].into()));
            self.said.insert(key, self.problems.len());
            self.problems.push(match &said.help {
                Some(help) => problem.help(help.clone()),
                None => problem,
            });
        }
    }

    fn unreadable(&mut self, server: &ServerName, why: &str) {
        let message = format!("server `{server}` has no schema the rules can be checked against: {why}");
        let mut problem = Problem::nowhere(message).reach(Reach::Servers([server.clone()].into()));
        problem.severity = Severity::Error;
        self.problems.push(problem);
    }

    fn finish(mut self, rules: &[Rule], nothing: bool, catalogue: &Catalogue) -> Vec<Problem> {
        for rule in rules {
            let problem = match self.checked.remove(rule.id.as_str()) {
                Some((servers, failed)) if servers.len() == failed => {
                    let help = "its scope and conditions contradict each other for every action they cover";
                    // a permit that never matches gives nothing; a forbid that never matches no longer protects
                    let reach = match rule.sway {
                        Sway::Permit => Reach::Dormant,
                        Sway::Forbid => Reach::Servers(servers),
                    };
                    Problem::error(&rule.place, "this rule can never match").help(help).reach(reach)
                }
                Some(_) => continue,
                // of what was never looked at, that was said
                None if nothing || is_early(rule, catalogue) => continue,
                None => {
                    let message = "this rule matches nothing today: no accepted item is in its scope";
                    Problem::warning(&rule.place, message)
                }
            };
            self.problems.push(problem.of(rule.id.as_str()));
        }
        self.problems
    }
}
