//! One run of the suite: which server stands behind, and whether the gateway stands in front.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::forward::{self, Forwarder};
use super::results::Results;
use crate::environment::{cache, target};
use crate::externals::Externals;
use crate::gateway::{self, Gateway};
use crate::process::{Running, free_port};

/// The server behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// `crates/reference`, on the Rust SDK.
    Rust,
    /// `tests/externals/node/reference.mjs`, on the TypeScript SDK v2.
    TypeScript,
}

/// The era a server is started in, where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    Legacy,
    Modern,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    pub(crate) direct: bool,
    pub(crate) upstream: Upstream,
    /// The server speaks this era, and the suite the other.
    pub(crate) across: Option<Only>,
}

impl Leg {
    pub(crate) const ALL: &[Self] = &[
        Self { direct: true, upstream: Upstream::Rust, across: None },
        Self { direct: true, upstream: Upstream::TypeScript, across: None },
        Self { direct: false, upstream: Upstream::Rust, across: None },
        Self { direct: false, upstream: Upstream::TypeScript, across: None },
        Self { direct: false, upstream: Upstream::Rust, across: Some(Only::Legacy) },
        Self { direct: false, upstream: Upstream::Rust, across: Some(Only::Modern) },
        Self { direct: false, upstream: Upstream::TypeScript, across: Some(Only::Modern) },
    ];

    /// As `tests/conformance/expected.toml` calls it.
    pub(crate) fn name(self) -> &'static str {
        match (self.direct, self.upstream, self.across) {
            (true, Upstream::Rust, _) => "direct-rust",
            (true, Upstream::TypeScript, _) => "direct-typescript",
            (false, Upstream::Rust, None) => "gateway-rust",
            (false, Upstream::TypeScript, None) => "gateway-typescript",
            (false, Upstream::Rust, Some(Only::Legacy)) => "across-rust-legacy",
            (false, Upstream::Rust, Some(Only::Modern)) => "across-rust-modern",
            (false, Upstream::TypeScript, Some(Only::Legacy)) => "across-typescript-legacy",
            (false, Upstream::TypeScript, Some(Only::Modern)) => "across-typescript-modern",
        }
    }

    /// Whether the suite speaks this revision on it.
    pub(crate) fn speaks(self, revision: &str) -> bool {
        let modern = revision >= "2026-07-28";
        self.across.is_none_or(|server| (server == Only::Legacy) == modern)
    }

    /// Starts what the leg needs, runs the suite, ends what it started.
    pub(crate) fn run(self, externals: &Externals, revision: &str) -> Result<Results> {
        let (upstream, port) = start_upstream(self.upstream, self.across, externals)?;
        let url = format!("http://127.0.0.1:{port}/mcp");
        let folder = cache().join("conformance").join(format!("{}-{revision}", self.name()));
        let results = if self.direct {
            suite(externals, &url, revision, &folder)
        } else {
            let (listener, port) = forward::listener()?;
            let host = format!("127.0.0.1:{port}");
            let gateway = Gateway::start(&[("reference", gateway::Upstream::Url(url))], &[&host])?;
            let _forwarder = Forwarder::start(listener, gateway.port, &gateway.token)?;
            let url = format!("http://{host}/s/reference/mcp");
            suite(externals, &url, revision, &folder)
        };
        drop(upstream);
        results
    }
}

/// Starts a reference server on a free port, in both eras or in one.
pub(crate) fn start_upstream(
    upstream: Upstream,
    only: Option<Only>,
    externals: &Externals,
) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut command = match upstream {
        Upstream::Rust => Command::new(target().join("debug/callgate-reference")),
        Upstream::TypeScript => {
            let mut node = Command::new(externals.node22()?);
            node.arg(externals.node.join("reference.mjs"));
            node
        }
    };
    command.args(["--port", &port.to_string()]);
    match only {
        None => {}
        Some(Only::Legacy) => drop(command.args(["--only", "legacy"])),
        Some(Only::Modern) => drop(command.args(["--only", "modern"])),
    }
    Ok((Running::start("the reference server", &mut command, port)?, port))
}

fn suite(externals: &Externals, url: &str, revision: &str, folder: &Path) -> Result<Results> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let package = externals.script("@modelcontextprotocol/conformance");
    let mut node = Command::new(externals.node22()?);
    node.arg(package.join("dist/index.js"))
        .args(["server", "--url", url, "--requirements", revision, "-o"])
        .arg(folder);
    // The suite's own verdict mixes scored and unscored scenarios; its files say each.
    let said = node.output().context("node does not run")?;
    std::fs::write(folder.join("suite.log"), [said.stdout, said.stderr].concat())?;
    let results = Results::read(folder, &package.join(format!("requirements/{revision}.yaml")))?;
    if results.is_empty() {
        bail!("the suite wrote no result; see {}", folder.join("suite.log").display());
    }
    Ok(results)
}
