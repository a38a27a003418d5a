//! A modern child process that is listened to: the reference server on the Rust SDK, beside a server over HTTP.

#[path = "../../src/upstream/tests/program.rs"]
mod program;

use crate::calls::POLICY;
use crate::crossing::eventually;
use crate::house::{House, server, settings};
use crate::script::{Script, tools};
use decision::{Code, Ending, Entry, ServerName};
use gateway::settings::{Authority, Limits, Mode, Reach, ServerSettings};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const ACK: &str = "notifications/subscriptions/acknowledged";
const TOOLS: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const URI: &str = "test://static-text";
const CHILD_IDLE: Duration = Duration::from_millis(300);

/// The server as a child that writes its number down.
fn child(authority: Authority, numbers: &Path) -> ServerSettings {
    let script = r#"echo $$ >> "$1"; exec "$0" --stdio"#;
    let program = program::program();
    let words = ["-c", script, program.to_str().unwrap(), numbers.to_str().unwrap()];
    let reach = Reach::Stdio {
        command: "/bin/sh".into(),
        args: words.map(str::to_owned).into(),
        env: BTreeMap::new(),
        cwd: None,
    };
    let call_timeout = Duration::from_secs(20);
    ServerSettings {
        reach,
        authority,
        call_timeout,
        credentials: Vec::new(),
        ..server("http://unused", Mode::Enforce)
    }
}

async fn house(script: &Script, authority: Authority, numbers: &Path) -> House {
    let name = |name: &str| ServerName::new(name).unwrap();
    let servers =
        [(name("kid"), child(authority, numbers)), (name("script"), server(&script.url, Mode::Enforce))];
    let limits = Limits { child_idle: CHILD_IDLE, ..Limits::default() };
    House::with(gateway::Settings { limits, ..settings(servers.into()) }, POLICY).await
}

/// What comes on a stream, one message after the other.
struct Heard {
    stream: hyper::body::Incoming,
    text: Vec<u8>,
    read: usize,
}

impl Heard {
    async fn next(&mut self) -> Value {
        // in all: signs of life come for ever
        tokio::time::timeout(Duration::from_secs(30), self.read_on()).await.unwrap()
    }

    async fn read_on(&mut self) -> Value {
        loop {
            if let Some(event) = crate::house::events(&self.text).get(self.read) {
                self.read += 1;
                return event.clone();
            }
            let frame = self.stream.frame().await.unwrap().unwrap();
            self.text.extend_from_slice(frame.data_ref().unwrap());
        }
    }
}

async fn listen(house: &House) -> Heard {
    listen_for(
        house,
        json!({ "toolsListChanged": true, "resourceSubscriptions": [URI, "test://one", "test://nowhere"] }),
    )
    .await
}

async fn listen_for(house: &House, wish: Value) -> Heard {
    let params = json!({ "notifications": wish, "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": "sub-1", "method": "subscriptions/listen", "params": params });
    let stream = house.open_modern("/mcp", "subscriptions/listen", body.to_string()).await;
    Heard { stream, text: Vec::new(), read: 0 }
}

async fn call(house: &House, name: &str, arguments: Value) -> Value {
    let told = house.modern("/mcp", "tools/call", json!({ "name": name, "arguments": arguments })).await;
    told.json()["result"].clone()
}

