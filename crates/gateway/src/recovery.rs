//! What a stop left on its way, found again from the record: what never left is given back, the rest is settled as its
//! decision says.

use crate::commit;
use crate::gate::Gate;
use crate::replay;
use decision::approval::{Approval, Settled};
use decision::{CallId, Decision, Ending, Entry, EventName};
use std::sync::Arc;
use store::ledger::{Ledger, LedgerError, OpenIntent, Record};
use store::{DeskError, Scope, StoreError};

/// Whether the last stop left nothing on its way.
pub async fn is_settled(gate: &Gate) -> Result<bool, DeskError> {
    let scope = gate.live().settings.scope();
    Ok(gate.desk.unsettled(&scope).await?.is_empty()
        && gate.store.unsettled_uses(&scope, gate.ledger.public_key().origin()).await?.is_empty()
        && gate.store.unsettled_keys(&scope, gate.ledger.public_key().origin()).await?.is_empty())
}

/// Lets go of questions that died with this gateway's last process: it held them for a client of the other era, and the
/// call under the key can be made anew. For once at the start, before a call is taken; returns how many there were.
pub async fn abandon_questions(gate: &Gate) -> Result<u64, StoreError> {
    gate.store.abandon_unheard(&gate.live().settings.scope(), gate.ledger.public_key().origin()).await
}

/// Settles what this gateway spent of approvals, budgets and keys before its last stop. For once at the start, when the index
/// has the whole ledger and before a call is taken; returns how many calls' that was.
pub async fn recover(gate: &Arc<Gate>) -> Result<usize, DeskError> {
    let scope = gate.live().settings.scope();
    let left = gate.desk.unsettled(&scope).await?;
    for Approval { id, call, .. } in &left {
        match became(gate, &scope, *call).await? {
            Some(end) => gate.desk.settle(&scope, *id, end).await?,
            None => gate.desk.give_back(&scope, *id, *call).await?,
        }
    }
    let took = gate.store.unsettled_uses(&scope, gate.ledger.public_key().origin()).await?;
    let mut kept = Vec::new();
    for (call, deed) in &took {
        match became(gate, &scope, *call).await? {
            Some(_) => kept.push(*deed),
            None => gate.store.give_back(&scope, *call).await?,
        }
    }
    gate.store.settle_deeds(&scope, &kept).await?;
    let keys = gate.store.unsettled_keys(&scope, gate.ledger.public_key().origin()).await?;
    for call in &keys {
        match became(gate, &scope, *call).await? {
            Some(end) => gate.store.settle_key(&scope, None, *call, replay::left(end), None).await?,
            None => gate.store.give_back_key(&scope, *call).await?,
        }
    }
    Ok(left.len() + took.len() + keys.len())
}

/// What the record says of a call; nothing of one that never left.
async fn became(gate: &Arc<Gate>, scope: &Scope, call: CallId) -> Result<Option<Settled>, DeskError> {
    let mut intended = None;
    for place in gate.store.call(scope, call).await? {
        if place.log != gate.ledger.public_key().origin() {
            continue;
        }
        match Entry::read(&gate.ledger.entry_of(call, place.index)?)? {
            Entry::Decision(decision) if decision.dispatched => {
                let is_error = decision.outcome.as_ref().is_some_and(|outcome| outcome.is_error);
                return Ok(Some(commit::settled(&decision.ending, is_error)));
            }
            Entry::Decision(_) => return Ok(None),
            Entry::Intent(_) => intended = Some(Settled::Unknown),
            Entry::Event(_) => {}
        }
    }
    Ok(intended)
}

/// Closes what a gateway that stopped left open: whether the upstream acted is not known, and the
/// record says so instead of forgetting it.
pub async fn close_open(
    ledger: &Ledger,
    clock: &dyn decision::Clock,
    open: &[OpenIntent],
) -> Result<(), LedgerError> {
    for one in open {
        let intent = &one.intent;
        let now = clock.now();
        let decision = Decision {
            v: 1,
            call: intent.call,
            deed: intent.deed,
            leg: intent.leg,
            tenant: intent.tenant.clone(),
            environment: intent.environment.clone(),
            interaction: intent.interaction.clone(),
            opened_at: intent.at,
            closed_at: now,
            ending: Ending::Unknown,
            evidence: Vec::new(),
            dispatched: true,
            outcome: None,
            shown: None,
            progress: 0,
            observed: false,
            policy: None,
            events: vec![EventName::CallRequested, EventName::CallFailed],
        };
        let Ok(record) = Record::new(Entry::Decision(Box::new(decision)), Vec::new()) else {
            continue;
        };
        ledger.append(vec![record]).await?;
    }
    Ok(())
}
