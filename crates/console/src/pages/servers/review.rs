//! What waits at one server, on one page: what differs, why to look, whom it reaches, and one button.

mod items;

use super::{configured, href as server_href, named};
use crate::aside::aside;
use crate::pages::{Frame, rendered};
use crate::review::{Field, Place, Review, Waiting};
use crate::view::Shown;
use crate::web::{self, Body, Stop};
use crate::{Console, Fields, Route, Signed};
use askama::Template;
use catalog::drift::Severity;
use decision::{Digest, ServerName};
use http::{Response, StatusCode};
use items::{ItemView, item};
use policy::{ConsoleAction, On};
use store::{By, Pin, PinState, StoreError, Which};

/// Why a decision was not taken: what was decided about is not what waits now. Never another word.
pub(crate) const OUTDATED: &str = "shown-outdated";
/// Why a no was not taken: nothing is shown that it could be about.
const GONE: &str = "nothing-shown";

/// Items that are looked at, and those of them that one page has.
const LOOKED_AT: usize = 500;
const ITEMS: usize = 40;
/// Most characters of definitions on a page, and of one item. What is longer is not decided here: nobody accepts what they
/// were not shown.
const PAGE_CHARS: usize = 200_000;
const ITEM_CHARS: usize = 50_000;
/// Most fields of one item.
const ROWS: usize = 200;

#[derive(Template)]
#[template(path = "review.html")]
struct Page {
    frame: Frame,
    name: String,
    problem: Option<Problem>,
    items: Vec<ItemView>,
    /// Waiting, and not on this page.
    left: usize,
    /// What a decision is about.
    shown: String,
    only: Option<String>,
    /// How many of the items a decision is about, and how many of these are gone: nobody refuses what is not shown.
    decided: usize,
    noted: usize,
    /// Whether something on it is high or critical: then refusing is what stands out.
    urgent: bool,
    changed: usize,
    new: usize,
    gone: usize,
    may: bool,
    judge: String,
    server: String,
    servers: String,
    all: String,
}

/// Why nothing was decided, in a sentence and in a word.
struct Problem {
    text: &'static str,
    code: &'static str,
}

/// What is on a page, and what a decision about it is about.
struct Chosen {
    review: Review,
    /// Indices of what is shown, the urgent first, and whether all of it is.
    shown: Vec<(usize, bool)>,
    left: usize,
    digest: Digest,
}

impl Chosen {
    fn decided(&self) -> Vec<&Waiting> {
        let whole = self.shown.iter().filter(|(_, whole)| *whole);
        whole.flat_map(|(index, _)| about(&self.review, *index)).collect()
    }
}

/// The page of what waits at a server.
pub(crate) fn href(name: &ServerName) -> String {
    format!("{}?name={name}", Route::Review.path())
}

pub(crate) async fn review(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let name = named(fields, "name")?;
    let only = only(fields)?;
    let chosen = chosen(console, &name, only).await?;
    let problem = (only.is_some() && chosen.shown.is_empty()).then_some(Problem {
        text: "This is not what waits any more: somebody decided, or the server shows something else by now.",
        code: OUTDATED,
    });
    aside(|| page(console, signed, frame, &name, only, &chosen, problem)).await
}

