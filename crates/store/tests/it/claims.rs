//! One writer per log, on PostgreSQL.

use crate::bed::Bed;
use decision::{Digest, Entry, Environment, Event, EventName, TenantId, Timestamp};
use sqlx::{Connection as _, Executor as _};
use std::time::Duration;
use store::{Store, StoreError};

/// What a test of another process cannot have.
fn log(name: &str) -> String {
    format!("callgate/{name}/ledger")
}

async fn until(what: &str, is: impl Fn() -> bool) {
    for tried in 0.. {
        if is() {
            return;
        }
        assert!(tried < 400, "never: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Ends the session that holds a log.
async fn sever(bed: &Bed) {
    let mut db = sqlx::PgConnection::connect(&bed.url).await.unwrap();
    let holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()";
    assert!(!db.fetch_all(holders).await.unwrap().is_empty(), "there is something to sever");
}

async fn fill(store: &Store, log: &str, index: u64, root: &str) {
    let event = Event {
        v: 1,
        at: Timestamp(1),
        tenant: TenantId::default(),
        environment: Environment::default(),
        event: EventName::GatewayStarted,
        call: None,
        server: None,
        detail: [].into(),
    };
    let end = (index + 1, Digest::of(root.as_bytes()));
    store.index_up_to(log, &[(index, Entry::Event(event))], Some(end)).await.unwrap();
}

#[tokio::test]
async fn of_two_on_copies_of_one_log_the_second_is_refused() {
    let Some(bed) = Bed::postgres().await else { return };
    let (one, other) = (bed.store().await, bed.store().await);
    let (log, another) = (log("copied"), log("own"));
    let held = one.claim_log(&log).await.unwrap();
    let refused = other.claim_log(&log).await.unwrap_err();
    assert!(matches!(refused, StoreError::LogClaimed { .. }), "{refused}");
    assert!(refused.to_string().contains("(log-claimed)"), "{refused}");
    other.claim_log(&another).await.unwrap();
    assert_eq!((one.writes_log(), other.writes_log()), (Ok(()), Ok(())));
    drop(held);
    // the database notices by and by that whoever had it is gone
    for tried in 0.. {
        match other.claim_log(&log).await {
            Ok(_) => break,
            Err(refused) => assert!(tried < 100, "{refused}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// One at a time: each ends every session that holds a log.
#[tokio::test]
async fn a_log_whose_connection_breaks_is_held_again_unless_somebody_else_wrote_it() {
    let Some((url, _)) = crate::postgres::database("claims").await else { return };
    let mut bed = Bed::sqlite();
    bed.url = url.split("&options").next().unwrap().to_owned();
    let (one, other) = (bed.store().await, bed.store().await);
    let log = log("severed");
    let _held = one.claim_log(&log).await.unwrap();
    fill(&one, &log, 0, "both").await;
    sever(&bed).await;
    until("it is lost", || one.writes_log().is_err()).await;
    until("it is held again", || one.writes_log().is_ok()).await;
    assert!(matches!(other.claim_log(&log).await, Err(StoreError::LogClaimed { .. })));
    fill(&other, &log, 1, "another").await;
    sever(&bed).await;
    let parted = || one.writes_log().is_err_and(|why| why.contains("(log-parted)"));
    until("it is known to have parted", parted).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(parted(), "and stays so");
}
