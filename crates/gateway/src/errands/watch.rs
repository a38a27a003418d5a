//! Watching servers for those who listen here: changes of lists, and updates of single resources.
//!
//! A modern server is asked with one `subscriptions/listen`; a legacy one with `resources/subscribe` for each
//! resource, in the hidden session of whoever listens, where it tells of its lists unasked.

use crate::authenticate::{Asker, Standing};
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::secrets;
use crate::settings::{Authority, Reach};
use crate::upstream::{self, FromServer, Injected, Lane, Outgoing};
use decision::{Principal, Refusal, ServerName, UserName};
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Crossing, Eras, Revision, Way};

const LISTEN: &str = "subscriptions/listen";
const SUBSCRIBE: &str = "resources/subscribe";
/// Between two attempts, doubled each time until one lasts.
const AGAIN_MIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(5 * 60);
const LASTING: Duration = Duration::from_secs(60);
/// How often a legacy session that is only listened to is looked after.
const LOOK: Duration = Duration::from_secs(2);
/// How often whoever listens asks whether the credential that the stream was opened with still counts.
const CREDENTIALS_EVERY: Duration = Duration::from_secs(5);
const WITHDRAWN: &str = "the credential it was opened with was removed, replaced or has expired";
/// For a server to take a subscription.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is watched at one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Its lists of tools, prompts and resources.
    pub(crate) lists: bool,
    pub(crate) uris: Vec<String>,
    /// Tasks by the server's own ids, raw, and who is told of them: nobody but the one who asked.
    pub(crate) tasks: Vec<String>,
    pub(crate) told: Option<mpsc::Sender<(ServerName, FromServer)>>,
}

/// One watch on the lists of a server, for as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Watching {
    _until_dropped: DropGuard,
}

/// Whose watch it is: a server's, and a user's where each has a credential of their own.
type Of = (ServerName, Option<UserName>);

/// The watches on lists that are open: one for a server, however many listen.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: Mutex<BTreeMap<Of, Weak<Watching>>>,
}

impl Watches {
    /// Watches a server's lists for this principal. `None` where the server does not say that it would tell, or is one
    /// child for each user, of which there could be as many as there are users.
    pub(crate) fn lists(
        &self,
        gate: &Arc<Gate>,
        live: &Live,
        server: &ServerName,
        principal: &Arc<Principal>,
    ) -> Option<Arc<Watching>> {
        let settings = live.settings.servers.get(server)?;
        let peer = live.peers.get(server)?;
        if peer.eras == Eras::Legacy || !tells_of_lists(&peer.capabilities) {
            return None;
        }
        let holder = match (settings.authority, &settings.reach) {
            (Authority::Shared, _) => None,
            (Authority::PerUser, Reach::Stdio { .. }) => return None,
            (Authority::PerUser, Reach::Http { .. } | Reach::Sse { .. }) => Some(principal.person()?.clone()),
        };
        let mut open = self.open.lock();
        open.retain(|_, watching| watching.strong_count() > 0);
        let of = (server.clone(), holder);
        if let Some(watching) = open.get(&of).and_then(Weak::upgrade) {
            return Some(watching);
        }
        let over = CancellationToken::new();
        let watching = Arc::new(Watching { _until_dropped: over.clone().drop_guard() });
        open.insert(of, Arc::downgrade(&watching));
        drop(open);
        let (gate, server, asker) = (Arc::clone(gate), server.clone(), listener(principal));
        let wish = Wish { lists: true, ..Wish::default() };
        tokio::spawn(async move { watch(&gate, &server, &wish, &asker, &over, None).await });
        Some(watching)
    }
}

fn tells_of_lists(capabilities: &[u8]) -> bool {
    let tells = |key: &str| wire::json::at_path(capabilities, &[key, "listChanged"]) == Some(b"true");
    ["tools", "prompts", "resources"].into_iter().any(tells)
}

/// Somebody for whom a server is watched. What they are told is asked of the rules each time.
pub(crate) fn listener(principal: &Arc<Principal>) -> Asker {
    Asker {
        principal: Arc::clone(principal),
        session: None,
        revision: Revision::LATEST_MODERN,
        capabilities: None,
        standing: Standing::Session,
    }
}

