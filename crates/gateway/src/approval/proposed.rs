//! Asking people for their yes to a call that nobody was asked about yet.

use super::{Asked, Until, Yes, micros, unheard, unkept, waits};
use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::kept;
use crate::preview;
use crate::record::Leg;
use crate::resolve::Resolved;
use decision::approval::{Approval, Escalation, Terms};
use decision::{ApprovalId, Call, Era, Passed, Refusal, ServerName, Timestamp};
use policy::Held;
use std::time::Duration;

/// Proposes it, with the call itself where that is to leave without its client: both are kept, or neither.
pub(super) async fn propose(
    gate: &Gate,
    asked: &Asked<'_>,
    (arrival, call): (&Arrival, &Call),
    terms: Terms,
    leg: &mut Leg,
) -> Result<Passed<Yes>, Refusal> {
    let Asked { live, held, resolved, asker } = asked;
    let proposal = proposal(gate, live, call, resolved, held, terms, leg).await?;
    let session = asker.session.as_deref().filter(|_| asker.era() == Era::Legacy);
    let kept = |one: &Approval| kept::sealed(gate, arrival, &resolved.frame, session, one);
    let beside = if proposal.cure.executes { kept(&proposal) } else { None };
    let scope = live.settings.scope();
    let proposed = gate.desk.propose_with(&scope, proposal, beside.as_deref()).await.map_err(unkept)?;
    Err(waits(gate, asked, &proposed, (false, Until::Decided), leg))
}

async fn proposal(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    held: &Held,
    terms: Terms,
    leg: &Leg,
) -> Result<Approval, Refusal> {
    let settings = &live.settings.approvals;
    let now = gate.clock.now();
    let after = |time: Duration| Timestamp(now.0.saturating_add(micros(time)));
    let mut cure = held.cure.clone();
    for need in &mut cure.needs {
        let escalation = settings.escalations.get(&need.group);
        need.escalation = escalation.map(|(time, to)| Escalation { at: after(*time), to: to.clone() });
    }
    let ids = (ApprovalId::new(now, gate.random()), leg.deed, call.id());
    let before = unheard::before(gate, &live.settings.scope(), &terms.subject()).await?;
    Ok(Approval {
        preview: preview::of(gate, live, call, resolved, held, before).await?,
        forgets: !keeps_arguments(live, &call.target().server),
        ..Approval::proposed(ids, terms, cure, (now, after(settings.valid_for)))
    })
}

/// Whether the operator keeps the arguments of calls of this server.
fn keeps_arguments(live: &Live, server: &ServerName) -> bool {
    live.settings.servers.get(server).is_some_and(|server| server.keep_arguments)
}
