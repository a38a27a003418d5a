//! One decision in full, from the ledger: what was asked, each stage's answer and why, how it ended.

use super::activity::took;
use super::{Frame, rendered};
use crate::view::{Shown, When, actor, kind, when};
use crate::web::{Body, Stop};
use crate::{Console, Route};
use askama::Template;
use decision::{ApprovalId, CallId, Code, Decision, Ending, Entry, Event, Evidence, Intent, ItemKind};
use http::{Response, StatusCode};
use std::sync::Arc;
use store::{Place, ledger::LedgerError};

/// Most entries of one call that are read.
const ENTRIES_MAX: usize = 64;

#[derive(Template)]
#[template(path = "call.html")]
struct Sheet {
    frame: Frame,
    call: String,
    asked: Option<AskedView>,
    ended: Option<EndedView>,
    stages: Vec<StageView>,
    events: Vec<EventView>,
    /// How the operator says that what ran can be undone.
    undo: Option<Shown>,
    elsewhere: bool,
}

struct AskedView {
    at: When,
    actor: (&'static str, Shown),
    user: Option<Shown>,
    method: Shown,
    server: Option<Shown>,
    kind: &'static str,
    item: Shown,
    /// What the peer said of itself.
    claimed: Vec<(&'static str, Shown)>,
    facts: Vec<(&'static str, Shown)>,
}

struct EndedView {
    word: &'static str,
    class: &'static str,
    code: &'static str,
    meaning: &'static str,
    took: String,
    facts: Vec<(&'static str, Shown)>,
    observed: bool,
}

struct StageView {
    name: Shown,
    class: &'static str,
    mark: &'static str,
    code: &'static str,
    because: Shown,
    basis: Vec<Shown>,
}

struct EventView {
    name: Shown,
    at: When,
    approval: Option<String>,
    detail: Vec<(Shown, Shown)>,
}

pub(crate) async fn call(console: &Console, frame: Frame, call: CallId) -> Result<Response<Body>, Stop> {
    let places = console.store().call(&console.parts.scope, call).await?;
    if places.is_empty() {
        return Err(Stop::nowhere());
    }
    let log = console.parts.ledger.public_key().origin().to_owned();
    let elsewhere = places.iter().any(|place| place.log != log);
    let entries =
        entries(console, call, places.into_iter().filter(|place| place.log == log).collect()).await?;
    let mut page = Sheet {
        frame,
        call: call.to_string(),
        asked: None,
        ended: None,
        stages: Vec::new(),
        events: Vec::new(),
        undo: undo(console, &entries),
        elsewhere,
    };
    for entry in &entries {
        match entry {
            Entry::Intent(intent) => page.asked = Some(asked(intent)),
            Entry::Decision(decision) => {
                page.stages = decision.evidence.iter().map(stage).collect();
                page.ended = Some(ended(decision));
            }
            Entry::Event(one) => page.events.push(event(one)),
        }
    }
    rendered(StatusCode::OK, &page)
}

/// Of a tool that was called, or may have been.
fn undo(console: &Console, entries: &[Entry]) -> Option<Shown> {
    let left = entries.iter().all(|entry| !matches!(entry, Entry::Decision(one) if !one.dispatched));
    let target = entries.iter().filter(|_| left).find_map(|entry| match entry {
        Entry::Intent(intent) => intent.target.as_ref(),
        Entry::Decision(_) | Entry::Event(_) => None,
    })?;
    let settings = console.settings();
    let declared = settings.declared.get(&target.server).filter(|_| target.item.kind == ItemKind::Tool)?;
    declared.undo(&target.item.name).map(Shown::of)
}

/// Reads them where they are: the index only knows the places.
async fn entries(console: &Console, call: CallId, mut places: Vec<Place>) -> Result<Vec<Entry>, Stop> {
    places.sort();
    places.truncate(ENTRIES_MAX);
    let ledger = Arc::clone(&console.parts.ledger);
    let read = tokio::task::spawn_blocking(move || {
        let mut entries = Vec::with_capacity(places.len());
        for place in places {
            // what a later version wrote is left out, not guessed
            entries.extend(Entry::read(&ledger.entry_of(call, place.index)?).ok());
        }
        Ok::<_, LedgerError>(entries)
    });
    read.await.map_err(|e| Stop::fault(&e))?.map_err(|error| {
        if !matches!(error, LedgerError::IndexUnfit { .. }) {
            return Stop::fault(&error);
        }
        // whoever looks is to know that the page would have told of another call
        tracing::error!(%error, "the console cannot answer");
        Stop::new(StatusCode::CONFLICT, "The index is wrong", error.to_string())
    })
}

fn asked(intent: &Intent) -> AskedView {
    let (what, name) = actor(&intent.principal.actor);
    let claims = &intent.claimed;
    let claimed = [("Host", &claims.host), ("Model", &claims.model), ("Workflow", &claims.workflow)];
    let said = |(what, value): (&'static str, &Option<String>)| Some((what, Shown::of(value.as_deref()?)));
    let channel = &intent.channel;
    let mut facts = vec![
        ("Entrance", Shown::of(&channel.entrance)),
        ("Revision", Shown::of(channel.revision.as_deref().unwrap_or("unknown"))),
        ("Interaction", Shown::of(intent.interaction.as_str())),
        ("Deed", Shown::of(&format!("{}, leg {}", intent.deed, intent.leg))),
        ("Size", Shown::of(&format!("{} bytes", intent.bytes))),
    ];
    let digest = |digest: &decision::Digest| Shown::of(&digest.to_string());
    let target = intent.target.as_ref();
    facts.extend(
        intent
            .asked
            .as_ref()
            .map(|asked| ("Asked for", Shown::of(&format!("{}, which is nothing here", asked.name)))),
    );
    facts.extend(target.and_then(|t| t.definition.as_ref()).map(|d| ("Definition", digest(d))));
    facts.extend(intent.policy.as_ref().map(|d| ("Policies", digest(d))));
    AskedView {
        at: when(intent.at),
        actor: (what, Shown::of(&name)),
        user: intent.principal.user.as_ref().map(|user| Shown::of(user.name.as_str())),
        method: Shown::of(intent.method.as_deref().unwrap_or("something that is no MCP message")),
        server: target.map(|target| Shown::of(target.server.as_str())),
        kind: target.map_or("", |target| kind(target.item.kind)),
        item: Shown::of(target.map_or("", |target| &target.item.name)),
        claimed: claimed.into_iter().filter_map(said).collect(),
        facts,
    }
}

fn ended(decision: &Decision) -> EndedView {
    let (class, word, code) = match &decision.ending {
        Ending::Answered if decision.replays().is_some() => {
            ("answered", "It had run before: that answer was given again", None)
        }
        Ending::Answered if decision.dispatched => ("answered", "It ran, and was answered", None),
        Ending::Answered => ("answered", "The gateway answered it itself", None),
        Ending::Refused { code: code @ Code::ApprovalRequired } => {
            ("held", "Held until people say yes: nothing ran", Some(*code))
        }
        Ending::Refused { code } => ("refused", "Refused: nothing ran", Some(*code)),
        Ending::Failed { code } => ("failed", "It left the gateway, and failed", Some(*code)),
        Ending::Cancelled if decision.dispatched => {
            ("cancelled", "Cancelled after it had left the gateway", None)
        }
        Ending::Cancelled => ("cancelled", "Cancelled before it left the gateway", None),
        Ending::Unknown => ("unknown", "The gateway stopped in between: whether it ran is not known", None),
    };
    let mut facts = vec![("Closed", Shown::of(&when(decision.closed_at).people))];
    let first = decision.replays();
    facts.extend(first.map(|first| ("First call", Shown::of(&first.to_string()))));
    if let Some(outcome) = decision.outcome.as_ref().filter(|_| first.is_none()) {
        let kind = if outcome.is_error { "an error" } else { "a result" };
        let text = format!("{kind} of {} bytes in {}", outcome.bytes, took(outcome.upstream_us));
        facts.push(("Server's answer", Shown::of(&text)));
    }
    facts.extend(decision.shown.map(|digest| ("List shown", Shown::of(&digest.to_string()))));
    if decision.progress > 0 {
        facts.push(("Progress messages", Shown::of(&decision.progress.to_string())));
    }
    EndedView {
        word,
        class,
        code: code.map_or("", Code::as_str),
        meaning: code.map_or("", Code::meaning),
        took: took(decision.closed_at.since(decision.opened_at)),
        facts,
        observed: decision.observed,
    }
}

fn stage(evidence: &Evidence) -> StageView {
    let (class, mark, code) = match (evidence.refused, evidence.would_refuse) {
        (Some(code), _) => ("no", "refused", code.as_str()),
        (None, Some(code)) => ("observed", "would refuse", code.as_str()),
        (None, None) => ("yes", "passed", ""),
    };
    StageView {
        name: Shown::of(&format!("{:?}", evidence.stage).to_lowercase()),
        class,
        mark,
        code,
        because: Shown::of(&evidence.because),
        basis: Shown::many(&evidence.basis),
    }
}

fn event(event: &Event) -> EventView {
    let approval = event.detail.get("approval").and_then(|id| ApprovalId::parse(id));
    let own =
        |(key, value): (&String, &String)| (key != "approval").then(|| (Shown::of(key), Shown::of(value)));
    EventView {
        name: Shown::of(&words(&format!("{:?}", event.event))),
        at: when(event.at),
        approval: approval.map(|id| Route::Approval(id).path()),
        detail: event.detail.iter().filter_map(own).collect(),
    }
}

/// `ApprovalGranted` as `approval granted`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}
