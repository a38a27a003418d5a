//! Counters of budgets. What a call takes is checked and written in one transaction, one counter at a time in a fixed
//! order, so that no two calls take the same room, whichever gateway they come through.

use crate::approvals::{Kept, Turn, step};
use crate::db::{Outcome, Row, Tx, args, statements};
use crate::{KeyClaim, Scope, Store, StoreError, twins};
use decision::budget::{Counted, Measure, Over, Use};
use decision::{Approval, BudgetName, CallId, DeedId, Digest};
use std::collections::BTreeSet;

statements! {
    /// Makes everybody else who wants the same counter wait, on both engines.
    LOCK = "INSERT INTO budget_subjects (tenant, environment, subject, budget, whose, until) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, environment, subject) DO UPDATE SET until = \
        CASE WHEN budget_subjects.until > excluded.until THEN budget_subjects.until ELSE excluded.until END";
    ADD = "INSERT INTO budget_uses (tenant, environment, subject, bucket, value, used, until) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, environment, subject, bucket, value) \
        DO UPDATE SET used = budget_uses.used + excluded.used";
    RESERVE = "INSERT INTO budget_reservations (tenant, environment, call, subject, value, bucket, used, deed, \
        log, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    AMOUNTS = "SELECT value, used, until FROM budget_uses WHERE tenant = $1 AND environment = $2 \
        AND subject = $3 AND bucket >= $4 AND used > 0";
    VALUES = "SELECT value, MAX(used) AS used, MAX(until) AS until FROM budget_uses WHERE tenant = $1 \
        AND environment = $2 AND subject = $3 AND bucket >= $4 AND used > 0 GROUP BY value";
    VALUE = "SELECT value, used, until FROM budget_uses WHERE tenant = $1 AND environment = $2 \
        AND subject = $3 AND value = $5 AND bucket >= $4 AND used > 0 LIMIT 1";
    OF_CALL = "SELECT subject, value, bucket, used FROM budget_reservations WHERE tenant = $1 \
        AND environment = $2 AND call = $3 ORDER BY subject, value";
    OF_DEED = "SELECT subject, value, used FROM budget_reservations WHERE tenant = $1 AND environment = $2 \
        AND deed = $3";
    GIVE_BACK = "UPDATE budget_uses SET used = used - $6 WHERE tenant = $1 AND environment = $2 \
        AND subject = $3 AND bucket = $4 AND value = $5";
    FORGET = "DELETE FROM budget_reservations WHERE tenant = $1 AND environment = $2 AND call = $3";
    SETTLE = "DELETE FROM budget_reservations WHERE tenant = $1 AND environment = $2 AND deed = $3";
    OPEN = "SELECT DISTINCT call, deed FROM budget_reservations WHERE tenant = $1 AND environment = $2 \
        AND log = $3 ORDER BY call";
    SUBJECTS = "SELECT subject, budget, whose FROM budget_subjects WHERE tenant = $1 AND environment = $2 \
        AND until > $3 AND budget = $4 ORDER BY whose LIMIT $5";
    OLD_USES = "DELETE FROM budget_uses WHERE until <= $1";
    OLD_SUBJECTS = "DELETE FROM budget_subjects WHERE until <= $1";
    OLD_RESERVATIONS = "DELETE FROM budget_reservations WHERE until <= $1";
}

/// What a call takes, of whose deed, and whose log will say so.
#[derive(Debug, Clone, Copy)]
pub struct Takes<'a> {
    pub call: CallId,
    pub deed: DeedId,
    pub log: &'a str,
    pub uses: &'a [Taken],
    /// The key under which the deed is done once.
    pub key: Option<&'a KeyClaim>,
}

/// One use, and whether its bound counts: people or the mode may have lifted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub one: Use,
    pub lifted: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spending {
    Done,
    /// The approval is not as it was read.
    Missed,
    /// Another call took the key first.
    Twin,
    /// These have no room. Nothing is changed.
    Over(Vec<(Use, Over)>),
}

