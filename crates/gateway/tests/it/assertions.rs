//! For whom a call is made, as its server sees and checks it (requirement I2).

use crate::house::{House, server, settings};
use crate::rogue::{Rogue, Said};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use callgate_gateway::settings::{AssertionUse, Mode};
use decision::ServerName;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const POLICY: &str =
    r#"@id("all") @because("everybody may use the server") permit (principal, action, resource);"#;
const HEADER: &str = "x-callgate-assertion";
const AUDIENCE: &str = "https://crm.example.com/mcp";

/// Every message with the assertions it came with.
type Seen = Arc<Mutex<Vec<(Value, Vec<String>)>>>;

async fn house(modern: bool, groups: bool) -> (House, Seen) {
    let seen = Seen::default();
    let noting = Arc::clone(&seen);
    let rogue = Rogue::start(modern, move |message, headers| {
        let tokens = headers.get_all(HEADER).iter().map(|value| value.to_str().unwrap().to_owned());
        noting.lock().push((message.clone(), tokens.collect()));
        None::<Said>
    })
    .await;
    let mut one = server(&rogue.url, Mode::Enforce);
    one.assertion =
        Some(AssertionUse { header: HEADER.parse().unwrap(), audience: AUDIENCE.to_owned(), groups });
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
    (House::with(settings(servers), POLICY).await, seen)
}

/// What the server of the documentation does: the gateway's published keys, and what it has seen before.
struct Verifier {
    keys: JwkSet,
    seen: BTreeSet<String>,
}

impl Verifier {
    async fn of(house: &House) -> Self {
        let told = house.fetch("/.well-known/callgate-assertions/jwks.json").await;
        assert_eq!((told.status, told.headers["content-type"].to_str().unwrap()), (200, "application/json"));
        Self { keys: serde_json::from_slice(&told.body).unwrap(), seen: BTreeSet::new() }
    }

    /// The claims, if the token is good for this server and this tool now, and for the first time.
    fn check(&mut self, token: &str, audience: &str, tool: &str) -> Option<Value> {
        let id = decode_header(token).ok()?.kid?;
        let key = DecodingKey::from_jwk(self.keys.find(&id)?).ok()?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        validation.set_issuer(&["https://gate.example.com"]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.leeway = 0;
        let claims = decode::<Value>(token, &key, &validation).ok()?.claims;
        let bound = claims["callgate"]["method"] == "tools/call" && claims["callgate"]["name"] == tool;
        let first = bound && self.seen.insert(claims["jti"].as_str()?.to_owned());
        first.then_some(claims)
    }
}

async fn call(house: &House, token: &str) -> Value {
    let params = json!({ "name": "go", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test-host", "version": "1" } } });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "go"),
        // a Host's own claim goes no further
        (HEADER, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."),
    ];
    house.post("/s/crm/mcp", &headers, body).await.json()
}

/// The one assertion of the last call of a tool.
fn of_last_call(seen: &Seen) -> String {
    let seen = seen.lock();
    let (_, tokens) = seen.iter().rev().find(|(message, _)| message["method"] == "tools/call").unwrap();
    assert_eq!(tokens.len(), 1, "the gateway's, and no other");
    tokens[0].clone()
}

#[tokio::test]
async fn a_server_learns_for_whom_a_call_is_made_and_takes_no_assertion_that_is_not_for_it_and_new() {
    let (house, seen) = house(true, true).await;
    let alice = house.agent_of("of-alice", "alice").await;
    assert_eq!(call(&house, &alice).await["result"]["content"][0]["text"], "gone");
    let token = of_last_call(&seen);
    let mut verifier = Verifier::of(&house).await;
    assert!(verifier.check(&token, "https://files.example.com/mcp", "go").is_none(), "for another server");
    assert!(verifier.check(&token, AUDIENCE, "pay").is_none(), "for another tool");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let forged = BASE64_URL_SAFE_NO_PAD.encode(text.replace("\"sub\":\"alice\"", "\"sub\":\"admin\""));
    assert_ne!(forged, claims);
    assert!(verifier.check(&format!("{head}.{forged}.{signature}"), AUDIENCE, "go").is_none(), "forged");
    let claims = verifier.check(&token, AUDIENCE, "go").unwrap();
    assert!(verifier.check(&token, AUDIENCE, "go").is_none(), "played again");
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&json!("alice"), &json!("agent:of-alice")));
    assert_eq!(claims["groups"], json!([]));
    assert_eq!(claims["aud"], json!(AUDIENCE), "for this server and no second one");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!(claims["callgate"]["call"], house.last().call.to_string(), "the call of the record");
    assert!(claims["jti"].as_str().unwrap().starts_with(&house.last().call.to_string()));
    assert!(house.last().evidence.iter().any(|one| one.basis.contains(&format!("assertion:{AUDIENCE}"))));
    // an agent without a user says so
    call(&house, &house.token.clone()).await;
    let claims = verifier.check(&of_last_call(&seen), AUDIENCE, "go").unwrap();
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("agent:bot"), &Value::Null));
}

