//! Who is asking, after authentication.

use crate::{AgentName, Digest, Environment, GroupName, ServerName, TenantId, UserName};
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

/// What is kept for one asker, and found by no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// Keys under which a deed is done once, with what came of it.
    Keys,
    /// Calls that were prepared and not made.
    Drafts,
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

    /// Under which digest something is kept for them, whatever groups they are in.
    pub fn owner(&self, of: Own) -> Digest {
        let who = (&self.tenant, &self.environment, &self.actor, self.user.as_ref().map(|user| &user.name));
        let domain: &[u8] = match of {
            Own::Keys => b"callgate/key-owner/v1\0",
            Own::Drafts => b"callgate/draft-owner/v1\0",
        };
        Digest::of_parts(&[domain, &serde_json::to_vec(&who).unwrap_or_default()])
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
