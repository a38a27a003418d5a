//! Calls that were prepared and not made yet.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::{Scope, Store, StoreError, Turn};
use decision::{DeedId, Digest, DraftId, ServerName, Timestamp};

statements! {
    KEEP = "INSERT INTO drafts (tenant, environment, id, owner, server, tool, definition, sealed, made_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    FORGET = "DELETE FROM drafts WHERE tenant = $1 AND environment = $2 AND expires_at <= $3";
    OLDEST = "DELETE FROM drafts WHERE tenant = $1 AND environment = $2 AND owner = $3 AND id IN ( \
        SELECT id FROM drafts WHERE tenant = $1 AND environment = $2 AND owner = $3 \
        ORDER BY made_at DESC, id DESC LIMIT 1000 OFFSET $4)";
    ONE = "SELECT id, owner, server, tool, definition, sealed, made_at, expires_at, deed FROM drafts \
        WHERE tenant = $1 AND environment = $2 AND id = $3";
    SPEND = "UPDATE drafts SET deed = $4 WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND deed IS NULL AND expires_at > $5";
    REMOVE_OF = "DELETE FROM drafts WHERE tenant = $1 AND environment = $2 AND owner = $3";
    GIVE_BACK = "UPDATE drafts SET deed = NULL WHERE tenant = $1 AND environment = $2 AND id = $3 AND deed = $4";
}

/// Most drafts that one principal has; of more the oldest go.
const EACH_MAX: u64 = 256;

/// A prepared call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub id: DraftId,
    /// Digest of who prepared it: nobody else finds it.
    pub owner: Digest,
    pub server: ServerName,
    pub tool: String,
    /// Of the tool, when it was prepared.
    pub definition: Digest,
    /// The arguments, sealed by whoever kept them.
    pub sealed: Vec<u8>,
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
    /// The deed that it was submitted in.
    pub deed: Option<DeedId>,
}

impl Store {
    /// Keeps a draft, and forgets those whose time is over.
    pub async fn keep_draft(&self, scope: &Scope, draft: &Draft) -> Result<(), StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let row = args![
            tenant,
            environment,
            draft.id.to_string(),
            draft.owner,
            draft.server.as_str(),
            draft.tool.as_str(),
            draft.definition,
            draft.sealed.as_slice(),
            draft.made_at,
            draft.expires_at,
        ];
        let mut tx = self.db().begin().await?;
        tx.execute(FORGET, args![tenant, environment, self.now()]).await?;
        tx.execute(KEEP, row).await?;
        tx.execute(OLDEST, args![tenant, environment, draft.owner, EACH_MAX]).await?;
        tx.commit().await
    }

    /// A draft of this owner's whose time is not over. Another's is not found.
    pub async fn draft(
        &self,
        scope: &Scope,
        owner: &Digest,
        id: DraftId,
    ) -> Result<Option<Draft>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string()];
        let found = self.db().row(ONE, key).await?.as_ref().map(read).transpose()?;
        Ok(found.filter(|one| one.owner == *owner && self.now() < one.expires_at))
    }

    /// Submits it in this deed, once.
    pub async fn spend_draft(&self, scope: &Scope, id: DraftId, deed: DeedId) -> Result<Turn, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, id.to_string(), deed.to_string(), self.now()];
        let mut tx = self.db().begin().await?;
        let spent = tx.execute(SPEND, key).await?;
        tx.commit().await?;
        Ok(if spent == 0 { Turn::Missed } else { Turn::Taken })
    }

    /// Nothing left after all.
    pub async fn give_back_draft(&self, scope: &Scope, id: DraftId, deed: DeedId) -> Result<(), StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string(), deed.to_string()];
        let mut tx = self.db().begin().await?;
        tx.execute(GIVE_BACK, key).await?;
        tx.commit().await
    }
}

/// Of whoever is gone.
pub(crate) async fn remove_of(tx: &mut Tx, scope: &Scope, owner: &Digest) -> Outcome<()> {
    tx.execute(REMOVE_OF, args![scope.tenant.as_str(), scope.environment.as_str(), *owner]).await?;
    Ok(())
}

fn read(row: &Row) -> Outcome<Draft> {
    Ok(Draft {
        id: row.parsed("id")?,
        owner: row.digest("owner")?,
        server: row.parsed("server")?,
        tool: row.get("tool")?,
        definition: row.digest("definition")?,
        sealed: row.get("sealed")?,
        made_at: row.time("made_at")?,
        expires_at: row.time("expires_at")?,
        deed: row.parsed_opt("deed")?,
    })
}
