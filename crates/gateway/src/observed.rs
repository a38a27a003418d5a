//! Reads that were seen to do more: what an answer says that its call did is held against whoever says that the tool only
//! reads.

use crate::gate::{Gate, Live};
use crate::record::{self, Leg};
use crate::resolve::Resolved;
use catalog::Effect;
use catalog::observed::{Did, How, Observation, Seen, in_result};
use decision::{Call, EventName, ItemKind, ServerName};
use std::collections::BTreeMap;

/// What one call was seen to do.
#[derive(Debug)]
pub(crate) struct Saw {
    server: ServerName,
    tool: String,
    observation: Observation,
}

/// Looks at the answer of a tool that is taken for a read. Others cost nothing.
pub(crate) fn note(gate: &Gate, live: &Live, call: &Call, resolved: &Resolved, result: &[u8], leg: &mut Leg) {
    let reads = resolved.item.as_ref().is_some_and(|item| item.classified.effect == Effect::Read);
    if !reads || resolved.target.item.kind != ItemKind::Tool {
        return;
    }
    let notice = leg.updated.then_some(Seen { did: Did::Changed, how: How::Notice });
    let Some(Seen { did, how }) = in_result(result).or(notice) else { return };
    let (server, tool) = (&resolved.target.server, &resolved.target.item.name);
    let known = live.catalogue.server(server).map(|entry| entry.observed(tool)).unwrap_or_default();
    if known.iter().all(|one| one.did != did) {
        let observation = Observation { did, how, call: call.id(), at: gate.clock.now() };
        leg.saw = Some(Saw { server: server.clone(), tool: tool.clone(), observation });
    }
}

/// Keeps it and tells it, the first time. Where the store cannot be written, the next call tells.
pub(crate) async fn keep(gate: &Gate, live: &Live, saw: &Saw) {
    let Saw { server, tool, observation } = saw;
    let Observation { did, how, call, .. } = observation;
    match gate.store.keep_observation(&live.settings.scope(), server, tool, observation).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(e) => {
            tracing::error!(server = %server, tool, error = %e, "what a tool was seen to do cannot be kept");
            return;
        }
    }
    let (did, because) = (did.as_str(), how.because());
    tracing::warn!(server = %server, tool, did, because, call = %call, "a tool that is said to read did more");
    let detail = [("kind", "tool"), ("name", tool), ("did", did), ("how", how.as_str())];
    let detail: BTreeMap<_, _> = detail.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let event = EventName::EffectObserved;
    if let Err(e) = record::event(gate, live, event, Some(*call), Some(server), detail).await {
        tracing::error!(error = %e.because, "an event cannot be recorded");
    }
}
