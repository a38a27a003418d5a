//! The `unsafe` of the workspace: a few system calls, each with its reason.
#![expect(
    unsafe_code,
    reason = "descriptors across fork and exec, locked memory and the allocator have no safe interface"
)]

use nix::libc;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::ptr::NonNull;

/// Lets the process that `command` starts keep `fd` under the same number.
///
/// `fd` must stay open until `command` has been spawned. Clearing the flag in the child rather than
/// here keeps it away from every other child that another thread starts at this moment.
pub(crate) fn keep_open(command: &mut tokio::process::Command, fd: BorrowedFd<'_>) {
    let fd = fd.as_raw_fd();
    let clear = move || {
        // SAFETY: `fcntl` on a number touches no memory; a closed number answers EBADF.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == -1 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    // SAFETY: the closure runs between fork and exec; it calls one async-signal-safe function,
    // allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(clear);
    }
}

/// What becomes of a forked child: it dies with the thread that started it, unblocks the signals
/// that it inherited blocked, and executes `program`.
///
/// Executes it with `execve` here because the standard library's way, `execvp`, hands a file that
/// is no program to `/bin/sh`. Only for a process with one thread.
pub(crate) fn become_program(
    command: &mut std::process::Command,
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
) {
    let parent = nix::unistd::getpid();
    let become_it = move || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        nix::sys::signal::SigSet::empty().thread_set_mask()?;
        // the parent may have died before the first line took effect
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from(nix::errno::Errno::ESRCH));
        }
        match nix::unistd::execve(&program, &args, &env)? {}
    };
    // SAFETY: the closure runs between fork and exec. It makes system calls and allocates two
    // arrays of pointers; that is sound because the process that forks has one thread, so nobody
    // else can have held the allocator's lock.
    unsafe {
        command.pre_exec(become_it);
    }
}

/// Takes over a descriptor that this process was started with. Errors: it is not an open one
/// above stderr.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` on a number touches no memory; a closed number answers EBADF.
    if fd <= 2 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: it is open (just asked), and nobody else owns it: this is called once, first thing in
    // `supervise_main`, on the number that the gateway kept open for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor above stderr but `kept`, which nobody here may own yet.
pub(crate) fn close_all_but(kept: &OwnedFd) -> io::Result<()> {
    let kept = libc::c_uint::try_from(kept.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.saturating_add(1), libc::c_uint::MAX)] {
        // SAFETY: `close_range` touches no memory. Called first thing in a process that has opened
        // nothing of its own, so no owner is left with a closed number.
        if first <= last && unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// A stretch of memory that one owner has, in pages that are private, locked where that is possible, left out
/// of core dumps and empty in a forked child.
pub(crate) struct Slot {
    at: NonNull<u8>,
    size: usize,
}

// SAFETY: a slot owns its bytes alone, as a `Box<[u8]>` would; which thread uses them makes no difference.
unsafe impl Send for Slot {}
// SAFETY: as above; a shared slot is only read.
unsafe impl Sync for Slot {}

impl Slot {
    /// Zeroed pages for `size` bytes, and what could not be done for them. Without memory the process ends, as
    /// with any allocation.
    pub(crate) fn map(size: usize) -> (Self, Option<String>) {
        let size = size.max(1).next_multiple_of(page());
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let Some(at) = NonNull::new(at.cast::<u8>()).filter(|_| at != libc::MAP_FAILED) else {
            std::process::abort();
        };
        let mut fault = None;
        let mut note = |what: &str, code: libc::c_int| {
            if code != 0 {
                fault.get_or_insert(format!("{what}: {}", io::Error::last_os_error()));
            }
        };
        // SAFETY: all three are about the mapping just made, whole, and change none of its bytes.
        unsafe {
            note("memory for secrets cannot be locked", libc::mlock(at.as_ptr().cast(), size));
            let advise = |advice| libc::madvise(at.as_ptr().cast(), size, advice);
            note("memory for secrets cannot be left out of core dumps", advise(libc::MADV_DONTDUMP));
            note("memory for secrets cannot be kept from forked processes", advise(libc::MADV_WIPEONFORK));
        }
        (Self { at, size }, fault)
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Two slots of one: the first of `size` bytes and the rest. `size` must be less than it has.
    pub(crate) fn cut(self, size: usize) -> (Self, Self) {
        let first = size.min(self.size);
        // SAFETY: at most one past the end of the same mapping.
        let rest = unsafe { self.at.add(first) };
        (Self { at: self.at, size: first }, Self { at: rest, size: self.size - first })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, initialised by the kernel, and owned by this slot alone for as long as it lives.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.size) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.size) }
    }

    /// Gives whole pages back to the system. A part of a page stays.
    pub(crate) fn unmap(self) {
        if self.size.is_multiple_of(page()) && (self.at.as_ptr() as usize).is_multiple_of(page()) {
            // SAFETY: these pages are this slot's alone, and it ends here.
            unsafe {
                libc::munmap(self.at.as_ptr().cast(), self.size);
            }
        }
    }
}

