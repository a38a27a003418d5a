//! Have the right people said yes to exactly this. What nobody was asked yet is proposed to them, and the call waits
//! or comes again: it is found by who asks for what, and good only for what it was bound to.

mod bound;
mod proposed;
mod refused;
mod unheard;

pub use bound::{still_bound, void_of};
use refused::voided;
pub(crate) use refused::{
    another, denied, ended, ended_now, lapsed, settled_meanwhile, spent, unkept, void, void_now,
};
pub(crate) use unheard::minute;

use crate::authenticate::Asker;
use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::kept;
use crate::reach::{self, Way};
use crate::record::Leg;
use crate::replay;
use crate::resolve::Resolved;
use crate::session::Session;
use crate::unsettled;
use bytes::Bytes;
use decision::approval::{Approval, Cure, Need, Part, State, Terms};
use decision::{ApprovalId, Call, Code, Era, Passed, Refusal, Timestamp};
use policy::Held;
use refused::{basis, cancelled};
use std::sync::Arc;
use std::time::Duration;
use store::{DeskError, Kept};

/// What the commit needs of the approvals a call has.
#[derive(Debug)]
pub(crate) enum Yes {
    /// No rule holds the call.
    NotNeeded,
    /// Given for this call and not spent.
    Given(Box<Kept>, Terms),
    /// Spent by an earlier leg of the same deed.
    Spent(ApprovalId),
    /// Used for this very call already, without its client: what came of it.
    Done(Bytes),
}

/// What a call is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Decided,
    /// It is on its way without its client.
    Done,
}

/// A call that waits for people.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) approval: ApprovalId,
    /// Where it can be given up.
    pub(crate) session: Option<Arc<Session>>,
    /// The asker's progress token, raw.
    pub(crate) token: Option<Bytes>,
    /// For people: whose yes it waits for, to what, and where they see it.
    pub(crate) whom: String,
    pub(crate) summary: String,
    pub(crate) url: Option<String>,
    /// Who takes it back, where the asker does.
    pub(crate) asker: String,
    /// Its client came back for it.
    pub(crate) again: bool,
    pub(crate) way: Way,
    pub(crate) until: Until,
    pub(crate) era: Era,
    /// As it was judged, for when it is sent without its client.
    pub(crate) message: wire::Frame,
    /// A rule lets it leave without its client.
    pub(crate) executes: bool,
    /// For programs.
    pub(crate) about: serde_json::Value,
}

/// Looks for people's yes to this very call, and asks for it where there is none.
pub(crate) async fn check(
    gate: &Gate,
    live: &Live,
    (arrival, call): (&Arrival, &Call),
    resolved: &Resolved,
    asker: &Asker,
    held: Option<Held>,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    if held.is_none() && leg.only.is_none() {
        return Ok(Passed::plain(Yes::NotNeeded));
    }
    // boxed: what few calls need would make the state of every path large
    Box::pin(look(gate, live, (arrival, call), resolved, asker, held, leg)).await
}

