//! Drafts before deeds, over the whole path.

use crate::house::{House, server, settings};
use crate::script::{self, Script};
use catalog::{Declarations, Declared, Effect};
use decision::{Ending, Entry, EventName, ItemKind, ServerName, User};
use gateway::settings::Mode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{PinState, Which};

/// `bot` may refund, over 100 with finance's yes; `scribe` may only draft; `guest` may do neither.
const POLICY: &str = r#"
@id("bot") permit (principal == Agent::"bot", action, resource);
@id("scribe") permit (principal == Agent::"scribe", action == Action::"script__draft_refund", resource);
@id("guest") permit (principal == Agent::"guest", action == Action::"script__echo", resource);
@id("limit") @because("refunds over 100 are for finance to approve") @unless-approved("finance")
forbid (principal, action == Action::"script__refund", resource) when { context.args.amount > 100 };
"#;

async fn house() -> (House, Script) {
    let script = Script::start(true).await;
    let declared = Declared { effect: Some(Effect::Write), draft: Some(true), ..Declared::default() };
    let read = Declared { effect: Some(Effect::Read), draft: Some(true), ..Declared::default() };
    let tools = vec![("refund".to_owned(), declared), ("echo".to_owned(), read)];
    let declarations = Declarations { tools, ..Declarations::default() };
    let script_of = gateway::settings::ServerSettings { declarations, ..server(&script.url, Mode::Enforce) };
    let house = House::with(settings([(ServerName::new("script").unwrap(), script_of)].into()), POLICY).await;
    let fay = User { name: "fay".parse().unwrap(), groups: BTreeSet::from(["finance".parse().unwrap()]) };
    house.store.add_user(&house.gate.live().settings.scope(), &fay, "ops").await.unwrap();
    (house, script)
}

async fn call(house: &House, bearer: Option<&str>, tool: &str, arguments: Value) -> Value {
    let own = format!("Bearer {}", house.token);
    let params = json!({ "name": format!("script__{tool}"), "arguments": arguments });
    house.modern_as(bearer.unwrap_or(&own), "/mcp", "tools/call", params).await.json()
}

fn draft_id(told: &Value) -> String {
    told["result"]["structuredContent"]["draft_id"].as_str().unwrap().to_owned()
}

fn code(told: &Value) -> Option<&str> {
    told["result"]["_meta"]["callgate/refusal"]["code"].as_str()
}

