//! Who used what a server offers, lately: counted, not listed.

use crate::circumstances::{number, searchable};
use crate::db::{args, statements};
use crate::words::kind_from;
use crate::{Scope, Store, StoreError};
use decision::{Item, ServerName, Timestamp};

statements! {
    /// Counts the calls of each circumstance first: those are few, however many calls there are.
    CALLERS = "SELECT c.item_kind, c.item_name, c.actor_kind, c.actor_name, c.user_name, c.host, \
        CAST(SUM(e.calls) AS BIGINT) AS calls FROM (SELECT circumstances, COUNT(*) AS calls FROM calls \
        WHERE server = $1 AND scope = (SELECT number FROM scopes WHERE tenant = $2 AND environment = $3) \
        AND at >= $4 GROUP BY circumstances) e CROSS JOIN circumstances c \
        WHERE c.seq = e.circumstances AND c.server = $5 AND c.errand = 0 AND c.item_kind IS NOT NULL \
        AND c.item_name IS NOT NULL GROUP BY c.item_kind, c.item_name, c.actor_kind, c.actor_name, c.user_name, c.host \
        ORDER BY calls DESC, c.item_name, c.actor_name LIMIT 10000";
}

/// Somebody who used an item, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    item: Item,
    /// `agent`, `workload`, `user`.
    pub actor_kind: String,
    pub actor: Option<String>,
    pub user: Option<String>,
    /// As it says itself.
    pub host: Option<String>,
    pub calls: u64,
}

impl Caller {
    /// Whether it was this item. The index keeps the beginning of a long name.
    pub fn used(&self, item: &Item) -> bool {
        self.item.kind == item.kind && self.item.name == searchable(&item.name)
    }
}

impl Store {
    /// Who used the items of a server since then, the most frequent first; the gateway's own calls are left out.
    pub async fn callers(
        &self,
        scope: &Scope,
        server: &ServerName,
        since: Timestamp,
    ) -> Result<Vec<Caller>, StoreError> {
        let name = server.as_str();
        let key = args![number(name), scope.tenant.as_str(), scope.environment.as_str(), since, name];
        let rows = self.db().rows(CALLERS, key).await?;
        let caller = |row: &crate::db::Row| {
            Ok(Caller {
                item: Item { kind: row.word("item_kind", kind_from)?, name: row.get("item_name")? },
                actor_kind: row.get("actor_kind")?,
                actor: row.get("actor_name")?,
                user: row.get("user_name")?,
                host: row.get("host")?,
                calls: row.count("calls")?,
            })
        };
        rows.iter().map(caller).collect()
    }
}
