//! Spend it: people's yes is used for this call and no other, and what it takes of budgets is taken, in one step that
//! cannot be taken twice. What was decided before somebody was waited for is asked again here, of the rules in force now.

use crate::approval::{self, Yes};
use crate::arguments::Arguments;
use crate::budgets;
use crate::drafts;
use crate::gate::{Gate, Live};
use crate::record::{GoesOn, Leg};
use crate::replay::{self, Noted};
use crate::resolve::Resolved;
use crate::rules::{self, Deed, Judged};
use crate::unsettled::{self, Became};
use decision::approval::{Part, Settled, Terms, Unfit};
use decision::twin::Key;
use decision::{ApprovalId, Call, CallId, Code, DeedId, Ending, Passed, Principal, Refusal, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use store::{DeskError, Kept, KeyClaim, Purchase, Spending, Taken, Takes};

/// An answer that came at the last moment has so long to walk the path.
const LATE: Duration = Duration::from_secs(60);
/// The longest that a task of an approved call is followed.
const TASK_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a leg used, and has to give back or to settle when it is over.
#[derive(Debug)]
pub(crate) struct Spent {
    call: CallId,
    deed: DeedId,
    approval: Option<ApprovalId>,
    by: By,
    /// Of budgets, by whichever leg.
    budgets: bool,
    /// The key it took, and who has the answer under it.
    key: Option<Box<(Key, Arc<Principal>)>>,
}

impl Spent {
    /// The key it took.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_deref().map(|(key, _)| key)
    }
}

/// Which leg of the deed spent the approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    This,
    /// An earlier one, and this one was let through, which it is once.
    Earlier,
    /// An earlier one; nothing is asked of this one.
    Before,
}

/// Spends what the call needs.
pub(crate) async fn spend(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
    (yes, judged): (Yes, Judged),
    leg: &mut Leg,
) -> Result<Passed<()>, Refusal> {
    if let Some(submits) = resolved.submits {
        Box::pin(drafts::spend(gate, live, submits.draft, leg)).await?;
    }
    let polls = call.leg() > 0 && call.method().starts_with("tasks/");
    let takes = !judged.takes.is_empty() || leg.keyed.claim.is_some();
    if matches!(yes, Yes::NotNeeded) && !polls && !judged.earlier && !takes {
        return Ok(Passed::plain(()));
    }
    // boxed: what few calls need would make the state of every path large
    Box::pin(pay(gate, live, (call, polls), resolved, arguments, (yes, judged), leg)).await
}

async fn pay(
    gate: &Gate,
    live: &Live,
    (call, polls): (&Call, bool),
    resolved: &Resolved,
    arguments: &Arguments,
    (yes, judged): (Yes, Judged),
    leg: &mut Leg,
) -> Result<Passed<()>, Refusal> {
    let (call_id, deed) = (call.id(), leg.deed);
    let claim = leg.keyed.claim.clone();
    let claim = claim.as_deref();
    let key = claim.map(|claim| Box::new((claim.key, Arc::clone(call.principal()))));
    let has_key = key.is_some();
    let spent = |approval, by, budgets| Spent { call: call_id, deed, approval, by, budgets, key };
    match yes {
        Yes::NotNeeded => {
            let earlier =
                if polls || judged.earlier { earlier(gate, live, leg).await? } else { (None, false) };
            let basis = take(gate, live, leg, (&judged.takes, claim)).await?;
            let budgets = earlier.1 || judged.earlier || !judged.takes.is_empty();
            if earlier.0.is_some() || budgets || has_key {
                leg.spent = Some(spent(earlier.0, By::Before, budgets));
            }
            Ok(Passed::new((), basis))
        }
        Yes::Done(_) => Err(Refusal::new(Code::StageFailed, "what was done is not done again")),
        Yes::Spent(approval) => {
            // first: it was let through, whatever comes of what it takes
            let budgets = judged.earlier || !judged.takes.is_empty();
            leg.spent = Some(spent(Some(approval), By::Earlier, budgets));
            let mut basis = vec![format!("approval:{approval}")];
            basis.extend(take(gate, live, leg, (&judged.takes, claim)).await?);
            Ok(Passed::new((), basis))
        }
        Yes::Given(mut kept, terms) => {
            kept.approval.alone = leg.only.as_ref().is_some_and(|only| only.alone);
            let judged = again(gate, live, call, resolved, arguments, &kept).await?;
            let id = kept.approval.id;
            let record = once(gate, live, (&kept, terms), leg, (&judged.takes, claim)).await?;
            leg.spent = Some(spent(Some(id), By::This, judged.earlier || !judged.takes.is_empty()));
            leg.also.push(record);
            let basis = std::iter::once(format!("spent:{id}")).chain(named(&judged.takes, claim));
            Ok(Passed::new((), basis.collect()))
        }
    }
}

