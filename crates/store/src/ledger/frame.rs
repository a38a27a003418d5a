//! How a segment is laid out, byte by byte. All numbers are big-endian. Pure.
//!
//! ```text
//! segment  = header group*
//! header   = "callgate ledger\n" version:u32 number:u64 first_index:u64 first_group:u64 log:u32 mac:[u8; 32]? check:u32
//! group    = frame(GROUP) (frame(ENTRY) frame(DISCLOSURE)*)* frame(CHECKPOINT)?
//! frame    = length:u32 check:u32 kind:u8 payload
//! GROUP    = "\0group\0\n" number:u64 offset:u64 first_index:u64 body_bytes:u32 entries:u32 mac:[u8; 32]?
//! ```
//!
//! Version 2 is written, and has both MACs, which `keyed` says; version 1 has none, and is read.
//!
//! A group is what one `fdatasync` made durable. Its own frame says where it stands, how long it is
//! and which entries it holds, so an end that was torn off can be told from damage in the middle.
//!
//! The check of an entry is the first four bytes of its leaf hash, added to its index: the hash is
//! needed for the tree anyway, and an intact entry in the wrong place names the place it came from.
//! The check of a disclosure leaves out salt, value and their own check, so that they can be
//! overwritten with zeros.

use super::{
    keyed::{MAC_BYTES, Mac},
    merkle,
};
use decision::{Digest, Slot};

/// Longest entry: what a bundle of C2SP tlog-tiles can carry, with room to spare.
pub const ENTRY_BYTES_MAX: usize = 60 * 1024;
/// Longest disclosed value.
pub const VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(super) const SEGMENT_MAGIC: &[u8; 16] = b"callgate ledger\n";
/// Without a MAC, and with one.
const SEGMENT_VERSIONS: [u32; 2] = [1, 2];
const SEGMENT_HEADER_BYTES: usize = 16 + 4 + 8 + 8 + 8 + 4 + 4;
pub(super) const SEGMENT_HEADER_BYTES_MAX: usize = SEGMENT_HEADER_BYTES + MAC_BYTES;
pub(super) const FRAME_HEADER_BYTES: usize = 4 + 4 + 1;
/// Neither JSON nor base64 can contain it.
pub(super) const GROUP_MAGIC: &[u8; 8] = b"\0group\0\n";
pub(super) const GROUP_BYTES: usize = 8 + 8 + 8 + 8 + 4 + 4;
/// Index, slot, state and check, before salt and value.
pub(super) const DISCLOSURE_HEAD_BYTES: usize = 8 + 1 + 1 + 4;
pub(super) const SALT_BYTES: usize = 32;
/// Where in a disclosure's payload the state byte is.
pub(super) const STATE_AT: usize = 9;
pub(super) const KEPT: u8 = 0;
pub(super) const ERASED: u8 = 1;

/// The kinds of frames. An entry is zero, so that its check is taken from its leaf hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entry,
    Disclosure,
    Checkpoint,
    Group,
}

impl Kind {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Entry => 0,
            Self::Disclosure => 2,
            Self::Checkpoint => 3,
            Self::Group => 4,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Entry),
            2 => Some(Self::Disclosure),
            3 => Some(Self::Checkpoint),
            4 => Some(Self::Group),
            _ => None,
        }
    }
}

fn cut(digest: &Digest) -> u32 {
    let [a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}

fn low(index: u64) -> u32 {
    u32::try_from(index & u64::from(u32::MAX)).unwrap_or_default()
}

/// The check of an entry at its place.
pub(super) fn entry_check(leaf: &Digest, index: u64) -> u32 {
    cut(leaf).wrapping_add(low(index))
}

/// The low half of the index that an intact entry was written at.
pub(super) fn written_at(leaf: &Digest, check: u32) -> u32 {
    check.wrapping_sub(cut(leaf))
}

/// Checks of every kind but entries; of a disclosure, `covered` is what erasing leaves alone.
fn plain_check(kind: Kind, length: u32, covered: &[u8]) -> u32 {
    cut(&Digest::of_parts(&[&[kind.byte()], &length.to_be_bytes(), covered]))
}

fn put(out: &mut Vec<u8>, length: u32, check: u32, kind: Kind) {
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&check.to_be_bytes());
    out.push(kind.byte());
}

