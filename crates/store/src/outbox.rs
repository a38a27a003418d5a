//! What is to be told to addresses outside, and what they told us: each once, whatever stops in between.

use crate::approvals::kept_rows;
use crate::db::{Outcome, Row, args, statements};
use crate::words::words;
use crate::{Kept, Scope, Store, StoreError, Turn};
use decision::{ApprovalId, Timestamp};
use std::collections::BTreeSet;

statements! {
    CURRENT = "SELECT version FROM approvals WHERE tenant = $1 AND environment = $2 AND id = $3";
    NOTE = "INSERT INTO deliveries (tenant, environment, hook, subject, event, id, body, made_at, next_at, tries, state) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0, 'waiting') ON CONFLICT DO NOTHING";
    DUE_HOOKS = "SELECT DISTINCT hook FROM deliveries \
        WHERE tenant = $1 AND environment = $2 AND state = 'waiting' AND next_at <= $3";
    DUE = "SELECT hook, subject, event, id, body, made_at, next_at, tries, state, error FROM deliveries \
        WHERE tenant = $1 AND environment = $2 AND state = 'waiting' AND next_at <= $3 AND hook = $4 \
        ORDER BY next_at LIMIT $5";
    OUTDATED = "DELETE FROM deliveries WHERE tenant = $1 AND environment = $2 AND hook = $3 AND id = $4 \
        AND state = 'waiting' AND tries = $5 AND EXISTS (SELECT 1 FROM deliveries AS later \
        WHERE later.tenant = $1 AND later.environment = $2 AND later.hook = $3 AND later.subject = $6 AND later.made_at > $7)";
    OVERTAKEN = "SELECT one.hook, one.id FROM deliveries AS one WHERE one.tenant = $1 AND one.environment = $2 \
        AND one.state = 'waiting' AND one.tries > 0 AND EXISTS (SELECT 1 FROM deliveries AS later \
        WHERE later.tenant = $1 AND later.environment = $2 AND later.hook = one.hook AND later.subject = one.subject \
        AND later.made_at > one.made_at)";
    IN_STATE = "SELECT hook, subject, event, id, body, made_at, next_at, tries, state, error FROM deliveries \
        WHERE tenant = $1 AND environment = $2 AND state = $3 ORDER BY next_at DESC LIMIT $4";
    TAKE = "UPDATE deliveries SET next_at = $6, tries = tries + 1 WHERE tenant = $1 AND environment = $2 \
        AND hook = $3 AND id = $4 AND state = 'waiting' AND tries = $5";
    END = "UPDATE deliveries SET state = $5, error = $6 \
        WHERE tenant = $1 AND environment = $2 AND hook = $3 AND id = $4 AND state = 'waiting'";
    AGAIN = "UPDATE deliveries SET state = 'waiting', tries = 0, next_at = $4 \
        WHERE tenant = $1 AND environment = $2 AND id = $3 AND state = 'dead' AND body <> ''";
    FORGET = "DELETE FROM deliveries WHERE tenant = $1 AND environment = $2 AND state <> 'waiting' AND next_at < $3";
    HEARD = "INSERT INTO callbacks (tenant, environment, hook, id, at) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT DO NOTHING";
    UNHEAR = "DELETE FROM callbacks WHERE tenant = $1 AND environment = $2 AND hook = $3 AND id = $4";
    FORGET_HEARD = "DELETE FROM callbacks WHERE tenant = $1 AND environment = $2 AND at < $3";
    CHANGED = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND (changed_at > $3 OR (changed_at = $3 AND id > $4)) ORDER BY changed_at, id LIMIT $5";
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    Waiting,
    Sent,
    /// Given up; somebody may try it anew.
    Dead,
}

words! {
    delivery_word, delivery_from: DeliveryState { Waiting = "waiting", Sent = "sent", Dead = "dead" }
}

/// One thing to be told to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub hook: String,
    /// What it is about: an approval's id.
    pub subject: String,
    pub event: String,
    /// Known to the other side: the same at every try.
    pub id: String,
    pub body: String,
    pub made_at: Timestamp,
    pub next_at: Timestamp,
    pub tries: u64,
    pub state: DeliveryState,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// So long what is over is kept, and what was heard once is remembered.
const KEPT_US: u64 = 7 * 24 * 3_600_000_000;
const HEARD_US: u64 = 24 * 3_600_000_000;

