//! What a stop left on its way, found again from the record: what never left is given back, the rest is settled as its
//! decision says.

use crate::commit;
use crate::gate::Gate;
use crate::kept::{self, Heard};
use crate::replay;
use decision::approval::{Approval, Settled};
use decision::{CallId, Decision, Ending, Entry, EventName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::ledger::{Ledger, LedgerError, OpenIntent, Record};
use store::{DeskError, StoreError};

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

/// Settles what this gateway spent of approvals, budgets and keys before its last stop. For once at the start, before a call
/// is taken; returns how many calls' that was. The record itself is read: an index can lack what left, and a yes that is
/// given back is good for another call.
pub async fn recover(gate: &Arc<Gate>) -> Result<usize, DeskError> {
    let scope = gate.live().settings.scope();
    let left = gate.desk.unsettled(&scope).await?;
    let took = gate.store.unsettled_uses(&scope, gate.ledger.public_key().origin()).await?;
    let keys = gate.store.unsettled_keys(&scope, gate.ledger.public_key().origin()).await?;
    let calls =
        left.iter().map(|one| one.call).chain(took.iter().map(|one| one.0)).chain(keys.iter().copied());
    let became = became(gate, calls.collect()).await?;
    let became = |call: &CallId| became.get(call).copied().flatten();
    for approval in &left {
        let Approval { id, call, .. } = approval;
        match became(call) {
            Some(end) => {
                gate.desk.settle(&scope, *id, end).await?;
                // the stop came before its answer could leave, and its asker is to hear of it
                kept::note(gate, approval, Heard::Lost).await?;
            }
            None => gate.desk.give_back(&scope, *id, *call).await?,
        }
    }
    let mut kept = Vec::new();
    for (call, deed) in &took {
        match became(call) {
            Some(_) => kept.push(*deed),
            None => gate.store.give_back(&scope, *call).await?,
        }
    }
    gate.store.settle_deeds(&scope, &kept).await?;
    for call in &keys {
        match became(call) {
            Some(end) => gate.store.settle_key(&scope, None, *call, replay::left(end), None).await?,
            None => gate.store.give_back_key(&scope, *call).await?,
        }
    }
    Ok(left.len() + took.len() + keys.len())
}

/// What the record says of calls; nothing of those that never left.
async fn became(
    gate: &Arc<Gate>,
    calls: BTreeSet<CallId>,
) -> Result<BTreeMap<CallId, Option<Settled>>, DeskError> {
    let reading = Arc::clone(gate);
    let read = tokio::task::spawn_blocking(move || reading.ledger.entries_of(&calls));
    let entries = read.await.unwrap_or(Err(LedgerError::Closed))?;
    let mut became = BTreeMap::new();
    for entry in entries {
        match entry {
            // the first decision is the call's
            Entry::Decision(one) if !matches!(became.get(&one.call), None | Some(Some(Settled::Unknown))) => {
            }
            Entry::Decision(one) if one.dispatched => {
                let is_error = one.outcome.as_ref().is_some_and(|outcome| outcome.is_error);
                became.insert(one.call, Some(commit::settled(&one.ending, is_error)));
            }
            Entry::Decision(one) => drop(became.insert(one.call, None)),
            Entry::Intent(intent) => drop(became.entry(intent.call).or_insert(Some(Settled::Unknown))),
            Entry::Event(_) => {}
        }
    }
    Ok(became)
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
