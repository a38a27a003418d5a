//! One gateway per SQLite file.

use crate::db::{Db, Outcome};
use crate::error::StoreError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::sync::Arc;

/// Held for as long as a gateway serves from a store. The kernel lets go of it when the process
/// ends, however it ends; a lock file left behind means nothing by itself.
#[derive(Debug)]
pub struct Claim {
    _lock: Option<File>,
}

/// Takes the lock beside the database file. On PostgreSQL several replicas are meant to work
/// together, so there is nothing to take.
pub(crate) fn take(db: &Db) -> Outcome<Claim> {
    let Db::Sqlite { path, place, .. } = db else {
        return Ok(Claim { _lock: None });
    };
    let fault = |error: std::io::Error| StoreError::Unavailable {
        place: Arc::clone(place),
        detail: error.to_string(),
    };
    // Beside the file itself and not beside a link to it, so that every way to it leads to one lock.
    let path = fs::canonicalize(path).map_err(fault)?;
    let names = fs::metadata(&path).map_err(fault)?.nlink();
    if names > 1 {
        let detail =
            format!("the file has {names} names; with hard links two gateways cannot see each other");
        return Err(StoreError::Unavailable { place: Arc::clone(place), detail });
    }
    let mut beside = path.into_os_string();
    beside.push(".lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&beside).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only to be helpful: the holder may not have written its number yet.
            let pid = (&file).take(20).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Claimed { place: Arc::clone(place), pid });
        }
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    file.set_len(0).map_err(fault)?;
    writeln!(file, "{}", std::process::id()).map_err(fault)?;
    Ok(Claim { _lock: Some(file) })
}
