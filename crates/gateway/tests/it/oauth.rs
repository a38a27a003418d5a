//! Tokens of an identity provider: who they make of their bearer, and every way in which they do not.

use crate::house::{House, SECRET, Told, server, settings};
use crate::provider::{Manner, PUBLIC, Provider, now};
use crate::script::Script;
use decision::{Actor, AgentName, Code, Ending, Entry, ServerName};
use gateway::settings::Mode;
use identity::oauth::Oauth;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// People of the support group may use the script through `claude`; `hidden` nobody may see.
const POLICY: &str = r#"
@id("people") permit (principal in Group::"support", action, resource)
unless { resource == Tool::"script__hidden" };
@id("claude") permit (principal == Agent::"claude", action, resource)
unless { resource == Tool::"script__hidden" };
@id("nightly") permit (principal == Workload::"nightly", action, resource);
@id("bot") permit (principal == Agent::"bot", action, resource);
"#;

pub(crate) async fn house(oauth: Oauth, modern: bool) -> (House, Script) {
    let script = Script::start(modern).await;
    let name = ServerName::new("script").unwrap();
    let mut declared = server(&script.url, Mode::Enforce);
    let tool = |effect| catalog::Declared { effect: Some(effect), ..catalog::Declared::default() };
    declared.declarations.tools = [
        ("echo".to_owned(), tool(catalog::Effect::Read)),
        ("big".to_owned(), tool(catalog::Effect::Destructive)),
    ]
    .into_iter()
    .collect();
    let mut settings = settings(BTreeMap::from([(name, declared)]));
    settings.oauth = Some(Arc::new(oauth));
    (House::with(settings, POLICY).await, script)
}

/// A gateway that takes the tokens of a provider.
async fn open(enforce_scopes: bool) -> (House, Script, Provider) {
    let provider = Provider::start().await;
    let (house, script) = house(provider.oauth(enforce_scopes), true).await;
    (house, script, provider)
}

/// Calls a tool with a token.
pub(crate) async fn call(house: &House, token: &str, tool: &str) -> Told {
    call_at(house, "/mcp", token, &format!("script__{tool}")).await
}

pub(crate) async fn call_at(house: &House, path: &str, token: &str, tool: &str) -> Told {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": tool, "arguments": {}, "_meta": meta } });
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    house.post(path, &headers, body.to_string()).await
}

pub(crate) fn challenge(told: &Told) -> &str {
    told.headers.get("www-authenticate").map(|value| value.to_str().unwrap()).unwrap_or_default()
}

pub(crate) fn refused(house: &House) -> Code {
    let code = match house.last().ending {
        Ending::Refused { code } => Some(code),
        Ending::Answered | Ending::Failed { .. } | Ending::Cancelled | Ending::Unknown => None,
    };
    code.unwrap()
}

