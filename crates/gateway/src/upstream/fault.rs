//! Why there is no answer from a server.

use std::fmt;

/// Why a request, or the opening of a connection, has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    /// Could not be reached or started, or is being left alone after crashes.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Was there, and went away before it answered.
    Lost,
    /// A bound of ours, or its own (HTTP 429), says not now.
    Busy,
    /// HTTP 401 or 403: the credential we used is not enough. Never passed on to a Host.
    Unauthorized,
    /// What came is not an answer.
    Nonsense,
    /// The answer is over the size limit.
    TooLarge,
    /// The caller gave up.
    Cancelled,
    /// The server does not know our session any more, nor one that was opened in its place.
    SessionGone,
    /// The server does not speak this era of the protocol.
    NotThisEra,
    /// The server does not take it: an error to `initialize`, or HTTP 4xx that is no answer.
    Refused,
}

impl FaultKind {
    /// The stable name, for records and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Busy => "busy",
            Self::Unauthorized => "unauthorized",
            Self::Nonsense => "nonsense",
            Self::TooLarge => "too-large",
            Self::Cancelled => "cancelled",
            Self::SessionGone => "session-gone",
            Self::NotThisEra => "not-this-era",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no answer, and whether the request may have reached the server all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// A byte of the request may have left. Only where this is false may a deed be given back.
    pub(crate) sent: bool,
    /// For the operator. Without secrets; never for a Host, as a server has a hand in it.
    pub(crate) detail: String,
    /// The answer, where that is why.
    pub(crate) unread: Option<Box<super::Unread>>,
}

impl Fault {
    /// A fault before a byte left.
    pub(crate) fn unsent(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, sent: false, detail: detail.into(), unread: None }
    }
    /// A fault after a byte may have left.
    pub(crate) fn sent(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, sent: true, detail: detail.into(), unread: None }
    }
    /// The same fault, of a request that may or may not have left.
    pub(super) fn with_sent(mut self, sent: bool) -> Self {
        self.sent = sent;
        self
    }
}

/// Text of a server's making, made fit for a log line: one line, printable, bounded.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars().take(max) {
        if c == '\n' {
            out.push_str(" | ");
        } else if c.is_control() {
            out.push('\u{fffd}');
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_becomes_one_printable_bounded_line() {
        assert_eq!(printable("a\nb\x1b[31mc", 100), "a | b\u{fffd}[31mc");
        assert_eq!(printable("abcdef", 3), "abc");
    }
}
