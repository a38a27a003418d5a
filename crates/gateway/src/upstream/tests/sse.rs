//! A server of HTTP+SSE: its stream, and what it does with what is posted.

use super::peer::{Answer, Peer, Seen, Step, events, live, ok, say, serve, status};
use super::*;
use crate::settings::Reach;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const NAMED: &str = "event: endpoint\ndata: /messages?sessionId=s1\n\n";
const WELCOME: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"p","version":"1"}}}"#;

/// The open stream of a peer.
#[derive(Debug, Clone, Default)]
struct Line(Arc<Mutex<Option<UnboundedSender<String>>>>);

impl Line {
    fn say(&self, message: &str) {
        self.raw(&format!("event: message\ndata: {message}\n\n"));
    }
    fn raw(&self, text: &str) {
        if let Some(line) = &*self.0.lock() {
            line.send(text.to_owned()).ok();
        }
    }
    fn cut(&self) {
        self.0.lock().take();
    }
}

/// A server that shakes hands, and does with all else that is posted what `script` says.
async fn server<F>(script: F) -> (Peer, Line)
where
    F: Fn(&Seen, &Line) -> Answer + Clone + Send + Sync + 'static,
{
    let line = Line::default();
    let ours = line.clone();
    let peer = serve(move |seen| {
        if seen.method == "GET" {
            let (sender, said) = unbounded_channel();
            sender.send(NAMED.to_owned()).unwrap();
            *ours.0.lock() = Some(sender);
            return live(said);
        }
        match seen.rpc().as_str() {
            "initialize" => ours.say(WELCOME),
            "notifications/initialized" => {}
            _ => return script(&seen, &ours),
        }
        status(202)
    })
    .await;
    (peer, line)
}

fn answers(seen: &Seen, line: &Line) -> Answer {
    if seen.rpc() == "tools/call" {
        line.say(&ok(seen.id()));
    }
    status(202)
}

fn reach(peer: &Peer) -> Reach {
    Reach::Sse { url: peer.url.clone() }
}

fn impatient(peer: &Peer) -> Means {
    waiting(peer, Duration::from_millis(500))
}

fn waiting(peer: &Peer, open: Duration) -> Means {
    bounded(means_to(&peer.url), |bounds| bounds.open = open)
}

async fn open(peer: &Peer) -> (Connection, mpsc::Receiver<FromServer>) {
    let (opening, messages) = opening(Revision::V2025_11_25);
    let (connection, hello) = Connection::open(&reach(peer), &means_to(&peer.url), opening).await.unwrap();
    assert!(hello.is_some());
    (connection, messages)
}

/// Why a server does not get as far as an answered call.
async fn no(peer: &Peer) -> Fault {
    no_within(peer, &impatient(peer)).await
}

async fn no_within(peer: &Peer, means: &Means) -> Fault {
    let (opening, _messages) = opening(Revision::V2025_11_25);
    match Connection::open(&reach(peer), means, opening).await {
        Err(fault) => fault,
        Ok((connection, _)) => {
            connection.request(within(call(1).0, Duration::from_secs(1))).await.unwrap_err()
        }
    }
}

#[tokio::test]
async fn messages_are_posted_where_the_stream_says_and_answered_on_it() {
    let (peer, _line) = server(answers).await;
    let (connection, _messages) = open(&peer).await;
    assert_eq!(connection.revision(), Revision::V2024_11_05);
    let (one, two) = tokio::join!(connection.request(call(1).0), connection.request(call(2).0));
    assert_eq!(one.unwrap().frame.id_raw(), Some(&b"1"[..]));
    assert_eq!(two.unwrap().frame.id_raw(), Some(&b"2"[..]));
    let saw = peer.saw();
    assert_eq!(saw[0].method, "GET");
    assert_eq!(saw[0].header("accept"), "text/event-stream");
    for posted in &saw[1..] {
        assert_eq!((posted.path.as_str(), posted.query.as_str()), ("/messages", "sessionId=s1"));
    }
    let order: Vec<_> = saw[1..3].iter().map(Seen::rpc).collect();
    assert_eq!(order, ["initialize", "notifications/initialized"]);
    assert_eq!(saw[2].header("mcp-protocol-version"), "2024-11-05");
    assert_eq!(connection.in_flight(), 0);
    let before = *peer.open.lock();
    connection.close().await;
    assert!(!connection.is_alive());
    // the stream; those that messages were posted over can be used again
    until_true(|| *peer.open.lock() == before - 1).await;
}

