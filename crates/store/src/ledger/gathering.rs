//! How long a group waits for others. A sync costs the processor as much as the whole rest of an append, so one for
//! eight is better than one for two; but nobody is to wait for a call that is still at its server.

use std::time::Duration;

/// Longest wait, in syncs of this disk and in all.
const SYNCS_MAX: u64 = 3;
const US_MAX: u64 = 1_000;
/// Shortest: timers of the system are no finer.
const US_MIN: u64 = 50;

/// How long to wait, as experience has it.
#[derive(Debug)]
pub(super) struct Gathering {
    patience_us: u64,
    /// A running mean.
    sync_us: u64,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { patience_us: US_MIN, sync_us: US_MIN }
    }
}

impl Gathering {
    pub(super) fn patience(&self) -> Duration {
        Duration::from_micros(self.patience_us)
    }

    /// A sync took this long.
    pub(super) fn flushed(&mut self, us: u64) {
        self.sync_us = (self.sync_us.saturating_mul(7).saturating_add(us)) / 8;
    }

    /// Whether waiting brought anybody: if so it may last longer, else less.
    pub(super) fn brought(&mut self, somebody: bool) {
        let most = self.sync_us.saturating_mul(SYNCS_MAX).clamp(US_MIN, US_MAX);
        let next = if somebody { self.patience_us.saturating_mul(2) } else { self.patience_us / 2 };
        self.patience_us = next.clamp(US_MIN, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_success_and_is_bounded_by_the_disk() {
        let mut gathering = Gathering::default();
        for _ in 0..100 {
            gathering.flushed(200);
        }
        for _ in 0..10 {
            gathering.brought(true);
        }
        let most = gathering.patience();
        assert!((500..=600).contains(&most.as_micros()), "three syncs: {most:?}");
        for _ in 0..10 {
            gathering.brought(false);
        }
        assert_eq!(gathering.patience(), Duration::from_micros(US_MIN));
        for _ in 0..100 {
            gathering.flushed(1_000_000);
            gathering.brought(true);
        }
        assert_eq!(gathering.patience(), Duration::from_micros(US_MAX));
    }
}
