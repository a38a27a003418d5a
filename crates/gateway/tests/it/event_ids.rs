//! The ids of events: a place in a stream, for its own session and principal alone (requirement I11).

use crate::calls::{legacy_house, modern_house};
use crate::house::{House, Told};
use decision::{Code, Ending};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::time::Duration;

const PATH: &str = "/s/script/mcp";
/// Of 16 bytes and a tag of 16.
const SEALED_CHARS: usize = 43;

/// Calls the tool that tells how far it is: the ids and the data of its events.
async fn told_along(house: &House, session: &str, id: u64) -> Vec<(String, String)> {
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "p" } });
    let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    let body = house.open_post(PATH, session, call.to_string()).await;
    read(&body.collect().await.unwrap().to_bytes())
}

fn read(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap_or_default()
    };
    let events = text.split("\n\n").filter(|event| event.contains("id: "));
    events.map(|event| (field(event, "id: "), field(event, "data: "))).collect()
}

async fn come_back(
    house: &House,
    token: &str,
    session: &str,
    event: &str,
) -> http::Response<hyper::body::Incoming> {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-session-id", session),
        ("mcp-protocol-version", "2025-11-25"),
        ("last-event-id", event),
    ];
    tokio::time::timeout(Duration::from_secs(20), house.begin("GET", PATH, &headers, "")).await.unwrap()
}

/// What is said to whoever comes back with an id that is not theirs: always the same, and recorded.
async fn refused(house: &House, token: &str, session: &str, event: &str) -> serde_json::Value {
    let response = come_back(house, token, session, event).await;
    assert_eq!(response.status(), 400, "`{event}`");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::EventUnknown }, "`{event}`");
    let mut told: serde_json::Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(told["error"]["data"]["code"], "event-unknown");
    told["error"]["data"]["decision"] = serde_json::Value::Null;
    told
}

#[tokio::test]
async fn an_event_id_is_good_for_its_session_and_principal_and_no_other_can_be_made() {
    let (house, _script) = legacy_house().await;
    let (mine, token) = (house.initialize(PATH).await, house.token.clone());
    let told = told_along(&house, &mine, 2).await;
    let [(primed, _), .., (last, answer)] = told.as_slice() else { panic!("{told:?}") };
    assert!(told.len() >= 4 && answer.contains("\"id\":2"), "{told:?}");
    assert!(told.iter().all(|(id, _)| id.len() == SEALED_CHARS), "{told:?}");

    let again = come_back(&house, &token, &mine, primed).await;
    assert_eq!(again.status(), 200);
    assert_eq!(read(&again.into_body().collect().await.unwrap().to_bytes())[1..], told[1..], "as they were");

    let forged = refused(&house, &token, &mine, "0.1").await;
    let (first, rest) = last.split_at(1);
    let changed = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    for made_up in [changed.as_str(), rest, "1.0", "*", "AAAA"] {
        assert_eq!(refused(&house, &token, &mine, made_up).await, forged);
    }
    let other = house.initialize(PATH).await;
    assert_eq!(refused(&house, &token, &other, last).await, forged, "another session of the same principal");
}

#[tokio::test]
async fn another_principals_event_id_looks_like_none() {
    let (mut house, _script) = legacy_house().await;
    let mine = house.initialize(PATH).await;
    let told = told_along(&house, &mine, 2).await;
    let thief = house.agent("thief").await;
    let alices = std::mem::replace(&mut house.token, thief.clone());
    let theirs = house.initialize(PATH).await;
    for (event, _) in &told {
        refused(&house, &thief, &theirs, event).await;
        let response = come_back(&house, &thief, &mine, event).await;
        assert_eq!(response.status(), 404, "nor is its session found");
    }
    assert_eq!(come_back(&house, &alices, &mine, &told[0].0).await.status(), 200, "it is still alice's");
}

#[tokio::test]
async fn an_id_of_a_stream_that_is_not_kept_any_more_looks_like_none() {
    let (house, _script) = legacy_house().await;
    let (mine, token) = (house.initialize(PATH).await, house.token.clone());
    let told = told_along(&house, &mine, 2).await;
    assert_eq!(come_back(&house, &token, &mine, &told[0].0).await.status(), 200);
    for id in 3..19 {
        told_along(&house, &mine, id).await;
    }
    assert_eq!(
        refused(&house, &token, &mine, &told[0].0).await,
        refused(&house, &token, &mine, "made-up").await
    );
}

#[tokio::test]
async fn the_modern_era_has_no_event_ids_and_reads_none() {
    let (house, _script) = modern_house().await;
    let bearer = format!("Bearer {}", house.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "progress"),
        ("last-event-id", "made-up"),
    ];
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "p",
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {} } });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params }).to_string();
    let told: Told = house.post(PATH, &headers, call).await;
    assert!(told.status == 200 && told.events.len() > 1, "{told:?}");
    assert!(read(&told.body).is_empty(), "{told:?}");
    assert_eq!(house.plain("GET", PATH, &headers).await.status, 405);
}
