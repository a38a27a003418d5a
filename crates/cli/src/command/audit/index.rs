//! The index of the record in the database: filled from the ledger, and filled again.

use crate::{
    cli::Given,
    control::{self, Book, Found, Request, Response},
    failure::{Outcome, Verdict},
    indexed::{self, Older},
    place::Place,
    say::when,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use decision::{Entry, EventName, Timestamp, approval::State, counted};
use serde_json::json;
use std::sync::Arc;
use store::{Desk, Store, StoreError, ledger::READ_ENTRIES_MAX};

/// What a ledger says of itself, with some of its entries.
struct Part {
    log: String,
    /// Entries in all.
    size: u64,
    entries: Vec<(u64, String)>,
}

async fn part(book: &Book, from: u64, max: usize) -> anyhow::Result<Part> {
    let Response::Entries { log, size, entries } = book.ask(Request::Entries { from, max }).await? else {
        return Err(anyhow!("the gateway answered something else than entries"));
    };
    Ok(Part { log, size, entries })
}

/// The store's index brought up to date from the ledger; returns the log's name and size.
async fn fill(book: &Book, store: &Store) -> anyhow::Result<(String, u64)> {
    // the log's name comes with its entries
    let mut next = store.indexed_up_to(&part(book, 0, 0).await?.log).await?;
    loop {
        let Part { log: name, size, entries } = part(book, next, READ_ENTRIES_MAX).await?;
        let parsed = entries
            .iter()
            .map(|(index, raw)| Ok((*index, serde_json::from_str::<Entry>(raw)?)))
            .collect::<anyhow::Result<Vec<_>>>()
            .context("the ledger holds an entry that this version cannot read")?;
        let filled = store.index_entries(&name, &parsed).await?;
        if filled >= size || parsed.is_empty() {
            return Ok((name, size));
        }
        next = filled;
    }
}

/// The same for a command that reads. Errors: [`Older`], since a database that is filled does not show any more that it is one.
pub(super) async fn filled(book: &Book, store: &Store, place: &Place) -> anyhow::Result<(String, u64)> {
    if let Some(older) = indexed::older(store, &place.ledger_dir()).await? {
        return Err(older.into());
    }
    fill(book, store).await
}

/// What of the ledger is not in the index, because the database cannot be written now.
pub(super) struct Behind {
    has: u64,
    size: u64,
    /// When the first that is missing was written.
    since: Option<Timestamp>,
    why: anyhow::Error,
}

impl std::fmt::Display for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { has, size, since, why } = self;
        write!(f, "note: the index has {has} of the record's {}", counted(*size, "entry"))?;
        if let Some(since) = since {
            write!(f, ", so what was called since {} is not shown", when(*since))?;
        }
        write!(f, ": {why:#}")
    }
}

/// As [`filled`], for a command that shows what there is: where the database can be read and not written, with what is missing.
pub(super) async fn filled_as_far(
    book: &Book,
    store: &Store,
    place: &Place,
) -> anyhow::Result<Option<Behind>> {
    let why = match filled(book, store, place).await {
        Ok(_) => return Ok(None),
        Err(error) if error.downcast_ref().is_some_and(StoreError::is_outage) => error,
        Err(error) => return Err(error),
    };
    let has = store.indexed_up_to(&part(book, 0, 0).await?.log).await?;
    let Part { size, entries, .. } = part(book, has, READ_ENTRIES_MAX).await?;
    let since = entries.iter().find_map(|(_, raw)| match serde_json::from_str(raw).ok()? {
        Entry::Intent(intent) => Some(intent.at),
        Entry::Event(event) => Some(event.at),
        Entry::Decision(_) => None,
    });
    Ok(Some(Behind { has, size, since, why }))
}

/// Empties the index and fills it again; a ledger that has lost its end, or a database that is an older copy, is gone on with
/// only when that is said.
pub(super) async fn rebuild(
    (accept_loss, accept_older): (bool, bool),
    given: &Given,
    place: &Place,
) -> Outcome {
    if !place.is_begun() {
        let folder = place.ledger_dir();
        return Err(anyhow!("there is no record here: `{}` does not exist", folder.display()).into());
    }
    if accept_older {
        place.begin_another().await?;
    }
    let known = control::known(place).await?;
    let book =
        if accept_loss { Book::open_whatever_is_left(place).await? } else { Book::open(place).await? };
    let store = place.store().await?;
    let older = indexed::older(&store, &place.ledger_dir()).await?;
    if let Some(older) = older.filter(|_| !accept_older) {
        return Err(anyhow!(older).into());
    }
    // before anything is filled: a stop in between must not make it look new
    let ended = match older {
        Some(older) => Some((older, accept(&book, &store, older, &given.surroundings.user).await?)),
        None => None,
    };
    let Part { log, size, .. } = part(&book, 0, 0).await?;
    // opening may have written what it found
    let found = book.found().unwrap_or(Found { entries: size, parted: None });
    let left = found.entries;
    store.wipe_index(&log).await?;
    if left < known || found.parted.is_some() {
        let mut detail = vec![("known", known.to_string()), ("left", left.to_string())];
        detail.extend(found.parted.map(|entries| ("parted", entries.to_string())));
        let detail: Vec<_> = detail.iter().map(|(key, value)| (*key, value.as_str())).collect();
        book.record(EventName::LossAccepted, None, &detail).await?;
    }
    if let Some(entries) = found.parted {
        let first = counted(entries, "entry");
        given.say.aside(format!("the first {first} are not those that were known, and the record says so"));
    }
    if left < known {
        let lost = counted(known - left, "entry");
        let are = if known - left == 1 { "is" } else { "are" };
        given.say.aside(format!("{lost} {are} lost for good, and the record says so"));
    }
    if let Some((older, ended)) = ended {
        given.say.aside(older.accepted(ended));
    }
    let by = [("by", given.surroundings.user.as_str())];
    book.record(EventName::IndexRebuilt, None, &by).await?;
    let (_, size) = fill(&book, &store).await?;
    book.close().await?;
    indexed::note(&place.ledger_dir(), &log, size).context("cannot write beside the ledger")?;
    given.say.json(&json!({ "log": log, "entries": size }));
    given.say.line(format!("indexed {} of {log}", counted(size, "entry")));
    Ok(Verdict::Yes)
}

/// Has it in the record that the database is an older one, and ends what is open in it: that a yes was spent since it does
/// not know. Returns how many approvals that were.
async fn accept(book: &Book, store: &Store, older: Older, by: &str) -> anyhow::Result<usize> {
    let detail = [("database-had", older.had.to_string()), ("database-has", older.has.to_string())];
    let detail: Vec<_> = detail.iter().map(|(key, value)| (*key, value.as_str())).collect();
    book.record(EventName::LossAccepted, None, &detail).await?;
    let Book::Own { ledger, scope, .. } = book else { return Ok(0) };
    let desk = Desk::new(store.clone(), Arc::clone(ledger), Arc::new(SystemClock));
    let mut ended = 0;
    for state in [State::Proposed, State::Approved] {
        for kept in store.all_approvals_in(scope, state).await? {
            let why = Some("the database was an older copy");
            // one whose time is over ends by itself
            ended += usize::from(desk.revoke(scope, kept.approval.id, by, why).await.is_ok());
        }
    }
    Ok(ended)
}
