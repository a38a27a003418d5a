//! A running server, as the gateway holds it.

use crate::message::{self, Phase, REPORT_BYTES, Report, Step};
use crate::tail::Tail;
use crate::{Command, Grace, Limits, Lines, Supervisor, sys};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the rest of stderr is waited for after the end.
const STDERR_END_MAX: Duration = Duration::from_secs(1);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("cannot start the supervisor: {0}")]
    Supervisor(std::io::Error),
    #[error("the supervisor ended before it started `{program}`")]
    SupervisorLost { program: String },
    #[error("`{program}` was not found; give a path, or name a PATH in which it is")]
    NotFound { program: String },
    #[error("`{program}` may not be executed; check its mode and owner")]
    NotExecutable { program: String },
    #[error("cannot start `{program}`: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("cannot start in the directory `{}`: {source}", cwd.display())]
    Directory { cwd: PathBuf, source: std::io::Error },
    #[error("cannot set the limits of `{program}`: {source}")]
    Limits { program: String, source: std::io::Error },
    #[error("the arguments and environment of `{program}` are too long")]
    TooLong { program: String },
    #[error("`{program}` did not start in time")]
    Timeout { program: String },
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub status: Status,
    pub cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Code(i32),
    Signal(i32),
    /// The supervisor was killed by somebody else; the server's process group was killed after it.
    Lost,
}

/// What made it end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It ended although nobody asked it to.
    Itself,
    /// Its stdin was closed for good, and it ended by itself.
    Closed,
    /// SIGTERM.
    Terminated,
    /// SIGKILL, after it had outlived both periods of grace.
    Killed,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Code(code) => write!(f, "exited with code {code}")?,
            Status::Signal(number) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "was ended by {signal}")?,
                Err(_) => write!(f, "was ended by signal {number}")?,
            },
            Status::Lost => f.write_str("lost its supervisor")?,
        }
        f.write_str(match self.cause {
            Cause::Itself => " by itself",
            Cause::Closed => " after its input was closed",
            Cause::Terminated => " after it was told to end",
            Cause::Killed => " after it had not ended in time",
        })
    }
}

/// A server and everything it starts. Dropping it ends them all, after
/// [`Limits::orphaned`](crate::Limits).
#[derive(Debug)]
pub struct Child {
    /// Take it to write; the server sees the end of its input when it is dropped.
    pub stdin: Option<ChildStdin>,
    /// Take it to read.
    pub stdout: Option<Lines<ChildStdout>>,
    stderr: Tail,
    pid: i32,
    supervisor: OwnedWriteHalf,
    exit: watch::Receiver<Option<Exit>>,
}

impl Child {
    /// Starts `command` and returns once the program runs.
    ///
    /// Needs a tokio runtime with I/O and time. May be dropped while waiting: whatever was started
    /// ends. Errors: [`LaunchError`], which names the program and never an argument or a value.
    pub async fn spawn(
        supervisor: &Supervisor,
        command: Command,
        limits: Limits,
    ) -> Result<Self, LaunchError> {
        let program = command.program.to_string_lossy().into_owned();
        let Some(order) = message::encode(&command, &limits) else {
            return Err(LaunchError::TooLong { program });
        };
        let Command { cwd, stderr: filter, .. } = command;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(LaunchError::Supervisor)?;
        ours.set_nonblocking(true).map_err(LaunchError::Supervisor)?;
        let mut process = tokio::process::Command::new(&supervisor.program);
        process.arg0("callgate").args(&supervisor.args).arg(theirs.as_raw_fd().to_string()).env_clear();
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::keep_open(&mut process, theirs.as_fd());
        let mut process = process.spawn().map_err(LaunchError::Supervisor)?;
        drop(theirs);

        let (mut reports, mut supervisor) =
            UnixStream::from_std(ours).map_err(LaunchError::Supervisor)?.into_split();
        let first = tokio::time::timeout(limits.start_max, async {
            supervisor.write_all(&order).await.ok()?;
            read(&mut reports).await
        });
        let pid = match first.await {
            Ok(Some(Report::Started { pid })) => pid,
            Ok(Some(Report::Failed { errno, step })) => return Err(failed(program, cwd, errno, step)),
            Ok(Some(Report::Exited { .. } | Report::Signaled { .. } | Report::Gone) | None) => {
                return Err(LaunchError::SupervisorLost { program });
            }
            Err(_) => return Err(LaunchError::Timeout { program }),
        };
        let stderr = Tail::new(limits.stderr_bytes_kept);
        let drain = process.stderr.take().map(|source| tokio::spawn(stderr.clone().drain(source, filter)));
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().map(|source| Lines::new(source, limits.line_bytes_max));
        let (sender, exit) = watch::channel(None);
        tokio::spawn(follow(process, drain, reports, pid, sender));
        Ok(Self { stdin, stdout, stderr, pid, supervisor, exit })
    }