#[tokio::test]
async fn every_message_of_a_session_has_an_assertion_of_its_own() {
    let (house, seen) = house(false, false).await;
    let session = house.initialize("/s/crm/mcp").await;
    for id in 2..5 {
        house
            .legacy("/s/crm/mcp", &session, id, "tools/call", json!({ "name": "go", "arguments": {} }))
            .await;
    }
    let keys = Verifier::of(&house).await.keys;
    let mut ids = BTreeSet::new();
    let seen = std::mem::take(&mut *seen.lock());
    assert!(seen.iter().any(|(message, _)| message["method"] == "initialize"));
    for (message, tokens) in &seen {
        assert_eq!(tokens.len(), 1, "{message}");
        let id = decode_header(&tokens[0]).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(keys.find(&id).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        let claims = decode::<Value>(&tokens[0], &key, &validation).unwrap().claims;
        assert!(claims.get("groups").is_none(), "nobody asked");
        assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "{message} came with a used one");
    }
    let first = seen.first().map(|(message, _)| message["method"].clone());
    assert!(first == Some(json!("server/discover")) || first == Some(json!("initialize")), "{first:?}");
}

#[tokio::test]
async fn a_replaced_key_signs_no_more_and_is_published_for_those_that_still_check_with_it() {
    let (house, seen) = house(true, false).await;
    call(&house, &house.token.clone()).await;
    let before = of_last_call(&seen);
    house.put_assertion_key().await;
    house.until_noticed().await;
    call(&house, &house.token.clone()).await;
    let after = of_last_call(&seen);
    let id = |token: &str| decode_header(token).unwrap().kid.unwrap();
    assert_ne!(id(&before), id(&after));
    let mut verifier = Verifier::of(&house).await;
    assert!(
        verifier.check(&before, AUDIENCE, "go").is_some() && verifier.check(&after, AUDIENCE, "go").is_some()
    );
    // for an hour, and then no longer
    house.advance(std::time::Duration::from_secs(3_500));
    assert_eq!(callgate_gateway::tidy_secrets(&house.gate).await.unwrap(), 0);
    house.advance(std::time::Duration::from_secs(200));
    assert_eq!(callgate_gateway::tidy_secrets(&house.gate).await.unwrap(), 1);
}

