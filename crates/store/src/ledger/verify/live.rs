//! Reads the folder a gateway writes, also while it writes.

use super::{
    Evidence,
    record::broken_value,
    report::{Damage, Finding, Macs, Place},
};
use crate::ledger::{
    error::LedgerError,
    frame::{GROUP_FRAME_BYTES, SegmentHeader, State},
    merkle::Tree,
    note::{Checkpoint, PublicKey, Signer},
    seen::Seen,
    segment::{self, Next, ReadGroup, Stop, What, Why},
};
use decision::{Digest, Slot};
use std::path::{Path, PathBuf};

/// Farther than this from its place, an entry's check is taken for chance and the entry for changed.
const MOVED_MAX: u64 = 1 << 20;

struct Reading<'a> {
    /// The log's own key, if whoever verifies can read it.
    signer: Option<&'a Signer>,
    /// The segment that is being read.
    path: PathBuf,
    evidence: Evidence,
    next: Next,
    /// Of the entries so far, where somebody asks for it.
    tree: Tree,
    /// The entry that disclosures belong to.
    last: Option<Seen>,
    /// Entries whose check does not fit: index, and the index it was written at if that is near.
    misfits: Vec<(u64, Option<u64>)>,
}

/// With the log's own key, it is looked at who wrote what; `own` is its public half, whoever reads.
pub(super) fn read(dir: &Path, own: &PublicKey, signer: Option<&Signer>) -> Result<Evidence, LedgerError> {
    let mut reading = Reading {
        signer,
        path: PathBuf::new(),
        evidence: Evidence::default(),
        next: Next::default(),
        tree: Tree::default(),
        last: None,
        misfits: Vec::new(),
    };
    let strays = segment::strays(dir)?.into_iter().map(|name| name.display().to_string());
    reading.evidence.strays = strays.collect();
    let numbers = segment::list(dir)?;
    for (expected, number) in (0..).zip(&numbers) {
        reading.path = segment::path(dir, *number);
        let bytes = segment::read(&reading.path)?;
        if !reading.header(&bytes, expected, *number, own, numbers.last() == Some(number))
            || !reading.groups(&bytes, numbers.last() == Some(number))
        {
            break;
        }
    }
    reading.classify();
    Ok(reading.evidence)
}

