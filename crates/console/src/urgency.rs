//! How urgently somebody should look at what waits at a server. To say it, all that waits is compared, and scanned beside what
//! others offer: so it is found once, and again when the store says that something changed.

use crate::review::Review;
use catalog::drift::Severity;
use decision::ServerName;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Revision, Scope, Store, StoreError};

/// Items of a server that are looked at.
const GLANCED_AT: usize = 100;

/// What was found, as of one revision.
#[derive(Debug, Default)]
pub(crate) struct Urgencies(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    as_of: Option<Revision>,
    worst: BTreeMap<ServerName, &'static str>,
}

impl Urgencies {
    /// What is worst in what waits at a server: `high` or `critical`, or nothing that is urgent.
    pub(crate) async fn of(
        &self,
        store: &Store,
        scope: &Scope,
        server: &ServerName,
    ) -> Result<&'static str, StoreError> {
        // before anything is read: what changes meanwhile is looked at the next time
        let revision = store.revision().await?;
        if let Some(worst) = self.as_of(revision).worst.get(server) {
            return Ok(worst);
        }
        let worst = Review::urgency(store, scope, server, GLANCED_AT).await?;
        let worst = if worst >= Severity::High { worst.as_str() } else { "" };
        self.as_of(revision).worst.insert(server.clone(), worst);
        Ok(worst)
    }

    /// What was found at this revision, and nothing of others.
    fn as_of(&self, revision: Revision) -> MutexGuard<'_, Found> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_of != Some(revision) {
            *found = Found { as_of: Some(revision), worst: BTreeMap::new() };
        }
        found
    }
}
