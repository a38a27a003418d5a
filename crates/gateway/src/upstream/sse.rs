//! A server of HTTP+SSE (2024-11-05): all that it says comes over one stream, whose first event names where messages
//! are posted. The stream lost, the connection is; the next call opens another.

use super::connection::{CANCEL_GRACE, INITIALIZE_ID, Opening, Outgoing, until};
use super::fault::{Fault, FaultKind};
use super::handshake;
use super::http::{self, Body, Endpoint, PROTOCOL_VERSION, Standing};
use super::injected::{Injected, Received, Unheard};
use super::pending::{Answer, Patience, Pending, Place, number, related};
use super::sse_endpoint;
use super::stream::{Events, Position};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Kind, Revision};

/// Events of other kinds before the one that names the endpoint.
const EARLY_EVENTS_MAX: usize = 16;
/// For a message to be taken whose answer is there, or whose caller is gone.
const TAKEN_GRACE: Duration = Duration::from_secs(5);
/// For a request to be taken before the server is told that nobody waits for it.
const CANCEL_AFTER_MAX: Duration = Duration::from_secs(1);
/// What is read of an answer that says no more than that a message was taken.
const TAKEN_BYTES_MAX: usize = 64 << 10;

/// A connection: one stream, and the address that it named.
#[derive(Debug)]
pub(super) struct Sse {
    post: Arc<Post>,
    _stop_when_dropped: DropGuard,
}

/// What posts messages.
struct Post {
    endpoint: Endpoint,
    /// Once it is chosen.
    revision: OnceLock<Revision>,
    pending: Arc<Pending>,
    known: Arc<Known>,
    stop: CancellationToken,
}

impl fmt::Debug for Post {
    // the endpoint is a session's, and as good as its id
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// Credentials that the server was given, and that what it says on the one stream may hold.
#[derive(Debug)]
struct Known {
    opened: Arc<Injected>,
    last: Mutex<Arc<Injected>>,
    asked: Mutex<BTreeMap<u64, Arc<Injected>>>,
}

impl Known {
    /// One message without them: an answer or progress without those of its request, anything else without all.
    fn hear(&self, bytes: Bytes, limits: &wire::Limits) -> Result<Received, Unheard> {
        let received = self.opened.hear(bytes, limits)?;
        let about = match received.frame.kind() {
            Kind::Response | Kind::ErrorResponse => received.frame.id_raw().and_then(number),
            Kind::Request | Kind::Notification => related(&received.frame),
        };
        let mut others: Vec<Arc<Injected>> = {
            let asked = self.asked.lock();
            match about.and_then(|id| asked.get(&id)) {
                Some(its) => vec![Arc::clone(its)],
                None => asked.values().chain([&*self.last.lock()]).map(Arc::clone).collect(),
            }
        };
        others.sort_unstable_by_key(Arc::as_ptr);
        others.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let others = others.iter().filter(|other| !Arc::ptr_eq(other, &self.opened));
        others.into_iter().try_fold(received, |received, other| received.without(other, limits))
    }
}

/// A request that waits for its answer.
struct Asked<'a> {
    post: &'a Post,
    id: u64,
    place: Place,
    posted: JoinHandle<Result<Option<Received>, Fault>>,
    was_posted: bool,
    /// Cancelled when the server has taken it, or will not.
    taken: CancellationToken,
    /// Lets go of the message.
    _over: DropGuard,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.post.known.asked.lock().remove(&self.id);
    }
}

impl Asked<'_> {
    /// The answer, which comes over the stream; only that the message was not taken comes another way. Cancel-safe.
    async fn answer(&mut self) -> Answer {
        let gone = || Err(Fault::sent(FaultKind::Lost, "the stream is gone"));
        loop {
            tokio::select! {
                biased;
                answer = &mut self.place.answer => return answer.unwrap_or_else(|_| gone()),
                posted = &mut self.posted, if !self.was_posted => {
                    self.was_posted = true;
                    match posted {
                        Ok(Ok(None)) => {}
                        Ok(Ok(Some(received))) => return Ok(received),
                        Ok(Err(fault)) => return Err(fault),
                        Err(_) => return gone(),
                    }
                }
            }
        }
    }
}

