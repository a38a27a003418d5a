//! What the scan of definitions finds now and did not find before: an old peculiarity is no change.

use super::{Change, Item, Kind, Seen, Server};
use crate::listing::Offer;
use crate::scan::{self, Finding};
use decision::ItemKind;
use inspect::Severity;
use std::collections::BTreeMap;

/// Where findings belong: a server of a version, and of it a list and a place there; `None` is the server itself.
type Spot = (usize, Option<(ItemKind, usize)>);

/// The findings of one version, each with its place in what it was found in.
#[derive(Debug, Default)]
pub(super) struct Findings(BTreeMap<Spot, Vec<Finding>>);

const LISTS: [(&str, ItemKind); 4] = [
    ("tools", ItemKind::Tool),
    ("prompts", ItemKind::Prompt),
    ("resources", ItemKind::Resource),
    ("resourceTemplates", ItemKind::ResourceTemplate),
];

impl Findings {
    pub(super) fn of(servers: &[Server]) -> Self {
        let offers: Vec<Offer> = servers.iter().map(offer).collect();
        let scanned = scan::scan(&offers);
        let mut all = Self::default();
        for (i, tools) in scanned.tools.into_iter().enumerate() {
            for (j, found) in tools.into_iter().enumerate() {
                all.0.insert((i, Some((ItemKind::Tool, j))), found);
            }
        }
        for finding in scanned.across {
            if let Some((spot, place)) = spot(&finding.place) {
                all.0.entry(spot).or_default().push(Finding { place, ..finding });
            }
        }
        all
    }

    /// Those of one item, which is one of the server's.
    fn item(&self, servers: &[Server], server: &Server, item: &Item) -> &[Finding] {
        let i = servers.iter().position(|other| std::ptr::eq(other, server));
        let mut same = server.items.iter().filter(|other| other.kind == item.kind);
        let j = same.position(|other| std::ptr::eq(other, item));
        let found = i.zip(j).and_then(|(i, j)| self.0.get(&(i, Some((item.kind, j)))));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// Those of the server itself.
    fn server(&self, servers: &[Server], server: &Server) -> &[Finding] {
        let i = servers.iter().position(|other| std::ptr::eq(other, server));
        i.and_then(|i| self.0.get(&(i, None))).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Both versions, and what was found in them.
#[derive(Debug)]
pub(super) struct Both<'a> {
    old: (&'a [Server], Findings),
    new: (&'a [Server], Findings),
}

impl<'a> Both<'a> {
    pub(super) fn of(old: &'a [Server], new: &'a [Server]) -> Self {
        Self { old: (old, Findings::of(old)), new: (new, Findings::of(new)) }
    }

    pub(super) fn item(
        &self,
        label: &str,
        was: Option<(&Server, &Item)>,
        is: (&Server, &Item),
        seen: &mut Seen,
    ) {
        let before = was.map(|(server, item)| self.old.1.item(self.old.0, server, item)).unwrap_or_default();
        tell(label, before, self.new.1.item(self.new.0, is.0, is.1), seen);
    }

    pub(super) fn server(&self, label: &str, was: Option<&Server>, is: &Server, seen: &mut Seen) {
        let before = was.map(|server| self.old.1.server(self.old.0, server)).unwrap_or_default();
        tell(label, before, self.new.1.server(self.new.0, is), seen);
    }
}

fn tell(label: &str, before: &[Finding], after: &[Finding], seen: &mut Seen) {
    // of each detector the severest by place and by reason: a definition may have as many findings as texts
    let mut worst: BTreeMap<(&str, bool, &str), Severity> = BTreeMap::new();
    for old in before {
        for (by_place, what) in [(true, &old.place), (false, &old.because)] {
            let key = (old.detector.as_str(), by_place, what.as_str());
            let severity = worst.entry(key).or_insert(old.severity);
            *severity = old.severity.max(*severity);
        }
    }
    for finding in after {
        let known =
            [(true, &finding.place), (false, &finding.because)].into_iter().any(|(by_place, what)| {
                let old = worst.get(&(finding.detector.as_str(), by_place, what.as_str()));
                old.is_some_and(|severity| *severity >= finding.severity)
            });
        if !known {
            let (place, because) = (finding.place.clone(), said(finding));
            seen.changes.push(Change::new(label, place, Kind::FindingAdded, true, weight(finding), because));
        }
    }
}

fn said(finding: &Finding) -> String {
    format!("{}: {}", finding.detector.as_str(), finding.because)
}

impl Change {
    /// Whether it is that this was found, and was not found before.
    pub fn tells(&self, finding: &Finding) -> bool {
        self.kind == Kind::FindingAdded && self.place == finding.place && self.because == said(finding)
    }
}

/// By severity first, and among equals by confidence.
fn weight(finding: &Finding) -> f64 {
    let (least, more) = match finding.severity {
        Severity::Info => (0.02, 0.02),
        Severity::Low => (0.08, 0.1),
        Severity::Medium => (0.3, 0.2),
        Severity::High => (0.7, 0.2),
        Severity::Critical => (0.9, 0.1),
    };
    least + more * f64::from(finding.confidence)
}

fn offer(server: &Server) -> Offer {
    let list = |kind: ItemKind| {
        server.items.iter().filter(move |item| item.kind == kind).map(|item| item.value.clone()).collect()
    };
    Offer {
        server: server.name.clone(),
        identity: server.identity.clone(),
        instructions: server.instructions.clone(),
        tools: list(ItemKind::Tool),
        prompts: list(ItemKind::Prompt),
        resources: list(ItemKind::Resource),
        resource_templates: list(ItemKind::ResourceTemplate),
    }
}

/// Takes a place in the list of servers apart: `/SERVER/LIST/ITEM` and the place in it, or `/SERVER` and the place in that.
fn spot(place: &str) -> Option<(Spot, String)> {
    let mut parts = place.strip_prefix('/')?.splitn(4, '/');
    let server = parts.next()?.parse().ok()?;
    let rest = |parts: std::str::SplitN<'_, char>| parts.map(|part| format!("/{part}")).collect::<String>();
    let whole = parts.clone();
    let list = parts.next().and_then(|name| LISTS.iter().find(|(list, _)| *list == name));
    match (list, parts.next().and_then(|at| at.parse().ok())) {
        (Some((_, kind)), Some(at)) => Some(((server, Some((*kind, at))), rest(parts))),
        _ => Some(((server, None), rest(whole))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_among_servers_is_one_in_what_it_was_found_in() {
        let of = |place: &str| spot(place).unwrap();
        assert_eq!(of("/1/tools/20"), ((1, Some((ItemKind::Tool, 20))), String::new()));
        assert_eq!(
            of("/0/prompts/3/arguments/0/name"),
            ((0, Some((ItemKind::Prompt, 3))), "/arguments/0/name".to_owned())
        );
        assert_eq!(of("/0/instructions"), ((0, None), "/instructions".to_owned()));
        assert_eq!(of("/2/server"), ((2, None), "/server".to_owned()));
        assert_eq!(spot("tools"), None);
    }
}
