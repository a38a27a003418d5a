//! Whom a change reaches: who used an item lately, who may, which rules decide about it, and which approvals of it are on
//! their way.

use super::DAYS;
use crate::view::day;
use catalog::{Classified, Said};
use decision::approval::State;
use decision::{Actor, Item, ItemKind, Principal, ServerName};
use policy::{Asker, Policies, RuleView, Subject, Sway};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use store::Caller;

/// Principals that are asked for.
const ASKED_MAX: usize = 256;
/// Questions that are put to the rules about one item, or about whatever a server has. Each takes a third of a millisecond.
const QUESTIONS_MAX: usize = 2_048;
/// Names in one sentence.
const NAMED: usize = 5;

/// What is known, from which it follows. Pure.
pub(super) struct Known<'a> {
    pub(super) server: &'a ServerName,
    pub(super) callers: &'a [Caller],
    /// Those that wait, and those that were granted.
    pub(super) approvals: &'a [(Item, State)],
    pub(super) principals: &'a [Principal],
    /// The rules over what was accepted, and over what is shown.
    pub(super) before: Option<&'a Policies>,
    pub(super) after: Option<&'a Policies>,
}

/// One rule that can decide about an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ruling {
    pub rule: String,
    /// `permit` or `forbid`.
    pub sway: &'static str,
    pub because: Option<String>,
    /// Whether it decided about what was accepted, and whether it decides about what is shown.
    pub before: bool,
    pub after: bool,
}

