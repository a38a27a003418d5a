//! What a server says before it answers, and between answers: progress, log lines, changes and
//! questions. Notices are carried on; a question takes the whole path as a call of its own.

use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance, Facts, Inbound, Outlet, Party, Presented, ReplyBody};
use crate::gate::{Change, Gate};
use crate::session::Session;
use crate::upstream::{FromServer, Lane};
use bytes::Bytes;
use decision::{EventName, ServerName, Transport};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio_util::sync::CancellationToken;
use wire::{Kind, Splice};

/// Carries a server's messages to one Host.
#[derive(Debug)]
pub(crate) struct Relay {
    gate: Arc<Gate>,
    server: ServerName,
    session: Option<Arc<Session>>,
    entrance: Entrance,
    transport: Transport,
    outlet: Outlet,
    lane: Lane,
    /// Our progress token and the asker's own, which is put back in place of it.
    token: Option<(u64, Bytes)>,
    progress: u64,
    masked: inspect::Hits,
    /// Belongs to no call whose record could say what was masked.
    unsolicited: bool,
    asking: Arc<AtomicUsize>,
    /// Open questions by the server's own id, to be given up by it.
    questions: Arc<Mutex<BTreeMap<wire::Id, CancellationToken>>>,
    cancel: CancellationToken,
}

/// Most questions of one server that may be open at a time on one call.
const QUESTIONS_MAX: usize = 16;

impl Relay {
    pub(crate) fn new(
        gate: &Arc<Gate>,
        server: &ServerName,
        asker: &Asker,
        arrival: &Arrival,
        lane: &Lane,
        token: Option<(u64, Bytes)>,
    ) -> Self {
        Self {
            gate: Arc::clone(gate),
            server: server.clone(),
            session: asker.session.clone(),
            entrance: arrival.entrance.clone(),
            transport: arrival.transport,
            outlet: arrival.outlet.clone(),
            lane: lane.clone(),
            token,
            progress: 0,
            masked: inspect::Hits::default(),
            unsolicited: false,
            asking: Arc::default(),
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
            entrance: session.entrance.clone(),
            transport: session.transport,
            outlet,
            lane: lane.clone(),
            token: None,
            progress: 0,
            masked: inspect::Hits::default(),
            unsolicited: true,
            asking: Arc::default(),
            questions: Arc::default(),
            cancel: session.ended.child_token(),
        }
    }

    /// Progress notices that went by.
    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }
    /// Credentials of the server that were taken out of what went by.
    pub(crate) fn masked(&self) -> &inspect::Hits {
        &self.masked
    }
    /// Whether the Host is being asked something right now.
    pub(crate) fn asks(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }

    /// Carries one message on.
    pub(crate) async fn carry(&mut self, message: FromServer) {
        let frame = message.frame;
        if !self.note(&message.masked).await {
            return;
        }
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
            (Kind::Notification, Some("notifications/resources/updated")) => self.updated(&frame).await,
            (Kind::Notification, Some("notifications/elicitation/complete")) => {
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
        tracing::warn!(server = %self.server, masked = %masked, "the server quotes its credential");
        if !self.unsolicited {
            self.masked.add(masked);
            return true;
        }
        self.gate.metrics.masked(self.server.as_str(), masked.total());
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
        const LEVELS: [&str; 8] =
            ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let Some(wanted) = self.session.as_ref().and_then(|session| session.log_level()) else {
            return true;
        };
        let level = frame.string_at(&["params", "level"]).unwrap_or_default();
        rank(&level).unwrap_or(LEVELS.len()) >= rank(&wanted).unwrap_or(0)
    }

    /// A resource the session subscribed to was updated: an event in the record, and a notice.
    async fn updated(&self, frame: &wire::Frame) {
        let (Some(uri), Some(session)) = (frame.string_at(&["params", "uri"]), &self.session) else {
            return;
        };
        let live = self.gate.live();
        let kind = decision::ItemKind::Resource;
        let host = session.hello().and_then(|hello| hello.claims.host);
        let seen =
            crate::permission::visible(&live, &session.principal, host.as_deref(), &self.server, kind, &uri);
        if !seen {
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
            let change = Change::Resource { server: self.server.clone(), uri: uri.into_owned() };
            let _ = self.gate.changes.send(change);
        }
    }

    /// A question to the Host is a call in the other direction: over the same path, with its own record.
    fn ask(&self, frame: wire::Frame) {
        let asking = Arc::clone(&self.asking);
        let lane = self.lane.clone();
        let id = frame.id_raw().unwrap_or(b"0").to_vec();
        let Some(key) = frame.id() else {
            return;
        };
        let cancel = self.cancel.child_token();
        {
            let mut open = self.questions.lock();
            if open.len() >= QUESTIONS_MAX || open.contains_key(&key) {
                drop(open);
                return self.turn_down(&id, "too many questions are open, or one of that id is");
            }
            open.insert(key.clone(), cancel.clone());
        }
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
        });
        tokio::spawn(governed);
    }

    /// Answers a question in the Host's stead.
    fn turn_down(&self, id: &[u8], why: &str) {
        let no = wire::rpc::error(Some(id), wire::rpc::INTERNAL_ERROR, why, None);
        let lane = self.lane.clone();
        tokio::spawn(async move { lane.say(no).await });
    }

    /// Carries on whatever comes, until the server's connection or the session ends.
    pub(crate) async fn pump(mut self, mut messages: tokio::sync::mpsc::Receiver<FromServer>) {
        let ended = self.session.as_ref().map(|session| session.ended.clone()).unwrap_or_default();
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.carry(message).await,
                    None => return,
                },
                () = ended.cancelled() => return,
            }
        }
    }
}

/// Discards what a connection without a Host says, but notices that its lists changed.
pub(crate) async fn drain(
    gate: std::sync::Weak<Gate>,
    server: ServerName,
    mut messages: tokio::sync::mpsc::Receiver<FromServer>,
) {
    while let Some(message) = messages.recv().await {
        let changed = message.frame.method().is_some_and(|name| name.ends_with("/list_changed"));
        if let (true, Some(gate)) = (changed, gate.upgrade()) {
            gate.rediscover(&server);
        }
    }
}
