//! What is to be said of what a server shows now, for whoever decides about it.

use crate::{cli::Given, place::Place, say::printable};
use catalog::{
    drift::{Likeness, Original},
    scan::{Finding, scan_items},
};
use decision::{Item, ServerName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{Pin, Store};

/// What the scan sees, and which new items are old ones under another name.
pub(super) struct Shown {
    findings: BTreeMap<Item, Vec<Finding>>,
    renamed: BTreeMap<Item, Likeness>,
}

impl Shown {
    pub(super) async fn of(
        store: &Store,
        place: &Place,
        server: &ServerName,
        pins: &[Pin],
    ) -> anyhow::Result<Self> {
        let scope = place.scope();
        let mut shown = Vec::new();
        for pin in pins {
            shown.push((&pin.item, store.definition(&scope, &pin.seen).await?.unwrap_or_default()));
        }
        let others = store.offered_beside(&scope, server).await?;
        let findings = scan_items(server, shown.iter().map(|(item, raw)| (*item, raw.as_ref())), others);
        Ok(Self { findings, renamed: store.renames(&scope, server, pins).await? })
    }

    pub(super) fn findings(&self, item: &Item) -> &[Finding] {
        self.findings.get(item).map(Vec::as_slice).unwrap_or_default()
    }

    /// For programs: what the item looks like, if it is new and looks like something.
    pub(super) fn likeness(&self, item: &Item) -> Option<Value> {
        let like = self.renamed.get(item)?;
        let gone = like.original == Original::Gone;
        Some(json!({ "name": like.name, "gone": gone, "because": like.because() }))
    }

    /// For people, a line each.
    pub(super) fn tell(&self, item: &Item, given: &Given) {
        if let Some(like) = self.renamed.get(item) {
            given.say.line(given.say.paint(33, &printable(&like.because())));
        }
        for finding in self.findings(item) {
            let (severity, place) = (finding.severity.as_str(), printable(&finding.place));
            let said = format!(
                "{severity} {} at {place}: {}",
                finding.detector.as_str(),
                printable(&finding.because)
            );
            given.say.line(if finding.severity.flags() { given.say.paint(31, &said) } else { said });
        }
    }
}
