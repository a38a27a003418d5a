//! One item on the page of what waits, for the eye.

use super::{about, beside, href, old_name};
use crate::review::{self, Field, Part, Radius, Review, Ruling, Waiting};
use crate::view::{Shown, When, kind, when};
use catalog::drift::Severity;
use catalog::scan::Finding;
use decision::ServerName;
use store::{DEPARTURES_MAX, PinState};

/// Most reasons, of which the urgent come first.
const REASONS: usize = 12;

pub(super) struct ItemView {
    pub(super) severity: &'static str,
    pub(super) kind: &'static str,
    pub(super) name: Shown,
    pub(super) was: Option<Shown>,
    pub(super) state: &'static str,
    pub(super) meanwhile: &'static str,
    pub(super) seen: When,
    pub(super) accepted: Option<(Shown, When)>,
    /// How often it was something else since it was accepted, and to whom that was shown.
    pub(super) left: Option<Shown>,
    /// What it looks like, if it is new and looks like something that was accepted.
    pub(super) like: Option<Shown>,
    pub(super) reasons: Vec<Reason>,
    pub(super) more: usize,
    pub(super) beside: Vec<Beside>,
    /// All of it is here.
    pub(super) whole: bool,
    pub(super) reach: Vec<(&'static str, Shown)>,
    /// Whether rules decide about it, and which.
    pub(super) ruled: bool,
    pub(super) rules: Vec<RuleView>,
    pub(super) alone: String,
    pub(super) anchor: String,
}

impl ItemView {
    /// Nothing of it can be shown beside anything.
    pub(super) fn nothing(&self) -> bool {
        self.beside.iter().all(|table| table.rows.is_empty())
    }
}

pub(super) struct Reason {
    pub(super) severity: &'static str,
    pub(super) kind: &'static str,
    pub(super) place: Shown,
    pub(super) because: Shown,
    pub(super) breaks: bool,
    /// It is a reason against what it was, and not against what is shown now.
    pub(super) meanwhile: bool,
}

/// What was shown, now or meanwhile, beside what was accepted.
pub(super) struct Beside {
    pub(super) shown: &'static str,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) place: Shown,
    /// Either side is JSON and no text.
    pub(super) code: bool,
    pub(super) before: Vec<PartView>,
    pub(super) after: Vec<PartView>,
}

pub(super) struct PartView {
    pub(super) text: Shown,
    pub(super) other: bool,
    pub(super) skipped: Option<usize>,
}

pub(super) struct RuleView {
    pub(super) rule: Shown,
    pub(super) sway: &'static str,
    pub(super) because: Shown,
    /// What the change does to it, if anything.
    pub(super) news: &'static str,
}

/// One item as the page has it.
pub(super) fn item(server: &ServerName, review: &Review, index: usize, whole: bool) -> Option<ItemView> {
    let one = review.waiting.get(index)?;
    let old = old_name(review, one);
    let changes = review.changes(&one.pin.item);
    let unread = review.unread(&one.pin.item).into_iter().map(unread);
    let others = review.findings_beside(&one.pin.item).iter().take(REASONS).map(found);
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
        like: review.likeness(&one.pin.item).map(|like| Shown::of(&like.because())),
        more: changes.len().saturating_sub(REASONS),
        reasons: unread.chain(others).chain(changes.into_iter().take(REASONS).map(reason)).collect(),
        beside: match whole {
            true => beside(review, index).into_iter().map(table).collect(),
            false => Vec::new(),
        },
        whole,
        reach: reach(&used, &radius),
        ruled: radius.ruled,
        rules,
        alone: format!("{}&only={}", href(server), review.digest(about(review, index))),
        anchor: format!("item-{index}"),
    })
}

/// That it was something else since it was accepted.
fn left(one: &Waiting) -> Option<Shown> {
    let left = one.pin.left.as_ref()?;
    let to = left.seen_by.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
    let times = if left.times == 1 { "once".to_owned() } else { format!("{} times", left.times) };
    let of = match one.meanwhile.len() {
        0 => String::new(),
        1 => " One other form was shown meanwhile".to_owned(),
        DEPARTURES_MAX.. => {
            format!(" The worst {} of the forms that were shown meanwhile are kept", one.meanwhile.len())
        }
        count => format!(" {count} other forms were shown meanwhile"),
    };
    let worst = one.meanwhile.first().map(|worst| format!(", {} at worst.", worst.severity().as_str()));
    Some(Shown::of(&format!(
        "It was shown{to} as something else than what was accepted {times}, at {} last.{of}{}",
        when(left.at).people,
        worst.unwrap_or_default(),
    )))
}

/// Of one with another name: who used the old one, and who may see the new one.
fn reach(used: &Radius, now: &Radius) -> Vec<(&'static str, Shown)> {
    let seen = Radius {
        may_see: now.may_see.clone(),
        known: now.known,
        ruled: now.ruled,
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
        meanwhile: false,
    }
}

/// Why nothing can be compared.
fn unread(why: &'static str) -> Reason {
    let because = Shown::of(&format!("{why}, so nothing can be compared"));
    Reason {
        severity: Severity::Critical.as_str(),
        kind: "unreadable",
        place: Shown::default(),
        because,
        breaks: false,
        meanwhile: false,
    }
}

fn reason(one: review::Reason<'_>) -> Reason {
    let change = one.change;
    Reason {
        severity: severity(change.severity),
        kind: change.kind.as_str(),
        place: Shown::short(&change.place),
        because: Shown::of(&change.because.chars().take(600).collect::<String>()),
        breaks: !change.compatible && !one.meanwhile,
        meanwhile: one.meanwhile,
    }
}

fn table((shown, fields): (&'static str, Vec<Field>)) -> Beside {
    Beside { shown, rows: fields.iter().map(row).collect() }
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
