//! TLS on the listener, and who is known by certificate (N3, I8).

use crate::{
    house::{House, TOKEN_AGENT, WallClock, settings},
    listen_support::{PATIENCE, Rig, call, eventually},
    pki::{Authority, Leaf, ask, client, connect, listener, uri},
    provider::Provider,
};
use decision::{Actor, AgentName, Clock, Code, Ending, Entry, GroupName, Principal, Timestamp};
use gateway::{
    listen::{
        http::Pace,
        tls::{Keys, Tls, TlsError},
    },
    metrics::{Handshake, Handshakes},
    settings::{Limits, TlsSettings, Workload},
};
use identity::CertificateName;
use rustls::ClientConfig;
use serde_json::json;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

const BOT: &str = "spiffe://acme/ns/prod/sa/billing-bot";
const SHORT: Duration = Duration::from_millis(300);

fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

fn bot() -> Workload {
    Workload {
        name: AgentName::new("billing-bot").unwrap(),
        certificate: CertificateName::Spiffe(BOT.parse().unwrap()),
        groups: [GroupName::new("services").unwrap()].into(),
    }
}

/// A house whose door has TLS, for the workload `billing-bot`.
async fn house(tls: TlsSettings) -> House {
    let mut settings = settings(BTreeMap::new());
    settings.tls = Some(tls);
    settings.workloads = vec![bot()];
    House::with(settings, "").await
}

fn hello(house: &House, authorization: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let port = house.address.port();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         {authorization}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Says hello on a connection of its own: the response, and nothing if there was no connection.
async fn greet(house: &House, config: ClientConfig, authorization: &str) -> String {
    match connect(house.address, config).await {
        Ok(mut stream) => ask(&mut stream, &hello(house, authorization)).await,
        Err(_) => String::new(),
    }
}

/// Who asked last.
fn principal(house: &House) -> std::sync::Arc<Principal> {
    let call = house.last().call;
    let intent = house.entries().into_iter().find_map(|entry| match entry {
        Entry::Intent(intent) if intent.call == call => Some(intent.principal),
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    intent.unwrap()
}

fn code(house: &House) -> Option<Code> {
    match house.last().ending {
        Ending::Refused { code } => Some(code),
        Ending::Answered | Ending::Failed { .. } | Ending::Cancelled | Ending::Unknown => None,
    }
}

#[tokio::test]
async fn only_a_certificate_of_our_authority_gets_through_the_handshake() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, true)).await;
    let id = |params: &mut rcgen::CertificateParams| params.subject_alt_names = vec![uri(BOT)];
    let strangers = [
        None,
        Some(Leaf::self_signed(id)),
        Some(Authority::new().workload(&[BOT])),
        Some(authority.issue(|params| {
            id(params);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })),
        Some(authority.issue(|params| {
            id(params);
            params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        })),
        Some(authority.issue(|params| {
            id(params);
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        })),
    ];
    let before = house.entries().len();
    for (n, stranger) in strangers.iter().enumerate() {
        let told = greet(&house, client(&authority, stranger.as_ref()), "").await;
        assert_eq!(told, "", "stranger {n} was answered");
    }
    let handshakes = house.gate.handshakes();
    eventually(|| handshakes.counted(Handshake::Refused) == strangers.len() as u64).await;
    assert_eq!(house.entries().len(), before, "who does not get in is no arrival");
    assert!(
        greet(&house, client(&authority, Some(&authority.workload(&[BOT]))), "")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let metrics = house.gate.metrics_text();
    assert!(metrics.contains("callgate_tls_handshakes_total{ending=\"refused\"} 6"), "{metrics}");
}

#[tokio::test]
async fn a_workload_is_known_by_its_certificate_and_needs_no_token() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, true)).await;
    let config = client(&authority, Some(&authority.workload(&[BOT])));
    assert!(greet(&house, config.clone(), "").await.starts_with("HTTP/1.1 200"));
    let decision = house.last();
    assert_eq!(principal(&house).actor, Actor::Workload(bot().name));
    assert_eq!(principal(&house).groups, bot().groups);
    let basis = serde_json::to_string(&decision).unwrap();
    assert!(
        basis.contains("workload:billing-bot") && basis.contains(&format!("certificate:{BOT}")),
        "{basis}"
    );

    // and is stopped as an agent is
    let scope = store::Scope::new(decision.tenant, decision.environment);
    let agent =
        store::NewAgent { name: bot().name, kind: store::AgentKind::Workload, groups: [].into(), user: None };
    house.store.add_agent(&scope, &agent, "ops").await.unwrap();
    house.store.disable_agent(&scope, &bot().name, "ops").await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !greet(&house, config.clone(), "").await.starts_with("HTTP/1.1 401") {
        assert!(tokio::time::Instant::now() < deadline, "a disabled workload is still let in");
    }
    assert_eq!(code(&house), Some(Code::AgentDisabled));
    assert_eq!(house.asker(), decision::Actor::Workload(bot().name));
}

