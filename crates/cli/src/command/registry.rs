//! `callgate registry`: which servers and which of their definitions are accepted, and by whom.

mod beside;
mod export;
mod judged;
pub(crate) mod kept;
mod named;
mod records;
mod server_json;
mod shown;
mod versions;
mod waiting;

use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        day,
        table::{whole, wrapped},
        when,
    },
    sources::SystemClock,
};
use catalog::observed::Observation;
use catalog::record::{Record, Step};
use catalog::{Declarations, Definition, Origin, risk::Siblings};
use clap::{Args, Subcommand};
use decision::{Clock as _, Digest, ItemKind, ServerName};
use serde_json::json;
use std::collections::BTreeSet;
use store::{Pin, PinState, Store};

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Where servers stand, what they offer, and what of it is accepted
    List { server: Option<ServerName> },
    /// Everything that is recorded and known of a server; or of all, in short
    Show { server: Option<ServerName> },
    /// Begin the record of a server, as a candidate
    ///
    /// What callgate.toml declares under `servers.SERVER.record` is taken over, beside what is given here.
    Add(records::Said),
    /// Change what only people know of a server
    Set(records::Said),
    /// Begin to look at a server: a candidate, or one that is suspended
    Review(records::Stepped),
    /// What a server shows now beside what was accepted; or what changed from one file to another
    ///
    /// Of two files, each holds a `tools/list` result, an array of tool definitions, or
    /// `[{"server": NAME, "serverInfo": {…}?, "instructions": TEXT?, "tools": […]}, …]`; `serverInfo`, what a server calls itself,
    /// is compared where both files have it. Nothing is started, and no configuration is needed.
    /// Of a server, the gateway that runs looks at it first; where it cannot, it is said from when what is shown is.
    /// Exit codes then: 0 no change, 1 changes, 2 a file cannot be read. Of a server: 0 no difference, 3 a difference, 1 there is
    /// no such server or item.
    Diff(Diff),
    /// Approve a server until a date, or accept what it shows now
    ///
    /// With `--until`, the server's record, as it is reached and with what it offers by then: both are printed, and with `--as` it
    /// is only as it was looked at (`shown-outdated`). Refused while something is missing that an approval takes, and each is named.
    /// With names or `--all`, items as the server shows them by then, which may be other ones than `registry diff` showed:
    /// `NAME=sha256:…`, with the digest that it prints, is accepted only as it was looked at. With a finding of severity high
    /// or critical nothing is accepted otherwise (`shown-flagged`), but with `--despite-findings`. Exit code 3 when something is
    /// missing, or has such a finding.
    Approve(Approve),
    /// Refuse what a server shows now
    Reject(Judge),
    /// Let nobody use a server until it was looked at again
    Suspend(records::Stepped),
    /// Let nobody use a server any more
    Retire(records::Stepped),
    /// Forget everything accepted of a server: what it shows next is accepted at first sight, and its approval is a review
    /// again
    Forget { server: ServerName },
    /// Add a server that a registry describes (`server.json`) to the configuration: shows what is added, and asks
    Import(server_json::Import),
    /// Write what makes clients come through the gateway
    Export {
        #[arg(value_enum)]
        what: export::Export,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A server; or a file with what was offered before (with a `.` or a `/` in it, or beside another file)
    #[arg(value_name = "SERVER|OLD")]
    of: String,
    /// One item of the server, as for `approve`; or a file with what is offered now
    #[arg(value_name = "NAME|NEW")]
    to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Judge {
    /// The server that shows it
    server: ServerName,
    /// Names of tools, or `prompt:NAME`, `resource:URI`, `resource-template:TEMPLATE`, `server:instructions`;
    /// `NAME=sha256:…` only if that is still what the server shows
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// Everything that waits
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The server that shows it
    server: ServerName,
    /// Names of tools, or `prompt:NAME`, `resource:URI`, `resource-template:TEMPLATE`, `server:instructions`;
    /// `NAME=sha256:…` only if that is still what the server shows
    #[arg(required_unless_present_any = ["all", "until"], conflicts_with = "until")]
    names: Vec<String>,
    /// Everything that waits
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Accept also what has findings of severity high or critical and is not named with its digest
    #[arg(long, conflicts_with = "until")]
    despite_findings: bool,
    /// The server itself, until this day begins in UTC: `2027-05-31`, or `180d`
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Why, for the record; a server with critical tools takes one
    #[arg(long, value_name = "TEXT", requires = "until")]
    because: Option<String>,
    /// Only as `registry show` showed it, by the digest that it prints: if anything of that is another by now, nothing is done
    #[arg(long = "as", value_name = "sha256:…", requires = "until", conflicts_with = "all", value_parser = digest)]
    shown: Option<Digest>,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text)
        .ok_or_else(|| "a digest is `sha256:` with 64 digits, as `registry show` prints it".to_owned())
}

