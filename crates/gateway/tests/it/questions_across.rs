//! Questions of servers to Hosts of the other era.

use crate::calls::{legacy_house, modern_house};
use crate::crossing::eventually;
use crate::house::{House, Told, server, settings};
use crate::questions::until;
use crate::script::Script;
use decision::{Code, Decision, Direction, Ending, Entry, EventName, Intent, ServerName};
use gateway::settings::Mode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const AT: &str = "/s/script/mcp";
const ONLY_TOOLS: &str =
    r#"@id("tools") permit (principal == Agent::"bot", action == Action::"script__ask", resource);"#;

fn ask() -> Value {
    json!({ "name": "ask", "arguments": {} })
}
fn accepted() -> Value {
    json!({ "action": "accept", "content": { "n": 1 } })
}

/// What was asked, in order, with how it ended; errands aside.
fn legs(house: &House) -> Vec<(Intent, Decision)> {
    let entries = house.entries();
    let decided = |intent: &Intent| {
        entries.iter().find_map(|entry| match entry {
            Entry::Decision(decision) if decision.call == intent.call => Some((**decision).clone()),
            Entry::Decision(_) | Entry::Intent(_) | Entry::Event(_) => None,
        })
    };
    let intents = entries.iter().filter_map(|entry| match entry {
        Entry::Intent(intent) if !intent.errand => Some((**intent).clone()),
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    intents.filter_map(|intent| decided(&intent).map(|decision| (intent, decision))).collect()
}

fn calls(house: &House) -> Vec<(Intent, Decision)> {
    let mut legs = legs(house);
    legs.retain(|(intent, _)| intent.method.as_deref() == Some("tools/call"));
    legs
}

#[tokio::test]
async fn a_modern_servers_question_becomes_a_request_to_the_legacy_host_and_each_leg_is_recorded() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": ask() });
    let mut body = house.open_post(AT, &session, call.to_string()).await;
    let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
    assert_eq!(question["params"]["message"], "sure?");
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": accepted() });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(house.post(AT, &headers, answer.to_string()).await.status, 202);
    let result = until(&mut body, |message| message["id"] == 9).await;
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("accept"), "{result}");
    assert!(result["result"].get("resultType").is_none());
    let sent = script.heard("tools/call");
    let (one, two) = (sent[0].json(), sent[1].json());
    assert_eq!(sent.len(), 2);
    assert_ne!(one["id"], two["id"], "a new id");
    assert_eq!(two["params"]["requestState"], "st-1");
    assert_eq!(two["params"]["inputResponses"], json!({ "q": accepted() }));
    let declared = &one["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*declared, json!({ "elicitation": {}, "sampling": {}, "roots": {} }));
    let calls = calls(&house);
    assert_eq!(calls.iter().map(|(intent, _)| intent.leg).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(calls[0].0.deed, calls[1].0.deed);
    assert!(calls.iter().all(|(_, decision)| decision.ending == Ending::Answered));
    let asked = legs(&house).into_iter().find(|(intent, _)| intent.direction == Direction::ToHost).unwrap();
    assert_eq!(asked.0.method.as_deref(), Some("elicitation/create"));
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
}

#[tokio::test]
async fn a_legacy_host_that_cannot_be_asked_is_not_and_the_model_reads_why() {
    let (house, script) = modern_house().await;
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "roots": {} },
        "clientInfo": { "name": "mute", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let begun = house.post(AT, &[], body.to_string()).await;
    let session = begun.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let told = house.legacy(AT, &session, 3, "tools/call", ask()).await;
    assert_eq!(told.json()["result"]["isError"], true, "{told:?}");
    assert_eq!(house.last().ending, Ending::Failed { code: Code::HostIncapable });
    assert_eq!(script.heard("tools/call").len(), 1);
    let sent = script.heard("tools/call")[0].json();
    let declared = &sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*declared, json!({ "roots": {} }));
}

#[tokio::test]
async fn a_question_that_no_rule_permits_is_never_shown_and_ends_the_call_across() {
    let script = Script::start(true).await;
    let house = House::open(&[("script", script.url.clone())], ONLY_TOOLS).await;
    let session = house.initialize(AT).await;
    let told = house.legacy(AT, &session, 3, "tools/call", ask()).await;
    assert!(told.events.iter().all(|event| event["method"] != "elicitation/create"), "{told:?}");
    assert_eq!(told.json()["result"]["isError"], true, "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 1, "it is not sent again without an answer");
    let calls = calls(&house);
    assert_eq!(calls[1].1.ending, Ending::Refused { code: Code::HostUnreachable });
    assert_eq!(calls[0].0.deed, calls[1].0.deed);

    let script = Script::start(false).await;
    let house = House::open(&[("script", script.url.clone())], ONLY_TOOLS).await;
    let told = house.modern(AT, "tools/call", ask()).await.json();
    assert!(told.to_string().contains("isError") && !told.to_string().contains("sure?"), "{told}");
    eventually("the server was told", || script.heard("notifications/cancelled").len() == 1).await;
}

#[tokio::test]
async fn a_modern_server_that_goes_on_and_on_is_stopped() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let told = house.legacy(AT, &session, 3, "tools/call", json!({ "name": "again", "arguments": {} })).await;
    assert_eq!(told.json()["result"]["isError"], true, "{told:?}");
    assert_eq!(house.last().ending, Ending::Failed { code: Code::UpstreamNonsense });
    assert_eq!(script.heard("tools/call").len(), 11, "the call, and ten rounds");
}

#[tokio::test]
async fn a_legacy_servers_question_parks_the_call_until_the_modern_client_comes_with_the_answer() {
    let (house, script) = legacy_house().await;
    let first = house.modern(AT, "tools/call", ask()).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    let (key, question) = first["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "sure?");
    // without the answer it is asked again
    let mut params = ask();
    params["requestState"] = first["result"]["requestState"].clone();
    let second = house.modern(AT, "tools/call", params.clone()).await.json();
    assert_eq!(second["result"]["inputRequests"], first["result"]["inputRequests"]);
    params["requestState"] = second["result"]["requestState"].clone();
    params["inputResponses"] = json!({ key: accepted(), "other": {} });
    let third = house.modern(AT, "tools/call", params.clone()).await.json();
    assert_eq!(third["result"]["resultType"], "complete", "{third}");
    assert!(third["result"]["content"][0]["text"].as_str().unwrap().contains("accept"), "{third}");
    assert_eq!(script.heard("tools/call").len(), 1, "it was sent once");
    let answered = script.everything().iter().any(|heard| heard.json()["id"] == "q-1");
    assert!(answered, "the server got the answer under its own id");
    let calls = calls(&house);
    assert_eq!(calls.iter().map(|(intent, _)| intent.leg).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(calls.iter().all(|(intent, _)| intent.deed == calls[0].0.deed));
    // a handle is for one use
    let told = house.modern(AT, "tools/call", params).await.json();
    assert_eq!(told["error"]["code"], -32602, "{told}");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::StateUnknown });
}

#[tokio::test]
async fn a_parked_call_is_found_by_the_same_call_of_the_same_principal_only() {
    let script = Script::start(false).await;
    let policy = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    let first = house.modern(AT, "tools/call", ask()).await.json();
    let state = first["result"]["requestState"].as_str().unwrap().to_owned();
    let with = |name: &str, state: &str| json!({ "name": name, "arguments": {}, "requestState": state, "inputResponses": { "q1": accepted() } });
    let other = format!("Bearer {}", house.agent_of("other", "ann").await);
    let mut last = state.clone().into_bytes();
    last[5] = if last[5] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(last).unwrap();
    let unknown = |told: Told| {
        assert_eq!(told.json()["error"]["code"], -32602, "{told:?}");
        assert_eq!(house.last().ending, Ending::Refused { code: Code::StateUnknown });
    };
    unknown(house.modern_as(&other, AT, "tools/call", with("ask", &state)).await);
    unknown(house.modern(AT, "tools/call", with("echo", &state)).await);
    unknown(house.modern(AT, "tools/call", with("ask", &tampered)).await);
    unknown(house.modern(AT, "tools/call", with("ask", "")).await);
    let told = house.modern(AT, "tools/call", with("ask", &state)).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "and its own is still there: {told}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_parked_call_that_nobody_comes_back_for_is_cancelled_and_recorded() {
    let script = Script::start(false).await;
    let name = ServerName::new("script").unwrap();
    let mut settings = settings(BTreeMap::from([(name, server(&script.url, Mode::Enforce))]));
    settings.limits.question_timeout = Duration::from_millis(300);
    let house = House::with(settings, crate::calls::POLICY).await;
    let first = house.modern(AT, "tools/call", ask()).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    eventually("the server was told", || script.heard("notifications/cancelled").len() == 1).await;
    let mut params = ask();
    params["requestState"] = first["result"]["requestState"].clone();
    params["inputResponses"] = json!({ "q1": accepted() });
    let told = house.modern(AT, "tools/call", params).await.json();
    assert_eq!(told["error"]["code"], -32602, "{told}");
    let first = calls(&house)[0].0.call;
    eventually("recorded", || {
        house.entries().iter().any(|entry| match entry {
            Entry::Event(event) => event.event == EventName::CallFailed && event.call == Some(first),
            Entry::Intent(_) | Entry::Decision(_) => false,
        })
    })
    .await;
}

#[tokio::test]
async fn one_principal_can_park_only_so_many_calls() {
    let (house, script) = legacy_house().await;
    for _ in 0..16 {
        let told = house.modern(AT, "tools/call", ask()).await.json();
        assert_eq!(told["result"]["resultType"], "input_required", "{told}");
    }
    house.modern(AT, "tools/call", ask()).await;
    assert_eq!(house.last().ending, Ending::Failed { code: Code::Overloaded });
    eventually("the server was told", || script.heard("notifications/cancelled").len() == 1).await;
}

#[tokio::test]
async fn a_legacy_server_is_declined_what_its_modern_client_did_not_declare() {
    let (house, script) = legacy_house().await;
    let mut params = ask();
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "sampling": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": params }).to_string();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "ask")];
    let told = house.post(AT, &headers, body).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("-32601"), "{told}");
    let told = script.heard("initialize");
    assert!(told.iter().any(|heard| heard.json()["params"]["capabilities"] == json!({ "sampling": {} })));
}

