//! What goes on and on, and what should have ended: servers that talk without end, updates of somebody else's resources,
//! streams that were opened with a credential that is gone, and what counters tell of what is hidden.

use crate::crossing::eventually;
use crate::house::{House, TOKEN_AGENT, events, server, settings};
use crate::rogue::{Rogue, Said, notice};
use decision::ServerName;
use gateway::settings::{Authority, Mode};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

const POLICY: &str = r#"@id("all") permit (principal, action, resource);"#;

async fn house(rogue: &Rogue, authority: Authority, timeout: Duration) -> House {
    let mut one = server(&rogue.url, Mode::Enforce);
    (one.authority, one.call_timeout) = (authority, timeout);
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
    House::with(settings(servers), POLICY).await
}

#[tokio::test]
async fn a_server_that_talks_without_end_holds_no_call_longer_than_its_timeout() {
    for method in ["notifications/message", "notifications/resources/updated", "notifications/progress"] {
        let said = notice(
            method,
            json!({ "level": "info", "data": "x", "uri": "file:///a", "progressToken": 77, "progress": 1 }),
        );
        let rogue = Rogue::start(false, move |message, _| {
            (message["method"] == "tools/call").then(|| Said::Open(vec![(5, said.clone())], true))
        })
        .await;
        let house = house(&rogue, Authority::Shared, Duration::from_secs(1)).await;
        let began = Instant::now();
        let session = house.initialize("/s/crm/mcp").await;
        let told =
            house.legacy("/s/crm/mcp", &session, 5, "tools/call", json!({ "name": "go", "arguments": {} }));
        let told = tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
        assert!(told.json().to_string().contains("upstream-timeout"), "{method}: {}", told.json());
        assert!(began.elapsed() < Duration::from_secs(15), "{method}: {:?}", began.elapsed());
    }
}

fn wish(uri: &str) -> String {
    let params = json!({ "notifications": { "resourceSubscriptions": [uri] },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    json!({ "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": params }).to_string()
}

/// Acknowledges, and for the credential of alice says again and again that the resource was updated.
fn listened(message: &Value, authorization: &str) -> Option<Said> {
    (message["method"] == "subscriptions/listen").then(|| {
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
        let filter = message["params"]["notifications"].clone();
        let ack = notice(
            "notifications/subscriptions/acknowledged",
            json!({ "notifications": filter, "_meta": meta }),
        );
        let updated =
            notice("notifications/resources/updated", json!({ "uri": "file:///shared", "_meta": meta }));
        let mut all = vec![(0, ack)];
        if authorization.contains("alice") {
            all.extend(std::iter::repeat_n((50, updated), 400));
        }
        Said::Open(all, false)
    })
}

/// What comes on a stream, gathered by somebody else.
fn gather(mut stream: hyper::body::Incoming) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&all);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = stream.frame().await {
            to.lock().extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
        }
    });
    all
}

fn updates(all: &Mutex<Vec<u8>>) -> usize {
    events(&all.lock()).iter().filter(|event| event["method"] == "notifications/resources/updated").count()
}

#[tokio::test]
async fn what_a_server_tells_one_user_of_a_resource_no_other_user_is_told() {
    let rogue = Rogue::start(true, |message, headers| {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        listened(message, header)
    })
    .await;
    let mut house = house(&rogue, Authority::PerUser, Duration::from_secs(5)).await;
    let (alice, bob) = (house.agent_of("of-alice", "alice").await, house.agent_of("of-bob", "bob").await);
    for user in ["alice", "bob"] {
        house.put_secret(Some(user), &format!("sk-{user}-own-4242")).await;
    }
    house.until_noticed().await;
    house.token = bob;
    let bobs = gather(house.open_modern("/s/crm/mcp", "subscriptions/listen", wish("file:///shared")).await);
    eventually("bob is acknowledged", || !events(&bobs.lock()).is_empty()).await;
    house.token = alice;
    let own = gather(house.open_modern("/s/crm/mcp", "subscriptions/listen", wish("file:///shared")).await);
    eventually("alice hears of it", || updates(&own) > 3).await;
    assert_eq!(updates(&bobs), 0, "and bob of nothing");
}

/// How long alice's secret is good.
const GOOD: Duration = Duration::from_secs(20 * 60);
/// Within this time a stream is looked at at least once.
const LOOKED: Duration = Duration::from_secs(6);

/// A stream of alice's ends, and no other is begun, when her secret is gone.
async fn ends_when_gone(how: impl AsyncFnOnce(&House)) {
    let open = Arc::new(Mutex::new(0_u32));
    let noting = Arc::clone(&open);
    let rogue = Rogue::start(true, move |message, headers| {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if message["method"] == "subscriptions/listen" {
            *noting.lock() += 1;
        }
        listened(message, header)
    })
    .await;
    let mut house = house(&rogue, Authority::PerUser, Duration::from_secs(5)).await;
    house.token = house.agent_of("of-alice", "alice").await;
    house.put_secret_for_a_time("alice", "sk-alice-own-4242", GOOD).await;
    house.until_noticed().await;
    let own = gather(house.open_modern("/s/crm/mcp", "subscriptions/listen", wish("file:///shared")).await);
    eventually("alice hears of it", || updates(&own) > 3).await;
    how(&house).await;
    // the server would go on for twenty seconds in all; nothing comes any more after the stream was looked at
    tokio::time::sleep(LOOKED).await;
    let before = updates(&own);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(updates(&own), before, "the stream is closed");
    assert_eq!(*open.lock(), 1, "and none is opened without the secret");
}

