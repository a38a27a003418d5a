//! What of the product's events a decision is.

use decision::{Class, Ending, EventName, Refusal};

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
