//! What a server shows and nobody has accepted: what differs, how urgently somebody should look, and whom it reaches.
//!
//! The console's page and `callgate registry diff` are two renderings of this. Nothing here decides.

mod digest;
mod fields;
mod meanwhile;
mod radius;
mod words;

pub use fields::{Field, Part};
pub use meanwhile::Meanwhile;
pub use radius::{Radius, Ruling};

use crate::aside::aside;
use bytes::Bytes;
use catalog::Definition;
use catalog::drift::{self, Drift, Likeness, Severity};
use catalog::scan::{Finding, scan_items, scan_reserved};
use decision::approval::State;
use decision::{Digest, Item, ItemKind, Principal, ServerName, Timestamp};
use policy::Policies;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Caller, Departure, NewAgent, Page, Pin, PinState, Scope, Store, StoreError};

/// "Lately", in days.
pub const DAYS: u64 = 30;
const DAY_US: u64 = 24 * 3_600 * 1_000_000;
/// Approvals that are looked through, of each state.
const APPROVALS_MAX: u32 = 1_000;

/// The rules in force over other definitions of one server: [`crate::Servers::rules_over`].
pub type Over<'a> = dyn Fn(Vec<Arc<Definition>>) -> Option<Policies> + Send + Sync + 'a;

/// Where to look, and what beside the store is known.
#[expect(missing_debug_implementations, reason = "a question has none")]
pub struct Place<'a> {
    pub store: &'a Store,
    pub scope: &'a Scope,
    pub server: &'a ServerName,
    pub now: Timestamp,
    /// Agents and services that the settings name.
    pub agents: &'a [NewAgent],
    pub over: &'a Over<'a>,
}

/// An item that is not as it was accepted.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub pin: Pin,
    before: Option<Bytes>,
    after: Option<Bytes>,
    /// What else it was since it was accepted, the urgent first.
    pub meanwhile: Vec<Meanwhile>,
}

impl Waiting {
    async fn of(
        store: &Store,
        scope: &Scope,
        server: &ServerName,
        pin: Pin,
        kept: Vec<Departure>,
    ) -> Result<Self, StoreError> {
        let before = match &pin.approved {
            Some(mark) => store.definition(scope, &mark.digest).await?,
            None => None,
        };
        let after = match pin.state {
            PinState::Gone => None,
            PinState::Changed | PinState::Returned | PinState::New | PinState::Approved => {
                store.definition(scope, &pin.seen).await?
            }
        };
        let meanwhile = Meanwhile::all(store, scope, server, (&pin, before.as_ref()), kept).await?;
        Ok(Self { pin, before, after, meanwhile })
    }

    /// One that is as it was accepted, for who asks about it all the same.
    pub fn accepted(pin: &Pin, raw: Option<Bytes>) -> Self {
        Self { pin: pin.clone(), before: raw.clone(), after: raw, meanwhile: Vec::new() }
    }

    /// As JSON, for people; empty where there is none.
    pub fn texts(&self) -> (String, String) {
        (pretty(self.before.as_ref()), pretty(self.after.as_ref()))
    }

    /// What differs now, field by field.
    pub fn fields(&self) -> Vec<Field> {
        fields::between(self.before.as_deref(), self.after.as_deref())
    }

    /// Whether it is what was accepted again.
    pub fn is_back(&self) -> bool {
        self.pin.approved.as_ref().is_some_and(|mark| mark.digest == self.pin.seen)
            && self.pin.state != PinState::Gone
    }

    /// The same beside what it was under another name.
    pub fn fields_beside(&self, old: &Self) -> Vec<Field> {
        fields::between(old.before.as_deref(), self.after.as_deref())
    }

    /// Why it cannot be compared, if a text of it is not kept or cannot be read.
    pub fn unread(&self, server: &ServerName) -> Option<&'static str> {
        let kind = self.pin.item.kind;
        let reads = |raw: &Option<Bytes>| match (kind, raw) {
            (_, None) => false,
            (ItemKind::Server, Some(raw)) => serde_json::from_slice::<String>(raw).is_ok(),
            (_, Some(raw)) => Definition::new(server.clone(), kind, raw.clone()).is_ok(),
        };
        let wanted = [
            (
                catalog::is_stand_in(&self.pin.item.name),
                &None,
                "it cannot be pinned, so nobody can accept it",
            ),
            (self.pin.approved.is_some(), &self.before, "what was accepted cannot be read any more"),
            (self.pin.state != PinState::Gone, &self.after, "what is shown cannot be read as a definition"),
        ];
        let unread = wanted.into_iter().find(|(wanted, raw, _)| *wanted && !reads(raw)).map(|(.., why)| why);
        let meanwhile = self.meanwhile.iter().any(Meanwhile::is_unread);
        unread.or(meanwhile.then_some("what it was meanwhile cannot be read any more"))
    }

    /// Whether it is served on as it was accepted: the change breaks nobody, and no rule found anything in it.
    pub fn is_served_on(&self, server: &ServerName) -> bool {
        let both = self.before.as_ref().zip(self.after.as_ref());
        let drift = both.and_then(|(old, new)| drift::between(server, self.pin.item.kind, old, new));
        self.pin.state == PinState::Changed
            && self.pin.pending()
            && !self.pin.held()
            && drift.is_some_and(|drift| drift.harmless())
    }
}

