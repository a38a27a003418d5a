//! Several identity providers at once, and what is left of one that the settings drop.

use crate::house::House;
use crate::oauth::{call, house, refused};
use crate::provider::{CLIENT_SECRET, CLIENT_SECRET_NAME, Provider};
use decision::{Code, Entry};
use identity::oauth::Oauth;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Takes the tokens of both, the second's people under a prefix.
fn both(one: &Provider, other: &Provider) -> Oauth {
    let mut oauth = one.introspecting();
    oauth.issuers[0].mapping.prefix = "one:".into();
    let mut second = other.oauth(false).issuers.remove(0);
    second.mapping.prefix = "two:".into();
    oauth.issuers.push(second);
    oauth
}

const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

async fn at_both() -> (House, crate::script::Script, Provider, Provider) {
    let (one, other) = (Provider::start().await, Provider::start().await);
    let (house, script) = house(both(&one, &other), true).await;
    house.put_secret_named(CLIENT_SECRET_NAME, CLIENT_SECRET).await;
    let written = written(&house, house.gate.live().settings.oauth.clone());
    house.offers.reload(written, || {}).await.unwrap();
    (house, script, one, other)
}

/// What is in force, with other providers and a rule that lets everybody.
fn written(house: &House, oauth: Option<Arc<Oauth>>) -> gateway::Written {
    let settings = gateway::Settings { oauth, ..(*house.gate.live().settings).clone() };
    let policies = vec![policy::Source { path: "test.cedar".into(), text: ALL.into() }];
    gateway::Written { settings: Arc::new(settings), policies }
}

fn asker(house: &House) -> String {
    crate::oauth::asker(house).describe()
}

#[tokio::test]
async fn each_of_two_providers_speaks_for_its_own_people_only() {
    let (house, _script, one, other) = Box::pin(at_both()).await;
    assert_eq!(call(&house, &one.token(&json!({})), "echo").await.status, 200);
    assert_eq!(asker(&house), "agent one:claude for one:alice");
    assert_eq!(call(&house, &other.token(&json!({})), "echo").await.status, 200);
    assert_eq!(asker(&house), "agent two:claude for two:alice");
    assert_eq!(call(&house, &one.opaque(&json!({})), "echo").await.status, 200);
    assert_eq!(asker(&house), "agent one:claude for one:alice");
    for (token, status, code) in [
        // each with the other's name on it
        (one.token(&json!({ "iss": other.url })), 401, Code::TokenSignatureInvalid),
        (other.token(&json!({ "iss": one.url })), 401, Code::TokenSignatureInvalid),
        // the first vouches for what it says is the other's
        (one.opaque(&json!({ "iss": other.url })), 401, Code::IssuerUnknown),
        // an opaque token of the other, which is not asked
        (other.opaque(&json!({})), 401, Code::TokenInactive),
    ] {
        let told = call(&house, &token, "echo").await;
        assert_eq!((told.status, refused(&house)), (status, code), "{told:?}");
    }
    assert_eq!(other.asked("/introspect"), 0, "it was not said that it is asked");
}

#[tokio::test]
async fn two_providers_that_could_both_be_asked_are_both_not() {
    let (one, other) = (Provider::start().await, Provider::start().await);
    let mut oauth = both(&one, &other);
    oauth.issuers[1].introspection = other.introspecting().issuers[0].introspection.clone();
    let (house, _script) = house(oauth, true).await;
    house.put_secret_named(CLIENT_SECRET_NAME, CLIENT_SECRET).await;
    for provider in [&one, &other] {
        let told = call(&house, &provider.opaque(&json!({})), "echo").await;
        assert_eq!((told.status, refused(&house)), (401, Code::CredentialMalformed));
        assert_eq!(provider.asked("/introspect"), 0);
    }
}

#[tokio::test]
async fn a_provider_that_the_settings_drop_takes_its_streams_and_sessions_with_it() {
    use http_body_util::BodyExt as _;
    let (one, other) = (Provider::start().await, Provider::start().await);
    let (mut house, _script) = house(both(&one, &other), false).await;
    house.put_secret_named(CLIENT_SECRET_NAME, CLIENT_SECRET).await;
    let oauth = house.gate.live().settings.oauth.clone();
    house.offers.reload(written(&house, oauth), || {}).await.unwrap();
    let mut opened = Vec::new();
    for token in [other.token(&json!({})), one.token(&json!({})), one.opaque(&json!({}))] {
        house.token = token.clone();
        let session = house.initialize("/mcp").await;
        opened.push((token, house.get("/mcp", &session).await, session));
    }
    // the second stays as it is
    let mut left = both(&one, &other);
    left.issuers.remove(0);
    house.offers.reload(written(&house, Some(Arc::new(left))), || {}).await.unwrap();
    for (token, mut stream, session) in opened.split_off(1) {
        let ended = async { while let Some(Ok(_)) = stream.frame().await {} };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the stream outlives its issuer");
        house.token = token;
        let told = house.legacy("/mcp", &session, 2, "tools/list", json!({})).await;
        assert_eq!(told.status, 401, "{told:?}");
        assert!(matches!(refused(&house), Code::IssuerUnknown | Code::CredentialMalformed));
    }
    house.token = other.token(&json!({}));
    let session = &opened[0].2;
    let told = house.legacy("/mcp", session, 2, "tools/list", json!({})).await;
    // judged by other settings now, so it begins anew; but its person is let in
    assert!(matches!(told.status, 200 | 404), "{told:?}");
    house.initialize("/mcp").await;
    assert_eq!(one.asked("/introspect"), 1);
}

#[tokio::test]
async fn the_host_is_who_the_token_says_where_a_claim_is_named_for_it() {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    oauth.issuers[0].mapping.host = Some("app.name".into());
    let (house, _script) = house(oauth, true).await;
    house.put_secret_named(CLIENT_SECRET_NAME, CLIENT_SECRET).await;
    let host = || {
        let mut claimed = house.entries().into_iter().filter_map(|entry| match entry {
            Entry::Intent(intent) if !intent.errand => Some(intent.claimed.host),
            Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
        });
        claimed.next_back().unwrap()
    };
    let named = json!({ "app": { "name": "Desk 7" } });
    for token in [provider.token(&named), provider.opaque(&named)] {
        let params = json!({ "name": "script__echo", "arguments": {} });
        let told = house.modern_as(&format!("Bearer {token}"), "/mcp", "tools/call", params).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(host().as_deref(), Some("Desk 7"), "and not `test-host`, which the Host says itself");
    }
    for token in [provider.token(&json!({})), provider.opaque(&json!({ "app": { "name": "" } }))] {
        assert_eq!(call(&house, &token, "echo").await.status, 401);
        assert_eq!(refused(&house), Code::ClaimMissing);
    }
}
