//! What the vault needs from time to time: replaced values removed, dates told, the gateway's own key renewed.

#[cfg(test)]
mod tests;

use super::files::Files;
use crate::{
    command::secret::{self, Named, New},
    keys,
    place::Place,
    sources::{SystemClock, SystemEntropy},
};
use anyhow::Context as _;
use decision::{Clock, SecretName, ServerName, Timestamp};
use gateway::Gate;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::Telling;
use tokio_util::sync::CancellationToken;
use vault::{ASSERTION_KEY, Sealer, SigningKey};

const LOOK: Duration = Duration::from_secs(60);
const DAY_US: u64 = 24 * 3_600 * 1_000_000;
/// After so long the key that signs assertions is another one.
const KEY_DAYS: u64 = 90;

/// For so long whoever decided may still be about to have it recorded: more than a command waits for an answer.
const ABOUT_TO_TELL_US: u64 = 180 * 1_000_000;

/// Looks after the vault of one gateway.
pub(super) struct Keeper {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    /// When dates were told last.
    told: Timestamp,
    /// Whether it was said that memory is not locked.
    warned: bool,
    /// Servers of which no arguments are kept, of which no approval has any that was proposed before.
    unkept: BTreeSet<ServerName>,
}

impl Keeper {
    pub(super) fn new(gate: &Arc<Gate>, clock: Arc<dyn Clock>) -> Self {
        let (told, warned) = (clock.now(), keys::unlocked().is_some());
        Self { gate: Arc::clone(gate), told, clock, warned, unkept: BTreeSet::new() }
    }

    /// Goes on until `closing` is cancelled.
    pub(super) async fn follow(mut self, files: Arc<Files>, closing: CancellationToken) {
        self.forget_unkept(&files.place()).await;
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let place = files.place();
            self.look(&place).await;
        }
    }

    async fn look(&mut self, place: &Place) {
        match gateway::tidy_secrets(&self.gate).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "replaced secrets that nothing uses any more were removed")
            }
            Err(error) => tracing::warn!(%error, "replaced secrets could not be removed; trying again"),
        }
        gateway::settle_left(&self.gate).await;
        if let Err(error) = gateway::tidy_budgets(&self.gate).await {
            tracing::warn!(%error, "what no budget needs any more could not be removed; trying again");
        }
        if let Err(error) = gateway::tidy_keys(&self.gate).await {
            tracing::warn!(%error, "keys of calls whose time is over could not be removed; trying again");
        }
        if let Some(why) = keys::unlocked().filter(|_| !std::mem::replace(&mut self.warned, true)) {
            tracing::warn!("{why}");
        }
        let scope = place.scope();
        match self.gate.desk().expire(&scope).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "approvals that nobody decided or used in time are over"),
            Err(error) => {
                tracing::warn!(%error, "approvals whose time is over cannot be ended; trying again")
            }
        }
        match self.gate.desk().give_up(&scope).await {
            Ok(0) => {}
            Ok(ended) => {
                tracing::info!(
                    ended,
                    "approved calls whose next message did not come are over: what they did is not known"
                );
            }
            Err(error) => tracing::warn!(%error, "approved calls that wait cannot be ended; trying again"),
        }
        self.forget_unkept(place).await;
        let now = self.clock.now();
        let before = Timestamp(now.0.saturating_sub(ABOUT_TO_TELL_US));
        match self.gate.store().tell(&scope, self.gate.ledger(), Telling::Left { before }).await {
            Ok(0) => {}
            Ok(events) => tracing::warn!(events, "what was decided by somebody who stopped is recorded now"),
            Err(error) => tracing::warn!(%error, "what was decided cannot be recorded; trying again"),
        }
        if now.since(self.told) >= DAY_US {
            self.told = now;
            tell(&self.gate, place, now).await;
        }
        if let Err(error) = renew(&self.gate, place, &self.gate.opener().sealer(), now).await {
            tracing::warn!(error = %format!("{error:#}"), "the key for assertions cannot be renewed; trying again");
        }
    }
}

impl Keeper {
    /// Takes arguments out of approvals that were proposed before the operator kept none, once for each such change.
    async fn forget_unkept(&mut self, place: &Place) {
        let servers = place.meant.settings.servers.iter();
        let servers: BTreeSet<ServerName> =
            servers.filter(|(_, one)| !one.keep_arguments).map(|(name, _)| name.clone()).collect();
        if servers.is_subset(&self.unkept) {
            self.unkept = servers;
            return;
        }
        match self.gate.store().forget_unkept(&place.scope(), &servers).await {
            Ok((forgotten, left)) => {
                if forgotten > 0 {
                    tracing::info!(forgotten, "arguments that are not kept any more go from approvals");
                }
                if left == 0 {
                    self.unkept = servers;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "arguments that are not kept any more stay in approvals; trying again")
            }
        }
    }
}

/// What must be there before a call is taken under the settings of `place`, sealed under the key of `sealer`.
pub(super) async fn prepare(gate: &Gate, place: &Place, sealer: &Sealer) -> anyhow::Result<()> {
    renew(gate, place, sealer, SystemClock.now()).await.context("the key for assertions")
}

/// What is said and shown once they are in force.
pub(super) async fn begin(gate: &Gate, place: &Place) {
    tell(gate, place, SystemClock.now()).await;
    gate.publish_assertion_keys().await;
}

/// Says which secrets end, or should be others. That it cannot be asked stops nothing.
async fn tell(gate: &Gate, place: &Place, now: Timestamp) {
    match secret::dated(place, gate.store(), now).await {
        Ok(dated) => {
            for (named, state) in dated {
                let state = state.to_string();
                tracing::warn!(secret = %named.name, user = named.user.as_ref().map(tracing::field::display), "{named} {state}: put in a new value with `callgate secret rotate {}`", named.name);
            }
        }
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "how secrets stand cannot be asked")
        }
    }
}

/// Makes the key that signs assertions, where a server wants them and there is none, or a new one in its place.
async fn renew(gate: &Gate, place: &Place, sealer: &Sealer, now: Timestamp) -> anyhow::Result<()> {
    if place.meant.settings.servers.values().all(|server| server.assertion.is_none()) {
        return Ok(());
    }
    let (store, scope) = (gate.store(), place.scope());
    let name: SecretName = ASSERTION_KEY.parse()?;
    let stored =
        store.list_secrets(&scope).await?.into_iter().find(|one| one.name == name && one.user.is_none());
    let old = |at: Timestamp| now.since(at) >= KEY_DAYS * DAY_US;
    if stored.is_some_and(|one| !old(one.updated_at)) {
        return Ok(());
    }
    let _keys = keys::lock(place, false).await?;
    let (named, key) = (Named { name, user: None }, SigningKey::generate(&SystemEntropy));
    secret::put_next(store, sealer, &scope, &named, New::default(), &key, "gateway").await?;
    store.tell(&scope, gate.ledger(), Telling::Of(store.writer().clone())).await?;
    Ok(())
}
