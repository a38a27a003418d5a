//! Who is asking, after authentication.

use crate::{AgentName, Environment, GroupName, ServerName, TenantId, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who acts. A closed set: each kind is a different Cedar entity type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Actor {
    /// A named agent, with or without a person behind it.
    Agent(AgentName),
    /// A service, known by its own credential.
    Workload(AgentName),
    /// A person without an agent in between.
    User(UserName),
    /// An upstream that asks the Host something.
    Server(ServerName),
    /// The gateway itself, on an errand.
    Gateway,
    /// Nobody we know. Carries refused and malformed requests into the record; never permitted anything.
    Unknown,
}

/// A person, with the groups that were known when the request was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct User {
    pub name: UserName,
    pub groups: BTreeSet<GroupName>,
}

/// An authenticated asker. A user and the agent that acts for them are two
/// requests to the rules, and both must be permitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Principal {
    pub tenant: TenantId,
    pub environment: Environment,
    pub actor: Actor,
    /// Groups of the actor itself (not of the user behind it).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
}

impl Principal {
    /// The gateway on an errand of its own.
    pub fn gateway(tenant: TenantId, environment: Environment) -> Self {
        Self { tenant, environment, actor: Actor::Gateway, groups: BTreeSet::new(), user: None }
    }

    /// Nobody we know, in the installation's default tenant.
    pub fn unknown() -> Self {
        Self {
            tenant: TenantId::default(),
            environment: Environment::default(),
            actor: Actor::Unknown,
            groups: BTreeSet::new(),
            user: None,
        }
    }

    /// The person behind it, or who it is.
    pub fn person(&self) -> Option<&UserName> {
        match (&self.user, &self.actor) {
            (Some(user), _) => Some(&user.name),
            (None, Actor::User(name)) => Some(name),
            (
                None,
                Actor::Agent(_) | Actor::Workload(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown,
            ) => None,
        }
    }

    /// For people: `agent support-bot for alice`.
    pub fn describe(&self) -> String {
        let actor = match &self.actor {
            Actor::Agent(name) => format!("agent {name}"),
            Actor::Workload(name) => format!("workload {name}"),
            Actor::User(name) => format!("user {name}"),
            Actor::Server(name) => format!("server {name}"),
            Actor::Gateway => "the gateway".to_owned(),
            Actor::Unknown => "unknown".to_owned(),
        };
        match &self.user {
            Some(user) => format!("{actor} for {}", user.name),
            None => actor,
        }
    }
}
