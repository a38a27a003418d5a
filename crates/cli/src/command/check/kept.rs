//! What is kept in the database, for `callgate check`.

use super::sealed::Vault;
use crate::{
    command::{registry::kept, secret},
    place::Place,
};
use decision::{Item, ServerName};
use gateway::Live;
use std::collections::BTreeSet;
use store::{Pin, Store, StoreError};

/// What waits for a yes, by server, and the servers that were never looked at.
pub(super) type Waiting = (Vec<(ServerName, Vec<Pin>)>, Vec<ServerName>);

/// Items that are served as they were accepted, although they are shown otherwise.
pub(super) type Served = BTreeSet<(ServerName, Item)>;

#[derive(Default)]
pub(super) struct Kept {
    /// Why the database cannot be worked with, or what in it cannot be read. Then nothing else is known of what it keeps.
    pub(super) faults: Vec<String>,
    /// With what each server shows that waits for a yes.
    pub(super) pending: Vec<(ServerName, Vec<Pin>)>,
    /// What of that is served on as it was accepted.
    pub(super) served: Served,
    pub(super) unseen: Vec<ServerName>,
    /// What the records of servers have an operator know.
    pub(super) records: Vec<String>,
    pub(super) missing: Vec<secret::Missing>,
    pub(super) vault: Vault,
}

/// The store, if all of it can be read; else one with nothing in it, and why.
pub(super) async fn open(place: &Place) -> anyhow::Result<(Store, Vec<String>)> {
    let opened = async {
        let store = place.store_or_empty().await?;
        let unreadable = store.unreadable(&place.scope()).await?;
        Ok::<_, anyhow::Error>((store, unreadable.iter().map(ToString::to_string).collect()))
    };
    match opened.await {
        Ok((store, faults)) if Vec::is_empty(&faults) => Ok((store, faults)),
        Ok((_, faults)) => Ok((place.empty().await?, faults)),
        Err(error) if error.is::<StoreError>() => Ok((place.empty().await?, vec![error.to_string()])),
        Err(error) => Err(error),
    }
}

pub(super) async fn waiting(place: &Place, store: &Store) -> anyhow::Result<Waiting> {
    let scope = place.scope();
    let (mut pending, mut unseen) = (Vec::new(), Vec::new());
    let known = store.list_servers(&scope).await?;
    let mut all = store.all_pins(&scope).await?;
    for server in place.meant.settings.servers.keys() {
        if !known.iter().any(|one| one.name == *server && one.pinned_at.is_some()) {
            unseen.push(server.clone());
        }
        let pins = all.remove(server).unwrap_or_default();
        let pins: Vec<Pin> = pins.into_iter().filter(Pin::pending).collect();
        if !pins.is_empty() {
            pending.push((server.clone(), pins));
        }
    }
    Ok((pending, unseen))
}

async fn served(place: &Place, store: &Store, pending: &[(ServerName, Vec<Pin>)]) -> anyhow::Result<Served> {
    let mut served = Served::new();
    for (server, pins) in pending {
        let kept = gateway::still_served(store, &place.scope(), server, pins).await?;
        served.extend(kept.iter().map(|one| (server.clone(), one.item.clone())));
    }
    Ok(served)
}

impl Kept {
    pub(super) async fn look(
        place: &Place,
        store: Store,
        live: Live,
        (pending, unseen): Waiting,
    ) -> anyhow::Result<Self> {
        let records = kept::Kept::of(store.clone(), live, place).beside_a_gateway(place).await;
        Ok(Self {
            faults: Vec::new(),
            served: served(place, &store, &pending).await?,
            pending,
            unseen,
            records: kept::warnings(&records).await?,
            missing: secret::missing(place, &store).await?,
            vault: Vault::look(place, &store).await?,
        })
    }
}
