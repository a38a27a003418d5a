//! Filling the search index from the ledger.
//!
//! The ledger's files are the truth. The index copies what people search by, cut to a bounded
//! length, and can be wiped and filled again at any time. It is a star: a call's row holds what is its own, in
//! numbers, and names the row of the circumstances that it shares with others.

use crate::claim::End;
use crate::db::{Outcome, Row, Tx, args, statements};
use crate::filling::{Batch, Filling};
use crate::words::words;
use crate::{Scope, Store, StoreError};
use decision::{CallId, Digest, Entry, EventName, Timestamp};
use std::{borrow::Borrow, collections::BTreeMap, sync::Arc};

statements! {
    /// Holds the log's row until the end, so that a batch is indexed once.
    MARK = "UPDATE indexed SET up_to = up_to WHERE log_id = $1 RETURNING number, up_to, wiped, root_at, root";
    NEW_MARK = "INSERT INTO indexed (tenant, environment, log_id, up_to, known) VALUES ('*', '*', $1, 0, 0) \
        ON CONFLICT (log_id) DO NOTHING";
    READ_MARK = "SELECT number, up_to, known, wiped, root_at, root FROM indexed WHERE log_id = $1";
    SET_MARK = "UPDATE indexed SET up_to = $2, root_at = $3, root = $4 WHERE log_id = $1";
    WIPE_MARK = "UPDATE indexed SET up_to = 0, known = 0, root_at = NULL, root = NULL, wiped = wiped + 1 WHERE log_id = $1 RETURNING number";
    WIPE_CALLS = "DELETE FROM calls WHERE seq BETWEEN $1 AND $2";
    WIPE_CIRCUMSTANCES = "DELETE FROM circumstances WHERE seq BETWEEN $1 AND $2";
    WIPE_INTERACTIONS = "DELETE FROM interactions WHERE seq BETWEEN $1 AND $2";
    WIPE_OTHERS = "DELETE FROM other_entries WHERE seq BETWEEN $1 AND $2";
    PLACES = "SELECT seq, at, duration_us, closed FROM calls \
        WHERE scope = (SELECT number FROM scopes WHERE tenant = $1 AND environment = $2) \
        AND call_high = $3 AND call_low = $4 AND at >= $5 AND at < $6";
    ODD_PLACES = "SELECT seq, at, duration_us, closed FROM calls \
        WHERE scope = (SELECT number FROM scopes WHERE tenant = $1 AND environment = $2) \
        AND call_high = $3 AND call_low = $4 AND call_high / 65536 <> at / 1000";
    OTHER_PLACES = "SELECT seq, at, kind FROM other_entries \
        WHERE tenant = $1 AND environment = $2 AND call_high = $3 AND call_low = $4";
    NAMED = "SELECT seq, kind FROM other_entries \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND at >= $4 ORDER BY at DESC, seq DESC LIMIT $5";
    LOGS = "SELECT number, log_id FROM indexed";
}

/// Entries of one log have numbers next to each other: the log's own, and as many bits for the index in it.
const INDEX_BITS: u32 = 40;

/// The logs that are indexed, by number.
#[derive(Debug, Default)]
pub(crate) struct Logs(BTreeMap<u64, String>);

impl Logs {
    /// The log and the index of an entry, by its number in the table.
    pub(crate) fn place(&self, seq: u64) -> (String, u64) {
        (self.0.get(&(seq >> INDEX_BITS)).cloned().unwrap_or_default(), seq & ((1 << INDEX_BITS) - 1))
    }

    /// The number in the table. That of a log that is not indexed is behind all others.
    pub(crate) fn seq(&self, log: &str, index: u64) -> u64 {
        let number = self.0.iter().find(|(_, known)| *known == log).map(|(number, _)| *number);
        number.map_or(u64::MAX, |number| seq(number, index))
    }
}

pub(crate) fn seq(log: u64, index: u64) -> u64 {
    (log << INDEX_BITS) | index
}

/// Longest name of a log, in bytes.
const LOG_BYTES_MAX: usize = 512;

/// The three kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    Intent,
    Decision,
    Event,
}

words! {
    entry_kind_word, entry_kind_from: EntryKind { Intent = "intent", Decision = "decision", Event = "event" }
}

/// Where in the ledger an entry is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub log: String,
    pub index: u64,
    pub kind: EntryKind,
}

impl Store {
    /// Copies entries into the index and returns how many of the log are now in it. `entries` are
    /// consecutive; those that are in already are skipped, so that a batch may be sent twice.
    ///
    /// Errors: [`StoreError::Gap`] when entries before these are missing; then nothing is changed.
    pub async fn index_entries<E: Borrow<Entry> + Sync>(
        &self,
        log: &str,
        entries: &[(u64, E)],
    ) -> Result<u64, StoreError> {
        self.index_up_to(log, entries, None).await
    }

