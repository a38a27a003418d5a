//! What is kept of servers beside what is so, and showing both.

use super::shown;
use crate::{
    cli::Given,
    control,
    failure::{Outcome, Verdict},
    near,
    place::Place,
    say::{
        Say, one_line, printable,
        table::{whole, wrapped},
        when,
    },
    sources::SystemClock,
};
use anyhow::anyhow;
use catalog::record::{
    Absent, Access, Difference, Fact, Facts, Group, Held, Known, Record, State, ToolKnown, looked_at,
};
use decision::{Clock as _, ServerName};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Store;

/// Steps that are shown.
const STEPS: u64 = 50;

/// The store, and what would be in force.
pub(crate) struct Kept {
    pub(crate) store: Store,
    live: gateway::Live,
    /// Why the rules do not load.
    pub(crate) problems: Vec<policy::Problem>,
    scope: store::Scope,
    /// Servers that a running gateway cannot look at.
    absent: BTreeMap<ServerName, Absent>,
}

impl Kept {
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        Self::over(place.store().await?, place).await
    }

    /// The same for whoever only reads.
    pub(crate) async fn open_to_read(place: &Place, say: Say) -> anyhow::Result<Self> {
        Ok(Self::over(place.store_to_read(say).await?, place).await?.beside_a_gateway(place).await)
    }

    /// With what the gateway knows that runs there, if one does.
    pub(crate) async fn beside_a_gateway(self, place: &Place) -> Self {
        Self { absent: control::absent(place).await, ..self }
    }

    async fn over(store: Store, place: &Place) -> anyhow::Result<Self> {
        let settings = Arc::new(place.meant.settings.clone());
        let written = gateway::Written { settings, policies: place.policies()? };
        let loader = policy::Loader::default();
        let eras = BTreeMap::new();
        let built = gateway::build(&store, &loader, &written, None, &eras, gateway::Fit::Changed).await?;
        let kept = Self::of(store, built.live, place);
        Ok(Self { problems: built.problems, ..kept })
    }

    /// Over a snapshot that was built already.
    pub(crate) fn of(store: Store, live: gateway::Live, place: &Place) -> Self {
        Self { store, live, problems: Vec::new(), scope: place.scope(), absent: BTreeMap::new() }
    }

    /// Why what is shown cannot be pinned, if it cannot.
    pub(super) async fn unpinned(
        &self,
        server: &ServerName,
        pin: &store::Pin,
    ) -> anyhow::Result<Option<String>> {
        if pin.state == store::PinState::Gone || !catalog::is_stand_in(&pin.item.name) {
            return Ok(None);
        }
        let raw = self.store.definition(&self.scope, &pin.seen).await?.unwrap_or_default();
        Ok(Some(catalog::why_unpinned(server, pin.item.kind, &raw, &pin.seen)))
    }

    /// What would be in force.
    pub(super) fn live(&self) -> &gateway::Live {
        &self.live
    }

    pub(crate) async fn record(&self, server: &ServerName) -> anyhow::Result<Option<Record>> {
        Ok(self.store.record(&self.scope, server).await?)
    }

    /// What the file says of it.
    pub(crate) fn declared(&self, server: &ServerName) -> Facts {
        gateway::registry::declared(&self.live.settings, server).cloned().unwrap_or_default()
    }

    /// What is so. `None` where it is not configured.
    pub(crate) async fn known(&self, server: &ServerName) -> anyhow::Result<Option<Known>> {
        Ok(match gateway::registry::configured(&self.live, server) {
            Some(known) => Some(self.store.known(&self.scope, server, known).await?),
            None => None,
        })
    }

    pub(crate) fn access(&self, server: &ServerName) -> Access {
        self.live.registry.access(server)
    }

    /// Configured servers and those that have a record.
    async fn names(&self) -> anyhow::Result<BTreeSet<ServerName>> {
        let recorded = self.store.records(&self.scope).await?.into_keys();
        Ok(self.live.settings.servers.keys().cloned().chain(recorded).collect())
    }

    /// Whether there is such a server at all: configured, recorded, or seen once. Errors: which there are.
    pub(super) async fn must_know(&self, server: &ServerName) -> anyhow::Result<()> {
        let mut known = self.names().await?;
        known.extend(self.store.list_servers(&self.scope).await?.into_iter().map(|seen| seen.name));
        if known.contains(server) {
            return Ok(());
        }
        let known = known.iter().map(ToString::to_string).collect();
        Err(anyhow!(near::none(&format!("there is no server `{server}`"), server.as_str(), &known)))
    }

    /// Where the file, or how things are, differs from the record.
    pub(crate) async fn differences(&self, server: &ServerName) -> anyhow::Result<Vec<Difference>> {
        let Some(known) = self.known(server).await? else { return Ok(Vec::new()) };
        Ok(known.differences(&self.declared(server), self.record(server).await?.as_ref()))
    }
}

