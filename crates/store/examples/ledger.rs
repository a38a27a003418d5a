//! Measures what ADR 0003 rests on: entries a second, and time per entry, of the ledger's files
//! against rows in SQLite (write-ahead log, `synchronous=FULL`), both with group commit.
//!
//! ```text
//! cargo run --release -p callgate-store --example ledger            # under ten seconds
//! cargo run --release -p callgate-store --example ledger 100000     # opens, exports and verifies that many
//! ```
//!
//! The first argument may be followed by a folder on the disk to measure.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement prints, reads real clocks, and fails loudly"
)]

extern crate callgate_store as store;

use decision::{Clock, Digest, Entropy, Timestamp};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use store::ledger::{Disclose, Ledger, Options, Record, export, merkle, verify};
use tokio::sync::{mpsc, oneshot};

/// About what an intent or a decision of a real call takes.
const ENTRY_BYTES: usize = 900;
const RUN: Duration = Duration::from_millis(1200);

#[derive(Debug)]
struct Wall;
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or_default())
    }
}

#[derive(Debug)]
struct Os;
impl Entropy for Os {
    fn fill(&self, out: &mut [u8]) {
        aws_lc_rs::rand::fill(out).unwrap();
    }
}

fn entry(n: u64) -> Vec<u8> {
    let mut text = format!("{{\"kind\":\"event\",\"n\":{n},\"pad\":\"");
    while text.len() < ENTRY_BYTES - 2 {
        text.push('x');
    }
    text.push_str("\"}");
    text.into_bytes()
}

/// Processor time of this process, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

struct Measured {
    entries: u64,
    wall: Duration,
    cpu: Duration,
    groups: u64,
}

fn print(name: &str, appenders: u64, run: &Measured) {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / run.entries.max(1) as f64;
    println!(
        "{name:<7} {appenders:>3} appenders {:>8.0} entries/s  {:>7.1} us wall  {:>6.1} us cpu  {:>5.1} entries/group",
        run.entries as f64 / run.wall.as_secs_f64(),
        per(run.wall),
        per(run.cpu),
        run.entries as f64 / run.groups.max(1) as f64,
    );
}

/// Runs `append` in a loop in many tasks for a while and counts.
async fn load<F, W>(appenders: u64, append: F) -> Measured
where
    F: Fn(u64) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let (started, before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..appenders)
        .map(|task| {
            let append = append.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while started.elapsed() < RUN {
                    append(task << 32 | done).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut entries = 0;
    for task in tasks {
        entries += task.await.unwrap();
    }
    Measured { entries, wall: started.elapsed(), cpu: cpu().saturating_sub(before), groups: 0 }
}

async fn files(dir: &Path, appenders: u64) -> Measured {
    let (ledger, _) = Ledger::open(dir, Arc::new(Wall), &Os, Options::default()).unwrap();
    let ledger = Arc::new(ledger);
    let appending = Arc::clone(&ledger);
    let run = load(appenders, move |n| {
        let ledger = Arc::clone(&appending);
        async move {
            ledger.append(vec![Record::raw(entry(n), Vec::new())]).await.unwrap();
        }
    })
    .await;
    Measured { groups: ledger.stats().groups, ..run }
}

type Row = (Vec<u8>, Digest, oneshot::Sender<()>);

/// One connection that commits whatever waits, as the ledger's writer does.
async fn rows_writer(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Row>) -> u64 {
    let (mut index, mut groups, mut waiting) = (0_i64, 0, Vec::new());
    while queue.recv_many(&mut waiting, 4096).await > 0 {
        let mut transaction = connection.begin().await.unwrap();
        for (bytes, leaf, _) in &waiting {
            sqlx::query("INSERT INTO entries (idx, leaf, bytes) VALUES ($1, $2, $3)")
                .bind(index)
                .bind(leaf.0.as_slice())
                .bind(bytes.as_slice())
                .execute(&mut *transaction)
                .await
                .unwrap();
            index += 1;
        }
        transaction.commit().await.unwrap();
        groups += 1;
        for (_, _, answer) in waiting.drain(..) {
            let _ = answer.send(());
        }
    }
    groups
}

async fn rows(dir: &Path, appenders: u64) -> Measured {
    std::fs::create_dir_all(dir).unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.join("rows.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, bytes BLOB NOT NULL)")
        .execute(&mut connection)
        .await
        .unwrap();
    let (sender, queue) = mpsc::channel(4096);
    let writer = tokio::spawn(rows_writer(connection, queue));
    let run = load(appenders, move |n| {
        let sender = sender.clone();
        async move {
            let bytes = entry(n);
            let leaf = merkle::leaf(&bytes);
            let (answer, done) = oneshot::channel();
            sender.send((bytes, leaf, answer)).await.unwrap();
            done.await.unwrap();
        }
    })
    .await;
    Measured { groups: writer.await.unwrap(), ..run }
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (started, before) = (Instant::now(), cpu());
    let value = run();
    println!(
        "{what:<14} {:>6.2} s wall {:>6.2} s cpu",
        started.elapsed().as_secs_f64(),
        (cpu() - before).as_secs_f64()
    );
    value
}

/// Opens, exports and verifies a log of many entries.
async fn large(dir: &Path, entries: u64) {
    let live = dir.join("live");
    let (ledger, _) = Ledger::open(&live, Arc::new(Wall), &Os, Options::default()).unwrap();
    for start in (0..entries).step_by(1000) {
        let records = (start..entries.min(start + 1000)).map(|n| Record::raw(entry(n), Vec::new()));
        ledger.append(records.collect()).await.unwrap();
    }
    ledger.close().await.unwrap();
    drop(ledger);
    let (ledger, _) = timed("open", || Ledger::open(&live, Arc::new(Wall), &Os, Options::default()).unwrap());
    assert_eq!(ledger.size(), entries);
    drop(ledger);
    assert!(timed("verify live", || verify(&live, None, None).unwrap()).holds());
    timed("export", || export(&live, &dir.join("out"), Disclose::Kept).unwrap());
    assert!(timed("verify export", || verify(&dir.join("out"), None, None).unwrap()).holds());
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries: Option<u64> = arguments.next().and_then(|argument| argument.parse().ok());
    let place = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(place).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "{} build, entries of {ENTRY_BYTES} bytes",
        if cfg!(debug_assertions) { "debug" } else { "release" }
    );
    runtime.block_on(async {
        if let Some(entries) = entries {
            return large(dir.path(), entries).await;
        }
        for appenders in [1, 8, 64] {
            print("files", appenders, &files(&dir.path().join(format!("f{appenders}")), appenders).await);
            print("rows", appenders, &rows(&dir.path().join(format!("r{appenders}")), appenders).await);
        }
    });
}
