//! A server's question to the Host is a call in the other direction.

use crate::calls::{legacy_house, modern_house};
use crate::house::{House, Told, events};
use crate::script::Script;
use decision::{Code, Direction, Ending, Entry};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::Duration;

/// Reads the stream until a message satisfies `wanted`.
pub(crate) async fn until(body: &mut hyper::body::Incoming, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut text = Vec::new();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        let frame = frame.unwrap().unwrap().unwrap();
        text.extend_from_slice(frame.data_ref().map(|data| data.as_ref()).unwrap_or_default());
        if let Some(found) = events(&text).into_iter().find(&wanted) {
            return found;
        }
    }
}

#[tokio::test]
async fn a_legacy_question_reaches_the_host_and_its_answer_the_server_each_recorded() {
    let (house, script) = legacy_house().await;
    let session = house.initialize("/s/script/mcp").await;
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "ask", "arguments": {} } });
    let mut body = house.open_post("/s/script/mcp", &session, call.to_string()).await;
    let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
    assert_ne!(question["id"], "q-1", "the host sees the gateway's own id");
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": {} } });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(house.post("/s/script/mcp", &headers, answer.to_string()).await.status, 202);
    let result = until(&mut body, |message| message["id"] == 9).await;
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("accept"), "{result}");
    let asked = house.entries().into_iter().any(|entry| match entry {
        Entry::Intent(intent) => {
            intent.direction == Direction::ToHost && intent.method.as_deref() == Some("elicitation/create")
        }
        Entry::Decision(_) | Entry::Event(_) => false,
    });
    assert!(asked, "the question has an intent of its own");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
    let heard = script.everything();
    assert!(
        heard.iter().any(|heard| heard.json()["id"] == "q-1"),
        "the server got the answer under its own id"
    );
}

#[tokio::test]
async fn a_question_no_rule_permits_is_answered_for_the_host_and_never_shown_to_it() {
    let script = Script::start(false).await;
    let policy =
        r#"@id("tools") permit (principal == Agent::"bot", action == Action::"script__ask", resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    let session = house.initialize("/s/script/mcp").await;
    let told = house
        .legacy("/s/script/mcp", &session, 3, "tools/call", json!({ "name": "ask", "arguments": {} }))
        .await;
    assert!(told.events.iter().all(|event| event["method"] != "elicitation/create"), "{told:?}");
    let text = told.json()["result"]["content"][0]["text"].to_string();
    assert!(text.contains("code"), "the server was told no: {text}");
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_refused() {
    let (house, _script) = legacy_house().await;
    let session = house.initialize("/mcp").await;
    let answer = json!({ "jsonrpc": "2.0", "id": 4711, "result": {} });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let told = house.post("/mcp", &headers, answer.to_string()).await;
    assert_eq!(told.status, 400);
    assert_eq!(told.json()["error"]["data"]["code"], "answer-unexpected");
}

#[tokio::test]
async fn the_rounds_of_a_modern_question_are_legs_of_one_deed() {
    let (house, _script) = modern_house().await;
    let first =
        house.modern("/mcp", "tools/call", json!({ "name": "script__ask", "arguments": {} })).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    let one = house.last();
    let params = json!({ "name": "script__ask", "arguments": {}, "requestState": first["result"]["requestState"],
        "inputResponses": { "q": { "action": "accept", "content": {} } } });
    let second = house.modern("/mcp", "tools/call", params).await.json();
    assert_eq!(second["result"]["resultType"], "complete", "{second}");
    let two = house.last();
    assert_eq!((one.deed, one.leg, two.leg), (two.deed, 0, 1));
    assert_ne!(one.call, two.call);
}

#[tokio::test]
async fn a_servers_state_is_worth_something_to_who_got_it_for_what_it_was_about_and_to_nobody_else() {
    let script = Script::start(true).await;
    let policy = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    let at = "/s/script/mcp";
    let first = house.modern(at, "tools/call", json!({ "name": "ask", "arguments": {} })).await.json();
    let state = first["result"]["requestState"].as_str().unwrap().to_owned();
    assert!(!state.contains("st-1"), "the server's own state stays with us");
    let with = |name: &str, state: &str| {
        json!({ "name": name, "arguments": {}, "requestState": state,
        "inputResponses": { "q": { "action": "accept", "content": {} } } })
    };
    let other = format!("Bearer {}", house.agent_of("other", "ann").await);
    let mut changed = state.clone();
    changed.replace_range(20..21, if changed.as_bytes()[20] == b'A' { "B" } else { "A" });
    let unknown = |told: Told| {
        assert_eq!(told.json()["error"]["code"], -32602, "{told:?}");
        assert_eq!(house.last().ending, Ending::Refused { code: Code::StateUnknown });
    };
    unknown(house.modern_as(&other, at, "tools/call", with("ask", &state)).await);
    unknown(house.modern(at, "tools/call", with("echo", &state)).await);
    unknown(house.modern(at, "tools/call", with("ask", &changed)).await);
    unknown(house.modern(at, "tools/call", with("ask", "st-1")).await);
    unknown(house.modern(at, "tools/call", with("ask", "")).await);
    assert_eq!(script.heard("tools/call").len(), 1, "the server heard of none of them");
    let told = house.modern("/mcp", "tools/call", with("script__ask", &state)).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
    let sent = script.heard("tools/call").pop().unwrap().json();
    assert_eq!(sent["params"]["requestState"], "st-1", "as the server said it");
}

#[tokio::test]
async fn a_place_in_a_list_is_worth_something_to_who_got_it_in_that_list_and_to_nobody_else() {
    let script = Script::start(true).await;
    let tool = |n: usize| json!({ "name": format!("t{n:04}"), "inputSchema": { "type": "object" } });
    script.set_tools((0..1_100).map(tool).collect());
    let policy = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    let list = async |bearer: &str, at: &str, method: &str, cursor: Option<&str>| {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        house.modern_as(bearer, at, method, params).await.json()
    };
    let (own, at) = (format!("Bearer {}", house.token), "/s/script/mcp");
    let first = list(&own, at, "tools/list", None).await;
    let cursor = first["result"]["nextCursor"].as_str().unwrap().to_owned();
    let second = list(&own, at, "tools/list", Some(&cursor)).await;
    let names = |page: &Value| -> Vec<String> {
        let tools = page["result"]["tools"].as_array().unwrap().iter();
        tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let both = [names(&first), names(&second)].concat();
    assert!(both.is_sorted() && both.len() > names(&first).len(), "one after the other, nothing twice");
    let other = format!("Bearer {}", house.agent_of("other", "ann").await);
    for (bearer, at, method, cursor) in [
        (&other, at, "tools/list", cursor.as_str()),
        (&own, "/mcp", "tools/list", &cursor),
        (&own, at, "prompts/list", &cursor),
        (&own, at, "tools/list", "1000"),
        (&own, at, "tools/list", ""),
    ] {
        let told = list(bearer, at, method, Some(cursor)).await;
        assert_eq!(told["error"]["code"], -32602, "{at} {method} {cursor}: {told}");
    }
}
