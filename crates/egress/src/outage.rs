//! Whether something that is asked fails: the first failure is news, and so is that it is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// How asking went the last time.
#[derive(Debug, Default)]
pub struct Outage(AtomicBool);

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub enum News<E> {
    Began(E),
    Over,
}

impl Outage {
    /// Notes how it went now. What goes on as it was is no news.
    pub fn note<E>(&self, fault: Option<E>) -> Option<News<E>> {
        match (self.0.swap(fault.is_some(), Ordering::Relaxed), fault) {
            (false, Some(fault)) => Some(News::Began(fault)),
            (true, None) => Some(News::Over),
            (false, None) | (true, Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_that_it_is_over() {
        let outage = Outage::default();
        let told: Vec<_> =
            [None, Some(1), Some(2), None, None, Some(3)].map(|fault| outage.note(fault)).into();
        assert_eq!(told, [None, Some(News::Began(1)), None, Some(News::Over), None, Some(News::Began(3))]);
    }
}