async fn remove(store: &store::Store, house: &House) {
    let scope = house.gate.live().settings.scope();
    for one in store.list_secrets(&scope).await.unwrap().iter().filter(|one| one.user.is_some()) {
        store.remove_secret(&scope, &one.name, one.user.as_ref(), "test").await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_was_opened_with_a_secret_that_is_gone_ends() {
    ends_when_gone(async |house| remove(house.gate.store(), house).await).await;
}

#[tokio::test]
async fn a_stream_that_was_looked_at_ends_when_another_process_removes_its_secret() {
    ends_when_gone(async |house| {
        tokio::time::sleep(LOOKED).await;
        remove(&house.another_store().await, house).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_was_looked_at_ends_when_its_secret_expires() {
    ends_when_gone(async |house| {
        tokio::time::sleep(LOOKED).await;
        house.advance(GOOD);
    })
    .await;
}

#[tokio::test]
async fn counters_do_not_tell_what_is_hidden_from_what_is_not_there() {
    let rogue = Rogue::start(true, |_, _| None).await;
    let one = server(&rogue.url, Mode::Enforce);
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
    let house = House::with(
        settings(servers),
        r#"@id("none") permit (principal == Agent::"nobody", action, resource);"#,
    )
    .await;
    for tool in ["crm__go", "crm__no_such_tool", "nowhere__go"] {
        let told = house.modern("/mcp", "tools/call", json!({ "name": tool, "arguments": {} })).await.json();
        assert!(told.to_string().contains("Unknown tool"), "{told}");
    }
    let metrics = house.gate.metrics_text();
    let calls: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("callgate_calls_total") && line.contains("tools/call"))
        .collect();
    assert!(calls.len() == 1 && calls[0].ends_with(" 3") && calls[0].contains(r#"server="""#), "{calls:?}");
    assert!(!metrics.contains("not-permitted"), "{metrics}");
}

#[tokio::test]
async fn a_stream_of_somebody_without_a_token_ends_when_nobody_is_let_in_so_any_more() {
    let rogue = Rogue::start(true, |message, _| listened(message, "alice")).await;
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), server(&rogue.url, Mode::Enforce))]);
    let local = Some("local".parse().unwrap());
    let house = House::with(
        gateway::Settings { unauthenticated_loopback: local, ..settings(servers.clone()) },
        POLICY,
    )
    .await;
    let stream = house.open_as(None, "/s/crm/mcp", "subscriptions/listen", wish("file:///shared")).await;
    let heard = gather(stream);
    eventually("it hears of the resource", || updates(&heard) > 0).await;
    let settings = Arc::new(gateway::Settings { unauthenticated_loopback: None, ..settings(servers) });
    let policies = vec![policy::Source { path: "test.cedar".into(), text: POLICY.into() }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = updates(&heard);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(updates(&heard), before);
}

/// What ends a stream comes within this time.
const ENDS: Duration = Duration::from_secs(20);

async fn ends(mut stream: hyper::body::Incoming, why: &str) {
    let ended = async { while let Some(Ok(_)) = stream.frame().await {} };
    assert!(tokio::time::timeout(ENDS, ended).await.is_ok(), "{why}");
}

#[tokio::test]
async fn streams_end_when_the_person_behind_a_token_is_put_into_other_groups() {
    let rogue = Rogue::start(true, |message, _| listened(message, "alice")).await;
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), server(&rogue.url, Mode::Enforce))]);
    let finance = r#"@id("finance") permit (principal in Group::"finance", action, resource);
        @id("agents") permit (principal is Agent, action, resource);"#;
    let mut house = House::with(settings(servers), finance).await;
    let token = house.agent_of("of-dora", "dora").await;
    house.token = token;
    let groups = async |names: &[&str]| {
        let groups = names.iter().map(|name| name.parse().unwrap()).collect();
        let user = decision::User { name: "dora".parse().unwrap(), groups };
        let scope = house.gate.live().settings.scope();
        house.store.set_groups(&scope, &user, "test").await.unwrap();
        house.until_noticed().await;
    };
    groups(&["finance"]).await;
    let listens = house.open_modern("/s/crm/mcp", "subscriptions/listen", wish("file:///shared")).await;
    let heard = gather(listens);
    let session = house.initialize("/s/crm/mcp").await;
    let legacy = house.get("/s/crm/mcp", &session).await;
    eventually("it hears of the resource", || updates(&heard) > 1).await;
    groups(&[]).await;
    // the server goes on to tell of it
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = updates(&heard);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(updates(&heard), before, "who may not read a resource hears of it no more");
    ends(legacy, "the stream of who had other groups goes on").await;
}

/// Takes away the token that was issued last.
async fn revoke_last(house: &House) {
    let scope = house.gate.live().settings.scope();
    let all = house.store.list_tokens(&scope).await.unwrap();
    let bots = all.iter().filter(|one| one.agent.as_str() == TOKEN_AGENT);
    let last = bots.max_by_key(|one| one.created_at).unwrap();
    house.store.revoke_token(&scope, &last.id, "test").await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_the_token_it_was_opened_with_and_not_with_the_one_its_session_began_with() {
    for goes_on_with_the_first in [false, true] {
        let mut house = House::open(&[], POLICY).await;
        let session = house.initialize("/mcp").await;
        let second = house.agent(TOKEN_AGENT).await;
        let first = std::mem::replace(&mut house.token, second);
        let stream = house.get("/mcp", &session).await;
        house.token = first;
        if goes_on_with_the_first {
            assert_eq!(house.legacy("/mcp", &session, 2, "ping", json!({})).await.status, 200);
        }
        revoke_last(&house).await;
        ends(stream, "the stream goes on with a token that was revoked").await;
        let status = house.legacy("/mcp", &session, 3, "ping", json!({})).await.status;
        assert_eq!(status, if goes_on_with_the_first { 200 } else { 404 }, "the session is the last token's");
    }
}
