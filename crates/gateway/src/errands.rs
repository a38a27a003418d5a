//! What the gateway asks of servers on its own account: what they are and what they offer.
//!
//! A closed list of methods, each message with its own permit and its own record.

mod guests;
pub(crate) mod reading;
mod watch;

pub(crate) use guests::Guests;
use reading::Asks;
pub(crate) use reading::Found;
pub(crate) use watch::{Watches, Watching, Wish, listener, watch};

use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::settings::ServerSettings;
use crate::upstream::{self, Connection, Fault, FaultKind, Injected, Lane, Opening, Received};
use bytes::Bytes;
use decision::{Asked, Call, Code, Direction, ItemKind, Outcome, Refusal, ServerName, Stage, Timestamp};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;
use wire::{Eras, Revision, Way};

/// One errand's connection and what it needs to record itself.
struct Errand<'a> {
    gate: &'a Arc<Gate>,
    live: &'a Live,
    server: &'a ServerName,
    line: Line,
    injected: Arc<Injected>,
}

/// How an errand speaks with its server.
enum Line {
    /// On a connection of its own, and the next id on it.
    Own(Connection, AtomicU64),
    /// With the child that calls go to.
    Running(Lane),
}

impl Line {
    fn connection(&self) -> &Connection {
        match self {
            Self::Own(connection, _) => connection,
            Self::Running(lane) => lane.connection(),
        }
    }

    fn next_id(&self) -> u64 {
        match self {
            Self::Own(_, next) => next.fetch_add(1, Ordering::Relaxed),
            Self::Running(lane) => lane.next_id(),
        }
    }

    async fn done(self) {
        if let Self::Own(connection, _) = self {
            connection.close().await;
        }
    }
}

/// Connects to a server as the gateway, and reads everything it offers.
pub(crate) async fn discover(
    gate: &Arc<Gate>,
    live: &Live,
    server: &ServerName,
    settings: &ServerSettings,
) -> Result<Found, Fault> {
    // to be reached at all takes a credential, and that takes a permit: connecting is an errand of its own
    let mut leg = Leg::errand(gate, live, server, "initialize");
    let connected = connect(gate, live, server, settings, &mut leg).await;
    let end = connected.as_ref().map(|_| ()).map_err(upstream::refused);
    leg.close(gate, live, &end).await.map_err(|e| Fault::sent(FaultKind::Lost, e.because))?;
    let (eras, errand, hello) = connected?;
    let found = reading::read(&errand, eras, hello).await;
    errand.line.done().await;
    found?.settled()
}

async fn connect<'a>(
    gate: &'a Arc<Gate>,
    live: &'a Live,
    server: &'a ServerName,
    settings: &ServerSettings,
    leg: &mut Leg,
) -> Result<(Eras, Errand<'a>, Option<Received>), Fault> {
    let refused = |refusal: Refusal| {
        let of_secret = matches!(
            refusal.code,
            Code::SecretMissing
                | Code::SecretUnreadable
                | Code::SecretUnusable
                | Code::SecretBackendRefused
                | Code::SecretBackendUnavailable
                | Code::UserRequired
        );
        let kind = if of_secret { FaultKind::Unauthorized } else { FaultKind::Lost };
        Fault::unsent(kind, format!("{}: {}", refusal.code.as_str(), refusal.because))
    };
    let call = call(server, leg, "initialize", Bytes::new());
    let permit = leg.permit(&call).map_err(refused)?;
    leg.intend(gate, live, &permit).await.map_err(refused)?;
    let injected =
        leg.pass(Stage::Secrets, crate::secrets::lease(gate, live, &permit, &call).await).map_err(refused)?;
    leg.dispatched = true;
    let eras = upstream::detect(&settings.reach, gate.pool.means(), &injected).await?;
    let revision =
        if eras.speaks(decision::Era::Modern) { Revision::LATEST_MODERN } else { Revision::LATEST_LEGACY };
    leg.speaks(revision.era(), revision.as_str());
    if revision.is_modern()
        && let Some(lane) = Lane::to_running_child(gate, server, &settings.reach, &injected)
    {
        return Ok((eras, Errand { gate, live, server, line: Line::Running(lane), injected }, None));
    }
    let (sink, messages) = mpsc::channel(64);
    // it was told that it can ask nothing
    let decline = |_| std::future::ready(());
    tokio::spawn(crate::relay::drain(
        Arc::downgrade(gate),
        (server.clone(), injected.holder.clone()),
        messages,
        decline,
    ));
    let hello = (!revision.is_modern()).then(|| Bytes::from(hello().to_string()));
    let opening = Opening { revision, hello, injected: Arc::clone(&injected), sink, hidden: false };
    let (connection, hello) = Connection::open(&settings.reach, gate.pool.means(), opening).await?;
    if let Some(hello) = &hello {
        leg.masked.add(&hello.masked);
    }
    let line = Line::Own(connection, AtomicU64::new(1));
    Ok((eras, Errand { gate, live, server, line, injected }, hello))
}

/// The gateway's own `initialize`: it offers everything, so that a server shows everything.
pub(crate) fn hello() -> serde_json::Value {
    json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(),
        "capabilities": { "roots": { "listChanged": true }, "sampling": {}, "elicitation": { "form": {}, "url": {} } },
        "clientInfo": { "name": "callgate", "version": env!("CARGO_PKG_VERSION") },
    })
}

