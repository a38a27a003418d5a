//! Types: every rule against the schema of every server it can speak of.
//!
//! One server at a time, because the time Cedar takes grows faster than the number of typed actions in one schema.
//! A verdict depends on one rule and one schema only, so verdicts are kept: a reload looks at what changed. What Cedar
//! has nothing to say of by the kinds of a server's actions, it has nothing to say of by the actions: most rules of most
//! servers end there.

use crate::{
    actions::{self, Known},
    check::{is_early, literals},
    kinds::{Kinds, is_general},
    near::nearest,
    rule::{Rule, Sway},
    slice::Covered,
    source::{Problem, Reach, Severity},
};
use catalog::Catalogue;
use cedar_policy::{PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator};
use decision::{Digest, ServerName};
use serde_json::Value;
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

    fn schema(&self, key: Digest, json: impl FnOnce() -> Value) -> Result<Arc<Schema>, String> {
        let mut kept = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = kept.get(&key) {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(Schema::from_json_value(json()).map_err(|e| e.to_string())?);
        if kept.len() >= SCHEMAS_MAX {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&schema));
        Ok(schema)
    }

    /// The verdict on each of these rules under the schema that has this key, in their order.
    fn verdicts(
        &self,
        schema_key: Digest,
        json: impl FnOnce() -> Value,
        rules: &[&Rule],
    ) -> Result<Vec<Arc<Verdict>>, String> {
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
    let known: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
    let meant = nearest(name, known.iter().map(String::as_str))?;
    Some(format!("did you mean `{meant}`?"))
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
    let general = rules.iter().filter(|rule| is_general(rule)).map(|rule| rule.id.as_str()).collect();
    types_with(kept, rules, &general, covered, catalogue)
}

/// The same where these rules may be looked at by kinds of actions.
fn types_with(
    kept: &Kept,
    rules: &[Rule],
    general: &BTreeSet<&str>,
    covered: &[Covered],
    catalogue: &Catalogue,
) -> Vec<Problem> {
    let mut findings = Findings::default();
    for of_server in covered.chunk_by(|a, b| a.server == b.server) {
        let Some(Covered { server, .. }) = of_server.first() else { continue };
        let relevant: BTreeSet<usize> = of_server.iter().flat_map(|c| c.by_action.iter().copied()).collect();
        let relevant: Vec<&Rule> = relevant.into_iter().filter_map(|index| rules.get(index)).collect();
        let some = relevant.iter().copied().filter(|rule| general.contains(rule.id.as_str())).collect();
        let clean = clean(kept, of_server, some);
        // a rule that names other servers' actions needs a schema that knows them; the others keep the plain one,
        // which does not change with the rules
        let mut foreign = BTreeSet::new();
        let (mut plain, mut mixed) = (Vec::new(), Vec::new());
        for rule in relevant {
            if let Some(verdict) = clean.get(rule.id.as_str()) {
                findings.take(server, rule, verdict);
                continue;
            }
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
            match kept.verdicts(Digest::of(schema.to_string().as_bytes()), || schema, &rules) {
                Ok(verdicts) => {
                    rules.iter().zip(verdicts).for_each(|(rule, v)| findings.take(server, rule, &v))
                }
                Err(why) => findings.unreadable(server, &why),
            }
        }
    }
    findings.finish(rules, covered.is_empty(), catalogue)
}

/// Of these general rules, those of which Cedar has nothing to say at this server. The others are looked at under its own
/// schema, so that what is wrong is told with its actions' names.
fn clean<'a>(kept: &Kept, of_server: &[Covered], rules: Vec<&'a Rule>) -> BTreeMap<&'a str, Arc<Verdict>> {
    if rules.is_empty() {
        return BTreeMap::new();
    }
    let kinds = Kinds::of(of_server);
    let verdicts = kept.verdicts(kinds.digest(), || kinds.schema(), &rules).unwrap_or_default();
    let said = rules.into_iter().zip(verdicts).map(|(rule, verdict)| (rule.id.as_str(), verdict));
    said.filter(|(_, verdict)| verdict.said.is_empty()).collect()
}

