//! What was appended lately, for the one that follows: so that it need not be read back and taken apart again.

use decision::Entry;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::Notify;

/// Most entries that are kept for a follower, and most bytes of theirs as the files have them. One that is further
/// behind reads the files; half of either calls it.
const KEPT_MAX: usize = 8_192;
const KEPT_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: Mutex<Kept>,
    half_full: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    /// Nothing is kept for nobody.
    followed: bool,
    /// Consecutive, the first being that of index `first`.
    entries: VecDeque<(Arc<Entry>, usize)>,
    bytes: usize,
    first: u64,
}

/// An entry, if it is known by more than its bytes, and how many those are.
pub(super) type Said<'a> = (Option<&'a Arc<Entry>>, usize);

impl Recent {
    /// Keeps entries that became durable, the first of them at `index`. After one that is known by its bytes
    /// alone, only what follows it is kept.
    pub(super) fn add<'a>(&self, index: u64, said: impl Iterator<Item = Said<'a>>) {
        let mut kept = self.kept.lock();
        if !kept.followed {
            return;
        }
        if kept.entries.is_empty() || kept.end() != index {
            kept.begin(index);
        }
        for entry in said {
            match entry {
                (Some(entry), bytes) => kept.put(entry, bytes),
                (None, _) => {
                    let next = kept.end() + 1;
                    kept.begin(next);
                }
            }
        }
        if kept.is_half_full() {
            self.half_full.notify_waiters();
        }
    }

    /// Waits until half of what can be kept is.
    pub(super) async fn half_full(&self) {
        loop {
            // it hears of what happens from here on
            let called = self.half_full.notified();
            if self.kept.lock().is_half_full() {
                return;
            }
            called.await;
        }
    }

    /// Takes everything from `from` on, if it is kept without a gap.
    pub(super) fn from(&self, from: u64) -> Option<Vec<(u64, Arc<Entry>)>> {
        let mut kept = self.kept.lock();
        kept.followed = true;
        while kept.first < from && kept.drop_first() {}
        if kept.first != from || kept.entries.is_empty() {
            return None;
        }
        let next = kept.end();
        let entries = std::mem::take(&mut kept.entries);
        kept.begin(next);
        Some((from..).zip(entries.into_iter().map(|(entry, _)| entry)).collect())
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn is_half_full(&self) -> bool {
        self.entries.len() >= KEPT_MAX / 2 || self.bytes >= KEPT_BYTES_MAX / 2
    }

    fn begin(&mut self, index: u64) {
        self.entries.clear();
        (self.bytes, self.first) = (0, index);
    }

    fn put(&mut self, entry: &Arc<Entry>, bytes: usize) {
        self.entries.push_back((Arc::clone(entry), bytes));
        self.bytes += bytes;
        while (self.entries.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX) && self.drop_first() {}
    }

    fn drop_first(&mut self) -> bool {
        let Some((_, bytes)) = self.entries.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(bytes);
        self.first += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::{Environment, Event, EventName, TenantId, Timestamp};
    use std::collections::BTreeMap;

    fn entry(n: u64) -> Arc<Entry> {
        Arc::new(Entry::Event(Event {
            v: 1,
            at: Timestamp(n),
            tenant: TenantId::default(),
            environment: Environment::default(),
            event: EventName::GatewayStarted,
            call: None,
            server: None,
            detail: BTreeMap::new(),
        }))
    }

    fn add(recent: &Recent, entries: std::ops::Range<u64>) {
        let said: Vec<_> = entries.clone().map(entry).collect();
        recent.add(entries.start, said.iter().map(|entry| (Some(entry), 100)));
    }

    fn told(recent: &Recent, from: u64) -> Option<Vec<u64>> {
        let entries = recent.from(from)?;
        for (index, entry) in &entries {
            assert_eq!(*entry, self::entry(*index), "each is at its index");
        }
        Some(entries.into_iter().map(|(index, _)| index).collect())
    }

    #[test]
    fn a_follower_that_keeps_up_is_told_each_entry_once() {
        let recent = Recent::default();
        add(&recent, 0..3);
        assert_eq!(told(&recent, 0), None, "nobody followed");
        add(&recent, 3..5);
        add(&recent, 5..6);
        assert_eq!(told(&recent, 3), Some(vec![3, 4, 5]));
        assert_eq!(told(&recent, 6), None);
        add(&recent, 6..8);
        assert_eq!(told(&recent, 6), Some(vec![6, 7]));
        add(&recent, 8..12);
        assert_eq!(told(&recent, 10), Some(vec![10, 11]), "what it knows is left out");
    }

    #[test]
    fn where_one_is_missing_nothing_is_told() {
        let recent = Recent::default();
        assert_eq!(told(&recent, 0), None);
        add(&recent, 4..6);
        assert_eq!(told(&recent, 3), None, "the third was never here");
        assert_eq!(told(&recent, 4), Some(vec![4, 5]));
        let (sixth, eighth) = (entry(6), entry(8));
        recent.add(6, [(Some(&sixth), 100), (None, 100), (Some(&eighth), 100)].into_iter());
        assert_eq!(told(&recent, 6), None, "the seventh is known by its bytes");
        assert_eq!(told(&recent, 8), Some(vec![8]));
        add(&recent, 9..10);
        add(&recent, 11..12);
        assert_eq!(told(&recent, 9), None, "a gap");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recent = Recent::default();
        assert_eq!(told(&recent, 0), None);
        let many = KEPT_MAX as u64 + 10;
        add(&recent, 0..many);
        assert_eq!(told(&recent, 0), None);
        assert_eq!(told(&recent, 10).map(|told| told.len()), Some(KEPT_MAX));
        let large: Vec<_> = (many..many + 3).map(entry).collect();
        recent.add(many, large.iter().map(|entry| (Some(entry), KEPT_BYTES_MAX / 2)));
        assert_eq!(told(&recent, many + 1), Some(vec![many + 1, many + 2]), "two fill it");
    }
}
