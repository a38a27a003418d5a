//! The records of servers: who answers for them, and whether they may be used.

use super::kept::{self, Kept};
use crate::{
    cli::Given,
    command::secret::dates,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{printable, when},
    sources::SystemClock,
};
use anyhow::anyhow;
use catalog::record::{Change, Fact, Facts, Grant, Missing, Record, State, Step, looked_at};
use clap::Args;
use decision::{Clock as _, Digest, ServerName, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use store::Taking;

/// What a yes is about is not what it was given to, as the console says it.
const OUTDATED: &str = "shown-outdated";
const DAY_US: u64 = 24 * 3_600 * 1_000_000;

#[derive(Debug, Args)]
pub(crate) struct Stepped {
    server: ServerName,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Said {
    server: ServerName,
    /// `FIELD=VALUE`, such as `owner=Ada`; an empty value clears the field
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Take over what callgate.toml declares under `servers.SERVER.record`
    #[arg(long)]
    declared: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

/// A new record. What the file declares is in it from the start: there is nothing yet that it could overwrite.
pub(super) async fn add(said: &Said, given: &Given, place: &Place) -> Outcome {
    let kept = Kept::open(place).await?;
    let mut facts = kept.declared(&said.server);
    for fact in facts.iter().map(|(fact, value)| format!("took {} from the file: {value}", fact.key())) {
        given.say.line(printable(&fact));
    }
    // of one that was retired
    facts.take(&kept.record(&said.server).await?.map(|record| record.facts).unwrap_or_default());
    fill(&mut facts, &said.fields)?;
    take(&kept, given, place, &said.server, (Step::Add, said.because.as_deref()), Some(&facts), None).await
}

/// Other facts. The file's are taken where somebody says so, and nowhere else.
pub(super) async fn set(said: &Said, given: &Given, place: &Place) -> Outcome {
    if said.fields.is_empty() && !said.declared {
        let fields: Vec<_> = Fact::ALL.iter().map(|fact| fact.key()).collect();
        let text = format!("say what: `--declared`, or FIELD=VALUE with one of {}", fields.join(", "));
        return Err(Failure::Usage(text));
    }
    let kept = Kept::open(place).await?;
    kept.must_know(&said.server).await?;
    let record = kept.record(&said.server).await?;
    let state = record.as_ref().map(|record| record.state);
    let before = record.map(|record| record.facts).unwrap_or_default();
    let mut facts = before.clone();
    if said.declared {
        facts.take(&kept.declared(&said.server));
    }
    fill(&mut facts, &said.fields)?;
    if state == Some(State::Approved)
        && let Some(known) = kept.known(&said.server).await?
    {
        let lacked = known.missing(&before);
        // what an approval needs, it needs for as long as it lasts
        if let Some(lost) = known.missing(&facts).into_iter().find(|one| !lacked.contains(one)) {
            let (server, key) = (&said.server, lost.key());
            return Err(anyhow!(
                "`{key}` is needed for as long as `{server}` is approved: give another, or end the approval with `callgate registry review {server}` first"
            )
            .into());
        }
    }
    take(&kept, given, place, &said.server, (Step::Set, said.because.as_deref()), Some(&facts), None).await
}

pub(super) async fn step(step: Step, stepped: &Stepped, given: &Given, place: &Place) -> Outcome {
    let kept = Kept::open(place).await?;
    let server = &stepped.server;
    // a slip of the pen must not stop one that nobody has, and leave the one that was meant as it is
    kept.must_know(server).await?;
    // a first record has what the file says: there is nothing yet that it could overwrite
    let first = kept.record(server).await?.is_none().then(|| kept.declared(server));
    let because = stepped.because.as_deref();
    take(&kept, given, place, server, (step, because), first.as_ref(), None).await
}

/// A yes to a server that somebody types.
pub(super) struct Approving<'a> {
    pub(super) server: &'a ServerName,
    pub(super) until: &'a str,
    pub(super) because: Option<&'a str>,
    /// What was looked at.
    pub(super) shown: Option<Digest>,
}

/// Approves a server as it is, until a date; or says what is missing for that.
pub(super) async fn approve(asked: &Approving<'_>, given: &Given, place: &Place) -> Outcome {
    let Approving { server, until, because, shown } = *asked;
    let until = dates::parse(until, SystemClock.now())?;
    let kept = Kept::open(place).await?;
    kept.must_know(server).await?;
    let known = kept.known(server).await?.ok_or_else(|| {
        anyhow!("the configuration has no server `{server}`: what is approved is how it is reached, so write it first")
    })?;
    if let [problem, ..] = kept.problems.as_slice() {
        return Err(anyhow!("the rules do not load, so nobody knows whose yes calls need: {problem}").into());
    }
    let record = kept.record(server).await?;
    let state = record.as_ref().map(|record| record.state);
    if State::after(state, Step::Approve).is_none() {
        let why = Step::Approve.refused(state, server.as_str());
        return Err(anyhow!("`{server}` cannot be approved: {why}").into());
    }
    let now = looked_at(record.as_ref(), &kept.declared(server), Some(&known));
    if shown.is_some_and(|shown| shown != now) {
        given.say.json(&json!({ "server": server, "code": OUTDATED, "shown": now }));
        given.say.line(format!(
            "nothing was approved ({OUTDATED}): `{server}` is not what was looked at any more; look again: `callgate registry \
             show {server}`"
        ));
        return Ok(Verdict::No);
    }
    let facts = record.map(|record| record.facts).unwrap_or_default();
    match known.grant(&facts, until, because) {
        Ok(grant) => {
            if !given.say.json {
                kept::granted(&known, given.say);
            }
            take(&kept, given, place, server, (Step::Approve, because), None, Some(&grant)).await
        }
        Err(missing) => Ok(lacking(server, &missing, given)),
    }
}

fn lacking(server: &ServerName, missing: &[Missing], given: &Given) -> Verdict {
    let value = |one: &Missing| json!({ "field": one.key(), "because": one.meaning() });
    given.say.json(&json!({ "server": server, "missing": missing.iter().map(value).collect::<Vec<_>>() }));
    given.say.line(format!("`{server}` cannot be approved yet; missing:"));
    for one in missing {
        given.say.line(format!("  {} {:24}{}", given.say.paint(31, "✗"), one.key(), one.meaning()));
    }
    let fact = missing.iter().find_map(|one| match one {
        Missing::Fact(fact) => Some(fact),
        Missing::Sight | Missing::Reason => None,
    });
    if let Some(fact) = fact {
        given.say.line(format!("fill them in with `callgate registry set {server} {}=…`", fact.key()));
    }
    Verdict::No
}

fn fill(facts: &mut Facts, fields: &[String]) -> Result<(), Failure> {
    let wrong = |error: catalog::record::FactError| Failure::Usage(error.to_string());
    let mut given = BTreeSet::new();
    for field in fields {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("`{field}` is not FIELD=VALUE, such as `owner=Ada`")))?;
        let fact = Fact::parse(key).map_err(wrong)?;
        if !given.insert(fact) {
            return Err(Failure::Usage(format!("`{key}` is given twice")));
        }
        facts.set(fact, value).map_err(wrong)?;
        // anywhere on earth it is no later than that
        let tomorrow = when(Timestamp(SystemClock.now().0.saturating_add(DAY_US)));
        if fact == Fact::SecurityReview
            && let Some(day) = facts.get(fact)
            && tomorrow.get(..day.len()).is_some_and(|tomorrow| day > tomorrow)
        {
            let text = format!("`{key}` is the day of the last review, and {day} is yet to come");
            return Err(Failure::Usage(text));
        }
    }
    Ok(())
}