/// Somebody's counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    pub subject: Digest,
    pub budget: BudgetName,
    pub whose: String,
}

impl Store {
    /// What counts of a counter now.
    pub async fn counted(&self, scope: &Scope, one: &Use) -> Result<Vec<Counted>, StoreError> {
        let mut rows = Vec::new();
        for (sql, key) in counting(scope, one) {
            rows.extend(self.db().rows(sql, &key).await?);
        }
        rows.iter().map(counted).collect()
    }

    /// Takes the call's key, what it needs of budgets and the approval's step: all of it, or nothing. Deeds that are over since the
    /// last time keep what they took, and are forgotten on the way.
    pub async fn spend(
        &self,
        scope: &Scope,
        approval: Option<(&Kept, &Approval)>,
        takes: Takes<'_>,
        over: &[DeedId],
    ) -> Result<Spending, StoreError> {
        let mut tx = self.db().begin().await?;
        // first, so that of many twins one goes on and the others wait for nothing else
        if let Some(key) = takes.key
            && twins::take(&mut tx, scope, takes, key, self.now()).await? == Turn::Missed
        {
            return Ok(Spending::Twin);
        }
        let full = take(&mut tx, scope, takes).await?;
        if !full.is_empty() {
            return Ok(Spending::Over(full));
        }
        if let Some((before, after)) = approval
            && step(&mut tx, scope, before, after, self.now()).await? == Turn::Missed
        {
            return Ok(Spending::Missed);
        }
        settle(&mut tx, scope, over).await?;
        tx.commit().await?;
        Ok(Spending::Done)
    }