#[tokio::test]
async fn an_answer_before_its_message_is_taken_is_an_answer() {
    let peer_line = Line::default();
    let (ours, script) = (peer_line.clone(), peer_line.clone());
    let peer = super::peer::serve_async(move |seen| {
        let (ours, script) = (ours.clone(), script.clone());
        Box::pin(async move {
            if seen.method == "GET" {
                let (sender, said) = unbounded_channel();
                sender.send(NAMED.to_owned()).unwrap();
                *ours.0.lock() = Some(sender);
                return live(said);
            }
            match seen.rpc().as_str() {
                "initialize" => script.say(WELCOME),
                "tools/call" => {
                    script.say(&ok(seen.id()));
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
                _ => {}
            }
            status(202)
        })
    })
    .await;
    let (connection, _messages) = open(&peer).await;
    connection.request(within(call(1).0, Duration::from_secs(3))).await.unwrap();
    connection.request(within(call(2).0, Duration::from_secs(3))).await.unwrap();
}

#[tokio::test]
async fn progress_comes_to_its_request_and_questions_to_the_session() {
    let (peer, _line) = server(|seen, line| {
        if seen.rpc() == "tools/call" {
            line.say(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}}"#);
            line.say(r#"{"jsonrpc":"2.0","id":"q1","method":"roots/list"}"#);
        } else {
            // the answer to the question
            line.say(&ok(3));
        }
        status(202)
    })
    .await;
    let (connection, mut messages) = open(&peer).await;
    let (outgoing, mut related) = call(3);
    let answer = async {
        let question = messages.recv().await.unwrap();
        assert_eq!(question.frame.method().unwrap(), "roots/list");
        let reply = Bytes::from_static(br#"{"jsonrpc":"2.0","id":"q1","result":{"roots":[]}}"#);
        connection.send(reply, &Injected::default()).await.unwrap();
    };
    let (received, ()) = tokio::join!(connection.request(outgoing), answer);
    received.unwrap();
    assert_eq!(related.recv().await.unwrap().frame.method().unwrap(), "notifications/progress");
    assert_eq!(peer.saw().last().unwrap().path, "/messages");
}

#[tokio::test]
async fn a_lost_stream_loses_what_waits_and_the_connection_with_it() {
    let (peer, line) = server(|_, _| status(202)).await;
    let (connection, mut messages) = open(&peer).await;
    let cut = async {
        until_true(|| peer.saw_rpc("tools/call").len() == 2).await;
        line.cut();
    };
    let (one, two, ()) = tokio::join!(connection.request(call(1).0), connection.request(call(2).0), cut);
    for fault in [one.unwrap_err(), two.unwrap_err()] {
        assert_eq!((fault.kind, fault.sent), (FaultKind::Lost, true), "{fault}");
    }
    assert!(!connection.is_alive());
    assert!(messages.recv().await.is_none(), "whoever listens knows");
    let late = connection.request(call(3).0).await.unwrap_err();
    assert_eq!((late.kind, late.sent), (FaultKind::Lost, false));
    let late = connection.send(Bytes::from_static(b"{}"), &Injected::default()).await.unwrap_err();
    assert!(!late.sent);
    assert_eq!(peer.saw_rpc("tools/call").len(), 2, "nothing is posted without a stream");
}

#[tokio::test]
async fn a_caller_that_gives_up_is_told_to_the_server_after_its_request() {
    let (peer, _line) = server(|_, _| status(202)).await;
    let (connection, _messages) = open(&peer).await;
    let (outgoing, _related) = call(5);
    let cancel = outgoing.cancel.clone();
    let give_up = async {
        until_true(|| peer.saw_rpc("tools/call").len() == 1).await;
        cancel.cancel();
    };
    let (answer, ()) = tokio::join!(connection.request(outgoing), give_up);
    let fault = answer.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Cancelled, true));
    let told = peer.saw_rpc("notifications/cancelled");
    assert!(told[0].body.contains(r#""requestId":5"#), "{told:?}");
    // and one that nobody waits for any more never leaves
    let (outgoing, _related) = call(6);
    outgoing.cancel.cancel();
    assert!(!connection.request(outgoing).await.unwrap_err().sent);
    // time is another way to give up
    let late = connection.request(within(call(7).0, Duration::from_millis(200))).await.unwrap_err();
    assert_eq!((late.kind, late.sent), (FaultKind::Timeout, true));
    until_true(|| peer.saw_rpc("notifications/cancelled").len() == 2).await;
    assert_eq!(peer.saw_rpc("tools/call").len(), 2);
}

#[tokio::test]
async fn a_message_that_is_not_taken_fails_its_own_request_at_once() {
    for (code, kind) in [
        (200, None),
        (202, None),
        (204, None),
        (302, Some(FaultKind::Nonsense)),
        (307, Some(FaultKind::Nonsense)),
        (400, Some(FaultKind::Refused)),
        (401, Some(FaultKind::Unauthorized)),
        (403, Some(FaultKind::Unauthorized)),
        (404, Some(FaultKind::Lost)),
        (413, Some(FaultKind::Refused)),
        (429, Some(FaultKind::Busy)),
        (500, Some(FaultKind::Lost)),
        (503, Some(FaultKind::Lost)),
    ] {
        let (peer, _line) = server(move |seen, line| {
            if code < 300 {
                line.say(&ok(seen.id()));
            }
            let mut answer = status(code);
            answer.headers_mut().insert("location", "http://127.0.0.1:9/".parse().unwrap());
            answer
        })
        .await;
        let (connection, _messages) = open(&peer).await;
        let answer = connection.request(call(1).0).await;
        assert_eq!(answer.as_ref().err().map(|fault| fault.kind), kind, "{code}: {answer:?}");
        assert_eq!(connection.is_alive(), code != 404, "{code}");
        assert_eq!(peer.saw_rpc("tools/call").len(), 1, "{code}: sent once");
    }
}

#[tokio::test]
async fn an_error_of_the_protocol_beside_a_client_error_is_the_answer() {
    let (peer, _line) = server(|seen, _| {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32602,"message":"no"}}}}"#, seen.id());
        super::peer::answer(400, "application/json", vec![say(text)])
    })
    .await;
    let (connection, _messages) = open(&peer).await;
    let received = connection.request(call(1).0).await.unwrap();
    assert_eq!(received.frame.kind(), wire::Kind::ErrorResponse);
}

