//! Questions of a modern server to a legacy Host: an `input_required` result becomes requests to the Host, and its
//! answers go out with the same call sent again, a leg of the same deed that walks the whole path anew.

use crate::authenticate::Asker;
use crate::exchange::{Arrival, Facts, Found, Inbound, Party, Presented, Reply, ReplyBody};
use crate::gate::Gate;
use crate::record::Leg;
use crate::replay;
use crate::resolve::Resolved;
use crate::session::Session;
use bytes::Bytes;
use decision::{ApprovalId, Code, DeedId, Digest, Refusal, ServerName};
use futures::future::join_all;
use std::{pin::Pin, sync::Arc};
use wire::bridge::{capabilities::Askable, rounds};
use wire::views::InputRequests;
use wire::{Frame, Limits};

/// Most rounds of one call, as official clients have it.
const ROUNDS_MAX: u32 = 10;
/// Most questions of one round.
const QUESTIONS_MAX: usize = 16;

/// What a modern server wants to know of a legacy Host before it goes on.
#[derive(Debug)]
pub(crate) struct Asks {
    server: ServerName,
    session: Arc<Session>,
    /// The key of each question, and the request it becomes.
    questions: Vec<(String, Bytes)>,
    /// The server's own, raw.
    state: Option<Bytes>,
    deed: DeedId,
    leg: u32,
    /// Under which the deed is done once.
    key: Option<Digest>,
}

/// One more leg of a call that its server asked questions about.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) deed: DeedId,
    pub(crate) leg: u32,
    /// The raw answers by their keys; none where there were no questions.
    answers: Result<Option<Bytes>, Refusal>,
    state: Option<Bytes>,
    /// The only approval it may use.
    pub(crate) only: Option<ApprovalId>,
    /// It leaves without its client.
    pub(crate) alone: bool,
    /// Under which the deed is done once.
    pub(crate) key: Option<Digest>,
}

impl Round {
    /// The same call once more, after people decided: with what its server was told before, if anything.
    pub(crate) fn again(deed: DeedId, leg: u32, only: ApprovalId, last: Option<Self>) -> Self {
        let key = last.as_ref().and_then(|last| last.key);
        let (answers, state) = last.map_or((Ok(None), None), |last| (last.answers, last.state));
        Self { deed, leg: leg.saturating_add(1), answers, state, only: Some(only), alone: false, key }
    }
    /// A call that was kept, once people said yes.
    pub(crate) fn kept(deed: DeedId, only: ApprovalId) -> Self {
        Self { deed, leg: 1, answers: Ok(None), state: None, only: Some(only), alone: true, key: None }
    }
    /// Why the call cannot be sent again, if it cannot.
    pub(crate) fn refused(&self) -> Result<(), Refusal> {
        self.answers.as_ref().map(|_| ()).map_err(Clone::clone)
    }
    /// The raw answers, an object.
    pub(crate) fn answers(&self) -> Option<&Bytes> {
        self.answers.as_ref().ok()?.as_ref()
    }
    /// Puts the answers in.
    pub(crate) fn splice<'f>(&self, splice: wire::Splice<'f>) -> wire::Splice<'f> {
        rounds::again(splice, self.answers(), self.state.as_ref())
    }
}

