//! Opening a ledger: the lock, the key, and reading back everything that is there.

use super::{
    Options,
    disk::{Left, SegmentFile, sync_dir},
    error::{LedgerError, io_error},
    frame::{self, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES_MAX},
    keyed::Mac,
    merkle::{Mark, Tree},
    note::{Checkpoint, PublicKey, Signer},
    reading::Reading,
    room::LaidOut,
    segment::{self, Next},
};
use decision::{CallId, Entropy, Entry, Intent};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// True when the ledger did not exist before.
    pub created: bool,
    /// Entries in the log.
    pub size: u64,
    /// A group that a crash had left unfinished. Nobody was ever told that it was recorded.
    pub cut: Option<Cut>,
    /// Intents without a decision, oldest first: the caller closes them as "outcome unknown".
    pub open: Vec<OpenIntent>,
    /// Entries this version cannot read. They may hide an open intent.
    pub unreadable: Vec<u64>,
    /// The first and the last of the entries that neither a checkpoint covered nor a MAC, in a log that an earlier version
    /// wrote. They are what a stop leaves, or what somebody wrote who can write the disk and has no key: the next
    /// checkpoint signs them either way.
    pub unsigned: Option<(u64, u64)>,
    /// So many first entries are others than were known, and that was accepted.
    pub parted: Option<u64>,
    /// Values whose erasure had begun and was finished now.
    pub erasures_finished: u64,
    /// Names of what lies among the segments and is no part of the log: it was left alone.
    pub strays: Vec<OsString>,
}

/// Bytes that were cut off the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub segment: u64,
    pub offset: u64,
    pub bytes: u64,
}

/// An intent whose call was never closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    pub index: u64,
    pub intent: Box<Intent>,
}

/// The end of the log, ready to be appended to.
pub(super) struct Opened {
    pub(super) lock: File,
    pub(super) signer: Signer,
    pub(super) tree: Tree,
    pub(super) positions: Vec<Position>,
    pub(super) latest: Option<Checkpoint>,
    pub(super) next: Next,
    pub(super) tail: Tail,
    /// The segments before it, from the first on.
    pub(super) full: Vec<Left>,
    pub(super) recovered: Recovered,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) file: SegmentFile,
    pub(super) number: u64,
    /// Durable bytes.
    pub(super) bytes: u64,
    pub(super) laid_out: LaidOut,
    /// The tree, and what came next, where this segment starts.
    pub(super) start: (Mark, Next),
}

impl Tail {
    /// The segment, as it is to be found from now on.
    pub(super) fn left(&self, dir: &Path) -> Result<Left, LedgerError> {
        self.file.left(self.bytes).map_err(io_error("look at", segment::path(dir, self.number)))
    }
}

/// Where an entry's frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) offset: u32,
}

impl Position {
    pub(super) fn new(segment: u64, offset: u64) -> Self {
        let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { segment: small(segment), offset: small(offset) }
    }
}

pub(super) const KEY_FILE: &str = "log.key";
pub(super) const PUBLIC_FILE: &str = "log.pub";

/// Opens or creates the ledger in `dir`. The caller holds what comes back as long as it writes.
pub(super) fn open(dir: &Path, entropy: &dyn Entropy, options: &Options) -> Result<Opened, LedgerError> {
    let segments = segment::folder(dir);
    for folder in [dir, &segments] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(io_error("create", folder))?;
    }
    let lock = lock(dir)?;
    let key = dir.join(KEY_FILE);
    let (signer, created) = if key.try_exists().map_err(io_error("look for", &key))? {
        (read_key(&key)?, false)
    } else {
        (create(dir, entropy, options)?, true)
    };
    publish_key(dir, signer.public())?;
    let mut reading = Reading::new(dir, &signer, options);
    reading.run()?;
    let unsigned = reading.unsigned();
    let Reading { tree, positions, latest, next, tail, mut recovered, calls, keyed_from, full, .. } = reading;
    if let Some(from) = keyed_from {
        mark(dir, &signer, from)?;
    }
    let Some(tail) = tail else {
        return Err(damaged(0, 0, 0, "the segments are missing"));
    };
    recovered.created = created;
    recovered.size = next.index;
    recovered.strays = segment::strays(dir)?;
    recovered.unsigned = unsigned.clone().next().map(|first| (first, unsigned.end - 1));
    recovered.open = open_intents(dir, &positions, calls, &mut recovered.unreadable)?;
    Ok(Opened { lock, signer, tree, positions, latest, next, tail, full, recovered })
}

/// The public key of the ledger in `dir`, if there is one: by its signing key, which is what it opens with, and where that
/// cannot be read by the copy that is published beside it. Whoever takes that copy away takes no knowledge with it.
pub fn public_key(dir: &Path) -> Option<PublicKey> {
    let signer = read_key(&dir.join(KEY_FILE)).ok();
    signer.map(|signer| signer.public().clone()).or_else(|| {
        let published = fs::read_to_string(dir.join(PUBLIC_FILE)).ok()?;
        published.parse().ok()
    })
}

/// Whether a ledger was begun in `dir`, whatever of it is left.
pub fn is_begun(dir: &Path) -> bool {
    let mut left = [KEY_FILE, PUBLIC_FILE].into_iter().map(|name| dir.join(name));
    left.any(|path| path.exists()) || segment::list(dir).is_ok_and(|segments| !segments.is_empty())
}

pub(super) fn damaged(segment: u64, offset: u64, entry: u64, what: impl Into<String>) -> LedgerError {
    LedgerError::Damaged { segment, offset, entry, what: what.into() }
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", path)(source)),
    }
}

