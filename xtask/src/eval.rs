//! How well the tools of a corpus are judged: `cargo xtask eval FOLDER`. The corpus is the reader's own.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds};

/// Hands everything to the measuring program; `docs/detection.md` says what the folder holds.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let program =
        ["run", "--quiet", "--release", "--package", "callgate-catalog", "--example", "risk_eval", "--"];
    let all: Vec<&str> = program.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    Ok(if succeeds(&mut cargo(&all))? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
