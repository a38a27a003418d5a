//! What whoever waits for people is told where there is no yes.

use decision::approval::{Approval, Part};
use decision::{ApprovalId, Code, Refusal};
use store::DeskError;

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

pub(crate) fn spent(approval: &Approval) -> Refusal {
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
