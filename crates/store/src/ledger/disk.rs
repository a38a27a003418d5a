//! Segment files, and the faults a test can give them.

use crate::inplace::WhichFile;
use parking_lot::Mutex;
use rustix::fs::FallocateFlags;
use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

/// Where the ledger writes. [`Disk::Faulty`] exists so that tests can fail what a disk can fail.
#[derive(Debug, Clone, Default)]
pub enum Disk {
    #[default]
    Real,
    Faulty(Arc<Faults>),
}

impl Disk {
    fn fault(&self, fits: fn(&Fault) -> bool) -> Option<Fault> {
        match self {
            Self::Real => None,
            Self::Faulty(faults) => faults.next_if(fits),
        }
    }
}

/// One thing a disk does wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next write puts down this many bytes and then finds the disk full.
    ShortWrite { bytes: usize },
    /// The next write finds the disk full.
    NoSpace,
    /// The next file that is begun finds no room for its name.
    NoName,
    /// The next time that room is laid out, there is not enough.
    NoRoom,
    /// The next sync reports an I/O error; the data may or may not be there.
    Sync,
    /// The next sync reports an I/O error, and the last bytes of the file have become zeros, as when
    /// the kernel dropped the pages.
    SyncLosesTail { bytes: u64 },
    /// The next truncation fails.
    Truncate,
}

/// The faults to come, first in, first out; each waits for an operation of its kind.
#[derive(Debug, Default)]
pub struct Faults {
    queue: Mutex<VecDeque<Fault>>,
}

impl Faults {
    pub fn push(&self, fault: Fault) {
        self.queue.lock().push_back(fault);
    }

    /// How many have not happened yet.
    pub fn waiting(&self) -> usize {
        self.queue.lock().len()
    }

    fn next_if(&self, fits: fn(&Fault) -> bool) -> Option<Fault> {
        let mut queue = self.queue.lock();
        if queue.front().is_some_and(fits) { queue.pop_front() } else { None }
    }
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// A segment as it was left, to see whether it is still there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    is: WhichFile,
    bytes: u64,
}

impl Left {
    pub(super) fn is_another(&self, other: &Self) -> bool {
        self.is != other.is
    }

    /// Why what is at the path is not that file, or not all of it.
    ///
    /// Errors: nothing is there, or it cannot be looked at.
    pub(super) fn differs(&self, path: &Path) -> io::Result<Option<&'static str>> {
        let (is, bytes) = WhichFile::at(path)?;
        Ok(match (is == self.is, bytes == self.bytes) {
            (true, true) => None,
            (true, false) => Some("the file is not as long as it was left"),
            (false, _) => Some("another file is in its place"),
        })
    }
}

/// A segment open for writing. Writes are positioned: a failed one can leave no hole.
#[derive(Debug)]
pub(super) struct SegmentFile {
    file: File,
    disk: Disk,
}

impl SegmentFile {
    pub(super) fn create(path: &Path, disk: &Disk) -> io::Result<Self> {
        if disk.fault(|f| matches!(f, Fault::NoName)).is_some() {
            return Err(full());
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, disk: disk.clone() })
    }

    pub(super) fn open(path: &Path, disk: &Disk) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, disk: disk.clone() })
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.disk.fault(|f| matches!(f, Fault::ShortWrite { .. } | Fault::NoSpace)) {
            Some(Fault::ShortWrite { bytes: some }) => {
                self.file.write_all_at(bytes.get(..some).unwrap_or(bytes), offset)?;
                Err(full())
            }
            Some(_) => Err(full()),
            None => self.file.write_all_at(bytes, offset),
        }
    }

    /// Takes blocks of the disk from `offset` on, beyond the file's end, which stays where it is.
    pub(super) fn lay_out(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match self.disk.fault(|f| matches!(f, Fault::NoRoom)) {
            Some(_) => Err(full()),
            None => Ok(rustix::io::retry_on_intr(|| {
                rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, bytes)
            })?),
        }
    }

    /// How long a file may be by the limit of this process, which somebody may change while it runs.
    pub(super) fn bytes_max() -> Option<u64> {
        rustix::process::getrlimit(rustix::process::Resource::Fsize).current
    }

    /// Gives back what was laid out behind the end, if the file is as long as it was left.
    pub(super) fn give_back(&self, bytes: u64) -> io::Result<()> {
        if self.bytes()? == bytes { self.file.set_len(bytes) } else { Ok(()) }
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        match self.disk.fault(|f| matches!(f, Fault::Sync | Fault::SyncLosesTail { .. })) {
            Some(Fault::SyncLosesTail { bytes }) => {
                let end = self.file.metadata()?.len();
                let start = end.saturating_sub(bytes);
                let zeros = vec![0; usize::try_from(end - start).unwrap_or_default()];
                self.file.write_all_at(&zeros, start)?;
                Err(broken())
            }
            Some(_) => Err(broken()),
            None => self.file.sync_data(),
        }
    }

    /// Cuts the file and makes the cut durable.
    pub(super) fn truncate(&self, bytes: u64) -> io::Result<()> {
        match self.disk.fault(|f| matches!(f, Fault::Truncate)) {
            Some(_) => Err(broken()),
            None => self.file.set_len(bytes).and_then(|()| self.file.sync_all()),
        }
    }

    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// This file, which should have so many bytes.
    pub(super) fn left(&self, bytes: u64) -> io::Result<Left> {
        Ok(Left { is: WhichFile::of(&self.file.metadata()?), bytes })
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
