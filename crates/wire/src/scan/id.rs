//! Ids and tokens as values.

use std::fmt;

use crate::json::{self, Value, encode_string};

/// A request id or progress token, to be compared and kept: `"a"` and `"\\u0061"` are
/// one id, `1` and `"1"` are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// An integer.
    Integer(i64),
    /// A string, decoded.
    Text(String),
}

impl Id {
    /// Longest accepted string, quotes not counted, in bytes as sent.
    pub const BYTES_MAX: usize = 256;

    /// Reads a raw id: a string of bounded length, or an integer of 64 bits without
    /// fraction and exponent. Everything else, null included, is none.
    pub fn read(raw: &[u8]) -> Option<Self> {
        match Value::of(raw)? {
            Value::String if raw.len() <= Self::BYTES_MAX + 2 => {
                json::decode_string(raw).map(|text| Self::Text(text.into_owned()))
            }
            Value::Number => Self::integer(raw).map(Self::Integer),
            Value::String | Value::Object | Value::Array | Value::Bool | Value::Null => None,
        }
    }

    /// Whether [`Id::read`] would read it.
    pub(super) fn is_valid(raw: &[u8]) -> bool {
        match Value::of(raw) {
            Some(Value::String) => raw.len() <= Self::BYTES_MAX + 2,
            Some(Value::Number) => Self::integer(raw).is_some(),
            Some(Value::Object | Value::Array | Value::Bool | Value::Null) | None => false,
        }
    }

    /// `-0` is refused: some readers see zero in it and some see a double.
    fn integer(raw: &[u8]) -> Option<i64> {
        std::str::from_utf8(raw).ok().filter(|text| *text != "-0")?.parse().ok()
    }
}

/// As JSON.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => write!(f, "{id}"),
            Self::Text(id) => f.write_str(&encode_string(id)),
        }
    }
}
