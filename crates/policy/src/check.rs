//! What can be wrong with rules that parse: names, arguments, types, reach.

use crate::{
    actions::{self, Known, METHODS},
    load::{Loader, tool_names},
    rule::{Rule, Sway, labelled},
    slice::Covered,
    source::{Problem, Reach, Severity},
    types::Found,
};
use catalog::Catalogue;
use cedar_policy::{ActionConstraint, EntityUid, PolicySet, ValidationMode, ValidationWarning, Validator};
use decision::{ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};

/// Most tools that one message names.
const NAMED_MAX: usize = 3;

/// Names of tools, servers and groups of actions that do not exist.
pub(crate) fn names(rules: &[Rule], catalogue: &Catalogue) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in rules {
        for uid in literals(rule) {
            let id: &str = uid.id().as_ref();
            let place = rule.place.find(&format!("\"{id}\""));
            let problem = match uid.type_name().to_string().as_str() {
                "Action" => match actions::known(catalogue, id) {
                    Known::Everywhere | Known::Of(_) => None,
                    Known::NotYet(server) => {
                        let message = format!(
                            "`{id}` cannot be checked: server `{server}` has no accepted definitions yet"
                        );
                        Some(Problem::warning(&place, message))
                    }
                    Known::Nothing => Some(unknown(&place, "action", id, action_names(catalogue))),
                },
                "Tool" => match catalogue.federated(ItemKind::Tool, id) {
                    Some(_) => None,
                    None if not_yet(catalogue, id) => None,
                    None => Some(unknown(&place, "tool", id, tool_names(catalogue))),
                },
                "Server" => {
                    let servers: Vec<String> =
                        catalogue.servers().map(|(name, _)| name.to_string()).collect();
                    (!servers.iter().any(|name| name == id)).then(|| unknown(&place, "server", id, servers))
                }
                _ => None,
            };
            problems.extend(problem.map(|problem| problem.of(rule.id.as_str())));
        }
    }
    problems
}

fn literals(rule: &Rule) -> BTreeSet<EntityUid> {
    let mut found: BTreeSet<EntityUid> = rule.policy.entity_literals().into_iter().collect();
    match rule.policy.action_constraint() {
        ActionConstraint::Any => {}
        ActionConstraint::Eq(uid) => drop(found.insert(uid)),
        ActionConstraint::In(uids) => found.extend(uids),
    }
    found
}

fn not_yet(catalogue: &Catalogue, federated: &str) -> bool {
    matches!(actions::known(catalogue, federated), Known::NotYet(_))
}

fn action_names(catalogue: &Catalogue) -> Vec<String> {
    let mut names = tool_names(catalogue);
    names.extend(actions::common_groups());
    for (server, _) in catalogue.servers() {
        names.push(format!("server:{server}"));
        names.extend(METHODS.iter().map(|method| actions::method_action(server, method.name)));
    }
    names
}

fn unknown(place: &crate::source::Place, what: &str, id: &str, mut candidates: Vec<String>) -> Problem {
    let problem = Problem::error(place, format!("there is no {what} `{id}`")).reach(Reach::Dormant);
    candidates.sort_by_cached_key(|candidate| distance(candidate, id));
    match candidates.first().filter(|best| distance(best, id) <= 2.max(id.len() / 4)) {
        Some(best) => problem.help(format!("did you mean `{best}`?")),
        None => problem.help("`callgate registry list` shows what was accepted"),
    }
}

