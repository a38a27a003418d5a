//! Calls that are sent without their client: kept sealed beside their approval, and walked over the whole path when the
//! yes is there. Only a rule that says `@execute-on-approval`, or a client that polls its task, has that done; what
//! came of it waits, sealed, for whoever asked.

use crate::exchange::{
    Arrival, Entrance, Facts, Found, Inbound, Outlet, Party, Presented, Reply, ReplyBody, Vouched,
};
use crate::gate::Gate;
use crate::handles::{self, Bound, Kind};
use crate::rounds::Round;
use crate::session::{Hello, Session};
use crate::unsettled;
use bytes::Bytes;
use decision::approval::{Approval, State};
use decision::{ApprovalId, Claims, Class, Code, Era, ServerName, Timestamp, Transport};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{Frame, Limits, Revision, Splice};

/// So often what was decided is looked for; on PostgreSQL another gateway may have been told.
const LOOK: Duration = Duration::from_secs(1);
/// A client that waits is faster than that.
const FIRST: Duration = Duration::from_millis(200);
/// After what did not come to anything.
const AGAIN: Duration = Duration::from_secs(30);
/// So often answers that nobody came for are let go.
const TIDY: Duration = Duration::from_secs(60);

/// Calls that are on their way without a client.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// When each began, and whether it is still under way.
    runs: Mutex<BTreeMap<ApprovalId, (Instant, bool)>>,
    done: Notify,
}

impl Running {
    fn begin(&self, id: ApprovalId) -> bool {
        let (mut runs, now) = (self.runs.lock(), Instant::now());
        runs.retain(|_, (at, runs)| *runs || now.duration_since(*at) < AGAIN);
        match runs.contains_key(&id) {
            true => false,
            false => runs.insert(id, (now, true)).is_none(),
        }
    }
    fn end(&self, id: ApprovalId) {
        if let Some(run) = self.runs.lock().get_mut(&id) {
            run.1 = false;
        }
        self.done.notify_waiters();
    }
    fn is_on_its_way(&self, id: ApprovalId) -> bool {
        self.runs.lock().get(&id).is_some_and(|(_, runs)| *runs)
    }
}

/// What is kept beside an approval.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Beside {
    Call(Box<Message>),
    Answer(Answer),
    /// Nobody had its answer, which is lost.
    Lost,
    /// What is known of it, whoever asked the same again was told.
    Told,
}

/// A message as it came, without a credential.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    text: String,
    transport: Transport,
    /// Of the one server; of all together where there is none.
    entrance: Option<ServerName>,
    revision: Option<String>,
    method: Option<String>,
    name: Option<String>,
    params: Vec<(String, String)>,
    /// A legacy client's own words: its revision, who it is, and as what it is known.
    speaks: Option<(String, String, Claims)>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    text: String,
    era: Era,
    /// Whoever asked the same again has it.
    taken: bool,
}

fn seal(gate: &Gate, approval: &Approval, beside: &Beside) -> Option<Vec<u8>> {
    let inner = serde_json::to_vec(beside).ok()?;
    Some(handles::seal(gate, &bound(approval), &inner).into_bytes())
}

fn bound(approval: &Approval) -> Bound {
    Bound::to(Kind::Kept, &approval.terms.principal, &[&approval.id.to_string()])
}

async fn beside(gate: &Gate, approval: &Approval) -> Result<Option<Beside>, store::StoreError> {
    let scope = gate.live().settings.scope();
    let sealed = gate.store.sealed_call(&scope, approval.id).await?;
    let open = |sealed: Vec<u8>| {
        let inner = handles::open(gate, &bound(approval), std::str::from_utf8(&sealed).ok()?)?;
        serde_json::from_slice(&inner).ok()
    };
    Ok(sealed.and_then(open))
}

/// The call, sealed, as it is kept with its approval. Nothing that only a client could answer is asked of it.
pub(crate) fn sealed(
    gate: &Gate,
    arrival: &Arrival,
    frame: &Frame,
    session: Option<&Session>,
    approval: &Approval,
) -> Option<Vec<u8>> {
    let can = ["params", "_meta", wire::era::META_CLIENT_CAPABILITIES];
    let alone = match frame.member(&can) {
        Some(at) => Splice::new(frame).replace(at, "{}").finish(),
        None => Ok(frame.bytes().clone()),
    };
    let text = alone.ok().and_then(|alone| String::from_utf8(alone.to_vec()).ok())?;
    let hello = session.and_then(Session::hello);
    let speaks = hello.map(|hello| {
        let info = String::from_utf8_lossy(&hello.client_info).into_owned();
        (hello.revision.as_str().to_owned(), info, hello.claims)
    });
    let Facts { revision, method, name, params, .. } = arrival.facts.clone();
    let entrance = arrival.entrance.server();
    let message =
        Message { text, transport: arrival.transport, entrance, revision, method, name, params, speaks };
    seal(gate, approval, &Beside::Call(Box::new(message)))
}

