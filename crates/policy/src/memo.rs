//! Answers that are kept: the rules and the catalogue they rest on never change under them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{PoisonError, RwLock},
};

/// A bounded store. When it is full it forgets everything: what is kept is only ever a shortcut.
pub(crate) struct Memo<K, T> {
    kept: RwLock<BTreeMap<K, T>>,
    max: usize,
}

impl<K, T> fmt::Debug for Memo<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo(at most {})", self.max)
    }
}

impl<K: Ord, T: Clone> Memo<K, T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: RwLock::new(BTreeMap::new()), max }
    }

    pub(crate) fn get_or_make(&self, key: K, make: impl FnOnce() -> T) -> T {
        match self.get(&key) {
            Some(kept) => kept,
            None => self.keep(key, make()),
        }
    }

    pub(crate) fn get_or_try(&self, key: K, make: impl FnOnce() -> Option<T>) -> Option<T> {
        match self.get(&key) {
            Some(kept) => Some(kept),
            None => Some(self.keep(key, make()?)),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<T> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn keep(&self, key: K, value: T) -> T {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.max {
            kept.clear();
        }
        kept.insert(key, value.clone());
        value
    }
}

/// What an answer is kept under: bytes that no two different questions share, as each part has its length before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn of(number: usize) -> Self {
        let mut key = Self(Vec::with_capacity(160));
        key.number(number);
        key
    }

    pub(crate) fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Memo};

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

    #[test]
    fn keys_of_different_parts_differ() {
        let of = |parts: &[&str]| {
            let mut key = Key::of(1);
            parts.iter().for_each(|part| key.text(part));
            key
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_ne!(Key::of(1), Key::of(2));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
