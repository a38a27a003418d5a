//! Opening a database: addresses, file modes, durability settings, migrations.

mod address;

use crate::claim;
use crate::db::{Db, Outage, Outcome};
use crate::error::{StoreError, classify};
use crate::inplace::Together;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqlSafeStr as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io, sync::Arc};
use tokio::time::{Duration, Instant};

/// How long a statement waits for somebody else's lock before it gives up.
const BUSY: Duration = Duration::from_secs(3);
/// The same for commands: whoever shuts somebody out must not fail because a gateway writes much just then.
const PATIENT: Duration = Duration::from_secs(30);
/// How long a file that somebody else is just making is left alone.
const AGAIN: Duration = Duration::from_millis(20);
/// How long somebody else may take to bring a schema up to date.
const MOVED: Duration = Duration::from_secs(60);
/// How long a caller waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// The schema that this version writes.
const SCHEMA: i64 = 17;

/// Bytes of the first part of the index that SQLite keeps of its log.
const SHM_BYTES: u64 = 32 * 1024;

/// Both engines know the same versions; a test compares what they build.
fn migrator(steps: [(&'static str, &'static str); 17]) -> Migrator {
    let step = |(version, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations((1..=SCHEMA).zip(steps).map(step).collect())
}

/// The steps of one engine, in order.
macro_rules! steps {
    ($engine:literal) => {
        [
            ("first", include_str!(concat!("../migrations/", $engine, "/0001_first.sql"))),
            (
                "secret versions",
                include_str!(concat!("../migrations/", $engine, "/0002_secret_versions.sql")),
            ),
            ("index", include_str!(concat!("../migrations/", $engine, "/0003_index.sql"))),
            ("star", include_str!(concat!("../migrations/", $engine, "/0004_star.sql"))),
            ("approvals", include_str!(concat!("../migrations/", $engine, "/0005_approvals.sql"))),
            ("budgets", include_str!(concat!("../migrations/", $engine, "/0006_budgets.sql"))),
            ("drafts", include_str!(concat!("../migrations/", $engine, "/0007_drafts.sql"))),
            ("outbox", include_str!(concat!("../migrations/", $engine, "/0008_outbox.sql"))),
            ("twins", include_str!(concat!("../migrations/", $engine, "/0009_twins.sql"))),
            ("records", include_str!(concat!("../migrations/", $engine, "/0010_records.sql"))),
            ("departures", include_str!(concat!("../migrations/", $engine, "/0011_departures.sql"))),
            ("observations", include_str!(concat!("../migrations/", $engine, "/0012_observations.sql"))),
            ("untold", include_str!(concat!("../migrations/", $engine, "/0013_untold.sql"))),
            ("bans", include_str!(concat!("../migrations/", $engine, "/0014_bans.sql"))),
            ("caught", include_str!(concat!("../migrations/", $engine, "/0015_caught.sql"))),
            ("refusals", include_str!(concat!("../migrations/", $engine, "/0016_refusals.sql"))),
            ("gateways", include_str!(concat!("../migrations/", $engine, "/0017_gateways.sql"))),
        ]
    };
}

/// What may be done to a PostgreSQL database on the way: other gateways may work with it. A SQLite file has one gateway, and
/// whoever opens it brings it up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing is made in it, for whoever only reads.
    Look,
    /// Tables are made in an empty one; those of an earlier version stay as they are, and are refused.
    Use,
    /// It is brought up to date.
    Move,
}

pub(crate) async fn open(url: &str, opening: Opening) -> Outcome<Db> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let busy = if opening == Opening::Move { BUSY } else { PATIENT };
        return open_sqlite(path.strip_prefix("//").unwrap_or(path), busy).await;
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return open_postgres(url, opening).await;
    }
    Err(StoreError::Address { reason: "unknown kind" })
}