async fn tools(house: &House, bearer: &str) -> Vec<String> {
    let told = house.modern_as(bearer, "/mcp", "tools/list", json!({})).await.json();
    let tools = told["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_draft_does_nothing_and_is_submitted_once_as_the_call_it_is() {
    let (house, script) = house().await;
    let told = call(&house, None, "draft_refund", json!({ "amount": 40 })).await;
    let id = draft_id(&told);
    assert!(told["result"]["structuredContent"]["would"].as_str().unwrap().contains("would allow it"));
    assert!(script.heard("tools/call").is_empty(), "nothing left");
    assert_eq!(house.last().ending, Ending::Answered);
    assert!(!house.last().dispatched);
    let done = call(&house, None, "submit_refund", json!({ "draft_id": id })).await;
    assert_eq!(code(&done), None, "{done}");
    let heard = script.heard("tools/call");
    let body: Value = serde_json::from_slice(&heard[0].body).unwrap();
    assert_eq!(
        (&body["params"]["name"], &body["params"]["arguments"]),
        (&json!("refund"), &json!({ "amount": 40 }))
    );
    assert!(house.last().evidence.iter().any(|one| one.basis.contains(&format!("draft:{id}"))));
    let again = call(&house, None, "submit_refund", json!({ "draft_id": id })).await;
    assert_eq!(code(&again), Some("draft-unknown"));
    assert_eq!(script.heard("tools/call").len(), 1, "once");
}

#[tokio::test]
async fn a_draft_names_what_makes_its_call_as_the_entrance_lists_it() {
    let (house, script) = house().await;
    let own = format!("Bearer {}", house.token);
    for (path, at) in [("/mcp", "script__"), ("/s/script/mcp", "")] {
        let listed = house.modern_as(&own, path, "tools/list", json!({})).await.json();
        let tool = |name: &str| {
            let all = listed["result"]["tools"].as_array().unwrap();
            all.iter().find(|tool| tool["name"] == format!("{at}{name}")).unwrap().clone()
        };
        let (draft, submit) = (tool("draft_refund"), tool("submit_refund"));
        let said = draft["description"].as_str().unwrap().to_owned();
        assert!(said.starts_with(&format!("Prepares a call of `{at}refund` and does nothing")), "{said}");
        assert!(said.contains(&format!("gives a `draft_id` for `{at}submit_refund`. ")), "{said}");
        assert_eq!(
            submit["description"],
            format!("Makes the call of `{at}refund` that `{at}draft_refund` prepared, once.")
        );
        let id = &submit["inputSchema"]["properties"]["draft_id"]["description"];
        assert_eq!(*id, format!("as `{at}draft_refund` gave it"));
        let call = json!({ "name": format!("{at}draft_refund"), "arguments": { "amount": 4 } });
        let told = house.modern_as(&own, path, "tools/call", call).await.json();
        let name = told["result"]["structuredContent"]["submit"].as_str().unwrap();
        let text = told["result"]["content"][0]["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("use `{name}` with")) && name == format!("{at}submit_refund"),
            "{told}"
        );
        let call = json!({ "name": name, "arguments": { "draft_id": draft_id(&told) } });
        let done = house.modern_as(&own, path, "tools/call", call).await.json();
        assert_eq!(code(&done), None, "{done}");
    }
    assert_eq!(script.heard("tools/call").len(), 2);
}

#[tokio::test]
async fn a_submitted_draft_takes_the_whole_path_of_its_call() {
    let (house, script) = house().await;
    let told = call(&house, None, "draft_refund", json!({ "amount": 500 })).await;
    assert!(told.to_string().contains("would wait for approval by finance"), "{told}");
    let id = draft_id(&told);
    let submit = json!({ "draft_id": id });
    assert_eq!(code(&call(&house, None, "submit_refund", submit.clone()).await), Some("approval-required"));
    let scope = house.gate.live().settings.scope();
    let page = store::Page { after: None, limit: 9 };
    let kept = house.store.approvals_in(&scope, decision::approval::State::Proposed, page).await.unwrap();
    assert!(kept[0].approval.preview.summary.contains("`refund`"), "{:?}", kept[0].approval.preview);
    let desk = house.gate.desk();
    let fay = desk.voter(&scope, &"fay".parse().unwrap()).await.unwrap().unwrap();
    desk.vote(&scope, kept[0].approval.id, &fay, true, None, "a test").await.unwrap();
    assert_eq!(code(&call(&house, None, "submit_refund", submit).await), None);
    assert_eq!(script.heard("tools/call").len(), 1);
    assert_eq!(
        code(&call(&house, None, "draft_refund", json!({ "amount": "x" })).await),
        Some("arguments-invalid")
    );
}

#[tokio::test]
async fn drafting_and_doing_are_two_permissions() {
    let (house, script) = house().await;
    let scribe = format!("Bearer {}", house.agent("scribe").await);
    let guest = format!("Bearer {}", house.agent("guest").await);
    assert_eq!(tools(&house, &scribe).await, ["script__draft_refund"]);
    assert_eq!(tools(&house, &guest).await, ["script__echo"], "what reads needs no draft");
    let own = format!("Bearer {}", house.token);
    let all = tools(&house, &own).await;
    assert!(
        all.contains(&"script__submit_refund".to_owned()) && !all.contains(&"script__draft_echo".to_owned())
    );
    let id = draft_id(&call(&house, Some(&scribe), "draft_refund", json!({ "amount": 1 })).await);
    for (bearer, tool) in [(&scribe, "submit_refund"), (&guest, "submit_refund"), (&guest, "draft_refund")] {
        let told = call(&house, Some(bearer), tool, json!({ "draft_id": id })).await;
        assert!(told["error"]["message"].as_str().unwrap().starts_with("Unknown tool"), "{told}");
    }
    let other = call(&house, None, "submit_refund", json!({ "draft_id": id })).await;
    assert_eq!(code(&other), Some("draft-unknown"), "another's draft is none");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn what_cannot_be_submitted_says_so_and_what_never_left_can_be_again() {
    let (house, script) = house().await;
    for id in [json!("draft_00000000000000000000000000"), json!("x"), json!(1), Value::Null] {
        let told = call(&house, None, "submit_refund", json!({ "draft_id": id })).await;
        assert_eq!(code(&told), Some("draft-unknown"), "{told}");
    }
    let id = draft_id(&call(&house, None, "draft_refund", json!({ "amount": 1 })).await);
    house.remove_secret().await;
    house.until_noticed().await;
    let submit = json!({ "draft_id": id });
    assert_eq!(code(&call(&house, None, "submit_refund", submit.clone()).await), Some("secret-missing"));
    house.put_secret(None, "again-0123456789").await;
    house.until_noticed().await;
    let twice =
        futures::future::join_all((0..8).map(|_| call(&house, None, "submit_refund", submit.clone()))).await;
    assert_eq!(twice.iter().filter(|told| code(told).is_none()).count(), 1, "{twice:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_servers_own_tool_of_the_name_of_a_draft_is_never_called() {
    let (house, script) = house().await;
    let scribe = format!("Bearer {}", house.agent("scribe").await);
    let (scope, server) = (house.gate.live().settings.scope(), ServerName::new("script").unwrap());
    let with = |more: &[&str]| {
        let mut all = script::tools();
        let more = more.iter().map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
        all.as_array_mut().unwrap().extend(more);
        all
    };
    script.set_tools(with(&["draft_refund", "submit_refund"]));
    house.look("script").await;
    let caught = house.entries().into_iter().filter(|entry| {
        matches!(entry, Entry::Event(event) if event.event == EventName::DefinitionChanged
            && event.detail.get("poisoned").is_some_and(|by| by == "impersonation"))
    });
    assert_eq!(caught.count(), 2);
    // whoever accepts them all the same does not get them
    house.store.approve(&scope, &server, &Which::All, "a person").await.unwrap();
    house.offers.refresh().await;
    assert_eq!(tools(&house, &scribe).await, ["script__draft_refund"]);
    let told = call(&house, Some(&scribe), "draft_refund", json!({ "amount": 1 })).await;
    draft_id(&told);
    assert!(script.heard("tools/call").is_empty(), "{told}");
    let live = house.gate.live();
    let withheld: Vec<_> =
        live.unusable().map(|(_, tool, why)| (tool.name.clone(), why.to_owned())).collect();
    assert_eq!(
        withheld.iter().map(|(tool, _)| tool.as_str()).collect::<Vec<_>>(),
        ["draft_refund", "submit_refund"]
    );
    assert!(withheld[0].1.contains("drafts of `refund`"), "{withheld:?}");
    drop(live);
    // nor where what they are named after is gone
    let mut left = with(&["draft_refund", "submit_refund"]);
    left.as_array_mut().unwrap().retain(|tool| tool["name"] != "refund");
    script.set_tools(left);
    house.look("script").await;
    let pins = house.store.pins(&scope, &server).await.unwrap();
    assert!(pins.iter().any(|pin| pin.item.kind == ItemKind::Tool
        && pin.item.name == "refund"
        && pin.state == PinState::Gone));
    for tool in ["draft_refund", "submit_refund"] {
        let told = call(&house, None, tool, json!({ "amount": 1 })).await;
        assert!(told.get("error").is_some() || code(&told).is_some(), "{told}");
    }
    assert!(script.heard("tools/call").is_empty());
}
