//! What must be open before a call is taken: store, ledger, key; and what the last stop left behind.

use crate::{
    command::secret,
    control::{self, LOCKED_PAUSE, LOCKED_TRIES},
    keys::{self, Asking},
    place::Place,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use decision::{Clock as _, Entry, Event, EventName};
use gateway::Gate;
use std::path::Path;
use store::{
    Claim, Store,
    ledger::{Ledger, LedgerError, Record, Recovered},
};

/// Open, and ours alone.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) opener: vault::Opener,
    ledger: Option<Ledger>,
    /// Held for as long as we serve.
    _claim: Claim,
}

impl Opened {
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        let store = place.store().await?;
        let claim = store.claim()?;
        let keys = keys::open(place, &store, Asking::Allowed).await?;
        if let Some(why) = keys::unlocked() {
            tracing::warn!("{why}");
        }
        for named in secret::closed(place, &store, &keys).await? {
            tracing::error!(
                "{named} is sealed under a key that is not there, so calls that need it are refused: name that key under `vault.old-keys`"
            );
        }
        for (server, secret) in secret::missing(place, &store).await? {
            tracing::error!(
                %server, %secret,
                "the secret is missing, so calls to the server are refused: store it with `callgate secret set {secret}`"
            );
        }
        let (ledger, recovered) = ledger(&place.ledger_dir(), &store).await?;
        recover(&ledger, recovered).await?;
        Ok(Self { store, opener: vault::Opener::new(keys), ledger: Some(ledger), _claim: claim })
    }

    /// The ledger, once.
    pub(super) fn take_ledger(&mut self) -> anyhow::Result<Ledger> {
        self.ledger.take().ok_or_else(|| anyhow!("the ledger was taken already"))
    }
}

/// Opens the ledger, once a command that has it for a moment is done with it.
async fn ledger(dir: &Path, store: &Store) -> anyhow::Result<(Ledger, Recovered)> {
    for _ in 0..LOCKED_TRIES {
        let known = control::known_to(store, dir).await?;
        match control::open_ledger(dir, known).await? {
            Err(LedgerError::Locked { .. }) => tokio::time::sleep(LOCKED_PAUSE).await,
            opened => return Ok(opened?),
        }
    }
    Err(LedgerError::Locked { dir: dir.to_owned() }.into())
}

/// Closes what the last stop left open: intents whose call may or may not have reached its server.
async fn recover(ledger: &Ledger, recovered: Recovered) -> anyhow::Result<()> {
    if let Some(cut) = recovered.cut {
        tracing::warn!(bytes = cut.bytes, "an unfinished group was cut off the end of the ledger");
    }
    if !recovered.unreadable.is_empty() {
        let (first, count) = (recovered.unreadable.first(), recovered.unreadable.len());
        tracing::warn!(?first, count, "the ledger holds entries that this version cannot read");
    }
    let open = recovered.open;
    if open.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        calls = open.len(),
        "calls were open when the gateway stopped: closing them as `outcome unknown`"
    );
    gateway::close_open(ledger, &SystemClock, &open).await.context("cannot close the calls that were open")
}

/// Writes an event of the gateway's own. Errors: it is not in the record.
pub(super) async fn tell(gate: &Gate, event: EventName, detail: &[(&str, &str)]) -> anyhow::Result<()> {
    let live = gate.live();
    let entry = Entry::Event(Event {
        v: 1,
        at: SystemClock.now(),
        tenant: live.settings.tenant.clone(),
        environment: live.settings.environment.clone(),
        event,
        call: None,
        server: None,
        detail: detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    });
    let record = Record::new(entry, Vec::new())?;
    gate.ledger().append(vec![record]).await.map(drop).context("the ledger cannot be written")
}
