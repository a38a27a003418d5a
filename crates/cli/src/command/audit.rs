//! `callgate audit`: the record, read and proven. What the index knows is a convenience; what `show`, `prove`,
//! `export` and `verify` say comes from the ledger.

mod deed;
mod entries;
mod erase;
mod index;
mod proof;
mod strangers;

use crate::{
    cli::Given,
    control::{self, Book, Request, Response},
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        table::{Cell, cut, whole},
        when,
    },
    settings,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use decision::{
    AgentName, Clock as _, Code, Entry, EventName, InteractionId, ServerName, Slot, Timestamp, UserName,
    counted,
};
use serde_json::json;
use std::path::PathBuf;
use store::{
    CallRow, Ended, Filter,
    ledger::{Index, verify_beside},
};

pub(crate) use entries::entries;
use proof::public_key;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Calls, newest first
    List(List),
    /// Everything the ledger has of one call
    Show { call: String },
    /// Write the log to a folder, for its owner alone, that can be verified without this gateway
    Export(Export),
    /// Prove that an entry is in the log, or check such a proof and say which entry it is of
    Prove(Prove),
    /// Find every change to the log, here or in an exported folder
    Verify(Verify),
    /// The newest signed checkpoint and the public key: keep both where nobody who can change the log can reach
    Checkpoint,
    /// Erase a value of a call: beside its entries, where every proof stays whole, and what the database has of it
    Erase(erase::Erase),
    /// Fill the search index from the ledger again
    RebuildIndex {
        /// Go on with a ledger that has lost its end. Look at it with `callgate audit verify` and keep a copy first
        #[arg(long)]
        accept_loss: bool,
        /// Go on with a database that is an older copy or was begun anew. Approvals that are open in it end
        #[arg(long)]
        accept_older_database: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[arg(long)]
    agent: Option<AgentName>,
    #[arg(long)]
    user: Option<UserName>,
    #[arg(long)]
    server: Option<ServerName>,
    /// The name of a tool, prompt or resource
    #[arg(long)]
    item: Option<String>,
    /// A reason code, such as `rule-denied`
    #[arg(long)]
    code: Option<String>,
    /// What waits for people is `held`, and not `refused`
    #[arg(long, value_enum)]
    ended: Option<How>,
    #[arg(long)]
    interaction: Option<InteractionId>,
    /// Only calls of the last, such as `1h` or `7d`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Part of a method, name, agent, user, host or model
    #[arg(long)]
    text: Option<String>,
    /// The gateway's own errands too
    #[arg(long)]
    errands: bool,
    #[arg(long, default_value_t = 50)]
    limit: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum How {
    Answered,
    Refused,
    Held,
    Failed,
    Cancelled,
    Unknown,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum What {
    Arguments,
    Result,
}

impl From<What> for Slot {
    fn from(what: What) -> Self {
        match what {
            What::Arguments => Self::Arguments,
            What::Result => Self::Result,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A folder that is empty or does not exist yet
    dir: PathBuf,
    /// Leave out the values kept beside entries
    #[arg(long)]
    without_values: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// A call id, or the index of an entry
    #[arg(value_name = "CALL|INDEX", required_unless_present = "check")]
    which: Option<String>,
    /// Check the proof in this file instead
    #[arg(long, value_name = "FILE", conflicts_with = "which", requires = "key")]
    check: Option<PathBuf>,
    /// The log's public key, or a file that holds it
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An exported folder, or a copy of the ledger; without it, the ledger in use, held against what the database knows of it
    dir: Option<PathBuf>,
    /// The log's public key as kept elsewhere, or a file that holds it
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
    /// A file with a checkpoint kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(crate) async fn run(audit: Audit, given: &Given) -> Outcome {
    match audit {
        // needs no configuration: who verifies may have nothing but the folder
        Audit::Verify(args) => verification(args, given).await,
        Audit::Prove(Prove { check: Some(file), key: Some(key), .. }) => proof::check(&file, &key, given),
        Audit::Prove(Prove { which: Some(which), .. }) => {
            proof::prove(&which, given, &given.place_in_force()?).await
        }
        Audit::Prove(_) => Err(Failure::Usage("name a call or an entry".to_owned())),
        Audit::List(args) => list(args, given, &given.place_in_force()?).await,
        Audit::Show { call } => show(&call, given, &given.place_in_force()?).await,
        Audit::Export(args) => export(&args, given, &given.place_in_force()?).await,
        Audit::Checkpoint => checkpoint(given, &given.place_in_force()?).await,
        Audit::Erase(args) => erase::erase(args, given, &given.place_in_force()?).await,
        Audit::RebuildIndex { accept_loss, accept_older_database } => {
            index::rebuild((accept_loss, accept_older_database), given, &given.place_in_force()?).await
        }
    }
}

const EMPTY: &str = "there is no call in the record";

/// What was asked for. Errors: it is said in other words than ours.
fn filter(args: List) -> Result<Filter, Failure> {
    let code = match &args.code {
        Some(text) => Some(Code::parse(text).ok_or_else(|| {
            Failure::Usage(format!("`{text}` is not a reason code: docs/reference/codes.md lists them"))
        })?),
        None => None,
    };
    let since = match &args.since {
        Some(text) => {
            let back = settings::duration(text)
                .ok_or_else(|| Failure::Usage(format!("`{text}` is not a time: write `1h` or `7d`")))?;
            let us = u64::try_from(back.as_micros()).unwrap_or(u64::MAX);
            Some(Timestamp(SystemClock.now().0.saturating_sub(us)))
        }
        None => None,
    };
    Ok(Filter {
        agent: args.agent,
        user: args.user,
        server: args.server,
        item: args.item,
        interaction: args.interaction,
        code,
        ended: args.ended.map(|how| match how {
            How::Answered => Ended::Answered,
            How::Refused => Ended::Refused,
            How::Held => Ended::Held,
            How::Failed => Ended::Failed,
            How::Cancelled => Ended::Cancelled,
            How::Unknown => Ended::Unknown,
        }),
        errand: (!args.errands).then_some(false),
        since,
        until: None,
        text: args.text,
    })
}

async fn list(args: List, given: &Given, place: &Place) -> Outcome {
    let limit = args.limit;
    let filter = filter(args)?;
    if !place.is_begun() {
        given.say.json(&json!([]));
        given.say.line(format!("{EMPTY}: no gateway has used `{}` yet", place.meant.state_dir.display()));
        return Ok(Verdict::Yes);
    }
    let store = match place.looked_at().await? {
        Ok(store) => store,
        // a record with nothing that knows of it is no empty one
        Err(nothing) if place.has_ledger() => return Err(nothing.into()),
        Err(nothing) => {
            given.say.json(&json!([]));
            given.say.line(format!("{EMPTY}: {nothing}"));
            return Ok(Verdict::Yes);
        }
    };
    let mut beside = None;
    let mut whole_index = true;
    if place.has_ledger() {
        let book = Book::open(place).await?;
        if let Some(behind) = index::filled_as_far(&book, &store, place).await? {
            given.say.aside(behind.to_string());
            whole_index = false;
        }
        beside = strangers::counted_alone(&filter, &book, &store, place).await?;
        book.close().await?;
    }
    let mut rows = Vec::new();
    let mut before = None;
    while (rows.len() as u64) < limit {
        let page = store.find_calls(&place.scope(), &filter, 1_000, before.as_ref()).await?;
        let Some(last) = page.last().map(CallRow::cursor) else { break };
        before = Some(last);
        rows.extend(page);
    }
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    given.say.json(&rows.iter().map(value).collect::<Vec<_>>());
    if rows.is_empty() {
        // the errands that are left out by themselves are nobody's question
        let all = Filter { errand: None, ..filter } == Filter::default();
        given.say.line(if all { EMPTY } else { "no such call" });
    } else {
        let head = [whole("when (UTC)"), whole("call"), cut("who"), cut("what"), cut("ended"), whole("ms")];
        given.say.table(&head, rows.iter().map(cells).collect());
    }
    if let Some(beside) = beside {
        given.say.aside(beside);
    }
    // what is missing is not known, also to whoever reads the answer alone
    Ok(if whole_index { Verdict::Yes } else { Verdict::Depends })
}

fn ended(row: &CallRow) -> &'static str {
    match row.ended {
        None => "open",
        Some(Ended::Answered) => "answered",
        Some(Ended::Refused) => "refused",
        Some(Ended::Held) => "held",
        Some(Ended::Failed) => "failed",
        Some(Ended::Cancelled) => "cancelled",
        Some(Ended::Unknown) => "unknown",
    }
}

fn cells(row: &CallRow) -> Vec<Cell> {
    let actor = row.actor.clone().unwrap_or_else(|| row.actor_kind.clone());
    let who = row.user.as_ref().map_or_else(|| actor.clone(), |user| format!("{actor} for {user}"));
    let method = row.method.clone().unwrap_or_else(|| "-".to_owned());
    let what = match (&row.server, row.item.as_ref().or(row.asked.as_ref())) {
        (Some(server), Some(item)) => format!("{method} {server} {}", item.name),
        (Some(server), None) => format!("{method} {server}"),
        (None, Some(asked)) => format!("{method} {} (nothing here)", asked.name),
        (None, None) => method,
    };
    let ended = match row.code {
        Some(code) => format!("{}: {}", ended(row), code.as_str()),
        None => ended(row).to_owned(),
    };
    let ended = if row.code.is_some() { Cell::painted(31, ended) } else { ended.into() };
    let ms = row.duration_us.map(|us| format!("{}.{}", us / 1_000, us % 1_000 / 100)).unwrap_or_default();
    vec![when(row.at).into(), row.call.to_string().into(), who.into(), what.into(), ended, ms.into()]
}

fn value(row: &CallRow) -> serde_json::Value {
    json!({
        "call": row.call, "deed": row.deed, "leg": row.leg, "at": row.at, "interaction": row.interaction,
        "actor-kind": row.actor_kind, "actor": row.actor, "user": row.user, "host": row.host, "model": row.model,
        "transport": row.transport, "era": row.era, "revision": row.revision, "entrance": row.entrance,
        "method": row.method, "server": row.server, "item": row.item, "asked": row.asked, "definition": row.definition,
        "errand": row.errand, "ended": ended(row), "code": row.code, "dispatched": row.dispatched,
        "duration-us": row.duration_us, "intent": row.intent, "decision": row.decision.as_ref().map(|(_, index)| index),
        "policy": row.policy, "shown": row.shown,
    })
}

async fn show(call: &str, given: &Given, place: &Place) -> Outcome {
    let book = Book::open_to_read(place).await?;
    let found = entries(call, &book, place).await?;
    let mut values = Vec::new();
    for found in &found {
        let slot = match &found.entry {
            Entry::Intent(_) => Slot::Arguments,
            Entry::Decision(_) => Slot::Result,
            Entry::Event(_) => continue,
        };
        if let Response::Value { state, text } = book.ask(Request::Value { index: found.index, slot }).await?
        {
            values.push(json!({ "entry": found.index, "slot": slot, "state": state, "value": text }));
        }
    }
    book.close().await?;
    let shown: Vec<_> = found.iter().map(|one| json!({ "index": one.index, "entry": one.raw })).collect();
    given.say.json(&json!({ "entries": shown, "values": values }));
    if !given.say.json {
        for one in &found {
            given.say.raw(&given.say.paint(2, &format!("entry {}", one.index)));
            given.say.raw(&crate::say::printable(&serde_json::to_string_pretty(&one.raw)?));
        }
        for value in values {
            let text = value.get("value").and_then(|text| text.as_str());
            let state = value.get("state").and_then(|state| state.as_str()).unwrap_or_default();
            let slot = value.get("slot").and_then(|slot| slot.as_str()).unwrap_or_default();
            given.say.raw(&format!("{slot}: {}", text.map_or(state.to_owned(), crate::say::printable)));
        }
    }
    Ok(Verdict::Yes)
}

async fn export(args: &Export, given: &Given, place: &Place) -> Outcome {
    let book = Book::open_to_read(place).await?;
    // the gateway runs in a folder of its own
    let to = std::path::absolute(&args.dir)?;
    store::ledger::room_for_export(&to)?;
    if !args.without_values {
        // before a value leaves, and not where none can
        let to = to.display().to_string();
        let detail = [("to", to), ("by", given.surroundings.user.clone())];
        let detail = detail.map(|(key, value)| (key.to_owned(), value)).into();
        let event = Request::Record { event: EventName::ExportedWithValues, server: None, detail };
        book.ask(event).await.context("values are exported only where the record says so")?;
    }
    let done = book.ask(Request::Export { to, values: !args.without_values }).await?;
    book.close().await?;
    let Response::Exported { dir, entries, checkpoint } = done else {
        return Err(anyhow!("the gateway answered something else").into());
    };
    given.say.json(&json!({ "dir": dir, "entries": entries, "checkpoint": checkpoint }));
    let path = dir.display();
    given.say.line(format!(
        "wrote {} to `{path}`: check them with `callgate audit verify {path}`",
        counted(entries, "entry")
    ));
    Ok(Verdict::Yes)
}

async fn verification(args: Verify, given: &Given) -> Outcome {
    let (dir, index) = match args.dir {
        Some(dir) => (dir, Index::NotAsked { why: "a folder was named, which is no gateway's".to_owned() }),
        None => {
            let place = given.place_in_force()?;
            place.private()?;
            // looked up first, as a gateway may be writing
            (place.ledger_dir(), control::index(&place).await)
        }
    };
    let known = if let Index::Asked(known) = &index { known.entries } else { 0 };
    let key = args.key.as_deref().map(public_key).transpose()?;
    let kept = match &args.checkpoint {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?)
        }
        None => None,
    };
    let report = verify_beside(&dir, key.as_ref(), kept.as_deref(), index)?;
    let holds = report.holds();
    given.say.json(&json!({ "ok": holds, "known": known, "headline": report.headline(), "report": report }));
    given.say.line(crate::say::printable(&report.text()));
    Ok(holds.into())
}

/// What `callgate audit checkpoint` writes before the key.
const KEY: &str = "key: ";

async fn checkpoint(given: &Given, place: &Place) -> Outcome {
    let book = Book::open_to_read(place).await?;
    let answered = book.ask(Request::Checkpoint).await?;
    book.close().await?;
    let Response::Checkpoint { note, key } = answered else {
        return Err(anyhow!("the gateway answered something else").into());
    };
    given.say.json(&json!({ "checkpoint": note, "key": key }));
    if !given.say.json {
        given.say.raw(note.trim_end());
        given.say.aside(format!("{KEY}{key}"));
    }
    Ok(Verdict::Yes)
}
