//! Sessions: what a legacy Host, or any Host on a pipe, keeps with us between messages.
//!
//! A session never authenticates. It is found by its id *and* its principal; another principal's
//! session is not found (PROTOCOL: session hijack).

use crate::authenticate::{Again, Standing};
use crate::exchange::{Entrance, Gone, Outlet};
use crate::gate::{Gate, Live};
use crate::handles::EventIds;
use bytes::Bytes;
use decision::{Claims, Class, Code, InteractionId, Principal, ServerName, Transport};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Unsolicited messages kept for a Host whose stream is not open.
const BACKLOG_MAX: usize = 256;
/// Bytes of them that one session keeps: they are its servers', which nobody asked to speak.
const BACKLOG_BYTES_MAX: usize = 1 << 20;

/// One Host's conversation.
#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub principal: Arc<Principal>,
    pub entrance: Entrance,
    pub transport: Transport,
    pub interaction: InteractionId,
    /// Set once by `initialize`; a modern Host on a pipe never sets it.
    hello: Mutex<Option<Hello>>,
    log_level: Mutex<Option<wire::Level>>,
    backlog: Arc<Backlog>,
    event_ids: Arc<EventIds>,
    /// Questions of servers that wait for this Host's answer, by the id we gave them.
    questions: Mutex<BTreeMap<u64, oneshot::Sender<wire::Frame>>>,
    next_question: AtomicU64,
    /// Resources of modern servers that its Host subscribed to, which the gateway listens to for it.
    subscriptions: Mutex<BTreeMap<ServerName, Subscribed>>,
    /// Held while one is changed.
    pub(crate) subscribing: tokio::sync::Mutex<()>,
    in_flight: Mutex<BTreeMap<Vec<u8>, (CancellationToken, Outlet)>>,
    /// Requests that walk the path, wherever on it they are.
    walking: Mutex<BTreeMap<Vec<u8>, CancellationToken>>,
    used_at: Mutex<Instant>,
    /// By what its principal was known last.
    standing: Mutex<Option<Standing>>,
    /// Cancelled when the session ends; everything that belongs to it watches.
    pub ended: CancellationToken,
    /// Ends the streams that are open now.
    streams: Mutex<CancellationToken>,
    /// By what its principal was known when each was opened, and what ends that one.
    opened: Mutex<Vec<(Standing, CancellationToken)>>,
}

/// What the Host said of itself when it initialized.
#[derive(Debug, Clone)]
pub struct Hello {
    pub revision: wire::Revision,
    /// The raw `capabilities` object.
    pub capabilities: Bytes,
    /// The raw `clientInfo` object.
    pub client_info: Bytes,
    pub claims: Claims,
}

/// What a Host subscribed to at one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscribed {
    pub(crate) uris: BTreeSet<String>,
    /// Ends what listens for them.
    pub(crate) over: CancellationToken,
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<(u64, Bytes)>,
    bytes: usize,
    next: u64,
    /// The last message that any stream took: each goes to one stream only.
    delivered: u64,
    closed: bool,
}

impl Waiting {
    fn give_way(&mut self) {
        if let Some((_, frame)) = self.frames.pop_front() {
            self.bytes -= frame.len();
        }
    }
}

/// A session's stream of unsolicited messages, numbered from 1.
///
/// First what was lost (for a resumed stream), then what no other stream took: where a Host has
/// several open, a message goes to one of them (specification 2025-11-25, *Multiple Connections*).
#[derive(Debug)]
pub struct SessionStream {
    backlog: Arc<Backlog>,
    after: u64,
    /// The last number to be repeated.
    until: u64,
    ended: CancellationToken,
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl SessionStream {
    /// The number of the last message before this stream's next one.
    pub fn position(&self) -> u64 {
        self.after
    }
    /// The next message with its number; `None` when the session ended. Cancel-safe: an unread message stays.
    pub async fn next(&mut self) -> Option<(u64, Bytes)> {
        loop {
            // made before looking: `notify_waiters` reaches every future that exists, polled or not
            let arrived = self.backlog.arrived.notified();
            {
                let mut waiting = self.backlog.waiting.lock();
                let found = waiting
                    .frames
                    .iter()
                    .find(|(number, _)| {
                        *number > waiting.delivered || (*number > self.after && *number <= self.until)
                    })
                    .cloned();
                if let Some((number, frame)) = found {
                    self.after = number;
                    waiting.delivered = waiting.delivered.max(number);
                    return Some((number, frame));
                }
                if waiting.closed {
                    return None;
                }
            }
            tokio::select! {
                () = arrived => {}
                () = self.ended.cancelled() => return None,
            }
        }
    }
}

/// A request id that is already in flight on this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdInUse;

impl Session {
    pub fn new(
        opener: &vault::Opener,
        id: String,
        principal: Arc<Principal>,
        entrance: Entrance,
        transport: Transport,
        interaction: InteractionId,
        now: Instant,
    ) -> Self {
        let ended = CancellationToken::new();
        let event_ids = Arc::new(EventIds::of(opener, &principal, &id));
        Self {
            id,
            principal,
            entrance,
            transport,
            interaction,
            hello: Mutex::default(),
            log_level: Mutex::default(),
            backlog: Arc::default(),
            event_ids,
            questions: Mutex::default(),
            next_question: AtomicU64::new(1),
            subscriptions: Mutex::default(),
            subscribing: tokio::sync::Mutex::default(),
            in_flight: Mutex::default(),
            walking: Mutex::default(),
            used_at: Mutex::new(now),
            standing: Mutex::default(),
            streams: Mutex::new(ended.child_token()),
            opened: Mutex::default(),
            ended,
        }
    }

