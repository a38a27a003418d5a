//! Hidden sessions: a modern client's with a legacy server, which nobody closes. There are so many at most, and where one more is
//! wanted, one that nobody uses gives way.

use super::super::fault::{Fault, FaultKind};
use super::super::held::{Key, Whose};
use super::{Pool, Slot};
use crate::settings::Limits;
use std::sync::Arc;
use std::time::Duration;

/// Of one principal at one server: one for each set of what its clients can be asked, as far as a principal has different
/// ones at work.
const EACH_MAX: usize = 4;

/// Bounds on hidden sessions.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct HiddenBounds {
    /// One that nobody used for so long is given up.
    pub(in crate::upstream) idle: Duration,
    /// How many there may be.
    pub(in crate::upstream) max: usize,
}

impl HiddenBounds {
    pub(super) fn of(limits: &Limits) -> Self {
        Self { idle: limits.session_idle, max: limits.sessions_max }
    }
}

/// For how long nobody has used it. `None` where somebody does: a call, a stream, or whoever was just given it.
fn unused(slot: &Slot) -> Option<Duration> {
    let place = slot.try_lock().ok()?;
    let held = place.as_ref().filter(|held| Arc::strong_count(held) == 1)?;
    Some(held.idle()).filter(|idle| !idle.is_zero())
}

impl Pool {
    /// Has one that nobody uses give way to a hidden session over the bounds: the longest unused of the same principal, or of
    /// anybody where the bound is everybody's. Errors: `Busy` where all are in use.
    pub(super) async fn make_room(&self, key: &Key) -> Result<(), Fault> {
        let Whose::Hidden { principal, .. } = &key.whose else { return Ok(()) };
        let max = self.shared.rest.load().hidden.max;
        let victim = {
            let mut open = self.shared.slots.lock();
            if open.contains_key(key) {
                return Ok(());
            }
            let hidden = open.iter().filter(|(other, _)| matches!(other.whose, Whose::Hidden { .. }));
            let all = hidden.clone().count();
            let is_own = |other: &Key| other.whose.is_of(principal);
            let is_own_here = |other: &Key| is_own(other) && other.server == key.server;
            let here = hidden.clone().filter(|(other, _)| is_own_here(other)).count();
            if here < EACH_MAX && all < max {
                return Ok(());
            }
            let only_here = here >= EACH_MAX;
            let may_go = hidden.filter(|(other, _)| !only_here || is_own_here(other));
            let unused =
                may_go.filter_map(|(other, slot)| Some((is_own(other), unused(slot)?, other.clone())));
            let victim = unused.max_by_key(|(own, idle, _)| (*own, *idle)).map(|(.., victim)| victim);
            // taken out under both locks: nobody is given it meanwhile
            victim.and_then(|victim| {
                let held = open.get(&victim)?.try_lock().ok()?.take();
                open.remove(&victim);
                held
            })
        };
        match victim {
            Some(victim) => {
                tracing::debug!("a hidden session that nobody used gives way to another");
                victim.connection.close().await;
                Ok(())
            }
            None => Err(Fault::unsent(
                FaultKind::Busy,
                format!(
                    "as many hidden sessions are in use as may be: {EACH_MAX} of one principal at one server, {max} in all (`max-sessions`)"
                ),
            )),
        }
    }
}
