//! Opaque tokens: what their provider says of them, and every way in which that lets nobody in (RFC 7662).

use crate::house::{House, Told};
use crate::oauth::{asker, call, call_at, challenge, house, refused};
use crate::provider::{CLIENT_SECRET, CLIENT_SECRET_NAME, Manner, PUBLIC, Provider, Saying, now};
use crate::script::Script;
use decision::{Code, Ending, Entry};
use identity::oauth::{ClientAuthentication, Oauth};
use serde_json::{Value, json};
use std::time::Duration;

/// A gateway that asks this provider, and has the secret that this takes.
async fn asking(oauth: Oauth, modern: bool) -> (House, Script) {
    let (house, script) = house(oauth, modern).await;
    house.put_secret_named(CLIENT_SECRET_NAME, CLIENT_SECRET).await;
    (house, script)
}

async fn open() -> (House, Script, Provider) {
    let provider = Provider::start().await;
    let (house, script) = asking(provider.introspecting(), true).await;
    (house, script, provider)
}

/// The decisions about errands to the provider.
fn errands(house: &House) -> Vec<decision::Decision> {
    let entries = house.entries();
    let ours = |call| {
        entries.iter().any(|entry| match entry {
            Entry::Intent(intent) => {
                intent.call == call && intent.method.as_deref() == Some("oauth/introspect")
            }
            Entry::Decision(_) | Entry::Event(_) => false,
        })
    };
    let decisions = entries.iter().filter_map(|entry| match entry {
        Entry::Decision(decision) if ours(decision.call) => Some((**decision).clone()),
        Entry::Decision(_) | Entry::Intent(_) | Entry::Event(_) => None,
    });
    decisions.collect()
}

#[tokio::test]
async fn a_token_that_its_provider_vouches_for_is_good_and_the_question_is_on_record() {
    let (house, script, provider) = open().await;
    let token = provider.opaque(&json!({}));
    let told = call(&house, &token, "echo").await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(asker(&house).describe(), "agent claude for alice");
    assert_eq!(script.heard("tools/call").len(), 1);
    assert_eq!(provider.questions(), std::slice::from_ref(&token));

    let asked = errands(&house);
    assert_eq!(asked.len(), 1);
    assert!(matches!(asked[0].ending, Ending::Answered), "{asked:?}");
    let basis: Vec<_> = asked[0].evidence.iter().flat_map(|one| one.basis.clone()).collect();
    assert_eq!(basis[0], format!("secret:{CLIENT_SECRET_NAME}"));
    assert!(basis[1].starts_with(&format!("oauth:{}#", provider.url)), "{basis:?}");
    // by that the decision about the call names the token too
    let decision = serde_json::to_string(&house.last()).unwrap();
    assert!(decision.contains(&basis[1]), "{decision}");
    let entries = serde_json::to_string(&house.entries()).unwrap();
    assert!(!entries.contains(&token) && !entries.contains("canary"), "neither token nor secret");
}

#[tokio::test]
async fn a_signed_token_of_the_same_provider_is_judged_here_and_asked_about_nowhere() {
    let (house, _script, provider) = open().await;
    assert_eq!(call(&house, &provider.token(&json!({})), "echo").await.status, 200);
    let signed = provider.token(&json!({}));
    let (cut, _) = signed.rsplit_once('.').unwrap();
    let stranger = Provider::start().await;
    for (token, code) in [
        (cut.to_owned(), Code::CredentialMalformed),
        (format!("{signed}.x.y"), Code::CredentialMalformed),
        (signed.replacen('.', "!.", 1).replace('!', "~"), Code::CredentialMalformed),
        (stranger.token(&json!({})), Code::IssuerUnknown),
        ("short".to_owned(), Code::CredentialMalformed),
        ("a".repeat(2_049), Code::CredentialMalformed),
        ("cgt_0123456789abcdef".to_owned(), Code::CredentialMalformed),
        ("CGT_0123456789abcdef".to_owned(), Code::CredentialMalformed),
    ] {
        let told = call(&house, &token, "echo").await;
        assert_eq!((told.status, refused(&house)), (401, code), "{token}: {told:?}");
    }
    assert!(provider.questions().is_empty() && stranger.asked("/introspect") == 0);
}

