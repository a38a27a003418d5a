//! What monitoring is told: whether calls can be taken.

use decision::Digest;
use gateway::{
    Gate,
    listen::http::{Health, Probes},
};
use std::{sync::Arc, time::Duration};
use store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the database is asked whether it is there: so old can the answer be.
const ASK: Duration = Duration::from_secs(1);

/// What is asked of a gateway that runs until `closing`.
pub(super) fn probes(gate: &Arc<Gate>, closing: &CancellationToken) -> Probes {
    let (ready, metrics, published) = (Arc::clone(gate), Arc::clone(gate), Arc::clone(gate));
    tokio::spawn(follow(Arc::clone(gate), closing.clone()));
    Probes {
        alive: Arc::new(|| Health::Good),
        ready: Arc::new(move || {
            if ready.is_draining() {
                return Health::Bad("the gateway is stopping".to_owned());
            }
            match Away::of(&ready) {
                Away { ledger: Some(why), .. } | Away { database: Some(why), .. } => {
                    Health::Bad(why.to_owned())
                }
                Away { ledger: None, database: None } => Health::Good,
            }
        }),
        metrics: Arc::new(move || {
            let away = Away::of(&metrics);
            metrics.away(away.ledger.is_some(), away.database.is_some());
            metrics.metrics_text()
        }),
        keys: Arc::new(move || published.assertion_keys()),
    }
}

/// What a gateway cannot do without, and why it does without it now.
struct Away {
    ledger: Option<&'static str>,
    database: Option<&'static str>,
}

impl Away {
    fn of(gate: &Gate) -> Self {
        // from a failure on, until something is written again
        let (ledger, store) = (gate.ledger().stats(), gate.store());
        let written = [
            (ledger.short, "the disk has no room for another call in the ledger, so calls are refused"),
            (ledger.failing, "the ledger cannot be written, so calls are refused"),
        ];
        let database = [
            (store.was_well().is_err(), "the database cannot be used, so calls are refused"),
            (store.in_place().is_err(), "a file of the database was replaced, so calls are refused"),
            (
                store.writes_log().is_err(),
                "the log is not known to be this gateway's alone, so calls are refused",
            ),
        ];
        let first = |of: &[(bool, &'static str)]| of.iter().find(|(is, _)| *is).map(|(_, why)| *why);
        Self { ledger: first(&written), database: first(&database) }
    }
}

/// How often a gateway says that it is there.
const SAY: Duration = Duration::from_secs(60);

/// Asks the database again and again. Whoever calls, or asks for the gateway's health, is told what it said last.
async fn follow(gate: Arc<Gate>, closing: CancellationToken) {
    let (mut rules, mut was_away) = (Rules::default(), false);
    while closing.run_until_cancelled(tokio::time::sleep(ASK)).await.is_some() {
        let well = gate.store().is_well().await;
        if well.is_ok()
            && gate.store().is_shared()
            && let Err(error) = rules.tell(&gate).await
        {
            tracing::debug!(%error, "which rules are in force cannot be told to other gateways now");
        }
        match &well {
            Err(error) if !was_away => {
                tracing::error!(%error, "the database cannot be used: not ready, and calls are refused");
            }
            Ok(()) if was_away => tracing::warn!("the database can be used again"),
            Ok(()) | Err(_) => {}
        }
        was_away = well.is_err();
    }
}

/// Tells other gateways that this one is not there any more.
pub(super) async fn leave(gate: &Gate) {
    if !gate.store().is_shared() {
        return;
    }
    let (live, log) = (gate.live(), gate.ledger().public_key().origin());
    if let Err(error) = gate.store().leave(&live.settings.scope(), log).await {
        tracing::debug!(%error, "other gateways are not told that this one is gone");
    }
}

/// What other gateways on the database know of this one's rules, and this one of theirs.
#[derive(Default)]
struct Rules {
    told: Option<(Digest, Instant)>,
    /// The logs of those that go by others.
    beside: Vec<String>,
}

impl Rules {
    /// Tells which are in force here, when they changed and every minute, and looks who goes by others.
    async fn tell(&mut self, gate: &Gate) -> Result<(), StoreError> {
        let (live, log) = (gate.live(), gate.ledger().public_key().origin());
        let (scope, policy) = (live.settings.scope(), live.policies.digest());
        if self.told.is_some_and(|(told, at)| told == policy && at.elapsed() < SAY) {
            return Ok(());
        }
        gate.store().go_by(&scope, log, policy).await?;
        self.told = Some((policy, Instant::now()));
        let beside = gate.store().gateways_beside(&scope, policy).await?;
        let beside: Vec<String> = beside.into_iter().map(|one| one.log).collect();
        for other in beside.iter().filter(|log| !self.beside.contains(log)) {
            tracing::warn!(log = %other, "another gateway on this database goes by other rules: each makes approvals void that were asked for at the other");
        }
        self.beside = beside;
        Ok(())
    }
}
