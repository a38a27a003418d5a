//! What became of calls that had spent people's yes, taken of budgets or taken a key, where the store could not be told: it is told
//! later, before anybody asks for a yes and every minute or so. What a stop loses of it is found again from the record.

use crate::gate::Gate;
use crate::wishes::Wishes;
use decision::approval::Settled;
use decision::twin::Standing;
use decision::{ApprovalId, CallId, DeedId, Timestamp};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use store::{DeskError, Scope};

/// Most that is remembered; of more the youngest are left to the next start.
const UNSETTLED_MAX: usize = 4_096;

/// What became of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Became {
    /// It never left: the yes that was spent on it is to be had again.
    YesUnused(ApprovalId, CallId),
    /// The same of what it took of budgets.
    RoomUnused(CallId),
    /// The deed waits so long for its client's next message.
    Waits(ApprovalId, DeedId, Timestamp),
    Over(ApprovalId, Settled),
    /// The deed of a call with a key stands so; where nothing was done, its key is free.
    KeyStands(CallId, Option<Standing>),
}

impl Became {
    async fn write(self, gate: &Gate, scope: &Scope) -> Result<(), DeskError> {
        match self {
            Self::YesUnused(approval, call) => gate.desk.give_back(scope, approval, call).await,
            Self::RoomUnused(call) => Ok(gate.store.give_back(scope, call).await?),
            Self::Waits(approval, deed, until) => gate.desk.await_next(scope, approval, deed, until).await,
            Self::Over(approval, end) => gate.desk.settle(scope, approval, end).await,
            Self::KeyStands(call, None) => Ok(gate.store.give_back_key(scope, call).await?),
            Self::KeyStands(call, Some(standing)) => {
                Ok(gate.store.settle_key(scope, None, call, standing, None).await?)
            }
        }
    }
}

/// What the store is still to be told, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    left: Mutex<VecDeque<Became>>,
    /// Who asks for a yes waits for whoever is telling, and all who wait for one.
    telling: Wishes<()>,
}

impl Unsettled {
    /// Has the store told later.
    pub(crate) fn note(&self, became: Became) {
        let mut left = self.left.lock();
        if left.len() < UNSETTLED_MAX {
            left.push_back(became);
        }
    }
}

/// Tells the store what became of a call, or has it told later where it cannot be.
pub(crate) async fn settle(gate: &Gate, scope: &Scope, became: Became) {
    if let Err(error) = became.write(gate, scope).await {
        tracing::error!(%error, ?became, "what a call spent cannot be settled");
        if may_come_right(&error) {
            gate.unsettled.note(became);
        }
    }
}

/// Tells the store what it could not be told, as far as it can be now.
pub async fn settle_left(gate: &Gate) {
    if gate.unsettled.left.lock().is_empty() {
        return;
    }
    let told = async || {
        tell(gate).await;
        Ok::<_, Infallible>(())
    };
    let Ok(()) = gate.unsettled.telling.grant(told).await;
}

async fn tell(gate: &Gate) {
    let scope = gate.live().settings.scope();
    loop {
        let Some(became) = gate.unsettled.left.lock().pop_front() else { return };
        match became.write(gate, &scope).await {
            Ok(()) => tracing::info!(?became, "what a call spent is settled after all"),
            Err(error) if may_come_right(&error) => {
                tracing::warn!(%error, ?became, "what a call spent cannot be settled; trying again");
                // behind the others, which it is not to keep from their turn
                gate.unsettled.note(became);
                return;
            }
            // somebody else did, or what could not be told had not been written either
            Err(error) => tracing::debug!(%error, ?became, "there is nothing to settle"),
        }
    }
}

fn may_come_right(error: &DeskError) -> bool {
    match error {
        DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Raced => true,
        DeskError::Missing(_) | DeskError::Unfit(_) | DeskError::Entry(_) => false,
    }
}
