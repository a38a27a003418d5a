//! What a request becomes, and what comes back.

use crate::listen_support::{Rig, call, settings};
use decision::AgentName;
use gateway::{
    listen::{BindError, bind, safe_to_listen},
    settings::{Limits, Settings},
};
use std::{sync::Arc, time::Duration};

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn every_request_to_an_mcp_address_is_exactly_one_arrival() {
    let rig = Rig::start();
    let ping = call(1, "ping");
    let long = "x".repeat(40);
    let cases: Vec<(String, &str, u16, String)> = vec![
        ("POST /mcp".into(), &ping, 200, "message of 40 at mcp".into()),
        ("POST /s/crm/mcp".into(), &ping, 200, "message of 40 at crm".into()),
        ("POST /s/NO%20such/mcp".into(), &ping, 200, "message of 40 at NO%20such".into()),
        ("POST /mcp".into(), "{", 400, "message of 1 at mcp".into()),
        ("POST /mcp|accept: text/html".into(), &ping, 415, "media type at mcp".into()),
        ("POST /mcp|content-type: text/plain".into(), &ping, 415, "media type at mcp".into()),
        ("POST /mcp|content-encoding: gzip".into(), &ping, 415, "media type at mcp".into()),
        ("POST /mcp".into(), "", 415, "media type at mcp".into()),
        ("GET /mcp|accept: application/json".into(), "", 415, "media type at mcp".into()),
        ("GET /mcp|last-event-id: 0.7".into(), "", 404, "open 0.7 at mcp".into()),
        ("DELETE /s/crm/mcp".into(), "", 404, "end at crm".into()),
        ("PUT /mcp".into(), &ping, 405, "http method at mcp".into()),
        ("OPTIONS /mcp".into(), "", 405, "http method at mcp".into()),
        ("POST /mcp|host: evil.example".into(), &ping, 403, "message of 40 at mcp".into()),
        ("POST /mcp|no-host".into(), &ping, 403, "message of 40 at mcp".into()),
        ("POST /mcp|origin: https://evil.example".into(), &ping, 403, "message of 40 at mcp".into()),
        ("POST /mcp|origin: http://localhost:6274".into(), &ping, 200, "message of 40 at mcp".into()),
        (
            "POST /mcp?access_token=hunter2".into(),
            &ping,
            200,
            "message of 40 at mcp with a credential in the url".into(),
        ),
        (
            "POST /mcp|authorization: Bearer a|authorization: Bearer b".into(),
            &ping,
            200,
            "message of 40 at mcp with 2 credentials".into(),
        ),
        (format!("POST /s/{long}abc/mcp"), &ping, 200, format!("message of 40 at {long}")),
    ];
    for (count, (head, body, expected, seen)) in cases.iter().enumerate() {
        let response = rig.ask(head, body).await;
        assert_eq!(status(&response), *expected, "{head}: {response}");
        let arrivals = rig.script.seen();
        assert_eq!(arrivals.len(), count + 1, "{head}");
        assert_eq!(arrivals.last(), Some(seen), "{head}");
    }
    assert_eq!(rig.stop().await.unfinished, 0);
}

