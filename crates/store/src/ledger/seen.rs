//! What the ledger itself understands of an entry: its kind, its call, its commitment. The whole of
//! [`decision::Entry`] is read only where it is handed on.

use decision::{CallId, Commitment, Slot};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Light<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    call: Option<CallId>,
    #[serde(default)]
    arguments: Option<Commitment>,
    #[serde(default)]
    outcome: Option<LightOutcome>,
}

#[derive(Deserialize)]
struct LightOutcome {
    #[serde(default)]
    result: Option<Commitment>,
}

/// An entry, as far as the ledger cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Intent { call: CallId, arguments: Option<Commitment> },
    Decision { call: CallId, result: Option<Commitment> },
    Event,
}

/// The part of a call that an entry is, as far as opening cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Intent(CallId),
    Decision(CallId),
    Event,
    /// This version does not understand it.
    Unreadable,
}

impl Part {
    /// The gateway writes kind and call in front, where they are found without taking a million entries apart.
    pub(super) fn of(entry: &[u8]) -> Self {
        if let Some(call) = call_behind(br#"{"kind":"intent","v":1,"call":""#, entry) {
            return Self::Intent(call);
        }
        if let Some(call) = call_behind(br#"{"kind":"decision","v":1,"call":""#, entry) {
            return Self::Decision(call);
        }
        match Seen::read(entry) {
            Some(Seen::Intent { call, .. }) => Self::Intent(call),
            Some(Seen::Decision { call, .. }) => Self::Decision(call),
            Some(Seen::Event) => Self::Event,
            None => Self::Unreadable,
        }
    }
}

/// The call whose id stands between `head` and the next quotation mark.
fn call_behind(head: &[u8], entry: &[u8]) -> Option<CallId> {
    let rest = entry.strip_prefix(head)?;
    let end = rest.iter().take(64).position(|byte| *byte == b'"')?;
    CallId::parse(std::str::from_utf8(rest.get(..end)?).ok()?)
}

impl Seen {
    /// `None` for what this version does not understand.
    pub(super) fn read(entry: &[u8]) -> Option<Self> {
        let light: Light<'_> = serde_json::from_slice(entry).ok()?;
        match light.kind.as_ref() {
            "intent" => Some(Self::Intent { call: light.call?, arguments: light.arguments }),
            "decision" => Some(Self::Decision {
                call: light.call?,
                result: light.outcome.and_then(|outcome| outcome.result),
            }),
            "event" => Some(Self::Event),
            _ => None,
        }
    }

    /// What the value in `slot` must open, if the entry commits to one.
    pub(super) fn commitment(&self, slot: Slot) -> Option<Commitment> {
        match (self, slot) {
            (Self::Intent { arguments, .. }, Slot::Arguments) => *arguments,
            (Self::Decision { result, .. }, Slot::Result) => *result,
            (Self::Intent { .. }, Slot::Result)
            | (Self::Decision { .. }, Slot::Arguments)
            | (Self::Event, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::Timestamp;

    #[test]
    fn what_stands_in_front_is_what_taking_it_apart_finds() {
        let call = CallId::new(Timestamp(1_000_000), [7; 10]);
        let written = format!(r#"{{"kind":"intent","v":1,"call":"{call}","deed":"d"}}"#);
        assert_eq!(Part::of(written.as_bytes()), Part::Intent(call));
        let turned = format!(r#"{{"call":"{call}","kind":"intent"}}"#);
        assert_eq!(Part::of(turned.as_bytes()), Part::Intent(call));
        let closed = format!(r#"{{"kind":"decision","v":1,"call":"{call}","deed":"d"}}"#);
        assert_eq!(Part::of(closed.as_bytes()), Part::Decision(call));
        let later = format!(r#"{{"kind":"decision","v":2,"call":"{call}"}}"#);
        assert_eq!(Part::of(later.as_bytes()), Part::Decision(call));
        for none in
            [r#"{"kind":"intent","v":1,"call":"call_x"}"#, r#"{"kind":"intent","v":1,"call":""#, "{}", ""]
        {
            assert_eq!(Part::of(none.as_bytes()), Part::Unreadable, "{none}");
        }
    }
}
