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
