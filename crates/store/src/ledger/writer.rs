//! The one thread that writes: everything that waits becomes one group, one write, one `fdatasync`.
//!
//! INVARIANT: nobody is answered `Ok` before the sync that covers them returned, and nothing that
//! was not synced stays in the log: a group that failed is cut off again before the next is written.

mod batch;
mod fitting;
mod repair;

use super::{
    Options, Shared,
    disk::{Left, SegmentFile},
    error::{LedgerError, io_error},
    frame::{self, Group, KEYED_GROUP_FRAME_BYTES},
    gathering::Gathering,
    keyed::{Covered, Mac},
    merkle::Tree,
    note::{Checkpoint, Signer},
    open::{Opened, Position, Tail, create_segment, erase},
    queue::{Appended, Flushed, Job},
    read,
    segment::{self, Next},
};
use batch::{Batch, refuse};
use decision::{Slot, Timestamp};
use std::{
    collections::VecDeque,
    fs::File,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::oneshot;

/// Most bytes of one group, whatever waits.
pub(super) const GROUP_BYTES_MAX: usize = 24 * 1024 * 1024;
const BACK_OFF_FACTOR_MAX: u64 = 64;

/// Why something is left alone for now.
struct Rest {
    since: Timestamp,
    because: String,
    back_off_us: u64,
}

impl Rest {
    /// Whether it is too early to try again. A clock that was set back ends it.
    fn lasts(&self, now: Timestamp) -> bool {
        now >= self.since && now.since(self.since) < self.back_off_us
    }

    fn refusal(&self) -> LedgerError {
        LedgerError::Unavailable { because: self.because.clone() }
    }
}

/// Why nothing is written now.
struct Failed {
    rest: Rest,
    /// A failed sync leaves it open what the kernel kept, so the file is not written to again.
    distrusted: bool,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    options: Options,
    signer: Signer,
    tree: Tree,
    next: Next,
    tail: Tail,
    /// The segments before it, from the first on.
    full: Vec<Left>,
    buffer: Vec<u8>,
    failed: Option<Failed>,
    /// Why nothing may begin now.
    short: Option<Rest>,
    /// Why it failed, as the log has it, while nothing was written since.
    doubtful: Option<String>,
    /// When the last checkpoint was signed.
    signed_at: Timestamp,
    signed_size: Option<u64>,
    back_off_us: u64,
    gathering: Gathering,
    _lock: File,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, options: Options, opened: Opened) -> Self {
        let signed_at = shared.clock.now();
        Self {
            shared,
            back_off_us: options.retry_after_us,
            options,
            signer: opened.signer,
            signed_size: opened.latest.as_ref().map(|latest| latest.size),
            tree: opened.tree,
            next: opened.next,
            tail: opened.tail,
            full: opened.full,
            buffer: Vec::new(),
            failed: None,
            short: None,
            doubtful: None,
            signed_at,
            gathering: Gathering::default(),
            _lock: opened.lock,
        }
    }

    /// Works until the queue is closed and empty, then signs what was not yet signed.
    pub(super) fn run(mut self) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        // Whatever ends this thread, nobody must wait for it.
        let _abandon = Abandon(&shared);
        let mut jobs = VecDeque::new();
        while shared.queue.take(&mut jobs, self.patience()) {
            self.gather(&mut jobs);
            while !jobs.is_empty() {
                self.batch(&mut jobs);
            }
            let due = self.failed.is_some() || self.short.is_some() || self.checkpoint_is_due();
            if due && self.ready().is_ok() {
                self.commit(Batch::default());
            }
        }
        let signed = if self.unsigned() == 0 { Ok(()) } else { self.sign_last() };
        let _ = self.tail.file.give_back(self.tail.bytes);
        signed
    }

    fn sign_last(&mut self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        let last = Batch { checkpoints: vec![reply], ..Batch::default() };
        self.write(last);
        answer.blocking_recv().unwrap_or(Err(LedgerError::Closed)).map(drop)
    }

    /// Waits a little for those who are about to append too.
    fn gather(&mut self, jobs: &mut VecDeque<Job>) {
        let attending = self.shared.attending.load(Ordering::Relaxed);
        let here = jobs.len();
        let appends = jobs.iter().all(|job| matches!(job, Job::Append(_)));
        if here == 0 || here >= attending || !appends || self.failed.is_some() {
            return;
        }
        self.shared.queue.gather(jobs, attending - here, self.gathering.patience());
        self.gathering.brought(jobs.len() > here);
    }

    /// Entries after the newest checkpoint.
    fn unsigned(&self) -> u64 {
        self.tree.size().saturating_sub(self.signed_size.unwrap_or_default())
    }

    /// How long nothing may happen. After a failure it is tried again unasked: a gateway that is not ready is
    /// sent no calls, and without a call it would never find out that there is room again.
    fn patience(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        if let Some(rest) = self.failed.as_ref().map(|failed| &failed.rest).or(self.short.as_ref()) {
            let left = rest.back_off_us.saturating_sub(now.since(rest.since));
            return Some(Duration::from_micros(left.max(1_000)));
        }
        if self.unsigned() == 0 {
            return None;
        }
        let waited = now.since(self.signed_at);
        Some(Duration::from_micros(self.options.checkpoint_us.saturating_sub(waited).max(1_000)))
    }

    fn checkpoint_is_due(&self) -> bool {
        let unsigned = self.unsigned();
        let now = self.shared.clock.now();
        // A clock that was set back must not stop checkpoints.
        let due = now < self.signed_at || now.since(self.signed_at) >= self.options.checkpoint_us;
        unsigned > 0 && (due || unsigned >= self.options.checkpoint_entries)
    }

    fn batch(&mut self, jobs: &mut VecDeque<Job>) {
        let mut batch = Batch::default();
        while let Some(job) = jobs.pop_front() {
            match job {
                Job::Append(append) => {
                    if batch.bytes + append.bytes > GROUP_BYTES_MAX && !batch.appends.is_empty() {
                        jobs.push_front(Job::Append(append));
                        break;
                    }
                    batch.add(append);
                }
                Job::Checkpoint(reply) => batch.checkpoints.push(reply),
                Job::Erase { index, slot, reply } => {
                    let done = self.erase(index, slot);
                    let _ = reply.send(done);
                }
            }
        }
        self.write(batch);
    }

    /// Commits the batch, or tells everyone in it why not.
    fn write(&mut self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.ready() {
            return refuse(batch, &error);
        }
        let batch = self.fitting(batch);
        if !batch.is_empty() {
            self.commit(batch);
        }
    }

    /// Makes sure there is a segment to write to: repairs after a failure, rotates when it is full.
    fn ready(&mut self) -> Result<(), LedgerError> {
        if let Some(failed) = &self.failed {
            if failed.rest.lasts(self.shared.clock.now()) {
                return Err(failed.rest.refusal());
            }
            let distrusted = failed.distrusted;
            if let Err(error) = self.repair(distrusted) {
                return Err(self.fail(&error, distrusted));
            }
            self.failed = None;
        }
        // what an earlier version began has no MACs, and nothing is added to it
        if self.next.last.is_none() {
            self.rotate().map_err(|error| self.fail(&error, false))?;
        }
        self.make_room();
        Ok(())
    }

    /// The rest after this failure; after the next one it is twice as long.
    fn rest(&mut self, because: String) -> Rest {
        let most = self.options.retry_after_us.saturating_mul(BACK_OFF_FACTOR_MAX);
        let longer = self.back_off_us.saturating_mul(2).min(most);
        let back_off_us = std::mem::replace(&mut self.back_off_us, longer);
        Rest { since: self.shared.clock.now(), because, back_off_us }
    }

    fn fail(&mut self, error: &LedgerError, distrusted: bool) -> LedgerError {
        let because = error.to_string();
        // what fails again for the same reason is no news
        if self.doubtful.as_ref() != Some(&because) {
            tracing::error!(because, "the ledger cannot be written: calls are refused until it can");
        }
        self.shared.counters.failed();
        self.doubtful = Some(because.clone());
        let rest = self.rest(because);
        let refusal = rest.refusal();
        self.failed = Some(Failed { rest, distrusted });
        refusal
    }

    /// Whether anything stands in the segment.
    fn has_groups(&self) -> bool {
        self.next.group > self.tail.start.1.group
    }

    fn rotate(&mut self) -> Result<(), LedgerError> {
        let number = self.tail.number + 1;
        let before = (&self.tree, self.next);
        let left = self.tail.left(&self.shared.dir)?;
        let room = self.wanted();
        let tail = create_segment(&self.shared.dir, number, before, &self.signer, &self.options, room)?;
        let _ = self.tail.file.give_back(self.tail.bytes);
        self.tail = tail;
        self.next = self.tail.start.1;
        self.full.push(left);
        Ok(())
    }

    /// Whether the segment is still what its path leads to, and with `all` those before it. What is written to a file that
    /// was moved away is lost with it, and what was cut is no record any more.
    fn in_place(&self, all: bool) -> Result<(), LedgerError> {
        let tail = self.tail.left(&self.shared.dir)?;
        let before = (0..).zip(self.full.iter().copied()).filter(|_| all);
        for (number, left) in before.chain([(self.tail.number, tail)]) {
            let path = segment::path(&self.shared.dir, number);
            if let Some(what) = left.differs(&path).map_err(io_error("find", &path))? {
                return Err(LedgerError::Replaced { path, what });
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: Batch) {
        let Err((error, distrusted)) = self.put_down(&batch) else { return self.answer(batch) };
        // A disk that lays no room out says only now that it has none: what ended is worth more than its values.
        if distrusted || !batch.has_values_of_ends() {
            let error = self.fail(&error, distrusted);
            return refuse(batch, &error);
        }
        let (ends, others) = batch.parted();
        let again = self.put_down(&ends);
        if !others.is_empty() || again.is_err() {
            let (error, distrusted) = again.as_ref().err().cloned().unwrap_or((error, false));
            let error = self.fail(&error, distrusted);
            refuse(others, &error);
            if again.is_err() {
                return refuse(ends, &error);
            }
        }
        self.answer(ends);
    }

    /// Makes the batch durable, or nothing of it. Errors: why, and whether what the kernel kept is in doubt.
    fn put_down(&mut self, batch: &Batch) -> Result<(), (LedgerError, bool)> {
        let started = self.shared.clock.now();
        self.in_place(!batch.checkpoints.is_empty() || self.checkpoint_is_due()).map_err(|e| (e, false))?;
        let mark = self.tree.mark();
        let mut covered = self.signer.macs().group_behind(&self.next.last.unwrap_or_default());
        let positions = self.fill(batch, &mut covered);
        let asked = !batch.checkpoints.is_empty() && (self.unsigned() > 0 || self.signed_size.is_none());
        // in doubt there is always something to write: nothing else shows that writing works
        let wanted = asked || self.doubtful.is_some();
        let checkpoint = if wanted || self.checkpoint_is_due() { self.sign(&mut covered) } else { None };
        let entries = positions.len() as u64;
        if entries == 0 && checkpoint.is_none() {
            return Ok(());
        }
        let mac = self.seal(entries, covered);
        if let Err(failed) = self.flush() {
            self.tree.back_to(mark);
            // Cut at once if it can be: were the machine to stop now, what nobody was told of
            // should not be found in the log. If it cannot, the repair does it.
            self.cut_back();
            return Err(failed);
        }
        self.back_off_us = self.options.retry_after_us;
        self.tail.bytes += self.buffer.len() as u64;
        self.next = Next { index: self.tree.size(), group: self.next.group + 1, last: Some(mac) };
        if let Some(checkpoint) = &checkpoint {
            self.signed_at = started;
            self.signed_size = Some(checkpoint.size);
        }
        if self.doubtful.take().is_some() {
            tracing::info!(entries = self.tree.size(), "the ledger is writable again");
        }
        self.shared.view.publish(&positions, &self.tree, checkpoint.as_ref());
        let us = self.shared.clock.now().since(started);
        self.gathering.flushed(us);
        let bytes = self.buffer.len() as u64;
        self.shared.counters.flushed(&Flushed { entries, bytes, checkpoint: checkpoint.is_some(), us });
        let records = batch.appends.iter().flat_map(|append| &append.records);
        let said = records.map(|record| (record.said.as_ref(), record.entry.len()));
        self.shared.recent.add(self.tree.size() - entries, said);
        self.shared.size.send_replace(self.tree.size());
        Ok(())
    }

    /// Cuts off what was not durable. That gives back what was laid out too, so it is laid out anew before anybody else takes it.
    fn cut_back(&mut self) {
        let _ = self.tail.file.truncate(self.tail.bytes);
        self.tail.laid_out.is_given_back();
        let _ = self.lay_out(0);
    }

    /// Encodes the records behind room for the group's frame, and grows the tree.
    fn fill(&mut self, batch: &Batch, covered: &mut Covered) -> Vec<Position> {
        self.buffer.clear();
        self.buffer.resize(KEYED_GROUP_FRAME_BYTES, 0);
        let mut positions = Vec::new();
        for record in batch.appends.iter().flat_map(|append| &append.records) {
            let index = self.tree.size();
            positions.push(Position::new(self.tail.number, self.tail.bytes + self.buffer.len() as u64));
            frame::put_entry(&mut self.buffer, &record.entry, &record.leaf, index);
            covered.entry(record.entry.len(), &record.leaf);
            for disclosure in &record.disclosures {
                covered.disclosure(index, disclosure.slot, disclosure.value.len());
                frame::put_disclosure(&mut self.buffer, index, disclosure);
            }
            self.tree.push(record.leaf);
        }
        positions
    }

    fn sign(&mut self, covered: &mut Covered) -> Option<Checkpoint> {
        let note = self.signer.sign(self.tree.size(), &self.tree.root());
        // What was just written reads back; were it not so, no checkpoint is better than a bad one.
        let checkpoint = Checkpoint::parse(&note).ok()?;
        frame::put_checkpoint(&mut self.buffer, &note);
        covered.checkpoint(note.as_bytes());
        Some(checkpoint)
    }

    /// Puts the group's frame in front, and returns its MAC.
    fn seal(&mut self, entries: u64, covered: Covered) -> Mac {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let mut group = Group {
            number: self.next.group,
            offset: self.tail.bytes,
            first_index: self.next.index,
            body_bytes: number((self.buffer.len() - KEYED_GROUP_FRAME_BYTES) as u64),
            entries: number(entries),
            mac: None,
        };
        let mac = covered.end(&group);
        group.mac = Some(mac);
        if let Some(room) = self.buffer.get_mut(..KEYED_GROUP_FRAME_BYTES) {
            room.copy_from_slice(&group.encode());
        }
        mac
    }

    fn flush(&self) -> Result<(), (LedgerError, bool)> {
        let path = || segment::path(&self.shared.dir, self.tail.number);
        let file = &self.tail.file;
        file.write_at(&self.buffer, self.tail.bytes).map_err(|e| (io_error("write", path())(e), false))?;
        file.sync_data().map_err(|e| (io_error("sync", path())(e), true))
    }

    /// Tells everyone in a batch that is durable where it is: at the log's end.
    fn answer(&self, batch: Batch) {
        let mut index = self.tree.size().saturating_sub(batch.records());
        for append in batch.appends {
            let records = append.records.len() as u64;
            let _ = append.reply.send(Ok(Appended { first_index: index, records }));
            index += records;
        }
        for reply in batch.checkpoints {
            let _ = reply.send(self.shared.view.latest().ok_or(LedgerError::NoCheckpoint));
        }
    }

    fn erase(&self, index: u64, slot: Slot) -> Result<(), LedgerError> {
        let dir = &self.shared.dir;
        let found = read::disclosure(dir, &|index| self.shared.view.place(index), index, slot)?;
        let found = found.ok_or(LedgerError::NoDisclosure { index, slot })?;
        let path = segment::path(dir, u64::from(found.segment));
        let file = SegmentFile::open(&path, &self.options.disk).map_err(io_error("open", &path))?;
        erase(&file, found.at, found.disclosure.value.len()).map_err(io_error("erase in", &path))
    }
}

/// Closes the queue when the writer ends, however it ends.
struct Abandon<'a>(&'a Shared);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}
