//! Streamable HTTP, both eras, on an accept loop of our own.
//!
//! HTTP/1.1 only, with TLS or without: whatever speaks HTTP/2 to the world stands in front. Everything a
//! peer can stretch has an end: handshakes in number and time, headers in number, size and time, bodies
//! in size and time, connections in number, and a peer that stops reading is let go.

mod address;
mod body;
mod events;
mod exchange;
mod facts;
mod secure;
mod stall;

use super::{
    Bound, Path,
    streams::Shelf,
    tls::{ClientCertificate, Tls},
};
use crate::exchange::{Facts, Presented};
use crate::places::{Acquaintance, Places, Stranger, Strangers, Taken};
use crate::settings::Settings;
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use secure::Hall;
use stall::Stall;
use std::{convert::Infallible, fmt, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

/// Headers of one request.
const HEADERS_MAX: usize = 100;
/// Bytes of one request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Bytes read ahead of a body, and written ahead of a peer.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Connections over the limit that are told so at the same time; more are dropped.
const TURNED_AWAY_MAX: usize = 32;
/// How long, and how often, whoever comes when all places are taken waits for that of a stranger who is given up.
const GIVEN_UP_PAUSE: Duration = Duration::from_millis(10);
const GIVEN_UP_LOOKS: u32 = 20;
/// What an unread request may still send before it is cut off, so that the answer gets through.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);
/// Pause after the kernel could not give us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often old event streams are let go.
const SWEEP: Duration = Duration::from_secs(30);
/// For a call to write its record after its connection was cut at the end of a drain.
const AFTERMATH: Duration = Duration::from_millis(500);

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Whether something works, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Good,
    /// One sentence for an operator.
    Bad(String),
}

/// What monitoring asks; given by whoever knows.
#[derive(Clone)]
pub struct Probes {
    /// `/healthz`: is the process alive.
    pub alive: Arc<dyn Fn() -> Health + Send + Sync>,
    /// `/readyz`: can it take calls.
    pub ready: Arc<dyn Fn() -> Health + Send + Sync>,
    /// `/metrics`, in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The public keys of assertions, as a JSON Web Key Set.
    pub keys: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// Another service at the same address, for the paths under its prefix. What it answers is its own; that the request
/// names one of our hosts is checked before.
#[derive(Clone)]
pub struct Annex {
    /// `/name`, without a slash at the end.
    pub prefix: &'static str,
    pub answer: Arc<dyn Fn(Request<Incoming>, Visit) -> Answering + Send + Sync>,
}

/// An annex at work.
pub type Answering = BoxFuture<'static, Response<Body>>;

/// How a request for an annex came.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Over TLS that ends here or in front.
    pub secure: bool,
    /// What its head says, and what it shows to be somebody; neither is judged yet.
    pub facts: Facts,
    pub presented: Presented,
}

impl fmt::Debug for Annex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Annex").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Annex {
    fn takes(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// How long the listener waits for a peer.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// For a TLS handshake, from the first byte on.
    pub handshake: Duration,
    /// For a request's head, and for the next request on a connection.
    pub head: Duration,
    /// Between signs of life on an open event stream.
    pub keep_alive: Duration,
    /// For a peer to read anything at all of what waits for it.
    pub stall: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            stall: Duration::from_secs(60),
        }
    }
}

/// What the listener is told. Settings may be exchanged while it runs.
#[derive(Debug, Clone)]
pub struct Site {
    pub settings: Arc<ArcSwap<Settings>>,
    pub probes: Probes,
    pub pace: Pace,
    /// Without it, plain HTTP is spoken.
    pub tls: Option<Tls>,
    pub annexes: Vec<Annex>,
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections and calls that were still open when the time was over.
    pub unfinished: usize,
}

struct Door<P> {
    path: P,
    site: Site,
    shelf: Arc<Shelf>,
    large_bodies: Arc<Semaphore>,
    hall: Option<Hall>,
    turned_away: Lines,
    /// Everything that must end before the process may.
    tasks: TaskTracker,
    /// No new work: finish what is open, end what never ends by itself.
    closing: CancellationToken,
    /// The time is over.
    kill: CancellationToken,
}