/// Who the last call was by.
pub(crate) fn asker(house: &House) -> std::sync::Arc<decision::Principal> {
    let mut intents = house.entries().into_iter().filter_map(|entry| match entry {
        Entry::Intent(intent) if !intent.errand => Some(intent.principal),
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    intents.next_back().unwrap()
}

// I2, I7, I9: the person and the agent they act through are both known, and both are asked.
#[tokio::test]
async fn a_token_makes_a_person_through_an_agent_and_both_must_be_allowed() {
    let (house, script, provider) = open(false).await;
    let told = call(&house, &provider.token(&json!({})), "echo").await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(told.json()["result"]["content"][0]["text"], "echo: {}");
    let asker = asker(&house);
    assert_eq!(asker.describe(), "agent claude for alice");
    assert_eq!(
        asker.user.clone().unwrap().groups.iter().map(|g| g.as_str()).collect::<Vec<_>>(),
        ["support"]
    );
    let sent = script.heard("tools/call");
    assert_eq!(sent[0].headers["authorization"], format!("Bearer {SECRET}"), "its own, not the Host's");
    for (changed, who) in [
        (json!({ "groups": ["sales"] }), "a person whom no rule permits"),
        (json!({ "client_id": "other" }), "an agent whom no rule permits"),
    ] {
        let told = call(&house, &provider.token(&changed), "echo").await;
        assert_eq!(refused(&house), Code::NotPermitted, "{who}: {told:?}");
    }
    assert_eq!(script.heard("tools/call").len(), 1);
}

// I8: a client on its own is a service, and has nothing of what a person of its name may do.
#[tokio::test]
async fn a_clients_own_token_makes_a_workload_and_never_a_person() {
    let (house, _script, provider) = open(false).await;
    for own in [
        json!({ "sub": "nightly", "client_id": "nightly" }),
        json!({ "sub": null, "client_id": "nightly" }),
        json!({ "sub": "alice", "client_id": "nightly", "gty": "client-credentials" }),
    ] {
        let told = call(&house, &provider.token(&own), "echo").await;
        assert_eq!(told.status, 200, "{told:?}");
        let asker = asker(&house);
        assert_eq!(asker.actor, Actor::Workload(AgentName::new("nightly").unwrap()));
        assert_eq!(asker.user, None);
    }
}

#[tokio::test]
async fn every_token_that_is_not_good_has_its_code_and_tells_where_to_get_one() {
    let (house, script, provider) = open(false).await;
    let good = provider.token(&json!({}));
    assert_eq!(call(&house, &good, "echo").await.status, 200);
    let header = |header: Value| provider.sign(&header, &provider.claims());
    let kid = provider.kid();
    let stranger = Provider::start().await;
    let (first, rest) = good.split_at(good.len() - 3);
    let tampered = format!("{first}{}", if rest == "AAA" { "AAB" } else { "AAA" });
    for (token, code) in [
        (tampered, Code::TokenSignatureInvalid),
        (provider.token(&json!({ "exp": now() - 61 })), Code::CredentialExpired),
        (provider.token(&json!({ "nbf": now() + 90 })), Code::CredentialEarly),
        (provider.token(&json!({ "exp": null })), Code::ClaimMissing),
        (provider.token(&json!({ "aud": null })), Code::ClaimMissing),
        (provider.token(&json!({ "aud": format!("{PUBLIC}/s/script/mcp") })), Code::TokenAudienceMismatch),
        (provider.token(&json!({ "aud": ["a", "b"] })), Code::TokenAudienceMismatch),
        (provider.token(&json!({ "iss": format!("{}/", provider.url) })), Code::IssuerUnknown),
        (stranger.token(&json!({})), Code::IssuerUnknown),
        (stranger.token(&json!({ "iss": provider.url })), Code::TokenSignatureInvalid),
        (header(json!({ "alg": "ES256", "typ": "JWT", "kid": kid })), Code::TokenHeaderRefused),
        (header(json!({ "alg": "none", "typ": "at+jwt", "kid": kid })), Code::TokenHeaderRefused),
        (header(json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid })), Code::TokenHeaderRefused),
        (header(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "../etc/keys" })), Code::TokenKeyUnknown),
        (provider.token(&json!({ "client_id": null })), Code::ClaimMissing),
        (provider.token(&json!({ "sub": "a b" })), Code::ClaimUnusable),
        (provider.token(&json!({ "groups": 7 })), Code::ClaimUnusable),
        ("ey.not.one".to_owned(), Code::CredentialMalformed),
        ("opaque".to_owned(), Code::CredentialMalformed),
    ] {
        let told = call(&house, &token, "echo").await;
        assert_eq!((told.status, refused(&house)), (401, code), "{told:?}");
        assert_eq!(told.json()["error"]["data"]["code"], code.as_str());
        let challenge = challenge(&told);
        let metadata = format!("resource_metadata=\"{PUBLIC}/.well-known/oauth-protected-resource/mcp\"");
        assert!(challenge.starts_with("Bearer ") && challenge.contains(&metadata), "{challenge}");
        assert!(!String::from_utf8_lossy(&told.body).contains(&token), "the token is not repeated");
    }
    assert_eq!(script.heard("tools/call").len(), 1, "none of them was sent on");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided, "and every one is in the record");
}

