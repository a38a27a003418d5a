//! Batches of 2025-03-26: every member is a message of its own, with its own record.

use crate::calls::legacy_house;
use crate::house::{House, Told};
use crate::script::Script;
use bytes::Bytes;
use decision::{AgentName, Code, Direction, Ending, Entry, Transport};
use gateway::exchange::Entrance;
use gateway::listen::pipe::{Talk, converse};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

const PATH: &str = "/s/script/mcp";

fn hello(revision: &str) -> Value {
    let params = json!({ "protocolVersion": revision, "capabilities": { "sampling": {} },
        "clientInfo": { "name": "test-host", "version": "1" } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

/// A session of that revision.
async fn session(house: &House, revision: &str) -> String {
    let told = house.post(PATH, &[], hello(revision).to_string()).await;
    assert_eq!(told.json()["result"]["protocolVersion"], revision);
    told.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

async fn say(house: &House, session: &str, batch: impl Into<Bytes>) -> Told {
    house.post(PATH, &[("mcp-session-id", session)], batch).await
}

fn ping(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "ping" })
}
fn call(id: u64, tool: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}
fn notice() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })
}

/// The answers of a batch by id, `null` for one without.
fn answers(array: &Value) -> BTreeMap<String, Value> {
    let all = array.as_array().unwrap();
    let by_id: BTreeMap<_, _> = all.iter().map(|one| (one["id"].to_string(), one.clone())).collect();
    assert_eq!(by_id.len(), all.len(), "one answer to each: {array}");
    by_id
}

