//! The long form of the crash campaign: as many kills as somebody wants to wait for.

use std::io::Write as _;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::environment::say;
use crate::process::cargo;

const USAGE: &str = "`crash` takes `--kills NUMBER` and `--seed NUMBER`";

/// Kills gateways under load. The seed is printed: the same one kills at the same moments.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (mut kills, mut seed) = (200_u64, 20_u64);
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--kills" => kills = value.parse().context(USAGE)?,
            [name, value] if name == "--seed" => seed = value.parse().context(USAGE)?,
            _ => bail!(USAGE),
        }
    }
    say(&format!("{kills} kills, seed {seed}"));
    let test = ["--ignored", "--exact", "--nocapture", "kill::as_many_kills_as_are_asked_for"];
    let mut command = cargo(&["test", "--quiet", "--package", "callgate-cli", "--test", "crash", "--"]);
    let mut running = command.args(test).stdin(Stdio::piped()).spawn().context("cannot start cargo")?;
    if let Some(mut stdin) = running.stdin.take() {
        writeln!(stdin, "{kills} {seed}").context("the campaign did not take its orders")?;
    }
    let ended = running.wait().context("cannot wait for cargo")?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
