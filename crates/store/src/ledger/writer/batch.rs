//! A group that is being put together.

use crate::ledger::{error::LedgerError, note::Checkpoint, queue::Append};
use tokio::sync::oneshot;

#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    pub(super) checkpoints: Vec<oneshot::Sender<Result<Checkpoint, LedgerError>>>,
    pub(super) bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.checkpoints.is_empty()
    }

    pub(super) fn add(&mut self, append: Append) {
        self.bytes += append.bytes;
        self.appends.push(append);
    }

    pub(super) fn records(&self) -> u64 {
        self.appends.iter().map(|append| append.records.len() as u64).sum()
    }

    /// Whether something in it could be shorter.
    pub(super) fn has_values_of_ends(&self) -> bool {
        self.appends.iter().any(|append| append.ends && append.has_values())
    }

    /// What ends something, without its values, with the checkpoints; and the rest.
    pub(super) fn parted(self) -> (Self, Self) {
        let mut ends = Self { checkpoints: self.checkpoints, ..Self::default() };
        let mut others = Self::default();
        for append in self.appends {
            match if append.ends { append.bare() } else { Err(append) } {
                Ok(bare) => ends.add(bare),
                Err(whole) => others.add(whole),
            }
        }
        (ends, others)
    }
}

pub(super) fn refuse(batch: Batch, error: &LedgerError) {
    for append in batch.appends {
        let _ = append.reply.send(Err(error.clone()));
    }
    for reply in batch.checkpoints {
        let _ = reply.send(Err(error.clone()));
    }
}
