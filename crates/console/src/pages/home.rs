//! What needs a human now.

use super::{Frame, activity::CallView, rendered};
use crate::view::Line;
use crate::web::{Body, Stop};
use crate::{Console, Route, Signed};
use askama::Template;
use decision::{Code, approval::State};
use http::{Response, StatusCode};
use store::{DeliveryState, Ended, Filter, Page, PinState};

/// Approvals that are looked through for whoever looks; there may be more in the queue.
const LOOKED_THROUGH: u32 = 200;
/// Lines of what waits for whoever looks, and for others: all of each is shown, and the rest is in the queue.
const MINE: usize = 8;
const OTHERS: usize = 6;
const REFUSALS: usize = 10;
/// Calls that are looked through for them.
const REFUSALS_READ: u64 = 100;
const UNTOLD: u64 = 100;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    mine: Vec<Line>,
    others: Vec<Line>,
    /// Waiting ones that are not shown here.
    more: u64,
    refusals: Vec<CallView>,
    servers: Vec<ServerView>,
    queue: String,
    activity: String,
    /// Messages to webhooks that were given up, up to a hundred.
    untold: usize,
    webhooks: String,
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
    let lines = waiting.iter().map(|kept| Line::of(console, signed, kept)).filter(|line| line.proposed);
    let (mut mine, mut others): (Vec<Line>, Vec<Line>) = lines.partition(|line| line.mine);
    mine.truncate(MINE);
    others.truncate(OTHERS);
    let shown = u64::try_from(mine.len() + others.len()).unwrap_or_default();
    let refused = Filter { ended: Some(Ended::Refused), ..Filter::default() };
    // what is held waits above; it is no refusal yet
    let mut refusals = store.find_calls(scope, &refused, REFUSALS_READ, None).await?;
    refusals.retain(|call| call.code != Some(Code::ApprovalRequired));
    refusals.truncate(REFUSALS);
    let page = Home {
        more: frame.waiting.saturating_sub(shown),
        mine,
        others,
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
