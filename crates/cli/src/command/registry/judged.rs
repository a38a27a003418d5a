//! `callgate registry approve SERVER NAME` and `reject`: a yes or a no to what a server shows.

use super::{Judge, shown::Shown};
use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{Say, named, one_line},
};
use anyhow::anyhow;
use catalog::{drift::Severity, scan::Finding};
use console::review::{Reason, Review};
use decision::{Digest, Item};
use serde_json::{Value, json};
use store::{Change, Pin, PinState, What, Which};

/// What has a finding that nobody may overlook is accepted by its digest, and not by its name alone.
const FLAGGED: &str = "shown-flagged";

/// What somebody says yes to, with the worst that is to be said of it.
struct Meant {
    pin: Pin,
    /// Whether it was named with the digest of what was looked at, and of what it was meanwhile where that is graver.
    is_bound: bool,
    /// What it is to be named with for that.
    bound: Digest,
    /// It was named with the digest of its definition, which says nothing of what it was meanwhile.
    overlooks: bool,
    worst: Option<(Severity, String)>,
}

impl Meant {
    /// Whether a finding stands against it that a yes without its digest may have overlooked. Of what is gone there is only
    /// note to be taken.
    fn is_flagged(&self) -> bool {
        let flags = self.worst.as_ref().is_some_and(|(severity, _)| severity.flags());
        flags && !self.is_bound && !matches!(self.pin.state, PinState::Gone)
    }

    fn severity(&self) -> Option<&'static str> {
        self.worst.as_ref().map(|(severity, _)| severity.as_str())
    }

    fn because(&self) -> Option<&str> {
        self.worst.as_ref().map(|(_, because)| because.as_str())
    }

    fn tell(&self, say: Say, mark: &str) {
        let (kind, name) = (self.pin.item.kind.as_str(), named(&self.pin.item.name));
        say.line(format!("{mark} {kind} {name} ({})", self.pin.seen));
        if let Some((severity, because)) = &self.worst {
            let said = format!("  {}: {because}", severity.as_str());
            say.line(if severity.flags() { say.paint(31, &said) } else { said });
        }
    }
}

pub(super) async fn approve(judge: &Judge, despite: bool, given: &Given, place: &Place) -> Outcome {
    let by = given.surroundings.user.as_str();
    let (book, store) = (Book::open(place).await?, place.store().await?);
    let pins = store.pins(&place.scope(), &judge.server).await?;
    let review = Review::found(&store, &place.scope(), &judge.server).await?;
    let seen = Shown::of(&store, place, &judge.server, &pins).await?;
    let (mut meant, mut which) = (Vec::new(), Vec::new());
    for (item, digest) in items(judge, &pins)? {
        let pin = pins.iter().find(|pin| pin.item == item);
        if pin.is_some_and(|pin| pin.state != PinState::Gone) && catalog::is_stand_in(&item.name) {
            if judge.all {
                continue;
            }
            book.close().await?;
            let (server, name) = (&judge.server, named(&item.name));
            return Err(anyhow!("{name} cannot be accepted (`callgate registry show {server}` says why): its server is to name it otherwise").into());
        }
        if let Some(pin) = pin {
            let (worst, bound) = (worst(&review, &seen, &item), review.bound(&item));
            // one of neither is of what was there before, which the store refuses
            let is_bound =
                digest.is_some_and(|digest| bound.is_none_or(|bound| digest == bound) || digest != pin.seen);
            let overlooks = digest == Some(pin.seen) && !is_bound;
            let bound = bound.unwrap_or(pin.seen);
            meant.push(Meant { pin: pin.clone(), is_bound, bound, overlooks, worst });
        }
        let digest = shown(&review, &item, pin, digest);
        // what was looked at here is what is accepted, whatever the server shows by then; what is not there, or another one
        // than was named, is for the store to refuse
        which.push((item, digest.or(pin.map(|pin| pin.seen))));
    }
    let flagged: Vec<&Meant> = meant.iter().filter(|one| one.is_flagged() && !despite).collect();
    if !flagged.is_empty() {
        book.close().await?;
        return Ok(refused(judge, &flagged, given.say));
    }
    let which = Which::Items(which);
    let changes = store.approve(&place.scope(), &judge.server, &which, by).await?;
    book.conclude(&store, given.say).await?;
    let of = |change: &Change| meant.iter().find(|one| one.pin.item == change.item);
    let value = |change: &Change| {
        let (severity, because) = of(change).map_or((None, None), |one| (one.severity(), one.because()));
        let mut value = value(change);
        if let Some(members) = value.as_object_mut() {
            members.insert("severity".to_owned(), json!(severity));
            members.insert("because".to_owned(), json!(because));
        }
        value
    };
    given.say.json(&changes.iter().map(value).collect::<Vec<_>>());
    for change in &changes {
        match of(change).filter(|_| change.what == What::Approved) {
            Some(one) => one.tell(given.say, change.what.as_str()),
            None => tell(change, given.say),
        }
    }
    Ok(left(judge, &pins, &changes, given))
}

