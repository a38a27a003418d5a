//! Opening the ledger of a place, by a gateway or by a command.

use super::{Loss, keeper};
use crate::sources::{SystemClock, SystemEntropy};
use decision::EventName;
use std::{path::Path, sync::Arc};
use store::{
    LogClaim, Scope, Store, StoreError,
    ledger::{Ledger, LedgerError, Options, Recovered},
};

/// A ledger that nobody else writes.
pub(crate) struct OpenLedger {
    pub(crate) ledger: Ledger,
    pub(crate) recovered: Recovered,
    pub(crate) claim: LogClaim,
}

/// Whether somebody else has it, perhaps only for a moment.
pub(crate) fn is_taken(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LedgerError::Locked { .. })) || is_elsewhere(error)
}

/// Whether that is a process on another copy of it.
pub(crate) fn is_elsewhere(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::LogClaimed { .. }))
}

/// Opens the ledger in this folder, which reads all of it and must find at least the entries that are known, and says in
/// it which of them it did not find signed. Before anything of it is changed, its log is ours; a new one is nobody else's.
pub(crate) async fn open_ledger(
    store: &Store,
    dir: &Path,
    loss: Loss,
    scope: &Scope,
) -> anyhow::Result<OpenLedger> {
    let key = store::ledger::public_key(dir);
    let (mut claim, mut options) = (LogClaim::default(), Options::default());
    options.accept_loss = loss == Loss::Accepted;
    if let Some(key) = &key {
        claim = store.claim_log(key.origin()).await?;
        options.known = store.known_entries(key.origin()).await?;
        options.known_root = store.known_root(key.origin()).await?;
    }
    let dir = dir.to_owned();
    let open = move || Ledger::open(&dir, Arc::new(SystemClock), &SystemEntropy, options);
    let (ledger, recovered) = tokio::task::spawn_blocking(open).await??;
    if key.is_none() {
        claim = store.claim_log(ledger.public_key().origin()).await?;
    }
    if let Some((from, to)) = recovered.unsigned {
        let detail = [("from", from), ("to", to)].map(|(key, index)| (key.to_owned(), index.to_string()));
        // one that cannot be written cannot be signed either: the next who opens it finds the same
        if let Err(error) =
            keeper::write(&ledger, scope, EventName::UnsignedFound, (None, None), detail.into()).await
        {
            tracing::debug!(%error, "what was found unsigned cannot be recorded now");
        }
    }
    Ok(OpenLedger { ledger, recovered, claim })
}