async fn look(
    gate: &Gate,
    live: &Live,
    (arrival, call): (&Arrival, &Call),
    resolved: &Resolved,
    asker: &Asker,
    held: Option<Held>,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    // a yes that was spent and never used is to be found again; what cannot be settled now counts as spent
    unsettled::settle_left(gate).await;
    let only = leg.only.clone();
    let terms = Terms::of(call, live.policies.digest());
    if let Some(only) = &only {
        only.fits(&terms)?;
        if only.declined {
            take_back(gate, live, call, only.approval).await?;
        }
    }
    let Some(held) = held else {
        return match only {
            Some(only) => Box::pin(unheld(gate, live, (resolved, asker), only.approval, terms, leg)).await,
            None => Ok(Passed::plain(Yes::NotNeeded)),
        };
    };
    let asked = Asked { live, held: &held, resolved, asker };
    if let Some(only) = only {
        return one(gate, &asked, only.approval, terms, leg).await;
    }
    let scope = live.settings.scope();
    let (store, now) = (gate.desk.store(), gate.clock.now());
    if leg.leg > 0
        && let Some(spent) = store.spent_approval(&scope, leg.deed).await.map_err(unkept)?
    {
        return next_leg(gate, &scope, &spent.approval, &terms, leg).await;
    }
    let last = store.last_approval(&scope, &terms.subject()).await.map_err(unkept)?;
    let last = last.filter(|kept| now < good_until(kept, live));
    if let Some(kept) = last {
        let Approval { id, state, .. } = kept.approval;
        // what came of a call under another key is no answer to this one
        if leg.keyed.claim.is_none() {
            if let Some(done) = over(gate, &asked, &kept.approval, false, leg).await? {
                return Ok(done);
            }
            unheard::tell(gate, &kept.approval).await?;
        }
        refused(gate, &scope, &terms, Some(&kept)).await?;
        match (state, changed_now(gate, &scope, &kept.approval, &terms, &held).await?) {
            (State::Approved, None) => return Ok(given(kept, terms)),
            (State::Proposed, None) => {
                return Err(waits(gate, &asked, &kept.approval, (false, Until::Decided), leg));
            }
            (State::Denied, None) => return Err(denied(&kept.approval)),
            // nobody's yes to the old is a yes to the new
            (State::Proposed | State::Approved, Some(part)) => {
                leg.notes.extend(voided(gate, id, part).await);
                gate.desk.void(&scope, id, part).await.map(drop).or_else(settled_meanwhile)?;
            }
            (_, _) => {}
        }
    } else {
        refused(gate, &scope, &terms, None).await?;
    }
    if let Some(overtaken) = replay::overtaken(gate, live, leg).await? {
        return Err(overtaken);
    }
    proposed::propose(gate, &asked, (arrival, call), terms, leg).await
}

/// One more message of a deed that its approval was spent on: each leaves once, whoever repeats what a server gave.
async fn next_leg(
    gate: &Gate,
    scope: &store::Scope,
    approval: &Approval,
    terms: &Terms,
    leg: &Leg,
) -> Result<Passed<Yes>, Refusal> {
    if let Some(part) = approval.terms.changed(terms) {
        return Err(void(approval, part));
    }
    let taken = gate.desk.next_leg(scope, approval.id, leg.deed, leg.leg).await;
    taken.map_err(|error| match error {
        DeskError::Unfit(_) => {
            let told = "this message of the call was sent already";
            Refusal::new(Code::ApprovalSpent, format!("`{}`: {told}", approval.id)).told(told)
        }
        DeskError::Missing(_)
        | DeskError::Raced
        | DeskError::Store(_)
        | DeskError::Ledger(_)
        | DeskError::Entry(_) => unkept(error),
    })?;
    Ok(Passed::new(Yes::Spent(approval.id), basis(approval)))
}

/// What a refusal that waits for people is made of.
struct Asked<'a> {
    live: &'a Live,
    held: &'a Held,
    resolved: &'a Resolved,
    asker: &'a Asker,
}

/// The one approval that the call came back for: what it cannot be used for now, no other is.
async fn one(
    gate: &Gate,
    asked: &Asked<'_>,
    id: ApprovalId,
    terms: Terms,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    let scope = asked.live.settings.scope();
    let kept = asked_for(gate, &scope, id, &terms).await?;
    let approval = &kept.approval;
    leg.about = Some(reach::about(asked.live, approval));
    let changed = changed_now(gate, &scope, approval, &terms, asked.held).await?;
    if approval.state.is_open() {
        refused(gate, &scope, &terms, Some(&kept)).await?;
    }
    match (approval.state, changed) {
        (State::Proposed | State::Approved | State::Expired, _)
            if gate.clock.now() >= approval.expires_at =>
        {
            Err(lapsed(approval))
        }
        (State::Approved, None) => Ok(given(kept, terms)),
        (State::Proposed, None) => Err(waits(gate, asked, approval, (true, Until::Decided), leg)),
        (State::Proposed | State::Approved, Some(part)) => {
            gate.desk.void(&scope, id, part).await.map(drop).or_else(settled_meanwhile)?;
            Err(void_now(gate, approval, part).await)
        }
        (State::Denied, _) => Err(denied(approval)),
        (State::Cancelled, _) => Err(ended_now(gate, approval).await),
        (State::Expired, _) => Err(lapsed(approval)),
        (State::Executing | State::Executed | State::Failed | State::Unknown, _) => {
            over(gate, asked, approval, true, leg).await?.ok_or_else(|| spent(approval))
        }
    }
}

