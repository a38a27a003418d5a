//! `callgate explain`: one call, told from its entries: what was asked, why it ended so, what ran, and who can lift what
//! holds it. The same of a call that nobody made.

mod cures;
mod what_if;

use crate::{
    cli::Given,
    command::{audit, policy},
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{one_line, printable, when},
    sources::SystemClock,
};
use ::policy::Policies;
use clap::Args as ClapArgs;
use cures::Cures;
use decision::{
    AgentName, ApprovalId, CallId, Clock as _, Decision, Ending, Entry, Evidence, Intent, ItemKind, RuleId,
    UserName,
};
use serde_json::json;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// A call id, as `callgate audit list` shows it; or a tool as `/mcp` names it, for a call that nobody made
    call: String,
    /// For a call that nobody made: whose it would be
    #[arg(long)]
    agent: Option<AgentName>,
    /// For a call that nobody made: for whom the agent would act
    #[arg(long)]
    user: Option<UserName>,
    /// For a call that nobody made: its arguments, as a JSON object. Without them, what holds whatever they are, and which
    /// rules decide the rest by them
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// For a call that nobody made: the name of the host program that would claim to call
    #[arg(long)]
    host: Option<String>,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    let what_if = args.agent.is_some() || args.user.is_some() || args.args.is_some() || args.host.is_some();
    match (CallId::parse(&args.call).is_some(), what_if) {
        (true, true) => {
            let sentence = "a call that was made has its own agent and arguments";
            return Err(Failure::Usage(sentence.to_owned()));
        }
        (false, _) if catalog::split(&args.call).is_some() => {
            return what_if::run(&args, given, &place).await;
        }
        (_, _) => {}
    }
    let book = Book::open_to_read(&place).await?;
    let found = audit::entries(&args.call, &book, &place).await?;
    book.close().await?;
    let store = place.store().await?;
    // rules that do not load now explain nothing, but the record still does
    let policies = policy::load(&place, &store).await.ok();
    let intent = found.iter().find_map(|one| match &one.entry {
        Entry::Intent(intent) => Some(intent),
        Entry::Decision(_) | Entry::Event(_) => None,
    });
    let decision = found.iter().find_map(|one| match &one.entry {
        Entry::Decision(decision) => Some(decision),
        Entry::Intent(_) | Entry::Event(_) => None,
    });
    let rules = decision.map(|decision| rules(decision, policies.as_deref())).unwrap_or_default();
    let cures = match decision {
        Some(decision) => cures_of(decision, &store, &place).await?,
        None => None,
    };
    let undo = intent.and_then(|intent| undo(intent, &place));
    given.say.json(&json!({
        "intent": intent, "decision": decision,
        "meaning": decision.and_then(|decision| code(&decision.ending)).map(decision::Code::meaning),
        "rules": rules.iter().map(|(id, text, _)| json!({ "id": id, "text": text })).collect::<Vec<_>>(),
        "cure": cures.as_ref().map(Cures::value), "undo": undo,
    }));
    if !given.say.json {
        if let Some(intent) = intent {
            asked(given, intent);
        }
        match decision {
            Some(decision) => {
                let then = decision.policy.or(intent.and_then(|intent| intent.policy));
                let now = policies.as_deref().map(Policies::digest);
                ended(given, decision, &rules, now.is_some() && then.is_some() && now != then);
            }
            None => given.say.line("open: it has not ended, or the gateway stopped"),
        }
        if let Some(cures) = &cures {
            cures.tell(given);
        }
        if let Some(undo) = undo.filter(|_| decision.is_none_or(|decision| decision.dispatched)) {
            given.say.line(one_line(&format!("to undo it: {undo}")));
        }
    }
    Ok(Verdict::Yes)
}

/// Who can lift what held it, where people were asked and that is still known.
async fn cures_of(decision: &Decision, store: &store::Store, place: &Place) -> anyhow::Result<Option<Cures>> {
    let named = decision.evidence.iter().flat_map(|evidence| &evidence.basis);
    let id = named.filter_map(|basis| ApprovalId::parse(basis.strip_prefix("approval:")?)).next_back();
    let Some(id) = id else { return Ok(None) };
    let scope = place.scope();
    let Some(kept) = store.approval(&scope, id).await? else { return Ok(None) };
    let people = store.voters(&scope).await?;
    Ok(Some(Cures::of(kept.approval, &people, SystemClock.now())))
}

/// How the operator says that what ran can be undone.
fn undo(intent: &Intent, place: &Place) -> Option<String> {
    let target = intent.target.as_ref().filter(|target| target.item.kind == ItemKind::Tool)?;
    let server = place.meant.settings.servers.get(&target.server)?;
    server.declarations.undo(&target.item.name).map(str::to_owned)
}

