//! Recording what a server shows: pinned at first sight, compared ever after.

#[cfg(test)]
mod tests;
mod told;

pub use told::singly;

use crate::db::{Outcome, Tx, args, statements};
use crate::pins::{self, By, Mark, Pin, PinState};
use crate::untold::Told;
use crate::{Scope, Store, StoreError, Writer, departures};
use bytes::Bytes;
use catalog::drift::Severity;
use catalog::{DEFINITION_BYTES_MAX, ItemState, NAME_BYTES_MAX};
use decision::{Digest, EventName, Item, ItemKind, ServerName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

statements! {
    /// Holds the server's row until the end, so that two replicas record one after the other.
    SEE_SERVER = "INSERT INTO servers (tenant, environment, server, seen_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (tenant, environment, server) DO UPDATE SET seen_at = excluded.seen_at \
        RETURNING pinned_at";
    PIN_SERVER = "UPDATE servers SET pinned_at = $4 \
        WHERE tenant = $1 AND environment = $2 AND server = $3 AND pinned_at IS NULL";
    /// Touches only what nobody stored lately: a transaction that is about to refer to a definition
    /// has just stored it again, which this statement sees even when it started earlier.
    SWEEP = "DELETE FROM definitions WHERE tenant = $1 AND environment = $2 AND approved_at IS NULL \
        AND stored_at < $3 AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.tenant = definitions.tenant \
        AND p.environment = definitions.environment AND p.seen_digest = definitions.digest) \
        AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.tenant = definitions.tenant \
        AND p.environment = definitions.environment AND p.rejected_digest = definitions.digest) \
        AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.tenant = definitions.tenant \
        AND p.environment = definitions.environment AND p.left_digest = definitions.digest) \
        AND NOT EXISTS (SELECT 1 FROM departures d WHERE d.tenant = definitions.tenant \
        AND d.environment = definitions.environment AND d.digest = definitions.digest)";
}

/// Most items of one server that are kept, with those that are gone. What is new beyond that is not written down, and so is
/// offered to nobody.
const ITEMS_MAX: usize = 10_000;
/// Of what nobody decided on and is gone, so much is kept where it was caught at something.
const CAUGHT_MAX: usize = 200;
/// How long an unapproved definition outlives its last mention, in microseconds.
const ORPHANED_US: u64 = 10 * 60 * 1_000_000;
/// Who approves at first sight.
pub(crate) const FIRST_SIGHT: &str = "first sight";

/// What a server shows under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub item: Item,
    pub digest: Digest,
    /// The definition as it came. Of several that differ in space and key order only, one is kept.
    pub raw: Bytes,
}

/// What is to happen with a server that was never seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSight {
    /// It is declared: approve what it shows.
    Pin,
    /// Approve nothing.
    Hold,
}

/// Everything a server shows, of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub server: ServerName,
    /// The kinds that were listed to their end. What is missing of these is gone.
    pub kinds: BTreeSet<ItemKind>,
    pub items: Vec<Seen>,
    pub first: FirstSight,
    /// What was caught at something: not to be approved at first sight all the same, and remembered where it is new and not
    /// shown any more.
    pub withheld: BTreeSet<Item>,
    /// How what is shown differs from what was approved, where that was looked at.
    pub apart: BTreeMap<Item, Apart>,
}

/// A difference between two definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart {
    pub approved: Digest,
    pub shown: Digest,
    pub how: How,
}

/// How much it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// No client breaks, and nothing is worth a look at once.
    Harmless,
    /// It would break a client: a server that was changed and changed back, for instance.
    Mild,
    /// Somebody should look at it, so urgently.
    Grave(Severity),
}

impl How {
    /// How urgently somebody should look. What nobody compared is looked at first.
    fn grade(how: Option<Self>) -> Severity {
        match how {
            Some(Self::Harmless) => Severity::Info,
            Some(Self::Mild) => Severity::Low,
            Some(Self::Grave(severity)) => severity,
            None => Severity::Critical,
        }
    }
}

/// What one user is shown, where that is not what was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    pub server: ServerName,
    pub items: Vec<Seen>,
    pub seen_by: String,
    /// How it differs, as in [`Sighting::apart`].
    pub apart: BTreeMap<Item, Apart>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Approved because the server was seen for the first time.
    Pinned,
    /// Not known before, or known and still not approved but different.
    New,
    /// Not what was approved.
    Changed,
    /// Not shown any more.
    Gone,
    /// The same, where nobody had decided on it: it is not kept.
    Passed,
    /// What was approved is shown again.
    Restored,
    /// The same, after something else that nobody took for harmless.
    Returned,
    /// Approved by somebody.
    Approved,
    /// Rejected by somebody.
    Rejected,
    /// Gone, and taken note of by somebody.
    Forgotten,
}