    pub(crate) fn event_ids(&self) -> &Arc<EventIds> {
        &self.event_ids
    }
    pub fn hello(&self) -> Option<Hello> {
        self.hello.lock().clone()
    }
    pub fn set_hello(&self, hello: Hello) {
        *self.hello.lock() = Some(hello);
    }
    pub fn log_level(&self) -> Option<wire::Level> {
        *self.log_level.lock()
    }
    pub fn set_log_level(&self, level: wire::Level) {
        *self.log_level.lock() = Some(level);
    }
    pub(crate) fn set_standing(&self, standing: Standing) {
        *self.standing.lock() = Some(standing);
    }
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing.lock().clone()
    }
    pub fn touch(&self) {
        *self.used_at.lock() = Instant::now();
    }
    fn used_at(&self) -> Instant {
        *self.used_at.lock()
    }

    /// Queues a message that belongs to no open request. The oldest gives way when nobody listens, and what is larger than
    /// all that is kept is not kept.
    pub fn push(&self, frame: Bytes) -> Result<(), Gone> {
        let mut waiting = self.backlog.waiting.lock();
        if waiting.closed {
            return Err(Gone);
        }
        waiting.next += 1;
        let number = waiting.next;
        waiting.bytes += frame.len();
        waiting.frames.push_back((number, frame));
        while waiting.frames.len() > BACKLOG_MAX || waiting.bytes > BACKLOG_BYTES_MAX {
            waiting.give_way();
        }
        drop(waiting);
        self.backlog.arrived.notify_waiters();
        Ok(())
    }

    /// The stream of unsolicited messages, resumed: what came after number `after` is repeated.
    pub fn stream(&self, after: u64) -> SessionStream {
        let until = self.backlog.waiting.lock().delivered;
        self.stream_of(after, until)
    }
    /// The stream of unsolicited messages, from the first that no stream took yet.
    pub fn fresh_stream(&self) -> SessionStream {
        let delivered = self.backlog.waiting.lock().delivered;
        self.stream_of(delivered, delivered)
    }
    fn stream_of(&self, after: u64, until: u64) -> SessionStream {
        let ended = self.streams.lock().child_token();
        SessionStream { backlog: Arc::clone(&self.backlog), after, until, ended }
    }
    /// Notes by what its principal was known who opened a stream: with that it ends, whatever is shown later.
    pub(crate) fn note_opened(&self, standing: &Standing, stream: &SessionStream) {
        self.opened.lock().push((standing.clone(), stream.ended.clone()));
    }
    /// Whether it takes a provider's answer to know whether it goes on.
    pub(crate) fn is_asked_about(&self) -> bool {
        let asked = |standing: &Standing| standing.is_asked_about();
        self.standing.lock().as_ref().is_some_and(asked) || self.opened.lock().iter().any(|(by, _)| asked(by))
    }
    /// The streams that are open.
    fn opened(&self) -> Vec<(Standing, CancellationToken)> {
        let mut opened = self.opened.lock();
        opened.retain(|(_, end)| !end.is_cancelled());
        opened.clone()
    }

    /// Registers a question to the Host; its answer comes out of the receiver.
    pub fn ask(&self) -> (u64, oneshot::Receiver<wire::Frame>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_question.fetch_add(1, Ordering::Relaxed);
        self.questions.lock().insert(id, sender);
        (id, receiver)
    }
    /// Forgets a question nobody waits for any more.
    pub fn unask(&self, id: u64) {
        self.questions.lock().remove(&id);
    }
    /// Whether the Host was asked that.
    pub fn was_asked(&self, id: u64) -> bool {
        self.questions.lock().contains_key(&id)
    }
    /// Hands the Host's answer to whoever asked. False when nobody did.
    pub fn answer(&self, id: u64, frame: wire::Frame) -> bool {
        let waiting = self.questions.lock().remove(&id);
        waiting.is_some_and(|sender| sender.send(frame).is_ok())
    }

