//! Exactly one intent and one decision per request, whatever happens to it.

use crate::calls::{POLICY, legacy_house, modern_house};
use crate::crossing::{eventually, is_cancelled};
use crate::house::{House, Told, server, settings};
use crate::script::Script;
use decision::{Code, Ending, Entry, ServerName};
use gateway::settings::Mode;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// What no peer should send, and the code it is refused with.
fn malformed() -> Vec<(Vec<u8>, Code)> {
    let nested = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    vec![
        (b"{".to_vec(), Code::JsonMalformed),
        (b"\xff\xfe".to_vec(), Code::JsonMalformed),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#.to_vec(),
            Code::JsonDuplicateKey,
        ),
        (
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{nested}}}}}"#).into_bytes(),
            Code::JsonTooDeep,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\ud800"}}"#.to_vec(),
            Code::JsonLoneSurrogate,
        ),
        (b"[]".to_vec(), Code::BatchInvalid),
        (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.to_vec(), Code::EnvelopeInvalid),
        (br#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#.to_vec(), Code::MethodUnsupported),
        (br#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#.to_vec(), Code::MethodUnsupported),
        (br#"{"jsonrpc":"2.0","method":"tools/call"}"#.to_vec(), Code::EnvelopeInvalid),
        (br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_vec(), Code::SessionRequired),
    ]
}

#[tokio::test]
async fn a_malformed_message_has_its_own_code_and_one_record() {
    let (house, script) = modern_house().await;
    let cases = malformed();
    let count = cases.len();
    for (body, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let told = house.post("/mcp", &[], body).await;
        assert_eq!(told.json()["error"]["data"]["code"], code.as_str(), "{shown}: {told:?}");
        assert_eq!(house.last().ending, Ending::Refused { code }, "{shown}");
    }
    assert_eq!(house.counts(), (count, count));
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_modern_message_whose_headers_lie_is_refused() {
    let (house, _script) = modern_house().await;
    let params = json!({ "name": "script__echo", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let version = ("mcp-protocol-version", "2026-07-28");
    for headers in [
        vec![version, ("mcp-method", "tools/call")],
        vec![version, ("mcp-name", "script__echo")],
        vec![version, ("mcp-method", "tools/list"), ("mcp-name", "script__echo")],
        vec![version, ("mcp-method", "tools/call"), ("mcp-name", "script__refund")],
        vec![("mcp-method", "tools/call"), ("mcp-name", "script__echo")],
    ] {
        let told = house.post("/mcp", &headers, body.clone()).await;
        assert_eq!((told.status, told.json()["error"]["code"].as_i64()), (400, Some(-32020)), "{headers:?}");
        assert_eq!(house.last().ending, Ending::Refused { code: Code::HeaderMismatch });
    }
}

#[tokio::test]
async fn under_load_errors_and_disconnects_every_request_has_one_intent_and_one_decision() {
    let (house, script) = legacy_house().await;
    let house = Arc::new(house);
    let session = house.initialize("/s/script/mcp").await;
    let mut tasks = Vec::new();
    let mut expected = 1;
    for n in 0..200_u64 {
        expected += 1;
        let (house, script, session) = (Arc::clone(&house), script.clone(), session.clone());
        tasks.push(tokio::spawn(async move {
            let call = |name: &str| {
                json!({ "jsonrpc": "2.0", "id": n + 100, "method": "tools/call",
                    "params": { "name": name, "arguments": {} } })
                .to_string()
            };
            let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
            match n % 5 {
                0 => drop(house.post("/s/script/mcp", &headers, call("echo")).await),
                1 => drop(house.post("/s/script/mcp", &headers, call("hidden")).await),
                2 => drop(house.post("/s/script/mcp", &headers, "{").await),
                3 => drop(house.post("/s/script/mcp", &[("authorization", "Bearer x")], call("echo")).await),
                _ => hang_up(&house, &script, &session, n).await,
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // of those with a bad token more came than are recorded one by one
    gateway::tell_strangers(&house.gate).await.unwrap();
    let counted = |entry: &Entry| match entry {
        Entry::Event(event) => event.detail.get("refused").and_then(|refused| refused.parse::<usize>().ok()),
        Entry::Intent(_) | Entry::Decision(_) => None,
    };
    let counted: usize = house.entries().iter().filter_map(counted).sum();
    assert!((15..=20).contains(&counted), "{counted} of 40");
    expected -= counted;
    // those who hung up are still being recorded
    for _ in 0..600 {
        if house.counts() == (expected, expected) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.counts(), (expected, expected));
}

/// Sends a whole request, and is gone once its call has left for the server.
async fn hang_up(house: &House, script: &Script, session: &str, n: u64) {
    let text = format!("gone-{n}");
    let params = json!({ "name": "echo", "arguments": { "text": text } });
    let body =
        json!({ "jsonrpc": "2.0", "id": n + 100, "method": "tools/call", "params": params }).to_string();
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "POST /s/script/mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nmcp-session-id: {session}\r\n\
         mcp-protocol-version: 2025-11-25\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        house.address,
        house.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let left = || {
        script.heard("tools/call").iter().any(|heard| String::from_utf8_lossy(&heard.body).contains(&text))
    };
    while !left() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A legacy session with a call that hangs at the server and that its Host has just cancelled.
async fn cancelled(house: &Arc<House>, script: &Script) -> (String, tokio::task::JoinHandle<Told>) {
    let session = house.initialize("/s/script/mcp").await;
    let (other, id) = (Arc::clone(house), session.clone());
    let call = tokio::spawn(async move {
        other.legacy("/s/script/mcp", &id, 77, "tools/call", json!({ "name": "hang", "arguments": {} })).await
    });
    eventually("the call left", || !script.heard("tools/call").is_empty()).await;
    let note =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 77 } });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(house.post("/s/script/mcp", &headers, note.to_string()).await.status, 202);
    (session, call)
}

#[tokio::test]
async fn a_cancelled_call_is_recorded_as_cancelled_and_the_server_is_told() {
    let (house, script) = legacy_house().await;
    let house = Arc::new(house);
    let (_session, call) = cancelled(&house, &script).await;
    tokio::time::timeout(Duration::from_secs(3), call).await.unwrap().unwrap();
    assert!(is_cancelled(&house));
    let told = script.heard("notifications/cancelled");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].json()["params"]["requestId"], script.heard("tools/call")[0].json()["id"]);
}

/// Clients leave like this, and some break on an answer that comes while they do.
#[tokio::test]
async fn a_cancelled_call_whose_session_ends_is_no_outage_and_is_not_answered() {
    let (house, script) = legacy_house().await;
    let house = Arc::new(house);
    let (session, call) = cancelled(&house, &script).await;
    eventually("the server was told", || !script.heard("notifications/cancelled").is_empty()).await;
    house.end_session("/s/script/mcp", &session).await;
    let told = tokio::time::timeout(Duration::from_secs(3), call).await.unwrap().unwrap();
    assert_eq!((told.status, told.body.is_empty()), (202, true), "{told:?}");
    assert!(is_cancelled(&house), "{:?}", house.entries());
}

#[tokio::test]
async fn another_principals_session_is_not_found() {
    let (house, _script) = legacy_house().await;
    let session = house.initialize("/mcp").await;
    let scope = store::Scope::default();
    let name = decision::AgentName::new("thief").unwrap();
    let agent = store::NewAgent {
        name: name.clone(),
        kind: store::AgentKind::Agent,
        groups: std::collections::BTreeSet::new(),
        user: None,
    };
    house.store.add_agent(&scope, &agent, "ops").await.unwrap();
    let token = identity::ApiToken::generate(&crate::house::Dice);
    let expires_at = decision::Timestamp(u64::MAX / 2);
    let hash = store::TokenHash(*token.hash().as_bytes());
    house.store.add_token(&scope, &store::NewToken { agent: name, hash, expires_at }, "ops").await.unwrap();
    let bearer = format!("Bearer {}", token.reveal());
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session.as_str())];
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    assert_eq!(house.post("/mcp", &headers, body).await.status, 404);
    assert_eq!(house.last().ending, Ending::Refused { code: Code::SessionUnknown });
}

#[tokio::test]
async fn while_the_ledger_cannot_write_nothing_leaves_and_nothing_is_answered() {
    use store::ledger::Fault;
    let (house, script) = modern_house().await;
    let call = || house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {} }));
    assert_eq!(call().await.status, 200);
    let before = house.counts();
    // the intent finds the disk full; the refusal's own record comes before the ledger dares again
    house.faults.push(Fault::NoSpace);
    let told = call().await;
    assert_eq!(told.status, 503, "{told:?}");
    assert_eq!(told.json()["error"]["data"]["code"], "ledger-unavailable");
    assert_eq!(script.heard("tools/call").len(), 1, "only the call that was recorded left");
    // the disk has room again: what comes now is recorded, and nothing was left open
    let mut again = call().await;
    for _ in 0..40 {
        if again.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        again = call().await;
    }
    assert_eq!(again.status, 200, "{again:?}");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
    assert!(asked > before.0);
}