impl What {
    /// For the record and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "accepted at first sight",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone | Self::Passed => "gone",
            Self::Restored => "restored",
            Self::Returned => "returned",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Forgotten => "forgotten",
        }
    }
}

/// One change of one pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub item: Item,
    pub what: What,
    /// The approved definition after the change.
    pub approved: Option<Digest>,
    /// What the server showed last, to whoever was looked for.
    pub seen: Digest,
}

impl Change {
    pub(crate) fn of(pin: &Pin, what: What) -> Self {
        let approved = pin.approved.as_ref().map(|mark| mark.digest);
        // what one user is shown may be another than what the gateway is shown
        let left = pin.left.as_ref().filter(|_| what == What::Changed);
        let seen = left.map_or(pin.seen, |left| left.digest);
        Self { item: pin.item.clone(), what, approved, seen }
    }

    /// What the record says of somebody's decision, whoever took it and wherever.
    pub(crate) fn event(&self, by: By<'_>) -> (EventName, BTreeMap<String, String>) {
        let event = match self.what {
            What::Approved => EventName::DefinitionApproved,
            What::Pinned
            | What::New
            | What::Changed
            | What::Gone
            | What::Passed
            | What::Restored
            | What::Returned
            | What::Rejected
            | What::Forgotten => EventName::DefinitionChanged,
        };
        let mut detail = self.detail();
        detail.insert("by".to_owned(), by.who.to_owned());
        detail.extend(by.shown.map(|shown| ("shown".to_owned(), shown.to_string())));
        (event, detail)
    }

    /// What the record says of any change.
    pub fn detail(&self) -> BTreeMap<String, String> {
        detail(&self.item, self.what.as_str(), &self.seen)
    }
}

/// What the record says where somebody is shown something else than what was approved.
pub fn shown_otherwise(item: &Item, seen: &Digest, to: &str) -> BTreeMap<String, String> {
    let mut detail = detail(item, "differs", seen);
    detail.insert("shown-to".to_owned(), to.to_owned());
    detail
}

