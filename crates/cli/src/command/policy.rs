//! `callgate policy`: who may do what, answered by asking the engine and not by reading rules.

mod cases;
mod row;

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        one_line,
        table::{Cell, whole, wrapped},
    },
    sources::SystemClock,
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use decision::{
    Actor, AgentName, Clock as _, Digest, ItemKind, Principal, RuleId, ServerName, Transport, UserName,
};
use gateway::{Live, Unknown};
use policy::{Asker, Circumstances, Policies, Question, Subject};
use row::Row;
pub(crate) use row::{Ruling, disabled_is, observed};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use store::Store;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Which principals may make a call, as the rules and the server's record have it
    WhoCan(WhoCan),
    /// What one principal may see and use, as the rules and the servers' records have it
    WhatCan(WhatCan),
    /// A rule, by its id
    Explain { rule: String },
    /// Ask what files of cases ask, and compare the answers
    Test {
        /// By default every `*.test.toml` beside the rules
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WhoCan {
    /// A tool as `/mcp` names it, such as `payments__refund`
    call: String,
    /// Arguments to ask with, as a JSON object; without them it may depend on them
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// The name of the host program that claims to call
    #[arg(long)]
    host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WhatCan {
    /// An agent's name
    principal: AgentName,
    /// Ask as if the agent acted for this person
    #[arg(long)]
    user: Option<UserName>,
    /// The name of the host program that claims to call
    #[arg(long)]
    host: Option<String>,
    /// What may not be seen too, and why
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(policy: Policy, given: &Given) -> Outcome {
    let place = given.place()?;
    let store = place.store_to_read(given.say).await?;
    let live = live(&place, &store).await?;
    match policy {
        Policy::Test { files } => cases::run(&files, given, &place, &live),
        Policy::WhoCan(args) => who_can(&args, given, &place, &store, &live).await,
        Policy::WhatCan(args) => what_can(args, given, &place, &store, &live).await,
        Policy::Explain { rule } => explain(&rule, given, &live.policies),
    }
}

/// The rules over what is accepted. Errors: their problems.
pub(crate) async fn load(place: &Place, store: &Store) -> Result<Arc<Policies>, Failure> {
    Ok(live(place, store).await?.policies)
}

/// All that calls would be judged by.
pub(crate) async fn live(place: &Place, store: &Store) -> Result<gateway::Live, Failure> {
    let built = built(place, store, place.policies()?, gateway::Fit::Changed).await?;
    if built.problems.is_empty() { Ok(built.live) } else { Err(Failure::Policies(built.problems)) }
}

/// What is wrong with the rules as they are written.
pub(crate) async fn problems(place: &Place, store: &Store) -> Result<Vec<policy::Problem>, Failure> {
    Ok(built(place, store, place.policies()?, gateway::Fit::Strict).await?.problems)
}

/// A first policy for what the configured servers offer, whatever rules there are.
pub(crate) async fn starter(place: &Place, store: &Store) -> Result<String, Failure> {
    let built = built(place, store, Vec::new(), gateway::Fit::Changed).await?;
    Ok(policy::starter(&built.live.catalogue))
}

async fn built(
    place: &Place,
    store: &Store,
    policies: Vec<policy::Source>,
    fit: gateway::Fit,
) -> Result<gateway::Built, Failure> {
    let settings = Arc::new(place.meant.settings.clone());
    let written = gateway::Written { settings, policies };
    let loader = policy::Loader::default();
    Ok(gateway::build(store, &loader, &written, None, &BTreeMap::new(), fit).await?)
}

/// Every principal that can call: agents with what is known of them, and who speaks over standard input.
pub(crate) async fn principals(place: &Place, store: &Store) -> anyhow::Result<Vec<Principal>> {
    Ok(store.principals(&place.scope(), &place.meant.settings.agents()).await?)
}

/// The server and the tool that a federated name means.
pub(crate) fn subject(call: &str) -> Result<(ServerName, &str), Failure> {
    catalog::split(call).ok_or_else(|| {
        Failure::Usage(format!("`{call}` is not a tool as `/mcp` names it: write `server__tool`"))
    })
}

/// Why arguments do not fit a tool's pinned schema.
pub(crate) fn misfit(
    live: &gateway::Live,
    (server, tool): (&ServerName, &str),
    definition: Digest,
    arguments: &[u8],
) -> anyhow::Result<Option<String>> {
    let server = live.settings.servers.get(server);
    let opened = server.is_some_and(|server| server.open_arguments.contains(tool));
    let unknown = if opened { Unknown::Allow } else { Unknown::Refuse };
    let Some(Ok(schema)) = live.schemas.input(definition, unknown) else { return Ok(None) };
    let fits = schema.fits(&serde_json::from_slice(arguments)?, arguments.len());
    Ok(fits.problem().map(|problem| format!("the arguments do not fit the pinned schema: {problem}")))
}

async fn who_can(args: &WhoCan, given: &Given, place: &Place, store: &Store, live: &Live) -> Outcome {
    let policies = &live.policies;
    let (server, name) = subject(&args.call)?;
    let subject = Subject { server: &server, kind: ItemKind::Tool, name };
    let Some(item) = policies.catalogue().item(&server, ItemKind::Tool, name) else {
        return Err(anyhow!(
            "no accepted tool is called `{}`: `callgate registry list` shows all",
            args.call
        )
        .into());
    };
    let arguments = args.args.as_deref().unwrap_or("{}");
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(arguments);
    is_object.map_err(|error| Failure::Usage(format!("`--args` is not a JSON object: {error}")))?;
    let misfit = match &args.args {
        Some(given) => misfit(live, (&server, name), item.definition.digest(), given.as_bytes())?,
        None => None,
    };
    let (all, disabled) = (principals(place, store).await?, store.disabled_agents(&place.scope()).await?);
    let nobody = Principal::unknown();
    let question = Question {
        asker: Asker { principal: &nobody, host: args.host.as_deref() },
        subject,
        method: "tools/call",
        arguments: arguments.as_bytes(),
        circumstances: Circumstances {
            now: SystemClock.now(),
            transport: Transport::Http,
            era: None,
            model: None,
            workflow: None,
        },
    };
    let answers = policies.who_can(&question, &all).into_iter().map(|can| {
        let asker = Asker { principal: &can.principal, host: args.host.as_deref() };
        let is_shown = policies.see(asker, subject).is_allowed();
        let unsaid = args.args.is_none().then(|| policies.unsaid(&Question { asker, ..question }));
        let row = Row::of(can, is_shown, live, &disabled).unfit(misfit.as_deref());
        match unsaid {
            Some(unsaid) => row.unsaid(unsaid),
            None => row,
        }
    });
    let answers: Vec<Row> = answers.collect();
    given.say.json(&answers.iter().map(Row::value).collect::<Vec<_>>());
    let rows = answers.iter().map(|one| {
        let mut row = vec![Cell::from(one.can.principal.describe())];
        row.extend(one.told());
        row
    });
    given.say.table(&[wrapped("who"), whole("may"), wrapped("because")], rows.collect());
    Ok(match answers.iter().any(Row::is_allowed) {
        true => Verdict::Yes,
        false if answers.iter().any(Row::depends) => Verdict::Depends,
        false => Verdict::No,
    })
}

async fn what_can(args: WhatCan, given: &Given, place: &Place, store: &Store, live: &Live) -> Outcome {
    let all = principals(place, store).await?;
    let matches = |one: &&Principal| match &one.actor {
        Actor::Agent(name) | Actor::Workload(name) => *name == args.principal,
        Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => false,
    };
    let Some(found) = all.iter().find(matches) else {
        return Err(anyhow!("there is no agent `{}`: `callgate agent list` shows all", args.principal).into());
    };
    let mut principal = found.clone();
    if let Some(name) = args.user {
        let users = store.list_users(&place.scope()).await?;
        let user = users.into_iter().find(|user| user.name == name);
        principal.user = Some(user.ok_or_else(|| anyhow!("there is no user `{name}`: add them first"))?);
    }
    let disabled = store.disabled_agents(&place.scope()).await?;
    let answers = live.policies.what_can(Asker { principal: &principal, host: args.host.as_deref() });
    let answers = answers.into_iter().map(|can| {
        let is_shown = can.answer.is_allowed();
        Row::of(can, is_shown, live, &disabled)
    });
    let mut answers: Vec<Row> = answers.collect();
    let total = answers.len();
    let allowed = answers.iter().filter(|one| one.is_allowed()).count();
    // whatever the rules say of one that is shut, only this says why nothing of it is there
    let mut shut: BTreeMap<ServerName, String> = answers
        .iter()
        .filter_map(|one| Some((one.can.server.clone(), one.shut.as_ref()?.because.clone())))
        .collect();
    let refused = row::disabled_is(&principal, &disabled).map(|no| no.because);
    if refused.is_some() {
        // said once, and not of each server
        shut.clear();
    }
    if !args.all {
        answers.retain(Row::is_allowed);
    }
    given.say.json(&answers.iter().map(Row::value).collect::<Vec<_>>());
    let rows = answers.iter().map(|one| {
        let can = &one.can;
        let class = can.classified.as_ref();
        let class = class.map(|class| format!("{}, {}", class.effect.as_str(), class.tier.as_str()));
        let mut row =
            [can.server.to_string(), can.name.clone(), class.unwrap_or_default()].map(Cell::from).to_vec();
        row.extend(one.told());
        row
    });
    let [server, class, because] = ["server", "class", "because"].map(wrapped);
    given.say.table(&[server, whole("name"), class, whole("sees"), because], rows.collect());
    given.say.line(format!("{} sees {allowed} of {total}", principal.describe()));
    for because in shut.values().chain(&refused) {
        given.say.line(format!("{} {}", given.say.paint(33, "!"), one_line(because)));
    }
    Ok((allowed > 0).into())
}

fn explain(rule: &str, given: &Given, policies: &Policies) -> Outcome {
    let id: RuleId = rule.parse()?;
    let Some(view) = policies.explain(&id) else {
        let known: Vec<String> = policies.rules().map(|rule| format!("`{}`", rule.id)).collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
        return Err(anyhow!("there is no rule `{rule}`: {known}").into());
    };
    given.say.json(&json!({
        "id": view.id, "path": view.path, "line": view.line, "because": view.because,
        "unless-approved": view.unless_approved.map(ToString::to_string), "text": view.text,
    }));
    given.say.line(given.say.paint(2, &format!("{}:{}", view.path, view.line)));
    given.say.line(view.text);
    Ok(Verdict::Yes)
}