    /// What its Host subscribed to at a modern server.
    pub(crate) fn subscribed(&self, server: &ServerName) -> Subscribed {
        self.subscriptions.lock().get(server).cloned().unwrap_or_default()
    }
    /// Puts that in place of what was there before, which then ends.
    pub(crate) fn resubscribe(&self, server: &ServerName, now: Subscribed) {
        let before = self.subscriptions.lock().insert(server.clone(), now);
        if let Some(before) = before {
            before.over.cancel();
        }
    }

    /// Notes a request for as long as what comes back lives: it can be given up between its legs too.
    pub(crate) fn walk(self: &Arc<Self>, id: &[u8], cancel: &CancellationToken) -> Option<Walking> {
        let (id, mut walking) = (key(id), self.walking.lock());
        let std::collections::btree_map::Entry::Vacant(place) = walking.entry(id.clone()) else {
            return None;
        };
        place.insert(cancel.clone());
        Some(Walking { session: Arc::clone(self), id })
    }

    /// Notes a request in flight, so that `notifications/cancelled` finds it.
    pub fn begin(&self, id: &[u8], cancel: CancellationToken, outlet: Outlet) -> Result<(), IdInUse> {
        let (id, mut in_flight) = (key(id), self.in_flight.lock());
        if in_flight.contains_key(&id) {
            return Err(IdInUse);
        }
        in_flight.insert(id, (cancel, outlet));
        Ok(())
    }
    pub fn end(&self, id: &[u8]) {
        self.in_flight.lock().remove(&key(id));
    }
    /// Cancels a request in flight. False when there is none of that id.
    pub fn cancel(&self, id: &[u8]) -> bool {
        let id = key(id);
        let walking = self.walking.lock().get(&id).cloned();
        let sent = self.in_flight.lock().get(&id).map(|(token, _)| token.clone());
        let known = walking.is_some() || sent.is_some();
        walking.iter().chain(&sent).for_each(CancellationToken::cancel);
        known
    }

    /// Whether a request is under way: then the session is in use, however long nothing came.
    fn is_busy(&self) -> bool {
        !self.in_flight.lock().is_empty()
    }

    /// Where to tell the Host something that belongs to no request we know: the stream of some request
    /// that is open, if there is one.
    pub fn any_outlet(&self) -> Option<Outlet> {
        let in_flight = self.in_flight.lock();
        in_flight.values().map(|(_, outlet)| outlet).find(|outlet| !outlet.is_gone()).cloned()
    }

    /// Ends the streams that are open, and not the session: whoever shows a newer credential goes on with it.
    pub(crate) fn end_streams(&self) {
        let open = std::mem::replace(&mut *self.streams.lock(), self.ended.child_token());
        open.cancel();
    }

    /// Ends the session: streams close, questions go unanswered, connections are let go.
    pub fn close(&self) {
        self.backlog.waiting.lock().closed = true;
        self.backlog.arrived.notify_waiters();
        self.questions.lock().clear();
        self.ended.cancel();
    }
}

/// A request that walks the path.
#[derive(Debug)]
pub(crate) struct Walking {
    session: Arc<Session>,
    id: Vec<u8>,
}

impl Drop for Walking {
    fn drop(&mut self) {
        self.session.walking.lock().remove(&self.id);
    }
}

/// One id, one key, however it is spelled.
fn key(id: &[u8]) -> Vec<u8> {
    wire::Id::read(id).map_or_else(|| id.to_vec(), |id| id.to_string().into_bytes())
}

/// Every open session, by id.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<BTreeMap<String, Arc<Session>>>,
}

impl Sessions {
    /// Adds a session. False when `max` are open already.
    pub fn insert(&self, session: &Arc<Session>, max: usize) -> bool {
        let mut open = self.open.lock();
        if open.len() >= max {
            return false;
        }
        open.insert(session.id.clone(), Arc::clone(session));
        true
    }
    /// The session of that id, if it is this principal's and came through this entrance.
    pub fn find(&self, id: &str, principal: &Principal, entrance: &Entrance) -> Option<Arc<Session>> {
        let open = self.open.lock();
        open.get(id)
            .filter(|session| *session.principal == *principal && session.entrance == *entrance)
            .cloned()
    }
    pub fn remove(&self, id: &str) {
        let removed = self.open.lock().remove(id);
        if let Some(session) = removed {
            session.close();
        }
    }
    pub fn count(&self) -> usize {
        self.open.lock().len()
    }
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.open.lock().values().cloned().collect()
    }
    /// Ends every session not used for longer than `idle`. A wall clock that is set must not decide this.
    pub fn reap(&self, now: Instant, idle: Duration) -> usize {
        let unused = |s: &Session| now.saturating_duration_since(s.used_at()) > idle && !s.is_busy();
        let idle: Vec<_> =
            { self.open.lock().values().filter(|s| unused(s)).map(|s| s.id.clone()).collect() };
        for id in &idle {
            self.remove(id);
        }
        idle.len()
    }
}

