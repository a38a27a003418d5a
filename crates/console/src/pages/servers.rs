//! The registry: every server with where it stands, and one with everything that is recorded of it.

mod look;
mod machine;
mod review;
mod step;

pub(crate) use look::look;
use machine::{Machine, machine};
pub(crate) use review::{href as review_href, judge, review};
use step::looked_at;
pub(crate) use step::step;

use super::{Frame, rendered};
use crate::view::{Shown, When, day, span, when};
use crate::web::{Body, Stop};
use crate::{Configured, Console, Fields, Route, Signed};
use askama::Template;
use catalog::record::{Absent, Access, Change, Fact, Group, Known, Record, Regime, State, Step};
use decision::{ServerName, Timestamp};
use http::{Response, StatusCode};
use policy::{ConsoleAction, On};

/// Steps that are shown.
const STEPS: u64 = 30;
/// So long before its end an approval asks for somebody.
const NEAR_US: u64 = 30 * 24 * 3_600 * 1_000_000;

#[derive(Template)]
#[template(path = "servers.html")]
struct Servers {
    frame: Frame,
    lines: Vec<ServerLine>,
    may: bool,
    step: String,
}

struct ServerLine {
    href: String,
    name: String,
    standing: StandingView,
    absent: Option<AbsentView>,
    risk: &'static str,
    owner: Shown,
    team: Shown,
    purpose: Shown,
    waits: Waits,
}

/// What a server shows and nobody has accepted, as a link.
struct Waits {
    href: String,
    count: usize,
    words: String,
    /// What is worst in it: `high` or `critical`, or nothing that is urgent.
    urgent: &'static str,
}

impl Waits {
    async fn of(console: &Console, name: &ServerName, known: Option<&Known>) -> Result<Self, Stop> {
        let count = known.map(|known| known.pending + known.gone).unwrap_or_default();
        let words = if count == 1 { "1 change waits".to_owned() } else { format!("{count} changes wait") };
        let pending = known.map(|known| known.pending).unwrap_or_default();
        let urgent = if pending > 0 { urgent(console, name).await? } else { "" };
        Ok(Self { href: review_href(name), count, words, urgent })
    }
}

/// What is worst in what waits at a server, if that is urgent.
pub(crate) async fn urgent(console: &Console, name: &ServerName) -> Result<&'static str, Stop> {
    Ok(console.urgencies.of(console.store(), &console.parts.scope, name).await?)
}

/// Where a server stands, for the eye.
struct StandingView {
    state: &'static str,
    until: Option<When>,
    left: String,
    /// What of it may be used: `everything`, `reads only`, `nothing`; `nothing yet` where nobody saw what it offers.
    used: &'static str,
    /// How much care that asks for: `whole`, `reads`, `nothing`.
    care: &'static str,
    soon: bool,
}

impl StandingView {
    fn of(record: Option<&Record>, known: Option<(&Known, Access)>, now: Timestamp) -> Self {
        let until = record.and_then(Record::until);
        let never_seen = known.is_some_and(|(known, _)| !known.seen);
        let (used, care) = match known.map(|(_, access)| access) {
            Some(Access::Whole | Access::Reads(_)) if never_seen => ("nothing yet", "none"),
            None => ("not configured", "none"),
            Some(Access::Whole) => ("everything", "whole"),
            Some(Access::Reads(_)) => ("reads only", "reads"),
            Some(Access::Nothing(_)) => ("nothing", "nothing"),
        };
        Self {
            state: record.map_or("no record", |record| record.state.as_str()),
            until: until.map(when),
            left: until.map(|until| left(until, now)).unwrap_or_default(),
            used,
            care,
            soon: until.is_some_and(|until| until.0 <= now.0.saturating_add(NEAR_US)),
        }
    }
}

fn left(until: Timestamp, now: Timestamp) -> String {
    const DAY_US: u64 = 24 * 3_600 * 1_000_000;
    match until.since(now) {
        0 => "overdue".to_owned(),
        us if us < 2 * DAY_US => format!("{} left", span(us)),
        us => format!("{} days left", us / DAY_US),
    }
}

pub(crate) async fn servers(
    console: &Console,
    signed: &Signed,
    frame: Frame,
) -> Result<Response<Body>, Stop> {
    let (store, scope, now) = (console.store(), &console.parts.scope, console.parts.clock.now());
    let mut records = store.records(scope).await?;
    let mut lines = Vec::new();
    for one in console.parts.servers.configured(None) {
        let known = store.known(scope, &one.name, one.known).await?;
        let waits = Waits::of(console, &one.name, Some(&known)).await?;
        let record = records.remove(&one.name);
        let line = line(&one.name, record.as_ref(), Some((&known, one.access)), waits, now);
        lines.push(ServerLine { absent: one.absent.as_ref().map(AbsentView::of), ..line });
    }
    for (name, record) in &records {
        lines.push(line(name, Some(record), None, Waits::of(console, name, None).await?, now));
    }
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    let may = console.may(signed, ConsoleAction::ChangeServer, &On::Console);
    rendered(StatusCode::OK, &Servers { frame, lines, may, step: Route::StepServer.path() })
}