impl Approve {
    /// What of the server's items is meant, if any is.
    fn items(&self) -> Option<Judge> {
        let meant = self.all || !self.names.is_empty();
        meant.then(|| Judge { server: self.server.clone(), names: self.names.clone(), all: self.all })
    }
}

async fn approve(asked: &Approve, given: &Given, place: &Place) -> Outcome {
    if let Some(judge) = asked.items() {
        let done = judged::approve(&judge, asked.despite_findings, given, place).await?;
        if asked.until.is_none() || done != Verdict::Yes {
            return Ok(done);
        }
    }
    let until = asked.until.as_deref().unwrap_or_default();
    let asked = records::Approving {
        server: &asked.server,
        until,
        because: asked.because.as_deref(),
        shown: asked.shown,
    };
    records::approve(&asked, given, place).await
}

pub(crate) async fn run(registry: Registry, given: &Given) -> Outcome {
    if let Registry::Diff(diff) = &registry
        && let Some((old, new)) = versions::files(&diff.of, diff.to.as_deref())?
    {
        return versions::run(old, new, given);
    }
    // what comes into the file, or is made from it, takes one that holds
    let is_of_file = matches!(registry, Registry::Import(_) | Registry::Export { .. });
    let place = if is_of_file { given.place()? } else { given.place_in_force()? };
    match registry {
        Registry::List { server } => list(server, given, &place).await,
        Registry::Show { server } => kept::show(server.as_ref(), given, &place).await,
        Registry::Add(said) => records::add(&said, given, &place).await,
        Registry::Set(said) => records::set(&said, given, &place).await,
        Registry::Review(stepped) => records::step(Step::Review, &stepped, given, &place).await,
        Registry::Suspend(stepped) => records::step(Step::Suspend, &stepped, given, &place).await,
        Registry::Retire(stepped) => records::step(Step::Retire, &stepped, given, &place).await,
        Registry::Diff(Diff { of, to }) => {
            let server = ServerName::new(of).map_err(|error| Failure::Usage(error.to_string()))?;
            waiting::diff(&server, to.as_deref(), given, &place).await
        }
        Registry::Approve(asked) => approve(&asked, given, &place).await,
        Registry::Reject(judge) => judged::reject(&judge, given, &place).await,
        Registry::Forget { server } => forget(&server, given, &place).await,
        Registry::Import(import) => server_json::run(&import, given, &place),
        Registry::Export { what } => export::run(what, given),
    }
}

fn state(pin: &Pin) -> &'static str {
    match pin.state {
        PinState::Approved => "accepted",
        PinState::Changed if pin.pending() => "changed",
        PinState::Returned if pin.pending() => "returned",
        PinState::New if pin.pending() => "new",
        PinState::Changed | PinState::Returned | PinState::New => "rejected",
        PinState::Gone => "gone",
    }
}

