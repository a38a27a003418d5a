//! What can be wrong with rules that parse: names, arguments, types, reach.

use crate::{
    actions::{self, Action, Known, METHODS},
    load::{Loader, tool_names},
    rule::{Rule, Sway, labelled},
    slice::Covered,
    source::{Problem, Severity},
    types::Found,
};
use catalog::Catalogue;
use cedar_policy::{ActionConstraint, EntityUid, PolicySet, ValidationMode, ValidationWarning, Validator};
use decision::ItemKind;
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
    let problem = Problem::error(place, format!("there is no {what} `{id}`"));
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
    let mut actions: BTreeMap<usize, Vec<&Action>> = BTreeMap::new();
    for Covered { action, rules: of_action, .. } in covered {
        let reading =
            |index: &&usize| rules.get(**index).is_some_and(|rule| !rule.reads.arguments.is_empty());
        of_action.iter().filter(reading).for_each(|index| actions.entry(*index).or_default().push(action));
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

fn argument(rule: &Rule, path: &[String], actions: &[&Action]) -> Vec<Problem> {
    let dotted = path.join(".");
    let place = rule.place.find(&format!("context.args.{dotted}"));
    let (mut lacking, mut having) = (Vec::new(), 0usize);
    let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for action in actions {
        match action.arguments.at(path) {
            Found::Absent(why) => absent.entry(why).or_default().push(&action.name),
            Found::Missing => lacking.push(action.name.as_str()),
            Found::Typed | Found::Inside => having += 1,
        }
    }
    let mut problems = Vec::new();
    for (why, tools) in absent {
        let message = format!("no rule can name the argument `{dotted}` of {}: {why}", some(&tools));
        problems.push(Problem::error(&place, message));
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
            Ok(schema) => verdicts.take(&schema, &set, &relevant),
            Err(why) => {
                let message =
                    format!("server `{server}` has no schema the rules can be checked against: {why}");
                let mut problem = Problem::nowhere(message);
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
    said: BTreeSet<(String, String)>,
    /// For each rule, in how many schemas it was checked and in how many it can never match.
    checked: BTreeMap<String, (usize, usize)>,
}

impl Verdicts {
    fn take(&mut self, schema: &cedar_policy::Schema, set: &PolicySet, relevant: &[&Rule]) {
        let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
        let rule_of = |id: &cedar_policy::PolicyId| {
            let id: &str = id.as_ref();
            relevant.iter().find(|rule| rule.id.as_str() == id)
        };
        for error in result.validation_errors() {
            let Some(rule) = rule_of(error.policy_id()) else { continue };
            // Cedar puts the policy's id in front; ours is there already
            let text = error.to_string();
            let prefix = format!("for policy `{}`, ", rule.id);
            let message = text.strip_prefix(&prefix).unwrap_or(&text).replace('\n', " ");
            if self.said.insert((rule.id.to_string(), message.clone())) {
                let problem = Problem::error(&labelled(&rule.place, error), message).of(rule.id.as_str());
                self.problems.push(match miette::Diagnostic::help(error) {
                    Some(help) => problem.help(help.to_string()),
                    None => problem,
                });
            }
        }
        let mut never = BTreeSet::new();
        for warning in result.validation_warnings() {
            let Some(rule) = rule_of(warning.policy_id()) else { continue };
            match warning {
                ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                    never.insert(rule.id.to_string());
                }
                ValidationWarning::MixedScriptString(_)
                | ValidationWarning::BidiCharsInString(_)
                | ValidationWarning::BidiCharsInIdentifier(_)
                | ValidationWarning::MixedScriptIdentifier(_)
                | ValidationWarning::ConfusableIdentifier(_)
                | _ => {
                    let text = warning.to_string();
                    let message =
                        text.strip_prefix(&format!("for policy `{}`, ", rule.id)).unwrap_or(&text).to_owned();
                    if self.said.insert((rule.id.to_string(), message.clone())) {
                        self.problems.push(
                            Problem::error(&labelled(&rule.place, warning), message).of(rule.id.as_str()),
                        );
                    }
                }
            }
        }
        for rule in relevant {
            let id = rule.id.to_string();
            let impossible = usize::from(never.contains(&id));
            let (checked, failed) = self.checked.entry(id).or_default();
            *checked += 1;
            *failed += impossible;
        }
    }

    fn finish(mut self, rules: &[Rule], nothing: bool) -> Vec<Problem> {
        for rule in rules {
            let problem = match self.checked.get(rule.id.as_str()) {
                Some((checked, failed)) if checked == failed => {
                    let help = "its scope and conditions contradict each other for every action they cover";
                    Problem::error(&rule.place, "this rule can never match").help(help)
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
