use super::peer::{
    Peer, Seen, Step, answer, event, events, json, ok, say, serve, serve_async, status, welcome,
};
use super::*;
use ::http::HeaderValue;
use futures::FutureExt;
use std::sync::atomic::{AtomicU32, Ordering};

async fn legacy(peer: &Peer) -> (Connection, mpsc::Receiver<FromServer>) {
    let (opening, messages) = opening(Revision::V2025_11_25);
    let (connection, hello) = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap();
    assert!(hello.is_some());
    (connection, messages)
}

async fn modern(peer: &Peer) -> Connection {
    let (opening, _messages) = opening(Revision::V2026_07_28);
    Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap().0
}

/// A legacy server that answers calls as `calls` says.
async fn legacy_server(calls: impl Fn(Seen) -> super::peer::Answer + Clone + Send + Sync + 'static) -> Peer {
    serve(move |seen| match seen.rpc().as_str() {
        "initialize" => welcome(),
        "notifications/initialized" | "notifications/cancelled" => status(202),
        "" if seen.method == "GET" && seen.header("last-event-id").is_empty() => status(405),
        "" if seen.method == "DELETE" => status(200),
        _ => calls(seen),
    })
    .await
}

async fn legacy_fault(calls: impl Fn(Seen) -> super::peer::Answer + Clone + Send + Sync + 'static) -> Fault {
    let peer = legacy_server(calls).await;
    let (connection, _messages) = legacy(&peer).await;
    connection.request(call(1).0).await.unwrap_err()
}

async fn modern_fault(script: impl Fn(Seen) -> super::peer::Answer + Clone + Send + Sync + 'static) -> Fault {
    let peer = serve(script).await;
    modern(&peer).await.request(within(call(1).0, Duration::from_secs(3))).await.unwrap_err()
}

#[tokio::test]
async fn a_legacy_session_is_opened_used_and_given_up() {
    let peer = legacy_server(|seen| json(ok(seen.id()))).await;
    let (connection, _messages) = legacy(&peer).await;
    assert_eq!(connection.revision(), Revision::V2025_06_18);
    connection.request(call(7).0).await.unwrap();
    until_true(|| peer.saw().iter().any(|seen| seen.method == "GET")).await;
    connection.close().await;
    let saw = peer.saw();
    for seen in saw.iter().skip(1) {
        assert_eq!(
            (seen.header("mcp-session-id"), seen.header("mcp-protocol-version")),
            ("s1", "2025-06-18")
        );
    }
    assert_eq!(saw.first().unwrap().rpc(), "initialize");
    assert_eq!(saw.get(1).unwrap().rpc(), "notifications/initialized");
    assert_eq!(saw.last().unwrap().method, "DELETE");
    assert!(!connection.is_alive());
}

