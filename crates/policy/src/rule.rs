//! One rule: its annotations, its scope, and what of the context it reads.

use crate::{
    actions::PRINCIPALS,
    reply,
    source::{Place, Problem},
};
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PrincipalConstraint, ResourceConstraint,
};
use decision::RuleId;
use decision::approval::Cure;
use miette::Diagnostic;
use serde_json::Value;
use std::collections::BTreeSet;

/// Which way a rule pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sway {
    Permit,
    Forbid,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) sway: Sway,
    pub(crate) because: Option<String>,
    /// Whose yes cures this forbid.
    pub(crate) cure: Option<Cure>,
    pub(crate) place: Place,
    pub(crate) policy: Policy,
    pub(crate) actions: Actions,
    /// Whether a principal of each of [`PRINCIPALS`] can be meant at all.
    pub(crate) principals: [bool; 3],
    pub(crate) whom: Whom,
    pub(crate) reads: Reads,
}

/// Which actions a rule's scope speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actions {
    Any,
    /// This one, and not what is in it.
    Only(String),
    /// These, and what is in them.
    Within(Vec<String>),
}

impl Actions {
    fn of(policy: &Policy) -> Self {
        let name = |uid: &EntityUid| AsRef::<str>::as_ref(uid.id()).to_owned();
        match policy.action_constraint() {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Only(name(&uid)),
            ActionConstraint::In(uids) => Self::Within(uids.iter().map(name).collect()),
        }
    }
}

/// Which principals a rule's scope speaks of, their type aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    Any,
    One(EntityUid),
    /// This one, and who is in it.
    Within(EntityUid),
}

impl Whom {
    fn of(policy: &Policy) -> Self {
        match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Self::Any,
            PrincipalConstraint::Eq(uid) => Self::One(uid),
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => Self::Within(uid),
        }
    }

    /// Whether a principal in exactly these groups is meant. Groups are in no groups.
    pub(crate) fn means(&self, principal: &EntityUid, groups: &[EntityUid]) -> bool {
        match self {
            Self::Any => true,
            Self::One(uid) => uid == principal,
            Self::Within(uid) => uid == principal || groups.contains(uid),
        }
    }
}

fn means(policy: &Policy, kind: &str) -> bool {
    let of = |uid: &EntityUid| uid.type_name().to_string();
    match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(name) => name.to_string() == kind,
        PrincipalConstraint::Eq(uid) => of(&uid) == kind,
        PrincipalConstraint::In(uid) => of(&uid) == "Group" || of(&uid) == kind,
        PrincipalConstraint::IsIn(name, _) => name.to_string() == kind,
    }
}

/// Which parts of the context a rule reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// First members of the context: `args`, `now`, `environment` …
    pub(crate) parts: BTreeSet<String>,
    /// Paths inside `args`; the empty path is all of it.
    pub(crate) arguments: BTreeSet<Vec<String>>,
    /// The context is used as a value.
    pub(crate) whole: bool,
    /// Its conditions may come out differently for another principal: they read it, or name an entity, which is
    /// known only to the question of whom it is.
    pub(crate) asker: bool,
    /// The same of another item: they read the action or the resource, or name an entity.
    pub(crate) item: bool,
}

/// The parts of the context that are known, and the same, when a list is made.
pub(crate) const SEEN_PARTS: [&str; 2] = ["environment", "host"];

impl Rule {
    /// Whether the rule counts when a principal asks what it may see. A forbid that needs the call's own facts
    /// cannot hide a tool, and one that people can lift must not.
    pub(crate) fn counts_for_seeing(&self) -> bool {
        match self.sway {
            Sway::Permit => true,
            Sway::Forbid => self.cure.is_none() && self.reads.only(&SEEN_PARTS),
        }
    }

    /// Whether a resource of one of these types, of this server, can be meant at all.
    pub(crate) fn covers_resource(
        &self,
        kinds: &[&str],
        server: &EntityUid,
        only: Option<&EntityUid>,
    ) -> bool {
        let fits = |name: String| kinds.contains(&name.as_str());
        let within = |uid: &EntityUid| match (uid == server, only) {
            (true, _) => true,
            (false, Some(only)) => uid == only,
            (false, None) => fits(uid.type_name().to_string()),
        };
        match self.policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::Is(name) => fits(name.to_string()),
            ResourceConstraint::Eq(uid) => {
                only.map_or_else(|| fits(uid.type_name().to_string()), |only| *only == uid)
            }
            ResourceConstraint::In(uid) => within(&uid),
            ResourceConstraint::IsIn(name, uid) => fits(name.to_string()) && within(&uid),
        }
    }
}