/// Lengths are bounded far below four gigabytes before anything is written.
pub(super) fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

pub(super) fn put_entry(out: &mut Vec<u8>, entry: &[u8], leaf: &Digest, index: u64) {
    put(out, length_of(entry.len()), entry_check(leaf, index), Kind::Entry);
    out.extend_from_slice(entry);
}

pub(super) fn slot_byte(slot: Slot) -> u8 {
    match slot {
        Slot::Arguments => 0,
        Slot::Result => 1,
    }
}

fn slot_of(byte: u8) -> Option<Slot> {
    match byte {
        0 => Some(Slot::Arguments),
        1 => Some(Slot::Result),
        _ => None,
    }
}

fn opening_check(salt_and_value: &[u8]) -> u32 {
    cut(&Digest::of(salt_and_value))
}

pub(super) fn put_disclosure(out: &mut Vec<u8>, index: u64, opening: &decision::Disclosure) {
    let length = length_of(DISCLOSURE_HEAD_BYTES + SALT_BYTES + opening.value.len());
    let mut covered = index.to_be_bytes().to_vec();
    covered.push(slot_byte(opening.slot));
    put(out, length, plain_check(Kind::Disclosure, length, &covered), Kind::Disclosure);
    out.extend_from_slice(&covered);
    out.push(KEPT);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&opening.salt);
    out.extend_from_slice(&opening.value);
    let check = opening_check(out.get(at + 4..).unwrap_or_default());
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&check.to_be_bytes());
    }
}

pub(super) fn put_checkpoint(out: &mut Vec<u8>, note: &str) {
    let length = length_of(note.len());
    put(out, length, plain_check(Kind::Checkpoint, length, note.as_bytes()), Kind::Checkpoint);
    out.extend_from_slice(note.as_bytes());
}

/// The frame a group starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Counts groups over the life of the log, from zero.
    pub(super) number: u64,
    /// Where in the segment this frame starts.
    pub(super) offset: u64,
    pub(super) first_index: u64,
    /// Bytes of the frames that follow.
    pub(super) body_bytes: u32,
    pub(super) entries: u32,
    pub(super) mac: Option<Mac>,
}

/// Of a group without a MAC.
pub(super) const GROUP_FRAME_BYTES: usize = FRAME_HEADER_BYTES + GROUP_BYTES;
/// Of one that has it.
pub(super) const KEYED_GROUP_FRAME_BYTES: usize = GROUP_FRAME_BYTES + MAC_BYTES;

impl Group {
    /// Bytes of its own frame.
    pub(super) fn frame_bytes(&self) -> usize {
        if self.mac.is_some() { KEYED_GROUP_FRAME_BYTES } else { GROUP_FRAME_BYTES }
    }

    /// What its frame says but for the MAC.
    pub(super) fn place(&self) -> Vec<u8> {
        let mut payload = GROUP_MAGIC.to_vec();
        payload.extend_from_slice(&self.number.to_be_bytes());
        payload.extend_from_slice(&self.offset.to_be_bytes());
        payload.extend_from_slice(&self.first_index.to_be_bytes());
        payload.extend_from_slice(&self.body_bytes.to_be_bytes());
        payload.extend_from_slice(&self.entries.to_be_bytes());
        payload
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = self.place();
        payload.extend_from_slice(self.mac.as_ref().map_or(&[][..], |mac| mac));
        let length = length_of(payload.len());
        let mut out = Vec::with_capacity(self.frame_bytes());
        put(&mut out, length, plain_check(Kind::Group, length, &payload), Kind::Group);
        out.extend_from_slice(&payload);
        out
    }

    /// Reads the group frame at the start of `bytes`, if it is one and intact.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let frame = Frame::read(bytes)?;
        if frame.kind != Kind::Group || !frame.plain_is_intact() {
            return None;
        }
        let mut rest = frame.payload;
        if take::<8>(&mut rest)? != *GROUP_MAGIC {
            return None;
        }
        let group = Self {
            number: u64::from_be_bytes(take(&mut rest)?),
            offset: u64::from_be_bytes(take(&mut rest)?),
            first_index: u64::from_be_bytes(take(&mut rest)?),
            body_bytes: u32::from_be_bytes(take(&mut rest)?),
            entries: u32::from_be_bytes(take(&mut rest)?),
            mac: take_mac(&mut rest),
        };
        rest.is_empty().then_some(group)
    }
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// The MAC where there is room for one.
fn take_mac(rest: &mut &[u8]) -> Option<Mac> {
    if rest.is_empty() { None } else { take(rest) }
}

