//! What can be wrong with rules that parse: names, arguments, reach. Types are in `validate`.

use crate::{
    actions::{self, Known, Later, METHODS},
    load::tool_names,
    near::nearest,
    rule::{Rule, Sway},
    slice::Covered,
    source::{Problem, Reach, Unseen},
    types::Found,
};
use catalog::Catalogue;
use cedar_policy::{ActionConstraint, EntityUid};
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
                    Known::Nothing => Some(unknown(&place, "action", id, action_names(catalogue))),
                    Known::Later(later) => Some(Problem::warning(&place, later.sentence(id))),
                },
                "Tool" => match catalogue.federated(ItemKind::Tool, id) {
                    Some(_) => None,
                    None => match actions::known(catalogue, id) {
                        // it is said of its action
                        Known::Later(Later::Accepted(_)) => None,
                        Known::Later(later) => Some(Problem::warning(&place, later.sentence(id))),
                        Known::Everywhere | Known::Of(_) | Known::Nothing => {
                            Some(unknown(&place, "tool", id, tool_names(catalogue)))
                        }
                    },
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

/// Whether it names what cannot be checked before it is there.
pub(crate) fn is_early(rule: &Rule, catalogue: &Catalogue) -> bool {
    let early = |uid: EntityUid| {
        uid.type_name().to_string() == "Action"
            && matches!(actions::known(catalogue, uid.id().as_ref()), Known::Later(_))
    };
    literals(rule).into_iter().any(early)
}

pub(crate) fn literals(rule: &Rule) -> BTreeSet<EntityUid> {
    let mut found: BTreeSet<EntityUid> = rule.policy.entity_literals().into_iter().collect();
    match rule.policy.action_constraint() {
        ActionConstraint::Any => {}
        ActionConstraint::Eq(uid) => drop(found.insert(uid)),
        ActionConstraint::In(uids) => found.extend(uids),
    }
    found
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

fn unknown(place: &crate::source::Place, what: &str, id: &str, candidates: Vec<String>) -> Problem {
    let problem = Problem::error(place, format!("there is no {what} `{id}`")).reach(Reach::Dormant);
    // a server's name alone is none of an action
    let of_server = candidates.iter().find(|known| known.strip_prefix("server:") == Some(id));
    match of_server.map(String::as_str).or_else(|| nearest(id, candidates.iter().map(String::as_str))) {
        Some(best) => problem.help(format!("did you mean `{best}`?")),
        None => problem.help("`callgate registry list` shows what was accepted"),
    }
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
            let first = unseen.first().copied().unwrap_or_default();
            let help = format!(
                "a rule permits a tool by its action, as in `@id(\"my-rule\") permit (principal == Agent::\"my-agent\", \
                 action == Action::{first:?}, resource);`: see docs/policy.md"
            );
            let unseen = Unseen { server: server.clone(), tools: some(&unseen) };
            let message =
                format!("nobody can see {} of server `{server}`: no rule permits them", unseen.tools);
            problems.push(Problem::nowhere(message).help(help).unseen(unseen));
        }
    }
    problems
}
