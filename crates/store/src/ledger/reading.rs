//! Reading back everything that is there: segments are taken apart side by side, and put together in their order.

use super::{
    Options,
    disk::{Left, SegmentFile},
    error::{LedgerError, io_error},
    frame::{SegmentHeader, State},
    keyed::MacKey,
    merkle::Tree,
    note::{Checkpoint, Signer},
    open::{Cut, Position, Recovered, Tail, create_segment, damaged, erase},
    read,
    room::LaidOut,
    seen::Part,
    segment::{self, Next, What},
    window::Window,
};
use decision::{CallId, Digest, Entry, EventName};
use std::{collections::BTreeMap, fs, ops::Range, path::Path, sync::mpsc, thread};

/// Segments that are in memory at once: one for each processor, but no more bytes than these, unless one alone has
/// more.
const AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

/// As much of a segment as is looked at in one go. A group is smaller, or its segment is read whole.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;

const NOT_BY_KEY: &str = "this group of entries was not written with the log's key, or stands behind others than it did: \
     somebody wrote into the folder";

/// A segment, taken apart without the others.
struct Parts {
    /// `None` when no group was ever in it, and its header is not whole.
    header: Option<SegmentHeader>,
    stillborn: bool,
    steps: Vec<Step>,
    /// What comes after the last whole group.
    next: Next,
    /// Where the last whole group ends, and the segment does.
    end: u64,
    bytes: u64,
    /// What keeps the rest from being read, unless a crash explains it.
    fault: Option<LedgerError>,
}

/// What an intact frame adds.
enum Step {
    Entry { at: u64, leaf: Digest, part: Part },
    HalfErased { at: u64, value_bytes: usize },
    Checkpoint { at: u64, note: Vec<u8> },
}

