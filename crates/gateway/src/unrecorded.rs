//! Decisions of calls that had left, which the ledger could not take when they were over: written as soon as it can, so that
//! the record says how they ended, and not at the next start that nobody knows.

use crate::gate::Gate;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::ledger::{KeptRoom, Ledger, LedgerError, Record};

/// Most decisions that wait, and bytes of them with the values beside them. The end of a call beyond it is unknown after
/// the next start.
const WAITING_MAX: usize = 1_024;
const BYTES_MAX: usize = 32 * 1024 * 1024;
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<(Record, Arc<KeptRoom>)>,
    bytes: usize,
    is_tried: bool,
}

/// What is still to be recorded, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded(Mutex<Waiting>);

impl Unrecorded {
    /// Keeps one; whether somebody has to begin to try. `None` where there is no room.
    fn keep(&self, record: Record, room: KeptRoom) -> Option<bool> {
        let mut waiting = self.0.lock();
        // a few large values do not take the room of a thousand decisions
        let is_large = waiting.bytes + record.bytes() > BYTES_MAX / 2;
        let record = if is_large { record.bare() } else { record };
        let bytes = waiting.bytes + record.bytes();
        if waiting.records.len() >= WAITING_MAX || bytes > BYTES_MAX {
            return None;
        }
        waiting.bytes = bytes;
        waiting.records.push_back((record, Arc::new(room)));
        Some(!std::mem::replace(&mut waiting.is_tried, true))
    }

    /// The one whose turn it is; nobody tries any more where there is none.
    fn first(&self) -> Option<(Record, Arc<KeptRoom>)> {
        let mut waiting = self.0.lock();
        waiting.is_tried = !waiting.records.is_empty();
        waiting.records.front().cloned()
    }

    /// What could not be written now does not stand in the way of what can: the others come first, and it after them.
    fn is_put_off(&self) {
        let mut waiting = self.0.lock();
        if !waiting.records.is_empty() {
            waiting.records.rotate_left(1);
        }
    }

    fn count(&self) -> usize {
        self.0.lock().records.len()
    }

    fn is_written(&self) {
        let mut waiting = self.0.lock();
        let bytes = waiting.records.pop_front().map_or(0, |(record, _)| record.bytes());
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    async fn write(&self, ledger: &Weak<Ledger>) {
        let (mut written, mut put_off) = (0_u64, 0_usize);
        while let Some((record, room)) = self.first() {
            // whoever closes the ledger does not wait for this
            let Some(ledger) = ledger.upgrade() else { return };
            match ledger.append_end(vec![record], &room).await {
                Ok(_) => {
                    self.is_written();
                    written += 1;
                    put_off = 0;
                }
                Err(LedgerError::Closed) => return,
                Err(LedgerError::Unavailable { .. }) => {
                    drop(ledger);
                    self.is_put_off();
                    put_off += 1;
                    if put_off >= self.count() {
                        put_off = 0;
                        tokio::time::sleep(AGAIN).await;
                    }
                }
                // it will never be written, and others wait behind it
                Err(error) => {
                    tracing::error!(%error, "how a call ended cannot be recorded: it is unknown after the next start");
                    self.is_written();
                }
            }
        }
        if written > 0 {
            tracing::info!(
                calls = written,
                "how calls ended that could not be recorded is recorded after all"
            );
        }
    }
}

/// Has a decision written as soon as the ledger can be. The ledger has nothing of it: it said so.
pub(crate) fn record_later(gate: &Gate, decision: Record, room: KeptRoom) {
    match gate.unrecorded.keep(decision, room) {
        None => {
            tracing::error!(
                "too many calls have ended that cannot be recorded: how this one did is unknown after the next start"
            );
        }
        Some(false) => {}
        Some(true) => {
            let (unrecorded, ledger) = (Arc::clone(&gate.unrecorded), Arc::downgrade(&gate.ledger));
            tokio::spawn(async move { unrecorded.write(&ledger).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::{Disclosure, Entropy, Slot};

    #[derive(Debug)]
    struct Still;

    impl Entropy for Still {
        fn fill(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    #[test]
    fn no_more_waits_than_there_is_room_for_and_each_is_written_in_its_turn() {
        let unrecorded = Unrecorded::default();
        let record = |n: usize| Record::raw(n.to_string().into_bytes(), Vec::new());
        let keep = |record| unrecorded.keep(record, KeptRoom::default());
        assert_eq!(keep(record(0)), Some(true), "somebody begins");
        for n in 1..WAITING_MAX {
            assert_eq!(keep(record(n)), Some(false), "{n}");
        }
        assert_eq!(keep(record(0)), None);
        for n in 0..WAITING_MAX {
            assert_eq!(unrecorded.first().unwrap().0.entry(), n.to_string().as_bytes());
            unrecorded.is_written();
        }
        assert!(unrecorded.first().is_none() && unrecorded.0.lock().bytes == 0);
        let large = Record::raw(vec![b'x'; BYTES_MAX], Vec::new());
        assert_eq!(keep(large), Some(true));
        assert_eq!(keep(record(1)), None, "bytes are bounded too");
    }

    #[test]
    fn values_give_way_to_decisions_and_what_cannot_be_written_to_what_can() {
        let unrecorded = Unrecorded::default();
        let value = |n: usize| {
            let value = vec![b'v'; BYTES_MAX / 5].into();
            let entry = n.to_string().into_bytes();
            let beside = Disclosure::new(Slot::Result, value, &Still);
            Record::raw(entry.clone(), vec![beside]).or_bare(Record::raw(entry, Vec::new()))
        };
        for n in 0..10 {
            assert!(unrecorded.keep(value(n), KeptRoom::default()).is_some(), "{n}");
        }
        assert!(unrecorded.0.lock().bytes < BYTES_MAX / 2);
        unrecorded.is_put_off();
        for n in (1..10).chain([0]) {
            assert_eq!(unrecorded.first().unwrap().0.entry(), n.to_string().as_bytes());
            unrecorded.is_written();
        }
        assert!(unrecorded.first().is_none() && unrecorded.0.lock().bytes == 0);
    }
}
