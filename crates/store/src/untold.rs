//! Events of what was decided, and of what was seen of a server: written with it, and kept here until the ledger has them.
//! Whoever decides or looks may be killed before they have said so; then the next who opens the ledger says it.

use crate::bulk::{Bulk, Text};
use crate::db::{Outcome, Row, Tx, args, statements};
use crate::ledger::{ENTRY_BYTES_MAX, Ledger, LedgerError, Record};
use crate::{Scope, Store, StoreError};
use decision::{Digest, Entropy, Entry, Event, EventName, ServerName, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

statements! {
    ARE_LEFT = "SELECT COUNT(*) AS n FROM untold WHERE tenant = $1 AND environment = $2 AND at < $3";
    /// Taken away before the ledger has them, in a transaction that ends after that: two who tell wait for each other
    /// here, and nothing is gone while it is not told.
    TAKE_LEFT = "DELETE FROM untold WHERE (writer, deed, n) IN (SELECT writer, deed, n FROM untold \
        WHERE tenant = $1 AND environment = $2 AND at < $3 ORDER BY at, deed, n LIMIT $4) \
        RETURNING at, deed, n, event";
    KEPT = "SELECT COUNT(*) AS n FROM untold WHERE writer = $1 AND deed = $2";
    TAKE_OF = "DELETE FROM untold WHERE (writer, deed, n) IN (SELECT writer, deed, n FROM untold \
        WHERE writer = $1 ORDER BY at, deed, n LIMIT $2) RETURNING at, deed, n, event";
}

static NOTE: LazyLock<Text> = LazyLock::new(|| {
    Text::new(7, "INSERT INTO untold (tenant, environment, writer, deed, n, at, event) VALUES", "")
});

/// So many go into the ledger, and out of the database, together.
const TOGETHER: usize = 256;

/// What an entry has beside its event, also of one that is told late.
const LATE_BYTES: usize = 1_024;

/// An event and what it says.
pub(crate) type Told = (EventName, BTreeMap<String, String>);

/// Who left an event to be told: one open store, or one look at a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Writer(String);

impl Writer {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// What was decided through one store, or seen by one look: by whoever did, or by the gateway that is asked to.
    Of(Writer),
    /// The same once it could be written, after a try that failed. The event says that it is late.
    Again(Writer),
    /// What was decided before, whoever did, and is still not told. The event says that it is late.
    Left { before: Timestamp },
}

impl Telling {
    /// Whatever there is. Only for somebody who has just opened the ledger: nobody else is about to tell anything then.
    pub fn all_left() -> Self {
        Self::Left { before: Timestamp(u64::MAX) }
    }
}

/// Why nothing was told. It stays to be told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger cannot write: {0}")]
    Ledger(#[from] LedgerError),
    #[error("the entry cannot be written as JSON: {0}")]
    Entry(#[from] serde_json::Error),
}

impl Store {
    /// Under which name this store leaves events to be told.
    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// Another name, for events that nobody else is to tell.
    pub fn own_writer(&self) -> Writer {
        Writer::new(&*self.inner.entropy)
    }

    /// Writes into the ledger what is to be told; returns how many events. What a crash leaves between the ledger and the
    /// database is told twice: then both say the same time, person and change.
    pub async fn tell(
        &self,
        scope: &Scope,
        ledger: &Arc<Ledger>,
        telling: Telling,
    ) -> Result<usize, TellError> {
        self.tell_with(scope, ledger, telling, |_| ()).await
    }

    /// [`Store::tell`], with what whoever tells it knows besides.
    pub async fn tell_with(
        &self,
        scope: &Scope,
        ledger: &Arc<Ledger>,
        telling: Telling,
        add: impl Fn(&mut Event) + Send + Sync + 'static,
    ) -> Result<usize, TellError> {
        let (store, scope, ledger) = (self.clone(), scope.clone(), Arc::clone(ledger));
        // a browser that goes away in the middle must not have it told twice
        let told = tokio::spawn(async move { store.told(&scope, &ledger, &telling, &add).await });
        told.await.unwrap_or(Err(TellError::Ledger(LedgerError::Closed)))
    }

    async fn told(
        &self,
        scope: &Scope,
        ledger: &Ledger,
        telling: &Telling,
        add: &(dyn Fn(&mut Event) + Send + Sync),
    ) -> Result<usize, TellError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        if let Telling::Left { before } = telling {
            let row = self.db().row(ARE_LEFT, args![tenant, environment, *before]).await?;
            // mostly: then nobody waits for the one who writes
            if row.map_or(Ok(0), |row| row.count("n"))? == 0 {
                return Ok(0);
            }
        }
        let mut all = 0;
        loop {
            // a ledger that fails in the middle has nothing told again but what is taken here
            let mut tx = self.db().begin().await?;
            let (rows, late) = self.take(&mut tx, scope, telling).await?;
            let read = |row| read(row, scope, self.now());
            let mut events = rows.iter().map(read).collect::<Outcome<Vec<_>>>()?;
            events.sort_by(|(one, _), (other, _)| one.cmp(other));
            events.iter_mut().for_each(|(_, event)| add(event));
            let records = events.into_iter().map(|(_, event)| record(event, late));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let told = records.len();
            if told > 0 {
                ledger.append(records).await?;
            }
            tx.commit().await?;
            all += told;
            if told < TOGETHER {
                return Ok(all);
            }
        }
    }

    /// The first of what is to be told, and the time where that is late.
    async fn take(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        telling: &Telling,
    ) -> Outcome<(Vec<Row>, Option<Timestamp>)> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let most = TOGETHER as u64;
        Ok(match telling {
            Telling::Of(writer) => (tx.rows(TAKE_OF, args![writer.0.as_str(), most]).await?, None),
            Telling::Again(writer) => {
                (tx.rows(TAKE_OF, args![writer.0.as_str(), most]).await?, Some(self.now()))
            }
            Telling::Left { before } => {
                let rows = tx.rows(TAKE_LEFT, args![tenant, environment, *before, most]).await?;
                (rows, Some(self.now()))
            }
        })
    }

    /// Leaves events to be told, in the transaction that does what they say.
    pub(crate) async fn note_untold(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        server: Option<&ServerName>,
        at: Timestamp,
        events: Vec<Told>,
    ) -> Outcome<()> {
        self.note_untold_as(self.writer(), tx, scope, server, at, events).await
    }

    pub(crate) async fn note_untold_as(
        &self,
        writer: &Writer,
        tx: &mut Tx,
        scope: &Scope,
        server: Option<&ServerName>,
        at: Timestamp,
        events: Vec<Told>,
    ) -> Outcome<()> {
        let deed = random(&*self.inner.entropy);
        let count = events.len();
        let mut rows = Bulk::new(&NOTE);
        for ((event, detail), n) in events.into_iter().zip(0_u64..) {
            let (tenant, environment) = (scope.tenant.clone(), scope.environment.clone());
            let (call, server) = (None, server.cloned());
            let event = Event { v: 1, at, tenant, environment, event, call, server, detail };
            let event = serde_json::to_string(&event).unwrap_or_default();
            // what could not be recorded is not done
            if event.len() + LATE_BYTES > ENTRY_BYTES_MAX {
                return Err(StoreError::Unacceptable {
                    what: "decision",
                    rule: "at most 59 KiB of text in all",
                });
            }
            let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
            let (writer, deed) = (writer.0.as_str(), deed.as_str());
            rows.row([
                tenant.into(),
                environment.into(),
                writer.into(),
                deed.into(),
                n.into(),
                at.into(),
                event.into(),
            ]);
            if rows.is_full() {
                rows.write(tx).await?;
            }
        }
        rows.write(tx).await?;
        // what somebody put into the database may take it away again, and nothing is done that is not told
        let kept = tx.row(KEPT, args![writer.0.as_str(), deed.as_str()]).await?;
        let kept = kept.map_or(Ok(0), |row| row.count("n"))?;
        if usize::try_from(kept) != Ok(count) {
            return Err(StoreError::Undone {
                place: Arc::clone(self.db().place()),
                what: "an event to be told",
            });
        }
        Ok(())
    }
}

