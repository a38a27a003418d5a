//! Signed tokens that were found good, so that their signature is looked at once.
//!
//! They are known by a tag of each, under a key that nobody learns: SipHash-2-4 of 128 bits (Aumasson and Bernstein, 2012),
//! which is a message authentication code. Without the key no other token with the same tag can be made, and to guess one
//! takes 2^127 requests. A tag takes a sixth of what a SHA-256 of the same token does, and every request has one made.

use super::Verified;
use decision::{Entropy, Timestamp};
use parking_lot::Mutex;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::{collections::BTreeMap, hash::Hasher as _, sync::Arc};

/// Most tokens that are remembered.
const TOKENS_MAX: usize = 4_096;

/// A token's name in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(u128);

/// Good tokens by tag, as of one count of changes.
pub(super) struct Seen {
    key: [u8; 16],
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    changes: u64,
    tokens: BTreeMap<Tag, Arc<Verified>>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seen({} tokens)", self.known.lock().tokens.len())
    }
}

impl Seen {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 16];
        entropy.fill(&mut key);
        Self { key, known: Mutex::default() }
    }

    pub(super) fn tag(&self, token: &str) -> Tag {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(token.as_bytes());
        Tag(hasher.finish128().as_u128())
    }

    /// Forgets everything where there were changes since.
    pub(super) fn find(&self, tag: Tag, changes: u64) -> Option<Arc<Verified>> {
        let mut known = self.known.lock();
        if known.changes != changes {
            *known = Known { changes, tokens: BTreeMap::new() };
        }
        known.tokens.get(&tag).cloned()
    }

    pub(super) fn remember(&self, tag: Tag, verified: &Arc<Verified>, changes: u64, now: Timestamp) {
        let mut known = self.known.lock();
        // what was judged before a change must not be remembered after it
        if known.changes != changes {
            return;
        }
        if known.tokens.len() >= TOKENS_MAX {
            known.tokens.retain(|_, token| !token.times.is_over(now));
        }
        if known.tokens.len() >= TOKENS_MAX {
            known.tokens.pop_first();
        }
        known.tokens.insert(tag, Arc::clone(verified));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that is all one byte.
    #[derive(Debug)]
    struct Same(u8);

    impl Entropy for Same {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn a_tag_is_of_all_of_a_token_and_of_one_process_alone() {
        let (seen, other) = (Seen::new(&Same(1)), Seen::new(&Same(2)));
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
        let tag = seen.tag(token);
        assert_eq!(seen.tag(token), tag);
        assert_ne!(other.tag(token), tag, "the key is the process's own");
        for at in 0..token.len() {
            let mut changed = token.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_ne!(seen.tag(std::str::from_utf8(&changed).unwrap()), tag, "byte {at}");
            assert_ne!(seen.tag(token.get(..at).unwrap()), tag, "cut at {at}");
        }
    }
}
