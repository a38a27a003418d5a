//! Calls of modern clients that a legacy server interrupts with a question. Its client is told `input_required` and
//! comes again with the answers; until then the exchange with the server waits here, under a sealed handle that is
//! worth something to the same call of the same principal only.

use super::connection::Outgoing;
use super::send::{InFlight, OPEN_MAX, WAITING_MAX, configured, outgoing, refused};
use super::wait::{Waited, wait};
use super::{Dispatch, Fault, FaultKind, FromServer, Lane, Received, crossing};
use crate::gate::{Gate, Live};
use crate::handles::{self, Bound, Kind};
use crate::record::{self, Leg};
use crate::relay::Relay;
use bytes::Bytes;
use decision::{Call, CallId, Code, Digest, EventName, Refusal, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::bridge::{capabilities::Askable, rounds};
use wire::{Frame, Limits};

/// Parked calls of one principal, and of all.
const PARKED_EACH_MAX: usize = 16;
const PARKED_MAX: usize = 256;
/// Questions that come within this time of the first are put together with it.
const AT_ONCE: Duration = Duration::from_millis(20);
/// Questions that one call may put, all rounds together.
const QUESTIONS_MAX: u32 = 64;

/// A call under way in a hidden session. Dropped, it is given up, and the server is told.
#[derive(Debug)]
struct Exchange {
    lane: Lane,
    request: JoinHandle<Result<Received, Fault>>,
    messages: mpsc::Receiver<FromServer>,
    cancel: CancellationToken,
    /// The token under which the server reports progress, where the client asked for that.
    token: Option<u64>,
    open: Vec<Question>,
    asked: u32,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Question {
    /// Under which the client answers.
    key: String,
    /// The server's own id, raw.
    id: Bytes,
    /// As part of a result.
    part: Bytes,
}

/// Every parked call.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    open: Mutex<BTreeMap<[u8; ID_BYTES], Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    exchange: Exchange,
    principal: Digest,
    call: CallId,
}

const ID_BYTES: usize = 16;

/// What a handle says, once it is known to be ours and for this call.
struct Handle {
    id: [u8; ID_BYTES],
    expires_at: Timestamp,
}

impl Parked {
    /// The call's digest covers who asks, which server's item and with what.
    fn bound(call: &Call) -> Bound {
        Bound::to(Kind::Parked, call.principal(), &[&call.digest().to_string()])
    }

    fn seal(gate: &Gate, handle: &Handle, call: &Call) -> String {
        let inner = [handle.id.as_slice(), &handle.expires_at.0.to_be_bytes()].concat();
        handles::seal(gate, &Self::bound(call), &inner)
    }

    fn unseal(gate: &Gate, state: &str, call: &Call) -> Option<Handle> {
        let inner = handles::open(gate, &Self::bound(call), state)?;
        let (id, expiry) = inner.split_first_chunk::<ID_BYTES>()?;
        Some(Handle { id: *id, expires_at: Timestamp(u64::from_be_bytes(expiry.try_into().ok()?)) })
    }

    /// The parked call that a handle names, once. What is another's, over, or made up is not found.
    fn take(&self, gate: &Gate, state: &str, call: &Call) -> Result<Exchange, Refusal> {
        let now = gate.clock.now();
        let handle = Self::unseal(gate, state, call).filter(|handle| now < handle.expires_at);
        let waiting = handle.and_then(|handle| self.open.lock().remove(&handle.id));
        waiting.map(|waiting| waiting.exchange).ok_or_else(|| {
            let because = "no call of this principal waits for answers under that request state";
            Refusal::new(Code::StateUnknown, because)
        })
    }

    /// Parks a call until its answers come, or nobody brings them in time.
    fn park(
        &self,
        gate: &Arc<Gate>,
        exchange: Exchange,
        call: &Call,
        patience: Duration,
    ) -> Result<String, Refusal> {
        let principal = Digest::of(&serde_json::to_vec(call.principal()).unwrap_or_default());
        let patience_us = crate::approval::micros(patience);
        let expires_at = Timestamp(gate.clock.now().0.saturating_add(patience_us));
        let handle = Handle { id: gate.random(), expires_at };
        let mut open = self.open.lock();
        let own = open.values().filter(|waiting| waiting.principal == principal).count();
        if own >= PARKED_EACH_MAX || open.len() >= PARKED_MAX {
            return Err(Refusal::new(
                Code::Overloaded,
                "as many calls wait for their client's answers as may",
            ));
        }
        open.insert(handle.id, Waiting { exchange, principal, call: call.id() });
        drop(open);
        let (weak, id) = (Arc::downgrade(gate), handle.id);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            if let Some(gate) = weak.upgrade() {
                expire(&gate, id).await;
            }
        });
        Ok(Self::seal(gate, &handle, call))
    }

    /// Lets go of a call whose questions may not be put.
    pub(crate) fn forget(&self, gate: &Gate, state: &str, call: &Call) {
        if let Some(handle) = Self::unseal(gate, state, call) {
            self.open.lock().remove(&handle.id);
        }
    }
}