/// Whether it is what somebody leaves here. Whoever can write the database could have the ledger say anything else, with
/// our signature.
fn is_left_here(event: &Event) -> bool {
    use EventName as E;
    let left = matches!(
        event.event,
        E::UserAdded
            | E::UserChanged
            | E::UserRemoved
            | E::AgentAdded
            | E::AgentRemoved
            | E::AgentDisabled
            | E::AgentEnabled
            | E::TokenIssued
            | E::TokenRevoked
            | E::SecretStored
            | E::SecretRemoved
            | E::DelegationMade
            | E::DelegationEnded
            | E::DefinitionPinned
            | E::DefinitionChanged
            | E::DefinitionApproved
            | E::ServerRecordChanged
    );
    left && event.call.is_none()
}

/// What is told of a row that nobody leaves here.
fn planted(text: &str, says: &str, at: Timestamp, scope: &Scope) -> Event {
    tracing::error!(
        says,
        "SOMEBODY WROTE INTO THE DATABASE: an event to be told that nothing of callgate's leaves there; it is recorded as planted, and not as it says"
    );
    let detail = [("says", says.to_owned()), ("digest", Digest::of(text.as_bytes()).to_string())];
    Event {
        v: 1,
        at,
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        event: EventName::EventPlanted,
        call: None,
        server: None,
        detail: detail.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// The event, behind what it is told in the order of. Whatever stands there is told in some way: a row that could not be
/// would keep all others from being told.
fn read(row: &Row, scope: &Scope, now: Timestamp) -> Outcome<((Timestamp, String, u64), Event)> {
    let (at, text) = (row.time("at").unwrap_or(now), row.get::<String>("event").unwrap_or_default());
    let event = match serde_json::from_str::<Event>(&text) {
        Ok(event) if is_left_here(&event) => event,
        Ok(event) => {
            let says = serde_json::to_value(event.event).ok();
            planted(&text, says.as_ref().and_then(|says| says.as_str()).unwrap_or_default(), at, scope)
        }
        Err(_) => planted(&text, "", at, scope),
    };
    Ok(((at, row.get("deed")?, row.count("n").unwrap_or_default()), event))
}

fn record(mut event: Event, late: Option<Timestamp>) -> Result<Record, serde_json::Error> {
    if let Some(now) = late {
        event.detail.insert("told".to_owned(), "late".to_owned());
        event.detail.insert("told-at".to_owned(), utc(now));
    }
    Record::new(Entry::Event(event), Vec::new())
}

fn random(entropy: &dyn Entropy) -> String {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event of what somebody did, with what it is about.
pub(crate) fn by(
    who: &str,
    event: EventName,
    about: &[(&str, &str)],
) -> (EventName, BTreeMap<String, String>) {
    let detail = about.iter().copied().chain([("by", who)]);
    (event, detail.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// A time as events say it.
pub(crate) fn utc(at: Timestamp) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    moment.map_or_else(|| at.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
