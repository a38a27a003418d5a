//! The way to a server for one asker: a legacy Host session has a connection of its own per server, modern Hosts
//! share hidden sessions with a legacy one, and modern servers, which keep no conversation, share one connection
//! per credential.

use super::connection::{Connection, Opening};
use super::held::{Held, Key, Whose};
use super::{Fault, FaultKind, Injected};
use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::relay::{self, Relay};
use crate::session::Session;
use crate::settings::{Reach, ServerSettings};
use bytes::Bytes;
use decision::{Era, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::bridge::capabilities::{self, Askable};
use wire::{Crossing, Level, Way};

/// Unsolicited messages of one server that may wait to be carried on.
const WAITING_MAX: usize = 64;
/// For a server to take a new log level.
const LEVEL_MAX: Duration = Duration::from_secs(5);

/// A connection with the credentials of one call.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    held: Arc<Held>,
    injected: Arc<Injected>,
}

impl Lane {
    /// The connection for this asker, opened if need be.
    pub(crate) async fn take(
        gate: &Arc<Gate>,
        live: &Arc<Live>,
        server: &ServerName,
        asker: &Asker,
        way: Way,
        injected: Arc<Injected>,
    ) -> Result<Self, Fault> {
        let settings =
            live.settings.servers.get(server).ok_or_else(|| {
                Fault::unsent(FaultKind::Unreachable, "the server is not configured any more")
            })?;
        let own = way.era() == Era::Legacy && way.crossing.is_none();
        let session = asker.session.as_ref().filter(|_| own);
        let whose = match (way.crossing, session) {
            (Some(Crossing::ModernToLegacy), _) => Whose::hidden(&asker.principal, askable(asker)),
            (_, Some(session)) => Whose::Session(session.id.clone()),
            (Some(Crossing::LegacyToModern) | None, None) => Whose::Everybody,
        };
        let key = Key::new(server, whose, &settings.reach, &injected);
        match gate.pool.at_hand(&key) {
            Some(held) => {
                held.renew(&key, &injected);
                Ok(Self { held, injected })
            }
            // boxed: rare, and several kilobytes
            None => {
                Box::pin(Self::open(gate, settings, server, (asker, session), way, (key, injected))).await
            }
        }
    }

    async fn open(
        gate: &Arc<Gate>,
        settings: &ServerSettings,
        server: &ServerName,
        (asker, session): (&Asker, Option<&Arc<Session>>),
        way: Way,
        (key, injected): (Key, Arc<Injected>),
    ) -> Result<Self, Fault> {
        let (sink, messages) = mpsc::channel(WAITING_MAX);
        let opening = || {
            let hello = match way.crossing {
                Some(Crossing::ModernToLegacy) => Some(hidden_hello(way, askable(asker))),
                Some(Crossing::LegacyToModern) | None => session.map(|session| hello(session)).transpose()?,
            };
            let hidden = way.crossing == Some(Crossing::ModernToLegacy);
            Ok(Opening { revision: way.revision, hello, injected: Arc::clone(&injected), sink, hidden })
        };
        let (held, opened) = gate.pool.take(key.clone(), &settings.reach, opening).await?;
        held.renew(&key, &injected);
        let lane = Self { held, injected: Arc::clone(&injected) };
        if !opened {
            return Ok(lane);
        }
        match session {
            Some(session) => {
                let pump = Relay::unsolicited(gate, server, session, &lane).pump(messages);
                let (gate, session) = (Arc::downgrade(gate), Arc::clone(session));
                tokio::spawn(async move {
                    // a connection that ends takes this task with it, so that there are never more than connections
                    tokio::select! {
                        () = pump => {}
                        () = session.ended.cancelled() => {}
                    }
                    if session.ended.is_cancelled()
                        && let Some(gate) = gate.upgrade()
                    {
                        gate.pool.end_session(&session.id).await;
                    }
                });
            }
            None => {
                let of = injected.holder.clone();
                let held = Arc::downgrade(&lane.held);
                let decline = move |question: Bytes| {
                    let held = held.clone();
                    async move {
                        if let Some(held) = held.upgrade() {
                            held.tell(question, &held.injected()).await;
                        }
                    }
                };
                tokio::spawn(relay::drain(Arc::downgrade(gate), (server.clone(), of), messages, decline));
            }
        }
        Ok(lane)
    }

