//! What crosses between the listeners and the path: a message as it arrived, and what goes back.
//!
//! A listener turns every request it gets into exactly one [`Arrival`] and hands it to
//! [`govern`](crate::govern); what the transport noticed is a fact to be judged there, so that
//! a refusal for a wrong `Origin` is recorded as one for a wrong argument is.

use crate::listen::{
    streams,
    tls::{ClientCertificate, Tls},
};
pub use crate::places::Acquaintance;
use crate::rounds::Round;
use crate::session::{Session, Walking};
use crate::upstream::Injected;
use bytes::Bytes;
use decision::{AgentName, Principal, ServerName, Timestamp, Transport};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// One message from a peer, as it arrived: nothing in it is believed yet.
#[derive(Debug)]
pub struct Arrival {
    pub inbound: Result<Inbound, BodyFault>,
    pub party: Party,
    pub transport: Transport,
    pub entrance: Entrance,
    pub presented: Presented,
    pub facts: Facts,
    /// The connection's own session, for stdio; over HTTP the path finds it by `facts.session`.
    pub session: Option<Arc<Session>>,
    pub outlet: Outlet,
    /// Cancelled by the listener when the Host hung up, where that means cancel (modern HTTP).
    pub cancel: CancellationToken,
    /// Where it is sent again: with the Host's answers to what its server asked.
    pub(crate) round: Option<Round>,
    /// What the server that asks was given, which no answer may quote.
    pub(crate) credential: Option<Arc<Injected>>,
    /// The session that the path found for its principal, for the listener to know whose events it sends.
    pub found: Found,
    /// Lets its Host give it up, from when it is known whose it is until it is answered.
    pub(crate) walking: OnceLock<Option<Walking>>,
}

impl Arrival {
    /// A member of the batch that came this way.
    pub(crate) fn member(&self, message: Bytes, batch: &Arc<InBatch>) -> Self {
        Self {
            inbound: Ok(Inbound::Message(message)),
            party: self.party.clone(),
            transport: self.transport,
            entrance: self.entrance.clone(),
            presented: self.presented.clone(),
            facts: Facts { batch: Some(Arc::clone(batch)), ..self.facts.clone() },
            session: self.session.clone(),
            outlet: self.outlet.clone(),
            cancel: self.cancel.child_token(),
            round: None,
            credential: None,
            found: Arc::clone(&self.found),
            walking: OnceLock::new(),
        }
    }

    /// From here on its Host can give it up.
    pub(crate) fn walks(&self, asker: &crate::authenticate::Asker, id: Option<&[u8]>) {
        if let (Party::Host, Some(session), Some(id)) = (&self.party, &asker.session, id) {
            self.walking.get_or_init(|| session.walk(id, &self.cancel));
        }
    }

    /// Bytes of the message, zero where there is none.
    pub fn size(&self) -> u64 {
        match &self.inbound {
            Ok(Inbound::Message(bytes)) => bytes.len() as u64,
            Ok(Inbound::OpenStream(_) | Inbound::EndSession) | Err(_) => 0,
        }
    }
}

/// Told once, by the path.
pub type Found = Arc<OnceLock<Arc<Session>>>;

/// Whose message it is.
#[derive(Debug, Clone)]
pub enum Party {
    /// A Host's, through a listener.
    Host,
    /// An upstream's question to the Host, on the connection that serves `Arrival::session`.
    Server(ServerName),
}

/// What the peer wants of us.
#[derive(Debug, Clone)]
pub enum Inbound {
    /// One JSON-RPC message, unscanned.
    Message(Bytes),
    /// `GET`: a legacy Host opens its event stream, or resumes one.
    OpenStream(streams::Wanted),
    /// `DELETE`: a legacy Host ends its session.
    EndSession,
}

/// Why there is no whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    TooLarge,
    TooSlow,
    Incomplete,
    /// Not `application/json`, or an `Accept` that takes neither JSON nor events.
    MediaType,
    /// An HTTP method that this address does not take.
    HttpMethod,
    /// No such path.
    Path,
    /// An array that is no batch.
    Batch(wire::BatchError),
}

/// Through which door the message came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entrance {
    /// `/mcp`: every server, items named `server__name`.
    Federated,
    /// `/s/{server}/mcp`: one server, names as its author wrote them. The name as typed, which may be of no server.
    Server(String),
}

