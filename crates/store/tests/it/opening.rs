//! What opening may do to a PostgreSQL database.

use crate::bed::Bed;
use sqlx::{Connection as _, Executor as _};
use std::sync::Arc;
use store::{Opening, Store, StoreError};

async fn opened(bed: &Bed, opening: Opening) -> Result<(), StoreError> {
    let store = Store::open_as(&bed.url, opening, Arc::clone(&bed.clock) as _, bed.dice()).await?;
    store.close().await;
    Ok(())
}

async fn tables(bed: &Bed) -> usize {
    let mut db = sqlx::PgConnection::connect(&bed.url).await.unwrap();
    let tables = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()";
    db.fetch_all(tables).await.unwrap().len()
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is_on_postgresql() {
    let Some(bed) = Bed::postgres().await else { return };
    bed.execute(&["CREATE TABLE invoices (number BIGINT)"]).await;
    for opening in [Opening::Look, Opening::Use, Opening::Move] {
        let refused = opened(&bed, opening).await.unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    }
    assert_eq!(tables(&bed).await, 1);
}

#[tokio::test]
async fn whoever_looks_makes_nothing_and_only_a_gateway_moves_the_schema_on() {
    let Some(bed) = Bed::postgres().await else { return };
    let nothing = opened(&bed, Opening::Look).await.unwrap_err();
    assert!(matches!(nothing, StoreError::Nothing { .. }), "{nothing}");
    assert_eq!(tables(&bed).await, 0);
    opened(&bed, Opening::Use).await.unwrap();
    opened(&bed, Opening::Look).await.unwrap();
    let older = [
        "ALTER TABLE indexed DROP COLUMN root_at",
        "ALTER TABLE indexed DROP COLUMN root",
        "DROP TABLE gateways",
        "DELETE FROM _sqlx_migrations WHERE version = 17",
    ];
    bed.execute(&older).await;
    for opening in [Opening::Look, Opening::Use] {
        let older = opened(&bed, opening).await.unwrap_err();
        assert!(matches!(older, StoreError::Older { known: 17, .. }), "{older}");
    }
    assert_eq!(bed.rows("(SELECT 1 FROM _sqlx_migrations WHERE version = 17) one").await, 0);
    opened(&bed, Opening::Move).await.unwrap();
    opened(&bed, Opening::Look).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_up_to_date_is_sent_nothing_and_a_gateway_does_not_begin_with_one_that_is_read_only()
 {
    let Some((url, watch)) = crate::postgres::database("finished").await else { return };
    let mut bed = Bed::sqlite();
    bed.url = url.split("&options").next().unwrap().to_owned();
    opened(&bed, Opening::Move).await.unwrap();
    let mut db = sqlx::PgConnection::connect(&watch).await.unwrap();
    db.execute("ALTER DATABASE finished SET default_transaction_read_only = on").await.unwrap();
    for opening in [Opening::Look, Opening::Use] {
        opened(&bed, opening).await.unwrap();
    }
    let refused = opened(&bed, Opening::Move).await.unwrap_err();
    assert!(refused.to_string().contains("it is read only"), "{refused}");
    db.execute("ALTER DATABASE finished RESET default_transaction_read_only").await.unwrap();
    opened(&bed, Opening::Move).await.unwrap();
}
