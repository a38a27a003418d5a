//! Log levels: set once for a session before 2026-07-28, said with each request since.

use std::borrow::Cow;

/// A level of `notifications/message`, the least urgent first (RFC 5424's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `critical`
    Critical,
    /// `alert`
    Alert,
    /// `emergency`
    Emergency,
}

impl Level {
    /// Every level, the least urgent first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];
    /// What a legacy client that set no level is told: its server may choose (2025-11-25 `server/utilities/logging`).
    pub const UNLESS_SET: Self = Self::Info;

    /// The level as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// Reads a level. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The level of a log message. One whose level nobody knows counts as urgent: it is not lost by a filter.
    pub fn of(frame: &crate::Frame) -> Self {
        let level: Option<Cow<'_, str>> = frame.string_at(&["params", "level"]);
        level.and_then(|text| Self::parse(&text)).unwrap_or(Self::Emergency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_exactly_and_ordered_by_urgency() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
        for text in ["", "Debug", "warn", "trace"] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
    }
}
