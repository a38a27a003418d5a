//! A line of the log that anybody outside can cause, said seldom.

use std::sync::atomic::{AtomicU64, Ordering};

/// Between two lines.
const APART_US: u64 = 10 * 1_000_000;

/// Counts what was left out between two lines.
#[derive(Debug, Default)]
pub struct Seldom {
    next_at: AtomicU64,
    left_out: AtomicU64,
}

impl Seldom {
    /// How many were left out since the last line, if it is time for one: ten seconds after it, by microseconds of any
    /// clock. Where that was set back it is.
    pub fn now(&self, now_us: u64) -> Option<u64> {
        let next = self.next_at.load(Ordering::Relaxed);
        let is_time = now_us >= next || next - now_us > APART_US;
        let after = now_us.saturating_add(APART_US);
        // of several at once one says it
        let turn = |is_time: bool| {
            is_time
                && self.next_at.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if turn(is_time) {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_cause_is_said_seldom_and_counted() {
        let seldom = Seldom::default();
        let at = |seconds: u64| seconds * 1_000_000;
        assert_eq!(seldom.now(at(100)), Some(0));
        assert_eq!((seldom.now(at(101)), seldom.now(at(109))), (None, None));
        assert_eq!(seldom.now(at(110)), Some(2));
        assert_eq!(seldom.now(at(111)), None);
        assert_eq!(seldom.now(at(50)), Some(1), "a clock that was set back silences nobody");
    }
}
