//! Answers that are kept: the rules and the catalogue they rest on never change under them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{PoisonError, RwLock},
};

/// A bounded store. When it is full it forgets everything: what is kept is only ever a shortcut.
pub(crate) struct Memo<T> {
    kept: RwLock<BTreeMap<String, T>>,
    max: usize,
}

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo(at most {})", self.max)
    }
}

impl<T: Clone> Memo<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: RwLock::new(BTreeMap::new()), max }
    }

    pub(crate) fn get_or_make(&self, key: String, make: impl FnOnce() -> T) -> T {
        match self.get(&key) {
            Some(kept) => kept,
            None => self.keep(key, make()),
        }
    }

    pub(crate) fn get_or_try(&self, key: String, make: impl FnOnce() -> Option<T>) -> Option<T> {
        match self.get(&key) {
            Some(kept) => Some(kept),
            None => Some(self.keep(key, make()?)),
        }
    }

    fn get(&self, key: &str) -> Option<T> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: String, value: T) -> T {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.max {
            kept.clear();
        }
        kept.insert(key, value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::Memo;

    #[test]
    fn a_full_memo_forgets_and_stays_right() {
        let memo = Memo::new(3);
        for i in 0..20 {
            assert_eq!(memo.get_or_make(i.to_string(), || i), i);
            assert_eq!(memo.get_or_make(i.to_string(), || i + 100), i, "kept");
            assert!(memo.kept.read().unwrap().len() <= 3);
        }
        assert_eq!(memo.get_or_try("none".into(), || None), None);
    }
}
