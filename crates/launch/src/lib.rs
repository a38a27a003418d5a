//! Starting the servers that speak over stdio, and making sure that they end.
//!
//! A server is started through a *supervisor*: the gateway's own binary, run again with
//! [`supervise_main`]. The supervisor adopts every descendant of the server (it is a child
//! subreaper), holds one socket to the gateway, and when that socket closes, also because the
//! gateway was killed with SIGKILL, it ends them all. The server's stdin, stdout and stderr are the
//! gateway's own pipes; nothing is copied on the way.
//!
//! Also here, because it takes `unsafe`: [`LockedBytes`], memory for secrets. And [`open_plain`], because it takes the
//! system's own flags.
//!
//! There is never a shell, and never a variable or a descriptor that the caller did not name.
//! Linux only. The only crate where `unsafe` is allowed; all of it is in `sys.rs`.
//!
//! Known limit: a hostile server that forks faster than it can be killed, or a SIGKILL of the
//! supervisor by a third party while grandchildren have left the process group, needs a pid
//! namespace or a cgroup to be contained.
//!
//! Start reading at [`Child::spawn`].

mod child;
mod command;
mod find;
mod lines;
mod locked;
mod message;
mod plain;
mod private;
mod supervise;
mod sys;
mod tail;

pub use child::{Cause, Child, Exit, LaunchError, Status};
pub use command::{Command, EnvValue, Filter, Grace, Limits, PASSABLE_VARIABLES, Supervisor};
pub use lines::{LineError, Lines};
pub use locked::{LockedBytes, lock_fault, take_variable};
pub use plain::open_plain;
pub use private::{give_memory_back, keep_private, let_go_of_program, own_user, take_small_pages};
pub use supervise::{SUPERVISE, supervise_main};
pub use sys::Allocator;
pub use tokio::process::{ChildStdin, ChildStdout};