#[tokio::test]
async fn a_certificate_that_names_nobody_or_two_is_refused_and_recorded() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, false)).await;
    for (uris, wanted) in [
        (&["spiffe://acme/ns/prod/sa/other"][..], Code::CertificateUnknown),
        (&["spiffe://other/ns/prod/sa/billing-bot"], Code::CertificateUnknown),
        (&[], Code::CertificateUnknown),
        (&[BOT, "spiffe://acme/ns/prod/sa/other"], Code::CertificateInvalid),
        (&["spiffe://acme"], Code::CertificateInvalid),
    ] {
        let leaf = authority.workload(uris);
        let told = greet(&house, client(&authority, Some(&leaf)), "").await;
        assert!(told.starts_with("HTTP/1.1 401"), "{uris:?}: {told}");
        assert_eq!(code(&house), Some(wanted), "{uris:?}");
        assert!(!told.contains("billing-bot"), "{told}");
    }
    assert!(greet(&house, client(&authority, None), "").await.starts_with("HTTP/1.1 401"));
    assert_eq!(code(&house), Some(Code::CredentialMissing), "no certificate is asked for, and no token came");
}

#[tokio::test]
async fn of_two_credentials_both_are_right_or_the_caller_is_nobody() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, false)).await;
    let bearer = format!("authorization: Bearer {}\r\n", house.token);
    let good = client(&authority, Some(&authority.workload(&[BOT])));
    // a bad token does not fall back to the certificate
    assert!(
        greet(&house, good.clone(), "authorization: Bearer nonsense\r\n").await.starts_with("HTTP/1.1 401")
    );
    assert_eq!(code(&house), Some(Code::CredentialMalformed));
    // a bad certificate is not healed by a token
    let two = authority.workload(&[BOT, "spiffe://acme/b"]);
    assert!(greet(&house, client(&authority, Some(&two)), &bearer).await.starts_with("HTTP/1.1 401"));
    assert_eq!(code(&house), Some(Code::CertificateInvalid));
    // the message's says who asks, the connection's is in the record
    assert!(greet(&house, good, &bearer).await.starts_with("HTTP/1.1 200"));
    let decision = house.last();
    assert_eq!(principal(&house).actor, Actor::Agent(AgentName::new(TOKEN_AGENT).unwrap()));
    let basis = serde_json::to_string(&decision).unwrap();
    assert!(basis.contains("token:") && basis.contains(&format!("certificate:{BOT}")), "{basis}");
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_a_mere_copy_without_it() {
    let (dir, authority, provider) =
        (tempfile::tempdir().unwrap(), Authority::new(), Provider::start().await);
    let mut settings = settings(BTreeMap::new());
    settings.tls = Some(listener(dir.path(), &authority, false));
    settings.oauth = Some(Arc::new(provider.oauth(false)));
    let house = House::with(settings, "").await;
    let (its, other) = (authority.workload(&[BOT]), authority.workload(&[BOT]));
    let bound = json!({ "cnf": { "x5t#S256": its.thumbprint() } });
    let bearer = format!("authorization: Bearer {}\r\n", provider.token(&bound));
    for thief in [None, Some(&other)] {
        assert!(greet(&house, client(&authority, thief), &bearer).await.starts_with("HTTP/1.1 401"));
        assert_eq!(code(&house), Some(Code::TokenUnproven));
    }
    assert!(greet(&house, client(&authority, Some(&its)), &bearer).await.starts_with("HTTP/1.1 200"));
    assert_eq!(principal(&house).actor, Actor::Agent(AgentName::new("claude").unwrap()));
}