async fn listed(house: &House, name: &str) -> bool {
    let list = house.modern("/mcp", "tools/list", json!({})).await.json();
    list["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == name)
}

fn connections(house: &House) -> usize {
    let metrics = house.gate.metrics_text();
    let line = metrics.lines().find(|line| line.starts_with("callgate_upstream_connections ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// How often the gateway began to listen to the child: such a call's record closes when it is acknowledged.
fn began(house: &House) -> usize {
    let entries = house.entries();
    let asked = entries.iter().filter_map(|entry| match entry {
        Entry::Intent(intent) if intent.method.as_deref() == Some("subscriptions/listen") => {
            let of_child = intent.target.as_ref().is_some_and(|target| target.server.as_str() == "kid");
            of_child.then_some(intent.call)
        }
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    let asked: BTreeSet<_> = asked.collect();
    let answered = |entry: &&Entry| match entry {
        Entry::Decision(d) => d.ending == Ending::Answered && asked.contains(&d.call),
        Entry::Intent(_) | Entry::Event(_) => false,
    };
    entries.iter().filter(answered).count()
}

/// Until the gateway looks at nothing any more.
async fn at_rest(house: &House) {
    let mut before = 0;
    loop {
        let now = house.entries().len();
        if now == before {
            return;
        }
        before = now;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn one_subscription_hears_of_a_child_and_of_a_server_over_http() {
    let script = Script::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let numbers = folder.path().join("numbers");
    let house = house(&script, Authority::Shared, &numbers).await;
    let mut heard = listen(&house).await;
    let ack = heard.next().await;
    assert_eq!(ack["method"], ACK);
    let granted = json!({ "toolsListChanged": true, "resourceSubscriptions": [URI, "test://one"] });
    assert_eq!(ack["params"]["notifications"], granted, "one acknowledgement, of what both have");
    eventually("the child is listened to, for its lists and for a resource", || began(&house) == 2).await;
    eventually("so is the other", || script.listeners().len() == 2).await;

    // longer than a child is kept that nobody uses: the same process must be there to be heard
    tokio::time::sleep(CHILD_IDLE * 4).await;
    call(&house, "kid__reference_touch", json!({ "uri": URI })).await;
    let note = heard.next().await;
    assert_eq!((&note["method"], &note["params"]["uri"]), (&json!(UPDATED), &json!(URI)));
    assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub-1");

    assert!(listed(&house, "kid__reference_cancelled").await);
    call(&house, "kid__reference_fewer", json!({})).await;
    assert_eq!(heard.next().await["method"], TOOLS);
    assert!(!listed(&house, "kid__reference_cancelled").await, "as the child that runs offers it");
    call(&house, "kid__reference_cancelled", json!({})).await;
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ItemUnknown });

    script.notify(UPDATED, &json!({ "uri": "test://one" }));
    assert_eq!(heard.next().await["params"]["uri"], "test://one");
    let mut fewer = tools();
    fewer.as_array_mut().unwrap().remove(0);
    script.set_tools(fewer);
    script.notify(TOOLS, &json!({}));
    assert_eq!(heard.next().await["method"], TOOLS);
    assert_eq!(began(&house), 2, "nothing had to begin again");

    drop(heard);
    eventually("a child that nobody listens to any more ends", || connections(&house) == 1).await;
}

#[tokio::test]
async fn a_child_that_ended_is_listened_to_again_and_looked_at() {
    let script = Script::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let numbers = folder.path().join("numbers");
    let house = house(&script, Authority::Shared, &numbers).await;
    let mut heard = listen(&house).await;
    assert_eq!(heard.next().await["method"], ACK);
    eventually("the child is listened to", || began(&house) == 2).await;
    call(&house, "kid__reference_fewer", json!({})).await;
    assert_eq!(heard.next().await["method"], TOOLS);
    at_rest(&house).await;
    // what starts next offers everything again, and says nothing of it
    for number in std::fs::read_to_string(&numbers).unwrap().lines() {
        // all but one have ended by themselves
        let _ = Command::new("kill").args(["-9", number]).stderr(Stdio::null()).status().unwrap();
    }
    assert_eq!(heard.next().await["method"], TOOLS, "what may have changed meanwhile is looked at");
    assert!(listed(&house, "kid__reference_cancelled").await);
    assert!(began(&house) >= 3);
}

#[tokio::test]
async fn a_child_of_each_user_is_not_started_for_its_lists() {
    let script = Script::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let house = house(&script, Authority::PerUser, &folder.path().join("numbers")).await;
    // for a resource it would be
    let mut heard = listen_for(&house, json!({ "toolsListChanged": true })).await;
    assert_eq!(heard.next().await["method"], ACK);
    eventually("the server over HTTP is listened to", || !script.listeners().is_empty()).await;
    assert_eq!(began(&house), 0);
}
