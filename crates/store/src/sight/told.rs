//! What the record says of a look. How much that is must not be up to the server.

use super::{Change, What};
use crate::untold::Told;
use decision::{Digest, EventName, Item};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// So many changes of one look are told one by one.
const SINGLY: usize = 200;

/// The changes of one look that are told one by one, and those that are told together: what was accepted once and what was
/// caught at something come first.
pub fn singly(changes: &[Change], caught: impl Fn(&Item) -> bool) -> (Vec<&Change>, Vec<&Change>) {
    let mut all: Vec<&Change> = changes.iter().filter(|change| change.what != What::Pinned).collect();
    if all.len() <= SINGLY {
        return (all, Vec::new());
    }
    all.sort_by_key(|change| !(change.approved.is_some() || caught(&change.item)));
    let rest = all.split_off(SINGLY);
    (all, rest)
}

/// How many items were accepted at first sight, and what is not as it was.
pub(super) fn all(changes: &[Change], caught: impl Fn(&Item) -> bool) -> Vec<Told> {
    let pinned = changes.iter().filter(|change| change.what == What::Pinned).count();
    let detail = BTreeMap::from([("items".to_owned(), pinned.to_string())]);
    let pinned = (pinned > 0).then_some((EventName::DefinitionPinned, detail));
    let (each, rest) = singly(changes, caught);
    let each = each.into_iter().map(|one| (EventName::DefinitionChanged, one.detail()));
    let rest = (!rest.is_empty()).then(|| (EventName::DefinitionChanged, together(&rest)));
    pinned.into_iter().chain(each).chain(rest).collect()
}

/// How many of each kind of change, and the digest of all of them, a line each.
fn together(changes: &[&Change]) -> BTreeMap<String, String> {
    let (mut counts, mut text) = (BTreeMap::<&str, usize>::new(), String::new());
    for change in changes {
        let (Item { kind, name }, what) = (&change.item, change.what.as_str());
        *counts.entry(what).or_default() += 1;
        let _ = writeln!(text, "{} {} {name} {what} {}", kind.as_str(), name.len(), change.seen);
    }
    let counts = counts.into_iter().map(|(what, count)| (what.to_owned(), count.to_string()));
    let said = [
        ("change", "many".to_owned()),
        ("items", changes.len().to_string()),
        ("digest", Digest::of(text.as_bytes()).to_string()),
    ];
    counts.chain(said.map(|(key, value)| (key.to_owned(), value))).collect()
}