#[tokio::test]
async fn between_calls_a_session_has_its_secret_in_locked_memory_alone() {
    use super::super::injected::Hidden;
    let header = (::http::header::AUTHORIZATION, Hidden::new(b"Bearer s3cret-of-a-session".to_vec()));
    let injected = Arc::new(Injected { headers: vec![header], ..Injected::default() });
    let quotes = |seen: Seen| {
        let text = ok(seen.id()).replace(r#""result":{"#, r#""result":{"said":"s3cret-of-a-session","#);
        json(text)
    };
    let peer = legacy_server(quotes).await;
    let (mut opening, _messages) = opening(Revision::V2025_11_25);
    opening.injected = Arc::clone(&injected);
    let (connection, _) = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap();
    assert!(injected.mask.lock().is_none(), "after the handshake");
    let mut outgoing = call(7).0;
    outgoing.injected = Arc::clone(&injected);
    let received = connection.request(outgoing).await.unwrap();
    assert!(!received.masked.is_empty(), "it was looked for");
    assert!(injected.mask.lock().is_none(), "after a call");
}

#[tokio::test]
async fn what_one_takes_back_is_not_taken_from_another_who_just_asked_for_it() {
    let slow = |seen: Seen| answer(200, "application/json", vec![Step::Wait(100), say(ok(seen.id()))]);
    let peer = legacy_server(slow).await;
    let (connection, _messages) = legacy(&peer).await;
    let held = super::super::held::Held::new(connection, Arc::default());
    let (uri, patience) = ("test://one", Duration::from_secs(5));
    held.subscribe(uri, patience).await.unwrap();
    let taken_back = async {
        until_true(|| peer.saw().iter().filter(|seen| seen.rpc() == "resources/subscribe").count() == 2)
            .await;
        held.unsubscribe(uri, patience).await;
    };
    let (asked, ()) = tokio::join!(held.subscribe(uri, patience), taken_back);
    asked.unwrap();
    let taken = || peer.saw().iter().filter(|seen| seen.rpc() == "resources/unsubscribe").count();
    assert_eq!(taken(), 0, "one of them still wants to hear of it");
    held.unsubscribe(uri, patience).await;
    assert_eq!(taken(), 1);
}

#[tokio::test]
async fn credentials_travel_with_the_request_and_routing_headers_cannot_replace_them() {
    let peer = serve(|seen| json(ok(seen.id()))).await;
    let (mut outgoing, _related) = call(1);
    outgoing.injected = Arc::new(Injected {
        headers: vec![(::http::header::AUTHORIZATION, Hidden::new(b"Bearer up".to_vec()))],
        query: vec![("key".to_owned(), Hidden::new(b"k y".to_vec()))],
        ..Injected::default()
    });
    let header = |name, value| (::http::HeaderName::from_static(name), HeaderValue::from_static(value));
    outgoing.headers = vec![
        header("mcp-method", "tools/call"),
        header("mcp-session-id", "stolen"),
        header("mcp-protocol-version", "2024-11-05"),
        header("authorization", "Bearer from-host"),
    ];
    modern(&peer).await.request(outgoing).await.unwrap();
    let seen = peer.saw().remove(0);
    assert_eq!(seen.header("authorization"), "Bearer up");
    assert_eq!(seen.query, "key=k+y");
    assert_eq!(seen.header("mcp-method"), "tools/call");
    assert_eq!(seen.header("mcp-session-id"), "");
    assert_eq!(seen.headers.get_all("mcp-protocol-version").iter().count(), 1);
    assert_eq!(seen.header("mcp-protocol-version"), "2026-07-28");
}

#[tokio::test]
async fn messages_on_the_stream_come_to_the_request() {
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4,"progress":1}}"#;
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#;
    let peer = legacy_server(move |seen| {
        events(vec![
            say(": hello\n\n"),
            event(progress),
            event(question),
            Step::Wait(50),
            event(&ok(seen.id())),
        ])
    })
    .await;
    let (connection, _messages) = legacy(&peer).await;
    let (outgoing, mut related) = call(4);
    let received = connection.request(outgoing).await.unwrap();
    assert_eq!(received.frame.id_raw(), Some(&b"4"[..]));
    let mut methods = Vec::new();
    while let Some(message) = related.recv().await {
        methods.push(message.frame.method().unwrap().into_owned());
    }
    assert_eq!(methods, ["notifications/progress", "elicitation/create"]);
}

#[tokio::test]
async fn a_stream_that_ends_early_is_asked_for_again_where_it_stopped() {
    let peer = legacy_server(|seen| {
        if seen.method == "GET" {
            assert_eq!(seen.header("last-event-id"), "e1");
            return events(vec![say("id: e2\n"), event(&ok(1))]);
        }
        events(vec![say("id: e1\nretry: 50\ndata: \n\n")])
    })
    .await;
    let (connection, _messages) = legacy(&peer).await;
    connection.request(call(1).0).await.unwrap();
    assert_eq!(peer.saw_rpc("tools/call").len(), 1, "never sent twice");
}

#[tokio::test]
async fn a_stream_that_breaks_without_an_event_id_is_lost_and_not_sent_again() {
    let peer = legacy_server(|_| events(vec![say(": x\n\n"), Step::Break])).await;
    let (connection, _messages) = legacy(&peer).await;
    let fault = connection.request(call(1).0).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Lost, true));
    assert_eq!(peer.saw_rpc("tools/call").len(), 1);
}

#[tokio::test]
async fn a_stream_that_can_never_be_resumed_is_given_up() {
    let peer = legacy_server(|seen| match seen.method.as_str() {
        "GET" => status(500),
        _ => events(vec![say("id: e1\nretry: 10\n\n")]),
    })
    .await;
    let (connection, _messages) = legacy(&peer).await;
    let fault = connection.request(within(call(1).0, Duration::from_secs(20))).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Lost, true));
    assert!(peer.saw().iter().filter(|seen| seen.method == "GET").count() <= 10);
}

