//! `callgate registry diff SERVER`: what a server shows beside what was accepted, and where its record says otherwise.

use super::{
    beside::side_by_side,
    kept,
    shown::{self, Shown},
    state,
};
use crate::{
    cli::Given,
    control::{self, Looked},
    failure::Outcome,
    near,
    place::Place,
    say::{Say, named, one_line, when},
    sources::SystemClock,
};
use anyhow::anyhow;
use catalog::record::Fact;
use console::review::{self, Radius, Review, Waiting};
use decision::{Clock as _, Item, ItemKind, ServerName};
use serde_json::json;
use store::{Pin, PinState};

pub(super) async fn diff(server: &ServerName, name: Option<&str>, given: &Given, place: &Place) -> Outcome {
    let kept = kept::Kept::open_to_read(place, given.say).await?;
    kept.must_know(server).await?;
    let is_fresh = look(server, &kept, given, place).await?;
    let agents = place.meant.settings.agents();
    let scope = place.scope();
    let asked = review::Place {
        store: &kept.store,
        scope: &scope,
        server,
        now: SystemClock.now(),
        agents: &agents,
        over: &|definitions| gateway::registry::rules_over(kept.live(), server, definitions),
    };
    let pins = kept.store.pins(&scope, server).await?;
    let wanted = name.map(|name| super::named::item(name, &pins)).transpose()?;
    if let Some((item, _)) = &wanted
        && !pins.iter().any(|pin| pin.item == *item)
    {
        return Err(no_such(item, server, &pins).into());
    }
    let review = Review::of(&asked, usize::MAX).await?;
    let seen = Shown::of(&kept.store, place, server, &pins).await?;
    let (mut values, mut any) = (Vec::new(), false);
    for one in
        review.waiting.iter().filter(|one| wanted.as_ref().is_none_or(|(item, _)| *item == one.pin.item))
    {
        values.push(value(&review, one, &seen));
        tell(&review, one, &seen, server, given);
        shown::tell_left(one, given);
        any = true;
    }
    // as it was accepted, and asked for by name
    for pin in pins.iter().filter(|pin| pin.state == PinState::Approved && !pin.flaps()) {
        if wanted.as_ref().is_some_and(|(item, _)| *item == pin.item) {
            let one = Waiting::accepted(pin, kept.store.definition(&scope, &pin.seen).await?);
            values.push(value(&review, &one, &seen));
            tell(&review, &one, &seen, server, given);
        }
    }
    if wanted.is_none() {
        any |= recorded_otherwise(server, &mut values, &kept, given).await?;
    }
    given.say.json(&values);
    if !any && values.is_empty() {
        given.say.line(match pins.is_empty() {
            true => format!("nothing of `{server}` was seen yet, and nothing is accepted"),
            false if is_fresh => format!("`{server}` shows what was accepted"),
            false => format!("`{server}` showed what was accepted"),
        });
    }
    Ok((!any).into())
}

/// Has the gateway look at it first, and says where what follows is older. False where it is.
async fn look(server: &ServerName, kept: &kept::Kept, given: &Given, place: &Place) -> anyhow::Result<bool> {
    let why = match control::look(place, server).await {
        Some(Looked::Done) => return Ok(true),
        Some(Looked::Shut) => "nobody may use it, so the gateway does not look at it".to_owned(),
        Some(Looked::Failed { why }) => format!("it cannot be looked at now: {}", one_line(&why)),
        None => "no gateway runs here that could look at it".to_owned(),
    };
    if let Some(at) = kept.store.server(&place.scope(), server).await?.and_then(|seen| seen.seen_at) {
        given.say.aside(format!("`{server}` as it was {} UTC: {why}", when(at)));
    }
    Ok(false)
}

/// Why there is nothing to compare, with the item that was probably meant, as it is typed.
fn no_such(item: &Item, server: &ServerName, pins: &[Pin]) -> anyhow::Error {
    let typed = |item: &Item| match item.kind == ItemKind::Tool {
        true => item.name.clone(),
        false => format!("{}:{}", item.kind.as_str(), item.name),
    };
    let nothing = format!("`{server}` has no {} {}", item.kind.as_str(), named(&item.name));
    anyhow!(near::none(&nothing, &typed(item), &pins.iter().map(|pin| typed(&pin.item)).collect()))
}