#[tokio::test]
async fn a_token_is_for_one_entrance_and_for_the_audiences_that_were_listed() {
    let (house, _script, provider) = open(false).await;
    let one = provider.token(&json!({ "aud": ["x", format!("{PUBLIC}/s/script/mcp")] }));
    assert_eq!(call_at(&house, "/s/script/mcp", &one, "echo").await.status, 200);
    // it was remembered as good, and is still not for the other entrance
    assert_eq!(call(&house, &one, "echo").await.status, 401);
    assert_eq!(refused(&house), Code::TokenAudienceMismatch);
    assert_eq!(call_at(&house, "/s/other/mcp", &one, "echo").await.status, 401);

    let mut oauth = provider.oauth(false);
    oauth.issuers[0].audiences.insert("api://gateway".to_owned());
    let (house, _script) = self::house(oauth, true).await;
    let listed = provider.token(&json!({ "aud": "api://gateway" }));
    assert_eq!(call(&house, &listed, "echo").await.status, 200);
    assert_eq!(call_at(&house, "/s/script/mcp", &listed, "echo").await.status, 200);
    let near = provider.token(&json!({ "aud": "api://gateway/" }));
    assert_eq!(call(&house, &near, "echo").await.status, 401);
}

#[tokio::test]
async fn each_entrance_says_what_it_is_and_none_says_which_servers_there_are() {
    let (house, _script, provider) = open(true).await;
    let get = async |path: &str| {
        house.plain("GET", &format!("/.well-known/oauth-protected-resource{path}"), &[]).await
    };
    for (path, resource, read) in [
        ("", "/mcp", "mcp:*:read"),
        ("/mcp", "/mcp", "mcp:*:read"),
        ("/s/script/mcp", "/s/script/mcp", "mcp:script:read"),
        ("/s/nowhere/mcp", "/s/nowhere/mcp", "mcp:nowhere:read"),
    ] {
        let told = get(path).await;
        assert_eq!(told.status, 200);
        assert_eq!(told.headers["access-control-allow-origin"], "*");
        let document = told.json();
        assert_eq!(document["resource"], format!("{PUBLIC}{resource}"));
        assert_eq!(document["authorization_servers"], json!([provider.url]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        assert_eq!(document["scopes_supported"][0], read);
    }
    let (known, unknown) = (get("/s/script/mcp").await, get("/s/nowhere/mcp").await);
    let text = |told: &Told| String::from_utf8_lossy(&told.body).into_owned();
    assert_eq!(text(&known).replace("script", "nowhere"), text(&unknown));
    for path in ["/", "/other", "/s/Script/mcp", "/s//mcp", "/mcp/", "x"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
    let preflight = house.plain("OPTIONS", "/.well-known/oauth-protected-resource/mcp", &[]).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-headers"], "mcp-protocol-version");
    let post = house.plain("POST", "/.well-known/oauth-protected-resource/mcp", &[]).await;
    assert_eq!(post.status, 405);
    let other = house.plain("GET", "/healthz", &[("origin", "https://evil.example")]).await;
    assert!(other.headers.get("access-control-allow-origin").is_none(), "this is for the metadata only");
}

#[tokio::test]
async fn a_gateway_without_providers_has_no_metadata_and_sends_nobody_to_one() {
    let (house, _script) = crate::calls::modern_house().await;
    let told = house.plain("GET", "/.well-known/oauth-protected-resource/mcp", &[]).await;
    assert_eq!(told.status, 404);
    let told = call(&house, "ey.a.b", "echo").await;
    assert_eq!((told.status, refused(&house)), (401, Code::CredentialMalformed));
    assert!(!challenge(&told).contains("resource_metadata"));
}

// SEP-835: what is missing is asked for in one go, together with what is there.
#[tokio::test]
async fn a_call_beyond_its_tokens_scope_gets_one_complete_challenge() {
    let (house, script, provider) = open(true).await;
    let first = house.post("/mcp", &[("authorization", "")], ping()).await;
    assert_eq!((first.status, refused(&house)), (401, Code::CredentialMissing));
    assert!(challenge(&first).contains("scope=\"mcp:*:read\""), "{}", challenge(&first));
    assert!(!challenge(&first).contains("error="), "{}", challenge(&first));
    let held = |scope: &str| provider.token(&json!({ "scope": scope }));
    for (scope, tool, asked) in [
        ("openid offline_access", "echo", "mcp:script:read openid"),
        ("mcp:other:destructive", "echo", "mcp:other:destructive mcp:script:read"),
        ("mcp:script:read", "refund", "mcp:script:read mcp:script:write"),
        ("mcp:*:write openid", "big", "mcp:*:write mcp:script:destructive openid"),
    ] {
        let told = call(&house, &held(scope), tool).await;
        assert_eq!((told.status, refused(&house)), (403, Code::ScopeInsufficient), "{told:?}");
        let challenge = challenge(&told);
        let wanted = format!(
            "error=\"insufficient_scope\", error_description=\"{}\"",
            Code::ScopeInsufficient.meaning().replace('`', "'")
        );
        assert!(challenge.contains(&wanted), "{challenge}");
        assert!(challenge.contains(&format!("scope=\"{asked}\"")), "{challenge}");
        assert!(challenge.contains("resource_metadata="), "{challenge}");
        assert_eq!(told.headers.get_all("www-authenticate").iter().count(), 1);
    }
    assert!(script.heard("tools/call").is_empty());
    for (scope, tool) in [("mcp:script:write", "echo"), ("mcp:*:destructive", "big")] {
        assert_eq!(call(&house, &held(scope), tool).await.status, 200, "{scope}");
    }
    // what is hidden is hidden whatever the scope, and a scope hides nothing
    let hidden = call(&house, &held("openid"), "hidden").await;
    assert_eq!((hidden.status, refused(&house)), (200, Code::NotPermitted));
    let bearer = format!("Bearer {}", held("openid"));
    let list = house.modern_as(&bearer, "/mcp", "tools/list", json!({})).await;
    assert!(String::from_utf8_lossy(&list.body).contains("script__big"));
    // a token of our own has no scopes and needs none
    let own = house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {} })).await;
    assert_eq!(own.status, 200);
}

