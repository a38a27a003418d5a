//! One run of the suite: which server stands behind, and whether the gateway stands in front.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::forward::Forwarder;
use super::results::Results;
use crate::environment::{cache, target};
use crate::externals::Externals;
use crate::process::{Running, free_port, output};

/// The server behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// `crates/reference`, on the Rust SDK.
    Rust,
    /// `tests/externals/node/reference.mjs`, on the TypeScript SDK v2.
    TypeScript,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    pub(crate) direct: bool,
    pub(crate) upstream: Upstream,
}

impl Leg {
    pub(crate) const ALL: &[Self] = &[
        Self { direct: true, upstream: Upstream::Rust },
        Self { direct: true, upstream: Upstream::TypeScript },
        Self { direct: false, upstream: Upstream::Rust },
        Self { direct: false, upstream: Upstream::TypeScript },
    ];

    /// As `tests/conformance/expected.toml` calls it.
    pub(crate) fn name(self) -> &'static str {
        match (self.direct, self.upstream) {
            (true, Upstream::Rust) => "direct-rust",
            (true, Upstream::TypeScript) => "direct-typescript",
            (false, Upstream::Rust) => "gateway-rust",
            (false, Upstream::TypeScript) => "gateway-typescript",
        }
    }

    /// Starts what the leg needs, runs the suite, ends what it started.
    pub(crate) fn run(self, externals: &Externals, revision: &str) -> Result<Results> {
        let (upstream, port) = start_upstream(self.upstream, externals)?;
        let url = format!("http://127.0.0.1:{port}/mcp");
        let gateway = if self.direct { None } else { Some(Gateway::start(&url)?) };
        let url = gateway.as_ref().map_or(url, |gateway| gateway.url.clone());
        let folder = cache().join("conformance").join(format!("{}-{revision}", self.name()));
        let results = suite(externals, &url, revision, &folder);
        drop(gateway);
        drop(upstream);
        results
    }
}

fn start_upstream(upstream: Upstream, externals: &Externals) -> Result<(Running, u16)> {
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
    Ok((Running::start("the reference server", &mut command, port)?, port))
}

/// `callgate serve` over one upstream, with a token, and a forwarder in front that adds the token to each request.
struct Gateway {
    url: String,
    _forwarder: Forwarder,
    _running: Running,
    folder: std::path::PathBuf,
}

impl Gateway {
    fn start(upstream: &str) -> Result<Self> {
        let port = free_port()?;
        let folder = cache().join(format!("conformance/gateway-{port}"));
        std::fs::create_dir_all(folder.join("policies"))?;
        std::fs::write(folder.join("callgate.toml"), config(port, upstream, &folder))?;
        std::fs::write(folder.join("policies/everything.cedar"), POLICY)?;
        let program = target().join("debug/callgate");
        let with_config = |words: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--config").arg(folder.join("callgate.toml")).args(words).current_dir(&folder);
            command
        };
        let running = Running::start("callgate serve", &mut with_config(&["serve"]), port)?;
        let said = output(&mut with_config(&["agent", "add", "conformance", "--json"]))?;
        let said: serde_json::Value =
            serde_json::from_str(&said).context("`callgate agent add --json` said no JSON")?;
        let token =
            said.get("token").and_then(serde_json::Value::as_str).context("no `token` in what it said")?;
        let forwarder = Forwarder::start(port, token)?;
        let url = format!("http://127.0.0.1:{}/s/reference/mcp", forwarder.port());
        Ok(Self { url, _forwarder: forwarder, _running: running, folder })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Kept where it cannot be removed: the next run has a folder of its own.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

const POLICY: &str = "@id(\"everything\")\n@because(\"the suite measures the protocol, not the policy\")\npermit (principal, action, resource);\n";

fn config(port: u16, upstream: &str, folder: &Path) -> String {
    let state = folder.join("state");
    format!(
        "listen = \"127.0.0.1:{port}\"\nstate-dir = {state:?}\n\n[servers.reference]\nurl = \"{upstream}\"\n"
    )
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