/// Keeps the call with its approval, where none is kept: it was let go of, and now its client asks again.
pub(crate) async fn keep(
    gate: &Gate,
    arrival: &Arrival,
    frame: &Frame,
    session: Option<&Session>,
    id: ApprovalId,
) -> bool {
    let scope = gate.live().settings.scope();
    let kept = async {
        let Some(kept) = gate.store.approval(&scope, id).await? else { return Ok(false) };
        let Some(sealed) = sealed(gate, arrival, frame, session, &kept.approval) else {
            return Ok(false);
        };
        gate.store.keep_call(&scope, id, &sealed).await
    };
    kept.await.unwrap_or_else(|error: store::StoreError| {
        tracing::error!(%error, approval = %id, "a call cannot be kept, and will not be sent without its client");
        false
    })
}

/// Lets go of a call whose client took it back, whatever people decide.
pub(crate) async fn forget_call(gate: &Gate, approval: ApprovalId) {
    let scope = gate.live().settings.scope();
    if let Err(error) = gate.store.let_go_of_call(&scope, approval).await {
        tracing::error!(%error, %approval, "a call that its client took back is still kept: a yes to it sends it");
    }
}

/// How a call that was kept is sent: in whose name, known by what.
#[derive(Debug)]
pub(crate) enum Name {
    /// Of whoever asked, who must still be known here.
    Asker,
    /// Of a client that is here, with its own credential.
    Client(Box<(Presented, Facts, Option<Arc<Session>>)>),
}

/// Sends a call that was kept, in a task of its own, unless it is on its way. It uses its own approval and no other.
pub(crate) fn send(gate: &Arc<Gate>, approval: &Approval, name: Name) {
    if !gate.running.begin(approval.id) {
        return;
    }
    let (gate, approval) = (Arc::clone(gate), approval.clone());
    tokio::spawn(async move {
        sent(&gate, &approval, name).await;
        gate.running.end(approval.id);
    });
}

async fn sent(gate: &Arc<Gate>, approval: &Approval, name: Name) {
    let message = match beside(gate, approval).await {
        Ok(Some(Beside::Call(message))) => *message,
        Ok(Some(Beside::Answer(_) | Beside::Lost | Beside::Told) | None) => return,
        Err(error) => {
            tracing::error!(%error, approval = %approval.id, "a kept call cannot be read, and is not sent now");
            return;
        }
    };
    let era = if message.speaks.is_some() { Era::Legacy } else { Era::Modern };
    let Some(arrival) = arrival(gate, approval, message, name) else { return };
    let session = arrival.session.clone().filter(|_| era == Era::Legacy);
    // boxed: it is governed inside the governing of a poll
    let governed: std::pin::Pin<Box<dyn Future<Output = Reply> + Send>> =
        Box::pin(crate::govern::govern_here(gate, arrival));
    let reply = governed.await;
    if let Some(session) = session {
        session.close();
    }
    let ReplyBody::Message(answer) = reply.body else { return };
    let Ok(text) = String::from_utf8(answer.to_vec()) else { return };
    let scope = gate.live().settings.scope();
    // where that cannot be asked it may have left; of what did not leave no answer can be kept
    let now = gate.store.approval(&scope, approval.id).await.ok().flatten();
    if now.is_some_and(|now| now.approval.state == State::Approved) {
        if is_refused_for_good(&text)
            && let Err(error) = let_go(gate, &scope, approval, "it is refused by now").await
        {
            tracing::error!(%error, approval = %approval.id, "a call that is refused cannot be let go of");
        }
        return;
    }
    let answer = Beside::Answer(Answer { text, era, taken: false });
    if let Some(sealed) = seal(gate, approval, &answer) {
        unsettled::keep_answer(gate, &scope, approval.id, sealed).await;
    }
}

