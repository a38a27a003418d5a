//! API tokens, known by their hash only.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::principals::{agent_kind_from, not_banned};
use crate::{AgentKind, Scope, Store, StoreError, untold};
use decision::{Actor, AgentName, EventName, GroupName, Principal, Timestamp, User, UserName};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

statements! {
    /// Writes nothing new, but holds the agent's row: nobody removes the agent and its tokens in between.
    HOLD_AGENT = "UPDATE agents SET name = name WHERE tenant = $1 AND environment = $2 AND name = $3 \
        AND removed_at IS NULL";
    ADD = "INSERT INTO tokens (tenant, environment, token_id, agent, hash, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    BY_HASH = "SELECT t.tenant, t.environment, t.token_id, t.agent, t.created_at, t.expires_at, t.revoked_at, \
        t.last_used_at, a.kind, a.group_names, a.disabled_at, a.user_name, u.group_names AS user_groups \
        FROM tokens t \
        JOIN agents a ON a.tenant = t.tenant AND a.environment = t.environment AND a.name = t.agent \
        LEFT JOIN users u ON u.tenant = a.tenant AND u.environment = a.environment AND u.name = a.user_name \
        WHERE t.hash = $1";
    LIST = "SELECT t.tenant, t.environment, t.token_id, t.agent, t.created_at, t.expires_at, t.revoked_at, \
        t.last_used_at, a.kind, a.group_names, a.disabled_at, a.user_name, u.group_names AS user_groups \
        FROM tokens t \
        JOIN agents a ON a.tenant = t.tenant AND a.environment = t.environment AND a.name = t.agent \
        LEFT JOIN users u ON u.tenant = a.tenant AND u.environment = a.environment AND u.name = a.user_name \
        WHERE t.tenant = $1 AND t.environment = $2 ORDER BY t.agent, t.created_at, t.token_id";
    REVOKE = "UPDATE tokens SET revoked_at = $4 \
        WHERE tenant = $1 AND environment = $2 AND token_id = $3 AND revoked_at IS NULL";
    HAS_TOKEN = "SELECT token_id FROM tokens WHERE tenant = $1 AND environment = $2 AND token_id = $3";
    /// Asked after a revocation, of what the database then has: a trigger may have undone it.
    IS_GOOD = "SELECT COUNT(*) AS n FROM tokens \
        WHERE tenant = $1 AND environment = $2 AND token_id = $3 AND revoked_at IS NULL";
    ARE_GOOD = "SELECT COUNT(*) AS n FROM tokens \
        WHERE tenant = $1 AND environment = $2 AND agent = $3 AND revoked_at IS NULL";
    REVOKE_ALL = "UPDATE tokens SET revoked_at = $4 \
        WHERE tenant = $1 AND environment = $2 AND agent = $3 AND revoked_at IS NULL";
    USED = "UPDATE tokens SET last_used_at = $2 \
        WHERE token_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
}

/// The SHA-256 of a token, as crate `identity` computes it. Prints nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

/// What a token is called where people can see it: `tok_` and 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(String);

impl TokenId {
    /// From eight bytes of the injected entropy.
    pub fn new(random: [u8; 8]) -> Self {
        Self(format!("tok_{:016x}", u64::from_be_bytes(random)))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for TokenId {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.strip_prefix("tok_") {
            Some(digits) if digits.len() == 16 && digits.chars().all(hex) => Ok(Self(text.to_owned())),
            Some(_) | None => Err(StoreError::Unacceptable {
                what: "token id",
                rule: "write `tok_` and 16 hexadecimal digits, as `callgate agent list` shows it",
            }),
        }
    }
}

/// A token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub agent: AgentName,
    pub hash: TokenHash,
    /// Required: no token is for ever.
    pub expires_at: Timestamp,
}

/// A token with everything that is needed to say who uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    pub id: TokenId,
    pub scope: Scope,
    pub agent: AgentName,
    pub kind: AgentKind,
    pub groups: BTreeSet<GroupName>,
    pub user: Option<User>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// When the agent itself was disabled.
    pub disabled_at: Option<Timestamp>,
}

/// Why a known token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lapsed {
    Revoked,
    Expired,
    /// With who it is, for the record alone.
    AgentDisabled(Box<Principal>),
}

impl TokenRecord {
    /// Who uses this token at `now`.
    ///
    /// Errors: why nobody may. This is the only way from a token to a principal.
    pub fn principal(&self, now: Timestamp) -> Result<Principal, Lapsed> {
        if self.revoked_at.is_some() {
            return Err(Lapsed::Revoked);
        }
        if now >= self.expires_at && self.disabled_at.is_none() {
            return Err(Lapsed::Expired);
        }
        let actor = match self.kind {
            AgentKind::Agent => Actor::Agent(self.agent.clone()),
            AgentKind::Workload => Actor::Workload(self.agent.clone()),
        };
        let principal = Principal {
            tenant: self.scope.tenant.clone(),
            environment: self.scope.environment.clone(),
            actor,
            groups: self.groups.clone(),
            user: self.user.clone(),
        };
        if self.disabled_at.is_some() {
            return Err(Lapsed::AgentDisabled(Box::new(principal)));
        }
        Ok(principal)
    }
}

