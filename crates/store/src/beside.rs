//! What an item that waits is judged beside: what was accepted of its own server, and of the others.

use crate::pins::{Pin, PinState};
use crate::{Scope, Store, StoreError};
use bytes::Bytes;
use catalog::Definition;
use catalog::drift::{Likeness, Original, renames};
use catalog::listing::Offer;
use decision::{Item, ItemKind, ServerName};
use std::collections::BTreeMap;

/// New items of a server that wait, and what was accepted of it.
#[derive(Debug, Default)]
pub struct Newcomers {
    new: Vec<(Item, Definition)>,
    known: Vec<(Definition, Original)>,
}

impl Newcomers {
    /// Those that look like one that was accepted, under another name. Takes as long as there are many.
    pub fn likenesses(self) -> BTreeMap<Item, Likeness> {
        let (items, new): (Vec<Item>, Vec<Definition>) = self.new.into_iter().unzip();
        let found = items.into_iter().zip(renames(&new, &self.known));
        found.filter_map(|(item, like)| Some((item, like?))).collect()
    }
}

impl Store {
    /// The accepted tools and addresses of every other server: only what was accepted can be shadowed.
    pub async fn offered_beside(&self, scope: &Scope, server: &ServerName) -> Result<Vec<Offer>, StoreError> {
        let mut all = self.all_accepted(scope).await?;
        all.remove(server);
        let offer = |(name, items): (ServerName, Vec<crate::Definition>)| {
            let of = |kind| {
                let all = items.iter().filter(move |one| one.item.kind == kind);
                all.filter_map(|one| serde_json::from_slice(&one.raw).ok()).collect()
            };
            Offer {
                server: Some(name.to_string()),
                tools: of(ItemKind::Tool),
                resources: of(ItemKind::Resource),
                resource_templates: of(ItemKind::ResourceTemplate),
                ..Offer::default()
            }
        };
        Ok(all.into_iter().map(offer).collect())
    }

    /// Of the new items of a server that wait, those that look like one that was accepted, under another name.
    pub async fn renames(
        &self,
        scope: &Scope,
        server: &ServerName,
        pins: &[Pin],
    ) -> Result<BTreeMap<Item, Likeness>, StoreError> {
        Ok(self.newcomers(scope, server, pins).await?.likenesses())
    }

    /// What [`Store::renames`] compares.
    pub async fn newcomers(
        &self,
        scope: &Scope,
        server: &ServerName,
        pins: &[Pin],
    ) -> Result<Newcomers, StoreError> {
        let read = |item: &Item, raw: Bytes| Definition::new(server.clone(), item.kind, raw).ok();
        let mut new = Vec::new();
        for pin in pins.iter().filter(|pin| pin.state == PinState::New) {
            let raw = self.definition(scope, &pin.seen).await?;
            new.extend(raw.and_then(|raw| read(&pin.item, raw)).map(|one| (pin.item.clone(), one)));
        }
        if new.is_empty() {
            return Ok(Newcomers::default());
        }
        let mut known: Vec<(Definition, Original)> = Vec::new();
        for pin in pins.iter().filter(|pin| !matches!(pin.state, PinState::Approved | PinState::New)) {
            let Some(mark) = &pin.approved else { continue };
            let original = if pin.state == PinState::Gone { Original::Gone } else { Original::Offered };
            let raw = self.definition(scope, &mark.digest).await?;
            known.extend(raw.and_then(|raw| read(&pin.item, raw)).map(|one| (one, original)));
        }
        let accepted = self.accepted(scope, server).await?.into_iter();
        let offered = accepted.filter_map(|one| read(&one.item, one.raw));
        known.extend(offered.map(|one| (one, Original::Offered)));
        Ok(Newcomers { new, known })
    }
}
