//! One connection to one server, in the one era it was opened for. Raw frames go in and come out.

use super::fault::{Fault, FaultKind};
use super::http::Endpoint;
use super::http_legacy::Legacy;
use super::http_modern::Modern;
use super::injected::{Injected, Received};
use super::sse::Sse;
use super::stdio::Stdio;
use crate::places::Places;
use crate::settings::Reach;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{Frame, Revision};

/// The id of `initialize`. Requests of the gateway start at 1.
pub(super) const INITIALIZE_ID: u64 = 0;
/// For a server to answer after it was told that nobody waits any more.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// Messages a server may send about one request before it answers.
pub(super) const MESSAGES_MAX: u32 = 10_000;

/// One request to send.
pub(crate) struct Outgoing {
    /// The id in the frame, and its progress token where it has one: ours, from 1, unique on the connection.
    pub(crate) id: u64,
    /// The finished message.
    pub(crate) frame: Bytes,
    /// `Mcp-Method`, `Mcp-Name`, `Mcp-Param-*` for modern HTTP servers. Not sent over stdio.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The credentials of this call. Over stdio they are those the child was started with.
    pub(crate) injected: Arc<Injected>,
    /// From now until the answer. `None` for a subscription, which lasts until either side ends it.
    pub(crate) timeout: Option<Duration>,
    /// The caller gives up: the server is told in the way of its era and transport.
    pub(crate) cancel: CancellationToken,
    /// Where messages go that the server sends about this request. Over HTTP a full channel holds the
    /// server back; over stdio, which others share, a message that finds no room is dropped and counted.
    pub(crate) sink: mpsc::Sender<FromServer>,
    /// The gateway's own, in a session that calls share: what a server says without naming a request is of none such.
    pub(crate) beside_calls: bool,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("id", &self.id)
            .field("bytes", &self.frame.len())
            .finish_non_exhaustive()
    }
}

/// A message from a server that is not an answer: progress, a log line, a question, a change.
///
/// Boxed inside: a channel makes room for thirty-two of what it carries when it is made, and most calls hear none.
#[derive(Debug)]
pub(crate) struct FromServer(Box<Said>);

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) frame: Frame,
    /// Credentials of the server that were taken out of it.
    pub(crate) masked: inspect::Hits,
    /// Given back when the message has been dealt with.
    _room: Option<OwnedSemaphorePermit>,
}

impl FromServer {
    fn new(Received { frame, masked }: Received, room: Option<OwnedSemaphorePermit>) -> Self {
        Self(Box::new(Said { frame, masked, _room: room }))
    }
}

impl std::ops::Deref for FromServer {
    type Target = Said;
    fn deref(&self) -> &Said {
        &self.0
    }
}

/// Room for messages that wait to be carried on: a server that sends large ones to a slow Host is held
/// back before its messages fill the memory.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// In KiB. A larger message waits for all of it.
    const KIB: u32 = 16 << 10;

    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Self::KIB as usize)))
    }
    fn needed(received: &Received) -> u32 {
        u32::try_from(received.frame.bytes().len() / 1024 + 1).unwrap_or(u32::MAX).min(Self::KIB)
    }
    /// Puts the message where it goes, once there is room. False if nobody takes it any more.
    pub(super) async fn pass(&self, received: Received, sink: &mpsc::Sender<FromServer>) -> bool {
        // fails only when closed, and nobody closes it
        let room = Arc::clone(&self.0).acquire_many_owned(Self::needed(&received)).await.ok();
        sink.send(FromServer::new(received, room)).await.is_ok()
    }
    /// The same without waiting. Gives the frame back where there is no room now.
    pub(super) fn pass_now(
        &self,
        received: Received,
        sink: &mpsc::Sender<FromServer>,
    ) -> Result<bool, Received> {
        let Ok(room) = Arc::clone(&self.0).try_acquire_many_owned(Self::needed(&received)) else {
            return Err(received);
        };
        match sink.try_send(FromServer::new(received, Some(room))) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Full(FromServer(said))) => {
                let Said { frame, masked, .. } = *said;
                Err(Received { frame, masked })
            }
        }
    }
}

