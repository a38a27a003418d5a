//! Secrets at rest: sealed elsewhere, opened elsewhere, only kept here.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::{Scope, Store, StoreError, untold};
use decision::{EventName, SecretName, ServerName, Timestamp, UserName};
use std::fmt;

statements! {
    RETIRE = "INSERT INTO retired_secrets (tenant, environment, name, user_name, server, version, sealed, \
        created_at, updated_at, retired_at) SELECT tenant, environment, name, user_name, server, version, sealed, \
        created_at, updated_at, CAST($6 AS BIGINT) FROM secrets WHERE tenant = $1 AND environment = $2 AND name = $3 \
        AND user_name = $4 AND version = $5 ON CONFLICT DO NOTHING";
    PUT = "INSERT INTO secrets (tenant, environment, name, user_name, server, version, sealed, created_at, \
        updated_at, expires_at, rotate_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10) \
        ON CONFLICT (tenant, environment, name, user_name) DO UPDATE SET server = excluded.server, \
        version = excluded.version, sealed = excluded.sealed, updated_at = excluded.updated_at, \
        expires_at = excluded.expires_at, rotate_by = excluded.rotate_by WHERE secrets.version = excluded.version - 1";
    VERSION = "SELECT version FROM secrets \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4";
    LIST = "SELECT name, user_name, server, version, created_at, updated_at, expires_at, rotate_by FROM secrets \
        WHERE tenant = $1 AND environment = $2 ORDER BY name, user_name";
    SEALED = "SELECT name, user_name, server, version, created_at, updated_at, expires_at, rotate_by, sealed \
        FROM secrets WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4 \
        AND (server IS NULL OR server = $5) AND NOT EXISTS (SELECT 1 FROM users WHERE users.tenant = secrets.tenant \
        AND users.environment = secrets.environment AND users.name = secrets.user_name \
        AND users.created_at > secrets.updated_at)";
    VERSIONS = "SELECT name, user_name, server, version, created_at, updated_at, expires_at, rotate_by, sealed \
        FROM secrets WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4 \
        UNION ALL SELECT name, user_name, server, version, created_at, updated_at, NULL, NULL, sealed \
        FROM retired_secrets WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4 \
        ORDER BY version DESC";
    RETIRED = "SELECT name, user_name, version, retired_at FROM retired_secrets \
        WHERE tenant = $1 AND environment = $2 ORDER BY name, user_name, version";
    EVERYWHERE = "SELECT tenant, environment, name, user_name, version, sealed FROM secrets \
        UNION ALL SELECT tenant, environment, name, user_name, version, sealed FROM retired_secrets \
        ORDER BY tenant, environment, name, user_name, version";
    RESEAL = "UPDATE secrets SET sealed = $6 WHERE tenant = $1 AND environment = $2 AND name = $3 \
        AND user_name = $4 AND version = $5 AND sealed = $7";
    RESEAL_RETIRED = "UPDATE retired_secrets SET sealed = $6 WHERE tenant = $1 AND environment = $2 AND name = $3 \
        AND user_name = $4 AND version = $5 AND sealed = $7";
    REMOVE = "DELETE FROM secrets WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4";
    REMOVE_RETIRED = "DELETE FROM retired_secrets \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4";
    OF_USER = "SELECT name FROM secrets WHERE tenant = $1 AND environment = $2 AND user_name = $3 ORDER BY name";
    REMOVE_OF_USER = "DELETE FROM secrets WHERE tenant = $1 AND environment = $2 AND user_name = $3";
    REMOVE_RETIRED_OF_USER = "DELETE FROM retired_secrets WHERE tenant = $1 AND environment = $2 AND user_name = $3";
    PURGE = "DELETE FROM retired_secrets \
        WHERE tenant = $1 AND environment = $2 AND name = $3 AND user_name = $4 AND version = $5";
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
    /// When somebody should put in another value.
    pub rotate_by: Option<Timestamp>,
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
    pub rotate_by: Option<Timestamp>,
}

/// A value that a newer one has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredSecret {
    pub name: SecretName,
    pub user: Option<UserName>,
    pub version: u64,
    pub retired_at: Timestamp,
}

