//! What callers are shown, beside what was accepted: one server must not show two faces.

use super::{apart, sighted, tell};
use crate::gate::{Gate, Live};
use crate::record;
use decision::{EventName, ServerName};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Apart, Differing, How, Pin, PinState, Seen, StoreError};

/// Looks at a server once more, in the name of each who called it since. What it shows them less is normal, and what it
/// shows them more nobody is offered; what it shows them otherwise is told, and withdrawn where that is not harmless.
pub(crate) async fn look_as_callers(gate: &Arc<Gate>, server: &ServerName) -> Result<(), StoreError> {
    let live = gate.live();
    for (user, guest) in gate.guests.take(server) {
        let by = guest.name(&live, server);
        let lack = match guest.look(gate, &live, server).await {
            Ok(Some(found)) => {
                // what came before it broke off is compared like all of it
                let lack = found.lack();
                compare(gate, &live, server, by.clone(), sighted(server, &found).0).await?;
                lack
            }
            Ok(None) => None,
            Err(fault) => Some(fault.to_string()),
        };
        if let Some(because) = lack {
            broke_off(gate, &live, server, &by, because).await;
            gate.guests.keep(server, user, guest);
        }
    }
    Ok(())
}

/// A server that lets nobody but the gateway see its lists is in the record: it may have a reason.
async fn broke_off(gate: &Arc<Gate>, live: &Live, server: &ServerName, by: &str, because: String) {
    tracing::warn!(%server, %by, because, "what callers are shown cannot be looked at");
    let detail = BTreeMap::from([("shown-to".to_owned(), by.to_owned()), ("broke-off".to_owned(), because)]);
    let event = EventName::CapabilitiesDiscovered;
    if let Err(e) = record::event(gate, live, event, None, Some(server), detail).await {
        tracing::error!(error = %e.because, "an event cannot be recorded");
    }
}

async fn compare(
    gate: &Arc<Gate>,
    live: &Live,
    server: &ServerName,
    by: String,
    shown: Vec<Seen>,
) -> Result<(), StoreError> {
    let scope = live.settings.scope();
    let pins = gate.store.pins(&scope, server).await?;
    let pins: BTreeMap<_, _> = pins.iter().map(|pin| (&pin.item, pin)).collect();
    let (mut grave, mut all_apart) = (Vec::new(), BTreeMap::new());
    for seen in shown {
        let Some(pin) = pins.get(&seen.item) else { continue };
        if !differs(pin, &seen) {
            continue;
        }
        let Some(approved) = pin.approved.as_ref().map(|mark| mark.digest) else { continue };
        let how = apart(&gate.store, &scope, server, approved, &seen).await?;
        // a list of one's own projects, or one's name in a text: nobody is served it
        if let None | Some(How::Grave(_)) = how {
            let apart = how.map(|how| Apart { approved, shown: seen.digest, how });
            all_apart.extend(apart.map(|apart| (seen.item.clone(), apart)));
            grave.push(seen);
        } else if gate.guests.tells(server, &seen.item, seen.digest) {
            tell_of(gate, live, server, &by, &seen).await;
        }
    }
    if grave.is_empty() {
        return Ok(());
    }
    let differing = Differing { server: server.clone(), items: grave, seen_by: by, apart: all_apart };
    let changes = gate.store.record_differing(&scope, &differing).await?;
    for change in &changes {
        warn(server, &differing.seen_by, &change.item.name, false);
    }
    if !changes.is_empty() {
        tell(gate, live, gate.store.writer().clone(), |_| ()).await;
    }
    Ok(())
}

/// Whether it is neither what was accepted nor what the gateway itself was shown.
fn differs(pin: &Pin, seen: &Seen) -> bool {
    let accepted = pin.approved.as_ref().map(|mark| mark.digest);
    matches!(pin.state, PinState::Approved | PinState::Changed | PinState::Returned)
        && accepted != Some(seen.digest)
        && pin.seen != seen.digest
}

/// It is served on as it was accepted: nothing is written down but this.
async fn tell_of(gate: &Arc<Gate>, live: &Live, server: &ServerName, by: &str, seen: &Seen) {
    let mut detail = store::shown_otherwise(&seen.item, &seen.digest, by);
    detail.insert("served".to_owned(), "as-accepted".to_owned());
    warn(server, by, &seen.item.name, true);
    if let Err(e) = record::event(gate, live, EventName::DefinitionChanged, None, Some(server), detail).await
    {
        tracing::error!(error = %e.because, "an event cannot be recorded");
    }
}

fn warn(server: &ServerName, by: &str, item: &str, harmless: bool) {
    tracing::warn!(%server, %item, %by, harmless, "a caller is shown another definition than the gateway");
}