fn ping() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string()
}

#[tokio::test]
async fn a_new_key_is_fetched_once_for_everybody_and_a_removed_one_is_refused() {
    let (house, _script, provider) = open(false).await;
    let old = provider.token(&json!({}));
    assert_eq!(call(&house, &old, "echo").await.status, 200);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let before = provider.asked("/jwks");
    provider.rotate("two", false);
    provider.behave(Manner::Slow(Duration::from_millis(300)));
    let tokens: Vec<_> = (0..8).map(|n| provider.token(&json!({ "jti": n }))).collect();
    let calls = tokens.iter().map(|token| call(&house, token, "echo"));
    for told in futures::future::join_all(calls).await {
        assert_eq!(told.status, 200, "{told:?}");
    }
    assert_eq!(provider.asked("/jwks"), before + 1, "one fetch for all of them");
    let told = call(&house, &old, "echo").await;
    assert_eq!((told.status, refused(&house)), (401, Code::TokenKeyUnknown), "{told:?}");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_no_flood_of_fetches() {
    let provider = Provider::start().await;
    let mut oauth = provider.oauth(false);
    oauth.issuers[0].source.pause = Duration::from_secs(600);
    let (house, _script) = self::house(oauth, true).await;
    assert_eq!(call(&house, &provider.token(&json!({})), "echo").await.status, 200);
    let before = provider.asked("/jwks");
    for n in 0..50 {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("made-up-{n}") });
        let told = call(&house, &provider.sign(&header, &provider.claims()), "echo").await;
        assert_eq!((told.status, refused(&house)), (401, Code::TokenKeyUnknown));
    }
    assert_eq!(provider.asked("/jwks"), before);
}

