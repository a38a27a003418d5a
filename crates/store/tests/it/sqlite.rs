//! What is particular to a file.

use crate::bed::{Bed, home};
use crate::pins::sighting;
use crate::tokens::{agent, hash, in_an_hour};
use decision::Digest;
use sqlx::{Connection as _, Executor as _};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use store::{NewToken, PinState, StoreError};

#[tokio::test]
async fn the_file_and_its_companions_are_for_the_owner_only() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let _claim = store.claim().unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let mut files = 0;
    for file in fs::read_dir(bed.file().parent().unwrap()).unwrap().flatten() {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert_eq!(files, 4, "database, write-ahead log, its index, lock");
    store.close().await;
    fs::set_permissions(bed.file(), fs::Permissions::from_mode(0o644)).unwrap();
    bed.store().await;
    assert_eq!(fs::metadata(bed.file()).unwrap().permissions().mode() & 0o777, 0o600, "and is made so again");
}

#[tokio::test]
async fn a_commit_survives_loss_of_power() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut db).await.unwrap();
    assert_eq!(mode, "wal");
    drop(store);
    let settings = include_str!("../../src/open.rs");
    assert!(settings.contains("SqliteSynchronous::Full"), "with less, SQLite does not flush each commit");
}

#[tokio::test]
async fn a_second_gateway_refuses_and_says_who_is_first() {
    let bed = Bed::sqlite();
    let (first, second) = (bed.store().await, bed.store().await);
    let claim = first.claim().unwrap();
    let refused = second.claim().unwrap_err().to_string();
    let expected = format!("another gateway (process {}) is using the database", std::process::id());
    assert!(refused.starts_with(&expected), "{refused}");
    // A command of the same user may still work with the store while the gateway serves.
    second.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    drop(claim);
    let _again = second.claim().unwrap();
    assert!(matches!(first.claim(), Err(StoreError::Claimed { .. })));
}

#[tokio::test]
async fn a_second_gateway_refuses_by_whatever_name_it_comes() {
    let bed = Bed::sqlite();
    let first = bed.store().await;
    let claim = first.claim().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (link, folder) = (elsewhere.path().join("link.db"), elsewhere.path().join("folder"));
    std::os::unix::fs::symlink(bed.file(), &link).unwrap();
    std::os::unix::fs::symlink(bed.file().parent().unwrap(), &folder).unwrap();
    let name = bed.file().file_name().unwrap().to_owned();
    let roundabout = bed.file().parent().unwrap().join(".").join(&name);
    for path in [link, folder.join(&name), roundabout] {
        let second = bed.at(&path).await;
        assert!(matches!(second.claim(), Err(StoreError::Claimed { pid: Some(_), .. })), "{path:?}");
        // by another name there is another log beside the file: what is in this one must be in the file by then
        second.close().await;
    }
    drop(claim);
    first.close().await;
    let hard = bed.file().with_extension("hard");
    fs::hard_link(bed.file(), &hard).unwrap();
    let refused = bed.at(&hard).await.claim().unwrap_err().to_string();
    assert!(refused.contains("2 names"), "{refused}");
}

#[tokio::test]
async fn what_is_not_a_database_is_left_alone() {
    let text = b"dear diary, this is not a database at all, not even close to being one.".repeat(40);
    let bed = Bed::sqlite();
    fs::write(bed.file(), &text).unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(fs::read(bed.file()).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let bed = Bed::sqlite();
    let mut db = sqlx::SqliteConnection::connect(&format!("{}?mode=rwc", bed.url)).await.unwrap();
    db.execute("CREATE TABLE bookmarks (url TEXT)").await.unwrap();
    db.close().await.unwrap();
    let before = fs::read(bed.file()).unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(bed.file()).unwrap(), before);
}

#[tokio::test]
async fn a_database_into_which_somebody_put_a_trigger_or_a_view_is_refused() {
    let bed = Bed::sqlite();
    bed.store().await.close().await;
    for (kind, put) in [
        ("trigger", "CREATE TRIGGER odd AFTER INSERT ON untold BEGIN DELETE FROM untold; END"),
        ("view", "CREATE VIEW odd AS SELECT 1"),
    ] {
        let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
        db.execute(put).await.unwrap();
        let error = bed.try_store().await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Planted { kind: found, name, .. } if found == kind && name == "odd"),
            "{error:?}"
        );
        let drop = if kind == "view" { "DROP VIEW odd" } else { "DROP TRIGGER odd" };
        db.execute(drop).await.unwrap();
        db.close().await.unwrap();
        bed.store().await.close().await;
    }
}

