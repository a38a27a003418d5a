//! Telling other systems what waits for people, and taking their answer: signed both ways as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>, 1.0.0), each event once for each address, tried again with longer and longer waits.

mod callback;
mod payload;
mod sender;
mod sign;

pub(crate) use callback::BYTES_MAX as CALLBACK_BYTES_MAX;
pub use callback::{Callback, Signed, Unheard};
pub use sender::Sender;
pub use sign::{Key, KeyError};

use decision::SecretName;
use egress::{Destination, EgressPolicy, IpNet, Origin};
use std::fmt;

/// One address that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub name: String,
    pub url: http::Uri,
    pub form: Form,
    /// What signs, and what a callback must be signed with.
    pub secret: SecretName,
    /// Whether its answers count.
    pub decides: bool,
    /// Private networks that its name may resolve into.
    pub networks: Vec<IpNet>,
}

/// Where these may be reached, and nothing else.
fn reachable(hooks: &[Hook]) -> EgressPolicy {
    let declared = hooks.iter().filter_map(|hook| {
        let origin = Origin::of(&hook.url).ok()?;
        Some(hook.networks.iter().copied().fold(Destination::declared(origin), Destination::within))
    });
    declared.collect()
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `type`, `timestamp` and `data`, as Standard Webhooks has it.
    Generic,
    /// A message for Slack's incoming webhooks, or what understands them.
    Slack,
}

impl Form {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Slack => "slack",
        }
    }
}

/// Where secrets come from: the console itself opens none.
pub trait Keys: fmt::Debug + Send + Sync {
    /// The key of that name. Errors: why there is none now, for the operator.
    fn key(&self, name: &SecretName) -> futures::future::BoxFuture<'_, Result<Key, String>>;
}