    /// The same for whoever writes the log: `end` is its size and the root over so many, which are kept once all of
    /// them are indexed.
    ///
    /// Errors: also [`StoreError::LogParted`], when somebody else has filled the index since this store did; from then on
    /// [`Store::writes_log`] says so.
    pub async fn index_up_to<E: Borrow<Entry> + Sync>(
        &self,
        log: &str,
        entries: &[(u64, E)],
        end: Option<(u64, Digest)>,
    ) -> Result<u64, StoreError> {
        if log.is_empty() || log.len() > LOG_BYTES_MAX || log.contains('\0') {
            return Err(StoreError::Unacceptable { what: "name of a log", rule: "1 to 512 bytes of text" });
        }
        let mut remembered = self.inner.memory.lock().await;
        // put back once everything in it is durable: whatever goes wrong, it is forgotten
        let memory = std::mem::take(&mut *remembered);
        let mut tx = self.db().begin().await?;
        let mark = mark(&mut tx, log).await?;
        if end.is_some() {
            self.fits(log, &mark)?;
        }
        let mut filling = Filling::new(mark.number, memory, mark.wiped);
        let new = entries.iter().map(|(index, entry)| (*index, entry.borrow()));
        let batch = Batch::of(log, mark.up_to, new.filter(|(index, _)| *index >= mark.up_to))?;
        let root = end.filter(|(size, _)| *size <= batch.next).or(mark.root);
        if batch.next > mark.up_to {
            filling.fill(&mut tx, &batch).await?;
            let (at, hash) = root.unzip();
            tx.execute(SET_MARK, args![log, batch.next, at, hash]).await?;
        }
        tx.commit().await?;
        if end.is_some() {
            let root = if batch.next > mark.up_to { root } else { mark.root };
            self.inner.holding.remember(log, End { wiped: mark.wiped, root });
        }
        *remembered = filling.memory;
        Ok(batch.next)
    }

    /// How many entries of this log are in the index, from the first on and without a gap.
    pub async fn indexed_up_to(&self, log: &str) -> Result<u64, StoreError> {
        let row = self.db().row(READ_MARK, args![log]).await?;
        row.map_or(Ok(0), |row| row.count("up_to"))
    }

    /// How many entries of this log are known to have been in it.
    pub async fn known_entries(&self, log: &str) -> Result<u64, StoreError> {
        let row = self.db().row(READ_MARK, args![log]).await?;
        row.map_or(Ok(0), |row| Ok(row.count("up_to")?.max(row.count("known")?)))
    }

    /// The root over so many first entries of this log, as whoever filled the index had it.
    pub async fn known_root(&self, log: &str) -> Result<Option<(u64, Digest)>, StoreError> {
        let row = self.db().row(READ_MARK, args![log]).await?;
        Ok(row.as_ref().map(Mark::of).transpose()?.and_then(|mark| mark.root))
    }

    /// Whether nobody else has filled the index of a log that this store fills.
    pub(crate) async fn is_alone(&self, log: &str) -> Result<(), StoreError> {
        match self.db().row(READ_MARK, args![log]).await? {
            Some(row) => self.fits(log, &Mark::of(&row)?),
            None => Ok(()),
        }
    }

    fn fits(&self, log: &str, mark: &Mark) -> Result<(), StoreError> {
        if self.inner.holding.fits(log, End { wiped: mark.wiped, root: mark.root }) {
            return Ok(());
        }
        let parted = StoreError::LogParted { place: Arc::clone(self.db().place()), log: log.to_owned() };
        self.inner.holding.part(&parted);
        Err(parted)
    }

    pub(crate) async fn logs(&self) -> Outcome<Logs> {
        let rows = self.db().rows(LOGS, &[]).await?;
        let log = |row: &crate::db::Row| Ok((row.count("number")?, row.get("log_id")?));
        Ok(Logs(rows.iter().map(log).collect::<Outcome<_>>()?))
    }

    /// Empties the index of one log, to fill it again.
    pub async fn wipe_index(&self, log: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        if let Some(row) = tx.row(WIPE_MARK, args![log]).await? {
            let number = row.count("number")?;
            for wipe in [WIPE_CALLS, WIPE_CIRCUMSTANCES, WIPE_INTERACTIONS, WIPE_OTHERS] {
                tx.execute(wipe, args![seq(number, 0), seq(number, (1 << INDEX_BITS) - 1)]).await?;
            }
        }
        tx.commit().await
    }

    /// Where events of that name are, the newest first: since then, and so many at most.
    pub async fn events_named(
        &self,
        scope: &Scope,
        event: EventName,
        since: Timestamp,
        most: u64,
    ) -> Result<Vec<Place>, StoreError> {
        let name = crate::filling::word(event);
        let args = args![scope.tenant.as_str(), scope.environment.as_str(), name.as_deref(), since, most];
        let rows = self.db().rows(NAMED, args).await?;
        let logs = self.logs().await?;
        let place = |row: &Row| {
            let (log, index) = logs.place(row.count("seq")?);
            Ok(Place { log, index, kind: row.word("kind", entry_kind_from)? })
        };
        rows.iter().map(place).collect()
    }