/// Ends what lapsed of a session: the streams that were opened by what counts no longer, and where that is what was
/// shown last, the session.
pub(crate) async fn end_lapsed(gate: &Arc<Gate>, live: &Arc<Live>, session: &Session) {
    // a session in which nothing goes on needs no answer of a provider: whoever comes again shows a token, which is judged then
    let rests = !session.is_busy() && session.opened().is_empty();
    let again = if rests { Again::LeftAlone } else { Again::Asked };
    for (standing, end) in session.opened() {
        // a stream goes on with a newer token; no other certificate comes over its connection
        let lapse = standing.lapse(gate, live, &session.principal, Again::Asked).await;
        if lapse.is_some_and(|code| !may_be_renewed(code)) {
            end.cancel();
        }
    }
    let Some(standing) = session.standing() else { return };
    match standing.lapse(gate, live, &session.principal, again).await {
        // whoever refreshes a token when they are refused, or comes again, goes on
        Some(code) if may_be_renewed(code) && standing.runs_out() => session.end_streams(),
        Some(Code::CertificateLapsed) => session.end_streams(),
        Some(_) => gate.sessions.remove(&session.id),
        None => {}
    }
}

/// Whether time alone did it, or a provider that is not there to say, so that a newer token may follow.
fn may_be_renewed(code: Code) -> bool {
    code == Code::CredentialExpired || code.class() == Class::Gateway
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let principal = Principal::unknown();
        let interaction = InteractionId::new("i").unwrap();
        let kek = vault::Kek::from_bytes(&[7; 32]).unwrap();
        Session::new(
            &vault::Opener::new(Arc::new(kek)),
            "s".into(),
            Arc::new(principal),
            Entrance::Federated,
            Transport::Http,
            interaction,
            Instant::now(),
        )
    }

    #[test]
    fn a_session_with_a_request_under_way_is_not_idle() {
        let sessions = Sessions::default();
        let one = Arc::new(session());
        assert!(sessions.insert(&one, 1));
        one.begin(b"1", CancellationToken::new(), Outlet::new(1).0).unwrap();
        let (later, idle) = (Instant::now() + Duration::from_secs(61), Duration::from_secs(60));
        assert_eq!(sessions.reap(later, idle), 0);
        one.end(b"1");
        assert_eq!(sessions.reap(Instant::now(), idle), 0, "it was used just now");
        assert_eq!(sessions.reap(later, idle), 1);
    }

    #[test]
    fn what_nobody_asked_for_is_kept_up_to_a_megabyte() {
        let session = session();
        let large = |byte: u8| Bytes::from(vec![byte; 400 << 10]);
        (0..200).for_each(|byte| session.push(large(byte)).unwrap());
        let kept = |session: &Session| {
            let waiting = session.backlog.waiting.lock();
            let bytes: usize = waiting.frames.iter().map(|(_, frame)| frame.len()).sum();
            assert_eq!(bytes, waiting.bytes);
            (bytes, waiting.frames.back().map(|(number, _)| *number))
        };
        assert_eq!(kept(&session), (800 << 10, Some(200)));
        // what is larger than all of it is not kept, and the next is
        session.push(Bytes::from(vec![b'x'; BACKLOG_BYTES_MAX + 1])).unwrap();
        assert_eq!(kept(&session), (0, None));
        session.push(Bytes::from_static(b"small")).unwrap();
        assert_eq!(kept(&session), (5, Some(202)));
    }

    #[tokio::test]
    async fn a_message_goes_to_one_stream_and_a_resumed_stream_repeats_only_what_was_lost() {
        let session = session();
        for text in ["a", "b", "c"] {
            session.push(Bytes::from_static(text.as_bytes())).unwrap();
        }
        let mut first = session.fresh_stream();
        assert_eq!(first.next().await, Some((1, Bytes::from_static(b"a"))));
        assert_eq!(first.next().await, Some((2, Bytes::from_static(b"b"))));
        let mut second = session.fresh_stream();
        assert_eq!(second.next().await, Some((3, Bytes::from_static(b"c"))));
        let mut resumed = session.stream(1);
        session.push(Bytes::from_static(b"d")).unwrap();
        assert_eq!(resumed.next().await.map(|(n, _)| n), Some(2));
        assert_eq!(resumed.next().await.map(|(n, _)| n), Some(3));
        assert_eq!(resumed.next().await.map(|(n, _)| n), Some(4));
        session.close();
        assert_eq!(first.next().await, None, "taken by another stream, and the session is over");
    }
}
