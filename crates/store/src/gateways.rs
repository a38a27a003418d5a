//! Which gateways are on this database, and which rules each goes by.

use crate::db::{Db, Row, args, statements};
use crate::{Scope, Store, StoreError};
use decision::approval::{Approval, Part};
use decision::{Digest, Timestamp};

statements! {
    GO_BY = "INSERT INTO gateways (tenant, environment, log_id, policy, seen_at) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (tenant, environment, log_id) DO UPDATE SET policy = excluded.policy, seen_at = excluded.seen_at";
    GATEWAYS = "SELECT log_id, policy, seen_at FROM gateways WHERE tenant = $1 AND environment = $2 ORDER BY log_id";
    LEAVE = "DELETE FROM gateways WHERE tenant = $1 AND environment = $2 AND log_id = $3";
    OLD = "DELETE FROM gateways WHERE seen_at < $1";
}

/// A gateway that has not said for so long that it is there is gone, in microseconds.
const GONE_US: u64 = 180_000_000;
/// One that is gone is forgotten after this, in microseconds.
const FORGOTTEN_US: u64 = 90 * 86_400_000_000;

/// A gateway on this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The name of its log.
    pub log: String,
    /// The digest of the rules it goes by.
    pub policy: Digest,
    pub seen_at: Timestamp,
}

impl Gateway {
    /// What it does to a yes that was asked for under other rules.
    pub fn makes_void(&self) -> String {
        format!(
            "the gateway with the log `{}` goes by other rules than this was asked under: a call there makes a yes void",
            self.log
        )
    }

    /// Whether it said lately that it is there.
    pub fn is_there(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) < GONE_US
    }
}

impl Store {
    /// Whether several gateways may work with it. A SQLite file has one.
    pub fn is_shared(&self) -> bool {
        matches!(self.db(), Db::Postgres { .. })
    }

    /// Says that the gateway with this log is there and goes by these rules. To be said again every minute.
    pub async fn go_by(&self, scope: &Scope, log: &str, policy: Digest) -> Result<(), StoreError> {
        let (tenant, environment, now) = (scope.tenant.as_str(), scope.environment.as_str(), self.now());
        let mut tx = self.db().begin().await?;
        tx.execute(GO_BY, args![tenant, environment, log, policy, now]).await?;
        tx.execute(OLD, args![now.0.saturating_sub(FORGOTTEN_US)]).await?;
        tx.commit().await
    }

    /// Says that it is not there any more.
    pub async fn leave(&self, scope: &Scope, log: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        tx.execute(LEAVE, args![scope.tenant.as_str(), scope.environment.as_str(), log]).await?;
        tx.commit().await
    }

    /// Those that were there in the last months, by their logs.
    pub async fn gateways(&self, scope: &Scope) -> Result<Vec<Gateway>, StoreError> {
        let rows = self.db().rows(GATEWAYS, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        let gateway = |row: &Row| {
            Ok(Gateway {
                log: row.get("log_id")?,
                policy: row.digest("policy")?,
                seen_at: row.time("seen_at")?,
            })
        };
        rows.iter().map(gateway).collect()
    }

    /// Of those that are there, the ones that go by other rules than these.
    pub async fn gateways_beside(&self, scope: &Scope, policy: Digest) -> Result<Vec<Gateway>, StoreError> {
        let mut all = self.gateways(scope).await?;
        let now = self.now();
        all.retain(|one| one.policy != policy && one.is_there(now));
        Ok(all)
    }

    /// The same for an approval: those that make a yes to it void, or did. Of one that ended otherwise, none.
    pub async fn gateways_against(&self, scope: &Scope, one: &Approval) -> Result<Vec<Gateway>, StoreError> {
        let is_void = one.ended.as_ref().is_some_and(|ended| ended.changed == Some(Part::Policy));
        match one.state.is_open() || is_void {
            true => self.gateways_beside(scope, one.terms.policy).await,
            false => Ok(Vec::new()),
        }
    }
}
