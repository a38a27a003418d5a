//! The tree that is judged: every file git knows or would add, by path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Larger files are data, not something a person reads.
const FILE_BYTES_MAX: u64 = 2_000_000;

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Every text file of the tree by its path from the root, with `/`; files that are not UTF-8 are there with no text.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads what git lists under the root: tracked, and new but not ignored.
    pub(crate) fn load() -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root())
            .output()
            .context("git is needed to list the tree")?;
        ensure!(
            listed.status.success(),
            "git cannot list the tree: {}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let mut tree = Self::default();
        for path in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|path| !path.is_empty()) {
            let full = root().join(path);
            let Ok(about) = std::fs::metadata(&full) else { continue };
            let text = if about.is_file() && about.len() <= FILE_BYTES_MAX {
                std::fs::read(&full).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            } else {
                None
            };
            tree.0.insert(path.to_owned(), text.unwrap_or_default());
        }
        Ok(tree)
    }

    /// A tree for a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Every file, in the order of paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files whose name ends so.
    pub(crate) fn ending(&self, end: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(path, _)| path.ends_with(end))
    }

    /// One file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether a file or a folder with files is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.0.contains_key(path)
            || self.0.range(folder.clone()..).next().is_some_and(|(name, _)| name.starts_with(&folder))
    }
}
