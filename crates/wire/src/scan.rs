//! The one strict scan, and the [`Frame`] it yields.
//!
//! A security decision about a message is only worth something if everybody who
//! reads the message reads the same thing. So whatever two parsers could read
//! differently is refused here, requests and responses alike: duplicate keys at
//! any depth (compared decoded), lone surrogates, numbers that overflow, bytes
//! after the end, a message that is two kinds at once. Sources: RFC 8259, RFC 7493
//! (I-JSON), JSON-RPC 2.0, and the MCP specification `basic/index` (ids are strings
//! or integers, `params` and `result` are objects).

mod error;
mod frame;
mod id;
mod machine;

pub use error::ScanError;
pub use frame::{Frame, Kind};
pub use id::Id;

/// What a scan accepts at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of one message in bytes. Never more than `u32::MAX` is accepted.
    pub bytes: usize,
    /// Objects and arrays open at the same time; the message itself is the first.
    pub depth: usize,
}

impl Limits {
    /// 4 MiB and 64 levels.
    pub const DEFAULT: Self = Self { bytes: 4 << 20, depth: 64 };

    /// The same depth with another size.
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Scans one JSON value of any kind with the same strictness as a message: for
/// schemas, tool definitions and files. Whitespace around it is accepted.
///
/// # Errors
/// Whatever is not exactly one strict JSON value within the limits.
pub fn scan_value(bytes: &[u8], limits: &Limits) -> Result<(), ScanError> {
    machine::Machine::new(bytes, limits)?.run().map(drop)
}

#[cfg(test)]
mod tests;
