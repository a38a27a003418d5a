//! What an item was shown as since somebody accepted it, beside what was accepted: whoever decides now sees the worst of it.

use super::Field;
use super::fields;
use crate::aside::aside;
use bytes::Bytes;
use catalog::drift::{self, Change, Drift, Severity};
use decision::ServerName;
use store::{Departure, Pin, PinState, Scope, Store, StoreError};

/// One definition that was shown, and is not shown now.
#[derive(Debug, Clone)]
pub struct Meanwhile {
    pub departure: Departure,
    before: Option<Bytes>,
    raw: Option<Bytes>,
    drift: Option<Drift>,
}

impl Meanwhile {
    /// All that is kept of an item but what it shows now, the urgent first.
    pub(super) async fn all(
        store: &Store,
        scope: &Scope,
        server: &ServerName,
        (pin, before): (&Pin, Option<&Bytes>),
        kept: Vec<Departure>,
    ) -> Result<Vec<Self>, StoreError> {
        let mut all = Vec::new();
        for departure in kept {
            if departure.digest == pin.seen && pin.state != PinState::Gone {
                continue;
            }
            let raw = store.definition(scope, &departure.digest).await?;
            let drift = match before.zip(raw.as_ref()) {
                Some((was, is)) => aside(|| drift::between(server, pin.item.kind, was, is)).await,
                None => None,
            };
            all.push(Self { departure, before: before.cloned(), raw, drift });
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.severity()));
        Ok(all)
    }

    /// How urgently somebody should look: as was found when it was seen, and as is found now. What cannot be compared with
    /// what was accepted is looked at first.
    pub fn severity(&self) -> Severity {
        let unread = if self.is_unread() { Severity::Critical } else { Severity::Info };
        self.drift.as_ref().map_or(unread, Drift::worst).max(self.departure.grade)
    }

    /// How it differed, the urgent first.
    pub fn changes(&self) -> &[Change] {
        self.drift.as_ref().map(|drift| drift.changes.as_slice()).unwrap_or_default()
    }

    /// The same field by field.
    pub fn fields(&self) -> Vec<Field> {
        fields::between(self.before.as_deref(), self.raw.as_deref())
    }

    /// As JSON, for people; empty where it is not kept.
    pub fn text(&self) -> String {
        super::pretty(self.raw.as_ref())
    }

    pub(super) fn is_unread(&self) -> bool {
        self.before.is_some() && self.drift.is_none()
    }
}
