//! The ledger: an append-only transparency log in files of its own.
//!
//! Entries are leaves of the Merkle tree of RFC 6962; checkpoints are signed notes (C2SP
//! tlog-checkpoint). Whatever waits becomes durable in one group, and an answer means durable. The
//! files are the truth; a database may follow them with [`Ledger::subscribe`] and
//! [`Ledger::read_entries`] and can be rebuilt from them. Values that may have to be forgotten stand
//! beside the entries that commit to them and can be overwritten without touching a hash. What no checkpoint covers yet has a
//! MAC for each group.
//!
//! Start at [`Ledger`]; `writer` holds the promise, `frame` the bytes, `keyed` what only the log's key can write, `verify` the proof.

mod disk;
mod error;
mod export;
mod frame;
mod gathering;
mod keyed;
pub mod merkle;
mod note;
mod open;
mod proof;
mod queue;
mod read;
mod reading;
mod recent;
mod record;
mod room;
mod seen;
mod segment;
mod tiles;
mod verify;
mod window;
mod writer;

pub use disk::{Disk, Fault, Faults};
pub use error::LedgerError;
pub use export::{Disclose, Exported, export, room_for_export};
pub use frame::{ENTRY_BYTES_MAX, VALUE_BYTES_MAX};
pub use merkle::{ConsistencyProof, InclusionProof, NoProof, verify_consistency, verify_inclusion};
pub use note::{Checkpoint, NoteError, PublicKey};
pub use open::{Cut, OpenIntent, Recovered, is_begun, public_key};
pub use proof::{EntryProof, ProofError};
pub use queue::{Appended, Attending, FLUSH_BUCKETS_US, Stats};
pub use record::Record;
pub use room::KeptRoom;
pub use verify::{Damage, Finding, Layout, Macs, OpenCall, Place, Report, Values, VerifyError, verify};
pub use verify::{Index, Known, verify_beside};

use decision::{CallId, Clock, Digest, Disclosure, Entropy, Entry, Slot};
use parking_lot::Mutex;
use queue::{Append, Counters, Job, Prepared, Queue, View};
use recent::Recent;
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    thread::JoinHandle,
};
use tokio::sync::{Semaphore, oneshot, watch};

/// Most entries one read returns.
pub const READ_ENTRIES_MAX: usize = 1024;

/// How a ledger is written. The defaults are for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// A new segment is begun once the current one has this many bytes. At most 1 GiB.
    pub segment_bytes: u64,
    /// A checkpoint is signed after this many entries …
    pub checkpoint_entries: u64,
    /// … or this long after the last, in microseconds, when the log grew.
    pub checkpoint_us: u64,
    /// Bytes that may wait to be written; appends beyond it wait for room.
    pub queue_bytes: usize,
    /// Rest after a failure before the next try, in microseconds. It doubles up to 64 times this.
    pub retry_after_us: u64,
    /// Entries that somebody else knows to have been durable. A ledger with fewer stays shut, and nothing of
    /// it is cut: its end was not torn, it was lost.
    pub known: u64,
    /// The root over so many first entries, as somebody else knows it. A ledger that has others stays shut too: it is
    /// a copy that went another way.
    pub known_root: Option<(u64, Digest)>,
    /// Opens all the same, and [`Recovered`] has what was found.
    pub accept_loss: bool,
    pub disk: Disk,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            checkpoint_entries: 1024,
            checkpoint_us: 5_000_000,
            queue_bytes: 64 * 1024 * 1024,
            retry_after_us: 250_000,
            known: 0,
            known_root: None,
            accept_loss: false,
            disk: Disk::Real,
        }
    }
}

/// A value that an entry commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disclosed {
    Kept(Disclosure),
    /// It was kept once, and was overwritten.
    Erased,
    /// It was never kept.
    Absent,
}

struct Shared {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    queue: Queue,
    view: View,
    counters: Counters,
    recent: Recent,
    attending: Arc<AtomicUsize>,
    /// How many have begun and are to end: room is kept for each.
    begun: Arc<AtomicUsize>,
    size: watch::Sender<u64>,
    public: PublicKey,
}

