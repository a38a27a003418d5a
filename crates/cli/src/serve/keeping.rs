//! What the vault needs from time to time: replaced values removed, dates told, the gateway's own key renewed.

use super::{files::Files, open};
use crate::{
    command::secret::{self, Named, New},
    keys,
    place::Place,
    sources::{SystemClock, SystemEntropy},
};
use decision::{Clock as _, EventName, SecretName, Timestamp};
use gateway::Gate;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use vault::{ASSERTION_KEY, SigningKey};

const LOOK: Duration = Duration::from_secs(60);
const DAY_US: u64 = 24 * 3_600 * 1_000_000;
/// After so long the key that signs assertions is another one.
const KEY_DAYS: u64 = 90;

/// Looks after the vault until `closing` is cancelled.
pub(super) async fn follow(gate: Arc<Gate>, files: Arc<Files>, closing: CancellationToken) {
    let mut told = SystemClock.now();
    let mut warned = keys::unlocked().is_some();
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let place = files.place().await;
        match gateway::tidy_secrets(&gate).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "replaced secrets that nothing uses any more were removed")
            }
            Err(error) => tracing::warn!(%error, "replaced secrets could not be removed; trying again"),
        }
        if let Some(why) = keys::unlocked().filter(|_| !std::mem::replace(&mut warned, true)) {
            tracing::warn!("{why}");
        }
        let now = SystemClock.now();
        if now.since(told) >= DAY_US {
            told = now;
            if let Err(error) = tell(&gate, &place).await {
                tracing::warn!(error = %format!("{error:#}"), "how secrets stand cannot be asked");
            }
        }
        if let Err(error) = renew(&gate, &place).await {
            tracing::warn!(error = %format!("{error:#}"), "the key for assertions cannot be renewed; trying again");
        }
    }
}

/// What must be there before a call is taken.
pub(super) async fn begin(gate: &Arc<Gate>, place: &Place) -> anyhow::Result<()> {
    tell(gate, place).await?;
    renew(gate, place).await?;
    gate.publish_assertion_keys().await;
    Ok(())
}

/// Says which secrets end, or should be others.
async fn tell(gate: &Gate, place: &Place) -> anyhow::Result<()> {
    for (named, state) in secret::dated(place, gate.store()).await? {
        let state = state.to_string();
        tracing::warn!(secret = %named.name, user = named.user.as_ref().map(tracing::field::display), "{named} {state}: put in a new value with `callgate secret rotate {}`", named.name);
    }
    Ok(())
}

/// Makes the key that signs assertions, where a server wants them and there is none, or a new one in its place.
async fn renew(gate: &Gate, place: &Place) -> anyhow::Result<()> {
    if place.meant.settings.servers.values().all(|server| server.assertion.is_none()) {
        return Ok(());
    }
    let (store, scope) = (gate.store(), place.scope());
    let name: SecretName = ASSERTION_KEY.parse()?;
    let stored =
        store.list_secrets(&scope).await?.into_iter().find(|one| one.name == name && one.user.is_none());
    let old = |at: Timestamp| SystemClock.now().since(at) >= KEY_DAYS * DAY_US;
    if stored.is_some_and(|one| !old(one.updated_at)) {
        return Ok(());
    }
    let _keys = keys::lock(place, false).await?;
    let (named, key) = (Named { name, user: None }, SigningKey::generate(&SystemEntropy));
    let sealer = gate.opener().sealer();
    let version = secret::put_next(store, &sealer, &scope, &named, New::default(), &key).await?;
    let number = version.to_string();
    let detail = [("secret", ASSERTION_KEY), ("version", number.as_str()), ("by", "gateway")];
    open::tell(gate, EventName::SecretStored, &detail).await
}