/// Who used an item in the last thirty days, who may, which rules decide about it, and what waits for people.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Radius {
    pub calls: u64,
    /// Each with how many calls.
    pub agents: BTreeMap<String, u64>,
    pub users: BTreeMap<String, u64>,
    pub hosts: BTreeMap<String, u64>,
    /// Of the agents that are known here, those that may see and ask for it: as it is shown, or was if it is gone.
    pub may_see: BTreeSet<String>,
    /// Of so many that were looked at.
    pub known: usize,
    /// Whether rules decide who may see and use it. What a server says of itself is nothing that they know.
    #[serde(skip)]
    pub ruled: bool,
    /// Agents that were not looked at.
    #[serde(skip_serializing_if = "is_none")]
    pub unasked: usize,
    /// Some of those who were looked at may see it too: the rules tell so many items apart that they were not asked about each.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    pub rules: Vec<Ruling>,
    /// What it was accepted as and what it would be now, and what the operator declares of it.
    pub class_before: Option<Classified>,
    pub class: Option<Classified>,
    pub declared: Vec<Said>,
    /// Who answers for it, where that is not who answers for its server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The rules do not fit what is shown: once it is accepted, every question about the server is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub closes: bool,
    /// Approvals of what was accepted that wait for people, and that were granted and not used.
    pub waiting: usize,
    pub granted: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Known<'_> {
    pub(super) fn of(&self, item: &Item) -> Radius {
        let ruled = !matches!(item.kind, ItemKind::Server | ItemKind::Question);
        let mut radius = Radius { ruled, ..Radius::default() };
        for caller in self.callers.iter().filter(|caller| caller.used(item)) {
            radius.calls += caller.calls;
            let named = [
                (&mut radius.agents, &caller.actor),
                (&mut radius.users, &caller.user),
                (&mut radius.hosts, &caller.host),
            ];
            for (names, name) in named {
                if let Some(name) = name {
                    *names.entry(name.clone()).or_default() += caller.calls;
                }
            }
        }
        let open = |state| self.approvals.iter().filter(|(of, is)| of == item && *is == state).count();
        (radius.waiting, radius.granted) = (open(State::Proposed), open(State::Approved));
        radius.closes = self.after.is_some_and(|after| after.closed().contains(self.server))
            && self.before.is_some_and(|before| !before.closed().contains(self.server));
        radius.rules = self.rules(item);
        (radius.class_before, _) = self.class(self.before, item);
        (radius.class, radius.declared) = self.class(self.after, item);
        radius.owner = self.owner(item);
        self.seers(item, &mut radius);
        radius
    }

    fn rules(&self, item: &Item) -> Vec<Ruling> {
        let subject = Subject { server: self.server, kind: item.kind, name: &item.name };
        let of = |policies: Option<&Policies>| -> Vec<Ruling> {
            let rules = policies.map(|policies| policies.deciding(subject)).unwrap_or_default();
            rules.iter().map(ruling).collect()
        };
        let (before, mut after) = (of(self.before), of(self.after));
        for rule in &mut after {
            rule.before = before.iter().any(|other| other.rule == rule.rule);
        }
        let gone = before.into_iter().filter(|rule| !after.iter().any(|other| other.rule == rule.rule));
        let gone: Vec<_> = gone.map(|rule| Ruling { before: true, after: false, ..rule }).collect();
        after.into_iter().chain(gone).collect()
    }

    /// What a tool is there, and what is declared of it.
    fn class(&self, policies: Option<&Policies>, item: &Item) -> (Option<Classified>, Vec<Said>) {
        let entry = policies.and_then(|policies| policies.catalogue().server(self.server));
        let found = entry.and_then(|entry| Some((entry, entry.item(item.kind, &item.name)?)));
        match found.filter(|_| item.kind == ItemKind::Tool) {
            Some((entry, of)) => {
                let said = entry.declarations.said_of(&item.name, of.definition.digest());
                (Some(of.classified.clone()), said)
            }
            None => (None, Vec::new()),
        }
    }

    fn owner(&self, item: &Item) -> Option<String> {
        let entry = self.after.and_then(|policies| policies.catalogue().server(self.server));
        let entry = entry.filter(|_| item.kind == ItemKind::Tool)?;
        entry.declarations.owner(&item.name).map(str::to_owned)
    }

    fn seers(&self, item: &Item, radius: &mut Radius) {
        if item.kind == ItemKind::Server {
            return self.seers_of_any(radius);
        }
        if !radius.ruled {
            return;
        }
        let subject = Subject { server: self.server, kind: item.kind, name: &item.name };
        let offered =
            |policies: &&Policies| policies.catalogue().item(self.server, item.kind, &item.name).is_some();
        let Some(rules) = self.after.filter(offered).or(self.before) else { return };
        self.asked(radius, |asker, left| rules.sees(asker, subject, left));
    }

    /// What a server says of itself reaches whoever may see anything of it.
    fn seers_of_any(&self, radius: &mut Radius) {
        let Some(rules) = self.after.or(self.before) else { return };
        let Some(entry) = rules.catalogue().server(self.server).filter(|entry| !entry.is_empty()) else {
            return;
        };
        let items =
            || ItemKind::ALL.into_iter().flat_map(|kind| entry.of_kind(kind).map(move |item| (kind, item)));
        self.asked(radius, |asker, left| {
            let mut sees = Some(false);
            for (kind, item) in items() {
                let subject = Subject { server: self.server, kind, name: item.definition.name() };
                match rules.sees(asker, subject, left) {
                    Some(false) => {}
                    Some(true) => return Some(true),
                    // another may be known already
                    None => sees = None,
                }
            }
            sees
        });
    }

    /// `may_see` says `None` where it may put no more questions to the rules.
    fn asked(&self, radius: &mut Radius, may_see: impl Fn(Asker<'_>, &mut usize) -> Option<bool>) {
        let mut left = QUESTIONS_MAX;
        for principal in self.principals.iter().take(ASKED_MAX) {
            radius.known += 1;
            match may_see(Asker { principal, host: None }, &mut left) {
                Some(true) => {
                    radius.may_see.insert(called(principal));
                }
                Some(false) => {}
                None => radius.at_least = true,
            }
        }
        radius.unasked = self.principals.len().saturating_sub(ASKED_MAX);
    }
}

