//! What waits at one server, on one page: what differs, why to look, whom it reaches, and one button.

use super::{configured, href as server_href, named};
use crate::pages::{Frame, rendered};
use crate::review::{Field, Part, Place, Radius, Review, Ruling, Waiting};
use crate::view::{Shown, When, kind, when};
use crate::web::{self, Body, Stop};
use crate::{Console, Fields, Route, Signed};
use askama::Template;
use catalog::drift::{Change, Severity};
use catalog::scan::Finding;
use decision::{Digest, ServerName};
use http::{Response, StatusCode};
use policy::{ConsoleAction, On};
use store::{By, Pin, PinState, StoreError, Which};

/// Why a decision was not taken: what was decided about is not what waits now. Never another word.
pub(crate) const OUTDATED: &str = "shown-outdated";

/// Items that are looked at, and those of them that one page has.
const LOOKED_AT: usize = 500;
const ITEMS: usize = 40;
/// Most characters of definitions on a page, and of one item. What is longer is not decided here: nobody accepts what they
/// were not shown.
const PAGE_CHARS: usize = 200_000;
const ITEM_CHARS: usize = 50_000;
/// Most fields of one item, and most reasons, of which the urgent come first.
const ROWS: usize = 200;
const REASONS: usize = 12;

#[derive(Template)]
#[template(path = "review.html")]
struct Page {
    frame: Frame,
    name: String,
    problem: Option<&'static str>,
    items: Vec<ItemView>,
    /// Waiting, and not on this page.
    left: usize,
    /// What a decision is about.
    shown: String,
    only: Option<String>,
    /// How many of the items a decision is about.
    decided: usize,
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
    code: &'static str,
}

