//! Whether a file that is open is still the one that its path leads to. Whatever is written to one that was replaced is gone
//! with it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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

/// Files that make one thing, each with which one it was when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Together(Vec<(PathBuf, WhichFile)>);

impl Together {
    pub(crate) fn at(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let which = |path: PathBuf| {
            let (is, _) = WhichFile::at(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))?;
            Ok((path, is))
        };
        paths.into_iter().map(which).collect::<io::Result<_>>().map(Self)
    }

    /// The first that is not there any more, or is another. Looks at the disk, for a microsecond each.
    pub(crate) fn missing(&self) -> Option<&Path> {
        let is_there =
            |(path, is): &&(PathBuf, WhichFile)| WhichFile::at(path).is_ok_and(|(found, _)| found == *is);
        self.0.iter().find(|one| !is_there(one)).map(|(path, _)| path.as_path())
    }
}