impl Sse {
    /// Opens the stream, and shakes hands. The frame is the answer to `initialize`.
    pub(super) async fn open(
        stream: &Endpoint,
        opening: Opening,
    ) -> Result<(Self, Revision, Received), Fault> {
        let hello = handshake::initialize(opening.hello)?;
        let max = stream.bounds.open;
        let (events, endpoint, said) = find(stream, &opening.injected, max).await?;
        let stop = CancellationToken::new();
        let pending = Pending::new(opening.sink, true, opening.hidden);
        let known = Arc::new(Known {
            last: Mutex::new(Arc::clone(&opening.injected)),
            opened: Arc::clone(&opening.injected),
            asked: Mutex::default(),
        });
        let reader = Reader {
            events,
            endpoint: said,
            pending: Arc::clone(&pending),
            known: Arc::clone(&known),
            limits: stream.bounds.scan(),
            stop: stop.clone(),
        };
        tokio::spawn(reader.follow());
        let post = Post { endpoint, revision: OnceLock::new(), pending, known, stop: stop.clone() };
        let sse = Self { post: Arc::new(post), _stop_when_dropped: stop.drop_guard() };
        let (sink, _) = mpsc::channel(1);
        let initialize = Outgoing {
            id: INITIALIZE_ID,
            frame: hello,
            headers: Vec::new(),
            injected: Arc::clone(&opening.injected),
            timeout: Some(max),
            // a handshake may not be cancelled (2024-11-05 `basic/utilities/cancellation`)
            cancel: CancellationToken::new(),
            sink,
            beside_calls: false,
        };
        let answer = sse.exchange(initialize, false).await?;
        let revision = handshake::chosen(&answer.frame)?;
        let _ = sse.post.revision.set(revision);
        sse.send(handshake::initialized(), &opening.injected).await?;
        Ok((sse, revision, answer))
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        if outgoing.cancel.is_cancelled() {
            return Err(Fault::unsent(FaultKind::Cancelled, "the caller gave up"));
        }
        self.exchange(outgoing, true).await
    }

    async fn exchange(&self, outgoing: Outgoing, cancellable: bool) -> Result<Received, Fault> {
        let deadline = outgoing.timeout.map(|timeout| Instant::now() + timeout);
        let mut asked = self.post.ask(&outgoing)?;
        tokio::select! {
            biased;
            answer = asked.answer() => return answer,
            () = outgoing.cancel.cancelled() => {}
            () = until(deadline) => {
                if cancellable {
                    self.tell_cancelled(&asked, outgoing.injected, "no answer in time");
                }
                return Err(asked.place.overdue());
            }
        }
        self.tell_cancelled(&asked, outgoing.injected, "the caller gave up");
        // it may be done already: then its answer is the truth
        let late = tokio::time::timeout(CANCEL_GRACE, asked.answer()).await;
        late.unwrap_or_else(|_| Err(Fault::sent(FaultKind::Cancelled, "the caller gave up")))
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, frame: Bytes, injected: &Injected) -> Result<(), Fault> {
        if let Some(ended) = self.post.pending.ended() {
            return Err(ended.with_sent(false));
        }
        match self.post.deliver(frame, injected, INITIALIZE_ID, self.post.endpoint.bounds.open).await? {
            None => Ok(()),
            Some(received) => Err(handshake::refused(&received.frame)),
        }
    }

    /// Tells the server, after the request itself, without waiting for it.
    fn tell_cancelled(&self, asked: &Asked<'_>, injected: Arc<Injected>, reason: &str) {
        let (post, taken) = (Arc::clone(&self.post), asked.taken.clone());
        let frame = handshake::cancelled(asked.id, reason);
        tokio::spawn(async move {
            tokio::time::timeout(CANCEL_AFTER_MAX, taken.cancelled()).await.ok();
            post.deliver(frame, &injected, INITIALIZE_ID, post.endpoint.bounds.open).await.ok();
        });
    }