    /// The process id of the program that was started.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The end of what the server wrote to stderr, for diagnostics. A server may write secrets
    /// there: never show it to a Host.
    pub fn stderr_tail(&self) -> String {
        self.stderr.text()
    }

    /// How it ended, if it and all its descendants have.
    pub fn exited(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it and all its descendants have ended. May be called again and be dropped.
    pub async fn wait(&self) -> Exit {
        wait(self.exit.clone()).await
    }

    /// A future like [`Child::wait`] that borrows nothing.
    pub fn ended(&self) -> impl Future<Output = Exit> + Send + 'static + use<> {
        wait(self.exit.clone())
    }

    /// Ends it and all its descendants: closes stdin, waits, SIGTERM, waits, SIGKILL.
    ///
    /// A `stdin` that was taken must be dropped by its holder, or the first period passes in vain.
    pub async fn shutdown(mut self, grace: Grace) -> Exit {
        // asked before stdin is closed, so that an end is never taken for one of its own accord; this
        // fails only when the supervisor has ended, and then there is nothing to ask for
        self.supervisor.write_all(&message::encode_grace(grace)).await.ok();
        drop(self.stdin.take());
        wait(self.exit.clone()).await
    }
}

async fn wait(mut exit: watch::Receiver<Option<Exit>>) -> Exit {
    let lost = Exit { status: Status::Lost, cause: Cause::Itself };
    exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit).unwrap_or(lost)
}

async fn read(reports: &mut OwnedReadHalf) -> Option<Report> {
    let mut bytes = [0; REPORT_BYTES];
    reports.read_exact(&mut bytes).await.ok()?;
    Report::decode(bytes)
}

/// Follows a supervisor to its end and reaps it.
async fn follow(
    mut process: tokio::process::Child,
    drain: Option<JoinHandle<()>>,
    mut reports: OwnedReadHalf,
    pid: i32,
    sender: watch::Sender<Option<Exit>>,
) {
    let mut exit = None;
    let mut gone = false;
    while let Some(report) = read(&mut reports).await {
        match report {
            Report::Exited { code, phase } => {
                exit = Some(Exit { status: Status::Code(code), cause: cause(phase) })
            }
            Report::Signaled { signal, phase } => {
                exit = Some(Exit { status: Status::Signal(signal), cause: cause(phase) });
            }
            Report::Gone => gone = true,
            Report::Started { .. } | Report::Failed { .. } => {}
        }
    }
    if !gone {
        // the supervisor was killed; the kernel has killed the server, and this the rest of its group
        killpg(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    process.wait().await.ok();
    if let Some(mut drain) = drain
        // only a process that escaped could still hold the other end
        && tokio::time::timeout(STDERR_END_MAX, &mut drain).await.is_err()
    {
        drain.abort();
    }
    // whoever waits may count descriptors
    drop((process, reports));
    let lost = Exit { status: Status::Lost, cause: Cause::Itself };
    sender.send_replace(Some(exit.unwrap_or(lost)));
}

fn cause(phase: Phase) -> Cause {
    match phase {
        Phase::Running => Cause::Itself,
        Phase::Closing => Cause::Closed,
        Phase::Terminating => Cause::Terminated,
        Phase::Killing => Cause::Killed,
    }
}

fn failed(program: String, cwd: Option<PathBuf>, errno: i32, step: Step) -> LaunchError {
    let source = std::io::Error::from_raw_os_error(errno);
    match step {
        Step::Limits => LaunchError::Limits { program, source },
        Step::Directory => LaunchError::Directory { cwd: cwd.unwrap_or_default(), source },
        Step::Order | Step::Program if source.kind() == ErrorKind::NotFound => {
            LaunchError::NotFound { program }
        }
        Step::Order | Step::Program if source.kind() == ErrorKind::PermissionDenied => {
            LaunchError::NotExecutable { program }
        }
        Step::Order | Step::Program => LaunchError::Start { program, source },
    }
}