/// What may be used of it, in a word.
fn word(access: Access) -> &'static str {
    match access {
        Access::Whole => "everything",
        Access::Reads(_) => "reads",
        Access::Nothing(_) => "nothing",
    }
}

/// A table of servers: where each stands.
pub(super) async fn table(kept: &Kept, only: Option<&ServerName>, say: Say) -> anyhow::Result<()> {
    let (mut rows, mut rated) = (Vec::new(), Vec::new());
    for name in kept.names().await?.iter().filter(|name| only.is_none_or(|only| only == *name)) {
        let (record, known) = (kept.record(name).await?, kept.known(name).await?);
        let risk = known.as_ref().and_then(Known::rating).map_or("", |tier| tier.as_str());
        let because = known.as_ref().and_then(Known::rated_by);
        rated.extend(because.map(|because| one_line(&format!("`{name}`: {because}"))));
        rows.push(vec![
            name.to_string(),
            record.as_ref().map_or("no record", |record| record.state.as_str()).to_owned(),
            record.as_ref().and_then(Record::until).map(when).unwrap_or_default(),
            known.as_ref().map_or("not configured", |_| word(kept.access(name))).to_owned(),
            risk.to_owned(),
            record.and_then(|record| record.facts.get(Fact::Owner).map(str::to_owned)).unwrap_or_default(),
        ]);
    }
    let [server, state, until, risk] = ["server", "state", "until", "risk"].map(whole);
    let [used, owner] = ["may be used", "owner"].map(wrapped);
    say.table(&[server, state, until, used, risk, owner], rows);
    for sentence in rated {
        say.line(format!("{} {sentence}", say.paint(33, "!")));
    }
    for (server, absent) in kept.absent.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        say.line(format!("{} {}", say.paint(33, "!"), away(server, absent)));
    }
    Ok(())
}

/// That a server cannot be looked at, in one line.
fn away(server: &ServerName, absent: &Absent) -> String {
    let because = one_line(&absent.because);
    format!("the gateway cannot look at `{server}` since {} UTC: {because}", when(absent.since))
}

pub(super) async fn show(server: Option<&ServerName>, given: &Given, place: &Place) -> Outcome {
    let kept = Kept::open_to_read(place, given.say).await?;
    let Some(server) = server else {
        let mut all = Vec::new();
        for name in kept.names().await? {
            all.push(value(&kept, &name).await?);
        }
        given.say.json(&all);
        table(&kept, None, given.say).await?;
        return Ok(Verdict::Yes);
    };
    kept.must_know(server).await?;
    given.say.json(&value(&kept, server).await?);
    if !given.say.json {
        tell(&kept, server, given.say).await?;
    }
    Ok(Verdict::Yes)
}

async fn value(kept: &Kept, server: &ServerName) -> anyhow::Result<Value> {
    let (record, known) = (kept.record(server).await?, kept.known(server).await?);
    let access = known.as_ref().map(|_| kept.access(server));
    let facts = record.as_ref().map(|record| record.facts.clone()).unwrap_or_default();
    let missing = known.as_ref().map(|known| known.missing(&facts)).unwrap_or_default();
    let approved = record.as_ref().and_then(|record| record.approved.as_ref());
    let steps = kept.store.record_steps(&kept.scope, server, STEPS).await?;
    let departures = kept.store.departures(&kept.scope, server).await?;
    let seen = kept.store.server(&kept.scope, server).await?;
    Ok(json!({
        "server": server,
        "configured": known.is_some(),
        "state": record.as_ref().map(|record| record.state.as_str()),
        "until": record.as_ref().and_then(Record::until).map(when),
        "may-be-used": access.map(word),
        "because": access.and_then(|access| access.because(server.as_str())),
        "absent": kept.absent.get(server).map(|absent| json!({
            "since": when(absent.since), "because": absent.because,
        })),
        "looked-at": seen.and_then(|seen| seen.seen_at).map(when),
        "facts": facts,
        "declared": kept.declared(server),
        "approved": approved.map(|approved| json!({
            "at": when(approved.at), "by": approved.by, "until": when(approved.until), "version": approved.version,
            "wiring": approved.wiring.lines().collect::<Vec<_>>(),
        })),
        "known": known.as_ref().map(|known| json!({
            "environment": known.environment, "regime": known.regime, "version": known.version, "seen": known.seen,
            "wiring": known.wiring.lines().collect::<Vec<_>>(), "credentials": known.credentials,
            "tools": known.tools, "withheld": known.withheld, "unpinned": known.unpinned, "resources": known.resources, "prompts": known.prompts,
            "risk": known.rating().map(|tier| tier.as_str()), "risk-because": known.rated_by(), "pending": known.pending, "unread": known.unread,
            "undocumented": known.undocumented().collect::<Vec<_>>(),
        })),
        "shown": looked_at(record.as_ref(), &kept.declared(server), known.as_ref()),
        "missing": missing.iter().map(|one| json!({ "field": one.key(), "because": one.meaning() })).collect::<Vec<_>>(),
        "differences": kept.differences(server).await?,
        "caught": shown::caught(&departures).map(|(items, worst)| json!({ "items": items, "severity": worst })),
        "history": steps.iter().map(|step| json!({
            "at": when(step.at), "by": step.by, "step": step.step, "from": step.from, "to": step.to,
            "until": step.until.map(when), "because": step.because, "changed": step.facts,
        })).collect::<Vec<_>>(),
    }))
}

