//! Send, once: the last stage before the answer, and the only place that spends a permit.

use super::connection::Outgoing;
use super::wait::{Waited, wait};
use super::{Fault, FaultKind, Injected, Lane, Look, crossing, parked};
use crate::answers;
use crate::authenticate::Asker;
use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::relay::Relay;
use crate::resolve::Resolved;
use crate::settings::ServerSettings;
use bytes::Bytes;
use decision::{Call, Code, Direction, Era, ItemKind, Passed, Permit, Refusal};
use http::{HeaderName, HeaderValue};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use wire::{Crossing, Splice};

/// Messages of a server about one call that may wait to be carried on.
pub(super) const WAITING_MAX: usize = 64;
/// Longest that a call may stay open, however lively: a person may be asked on the way.
pub(super) const OPEN_MAX: Duration = Duration::from_secs(60 * 60);

/// What came back for a call.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The response as the peer sent it, scanned strictly.
    pub(crate) frame: wire::Frame,
    /// The same with the asker's own id.
    pub(crate) answer: Bytes,
    pub(crate) upstream_us: u64,
    /// A legacy server asks on its way to the answer: the frame is ours, with its questions.
    pub(crate) asks: bool,
}

/// Everything a call is sent with. Building it takes the permit.
pub(crate) struct Dispatch<'a> {
    pub(crate) permit: Permit,
    pub(crate) call: &'a Call,
    pub(crate) resolved: &'a Resolved,
    pub(crate) credential: Arc<Injected>,
    pub(crate) arrival: &'a Arrival,
    pub(crate) asker: &'a Asker,
    /// What is known already of what it asks for.
    pub(crate) look: Look,
}

/// Sends the call its permit was granted for, and waits for the answer. The permit is spent.
pub(crate) async fn send(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    mut dispatch: Dispatch<'_>,
    leg: &mut Leg,
) -> Result<Passed<Arrived>, Refusal> {
    if !dispatch.permit.covers(dispatch.call) {
        return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
    }
    answers::withheld(dispatch.arrival, &dispatch.resolved.frame, &dispatch.credential)?;
    let began = gate.clock.now();
    let mut basis = vec![dispatch.call.target().server.to_string()];
    let carried = carry(gate, live, &mut dispatch, leg, &mut basis).await;
    // suspended or retired meanwhile: nobody hears what it said, nor does it hear what it asked for
    let open = still_open(gate, &dispatch);
    let open = open.map_err(|no| if leg.dispatched { after_it_left(&no) } else { no });
    let (frame, asks) = open.and(carried)?;
    if dispatch.call.direction() == Direction::ToServer && leg.dispatched {
        let Dispatch { resolved, asker, .. } = &dispatch;
        gate.guests.note(gate, live, &resolved.target.server, asker, resolved.way);
    }
    let answer = to_asker(&frame, asks, dispatch.resolved)?;
    let upstream_us = gate.clock.now().since(began);
    Ok(Passed::new(Arrived { frame, answer, upstream_us, asks }, basis))
}

/// Carries the call to whom it is for, and what comes back; true where that asks for more.
async fn carry(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    dispatch: &mut Dispatch<'_>,
    leg: &mut Leg,
    basis: &mut Vec<String>,
) -> Result<(wire::Frame, bool), Refusal> {
    let hidden = dispatch.resolved.way.crossing == Some(Crossing::ModernToLegacy);
    let look = std::mem::replace(&mut dispatch.look, Look::Never);
    match (dispatch.call.direction(), look) {
        (_, Look::Found(found)) => {
            basis.push(format!("kept: public, read {} s ago", found.age.as_secs()));
            Ok((found.frame, false))
        }
        (Direction::ToServer, _) if hidden => Box::pin(parked::to_hidden(gate, live, dispatch, leg)).await,
        (Direction::ToServer, look) => {
            let frame = to_server(gate, live, dispatch, leg).await?;
            if let (Look::Empty(place), true) = (look, leg.masked.is_empty()) {
                gate.kept.keep(place, &frame);
            }
            Ok((frame, false))
        }
        (Direction::ToHost, _) => Ok((Box::pin(to_host(live, dispatch, leg)).await?, false)),
    }
}

/// Whether the server may still be used, by the snapshot in force by now.
fn still_open(gate: &Gate, dispatch: &Dispatch<'_>) -> Result<(), Refusal> {
    let server = &dispatch.call.target().server;
    let registry = &gate.live().registry;
    match dispatch.call.direction() {
        Direction::ToHost => registry.check(server, ItemKind::Question, dispatch.call.method()),
        Direction::ToServer if registry.is_shut(server) => registry.check(server, ItemKind::Server, ""),
        Direction::ToServer => Ok(()),
    }
}

/// The same no to what had left before it was said.
fn after_it_left(no: &Refusal) -> Refusal {
    let because = format!("{}; it had been sent before, and whether it took effect is not known", no.because);
    Refusal::new(no.code, because.clone()).told(because)
}

