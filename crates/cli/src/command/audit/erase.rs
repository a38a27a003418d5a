//! `callgate audit erase`: a value beside the entries of a call, and what the database has of it.

use super::{
    What,
    deed::{self, approvals},
    entries::{Found, entries},
};
use crate::{
    cli::Given,
    control::{Book, Request, Response, ValueState},
    failure::{Failure, Outcome},
    place::Place,
    say::printable,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use decision::{ApprovalId, CallId, Entry, Slot, counted};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use store::{Desk, Forgotten, Store};

/// What is to be erased.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    call: String,
    /// Which value
    #[arg(value_enum)]
    what: What,
    /// Of every call of the same deed: those that were refused until people agreed, the one that was made then, and later
    /// messages of it
    #[arg(long)]
    deed: bool,
}

pub(super) async fn erase(args: Erase, given: &Given, place: &Place) -> Outcome {
    let slot = Slot::from(args.what);
    let book = Book::open_to_read(place).await?;
    let first = entries(&args.call, &book, place).await?;
    let store = place.store().await?;
    let (others, elsewhere) =
        if args.deed { deed::others(&first, &book, &store, place).await? } else { (Vec::new(), 0) };
    let calls: Vec<Vec<Found>> = std::iter::once(first).chain(others).collect();
    let about: BTreeSet<ApprovalId> = calls.iter().flat_map(|found| approvals(found)).collect();
    if slot == Slot::Arguments {
        nobody_decides(&book, &store, place, &about).await?;
    }
    let (mut erased, mut carried, mut forgotten) = (0, 0, 0);
    for found in &calls {
        let (kept, any) = erase_beside(found, slot, &book, given).await?;
        (erased, carried) = (erased + kept, carried + any);
        let call = found.first().map(|one| one.call);
        forgotten += forget(&store, place, call, slot, &approvals(found)).await.context(
            "the value beside the entry is erased, but not what the database has of it: say the same again",
        )?;
    }
    let scrubbed = store.scrub().await?;
    store.close().await;
    book.close().await?;
    given.say.json(&json!({
        "erased": erased, "forgotten": forgotten, "scrubbed": scrubbed, "calls": calls.len(), "elsewhere": elsewhere,
    }));
    let of = if args.deed { format!(" of {}", counted(calls.len() as u64, "call")) } else { String::new() };
    given.say.line(format!("erased {}{of}; the proofs stay whole", counted(erased, "value")));
    if forgotten > 0 {
        let copies = if forgotten == 1 { "copy" } else { "copies" };
        given.say.line(format!("and {forgotten} {copies} of it in the database"));
    }
    if elsewhere > 0 {
        given.say.aside(format!(
            "{elsewhere} of the same tool and time are in logs of other gateways on this database: say the same there"
        ));
    }
    if slot == Slot::Arguments
        && !args.deed
        && !about.is_empty()
        && let Some(list) = calls.iter().flatten().find_map(|one| like(&one.entry))
    {
        given.say.line(format!(
            "a call that asked for the same before or after people agreed has its own: `--deed` erases it too, and {list} finds it"
        ));
    }
    if !scrubbed {
        given
            .say
            .aside("the database is being read: its log has the old bytes until it is written into the file");
    }
    Ok((carried + forgotten > 0).into())
}

/// Erases the values beside a call's entries; returns how many were kept until now, and how many ever were.
async fn erase_beside(
    found: &[Found],
    slot: Slot,
    book: &Book,
    given: &Given,
) -> Result<(u64, u64), Failure> {
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
    Ok((erased, carried))
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
