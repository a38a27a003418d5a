//! The official clients that can sign in, and how each is told what to do.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::scripts;
use crate::externals::Externals;
use crate::process::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    TypeScript1,
    TypeScript1Plain,
    TypeScript2,
    TypeScript2Modern,
    TypeScript2Opaque,
    Python,
    PythonLegacy,
}

impl Client {
    pub(super) const ALL: &[Self] = &[
        Self::TypeScript1,
        Self::TypeScript1Plain,
        Self::TypeScript2,
        Self::TypeScript2Modern,
        Self::TypeScript2Opaque,
        Self::Python,
        Self::PythonLegacy,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TypeScript1 => "TypeScript SDK v1",
            Self::TypeScript1Plain => "TypeScript SDK v1, without refresh tokens",
            Self::TypeScript2 => "TypeScript SDK v2, as it comes",
            Self::TypeScript2Modern => "TypeScript SDK v2, pinned to 2026-07-28",
            Self::TypeScript2Opaque => "TypeScript SDK v2, as it comes, opaque tokens",
            Self::Python => "Python SDK, as it comes",
            Self::PythonLegacy => "Python SDK, legacy",
        }
    }

    /// Steps that this client cannot take.
    pub(super) fn without(self) -> &'static [&'static str] {
        match self {
            // asked for a wider scope, it refreshes the token it has, gets the same scope and gives up
            Self::TypeScript1 => &["step up"],
            Self::TypeScript1Plain => &["refresh"],
            Self::TypeScript2
            | Self::TypeScript2Modern
            | Self::TypeScript2Opaque
            | Self::Python
            | Self::PythonLegacy => &[],
        }
    }

    /// Whether its tokens say nothing themselves, so that the gateway asks the provider about each.
    pub(super) fn is_opaque(self) -> bool {
        self == Self::TypeScript2Opaque
    }

    /// Runs it to the end; what it said.
    pub(super) fn run(self, externals: &Externals, job: &Value) -> Result<Value> {
        let mut job = job.clone();
        let mut tell = |key: &str, value: Value| {
            if let Some(job) = job.as_object_mut() {
                job.insert(key.to_owned(), value);
            }
        };
        tell("without", json!(self.without()));
        let node = externals.node22()?;
        let (program, script) = match self {
            Self::TypeScript1 | Self::TypeScript1Plain => (node, externals.node.join("flow-v1.mjs")),
            Self::TypeScript2 => (node, externals.node.join("flow-v2.mjs")),
            Self::TypeScript2Opaque => {
                tell("opaque", json!(true));
                (node, externals.node.join("flow-v2.mjs"))
            }
            Self::TypeScript2Modern => {
                tell("pin", json!("2026-07-28"));
                (node, externals.node.join("flow-v2.mjs"))
            }
            Self::Python | Self::PythonLegacy => {
                tell("browser", json!([node, externals.node.join("browser.mjs")]));
                if self == Self::PythonLegacy {
                    tell("mode", json!("legacy"));
                }
                (externals.python.join("bin/python"), scripts().join("flow.py"))
            }
        };
        let said = output(Command::new(program).arg(script).arg(job.to_string()))?;
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("{} said `{last}`", self.name()))
    }
}
