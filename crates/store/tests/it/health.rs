//! Whether the database can be worked with, and what in it can be read.

use crate::bed::{Bed, home};
use crate::tokens::agent;
use sqlx::{Connection as _, Executor as _};
use store::StoreError;

pub(crate) async fn what_cannot_be_read_is_named_with_its_table(bed: &Bed) {
    let store = bed.store().await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    assert!(store.unreadable(&home()).await.unwrap().is_empty());
    bed.execute(&["UPDATE agents SET name = 'No name of ours'"]).await;
    let found = store.unreadable(&home()).await.unwrap();
    let one = &found[0];
    assert!(
        matches!(one, StoreError::Unreadable { table, column: "name", .. } if table == "agents"),
        "{one}"
    );
    assert!(one.to_string().contains("an unreadable `name` in `agents`"), "{one}");
}

/// A standby answers whoever reads, and so does a server without room.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_well_until_it_does_again() {
    let Some((url, watch)) = crate::postgres::database("unwell").await else { return };
    let mut bed = Bed::sqlite();
    bed.url = url.split("&options").next().unwrap().to_owned();
    let store = bed.store().await;
    store.is_well().await.unwrap();
    let mut db = sqlx::PgConnection::connect(&watch).await.unwrap();
    let set = async |db: &mut sqlx::PgConnection, what: &'static str| {
        db.execute(what).await.unwrap();
        let sever = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'unwell'";
        db.fetch_all(sever).await.unwrap();
    };
    set(&mut db, "ALTER DATABASE unwell SET default_transaction_read_only = on").await;
    // before anything was to be written
    let unwell = store.is_well().await.unwrap_err();
    assert!(unwell.to_string().contains("it is read only"), "{unwell}");
    assert!(store.was_well().unwrap_err().contains("it is read only"));
    let refused = store.add_agent(&home(), &agent("bot"), "ops").await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert!(!refused.to_string().contains("locked"), "{refused}");
    assert!(store.revision().await.is_ok(), "it can be read");
    for _ in 0..2 {
        let unwell = store.is_well().await.unwrap_err();
        assert!(unwell.to_string().contains("read-only transaction"), "{unwell}");
    }
    set(&mut db, "ALTER DATABASE unwell RESET default_transaction_read_only").await;
    store.is_well().await.unwrap();
    store.was_well().unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
}