    /// Where the entries of a call are, oldest first. Empty when the call is not known.
    pub async fn call(&self, scope: &Scope, call: CallId) -> Result<Vec<Place>, StoreError> {
        let (high, low) = halves(call.as_bytes());
        let (from, until) = when(call);
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), high, low, from, until];
        let [tenant, environment, high, low, ..] = key;
        let short = [tenant.clone(), environment.clone(), high.clone(), low.clone()];
        let mut rows = self.db().rows(PLACES, key).await?;
        rows.extend(self.db().rows(ODD_PLACES, &short).await?);
        let others = self.db().rows(OTHER_PLACES, &short).await?;
        let logs = self.logs().await?;
        let place = |seq, kind| {
            let (log, index) = logs.place(seq);
            Place { log, index, kind }
        };
        let mut places = Vec::new();
        for row in &rows {
            let (at, seq) = (row.count("at")?, row.count("seq")?);
            places.push((at, place(seq, EntryKind::Intent)));
            // the row of an intent tells of its decision
            if let Some(closed) = row.get::<Option<i64>>("closed")? {
                let closed_at = at.saturating_add(row.count_opt("duration_us")?.unwrap_or_default());
                places.push((closed_at, place(seq.saturating_add_signed(closed), EntryKind::Decision)));
            }
        }
        for row in &others {
            places.push((row.count("at")?, place(row.count("seq")?, row.word("kind", entry_kind_from)?)));
        }
        places.sort();
        Ok(places.into_iter().map(|(_, place)| place).collect())
    }
}

/// An id as the index has it.
pub(crate) fn halves(id: &[u8; 16]) -> (i64, i64) {
    let both = i128::from_be_bytes(*id);
    let low = both & i128::from(u64::MAX);
    (i64::try_from(both >> 64).unwrap_or_default(), u64::try_from(low).unwrap_or_default().cast_signed())
}

/// An id as it was.
pub(crate) fn whole((high, low): (i64, i64)) -> [u8; 16] {
    ((i128::from(high) << 64) | i128::from(low.cast_unsigned())).to_be_bytes()
}

/// The times a call may have by its id: from, and until before.
pub(crate) fn when(call: CallId) -> (u64, u64) {
    let [a, b, c, d, e, f, ..] = *call.as_bytes();
    let ms = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (ms * 1000, (ms + 1) * 1000)
}

/// The log's number, how many of its entries are indexed, how often its index was emptied, and what is known of its end.
struct Mark {
    number: u64,
    up_to: u64,
    wiped: u64,
    root: Option<(u64, Digest)>,
}

impl Mark {
    fn of(row: &Row) -> Outcome<Self> {
        Ok(Self {
            number: row.count("number")?,
            up_to: row.count("up_to")?,
            wiped: row.count("wiped")?,
            root: row.count_opt("root_at")?.zip(row.digest_opt("root")?),
        })
    }
}

async fn mark(tx: &mut Tx, log: &str) -> Outcome<Mark> {
    let mut row = tx.row(MARK, args![log]).await?;
    if row.is_none() {
        tx.execute(NEW_MARK, args![log]).await?;
        row = tx.row(MARK, args![log]).await?;
    }
    let row = row.ok_or(StoreError::Gap { log: log.to_owned(), expected: 0, found: 0 })?;
    Mark::of(&row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filling::{CLOSE, CLOSE_ODD};
    use sqlx::AssertSqlSafe;

    #[tokio::test]
    async fn a_call_is_found_by_its_id() {
        let (_dir, db) = crate::open::scratch().await;
        let (close, odd) = (CLOSE.plain(4), CLOSE_ODD.plain(4));
        let by_time = "SEARCH calls USING INDEX calls_at (scope=? AND at>? AND at<?)";
        let statements = [
            (PLACES, by_time),
            (&close, by_time),
            (ODD_PLACES, "SEARCH calls USING INDEX calls_odd (call_high=?)"),
            (&odd, "SEARCH calls USING INDEX calls_odd (call_high=?)"),
            (
                OTHER_PLACES,
                "SEARCH other_entries USING INDEX other_entries_call (call_high=? AND call_low=?)",
            ),
        ];
        for (statement, wanted) in statements {
            let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = db.rows(text, &[]).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row: &Row| row.get("detail").unwrap()).collect();
            assert!(plan.iter().any(|step| step == wanted), "{plan:?}");
        }
    }

    #[test]
    fn an_id_comes_back_from_its_two_numbers() {
        for id in
            [[0; 16], [255; 16], *b"0123456789abcdef", [127, 255, 1, 2, 3, 4, 5, 6, 200, 9, 8, 7, 6, 5, 4, 3]]
        {
            assert_eq!(whole(halves(&id)), id);
        }
    }
}
