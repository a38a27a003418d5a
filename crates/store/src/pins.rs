//! Which definition of which item is accepted, and by whom.

mod rows;
mod written;

use crate::db::{Outcome, Tx, args, statements};
use crate::sight::{Change, How, What};
use crate::words::words;
use crate::{Scope, Store, StoreError};
use bytes::Bytes;
use decision::{Digest, Item, ServerName, Timestamp};
use rows::{by_server, definition, pin};
use std::collections::BTreeMap;
pub(crate) use written::{forget, keep, key, put, remove, settle};

statements! {
    LIST = "SELECT kind, name, state, approved_digest, approved_at, approved_by, seen_digest, seen_at, \
        rejected_digest, rejected_at, rejected_by, left_times, left_at, left_digest, left_seen_by, left_held FROM pins \
        WHERE tenant = $1 AND environment = $2 AND server = $3 ORDER BY kind, name";
    LIST_ALL = "SELECT server, kind, name, state, approved_digest, approved_at, approved_by, seen_digest, seen_at, \
        rejected_digest, rejected_at, rejected_by, left_times, left_at, left_digest, left_seen_by, left_held FROM pins \
        WHERE tenant = $1 AND environment = $2 ORDER BY server, kind, name";
    /// Writes nothing new, but holds the server's row: one decision about its pins at a time.
    HOLD_SERVER = "UPDATE servers SET server = server WHERE tenant = $1 AND environment = $2 AND server = $3";
    ACCEPTED_LAST = "SELECT server, MAX(approved_at) AS at FROM pins \
        WHERE tenant = $1 AND environment = $2 AND approved_at IS NOT NULL GROUP BY server";
    DEFINITION = "SELECT raw FROM definitions WHERE tenant = $1 AND environment = $2 AND digest = $3";
    ACCEPTED = "SELECT p.kind, p.name, p.approved_digest, d.raw FROM pins p JOIN definitions d \
        ON d.tenant = p.tenant AND d.environment = p.environment AND d.digest = p.approved_digest \
        WHERE p.tenant = $1 AND p.environment = $2 AND p.server = $3 AND p.state = 'approved' \
        ORDER BY p.kind, p.name";
    ACCEPTED_ALL = "SELECT p.server, p.kind, p.name, p.approved_digest, d.raw FROM pins p JOIN definitions d \
        ON d.tenant = p.tenant AND d.environment = p.environment AND d.digest = p.approved_digest \
        WHERE p.tenant = $1 AND p.environment = $2 AND p.state = 'approved' \
        ORDER BY p.server, p.kind, p.name";
    UNOFFERED = "SELECT p.kind, p.name, d.digest AS approved_digest, d.raw FROM pins p JOIN definitions d \
        ON d.tenant = p.tenant AND d.environment = p.environment AND ((p.state <> 'gone' AND d.digest = p.seen_digest) \
        OR d.digest = p.approved_digest OR (p.left_held <> 0 AND d.digest = p.left_digest)) \
        WHERE p.tenant = $1 AND p.environment = $2 AND p.server = $3 AND p.kind = 'tool' AND p.state <> 'approved' \
        ORDER BY p.name";
}

/// Where an item stands. Only [`PinState::Approved`] may be shown and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinState {
    /// The server shows exactly what was approved.
    Approved,
    /// The server shows something else than what was approved.
    Changed,
    /// The server shows what was approved again, after something else that nobody took for harmless.
    Returned,
    /// Nothing was approved.
    New,
    /// The server does not show the item any more.
    Gone,
}

words! {
    state_word, state_from: PinState { Approved = "approved", Changed = "changed", Returned = "returned", New = "new", Gone = "gone" }
}

/// Somebody's word on one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub digest: Digest,
    pub at: Timestamp,
    /// A person or `first sight`.
    pub by: String,
}

/// That an item was not what was approved, since somebody last approved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// How often it was what was approved and then was not.
    pub times: u32,
    /// When something else was seen last.
    pub at: Timestamp,
    /// What that was.
    pub digest: Digest,
    /// The user to whom it was shown, where it was not the gateway itself.
    pub seen_by: Option<String>,
    /// What was approved does not count as approved again before somebody has looked.
    pub held: bool,
}

/// From so many departures on, an item is said to flap: two are no slip any more.
pub const FLAPS: u32 = 2;

/// One item of a server, as decided and as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub item: Item,
    pub state: PinState,
    pub approved: Option<Mark>,
    /// What the server showed last.
    pub seen: Digest,
    pub seen_at: Timestamp,
    pub rejected: Option<Mark>,
    pub left: Option<Left>,
}

impl Pin {
    /// True while somebody should look at it: changed, back again or new, and not rejected as it is.
    pub fn pending(&self) -> bool {
        let refused = self.rejected.as_ref().is_some_and(|mark| mark.digest == self.seen);
        matches!(self.state, PinState::Changed | PinState::Returned | PinState::New) && !refused
    }

    /// True where a decision on everything is one on it too: it is pending, gone, or goes to and fro.
    pub fn is_open(&self) -> bool {
        match self.state {
            PinState::Approved => self.flaps(),
            PinState::Gone => true,
            PinState::Changed | PinState::Returned | PinState::New => self.pending(),
        }
    }

