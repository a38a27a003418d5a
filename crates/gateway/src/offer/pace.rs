//! When a server is looked at again.

use crate::upstream::{Fault, FaultKind};
use std::{fmt, time::Duration};
use store::StoreError;

/// Between two looks at a server that did not ask for one: a dated verdict must not last for ever.
const AGAIN: Duration = Duration::from_secs(15 * 60);
/// After a server could not be reached, doubled each time up to [`RETRY_MAX`].
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The same after one whose lists have no end: each look at it is hundreds of entries in a record that is never pruned.
const ENDLESS_MIN: Duration = Duration::from_secs(15 * 60);
const ENDLESS_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// How soon it is looked at at best, when it says itself that something changed.
const ENDLESS_WOKEN: Duration = Duration::from_secs(60 * 60);
/// Change notices of one server that come together count as one.
const SETTLE: Duration = Duration::from_millis(150);
/// The same for one that goes on and on.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Why a server could not be looked at.
#[derive(Debug)]
pub struct Unlooked {
    because: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What it offers has no end, or none that is waited for.
    Endless,
    /// It answered, with something else than a list: to ask again soon helps less, and each look is in the record.
    Answered,
    /// It may be back any moment.
    Away,
}

impl fmt::Display for Unlooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.because)
    }
}

impl Unlooked {
    /// It answered, and not with all of it.
    pub(super) fn answered(because: String) -> Self {
        Self { because, kind: Kind::Answered }
    }
}

impl From<Fault> for Unlooked {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::TooLarge => Kind::Endless,
            FaultKind::Nonsense | FaultKind::Refused => Kind::Answered,
            FaultKind::Unreachable
            | FaultKind::Timeout
            | FaultKind::Lost
            | FaultKind::Busy
            | FaultKind::Unauthorized
            | FaultKind::Cancelled
            | FaultKind::SessionGone
            | FaultKind::NotThisEra => Kind::Away,
        };
        Self { because: fault.to_string(), kind }
    }
}

impl From<StoreError> for Unlooked {
    fn from(error: StoreError) -> Self {
        // what it offers is more than is kept
        let is_too_much = matches!(error, StoreError::Unacceptable { .. });
        Self { because: error.to_string(), kind: if is_too_much { Kind::Endless } else { Kind::Away } }
    }
}

impl From<&str> for Unlooked {
    fn from(because: &str) -> Self {
        Self { because: because.to_owned(), kind: Kind::Away }
    }
}

/// How fast one server is looked at.
#[derive(Debug)]
pub(super) struct Pace {
    retry: Duration,
    endless: Option<Duration>,
    settle: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { retry: RETRY_MIN, endless: None, settle: SETTLE }
    }
}

impl Pace {
    /// How long to wait after a look.
    pub(super) fn after(&mut self, looked: &Result<(), Unlooked>) -> Duration {
        let endless = self.endless.take();
        let most = match looked {
            Ok(()) => {
                self.retry = RETRY_MIN;
                return AGAIN;
            }
            Err(Unlooked { kind: Kind::Endless, .. }) => {
                let wait = endless.map_or(ENDLESS_MIN, |before| (before * 2).min(ENDLESS_MAX));
                self.endless = Some(wait);
                return wait;
            }
            Err(Unlooked { kind: Kind::Answered, .. }) => AGAIN,
            Err(Unlooked { kind: Kind::Away, .. }) => RETRY_MAX,
        };
        let now = self.retry.min(most);
        self.retry = (now * 2).min(most);
        now
    }

    /// How long to wait once it said that something changed, so long after the last look. One that cries all the time is
    /// heard less and less often, until it was quiet for once; one without an end, hardly at all.
    pub(super) fn woken(&mut self, since: Duration) -> Duration {
        if let Some(endless) = self.endless {
            return endless.min(ENDLESS_WOKEN).saturating_sub(since);
        }
        let settle = if since > SETTLE_MAX { SETTLE } else { self.settle };
        self.settle = (settle * 4).min(SETTLE_MAX);
        settle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_lists_have_no_end_is_asked_ever_less_often_whatever_it_cries() {
        let mut pace = Pace::default();
        let endless = || Err(Unlooked::from(Fault::sent(FaultKind::TooLarge, "more than 100 pages")));
        let (mut passed, mut looks) = (Duration::ZERO, 0);
        while passed < Duration::from_secs(24 * 60 * 60) {
            let next = pace.after(&endless());
            // it cries at once
            passed += next.min(Duration::from_secs(1) + pace.woken(Duration::from_secs(1)));
            looks += 1;
        }
        assert!(looks <= 27, "{looks} looks a day");
        let kept = || Err(Unlooked::from(StoreError::Unacceptable { what: "sighting", rule: "less" }));
        assert_eq!(Pace::default().after(&kept()).as_secs(), 900, "more than is kept has no end either");
        let waits: Vec<u64> = (0..3).map(|_| Pace::default().after(&endless()).as_secs()).collect();
        assert_eq!(waits, [900; 3]);
        let mut quiet = Pace::default();
        let waits: Vec<u64> = (0..6).map(|_| quiet.after(&endless()).as_secs() / 60).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 360]);
        // one that can be looked at again is forgotten to have been such
        assert_eq!(quiet.after(&Ok(())), AGAIN);
        assert_eq!(quiet.woken(Duration::from_secs(1)), SETTLE);
        assert_eq!(quiet.after(&endless()), ENDLESS_MIN);
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_asked_again_soon() {
        let mut pace = Pace::default();
        let lost = || Err(Unlooked::from(Fault::sent(FaultKind::Lost, "gone")));
        let waits: Vec<u64> = (0..8).map(|_| pace.after(&lost()).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.after(&Ok(())), AGAIN);
        let settled: Vec<_> = (0..6).map(|_| pace.woken(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(settled, [150, 600, 2_400, 9_600, 30_000, 30_000]);
        assert_eq!(pace.woken(Duration::from_secs(31)), SETTLE);
    }

    #[test]
    fn a_server_that_answers_with_errors_is_asked_again_no_more_often_than_one_that_is_well() {
        let mut pace = Pace::default();
        let mut wait = |kind| pace.after(&Err(Unlooked::from(Fault::sent(kind, "no")))).as_secs();
        let waits: Vec<u64> = (0..12).map(|_| wait(FaultKind::Nonsense)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(wait(FaultKind::Unreachable), 60, "one that is away may be back");
    }
}
