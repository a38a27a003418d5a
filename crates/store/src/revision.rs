//! Noticing that somebody, perhaps another process, changed what a gateway keeps in memory.

use crate::db::{Db, Outcome, Tx, args, statements};
use crate::{Scope, Store, StoreError};
use sqlx::postgres::PgListener;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a change by another process can stay unnoticed when no notification arrives.
const POLL: Duration = Duration::from_millis(250);
/// How long the database may take to say it: whoever waits lets in on memory alone meanwhile.
const ANSWER: Duration = Duration::from_secs(2);
const CHANNEL: &str = "callgate_revision";

statements! {
    BUMP = "INSERT INTO revisions (tenant, environment, n) VALUES ($1, $2, 1) \
        ON CONFLICT (tenant, environment) DO UPDATE SET n = revisions.n + 1";
    READ = "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS n FROM revisions";
}

/// Counts the changes of principals, tokens, pins and secrets. Compare for equality: a restored
/// backup may count less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

impl Store {
    /// How many changes there have been. One row is read.
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        let row = self.db().row(READ, &[]).await?;
        row.map_or(Ok(Revision::default()), |row| row.count("n").map(Revision))
    }

    /// Returns as soon as the revision is not `since`, or after `max_wait` with what it is then.
    /// Changes of this process are seen at once, those of other processes within 250 ms, and on
    /// PostgreSQL mostly sooner.
    pub async fn changed(&self, since: Revision, max_wait: Duration) -> Result<Revision, StoreError> {
        let deadline = Instant::now() + max_wait;
        loop {
            // Registered before the look, so that a change in between is not missed.
            let mut bumped = std::pin::pin!(self.inner.bumped.notified());
            bumped.as_mut().enable();
            // a database that holds the line and says nothing is as good as gone
            let asked = tokio::time::timeout(ANSWER, self.revision()).await;
            let now = asked.unwrap_or_else(|_| Err(self.db().silent(ANSWER)))?;
            if now != since || Instant::now() >= deadline {
                return Ok(now);
            }
            let poll = (Instant::now() + POLL).min(deadline);
            tokio::select! {
                () = bumped => {}
                () = sleep_until(poll) => {}
            }
        }
    }

    /// Commits a change that others must notice.
    ///
    /// Errors: also where it would be written to a file that nobody else finds.
    pub(crate) async fn commit_noticed(&self, mut tx: Tx, scope: &Scope) -> Outcome<()> {
        self.in_place()?;
        tx.execute(BUMP, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        if matches!(tx, Tx::Postgres(..)) {
            // Only a wake-up: the payload says nothing, the row is read.
            tx.execute("SELECT pg_notify($1, '')", args![CHANNEL]).await?;
        }
        tx.commit().await?;
        self.inner.bumped.notify_waiters();
        Ok(())
    }
}

/// On PostgreSQL, wakes waiters when another replica commits. A lost connection costs only
/// promptness: waiters poll as well.
pub(crate) fn listen(db: &Db, bumped: &Arc<Notify>) -> Option<AbortHandle> {
    let Db::Postgres { pool, place, .. } = db else { return None };
    let (pool, place, bumped) = (pool.clone(), Arc::clone(place), Arc::clone(bumped));
    let task = tokio::spawn(async move {
        loop {
            if let Err(error) = relay(&pool, &bumped).await {
                if pool.is_closed() {
                    return;
                }
                tracing::warn!(%place, %error, "lost the connection that listens for changes, trying again");
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    Some(task.abort_handle())
}

async fn relay(pool: &sqlx::PgPool, bumped: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // Something may have been missed before the first and after every reconnection.
        bumped.notify_waiters();
        listener.recv().await?;
    }
}
