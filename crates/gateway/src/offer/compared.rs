//! What a server shows beside what was accepted, before it is written down.

use super::Offers;
use crate::sighted;
use decision::{Item, ServerName};
use std::collections::BTreeMap;
use store::{Apart, Scope, Seen, StoreError};
use tokio::sync::MutexGuard;

/// How often what is shown is compared anew because people accept something else meanwhile.
const COMPARED_MAX: usize = 3;

impl Offers {
    /// Compares what is shown with what was accepted, and then takes the turn to write. All servers take that turn, and how
    /// long a comparison takes is up to one of them; so it comes before, and what was accepted meanwhile is compared again.
    pub(super) async fn compared(
        &self,
        scope: &Scope,
        server: &ServerName,
        items: &[Seen],
    ) -> Result<(MutexGuard<'_, ()>, BTreeMap<Item, Apart>), StoreError> {
        let store = &self.gate.store;
        let mut changed = sighted::changed(store, scope, server, items).await?;
        for _ in 0..COMPARED_MAX {
            let apart = sighted::all_apart(store, scope, server, items, &changed).await?;
            let pinning = self.pinning.lock().await;
            let now = sighted::changed(store, scope, server, items).await?;
            if now == changed {
                return Ok((pinning, apart));
            }
            changed = now;
        }
        // of what nobody compared, somebody looks at the difference
        Ok((self.pinning.lock().await, BTreeMap::new()))
    }
}
