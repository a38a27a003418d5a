//! Requests on a shared pipe that wait for their answers, and whose every line is whose.

use super::connection::{FromServer, INITIALIZE_ID, MESSAGES_MAX, Outgoing, Room};
use super::fault::{Fault, FaultKind};
use super::handshake;
use super::injected::{Injected, Received, Unheard};
use super::loose;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::{Frame, Kind};

/// Requests on one pipe at the same time.
const PENDING_MAX: usize = 1_024;
/// For a slow reader of unsolicited messages, and of a legacy connection's, before one is dropped.
const STALL_MAX: Duration = Duration::from_secs(1);
/// Lines in a row that are no message, before the server is not one.
const NOISE_MAX: u32 = 16;

/// The answer to a request.
pub(super) type Answer = Result<Received, Fault>;

/// Whether a message leaves. Decided once, by the writer or by whoever gives up first, so that what is
/// called unsent never leaves later.
#[derive(Debug, Default)]
pub(super) struct Ticket(AtomicU8);

impl Ticket {
    const BEGUN: u8 = 1;
    const WITHDRAWN: u8 = 2;

    /// The writer is about to write the first byte. False if it may not any more.
    pub(super) fn begin(&self) -> bool {
        self.0.compare_exchange(0, Self::BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
    /// Takes the message back. True if a byte of it may have left.
    pub(super) fn withdraw(&self) -> bool {
        let was = self.0.compare_exchange(0, Self::WITHDRAWN, Ordering::AcqRel, Ordering::Acquire);
        was == Err(Self::BEGUN)
    }
}

/// A request on the pipe.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    sink: mpsc::Sender<FromServer>,
    room: Room,
    ticket: Arc<Ticket>,
    messages: u32,
    /// A subscription: its messages are not counted against it.
    endless: bool,
    beside_calls: bool,
}

#[derive(Debug, Default)]
struct Open {
    waiting: BTreeMap<u64, Waiting>,
    /// Set once, when the pipe ended.
    ended: Option<Fault>,
}

/// Every request that waits on one pipe.
#[derive(Debug)]
pub(super) struct Pending {
    open: Mutex<Open>,
    /// Let go of at the end, so that whoever reads the other end knows.
    unsolicited: Mutex<Option<mpsc::Sender<FromServer>>>,
    room: Room,
    /// A request was given up after it had begun; what its server still says about it would look like
    /// another's.
    abandoned: AtomicBool,
    /// One Host's own pipe: it may be held back by that Host. A shared one may not.
    own: bool,
    /// An own pipe that several Hosts of one principal share.
    hidden: bool,
    /// Answers to nothing that waits: late, repeated, or made up.
    stray: AtomicU64,
    /// Messages nobody took.
    dropped: AtomicU64,
    /// Lines over the size limit so far.
    oversize: AtomicU64,
    /// The revision that was chosen has batches.
    batches: AtomicBool,
}

/// What a line was, for the reader's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Message,
    Noise,
}

/// Counts lines in a row that are no message.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// False when it has run out.
    pub(super) fn note(&mut self, read: Read) -> bool {
        self.0 = match read {
            Read::Message => 0,
            Read::Noise => self.0 + 1,
        };
        self.0 < NOISE_MAX
    }
}

/// A place among those that wait, given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pending: Arc<Pending>,
    id: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
    pub(super) ticket: Arc<Ticket>,
    oversize_before: u64,
}

impl Place {
    /// Gives up on the request. True if a byte of it may have left; else none ever will.
    pub(super) fn give_up(&self) -> bool {
        self.ticket.withdraw()
    }
    /// Why nothing came in time: late, or over the size limit on a pipe where nobody can tell whose it was.
    pub(super) fn overdue(&self) -> Fault {
        let oversize = self.pending.oversize.load(Ordering::Relaxed) > self.oversize_before;
        let (kind, detail) = if oversize {
            (FaultKind::TooLarge, "no answer in time, and meanwhile a line over the size limit was dropped")
        } else {
            (FaultKind::Timeout, "no answer in time")
        };
        Fault::sent(kind, detail).with_sent(self.give_up())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let begun = self.ticket.withdraw();
        // a subscription's messages name it, so that what still comes of one looks like nobody else's
        let waiting = self.pending.open.lock().waiting.remove(&self.id);
        let unanswered = waiting.is_some_and(|waiting| !waiting.endless);
        if begun && unanswered {
            self.pending.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

impl Pending {
    pub(super) fn new(unsolicited: mpsc::Sender<FromServer>, own: bool, hidden: bool) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            unsolicited: Mutex::new(Some(unsolicited)),
            room: Room::new(),
            abandoned: AtomicBool::new(false),
            own,
            hidden,
            stray: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            oversize: AtomicU64::new(0),
            batches: AtomicBool::new(false),
        })
    }

