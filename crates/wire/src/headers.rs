//! What the HTTP transport repeats in headers (SEP-2243).
//!
//! Modern requests say their method, name and annotated arguments a second time in
//! headers, so that others can route without parsing. Whoever reads the body must
//! check that both say the same: a header that is missing or lies is
//! `HeaderMismatch`, `-32020`, HTTP 400. Legacy requests have no such duty, and for
//! them these headers are neither trusted nor held against the client. Source:
//! MCP 2026-07-28 `basic/transports/streamable-http`.

mod params;

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

pub use params::{
    Annotation, AnnotationError, Annotations, ParamError, Primitive, check_params, param_headers,
};

use crate::era::Revision;
use crate::method::{Shape, lookup};
use crate::rpc;
use crate::scan::Frame;
use crate::views::named;

/// `MCP-Protocol-Version`, since 2025-06-18.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// `Mcp-Session-Id`, legacy.
pub const SESSION_ID: &str = "mcp-session-id";
/// `Last-Event-ID`, legacy.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// `Mcp-Method`, modern.
pub const METHOD: &str = "mcp-method";
/// `Mcp-Name`, modern.
pub const NAME: &str = "mcp-name";
/// `Mcp-Param-…`, modern; always compared in lower case.
pub const PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// What a request has under one header name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// Nothing.
    Absent,
    /// One value, as bytes.
    One(&'a [u8]),
    /// Several: somebody on the way may read another one than we do.
    Repeated,
}

impl<'a> Header<'a> {
    /// Sorts the values of a header name.
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

/// For a value that is known to be the only one; where a request has all its values
/// at hand, [`Header::of`] also notices repetition.
impl<'a> From<Option<&'a str>> for Header<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Self::Absent, |value| Self::One(value.as_bytes()))
    }
}

/// Headers and body disagree. Carries the header's name, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderMismatch {
    /// A required header is missing.
    #[error("header mismatch: `{0}` is required")]
    Missing(Cow<'static, str>),
    /// A header is there more than once.
    #[error("header mismatch: `{0}` is repeated")]
    Repeated(Cow<'static, str>),
    /// A value has characters that may not stand in it, or broken Base64.
    #[error("header mismatch: `{0}` is malformed")]
    Malformed(Cow<'static, str>),
    /// A value is not what the body says.
    #[error("header mismatch: `{0}` does not match the body")]
    Differs(Cow<'static, str>),
    /// A header for an argument that the body does not have.
    #[error("header mismatch: `{0}` has no value in the body")]
    Unexpected(Cow<'static, str>),
}

impl HeaderMismatch {
    /// Always `-32020`; HTTP 400.
    pub const fn rpc_code(&self) -> i64 {
        rpc::HEADER_MISMATCH
    }
}

/// Writes a value as a header value: as it is where it is plain ASCII, else as
/// `=?base64?…?=`. Also a value that looks like the encoded form is encoded.
pub fn encode(value: &str) -> Cow<'_, str> {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    let lookalike = value.starts_with(SENTINEL.0) && value.ends_with(SENTINEL.1);
    let edges = edge(bytes.first()) || edge(bytes.last());
    let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) && !edges && !lookalike;
    if plain {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("{}{}{}", SENTINEL.0, BASE64_STANDARD.encode(value), SENTINEL.1))
    }
}

/// Reads a header value back. `None` if it has characters that may not stand in a
/// header, or wears the markers around something that is not Base64 of UTF-8.
pub fn decode(raw: &[u8]) -> Option<Cow<'_, str>> {
    if !raw.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return None;
    }
    let text = std::str::from_utf8(raw).ok()?;
    match text.strip_prefix(SENTINEL.0).and_then(|inner| inner.strip_suffix(SENTINEL.1)) {
        None => Some(Cow::Borrowed(text)),
        Some(inner) => String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok().map(Cow::Owned),
    }
}

/// Checks `MCP-Protocol-Version` of a modern request against the revision its body
/// claims.
///
/// # Errors
/// A missing, repeated or differing header.
pub fn check_version<'h>(header: impl Into<Header<'h>>, body: Revision) -> Result<(), HeaderMismatch> {
    let name = Cow::Borrowed("MCP-Protocol-Version");
    match single(header.into(), &name)? {
        None => Err(HeaderMismatch::Missing(name)),
        Some(value) if value == body.as_str().as_bytes() => Ok(()),
        Some(_) => Err(HeaderMismatch::Differs(name)),
    }
}

/// Checks `Mcp-Method` and `Mcp-Name` against the message.
///
/// Modern requests must have the first always, and the second where the method is
/// about a named thing (`params.name`, `params.uri`, and `params.taskId` of the tasks
/// extension). Notifications need neither, but may not lie. For legacy revisions
/// nothing is checked, as clients in the field send what they like there.
///
/// # Errors
/// What is missing, repeated, malformed or different.
pub fn check_standard<'h>(
    revision: Revision,
    method: impl Into<Header<'h>>,
    name: impl Into<Header<'h>>,
    frame: &Frame,
) -> Result<(), HeaderMismatch> {
    let Some(body_method) = frame.method().filter(|_| revision.is_modern()) else { return Ok(()) };
    let header = Cow::Borrowed("Mcp-Method");
    let required = frame.id_raw().is_some();
    match single(method.into(), &header)? {
        None if required => return Err(HeaderMismatch::Missing(header)),
        None => {}
        Some(value) if value == body_method.as_bytes() => {}
        Some(_) => return Err(HeaderMismatch::Differs(header)),
    }
    // without a row there is nothing to compare; the method itself is refused later
    let Some(row) = lookup(&body_method, revision) else { return Ok(()) };
    let carries_name = matches!(row.name_field, Some("name" | "uri" | "taskId"));
    let Some(expected) = named(frame, row).filter(|_| carries_name) else { return Ok(()) };
    let header = Cow::Borrowed("Mcp-Name");
    match single(name.into(), &header)? {
        None if row.shape == Shape::Request => Err(HeaderMismatch::Missing(header)),
        None => Ok(()),
        Some(value) => match decode(value) {
            None => Err(HeaderMismatch::Malformed(header)),
            Some(text) if text == expected => Ok(()),
            Some(_) => Err(HeaderMismatch::Differs(header)),
        },
    }
}

/// The value of `Mcp-Name` that a modern message must be sent with, if any.
pub fn name_header(revision: Revision, frame: &Frame) -> Option<String> {
    let row = lookup(&frame.method()?, revision).filter(|_| revision.is_modern())?;
    let carries_name =
        row.shape == Shape::Request && matches!(row.name_field, Some("name" | "uri" | "taskId"));
    named(frame, row).filter(|_| carries_name).map(|name| encode(&name).into_owned())
}

fn single<'a>(header: Header<'a>, name: &str) -> Result<Option<&'a [u8]>, HeaderMismatch> {
    match header {
        Header::Absent => Ok(None),
        Header::One(value) => Ok(Some(value)),
        Header::Repeated => Err(HeaderMismatch::Repeated(Cow::Owned(name.to_owned()))),
    }
}

#[cfg(test)]
mod tests;