fn no_session() -> super::peer::Answer {
    let text = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
    answer(400, "application/json", vec![say(text)])
}

#[tokio::test]
async fn a_session_the_server_forgot_is_opened_again_and_the_request_sent_in_it() {
    for forgotten in [|| status(404), no_session] {
        let opened = Arc::new(AtomicU32::new(0));
        let sessions = Arc::clone(&opened);
        let peer = serve(move |seen| match seen.rpc().as_str() {
            "initialize" => {
                let mut welcome = welcome();
                let name = format!("s{}", sessions.fetch_add(1, Ordering::Relaxed));
                welcome.headers_mut().insert("mcp-session-id", name.parse().unwrap());
                welcome
            }
            "notifications/initialized" => status(202),
            _ if seen.method == "GET" => status(405),
            _ if seen.header("mcp-session-id") == "s0" => forgotten(),
            _ => json(ok(seen.id())),
        })
        .await;
        let (connection, _messages) = legacy(&peer).await;
        let together = (1..=5).map(|id| connection.request(call(id).0));
        for answer in futures::future::join_all(together).await {
            answer.unwrap();
        }
        assert!(connection.is_alive());
        assert_eq!(opened.load(Ordering::Relaxed), 2, "opened again once, whoever noticed");
        assert_eq!(peer.saw_rpc("notifications/initialized").len(), 2);
    }
}

#[tokio::test]
async fn a_server_that_forgets_every_session_is_not_asked_for_ever() {
    for forgotten in [|| status(404), no_session] {
        let peer = legacy_server(move |_| forgotten()).await;
        let (connection, _messages) = legacy(&peer).await;
        let fault = connection.request(call(1).0).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::SessionGone);
        assert!(!connection.is_alive());
        assert_eq!((peer.saw_rpc("initialize").len(), peer.saw_rpc("tools/call").len()), (2, 2));
    }
}

#[tokio::test]
async fn progress_on_the_unsolicited_stream_comes_to_its_request() {
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4,"progress":1}}"#;
    let peer = serve(move |seen| match (seen.rpc().as_str(), seen.method.as_str()) {
        ("initialize", _) => welcome(),
        ("notifications/initialized", _) => status(202),
        (_, "GET") => events(vec![Step::Wait(200), event(progress), Step::Hang]),
        _ => events(vec![Step::Wait(600), event(&ok(4))]),
    })
    .await;
    let (connection, _messages) = legacy(&peer).await;
    let (outgoing, mut related) = call(4);
    connection.request(outgoing).await.unwrap();
    assert_eq!(related.recv().await.unwrap().frame.method().unwrap(), "notifications/progress");
}

#[tokio::test]
async fn a_modern_server_that_asks_is_no_modern_server() {
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#;
    let fault = modern_fault(move |_| events(vec![event(question), event(&ok(1))])).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Nonsense, true));
}

#[tokio::test]
async fn an_error_of_the_protocol_is_an_answer_and_an_error_page_is_not() {
    let error = |id: &str| format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32602,"message":"no"}}}}"#);
    for id in ["\"id\":1,", ""] {
        let text = error(id);
        let peer =
            serve(move |_| answer(400, "application/json; charset=utf-8", vec![say(text.clone())])).await;
        let received = modern(&peer).await.request(call(1).0).await.unwrap();
        assert_eq!(received.frame.kind(), wire::Kind::ErrorResponse);
    }
    let other = error("\"id\":2,");
    let fault = modern_fault(move |_| answer(404, "application/json", vec![say(other.clone())])).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Nonsense, true));
    assert_eq!(modern_fault(|_| status(405)).await.kind, FaultKind::NotThisEra);
}