/// What every connection needs from the process it lives in.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) client: egress::Client,
    pub(crate) supervisor: launch::Supervisor,
    /// What children get of the gateway's own environment ([`launch::PASSABLE_VARIABLES`]), read by `cli`.
    pub(crate) environment: BTreeMap<String, String>,
    /// They may change; a connection that is open keeps those that it was opened with.
    pub(crate) bounds: Arc<ArcSwap<Bounds>>,
    /// A place for each child that runs.
    pub(crate) children: Arc<Places>,
}

impl Means {
    /// Those for a connection that is opened now.
    pub(super) fn bounds(&self) -> Bounds {
        **self.bounds.load()
    }
}

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// One message from a server, in bytes.
    pub(crate) result_bytes: usize,
    /// Nesting of a message.
    pub(crate) depth: usize,
    /// To connect or start, and for the handshake.
    pub(crate) open: Duration,
    /// Children at the same time.
    pub(crate) children: usize,
}

impl Bounds {
    pub(super) fn scan(&self) -> wire::Limits {
        wire::Limits { bytes: self.result_bytes, depth: self.depth }
    }
}

/// How to open a connection.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Its era decides how the connection is spoken.
    pub(crate) revision: Revision,
    /// The raw `params` of `initialize`; without them a legacy connection cannot be opened.
    pub(crate) hello: Option<Bytes>,
    /// Credentials of the opening itself, of unsolicited streams, and of a child for all its life.
    pub(crate) injected: Arc<Injected>,
    /// Where messages go that belong to no request.
    pub(crate) sink: mpsc::Sender<FromServer>,
    /// A legacy session that several Hosts share: what it says of no request is the only open one's.
    pub(crate) hidden: bool,
}

/// A connection to a server. Dropped, it ends; [`Connection::close`] also waits for that.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    revision: Revision,
}

#[derive(Debug)]
enum Link {
    Legacy(Box<Legacy>),
    Modern(Box<Modern>),
    Sse(Box<Sse>),
    Stdio(Stdio),
}

/// A fault may quote what a server said, and a server may say what it was sent.
fn without(injected: &Injected, fault: Fault) -> Fault {
    Fault { detail: injected.without(&fault.detail), ..fault }
}

