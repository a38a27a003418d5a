//! How well the tools of a corpus are judged: `cargo xtask eval FOLDER`. The corpus is the reader's own.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds};

/// The measuring programs, and what asks for one alone.
const PROGRAMS: [(&str, &str); 3] =
    [("--risk", "risk_eval"), ("--drift", "drift_eval"), ("--scan", "scan_eval")];

/// Hands everything to the measuring programs; `docs/detection.md` says what the folder holds. `--risk` and the like run one of
/// them, with the rest of the arguments.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let is_choice = |argument: &str| PROGRAMS.iter().any(|(choice, _)| *choice == argument);
    let (chosen, rest): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| is_choice(argument));
    let mut good = true;
    for (choice, program) in PROGRAMS {
        if chosen.is_empty() || chosen.contains(&choice) {
            let command =
                ["run", "--quiet", "--release", "--package", "callgate-catalog", "--example", program, "--"];
            let all: Vec<&str> = command.into_iter().chain(rest.iter().copied()).collect();
            good &= succeeds(&mut cargo(&all))?;
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