    pub(super) fn is_alive(&self) -> bool {
        self.post.pending.is_open() && !self.post.stop.is_cancelled()
    }
    /// Requests that wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.post.pending.len()
    }
    /// Ends the stream, by which the server knows.
    pub(super) fn close(&self) {
        self.post.stop.cancel();
    }
}

impl Post {
    /// Posts a request, in a task of its own: some servers say that they took it only once they have answered it.
    fn ask(self: &Arc<Self>, outgoing: &Outgoing) -> Result<Asked<'_>, Fault> {
        let Outgoing { id, injected, timeout, .. } = outgoing;
        let (id, injected) = (*id, Arc::clone(injected));
        let place = self.pending.enter(outgoing)?;
        *self.known.last.lock() = Arc::clone(&injected);
        self.known.asked.lock().insert(id, Arc::clone(&injected));
        let (taken, over) = (CancellationToken::new(), CancellationToken::new());
        // the caller's own time runs outside of this
        let head = timeout.map_or(self.endpoint.bounds.open, |_| http::IDLE_MAX);
        let (post, frame, ticket) = (Arc::clone(self), outgoing.frame.clone(), Arc::clone(&place.ticket));
        let (known_taken, let_go) = (taken.clone().drop_guard(), over.clone());
        let posted = tokio::spawn(async move {
            let _known_taken = known_taken;
            if !ticket.begin() {
                return Err(Fault::unsent(FaultKind::Cancelled, "the caller gave up"));
            }
            tokio::select! {
                taken = post.deliver(frame, &injected, id, head) => taken,
                () = post.stop.cancelled() => Err(Fault::sent(FaultKind::Lost, "the connection was closed")),
                () = async { let_go.cancelled().await; tokio::time::sleep(TAKEN_GRACE).await } => Ok(None),
            }
        });
        Ok(Asked { post: self, id, place, posted, was_posted: false, taken, _over: over.drop_guard() })
    }

    /// Posts one message. `Some` is an error of the protocol, by which it was not taken.
    async fn deliver(
        &self,
        frame: Bytes,
        injected: &Injected,
        id: u64,
        head: Duration,
    ) -> Result<Option<Received>, Fault> {
        let mut headers = HeaderMap::new();
        if let Some(revision) = self.revision.get() {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        let response = self.endpoint.post(frame, headers, injected, head).await?;
        if response.status().is_success() {
            // read to its end, so that its connection can be used again
            let rest = http::whole(response.into_body(), TAKEN_BYTES_MAX);
            tokio::spawn(tokio::time::timeout(TAKEN_GRACE, rest));
            return Ok(None);
        }
        let standing = if self.revision.get().is_some() { Standing::Session } else { Standing::Opening };
        let limits = self.endpoint.bounds.scan();
        let answer = http::unsuccessful(response, id, &limits, standing, injected).await;
        if let Err(fault) = &answer
            && fault.kind == FaultKind::SessionGone
        {
            self.pending.end(&Fault::sent(FaultKind::Lost, fault.detail.clone()));
            self.stop.cancel();
        }
        answer.map(Some)
    }
}

/// Whether there is a stream at this address that names an endpoint.
pub(super) async fn is_spoken(stream: &Endpoint, injected: &Injected, max: Duration) -> bool {
    find(stream, injected, max).await.is_ok()
}