fn line(
    name: &ServerName,
    record: Option<&Record>,
    known: Option<(&Known, Access)>,
    waits: Waits,
    now: Timestamp,
) -> ServerLine {
    let said = |fact| Shown::short(record.and_then(|record| record.facts.get(fact)).unwrap_or_default());
    ServerLine {
        href: href(name),
        name: name.to_string(),
        standing: StandingView::of(record, known, now),
        absent: None,
        risk: known.and_then(|(known, _)| known.rating()).map_or("", |tier| tier.as_str()),
        owner: said(Fact::Owner),
        team: said(Fact::Team),
        purpose: said(Fact::Purpose),
        waits,
    }
}

/// The page of a server.
pub(crate) fn href(name: &ServerName) -> String {
    format!("{}?name={name}", Route::Server.path())
}

#[derive(Template)]
#[template(path = "server.html")]
struct Sheet {
    frame: Frame,
    name: String,
    standing: StandingView,
    problem: Option<Vec<(bool, String)>>,
    /// Why not everything may be used; what is to be typed is set apart.
    because: Vec<(bool, String)>,
    absent: Option<AbsentView>,
    purpose: Shown,
    waits: Waits,
    /// The version of the record that is shown: what somebody decides is this.
    seen: u64,
    /// What a step that grants something is about.
    shown: String,
    groups: Vec<GroupView>,
    machine: Option<Machine>,
    missing: Vec<(&'static str, &'static str)>,
    /// It is used as it is where it is: nothing has to be filled in or approved.
    local: bool,
    /// What somebody should know of what is declared of its tools.
    remarks: Vec<Shown>,
    differences: Vec<DifferenceView>,
    declared: bool,
    history: Vec<StepView>,
    steps: Vec<StepForm>,
    may: bool,
    step: String,
    look: String,
    servers: String,
    /// The day that is proposed as the next date.
    proposed: String,
    critical: bool,
    approvable: bool,
}

/// Since when a server cannot be looked at, and why.
struct AbsentView {
    since: When,
    because: Shown,
}

impl AbsentView {
    fn of(absent: &Absent) -> Self {
        Self { since: when(absent.since), because: Shown::of(&absent.because) }
    }
}

struct GroupView {
    title: &'static str,
    facts: Vec<FactView>,
}

struct FactView {
    key: &'static str,
    label: &'static str,
    meaning: &'static str,
    value: Shown,
    /// Where it is an address that a browser may follow.
    href: Option<String>,
    missing: bool,
    date: bool,
    words: &'static [&'static str],
}

struct DifferenceView {
    what: &'static str,
    record: Shown,
    now: Shown,
    file: bool,
}

struct StepView {
    at: When,
    step: &'static str,
    by: Shown,
    until: Option<When>,
    because: Option<Shown>,
    facts: String,
}

/// A button of a step that can be taken from here.
struct StepForm {
    step: &'static str,
    label: &'static str,
    class: &'static str,
}

pub(crate) async fn server(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    fields: &Fields,
    problem: Option<String>,
) -> Result<Response<Body>, Stop> {
    let name = named(fields, "name")?;
    let status = if problem.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let sheet = sheet(console, signed, frame, &name, problem).await?;
    rendered(status, &sheet)
}

/// The server that a field names.
fn named(fields: &Fields, field: &str) -> Result<ServerName, Stop> {
    let name = fields.get(field).cloned().unwrap_or_default();
    ServerName::new(name).map_err(|_| Stop::nowhere())
}

/// What is so of a server, with what is stored of its items.
pub(crate) async fn configured(console: &Console, name: &ServerName) -> Result<Option<Configured>, Stop> {
    let Some(one) = console.parts.servers.configured(Some(name)).pop() else { return Ok(None) };
    let known = console.store().known(&console.parts.scope, name, one.known).await?;
    Ok(Some(Configured { known, ..one }))
}