/// Edits from one name to another (Levenshtein), over bytes: names are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *slot;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Arguments that a rule names and no rule can name, and tools whose schema lacks what a rule guards.
pub(crate) fn arguments(rules: &[Rule], covered: &[Covered]) -> Vec<Problem> {
    let mut actions: BTreeMap<usize, Vec<&Covered>> = BTreeMap::new();
    for one in covered {
        let reading =
            |index: &&usize| rules.get(**index).is_some_and(|rule| !rule.reads.arguments.is_empty());
        one.rules.iter().filter(reading).for_each(|index| actions.entry(*index).or_default().push(one));
    }
    let mut problems = Vec::new();
    for (index, actions) in actions {
        let Some(rule) = rules.get(index) else { continue };
        for path in rule.reads.arguments.iter().filter(|path| !path.is_empty()) {
            problems.extend(argument(rule, path, &actions).into_iter().map(|p| p.of(rule.id.as_str())));
        }
    }
    problems
}

fn argument(rule: &Rule, path: &[String], actions: &[&Covered]) -> Vec<Problem> {
    let dotted = path.join(".");
    let place = rule.place.find(&format!("context.args.{dotted}"));
    let (mut lacking, mut having) = (Vec::new(), 0usize);
    let mut absent: BTreeMap<&str, (BTreeSet<ServerName>, Vec<&str>)> = BTreeMap::new();
    for Covered { server, action, .. } in actions {
        match action.arguments.at(path) {
            Found::Absent(why) => {
                let (servers, tools) = absent.entry(why).or_default();
                servers.insert(server.clone());
                tools.push(&action.name);
            }
            Found::Missing => lacking.push(action.name.as_str()),
            Found::Typed | Found::Inside => having += 1,
        }
    }
    let mut problems = Vec::new();
    for (why, (servers, tools)) in absent {
        let message = format!("no rule can name the argument `{dotted}` of {}: {why}", some(&tools));
        problems.push(Problem::error(&place, message).reach(Reach::Servers(servers)));
    }
    if having > 0 && !lacking.is_empty() {
        let message =
            format!("{} lacks the argument `{dotted}`, so this rule says nothing there", some(&lacking));
        problems.push(Problem::warning(&place, message));
    }
    problems
}

