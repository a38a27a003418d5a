//! What an operator says about the providers whose tokens are taken.

use super::claims::Mapping;
use crate::Scope;
use decision::SecretName;
use std::{collections::BTreeSet, fmt, time::Duration};

/// The resource server's settings: which tokens are good here, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth {
    /// Scheme, host and port under which Hosts reach the gateway; without a slash at the end.
    pub public_url: String,
    /// Whether a call needs a scope for its server and class.
    pub enforce_scopes: bool,
    /// Scopes that a client is told to ask for beside those of the gateway.
    pub ask: Vec<Scope>,
    pub issuers: Vec<Issuer>,
}

impl Oauth {
    /// The issuer of exactly this name.
    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.source.issuer == name)
    }
}

/// One provider of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    pub source: Source,
    pub algorithms: BTreeSet<Alg>,
    /// Takes tokens whose `typ` is `JWT` or missing: then an ID token with a fitting audience is taken too.
    pub accept_any_token_type: bool,
    /// Audiences that are accepted beside the entrance's own address.
    pub audiences: BTreeSet<String>,
    /// How far the provider's clock may be off.
    pub skew: Duration,
    pub mapping: Mapping,
    /// How its opaque tokens are asked about; without this they are refused.
    pub introspection: Option<Introspection>,
}

/// How a provider is asked about tokens that say nothing themselves (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// Where it is asked. What its metadata names counts only at the issuer's own address.
    pub endpoint: Option<String>,
    /// As whom the gateway asks.
    pub client_id: String,
    /// The name of the secret that proves it; the value is the vault's.
    pub secret: SecretName,
    pub authentication: ClientAuthentication,
    /// How long an answer is used without asking again.
    pub cache: Duration,
}

/// How the gateway shows who asks (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    Basic,
    Post,
}

impl ClientAuthentication {
    pub const ALL: [Self; 2] = [Self::Basic, Self::Post];

    /// Its name in metadata (RFC 8414, section 2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// Where a provider's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Compared as it is, to the last slash.
    pub issuer: String,
    /// Where the keys are, where they are not to be discovered.
    pub jwks: Option<String>,
    /// Private networks that their names may resolve into.
    pub networks: Vec<egress::IpNet>,
    /// How often keys are fetched anew.
    pub refresh: Duration,
    /// Between two attempts, whoever asks for them.
    pub pause: Duration,
    /// How long keys are good that could not be fetched anew.
    pub keys_max_age: Duration,
}

impl Source {
    /// With the usual patience: keys anew every ten minutes, good for an hour without their provider.
    pub fn of(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            jwks: None,
            networks: Vec::new(),
            refresh: Duration::from_secs(600),
            pause: Duration::from_secs(15),
            keys_max_age: Duration::from_secs(3_600),
        }
    }
}

/// An algorithm a token may be signed with. There is no way to write `none` or one with a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// What is allowed unless told otherwise.
    pub fn usual() -> BTreeSet<Self> {
        BTreeSet::from([Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa])
    }

    /// Its name in a token (RFC 7518, section 3.1; RFC 8037).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
    /// `Ed25519` (RFC 9864) is the one kind of `EdDSA` that is known here.
    pub fn parse(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { Self::EdDsa.as_str() } else { name };
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }

    pub(super) fn verifier(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm;
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
