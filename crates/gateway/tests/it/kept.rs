//! What a modern server calls public is read once for everybody who may read it; every read is governed all the same.

use crate::crossing::eventually;
use crate::house::{House, server, settings};
use crate::script::Script;
use callgate_gateway::Written;
use callgate_gateway::settings::{Authority, Mode, ServerSettings};
use decision::{Code, Ending, ServerName, Stage};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const AT: &str = "/s/script/mcp";
const URI: &str = "test://one";
const ALL: &str = r#"@id("all") permit (principal, action, resource)
    unless { principal == Agent::"nobody" };"#;

async fn house(ttl_ms: u64, scope: &'static str) -> (House, Script) {
    house_with(ttl_ms, scope, |_| {}).await
}

async fn house_with(
    ttl_ms: u64,
    scope: &'static str,
    change: impl FnOnce(&mut ServerSettings),
) -> (House, Script) {
    let script = Script::start(true).await;
    script.set_read(ttl_ms, scope);
    let mut one = server(&script.url, Mode::Enforce);
    change(&mut one);
    let servers = BTreeMap::from([(ServerName::new("script").unwrap(), one)]);
    (House::with(settings(servers), ALL).await, script)
}

async fn read(house: &House) -> Value {
    house.modern(AT, "resources/read", json!({ "uri": URI })).await.json()
}

async fn read_as(house: &House, agent: &str) -> Value {
    let bearer = format!("Bearer {}", house.agent_of(agent, agent).await);
    house.modern_as(&bearer, AT, "resources/read", json!({ "uri": URI })).await.json()
}

fn asked(script: &Script) -> usize {
    script.heard("resources/read").len()
}

#[tokio::test]
async fn a_public_resource_is_read_once_for_all_and_each_read_is_governed_and_recorded() {
    let (house, script) = house(60_000, "public").await;
    let first = read(&house).await;
    assert_eq!((first["result"]["cacheScope"].as_str(), asked(&script)), (Some("private"), 1));
    assert!(house.last().dispatched);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = read_as(&house, "other").await;
    assert_eq!(second["result"]["contents"], first["result"]["contents"]);
    assert_eq!(second["result"]["cacheScope"], "private", "to this client alone");
    let left = second["result"]["ttlMs"].as_u64().unwrap();
    assert!(left > 0 && left < 60_000, "{left}");
    assert_eq!(asked(&script), 1);
    let decision = house.last();
    assert_eq!((decision.ending.clone(), decision.dispatched), (Ending::Answered, false));
    let walked: Vec<Stage> = decision.evidence.iter().map(|one| one.stage).collect();
    assert_eq!(walked, Stage::PATH, "every stage, once, in order");
    let basis = |stage| decision.evidence.iter().find(|one| one.stage == stage).unwrap().basis.clone();
    assert_eq!(basis(Stage::Secrets), [""; 0], "no credential");
    assert_eq!(basis(Stage::Upstream), ["script", "kept: public, read 0 s ago"]);
    assert!(decision.outcome.is_some_and(|outcome| outcome.result.is_some()));
    // who may not read it gets nothing
    let told = read_as(&house, "nobody").await;
    assert!(told["result"].is_null(), "{told}");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::NotPermitted });
    // across the eras, without what that era does not know
    let session = house.initialize(AT).await;
    let told = house.legacy(AT, &session, 3, "resources/read", json!({ "uri": URI })).await.json();
    assert_eq!(told["result"], json!({ "contents": first["result"]["contents"] }));
    assert_eq!(asked(&script), 1);
    let (intents, decisions) = house.counts();
    assert_eq!(intents, decisions);
}

#[tokio::test]
async fn what_is_private_or_does_not_last_is_read_each_time() {
    for (ttl_ms, scope) in [(60_000, "private"), (0, "public"), (60_000, "")] {
        let (house, script) = house(ttl_ms, scope).await;
        read(&house).await;
        read(&house).await;
        assert_eq!(asked(&script), 2, "{ttl_ms} {scope}");
    }
    let (house, script) = house(100, "public").await;
    read(&house).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    read(&house).await;
    assert_eq!(asked(&script), 2, "its time is over");
}

#[tokio::test]
async fn a_result_that_a_users_own_credential_or_name_was_sent_for_is_nobody_elses() {
    let (house, script) = house_with(60_000, "public", |one| one.authority = Authority::PerUser).await;
    for (agent, user) in [("of-ann", "ann"), ("of-bob", "bob")] {
        let bearer = format!("Bearer {}", house.agent_of(agent, user).await);
        house.put_secret(Some(user), &format!("sk-{user}s-own-4242")).await;
        house.modern_as(&bearer, AT, "resources/read", json!({ "uri": URI })).await;
        assert_eq!(house.last().ending, Ending::Answered);
    }
    assert_eq!(asked(&script), 2);
}

#[tokio::test]
async fn a_read_that_says_more_than_an_address_is_its_own() {
    let (house, script) = house(60_000, "public").await;
    read(&house).await;
    for more in [
        json!({ "uri": URI, "inputResponses": {} }),
        json!({ "uri": URI, "x": 1 }),
        json!({ "uri": URI, "_meta": { "com.example/tenant": "a" } }),
    ] {
        let before = asked(&script);
        house.modern(AT, "resources/read", more.clone()).await;
        assert_eq!(asked(&script), before + 1, "{more}");
    }
    let before = asked(&script);
    read(&house).await;
    assert_eq!(asked(&script), before, "and what was kept still is");
}

#[tokio::test]
async fn nothing_is_kept_after_a_change_that_its_server_or_an_operator_makes() {
    let (house, script) = house(60_000, "public").await;
    let listens = || script.listeners().iter().any(|filter| filter["resourcesListChanged"] == true);
    let kept = async |why: &str| {
        read(&house).await;
        let before = asked(&script);
        read(&house).await;
        assert_eq!(asked(&script), before, "{why}: kept");
        before
    };
    let before = kept("at first").await;
    house.until_noticed().await;
    let written = Written {
        settings: Arc::new((*house.gate.live().settings).clone()),
        policies: vec![policy::Source { path: "test.cedar".into(), text: ALL.into() }],
    };
    house.offers.reload(written, || ()).await.unwrap();
    read(&house).await;
    assert_eq!(asked(&script), before + 1, "after a reload");

    let before = kept("once more").await;
    house.put_secret(None, "another-secret-4242").await;
    house.until_noticed().await;
    read(&house).await;
    assert_eq!(asked(&script), before + 1, "after its credential was replaced");

    if listens() {
        let before = kept("before a notice").await;
        script.notify("notifications/resources/list_changed", &json!({}));
        tokio::time::sleep(Duration::from_millis(300)).await;
        read(&house).await;
        assert_eq!(asked(&script), before + 1, "after a change of its lists");
    }

    let session = house.initialize(AT).await;
    house.legacy(AT, &session, 4, "resources/subscribe", json!({ "uri": URI })).await;
    eventually("subscribed", || script.listeners().iter().any(|one| one["resourceSubscriptions"][0] == URI))
        .await;
    let before = kept("subscribed").await;
    script.notify("notifications/resources/updated", &json!({ "uri": URI }));
    tokio::time::sleep(Duration::from_millis(300)).await;
    read(&house).await;
    assert_eq!(asked(&script), before + 1, "after a notice of an update");
}
