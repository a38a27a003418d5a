//! The machine's clock and dice: the only place they are read.

use decision::{Clock, Entropy, Timestamp};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroize as _;

/// The wall clock of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everybody else takes")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > POOL_BYTES / 4 {
            return draw(out);
        }
        POOL.with_borrow_mut(|pool| pool.take(out));
    }
}

/// Straight from the system: a generator of our own would first gather twenty milliseconds of noise, at every start.
#[expect(clippy::disallowed_methods, reason = "this is the Entropy that everybody else takes")]
fn draw(out: &mut [u8]) {
    if getrandom::fill(out).is_err() {
        // the contract of `Entropy`: without randomness nothing may go on
        std::process::abort();
    }
}

/// Drawing costs the same for a few bytes as for many, and a call takes a few bytes seven times.
const POOL_BYTES: usize = 512;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0 }) };
}

/// Random bytes of one thread, none of which is given twice.
struct Pool {
    bytes: [u8; POOL_BYTES],
    left: usize,
}

impl Pool {
    fn take(&mut self, out: &mut [u8]) {
        if self.left < out.len() {
            draw(&mut self.bytes);
            self.left = POOL_BYTES;
        }
        let from = self.left - out.len();
        if let Some(taken) = self.bytes.get_mut(from..self.left) {
            out.copy_from_slice(taken);
            // what was given is nobody else's
            taken.zeroize();
        }
        self.left = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_of_this_century_and_the_dice_differ() {
        assert!(SystemClock.now().0 > 1_700_000_000_000_000);
        let (mut one, mut two) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut one);
        SystemEntropy.fill(&mut two);
        assert_ne!(one, two);
    }

    #[test]
    fn nothing_is_given_twice_and_nothing_is_left_empty() {
        let mut given = std::collections::BTreeSet::new();
        for size in (8..=64).cycle().take(2_000) {
            let mut out = vec![0; size];
            SystemEntropy.fill(&mut out);
            for part in out.chunks_exact(8) {
                assert!(given.insert(part.to_vec()), "{part:?} came before");
            }
        }
        let mut many = [0; POOL_BYTES * 2];
        SystemEntropy.fill(&mut many);
        assert!(many.chunks_exact(8).all(|part| given.insert(part.to_vec())));
        SystemEntropy.fill(&mut []);
        POOL.with_borrow(|pool| assert!(pool.bytes[pool.left..].iter().all(|byte| *byte == 0), "wiped"));
    }
}
