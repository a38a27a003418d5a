//! Who used what a server offers, lately: counted, not listed.

use crate::circumstances::{TEXT_BYTES_MAX, number, searchable};
use crate::db::{args, statements};
use crate::words::kind_from;
use crate::{Scope, Store, StoreError};
use decision::{Item, ItemKind, ServerName, Timestamp};

statements! {
    /// Counts the calls of each circumstance first: those are few, however many calls there are. What was refused (2) before
    /// it was sent is no use.
    CALLERS = "SELECT c.item_kind, c.item_name, c.actor_kind, c.actor_name, c.user_name, c.host, \
        CAST(SUM(e.calls) AS BIGINT) AS calls FROM (SELECT circumstances, COUNT(*) AS calls FROM calls \
        WHERE server = $1 AND scope = (SELECT number FROM scopes WHERE tenant = $2 AND environment = $3) \
        AND at >= $4 AND (ended IS NULL OR ended <> 2 OR dispatched = 1) GROUP BY circumstances) e CROSS JOIN circumstances c \
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
    /// Whether it was this item: a template by an address that belongs to it, what a server says of itself by anything of the
    /// server. The index keeps the beginning of a long name, which belongs to what it may belong to.
    pub fn used(&self, item: &Item) -> bool {
        let is_it = self.item.kind == item.kind && self.item.name == searchable(&item.name);
        match item.kind {
            ItemKind::Server => self.item.kind != ItemKind::Question,
            ItemKind::ResourceTemplate => is_it || self.read_by(&item.name),
            ItemKind::Tool | ItemKind::Prompt | ItemKind::Resource | ItemKind::Question => is_it,
        }
    }

    fn read_by(&self, template: &str) -> bool {
        self.item.kind == ItemKind::Resource && may_be_of(&self.item.name, template)
    }
}

/// Whether an address may belong to a template: it has what stands around the expressions, in that order. What stands in the
/// place of one is not looked at, so that no use of a template is overlooked.
fn may_be_of(uri: &str, template: &str) -> bool {
    let (opening, rest) = template.split_once('{').unwrap_or((template, ""));
    // the index has no more of it than its beginning
    if uri.len() + char::MAX.len_utf8() > TEXT_BYTES_MAX {
        return opening.starts_with(uri) || uri.starts_with(opening);
    }
    let Some(mut left) = uri.strip_prefix(opening) else { return false };
    let mut literals = rest.split('{').map(|part| part.split_once('}').map_or("", |(_, literal)| literal));
    let Some(last) = literals.next_back().filter(|_| template.contains('{')) else { return left.is_empty() };
    for literal in literals {
        let Some((_, behind)) = left.split_once(literal) else { return false };
        left = behind;
    }
    left.ends_with(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_belong_to_a_template_that_has_the_same_around_its_expressions() {
        for (uri, template) in [
            ("crm://customers/7", "crm://customers/{id}"),
            ("crm://customers/7/orders/8", "crm://customers/{id}/orders/{order}"),
            ("crm://a.b.txt", "crm://{name}.txt"),
            ("crm://a", "crm://a{?q}"),
            ("crm://a", "{+all}"),
            ("crm://a", "crm://a"),
            (&"x".repeat(TEXT_BYTES_MAX), "xx{rest}"),
        ] {
            assert!(may_be_of(uri, template), "{uri} {template}");
        }
        for (uri, template) in [
            ("crm://orders/7", "crm://customers/{id}"),
            ("crm://customers/7", "crm://customers/{id}/orders/{order}"),
            ("crm://a.md", "crm://{name}.txt"),
            ("crm://ab", "crm://a"),
            (&"x".repeat(TEXT_BYTES_MAX), "xy{rest}"),
        ] {
            assert!(!may_be_of(uri, template), "{uri} {template}");
        }
    }
}