fn pretty(raw: Option<&Bytes>) -> String {
    let Some(raw) = raw else { return String::new() };
    let value: Option<Value> = serde_json::from_slice(raw).ok();
    let text = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    text.unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned())
}

/// What is said of a difference.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reason<'a> {
    #[serde(flatten)]
    pub change: &'a drift::Change,
    /// Of what it was meanwhile, and not of what is shown now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub meanwhile: bool,
}

/// Everything that waits at one server, and what it would mean to accept it.
#[derive(Debug)]
pub struct Review {
    server: ServerName,
    pub waiting: Vec<Waiting>,
    pub drift: Drift,
    /// What is found only beside the tools of other servers, and beside what the operator declares.
    beside: BTreeMap<Item, Vec<Finding>>,
    /// What is new and looks like something that was accepted.
    likenesses: BTreeMap<Item, Likeness>,
    callers: Vec<Caller>,
    approvals: Vec<(Item, State)>,
    principals: Vec<Principal>,
    before: Option<Policies>,
    after: Option<Policies>,
}

impl Review {
    /// Gathers it, at most so many items: what was caught at something urgent first, then what
    /// changed, what is gone and what is new.
    pub async fn of(place: &Place<'_>, most: usize) -> Result<Self, StoreError> {
        let Place { store, scope, server, now, .. } = *place;
        let (review, [old, new]) = Self::seen(store, scope, server, most).await?;
        let since = Timestamp(now.0.saturating_sub(DAYS * DAY_US));
        let over =
            |items: &BTreeMap<Item, Bytes>| (place.over)(definitions(server, items).map(Arc::new).collect());
        let (before, after) = aside(|| (over(&old), over(&new))).await;
        let mut beside = review.beside;
        for (item, found) in reserved(server, &review.waiting, [&after, &before]) {
            beside.entry(item).or_default().push(found);
        }
        Ok(Self {
            beside,
            callers: store.callers(scope, server, since).await?,
            approvals: approvals(store, scope, server).await?,
            principals: store.principals(scope, place.agents).await?,
            before,
            after,
            ..review
        })
    }

    /// All that waits, without whom it reaches.
    pub async fn found(store: &Store, scope: &Scope, server: &ServerName) -> Result<Self, StoreError> {
        Ok(Self::seen(store, scope, server, usize::MAX).await?.0)
    }

    /// How urgently somebody should look at what waits at one server, of so many items.
    pub async fn urgency(
        store: &Store,
        scope: &Scope,
        server: &ServerName,
        most: usize,
    ) -> Result<Severity, StoreError> {
        let (review, _) = Self::seen(store, scope, server, most).await?;
        let urgent = |one: &Waiting| match &one.pin {
            pin if pin.pending() || pin.flaps() => Some(review.severity(&pin.item)),
            // it may have gone because it was caught
            pin if pin.state == PinState::Gone => one.meanwhile.first().map(Meanwhile::severity),
            _ => None,
        };
        Ok(review.waiting.iter().filter_map(urgent).max().unwrap_or(Severity::Info))
    }

