//! Memory for secrets: locked against swapping, left out of core dumps, empty in a forked child, wiped when dropped.
//!
//! Locking takes whole pages and a system call, so small values share pages that stay locked. Where the system
//! gives no more locked memory ([`lock_fault`]) values still go here, unlocked: the caller says so aloud.

use crate::sys::{self, Slot};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// Pages are taken from the system in stretches of this size and never given back.
const CHUNK: usize = 16 << 10;
/// A value takes the smallest of these that it fits into; a larger one has pages of its own.
const SIZES: [usize; 4] = [64, 256, 1024, 4096];

/// Free places of each size.
struct Arena {
    free: [Vec<Slot>; SIZES.len()],
    fault: Option<String>,
}

static ARENA: Mutex<Arena> = Mutex::new(Arena { free: [const { Vec::new() }; SIZES.len()], fault: None });

fn arena() -> MutexGuard<'static, Arena> {
    // every change of it is one push or pop, so what a panic left behind is whole
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why memory for secrets could not be locked, if that ever happened in this process.
pub fn lock_fault() -> Option<String> {
    arena().fault.clone()
}

/// Takes a variable out of this process's environment, where others could read it in `/proc`. `None` when it is not
/// set, and while more than one thread runs: call it first of all.
pub fn take_variable(name: &str) -> Option<LockedBytes> {
    sys::take_variable(name)
}

impl Arena {
    fn map(&mut self, size: usize) -> Slot {
        let (slot, fault) = Slot::map(size);
        if let Some(fault) = fault {
            self.fault.get_or_insert(fault);
        }
        slot
    }

    fn take(&mut self, size: usize) -> Slot {
        let Some(class) = SIZES.iter().position(|one| size <= *one) else { return self.map(size) };
        let each = SIZES.get(class).copied().unwrap_or(CHUNK);
        if let Some(slot) = self.free.get_mut(class).and_then(Vec::pop) {
            return slot;
        }
        let mut left = self.map(CHUNK);
        while left.size() > each {
            let (slot, rest) = left.cut(each);
            if let Some(free) = self.free.get_mut(class) {
                free.push(slot);
            }
            left = rest;
        }
        left
    }

    fn give_back(&mut self, slot: Slot) {
        match SIZES.iter().position(|one| slot.size() == *one).and_then(|class| self.free.get_mut(class)) {
            Some(free) => free.push(slot),
            None => slot.unmap(),
        }
    }
}

/// Bytes of a secret. Never printed, never cloned.
pub struct LockedBytes {
    /// Taken out only by `drop`.
    slot: Option<Slot>,
    len: usize,
}

impl LockedBytes {
    /// So many zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Self { slot: Some(arena().take(len.max(1))), len }
    }

    /// A copy of `bytes`; wiping the original is the caller's part.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }

    /// Cuts off the end, and wipes it.
    pub fn truncate(&mut self, len: usize) {
        if let Some(end) = self.get_mut(len..) {
            end.zeroize();
            self.len = len;
        }
    }
}

impl Deref for LockedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.slot.as_ref().and_then(|slot| slot.bytes().get(..self.len)).unwrap_or_default()
    }
}

impl DerefMut for LockedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.slot.as_mut().and_then(|slot| slot.bytes_mut().get_mut(..self.len)).unwrap_or_default()
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.zeroize();
        if let Some(slot) = self.slot.take() {
            arena().give_back(slot);
        }
    }
}

impl fmt::Debug for LockedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedBytes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of the mapping that holds this address: its flags (proc(5), `smaps`).
    fn flags(address: usize) -> String {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            if let Some((range, _)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                inside = (from..to).contains(&address);
            }
            if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds the address");
    }

    #[test]
    fn what_is_kept_here_is_locked_and_left_out_of_core_dumps() {
        for len in [1, 32, 300, 4096, 70_000] {
            let kept = LockedBytes::copy_of(&vec![7; len]);
            assert_eq!((kept.len(), kept.iter().all(|byte| *byte == 7)), (len, true));
            let flags = flags(kept.as_ptr() as usize);
            let has = |flag: &str| flags.split_whitespace().any(|one| one == flag);
            assert!(has("dd") && has("wf"), "not to be dumped, wiped in a child: {flags}");
            // a machine may forbid it, and then it must have been said
            assert_eq!(has("lo"), lock_fault().is_none(), "{flags}");
        }
    }

    #[test]
    fn a_place_that_is_used_again_is_empty_and_two_values_never_share_one() {
        for len in [64, 256, 1024, 4096] {
            for _ in 0..3 {
                let mut all: Vec<_> = (0..40).map(|_| LockedBytes::zeroed(len)).collect();
                assert!(all.iter().all(|one| one.iter().all(|byte| *byte == 0)), "something was left behind");
                for (mark, one) in (1..).zip(&mut all) {
                    one.fill(mark);
                }
                for (mark, one) in (1..).zip(&all) {
                    assert!(one.iter().all(|byte| *byte == mark), "two values share a place");
                }
            }
        }
    }

    #[test]
    fn a_variable_is_left_alone_while_other_threads_run() {
        let waits = std::thread::spawn(std::thread::park);
        assert!(take_variable("PATH").is_none(), "two threads");
        waits.thread().unpark();
        waits.join().unwrap();
        assert!(std::env::vars_os().any(|(name, _)| name == "PATH"));
    }

    #[test]
    fn what_is_cut_off_is_wiped_and_nothing_is_printed() {
        let mut kept = LockedBytes::copy_of(b"s3cret-and-more");
        kept.truncate(6);
        assert_eq!(&*kept, b"s3cret");
        assert_eq!(kept.slot.as_ref().unwrap().bytes()[6..].iter().copied().max(), Some(0));
        kept.truncate(100);
        assert_eq!(kept.len(), 6);
        assert_eq!(format!("{kept:?}"), "LockedBytes(..)");
        assert!(LockedBytes::copy_of(b"").is_empty());
    }
}
