//! Calls that wait for people, many at once, in batches and across the eras.

use crate::approvals::{call, code, house_over, house_with, refund, scope, state, vote, waiting};
use crate::calls::POLICY;
use crate::house::House;
use crate::questions::until;
use crate::registry::{approve, later, step};
use catalog::record::Step;
use decision::approval::State;
use decision::{ApprovalId, Ending, Entry, Era};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::Page;

const PATIENT: Duration = Duration::from_secs(120);

/// What may be held open at once.
const HELD_MAX: usize = 1_024;

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

async fn proposed(house: &House, many: u64) {
    for _ in 0..24_000 {
        if house.store.count_approvals(&scope(house), State::Proposed).await.unwrap() == many {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(house.store.count_approvals(&scope(house), State::Proposed).await.unwrap(), many);
}

#[tokio::test]
async fn a_thousand_calls_are_held_at_once_and_no_more_and_each_is_answered() {
    const MORE: usize = 8;
    let (house, script) = house_with(true, POLICY, PATIENT, 2 * HELD_MAX).await;
    let before = resident();
    let all = u64::try_from(HELD_MAX + MORE).unwrap();
    // they come some at a time: what is held is looked at, not how fast it comes
    let (come, may_come) = tokio::sync::watch::channel(0_u64);
    let one = |n: u64| {
        let (house, mut may_come) = (&house, may_come.clone());
        async move {
            may_come.wait_for(|so_many| n < *so_many).await.unwrap();
            call(house, refund(1_000 + n)).await
        }
    };
    let calls: Vec<_> = (0..all).map(one).collect();
    let answers = futures::stream::iter(calls).buffer_unordered(HELD_MAX + MORE);
    let answered = AtomicUsize::new(0);
    let seen = answers.inspect(|_| {
        answered.fetch_add(1, Ordering::SeqCst);
    });
    let (told, grown) = tokio::join!(seen.collect::<Vec<Value>>(), async {
        for so_many in (0..all).step_by(64).skip(1).chain([all]) {
            come.send(so_many).unwrap();
            proposed(&house, so_many).await;
        }
        let is_there = || answered.load(Ordering::SeqCst);
        for _ in 0..2_000 {
            if is_there() >= MORE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(is_there(), MORE, "who finds no place is told to come again, and the others wait");
        let grown = resident().saturating_sub(before);
        for one in waiting(&house).await.into_iter().take(24) {
            vote(&house, one.id, "fay", true).await.unwrap();
        }
        for _ in 0..2_000 {
            if script.heard("tools/call").len() >= 16 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        house.gate.drain();
        grown
    });
    assert_eq!(told.len(), HELD_MAX + MORE, "each is answered");
    let done = told.iter().filter(|one| code(one).is_none()).count();
    let held = told.iter().filter(|one| code(one).as_deref() == Some("approval-required")).count();
    assert_eq!(
        (done + held, script.heard("tools/call").len()),
        (told.len(), done),
        "only what was approved left"
    );
    assert!((16..=24).contains(&done), "{done}");
    println!("{HELD_MAX} held calls: {} KiB each, client and test included", grown / 1_024 / all);
    assert!(grown < 400 << 20, "{} MiB", grown >> 20);
}

#[tokio::test]
async fn calls_that_wait_for_people_leave_connections_for_those_that_do_not() {
    const CONNECTIONS: usize = 16;
    let (house, _script) = house_with(true, POLICY, PATIENT, CONNECTIONS).await;
    let one = |n: u64| {
        let house = &house;
        async move { call(house, refund(2_000 + n)).await }
    };
    let calls: Vec<_> = (0..12).map(one).collect();
    let mut answers = futures::stream::iter(calls).buffer_unordered(12);
    // four find no place among the eight that half of the connections are
    for _ in 0..4 {
        let told = tokio::time::timeout(Duration::from_secs(60), answers.next()).await.unwrap().unwrap();
        assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(500), answers.next()).await.is_err(),
        "eight are held"
    );
    for n in 0..4 {
        let echo = json!({ "name": "script__echo", "arguments": { "text": format!("{n}") } });
        let told = tokio::time::timeout(Duration::from_secs(20), call(&house, echo)).await.unwrap();
        assert_eq!(code(&told), None, "{told}");
    }
    house.gate.drain();
    assert_eq!(answers.count().await, 8);
}

async fn session(house: &House, path: &str, revision: &str) -> String {
    let params = json!({ "protocolVersion": revision, "capabilities": {},
        "clientInfo": { "name": "test-host", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let told = house.post(path, &[], hello.to_string()).await;
    assert_eq!(told.json()["result"]["protocolVersion"], revision);
    told.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn members_of_a_batch_are_held_each_by_itself_and_answered_together() {
    for modern in [true, false] {
        let (house, script) = house_over(modern, POLICY, PATIENT).await;
        let session = session(&house, "/mcp", "2025-03-26").await;
        let member = |id: u64, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let echo = json!({ "name": "script__echo", "arguments": { "text": "hi" } });
        let batch =
            json!([member(2, refund(500)), member(3, echo), member(4, refund(600)), member(5, refund(700))]);
        let headers = [("mcp-session-id", session.as_str())];
        let (told, ids) = tokio::join!(house.post("/mcp", &headers, batch.to_string()), async {
            proposed(&house, 3).await;
            let mut ids: BTreeMap<u64, ApprovalId> = BTreeMap::new();
            for one in waiting(&house).await {
                let arguments: Value = serde_json::from_str(&one.preview.arguments).unwrap();
                ids.insert(arguments["amount"].as_u64().unwrap(), one.id);
            }
            for _ in 0..2_000 {
                if script.heard("tools/call").len() == 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(
                script.heard("tools/call").len(),
                1,
                "what waits for nobody does not wait for the others"
            );
            vote(&house, ids[&600], "fay", true).await.unwrap();
            vote(&house, ids[&500], "finn", true).await.unwrap();
            vote(&house, ids[&700], "fay", false).await.unwrap();
            ids
        });
        let answers = told.json();
        let of = |id: u64| answers.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
        assert_eq!(answers.as_array().unwrap().len(), 4, "{answers}");
        for (id, amount) in [(2, 500), (4, 600)] {
            assert_eq!(of(id)["result"]["content"][0]["text"], format!("refund: {{\"amount\":{amount}}}"));
        }
        assert_eq!(of(3)["result"]["content"][0]["text"], r#"echo: {"text":"hi"}"#);
        assert_eq!(code(of(5)).as_deref(), Some("approval-denied"), "{answers}");
        assert_eq!(script.heard("tools/call").len(), 3, "each once");
        for (amount, is) in [(500, State::Executed), (600, State::Executed), (700, State::Denied)] {
            assert_eq!(state(&house, ids[&amount]).await, is);
        }
    }
}

/// The legs of refunds that left, by how they ended and what eras they crossed.
fn crossed(house: &House) -> Vec<(Option<Era>, Option<Era>)> {
    let left = house.entries().into_iter().filter_map(|entry| match entry {
        Entry::Decision(one) if one.ending == Ending::Answered && one.dispatched => Some(one.call),
        Entry::Decision(_) | Entry::Intent(_) | Entry::Event(_) => None,
    });
    let left: Vec<_> = left.collect();
    let intent = |entry| match entry {
        Entry::Intent(one) if left.contains(&one.call) && !one.errand => {
            Some((one.channel.era, one.channel.server_era))
        }
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    };
    let refunds = house.entries().into_iter().filter(|entry| match entry {
        Entry::Intent(one) => one.target.as_ref().is_some_and(|target| target.item.name == "refund"),
        Entry::Decision(_) | Entry::Event(_) => false,
    });
    refunds.filter_map(intent).collect()
}

#[tokio::test]
async fn a_held_call_goes_on_over_a_server_of_either_era_whatever_its_client_speaks() {
    for modern_server in [true, false] {
        for modern_client in [true, false] {
            let (house, script) = house_over(modern_server, POLICY, PATIENT).await;
            let asks = async {
                if modern_client {
                    return call(&house, refund(500)).await;
                }
                let session = session(&house, "/mcp", "2025-11-25").await;
                house.legacy("/mcp", &session, 9, "tools/call", refund(500)).await.json()
            };
            let (told, id) = tokio::join!(asks, async {
                proposed(&house, 1).await;
                let [one] = waiting(&house).await.try_into().unwrap();
                assert!(script.heard("tools/call").is_empty());
                vote(&house, one.id, "fay", true).await.unwrap();
                one.id
            });
            let which = format!("modern client {modern_client}, modern server {modern_server}");
            assert_eq!(told["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{which}: {told}");
            let kind = &told["result"]["resultType"];
            assert_eq!(kind == "complete", modern_client, "{which}: {told}");
            assert_eq!(
                (script.heard("tools/call").len(), state(&house, id).await),
                (1, State::Executed),
                "{which}"
            );
            let era = |modern: bool| if modern { Era::Modern } else { Era::Legacy };
            let other = (modern_client != modern_server).then(|| era(modern_server));
            assert_eq!(crossed(&house), [(Some(era(modern_client)), other)], "{which}");
        }
    }
}

#[tokio::test]
async fn a_legacy_client_of_a_modern_server_is_asked_on_its_stream_and_of_a_legacy_one_as_well() {
    for modern in [true, false] {
        let (house, script) = house_over(modern, POLICY, PATIENT).await;
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": { "url": {} } },
            "clientInfo": { "name": "test-host", "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let told = house.post("/mcp", &[], hello.to_string()).await;
        let session = told.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let made = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": refund(500) });
        let mut body = house.open_post("/mcp", &session, made.to_string()).await;
        let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
        let [one] = waiting(&house).await.try_into().unwrap();
        assert!(question["params"]["url"].as_str().unwrap().contains(&one.id.to_string()), "{question}");
        vote(&house, one.id, "fay", true).await.unwrap();
        let done = until(&mut body, |message| message["id"] == 9).await;
        assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
        assert_eq!(script.heard("tools/call").len(), 1);
    }
}

async fn until_executed(house: &House, id: ApprovalId) {
    for _ in 0..2_000 {
        if state(house, id).await == State::Executed {
            // its answer is kept right after
            return tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(state(house, id).await, State::Executed);
}

#[tokio::test]
async fn a_kept_call_of_a_legacy_client_leaves_without_it_and_its_result_waits_for_the_same_call() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    for modern in [true, false] {
        for stays in [true, false] {
            let (house, script) = house_over(modern, &policy, Duration::ZERO).await;
            let mut session = session(&house, "/mcp", "2025-11-25").await;
            let told = house.legacy("/mcp", &session, 9, "tools/call", refund(500)).await.json();
            assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
            if !stays {
                house.end_session("/mcp", &session).await;
            }
            let [one] = waiting(&house).await.try_into().unwrap();
            vote(&house, one.id, "fay", true).await.unwrap();
            until_executed(&house, one.id).await;
            assert_eq!(script.heard("tools/call").len(), 1);
            if !stays {
                session = self::session(&house, "/mcp", "2025-11-25").await;
            }
            let done = house.legacy("/mcp", &session, 11, "tools/call", refund(500)).await.json();
            assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
            assert_eq!((&done["id"], &done["result"]["resultType"]), (&json!(11), &Value::Null), "{done}");
            let again = house.legacy("/mcp", &session, 12, "tools/call", refund(500)).await.json();
            assert_eq!(code(&again).as_deref(), Some("approval-required"), "another deed: {again}");
            assert_eq!(script.heard("tools/call").len(), 1, "sent once");
        }
    }
}

#[tokio::test]
async fn a_yes_while_a_server_is_suspended_sends_nothing_by_itself_when_it_is_back() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let (house, script) = house_over(true, &policy, Duration::ZERO).await;
    let server = "script".parse().unwrap();
    let shut = async |is: bool| {
        for _ in 0..1_000 {
            if house.gate.live().registry.is_shut(&server) == is {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the gateway does not know it");
    };
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    let [one] = waiting(&house).await.try_into().unwrap();
    step(&house, Step::Suspend).await;
    shut(true).await;
    vote(&house, one.id, "fay", true).await.unwrap();
    let kept = async || house.store.sealed_call(&scope(&house), one.id).await.unwrap().is_some();
    // with the yes itself, and not where it would leave: whoever says it may be no gateway
    assert!(!kept().await, "it is let go of");
    step(&house, Step::Review).await;
    approve(&house, later()).await;
    shut(false).await;
    // it is looked for each second
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(script.heard("tools/call").len(), 0);
    assert_eq!(state(&house, one.id).await, State::Approved, "the yes still counts");
    let done = call(&house, refund(500)).await;
    assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn an_operation_that_a_legacy_client_names_is_given_as_often_as_it_asks() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let (house, script) = house_over(false, &policy, Duration::ZERO).await;
    let session = session(&house, "/mcp", "2025-06-18").await;
    house.legacy("/mcp", &session, 9, "tools/call", refund(500)).await;
    let page = Page { after: None, limit: 2 };
    let kept = house.store.approvals_in(&scope(&house), State::Proposed, page).await.unwrap();
    let id = kept[0].approval.id;
    vote(&house, id, "fay", true).await.unwrap();
    until_executed(&house, id).await;
    let mut named = refund(500);
    named["_meta"] = json!({ "callgate/operation": id.to_string() });
    for n in 20..23 {
        let told = house.legacy("/mcp", &session, n, "tools/call", named.clone()).await.json();
        assert_eq!(told["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{told}");
    }
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn what_was_kept_for_a_client_of_one_era_is_told_in_the_other() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    for modern_first in [true, false] {
        let (house, script) = house_over(true, &policy, Duration::ZERO).await;
        let session = session(&house, "/mcp", "2025-11-25").await;
        let legacy = async || house.legacy("/mcp", &session, 9, "tools/call", refund(500)).await.json();
        let modern = async || call(&house, refund(500)).await;
        let told = if modern_first { modern().await } else { legacy().await };
        assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
        let [one] = waiting(&house).await.try_into().unwrap();
        vote(&house, one.id, "fay", true).await.unwrap();
        until_executed(&house, one.id).await;
        let done = if modern_first { legacy().await } else { modern().await };
        assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
        assert_eq!(done["result"]["resultType"] == "complete", !modern_first, "in its own era: {done}");
        for word in ["resultType", "ttlMs", "cacheScope"] {
            assert!(!modern_first || done["result"][word].is_null(), "a word of another era: {done}");
        }
        assert_eq!(script.heard("tools/call").len(), 1);
    }
}
