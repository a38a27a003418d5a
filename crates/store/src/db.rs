//! Two engines behind one small door: statements with `$1` placeholders, typed arguments, typed cells.
//!
//! Only this file and `open.rs` know which engine it is.

use crate::error::{StoreError, classify};
use crate::inplace::Together;
use decision::{Digest, Timestamp};
use sqlx::{
    Arguments as _, Database, Decode, Encode, PgPool, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite,
    SqlitePool, Type,
};
use std::{
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) type Outcome<T> = Result<T, StoreError>;

/// Whether the last that was to be written found the database away, full or damaged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outage(Arc<AtomicBool>);

impl Outage {
    fn note(&self, error: StoreError) -> StoreError {
        if error.is_outage() {
            self.0.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// An open database.
#[derive(Debug)]
pub(crate) enum Db {
    /// SQLite allows one writer at a time, so there is one connection that writes and several that read.
    Sqlite {
        place: Arc<str>,
        path: PathBuf,
        /// Its file, its log and the log's index; none of a database in memory.
        files: Together,
        writer: SqlitePool,
        readers: SqlitePool,
        outage: Outage,
    },
    Postgres {
        place: Arc<str>,
        pool: PgPool,
        outage: Outage,
    },
}

/// An argument of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A row of either engine.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(Arc<str>, SqlStr, sqlx::sqlite::SqliteRow),
    Postgres(Arc<str>, SqlStr, sqlx::postgres::PgRow),
}

/// Where something is written.
pub(crate) struct At {
    place: Arc<str>,
    outage: Outage,
}

impl At {
    fn fault(&self, error: &sqlx::Error) -> StoreError {
        self.outage.note(classify(&self.place, error))
    }
}

/// An open transaction. Dropped without [`Tx::commit`], it never happened.
pub(crate) enum Tx {
    Sqlite(At, sqlx::Transaction<'static, Sqlite>),
    Postgres(At, sqlx::Transaction<'static, Postgres>),
}

/// A type that both engines store in the same way.
pub(crate) trait Cell:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}
impl<T> Cell for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

/// The arguments of a statement, in order. Statements with thousands of them are why this is not `Query::bind`, which
/// moves the whole query for each.
fn arguments<D: Database>(args: &[Arg]) -> Result<D::Arguments, sqlx::Error>
where
    Option<i64>: Encode<'static, D> + Type<D>,
    for<'a> Option<&'a str>: Encode<'a, D> + Type<D>,
    for<'a> Option<&'a [u8]>: Encode<'a, D> + Type<D>,
{
    let mut all = D::Arguments::default();
    all.reserve(args.len(), args.len() * size_of::<i64>());
    for arg in args {
        match arg {
            Arg::Int(value) => all.add(*value),
            Arg::Text(value) => all.add(value.as_deref()),
            Arg::Bytes(value) => all.add(value.as_deref()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(all)
}

macro_rules! bound {
    ($engine:ty, $sql:expr, $args:expr, $run:ident, $on:expr) => {
        async { sqlx::query_with($sql, arguments::<$engine>($args)?).$run($on).await }.await
    };
}

/// The table that a statement is about.
fn table(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let is_before = |word: &str| ["FROM", "INTO", "UPDATE"].contains(&word);
    words
        .find(|word| is_before(word))
        .and_then(|_| words.next())
        .unwrap_or("?")
        .trim_matches(['(', ','])
        .to_owned()
}

const BEGIN: &str = "BEGIN IMMEDIATE";

/// Ends the connection of a pool of one, so that the next caller gets a new one.
async fn renew(writer: &SqlitePool) {
    if let Ok(connection) = writer.acquire().await {
        // what it has to say on its way out is what made us close it
        let _ = connection.close().await;
    }
}

impl Db {
    pub(crate) fn place(&self) -> &Arc<str> {
        match self {
            Self::Sqlite { place, .. } | Self::Postgres { place, .. } => place,
        }
    }

    /// Whether its files are still those at their paths: what is written to one that was moved away is lost with it, and
    /// whoever opens the database beside another log or another index of it sees and writes another database. SQLite itself
    /// takes neither away before its last connection closes. A server looks after its own files.
    pub(crate) fn in_place(&self) -> Outcome<()> {
        let Self::Sqlite { place, files, .. } = self else { return Ok(()) };
        match files.missing() {
            None => Ok(()),
            Some(file) => {
                Err(StoreError::Replaced { place: Arc::clone(place), file: file.display().to_string() })
            }
        }
    }

    /// Whether it takes writes, as far as it says so unasked: a standby does not, nor a server that was set to read only.
    pub(crate) async fn takes_writes(&self) -> Outcome<()> {
        let Self::Postgres { place, pool, .. } = self else { return Ok(()) };
        let asked = sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'on'");
        let is_read_only: bool = asked.fetch_one(pool).await.map_err(|error| self.fault(&error))?;
        let detail = "it is read only: a standby, or set to read-only transactions".to_owned();
        if is_read_only { Err(StoreError::Unavailable { place: Arc::clone(place), detail }) } else { Ok(()) }
    }

    /// It did not answer in time.
    pub(crate) fn silent(&self, waited: Duration) -> StoreError {
        let detail = format!("no answer within {} s", waited.as_secs());
        StoreError::Unavailable { place: Arc::clone(self.place()), detail }
    }

    /// Starts a transaction that may write. On SQLite it holds the one write lock from the start,
    /// so that it cannot fail for want of it later.
    pub(crate) async fn begin(&self) -> Outcome<Tx> {
        // boxed: fourteen kilobytes, which every caller's future would carry and every move of it copy
        Box::pin(self.begun()).await
    }

    async fn begun(&self) -> Outcome<Tx> {
        let at = || At { place: Arc::clone(self.place()), outage: self.outage().clone() };
        let begun = match self {
            Self::Sqlite { writer, .. } => {
                let mut begun = writer.begin_with(BEGIN).await;
                // After a fault of the disk SQLite has rolled back and the driver does not know it: that
                // connection would never begin anything again, and it is the only one that writes.
                if matches!(begun, Err(sqlx::Error::InvalidSavePointStatement)) {
                    renew(writer).await;
                    begun = writer.begin_with(BEGIN).await;
                }
                begun.map(|tx| Tx::Sqlite(at(), tx))
            }
            Self::Postgres { pool, .. } => pool.begin().await.map(|tx| Tx::Postgres(at(), tx)),
        };
        begun.map_err(|error| self.outage().note(self.fault(&error)))
    }

    fn outage(&self) -> &Outage {
        match self {
            Self::Sqlite { outage, .. } | Self::Postgres { outage, .. } => outage,
        }
    }

    /// Whether the last that was to be written could not be, for want of a database.
    pub(crate) fn is_out(&self) -> bool {
        self.outage().0.load(Ordering::Relaxed)
    }

    fn fault(&self, error: &sqlx::Error) -> StoreError {
        match (self, error) {
            // many may write there: whoever waits so long for a connection waits for a server that is away or has no room
            (Self::Postgres { place, .. }, sqlx::Error::PoolTimedOut) => {
                let detail = "no connection could be had in time".to_owned();
                StoreError::Unavailable { place: Arc::clone(place), detail }
            }
            (_, error) => classify(self.place(), error),
        }
    }

    /// Runs one statement that only reads.
    pub(crate) async fn rows(&self, sql: impl SqlSafeStr, args: &[Arg]) -> Outcome<Vec<Row>> {
        let sql = sql.into_sql_str();
        let (place, text) = (self.place(), sql.clone());
        let rows = match self {
            Self::Sqlite { readers, .. } => {
                let rows = bound!(Sqlite, sql, args, fetch_all, readers);
                let row = |row| Row::Sqlite(Arc::clone(place), text.clone(), row);
                rows.map(|rows| rows.into_iter().map(row).collect())
            }
            Self::Postgres { pool, .. } => {
                let rows = bound!(Postgres, sql, args, fetch_all, pool);
                let row = |row| Row::Postgres(Arc::clone(place), text.clone(), row);
                rows.map(|rows| rows.into_iter().map(row).collect())
            }
        };
        rows.map_err(|error| self.fault(&error))
    }

    pub(crate) async fn row(&self, sql: impl SqlSafeStr, args: &[Arg]) -> Outcome<Option<Row>> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Writes SQLite's log into the file and empties it, so that overwritten pages stand nowhere any more. False where a
    /// reader was in the way.
    pub(crate) async fn scrub(&self) -> Outcome<bool> {
        let Self::Sqlite { place, writer, .. } = self else { return Ok(true) };
        let asked = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await;
        let busy = asked.and_then(|row| row.try_get::<i64, _>(0));
        busy.map(|busy| busy == 0).map_err(|error| classify(place, &error))
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

impl Tx {
    fn at(&self) -> &At {
        match self {
            Self::Sqlite(at, _) | Self::Postgres(at, _) => at,
        }
    }

    /// Whether arguments are written `$1`. SQLite takes that too, but finds each by walking a list of all, so a
    /// statement with many is better off with plain `?` there.
    pub(crate) fn numbers_arguments(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }

    /// Runs a statement; returns how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Outcome<u64> {
        let done = match self {
            Self::Sqlite(_, tx) => {
                bound!(Sqlite, sql, args, execute, &mut **tx).map(|done| done.rows_affected())
            }
            Self::Postgres(_, tx) => {
                bound!(Postgres, sql, args, execute, &mut **tx).map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| self.at().fault(&error))
    }

    pub(crate) async fn rows(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Outcome<Vec<Row>> {
        let sql = sql.into_sql_str();
        let (place, text) = (Arc::clone(&self.at().place), sql.clone());
        let rows = match self {
            Self::Sqlite(_, tx) => {
                let rows = bound!(Sqlite, sql, args, fetch_all, &mut **tx);
                let row = |row| Row::Sqlite(Arc::clone(&place), text.clone(), row);
                rows.map(|rows| rows.into_iter().map(row).collect())
            }
            Self::Postgres(_, tx) => {
                let rows = bound!(Postgres, sql, args, fetch_all, &mut **tx);
                let row = |row| Row::Postgres(Arc::clone(&place), text.clone(), row);
                rows.map(|rows| rows.into_iter().map(row).collect())
            }
        };
        rows.map_err(|error| self.at().fault(&error))
    }

    pub(crate) async fn row(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Outcome<Option<Row>> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Makes it durable. An error means that it may or may not have happened.
    pub(crate) async fn commit(self) -> Outcome<()> {
        let (at, done) = match self {
            Self::Sqlite(at, tx) => (at, tx.commit().await),
            Self::Postgres(at, tx) => (at, tx.commit().await),
        };
        done.map_err(|error| at.fault(&error))?;
        at.outage.0.store(false, Ordering::Relaxed);
        Ok(())
    }
}

impl Row {
    pub(crate) fn unreadable(&self, column: &'static str) -> StoreError {
        match self {
            Self::Sqlite(place, sql, _) | Self::Postgres(place, sql, _) => {
                StoreError::Unreadable { place: Arc::clone(place), table: table(sql.as_str()), column }
            }
        }
    }

    /// One cell, by column name.
    pub(crate) fn get<T: Cell>(&self, column: &'static str) -> Outcome<T> {
        match self {
            Self::Sqlite(_, _, row) => row.try_get(column),
            Self::Postgres(_, _, row) => row.try_get(column),
        }
        .map_err(|_| self.unreadable(column))
    }

    /// A cell that holds the text of one of our names.
    pub(crate) fn parsed<T: FromStr>(&self, column: &'static str) -> Outcome<T> {
        self.get::<String>(column)?.parse().map_err(|_| self.unreadable(column))
    }

    pub(crate) fn parsed_opt<T: FromStr>(&self, column: &'static str) -> Outcome<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| self.unreadable(column))).transpose()
    }

    /// A cell whose text `read` understands.
    pub(crate) fn word<T>(&self, column: &'static str, read: impl Fn(&str) -> Option<T>) -> Outcome<T> {
        read(&self.get::<String>(column)?).ok_or_else(|| self.unreadable(column))
    }

    pub(crate) fn word_opt<T>(
        &self,
        column: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Outcome<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| read(&text).ok_or_else(|| self.unreadable(column))).transpose()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Outcome<T> {
        serde_json::from_str(&self.get::<String>(column)?).map_err(|_| self.unreadable(column))
    }

    pub(crate) fn count(&self, column: &'static str) -> Outcome<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.unreadable(column))
    }

    pub(crate) fn count_opt(&self, column: &'static str) -> Outcome<Option<u64>> {
        let count: Option<i64> = self.get(column)?;
        count.map(|count| u64::try_from(count).map_err(|_| self.unreadable(column))).transpose()
    }

    pub(crate) fn time(&self, column: &'static str) -> Outcome<Timestamp> {
        self.count(column).map(Timestamp)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Outcome<Option<Timestamp>> {
        Ok(self.count_opt(column)?.map(Timestamp))
    }

    pub(crate) fn digest(&self, column: &'static str) -> Outcome<Digest> {
        self.digest_opt(column)?.ok_or_else(|| self.unreadable(column))
    }

    pub(crate) fn digest_opt(&self, column: &'static str) -> Outcome<Option<Digest>> {
        let bytes: Option<Vec<u8>> = self.get(column)?;
        bytes.map(|bytes| bytes.try_into().map(Digest).map_err(|_| self.unreadable(column))).transpose()
    }
}

impl From<u64> for Arg {
    /// Counts and times beyond 2^63 do not occur; they are stored as the largest number.
    fn from(value: u64) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}
impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<Option<u64>> for Arg {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::Int(None), Self::from)
    }
}
impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}
impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::from(value.0)
    }
}
impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Self::from(value.map(|at| at.0))
    }
}
impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}
impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}
impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}
impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}
impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
impl From<Option<&[u8]>> for Arg {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Bytes(value.map(<[u8]>::to_vec))
    }
}
impl From<Digest> for Arg {
    fn from(value: Digest) -> Self {
        Self::Bytes(Some(value.0.to_vec()))
    }
}
impl From<Option<Digest>> for Arg {
    fn from(value: Option<Digest>) -> Self {
        Self::Bytes(value.map(|digest| digest.0.to_vec()))
    }
}

