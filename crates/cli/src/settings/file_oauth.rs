//! `[oauth]`, as it is written.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The identity providers whose access tokens are taken, and what the tokens are bounded to.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Oauth {
    /// `enforce`: a call takes a scope for its server and class, such as `mcp:crm:read`.
    pub(crate) scopes: Option<Scopes>,
    /// Scopes that clients are told to ask for beside the gateway's own.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) ask: Vec<Spanned<String>>,
    /// The providers.
    #[serde(default)]
    pub(crate) issuers: Vec<Issuer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scopes {
    Enforce,
    Ignore,
}

/// One provider.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Issuer {
    /// Its name as its tokens have it in `iss`, to the last slash.
    #[schemars(with = "String")]
    pub(crate) issuer: Spanned<String>,
    /// Where its keys are, where they are not to be discovered.
    #[schemars(with = "Option<String>")]
    pub(crate) jwks_uri: Option<Spanned<String>>,
    /// What its tokens may be signed with.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) algorithms: Option<Vec<Spanned<String>>>,
    /// Audiences that are accepted beside the entrance's own address, for providers that cannot issue that.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) audiences: Vec<Spanned<String>>,
    /// Takes tokens whose `typ` is `JWT` or missing: then an ID token with a fitting audience is taken too.
    #[serde(default)]
    pub(crate) accept_any_token_type: bool,
    /// How far its clock may be off.
    #[schemars(with = "Option<String>")]
    pub(crate) skew: Option<Spanned<String>>,
    /// How often its keys are fetched anew.
    #[schemars(with = "Option<String>")]
    pub(crate) refresh: Option<Spanned<String>>,
    /// How long keys are good that cannot be fetched anew.
    #[schemars(with = "Option<String>")]
    pub(crate) keys_max_age: Option<Spanned<String>>,
    /// Which claims say who asks.
    #[serde(default)]
    pub(crate) claims: Claims,
    /// How it is asked about opaque tokens; at one issuer only.
    #[schemars(with = "Option<Introspection>")]
    pub(crate) introspection: Option<Spanned<Introspection>>,
}

/// How a provider is asked about opaque tokens (RFC 7662).
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Introspection {
    /// Where, if not as its metadata says; needed where that is not at the issuer's own address.
    #[schemars(with = "Option<String>")]
    pub(crate) endpoint: Option<Spanned<String>>,
    /// As which of its clients the gateway asks.
    #[schemars(with = "String")]
    pub(crate) client_id: Spanned<String>,
    /// The secret of that client, by its name in the vault. Its value is never here.
    #[schemars(with = "String")]
    pub(crate) secret: Spanned<String>,
    /// `client_secret_basic` (the default) or `client_secret_post`.
    #[schemars(with = "Option<String>")]
    pub(crate) authentication: Option<Spanned<String>>,
    /// How long an answer is used without asking again, and a token that was revoked still works; by default 30s, at most
    /// 60s.
    #[schemars(with = "Option<String>")]
    pub(crate) cache: Option<Spanned<String>>,
}

/// Which claims say who asks.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Claims {
    /// Stands before every user and agent that no map names.
    #[schemars(with = "Option<String>")]
    pub(crate) prefix: Option<Spanned<String>>,
    /// The claim that names the person; `sub` unless said otherwise.
    pub(crate) user: Option<String>,
    /// The only values of it that are known, and who they are.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) users: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Takes an `email` as a name that the provider did not verify.
    #[serde(default)]
    pub(crate) trust_unverified_email: bool,
    /// The claim that names the client, which is the agent; `client_id` unless said otherwise.
    pub(crate) agent: Option<String>,
    /// The only values of it that are known, and who they are.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) agents: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// The claim with the person's groups.
    pub(crate) groups: Option<String>,
    /// Stands before every group that no map names; `prefix` unless said otherwise.
    #[schemars(with = "Option<String>")]
    pub(crate) group_prefix: Option<Spanned<String>>,
    /// Groups under other names here. Groups that are neither here nor in `group-allow` are not taken over.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) group_names: Option<BTreeMap<String, Spanned<String>>>,
    /// The groups that are taken over under their own names.
    pub(crate) group_allow: Option<Vec<String>>,
    /// Takes a token without that claim as one of somebody in no group.
    #[serde(default)]
    pub(crate) groups_optional: bool,
    /// The claim that names the Host, instead of what the Host says of itself.
    pub(crate) host: Option<String>,
}
