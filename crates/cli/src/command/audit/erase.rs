//! `callgate audit erase`: a value beside the entries of a call, and what the database has of it.

use super::entries::{Found, entries};
use crate::{
    cli::Given,
    control::{Book, Request, Response, ValueState},
    failure::{Failure, Outcome},
    place::Place,
    say::printable,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use decision::{ApprovalId, CallId, Entry, Slot, counted};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use store::{Desk, Forgotten, Store};

pub(super) async fn erase(call: &str, slot: Slot, given: &Given, place: &Place) -> Outcome {
    let book = Book::open_to_read(place).await?;
    let found = entries(call, &book, place).await?;
    let store = place.store().await?;
    let about = approvals(&found);
    if slot == Slot::Arguments {
        nobody_decides(&book, &store, place, &about).await?;
    }
    let (mut erased, mut carried) = (0, 0);
    for one in found.iter().filter(|one| carries(&one.entry, slot)) {
        let by = given.surroundings.user.clone();
        let asked = Request::Erase { index: one.index, slot, call: one.call, by };
        let Response::Erased { was } = book.ask(asked).await? else {
            return Err(anyhow!("the gateway answered something else").into());
        };
        erased += u64::from(was == ValueState::Kept);
        carried += u64::from(was != ValueState::NeverKept);
    }
    let calls = found.first().map(|one| one.call);
    let forgotten = forget(&store, place, calls, slot, &about).await.context(
        "the value beside the entry is erased, but not what the database has of it: say the same again",
    )?;
    let scrubbed = store.scrub().await?;
    store.close().await;
    book.close().await?;
    given.say.json(&json!({ "erased": erased, "forgotten": forgotten, "scrubbed": scrubbed }));
    given.say.line(format!("erased {}; the proofs stay whole", counted(erased, "value")));
    if forgotten > 0 {
        let copies = if forgotten == 1 { "copy" } else { "copies" };
        given.say.line(format!("and {forgotten} {copies} of it in the database"));
    }
    if slot == Slot::Arguments
        && !about.is_empty()
        && let Some(list) = found.iter().find_map(|one| like(&one.entry))
    {
        given.say.line(format!(
            "a call that asked for the same before or after people agreed has its own: {list}"
        ));
    }
    if !scrubbed {
        given
            .say
            .aside("the database is being read: its log has the old bytes until it is written into the file");
    }
    Ok((carried + forgotten > 0).into())
}

/// The command that lists the calls of the same item.
fn like(entry: &Entry) -> Option<String> {
    let Entry::Intent(intent) = entry else { return None };
    let target = intent.target.as_ref()?;
    Some(format!("`callgate audit list --server {} --item {}`", target.server, printable(&target.item.name)))
}

/// Whether the entry commits to a value of this kind.
fn carries(entry: &Entry, slot: Slot) -> bool {
    match (entry, slot) {
        (Entry::Intent(intent), Slot::Arguments) => intent.arguments.is_some(),
        (Entry::Decision(decision), Slot::Result) => {
            decision.outcome.as_ref().is_some_and(|outcome| outcome.result.is_some())
        }
        (Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_), Slot::Arguments | Slot::Result) => false,
    }
}

/// The approvals that the call's entries name: people were shown its arguments there.
fn approvals(found: &[Found]) -> BTreeSet<ApprovalId> {
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

/// Nobody is to decide what they cannot see. Errors: somebody still may.
async fn nobody_decides(
    book: &Book,
    store: &Store,
    place: &Place,
    about: &BTreeSet<ApprovalId>,
) -> Result<(), Failure> {
    let scope = place.scope();
    if let Book::Own { ledger, .. } = book {
        // without a gateway nobody else ends those whose time is over
        let desk = Desk::new(store.clone(), Arc::clone(ledger), Arc::new(SystemClock));
        desk.expire(&scope).await?;
    }
    for id in about {
        let kept = store.approval(&scope, *id).await?;
        if kept.is_some_and(|kept| kept.approval.state.is_open()) {
            return Err(anyhow!(
                "people still decide by these arguments: end that first with `callgate approvals revoke {id}`"
            )
            .into());
        }
    }
    Ok(())
}

/// Takes what the database has of the value; returns how many copies there were.
async fn forget(
    store: &Store,
    place: &Place,
    call: Option<CallId>,
    slot: Slot,
    about: &BTreeSet<ApprovalId>,
) -> anyhow::Result<u64> {
    let (scope, mut forgotten) = (place.scope(), 0);
    match (slot, call) {
        (Slot::Arguments, _) => {
            for id in about {
                forgotten += u64::from(store.forget_arguments(&scope, *id).await? == Forgotten::Done);
            }
        }
        (Slot::Result, Some(call)) => {
            let about: Vec<ApprovalId> = about.iter().copied().collect();
            forgotten = store.forget_result(&scope, call, &about).await?;
        }
        (Slot::Result, None) => {}
    }
    Ok(forgotten)
}
