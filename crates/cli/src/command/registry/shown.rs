//! What is to be said of what a server shows now, for whoever decides about it.

use super::beside::side_by_side;
use crate::{
    cli::Given,
    place::Place,
    say::{one_line, when},
    sources::SystemClock,
};
use catalog::{
    drift::{Change, Likeness, Original, Severity},
    scan::{Finding, scan_items, scan_reserved},
};
use console::review::{Meanwhile, Waiting};
use decision::{Clock as _, Item, ServerName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{DEPARTURES_MAX, Departure, Departures, Pin, PinState, Store};

/// For programs: that it was something else than what was accepted since somebody accepted it.
pub(super) fn left(pin: &Pin) -> Option<Value> {
    let left = pin.left.as_ref()?;
    Some(json!({
        "times": left.times, "at": when(left.at), "seen": left.digest, "shown-to": left.seen_by, "held": left.held,
    }))
}

/// For programs: all that is kept of it, the urgent first.
pub(super) fn meanwhile(one: &Waiting) -> Value {
    let value = |one: &Meanwhile| {
        let Departure { digest, times, first_at, last_at, seen_by, .. } = &one.departure;
        json!({
            "seen": digest, "severity": one.severity(), "times": times, "first-at": when(*first_at), "at": when(*last_at),
            "shown-to": seen_by, "changes": one.changes(), "text": one.text(),
        })
    };
    one.meanwhile.iter().map(value).collect()
}

/// Of one server, how many items were something else since they were accepted that asks for a look, and how urgent the worst
/// was when it was seen.
pub(super) fn caught(departures: &Departures) -> Option<(usize, Severity)> {
    let worst = departures.values().filter_map(|kept| kept.iter().map(|one| one.grade).max());
    let worst: Vec<Severity> = worst.filter(|grade| *grade > Severity::Low).collect();
    Some((worst.len(), worst.into_iter().max()?))
}

/// The same for people: how often and when, what it was, and why that matters.
pub(super) fn tell_left(one: &Waiting, given: &Given) {
    let pin = &one.pin;
    let Some(left) = &pin.left else { return };
    let to = left.seen_by.as_ref().map(|name| format!(" to {}", one_line(name))).unwrap_or_default();
    let at = when(left.at);
    let is_told = pin.flaps() || left.seen_by.is_some() || !one.meanwhile.is_empty();
    if is_told || pin.state == PinState::Returned {
        let times = if left.times == 1 { "once".to_owned() } else { format!("{} times", left.times) };
        let said = format!(
            "it was shown{to} as something else than what was accepted {times}, at {at} last: {}",
            left.digest
        );
        given.say.line(given.say.paint(if left.held { 31 } else { 33 }, &said));
    }
    if pin.state == PinState::Returned {
        given.say.line("it shows what was accepted again; what it was meanwhile was not harmless, so it waits until somebody decides");
    }
    let (before, _) = one.texts();
    for one in &one.meanwhile {
        let (severity, digest) = (one.severity(), one.departure.digest);
        let said = format!("meanwhile, {} at worst, it was {digest}", severity.as_str());
        given.say.line(if severity.flags() { given.say.paint(31, &said) } else { said });
        if severity >= Severity::Medium {
            side_by_side(given.say, &before, &one.text());
        }
        for change in one.changes() {
            let (severity, kind) = (change.severity.as_str(), change.kind.as_str());
            let (at, why) = (one_line(&change.place), one_line(&change.because));
            given.say.line(format!("  meanwhile, {severity} {kind} {at}: {why}"));
        }
    }
    if one.meanwhile.len() >= DEPARTURES_MAX {
        given.say.line("no more than the worst of an item are kept; the record has all of them");
    }
}

/// For programs: what a new item looks like.
pub(super) fn likeness(like: &Likeness) -> Value {
    let gone = like.original == Original::Gone;
    json!({ "name": like.name, "gone": gone, "because": like.because() })
}

/// What the scan sees.
pub(super) struct Shown {
    findings: BTreeMap<Item, Vec<Finding>>,
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
        let mut findings = scan_items(server, shown.iter().map(|(item, raw)| (*item, raw.as_ref())), others);
        if let Some(settings) = place.meant.settings.servers.get(server) {
            let declarations = settings.declarations.at(SystemClock.now());
            let reserved = scan_reserved(&declarations, pins.iter().map(|pin| &pin.item), |_| false);
            reserved.into_iter().for_each(|(item, one)| findings.entry(item).or_default().push(one));
        }
        Ok(Self { findings })
    }

    pub(super) fn findings(&self, item: &Item) -> &[Finding] {
        self.findings.get(item).map(Vec::as_slice).unwrap_or_default()
    }

    /// For people, a line each. What is told as a change already is not told again.
    pub(super) fn tell(&self, item: &Item, changes: &[&Change], given: &Given) {
        let is_new = |finding: &&Finding| !changes.iter().any(|change| change.tells(finding));
        for finding in self.findings(item).iter().filter(is_new) {
            let severity = finding.severity.as_str();
            let place = one_line(&finding.place);
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            let because = one_line(&finding.because);
            let said = format!("{severity} {}{at}: {because}", finding.detector.as_str());
            given.say.line(if finding.severity.flags() { given.say.paint(31, &said) } else { said });
        }
    }
}
