//! `callgate.toml`, as it is written. Nothing here is believed or defaulted; see [`super::cross`].

pub(crate) use super::file_oauth::Oauth;
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
    /// Which customer of an installation; `default` where there is only one.
    #[schemars(with = "Option<String>")]
    pub(crate) tenant: Option<Spanned<String>>,
    /// Where keys, ledger and database are kept.
    pub(crate) state_dir: Option<String>,
    /// `sqlite:PATH` or `postgres://…`; by default a file in the state directory.
    #[schemars(with = "Option<String>")]
    pub(crate) database: Option<Spanned<String>>,
    /// Names accepted in `Host` beside loopback ones.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) allowed_hosts: Vec<Spanned<String>>,
    /// Pages accepted in `Origin` beside loopback ones.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) allowed_origins: Vec<Spanned<String>>,
    /// Who an HTTP caller on loopback without a token is. Leave it out to ask everybody for a token.
    #[schemars(with = "Option<String>")]
    pub(crate) allow_unauthenticated_loopback: Option<Spanned<String>>,
    /// Networks from which `/metrics` may be read, beside this machine. Elsewhere it is refused, with a token too.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) metrics_networks: Vec<Spanned<String>>,
    /// Who speaks over a wrapped standard input.
    #[schemars(with = "Option<String>")]
    pub(crate) stdio_agent: Option<Spanned<String>>,
    /// Scheme, host and port under which Hosts reach the gateway, where that is not `listen`.
    #[schemars(with = "Option<String>")]
    pub(crate) public_url: Option<Spanned<String>>,
    /// The identity providers whose access tokens are taken.
    #[schemars(with = "Option<Oauth>")]
    pub(crate) oauth: Option<Spanned<Oauth>>,
    /// TLS on `listen`.
    pub(crate) tls: Option<Tls>,
    /// TLS ends in front of an address that others can reach. Without TLS here or there, such an address is refused.
    #[schemars(with = "Option<bool>")]
    pub(crate) tls_terminated_upstream: Option<Spanned<bool>>,
    /// Services that are known by their certificate and need no token.
    #[serde(default)]
    pub(crate) workloads: Vec<Workload>,
    /// Bounds on everything that a peer can make large, slow or many.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How calls wait for people.
    #[serde(default)]
    pub(crate) approvals: super::approvals::Written,
    /// How much may happen in which time.
    #[serde(default)]
    pub(crate) budgets: Vec<super::budgets::Written>,
    /// What becomes of a call that was made before.
    #[serde(default)]
    pub(crate) idempotency: super::idempotency::Written,
    /// The list of servers that clients read at `/registry`.
    #[serde(default)]
    pub(crate) registry: super::registry::Written,
    /// Addresses that are told what becomes of approvals.
    #[serde(default)]
    pub(crate) webhooks: Vec<super::webhooks::Webhook>,
    /// Where the gateway may connect to, beside public addresses.
    #[serde(default)]
    pub(crate) egress: Egress,
    /// Secrets that are not in the store.
    #[serde(default)]
    pub(crate) vault: Vault,
    /// The pages on which people decide approvals and search decisions.
    #[serde(default)]
    pub(crate) console: super::console::Console,
    /// The servers behind the gateway, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Server>")]
    pub(crate) servers: BTreeMap<Spanned<String>, Server>,
}

/// The listener's certificate, and whose client certificates count.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file with the certificate and those between it and its authority; relative to this file.
    #[schemars(with = "String")]
    pub(crate) certificate: Spanned<String>,
    /// A PEM file with its private key, which nobody but its owner may read.
    #[schemars(with = "String")]
    pub(crate) key: Spanned<String>,
    /// A PEM file with the authorities whose client certificates count.
    #[schemars(with = "Option<String>")]
    pub(crate) client_ca: Option<Spanned<String>>,
    /// `required` unless said otherwise: nobody connects without one.
    #[schemars(with = "Option<Asked>")]
    pub(crate) client_certificates: Option<Spanned<Asked>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    Optional,
    Required,
}

/// A service, and exactly one of `spiffe`, `dns` and `common-name` by which its certificate is known.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Workload {
    /// Its name in rules and in the record: `Workload::"NAME"`.
    #[schemars(with = "String")]
    pub(crate) name: Spanned<String>,
    /// The SPIFFE id, which is the certificate's only URI name.
    #[schemars(with = "Option<String>")]
    pub(crate) spiffe: Option<Spanned<String>>,
    /// One of the certificate's DNS names.
    pub(crate) dns: Option<String>,
    /// The one common name of the certificate's subject.
    pub(crate) common_name: Option<String>,
    /// Groups that rules may name.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) groups: Vec<Spanned<String>>,
}

