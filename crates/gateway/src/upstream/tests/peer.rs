//! A scripted HTTP server: a function from what it saw to what it does.

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    /// The JSON-RPC method, empty for anything else.
    pub(super) fn rpc(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["method"].as_str().unwrap_or_default().to_owned()
    }
    pub(super) fn id(&self) -> u64 {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["id"].as_u64().unwrap_or(999)
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Answer = http::Response<Body>;

/// What a body does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Say(String),
    Wait(u64),
    /// The connection breaks.
    Break,
    /// Never ends.
    Hang,
    /// Says the same for ever.
    Flood(String),
}

pub(super) fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into())
}

/// One event with a message in it.
pub(super) fn event(message: &str) -> Step {
    Step::Say(format!("data: {message}\n\n"))
}

fn body(steps: Vec<Step>) -> Body {
    let parts = stream::iter(steps).flat_map(
        |step| -> std::pin::Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>> {
            let part = |text: String| -> io::Result<Frame<Bytes>> { Ok(Frame::data(Bytes::from(text))) };
            match step {
                Step::Say(text) => stream::once(async move { part(text) }).boxed(),
                Step::Wait(ms) => stream::once(tokio::time::sleep(Duration::from_millis(ms)))
                    .filter_map(|()| async { None })
                    .boxed(),
                Step::Break => stream::once(async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(io::Error::other("broken on purpose"))
                })
                .boxed(),
                Step::Hang => stream::pending().boxed(),
                Step::Flood(text) => stream::repeat(text)
                    .then(move |text| async move {
                        tokio::task::yield_now().await;
                        part(text)
                    })
                    .boxed(),
            }
        },
    );
    UnsyncBoxBody::new(StreamBody::new(parts))
}

pub(super) fn answer(status: u16, media: &str, steps: Vec<Step>) -> Answer {
    http::Response::builder().status(status).header("content-type", media).body(body(steps)).unwrap()
}
pub(super) fn json(text: impl Into<String>) -> Answer {
    answer(200, "application/json", vec![say(text)])
}
pub(super) fn events(steps: Vec<Step>) -> Answer {
    answer(200, "text/event-stream", steps)
}
/// Events as they are said, for as long as somebody can say more.
pub(super) fn live(said: tokio::sync::mpsc::UnboundedReceiver<String>) -> Answer {
    let parts = stream::unfold(said, |mut said| async move {
        let text = said.recv().await?;
        Some((Ok::<_, io::Error>(Frame::data(Bytes::from(text))), said))
    });
    let body = UnsyncBoxBody::new(StreamBody::new(parts));
    http::Response::builder().status(200).header("content-type", "text/event-stream").body(body).unwrap()
}
pub(super) fn status(status: u16) -> Answer {
    answer(status, "text/plain", vec![say("no")])
}
pub(super) fn ok(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#)
}
/// The answer to `initialize`, which opens session `s1`.
pub(super) fn welcome() -> Answer {
    let mut answer = json(
        r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"p","version":"1"}}}"#,
    );
    answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
    answer
}

/// A running server and everything it saw.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) url: url::Url,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    /// Open connections.
    pub(super) open: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(super) fn saw(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
    pub(super) fn saw_rpc(&self, method: &str) -> Vec<Seen> {
        self.saw().into_iter().filter(|seen| seen.rpc() == method).collect()
    }
    pub(super) fn reach(&self) -> crate::settings::Reach {
        crate::settings::Reach::Http { url: self.url.clone() }
    }
}

/// A server that does what `script` says.
pub(super) async fn serve<F>(script: F) -> Peer
where
    F: Fn(Seen) -> Answer + Clone + Send + Sync + 'static,
{
    serve_async(move |seen| {
        let answer = script(seen);
        async move { answer }.boxed()
    })
    .await
}

pub(super) async fn serve_async<F>(script: F) -> Peer
where
    F: Fn(Seen) -> BoxFuture<'static, Answer> + Clone + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let open: Arc<Mutex<usize>> = Arc::default();
    let (log, count) = (Arc::clone(&seen), Arc::clone(&open));
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (script, log, count) = (script.clone(), Arc::clone(&log), Arc::clone(&count));
            *count.lock() += 1;
            connections.spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let (script, log) = (script.clone(), Arc::clone(&log));
                    async move { Ok::<_, Infallible>(handle(request, script, log).await) }
                });
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service)
                    .await
                    .ok();
                *count.lock() -= 1;
            });
        }
    });
    Peer { url, seen, open, task }
}

async fn handle<F>(
    request: http::Request<hyper::body::Incoming>,
    script: F,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Answer
where
    F: Fn(Seen) -> BoxFuture<'static, Answer>,
{
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    log.lock().push(seen.clone());
    script(seen).await
}

/// A client that may reach that address.
pub(super) fn client(url: &url::Url) -> egress::Client {
    let origin = egress::Origin::of(&url.as_str().parse().unwrap()).unwrap();
    let policy = egress::EgressPolicy::default().with(egress::Destination::declared(origin));
    egress::Client::new(policy, egress::Settings::default())
}
