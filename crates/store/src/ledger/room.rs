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
        match self {
            Self::Never => return Ok(()),
            Self::To(end) if *end >= at.saturating_add(bytes) => return Ok(()),
            Self::To(_) | Self::Not => {}
        }
        let generous = bytes.saturating_add(AHEAD);
        let laid_out = match file.lay_out(at, generous) {
            Err(error) if is_full(&error) => file.lay_out(at, bytes).map(|()| bytes),
            done => done.map(|()| generous),
        };
        *self = match laid_out {
            Ok(bytes) => Self::To(at.saturating_add(bytes)),
            Err(error) if cannot(&error) => {
                tracing::info!(%error, "no room can be laid out on this file system: how a call ended may find the disk full");
                Self::Never
            }
            Err(error) => return Err(error),
        };
        Ok(())
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
