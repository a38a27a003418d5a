//! What the entries say: one intent and one decision per call, and values that open commitments.

use super::report::{Damage, FINDINGS_MAX, Finding, OpenCall, Place, Report, Values};
use crate::ledger::{merkle::TILE_WIDTH, seen::Seen};
use decision::{CallId, Disclosure, Slot};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy)]
struct Known {
    intent: u64,
    closed: bool,
}

/// Follows the calls through the entries.
#[derive(Default)]
pub(super) struct Calls {
    known: BTreeMap<CallId, Known>,
    findings: Vec<Finding>,
    intents: u64,
    decisions: u64,
    events: u64,
    unreadable: u64,
    values: Values,
    /// Commitments seen.
    committed: u64,
    /// Values counted of the entries since the last bundle began: one that stands twice is one, and hides none that is gone.
    counted: BTreeSet<(u64, Slot)>,
}

impl Calls {
    /// Takes the next entry in.
    pub(super) fn entry(&mut self, index: u64, bytes: &[u8]) -> Option<Seen> {
        if index.is_multiple_of(TILE_WIDTH) {
            // values stand behind their entry, or in the file of its bundle
            self.counted.clear();
        }
        let at = Place::Entry { index };
        let seen = Seen::read(bytes);
        match seen {
            Some(Seen::Intent { call, arguments }) => {
                self.intents += 1;
                self.committed += u64::from(arguments.is_some());
                match self.known.get(&call) {
                    Some(first) => {
                        let what = format!("{call} has an intent already, entry {}", first.intent);
                        self.find(Finding::new(Damage::SecondIntent, at, what));
                    }
                    None => {
                        self.known.insert(call, Known { intent: index, closed: false });
                    }
                }
            }
            Some(Seen::Decision { call, result }) => {
                self.decisions += 1;
                self.committed += u64::from(result.is_some());
                match self.known.get_mut(&call) {
                    Some(known) if !known.closed => known.closed = true,
                    Some(_) => self.find(Finding::new(
                        Damage::SecondDecision,
                        at,
                        format!("{call} was decided already"),
                    )),
                    None => {
                        let what = format!("{call} is decided without an intent before it");
                        self.find(Finding::new(Damage::NoIntent, at, what));
                    }
                }
            }
            Some(Seen::Event) => self.events += 1,
            None => self.unreadable += 1,
        }
        seen
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Compares a kept value with the commitment in its entry.
    pub(super) fn value(&mut self, index: u64, seen: Option<&Seen>, opening: &Disclosure) -> Option<Finding> {
        let place = Place::Value { index, slot: opening.slot };
        match seen.map(|seen| seen.commitment(opening.slot)) {
            Some(Some(commitment)) if commitment == opening.commitment() => {
                let twice = self.once(index, opening.slot);
                self.values.opened += u64::from(twice.is_none());
                twice
            }
            Some(Some(_)) => Some(Finding::new(
                Damage::Disclosure,
                place,
                "the value is not the one that the entry commits to",
            )),
            Some(None) => Some(Finding::new(Damage::Disclosure, place, "the entry commits to no such value")),
            // What the entry says is not known, so neither is whether the value fits.
            None => None,
        }
    }

    /// Counts a value that was erased, which commits to nothing that could be compared.
    pub(super) fn erased(&mut self, index: u64, seen: Option<&Seen>, slot: Slot) -> Option<Finding> {
        if seen.is_some_and(|seen| seen.commitment(slot).is_none()) {
            let place = Place::Value { index, slot };
            return Some(Finding::new(Damage::Disclosure, place, "the entry commits to no such value"));
        }
        let twice = self.once(index, slot);
        self.values.erased += u64::from(twice.is_none());
        twice
    }

    fn once(&mut self, index: u64, slot: Slot) -> Option<Finding> {
        let twice = !self.counted.insert((index, slot));
        let place = Place::Value { index, slot };
        twice.then(|| Finding::new(Damage::Disclosure, place, "the value stands here twice"))
    }

    /// Writes everything into the report. Integrity findings are in it already.
    pub(super) fn finish(self, report: &mut Report) {
        (report.intents, report.decisions) = (self.intents, self.decisions);
        (report.events, report.unreadable) = (self.events, self.unreadable);
        report.values = self.values;
        let there = self.values.opened + self.values.erased;
        report.values.absent = self.committed.saturating_sub(there);
        for finding in self.findings {
            report.add(finding);
        }
        let mut open: Vec<OpenCall> = self
            .known
            .into_iter()
            .filter(|(_, known)| !known.closed)
            .map(|(call, known)| OpenCall { index: known.intent, call })
            .collect();
        open.sort_unstable_by_key(|open| open.index);
        report.open_calls_total = open.len() as u64;
        open.truncate(FINDINGS_MAX);
        report.open_calls = open;
    }
}

/// A finding about a value whose frame or line is broken.
pub(super) fn broken_value(index: u64, slot: Option<Slot>, what: &str) -> Finding {
    let place = slot.map_or(Place::Entry { index }, |slot| Place::Value { index, slot });
    Finding::new(Damage::Disclosure, place, what)
}