    /// True while nobody has accepted or refused it, ever.
    pub fn is_undecided(&self) -> bool {
        self.approved.is_none() && self.rejected.is_none() && self.left.is_none()
    }

    /// True where it went to and fro between what was approved and something else.
    pub fn flaps(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.times >= FLAPS)
    }

    /// That something else than what was approved was seen now. What nobody called harmless is not.
    pub(crate) fn leaves(
        &self,
        other: Digest,
        at: Timestamp,
        seen_by: Option<String>,
        how: Option<How>,
    ) -> Left {
        let (before, was_held) = self.left.as_ref().map_or((0, false), |left| (left.times, left.held));
        let departs = self.approved.as_ref().is_some_and(|mark| mark.digest == self.seen);
        let times = before.saturating_add(u32::from(departs));
        let held = match how {
            Some(How::Harmless) => false,
            Some(How::Mild) => times >= FLAPS,
            Some(How::Grave(_)) | None => true,
        };
        Left { times, at, digest: other, seen_by, held: was_held || held }
    }

    /// True where what was approved is not served, whatever the server shows, before somebody has looked.
    pub fn held(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.held)
    }
}

/// An accepted definition, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub item: Item,
    pub digest: Digest,
    pub raw: Bytes,
}

/// Which items a decision is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Whatever is pending, and, to a yes, the disappearance of what is gone.
    All,
    /// These. With a digest, only if that is still what the server shows.
    Items(Vec<(Item, Option<Digest>)>),
}

/// Who decides.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub who: &'a str,
    /// The page that was decided by, for the record.
    pub shown: Option<Digest>,
}

impl<'a> From<&'a str> for By<'a> {
    fn from(who: &'a str) -> Self {
        Self { who, shown: None }
    }
}

/// Longest name of a person who decides.
const BY_BYTES_MAX: usize = 256;

