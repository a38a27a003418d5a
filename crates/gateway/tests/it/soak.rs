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

#[tokio::test]
async fn the_limits_of_newer_settings_count_for_what_is_opened_from_then_on() {
    let script = Script::start(false).await;
    let servers = [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let limits = Limits { result_bytes_max: 1 << 20, ..Limits::default() };
    let settings = gateway::Settings { limits, ..settings(servers.into()) };
    let policy = POLICY.replace("principal == Agent::\"bot\"", "principal");
    let house = House::with(settings.clone(), &policy).await;
    let big = async |agent: &str| {
        let bearer = format!("Bearer {}", house.agent(agent).await);
        let params = json!({ "name": "script__big", "arguments": {} });
        house.modern_as(&bearer, "/mcp", "tools/call", params).await.json().to_string()
    };
    assert!(big("before").await.contains("result-too-large"));
    assert!(weight(&house).0 > 0, "a session that may be idle for long");
    let limits = Limits { result_bytes_max: 8 << 20, session_idle: IDLE, ..settings.limits.clone() };
    let settings = std::sync::Arc::new(gateway::Settings { limits, ..settings });
    let policies = vec![policy::Source { path: "p.cedar".into(), text: policy }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    let after = big("after").await;
    assert!(after.contains("xxxx"), "{}", after.get(..400).unwrap_or(&after));
    // the session that was opened before them is another's, and ends by its own time
    assert!(
        at_rest_but(&house, 1).await,
        "one that was opened after them may be idle no longer: {:?}",
        weight(&house)
    );
}

/// Waits until no more than so many sessions are left.
async fn at_rest_but(house: &House, most: usize) -> bool {
    for _ in 0..250 {
        if weight(house).0 <= most {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
