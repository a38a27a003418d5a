//! The queue and the history.

use super::{Frame, rendered};
use crate::view::Line;
use crate::web::{Body, Stop};
use crate::{Console, Fields, Route, Signed};
use askama::Template;
use decision::approval::State;
use decision::{ApprovalId, Timestamp};
use http::{Response, StatusCode};
use store::{Kept, Page};

/// Lines of one page.
pub(crate) const LINES: u32 = 50;

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    frame: Frame,
    lines: Vec<Line>,
    older: Option<String>,
    first: bool,
}

#[derive(Template)]
#[template(path = "history.html")]
struct History {
    frame: Frame,
    lines: Vec<Line>,
    older: Option<String>,
    first: bool,
}

#[derive(Template)]
#[template(path = "row.html")]
struct Row {
    line: Line,
}

/// What waits, the oldest first.
pub(crate) async fn queue(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let after = place(fields)?;
    let page = Page { after, limit: LINES };
    let kept = console.store().approvals_in(&console.parts.scope, State::Proposed, page).await?;
    let older = next(&kept, Route::Queue, |one| one.approval.proposed_at);
    let lines = kept.iter().map(|one| Line::of(console, signed, one)).collect();
    rendered(StatusCode::OK, &Queue { frame, lines, older, first: after.is_none() })
}

/// What became of the others, the last change first.
pub(crate) async fn history(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let after = place(fields)?;
    let kept = console.store().approvals_past(&console.parts.scope, Page { after, limit: LINES }).await?;
    let older = next(&kept, Route::History, |one| one.changed_at);
    let lines = kept.iter().map(|one| Line::of(console, signed, one)).collect();
    rendered(StatusCode::OK, &History { frame, lines, older, first: after.is_none() })
}

/// One line, for a page that is open.
pub(crate) async fn row(console: &Console, signed: &Signed, id: ApprovalId) -> Result<Response<Body>, Stop> {
    let kept = console.store().approval(&console.parts.scope, id).await?.ok_or_else(Stop::nowhere)?;
    rendered(StatusCode::OK, &Row { line: Line::of(console, signed, &kept) })
}

/// Where the next page begins, if there may be one.
fn next(kept: &[Kept], route: Route, at: impl Fn(&Kept) -> Timestamp) -> Option<String> {
    let last = kept.last().filter(|_| u32::try_from(kept.len()).is_ok_and(|n| n >= LINES))?;
    Some(format!("{}?after={}.{}", route.path(), at(last).0, last.approval.id))
}

fn place(fields: &Fields) -> Result<Option<(Timestamp, ApprovalId)>, Stop> {
    let Some(text) = fields.get("after") else { return Ok(None) };
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some((Timestamp(at.parse().ok()?), ApprovalId::parse(id)?))
    };
    read().map(Some).ok_or_else(|| Stop::malformed("This is no page of the list."))
}
