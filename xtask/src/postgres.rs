//! PostgreSQL's server programs, for the store's tests, which start throw-away clusters of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::environment::{on_path, say, variable};
use crate::process::{output, succeeds};

/// The folder with `initdb` and `pg_ctl`, installed first where that is possible; else why not.
pub(crate) fn obtain() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !on_path("apt-get") {
        return Err(
            "PostgreSQL's server is not installed (on Debian: `apt-get install postgresql`)".to_owned()
        );
    }
    say("installing PostgreSQL with apt-get");
    let install = || -> Result<bool> {
        let apt = |words: &[&str]| {
            succeeds(Command::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        Ok(apt(&["update", "-qq"])?
            && apt(&["install", "-y", "-qq", "--no-install-recommends", "postgresql"])?)
    };
    match install() {
        Ok(true) => {
            find().ok_or_else(|| "apt-get installed PostgreSQL, but `initdb` is not to be found".to_owned())
        }
        Ok(false) => Err("apt-get could not install PostgreSQL".to_owned()),
        Err(fault) => Err(format!("apt-get could not run: {fault:#}")),
    }
}

fn find() -> Option<PathBuf> {
    let on_path: Vec<PathBuf> =
        variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    packaged.sort();
    let whole = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    on_path.into_iter().find(whole).or_else(|| packaged.into_iter().rev().find(whole))
}