fn detail(item: &Item, change: &str, seen: &Digest) -> BTreeMap<String, String> {
    let detail = [
        ("kind", item.kind.as_str().to_owned()),
        ("name", item.name.clone()),
        ("change", change.to_owned()),
        ("seen", seen.to_string()),
    ];
    detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

impl Store {
    /// Compares what a server shows with what was approved, and writes down what is different, in one
    /// transaction. A server's very first sighting may approve everything it shows; whether it is the
    /// first is decided here, so that of two replicas only one can be.
    ///
    /// What the record says of it is left to be told under a name of its own: whoever looked knows more of it than the store
    /// does, and [tells it](Store::tell_with) with that.
    ///
    /// Errors: [`StoreError::Unacceptable`] when an item is listed twice, is of a kind that was not listed,
    /// or breaks a bound. Then nothing is changed.
    pub async fn record_seen(
        &self,
        writer: &Writer,
        scope: &Scope,
        sighting: &Sighting,
    ) -> Result<Vec<Change>, StoreError> {
        let seen = acceptable(&sighting.kinds, &sighting.items)?;
        let now = self.now();
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        let key = args![tenant, environment, sighting.server.as_str(), now];
        let row = tx.row(SEE_SERVER, key).await?;
        let first_time = row.map_or(Ok(None), |row| row.time_opt("pinned_at"))?.is_none();
        if first_time {
            tx.execute(PIN_SERVER, key).await?;
        }
        let known = pins::read(&mut tx, scope, &sighting.server).await?;
        let pin_now = first_time && sighting.first == FirstSight::Pin;
        let pins =
            |item: &Item| pin_now && !sighting.withheld.contains(item) && !catalog::is_stand_in(&item.name);
        let steps = compare(&known, &seen, sighting, pins, now);
        let apart = &sighting.apart;
        let told = |changes: &[Change]| told::all(changes, |item| sighting.withheld.contains(item));
        let kept = Kept { writer, server: &sighting.server, seen: &seen, apart, told: &told };
        self.keep(tx, scope, kept, steps).await
    }

    /// Writes down that a user is shown something else than what was approved. What was approved is withdrawn from
    /// everybody until somebody decides: which of the two a call of it would reach, nobody knows. Where it is withdrawn
    /// already, what is new to whoever decides is kept beside the rest. What is not known is left alone.
    ///
    /// Errors: [`StoreError::Unacceptable`] as for [`Store::record_seen`].
    pub async fn record_differing(
        &self,
        scope: &Scope,
        differing: &Differing,
    ) -> Result<Vec<Change>, StoreError> {
        let Differing { server, items, seen_by, apart } = differing;
        let kinds = items.iter().map(|seen| seen.item.kind).collect();
        let seen = acceptable(&kinds, items)?;
        let now = self.now();
        let mut tx = self.db().begin().await?;
        let known = pins::held(&mut tx, scope, server).await?;
        let kept = departures::read(&mut tx, scope, server).await?;
        let differs = |pin: &Pin| {
            let (approved, seen) = (pin.approved.as_ref()?.digest, seen.get(&pin.item)?.digest);
            if seen == approved || seen == pin.seen {
                return None;
            }
            let left = Some(pin.leaves(seen, now, Some(seen_by.clone()), None));
            let pin = match pin.state {
                PinState::Approved | PinState::Changed if !pin.held() => {
                    Pin { state: PinState::Changed, seen, seen_at: now, left, ..pin.clone() }
                }
                PinState::Approved | PinState::Changed | PinState::Returned => {
                    let grade = How::grade(how(apart.get(&pin.item), Some(approved), seen));
                    let known = kept.get(&pin.item).map(Vec::as_slice).unwrap_or_default();
                    departures::is_news(known, seen, grade).then(|| Pin { left, ..pin.clone() })?
                }
                PinState::New | PinState::Gone => return None,
            };
            Some((pin, What::Changed))
        };
        let steps = known.iter().filter_map(differs).collect();
        let told = |changes: &[Change]| {
            let differs = |change: &Change| shown_otherwise(&change.item, &change.seen, seen_by);
            changes.iter().map(|change| (EventName::DefinitionChanged, differs(change))).collect()
        };
        let kept = Kept { writer: self.writer(), server, seen: &seen, apart, told: &told };
        self.keep(tx, scope, kept, steps).await
    }

    /// Writes pins with the definitions that were seen, and leaves what the record says of that to be told.
    async fn keep(
        &self,
        mut tx: Tx,
        scope: &Scope,
        kept: Kept<'_>,
        steps: Vec<(Pin, What)>,
    ) -> Outcome<Vec<Change>> {
        let Kept { writer, server, seen, apart, told } = kept;
        let (tenant, environment, now) = (scope.tenant.as_str(), scope.environment.as_str(), self.now());
        let changes: Vec<_> = steps.iter().map(|(pin, what)| Change::of(pin, *what)).collect();
        let shown = steps.iter().filter_map(|(pin, _)| seen.get(&pin.item));
        let shown = shown.map(|seen| (seen.digest, seen.raw.as_ref())).collect();
        pins::keep(&mut tx, scope, &shown, now).await?;
        let left = steps.iter().filter_map(|(pin, what)| match (what, &pin.left) {
            (What::Changed, Some(left)) => {
                let approved = pin.approved.as_ref().map(|mark| mark.digest);
                let grade = How::grade(how(apart.get(&pin.item), approved, left.digest));
                Some((&pin.item, left, grade))
            }
            _ => None,
        });
        departures::keep(&mut tx, scope, server, &left.collect::<Vec<_>>()).await?;
        let (passed, kept): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(_, what)| *what == What::Passed);
        let passed: Vec<&Item> = passed.iter().map(|(pin, _)| &pin.item).collect();
        pins::remove(&mut tx, scope, server, &passed).await?;
        let kept: Vec<Pin> = kept.into_iter().map(|(pin, _)| pin).collect();
        pins::put(&mut tx, scope, server, &kept).await?;
        if changes.is_empty() {
            tx.commit().await?;
        } else {
            tx.execute(SWEEP, args![tenant, environment, now.0.saturating_sub(ORPHANED_US)]).await?;
            self.note_untold_as(writer, &mut tx, scope, Some(server), now, told(&changes)).await?;
            self.commit_noticed(tx, scope).await?;
        }
        Ok(changes)
    }
}

/// What is written down with the pins of one server, and what the record is to say of their changes.
struct Kept<'a> {
    writer: &'a Writer,
    server: &'a ServerName,
    seen: &'a BTreeMap<Item, &'a Seen>,
    apart: &'a BTreeMap<Item, Apart>,
    told: &'a (dyn Fn(&[Change]) -> Vec<Told> + Sync),
}

