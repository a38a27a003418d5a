//! Drafts before deeds: `draft_X` keeps a call, `submit_X` makes it. What is submitted becomes the call of `X` before anything is
//! judged, and takes that call's whole path; what is drafted is judged and goes nowhere.

use crate::arguments::Arguments;
use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance};
use crate::gate::{Gate, Live};
use crate::handles::{self, Bound, Kind};
use crate::listen::Admitted;
use crate::permission;
use crate::record::Leg;
use crate::replay;
use crate::reply::Answer;
use crate::resolve::Resolved;
use bytes::Bytes;
use catalog::{DRAFT_ID, Drafting};
use decision::{
    Call, Code, Digest, DraftId, Era, Item, ItemKind, Own, Principal, Refusal, ServerName, Target, Timestamp,
};
use policy::{Answer as Ruled, Question};
use serde_json::json;
use store::{Draft, Turn};
use wire::rpc;

/// So long a draft may be submitted.
const VALID_US: u64 = 8 * 3_600_000_000;

/// A draft that a message submits: the message as the call it stands for.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) heard: Admitted,
    pub(crate) submits: Submits,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Submits {
    pub(crate) draft: DraftId,
    /// Another call did that already: this one can only have its answer.
    pub(crate) again: bool,
}

/// The call that a message of `submit_X` stands for; nothing for any other message.
pub(crate) async fn submitted(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    heard: &Admitted,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Option<Submitted>, Refusal> {
    let Admitted::Message(frame) = heard else { return Ok(None) };
    let Some((server, tool)) = named(live, arrival, frame) else { return Ok(None) };
    // to whom the tool does not exist, what submits it does not either
    let host = leg.claims.host.as_deref();
    if !permission::visible(live, &asker.principal, host, &server, ItemKind::Tool, &tool) {
        return Ok(None);
    }
    let unknown = || {
        let sentence = "there is no such draft of yours for this tool, or its time is over";
        Refusal::new(Code::DraftUnknown, sentence).told(sentence)
    };
    let id = frame.string_at(&["params", "arguments", DRAFT_ID]).ok_or_else(unknown)?;
    let id = DraftId::parse(&id).ok_or_else(unknown)?;
    let found = gate.store.draft(&live.settings.scope(), &owner(&asker.principal), id).await;
    let draft =
        found.map_err(unkept)?.filter(|one| one.server == server && one.tool == tool).ok_or_else(unknown)?;
    let again = draft.deed.is_some_and(|deed| deed != leg.deed);
    if again && !replay::may_have_twin(live, frame, &server, &tool) {
        return Err(spent());
    }
    let current = live.catalogue.item(&server, ItemKind::Tool, &tool);
    if current.map(|item| item.definition.digest()) != Some(draft.definition) {
        let sentence = "the tool is not the one the draft was made for; draft it again";
        return Err(Refusal::new(Code::DraftUnknown, sentence).told(sentence));
    }
    let sealed = std::str::from_utf8(&draft.sealed).ok();
    let inner =
        sealed.and_then(|sealed| handles::open(gate, &bound(&asker.principal, &server, &tool), sealed));
    let arguments = inner.ok_or_else(unknown)?;
    let name = listed(&arrival.entrance, &server, tool);
    let broken = |e: wire::SpliceError| Refusal::new(Code::StageFailed, e.to_string());
    let at = frame.member(&["params", "arguments"]).ok_or_else(unknown)?;
    let splice = wire::Splice::new(frame).replace(at, arguments);
    let splice = splice.set_path(&["params", "name"], wire::json::encode_string(&name));
    let limits = wire::Limits::DEFAULT.with_bytes(u32::MAX as usize);
    let frame = splice.finish_frame(&limits).map_err(broken)?;
    leg.notes.push(format!("draft:{id}"));
    Ok(Some(Submitted { heard: Admitted::Message(frame), submits: Submits { draft: id, again } }))
}

/// The name that a tool of a server has at an entrance.
fn listed(entrance: &Entrance, server: &ServerName, tool: String) -> String {
    match entrance {
        Entrance::Federated => catalog::federated(server, &tool),
        Entrance::Server(_) => tool,
    }
}

/// Which tool's draft the message submits, if that is what it does.
fn named(live: &Live, arrival: &Arrival, frame: &wire::Frame) -> Option<(ServerName, String)> {
    if frame.method().as_deref() != Some("tools/call") {
        return None;
    }
    let name = frame.string_at(&["params", "name"])?;
    let (server, name) = match &arrival.entrance {
        Entrance::Federated => catalog::split(&name).map(|(server, name)| (server, name.to_owned()))?,
        Entrance::Server(_) => (arrival.entrance.server()?, name.into_owned()),
    };
    match &live.catalogue.server(&server)?.submit(&name)?.drafting {
        Some(Drafting::Submit { of }) => Some((server, of.clone())),
        Some(Drafting::Draft { .. }) | None => None,
    }
}

/// Uses it up, in the same deed as its call.
pub(crate) async fn spend(gate: &Gate, live: &Live, draft: DraftId, leg: &mut Leg) -> Result<(), Refusal> {
    let scope = live.settings.scope();
    if leg.leg > 0 {
        let found = gate.store.draft(&scope, &owner(&leg.principal), draft).await.map_err(unkept)?;
        if found.is_some_and(|found| found.deed == Some(leg.deed)) {
            return Ok(());
        }
    }
    match gate.store.spend_draft(&scope, draft, leg.deed).await.map_err(unkept)? {
        Turn::Taken => {
            leg.draft = Some(draft);
            Ok(())
        }
        Turn::Missed => Err(spent()),
    }
}

/// Nothing left: it may be submitted again.
pub(crate) async fn give_back(gate: &Gate, live: &Live, draft: DraftId, deed: decision::DeedId) {
    let given = gate.store.give_back_draft(&live.settings.scope(), draft, deed).await;
    if let Err(error) = given {
        tracing::error!(%error, %draft, "a draft cannot be given back");
    }
}

/// Keeps a call that was judged, and says what would come of it.
pub(crate) async fn keep(
    gate: &Gate,
    live: &Live,
    entrance: &Entrance,
    call: &Call,
    (resolved, of): (&Resolved, &str),
    arguments: &Arguments,
) -> Result<Answer, Refusal> {
    let server = &resolved.target.server;
    let item = live.catalogue.item(server, ItemKind::Tool, of);
    let item = item.ok_or_else(|| Refusal::new(Code::ItemUnknown, "the tool that is drafted is gone"))?;
    let now = gate.clock.now();
    let raw = if arguments.raw.is_empty() { Bytes::from_static(b"{}") } else { arguments.raw.clone() };
    let draft = Draft {
        id: DraftId::new(now, gate.random()),
        owner: owner(call.principal()),
        server: server.clone(),
        tool: of.to_owned(),
        definition: item.definition.digest(),
        sealed: handles::seal(gate, &bound(call.principal(), server, of), &raw).into_bytes(),
        made_at: now,
        expires_at: Timestamp(now.0.saturating_add(VALID_US)),
        deed: None,
    };
    gate.store.keep_draft(&live.settings.scope(), &draft).await.map_err(unkept)?;
    let would = would(live, call, of, &raw, now);
    let submit = listed(entrance, server, Drafting::submit_of(of));
    // no prints: whoever drafts knows the values
    let shown = inspect::shown::arguments(&raw, &|_| String::new());
    let text = format!(
        "Nothing was done. Draft `{}` would run `{of}` on `{server}` ({}) with {}. {would} To make the call, use `{submit}` with \
         this {DRAFT_ID} within eight hours; it can be used once.",
        draft.id,
        item.classified.effect.as_str(),
        if shown.text.is_empty() { "no arguments" } else { &shown.text },
    );
    let mut result = json!({
        "content": [{ "type": "text", "text": text }],
        "structuredContent": { DRAFT_ID: draft.id.to_string(), "submit": submit, "would": would, "expires": draft.expires_at.0 / 1_000_000 },
    });
    if let (Some(Era::Modern), Some(members)) = (call.channel().era, result.as_object_mut()) {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    let id = resolved.frame.id_raw().unwrap_or(b"0");
    Ok(Answer::Message(rpc::result(id, result.to_string().as_bytes())))
}

/// What the rules would say to the call itself, as far as its asker may be told.
fn would(live: &Live, call: &Call, of: &str, raw: &Bytes, now: Timestamp) -> String {
    let asked = Question::of(call, raw, now);
    let subject = policy::Subject { name: of, ..asked.subject };
    let question = Question { subject, ..asked };
    match live.policies.call(&question) {
        Ruled::Allowed { .. } => "The rules would allow it now.".to_owned(),
        Ruled::Held(held) => {
            format!("It would wait for approval by {}: {}.", held.cure, held.because.join("; "))
        }
        Ruled::Refused { because, .. } if because.is_empty() => "The rules would refuse it now.".to_owned(),
        Ruled::Refused { because, .. } => format!("The rules would refuse it now: {}.", because.join("; ")),
    }
}

fn owner(principal: &Principal) -> Digest {
    principal.owner(Own::Drafts)
}

fn bound(principal: &Principal, server: &ServerName, tool: &str) -> Bound {
    let item = Item { kind: ItemKind::Tool, name: tool.to_owned() };
    Bound::to_item(Kind::Draft, principal, &Target { server: server.clone(), item, definition: None })
}

pub(crate) fn spent() -> Refusal {
    let sentence = "the draft was submitted already; draft the call again";
    Refusal::new(Code::DraftUnknown, sentence).told(sentence)
}

fn unkept(error: store::StoreError) -> Refusal {
    tracing::error!(%error, "drafts cannot be kept or found");
    Refusal::new(Code::ApprovalUnavailable, error.to_string())
}
