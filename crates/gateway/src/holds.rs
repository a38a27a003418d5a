//! Calls that are held open while people decide: for as long as their clients wait anyway, a bounded number at once. The
//! client that gives up has not asked for anything any more.

use crate::approval::{Until, Waits};
use crate::exchange::{Arrival, Reply};
use crate::gate::Gate;
use crate::kept;
use crate::places::Places;
use crate::rounds::Round;
use decision::approval::State;
use decision::{ApprovalId, DeedId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most calls that are held open at once, and never more than half as many as there may be connections: each has one, and
/// who waits for nobody must find one. More are told to come again.
const HELD_MAX: usize = 1_024;
/// So often a client that gave a token is told that it still waits.
const NOTICE: Duration = Duration::from_secs(5);

/// Places for calls that wait for people.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    places: Arc<Places>,
    /// How many wait for each approval.
    waited: Mutex<BTreeMap<ApprovalId, usize>>,
}

impl Holds {
    /// Whether a client is there that goes on by itself.
    pub(crate) fn is_waited_for(&self, id: ApprovalId) -> bool {
        self.waited.lock().contains_key(&id)
    }
}

/// One client that waits, until it does not.
struct Waiter<'a>(&'a Holds, ApprovalId);

impl<'a> Waiter<'a> {
    fn new(holds: &'a Holds, id: ApprovalId) -> Self {
        *holds.waited.lock().entry(id).or_default() += 1;
        Self(holds, id)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.waited.lock();
        let left = waited.get(&self.1).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => waited.remove(&self.1),
            left => waited.insert(self.1, left),
        };
    }
}

/// A call whose record is closed and that may go on when people have decided.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) waits: Waits,
    /// The asker's own id.
    pub(crate) id: Vec<u8>,
    pub(crate) deed: DeedId,
    pub(crate) leg: u32,
    /// What is answered where nobody decides in time.
    pub(crate) reply: Reply,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Somebody decided: the call walks the whole path again.
    GoesOn,
    /// It is told to come again, or nobody is there to be told.
    Stays,
}

impl Hold {
    /// The next leg of the same deed, with what the last one brought along.
    pub(crate) fn next(&self, last: Option<Round>) -> Round {
        Round::again(self.deed, self.leg, self.waits.approval, last)
    }
}

/// Waits for people, as long as the client does and the settings say, or until `taken_back` is over.
pub(crate) async fn wait(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    hold: &Hold,
    taken_back: impl Future<Output = ()>,
) -> Held {
    let live = gate.live();
    let patience = live.settings.approvals.hold_for;
    let most = HELD_MAX.min(live.settings.limits.connections_max.div_ceil(2));
    let Some(_place) = gate.holds.places.take(most) else { return Held::Stays };
    if patience.is_zero() || arrival.cancel.is_cancelled() || gate.is_draining() {
        return Held::Stays;
    }
    let session = hold.waits.session.as_ref();
    // the call is at no server, and can be given up all the same
    if let Some(session) = session
        && session.begin(&hold.id, arrival.cancel.clone(), arrival.outlet.clone()).is_err()
    {
        return Held::Stays;
    }
    let (scope, id) = (live.settings.scope(), hold.waits.approval);
    let _waiter = Waiter::new(&gate.holds, id);
    let decided = async {
        match hold.waits.until {
            Until::Decided => {
                let decided = gate.desk.decided(&scope, id, patience).await?;
                Ok(decided.is_some_and(|approval| approval.state != State::Proposed))
            }
            Until::Done => Ok(kept::until_done(gate, id, patience).await),
        }
    };
    let over = async {
        match session {
            Some(session) => session.ended.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let held = tokio::select! {
        // who gave up gave up, whatever was decided at that moment
        biased;
        () = arrival.cancel.cancelled() => Held::Stays,
        () = over => Held::Stays,
        () = gate.drained() => Held::Stays,
        () = taken_back => Held::GoesOn,
        decided = decided => match decided {
            Ok(true) => Held::GoesOn,
            Ok(false) => Held::Stays,
            Err::<_, store::DeskError>(error) => {
                tracing::error!(%error, "a decision cannot be waited for");
                Held::Stays
            }
        },
        () = notices(arrival, hold) => Held::Stays,
    };
    if let Some(session) = session {
        session.end(&hold.id);
    }
    held
}

/// Tells a client that gave a progress token that its call is alive, so that it goes on waiting. Never ends while the client is there.
async fn notices(arrival: &Arrival, hold: &Hold) {
    let Some(token) = &hold.waits.token else { return std::future::pending().await };
    let message = serde_json::json!(format!("waiting for approval by {}", hold.waits.whom)).to_string();
    for number in 1_u64.. {
        let rest = format!(r#","progress":{number},"message":{message}}}"#);
        let params = [br#"{"progressToken":"#.as_slice(), token, rest.as_bytes()].concat();
        let notice = wire::rpc::notification("notifications/progress", Some(&params));
        if arrival.outlet.send(notice).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(NOTICE).await;
    }
}
