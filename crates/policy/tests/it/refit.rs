//! What servers offer changes under rules that are in force.

use crate::world::{Ask, agent, entry, tool};
use catalog::{Catalogue, Declarations};
use policy::{Answer, Loader, Policies, Reason, Source};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const RULES: &str = "@id(\"all\") permit(principal, action, resource);
    @id(\"limit\") @because(\"too much\") forbid(principal, action == Action::\"bank__pay\", resource)
    when { context.args.amount > 100 };";

/// A bank whose `pay` has these arguments, or no `pay` at all, beside another server.
fn offers(pay: Option<Value>) -> Arc<Catalogue> {
    let pay = pay.map(|properties| tool("pay", properties, &["amount"]));
    let balance = tool("balance", json!({}), &[]);
    let bank = entry("bank", Declarations::default(), [balance].into_iter().chain(pay));
    let other = entry("other", Declarations::default(), [tool("x", json!({}), &[])]);
    Arc::new(Catalogue::new(BTreeMap::from([bank, other])))
}

fn refit(pay: Option<Value>) -> Policies {
    let source = Source { path: "p.cedar".into(), text: RULES.into() };
    let loader = Loader::default();
    loader.load(vec![source.clone()], offers(Some(json!({"amount": {"type": "integer"}})))).unwrap();
    assert!(
        loader.load(vec![source.clone()], offers(pay.clone())).is_err(),
        "written anew it would be an error"
    );
    loader.refit(vec![source], offers(pay)).unwrap()
}

fn reason(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Refused { reason, .. } => Some(*reason),
        Answer::Allowed { .. } | Answer::Held(_) => None,
    }
}

#[test]
fn a_tool_that_is_gone_leaves_the_rest_working() {
    let policies = refit(None);
    let ask = Ask::new(&policies, agent("a", &[]));
    assert!(policies.closed().is_empty());
    assert!(policies.warnings().iter().any(|w| w.message.contains("no action `bank__pay`")));
    assert!(ask.tool("bank", "balance", "{}").is_allowed());
    assert!(ask.tool("other", "x", "{}").is_allowed());
    assert_eq!(reason(&ask.tool("bank", "pay", "{}")), Some(Reason::NoItem));
}

#[test]
fn a_server_whose_new_schema_a_rule_does_not_fit_is_closed_and_nothing_else() {
    for changed in [
        json!({"sum": {"type": "integer"}}),
        json!({"amount": {"type": "string"}}),
        json!({"amount": {"type": ["integer", "null"]}}),
    ] {
        let policies = refit(Some(changed.clone()));
        let ask = Ask::new(&policies, agent("a", &[]));
        assert_eq!(
            policies.closed().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["bank"],
            "{changed}"
        );
        for name in ["pay", "balance"] {
            let kind = decision::ItemKind::Tool;
            assert_eq!(reason(&ask.tool("bank", name, "{}")), Some(Reason::RuleFailed), "{changed}");
            assert_eq!(reason(&ask.see(kind, "bank", name)), Some(Reason::RuleFailed), "{changed}");
        }
        assert!(ask.tool("other", "x", "{}").is_allowed());
    }
}

#[test]
fn a_guard_that_silently_stopped_guarding_closes_its_server() {
    let guarded =
        RULES.replace("context.args.amount > 100", "context.args has amount && context.args.amount > 100");
    let source = Source { path: "p.cedar".into(), text: guarded };
    let policies =
        Loader::default().refit(vec![source], offers(Some(json!({"sum": {"type": "integer"}})))).unwrap();
    assert_eq!(policies.closed().len(), 1, "{:?}", policies.warnings());
}

/// Rules in force over what was offered first, and then files that say more over what is offered now.
fn replaced(offered: Arc<Catalogue>, more: &str) -> Result<Policies, Vec<policy::Problem>> {
    let source = |text: String| vec![Source { path: "p.cedar".into(), text }];
    let loader = Loader::default();
    let first = offers(Some(json!({"amount": {"type": "integer"}})));
    let before = loader.load(source(RULES.into()), first).unwrap();
    loader.replace(source(format!("{RULES}\n{more}")), offered, &before)
}

const STOP: &str =
    "@id(\"stop\") @because(\"emergency\") forbid(principal, action in Action::\"server:other\", resource);";

#[test]
fn no_server_keeps_rules_for_another_from_being_put_in_force() {
    let changed =
        [None, Some(json!({"sum": {"type": "integer"}})), Some(json!({"amount": {"type": "string"}}))];
    for pay in changed {
        let policies = replaced(offers(pay.clone()), STOP).unwrap();
        let ask = Ask::new(&policies, agent("a", &[]));
        assert_eq!(reason(&ask.tool("other", "x", "{}")), Some(Reason::Forbidden), "{pay:?}");
        assert_eq!(
            policies.closed().len(),
            usize::from(pay.is_some()),
            "what does not fit is closed: {pay:?}"
        );
        assert_ne!(reason(&ask.tool("bank", "pay", "{\"amount\":500}")), None);
    }
}

#[test]
fn what_is_written_anew_has_to_fit_as_ever() {
    let slip = STOP.replace("server:other", "other__y");
    let wrong = replaced(offers(None), &slip).unwrap_err();
    assert!(wrong.iter().all(|problem| problem.rule.as_deref() == Some("stop")), "{wrong:?}");
    // the rule that is in force has another text now
    let other = "@id(\"all\") permit(principal, action, resource);
        @id(\"limit\") @because(\"too much\") forbid(principal, action == Action::\"bank__pay\", resource)
        when { context.args.amount > 50 };";
    let source = |text: &str| vec![Source { path: "p.cedar".into(), text: text.into() }];
    let loader = Loader::default();
    let before = loader.load(source(RULES), offers(Some(json!({"amount": {"type": "integer"}})))).unwrap();
    assert!(loader.replace(source(other), offers(None), &before).is_err());
    assert!(loader.replace(source(RULES), offers(None), &before).is_ok());
}

#[test]
fn a_tool_that_was_seen_once_can_be_named() {
    let source = vec![Source { path: "p.cedar".into(), text: RULES.into() }];
    let (name, gone) = entry("bank", Declarations::default(), [tool("balance", json!({}), &[])]);
    let over = |entry| Arc::new(Catalogue::new(BTreeMap::from([(name.clone(), entry)])));
    assert!(Policies::load(source.clone(), over(gone.clone())).is_err());
    let policies = Policies::load(source, over(gone.without(["pay".to_owned()].into()))).unwrap();
    assert!(policies.warnings().iter().any(|w| w.message.contains("`bank__pay` is not offered now")));
}

#[test]
fn a_text_that_is_wrong_by_itself_is_an_error_all_the_same() {
    let source = Source { path: "p.cedar".into(), text: "permit(".into() };
    assert!(Loader::default().refit(vec![source], offers(None)).is_err());
}

#[test]
fn no_rules_permit_nothing() {
    let none = Policies::none();
    let answer = Ask::new(&none, agent("a", &[])).tool("bank", "pay", "{}");
    assert_eq!(reason(&answer), Some(Reason::NoItem));
}