/// The same of a call that no rule holds any more: its yes is used up all the same, or there would be one for a call that
/// nobody was asked about; and whoever is not there to ask again needs the yes, whatever the rules say by now.
async fn unheld(
    gate: &Gate,
    live: &Live,
    (resolved, asker): (&Resolved, &Asker),
    id: ApprovalId,
    terms: Terms,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    let scope = live.settings.scope();
    let kept = asked_for(gate, &scope, id, &terms).await?;
    let approval = &kept.approval;
    leg.about = Some(reach::about(live, approval));
    let is_late = gate.clock.now() >= approval.expires_at;
    match approval.state {
        State::Proposed | State::Approved | State::Expired if is_late => Err(lapsed(approval)),
        State::Expired => Err(lapsed(approval)),
        State::Approved => {
            let stands = gate.desk.stands(&scope, approval).await.map_err(unkept)?;
            match approval.terms.changed(&terms).or_else(|| (!stands).then_some(Part::Votes)) {
                None => Ok(given(kept, terms)),
                Some(part) => {
                    gate.desk.void(&scope, id, part).await.map(drop).or_else(settled_meanwhile)?;
                    Err(void_now(gate, approval, part).await)
                }
            }
        }
        // whoever came back goes on, and nobody is to decide what was done
        State::Proposed => {
            gate.desk.void(&scope, id, Part::Needs).await.map(drop).or_else(settled_meanwhile)?;
            leg.notes.push(format!("void:{id}:{}", Part::Needs));
            Ok(Passed::plain(Yes::NotNeeded))
        }
        State::Denied => Err(denied(approval)),
        State::Cancelled => Err(ended_now(gate, approval).await),
        State::Executing | State::Executed | State::Failed | State::Unknown => {
            let done = kept::done(gate, approval).await.map_err(unkept)?;
            let done = done.ok_or_else(|| spent(approval))?;
            told(gate, (resolved, asker), approval, &done).await
        }
    }
}

/// A no stands for its time: to the same by value, whatever name its Host claims and whatever became of rules and definitions.
/// Only a yes to exactly this, given after it, is newer.
async fn refused(
    gate: &Gate,
    scope: &store::Scope,
    terms: &Terms,
    yes: Option<&Kept>,
) -> Result<(), Refusal> {
    let now = gate.clock.now();
    let no = gate.desk.store().standing_no(scope, &terms.refusal(), now).await.map_err(unkept)?;
    let newer = |no: &Kept| {
        yes.is_some_and(|yes| yes.approval.state == State::Approved && yes.changed_at > no.changed_at)
    };
    no.filter(|no| !newer(no)).map_or(Ok(()), |no| Err(denied(&no.approval)))
}

/// What this principal asked for, for this call.
async fn asked_for(
    gate: &Gate,
    scope: &store::Scope,
    id: ApprovalId,
    terms: &Terms,
) -> Result<Kept, Refusal> {
    let kept = gate.desk.store().approval(scope, id).await.map_err(unkept)?;
    let kept = kept.filter(|kept| kept.approval.terms.subject() == terms.subject());
    kept.ok_or_else(|| {
        Refusal::new(Code::StateUnknown, format!("`{id}` was not asked for by this principal for this call"))
    })
}

/// A no ends with the approval's time; what was done is told for as long as an approval is good.
fn good_until(kept: &Kept, live: &Live) -> Timestamp {
    let told = kept.changed_at.0.saturating_add(micros(live.settings.approvals.valid_for));
    match kept.approval.state.is_over() {
        true => kept.approval.expires_at.max(Timestamp(told)),
        false => kept.approval.expires_at,
    }
}

/// What came of a call that was sent without its client. An agent that asks the same again has it once; one that names the
/// approval, as often as it wants.
async fn over(
    gate: &Gate,
    asked: &Asked<'_>,
    approval: &Approval,
    named: bool,
    leg: &mut Leg,
) -> Result<Option<Passed<Yes>>, Refusal> {
    if !approval.state.is_over() && approval.state != State::Executing {
        return Ok(None);
    }
    let done = kept::done(gate, approval).await.map_err(unkept)?;
    if let Some(done) = done.filter(|done| named || !done.is_taken()) {
        return told(gate, (asked.resolved, asked.asker), approval, &done).await.map(Some);
    }
    match kept::is_under_way(gate, approval) {
        true => Err(waits(gate, asked, approval, (true, Until::Done), leg)),
        false => Ok(None),
    }
}