async fn tell(kept: &Kept, server: &ServerName, say: Say) -> anyhow::Result<()> {
    let (record, known) = (kept.record(server).await?, kept.known(server).await?);
    let facts = record.as_ref().map(|record| record.facts.clone()).unwrap_or_default();
    let row = |label: &str, value: &str| {
        let value = if value.is_empty() { say.paint(2, "–") } else { one_line(value) };
        say.line(format!("  {label:24}{value}"));
    };
    let state = record.as_ref().map_or("no record", |record| record.state.as_str());
    let until = record.as_ref().and_then(Record::until).map(|until| format!(", until {}", when(until)));
    say.line(format!("{server}: {state}{}", until.unwrap_or_default()));
    match &known {
        None => say.line("  it is not in the configuration, so nobody reaches it here"),
        Some(known) => {
            if let Some(because) = kept.access(server).because(server.as_str()) {
                say.line(format!("  {} {because}", say.paint(33, "!")));
            }
            if let Some(absent) = kept.absent.get(server) {
                say.line(format!("  {} {}", say.paint(33, "!"), away(server, absent)));
            }
            machine(known, &row);
            let seen = kept.store.server(&kept.scope, server).await?;
            row("Last looked at", &seen.and_then(|seen| seen.seen_at).map(when).unwrap_or_default());
            row(
                "To approve it so",
                &format!("--as {}", looked_at(record.as_ref(), &kept.declared(server), Some(known))),
            );
        }
    }
    for group in Group::ALL {
        let vendor = group != Group::Vendor || facts.get(Fact::Vendor).is_some();
        for fact in Fact::ALL.iter().filter(|fact| fact.group() == group && vendor) {
            row(fact.label(), facts.get(*fact).unwrap_or_default());
        }
    }
    let missing = known.as_ref().map(|known| known.missing(&facts)).unwrap_or_default();
    if !missing.is_empty() && record.as_ref().is_none_or(|record| record.state != State::Retired) {
        let keys: Vec<_> = missing.iter().map(|one| one.key()).collect();
        say.line(format!("{} missing for an approval: {}", say.paint(33, "!"), keys.join(", ")));
    }
    for difference in kept.differences(server).await? {
        say.line(format!("{} {}", say.paint(33, "!"), sentence(&difference)));
    }
    caught(kept, server, say).await?;
    if let Some(known) = &known {
        for (remark, said, tools) in known.remarks(SystemClock.now()) {
            let sentence = one_line(&remark.sentence(said, &tools, crate::say::day));
            say.line(format!("{} {sentence}", say.paint(33, "!")));
        }
        let sentences = known.calls_itself.iter().cloned().chain(known.told_unoffered());
        for sentence in sentences.chain(known.conduct(crate::say::day)) {
            say.line(format!("{} {}", say.paint(33, "!"), one_line(&sentence)));
        }
        tools(known, say);
    }
    let steps = kept.store.record_steps(&kept.scope, server, STEPS).await?;
    let lines = steps.iter().map(|step| {
        let until = step.until.map(|until| format!("until {}", when(until))).unwrap_or_default();
        let because = step.because.clone().unwrap_or_default();
        vec![when(step.at), step.step.as_str().to_owned(), step.by.clone(), until, because]
    });
    let [when, step, until] = ["when", "step", ""].map(whole);
    let [by, because] = ["by", "because"].map(wrapped);
    say.table(&[when, step, by, until, because], lines.collect());
    Ok(())
}

/// What it was caught at since somebody accepted it.
async fn caught(kept: &Kept, server: &ServerName, say: Say) -> anyhow::Result<()> {
    if let Some((items, worst)) = shown::caught(&kept.store.departures(&kept.scope, server).await?) {
        let items = if items == 1 { "one item was".to_owned() } else { format!("{items} items were") };
        let said = format!(
            "{items} shown as something else since somebody accepted it, {} at worst: `callgate registry diff {server}`",
            worst.as_str()
        );
        say.line(format!("{} {said}", say.paint(if worst.flags() { 31 } else { 33 }, "!")));
    }
    Ok(())
}

