//! Revisions of MCP, and the two eras they fall into.
//!
//! *Legacy* is 2025-11-25 and earlier: a handshake, a session, requests both ways.
//! *Modern* is 2026-07-28 and later: stateless, every request says in `_meta` which
//! revision it speaks and what its client can do.

use std::borrow::Cow;
use std::fmt;

use decision::Era;

use crate::json::{self, Value};
use crate::rpc;
use crate::scan::Frame;

/// `_meta` key of the revision a modern request speaks. Required, a string.
pub const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key of the client's capabilities on a modern request. Required, an object.
pub const META_CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key of the client's name and version. Optional, self-reported, for display only.
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta` key of the least log level wanted for one modern request.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key of the server's name and version on modern results. Self-reported.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta` key that ties a notification to its `subscriptions/listen` request.
pub const META_SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// `_meta` key of the token a request wants progress reported under.
pub const META_PROGRESS_TOKEN: &str = "progressToken";

/// A published revision of the specification, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28
    V2026_07_28,
}

/// A revision this gateway does not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported protocol version, use one of {}", Revision::list(&Revision::ALL))]
pub struct UnknownRevision;

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];
    /// The newest revision that starts with `initialize`.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;
    /// The newest stateless revision.
    pub const LATEST_MODERN: Self = Self::V2026_07_28;
    /// What a legacy HTTP request without `MCP-Protocol-Version` speaks
    /// (2025-06-18 and later, `basic/transports`).
    pub const WITHOUT_HEADER: Self = Self::V2025_03_26;

    /// The revision as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Reads a revision as it is written on the wire.
    ///
    /// # Errors
    /// [`UnknownRevision`] for anything else, drafts and future revisions included.
    pub fn parse(text: &str) -> Result<Self, UnknownRevision> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text).ok_or(UnknownRevision)
    }

    /// Whether requests are stateless and carry their revision in `_meta`.
    pub const fn is_modern(self) -> bool {
        matches!(self.era(), Era::Modern)
    }

    /// Whether several messages may come in one JSON array. 2025-06-18 removed what the revision before it had added.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// The era of the revision.
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
            Self::V2026_07_28 => Era::Modern,
        }
    }

    fn list(revisions: &[Self]) -> String {
        revisions.iter().map(|revision| revision.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(text: &str) -> Result<Self, UnknownRevision> {
        Self::parse(text)
    }
}

/// A set of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revisions(u8);

impl Revisions {
    /// No revision.
    pub const NONE: Self = Self(0);
    /// Every revision.
    pub const ALL: Self = Self::between(Revision::V2024_11_05, Revision::V2026_07_28);
    /// Every revision that starts with `initialize`.
    pub const LEGACY: Self = Self::between(Revision::V2024_11_05, Revision::V2025_11_25);
    /// Every stateless revision.
    pub const MODERN: Self = Self::between(Revision::V2026_07_28, Revision::V2026_07_28);

    /// All revisions from `first` to `last`, both included.
    pub const fn between(first: Revision, last: Revision) -> Self {
        let below_last = (1u8 << (last as u8 + 1)) - 1;
        let below_first = (1u8 << first as u8) - 1;
        Self(below_last & !below_first)
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the revision is in the set.
    pub const fn contains(self, revision: Revision) -> bool {
        self.0 & (1 << revision as u8) != 0
    }

    /// The revisions of the set, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Revision> {
        Revision::ALL.into_iter().filter(move |revision| self.contains(*revision))
    }
}

/// The revision to answer an `initialize` with: the one asked for where it is
/// legacy and known, else our newest legacy one (2025-11-25 `basic/lifecycle`,
/// *Version Negotiation*). A handshake never leads into the modern era.
pub fn negotiate(requested: &str) -> Revision {
    match Revision::parse(requested) {
        Ok(revision) if !revision.is_modern() => revision,
        Ok(_) | Err(UnknownRevision) => Revision::LATEST_LEGACY,
    }
}

/// What a modern request says about itself in `params._meta`.
#[derive(Clone, Debug)]
pub struct ModernMeta<'a> {
    /// The revision it speaks, one we know.
    pub revision: Revision,
    /// The raw capabilities object.
    pub client_capabilities_raw: &'a [u8],
    /// Name and version as claimed, for display only.
    pub client_info: Option<Implementation<'a>>,
    /// The least log level wanted.
    pub log_level: Option<Cow<'a, str>>,
}

