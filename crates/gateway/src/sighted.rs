//! What a server shows, made ready to be pinned: every item under its name, and what of it must not be accepted unseen.

use crate::errands::Found;
use crate::gate::Live;
use bytes::Bytes;
use catalog::listing::Offer;
use catalog::scan::{self, Finding};
use catalog::{Definition, ServerEntry};
use decision::{Digest, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Seen;

/// The name of a server's instructions among its items.
pub(crate) const INSTRUCTIONS: &str = "instructions";

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
    let others = live.catalogue.servers().filter(|(name, _)| *name != server);
    let items = items.iter().map(|seen| (&seen.item, seen.raw.as_ref()));
    let seen = scan::scan_items(server, items, others.map(|(name, entry)| accepted(name, entry)).collect());
    let worst = |all: Vec<Finding>| all.into_iter().filter(Finding::is_poison).max_by_key(|one| one.severity);
    seen.into_iter().filter_map(|(item, all)| Some((item, worst(all)?))).collect()
}

/// What another server's accepted tools are: only these can be shadowed.
fn accepted(server: &ServerName, entry: &ServerEntry) -> Offer {
    let tools = entry.of_kind(ItemKind::Tool).filter(|item| item.drafting.is_none());
    let value = |item: &catalog::Item| serde_json::from_slice(Arc::as_ref(&item.definition).raw()).ok();
    Offer { server: Some(server.to_string()), tools: tools.filter_map(value).collect(), ..Offer::default() }
}