async fn sheet(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    name: &ServerName,
    problem: Option<String>,
) -> Result<Sheet, Stop> {
    let (store, scope, now) = (console.store(), &console.parts.scope, console.parts.clock.now());
    let record = store.record(scope, name).await?;
    let configured = configured(console, name).await?;
    if record.is_none() && configured.is_none() {
        return Err(Stop::nowhere());
    }
    let facts = record.as_ref().map(|record| record.facts.clone()).unwrap_or_default();
    let asks = |one: &&Configured| record.is_some() || one.known.regime != Regime::Local;
    let missing = configured.as_ref().filter(asks).map(|one| one.known.missing(&facts)).unwrap_or_default();
    let lacks = |fact: Fact| missing.iter().any(|one| one.key() == fact.key());
    let differences = configured.as_ref().map(|one| one.known.differences(&one.declared, record.as_ref()));
    let state = record.as_ref().map(|record| record.state);
    let history = store.record_steps(scope, name, STEPS).await?;
    let looked = store.server(scope, name).await?.and_then(|seen| seen.seen_at);
    let access = configured.as_ref().map(|one| one.access);
    let steps = State::steps(state).filter_map(form).collect();
    Ok(Sheet {
        standing: StandingView::of(
            record.as_ref(),
            configured.as_ref().map(|one| (&one.known, one.access)),
            now,
        ),
        local: record.is_none() && configured.as_ref().is_some_and(|one| one.known.regime == Regime::Local),
        because: access.and_then(|access| access.because(name.as_str())).map(quoted).unwrap_or_default(),
        absent: configured.as_ref().and_then(|one| one.absent.as_ref()).map(AbsentView::of),
        purpose: Shown::of(facts.get(Fact::Purpose).unwrap_or_default()),
        waits: Waits::of(console, name, configured.as_ref().map(|one| &one.known)).await?,
        seen: record.as_ref().map_or(0, |record| record.version),
        shown: looked_at(record.as_ref(), configured.as_ref()).to_string(),
        groups: Group::ALL.into_iter().map(|group| group_of(group, &facts, &lacks)).collect(),
        critical: configured.as_ref().and_then(|one| one.known.rating()) == Some(catalog::Tier::Critical),
        machine: configured.as_ref().map(|one| machine(&one.known, looked)),
        missing: missing.iter().map(|one| (one.label(), one.meaning())).collect(),
        remarks: configured.as_ref().map(|one| remarks(&one.known, now)).unwrap_or_default(),
        differences: differences.unwrap_or_default().iter().map(difference).collect(),
        declared: configured.as_ref().is_some_and(|one| !one.declared.is_empty()),
        history: history.iter().map(taken).collect(),
        approvable: State::after(state, Step::Approve).is_some() && configured.is_some(),
        steps,
        may: console.may(signed, ConsoleAction::ChangeServer, &On::Console),
        step: Route::StepServer.path(),
        look: Route::LookAt.path(),
        servers: Route::Servers.path(),
        proposed: when(Timestamp(now.0.saturating_add(3 * NEAR_US))).machine.chars().take(10).collect(),
        name: name.to_string(),
        frame,
        problem: problem.map(quoted),
    })
}

fn remarks(known: &Known, now: Timestamp) -> Vec<Shown> {
    let all = known.remarks(now);
    let said = all.iter().map(|(remark, said, tools)| remark.sentence(said, tools, day));
    let all = known
        .calls_itself
        .iter()
        .cloned()
        .chain(known.told_unoffered())
        .chain(said)
        .chain(known.conduct(day));
    all.map(|one| Shown::of(&one)).collect()
}

/// A sentence of ours, taken apart at its backticks.
pub(crate) fn quoted(text: String) -> Vec<(bool, String)> {
    text.split('`').enumerate().map(|(index, part)| (index % 2 == 1, part.to_owned())).collect()
}

/// The forms beside the one for an approval, which asks for more.
fn form(step: Step) -> Option<StepForm> {
    let (label, class) = match step {
        Step::Add => ("Add as a candidate", ""),
        Step::Review => ("Begin a review", "approve"),
        Step::Suspend => ("Suspend", "deny"),
        Step::Retire => ("Retire", ""),
        Step::Set | Step::Approve | Step::Forget => return None,
    };
    Some(StepForm { step: step.as_str(), label, class })
}

fn group_of(group: Group, facts: &catalog::record::Facts, lacks: &impl Fn(Fact) -> bool) -> GroupView {
    let view = |fact: &Fact| {
        let value = facts.get(*fact).unwrap_or_default();
        FactView {
            key: fact.key(),
            label: fact.label(),
            meaning: fact.meaning(),
            value: Shown::of(value),
            href: (value.starts_with("https://") && Shown::of(value).to_string() == value)
                .then(|| value.to_owned()),
            missing: lacks(*fact),
            date: fact.is_date(),
            words: fact.words(),
        }
    };
    // what is asked of a vendor is asked where there is one
    let asked =
        |fact: &&Fact| group != Group::Vendor || **fact == Fact::Vendor || facts.get(Fact::Vendor).is_some();
    let of = Fact::ALL.iter().filter(|fact| fact.group() == group).filter(asked);
    GroupView { title: group.as_str(), facts: of.map(view).collect() }
}

fn difference(one: &catalog::record::Difference) -> DifferenceView {
    let said = |value: &Option<String>| Shown::of(&value.as_deref().unwrap_or("nothing").replace('\n', ", "));
    DifferenceView {
        what: one.what,
        record: said(&one.record),
        now: said(&one.now),
        file: Fact::parse(one.what).is_ok(),
    }
}

fn taken(change: &Change) -> StepView {
    StepView {
        at: when(change.at),
        step: change.step.as_str(),
        by: Shown::of(&change.by),
        until: change.until.map(when),
        because: change.because.as_deref().map(Shown::of),
        facts: change.facts.join(", "),
    }
}