#[tokio::test]
async fn what_a_provider_says_is_judged_as_the_claims_of_a_signed_token_are() {
    let cases = |provider: &Provider| {
        [
            (json!({ "active": false }), Code::TokenInactive),
            (json!({ "iss": format!("{}/", provider.url) }), Code::IssuerUnknown),
            (json!({ "iss": "https://other.example" }), Code::IssuerUnknown),
            (json!({ "iss": 7 }), Code::IssuerUnknown),
            (json!({ "aud": null }), Code::ClaimMissing),
            (json!({ "aud": PUBLIC }), Code::TokenAudienceMismatch),
            (json!({ "aud": [format!("{PUBLIC}/s/script/mcp")] }), Code::TokenAudienceMismatch),
            (json!({ "exp": null }), Code::ClaimMissing),
            (json!({ "aud": { "": format!("{PUBLIC}/mcp") } }), Code::ClaimMissing),
            (json!({ "aud": [[format!("{PUBLIC}/mcp")]] }), Code::ClaimMissing),
            (json!({ "exp": (now() + 300).to_string() }), Code::ClaimMissing),
            (json!({ "exp": -1 }), Code::ClaimMissing),
            (json!({ "exp": 1e300 }), Code::ClaimMissing),
            (json!({ "exp": now() - 61 }), Code::CredentialExpired),
            (json!({ "nbf": now() + 90 }), Code::CredentialEarly),
            (json!({ "token_type": "DPoP" }), Code::TokenHeaderRefused),
            (json!({ "token_type": "refresh_token" }), Code::TokenHeaderRefused),
            (json!({ "token_use": "refresh_token" }), Code::TokenHeaderRefused),
            (json!({ "typ": "Refresh" }), Code::TokenHeaderRefused),
            (json!({ "token_type": ["Bearer"] }), Code::TokenHeaderRefused),
            (json!({ "sub": null }), Code::ClaimMissing),
            (json!({ "sub": ["alice"] }), Code::ClaimMissing),
            (json!({ "sub": "a b" }), Code::ClaimUnusable),
            (json!({ "client_id": null }), Code::ClaimMissing),
            (json!({ "groups": 7 }), Code::ClaimUnusable),
            (json!({ "cnf": { "jkt": "x" } }), Code::TokenUnproven),
            (json!({ "cnf": { "x5t#S256": "A".repeat(43) } }), Code::TokenUnproven),
        ]
    };
    // so many refusals of one stranger are recorded one by one
    for from in [0, 20] {
        let (house, script, provider) = open().await;
        for (said, code) in cases(&provider).iter().skip(from).take(20) {
            let token = provider.opaque(said);
            let told = call(&house, &token, "echo").await;
            assert_eq!((told.status, refused(&house)), (401, *code), "{said}: {told:?}");
            assert!(challenge(&told).contains("error=\"invalid_token\""), "{}", challenge(&told));
            assert!(!String::from_utf8_lossy(&told.body).contains(&token));
        }
        assert!(script.heard("tools/call").is_empty());
    }
    let (house, _script, provider) = open().await;
    // what providers leave out or add, and may
    for said in [
        json!({ "iss": null, "token_type": null }),
        json!({ "typ": "Bearer", "token_type": "bearer", "token_use": "access_token" }),
        // clocks that are apart, by less than what is allowed for
        json!({ "exp": now() - 30 }),
        json!({ "nbf": now() + 30 }),
        json!({ "exp": 253_402_300_799_u64 }),
    ] {
        let told = call(&house, &provider.opaque(&said), "echo").await;
        assert_eq!(told.status, 200, "{said}: {told:?}");
    }
    let own = json!({ "sub": "nightly", "client_id": "nightly" });
    assert_eq!(call(&house, &provider.opaque(&own), "echo").await.status, 200);
    assert_eq!(asker(&house).describe(), "workload nightly");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided, "every one is in the record");
}