/// Nobody came with the answers: the server is told, and so is the record.
async fn expire(gate: &Gate, id: [u8; ID_BYTES]) {
    let Some(waiting) = gate.parked.open.lock().remove(&id) else { return };
    let call = waiting.call;
    drop(waiting);
    let detail =
        BTreeMap::from([("reason".to_owned(), "no answers came to the server's questions".to_owned())]);
    let live = gate.live();
    let written = record::event(gate, &live, EventName::CallFailed, Some(call), None, detail);
    if let Err(refusal) = written.await {
        tracing::error!(error = %refusal.because, "an event cannot be recorded");
    }
}

/// Sends a modern client's call to a legacy server, or goes on with one that waits for answers. True where the
/// server asks: then the frame is ours, with its questions.
pub(super) async fn to_hidden(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    dispatch: &Dispatch<'_>,
    leg: &mut Leg,
) -> Result<(Frame, bool), Refusal> {
    let Dispatch { call, resolved, asker, arrival, .. } = dispatch;
    let silence = configured(live, dispatch)?.call_timeout;
    let _in_flight = InFlight::begin(asker, &resolved.frame, &arrival.cancel, arrival)?;
    let mut exchange = match resolved.frame.string_at(&["params", "requestState"]) {
        Some(state) => resumed(gate, dispatch, &state).await?,
        None => begun(gate, live, dispatch).await?,
    };
    leg.dispatched = true;
    let theirs = resolved.frame.member(&["params", "_meta", "progressToken"]);
    let token = exchange.token.zip(theirs.map(|range| resolved.frame.share(range)));
    let mut relay = Relay::new(gate, resolved, asker, arrival, &exchange.lane, token);
    let _linked = Linked::new(&arrival.cancel, &exchange.cancel);
    let askable = super::lane::askable(asker);
    let driven = exchange.drive(&mut relay, silence, askable, leg).await;
    leg.progress = relay.progress();
    leg.masked.add(relay.masked());
    match driven {
        Ok(Some(received)) => {
            leg.masked.add(&received.masked);
            let visits = if askable.url { rounds::visits(&received.frame) } else { Vec::new() };
            if visits.is_empty() {
                return Ok((received.frame, false));
            }
            let parts = visits.iter().map(|(key, part)| (key.as_str(), part.as_ref()));
            // the server answered, so there is nothing to go on with: the client asks again
            asks(&rounds::keyed(parts), None)
        }
        Ok(None) => {
            let parts = exchange.open.iter().map(|question| (question.key.as_str(), question.part.as_ref()));
            let questions = rounds::keyed(parts);
            let state = gate.parked.park(gate, exchange, call, live.settings.limits.question_timeout)?;
            asks(&questions, Some(&state))
        }
        Err(fault) => {
            leg.dispatched = fault.sent;
            Err(refused(&fault))
        }
    }
}

/// The result that asks, in the client's era.
fn asks(questions: &Bytes, state: Option<&str>) -> Result<(Frame, bool), Refusal> {
    let result = wire::rpc::result(b"0", &rounds::input_required(questions, state));
    let frame = Frame::scan(result, &Limits::DEFAULT.with_bytes(u32::MAX as usize));
    frame.map(|frame| (frame, true)).map_err(|e| Refusal::new(Code::UpstreamNonsense, e.to_string()))
}

async fn begun(gate: &Arc<Gate>, live: &Arc<Live>, dispatch: &Dispatch<'_>) -> Result<Exchange, Refusal> {
    let Dispatch { resolved, asker, .. } = dispatch;
    let (server, credential) = (&resolved.target.server, Arc::clone(&dispatch.credential));
    let taken = Lane::take(gate, live, server, asker, resolved.way, credential).await;
    let lane = taken.map_err(|fault| super::send::unopened(&fault))?;
    crossing::raise_level(live, resolved, &lane).await;
    let id = lane.next_id();
    let (frame, token) = outgoing(live, dispatch, id)?;
    let (sink, messages) = mpsc::channel(WAITING_MAX);
    let cancel = CancellationToken::new();
    let outgoing = Outgoing {
        id,
        frame: frame.bytes().clone(),
        headers: Vec::new(),
        injected: lane.injected(),
        timeout: Some(OPEN_MAX),
        cancel: cancel.clone(),
        sink,
        beside_calls: false,
    };
    let on = lane.clone();
    // a task of its own: it may outlive the leg that began it
    let request = tokio::spawn(async move { on.connection().request(outgoing).await });
    let token = token.map(|_| id);
    Ok(Exchange { lane, request, messages, cancel, token, open: Vec::new(), asked: 0 })
}