impl Entrance {
    /// For the record: `mcp`, or the server's name (cut to what a name can be).
    pub fn label(&self) -> String {
        match self {
            Self::Federated => "mcp".to_owned(),
            Self::Server(name) => name.chars().take(40).collect(),
        }
    }
    /// As what an access token has to be for.
    pub(crate) fn resource(&self) -> identity::oauth::Resource<'_> {
        match self {
            Self::Federated => identity::oauth::Resource { server: None },
            Self::Server(name) => identity::oauth::Resource { server: Some(name) },
        }
    }
    pub fn server(&self) -> Option<ServerName> {
        match self {
            Self::Federated => None,
            Self::Server(name) => ServerName::new(name.clone()).ok(),
        }
    }
}

/// The credential that came with the message.
#[derive(Clone)]
pub enum Presented {
    Nothing,
    /// The values of every `Authorization` header, unparsed.
    Authorization(Vec<Bytes>),
    /// A token in the query string, where it does not belong.
    InUrl,
    /// The principal is fixed by configuration: standard input, or a `wrap` over the owner's socket.
    Configured(AgentName),
    /// None: the call was kept, and its asker must still be known.
    Kept(Vouched),
}

/// Who asked for a call that was kept, as it was known then. Only the gateway itself says so.
#[derive(Debug, Clone)]
pub struct Vouched(pub(crate) Arc<Principal>, pub(crate) Timestamp);

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Authorization(_) => "Authorization(..)",
            Self::InUrl => "InUrl",
            Self::Configured(_) => "Configured(..)",
            Self::Kept(_) => "Kept(..)",
        })
    }
}

/// What the members of one batch share: how large their answers are together.
#[derive(Debug, Default)]
pub struct InBatch {
    answered: AtomicUsize,
}

impl InBatch {
    /// Whether one more answer fits into what one message may be.
    pub(crate) fn takes(&self, bytes: usize, bytes_max: usize) -> bool {
        let with = |answered: usize| answered.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        self.answered.fetch_update(Ordering::AcqRel, Ordering::Acquire, with).is_ok()
    }
}