/// Everything that was read so far.
pub(super) struct Reading<'a> {
    dir: &'a Path,
    signer: &'a Signer,
    options: &'a Options,
    pub(super) tree: Tree,
    pub(super) positions: Vec<Position>,
    pub(super) latest: Option<Checkpoint>,
    pub(super) next: Next,
    pub(super) tail: Option<Tail>,
    /// The segments before it.
    pub(super) full: Vec<Left>,
    pub(super) recovered: Recovered,
    /// Calls with an intent and no decision yet, and where the intent is.
    pub(super) calls: BTreeMap<CallId, u64>,
    /// The first segment from which on all have MACs.
    pub(super) keyed_from: Option<u64>,
    /// Entries before it: anybody may have written them.
    unkeyed: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(dir: &'a Path, signer: &'a Signer, options: &'a Options) -> Self {
        Self {
            dir,
            signer,
            options,
            tree: Tree::default(),
            positions: Vec::new(),
            latest: None,
            next: Next::default(),
            tail: None,
            full: Vec::new(),
            recovered: Recovered::default(),
            calls: BTreeMap::new(),
            keyed_from: signer.keyed_from(),
            unkeyed: 0,
        }
    }

    /// Entries that neither a checkpoint covers nor a MAC.
    pub(super) fn unsigned(&self) -> Range<u64> {
        self.latest.as_ref().map_or(0, |latest| latest.size)..self.unkeyed
    }

    pub(super) fn run(&mut self) -> Result<(), LedgerError> {
        let numbers = segment::list(self.dir)?;
        for (expected, number) in (0..).zip(&numbers) {
            if *number != expected {
                // those before it are looked at first: what is damaged there is said first
                self.segments(0..expected, u64::MAX)?;
                return Err(damaged(expected, 0, self.next.index, "the segment is missing"));
            }
        }
        let count = numbers.len() as u64;
        self.segments(0..count, count)
    }

    /// Reads some of the segments; the last of all is number `count - 1`. Each worker takes every so many-th one apart, and
    /// goes on with its next while the one before is put together here.
    fn segments(&mut self, numbers: Range<u64>, count: u64) -> Result<(), LedgerError> {
        let most = self.options.segment_bytes.max(1);
        let workers =
            thread::available_parallelism().map_or(1, |n| n.get() as u64).min(AT_ONCE_BYTES / most).max(1);
        let step = usize::try_from(workers).unwrap_or(1);
        let (dir, key) = (self.dir, self.signer.macs());
        thread::scope(|scope| {
            let begin = |first| {
                let own = numbers.clone().skip(first).step_by(step);
                let (done, parts) = mpsc::sync_channel(0);
                scope.spawn(move || {
                    let mut read = own.map(|number| Parts::read(dir, number, number + 1 == count, key));
                    // after a fault nobody takes any more
                    read.try_for_each(|parts| done.send(parts))
                });
                parts
            };
            let workers: Vec<_> = (0..step).map(begin).collect();
            for (number, worker) in numbers.clone().zip(workers.iter().cycle()) {
                let Ok(parts) = worker.recv() else {
                    return Err(damaged(number, 0, self.next.index, "whoever read the segment panicked"));
                };
                self.segment(number, number + 1 == count, parts?)?;
            }
            Ok(())
        })
    }

    fn segment(&mut self, number: u64, last: bool, parts: Parts) -> Result<(), LedgerError> {
        let path = segment::path(self.dir, number);
        if let Some(before) = self.tail.take() {
            self.full.push(before.left(self.dir)?);
        }
        if last && parts.stillborn {
            self.is_all(number, 0)?;
            self.is_ours(number, 0)?;
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            let before = (&self.tree, self.next);
            let tail = create_segment(self.dir, number, before, self.signer, self.options, 0)?;
            self.next = tail.start.1;
            self.tail = Some(tail);
            return Ok(());
        }
        let id = self.signer.public().id();
        let fits =
            |header: &SegmentHeader| *header == segment::expected_header(number, self.next, id, header.mac);
        let Some(header) = parts.header.filter(fits) else {
            let what = "the segment's header was changed or is another's";
            return Err(damaged(number, 0, self.next.index, what));
        };
        self.is_by_our_key(&header)?;
        let start = (self.tree.mark(), Next::behind(&header));
        let file = SegmentFile::open(&path, &self.options.disk).map_err(io_error("open", &path))?;
        for step in parts.steps {
            self.step(number, step, &file)?;
        }
        if let Some(fault) = parts.fault {
            return Err(fault);
        }
        self.next = parts.next;
        if header.mac.is_none() {
            self.unkeyed = self.next.index;
        }
        if last {
            self.is_all(number, parts.end)?;
            self.is_ours(number, parts.end)?;
        }
        if parts.end < parts.bytes {
            file.truncate(parts.end).map_err(io_error("cut", &path))?;
            self.recovered.cut =
                Some(Cut { segment: number, offset: parts.end, bytes: parts.bytes - parts.end });
        }
        self.tail = Some(Tail { file, number, bytes: parts.end, laid_out: LaidOut::default(), start });
        Ok(())
    }

    /// Before anything is cut: whether no entry is missing that somebody knows of.
    fn is_all(&self, segment: u64, offset: u64) -> Result<(), LedgerError> {
        let (entries, known) = (self.next.index, self.options.known);
        if self.options.accept_loss {
            return Ok(());
        }
        if entries < known {
            return Err(LedgerError::Lost { segment, offset, entries, known });
        }
        match self.recovered.parted {
            Some(entries) => Err(LedgerError::Parted { entries }),
            None => Ok(()),
        }
    }

    /// Whether the log's key wrote the header. One without a MAC was written by an earlier version, or by whoever leaves
    /// it out, which nobody does once there is one.
    fn is_by_our_key(&mut self, header: &SegmentHeader) -> Result<(), LedgerError> {
        let (number, index) = (header.number, self.next.index);
        if header.mac.is_none() {
            let what =
                "the segment has no MACs, which this log's have: it was not written with the log's key";
            let expected = self.keyed_from.is_some_and(|from| number >= from);
            return if expected { Err(damaged(number, 0, index, what)) } else { Ok(()) };
        }
        if !self.signer.macs().wrote_header(header, &self.tree.root()) {
            let what =
                "the segment's header was not written with the log's key, or other entries stood before it";
            return Err(damaged(number, 0, index, what));
        }
        self.keyed_from = Some(self.keyed_from.map_or(number, |from| from.min(number)));
        Ok(())
    }

    /// Before the next checkpoint signs them: whether a stop can have left the entries that none covers. Nothing keyed says
    /// so of those that an earlier version wrote, but a gateway leaves few, and begins with its start after it has ended.
    fn is_ours(&self, segment: u64, offset: u64) -> Result<(), LedgerError> {
        let Range { start: signed, end } = self.unsigned();
        let unsigned = end.saturating_sub(signed);
        let most = self.options.checkpoint_entries;
        if unsigned > most {
            let what = format!(
                "{unsigned} entries from here on are under no checkpoint, and a gateway leaves {most} at most"
            );
            return Err(damaged(segment, offset, signed, what));
        }
        let Some(before) = signed.checked_sub(1).filter(|_| unsigned > 0) else { return Ok(()) };
        let places = |index| self.positions.get(usize::try_from(index).ok()?).copied();
        let entry = |index| read::entry(self.dir, &places, index);
        if is_end(&entry(before)?) && matches!(Part::of(&entry(signed)?), Part::Intent(_)) {
            let what = "a call stands behind the end of a gateway, and no start before it";
            return Err(damaged(segment, offset, signed, what));
        }
        Ok(())
    }

    fn step(&mut self, number: u64, step: Step, file: &SegmentFile) -> Result<(), LedgerError> {
        match step {
            Step::Entry { at, leaf, part } => {
                let index = self.tree.size();
                self.tree.push(leaf);
                self.positions.push(Position::new(number, at));
                if let Some((size, root)) = self.options.known_root
                    && size == self.tree.size()
                    && root != self.tree.root()
                {
                    self.recovered.parted = Some(size);
                }
                match part {
                    Part::Intent(call) => drop(self.calls.insert(call, index)),
                    Part::Decision(call) => drop(self.calls.remove(&call)),
                    Part::Event => {}
                    Part::Unreadable => self.recovered.unreadable.push(index),
                }
            }
            Step::HalfErased { at, value_bytes } => {
                erase(file, at, value_bytes)
                    .map_err(io_error("erase in", segment::path(self.dir, number)))?;
                self.recovered.erasures_finished += 1;
            }
            Step::Checkpoint { at, note } => self.checkpoint(number, at, &note)?,
        }
        Ok(())
    }

    fn checkpoint(&mut self, number: u64, at: u64, note: &[u8]) -> Result<(), LedgerError> {
        let index = self.tree.size();
        let wrong = |what: String| damaged(number, at, index, what);
        let note = std::str::from_utf8(note).map_err(|_| wrong("a checkpoint is not text".to_owned()))?;
        let checkpoint = Checkpoint::parse(note).map_err(|e| wrong(e.to_string()))?;
        checkpoint.verify(self.signer.public()).map_err(|e| wrong(e.to_string()))?;
        if checkpoint.size != self.tree.size() || checkpoint.root != self.tree.root() {
            return Err(wrong("a signed checkpoint covers other entries than these".to_owned()));
        }
        self.latest = Some(checkpoint);
        Ok(())
    }
}

