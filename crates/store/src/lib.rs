//! What people decide at run time, and a search index over the ledger: SQLite or PostgreSQL behind
//! one async type, one SQL text, one behaviour suite.
//!
//! Start at [`Store`]; the ledger itself, append-only files of its own, is in [`ledger`]. Nothing here knows a plaintext secret or a token, and nothing here decides:
//! the store keeps what was decided and says who changed it.

mod approvals;
mod beside;
mod budgets;
mod bulk;
mod callers;
mod circumstances;
mod claim;
mod db;
mod delegations;
mod departures;
mod desk;
mod drafts;
mod entries;
mod error;
mod filling;
mod find;
mod forgetting;
mod gateways;
mod health;
mod inplace;
pub mod ledger;
mod observed;
mod open;
mod outbox;
mod pins;
mod principals;
mod records;
mod revision;
mod scope;
mod secrets;
mod servers;
mod shown;
mod sight;
mod tokens;
mod twins;
mod untold;
mod words;

pub use approvals::{Kept, Page, Turn};
pub use budgets::{Counter, Spending, Taken, Takes};
pub use callers::Caller;
pub use claim::{Claim, LogClaim};
pub use delegations::Delegation;
pub use departures::{DEPARTURES_MAX, Departure, Departures};
pub use desk::{Desk, DeskError, Purchase};
pub use drafts::Draft;
pub use entries::{EntryKind, Place};
pub use error::StoreError;
pub use find::{CallRow, Counts, Cursor, Ended, Filter, NoCursor};
pub use forgetting::Forgotten;
pub use gateways::Gateway;
pub use observed::Observations;
pub use open::Opening;
pub use outbox::{Delivery, DeliveryState};
pub use pins::{By, Definition, FLAPS, Left, Mark, Pin, PinState, Which};
pub use principals::{Agent, AgentKind, NewAgent};
pub use records::Taking;
pub use revision::Revision;
pub use scope::Scope;
pub use secrets::{NewSecret, Resealable, RetiredSecret, Sealed, SecretListing, StoredSecret};
pub use servers::{Server, ServerMeta};
pub use sight::{Apart, Change, Differing, FirstSight, How, Seen, Sighting, What, shown_otherwise, singly};
pub use tokens::{Lapsed, NewToken, TokenHash, TokenId, TokenRecord};
pub use twins::{Claim as KeyClaim, KeptTwin};
pub use untold::{TellError, Telling, Writer};

use db::Db;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// An open store. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Arc<dyn decision::Clock>,
    entropy: Arc<dyn decision::Entropy>,
    bumped: Arc<Notify>,
    listener: Option<AbortHandle>,
    /// Under which name this store leaves events that are to be told.
    writer: Writer,
    /// What is remembered of the index while it is filled.
    memory: tokio::sync::Mutex<circumstances::Memory>,
    holding: Arc<claim::Holding>,
    /// Why the database could not be worked with when somebody asked last.
    unwell: parking_lot::Mutex<Option<Arc<str>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Store {
    /// Opens `sqlite:PATH` (created with mode 0600 when missing) or `postgres://…`, and brings the
    /// schema up to date. Several processes may have a store open; see [`Store::claim`].
    ///
    /// Errors: every [`StoreError`] that says that the database cannot be used.
    pub async fn open(
        url: &str,
        clock: Arc<dyn decision::Clock>,
        entropy: Arc<dyn decision::Entropy>,
    ) -> Result<Self, StoreError> {
        Self::open_as(url, Opening::Move, clock, entropy).await
    }

    /// The same, and does no more to a PostgreSQL database than that.
    ///
    /// Errors: also [`StoreError::Nothing`] and [`StoreError::Older`], where more would have to be done.
    pub async fn open_as(
        url: &str,
        opening: Opening,
        clock: Arc<dyn decision::Clock>,
        entropy: Arc<dyn decision::Entropy>,
    ) -> Result<Self, StoreError> {
        Ok(Self::over(open::open(url, opening).await?, clock, entropy))
    }

    /// A store with nothing in it, for whoever only reads where nothing is kept. What is written into it is lost.
    pub async fn empty(
        clock: Arc<dyn decision::Clock>,
        entropy: Arc<dyn decision::Entropy>,
    ) -> Result<Self, StoreError> {
        Ok(Self::over(open::empty().await?, clock, entropy))
    }

    fn over(db: Db, clock: Arc<dyn decision::Clock>, entropy: Arc<dyn decision::Entropy>) -> Self {
        let bumped = Arc::new(Notify::new());
        let listener = revision::listen(&db, &bumped);
        let (writer, memory) = (Writer::new(&*entropy), tokio::sync::Mutex::default());
        let (holding, unwell) = (Arc::default(), parking_lot::Mutex::default());
        Self {
            inner: Arc::new(Inner { db, clock, entropy, bumped, listener, writer, memory, holding, unwell }),
        }
    }

    /// Says that this process serves from the store. Keep it until the process stops serving.
    ///
    /// Errors: [`StoreError::Claimed`] when another gateway serves from the same SQLite file.
    pub fn claim(&self) -> Result<Claim, StoreError> {
        claim::take(&self.inner.db)
    }

    /// Whether the database's files are still where they were opened; a gateway that goes on without one decides by what
    /// nobody else sees, and loses it. Looks at the disk, for three microseconds.
    ///
    /// Errors: [`StoreError::Replaced`].
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.inner.db.in_place()
    }

    /// Closes the connections and, on SQLite, folds the write-ahead log into the file.
    pub async fn close(&self) {
        if let Some(listener) = &self.inner.listener {
            listener.abort();
        }
        self.inner.db.close().await;
    }

    fn db(&self) -> &Db {
        &self.inner.db
    }

    /// What it takes the time from.
    pub fn clock(&self) -> &Arc<dyn decision::Clock> {
        &self.inner.clock
    }

    fn now(&self) -> decision::Timestamp {
        self.inner.clock.now()
    }

    /// Every SQL text in use, by file and name. For the test that prepares each on both engines.
    #[doc(hidden)]
    pub fn statements() -> Vec<(&'static str, &'static str, &'static str)> {
        let files: [(&str, &[(&str, &str)]); 25] = [
            ("revision", revision::STATEMENTS),
            ("principals", principals::STATEMENTS),
            ("tokens", tokens::STATEMENTS),
            ("servers", servers::STATEMENTS),
            ("records", records::STATEMENTS),
            ("sight", sight::STATEMENTS),
            ("pins", pins::STATEMENTS),
            ("departures", departures::STATEMENTS),
            ("observed", observed::STATEMENTS),
            ("secrets", secrets::STATEMENTS),
            ("entries", entries::STATEMENTS),
            ("filling", filling::STATEMENTS),
            ("find", find::STATEMENTS),
            ("callers", callers::STATEMENTS),
            ("shown", shown::STATEMENTS),
            ("approvals", approvals::STATEMENTS),
            ("delegations", delegations::STATEMENTS),
            ("budgets", budgets::STATEMENTS),
            ("drafts", drafts::STATEMENTS),
            ("outbox", outbox::STATEMENTS),
            ("twins", twins::STATEMENTS),
            ("untold", untold::STATEMENTS),
            ("forgetting", forgetting::STATEMENTS),
            ("gateways", gateways::STATEMENTS),
            ("health", health::STATEMENTS),
        ];
        files
            .iter()
            .flat_map(|(file, list)| list.iter().map(move |(name, sql)| (*file, *name, *sql)))
            .collect()
    }
}