/// A name and a version as claimed by a client or server. Not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implementation<'a> {
    /// `name`
    pub name: Cow<'a, str>,
    /// `version`
    pub version: Cow<'a, str>,
}

impl<'a> Implementation<'a> {
    /// Reads a raw `Implementation` object. `None` without a name; a missing
    /// version reads as empty.
    pub fn read(raw: &'a [u8]) -> Option<Self> {
        let name = json::string_member(raw, "name")?;
        Some(Self { name, version: json::string_member(raw, "version").unwrap_or_default() })
    }
}

/// Why a request is not a modern one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// A required `_meta` field is missing. Carries its key.
    #[error("`params._meta` must have `{0}`")]
    Missing(&'static str),
    /// A `_meta` field has the wrong type. Carries its key.
    #[error("`{0}` in `params._meta` has the wrong type")]
    WrongType(&'static str),
    /// A revision we do not speak, or one that is not modern.
    #[error("unsupported protocol version, use {}", Revision::LATEST_MODERN)]
    Unsupported,
}

impl MetaError {
    /// The JSON-RPC code: invalid params, or unsupported protocol version. HTTP 400 for both.
    pub const fn rpc_code(self) -> i64 {
        match self {
            Self::Missing(_) | Self::WrongType(_) => rpc::INVALID_PARAMS,
            Self::Unsupported => rpc::UNSUPPORTED_PROTOCOL_VERSION,
        }
    }
}

/// The revision a message claims in `_meta`, if it claims one. Tells a modern
/// request from a legacy one before anything else is known.
pub fn claimed_revision(frame: &Frame) -> Option<Cow<'_, str>> {
    json::decode_string(frame.at(&["params", "_meta", META_PROTOCOL_VERSION])?)
}