async fn open_sqlite(path: &str, busy: Duration) -> Outcome<Db> {
    if path.is_empty() || path.contains('\0') {
        return Err(StoreError::Address { reason: "no path" });
    }
    if path.starts_with(":memory:") {
        return Err(StoreError::Address { reason: "a database in memory would forget its decisions" });
    }
    let place: Arc<str> = format!("`{path}`").into();
    let path = PathBuf::from(path);
    let fault =
        |error: io::Error| StoreError::Unavailable { place: Arc::clone(&place), detail: error.to_string() };
    if let Some((left, cure)) = left_of(&path).map_err(fault)? {
        return Err(StoreError::Away { place, left, cure });
    }
    private(&path).map_err(fault)?;
    has_room(&path).map_err(fault)?;
    // Whoever turns a new file into one with a write-ahead log needs it alone, and SQLite tells everybody else so
    // at once, without the wait that it grants a statement.
    let begun = Instant::now();
    loop {
        match open_file(&path, &place, busy).await {
            Err(StoreError::Busy { .. }) if begun.elapsed() < busy => tokio::time::sleep(AGAIN).await,
            done => return done,
        }
    }
}

async fn open_file(path: &Path, place: &Arc<str>, busy: Duration) -> Outcome<Db> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(busy)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF")
        .pragma("secure_delete", "ON")
        // what a statement of many rows would need to take itself back; in a file it costs more than the rows
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging();
    let pool = || {
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE).test_before_acquire(false);
        pool.min_connections(1).idle_timeout(None).max_lifetime(None)
    };
    let fault = |error: sqlx::Error| classify(place, &error);
    ours(&options, path, place).await?;
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = pool().max_connections(1).connect_with(writing).await.map_err(fault)?;
    // One transaction around all steps: whoever comes second finds the work done.
    let mut connection = writer.acquire().await.map_err(fault)?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    migrator(steps!("sqlite"))
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(|error| migrated(place, &error))?;
    tx.commit().await.map_err(fault)?;
    drop(connection);
    // what readers look for is small, and the system keeps the file's pages too; in KiB
    let reading = options.read_only(true).pragma("cache_size", "-256");
    let readers = pool().max_connections(4).connect_with(reading).await.map_err(fault)?;
    // whoever wrote the steps, or found them written, has made all three, and a connection keeps them
    let files = files(path)
        .map_err(|error| StoreError::Unavailable { place: Arc::clone(place), detail: error.to_string() })?;
    Ok(Db::Sqlite {
        place: Arc::clone(place),
        path: path.to_owned(),
        files,
        writer,
        readers,
        outage: Outage::default(),
    })
}

/// A database with nothing in it that is no file, and ends with its one connection.
pub(crate) async fn empty() -> Outcome<Db> {
    let place: Arc<str> = "in memory".into();
    let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE).test_before_acquire(false);
    let pool = pool.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None);
    let one = pool.connect_with(options).await.map_err(|error| classify(&place, &error))?;
    migrator(steps!("sqlite")).run(&one).await.map_err(|error| migrated(&place, &error))?;
    Ok(Db::Sqlite {
        place,
        path: PathBuf::new(),
        files: Together::default(),
        writer: one.clone(),
        readers: one,
        outage: Outage::default(),
    })
}

/// A file that SQLite keeps beside a database, by what its name ends with.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The files of a database that is open. SQLite has its log and the log's index beside the file itself and not beside a link to it.
fn files(path: &Path) -> io::Result<Together> {
    let itself = fs::canonicalize(path)?;
    Together::at([path.to_owned(), beside(&itself, "-wal"), beside(&itself, "-shm")])
}

