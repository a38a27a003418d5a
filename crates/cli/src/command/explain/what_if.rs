//! A call that nobody made: what the rules would say to it, and who could lift what would hold it.

use super::Args;
use super::cures::Cures;
use crate::{
    cli::Given,
    command::policy,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::one_line,
    sources::SystemClock,
};
use ::policy::{Answer, Asker, Circumstances, Question, Subject};
use anyhow::anyhow;
use decision::approval::{Cure, Escalation, Need};
use decision::{Actor, Clock as _, ItemKind, Principal, Refusal, RuleId, ServerName, Timestamp, Transport};
use policy::Ruling;
use serde_json::json;

pub(super) async fn run(args: &Args, given: &Given, place: &Place) -> Outcome {
    let store = place.store_to_read(given.say).await?;
    let live = policy::live(place, &store).await?;
    let (server, name) = policy::subject(&args.call)?;
    let Some(item) = live.catalogue.item(&server, ItemKind::Tool, name) else {
        let sentence = "no accepted tool is called so, and it is no call id";
        return Err(anyhow!("`{}`: {sentence}: `callgate registry list` shows all tools", args.call).into());
    };
    let arguments = args.args.as_deref().unwrap_or("{}").as_bytes();
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(arguments)
        .map_err(|error| Failure::Usage(format!("`--args` is not a JSON object: {error}")))?;
    let asker = asker(args, place, &store).await?;
    let disabled = store.disabled_agents(&place.scope()).await?;
    let now = SystemClock.now();
    // nothing at all is taken of it, whatever it would send
    if let Some(no) = policy::disabled_is(&asker, &disabled) {
        refused(given, args, &no);
        return Ok(Verdict::No);
    }
    let misfit = match &args.args {
        Some(_) => policy::misfit(&live, (&server, name), item.definition.digest(), arguments)?,
        // of a call whose arguments nobody said, none are wrong
        None => None,
    };
    if let Some(misfit) = misfit {
        given.say.json(&json!({ "answer": "refused", "detail": misfit }));
        given.say.line(one_line(&format!("{} could not make this call: {misfit}", asker.describe())));
        return Ok(Verdict::No);
    }
    if let Some(no) = live.registry.refusal(&server, ItemKind::Tool, name) {
        refused(given, args, &no);
        return Ok(Verdict::No);
    }
    let question = Question {
        asker: Asker { principal: &asker, host: args.host.as_deref() },
        subject: Subject { server: &server, kind: ItemKind::Tool, name },
        method: "tools/call",
        arguments,
        circumstances: Circumstances {
            now,
            transport: Transport::Http,
            era: None,
            model: None,
            workflow: None,
        },
    };
    let ruling: Ruling = match &args.args {
        Some(_) => live.policies.call(&question).into(),
        None => live.policies.unsaid(&question).into(),
    };
    let observed = live.observes(&server) && !ruling.is_permitted();
    let people = store.voters(&place.scope()).await?;
    let cures = match &ruling.answer {
        // nobody is asked where nothing is held
        Answer::Held(_) if observed => None,
        Answer::Held(held) => Some(Cures::what_if(escalating(&held.cure, place, now), &asker, &people, now)),
        Answer::Allowed { .. } | Answer::Refused { .. } => None,
    };
    if observed {
        say_observed(given, args, &asker, &server, &ruling);
        return Ok(Verdict::Yes);
    }
    say(given, args, &asker, &ruling, cures.as_ref());
    if !given.say.json && !place.meant.settings.budgets.is_empty() {
        given
            .say
            .line("note: budgets are looked at when the call is made, and may hold or refuse it as well");
    }
    Ok(verdict(&ruling))
}

fn verdict(ruling: &Ruling) -> Verdict {
    match &ruling.answer {
        _ if ruling.depends().is_some() => Verdict::Depends,
        Answer::Allowed { .. } => Verdict::Yes,
        // it waits for people, and does not go until they said yes
        Answer::Held(_) | Answer::Refused { .. } => Verdict::No,
    }
}

