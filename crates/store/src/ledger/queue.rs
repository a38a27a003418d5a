//! What waits for the writer, and what the writer has made visible.

use super::{
    error::LedgerError,
    merkle::{self, Mark, Tree},
    note::Checkpoint,
    open::Position,
    record::{AROUND_BYTES, Record},
};
use decision::{Digest, Disclosure, Entry, Slot};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// One entry to be appended, its leaf hash computed by who asked.
pub(super) struct Prepared {
    pub(super) entry: Vec<u8>,
    pub(super) leaf: Digest,
    pub(super) said: Option<Arc<Entry>>,
    pub(super) disclosures: Vec<Disclosure>,
    /// What is written where there is no room for the values.
    pub(super) bare: Option<Box<Self>>,
}

impl Prepared {
    pub(super) fn of(record: Record) -> Self {
        Self {
            leaf: merkle::leaf(&record.entry),
            entry: record.entry,
            said: record.said,
            disclosures: record.disclosures,
            bare: record.bare.map(|bare| Box::new(Self::of(*bare))),
        }
    }
}

pub(super) struct Append {
    pub(super) records: Vec<Prepared>,
    pub(super) bytes: usize,
    /// It says how something ended that has begun, and may use the room that is kept for that.
    pub(super) ends: bool,
    pub(super) reply: oneshot::Sender<Result<Appended, LedgerError>>,
    /// Gives its share of the queue back when the job is done.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Append {
    pub(super) fn has_values(&self) -> bool {
        self.records.iter().any(|record| !record.disclosures.is_empty())
    }

    /// The same without values, as its records say it then; `Err` where one of them has values and does not say.
    pub(super) fn bare(mut self) -> Result<Self, Self> {
        if self.records.iter().any(|record| !record.disclosures.is_empty() && record.bare.is_none()) {
            return Err(self);
        }
        for record in &mut self.records {
            if let Some(bare) = record.bare.take() {
                *record = *bare;
            }
        }
        self.bytes = self.records.iter().map(|record| record.entry.len() + AROUND_BYTES).sum();
        Ok(self)
    }
}

/// Where records were put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Index of the first record; the others follow it without a gap.
    pub first_index: u64,
    pub records: u64,
}

pub(super) enum Job {
    Append(Append),
    Checkpoint(oneshot::Sender<Result<Checkpoint, LedgerError>>),
    Erase { index: u64, slot: Slot, reply: oneshot::Sender<Result<(), LedgerError>> },
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
    /// The writer sleeps until this many wait, and is not woken for fewer.
    goal: usize,
}

/// Jobs in order. Its length is bounded by the permits that appends hold.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Queue {
    /// Hands a job over. Errors: [`LedgerError::Closed`], when the writer has gone or is going.
    pub(super) fn push(&self, job: Job) -> Result<(), LedgerError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(LedgerError::Closed);
        }
        waiting.jobs.push_back(job);
        let wanted = waiting.jobs.len() >= waiting.goal;
        drop(waiting);
        if wanted {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes no more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Drops what still waits, which answers it with [`LedgerError::Closed`].
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        drop(jobs);
    }

    /// Moves everything that waits into `jobs`; waits for it at most `patience`. False when the
    /// queue is closed and empty.
    pub(super) fn take(&self, jobs: &mut VecDeque<Job>, patience: Option<Duration>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.jobs.is_empty() && !waiting.closed {
            match patience {
                Some(patience) => {
                    self.arrived.wait_for(&mut waiting, patience);
                }
                None => self.arrived.wait(&mut waiting),
            }
        }
        jobs.append(&mut waiting.jobs);
        !(waiting.closed && jobs.is_empty())
    }

    /// Adds to `jobs` what comes until `more` have, but not for longer than `patience`.
    pub(super) fn gather(&self, jobs: &mut VecDeque<Job>, more: usize, patience: Duration) {
        let mut waiting = self.waiting.lock();
        waiting.goal = more;
        let too_few = |waiting: &mut Waiting| waiting.jobs.len() < more && !waiting.closed;
        self.arrived.wait_while_for(&mut waiting, too_few, patience);
        waiting.goal = 0;
        jobs.append(&mut waiting.jobs);
    }
}

/// Somebody who will append before long. While there are others, a group waits for them a little: one sync for many.
#[derive(Debug)]
pub struct Attending(Arc<AtomicUsize>);

impl Attending {
    pub(super) fn new(attending: &Arc<AtomicUsize>) -> Self {
        attending.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(attending))
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is durable, for readers.
#[derive(Debug)]
pub(super) struct View {
    inside: RwLock<Inside>,
}

#[derive(Debug)]
struct Inside {
    positions: Vec<Position>,
    tiles: Vec<Digest>,
    latest: Option<Checkpoint>,
    end: Mark,
}

impl View {
    pub(super) fn new(positions: Vec<Position>, tree: &Tree, latest: Option<Checkpoint>) -> Self {
        let tiles = (0..).map_while(|n| tree.tile(n)).collect();
        Self { inside: RwLock::new(Inside { positions, tiles, latest, end: tree.mark() }) }
    }

