//! Secrets in files and variables, for development. The settings ask for a loudly named switch, and say
//! so at every start.

use super::{BackendError, Owner};
use crate::{Lease, SECRET_BYTES_MAX, Secret};
use decision::{Call, Permit, SecretName};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Files, and the variables that the gateway was started with.
pub struct Local {
    owner: Owner,
    variables: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({} variables)", self.variables.len())
    }
}

impl Local {
    /// `variables` are those that a source names, as they were at the start.
    pub fn new(owner: Owner, variables: BTreeMap<String, Zeroizing<Vec<u8>>>) -> Self {
        Self { owner, variables }
    }

    /// The value of a variable. Errors: [`BackendError`].
    pub fn variable(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        variable: &str,
    ) -> Result<Lease, BackendError> {
        self.owner.allows(permit, call, name)?;
        let unset = || BackendError::Variable(variable.to_owned());
        let value = self.variables.get(variable).ok_or_else(unset)?;
        let secret = Secret::from_input(value.to_vec()).map_err(|_| unset())?;
        Ok(Lease::of(secret, name))
    }

    /// What is in a file now; a changed file counts at the next call. Errors: [`BackendError`].
    pub fn file(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        path: &Path,
    ) -> Result<Lease, BackendError> {
        self.owner.allows(permit, call, name)?;
        Ok(Lease::of(read_private(path)?, name))
    }
}

/// Why a file cannot be used as a secret now.
pub fn unusable(path: &Path) -> Option<BackendError> {
    read_private(path).err()
}

/// A file that nobody but its owner can read or write.
pub(super) fn read_private(path: &Path) -> Result<Secret, BackendError> {
    read(path, true)
}

/// A file that the platform keeps, with the mode it thinks right.
pub(super) fn read_shared(path: &Path) -> Result<Secret, BackendError> {
    read(path, false)
}

/// A symbolic link is followed: systemd and Kubernetes hand out credentials that way.
fn read(path: &Path, private: bool) -> Result<Secret, BackendError> {
    let wrong = |why: String| BackendError::File { path: path.to_owned(), why };
    let unopened = |e: std::io::Error| {
        wrong(if e.kind() == ErrorKind::InvalidInput { e.to_string() } else { e.kind().to_string() })
    };
    let file = launch::open_plain(path).map_err(unopened)?;
    let metadata = file.metadata().map_err(|e| wrong(e.kind().to_string()))?;
    if private && metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(wrong(format!("others can read or write it (mode {mode:03o}); run chmod 600 on it")));
    }
    // room for all of it at once: growing would leave an unwiped copy behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 2));
    file.take(SECRET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| wrong(e.kind().to_string()))?;
    Secret::from_input(std::mem::take(&mut bytes)).map_err(|e| wrong(e.to_string()))
}
