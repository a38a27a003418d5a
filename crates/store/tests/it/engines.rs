//! Two engines, one schema, one text.

use crate::bed::{Bed, home};
use crate::postgres;
use crate::tokens::agent;
use sqlx::{Connection as _, Executor as _, Row as _, SqlSafeStr as _};
use std::collections::BTreeMap;
use store::{Store, StoreError};

/// Table, then columns as (name, type, may be empty) in order.
type Schema = BTreeMap<String, Vec<(String, String, bool)>>;

async fn of_sqlite(bed: &Bed) -> (Schema, Vec<String>) {
    let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
    let columns = "SELECT t.name AS t, c.name AS c, c.type AS k, c.\"notnull\" = 0 AND c.pk = 0 AS n \
        FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' \
        AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.cid";
    let mut schema = Schema::new();
    for row in db.fetch_all(columns).await.unwrap() {
        let kind = match row.get::<&str, _>("k") {
            "INTEGER" => "number",
            "TEXT" => "text",
            "BLOB" => "bytes",
            other => other,
        };
        let column = (row.get("c"), kind.to_owned(), row.get::<i64, _>("n") != 0);
        schema.entry(row.get("t")).or_default().push(column);
    }
    let indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
    let indexes = db.fetch_all(indexes).await.unwrap().iter().map(|row| row.get("name")).collect();
    (schema, indexes)
}

async fn of_postgres(bed: &Bed) -> (Schema, Vec<String>) {
    let mut db = sqlx::PgConnection::connect(&bed.url).await.unwrap();
    let columns = "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS k, \
        is_nullable::text = 'YES' AS n FROM information_schema.columns WHERE table_schema = current_schema() \
        AND table_name NOT LIKE '\\_sqlx%' ORDER BY table_name, ordinal_position";
    let mut schema = Schema::new();
    for row in db.fetch_all(columns).await.unwrap() {
        let kind = match row.get::<&str, _>("k") {
            "bigint" => "number",
            "text" => "text",
            "bytea" => "bytes",
            other => other,
        };
        schema.entry(row.get("t")).or_default().push((row.get("c"), kind.to_owned(), row.get("n")));
    }
    let indexes = "SELECT i.indexname::text AS name FROM pg_indexes i WHERE i.schemaname = current_schema() \
        AND i.tablename NOT LIKE '\\_sqlx%' AND NOT EXISTS (SELECT 1 FROM pg_constraint c \
        WHERE c.conname = i.indexname) ORDER BY i.indexname";
    let indexes = db.fetch_all(indexes).await.unwrap().iter().map(|row| row.get("name")).collect();
    (schema, indexes)
}

#[tokio::test]
async fn both_engines_end_in_the_same_logical_schema() {
    let Some(there) = Bed::postgres().await else { return };
    let here = Bed::sqlite();
    here.store().await.close().await;
    there.store().await.close().await;
    let (sqlite, postgres) = (of_sqlite(&here).await, of_postgres(&there).await);
    assert_eq!(sqlite.0, postgres.0);
    assert_eq!(sqlite.1, postgres.1);
    assert_eq!(sqlite.0.len(), 31, "tables");
    for (table, columns) in &sqlite.0 {
        // rows that there are many of say both in one number
        if ["calls", "interactions"].contains(&table.as_str()) {
            assert!(columns.iter().any(|column| column.0 == "scope"), "`{table}` has no `scope`");
            continue;
        }
        for wanted in ["tenant", "environment"] {
            let wanted = (wanted.to_owned(), "text".to_owned(), false);
            assert!(columns.contains(&wanted), "`{table}` has no `{}`", wanted.0);
        }
    }
    let recorded: Vec<&str> = sqlite.0["calls"].iter().map(|column| column.0.as_str()).collect();
    for wanted in ["call_high", "call_low", "deed_high", "deed_low", "leg", "interaction", "scope", "shown"] {
        assert!(recorded.contains(&wanted), "{wanted}");
    }
}