#[tokio::test]
async fn what_is_no_stream_of_this_kind_is_told_in_words() {
    for (answer, kind) in [
        (status(405), FaultKind::NotThisEra),
        (status(404), FaultKind::NotThisEra),
        (super::peer::json("{}"), FaultKind::NotThisEra),
        (status(401), FaultKind::Unauthorized),
        (status(302), FaultKind::Nonsense),
        (status(503), FaultKind::Unreachable),
    ] {
        let answer = Mutex::new(Some(answer));
        let answer = Arc::new(answer);
        let peer = serve(move |_| answer.lock().take().unwrap_or_else(|| status(500))).await;
        let fault = no(&peer).await;
        assert_eq!(fault.kind, kind, "{fault}");
        let helps = fault.detail.contains("transport = \"sse\"");
        assert_eq!(helps, kind == FaultKind::NotThisEra, "{fault}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_late_missing_or_not_first_opens_nothing() {
    let cases: [(Vec<Step>, FaultKind, &str); 6] = [
        (vec![Step::Hang], FaultKind::Timeout, "no endpoint in time"),
        (vec![say(": still here\n\n"), Step::Hang], FaultKind::Timeout, "no endpoint in time"),
        (vec![], FaultKind::Nonsense, "ended before"),
        (
            vec![say(format!("data: {WELCOME}\n\n")), say(NAMED), Step::Hang],
            FaultKind::Nonsense,
            "a message before",
        ),
        (vec![Step::Flood("event: ping\ndata: x\n\n".to_owned())], FaultKind::Nonsense, "names no endpoint"),
        (vec![Step::Flood("event: endpoint".to_owned())], FaultKind::TooLarge, "larger than"),
    ];
    for (steps, kind, why) in cases {
        let peer = serve(move |_| events(steps.clone())).await;
        // a machine that is busy may not get as far as the stream in time: then it is given more, and never less
        // than it takes a server to fail by itself
        let mut open = Duration::from_millis(if kind == FaultKind::Timeout { 500 } else { 30_000 });
        let mut fault = no_within(&peer, &waiting(&peer, open)).await;
        while fault.kind == FaultKind::Timeout && !fault.detail.contains(why) && open.as_secs() < 30 {
            open *= 2;
            fault = no_within(&peer, &waiting(&peer, open)).await;
        }
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.detail.contains(why), "{fault}");
        assert!(peer.saw().iter().all(|seen| seen.method == "GET"), "nothing is posted");
        until_true(|| *peer.open.lock() == 0).await;
    }
}

#[tokio::test]
async fn an_endpoint_elsewhere_gets_no_byte() {
    let elsewhere = serve(|_| status(202)).await;
    let other = elsewhere.url.clone();
    for said in [
        other.to_string(),
        format!("//127.0.0.1:{}/mcp", other.port().unwrap()),
        format!("http://user:pw@127.0.0.1:{}/mcp", other.port().unwrap()),
    ] {
        let peer =
            serve(move |_| events(vec![say(format!("event: endpoint\ndata: {said}\n\n")), Step::Hang])).await;
        // as if both were declared: then the address check alone would let it pass
        let mut means = impatient(&peer);
        let declared = [&peer.url, &other].map(|url| {
            egress::Destination::declared(egress::Origin::of(&url.as_str().parse().unwrap()).unwrap())
        });
        means.client = egress::Client::new(declared.into_iter().collect(), egress::Settings::default());
        let (opening, _messages) = opening(Revision::V2025_11_25);
        let fault = Connection::open(&reach(&peer), &means, opening).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Nonsense, "{fault}");
        assert!(fault.detail.contains("another origin") && !fault.detail.contains("pw"), "{fault}");
    }
    let users = serve(|seen| {
        let said = format!("http://u:pw@{}/messages", seen.header("host"));
        events(vec![say(format!("event: endpoint\ndata: {said}\n\n")), Step::Hang])
    })
    .await;
    let fault = no(&users).await;
    assert!(fault.detail.ends_with("names a user"), "{fault}");
    assert_eq!(users.saw().len(), 1);
    assert_eq!(elsewhere.saw().len(), 0);
}

