//! Legs of one deed: an `input_required` result and the retry that answers it (SEP-2322).

use crate::authenticate::Asker;
use crate::record::Leg;
use crate::resolve::Resolved;
use decision::{DeedId, Digest};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Most open deeds remembered; the oldest is forgotten first, and its retry then counts as a new deed.
const OPEN_MAX: usize = 4_096;

/// Deeds that wait for their next leg.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_key: BTreeMap<Digest, (DeedId, u32)>,
    order: VecDeque<Digest>,
}

impl Deeds {
    /// Gives a retry the deed of the leg it continues.
    pub(crate) fn recall(&self, frame: &wire::Frame, resolved: &Resolved, asker: &Asker, leg: &mut Leg) {
        let answers = frame.member(&["params", "inputResponses"]).is_some();
        let state = frame.at(&["params", "requestState"]);
        if !answers && state.is_none() {
            return;
        }
        let key = key(resolved, asker, state);
        let mut open = self.open.lock();
        let found = open.by_key.remove(&key);
        if found.is_some() {
            open.order.retain(|one| *one != key);
        }
        drop(open);
        if let Some((deed, last)) = found {
            leg.deed = deed;
            leg.leg = last.saturating_add(1);
        }
    }

    /// Remembers that this deed waits for another leg.
    pub(crate) fn await_leg(
        &self,
        resolved: &Resolved,
        asker: &Asker,
        state: Option<&[u8]>,
        deed: DeedId,
        leg: u32,
    ) {
        let key = key(resolved, asker, state);
        let mut open = self.open.lock();
        if open.by_key.insert(key, (deed, leg)).is_none() {
            open.order.push_back(key);
        }
        if open.order.len() > OPEN_MAX
            && let Some(oldest) = open.order.pop_front()
        {
            open.by_key.remove(&oldest);
        }
    }
}

/// One principal's deed on one item; the server's opaque state tells two of them apart.
fn key(resolved: &Resolved, asker: &Asker, state: Option<&[u8]>) -> Digest {
    let who = serde_json::to_vec(&asker.principal).unwrap_or_default();
    let what = serde_json::to_vec(&resolved.target).unwrap_or_default();
    Digest::of_parts(&[b"callgate/deed/v1\0", &who, b"\0", &what, b"\0", state.unwrap_or_default()])
}
