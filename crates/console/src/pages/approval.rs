//! One approval: everything that somebody who decides should know, and the decision.

use super::servers::{configured, quoted};
use super::{Frame, rendered};
use crate::view::{
    self, Line, NeedView, Piece, Shown, When, actor, may_decide, needs, phrases, pieces, refusal, span,
    state, when,
};
use crate::web::{self, Body, Stop};
use crate::{Console, Fields, Route, Signed, Worth, on};
use askama::Template;
use catalog::record::Access;
use decision::approval::{Approval, Part, Source, Vote};
use decision::{ApprovalId, ItemKind};
use http::{Response, StatusCode};
use inspect::shown::reason;
use policy::ConsoleAction;
use store::Kept;

/// Of what a definition says of itself: lines and characters that are shown at once, and characters in all.
const SAYS_LINES: usize = 4;
const SAYS_CHARS: usize = 400;
const SAYS_CHARS_MAX: usize = 16_000;

#[derive(Template)]
#[template(path = "approval.html")]
struct Sheet {
    frame: Frame,
    line: Line,
    problem: Option<String>,
    summary: Vec<Piece>,
    actor: (&'static str, Shown),
    user: Option<Shown>,
    groups: Vec<String>,
    host: Option<Shown>,
    kind: &'static str,
    tool: Shown,
    categories: Vec<Shown>,
    arguments: Vec<Piece>,
    masked: Vec<Shown>,
    /// How many values nobody here is shown.
    hidden: Option<String>,
    labels: Vec<Shown>,
    read: Vec<Read>,
    undo: Option<Shown>,
    /// What it says of itself, as it was accepted: the first lines, and the rest.
    says: Option<(Shown, Option<Shown>)>,
    because: Vec<Shown>,
    rules: Vec<String>,
    needs: Vec<NeedView>,
    apart: bool,
    executes: bool,
    votes: Vec<VoteView>,
    /// Why the call would be refused now whatever people say; what is to be typed is set apart.
    shut: Vec<(bool, String)>,
    /// That nobody's yes counts any more, and why.
    void: Option<String>,
    /// What came of it, whole.
    ended: Option<(Shown, When)>,
    /// Gateways whose rules make a yes void.
    against: Vec<Shown>,
    may: bool,
    why_not: String,
    may_revoke: bool,
    approve: String,
    deny: String,
    revoke: String,
    call: String,
    digests: [(&'static str, String); 3],
}

/// An answer that the agent had in hand.
struct Read {
    href: String,
    server: Shown,
    item: Shown,
    at: When,
    ago: String,
}

struct VoteView {
    person: Shown,
    yes: bool,
    groups: String,
    lent: Vec<String>,
    reason: Option<Shown>,
    at: When,
}

/// The page of an approval; with what went wrong, where something did.
pub(crate) async fn approval(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    id: ApprovalId,
    problem: Option<String>,
) -> Result<Response<Body>, Stop> {
    let kept = console.store().approval(&console.parts.scope, id).await?.ok_or_else(Stop::nowhere)?;
    let status = if problem.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let shut = shut(console, &kept.approval).await?;
    let says = says(console, &kept.approval).await?;
    let against = console.store().gateways_against(&console.parts.scope, &kept.approval).await?;
    let against = against.iter().map(|one| Shown::of(&one.makes_void())).collect();
    rendered(status, &Sheet { problem, shut, says, against, ..sheet(console, signed, frame, &kept) })
}

/// What the definition that it is bound to says of itself.
async fn says(console: &Console, one: &Approval) -> Result<Option<(Shown, Option<Shown>)>, Stop> {
    let Some(digest) = one.terms.target.definition else { return Ok(None) };
    let raw = console.store().definition(&console.parts.scope, &digest).await?;
    let read = raw.and_then(|raw| serde_json::from_slice::<Described>(&raw).ok());
    let text = read.and_then(|read| read.description).unwrap_or_default();
    Ok(beginning(text.trim()))
}

/// What a definition says for people.
#[derive(serde::Deserialize)]
struct Described {
    description: Option<String>,
}

/// The first lines of a text, and the rest of it. Longer than what people are shown of arguments it is not worth.
fn beginning(text: &str) -> Option<(Shown, Option<Shown>)> {
    let all: String = text.chars().take(SAYS_CHARS_MAX).collect();
    let cut = if all.len() < text.len() { "…" } else { "" };
    let lines: usize = all.split_inclusive('\n').take(SAYS_LINES).map(|line| line.chars().count()).sum();
    let first: String = all.chars().take(lines.min(SAYS_CHARS)).collect();
    let rest = all.strip_prefix(&first).unwrap_or_default();
    let rest = (!rest.is_empty()).then(|| Shown::lines(&format!("{rest}{cut}")));
    let more = if rest.is_some() { "…" } else { "" };
    (!first.is_empty()).then(|| (Shown::lines(&format!("{}{more}", first.trim_end())), rest))
}

/// Why its server would not be asked now, if it would not.
async fn shut(console: &Console, one: &Approval) -> Result<Vec<(bool, String)>, Stop> {
    let target = &one.terms.target;
    if !state(one, console.parts.clock.now()).is_open() {
        return Ok(Vec::new());
    }
    let Some(server) = configured(console, &target.server).await? else {
        return Ok(quoted(format!("the server `{}` is not configured here any more", target.server)));
    };
    let reads = || server.known.tools.iter().any(|tool| tool.name == target.item.name && tool.reads);
    let refused = match server.access {
        Access::Whole => false,
        Access::Reads(_) => target.item.kind == ItemKind::Tool && !reads(),
        Access::Nothing(_) => true,
    };
    let because = server.access.because(target.server.as_str()).filter(|_| refused);
    let because = because.or_else(|| match console.parts.servers.worth(&one.terms) {
        Worth::NothingNow(why) => Some(why),
        Worth::Counts | Worth::Void(_) => None,
    });
    Ok(because.map(quoted).unwrap_or_default())
}

fn sheet(console: &Console, signed: &Signed, frame: Frame, kept: &Kept) -> Sheet {
    let now = console.parts.clock.now();
    let one = &kept.approval;
    let (terms, preview) = (&one.terms, &one.preview);
    let may = may_decide(console, signed, one);
    let (kind, acts) = actor(&terms.principal.actor);
    let read = |source: &Source| Read {
        href: Route::Call(source.call).path(),
        server: Shown::of(source.server.as_str()),
        item: Shown::of(&source.item),
        at: when(source.at),
        ago: span(one.proposed_at.since(source.at)),
    };
    let digest =
        |digest: Option<decision::Digest>| digest.map_or_else(|| "none".to_owned(), |d| d.to_string());
    Sheet {
        line: Line::of(console, signed, kept),
        frame,
        problem: None,
        shut: Vec::new(),
        summary: phrases(&preview.summary),
        actor: (kind, Shown::of(&acts)),
        user: terms.principal.user.as_ref().map(|user| Shown::of(user.name.as_str())),
        groups: terms.principal.all_groups().iter().map(ToString::to_string).collect(),
        host: terms.host.as_deref().map(Shown::of),
        kind: view::kind(terms.target.item.kind),
        tool: Shown::of(&terms.target.item.name),
        categories: Shown::many(&preview.categories),
        arguments: pieces(&preview.arguments),
        masked: Shown::many(&preview.masked),
        hidden: preview.hides(),
        labels: Shown::many(&preview.warnings()),
        read: preview.read.iter().map(read).collect(),
        says: None,
        undo: preview.undo.as_deref().map(Shown::of),
        because: Shown::many(&preview.because),
        rules: preview.rules.iter().map(ToString::to_string).collect(),
        needs: needs(one),
        apart: one.cure.apart,
        executes: one.cure.executes,
        votes: one.votes.iter().map(vote).collect(),
        void: view::void(console, one).map(counts_nothing),
        ended: one.ended.as_ref().map(|ended| (Shown::of(&ended.to_string()), when(ended.at))),
        against: Vec::new(),
        may: may.is_ok(),
        why_not: may.err().unwrap_or_default(),
        may_revoke: state(one, now).is_open() && console.may(signed, ConsoleAction::Revoke, &on(one)),
        approve: Route::Approve(one.id).path(),
        deny: Route::Deny(one.id).path(),
        revoke: Route::Revoke(one.id).path(),
        call: Route::Call(one.call).path(),
        digests: [
            ("Definition", digest(terms.target.definition)),
            ("Arguments", terms.arguments.to_string()),
            ("Policies", terms.policy.to_string()),
        ],
    }
}

fn counts_nothing(part: Part) -> String {
    let why = part.counts_nothing();
    format!("{why}. Whoever asked has to ask again, and then you are asked anew.")
}

fn vote(vote: &Vote) -> VoteView {
    let groups: Vec<_> = vote.groups.iter().map(ToString::to_string).collect();
    VoteView {
        person: Shown::of(vote.person.as_str()),
        yes: vote.yes,
        groups: groups.join(", "),
        lent: vote.lent.iter().map(|(group, by)| format!("{group} lent by {by}")).collect(),
        reason: vote.reason.as_deref().map(Shown::of),
        at: when(vote.at),
    }
}

/// Somebody's yes or no.
pub(crate) async fn decide(
    console: &Console,
    signed: &Signed,
    id: ApprovalId,
    yes: bool,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let approval = found(console, id).await?;
    let reason = reason(fields.get("reason").map_or("", String::as_str));
    let voter = match may_decide(console, signed, &approval) {
        Ok(()) => signed.voter.as_ref(),
        Err(why) => return again(console, signed, id, why, StatusCode::FORBIDDEN).await,
    };
    let Some(voter) = voter else { return Err(Stop::nowhere()) };
    if let Some(part) = view::void(console, &approval).filter(|_| yes) {
        let why = format!("Void: {}", counts_nothing(part));
        return again(console, signed, id, why, StatusCode::CONFLICT).await;
    }
    if !yes && reason.is_none() {
        let why = "Say why in a few words: whoever asked may read it.".to_owned();
        return again(console, signed, id, why, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let step =
        console.parts.desk.vote(&console.parts.scope, id, voter, yes, reason.as_deref(), "console").await;
    taken(console, signed, id, step).await
}

/// Takes an approval back.
pub(crate) async fn revoke(
    console: &Console,
    signed: &Signed,
    id: ApprovalId,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let approval = found(console, id).await?;
    if !console.may(signed, ConsoleAction::Revoke, &on(&approval)) {
        let why = "Whoever decided it, or an administrator, takes it back.".to_owned();
        return again(console, signed, id, why, StatusCode::FORBIDDEN).await;
    }
    let reason = reason(fields.get("reason").map_or("", String::as_str));
    let by = signed.visitor.to_string();
    let step = console.parts.desk.revoke(&console.parts.scope, id, &by, reason.as_deref()).await;
    taken(console, signed, id, step).await
}

async fn found(console: &Console, id: ApprovalId) -> Result<Approval, Stop> {
    let kept = console.store().approval(&console.parts.scope, id).await?;
    kept.map(|kept| kept.approval).ok_or_else(Stop::nowhere)
}

async fn taken(
    console: &Console,
    signed: &Signed,
    id: ApprovalId,
    step: Result<Approval, store::DeskError>,
) -> Result<Response<Body>, Stop> {
    match step {
        Ok(_) => Ok(web::see(&Route::Approval(id).path())),
        Err(store::DeskError::Missing(_)) => Err(Stop::nowhere()),
        Err(error) => match refusal(&error) {
            Some(why) => again(console, signed, id, why, StatusCode::CONFLICT).await,
            None => Err(Stop::fault(&error)),
        },
    }
}

/// The page once more, with why nothing was done.
async fn again(
    console: &Console,
    signed: &Signed,
    id: ApprovalId,
    why: String,
    status: StatusCode,
) -> Result<Response<Body>, Stop> {
    let frame = Frame::of(console, signed, Route::Approval(id)).await?;
    let mut response = approval(console, signed, frame, id, Some(why)).await?;
    *response.status_mut() = status;
    Ok(response)
}