/// What is said of what nobody can accept, where all was meant, and whether anything was accepted at all.
fn left(judge: &Judge, pins: &[Pin], changes: &[Change], given: &Given) -> Verdict {
    let unpinned =
        |pin: &&Pin| pin.pending() && pin.state != PinState::Gone && catalog::is_stand_in(&pin.item.name);
    let unpinned = pins.iter().filter(unpinned).count();
    if judge.all && unpinned > 0 {
        given.say.line(format!(
            "{} cannot be accepted (`callgate registry show {}` says why): its server is to name them otherwise",
            decision::counted(unpinned, "item"),
            judge.server
        ));
        return (!changes.is_empty()).into();
    }
    if changes.is_empty() {
        given.say.line("nothing to decide");
    }
    Verdict::Yes
}

pub(super) async fn reject(judge: &Judge, given: &Given, place: &Place) -> Outcome {
    let by = given.surroundings.user.as_str();
    let (book, store) = (Book::open(place).await?, place.store().await?);
    let which = if judge.all {
        Which::All
    } else {
        let pins = store.pins(&place.scope(), &judge.server).await?;
        let review = Review::found(&store, &place.scope(), &judge.server).await?;
        let pin = |item: &Item| pins.iter().find(|pin| pin.item == *item);
        let items = items(judge, &pins)?.into_iter();
        Which::Items(
            items
                .map(|(item, by)| {
                    let by = shown(&review, &item, pin(&item), by);
                    (item, by)
                })
                .collect(),
        )
    };
    let changes = store.reject(&place.scope(), &judge.server, &which, by).await?;
    book.conclude(&store, given.say).await?;
    given.say.json(&changes.iter().map(value).collect::<Vec<_>>());
    changes.iter().for_each(|change| tell(change, given.say));
    if changes.is_empty() {
        given.say.line("nothing to decide");
    }
    Ok(Verdict::Yes)
}

/// What is meant, with the digests that were given.
fn items(judge: &Judge, pins: &[Pin]) -> Result<Vec<(Item, Option<Digest>)>, Failure> {
    match judge.all {
        true => Ok(pins.iter().filter(|pin| pin.is_open()).map(|pin| (pin.item.clone(), None)).collect()),
        false => {
            let mut all = Vec::new();
            for name in &judge.names {
                let one = super::named::item(name, pins)?;
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            Ok(all)
        }
    }
}

/// The digest of the definition that is meant by one that `registry diff` printed. Any other is for the store to refuse.
fn shown(review: &Review, item: &Item, pin: Option<&Pin>, by: Option<Digest>) -> Option<Digest> {
    let is_bound = by.is_some() && by == review.bound(item);
    pin.filter(|_| is_bound).map(|pin| pin.seen).or(by)
}

/// The worst that `registry diff` says of an item, with where it stands.
fn worst(review: &Review, seen: &Shown, item: &Item) -> Option<(Severity, String)> {
    let at = |place: &str| if place.is_empty() { String::new() } else { format!(" {}", one_line(place)) };
    let unread = review.unread(item).map(|why| (Severity::Critical, why.to_owned()));
    let changes = review.changes(item).into_iter().map(|Reason { change, meanwhile }| {
        let (when, because) = (if meanwhile { "meanwhile, " } else { "" }, one_line(&change.because));
        (change.severity, format!("{when}{}{}: {because}", change.kind.as_str(), at(&change.place)))
    });
    // as it was found when it was seen, whatever is found of it now
    let meanwhile = review.meanwhile(item).iter();
    let meanwhile =
        meanwhile.map(|one| (one.severity(), format!("meanwhile, it was {}", one.departure.digest)));
    let found = |finding: &Finding| {
        let because = one_line(&finding.because);
        (finding.severity, format!("{}{}: {because}", finding.detector.as_str(), at(&finding.place)))
    };
    let found = seen.findings(item).iter().map(found);
    // of equals the first
    unread
        .into_iter()
        .chain(changes)
        .chain(found)
        .chain(meanwhile)
        .reduce(|a, b| if b.0 > a.0 { b } else { a })
}

/// Says what nobody is to accept unseen. Nothing was changed.
fn refused(judge: &Judge, flagged: &[&Meant], say: Say) -> Verdict {
    let value = |one: &&Meant| {
        json!({
            "kind": one.pin.item.kind.as_str(), "name": one.pin.item.name, "seen": one.pin.seen, "bound": one.bound,
            "severity": one.severity(), "because": one.because(),
        })
    };
    say.json(&json!({ "code": FLAGGED, "flagged": flagged.iter().map(value).collect::<Vec<_>>() }));
    say.line(format!("nothing was accepted ({FLAGGED}): somebody has to look at this first"));
    let mark = say.paint(31, "✗");
    for one in flagged {
        one.tell(say, &mark);
        if one.overlooks {
            say.line(
                "  the digest of its definition was the same before it was caught, so it is no yes to that",
            );
        }
    }
    let server = &judge.server;
    say.line(format!(
        "`callgate registry diff {server}` shows all of it; accept each by what was looked at, or whatever it is with \
         `--despite-findings`:"
    ));
    for one in flagged {
        let bound = Item { name: format!("{}={}", one.pin.item.name, one.bound), ..one.pin.item.clone() };
        say.line(format!("  callgate registry approve {server} {}", bound.typed()));
    }
    Verdict::No
}

fn value(change: &Change) -> Value {
    json!({
        "kind": change.item.kind.as_str(), "name": change.item.name, "change": change.what.as_str(), "seen": change.seen,
    })
}

fn tell(change: &Change, say: Say) {
    let (kind, name) = (change.item.kind.as_str(), named(&change.item.name));
    say.line(format!("{} {kind} {name}", change.what.as_str()));
}
