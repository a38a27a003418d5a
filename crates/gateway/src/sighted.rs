//! What a server shows, made ready to be pinned: every item under its name, and what of it must not be accepted unseen.

mod differing;
mod judged;
mod told;

pub(crate) use differing::look_as_callers;
pub(crate) use judged::{AtHand, caught, identity, poisoned};
pub(crate) use told::{add, known, reached, tell};

use crate::errands::Found;
use crate::gate::Withdrawn;
use bytes::Bytes;
use catalog::drift::Likeness;
use catalog::scan::Finding;
use catalog::{Definition, Unpinned};
use decision::{Digest, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use store::{Apart, Change, How, Left, Mark, Pin, PinState, Scope, Seen, Store, StoreError, What};

/// The name of a server's instructions among its items.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// What was seen in what a server shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looked {
    pub(crate) poisoned: BTreeMap<Item, Finding>,
    /// What is worst in what it calls itself. No client is told that.
    pub(crate) identity: Option<Finding>,
    pub(crate) kept: BTreeSet<Item>,
    /// What cannot be pinned, under the name that stands in for its own, and why.
    pub(crate) unpinned: BTreeMap<Item, String>,
    /// What is new and looks like something that was accepted under another name.
    pub(crate) renamed: BTreeMap<Item, Likeness>,
    /// What was something else than was accepted since somebody accepted it.
    pub(crate) left: BTreeMap<Item, Left>,
}

/// Everything under its name, as it came, or under one that stands in where there is none to pin it under, and why that is
/// so. Of two under one name the first counts, and the other is under one that stands in.
pub(crate) fn sighted(server: &ServerName, found: &Found) -> (Vec<Seen>, BTreeMap<Item, String>) {
    let (mut items, mut unpinned) = (Vec::new(), BTreeMap::new());
    let mut names: BTreeMap<Item, Digest> = BTreeMap::new();
    for (kind, raw) in &found.items {
        let seen = match Definition::new(server.clone(), *kind, raw.clone()) {
            Ok(definition) => {
                let item = Item { kind: *kind, name: definition.name().to_owned() };
                Seen { item, digest: definition.digest(), raw: raw.clone() }
            }
            Err(why) => {
                let Unpinned { item, digest, raw, because } = Unpinned::new(*kind, raw, &why);
                unpinned.insert(item.clone(), because);
                Seen { item, digest, raw }
            }
        };
        let Some(first) = names.get(&seen.item).copied() else {
            names.insert(seen.item.clone(), seen.digest);
            items.push(seen);
            continue;
        };
        let (item, other) = (&seen.item.name, seen.digest);
        tracing::warn!(%server, %item, counts = %first, left_out = %other, "listed twice; only the first counts");
        // the same twice says nothing else, and what cannot be pinned has its reason already
        if first == other || catalog::is_stand_in(item) {
            continue;
        }
        let twin = Unpinned::twin(&seen.item, raw, other);
        if names.insert(twin.item.clone(), twin.digest).is_none() {
            unpinned.insert(twin.item.clone(), twin.because);
            items.push(Seen { item: twin.item, digest: twin.digest, raw: twin.raw });
        }
    }
    if let Some(text) = &found.instructions {
        let raw = Bytes::from(wire::json::encode_string(text));
        let item = Item { kind: ItemKind::Server, name: INSTRUCTIONS.to_owned() };
        items.push(Seen { item, digest: Digest::of(&raw), raw });
    }
    (items, unpinned)
}

/// What is served as it was accepted although its server shows something else now, items and instructions: the difference
/// breaks no client, no rule found anything in it, and nobody has refused it.
pub async fn still_served(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    pins: &[Pin],
) -> Result<Vec<store::Definition>, StoreError> {
    let mut kept = Vec::new();
    for pin in pins.iter().filter(|pin| pin.state == PinState::Changed && pin.pending() && !pin.held()) {
        let Some(Mark { digest, .. }) = pin.approved else { continue };
        let (old, new) = (store.definition(scope, &digest).await?, store.definition(scope, &pin.seen).await?);
        let (Some(old), Some(new)) = (old, new) else { continue };
        let (server, kind, raw) = (server.clone(), pin.item.kind, old.clone());
        let drift = aside(move || catalog::drift::between(&server, kind, &old, &new)).await.flatten();
        if drift.is_some_and(|drift| drift.harmless()) {
            kept.push(store::Definition { item: pin.item.clone(), digest, raw });
        }
    }
    Ok(kept)
}

/// Compares where nobody waits for a thread: how long it takes is up to the server. `None` if it failed, which says nothing
/// for what was compared.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|e| tracing::error!(error = %e, "two definitions cannot be compared")).ok()
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
    looked.kept = kept.into_iter().map(|one| one.item).collect();
    looked.left = pins.iter().filter_map(|pin| Some((pin.item.clone(), pin.left.clone()?))).collect();
    looked.renamed = store.renames(scope, server, &pins).await?;
    Ok(looked)
}

/// What is shown beside what was accepted of it, where it is not what was shown last.
pub(crate) async fn changed(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    items: &[Seen],
) -> Result<BTreeMap<Item, (Digest, Digest)>, StoreError> {
    let pins = store.pins(scope, server).await?;
    let known: BTreeMap<&Item, &Pin> = pins.iter().map(|pin| (&pin.item, pin)).collect();
    let changed = items.iter().filter_map(|seen| {
        let pin = known.get(&seen.item).filter(|pin| pin.seen != seen.digest)?;
        let approved = pin.approved.as_ref()?.digest;
        (approved != seen.digest).then(|| (seen.item.clone(), (approved, seen.digest)))
    });
    Ok(changed.collect())
}

/// How each of them differs from what was accepted, where that can be said.
pub(crate) async fn all_apart(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    items: &[Seen],
    changed: &BTreeMap<Item, (Digest, Digest)>,
) -> Result<BTreeMap<Item, Apart>, StoreError> {
    let mut all = BTreeMap::new();
    for seen in items {
        let Some((approved, shown)) = changed.get(&seen.item).copied() else { continue };
        if let Some(how) = apart(store, scope, server, approved, seen).await? {
            all.insert(seen.item.clone(), Apart { approved, shown, how });
        }
    }
    Ok(all)
}

/// How this differs from what was accepted; `None` where that cannot be said.
async fn apart(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    approved: Digest,
    seen: &Seen,
) -> Result<Option<How>, StoreError> {
    let Some(accepted) = store.definition(scope, &approved).await? else { return Ok(None) };
    let (server, kind, shown) = (server.clone(), seen.item.kind, seen.raw.clone());
    let drift = aside(move || catalog::drift::between(&server, kind, &accepted, &shown)).await.flatten();
    Ok(drift.map(|drift| match (drift.worst(), drift.compatible()) {
        (worst, _) if !drift.is_quiet() => How::Grave(worst),
        (_, true) => How::Harmless,
        (_, false) => How::Mild,
    }))
}

/// The same, where what is shown is poisoned besides: a difference that asks for eyes is as urgent as that.
pub(crate) fn as_bad_as(
    mut apart: BTreeMap<Item, Apart>,
    poisoned: &BTreeMap<Item, Finding>,
) -> BTreeMap<Item, Apart> {
    for (item, apart) in &mut apart {
        if let (How::Grave(worst), Some(finding)) = (&mut apart.how, poisoned.get(item)) {
            *worst = finding.severity.max(*worst);
        }
    }
    apart
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