#[tokio::test]
async fn an_assertion_that_its_server_says_again_is_seen_by_nobody_else() {
    for (modern, shape) in
        [(true, "whole"), (true, "signature"), (true, "base64"), (true, "error"), (false, "whole")]
    {
        let seen = Seen::default();
        let noting = Arc::clone(&seen);
        let rogue = Rogue::start(modern, move |message, headers| {
            let token = headers.get(HEADER).map(|value| value.to_str().unwrap().to_owned())?;
            noting.lock().push((message.clone(), vec![token.clone()]));
            let signature = token.rsplit('.').next().unwrap().to_owned();
            (message["method"] == "tools/call").then(|| match shape {
                "signature" => Said::Result(crate::rogue::text(&format!("signed {signature}!"))),
                "base64" => {
                    Said::Result(crate::rogue::text(&BASE64_STANDARD.encode(format!("you sent: {token}"))))
                }
                "error" => {
                    Said::Error(json!({ "code": -32000, "message": format!("`{token}` is no token") }))
                }
                _ => Said::Result(crate::rogue::text(&format!("you sent {token}"))),
            })
        })
        .await;
        let mut one = server(&rogue.url, Mode::Enforce);
        one.assertion = Some(AssertionUse {
            header: HEADER.parse().unwrap(),
            audience: AUDIENCE.to_owned(),
            groups: false,
        });
        let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
        let house = House::with(settings(servers), POLICY).await;
        let told = if modern {
            call(&house, &house.token.clone()).await
        } else {
            let session = house.initialize("/s/crm/mcp").await;
            let params = json!({ "name": "go", "arguments": {} });
            house.legacy("/s/crm/mcp", &session, 2, "tools/call", params).await.json()
        };
        let text = told.to_string();
        let token = of_last_call(&seen);
        let signature = token.rsplit('.').next().unwrap();
        let encoded = BASE64_STANDARD.encode(format!("you sent: {token}"));
        // a stretch of the middle, whatever its ends became
        let middle = encoded.get(encoded.len() - 60..encoded.len() - 20).unwrap();
        assert!(!text.contains(signature) && !text.contains(middle), "{shape}: {text}");
        assert!(text.contains("[secret:assertion]"), "{shape}: {text}");
        assert!(
            house.last().evidence.iter().any(|one| one.basis.contains(&"masked:assertion×1".to_owned())),
            "{shape}"
        );
    }
}

/// What the example of the documentation is asked: a token and a tool for each line.
const ASK: &str = r#"
import sys
for line in sys.stdin:
    try:
        print("yes", caller(*line.split()), flush=True)
    except Exception as error:
        print("no", type(error).__name__, error, flush=True)
"#;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "`cargo xtask test` says where the fetched Python is")]
async fn the_example_of_the_documentation_takes_an_assertion_once_and_no_other() {
    let Ok(python) = std::env::var("CALLGATE_EXTERNALS_PYTHON") else {
        println!("left out: `cargo xtask test` runs it, with the Python packages it fetches");
        return;
    };
    let (house, seen) = house(true, false).await;
    let alice = house.agent_of("of-alice", "alice").await;
    call(&house, &alice).await;
    let token = of_last_call(&seen);
    call(&house, &alice).await;
    let second = of_last_call(&seen);
    let page = include_str!("../../../../docs/secrets.md");
    let example = page.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let here = example
        .replace("http://127.0.0.1:8484/.well-known", &format!("http://{}/.well-known", house.address))
        .replace("issuer=\"http://127.0.0.1:8484\"", "issuer=\"https://gate.example.com\"");
    let elsewhere = here.replace(AUDIENCE, "https://files.example.com/mcp");
    assert!(here.contains("gate.example.com") && elsewhere != here, "{example}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", signed.replace("eyJ", "eyK"));
    let lines = [
        format!("{forged} go"),
        format!("{second} pay"),
        format!("{token} go"),
        format!("{token} go"),
        format!("{second} go"),
    ];
    let ask = |script: String| {
        let (python, lines) = (format!("{python}/bin/python"), lines.join("\n"));
        tokio::task::spawn_blocking(move || {
            use std::{
                io::Write as _,
                process::{Command, Stdio},
            };
            let mut command = Command::new(python);
            command.env_clear().args(["-c", &(script + ASK)]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        })
    };
    let said = ask(here).await.unwrap();
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), lines.len(), "{said:?}");
    assert!(said[0].starts_with("no Invalid") || said[0].starts_with("no Decode"), "{said:?}");
    assert_eq!(said[1], "no PermissionError the assertion is for another tool");
    assert_eq!(said[2..], ["yes alice", "no PermissionError the assertion was used before", "yes alice"]);
    let said = ask(elsewhere).await.unwrap();
    assert!(said.lines().all(|line| line.starts_with("no")) && said.contains("InvalidAudience"), "{said}");
}
