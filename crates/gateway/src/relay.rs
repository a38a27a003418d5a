//! What a server says before it answers, and between answers: progress, log lines, changes and
//! questions. Notices are carried on; a question takes the whole path as a call of its own.

use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance, Facts, Found, Inbound, Outlet, Party, Presented, ReplyBody};
use crate::gate::Gate;
use crate::resolve::Resolved;
use crate::session::Session;
use crate::upstream::{self, FromServer, Lane};
use bytes::Bytes;
use decision::{EventName, ServerName, Transport, UserName};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use wire::{Crossing, Kind, Level, Splice};

/// Carries a server's messages to one Host.
#[derive(Debug)]
pub(crate) struct Relay {
    gate: Arc<Gate>,
    server: ServerName,
    session: Option<Arc<Session>>,
    hears: Hears,
    entrance: Entrance,
    transport: Transport,
    outlet: Outlet,
    lane: Lane,
    /// Our progress token and the asker's own, which is put back in place of it.
    token: Option<(u64, Bytes)>,
    progress: u64,
    /// The server said on this way that a resource was updated.
    updated: bool,
    masked: inspect::Hits,
    /// Belongs to no call whose record could say what was masked.
    unsolicited: bool,
    noted: Noted,
    asking: Arc<AtomicUsize>,
    stead: Stead,
    places: Arc<Semaphore>,
    /// Open questions by the server's own id, to be given up by it.
    questions: Arc<Mutex<BTreeMap<wire::Id, CancellationToken>>>,
    cancel: CancellationToken,
}

/// What of a server's words is for this Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    /// What the server says on the Host's own connection, or to a request that stands alone.
    Own,
    /// What it says of one request in a hidden session, which knows nothing of the level that each Host wants.
    FromHidden(Option<Level>),
}

/// So many events in so long say what was masked in what nobody asked for; then one says it of many messages.
const NOTED_MAX: u32 = 16;
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// How many such events there were since when.
#[derive(Debug, Default)]
struct Noted {
    since: Option<Instant>,
    events: u32,
}

impl Noted {
    fn count(&mut self) {
        if self.since.is_none_or(|since| since.elapsed() >= NOTED_EVERY) {
            *self = Self { since: Some(Instant::now()), events: 0 };
        }
        self.events += 1;
    }
    fn is_too_often(&self) -> bool {
        self.events >= NOTED_MAX && self.since.is_some_and(|since| since.elapsed() < NOTED_EVERY)
    }
}

/// Most answers in a Host's stead that wait to be taken. Whoever asks more and takes none gets none.
const STEAD_MAX: usize = 64;
/// How long each waits at most.
const STEAD_TIME: Duration = Duration::from_secs(10);

/// Answers in a Host's stead, one after the other: each may need a connection of its own, and a server that takes
/// none of them must not take all there are.
#[derive(Debug, Clone)]
struct Stead {
    room: Arc<Semaphore>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Stead {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(STEAD_MAX)), turn: Arc::default() }
    }
}

impl Stead {
    fn say(&self, lane: &Lane, answer: Bytes) {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return tracing::debug!("a server takes no answers to what it asks, so it gets no more");
        };
        let (lane, turn) = (lane.clone(), Arc::clone(&self.turn));
        tokio::spawn(async move {
            let said = async {
                let _turn = turn.lock().await;
                lane.say(answer).await;
            };
            let _ = tokio::time::timeout(STEAD_TIME, said).await;
            drop(room);
        });
    }
}

/// Most questions of one server that may be open at a time on one call.
const QUESTIONS_MAX: usize = 16;

impl Relay {
    pub(crate) fn new(
        gate: &Arc<Gate>,
        resolved: &Resolved,
        asker: &Asker,
        arrival: &Arrival,
        lane: &Lane,
        token: Option<(u64, Bytes)>,
    ) -> Self {
        let hidden = resolved.way.crossing == Some(Crossing::ModernToLegacy);
        Self {
            gate: Arc::clone(gate),
            server: resolved.target.server.clone(),
            session: asker.session.clone(),
            hears: if hidden { Hears::FromHidden(upstream::level(&resolved.frame)) } else { Hears::Own },
            entrance: arrival.entrance.clone(),
            transport: arrival.transport,
            outlet: arrival.outlet.clone(),
            lane: lane.clone(),
            token,
            progress: 0,
            updated: false,
            masked: inspect::Hits::default(),
            unsolicited: false,
            noted: Noted::default(),
            asking: Arc::default(),
            stead: Stead::default(),
            places: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            questions: Arc::default(),
            cancel: arrival.cancel.child_token(),
        }
    }

