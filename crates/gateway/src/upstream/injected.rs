//! The credentials a connection carries, which nobody ever sees.

use super::fault::{Fault, FaultKind};
use crate::assertion::{Assertion, SHOWN_AS};
use crate::secrets::Known;
use bytes::Bytes;
use decision::{Digest, SecretName, UserName};
use http::{HeaderMap, HeaderName, HeaderValue};
use inspect::{Hits, Mask};
use launch::LockedBytes;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of a secret: in locked memory, wiped when dropped, never printed, never cloned.
pub(crate) struct Hidden {
    bytes: LockedBytes,
    /// Of the secret, to be shown where it would have been.
    name: String,
}

impl Hidden {
    #[cfg(test)]
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: LockedBytes::copy_of(&bytes), name: "credential".to_owned() }
    }
    /// A secret with what stands before it, under its name.
    pub(crate) fn after(prefix: &str, secret: &[u8], name: &SecretName) -> Self {
        let mut bytes = LockedBytes::zeroed(prefix.len() + secret.len());
        if let Some((before, rest)) = bytes.split_at_mut_checked(prefix.len()) {
            before.copy_from_slice(prefix.as_bytes());
            rest.copy_from_slice(secret);
        }
        Self { bytes, name: name.to_string() }
    }
    pub(super) fn expose(&self) -> &[u8] {
        &self.bytes
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
    /// Made of all of these at the first message, and anew when more assertions have been sent than it knows.
    pub(crate) mask: Mutex<Option<(u64, Arc<Mask>)>>,
    /// Which stored values they are: as long as they are here, they are in use.
    pub(crate) held: Vec<Arc<Known>>,
    /// What says for whom the call is made.
    pub(crate) assertion: Option<Assertion>,
}

/// A message of a server as it may be passed on: without the credentials the server was given (V3, V7, W7).
/// There is no other way from its bytes to a frame.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) frame: wire::Frame,
    /// What was taken out of it.
    pub(crate) masked: Hits,
}

impl Received {
    /// The same, also without these credentials.
    pub(super) fn without(self, injected: &Injected, limits: &wire::Limits) -> Result<Self, Unheard> {
        let found = injected.mask().json(self.frame.bytes()).map_err(|_| Unheard::Unmaskable)?;
        let Some(found) = found else { return Ok(self) };
        // a name may be longer than the secret it stands for; the limit was for what came
        let frame = wire::Frame::scan(found.bytes.into(), &limits.with_bytes(usize::MAX))
            .map_err(|_| Unheard::Unmaskable)?;
        let mut masked = self.masked;
        masked.add(&found.hits);
        Ok(Self { frame, masked })
    }
}

/// Why a message is not one, or may not be passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    #[error("the answer does not scan: {0}")]
    Scan(#[from] wire::ScanError),
    #[error("the batch cannot be read: {0}")]
    Batch(#[from] wire::BatchError),
    #[error("the answer quotes the credential it was asked with, where it cannot be taken out")]
    Unmaskable,
}

impl Injected {
    /// Nothing is shown to the server.
    pub(crate) fn is_bare(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.env.is_empty() && self.assertion.is_none()
    }

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
        self.assertion.as_ref().map_or(Ok(()), |assertion| assertion.apply(headers))
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

    fn mask(&self) -> Arc<Mask> {
        let mut made = self.mask.lock();
        // asked before they are read: one that is sent meanwhile counts as unknown
        let sent = self.assertion.as_ref().map_or(0, Assertion::count);
        if let Some((_, mask)) = made.as_ref().filter(|(known, _)| *known == sent) {
            return Arc::clone(mask);
        }
        let mut parts = Zeroizing::new(Vec::new());
        if let Some(assertion) = &self.assertion {
            assertion.each_secret(|secret| parts.push(secret.to_vec()));
        }
        let headers = self.headers.iter().map(|(_, secret)| secret);
        let others = self.query.iter().chain(&self.env).map(|(_, secret)| secret);
        let stored = headers.chain(others).map(|secret| (secret.name.as_str(), secret.expose()));
        let mask = Arc::new(Mask::new(stored.chain(parts.iter().map(|part| (SHOWN_AS, part.as_slice())))));
        *made = Some((sent, Arc::clone(&mask)));
        mask
    }

    /// Lets go of what was made to look for these: it has them in memory that is not locked, and is made anew at the next message.
    pub(super) fn rest(&self) {
        *self.mask.lock() = None;
    }

    /// Scans one message of the server that has these credentials, and takes them out of it.
    pub(super) fn hear(&self, bytes: Bytes, limits: &wire::Limits) -> Result<Received, Unheard> {
        let frame = wire::Frame::scan(bytes, limits)?;
        Received { frame, masked: Hits::default() }.without(self, limits)
    }

    /// Whether JSON of somebody else's quotes one of them.
    pub(crate) fn is_quoted_in(&self, json: &[u8]) -> bool {
        !matches!(self.mask().json(json), Ok(None))
    }

    /// Text of the server's that may quote a secret, without it. Before it is cut: half a secret is not found.
    pub(super) fn without(&self, text: &str) -> String {
        match self.mask().text(text.as_bytes()) {
            None => text.to_owned(),
            Some(masked) => String::from_utf8_lossy(&masked.bytes).into_owned(),
        }
    }

    /// A text of the server's that comes in pieces; nothing is the end of it.
    pub(super) fn stream(self: std::sync::Arc<Self>) -> launch::Filter {
        let mut stream = inspect::Stream::default();
        Box::new(move |piece: Option<&[u8]>| match piece {
            Some(piece) => stream.push(&self.mask(), piece),
            None => stream.finish(&self.mask()),
        })
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
            ..Injected::default()
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
    fn text_that_quotes_a_secret_goes_on_without_it() {
        assert_eq!(injected().without("bad token env-s3cret!"), "bad token [secret:credential]!");
        assert_eq!(injected().without("`s3cret` is not a token"), "`[secret:credential]` is not a token");
    }

    // V3: and nowhere but in `Frame::scan` is a server's message made into a frame
    #[test]
    fn a_message_that_quotes_a_secret_goes_on_without_it() {
        let name = SecretName::new("crm-key").unwrap();
        let env = vec![("TOKEN".to_owned(), Hidden::after("", b"env-s3cret", &name))];
        let injected = Injected { env, ..Injected::default() };
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"a":"ZW52LXMzY3JldA==","b":"env%2Ds3cret"}}"#;
        let heard = injected.hear(message.as_slice().into(), &wire::Limits::DEFAULT).unwrap();
        let left = r#"{"jsonrpc":"2.0","id":1,"result":{"a":"[secret:crm-key]==","b":"[secret:crm-key]"}}"#;
        assert_eq!(std::str::from_utf8(heard.frame.bytes()).unwrap(), left);
        assert_eq!(heard.masked.to_string(), "crm-key×2");
    }

    #[test]
    fn a_message_that_cannot_be_mended_is_withheld() {
        let env = vec![("TOKEN".to_owned(), Hidden::new(b"env-s3cret".to_vec()))];
        let injected = Injected { env, ..Injected::default() };
        // two names that are the same once the secret is out
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"env-s3cret":1,"env%2Ds3cret":2}}"#;
        let withheld = injected.hear(message.as_slice().into(), &wire::Limits::DEFAULT).unwrap_err();
        assert!(matches!(withheld, Unheard::Unmaskable), "{withheld}");
    }
}