/// A sealed value and where it belongs, of whatever tenant: a key is of a whole installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealable {
    pub scope: Scope,
    pub name: SecretName,
    pub user: Option<UserName>,
    pub version: u64,
    pub sealed: Sealed,
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

    /// Stores a secret, or replaces its value by the next version. The old value is kept as a retired one.
    ///
    /// Errors: [`StoreError::Moved`] when somebody stored another version since
    /// [`Store::next_secret_version`]; [`StoreError::Unacceptable`] when it is over 128 KiB.
    pub async fn put_secret(&self, scope: &Scope, secret: &NewSecret, by: &str) -> Result<(), StoreError> {
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
        let before = secret.version.saturating_sub(1);
        tx.execute(RETIRE, args![tenant, environment, secret.name.as_str(), user, before, self.now()])
            .await?;
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
            secret.rotate_by,
        ];
        if tx.execute(PUT, row).await? == 0 {
            return Err(moved());
        }
        let version = secret.version.to_string();
        let mut about = vec![("secret", secret.name.as_str()), ("version", version.as_str())];
        about.extend(secret.user.as_ref().map(|user| ("user", user.as_str())));
        let event = untold::by(by, EventName::SecretStored, &about);
        self.note_untold(&mut tx, scope, secret.server.as_ref(), self.now(), vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }

    /// Names and dates of all secrets, never values.
    pub async fn list_secrets(&self, scope: &Scope) -> Result<Vec<SecretListing>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        self.db().rows(LIST, key).await?.iter().map(listing).collect()
    }

    /// The sealed value for one server and one user, or the shared one where `user` is `None`. There is no
    /// falling back from one to the other. `None` also when the secret belongs to another server, and when it was stored
    /// before the person who has that name now was added.
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

    /// All values of a secret that are still kept, the current one first.
    pub async fn secret_versions(
        &self,
        scope: &Scope,
        name: &SecretName,
        user: Option<&UserName>,
    ) -> Result<Vec<StoredSecret>, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, name.as_str(), user.map_or("", UserName::as_str)];
        let rows = self.db().rows(VERSIONS, key).await?;
        rows.iter()
            .map(|row| Ok(StoredSecret { listing: listing(row)?, sealed: Sealed(row.get("sealed")?) }))
            .collect()
    }

    /// Which replaced values are still kept.
    pub async fn retired_secrets(&self, scope: &Scope) -> Result<Vec<RetiredSecret>, StoreError> {
        let rows = self.db().rows(RETIRED, args![scope.tenant.as_str(), scope.environment.as_str()]).await?;
        let retired = |row: &Row| {
            let version = row.count("version")?;
            Ok(RetiredSecret {
                name: row.parsed("name")?,
                user: user(row)?,
                version,
                retired_at: row.time("retired_at")?,
            })
        };
        rows.iter().map(retired).collect()
    }

    /// Removes a replaced value that nothing uses any more. One that is gone already is no error.
    pub async fn purge_secret(&self, scope: &Scope, retired: &RetiredSecret) -> Result<(), StoreError> {
        let user = retired.user.as_ref().map_or("", UserName::as_str);
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        tx.execute(PURGE, args![tenant, environment, retired.name.as_str(), user, retired.version]).await?;
        tx.commit().await
    }

    /// Every sealed value in the database, of every tenant and environment, also the retired ones.
    pub async fn sealed_everywhere(&self) -> Result<Vec<Resealable>, StoreError> {
        let one = |row: &Row| {
            let scope = Scope::new(row.parsed("tenant")?, row.parsed("environment")?);
            let (name, version) = (row.parsed("name")?, row.count("version")?);
            Ok(Resealable { scope, name, user: user(row)?, version, sealed: Sealed(row.get("sealed")?) })
        };
        self.db().rows(EVERYWHERE, &[]).await?.iter().map(one).collect()
    }

    /// Puts the same value, sealed under another key, in place of `old`. False when it is not there as `old` says:
    /// somebody was faster, so look again.
    pub async fn reseal_secret(&self, old: &Resealable, sealed: &Sealed) -> Result<bool, StoreError> {
        let (tenant, environment) = (old.scope.tenant.as_str(), old.scope.environment.as_str());
        let (name, user) = (old.name.as_str(), old.user.as_ref().map_or("", UserName::as_str));
        let (new, before) = (sealed.0.as_slice(), old.sealed.0.as_slice());
        let mut tx = self.db().begin().await?;
        let mut moved = 0;
        for statement in [RESEAL, RESEAL_RETIRED] {
            moved += tx
                .execute(statement, args![tenant, environment, name, user, old.version, new, before])
                .await?;
        }
        self.commit_noticed(tx, &old.scope).await?;
        Ok(moved > 0)
    }

    /// Removes a secret with every value it had. Errors: [`StoreError::Missing`].
    pub async fn remove_secret(
        &self,
        scope: &Scope,
        name: &SecretName,
        user: Option<&UserName>,
        by: &str,
    ) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, name.as_str(), user.map_or("", UserName::as_str)];
        let mut tx = self.db().begin().await?;
        if tx.execute(REMOVE, key).await? == 0 {
            return Err(StoreError::Missing { what: "secret", name: name.to_string() });
        }
        tx.execute(REMOVE_RETIRED, key).await?;
        let mut about = vec![("secret", name.as_str())];
        about.extend(user.map(|user| ("user", user.as_str())));
        let event = untold::by(by, EventName::SecretRemoved, &about);
        self.note_untold(&mut tx, scope, None, self.now(), vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }
}

/// Removes what a person alone was given, every value of it; says which that was.
pub(crate) async fn remove_of(tx: &mut Tx, scope: &Scope, user: &UserName) -> Outcome<Vec<SecretName>> {
    let key = args![scope.tenant.as_str(), scope.environment.as_str(), user.as_str()];
    let rows = tx.rows(OF_USER, key).await?;
    tx.execute(REMOVE_OF_USER, key).await?;
    tx.execute(REMOVE_RETIRED_OF_USER, key).await?;
    rows.iter().map(|row| row.parsed("name")).collect()
}

/// Whose it is. No user has an empty name.
fn user(row: &Row) -> Outcome<Option<UserName>> {
    let user: String = row.get("user_name")?;
    if user.is_empty() { Ok(None) } else { row.parsed("user_name").map(Some) }
}

fn listing(row: &Row) -> Outcome<SecretListing> {
    Ok(SecretListing {
        name: row.parsed("name")?,
        user: user(row)?,
        server: row.parsed_opt("server")?,
        version: row.count("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        expires_at: row.time_opt("expires_at")?,
        rotate_by: row.time_opt("rotate_by")?,
    })
}
