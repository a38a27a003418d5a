//! Why a request failed, and whether it may have had an effect.

use crate::{AddressClass, Origin, OriginError};
use std::net::IpAddr;

/// May the other side have seen the request?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// Certainly not: nothing of it left. It may be sent again.
    Unsent,
    /// Possibly: never send a write again.
    MaybeSent,
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The head of the answer.
    FirstByte,
    /// The next piece of the body.
    Idle,
    /// The whole exchange.
    Total,
}

/// A failed exchange. Texts name the origin, never a path, a query or a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error(transparent)]
    Url(#[from] OriginError),
    #[error("`{origin}` is not a destination that was declared")]
    Undeclared { origin: Origin },
    #[error("`{origin}` is at {address}, which is {class}; {}", class.cure())]
    RefusedAddress { origin: Origin, address: IpAddr, class: AddressClass },
    #[error("the name in `{origin}` has no address")]
    Dns { origin: Origin },
    #[error("`{origin}` refuses connections; is it running?")]
    ConnectRefused { origin: Origin },
    #[error("no connection to `{origin}` in time")]
    ConnectTimeout { origin: Origin },
    #[error("`{origin}` cannot be reached: {kind}")]
    Unreachable { origin: Origin, kind: std::io::ErrorKind },
    #[error("no trusted connection to `{origin}`: {reason}")]
    Tls { origin: Origin, reason: String },
    #[error("`{origin}` closed the connection before its answer was complete")]
    Reset { origin: Origin, sent: Sent },
    #[error("`{origin}` did not answer in time")]
    Timeout { origin: Origin, phase: Phase, sent: Sent },
    #[error("the head of the answer of `{origin}` is too large")]
    HeadTooLarge { origin: Origin },
    #[error("the answer of `{origin}` is larger than {max} bytes")]
    BodyTooLarge { origin: Origin, max: usize },
    #[error("the answer of `{origin}` is not {expected}")]
    Content { origin: Origin, expected: &'static str },
    #[error("`{origin}` does not speak HTTP: {reason}")]
    Protocol { origin: Origin, reason: &'static str },
}

impl EgressError {
    /// Whether the request may have had an effect. When in doubt it may.
    pub fn sent(&self) -> Sent {
        match self {
            Self::Url(_)
            | Self::Undeclared { .. }
            | Self::RefusedAddress { .. }
            | Self::Dns { .. }
            | Self::ConnectRefused { .. }
            | Self::ConnectTimeout { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. } => Sent::Unsent,
            Self::Reset { sent, .. } | Self::Timeout { sent, .. } => *sent,
            Self::HeadTooLarge { .. }
            | Self::BodyTooLarge { .. }
            | Self::Content { .. }
            | Self::Protocol { .. } => Sent::MaybeSent,
        }
    }
}