    /// Shows what a group made durable.
    pub(super) fn publish(&self, new: &[Position], tree: &Tree, latest: Option<&Checkpoint>) {
        let mut inside = self.inside.write();
        inside.positions.extend_from_slice(new);
        while let Some(tile) = tree.tile(inside.tiles.len() as u64) {
            inside.tiles.push(tile);
        }
        if let Some(latest) = latest {
            inside.latest = Some(latest.clone());
        }
        inside.end = tree.mark();
    }

    pub(super) fn end(&self) -> (u64, Digest) {
        let mark = self.inside.read().end.clone();
        mark.end()
    }

    pub(super) fn size(&self) -> u64 {
        self.inside.read().positions.len() as u64
    }

    pub(super) fn place(&self, index: u64) -> Option<Position> {
        self.inside.read().positions.get(usize::try_from(index).ok()?).copied()
    }

    pub(super) fn tile(&self, n: u64) -> Option<Digest> {
        self.inside.read().tiles.get(usize::try_from(n).ok()?).copied()
    }

    pub(super) fn latest(&self) -> Option<Checkpoint> {
        self.inside.read().latest.clone()
    }
}

/// Upper bounds of the flush histogram's buckets, in microseconds; the last bucket has none.
pub const FLUSH_BUCKETS_US: [u64; 10] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000];

/// Counters since the ledger was opened, for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: u64,
    pub groups: u64,
    pub bytes: u64,
    pub checkpoints: u64,
    /// Groups that did not become durable, and times that no room was found for what might begin.
    pub failures: u64,
    /// There is room for how calls end that have begun, and for no other.
    pub short: bool,
    /// The last group that was tried was one of these.
    pub failing: bool,
    /// Sum of the time from first write to durable, over all groups.
    pub flush_us: u64,
    /// Groups per bucket, not cumulated: the first ten up to [`FLUSH_BUCKETS_US`], the last beyond.
    pub flush_buckets: [u64; 11],
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    entries: AtomicU64,
    groups: AtomicU64,
    bytes: AtomicU64,
    checkpoints: AtomicU64,
    failures: AtomicU64,
    short: AtomicBool,
    failing: AtomicBool,
    flush_us: AtomicU64,
    flush_buckets: [AtomicU64; 11],
}

/// What a group added.
pub(super) struct Flushed {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) checkpoint: bool,
    pub(super) us: u64,
}

impl Counters {
    pub(super) fn flushed(&self, group: &Flushed) {
        self.entries.fetch_add(group.entries, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
        self.bytes.fetch_add(group.bytes, Ordering::Relaxed);
        self.checkpoints.fetch_add(u64::from(group.checkpoint), Ordering::Relaxed);
        self.flush_us.fetch_add(group.us, Ordering::Relaxed);
        let bucket = FLUSH_BUCKETS_US.partition_point(|bound| *bound < group.us);
        if let Some(count) = self.flush_buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
    }

    pub(super) fn fell_short(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.short.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_room(&self) {
        self.short.store(false, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            entries: get(&self.entries),
            groups: get(&self.groups),
            bytes: get(&self.bytes),
            checkpoints: get(&self.checkpoints),
            failures: get(&self.failures),
            short: self.short.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
            flush_us: get(&self.flush_us),
            flush_buckets: self.flush_buckets.each_ref().map(get),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    fn job() -> Job {
        Job::Checkpoint(oneshot::channel().0)
    }

    #[test]
    fn a_group_is_gathered_until_as_many_came_as_were_expected() {
        let queue = Arc::new(Queue::default());
        let gathering = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut jobs = VecDeque::from([job()]);
                queue.gather(&mut jobs, 2, LONG);
                jobs.len()
            })
        };
        queue.push(job()).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert!(!gathering.is_finished(), "one of two came");
        queue.push(job()).unwrap();
        assert_eq!(gathering.join().unwrap(), 3);
        queue.push(job()).unwrap();
        let mut jobs = VecDeque::new();
        assert!(queue.take(&mut jobs, Some(LONG)) && jobs.len() == 1, "and then one is enough again");
    }

    #[test]
    fn nobody_is_waited_for_longer_than_patience_lasts_nor_after_the_end() {
        let queue = Queue::default();
        let mut jobs = VecDeque::from([job()]);
        queue.gather(&mut jobs, 1, Duration::from_micros(50));
        assert_eq!(jobs.len(), 1);
        queue.close();
        queue.gather(&mut jobs, 1, LONG);
        assert_eq!(jobs.len(), 1);
    }

    #[test]
    fn who_attends_is_counted_until_gone() {
        let attending = Arc::default();
        let one = Attending::new(&attending);
        let two = Attending::new(&attending);
        drop(one);
        assert_eq!(attending.load(Ordering::Relaxed), 1);
        drop(two);
        assert_eq!(attending.load(Ordering::Relaxed), 0);
    }
}
