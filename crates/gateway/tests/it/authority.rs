//! In whose name a server is used: nobody's credential stands in for another's (requirements D2, I7, P12).

use crate::crossing::eventually;
use crate::house::{House, SECRET, server, settings};
use crate::rogue::Rogue;
use callgate_gateway::settings::{Authority, Mode};
use decision::{Code, Ending, Entry, ServerName};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const POLICY: &str =
    r#"@id("all") @because("everybody may use the server") permit (principal, action, resource);"#;

/// What each call was sent with, by the name in its arguments.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A house before one server that is used per user, and what that server sees.
async fn per_user(modern: bool) -> (House, Rogue, Seen) {
    let seen = Seen::default();
    let noting = Arc::clone(&seen);
    let rogue = Rogue::start(modern, move |message, headers| {
        let watches = message["params"]["notifications"]["resourceSubscriptions"].is_array();
        if message["method"] == "tools/call" || watches {
            let who = message["params"]["arguments"]["who"].as_str().unwrap_or_default().to_owned();
            let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            noting.lock().push((who, header("authorization").to_owned()));
        }
        (message["method"] == "tools/list").then(|| {
            let schema = json!({ "type": "object", "properties": { "who": { "type": "string" } } });
            crate::rogue::Said::Result(json!({ "tools": [{ "name": "go", "inputSchema": schema }] }))
        })
    })
    .await;
    let mut one = server(&rogue.url, Mode::Enforce);
    one.authority = Authority::PerUser;
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
    (House::with(settings(servers), POLICY).await, rogue, seen)
}

async fn call(house: &House, token: &str, who: &str) -> Value {
    let params = json!({ "name": "go", "arguments": { "who": who } });
    house.modern_as(&format!("Bearer {token}"), "/s/crm/mcp", "tools/call", params).await.json()
}

fn refused(house: &House) -> Option<Code> {
    if let Ending::Refused { code } = house.last().ending { Some(code) } else { None }
}

#[tokio::test]
async fn neither_the_shared_secret_nor_another_users_stands_in_for_a_users_own() {
    let (house, _rogue, seen) = per_user(true).await;
    let (alice, bob) = (house.agent_of("of-alice", "alice").await, house.agent_of("of-bob", "bob").await);
    // the shared secret of that name is stored, and reaches no call of a person
    let told = call(&house, &alice, "alice").await;
    assert_eq!(refused(&house), Some(Code::SecretMissing));
    assert!(told.to_string().contains("a credential of this user's own"), "{told}");
    assert!(!told.to_string().contains(".."), "one sentence ends once: {told}");
    house.put_secret(Some("bob"), "sk-bobs-own-4242").await;
    call(&house, &alice, "alice").await;
    assert_eq!(refused(&house), Some(Code::SecretMissing));
    assert_eq!(*seen.lock(), [], "nothing was sent");
    house.put_secret(Some("alice"), "sk-alices-own-4242").await;
    assert_eq!(call(&house, &alice, "alice").await["result"]["content"][0]["text"], "gone");
    assert_eq!(call(&house, &bob, "bob").await["result"]["content"][0]["text"], "gone");
    let expected = [("alice", "Bearer sk-alices-own-4242"), ("bob", "Bearer sk-bobs-own-4242")];
    assert_eq!(*seen.lock(), expected.map(|(who, sent)| (who.to_owned(), sent.to_owned())));
    assert!(house.last().evidence.iter().any(|one| one.basis.contains(&"secret:key:bob".to_owned())));
}

#[tokio::test]
async fn an_agent_without_a_user_gets_no_further_than_a_reason_where_each_user_has_a_credential() {
    let (house, _rogue, seen) = per_user(true).await;
    house.put_secret(Some("alice"), "sk-alices-own-4242").await;
    let told = call(&house, &house.token.clone(), "bot").await;
    assert_eq!(refused(&house), Some(Code::UserRequired));
    assert!(told["error"]["data"]["remedy"].to_string().contains("Sign in as a person"), "{told}");
    assert_eq!(*seen.lock(), []);
    assert!(!told.to_string().contains(SECRET));
}

// the gateway asks the server on its own, and only because this user wants to know
#[tokio::test]
async fn what_the_gateway_watches_for_a_user_it_watches_in_that_users_name() {
    let (mut house, _rogue, seen) = per_user(true).await;
    house.token = house.agent_of("of-alice", "alice").await;
    house.put_secret(Some("bob"), "sk-bobs-own-4242").await;
    let wish = json!({ "notifications": { "resourceSubscriptions": ["file:///shared"] },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": wish });
    let missing = |entry: &Entry| {
        let Entry::Decision(decision) = entry else { return false };
        decision.ending == Ending::Refused { code: Code::SecretMissing }
    };
    // neither the shared secret nor bob's will do
    let stream = house.open_modern("/s/crm/mcp", "subscriptions/listen", body.to_string()).await;
    eventually("the watch is refused", || house.entries().iter().any(missing)).await;
    assert_eq!(*seen.lock(), [], "nothing was sent");
    drop(stream);
    house.put_secret(Some("alice"), "sk-alices-own-4242").await;
    house.until_noticed().await;
    let _stream = house.open_modern("/s/crm/mcp", "subscriptions/listen", body.to_string()).await;
    eventually("the server is asked", || !seen.lock().is_empty()).await;
    assert_eq!(*seen.lock(), [(String::new(), "Bearer sk-alices-own-4242".to_owned())]);
}

#[tokio::test]
async fn two_users_at_once_never_share_a_credential_or_a_session_of_a_server() {
    let (house, rogue, seen) = per_user(false).await;
    let mut sessions = Vec::new();
    for user in ["alice", "bob"] {
        let bearer = format!("Bearer {}", house.agent_of(&format!("of-{user}"), user).await);
        house.put_secret(Some(user), &format!("sk-{user}s-own-4242")).await;
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test-host", "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let told = house.post("/s/crm/mcp", &[("authorization", &bearer)], hello.to_string()).await;
        let session = told.headers["mcp-session-id"].to_str().unwrap().to_owned();
        sessions.push((user, bearer, session));
    }
    // the gateway's own looks are in its own name
    let begun = || {
        let of_host = |hello: &Value| hello["params"]["clientInfo"]["name"] == "test-host";
        rogue.heard("initialize").iter().filter(|hello| of_host(hello)).count()
    };
    let before = begun();
    let house = &house;
    let calls = (0..20).flat_map(|n| sessions.iter().map(move |session| (n, session)));
    let calls = calls.map(|(n, (user, bearer, session))| async move {
        let params = json!({ "name": "go", "arguments": { "who": user } });
        let body = json!({ "jsonrpc": "2.0", "id": 10 + n, "method": "tools/call", "params": params });
        let headers = [
            ("authorization", bearer.as_str()),
            ("mcp-session-id", session.as_str()),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let told = house.post("/s/crm/mcp", &headers, body.to_string()).await.json();
        assert_eq!(told["result"]["content"][0]["text"], "gone", "{told}");
    });
    futures::future::join_all(calls).await;
    let seen = std::mem::take(&mut *seen.lock());
    assert_eq!(seen.len(), 40);
    for (who, sent) in seen {
        assert_eq!(sent, format!("Bearer sk-{who}s-own-4242"));
    }
    assert_eq!(begun() - before, 2, "one session of the server for each of them");
    // nor does a session of one serve the other
    let (_, bearer, _) = &sessions[1];
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", sessions[0].2.as_str())];
    let body = json!({ "jsonrpc": "2.0", "id": 99, "method": "ping" });
    assert_eq!(house.post("/s/crm/mcp", &headers, body.to_string()).await.status, 404);
}