/// Whether it is the last word of a gateway that ended in order.
fn is_end(entry: &[u8]) -> bool {
    let event = |entry: Entry| matches!(entry, Entry::Event(one) if one.event == EventName::GatewayStopped);
    Entry::read(entry).is_ok_and(event)
}

impl Parts {
    /// Reads a segment by what its own header says; whether that is what must come next, its reader knows.
    fn read(dir: &Path, number: u64, last: bool, key: &MacKey) -> Result<Self, LedgerError> {
        let path = segment::path(dir, number);
        let mut window = Window::open(&path, WINDOW_BYTES)?;
        if let Some(parts) = Self::in_windows(&mut window, key) {
            return Ok(parts);
        }
        drop(window);
        let bytes = segment::read(&path)?;
        let mut parts = Self::begin(&bytes, bytes.len() as u64);
        if parts.header.is_some() {
            parts.fault = parts.groups(number, &bytes, last, key).err();
        }
        Ok(parts)
    }

    /// What the start of a segment says of it.
    fn begin(start: &[u8], bytes: u64) -> Self {
        let header = SegmentHeader::read(start);
        Self {
            header,
            stillborn: segment::is_stillborn(start),
            steps: Vec::new(),
            next: header.as_ref().map_or_else(Next::default, Next::behind),
            end: header.map_or(0, |header| header.bytes() as u64),
            bytes,
            fault: None,
        }
    }