#[tokio::test]
async fn an_endpoint_named_again_is_no_news_and_another_ends_the_stream() {
    let (peer, line) = server(answers).await;
    let (connection, _messages) = open(&peer).await;
    line.raw(NAMED);
    line.raw("event: ping\ndata: x\n\n");
    connection.request(call(1).0).await.unwrap();
    line.raw("event: endpoint\ndata: /other\n\n");
    until_true(|| !connection.is_alive()).await;
    let fault = connection.request(call(2).0).await.unwrap_err();
    assert!(fault.detail.contains("another endpoint") && !fault.sent, "{fault}");
    assert!(peer.saw().iter().all(|seen| seen.path != "/other"));
}

#[tokio::test]
async fn a_giant_event_and_noise_end_the_stream() {
    let giant = format!("data: {}\n\n", "x".repeat(70 << 10));
    let (peer, line) = server(|_, _| status(202)).await;
    let (connection, _messages) = open(&peer).await;
    let say = async {
        until_true(|| connection.in_flight() == 1).await;
        line.raw(&giant);
    };
    let (answer, ()) = tokio::join!(connection.request(call(1).0), say);
    assert_eq!(answer.unwrap_err().kind, FaultKind::TooLarge);
    until_true(|| !connection.is_alive()).await;

    let (peer, line) = server(|_, _| status(202)).await;
    let (connection, _messages) = open(&peer).await;
    for _ in 0..20 {
        line.say("{\"jsonrpc\":\"2.0\"}");
    }
    until_true(|| !connection.is_alive()).await;
    drop(peer);
}

