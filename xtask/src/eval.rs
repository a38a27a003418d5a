//! How well the tools of a corpus are judged: `cargo xtask eval FOLDER`. The corpus is the reader's own.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::files;
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

/// What can be learnt: from which records of ours, and where its table goes.
const TABLES: [(&str, &str, &str); 3] = [
    ("wording", "crates/inspect/wordings", "crates/inspect/src/steering/wording.bin"),
    ("risk", "crates/catalog/judged", "crates/catalog/src/risk/alike.bin"),
    ("effect", "crates/catalog/judged", "crates/catalog/src/risk/changes.bin"),
];

/// Learns how texts that steer a model are worded, or what tools do that are worded alike and whether they change anything: from our records, and from definitions
/// of real tools in folders of the reader's own.
pub(crate) fn learn(arguments: &[String]) -> Result<ExitCode> {
    let Some((what, arguments)) = arguments.split_first() else {
        bail!("learn what? `wording`, `risk` or `effect`");
    };
    let Some((_, records, table)) = TABLES.into_iter().find(|(name, ..)| name == what) else {
        bail!("nothing is learnt of `{what}`: `wording`, `risk` or `effect`");
    };
    let root = files::root();
    let mut records: Vec<String> = std::fs::read_dir(root.join(records))?
        .map(|entry| Ok(entry?.path().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    records.sort();
    let to = ["--out".to_owned(), root.join(table).to_string_lossy().into_owned()];
    let checks = arguments.iter().any(|argument| argument == "--check");
    let command =
        ["run", "--quiet", "--release", "--package", "callgate-catalog", "--example", "learn", "--", what];
    let rest = records.iter().chain(arguments).chain(to.iter().filter(|_| !checks)).map(String::as_str);
    let good = succeeds(&mut cargo(&command.into_iter().chain(rest).collect::<Vec<_>>()))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