#[tokio::test]
async fn every_statement_means_something_to_both_engines() {
    let Some(there) = Bed::postgres().await else { return };
    let here = Bed::sqlite();
    here.store().await.close().await;
    there.store().await.close().await;
    let mut sqlite = sqlx::SqliteConnection::connect(&here.url).await.unwrap();
    let mut postgres = sqlx::PgConnection::connect(&there.url).await.unwrap();
    let statements = Store::statements();
    assert!(statements.len() > 40);
    for (file, name, text) in statements {
        let left = sqlite.prepare(text.into_sql_str()).await;
        let right = postgres.prepare(text.into_sql_str()).await;
        let columns = (
            sqlx::Statement::columns(
                &left.unwrap_or_else(|error| panic!("{file}::{name} on SQLite: {error}")),
            )
            .len(),
            sqlx::Statement::columns(
                &right.unwrap_or_else(|error| panic!("{file}::{name} on PostgreSQL: {error}")),
            )
            .len(),
        );
        assert_eq!(columns.0, columns.1, "{file}::{name}");
    }
}

/// A file with statements that is not in the list would escape the test above.
#[test]
fn every_file_with_statements_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().is_file()) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        if text.lines().any(|line| line == "statements! {") {
            files.push(file.path().file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    files.sort();
    let mut listed: Vec<_> = Store::statements().iter().map(|(file, _, _)| (*file).to_owned()).collect();
    listed.sort();
    listed.dedup();
    assert_eq!(listed, files);
}

#[tokio::test]
async fn an_address_that_leads_nowhere_says_so_without_its_password() {
    let Some(url) = postgres::schema().await else { return };
    let socket = url.split_once("host=").unwrap().1.split('&').next().unwrap();
    let missing = format!("postgres://gw:hunter2@localhost/nowhere?host={socket}");
    let nobody = "postgres://gw:hunter2@127.0.0.1:1/gw".to_owned();
    for url in [missing, nobody] {
        let mut bed = Bed::sqlite();
        bed.url = url;
        let error = bed.try_store().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    for url in ["", "mysql://a/b", "sqlite:", "sqlite::memory:", "postgres://gw:hunter2@[/x", "callgate.db"] {
        let mut bed = Bed::sqlite();
        bed.url = url.to_owned();
        let error = bed.try_store().await.unwrap_err();
        assert!(matches!(error, StoreError::Address { .. }), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_newer_or_altered_schema_is_refused_on_postgresql() {
    let Some(bed) = Bed::postgres().await else { return };
    bed.store().await.close().await;
    let mut db = sqlx::PgConnection::connect(&bed.url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (18, 'later', true, 'x'::bytea, 0)";
    db.execute(newer).await.unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 18, known: 17, .. }), "{error}");
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 18").await.unwrap();
    db.execute("UPDATE _sqlx_migrations SET checksum = 'x'::bytea").await.unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Altered { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn replicas_share_postgresql_and_start_together() {
    let Some(bed) = Bed::postgres().await else { return };
    let (one, two, three) = tokio::join!(bed.store(), bed.store(), bed.store());
    let claims = [one.claim(), two.claim(), three.claim()];
    assert!(claims.iter().all(Result::is_ok), "replicas work together");
}

#[tokio::test]
async fn a_change_is_told_to_other_replicas_when_it_is_durable() {
    let Some(bed) = Bed::postgres().await else { return };
    let store = bed.store().await;
    let mut listener = sqlx::postgres::PgListener::connect(&bed.url).await.unwrap();
    listener.listen("callgate_revision").await.unwrap();
    let before = store.revision().await.unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let told = tokio::time::timeout(std::time::Duration::from_secs(5), listener.recv()).await;
    assert_eq!(told.unwrap().unwrap().channel(), "callgate_revision");
    assert_ne!(store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn a_store_outlives_the_loss_of_every_connection() {
    let Some((url, watch)) = postgres::database("severed").await else { return };
    let mut bed = Bed::sqlite();
    // A database of its own has no schema of that name yet; the usual one will do.
    bed.url = url.split("&options").next().unwrap().to_owned();
    let store = bed.store().await;
    store.add_agent(&home(), &agent("before"), "ops").await.unwrap();
    let mut db = sqlx::PgConnection::connect(&watch).await.unwrap();
    let sever = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'severed'";
    for round in 0..3 {
        assert!(!db.fetch_all(sever).await.unwrap().is_empty(), "there is something to sever");
        let since = store.revision().await.unwrap();
        store.add_agent(&home(), &agent(&format!("after-{round}")), "ops").await.unwrap();
        assert_ne!(store.revision().await.unwrap(), since);
    }
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 4);
}

/// Carries a connection on to PostgreSQL's socket until `stalled`: from then on the line is open and nothing comes over it.
fn stall(socket: std::path::PathBuf, stalled: tokio::sync::watch::Receiver<bool>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (socket, mut stalled) = (socket.clone(), stalled.clone());
            tokio::spawn(async move {
                let mut far = tokio::net::UnixStream::connect(&socket).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = async { drop(stalled.wait_for(|stalled| *stalled).await) } => {
                        std::future::pending().await
                    }
                }
            });
        }
    });
    dir
}

#[tokio::test]
async fn a_database_that_holds_the_line_and_says_nothing_is_as_good_as_gone() {
    let Some(mut bed) = Bed::postgres().await else { return };
    let dir = bed.url.split("host=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let (stalls, stalled) = tokio::sync::watch::channel(false);
    let near = stall(std::path::Path::new(&dir).join(".s.PGSQL.5432"), stalled);
    bed.url = bed.url.replace(&dir, near.path().to_str().unwrap());
    let store = bed.store().await;
    let since = store.revision().await.unwrap();
    let short = std::time::Duration::from_millis(10);
    assert_eq!(store.changed(since, short).await.unwrap(), since);
    stalls.send(true).unwrap();
    let asked = tokio::time::Instant::now();
    let error = store.changed(since, short).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{:?}", asked.elapsed());
}

/// What an earlier version had indexed is made anew, and how much there was is not forgotten.
async fn made_anew(bed: &Bed, before: &[&'static str]) {
    const LOG: &str = "callgate/0/ledger";
    bed.store().await.close().await;
    let now = [
        "DROP TABLE calls",
        "DROP TABLE circumstances",
        "DROP TABLE interactions",
        "DROP TABLE other_entries",
        "DROP TABLE scopes",
        "DROP TABLE approvals",
        "DROP TABLE delegations",
        "DROP TABLE budget_subjects",
        "DROP TABLE budget_uses",
        "DROP TABLE budget_reservations",
        "DROP TABLE drafts",
        "DROP TABLE deliveries",
        "DROP TABLE callbacks",
        "DROP TABLE twins",
        "DROP TABLE server_records",
        "DROP TABLE server_steps",
        "DROP TABLE observations",
        "DROP TABLE untold",
        "DROP TABLE departures",
        "DROP TABLE gateways",
        "ALTER TABLE agents DROP COLUMN removed_at",
        "CREATE TABLE entries (log_id TEXT NOT NULL)",
    ];
    bed.execute(&now).await;
    bed.execute(before).await;
    let store = bed.store().await;
    assert_eq!(store.indexed_up_to(LOG).await.unwrap(), 0);
    assert_eq!(store.known_entries(LOG).await.unwrap(), 42, "a log with fewer has lost its end");
    store.wipe_index(LOG).await.unwrap();
    assert_eq!(store.known_entries(LOG).await.unwrap(), 0, "the loss was accepted");
    store.close().await;
}

#[tokio::test]
async fn an_index_of_an_earlier_version_is_made_anew() {
    let second = [
        "DROP TABLE indexed",
        "CREATE TABLE indexed (tenant TEXT NOT NULL, environment TEXT NOT NULL, log_id TEXT NOT NULL, \
            up_to BIGINT NOT NULL, PRIMARY KEY (log_id))",
        "INSERT INTO indexed VALUES ('*', '*', 'callgate/0/ledger', 42)",
        "DELETE FROM _sqlx_migrations WHERE version >= 3",
    ];
    let third = [
        "ALTER TABLE indexed DROP COLUMN root_at",
        "ALTER TABLE indexed DROP COLUMN root",
        "ALTER TABLE indexed DROP COLUMN wiped",
        "INSERT INTO indexed (tenant, environment, log_id, up_to, known) \
            VALUES ('*', '*', 'callgate/0/ledger', 42, 7)",
        "DELETE FROM _sqlx_migrations WHERE version >= 4",
    ];
    for before in [&second[..], &third] {
        made_anew(&Bed::sqlite(), before).await;
        if let Some(bed) = Bed::postgres().await {
            made_anew(&bed, before).await;
        }
    }
}