/// Whether a watch began.
pub(crate) type Began = Result<(), String>;

/// Watches a server until `over`, with pauses where it cannot be watched. Whoever waits for the beginning hears of
/// a failure, and then it is not tried again.
pub(crate) async fn watch(
    gate: &Arc<Gate>,
    server: &ServerName,
    wish: &Wish,
    asker: &Asker,
    over: &CancellationToken,
    mut began: Option<oneshot::Sender<Began>>,
) {
    let (mut wait, mut again) = (AGAIN_MIN, false);
    while !over.is_cancelled() {
        let live = gate.live();
        let since = Instant::now();
        let once = Once { gate, live: &live, server, wish, asker, over, again };
        let Err(reason) = once.watch(&mut began).await else { return };
        if let Some(began) = began.take() {
            let _ = began.send(Err(reason));
            return;
        }
        if !live.settings.servers.contains_key(server) {
            return;
        }
        tracing::warn!(server = %server, reason, "a server cannot be watched; trying again");
        wait = if since.elapsed() > LASTING { AGAIN_MIN } else { wait };
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(AGAIN_MAX);
        again = true;
    }
}

/// One attempt.
struct Once<'a> {
    gate: &'a Arc<Gate>,
    live: &'a Arc<Live>,
    server: &'a ServerName,
    wish: &'a Wish,
    asker: &'a Asker,
    over: &'a CancellationToken,
    /// It was watched before, and may have changed since.
    again: bool,
}

fn because(refusal: Refusal) -> String {
    refusal.because
}

/// When what a stream was opened with is looked at next, and the store that it was looked for in last.
struct Credentials {
    due: Instant,
    asked: Option<store::Revision>,
}

impl Credentials {
    fn new() -> Self {
        Self { due: Instant::now() + CREDENTIALS_EVERY, asked: None }
    }

    /// Nothing before it is due. Errors: it does not count any more.
    async fn look(&mut self, gate: &Gate, injected: &Injected) -> Result<(), String> {
        if Instant::now() < self.due {
            return Ok(());
        }
        self.due = Instant::now() + CREDENTIALS_EVERY;
        match secrets::is_withdrawn(gate, &gate.live(), injected, &mut self.asked).await {
            true => Err(WITHDRAWN.to_owned()),
            false => Ok(()),
        }
    }
}