#[tokio::test]
async fn every_other_status_is_a_fault_after_sending() {
    for (code, kind) in [
        (401, FaultKind::Unauthorized),
        (403, FaultKind::Unauthorized),
        (429, FaultKind::Busy),
        (500, FaultKind::Lost),
        (502, FaultKind::Lost),
        (503, FaultKind::Lost),
        (504, FaultKind::Lost),
        (302, FaultKind::Nonsense),
        (202, FaultKind::Nonsense),
        (204, FaultKind::Nonsense),
    ] {
        let fault = modern_fault(move |_| status(code)).await;
        assert_eq!((fault.kind, fault.sent), (kind, true), "{code}");
        let fault = legacy_fault(move |_| status(code)).await;
        assert_eq!((fault.kind, fault.sent), (kind, true), "{code}");
    }
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_told_apart_by_whether_a_credential_is_configured() {
    let asks = |status: u16, challenge: Option<&'static str>| {
        move |_: Seen| {
            let mut answer = answer(status, "text/plain", vec![say("no")]);
            if let Some(challenge) = challenge {
                answer.headers_mut().insert("www-authenticate", HeaderValue::from_static(challenge));
            }
            answer
        }
    };
    let signs_in = r#"Bearer resource_metadata="https://x.example/.well-known/oauth-protected-resource""#;
    let (wants, sign_in) = (
        "the server wants a credential, and none is configured for it",
        "the server asks for a sign-in, and no credential is configured for it",
    );
    for status in [401, 403] {
        for (challenge, told) in [(None, wants), (Some("Basic"), wants), (Some(signs_in), sign_in)] {
            let fault = modern_fault(asks(status, challenge)).await;
            assert_eq!(fault.detail, format!("{told} (HTTP {status})"), "{challenge:?}");
        }
        // ours was shown, and it is that which is not good
        let peer = serve(asks(status, Some(signs_in))).await;
        let (mut outgoing, _related) = call(1);
        outgoing.injected = Arc::new(Injected {
            headers: vec![(::http::header::AUTHORIZATION, Hidden::new(b"Bearer hunter2".to_vec()))],
            ..Injected::default()
        });
        let fault = modern(&peer).await.request(outgoing).await.unwrap_err();
        assert_eq!(fault.detail, format!("the server does not accept our credential (HTTP {status})"));
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let fault = modern_fault(|_| answer(200, "text/html", vec![say(ok(1))])).await;
    assert_eq!(fault.kind, FaultKind::Nonsense);
    for text in [
        "",
        "hello",
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#,
        &ok(2),
        r#"{"jsonrpc":"2.0","method":"x"}"#,
    ] {
        let text = text.to_owned();
        let stream = text.clone();
        let fault = modern_fault(move |_| json(text.clone())).await;
        assert_eq!((fault.kind, fault.sent), (FaultKind::Nonsense, true));
        let fault = modern_fault(move |_| events(vec![event(&stream), Step::Wait(10)])).await;
        assert!(matches!(fault.kind, FaultKind::Nonsense | FaultKind::Lost) && fault.sent, "{fault}");
    }
    let squeezed = modern_fault(|_| {
        let mut answer = json(ok(1));
        answer.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        answer
    });
    assert_eq!(squeezed.await.kind, FaultKind::Nonsense);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_dropped_as_it_comes() {
    let flood = || vec![say(r#"{"jsonrpc":"2.0","id":1,"result":{"x":""#), Step::Flood("x".repeat(4096))];
    let fault = modern_fault(move |_| answer(200, "application/json", flood())).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::TooLarge, true));
    let fault = modern_fault(|_| events(vec![say("data: "), Step::Flood("x".repeat(4096))])).await;
    assert_eq!(fault.kind, FaultKind::TooLarge);
    // an error page that never ends is not read to the end either
    let fault = modern_fault(|_| answer(418, "text/html", vec![Step::Flood("x".repeat(4096))])).await;
    assert_eq!(fault.kind, FaultKind::Refused);
}

#[tokio::test]
async fn a_flood_of_messages_ends_with_the_request() {
    let progress = event(
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
    );
    let Step::Say(progress) = progress else { unreachable!() };
    let peer = serve(move |_| events(vec![Step::Flood(progress.clone())])).await;
    let connection = modern(&peer).await;
    let (outgoing, mut related) = call(1);
    let (answer, count) =
        tokio::join!(connection.request(within(outgoing, Duration::from_secs(30))), async {
            let mut count = 0;
            while related.recv().await.is_some() {
                count += 1;
            }
            count
        });
    assert_eq!((answer.unwrap_err().kind, count), (FaultKind::Nonsense, 10_000));
    // and where nobody takes them, the server is held back and time runs out
    let (outgoing, related) = call(1);
    let fault = connection.request(within(outgoing, Duration::from_millis(300))).await.unwrap_err();
    assert_eq!((fault.kind, related.len()), (FaultKind::Timeout, 64));
}

#[tokio::test]
async fn comments_without_end_do_not_hold_a_request() {
    let fault = modern_fault(|_| events(vec![Step::Flood(": still here\n\n".to_owned())])).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Timeout, true));
}