impl Store {
    /// Stores a token of an agent and names it.
    ///
    /// Errors: [`StoreError::Missing`] when there is no such agent, [`StoreError::Banned`] when only the ban on its
    /// name is left, [`StoreError::Unacceptable`] when it would have expired already, [`StoreError::Exists`] when the same token is stored already.
    pub async fn add_token(&self, scope: &Scope, token: &NewToken, by: &str) -> Result<TokenId, StoreError> {
        let now = self.now();
        if token.expires_at <= now {
            return Err(StoreError::Unacceptable { what: "token", rule: "its expiry must be in the future" });
        }
        let mut random = [0; 8];
        self.inner.entropy.fill(&mut random);
        let id = TokenId::new(random);
        let (tenant, environment, agent) =
            (scope.tenant.as_str(), scope.environment.as_str(), token.agent.as_str());
        let mut tx = self.db().begin().await?;
        if tx.execute(HOLD_AGENT, args![tenant, environment, agent]).await? == 0 {
            not_banned(&mut tx, scope, agent).await?;
            return Err(StoreError::Missing { what: "agent", name: agent.to_owned() });
        }
        let hash = token.hash.0.as_slice();
        let row = args![tenant, environment, id.as_str(), agent, hash, now, token.expires_at];
        if tx.execute(ADD, row).await? == 0 {
            return Err(StoreError::Exists { what: "token", name: id.to_string() });
        }
        let event = untold::by(by, EventName::TokenIssued, &[("token", id.as_str()), ("agent", agent)]);
        self.note_untold(&mut tx, scope, None, now, vec![event]).await?;
        self.commit_noticed(tx, scope).await?;
        Ok(id)
    }

    /// The token with this hash, in whatever tenant and environment it is. `None` when there is none, or
    /// when its agent is gone. A lapsed token is found; [`TokenRecord::principal`] tells.
    pub async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        let row = self.db().row(BY_HASH, args![hash.0.as_slice()]).await?;
        row.as_ref().map(record).transpose()
    }

    /// All tokens of the agents there are, by agent and age.
    pub async fn list_tokens(&self, scope: &Scope) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = self.db().rows(LIST, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        rows.iter().map(record).collect()
    }

    /// Revokes one token. Revoking it again changes nothing.
    ///
    /// Errors: [`StoreError::Missing`].
    pub async fn revoke_token(&self, scope: &Scope, id: &TokenId, by: &str) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        if tx.row(HAS_TOKEN, args![tenant, environment, id.as_str()]).await?.is_none() {
            return Err(StoreError::Missing { what: "token", name: id.to_string() });
        }
        let now = self.now();
        if tx.execute(REVOKE, args![tenant, environment, id.as_str(), now]).await? > 0 {
            let event = untold::by(by, EventName::TokenRevoked, &[("token", id.as_str())]);
            self.note_untold(&mut tx, scope, None, now, vec![event]).await?;
        }
        let good = tx.row(IS_GOOD, args![tenant, environment, id.as_str()]).await?;
        self.none_good(good.as_ref())?;
        self.commit_noticed(tx, scope).await
    }

    /// That nothing that was revoked is good still.
    fn none_good(&self, counted: Option<&Row>) -> Result<(), StoreError> {
        match counted.map_or(Ok(0), |row| row.count("n"))? {
            0 => Ok(()),
            _ => Err(StoreError::Undone { place: Arc::clone(self.db().place()), what: "a revoked token" }),
        }
    }

    /// That no token of the agent is good any more, as this transaction has it.
    pub(crate) async fn no_token_is_good(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        agent: &str,
    ) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let good = tx.row(ARE_GOOD, args![tenant, environment, agent]).await?;
        self.none_good(good.as_ref())
    }

    /// Revokes every token of an agent; returns how many were good until now.
    pub async fn revoke_tokens(&self, scope: &Scope, agent: &AgentName, by: &str) -> Result<u64, StoreError> {
        let (tenant, environment, now) = (scope.tenant.as_str(), scope.environment.as_str(), self.now());
        let mut tx = self.db().begin().await?;
        let revoked = tx.execute(REVOKE_ALL, args![tenant, environment, agent.as_str(), now]).await?;
        if revoked > 0 {
            let about = [("agent", agent.as_str()), ("all", "true")];
            let event = untold::by(by, EventName::TokenRevoked, &about);
            self.note_untold(&mut tx, scope, None, now, vec![event]).await?;
        }
        self.no_token_is_good(&mut tx, scope, agent.as_str()).await?;
        self.commit_noticed(tx, scope).await?;
        Ok(revoked)
    }

    /// Notes when tokens were last used. Collect for a while and call it seldom: it is a write.
    pub async fn mark_used(&self, used: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
        // One order for everybody, so that two replicas cannot wait for each other.
        let mut used: Vec<_> = used.iter().collect();
        used.sort();
        let mut tx = self.db().begin().await?;
        for (id, at) in used {
            tx.execute(USED, args![id.as_str(), *at]).await?;
        }
        tx.commit().await
    }
}

fn record(row: &Row) -> Outcome<TokenRecord> {
    let user: Option<UserName> = row.parsed_opt("user_name")?;
    let user = user.map(|name| Ok(User { name, groups: row.json("user_groups")? })).transpose()?;
    Ok(TokenRecord {
        id: row.parsed("token_id")?,
        scope: Scope::new(row.parsed("tenant")?, row.parsed("environment")?),
        agent: row.parsed("agent")?,
        kind: row.word("kind", agent_kind_from)?,
        groups: row.json("group_names")?,
        user,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time_opt("revoked_at")?,
        last_used_at: row.time_opt("last_used_at")?,
        disabled_at: row.time_opt("disabled_at")?,
    })
}