#[tokio::test]
async fn new_keys_hold_for_new_connections_and_withdraw_certificates_from_open_ones() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, true)).await;
    let tls = house.tls.clone().unwrap();
    let files = house.gate.live().settings.tls.clone().unwrap();
    let leaf = authority.workload(&[BOT]);
    let mut open = connect(house.address, client(&authority, Some(&leaf))).await.unwrap();
    let served = |stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let first = served(&open);
    assert!(ask(&mut open, &hello(&house, "")).await.starts_with("HTTP/1.1 200"));

    // a renewed certificate of the listener
    authority.server().write(dir.path());
    tls.install(Keys::read(&files, &clock()).unwrap());
    assert!(
        ask(&mut open, &hello(&house, "")).await.starts_with("HTTP/1.1 200"),
        "a running connection goes on"
    );
    let mut renewed = connect(house.address, client(&authority, Some(&leaf))).await.unwrap();
    assert_ne!(served(&renewed), first);
    assert!(ask(&mut renewed, &hello(&house, "")).await.starts_with("HTTP/1.1 200"));

    // another authority for clients: who was let in by the old one is let in no more
    let other = Authority::new();
    fs::write(dir.path().join("clients.pem"), other.pem()).unwrap();
    tls.install(Keys::read(&files, &clock()).unwrap());
    assert!(ask(&mut open, &hello(&house, "")).await.starts_with("HTTP/1.1 401"));
    assert_eq!(code(&house), Some(Code::CertificateLapsed));
    assert_eq!(greet(&house, client(&authority, Some(&leaf)), "").await, "");
    let told = greet(&house, client(&authority, Some(&other.workload(&[BOT]))), "").await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
}

