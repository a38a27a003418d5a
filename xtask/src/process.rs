//! Other programs: run to the end, read while they run, or kept running and surely ended.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::environment::say;

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

fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    format!("`{} {}`", command.get_program().to_string_lossy(), words.join(" "))
}