/// Accepts or refuses what the page showed: exactly that, or nothing.
pub(crate) async fn judge(
    console: &Console,
    signed: &Signed,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let name = named(fields, "server")?;
    let text = |field: &str| fields.get(field).map(String::as_str).unwrap_or_default();
    let yes = match text("decision") {
        "accept" => true,
        "refuse" => false,
        _ => return Err(Stop::malformed("This is neither a yes nor a no.")),
    };
    let Some(shown) = Digest::parse(text("shown")) else {
        return Err(Stop::malformed("This form does not say what it is about."));
    };
    let only = only(fields)?;
    let chosen = chosen(console, &name, only).await?;
    let pins: Vec<&Pin> = chosen.decided().into_iter().map(|one| &one.pin).collect();
    if pins.is_empty() || chosen.digest != shown {
        return outdated(console, signed, &name, only, &chosen).await;
    }
    // a no is to what is shown; what is gone stays as it is
    let meant: Vec<&&Pin> = pins.iter().filter(|pin| yes || pin.state != PinState::Gone).collect();
    if meant.is_empty() {
        let text = "Nothing was decided: what is gone is not shown any more, so there is nothing to refuse. Take note of it; \
            should it come back, it is new and waits.";
        let problem = Problem { text, code: GONE };
        return unchanged(console, signed, &name, only, &chosen, problem).await;
    }
    // the store looks once more: something may be shown otherwise since it was read here
    let items = Which::Items(meant.iter().map(|pin| (pin.item.clone(), Some(pin.seen))).collect());
    let who = signed.visitor.to_string();
    let by = By { who: &who, shown: Some(shown) };
    let (store, scope) = (console.store(), &console.parts.scope);
    let taken = match yes {
        true => store.approve(scope, &name, &items, by).await,
        false => store.reject(scope, &name, &items, by).await,
    };
    match taken {
        Ok(_) => {}
        Err(
            StoreError::Moved { .. }
            | StoreError::Missing { .. }
            | StoreError::NotShown { .. }
            | StoreError::Gone { .. },
        ) => {
            return outdated(console, signed, &name, only, &chosen).await;
        }
        Err(error) => return Err(error.into()),
    }
    console.tell_decided().await?;
    Ok(web::see(&match only.is_some() || chosen.left > 0 {
        true => href(&name),
        false => server_href(&name),
    }))
}

/// What waits now, and that nothing was decided.
async fn outdated(
    console: &Console,
    signed: &Signed,
    name: &ServerName,
    only: Option<Digest>,
    before: &Chosen,
) -> Result<Response<Body>, Stop> {
    let text = "Nothing was decided: what waits here is not what the page showed. The server shows something else by \
        now, or somebody was faster. This is what waits now.";
    let problem = Problem { text, code: OUTDATED };
    unchanged(console, signed, name, only, before, problem).await
}

/// The page once more, with why nothing was decided.
async fn unchanged(
    console: &Console,
    signed: &Signed,
    name: &ServerName,
    only: Option<Digest>,
    before: &Chosen,
    problem: Problem,
) -> Result<Response<Body>, Stop> {
    let frame = Frame::of(console, signed, Route::Review).await?;
    // what was asked for alone may be gone; then all of it is shown
    let only = only.filter(|_| !before.shown.is_empty());
    let chosen = chosen(console, name, only).await?;
    let mut response = aside(|| page(console, signed, frame, name, only, &chosen, Some(problem))).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

fn only(fields: &Fields) -> Result<Option<Digest>, Stop> {
    let Some(text) = fields.get("only") else { return Ok(None) };
    Digest::parse(text).map(Some).ok_or_else(|| Stop::malformed("This is not the name of a change."))
}

/// What somebody would look at now.
async fn chosen(console: &Console, name: &ServerName, only: Option<Digest>) -> Result<Chosen, Stop> {
    let (store, scope) = (console.store(), &console.parts.scope);
    if configured(console, name).await?.is_none() && store.record(scope, name).await?.is_none() {
        return Err(Stop::nowhere());
    }
    let servers = &console.parts.servers;
    let place = Place {
        store,
        scope,
        server: name,
        now: console.parts.clock.now(),
        agents: &servers.agents(),
        over: &|definitions| servers.rules_over(name, definitions),
    };
    let review = Review::of(&place, LOOKED_AT).await?;
    Ok(aside(|| shown(review, only)).await)
}

/// The urgent first, as much as a page has room for.
fn shown(review: Review, only: Option<Digest>) -> Chosen {
    let mut order: Vec<usize> =
        (0..review.waiting.len()).filter(|index| stands_alone(&review, *index)).collect();
    let urgency = |index: &usize| review.waiting.get(*index).map(|one| review.severity(&one.pin.item));
    order.sort_by_key(|index| std::cmp::Reverse(urgency(index)));
    if let Some(only) = only {
        order.retain(|index| review.digest(about(&review, *index)) == only);
    }
    let (mut shown, mut room) = (Vec::new(), PAGE_CHARS);
    for index in &order {
        let chars = chars(&review, *index);
        let whole = chars.is_some_and(|chars| chars <= ITEM_CHARS);
        let needed = chars.filter(|_| whole).unwrap_or_default();
        if needed > room || shown.len() >= ITEMS {
            break;
        }
        room -= needed;
        shown.push((*index, whole));
    }
    let left = order.len() - shown.len();
    let mut chosen = Chosen { digest: review.digest([]), review, shown, left };
    chosen.digest = chosen.review.digest(chosen.decided());
    chosen
}

/// Whether somebody should decide about it: it waits, and is not the old name of something that does.
fn stands_alone(review: &Review, index: usize) -> bool {
    let Some(one) = review.waiting.get(index) else { return false };
    let waits = one.pin.pending() || one.pin.state == PinState::Gone || one.pin.flaps();
    let called = catalog::drift::called(&one.pin.item);
    let new_name = |other: &Waiting| {
        other.pin.item.kind == one.pin.item.kind
            && other.pin.pending()
            && review.renamed_from(&other.pin.item) == Some(called.as_str())
    };
    waits && !(one.pin.state == PinState::Gone && review.waiting.iter().any(new_name))
}

/// What a decision about one item is about: of one with another name, its old name too.
fn about(review: &Review, index: usize) -> Vec<&Waiting> {
    let Some(one) = review.waiting.get(index) else { return Vec::new() };
    [one].into_iter().chain(old_name(review, one)).collect()
}

fn old_name<'a>(review: &'a Review, one: &Waiting) -> Option<&'a Waiting> {
    let was = review.renamed_from(&one.pin.item)?;
    let gone = |other: &&Waiting| {
        other.pin.state == PinState::Gone
            && other.pin.item.kind == one.pin.item.kind
            && catalog::drift::called(&other.pin.item) == was
    };
    review.waiting.iter().find(gone)
}

