//! Writing many pins at once. A server may have thousands, and whoever else wants to write waits for the transaction: so its
//! rows go by the hundred in one statement.

use super::{Pin, PinState, state_word};
use crate::Scope;
use crate::bulk::{Bulk, Text};
use crate::db::{Arg, Outcome, Tx};
use decision::{Digest, Item, ServerName, Timestamp};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The columns of a pin, in the order in which [`row`] fills them.
const COLUMNS: [&str; 19] = [
    "tenant",
    "environment",
    "server",
    "kind",
    "name",
    "state",
    "approved_digest",
    "approved_at",
    "approved_by",
    "seen_digest",
    "seen_at",
    "rejected_digest",
    "rejected_at",
    "rejected_by",
    "left_times",
    "left_at",
    "left_digest",
    "left_seen_by",
    "left_held",
];
/// Those by which it is known.
const KEY: usize = 5;

static PUT: LazyLock<Text> = LazyLock::new(|| {
    let before = format!("INSERT INTO pins ({}) VALUES", COLUMNS.join(", "));
    let (key, rest) = COLUMNS.split_at(KEY);
    let rest: Vec<_> = rest.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let after = format!("ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), rest.join(", "));
    Text::new(COLUMNS.len(), &before, &after)
});
static REMOVE: LazyLock<Text> = LazyLock::new(|| removal("pins", "kind"));
static REMOVE_OBSERVED: LazyLock<Text> = LazyLock::new(|| removal("observations", "'tool'"));
static REMOVE_DEPARTURES: LazyLock<Text> = LazyLock::new(|| removal("departures", "kind"));
static KEEP: LazyLock<Text> = LazyLock::new(|| {
    let before = "INSERT INTO definitions (tenant, environment, digest, raw, stored_at) VALUES";
    let after = "ON CONFLICT (tenant, environment, digest) DO UPDATE SET stored_at = excluded.stored_at";
    Text::new(5, before, after)
});
/// What is approved is kept for good. Of which it is known already stays as it is.
static APPROVED_ONCE: LazyLock<Text> = LazyLock::new(|| {
    let after = ") AS v WHERE definitions.tenant = v.column1 AND definitions.environment = v.column2 \
        AND definitions.digest = v.column3 AND definitions.approved_at IS NULL";
    Text::new(4, "UPDATE definitions SET approved_at = v.column4 FROM (VALUES", after)
});
/// So many bytes of definitions go in one statement, and the rest of one more.
const KEPT_BYTES: usize = 4 << 20;

/// Everything that a table has of items.
fn removal(table: &str, kind: &str) -> Text {
    let before = format!("DELETE FROM {table} WHERE (tenant, environment, server, {kind}, name) IN (VALUES");
    Text::new(KEY, &before, ")")
}

/// Keeps definitions, each by its digest, as stored now.
pub(crate) async fn keep(
    tx: &mut Tx,
    scope: &Scope,
    definitions: &BTreeMap<Digest, &[u8]>,
    now: Timestamp,
) -> Outcome<()> {
    let mut rows = Bulk::new(&KEEP);
    let mut bytes = 0;
    for (digest, raw) in definitions {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        rows.row([tenant.into(), environment.into(), (*digest).into(), (*raw).into(), now.into()]);
        bytes += raw.len();
        if rows.is_full() || bytes >= KEPT_BYTES {
            rows.write(tx).await?;
            bytes = 0;
        }
    }
    rows.write(tx).await.map(drop)
}

/// Writes pins, each of another item, and keeps approved definitions for good.
pub(crate) async fn put(tx: &mut Tx, scope: &Scope, server: &ServerName, pins: &[Pin]) -> Outcome<()> {
    let mut rows = Bulk::new(&PUT);
    for pin in pins {
        rows.row(row(scope, server, pin));
        if rows.is_full() {
            rows.write(tx).await?;
        }
    }
    rows.write(tx).await?;
    let mut once = Bulk::new(&APPROVED_ONCE);
    for mark in
        pins.iter().filter(|pin| pin.state == PinState::Approved).filter_map(|pin| pin.approved.as_ref())
    {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        once.row([tenant.into(), environment.into(), mark.digest.into(), mark.at.into()]);
        if once.is_full() {
            once.write(tx).await?;
        }
    }
    once.write(tx).await.map(drop)
}

fn row(scope: &Scope, server: &ServerName, pin: &Pin) -> [Arg; COLUMNS.len()] {
    let (approved, rejected, left) = (pin.approved.as_ref(), pin.rejected.as_ref(), pin.left.as_ref());
    let [tenant, environment, server, kind, name] = key(scope, server, &pin.item);
    [
        tenant,
        environment,
        server,
        kind,
        name,
        state_word(pin.state).into(),
        approved.map(|mark| mark.digest).into(),
        approved.map(|mark| mark.at).into(),
        approved.map(|mark| mark.by.as_str()).into(),
        pin.seen.into(),
        pin.seen_at.into(),
        rejected.map(|mark| mark.digest).into(),
        rejected.map(|mark| mark.at).into(),
        rejected.map(|mark| mark.by.as_str()).into(),
        left.map_or(0, |left| i64::from(left.times)).into(),
        left.map(|left| left.at).into(),
        left.map(|left| left.digest).into(),
        left.and_then(|left| left.seen_by.as_deref()).into(),
        left.is_some_and(|left| left.held).into(),
    ]
}

pub(crate) fn key(scope: &Scope, server: &ServerName, item: &Item) -> [Arg; KEY] {
    let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
    [tenant, environment, server.as_str(), item.kind.as_str(), item.name.as_str()].map(Arg::from)
}

/// Takes pins away that nobody decided on.
pub(crate) async fn remove(tx: &mut Tx, scope: &Scope, server: &ServerName, items: &[&Item]) -> Outcome<()> {
    strike(tx, scope, server, items, &REMOVE).await
}

/// Takes pins away with all that was remembered of their items.
pub(crate) async fn forget(tx: &mut Tx, scope: &Scope, server: &ServerName, items: &[&Item]) -> Outcome<()> {
    strike(tx, scope, server, items, &REMOVE).await?;
    strike(tx, scope, server, items, &REMOVE_OBSERVED).await
}

/// Somebody has looked at items, or they are forgotten: what they were meanwhile is past.
pub(crate) async fn settle(tx: &mut Tx, scope: &Scope, server: &ServerName, items: &[&Item]) -> Outcome<()> {
    strike(tx, scope, server, items, &REMOVE_DEPARTURES).await
}

async fn strike(
    tx: &mut Tx,
    scope: &Scope,
    server: &ServerName,
    items: &[&Item],
    text: &'static Text,
) -> Outcome<()> {
    let mut rows = Bulk::new(text);
    for item in items {
        rows.row(key(scope, server, item));
        if rows.is_full() {
            rows.write(tx).await?;
        }
    }
    rows.write(tx).await.map(drop)
}