/// Lines of the log that whoever reaches the port can cause.
#[derive(Debug)]
struct Lines {
    seldom: egress::Seldom,
    began: time::Instant,
}

impl Default for Lines {
    fn default() -> Self {
        Self { seldom: egress::Seldom::default(), began: time::Instant::now() }
    }
}

impl Lines {
    /// How many were left out before this one; none where this one is left out too.
    fn one_more(&self) -> Option<u64> {
        self.seldom.now(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

type Certificate = Arc<ClientCertificate>;

/// The two ends of a connection, and what is known of them.
#[derive(Debug, Clone)]
struct Ends {
    remote: SocketAddr,
    local: SocketAddr,
    /// Where it is TLS that ends here.
    tls: Option<Tls>,
    certificate: Option<Certificate>,
    acquaintance: Acquaintance,
}

/// Serves until `closing` is cancelled, then drains: no new connections, idle ones and endless streams
/// end, calls in flight have `drain-timeout` to finish.
pub async fn serve<P: Path>(bound: Bound, path: P, site: Site, closing: CancellationToken) -> Drained {
    let door = Arc::new(Door {
        path,
        hall: site.tls.clone().map(|tls| Hall::new(tls, site.pace.handshake)),
        site,
        shelf: Arc::default(),
        large_bodies: Arc::new(Semaphore::new(body::ROOM)),
        turned_away: Lines::default(),
        tasks: TaskTracker::new(),
        closing,
        kill: CancellationToken::new(),
    });
    accept(&door, bound.listener).await;
    door.drain().await
}

async fn accept<P: Path>(door: &Arc<Door<P>>, listener: TcpListener) {
    let (open, strangers) = (Arc::<Places>::default(), Arc::<Strangers>::default());
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut sweep = time::interval(SWEEP);
    loop {
        let accepted = tokio::select! {
            () = door.closing.cancelled() => return,
            _ = sweep.tick() => {
                door.shelf.sweep(time::Instant::now());
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_peers(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(local) = stream.local_addr() else { continue };
        let ends = Ends {
            remote,
            local,
            tls: door.site.tls.clone(),
            certificate: None,
            acquaintance: Acquaintance::default(),
        };
        let most = door.site.settings.load().limits.connections_max;
        if let Some(place) = open.take(most) {
            let place = (place, strangers.enter());
            door.tasks.spawn(connection(Arc::clone(door), stream, ends, place));
        } else if let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() {
            strangers.give_up_oldest();
            let among = (Arc::clone(&open), Arc::clone(&strangers));
            door.tasks.spawn(waits(Arc::clone(door), stream, ends, among, permit));
        }
    }
}

/// Waits a moment for the place of a stranger who was given up.
async fn waits<P: Path>(
    door: Arc<Door<P>>,
    stream: TcpStream,
    ends: Ends,
    (open, strangers): (Arc<Places>, Arc<Strangers>),
    permit: OwnedSemaphorePermit,
) {
    for _ in 0..GIVEN_UP_LOOKS {
        time::sleep(GIVEN_UP_PAUSE).await;
        let most = door.site.settings.load().limits.connections_max;
        if let Some(place) = open.take(most) {
            drop(permit);
            return Box::pin(connection(door, stream, ends, (place, strangers.enter()))).await;
        }
    }
    if let Some(left_out) = door.turned_away.one_more() {
        tracing::warn!(remote = %ends.remote, left_out, "as many connections as there may be, one was turned away");
    }
    // words in the clear are no answer to whoever expects TLS
    if door.hall.is_none() {
        turn_away(stream, permit).await;
    }
}

/// Errors of `accept` that are about the one connection and not about us.
fn is_the_peers(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::ConnectionAborted || kind == io::ErrorKind::ConnectionReset
}

async fn turn_away(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 73\r\n\r\n\
        {\"error\":\"overloaded\",\"message\":\"too many connections, try again shortly\"}";
    if stream.write_all(FULL).await.is_ok() {
        linger(stream).await;
    }
}

/// Serves one connection to its end.
async fn connection<P: Path>(
    door: Arc<Door<P>>,
    stream: TcpStream,
    mut ends: Ends,
    (_place, stranger): (Taken, Stranger),
) {
    // an error here costs latency, nothing else
    let _ = stream.set_nodelay(true);
    let stream = match &door.hall {
        None => Either::Left(stream),
        Some(hall) => {
            let most = door.site.settings.load().limits.connections_max;
            let greeted = tokio::select! {
                greeted = hall.greet(stream, ends.remote, most) => greeted,
                () = door.closing.cancelled() => None,
            };
            let Some((stream, certificate)) = greeted else { return };
            ends.certificate = certificate;
            Either::Right(stream)
        }
    };
    let pace = door.site.pace;
    let remote = ends.remote;
    let (closing, kill) = (door.closing.clone(), door.kill.clone());
    let (given_up, stranger) = (stranger.given_up.clone(), Arc::new(stranger));
    ends.acquaintance = Acquaintance::with(&stranger);
    let service = service_fn(move |request: Request<Incoming>| {
        let (door, ends, stranger) = (Arc::clone(&door), ends.clone(), Arc::clone(&stranger));
        let answer: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>> =
            Box::pin(async move {
                stranger.is_asked();
                let answer = door.answer(request, &ends).await;
                stranger.is_answered();
                Ok(answer)
            });
        answer
    });
    let mut served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(pace.head)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Stall::new(stream, pace.stall)), service);
    let mut told = false;
    loop {
        tokio::select! {
            ended = std::future::poll_fn(|cx| served.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %remote, "a connection broke");
                }
                break;
            }
            () = closing.cancelled(), if !told => {
                told = true;
                Pin::new(&mut served).graceful_shutdown();
            }
            () = given_up.cancelled() => return,
            () = kill.cancelled() => return,
        }
    }
    linger(served.into_parts().io.into_inner().into_inner()).await;
}

/// Says goodbye in the order that lets the peer read our last words: a socket closed with unread bytes
/// in it resets the connection and takes the answer with it.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let goodbye = async {
        // with TLS this is a message, for which a peer that does not read leaves no room
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut scrap = vec![0; 16 << 10];
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut scrap).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    let _ = time::timeout(LINGER, goodbye).await;
}

impl<P: Path> Door<P> {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>, ends: &Ends) -> Response<Body> {
        let settings = self.site.settings.load_full();
        match address::of(request.uri().path()) {
            address::Address::Mcp(entrance) => self.exchange(request, entrance, ends, &settings).await,
            address::Address::Probe(probe) => {
                address::probe(&self.site.probes, probe, &request, ends, &settings)
            }
            address::Address::Metadata(entrance) => address::metadata(&entrance, &request, ends, &settings),
            address::Address::Unknown => {
                let annex = self.site.annexes.iter().find(|annex| annex.takes(request.uri().path()));
                match annex.filter(|_| !address::foreign(&request, ends, &settings)) {
                    Some(annex) => {
                        let (parts, body) = request.into_parts();
                        let visit = Visit {
                            secure: ends.tls.is_some() || settings.tls_terminated_upstream,
                            facts: facts::of(&parts, ends, &settings),
                            presented: facts::presented(&parts),
                        };
                        (annex.answer)(Request::from_parts(parts, body), visit).await
                    }
                    None => address::unknown(&request, ends, &settings),
                }
            }
        }
    }

    async fn drain(&self) -> Drained {
        self.tasks.close();
        let patience = self.site.settings.load().limits.drain_timeout;
        if time::timeout(patience, self.tasks.wait()).await.is_ok() {
            return Drained { unfinished: 0 };
        }
        let unfinished = self.tasks.len();
        self.kill.cancel();
        let _ = time::timeout(AFTERMATH, self.tasks.wait()).await;
        Drained { unfinished }
    }
}

/// A whole body.
fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A JSON response that nobody may cache or mistake for something else.
pub(crate) fn json(status: http::StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(whole(bytes));
    *response.status_mut() = status;
    guard(response.headers_mut(), "application/json");
    response
}

fn guard(headers: &mut http::HeaderMap, content_type: &'static str) {
    use http::{HeaderValue, header};
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
