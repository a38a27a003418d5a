//! Keys under which a deed is done once. What a call may do that finds one is said in `decision`; here a key is taken only
//! if it is still as it was read, so that of any number of calls under it one goes on, whichever gateway they come through.

use crate::budgets::Takes;
use crate::db::{Outcome, Row, Tx, args, statements};
use crate::{Scope, Store, StoreError, Turn};
use decision::twin::{Key, Standing};
use decision::{CallId, DeedId, Digest, Timestamp, Twin};

statements! {
    ONE = "SELECT asks, call, deed, leg, log, standing, until, sealed FROM twins \
        WHERE tenant = $1 AND environment = $2 AND key = $3";
    TAKE = "INSERT INTO twins (tenant, environment, key, owner, asks, call, deed, leg, log, standing, former, window_us, \
        until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'sent', 'new', $10, $11) ON CONFLICT DO NOTHING";
    TAKE_OVER = "UPDATE twins SET owner = $4, asks = $5, call = $6, deed = $7, leg = $8, log = $9, standing = 'sent', \
        former = $12, window_us = $10, until = $11, sealed = NULL \
        WHERE tenant = $1 AND environment = $2 AND key = $3 AND call = $13 AND standing = $14";
    FORGET = "DELETE FROM twins WHERE tenant = $1 AND environment = $2 AND call = $3 AND standing = 'sent' \
        AND former = 'new'";
    REMOVE_OF = "DELETE FROM twins WHERE tenant = $1 AND environment = $2 AND owner = $3";
    GIVE_BACK = "UPDATE twins SET standing = former, until = $4 + window_us, \
        leg = CASE former WHEN 'waits' THEN leg - 1 ELSE leg END \
        WHERE tenant = $1 AND environment = $2 AND call = $3 AND standing = 'sent'";
    ABANDON = "DELETE FROM twins WHERE tenant = $1 AND environment = $2 AND key = $3 AND deed = $4 AND standing = 'waits'";
    SETTLE = "UPDATE twins SET standing = $4, sealed = $5, until = $6 + window_us \
        WHERE tenant = $1 AND environment = $2 AND call = $3 AND standing = 'sent'";
    LET_GO = "UPDATE twins SET sealed = NULL WHERE tenant = $1 AND environment = $2 AND key IN ( \
        SELECT k.key FROM twins k WHERE k.tenant = $1 AND k.environment = $2 AND k.owner = $3 AND k.sealed IS NOT NULL \
        ORDER BY k.until DESC, k.key LIMIT 1000 OFFSET $4)";
    OPEN = "SELECT call FROM twins WHERE tenant = $1 AND environment = $2 AND log = $3 AND standing = 'sent' \
        ORDER BY call";
    UNHEARD = "DELETE FROM twins WHERE tenant = $1 AND environment = $2 AND log = $3 AND standing = 'waits' \
        AND sealed IS NULL";
    OLD = "DELETE FROM twins WHERE until <= $1";
}

/// Most answers that are kept of one asker; of more the oldest go. That the calls were made stays known.
const ANSWERS_MAX: u64 = 1_024;
/// A call that nothing says the end of stands in the way for so long at least: longer than any is open.
const OPEN_US: u64 = 2 * 3_600_000_000;

/// A key that a call takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub key: Key,
    pub leg: u32,
    /// So long after the call's end another one under the key is its twin.
    pub window_us: u64,
    /// What was there when it was looked at.
    pub over: Option<Twin>,
}

/// A twin, with its answer where that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTwin {
    pub twin: Twin,
    /// In which log it is.
    pub log: String,
    /// Sealed by whoever kept it.
    pub answer: Option<Vec<u8>>,
}

impl Store {
    /// The call that was made under this key.
    pub async fn twin(&self, scope: &Scope, key: &Key) -> Result<Option<KeptTwin>, StoreError> {
        let of = args![scope.tenant.as_str(), scope.environment.as_str(), key.digest];
        self.db().row(ONE, of).await?.as_ref().map(read).transpose()
    }

    /// How a call's deed stands now, and its answer. Nothing changes where that is known already.
    pub async fn settle_key(
        &self,
        scope: &Scope,
        key: Option<&Key>,
        call: CallId,
        standing: Standing,
        answer: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        let of = args![tenant, environment, call.to_string(), standing.as_str(), answer, self.now()];
        tx.execute(SETTLE, of).await?;
        if let (Some(key), Some(_)) = (key, answer) {
            tx.execute(LET_GO, args![tenant, environment, key.owner, ANSWERS_MAX]).await?;
        }
        tx.commit().await
    }

