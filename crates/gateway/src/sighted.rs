//! What a server shows, made ready to be pinned: every item under its name, and what of it must not be accepted unseen.

mod differing;
mod judged;
mod told;

pub(crate) use differing::look_as_callers;
pub(crate) use judged::{AtHand, identity, poisoned};
pub(crate) use told::{add, known, reached, tell};

use crate::errands::Found;
use crate::gate::Withdrawn;
use bytes::Bytes;
use catalog::Definition;
use catalog::drift::Likeness;
use catalog::scan::Finding;
use decision::{Digest, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use store::{Apart, Change, How, Left, Pin, PinState, Scope, Seen, Store, StoreError, What};

/// The name of a server's instructions among its items.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// What was seen in what a server shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looked {
    pub(crate) poisoned: BTreeMap<Item, Finding>,
    /// What is worst in what it calls itself. No client is told that.
    pub(crate) identity: Option<Finding>,
    pub(crate) kept: BTreeSet<Item>,
    /// What is new and looks like something that was accepted under another name.
    pub(crate) renamed: BTreeMap<Item, Likeness>,
    /// What was something else than was accepted since somebody accepted it.
    pub(crate) left: BTreeMap<Item, Left>,
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
    for pin in pins.iter().filter(|pin| pin.state == PinState::Changed && pin.pending() && !pin.held()) {
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
    at_hand: &Looked,
) -> Result<Looked, StoreError> {
    let mut looked = at_hand.clone();
    if changes.iter().all(|change| change.what == What::Pinned) {
        return Ok(looked);
    }
    let pins = store.pins(scope, server).await?;
    let kept = still_served(store, scope, server, &pins).await?;
    looked.kept = kept.iter().map(|one| Item { kind: one.kind(), name: one.name().to_owned() }).collect();
    looked.left = pins.iter().filter_map(|pin| Some((pin.item.clone(), pin.left.clone()?))).collect();
    looked.renamed = store.renames(scope, server, &pins).await?;
    Ok(looked)
}

/// How what is shown differs from what was accepted, where it is not what was shown last.
pub(crate) async fn all_apart(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    items: &[Seen],
) -> Result<BTreeMap<Item, Apart>, StoreError> {
    let pins = store.pins(scope, server).await?;
    let known: BTreeMap<&Item, &Pin> = pins.iter().map(|pin| (&pin.item, pin)).collect();
    let mut all = BTreeMap::new();
    for seen in items {
        let Some(pin) = known.get(&seen.item).filter(|pin| pin.seen != seen.digest) else { continue };
        let Some(approved) = pin.approved.as_ref().map(|mark| mark.digest) else { continue };
        if approved != seen.digest
            && let Some(how) = apart(store, scope, server, pin, seen).await?
        {
            all.insert(seen.item.clone(), Apart { approved, shown: seen.digest, how });
        }
    }
    Ok(all)
}

/// How little this differs from what was accepted; `None` where it is not little.
async fn apart(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    pin: &Pin,
    seen: &Seen,
) -> Result<Option<How>, StoreError> {
    let Some(mark) = &pin.approved else { return Ok(None) };
    let Some(accepted) = store.definition(scope, &mark.digest).await? else { return Ok(None) };
    let drift = catalog::drift::between(server, seen.item.kind, &accepted, &seen.raw);
    Ok(drift.filter(catalog::drift::Drift::is_quiet).map(|drift| match drift.compatible() {
        true => How::Harmless,
        false => How::Mild,
    }))
}

/// What waits for somebody, and why it is not offered meanwhile.
pub(crate) fn withdrawn(pins: &[Pin]) -> BTreeMap<(ItemKind, String), Withdrawn> {
    let why = |pin: &Pin| match pin.state {
        PinState::New => Some(Withdrawn::New),
        PinState::Changed => Some(Withdrawn::Changed),
        PinState::Returned => Some(Withdrawn::Returned),
        PinState::Approved | PinState::Gone => None,
    };
    pins.iter().filter_map(|pin| Some(((pin.item.kind, pin.item.name.clone()), why(pin)?))).collect()
}
