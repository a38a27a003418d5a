//! What monitoring is told: whether calls can be taken.

use decision::Digest;
use gateway::{
    Gate,
    listen::http::{Health, Probes},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the database is asked whether it is there: so old can the answer be.
const ASK: Duration = Duration::from_secs(1);

/// What is asked of a gateway that runs until `closing`.
pub(super) fn probes(gate: &Arc<Gate>, closing: &CancellationToken) -> Probes {
    let (ready, metrics, published) = (Arc::clone(gate), Arc::clone(gate), Arc::clone(gate));
    let seen = Mutex::new(Seen::default());
    tokio::spawn(follow(Arc::clone(gate), closing.clone()));
    Probes {
        alive: Arc::new(|| Health::Good),
        ready: Arc::new(move || {
            if ready.is_draining() {
                return Health::Bad("the gateway is stopping".to_owned());
            }
            let stats = ready.ledger().stats();
            if stats.short {
                return Health::Bad(
                    "the disk has no room for another call in the ledger, so calls are refused".to_owned(),
                );
            }
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.fails(stats.failures, stats.groups) {
                return Health::Bad("the ledger cannot be written, so calls are refused".to_owned());
            }
            if ready.store().was_well().is_err() {
                return Health::Bad("the database cannot be used, so calls are refused".to_owned());
            }
            if ready.store().in_place().is_err() {
                return Health::Bad("a file of the database was replaced, so calls are refused".to_owned());
            }
            if ready.store().writes_log().is_err() {
                return Health::Bad(
                    "the log is not known to be this gateway's alone, so calls are refused".to_owned(),
                );
            }
            Health::Good
        }),
        metrics: Arc::new(move || metrics.metrics_text()),
        keys: Arc::new(move || published.assertion_keys()),
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

/// What the ledger had counted when somebody last asked.
#[derive(Debug, Default)]
struct Seen {
    failures: u64,
    groups: u64,
    failing: bool,
}

impl Seen {
    /// Whether the last that was tried failed: from a failure on, until something is written again.
    fn fails(&mut self, failures: u64, groups: u64) -> bool {
        if groups > self.groups {
            self.failing = false;
        } else if failures > self.failures {
            self.failing = true;
        }
        (self.failures, self.groups) = (failures, groups);
        self.failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_failed_is_not_ready_until_it_writes_again() {
        let mut seen = Seen::default();
        assert!(!seen.fails(0, 10));
        assert!(seen.fails(1, 10));
        assert!(seen.fails(1, 10), "nothing was written since");
        assert!(!seen.fails(1, 12));
        assert!(seen.fails(2, 12));
        assert!(!seen.fails(3, 13), "it failed, and then it worked");
    }
}
