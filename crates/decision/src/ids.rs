//! Names and ids. Every one is a newtype, so two of the same primitive never meet in one signature.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Microseconds since the Unix epoch, from the injected [`Clock`](crate::Clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Microseconds from `earlier` to `self`, zero when the clock went backwards.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A name did not have the form its kind asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {article} {kind}: {rule}", article = article(kind))]
pub struct NameError {
    given: String,
    kind: &'static str,
    rule: &'static str,
}

/// For the kinds there are; `user` begins like `you`.
fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the form. Errors: [`NameError`], which says the rule.
            pub fn new(given: impl Into<String>) -> Result<Self, NameError> {
                let given = given.into();
                let check: fn(&str) -> bool = $check;
                if check(&given) { Ok(Self(given.into())) } else { Err(NameError { given, kind: $kind, rule: $rule }) }
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(given: String) -> Result<Self, NameError> {
                Self::new(given)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(given: &str) -> Result<Self, NameError> {
                Self::new(given)
            }
        }
    };
}

fn slug(s: &str) -> bool {
    s.len() <= 40
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && !s.ends_with('-')
        && !s.contains("--")
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
fn account(s: &str) -> bool {
    !s.is_empty()
        && s.len() <= 128
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+' | b':' | b'/'))
}

name!(/// An upstream MCP server, as `callgate.toml` names it. Never contains `__`, so `server__tool` splits one way.
    ServerName, "server name", "1 to 40 of a-z, 0-9 and single hyphens, starting with a letter", slug);
name!(/// An agent: a named principal that acts for a user or by itself.
    AgentName, "agent name", "1 to 128 of letters, digits and - _ . @ + : /", account);
name!(/// A person.
    UserName, "user name", "1 to 128 of letters, digits and - _ . @ + : /", account);
name!(/// A group of people or agents.
    GroupName, "group name", "1 to 128 of letters, digits and - _ . @ + : /", account);
name!(/// The name a secret is stored under.
    SecretName, "secret name", "1 to 128 of letters, digits and - _ . @ + : /", account);
name!(/// One customer of an installation. A single-tenant installation is `default`.
    TenantId, "tenant", "1 to 40 of a-z, 0-9 and single hyphens, starting with a letter", slug);
name!(/// Where a server runs: `production`, `staging`, `local`.
    Environment, "environment", "1 to 40 of a-z, 0-9 and single hyphens, starting with a letter", slug);
name!(/// The `@id` of a rule.
    RuleId, "rule id", "1 to 128 of letters, digits and - _ . @ + : /", account);
name!(/// A `[[budgets]]` of `callgate.toml`.
    BudgetName, "budget name", "1 to 40 of a-z, 0-9 and single hyphens, starting with a letter", slug);
name!(/// What groups calls: a session or a trace, else principal, host and an idle gap.
    InteractionId, "interaction id", "1 to 128 of letters, digits and - _ . @ + : /", account);

impl Default for TenantId {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self("local".into())
    }
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 16 bytes as 26 characters of Crockford base 32, most significant first, so text order is byte order.
fn crockford(bytes: [u8; 16]) -> [u8; 26] {
    let n = u128::from_be_bytes(bytes);
    let mut text = [b'0'; 26];
    // sixty bits at a time: a shift of 128 costs several
    for (part, shift) in text.rchunks_mut(12).zip([0, 60, 120]) {
        let mut low = u64::try_from((n >> shift) & ((1 << 60) - 1)).unwrap_or_default();
        for slot in part.iter_mut().rev() {
            *slot = CROCKFORD.get(usize::try_from(low & 31).unwrap_or_default()).copied().unwrap_or(b'0');
            low >>= 5;
        }
    }
    text
}

/// What a byte counts as a digit: its place in [`CROCKFORD`]; 32 where it is none.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'h' => byte - b'a' + 10,
        b'j' | b'k' => byte - b'j' + 18,
        b'm' | b'n' => byte - b'm' + 20,
        b'p'..=b't' => byte - b'p' + 22,
        b'v'..=b'z' => byte - b'v' + 27,
        _ => 32,
    }
}

/// A start reads one for every entry of the log.
fn uncrockford(text: &str) -> Option<[u8; 16]> {
    if text.len() != 26 {
        return None;
    }
    let mut n: u128 = 0;
    let mut seen = 0;
    // sixty bits at a time, as they were written
    for part in text.as_bytes().rchunks(12).rev() {
        let mut high = 0_u64;
        for byte in part {
            let digit = digit(*byte);
            seen |= digit;
            high = (high << 5) | u64::from(digit);
        }
        n = (n << (5 * part.len())) | u128::from(high);
    }
    // 130 bits in writing, of which the first two are none
    let small = text.as_bytes().first().is_some_and(|first| *first <= b'7');
    (seen < 32 && small).then(|| n.to_be_bytes())
}