    /// A relay for what belongs to no call of the session.
    pub(crate) fn unsolicited(
        gate: &Arc<Gate>,
        server: &ServerName,
        session: &Arc<Session>,
        lane: &Lane,
    ) -> Self {
        let (outlet, _) = Outlet::new(1);
        Self {
            gate: Arc::clone(gate),
            server: server.clone(),
            session: Some(Arc::clone(session)),
            hears: Hears::Own,
            entrance: session.entrance.clone(),
            transport: session.transport,
            outlet,
            lane: lane.clone(),
            token: None,
            progress: 0,
            updated: false,
            masked: inspect::Hits::default(),
            unsolicited: true,
            noted: Noted::default(),
            asking: Arc::default(),
            stead: Stead::default(),
            places: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            questions: Arc::default(),
            cancel: session.ended.child_token(),
        }
    }

    /// Progress notices that went by.
    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }
    /// Whether the server said that a resource was updated.
    pub(crate) fn saw_update(&self) -> bool {
        self.updated
    }
    /// Credentials of the server that were taken out of what went by.
    pub(crate) fn masked(&self) -> &inspect::Hits {
        &self.masked
    }
    /// Whether the Host is being asked something right now.
    pub(crate) fn asks(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }

    /// Whether it is a question that waits for another request of the Host.
    pub(crate) fn keeps(&self, frame: &wire::Frame) -> bool {
        self.hears != Hears::Own && frame.kind() == Kind::Request && frame.method().as_deref() != Some("ping")
    }

    /// Carries one message on. Gives back whether it shows that the call goes on: its own progress, or a question.
    pub(crate) async fn carry(&mut self, message: FromServer) -> bool {
        let frame = message.frame.clone();
        if !self.note(&message.masked).await {
            return false;
        }
        let before = self.progress;
        let asks = frame.kind() == Kind::Request;
        self.carry_on(frame).await;
        asks || self.progress > before
    }

    async fn carry_on(&mut self, frame: wire::Frame) {
        match (frame.kind(), frame.method().as_deref()) {
            (Kind::Request, _) => self.ask(frame),
            (Kind::Notification, Some("notifications/progress")) => {
                let named = frame.at(&["params", "progressToken"]).and_then(wire::Id::read);
                // under any other token it is about something else, or made up
                if let (Some((ours, theirs)), Some(range)) =
                    (self.token.clone(), frame.member(&["params", "progressToken"]))
                    && named == i64::try_from(ours).ok().map(wire::Id::Integer)
                {
                    self.progress += 1;
                    if let Ok(bytes) = Splice::new(&frame).replace(range, theirs).finish() {
                        self.tell(bytes).await;
                    }
                }
            }
            (Kind::Notification, Some("notifications/message")) => {
                if self.wants_log(&frame) {
                    self.tell(frame.bytes().clone()).await;
                }
            }
            (Kind::Notification, Some(name)) if name.ends_with("/list_changed") => {
                self.gate.rediscover(&self.server);
            }
            (Kind::Notification, Some("notifications/resources/updated")) => {
                self.updated = true;
                self.updated(&frame).await;
            }
            (Kind::Notification, Some("notifications/elicitation/complete")) if self.hears == Hears::Own => {
                self.tell(frame.bytes().clone()).await;
            }
            (Kind::Notification, Some("notifications/cancelled")) => {
                let given_up = frame.at(&["params", "requestId"]).and_then(wire::Id::read);
                let token = given_up.and_then(|id| self.questions.lock().get(&id).cloned());
                if let Some(token) = token {
                    token.cancel();
                }
            }
            // what the table does not carry ends here
            (Kind::Notification | Kind::Response | Kind::ErrorResponse, _) => {}
        }
    }

    /// Notes what was masked, in the call's record or, where there is none, in an event. False if it cannot be.
    async fn note(&mut self, masked: &inspect::Hits) -> bool {
        if masked.is_empty() {
            return true;
        }
        if !self.unsolicited {
            tracing::warn!(server = %self.server, %masked, "the server quotes its credential");
            self.masked.add(masked);
            return true;
        }
        self.gate.metrics.masked(self.server.as_str(), masked.total());
        self.masked.add(masked);
        // what is masked meanwhile is in the next one: nobody asked for what is said here, and it may be said without end
        if self.noted.is_too_often() { true } else { self.note_unsolicited().await }
    }

    async fn note_unsolicited(&mut self) -> bool {
        let masked = std::mem::take(&mut self.masked);
        if masked.is_empty() {
            return true;
        }
        tracing::warn!(server = %self.server, %masked, "the server quotes its credential");
        self.noted.count();
        let live = self.gate.live();
        let detail = BTreeMap::from([("masked".to_owned(), masked.to_string())]);
        let event = EventName::ResultRedacted;
        crate::record::event(&self.gate, &live, event, None, Some(&self.server), detail).await.is_ok()
    }

    async fn tell(&self, frame: Bytes) {
        let told = self.outlet.send(frame.clone()).await;
        if told.is_ok() {
            return;
        }
        if let Some(session) = &self.session {
            let elsewhere = session.any_outlet();
            let told = match &elsewhere {
                Some(outlet) => outlet.send(frame.clone()).await.is_ok(),
                None => false,
            };
            if !told {
                // a Host that is gone misses what it cannot be told
                let _ = session.push(frame);
            }
        }
    }

    fn wants_log(&self, frame: &wire::Frame) -> bool {
        let wanted = match self.hears {
            Hears::FromHidden(level) => return level.is_some_and(|wanted| Level::of(frame) >= wanted),
            Hears::Own => self.session.as_ref().and_then(|session| session.log_level()),
        };
        wanted.is_none_or(|wanted| Level::of(frame) >= wanted)
    }

    /// A resource the session subscribed to was updated: an event in the record, and a notice.
    async fn updated(&self, frame: &wire::Frame) {
        if self.hears != Hears::Own {
            return resource_changed(&self.gate, &self.server, frame, self.lane.injected().holder.as_ref());
        }
        let (Some(uri), Some(session)) = (frame.string_at(&["params", "uri"]), &self.session) else {
            return;
        };
        // whoever else may read it
        self.gate.kept.forget(&self.server);
        let live = self.gate.live();
        if !crate::lists::may_hear(&self.gate, &live, session, &self.server, &uri) {
            return;
        }
        let detail = BTreeMap::from([
            ("method".to_owned(), "notifications/resources/updated".to_owned()),
            ("uri".to_owned(), uri.clone().into_owned()),
            ("interaction".to_owned(), session.interaction.to_string()),
        ]);
        let written = crate::record::event(
            &self.gate,
            &live,
            EventName::MessageRelayed,
            None,
            Some(&self.server),
            detail,
        );
        if written.await.is_ok() {
            let _ = session.push(frame.bytes().clone());
            let of = self.lane.injected().holder.clone();
            self.gate.resource_updated(&self.server, uri.into_owned(), of.as_ref());
        }
    }

    /// A question to the Host is a call in the other direction: over the same path, with its own record.
    fn ask(&self, frame: wire::Frame) {
        if self.hears != Hears::Own {
            let answer = in_nobodys_name(&frame, frame.method().as_deref());
            return self.stead.say(&self.lane, answer);
        }
        let asking = Arc::clone(&self.asking);
        let lane = self.lane.clone();
        let id = frame.id_raw().unwrap_or(b"0").to_vec();
        let Some(key) = frame.id() else {
            return;
        };
        let cancel = self.cancel.child_token();
        let place = {
            let mut open = self.questions.lock();
            // until the server has taken the answer, which may be never
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) if !open.contains_key(&key) => {
                    open.insert(key.clone(), cancel.clone());
                    place
                }
                Ok(_) | Err(_) => {
                    drop(open);
                    return self.turn_down(&id, "too many questions are open, or one of that id is");
                }
            }
        };
        asking.fetch_add(1, Ordering::AcqRel);
        let questions = Arc::clone(&self.questions);
        let arrival = Arrival {
            inbound: Ok(Inbound::Message(frame.bytes().clone())),
            party: Party::Server(self.server.clone()),
            transport: self.transport,
            entrance: self.entrance.clone(),
            presented: Presented::Nothing,
            facts: Facts::default(),
            session: self.session.clone(),
            outlet: self.outlet.clone(),
            cancel,
            round: None,
            credential: Some(self.lane.injected()),
            found: Found::default(),
            walking: std::sync::OnceLock::new(),
        };
        let gate = Arc::clone(&self.gate);
        // boxed: a question is governed inside the governing of the call it came from
        let governed: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let reply = crate::govern(&gate, arrival).await;
            let answer = match reply.body {
                ReplyBody::Message(answer) => answer,
                ReplyBody::Nothing | ReplyBody::Stream(_) | ReplyBody::Subscribed => {
                    wire::rpc::error(Some(&id), wire::rpc::INTERNAL_ERROR, "the host gave no answer", None)
                }
            };
            questions.lock().remove(&key);
            lane.say(answer).await;
            asking.fetch_sub(1, Ordering::AcqRel);
            drop(place);
        });
        tokio::spawn(governed);
    }

    /// Answers a question in the Host's stead.
    fn turn_down(&self, id: &[u8], why: &str) {
        let no = wire::rpc::error(Some(id), wire::rpc::INTERNAL_ERROR, why, None);
        self.stead.say(&self.lane, no);
    }

    /// Carries on whatever comes, until the server's connection or the session ends.
    pub(crate) async fn pump(mut self, mut messages: tokio::sync::mpsc::Receiver<FromServer>) {
        let ended = self.session.as_ref().map(|session| session.ended.clone()).unwrap_or_default();
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => drop(self.carry(message).await),
                    None => break,
                },
                () = ended.cancelled() => break,
                () = tokio::time::sleep(NOTED_EVERY), if !self.masked.is_empty() => {
                    self.note_unsolicited().await;
                }
            }
        }
        self.note_unsolicited().await;
    }
}