impl Once<'_> {
    /// `Ok` where it ended because nobody listens any more.
    async fn watch(&self, began: &mut Option<oneshot::Sender<Began>>) -> Result<(), String> {
        let peer = self.live.peers.get(self.server).ok_or("nobody knows what the server speaks")?;
        let way = Way::new(self.asker.revision, peer.eras);
        match way.crossing {
            None => self.listen(way, began).await,
            Some(Crossing::ModernToLegacy) => self.subscribe(way, began).await,
            Some(Crossing::LegacyToModern) => Err("a listener is modern".to_owned()),
        }
    }

    async fn opened(&self, method: &str, way: Way) -> Result<(Leg, Lane), String> {
        super::opened(self.gate, self.live, self.server, self.asker, way, method).await
    }

    async fn listen(&self, way: Way, began: &mut Option<oneshot::Sender<Began>>) -> Result<(), String> {
        let (leg, lane) = self.opened(LISTEN, way).await?;
        let id = lane.next_id();
        let (sink, mut messages) = mpsc::channel(64);
        let outgoing = Outgoing {
            id,
            frame: wire::rpc::request(id.to_string().as_bytes(), LISTEN, Some(self.filter().as_bytes())),
            headers: vec![(HeaderName::from_static("mcp-method"), HeaderValue::from_static(LISTEN))],
            injected: lane.injected(),
            timeout: None,
            cancel: self.over.clone(),
            sink,
            beside_calls: false,
        };
        let injected = lane.injected();
        let mut request = std::pin::pin!(lane.connection().request(outgoing));
        let mut open = Some(leg);
        let mut credentials = Credentials::new();
        let ended = loop {
            tokio::select! {
                Some(message) = messages.recv() => {
                    // the record closes at the acknowledgement; what comes later are events
                    if let Some(leg) = open.take() {
                        leg.close(self.gate, self.live, &Ok(())).await.map_err(because)?;
                        self.granted(&message.frame)?;
                        if self.again && self.wish.lists {
                            self.gate.rediscover(self.server);
                        }
                        let _ = began.take().map(|began| began.send(Ok(())));
                    }
                    self.heard(message, injected.holder.as_ref());
                }
                ended = &mut request => break ended,
                () = tokio::time::sleep_until(credentials.due), if open.is_none() => {
                    credentials.look(self.gate, &injected).await?;
                }
            }
        };
        if let Some(leg) = open {
            let end = ended.as_ref().map(|_| ()).map_err(upstream::refused);
            leg.close(self.gate, self.live, &end).await.map_err(because)?;
        }
        match ended {
            _ if self.over.is_cancelled() => Ok(()),
            Ok(_) => Err("the server ended the subscription".to_owned()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn filter(&self) -> String {
        let mut wanted = serde_json::Map::new();
        if self.wish.lists {
            for key in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
                wanted.insert(key.to_owned(), json!(true));
            }
        }
        if !self.wish.uris.is_empty() {
            wanted.insert("resourceSubscriptions".to_owned(), json!(self.wish.uris));
        }
        let mut meta = super::meta();
        if !self.wish.tasks.is_empty() {
            let ids = self.wish.tasks.iter().filter_map(|raw| serde_json::from_str::<Value>(raw).ok());
            wanted.insert("taskIds".to_owned(), ids.collect());
            // what a task asks, it asks of the client that follows it
            let can = self.asker.capabilities.as_deref().unwrap_or(b"{}");
            meta = super::meta_of(&serde_json::from_slice(can).unwrap_or_else(|_| json!({})));
        }
        json!({ "notifications": wanted, "_meta": meta }).to_string()
    }

    /// Whether every resource that was asked for is in the acknowledgement.
    fn granted(&self, ack: &wire::Frame) -> Result<(), String> {
        let granted = wire::views::Listen::read(ack).map_err(|e| format!("the acknowledgement: {e}"))?;
        let all = self.wish.uris.iter().all(|uri| granted.uris.iter().any(|one| one == uri));
        let follows = self.wish.tasks.is_empty() || ack.at(&["params", "notifications", "taskIds"]).is_some();
        (all && follows)
            .then_some(())
            .ok_or_else(|| "the server does not grant all that was asked for".to_owned())
    }

    fn heard(&self, message: FromServer, of: Option<&UserName>) {
        let frame = &message.frame;
        match frame.method().as_deref() {
            Some("notifications/tasks") => {
                // whoever does not read misses what a poll can tell
                if let Some(told) = &self.wish.told {
                    let _ = told.try_send((self.server.clone(), message));
                }
            }
            Some("notifications/resources/updated") => {
                if let Some(uri) = frame.string_at(&["params", "uri"]) {
                    self.gate.resource_updated(self.server, uri.into_owned(), of);
                }
            }
            Some(name) if name.ends_with("/list_changed") => self.gate.rediscover(self.server),
            Some(_) | None => {}
        }
    }

    /// What a legacy server says of these comes over its session, to whoever reads that.
    async fn subscribe(&self, way: Way, began: &mut Option<oneshot::Sender<Began>>) -> Result<(), String> {
        let mut held = None;
        for uri in &self.wish.uris {
            let (leg, lane) = self.opened(SUBSCRIBE, way).await?;
            let asked = lane.subscribe(uri, PATIENCE).await;
            let end = asked.as_ref().map(|_| ()).map_err(upstream::refused);
            leg.close(self.gate, self.live, &end).await.map_err(because)?;
            asked.map_err(|fault| fault.to_string())?;
            held = Some(lane);
        }
        let _ = began.take().map(|began| began.send(Ok(())));
        let Some(lane) = held else { return Ok(()) };
        let session = lane.session();
        let mut credentials = Credentials::new();
        let ended = loop {
            tokio::select! {
                () = self.over.cancelled() => break Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            // listening is a use, and what the server forgot is asked for again
            lane.touch();
            credentials.look(self.gate, &lane.injected()).await?;
            if session != lane.session() || !lane.connection().is_alive() {
                break Err("the server forgot its session".to_owned());
            }
        };
        for uri in &self.wish.uris {
            lane.unsubscribe(uri, PATIENCE).await;
        }
        ended
    }
}