/// One frame as it stands in a segment, not yet checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) check: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `bytes`. `None` when it is cut short or of no known kind.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let length = u32::from_be_bytes(take(&mut rest)?);
        let check = u32::from_be_bytes(take(&mut rest)?);
        let [kind] = take(&mut rest)?;
        let payload = rest.get(..usize::try_from(length).ok()?)?;
        Some(Self { kind: Kind::of(kind)?, check, payload })
    }

    pub(super) fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload.len()
    }

    /// Whether a checkpoint or group frame is as it was written.
    pub(super) fn plain_is_intact(&self) -> bool {
        plain_check(self.kind, length_of(self.payload.len()), self.payload) == self.check
    }

    /// The disclosure in this frame, if its index, slot and length are as they were written.
    pub(super) fn disclosure(&self) -> Option<Opening<'a>> {
        let covered = self.payload.get(..STATE_AT)?;
        if plain_check(Kind::Disclosure, length_of(self.payload.len()), covered) != self.check {
            return None;
        }
        let mut rest = self.payload;
        let index = u64::from_be_bytes(take(&mut rest)?);
        let [slot] = take(&mut rest)?;
        let [state] = take(&mut rest)?;
        let check = u32::from_be_bytes(take(&mut rest)?);
        let opening = rest;
        let salt = take::<SALT_BYTES>(&mut rest)?;
        let state = match state {
            KEPT if opening_check(opening) == check => State::Kept,
            KEPT => State::Damaged,
            ERASED if check == 0 && opening.iter().all(|b| *b == 0) => State::Erased,
            ERASED => State::HalfErased,
            _ => State::Damaged,
        };
        Some(Opening { index, slot: slot_of(slot)?, state, salt, value: rest })
    }

    /// The leaf hash, and whether the entry is intact and in its place.
    pub(super) fn entry(&self, index: u64) -> (Digest, bool) {
        let leaf = merkle::leaf(self.payload);
        (leaf, entry_check(&leaf, index) == self.check && !self.payload.is_empty())
    }
}

/// What became of a disclosed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Kept,
    Erased,
    /// Marked erased, and the machine stopped before all of it was overwritten.
    HalfErased,
    Damaged,
}

/// A disclosure as it stands in a segment.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) index: u64,
    pub(super) slot: Slot,
    pub(super) state: State,
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) value: &'a [u8],
}

impl Opening<'_> {
    pub(super) fn disclosure(&self) -> decision::Disclosure {
        decision::Disclosure { slot: self.slot, salt: self.salt, value: self.value.to_vec().into() }
    }
}

/// What a segment's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) first_index: u64,
    pub(super) first_group: u64,
    /// The id of the log's key: a segment of another log is not taken for one of this.
    pub(super) log: u32,
    pub(super) mac: Option<Mac>,
}

impl SegmentHeader {
    /// Bytes of the header.
    pub(super) fn bytes(&self) -> usize {
        if self.mac.is_some() { SEGMENT_HEADER_BYTES_MAX } else { SEGMENT_HEADER_BYTES }
    }

    /// What it says but for MAC and check.
    pub(super) fn place(&self) -> Vec<u8> {
        let [plain, keyed] = SEGMENT_VERSIONS;
        let version = if self.mac.is_some() { keyed } else { plain };
        let mut out = SEGMENT_MAGIC.to_vec();
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.first_index.to_be_bytes());
        out.extend_from_slice(&self.first_group.to_be_bytes());
        out.extend_from_slice(&self.log.to_be_bytes());
        out
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.place();
        out.extend_from_slice(self.mac.as_ref().map_or(&[][..], |mac| mac));
        let check = cut(&Digest::of(&out));
        out.extend_from_slice(&check.to_be_bytes());
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if take::<16>(&mut rest)? != *SEGMENT_MAGIC {
            return None;
        }
        let version = u32::from_be_bytes(take(&mut rest)?);
        let keyed = version == SEGMENT_VERSIONS[1];
        if !SEGMENT_VERSIONS.contains(&version) {
            return None;
        }
        let header = Self {
            number: u64::from_be_bytes(take(&mut rest)?),
            first_index: u64::from_be_bytes(take(&mut rest)?),
            first_group: u64::from_be_bytes(take(&mut rest)?),
            log: u32::from_be_bytes(take(&mut rest)?),
            mac: if keyed { Some(take(&mut rest)?) } else { None },
        };
        let covered = bytes.get(..header.bytes() - 4)?;
        (u32::from_be_bytes(take(&mut rest)?) == cut(&Digest::of(covered))).then_some(header)
    }
}

