//! Whoever is nobody here: hears that and nothing else, and fills no record.

use crate::calls::modern_house;
use crate::house::{House, Told};
use decision::{Actor, Code, Ending, Entry, Event, EventName};
use serde_json::json;
use std::collections::BTreeMap;
use store::ledger::Fault;

const NOBODY: (&str, &str) = ("authorization", "");
const SOMEBODY: (&str, &str) = ("accept", "application/json, text/event-stream");

fn told_of(house: &House) -> Vec<Event> {
    let events = house.entries().into_iter().filter_map(|entry| match entry {
        Entry::Event(event) if event.event == EventName::StrangersRefused => Some(event),
        Entry::Event(_) | Entry::Intent(_) | Entry::Decision(_) => None,
    });
    events.collect()
}

fn code_of(told: &Told) -> String {
    told.json()["error"]["data"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_flood_of_strangers_is_answered_and_counted_and_keeps_nobodys_record_from_being_written() {
    let (house, _script) = modern_house().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}"#;
    let bad = [("authorization", "Bearer cgt_made-up")];
    let mut statuses = BTreeMap::new();
    for n in 0..150 {
        let headers = if n % 3 == 0 { &bad[..] } else { &[NOBODY][..] };
        let told = house.post("/mcp", headers, call).await;
        assert!(told.headers.contains_key("www-authenticate"), "{n}: {told:?}");
        *statuses.entry((told.status, code_of(&told))).or_insert(0) += 1;
    }
    let expected = [(401, "credential-malformed", 50), (401, "credential-missing", 100)];
    assert_eq!(statuses, expected.map(|(status, code, n)| ((status, code.to_owned()), n)).into());
    let (intents, decisions) = house.counts();
    assert_eq!(intents, decisions);
    assert!((20..=22).contains(&intents), "{intents} are recorded one by one");

    // somebody's own refusals and calls are, however many strangers there are
    for n in 1..=30 {
        let told = house.post("/mcp", &[SOMEBODY], r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#).await;
        assert_eq!(code_of(&told), "method-unsupported");
        let told = house.post("/mcp", &[SOMEBODY], "{").await;
        assert_eq!(
            (code_of(&told), house.asker()),
            ("json-malformed".into(), Actor::Agent("bot".parse().unwrap()))
        );
        assert_eq!(house.counts().0, intents + 2 * n);
    }
    let metrics = house.gate.metrics_text();
    for (code, count) in [("credential-missing", 100), ("credential-malformed", 50)] {
        let counted =
            metrics.lines().filter(|line| line.contains("callgate_calls_total") && line.contains(code));
        let sum: u64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        assert_eq!(sum, count, "{code}: {metrics}");
    }

    assert!(told_of(&house).is_empty(), "not before its time");
    gateway::tell_strangers(&house.gate).await.unwrap();
    gateway::tell_strangers(&house.gate).await.unwrap();
    let told = told_of(&house);
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(event.detail["refused"], (150 - intents).to_string());
    assert_eq!(event.detail["addresses"], "1");
    let codes: u64 =
        event.detail["codes"].split(", ").filter_map(|one| one.split_once(' ')?.1.parse::<u64>().ok()).sum();
    assert_eq!(codes, 150 - intents as u64, "{event:?}");
}

#[tokio::test]
async fn what_was_counted_is_told_though_the_ledger_could_not_take_it_at_first() {
    let (house, _script) = modern_house().await;
    for _ in 0..30 {
        house.post("/mcp", &[NOBODY], "{").await;
    }
    house.faults.push(Fault::NoSpace);
    assert!(gateway::tell_strangers(&house.gate).await.is_err());
    let mut told = gateway::tell_strangers(&house.gate).await;
    for _ in 0..500 {
        if told.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        told = gateway::tell_strangers(&house.gate).await;
    }
    told.unwrap();
    let counted: u64 =
        told_of(&house).iter().map(|event| event.detail["refused"].parse::<u64>().unwrap()).sum();
    assert_eq!(counted + house.counts().0 as u64, 30);
}

/// Headers and body, and the code for somebody.
type Case = (&'static [(&'static str, &'static str)], String, &'static str);

#[tokio::test]
async fn whoever_is_nobody_hears_that_and_nothing_else() {
    let (house, _script) = modern_house().await;
    let modern = |revision: &str| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientCapabilities": {} } } })
        .to_string()
    };
    let cases: Vec<Case> = vec![
        (&[], r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#.into(), "method-unsupported"),
        (&[], r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#.into(), "method-unsupported"),
        (&[], r#"{"jsonrpc":"2.0","method":"tools/call"}"#.into(), "envelope-invalid"),
        (&[], "{".into(), "json-malformed"),
        (&[], "[]".into(), "batch-invalid"),
        (&[("mcp-protocol-version", "2025-11-25")], "[{}]".into(), "batch-unsupported"),
        (
            &[("mcp-protocol-version", "1999-01-01")],
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into(),
            "revision-unsupported",
        ),
        (&[("mcp-protocol-version", "2030-01-01")], modern("2030-01-01"), "revision-unsupported"),
        (&[("mcp-protocol-version", "2026-07-28")], modern("2026-07-28"), "header-mismatch"),
        (
            &[("mcp-session-id", "s_made-up")],
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into(),
            "session-unknown",
        ),
    ];
    for (headers, body, code) in cases {
        let nobody: Vec<_> = headers.iter().copied().chain([NOBODY]).collect();
        let told = house.post("/mcp", &nobody, body.clone()).await;
        assert_eq!((told.status, code_of(&told)), (401, "credential-missing".into()), "{code}: {body}");
        assert!(told.headers.contains_key("www-authenticate"), "{code}");
        assert_eq!(house.last().ending, Ending::Refused { code: Code::CredentialMissing }, "{code}");
        assert_eq!(house.asker(), Actor::Unknown, "{code}");
        let told = house.post("/mcp", headers, body.clone()).await;
        assert_eq!(code_of(&told), code, "{body}");
        assert_ne!(told.status, 401, "{code}");
        assert_eq!(house.asker(), Actor::Agent("bot".parse().unwrap()), "{code}: the record says who it was");
    }
    for (verb, headers) in [
        ("GET", &[("mcp-protocol-version", "2026-07-28"), ("accept", "text/event-stream")][..]),
        ("PUT", &[][..]),
    ] {
        assert_eq!(house.plain(verb, "/mcp", headers).await.status, 401, "{verb}");
    }
    // a page is not asked who it is
    let foreign = house.post("/mcp", &[("origin", "https://evil.example")], "{").await;
    assert_eq!((foreign.status, house.asker()), (403, Actor::Unknown));
}
