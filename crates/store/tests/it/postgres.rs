//! Empty schemas and databases in a PostgreSQL cluster of our own.

use crate::cluster;
use std::sync::atomic::{AtomicU32, Ordering};

/// The address of an empty schema in the shared cluster, or `None` when PostgreSQL is left out on purpose.
pub(crate) async fn schema() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = cluster::address()?;
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let text = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::query(text).execute(&mut connection).await.unwrap();
    Some(format!("{url}&options[search_path]={name}"))
}

/// The address of an empty database of its own, and one from which to watch it.
pub(crate) async fn database(name: &str) -> Option<(String, String)> {
    let watch = schema().await?;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&watch).await.unwrap();
    let text = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(text).execute(&mut connection).await.unwrap();
    Some((watch.replace("/postgres?", &format!("/{name}?")), watch))
}