/// Arguments in the order of the placeholders.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Arg::from($value)),*] };
}
pub(crate) use args;

/// Names SQL texts, and lists them so that a test can prepare each on both engines.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+
        /// Every statement of this file.
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use statements;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_row_is_of_the_table_its_statement_is_about() {
        for (sql, wanted) in [
            ("SELECT version FROM approvals WHERE x = 1", "approvals"),
            ("UPDATE indexed SET up_to = 1 RETURNING n", "indexed"),
            ("INSERT INTO scopes (tenant) VALUES ($1) RETURNING number", "scopes"),
            ("DELETE FROM untold WHERE (a) IN (SELECT b FROM other)", "untold"),
            ("SELECT 1", "?"),
        ] {
            assert_eq!(table(sql), wanted, "{sql}");
        }
    }

    // Who waits so long for a connection to a server waits for one that is away; a file has one that writes.
    #[tokio::test]
    async fn a_server_that_gives_no_connection_is_not_called_locked() {
        let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://gw@localhost/gw").unwrap();
        let there = Db::Postgres { place: "there".into(), pool, outage: Outage::default() };
        let away = there.fault(&sqlx::Error::PoolTimedOut);
        assert!(matches!(away, StoreError::Unavailable { .. }), "{away}");
        let (_dir, here) = crate::open::scratch().await;
        assert!(matches!(here.fault(&sqlx::Error::PoolTimedOut), StoreError::Busy { .. }));
    }
}
