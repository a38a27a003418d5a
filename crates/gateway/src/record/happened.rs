//! The product's events: which of them a decision is, and those that are entries of their own.

use super::short::{NAME_CHARS_MAX, cut};
use super::{record, unwritten};
use crate::gate::{Gate, Live};
use decision::{CallId, Class, Ending, Entry, Event, EventName, Refusal, ServerName, Timestamp};
use std::collections::BTreeMap;
use store::{Scope, ledger::Record};

pub(super) fn events(
    ending: &Ending,
    end: &Result<(), Refusal>,
    dispatched: bool,
    targeted: bool,
) -> Vec<EventName> {
    if !targeted {
        return Vec::new();
    }
    let denied =
        matches!(end, Err(no) if matches!(no.code.class(), Class::PolicyDenial | Class::ApprovalNeeded));
    let mut events = vec![EventName::CallRequested];
    match ending {
        Ending::Answered if dispatched => events.extend([EventName::CallApproved, EventName::CallExecuted]),
        Ending::Failed { .. } | Ending::Unknown => {
            events.extend([EventName::CallApproved, EventName::CallFailed])
        }
        Ending::Refused { .. } if denied => events.push(EventName::CallDenied),
        Ending::Cancelled if dispatched => events.extend([EventName::CallApproved, EventName::CallFailed]),
        Ending::Answered | Ending::Refused { .. } | Ending::Cancelled => {}
    }
    events
}

/// Writes an event beside the calls. Events are best effort for the caller only in that it may go on
/// without waiting; they are durable when this returns `Ok`.
pub(crate) async fn event(
    gate: &Gate,
    live: &Live,
    event: EventName,
    call: Option<CallId>,
    server: Option<&ServerName>,
    detail: BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let record = event_entry(&live.settings.scope(), gate.clock.now(), event, (call, server), detail)?;
    gate.ledger.append(vec![record]).await.map(drop).map_err(unwritten)
}

/// The entry of an event, before it is written.
pub(crate) fn event_entry(
    scope: &Scope,
    at: Timestamp,
    event: EventName,
    (call, server): (Option<CallId>, Option<&ServerName>),
    detail: BTreeMap<String, String>,
) -> Result<Record, Refusal> {
    let entry = Entry::Event(Event {
        v: 1,
        at,
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        event,
        call,
        server: server.cloned(),
        detail: detail.into_iter().map(|(key, value)| (key, cut(&value, NAME_CHARS_MAX))).collect(),
    });
    record(entry, Vec::new())
}