/// What a yes to a server is about: how it is reached, and what its tools are.
pub(super) fn granted(known: &Known, say: Say) {
    machine(known, &|label: &str, value: &str| {
        if !value.is_empty() {
            say.line(format!("  {label:24}{}", one_line(value)));
        }
    });
    tools(known, say);
}

/// What each tool is, and on whose word.
fn tools(known: &Known, say: Say) {
    let owned = known.tools.iter().any(|tool| tool.owner.is_some());
    let row = |tool: &ToolKnown| {
        let judged = tool.by_definition();
        let said: Vec<_> = tool.said.iter().map(|said| said.sentence(crate::say::day)).collect();
        let whose = match said.is_empty() {
            true => tool.origin.whose().to_owned(),
            false => said.join("; "),
        };
        let class = format!("{}, {}", tool.effect.as_str(), tool.tier.as_str());
        let owner = owned.then(|| one_line(tool.owner.as_deref().unwrap_or("the server's team")));
        let rest = [class, one_line(&whose), one_line(&judged)];
        [one_line(&tool.name)].into_iter().chain(owner).chain(rest).collect()
    };
    let owner = owned.then_some(wrapped("whose it is"));
    let head = ["what it is", "who says so", "what its definition says"].map(wrapped);
    let head: Vec<_> = [whole("tool")].into_iter().chain(owner).chain(head).collect();
    say.table(&head, known.tools.iter().map(row).collect());
}

/// What the machine knows.
fn machine(known: &Known, row: &impl Fn(&str, &str)) {
    row("Environment", &known.environment);
    row("Version", known.version.as_deref().unwrap_or_default());
    row("Risk", known.rating().map_or("", |tier| tier.as_str()));
    let reads = known.tools.iter().filter(|tool| tool.reads).count();
    let tools = known.tools.len();
    row("Tools", &format!("{tools}, of which {reads} may be used while it is held to reads"));
    row("Resources and prompts", &format!("{} and {}", known.resources.len(), known.prompts.len()));
    row("Credentials", &known.credentials.join(", "));
    let approvals: BTreeSet<&str> =
        known.tools.iter().flat_map(|tool| &tool.approvals).map(String::as_str).collect();
    row("Calls may need a yes of", &approvals.into_iter().collect::<Vec<_>>().join("; "));
    row("Without a description", &known.undocumented().collect::<Vec<_>>().join(", "));
    row("Accepted unread", &known.unread.to_string());
    for line in known.wiring.lines() {
        row("Reached by", line);
    }
}

/// A difference, for people.
pub(crate) fn sentence(difference: &Difference) -> String {
    let said = |value: &Option<String>| match value {
        Some(value) => format!("`{}`", printable(value).replace('\n', ", ")),
        None => "nothing".to_owned(),
    };
    let now = match difference.what {
        "wiring" | "version" => "is now",
        _ => "in the file is",
    };
    format!(
        "{} {now} {} and in the record {}",
        difference.what,
        said(&difference.now),
        said(&difference.record)
    )
}

/// What an operator should know of the records, a line each.
pub(crate) async fn warnings(kept: &Kept) -> anyhow::Result<Vec<String>> {
    let now = SystemClock.now();
    let mut found = Vec::new();
    for name in kept.live.settings.servers.keys() {
        let access = kept.access(name);
        if let Some(because) = access.because(name.as_str()) {
            found.push(because);
        }
        found.extend(kept.absent.get(name).map(|absent| away(name, absent)));
        let until = kept.record(name).await?.as_ref().and_then(Record::until);
        if let Some(until) = until.filter(|until| super::records::is_near(*until, now))
            && access != Access::Reads(Held::Overdue)
        {
            found.push(format!(
                "the server `{name}` is approved until {}: look at it again, then `callgate registry approve {name} \
                 --until DATE`",
                when(until)
            ));
        }
        let known = kept.known(name).await?;
        for (remark, said, tools) in known.iter().flat_map(|known| known.remarks(now)) {
            found.push(format!("server `{name}`: {}", remark.sentence(said, &tools, crate::say::day)));
        }
        let sentences = known
            .iter()
            .flat_map(|known| known.calls_itself.iter().cloned().chain(known.conduct(crate::say::day)));
        found.extend(sentences.map(|sentence| format!("server `{name}`: {sentence}")));
        for difference in kept.differences(name).await? {
            found.push(format!(
                "server `{name}`: {}: see `callgate registry diff {name}`",
                sentence(&difference)
            ));
        }
    }
    Ok(found)
}
