//! What groups the calls of a Host that has no session: its trace, else who it is and an idle gap.

use decision::{InteractionId, Principal, Timestamp};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

/// Most interactions remembered; the one idle for longest is forgotten first.
const OPEN_MAX: usize = 4_096;

/// The open interactions of Hosts without sessions, by whose they are.
#[derive(Debug, Default)]
pub(crate) struct Interactions {
    of: RandomState,
    open: Mutex<BTreeMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    principal: Arc<Principal>,
    host: Option<String>,
    id: InteractionId,
    used: Timestamp,
}

impl Interactions {
    /// The interaction a call belongs to: the one this principal and Host had within `idle_us`
    /// microseconds, else `fresh`.
    pub(crate) fn join(
        &self,
        principal: &Arc<Principal>,
        host: Option<&str>,
        now: Timestamp,
        idle_us: u64,
        fresh: &InteractionId,
    ) -> InteractionId {
        let key = self.of.hash_one((principal, host));
        let mut open = self.open.lock();
        if let Some(known) = open.get_mut(&key)
            && known.host.as_deref() == host
            && *known.principal == **principal
        {
            if now.since(known.used) > idle_us {
                known.id = fresh.clone();
            }
            known.used = now;
            return known.id.clone();
        }
        if open.len() >= OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, one)| one.used).map(|(key, _)| *key);
            oldest.map(|key| open.remove(&key));
        }
        let (principal, host) = (Arc::clone(principal), host.map(str::to_owned));
        open.insert(key, Open { principal, host, id: fresh.clone(), used: now });
        fresh.clone()
    }
}

/// The trace a message says it belongs to (W3C Trace Context, `_meta.traceparent`, SEP-414). A claim, like
/// every id a Host chooses.
pub(crate) fn trace(frame: &wire::Frame) -> Option<InteractionId> {
    let parent = frame.string_at(&["params", "_meta", "traceparent"])?;
    let mut parts = parent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let good = version.len() == 2 && trace.len() == 32 && hex(trace) && trace.bytes().any(|b| b != b'0');
    if good { InteractionId::new(format!("trace-{trace}")).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> InteractionId {
        InteractionId::new(text).unwrap()
    }

    #[test]
    fn calls_within_the_gap_belong_together_and_later_or_others_do_not() {
        let interactions = Interactions::default();
        let who = Arc::new(Principal::unknown());
        let join = |host, at, fresh| interactions.join(&who, host, Timestamp(at), 100, &id(fresh));
        assert_eq!(join(Some("a"), 0, "one"), id("one"));
        assert_eq!(join(Some("a"), 90, "two"), id("one"));
        assert_eq!(join(Some("b"), 91, "three"), id("three"), "another host");
        assert_eq!(join(Some("a"), 180, "four"), id("one"), "the gap counts from the last call");
        assert_eq!(join(Some("a"), 281, "five"), id("five"));
    }

    #[test]
    fn a_trace_counts_only_in_its_standard_form() {
        let message = |parent: &str| {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{{"traceparent":"{parent}"}}}}}}"#
            );
            trace(&wire::Frame::scan(text.into(), &wire::Limits::DEFAULT).unwrap())
        };
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(message(&format!("00-{trace}-00f067aa0ba902b7-01")), Some(id(&format!("trace-{trace}"))));
        for bad in ["", "00", "00-xyz-1-1", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert_eq!(message(bad), None, "{bad}");
        }
    }
}
