//! Who is what in the console, and for how long.

use crate::hooks::Hook;
use decision::{GroupName, ServerName};
use policy::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The settings under `[console]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether there is a console at all.
    pub enabled: bool,
    /// The groups that have each role. No group has one unless it is named.
    pub roles: BTreeMap<Role, BTreeSet<GroupName>>,
    /// A session that is not used ends after this …
    pub idle: Duration,
    /// … and every session after that.
    pub longest: Duration,
    /// Who is told what becomes of approvals.
    pub hooks: Vec<Hook>,
    /// What operators say of their servers' tools: how to undo a call is for who reads about it.
    pub declared: BTreeMap<ServerName, catalog::Declarations>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            roles: BTreeMap::new(),
            idle: Duration::from_secs(30 * 60),
            longest: Duration::from_secs(12 * 60 * 60),
            hooks: Vec::new(),
            declared: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The roles of somebody in these groups.
    pub fn roles_of(&self, groups: &BTreeSet<GroupName>) -> BTreeSet<Role> {
        let has = |(role, of): (&Role, &BTreeSet<GroupName>)| (!of.is_disjoint(groups)).then_some(*role);
        self.roles.iter().filter_map(has).collect()
    }
}