#[tokio::test]
async fn a_certificate_that_runs_out_ends_the_connections_say_be_it_one_between() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, true)).await;
    let soon = std::time::UNIX_EPOCH + Duration::from_micros(WallClock.now().0) + Duration::from_secs(4);
    let leaf = authority.issue(|params| {
        params.subject_alt_names = vec![uri(BOT)];
        params.not_after = soon.into();
    });
    let below = authority.below(|params| params.not_after = soon.into()).workload(&[BOT]);
    // one that ran out long ago and is not needed harms nothing
    let mut longer = authority.workload(&[BOT]);
    longer.above =
        authority.below(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)).workload(&[]).above;
    let mut lasting = connect(house.address, client(&authority, Some(&longer))).await.unwrap();
    let mut opened = Vec::new();
    for leaf in [leaf, below] {
        let mut open = connect(house.address, client(&authority, Some(&leaf))).await.unwrap();
        assert!(ask(&mut open, &hello(&house, "")).await.starts_with("HTTP/1.1 200"));
        opened.push(open);
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for mut open in opened {
        loop {
            let told = ask(&mut open, &hello(&house, "")).await;
            if told.starts_with("HTTP/1.1 401") {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "an expired certificate is still taken: {told}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(code(&house), Some(Code::CertificateLapsed));
    }
    assert!(ask(&mut lasting, &hello(&house, "")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stream_of_a_workload_ends_when_its_certificate_is_for_somebody_else() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let leaf = authority.workload(&[BOT]);
    let others: [fn(&mut Workload); 2] =
        [|one| one.groups.clear(), |one| one.name = AgentName::new("other-bot").unwrap()];
    for other in others {
        let house = house(listener(dir.path(), &authority, true)).await;
        let mut stream = connect(house.address, client(&authority, Some(&leaf))).await.unwrap();
        let told = ask(&mut stream, &hello(&house, "")).await;
        let session = told.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        listens(&mut stream, &house, session, "").await;
        let mut settings = house.gate.live().settings.as_ref().clone();
        other(&mut settings.workloads[0]);
        let written = gateway::Written { settings: Arc::new(settings), policies: Vec::new() };
        house.offers.reload(written, || ()).await.unwrap();
        ends(stream, "the stream goes on for whoever the certificate was for").await;
    }
}

#[tokio::test]
async fn a_session_that_goes_on_with_a_bare_token_keeps_its_streams_when_its_first_certificate_lapsed() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, false)).await;
    let bearer = format!("authorization: Bearer {}\r\n", house.token);
    let leaf = authority.workload(&[BOT]);
    let mut stream = connect(house.address, client(&authority, Some(&leaf))).await.unwrap();
    let told = ask(&mut stream, &hello(&house, &bearer)).await;
    let session = told.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    listens(&mut stream, &house, session, &bearer).await;
    fs::write(dir.path().join("clients.pem"), Authority::new().pem()).unwrap();
    let files = house.gate.live().settings.tls.clone().unwrap();
    house.tls.as_ref().unwrap().install(Keys::read(&files, &clock()).unwrap());
    let mut bare = connect(house.address, client(&authority, None)).await.unwrap();
    listens(&mut bare, &house, session, &bearer).await;
    ends(stream, "the stream goes on over a certificate that nobody stands for").await;
    // over several looks
    assert!(!has_ended(&mut bare, Duration::from_secs(12)).await, "the stream of the bare token ended");
}

#[tokio::test]
async fn certificates_that_are_required_now_are_required_of_open_connections_too() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let house = house(listener(dir.path(), &authority, false)).await;
    let bearer = format!("authorization: Bearer {}\r\n", house.token);
    let bare = async || connect(house.address, client(&authority, None)).await.unwrap();
    let (mut open, mut stream) = (bare().await, bare().await);
    assert!(ask(&mut open, &hello(&house, &bearer)).await.starts_with("HTTP/1.1 200"));
    let told = ask(&mut stream, &hello(&house, &bearer)).await;
    let session = told.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    listens(&mut stream, &house, session, &bearer).await;
    let files = listener(dir.path(), &authority, true);
    house.tls.as_ref().unwrap().install(Keys::read(&files, &clock()).unwrap());
    assert!(ask(&mut open, &hello(&house, &bearer)).await.starts_with("HTTP/1.1 401"));
    assert_eq!(code(&house), Some(Code::CertificateLapsed));
    ends(stream, "the stream goes on without a certificate").await;
}

/// Opens the event stream of a session.
async fn listens(stream: &mut TlsStream<TcpStream>, house: &House, session: &str, authorization: &str) {
    let port = house.address.port();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nhost: localhost:{port}\r\naccept: text/event-stream\r\n\
         mcp-protocol-version: 2025-11-25\r\nmcp-session-id: {session}\r\n{authorization}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut read = Vec::new();
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
    assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read));
}

async fn ends(mut stream: TlsStream<TcpStream>, why: &str) {
    assert!(has_ended(&mut stream, Duration::from_secs(20)).await, "{why}");
}

/// Whether the last chunk of an answer comes within this time.
async fn has_ended(stream: &mut TlsStream<TcpStream>, within: Duration) -> bool {
    let ended = async {
        let mut read = Vec::new();
        while !read.ends_with(b"0\r\n\r\n") && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
    };
    tokio::time::timeout(within, ended).await.is_ok()
}

/// A scripted path behind TLS without client certificates.
fn rig(limits: Limits, pace: Pace, dir: &tempfile::TempDir, authority: &Authority) -> (Rig, Handshakes) {
    let settings = TlsSettings { clients: None, ..listener(dir.path(), authority, false) };
    let handshakes = Handshakes::default();
    let tls = Tls::new(Keys::read(&settings, &clock()).unwrap(), handshakes.clone());
    (Rig::secured(limits, pace, Some(tls)), handshakes)
}

