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
/// Nobody turns so many pages.
const BEFORE_MAX: u64 = 10_000_000;

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    frame: Frame,
    lines: Vec<Line>,
    older: Option<String>,
    first: bool,
    /// Which of how many these are: about, where others are decided meanwhile.
    from: u64,
    to: u64,
    all: u64,
    next: u64,
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
    let (store, scope) = (console.store(), &console.parts.scope);
    let page = Page { after, limit: LINES + 1 };
    let mut kept = store.approvals_in(scope, State::Proposed, page).await?;
    let before = fields.get("before").filter(|_| after.is_some()).and_then(|text| text.parse::<u64>().ok());
    let before = before.unwrap_or_default().min(BEFORE_MAX);
    let older = next(&mut kept, Route::Queue, |one| one.approval.proposed_at);
    let to = before + u64::try_from(kept.len()).unwrap_or_default();
    let all = store.count_approvals(scope, State::Proposed).await?.max(to);
    let lines = kept.iter().map(|one| Line::of(console, signed, one)).collect();
    rendered(
        StatusCode::OK,
        &Queue {
            frame,
            lines,
            older: older.map(|address| format!("{address}&before={to}")),
            first: after.is_none(),
            from: before + 1,
            to,
            all,
            next: (all - to).clamp(1, u64::from(LINES)),
        },
    )
}

/// What became of the others, the last change first.
pub(crate) async fn history(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let after = place(fields)?;
    let page = Page { after, limit: LINES + 1 };
    let mut kept = console.store().approvals_past(&console.parts.scope, page).await?;
    let older = next(&mut kept, Route::History, |one| one.changed_at);
    let lines = kept.iter().map(|one| Line::of(console, signed, one)).collect();
    rendered(StatusCode::OK, &History { frame, lines, older, first: after.is_none() })
}

/// One line, for a page that is open.
pub(crate) async fn row(console: &Console, signed: &Signed, id: ApprovalId) -> Result<Response<Body>, Stop> {
    let kept = console.store().approval(&console.parts.scope, id).await?.ok_or_else(Stop::nowhere)?;
    rendered(StatusCode::OK, &Row { line: Line::of(console, signed, &kept) })
}

/// Where the next page begins, if there is one: what was read beyond this page is taken off.
fn next(kept: &mut Vec<Kept>, route: Route, at: impl Fn(&Kept) -> Timestamp) -> Option<String> {
    let lines = usize::try_from(LINES).unwrap_or(usize::MAX);
    let more = kept.len() > lines;
    kept.truncate(lines);
    let last = kept.last().filter(|_| more)?;
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
