//! Who may do what in the console: Cedar too, with rules and a schema of its own that nobody configures.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use decision::{ApprovalId, UserName};
use std::collections::{BTreeSet, HashMap};
use std::str::FromStr as _;

const SCHEMA: &str = include_str!("console/console.cedarschema");
const RULES: &str = include_str!("console/console.cedar");

/// What somebody is to the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees everything.
    Viewer,
    /// Decides what waits for their groups.
    Approver,
    /// Takes back what others decided.
    Administrator,
    /// Decides which servers may be used.
    RegistryAdministrator,
}

impl Role {
    pub const ALL: [Self; 4] =
        [Self::Viewer, Self::Approver, Self::Administrator, Self::RegistryAdministrator];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Administrator => "administrator",
            Self::RegistryAdministrator => "registry-administrator",
        }
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visitor {
    /// Whoever has the gateway's terminal: no person of the store, and so nobody whose yes counts.
    Operator,
    Person(UserName),
}

impl std::fmt::Display for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Person(name) => name.as_str(),
        })
    }
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    SeeHome,
    SeeApprovals,
    SeeActivity,
    SeeServers,
    Decide,
    Revoke,
    Redeliver,
    /// A step of a server's record.
    ChangeServer,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeeHome => "see-home",
            Self::SeeApprovals => "see-approvals",
            Self::SeeActivity => "see-activity",
            Self::SeeServers => "see-servers",
            Self::Decide => "decide",
            Self::Revoke => "revoke",
            Self::Redeliver => "redeliver",
            Self::ChangeServer => "change-server",
        }
    }
}

/// What it is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    Console,
    Approval {
        id: ApprovalId,
        /// The person in whose name it was asked.
        asker: Option<UserName>,
        /// Whose word is counted in it.
        votes: BTreeSet<UserName>,
    },
}

/// The rules of the console, loaded.
#[derive(Debug)]
pub struct ConsoleRules {
    authorizer: Authorizer,
    schema: Schema,
    rules: PolicySet,
}

/// Rules that do not hold. A test holds that ours do.
#[derive(Debug, thiserror::Error)]
#[error("the console's own rules do not load: {0}")]
pub struct Unloadable(String);

impl ConsoleRules {
    pub fn load() -> Result<Self, Unloadable> {
        let wrong = |error: &dyn std::fmt::Display| Unloadable(error.to_string());
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| wrong(&e))?;
        let rules = PolicySet::from_str(RULES).map_err(|e| wrong(&e))?;
        let found = Validator::new(schema.clone()).validate(&rules, ValidationMode::Strict);
        if let Some(error) = found.validation_errors().next() {
            return Err(wrong(error));
        }
        Ok(Self { authorizer: Authorizer::new(), schema, rules })
    }

    /// Whether this may be done. Whatever cannot be asked or evaluated may not.
    pub fn may(&self, visitor: &Visitor, roles: &BTreeSet<Role>, action: Action, on: &On) -> bool {
        self.ask(visitor, roles, action, on).unwrap_or(false)
    }

    fn ask(&self, visitor: &Visitor, roles: &BTreeSet<Role>, action: Action, on: &On) -> Option<bool> {
        let principal = match visitor {
            Visitor::Operator => uid("Operator", "operator")?,
            Visitor::Person(name) => person(name)?,
        };
        let action = uid("Action", action.as_str())?;
        let parents: Option<Vec<_>> = roles.iter().map(|role| uid("Role", role.as_str())).collect();
        let who = Entity::new_no_attrs(principal.clone(), parents?.into_iter().collect());
        let resource = resource(on)?;
        let request =
            Request::new(principal, action, resource.uid(), Context::empty(), Some(&self.schema)).ok()?;
        let entities = Entities::from_entities([who, resource], Some(&self.schema)).ok()?;
        let answer = self.authorizer.is_authorized(&request, &self.rules, &entities);
        Some(answer.decision() == Decision::Allow && answer.diagnostics().errors().next().is_none())
    }
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn person(name: &UserName) -> Option<EntityUid> {
    uid("Person", name.as_str())
}

fn resource(on: &On) -> Option<Entity> {
    let (id, asker, votes) = match on {
        On::Console => return Some(Entity::new_no_attrs(uid("Console", "console")?, Default::default())),
        On::Approval { id, asker, votes } => (id, asker, votes),
    };
    let people: Option<Vec<_>> =
        votes.iter().map(|name| person(name).map(RestrictedExpression::new_entity_uid)).collect();
    let mut attributes = HashMap::from([("votes".to_owned(), RestrictedExpression::new_set(people?))]);
    if let Some(asker) = asker {
        attributes.insert("asker".to_owned(), RestrictedExpression::new_entity_uid(person(asker)?));
    }
    Entity::new(uid("Approval", &id.to_string())?, attributes, Default::default()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::Timestamp;

    fn on(asker: Option<&str>, votes: &[&str]) -> On {
        On::Approval {
            id: ApprovalId::new(Timestamp(1), [1; 10]),
            asker: asker.map(|name| name.parse().unwrap()),
            votes: votes.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn roles_do_what_they_say_and_nothing_else() {
        let rules = ConsoleRules::load().unwrap();
        let bob = || Visitor::Person("bob".parse().unwrap());
        let asked = |who: &Visitor, role: Option<Role>, action, on: &On| {
            rules.may(who, &role.into_iter().collect(), action, on)
        };
        use Action::*;
        for see in [SeeHome, SeeApprovals, SeeActivity, SeeServers] {
            assert!(!asked(&bob(), None, see, &On::Console), "no role");
            for role in Role::ALL {
                assert!(asked(&bob(), Some(role), see, &On::Console));
                assert!(asked(&Visitor::Operator, Some(role), see, &On::Console));
            }
        }
        for (role, may) in Role::ALL.into_iter().zip([false, false, true, false]) {
            assert_eq!(asked(&bob(), Some(role), Redeliver, &On::Console), may, "{role:?}");
        }
        // an authority of its own: whoever has another role does not have it by that
        for (role, may) in Role::ALL.into_iter().zip([false, false, false, true]) {
            assert_eq!(asked(&bob(), Some(role), ChangeServer, &On::Console), may, "{role:?}");
        }
        assert!(!asked(&bob(), None, ChangeServer, &On::Console));
        let table = [
            // by whom it was asked, who voted; viewer, approver, administrator, registry administrator
            (Decide, on(Some("alice"), &[]), [false, true, false, false]),
            (Decide, on(None, &[]), [false, true, false, false]),
            (Decide, on(Some("bob"), &[]), [false; 4]),
            (Revoke, on(Some("alice"), &["carol"]), [false, false, true, false]),
            (Revoke, on(Some("alice"), &["bob"]), [false, true, true, false]),
            (Decide, On::Console, [false; 4]),
        ];
        for (action, on, may) in table {
            for (role, may) in Role::ALL.into_iter().zip(may) {
                assert_eq!(asked(&bob(), Some(role), action, &on), may, "{role:?} {action:?} {on:?}");
            }
            assert!(!asked(&bob(), None, action, &on));
        }
        assert!(!asked(&Visitor::Operator, Some(Role::Approver), Decide, &on(None, &[])), "nobody's yes");
        let operator = Visitor::Person("operator".parse().unwrap());
        assert!(!asked(&operator, None, SeeHome, &On::Console), "a name is no role");
    }
}