#[tokio::test]
async fn to_cancel_a_modern_request_closes_its_stream() {
    let peer = serve(|_| events(vec![say(": x\n\n"), Step::Hang])).await;
    let connection = modern(&peer).await;
    let (outgoing, _related) = call(1);
    let cancel = outgoing.cancel.clone();
    let (answer, ()) = tokio::join!(connection.request(outgoing), async {
        until_true(|| !peer.saw().is_empty()).await;
        cancel.cancel();
    });
    let fault = answer.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Cancelled, true));
    until_true(|| *peer.open.lock() == 0).await;
    assert_eq!(peer.saw().len(), 1, "no message says so");
    let (outgoing, _related) = call(2);
    outgoing.cancel.cancel();
    assert!(!connection.request(outgoing).await.unwrap_err().sent);
}

#[tokio::test]
async fn to_cancel_a_legacy_request_is_said() {
    let peer = legacy_server(|_| events(vec![say(": x\n\n"), Step::Hang])).await;
    let (connection, _messages) = legacy(&peer).await;
    let (outgoing, _related) = call(8);
    let cancel = outgoing.cancel.clone();
    let (answer, ()) = tokio::join!(connection.request(outgoing), async {
        until_true(|| !peer.saw_rpc("tools/call").is_empty()).await;
        cancel.cancel();
    });
    assert_eq!(answer.unwrap_err().kind, FaultKind::Cancelled);
    until_true(|| !peer.saw_rpc("notifications/cancelled").is_empty()).await;
    assert!(peer.saw_rpc("notifications/cancelled").remove(0).body.contains("\"requestId\":8"));
    let fault = connection.request(within(call(9).0, Duration::from_millis(200))).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Timeout, true));
    until_true(|| peer.saw_rpc("notifications/cancelled").len() == 2).await;
}

#[tokio::test]
async fn a_subscription_lasts_until_somebody_ends_it() {
    let change = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let peer = serve(move |_| events(vec![event(change), Step::Wait(50), event(change), Step::Hang])).await;
    let connection = modern(&peer).await;
    let (mut outgoing, mut related) = call(1);
    outgoing.timeout = None;
    let cancel = outgoing.cancel.clone();
    let (answer, ()) = tokio::join!(connection.request(outgoing), async {
        related.recv().await.unwrap();
        related.recv().await.unwrap();
        cancel.cancel();
    });
    assert_eq!(answer.unwrap_err().kind, FaultKind::Cancelled);
    until_true(|| *peer.open.lock() == 0).await;
}

#[tokio::test]
async fn the_unsolicited_stream_is_resumed_where_it_broke() {
    let change = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let peer = serve(move |seen| match (seen.rpc().as_str(), seen.method.as_str()) {
        ("initialize", _) => welcome(),
        ("notifications/initialized", _) => status(202),
        (_, "GET") if seen.header("last-event-id") == "u1" => events(vec![event(change), Step::Hang]),
        (_, "GET") => events(vec![say("retry: 10\nid: u1\n"), event(change), Step::Break]),
        _ => status(200),
    })
    .await;
    let (connection, mut messages) = legacy(&peer).await;
    messages.recv().await.unwrap();
    messages.recv().await.unwrap();
    connection.close().await;
    until_true(|| *peer.open.lock() <= 1).await;
}

#[tokio::test]
async fn what_never_left_is_known_as_that() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/mcp", closed.local_addr().unwrap()).parse().unwrap();
    drop(closed);
    let (opening, _messages) = opening(Revision::V2026_07_28);
    let reach = crate::settings::Reach::Http { url: url.clone() };
    let (connection, _) = Connection::open(&reach, &means_to(&url), opening).await.unwrap();
    let fault = connection.request(call(1).0).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, false));
}

