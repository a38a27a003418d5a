//! How much of the ledger the database had, said beside the ledger: a database with less is an older copy, or was begun anew.
//! What people decided since, what is spent and which keys were used is not in it, and would all count once more.

use anyhow::Context as _;
use decision::counted;
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use store::Store;

/// In the ledger's folder. Whoever loses it is told less, and nothing wrong.
fn path(dir: &Path) -> PathBuf {
    dir.join("indexed")
}

/// Says that the database has so many entries of this log, which it must have durably.
pub(crate) fn note(dir: &Path, log: &str, entries: u64) -> io::Result<()> {
    let new = path(dir).with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{log} {entries}")?;
    // a name that leads to no bytes yet would say less after a stop of the machine than the one before it
    file.sync_all()?;
    fs::rename(new, path(dir))?;
    fs::File::open(dir)?.sync_all()
}

/// How many entries the database had of this log.
fn noted(dir: &Path, log: &str) -> Option<u64> {
    let text = fs::read_to_string(path(dir)).ok()?;
    let (of, entries) = text.trim_end().split_once(' ')?;
    entries.parse().ok().filter(|_| of == log)
}

/// A database that has less of the ledger than it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database is an older copy, or was begun anew: it had {had} of this ledger's entries and has {has}. What was decided, \
     spent and revoked since, and which idempotency keys were used, is not in it: restore the newer one; or go on with \
     `callgate audit rebuild-index --accept-older-database`, and look at what the record says since"
)]
pub(crate) struct Older {
    pub(crate) had: u64,
    pub(crate) has: u64,
}

impl Older {
    /// What is said once somebody went on with it.
    pub(crate) fn accepted(&self, ended: usize) -> String {
        format!(
            "what the database had of {} is lost, and the record says so; {} ended, so people are asked anew: \
             look at tokens that were revoked and people who were removed since, and know that idempotency keys of that time \
             are good once more",
            counted(self.had - self.has, "entry"),
            counted(ended, "approval") + if ended == 1 { " is" } else { " are" },
        )
    }
}

/// How many entries of the ledger in this folder its database had, where it had some.
pub(crate) fn had(dir: &Path) -> Option<u64> {
    noted(dir, store::ledger::public_key(dir)?.origin()).filter(|entries| *entries > 0)
}

/// Whether the database has less of the ledger in this folder than it had.
pub(crate) async fn older(store: &Store, dir: &Path) -> anyhow::Result<Option<Older>> {
    let Some(key) = store::ledger::public_key(dir) else { return Ok(None) };
    let Some(had) = had(dir) else { return Ok(None) };
    let has = store.known_entries(key.origin()).await.context("how much the database has of the ledger")?;
    Ok((has < had).then_some(Older { had, has }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_of_one_log_and_the_last_is_good() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(noted(dir.path(), "a"), None);
        note(dir.path(), "a", 7).unwrap();
        note(dir.path(), "a", 9).unwrap();
        assert_eq!((noted(dir.path(), "a"), noted(dir.path(), "b")), (Some(9), None));
        fs::write(path(dir.path()), "a x\n").unwrap();
        assert_eq!(noted(dir.path(), "a"), None);
    }
}