async fn told(
    gate: &Gate,
    (resolved, asker): (&Resolved, &Asker),
    approval: &Approval,
    done: &kept::Done,
) -> Result<Passed<Yes>, Refusal> {
    let id = resolved.frame.id_raw().unwrap_or(b"0");
    let lost = || Refusal::new(Code::StageFailed, "what was kept is no answer");
    let answer = done.answer(id, asker.era()).ok_or_else(lost)?;
    kept::take(gate, approval, done).await.map_err(unkept)?;
    let mut basis = basis(approval);
    basis.push("done-before".to_owned());
    Ok(Passed::new(Yes::Done(answer), basis))
}

fn given(kept: Kept, terms: Terms) -> Passed<Yes> {
    let basis = basis(&kept.approval);
    Passed::new(Yes::Given(Box::new(kept), terms), basis)
}

/// The asker does not want it any more.
async fn take_back(gate: &Gate, live: &Live, call: &Call, id: ApprovalId) -> Result<(), Refusal> {
    let by = call.principal().describe();
    let reason = "the asker does not want to wait";
    let taken = gate.desk.revoke(&live.settings.scope(), id, &by, Some(reason)).await;
    match taken {
        Ok(approval) => Err(cancelled(&approval)),
        Err(error) => {
            settled_meanwhile(error)?;
            let because = format!("`{id}` is over already, and the asker does not want it");
            Err(Refusal::new(Code::ApprovalSpent, because)
                .told("it was decided or used before it was declined"))
        }
    }
}

/// The first thing an approval was given for and that is another one now.
fn changed(approval: &Approval, terms: &Terms, held: &Held) -> Option<Part> {
    approval.terms.changed(terms).or_else(|| (!wants(approval, held)).then_some(Part::Needs))
}

/// The same, and whether the people whose yes it is may still give it.
async fn changed_now(
    gate: &Gate,
    scope: &store::Scope,
    approval: &Approval,
    terms: &Terms,
    held: &Held,
) -> Result<Option<Part>, Refusal> {
    if let Some(part) = changed(approval, terms, held) {
        return Ok(Some(part));
    }
    let stands =
        approval.state != State::Approved || gate.desk.stands(scope, approval).await.map_err(unkept)?;
    Ok((!stands).then_some(Part::Votes))
}

/// Whether the rules want the same people as when it was proposed, and lift no budget that people were not told of.
pub(crate) fn wants(approval: &Approval, held: &Held) -> bool {
    let budgets = held.rules.iter().filter(|rule| rule.as_str().starts_with("budget:"));
    if budgets.into_iter().any(|rule| !approval.preview.rules.contains(rule)) {
        return false;
    }
    let needs = approval.cure.needs.iter().map(|need| Need { escalation: None, ..need.clone() });
    Cure { needs: needs.collect(), ..approval.cure.clone() } == held.cure
}

/// A time as the record counts it, in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn waits(
    gate: &Gate,
    asked: &Asked<'_>,
    approval: &Approval,
    (again, until): (bool, Until),
    leg: &mut Leg,
) -> Refusal {
    let Asked { live, held, resolved, asker } = asked;
    let token = resolved.frame.member(&["params", "_meta", "progressToken"]);
    let (id, whom) = (approval.id, approval.cure.to_string());
    let way = match until {
        Until::Decided => Way::of(gate, approval, resolved, asker, leg),
        Until::Done => Way::Wait,
    };
    let reached = format!("reached:{}", way.as_str());
    let url = reach::page(live, id);
    let about = reach::about(live, approval);
    leg.about = Some(about.clone());
    leg.waits = Some(Waits {
        approval: id,
        session: asker.session.clone(),
        token: token.map(|range| resolved.frame.share(range)),
        whom: whom.clone(),
        summary: approval.preview.summary.clone(),
        url: url.clone(),
        asker: asker.principal.describe(),
        again,
        way,
        until,
        era: asker.era(),
        message: resolved.frame.clone(),
        executes: approval.cure.executes,
        about,
    });
    let mut refusal = held.refusal();
    let ask = approval.cure.groups().map(ToString::to_string).collect();
    let at = url.map(|url| format!(", and can be given at {url}")).unwrap_or_default();
    let help = format!(
        "a yes of {whom} was asked for (`{id}`){at}. Make exactly the same call again later: it is done once they have said yes, and not before"
    );
    refusal.basis.extend([format!("approval:{id}"), reached]);
    refusal.remedy(help, ask)
}
