//! Why a message was not read.

use crate::rpc;

/// Why bytes are not one strict MCP message. `at` is a byte offset.
///
/// Never carries any of the input: what could not be read must not travel on in
/// a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Larger than [`Limits::bytes`](super::Limits::bytes).
    #[error("the message is {size} bytes, {limit} are accepted")]
    TooLarge { size: usize, limit: usize },
    /// Nothing but whitespace.
    #[error("the message is empty")]
    Empty,
    /// Starts with a byte order mark (RFC 8259 §8.1).
    #[error("the message starts with a byte order mark")]
    ByteOrderMark,
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 { at: usize },
    /// A top-level array. A batch is taken apart first, in the one revision that has them.
    #[error("batches are of 2025-03-26 only, send one message at a time")]
    Batch,
    /// One JSON value, but not an object.
    #[error("a message is one JSON object")]
    NotObject,
    /// Deeper than [`Limits::depth`](super::Limits::depth).
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep { at: usize, limit: usize },
    /// An object has the same key twice, compared after decoding escapes.
    #[error("duplicate key at byte {at}")]
    DuplicateKey { at: usize },
    /// Half of a UTF-16 surrogate pair.
    #[error("lone surrogate at byte {at}")]
    LoneSurrogate { at: usize },
    /// A backslash followed by something JSON does not know.
    #[error("invalid escape at byte {at}")]
    Escape { at: usize },
    /// A raw control character inside a string.
    #[error("raw control character in a string at byte {at}")]
    ControlCharacter { at: usize },
    /// Not a JSON number.
    #[error("invalid number at byte {at}")]
    Number { at: usize },
    /// A number no double can hold; parsers disagree about it.
    #[error("number out of range at byte {at}")]
    NumberRange { at: usize },
    /// Some other byte that cannot stand here.
    #[error("unexpected byte at {at}")]
    Syntax { at: usize },
    /// The bytes end before the value does.
    #[error("the message ends too early")]
    Truncated,
    /// Something follows the value.
    #[error("unexpected data after the message at byte {at}")]
    Trailing { at: usize },
    /// `jsonrpc` is missing or not `"2.0"`.
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
    /// `id` is not a string or integer, or too long. MCP forbids a null id.
    #[error("`id` must be a string of at most {max} bytes or an integer of 64 bits", max = super::Id::BYTES_MAX)]
    Id,
    /// `method` is not a string, empty, or too long.
    #[error("`method` must be a string of 1 to {max} bytes", max = super::frame::METHOD_BYTES_MAX)]
    Method,
    /// `params` is not an object.
    #[error("`params` must be an object")]
    Params,
    /// `result` is not an object.
    #[error("`result` must be an object")]
    Result,
    /// `error` is not an object with an integer code and a text.
    #[error("`error` must be an object with an integer `code` and a text `message`")]
    Error,
    /// Not exactly one of request, notification, response and error response.
    #[error("a message is exactly one of request, notification, response and error response")]
    Shape,
}

impl ScanError {
    /// The stable reason, for records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Empty => "empty",
            Self::ByteOrderMark => "byte-order-mark",
            Self::NotUtf8 { .. } => "not-utf8",
            Self::Batch => "batch",
            Self::NotObject => "not-an-object",
            Self::TooDeep { .. } => "too-deep",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::LoneSurrogate { .. } => "lone-surrogate",
            Self::Escape { .. } => "invalid-escape",
            Self::ControlCharacter { .. } => "control-character",
            Self::Number { .. } => "invalid-number",
            Self::NumberRange { .. } => "number-out-of-range",
            Self::Syntax { .. } => "syntax",
            Self::Truncated => "truncated",
            Self::Trailing { .. } => "trailing-data",
            Self::Version => "jsonrpc-version",
            Self::Id => "invalid-id",
            Self::Method => "invalid-method",
            Self::Params => "invalid-params",
            Self::Result => "invalid-result",
            Self::Error => "invalid-error",
            Self::Shape => "not-one-message",
        }
    }

    /// The JSON-RPC error to answer with: parse error for what is not strict
    /// JSON, invalid request for what is not a message.
    pub const fn rpc_code(self) -> i64 {
        match self {
            Self::TooLarge { .. }
            | Self::Batch
            | Self::NotObject
            | Self::Version
            | Self::Id
            | Self::Method
            | Self::Params
            | Self::Result
            | Self::Error
            | Self::Shape => rpc::INVALID_REQUEST,
            Self::Empty
            | Self::ByteOrderMark
            | Self::NotUtf8 { .. }
            | Self::TooDeep { .. }
            | Self::DuplicateKey { .. }
            | Self::LoneSurrogate { .. }
            | Self::Escape { .. }
            | Self::ControlCharacter { .. }
            | Self::Number { .. }
            | Self::NumberRange { .. }
            | Self::Syntax { .. }
            | Self::Truncated
            | Self::Trailing { .. } => rpc::PARSE_ERROR,
        }
    }
}
