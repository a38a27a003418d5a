//! Pages of docs/reference that the built program writes about itself.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::environment::target;
use crate::process::output;

/// Every such page and what it should say; the program must be built.
pub(crate) fn pages() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("docs/reference/cli.md", callgate(&["reference"])?),
        ("docs/reference/callgate.schema.json", callgate(&["settings", "--schema"])?),
    ])
}

fn callgate(words: &[&str]) -> Result<String> {
    let mut command = Command::new(target().join("debug/callgate"));
    output(command.args(words).stdin(Stdio::null()))
        .context("build it first: `cargo build --package callgate-cli`")
}
