//! Places of which the settings say how many there may be, and may say otherwise while some are taken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

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

#[cfg(test)]
mod tests {
    use super::*;

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
