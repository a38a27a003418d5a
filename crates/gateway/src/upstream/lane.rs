//! The way to a server for one asker: a legacy Host session has a connection of its own per server;
//! modern servers, which keep no conversation, share one per credential.

use super::connection::{Connection, Opening, Outgoing};
use super::pool::{Held, Key};
use super::{Fault, FaultKind, Injected};
use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::relay::{self, Relay};
use crate::session::Session;
use bytes::Bytes;
use decision::{Era, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
        injected: Arc<Injected>,
    ) -> Result<Self, Fault> {
        let settings =
            live.settings.servers.get(server).ok_or_else(|| {
                Fault::unsent(FaultKind::Unreachable, "the server is not configured any more")
            })?;
        let session = asker.session.as_ref().filter(|_| asker.era() == Era::Legacy);
        let key = Key::new(server, session.map(|s| s.id.as_str()), &settings.reach, &injected);
        let (sink, messages) = mpsc::channel(WAITING_MAX);
        let opening = || {
            let hello = session.map(|session| hello(session)).transpose()?;
            Ok(Opening { revision: asker.revision, hello, injected: Arc::clone(&injected), sink })
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
                tokio::spawn(relay::drain(Arc::downgrade(gate), server.clone(), messages));
            }
        }
        Ok(lane)
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
        tell(&self.held, frame, &self.injected).await;
    }
}

async fn tell(held: &Held, frame: Bytes, injected: &Injected) {
    if let Err(fault) = held.connection.send(frame, injected).await {
        tracing::debug!(fault = %fault, "a server could not be told");
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
    for held in gate.pool.of_session(&session.id).await {
        let frame = wire::rpc::notification("notifications/roots/list_changed", None);
        tell(&held, frame, &held.injected()).await;
    }
}

/// Asks every server of a session for log messages from this level on.
pub(crate) async fn set_level(gate: &Gate, session: &Session, level: &str) {
    for held in gate.pool.of_session(&session.id).await {
        let id = held.next_id();
        let params = format!("{{\"level\":{}}}", wire::json::encode_string(level));
        let frame =
            wire::rpc::request(id.to_string().as_bytes(), "logging/setLevel", Some(params.as_bytes()));
        let (sink, _) = mpsc::channel(1);
        let outgoing = Outgoing {
            id,
            frame,
            headers: Vec::new(),
            injected: held.injected(),
            timeout: Some(LEVEL_MAX),
            cancel: CancellationToken::new(),
            sink,
        };
        if let Err(fault) = held.connection.request(outgoing).await {
            tracing::debug!(fault = %fault, "a server could not be told");
        }
    }
}
