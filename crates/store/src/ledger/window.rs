//! A segment, some bytes at a time: what is read once and in order needs no memory for all of it.

use super::{
    error::{LedgerError, io_error},
    segment,
};
use std::{fs::File, io::Read, path::Path};

/// A part of a file, which moves towards its end.
pub(super) struct Window {
    file: File,
    bytes: Vec<u8>,
    filled: usize,
    /// Where the part begins.
    pub(super) base: u64,
    /// Of the whole file, when it was opened.
    pub(super) size: u64,
}

impl Window {
    /// The first `most` bytes of a segment, or all it has.
    pub(super) fn open(path: &Path, most: usize) -> Result<Self, LedgerError> {
        let size = segment::size(path)?;
        let file = File::open(path).map_err(io_error("open", path))?;
        let most = usize::try_from(size).unwrap_or(usize::MAX).min(most);
        let mut window = Self { file, bytes: vec![0; most], filled: 0, base: 0, size };
        window.fill().map_err(io_error("read", path))?;
        Ok(window)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Whether the file ends with the part.
    pub(super) fn is_last(&self) -> bool {
        self.base + self.filled as u64 == self.size
    }

    /// Moves on to `from`, and says where that is now: at the beginning. `None` when the file is not what it was.
    pub(super) fn slide(&mut self, from: usize) -> Option<usize> {
        self.bytes.copy_within(from..self.filled, 0);
        self.filled -= from;
        self.base += from as u64;
        self.fill().ok()?;
        Some(0)
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let left = self.size - self.base - self.filled as u64;
        let room = self.bytes.len() - self.filled;
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(room);
        if let Some(free) = self.bytes.get_mut(self.filled..self.filled + take) {
            self.file.read_exact(free)?;
            self.filled += take;
        }
        Ok(())
    }
}
