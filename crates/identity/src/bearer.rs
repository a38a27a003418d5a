//! The `Authorization` header (RFC 6750, section 2.1; RFC 9110, section 11).
//!
//! The only way a token is taken. Whoever listens refuses requests that carry one in the URL, where
//! logs and histories would keep it (RFC 6750, section 5.3; MCP authorization, token handling).

use crate::{Challenge, Fault};
use decision::{Code, Refusal};

/// The longest header value that is looked at. A signed token with many groups fits.
pub const BEARER_BYTES_MAX: usize = 8 << 10;

/// Why there is no bearer token. Never holds any of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    #[error("the request has no authorization header; send `Authorization: Bearer` and a token")]
    Missing,
    #[error("the request has more than one authorization header; send one")]
    Several,
    #[error("the authorization scheme is not bearer; send `Authorization: Bearer` and a token")]
    Scheme,
    #[error("what follows `Bearer` is not one token; send a single one without spaces or quotes")]
    Syntax,
    #[error("the authorization header is longer than {BEARER_BYTES_MAX} bytes")]
    TooLong,
}

impl BearerError {
    /// Adds to `challenge` what the client did wrong. Without any attempt of it there is nothing to
    /// add (RFC 6750, section 3.1).
    pub fn challenge(self, challenge: Challenge) -> Challenge {
        match self {
            Self::Missing | Self::Scheme => challenge,
            Self::Syntax => challenge.fault(Fault::InvalidToken, &self.to_string()),
            Self::Several | Self::TooLong => challenge.fault(Fault::InvalidRequest, &self.to_string()),
        }
    }
}

/// Another scheme is no attempt at ours (RFC 6750, section 3.1).
impl From<BearerError> for Refusal {
    fn from(e: BearerError) -> Self {
        let code = match e {
            BearerError::Missing | BearerError::Scheme => Code::CredentialMissing,
            BearerError::Several | BearerError::Syntax | BearerError::TooLong => Code::CredentialMalformed,
        };
        // nothing of what was sent is in it
        Self::new(code, e.to_string()).told(e.to_string())
    }
}

/// The token of the one `Authorization` header of a request, given the values of all of them.
///
/// The scheme may be in any case; the token is one `token68` (RFC 9110, section 11.2).
/// Errors: [`BearerError`].
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<&'a str, BearerError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Several);
    }
    if value.len() > BEARER_BYTES_MAX {
        return Err(BearerError::TooLong);
    }
    let (scheme, rest) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(BearerError::Scheme);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = rest.get(spaces..).unwrap_or_default();
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let (body, _) = token.split_at(token.len() - padding);
    // no early end: nobody sends a token that is not one, and so several bytes are looked at at once
    if body.is_empty() || !body.iter().fold(true, |all, byte| all & is_token68(*byte)) {
        return Err(BearerError::Syntax);
    }
    std::str::from_utf8(token).map_err(|_| BearerError::Syntax)
}

/// A table, since a signed token has some hundreds of bytes and each request brings it.
#[expect(clippy::indexing_slicing, reason = "made while compiling, by a byte into one place for each")]
const TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < u8::MAX {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

fn is_token68(byte: u8) -> bool {
    TOKEN68.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: &[u8]) -> Result<&str, BearerError> {
        bearer([value])
    }

    #[test]
    fn exactly_one_well_formed_header_is_a_token() {
        assert_eq!(one(b"Bearer abc.DEF-_~+/=="), Ok("abc.DEF-_~+/=="));
        assert_eq!(one(b"bEARER   abc"), Ok("abc"));
        assert_eq!(bearer([]), Err(BearerError::Missing));
        assert_eq!(bearer([&b"Bearer a"[..], b"Bearer a"]), Err(BearerError::Several));
        for scheme in
            [&b"Basic dXNlcjpwYXNz"[..], b"", b"abc", b"Bearerabc", b" Bearer abc", b"Bearer\tabc", b"\xff a"]
        {
            assert_eq!(one(scheme), Err(BearerError::Scheme), "{scheme:?}");
        }
        for syntax in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer =",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer \"a\"",
            b"Bearer a=b",
            b"Bearer a ",
            b"Bearer a\x00",
            b"Bearer \xc3\xa9",
        ] {
            assert_eq!(one(syntax), Err(BearerError::Syntax), "{syntax:?}");
        }
        let long = [&b"Bearer "[..], &[b'a'; BEARER_BYTES_MAX]].concat();
        assert_eq!(one(&long), Err(BearerError::TooLong));
        assert!(one(&long[..BEARER_BYTES_MAX]).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_what_follows_the_scheme(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let value = [&b"Bearer "[..], &value].concat();
            if let Ok(token) = one(&value) {
                prop_assert!(value.ends_with(token.as_bytes()));
                prop_assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'"'));
            }
        }
    }
}
