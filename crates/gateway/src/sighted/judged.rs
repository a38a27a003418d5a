//! Whether what nobody has accepted yet is poisoned, by itself or beside what other servers offer.

use crate::errands::Found;
use crate::gate::Live;
use crate::sighted::INSTRUCTIONS;
use catalog::listing::Offer;
use catalog::scan::{self, Alike, Finding};
use decision::{Item, ItemKind, ServerName};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{PinState, Scope, Seen, Store, StoreError};

/// What servers show that are being looked at. At a start all are looked at together, and no snapshot has any of them: of
/// two that would be taken for one another, the one that came second must see the first.
#[derive(Debug, Default)]
pub(crate) struct AtHand(Mutex<BTreeMap<ServerName, Vec<Seen>>>);

/// A server's place among those at hand, until it is given up.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    at_hand: &'a AtHand,
    server: ServerName,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.at_hand.0.lock().remove(&self.server);
    }
}

impl AtHand {
    /// What the others show, of which this server is one from now on.
    fn enter(&self, server: &ServerName, items: Vec<Seen>) -> (Place<'_>, BTreeMap<ServerName, Vec<Seen>>) {
        let mut all = self.0.lock();
        let mut others = all.clone();
        others.remove(server);
        all.insert(server.clone(), items);
        (Place { at_hand: self, server: server.clone() }, others)
    }
}

/// Of what nobody has accepted yet: the items that are poisoned, and why. At first sight they wait for a person, as what
/// comes or changes later does anyway; then the person is told. The place is to be held until a snapshot has what is
/// pinned.
pub(crate) fn poisoned<'a>(
    live: &Live,
    at_hand: &'a AtHand,
    server: &ServerName,
    items: &[Seen],
) -> (BTreeMap<Item, Finding>, Option<Place<'a>>) {
    let open: BTreeSet<&Item> =
        items.iter().filter(|seen| !is_accepted(live, server, seen)).map(|seen| &seen.item).collect();
    if open.is_empty() {
        return (BTreeMap::new(), None);
    }
    let own: Vec<Seen> = items.iter().filter(|seen| COMPARED.contains(&seen.item.kind)).cloned().collect();
    let tools = own.iter().filter(|seen| seen.item.kind == ItemKind::Tool);
    let alike = Alike::to(tools.map(|seen| seen.item.name.as_str()));
    let (place, others) = at_hand.enter(server, own);
    // also those that were never seen: they have a name
    let accepted = live.catalogue.servers().filter(|(name, _)| *name != server).map(|(name, entry)| {
        let all = COMPARED.into_iter().flat_map(|kind| entry.of_kind(kind));
        let all = all.filter(|item| item.drafting.is_none()).map(|item| &item.definition);
        offer(name, all.map(|one| (one.kind(), one.name(), one.raw().as_ref())).collect(), &alike)
    });
    let shown = others.iter().map(|(name, items)| {
        let all = items.iter().map(|seen| (seen.item.kind, seen.item.name.as_str(), seen.raw.as_ref()));
        offer(name, all.collect(), &alike)
    });
    let others = accepted.chain(shown).collect();
    let seen = scan::scan_items(server, items.iter().map(|seen| (&seen.item, seen.raw.as_ref())), others);
    let poisoned = seen.into_iter().filter(|(item, _)| open.contains(item));
    let mut poisoned: BTreeMap<Item, Finding> =
        poisoned.filter_map(|(item, all)| Some((item, worst(all)?))).collect();
    poisoned.extend(reserved(live, server, &open));
    (poisoned, Some(place))
}

/// Of what nobody decided on and the server does not show any more, what is poisoned: that is to be remembered. Of many the
/// first are looked at, since how many there are is up to the server.
pub(crate) async fn caught(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    items: &[Seen],
) -> Result<BTreeSet<Item>, StoreError> {
    let shown: BTreeSet<&Item> = items.iter().map(|seen| &seen.item).collect();
    let pins = store.pins(scope, server).await?.into_iter();
    let left =
        pins.filter(|pin| pin.state == PinState::New && pin.is_undecided() && !shown.contains(&pin.item));
    let mut all = Vec::new();
    for pin in left.take(LEFT_MAX) {
        all.extend(store.definition(scope, &pin.seen).await?.map(|raw| (pin.item, raw)));
    }
    let seen = scan::scan_items(server, all.iter().map(|(item, raw)| (item, raw.as_ref())), Vec::new());
    Ok(seen.into_iter().filter_map(|(item, all)| worst(all).map(|_| item)).collect())
}

/// What is called as the gateway's own drafts are.
fn reserved(live: &Live, server: &ServerName, open: &BTreeSet<&Item>) -> BTreeMap<Item, Finding> {
    let Some(entry) = live.catalogue.server(server) else { return BTreeMap::new() };
    let known = |tool: &str| entry.item(ItemKind::Tool, tool).is_some() || entry.is_absent(tool);
    scan::scan_reserved(&entry.declarations, open.iter().copied(), known)
}

/// What is worst in what a server calls itself, if that is poisoned.
pub(crate) fn identity(server: &ServerName, found: &Found, items: &[Seen]) -> Option<Finding> {
    let tools = items.iter().filter(|seen| seen.item.kind == ItemKind::Tool);
    let tools = tools.map(|seen| seen.item.name.as_str());
    worst(scan::scan_identity(server, found.info.as_ref()?, tools))
}

fn worst(all: Vec<Finding>) -> Option<Finding> {
    all.into_iter().filter(|one| one.severity.flags()).max_by_key(|one| one.severity)
}

/// Whether the snapshot serves it as it is shown.
fn is_accepted(live: &Live, server: &ServerName, seen: &Seen) -> bool {
    let Item { kind, name } = &seen.item;
    if *kind == ItemKind::Server && name == INSTRUCTIONS {
        let text = live.peers.get(server).and_then(|peer| peer.instructions.as_deref());
        return text.is_some_and(|text| wire::json::encode_string(text).as_bytes() == seen.raw);
    }
    live.catalogue.item(server, *kind, name).is_some_and(|item| item.definition.digest() == seen.digest)
}

/// So many items that a server does not show any more are looked at.
const LEFT_MAX: usize = 100;

/// What of one server is held beside what others have.
const COMPARED: [ItemKind; 3] = [ItemKind::Tool, ItemKind::Resource, ItemKind::ResourceTemplate];

/// What another server offers. Of one without a tool that might pass for one of these, names do, and of what has an address
/// that: there may be thousands.
fn offer(server: &ServerName, all: Vec<(ItemKind, &str, &[u8])>, alike: &Alike) -> Offer {
    let whole = all.iter().any(|(kind, name, _)| *kind == ItemKind::Tool && alike.is(name));
    let mut offer = Offer { server: Some(server.to_string()), ..Offer::default() };
    for (kind, name, raw) in all {
        match kind {
            ItemKind::Tool if whole => offer.tools.extend(serde_json::from_slice::<Value>(raw)),
            ItemKind::Tool => offer.tools.push(json!({ "name": name })),
            ItemKind::Resource => offer.resources.push(json!({ "uri": name })),
            ItemKind::ResourceTemplate => offer.resource_templates.push(json!({ "uriTemplate": name })),
            ItemKind::Prompt | ItemKind::Server | ItemKind::Question => {}
        }
    }
    offer
}
