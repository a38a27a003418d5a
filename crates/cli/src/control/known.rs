//! What the database knows of a ledger: how much there was of it once, and which way it went.

use crate::place::Place;
use anyhow::bail;
use std::path::Path;
use store::{
    Store, StoreError,
    ledger::{Index, Known},
};

/// How many entries the index has of the ledger of this place: so many were durable once.
pub(crate) async fn known(place: &Place) -> anyhow::Result<u64> {
    if !place.has_ledger() {
        return Ok(0);
    }
    let store = place.store().await?;
    let known = known_entries(&store, &place.ledger_dir()).await;
    store.close().await;
    known
}

/// The same, asked of a store that is open. A new ledger is known to nobody.
async fn known_entries(store: &Store, ledger: &Path) -> anyhow::Result<u64> {
    match store::ledger::public_key(ledger) {
        Some(key) => Ok(store.known_entries(key.origin()).await?),
        // a new one; or one without its keys, which does not open
        None => Ok(0),
    }
}

/// What the index knows of the ledger of this place, or why it was not asked. Nothing is made to ask it.
pub(crate) async fn index(place: &Place) -> Index {
    let asked = async {
        let Some(key) = store::ledger::public_key(&place.ledger_dir()) else {
            bail!("the ledger has no key by which it is known there");
        };
        let store = place.store_as_it_is().await?;
        let known = async {
            let (entries, root) = (store.known_entries(key.origin()), store.known_root(key.origin()));
            Ok::<_, StoreError>(Known { entries: entries.await?, root: root.await? })
        };
        let known = known.await;
        store.close().await;
        Ok(known?)
    };
    asked.await.map_or_else(|error| Index::NotAsked { why: format!("{error:#}") }, Index::Asked)
}
