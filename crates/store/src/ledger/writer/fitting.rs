//! What there is room for, so that what has begun can be recorded to its end, however full the disk is.

use super::{Writer, batch::Batch};
use crate::ledger::{
    error::{LedgerError, io_error},
    room::{GROUP, STEP, wanted},
    segment,
};
use std::sync::atomic::Ordering;

impl Writer {
    /// Sees to it that another call can begin and what has begun can be recorded to its end. Where that cannot be, nothing
    /// begins: the end of what has begun goes into the room that was laid out for it before, in a segment that is full too.
    pub(super) fn make_room(&mut self) {
        if self.short.as_ref().is_some_and(|short| short.lasts(self.shared.clock.now())) {
            return;
        }
        let is_full = self.tail.bytes >= self.options.segment_bytes && self.has_groups();
        let rotated = if is_full { self.rotate() } else { Ok(()) };
        // more than was missing, or the next call would find as little
        let spare = if self.short.is_some() { 4 * STEP } else { STEP };
        match rotated.and_then(|()| self.lay_out(spare)) {
            Err(error) => self.fall_short(&error),
            Ok(()) if self.short.take().is_some() => {
                self.shared.counters.has_room();
                tracing::info!(entries = self.tree.size(), "the ledger has room for calls again");
            }
            Ok(()) => {}
        }
    }

    /// What of the batch there is room for. The others are told, and what ends something goes without its values: those never
    /// take the room of how others end.
    pub(super) fn fitting(&mut self, batch: Batch) -> Batch {
        if self.short.is_none() && self.lay_out(batch.bytes as u64).is_ok() {
            return batch;
        }
        let mut fits = Batch { checkpoints: batch.checkpoints, ..Batch::default() };
        for append in batch.appends {
            let refusal = match &self.short {
                Some(short) => short.refusal(),
                None => match self.lay_out((fits.bytes + append.bytes) as u64) {
                    Ok(()) => {
                        fits.add(append);
                        continue;
                    }
                    Err(error) => LedgerError::Unavailable { because: error.to_string() },
                },
            };
            let bare = if append.ends { append.bare() } else { Err(append) };
            match bare {
                Ok(bare) if self.is_room_for((fits.bytes + bare.bytes) as u64) => fits.add(bare),
                Ok(append) | Err(append) => {
                    let _ = append.reply.send(Err(refusal));
                }
            }
        }
        fits
    }

    /// Whether ends of so many bytes, and what stands around them, go into what is laid out.
    fn is_room_for(&self, bytes: u64) -> bool {
        self.tail.laid_out.reaches(self.tail.bytes.saturating_add(bytes).saturating_add(GROUP))
    }

    /// Bytes to be laid out behind whatever is written.
    pub(super) fn wanted(&self) -> u64 {
        wanted(self.shared.begun.load(Ordering::Relaxed))
    }

    /// Room for so many bytes, and behind them for how what has begun ends.
    pub(super) fn lay_out(&mut self, bytes: u64) -> Result<(), LedgerError> {
        let path = || segment::path(&self.shared.dir, self.tail.number);
        let room = bytes + self.wanted();
        let done = self.tail.laid_out.reach(&self.tail.file, self.tail.bytes, room);
        done.map_err(|error| io_error("lay out room in", path())(error))
    }

    fn fall_short(&mut self, error: &LedgerError) {
        let because = error.to_string();
        if self.short.is_none() {
            tracing::error!(
                because,
                "the ledger has no room for another call: calls are refused until it has"
            );
        }
        self.shared.counters.fell_short();
        self.short = Some(self.rest(because));
    }
}
