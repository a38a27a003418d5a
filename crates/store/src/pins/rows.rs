//! What stands in the rows of pins.

use super::{Definition, Left, Mark, Pin, state_from};
use crate::db::{Outcome, Row};
use crate::words::kind_from;
use decision::{Item, ServerName};
use std::collections::BTreeMap;

pub(super) fn item(row: &Row) -> Outcome<Item> {
    Ok(Item { kind: row.word("kind", kind_from)?, name: row.get("name")? })
}

pub(super) fn definition(row: &Row) -> Outcome<Definition> {
    let raw: Vec<u8> = row.get("raw")?;
    Ok(Definition { item: item(row)?, digest: row.digest("approved_digest")?, raw: raw.into() })
}

pub(super) fn by_server<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Outcome<T>,
) -> Outcome<BTreeMap<ServerName, Vec<T>>> {
    let mut all: BTreeMap<ServerName, Vec<T>> = BTreeMap::new();
    for row in rows {
        all.entry(row.parsed("server")?).or_default().push(read(row)?);
    }
    Ok(all)
}

pub(super) fn left(row: &Row) -> Outcome<Option<Left>> {
    let Some(digest) = row.digest_opt("left_digest")? else { return Ok(None) };
    let times = row.get::<i64>("left_times")?;
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    Ok(Some(Left {
        times,
        at: row.time("left_at")?,
        digest,
        seen_by: row.get("left_seen_by")?,
        held: row.get::<i64>("left_held")? != 0,
    }))
}

pub(super) fn pin(row: &Row) -> Outcome<Pin> {
    let mark = |digest, at, by| -> Outcome<Option<Mark>> {
        let Some(digest) = row.digest_opt(digest)? else { return Ok(None) };
        Ok(Some(Mark { digest, at: row.time(at)?, by: row.get(by)? }))
    };
    Ok(Pin {
        item: item(row)?,
        state: row.word("state", state_from)?,
        approved: mark("approved_digest", "approved_at", "approved_by")?,
        seen: row.digest("seen_digest")?,
        seen_at: row.time("seen_at")?,
        rejected: mark("rejected_digest", "rejected_at", "rejected_by")?,
        left: left(row)?,
    })
}
