//! What a yes is bound to.

use crate::{Call, Digest, GroupName, Principal, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The exact deed: who asks through which Host for which pinned item, with which arguments, under which policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Terms {
    pub principal: Arc<Principal>,
    /// The Host's own claim of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub method: String,
    pub target: Target,
    /// Of the arguments in canonical form (RFC 8785).
    pub arguments: Digest,
    /// Of the same with numbers by their value, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_value: Option<Box<Digest>>,
    /// Of the policies in force.
    pub policy: Digest,
}

/// One of the things a yes is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Principal,
    Host,
    Method,
    Server,
    Item,
    Definition,
    Arguments,
    Policy,
    /// Whose yes the rules want.
    Needs,
    /// What those who said yes may decide.
    Votes,
}

impl Part {
    /// Why nobody has to decide any more about what was asked for before this changed.
    pub fn counts_nothing(self) -> String {
        format!("{self} changed since, so a yes would count for nothing")
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "who asks",
            Self::Host => "the host",
            Self::Method => "the method",
            Self::Server => "the server",
            Self::Item => "what is called",
            Self::Definition => "the definition of what is called",
            Self::Arguments => "the arguments",
            Self::Policy => "the policies",
            Self::Needs => "who has to approve",
            Self::Votes => "what those who approved may decide",
        })
    }
}

impl Terms {
    /// Those of a call, under these policies.
    pub fn of(call: &Call, policy: Digest) -> Self {
        let arguments = call.arguments().unwrap_or_default();
        let canonical = crate::canonical::bytes(&arguments).unwrap_or_else(|_| arguments.to_vec());
        let by_value = crate::canonical::by_value(&arguments).ok().filter(|by_value| *by_value != canonical);
        Self {
            principal: Arc::clone(call.principal()),
            host: call.claims().host.clone(),
            method: call.method().to_owned(),
            target: call.target().clone(),
            arguments: Digest::of(&canonical),
            by_value: by_value.map(|by_value| Box::new(Digest::of(&by_value))),
            policy,
        }
    }

    /// The first thing that is another one in `other`.
    pub fn changed(&self, other: &Self) -> Option<Part> {
        let differ = [
            (self.principal != other.principal, Part::Principal),
            (self.host != other.host, Part::Host),
            (self.method != other.method, Part::Method),
            (self.target.server != other.target.server, Part::Server),
            (self.target.item != other.target.item, Part::Item),
            (self.target.definition != other.target.definition, Part::Definition),
            (self.arguments != other.arguments, Part::Arguments),
            (self.policy != other.policy, Part::Policy),
        ];
        differ.into_iter().find(|(differs, _)| *differs).map(|(_, part)| part)
    }

    /// All of it.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"callgate/terms/v1\0", &serde_json::to_vec(self).unwrap_or_default()])
    }

    /// What stays the same when the same asker asks the same again, whatever became of definitions, policies and groups
    /// meanwhile: under this an approval is found.
    pub fn subject(&self) -> Digest {
        let Principal { tenant, environment, actor, user, .. } = &*self.principal;
        let who = (tenant, environment, actor, user.as_ref().map(|user| &user.name), &self.host);
        let what = (&self.method, &self.target.server, &self.target.item, &self.arguments);
        let bytes = serde_json::to_vec(&(who, what)).unwrap_or_default();
        Digest::of_parts(&[b"callgate/subject/v1\0", &bytes])
    }

    /// What a no is about: that this agent, for this person, calls this by name with these values. Neither the name that the
    /// Host claims nor how a number is spelled makes it another, nor what became of rules, definitions and groups meanwhile.
    pub fn refusal(&self) -> Digest {
        let Principal { tenant, environment, actor, user, .. } = &*self.principal;
        let who = (tenant, environment, actor, user.as_ref().map(|user| &user.name));
        let arguments = self.by_value.as_deref().unwrap_or(&self.arguments);
        let what = (&self.method, &self.target.server, &self.target.item, arguments);
        let bytes = serde_json::to_vec(&(who, what)).unwrap_or_default();
        Digest::of_parts(&[b"callgate/refusal/v1\0", &bytes])
    }
}

impl Principal {
    /// Those of the actor and of the person behind it.
    pub fn all_groups(&self) -> BTreeSet<GroupName> {
        let of_user = self.user.iter().flat_map(|user| &user.groups);
        self.groups.iter().chain(of_user).cloned().collect()
    }
}
