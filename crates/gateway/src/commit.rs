//! Spend it: people's yes is used for this call and no other, in one step that cannot be taken twice. What was decided
//! before somebody was waited for is asked again here, of the rules in force now.

use crate::approval::{self, Yes};
use crate::arguments::Arguments;
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::rules;
use decision::approval::{Part, Settled, Terms, Unfit};
use decision::{ApprovalId, Call, Code, Ending, Passed, Refusal};
use store::{DeskError, Kept};

/// What a leg used, and has to give back or to settle when it is over.
#[derive(Debug)]
pub(crate) struct Spent {
    pub(crate) approval: ApprovalId,
    /// By this very leg, and not by an earlier one of the deed.
    pub(crate) here: bool,
}

/// Spends what the call needs.
pub(crate) async fn spend(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
    yes: Yes,
    leg: &mut Leg,
) -> Result<Passed<()>, Refusal> {
    match yes {
        Yes::NotNeeded => {
            if call.leg() > 0 && call.method().starts_with("tasks/") {
                let spent = gate.desk.store().spent_approval(&live.settings.scope(), leg.deed).await;
                let approval = spent.map_err(approval::unkept)?.map(|kept| kept.approval.id);
                leg.spent = approval.map(|approval| Spent { approval, here: false });
            }
            Ok(Passed::plain(()))
        }
        Yes::Spent(approval) => {
            leg.spent = Some(Spent { approval, here: false });
            Ok(Passed::new((), vec![format!("approval:{approval}")]))
        }
        Yes::Given(kept, terms) => {
            again(gate, live, call, resolved, arguments, &kept)?;
            let id = kept.approval.id;
            let (_, record) = once(gate, live, call, &kept, terms, leg).await?;
            leg.spent = Some(Spent { approval: id, here: true });
            leg.also.push(record);
            Ok(Passed::new((), vec![format!("spent:{id}")]))
        }
    }
}

/// The rules in force at this moment must still want what was given, and no more.
fn again(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
    kept: &Kept,
) -> Result<(), Refusal> {
    let now = gate.live();
    if now.policies.digest() != live.policies.digest() {
        return Err(approval::void(&kept.approval, Part::Policy));
    }
    match rules::check(gate, &now, call, resolved, arguments)?.value {
        Some(held) if approval::wants(&kept.approval, &held.cure) => Ok(()),
        Some(_) => Err(approval::void(&kept.approval, Part::Needs)),
        None => Ok(()),
    }
}

async fn once(
    gate: &Gate,
    live: &Live,
    call: &Call,
    kept: &Kept,
    terms: Terms,
    leg: &Leg,
) -> Result<(decision::Approval, store::ledger::Record), Refusal> {
    let scope = live.settings.scope();
    let spent = gate.desk.spend(&scope, kept, call.id(), leg.deed, terms).await;
    spent.map_err(|error| match error {
        DeskError::Unfit(Unfit::Changed(part)) => approval::void(&kept.approval, part),
        DeskError::Raced | DeskError::Unfit(_) => {
            let told = "another call used the approval first, or it was taken back";
            Refusal::new(Code::ApprovalSpent, format!("`{}`: {error}", kept.approval.id)).told(told)
        }
        other
        @ (DeskError::Missing(_) | DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Entry(_)) => {
            approval::unkept(other)
        }
    })
}

/// What became of a leg that spent something: it is given back if nothing left, and settled when the deed is over.
pub(crate) async fn settle(gate: &Gate, live: &Live, spent: &Spent, end: End) {
    let scope = live.settings.scope();
    let done = match end {
        End::NothingLeft(call) => gate.desk.give_back(&scope, spent.approval, call).await,
        End::GoesOn => return,
        End::Over(settled) => gate.desk.settle(&scope, spent.approval, settled).await,
    };
    if let Err(error) = done {
        // found again at the next start
        tracing::error!(%error, approval = %spent.approval, "an approval cannot be settled");
    }
}

/// How a leg ended, for what it spent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    NothingLeft(decision::CallId),
    /// Another leg of the same deed follows.
    GoesOn,
    Over(Settled),
}

impl End {
    pub(crate) fn of(leg: &Leg, spent: &Spent, outcome: &Result<(), Refusal>) -> Self {
        if !leg.dispatched {
            // what an earlier leg sent is still on its way
            return if spent.here { Self::NothingLeft(leg.call_id()) } else { Self::GoesOn };
        }
        match outcome {
            Err(_) if leg.method.as_deref().is_some_and(|method| method.starts_with("tasks/")) => {
                Self::GoesOn
            }
            Ok(()) if leg.goes_on => Self::GoesOn,
            Ok(()) if leg.outcome.as_ref().is_some_and(|outcome| outcome.is_error) => {
                Self::Over(Settled::Failed)
            }
            Ok(()) => Self::Over(Settled::Executed),
            // a no about the answer says nothing of the deed
            Err(refusal) if answered(refusal.code) => Self::Over(Settled::Executed),
            Err(_) => Self::Over(Settled::Unknown),
        }
    }
}

/// The server did answer, and the answer was withheld.
fn answered(code: Code) -> bool {
    matches!(code, Code::ResultTooLarge | Code::ResultInvalid)
}

/// The same for a call whose record is all that is left of it.
pub(crate) fn settled(ending: &Ending, is_error: bool) -> Settled {
    match ending {
        Ending::Answered if is_error => Settled::Failed,
        Ending::Answered => Settled::Executed,
        Ending::Failed { code } if answered(*code) => Settled::Executed,
        Ending::Failed { .. } | Ending::Cancelled | Ending::Unknown | Ending::Refused { .. } => {
            Settled::Unknown
        }
    }
}