/// SQLite maps the index of its log into memory. It finds out whether the disk backs the first of the four kilobytes of a page
/// and not whether it backs the others: where blocks are smaller and there are too few, the kernel ends the process.
///
/// Errors: that index is to be made, and the disk is full.
fn has_room(path: &Path) -> io::Result<()> {
    let itself = fs::canonicalize(path)?;
    let is_backed = fs::metadata(beside(&itself, "-shm")).is_ok_and(|shm| shm.blocks() * 512 >= SHM_BYTES);
    if is_backed {
        return Ok(());
    }
    let disk = rustix::fs::statvfs(&itself)?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < 2 * SHM_BYTES {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full: make room"));
    }
    Ok(())
}

/// What shows that a database which is not there was, and what to do about it. SQLite would take the log of the old one
/// away, or into the new one.
fn left_of(path: &Path) -> io::Result<Option<(String, &'static str)>> {
    if path.try_exists()? {
        return Ok(None);
    }
    if claim::is_held(path)? {
        return Ok(Some((
            "a gateway that works with it".to_owned(),
            "put it back, or stop that gateway first",
        )));
    }
    let log = beside(path, "-wal");
    let is_there = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    let cure = "put it back; or, if it is to be begun anew or restored, move that file away first";
    Ok(is_there.then(|| (format!("its log `{}`", log.display()), cure)))
}

/// Makes the file exist with mode 0600 before SQLite opens it. An existing file is never opened
/// here, because closing it again would drop the locks that this process holds on it elsewhere.
fn private(path: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut permissions = fs::metadata(path)?.permissions();
            if permissions.mode() & 0o077 != 0 {
                permissions.set_mode(0o600);
                fs::set_permissions(path, permissions)?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Refuses a file that holds somebody else's tables, or what somebody put beside ours, before anything in it is changed.
async fn ours(options: &SqliteConnectOptions, path: &Path, place: &Arc<str>) -> Outcome<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Ok(());
    }
    let fault = |error: sqlx::Error| classify(place, &error);
    let mut connection = options.clone().read_only(true).connect().await.map_err(fault)?;
    let names = "SELECT COUNT(*) > 0 AND COUNT(CASE name WHEN '_sqlx_migrations' THEN 1 END) = 0 \
        FROM sqlite_master WHERE type = 'table'";
    let foreign: bool = sqlx::query_scalar(names).fetch_one(&mut connection).await.map_err(fault)?;
    let planted =
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') ORDER BY name LIMIT 1";
    let planted: Option<(String, String)> =
        sqlx::query_as(planted).fetch_optional(&mut connection).await.map_err(fault)?;
    connection.close().await.map_err(fault)?;
    if let Some((kind, name)) = planted {
        let name = name.replace(|one: char| one.is_control(), " ");
        return Err(StoreError::Planted { place: Arc::clone(place), kind, name });
    }
    if foreign { Err(StoreError::Foreign { place: Arc::clone(place) }) } else { Ok(()) }
}

async fn open_postgres(url: &str, opening: Opening) -> Outcome<Db> {
    let options = address::options(url)?;
    let host =
        options.get_socket().map_or_else(|| options.get_host().to_owned(), |dir| dir.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let place: Arc<str> = format!("`{database}` at `{host}:{}`", options.get_port()).into();
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET statement_timeout = '30s'; SET lock_timeout = '5s'").await.map(drop)
            })
        })
        .connect_with(options)
        .await
        .map_err(|error| unreachable(&place, &error))?;
    let migrator = migrator(steps!("postgres"));
    let found = found(&pool, &place).await?;
    let missing = match &found {
        Some(found) => missing(&migrator, found, &place)?,
        None => Some(1),
    };
    match (found, missing, opening) {
        (None, _, Opening::Look) => return Err(StoreError::Nothing { place }),
        (Some(found), Some(missing), Opening::Look | Opening::Use) => {
            let found = found.iter().map(|step| step.version).filter(|version| *version < missing).max();
            return Err(StoreError::Older { place, found: found.unwrap_or_default(), known: SCHEMA });
        }
        // one that is up to date is sent nothing: it may be read only
        (_, None, _) => {}
        (_, Some(_), Opening::Move) | (None, Some(_), Opening::Use) => {
            moved(&migrator, &pool, &place).await?;
        }
    }
    let db = Db::Postgres { place, pool, outage: Outage::default() };
    if opening == Opening::Move {
        db.takes_writes().await?;
    }
    Ok(db)
}

