//! What a sample token would become, step by step, without anything being let in by it.
//!
//! The steps are the very functions that judge a request's token, in the same order.

use super::{
    Alg, Granted, Issuer, KeySet, Oauth, Resource, Who,
    signed::Signed,
    verified::{self, Times},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Refusal, Timestamp};

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub check: Check,
    /// What was found, or why the token is refused here. Never any of the token itself.
    pub found: Result<String, Refusal>,
}

/// The checks of a token, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Form,
    Issuer,
    Header,
    Signature,
    Time,
    Audience,
    Claims,
    /// What its request has to prove beside it.
    Binding,
    /// Whether whom it speaks for is let in here at all.
    Standing,
}

impl Check {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Issuer => "issuer",
            Self::Header => "header",
            Self::Signature => "signature",
            Self::Time => "time",
            Self::Audience => "audience",
            Self::Claims => "claims",
            Self::Binding => "binding",
            Self::Standing => "standing",
        }
    }
}

/// A sample token, looked at.
#[derive(Debug, Default)]
pub struct Sample {
    pub steps: Vec<Step>,
    /// Who it speaks for, if its claims say so; even where another check failed.
    pub who: Option<Who>,
    pub scopes: Granted,
}

impl Sample {
    /// Whether every check that was made passed.
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.found.is_ok())
    }

    fn step<T>(&mut self, check: Check, answer: Result<(T, String), Refusal>) -> Option<T> {
        let (value, found) = match answer {
            Ok((value, found)) => (Some(value), Ok(found)),
            Err(refusal) => (None, Err(refusal)),
        };
        self.steps.push(Step { check, found });
        value
    }
}

/// The issuer that a token names, if it is configured; for whoever wants to fetch its keys first.
pub fn issuer_named<'o>(oauth: &'o Oauth, token: &str) -> Option<&'o Issuer> {
    let signed = Signed::read(token).ok()?;
    verified::issuer_of(oauth, &signed).ok().map(|(_, issuer)| issuer)
}

/// Looks at a token. Without `keys` its signature is not checked, and no step says that it was.
pub fn sample(
    oauth: &Oauth,
    token: &str,
    keys: Option<&KeySet>,
    resource: Resource<'_>,
    now: Timestamp,
) -> Sample {
    let mut sample = Sample::default();
    let read = Signed::read(token).map(|signed| (signed, "a JWT in three parts, no member twice".to_owned()));
    let Some(signed) = sample.step(Check::Form, read) else {
        return sample;
    };
    let named = verified::issuer_of(oauth, &signed)
        .map(|(_, issuer)| (issuer, format!("`{}`", issuer.source.issuer)));
    let Some(issuer) = sample.step(Check::Issuer, named) else {
        return sample;
    };
    let header = signed.algorithm(issuer).map(|alg| (alg, format!("`{alg}`, of an accepted type")));
    let alg = sample.step(Check::Header, header);
    if let (Some(keys), Some(alg)) = (keys, alg) {
        signature(&mut sample, &signed, alg, keys);
    }
    let times = Times::read(&signed.claims, issuer.skew).and_then(|times| times.check(now));
    sample.step(Check::Time, times.map(|()| ((), "not expired, and not from the future".to_owned())));
    let audience = verified::audiences(&signed.claims)
        .and_then(|listed| verified::audience(&listed, oauth, issuer, resource));
    sample.step(Check::Audience, audience.map(|()| ((), format!("good for `{}`", resource.url(oauth)))));
    let who = issuer.mapping.who(&signed.claims).map(|who| {
        let found = match &who.user {
            Some(_) => "a person and the agent that acts for them".to_owned(),
            None => "a client on its own, so a workload".to_owned(),
        };
        (who, found)
    });
    sample.who = sample.step(Check::Claims, who);
    if let Some(thumbprint) = sample.who.as_ref().and_then(|who| who.bound_to) {
        let thumbprint = URL_SAFE_NO_PAD.encode(thumbprint);
        let found = format!("good only over a connection that shows the certificate `{thumbprint}`");
        sample.steps.push(Step { check: Check::Binding, found: Ok(found) });
    }
    sample.scopes = Granted::of(&signed.claims);
    sample
}

fn signature(sample: &mut Sample, signed: &Signed<'_>, alg: Alg, keys: &KeySet) {
    let verified = keys.verify(signed, alg).map(|_| {
        let kid = signed.kid.as_deref().map_or_else(|| "the only key".to_owned(), super::quoted);
        ((), format!("made with {kid}"))
    });
    sample.step(Check::Signature, verified);
}
