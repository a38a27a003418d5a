//! The official clients, and how each is told what to do.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::server::{Era, Server};
use crate::environment::target;
use crate::externals::Externals;
use crate::files::root;
use crate::process::output;

/// A client and the way it negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    TypeScript1,
    TypeScript2,
    TypeScript2Modern,
    Python,
    PythonLegacy,
    Rust,
    RustModern,
    Inspector,
}

const MODERN: &str = "2026-07-28";

impl Client {
    pub(crate) const ALL: &[Self] = &[
        Self::TypeScript1,
        Self::TypeScript2,
        Self::TypeScript2Modern,
        Self::Python,
        Self::PythonLegacy,
        Self::Rust,
        Self::RustModern,
        Self::Inspector,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TypeScript1 => "TypeScript SDK v1",
            Self::TypeScript2 => "TypeScript SDK v2, as it comes",
            Self::TypeScript2Modern => "TypeScript SDK v2, pinned to 2026-07-28",
            Self::Python => "Python SDK, as it comes",
            Self::PythonLegacy => "Python SDK, legacy",
            Self::Rust => "Rust SDK, as it comes",
            Self::RustModern => "Rust SDK, pinned to 2026-07-28",
            Self::Inspector => "Inspector --cli",
        }
    }

    /// Whether they share an era, so that they could do without a gateway.
    pub(crate) fn can_talk_to(self, server: &Server) -> bool {
        match (self, server.era) {
            (_, Era::Both) | (Self::Python, _) => true,
            (Self::TypeScript2Modern | Self::RustModern, era) => era == Era::Modern,
            (
                Self::TypeScript1 | Self::TypeScript2 | Self::PythonLegacy | Self::Rust | Self::Inspector,
                era,
            ) => era == Era::Legacy,
        }
    }

    /// What its script is told.
    pub(crate) fn job(self, url: &str, token: &str, prefix: &str, profile: &Value) -> Value {
        let mut job = json!({ "url": url, "token": token, "prefix": prefix, "profile": profile });
        let more = match self {
            Self::TypeScript2Modern | Self::RustModern => Some(("pin", MODERN)),
            Self::PythonLegacy => Some(("mode", "legacy")),
            Self::TypeScript1 | Self::TypeScript2 | Self::Python | Self::Rust | Self::Inspector => None,
        };
        if let (Some((key, value)), Some(job)) = (more, job.as_object_mut()) {
            job.insert(key.to_owned(), json!(value));
        }
        job
    }

    /// Runs it to the end; what it said.
    pub(crate) fn run(self, externals: &Externals, job: &Value) -> Result<Value> {
        let node = |script: &str| -> Result<Command> {
            let mut node = Command::new(externals.node22()?);
            node.arg(externals.node.join(script)).arg(job.to_string());
            Ok(node)
        };
        let mut command = match self {
            Self::TypeScript1 => node("ts-v1.mjs")?,
            Self::TypeScript2 | Self::TypeScript2Modern => node("ts-v2.mjs")?,
            Self::Python | Self::PythonLegacy => {
                let mut python = Command::new(externals.python.join("bin/python"));
                python.arg(root().join("tests/clients/python.py")).arg(job.to_string());
                python
            }
            Self::Rust | Self::RustModern => {
                let mut rust = Command::new(target().join("debug/callgate-reference"));
                rust.arg("--client").arg(job.to_string());
                rust
            }
            Self::Inspector => return inspector(externals, job),
        };
        let said = output(&mut command)?;
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("{} said `{last}`", self.name()))
    }
}

/// The Inspector takes one step a run and knows four of them.
fn inspector(externals: &Externals, job: &Value) -> Result<Value> {
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let named = |of: &Value| format!("{}{}", text(job, "prefix"), text(of, "name"));
    let script: PathBuf = externals.script("@modelcontextprotocol/inspector/cli/build/cli.js");
    let profile = job.get("profile").cloned().unwrap_or_default();
    let mut said = Map::new();
    said.insert("revision".to_owned(), json!("2025-11-25"));
    for (step, method) in [
        ("list", "tools/list"),
        ("call", "tools/call"),
        ("read", "resources/read"),
        ("prompt", "prompts/get"),
    ] {
        let Some(what) = profile.get(step) else { continue };
        let mut command = Command::new(externals.node22()?);
        command.arg(&script).arg("--cli").arg(text(job, "url")).args([
            "--transport",
            "http",
            "--method",
            method,
        ]);
        command.args(["--header", &format!("Authorization: Bearer {}", text(job, "token"))]);
        let pairs = || {
            let arguments = what.get("arguments").and_then(Value::as_object).into_iter().flatten();
            arguments.map(|(name, value)| {
                format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
        };
        match step {
            "call" => {
                command.args(["--tool-name", &named(what)]);
                for pair in pairs() {
                    command.args(["--tool-arg", &pair]);
                }
            }
            "read" => {
                command.args(["--uri", &text(what, "uri")]);
            }
            "prompt" => {
                command.args(["--prompt-name", &named(what)]);
                for pair in pairs() {
                    command.args(["--prompt-args", &pair]);
                }
            }
            _ => {}
        }
        let expected = match what.as_array().and_then(|names| names.first()).and_then(Value::as_str) {
            Some(first) => format!("{}{first}", text(job, "prefix")),
            None => text(what, "expect"),
        };
        let outcome = match output(&mut command) {
            Ok(answer) if answer.contains(&expected) => "ok".to_owned(),
            Ok(answer) => format!("answered {}", answer.chars().take(200).collect::<String>()),
            Err(fault) => fault.to_string(),
        };
        said.insert(step.to_owned(), json!(outcome));
    }
    Ok(Value::Object(said))
}