impl Reading<'_> {
    fn stop(&mut self, damage: Damage, place: Place, what: impl Into<String>) -> bool {
        self.evidence.local.push(Finding::new(damage, place, what));
        self.evidence.unread_from = Some(self.evidence.entries);
        false
    }

    /// Whether this is the segment that must come next.
    fn header(&mut self, bytes: &[u8], expected: u64, number: u64, own: &PublicKey, last: bool) -> bool {
        let index = self.next.index;
        if last && number == expected && segment::is_stillborn(bytes) {
            self.evidence.unfinished_bytes = bytes.len() as u64;
            return false;
        }
        let at = Place::Entry { index };
        let Some(header) = SegmentHeader::read(bytes) else {
            return self.stop(Damage::Unreadable, at, format!("the header of segment {number} was changed"));
        };
        if header.log != own.id() {
            return self.stop(Damage::OtherKey, at, format!("segment {number} belongs to another log"));
        }
        let fits = segment::header(bytes, expected, self.next, own.id()).is_some();
        if fits && number == expected {
            self.written_by(&header);
            self.next = Next::behind(&header);
            return true;
        }
        if header.number == number && header.first_index > index {
            let place = Place::Entries { from: index, to: header.first_index };
            return self.stop(Damage::Removed, place, format!("segment {expected} is missing"));
        }
        self.stop(Damage::Reordered, at, format!("segment {number} does not belong here"))
    }

    /// Whether a segment has MACs, where it has to, and the log's key wrote its header.
    fn written_by(&mut self, header: &SegmentHeader) {
        let number = header.number;
        let expected = self.evidence.macs != Macs::Absent
            || self.signer.and_then(Signer::keyed_from).is_some_and(|from| number >= from);
        if header.mac.is_some() && self.evidence.macs == Macs::Absent {
            self.evidence.unkeyed = header.first_index;
            self.evidence.macs = if self.signer.is_some() { Macs::Checked } else { Macs::Unchecked };
        }
        let what = match self.signer {
            _ if header.mac.is_none() && expected => "has no MACs, which this log's have",
            Some(signer)
                if header.mac.is_some() && !signer.macs().wrote_header(header, &self.tree.root()) =>
            {
                "was not written with the log's key, or other entries stood before it"
            }
            Some(_) | None => return,
        };
        let place = Place::Entry { index: header.first_index };
        self.evidence.local.push(Finding::new(Damage::Unkeyed, place, format!("segment {number} {what}")));
    }

    /// Takes in the groups of a segment. False when nothing after it can be read.
    fn groups(&mut self, bytes: &[u8], last: bool) -> bool {
        let mut at = SegmentHeader::read(bytes).map_or(0, |header| header.bytes());
        loop {
            match segment::read_group(bytes, at, self.next) {
                Ok(None) => return true,
                Ok(Some(group)) => {
                    let (from, to) = (self.next.index, group.next.index);
                    let whole = group.first_fault().is_none();
                    if whole && self.signer.is_some_and(|signer| !group.is_by(signer.macs())) {
                        let what = "this group was not written with the log's key, or stood behind others";
                        self.evidence.local.push(Finding::new(Damage::Unkeyed, Place::of(from, to), what));
                    }
                    self.take(&group);
                    if let Some(stop) = &group.broke {
                        return self.broken(stop, bytes, false);
                    }
                    (at, self.next) = (group.end, group.next);
                }
                Err(stop) => return self.broken(&stop, bytes, last),
            }
        }
    }

    fn broken(&mut self, stop: &Stop, bytes: &[u8], last: bool) -> bool {
        let tail = bytes.get(stop.at..).unwrap_or_default();
        let index = stop.index;
        let unfinished = match stop.why {
            Why::Short => true,
            Why::Broken => {
                stop.may_be_torn && (tail.len() < GROUP_FRAME_BYTES || tail.iter().all(|byte| *byte == 0))
            }
            Why::Gap | Why::Misplaced | Why::Miscounted => false,
        };
        if last && unfinished {
            self.evidence.unfinished_bytes = tail.len() as u64;
            return false;
        }
        // An entry before it that is in the wrong place tells more than the break it leads to.
        if !self.misfits.is_empty() {
            self.evidence.unread_from = Some(self.evidence.entries);
            return false;
        }
        let damage = match stop.why {
            Why::Gap => Damage::Removed,
            Why::Misplaced => Damage::Reordered,
            Why::Broken | Why::Short | Why::Miscounted => Damage::Unreadable,
        };
        let torn = if last && stop.may_be_torn {
            "; a machine that stopped while writing leaves this too"
        } else {
            ""
        };
        self.stop(damage, Place::Entry { index }, format!("{}{torn}", stop.why.text()))
    }

    fn take(&mut self, group: &ReadGroup<'_>) {
        for item in &group.items {
            match &item.what {
                What::Entry { index, bytes, leaf, place } => self.entry(*index, bytes, *leaf, *place),
                What::Disclosure { index, opening, fits } => {
                    let Some(opening) = opening else {
                        let what = "the frame of a value beside it was changed";
                        self.evidence.local.push(broken_value(*index, None, what));
                        continue;
                    };
                    if !*fits && self.misfits.last().is_none_or(|(misfit, _)| misfit != index) {
                        let what = format!("a value of entry {} stands beside it", opening.index);
                        self.evidence.local.push(broken_value(*index, None, &what));
                    }
                    match opening.state {
                        State::Kept => {
                            let opening = opening.disclosure();
                            let finding = self.evidence.calls.value(*index, self.last.as_ref(), &opening);
                            self.evidence.local.extend(finding);
                        }
                        State::Erased | State::HalfErased => self.erased(*index, opening.slot),
                        // It may have been read in the middle of its erasure.
                        State::Damaged if segment::is_erased_by_now(&self.path, item.at) => {
                            self.erased(*index, opening.slot);
                        }
                        State::Damaged => {
                            let what = "the value or its salt was changed";
                            self.evidence.local.push(broken_value(*index, Some(opening.slot), what));
                        }
                    }
                }
                What::Checkpoint { note, intact } => self.checkpoint(note, *intact),
            }
        }
    }

    fn erased(&mut self, index: u64, slot: Slot) {
        let finding = self.evidence.calls.erased(index, self.last.as_ref(), slot);
        self.evidence.local.extend(finding);
    }

    fn entry(&mut self, index: u64, bytes: &[u8], leaf: Digest, place: Result<(), u32>) {
        if let Err(low) = place {
            let high = index & !u64::from(u32::MAX);
            let written_at = high | u64::from(low);
            self.misfits.push((index, (written_at.abs_diff(index) < MOVED_MAX).then_some(written_at)));
        }
        self.evidence.leaves.push(leaf);
        if self.signer.is_some() {
            self.tree.push(leaf);
        }
        self.evidence.entries += 1;
        self.last = self.evidence.calls.entry(index, bytes);
    }

    fn checkpoint(&mut self, note: &[u8], intact: bool) {
        let size = self.evidence.entries;
        let parsed = std::str::from_utf8(note).ok().map(Checkpoint::parse);
        match parsed {
            Some(Ok(checkpoint)) if intact => self.evidence.checkpoints.push(checkpoint),
            Some(_) | None => {
                let what = "the checkpoint was changed";
                self.evidence.local.push(Finding::new(
                    Damage::BadSignature,
                    Place::Checkpoint { size },
                    what,
                ));
            }
        }
    }

    /// Says what kind of damage the entries show that are not in their place.
    fn classify(&mut self) {
        let mut moved = Vec::new();
        for (index, written_at) in std::mem::take(&mut self.misfits) {
            match written_at {
                Some(from) => moved.push((index, from)),
                None => {
                    let what = "the entry is not as it was recorded";
                    self.evidence.local.push(Finding::new(Damage::Flipped, Place::Entry { index }, what));
                }
            }
        }
        self.evidence.local.extend(displaced(&moved, self.evidence.entries));
    }
}

/// What intact entries in wrong places show: pairs of index and the index it was written at.
fn displaced(moved: &[(u64, u64)], found: u64) -> Option<Finding> {
    let (index, from) = *moved.first()?;
    let mut places: Vec<u64> = moved.iter().map(|(_, from)| *from).collect();
    places.sort_unstable();
    let only_among_themselves = places.iter().eq(moved.iter().map(|(index, _)| index));
    // Where something is missing or too much, everything behind it is shifted alike, to the end.
    let mut next = (index, from);
    let shifted_alike = moved.iter().all(|pair| {
        let fits = *pair == next;
        next = (pair.0 + 1, pair.1 + 1);
        fits
    });
    let to_the_end = next.0 == found;
    let (damage, index, what) = if only_among_themselves || !shifted_alike || !to_the_end {
        (Damage::Reordered, index, format!("entry {from} stands here"))
    } else if from > index {
        (Damage::Removed, index, format!("entry {from} stands here: {} before it are missing", from - index))
    } else {
        (Damage::Inserted, from, "an entry stands here that was not recorded".to_owned())
    };
    Some(Finding::new(damage, Place::Entry { index }, what))
}