fn called(principal: &Principal) -> String {
    match &principal.actor {
        Actor::Agent(name) | Actor::Workload(name) => name.to_string(),
        Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => principal.describe(),
    }
}

fn ruling(rule: &RuleView<'_>) -> Ruling {
    Ruling {
        rule: rule.id.to_string(),
        sway: match rule.sway {
            Sway::Permit => "permit",
            Sway::Forbid => "forbid",
        },
        because: rule.because.map(str::to_owned),
        before: false,
        after: true,
    }
}

impl Radius {
    /// For people, but for the rules: what about it, and what is so. Names in it are what others call themselves.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![match self.calls {
            0 => ("used", format!("by nobody in the last {DAYS} days")),
            1 => ("used", format!("once in the last {DAYS} days")),
            calls => ("used", format!("{calls} calls in the last {DAYS} days")),
        }];
        for (what, names) in [("by", &self.agents), ("in the name of", &self.users), ("through", &self.hosts)]
        {
            if !names.is_empty() {
                lines.push((what, counted(names)));
            }
        }
        if let Some(class) = &self.class {
            let was = self.class_before.as_ref().filter(|was| *was != class);
            let was = was.map(|was| format!("; was {}", classed(was))).unwrap_or_default();
            lines.push(("is", format!("{}{was}", classed(class))));
        }
        lines.extend(self.owner.clone().map(|owner| ("belongs to", owner)));
        lines.extend(self.declared.iter().map(|said| ("declared", said.sentence(day))));
        if self.ruled {
            lines.push(("may see it", self.seen_by()));
        } else if self.known > 0 {
            lines.push(("may see any of it", self.seen_by()));
        }
        match (self.waiting, self.granted) {
            (0, 0) => {}
            (waiting, granted) => {
                lines.push(("approvals", format!("{}; void once it is another", open(waiting, granted))));
            }
        }
        if self.closes {
            let text =
                "do not fit it as it is shown: once it is accepted, they refuse everything of this server";
            lines.push(("the rules", text.to_owned()));
        }
        lines
    }

    fn seen_by(&self) -> String {
        let more = match self.unasked {
            0 => String::new(),
            more => format!("; {more} more were not looked at"),
        };
        match (self.known, self.may_see.len()) {
            (0, _) => "no agent is known here".to_owned(),
            (known, 0) if self.at_least => {
                format!("perhaps some of the agents known here ({known}): too much to ask{more}")
            }
            (known, 0) => format!("none of the agents known here ({known}){more}"),
            (known, count) => {
                let least = if self.at_least { "at least " } else { "" };
                let names: Vec<_> = self.may_see.iter().take(NAMED).cloned().collect();
                let rest = count.saturating_sub(NAMED);
                let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
                format!("{least}{count} of {known} agents known here: {}{rest}{more}", names.join(", "))
            }
        }
    }
}

fn classed(class: &Classified) -> String {
    let categories = class.categories.iter().map(|one| format!(", {}", one.as_str())).collect::<String>();
    format!("{}, {}{categories} ({})", class.effect.as_str(), class.tier.as_str(), class.origin.whose())
}

/// The most frequent first.
fn counted(names: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<_> = names.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let first: Vec<_> = all.iter().take(NAMED).map(|(name, calls)| format!("{name} ({calls})")).collect();
    match all.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Approvals that wait and that were granted, as words; not of none at all.
fn open(waiting: usize, granted: usize) -> String {
    let waiting = (waiting > 0).then(|| format!("{waiting} {}", if waiting == 1 { "waits" } else { "wait" }));
    let granted = (granted > 0).then(|| format!("{granted} granted and not used"));
    waiting.into_iter().chain(granted).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_said_in_a_sentence() {
        assert_eq!([open(1, 0), open(61, 0), open(0, 2)], ["1 waits", "61 wait", "2 granted and not used"]);
        assert_eq!(open(2, 1), "2 wait and 1 granted and not used");
    }
}