    /// What a call took is free again: nothing left. Twice is once.
    pub async fn give_back(&self, scope: &Scope, call: CallId) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let (tenant, environment, call) =
            (scope.tenant.as_str(), scope.environment.as_str(), call.to_string());
        let rows = tx.rows(OF_CALL, args![tenant, environment, call.as_str()]).await?;
        // whoever forgets them first gives them back
        let own = tx.execute(FORGET, args![tenant, environment, call.as_str()]).await?;
        if own == u64::try_from(rows.len()).unwrap_or_default() {
            for row in rows {
                let (subject, value) = (row.digest("subject")?, row.get::<Vec<u8>>("value")?);
                let (bucket, used) = (row.time("bucket")?, row.count("used")?);
                let of = args![tenant, environment, subject, bucket, value.as_slice(), used];
                tx.execute(GIVE_BACK, of).await?;
            }
        }
        tx.commit().await
    }

    /// These are over, and keep what they took.
    pub async fn settle_deeds(&self, scope: &Scope, over: &[DeedId]) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        settle(&mut tx, scope, over).await?;
        tx.commit().await
    }

    /// Which of these an earlier leg of the deed has taken already.
    pub async fn taken(&self, scope: &Scope, deed: DeedId, uses: &[Use]) -> Result<Vec<bool>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), deed.to_string()];
        let mut has = BTreeSet::new();
        for row in self.db().rows(OF_DEED, key).await? {
            has.insert((row.digest("subject")?, row.get::<Vec<u8>>("value")?, row.count("used")?));
        }
        let had =
            |one: &Use| one.parts().all(|(value, amount)| has.contains(&(one.subject, bytes(value), amount)));
        Ok(uses.iter().map(had).collect())
    }

    /// Whether the deed has taken anything that is not settled.
    pub async fn has_taken(&self, scope: &Scope, deed: DeedId) -> Result<bool, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), deed.to_string()];
        Ok(!self.db().rows(OF_DEED, key).await?.is_empty())
    }

    /// What calls of this log took and never settled.
    pub async fn unsettled_uses(
        &self,
        scope: &Scope,
        log: &str,
    ) -> Result<Vec<(CallId, DeedId)>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), log];
        let rows = self.db().rows(OPEN, key).await?;
        let open = |row: &Row| Ok((row.word("call", CallId::parse)?, row.word("deed", DeedId::parse)?));
        rows.iter().map(open).collect()
    }

    /// Counters of a budget that are in use, some of them at once.
    pub async fn counters(
        &self,
        scope: &Scope,
        budget: &BudgetName,
        limit: u32,
    ) -> Result<Vec<Counter>, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, self.now(), budget.as_str(), u64::from(limit)];
        let counter = |row: &Row| {
            let budget = row.parsed("budget")?;
            Ok(Counter { subject: row.digest("subject")?, budget, whose: row.get("whose")? })
        };
        self.db().rows(SUBJECTS, key).await?.iter().map(counter).collect()
    }

    /// Takes out what no window needs any more; returns how many rows that were.
    pub async fn forget_uses(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let mut tx = self.db().begin().await?;
        let mut gone = 0;
        for sql in [OLD_RESERVATIONS, OLD_USES, OLD_SUBJECTS] {
            gone += tx.execute(sql, args![now]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}

/// Checks and writes what a call takes. What has no room is returned; the caller must then leave the transaction.
async fn take(tx: &mut Tx, scope: &Scope, takes: Takes<'_>) -> Outcome<Vec<(Use, Over)>> {
    let mut uses: Vec<&Taken> = takes.uses.iter().collect();
    // one order for everybody, so that nobody waits for somebody who waits for them
    uses.sort_by_key(|taken| taken.one.subject);
    let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
    let mut full = Vec::new();
    for Taken { one, lifted } in uses {
        let (budget, whose) = (one.budget.as_str(), one.whose.as_str());
        tx.execute(LOCK, args![tenant, environment, one.subject, budget, whose, one.span.until]).await?;
        let mut rows = Vec::new();
        for (sql, key) in counting(scope, one) {
            rows.extend(tx.rows(sql, &key).await?);
        }
        let counts: Vec<Counted> = rows.iter().map(counted).collect::<Outcome<_>>()?;
        if let Some(over) = one.over(&counts).filter(|_| !lifted) {
            full.push((one.clone(), over));
            continue;
        }
        for (value, amount) in one.parts() {
            let (value, span) = (bytes(value), one.span);
            let (value, subject) = (value.as_slice(), one.subject);
            let of = args![tenant, environment, subject, span.bucket, value, amount, span.until];
            tx.execute(ADD, of).await?;
            let (call, deed) = (takes.call.to_string(), takes.deed.to_string());
            let of = args![
                tenant,
                environment,
                call,
                subject,
                value,
                span.bucket,
                amount,
                deed,
                takes.log,
                span.until
            ];
            tx.execute(RESERVE, of).await?;
        }
    }
    Ok(full)
}

async fn settle(tx: &mut Tx, scope: &Scope, over: &[DeedId]) -> Outcome<()> {
    for deed in over {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), deed.to_string()];
        tx.execute(SETTLE, key).await?;
    }
    Ok(())
}

/// What must be read to know whether there is room.
fn counting(scope: &Scope, one: &Use) -> Vec<(&'static str, Vec<crate::db::Arg>)> {
    let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
    let key = || args![tenant, environment, one.subject, one.span.since].to_vec();
    match one.measure {
        Measure::Amount => vec![(AMOUNTS, key())],
        Measure::Distinct => vec![(VALUES, key())],
        Measure::FirstSeen => {
            let of = |value: &Digest| (VALUE, [key(), args![*value].to_vec()].concat());
            one.values.iter().map(of).collect()
        }
    }
}

fn counted(row: &Row) -> Outcome<Counted> {
    let value: Vec<u8> = row.get("value")?;
    let value = <[u8; 32]>::try_from(value).ok().map(Digest);
    Ok(Counted { value, amount: row.count("used")?, until: row.time("until")? })
}

/// An amount has no value, and a key cannot be nothing.
fn bytes(value: Option<Digest>) -> Vec<u8> {
    value.map(|value| value.0.to_vec()).unwrap_or_default()
}