#[tokio::test]
async fn a_vouched_token_is_for_one_entrance_with_every_request() {
    let (house, _script, provider) = open().await;
    let token = provider.opaque(&json!({ "aud": ["x", format!("{PUBLIC}/s/script/mcp")] }));
    assert_eq!(call_at(&house, "/s/script/mcp", &token, "echo").await.status, 200);
    assert_eq!(call(&house, &token, "echo").await.status, 401);
    assert_eq!(refused(&house), Code::TokenAudienceMismatch);
    assert_eq!(provider.questions().len(), 1);
}

#[tokio::test]
async fn a_yes_that_is_remembered_is_none_once_the_token_is_over() {
    let (house, _script, provider) = open().await;
    let token = provider.opaque(&json!({}));
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    // as after a machine slept, which no timer of the cache counts
    house.advance(Duration::from_secs(400));
    let told = call(&house, &token, "echo").await;
    assert_eq!((told.status, refused(&house)), (401, Code::CredentialExpired), "{told:?}");
    assert_eq!(provider.questions().len(), 1);
}

#[tokio::test]
async fn a_provider_is_not_asked_again_and_again_about_a_token_that_is_over() {
    let (house, _script, provider) = open().await;
    let token = provider.opaque(&json!({ "exp": now() - 61 }));
    for _ in 0..3 {
        assert_eq!(call(&house, &token, "echo").await.status, 401);
        assert_eq!(refused(&house), Code::CredentialExpired);
    }
    assert_eq!(provider.questions().len(), 1);
}

#[tokio::test]
async fn a_provider_that_gives_no_straight_answer_lets_nobody_in_and_blames_no_token() {
    let active = |more: &str| format!("{{\"active\":true{more}}}");
    for saying in [
        Saying::Raw(500, "application/json", active("")),
        Saying::Raw(201, "application/json", active("")),
        Saying::Raw(409, "application/json", active("")),
        Saying::Raw(200, "text/html", active("")),
        Saying::Raw(200, "application/token-introspection+jwt", active("")),
        Saying::Raw(200, "application/json", String::new()),
        Saying::Raw(200, "application/json", "[]".into()),
        Saying::Raw(200, "application/json", "true".into()),
        Saying::Raw(200, "application/json", "{\"active\":\"true\"}".into()),
        Saying::Raw(200, "application/json", "{\"active\":1}".into()),
        Saying::Raw(200, "application/json", "{\"sub\":\"alice\"}".into()),
        Saying::Raw(200, "application/json", "{\"active\":false,\"active\":true}".into()),
        Saying::Raw(200, "application/json", active(&format!(",\"x\":\"{}\"", "y".repeat(40_000)))),
        Saying::RedirectTo("http://169.254.169.254/latest/meta-data/".into()),
        Saying::Slowly(Duration::from_secs(60)),
    ] {
        let (house, script, provider) = open().await;
        let token = provider.opaque(&json!({}));
        provider.say(saying.clone());
        let told = call(&house, &token, "echo").await;
        assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable), "{saying:?}: {told:?}");
        assert!(challenge(&told).is_empty(), "signing in again would not help");
        assert!(script.heard("tools/call").is_empty());
        assert!(matches!(errands(&house)[0].ending, Ending::Failed { code: Code::ProviderUnreachable }));
        // the token is not blamed, and once the provider is well again it is good
        provider.say(Saying::Truly);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(call(&house, &token, "echo").await.status, 200, "{saying:?}");
    }
}

#[tokio::test]
async fn a_provider_that_is_gone_is_no_reason_to_believe_a_token() {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    oauth.issuers[0].introspection.as_mut().unwrap().cache = Duration::from_secs(2);
    let (house, _script) = asking(oauth, true).await;
    let token = provider.opaque(&json!({}));
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    provider.die();
    assert_eq!(call(&house, &token, "echo").await.status, 200, "the answer is fresh enough");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let told = call(&house, &token, "echo").await;
    assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable), "{told:?}");
}

