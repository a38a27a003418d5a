//! `WWW-Authenticate` (RFC 6750, section 3; RFC 9728, section 5.1).

use std::fmt;

/// What was wrong with the token (RFC 6750, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request itself is malformed.
    InvalidRequest,
    /// Malformed, unknown, expired, revoked or otherwise no good.
    InvalidToken,
    /// Good, but not for this.
    InsufficientScope,
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// One scope (RFC 6749, section 3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope: one or more visible ASCII characters without quotes, backslashes and spaces")]
pub struct ScopeError(String);

impl Scope {
    /// Errors: [`ScopeError`], which says the rule.
    pub fn new(text: &str) -> Result<Self, ScopeError> {
        let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if fits { Ok(Self(text.to_owned())) } else { Err(ScopeError(text.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer to a request that is not authorised: a status and one header value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    resource_metadata: Option<String>,
    fault: Option<(Fault, String)>,
    scopes: Vec<Scope>,
}

impl Challenge {
    /// Says only that a bearer token is wanted.
    pub fn bearer() -> Self {
        Self::default()
    }

    /// Where the protected resource's metadata is (RFC 9728). An absolute URL.
    #[must_use]
    pub fn resource_metadata(mut self, url: &str) -> Self {
        self.resource_metadata = Some(url.to_owned());
        self
    }

    /// What was wrong; the description is for the client's developer, so it may hold nothing that
    /// the client did not know.
    #[must_use]
    pub fn fault(mut self, fault: Fault, description: &str) -> Self {
        self.fault = Some((fault, description.to_owned()));
        self
    }

    /// The scopes that would do, all of them in one challenge.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.scopes = scopes.into_iter().collect();
        self
    }

    /// The HTTP status that goes with it: 400, 401 or 403.
    pub fn status(&self) -> u16 {
        match self.fault.as_ref().map(|(fault, _)| *fault) {
            Some(Fault::InvalidRequest) => 400,
            None | Some(Fault::InvalidToken) => 401,
            Some(Fault::InsufficientScope) => 403,
        }
    }
}

/// The header value: visible ASCII and spaces, whatever it was built from.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer realm=\"callgate\"")?;
        if let Some((fault, description)) = &self.fault {
            write!(f, ", error=\"{}\"", fault.as_str())?;
            if !description.is_empty() {
                write!(f, ", error_description=\"{}\"", Description(description))?;
            }
        }
        if !self.scopes.is_empty() {
            let scopes: Vec<_> = self.scopes.iter().map(Scope::as_str).collect();
            write!(f, ", scope=\"{}\"", scopes.join(" "))?;
        }
        match &self.resource_metadata {
            Some(url) => write!(f, ", resource_metadata=\"{}\"", Url(url)),
            None => Ok(()),
        }
    }
}

/// RFC 6750 allows an `error_description` neither quotes nor backslashes, not even escaped.
struct Description<'a>(&'a str);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '`' => f.write_str("'"),
            '\\' => f.write_str("/"),
            ' '..='~' => write!(f, "{c}"),
            _ => f.write_str("?"),
        })
    }
}

/// What a URL may not hold unencoded (RFC 3986) is percent-encoded, so it never ends the quotes.
struct Url<'a>(&'a str);

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'"' | b'\\' => write!(f, "%{byte:02X}"),
            b'!'..=b'~' => write!(f, "{}", char::from(byte)),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Reads a challenge as a client would (RFC 9110, section 11.6.1). `None` when it is malformed.
    fn read(value: &str) -> Option<BTreeMap<String, String>> {
        let mut rest = value.strip_prefix("Bearer ")?;
        let mut params = BTreeMap::new();
        loop {
            let (name, behind) = rest.split_once("=\"")?;
            let mut text = String::new();
            let mut chars = behind.char_indices();
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => text.push(chars.next()?.1),
                    (_, c @ ' '..='~') => text.push(c),
                    _ => return None,
                }
            };
            if !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                || params.insert(name.into(), text).is_some()
            {
                return None;
            }
            rest = match behind.get(end + 1..)? {
                "" => return Some(params),
                more => more.strip_prefix(", ")?,
            };
        }
    }

    #[test]
    fn each_refusal_has_its_status_and_its_words() {
        let plain =
            Challenge::bearer().resource_metadata("https://g.example/.well-known/oauth-protected-resource");
        assert_eq!(
            (plain.status(), plain.to_string().as_str()),
            (
                401,
                "Bearer realm=\"callgate\", \
                 resource_metadata=\"https://g.example/.well-known/oauth-protected-resource\""
            )
        );
        let expired = Challenge::bearer().fault(Fault::InvalidToken, "the token has expired");
        assert_eq!(
            (expired.status(), expired.to_string().as_str()),
            (
                401,
                "Bearer realm=\"callgate\", error=\"invalid_token\", error_description=\"the token has expired\""
            )
        );
        let scopes = ["mcp:crm:read", "mcp:crm:write"].map(|scope| Scope::new(scope).unwrap());
        let step_up = Challenge::bearer().fault(Fault::InsufficientScope, "").scopes(scopes);
        assert_eq!(
            (step_up.status(), step_up.to_string().as_str()),
            (
                403,
                "Bearer realm=\"callgate\", error=\"insufficient_scope\", scope=\"mcp:crm:read mcp:crm:write\""
            )
        );
    }

    #[test]
    fn a_request_without_a_token_is_told_no_error_and_a_malformed_one_is() {
        use crate::BearerError;
        assert_eq!(BearerError::Missing.challenge(Challenge::bearer()), Challenge::bearer());
        assert_eq!(BearerError::Scheme.challenge(Challenge::bearer()).status(), 401);
        let syntax = BearerError::Syntax.challenge(Challenge::bearer());
        assert_eq!(syntax.status(), 401);
        assert!(syntax.to_string().contains("error=\"invalid_token\""));
        let several = BearerError::Several.challenge(Challenge::bearer());
        assert_eq!(several.status(), 400);
        assert!(several.to_string().contains("error=\"invalid_request\""));
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for bad in ["", "a b", "a\"b", "a\\b", "é", "a\r\n"] {
            assert!(Scope::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_built_from_a_client_reads_four_clean_parameters(description: String, url: String) {
            let challenge = Challenge::bearer()
                .fault(Fault::InvalidToken, &format!("x{description}"))
                .resource_metadata(&url)
                .scopes([Scope::new("a:b").unwrap()]);
            let params = read(&challenge.to_string()).unwrap();
            let names: Vec<_> = params.keys().map(String::as_str).collect();
            prop_assert_eq!(names, ["error", "error_description", "realm", "resource_metadata", "scope"]);
            prop_assert!(!params["error_description"].contains(['"', '\\']));
            prop_assert_eq!(params["error_description"].chars().count(), description.chars().count() + 1);
        }
    }
}