/// What the connection proved and HTTP headers said. Next to nothing for stdio.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `Some(value)` when the `Host` header is not one of ours.
    pub foreign_host: Option<String>,
    /// `Some(value)` when the `Origin` header is not one of ours.
    pub foreign_origin: Option<String>,
    /// `MCP-Protocol-Version`.
    pub revision: Option<String>,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`.
    pub name: Option<String>,
    /// `Mcp-Param-*`: lower-case header name and value.
    pub params: Vec<(String, String)>,
    /// Of which batch the message is a member.
    pub batch: Option<Arc<InBatch>>,
    /// From where the connection came: a proxy's address where one stands in front, as anybody can write another in a header.
    pub peer: Option<std::net::IpAddr>,
    /// True when the peer is on this machine.
    pub loopback_peer: bool,
    /// For whoever finds out who the peer is.
    pub acquaintance: Acquaintance,
    /// What the peer showed in the TLS handshake, verified there.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Where it showed none: who knows whether that will still do.
    pub bare: Option<Tls>,
}

/// Where messages for the Host go while its request is open: progress, log lines, questions.
/// Over HTTP that is the response's own event stream, over stdio the one pipe.
#[derive(Debug, Clone)]
pub struct Outlet {
    sender: mpsc::Sender<Told>,
    room: Arc<Semaphore>,
}

/// A message with the room that it takes.
type Told = (Bytes, OwnedSemaphorePermit);

/// Where what goes into an [`Outlet`] comes out.
#[derive(Debug)]
pub struct Interim {
    told: mpsc::Receiver<Told>,
    /// Of what was taken last: it is being written until more is asked for.
    taken: Vec<OwnedSemaphorePermit>,
}

/// So much waits for a Host at one outlet, in units of [`ROOM_BYTES`]: one message where it is larger.
const ROOM_MAX: u32 = 1_024;
const ROOM_BYTES: usize = 1_024;

/// The Host is no longer there to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is no longer connected")]
pub struct Gone;

impl Outlet {
    /// A bounded outlet, of so many messages and a megabyte: a Host that does not read slows its own server down, nobody
    /// else.
    pub fn new(capacity: usize) -> (Self, Interim) {
        let (sender, told) = mpsc::channel(capacity);
        let room = Arc::new(Semaphore::new(ROOM_MAX as usize));
        (Self { sender, room }, Interim { told, taken: Vec::new() })
    }
    pub async fn send(&self, frame: Bytes) -> Result<(), Gone> {
        let units = u32::try_from(frame.len().div_ceil(ROOM_BYTES)).unwrap_or(ROOM_MAX).clamp(1, ROOM_MAX);
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(units) => room.map_err(|_| Gone)?,
            () = self.sender.closed() => return Err(Gone),
        };
        self.sender.send((frame, room)).await.map_err(|_| Gone)
    }
    /// Until the Host is no longer there to be told.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Interim {
    /// One out of which nothing comes.
    pub fn empty() -> Self {
        Outlet::new(1).1
    }
    /// The next message; `None` when nobody will say more. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.taken.clear();
        let (frame, room) = self.told.recv().await?;
        self.taken.push(room);
        Some(frame)
    }
    /// All that waits, at most so many; none when nobody will say more. Cancel-safe.
    pub async fn recv_many(&mut self, into: &mut Vec<Bytes>, most: usize) -> usize {
        self.taken.clear();
        let mut told = Vec::new();
        let many = self.told.recv_many(&mut told, most).await;
        for (frame, room) in told {
            into.push(frame);
            self.taken.push(room);
        }
        many
    }
    /// What waits already.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.taken.clear();
        let (frame, room) = self.told.try_recv().ok()?;
        self.taken.push(room);
        Some(frame)
    }
    /// Nobody listens any more.
    pub fn close(&mut self) {
        self.told.close();
    }
}

/// What goes back. `status` and the headers are for HTTP; stdio sends only the message.
#[derive(Debug)]
pub struct Reply {
    pub status: http::StatusCode,
    pub body: ReplyBody,
    /// `Mcp-Session-Id` of a session just begun.
    pub session: Option<Arc<Session>>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
}

#[derive(Debug)]
pub enum ReplyBody {
    /// Accepted; nothing to say (202), or the asker is gone.
    Nothing,
    /// The one JSON-RPC answer to the request.
    Message(Bytes),
    /// An event stream to serve, for a `GET`.
    Stream(streams::Stream),
    /// A subscription: whatever comes out of the outlet, until either side ends it.
    Subscribed,
}

impl Reply {
    pub fn message(frame: Bytes) -> Self {
        Self::with(http::StatusCode::OK, ReplyBody::Message(frame))
    }
    pub fn accepted() -> Self {
        Self::with(http::StatusCode::ACCEPTED, ReplyBody::Nothing)
    }
    pub fn with(status: http::StatusCode, body: ReplyBody) -> Self {
        Self { status, body, session: None, challenge: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn an_outlet_that_nobody_reads_holds_a_megabyte_and_not_messages_of_any_size() {
        let (outlet, mut interim) = Outlet::new(32);
        let large = || Bytes::from(vec![b'x'; 15 << 20]);
        assert_eq!(outlet.send(large()).now_or_never(), Some(Ok(())), "one is always taken");
        assert_eq!(outlet.send(Bytes::from_static(b"small")).now_or_never(), None);
        assert_eq!(interim.recv().await.map(|frame| frame.len()), Some(15 << 20));
        assert_eq!(outlet.send(large()).now_or_never(), None, "what was taken is being written");
        let (sent, next) = tokio::join!(outlet.send(Bytes::from_static(b"small")), interim.recv());
        assert_eq!((sent, next), (Ok(()), Some(Bytes::from_static(b"small"))));
        let mut all = Vec::new();
        outlet.send(Bytes::from_static(b"a")).await.unwrap();
        outlet.send(Bytes::from_static(b"b")).await.unwrap();
        assert_eq!((interim.recv_many(&mut all, 32).await, all.len()), (2, 2));
        outlet.send(Bytes::from_static(b"c")).await.unwrap();
        assert_eq!(interim.try_recv(), Some(Bytes::from_static(b"c")));
        assert_eq!(outlet.send(large()).now_or_never(), None);
        let waiting = outlet.send(large());
        drop(interim);
        assert_eq!(waiting.await, Err(Gone), "nobody waits for a Host that is gone");
    }
}