fn some(names: &[&str]) -> String {
    let listed: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// Validates every rule against the schema of every server it can speak of, one server at a time: the time Cedar
/// takes grows faster than the number of typed actions in one schema.
pub(crate) fn types(
    loader: &Loader,
    rules: &[Rule],
    covered: &[Covered],
    catalogue: &Catalogue,
) -> Vec<Problem> {
    let mut verdicts = Verdicts::default();
    for of_server in covered.chunk_by(|a, b| a.server == b.server) {
        let Some(Covered { server, .. }) = of_server.first() else { continue };
        let relevant: BTreeSet<usize> = of_server.iter().flat_map(|c| c.by_action.iter().copied()).collect();
        let relevant: Vec<&Rule> = relevant.into_iter().filter_map(|index| rules.get(index)).collect();
        if relevant.is_empty() {
            continue;
        }
        let mut foreign = BTreeSet::new();
        let mut set = PolicySet::new();
        for rule in &relevant {
            for uid in literals(rule).into_iter().filter(|uid| uid.type_name().to_string() == "Action") {
                let id: &str = uid.id().as_ref();
                match actions::known(catalogue, id) {
                    Known::Of(owner) if owner == *server => {}
                    Known::Everywhere => {}
                    Known::Of(_) | Known::NotYet(_) | Known::Nothing => drop(foreign.insert(id.to_owned())),
                }
            }
            let _ = set.add(rule.policy.clone());
        }
        let schema = actions::schema(of_server.iter().map(|c| &c.action), foreign.iter().map(String::as_str));
        match loader.schema(&schema) {
            Ok(schema) => verdicts.take(server, &schema, &set, &relevant),
            Err(why) => {
                let message =
                    format!("server `{server}` has no schema the rules can be checked against: {why}");
                let mut problem = Problem::nowhere(message).reach(Reach::Servers([server.clone()].into()));
                problem.severity = Severity::Error;
                verdicts.problems.push(problem);
            }
        }
    }
    verdicts.finish(rules, covered.is_empty())
}

#[derive(Default)]
struct Verdicts {
    problems: Vec<Problem>,
    /// Rule and message to the place in `problems`: the same is often wrong with many tools.
    said: BTreeMap<(String, String), usize>,
    /// For each rule, against which servers it was checked, and for how many of them it can never match.
    checked: BTreeMap<String, (BTreeSet<ServerName>, usize)>,
}

impl Verdicts {
    fn take(
        &mut self,
        server: &ServerName,
        schema: &cedar_policy::Schema,
        set: &PolicySet,
        relevant: &[&Rule],
    ) {
        let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
        let by_id: BTreeMap<&str, &Rule> = relevant.iter().map(|rule| (rule.id.as_str(), *rule)).collect();
        let rule_of = |id: &cedar_policy::PolicyId| by_id.get(AsRef::<str>::as_ref(id)).copied();
        for error in result.validation_errors() {
            if let Some(rule) = rule_of(error.policy_id()) {
                self.say(server, rule, error);
            }
        }
        let mut never = BTreeSet::new();
        for warning in result.validation_warnings() {
            let Some(rule) = rule_of(warning.policy_id()) else { continue };
            match warning {
                ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                    never.insert(rule.id.as_str());
                }
                ValidationWarning::MixedScriptString(_)
                | ValidationWarning::BidiCharsInString(_)
                | ValidationWarning::BidiCharsInIdentifier(_)
                | ValidationWarning::MixedScriptIdentifier(_)
                | ValidationWarning::ConfusableIdentifier(_)
                | _ => self.say(server, rule, warning),
            }
        }
        for rule in relevant {
            let (servers, failed) = self.checked.entry(rule.id.to_string()).or_default();
            servers.insert(server.clone());
            *failed += usize::from(never.contains(rule.id.as_str()));
        }
    }

    fn say<D: miette::Diagnostic>(&mut self, server: &ServerName, rule: &Rule, said: &D) {
        // Cedar puts the policy's id in front; ours is there already
        let text = said.to_string();
        let prefix = format!("for policy `{}`, ", rule.id);
        let message = text.strip_prefix(&prefix).unwrap_or(&text).replace('\n', " ");
        let key = (rule.id.to_string(), message.clone());
        if let Some(known) = self.said.get(&key).and_then(|index| self.problems.get_mut(*index)) {
            if let Reach::Servers(servers) = &mut known.reach {
                servers.insert(server.clone());
            }
            return;
        }
        let problem = Problem::error(&labelled(&rule.place, said), message)
            .of(rule.id.as_str())
            .reach(Reach::Servers([server.clone()].into()));
        self.said.insert(key, self.problems.len());
        self.problems.push(match said.help() {
            Some(help) => problem.help(help.to_string()),
            None => problem,
        });
    }

    fn finish(mut self, rules: &[Rule], nothing: bool) -> Vec<Problem> {
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
                None if nothing => continue,
                None => Problem::warning(
                    &rule.place,
                    "this rule matches nothing today: no accepted item is in its scope",
                ),
            };
            self.problems.push(problem.of(rule.id.as_str()));
        }
        self.problems
    }
}

/// Tools that no permit covers: nobody can see them.
pub(crate) fn reach(rules: &[Rule], covered: &[Covered]) -> Vec<Problem> {
    let permits = |index: &usize| rules.get(*index).is_some_and(|rule| rule.sway == Sway::Permit);
    let mut problems = Vec::new();
    for of_server in covered.chunk_by(|a, b| a.server == b.server) {
        let unseen: Vec<&str> = of_server
            .iter()
            .filter(|c| c.action.resources == ["Tool"] && !c.rules.iter().any(permits))
            .map(|c| c.action.name.as_str())
            .collect();
        if let Some(Covered { server, .. }) = of_server.first().filter(|_| !unseen.is_empty()) {
            let message =
                format!("nobody can see {} of server `{server}`: no rule permits them", some(&unseen));
            problems.push(Problem::nowhere(message));
        }
    }
    problems
}