/// Opens the stream and reads it up to the event that names the endpoint.
async fn find(
    stream: &Endpoint,
    injected: &Injected,
    max: Duration,
) -> Result<(Events, Endpoint, Bytes), Fault> {
    let found = tokio::time::timeout(max, async {
        let mut events = open(stream, injected).await?;
        let mut position = Position::default();
        for _ in 0..EARLY_EVENTS_MAX {
            let event = events.next(&mut position).await?;
            let event = event.ok_or_else(|| nonsense("the stream ended before it named an endpoint"))?;
            if event.event.as_deref() == Some("endpoint") {
                let said = event.data.unwrap_or_default();
                let names: Vec<&str> = injected.query.iter().map(|(name, _)| name.as_str()).collect();
                let own = sse_endpoint::Own { names: &names, without: |text: &str| injected.without(text) };
                let url = sse_endpoint::read(stream.url(), &said, &own)
                    .map_err(|why| nonsense(&format!("the server's `endpoint` event {why}")))?;
                return Ok((events, stream.at(&url), said));
            }
            if event.message().is_some() {
                return Err(nonsense("the server sent a message before it named an endpoint"));
            }
        }
        Err(nonsense("the stream names no endpoint"))
    });
    let late = |_| Err(Fault::sent(FaultKind::Timeout, "the server named no endpoint in time"));
    found.await.unwrap_or_else(late)
}

async fn open(stream: &Endpoint, injected: &Injected) -> Result<Events, Fault> {
    let limits = stream.bounds.scan();
    let response = stream.get(HeaderMap::new(), injected).await?;
    let fault = if response.status() != StatusCode::OK {
        match http::unsuccessful(response, INITIALIZE_ID, &limits, Standing::Opening, injected).await {
            Ok(received) => handshake::refused(&received.frame),
            Err(fault) => fault,
        }
    } else {
        match http::body(response) {
            Ok(Body::Events(body)) => return Ok(Events::new(body, limits.bytes)),
            Ok(Body::Json(_)) | Err(_) => Fault::sent(FaultKind::NotThisEra, "the answer is no event stream"),
        }
    };
    if fault.kind != FaultKind::NotThisEra {
        return Err(fault);
    }
    let help = "a server that speaks streamable HTTP has no `transport = \"sse\"`";
    Err(Fault { detail: format!("there is no HTTP+SSE stream: {}; {help}", fault.detail), ..fault })
}

fn nonsense(detail: &str) -> Fault {
    Fault::sent(FaultKind::Nonsense, detail)
}

/// What reads the stream to its end.
struct Reader {
    events: Events,
    /// The endpoint as it was named.
    endpoint: Bytes,
    pending: Arc<Pending>,
    known: Arc<Known>,
    limits: wire::Limits,
    stop: CancellationToken,
}

impl Reader {
    async fn follow(mut self) {
        let stop = self.stop.clone();
        let fault = tokio::select! {
            biased;
            () = stop.cancelled() => Fault::sent(FaultKind::Lost, "the connection was closed"),
            fault = self.read() => fault,
        };
        self.pending.end(&fault);
        self.pending.report();
        self.stop.cancel();
    }

    /// Reads until there is no going on, and says why.
    async fn read(&mut self) -> Fault {
        let lost = |why: &str| Fault::sent(FaultKind::Lost, why);
        let mut position = Position::default();
        let mut patience = Patience::default();
        loop {
            let event = match self.events.next(&mut position).await {
                Ok(Some(event)) => event,
                Ok(None) => return lost("the server ended its stream"),
                Err(fault) => {
                    if fault.kind == FaultKind::TooLarge {
                        self.pending.oversize(self.limits.bytes);
                    }
                    return lost(&format!("the stream cannot be read on: {}", fault.detail));
                }
            };
            let read = match event.message() {
                Some(data) => self.pending.said(data, |message| self.known.hear(message, &self.limits)).await,
                // said again, it is no news
                None if event.event.as_deref() != Some("endpoint")
                    || event.data == Some(self.endpoint.clone()) =>
                {
                    continue;
                }
                None => return nonsense("the server names another endpoint on an open stream"),
            };
            if !patience.note(read) {
                return nonsense("the server's stream holds what is no message");
            }
        }
    }
}
