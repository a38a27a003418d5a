//! The official servers, and our two reference servers, as upstreams.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::conformance::leg;
use crate::environment::cache;
use crate::externals::Externals;
use crate::files::root;
use crate::gateway::Upstream;
use crate::process::{Running, free_port, succeeds};

const PROFILES: &str = "tests/clients/profiles.json";

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
    Both,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) era: Era,
    /// What the clients try with it.
    pub(crate) profile: Value,
    /// Where it speaks streamable HTTP.
    pub(crate) url: Option<String>,
    upstream: Upstream,
}

/// All of them; those with an address are running until this is dropped.
#[derive(Debug)]
pub(crate) struct Servers {
    list: Vec<Server>,
    _running: Vec<Running>,
}

impl Servers {
    pub(crate) fn start(externals: &Externals) -> Result<Self> {
        let repository = repository()?;
        let text = std::fs::read_to_string(root().join(PROFILES)).context(PROFILES)?;
        let text = text.replace("{repository}", &repository.display().to_string());
        let profiles: Value = serde_json::from_str(&text).context(PROFILES)?;
        let profile =
            |name: &str| profiles.get(name).cloned().with_context(|| format!("{PROFILES} has no `{name}`"));

        let (rust, rust_port) = leg::start_upstream(leg::Upstream::Rust, None, externals)?;
        let (typescript, typescript_port) = leg::start_upstream(leg::Upstream::TypeScript, None, externals)?;
        let start = |upstream, only| leg::start_upstream(upstream, Some(only), externals);
        let (legacy, legacy_port) = start(leg::Upstream::Rust, leg::Only::Legacy)?;
        let (modern, modern_port) = start(leg::Upstream::Rust, leg::Only::Modern)?;
        let (modern_ts, modern_ts_port) = start(leg::Upstream::TypeScript, leg::Only::Modern)?;
        let (everything, everything_port) = start_everything(externals, "streamableHttp")?;
        let (older, older_port) = start_everything(externals, "sse")?;
        let http = |name, era, like: &str, port: u16| -> Result<Server> {
            let url = format!("http://127.0.0.1:{port}/mcp");
            Ok(Server {
                name,
                era,
                profile: profile(like)?,
                upstream: Upstream::Url(url.clone()),
                url: Some(url),
            })
        };
        let stdio = |name, era, program: PathBuf, arguments: Vec<String>| -> Result<Server> {
            Ok(Server {
                name,
                era,
                profile: profile(name)?,
                url: None,
                upstream: Upstream::Command { program, arguments },
            })
        };
        let filesystem = externals.script("@modelcontextprotocol/server-filesystem/dist/index.js");
        let shown = |path: &PathBuf| path.display().to_string();
        let list = vec![
            http("reference", Era::Both, "reference", rust_port)?,
            http("reference-ts", Era::Both, "reference", typescript_port)?,
            http("reference-legacy", Era::Legacy, "reference", legacy_port)?,
            http("reference-modern", Era::Modern, "reference", modern_port)?,
            http("reference-ts-modern", Era::Modern, "reference", modern_ts_port)?,
            http("everything", Era::Legacy, "everything", everything_port)?,
            Server {
                name: "everything-sse",
                era: Era::Legacy,
                profile: profile("everything")?,
                upstream: Upstream::Sse(format!("http://127.0.0.1:{older_port}/sse")),
                url: None,
            },
            stdio(
                "filesystem",
                Era::Legacy,
                externals.node22()?,
                vec![shown(&filesystem), shown(&repository)],
            )?,
            stdio(
                "git",
                Era::Both,
                externals.python.join("bin/mcp-server-git"),
                vec!["--repository".to_owned(), shown(&repository)],
            )?,
            stdio("time", Era::Both, externals.python.join("bin/mcp-server-time"), Vec::new())?,
        ];
        Ok(Self { list, _running: vec![rust, typescript, legacy, modern, modern_ts, everything, older] })
    }

    pub(crate) fn list(&self) -> &[Server] {
        &self.list
    }

    /// As the gateway's settings name them.
    pub(crate) fn upstreams(&self) -> Vec<(&'static str, Upstream)> {
        self.list.iter().map(|server| (server.name, server.upstream.clone())).collect()
    }
}

fn start_everything(externals: &Externals, transport: &str) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut node = Command::new(externals.node22()?);
    node.arg(externals.script("@modelcontextprotocol/server-everything/dist/index.js")).arg(transport);
    node.env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((Running::start("server-everything", &mut node, port)?, port))
}

/// A small git repository for the servers that want a folder.
fn repository() -> Result<PathBuf> {
    let folder = cache().join("repository");
    if !folder.join(".git").is_dir() {
        std::fs::create_dir_all(&folder)?;
        succeeds(
            Command::new("git").args(["init", "--quiet", "--initial-branch=main"]).current_dir(&folder),
        )?;
    }
    Ok(folder)
}
