//! Legs of one deed: an `input_required` result and the retry that answers it (SEP-2322).
//!
//! A server's state goes to the client sealed, with the deed in it, and comes back as it was: it is bound to the
//! principal and the item, so that nobody goes on with what another began. Where a server gives none, the deed is
//! remembered here.

use crate::authenticate::Asker;
use crate::gate::Gate;
use crate::handles::{self, Bound};
use crate::record::Leg;
use crate::replay;
use crate::resolve::Resolved;
use bytes::Bytes;
use decision::{Code, DeedId, Digest, Era, Refusal};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Most open deeds remembered; the oldest is forgotten first, and its retry then counts as a new deed.
const OPEN_MAX: usize = 4_096;

/// Deeds that wait for their next leg.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_key: BTreeMap<Digest, (DeedId, u32, Option<Digest>)>,
    order: VecDeque<Digest>,
}

impl Deeds {
    /// Gives a retry the deed of the leg it continues.
    fn recall(&self, frame: &wire::Frame, resolved: &Resolved, asker: &Asker, leg: &mut Leg) {
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
        if let Some((deed, last, key)) = found {
            leg.deed = deed;
            leg.leg = last.saturating_add(1);
            leg.keyed.inherits = key;
        }
    }

    /// Remembers that this deed waits for another leg.
    fn await_leg(&self, resolved: &Resolved, asker: &Asker, state: Option<&[u8]>, leg: &Leg) {
        let key = key(resolved, asker, state);
        let mut open = self.open.lock();
        if open.by_key.insert(key, (leg.deed, leg.leg, replay::passed_on(leg))).is_none() {
            open.order.push_back(key);
        }
        if open.order.len() > OPEN_MAX
            && let Some(oldest) = open.order.pop_front()
        {
            open.by_key.remove(&oldest);
        }
    }
}

/// A request state that was ours to keep.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Where it stands in the client's message.
    pub(crate) at: Range<usize>,
    /// What the server itself said there, raw.
    pub(crate) state: Vec<u8>,
}

/// Gives a retry the deed of the leg it continues, and the server its own state back.
pub(crate) fn resume(
    gate: &Gate,
    frame: &wire::Frame,
    resolved: &Resolved,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Option<Held>, Refusal> {
    let at = frame.member(&["params", "requestState"]).filter(|_| is_held(resolved, asker));
    let Some(at) = at else {
        gate.deeds.recall(frame, resolved, asker, leg);
        return Ok(None);
    };
    let unknown = || {
        let because = "the request state was not given to this principal for this item";
        Refusal::new(Code::StateUnknown, because)
    };
    let handle = frame.string_at(&["params", "requestState"]).ok_or_else(unknown)?;
    let bound = Bound::to_item(handles::Kind::State, &asker.principal, &resolved.target);
    let inner = handles::open(gate, &bound, &handle).ok_or_else(unknown)?;
    let (deed, last, key, state) = read(&inner).ok_or_else(unknown)?;
    leg.deed = deed;
    leg.leg = last.saturating_add(1);
    leg.keyed.inherits = key;
    Ok(Some(Held { at, state: state.to_vec() }))
}

/// What the client is told of a result that waits for its answers: a server's state leaves sealed.
pub(crate) fn hold(
    gate: &Gate,
    resolved: &Resolved,
    asker: &Asker,
    leg: &Leg,
    frame: &wire::Frame,
    answer: Bytes,
) -> Result<Bytes, Refusal> {
    let state = frame.at(&["result", "requestState"]);
    let Some(state) = state.filter(|_| is_held(resolved, asker)) else {
        gate.deeds.await_leg(resolved, asker, state, leg);
        return Ok(answer);
    };
    if frame.string_at(&["result", "requestState"]).is_none() {
        return Err(Refusal::new(Code::UpstreamNonsense, "a request state that is not a string"));
    }
    let bound = Bound::to_item(handles::Kind::State, &asker.principal, &resolved.target);
    let key = replay::passed_on(leg).map(|key| format!("+{key}")).unwrap_or_default();
    let inner = [format!("{} {}{key} ", leg.deed, leg.leg).as_bytes(), state].concat();
    let sealed = wire::json::encode_string(&handles::seal(gate, &bound, &inner));
    handles::put(answer, &["result", "requestState"], sealed.into())
}

/// Across the eras the state is the gateway's own from the start.
fn is_held(resolved: &Resolved, asker: &Asker) -> bool {
    resolved.way.crossing.is_none() && asker.era() == Era::Modern && resolved.method.multi_round
}

/// The deed, its last leg, the key that it has and the server's own state.
fn read(inner: &[u8]) -> Option<(DeedId, u32, Option<Digest>, &[u8])> {
    let mut parts = inner.splitn(3, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let (deed, leg) = (DeedId::parse(text()?)?, text()?);
    let (leg, key) = match leg.split_once('+') {
        Some((leg, key)) => (leg, Some(Digest::parse(key)?)),
        None => (leg, None),
    };
    Some((deed, leg.parse().ok()?, key, parts.next()?))
}

/// One principal's deed on one item; the server's opaque state tells two of them apart.
fn key(resolved: &Resolved, asker: &Asker, state: Option<&[u8]>) -> Digest {
    let who = serde_json::to_vec(&asker.principal).unwrap_or_default();
    let what = serde_json::to_vec(&resolved.target).unwrap_or_default();
    Digest::of_parts(&[b"callgate/deed/v1\0", &who, b"\0", &what, b"\0", state.unwrap_or_default()])
}