/// Put there while the store is open, when nobody looks for it.
#[tokio::test]
async fn a_revocation_that_a_trigger_undoes_is_no_revocation() {
    for put in [
        "CREATE TRIGGER odd AFTER UPDATE OF revoked_at ON tokens BEGIN \
            UPDATE tokens SET revoked_at = NULL WHERE token_id = NEW.token_id; END",
        "CREATE TRIGGER odd AFTER INSERT ON untold BEGIN DELETE FROM untold; END",
    ] {
        let bed = Bed::sqlite();
        let store = bed.store().await;
        store.add_agent(&home(), &agent("bot"), "ada").await.unwrap();
        let name = decision::AgentName::new("bot").unwrap();
        let new = store::NewToken { agent: name.clone(), hash: hash(1), expires_at: in_an_hour(&bed) };
        let id = store.add_token(&home(), &new, "ops").await.unwrap();
        let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
        db.execute(put).await.unwrap();
        let undone = |error: StoreError| assert!(matches!(error, StoreError::Undone { .. }), "{error:?}");
        undone(store.revoke_tokens(&home(), &name, "ops").await.unwrap_err());
        undone(store.revoke_token(&home(), &id, "ops").await.unwrap_err());
        undone(store.remove_agent(&home(), &name, "ops").await.unwrap_err());
        db.execute("DROP TRIGGER odd").await.unwrap();
        db.close().await.unwrap();
        assert_eq!(store.revoke_tokens(&home(), &name, "ops").await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_damaged_database_is_called_damaged() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    for n in 0..50 {
        store.add_agent(&home(), &agent(&format!("bot-{n}")), "ops").await.unwrap();
    }
    store.close().await;
    let mut file = fs::OpenOptions::new().write(true).open(bed.file()).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(std::io::SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 4096]).unwrap();
    let error = match bed.try_store().await {
        Ok(store) => store.list_agents(&home()).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[tokio::test]
async fn a_newer_or_altered_schema_is_refused_on_sqlite() {
    let bed = Bed::sqlite();
    bed.store().await.close().await;
    let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (18, 'later', true, x'00', 0)";
    db.execute(newer).await.unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 18, known: 17, .. }), "{error}");
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 18").await.unwrap();
    db.execute("UPDATE _sqlx_migrations SET checksum = x'00'").await.unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Altered { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_says_why() {
    let mut bed = Bed::sqlite();
    bed.url = "sqlite:/nowhere/at/all/callgate.db".to_owned();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    let bed = Bed::sqlite();
    fs::create_dir(bed.file()).unwrap();
    let error = bed.try_store().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_lock_held_by_somebody_else_is_an_error_and_not_a_wait_for_ever() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
    db.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.add_agent(&home(), &agent("bot"), "ops").await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert!(store.list_agents(&home()).await.unwrap().is_empty(), "reading does not wait");
    db.execute("ROLLBACK").await.unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn many_processes_may_open_a_new_file_at_once() {
    for _round in 0..10 {
        let bed = Arc::new(Bed::sqlite());
        let openers: Vec<_> = (0..12)
            .map(|_| {
                let bed = Arc::clone(&bed);
                tokio::spawn(async move { bed.try_store().await })
            })
            .collect();
        for opener in openers {
            opener.await.unwrap().unwrap().add_agent(&home(), &agent("bot"), "ops").await.ok();
        }
        assert_eq!(bed.store().await.list_agents(&home()).await.unwrap().len(), 1);
    }
}

/// Set for the child of the test below; it holds the address to write to.
const CHILD: &str = "CALLGATE_TEST_CRASH_URL";

/// Writes until it is killed, and says after each commit what is now durable.
#[tokio::test]
#[ignore = "only as the child of a_killed_writer_loses_nothing_it_had_reported"]
async fn crash_child() {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its own child what to do")]
    let Ok(url) = std::env::var(CHILD) else { return };
    let mut bed = Bed::sqlite();
    bed.url = url;
    let store = bed.store().await;
    let _claim = store.claim().unwrap();
    let mut out = std::io::stdout();
    for n in 0..u32::MAX {
        store.add_agent(&home(), &agent(&format!("bot-{n}")), "ops").await.unwrap();
        let raw = n.to_string();
        store
            .record_seen(&store.own_writer(), &home(), &sighting(&[("a", raw.as_str()), ("b", raw.as_str())]))
            .await
            .unwrap();
        writeln!(out, "durable {n}").unwrap();
    }
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_had_reported() {
    for delay in [3, 11, 26] {
        let bed = Bed::sqlite();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sqlite::crash_child", "--ignored", "--nocapture"]).env(CHILD, &bed.url);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        while last.is_none_or(|last| last < delay) {
            let line = lines.next().unwrap().unwrap();
            last = line.rsplit_once("durable ").and_then(|(_, n)| n.parse::<usize>().ok()).or(last);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        lines.for_each(|line| rest.push_str(&line.unwrap()));

        let store = bed.store().await;
        let _claim = store.claim().unwrap();
        let agents = store.list_agents(&home()).await.unwrap();
        assert!(agents.len() > last.unwrap(), "{} of {last:?}", agents.len());
        let pins = store.pins(&home(), &"crm".parse().unwrap()).await.unwrap();
        assert_eq!(pins[0].seen, pins[1].seen, "a sighting is whole or not at all");
        assert!(store.definition(&home(), &pins[0].seen).await.unwrap().is_some());
        let changes = store.revision().await.unwrap().0;
        let wanted = agents.len() as u64 * 2;
        assert!(changes == wanted || changes + 1 == wanted, "{changes} of {wanted}");
        let mut db = sqlx::SqliteConnection::connect(&bed.url).await.unwrap();
        let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut db).await.unwrap();
        assert_eq!(whole, "ok");
    }
}

#[tokio::test]
async fn a_dropped_future_leaves_nothing_half_done() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    for n in 0..60u8 {
        let token = NewToken { agent: "bot".parse().unwrap(), hash: hash(n), expires_at: in_an_hour(&bed) };
        let scope = home();
        let adding = store.add_token(&scope, &token, "ops");
        // Polled a few times and then dropped, as when a client hangs up.
        let mut adding = Box::pin(adding);
        for _ in 0..n / 4 {
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(adding.as_mut().poll(context).is_ready())
            });
            if once.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // There is one writer: when this is done, so is whatever was still on its way.
    store.add_agent(&home(), &agent("last"), "ops").await.unwrap();
    let revision = store.revision().await.unwrap().0;
    let tokens = store.list_tokens(&home()).await.unwrap().len() as u64;
    assert_eq!(revision, 2 + tokens, "a token is counted exactly when it is there");
    let store = bed.reopen(store).await;
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 2, "and the writer was not left in between");
}

#[tokio::test]
async fn a_database_of_the_first_schema_keeps_its_secrets_and_its_pins() {
    use sqlx::SqlSafeStr as _;
    use sqlx::migrate::{Migration, MigrationType, Migrator};
    let bed = Bed::sqlite();
    let first = include_str!("../../migrations/sqlite/0001_first.sql").into_sql_str();
    let first = Migration::new(1, "first".into(), MigrationType::Simple, first, false);
    let url = format!("{}?mode=rwc", bed.url);
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    Migrator::with_migrations(vec![first]).run_direct(None, &mut db, false).await.unwrap();
    let row = "INSERT INTO secrets VALUES ('default', 'local', 'github', '', NULL, 4, x'0102', 1, 2, NULL)";
    db.execute(row).await.unwrap();
    let (one, other) = (Digest::of(b"a1"), Digest::of(b"a2"));
    let hex = |digest: Digest| digest.to_string().replace("sha256:", "");
    let pins = format!(
        "INSERT INTO pins VALUES ('default', 'local', 'crm', 'tool', 'a', 'changed', x'{one}', 1, 'ann', x'{other}', 2, \
            NULL, NULL, NULL), ('default', 'local', 'crm', 'tool', 'b', 'approved', x'{one}', 1, 'ann', x'{one}', 2, \
            x'{other}', 3, 'bob')",
        one = hex(one),
        other = hex(other),
    );
    sqlx::query(sqlx::AssertSqlSafe(pins)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let store = bed.store().await;
    let pins = store.pins(&home(), &"crm".parse().unwrap()).await.unwrap();
    let left = pins[0].left.clone().unwrap();
    assert_eq!((pins[0].state, left.times, left.digest, left.held), (PinState::Changed, 1, other, false));
    let crm = "crm".parse().unwrap();
    let kept = store.departures(&home(), &crm).await.unwrap().remove(&pins[0].item).unwrap();
    assert_eq!((kept.len(), kept[0].digest, kept[0].times), (1, other, 1));
    assert_eq!((pins[1].state, &pins[1].left), (PinState::Approved, &None));
    assert_eq!(pins[1].rejected.as_ref().map(|mark| mark.by.as_str()), Some("bob"));
    let listed = store.list_secrets(&home()).await.unwrap();
    assert_eq!((listed.len(), listed[0].version, listed[0].rotate_by), (1, 4, None));
    let server = "any".parse().unwrap();
    let found = store.sealed_secret(&home(), &"github".parse().unwrap(), &server, None).await.unwrap();
    assert_eq!(found.unwrap().sealed.0, [1, 2]);
}

#[tokio::test]
async fn a_removed_sealed_value_is_wiped_from_the_file() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let needle = b"sealed-needle-sealed-needle-sealed-needle";
    let name: decision::SecretName = "github".parse().unwrap();
    let sealed = store::Sealed(needle.to_vec());
    let secret = store::NewSecret {
        name: name.clone(),
        user: None,
        server: None,
        version: 1,
        sealed,
        expires_at: None,
        rotate_by: None,
    };
    store.put_secret(&home(), &secret, "ops").await.unwrap();
    // a replaced value too, and not only the last one
    let second = store::NewSecret { version: 2, sealed: store::Sealed(b"another".to_vec()), ..secret };
    store.put_secret(&home(), &second, "ops").await.unwrap();
    let store = bed.reopen(store).await;
    let holds = || {
        let mut bytes = Vec::new();
        fs::File::open(bed.file()).unwrap().read_to_end(&mut bytes).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    assert!(holds(), "the test can see it");
    store.remove_secret(&home(), &name, None, "ops").await.unwrap();
    store.close().await;
    assert!(!holds());
}

#[tokio::test]
async fn a_file_that_is_moved_or_replaced_while_it_is_open_is_noticed() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    store.in_place().unwrap();
    let (path, aside) = (bed.file(), bed.file().with_extension("aside"));
    fs::rename(&path, &aside).unwrap();
    assert!(matches!(store.in_place(), Err(StoreError::Replaced { .. })));
    fs::copy(&aside, &path).unwrap();
    assert!(matches!(store.in_place(), Err(StoreError::Replaced { .. })), "the same bytes are another file");
    fs::rename(&aside, &path).unwrap();
    store.in_place().unwrap();
}

fn beside(path: &std::path::Path, end: &str) -> std::path::PathBuf {
    path.with_file_name(format!("{}{end}", path.file_name().unwrap().display()))
}

/// Whoever opens the database beside another log or another index of it has another database.
#[tokio::test]
async fn a_log_or_its_index_that_is_moved_replaced_or_removed_is_noticed() {
    for end in ["-wal", "-shm"] {
        let bed = Bed::sqlite();
        let store = bed.store().await;
        store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
        let (path, aside) = (beside(&bed.file(), end), beside(&bed.file(), ".aside"));
        let replaced = || {
            let found = store.in_place().unwrap_err();
            assert!(found.to_string().contains(&format!("callgate.db{end}`")), "{found}");
        };
        store.in_place().unwrap();
        fs::rename(&path, &aside).unwrap();
        replaced();
        let refused = store.add_agent(&home(), &agent("late"), "ops").await.unwrap_err();
        assert!(matches!(refused, StoreError::Replaced { .. }), "nobody else would find it: {refused}");
        fs::copy(&aside, &path).unwrap();
        replaced();
        fs::rename(&aside, &path).unwrap();
        store.in_place().unwrap();
        store.add_agent(&home(), &agent("late"), "ops").await.unwrap();
        fs::remove_file(&path).unwrap();
        replaced();
        // what it had is in the file once it is closed
        let store = bed.reopen(store).await;
        assert_eq!(store.list_agents(&home()).await.unwrap().len(), 2, "{end}");
        store.in_place().unwrap();
    }
}

/// By whatever path it is opened: SQLite has them beside the file itself.
#[tokio::test]
async fn what_others_do_with_a_database_leaves_its_files_in_their_place() {
    let bed = Bed::sqlite();
    let link = bed.file().with_file_name("link.db");
    std::os::unix::fs::symlink(bed.file(), &link).unwrap();
    bed.store().await.close().await;
    let store = bed.at(&link).await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    for what in ["PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(RESTART)"] {
        bed.execute(&[what]).await;
        store.in_place().unwrap();
    }
    let other = bed.store().await;
    other.add_agent(&home(), &agent("other"), "ops").await.unwrap();
    other.close().await;
    store.in_place().unwrap();
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn no_database_is_begun_in_the_place_of_one_whose_log_is_there_or_whose_gateway_runs() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let claim = store.claim().unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let (path, aside) = (bed.file(), beside(&bed.file(), ".aside"));
    fs::rename(&path, &aside).unwrap();
    let away = async |because: &str| {
        let refused = bed.try_store().await.unwrap_err();
        assert!(matches!(refused, StoreError::Away { .. }), "{refused}");
        assert!(refused.to_string().contains(because), "{refused}");
        assert!(!path.exists());
    };
    away("a gateway that works with it").await;
    drop(claim);
    away("callgate.db-wal`").await;
    fs::rename(&aside, &path).unwrap();
    let store = bed.reopen(store).await;
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 1);
    store.close().await;
    fs::rename(&path, &aside).unwrap();
    assert!(bed.store().await.list_agents(&home()).await.unwrap().is_empty(), "nothing of it is left");
}