/// A response with the asker's own id and in the asker's era, in which it is already where the server asks.
pub(crate) fn to_asker(frame: &wire::Frame, asks: bool, resolved: &Resolved) -> Result<Bytes, Refusal> {
    let id = resolved.frame.id_raw().unwrap_or_default().to_vec();
    let splice = match frame.id_range() {
        Some(range) => Splice::new(frame).replace(range, id),
        None => Splice::new(frame).set_member(frame.object(), "id", id),
    };
    let splice = match asks {
        true => wire::bridge::answer::unnamed(splice, frame),
        false => crossing::answer(splice, frame, resolved),
    };
    splice.finish().map_err(|e| Refusal::new(Code::UpstreamNonsense, e.to_string()))
}

/// The settings of the call's server.
pub(super) fn configured<'l>(live: &'l Live, dispatch: &Dispatch<'_>) -> Result<&'l ServerSettings, Refusal> {
    let settings = live.settings.servers.get(&dispatch.resolved.target.server);
    settings.ok_or_else(|| Refusal::new(Code::UpstreamUnreachable, "the server is not configured any more"))
}

async fn to_server(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    dispatch: &Dispatch<'_>,
    leg: &mut Leg,
) -> Result<wire::Frame, Refusal> {
    let Dispatch { call, resolved, asker, arrival, .. } = dispatch;
    let server = &resolved.target.server;
    let settings = configured(live, dispatch)?;
    let subscribes = matches!(call.method(), "resources/subscribe" | "resources/unsubscribe");
    if subscribes && resolved.way.era() == Era::Modern {
        return Box::pin(crossing::subscribe(gate, live, dispatch, leg)).await;
    }
    let cancel = arrival.cancel.clone();
    let _in_flight = InFlight::begin(asker, &resolved.frame, &cancel, arrival)?;
    let credential = Arc::clone(&dispatch.credential);
    let taken = Lane::take(gate, live, server, asker, resolved.way, credential).await;
    let lane = taken.map_err(|fault| unopened(&fault))?;
    let id = lane.next_id();
    let (frame, token) = outgoing(live, dispatch, id)?;
    let headers = headers(call, resolved, &frame)?;
    let (sink, mut messages) = mpsc::channel(WAITING_MAX);
    let token = token.map(|theirs| (id, theirs));
    let mut relay = Relay::new(gate, resolved, asker, arrival, &lane, token);
    leg.dispatched = true;
    let outgoing = Outgoing {
        id,
        frame: frame.bytes().clone(),
        headers,
        injected: lane.injected(),
        timeout: Some(OPEN_MAX),
        cancel: cancel.clone(),
        sink,
        beside_calls: false,
    };
    let request = std::pin::pin!(lane.connection().request(outgoing));
    let answered = wait(request, &mut messages, &mut relay, settings.call_timeout, &cancel).await;
    leg.progress = relay.progress();
    leg.updated = relay.saw_update();
    leg.masked.add(relay.masked());
    match answered {
        Ok(Waited::Answered(received)) => {
            leg.masked.add(&received.masked);
            Ok(received.frame)
        }
        // only what a hidden session asks is kept from being passed on
        Ok(Waited::Asked(_)) => Err(Refusal::new(Code::StageFailed, "a question was not passed on")),
        Err(fault) => {
            leg.dispatched = fault.sent;
            Err(refused(&fault))
        }
    }
}

/// The message that leaves: the one that was judged, with our id, the server's own name for the item, our
/// progress token, and in the server's era. Gives back the asker's token.
pub(super) fn outgoing(
    live: &Live,
    dispatch: &Dispatch<'_>,
    id: u64,
) -> Result<(wire::Frame, Option<Bytes>), Refusal> {
    let broken = |e: String| Refusal::new(Code::StageFailed, format!("the message cannot be prepared: {e}"));
    let resolved = dispatch.resolved;
    let judged = &resolved.frame;
    let ours = id.to_string();
    let mut splice = Splice::new(judged);
    if let Some(range) = judged.id_range() {
        splice = splice.replace(range, ours.clone());
    }
    if let Some((range, name)) = &resolved.rename {
        splice = splice.replace(range.clone(), wire::json::encode_string(name));
    }
    if let Some(held) = &resolved.state {
        splice = splice.replace(held.at.clone(), held.state.clone());
    }
    let token = judged.member(&["params", "_meta", "progressToken"]);
    let theirs = token.clone().map(|range| judged.share(range));
    if let Some(range) = token {
        splice = splice.replace(range, ours);
    }
    let frame = crossing::request(splice, live, dispatch)?
        .finish_frame(&wire::Limits::DEFAULT.with_bytes(u32::MAX as usize))
        .map_err(|e| broken(e.to_string()))?;
    Ok((frame, theirs))
}

