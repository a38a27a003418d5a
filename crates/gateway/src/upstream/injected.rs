//! The credentials a connection carries, which nobody ever sees.

use super::fault::{Fault, FaultKind};
use decision::{Digest, UserName};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of a secret: wiped when dropped, never printed, never cloned.
pub(crate) struct Hidden(Zeroizing<Vec<u8>>);

impl Hidden {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// Where secrets go when a call leaves: headers and query for HTTP, environment for a child.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    pub(crate) headers: Vec<(HeaderName, Hidden)>,
    pub(crate) query: Vec<(String, Hidden)>,
    pub(crate) env: Vec<(String, Hidden)>,
    /// Whose they are, where each user has their own.
    pub(crate) holder: Option<UserName>,
}

/// Bytes of the shortest secret that is looked for in messages.
const QUOTED_MIN: usize = 8;

impl Injected {
    /// Which credentials these are, for a child that keeps them all its life: the same for the same
    /// variables and values, and nothing about them.
    pub(super) fn identity(&self) -> Digest {
        let mut sealed = Zeroizing::new(b"callgate-child-identity\0".to_vec());
        for (name, secret) in &self.env {
            for part in [name.as_bytes(), secret.expose()] {
                sealed.extend_from_slice(&(part.len() as u64).to_le_bytes());
                sealed.extend_from_slice(part);
            }
        }
        Digest::of(&sealed)
    }

    /// Puts the header credentials in, in place of whatever stands there under those names.
    ///
    /// Errors: a secret that cannot be a header value, named by its header. It is not sent in part.
    pub(super) fn apply(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        for (name, secret) in &self.headers {
            let mut value = HeaderValue::from_bytes(secret.expose()).map_err(|_| {
                Fault::unsent(
                    FaultKind::Unreachable,
                    format!("the secret for header `{name}` has bytes a header cannot carry"),
                )
            })?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(())
    }

    /// The address with the query credentials added; `None` if there are none.
    ///
    /// Errors: a secret that is not text, named by its parameter.
    pub(super) fn address(&self, url: &Url) -> Result<Option<Url>, Fault> {
        if self.query.is_empty() {
            return Ok(None);
        }
        let mut url = url.clone();
        for (name, secret) in &self.query {
            let text = std::str::from_utf8(secret.expose()).map_err(|_| {
                Fault::unsent(
                    FaultKind::Unreachable,
                    format!("the secret for query parameter `{name}` is not text"),
                )
            })?;
            url.query_pairs_mut().append_pair(name, text);
        }
        Ok(Some(url))
    }

    /// Whether a message quotes one of them, as it is or as JSON writes it. A secret shorter than
    /// [`QUOTED_MIN`] would be found everywhere and is not looked for.
    pub(crate) fn quoted_in(&self, message: &[u8]) -> bool {
        // a message that was scanned is UTF-8, so a secret that is not cannot be in it as it is
        let Ok(message) = std::str::from_utf8(message) else {
            return false;
        };
        let secrets = self.env.iter().chain(&self.query).map(|(_, secret)| secret.expose());
        // of a header without its scheme, such as `Bearer`
        let headers = self
            .headers
            .iter()
            .map(|(_, secret)| secret.expose().rsplit(|byte| *byte == b' ').next().unwrap_or_default());
        let quotes = |secret: &str| {
            let written = Zeroizing::new(wire::json::encode_string(secret));
            message.contains(secret) || message.contains(written.trim_matches('"'))
        };
        secrets
            .chain(headers)
            .filter(|secret| secret.len() >= QUOTED_MIN)
            .any(|secret| std::str::from_utf8(secret).is_ok_and(quotes))
    }

    /// Text that may quote a secret, without it.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        let mut hide = |secret: &str| {
            if !secret.is_empty() {
                out = out.replace(secret, "[secret]");
            }
        };
        for (_, secret) in self.env.iter().chain(&self.query) {
            std::str::from_utf8(secret.expose()).map(&mut hide).ok();
        }
        for (_, secret) in &self.headers {
            // also without its scheme, such as `Bearer`
            let value = std::str::from_utf8(secret.expose()).unwrap_or_default();
            hide(value);
            hide(value.rsplit(' ').next().unwrap_or_default());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected() -> Injected {
        Injected {
            headers: vec![(http::header::AUTHORIZATION, Hidden::new(b"Bearer s3cret".to_vec()))],
            query: vec![("key".to_owned(), Hidden::new(b"a&b=c".to_vec()))],
            env: vec![("TOKEN".to_owned(), Hidden::new(b"env-s3cret".to_vec()))],
            holder: None,
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let shown = format!("{:?}", injected());
        assert!(!shown.contains("s3cret") && !shown.contains("a&b"), "{shown}");
        let mut headers = HeaderMap::new();
        injected().apply(&mut headers).unwrap();
        assert!(!format!("{headers:?}").contains("s3cret"));
    }

    #[test]
    fn credentials_are_told_apart_by_name_value_and_where_they_part() {
        let of = |env: &[(&str, &str)]| {
            let env =
                env.iter().map(|(n, v)| ((*n).to_owned(), Hidden::new(v.as_bytes().to_vec()))).collect();
            Injected { env, ..Injected::default() }.identity()
        };
        assert_eq!(of(&[("A", "1")]), of(&[("A", "1")]));
        let all =
            [of(&[]), of(&[("A", "1")]), of(&[("A", "2")]), of(&[("A1", "")]), of(&[("A", "1"), ("B", "")])];
        assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
    }

    #[test]
    fn a_secret_in_the_query_cannot_add_parameters() {
        let url = injected().address(&Url::parse("https://example.com/mcp?v=1").unwrap()).unwrap();
        assert_eq!(url.unwrap().as_str(), "https://example.com/mcp?v=1&key=a%26b%3Dc");
    }

    #[test]
    fn a_secret_with_a_line_break_is_refused_and_not_quoted() {
        let bad = Injected {
            headers: vec![(http::header::AUTHORIZATION, Hidden::new(b"top\r\nsecret: x".to_vec()))],
            ..Injected::default()
        };
        let fault = bad.apply(&mut HeaderMap::new()).unwrap_err();
        assert!(!fault.sent && !fault.to_string().contains("top"), "{fault}");
    }

    #[test]
    fn text_that_quotes_a_secret_is_redacted() {
        assert_eq!(injected().redact("bad token env-s3cret!"), "bad token [secret]!");
        assert_eq!(injected().redact("`s3cret` is not a token"), "`[secret]` is not a token");
    }
}