#[tokio::test]
async fn a_gateway_that_may_not_ask_says_so_and_lets_nobody_in() {
    let provider = Provider::start().await;
    let token = provider.opaque(&json!({}));
    let expect = async |house: &House, why: &str| {
        let told = call(house, &token, "echo").await;
        assert_eq!((told.status, refused(house)), (503, Code::ProviderRefused), "{why}: {told:?}");
        assert!(challenge(&told).is_empty() && !format!("{told:?}").contains(CLIENT_SECRET_NAME));
    };
    let (none, _script) = house(provider.introspecting(), true).await;
    expect(&none, "no secret is stored").await;
    assert!(provider.asked("/introspect") == 0);
    let (wrong, _script) = house(provider.introspecting(), true).await;
    wrong.put_secret_named(CLIENT_SECRET_NAME, "another").await;
    expect(&wrong, "another secret").await;
    assert_eq!(provider.questions().len(), 0);
}

#[tokio::test]
async fn the_clients_secret_can_be_sent_in_the_body_where_that_is_configured() {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    let introspection = oauth.issuers[0].introspection.as_mut().unwrap();
    introspection.authentication = ClientAuthentication::Post;
    introspection.endpoint = Some(format!("{}/introspect", provider.url));
    let (house, _script) = asking(oauth, true).await;
    assert_eq!(call(&house, &provider.opaque(&json!({})), "echo").await.status, 200);
}

#[tokio::test]
async fn metadata_cannot_send_tokens_and_the_gateways_secret_elsewhere() {
    let elsewhere = Provider::start().await;
    for endpoint in [format!("{}/introspect", elsewhere.url), "https://evil.example/introspect".to_owned()] {
        let provider = Provider::start().await;
        provider.behave(Manner::IntrospectionAt(endpoint.clone()));
        let (house, _script) = asking(provider.introspecting(), true).await;
        let told = call(&house, &provider.opaque(&json!({})), "echo").await;
        assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable), "{endpoint}");
        assert_eq!(elsewhere.asked("/introspect"), 0);
        // and the operator is told so, rather than that a connection was refused
        let because = serde_json::to_string(&errands(&house)).unwrap();
        assert!(because.contains("at another address than the issuer's"), "{because}");
    }
}

#[tokio::test]
async fn a_place_that_is_not_found_is_not_looked_for_with_every_token() {
    let provider = Provider::start().await;
    provider.behave(Manner::Issuer("https://other.example".into()));
    let mut oauth = provider.introspecting();
    oauth.issuers[0].source.pause = Duration::from_secs(600);
    let (house, _script) = asking(oauth, true).await;
    for _ in 0..20 {
        let told = call(&house, &provider.opaque(&json!({})), "echo").await;
        assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable));
    }
    // once for the keys, and for the tokens every two seconds
    let looked = provider.asked("/.well-known/oauth-authorization-server");
    assert!(looked <= 6, "{looked} times for 20 tokens");
}

#[tokio::test]
async fn a_place_that_is_known_is_asked_at_while_its_metadata_is_gone_and_not_for_ever() {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    oauth.issuers[0].source.refresh = Duration::from_millis(50);
    oauth.issuers[0].source.keys_max_age = Duration::from_secs(3);
    let (house, _script) = asking(oauth, true).await;
    assert_eq!(call(&house, &provider.opaque(&json!({})), "echo").await.status, 200);
    provider.behave(Manner::Issuer("https://other.example".into()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(call(&house, &provider.opaque(&json!({})), "echo").await.status, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = call(&house, &provider.opaque(&json!({})), "echo").await;
    assert_eq!((told.status, refused(&house)), (503, Code::ProviderUnreachable));
}

/// Where every request is answered with these very bytes, over a connection that stays open; `more` follows again
/// and again.
async fn mouth(said: String, more: &'static str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let said = said.clone();
            tokio::spawn(async move {
                let mut heard = [0; 16 << 10];
                while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(said.as_bytes()).await;
                    while !more.is_empty() && stream.write_all(more.as_bytes()).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            });
        }
    });
    url
}