#[tokio::test]
async fn an_address_that_a_legacy_server_wants_visited_is_a_question_to_a_modern_client_that_can_visit() {
    let script = Script::start(false).await;
    let policy = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    let call = |can: Value| json!({ "name": "visit", "arguments": {}, "_meta": { "io.modelcontextprotocol/clientCapabilities": can } });
    let url = json!({ "elicitation": { "url": {} } });
    let first = house.modern(AT, "tools/call", call(url.clone())).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    let (key, question) = first["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(
        question["params"],
        json!({ "mode": "url", "message": "pay", "url": "https://pay.example/1" })
    );
    assert!(first["result"].get("requestState").is_none(), "the call is over at its server");
    let mut again = call(url);
    again["inputResponses"] = json!({ key: { "action": "accept" } });
    let second = house.modern(AT, "tools/call", again).await.json();
    assert_eq!(second["result"]["resultType"], "complete", "{second}");
    assert!(script.heard("tools/call")[1].json()["params"].get("inputResponses").is_none());
    let calls = calls(&house);
    assert_eq!(calls.iter().map(|(intent, _)| intent.leg).collect::<Vec<_>>(), [0, 1], "legs of one deed");
    assert_eq!(calls[0].0.deed, calls[1].0.deed);
}

#[tokio::test]
async fn a_modern_client_that_cannot_visit_an_address_hears_of_a_failure() {
    let (house, _script) = legacy_house().await;
    let told = house.modern(AT, "tools/call", json!({ "name": "visit", "arguments": {} })).await.json();
    assert_eq!(told["error"]["code"], -32603, "{told}");
}