async fn list(server: Option<ServerName>, given: &Given, place: &Place) -> Outcome {
    let kept = kept::Kept::open_to_read(place, given.say).await?;
    if let Some(server) = &server {
        kept.must_know(server).await?;
    }
    let store = &kept.store;
    let known = store.list_servers(&place.scope()).await?;
    let mut names: BTreeSet<ServerName> = known.iter().map(|server| server.name.clone()).collect();
    names.extend(place.meant.settings.servers.keys().cloned());
    names.retain(|name| server.as_ref().is_none_or(|wanted| wanted == name));
    let (records, now) = (store.records(&place.scope()).await?, SystemClock.now());
    let (mut all, seen) = (store.all_pins(&place.scope()).await?, store.observations(&place.scope()).await?);
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for name in &names {
        let declared = place.meant.settings.servers.get(name);
        let (pins, live) = (all.remove(name).unwrap_or_default(), kept.live().catalogue.server(name));
        if pins.is_empty() {
            let [server, state] = [name.to_string(), "never seen".to_owned()];
            rows.push(vec![server, String::new(), String::new(), state, String::new()]);
        }
        let accepted = pins.iter().filter(|pin| pin.item.kind == ItemKind::Tool && pin.approved.is_some());
        let siblings = Siblings::of(accepted.map(|pin| pin.item.name.as_str()));
        for pin in &pins {
            let by = pin.approved.as_ref().map(|mark| format!("{} by {}", when(mark.at), mark.by));
            let class = match declared.filter(|_| pin.item.kind == ItemKind::Tool) {
                Some(server) => {
                    let observed = seen.get(name).and_then(|tools| tools.get(&pin.item.name));
                    let observed = observed.map(Vec::as_slice).unwrap_or_default();
                    let of = (&server.declarations.at(now), observed);
                    class(store, place, pin, of, &siblings, name).await?
                }
                None => None,
            };
            let tool = pin.item.kind == ItemKind::Tool;
            let withheld = live.and_then(|entry| entry.why_withheld(&pin.item));
            let unpinned = kept.unpinned(name, pin).await?;
            let owner = declared.filter(|_| tool);
            let owner = owner.and_then(|server| server.declarations.owner(&pin.item.name));
            values.push(json!({
                "server": name, "server-state": records.get(name).map(|record| record.state.as_str()),
                "server-until": records.get(name).and_then(Record::until).map(when),
                "configured": declared.is_some(), "kind": pin.item.kind.as_str(), "name": pin.item.name,
                "state": state(pin), "withheld": withheld, "unpinned": unpinned, "left": shown::left(pin), "class": class, "owner": owner, "seen": pin.seen, "seen-at": when(pin.seen_at),
                "accepted": pin.approved.as_ref().map(|mark| json!({
                    "digest": mark.digest, "at": when(mark.at), "by": mark.by })),
            }));
            rows.push(vec![
                name.to_string(),
                pin.item.kind.as_str().to_owned(),
                pin.item.name.clone(),
                if withheld.is_some() || unpinned.is_some() { "withheld" } else { state(pin) }.to_owned(),
                withheld
                    .map(|why| format!("nobody could use it: {why}"))
                    .or(unpinned.map(|why| format!("it cannot be accepted: {why}")))
                    .or(class)
                    .or(by)
                    .unwrap_or_default(),
            ]);
        }
    }
    given.say.json(&values);
    if !given.say.json {
        kept::table(&kept, server.as_ref(), given.say).await?;
        given.say.line("");
    }
    let [server, kind, name, state] = ["server", "kind", "name", "state"].map(whole);
    given.say.table(&[server, kind, name, state, wrapped("class or approval")], rows);
    Ok(Verdict::Yes)
}

/// What a tool is, and on whose word, as it stands in the table.
async fn class(
    store: &Store,
    place: &Place,
    pin: &Pin,
    (declared, observed): (&Declarations, &[Observation]),
    siblings: &Siblings,
    server: &ServerName,
) -> anyhow::Result<Option<String>> {
    let raw = store.definition(&place.scope(), &pin.seen).await?.unwrap_or_default();
    let Ok(definition) = Definition::new(server.clone(), pin.item.kind, raw) else { return Ok(None) };
    let class = catalog::classify(declared, &definition, siblings, observed);
    let mut said = vec![class.effect.as_str(), class.tier.as_str()];
    let effect = class.effect.as_str();
    said.extend(class.categories.iter().map(|category| category.as_str()).filter(|word| *word != effect));
    let by = match class.origin {
        Origin::Operator => match declared.said_of(definition.name(), definition.digest()).first() {
            Some(one) if one.term != catalog::Term::default() => format!(" ({})", one.sentence(day)),
            Some(_) | None => String::new(),
        },
        Origin::TrustedAuthor => " (its author says)".to_owned(),
        Origin::Observed => " (its own answers)".to_owned(),
        Origin::Judged => " (judged)".to_owned(),
        Origin::Undeclared => " (undeclared)".to_owned(),
    };
    Ok(Some(said.join(", ") + &by))
}

async fn forget(server: &ServerName, given: &Given, place: &Place) -> Outcome {
    let (book, store) = (Book::open(place).await?, place.store().await?);
    store.forget_server(&place.scope(), server, given.surroundings.user.as_str()).await?;
    book.conclude(&store, given.say).await?;
    given.say.json(&json!({ "forgotten": server }));
    given.say.line(format!("forgot `{server}`: what it shows next is accepted at first sight"));
    Ok(Verdict::Yes)
}