pub(super) fn read_key(path: &Path) -> Result<Signer, LedgerError> {
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(io_error("read", path))?);
    Signer::parse(&text).map_err(|e| LedgerError::Key { path: path.to_owned(), because: e.to_string() })
}

/// Writes a whole file under a temporary name and gives it its name when it is durable.
fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), LedgerError> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(&temporary)
        .map_err(io_error("create", &temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("rename to", path))?;
    let dir = path.parent().unwrap_or(path);
    sync_dir(dir).map_err(io_error("sync", dir))
}

/// A new log. The key comes last: without it, a first segment without groups is the rest of a crash.
fn create(dir: &Path, entropy: &dyn Entropy, options: &Options) -> Result<Signer, LedgerError> {
    let key = dir.join(KEY_FILE);
    let first = segment::path(dir, 0);
    for number in segment::list(dir)? {
        let path = segment::path(dir, number);
        let bytes = fs::metadata(&path).map_err(io_error("read", &path))?.len();
        if number != 0 || bytes > SEGMENT_HEADER_BYTES_MAX as u64 {
            return Err(LedgerError::Key {
                path: key,
                because: "it is missing, but the log has entries".to_owned(),
            });
        }
        fs::remove_file(&first).map_err(io_error("remove", &first))?;
    }
    let (signer, text) = Signer::create(entropy)?;
    create_segment(dir, 0, (&Tree::default(), Next::default()), &signer, options, 0)?;
    write_file(&key, &text, 0o600)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(parent).map_err(io_error("sync", parent))?;
    Ok(signer)
}

fn publish_key(dir: &Path, key: &PublicKey) -> Result<(), LedgerError> {
    let path = dir.join(PUBLIC_FILE);
    if !path.try_exists().map_err(io_error("look for", &path))? {
        return write_file(&path, &format!("{key}\n"), 0o644);
    }
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    if text.parse::<PublicKey>().is_ok_and(|published| published == *key) {
        return Ok(());
    }
    Err(LedgerError::Key { path, because: "it does not belong to the signing key beside it".to_owned() })
}

/// Writes beside the key that all segments from this one on have MACs, unless it says so: a segment has none before.
fn mark(dir: &Path, signer: &Signer, from: u64) -> Result<(), LedgerError> {
    if signer.keyed_from().is_some() {
        return Ok(());
    }
    let path = dir.join(KEY_FILE);
    let text = zeroize::Zeroizing::new(fs::read_to_string(&path).map_err(io_error("read", &path))?);
    // it may have been replaced since it was read, and then it is not this log's
    let key = Signer::parse(&text).ok().filter(|key| key.public() == signer.public());
    if key.is_none() {
        return Err(LedgerError::Key {
            path,
            because: "it is not the one that the log was opened with".to_owned(),
        });
    }
    write_file(&path, &Signer::marked(&text, from), 0o600)?;
    signer.set_keyed_from(from);
    Ok(())
}

/// Makes a segment durable, header and name, with so many bytes of room behind them, before anything is written to it. The
/// tree and `next` are what is before it.
pub(super) fn create_segment(
    dir: &Path,
    number: u64,
    (tree, next): (&Tree, Next),
    signer: &Signer,
    options: &Options,
    room: u64,
) -> Result<Tail, LedgerError> {
    mark(dir, signer, number)?;
    let path = segment::path(dir, number);
    let keyed = |mac| segment::expected_header(number, next, signer.public().id(), Some(mac));
    let header = keyed(signer.macs().of_header(&keyed(Mac::default()), &tree.root()));
    let mut laid_out = LaidOut::default();
    let mut write = || {
        let file = SegmentFile::create(&path, &options.disk)?;
        let bytes = header.bytes() as u64 + room;
        let room = if room > 0 { laid_out.reach(&file, 0, bytes) } else { Ok(()) };
        let written = room.and_then(|()| file.write_at(&header.encode(), 0)).and_then(|()| file.sync_data());
        match written.and_then(|()| sync_dir(&segment::folder(dir))) {
            Ok(()) => Ok(file),
            Err(e) => {
                // Without this a later try would find its name taken.
                let _ = fs::remove_file(&path);
                Err(e)
            }
        }
    };
    let file = write().map_err(io_error("create", &path))?;
    let start = (tree.mark(), Next::behind(&header));
    Ok(Tail { file, number, bytes: header.bytes() as u64, laid_out, start })
}

/// Overwrites an opening whose frame starts at `at`: first the mark, then salt and value, each made
/// durable, so that a crash in between is finished at the next start.
pub(super) fn erase(file: &SegmentFile, at: u64, value_bytes: usize) -> std::io::Result<()> {
    let state = at + (FRAME_HEADER_BYTES + frame::STATE_AT) as u64;
    file.write_at(&[frame::ERASED], state)?;
    file.sync_data()?;
    file.write_at(&vec![0; 4 + frame::SALT_BYTES + value_bytes], state + 1)?;
    file.sync_data()
}

fn open_intents(
    dir: &Path,
    positions: &[Position],
    calls: BTreeMap<CallId, u64>,
    unreadable: &mut Vec<u64>,
) -> Result<Vec<OpenIntent>, LedgerError> {
    let mut indices: Vec<u64> = calls.into_values().collect();
    indices.sort_unstable();
    let places = |index| positions.get(usize::try_from(index).ok()?).copied();
    let mut open = Vec::new();
    for index in indices {
        let entry = super::read::entry(dir, &places, index)?;
        match serde_json::from_slice(&entry) {
            Ok(Entry::Intent(intent)) => open.push(OpenIntent { index, intent }),
            Ok(Entry::Decision(_) | Entry::Event(_)) | Err(_) => unreadable.push(index),
        }
    }
    Ok(open)
}
