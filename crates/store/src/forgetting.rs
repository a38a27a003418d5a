//! Values that are to be forgotten: what people were shown of them, what was to be told of them, and what was kept to be
//! given again. What the ledger keeps beside its entries is erased there.

use crate::approvals::{body, kept_rows};
use crate::db::{Outcome, Tx, args, statements};
use crate::{Scope, Store, StoreError};
use decision::approval::State;
use decision::{ApprovalId, CallId, ServerName};
use std::collections::BTreeSet;

statements! {
    BLANK = "UPDATE approvals SET body = $5, version = version + 1 WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND version = $4 AND state <> 'proposed' AND state <> 'approved'";
    STILL_KEPT = "SELECT version, changed_at, body, id FROM approvals WHERE tenant = $1 AND environment = $2 AND id > $3 \
        AND body NOT LIKE '%\"forgets\":true%' ORDER BY id LIMIT 256";
    KEEP_NO_MORE = "UPDATE approvals SET body = $5, version = version + 1 WHERE tenant = $1 AND environment = $2 \
        AND id = $3 AND version = $4";
    UNSAY = "UPDATE deliveries SET body = '', error = CASE state WHEN 'waiting' THEN $4 ELSE error END, \
        state = CASE state WHEN 'waiting' THEN 'dead' ELSE state END \
        WHERE tenant = $1 AND environment = $2 AND subject = $3 AND body <> ''";
    ANSWER = "UPDATE approvals SET sealed = NULL WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND sealed IS NOT NULL AND (state = 'executed' OR state = 'failed' OR state = 'unknown')";
    TWIN = "UPDATE twins SET sealed = NULL WHERE tenant = $1 AND environment = $2 AND call = $3 AND sealed IS NOT NULL";
}

/// So often what was shown is taken away anew when a gateway took a step in between.
const TRIES: u32 = 8;
const ERASED: &str = "what it was about was erased (`callgate audit erase`)";
const UNTOLD: &str = "what was to be told is not kept any more";

/// What became of what people were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// There is nothing to forget.
    Nothing,
    Done,
    /// People still decide by it: nothing is changed.
    Open,
}

impl Store {
    /// Takes out of an approval, and out of what is told of it, everything that came from the arguments. One that is open is
    /// left alone: nobody is to decide what they cannot see.
    pub async fn forget_arguments(&self, scope: &Scope, id: ApprovalId) -> Result<Forgotten, StoreError> {
        for _ in 0..TRIES {
            let Some(kept) = self.approval(scope, id).await? else { return Ok(Forgotten::Nothing) };
            if kept.approval.state.is_open() {
                return Ok(Forgotten::Open);
            }
            let (tenant, environment, after) =
                (scope.tenant.as_str(), scope.environment.as_str(), kept.approval.without_values(ERASED));
            let row = args![tenant, environment, id.to_string(), kept.version(), body(&after)?];
            let mut tx = self.db().begin().await?;
            let had = kept.approval.has_values();
            if !had || tx.execute(BLANK, row).await? > 0 {
                let unsaid = unsay(&mut tx, scope, id).await?;
                tx.commit().await?;
                return Ok(if had || unsaid > 0 { Forgotten::Done } else { Forgotten::Nothing });
            }
        }
        Err(StoreError::Busy { place: self.db().place().clone() })
    }

    /// Has every approval of these servers keep no arguments, also those that were proposed while arguments were kept: those
    /// that have ended forget them now, and open ones with their end. Returns how many are another now, and how many could
    /// not be because their call is on its way.
    pub async fn forget_unkept(
        &self,
        scope: &Scope,
        servers: &BTreeSet<ServerName>,
    ) -> Result<(u64, u64), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let (mut after, mut forgotten, mut left) = (String::new(), 0, 0);
        loop {
            let rows = self.db().rows(STILL_KEPT, args![tenant, environment, after.as_str()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.get("id")?;
            for kept in kept_rows(&rows)? {
                let one = &kept.approval;
                if !servers.contains(&one.terms.target.server) {
                    continue;
                }
                let unkept = one.unkept();
                let id = one.id.to_string();
                let row = args![tenant, environment, id, kept.version(), body(&unkept)?];
                let mut tx = self.db().begin().await?;
                // whoever has it executing would find that somebody took a step before
                if one.state == State::Executing || tx.execute(KEEP_NO_MORE, row).await? == 0 {
                    left += 1;
                    continue;
                }
                if one.has_ended() {
                    unsay(&mut tx, scope, one.id).await?;
                }
                tx.commit().await?;
                forgotten += 1;
            }
        }
        if forgotten > 0 {
            self.scrub().await?;
        }
        Ok((forgotten, left))
    }

    /// Lets go of a call's answer where it was kept to be given again; returns how many there were.
    pub async fn forget_result(
        &self,
        scope: &Scope,
        call: CallId,
        approvals: &[ApprovalId],
    ) -> Result<u64, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        let mut gone = tx.execute(TWIN, args![tenant, environment, call.to_string()]).await?;
        for id in approvals {
            gone += tx.execute(ANSWER, args![tenant, environment, id.to_string()]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Has the database let go of the bytes of what was overwritten, as far as that is in its hands. On SQLite they stand in
    /// its log until that is written into the file and emptied; on PostgreSQL dead rows go with its next vacuum.
    ///
    /// False where somebody else's reading kept the log from being emptied now: the next time does it.
    pub async fn scrub(&self) -> Result<bool, StoreError> {
        self.db().scrub().await
    }
}

/// Takes back what is noted to be told of an approval.
pub(crate) async fn unsay(tx: &mut Tx, scope: &Scope, id: ApprovalId) -> Outcome<u64> {
    let row = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string(), UNTOLD];
    tx.execute(UNSAY, row).await
}
