//! What a server shows, made ready to be pinned: every item under its name, and what of it must not be accepted unseen.

mod judged;
mod told;

pub(crate) use judged::{AtHand, poisoned};
pub(crate) use told::told;

use crate::errands::Found;
use crate::gate::Withdrawn;
use bytes::Bytes;
use catalog::Definition;
use catalog::drift::Likeness;
use catalog::scan::Finding;
use decision::{Digest, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use store::{Change, Pin, PinState, Scope, Seen, Store, StoreError, What};

/// The name of a server's instructions among its items.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// What was seen in what a server shows.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) poisoned: BTreeMap<Item, Finding>,
    pub(crate) kept: BTreeSet<Item>,
    /// What is new and looks like something that was accepted under another name.
    pub(crate) renamed: BTreeMap<Item, Likeness>,
}

/// Everything under its name, as it came. What has none, or has one twice, is left out and told.
pub(crate) fn sighted(server: &ServerName, found: &Found) -> Vec<Seen> {
    let mut items = Vec::new();
    let mut names = BTreeSet::new();
    for (kind, raw) in &found.items {
        match Definition::new(server.clone(), *kind, raw.clone()) {
            Ok(definition) => {
                let item = Item { kind: *kind, name: definition.name().to_owned() };
                if !names.insert(item.clone()) {
                    tracing::warn!(server = %server, item = %item.name, "listed twice; only the first counts");
                    continue;
                }
                items.push(Seen { item, digest: definition.digest(), raw: raw.clone() });
            }
            Err(e) => {
                tracing::warn!(server = %server, error = %e, "an item cannot be pinned and is not offered")
            }
        }
    }
    if let Some(text) = &found.instructions {
        let raw = Bytes::from(wire::json::encode_string(text));
        let item = Item { kind: ItemKind::Server, name: INSTRUCTIONS.to_owned() };
        items.push(Seen { item, digest: Digest::of(&raw), raw });
    }
    items
}

/// What is served as it was accepted although its server shows something else now: the difference breaks no client and is
/// harmless by all that is known, and nobody has refused it.
pub async fn still_served(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    pins: &[Pin],
) -> Result<Vec<Definition>, StoreError> {
    let mut kept = Vec::new();
    for pin in pins.iter().filter(|pin| pin.state == PinState::Changed && pin.pending()) {
        let Some(approved) = &pin.approved else { continue };
        let (old, new) =
            (store.definition(scope, &approved.digest).await?, store.definition(scope, &pin.seen).await?);
        let read = |raw: Option<Bytes>| Definition::new(server.clone(), pin.item.kind, raw?).ok();
        if let (Some(old), Some(new)) = (read(old), read(new))
            && catalog::drift::harmless(&old, &new)
        {
            kept.push(old);
        }
    }
    Ok(kept)
}

/// Of what changed, what is served on as it was accepted, and what is an old item under a new name.
pub(crate) async fn looked(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    changes: &[Change],
    poisoned: BTreeMap<Item, Finding>,
) -> Result<Looked, StoreError> {
    let any = |what| changes.iter().any(|change| change.what == what);
    let mut looked = Looked { poisoned, ..Looked::default() };
    if !any(What::Changed) && !any(What::New) {
        return Ok(looked);
    }
    let pins = store.pins(scope, server).await?;
    let kept = still_served(store, scope, server, &pins).await?;
    looked.kept = kept.iter().map(|one| Item { kind: one.kind(), name: one.name().to_owned() }).collect();
    looked.renamed = store.renames(scope, server, &pins).await?;
    Ok(looked)
}

/// What waits for somebody, and why it is not offered meanwhile.
pub(crate) fn withdrawn(pins: &[Pin]) -> BTreeMap<(ItemKind, String), Withdrawn> {
    let why = |pin: &Pin| match pin.state {
        PinState::New => Some(Withdrawn::New),
        PinState::Changed => Some(Withdrawn::Changed),
        PinState::Approved | PinState::Gone => None,
    };
    pins.iter().filter_map(|pin| Some(((pin.item.kind, pin.item.name.clone()), why(pin)?))).collect()
}
