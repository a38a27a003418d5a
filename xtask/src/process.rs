//! Other programs: run to the end, read while they run, or kept running and surely ended.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::environment::say;

/// How often a server is asked whether it answers, and how long between.
const READY_TRIES: u32 = 300;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// `cargo` with these arguments, in the checkout.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(crate::files::root());
    command
}

/// Runs to the end with the developer's terminal; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(status.success())
}

/// Runs to the end, shows every line as it comes and keeps it; whether it succeeded, and all it said.
pub(crate) fn watched(command: &mut Command) -> Result<(bool, String)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let said = Arc::new(Mutex::new(String::new()));
    let readers = [relay(child.stdout.take(), &said), relay(child.stderr.take(), &said)];
    let status = child.wait()?;
    for reader in readers.into_iter().flatten() {
        if reader.join().is_err() {
            bail!("lost the output of {}", shown(command));
        }
    }
    let text = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((status.success(), text))
}

/// Runs to the end without a word; its output where it succeeded.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn relay<R: Read + Send + 'static>(
    from: Option<R>,
    to: &Arc<Mutex<String>>,
) -> Option<thread::JoinHandle<()>> {
    let (from, to) = (from?, Arc::clone(to));
    Some(thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            say(&line);
            let mut said = to.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    }))
}

/// A server of ours, in a process group of its own; ended with its children when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    stopped: bool,
}

impl Running {
    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", shown(command)))?;
        Ok(Self { child, name: name.to_owned(), stopped: false })
    }

    /// Starts it and waits until something accepts on the port.
    pub(crate) fn start(name: &str, command: &mut Command, port: u16) -> Result<Self> {
        let mut running = Self::spawn(name, command)?;
        for _ in 0..READY_TRIES {
            if let Some(status) = running.child.try_wait()? {
                bail!("{name} ended before it was ready: {status}");
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(running);
            }
            thread::sleep(READY_PAUSE);
        }
        bail!("{name} did not listen on port {port} within {} s", READY_TRIES / 10)
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it did.
    pub(crate) fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", "--", &self.child.id().to_string()]).status()?;
        if !asked.success() {
            bail!("{} cannot be asked to stop", self.name);
        }
        for _ in 0..READY_TRIES {
            if self.child.try_wait()?.is_some() {
                self.stopped = true;
                return Ok(());
            }
            thread::sleep(READY_PAUSE);
        }
        bail!("{} did not stop within {} s", self.name, READY_TRIES / 10)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let group = format!("-{}", self.child.id());
        let ended = Command::new("kill").args(["-KILL", "--", &group]).status();
        if !ended.is_ok_and(|status| status.success()) && self.child.kill().is_err() {
            say(&format!("{} may still be running", self.name));
        }
        drop(self.child.wait());
    }
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    format!("`{} {}`", command.get_program().to_string_lossy(), words.join(" "))
}
