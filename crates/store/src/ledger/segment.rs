//! Reading segments group by group: what is there, and whether it is as it was written. Pure but
//! for listing and reading files.

use super::{
    error::{LedgerError, io_error},
    frame::{
        ERASED, FRAME_HEADER_BYTES, Frame, Group, KEPT, Kind, Opening, SEGMENT_HEADER_BYTES_MAX, STATE_AT,
        SegmentHeader, later_group, written_at,
    },
    keyed::{Mac, MacKey, equal},
};
use decision::Digest;
use std::{
    ffi::OsString,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// What must come next in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Next {
    pub(super) index: u64,
    pub(super) group: u64,
    /// The MAC of what stands before it in its segment, where that has them.
    pub(super) last: Option<Mac>,
}

impl Next {
    /// What must come behind a header.
    pub(super) fn behind(header: &SegmentHeader) -> Self {
        Self { index: header.first_index, group: header.first_group, last: header.mac }
    }
}

/// Why reading cannot go on at `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) at: usize,
    pub(super) index: u64,
    pub(super) why: Why,
    /// True when nothing that was ever durable can follow, so that a crash explains it.
    pub(super) may_be_torn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// No intact frame stands here.
    Broken,
    /// The segment ends before its last group does.
    Short,
    /// An intact group stands here, but a later one than must come next.
    Gap,
    /// An intact group stands here that does not belong here.
    Misplaced,
    /// The group does not hold what its frame says.
    Miscounted,
}

impl Why {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Broken => "no intact frame stands here",
            Self::Short => "the segment ends before its last group does",
            Self::Gap => "what must come next is missing",
            Self::Misplaced => "what stands here belongs elsewhere",
            Self::Miscounted => "the group does not hold what its frame says",
        }
    }
}

/// One frame of a group, with where it stands in the segment.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) at: usize,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Entry {
        index: u64,
        bytes: &'a [u8],
        leaf: Digest,
        /// `Err` with the low half of the index it was written at, if it is intact otherwise.
        place: Result<(), u32>,
    },
    Disclosure {
        /// Of the entry before it.
        index: u64,
        /// `None` when its index, slot or length were changed.
        opening: Option<Opening<'a>>,
        /// Whether it belongs to the entry before it.
        fits: bool,
    },
    Checkpoint {
        note: &'a [u8],
        intact: bool,
    },
}

/// A group as far as it could be read.
pub(super) struct ReadGroup<'a> {
    /// What its frame says.
    pub(super) group: Group,
    /// The MAC before it.
    before: Option<Mac>,
    pub(super) items: Vec<Item<'a>>,
    /// Where the next group starts.
    pub(super) end: usize,
    pub(super) next: Next,
    pub(super) broke: Option<Stop>,
}

impl ReadGroup<'_> {
    /// Whether it was written with this key; one of format 1 may have been written by anybody. Asked of a group without
    /// a fault, since it is of what is there.
    pub(super) fn is_by(&self, key: &MacKey) -> bool {
        let (Some(before), Some(mac)) = (&self.before, &self.group.mac) else {
            return self.before.is_none() && self.group.mac.is_none();
        };
        let mut covered = key.group_behind(before);
        for item in &self.items {
            match item.what {
                What::Entry { bytes, leaf, .. } => covered.entry(bytes.len(), &leaf),
                What::Disclosure { opening: Some(opening), .. } => {
                    covered.disclosure(opening.index, opening.slot, opening.value.len());
                }
                What::Disclosure { opening: None, .. } => return false,
                What::Checkpoint { note, .. } => covered.checkpoint(note),
            }
        }
        equal(mac, &covered.end(&self.group))
    }

    /// The first thing that is not as it was written: where, of which entry, and what.
    pub(super) fn first_fault(&self) -> Option<(usize, u64, &'static str)> {
        let in_items = self.items.iter().find_map(|item| match item.what {
            What::Entry { index, place: Err(_), .. } => Some((item.at, index, "the entry was changed")),
            What::Disclosure { index, fits: false, .. } => {
                Some((item.at, index, "a disclosure's frame was changed"))
            }
            What::Disclosure { index, opening: Some(opening), .. }
                if opening.state == super::frame::State::Damaged =>
            {
                Some((item.at, index, "a disclosed value was changed"))
            }
            What::Checkpoint { intact: false, .. } => {
                Some((item.at, self.next.index, "a checkpoint was changed"))
            }
            What::Entry { .. } | What::Disclosure { .. } | What::Checkpoint { .. } => None,
        });
        in_items.or_else(|| self.broke.as_ref().map(|stop| (stop.at, stop.index, stop.why.text())))
    }
}

/// Reads the group at `at`. `Ok(None)` at the end of the segment.
pub(super) fn read_group<'a>(
    segment: &'a [u8],
    at: usize,
    next: Next,
) -> Result<Option<ReadGroup<'a>>, Stop> {
    read_group_of(segment, 0, at, next)
}