/// How the calls ended that were no errands, in the order in which they were closed.
fn endings(house: &House) -> Vec<Ending> {
    let entries = house.entries();
    let asked: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Intent(intent) if !intent.errand => Some(intent.call),
            Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
        })
        .collect();
    let ended = entries.into_iter().filter_map(|entry| match entry {
        Entry::Decision(decision) if asked.contains(&decision.call) => Some(decision.ending),
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    ended.collect()
}

#[tokio::test]
async fn every_member_of_a_batch_is_governed_and_recorded_by_itself() {
    for header in ["", "2025-03-26"] {
        let (house, script) = legacy_house().await;
        let session = session(&house, "2025-03-26").await;
        let batch = json!([
            ping("a"),
            call(2, "echo", json!({ "text": "hi" })),
            notice(),
            call(3, "hidden", json!({})),
            call(4, "refund", json!({ "amount": 500 })),
            call(5, "echo", json!({ "nobody": "asked" })),
            { "jsonrpc": "2.0" },
        ]);
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", header)];
        let told = house.post(PATH, &headers, batch.to_string()).await;
        assert_eq!(told.status, 200, "{told:?}");
        let said = answers(&told.json());
        assert_eq!(said.keys().collect::<Vec<_>>(), ["\"a\"", "2", "3", "4", "5", "null"]);
        assert_eq!(said["2"]["result"]["content"][0]["text"], r#"echo: {"text":"hi"}"#);
        assert!(said["3"]["error"]["message"].as_str().unwrap().starts_with("Unknown tool"));
        assert_eq!(said["4"]["result"]["_meta"]["callgate/refusal"]["code"], "approval-required");
        assert_eq!(said["5"]["result"]["_meta"]["callgate/refusal"]["code"], "arguments-invalid");
        assert_eq!(said["null"]["error"]["data"]["code"], "envelope-invalid");
        assert_eq!(script.heard("tools/call").len(), 1, "what is refused does not leave");
        assert_eq!(house.counts(), (8, 8), "the handshake and seven members");
        let mut refused: Vec<Code> = endings(&house)
            .into_iter()
            .filter_map(|ending| if let Ending::Refused { code } = ending { Some(code) } else { None })
            .collect();
        refused.sort_unstable();
        let mut expected =
            [Code::EnvelopeInvalid, Code::NotPermitted, Code::ApprovalRequired, Code::ArgumentsInvalid];
        expected.sort_unstable();
        assert_eq!(refused, expected);
    }
}

#[tokio::test]
async fn the_answers_of_a_batch_are_together_no_larger_than_one_may_be() {
    let (house, script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    // 80,000 bytes that are 320,000 where they are said again inside a text
    let quotes = json!({ "text": "\"".repeat(80_000) });
    let calls: Vec<_> = (2..8).map(|id| call(id, "echo", quotes.clone())).collect();
    let told = say(&house, &session, json!(calls).to_string()).await;
    assert_eq!(told.status, 200);
    assert!(told.body.len() <= (1 << 20) + 4_096, "{}", told.body.len());
    let said = answers(&told.json());
    assert_eq!(said.len(), 6, "each is told");
    let withheld: Vec<_> = said.values().filter(|one| one.to_string().len() < 2_000).collect();
    assert_eq!(withheld.len(), 3);
    for one in withheld {
        assert_eq!(one["result"]["_meta"]["callgate/refusal"]["code"], "batch-answers-too-large", "{one}");
    }
    let code = Code::BatchAnswersTooLarge;
    let failed = endings(&house).into_iter().filter(|ending| *ending == Ending::Failed { code }).count();
    assert_eq!((failed, script.heard("tools/call").len()), (3, 6), "and recorded as it was told");
    // what the gateway says itself counts as well, and another batch begins anew
    let list = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/list" });
    let few: Vec<_> = (2..5).map(|id| call(id, "echo", quotes.clone())).chain([list]).collect();
    let said = answers(&say(&house, &session, json!(few).to_string()).await.json());
    assert_eq!(said.values().filter(|one| one.to_string().len() > 300_000).count(), 3);
    assert!(said["9"]["result"]["tools"].is_array());
}

#[tokio::test]
async fn a_batch_to_which_nothing_is_answered_gives_202() {
    let (house, _script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    let told = say(&house, &session, json!([notice(), notice(), notice()]).to_string()).await;
    assert_eq!((told.status, told.body.len()), (202, 0));
    assert_eq!(house.counts(), (4, 4));
    // also where one of them is refused
    let odd = json!({ "jsonrpc": "2.0", "method": "notifications/made-up" });
    let told = say(&house, &session, json!([notice(), odd]).to_string()).await;
    assert_eq!((told.status, told.body.len()), (202, 0));
    assert_eq!(house.counts(), (6, 6));
}

#[tokio::test]
async fn other_revisions_have_no_batches_whatever_the_header_leaves_open() {
    let (house, script) = legacy_house().await;
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let session = session(&house, revision).await;
        let batch = json!([call(2, "echo", json!({})), call(3, "echo", json!({}))]).to_string();
        let (before, _) = house.counts();
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", revision)];
        let told = house.post(PATH, &headers, batch.clone()).await;
        assert_eq!(
            (told.status, told.json()["error"]["data"]["code"].as_str()),
            (400, Some("batch-unsupported"))
        );
        assert_eq!(house.counts().0, before + 1, "nothing was taken apart");
        for header in ["", "2025-03-26"] {
            let (before, _) = house.counts();
            let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", header)];
            let told = house.post(PATH, &headers, batch.clone()).await;
            assert_eq!(told.status, 400, "{told:?}");
            let said = answers(&told.json());
            assert!(said.values().all(|one| {
                one["error"]["data"]["code"] == "batch-unsupported"
                    || one["result"]["_meta"]["callgate/refusal"]["code"] == "batch-unsupported"
            }));
            assert_eq!(house.counts(), (before + 2, before + 2));
        }
    }
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "ping")];
    let told = house.post(PATH, &headers, json!([ping(1)]).to_string()).await;
    assert_eq!(told.json()["error"]["data"]["code"], "batch-unsupported");
    assert_eq!(script.heard("tools/call").len(), 0);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole_with_one_record() {
    let (house, script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    let many = |count: u64| Value::from((0..count).map(|id| call(id, "echo", json!({}))).collect::<Vec<_>>());
    let echo = call(2, "echo", json!({}));
    for (batch, code) in [
        ("[]".to_owned(), "batch-invalid"),
        (json!([echo, [ping(3)]]).to_string(), "batch-invalid"),
        (json!([echo, hello("2025-03-26")]).to_string(), "batch-invalid"),
        (json!([echo, call(2, "echo", json!({}))]).to_string(), "batch-invalid"),
        (many(65).to_string(), "batch-too-large"),
        (many(10_000).to_string(), "batch-too-large"),
        (format!("[{echo}"), "json-malformed"),
        (format!("[{echo}] []"), "json-malformed"),
        (format!(r#"[{echo},{{"jsonrpc":"2.0","id":3,"method":"ping","id":4}}]"#), "json-duplicate-key"),
        ("[".repeat(100_000), "json-too-deep"),
    ] {
        let before = house.counts().0;
        let told = say(&house, &session, batch.clone()).await;
        assert_eq!(told.json()["error"]["data"]["code"], code, "{batch:.80}");
        assert_eq!(told.status, 400);
        assert_eq!(house.counts(), (before + 1, before + 1));
    }
    assert_eq!(script.heard("tools/call").len(), 0, "a batch with something wrong in it is not begun");
    let told = say(&house, &session, many(64).to_string()).await;
    assert_eq!(answers(&told.json()).len(), 64);
    assert_eq!(script.heard("tools/call").len(), 64);
}

#[tokio::test]
async fn a_batch_of_nobody_or_of_no_session_is_turned_away_like_a_message() {
    let (house, _script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    let batch = json!([ping(1), notice()]).to_string();
    let headers = [("mcp-session-id", session.as_str()), ("authorization", "Bearer made-up")];
    let told = house.post(PATH, &headers, batch.clone()).await;
    assert_eq!(told.status, 401);
    assert!(told.headers.contains_key("www-authenticate"));
    let told = say(&house, "s_somebody_elses", batch.clone()).await;
    assert_eq!(told.status, 404, "{told:?}");
    let told = house.post(PATH, &[], batch).await;
    assert_eq!(told.status, 400);
    assert_eq!(house.counts(), (7, 7));
}

#[tokio::test]
async fn what_members_say_meanwhile_comes_before_the_one_array_of_answers() {
    let (house, _script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    let mut slow = call(2, "progress", json!({}));
    slow["params"]["_meta"] = json!({ "progressToken": "mine" });
    let told = say(&house, &session, json!([slow, ping(3)]).to_string()).await;
    let progress = told.events.iter().filter(|event| event["method"] == "notifications/progress");
    assert_eq!(progress.count(), 3, "{told:?}");
    assert_eq!(answers(told.events.last().unwrap()).keys().collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test]
async fn answers_and_cancellations_of_a_host_may_come_in_batches() {
    let (house, script) = legacy_house().await;
    let session = session(&house, "2025-03-26").await;
    // 2025-03-26 has no elicitation yet
    script.set_question("sampling/createMessage");
    let first =
        say(&house, &session, json!([call(8, "ask", json!({})), call(9, "hang", json!({}))]).to_string());
    let host = async {
        let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": { "model": "m", "content": "accept" } });
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
        let batch = json!([answer, cancel]).to_string();
        let asked = |entry: &Entry| matches!(entry, Entry::Intent(one) if one.direction == Direction::ToHost);
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let sent = script.heard("tools/call").len() == 2 && house.entries().iter().any(asked);
            if sent {
                break;
            }
        }
        // the question is on its way to the Host once its intent is written
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(say(&house, &session, batch).await.status, 202);
    };
    let (told, ()) = tokio::join!(first, host);
    assert!(told.events.iter().any(|event| event["method"] == "sampling/createMessage" && event["id"] == 1));
    let said = answers(told.events.last().unwrap());
    assert_eq!(said.keys().collect::<Vec<_>>(), ["8"], "what was cancelled is not answered");
    assert!(said["8"].to_string().contains("accept"));
    assert!(script.everything().iter().any(|heard| heard.json()["id"] == "q-1"));
}

#[tokio::test]
async fn a_pipe_has_batches_once_its_session_speaks_the_revision() {
    for revision in ["2025-03-26", "2025-06-18"] {
        let script = Script::start(false).await;
        let policy = r#"@id("all") @because("t") permit (principal, action, resource);"#;
        let house = House::open(&[("script", script.url.clone())], policy).await;
        let agent = AgentName::new("local").unwrap();
        let principal = gateway::authenticate::configured(&house.gate, &agent).await.unwrap();
        let entrance = Entrance::Server("script".into());
        let session = house.gate.pipe_session(Arc::new(principal), entrance.clone(), Transport::Stdio);
        let talk = Talk {
            session,
            agent,
            entrance,
            message_bytes_max: 1 << 20,
            calls_in_flight_max: 8,
            drain_timeout: Duration::from_secs(5),
        };
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(converse(Arc::clone(&house.gate), reader, writer, talk, CancellationToken::new()));
        let (reader, mut writer) = tokio::io::split(ours);
        let mut lines = BufReader::new(reader).lines();
        let batch = json!([notice(), call(2, "echo", json!({})), ping(3), call(4, "echo", json!({}))]);
        let early = batch.to_string();
        writer.write_all(format!("{early}\n{}\n", hello(revision)).as_bytes()).await.unwrap();
        let mut hear = async || -> Value {
            let line = tokio::time::timeout(Duration::from_secs(5), lines.next_line()).await;
            serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap()
        };
        // begun in order, and answered as they come
        let (one, two) = (hear().await, hear().await);
        let (refused, begun) = if one["error"].is_null() { (two, one) } else { (one, two) };
        assert_eq!(
            refused["error"]["data"]["code"], "batch-unsupported",
            "before the handshake there is none"
        );
        assert_eq!(begun["result"]["protocolVersion"], revision);
        writer.write_all(format!("{batch}\n{}\n", ping(9)).as_bytes()).await.unwrap();
        let (one, two) = (hear().await, hear().await);
        let (array, alone) = if one["id"] == 9 { (two, one) } else { (one, two) };
        assert_eq!(alone["id"], 9);
        if revision == "2025-03-26" {
            assert_eq!(answers(&array).keys().collect::<Vec<_>>(), ["2", "3", "4"]);
            assert_eq!(house.counts(), (7, 7));
            assert_eq!(script.heard("tools/call").len(), 2);
        } else {
            assert_eq!(array["error"]["data"]["code"], "batch-unsupported");
            assert_eq!(house.counts(), (4, 4));
            assert_eq!(script.heard("tools/call").len(), 0);
        }
    }
}
