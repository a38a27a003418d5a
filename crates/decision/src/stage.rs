//! The path of one call, as data.

use serde::{Deserialize, Serialize};

/// A step of the path. The order of the variants is the order of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Origin, size, framing, one strict scan.
    Listen,
    /// Which class of method this is.
    Route,
    /// Who asks.
    Authenticate,
    /// Which pinned definition is meant.
    Resolve,
    /// May this principal see and use it at all.
    Permission,
    /// Do the arguments fit the pinned schema.
    Arguments,
    /// Has this very deed been done already.
    Replay,
    /// May it happen now, with these arguments.
    Rules,
    /// Have the right people said yes to exactly this.
    Approval,
    /// What the call needs is spent on it.
    Commit,
    /// The one credential this call needs.
    Secrets,
    /// Send, once.
    Upstream,
    /// What came back.
    Inspect,
}

impl Stage {
    /// The whole path. `xtask tidy` keeps `gateway/src/lib.rs` in this order.
    pub const PATH: [Self; 13] = [
        Self::Listen,
        Self::Route,
        Self::Authenticate,
        Self::Resolve,
        Self::Permission,
        Self::Arguments,
        Self::Replay,
        Self::Rules,
        Self::Approval,
        Self::Commit,
        Self::Secrets,
        Self::Upstream,
        Self::Inspect,
    ];

    /// What must have passed, in this order, before anything leaves the gateway.
    pub const BEFORE_DISPATCH: [Self; 10] = [
        Self::Listen,
        Self::Route,
        Self::Authenticate,
        Self::Resolve,
        Self::Permission,
        Self::Arguments,
        Self::Replay,
        Self::Rules,
        Self::Approval,
        Self::Commit,
    ];
}