/// Whether what is refused now must not leave by itself on the day when it may again. What is down comes back, and what
/// is used up is free again.
fn is_refused_for_good(answer: &str) -> bool {
    let read: Option<serde_json::Value> = serde_json::from_str(answer).ok();
    let refusal = read.as_ref().and_then(|answer| {
        let data = answer.pointer("/error/data");
        data.or_else(|| answer.pointer("/result/_meta/callgate~1refusal"))
    });
    let code = refusal.and_then(|refusal| Code::parse(refusal.get("code")?.as_str()?));
    // as if there were no such thing: it is hidden from whoever asks
    let Some(code) = code else { return true };
    match code.class() {
        Class::Outage | Class::ServerError | Class::Gateway | Class::Cancelled => false,
        Class::Authentication | Class::ApprovalNeeded | Class::Validation => true,
        Class::PolicyDenial => code != Code::BudgetExceeded,
    }
}

fn arrival(gate: &Gate, approval: &Approval, message: Message, name: Name) -> Option<Arrival> {
    let principal = Arc::clone(&approval.terms.principal);
    let entrance = message.entrance.map_or(Entrance::Federated, |name| Entrance::Server(name.to_string()));
    let Message { text, transport, revision, method, name: item, params, speaks, .. } = message;
    let own = Facts { revision, method, name: item, params, ..Facts::default() };
    let (presented, facts, mut session) = match name {
        Name::Asker => (Presented::Kept(Vouched(Arc::clone(&principal), approval.proposed_at)), own, None),
        Name::Client(client) => {
            let (presented, facts, session) = *client;
            let Facts { revision, method, name, params, .. } = own;
            (presented, Facts { revision, method, name, params, ..facts }, session)
        }
    };
    if let Some((revision, client_info, claims)) = speaks {
        let alone = gate.pipe_session(principal, entrance.clone(), transport);
        alone.set_hello(Hello {
            revision: Revision::parse(&revision).ok()?,
            capabilities: Bytes::from_static(b"{}"),
            client_info: client_info.into(),
            claims,
        });
        session = Some(alone);
    }
    Some(Arrival {
        inbound: Ok(Inbound::Message(text.into())),
        party: Party::Host,
        transport,
        entrance,
        presented,
        facts,
        session,
        // nobody is there to be told on the way
        outlet: Outlet::new(1).0,
        cancel: CancellationToken::new(),
        round: Some(Round::kept(approval.deed, approval.id)),
        credential: None,
        found: Found::default(),
        walking: std::sync::OnceLock::new(),
    })
}

/// What came of a call that was sent without its client, as its asker is answered now.
#[derive(Debug)]
pub(crate) struct Done {
    answer: Answer,
}

impl Done {
    pub(crate) fn is_taken(&self) -> bool {
        self.answer.taken
    }
    /// The raw result, or the raw error.
    pub(crate) fn parts(&self) -> Option<Result<String, String>> {
        let frame = Frame::scan(self.answer.text.clone().into(), &limits()).ok()?;
        let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
        let error = frame.error_raw().map(|raw| Err(text(raw)));
        frame.result_raw().map(|raw| Ok(text(raw))).or(error)
    }
    /// As the answer to this request, in its era.
    pub(crate) fn answer(&self, id: &[u8], era: Era) -> Option<Bytes> {
        let frame = Frame::scan(self.answer.text.clone().into(), &limits()).ok()?;
        let splice = Splice::new(&frame).replace(frame.id_range()?, id.to_vec());
        let splice = match (self.answer.era, era) {
            (Era::Legacy, Era::Modern) if frame.result_raw().is_some() => {
                splice.set_path(&["result", "resultType"], "\"complete\"")
            }
            (Era::Modern, Era::Legacy) => wire::bridge::answer::for_legacy(splice, &frame),
            _ => splice,
        };
        splice.finish().ok()
    }
}

fn limits() -> Limits {
    Limits::DEFAULT.with_bytes(u32::MAX as usize)
}

/// What came of it, where that is kept.
pub(crate) async fn done(gate: &Gate, approval: &Approval) -> Result<Option<Done>, store::StoreError> {
    if approval.state.is_open() {
        return Ok(None);
    }
    Ok(match beside(gate, approval).await? {
        Some(Beside::Answer(answer)) => Some(Done { answer }),
        Some(Beside::Call(_) | Beside::Lost | Beside::Told) | None => None,
    })
}

/// What whoever asked the same again knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing here says.
    Open,
    /// Nobody had its answer, which is lost.
    Lost,
    /// What is known of it.
    Told,
}