    /// A segment without a fault, through a window that stays in the processor's cache. `None` of one that is not as it was
    /// written: what is wrong with it is found by who has all of it.
    fn in_windows(window: &mut Window, key: &MacKey) -> Option<Self> {
        let mut parts = Self::begin(window.bytes(), window.size);
        let mut at = parts.header?.bytes();
        loop {
            match segment::read_group_of(window.bytes(), window.base, at, parts.next) {
                Ok(None) if window.is_last() => return Some(parts),
                Ok(Some(group)) if group.first_fault().is_none() && group.is_by(key) => {
                    let base = window.base;
                    let step = |item: &segment::Item<'_>| Step::of(base + item.at as u64, &item.what);
                    parts.steps.extend(group.items.iter().filter_map(step));
                    (at, parts.next, parts.end) = (group.end, group.next, base + group.end as u64);
                }
                Ok(_) | Err(_) if at > 0 && !window.is_last() => at = window.slide(at)?,
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Takes in every whole group.
    fn groups(&mut self, number: u64, bytes: &[u8], last: bool, key: &MacKey) -> Result<(), LedgerError> {
        let mut at = self.header.map_or(0, |header| header.bytes());
        loop {
            let group = match segment::read_group(bytes, at, self.next) {
                Ok(None) => return Ok(()),
                Ok(Some(group)) => group,
                Err(stop) if last && stop.may_be_torn => return Ok(()),
                Err(stop) => return Err(damaged(number, stop.at as u64, stop.index, stop.why.text())),
            };
            if let Some((offset, entry, what)) = group.first_fault() {
                if last && group.end == bytes.len() {
                    return Ok(());
                }
                return Err(damaged(number, offset as u64, entry, what));
            }
            // no stop leaves a whole group whose MAC alone is wrong
            if !group.is_by(key) {
                return Err(damaged(number, at as u64, self.next.index, NOT_BY_KEY));
            }
            self.steps.extend(group.items.iter().filter_map(|item| Step::of(item.at as u64, &item.what)));
            (at, self.next, self.end) = (group.end, group.next, group.end as u64);
        }
    }
}

impl Step {
    fn of(at: u64, what: &What<'_>) -> Option<Self> {
        match what {
            What::Entry { bytes, leaf, .. } => Some(Self::Entry { at, leaf: *leaf, part: Part::of(bytes) }),
            What::Disclosure { opening: Some(opening), .. } if opening.state == State::HalfErased => {
                Some(Self::HalfErased { at, value_bytes: opening.value.len() })
            }
            What::Disclosure { .. } => None,
            What::Checkpoint { note, .. } => Some(Self::Checkpoint { at, note: note.to_vec() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Record};
    use decision::{Clock, Disclosure, Entropy, Slot, Timestamp};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(1_700_000_000_000_000)
        }
    }

    impl Entropy for Still {
        fn fill(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    /// Forty groups of one to three entries of different lengths.
    async fn written(dir: &Path) {
        let (ledger, _) = Ledger::open(dir, Arc::new(Still), &Still, Options::default()).unwrap();
        for n in 0..40_usize {
            let entry = |n: usize| format!(r#"{{"kind":"event","n":{n},"text":"{}"}}"#, "x".repeat(n * 7));
            let beside = || Disclosure::new(Slot::Result, vec![b'v'; n].into(), &Still);
            let records = (0..=n % 3).map(|k| Record::raw(entry(n + k).into_bytes(), vec![beside()]));
            ledger.append(records.collect()).await.unwrap();
        }
    }

    fn summary(parts: &Parts) -> (Next, u64, u64, Vec<String>) {
        let step = |step: &Step| match step {
            Step::Entry { at, leaf, part } => format!("{at} {leaf} {part:?}"),
            Step::HalfErased { at, value_bytes } => format!("{at} half {value_bytes}"),
            Step::Checkpoint { at, note } => format!("{at} note {}", String::from_utf8_lossy(note)),
        };
        (parts.next, parts.end, parts.bytes, parts.steps.iter().map(step).collect())
    }

    #[tokio::test]
    async fn a_window_of_any_size_finds_what_the_whole_has_and_no_fault_passes_one() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path()).await;
        let path = segment::path(dir.path(), 0);
        let bytes = fs::read(&path).unwrap();
        let mut whole = Parts::begin(&bytes, bytes.len() as u64);
        let text = fs::read_to_string(dir.path().join("log.key")).unwrap();
        let signer = Signer::parse(&text).unwrap();
        let key = signer.macs();
        whole.groups(0, &bytes, true, key).unwrap();
        assert!(whole.next.group >= 40 && whole.end == bytes.len() as u64);
        let of = |most| Parts::in_windows(&mut Window::open(&path, most).unwrap(), key);
        for most in [2_000, 2_047, 3_001, 4_096, 9_999, bytes.len() - 1, bytes.len(), WINDOW_BYTES] {
            assert_eq!(summary(&of(most).unwrap()), summary(&whole), "{most}");
        }
        let start = whole.header.unwrap().bytes();
        assert!(of(start).is_none() && of(300).is_none(), "no group fits");
        for at in (start..bytes.len()).step_by(97) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            fs::write(&path, &changed).unwrap();
            let open = |last| Parts::read(dir.path(), 0, last, key).unwrap();
            assert_eq!(of(2_000).is_none(), open(false).fault.is_some(), "byte {at} was changed");
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(of(2_000).is_none() && of(WINDOW_BYTES).is_none(), "a torn end is looked at whole");
    }
}
