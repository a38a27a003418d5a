//! Secrets at rest: sealed elsewhere, opened elsewhere, only kept here.

use crate::db::{Outcome, Row, args, statements};
use crate::{Scope, Store, StoreError};
use decision::{SecretName, ServerName, Timestamp, UserName};
use std::fmt;

statements! {
    PUT = "INSERT INTO secrets (tenant, environment, name, user_name, server, version, sealed, created_at, \
        updated_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) \
        ON CONFLICT (tenant, environment, name, user_name) DO UPDATE SET server = excluded.server, \
        version = excluded.version, sealed = excluded.sealed, updated_at = excluded.updated_at, \
        expires_at = excluded.expires_at WHERE secrets.version = excluded.version - 1";
    VERSION = "SELECT version FROM secrets \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4";
    LIST = "SELECT name, user_name, server, version, created_at, updated_at, expires_at FROM secrets \
        WHERE tenant = $1 AND environment = $2 ORDER BY name, user_name";
    SEALED = "SELECT name, user_name, server, version, created_at, updated_at, expires_at, sealed FROM secrets \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4 \
        AND (server IS NULL OR server = $5)";
    REMOVE = "DELETE FROM secrets WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4";
}

/// Largest sealed value that is kept.
const SEALED_BYTES_MAX: usize = 128 * 1024;

/// A secret that only crate `vault` can open. Prints its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A secret to be stored.
#[derive(Debug, Clone)]
pub struct NewSecret {
    pub name: SecretName,
    /// Whose it is. `None` is shared, and is never given in place of a user's own.
    pub user: Option<UserName>,
    /// The only server that may be given it; `None` is any server that names it.
    pub server: Option<ServerName>,
    /// From [`Store::next_secret_version`]; it is sealed into the value.
    pub version: u64,
    pub sealed: Sealed,
    pub expires_at: Option<Timestamp>,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretListing {
    pub name: SecretName,
    pub user: Option<UserName>,
    pub server: Option<ServerName>,
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// A secret with its sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    pub listing: SecretListing,
    pub sealed: Sealed,
}

impl StoredSecret {
    /// Whether it must not be used any more.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.listing.expires_at.is_some_and(|at| now >= at)
    }
}

impl Store {
    /// The version to seal into the next value of this secret, 1 for the first.
    pub async fn next_secret_version(
        &self,
        scope: &Scope,
        name: &SecretName,
        user: Option<&UserName>,
    ) -> Result<u64, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, name.as_str(), user.map_or("", UserName::as_str)];
        let row = self.db().row(VERSION, key).await?;
        row.map_or(Ok(1), |row| row.count("version").map(|version| version.saturating_add(1)))
    }

    /// Stores a secret, or replaces its value by the next version. The old value is gone.
    ///
    /// Errors: [`StoreError::Moved`] when somebody stored another version since
    /// [`Store::next_secret_version`]; [`StoreError::Unacceptable`] when it is over 128 KiB.
    pub async fn put_secret(&self, scope: &Scope, secret: &NewSecret) -> Result<(), StoreError> {
        if secret.sealed.0.is_empty() || secret.sealed.0.len() > SEALED_BYTES_MAX {
            return Err(StoreError::Unacceptable { what: "secret", rule: "at most 128 KiB when sealed" });
        }
        let moved = || StoreError::Moved { what: "secret", name: secret.name.to_string() };
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let user = secret.user.as_ref().map_or("", UserName::as_str);
        let mut tx = self.db().begin().await?;
        let key = args![tenant, environment, secret.name.as_str(), user];
        // A first value must be version 1; the statement itself compares the versions of later ones.
        if secret.version != 1 && tx.row(VERSION, key).await?.is_none() {
            return Err(moved());
        }
        let row = args![
            tenant,
            environment,
            secret.name.as_str(),
            user,
            secret.server.as_ref().map(ServerName::as_str),
            secret.version,
            secret.sealed.0.as_slice(),
            self.now(),
            secret.expires_at,
        ];
        if tx.execute(PUT, row).await? == 0 {
            return Err(moved());
        }
        self.commit_noticed(tx, scope).await
    }

    /// Names and dates of all secrets, never values.
    pub async fn list_secrets(&self, scope: &Scope) -> Result<Vec<SecretListing>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        self.db().rows(LIST, key).await?.iter().map(listing).collect()
    }

    /// The sealed value for one server and one user, or the shared one where `user` is `None`. There is no
    /// falling back from one to the other. `None` also when the secret belongs to another server.
    pub async fn sealed_secret(
        &self,
        scope: &Scope,
        name: &SecretName,
        server: &ServerName,
        user: Option<&UserName>,
    ) -> Result<Option<StoredSecret>, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let user = user.map_or("", UserName::as_str);
        let key = args![tenant, environment, name.as_str(), user, server.as_str()];
        let row = self.db().row(SEALED, key).await?;
        row.map(|row| Ok(StoredSecret { listing: listing(&row)?, sealed: Sealed(row.get("sealed")?) }))
            .transpose()
    }

    /// Errors: [`StoreError::Missing`].
    pub async fn remove_secret(
        &self,
        scope: &Scope,
        name: &SecretName,
        user: Option<&UserName>,
    ) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, name.as_str(), user.map_or("", UserName::as_str)];
        let mut tx = self.db().begin().await?;
        if tx.execute(REMOVE, key).await? == 0 {
            return Err(StoreError::Missing { what: "secret", name: name.to_string() });
        }
        self.commit_noticed(tx, scope).await
    }
}

fn listing(row: &Row) -> Outcome<SecretListing> {
    let user: String = row.get("user_name")?;
    Ok(SecretListing {
        name: row.parsed("name")?,
        user: if user.is_empty() { None } else { Some(row.parsed("user_name")?) },
        server: row.parsed_opt("server")?,
        version: row.count("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        expires_at: row.time_opt("expires_at")?,
    })
}