#[tokio::test]
async fn credentials_go_with_every_message_and_come_back_in_none() {
    let (peer, line) = server(|seen, line| {
        let quoted = seen.header("authorization").to_owned();
        line.say(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{quoted}"}}}}"#));
        line.say(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"said":"{quoted}"}}}}"#, seen.id()));
        status(202)
    })
    .await;
    let with = |secret: &str| {
        Arc::new(Injected {
            headers: vec![(
                ::http::header::AUTHORIZATION,
                Hidden::new(format!("Bearer {secret}").into_bytes()),
            )],
            query: vec![("key".to_owned(), Hidden::new(b"query-s3cret".to_vec()))],
            ..Injected::default()
        })
    };
    let (mut opening, mut messages) = opening(Revision::V2025_11_25);
    opening.injected = with("opening-s3cret");
    let (connection, _) = Connection::open(&reach(&peer), &means_to(&peer.url), opening).await.unwrap();
    let (mut outgoing, _related) = call(1);
    outgoing.injected = with("later-s3cret");
    let received = connection.request(outgoing).await.unwrap();
    assert!(!String::from_utf8_lossy(received.frame.bytes()).contains("s3cret"));
    assert!(received.masked.total() > 0);
    let note = messages.recv().await.unwrap();
    assert!(!String::from_utf8_lossy(note.frame.bytes()).contains("s3cret"), "{note:?}");
    // what it says of itself may quote either
    line.say(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"opening-s3cret later-s3cret"}}"#);
    let note = messages.recv().await.unwrap();
    assert!(!String::from_utf8_lossy(note.frame.bytes()).contains("s3cret"), "{note:?}");
    for seen in peer.saw() {
        assert!(seen.header("authorization").ends_with("s3cret"), "{seen:?}");
        assert!(
            seen.query.ends_with("key=query-s3cret") && seen.query.matches("key=").count() == 1,
            "{seen:?}"
        );
    }
    assert_eq!(peer.saw_rpc("tools/call")[0].header("authorization"), "Bearer later-s3cret");
    assert!(!format!("{connection:?}").contains("s1"), "nor is the session's address shown");
}

#[tokio::test]
async fn such_a_server_is_legacy_without_a_modern_question_and_a_plain_address_of_one_says_so() {
    let (peer, _line) = server(answers).await;
    assert_eq!(detect(&reach(&peer), &means_to(&peer.url), &Arc::default()).await, Ok(wire::Eras::Legacy));
    assert_eq!(peer.saw_rpc("server/discover").len(), 0);
    let (peer, _line) = server(answers).await;
    let plain = serve(
        move |seen| if seen.method == "GET" { events(vec![say(NAMED), Step::Hang]) } else { status(404) },
    )
    .await;
    let fault = detect(&plain.reach(), &means_to(&plain.url), &Arc::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotThisEra);
    assert!(fault.detail.contains("write `transport = \"sse\"`"), "{fault}");
    let (modern, _messages) = opening(Revision::V2026_07_28);
    let fault = Connection::open(&reach(&peer), &means_to(&peer.url), modern).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::NotThisEra, false));
}