    /// Nothing of the call left: its key is as it was before. Twice is once.
    pub async fn give_back_key(&self, scope: &Scope, call: CallId) -> Result<(), StoreError> {
        let (tenant, environment, call) =
            (scope.tenant.as_str(), scope.environment.as_str(), call.to_string());
        let mut tx = self.db().begin().await?;
        tx.execute(FORGET, args![tenant, environment, call.as_str()]).await?;
        tx.execute(GIVE_BACK, args![tenant, environment, call.as_str(), self.now()]).await?;
        tx.commit().await
    }

    /// What a server asked about this deed nobody will answer: it was not done, and the key is free.
    pub async fn abandon_key(&self, scope: &Scope, key: &Digest, deed: DeedId) -> Result<(), StoreError> {
        let of = args![scope.tenant.as_str(), scope.environment.as_str(), *key, deed.to_string()];
        let mut tx = self.db().begin().await?;
        tx.execute(ABANDON, of).await?;
        tx.commit().await
    }

    /// Calls of this log that took a key, and of which nothing says how they ended.
    pub async fn unsettled_keys(&self, scope: &Scope, log: &str) -> Result<Vec<CallId>, StoreError> {
        let of = args![scope.tenant.as_str(), scope.environment.as_str(), log];
        self.db().rows(OPEN, of).await?.iter().map(|row| row.word("call", CallId::parse)).collect()
    }

    /// Frees the keys of deeds whose server asked something through a gateway that is gone: nobody will answer, and nothing was
    /// done. What a client has whole, and can answer to any gateway, is kept. Returns how many.
    pub async fn abandon_unheard(&self, scope: &Scope, log: &str) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        let gone = tx.execute(UNHEARD, args![scope.tenant.as_str(), scope.environment.as_str(), log]).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Takes out keys whose time is over; returns how many.
    pub async fn forget_keys(&self) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        let gone = tx.execute(OLD, args![self.now()]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// Of whoever is gone.
pub(crate) async fn remove_of(tx: &mut Tx, scope: &Scope, owner: &Digest) -> Outcome<()> {
    tx.execute(REMOVE_OF, args![scope.tenant.as_str(), scope.environment.as_str(), *owner]).await?;
    Ok(())
}

/// Takes a key for a call, in a transaction that takes the rest as well.
pub(crate) async fn take(
    tx: &mut Tx,
    scope: &Scope,
    takes: Takes<'_>,
    claim: &Claim,
    now: Timestamp,
) -> Outcome<Turn> {
    let Claim { key, leg, window_us, over } = claim;
    let until = now.0.saturating_add(*window_us).saturating_add(OPEN_US);
    let mut of = args![
        scope.tenant.as_str(),
        scope.environment.as_str(),
        key.digest,
        key.owner,
        key.asks,
        takes.call.to_string(),
        takes.deed.to_string(),
        u64::from(*leg),
        takes.log,
        *window_us,
        until,
    ]
    .to_vec();
    let taken = match over {
        None => tx.execute(TAKE, &of).await?,
        Some(over) => {
            let former = match over.standing {
                _ if now >= over.until => "new",
                Standing::Waits => "waits",
                Standing::Unknown => "unknown",
                Standing::Sent | Standing::Answered => return Ok(Turn::Missed),
            };
            of.extend_from_slice(args![former, over.call.to_string(), over.standing.as_str()]);
            tx.execute(TAKE_OVER, &of).await?
        }
    };
    Ok(if taken == 0 { Turn::Missed } else { Turn::Taken })
}

fn read(row: &Row) -> Outcome<KeptTwin> {
    let twin = Twin {
        asks: row.digest("asks")?,
        call: row.word("call", CallId::parse)?,
        deed: row.word("deed", DeedId::parse)?,
        leg: u32::try_from(row.count("leg")?).map_err(|_| row.unreadable("leg"))?,
        standing: row.word("standing", Standing::parse)?,
        until: row.time("until")?,
    };
    Ok(KeptTwin { twin, log: row.get("log")?, answer: row.get("sealed")? })
}
