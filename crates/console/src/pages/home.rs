//! What needs a human now.

use super::{Frame, LOOKED_THROUGH, activity::CallView, rendered};
use crate::view::{Line, Shown, When, when};
use crate::web::{Body, Stop};
use crate::{Console, Route, Signed};
use askama::Template;
use decision::approval::State;
use http::{Response, StatusCode};
use store::{DeliveryState, Ended, Filter, Page, PinState};

/// Lines of what waits for whoever looks, and for others; the rest is in the queue.
const MINE: usize = 8;
const OTHERS: usize = 6;
const REFUSALS: u64 = 10;
/// Of what is wrong with files.
const PROBLEMS: usize = 5;
const UNTOLD: u64 = 100;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    mine: Lines,
    others: Lines,
    /// Waiting ones that were not looked through.
    beyond: u64,
    looked_through: u32,
    /// Newer files that are not in force, since when, why, and how many reasons more there are.
    refused: Option<(When, Vec<Shown>, usize)>,
    /// Whether any server is configured.
    begun: bool,
    refusals: Vec<CallView>,
    servers: Vec<ServerView>,
    queue: String,
    activity: String,
    /// Messages to webhooks that were given up, up to a hundred.
    untold: usize,
    webhooks: String,
}

/// Some of what waits, and how many more there are.
struct Lines {
    lines: Vec<Line>,
    more: usize,
}

impl Lines {
    fn of(mut lines: Vec<Line>, most: usize) -> Self {
        let more = lines.len().saturating_sub(most);
        lines.truncate(most);
        Self { lines, more }
    }
}

/// A server that shows what nobody accepted.
struct ServerView {
    name: String,
    href: String,
    new: usize,
    changed: usize,
    gone: usize,
    /// What is worst in it, if that is urgent.
    urgent: &'static str,
}

pub(crate) async fn home(console: &Console, signed: &Signed, frame: Frame) -> Result<Response<Body>, Stop> {
    let (store, scope) = (console.store(), &console.parts.scope);
    let page = Page { after: None, limit: LOOKED_THROUGH };
    let waiting = store.approvals_in(scope, State::Proposed, page).await?;
    let line = |kept| Line::of(console, signed, kept);
    let lines: Vec<Line> = waiting.iter().map(line).filter(|line| line.proposed && !line.void).collect();
    // the others are counted by the frame as well
    let beyond = frame.waiting.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    let (mine, others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| line.mine);
    // what is held waits above; it is no refusal yet
    let refused = Filter { ended: Some(Ended::Refused), errand: Some(false), ..Filter::default() };
    let refusals = store.find_calls(scope, &refused, REFUSALS, None).await?;
    let page = Home {
        mine: Lines::of(mine, MINE),
        others: Lines::of(others, OTHERS),
        beyond,
        looked_through: LOOKED_THROUGH,
        refused: console.parts.servers.refused().map(|refused| {
            let more = refused.problems.len().saturating_sub(PROBLEMS);
            (
                when(refused.at),
                refused.problems.iter().take(PROBLEMS).map(|why| Shown::of(why)).collect(),
                more,
            )
        }),
        begun: !console.parts.servers.configured(None).is_empty(),
        refusals: refusals.iter().map(CallView::of).collect(),
        servers: servers(console).await?,
        queue: Route::Queue.path(),
        untold: store.deliveries(scope, DeliveryState::Dead, UNTOLD).await?.len(),
        webhooks: Route::Webhooks.path(),
        activity: format!("{}?ended=refused", Route::Activity.path()),
        frame,
    };
    rendered(StatusCode::OK, &page)
}

async fn servers(console: &Console) -> Result<Vec<ServerView>, Stop> {
    let (store, scope) = (console.store(), &console.parts.scope);
    let mut servers = Vec::new();
    for server in store.list_servers(scope).await? {
        let pins = store.pins(scope, &server.name).await?;
        let count = |state| pins.iter().filter(|pin| pin.state == state && pin.pending()).count();
        let gone = pins.iter().filter(|pin| pin.state == PinState::Gone).count();
        let (new, changed) = (count(PinState::New), count(PinState::Changed) + count(PinState::Returned));
        if new + changed + gone == 0 {
            continue;
        }
        servers.push(ServerView {
            urgent: super::servers::urgent(console, &server.name).await?,
            name: server.name.to_string(),
            href: super::servers::review_href(&server.name),
            new,
            changed,
            gone,
        });
    }
    Ok(servers)
}
