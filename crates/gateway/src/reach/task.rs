//! A call that waits as a task of ours (SEP-2663): polled by its client, and sent by the poll that finds the yes.

use super::about;
use super::pending::Pending;
use crate::approval::{self, Waits};
use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance, Reply};
use crate::gate::{Gate, Live};
use crate::handles::{self, Bound, Kind};
use crate::holds::Hold;
use crate::kept::{self, Name};
use crate::record::Leg;
use crate::reply::Answer;
use crate::resolve::Resolved;
use crate::unsettled;
use decision::approval::{Approval, State};
use decision::{Class, Code, Principal, Refusal, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wire::rpc;

/// Between two polls, as it is asked for.
const POLL_MS: u64 = 1_000;
/// A poll that sends the call waits so long for what is done at once.
const AT_ONCE: Duration = Duration::from_secs(2);

fn bound(principal: &Principal) -> Bound {
    Bound::to(Kind::Waiting, principal, &[])
}

impl Pending {
    /// As the id of a task.
    pub(crate) fn task(&self, gate: &Gate, principal: &Principal) -> Option<String> {
        let inner = serde_json::to_vec(self).ok()?;
        Some(handles::seal(gate, &bound(principal), &inner))
    }

    /// What this principal's task id stands for, where it may be used at this entrance.
    pub(crate) fn of_task(
        gate: &Gate,
        principal: &Principal,
        entrance: &Entrance,
        handle: &str,
    ) -> Option<Self> {
        let inner = handles::open(gate, &bound(principal), handle)?;
        let pending: Self = serde_json::from_slice(&inner).ok()?;
        let here = match entrance {
            Entrance::Federated => true,
            Entrance::Server(name) => *name == pending.server.as_str(),
        };
        here.then_some(pending)
    }
}

/// The result that begins the task. Where the call cannot be kept nobody could send it, and its client is told to come again.
pub(super) async fn begun(gate: &Gate, arrival: &Arrival, hold: Hold, handle: &str) -> Reply {
    let Waits { approval, message, .. } = &hold.waits;
    if !kept::keep(gate, arrival, message, None, *approval).await {
        return hold.reply;
    }
    let mut task = status(handle, "working", &format!("waiting for approval by {}", hold.waits.whom));
    stamp(&mut task, gate.clock.now(), gate.clock.now());
    put(&mut task, "resultType", json!("task"));
    put(&mut task, "_meta", json!({ super::KEY: hold.waits.about }));
    Reply::message(rpc::result(&hold.id, task.to_string().as_bytes()))
}

fn status(handle: &str, status: &str, message: &str) -> Value {
    json!({ "taskId": handle, "status": status, "statusMessage": message, "pollIntervalMs": POLL_MS })
}

fn stamp(task: &mut Value, created: Timestamp, updated: Timestamp) {
    put(task, "createdAt", json!(super::rfc3339(created)));
    put(task, "lastUpdatedAt", json!(super::rfc3339(updated)));
    put(task, "ttlMs", Value::Null);
}

/// Answers a message about a task of ours.
pub(crate) async fn about_task(
    gate: &Arc<Gate>,
    live: &Live,
    arrival: &Arrival,
    resolved: &Resolved,
    pending: &Pending,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let id = resolved.frame.id_raw().unwrap_or(b"0");
    let answer = match resolved.method.name {
        "tasks/get" => {
            let handle = resolved.frame.string_at(&["params", "taskId"]).unwrap_or_default().into_owned();
            let task = poll(gate, live, arrival, pending, asker, &handle, leg).await?;
            rpc::result(id, task.as_bytes())
        }
        "tasks/cancel" => {
            let (scope, by) = (live.settings.scope(), asker.principal.describe());
            let reason = Some("the asker cancelled the task");
            let taken = gate.desk.revoke(&scope, pending.approval, &by, reason).await;
            taken.map(drop).or_else(approval::settled_meanwhile)?;
            rpc::result(id, br#"{"resultType":"complete"}"#)
        }
        // it asks for nothing
        _ => rpc::result(id, br#"{"resultType":"complete"}"#),
    };
    Ok(Answer::Message(answer))
}

async fn poll(
    gate: &Arc<Gate>,
    live: &Live,
    arrival: &Arrival,
    pending: &Pending,
    asker: &Asker,
    handle: &str,
    leg: &mut Leg,
) -> Result<String, Refusal> {
    // what could not be kept of it is, if it can be now
    unsettled::settle_left(gate).await;
    let mut approval = find(gate, live, pending).await?;
    if approval.state == State::Approved && gate.clock.now() < approval.expires_at {
        let (presented, facts) = (arrival.presented.clone(), arrival.facts.clone());
        kept::send(gate, &approval, Name::Client(Box::new((presented, facts, asker.session.clone()))));
        kept::until_done(gate, approval.id, AT_ONCE).await;
        approval = find(gate, live, pending).await?;
    }
    leg.about = Some(about(live, &approval));
    leg.notes.push(format!("approval:{}", approval.id));
    let over = approval.state.is_open() && gate.clock.now() >= approval.expires_at;
    let waiting = format!("waiting for approval by {}", approval.cure);
    let mut task = match approval.state {
        State::Proposed | State::Approved if over => failed(handle, &approval::lapsed(&approval)),
        State::Proposed => status(handle, "working", &waiting),
        State::Approved => status(handle, "working", "approved, and about to be sent"),
        State::Denied => failed(handle, &approval::denied(&approval)),
        State::Expired => failed(handle, &approval::lapsed(&approval)),
        State::Cancelled if taken_back(&approval, asker) => status(handle, "cancelled", "taken back"),
        State::Cancelled => failed(handle, &approval::ended(&approval)),
        State::Executing | State::Executed | State::Failed | State::Unknown => {
            return finished(gate, &approval, handle).await;
        }
    };
    stamp(&mut task, approval.proposed_at, gate.clock.now());
    Ok(with_type(task))
}

fn taken_back(approval: &Approval, asker: &Asker) -> bool {
    let by = approval.ended.as_ref().and_then(|ended| ended.by.as_deref());
    by == Some(asker.principal.describe().as_str())
}

fn with_type(mut task: Value) -> String {
    put(&mut task, "resultType", json!("complete"));
    task.to_string()
}

async fn find(gate: &Gate, live: &Live, pending: &Pending) -> Result<Approval, Refusal> {
    let kept = gate.store.approval(&live.settings.scope(), pending.approval).await;
    let kept = kept.map_err(approval::unkept)?;
    kept.map(|kept| kept.approval)
        .ok_or_else(|| Refusal::new(Code::ItemUnknown, "the task's approval is gone"))
}

fn failed(handle: &str, refusal: &Refusal) -> Value {
    let message = refusal.told.as_deref().unwrap_or_else(|| refusal.code.meaning());
    let mut task = status(handle, "failed", message);
    let people = refusal.code.class() == Class::ApprovalNeeded;
    let rpc_code = if people { crate::reply::APPROVAL_NEEDED } else { rpc::INTERNAL_ERROR };
    put(
        &mut task,
        "error",
        json!({ "code": rpc_code, "message": message,
        "data": { "code": refusal.code.as_str(), "class": refusal.code.class() } }),
    );
    task
}

/// What came of a call that left: its result as it was inspected then, byte for byte.
async fn finished(gate: &Gate, approval: &Approval, handle: &str) -> Result<String, Refusal> {
    let done = kept::done(gate, approval).await.map_err(approval::unkept)?;
    let parts = done.and_then(|done| done.parts());
    let (mut task, key, raw) = match parts {
        Some(Ok(result)) => (status(handle, "completed", "done"), "result", result),
        Some(Err(error)) => (status(handle, "failed", "it failed"), "error", error),
        None if approval.state == State::Executing || kept::is_under_way(gate, approval) => {
            let mut task = status(handle, "working", "approved and sent");
            stamp(&mut task, approval.proposed_at, gate.clock.now());
            return Ok(with_type(task));
        }
        None => {
            let mut task = failed(handle, &approval::spent(approval));
            stamp(&mut task, approval.proposed_at, gate.clock.now());
            return Ok(with_type(task));
        }
    };
    stamp(&mut task, approval.proposed_at, gate.clock.now());
    let text = with_type(task);
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{open},{}:{raw}}}", wire::json::encode_string(key)))
}

/// Puts a member into what we made ourselves, which is an object.
fn put(task: &mut Value, key: &str, value: Value) {
    if let Some(members) = task.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
