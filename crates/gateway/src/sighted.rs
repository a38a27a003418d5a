//! What a server shows, made ready to be pinned: every item under its name, and what of it must not be accepted unseen.

use crate::errands::Found;
use crate::gate::{Live, Withdrawn};
use bytes::Bytes;
use catalog::listing::Offer;
use catalog::scan::{self, Alike, Finding};
use catalog::{Definition, ServerEntry};
use decision::{Digest, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use store::{Change, Pin, PinState, Scope, Seen, Store, StoreError, What};

/// The name of a server's instructions among its items.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// What was seen in what a server shows.
pub(crate) struct Looked {
    pub(crate) poisoned: BTreeMap<Item, Finding>,
    pub(crate) kept: BTreeSet<Item>,
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

/// Of a server of which nothing was accepted yet: the items that are poisoned, and why. They wait for a person, as what
/// changes later does anyway.
pub(crate) fn poisoned(live: &Live, server: &ServerName, items: &[Seen]) -> BTreeMap<Item, Finding> {
    if live.catalogue.server(server).is_some_and(|entry| !entry.is_empty()) {
        return BTreeMap::new();
    }
    let tools = items.iter().filter(|seen| seen.item.kind == ItemKind::Tool);
    let alike = Alike::to(tools.map(|seen| seen.item.name.as_str()));
    let others = live.catalogue.servers().filter(|(name, _)| *name != server);
    let others = others.map(|(name, entry)| accepted(name, entry, &alike)).collect();
    let items = items.iter().map(|seen| (&seen.item, seen.raw.as_ref()));
    let seen = scan::scan_items(server, items, others);
    let poison = |one: &Finding| one.severity.flags();
    let worst = |all: Vec<Finding>| all.into_iter().filter(poison).max_by_key(|one| one.severity);
    seen.into_iter().filter_map(|(item, all)| Some((item, worst(all)?))).collect()
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

/// Of what changed, what is served on as it was accepted.
pub(crate) async fn served_on(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    changes: &[Change],
) -> Result<BTreeSet<Item>, StoreError> {
    if !changes.iter().any(|change| change.what == What::Changed) {
        return Ok(BTreeSet::new());
    }
    let kept = still_served(store, scope, server, &store.pins(scope, server).await?).await?;
    Ok(kept.iter().map(|one| Item { kind: one.kind(), name: one.name().to_owned() }).collect())
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

/// What another server's accepted tools are: only these can be shadowed. Of servers without a tool that might be, names
/// do; there may be thousands.
fn accepted(server: &ServerName, entry: &ServerEntry, alike: &Alike) -> Offer {
    let tools = || entry.of_kind(ItemKind::Tool).filter(|item| item.drafting.is_none());
    let whole = tools().any(|item| alike.is(item.definition.name()));
    let value = |item: &catalog::Item| match whole {
        true => serde_json::from_slice(item.definition.raw()).ok(),
        false => Some(serde_json::json!({ "name": item.definition.name() })),
    };
    Offer { server: Some(server.to_string()), tools: tools().filter_map(value).collect(), ..Offer::default() }
}