    /// What waits and what is found in it, without whom it reaches; with what was accepted, and what would be.
    async fn seen(
        store: &Store,
        scope: &Scope,
        server: &ServerName,
        most: usize,
    ) -> Result<(Self, [BTreeMap<Item, Bytes>; 2]), StoreError> {
        let pins = store.pins(scope, server).await?;
        let mut accepted: BTreeMap<Item, Bytes> = BTreeMap::new();
        for one in store.accepted(scope, server).await? {
            accepted.insert(one.item, one.raw);
        }
        let newcomers = store.newcomers(scope, server, &pins).await?;
        let mut waiting = Vec::new();
        let mut left: Vec<Pin> = pins.into_iter().filter(waits).collect();
        let mut departures = store.departures(scope, server).await?;
        left.sort_by_cached_key(|pin| {
            let worst = departures.get(&pin.item).and_then(|kept| kept.first()).map(|one| one.grade);
            let order = match pin.state {
                PinState::Changed | PinState::Returned | PinState::Approved => 0,
                PinState::Gone => 1,
                PinState::New => 2,
            };
            (std::cmp::Reverse(worst.filter(|grade| grade.flags())), order)
        });
        for pin in left.into_iter().take(most) {
            let kept = departures.remove(&pin.item).unwrap_or_default();
            waiting.push(Waiting::of(store, scope, server, pin, kept).await?);
        }
        let with = |of: fn(&Waiting) -> Option<&Bytes>| -> BTreeMap<Item, Bytes> {
            let others = waiting.iter().filter_map(|one| Some((one.pin.item.clone(), of(one)?.clone())));
            accepted.clone().into_iter().chain(others).collect()
        };
        let (old, new) = (with(|one| one.before.as_ref()), with(|one| one.after.as_ref()));
        let others = store.offered_beside(scope, server).await?;
        let (drift, beside, likenesses) = aside(|| {
            let drift = drift::compare(&[offer(server, &old)], &[offer(server, &new)]);
            (drift, beside(server, &waiting, others), newcomers.likenesses())
        })
        .await;
        let review = Self {
            server: server.clone(),
            waiting,
            drift,
            beside,
            likenesses,
            callers: Vec::new(),
            approvals: Vec::new(),
            principals: Vec::new(),
            before: None,
            after: None,
        };
        Ok((review, [old, new]))
    }

    /// What is said of the difference of one item, and of what else it was since it was accepted, the urgent first.
    pub fn changes(&self, item: &Item) -> Vec<Reason<'_>> {
        let now = self.changes_now(item).into_iter();
        let mut all: Vec<Reason<'_>> = now.map(|change| Reason { change, meanwhile: false }).collect();
        for change in self.meanwhile(item).iter().flat_map(Meanwhile::changes) {
            if !all.iter().any(|one| one.change == change) {
                all.push(Reason { change, meanwhile: true });
            }
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.change.severity));
        all
    }

    /// What a yes to one item is given by: its definition's digest; or, where it was meanwhile something that nobody may
    /// overlook, one that stands for that, too. A definition is the same whatever was shown since somebody looked at it.
    pub fn bound(&self, item: &Item) -> Option<Digest> {
        let one = self.waiting.iter().find(|one| one.pin.item == *item)?;
        let caught = one.meanwhile.iter().any(|one| one.severity().flags());
        Some(if caught { self.digest([one]) } else { one.pin.seen })
    }

    /// What one item was since it was accepted, and is not now.
    pub fn meanwhile(&self, item: &Item) -> &[Meanwhile] {
        let one = self.waiting.iter().find(|one| one.pin.item == *item);
        one.map(|one| one.meanwhile.as_slice()).unwrap_or_default()
    }

    /// What is said of the difference as it is now, the urgent first. Of one with another name now, under both names.
    pub fn changes_now(&self, item: &Item) -> Vec<&drift::Change> {
        let mut name = drift::called(item);
        if let Some(was) = self.renamed_from(item) {
            name = was.to_owned();
        }
        self.drift.changes.iter().filter(|change| change.item == name).collect()
    }

    /// What an item that came was called before, if it is one that went.
    pub fn renamed_from(&self, item: &Item) -> Option<&str> {
        let field = match item.kind {
            ItemKind::Resource => "uri",
            ItemKind::ResourceTemplate => "uriTemplate",
            ItemKind::Tool | ItemKind::Prompt | ItemKind::Server | ItemKind::Question => "name",
        };
        let name = |value: &Option<Value>| value.as_ref()?.get(field)?.as_str().map(str::to_owned);
        let is_it = |changed: &&drift::Changed| {
            let (was, is) = (name(&changed.before), name(&changed.after));
            let called = was.clone().map(|name| drift::called(&Item { kind: item.kind, name }));
            is.as_ref() == Some(&item.name)
                && was.is_some()
                && was != is
                && called.as_ref() == Some(&changed.item)
        };
        self.drift.changed.iter().find(is_it).map(|changed| changed.item.as_str())
    }

    /// What is found in one item only because of what other servers offer, or the gateway itself.
    pub fn findings_beside(&self, item: &Item) -> &[Finding] {
        self.beside.get(item).map(Vec::as_slice).unwrap_or_default()
    }

    /// What a new item looks like, if it looks like something that was accepted.
    pub fn likeness(&self, item: &Item) -> Option<&Likeness> {
        self.likenesses.get(item)
    }

    /// Why one item cannot be compared, if it cannot.
    pub fn unread(&self, item: &Item) -> Option<&'static str> {
        let one = self.waiting.iter().find(|one| one.pin.item == *item)?;
        one.unread(&self.server)
    }

    /// How urgently somebody should look at one item. What cannot be compared is looked at first; nothing else is urgent
    /// without a reason.
    pub fn severity(&self, item: &Item) -> Severity {
        let found = self.findings_beside(item).iter().map(|finding| finding.severity);
        let unread = self.unread(item).map(|_| Severity::Critical);
        let now = self.changes_now(item).into_iter().map(|change| change.severity);
        let meanwhile = self.meanwhile(item).iter().map(Meanwhile::severity);
        now.chain(meanwhile).chain(found).chain(unread).max().unwrap_or(Severity::Info)
    }

    /// Whom accepting one item reaches.
    pub fn radius(&self, item: &Item) -> Radius {
        radius::Known {
            server: &self.server,
            callers: &self.callers,
            approvals: &self.approvals,
            principals: &self.principals,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
        }
        .of(item)
    }

    /// Stands for exactly these items as they are shown beside what was accepted.
    pub fn digest<'a>(&self, shown: impl IntoIterator<Item = &'a Waiting>) -> Digest {
        digest::of(&self.server, shown)
    }
}