/// Hands the server the answers that came, each under its own id.
async fn resumed(gate: &Gate, dispatch: &Dispatch<'_>, state: &str) -> Result<Exchange, Refusal> {
    let answers = wire::views::input_responses(&dispatch.resolved.frame)
        .map_err(|e| Refusal::new(Code::ArgumentsInvalid, e.to_string()).told(e.to_string()))?;
    let mut exchange = gate.parked.take(gate, state, dispatch.call)?;
    exchange.lane = exchange.lane.with(Arc::clone(&dispatch.credential));
    let (mut answered, mut open) = (Vec::new(), Vec::new());
    for question in std::mem::take(&mut exchange.open) {
        match answers.iter().find(|answer| answer.key == question.key) {
            Some(answer) => answered.push(wire::rpc::result(&question.id, answer.result_raw)),
            // asked once more
            None => open.push(question),
        }
    }
    exchange.open = open;
    for answer in answered {
        exchange.lane.say(answer).await;
    }
    Ok(exchange)
}

impl Exchange {
    /// On to the answer; `None` where questions are open.
    async fn drive(
        &mut self,
        relay: &mut Relay,
        silence: Duration,
        askable: Askable,
        leg: &mut Leg,
    ) -> Result<Option<Received>, Fault> {
        while self.open.is_empty() {
            let request = &mut self.request;
            let answered = async {
                // the task fails only where it panics
                request.await.unwrap_or_else(|_| Err(Fault::sent(FaultKind::Lost, "the exchange broke off")))
            };
            let waited =
                wait(std::pin::pin!(answered), &mut self.messages, relay, silence, &self.cancel).await?;
            match waited {
                Waited::Answered(received) => return Ok(Some(received)),
                Waited::Asked(message) => {
                    leg.masked.add(&message.masked);
                    self.asks(&message.frame, askable).await?;
                }
            }
        }
        self.gather(relay, askable, leg).await.map(|()| None)
    }

    /// Takes what the server asks at the same time along: its client can be asked everything at once.
    async fn gather(&mut self, relay: &mut Relay, askable: Askable, leg: &mut Leg) -> Result<(), Fault> {
        tokio::time::sleep(AT_ONCE).await;
        while let Ok(message) = self.messages.try_recv() {
            if relay.keeps(&message.frame) {
                leg.masked.add(&message.masked);
                self.asks(&message.frame, askable).await?;
            } else {
                relay.carry(message).await;
            }
        }
        Ok(())
    }

    /// Notes a question, or answers one in the client's stead that it cannot be put.
    async fn asks(&mut self, frame: &Frame, askable: Askable) -> Result<(), Fault> {
        let method = frame.method().unwrap_or_default();
        let id = Bytes::copy_from_slice(frame.id_raw().unwrap_or(b"0"));
        self.asked = self.asked.saturating_add(1);
        if self.asked > QUESTIONS_MAX {
            let detail = format!("the server put more than {QUESTIONS_MAX} questions in one call");
            return Err(Fault::sent(FaultKind::Nonsense, detail));
        }
        let part = rounds::question_for_modern(frame).ok();
        let Some(part) = part.filter(|_| rounds::may_be_asked(askable, &method, frame.params_raw())) else {
            let (code, why) =
                (wire::rpc::METHOD_NOT_FOUND, "the host did not declare that it can be asked this");
            self.lane.say(wire::rpc::error(Some(&id), code, why, None)).await;
            return Ok(());
        };
        self.open.push(Question { key: format!("q{}", self.asked), id, part });
        Ok(())
    }
}

/// Lets a client that gives its request up give the exchange up, for as long as the request is open.
struct Linked(JoinHandle<()>);

impl Linked {
    fn new(client: &CancellationToken, exchange: &CancellationToken) -> Self {
        let (client, exchange) = (client.clone(), exchange.clone());
        Self(tokio::spawn(async move {
            client.cancelled().await;
            exchange.cancel();
        }))
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.0.abort();
    }
}