/// Bounds. Sizes in bytes, durations with units such as `30s`, `5m` or `250ms`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest message of a Host.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_message_bytes: Option<Spanned<usize>>,
    /// Largest message of a server.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_result_bytes: Option<Spanned<usize>>,
    /// Deepest nesting of JSON.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_depth: Option<Spanned<usize>>,
    /// For a whole message to arrive.
    #[schemars(with = "Option<String>")]
    pub(crate) read_timeout: Option<Spanned<String>>,
    /// For a server's answer.
    #[schemars(with = "Option<String>")]
    pub(crate) call_timeout: Option<Spanned<String>>,
    /// For a Host's answer to a server's question.
    #[schemars(with = "Option<String>")]
    pub(crate) question_timeout: Option<Spanned<String>>,
    /// After which an unused session is ended.
    #[schemars(with = "Option<String>")]
    pub(crate) session_idle: Option<Spanned<String>>,
    /// After which an unused program is stopped.
    #[schemars(with = "Option<String>")]
    pub(crate) child_idle: Option<Spanned<String>>,
    /// For calls under way when asked to stop.
    #[schemars(with = "Option<String>")]
    pub(crate) drain_timeout: Option<Spanned<String>>,
    /// Calls at the same time.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_calls_in_flight: Option<Spanned<usize>>,
    /// Connections at the same time.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_connections: Option<Spanned<usize>>,
    /// Sessions at the same time.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_sessions: Option<Spanned<usize>>,
    /// Programs at the same time.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_children: Option<Spanned<usize>>,
}

/// Where the gateway may connect to, beside public addresses.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Egress {
    /// Private networks that the names of all servers may resolve into, such as `10.0.0.0/8`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) networks: Vec<Spanned<String>>,
}

/// The key under which secrets are sealed, and secrets that are not in the store.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Vault {
    /// The key under which secrets are sealed; by default a file in the state directory that is made when it is
    /// first needed.
    #[schemars(with = "Option<super::vault_key::Key>")]
    pub(crate) key: Option<Spanned<super::vault_key::Key>>,
    /// Keys that still open what was sealed under them, until `callgate secret rotate` has moved it to `key`.
    #[serde(default)]
    #[schemars(with = "Vec<super::vault_key::Key>")]
    pub(crate) old_keys: Vec<Spanned<super::vault_key::Key>>,
    /// Files and variables may be the source of a credential. For development only; announced at every start.
    #[serde(default)]
    pub(crate) development_sources: bool,
    /// HashiCorp Vault or OpenBao, for credentials whose source is `kv`.
    pub(crate) kv: Option<super::vault::Kv>,
}

/// One upstream: either `url` or `command`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Server {
    /// Where a server that speaks HTTP is.
    #[schemars(with = "Option<String>")]
    pub(crate) url: Option<Spanned<String>>,
    /// What is spoken at `url`: `streamable-http` unless said otherwise, or `sse`, the older HTTP+SSE.
    #[schemars(with = "Option<Transport>")]
    pub(crate) transport: Option<Spanned<Transport>>,
    /// Private networks that this server's name may resolve into, beside those of `egress`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) networks: Vec<Spanned<String>>,
    /// The program of a server that speaks over standard input and output. There is never a shell.
    #[schemars(with = "Option<String>")]
    pub(crate) command: Option<Spanned<String>>,
    /// Its arguments, each as it is.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) args: Vec<Spanned<String>>,
    /// Plain variables for a child. Secrets do not belong here; see `credentials`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) env: BTreeMap<Spanned<String>, Spanned<String>>,
    /// The folder it runs in; relative to this file.
    #[schemars(with = "Option<String>")]
    pub(crate) cwd: Option<Spanned<String>>,
    /// Where it runs, for the rules: `production`, `staging`, …
    #[schemars(with = "Option<String>")]
    pub(crate) environment: Option<Spanned<String>>,
    /// `observe`: rules record what they would refuse and let pass. Never for authentication, record or secrets.
    pub(crate) mode: Option<Mode>,
    /// For an answer; instead of `limits.call-timeout`.
    #[schemars(with = "Option<String>")]
    pub(crate) timeout: Option<Spanned<String>>,
    /// Believe the author's `readOnlyHint` where nothing is declared under `tools`.
    #[serde(default)]
    pub(crate) trust_annotations: bool,
    /// Tools whose author meant unknown fields to be allowed, and whose operator agrees.
    #[serde(default)]
    pub(crate) open_arguments: Vec<String>,
    /// Which values are kept beside the record's commitments to them.
    #[serde(default)]
    pub(crate) keep: Keep,
    /// In whose name the server is used: `shared`, one credential for everybody, or `per-user`, each user's own.
    #[schemars(with = "Option<Authority>")]
    pub(crate) authority: Option<Spanned<String>>,
    /// How the server is told for whom a call is made: in a signed token of a minute.
    pub(crate) assertion: Option<Assertion>,
    /// Stored secrets that are added to every call.
    #[serde(default)]
    pub(crate) credentials: Vec<Credential>,
    /// What only people know of it, as it should stand in its record (`callgate registry`).
    #[serde(default)]
    pub(crate) record: super::record::Record,
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

