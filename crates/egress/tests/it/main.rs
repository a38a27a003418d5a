//! The client against real servers on loopback, most of which misbehave.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod certificate;
mod fetch;
mod floods;
mod http2;
mod network;
mod server;
mod spelling;
mod tls;

use callgate_egress::{
    AddressClass, BodyStream, Bounds, Client, Destination, EgressError, EgressPolicy, Full, Origin,
    OriginError, Phase, Request, Response, Sent, Settings, collect_limited,
};
use server::{Server, answer, read_request};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// In every URL and header; in no error.
const CANARY: &str = "c4n4ry";

fn origin(uri: &str) -> Origin {
    Origin::of(&uri.parse().unwrap()).unwrap()
}

fn client(uri: &str) -> Client {
    let settings = Settings { connect_max: Duration::from_millis(500), ..Settings::default() };
    Client::new(EgressPolicy::default().with(Destination::declared(origin(uri))), settings)
}

fn post(uri: &str) -> Request<Full<bytes::Bytes>> {
    let uri = format!("{uri}/{CANARY}?key={CANARY}");
    let request = Request::post(uri).header("authorization", format!("Bearer {CANARY}"));
    request.body(Full::new(bytes::Bytes::from_static(b"{}"))).unwrap()
}

fn quick() -> Bounds {
    let short = Duration::from_millis(300);
    Bounds { first_byte_max: short, idle_max: short, total_max: None }
}

async fn send(uri: &str) -> Result<Response<BodyStream>, EgressError> {
    client(uri).send(post(uri), quick()).await
}

/// The error of an exchange, up to `max` bytes of body; and that it keeps quiet.
async fn failure(uri: &str, max: usize) -> EgressError {
    let outcome = async { collect_limited(send(uri).await?.into_body(), max).await };
    quiet(outcome.await.unwrap_err())
}

fn quiet(error: EgressError) -> EgressError {
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    error
}

#[tokio::test]
async fn a_request_arrives_as_given_and_its_answer_comes_back() {
    let server = Server::start(async |mut stream| {
        let request = read_request(&mut stream).await.unwrap();
        let echo = request.replace(CANARY, "x").to_ascii_lowercase();
        answer(&mut stream, "200 OK", &echo).await;
    })
    .await;
    let response = send(&server.uri).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = collect_limited(response.into_body(), 1000).await.unwrap();
    let host = server.uri.strip_prefix("http://").unwrap();
    let expected = format!(
        "post /x?key=x http/1.1\r\nauthorization: bearer x\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let mut lines = [
        expected.split("\r\n").collect::<Vec<_>>(),
        std::str::from_utf8(&body).unwrap().split("\r\n").collect(),
    ];
    lines.iter_mut().for_each(|lines| lines.sort_unstable());
    let [expected, found] = lines;
    assert_eq!(found, expected);
}

