//! What servers offer, read from a file.

use crate::failure::Failure;
use catalog::listing;
use std::{io::Read, path::Path};

/// What is in `open`, which is the file of that name. Errors: why it cannot be read, with a stable code.
pub(super) fn bytes(file: &Path, open: std::io::Result<impl Read>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // one byte more than is taken, to know that there is more
    let bound = u64::try_from(listing::BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let got = open.and_then(|open| open.take(bound).read_to_end(&mut bytes));
    got.map_err(|error| failed(file, "cannot-open", &error))?;
    Ok(bytes)
}

/// The value in what the file holds, read strictly. Errors: what is wrong with it, with a stable code.
pub(super) fn strict(file: &Path, bytes: &[u8]) -> Result<serde_json::Value, Failure> {
    listing::strict(bytes).map_err(|error| failed(file, error.code(), &error))
}

pub(super) fn failed(file: &Path, code: &'static str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Unreadable { code, message: format!("`{}` cannot be read: {why}", file.display()) }
}
