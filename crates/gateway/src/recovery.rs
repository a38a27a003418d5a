//! What a stop left on its way, found again from the record: what never left is given back, the rest is settled as its
//! decision says.

use crate::commit;
use crate::gate::Gate;
use decision::approval::{Approval, Settled};
use decision::{CallId, Entry};
use std::sync::Arc;
use store::{DeskError, Scope};

/// Settles the approvals that this gateway spent before its last stop. For once at the start, when the index has the
/// whole ledger and before a call is taken; returns how many there were.
pub async fn recover(gate: &Arc<Gate>) -> Result<usize, DeskError> {
    let scope = gate.live().settings.scope();
    let left = gate.desk.unsettled(&scope).await?;
    for Approval { id, call, .. } in &left {
        match became(gate, &scope, *call).await? {
            Some(end) => gate.desk.settle(&scope, *id, end).await?,
            None => gate.desk.give_back(&scope, *id, *call).await?,
        }
    }
    Ok(left.len())
}

/// What the record says of a call; nothing of one that never left.
async fn became(gate: &Arc<Gate>, scope: &Scope, call: CallId) -> Result<Option<Settled>, DeskError> {
    let mut intended = None;
    for place in gate.store.call(scope, call).await? {
        if place.log != gate.ledger.public_key().origin() {
            continue;
        }
        for (_, bytes) in gate.ledger.read_entries(place.index, 1)? {
            match Entry::read(&bytes)? {
                Entry::Decision(decision) if decision.dispatched => {
                    let is_error = decision.outcome.as_ref().is_some_and(|outcome| outcome.is_error);
                    return Ok(Some(commit::settled(&decision.ending, is_error)));
                }
                Entry::Decision(_) => return Ok(None),
                Entry::Intent(_) => intended = Some(Settled::Unknown),
                Entry::Event(_) => {}
            }
        }
    }
    Ok(intended)
}