fn page() -> usize {
    // SAFETY: asks for a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(4096)
}

/// Takes a variable out of this process's environment: its value, and the block of memory that the kernel shows
/// others as `/proc/PID/environ` is overwritten. `None` when it is not set.
///
/// Does nothing and answers `None` while other threads run: they could read the environment meanwhile.
pub(crate) fn take_variable(name: &str) -> Option<crate::LockedBytes> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?.count();
    let name = CString::new(name).ok().filter(|_| threads == 1)?;
    // SAFETY: this process has one thread, so nobody else uses the environment. `getenv` gives a string that is
    // in it, ended by a zero; its bytes are read and overwritten in place, and the entry is removed after that.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        if value.is_null() {
            return None;
        }
        let length = libc::strlen(value);
        let bytes = std::slice::from_raw_parts_mut(value.cast::<u8>(), length);
        let taken = crate::LockedBytes::copy_of(bytes);
        zeroize::Zeroize::zeroize(bytes);
        libc::unsetenv(name.as_ptr());
        Some(taken)
    }
}

/// Takes pages out of this process that are as they are in a file; who touches one has it again from there.
///
/// `from` and `size` must be a mapping of the running program's own file, private, not writable, and without a page that was
/// ever written.
pub(crate) fn unmap_pages(from: usize, size: usize) {
    // SAFETY: by the contract nobody can have changed these bytes, nor can the mapping go away or become another while the
    // program runs: what is read there next is what was there before.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(from), size, libc::MADV_DONTNEED) };
}

/// Has the allocator give its free pages back.
pub(crate) fn collect() {
    // SAFETY: it takes no pointer, may be called from any thread, and touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// The allocator. Nearly everything a program asks for is aligned to eight bytes at most, which is what the allocator gives
/// anyway: asked for no more than that, it takes its shortest way.
#[derive(Debug)]
pub struct Allocator;

/// The alignment of every block, however small.
const ALIGNED: usize = 8;

// SAFETY: blocks come from one allocator and go back to it, whichever of its ways they came; it does not unwind. Without an
// alignment it is asked for one of at least eight bytes, which every block of it has, since sizes are rounded up to
// multiples of eight and none is smaller.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: takes any size; what it gives is null or at least of that size.
            unsafe { libmimalloc_sys::mi_malloc(layout.size()).cast() }
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { libmimalloc_sys::mi_malloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: as above, filled with zeros.
            unsafe { libmimalloc_sys::mi_zalloc(layout.size()).cast() }
        } else {
            // SAFETY: as above, filled with zeros.
            unsafe { libmimalloc_sys::mi_zalloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: by the contract the block came from here and is not used any more.
        unsafe { libmimalloc_sys::mi_free(block.cast()) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: by the contract the block came from here; where there is no room, it stays as it is.
            unsafe { libmimalloc_sys::mi_realloc(block.cast(), size).cast() }
        } else {
            // SAFETY: as above, with the alignment it came with.
            unsafe { libmimalloc_sys::mi_realloc_aligned(block.cast(), size, layout.align()).cast() }
        }
    }
}