/// What is shown beside what was accepted, each under its name: what is shown now, and the worst of what was shown
/// meanwhile, where that is worse, as bad as something that is not harmless, or all there is to see.
fn beside(review: &Review, index: usize) -> Vec<(&'static str, Vec<Field>)> {
    let Some(one) = review.waiting.get(index) else { return Vec::new() };
    let now = match old_name(review, one) {
        Some(old) => one.fields_beside(old),
        None => one.fields(),
    };
    let worst = review.changes_now(&one.pin.item).iter().map(|change| change.severity).max();
    let is_gone = one.pin.state == PinState::Gone;
    let meanwhile = one.meanwhile.first().filter(|meanwhile| {
        let severity = meanwhile.severity();
        let is_as_bad = |worst| severity > worst || (severity == worst && worst >= Severity::Medium);
        one.is_back() || is_gone || worst.is_none_or(is_as_bad)
    });
    let now = (!one.is_back() || meanwhile.is_none()).then_some(("Shown now", now));
    let meanwhile = meanwhile.map(|meanwhile| ("Shown meanwhile", meanwhile.fields()));
    now.into_iter().chain(meanwhile).collect()
}

/// How much of a page it takes; `None` is too many rows.
fn chars(review: &Review, index: usize) -> Option<usize> {
    let fields: Vec<Field> = beside(review, index).into_iter().flat_map(|(_, fields)| fields).collect();
    let texts = fields.iter().flat_map(Field::texts);
    (fields.len() <= ROWS).then(|| texts.map(|text| Shown::lines(text).to_string().chars().count()).sum())
}

fn page(
    console: &Console,
    signed: &Signed,
    frame: Frame,
    name: &ServerName,
    only: Option<Digest>,
    chosen: &Chosen,
    problem: Option<Problem>,
) -> Result<Response<Body>, Stop> {
    let items: Vec<_> =
        chosen.shown.iter().filter_map(|(index, whole)| item(name, &chosen.review, *index, *whole)).collect();
    let count = |state: &str| items.iter().filter(|item| item.state == state).count();
    let page = Page {
        name: name.to_string(),
        problem,
        left: chosen.left,
        shown: chosen.digest.to_string(),
        only: only.map(|only| only.to_string()),
        decided: items.iter().filter(|item| item.whole).count(),
        noted: items.iter().filter(|item| item.whole && item.state == "gone").count(),
        urgent: items.iter().any(|item| matches!(item.severity, "high" | "critical")),
        changed: items.iter().filter(|item| !matches!(item.state, "new" | "gone")).count(),
        new: count("new"),
        gone: count("gone"),
        may: console.may(signed, ConsoleAction::ChangeServer, &On::Console),
        judge: Route::Judge.path(),
        server: server_href(name),
        servers: Route::Servers.path(),
        all: href(name),
        items,
        frame,
    };
    rendered(StatusCode::OK, &page)
}