// I17: a client can exhaust nothing.
#[tokio::test]
async fn strangers_who_hold_every_handshake_keep_nobody_out() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (rig, handshakes) = rig(Limits::default(), Pace::default(), &dir, &authority);
    let mut stalled = Vec::new();
    for number in 0..300 {
        let mut peer = rig.connect().await;
        peer.send(if number % 2 == 0 { "" } else { "\x16\x03\x01" }).await;
        stalled.push(peer);
    }
    eventually(|| handshakes.counted(Handshake::Busy) == 300 - 256).await;
    let honest = connect(rig.address, client(&authority, None));
    let mut honest = tokio::time::timeout(Duration::from_secs(5), honest).await.unwrap().unwrap();
    let request = rig.request("POST /mcp", &call(1, "ping"));
    assert!(ask(&mut honest, &request).await.starts_with("HTTP/1.1 200"));
    assert_eq!(handshakes.counted(Handshake::Busy), 300 - 256 + 1, "the oldest that stalled");
}

#[tokio::test]
async fn a_peer_that_stalls_in_the_handshake_holds_no_place_for_ever() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let pace = Pace { handshake: SHORT, ..Pace::default() };
    let limits = Limits { connections_max: 4, ..Limits::default() };
    let (rig, handshakes) = rig(limits, pace, &dir, &authority);
    // two say nothing, two stop in the middle: more than may shake hands at a time
    let mut stalled = Vec::new();
    for first in ["", "", "\x16\x03\x01", "\x16\x03\x01\x02\x00\x01\x00"] {
        let mut peer = rig.connect().await;
        peer.send(first).await;
        stalled.push(peer);
    }
    for peer in &mut stalled {
        peer.closed().await;
    }
    eventually(|| handshakes.counted(Handshake::TimedOut) + handshakes.counted(Handshake::Busy) == 4).await;
    assert!(handshakes.counted(Handshake::TimedOut) >= 2);
    assert!(handshakes.counted(Handshake::Busy) >= 1, "a flood leaves half of the places free");
    let mut honest = connect(rig.address, client(&authority, None)).await.unwrap();
    let request = rig.request("POST /mcp", &call(1, "ping"));
    assert!(ask(&mut honest, &request).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rig.script.seen().len(), 1);
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_so_and_let_go() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (rig, handshakes) = rig(Limits::default(), Pace::default(), &dir, &authority);
    let plain = rig.ask("POST /mcp", &call(1, "ping")).await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("https://"), "{plain}");
    for nonsense in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "{}",
        "\x16nonsense nonsense nonsense",
        "\x16\x03\x01\x00\x04\x63\x00\x00\x00",
    ] {
        let mut peer = rig.connect().await;
        peer.send(nonsense).await;
        peer.closed().await;
    }
    // a client that speaks only HTTP/2 gets an alert, no half-understood connection
    let mut config = client(&authority, None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(rig.address, config).await.is_err());
    eventually(|| handshakes.counted(Handshake::Plain) == 3 && handshakes.counted(Handshake::Refused) == 3)
        .await;
    assert_eq!(rig.script.seen(), Vec::<String>::new());
    assert_eq!(rig.stop().await.unfinished, 0);
}

#[tokio::test]
async fn the_bounds_on_a_connection_are_the_same_behind_tls() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let pace = Pace { head: SHORT, stall: SHORT, ..Pace::default() };
    let limits = Limits { message_bytes_max: 10_000, read_timeout: SHORT, ..Limits::default() };
    let (rig, _) = rig(limits, pace, &dir, &authority);
    let secure = || connect(rig.address, client(&authority, None));
    // a head that never ends
    let mut late = secure().await.unwrap();
    assert!(!ask(&mut late, "POST /mcp HT").await.starts_with("HTTP/1.1 2"));
    // a body that is too large, refused before it is sent, and the answer gets through
    let mut large = secure().await.unwrap();
    let head = rig.request("POST /mcp|content-type: application/json|content-length: 20000", "");
    assert!(ask(&mut large, &head).await.starts_with("HTTP/1.1 413"));
    // a body that is too slow
    let mut slow = secure().await.unwrap();
    let head = rig.request("POST /mcp|content-type: application/json|content-length: 20", "");
    assert!(ask(&mut slow, &head).await.starts_with("HTTP/1.1 408"));
    // a peer that does not read
    let mut deaf = secure().await.unwrap();
    let flood = rig.request("POST /mcp", &call(1, "flood"));
    tokio::io::AsyncWriteExt::write_all(&mut deaf, flood.as_bytes()).await.unwrap();
    eventually(|| rig.script.noticed().contains(&"flood over".to_owned())).await;
    // an endless stream over TLS ends when the gateway does
    let mut stream = secure().await.unwrap();
    let open = rig.request("POST /mcp|mcp-protocol-version: 2026-07-28", &call(1, "subscribe"));
    tokio::io::AsyncWriteExt::write_all(&mut stream, open.as_bytes()).await.unwrap();
    let mut chunk = vec![0; 4096];
    assert!(stream.read(&mut chunk).await.unwrap() > 0);
    drop(deaf);
    assert_eq!(rig.stop().await.unfinished, 0);
}