/// The same of a part of a segment, which begins at `base`; places are in the part.
pub(super) fn read_group_of<'a>(
    segment: &'a [u8],
    base: u64,
    at: usize,
    next: Next,
) -> Result<Option<ReadGroup<'a>>, Stop> {
    let stop = |why, may_be_torn| Stop { at, index: next.index, why, may_be_torn };
    let tail = segment.get(at..).unwrap_or_default();
    if tail.is_empty() {
        return Ok(None);
    }
    let Some(group) = Group::read(tail) else {
        return Err(stop(Why::Broken, later_group(segment, at).is_none()));
    };
    if group.number > next.group && group.first_index >= next.index {
        return Err(stop(Why::Gap, false));
    }
    let fits = group.number == next.group && group.first_index == next.index;
    let is_of_segment = group.offset == base + at as u64 && group.mac.is_some() == next.last.is_some();
    if !fits || !is_of_segment {
        return Err(stop(Why::Misplaced, false));
    }
    let body = at + group.frame_bytes();
    let end = body.saturating_add(usize::try_from(group.body_bytes).unwrap_or(usize::MAX));
    if end > segment.len() {
        return Err(stop(Why::Short, true));
    }
    Ok(Some(read_body(segment, body, end, next, group)))
}

fn read_body<'a>(segment: &'a [u8], body: usize, end: usize, next: Next, group: Group) -> ReadGroup<'a> {
    let (mut at, mut index, mut items, mut broke) = (body, next.index, Vec::new(), None);
    let torn = end == segment.len();
    while at < end {
        let Some(frame) = segment.get(at..end).and_then(Frame::read) else {
            broke = Some(Stop { at, index, why: Why::Broken, may_be_torn: torn });
            break;
        };
        let what = match frame.kind {
            Kind::Entry => {
                let (leaf, fits) = frame.entry(index);
                let place = if fits { Ok(()) } else { Err(written_at(&leaf, frame.check)) };
                index += 1;
                What::Entry { index: index - 1, bytes: frame.payload, leaf, place }
            }
            Kind::Disclosure => {
                let of = index.saturating_sub(1);
                let opening = frame.disclosure();
                let fits = opening.is_some_and(|o| o.index == of && index > next.index);
                What::Disclosure { index: of, opening, fits }
            }
            Kind::Checkpoint => What::Checkpoint { note: frame.payload, intact: frame.plain_is_intact() },
            Kind::Group => {
                broke = Some(Stop { at, index, why: Why::Broken, may_be_torn: torn });
                break;
            }
        };
        items.push(Item { at, what });
        at += frame.bytes();
    }
    if broke.is_none() && index - next.index != u64::from(group.entries) {
        broke = Some(Stop { at: body, index: next.index, why: Why::Miscounted, may_be_torn: torn });
    }
    let before = next.last;
    let next = Next { index: next.index + u64::from(group.entries), group: next.group + 1, last: group.mac };
    ReadGroup { group, before, items, end, next, broke }
}

/// The folder of the segments.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("segments")
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    folder(dir).join(format!("{number:010}.seg"))
}

/// The numbers of the segments that are there, in order. What is called a segment and is none is an error.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, LedgerError> {
    names(dir).map(|(numbers, _)| numbers)
}

/// What lies among the segments and is not called one, such as an editor's file. Nobody reads it.
pub(super) fn strays(dir: &Path) -> Result<Vec<OsString>, LedgerError> {
    names(dir).map(|(_, strays)| strays)
}

fn names(dir: &Path) -> Result<(Vec<u64>, Vec<OsString>), LedgerError> {
    let folder = folder(dir);
    let (mut numbers, mut strays) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
        let name = entry.map_err(io_error("list", &folder))?.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".seg")).filter(|n| is_digits(n));
        let Some(digits) = number else {
            strays.push(name);
            continue;
        };
        // one of another length stands for a segment that is there, or for one that is missing
        match digits.parse().ok().filter(|n| *digits == format!("{n:010}")) {
            Some(number) => numbers.push(number),
            None => {
                let source = std::io::Error::other("it is not a segment of the ledger");
                return Err(io_error("read", folder.join(name))(source));
            }
        }
    }
    numbers.sort_unstable();
    strays.sort_unstable();
    Ok((numbers, strays))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The header of a segment, if it is intact and is the one that must come next. Whether the log's key wrote it, the key says.
pub(super) fn header(segment: &[u8], number: u64, next: Next, log: u32) -> Option<SegmentHeader> {
    SegmentHeader::read(segment).filter(|header| *header == expected_header(number, next, log, header.mac))
}

pub(super) fn expected_header(number: u64, next: Next, log: u32, mac: Option<Mac>) -> SegmentHeader {
    SegmentHeader { number, first_index: next.index, first_group: next.group, log, mac }
}

/// Whether a segment is what a crash while creating it leaves: no group was ever in it.
pub(super) fn is_stillborn(segment: &[u8]) -> bool {
    segment.len() <= SEGMENT_HEADER_BYTES_MAX && SegmentHeader::read(segment).is_none()
}

/// Largest segment that is read: twice what the largest setting leads to.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// The bytes of a segment.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LedgerError> {
    size(path)?;
    fs::read(path).map_err(io_error("read", path))
}

/// How many bytes a segment has.
pub(super) fn size(path: &Path) -> Result<u64, LedgerError> {
    let found = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    if !found.is_file() || found.len() > SEGMENT_BYTES_MAX {
        return Err(io_error("read", path)(std::io::Error::other("it is not a segment of the ledger")));
    }
    Ok(found.len())
}

/// Whether the disclosure whose frame starts at `at` is marked erased by now.
pub(super) fn is_erased_by_now(path: &Path, at: usize) -> bool {
    let mut state = [KEPT];
    let place = (at + FRAME_HEADER_BYTES + STATE_AT) as u64;
    fs::File::open(path).and_then(|file| file.read_exact_at(&mut state, place)).is_ok() && state == [ERASED]
}
