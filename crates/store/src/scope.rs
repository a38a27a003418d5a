//! Whose rows.

use decision::{Environment, TenantId};

/// Every row belongs to one tenant and one environment, and no method reads across.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    pub tenant: TenantId,
    pub environment: Environment,
}

impl Scope {
    pub fn new(tenant: TenantId, environment: Environment) -> Self {
        Self { tenant, environment }
    }
}
