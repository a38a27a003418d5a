//! The messages that are ours: JSON-RPC 2.0 envelopes around raw parts, and the
//! error codes of MCP.
//!
//! Raw parts (`id_raw`, results, params, data) must come from a scanned message or
//! from a JSON serialiser; they are written as they are.

use bytes::Bytes;

use crate::json::encode_string;
use crate::scan::Frame;
use crate::splice::{Splice, SpliceError};

/// Invalid JSON. JSON-RPC 2.0 §5.1.
pub const PARSE_ERROR: i64 = -32700;
/// Not a request. JSON-RPC 2.0 §5.1.
pub const INVALID_REQUEST: i64 = -32600;
/// Unknown method; HTTP 404 in 2026-07-28. JSON-RPC 2.0 §5.1.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Invalid params: also unknown tools, and from 2026-07-28 unknown resources and
/// missing `_meta` fields. JSON-RPC 2.0 §5.1, MCP `basic/index` 2026-07-28.
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of ours. JSON-RPC 2.0 §5.1.
pub const INTERNAL_ERROR: i64 = -32603;
/// Resource not found, up to 2025-11-25; `-32602` since. Never sent to modern peers.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// URL elicitation required, 2025-11-25 only. Never sent to other peers.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
/// Headers and body disagree; HTTP 400. 2026-07-28 `basic/transports/streamable-http`.
pub const HEADER_MISMATCH: i64 = -32020;
/// The client did not declare a capability that is needed; HTTP 400. 2026-07-28 `basic/index`.
pub const MISSING_REQUIRED_CLIENT_CAPABILITY: i64 = -32021;
/// Unsupported protocol version; HTTP 400. 2026-07-28 `basic/versioning`.
pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;

/// An error response. Without an id the member is left out, as MCP has no null id.
pub fn error(id_raw: Option<&[u8]>, code: i64, message: &str, data_raw: Option<&[u8]>) -> Bytes {
    let mut out = open(id_raw);
    out.extend_from_slice(b",\"error\":{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    out.extend_from_slice(encode_string(message).as_bytes());
    if let Some(data) = data_raw {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.extend_from_slice(b"}}");
    out.into()
}

/// A response with a raw result object.
pub fn result(id_raw: &[u8], result_raw: &[u8]) -> Bytes {
    let mut out = open(Some(id_raw));
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result_raw);
    out.push(b'}');
    out.into()
}

/// A request with raw params.
pub fn request(id_raw: &[u8], method: &str, params_raw: Option<&[u8]>) -> Bytes {
    call(open(Some(id_raw)), method, params_raw)
}

/// A notification with raw params.
pub fn notification(method: &str, params_raw: Option<&[u8]>) -> Bytes {
    call(open(None), method, params_raw)
}

/// The same message with another id; every other byte as it came.
///
/// # Errors
/// [`SpliceError::OutOfBounds`] if the message has no id to replace.
pub fn with_id(frame: &Frame, id_raw: &[u8]) -> Result<Bytes, SpliceError> {
    let range = frame.id_range().ok_or(SpliceError::OutOfBounds)?;
    Splice::new(frame).replace(range, id_raw.to_vec()).finish()
}

/// A raw string id.
pub fn string_id(id: &str) -> Bytes {
    encode_string(id).into()
}

fn open(id_raw: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    if let Some(id) = id_raw {
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(id);
    }
    out
}

fn call(mut out: Vec<u8>, method: &str, params_raw: Option<&[u8]>) -> Bytes {
    out.extend_from_slice(b",\"method\":");
    out.extend_from_slice(encode_string(method).as_bytes());
    if let Some(params) = params_raw {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Kind, Limits};

    fn scan(bytes: Bytes) -> Frame {
        Frame::scan(bytes, &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn our_own_messages_pass_our_own_scan() {
        let evil = "a \"quoted\"\n\u{0}\u{2028} text";
        let built = scan(error(Some(b"\"7\""), INVALID_PARAMS, evil, Some(br#"{"a":1}"#)));
        assert_eq!(built.kind(), Kind::ErrorResponse);
        let view = crate::views::RpcError::read(built.error_raw().unwrap()).unwrap();
        assert_eq!((view.code, view.message.as_ref()), (-32602, evil));
        assert_eq!(view.data_raw, Some(&br#"{"a":1}"#[..]));
        assert_eq!(scan(error(None, PARSE_ERROR, "x", None)).id_raw(), None);

        let built = scan(result(b"1", br#"{"tools":[]}"#));
        assert_eq!((built.kind(), built.result_raw()), (Kind::Response, Some(&br#"{"tools":[]}"#[..])));
        let built = scan(request(&string_id("g\"1"), "tools/call", Some(b"{}")));
        assert_eq!((built.kind(), built.id_raw()), (Kind::Request, Some(&br#""g\"1""#[..])));
        assert_eq!(scan(notification("notifications/initialized", None)).kind(), Kind::Notification);
    }

    #[test]
    fn another_id_changes_nothing_else() {
        let text = r#"{"method" : "m","id":  1 ,"jsonrpc":"2.0", "params":{"n":1.0}}"#;
        let frame = scan(Bytes::from_static(text.as_bytes()));
        assert_eq!(with_id(&frame, b"\"g-2\"").unwrap(), text.replace("  1 ", "  \"g-2\" "));
        let bare = scan(notification("m", None));
        assert_eq!(with_id(&bare, b"1"), Err(SpliceError::OutOfBounds));
    }
}