/// Whether an intact group that belongs at its place starts anywhere in `segment` after `from`.
/// Such a group was written after everything before it was durable.
pub(super) fn later_group(segment: &[u8], from: usize) -> Option<Group> {
    let tail = segment.get(from..)?;
    tail.windows(GROUP_MAGIC.len()).enumerate().filter(|(_, window)| window == GROUP_MAGIC).find_map(
        |(at, _)| {
            let start = (from + at).checked_sub(FRAME_HEADER_BYTES)?;
            let group = Group::read(segment.get(start..)?)?;
            (start > from && group.offset == u64::try_from(start).ok()?).then_some(group)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_in_the_wrong_place_names_the_place_it_came_from() {
        let mut out = Vec::new();
        put_entry(&mut out, b"{}", &merkle::leaf(b"{}"), 5_000_000_007);
        let frame = Frame::read(&out).unwrap();
        assert!(frame.entry(5_000_000_007).1);
        let (leaf, fits) = frame.entry(5_000_000_008);
        assert!(!fits);
        assert_eq!(u64::from(written_at(&leaf, frame.check)), 5_000_000_007 & 0xffff_ffff);
    }

    #[test]
    fn a_disclosure_can_be_overwritten_and_its_frame_still_holds() {
        let opening =
            decision::Disclosure { slot: Slot::Result, salt: [9; 32], value: b"alice".to_vec().into() };
        let mut out = Vec::new();
        put_disclosure(&mut out, 3, &opening);
        assert_eq!(Frame::read(&out).unwrap().disclosure().unwrap().disclosure(), opening);
        assert_eq!(Frame::read(&out).unwrap().disclosure().unwrap().state, State::Kept);
        *out.last_mut().unwrap() ^= 1;
        assert_eq!(Frame::read(&out).unwrap().disclosure().unwrap().state, State::Damaged);
        out[FRAME_HEADER_BYTES + STATE_AT] = ERASED;
        assert_eq!(Frame::read(&out).unwrap().disclosure().unwrap().state, State::HalfErased);
        out[FRAME_HEADER_BYTES + STATE_AT + 1..].fill(0);
        assert_eq!(Frame::read(&out).unwrap().disclosure().unwrap().state, State::Erased);
        out[FRAME_HEADER_BYTES] ^= 1;
        assert!(Frame::read(&out).unwrap().disclosure().is_none(), "another index");
    }

    #[test]
    fn a_group_is_found_again_only_where_it_says_it_stands() {
        for mac in [None, Some([7; MAC_BYTES])] {
            let group = Group { number: 4, offset: 20, first_index: 9, body_bytes: 0, entries: 0, mac };
            let mut segment = vec![0; 20];
            segment.extend(group.encode());
            assert_eq!(segment.len() - 20, group.frame_bytes());
            assert_eq!(later_group(&segment, 3), Some(group));
            assert_eq!(later_group(&segment, 20), None, "not after itself");
            segment.insert(0, 0);
            assert_eq!(later_group(&segment, 3), None, "moved by one byte");
        }
    }

    #[test]
    fn every_flip_in_a_segment_header_is_seen() {
        for mac in [None, Some([7; MAC_BYTES])] {
            let header = SegmentHeader { number: 1, first_index: 2, first_group: 3, log: 4, mac };
            let bytes = header.encode();
            assert_eq!((bytes.len(), SegmentHeader::read(&bytes)), (header.bytes(), Some(header)));
            for at in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                assert_eq!(SegmentHeader::read(&flipped), None, "bit {at}");
            }
        }
    }
}
