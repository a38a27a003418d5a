//! Whether the database can be worked with, and whether what is in it can be read.

use crate::db::{args, statements};
use crate::{Scope, Store, StoreError};
use decision::approval::State;
use std::{sync::Arc, time::Duration};

/// How long the database may take to answer whoever asks whether it is there.
const ANSWER: Duration = Duration::from_secs(2);

statements! {
    /// Writes, and counts no change.
    TOUCH = "INSERT INTO revisions (tenant, environment, n) VALUES ('*', '*', $1) \
        ON CONFLICT (tenant, environment) DO UPDATE SET n = revisions.n";
}

impl Store {
    /// Whether it answers and takes writes, within two seconds. After something could not be written, whether something
    /// can be again. [`Store::was_well`] has the answer from then on.
    ///
    /// Errors: why it cannot be worked with.
    pub async fn is_well(&self) -> Result<(), StoreError> {
        let asked = self.looked_after().await;
        *self.inner.unwell.lock() = asked.as_ref().err().map(|error| error.to_string().into());
        asked
    }

    /// What whoever asked last was told; nothing is known against a database that nobody asked.
    ///
    /// Errors: why calls are not to be taken now. What is decided cannot be kept, nor what is spent, nor that somebody may
    /// not call any more.
    pub fn was_well(&self) -> Result<(), Arc<str>> {
        self.inner.unwell.lock().clone().map_or(Ok(()), Err)
    }

    async fn looked_after(&self) -> Result<(), StoreError> {
        let asked = async {
            if !self.db().is_out() {
                self.db().takes_writes().await?;
                return self.revision().await.map(drop);
            }
            let mut tx = self.db().begin().await?;
            tx.execute(TOUCH, args![0_u64]).await?;
            tx.commit().await
        };
        tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(self.db().silent(ANSWER)))
    }

    /// What a gateway would have to read and cannot: of each table the first such row.
    ///
    /// Errors: those that have nothing to do with what is in a row.
    pub async fn unreadable(&self, scope: &Scope) -> Result<Vec<StoreError>, StoreError> {
        let mut read = vec![
            self.list_users(scope).await.map(drop),
            self.list_agents(scope).await.map(drop),
            self.list_tokens(scope).await.map(drop),
            self.list_servers(scope).await.map(drop),
            self.records(scope).await.map(drop),
            self.all_pins(scope).await.map(drop),
            self.all_accepted(scope).await.map(drop),
            self.observations(scope).await.map(drop),
            self.list_secrets(scope).await.map(drop),
            self.delegations(scope).await.map(drop),
        ];
        for state in [State::Proposed, State::Approved, State::Executing] {
            read.push(self.all_approvals_in(scope, state).await.map(drop));
        }
        let mut found = Vec::new();
        for error in read.into_iter().filter_map(Result::err) {
            if !matches!(error, StoreError::Unreadable { .. }) {
                return Err(error);
            }
            found.push(error);
        }
        Ok(found)
    }
}
