//! What webhooks were not told, and having it tried anew.

use super::{Frame, rendered};
use crate::view::{Shown, When, when};
use crate::web::{self, Body, Stop};
use crate::{Console, Fields, Route, Signed};
use askama::Template;
use decision::{ApprovalId, EventName};
use http::{Response, StatusCode};
use policy::{ConsoleAction, On};
use store::{Delivery, DeliveryState, StoreError};

/// Lines of each list.
const LINES: u64 = 100;
/// An id of ours is shorter.
const ID_BYTES_MAX: usize = 64;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Webhooks {
    frame: Frame,
    given_up: Vec<Untold>,
    waiting: Vec<Untold>,
    may: bool,
    redeliver: String,
}

struct Untold {
    id: Shown,
    hook: Shown,
    event: Shown,
    /// The page of what it is about.
    about: Option<String>,
    made: When,
    next: When,
    tries: u64,
    error: Shown,
}

impl Untold {
    fn of(one: &Delivery) -> Self {
        Self {
            id: Shown::of(&one.id),
            hook: Shown::of(&one.hook),
            event: Shown::of(&one.event),
            about: ApprovalId::parse(&one.subject).map(|id| Route::Approval(id).path()),
            made: when(one.made_at),
            next: when(one.next_at),
            tries: one.tries,
            error: Shown::of(one.error.as_deref().unwrap_or_default()),
        }
    }
}

pub(crate) async fn webhooks(
    console: &Console,
    signed: &Signed,
    frame: Frame,
) -> Result<Response<Body>, Stop> {
    let (store, scope) = (console.store(), &console.parts.scope);
    let given_up = store.deliveries(scope, DeliveryState::Dead, LINES).await?;
    let mut waiting = store.deliveries(scope, DeliveryState::Waiting, LINES).await?;
    // what was not tried yet is told in a moment
    waiting.retain(|one| one.error.is_some());
    let page = Webhooks {
        frame,
        given_up: given_up.iter().map(Untold::of).collect(),
        waiting: waiting.iter().map(Untold::of).collect(),
        may: console.may(signed, ConsoleAction::Redeliver, &On::Console),
        redeliver: Route::Redeliver.path(),
    };
    rendered(StatusCode::OK, &page)
}

/// Recorded before it is done: a message that goes out again has somebody's name in the record.
pub(crate) async fn redeliver(
    console: &Console,
    signed: &Signed,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let id = fields.get("delivery").map(String::as_str).unwrap_or_default();
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Stop::malformed("This is no message to a webhook."));
    }
    let (store, scope) = (console.store(), &console.parts.scope);
    let told = console.tell(EventName::WebhookRetried, &signed.visitor, &[("delivery", id)]).await;
    told.map_err(|error| Stop::fault(&error))?;
    match store.retry_delivery(scope, id).await {
        // somebody else had it tried already
        Ok(()) | Err(StoreError::Missing { .. }) => Ok(web::see(&Route::Webhooks.path())),
        Err(error) => Err(error.into()),
    }
}
