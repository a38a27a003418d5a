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
