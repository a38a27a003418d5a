//! Whether a file that is open is still the one that its path leads to. Whatever is written to one that was replaced is gone
//! with it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Which file it is, by whatever path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WhichFile {
    device: u64,
    inode: u64,
}

impl WhichFile {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }

    /// What is at the path, and its length in bytes.
    pub(crate) fn at(path: &Path) -> io::Result<(Self, u64)> {
        fs::metadata(path).map(|found| (Self::of(&found), found.len()))
    }
}
