//! The one place that reads the environment and writes to the terminal.

use std::path::PathBuf;

use crate::files;

/// What was typed after `cargo xtask`.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// One line for the developer.
#[expect(clippy::print_stdout, reason = "the terminal is what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// An environment variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "a developer tool reads its environment here and nowhere else")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether this is CI, where a skipped step is a failure.
pub(crate) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Where fetched programs live: `CALLGATE_CACHE`, or `.cache` in the checkout.
pub(crate) fn cache() -> PathBuf {
    variable("CALLGATE_CACHE").map_or_else(|| files::root().join(".cache"), PathBuf::from)
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target` in the checkout.
pub(crate) fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| files::root().join("target"), PathBuf::from)
}

/// Whether a program can be found on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