fn answered(body: &str, more: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn no_bytes_of_a_provider_let_anybody_in_but_one_whole_answer_to_the_one_question() {
    let provider = Provider::start().await;
    let mut yes = provider.claims();
    yes["active"] = json!(true);
    let yes = yes.to_string();
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let endless = format!("{chunked}{:x}\r\n{yes}\r\n", yes.len());
    let all = [
        (answered(&yes, ""), "", true),
        // the second answer would be that to the next question
        (answered("{\"active\":false}", "") + &answered(&yes, ""), "", false),
        (answered(&yes, "content-encoding: gzip\r\n"), "", false),
        (answered(&yes, "content-length: 3\r\n"), "", false),
        (answered(&yes, "transfer-encoding: gzip\r\n"), "", false),
        (answered(&format!("<html>{yes}</html>"), ""), "", false),
        (format!("{head}content-length: {}\r\n\r\n{yes}", yes.len() + 1), "", false),
        (endless.clone(), "", false),
        (endless, "1\r\n \r\n", false),
        ("HTTP/1.1 103 Early Hints\r\n\r\n".to_owned(), "HTTP/1.1 103 Early Hints\r\n\r\n", false),
        (head.to_owned(), "x: y\r\n", false),
        (yes.clone(), "", false),
    ];
    let one = async |(said, more, good): (String, &'static str, bool)| {
        let mut oauth = provider.introspecting();
        let introspection = oauth.issuers[0].introspection.as_mut().unwrap();
        introspection.endpoint = Some(mouth(said.clone(), more).await);
        let (house, script) = asking(oauth, true).await;
        let began = tokio::time::Instant::now();
        for _ in 0..2 {
            let told = call(&house, &provider.opaque(&json!({})), "echo").await;
            assert_eq!(told.status == 200, good, "{said} {more}: {told:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(25), "{said} {more}");
        assert_eq!(script.heard("tools/call").len(), if good { 2 } else { 0 });
    };
    // boxed: side by side they would fill the stack
    let all = all.map(|case| Box::pin(one(case)));
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn a_new_token_is_asked_about_once_for_everybody_and_then_remembered_for_a_while() {
    let (house, _script, provider) = open().await;
    let token = provider.opaque(&json!({}));
    provider.say(Saying::Slowly(Duration::from_millis(300)));
    let calls = (0..8).map(|_| call(&house, &token, "echo"));
    for told in futures::future::join_all(calls).await {
        assert_eq!(told.status, 200, "{told:?}");
    }
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    assert_eq!(provider.questions().len(), 1);
    // a no is remembered too
    for _ in 0..5 {
        assert_eq!(call(&house, "made-up-0123456789", "echo").await.status, 401);
    }
    assert_eq!(provider.questions().len(), 2);
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_reaches_neither_the_provider_nor_those_who_are_in() {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    oauth.issuers[0].introspection.as_mut().unwrap().cache = Duration::from_secs(1);
    let (house, _script) = asking(oauth, true).await;
    let token = provider.opaque(&json!({}));
    assert_eq!(call(&house, &token, "echo").await.status, 200);
    let flood = async |from: u32| {
        let made_up: Vec<_> = (from..from + 100).map(|n| format!("made-up-0123456789-{n}")).collect();
        let calls = made_up.iter().map(|token| call(&house, token, "echo"));
        futures::future::join_all(calls).await.into_iter().map(|told| told.status).collect::<Vec<_>>()
    };
    let began = tokio::time::Instant::now();
    let first = flood(0).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (second, mine) = tokio::join!(flood(1_000), call(&house, &token, "echo"));
    assert_eq!(mine.status, 200, "whoever is in stays in: {mine:?}");
    assert!(first.iter().chain(&second).all(|status| matches!(status, 401 | 503)));
    assert!(first.contains(&503) && second.contains(&503), "some are told that it is too much");
    let allowed = 66 + 20 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1);
    assert!(provider.questions().len() <= allowed, "{} of {allowed}", provider.questions().len());
    assert_eq!(errands(&house).len(), provider.questions().len(), "what is not asked is no errand");

    // nor does it fill the record: what is asked beyond the first hundred is counted, save what turns out to be somebody's
    for n in 2..7 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        flood(1_000 * n).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let token = provider.opaque(&json!({ "sub": "bob" }));
    while call(&house, &token, "echo").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway::tell_strangers(&house.gate).await.unwrap();
    let counted = |entry: &Entry| match entry {
        Entry::Event(event) => event.detail.get("questions").and_then(|n| n.parse::<usize>().ok()),
        Entry::Intent(_) | Entry::Decision(_) => None,
    };
    let counted: usize = house.entries().iter().filter_map(counted).sum();
    let (recorded, asked) = (errands(&house), provider.questions().len());
    assert!(counted > 0 && recorded.len() + counted == asked, "{} and {counted} of {asked}", recorded.len());
    let name = asker(&house).describe();
    assert!(name.contains("bob") && matches!(recorded.last().unwrap().ending, Ending::Answered), "{name}");
}

/// A house whose own requests carry an opaque token, and whose provider is asked again after a second.
async fn soon_again(modern: bool) -> (House, Script, Provider) {
    let provider = Provider::start().await;
    let mut oauth = provider.introspecting();
    oauth.issuers[0].introspection.as_mut().unwrap().cache = Duration::from_secs(1);
    let (mut house, script) = asking(oauth, modern).await;
    house.token = provider.opaque(&json!({}));
    (house, script, provider)
}

#[tokio::test]
async fn a_token_that_is_revoked_at_its_provider_stops_working_within_the_caches_time() {
    let (house, script, provider) = soon_again(true).await;
    assert_eq!(call(&house, &house.token, "echo").await.status, 200);
    provider.revoke(&house.token);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let told = call(&house, &house.token, "echo").await;
    assert_eq!((told.status, refused(&house)), (401, Code::TokenInactive), "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

async fn ends(mut stream: hyper::body::Incoming, why: &str) {
    use http_body_util::BodyExt as _;
    let ended = async { while let Some(Ok(_)) = stream.frame().await {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    assert!(ended.is_ok(), "{why}");
}

fn subscription() -> String {
    let params = json!({ "notifications": { "toolsListChanged": true },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    json!({ "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": params }).to_string()
}

#[tokio::test]
async fn streams_end_when_their_token_is_revoked_at_its_provider_and_not_before() {
    use http_body_util::BodyExt as _;
    let (house, _script, provider) = soon_again(true).await;
    let mut stream = house.open_modern("/mcp", "subscriptions/listen", subscription()).await;
    stream.frame().await.unwrap().unwrap();
    // several times over the cache's time and that of the look at standings
    let early = tokio::time::timeout(Duration::from_secs(12), stream.frame()).await;
    assert!(early.is_err(), "it ended although the provider vouches for its token");
    assert!(provider.questions().len() > 2, "it was asked again");
    provider.revoke(&house.token);
    ends(stream, "the stream outlives its token").await;

    let (house, _script, provider) = soon_again(false).await;
    let session = house.initialize("/mcp").await;
    let stream = house.get("/mcp", &session).await;
    provider.revoke(&house.token);
    ends(stream, "the session's stream outlives its token").await;
    assert_eq!(house.legacy("/mcp", &session, 2, "tools/list", json!({})).await.status, 401);
    let mut house = house;
    house.token = provider.opaque(&json!({}));
    let told = house.legacy("/mcp", &session, 3, "tools/list", json!({})).await;
    assert_eq!(
        (told.status, refused(&house)),
        (404, Code::SessionUnknown),
        "a revoked one's session is gone"
    );
}

#[tokio::test]
async fn nobody_is_asked_about_the_token_of_a_session_in_which_nothing_goes_on() {
    let (house, _script, provider) = soon_again(false).await;
    let session = house.initialize("/mcp").await;
    // several times over the cache's time and that of the look at standings
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!((provider.questions().len(), errands(&house).len()), (1, 1), "nothing depends on the answer");
    let _stream = house.get("/mcp", &session).await;
    assert_eq!(provider.questions().len(), 2, "whoever comes again is asked about");
    for _ in 0..300 {
        if provider.questions().len() > 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(provider.questions().len() > 2, "a stream depends on it");
}

#[tokio::test]
async fn a_stream_ends_when_its_provider_says_something_else_of_its_token() {
    let another = [
        json!({ "groups": ["support", "finance"] }),
        json!({ "sub": "bob" }),
        json!({ "client_id": "bot" }),
        json!({ "aud": format!("{PUBLIC}/s/script/mcp") }),
        json!({ "cnf": { "x5t#S256": "A".repeat(43) } }),
    ];
    let all = another.iter().map(async |changed| {
        let (house, _script, provider) = soon_again(false).await;
        let session = house.initialize("/mcp").await;
        let stream = house.get("/mcp", &session).await;
        provider.says_of(&house.token, changed);
        ends(stream, &format!("the stream outlives what was said of its token: {changed}")).await;
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn streams_end_when_nobody_vouches_for_their_token_any_more() {
    let (house, _script, provider) = soon_again(false).await;
    let session = house.initialize("/mcp").await;
    let stream = house.get("/mcp", &session).await;
    provider.say(Saying::Raw(500, "application/json", "{}".into()));
    ends(stream, "the stream outlives the provider's word").await;
    provider.say(Saying::Truly);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // the person did nothing wrong, and goes on with the session
    assert_eq!(house.legacy("/mcp", &session, 2, "tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn an_opaque_token_and_its_clients_secret_reach_no_server() {
    let (house, script, provider) = soon_again(true).await;
    let params = json!({ "name": "script__echo", "arguments": {} });
    let told: Told = house.modern("/mcp", "tools/call", params).await;
    assert_eq!(told.status, 200, "{told:?}");
    for heard in script.everything() {
        let all = format!("{:?} {}", heard.headers, String::from_utf8_lossy(&heard.body));
        assert!(!all.contains(&house.token) && !all.contains("canary%"));
    }
    let shown = [Value::String(format!("{:?}", house.gate)), json!(house.gate.metrics_text())];
    for text in shown.iter().filter_map(Value::as_str) {
        assert!(!text.contains(&house.token) && !text.contains("canary%"), "{text}");
    }
    assert_eq!(provider.questions().len(), 1);
}

#[tokio::test]
async fn a_secret_that_is_for_one_server_is_not_the_providers() {
    let provider = Provider::start().await;
    let (house, _script) = house(provider.introspecting(), true).await;
    house.put_secret_for(CLIENT_SECRET_NAME, CLIENT_SECRET, Some("script")).await;
    let told = call(&house, &provider.opaque(&json!({})), "echo").await;
    assert_eq!((told.status, refused(&house)), (503, Code::ProviderRefused));
    house.put_secret_for(CLIENT_SECRET_NAME, CLIENT_SECRET, Some("identity-provider")).await;
    house.until_noticed().await;
    // strangers are not asked about for a while after the gateway was not let in
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(call(&house, &provider.opaque(&json!({})), "echo").await.status, 200);
}

#[tokio::test]
async fn a_secret_that_is_the_providers_goes_to_no_server() {
    let (house, script, provider) = open().await;
    house.put_secret_for("key", "for-the-provider-alone", Some("identity-provider")).await;
    house.until_noticed().await;
    call(&house, &provider.opaque(&json!({})), "echo").await;
    assert_eq!(refused(&house), Code::SecretMissing);
    for heard in script.everything() {
        assert!(!format!("{:?}", heard.headers).contains("for-the-provider-alone"));
    }
}