#[tokio::test]
async fn an_answer_is_plain_json_that_nobody_may_keep() {
    let rig = Rig::start();
    let response = rig.ask("POST /mcp", &call(7, "initialize")).await.to_ascii_lowercase();
    for part in [
        "http/1.1 200 ok",
        "content-type: application/json",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "mcp-session-id: fresh",
        "\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}",
    ] {
        assert!(response.contains(part), "{part} in {response}");
    }
    let accepted = rig.ask("POST /mcp", r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await;
    assert_eq!(status(&accepted), 202);
    assert!(accepted.ends_with("\r\n\r\n"), "nothing to say: {accepted}");
    let refused = rig.ask("PUT /mcp", "{}").await.to_ascii_lowercase();
    assert!(refused.contains("allow: post, get, delete"), "{refused}");
    let modern = rig.ask("PUT /mcp|mcp-protocol-version: 2026-07-28", "{}").await.to_ascii_lowercase();
    assert!(modern.contains("allow: post\r\n"), "{modern}");
}

#[tokio::test]
async fn a_path_that_breaks_is_a_500_that_says_nothing() {
    let rig = Rig::start();
    let response = rig.ask("POST /mcp", &call(1, "panic")).await;
    assert_eq!(status(&response), 500);
    assert!(
        response.contains("\"message\":\"internal error\"") && !response.contains("unwrap"),
        "{response}"
    );
    assert_eq!(status(&rig.ask("POST /mcp", &call(1, "ping")).await), 200, "the next call is served");
}

#[tokio::test]
async fn monitoring_is_answered_without_the_path_and_not_to_a_foreign_page() {
    let rig = Rig::start();
    for (head, code, said) in [
        ("GET /healthz", 200, "ok\n"),
        ("GET /healthz|host: 10.0.0.9:1", 200, "ok\n"),
        ("GET /readyz", 503, "the ledger is full\n"),
        ("GET /readyz|host: evil.example", 503, "not ok\n"),
        ("GET /metrics", 200, "callgate_up 1\n"),
        ("GET /metrics|host: evil.example", 403, "forbidden"),
        ("GET /metrics|origin: https://evil.example", 403, "forbidden"),
        ("POST /metrics", 405, "method not allowed"),
    ] {
        let response = rig.ask(head, "").await;
        assert_eq!(status(&response), code, "{head}: {response}");
        assert!(response.contains(said), "{head}: {response}");
    }
    assert_eq!(rig.script.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn any_other_address_names_the_right_one() {
    let rig = Rig::start();
    let base = format!("http://{}", rig.address);
    for (path, right) in
        [("/", "/mcp"), ("/mcp/", "/mcp"), ("/s/crm", "/s/crm/mcp"), ("/sse", "/mcp"), ("/x?token=1", "/mcp")]
    {
        let response = rig.ask(&format!("GET {path}"), "").await;
        assert_eq!(status(&response), 404, "{path}");
        assert!(response.contains(&format!("\"mcp\":\"{base}{right}\"")), "{path}: {response}");
        assert!(!response.contains("token"), "{response}");
    }
    let foreign = rig.ask("GET /|host: evil.example", "").await;
    assert!(status(&foreign) == 403 && !foreign.contains("/mcp"), "{foreign}");
    assert_eq!(rig.script.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn an_annex_has_its_own_prefix_and_nobody_reaches_it_by_a_foreign_name() {
    let rig = Rig::start();
    for path in ["/annex", "/annex/", "/annex/a/b?c"] {
        let answer = rig.ask(&format!("GET {path}|connection: close"), "").await;
        let plain = path.split('?').next().unwrap();
        assert!(answer.ends_with(&format!("annex {plain} secure: false")), "{answer}");
    }
    for path in ["/annexe", "/Annex", "//annex", "/annex%2f", "/mcp/annex"] {
        let answer = rig.ask(&format!("GET {path}|connection: close"), "").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    let port = rig.address.port();
    let by = async |host: &str| rig.ask(&format!("GET /annex|host: {host}|connection: close"), "").await;
    for ours in [format!("callgate.localhost:{port}"), format!("localhost:{port}")] {
        assert!(by(&ours).await.starts_with("HTTP/1.1 200"), "{ours}");
    }
    for foreign in
        ["evil.example".to_owned(), format!("x.localhost:{port}"), "callgate.localhost:1".to_owned()]
    {
        assert!(by(&foreign).await.starts_with("HTTP/1.1 403"), "{foreign}");
    }
}

#[tokio::test]
async fn allowed_names_may_change_while_it_runs() {
    let rig = Rig::start();
    let head = "POST /mcp|host: gate.example|origin: https://app.example";
    assert_eq!(status(&rig.ask(head, &call(1, "ping")).await), 403);
    let mut changed = Settings::clone(&rig.settings.load());
    changed.allowed_hosts.insert("gate.example".to_owned());
    changed.allowed_origins.insert("https://app.example".to_owned());
    rig.settings.store(Arc::new(changed));
    assert_eq!(status(&rig.ask(head, &call(1, "ping")).await), 200);
}

#[tokio::test]
async fn nobody_listens_beyond_this_machine_while_strangers_are_let_in() {
    let agent = Some(AgentName::new("guest").unwrap());
    for (address, safe) in [
        ("127.0.0.1:0", true),
        ("[::1]:0", true),
        ("[::ffff:127.0.0.1]:0", true),
        ("0.0.0.0:0", false),
        ("[::]:0", false),
        ("192.0.2.1:0", false),
    ] {
        let listen = address.parse().unwrap();
        let open = Settings { listen, unauthenticated_loopback: agent.clone(), ..settings() };
        assert_eq!(safe_to_listen(&open).is_ok(), safe, "{address}");
        let known = Settings { unauthenticated_loopback: None, ..open };
        assert_eq!(safe_to_listen(&known).is_ok(), safe, "tokens would travel to {address} in the clear");
        assert!(safe_to_listen(&Settings { tls_terminated_upstream: true, ..known }).is_ok(), "{address}");
    }
    let open =
        Settings { listen: "0.0.0.0:0".parse().unwrap(), unauthenticated_loopback: agent, ..settings() };
    let refused = bind(&open).unwrap_err().to_string();
    assert!(refused.contains("`0.0.0.0:0`") && refused.contains("`guest`"), "{refused}");
}

#[tokio::test]
async fn an_address_in_use_is_said_to_be_in_use() {
    let first = bind(&settings()).unwrap();
    assert_ne!(first.address.port(), 0, "the real port");
    let second = bind(&Settings { listen: first.address, ..settings() });
    assert!(matches!(second, Err(BindError::InUse { address }) if address == first.address));
}

#[tokio::test]
async fn a_drain_lets_calls_finish_and_ends_everything_else() {
    let rig = Rig::start();
    let mut idle = rig.connect().await;
    idle.send(&rig.request("POST /mcp", &call(1, "ping"))).await;
    assert_eq!(status(&idle.rest().await), 200);
    let mut subscribed = rig.connect().await;
    subscribed.send(&rig.request("POST /mcp|mcp-protocol-version: 2026-07-28", &call(2, "subscribe"))).await;
    subscribed.until("ack").await;
    let mut busy = rig.connect().await;
    busy.send(&rig.request("POST /mcp", &call(3, "wait"))).await;
    rig.script.arrivals(3).await;
    rig.closing.cancel();
    idle.closed().await;
    subscribed.closed().await;
    rig.script.0.release.add_permits(1);
    assert!(busy.rest().await.contains("\"id\":3"));
    assert_eq!(rig.script.noticed(), ["subscription cancelled"]);
    let address = rig.address;
    assert_eq!(rig.stop().await.unfinished, 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let limits = Limits { drain_timeout: Duration::from_millis(200), ..Limits::default() };
    let rig = Rig::with(limits, gateway::listen::http::Pace::default());
    let mut stuck = rig.connect().await;
    stuck.send(&rig.request("POST /mcp|mcp-protocol-version: 2026-07-28", &call(1, "wait"))).await;
    rig.script.arrivals(1).await;
    let script = rig.script.clone();
    assert!(rig.stop().await.unfinished >= 1);
    assert_eq!(
        script.noticed(),
        ["cancelled 1"],
        "its connection was cut, and to a modern host that means cancel"
    );
}
