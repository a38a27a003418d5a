//! Who has which connection: a legacy Host session has one of its own per server; modern servers,
//! which keep no conversation, share one per credential.

use super::connection::{Bounds, Connection, Means, Opening};
use super::{Fault, FaultKind, Injected, connection::Outgoing};
use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::relay::{self, Relay};
use crate::session::Session;
use bytes::Bytes;
use decision::{Era, ServerName};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    server: ServerName,
    /// A session's id, or empty for the shared one.
    session: String,
}

/// A connection with what it takes to use it.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    inner: Arc<Inner>,
    injected: Arc<Injected>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    next: AtomicU64,
}

/// For a server to be reached and to shake hands.
const OPEN_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Every open connection.
#[derive(Debug)]
pub struct Pool {
    means: Means,
    open: Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<Option<Arc<Inner>>>>>>,
}

impl Pool {
    /// A pool that opens connections with `client` and `supervisor`. `environment` is what children may
    /// have of the gateway's own ([`launch::PASSABLE_VARIABLES`]).
    pub fn new(
        client: egress::Client,
        supervisor: launch::Supervisor,
        environment: BTreeMap<String, String>,
        limits: &crate::settings::Limits,
    ) -> Self {
        let bounds = Bounds {
            result_bytes: limits.result_bytes_max,
            depth: limits.depth_max,
            open: limits.call_timeout.min(OPEN_MAX),
        };
        Self { means: Means { client, supervisor, environment, bounds }, open: Mutex::default() }
    }
    /// Nothing but the configured servers can be reached (requirement W7).
    pub(crate) fn allow(&self, settings: &crate::settings::Settings) {
        let mut policy = egress::EgressPolicy::default();
        for server in settings.servers.values() {
            if let crate::settings::Reach::Http { url } = &server.reach
                && let Ok(origin) = url
                    .as_str()
                    .parse()
                    .map_err(|_| ())
                    .and_then(|uri| egress::Origin::of(&uri).map_err(|_| ()))
            {
                policy = policy.with(egress::Destination::declared(origin));
            }
        }
        self.means.client.set_policy(policy);
    }
    pub(crate) fn means(&self) -> &Means {
        &self.means
    }
    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }
    pub(crate) async fn shut_down(&self) {
        let slots: Vec<_> = std::mem::take(&mut *self.open.lock()).into_values().collect();
        for slot in slots {
            if let Some(inner) = slot.lock().await.take() {
                inner.connection.close().await;
            }
        }
    }
    /// Ends what a session had.
    pub(crate) async fn end_session(&self, session: &str) {
        let gone: Vec<_> = {
            let mut open = self.open.lock();
            let keys: Vec<Key> = open.keys().filter(|key| key.session == session).cloned().collect();
            keys.iter().filter_map(|key| open.remove(key)).collect()
        };
        for slot in gone {
            if let Some(inner) = slot.lock().await.take() {
                inner.connection.close().await;
            }
        }
    }
}

impl Lane {
    /// The connection for this asker, opened if need be.
    pub(crate) async fn take(
        gate: &Arc<Gate>,
        live: &Arc<Live>,
        server: &ServerName,
        asker: &Asker,
        injected: Arc<Injected>,
    ) -> Result<Self, Fault> {
        let session = asker.session.as_ref().filter(|_| asker.era() == Era::Legacy);
        let key = Key { server: server.clone(), session: session.map(|s| s.id.clone()).unwrap_or_default() };
        let slot = Arc::clone(gate.pool.open.lock().entry(key).or_default());
        let mut slot = slot.lock().await;
        if let Some(inner) = slot.as_ref().filter(|inner| inner.connection.is_alive()) {
            return Ok(Self { inner: Arc::clone(inner), injected });
        }
        let settings =
            live.settings.servers.get(server).ok_or_else(|| {
                Fault::unsent(FaultKind::Unreachable, "the server is not configured any more")
            })?;
        let (sink, messages) = mpsc::channel(64);
        let hello = session.map(|session| hello(session)).transpose()?;
        let opening = Opening { revision: asker.revision, hello, injected: Arc::clone(&injected), sink };
        let (connection, _) = Connection::open(&settings.reach, &gate.pool.means, opening).await?;
        let inner = Arc::new(Inner { connection, next: AtomicU64::new(1) });
        *slot = Some(Arc::clone(&inner));
        let lane = Self { inner, injected };
        match session {
            Some(session) => {
                tokio::spawn(Relay::unsolicited(gate, server, session, &lane).pump(messages));
                let (gate, session) = (Arc::clone(gate), Arc::clone(session));
                tokio::spawn(async move {
                    session.ended.cancelled().await;
                    gate.pool.end_session(&session.id).await;
                });
            }
            None => {
                tokio::spawn(relay::drain(Arc::downgrade(gate), server.clone(), messages));
            }
        }
        Ok(lane)
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed)
    }
    pub(crate) fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected)
    }
    pub(crate) fn connection(&self) -> &Connection {
        &self.inner.connection
    }
    /// Sends a message that has no answer.
    pub(crate) async fn say(&self, frame: Bytes) {
        if let Err(fault) = self.inner.connection.send(frame, &self.injected).await {
            tracing::debug!(fault = %fault, "a server could not be told");
        }
    }
}

/// The Host's own `initialize`, for a server that serves only this Host.
fn hello(session: &Session) -> Result<Bytes, Fault> {
    let hello = session
        .hello()
        .ok_or_else(|| Fault::unsent(FaultKind::NotThisEra, "the host has not initialized"))?;
    let mut params = format!("{{\"protocolVersion\":\"{}\",\"capabilities\":", hello.revision).into_bytes();
    params.extend_from_slice(&hello.capabilities);
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
    for inner in of_session(gate, &session.id).await {
        let frame = wire::rpc::notification("notifications/roots/list_changed", None);
        let _ = inner.connection.send(frame, &Injected::default()).await;
    }
}

/// Asks every server of a session for log messages from this level on.
pub(crate) async fn set_level(gate: &Gate, session: &Session, level: &str) {
    for inner in of_session(gate, &session.id).await {
        let id = inner.next.fetch_add(1, Ordering::Relaxed);
        let params = format!("{{\"level\":{}}}", wire::json::encode_string(level));
        let frame =
            wire::rpc::request(id.to_string().as_bytes(), "logging/setLevel", Some(params.as_bytes()));
        let (sink, _) = mpsc::channel(1);
        let outgoing = Outgoing {
            id,
            frame,
            headers: Vec::new(),
            injected: Arc::default(),
            timeout: Some(std::time::Duration::from_secs(5)),
            cancel: tokio_util::sync::CancellationToken::new(),
            sink,
        };
        let _ = inner.connection.request(outgoing).await;
    }
}

async fn of_session(gate: &Gate, session: &str) -> Vec<Arc<Inner>> {
    let slots: Vec<_> = {
        let open = gate.pool.open.lock();
        open.iter().filter(|(key, _)| key.session == session).map(|(_, slot)| Arc::clone(slot)).collect()
    };
    let mut found = Vec::new();
    for slot in slots {
        found.extend(slot.lock().await.as_ref().map(Arc::clone));
    }
    found
}
