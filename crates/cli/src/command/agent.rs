//! `callgate agent`: who may speak to the gateway, and with which token.

use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        table::{whole, wrapped},
        when,
    },
    settings,
    sources::{SystemClock, SystemEntropy},
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use decision::{AgentName, Clock as _, GroupName, Timestamp, User, UserName, counted};
use serde_json::json;
use std::collections::BTreeSet;
use store::{AgentKind, NewAgent, NewToken, Store, StoreError, TokenHash, TokenId, TokenRecord};

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Add an agent and show its first token, once
    Add(Add),
    /// All agents and their tokens
    List,
    /// Remove an agent; its tokens stop working at once, and if it is disabled, its name stays refused until it is enabled
    Remove { name: AgentName },
    /// Refuse everything of an agent until it is enabled again, whatever token or certificate it shows
    Disable { name: AgentName },
    /// Let an agent in again that was disabled; of one that was removed meanwhile, lift the ban on its name
    Enable { name: AgentName },
    /// Issue another token for an agent and show it, once
    Token(Token),
    /// Revoke one token (`tok_…`), or all tokens of an agent
    Revoke {
        #[arg(value_name = "TOKEN-ID|AGENT")]
        which: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    name: AgentName,
    /// The person it acts for; added if not known yet
    #[arg(long)]
    user: Option<UserName>,
    /// A group it is in; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// A service and not an agent
    #[arg(long)]
    workload: bool,
    /// When its token ends, such as `12h` or `90d`
    #[arg(long, default_value = "90d", value_name = "TIME", conflicts_with = "no_token")]
    expires: String,
    /// Issue no token
    #[arg(long)]
    no_token: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    name: AgentName,
    /// When it ends, such as `12h` or `90d`
    #[arg(long, default_value = "90d", value_name = "TIME")]
    expires: String,
}

pub(crate) async fn run(agents: Agents, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    match agents {
        Agents::Add(args) => add(args, given, &place).await,
        Agents::List => list(given, &place).await,
        Agents::Remove { name } => remove(&name, given, &place).await,
        Agents::Disable { name } => disable(&name, given, &place).await,
        Agents::Enable { name } => enable(&name, given, &place).await,
        Agents::Token(args) => token(args, given, &place).await,
        Agents::Revoke { which } => revoke(&which, given, &place).await,
    }
}

fn expiry(text: &str) -> Result<Timestamp, Failure> {
    let wait = settings::duration(text)
        .ok_or_else(|| Failure::Usage(format!("`{text}` is not a time: write `12h` or `90d`")))?;
    let us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    Ok(Timestamp(SystemClock.now().0.saturating_add(us)))
}