async fn moved(migrator: &Migrator, pool: &sqlx::PgPool, place: &Arc<str>) -> Outcome<()> {
    // whoever makes tables has the others wait, and many may start together
    let begun = Instant::now();
    loop {
        match migrator.run(pool).await.map_err(|error| migrated(place, &error)) {
            Err(StoreError::Busy { .. }) if begun.elapsed() < MOVED => {}
            done => return done,
        }
    }
}

/// A step as a database has it.
struct Made {
    version: i64,
    is_whole: bool,
    checksum: Vec<u8>,
}

/// The first step that is not made yet.
///
/// Errors: one that this version does not know, or made otherwise.
fn missing(migrator: &Migrator, found: &[Made], place: &Arc<str>) -> Outcome<Option<i64>> {
    for made in found {
        let place = || Arc::clone(place);
        let known = migrator.iter().find(|step| step.version == made.version);
        match known {
            _ if !made.is_whole => {
                return Err(StoreError::Altered { place: place(), version: made.version });
            }
            None => return Err(StoreError::Newer { place: place(), found: made.version, known: SCHEMA }),
            Some(step) if *step.checksum != *made.checksum => {
                return Err(StoreError::Altered { place: place(), version: made.version });
            }
            Some(_) => {}
        }
    }
    let is_missing = |version: &i64| found.iter().all(|made| made.version != *version);
    Ok(migrator.iter().map(|step| step.version).find(is_missing))
}

/// The steps that were made in a database that is ours; `None` where it is empty, but for what extensions have.
///
/// Errors: it holds somebody else's tables.
async fn found(pool: &sqlx::PgPool, place: &Arc<str>) -> Outcome<Option<Vec<Made>>> {
    let fault = |error: sqlx::Error| classify(place, &error);
    let tables = "SELECT COUNT(*) > 0, COUNT(CASE c.relname WHEN '_sqlx_migrations' THEN 1 END) > 0 \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'f') AND NOT EXISTS \
        (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";
    let (any, ours): (bool, bool) = sqlx::query_as(tables).fetch_one(pool).await.map_err(fault)?;
    match (any, ours) {
        (false, _) => Ok(None),
        (true, false) => Err(StoreError::Foreign { place: Arc::clone(place) }),
        (true, true) => {
            let steps =
                sqlx::query_as("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version");
            let steps: Vec<(i64, bool, Vec<u8>)> = steps.fetch_all(pool).await.map_err(fault)?;
            let made = |(version, is_whole, checksum)| Made { version, is_whole, checksum };
            Ok(Some(steps.into_iter().map(made).collect()))
        }
    }
}

/// At start, no answer in time means that nobody is there, not that somebody is busy.
fn unreachable(place: &Arc<str>, error: &sqlx::Error) -> StoreError {
    let fault = classify(place, error);
    if matches!(fault, StoreError::Busy { .. }) {
        let place = Arc::clone(place);
        return StoreError::Unavailable { place, detail: "no answer in time".to_owned() };
    }
    fault
}

fn migrated(place: &Arc<str>, error: &MigrateError) -> StoreError {
    if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
        return classify(place, error);
    }
    let place = Arc::clone(place);
    if let MigrateError::VersionMissing(found) = error {
        return StoreError::Newer { place, found: *found, known: SCHEMA };
    }
    if let MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) = error {
        return StoreError::Altered { place, version: *version };
    }
    StoreError::Refused { place, detail: error.to_string() }
}

/// An empty database for a test, in a folder of its own.
#[cfg(test)]
pub(crate) async fn scratch() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("callgate.db").display());
    let db = open(&url, Opening::Move).await.unwrap();
    (dir, db)
}