/// What earlier legs of the deed spent and did not settle.
async fn earlier(gate: &Gate, live: &Live, leg: &Leg) -> Result<(Option<ApprovalId>, bool), Refusal> {
    let (store, scope) = (gate.desk.store(), live.settings.scope());
    let approval = store.spent_approval(&scope, leg.deed).await.map_err(approval::unkept)?;
    let budgets = match live.settings.budgets.is_empty() {
        true => false,
        false => store.has_taken(&scope, leg.deed).await.map_err(budgets::unkept)?,
    };
    Ok((approval.map(|kept| kept.approval.id), budgets))
}

/// Takes of budgets, and the key, where no approval is spent with it.
async fn take(
    gate: &Gate,
    live: &Live,
    leg: &Leg,
    (uses, claim): (&[Taken], Option<&KeyClaim>),
) -> Result<Vec<String>, Refusal> {
    if uses.is_empty() && claim.is_none() {
        return Ok(Vec::new());
    }
    let _turn = gate.budgets.turns.acquire().await;
    let over = gate.budgets.some_over();
    let takes = takes(gate, leg, uses, claim);
    match gate.store.spend(&live.settings.scope(), None, takes, &over).await {
        Ok(Spending::Done) => Ok(named(uses, claim).collect()),
        Ok(Spending::Twin) => {
            gate.budgets.bring_back(over);
            Err(replay::in_progress(None))
        }
        Ok(Spending::Over(full)) => {
            gate.budgets.bring_back(over);
            Err(budgets::raced(live, &full))
        }
        Ok(Spending::Missed) => Err(Refusal::new(Code::StageFailed, "an approval that was not asked for")),
        Err(error) => {
            gate.budgets.bring_back(over);
            in_doubt(gate, leg.call_id(), None, (uses, claim));
            Err(if uses.is_empty() { replay::unkept(error) } else { budgets::unkept(error) })
        }
    }
}

fn takes<'a>(gate: &'a Gate, leg: &Leg, uses: &'a [Taken], key: Option<&'a KeyClaim>) -> Takes<'a> {
    Takes { call: leg.call_id(), deed: leg.deed, log: gate.ledger.public_key().origin(), uses, key }
}

/// For the record: of which budgets was taken, and whether there was room; and whether a key was.
fn named(uses: &[Taken], claim: Option<&KeyClaim>) -> impl Iterator<Item = String> {
    let uses = uses.iter().map(|Taken { one, lifted }| {
        let how = if *lifted { "lifted" } else { "took" };
        format!("{how}:budget:{}", one.budget)
    });
    uses.chain(claim.map(|_| "took:key".to_owned()))
}

/// The rules in force at this moment must still want what was given, and no more.
async fn again(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
    kept: &Kept,
) -> Result<Judged, Refusal> {
    let now = gate.live();
    if now.policies.digest() != live.policies.digest() {
        return Err(approval::void(&kept.approval, Part::Policy));
    }
    let judged = rules::check(gate, &now, call, resolved, arguments, Deed::New).await?.value;
    match &judged.held {
        Some(held) if !approval::wants(&kept.approval, held) => {
            Err(approval::void(&kept.approval, Part::Needs))
        }
        Some(_) | None => Ok(judged),
    }
}