    /// The modern child that all who use these credentials share, if it runs: what it offers now, another would not.
    pub(crate) fn to_running_child(
        gate: &Gate,
        server: &ServerName,
        reach: &Reach,
        injected: &Arc<Injected>,
    ) -> Option<Self> {
        let key = Key::new(server, Whose::Everybody, reach, injected);
        key.identity?;
        Some(Self { held: gate.pool.running(&key)?, injected: Arc::clone(injected) })
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.held.next_id()
    }
    pub(crate) fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected)
    }
    pub(crate) fn connection(&self) -> &Connection {
        &self.held.connection
    }
    /// Sends a message that has no answer.
    pub(crate) async fn say(&self, frame: Bytes) {
        self.held.tell(frame, &self.injected).await;
    }
    /// The same connection, with the credentials of another call.
    pub(crate) fn with(&self, injected: Arc<Injected>) -> Self {
        Self { held: Arc::clone(&self.held), injected }
    }
    /// Which session with a legacy server it is by now.
    pub(crate) fn session(&self) -> u64 {
        self.held.connection.session()
    }
    /// Notes that it is in use.
    pub(crate) fn touch(&self) {
        self.held.touch();
    }
    /// Asks a legacy server to say when a resource is updated.
    pub(crate) async fn subscribe(&self, uri: &str, timeout: Duration) -> Result<(), Fault> {
        self.held.subscribe(uri, timeout).await
    }
    /// Takes that back, unless others who share the session want to hear of it too.
    pub(crate) async fn unsubscribe(&self, uri: &str, timeout: Duration) {
        self.held.unsubscribe(uri, timeout).await;
    }
    /// Asks the server for log lines from this level on, unless it was asked for them already.
    pub(crate) async fn wants_level(&self, level: Level) {
        if self.held.wants_level(level) {
            set_level_of(&self.held, level).await;
        }
    }
}

/// What a modern client can be asked through the gateway.
pub(super) fn askable(asker: &Asker) -> Askable {
    asker.capabilities.as_deref().map(Askable::read).unwrap_or_default()
}

/// The gateway's own `initialize`, for a session that several Hosts of one principal share.
fn hidden_hello(way: Way, askable: Askable) -> Bytes {
    let mut params = format!("{{\"protocolVersion\":\"{}\",\"capabilities\":", way.revision).into_bytes();
    params.extend_from_slice(&askable.to_json());
    params.extend_from_slice(b",\"clientInfo\":");
    params.extend_from_slice(super::detect::CLIENT.as_bytes());
    params.push(b'}');
    params.into()
}

/// The Host's own `initialize`, for a server that serves only this Host.
fn hello(session: &Session) -> Result<Bytes, Fault> {
    let hello = session
        .hello()
        .ok_or_else(|| Fault::unsent(FaultKind::NotThisEra, "the host has not initialized"))?;
    let mut params = format!("{{\"protocolVersion\":\"{}\",\"capabilities\":", hello.revision).into_bytes();
    // nor does a server of its own era hear of tasks, which are not carried there
    params.extend_from_slice(&capabilities::crossing(&hello.capabilities, &[]));
    params.extend_from_slice(b",\"clientInfo\":");
    params.extend_from_slice(&hello.client_info);
    params.push(b'}');
    Ok(params.into())
}

/// Tells every server of a session that the Host's roots changed.
pub(crate) async fn roots_changed(gate: &Gate, asker: &Asker) {
    let Some(session) = &asker.session else {
        return;
    };
    for held in gate.pool.of_session(&session.id).await {
        let frame = wire::rpc::notification("notifications/roots/list_changed", None);
        held.tell(frame, &held.injected()).await;
    }
}

/// Asks every server of a session for log messages from this level on.
pub(crate) async fn set_level(gate: &Gate, session: &Session, level: Level) {
    for held in gate.pool.of_session(&session.id).await {
        set_level_of(&held, level).await;
    }
}

async fn set_level_of(held: &Held, level: Level) {
    let params = format!("{{\"level\":\"{}\"}}", level.as_str());
    if let Err(fault) = held.ask("logging/setLevel", &params, LEVEL_MAX).await {
        tracing::debug!(fault = %fault, "a server could not be told");
    }
}