#[tokio::test]
async fn a_server_that_hangs_up_or_never_answers_is_bounded() {
    let peer = serve_async(|_| async { futures::future::pending().await }.boxed()).await;
    let connection = modern(&peer).await;
    let fault = connection.request(within(call(1).0, Duration::from_millis(200))).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Timeout, true));
    let slow = bounded(means_to(&peer.url), |bounds| bounds.open = Duration::from_millis(200));
    let (opening, _messages) = opening(Revision::V2025_11_25);
    let fault = Connection::open(&peer.reach(), &slow, opening).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
}

#[tokio::test]
async fn a_session_id_that_is_none_is_refused() {
    let peer = serve(|_| {
        let mut answer = welcome();
        answer.headers_mut().insert("mcp-session-id", HeaderValue::from_static("a b"));
        answer
    })
    .await;
    let (opening, _messages) = opening(Revision::V2025_11_25);
    let fault = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Nonsense);
}

#[tokio::test]
async fn sequential_calls_share_one_tcp_connection() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let peer = serve(move |seen| {
        counted.fetch_add(1, Ordering::Relaxed);
        if seen.id() % 2 == 0 { json(ok(seen.id())) } else { events(vec![event(&ok(seen.id()))]) }
    })
    .await;
    let connection = modern(&peer).await;
    for id in 1..=20 {
        connection.request(call(id).0).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(calls.load(Ordering::Relaxed), 20);
    assert!(*peer.open.lock() <= 2, "{}", *peer.open.lock());
}

#[tokio::test]
async fn what_a_server_says_of_its_credential_is_not_passed_on() {
    let peer = serve(|_| {
        json(r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"`hunter2` is expired"}}"#)
    })
    .await;
    let (mut opening, _messages) = opening(Revision::V2025_11_25);
    opening.injected = Arc::new(Injected {
        headers: vec![(::http::header::AUTHORIZATION, Hidden::new(b"Bearer hunter2".to_vec()))],
        ..Injected::default()
    });
    let fault = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.detail.contains("`[secret:credential]` is expired"), "{fault}");
}

#[tokio::test]
async fn large_messages_that_nobody_takes_are_held_back_by_their_size() {
    let means = means_to(&"http://127.0.0.1:9/".parse().unwrap());
    let mut means = bounded(means, |bounds| bounds.result_bytes = 8 << 20);
    let big = "x".repeat(4 << 20);
    let message =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"data":"{big}"}}}}"#);
    let peer = serve(move |_| events(vec![Step::Flood(format!("data: {message}\n\n"))])).await;
    means.client = super::peer::client(&peer.url);
    let (opening, _messages) = opening(Revision::V2026_07_28);
    let connection = Connection::open(&peer.reach(), &means, opening).await.unwrap().0;
    let (outgoing, mut related) = call(1);
    let fault = connection.request(within(outgoing, Duration::from_secs(2))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    let mut held = 0;
    while related.recv().await.is_some() {
        held += 1;
    }
    assert!((1..=3).contains(&held), "{held} messages of 4 MiB");
}

#[tokio::test]
async fn a_client_error_leaves_the_era_open_only_before_a_handshake() {
    let page = || {
        let text = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"too\nbold"}}"#;
        answer(400, "application/json", vec![say(text)])
    };
    let fault = modern_fault(move |_| page()).await;
    assert_eq!(fault.kind, FaultKind::NotThisEra);
    assert!(fault.detail.ends_with("(HTTP 400): too | bold"), "{fault}");
    assert_eq!(legacy_fault(move |_| page()).await.kind, FaultKind::Refused);
    assert_eq!(legacy_fault(|_| status(413)).await.kind, FaultKind::Refused);
    assert_eq!(modern_fault(|_| status(413)).await.kind, FaultKind::Refused);
    let stateless = serve(|seen| match seen.rpc().as_str() {
        "initialize" => {
            let mut welcome = welcome();
            welcome.headers_mut().remove("mcp-session-id");
            welcome
        }
        "notifications/initialized" => status(202),
        _ => status(404),
    })
    .await;
    let (connection, _messages) = legacy(&stateless).await;
    assert_eq!(connection.request(call(1).0).await.unwrap_err().kind, FaultKind::Refused);
    connection.close().await;
    assert!(stateless.saw().iter().all(|seen| seen.method != "DELETE"));
}
