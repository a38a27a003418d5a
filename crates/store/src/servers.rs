//! What is known of each server besides its items.

use crate::db::{Outcome, Row, args, statements};
use crate::words::{era_from, era_word};
use crate::{Scope, Store, StoreError, departures, untold};
use bytes::Bytes;
use decision::{Era, EventName, ServerName, Timestamp};

statements! {
    PUT = "INSERT INTO servers (tenant, environment, server, era, revision, detected_at, info, capabilities) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, environment, server) DO UPDATE \
        SET era = excluded.era, revision = excluded.revision, detected_at = excluded.detected_at, \
        info = excluded.info, capabilities = excluded.capabilities";
    LIST = "SELECT server, pinned_at, seen_at, era, revision, detected_at, info, capabilities FROM servers \
        WHERE tenant = $1 AND environment = $2 ORDER BY server";
    ONE = "SELECT server, pinned_at, seen_at, era, revision, detected_at, info, capabilities FROM servers \
        WHERE tenant = $1 AND environment = $2 AND server = $3";
    FORGET_PINS = "DELETE FROM pins WHERE tenant = $1 AND environment = $2 AND server = $3";
    FORGET_OBSERVED = "DELETE FROM observations WHERE tenant = $1 AND environment = $2 AND server = $3";
    FORGET = "DELETE FROM servers WHERE tenant = $1 AND environment = $2 AND server = $3";
}

/// What a connection found out. The server's own words, kept for display; pin what must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMeta {
    pub era: Era,
    /// The revision that was agreed on, at most 64 bytes.
    pub revision: String,
    /// `serverInfo` as it came.
    pub info: Option<Bytes>,
    /// `capabilities` as they came.
    pub capabilities: Option<Bytes>,
}

/// A server as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: ServerName,
    /// When its items were recorded for the first time. From then on new ones need an approval.
    pub pinned_at: Option<Timestamp>,
    /// When its items were last recorded.
    pub seen_at: Option<Timestamp>,
    /// With the time of the connection that found it out.
    pub meta: Option<(ServerMeta, Timestamp)>,
}

impl Store {
    /// Remembers what a connection found out; replaces what was known.
    pub async fn put_server_meta(
        &self,
        scope: &Scope,
        server: &ServerName,
        meta: &ServerMeta,
    ) -> Result<(), StoreError> {
        if meta.revision.len() > 64 || meta.revision.contains('\0') {
            return Err(StoreError::Unacceptable { what: "revision", rule: "at most 64 bytes of text" });
        }
        let mut tx = self.db().begin().await?;
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let (info, capabilities) = (meta.info.as_deref(), meta.capabilities.as_deref());
        let era = era_word(meta.era);
        let revision = meta.revision.as_str();
        let name = server.as_str();
        let row = args![tenant, environment, name, era, revision, self.now(), info, capabilities];
        tx.execute(PUT, row).await?;
        tx.commit().await
    }

    pub async fn server(&self, scope: &Scope, server: &ServerName) -> Result<Option<Server>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        self.db().row(ONE, key).await?.as_ref().map(read).transpose()
    }

    /// All servers that were ever connected or recorded, by name.
    pub async fn list_servers(&self, scope: &Scope) -> Result<Vec<Server>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        self.db().rows(LIST, key).await?.iter().map(read).collect()
    }

    /// Forgets a server and its pins: the next sighting is its first. Its record stays; an approval, which was of what
    /// is forgotten, is a review again.
    ///
    /// Errors: [`StoreError::Missing`].
    pub async fn forget_server(
        &self,
        scope: &Scope,
        server: &ServerName,
        by: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        if tx.execute(FORGET, key).await? == 0 {
            return Err(StoreError::Missing { what: "server", name: server.to_string() });
        }
        tx.execute(FORGET_PINS, key).await?;
        tx.execute(FORGET_OBSERVED, key).await?;
        departures::forget_all(&mut tx, scope, server).await?;
        self.record_forgotten(&mut tx, scope, server, by).await?;
        let event = untold::by(by, EventName::DefinitionChanged, &[("change", "server forgotten")]);
        self.note_untold(&mut tx, scope, Some(server), self.now(), vec![event]).await?;
        self.commit_noticed(tx, scope).await
    }
}

fn read(row: &Row) -> Outcome<Server> {
    let meta = match (row.word_opt("era", era_from)?, row.time_opt("detected_at")?) {
        (Some(era), Some(at)) => {
            let info: Option<Vec<u8>> = row.get("info")?;
            let capabilities: Option<Vec<u8>> = row.get("capabilities")?;
            let revision = row.get("revision")?;
            let meta = ServerMeta {
                era,
                revision,
                info: info.map(Bytes::from),
                capabilities: capabilities.map(Bytes::from),
            };
            Some((meta, at))
        }
        (None, _) | (_, None) => None,
    };
    Ok(Server {
        name: row.parsed("server")?,
        pinned_at: row.time_opt("pinned_at")?,
        seen_at: row.time_opt("seen_at")?,
        meta,
    })
}