#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let test = "a_request_arrives_as_given_and_its_answer_comes_back";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:1");
    }
    again.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = again.args(["--exact", test]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let trap = Server::start(async |_| {}).await;
    let location = trap.uri.clone();
    let server = Server::start(move |mut stream| {
        let location = location.clone();
        async move {
            read_request(&mut stream).await;
            answer(&mut stream, &format!("307 Temporary Redirect\r\nlocation: {location}"), "").await;
        }
    })
    .await;
    assert_eq!(send(&server.uri).await.unwrap().status(), 307);
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn what_is_not_declared_is_not_even_connected_to() {
    let server = Server::start(async |_| {}).await;
    let other = client("http://127.0.0.1:1");
    for uri in [
        server.uri.clone(),
        server.uri.replace("http:", "https:"),
        server.uri.replace("127.0.0.1", "localhost"),
    ] {
        let error = quiet(other.send(post(&uri), quick()).await.unwrap_err());
        assert!(matches!(error, EgressError::Undeclared { .. }), "{error:?}");
        assert_eq!(error.sent(), Sent::Unsent);
    }
    let in_url = server.uri.replace("http://", "http://user:c4n4ry@");
    let error = quiet(other.send(post(&in_url), quick()).await.unwrap_err());
    assert_eq!(error, EgressError::Url(OriginError::UserInfo));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_new_policy_counts_at_once_also_where_a_connection_is_open() {
    let server = Server::start(async |mut stream| {
        while read_request(&mut stream).await.is_some() {
            answer(&mut stream, "200 OK", "ok").await;
        }
    })
    .await;
    let client = client(&server.uri);
    for _ in 0..3 {
        let response = client.send(post(&server.uri), quick()).await.unwrap();
        assert_eq!(collect_limited(response.into_body(), 2).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 1, "the connection is kept");
    // still known, but no longer where it is
    client.set_policy(EgressPolicy::default().with(Destination::found(origin(&server.uri))));
    let error = client.send(post(&server.uri), quick()).await.unwrap_err();
    assert!(matches!(error, EgressError::RefusedAddress { class: AddressClass::Loopback, .. }), "{error:?}");
    client.set_policy(EgressPolicy::default());
    let error = client.send(post(&server.uri), quick()).await.unwrap_err();
    assert!(matches!(error, EgressError::Undeclared { .. }));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_never_connected_was_never_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = failure(&gone, 0).await;
    assert!(matches!(error, EgressError::ConnectRefused { .. }), "{error:?}");
    assert_eq!(error.sent(), Sent::Unsent);
    // accepts and says nothing, so that the TLS handshake never ends; whichever bound is reached first
    let silent = Server::start(async |mut stream| drop(stream.read_to_end(&mut Vec::new()).await)).await;
    let uri = silent.uri.replace("http:", "https:");
    for first_byte_max in [Duration::from_millis(200), Duration::from_secs(20)] {
        let bounds = Bounds { first_byte_max, ..quick() };
        let error = quiet(client(&uri).send(post(&uri), bounds).await.unwrap_err());
        assert!(matches!(error, EgressError::ConnectTimeout { .. }), "{error:?}");
        assert_eq!(error.sent(), Sent::Unsent);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_may_have_seen_the_request() {
    let early = Server::start(async |_| {}).await;
    let late = Server::start(async |mut stream| drop(read_request(&mut stream).await)).await;
    let midway = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    })
    .await;
    for server in [early, late, midway] {
        let error = failure(&server.uri, 1000).await;
        assert!(matches!(error, EgressError::Reset { sent: Sent::MaybeSent, .. }), "{error:?}");
        assert_eq!(server.connections(), 1, "asked once");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_replaced_and_the_request_arrives_once() {
    // one answer for each connection, then it is closed without a word
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "ok").await;
    })
    .await;
    let client = client(&server.uri);
    for round in 1..=5 {
        let response = client.send(post(&server.uri), quick()).await.unwrap();
        collect_limited(response.into_body(), 2).await.unwrap();
        server.closed(round).await;
        assert_eq!(server.connections(), round);
    }
}

#[tokio::test]
async fn a_server_that_dies_over_a_second_request_is_not_asked_again() {
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "ok").await;
        read_request(&mut stream).await;
    })
    .await;
    let client = client(&server.uri);
    let response = client.send(post(&server.uri), quick()).await.unwrap();
    collect_limited(response.into_body(), 2).await.unwrap();
    let error = client.send(post(&server.uri), quick()).await.unwrap_err();
    assert!(matches!(error, EgressError::Reset { sent: Sent::MaybeSent, .. }), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_told_so() {
    let head = Server::start(async |mut stream| drop(stream.read_to_end(&mut Vec::new()).await)).await;
    let error = failure(&head.uri, 0).await;
    assert!(
        matches!(error, EgressError::Timeout { phase: Phase::FirstByte, sent: Sent::MaybeSent, .. }),
        "{error:?}"
    );
    head.closed(1).await;

    let body = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await
            .unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let error = failure(&body.uri, 1000).await;
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Idle, .. }), "{error:?}");
    body.closed(1).await;
}

#[tokio::test]
async fn a_server_that_drips_is_stopped_by_the_total_and_an_event_stream_is_not() {
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let bounds = Bounds { total_max: Some(Duration::from_millis(200)), ..quick() };
    let response = client(&server.uri).send(post(&server.uri), bounds).await.unwrap();
    let error = collect_limited(response.into_body(), 1000).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Total, .. }), "{error:?}");
    server.closed(1).await;

    let mut body = send(&server.uri).await.unwrap().into_body();
    for _ in 0..30 {
        assert_eq!(body.next().await.unwrap().unwrap(), "x");
    }
    drop(body);
    server.closed(2).await;
}

#[tokio::test]
async fn a_flood_is_cut_off_as_soon_as_it_is_one() {
    let announced = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let endless = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        while stream.write_all(&[b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat()).await.is_ok() {}
    })
    .await;
    for server in [announced, endless] {
        let error = failure(&server.uri, 100_000).await;
        assert!(matches!(error, EgressError::BodyTooLarge { max: 100_000, .. }), "{error:?}");
        server.closed(1).await;
    }
    let exact = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", &"x".repeat(100_000)).await;
    })
    .await;
    let body = collect_limited(send(&exact.uri).await.unwrap().into_body(), 100_000).await.unwrap();
    assert_eq!(body.len(), 100_000);
}

#[tokio::test]
async fn a_head_that_does_not_end_or_is_none_is_refused() {
    let wide = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let many = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        let headers = "a: b\r\n".repeat(1000);
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes()).await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    for server in [wide, many] {
        let error = failure(&server.uri, 0).await;
        assert!(matches!(error, EgressError::HeadTooLarge { .. }), "{error:?}");
    }
    let ssh = Server::start(async |mut stream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let error = failure(&ssh.uri, 0).await;
    assert!(matches!(error, EgressError::Protocol { .. } | EgressError::Reset { .. }), "{error:?}");
}