/// Reads what a modern request must say about itself.
///
/// # Errors
/// As the specification demands (2026-07-28 `basic/index`, *Per-request protocol
/// fields*): a missing or mistyped field is `-32602`, an unknown revision `-32022`.
pub fn modern_meta(frame: &Frame) -> Result<ModernMeta<'_>, MetaError> {
    let said = |key: &str| frame.at(&["params", "_meta", key]);
    let version = said(META_PROTOCOL_VERSION).ok_or(MetaError::Missing(META_PROTOCOL_VERSION))?;
    let version = json::decode_string(version).ok_or(MetaError::WrongType(META_PROTOCOL_VERSION))?;
    let revision = Revision::parse(&version).map_err(|_| MetaError::Unsupported)?;
    if !revision.is_modern() {
        return Err(MetaError::Unsupported);
    }
    let capabilities = said(META_CLIENT_CAPABILITIES).ok_or(MetaError::Missing(META_CLIENT_CAPABILITIES))?;
    if Value::of(capabilities) != Some(Value::Object) {
        return Err(MetaError::WrongType(META_CLIENT_CAPABILITIES));
    }
    let client_info = match said(META_CLIENT_INFO) {
        None => None,
        Some(raw) => Some(Implementation::read(raw).ok_or(MetaError::WrongType(META_CLIENT_INFO))?),
    };
    let log_level = match said(META_LOG_LEVEL) {
        None => None,
        Some(raw) => Some(json::decode_string(raw).ok_or(MetaError::WrongType(META_LOG_LEVEL))?),
    };
    Ok(ModernMeta { revision, client_capabilities_raw: capabilities, client_info, log_level })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::scan::Limits;

    fn request(meta: &str) -> Frame {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#);
        Frame::scan(Bytes::from(text), &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn revisions_are_read_exactly_and_in_order() {
        for revision in Revision::ALL {
            assert_eq!(revision.to_string().parse(), Ok(revision));
        }
        assert!(Revision::ALL.is_sorted());
        for text in ["", "2024-10-07", "2026-07-28 ", "2026-07-29", "draft", "DRAFT-2026-v1"] {
            assert_eq!(Revision::parse(text), Err(UnknownRevision), "{text}");
        }
    }

    #[test]
    fn sets_of_revisions_hold_what_they_say() {
        assert_eq!(Revisions::ALL.iter().count(), 5);
        assert_eq!(Revisions::LEGACY.and(Revisions::MODERN), Revisions::ALL);
        assert!(Revisions::LEGACY.iter().all(|revision| !revision.is_modern()));
        assert!(Revisions::MODERN.iter().all(Revision::is_modern));
        let two = Revisions::between(Revision::V2025_06_18, Revision::V2025_11_25);
        assert_eq!(two.iter().collect::<Vec<_>>(), [Revision::V2025_06_18, Revision::V2025_11_25]);
        assert_eq!(Revisions::NONE.iter().count(), 0);
    }

    #[test]
    fn a_handshake_never_leads_into_the_modern_era() {
        assert_eq!(negotiate("2025-03-26"), Revision::V2025_03_26);
        for unknown in ["2026-07-28", "2099-01-01", "", "2024-10-07"] {
            assert_eq!(negotiate(unknown), Revision::V2025_11_25, "{unknown}");
        }
    }

    #[test]
    fn a_modern_request_says_what_it_speaks_and_can_do() {
        let frame = request(
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},
                "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},
                "io.modelcontextprotocol/logLevel":"info"}"#,
        );
        let meta = modern_meta(&frame).unwrap();
        assert_eq!(meta.revision, Revision::V2026_07_28);
        assert_eq!(meta.client_capabilities_raw, br#"{"elicitation":{}}"#);
        assert_eq!(meta.client_info.unwrap().name, "c");
        assert_eq!(meta.log_level.as_deref(), Some("info"));
        assert_eq!(claimed_revision(&frame).as_deref(), Some("2026-07-28"));
    }

    #[test]
    fn a_modern_request_that_says_too_little_is_refused_with_the_right_code() {
        let version = r#""io.modelcontextprotocol/protocolVersion":"#;
        let capabilities = r#""io.modelcontextprotocol/clientCapabilities":"#;
        for (meta, code) in [
            ("{}".to_owned(), -32602),
            ("7".to_owned(), -32602),
            (format!("{{{capabilities}{{}}}}"), -32602),
            (format!("{{{version}7,{capabilities}{{}}}}"), -32602),
            (format!("{{{version}\"2026-07-28\"}}"), -32602),
            (format!("{{{version}\"2026-07-28\",{capabilities}null}}"), -32602),
            (format!("{{{version}\"2026-07-28\",{capabilities}[]}}"), -32602),
            (
                format!(
                    "{{{version}\"2026-07-28\",{capabilities}{{}},\"io.modelcontextprotocol/clientInfo\":\"me\"}}"
                ),
                -32602,
            ),
            (format!("{{{version}\"2025-11-25\",{capabilities}{{}}}}"), -32022),
            (format!("{{{version}\"2027-01-01\",{capabilities}{{}}}}"), -32022),
        ] {
            assert_eq!(modern_meta(&request(&meta)).unwrap_err().rpc_code(), code, "{meta}");
        }
        let bare = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
        let bare = Frame::scan(bare, &Limits::DEFAULT).unwrap();
        assert_eq!(modern_meta(&bare).unwrap_err(), MetaError::Missing(META_PROTOCOL_VERSION));
    }
}
