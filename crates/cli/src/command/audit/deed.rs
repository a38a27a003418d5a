//! From one call to all of its deed: those that were refused until people agreed, the one that was made then, and later
//! messages of the same.

use super::entries::{self, Found};
use crate::{control::Book, failure::Failure, place::Place};
use decision::{ApprovalId, CallId, DeedId, Entry, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use store::{CallRow, Filter, Store};

/// So far before an approval was asked for, and behind its time, its calls are looked for; in microseconds.
const AROUND_US: u64 = 24 * 60 * 60 * 1_000_000;
/// So many calls of the index are read at once.
const ROWS: u64 = 1_000;

/// What ties calls together.
#[derive(Default)]
struct Ties {
    deeds: BTreeSet<DeedId>,
    approvals: BTreeSet<ApprovalId>,
}

impl Ties {
    fn of(found: &[Found]) -> Self {
        let deed = |one: &Found| match &one.entry {
            Entry::Intent(intent) => Some(intent.deed),
            Entry::Decision(decision) => Some(decision.deed),
            Entry::Event(_) => None,
        };
        Self { deeds: found.iter().filter_map(deed).collect(), approvals: approvals(found) }
    }

    fn meet(&self, other: &Self) -> bool {
        !self.deeds.is_disjoint(&other.deeds) || !self.approvals.is_disjoint(&other.approvals)
    }

    fn take(&mut self, other: Self) {
        self.deeds.extend(other.deeds);
        self.approvals.extend(other.approvals);
    }
}

/// The other calls of the deed that `first` is a call of, as their own entries say; and how many calls of that time and
/// item are in logs of other gateways, which cannot be read here.
pub(super) async fn others(
    first: &[Found],
    book: &Book,
    store: &Store,
    place: &Place,
) -> Result<(Vec<Vec<Found>>, usize), Failure> {
    let Some(filter) = near(first, store, place).await? else { return Ok((Vec::new(), 0)) };
    let of = first.first().map(|one| one.call);
    let (mut candidates, mut elsewhere) = (BTreeMap::<CallId, Vec<Found>>::new(), 0);
    for row in rows(&filter, store, place).await? {
        if Some(row.call) == of || candidates.contains_key(&row.call) {
            continue;
        }
        match entries::of(row.call, book, store, place).await {
            Ok(found) => drop(candidates.insert(row.call, found)),
            Err(Failure::Unreadable { code: "other-log", .. }) => elsewhere += 1,
            Err(failure) => return Err(failure),
        }
    }
    // one that was asked for in vain ties calls to others that the first does not know of
    let (mut ties, mut all) = (Ties::of(first), Vec::new());
    loop {
        let met = |found: &Vec<Found>| ties.meet(&Ties::of(found));
        let next: Vec<CallId> =
            candidates.iter().filter(|(_, found)| met(found)).map(|(call, _)| *call).collect();
        if next.is_empty() {
            return Ok((all, elsewhere));
        }
        for found in next.iter().filter_map(|call| candidates.remove(call)) {
            ties.take(Ties::of(&found));
            all.push(found);
        }
    }
}

/// The calls among which the others are. None where the call is of no item.
async fn near(first: &[Found], store: &Store, place: &Place) -> Result<Option<Filter>, Failure> {
    let intent = first.iter().find_map(|one| match &one.entry {
        Entry::Intent(intent) => Some(intent),
        Entry::Decision(_) | Entry::Event(_) => None,
    });
    let Some((intent, target)) = intent.and_then(|intent| Some((intent, intent.target.as_ref()?))) else {
        return Ok(None);
    };
    let (mut from, mut to) = (intent.at, intent.at);
    for id in Ties::of(first).approvals {
        if let Some(kept) = store.approval(&place.scope(), id).await? {
            from = from.min(kept.approval.proposed_at);
            to = to.max(kept.approval.expires_at).max(kept.changed_at);
        }
    }
    Ok(Some(Filter {
        server: Some(target.server.clone()),
        item: Some(target.item.name.clone()),
        since: Some(Timestamp(from.0.saturating_sub(AROUND_US))),
        until: Some(Timestamp(to.0.saturating_add(AROUND_US))),
        ..Filter::default()
    }))
}

async fn rows(filter: &Filter, store: &Store, place: &Place) -> Result<Vec<CallRow>, Failure> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let page = store.find_calls(&place.scope(), filter, ROWS, before.as_ref()).await?;
        let Some(last) = page.last().map(CallRow::cursor) else { return Ok(rows) };
        before = Some(last);
        rows.extend(page);
    }
}

/// The approvals that a call's entries name: people were shown its arguments there.
pub(super) fn approvals(found: &[Found]) -> BTreeSet<ApprovalId> {
    let named = found.iter().flat_map(|one| -> Vec<&str> {
        match &one.entry {
            Entry::Event(event) => event.detail.get("approval").map(String::as_str).into_iter().collect(),
            Entry::Decision(decision) => {
                let basis = decision.evidence.iter().flat_map(|evidence| &evidence.basis);
                basis.filter_map(|basis| basis.strip_prefix("approval:")).collect()
            }
            Entry::Intent(_) => Vec::new(),
        }
    });
    named.filter_map(ApprovalId::parse).collect()
}
