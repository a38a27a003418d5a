//! A legacy Host before a server of HTTP+SSE (2024-11-05): the same path, the same record.

use crate::calls::POLICY;
use crate::house::{House, SECRET, server, settings};
use crate::questions::until;
use crate::script::Script;
use decision::{Code, Ending, Era, ServerName};
use gateway::settings::{Mode, Reach, ServerSettings};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

const PATH: &str = "/s/script/mcp";

async fn house() -> (House, Script) {
    let script = Script::start(false).await;
    let reach = Reach::Sse { url: script.sse().parse().unwrap() };
    let settings_of = ServerSettings { reach, ..server(&script.url, Mode::Enforce) };
    let servers = BTreeMap::from([(ServerName::new("script").unwrap(), settings_of)]);
    (House::with(settings(servers), POLICY).await, script)
}

/// Waits until the server heard that many messages of a method.
async fn heard(script: &Script, method: &str, times: usize) {
    for _ in 0..500 {
        if script.heard(method).len() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(script.heard(method).len(), times, "`{method}` was not heard");
}

#[tokio::test]
async fn a_call_is_governed_sent_once_with_the_credential_and_answered() {
    let (house, script) = house().await;
    assert_eq!(script.heard("server/discover").len(), 0, "there is no modern era over this");
    let session = house.initialize(PATH).await;
    let params = json!({ "name": "echo", "arguments": { "text": "hello" } });
    let told = house.legacy(PATH, &session, 2, "tools/call", params).await;
    assert_eq!(told.json()["result"]["content"][0]["text"], r#"echo: {"text":"hello"}"#, "{told:?}");
    assert_eq!(told.json()["id"], 2);
    let sent = script.heard("tools/call");
    assert_eq!(sent.len(), 1);
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(sent[0].headers["authorization"], bearer);
    assert!(script.streams().iter().all(|headers| headers["authorization"] == bearer));
    let decision = house.last();
    assert_eq!((decision.ending, decision.dispatched), (Ending::Answered, true));
    // and what the rules refuse does not leave
    let refused =
        house.legacy(PATH, &session, 3, "tools/call", json!({ "name": "hidden", "arguments": {} })).await;
    assert!(refused.json()["error"]["message"].as_str().unwrap().starts_with("Unknown tool"), "{refused:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
    let (asked, decided) = house.counts();
    assert_eq!((asked, decided), (3, 3));
    let eras = house.gate.live().peers.values().map(|peer| peer.eras).collect::<Vec<_>>();
    assert!(eras.iter().all(|eras| eras.speaks(Era::Legacy) && !eras.speaks(Era::Modern)));
}

#[tokio::test]
async fn progress_reaches_the_host_under_its_own_token() {
    let (house, _script) = house().await;
    let session = house.initialize(PATH).await;
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let told = house.legacy(PATH, &session, 4, "tools/call", params).await;
    let progress: Vec<_> =
        told.events.iter().filter(|event| event["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 3, "{told:?}");
    assert!(progress.iter().all(|event| event["params"]["progressToken"] == "mine"));
    assert_eq!(told.json()["result"]["content"][0]["text"], "done");
    assert_eq!(house.last().progress, 3);
}

#[tokio::test]
async fn a_question_reaches_the_host_and_its_answer_the_server() {
    let (house, script) = house().await;
    let session = house.initialize(PATH).await;
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "ask", "arguments": {} } });
    let stream = house.get(PATH, &session).await;
    let answer = house.open_post(PATH, &session, call.to_string());
    // the one stream does not say which call a question belongs to: it comes on the session's own
    let host = async {
        let mut stream = stream;
        let question = until(&mut stream, |message| message["method"] == "elicitation/create").await;
        assert_ne!(question["id"], "q-1");
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": {} } });
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
        assert_eq!(house.post(PATH, &headers, answer.to_string()).await.status, 202);
    };
    let (body, ()) = tokio::join!(answer, host);
    let body = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("accept"), "{body:?}");
    assert!(script.everything().iter().any(|heard| heard.json()["id"] == "q-1"));
    let (asked, decided) = house.counts();
    assert_eq!((asked, decided), (5, 5), "handshake, stream, call, question, answer");
}

#[tokio::test]
async fn a_call_that_its_host_gives_up_is_cancelled_at_the_server() {
    let (house, script) = house().await;
    let session = house.initialize(PATH).await;
    let call = house.legacy(PATH, &session, 6, "tools/call", json!({ "name": "hang", "arguments": {} }));
    let give_up = async {
        heard(&script, "tools/call", 1).await;
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 6 } });
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
        assert_eq!(house.post(PATH, &headers, cancel.to_string()).await.status, 202);
    };
    let (told, ()) = tokio::join!(call, give_up);
    assert_eq!(told.status, 202, "{told:?}");
    heard(&script, "notifications/cancelled", 1).await;
    let (call, cancelled) = (&script.heard("tools/call")[0], &script.heard("notifications/cancelled")[0]);
    assert_eq!(cancelled.json()["params"]["requestId"], call.json()["id"]);
    let decided = house.entries().into_iter().any(|entry| {
        matches!(entry, decision::Entry::Decision(decision) if decision.ending == Ending::Cancelled && decision.dispatched)
    });
    assert!(decided);
}

#[tokio::test]
async fn a_lost_stream_loses_its_calls_and_the_next_call_opens_another() {
    let (house, script) = house().await;
    let session = house.initialize(PATH).await;
    let call = house.legacy(PATH, &session, 7, "tools/call", json!({ "name": "hang", "arguments": {} }));
    let cut = async {
        heard(&script, "tools/call", 1).await;
        script.cut_streams();
    };
    let (told, ()) = tokio::join!(call, cut);
    assert_eq!(told.json()["result"]["isError"], true, "{told:?}");
    assert_eq!(house.last().ending, Ending::Failed { code: Code::UpstreamLost });
    let streams = script.streams().len();
    let again =
        house.legacy(PATH, &session, 8, "tools/call", json!({ "name": "echo", "arguments": {} })).await;
    assert_eq!(again.json()["result"]["content"][0]["text"], "echo: {}", "{again:?}");
    assert_eq!(script.streams().len(), streams + 1);
    let calls: Vec<_> =
        script.heard("tools/call").iter().map(|heard| heard.json()["params"]["name"].clone()).collect();
    assert_eq!(calls, ["hang", "echo"], "the lost one is not sent again");
}

#[tokio::test]
async fn a_modern_host_reaches_it_across_the_eras() {
    let (house, script) = house().await;
    let params = json!({ "name": "echo", "arguments": { "text": "hello" } });
    let told = house.modern(PATH, "tools/call", params).await.json();
    assert_eq!(told["result"]["content"][0]["text"], r#"echo: {"text":"hello"}"#, "{told}");
    assert_eq!(told["result"]["resultType"], "complete");
    let asked = house.modern(PATH, "tools/call", json!({ "name": "ask", "arguments": {} })).await.json();
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let state = &asked["result"]["requestState"];
    let (name, _) = asked["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    let params = json!({ "name": "ask", "arguments": {}, "requestState": state,
        "inputResponses": { name: { "action": "accept", "content": {} } } });
    let told = house.modern(PATH, "tools/call", params).await.json();
    assert!(told["result"]["content"][0]["text"].to_string().contains("accept"), "{told}");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
    assert_eq!(script.heard("server/discover").len(), 0);
}
