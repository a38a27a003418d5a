//! The resource server's half of OAuth 2.1: whether an access token of a provider is good, here and now,
//! and who it speaks for (RFC 9068, RFC 8725, RFC 8707, RFC 9728).
//!
//! A token is judged in full when it is first seen: header, key, signature, claims. What is remembered of
//! it is forgotten when keys or settings change; its time and its audience are looked at with every request.
//!
//! An opaque token is its provider's to judge, which is asked and remembered for a short while.
//!
//! Start reading at [`Issuers::verify`], and for opaque tokens at [`Issuers::vouched`].

mod asked;
mod claims;
mod fetch;
mod introspect;
mod keys;
mod opaque;
mod provider;
mod resource;
mod sample;
mod scope;
mod seen;
mod settings;
mod signed;
mod verified;
mod vouched;

#[cfg(test)]
mod tests;

pub use claims::{Mapping, Naming, Who};
pub use introspect::Reply;
pub use keys::{KeySet, KeysError};
pub use opaque::Opaque;
pub use provider::fetch_keys;
pub use resource::{Resource, WELL_KNOWN};
pub use sample::{Check, Sample, Step, issuer_named, sample};
pub use scope::{Granted, Width, scope_for};
pub use settings::{Alg, ClientAuthentication, Introspection, Issuer, Oauth, Source};
pub use verified::Verified;
pub use vouched::Question;

use arc_swap::ArcSwapOption;
use decision::{Code, Entropy, Environment, Refusal, TenantId, Timestamp};
use provider::Provider;
use seen::Seen;
use signed::Signed;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use vouched::Introspector;

/// How much of a peer's word is repeated to an operator.
const QUOTED_CHARS_MAX: usize = 120;

/// The providers in force, and the tokens of theirs that were found good.
#[derive(Debug)]
pub struct Issuers {
    http: egress::Settings,
    in_force: ArcSwapOption<InForce>,
    /// Counts changes of keys and settings.
    changes: Arc<AtomicU64>,
    seen: Seen,
}

#[derive(Debug)]
struct InForce {
    oauth: Arc<Oauth>,
    tenant: TenantId,
    environment: Environment,
    /// As many as there are issuers, in the same order.
    providers: Vec<Arc<Provider>>,
    /// The one provider that is asked about opaque tokens, if there is one.
    introspector: Option<Arc<Introspector>>,
}

impl Issuers {
    /// Knows no issuer yet. `http` is how providers are spoken to.
    pub fn new(http: egress::Settings, entropy: &dyn Entropy) -> Self {
        Self { http, in_force: ArcSwapOption::empty(), changes: Arc::default(), seen: Seen::new(entropy) }
    }

