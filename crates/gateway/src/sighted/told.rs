//! What a look at a server leaves in the record.

use super::Looked;
use crate::errands::Found;
use crate::gate::{Gate, Live};
use catalog::drift::Original;
use catalog::scan::Finding;
use decision::{Event, EventName, ServerName};
use std::collections::BTreeMap;
use store::{Change, FLAPS, Telling, What, Writer};

/// An event and what belongs to it.
type Told = (EventName, BTreeMap<String, String>);

/// That it was reached. What was pinned, and each item that is not what it was, the store leaves to be told.
pub(crate) fn reached(server: &ServerName, found: &Found, changes: &[Change], looked: &Looked) -> Vec<Told> {
    let detail = BTreeMap::from([
        ("revision".to_owned(), found.revision.to_string()),
        ("eras".to_owned(), format!("{:?}", found.eras).to_lowercase()),
        ("items".to_owned(), found.items.len().to_string()),
    ]);
    let mut connected = detail.clone();
    if let Some(finding) = &looked.identity {
        let Finding { detector, place, because, .. } = finding;
        connected.insert("poisoned".to_owned(), detector.as_str().to_owned());
        connected.insert("place".to_owned(), format!("/serverInfo{place}"));
        tracing::warn!(
            %server, detector = detector.as_str(), %place, %because,
            "what the server calls itself is poisoned; no client is told that"
        );
    }
    let pinned = changes.iter().filter(|change| change.what == What::Pinned).count();
    if pinned > 0 {
        tracing::info!(server = %server, items = pinned, "pinned at first sight");
    }
    vec![(EventName::ServerConnected, connected), (EventName::CapabilitiesDiscovered, detail)]
}

/// Tells what was left under a name, with what is known besides. Where that fails it stays to be told.
pub(crate) async fn tell(
    gate: &Gate,
    live: &Live,
    writer: Writer,
    add: impl Fn(&mut Event) + Send + Sync + 'static,
) {
    let scope = live.settings.scope();
    let told = gate.store.tell_with(&scope, gate.ledger(), Telling::Of(writer), add).await;
    if let Err(error) = told {
        tracing::error!(%error, "what a look found cannot be recorded yet");
    }
}

/// What is known of changed items beside what the store told of them.
pub(crate) fn known(
    server: &ServerName,
    changes: &[Change],
    looked: &Looked,
) -> BTreeMap<(String, String), BTreeMap<String, String>> {
    let (each, rest) = store::singly(changes, |item| looked.poisoned.contains_key(item));
    if !rest.is_empty() {
        tracing::warn!(server = %server, items = rest.len(), "definitions changed besides, which the record tells together");
    }
    let key = |one: &Change| (one.item.kind.as_str().to_owned(), one.item.name.clone());
    each.into_iter().map(|one| (key(one), change(server, one, looked))).collect()
}

/// Adds that to an event of such an item.
pub(crate) fn add(known: &BTreeMap<(String, String), BTreeMap<String, String>>, event: &mut Event) {
    let said = |key: &str| event.detail.get(key).cloned().unwrap_or_default();
    if let Some(more) = known.get(&(said("kind"), said("name"))) {
        event.detail.extend(more.clone());
    }
}

fn change(server: &ServerName, change: &Change, looked: &Looked) -> BTreeMap<String, String> {
    let mut detail = BTreeMap::new();
    tracing::warn!(server = %server, item = %change.item.name, change = ?change.what, "a definition changed");
    if looked.kept.contains(&change.item) {
        detail.insert("served".to_owned(), "as-accepted".to_owned());
    }
    if let Some(because) = looked.unpinned.get(&change.item) {
        detail.insert("unpinned".to_owned(), because.clone());
        tracing::warn!(server = %server, item = %change.item.name, %because, "an item cannot be pinned and is not offered");
    }
    if let Some(left) = looked.left.get(&change.item) {
        detail.insert("left".to_owned(), left.times.to_string());
        detail.insert("left-for".to_owned(), left.digest.to_string());
        if left.times >= FLAPS {
            tracing::warn!(
                server = %server, item = %change.item.name, times = left.times,
                "a definition goes to and fro between what was accepted and something else"
            );
        }
    }
    if let Some(finding) = looked.poisoned.get(&change.item) {
        let (detector, because) = (finding.detector.as_str(), &finding.because);
        detail.insert("poisoned".to_owned(), detector.to_owned());
        tracing::warn!(
            server = %server, item = %change.item.name, detector, %because,
            "poisoned: withheld until somebody approves it"
        );
    }
    if let Some(like) = looked.renamed.get(&change.item) {
        let key = match like.original {
            Original::Gone => "renamed-from",
            Original::Offered => "copy-of",
        };
        detail.insert(key.to_owned(), like.name.clone());
        tracing::warn!(server = %server, item = %change.item.name, because = like.because(), "a name is new");
    }
    detail
}