/// Says what refuses it before any rule is asked.
fn refused(given: &Given, args: &Args, no: &Refusal) {
    let code = no.code.as_str();
    given.say.json(&json!({ "answer": "refused", "code": code, "detail": no.because }));
    given.say.line(one_line(&format!("`{}` would be refused ({code}): {}", args.call, no.because)));
}

/// The agent that would ask, as it is known here.
async fn asker(args: &Args, place: &Place, store: &store::Store) -> Result<Principal, Failure> {
    let Some(agent) = &args.agent else {
        return Err(Failure::Usage("say with `--agent` whose call it would be".to_owned()));
    };
    let all = policy::principals(place, store).await?;
    let is_it = |one: &&Principal| match &one.actor {
        Actor::Agent(name) | Actor::Workload(name) => name == agent,
        Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => false,
    };
    let found = all.iter().find(is_it);
    let mut asker =
        found.ok_or_else(|| anyhow!("there is no agent `{agent}`: `callgate agent list` shows all"))?.clone();
    if let Some(name) = &args.user {
        let users = store.list_users(&place.scope()).await?;
        let user = users.into_iter().find(|user| user.name == *name);
        asker.user = Some(user.ok_or_else(|| anyhow!("there is no user `{name}`: add them first"))?);
    }
    Ok(asker)
}

/// As it would be proposed now: with who stands in later.
fn escalating(cure: &Cure, place: &Place, now: Timestamp) -> Cure {
    let escalations = &place.meant.settings.approvals.escalations;
    let with = |need: &Need| {
        let escalation = escalations.get(&need.group).map(|(time, to)| {
            let after = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            Escalation { at: Timestamp(now.0.saturating_add(after)), to: to.clone() }
        });
        Need { escalation, ..need.clone() }
    };
    Cure { needs: cure.needs.iter().map(with).collect(), ..cure.clone() }
}

/// Of a server that only observes: what happens, and what would if it enforced.
fn say_observed(given: &Given, args: &Args, asker: &Principal, server: &ServerName, ruling: &Ruling) {
    let mut value = json!({
        "principal": asker, "call": args.call, "cure": null, "under-enforcement": ruling.value(),
    });
    if let (Some(value), serde_json::Value::Object(happens)) = (value.as_object_mut(), policy::observed()) {
        value.extend(happens);
    }
    given.say.json(&value);
    given.say.line(one_line(&format!(
        "`{}` of {} would be allowed, because `{server}` only observes",
        args.call,
        asker.describe()
    )));
    given.say.line(one_line(&format!("if it enforced, it would {}", sentence(ruling))));
}

/// What the rules would do, with which of them and why.
fn sentence(ruling: &Ruling) -> String {
    if let Some(on) = ruling.depends() {
        return format!("depend {on}");
    }
    let (word, rules, detail) = match &ruling.answer {
        Answer::Allowed { basis } => ("allowed", basis, String::new()),
        Answer::Held(held) => ("held", &held.rules, held.because.join("; ")),
        Answer::Refused { rules, detail, .. } => ("refused", rules, detail.clone()),
    };
    let names = rules.iter().map(RuleId::as_str).collect::<Vec<_>>().join(", ");
    let by = if names.is_empty() { String::new() } else { format!(" by {names}") };
    let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
    format!("be {word}{by}{detail}")
}

fn say(given: &Given, args: &Args, asker: &Principal, ruling: &Ruling, cures: Option<&Cures>) {
    let mut value = json!({ "principal": asker, "call": args.call, "cure": cures.map(Cures::value) });
    if let (Some(value), serde_json::Value::Object(ruled)) = (value.as_object_mut(), ruling.value()) {
        value.extend(ruled);
    }
    given.say.json(&value);
    if given.say.json {
        return;
    }
    let sentence = sentence(ruling);
    given.say.line(one_line(&format!("`{}` of {} would {sentence}", args.call, asker.describe())));
    match (cures, &ruling.answer) {
        (Some(cures), _) => cures.tell(given),
        (None, Answer::Refused { remedy, .. }) => {
            given.say.line("no approval lifts that: a yes never stands in for a missing permission");
            if let Some(remedy) = remedy {
                given.say.line(one_line(remedy));
            }
        }
        (None, Answer::Allowed { .. } | Answer::Held(_)) => {}
    }
}
