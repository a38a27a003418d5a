//! Room on the disk, laid out ahead of what is written: what has begun can be recorded to its end, however full the disk
//! becomes meanwhile.
//!
//! The blocks are asked for behind the segment's end, which stays where it is (`fallocate(2)` with
//! `FALLOC_FL_KEEP_SIZE`): nothing of them is to be read, and no length says that they are there.

use super::disk::SegmentFile;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Always kept: the ends of a few calls whose entries are of the largest kind, and a checkpoint.
const LEAST: u64 = 256 * 1024;
/// Kept for the end of each call that has begun: more than its decision has, without values that are kept beside it.
const EACH: u64 = 16 * 1024;
/// Without this much beside what is kept no other call begins: an intent and the events beside it.
pub(super) const STEP: u64 = 128 * 1024;
/// More than stands around the entries of a group: its frame, and a checkpoint.
pub(super) const GROUP: u64 = 4 * 1024;
/// What is laid out ends at a multiple of this. The next piece begins there: a disk that has no room for it may take back all
/// that it was asked for, and is not asked for the same twice.
const GRAIN: u64 = 64 * 1024;
/// Asked for beyond what is kept, so that few groups have to ask.
const AHEAD: u64 = 1024 * 1024;

/// Room for how something that has begun ends. It is given back when this is dropped.
#[derive(Debug)]
pub struct KeptRoom(Arc<AtomicUsize>);

impl KeptRoom {
    pub(super) fn new(begun: &Arc<AtomicUsize>) -> Self {
        begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(begun))
    }
}

impl Default for KeptRoom {
    /// Room of no ledger.
    fn default() -> Self {
        Self::new(&Arc::default())
    }
}

impl Drop for KeptRoom {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that are to be laid out behind whatever is written, while so many ends are awaited.
pub(super) fn wanted(begun: usize) -> u64 {
    LEAST.saturating_add(EACH.saturating_mul(begun as u64))
}

/// How far a segment is laid out.
#[derive(Debug, Default)]
pub(super) enum LaidOut {
    /// Nothing is known of it yet.
    #[default]
    Not,
    /// To this place.
    To(u64),
    /// The file system does not do that: whether there is room is found out by writing.
    Never,
}

impl LaidOut {
    /// Lays the file out from its end `at` over so many bytes, where it is not yet.
    ///
    /// Errors: the disk has no room for them, or the file may not become so long.
    pub(super) fn reach(&mut self, file: &SegmentFile, at: u64, bytes: u64) -> io::Result<()> {
        // no file system asks for that before it is written: nothing becomes longer by blocks alone
        within(SegmentFile::bytes_max(), at.saturating_add(bytes))?;
        let from = match self {
            Self::Never => return Ok(()),
            Self::To(end) if *end >= at.saturating_add(bytes) => return Ok(()),
            Self::To(end) => at.max(*end),
            Self::Not => at,
        };
        let upto = |bytes: u64| at.saturating_add(bytes).next_multiple_of(GRAIN);
        let generous = upto(bytes.saturating_add(AHEAD));
        let laid_out = match file.lay_out(from, generous - from) {
            Err(error) if is_full(&error) => {
                let enough = upto(bytes);
                file.lay_out(from, enough - from).map(|()| enough)
            }
            done => done.map(|()| generous),
        };
        *self = match laid_out {
            Ok(end) => Self::To(end),
            Err(error) if cannot(&error) => {
                tracing::info!(%error, "no room can be laid out on this file system: how a call ended may find the disk full");
                Self::Never
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Whether it is laid out so far, or is found out by writing only.
    pub(super) fn reaches(&self, end: u64) -> bool {
        match self {
            Self::To(laid_out) => *laid_out >= end,
            Self::Not | Self::Never => true,
        }
    }

    /// The file was cut behind its end.
    pub(super) fn is_given_back(&mut self) {
        if let Self::To(_) = self {
            *self = Self::Not;
        }
    }
}

fn within(bytes_max: Option<u64>, end: u64) -> io::Result<()> {
    match bytes_max.filter(|max| end > *max) {
        Some(max) => {
            let why = format!("this process may have no file of more than {max} bytes (RLIMIT_FSIZE)");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
        }
        None => Ok(()),
    }
}

/// The file system has no such thing. Whatever else is wrong, nothing may begin.
fn cannot(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_become_so_long_has_no_room() {
        assert!(within(None, u64::MAX).is_ok() && within(Some(10), 10).is_ok());
        let error = within(Some(10), 11).unwrap_err();
        assert!(!cannot(&error), "nothing may begin: {error}");
        assert!(error.to_string().contains("10 bytes (RLIMIT_FSIZE)"), "{error}");
    }
}