/// Reads the questions of an `input_required` result, for a Host that can be asked them.
pub(crate) fn read(
    gate: &Gate,
    resolved: &Resolved,
    asker: &Asker,
    frame: &Frame,
    leg: &Leg,
) -> Result<Box<Asks>, Refusal> {
    let nonsense = |why: String| Refusal::new(Code::UpstreamNonsense, why);
    if leg.leg >= ROUNDS_MAX {
        let because = format!("the server asks again after {ROUNDS_MAX} rounds");
        return Err(nonsense(because.clone()).told(because));
    }
    let session = asker.session.clone();
    let session = session.ok_or_else(|| Refusal::new(Code::SessionRequired, "nobody can be asked"))?;
    let read = InputRequests::read(frame.result_raw().unwrap_or_default());
    let read = read.map_err(|e| nonsense(e.to_string()))?;
    if read.questions.len() > QUESTIONS_MAX {
        return Err(nonsense(format!("more than {QUESTIONS_MAX} questions in one result")));
    }
    let askable = asker.capabilities.as_deref().map(Askable::read).unwrap_or_default();
    let mut questions = Vec::new();
    for question in &read.questions {
        let method = crate::route::short(&question.method);
        if wire::method::lookup_question(&question.method, resolved.way.revision).is_none() {
            return Err(nonsense(format!("`{method}` is not a question a server may ask")));
        }
        let known = wire::method::lookup(&question.method, asker.revision).is_some();
        if !known || !rounds::may_be_asked(askable, &question.method, question.params_raw) {
            let because = format!("the host did not declare that it answers this kind of `{method}`");
            return Err(Refusal::new(Code::HostIncapable, because.clone()).told(because));
        }
        crate::visits::lead_to_pages(&question.method, question.params_raw)?;
        let id = questions.len() as u64 + 1;
        let request = rounds::question_for_legacy(question, id, &gate.fresh_id("e_"));
        questions.push((question.key.clone().into_owned(), request.map_err(|e| nonsense(e.to_string()))?));
    }
    Ok(Box::new(Asks {
        server: resolved.target.server.clone(),
        session,
        questions,
        state: read.request_state_raw.map(Bytes::copy_from_slice),
        deed: leg.deed,
        leg: leg.leg,
        key: replay::passed_on(leg),
    }))
}

/// Asks the Host, each question as a call in its direction, and gives the next leg of the call they are about.
pub(crate) async fn ask(gate: &Arc<Gate>, arrival: &Arrival, frame: &[u8], asks: Asks) -> Round {
    let answers = answers(gate, arrival, frame, &asks).await;
    let (deed, leg) = (asks.deed, asks.leg.saturating_add(1));
    Round { deed, leg, answers, state: asks.state, only: None, alone: false, key: asks.key }
}

async fn answers(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    id: &[u8],
    asks: &Asks,
) -> Result<Option<Bytes>, Refusal> {
    if asks.questions.is_empty() {
        return Ok(None);
    }
    let (session, cancel) = (&asks.session, &arrival.cancel);
    // the call is not at its server now, and can be given up all the same
    session
        .begin(id, cancel.clone(), arrival.outlet.clone())
        .map_err(|_| Refusal::new(Code::IdInUse, "a request of that id is in flight"))?;
    let asked = asks.questions.iter().map(|(_, question)| put(gate, arrival, asks, question.clone()));
    let replies = tokio::select! {
        replies = join_all(asked) => Ok(replies),
        () = cancel.cancelled() => Err(Refusal::new(Code::Cancelled, "given up while the host was asked")),
        () = session.ended.cancelled() => Err(Refusal::new(Code::HostUnreachable, "the session ended")),
    };
    session.end(id);
    let mut frames = Vec::new();
    for reply in replies? {
        frames.push(answered(reply)?);
    }
    let keys = asks.questions.iter().map(|(key, _)| key.as_str());
    let results = frames.iter().map(|frame| frame.result_raw().unwrap_or(b"{}"));
    Ok(Some(rounds::keyed(keys.zip(results))))
}

/// One question, over the whole path.
fn put(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    asks: &Asks,
    question: Bytes,
) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
    let arrival = Arrival {
        inbound: Ok(Inbound::Message(question)),
        party: Party::Server(asks.server.clone()),
        transport: arrival.transport,
        entrance: arrival.entrance.clone(),
        presented: Presented::Nothing,
        facts: Facts::default(),
        session: Some(Arc::clone(&asks.session)),
        outlet: arrival.outlet.clone(),
        cancel: arrival.cancel.child_token(),
        round: None,
        credential: None,
        found: Found::default(),
        walking: std::sync::OnceLock::new(),
    };
    let gate = Arc::clone(gate);
    // boxed: a question is governed inside the governing of the call it came from
    Box::pin(async move { crate::govern(&gate, arrival).await })
}

/// The Host's answer. There is no other way to say no to a modern server than not to ask it again.
fn answered(reply: Reply) -> Result<Frame, Refusal> {
    let no = || {
        let sentence = "the host did not answer a question that the server needs answered";
        Refusal::new(Code::HostUnreachable, sentence).told(sentence)
    };
    let ReplyBody::Message(message) = reply.body else { return Err(no()) };
    let frame = Frame::scan(message, &Limits::DEFAULT.with_bytes(u32::MAX as usize)).map_err(|_| no())?;
    if frame.result_raw().is_some() { Ok(frame) } else { Err(no()) }
}