impl Reads {
    pub(crate) fn has(&self, part: &str) -> bool {
        self.whole || self.parts.contains(part)
    }

    pub(crate) fn only(&self, parts: &[&str]) -> bool {
        !self.whole && self.parts.iter().all(|part| parts.contains(&part.as_str()))
    }

    fn of(policy: &Policy) -> Option<Self> {
        let json = policy.to_json().ok()?;
        let mut reads = Self::default();
        for clause in json.get("conditions")?.as_array()? {
            reads.walk(clause.get("body")?);
        }
        Some(reads)
    }

    /// Walks an expression in Cedar's JSON form. What it does not recognise it looks into, so that a use of the
    /// context in an unknown form counts as a use of all of it.
    fn walk(&mut self, expression: &Value) {
        match expression {
            Value::Object(members) => {
                if let Some(path) = path(expression) {
                    return self.path(path);
                }
                match members.iter().next() {
                    Some((operator, Value::Object(fields))) if members.len() == 1 && operator == "Record" => {
                        fields.values().for_each(|value| self.walk(value));
                    }
                    Some((operator, value)) if members.len() == 1 && operator == "Value" => {
                        let is_named = value.is_object() || value.is_array();
                        self.asker |= is_named;
                        self.item |= is_named;
                    }
                    Some((operator, value)) if members.len() == 1 && operator == "Var" => {
                        self.asker |= value == "principal";
                        self.item |= value != "principal";
                    }
                    _ => members.values().for_each(|value| self.walk(value)),
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn path(&mut self, path: Vec<String>) {
        match path.split_first() {
            None => self.whole = true,
            Some((part, rest)) => {
                if part == "args" {
                    self.arguments.insert(rest.to_vec());
                }
                self.parts.insert(part.clone());
            }
        }
    }
}

/// The path of attributes from `context`, if the expression is one: `context.a.b`, `context.a has b`.
fn path(expression: &Value) -> Option<Vec<String>> {
    let members = expression.as_object().filter(|members| members.len() == 1)?;
    let (operator, operand) = members.iter().next()?;
    match operator.as_str() {
        "Var" => (operand == "context").then(Vec::new),
        "." | "has" => {
            let mut path = path(operand.get("left")?)?;
            match operand.get("attr")? {
                Value::String(name) => path.push(name.clone()),
                Value::Array(names) => {
                    for name in names {
                        path.push(name.as_str()?.to_owned());
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
            }
            Some(path)
        }
        _ => None,
    }
}

/// Reads one statement. Errors: everything that is wrong with it by itself.
pub(crate) fn parse(place: &Place, cedar: &str) -> Result<Rule, Vec<Problem>> {
    let unnamed = Policy::parse(None, cedar).map_err(|errors| syntax(place, &errors))?;
    let mut problems = Vec::new();
    let annotation = |key: &str| unnamed.annotation(key).map(str::to_owned);
    let id =
        match annotation("id").map(RuleId::new) {
            Some(Ok(id)) => Some(id),
            Some(Err(error)) => {
                problems.push(Problem::error(&place.find("@id"), error.to_string()));
                None
            }
            None => {
                let missing = Problem::error(&head(place), "the rule has no `@id`");
                problems.push(missing.help(
                    "put `@id(\"a-name\")` before it: the record, denials and `explain` name rules by it",
                ));
                None
            }
        };
    let sway = match unnamed.effect() {
        Effect::Permit => Sway::Permit,
        Effect::Forbid => Sway::Forbid,
    };
    let because = annotation("because");
    let cure = annotation("unless_approved").and_then(|text| text.parse::<Cure>().ok()).map(|cure| Cure {
        apart: annotation("approvers_apart").is_some(),
        executes: annotation("execute_on_approval").is_some(),
        ..cure
    });
    annotations(place, &unnamed, sway, &mut problems);
    let Some(reads) = Reads::of(&unnamed) else {
        problems.push(Problem::error(place, "what the rule reads cannot be determined"));
        return Err(problems);
    };
    permit_reads(place, sway, &reads, &mut problems);
    answer_read(place, cure.as_ref(), &reads, &mut problems);
    let name = id.as_ref().map(ToString::to_string);
    let Some(id) = id.filter(|_| problems.is_empty()) else {
        return Err(problems
            .into_iter()
            .map(|p| match &name {
                Some(name) => p.of(name),
                None => p,
            })
            .collect());
    };
    let policy = unnamed.new_id(PolicyId::new(id.as_str()));
    let (actions, principals) = (Actions::of(&policy), PRINCIPALS.map(|kind| means(&policy, kind)));
    let (whom, place) = (Whom::of(&policy), place.clone());
    Ok(Rule { id, sway, because, cure, place, policy, actions, principals, whom, reads })
}

fn annotations(place: &Place, policy: &Policy, sway: Sway, problems: &mut Vec<Problem>) {
    for (key, value) in policy.annotations() {
        match (key, sway) {
            ("id", _) => {}
            ("because", _) if value.trim().is_empty() => {
                problems.push(Problem::error(&place.find("@because"), "`@because` is empty"));
            }
            ("because", _) => {}
            ("unless_approved", Sway::Forbid) => {
                if let Err(error) = value.parse::<Cure>() {
                    problems.push(Problem::error(&place.find("@unless"), error.to_string()));
                }
            }
            ("unless_approved", Sway::Permit) => {
                let misplaced =
                    Problem::error(&place.find("@unless"), "`@unless-approved` stands on a permit");
                problems.push(misplaced.help("an approval lifts a forbid and never stands in for a permit: write a `forbid` that carries it"));
            }
            ("approvers_apart" | "execute_on_approval", _)
                if policy.annotation("unless_approved").is_none() =>
            {
                let name = format!("@{}", key.replace('_', "-"));
                let alone = Problem::error(&place.find(&name), format!("`{name}` stands alone"));
                problems.push(
                    alone.help("it says more about an `@unless-approved`, which the rule does not have"),
                );
            }
            ("approvers_apart" | "execute_on_approval", _) if !value.is_empty() => {
                let name = format!("@{}", key.replace('_', "-"));
                problems.push(Problem::error(&place.find(&name), format!("`{name}` takes no value")));
            }
            ("approvers_apart" | "execute_on_approval", _) => {}
            (other, _) => {
                let at = place.annotation(other);
                let written = at.text().strip_prefix('@').unwrap_or(other);
                let unknown = Problem::error(&at, format!("there is no annotation `@{written}`"));
                problems.push(unknown.help(
                    "the annotations are `@id`, `@because`, `@unless-approved`, `@approvers-apart` and `@execute-on-approval`",
                ));
            }
        }
    }
    if sway == Sway::Forbid && policy.annotation("because").is_none() {
        let missing = Problem::error(&head(place), "the forbid has no `@because`");
        problems.push(missing.help("put `@because(\"…\")` before it: whoever is refused is told it"));
    }
}

/// A permit that read the call's own facts would make what is listed differ from what is allowed.
fn permit_reads(place: &Place, sway: Sway, reads: &Reads, problems: &mut Vec<Problem>) {
    if sway == Sway::Forbid || reads.only(&SEEN_PARTS) {
        return;
    }
    let what = match reads.parts.iter().find(|part| !SEEN_PARTS.contains(&part.as_str())) {
        Some(part) => format!("context.{part}"),
        None => "context".to_owned(),
    };
    let message = format!("a permit may not read `{what}`");
    let help = "permit the action without this condition, and add a `forbid … unless { … }` with it: only a forbid may \
                depend on arguments, time or how the call came";
    problems.push(Problem::error(&place.find(&what), message).help(help));
}

/// An answer has left its person already: there is nobody left to hold it for.
fn answer_read(place: &Place, cure: Option<&Cure>, reads: &Reads, problems: &mut Vec<Problem>) {
    if cure.is_some() && reads.parts.contains(reply::PART) {
        let message = "a rule with `@unless-approved` may not read `context.answer`";
        let help = "hold the question, and forbid the answer with a rule of its own";
        problems.push(Problem::error(&place.find("context"), message).help(help));
    }
}

/// The first line of a statement.
fn head(place: &Place) -> Place {
    let length = place.text().lines().next().map_or(0, str::len);
    place.within(0..length)
}

fn syntax(place: &Place, errors: &cedar_policy::ParseErrors) -> Vec<Problem> {
    let mut problems = Vec::new();
    for error in errors.iter() {
        let mut message = error.to_string();
        if let Some(detail) = error.labels().and_then(|mut labels| labels.next()?.label().map(str::to_owned))
        {
            message = format!("{message}: {detail}");
        }
        let problem = Problem::error(&labelled(place, error), message.replace('\n', " "));
        problems.push(match error.help() {
            Some(help) => problem.help(help.to_string()),
            None => problem,
        });
    }
    problems
}

/// The place a diagnostic of Cedar points at.
pub(crate) fn labelled(place: &Place, diagnostic: &dyn Diagnostic) -> Place {
    match diagnostic.labels().and_then(|mut labels| labels.next()) {
        Some(label) => place.within(label.offset()..label.offset() + label.len()),
        None => place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, statements};

    fn rule(text: &str) -> Result<Rule, Vec<Problem>> {
        let source = Source { path: "t.cedar".into(), text: text.into() };
        let (place, cedar) = statements(&source).remove(0);
        parse(&place, &cedar)
    }
    fn forbid(condition: &str) -> Rule {
        rule(&format!(
            "@id(\"a\") @because(\"b\") forbid(principal, action, resource) when {{ {condition} }};"
        ))
        .unwrap()
    }

    #[test]
    fn a_statement_that_breaks_a_house_rule_is_named_with_its_place() {
        for (text, message, at) in [
            ("permit(principal, action, resource);", "has no `@id`", 1),
            ("@id(\"a b\") permit(principal, action, resource);", "is not a rule id", 1),
            ("@id(\"a\") forbid(principal, action, resource);", "no `@because`", 1),
            ("@id(\"a\") @because(\"\") forbid(principal, action, resource);", "`@because` is empty", 10),
            ("@id(\"a\") @unless-approved(\"g\") permit(principal, action, resource);", "on a permit", 10),
            (
                "@id(\"a\") @becuase(\"g\") permit(principal, action, resource);",
                "no annotation `@becuase`",
                10,
            ),
            (
                "@id(\"a\") @because(\"@unless-aproved\") @unless-aproved(\"g\") forbid(principal, action, resource);",
                "no annotation `@unless-aproved`",
                38,
            ),
            (
                "@id(\"a\") permit(principal, action, resource) when { context.args.x == 1 };",
                "`context.args`",
                53,
            ),
            (
                "@id(\"a\") permit(principal, action, resource) when { context.now.hour < 9 };",
                "`context.now`",
                53,
            ),
            (
                "@id(\"a\") permit(principal, action, resource) when { context has args };",
                "`context.args`",
                1,
            ),
            (
                "@id(\"a\") permit(principal, action, resource) when { {\"x\": context} == {} };",
                "`context`",
                59,
            ),
            ("@id(\"a\") permit(principal, action, resource", "", 44),
            ("@id(\"a\") permit(principal == ?principal, action, resource);", "template", 30),
        ] {
            let problems = rule(text).unwrap_err();
            let first = problems.first().unwrap();
            assert!(first.message.contains(message), "{text}: {problems:?}");
            assert_eq!(first.place().unwrap(), ("t.cedar", 1, at), "{text}: {problems:?}");
        }
    }

    #[test]
    fn what_a_rule_reads_is_found_in_every_form() {
        let reads = forbid(
            "context.args.a.b > 1 && context.args has c.d && context has host && context[\"now\"].hour > 1",
        )
        .reads;
        let path = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(
            reads.arguments.contains(&path(&["a", "b"])) && reads.arguments.contains(&path(&["c", "d"])),
            "{reads:?}"
        );
        assert_eq!(reads.parts, BTreeSet::from(["args".into(), "host".into(), "now".into()]));
        assert!(!reads.whole);
        for hidden in [
            "(if principal == principal then context else context).args.x == 1",
            "{\"Value\": context} has Value",
            "{\".\": {\"left\": context}} has x",
            "[context].contains(context)",
        ] {
            assert!(forbid(hidden).reads.whole, "{hidden}");
        }
        assert_eq!(forbid("\"context.args\" == \"x\"").reads, Reads::default());
    }
}