/// The routing headers of the modern era, derived again from what leaves. `Mcp-Param-*` that came
/// along were checked against the arguments and go on as they are (2026-07-28, basic/transports).
fn headers(
    call: &Call,
    resolved: &Resolved,
    sent: &wire::Frame,
) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
    if resolved.way.era() == Era::Legacy {
        return Ok(Vec::new());
    }
    let broken = |e: String| Refusal::new(Code::StageFailed, format!("the headers cannot be prepared: {e}"));
    let mut headers = Vec::new();
    let mut add = |name: &str, value: &str| -> Result<(), Refusal> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| broken(e.to_string()))?;
        let value = HeaderValue::from_str(value).map_err(|e| broken(e.to_string()))?;
        headers.push((name, value));
        Ok(())
    };
    add("mcp-method", call.method())?;
    if let Some(name) = wire::views::named(sent, resolved.method) {
        add("mcp-name", &wire::headers::encode(&name))?;
    }
    let called = resolved.item.as_ref().filter(|_| call.method() == "tools/call");
    if let Some(schema) = called.and_then(|item| item.definition.input_schema()) {
        let arguments = call.arguments().unwrap_or_default();
        let params = wire::headers::param_headers(schema.as_bytes(), &arguments);
        for (name, value) in params.map_err(|e| broken(e.to_string()))? {
            add(&name, &value)?;
        }
    }
    Ok(headers)
}

/// A request in flight on its session, until it is over.
pub(crate) struct InFlight {
    session: Option<(Arc<crate::session::Session>, Vec<u8>)>,
}

impl InFlight {
    pub(crate) fn begin(
        asker: &Asker,
        asked: &wire::Frame,
        cancel: &tokio_util::sync::CancellationToken,
        arrival: &Arrival,
    ) -> Result<Self, Refusal> {
        let id = asked.id_raw().map(<[u8]>::to_vec);
        let (Some(session), Some(id)) = (&asker.session, id) else {
            return Ok(Self { session: None });
        };
        session
            .begin(&id, cancel.clone(), arrival.outlet.clone())
            .map_err(|_| Refusal::new(Code::IdInUse, "a request of that id is in flight"))?;
        Ok(Self { session: Some((Arc::clone(session), id)) })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some((session, id)) = &self.session {
            session.end(id);
        }
    }
}

/// A server's question to the Host: out on the session it belongs to, and the Host's answer back.
async fn to_host(live: &Live, dispatch: &Dispatch<'_>, leg: &mut Leg) -> Result<wire::Frame, Refusal> {
    let Dispatch { call, asker, arrival, .. } = dispatch;
    let gone = || Refusal::new(Code::HostUnreachable, "the host is no longer connected");
    let session = asker.session.as_ref().ok_or_else(gone)?;
    if !asker.declares(call.method()) {
        let because = format!("the host did not declare that it answers `{}`", call.method());
        return Err(Refusal::new(Code::HostIncapable, because));
    }
    let (id, answer) = session.ask();
    let frame = wire::rpc::with_id(&dispatch.resolved.frame, id.to_string().as_bytes())
        .map_err(|e| Refusal::new(Code::StageFailed, e.to_string()))?;
    leg.dispatched = true;
    if arrival.outlet.send(frame.clone()).await.is_err() && session.push(frame).is_err() {
        session.unask(id);
        return Err(gone());
    }
    let answered = tokio::select! {
        answered = answer => answered.map_err(|_| gone()),
        () = session.ended.cancelled() => Err(gone()),
        () = arrival.cancel.cancelled() => Err(Refusal::new(Code::Cancelled, "the server gave the question up")),
        () = tokio::time::sleep(live.settings.limits.question_timeout) => {
            Err(Refusal::new(Code::HostUnreachable, "the host did not answer the question in time"))
        }
    };
    session.unask(id);
    let answer = answered?;
    arrival.credential.as_ref().map_or(Ok(()), |held| answers::quotes_nothing(answer.bytes(), held))?;
    Ok(answer)
}

/// The same where nothing has left yet: whatever kept the connection from being opened, nothing acted.
pub(super) fn unopened(fault: &Fault) -> Refusal {
    match fault.kind {
        FaultKind::Timeout | FaultKind::Lost | FaultKind::SessionGone => {
            Refusal::new(Code::UpstreamUnreachable, fault.detail.clone())
        }
        FaultKind::Unreachable
        | FaultKind::Busy
        | FaultKind::Unauthorized
        | FaultKind::Nonsense
        | FaultKind::Refused
        | FaultKind::NotThisEra
        | FaultKind::TooLarge
        | FaultKind::Cancelled => refused(fault),
    }
}

/// What an upstream's fault means for the asker.
pub(crate) fn refused(fault: &Fault) -> Refusal {
    let code = match fault.kind {
        FaultKind::Unreachable => Code::UpstreamUnreachable,
        FaultKind::Timeout => Code::UpstreamTimeout,
        FaultKind::Lost | FaultKind::SessionGone => Code::UpstreamLost,
        FaultKind::Busy => Code::UpstreamBusy,
        FaultKind::Unauthorized => Code::UpstreamUnauthorized,
        FaultKind::Nonsense | FaultKind::Refused => Code::UpstreamNonsense,
        FaultKind::NotThisEra => Code::EraMismatch,
        FaultKind::TooLarge => Code::ResultTooLarge,
        FaultKind::Cancelled => Code::Cancelled,
    };
    let refusal = Refusal::new(code, fault.detail.clone());
    match fault.kind == FaultKind::Busy && fault.sent {
        // no bound of ours: those let nothing leave
        true => refusal.told("the server itself asks for patience (HTTP 429): try again later"),
        false => refusal,
    }
}
