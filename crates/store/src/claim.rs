//! One gateway per SQLite file, and one that writes each log.

use crate::Store;
use crate::db::{Db, Outcome};
use crate::error::{StoreError, classify};
use decision::Digest;
use parking_lot::Mutex;
use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How often the connection that holds a log is tried, and how long it may take to answer: so long can another have the
/// log unseen after the database has let go of it.
const TRY: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// The database ends the session of a machine that is gone within half a minute, so that its gateway can begin again
/// elsewhere.
const SESSION: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SELECT set_config(name, '15s', false) FROM pg_settings WHERE name = 'idle_session_timeout'";

/// Held for as long as a gateway serves from a store. The kernel lets go of it when the process
/// ends, however it ends; a lock file left behind means nothing by itself.
#[derive(Debug)]
pub struct Claim {
    _lock: Option<File>,
}

/// Takes the lock beside the database file. On PostgreSQL several replicas are meant to work
/// together, so there is nothing to take.
pub(crate) fn take(db: &Db) -> Outcome<Claim> {
    let Db::Sqlite { path, place, .. } = db else {
        return Ok(Claim { _lock: None });
    };
    let fault = |error: std::io::Error| StoreError::Unavailable {
        place: Arc::clone(place),
        detail: error.to_string(),
    };
    // Beside the file itself and not beside a link to it, so that every way to it leads to one lock.
    let path = fs::canonicalize(path).map_err(fault)?;
    let names = fs::metadata(&path).map_err(fault)?.nlink();
    if names > 1 {
        let detail =
            format!("the file has {names} names; with hard links two gateways cannot see each other");
        return Err(StoreError::Unavailable { place: Arc::clone(place), detail });
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(lock_of(&path)).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only to be helpful: the holder may not have written its number yet.
            let pid = (&file).take(20).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Claimed { place: Arc::clone(place), pid });
        }
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    file.set_len(0).map_err(fault)?;
    writeln!(file, "{}", std::process::id()).map_err(fault)?;
    Ok(Claim { _lock: Some(file) })
}

fn lock_of(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    PathBuf::from(beside)
}

