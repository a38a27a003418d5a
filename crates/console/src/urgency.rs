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

#[cfg(test)]
mod tests {
    use super::*;
    use decision::{Clock, Entropy, Timestamp};
    use std::sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    };

    #[derive(Debug, Default)]
    struct Still(AtomicU8);
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(1_000_000)
        }
    }
    impl Entropy for Still {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0.fetch_add(1, Ordering::SeqCst));
        }
    }

    #[tokio::test]
    async fn what_was_found_is_said_again_until_the_store_has_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", dir.path().join("db").display());
        let store =
            Store::open(&database, Arc::new(Still::default()), Arc::new(Still::default())).await.unwrap();
        let (scope, server) = (Scope::default(), ServerName::new("crm").unwrap());
        let urgencies = Urgencies::default();
        let said = async || urgencies.of(&store, &scope, &server).await.unwrap();
        assert_eq!(said().await, "");
        let revision = store.revision().await.unwrap();
        let found = urgencies.as_of(revision).worst.insert(server.clone(), "marked");
        assert_eq!(found, Some(""), "it is kept");
        assert_eq!(said().await, "marked", "and nothing is compared for it again");
        let user = decision::User { name: "ada".parse().unwrap(), groups: Default::default() };
        store.add_user(&scope, &user, "ops").await.unwrap();
        assert_ne!(store.revision().await.unwrap(), revision);
        assert_eq!(said().await, "", "found anew");
    }
}