/// Whether somebody may have to look at it: it is not what was accepted, or goes to and fro.
fn waits(pin: &Pin) -> bool {
    pin.state != PinState::Approved || pin.flaps()
}

fn beside(
    server: &ServerName,
    waiting: &[Waiting],
    others: Vec<catalog::listing::Offer>,
) -> BTreeMap<Item, Vec<Finding>> {
    let shown = || waiting.iter().filter_map(|one| Some((&one.pin.item, one.after.as_deref()?)));
    let alone = scan_items(server, shown(), Vec::new());
    let mut found = scan_items(server, shown(), others);
    for (item, all) in &mut found {
        let known = alone.get(item).map(Vec::as_slice).unwrap_or_default();
        all.retain(|one| !known.contains(one));
    }
    found.retain(|_, all| !all.is_empty());
    found
}

/// What is called as the gateway's own drafts of another tool are, which no server's tool may be.
fn reserved(
    server: &ServerName,
    waiting: &[Waiting],
    rules: [&Option<Policies>; 2],
) -> BTreeMap<Item, Finding> {
    let entry = |rules: &'_ Policies| rules.catalogue().server(server).cloned();
    let entries: Vec<_> = rules.into_iter().flatten().filter_map(entry).collect();
    let Some(first) = entries.first() else { return BTreeMap::new() };
    let known = |tool: &str| entries.iter().any(|entry| entry.item(ItemKind::Tool, tool).is_some());
    scan_reserved(&first.declarations, waiting.iter().map(|one| &one.pin.item), known)
}

/// Of the server's items: those that wait for people, and those that were granted and not used.
async fn approvals(
    store: &Store,
    scope: &Scope,
    server: &ServerName,
) -> Result<Vec<(Item, State)>, StoreError> {
    let mut found = Vec::new();
    for state in [State::Proposed, State::Approved] {
        let page = Page { after: None, limit: APPROVALS_MAX };
        let kept = store.approvals_in(scope, state, page).await?;
        let targets = kept.into_iter().map(|kept| kept.approval.terms.target);
        found.extend(targets.filter(|target| target.server == *server).map(|target| (target.item, state)));
    }
    Ok(found)
}

fn definitions<'a>(
    server: &'a ServerName,
    items: &'a BTreeMap<Item, Bytes>,
) -> impl Iterator<Item = Definition> + 'a {
    items.iter().filter_map(|(item, raw)| Definition::new(server.clone(), item.kind, raw.clone()).ok())
}

fn offer(server: &ServerName, items: &BTreeMap<Item, Bytes>) -> drift::Server {
    let instructions = items.iter().find(|(item, _)| item.kind == ItemKind::Server).map(|(_, raw)| raw);
    drift::Server {
        name: None,
        identity: None,
        instructions: instructions.and_then(|raw| serde_json::from_slice(raw).ok()),
        items: definitions(server, items).map(|definition| drift::Item::from(&definition)).collect(),
    }
}