/// Whether a gateway serves from the file that is, or was, at this path.
pub(crate) fn is_held(path: &Path) -> std::io::Result<bool> {
    match File::open(lock_of(path)) {
        Ok(lock) => match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says that this process alone writes a log. Keep it until the ledger is closed.
#[derive(Debug, Default)]
pub struct LogClaim {
    holder: Option<AbortHandle>,
}

impl Drop for LogClaim {
    fn drop(&mut self) {
        if let Some(holder) = &self.holder {
            holder.abort();
        }
    }
}

/// What the index has of the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// How often the index was emptied: whoever fills it anew does not say what it had.
    pub(crate) wiped: u64,
    pub(crate) root: Option<(u64, Digest)>,
}

/// Whether this store may go on writing its log.
#[derive(Debug, Default)]
pub(crate) struct Holding(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Why not. What has parted does not come together again.
    lost: Option<Arc<str>>,
    parted: bool,
    /// What this store left of each log that it fills.
    ends: BTreeMap<String, End>,
}

impl Holding {
    pub(crate) fn remember(&self, log: &str, end: End) {
        self.0.lock().ends.insert(log.to_owned(), end);
    }

    pub(crate) fn fits(&self, log: &str, found: End) -> bool {
        let held = self.0.lock();
        held.ends.get(log).is_none_or(|left| left.wiped != found.wiped || *left == found)
    }

    pub(crate) fn part(&self, why: &StoreError) {
        let mut held = self.0.lock();
        held.lost = Some(why.to_string().into());
        held.parted = true;
    }

    fn lose(&self, why: &str) {
        let mut held = self.0.lock();
        if !held.parted {
            held.lost = Some(why.into());
        }
    }

    fn regain(&self) {
        let mut held = self.0.lock();
        if !held.parted {
            held.lost = None;
        }
    }
}

impl Store {
    /// Takes the log for this process, for as long as the claim is kept. On PostgreSQL a connection of its own holds a
    /// lock for it; one that breaks is made anew, and until the lock is taken again [`Store::writes_log`] says no. On
    /// SQLite nobody else has the database.
    ///
    /// Errors: [`StoreError::LogClaimed`] when another process has it, and those of the database.
    pub async fn claim_log(&self, log: &str) -> Result<LogClaim, StoreError> {
        let Db::Postgres { place, pool, .. } = self.db() else { return Ok(LogClaim::default()) };
        let lock = Lock {
            place: Arc::clone(place),
            options: pool.connect_options(),
            log: log.to_owned(),
            key: key(log),
        };
        let connection = lock.take().await?;
        let holder = tokio::spawn(lock.hold(connection, self.clone()));
        Ok(LogClaim { holder: Some(holder.abort_handle()) })
    }

    /// Whether nothing is known against this process writing its log.
    ///
    /// Errors: why calls are not to be taken now.
    pub fn writes_log(&self) -> Result<(), Arc<str>> {
        self.inner.holding.0.lock().lost.clone().map_or(Ok(()), Err)
    }
}

/// The lock of a log, in whatever database.
fn key(log: &str) -> i64 {
    let digest = Digest::of(format!("callgate log {log}").as_bytes());
    digest.0.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// A log that is held by a connection.
struct Lock {
    place: Arc<str>,
    options: Arc<PgConnectOptions>,
    log: String,
    key: i64,
}

impl Lock {
    async fn take(&self) -> Outcome<PgConnection> {
        let fault = |error: sqlx::Error| classify(&self.place, &error);
        let taking = async {
            let mut connection = PgConnection::connect_with(&self.options).await.map_err(fault)?;
            connection.execute(SESSION).await.map_err(fault)?;
            let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(self.key);
            let taken: bool = taken.fetch_one(&mut connection).await.map_err(fault)?;
            let claimed = || StoreError::LogClaimed { place: Arc::clone(&self.place), log: self.log.clone() };
            if taken { Ok(connection) } else { Err(claimed()) }
        };
        let silent = || StoreError::Unavailable {
            place: Arc::clone(&self.place),
            detail: format!("no answer within {} s", ANSWER.as_secs()),
        };
        timeout(ANSWER, taking).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Tries the connection until it is dropped.
    async fn hold(self, mut connection: PgConnection, store: Store) {
        let holding = Arc::clone(&store.inner.holding);
        loop {
            let why = broken(&mut connection).await;
            let place = &self.place;
            let told = format!("the connection that holds the log at the database {place} is lost ({why})");
            holding.lose(&told);
            tracing::error!(%place, log = %self.log, %why, "the log is not held any more: no new calls until it is again");
            connection = self.again(&store).await;
            holding.regain();
            if store.writes_log().is_ok() {
                tracing::warn!(%place, log = %self.log, "the log is held again");
            }
        }
    }

    /// Until it is taken again, and nobody else wrote it meanwhile.
    async fn again(&self, store: &Store) -> PgConnection {
        loop {
            sleep(TRY).await;
            let taken = async {
                let connection = self.take().await?;
                store.is_alone(&self.log).await?;
                Ok::<_, StoreError>(connection)
            };
            match taken.await {
                Ok(connection) => return connection,
                Err(error) => {
                    store.inner.holding.lose(&error.to_string());
                    tracing::debug!(%error, "the log cannot be held yet");
                }
            }
        }
    }
}

/// Waits until the connection does not answer any more; returns why.
async fn broken(connection: &mut PgConnection) -> String {
    loop {
        sleep(TRY).await;
        match timeout(ANSWER, connection.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string().replace(['\n', '\r'], " "),
            Err(_) => return format!("no answer within {} s", ANSWER.as_secs()),
        }
    }
}
