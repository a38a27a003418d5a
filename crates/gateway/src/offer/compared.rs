//! What a server shows beside what was accepted, before it is written down.

use crate::sighted;
use decision::{Item, ServerName};
use std::collections::BTreeMap;
use store::{Apart, Scope, Seen, Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

/// How often what is shown is compared anew because people accept something else meanwhile.
const COMPARED_MAX: usize = 3;

/// Compares what is shown with what was accepted, and then takes the turn to write. All servers take that turn, and how
/// long a comparison takes is up to one of them; so it comes before, and what was accepted meanwhile is compared again.
pub(super) async fn compared<'a>(
    pinning: &'a Mutex<()>,
    store: &Store,
    scope: &Scope,
    server: &ServerName,
    items: &[Seen],
) -> Result<(MutexGuard<'a, ()>, BTreeMap<Item, Apart>), StoreError> {
    let mut changed = sighted::changed(store, scope, server, items).await?;
    for _ in 0..COMPARED_MAX {
        let apart = sighted::all_apart(store, scope, server, items, &changed).await?;
        let turn = pinning.lock().await;
        let now = sighted::changed(store, scope, server, items).await?;
        if now == changed {
            return Ok((turn, apart));
        }
        changed = now;
    }
    // of what nobody compared, somebody looks at the difference
    Ok((pinning.lock().await, BTreeMap::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use decision::{Clock, Digest, Entropy, ItemKind, Timestamp};
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU8, Ordering},
        },
        time::Duration,
    };
    use store::{FirstSight, Sighting, Which};

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

    /// A tool that says so.
    fn seen(text: &str) -> Seen {
        let raw = format!(r#"{{"name":"look","description":"{text}","inputSchema":{{"type":"object"}}}}"#);
        let item = Item { kind: ItemKind::Tool, name: "look".to_owned() };
        Seen { item, digest: Digest::of(raw.as_bytes()), raw: Bytes::from(raw) }
    }

    #[tokio::test]
    async fn what_somebody_accepts_meanwhile_is_what_is_compared_with() {
        let dir = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", dir.path().join("db").display());
        let store =
            Store::open(&database, Arc::new(Still::default()), Arc::new(Still::default())).await.unwrap();
        let (scope, server) = (Scope::default(), ServerName::new("crm").unwrap());
        let [first, second, third] =
            ["Looks for a note.", "Looks for a note!", "Looks for a note?"].map(seen);
        for shown in [&first, &second] {
            let sighting = Sighting {
                server: server.clone(),
                kinds: [ItemKind::Tool].into(),
                items: vec![shown.clone()],
                first: FirstSight::Pin,
                withheld: Default::default(),
                apart: BTreeMap::new(),
            };
            store.record_seen(&store.own_writer(), &scope, &sighting).await.unwrap();
        }
        let pinning = Mutex::new(());
        // another server writes, and the comparison with what was accepted first is done by then
        let another = pinning.lock().await;
        let items = [third.clone()];
        let accept = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            store.approve(&scope, &server, &Which::All, "ops").await.unwrap();
            drop(another);
        };
        let (compared, ()) = tokio::join!(compared(&pinning, &store, &scope, &server, &items), accept);
        let (_turn, apart) = compared.unwrap();
        let apart = apart.get(&third.item).unwrap();
        assert_eq!((apart.approved, apart.shown), (second.digest, third.digest));
    }
}