impl Asks for Errand<'_> {
    fn revision(&self) -> Revision {
        self.line.connection().revision()
    }

    /// One recorded message: intent first, then the question, then its decision.
    async fn ask(&self, method: &str, cursor: Option<&str>) -> Result<wire::Frame, Fault> {
        let (id, revision) = (self.line.next_id(), self.revision());
        let frame = reading::question(id, method, cursor, revision);
        let mut leg = Leg::errand(self.gate, self.live, self.server, method);
        leg.speaks(revision.era(), revision.as_str());
        let call = call(self.server, &leg, method, frame.clone());
        let outcome = self.dispatch(&mut leg, &call, id, method, frame).await;
        let end = outcome.as_ref().map(|_| ()).map_err(upstream::refused);
        leg.close(self.gate, self.live, &end).await.map_err(|e| Fault::sent(FaultKind::Lost, e.because))?;
        reading::answer(method, outcome?)
    }
}

impl Errand<'_> {
    async fn dispatch(
        &self,
        leg: &mut Leg,
        call: &Call,
        id: u64,
        method: &str,
        frame: Bytes,
    ) -> Result<wire::Frame, Fault> {
        let refused = |refusal: Refusal| Fault::unsent(FaultKind::Lost, refusal.because);
        let permit = leg.permit(call).map_err(refused)?;
        leg.intend(self.gate, self.live, &permit).await.map_err(refused)?;
        if !permit.covers(call) {
            return Err(Fault::unsent(FaultKind::Lost, Code::PathIncomplete.as_str()));
        }
        drop(permit);
        leg.dispatched = true;
        let began = self.gate.clock.now();
        let outgoing = reading::outgoing(id, method, frame, self.revision(), &self.injected);
        let (injected, means) = (&self.injected, self.gate.pool.means());
        let came = self.line.connection().request(outgoing).await;
        let received = came.or_else(|fault| upstream::page(fault, id, injected, means))?;
        noted(self.gate, self.server, leg, method, began, &received);
        Ok(received.frame)
    }
}

/// An errand for somebody, with its record open, its intent durable, and their way to the server.
async fn opened(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    server: &ServerName,
    asker: &Asker,
    way: Way,
    method: &str,
) -> Result<(Leg, Lane), String> {
    let because = |refusal: Refusal| refusal.because;
    let mut leg = Leg::errand_for(gate, live, server, method, &asker.principal);
    leg.speaks(way.era(), way.revision.as_str());
    let call = call(server, &leg, method, Bytes::new());
    let permit = leg.permit(&call).map_err(because)?;
    leg.intend(gate, live, &permit).await.map_err(because)?;
    let opened = async {
        let lease = crate::secrets::lease(gate, live, &permit, &call).await;
        let injected = leg.pass(Stage::Secrets, lease)?;
        let taken = Lane::take(gate, live, server, asker, way, injected).await;
        taken.map_err(|fault| upstream::refused(&fault))
    };
    match opened.await {
        Ok(lane) => {
            leg.dispatched = true;
            Ok((leg, lane))
        }
        Err(refusal) => {
            let reason = refusal.because.clone();
            leg.close(gate, live, &Err(refusal)).await.map_err(because)?;
            Err(reason)
        }
    }
}

/// Writes down what came for an errand.
fn noted(
    gate: &Gate,
    server: &ServerName,
    leg: &mut Leg,
    method: &str,
    began: Timestamp,
    received: &Received,
) {
    leg.masked.add(&received.masked);
    if !received.masked.is_empty() {
        let masked = &received.masked;
        tracing::warn!(%server, method, %masked, "the server quotes its credential");
    }
    leg.outcome = Some(Outcome {
        bytes: received.frame.bytes().len() as u64,
        is_error: received.frame.kind() == wire::Kind::ErrorResponse,
        result: None,
        upstream_us: gate.clock.now().since(began),
    });
    let _ = leg.pass(Stage::Upstream, Ok(decision::Passed::plain(())));
}

/// What a modern request of the gateway's own says about itself.
pub(crate) fn meta() -> serde_json::Value {
    meta_of(&json!({}))
}

/// The same in the name of a client that can do this.
pub(crate) fn meta_of(capabilities: &serde_json::Value) -> serde_json::Value {
    json!({
        wire::era::META_PROTOCOL_VERSION: Revision::LATEST_MODERN.as_str(),
        wire::era::META_CLIENT_CAPABILITIES: capabilities,
        wire::era::META_CLIENT_INFO: { "name": "callgate", "version": env!("CARGO_PKG_VERSION") },
    })
}

pub(crate) fn call(server: &ServerName, leg: &Leg, method: &str, frame: Bytes) -> Call {
    Call::new(Asked {
        id: leg.call_id(),
        deed: leg.deed,
        leg: 0,
        at: leg.opened_at(),
        direction: Direction::ToServer,
        interaction: leg.interaction.clone(),
        principal: Arc::clone(&leg.principal),
        channel: leg.channel.clone(),
        claims: leg.claims.clone(),
        method: method.to_owned(),
        target: leg.target.clone().unwrap_or_else(|| decision::Target {
            server: server.clone(),
            item: decision::Item { kind: ItemKind::Server, name: server.to_string() },
            definition: None,
        }),
        frame,
        arguments: None,
    })
}
