//! What would be if something else were offered.

use crate::world::{agent, entry, tool};
use catalog::{Catalogue, Declarations};
use decision::{ItemKind, ServerName};
use policy::{Asker, Policies, Source, Subject};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const RULES: &str = r#"
@id("all") permit(principal == Agent::"bot", action, resource);
@id("limit") @because("too much") forbid(principal, action == Action::"bank__pay", resource)
  when { context.args.amount > 100 };
@id("no-deletes") @because("nothing is deleted") forbid(principal, action in Action::"effect:destructive", resource);
@id("of-the-bank") @because("the bank is closed to teams") forbid(principal in Group::"team", action, resource in Server::"bank");
@id("elsewhere") permit(principal, action in Action::"server:other", resource);
@id("one-prompt") permit(principal, action, resource == Prompt::"bank__greet");
"#;

fn over(amount: &str, name: &str, description: &str) -> Arc<Catalogue> {
    let mut pay = tool(name, json!({ "amount": { "type": amount } }), &["amount"]);
    pay.1["description"] = json!(description);
    let prompt = |name: &str| (ItemKind::Prompt, json!({ "name": name }));
    let items: [(ItemKind, Value); 3] = [pay, prompt("greet"), prompt("other")];
    let bank = entry("bank", Declarations::default(), items);
    let other = entry("other", Declarations::default(), [tool("x", json!({}), &[])]);
    Arc::new(Catalogue::new(BTreeMap::from([bank, other])))
}

fn deciding(policies: &Policies, kind: ItemKind, name: &str) -> Vec<String> {
    let server: ServerName = "bank".parse().unwrap();
    let rules = policies.deciding(Subject { server: &server, kind, name });
    rules.iter().map(|rule| rule.id.to_string()).collect()
}

#[test]
fn the_rules_that_decide_about_an_item_are_those_that_name_it_its_server_or_what_it_is() {
    let source = Source { path: "p.cedar".into(), text: RULES.into() };
    let now = Policies::load(vec![source], over("integer", "pay", "Pays.")).unwrap();
    assert_eq!(deciding(&now, ItemKind::Tool, "pay"), ["all", "limit", "of-the-bank"]);
    assert_eq!(deciding(&now, ItemKind::Prompt, "greet"), ["all", "of-the-bank", "one-prompt"]);
    assert_eq!(deciding(&now, ItemKind::Prompt, "other"), ["all", "of-the-bank"]);
    assert!(deciding(&now, ItemKind::Tool, "unknown").is_empty());
    assert!(deciding(&now, ItemKind::Server, "instructions").is_empty());
}

#[test]
fn the_rules_are_asked_once_about_items_that_they_cannot_tell_apart() {
    let tools = (0..50).map(|n| tool(&format!("t{n}"), json!({}), &[]));
    let many = entry("many", Declarations::default(), tools);
    let (server, catalogue) = (many.0.clone(), Arc::new(Catalogue::new(BTreeMap::from([many]))));
    let asked = |text: &str| {
        let source = Source { path: "p.cedar".to_owned(), text: text.to_owned() };
        let policies = Policies::load(vec![source], Arc::clone(&catalogue)).unwrap();
        let bot = agent("bot", &[]);
        let mut left = 30;
        let told: Vec<_> = (0..50)
            .map(|n| {
                let name = format!("t{n}");
                let subject = Subject { server: &server, kind: ItemKind::Tool, name: &name };
                policies.sees(Asker { principal: &bot, host: None }, subject, &mut left)
            })
            .collect();
        (30 - left, told.iter().filter(|one| **one == Some(true)).count(), told.contains(&None))
    };
    let rule = |scope: &str| format!("@id(\"r\") @because(\"b\") {scope};");
    assert_eq!(asked(&rule("permit(principal in Group::\"few\", action, resource)")), (1, 0, false));
    assert_eq!(asked(&rule("permit(principal, action, resource)")), (1, 50, false));
    let named = "permit(principal, action == Action::\"many__t7\", resource)";
    assert_eq!(asked(&rule(named)), (2, 1, false), "that one, and the others");
    let apart = "permit(principal, action, resource) when { resource == Tool::\"many__t7\" }";
    assert_eq!(asked(&rule(apart)), (30, 1, true));
}

#[test]
fn other_definitions_are_asked_about_without_being_in_force() {
    let source = Source { path: "p.cedar".into(), text: RULES.into() };
    let now = Policies::load(vec![source], over("integer", "pay", "Pays.")).unwrap();
    let deletes = now.over(over("integer", "delete_customer", "Deletes a customer for good.")).unwrap();
    assert_eq!(deciding(&deletes, ItemKind::Tool, "delete_customer"), ["all", "no-deletes", "of-the-bank"]);
    assert_eq!(
        deciding(&now, ItemKind::Tool, "pay"),
        ["all", "limit", "of-the-bank"],
        "what is in force stays"
    );
    let server: ServerName = "bank".parse().unwrap();
    let sees = |policies: &Policies, name: &str| {
        let principal = agent("bot", &[]);
        let subject = Subject { server: &server, kind: ItemKind::Tool, name };
        policies.see(Asker { principal: &principal, host: None }, subject).is_allowed()
    };
    assert!(sees(&now, "pay") && !sees(&deletes, "delete_customer"));
    // a limit on a text is none: the server would be closed
    let unfit = now.over(over("string", "pay", "Pays.")).unwrap();
    assert!(unfit.closed().contains(&server) && !sees(&unfit, "pay"));
}
