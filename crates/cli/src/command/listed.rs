//! What servers offer, read from a file.

use crate::failure::Failure;
use catalog::listing::{self, ListingError, Offer};
use std::{io::Read, path::Path};

/// The servers in `open`, which is the file of that name. Errors: why it cannot be read, with a stable code.
pub(super) fn offers(file: &Path, open: std::io::Result<impl Read>) -> Result<Vec<Offer>, Failure> {
    let failed = |code: &'static str, why: &dyn std::fmt::Display| Failure::Unreadable {
        code,
        message: format!("`{}` cannot be read: {why}", file.display()),
    };
    let mut bytes = Vec::new();
    // one byte more than is taken, to know that there is more
    let bound = u64::try_from(listing::BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let got = open.and_then(|open| open.take(bound).read_to_end(&mut bytes));
    got.map_err(|error| failed("cannot-open", &error))?;
    listing::read(&bytes).map_err(|error: ListingError| failed(error.code(), &error))
}