#[tokio::test]
async fn keys_outlive_their_provider_for_a_while_and_then_nobody_is_let_in() {
    let provider = Provider::start().await;
    let mut oauth = provider.oauth(false);
    oauth.issuers[0].source.keys_max_age = Duration::from_secs(3);
    oauth.issuers[0].source.refresh = Duration::from_millis(500);
    let (house, _script) = self::house(oauth, true).await;
    let token = provider.token(&json!({}));
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    provider.die();
    assert_eq!(call(&house, &token, "echo").await.status, 200, "the keys are fresh enough");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let told = loop {
        let told = call(&house, &token, "echo").await;
        if told.status != 200 {
            break told;
        }
        assert!(tokio::time::Instant::now() < deadline, "old keys are good for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable));
    assert!(challenge(&told).is_empty(), "signing in again would not help");
}

#[tokio::test]
async fn a_provider_that_misbehaves_lets_nobody_in() {
    for manner in [
        Manner::Failing,
        Manner::Huge(10 << 20),
        Manner::RedirectTo("http://169.254.169.254/latest/meta-data/".into()),
        Manner::KeysAt("http://169.254.169.254/jwks".into()),
        Manner::KeysAt("https://169.254.169.254/jwks".into()),
        Manner::KeysAt("http://keys.example/jwks".into()),
        Manner::KeysAt("http://127.0.0.1:1/jwks".into()),
        Manner::Issuer("https://evil.example".into()),
        Manner::Slow(Duration::from_secs(60)),
    ] {
        let provider = Provider::start().await;
        provider.behave(manner.clone());
        let (house, script) = self::house(provider.oauth(false), true).await;
        let told = call(&house, &provider.token(&json!({})), "echo").await;
        assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable), "{manner:?}: {told:?}");
        assert!(script.heard("tools/call").is_empty());
    }
}