/// Actions a rule names that are not this server's.
fn others(rule: &Rule, server: &ServerName, catalogue: &Catalogue) -> Vec<String> {
    let foreign = |uid: cedar_policy::EntityUid| {
        let id: &str = uid.id().as_ref();
        let here = match actions::known(catalogue, id) {
            Known::Of(owner) => owner == *server,
            Known::Everywhere => true,
            Known::Later(_) | Known::Nothing => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policies, load, slice::cover, source::Source};
    use bytes::Bytes;
    use catalog::{Declarations, Declared, Definition, Effect, ServerEntry};
    use decision::{Environment, ItemKind};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn entry(name: &ServerName, tools: &[&str]) -> ServerEntry {
        let tool = |tool: &&str| {
            let raw = format!(
                r#"{{"name":"{tool}","description":"{tool}","inputSchema":{{"type":"object","properties":{{"id":{{"type":"string"}}}}}}}}"#
            );
            Arc::new(Definition::new(name.clone(), ItemKind::Tool, Bytes::from(raw)).unwrap())
        };
        let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
        let said = Declarations { tools: vec![("get_*".to_owned(), read)], ..Declarations::default() };
        ServerEntry::new(Environment::default(), said, tools.iter().map(tool))
    }

    #[test]
    fn a_rule_may_speak_of_a_tool_that_is_withheld_and_of_none_that_nobody_has() {
        let name = ServerName::new("a").unwrap();
        let broken = decision::Item { kind: ItemKind::Tool, name: "broken".to_owned() };
        let entry = entry(&name, &["get_x"]).beside([(broken, "x".into())].into());
        let catalogue = Arc::new(Catalogue::new([(name, entry)].into()));
        let load = |tool: &str| {
            let text = format!(
                "@id(\"r\") @because(\"x\") forbid (principal, action == Action::\"a__{tool}\", resource);"
            );
            Policies::load(vec![Source { path: "r.cedar".into(), text }], Arc::clone(&catalogue))
        };
        let warned = load("broken").unwrap();
        assert!(
            warned.warnings().iter().any(|one| one.message.contains("withheld")),
            "{:?}",
            warned.warnings()
        );
        assert!(load("brokn").is_err());
    }

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let servers = [
            ("a", vec!["get_x", "get_y", "refund_payment", "delete_x"]),
            ("b", vec!["get_x"]),
            ("c", vec![]),
        ];
        let entry = |(name, tools): (&str, Vec<&str>)| {
            let name = ServerName::new(name).unwrap();
            (name.clone(), entry(&name, &tools))
        };
        Catalogue::new(servers.into_iter().map(entry).collect())
    });

    const ACTIONS: [&str; 10] = [
        "action",
        "action in Action::\"effect:read\"",
        "action in Action::\"effect:destructive\"",
        "action in [Action::\"category:financial\", Action::\"kind:prompt\"]",
        "action in Action::\"kind:question\"",
        "action in Action::\"tier:critical\"",
        "action == Action::\"effect:read\"",
        "action in Action::\"server:a\"",
        "action == Action::\"a__get_x\"",
        "action in [Action::\"a__get_x\", Action::\"server:b\"]",
    ];
    const PRINCIPALS: [&str; 5] = [
        "principal",
        "principal == Agent::\"x\"",
        "principal in Group::\"g\"",
        "principal is User",
        "principal == Robot::\"x\"",
    ];
    const RESOURCES: [&str; 5] = [
        "resource",
        "resource is Tool",
        "resource is Prompt",
        "resource in Server::\"a\"",
        "resource == Tool::\"b__get_x\"",
    ];
    const CONDITIONS: [&str; 19] = [
        "true",
        "false",
        "context.environment == \"production\"",
        "context.now.hour > 8",
        "context.now.hour == \"8\"",
        "context has model && context.model == \"m\"",
        "context.model == \"m\"",
        "context.nothing == 1",
        "context has args",
        "context.args.id == \"1\"",
        "context.args has id && context.args.id == \"1\"",
        "resource.name == \"get_x\"",
        "resource.effect == \"read\"",
        "resource.uri like \"file:*\"",
        "resource has tier && resource.tier == \"low\"",
        "principal.name == \"x\"",
        "action == Action::\"b__get_x\"",
        "action in Action::\"tier:low\"",
        "context == {}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_said_of_rules_does_not_depend_on_whether_they_are_looked_at_by_kinds(
            rules in prop::collection::vec(
                (0..PRINCIPALS.len(), 0..ACTIONS.len(), 0..RESOURCES.len(), prop::collection::vec(0..CONDITIONS.len(), 1..3)),
                1..5,
            ),
        ) {
            let rule = |(at, (principal, action, resource, conditions)): (usize, &(usize, usize, usize, Vec<usize>))| {
                let when: Vec<String> = conditions.iter().map(|one| format!("({})", CONDITIONS[*one])).collect();
                let (principal, action, resource) = (PRINCIPALS[*principal], ACTIONS[*action], RESOURCES[*resource]);
                format!(
                    "@id(\"r{at}\") @because(\"b\") forbid({principal}, {action}, {resource}) when {{ {} }};\n",
                    when.join(" && ")
                )
            };
            let text: String = rules.iter().enumerate().map(rule).collect();
            let (rules, _) = load::read(&[Source { path: "rules".to_owned(), text }]);
            let servers = CATALOGUE.servers().map(|(name, entry)| (name.clone(), actions::of_server(name, entry)));
            let covered = cover(&rules, servers.collect());
            let said = |general: &BTreeSet<&str>| {
                format!("{:#?}", types_with(&Kept::default(), &rules, general, &covered, &CATALOGUE))
            };
            let general: BTreeSet<&str> =
                rules.iter().filter(|rule| is_general(rule)).map(|rule| rule.id.as_str()).collect();
            prop_assert_eq!(said(&general), said(&BTreeSet::new()));
        }
    }

    #[test]
    fn servers_with_the_same_kinds_of_actions_share_what_is_said_of_general_rules() {
        let servers = (0..40).map(|n| ServerName::new(format!("s{n}")).unwrap());
        let tools = ["get_x", "refund_payment"];
        let all =
            Arc::new(Catalogue::new(servers.map(|name| (name.clone(), entry(&name, &tools))).collect()));
        let text = "@id(\"all\") permit(principal == Agent::\"x\", action, resource);\n\
            @id(\"some\") permit(principal, action in Action::\"server:s7\", resource);"
            .to_owned();
        let loader = load::Loader::default();
        loader.load(vec![Source { path: "rules".to_owned(), text }], all).unwrap();
        assert_eq!(format!("{loader:?}"), "Loader(2 schemas, 2 verdicts)");
    }
}