    /// A place for the answer to a request.
    ///
    /// Errors: the pipe has ended, too many wait, or the id does.
    pub(super) fn enter(self: &Arc<Self>, outgoing: &Outgoing) -> Result<Place, Fault> {
        let id = outgoing.id;
        let (sender, answer) = oneshot::channel();
        let ticket = Arc::<Ticket>::default();
        let mut open = self.open.lock();
        if let Some(ended) = &open.ended {
            return Err(ended.clone().with_sent(false));
        }
        if open.waiting.len() >= PENDING_MAX || open.waiting.contains_key(&id) {
            return Err(Fault::unsent(FaultKind::Busy, "too many requests wait for this server"));
        }
        let waiting = Waiting {
            answer: sender,
            sink: outgoing.sink.clone(),
            room: Room::new(),
            ticket: Arc::clone(&ticket),
            messages: 0,
            endless: outgoing.timeout.is_none(),
            beside_calls: outgoing.beside_calls,
        };
        open.waiting.insert(id, waiting);
        drop(open);
        let oversize_before = self.oversize.load(Ordering::Relaxed);
        Ok(Place { pending: Arc::clone(self), id, answer, ticket, oversize_before })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.lock().ended.is_none()
    }
    pub(super) fn ended(&self) -> Option<Fault> {
        self.open.lock().ended.clone()
    }
    /// Requests that will have an answer.
    pub(super) fn len(&self) -> usize {
        self.open.lock().waiting.values().filter(|waiting| !waiting.endless).count()
    }
    /// Whether nobody waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.open.lock().waiting.is_empty()
    }
    /// For the operator: what came that nobody could use.
    pub(super) fn report(&self) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (stray, dropped, oversize) = (count(&self.stray), count(&self.dropped), count(&self.oversize));
        if stray + dropped + oversize > 0 {
            tracing::info!(stray, dropped, oversize, "a server sent what nobody could use");
        }
    }

    /// The pipe has ended: everybody who waits hears why, and so does everybody who comes.
    pub(super) fn end(&self, why: &Fault) {
        let mut open = self.open.lock();
        if open.ended.is_some() {
            return;
        }
        open.ended = Some(why.clone());
        let waiting = std::mem::take(&mut open.waiting);
        drop(open);
        self.unsolicited.lock().take();
        for waiting in waiting.into_values() {
            let sent = waiting.ticket.withdraw();
            waiting.answer.send(Err(why.clone().with_sent(sent))).ok();
        }
    }

    /// One line from the server that was started with these credentials.
    pub(super) async fn line(&self, line: Bytes, limits: &wire::Limits, injected: &Injected) -> Read {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Read::Message;
        }
        self.said(&line, |message| injected.hear(message, limits)).await
    }

    /// What the server said at once, a message or, in its revision, several.
    pub(super) async fn said(
        &self,
        whole: &Bytes,
        hear: impl Fn(Bytes) -> Result<Received, Unheard>,
    ) -> Read {
        let messages = match wire::batch::messages(whole, self.batches.load(Ordering::Relaxed)) {
            Ok(messages) => messages,
            Err(error) => return self.garbled(whole, &error.into()),
        };
        let mut read = Read::Noise;
        for message in messages {
            let this = match hear(message.clone()) {
                Ok(received) => self.take(received).await,
                Err(error) => self.garbled(&message, &error),
            };
            if this == Read::Message {
                read = this;
            }
        }
        read
    }

    async fn take(&self, received: Received) -> Read {
        match received.frame.kind() {
            Kind::Response | Kind::ErrorResponse => self.answer(received),
            Kind::Request | Kind::Notification => self.message(received).await,
        }
        Read::Message
    }

    /// A line over the size limit was skipped. Whose it was shows only if one alone waits.
    pub(super) fn oversize(&self, limit: usize) -> Read {
        self.oversize.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock();
        if open.waiting.len() != 1 {
            return Read::Noise;
        }
        let Some((_, only)) = open.waiting.pop_first() else { return Read::Noise };
        drop(open);
        only.answer.send(Err(Fault::sent(FaultKind::TooLarge, format!("an answer over {limit} bytes")))).ok();
        Read::Message
    }

    fn answer(&self, received: Received) {
        let id = received.frame.id_raw().and_then(number);
        let waiting = id.and_then(|id| self.open.lock().waiting.remove(&id));
        let Some(waiting) = waiting else {
            self.stray.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if id == Some(INITIALIZE_ID) {
            // noted here, so that what comes right behind it is read in the revision that it chose
            let batches = handshake::chosen(&received.frame).is_ok_and(wire::Revision::has_batches);
            self.batches.store(batches, Ordering::Relaxed);
        }
        waiting.answer.send(Ok(received)).ok();
    }

    /// A line that is no message fails the request whose answer it says it is, and nothing else.
    fn garbled(&self, line: &Bytes, error: &Unheard) -> Read {
        let mut read = Read::Noise;
        // it may only hurt its own server's request
        for id in loose::answered(line) {
            let waiting = self.open.lock().waiting.remove(&id);
            if let Some(waiting) = waiting {
                let fault = Fault::sent(FaultKind::Nonsense, error.to_string()).of(line.clone());
                waiting.answer.send(Err(fault)).ok();
                read = Read::Message;
            }
        }
        read
    }

    async fn message(&self, received: Received) {
        let frame = &received.frame;
        if !self.own && !self.may_say(frame) {
            self.stray.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let named = related(frame);
        let about = named.or_else(|| self.only_one(frame));
        match (named, about.and_then(|id| self.count(id))) {
            (_, Some((id, sink, room))) => {
                let stall = if self.own { STALL_MAX } else { Duration::ZERO };
                if !offer(&room, received, &sink, stall).await {
                    self.not_taken(id);
                }
            }
            // about a request that is over: late, and nobody's
            (Some(_), None) => {
                self.stray.fetch_add(1, Ordering::Relaxed);
            }
            (None, None) => {
                let sink = self.unsolicited.lock().clone();
                if let Some(sink) = sink
                    && !offer(&self.room, received, &sink, STALL_MAX).await
                {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// What a modern server may say: no request, as it has nobody to ask; and `notifications/cancelled`
    /// only to end a subscription (2026-07-28 `basic/transports/stdio`, `basic/patterns/cancellation`).
    fn may_say(&self, frame: &Frame) -> bool {
        if frame.kind() == Kind::Request {
            return false;
        }
        if frame.method().as_deref() != Some("notifications/cancelled") {
            return true;
        }
        let mut open = self.open.lock();
        let ended = frame.at(&["params", "requestId"]).and_then(number);
        let ended = ended.filter(|id| open.waiting.get(id).is_some_and(|waiting| waiting.endless));
        if let Some(subscriber) = ended.and_then(|id| open.waiting.remove(&id)) {
            let fault = Fault::sent(FaultKind::Lost, "the server ended the subscription");
            subscriber.answer.send(Err(fault)).ok();
        }
        false
    }

    /// A log line names no request, and neither does a question. On a shared pipe it is the only one's, if there
    /// never was another that could still be spoken of; else it is nobody's.
    fn only_one(&self, frame: &Frame) -> Option<u64> {
        let logs = frame.method().as_deref() == Some("notifications/message");
        let asks = frame.kind() == Kind::Request && frame.method().as_deref() != Some("ping");
        if !(logs && (!self.own || self.hidden) || asks && self.hidden) {
            return None;
        }
        let open = self.open.lock();
        let is_call = |waiting: &Waiting| !waiting.endless && !waiting.beside_calls;
        let mut calls = open.waiting.iter().filter(|(_, waiting)| is_call(waiting));
        match (calls.next(), calls.next()) {
            (Some((id, _)), None) if !self.abandoned.load(Ordering::Relaxed) => Some(*id),
            (_, _) => None,
        }
    }

    /// Counts one message about a request, and says where it goes.
    fn count(&self, id: u64) -> Option<(u64, mpsc::Sender<FromServer>, Room)> {
        let mut open = self.open.lock();
        let waiting = open.waiting.get_mut(&id)?;
        waiting.messages = waiting.messages.saturating_add(1);
        if waiting.messages > MESSAGES_MAX && !waiting.endless {
            let waiting = open.waiting.remove(&id)?;
            let detail = format!("more than {MESSAGES_MAX} messages before the answer");
            waiting.answer.send(Err(Fault::sent(FaultKind::Nonsense, detail))).ok();
            return None;
        }
        Some((id, waiting.sink.clone(), waiting.room.clone()))
    }

    /// A message about a request found no room. Progress may be lost; a subscription's message may not.
    fn not_taken(&self, id: u64) {
        let mut open = self.open.lock();
        self.dropped.fetch_add(1, Ordering::Relaxed);
        let Some(waiting) = open.waiting.get(&id) else { return };
        if waiting.endless
            && let Some(waiting) = open.waiting.remove(&id)
        {
            let detail = "the subscriber does not keep up with the server";
            waiting.answer.send(Err(Fault::sent(FaultKind::Lost, detail))).ok();
        }
    }
}

async fn offer(room: &Room, received: Received, sink: &mpsc::Sender<FromServer>, stall: Duration) -> bool {
    match room.pass_now(received, sink) {
        Ok(taken) => taken,
        Err(_) if stall.is_zero() => false,
        Err(received) => tokio::time::timeout(stall, room.pass(received, sink)).await.unwrap_or(false),
    }
}

/// The request a message names: progress by its token, a subscription's message by its id. Both are
/// ours. A server's question names none.
pub(super) fn related(frame: &Frame) -> Option<u64> {
    if frame.kind() != Kind::Notification {
        return None;
    }
    let token = match frame.method()?.as_ref() {
        "notifications/progress" => frame.at(&["params", wire::era::META_PROGRESS_TOKEN]),
        _ => frame.at(&["params", "_meta", wire::era::META_SUBSCRIPTION_ID]),
    };
    number(token?)
}

/// One of our ids, as we wrote it. A string of digits is another id; the scan let no number pass that
/// could be written in two ways.
pub(super) fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}
