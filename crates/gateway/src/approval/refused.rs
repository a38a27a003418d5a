//! What whoever waits for people is told where there is no yes.

use super::unheard;
use crate::gate::Gate;
use decision::approval::{Approval, Part};
use decision::{ApprovalId, Code, Refusal};
use store::{DeskError, Gateway};

pub(crate) fn denied(approval: &Approval) -> Refusal {
    let by = approval.denial();
    let who = by.map(|vote| vote.person.to_string()).unwrap_or_default();
    let why = by.and_then(|vote| vote.reason.clone()).unwrap_or_else(|| "no reason was given".to_owned());
    Refusal::new(Code::ApprovalDenied, format!("`{}` was denied by {who}: {why}", approval.id))
        .told(format!("the people who were asked said no: {why}"))
        .basis(basis(approval))
}

/// The yes there was is for something else.
pub(crate) fn void(approval: &Approval, part: Part) -> Refusal {
    another(approval.id, part).basis(basis(approval))
}

/// A gateway on the same database that goes by other rules, where that is what makes a yes void.
async fn other_rules(gate: &Gate, part: Part) -> Option<Gateway> {
    if part != Part::Policy {
        return None;
    }
    let live = gate.live();
    let beside = gate.store.gateways_beside(&live.settings.scope(), live.policies.digest()).await;
    beside.ok()?.into_iter().next()
}

/// What the record says of one that is void, and who goes by the rules it was asked for under.
pub(super) async fn voided(gate: &Gate, id: ApprovalId, part: Part) -> Vec<String> {
    let other = other_rules(gate, part).await.map(|other| format!("other-rules:{}", other.log));
    std::iter::once(format!("void:{id}:{part}")).chain(other).collect()
}

/// The same, and whether another gateway goes by other rules than this one: then asking again leads to and fro.
pub(crate) async fn void_now(gate: &Gate, approval: &Approval, part: Part) -> Refusal {
    let refusal = void(approval, part);
    match other_rules(gate, part).await {
        Some(other) => {
            let log = &other.log;
            let because = format!(
                "{}; the gateway with the log `{log}` goes by other rules than this one, and each makes void what was asked for at the other: give them the same policies",
                refusal.because
            );
            let told = "the approval is for something else: the policies changed, and gateways that share this work go by different ones: an operator has to give them the same";
            Refusal { because, ..refusal }.told(told)
        }
        None => refusal,
    }
}

/// The same of one that is only known by its id.
pub(crate) fn another(id: ApprovalId, part: Part) -> Refusal {
    let told = format!("the approval is for something else: {part} changed");
    Refusal::new(Code::ApprovalVoid, format!("`{id}`: {told}")).told(told).remedy(ANEW, vec![])
}

const ANEW: &str = "call again: people are asked about what it is now";

pub(crate) fn lapsed(approval: &Approval) -> Refusal {
    let told = "the time of the approval is over";
    Refusal::new(Code::ApprovalVoid, format!("`{}`: {told}", approval.id))
        .told(told)
        .remedy(ANEW, vec![])
        .basis(basis(approval))
}

/// Taken back, or void because something changed.
pub(crate) fn ended(approval: &Approval) -> Refusal {
    match approval.ended.as_ref().and_then(|ended| ended.changed) {
        Some(part) => void(approval, part),
        None => cancelled(approval),
    }
}

/// The same, and who makes it void again and again.
pub(crate) async fn ended_now(gate: &Gate, approval: &Approval) -> Refusal {
    match approval.ended.as_ref().and_then(|ended| ended.changed) {
        Some(part) => void_now(gate, approval, part).await,
        None => cancelled(approval),
    }
}

pub(super) fn cancelled(approval: &Approval) -> Refusal {
    let ended = approval.ended.as_ref();
    let by = ended.and_then(|ended| ended.by.clone()).unwrap_or_default();
    let why =
        ended.and_then(|ended| ended.reason.clone()).unwrap_or_else(|| "no reason was given".to_owned());
    Refusal::new(Code::ApprovalCancelled, format!("`{}` was taken back by {by}: {why}", approval.id))
        .told(format!("the approval was taken back: {why}"))
        .remedy(ANEW, vec![])
        .basis(basis(approval))
}

/// What there is to say of one that was used, where its answer is not here.
pub(crate) fn spent(approval: &Approval) -> Refusal {
    if let Some(unheard) = unheard::told(approval) {
        return unheard;
    }
    let told = format!("the approval was used already: it is {}", approval.state.as_str());
    Refusal::new(Code::ApprovalSpent, format!("`{}`: {told}", approval.id)).told(told).basis(basis(approval))
}

pub(super) fn basis(approval: &Approval) -> Vec<String> {
    let people = approval.votes.iter().map(|vote| format!("by:{}", vote.person));
    std::iter::once(format!("approval:{}", approval.id)).chain(people).collect()
}

/// An approval that somebody else ended in the meantime is in nobody's way.
pub(crate) fn settled_meanwhile(error: DeskError) -> Result<(), Refusal> {
    match error {
        DeskError::Unfit(_) | DeskError::Missing(_) => Ok(()),
        DeskError::Raced | DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Entry(_) => {
            Err(unkept(error))
        }
    }
}

/// What cannot be kept cannot be waited for.
pub(crate) fn unkept(error: impl Into<DeskError>) -> Refusal {
    let error = error.into();
    match &error {
        DeskError::Ledger(_) => Refusal::new(Code::LedgerUnavailable, error.to_string()),
        DeskError::Raced => Refusal::new(Code::ApprovalSpent, error.to_string()),
        DeskError::Missing(_) | DeskError::Unfit(_) | DeskError::Store(_) | DeskError::Entry(_) => {
            tracing::error!(%error, "approvals cannot be kept; calls that need one are refused");
            Refusal::new(Code::ApprovalUnavailable, error.to_string())
        }
    }
}
