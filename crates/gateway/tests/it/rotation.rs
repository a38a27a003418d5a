//! A secret gets a new value while it is in use (requirements V5, V10).

use crate::house::{House, SECRET, server, settings};
use crate::rogue::{Rogue, Said, text};
use callgate_gateway::settings::Mode;
use decision::{Code, Ending, ServerName};
use parking_lot::Mutex;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const POLICY: &str =
    r#"@id("all") @because("everybody may use the server") permit (principal, action, resource);"#;

type Seen = Arc<Mutex<Vec<String>>>;

/// A house before a server that notes each call's credential, and does not answer while it is told to wait.
async fn house() -> (House, Rogue, Seen, Arc<Mutex<bool>>) {
    let (seen, waits) = (Seen::default(), Arc::new(Mutex::new(false)));
    let (noting, waiting) = (Arc::clone(&seen), Arc::clone(&waits));
    let rogue = Rogue::start(true, move |message, headers| {
        if message["method"] != "tools/call" {
            return None;
        }
        noting.lock().push(headers["authorization"].to_str().unwrap().to_owned());
        // it answers this one when it is told to go on
        waiting.lock().then(|| Said::Ask(Vec::new(), "go-on"))
    })
    .await;
    let mut one = server(&rogue.url, Mode::Enforce);
    one.call_timeout = Duration::from_secs(60);
    let servers = BTreeMap::from([(ServerName::new("crm").unwrap(), one)]);
    (House::with(settings(servers), POLICY).await, rogue, seen, waits)
}

async fn call(house: &House) -> serde_json::Value {
    house.modern("/s/crm/mcp", "tools/call", json!({ "name": "go", "arguments": {} })).await.json()
}

#[tokio::test]
async fn a_new_value_reaches_the_next_call_and_the_old_one_stays_until_nothing_uses_it() {
    let (house, rogue, seen, waits) = house().await;
    *waits.lock() = true;
    // begun with the old value, and still under way
    let held = {
        let body = json!({ "jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {
            "name": "go", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "test-host", "version": "1" } } } });
        let headers =
            [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "go")];
        let body = body.to_string();
        let post = house.post("/s/crm/mcp", &headers, body);
        tokio::pin!(post);
        let waiting = async {
            while seen.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            *waits.lock() = false;
            house.put_secret(None, "sk-live-second-4242").await;
            house.until_noticed().await;
            assert_eq!(call(&house).await["result"]["content"][0]["text"], "gone");
            house.advance(Duration::from_secs(120));
            assert_eq!(callgate_gateway::tidy_secrets(&house.gate).await.unwrap(), 0, "in use");
            house.say_to(&rogue.url, json!({ "jsonrpc": "2.0", "id": "go-on", "result": {} })).await;
        };
        tokio::select! {
            told = &mut post => told.json(),
            () = waiting => post.await.json(),
        }
    };
    assert!(held.to_string().contains("go-on"), "it ended well, with the value it had: {held}");
    let expected = [SECRET, "sk-live-second-4242"].map(|secret| format!("Bearer {secret}"));
    assert_eq!(*seen.lock(), expected);
    // the answer is out a moment before the call lets go of its lease
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while callgate_gateway::tidy_secrets(&house.gate).await.unwrap() == 0 {
        assert!(tokio::time::Instant::now() < deadline, "nothing uses it any more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(callgate_gateway::tidy_secrets(&house.gate).await.unwrap(), 0);
    assert_eq!(house.retired().await, 0);
}

#[tokio::test]
async fn a_replaced_value_is_kept_a_minute_at_least_and_a_removed_secret_not_at_all() {
    let (house, _rogue, seen, _) = house().await;
    assert_eq!(call(&house).await["result"]["content"][0]["text"], text("gone")["content"][0]["text"]);
    house.put_secret(None, "sk-live-second-4242").await;
    house.until_noticed().await;
    house.advance(Duration::from_secs(30));
    assert_eq!(callgate_gateway::tidy_secrets(&house.gate).await.unwrap(), 0);
    assert_eq!(house.retired().await, 1);
    house.remove_secret().await;
    assert_eq!(house.retired().await, 0);
    house.until_noticed().await;
    let calls = seen.lock().len();
    call(&house).await;
    assert!(matches!(house.last().ending, Ending::Refused { code: Code::SecretMissing }));
    assert_eq!(seen.lock().len(), calls, "nothing was sent");
}

#[tokio::test]
async fn what_was_moved_under_another_key_is_read_anew_however_late_the_gateway_learns_of_it() {
    let (house, _rogue, seen, _) = house().await;
    call(&house).await;
    let keys = house.move_under_another_key().await;
    // the old key is gone, and what the gateway remembers is still sealed under it
    house.gate.opener().replace(keys.clone());
    assert_eq!(call(&house).await["result"]["content"][0]["text"], "gone");
    house.gate.replace_keys(keys);
    assert_eq!(call(&house).await["result"]["content"][0]["text"], "gone");
    assert_eq!(*seen.lock(), [(); 3].map(|()| format!("Bearer {SECRET}")));
}

#[tokio::test]
async fn a_call_that_is_refused_with_the_old_value_is_not_sent_again_with_the_new() {
    for modern in [true, false] {
        let seen = Seen::default();
        let noting = Arc::clone(&seen);
        let rogue = Rogue::start(modern, move |message, headers| {
            let sent = headers["authorization"].to_str().unwrap().to_owned();
            let old = sent.ends_with(SECRET);
            (message["method"] == "tools/call").then(|| {
                noting.lock().push(sent);
                // its operator has changed the key there, and nobody here yet
                if old { Said::Status(401) } else { Said::Result(text("gone")) }
            })
        })
        .await;
        let house = House::open(&[("crm", rogue.url.clone())], POLICY).await;
        let session = if modern { None } else { Some(house.initialize("/s/crm/mcp").await) };
        let call = async |id: u64| match &session {
            None => call(&house).await,
            Some(session) => {
                let params = json!({ "name": "go", "arguments": {} });
                house.legacy("/s/crm/mcp", session, id, "tools/call", params).await.json()
            }
        };
        call(2).await;
        assert!(
            matches!(
                house.last().ending,
                Ending::Failed { code: Code::UpstreamUnauthorized, .. }
                    | Ending::Refused { code: Code::UpstreamUnauthorized }
            ),
            "{:?}",
            house.last().ending
        );
        let old = format!("Bearer {SECRET}");
        assert_eq!(*seen.lock(), std::slice::from_ref(&old), "sent once");
        house.put_secret(None, "sk-live-second-4242").await;
        house.until_noticed().await;
        assert_eq!(seen.lock().len(), 1, "nor later, when there is another value");
        assert_eq!(call(3).await["result"]["content"][0]["text"], "gone");
        assert_eq!(*seen.lock(), [old, "Bearer sk-live-second-4242".to_owned()]);
    }
}
