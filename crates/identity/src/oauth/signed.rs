//! A signed token as it came: taken apart strictly, not believed yet (RFC 7515, section 7.1).

use super::settings::Issuer;
use super::{Alg, quoted};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Code, Refusal, canonical};
use serde_json::{Map, Value};

/// Longest token that is looked at; the header it comes in has the same bound.
pub(crate) const TOKEN_BYTES_MAX: usize = crate::BEARER_BYTES_MAX - "Bearer ".len();

/// The parts of a JWT. Whatever the header says about where its key is, is not read at all: neither
/// `jwk` nor `jku`, `x5u` or `x5c`.
#[derive(Debug)]
pub(crate) struct Signed<'t> {
    alg: String,
    typ: Option<String>,
    pub(crate) kid: Option<String>,
    critical: bool,
    pub(crate) claims: Map<String, Value>,
    /// What is signed: header and claims as they came.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: &'t str,
}

impl<'t> Signed<'t> {
    pub(crate) fn read(token: &'t str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed(format!("the token is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let parts = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            (!claims.contains('.')).then_some((header, claims, signed, signature))
        };
        let (header, claims, signed, signature) =
            parts().ok_or_else(|| malformed("the token does not have three parts"))?;
        let header = members(header, "header")?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(format!("`{name}` of the header is not a string"))),
        };
        Ok(Self {
            alg: text("alg")?.ok_or_else(|| malformed("the header has no `alg`"))?,
            typ: text("typ")?,
            kid: text("kid")?,
            critical: header.contains_key("crit"),
            claims: members(claims, "claims")?,
            signed: signed.as_bytes(),
            signature,
        })
    }

    /// Who says to have issued it. Used to choose whose rules apply, and for nothing before those held.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The algorithm, if this issuer's tokens may have this header at all (RFC 8725, section 3.1; RFC 9068,
    /// section 4).
    pub(crate) fn algorithm(&self, issuer: &Issuer) -> Result<Alg, Refusal> {
        let refused = |because: String| Refusal::new(Code::TokenHeaderRefused, because);
        if self.critical {
            return Err(refused("the header has `crit`: nothing that must be understood is".to_owned()));
        }
        let access = self.typ.as_deref().is_some_and(|typ| {
            typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
        });
        let plain = self.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
        let taken = access || (plain && issuer.accept_any_token_type);
        if !taken {
            let typ = self.typ.as_deref().map_or_else(|| "nothing".to_owned(), quoted);
            return Err(refused(format!("`typ` is {typ} and not `at+jwt`")));
        }
        match Alg::parse(&self.alg) {
            Some(alg) if issuer.algorithms.contains(&alg) => Ok(alg),
            Some(_) | None => Err(refused(format!("{} is not in `algorithms`", quoted(&self.alg)))),
        }
    }
}

/// The members of one part, of which none may be there twice: two readers would pick different ones.
fn members(part: &str, what: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes =
        URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(format!("the {what} is not base64url")))?;
    canonical::bytes(&bytes).map_err(|e| malformed(format!("the {what}: {e}")))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(malformed(format!("the {what} is not a JSON object"))),
    }
}

fn malformed(because: impl Into<String>) -> Refusal {
    Refusal::new(Code::CredentialMalformed, because)
}
