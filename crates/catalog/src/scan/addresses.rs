//! Addresses that two servers name: where both are offered at one door, only one of them can be meant.

use super::Finding;
use crate::listing::Offer;
use inspect::{Detector, Severity, Sighting};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// So much of an address is shown.
const SHOWN_CHARS: usize = 160;

/// What a server names: an address, or a template of many.
#[derive(Clone, Copy)]
enum Named<'a> {
    Address(&'a str),
    Template(&'a str),
}

impl<'a> Named<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Address(text) | Self::Template(text) => text,
        }
    }

    /// What all its addresses begin with. A template that says not even the scheme claims nothing.
    fn opening(self) -> Option<&'a str> {
        match self {
            Self::Address(text) => Some(text),
            Self::Template(text) => text.split('{').next().filter(|opening| opening.contains(':')),
        }
    }
}

/// What servers before this one name, and which of them.
#[derive(Default)]
struct Taken<'a> {
    whole: BTreeMap<&'a str, usize>,
    /// Templates by what their addresses begin with.
    openings: BTreeMap<&'a str, (usize, &'a str)>,
    lengths: BTreeSet<usize>,
}

impl<'a> Taken<'a> {
    fn take(&mut self, server: usize, named: Named<'a>) {
        self.whole.entry(named.text()).or_insert(server);
        if let (Named::Template(text), Some(opening)) = (named, named.opening()) {
            self.openings.entry(opening).or_insert((server, text));
            self.lengths.insert(opening.len());
        }
    }

    /// A template of which this may be one. That both begin alike is enough: what a template leaves open is not known here,
    /// and a person looks.
    fn reached(&self, named: Named<'_>) -> Option<(usize, &'a str)> {
        let opening = named.opening()?;
        let shorter = self.lengths.range(..=opening.len());
        let shorter = shorter.filter_map(|length| self.openings.get(opening.get(..*length)?)).next();
        let longer = || {
            let (_, taken) =
                self.openings.range(opening..).next().filter(|(one, _)| one.starts_with(opening))?;
            Some(taken)
        };
        match named {
            Named::Address(_) => shorter,
            Named::Template(_) => shorter.or_else(longer),
        }
        .copied()
    }
}

/// What it means that two servers which name one address are the same in nearly everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twinned {
    /// They are one server, entered twice: nobody is accused.
    Excused,
    /// Whoever copies an address can copy the rest, and at a door of both the address would be neither's.
    Copied,
}

/// Of servers that `counts` holds for: what they name that one before them does. `are_twins` says of two whether they are
/// the same in nearly everything.
pub(super) fn look(
    offers: &[Offer],
    are_twins: impl Fn(usize, usize) -> bool,
    twinned: Twinned,
    counts: impl Fn(usize) -> bool,
) -> Vec<Finding> {
    let (mut taken, mut found) = (Taken::default(), Vec::new());
    let name = |i: usize| offers.get(i).and_then(|offer| offer.server.as_deref()).unwrap_or_default();
    for (i, offer) in offers.iter().enumerate() {
        let all: Vec<(String, Named<'_>)> = named(i, offer).collect();
        for (place, named) in all.iter().filter(|_| counts(i)) {
            let same = taken.whole.get(named.text()).map(|other| (*other, named.text()));
            let Some((other, theirs)) = same.or_else(|| taken.reached(*named)) else { continue };
            if name(other) == name(i) && !name(i).is_empty() {
                continue;
            }
            let twins = are_twins(other, i);
            let (detector, severity) = match twins && twinned == Twinned::Excused {
                true => (Detector::NameCollision, Severity::Info),
                false => (Detector::Impersonation, Severity::High),
            };
            let whose = shown(name(other));
            let mut because = match same {
                Some(_) => format!("`{}` is an address of `{whose}` too", shown(theirs)),
                None => format!(
                    "`{}` reaches into the addresses of `{whose}`: it has `{}`",
                    shown(named.text()),
                    shown(theirs)
                ),
            };
            if twins && twinned == Twinned::Copied {
                because += "; the two offer the same tools: one server under two names, or one that copies the other";
            }
            found.push(Finding::at(place.clone(), Sighting::new(detector, severity, 0.7, because)));
        }
        all.into_iter().for_each(|(_, named)| taken.take(i, named));
    }
    found
}

fn named(i: usize, offer: &Offer) -> impl Iterator<Item = (String, Named<'_>)> {
    let text = |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).is_some();
    let resources = offer.resources.iter().enumerate().filter(move |(_, one)| text(one, "uri"));
    let templates =
        offer.resource_templates.iter().enumerate().filter(move |(_, one)| text(one, "uriTemplate"));
    let resources = resources.filter_map(move |(j, one)| {
        Some((format!("/{i}/resources/{j}"), Named::Address(one.get("uri")?.as_str()?)))
    });
    let templates = templates.filter_map(move |(j, one)| {
        Some((format!("/{i}/resourceTemplates/{j}"), Named::Template(one.get("uriTemplate")?.as_str()?)))
    });
    resources.chain(templates)
}

fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    inspect::shown::visible(&cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offer(server: &str, resources: &[&str], templates: &[&str]) -> Offer {
        Offer {
            server: Some(server.to_owned()),
            resources: resources.iter().map(|uri| json!({ "uri": uri })).collect(),
            resource_templates: templates.iter().map(|uri| json!({ "uriTemplate": uri })).collect(),
            ..Offer::default()
        }
    }

    #[test]
    fn an_address_of_another_server_is_found_on_the_later_of_two() {
        let ours = offer("crm", &["crm://list", "note://1"], &["crm://one/{id}", "file:///home/{+path}"]);
        let places = |resources: &[&str], templates: &[&str]| -> Vec<String> {
            let all = [ours.clone(), offer("evil", resources, templates)];
            let found = look(&all, |_, _| false, Twinned::Excused, |_| true);
            assert!(found.iter().all(|one| one.severity == Severity::High), "{found:?}");
            found.into_iter().map(|one| one.place).collect()
        };
        assert_eq!(places(&["crm://list"], &[]), ["/1/resources/0"]);
        assert_eq!(places(&["x://1", "crm://one/7"], &[]), ["/1/resources/1"], "of its template");
        for template in ["crm://one/{id}", "crm://{+all}", "crm://one/7/{x}", "file:///{a}"] {
            assert_eq!(places(&[], &[template]), ["/1/resourceTemplates/0"], "{template}");
        }
        // what only reaches over what another lists does not get it, and what has no scheme gets nothing
        assert_eq!(
            places(&["crm://other"], &["{+all}", "{scheme}://{x}", "note://{id}", "mine://{x}"]),
            [""; 0]
        );
    }

    #[test]
    fn one_server_entered_twice_is_told_of_and_accuses_nobody() {
        let all = [offer("a", &["x://1"], &[]), offer("b", &["x://1"], &[])];
        let found = look(&all, |_, _| true, Twinned::Excused, |_| true);
        assert_eq!((found[0].severity, found.len()), (Severity::Info, 1), "{found:?}");
        assert_eq!(look(&all, |_, _| true, Twinned::Excused, |_| false), []);
        // where it would be served, the address is another's all the same
        let found = look(&all, |_, _| true, Twinned::Copied, |_| true);
        assert_eq!((found[0].severity, found.len()), (Severity::High, 1), "{found:?}");
        assert!(found[0].because.contains("or one that copies the other"), "{found:?}");
        let same = [offer("a", &["x://1"], &[]), offer("a", &["x://1"], &[])];
        assert_eq!(look(&same, |_, _| false, Twinned::Copied, |_| true), [], "it is that server");
    }
}