impl Store {
    /// Notes what is to be told of an approval as it was read. Missed where the same is noted for that address already, and
    /// where the approval is another by now: what was taken out of it meanwhile must not come back this way.
    pub async fn note_delivery(&self, scope: &Scope, of: &Kept, one: &Delivery) -> Result<Turn, StoreError> {
        let row = args![
            scope.tenant.as_str(),
            scope.environment.as_str(),
            one.hook.as_str(),
            one.subject.as_str(),
            one.event.as_str(),
            one.id.as_str(),
            one.body.as_str(),
            one.made_at,
        ];
        let mut tx = self.db().begin().await?;
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), of.approval.id.to_string()];
        let now = tx.row(CURRENT, key).await?.map(|row| row.count("version")).transpose()?;
        if now != Some(of.version()) {
            return Ok(Turn::Missed);
        }
        let added = tx.execute(NOTE, row).await?;
        tx.commit().await?;
        Ok(turn(added))
    }

    /// The addresses to which something should be tried now, by name.
    pub async fn due_hooks(&self, scope: &Scope) -> Result<Vec<String>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), self.now()];
        self.db().rows(DUE_HOOKS, key).await?.iter().map(|row| row.get("hook")).collect()
    }

    /// What should be tried at one address now, the longest due first.
    pub async fn due_deliveries(
        &self,
        scope: &Scope,
        hook: &str,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), self.now(), hook, limit];
        self.db().rows(DUE, key).await?.iter().map(read).collect()
    }

    /// Drops a delivery that waits if something later is to be told, or was told, of the same subject at the same address.
    /// Missed where it is the last word.
    pub async fn drop_outdated(&self, scope: &Scope, one: &Delivery) -> Result<Turn, StoreError> {
        let key = args![
            scope.tenant.as_str(),
            scope.environment.as_str(),
            one.hook.as_str(),
            one.id.as_str(),
            one.tries,
            one.subject.as_str(),
            one.made_at,
        ];
        let mut tx = self.db().begin().await?;
        let dropped = tx.execute(OUTDATED, key).await?;
        tx.commit().await?;
        Ok(turn(dropped))
    }

    /// Address and id of those that wait and are not tried again: something later is to be told, or was told, of the same
    /// subject ([`Store::drop_outdated`]).
    pub async fn overtaken(&self, scope: &Scope) -> Result<BTreeSet<(String, String)>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        let rows = self.db().rows(OVERTAKEN, key).await?;
        rows.iter().map(|row| Ok((row.get("hook")?, row.get("id")?))).collect()
    }

    /// Those in one state, the latest first.
    pub async fn deliveries(
        &self,
        scope: &Scope,
        state: DeliveryState,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), delivery_word(state), limit];
        self.db().rows(IN_STATE, key).await?.iter().map(read).collect()
    }

    /// Takes a delivery to try it: nobody else does before `next_at`, and a stop in the middle costs one try.
    pub async fn take_delivery(
        &self,
        scope: &Scope,
        one: &Delivery,
        next_at: Timestamp,
    ) -> Result<Turn, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, one.hook.as_str(), one.id.as_str(), one.tries, next_at];
        let mut tx = self.db().begin().await?;
        let taken = tx.execute(TAKE, key).await?;
        tx.commit().await?;
        Ok(turn(taken))
    }

    /// Says how a try ended. One that goes on waiting keeps its reason.
    pub async fn end_delivery(
        &self,
        scope: &Scope,
        one: &Delivery,
        state: DeliveryState,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let row = args![tenant, environment, one.hook.as_str(), one.id.as_str(), delivery_word(state), error];
        let mut tx = self.db().begin().await?;
        tx.execute(END, row).await?;
        tx.execute(FORGET, args![tenant, environment, Timestamp(self.now().0.saturating_sub(KEPT_US))])
            .await?;
        tx.commit().await
    }

    /// Tries what was given up anew.
    ///
    /// Errors: [`StoreError::Missing`] where nothing of that id was given up, or what was to be told is not kept any more.
    pub async fn retry_delivery(&self, scope: &Scope, id: &str) -> Result<(), StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), id, self.now()];
        let mut tx = self.db().begin().await?;
        if tx.execute(AGAIN, key).await? == 0 {
            return Err(StoreError::Missing { what: "delivery that was given up", name: id.to_owned() });
        }
        tx.commit().await
    }

    /// Remembers a callback. Missed where it was heard before.
    pub async fn hear_callback(&self, scope: &Scope, hook: &str, id: &str) -> Result<Turn, StoreError> {
        let (tenant, environment, now) = (scope.tenant.as_str(), scope.environment.as_str(), self.now());
        let mut tx = self.db().begin().await?;
        tx.execute(FORGET_HEARD, args![tenant, environment, Timestamp(now.0.saturating_sub(HEARD_US))])
            .await?;
        let heard = tx.execute(HEARD, args![tenant, environment, hook, id, now]).await?;
        tx.commit().await?;
        Ok(turn(heard))
    }

    /// Takes back that a callback was heard: it could not be acted on, and whoever sent it tries again under the same id.
    pub async fn unhear_callback(&self, scope: &Scope, hook: &str, id: &str) -> Result<(), StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), hook, id];
        let mut tx = self.db().begin().await?;
        tx.execute(UNHEAR, key).await?;
        tx.commit().await
    }

    /// Approvals in the order in which they changed, after this one.
    pub async fn approvals_changed(
        &self,
        scope: &Scope,
        after: (Timestamp, Option<ApprovalId>),
        limit: u64,
    ) -> Result<Vec<Kept>, StoreError> {
        let id = after.1.map(|id| id.to_string()).unwrap_or_default();
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), after.0, id, limit];
        kept_rows(&self.db().rows(CHANGED, key).await?)
    }
}

fn turn(rows: u64) -> Turn {
    if rows == 0 { Turn::Missed } else { Turn::Taken }
}

fn read(row: &Row) -> Outcome<Delivery> {
    Ok(Delivery {
        hook: row.get("hook")?,
        subject: row.get("subject")?,
        event: row.get("event")?,
        id: row.get("id")?,
        body: row.get("body")?,
        made_at: row.time("made_at")?,
        next_at: row.time("next_at")?,
        tries: row.count("tries")?,
        state: row.word("state", delivery_from)?,
        error: row.get("error")?,
    })
}
