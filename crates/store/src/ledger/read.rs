//! Reading entries, disclosures and proofs of a ledger that is open.

use super::{
    error::{LedgerError, io_error},
    frame::{DISCLOSURE_HEAD_BYTES, FRAME_HEADER_BYTES, Frame, Kind, SALT_BYTES, State, VALUE_BYTES_MAX},
    merkle::{self, ConsistencyProof, InclusionProof, NoProof, TILE_HEIGHT},
    open::Position,
    segment,
};
use decision::{Digest, Disclosure, Slot};
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// One read stops after the entry that makes it this long.
pub(super) const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where the entry with an index starts. Looked up one by one, so that no lock is held over a read.
pub(super) type Places<'a> = &'a dyn Fn(u64) -> Option<Position>;

fn position(places: Places<'_>, index: u64) -> Result<Position, LedgerError> {
    places(index).ok_or(LedgerError::NoEntry { index })
}

fn open(dir: &Path, number: u32) -> Result<File, LedgerError> {
    let path = segment::path(dir, u64::from(number));
    File::open(&path).map_err(io_error("open", &path))
}

/// The bytes of the frame at `at`, or `None` where the file ends.
fn frame_at(file: &File, at: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let length = bytes.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > DISCLOSURE_HEAD_BYTES + SALT_BYTES + VALUE_BYTES_MAX {
        return Ok(None);
    }
    bytes.resize(FRAME_HEADER_BYTES + length, 0);
    let payload = bytes.get_mut(FRAME_HEADER_BYTES..).unwrap_or_default();
    file.read_exact_at(payload, at + FRAME_HEADER_BYTES as u64)?;
    Ok(Some(bytes))
}

fn damaged(place: Position, entry: u64, what: &str) -> LedgerError {
    LedgerError::Damaged {
        segment: u64::from(place.segment),
        offset: u64::from(place.offset),
        entry,
        what: what.to_owned(),
    }
}

/// The entry at `place` with its leaf hash; refused when it is not what was written there.
fn entry_in(file: &File, dir: &Path, place: Position, index: u64) -> Result<(Vec<u8>, Digest), LedgerError> {
    let path = || segment::path(dir, u64::from(place.segment));
    let bytes = frame_at(file, u64::from(place.offset)).map_err(|e| io_error("read", path())(e))?;
    let changed = || damaged(place, index, "the entry was changed");
    let mut bytes = bytes.ok_or_else(changed)?;
    let leaf = match Frame::read(&bytes) {
        Some(frame) if frame.kind == Kind::Entry => match frame.entry(index) {
            (leaf, true) => leaf,
            (_, false) => return Err(changed()),
        },
        Some(_) | None => return Err(changed()),
    };
    bytes.drain(..FRAME_HEADER_BYTES);
    Ok((bytes, leaf))
}

/// Calls `each` with the entries `from..to`, which are all in the log, as long as it wants more.
fn each_entry(
    dir: &Path,
    places: Places<'_>,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(u64, Vec<u8>, Digest) -> bool,
) -> Result<(), LedgerError> {
    let mut file: Option<(u32, File)> = None;
    for index in from..to {
        let place = position(places, index)?;
        let current = match file.take() {
            Some((number, open)) if number == place.segment => open,
            Some(_) | None => open(dir, place.segment)?,
        };
        let (bytes, leaf) = entry_in(&current, dir, place, index)?;
        if !each(index, bytes, leaf) {
            break;
        }
        file = Some((place.segment, current));
    }
    Ok(())
}

pub(super) fn entry(dir: &Path, places: Places<'_>, index: u64) -> Result<Vec<u8>, LedgerError> {
    let place = position(places, index)?;
    Ok(entry_in(&open(dir, place.segment)?, dir, place, index)?.0)
}

pub(super) fn entries(
    dir: &Path,
    places: Places<'_>,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
    let (mut out, mut bytes) = (Vec::new(), 0);
    each_entry(dir, places, from, to, &mut |index, entry, _| {
        bytes += entry.len();
        out.push((index, entry));
        bytes < READ_BYTES_MAX
    })?;
    Ok(out)
}

/// A disclosure, where its frame starts and what became of it.
pub(super) struct Found {
    pub(super) segment: u32,
    pub(super) at: u64,
    pub(super) state: State,
    pub(super) disclosure: Disclosure,
}

/// Looks for the disclosure behind its entry: they are written together.
pub(super) fn disclosure(
    dir: &Path,
    places: Places<'_>,
    index: u64,
    slot: Slot,
) -> Result<Option<Found>, LedgerError> {
    let place = position(places, index)?;
    let path = segment::path(dir, u64::from(place.segment));
    let file = open(dir, place.segment)?;
    let mut at = u64::from(place.offset);
    for first in [true, false, false, false] {
        let Some(bytes) = frame_at(&file, at).map_err(io_error("read", &path))? else { return Ok(None) };
        let Some(frame) = Frame::read(&bytes) else { return Ok(None) };
        if !first {
            if frame.kind != Kind::Disclosure {
                return Ok(None);
            }
            let opening = frame.disclosure().filter(|o| o.index == index);
            let opening = opening.ok_or_else(|| damaged(place, index, "a disclosure's frame was changed"))?;
            if opening.slot == slot {
                let (state, disclosure) = (opening.state, opening.disclosure());
                return Ok(Some(Found { segment: place.segment, at, state, disclosure }));
            }
        }
        at += frame.bytes() as u64;
    }
    Ok(None)
}

/// What proofs are cut from: tile hashes in memory, leaves on disk.
pub(super) struct Hashes<'a> {
    pub(super) dir: &'a Path,
    pub(super) places: Places<'a>,
    /// The hash of a full tile.
    pub(super) tile: &'a dyn Fn(u64) -> Option<Digest>,
    /// Entries in the log.
    pub(super) size: u64,
}

impl Hashes<'_> {
    fn subtree(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let (from, to) = (index << level, (index + 1) << level);
        let mut tree = merkle::Tree::default();
        if level < TILE_HEIGHT {
            each_entry(self.dir, self.places, from, to, &mut |_, _, leaf| {
                tree.push(leaf);
                true
            })?;
        } else {
            for n in from >> TILE_HEIGHT..to >> TILE_HEIGHT {
                tree.push((self.tile)(n).ok_or(LedgerError::NoEntry { index: n << TILE_HEIGHT })?);
            }
        }
        Ok(tree.root())
    }

    pub(super) fn inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, LedgerError> {
        if index >= size || size > self.size {
            return Err(NoProof { from: index, size }.into());
        }
        let hashes = merkle::inclusion(&mut |level, n| self.subtree(level, n), index, size)?;
        Ok(InclusionProof { index, size, hashes })
    }

    pub(super) fn consistency(&self, old: u64, size: u64) -> Result<ConsistencyProof, LedgerError> {
        if old > size || size > self.size {
            return Err(NoProof { from: old, size }.into());
        }
        let hashes = merkle::consistency(&mut |level, n| self.subtree(level, n), old, size)?;
        Ok(ConsistencyProof { old, size, hashes })
    }
}
