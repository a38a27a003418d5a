//! Places of which the settings say how many there may be, and may say otherwise while some are taken; and of those who took
//! one, who has not shown yet that they may have it.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// How many are taken.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: AtomicUsize,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Arc<Places>);

impl Places {
    /// One more, where fewer than `max` are taken. A larger `max` counts at once, a smaller one as places are given back.
    pub(crate) fn take(self: &Arc<Self>, max: usize) -> Option<Taken> {
        let one_more = |taken: usize| taken.checked_add(1).filter(|taken| *taken <= max);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Taken(Arc::clone(self)))
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Those who are not known yet, the oldest first. Where all places are taken the oldest is given up for one more: whoever
/// means it is known in a moment, so strangers who hold all places keep nobody out.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    line: Mutex<BTreeMap<u64, CancellationToken>>,
    last: AtomicU64,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    among: Arc<Strangers>,
    /// Its place in the line, from 1; 0 while it is known.
    number: AtomicU64,
    /// Whether its peer has shown who they are since this was asked anew.
    met: AtomicBool,
    /// Somebody else has its place.
    pub(crate) given_up: CancellationToken,
}

impl Strangers {
    pub(crate) fn enter(self: &Arc<Self>) -> Stranger {
        let given_up = CancellationToken::new();
        let (number, met) = (AtomicU64::new(0), AtomicBool::new(false));
        let stranger = Stranger { among: Arc::clone(self), number, met, given_up };
        stranger.becomes_unknown();
        stranger
    }

    /// The same among at most so many.
    pub(crate) fn enter_among(self: &Arc<Self>, max: usize) -> Stranger {
        while self.line.lock().len() >= max.max(1) && self.give_up_oldest() {}
        self.enter()
    }

    /// False where there is none.
    pub(crate) fn give_up_oldest(&self) -> bool {
        let oldest = self.line.lock().pop_first();
        oldest.map(|(_, stranger)| stranger.cancel()).is_some()
    }
}

impl Stranger {
    /// It is one no more.
    pub(crate) fn becomes_known(&self) {
        // a request of somebody known takes no lock
        let number = self.number.swap(0, Ordering::AcqRel);
        if number != 0 {
            self.among.line.lock().remove(&number);
        }
    }
    /// A request begins: nobody has shown anything by it yet. Whoever was known before is so until it is answered.
    pub(crate) fn is_asked(&self) {
        self.met.store(false, Ordering::Release);
    }

    /// It was answered. Without anybody known it is a stranger's, whatever else its answer was.
    pub(crate) fn is_answered(&self) {
        if !self.met.load(Ordering::Acquire) {
            self.becomes_unknown();
        }
    }

    /// It is one again, as the last who came; who is one keeps the place in the line.
    fn becomes_unknown(&self) {
        if self.number.load(Ordering::Acquire) != 0 {
            return;
        }
        let number = self.among.last.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        self.number.store(number, Ordering::Release);
        self.among.line.lock().insert(number, self.given_up.clone());
    }
}

/// Through which it is told that the peer of a connection has shown who they are. It outlives the connection without holding
/// its place.
#[derive(Debug, Clone, Default)]
pub struct Acquaintance(Weak<Stranger>);

impl Acquaintance {
    pub(crate) fn with(stranger: &Arc<Stranger>) -> Self {
        Self(Arc::downgrade(stranger))
    }

    /// It is somebody known. To tell it of what is no connection does nothing.
    pub fn make(&self) {
        if let Some(stranger) = self.0.upgrade() {
            stranger.met.store(true, Ordering::Release);
            stranger.becomes_known();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.becomes_known();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stranger_is_given_up_and_nobody_who_is_known() {
        let strangers = Arc::<Strangers>::default();
        assert!(!strangers.give_up_oldest(), "there is none");
        let all: Vec<Stranger> = (0..4).map(|_| strangers.enter()).collect();
        let gone = || all.iter().map(|one| one.given_up.is_cancelled()).collect::<Vec<_>>();
        all[0].becomes_known();
        assert!(strangers.give_up_oldest());
        assert_eq!(gone(), [false, true, false, false]);
        all[2].becomes_known();
        all[2].is_answered();
        assert!(strangers.give_up_oldest());
        assert_eq!(gone(), [false, true, false, true], "whoever is unknown again came last");
        let _one = strangers.enter_among(1);
        assert_eq!(gone(), [false, true, true, true]);
        drop(all);
        assert_eq!(strangers.line.lock().len(), 1);
    }

    #[test]
    fn only_who_was_met_by_a_request_keeps_the_place_and_asking_again_and_again_is_no_younger() {
        let strangers = Arc::<Strangers>::default();
        let [known, asks] = [0, 1].map(|_| Arc::new(strangers.enter()));
        let acquaintance = Acquaintance::with(&known);
        acquaintance.make();
        known.is_answered();
        for _ in 0..3 {
            asks.is_asked();
            asks.is_answered();
        }
        let newer = strangers.enter();
        assert!(strangers.give_up_oldest());
        assert!(asks.given_up.is_cancelled() && !newer.given_up.is_cancelled(), "it was there before");
        // whoever was known is so until the next request is answered
        known.is_asked();
        assert!(strangers.give_up_oldest() && newer.given_up.is_cancelled());
        assert!(!strangers.give_up_oldest());
        known.is_answered();
        assert!(strangers.give_up_oldest() && known.given_up.is_cancelled());
        drop((known, asks, newer));
        acquaintance.make();
        assert_eq!(strangers.line.lock().len(), 0, "a connection that is gone has no place");
    }

    #[test]
    fn fewer_places_count_as_they_are_given_back_and_more_at_once() {
        let places = Arc::<Places>::default();
        let mut taken: Vec<Taken> = (0..3).map_while(|_| places.take(3)).collect();
        assert_eq!((taken.len(), places.take(3).is_none()), (3, true));
        assert!(places.take(2).is_none(), "three are taken, and two may be");
        taken.pop();
        assert!(places.take(2).is_none(), "two are taken still");
        taken.pop();
        taken.extend(places.take(2));
        assert_eq!((taken.len(), places.taken()), (2, 2));
        taken.extend(places.take(3));
        assert_eq!(places.taken(), 3, "one more at once");
        drop(taken);
        assert_eq!(places.taken(), 0);
    }
}
