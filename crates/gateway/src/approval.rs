//! Have the right people said yes to exactly this. What nobody was asked yet is proposed to them, and the call waits
//! or comes again: it is found by who asks for what, and good only for what it was bound to.

use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::preview;
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::session::Session;
use bytes::Bytes;
use decision::approval::{Approval, Cure, Escalation, Need, Part, State, Terms};
use decision::{ApprovalId, Call, Code, Passed, Refusal, Timestamp};
use policy::Held;
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
}

/// A call that waits for people.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) approval: ApprovalId,
    /// Where it can be given up.
    pub(crate) session: Option<Arc<Session>>,
    /// The asker's progress token, raw.
    pub(crate) token: Option<Bytes>,
    /// For people: whose yes it waits for.
    pub(crate) whom: String,
}

/// Looks for people's yes to this very call, and asks for it where there is none.
pub(crate) async fn check(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    asker: &Asker,
    held: Option<Held>,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    let Some(held) = held else {
        return Ok(Passed::plain(Yes::NotNeeded));
    };
    let terms = Terms::of(call, live.policies.digest());
    let scope = live.settings.scope();
    let (store, now) = (gate.desk.store(), gate.clock.now());
    if leg.leg > 0
        && let Some(spent) = store.spent_approval(&scope, leg.deed).await.map_err(unkept)?
    {
        return match spent.approval.terms.changed(&terms) {
            None => Ok(Passed::new(Yes::Spent(spent.approval.id), basis(&spent.approval))),
            Some(part) => Err(void(&spent.approval, part)),
        };
    }
    let last = store.last_approval(&scope, &terms.subject()).await.map_err(unkept)?;
    let last = last.filter(|kept| now < kept.approval.expires_at);
    if let Some(kept) = last {
        let Approval { id, state, .. } = kept.approval;
        let changed = changed(&kept.approval, &terms, &held.cure);
        match (state, changed) {
            (State::Approved, None) => {
                let basis = basis(&kept.approval);
                return Ok(Passed::new(Yes::Given(Box::new(kept), terms), basis));
            }
            (State::Proposed, None) => return Err(waits(&kept.approval, &held, resolved, asker, leg)),
            (State::Denied, None) => return Err(denied(&kept.approval)),
            // nobody's yes to the old is a yes to the new
            (State::Proposed | State::Approved, Some(part)) => {
                leg.notes.push(format!("void:{id}:{part}"));
                gate.desk.void(&scope, id, part).await.map(drop).or_else(settled_meanwhile)?;
            }
            (_, _) => {}
        }
    }
    gate.desk.expire(&scope).await.map_err(unkept)?;
    let proposal = proposal(gate, live, call, resolved, &held, terms, leg).await;
    let proposed = gate.desk.propose(&scope, proposal, None).await.map_err(unkept)?;
    Err(waits(&proposed, &held, resolved, asker, leg))
}

/// The first thing an approval was given for and that is another one now.
fn changed(approval: &Approval, terms: &Terms, cure: &Cure) -> Option<Part> {
    approval.terms.changed(terms).or_else(|| (!wants(approval, cure)).then_some(Part::Needs))
}

/// Whether the rules want the same people as when it was proposed.
pub(crate) fn wants(approval: &Approval, cure: &Cure) -> bool {
    let needs = approval.cure.needs.iter().map(|need| Need { escalation: None, ..need.clone() });
    Cure { needs: needs.collect(), ..approval.cure.clone() } == *cure
}

async fn proposal(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    held: &Held,
    terms: Terms,
    leg: &Leg,
) -> Approval {
    let settings = &live.settings.approvals;
    let now = gate.clock.now();
    let after = |time: Duration| Timestamp(now.0.saturating_add(micros(time)));
    let mut cure = held.cure.clone();
    for need in &mut cure.needs {
        let escalation = settings.escalations.get(&need.group);
        need.escalation = escalation.map(|(time, to)| Escalation { at: after(*time), to: to.clone() });
    }
    Approval {
        id: ApprovalId::new(now, gate.random()),
        deed: leg.deed,
        call: call.id(),
        preview: preview::of(gate, live, call, resolved, held).await,
        terms,
        cure,
        proposed_at: now,
        expires_at: after(settings.valid_for),
        state: State::Proposed,
        votes: Vec::new(),
        log: None,
        ended: None,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn waits(approval: &Approval, held: &Held, resolved: &Resolved, asker: &Asker, leg: &mut Leg) -> Refusal {
    let token = resolved.frame.member(&["params", "_meta", "progressToken"]);
    leg.waits = Some(Waits {
        approval: approval.id,
        session: asker.session.clone(),
        token: token.map(|range| resolved.frame.share(range)),
        whom: approval.cure.to_string(),
    });
    let mut refusal = held.refusal();
    let whom = approval.cure.to_string();
    let id = approval.id;
    let ask = approval.cure.groups().map(ToString::to_string).collect();
    let help = format!(
        "{whom} was asked (`{id}`). Make exactly the same call again later: it is done once they have said yes, and not before"
    );
    refusal.basis.push(format!("approval:{id}"));
    refusal.remedy(help, ask)
}

fn denied(approval: &Approval) -> Refusal {
    let by = approval.denial();
    let who = by.map(|vote| vote.person.to_string()).unwrap_or_default();
    let why = by.and_then(|vote| vote.reason.clone()).unwrap_or_else(|| "no reason was given".to_owned());
    Refusal::new(Code::ApprovalDenied, format!("`{}` was denied by {who}: {why}", approval.id))
        .told(format!("the people who were asked said no: {why}"))
        .basis(basis(approval))
}

/// The yes there was is for something else.
pub(crate) fn void(approval: &Approval, part: Part) -> Refusal {
    let told = format!("the approval was given for something else: {part} changed");
    Refusal::new(Code::ApprovalVoid, format!("`{}`: {told}", approval.id))
        .told(told)
        .remedy("call again: people are asked about what it is now", vec![])
        .basis(basis(approval))
}

fn basis(approval: &Approval) -> Vec<String> {
    let people = approval.votes.iter().map(|vote| format!("by:{}", vote.person));
    std::iter::once(format!("approval:{}", approval.id)).chain(people).collect()
}

/// An approval that somebody else ended in the meantime is in nobody's way.
fn settled_meanwhile(error: DeskError) -> Result<(), Refusal> {
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
