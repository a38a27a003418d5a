//! Agents and the people they act for.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::words::words;
use crate::{Scope, Store, StoreError, drafts, secrets, twins, untold};
use decision::{
    Actor, AgentName, EventName, GroupName, Own, Principal, SecretName, Timestamp, User, UserName,
};
use std::collections::{BTreeMap, BTreeSet};

statements! {
    ADD_USER = "INSERT INTO users (tenant, environment, name, group_names, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    LIST_USERS = "SELECT name, group_names FROM users WHERE tenant = $1 AND environment = $2 ORDER BY name";
    USER_ADDED = "SELECT created_at FROM users WHERE tenant = $1 AND environment = $2 AND name = $3";
    ALL_ADDED = "SELECT name, created_at FROM users WHERE tenant = $1 AND environment = $2";
    SET_GROUPS = "UPDATE users SET group_names = $4 WHERE tenant = $1 AND environment = $2 AND name = $3";
    /// Writes nothing new, but holds the person's row: nobody changes it in between.
    HOLD_USER = "UPDATE users SET name = name WHERE tenant = $1 AND environment = $2 AND name = $3";
    GROUPS_OF = "SELECT group_names FROM users WHERE tenant = $1 AND environment = $2 AND name = $3";
    HAS_USER = "SELECT name FROM users WHERE tenant = $1 AND environment = $2 AND name = $3";
    ACTING_FOR = "SELECT name FROM agents WHERE tenant = $1 AND environment = $2 AND user_name = $3";
    REMOVE_USER = "DELETE FROM users WHERE tenant = $1 AND environment = $2 AND name = $3";
    ADD_AGENT = "INSERT INTO agents (tenant, environment, name, kind, group_names, user_name, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    LIST_AGENTS = "SELECT name, kind, group_names, user_name, created_at, disabled_at, removed_at FROM agents \
        WHERE tenant = $1 AND environment = $2 ORDER BY name";
    HELD_BY = "SELECT kind, user_name FROM agents \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND removed_at IS NULL";
    SET_DISABLED = "UPDATE agents SET disabled_at = $4 WHERE tenant = $1 AND environment = $2 AND name = $3";
    REMOVE_AGENT = "DELETE FROM agents \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND disabled_at IS NULL";
    /// The ban is the row: without it, whoever shows that name by certificate, provider or configuration is let in again.
    LEAVE_BAN = "UPDATE agents SET removed_at = $4, group_names = '[]', user_name = NULL \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND removed_at IS NULL";
    LIFT_BAN = "DELETE FROM agents \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND removed_at IS NOT NULL";
    IS_BANNED = "SELECT name FROM agents \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND removed_at IS NOT NULL";
    REVOKE_OF_AGENT = "UPDATE tokens SET revoked_at = $4 \
        WHERE tenant = $1 AND environment = $2 AND agent = $3 AND revoked_at IS NULL";
}

/// Whether a name stands for an agent or for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentKind {
    Agent,
    Workload,
}

words! {
    agent_kind_word, agent_kind_from: AgentKind { Agent = "agent", Workload = "workload" }
}

/// An agent to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    pub name: AgentName,
    pub kind: AgentKind,
    pub groups: BTreeSet<GroupName>,
    /// The person it acts for, who must have been added before.
    pub user: Option<UserName>,
}

/// An agent as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub name: AgentName,
    pub kind: AgentKind,
    pub groups: BTreeSet<GroupName>,
    pub user: Option<UserName>,
    pub created_at: Timestamp,
    /// Set while none of its tokens is accepted.
    pub disabled_at: Option<Timestamp>,
    /// Set when it was removed while it was disabled: only the ban on its name is left.
    pub removed_at: Option<Timestamp>,
}

impl Store {
    /// Errors: [`StoreError::Exists`].
    pub async fn add_user(&self, scope: &Scope, user: &User, by: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, user.name.as_str());
        let now = self.now();
        let row = args![tenant, environment, name, groups(&user.groups)?, now];
        if tx.execute(ADD_USER, row).await? == 0 {
            return Err(StoreError::Exists { what: "user", name: name.to_owned() });
        }
        let about = [("user", name), ("groups", &listed(&user.groups))];
        let event = untold::by(by, EventName::UserAdded, &about);
        self.note_untold(&mut tx, scope, None, now, vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }

    /// Puts the user into these groups and no others.
    ///
    /// Errors: [`StoreError::Missing`].
    pub async fn set_groups(&self, scope: &Scope, user: &User, by: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, user.name.as_str());
        let before = groups_of(&mut tx, scope, name).await?;
        tx.execute(SET_GROUPS, args![tenant, environment, name, groups(&user.groups)?]).await?;
        if before != user.groups {
            let about =
                [("user", name), ("groups", &listed(&user.groups)), ("groups-before", &listed(&before))];
            let event = untold::by(by, EventName::UserChanged, &about);
            self.note_untold(&mut tx, scope, None, self.now(), vec![event]).await?;
        }
        self.commit_noticed(tx, scope).await
    }

    /// All people, by name.
    pub async fn list_users(&self, scope: &Scope) -> Result<Vec<User>, StoreError> {
        let rows =
            self.db().rows(LIST_USERS, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        rows.iter()
            .map(|row| Ok(User { name: row.parsed("name")?, groups: row.json("group_names")? }))
            .collect()
    }

    /// When the person who has this name now was added: a name that was removed may be given to somebody else.
    pub async fn user_added(&self, scope: &Scope, name: &UserName) -> Result<Option<Timestamp>, StoreError> {
        let (tenant, environment, name) = key(scope, name.as_str());
        let rows = self.db().rows(USER_ADDED, args![tenant, environment, name]).await?;
        rows.first().map(|row| row.time("created_at")).transpose()
    }

    /// The same of everybody.
    pub async fn users_added(&self, scope: &Scope) -> Result<BTreeMap<UserName, Timestamp>, StoreError> {
        let rows =
            self.db().rows(ALL_ADDED, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        rows.iter().map(|row| Ok((row.parsed("name")?, row.time("created_at")?))).collect()
    }

    /// Removes a person with the secrets that are theirs alone, and says which those were: nobody who has the name later is
    /// given them.
    ///
    /// Errors: [`StoreError::Missing`]; [`StoreError::Unacceptable`] while an agent acts for them.
    pub async fn remove_user(
        &self,
        scope: &Scope,
        user: &UserName,
        by: &str,
    ) -> Result<Vec<SecretName>, StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, user.as_str());
        if tx.row(ACTING_FOR, args![tenant, environment, name]).await?.is_some() {
            let rule = "an agent acts for this user, so remove the agent first";
            return Err(StoreError::Unacceptable { what: "removal", rule });
        }
        let before = groups_of(&mut tx, scope, name).await?;
        tx.execute(REMOVE_USER, args![tenant, environment, name]).await?;
        let secrets = secrets::remove_of(&mut tx, scope, user).await?;
        let gone = |secret: &SecretName| {
            untold::by(by, EventName::SecretRemoved, &[("secret", secret.as_str()), ("user", name)])
        };
        let mut events: Vec<_> = secrets.iter().map(gone).collect();
        let about = [("user", name), ("groups-before", &listed(&before))];
        events.push(untold::by(by, EventName::UserRemoved, &about));
        self.note_untold(&mut tx, scope, None, self.now(), events).await?;
        self.commit_noticed(tx, scope).await?;
        Ok(secrets)
    }

    /// Errors: [`StoreError::Exists`]; [`StoreError::Banned`]; [`StoreError::Missing`] when the user is not known.
    pub async fn add_agent(&self, scope: &Scope, agent: &NewAgent, by: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, agent.name.as_str());
        let user = agent.user.as_ref().map(UserName::as_str);
        if let Some(user) = user
            && tx.row(HAS_USER, args![tenant, environment, user]).await?.is_none()
        {
            return Err(StoreError::Missing { what: "user", name: user.to_owned() });
        }
        let (kind, now) = (agent_kind_word(agent.kind), self.now());
        let row = args![tenant, environment, name, kind, groups(&agent.groups)?, user, now];
        if tx.execute(ADD_AGENT, row).await? == 0 {
            not_banned(&mut tx, scope, name).await?;
            return Err(StoreError::Exists { what: "agent", name: name.to_owned() });
        }
        let groups = listed(&agent.groups);
        let about = [("agent", name), ("kind", kind), ("groups", groups.as_str())];
        let about: Vec<_> = about.into_iter().chain(user.map(|user| ("user", user))).collect();
        let event = untold::by(by, EventName::AgentAdded, &about);
        self.note_untold(&mut tx, scope, None, now, vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }

    /// All agents, by name.
    pub async fn list_agents(&self, scope: &Scope) -> Result<Vec<Agent>, StoreError> {
        let rows =
            self.db().rows(LIST_AGENTS, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        rows.iter().map(agent).collect()
    }

    /// Agents and services of which nothing is taken, whatever they show; also those that were removed since.
    pub async fn disabled_agents(&self, scope: &Scope) -> Result<BTreeSet<AgentName>, StoreError> {
        let agents = self.list_agents(scope).await?.into_iter();
        Ok(agents.filter(|agent| agent.disabled_at.is_some()).map(|agent| agent.name).collect())
    }

    /// Every principal that can call: the agents with what is known of them, and those that the settings name.
    pub async fn principals(&self, scope: &Scope, beside: &[NewAgent]) -> Result<Vec<Principal>, StoreError> {
        let users = self.list_users(scope).await?;
        let principal = |name, kind, groups, user: Option<UserName>| Principal {
            tenant: scope.tenant.clone(),
            environment: scope.environment.clone(),
            actor: match kind {
                AgentKind::Agent => Actor::Agent(name),
                AgentKind::Workload => Actor::Workload(name),
            },
            groups,
            user: user.and_then(|name| users.iter().find(|user| user.name == name).cloned()),
        };
        let stored = self.list_agents(scope).await?.into_iter().filter(|agent| agent.removed_at.is_none());
        let mut all: Vec<Principal> =
            stored.map(|agent| principal(agent.name, agent.kind, agent.groups, agent.user)).collect();
        for one in beside.iter().cloned() {
            let kind = one.kind;
            let one = principal(one.name, kind, one.groups, one.user);
            match all.iter_mut().find(|known| known.actor == one.actor) {
                // the groups of a service that shows a certificate are those of the settings
                Some(known) if kind == AgentKind::Workload => *known = one,
                Some(_) => {}
                None => all.push(one),
            }
        }
        Ok(all)
    }

    /// Stops all tokens of the agent from being accepted until it is enabled again.
    ///
    /// Errors: [`StoreError::Missing`].
    pub async fn disable_agent(&self, scope: &Scope, name: &AgentName, by: &str) -> Result<(), StoreError> {
        self.set_disabled(scope, name, Some(self.now()), by).await
    }

    /// Lets the agent in again. Of one that was removed, nothing is left then.
    ///
    /// Errors: [`StoreError::Missing`].
    pub async fn enable_agent(&self, scope: &Scope, name: &AgentName, by: &str) -> Result<(), StoreError> {
        self.set_disabled(scope, name, None, by).await
    }

    async fn set_disabled(
        &self,
        scope: &Scope,
        name: &AgentName,
        at: Option<Timestamp>,
        by: &str,
    ) -> Outcome<()> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, name.as_str());
        let lifted = at.is_none() && tx.execute(LIFT_BAN, args![tenant, environment, name]).await? > 0;
        if !lifted && tx.execute(SET_DISABLED, args![tenant, environment, name, at]).await? == 0 {
            return Err(StoreError::Missing { what: "agent", name: name.to_owned() });
        }
        let event = if at.is_some() { EventName::AgentDisabled } else { EventName::AgentEnabled };
        let event = untold::by(by, event, &[("agent", name)]);
        self.note_untold(&mut tx, scope, None, self.now(), vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }

    /// Removes the agent and revokes its tokens for good: a new agent of that name starts with none, and finds no draft and
    /// no kept answer. Returns whether it was disabled: then its name stays refused until it is enabled.
    ///
    /// Errors: [`StoreError::Missing`]; [`StoreError::Banned`] when it was removed so before.
    pub async fn remove_agent(&self, scope: &Scope, agent: &AgentName, by: &str) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, name) = key(scope, agent.as_str());
        let now = self.now();
        if let Some(row) = tx.row(HELD_BY, args![tenant, environment, name]).await? {
            let was = asker(scope, agent.clone(), &row)?;
            drafts::remove_of(&mut tx, scope, &was.owner(Own::Drafts)).await?;
            twins::remove_of(&mut tx, scope, &was.owner(Own::Keys)).await?;
        }
        let banned = tx.execute(REMOVE_AGENT, args![tenant, environment, name]).await? == 0;
        if banned && tx.execute(LEAVE_BAN, args![tenant, environment, name, now]).await? == 0 {
            not_banned(&mut tx, scope, name).await?;
            return Err(StoreError::Missing { what: "agent", name: name.to_owned() });
        }
        tx.execute(REVOKE_OF_AGENT, args![tenant, environment, name, now]).await?;
        self.no_token_is_good(&mut tx, scope, name).await?;
        let disabled = if banned { "true" } else { "false" };
        let events = vec![
            untold::by(by, EventName::TokenRevoked, &[("agent", name), ("all", "true")]),
            untold::by(by, EventName::AgentRemoved, &[("agent", name), ("disabled", disabled)]),
        ];
        self.note_untold(&mut tx, scope, None, now, events).await?;
        self.commit_noticed(tx, scope).await?;
        Ok(banned)
    }
}

