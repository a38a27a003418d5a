//! HTTP/2, which most servers on the Internet choose when they are offered it.

use crate::{CANARY, origin, post, quick, quiet, tls};
use bytes::Bytes;
use callgate_egress::{
    Bounds, Client, Destination, EgressError, EgressPolicy, Full, Phase, Response, Sent, Settings, Trust,
    collect_limited,
};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

type Body = BoxBody<Bytes, Infallible>;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Bodies whose reader has gone.
    dropped: AtomicUsize,
}

/// Serves by path: `/echo`, `/hang`, `/drip`, `/reset`, `/wide`.
async fn server() -> (String, Arc<Seen>) {
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::server_config(&[b"h2"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(move |request| serve(request, Arc::clone(&shared)));
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http2.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    (uri, seen)
}

async fn serve(request: hyper::Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Body>, &'static str> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    assert_eq!(request.version(), hyper::Version::HTTP_2);
    let mut answer = Response::builder();
    let body = match request.uri().path() {
        "/echo" => request.into_body().collect().await.unwrap().to_bytes(),
        "/hang" => std::future::pending().await,
        "/drip" => return Ok(Response::new(drip(seen))),
        "/reset" => return Err("gone"),
        "/wide" => {
            answer = answer.header("x-wide", "x".repeat(100_000));
            Bytes::new()
        }
        _ => return Err("no such path"),
    };
    Ok(answer.body(Full::new(body).boxed()).unwrap())
}

/// An `x` every 20 ms until nobody listens.
fn drip(seen: Arc<Seen>) -> Body {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen.dropped.fetch_add(1, Ordering::SeqCst);
    });
    let pieces = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    BodyExt::boxed(StreamBody::new(pieces))
}

fn client(uri: &str) -> Client {
    let policy = EgressPolicy::default().with(Destination::declared(origin(uri)));
    Client::new(policy, Settings { trust: Trust::Only(vec![tls::root()]), ..Settings::default() })
}

async fn ask(client: &Client, uri: &str, path: &str, bounds: Bounds) -> Result<Bytes, EgressError> {
    let mut request = post(uri);
    *request.uri_mut() = format!("{uri}/{path}?key={CANARY}").parse().unwrap();
    collect_limited(client.send(request, bounds).await?.into_body(), 1000).await
}

#[tokio::test]
async fn many_requests_share_one_connection_and_one_that_fails_does_not_end_the_others() {
    let (uri, seen) = server().await;
    let client = client(&uri);
    assert_eq!(ask(&client, &uri, "echo", quick()).await.unwrap(), "{}");
    let long = Bounds { first_byte_max: Duration::from_secs(5), ..quick() };
    let (hung, reset, echo) = tokio::join!(
        ask(&client, &uri, "hang", quick()),
        ask(&client, &uri, "reset", long),
        ask(&client, &uri, "echo", long),
    );
    let hung = quiet(hung.unwrap_err());
    assert!(
        matches!(hung, EgressError::Timeout { phase: Phase::FirstByte, sent: Sent::MaybeSent, .. }),
        "{hung:?}"
    );
    let reset = quiet(reset.unwrap_err());
    assert!(matches!(reset, EgressError::Reset { sent: Sent::MaybeSent, .. }), "{reset:?}");
    assert_eq!(echo.unwrap(), "{}");
    assert_eq!((seen.connections.load(Ordering::SeqCst), seen.requests.load(Ordering::SeqCst)), (1, 4));
}

#[tokio::test]
async fn a_body_that_is_dropped_or_out_of_time_ends_its_stream_only() {
    let (uri, seen) = server().await;
    let client = client(&uri);
    let bounds = Bounds { total_max: Some(Duration::from_millis(200)), ..quick() };
    let error = quiet(ask(&client, &uri, "drip", bounds).await.unwrap_err());
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Total, .. }), "{error:?}");
    let mut request = post(&uri);
    *request.uri_mut() = format!("{uri}/drip").parse().unwrap();
    let mut body = client.send(request, quick()).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "x");
    drop(body);
    let both = async {
        while seen.dropped.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    assert_eq!(ask(&client, &uri, "echo", quick()).await.unwrap(), "{}");
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (uri, _) = server().await;
    let error = quiet(ask(&client(&uri), &uri, "wide", quick()).await.unwrap_err());
    assert!(matches!(error, EgressError::HeadTooLarge { .. } | EgressError::Reset { .. }), "{error:?}");
    assert_eq!(error.sent(), Sent::MaybeSent);
}
