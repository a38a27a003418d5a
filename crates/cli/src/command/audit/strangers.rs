//! What `audit list` cannot list: requests of strangers that were counted and not recorded one by one.

use crate::control::{Book, Request, Response};
use crate::failure::Failure;
use crate::place::Place;
use crate::say::when;
use decision::{Entry, EventName, Timestamp, counted};
use store::{Filter, Store};

/// Events that are read; who wants all exports the record.
const EVENTS: u64 = 1_000;

/// How many there were, in words. None where there were none, or where what is asked for cannot be theirs.
pub(super) async fn counted_alone(
    filter: &Filter,
    book: &Book,
    store: &Store,
    place: &Place,
) -> Result<Option<String>, Failure> {
    let of_all =
        Filter { since: filter.since, until: filter.until, errand: filter.errand, ..Filter::default() };
    if *filter != of_all {
        return Ok(None);
    }
    let since = filter.since.unwrap_or(Timestamp(0));
    let (mut refused, mut last) = (0_u64, None);
    for at in store.events_named(&place.scope(), EventName::StrangersRefused, since, EVENTS).await? {
        let read = book.ask(Request::Entries { from: at.index, max: 1 }).await?;
        let Response::Entries { log, entries, .. } = read else { continue };
        // the logs of other gateways on the database are read where they are
        let Some((_, raw)) = entries.into_iter().next().filter(|_| log == at.log) else { continue };
        let Entry::Event(event) = serde_json::from_str(&raw)? else { continue };
        let count = event.detail.get("refused").and_then(|count| count.parse::<u64>().ok());
        refused = refused.saturating_add(count.unwrap_or_default());
        last = last.max(Some(event.at));
    }
    Ok(last.map(|last| {
        let many = counted(refused, "request");
        format!(
            "not in this list: {many} of strangers, refused and counted alone (`strangers-refused` in the record), the last entry of it {} UTC",
            when(last)
        )
    }))
}
