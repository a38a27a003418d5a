//! Where time and chance come from: injected, so that tests own them.

use crate::Timestamp;
use std::fmt::Debug;

/// The wall clock.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Cryptographic randomness.
pub trait Entropy: Debug + Send + Sync {
    /// Fills all of `out`, or aborts: a gateway without randomness must not run.
    fn fill(&self, out: &mut [u8]);
}