impl Store {
    /// When something of each server was accepted last.
    pub async fn accepted_last(&self, scope: &Scope) -> Result<BTreeMap<ServerName, Timestamp>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        let rows = self.db().rows(ACCEPTED_LAST, key).await?;
        rows.iter().map(|row| Ok((row.parsed("server")?, row.time("at")?))).collect()
    }

    /// All items of a server that were ever seen and not forgotten, by kind and name.
    pub async fn pins(&self, scope: &Scope, server: &ServerName) -> Result<Vec<Pin>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        self.db().rows(LIST, key).await?.iter().map(pin).collect()
    }

    /// The same of every server.
    pub async fn all_pins(&self, scope: &Scope) -> Result<BTreeMap<ServerName, Vec<Pin>>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        by_server(&self.db().rows(LIST_ALL, key).await?, pin)
    }

    /// The definitions of a server that may be used: state approved, nothing else.
    pub async fn accepted(&self, scope: &Scope, server: &ServerName) -> Result<Vec<Definition>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        self.db().rows(ACCEPTED, key).await?.iter().map(definition).collect()
    }

    /// Of the tools of a server that are not as they were accepted, what was accepted, what the server shows, and what it
    /// showed somebody since.
    pub async fn unoffered_tools(
        &self,
        scope: &Scope,
        server: &ServerName,
    ) -> Result<Vec<Definition>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        self.db().rows(UNOFFERED, key).await?.iter().map(definition).collect()
    }

    /// The same of every server.
    pub async fn all_accepted(
        &self,
        scope: &Scope,
    ) -> Result<BTreeMap<ServerName, Vec<Definition>>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        by_server(&self.db().rows(ACCEPTED_ALL, key).await?, definition)
    }

    /// The raw bytes of a definition that is, or once was, approved or is pending.
    pub async fn definition(&self, scope: &Scope, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), *digest];
        let row = self.db().row(DEFINITION, key).await?;
        row.map(|row| row.get::<Vec<u8>>("raw").map(Bytes::from)).transpose()
    }

    /// Accepts what the server shows now, but what cannot be pinned. An item that is gone is forgotten: should it come back,
    /// it is new.
    ///
    /// Errors: [`StoreError::Missing`] for an unknown server or item; [`StoreError::Moved`] when the server
    /// shows another definition than the one given. Then nothing is changed.
    pub async fn approve(
        &self,
        scope: &Scope,
        server: &ServerName,
        which: &Which,
        by: impl Into<By<'_>>,
    ) -> Result<Vec<Change>, StoreError> {
        let (at, by) = (self.now(), by.into());
        self.decide(scope, server, which, by, |pin| {
            let mark = Mark { digest: pin.seen, at, by: by.who.to_owned() };
            Ok(match pin.state {
                PinState::Gone => Verdict::Forget,
                PinState::Approved if pin.left.is_none() => Verdict::Leave,
                // what cannot be pinned is accepted by nobody
                _ if catalog::is_stand_in(&pin.item.name) => Verdict::Leave,
                // whoever says yes now knows what it was meanwhile
                PinState::Approved | PinState::Changed | PinState::Returned | PinState::New => Verdict::Set(
                    Box::new(Pin {
                        state: PinState::Approved,
                        approved: Some(mark),
                        rejected: None,
                        left: None,
                        ..pin.clone()
                    }),
                    What::Approved,
                ),
            })
        })
        .await
    }

    /// Says no to what the server shows now. Where exactly that was approved, the approval is withdrawn. What is gone
    /// stays as it is.
    ///
    /// Errors: as [`Store::approve`], and [`StoreError::Gone`] for a named item that is not shown any more.
    pub async fn reject(
        &self,
        scope: &Scope,
        server: &ServerName,
        which: &Which,
        by: impl Into<By<'_>>,
    ) -> Result<Vec<Change>, StoreError> {
        let (at, by) = (self.now(), by.into());
        self.decide(scope, server, which, by, |pin| {
            let state = match pin.state {
                PinState::Gone if *which == Which::All => return Ok(Verdict::Leave),
                PinState::Gone => {
                    return Err(StoreError::Gone { server: server.to_string(), item: pin.item.clone() });
                }
                PinState::Approved | PinState::Returned => PinState::New,
                other @ (PinState::Changed | PinState::New) => other,
            };
            if pin.rejected.as_ref().is_some_and(|mark| mark.digest == pin.seen) {
                return Ok(Verdict::Leave);
            }
            let rejected = Some(Mark { digest: pin.seen, at, by: by.who.to_owned() });
            let approved = pin.approved.clone().filter(|mark| mark.digest != pin.seen);
            Ok(Verdict::Set(Box::new(Pin { state, approved, rejected, ..pin.clone() }), What::Rejected))
        })
        .await
    }

    async fn decide(
        &self,
        scope: &Scope,
        server: &ServerName,
        which: &Which,
        by: By<'_>,
        verdict: impl Fn(&Pin) -> Outcome<Verdict>,
    ) -> Outcome<Vec<Change>> {
        if by.who.is_empty() || by.who.len() > BY_BYTES_MAX || by.who.contains('\0') {
            return Err(StoreError::Unacceptable {
                what: "name of who decides",
                rule: "1 to 256 bytes of text",
            });
        }
        let mut tx = self.db().begin().await?;
        let pins = held(&mut tx, scope, server).await?;
        let (mut changes, mut set, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
        for pin in chosen(server, &pins, which)? {
            match verdict(pin)? {
                Verdict::Leave => {}
                Verdict::Forget => {
                    forgotten.push(&pin.item);
                    changes.push(Change::of(pin, What::Forgotten));
                }
                Verdict::Set(pin, what) => {
                    changes.push(Change::of(&pin, what));
                    set.push(*pin);
                }
            }
        }
        if !changes.is_empty() {
            let now = self.now();
            put(&mut tx, scope, server, &set).await?;
            forget(&mut tx, scope, server, &forgotten).await?;
            let looked_at = set.iter().filter(|pin| pin.left.is_none()).map(|pin| &pin.item);
            let settled: Vec<&Item> = forgotten.into_iter().chain(looked_at).collect();
            settle(&mut tx, scope, server, &settled).await?;
            let events = changes.iter().map(|change| change.event(by)).collect();
            self.note_untold(&mut tx, scope, Some(server), now, events).await?;
            self.commit_noticed(tx, scope).await?;
        }
        Ok(changes)
    }
}

/// What a decision does to one pin.
enum Verdict {
    Leave,
    Forget,
    Set(Box<Pin>, What),
}

/// The pins of a server, with its row held until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, scope: &Scope, server: &ServerName) -> Outcome<Vec<Pin>> {
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
    if tx.execute(HOLD_SERVER, key).await? == 0 {
        return Err(StoreError::Missing { what: "server", name: server.to_string() });
    }
    read(tx, scope, server).await
}

/// The pins of a server, for a transaction that holds its row.
pub(crate) async fn read(tx: &mut Tx, scope: &Scope, server: &ServerName) -> Outcome<Vec<Pin>> {
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
    tx.rows(LIST, key).await?.iter().map(pin).collect()
}

fn chosen<'a>(server: &ServerName, pins: &'a [Pin], which: &Which) -> Outcome<Vec<&'a Pin>> {
    let items = match which {
        Which::All => return Ok(pins.iter().filter(|pin| pin.is_open()).collect()),
        Which::Items(items) => items,
    };
    let find = |(item, digest): &(Item, Option<Digest>)| {
        let pin = pins.iter().find(|pin| pin.item == *item);
        let unknown = || StoreError::NotShown { server: server.to_string(), item: item.clone() };
        let pin = pin.ok_or_else(unknown)?;
        match digest {
            Some(digest) if *digest != pin.seen => {
                Err(StoreError::Moved { what: item.kind.as_str(), name: item.name.clone() })
            }
            Some(_) | None => Ok(pin),
        }
    };
    let mut found: Vec<&Pin> = Vec::new();
    for one in items {
        let pin = find(one)?;
        // named twice, it is decided once
        if found.iter().all(|other| other.item != pin.item) {
            found.push(pin);
        }
    }
    Ok(found)
}