/// Errors: [`StoreError::Banned`] of a name of which only the ban is left.
pub(crate) async fn not_banned(tx: &mut Tx, scope: &Scope, name: &str) -> Outcome<()> {
    let (tenant, environment, name) = key(scope, name);
    match tx.row(IS_BANNED, args![tenant, environment, name]).await? {
        Some(_) => Err(StoreError::Banned { name: name.to_owned() }),
        None => Ok(()),
    }
}

fn key<'a>(scope: &'a Scope, name: &'a str) -> (&'a str, &'a str, &'a str) {
    (scope.tenant.as_str(), scope.environment.as_str(), name)
}

fn groups(groups: &BTreeSet<GroupName>) -> Outcome<String> {
    let rule = "a group name cannot be written as JSON";
    serde_json::to_string(groups).map_err(|_| StoreError::Unacceptable { what: "list of groups", rule })
}

/// Groups as events say them.
fn listed(groups: &BTreeSet<GroupName>) -> String {
    groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ")
}

/// The groups of a person, who stays as they are until the transaction ends. Errors: [`StoreError::Missing`].
async fn groups_of(tx: &mut Tx, scope: &Scope, name: &str) -> Outcome<BTreeSet<GroupName>> {
    let (tenant, environment, name) = key(scope, name);
    tx.execute(HOLD_USER, args![tenant, environment, name]).await?;
    match tx.row(GROUPS_OF, args![tenant, environment, name]).await? {
        Some(row) => row.json("group_names"),
        None => Err(StoreError::Missing { what: "user", name: name.to_owned() }),
    }
}

/// As whom the tokens of an agent ask.
fn asker(scope: &Scope, name: AgentName, row: &Row) -> Outcome<Principal> {
    let user: Option<UserName> = row.parsed_opt("user_name")?;
    Ok(Principal {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        actor: match row.word("kind", agent_kind_from)? {
            AgentKind::Agent => Actor::Agent(name),
            AgentKind::Workload => Actor::Workload(name),
        },
        groups: BTreeSet::new(),
        user: user.map(|name| User { name, groups: BTreeSet::new() }),
    })
}

fn agent(row: &Row) -> Outcome<Agent> {
    Ok(Agent {
        name: row.parsed("name")?,
        kind: row.word("kind", agent_kind_from)?,
        groups: row.json("group_names")?,
        user: row.parsed_opt("user_name")?,
        created_at: row.time("created_at")?,
        disabled_at: row.time_opt("disabled_at")?,
        removed_at: row.time_opt("removed_at")?,
    })
}