fn code(ending: &Ending) -> Option<decision::Code> {
    match ending {
        Ending::Refused { code } | Ending::Failed { code } => Some(*code),
        Ending::Answered | Ending::Cancelled | Ending::Unknown => None,
    }
}

/// Rules the decision names, each with its text and place as they are now.
fn rules(decision: &Decision, policies: Option<&Policies>) -> Vec<(RuleId, String, String)> {
    let named = decision.evidence.iter().flat_map(|evidence| &evidence.basis);
    let mut ids: Vec<RuleId> =
        named.filter_map(|name| name.strip_prefix("rule:").unwrap_or(name).parse().ok()).collect();
    ids.sort();
    ids.dedup();
    ids.iter()
        .filter_map(|id| policies?.explain(id))
        .map(|view| (view.id.clone(), view.text.to_owned(), format!("{}:{}", view.path, view.line)))
        .collect()
}

fn asked(given: &Given, intent: &Intent) {
    let say = given.say;
    let method = intent.method.as_deref().unwrap_or("something that is no MCP message");
    say.line(format!("{} {}", when(intent.at), intent.call));
    say.line(one_line(&format!("{} asked for {method}", intent.principal.describe())));
    if let Some(target) = &intent.target {
        say.line(one_line(&format!("  of {} `{}`", target.server, target.item.name)));
        if let Some(definition) = target.definition {
            say.line(format!("  as it is defined by {definition}"));
        }
    }
    if let Some(asked) = &intent.asked {
        say.line(one_line(&format!("  by the name `{}`, which is nothing here", asked.name)));
    }
    let claimed = [("host", &intent.claimed.host), ("model", &intent.claimed.model)];
    for (what, value) in claimed {
        if let Some(value) = value {
            say.line(one_line(&format!("  {what} (claimed): {value}")));
        }
    }
    let (channel, revision) = (&intent.channel, intent.channel.revision.as_deref().unwrap_or("?"));
    say.line(one_line(&format!("  through `{}`, revision {revision}", channel.entrance)));
}

fn stage(given: &Given, evidence: &Evidence) -> String {
    let name = serde_json::to_value(evidence.stage).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("stage").to_owned();
    let (mark, tail) = match (evidence.refused, evidence.would_refuse) {
        (Some(code), _) => (given.say.paint(31, "✗"), format!("{}: {}", code.as_str(), evidence.because)),
        (None, Some(code)) => {
            let told = format!("would refuse ({}), observed only: {}", code.as_str(), evidence.because);
            (given.say.paint(33, "!"), told)
        }
        (None, None) => (given.say.paint(32, "✓"), evidence.basis.join(", ")),
    };
    format!("  {mark} {name:<13} {}", one_line(&tail))
}

fn ended(given: &Given, decision: &Decision, rules: &[(RuleId, String, String)], changed: bool) {
    let say = given.say;
    for evidence in &decision.evidence {
        say.line(stage(given, evidence));
    }
    let us = decision.closed_at.since(decision.opened_at);
    let took = format!("{}.{:03} ms", us / 1_000, us % 1_000);
    let first = decision.replays();
    say.line(match &decision.ending {
        Ending::Answered if first.is_some() => {
            let first = first.map(|first| first.to_string()).unwrap_or_default();
            format!("it had run before, as {first}; that answer was given again, in {took}")
        }
        Ending::Answered if decision.dispatched => format!("it ran and was answered, in {took}"),
        Ending::Answered => format!("the gateway answered it itself, in {took}"),
        Ending::Refused { code } => format!("refused ({}), nothing ran: {}", code.as_str(), code.meaning()),
        Ending::Failed { code } => {
            format!("it left the gateway and failed ({}): {}", code.as_str(), code.meaning())
        }
        Ending::Cancelled if decision.dispatched => "cancelled after it had left the gateway".to_owned(),
        Ending::Cancelled => "cancelled before it left the gateway".to_owned(),
        Ending::Unknown => "the gateway stopped in between: whether it ran is not known".to_owned(),
    });
    if let Some(outcome) = decision.outcome.as_ref().filter(|_| first.is_none()) {
        let kind = if outcome.is_error { "an error" } else { "a result" };
        say.line(format!(
            "  the server gave {kind} of {} bytes in {} ms",
            outcome.bytes,
            outcome.upstream_us / 1_000
        ));
    }
    for (_, text, place) in rules {
        say.line(say.paint(2, place));
        say.line(printable(text));
    }
    if changed {
        say.line("note: the policies have changed since; the texts above are those of now");
    }
}