/// Tells those who listen that a resource was updated.
fn resource_changed(gate: &Gate, server: &ServerName, frame: &wire::Frame, of: Option<&UserName>) {
    if let Some(uri) = frame.string_at(&["params", "uri"]) {
        gate.resource_updated(server, uri.into_owned(), of);
    }
}

/// Discards what a connection without a Host says, but notices what changed, and declines what is asked of nobody.
pub(crate) async fn drain<F: Future<Output = ()>>(
    gate: std::sync::Weak<Gate>,
    (server, of): (ServerName, Option<UserName>),
    mut messages: tokio::sync::mpsc::Receiver<FromServer>,
    decline: impl Fn(Bytes) -> F,
) {
    while let Some(message) = messages.recv().await {
        let (frame, Some(gate)) = (&message.frame, gate.upgrade()) else { return };
        match (frame.kind(), frame.method().as_deref()) {
            (Kind::Request, method) => decline(in_nobodys_name(frame, method)).await,
            (_, Some("notifications/resources/updated")) => {
                resource_changed(&gate, &server, frame, of.as_ref())
            }
            (_, Some(name)) if name.ends_with("/list_changed") => gate.rediscover(&server),
            (_, Some(_) | None) => {}
        }
    }
}

/// The answer to a question of a server that no Host can be asked. That we are there is no question to a Host.
fn in_nobodys_name(frame: &wire::Frame, method: Option<&str>) -> Bytes {
    let id = frame.id_raw().unwrap_or(b"0");
    match method {
        Some("ping") => wire::rpc::result(id, b"{}"),
        Some(_) | None => {
            let why = "nobody can be asked outside of a call";
            wire::rpc::error(Some(id), wire::rpc::METHOD_NOT_FOUND, why, None)
        }
    }
}
