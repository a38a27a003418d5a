//! `callgate.toml`, as it is written. Nothing here is believed or defaulted; see [`super::cross`].

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct File {
    /// Where Hosts reach the gateway over HTTP.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Spanned<String>>,
    /// Which environment this gateway serves.
    #[schemars(with = "Option<String>")]
    pub(crate) environment: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) tenant: Option<Spanned<String>>,
    /// Where keys, ledger and database are kept.
    pub(crate) state_dir: Option<String>,
    /// `sqlite:PATH` or `postgres://…`; by default a file in the state directory.
    pub(crate) database: Option<String>,
    /// Names accepted in `Host` beside loopback ones.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Pages accepted in `Origin` beside loopback ones.
    #[serde(default)]
    pub(crate) allowed_origins: Vec<String>,
    /// Who an HTTP caller on loopback without a token is. Leave it out to ask everybody for a token.
    #[schemars(with = "Option<String>")]
    pub(crate) allow_unauthenticated_loopback: Option<Spanned<String>>,
    /// Who speaks over a wrapped standard input.
    #[schemars(with = "Option<String>")]
    pub(crate) stdio_agent: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Server>")]
    pub(crate) servers: BTreeMap<Spanned<String>, Server>,
}

/// Bounds. Sizes in bytes, durations with units such as `30s`, `5m` or `250ms`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) max_message_bytes: Option<usize>,
    pub(crate) max_result_bytes: Option<usize>,
    pub(crate) max_depth: Option<usize>,
    #[schemars(with = "Option<String>")]
    pub(crate) read_timeout: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) call_timeout: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) question_timeout: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) session_idle: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) child_idle: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) drain_timeout: Option<Spanned<String>>,
    pub(crate) max_calls_in_flight: Option<usize>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_sessions: Option<usize>,
    pub(crate) max_children: Option<usize>,
}

/// One upstream: either `url` or `command`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Server {
    #[schemars(with = "Option<String>")]
    pub(crate) url: Option<Spanned<String>>,
    #[schemars(with = "Option<String>")]
    pub(crate) command: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Plain variables for a child. Secrets do not belong here; see `credentials`.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<String>,
    #[schemars(with = "Option<String>")]
    pub(crate) environment: Option<Spanned<String>>,
    pub(crate) mode: Option<Mode>,
    #[schemars(with = "Option<String>")]
    pub(crate) timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) trust_annotations: bool,
    /// Tools whose author meant unknown fields to be allowed, and whose operator agrees.
    #[serde(default)]
    pub(crate) open_arguments: Vec<String>,
    #[serde(default)]
    pub(crate) keep: Keep,
    #[serde(default)]
    pub(crate) credentials: Vec<Credential>,
    /// What tools are, by name or pattern with `*`.
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, Tool>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Enforce,
    Observe,
}

/// Which values are kept beside their commitments.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Keep {
    pub(crate) arguments: Option<bool>,
    pub(crate) results: Option<bool>,
}

/// One stored secret and where it goes: exactly one of `header`, `query` and `env`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Credential {
    #[schemars(with = "String")]
    pub(crate) secret: Spanned<String>,
    pub(crate) header: Option<String>,
    /// What stands before the secret in a header, such as `Bearer `.
    pub(crate) prefix: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) env: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) effect: Option<Effect>,
    pub(crate) tier: Option<Tier>,
    #[serde(default)]
    pub(crate) categories: Vec<Category>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    Read,
    Write,
    Destructive,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Category {
    Financial,
    Administrative,
    Destructive,
    CredentialAccess,
    ExternalCommunication,
    Execution,
}
