//! What a general rule sees of a server: which kinds of actions there are, and not which actions.
//!
//! A rule that names no server's action or group and reads no argument meets the same types at every action of one
//! kind. So what Cedar says of it under a schema with one action of each kind, none of them with arguments, it says
//! under the server's own, and servers with the same kinds share it: there may be hundreds, and thousands of actions.

use crate::{
    actions::{Action, common_groups, schema},
    check::literals,
    rule::Rule,
    slice::Covered,
    types::Type,
};
use decision::Digest;
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything about an action that the types of a general rule can depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// But for that of the server itself, which a general rule does not name.
    groups: BTreeSet<String>,
    resources: &'static [&'static str],
    question: bool,
}

/// The kinds of the actions of a server.
#[derive(Debug)]
pub(crate) struct Kinds(BTreeSet<Kind>);

impl Kinds {
    pub(crate) fn of(actions: &[Covered]) -> Self {
        let kind = |Covered { server, action, .. }: &Covered| {
            let own = format!("server:{server}");
            let groups = action.groups.iter().filter(|group| **group != own).cloned().collect();
            Kind { groups, resources: action.resources, question: action.question }
        };
        Self(actions.iter().map(kind).collect())
    }

    /// The same for the same kinds only. No schema of a server has it.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(format!("callgate/kinds/v1\n{:?}", self.0).as_bytes())
    }

    /// One action of each kind, in Cedar's JSON form.
    pub(crate) fn schema(&self) -> Value {
        let action = |(number, kind): (usize, &Kind)| Action {
            name: format!("kind-{number}"),
            groups: kind.groups.iter().cloned().collect(),
            resources: kind.resources,
            arguments: Type::empty(),
            question: kind.question,
            resource: None,
        };
        let actions: Vec<Action> = self.0.iter().enumerate().map(action).collect();
        schema(actions.iter(), [])
    }
}

/// Whether its types are the same at all actions of one kind.
pub(crate) fn is_general(rule: &Rule) -> bool {
    let common = |id: &str| common_groups().any(|group| group == id);
    let names_none =
        |uid: &cedar_policy::EntityUid| uid.type_name().to_string() != "Action" || common(uid.id().as_ref());
    !rule.reads.has("args") && literals(rule).iter().all(names_none)
}