async fn add(args: Add, given: &Given, place: &Place) -> Outcome {
    let expires_at = expiry(&args.expires)?;
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    if let Some(name) = &args.user {
        let user = User { name: name.clone(), groups: BTreeSet::new() };
        match store.add_user(&scope, &user, &given.surroundings.user).await {
            Ok(()) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let agent = NewAgent {
        name: args.name.clone(),
        kind: if args.workload { AgentKind::Workload } else { AgentKind::Agent },
        groups: args.groups.into_iter().collect(),
        user: args.user,
    };
    store.add_agent(&scope, &agent, &given.surroundings.user).await?;
    if args.no_token {
        book.tell(&store).await?;
        given.say.json(&json!({ "agent": args.name }));
        given.say.line(format!("added agent `{}`", args.name));
    } else {
        let token = issue(given, place, &store, &book, &args.name, expires_at).await?;
        if !args.workload {
            into_clients(given, place, token.reveal());
        }
    }
    book.close().await?;
    Ok(Verdict::Yes)
}

/// What a client needs besides. On a terminal the token stands in it; elsewhere it is said once, for whoever reads that.
fn into_clients(given: &Given, place: &Place, token: &str) {
    let say = given.say;
    if say.json {
        return;
    }
    let token = if say.is_on_terminal() { token } else { "TOKEN" };
    say.aside("what its client needs:");
    for (client, snippet) in demo::snippets(&format!("{}/mcp", place.meant.settings.issuer), token) {
        say.aside(format!("\n{client}:\n{snippet}"));
    }
}

async fn token(args: Token, given: &Given, place: &Place) -> Outcome {
    let expires_at = expiry(&args.expires)?;
    let (book, store) = (Book::open(place).await?, place.store().await?);
    issue(given, place, &store, &book, &args.name, expires_at).await?;
    book.close().await?;
    Ok(Verdict::Yes)
}

/// Makes a token, stores its hash, records that, and shows it. It is never shown again.
async fn issue(
    given: &Given,
    place: &Place,
    store: &Store,
    book: &Book,
    agent: &AgentName,
    expires_at: Timestamp,
) -> Result<identity::ApiToken, Failure> {
    let token = identity::ApiToken::generate(&SystemEntropy);
    let new = NewToken { agent: agent.clone(), hash: TokenHash(*token.hash().as_bytes()), expires_at };
    let by = given.surroundings.user.as_str();
    let id = store.add_token(&place.scope(), &new, by).await?;
    if let Err(error) = book.tell(store).await {
        // a token that is not in the record yet is not given out
        store.revoke_token(&place.scope(), &id, by).await?;
        return Err(error.context("the token was revoked again").into());
    }
    let until = when(expires_at);
    given.say.json(&json!({
        "agent": agent, "id": id.as_str(), "token": token.reveal(), "expires": until,
    }));
    if !given.say.json {
        // so that what is taken from standard output is the token alone
        given
            .say
            .aside(format!("token {id} of agent `{agent}`, good until {until} UTC; it is shown this once:"));
    }
    given.say.line(token.reveal());
    Ok(token)
}

async fn list(given: &Given, place: &Place) -> Outcome {
    let store = place.store_to_read(given.say).await?;
    let agents = store.list_agents(&place.scope()).await?;
    let tokens = store.list_tokens(&place.scope()).await?;
    let now = SystemClock.now();
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for agent in &agents {
        let groups = agent.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
        let user = agent.user.as_ref().map(UserName::as_str).unwrap_or_default();
        let without = |told: String| {
            vec![agent.name.to_string(), user.to_owned(), groups.clone(), String::new(), told, String::new()]
        };
        let own: Vec<&TokenRecord> = tokens.iter().filter(|token| token.agent == agent.name).collect();
        values.push(json!({
            "agent": agent.name, "workload": agent.kind == AgentKind::Workload, "user": agent.user,
            "groups": agent.groups, "disabled": agent.disabled_at.is_some(),
            "removed": agent.removed_at.is_some(),
            "tokens": own.iter().map(|token| json!({
                "id": token.id.as_str(), "state": state(token, now), "created": when(token.created_at),
                "expires": when(token.expires_at), "last-used": token.last_used_at.map(when),
            })).collect::<Vec<_>>(),
        }));
        if agent.removed_at.is_some() {
            let told = format!("removed, and refused until `callgate agent enable {}`", agent.name);
            rows.push(without(told));
            continue;
        }
        if own.is_empty() {
            let told = if agent.disabled_at.is_some() { "no token, disabled" } else { "no token" };
            rows.push(without(told.to_owned()));
            continue;
        }
        for token in own {
            let state = state(token, now);
            let ends = if state == "revoked" { String::new() } else { when(token.expires_at) };
            let (id, state) = (token.id.to_string(), state.to_owned());
            rows.push(vec![agent.name.to_string(), user.to_owned(), groups.clone(), id, state, ends]);
        }
    }
    let known: BTreeSet<&AgentName> = agents.iter().map(|agent| &agent.name).collect();
    for service in place.meant.settings.agents().into_iter().filter(|one| one.kind == AgentKind::Workload) {
        if known.contains(&service.name) {
            continue;
        }
        let groups = service.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
        values.push(json!({
            "agent": service.name, "workload": true, "user": null, "groups": service.groups,
            "disabled": false, "removed": false, "tokens": [],
        }));
        let told = "no token: shows a certificate (`[[workloads]]`)".to_owned();
        rows.push(vec![service.name.to_string(), String::new(), groups, String::new(), told, String::new()]);
    }
    given.say.json(&values);
    if rows.is_empty() {
        given.say.line("no agents yet: add one with `callgate agent add NAME`");
    } else {
        let [user, groups, state] = ["user", "groups", "state"].map(wrapped);
        let [token, until] = ["token", "ends (UTC)"].map(whole);
        given.say.table(&[whole("agent"), user, groups, token, state, until], rows);
    }
    Ok(Verdict::Yes)
}

fn state(token: &TokenRecord, now: Timestamp) -> &'static str {
    match token.principal(now) {
        Ok(_) => "good",
        Err(store::Lapsed::Revoked) => "revoked",
        Err(store::Lapsed::Expired) => "expired",
        Err(store::Lapsed::AgentDisabled(_)) => "disabled",
    }
}

async fn remove(name: &AgentName, given: &Given, place: &Place) -> Outcome {
    let (book, store) = (Book::open(place).await?, place.store().await?);
    let banned = store.remove_agent(&place.scope(), name, &given.surroundings.user).await?;
    book.conclude(&store, given.say).await?;
    given.say.json(&json!({ "removed": name, "disabled": banned }));
    given.say.line(format!("removed agent `{name}` and revoked its tokens"));
    if banned {
        given
            .say
            .line(format!("it was disabled, so its name stays refused until `callgate agent enable {name}`"));
    }
    Ok(Verdict::Yes)
}

async fn disable(name: &AgentName, given: &Given, place: &Place) -> Outcome {
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    if let Some(agent) = only_configured(name, place, &store).await? {
        match store.add_agent(&scope, &agent, &given.surroundings.user).await {
            Ok(()) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let by = given.surroundings.user.as_str();
    store.disable_agent(&scope, name, by).await.map_err(|error| unknown(name, error))?;
    book.conclude(&store, given.say).await?;
    given.say.json(&json!({ "disabled": name }));
    given.say.line(format!("agent `{name}` is refused until `callgate agent enable {name}`"));
    Ok(Verdict::Yes)
}

/// What is to be stored of an agent or a service that only the configuration names, so that it can be disabled.
async fn only_configured(
    name: &AgentName,
    place: &Place,
    store: &Store,
) -> Result<Option<NewAgent>, Failure> {
    if store.list_agents(&place.scope()).await?.iter().any(|known| known.name == *name) {
        return Ok(None);
    }
    // of an agent and a service of one name, the service has its groups from the file
    Ok(place.meant.settings.agents().into_iter().rev().find(|one| one.name == *name))
}

fn unknown(name: &AgentName, error: StoreError) -> Failure {
    if !matches!(error, StoreError::Missing { .. }) {
        return error.into();
    }
    anyhow!(
        "there is no agent `{name}`: `callgate agent list` shows all; one that only an identity provider names is added first, \
         with `callgate agent add {name} --no-token`"
    )
    .into()
}

async fn enable(name: &AgentName, given: &Given, place: &Place) -> Outcome {
    let (book, store) = (Book::open(place).await?, place.store().await?);
    let by = given.surroundings.user.as_str();
    store.enable_agent(&place.scope(), name, by).await.map_err(|error| unknown(name, error))?;
    book.conclude(&store, given.say).await?;
    given.say.json(&json!({ "enabled": name }));
    given.say.line(format!("agent `{name}` is not disabled any more"));
    Ok(Verdict::Yes)
}

async fn revoke(which: &str, given: &Given, place: &Place) -> Outcome {
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    let by = given.surroundings.user.as_str();
    let revoked = if which.starts_with("tok_") {
        let id: TokenId = which.parse()?;
        store.revoke_token(&scope, &id, by).await?;
        1
    } else {
        let agent: AgentName = which.parse()?;
        if !store.list_agents(&scope).await?.iter().any(|known| known.name == agent) {
            return Err(anyhow!("there is no agent `{agent}`: `callgate agent list` shows all").into());
        }
        store.revoke_tokens(&scope, &agent, by).await?
    };
    book.conclude(&store, given.say).await?;
    given.say.json(&json!({ "revoked": revoked }));
    given.say.line(format!("revoked {}", counted(revoked, "token")));
    Ok(Verdict::Yes)
}