/// A house with a call that its server has, and leaves unanswered.
async fn under_way() -> (Arc<House>, Script, tokio::task::JoinHandle<Told>) {
    let (house, script) = legacy_house().await;
    let house = Arc::new(house);
    let session = house.initialize("/s/script/mcp").await;
    let (other, id) = (Arc::clone(&house), session.clone());
    let params = json!({ "name": "hang", "arguments": {} });
    let call = tokio::spawn(async move { other.legacy("/s/script/mcp", &id, 5, "tools/call", params).await });
    while script.heard("tools/call").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (house, script, call)
}

#[tokio::test]
async fn an_answer_whose_decision_cannot_be_recorded_is_not_given() {
    use store::ledger::Fault;
    let (house, _script, call) = under_way().await;
    // the call is under way; by the time it is given up, the disk is full
    for _ in 0..8 {
        house.faults.push(Fault::NoSpace);
    }
    let told = tokio::time::timeout(Duration::from_secs(20), call).await.unwrap().unwrap();
    let told = told.json();
    // not that nothing happened: it was sent, and whoever believes that would make it again
    assert!(told.to_string().contains("outcome-unrecorded"), "{told}");
}

#[tokio::test]
async fn while_the_store_cannot_be_asked_nobody_is_let_in_and_the_gateway_stays_responsive() {
    let (house, script) = modern_house().await;
    let call = || house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {} }));
    assert_eq!(call().await.status, 200);
    house.store.close().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let told = tokio::time::timeout(Duration::from_secs(10), call()).await.unwrap();
    assert_eq!(told.json()["result"]["_meta"]["callgate/refusal"]["code"], "stage-failed", "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 1, "a token that was known before is not let in on memory");
    // and once the look at the database has found it
    house.store.is_well().await.unwrap_err();
    let told = call().await;
    assert_eq!((told.status, &told.json()["error"]["data"]["code"]), (503, &json!("database-unavailable")));
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
}

