//! `cargo xtask tidy`: the rules a reviewer should not have to remember.
//!
//! A check reads the tree and lists what is untidy; an empty list is tidy. Each has tests that provoke it.

mod adrs;
mod arrows;
mod fuzzed;
mod hygiene;
mod linked;
mod order;
mod paths;
mod sizes;
mod threats;

use std::process::ExitCode;

use anyhow::Result;

use crate::environment::say;
use crate::files::Tree;

type Check = fn(&Tree) -> Vec<String>;

const CHECKS: &[(&str, Check)] = &[
    ("order", order::check),
    ("paths", paths::check),
    ("sizes", sizes::check),
    ("adrs", adrs::check),
    ("threats", threats::check),
    ("hygiene", hygiene::check),
    ("fuzzed", fuzzed::check),
];

/// Prints every problem; fails if there is one.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let problems = problems()?;
    for problem in &problems {
        say(problem);
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every problem of every check, each with the name of its check in front.
pub(crate) fn problems() -> Result<Vec<String>> {
    let tree = Tree::load()?;
    let mut found = Vec::new();
    found.extend(arrows::check(&arrows::metadata()?).into_iter().map(|p| format!("arrows: {p}")));
    found.extend(linked::check(&linked::tree()?).into_iter().map(|p| format!("linked: {p}")));
    for (name, check) in CHECKS {
        found.extend(check(&tree).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    found.extend(crate::codegen::stale(&tree)?.into_iter().map(|p| format!("codegen: {p}")));
    Ok(found)
}
