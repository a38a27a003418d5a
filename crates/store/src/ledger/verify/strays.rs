//! What lies in an export and is no part of it: whoever reads the folder might take it for a part that was verified.

use super::{
    Evidence,
    report::{Damage, FINDINGS_MAX, Finding, Place},
};
use crate::ledger::{
    error::{LedgerError, io_error},
    merkle::TILE_WIDTH,
    open::PUBLIC_FILE,
    tiles,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files that were read, by their names in the folder.
#[derive(Default)]
pub(super) struct LookedAt(pub(super) BTreeSet<PathBuf>);

impl LookedAt {
    pub(super) fn add(&mut self, name: PathBuf) {
        self.0.insert(name);
    }

    /// The tiles above the leaves of a log of this size.
    pub(super) fn higher_tiles(&mut self, size: u64) {
        let mut below = size;
        for level in 1.. {
            below /= TILE_WIDTH;
            if below == 0 {
                return;
            }
            for n in 0..below.div_ceil(TILE_WIDTH) {
                let width = (below - n * TILE_WIDTH).min(TILE_WIDTH);
                self.add(tiles::tile_path(level, n, width));
            }
        }
    }

    /// Names every other file.
    pub(super) fn strays(&self, dir: &Path, evidence: &mut Evidence) -> Result<(), LedgerError> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let path = dir.join(&folder);
            for entry in fs::read_dir(&path).map_err(io_error("list", &path))? {
                let entry = entry.map_err(io_error("list", &path))?;
                let name = folder.join(entry.file_name());
                if entry.file_type().map_err(io_error("look at", entry.path()))?.is_dir() {
                    folders.push(name);
                } else if !self.knows(&name) && evidence.local.len() <= FINDINGS_MAX {
                    let name = name.display().to_string();
                    let what = format!(
                        "the file `{}` is no part of the export: nothing in it was verified",
                        name.escape_debug()
                    );
                    evidence.local.push(Finding::new(Damage::Unread, Place::Log, what));
                }
            }
        }
        Ok(())
    }

    fn knows(&self, name: &Path) -> bool {
        // every checkpoint is read, whatever it is called
        let at_top = [Path::new(PUBLIC_FILE), Path::new("checkpoint")].contains(&name);
        at_top || name.parent() == Some(Path::new("checkpoints")) || self.0.contains(name)
    }
}