    /// Puts settings in force, and begins to fetch what is new in them. Keys of a provider that stays are kept.
    /// Must be called inside a runtime.
    pub fn install(&self, oauth: Option<&Arc<Oauth>>, tenant: &TenantId, environment: &Environment) {
        let before = self.in_force.load_full();
        let same = |now: &InForce| {
            oauth == Some(&now.oauth) && now.tenant == *tenant && now.environment == *environment
        };
        match (&before, oauth) {
            (Some(before), _) if same(before) => return,
            (None, None) => return,
            (Some(_) | None, _) => {}
        }
        let kept = |source: &Source| {
            let providers = before.iter().flat_map(|before| &before.providers);
            providers.into_iter().find(|provider| provider.source() == source).cloned()
        };
        let provider = |issuer: &Issuer| {
            let introspects = issuer.introspection.is_some();
            if let Some(kept) = kept(&issuer.source) {
                kept.set_introspects(introspects);
                return kept;
            }
            let (source, changes) = (issuer.source.clone(), Arc::clone(&self.changes));
            Arc::new(Provider::start(source, introspects, self.http.clone(), changes))
        };
        let next = oauth.map(|oauth| {
            let providers = oauth.issuers.iter().map(provider).collect();
            let (tenant, environment) = (tenant.clone(), environment.clone());
            let introspector = Introspector::of(oauth, &self.http).map(Arc::new);
            Arc::new(InForce { oauth: Arc::clone(oauth), tenant, environment, providers, introspector })
        });
        self.in_force.store(next);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether a token is good for this resource, now. Errors: with the code of the first check that failed.
    pub async fn verify(
        &self,
        token: &str,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Result<Arc<Verified>, Refusal> {
        let unconfigured = || Refusal::new(Code::CredentialMalformed, "this is not a token of this gateway");
        // before all that is judged by, so that a change meanwhile leaves nothing remembered
        let changes = self.changes.load(Ordering::Acquire);
        let in_force = self.in_force.load_full().ok_or_else(unconfigured)?;
        let tag = self.seen.tag(token);
        let (verified, fresh) = match self.seen.find(tag, changes) {
            Some(verified) => (verified, false),
            None => (Arc::new(in_force.judge(token, now).await?), true),
        };
        let issuer = in_force.oauth.issuer(&verified.issuer).ok_or_else(unconfigured)?;
        if fresh {
            self.seen.remember(tag, &verified, changes, now);
        }
        verified.check(&in_force.oauth, issuer, resource, now)?;
        in_force.stands(&verified)?;
        Ok(verified)
    }

    /// Whether what was good when it was shown still is: for streams that outlive their request.
    pub fn still(&self, verified: &Verified, now: Timestamp) -> Result<(), Refusal> {
        self.judged_by(verified, now)?.stands(verified)
    }

    /// The same as far as it is known without its provider: by its times, and by the settings.
    pub fn still_in_force(&self, verified: &Verified, now: Timestamp) -> Result<(), Refusal> {
        self.judged_by(verified, now).map(drop)
    }

    /// The settings in force, if they are those a token was judged by and its time is not over.
    fn judged_by(&self, verified: &Verified, now: Timestamp) -> Result<Arc<InForce>, Refusal> {
        verified.times.check(now)?;
        let gone = || Refusal::new(Code::IssuerUnknown, "the token's issuer is no longer configured");
        let in_force = self.in_force.load_full().ok_or_else(gone)?;
        if !Arc::ptr_eq(&in_force.oauth, &verified.oauth) {
            return Err(Refusal::new(Code::CredentialRevoked, "it was judged by settings that have changed"));
        }
        Ok(in_force)
    }
}

impl InForce {
    /// Judges a token that was not seen before, in full, except for what is asked every time.
    async fn judge(&self, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let signed = Signed::read(token)?;
        let (at, issuer) = verified::issuer_of(&self.oauth, &signed)?;
        let alg = signed.algorithm(issuer)?;
        let provider = self.providers.get(at).ok_or_else(|| {
            Refusal::new(Code::StageFailed, "an issuer without a provider: this is a defect of the gateway")
        })?;
        let key = provider.signer(&signed, alg).await?;
        let verified =
            verified::of_claims(&signed.claims, issuer, self, (Some(key), verified::id_of(token)))?;
        verified.times.check(now)?;
        Ok(verified)
    }

    /// Whether the key a token was signed with is still its provider's.
    fn stands(&self, verified: &Verified) -> Result<(), Refusal> {
        let at = self.oauth.issuers.iter().position(|issuer| issuer.source.issuer == verified.issuer);
        let provider = at.and_then(|at| self.providers.get(at));
        let provider = provider
            .ok_or_else(|| Refusal::new(Code::IssuerUnknown, "the token's issuer is no longer configured"))?;
        match verified.key {
            None => Ok(()),
            Some(key) if provider.known()?.keys.holds(key) => Ok(()),
            Some(_) => {
                Err(Refusal::new(Code::TokenKeyUnknown, "the provider no longer publishes the token's key"))
            }
        }
    }
}

/// A peer's words, short and on one line.
fn quoted(text: &str) -> String {
    let plain = |c: char| if c.is_control() || c == '`' { '?' } else { c };
    format!("`{}`", text.chars().take(QUOTED_CHARS_MAX).map(plain).collect::<String>())
}
