//! From the Host: HTTP, pipes and the owner's Unix socket, and the first judgement of what came in.
//!
//! A listener believes nothing and refuses nothing. It bounds what a peer can make large, slow or
//! many, turns every request to an MCP address into exactly one [`Arrival`], and hands it to the
//! [`Path`]; [`admit`] is where the path judges what the listener noticed, so that a refusal for a
//! wrong `Origin` is recorded as one for a wrong argument is.

mod admit;
mod batch;
mod bind;
pub mod http;
pub mod pipe;
pub mod streams;
pub mod tls;
#[cfg(unix)]
pub mod unix;

pub use admit::{Admitted, admit};
pub use bind::{BindError, Bound, bind, safe_to_listen};

use crate::exchange::{Arrival, Reply};

/// Where a listener takes what arrived: the path, or a script in the listeners' own tests.
pub trait Path: Clone + Send + Sync + 'static {
    /// Governs one message. Listeners spawn it: a peer that hangs up must not cancel it half way.
    fn govern(&self, arrival: Arrival) -> impl Future<Output = Reply> + Send;
}

#[cfg(test)]
fn settings() -> crate::settings::Settings {
    crate::settings::Settings {
        tenant: decision::TenantId::default(),
        environment: decision::Environment::default(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        allowed_hosts: std::collections::BTreeSet::new(),
        allowed_origins: std::collections::BTreeSet::new(),
        unauthenticated_loopback: None,
        metrics_networks: Vec::new(),
        stdio_agent: decision::AgentName::new("desktop").unwrap(),
        limits: crate::settings::Limits::default(),
        oauth: None,
        networks: Vec::new(),
        vault: crate::settings::VaultSettings::default(),
        issuer: String::new(),
        servers: std::collections::BTreeMap::new(),
        tls: None,
        tls_terminated_upstream: false,
        workloads: Vec::new(),
        approvals: crate::settings::Approvals::default(),
        budgets: Vec::new(),
        idempotency: crate::settings::Idempotency::default(),
        registry: crate::settings::RegistrySettings::default(),
    }
}
