//! From a call to its entries: the index says where they are, and the entries have the last word.

use crate::{
    control::{Book, Request, Response},
    failure::Failure,
    place::Place,
};
use anyhow::anyhow;
use decision::{CallId, Entry};
use serde_json::value::RawValue;
use store::{Store, ledger::LedgerError};

/// One entry of a call, as the ledger has it.
pub(crate) struct Found {
    pub(crate) index: u64,
    pub(crate) call: CallId,
    pub(crate) raw: Box<RawValue>,
    pub(crate) entry: Entry,
}

/// The entries of a call, from the ledger. The index only knows where they should be: an entry that names another call
/// is not told, proven or erased as if it were of this one.
///
/// Errors: no such call; `other-log` where it is in the record of another gateway; `index-unfit` where the index leads to another call's entry.
pub(crate) async fn entries(text: &str, book: &Book, place: &Place) -> Result<Vec<Found>, Failure> {
    let call = CallId::parse(text).ok_or_else(|| {
        Failure::Usage(format!("`{text}` is not a call id: `callgate audit list` shows them"))
    })?;
    let store = place.store().await?;
    super::index::filled(book, &store, place).await?;
    of(call, book, &store, place).await
}

/// The same of an index that is up to date.
pub(super) async fn of(
    call: CallId,
    book: &Book,
    store: &Store,
    place: &Place,
) -> Result<Vec<Found>, Failure> {
    let (mut found, mut elsewhere) = (Vec::new(), None);
    for at in store.call(&place.scope(), call).await? {
        let read = book.ask(Request::Entries { from: at.index, max: 1 }).await?;
        let Response::Entries { log, entries, .. } = read else { continue };
        // a database that several gateways share knows calls of the others' logs
        if log != at.log {
            elsewhere = Some(at.log);
            continue;
        }
        let Some((index, raw)) = entries.into_iter().next() else { return Err(unfit(at.index, call)) };
        let entry: Entry = serde_json::from_str(&raw)?;
        if entry.call() != Some(call) {
            return Err(unfit(index, call));
        }
        found.push(Found { index, call, entry, raw: RawValue::from_string(raw)? });
    }
    match elsewhere {
        _ if !found.is_empty() => Ok(found),
        None => Err(anyhow!("there is no call `{call}` in the record").into()),
        Some(log) => Err(Failure::Unreadable {
            code: "other-log",
            message: format!(
                "call `{call}` is in the log `{log}` of another gateway that shares this database: ask where that log is"
            ),
        }),
    }
}

/// The code is for scripts: what was asked cannot be read until the index was filled anew.
pub(super) fn unfit(index: u64, call: CallId) -> Failure {
    let message = LedgerError::IndexUnfit { index, call }.to_string();
    Failure::Unreadable { code: "index-unfit", message }
}
