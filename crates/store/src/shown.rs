//! The exact lists that were shown to somebody, by the digest their decision names.

use crate::db::{args, statements};
use crate::{Scope, Store, StoreError};
use bytes::Bytes;
use decision::Digest;

statements! {
    KEEP = "INSERT INTO shown_lists (tenant, environment, digest, raw, stored_at) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT DO NOTHING";
    READ = "SELECT raw FROM shown_lists WHERE tenant = $1 AND environment = $2 AND digest = $3";
}

/// Largest list that is kept.
const LIST_BYTES_MAX: usize = 16 << 20;

impl Store {
    /// Keeps a list under its SHA-256 and returns that. The same list is kept once.
    ///
    /// Errors: [`StoreError::Unacceptable`] when it is over 16 MiB.
    pub async fn keep_shown(&self, scope: &Scope, raw: &[u8]) -> Result<Digest, StoreError> {
        if raw.len() > LIST_BYTES_MAX {
            return Err(StoreError::Unacceptable { what: "list", rule: "at most 16 MiB are kept" });
        }
        let digest = Digest::of(raw);
        // The same list is shown again and again: look first, writing costs a flush.
        if self.shown(scope, &digest).await?.is_some() {
            return Ok(digest);
        }
        let mut tx = self.db().begin().await?;
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        tx.execute(KEEP, args![tenant, environment, digest, raw, self.now()]).await?;
        tx.commit().await?;
        Ok(digest)
    }

    /// A list that was shown, or `None` when no such list was kept.
    pub async fn shown(&self, scope: &Scope, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), *digest];
        let row = self.db().row(READ, key).await?;
        row.map(|row| row.get::<Vec<u8>>("raw").map(Bytes::from)).transpose()
    }
}