#[test]
fn files_that_make_no_keys_are_named_with_what_to_do() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let good = listener(dir.path(), &authority, true);
    let read = |settings: &TlsSettings| Keys::read(settings, &clock());
    assert!(read(&good).is_ok());
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let other = authority.server();
    let certificate = |text: &str| TlsSettings { certificate: write("c.pem", text), ..good.clone() };
    let key = |text: &str| TlsSettings { key: write("k.pem", text), ..good.clone() };
    assert!(matches!(read(&key(&other.key)), Err(TlsError::Unfit { .. })), "another certificate's key");
    assert!(matches!(read(&certificate(&other.certificate)), Err(TlsError::Unfit { .. })));
    assert!(matches!(read(&certificate("")), Err(TlsError::Empty { what: "certificate", .. })));
    assert!(matches!(read(&certificate(&other.key)), Err(TlsError::Empty { what: "certificate", .. })));
    assert!(matches!(read(&key("hunter2")), Err(TlsError::Empty { what: "private key", .. })));
    let cut = other.certificate.get(..other.certificate.len() / 2).unwrap();
    assert!(matches!(read(&certificate(cut)), Err(TlsError::Damaged { .. } | TlsError::Empty { .. })));
    let lies = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(read(&certificate(lies)), Err(TlsError::Damaged { .. })));
    let missing = TlsSettings { certificate: dir.path().join("nowhere.pem"), ..good.clone() };
    assert!(matches!(read(&missing), Err(TlsError::Read { .. })));
    let old = authority.issue(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(matches!(read(&certificate(&old.certificate)), Err(TlsError::Expired { .. })));
    let early = authority.issue(|params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    assert!(matches!(read(&certificate(&early.certificate)), Err(TlsError::Early { .. })));
    let mut clients = good.clone();
    clients.clients.as_mut().unwrap().authorities = write("a.pem", lies);
    assert!(matches!(read(&clients), Err(TlsError::Authorities { .. })));
    // nobody asks an authority for its time, or whether it is one, when a client comes
    let authorities = |text: &str| {
        let mut settings = good.clone();
        settings.clients.as_mut().unwrap().authorities =
            write("a.pem", &format!("{}{text}", authority.pem()));
        read(&settings)
    };
    assert!(authorities(&Authority::new().pem()).is_ok());
    assert!(matches!(authorities(&other.certificate), Err(TlsError::NoAuthority { at: 2, .. })));
    let gone = Authority::with(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)).pem();
    assert!(matches!(authorities(&gone), Err(TlsError::AuthorityExpired { at: 2, .. })));
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&good.key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(read(&good), Err(TlsError::Mode { mode: found, .. }) if found == mode));
    }
}

#[test]
fn an_operator_is_told_two_weeks_before_a_certificate_expires() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let settings = listener(dir.path(), &authority, false);
    let leaf = authority.issue(|params| params.not_after = rcgen::date_time_ymd(2030, 1, 20));
    leaf.write(dir.path());
    let keys = Keys::read(&settings, &clock()).unwrap();
    let day = |n: i64| {
        let at = rcgen::date_time_ymd(2030, 1, 1).unix_timestamp() + n * 86_400;
        Timestamp(u64::try_from(at).unwrap() * 1_000_000)
    };
    assert_eq!((keys.expires_soon(day(4)), keys.expires_soon(day(12))), (None, Some(7)));
    assert_eq!(keys.expires_soon(day(30)), Some(0));
    let counts = Handshakes::default();
    let tls = Tls::new(keys, counts);
    assert_eq!(tls.keys().expires(), day(19));
}
