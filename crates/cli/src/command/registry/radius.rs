//! Whom a change reaches: who used an item lately, and which approvals of it are on their way.

use crate::place::Place;
use decision::{Clock as _, Item, ServerName, Timestamp, approval::State};
use serde::Serialize;
use std::collections::BTreeSet;
use store::{Filter, Page, Store};

/// "Lately", in days.
const DAYS: u64 = 30;
const DAY_US: u64 = 24 * 3_600 * 1_000_000;
/// Calls that are looked through; a tool with more is in use, whoever else uses it.
const CALLS_MAX: usize = 10_000;
const PAGE: u64 = 1_000;
/// Names in one sentence.
const NAMED: usize = 5;

/// Who used an item in the last thirty days, and what waits for people.
#[derive(Debug, Default, Serialize)]
pub(super) struct Radius {
    calls: usize,
    /// There are more calls than were looked through.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    agents: BTreeSet<String>,
    users: BTreeSet<String>,
    hosts: BTreeSet<String>,
    /// Approvals that wait for people, of what the item was.
    waiting: usize,
}

impl Radius {
    pub(super) async fn of(
        store: &Store,
        place: &Place,
        server: &ServerName,
        item: &Item,
    ) -> anyhow::Result<Self> {
        let now = crate::sources::SystemClock.now();
        let since = Timestamp(now.0.saturating_sub(DAYS * DAY_US));
        let filter = Filter {
            server: Some(server.clone()),
            item: Some(item.name.clone()),
            since: Some(since),
            ..Filter::default()
        };
        let mut radius = Self::default();
        let mut cursor = None;
        loop {
            let rows = store.find_calls(&place.scope(), &filter, PAGE, cursor.as_ref()).await?;
            cursor = rows.last().map(store::CallRow::cursor);
            let last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            for row in rows.into_iter().filter(|row| !row.errand) {
                if row.item.as_ref().is_some_and(|one| one.kind != item.kind) {
                    continue;
                }
                radius.calls += 1;
                radius.agents.extend(row.actor);
                radius.users.extend(row.user);
                radius.hosts.extend(row.host);
            }
            radius.more = !last && radius.calls >= CALLS_MAX;
            if last || radius.more {
                break;
            }
        }
        let page = Page { after: None, limit: 200 };
        let waiting = store.approvals_in(&place.scope(), State::Proposed, page).await?;
        let about = |kept: &&store::Kept| {
            kept.approval.terms.target.server == *server && kept.approval.terms.target.item == *item
        };
        radius.waiting = waiting.iter().filter(about).count();
        Ok(radius)
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        if self.calls == 0 && self.waiting == 0 {
            return format!("nobody used it in the last {DAYS} days");
        }
        let more = if self.more { "more than " } else { "" };
        let mut text = format!("used in the last {DAYS} days: {more}{} calls", self.calls);
        for (what, names) in [("agents", &self.agents), ("people", &self.users), ("hosts", &self.hosts)] {
            if !names.is_empty() {
                text.push_str(&format!("; {what}: {}", some(names)));
            }
        }
        if self.waiting > 0 {
            text.push_str(&format!(
                "; {} approvals of it wait, and are void once it is another",
                self.waiting
            ));
        }
        text
    }
}

fn some(names: &BTreeSet<String>) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(|name| crate::say::printable(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
