//! The `unsafe` of the workspace: a few system calls, each with its reason.
#![expect(unsafe_code, reason = "descriptors across fork and exec have no safe interface")]

use nix::libc;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;

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
