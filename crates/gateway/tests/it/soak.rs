//! Hidden sessions of many modern clients over one legacy server: they end when nobody uses them. What stays in memory is
//! a matter of the gateway as a process of its own (`crates/cli/tests/it/soak.rs`).

use crate::calls::POLICY;
use crate::house::{House, server, settings};
use crate::script::Script;
use decision::ServerName;
use gateway::settings::{Limits, Mode};
use serde_json::json;
use std::fs;
use std::time::Duration;

const CLIENTS: usize = 24;
const CALLS: usize = 4;
const IDLE: Duration = Duration::from_millis(400);

const ROUNDS: usize = 8;
/// Both ends, of this process here, of the connections that are kept for the next call (`egress::Settings::keep_max`). A
/// descriptor that each session leaves behind would be 144 after six rounds.
const KEPT: usize = 2 * 32;

/// Connections to servers and open descriptors.
fn weight(house: &House) -> (usize, usize) {
    let metrics = house.gate.metrics_text();
    let line = metrics
        .lines()
        .find(|line| !line.starts_with('#') && line.contains("upstream_connections "))
        .unwrap();
    let connections = line.rsplit(' ').next().unwrap().parse().unwrap();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    (connections, descriptors)
}

/// Waits until every hidden session was ended for want of use.
async fn at_rest(house: &House) -> (usize, usize) {
    for _ in 0..500 {
        let now = weight(house);
        if now.0 == 0 {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    weight(house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_of_hidden_sessions_leaves_nothing_behind() {
    let script = Script::start(false).await;
    let servers = [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let limits = Limits { session_idle: IDLE, sessions_max: CLIENTS * 2, ..Limits::default() };
    let settings = gateway::Settings { limits, ..settings(servers.into()) };
    let house = House::with(settings, &POLICY.replace("principal == Agent::\"bot\"", "principal")).await;
    let mut bearers = Vec::new();
    for n in 0..CLIENTS {
        bearers.push(format!("Bearer {}", house.agent(&format!("bot-{n}")).await));
    }
    let (mut weights, mut begun) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let calls = bearers.iter().map(|bearer| async {
            for n in 0..CALLS {
                let arguments = json!({ "text": format!("{round} {n}") });
                let params = json!({ "name": "script__echo", "arguments": arguments });
                let told = house.modern_as(bearer, "/mcp", "tools/call", params).await.json();
                assert!(told["result"]["content"][0]["text"].is_string(), "{told}");
            }
        });
        futures::future::join_all(calls).await;
        assert!(weight(&house).0 <= CLIENTS * 2, "no more than may be");
        weights.push(at_rest(&house).await);
        begun += script.heard("initialize").len();
        script.forget();
    }
    println!("connections and descriptors at rest after each round: {weights:?}");
    let (settled, last) = (weights[1], weights[weights.len() - 1]);
    assert_eq!(last.0, 0, "a session that nobody uses ends");
    assert!(last.1 <= settled.1 + KEPT, "descriptors: {} became {}", settled.1, last.1);
    assert!(begun >= CLIENTS * ROUNDS, "each round began anew: {begun}");
}