/// Waits for an instant, or for ever.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Connection {
    /// Reaches the server, and for a legacy one shakes hands. The frame is the answer to `initialize`.
    ///
    /// Errors: [`Fault`]; nothing is left behind then.
    pub(crate) async fn open(
        reach: &Reach,
        means: &Means,
        opening: Opening,
    ) -> Result<(Self, Option<Received>), Fault> {
        let injected = Arc::clone(&opening.injected);
        Self::reach(reach, means, opening).await.map_err(|fault| without(&injected, fault))
    }

    async fn reach(
        reach: &Reach,
        means: &Means,
        opening: Opening,
    ) -> Result<(Self, Option<Received>), Fault> {
        match reach {
            Reach::Http { url } => {
                let endpoint = Endpoint::new(means.client.clone(), url, means.bounds());
                if opening.revision.is_modern() {
                    let link = Link::Modern(Box::new(Modern::new(endpoint, &opening)));
                    return Ok((Self { link, revision: opening.revision }, None));
                }
                let (legacy, revision, hello) = Legacy::open(endpoint, opening).await?;
                Ok((Self { link: Link::Legacy(Box::new(legacy)), revision }, Some(hello)))
            }
            Reach::Sse { url } => {
                if opening.revision.is_modern() {
                    let why = "the modern era is not spoken over HTTP+SSE";
                    return Err(Fault::unsent(FaultKind::NotThisEra, why));
                }
                let endpoint = Endpoint::new(means.client.clone(), url, means.bounds());
                let (sse, revision, hello) = Sse::open(&endpoint, opening).await?;
                Ok((Self { link: Link::Sse(Box::new(sse)), revision }, Some(hello)))
            }
            Reach::Stdio { command, args, env, cwd } => {
                let program = super::stdio::Program { command, args, env, cwd: cwd.as_ref() };
                let (stdio, revision, hello) = Stdio::open(program, means, opening).await?;
                Ok((Self { link: Link::Stdio(stdio), revision }, hello))
            }
        }
    }

    /// Sends a request and waits for its answer, whatever it says.
    ///
    /// Errors: [`Fault`]. Dropped while it waits, nobody tells the server; cancel instead.
    pub(crate) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        let injected = Arc::clone(&outgoing.injected);
        let answer = match &self.link {
            // boxed: whichever it is, a call carries room for the largest
            Link::Legacy(legacy) => Box::pin(legacy.request(outgoing)).await,
            Link::Modern(modern) => modern.request(outgoing).await,
            Link::Sse(sse) => Box::pin(sse.request(outgoing)).await,
            Link::Stdio(stdio) => Box::pin(stdio.request(outgoing)).await,
        };
        answer.map_err(|fault| without(&injected, fault))
    }

    /// Sends a message that has no answer: a notification, or the answer to a question.
    ///
    /// Errors: [`Fault`].
    pub(crate) async fn send(&self, frame: Bytes, injected: &Injected) -> Result<(), Fault> {
        let sent = match &self.link {
            Link::Legacy(legacy) => legacy.send(frame, injected).await,
            Link::Modern(modern) => modern.send(frame, injected).await,
            Link::Sse(sse) => sse.send(frame, injected).await,
            Link::Stdio(stdio) => stdio.send(frame).await,
        };
        sent.map_err(|fault| without(injected, fault))
    }

    /// The revision spoken: for a legacy server, what it chose.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// False once nothing can be sent any more.
    pub(crate) fn is_alive(&self) -> bool {
        match &self.link {
            Link::Legacy(legacy) => legacy.is_alive(),
            Link::Modern(modern) => modern.is_alive(),
            Link::Sse(sse) => sse.is_alive(),
            Link::Stdio(stdio) => stdio.is_alive(),
        }
    }

    /// Which session it is by now, where a server that forgot one was given another.
    pub(super) fn session(&self) -> u64 {
        match &self.link {
            Link::Legacy(legacy) => legacy.sessions(),
            Link::Modern(_) | Link::Sse(_) | Link::Stdio(_) => 0,
        }
    }

    /// Whether nobody waits for anything. Whoever listens to a child keeps it.
    pub(super) fn is_idle(&self) -> bool {
        match &self.link {
            Link::Legacy(_) | Link::Modern(_) | Link::Sse(_) => self.in_flight() == 0,
            Link::Stdio(stdio) => stdio.is_idle(),
        }
    }

    /// Requests that wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        match &self.link {
            Link::Legacy(legacy) => legacy.in_flight(),
            Link::Modern(modern) => modern.in_flight(),
            Link::Sse(sse) => sse.in_flight(),
            Link::Stdio(stdio) => stdio.in_flight(),
        }
    }

    /// Cancelled when a child and all it started are gone. `None` over HTTP.
    pub(super) fn gone(&self) -> Option<CancellationToken> {
        match &self.link {
            Link::Legacy(_) | Link::Modern(_) | Link::Sse(_) => None,
            Link::Stdio(stdio) => Some(stdio.gone()),
        }
    }

    /// Why a child ended by itself, once it has.
    pub(super) fn crashed(&self) -> Option<Fault> {
        match &self.link {
            Link::Legacy(_) | Link::Modern(_) | Link::Sse(_) => None,
            Link::Stdio(stdio) => stdio.crashed(),
        }
    }

    /// Ends it: a child and all it started are gone, a session is given up.
    pub(crate) async fn close(&self) {
        match &self.link {
            Link::Legacy(legacy) => legacy.close().await,
            Link::Modern(modern) => modern.close(),
            Link::Sse(sse) => sse.close(),
            Link::Stdio(stdio) => stdio.close().await,
        }
    }
}