/// A text that is no id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id of the form `{prefix}` and 26 characters")]
pub struct IdError {
    given: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// 48 bits of milliseconds, then 80 random bits; printed with a prefix and ordered by time.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Builds an id from the time and ten bytes of the injected entropy.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                let [_, _, ms @ ..] = (at.0 / 1000).to_be_bytes();
                let mut bytes = [0; 16];
                for (slot, byte) in bytes.iter_mut().zip(ms.into_iter().chain(random)) {
                    *slot = byte;
                }
                Self(bytes)
            }
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// Reads the printed form. `None` when it is not one.
            pub fn parse(text: &str) -> Option<Self> {
                text.strip_prefix($prefix).and_then(uncrockford).map(Self)
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text).ok_or_else(|| IdError { given: text.to_owned(), prefix: $prefix })
            }
        }
        impl $name {
            /// Hands the printed form on.
            fn print<T>(&self, to: impl FnOnce(&str) -> T) -> T {
                const PREFIX: &str = $prefix;
                let mut text = [0; PREFIX.len() + 26];
                let (prefix, digits) = text.split_at_mut(PREFIX.len());
                prefix.copy_from_slice(PREFIX.as_bytes());
                digits.copy_from_slice(&crockford(self.0));
                // all of it is ASCII
                to(std::str::from_utf8(&text).unwrap_or_default())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.print(|text| f.write_str(text))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                self.print(|text| s.serialize_str(text))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an id")))
            }
        }
    };
}

id!(/// One message of a deed, as the gateway numbers it; the peer's JSON-RPC id is not trusted to be unique.
    CallId, "call_");
id!(/// One logical operation, which may take several legs; it owns approval, reservation and idempotency key.
    DeedId, "deed_");
id!(/// People's yes to one exact deed.
    ApprovalId, "appr_");
id!(/// A call that was prepared and not made.
    DraftId, "draft_");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_told_in_good_english() {
        let told = |error: NameError| error.to_string().split(':').next().unwrap_or_default().to_owned();
        assert_eq!(told(AgentName::new("a b").unwrap_err()), "`a b` is not an agent name");
        assert_eq!(told(Environment::new("A").unwrap_err()), "`A` is not an environment");
        assert_eq!(told(UserName::new("a b").unwrap_err()), "`a b` is not a user name");
        assert_eq!(told(ServerName::new("A").unwrap_err()), "`A` is not a server name");
    }

    #[test]
    fn an_id_prints_reads_back_and_sorts_by_time() {
        let early = CallId::new(Timestamp(1_000_000), [7; 10]);
        let late = CallId::new(Timestamp(2_000_000), [0; 10]);
        assert_eq!(CallId::parse(&early.to_string()), Some(early));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(CallId::parse("call_zzzzzzzzzzzzzzzzzzzzzzzzzz"), None, "over 128 bits");
        assert_eq!(DeedId::parse(&early.to_string()), None, "another kind of id");
    }

    #[test]
    fn a_digit_is_what_it_is_written_as() {
        for byte in 0..=u8::MAX {
            let place = CROCKFORD.iter().position(|c| *c == byte);
            assert_eq!(usize::from(digit(byte)), place.unwrap_or(32), "{}", char::from(byte));
        }
    }

    #[test]
    fn twenty_six_digits_of_128_bits_are_an_id_and_nothing_else_is() {
        for bytes in [[0; 16], [0xff; 16], *b"0123456789abcdef", *b"\x80\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01"] {
            let text = String::from_utf8(crockford(bytes).to_vec()).unwrap();
            assert_eq!(uncrockford(&text), Some(bytes), "{text}");
            for at in 0..26 {
                for wrong in ["i", "l", "o", "u", "A", "-", "{", " "] {
                    let mut other = text.clone();
                    other.replace_range(at..=at, wrong);
                    assert_eq!(uncrockford(&other), None, "{other}");
                }
            }
            let (rest, shorter) = (text.get(1..).unwrap(), text.get(2..).unwrap());
            for first in ["8", "9", "a", "z"] {
                assert_eq!(uncrockford(&format!("{first}{rest}")), None, "over 128 bits");
            }
            for short in ["", rest, &format!("0{text}")] {
                assert_eq!(uncrockford(short), None, "{short}");
            }
            assert_eq!(uncrockford(&format!("{shorter}é")), None, "26 bytes that are not 26 characters");
        }
    }

    #[test]
    fn a_server_name_cannot_make_a_federated_name_ambiguous() {
        for bad in ["", "Crm", "a__b", "a--b", "9a", "a-", "a.b", "é"] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
        assert!(ServerName::new("crm-eu-2").is_ok());
    }
}
