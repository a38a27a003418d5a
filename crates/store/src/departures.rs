//! What items were shown as since somebody accepted them, instead of what was accepted. A few of each item are kept, the worst
//! first, so that no number of harmless ones pushes out what a server was caught showing.

use crate::bulk::{Bulk, Text};
use crate::db::{Arg, Outcome, Row, Tx, args, statements};
use crate::words::kind_from;
use crate::{Left, Scope, Store, StoreError, pins};
use catalog::drift::Severity;
use decision::{Digest, Item, ServerName, Timestamp};
use std::collections::BTreeMap;
use std::sync::LazyLock;

statements! {
    /// Of equally bad ones the first stay: what was seen is not pushed out by what comes after it.
    TOO_MANY = "SELECT r.kind, r.name, r.digest FROM (SELECT d.kind, d.name, d.digest, \
        ROW_NUMBER() OVER (PARTITION BY d.kind, d.name ORDER BY d.grade DESC, d.first_at, d.digest) AS place \
        FROM departures d WHERE d.tenant = $1 AND d.environment = $2 AND d.server = $3) r WHERE r.place > $4";
    FORGET_ALL = "DELETE FROM departures WHERE tenant = $1 AND environment = $2 AND server = $3";
    LIST = "SELECT kind, name, digest, grade, times, first_at, last_at, seen_by FROM departures \
        WHERE tenant = $1 AND environment = $2 AND server = $3 ORDER BY kind, name, grade DESC, first_at, digest";
}

/// Most of one item that are kept. Each keeps a definition.
pub const DEPARTURES_MAX: usize = 8;

/// One definition that was shown instead of what was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub digest: Digest,
    /// How urgent the difference was found when it was seen; critical where nobody could say.
    pub grade: Severity,
    /// How often it came, however long it stayed.
    pub times: u32,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// The user to whom it was shown last, where it was not the gateway itself.
    pub seen_by: Option<String>,
}

/// By item, the worst first.
pub type Departures = BTreeMap<Item, Vec<Departure>>;

impl Store {
    /// What the items of a server were shown as since they were accepted: at most [`DEPARTURES_MAX`] of each, the worst first
    /// and of equal ones the first.
    pub async fn departures(&self, scope: &Scope, server: &ServerName) -> Result<Departures, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        by_item(&self.db().rows(LIST, key).await?)
    }
}

/// The same, for a transaction that holds the server's row.
pub(crate) async fn read(tx: &mut Tx, scope: &Scope, server: &ServerName) -> Outcome<Departures> {
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
    by_item(&tx.rows(LIST, key).await?)
}

/// Whether one more, so bad, would be kept beside these and is not yet.
pub(crate) fn is_news(kept: &[Departure], digest: Digest, grade: Severity) -> bool {
    let has_room = kept.len() < DEPARTURES_MAX || kept.last().is_some_and(|mildest| mildest.grade < grade);
    has_room && kept.iter().all(|one| one.digest != digest)
}

static KEEP: LazyLock<Text> = LazyLock::new(|| {
    let before = "INSERT INTO departures (tenant, environment, server, kind, name, digest, grade, times, first_at, last_at, \
        seen_by) VALUES";
    let after = "ON CONFLICT (tenant, environment, server, kind, name, digest) DO UPDATE SET times = departures.times + 1, \
        last_at = excluded.last_at, seen_by = COALESCE(excluded.seen_by, departures.seen_by), \
        grade = CASE WHEN excluded.grade > departures.grade THEN excluded.grade ELSE departures.grade END";
    Text::new(11, before, after)
});

/// Told by their keys one by one, since what is planned for a table that has just grown is a scan of it for each.
static TRIM: LazyLock<Text> = LazyLock::new(|| {
    Text::new(
        6,
        "DELETE FROM departures WHERE (tenant, environment, server, kind, name, digest) IN (VALUES",
        ")",
    )
});

/// Keeps one more of each of these items, and the worst of all of them.
pub(crate) async fn keep(
    tx: &mut Tx,
    scope: &Scope,
    server: &ServerName,
    all: &[(&Item, &Left, Severity)],
) -> Outcome<()> {
    if all.is_empty() {
        return Ok(());
    }
    let mut rows = Bulk::new(&KEEP);
    for (item, left, grade) in all {
        let (at, seen_by) = (Arg::from(left.at), left.seen_by.as_deref());
        rows.row(pins::key(scope, server, item));
        rows.row([left.digest.into(), number(*grade).into(), 1_i64.into(), at.clone(), at, seen_by.into()]);
        if rows.is_full() {
            rows.write(tx).await?;
        }
    }
    rows.write(tx).await?;
    let most = i64::try_from(DEPARTURES_MAX).unwrap_or(i64::MAX);
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str(), most];
    let mut trim = Bulk::new(&TRIM);
    for row in tx.rows(TOO_MANY, key).await? {
        let item = Item { kind: row.word("kind", kind_from)?, name: row.get("name")? };
        trim.row(pins::key(scope, server, &item));
        trim.row([row.digest("digest")?.into()]);
    }
    trim.write(tx).await.map(drop)
}

/// The server is forgotten.
pub(crate) async fn forget_all(tx: &mut Tx, scope: &Scope, server: &ServerName) -> Outcome<()> {
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
    tx.execute(FORGET_ALL, key).await.map(drop)
}

/// As it is written in a column: numbers, because the worst are looked for.
fn number(grade: Severity) -> i64 {
    match grade {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

fn by_item(rows: &[Row]) -> Outcome<Departures> {
    let mut all = Departures::new();
    for row in rows {
        let item = Item { kind: row.word("kind", kind_from)?, name: row.get("name")? };
        all.entry(item).or_default().push(departure(row)?);
    }
    Ok(all)
}

fn departure(row: &Row) -> Outcome<Departure> {
    let grade = match row.get::<i64>("grade")? {
        0 => Severity::Info,
        1 => Severity::Low,
        2 => Severity::Medium,
        3 => Severity::High,
        _ => Severity::Critical,
    };
    Ok(Departure {
        digest: row.digest("digest")?,
        grade,
        times: u32::try_from(row.get::<i64>("times")?).unwrap_or(u32::MAX),
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
        seen_by: row.get("seen_by")?,
    })
}
