//! The names of workloads: `spiffe://trust-domain/path`, as the SPIFFE ID specification has them.

use std::{fmt, str::FromStr};

/// Longest id, by the specification.
const BYTES_MAX: usize = 2_048;
/// Longest name of a trust domain, by the specification.
const DOMAIN_BYTES_MAX: usize = 255;

/// Why a text is not the id of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    #[error("a workload's id begins with `spiffe://`, in lower case")]
    Scheme,
    #[error("a trust domain has 1 to 255 of `a-z`, `0-9`, `.`, `-` and `_`")]
    Domain,
    #[error(
        "a workload's id has a path of segments from `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`, without `.` or `..` or an empty one"
    )]
    Path,
    #[error("an id has at most {BYTES_MAX} bytes")]
    Long,
}

/// The id of one workload. It has one spelling, so two are equal when their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(String);

impl SpiffeId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeError;

    fn from_str(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > BYTES_MAX {
            return Err(SpiffeError::Long);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeError::Scheme)?;
        // an id without a path is the trust domain's own, which signs and never calls
        let (domain, path) = rest.split_once('/').ok_or(SpiffeError::Path)?;
        let of_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        if domain.is_empty() || domain.len() > DOMAIN_BYTES_MAX || !domain.bytes().all(of_domain) {
            return Err(SpiffeError::Domain);
        }
        let of_path = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        let fits = |segment: &str| {
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(of_path)
        };
        if !path.split('/').all(fits) {
            return Err(SpiffeError::Path);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_second_spelling_or_no_path_is_no_workload() {
        let long = format!("spiffe://acme/{}", "a".repeat(BYTES_MAX));
        let domain = format!("spiffe://{}/a", "a".repeat(DOMAIN_BYTES_MAX + 1));
        for (text, why) in [
            ("", SpiffeError::Scheme),
            ("https://acme/a", SpiffeError::Scheme),
            ("SPIFFE://acme/a", SpiffeError::Scheme),
            ("spiffe:/acme/a", SpiffeError::Scheme),
            ("spiffe://acme", SpiffeError::Path),
            ("spiffe://acme/", SpiffeError::Path),
            ("spiffe://acme/a/", SpiffeError::Path),
            ("spiffe://acme//a", SpiffeError::Path),
            ("spiffe://acme/./a", SpiffeError::Path),
            ("spiffe://acme/a/..", SpiffeError::Path),
            ("spiffe://acme/%61", SpiffeError::Path),
            ("spiffe://acme/a?b", SpiffeError::Path),
            ("spiffe://acme/a#b", SpiffeError::Path),
            ("spiffe://acme/ä", SpiffeError::Path),
            ("spiffe:///a", SpiffeError::Domain),
            ("spiffe://Acme/a", SpiffeError::Domain),
            ("spiffe://user@acme/a", SpiffeError::Domain),
            ("spiffe://acme:8443/a", SpiffeError::Domain),
            (&domain, SpiffeError::Domain),
            (&long, SpiffeError::Long),
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(why), "{text}");
        }
        for text in
            ["spiffe://acme/a", "spiffe://prod.acme.example/ns/pay/sa/Billing_bot-2", "spiffe://1/..."]
        {
            assert_eq!(text.parse::<SpiffeId>().unwrap().as_str(), text);
        }
    }
}
