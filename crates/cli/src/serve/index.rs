//! The search index follows the ledger. It may lag and may be thrown away: the ledger is the truth.

use crate::indexed;
use decision::Entry;
use gateway::Gate;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::ledger::{Ledger, READ_ENTRIES_MAX};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Entries that come within this time are indexed together, unless there are very many.
const SETTLE: Duration = Duration::from_millis(500);
/// Between two looks for an end when stopping, and how many there are.
const LOOK: Duration = Duration::from_millis(100);
const SETTLE_LOOKS: u32 = 30;
/// How often in a row nothing must have happened.
const QUIET_LOOKS: u32 = 3;
/// After the database could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// So often it is said beside the ledger how much of it the database has.
const NOTE: Duration = Duration::from_secs(60);

/// Follows until `closing` is cancelled; `dir` is the ledger's folder.
pub(super) async fn follow(gate: Arc<Gate>, dir: PathBuf, closing: CancellationToken) {
    let mut size = gate.ledger().subscribe();
    size.mark_changed();
    let (mut noted, mut last): (Option<(u64, Instant)>, u64) = (None, 0);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            // what came since the last note is noted also where nothing follows it
            () = due(noted, last) => {
                note(&gate, &dir, last);
                noted = Some((last, Instant::now()));
                continue;
            }
            changed = size.changed() => if changed.is_err() { return },
        }
        let caught_up = catch_up(&gate).await;
        match &caught_up {
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the index does not follow the ledger");
                size.mark_changed();
            }
            Ok(indexed) => last = *indexed,
        }
        if noted.is_none() && caught_up.is_ok() {
            note(&gate, &dir, last);
            noted = Some((last, Instant::now()));
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = rest(gate.ledger(), caught_up.is_ok()) => {}
        }
    }
}

/// When the next note is due: never, where nothing came since.
async fn due(noted: Option<(u64, Instant)>, last: u64) {
    match noted {
        Some((entries, at)) if entries < last => tokio::time::sleep_until(at + NOTE).await,
        Some(_) | None => std::future::pending().await,
    }
}

/// Lets entries come together, but no more than are kept in memory: from the files they cost much more.
async fn rest(ledger: &Ledger, caught_up: bool) {
    if !caught_up {
        return tokio::time::sleep(AGAIN).await;
    }
    tokio::select! {
        () = tokio::time::sleep(SETTLE) => {}
        () = ledger.recent_is_half_full() => {}
    }
}

/// Says beside the ledger how much of it the database has. Where that cannot be, an older copy of it is only not noticed.
pub(super) fn note(gate: &Gate, dir: &Path, indexed: u64) {
    if let Err(error) = indexed::note(dir, gate.ledger().public_key().origin(), indexed) {
        tracing::warn!(%error, "how much of the ledger the database has cannot be written beside it");
    }
}

/// Brings the index of the gateway's store up to what its ledger has by now, and returns how much that is. What comes
/// meanwhile is left for the next time: under load there is always a little more, and a transaction for a handful of calls
/// costs as much as for hundreds.
pub(super) async fn catch_up(gate: &Arc<Gate>) -> anyhow::Result<u64> {
    let log = gate.ledger().public_key().origin().to_owned();
    let end = gate.ledger().end();
    let until = end.0;
    let mut next = gate.store().indexed_up_to(&log).await?;
    while next < until {
        if let Some(entries) = gate.ledger().recent(next) {
            next = gate.store().index_up_to(&log, &entries, Some(end)).await?;
            continue;
        }
        let reading = Arc::clone(gate);
        let page = tokio::task::spawn_blocking(move || page(reading.ledger(), next)).await??;
        next = gate.store().index_up_to(&log, &page, Some(end)).await?;
    }
    Ok(next)
}

/// Waits until every call has its decision: what was cut off while draining, an errand too, still writes one.
/// What does not is closed at the next start.
pub(super) async fn settle(gate: &Arc<Gate>) -> anyhow::Result<()> {
    let settings = Arc::clone(&gate.live().settings);
    let scope = settings.scope();
    let (mut quiet, mut before) = (0, 0);
    for _ in 0..SETTLE_LOOKS {
        catch_up(gate).await?;
        let (counts, size) = (gate.store().counts(&scope).await?, gate.ledger().size());
        // an errand has several calls, with nothing open between two of them
        quiet = if counts.intents <= counts.decisions && size == before { quiet + 1 } else { 0 };
        before = size;
        if quiet == QUIET_LOOKS {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    tracing::warn!("some calls have no decision yet; they are closed at the next start");
    Ok(())
}

/// The entries from `from` on. Blocks on the disk.
fn page(ledger: &Ledger, from: u64) -> anyhow::Result<Vec<(u64, Entry)>> {
    let mut entries = Vec::new();
    for (index, bytes) in ledger.read_entries(from, READ_ENTRIES_MAX)? {
        let entry = Entry::read(&bytes)
            .map_err(|error| anyhow::anyhow!("entry {index} cannot be read by this version: {error}"))?;
        entries.push((index, entry));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{SystemClock, SystemEntropy};
    use decision::{Environment, Event, EventName, TenantId, Timestamp};
    use store::ledger::{Options, Record};

    #[tokio::test]
    async fn the_index_is_called_before_entries_have_to_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) =
            Ledger::open(dir.path(), Arc::new(SystemClock), &SystemEntropy, Options::default()).unwrap();
        assert!(ledger.recent(0).is_none(), "from here on it is followed");
        let soon = |caught_up| tokio::time::timeout(SETTLE / 2, rest(&ledger, caught_up));
        let mut appended = 0;
        while soon(true).await.is_err() {
            let event = Event {
                v: 1,
                at: Timestamp(1),
                tenant: TenantId::default(),
                environment: Environment::default(),
                event: EventName::GatewayStarted,
                call: None,
                server: None,
                detail: [].into(),
            };
            let record = Record::new(Entry::Event(event), Vec::new()).unwrap();
            appended += ledger.append(vec![record; 2_000]).await.unwrap().records;
            assert!(appended < 20_000, "it is never called");
        }
        assert!(appended > 2_000, "a few entries are no hurry");
        assert!(soon(false).await.is_err(), "what cannot be written is not tried in a loop");
        assert_eq!(ledger.recent(0).unwrap().len() as u64, appended, "nothing was let go of");
        assert!(soon(true).await.is_err(), "it has come");
    }
}