pub(crate) async fn heard(gate: &Gate, approval: &Approval) -> Result<Heard, store::StoreError> {
    Ok(match beside(gate, approval).await? {
        Some(Beside::Answer(_) | Beside::Told) => Heard::Told,
        Some(Beside::Lost) => Heard::Lost,
        Some(Beside::Call(_)) | None => Heard::Open,
    })
}

/// Notes that the call's answer is lost, or that its asker was told what is known.
pub(crate) async fn note(gate: &Gate, approval: &Approval, heard: Heard) -> Result<(), store::StoreError> {
    let beside = match heard {
        Heard::Open => return Ok(()),
        Heard::Lost => Beside::Lost,
        Heard::Told => Beside::Told,
    };
    match seal(gate, approval, &beside) {
        Some(sealed) => gate.store.keep_answer(&gate.live().settings.scope(), approval.id, &sealed).await,
        None => Ok(()),
    }
}

/// Notes that whoever asked the same again has it: the next such call is another deed.
pub(crate) async fn take(gate: &Gate, approval: &Approval, done: &Done) -> Result<(), store::StoreError> {
    let Answer { text, era, .. } = &done.answer;
    let taken = Beside::Answer(Answer { text: text.clone(), era: *era, taken: true });
    match seal(gate, approval, &taken) {
        Some(sealed) => gate.store.keep_answer(&gate.live().settings.scope(), approval.id, &sealed).await,
        None => Ok(()),
    }
}

/// Whether it may still come to an answer.
pub(crate) fn is_under_way(gate: &Gate, approval: &Approval) -> bool {
    gate.running.is_on_its_way(approval.id) || (approval.state == State::Executing && approval.cure.executes)
}

/// Waits until what came of it is kept. False if that does not happen in time.
pub(crate) async fn until_done(gate: &Gate, id: ApprovalId, patience: Duration) -> bool {
    let scope = gate.live().settings.scope();
    let until = Instant::now() + patience;
    loop {
        let told = gate.running.done.notified();
        match gate.store.approval(&scope, id).await {
            Ok(Some(kept)) if !is_under_way(gate, &kept.approval) => return true,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let _ = tokio::time::timeout(LOOK.min(left), told).await;
    }
}

/// Sends what people said yes to and what a rule lets leave without its client, until the gateway stops.
pub async fn execute_approved(gate: Arc<Gate>, closing: CancellationToken) {
    let mut changes = gate.desk.changes();
    let mut tidied = Instant::now();
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = gate.drained() => return,
            _ = changes.recv() => tokio::time::sleep(FIRST).await,
            () = tokio::time::sleep(LOOK) => {}
        }
        while changes.try_recv().is_ok() {}
        let mut looked = execute(&gate).await;
        if tidied.elapsed() > TIDY {
            tidied = Instant::now();
            looked = looked.and(forget(&gate).await);
        }
        if let Err(error) = looked {
            tracing::error!(%error, "approved calls cannot be looked for, or old answers not be let go");
        }
    }
}

async fn execute(gate: &Arc<Gate>) -> Result<(), store::StoreError> {
    let live = gate.live();
    let scope = live.settings.scope();
    let now = gate.clock.now();
    let approved = gate.store.all_approvals_in(&scope, State::Approved).await?;
    let due = approved.iter().map(|kept| &kept.approval).filter(|one| one.cure.executes);
    for approval in due.filter(|one| now < one.expires_at && !gate.holds.is_waited_for(one.id)) {
        // stopped since the yes: it must not take effect by itself on the day when the server may be used again
        if live.registry.is_shut(&approval.terms.target.server) {
            let_go(gate, &scope, approval, "its server is suspended").await?;
            continue;
        }
        send(gate, approval, Name::Asker);
    }
    Ok(())
}

/// Nothing sends it without whoever asked.
async fn let_go(
    gate: &Gate,
    scope: &store::Scope,
    approval: &Approval,
    because: &str,
) -> Result<(), store::StoreError> {
    if gate.store.sealed_call(scope, approval.id).await?.is_some() {
        let server = &approval.terms.target.server;
        let id = approval.id;
        tracing::warn!(approval = %id, %server, because, "a call that was approved does not leave by itself: it waits for whoever asked");
        gate.store.let_go_of_call(scope, id).await?;
    }
    Ok(())
}

/// An answer waits for as long as an approval is good.
async fn forget(gate: &Gate) -> Result<(), store::StoreError> {
    let live = gate.live();
    let valid = crate::approval::micros(live.settings.approvals.valid_for);
    let before = Timestamp(gate.clock.now().0.saturating_sub(valid));
    gate.store.forget_answers(&live.settings.scope(), before).await
}