fn value(review: &Review, one: &Waiting, seen: &Shown) -> serde_json::Value {
    let (before, after) = one.texts();
    json!({
        "kind": one.pin.item.kind.as_str(), "name": one.pin.item.name, "state": state(&one.pin), "seen": one.pin.seen,
        "bound": review.bound(&one.pin.item).unwrap_or(one.pin.seen),
        "before": before, "after": after, "findings": seen.findings(&one.pin.item),
        "looks-like": review.likeness(&one.pin.item).map(shown::likeness), "left": shown::left(&one.pin), "meanwhile": shown::meanwhile(one), "reaches": review.radius(&one.pin.item),
        "severity": review.severity(&one.pin.item), "changes": review.changes(&one.pin.item),
    })
}

fn tell(review: &Review, one: &Waiting, seen: &Shown, server: &ServerName, given: &Given) {
    let say = given.say;
    let (pin, (before, after)) = (&one.pin, one.texts());
    let (name, bound) = (named(&pin.item.name), review.bound(&pin.item).unwrap_or(pin.seen));
    say.line(format!("{} {name} of `{server}` is {} ({bound})", pin.item.kind.as_str(), state(pin)));
    if bound != pin.seen {
        say.line(format!(
            "that digest stands for what it was meanwhile, too; its definition is {}",
            pin.seen
        ));
    }
    side_by_side(say, &before, &after);
    if let Some(why) = one.unread(server) {
        say.line(say.paint(31, &format!("critical: {why}, so nothing can be compared")));
    }
    let changes = review.changes_now(&pin.item);
    for change in &changes {
        let breaks = if change.compatible { "" } else { "; breaks clients that hold the old one" };
        let (severity, place) = (change.severity, one_line(&change.place));
        let because = one_line(&change.because);
        let said = format!("{} {} {place}: {because}{breaks}", severity.as_str(), change.kind.as_str());
        say.line(if severity.flags() { say.paint(31, &said) } else { said });
    }
    told(&review.radius(&pin.item), say);
    if one.is_served_on(server) {
        say.line("it breaks no client, and no rule found anything in it: what was accepted is served until somebody decides");
    }
    if pin.state != PinState::Gone {
        if let Some(like) = review.likeness(&pin.item) {
            say.line(say.paint(33, &one_line(&like.because())));
        }
        seen.tell(&pin.item, &changes, given);
    }
}

/// Whom it reaches.
fn told(radius: &Radius, say: Say) {
    for (what, text) in radius.lines() {
        say.line(format!("{what}: {}", one_line(&text)));
    }
    let rule = |rule: &review::Ruling| {
        let news = match (rule.before, rule.after) {
            (true, true) => "",
            (false, _) => " once it is accepted",
            (true, false) => " no longer",
        };
        format!("{} {}{news}", rule.sway, rule.rule)
    };
    match radius.rules.as_slice() {
        [] if !radius.ruled => {}
        [] => say.line("no rule decides about it, so nobody may use it"),
        rules => say.line(format!("rules: {}", rules.iter().map(rule).collect::<Vec<_>>().join("; "))),
    }
}

/// Where the file, or how things are, differs from the server's record. Neither overwrites the other.
async fn recorded_otherwise(
    server: &ServerName,
    values: &mut Vec<serde_json::Value>,
    kept: &kept::Kept,
    given: &Given,
) -> anyhow::Result<bool> {
    let differences = kept.differences(server).await?;
    for one in &differences {
        values.push(json!({
            "kind": "record", "name": one.what, "state": "differs", "before": one.record, "after": one.now,
        }));
        given.say.line(format!("record of `{server}`: {}", kept::sentence(one)));
    }
    let (declared, so): (Vec<_>, Vec<_>) = differences.iter().partition(|one| Fact::parse(one.what).is_ok());
    if !declared.is_empty() {
        // what begins a record takes over what the file declares
        let step = match kept.record(server).await? {
            Some(_) => format!("set {server} --declared"),
            None => format!("add {server}"),
        };
        given.say.line(format!("`callgate registry {step}` records what the file declares"));
    }
    if !so.is_empty() {
        given.say.line(format!("`callgate registry approve {server} --until DATE` approves it as it is now"));
    }
    Ok(!differences.is_empty())
}