impl Shared {
    fn entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let most = u64::try_from(max.min(READ_ENTRIES_MAX)).unwrap_or_default();
        let to = self.view.size().min(from.saturating_add(most));
        read::entries(&self.dir, &|index| self.view.place(index), from, to)
    }

    fn hashes<T>(&self, prove: impl FnOnce(&read::Hashes<'_>) -> T) -> T {
        prove(&read::Hashes {
            dir: &self.dir,
            places: &|index| self.view.place(index),
            tile: &|n| self.view.tile(n),
            size: self.view.size(),
        })
    }
}

/// A ledger that is open for writing. One per folder, machine-wide.
///
/// Dropping it without [`Ledger::close`] finishes what waits and blocks for it.
pub struct Ledger {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    room_total: u32,
    writer: Mutex<Option<JoinHandle<Result<(), LedgerError>>>>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({}, {} entries)", self.shared.dir.display(), self.shared.view.size())
    }
}

/// Queue room is counted in these.
const ROOM_BYTES: usize = 1024;

impl Ledger {
    /// Opens the ledger in `dir`, or makes a new one with a new key. Reads all of it: blocks.
    ///
    /// Errors: [`LedgerError::Locked`] when another process has it; [`LedgerError::Damaged`] when
    /// anything but an unfinished end is not as it was written; [`LedgerError::Lost`] when it has fewer
    /// entries than [`Options::known`], and [`LedgerError::Parted`] when they are others than [`Options::known_root`]
    /// is over; [`LedgerError::Key`]; I/O.
    pub fn open(
        dir: &Path,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        options: Options,
    ) -> Result<(Self, Recovered), LedgerError> {
        let options = Options { segment_bytes: options.segment_bytes.min(1 << 30), ..options };
        let mut opened = open::open(dir, entropy, &options)?;
        let positions = std::mem::take(&mut opened.positions);
        let recovered = opened.recovered.clone();
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            clock,
            queue: Queue::default(),
            view: View::new(positions, &opened.tree, opened.latest.clone()),
            counters: Counters::default(),
            recent: Recent::default(),
            attending: Arc::default(),
            begun: Arc::default(),
            size: watch::Sender::new(opened.tree.size()),
            public: opened.signer.public().clone(),
        });
        let room_total =
            u32::try_from(options.queue_bytes.max(writer::GROUP_BYTES_MAX) / ROOM_BYTES).unwrap_or(u32::MAX);
        let writer = writer::Writer::new(Arc::clone(&shared), options, opened);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(error::io_error("start the writer of", dir))?;
        let room = Arc::new(Semaphore::new(usize::try_from(room_total).unwrap_or_default()));
        Ok((Self { shared, room, room_total, writer: Mutex::new(Some(thread)) }, recovered))
    }

    /// Appends records next to each other and resolves when all of them are durable. Room that is kept for how something
    /// ends is left alone.
    ///
    /// Once polled it is not undone by dropping the future. After a crash, either all records of an
    /// unanswered append are there or none. Errors: [`LedgerError::Unavailable`] when the disk does
    /// not take it: none of the records is in the log (unless the machine stops before they could be
    /// cut off again, then they may be found as if they had been recorded); size errors;
    /// [`LedgerError::Closed`].
    pub async fn append(&self, records: Vec<Record>) -> Result<Appended, LedgerError> {
        self.put(records, false).await
    }

    /// Appends what begins something, and keeps room for how that ends: [`Ledger::append_end`] finds it though the disk is full
    /// by then, where the file system can lay room out. Values beside the end are not counted. Errors: as [`Ledger::append`].
    pub async fn append_begin(&self, records: Vec<Record>) -> Result<KeptRoom, LedgerError> {
        let room = KeptRoom::new(&self.shared.begun);
        self.put(records, false).await?;
        Ok(room)
    }

    /// Appends how something ended, where need be in the room that was kept for it, and then without the values beside it, as
    /// [`Record::or_bare`] says it. Errors: as [`Ledger::append`].
    pub async fn append_end(&self, records: Vec<Record>, _room: &KeptRoom) -> Result<Appended, LedgerError> {
        self.put(records, true).await
    }

    async fn put(&self, records: Vec<Record>, ends: bool) -> Result<Appended, LedgerError> {
        let bytes = record::check(&records)?;
        let share = u32::try_from(bytes / ROOM_BYTES + 1).unwrap_or(u32::MAX).min(self.room_total);
        let permit =
            Arc::clone(&self.room).acquire_many_owned(share).await.map_err(|_| LedgerError::Closed)?;
        // Hashed here and not by the writer: this part scales with the callers.
        let records = records.into_iter().map(Prepared::of);
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Job::Append(Append {
            records: records.collect(),
            bytes,
            ends,
            reply,
            _permit: permit,
        }))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Tells that the caller will append before long, as long as the answer lives. It promises nothing: whoever is
    /// waited for in vain is waited for less.
    pub fn attend(&self) -> Attending {
        Attending::new(&self.shared.attending)
    }

    /// Signs a checkpoint over everything that is durable, unless the newest already covers it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Job::Checkpoint(reply))?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Overwrites a kept value and its salt with zeros, durably. The entry and every proof stay as
    /// they are. Erasing twice is no error. What file systems and disks keep of overwritten blocks
    /// is beyond this. Errors: [`LedgerError::NoDisclosure`] when none was kept.
    pub async fn erase(&self, index: u64, slot: Slot) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Job::Erase { index, slot, reply })?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// The number of durable entries, and when it grows.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.size.subscribe()
    }

    /// Entries from `from` on as they were appended, but for what [`Entry::shed`] lets go of, for one follower that
    /// keeps up: what it has asked for it is not told again, and what comes after a first call is kept for it, up to
    /// a bound. `None` when they are to be read with [`Ledger::read_entries`].
    pub fn recent(&self, from: u64) -> Option<Vec<(u64, Arc<Entry>)>> {
        self.shared.recent.from(from)
    }

    /// Waits until so much is kept for the follower that it should come for it, lest it has to read the files.
    pub async fn recent_is_half_full(&self) {
        self.shared.recent.half_full().await;
    }

    /// The number of durable entries.
    pub fn size(&self) -> u64 {
        self.shared.view.size()
    }

    /// The number of durable entries, and the root over them.
    pub fn end(&self) -> (u64, Digest) {
        self.shared.view.end()
    }

    /// What the record itself says of these calls: their intents and decisions, in order. All of it is read, so this is
    /// for a start. Blocks on the disk.
    pub fn entries_of(&self, calls: &BTreeSet<CallId>) -> Result<Vec<Entry>, LedgerError> {
        #[derive(serde::Deserialize)]
        struct Of {
            call: Option<CallId>,
        }
        let (mut found, mut next) = (Vec::new(), 0);
        while next < self.size() && !calls.is_empty() {
            for (index, bytes) in self.read_entries(next, READ_ENTRIES_MAX)? {
                next = index + 1;
                let of = serde_json::from_slice::<Of>(&bytes).ok().and_then(|of| of.call);
                if of.is_some_and(|call| calls.contains(&call)) {
                    let entry = Entry::read(&bytes);
                    found.push(
                        entry
                            .map_err(|error| LedgerError::Unreadable { index, because: error.to_string() })?,
                    );
                }
            }
        }
        Ok(found)
    }

    /// Durable entries from `from` on, with their indices; at most `max`, [`READ_ENTRIES_MAX`] and about
    /// eight megabytes. Empty only when there are none.
    /// Each is checked against its leaf hash. Blocks on the disk.
    pub fn read_entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        self.shared.entries(from, max)
    }

    /// Entry `index`, which an index says is one of this call. The index is not the record, and can be wrong: nothing is
    /// told, proven or erased of a call by an entry that names another one. Blocks on the disk.
    ///
    /// Errors: [`LedgerError::IndexUnfit`], and those of reading.
    pub fn entry_of(&self, call: CallId, index: u64) -> Result<Vec<u8>, LedgerError> {
        #[derive(serde::Deserialize)]
        struct Of {
            call: CallId,
        }
        let found = self.shared.entries(index, 1)?.pop().map(|(_, bytes)| bytes);
        let names = |bytes: &Vec<u8>| serde_json::from_slice::<Of>(bytes).is_ok_and(|of| of.call == call);
        found.filter(names).ok_or(LedgerError::IndexUnfit { index, call })
    }

    /// The value in `slot` of entry `index`. Blocks on the disk.
    pub fn disclosure(&self, index: u64, slot: Slot) -> Result<Disclosed, LedgerError> {
        let read = || read::disclosure(&self.shared.dir, &|index| self.shared.view.place(index), index, slot);
        let mut found = read()?;
        if found.as_ref().is_some_and(|found| found.state == frame::State::Damaged) {
            // It may have been read in the middle of its erasure: the mark is there by now.
            found = read()?;
        }
        match found {
            None => Ok(Disclosed::Absent),
            Some(found) => match found.state {
                frame::State::Kept => Ok(Disclosed::Kept(found.disclosure)),
                frame::State::Erased | frame::State::HalfErased => Ok(Disclosed::Erased),
                frame::State::Damaged => Err(LedgerError::Damaged {
                    segment: u64::from(found.segment),
                    offset: found.at,
                    entry: index,
                    what: "a disclosed value was changed".to_owned(),
                }),
            },
        }
    }

    /// Proves that entry `index` is in the log of `size` entries. Blocks on the disk.
    /// Errors: [`LedgerError::NoProof`].
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<InclusionProof, LedgerError> {
        self.shared.hashes(|hashes| hashes.inclusion(index, size))
    }

    /// Proves that the log of `old` entries is the start of that of `size`. Blocks on the disk.
    /// Errors: [`LedgerError::NoProof`].
    pub fn consistency_proof(&self, old: u64, size: u64) -> Result<ConsistencyProof, LedgerError> {
        self.shared.hashes(|hashes| hashes.consistency(old, size))
    }

    /// Everything that proves one entry to somebody who has only the log's public key. Signs a new
    /// checkpoint when none covers the entry yet. Errors: [`LedgerError::NoEntry`], and those of signing.
    pub async fn prove(&self, index: u64) -> Result<EntryProof, LedgerError> {
        let checkpoint = match self.latest_checkpoint().filter(|newest| index < newest.size) {
            Some(newest) => newest,
            None if index < self.size() => self.checkpoint().await?,
            None => return Err(LedgerError::NoEntry { index }),
        };
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let (_, entry) = shared.entries(index, 1)?.pop().ok_or(LedgerError::NoEntry { index })?;
            let inclusion = shared.hashes(|hashes| hashes.inclusion(index, checkpoint.size))?;
            Ok(EntryProof::new(&entry, inclusion, &checkpoint))
        });
        done.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// The newest checkpoint, if there is one.
    pub fn latest_checkpoint(&self) -> Option<Checkpoint> {
        self.shared.view.latest()
    }

    /// The key its checkpoints are checked with.
    pub fn public_key(&self) -> &PublicKey {
        &self.shared.public
    }

    /// Counters since it was opened.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Signs a checkpoint and exports everything up to it: see [`export`](fn@export).
    pub async fn export(&self, out: &Path, disclose: Disclose) -> Result<Exported, LedgerError> {
        self.checkpoint().await?;
        let (dir, out) = (self.shared.dir.clone(), out.to_owned());
        let done = tokio::task::spawn_blocking(move || export::export(&dir, &out, disclose)).await;
        done.unwrap_or(Err(LedgerError::Closed))
    }

    /// Finishes what waits, signs a last checkpoint and gives the folder free.
    /// Errors: what kept the last checkpoint from being written.
    pub async fn close(&self) -> Result<(), LedgerError> {
        self.shared.queue.close();
        let Some(thread) = self.writer.lock().take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        joined.ok().and_then(Result::ok).unwrap_or(Err(LedgerError::Closed))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.writer.lock().take()
            && let Ok(Err(error)) = thread.join()
        {
            tracing::error!(%error, "the ledger's last checkpoint was not written");
        }
    }
}
