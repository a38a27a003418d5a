//! What a look at a server leaves in the record.

use super::Looked;
use crate::errands::Found;
use catalog::drift::Original;
use catalog::scan::Finding;
use decision::{EventName, ServerName};
use std::collections::BTreeMap;
use store::{Change, FLAPS, What};

/// An event and what belongs to it.
type Told = (EventName, BTreeMap<String, String>);

/// That it was reached, what was pinned, and each item that is not what it was.
pub(crate) fn told(server: &ServerName, found: &Found, changes: &[Change], looked: &Looked) -> Vec<Told> {
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
    let mut events =
        vec![(EventName::ServerConnected, connected), (EventName::CapabilitiesDiscovered, detail)];
    let pinned = changes.iter().filter(|change| change.what == What::Pinned).count();
    if pinned > 0 {
        let detail = BTreeMap::from([("items".to_owned(), pinned.to_string())]);
        events.push((EventName::DefinitionPinned, detail));
        tracing::info!(server = %server, items = pinned, "pinned at first sight");
    }
    let changed = changes.iter().filter(|change| change.what != What::Pinned);
    events.extend(changed.map(|one| (EventName::DefinitionChanged, change(server, one, looked))));
    events
}

fn change(server: &ServerName, change: &Change, looked: &Looked) -> BTreeMap<String, String> {
    let mut detail = change.detail();
    tracing::warn!(server = %server, item = %change.item.name, change = ?change.what, "a definition changed");
    if looked.kept.contains(&change.item) {
        detail.insert("served".to_owned(), "as-accepted".to_owned());
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