/// The items by name, or why the sighting cannot be recorded.
fn acceptable<'s>(kinds: &BTreeSet<ItemKind>, items: &'s [Seen]) -> Outcome<BTreeMap<Item, &'s Seen>> {
    let no = |rule| Err(StoreError::Unacceptable { what: "list of items", rule });
    if items.len() > ITEMS_MAX {
        return no("at most 10000 items are kept for one server");
    }
    let mut seen = BTreeMap::new();
    for item in items {
        let name = &item.item.name;
        if !kinds.contains(&item.item.kind) || item.item.kind == ItemKind::Question {
            return no("every item must be of a kind that was listed");
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return no("a name has 1 to 2048 bytes and no zero byte");
        }
        if item.raw.len() > DEFINITION_BYTES_MAX {
            return no("a definition has at most 1 MiB");
        }
        if seen.insert(item.item.clone(), item).is_some() {
            return no("no item may be listed twice");
        }
    }
    Ok(seen)
}

/// The pins that are not what they were, in the order of the items.
fn compare(
    known: &[Pin],
    seen: &BTreeMap<Item, &Seen>,
    sighting: &Sighting,
    pins: impl Fn(&Item) -> bool,
    now: Timestamp,
) -> Vec<(Pin, What)> {
    let (mut steps, mut caught, mut left) = (Vec::new(), 0, known.len());
    for pin in known.iter().filter(|pin| sighting.kinds.contains(&pin.item.kind)) {
        let gone = || Pin { state: PinState::Gone, ..pin.clone() };
        steps.extend(match seen.get(&pin.item) {
            Some(seen) => compared(pin, seen.digest, sighting.apart.get(&pin.item), now),
            None if pin.is_undecided() => {
                let caught_now = sighting.withheld.contains(&pin.item);
                let kept = caught < CAUGHT_MAX && (caught_now || pin.state == PinState::Gone);
                (caught, left) = if kept { (caught + 1, left) } else { (caught, left - 1) };
                match kept {
                    true if pin.state == PinState::Gone => None,
                    true => Some((gone(), What::Gone)),
                    false => Some((gone(), What::Passed)),
                }
            }
            None if pin.state == PinState::Gone => None,
            None => Some((gone(), What::Gone)),
        });
    }
    let names: BTreeSet<&Item> = known.iter().map(|pin| &pin.item).collect();
    let new: Vec<_> = seen.iter().filter(|(item, _)| !names.contains(item)).collect();
    let room = ITEMS_MAX.saturating_sub(left).min(new.len());
    if room < new.len() {
        let (server, left_out) = (&sighting.server, new.len() - room);
        tracing::warn!(%server, left_out, "more items than are kept of one server: what is new is left out");
    }
    steps.extend(new.into_iter().take(room).map(|(item, seen)| appeared(seen, pins(item), now)));
    steps.sort_by(|(one, _), (other, _)| one.item.cmp(&other.item));
    steps
}

fn appeared(seen: &Seen, pin_now: bool, now: Timestamp) -> (Pin, What) {
    let item = seen.item.clone();
    let bare = Pin {
        item,
        state: PinState::New,
        approved: None,
        seen: seen.digest,
        seen_at: now,
        rejected: None,
        left: None,
    };
    if !pin_now {
        return (bare, What::New);
    }
    let approved = Some(Mark { digest: seen.digest, at: now, by: FIRST_SIGHT.to_owned() });
    (Pin { state: PinState::Approved, approved, ..bare }, What::Pinned)
}

/// What was found of these two definitions, and of no others.
fn how(apart: Option<&Apart>, approved: Option<Digest>, seen: Digest) -> Option<How> {
    apart.filter(|apart| Some(apart.approved) == approved && apart.shown == seen).map(|apart| apart.how)
}

fn compared(pin: &Pin, seen: Digest, apart: Option<&Apart>, now: Timestamp) -> Option<(Pin, What)> {
    let approved = pin.approved.as_ref().map(|mark| mark.digest);
    let how = how(apart, approved, seen);
    let left = pin.left.clone();
    let (state, what, left) = match catalog::compare(approved, Some(seen))? {
        ItemState::Same if pin.held() => (PinState::Returned, What::Returned, left),
        ItemState::Same => (PinState::Approved, What::Restored, left),
        ItemState::Changed => (PinState::Changed, What::Changed, Some(pin.leaves(seen, now, None, how))),
        ItemState::New => (PinState::New, What::New, left),
        ItemState::Gone => (PinState::Gone, What::Gone, left),
    };
    if state == pin.state && seen == pin.seen {
        return None;
    }
    Some((Pin { state, seen, seen_at: now, left, ..pin.clone() }, what))
}
