//! A token that was found good, and what must be asked of it again with every request.

use super::{Granted, InForce, Oauth, Resource, quoted, settings::Issuer, signed::Signed};
use decision::{Code, Digest, Principal, Refusal, Timestamp};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Most audiences of one token.
const AUDIENCES_MAX: usize = 32;
/// The end of the year 9999, beyond which a date is a mistake.
const DATE_MAX: f64 = 253_402_300_799.0;

/// A token whose signature, header and claims were good.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The settings it was judged by.
    pub(super) oauth: Arc<Oauth>,
    pub(super) issuer: String,
    /// The key that signed it; none for a token that its provider vouches for itself.
    pub(super) key: Option<Digest>,
    pub(super) audience: Vec<String>,
    pub(super) times: Times,
    pub(super) principal: Arc<Principal>,
    pub(super) host: Option<String>,
    pub(super) bound_to: Option<[u8; 32]>,
    pub(super) scopes: Granted,
    /// Whose token it is, and by a digest that gives nothing away, which.
    pub(super) described: String,
}

impl Verified {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }
    /// The Host as the token names it.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
    /// The certificate that must have been shown with it (RFC 8705, section 3), by its SHA-256.
    pub fn bound_to(&self) -> Option<&[u8; 32]> {
        self.bound_to.as_ref()
    }
    pub fn scopes(&self) -> &Granted {
        &self.scopes
    }
    /// For the record: whose token, and which.
    pub fn describe(&self) -> &str {
        &self.described
    }

    /// Whether this, said of a token later, lets its bearer be who and where the earlier answer did.
    pub(super) fn still_means(&self, earlier: &Self) -> bool {
        self.principal == earlier.principal
            && self.host == earlier.host
            && self.bound_to == earlier.bound_to
            && earlier.audience.iter().all(|one| self.audience.contains(one))
    }

    /// What time and place decide: asked for every request, whatever is remembered.
    pub(super) fn check(
        &self,
        oauth: &Oauth,
        issuer: &Issuer,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.times.check(now)?;
        audience(&self.audience, oauth, issuer, resource)
    }
}

pub(super) fn describe(issuer: &str, id: Digest) -> String {
    format!("oauth:{issuer}#{}", id.to_string().get(7..23).unwrap_or_default())
}

/// When a token is good, in microseconds, the skew included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    from: u64,
    until: u64,
    /// `exp` itself, without the skew.
    pub(super) expires: u64,
}

impl Times {
    /// From `exp`, which every access token has (RFC 9068, section 2.2), and `nbf` and `iat` where they are.
    pub(super) fn read(claims: &Map<String, Value>, skew: Duration) -> Result<Self, Refusal> {
        let skew = u64::try_from(skew.as_micros()).unwrap_or(u64::MAX);
        let expires = date(claims, "exp")?
            .ok_or_else(|| Refusal::new(Code::ClaimMissing, "the token has no claim `exp`"))?;
        let begins = date(claims, "nbf")?.max(date(claims, "iat")?).unwrap_or_default();
        Ok(Self { from: begins.saturating_sub(skew), until: expires.saturating_add(skew), expires })
    }

    pub(super) fn check(self, now: Timestamp) -> Result<(), Refusal> {
        if now.0 >= self.until {
            return Err(Refusal::new(Code::CredentialExpired, "the token has expired"));
        }
        if now.0 < self.from {
            return Err(Refusal::new(Code::CredentialEarly, "`nbf` or `iat` of the token is in the future"));
        }
        Ok(())
    }
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        now.0 >= self.until
    }
}

/// Seconds since the epoch (RFC 7519, section 2), as microseconds.
fn date(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| (0.0..=DATE_MAX).contains(seconds));
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let micros = seconds.and_then(|seconds| u64::try_from(seconds.as_micros()).ok());
    let wrong = || Refusal::new(Code::ClaimMissing, format!("the claim `{claim}` is not a date"));
    micros.map(Some).ok_or_else(wrong)
}

/// The audiences that the claims name: one string or a list of strings (RFC 7519, section 4.1.3).
pub(super) fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let wrong = |why: &str| Refusal::new(Code::ClaimMissing, format!("the claim `aud` {why}"));
    let listed: Vec<String> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
            texts.ok_or_else(|| wrong("is not a list of strings"))?
        }
        Some(_) => return Err(wrong("is neither a string nor a list")),
        None => return Err(wrong("is missing")),
    };
    if listed.len() > AUDIENCES_MAX {
        return Err(wrong(&format!("names more than {AUDIENCES_MAX}")));
    }
    Ok(listed)
}

/// Whether one of the audiences is this entrance, or one that the operator listed for this issuer.
pub(super) fn audience(
    listed: &[String],
    oauth: &Oauth,
    issuer: &Issuer,
    resource: Resource<'_>,
) -> Result<(), Refusal> {
    let fits = |one: &String| resource.is_named_by(one, oauth) || issuer.audiences.contains(one.as_str());
    if listed.iter().any(fits) {
        return Ok(());
    }
    let named: Vec<_> = listed.iter().take(4).map(|one| quoted(one)).collect();
    let because = format!("the token is for {} and not for `{}`", named.join(", "), resource.url(oauth));
    Err(Refusal::new(Code::TokenAudienceMismatch, because))
}

/// Everything of a token but its signature and its key, for the first time.
pub(super) fn of_claims(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    by: &InForce,
    (key, id): (Option<Digest>, Digest),
) -> Result<Verified, Refusal> {
    let times = Times::read(claims, issuer.skew)?;
    let audience = audiences(claims)?;
    let who = issuer.mapping.who(claims)?;
    let principal = Principal {
        tenant: by.tenant.clone(),
        environment: by.environment.clone(),
        actor: who.actor,
        groups: std::collections::BTreeSet::new(),
        user: who.user,
    };
    Ok(Verified {
        oauth: Arc::clone(&by.oauth),
        issuer: issuer.source.issuer.clone(),
        key,
        audience,
        times,
        principal: Arc::new(principal),
        host: who.host,
        bound_to: who.bound_to,
        scopes: Granted::of(claims),
        described: describe(&issuer.source.issuer, id),
    })
}

/// What names a token without being one.
pub(super) fn id_of(token: &str) -> Digest {
    Digest::of_parts(&[b"callgate/access-token/v1\0", token.as_bytes()])
}

/// The issuer a token names, if it is one of ours. Errors: it is not.
pub(super) fn issuer_of<'o>(oauth: &'o Oauth, token: &Signed<'_>) -> Result<(usize, &'o Issuer), Refusal> {
    let named =
        token.issuer().ok_or_else(|| Refusal::new(Code::ClaimMissing, "the token has no claim `iss`"))?;
    let found = oauth.issuers.iter().enumerate().find(|(_, issuer)| issuer.source.issuer == named);
    found.ok_or_else(|| {
        Refusal::new(Code::IssuerUnknown, format!("{} is not in `oauth.issuers`", quoted(named)))
    })
}