/// What is spoken at a server's address.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    StreamableHttp,
    /// HTTP+SSE of 2024-11-05; `url` is the address of its stream.
    Sse,
}

/// In whose name a server is used; there is no falling back from one to the other.
#[derive(schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "the form of `authority`; it is read as text, so that what comes later is refused by name"
)]
pub(crate) enum Authority {
    Shared,
    PerUser,
}

/// Which values are kept beside their commitments.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Keep {
    /// Of calls; true unless said otherwise.
    pub(crate) arguments: Option<bool>,
    /// Of answers; false unless said otherwise.
    pub(crate) results: Option<bool>,
}

/// A token that the gateway signs for each message to a server that speaks HTTP.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Assertion {
    /// The header it goes in, such as `X-Callgate-Assertion`.
    #[schemars(with = "String")]
    pub(crate) header: Spanned<String>,
    /// What the server knows itself as; it must refuse tokens for others.
    #[schemars(with = "String")]
    pub(crate) audience: Spanned<String>,
    /// Say also which groups the user is in.
    #[serde(default)]
    pub(crate) groups: bool,
}

/// One stored secret and where it goes: exactly one of `header`, `query` and `env`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Credential {
    /// The name it was stored under with `callgate secret set`.
    #[schemars(with = "String")]
    pub(crate) secret: Spanned<String>,
    /// Where its value is, if not in the store.
    #[schemars(with = "Option<super::vault::WrittenSource>")]
    pub(crate) source: Option<Spanned<super::vault::WrittenSource>>,
    /// A header of requests over HTTP.
    pub(crate) header: Option<String>,
    /// What stands before the secret in a header, such as `Bearer `.
    pub(crate) prefix: Option<String>,
    /// A parameter of the address, where a server takes no header.
    pub(crate) query: Option<String>,
    /// A variable in the environment of a program.
    pub(crate) env: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tool {
    /// What it does to the world; what is not said counts as a write.
    pub(crate) effect: Option<Effect>,
    /// How much can go wrong; by default `low` for a read, `medium` for a write, `high` for a destructive one.
    pub(crate) tier: Option<Tier>,
    /// What kind of thing it touches.
    #[serde(default)]
    pub(crate) categories: Vec<Category>,
    /// How a call can be undone, in a sentence: for people who approve it and who clean up after it.
    pub(crate) undo: Option<String>,
    /// Who answers for it, where that is not who answers for its server.
    #[schemars(with = "Option<String>")]
    pub(crate) owner: Option<Spanned<String>>,
    /// Offer `draft_X` and `submit_X` beside a tool that changes things: the one keeps a call, the other makes it.
    pub(crate) draft: Option<bool>,
    /// So long after its end the same call with the same arguments is the same deed, and has the first answer.
    #[schemars(with = "Option<String>")]
    pub(crate) idempotency: Option<Spanned<String>>,
    /// A call of which nobody knows whether it happened may be made once more under its key: the server does twice what it
    /// does once. What is declared as a read may always.
    pub(crate) repeat_unknown: Option<bool>,
    /// Who says what the tool is.
    #[schemars(with = "Option<String>")]
    pub(crate) by: Option<Spanned<String>>,
    /// Why they say so.
    #[schemars(with = "Option<String>")]
    pub(crate) because: Option<Spanned<String>>,
    /// The day on which `effect`, `tier` and `categories` begin to count, as in `2026-11-26` (UTC).
    #[schemars(with = "Option<String>")]
    pub(crate) since: Option<Spanned<String>>,
    /// The day on which they end to count: from then on they make the tool no milder than it is without them.
    #[schemars(with = "Option<String>")]
    pub(crate) until: Option<Spanned<String>>,
    /// The definition that was looked at, as `sha256:…`: whoever decides about another one is told.
    #[schemars(with = "Option<String>")]
    pub(crate) definition: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    Read,
    Write,
    Destructive,
}

impl From<Effect> for catalog::Effect {
    fn from(written: Effect) -> Self {
        match written {
            Effect::Read => Self::Read,
            Effect::Write => Self::Write,
            Effect::Destructive => Self::Destructive,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Low,
    Medium,
    High,
    Critical,
}

impl From<Tier> for catalog::Tier {
    fn from(written: Tier) -> Self {
        match written {
            Tier::Low => Self::Low,
            Tier::Medium => Self::Medium,
            Tier::High => Self::High,
            Tier::Critical => Self::Critical,
        }
    }
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

impl From<Category> for catalog::Category {
    fn from(written: Category) -> Self {
        match written {
            Category::Financial => Self::Financial,
            Category::Administrative => Self::Administrative,
            Category::Destructive => Self::Destructive,
            Category::CredentialAccess => Self::CredentialAccess,
            Category::ExternalCommunication => Self::ExternalCommunication,
            Category::Execution => Self::Execution,
        }
    }
}
