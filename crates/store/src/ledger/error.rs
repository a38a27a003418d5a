//! What can go wrong with a ledger.

use super::{merkle::NoProof, note::NoteError};
use decision::{CallId, Slot};
use std::{io, path::PathBuf, sync::Arc};

/// A fault of the ledger. Cloned to every waiter of a group that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    #[error("another gateway has the ledger `{}` open", dir.display())]
    Locked { dir: PathBuf },
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// Nothing of the append is in the ledger, and nothing may be done that it was to record.
    #[error("the ledger cannot be written now: {because}")]
    Unavailable { because: String },
    /// The files are not as they were written. Run the verification; keep the folder as evidence.
    #[error(
        "the ledger is damaged at entry {entry} (segment {segment}, byte {offset}): {what}; keep the folder and verify it"
    )]
    Damaged { segment: u64, offset: u64, entry: u64, what: String },
    /// A file of the ledger was moved, removed, replaced or cut while it was open.
    #[error(
        "the ledger's `{}` is not what was written any more ({what}): put it back, or stop the gateway, keep the folder and restore it",
        path.display()
    )]
    Replaced { path: PathBuf, what: &'static str },
    /// The end of the log is gone, though it was durable once. Somebody else has a witness of it.
    #[error(
        "the ledger ends after {entries} entries (segment {segment}, byte {offset}), but {known} were recorded: its end is lost, or it is an older copy; keep the folder, restore a newer copy, or go on without them with `callgate audit rebuild-index --accept-loss`"
    )]
    Lost { segment: u64, offset: u64, entries: u64, known: u64 },
    /// The log went another way than the one that the database knows.
    #[error(
        "the first {entries} entries of the ledger are not those that the database has of this log (log-parted): a copy of the state folder went another way, or this is it; find the other gateway, keep both folders, and go on with one of them, with this one by `callgate audit rebuild-index --accept-loss`"
    )]
    Parted { entries: u64 },
    #[error("entry {index} cannot be read by this version: {because}")]
    Unreadable { index: u64, because: String },
    #[error("the ledger's key `{}` cannot be used: {because}", path.display())]
    Key { path: PathBuf, because: String },
    #[error("an entry has {bytes} bytes, the most is {max}")]
    EntrySize { bytes: usize, max: usize },
    #[error("a value to be disclosed has {bytes} bytes, the most is {max}")]
    ValueSize { bytes: usize, max: usize },
    #[error("an append of {bytes} bytes is larger than a group may be ({max})")]
    AppendSize { bytes: usize, max: usize },
    #[error("an entry discloses its {} twice", slot.as_str())]
    SlotTwice { slot: Slot },
    #[error("an append without records")]
    Empty,
    /// Somebody's index led to an entry of another call, or to none. Nothing was done with it.
    #[error(
        "the index does not fit the ledger: entry {index} is not one of call `{call}`; fill it anew with `callgate audit rebuild-index`"
    )]
    IndexUnfit { index: u64, call: CallId },
    #[error("the ledger has no entry {index}")]
    NoEntry { index: u64 },
    #[error("entry {index} has no value kept for its {}", slot.as_str())]
    NoDisclosure { index: u64, slot: Slot },
    #[error(transparent)]
    NoProof(#[from] NoProof),
    #[error("a checkpoint of the ledger does not hold: {0}")]
    Note(#[from] NoteError),
    #[error("the folder `{}` is not empty", dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("the ledger has no checkpoint yet, so there is nothing that an export could prove")]
    NoCheckpoint,
    #[error("the ledger is closed")]
    Closed,
}

/// Names the action and the file of an I/O error.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.into();
    move |source| LedgerError::Io { action, path, source: Arc::new(source) }
}
