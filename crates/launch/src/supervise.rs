//! The supervisor: one small single-threaded process between the gateway and one server.

use crate::find::find;
use crate::message::{self, GRACE_BYTES, ORDER_BYTES_MAX, Order, Phase, Report, Step};
use crate::{Grace, sys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgid};
use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The argument that makes a program a supervisor.
pub const SUPERVISE: &str = "__supervise";

/// While killing, how long until children that were adopted meanwhile are looked for again.
const KILL_AGAIN: Duration = Duration::from_millis(10);
/// A process that SIGKILL does not end within this time hangs in the kernel; nobody can help it.
const KILL_MAX: Duration = Duration::from_secs(10);

/// What a program does when it is started with the arguments of a
/// [`Supervisor`](crate::Supervisor). Call it first thing in `main`, before any thread is started.
///
/// The last argument is the number of the inherited socket to the gateway. The exit code is 0 when
/// the server and all its descendants are gone, 2 when this was not started by a gateway.
pub fn supervise_main() -> ExitCode {
    let socket = std::env::args().next_back().and_then(|fd| fd.parse().ok());
    let Some(gateway) = socket.and_then(|fd| open(fd).ok()) else {
        return ExitCode::from(2);
    };
    match supervise(gateway) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn open(fd: i32) -> io::Result<UnixStream> {
    let socket = sys::inherited(fd)?;
    sys::close_all_but(&socket)?;
    let socket = UnixStream::from(socket);
    socket.local_addr()?; // an error unless it is a socket
    Ok(socket)
}

fn supervise(mut gateway: UnixStream) -> io::Result<()> {
    // a session of its own: no terminal, and Ctrl-C at the gateway's reaches only the gateway
    nix::unistd::setsid().ok();
    nix::sys::prctl::set_child_subreaper(true)?;
    // how a server takes its memory is its own affair, and a child would inherit what the gateway chose
    nix::sys::prctl::set_thp_disable(false).ok();
    let order = read_order(&mut gateway)?;
    let grace = order.orphaned;
    let server = match start(order) {
        Ok(server) => server,
        Err((step, error)) => {
            let errno = error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
            return gateway.write_all(&Report::Failed { errno, step }.encode());
        }
    };
    // SIGCHLD is blocked only now, so that the server did not inherit it; what exited meanwhile is
    // found by the first look
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut watch = Watch {
        gateway,
        listening: true,
        signals,
        server: Some(server),
        group: server,
        grace,
        phase: Phase::Running,
        until: None,
        asked: BTreeSet::new(),
    };
    watch.report(Report::Started { pid: server.as_raw() });
    // the server holds its own copies; were ours open, the gateway would never see an end of file
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    watch.run()
}

fn read_order(gateway: &mut UnixStream) -> io::Result<Order> {
    let mut length = [0; 4];
    gateway.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > ORDER_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or_default()]);
    gateway.read_exact(&mut bytes)?;
    message::decode(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn start(order: Order) -> Result<Pid, (Step, io::Error)> {
    let Order { program, args, env, cwd, memory_bytes_max, open_files_max, orphaned: _ } = order;
    let limits = [
        (Resource::RLIMIT_DATA, memory_bytes_max),
        (Resource::RLIMIT_NOFILE, open_files_max),
        (Resource::RLIMIT_CORE, Some(0)),
    ];
    for (resource, max) in limits {
        if let Some(max) = max {
            setrlimit(resource, max, max).map_err(|e| (Step::Limits, e.into()))?;
        }
    }
    if let Some(cwd) = cwd {
        std::env::set_current_dir(cwd).map_err(|e| (Step::Directory, e))?;
    }
    let step = |error| (Step::Program, error);
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let file = find(&program, path).map_err(step)?;
    let text = |bytes: OsString| CString::new(bytes.into_vec()).map_err(|e| (Step::Program, e.into()));
    let args = std::iter::once(program).chain(args).map(text).collect::<Result<Vec<_>, _>>()?;
    let env = env.into_iter().map(|(mut entry, value)| {
        entry.push("=");
        entry.push(value);
        text(entry)
    });
    let env = env.collect::<Result<Vec<_>, _>>()?;
    let mut command = std::process::Command::new(&file);
    command.process_group(0);
    sys::become_program(&mut command, text(file.into_os_string())?, args, env);
    let child = command.spawn().map_err(step)?;
    let pid = i32::try_from(child.id()).map_err(|e| (Step::Order, io::Error::other(e)))?;
    // its environment was in our memory: keep other processes of this user out of it
    nix::sys::prctl::set_dumpable(false).ok();
    Ok(Pid::from_raw(pid))
}

struct Watch {
    gateway: UnixStream,
    /// False once the gateway has closed its side: it is gone, or only waits for reports.
    listening: bool,
    signals: SignalFd,
    /// The leader of the process group, until it was reaped. Only as long as it is not, its number
    /// and the group's surely mean it.
    server: Option<Pid>,
    /// Its process group, whose members are not asked one by one.
    group: Pid,
    grace: Grace,
    phase: Phase,
    until: Option<Instant>,
    /// Children that were sent SIGTERM, or saw the one to their group.
    asked: BTreeSet<Pid>,
}

impl Watch {
    /// Until no child is left.
    fn run(mut self) -> io::Result<()> {
        loop {
            self.look_at_server();
            if !self.reap() && self.server.is_none() {
                self.report(Report::Gone);
                return Ok(());
            }
            self.advance()?;
            self.signal();
            self.wait()?;
        }
    }

    /// Notices the end of the server before it is reaped, while its group is still surely its.
    fn look_at_server(&mut self) {
        let Some(server) = self.server else { return };
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let report = match waitid(Id::Pid(server), flags) {
            Ok(WaitStatus::Exited(_, code)) => Report::Exited { code, phase: self.phase },
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                Report::Signaled { signal: signal as i32, phase: self.phase }
            }
            Ok(_) | Err(_) => return,
        };
        self.report(report);
        if self.phase < Phase::Terminating {
            self.enter(Phase::Terminating);
        }
        self.server = None;
    }

    /// Collects the dead, adopted ones too. False when there are no children at all.
    fn reap(&mut self) -> bool {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return true,
                Ok(status) => {
                    let Some(pid) = status.pid() else { continue };
                    self.asked.remove(&pid);
                    // it ended between the look and the reaping
                    if self.server == Some(pid) {
                        self.server = None;
                        if let Some(report) = ended(status, self.phase) {
                            self.report(report);
                        }
                        if self.phase < Phase::Terminating {
                            self.enter(Phase::Terminating);
                        }
                        // its group may mean another one from now on
                        self.group = Pid::from_raw(0);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.until.is_some_and(|until| now() >= until) {
            match self.phase {
                Phase::Running => {}
                Phase::Closing => self.enter(Phase::Terminating),
                Phase::Terminating => self.enter(Phase::Killing),
                Phase::Killing => return Err(io::Error::from(io::ErrorKind::TimedOut)),
            }
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.until = match phase {
            Phase::Running => None,
            Phase::Closing => Some(now() + self.grace.after_close),
            Phase::Terminating => Some(now() + self.grace.after_term),
            Phase::Killing => Some(now() + KILL_MAX),
        };
        if phase == Phase::Terminating
            && let Some(server) = self.server
        {
            killpg(server, Signal::SIGTERM).ok();
        }
    }

    /// Signals the children of this moment. A child is ours until we reap it, so its number cannot
    /// mean another process; deeper descendants become children when their parents die.
    fn signal(&mut self) {
        match self.phase {
            Phase::Running | Phase::Closing => {}
            Phase::Terminating => {
                for child in children() {
                    if self.asked.insert(child) && getpgid(Some(child)) != Ok(self.group) {
                        kill(child, Signal::SIGTERM).ok();
                    }
                }
            }
            Phase::Killing => {
                if let Some(server) = self.server {
                    killpg(server, Signal::SIGKILL).ok();
                }
                for child in children() {
                    kill(child, Signal::SIGKILL).ok();
                }
            }
        }
    }

    /// Sleeps until a child ended, the gateway spoke or left, a signal came, or time is up.
    fn wait(&mut self) -> io::Result<()> {
        let mut time = self.until.map(|until| until.saturating_duration_since(now()));
        if self.phase == Phase::Killing {
            time = Some(KILL_AGAIN);
        }
        // rounded up, or the last millisecond would be spun away
        let timeout = time.map_or(PollTimeout::NONE, |time| {
            PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let (mut spoke, mut signaled) = (false, false);
        {
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if self.listening {
                fds.push(PollFd::new(self.gateway.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
            signaled |= ready.next().unwrap_or(false);
            spoke |= ready.next().unwrap_or(false);
        }
        if signaled {
            self.read_signals()?;
        }
        if spoke {
            self.read_gateway();
        }
        Ok(())
    }

    fn read_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            let told_to_end = signal.ssi_signo != Signal::SIGCHLD as u32;
            if told_to_end && self.phase < Phase::Terminating {
                self.enter(Phase::Terminating);
            }
        }
        Ok(())
    }

    /// Both a request to end and the end of the gateway end the server.
    fn read_gateway(&mut self) {
        let mut bytes = [0; GRACE_BYTES];
        match self.gateway.read_exact(&mut bytes) {
            Ok(()) => self.grace = message::decode_grace(&bytes).unwrap_or(self.grace),
            Err(_) => self.listening = false,
        }
        if self.phase == Phase::Running {
            self.enter(Phase::Closing);
        }
    }

    /// A gateway that is gone cannot be told, and need not be.
    fn report(&mut self, report: Report) {
        self.gateway.write_all(&report.encode()).ok();
    }
}

fn ended(status: WaitStatus, phase: Phase) -> Option<Report> {
    match status {
        WaitStatus::Exited(_, code) => Some(Report::Exited { code, phase }),
        WaitStatus::Signaled(_, signal, _) => Some(Report::Signaled { signal: signal as i32, phase }),
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}

/// The children of this process, those it adopted included.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let pids = match std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        // a kernel without CONFIG_PROC_CHILDREN
        Err(_) => children_by_parent(own),
    };
    pids.into_iter().map(Pid::from_raw).collect()
}

fn children_by_parent(parent: u32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // `pid (name, which may hold anything) state parent …`
        let behind_name = stat.rsplit_once(')').map(|(_, behind)| behind).unwrap_or_default();
        behind_name.split_ascii_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    })
    .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor is a process of its own; its deadlines are the kernel's"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_finding_children_find_the_same_one() {
        let mut child = std::process::Command::new("/bin/sleep").arg("20").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(children_by_parent(std::process::id()).contains(&pid));
        // only the thread that started it lists it, so all threads are asked
        let listed = std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|task| {
            let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            list.split_ascii_whitespace().any(|listed| listed.parse() == Ok(pid))
        });
        assert!(listed);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
