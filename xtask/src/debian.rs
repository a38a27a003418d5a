//! Programs of the distribution that a task needs: found, or installed where that is possible.

use std::process::Command;

use anyhow::Result;

use crate::environment::{on_path, say, variable};
use crate::process::{output, succeeds};

/// Installs a package as root on Debian and its kind; else why not. `what` is what a person calls it.
pub(crate) fn install(package: &str, what: &str) -> Result<(), String> {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !on_path("apt-get") {
        return Err(format!("{what} is not installed (on Debian: `apt-get install {package}`)"));
    }
    say(&format!("installing {what} with apt-get"));
    let install = || -> Result<bool> {
        let apt = |words: &[&str]| {
            succeeds(Command::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        Ok(apt(&["update", "-qq"])? && apt(&["install", "-y", "-qq", "--no-install-recommends", package])?)
    };
    match install() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("apt-get could not install {what}")),
        Err(fault) => Err(format!("apt-get could not run: {fault:#}")),
    }
}

/// Where a program is, on PATH or among those of the administrator, installed first if need be.
pub(crate) fn obtain(program: &str, package: &str) -> Result<String, String> {
    let find = || {
        let folders = variable("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|p| p.is_file());
        found.map(|path| path.display().to_string())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    install(package, package)?;
    find().ok_or_else(|| format!("apt-get installed {package}, but `{program}` is not to be found"))
}