/// Takes a step and writes it into the ledger.
async fn take(
    kept: &Kept,
    given: &Given,
    place: &Place,
    server: &ServerName,
    (step, because): (Step, Option<&str>),
    facts: Option<&Facts>,
    grant: Option<&Grant>,
) -> Outcome {
    let by = given.surroundings.user.as_str();
    let book = Book::open(place).await?;
    let taking = Taking { step, by, because, facts, grant, seen: None };
    let taken = kept.store.take_step(&place.scope(), server, &taking).await;
    let (change, record) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            book.close().await?;
            return Err(error.into());
        }
    };
    book.conclude(&kept.store, given.say).await?;
    given.say.json(&json!({
        "server": server, "step": step.as_str(), "from": change.from.map(|state| state.as_str()),
        "state": record.state.as_str(), "until": record.until().map(when), "by": by, "because": because,
        "changed": change.facts, "version": grant.and_then(Grant::version),
        "wiring": grant.map(|grant| grant.wiring().lines().collect::<Vec<_>>()),
    }));
    given.say.line(told(server, &change, &record));
    if let Some(next) = next(server, &record) {
        given.say.line(next);
    }
    Ok(Verdict::Yes)
}

fn told(server: &ServerName, change: &Change, record: &Record) -> String {
    let now = match record.until() {
        Some(until) => format!("`{server}` is approved until {}", when(until)),
        None => format!("`{server}` is {}", record.state.as_str()),
    };
    match change.facts.as_slice() {
        [] => now,
        facts => format!("{now}; recorded {}", facts.join(", ")),
    }
}

/// What comes next, for whoever is on the way to an approval.
fn next(server: &ServerName, record: &Record) -> Option<String> {
    match record.state {
        State::Candidate => Some(format!("next: `callgate registry review {server}`")),
        State::InReview => Some(format!(
            "next: `callgate registry show {server}` says what is missing, `callgate registry approve {server} --until \
             DATE` approves it"
        )),
        State::Suspended => Some(format!("`callgate registry review {server}` begins the way back")),
        State::Approved | State::Retired => None,
    }
}

/// Whether a date is so near that somebody should know.
pub(crate) fn is_near(until: Timestamp, now: Timestamp) -> bool {
    const NEAR_US: u64 = 30 * 24 * 3_600 * 1_000_000;
    until.0 <= now.0.saturating_add(NEAR_US)
}