struct ItemView {
    severity: &'static str,
    kind: &'static str,
    name: Shown,
    was: Option<Shown>,
    state: &'static str,
    meanwhile: &'static str,
    seen: When,
    accepted: Option<(Shown, When)>,
    /// How often it was something else since it was accepted, and to whom that was shown.
    left: Option<Shown>,
    now: &'static str,
    /// What it looks like, if it is new and looks like something that was accepted.
    like: Option<Shown>,
    reasons: Vec<Reason>,
    more: usize,
    rows: Vec<Row>,
    /// All of it is here.
    whole: bool,
    reach: Vec<(&'static str, Shown)>,
    rules: Vec<RuleView>,
    alone: String,
    anchor: String,
}

struct Reason {
    severity: &'static str,
    kind: &'static str,
    place: Shown,
    because: Shown,
    breaks: bool,
}

struct Row {
    place: Shown,
    /// Either side is JSON and no text.
    code: bool,
    before: Vec<PartView>,
    after: Vec<PartView>,
}

struct PartView {
    text: Shown,
    other: bool,
    skipped: Option<usize>,
}

struct RuleView {
    rule: Shown,
    sway: &'static str,
    because: Shown,
    /// What the change does to it, if anything.
    news: &'static str,
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
    fn pins(&self) -> Vec<&Pin> {
        let whole = self.shown.iter().filter(|(_, whole)| *whole);
        whole.flat_map(|(index, _)| pins(&self.review, *index)).collect()
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
    let problem = (only.is_some() && chosen.shown.is_empty()).then_some(
        "This is not what waits any more: somebody decided, or the server shows something else by now.",
    );
    page(console, signed, frame, &name, only, &chosen, problem)
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
    let pins = chosen.pins();
    if pins.is_empty() || chosen.digest != shown {
        return outdated(console, signed, &name, only, &chosen).await;
    }
    // the store looks once more: something may be shown otherwise since it was read here
    let items = Which::Items(pins.iter().map(|pin| (pin.item.clone(), Some(pin.seen))).collect());
    let who = signed.visitor.to_string();
    let by = By { who: &who, shown: Some(shown) };
    let (store, scope) = (console.store(), &console.parts.scope);
    let taken = match yes {
        true => store.approve(scope, &name, &items, by).await,
        false => store.reject(scope, &name, &items, by).await,
    };
    match taken {
        Ok(_) => {}
        Err(StoreError::Moved { .. } | StoreError::Missing { .. }) => {
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
    let frame = Frame::of(console, signed, Route::Review).await?;
    let problem = "Nothing was decided: what waits here is not what the page showed. The server shows something else by \
        now, or somebody was faster. This is what waits now.";
    // what was asked for alone may be gone; then all of it is shown
    let only = only.filter(|_| !before.shown.is_empty());
    let chosen = chosen(console, name, only).await?;
    let mut response = page(console, signed, frame, name, only, &chosen, Some(problem))?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

fn only(fields: &Fields) -> Result<Option<Digest>, Stop> {
    let Some(text) = fields.get("only") else { return Ok(None) };
    Digest::parse(text).map(Some).ok_or_else(|| Stop::malformed("This is not the name of a change."))
}

/// What somebody would look at now: the urgent first, as much as a page has room for.
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
    let mut order: Vec<usize> =
        (0..review.waiting.len()).filter(|index| stands_alone(&review, *index)).collect();
    let urgency = |index: &usize| review.waiting.get(*index).map(|one| review.severity(&one.pin.item));
    order.sort_by_key(|index| std::cmp::Reverse(urgency(index)));
    if let Some(only) = only {
        order.retain(|index| review.digest(pins(&review, *index)) == only);
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
    chosen.digest = chosen.review.digest(chosen.pins());
    Ok(chosen)
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
fn pins(review: &Review, index: usize) -> Vec<&Pin> {
    let Some(one) = review.waiting.get(index) else { return Vec::new() };
    let mut pins = vec![&one.pin];
    if let Some(old) = old_name(review, one) {
        pins.push(&old.pin);
    }
    pins
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

fn fields_of(review: &Review, index: usize) -> Vec<Field> {
    let Some(one) = review.waiting.get(index) else { return Vec::new() };
    match old_name(review, one) {
        Some(old) => one.fields_beside(old),
        None => one.fields(),
    }
}

/// How much of a page it takes; `None` is too many rows.
fn chars(review: &Review, index: usize) -> Option<usize> {
    let fields = fields_of(review, index);
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
    problem: Option<&'static str>,
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
        decided: chosen.shown.iter().filter(|(_, whole)| *whole).count(),
        urgent: items.iter().any(|item| matches!(item.severity, "high" | "critical")),
        changed: items.iter().filter(|item| !matches!(item.state, "new" | "gone")).count(),
        new: count("new"),
        gone: count("gone"),
        may: console.may(signed, ConsoleAction::ChangeServer, &On::Console),
        judge: Route::Judge.path(),
        server: server_href(name),
        servers: Route::Servers.path(),
        all: href(name),
        code: OUTDATED,
        items,
        frame,
    };
    rendered(StatusCode::OK, &page)
}

fn item(server: &ServerName, review: &Review, index: usize, whole: bool) -> Option<ItemView> {
    let one = review.waiting.get(index)?;
    let old = old_name(review, one);
    let changes = review.changes(&one.pin.item);
    let beside = review.findings_beside(&one.pin.item).iter().take(REASONS).map(found);
    let radius = review.radius(&one.pin.item);
    // who used it did so under its old name
    let used = old.map_or(radius.clone(), |old| review.radius(&old.pin.item));
    let newcomer = one.pin.approved.is_none() && old.is_none();
    let rules = radius.rules.iter().map(|ruling| rule(ruling, newcomer)).collect();
    let state = match one.pin.state {
        _ if old.is_some() => "renamed",
        PinState::Changed => "changed",
        PinState::Returned => "back as it was accepted",
        PinState::Approved => "to and fro",
        PinState::New => "new",
        PinState::Gone => "gone",
    };
    let accepted = old.unwrap_or(one).pin.approved.as_ref();
    Some(ItemView {
        severity: severity(review.severity(&one.pin.item)),
        kind: kind(one.pin.item.kind),
        name: Shown::of(&one.pin.item.name),
        was: old.map(|old| Shown::of(&old.pin.item.name)),
        state,
        meanwhile: match one.pin.state {
            PinState::Gone => "not offered any more",
            _ if one.is_served_on(server) => "served as it was accepted meanwhile",
            PinState::Approved => "served as it was accepted",
            PinState::Changed | PinState::Returned | PinState::New => "withheld meanwhile",
        },
        seen: when(one.pin.seen_at),
        accepted: accepted.map(|mark| (Shown::of(&mark.by), when(mark.at))),
        left: left(one),
        now: if one.is_back() { "Shown meanwhile" } else { "Shown now" },
        like: review.likeness(&one.pin.item).map(|like| Shown::of(&like.because())),
        more: changes.len().saturating_sub(REASONS),
        reasons: beside.chain(changes.into_iter().take(REASONS).map(reason)).collect(),
        rows: match whole {
            true => fields_of(review, index).iter().map(row).collect(),
            false => Vec::new(),
        },
        whole,
        reach: reach(&used, &radius),
        rules,
        alone: format!("{}&only={}", href(server), review.digest(pins(review, index))),
        anchor: format!("item-{index}"),
    })
}

/// That it was something else since it was accepted.
fn left(one: &Waiting) -> Option<Shown> {
    let left = one.pin.left.as_ref()?;
    let to = left.seen_by.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
    let times = if left.times == 1 { "once".to_owned() } else { format!("{} times", left.times) };
    Some(Shown::of(&format!(
        "It was shown{to} as something else than what was accepted {times}, at {} last.",
        when(left.at).people
    )))
}

/// Of one with another name: who used the old one, and who may see the new one.
fn reach(used: &Radius, now: &Radius) -> Vec<(&'static str, Shown)> {
    let seen = Radius {
        may_see: now.may_see.clone(),
        known: now.known,
        unasked: now.unasked,
        closes: now.closes,
        class: now.class.clone(),
        class_before: now.class_before.clone().or_else(|| used.class_before.clone()),
        declared: now.declared.clone(),
        ..used.clone()
    };
    seen.lines().into_iter().map(|(what, text)| (what, Shown::of(&text))).collect()
}

fn severity(severity: Severity) -> &'static str {
    severity.as_str()
}

fn found(finding: &Finding) -> Reason {
    Reason {
        severity: finding.severity.as_str(),
        kind: finding.detector.as_str(),
        place: Shown::short(&finding.place),
        because: Shown::of(&finding.because.chars().take(600).collect::<String>()),
        breaks: false,
    }
}

fn reason(change: &Change) -> Reason {
    Reason {
        severity: severity(change.severity),
        kind: change.kind.as_str(),
        place: Shown::short(&change.place),
        because: Shown::of(&change.because.chars().take(600).collect::<String>()),
        breaks: !change.compatible,
    }
}

fn row(field: &Field) -> Row {
    let parts = |parts: &[Part]| parts.iter().map(part).collect();
    Row {
        place: Shown::of(&field.place),
        code: field.texts().any(|text| text.starts_with(['{', '['])),
        before: parts(&field.before),
        after: parts(&field.after),
    }
}

fn part(part: &Part) -> PartView {
    match part {
        Part::Same(text) => PartView { text: Shown::lines(text), other: false, skipped: None },
        Part::Other(text) => PartView { text: Shown::lines(text), other: true, skipped: None },
        Part::Skipped(count) => PartView { text: Shown::default(), other: false, skipped: Some(*count) },
    }
}

/// Of a newcomer every rule is a new one.
fn rule(ruling: &Ruling, newcomer: bool) -> RuleView {
    RuleView {
        rule: Shown::of(&ruling.rule),
        sway: ruling.sway,
        because: Shown::of(ruling.because.as_deref().unwrap_or_default()),
        news: match (ruling.before, ruling.after) {
            _ if newcomer => "",
            (true, true) => "",
            (false, _) => "once it is accepted",
            (true, false) => "no longer",
        },
    }
}
