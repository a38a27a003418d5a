//! What every case gets: an empty store on one engine, and time and dice of its own.

use crate::postgres;
use decision::{Clock, Entropy, Environment, TenantId, Timestamp};
use sqlx::{Connection as _, Executor as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::ledger::{Ledger, Options};
use store::{Scope, Store, StoreError};

/// A clock that moves one microsecond whenever somebody looks, and further when told.
#[derive(Debug)]
pub(crate) struct Hands(AtomicU64);

impl Hands {
    pub(crate) fn advance(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Dice that never show the same twice.
#[derive(Debug)]
struct Dice(AtomicU64);

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (slot, byte) in out.iter_mut().zip(n.iter().cycle()) {
            *slot = *byte;
        }
    }
}

pub(crate) struct Bed {
    pub url: String,
    pub clock: Arc<Hands>,
    dice: Arc<Dice>,
    dir: Option<tempfile::TempDir>,
}

impl Bed {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("callgate.db").display());
        Self::new(url, Some(dir))
    }

    /// `None` when PostgreSQL is left out on purpose.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::new(postgres::schema().await?, None))
    }

    /// The files of a database that is one.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let listed = self.dir.iter().flat_map(|dir| std::fs::read_dir(dir.path()).unwrap());
        listed.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
    }

    fn new(url: String, dir: Option<tempfile::TempDir>) -> Self {
        let clock = Arc::new(Hands(AtomicU64::new(1_790_000_000_000_000)));
        Self { url, clock, dice: Arc::new(Dice(AtomicU64::new(1))), dir }
    }

    pub(crate) fn dice(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.dice) as _
    }

    pub(crate) async fn try_store(&self) -> Result<Store, StoreError> {
        Store::open(&self.url, Arc::clone(&self.clock) as _, Arc::clone(&self.dice) as _).await
    }

    /// A store on the file with this name.
    pub(crate) async fn at(&self, path: &std::path::Path) -> Store {
        let url = format!("sqlite:{}", path.display());
        Store::open(&url, Arc::clone(&self.clock) as _, Arc::clone(&self.dice) as _).await.unwrap()
    }

    pub(crate) async fn store(&self) -> Store {
        self.try_store().await.unwrap()
    }

    /// Does this to the database, whichever it is, behind the store's back.
    pub(crate) async fn execute(&self, statements: &[&'static str]) {
        for statement in statements {
            if self.url.starts_with("sqlite:") {
                let mut db = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                db.execute(*statement).await.unwrap();
            } else {
                let mut db = sqlx::PgConnection::connect(&self.url).await.unwrap();
                db.execute(*statement).await.unwrap();
            }
        }
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        if self.url.starts_with("sqlite:") {
            let mut db = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(count).fetch_one(&mut db).await.unwrap()
        } else {
            let mut db = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(count).fetch_one(&mut db).await.unwrap()
        }
    }

    /// A new ledger, in a folder of its own.
    pub(crate) fn ledger(&self) -> (tempfile::TempDir, Arc<Ledger>) {
        let dir = tempfile::tempdir().unwrap();
        let opened = Ledger::open(dir.path(), Arc::clone(&self.clock) as _, &*self.dice, Options::default());
        (dir, Arc::new(opened.unwrap().0))
    }

    /// What a restart leaves.
    pub(crate) async fn reopen(&self, store: Store) -> Store {
        store.close().await;
        self.store().await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The file of a SQLite bed.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.as_ref().unwrap().path().join("callgate.db")
    }
}

pub(crate) fn home() -> Scope {
    Scope::default()
}

pub(crate) fn elsewhere() -> [Scope; 2] {
    let other = |tenant: &str, environment: &str| {
        Scope::new(TenantId::new(tenant).unwrap(), Environment::new(environment).unwrap())
    };
    [other("default", "production"), other("acme", "local")]
}