// W3: a provider may still vouch for an agent that was disabled here.
#[tokio::test]
async fn an_agent_that_is_disabled_here_is_refused_whatever_its_provider_says() {
    let (house, _script, provider) = open(false).await;
    let token = provider.token(&json!({}));
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    let name = AgentName::new("claude").unwrap();
    let agent = store::NewAgent {
        name: name.clone(),
        kind: store::AgentKind::Agent,
        groups: std::collections::BTreeSet::new(),
        user: None,
    };
    let scope = store::Scope::default();
    house.store.add_agent(&scope, &agent, "ops").await.unwrap();
    house.store.disable_agent(&scope, &name, "ops").await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while call(&house, &token, "echo").await.status == 200 {
        assert!(tokio::time::Instant::now() < deadline, "the agent still gets in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refused(&house), Code::AgentDisabled);
    assert_eq!(house.asker(), decision::Actor::Agent(name));
}

/// A house whose own requests carry a provider's token that is over in two seconds.
async fn short_lived(modern: bool) -> (House, Script, Provider) {
    let provider = Provider::start().await;
    let mut oauth = provider.oauth(false);
    oauth.issuers[0].skew = Duration::ZERO;
    let (mut house, script) = self::house(oauth, modern).await;
    house.token = provider.token(&json!({ "exp": now() + 3 }));
    (house, script, provider)
}

// W3, V4: a stream opened with a token does not outlive it.
#[tokio::test]
async fn a_subscription_ends_when_its_token_expires() {
    use http_body_util::BodyExt as _;
    let (house, _script, _provider) = short_lived(true).await;
    let params = json!({ "notifications": { "toolsListChanged": true },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": params });
    let mut stream = house.open_modern("/mcp", "subscriptions/listen", body.to_string()).await;
    stream.frame().await.unwrap().unwrap();
    let ended = async { while let Some(Ok(_)) = stream.frame().await {} };
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
}

#[tokio::test]
async fn a_session_goes_on_with_a_newer_token_and_its_streams_end_with_the_last_one() {
    use http_body_util::BodyExt as _;
    let (mut house, _script, provider) = short_lived(false).await;
    let session = house.initialize("/mcp").await;
    let until = now() + 12;
    house.token = provider.token(&json!({ "exp": until }));
    assert_eq!(house.legacy("/mcp", &session, 2, "tools/list", json!({})).await.status, 200);
    let other = provider.token(&json!({ "sub": "mallory", "exp": until }));
    let mine = std::mem::replace(&mut house.token, other);
    let told = house.legacy("/mcp", &session, 3, "tools/list", json!({})).await;
    assert_eq!((told.status, refused(&house)), (404, Code::SessionUnknown), "it is alice's");
    house.token = mine;
    let mut stream = house.get("/mcp", &session).await;
    let ended = async { while let Some(Ok(_)) = stream.frame().await {} };
    tokio::time::timeout(Duration::from_secs(40), ended).await.expect("the stream outlives its token");
    assert!(now() >= until, "the stream ended with the first token and not with the last");
    assert_eq!(house.legacy("/mcp", &session, 4, "tools/list", json!({})).await.status, 401);
    // a client that was refused comes back with a refreshed token, and knows its session only
    house.token = provider.token(&json!({ "exp": now() + 60 }));
    assert_eq!(house.legacy("/mcp", &session, 5, "tools/list", json!({})).await.status, 200);
}

// W4, W7: the Host's token is for the gateway alone.
#[tokio::test]
async fn a_providers_token_reaches_no_server_and_no_record() {
    for modern in [true, false] {
        let provider = Provider::start().await;
        let (mut house, script) = self::house(provider.oauth(false), modern).await;
        house.token = provider.token(&json!({}));
        let params = json!({ "name": "script__echo", "arguments": {} });
        let told = if modern {
            house.modern("/mcp", "tools/call", params).await
        } else {
            let session = house.initialize("/mcp").await;
            house.legacy("/mcp", &session, 2, "tools/call", params).await
        };
        assert_eq!(told.status, 200, "{told:?}");
        assert!(!script.heard("tools/call").is_empty());
        let signature = house.token.rsplit_once('.').unwrap().1.to_owned();
        for heard in script.everything() {
            let headers = format!("{:?}", heard.headers);
            assert!(
                !headers.contains(&signature) && !String::from_utf8_lossy(&heard.body).contains(&signature)
            );
        }
        let entries = serde_json::to_string(&house.entries()).unwrap();
        assert!(!entries.contains(&signature) && entries.contains(&format!("oauth:{}#", provider.url)));
    }
}

#[tokio::test]
async fn a_resource_takes_the_scope_to_read_also_for_its_updates() {
    let rogue = crate::rogue::Rogue::start(true, |_, _| None).await;
    let provider = Provider::start().await;
    let declared = server(&rogue.url, Mode::Enforce);
    let mut settings = settings(BTreeMap::from([(ServerName::new("rogue").unwrap(), declared)]));
    settings.oauth = Some(Arc::new(provider.oauth(true)));
    let house = House::with(settings, POLICY).await;
    let held = |scope: &str| format!("Bearer {}", provider.token(&json!({ "scope": scope })));
    let wish = json!({ "notifications": { "resourceSubscriptions": ["file:///shared"] } });
    let uri = json!({ "uri": "file:///shared" });
    for (method, params) in [("resources/read", &uri), ("subscriptions/listen", &wish)] {
        let told = house.modern_as(&held("mcp:other:read"), "/mcp", method, params.clone()).await;
        assert_eq!((told.status, refused(&house)), (403, Code::ScopeInsufficient), "{method}: {told:?}");
        assert!(challenge(&told).contains("scope=\"mcp:other:read mcp:rogue:read\""), "{method}");
    }
    let told = house.modern_as(&held("mcp:rogue:read"), "/mcp", "resources/read", uri).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(rogue.heard("resources/read").len(), 1);
    assert!(rogue.heard("subscriptions/listen").is_empty());
}