async fn once(
    gate: &Gate,
    live: &Live,
    (kept, terms): (&Kept, Terms),
    leg: &Leg,
    (uses, claim): (&[Taken], Option<&KeyClaim>),
) -> Result<store::ledger::Record, Refusal> {
    let scope = live.settings.scope();
    let takes = takes(gate, leg, uses, claim);
    match gate.desk.spend(&scope, kept, terms, takes).await {
        Ok(Purchase::Made(_, record)) => Ok(record),
        Ok(Purchase::Over(full)) => Err(budgets::raced(live, &full)),
        Ok(Purchase::Twin) => Err(replay::in_progress(None)),
        Err(DeskError::Unfit(Unfit::Changed(part))) => Err(approval::void(&kept.approval, part)),
        Err(error @ (DeskError::Raced | DeskError::Unfit(_))) => {
            let told = "another call used the approval first, or it was taken back";
            Err(Refusal::new(Code::ApprovalSpent, format!("`{}`: {error}", kept.approval.id)).told(told))
        }
        Err(
            other
            @ (DeskError::Missing(_) | DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Entry(_)),
        ) => {
            in_doubt(gate, leg.call_id(), Some(kept.approval.id), (uses, claim));
            Err(approval::unkept(other))
        }
    }
}

/// A store that went away may have written what it did not confirm. The call does not leave: whatever was taken for it is
/// given back.
fn in_doubt(
    gate: &Gate,
    call: CallId,
    approval: Option<ApprovalId>,
    (uses, claim): (&[Taken], Option<&KeyClaim>),
) {
    if let Some(approval) = approval {
        gate.unsettled.note(Became::YesUnused(approval, call));
    }
    if !uses.is_empty() {
        gate.unsettled.note(Became::RoomUnused(call));
    }
    if claim.is_some() {
        gate.unsettled.note(Became::KeyStands(call, None, None));
    }
}

/// What became of a leg that spent something: it is given back if nothing left, and settled when the deed is over.
/// What cannot be written now is written later.
pub(crate) async fn settle(gate: &Gate, live: &Live, spent: &Spent, end: End, answer: Option<Box<Noted>>) {
    let scope = live.settings.scope();
    let became = spent.approval.and_then(|approval| became(gate, live, spent, approval, end));
    if let Some(became) = became {
        unsettled::settle(gate, &scope, became).await;
    }
    if let Some((key, principal)) = spent.key.as_deref() {
        replay::settle(gate, live, principal, (key, spent.call), end, answer).await;
    }
    match end {
        End::NothingLeft if spent.budgets => {
            unsettled::settle(gate, &scope, Became::RoomUnused(spent.call)).await;
        }
        End::Over(_) if spent.budgets => gate.budgets.settle(spent.deed),
        End::NothingLeft | End::Over(_) | End::GoesOn(_) => {}
    }
}

/// What a leg's end means for the yes of its deed.
fn became(gate: &Gate, live: &Live, spent: &Spent, approval: ApprovalId, end: End) -> Option<Became> {
    let waits = |what| Became::Waits(approval, spent.deed, wait_until(gate, live, what));
    match end {
        End::NothingLeft => match spent.by {
            By::This => Some(Became::YesUnused(approval, spent.call)),
            // it cannot be repeated, and what was sent before is not known to have ended
            By::Earlier => Some(waits(GoesOn::Answers)),
            By::Before => None,
        },
        End::GoesOn(what) => what.map(waits),
        End::Over(settled) => Some(Became::Over(approval, settled)),
    }
}

/// So long a deed waits for its next message: as a parked exchange does for a client's answers, and for a task a week.
fn wait_until(gate: &Gate, live: &Live, what: GoesOn) -> Timestamp {
    let patience = match what {
        GoesOn::Answers => live.settings.limits.question_timeout.saturating_add(LATE),
        GoesOn::Task => TASK_MAX,
    };
    Timestamp(gate.clock.now().0.saturating_add(approval::micros(patience)))
}

/// How a leg ended, for what it spent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// What an earlier leg sent may still be on its way.
    NothingLeft,
    /// Another leg of the same deed follows; from a poll nothing new is known of that.
    GoesOn(Option<GoesOn>),
    Over(Settled),
}

impl End {
    pub(crate) fn of(leg: &Leg, outcome: &Result<(), Refusal>) -> Self {
        if !leg.dispatched {
            return Self::NothingLeft;
        }
        match outcome {
            Err(_) if polls(leg) => Self::GoesOn(None),
            Ok(()) if leg.goes_on.is_some() => Self::GoesOn(leg.goes_on.filter(|_| !polls(leg))),
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

fn polls(leg: &Leg) -> bool {
    leg.method.as_deref().is_some_and(|method| method.starts_with("tasks/"))
}

/// The server did answer, and the answer was withheld.
fn answered(code: Code) -> bool {
    matches!(code, Code::ResultTooLarge | Code::ResultInvalid | Code::BatchAnswersTooLarge)
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
