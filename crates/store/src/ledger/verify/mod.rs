//! Verification without a gateway, a lock or a signing key: of an export or of the live folder. Where the signing key can be
//! read, it also looks at what only that key can have written.
//!
//! Each layout is read into the same evidence: the leaf hashes in order, what is locally wrong, and
//! the checkpoints that are there. `judge` then compares the tree with every checkpoint.

mod exported;
mod judge;
mod live;
mod record;
mod report;
mod strays;

pub use report::{Damage, Finding, Index, Known, Layout, Macs, OpenCall, Place, Report, Values};

use super::{
    error::LedgerError,
    note::{Checkpoint, NoteError, PublicKey, Signer},
    open::{KEY_FILE, PUBLIC_FILE, read_key},
};
use decision::Digest;
use record::Calls;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// More than a key's file has.
const KEY_BYTES_MAX: u64 = 1024;

/// Verification could not begin. What is wrong with the log itself is in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("`{}` holds neither a ledger (`segments`) nor an export (`checkpoint`)", dir.display())]
    NoLedger { dir: PathBuf },
    #[error("no key to verify with: `{}` cannot be used ({because}); give the log's public key", path.display())]
    NoKey { path: PathBuf, because: String },
    #[error("the checkpoint kept elsewhere cannot be read: {0}")]
    Kept(NoteError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a folder says, before it is judged.
#[derive(Default)]
struct Evidence {
    /// Hashes of the entries in order, as far as they can be told without a gap.
    leaves: Vec<Digest>,
    /// Entries found.
    entries: u64,
    /// What is wrong by itself, in order.
    local: Vec<Finding>,
    /// Checkpoints that can be read.
    checkpoints: Vec<Checkpoint>,
    /// Nothing can be said of entries from here on.
    unread_from: Option<u64>,
    unfinished_bytes: u64,
    /// Names of what lies among the segments and is no part of the log.
    strays: Vec<String>,
    macs: Macs,
    /// Entries before the first segment that has MACs.
    unkeyed: u64,
    calls: Calls,
}

/// Verifies the log in `dir`, an export or the live folder, by itself. `trusted` is the log's key and `kept` the
/// text of a checkpoint, both from a place that whoever may have changed the log could not reach.
/// Blocks on the disk; holds 32 bytes for every entry.
///
/// Errors: [`VerifyError`] when there is nothing to verify, or nothing to verify it with.
pub fn verify(dir: &Path, trusted: Option<&PublicKey>, kept: Option<&str>) -> Result<Report, VerifyError> {
    verify_beside(dir, trusted, kept, Index::NotAsked { why: "no database goes with it".to_owned() })
}

/// The same, held against what the index in the gateway's database knows of the log. It is to be asked before the folder is
/// read, as a gateway may be writing.
pub fn verify_beside(
    dir: &Path,
    trusted: Option<&PublicKey>,
    kept: Option<&str>,
    index: Index,
) -> Result<Report, VerifyError> {
    let kept = kept.map(Checkpoint::parse).transpose().map_err(VerifyError::Kept)?;
    let (layout, evidence, key, own) = if dir.join("segments").is_dir() {
        let (key, own) = keys(dir, trusted)?;
        let signer = signer(dir, &own);
        (Layout::Live, live::read(dir, &own, signer.as_ref())?, key, own)
    } else if dir.join("checkpoint").is_file() || dir.join("tile").is_dir() {
        let (key, own) = keys(dir, trusted)?;
        (Layout::Exported, exported::read(dir, &key)?, key, own)
    } else {
        return Err(VerifyError::NoLedger { dir: dir.to_owned() });
    };
    let mut report = blank(layout, &key, trusted.is_some(), &evidence);
    if own != key {
        let what = format!("the folder's key `{own}` is not the one that is trusted");
        report.add(Finding::new(Damage::OtherKey, Place::Log, what));
    }
    judge::judge(&mut report, &evidence, &key, kept.as_ref());
    judge::beside(&mut report, &evidence, index);
    evidence.calls.finish(&mut report);
    judge::limits(&mut report, evidence.unread_from, evidence.unkeyed);
    Ok(report)
}

/// The log's own signing key, if it is there and may be read. The folder may come from anyone: what is no plain file is
/// not opened.
fn signer(dir: &Path, own: &PublicKey) -> Option<Signer> {
    let path = dir.join(KEY_FILE);
    let plain = fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= KEY_BYTES_MAX);
    let signer = if plain { read_key(&path).ok() } else { None };
    signer.filter(|signer| signer.public() == own)
}

/// The key to check signatures with, and the folder's own.
fn keys(dir: &Path, trusted: Option<&PublicKey>) -> Result<(PublicKey, PublicKey), VerifyError> {
    let path = dir.join(PUBLIC_FILE);
    let own = fs::read_to_string(&path).map_err(|e| e.to_string());
    let own = own.and_then(|text| text.parse::<PublicKey>().map_err(|e| e.to_string()));
    match (trusted, own) {
        (Some(trusted), Ok(own)) => Ok((trusted.clone(), own)),
        (Some(trusted), Err(_)) => Ok((trusted.clone(), trusted.clone())),
        (None, Ok(own)) => Ok((own.clone(), own)),
        (None, Err(because)) => Err(VerifyError::NoKey { path, because }),
    }
}

fn blank(layout: Layout, key: &PublicKey, key_trusted: bool, evidence: &Evidence) -> Report {
    Report {
        layout,
        origin: key.origin().to_owned(),
        key: key.to_string(),
        key_trusted,
        entries: evidence.entries,
        proven: 0,
        checkpoints: 0,
        kept: None,
        intents: 0,
        decisions: 0,
        events: 0,
        unreadable: 0,
        values: Values::default(),
        unfinished_bytes: evidence.unfinished_bytes,
        strays: evidence.strays.clone(),
        index: Index::default(),
        macs: evidence.macs,
        findings: Vec::new(),
        more_findings: 0,
        open_calls: Vec::new(),
        open_calls_total: 0,
        cannot_exclude: Vec::new(),
    }
}
