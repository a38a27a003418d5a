//! What this process knows stays in it.

use nix::sys::resource::{Resource, setrlimit};

/// Keeps the memory of this process to itself: no core dump is ever written of it, and no other process of the
/// same user may attach to it or read its memory or environment in `/proc`. For whatever may hold a key or a
/// secret, before it does. What it starts inherits the first; the second is lost by starting a program.
///
/// Errors: the kernel does not allow it.
pub fn keep_private() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Has memory come in small pages. A gateway at rest keeps a few megabytes here and there, and pages of two
/// megabytes, which the allocator would ask for, make three times as much of them. Nothing depends on it.
pub fn take_small_pages() {
    nix::sys::prctl::set_thp_disable(true).ok();
}

/// Gives back to the system what the allocator keeps of memory that nobody uses, for after work that needs much and is
/// rare. Without the allocator of the shipped program there is nothing to give back.
pub fn give_memory_back() {
    crate::sys::collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::getrlimit;

    // V9, U13
    #[test]
    fn a_private_process_leaves_no_core_and_cannot_be_looked_into() {
        keep_private().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