#[tokio::test]
async fn a_decision_that_could_not_be_recorded_is_as_soon_as_the_ledger_can() {
    use store::ledger::Fault;
    let (house, _script, mut call) = under_way().await;
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided + 1);
    // full until the call is over: other things are recorded meanwhile
    let told = loop {
        tokio::select! {
            told = &mut call => break told.unwrap().json(),
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if house.faults.waiting() == 0 {
                    house.faults.push(Fault::NoSpace);
                }
            }
        }
    };
    assert!(told.to_string().contains("outcome-unrecorded"), "{told}");
    eventually("it is recorded", || house.counts() == (asked, asked)).await;
    let decision = house.last();
    assert!(decision.dispatched && matches!(decision.ending, Ending::Failed { .. }), "{decision:?}");
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_is_recorded_without_it() {
    use decision::Slot;
    let script = Script::start(true).await;
    let script_server = (ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce));
    let mut settings = settings([script_server].into());
    (settings.limits.message_bytes_max, settings.limits.result_bytes_max) = (16 << 20, 16 << 20);
    let house = House::with(settings, POLICY).await;
    let call = |name: &str, arguments: serde_json::Value| {
        house.modern("/mcp", "tools/call", json!({ "name": name, "arguments": arguments }))
    };
    let told = call("script__vast", json!({})).await;
    assert_eq!((told.status, told.json()["result"]["isError"].clone()), (200, json!(null)));
    let last = house.last();
    let basis: Vec<&String> = last.evidence.iter().flat_map(|one| &one.basis).collect();
    assert!(
        last.ending == Ending::Answered && basis.iter().any(|one| one.starts_with("not kept: result, 94")),
        "{basis:?}"
    );
    let index = house.gate.ledger().size() - 1;
    assert!(matches!(
        house.gate.ledger().disclosure(index, Slot::Result),
        Ok(store::ledger::Disclosed::Absent)
    ));
    let told = call("script__echo", json!({ "text": "x".repeat(9 << 20) })).await;
    let code = told.json()["result"]["_meta"]["callgate/refusal"]["code"].clone();
    assert_eq!(code, "upstream-nonsense", "it was sent, and the script takes no such body: {told:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
}

#[tokio::test]
async fn however_many_rules_are_why_a_call_is_recorded_and_answered() {
    let script = Script::start(true).await;
    let rules: String = (0..900)
        .map(|n| format!("@id(\"a-rule-with-a-rather-long-name-{n:04}\") @because(\"many\")\npermit (principal, action, resource);\n"))
        .collect();
    let house = House::open(&[("script", script.url.clone())], &rules).await;
    let told = house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {} })).await;
    assert_eq!((told.status, told.json()["result"]["isError"].clone()), (200, json!(null)), "{told:?}");
    let last = house.last();
    let bytes = decision::json::to_vec(&last).unwrap().len();
    assert!(bytes < 6_000, "{bytes} bytes");
    let rules = last.evidence.iter().find(|one| one.basis.len() > 9).unwrap();
    assert!(rules.basis.last().unwrap().starts_with("and 8"), "{rules:?}");
}

#[tokio::test]
async fn while_the_databases_file_is_another_one_nothing_leaves() {
    let (house, script) = modern_house().await;
    let call = || house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {} }));
    assert_eq!(call().await.status, 200);
    let path = std::path::PathBuf::from(house.database.strip_prefix("sqlite:").unwrap());
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::copy(&aside, &path).unwrap();
    let told = call().await;
    assert_eq!(told.status, 503, "{told:?}");
    assert_eq!(told.json()["error"]["data"]["code"], "database-replaced");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::DatabaseReplaced });
    assert_eq!(script.heard("tools/call").len(), 1);
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(call().await.status, 200, "it is back");
    for beside in ["-wal", "-shm"] {
        let of = path.with_file_name(format!("{}{beside}", path.file_name().unwrap().display()));
        std::fs::rename(&of, &aside).unwrap();
        assert_eq!(call().await.json()["error"]["data"]["code"], "database-replaced", "{beside}");
        std::fs::rename(&aside, &of).unwrap();
        assert_eq!(call().await.status, 200, "{beside} is back");
    }
    assert_eq!(script.heard("tools/call").len(), 4);
}
