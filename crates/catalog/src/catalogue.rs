//! All accepted definitions of all servers, as one immutable snapshot.

use crate::drafts::{self, Drafting};
use crate::judged;
use crate::observed::Observation;
use crate::risk::Siblings;
use crate::{Claimed, Classified, Declarations, Definition, Tier};
use decision::{Digest, Environment, Item as Named, ItemKind, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One accepted item and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub definition: Arc<Definition>,
    pub classified: Classified,
    /// What the author says; never trusted by itself.
    pub claimed: Claimed,
    /// Set for a tool of the gateway's own, beside one of the server's.
    pub drafting: Option<Drafting>,
}

/// One server: where it runs, what the operator declared, and its accepted items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEntry {
    pub environment: Environment,
    pub declarations: Declarations,
    items: BTreeMap<ItemKind, BTreeMap<String, Item>>,
    /// Tools that stand for a call of another: rules speak of that one.
    submits: BTreeMap<String, Item>,
    /// What answers of its tools said that their calls did, by name.
    observed: BTreeMap<String, Vec<Observation>>,
    /// What was accepted and nobody could use, and why: no items, but rules may speak of such tools.
    withheld: BTreeMap<Named, Arc<str>>,
    /// Tools that were seen once, and are not offered.
    absent: BTreeSet<String>,
    /// How much would be at stake with what is accepted or shown of its tools and not offered, at worst, by name.
    unoffered: BTreeMap<String, Tier>,
}

impl ServerEntry {
    /// Classifies `definitions`. Of two with one kind and name the later one counts.
    pub fn new(
        environment: Environment,
        declarations: Declarations,
        definitions: impl IntoIterator<Item = Arc<Definition>>,
    ) -> Self {
        Self::with_observed(environment, declarations, definitions, BTreeMap::new())
    }

    /// The same of a server whose tools were seen to do something.
    pub fn with_observed(
        environment: Environment,
        declarations: Declarations,
        definitions: impl IntoIterator<Item = Arc<Definition>>,
        observed: BTreeMap<String, Vec<Observation>>,
    ) -> Self {
        let mut items: BTreeMap<ItemKind, BTreeMap<String, Item>> = BTreeMap::new();
        let definitions: Vec<_> = definitions.into_iter().collect();
        let tools = definitions.iter().filter(|one| one.kind() == ItemKind::Tool);
        let siblings = Siblings::of(tools.map(|one| one.name()));
        for definition in definitions {
            let claimed = definition.claimed();
            let classified = {
                let observed = observed.get(definition.name()).map(Vec::as_slice).unwrap_or_default();
                judged::classify(&declarations, &definition, &siblings, observed)
            };
            let (kind, name) = (definition.kind(), definition.name().to_owned());
            items
                .entry(kind)
                .or_default()
                .insert(name, Item { definition, classified, claimed, drafting: None });
        }
        let mut submits = BTreeMap::new();
        if let Some(tools) = items.get_mut(&ItemKind::Tool) {
            let drafted = tools.iter().filter(|(name, _)| declarations.drafts(name));
            let made: Vec<_> = drafted.flat_map(|(_, item)| drafts::beside(item)).collect();
            for (name, item) in made {
                match item.drafting {
                    Some(Drafting::Submit { .. }) => {
                        tools.remove(&name);
                        submits.insert(name, item);
                    }
                    Some(Drafting::Draft { .. }) | None => drop(tools.insert(name, item)),
                }
            }
        }
        Self {
            environment,
            declarations,
            items,
            submits,
            observed,
            withheld: BTreeMap::new(),
            absent: BTreeSet::new(),
            unoffered: BTreeMap::new(),
        }
    }

    /// The same, with what was accepted and nobody could use, and why.
    #[must_use]
    pub fn beside(mut self, withheld: BTreeMap<Named, Arc<str>>) -> Self {
        self.withheld = withheld;
        self
    }

    /// Whether it is a tool that was accepted, and that nobody could call.
    pub fn is_withheld(&self, tool: &str) -> bool {
        self.why_withheld(&Named { kind: ItemKind::Tool, name: tool.to_owned() }).is_some()
    }

    /// Why nobody could use it, if it was accepted and nobody could.
    pub fn why_withheld(&self, item: &Named) -> Option<&str> {
        self.withheld.get(item).map(|why| &**why)
    }

    /// What was accepted and nobody could use, and why.
    pub fn withheld(&self) -> impl Iterator<Item = (&Named, &str)> {
        self.withheld.iter().map(|(item, why)| (item, &**why))
    }

    /// The same, with tools that were seen once and are not offered: new, changed, rejected or gone.
    #[must_use]
    pub fn without(mut self, absent: BTreeSet<String>) -> Self {
        self.absent = absent;
        self
    }

    /// The same, with definitions of its tools that are accepted or shown, and that nobody is offered.
    #[must_use]
    pub fn with_unoffered(mut self, definitions: &[Arc<Definition>]) -> Self {
        let tools = self.of_kind(ItemKind::Tool).map(|item| &item.definition).chain(definitions);
        let siblings = Siblings::of(tools.map(|one| one.name()));
        let mut unoffered = BTreeMap::new();
        for definition in definitions.iter().filter(|one| one.kind() == ItemKind::Tool) {
            let observed = self.observed(definition.name());
            let tier = judged::classify(&self.declarations, definition, &siblings, observed).tier;
            let worst = unoffered.entry(definition.name().to_owned()).or_insert(tier);
            *worst = tier.max(*worst);
        }
        self.unoffered = unoffered;
        self
    }

    /// How much would be at stake with what is accepted or shown of its tools and not offered, at worst, by name.
    pub fn unoffered(&self) -> &BTreeMap<String, Tier> {
        &self.unoffered
    }

    /// Whether it is a tool that was seen once, and is not offered now.
    pub fn is_absent(&self, tool: &str) -> bool {
        self.absent.contains(tool)
    }

    /// The accepted items of one kind, by their author's names.
    pub fn of_kind(&self, kind: ItemKind) -> impl DoubleEndedIterator<Item = &Item> {
        self.items.get(&kind).into_iter().flat_map(BTreeMap::values)
    }
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().flat_map(BTreeMap::values)
    }
    pub fn item(&self, kind: ItemKind, name: &str) -> Option<&Item> {
        self.items.get(&kind)?.get(name)
    }
    /// What submits drafts, by name.
    pub fn submits(&self) -> impl Iterator<Item = &Item> {
        self.submits.values()
    }
    pub fn submit(&self, name: &str) -> Option<&Item> {
        self.submits.get(name)
    }
    /// What answers of its tools said that their calls did, by name.
    pub fn all_observed(&self) -> &BTreeMap<String, Vec<Observation>> {
        &self.observed
    }
    /// The same of one tool.
    pub fn observed(&self, tool: &str) -> &[Observation] {
        self.observed.get(tool).map(Vec::as_slice).unwrap_or_default()
    }
    /// No definition was accepted yet: a server that was never reached looks like this.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Everything that was accepted, in one snapshot under one digest. Policies and the gateway work on the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    servers: BTreeMap<ServerName, Arc<ServerEntry>>,
    digest: Digest,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new(BTreeMap::<_, ServerEntry>::new())
    }
}

/// So many addresses of a server that others have are told.
const SHARED_MAX: usize = 10;

impl Catalogue {
    /// The digest covers every server, its environment, and every definition with its classification.
    pub fn new(servers: BTreeMap<ServerName, impl Into<Arc<ServerEntry>>>) -> Self {
        let servers: BTreeMap<_, Arc<ServerEntry>> =
            servers.into_iter().map(|(name, entry)| (name, entry.into())).collect();
        let mut text = String::from("callgate/catalogue/v1\n");
        for (name, entry) in &servers {
            text.push_str(&format!("server {name} {}\n", entry.environment));
            for item in entry.items() {
                let Classified { effect, tier, categories, origin } = &item.classified;
                let (kind, digest) = (item.definition.kind(), item.definition.digest());
                text.push_str(&format!("{kind:?} {digest} {effect:?} {tier:?} {categories:?} {origin:?}\n"));
            }
        }
        Self { servers, digest: Digest::of(text.as_bytes()) }
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }
    pub fn servers(&self) -> impl Iterator<Item = (&ServerName, &ServerEntry)> {
        self.servers.iter().map(|(name, entry)| (name, &**entry))
    }
    pub fn server(&self, name: &ServerName) -> Option<&ServerEntry> {
        self.entry(name).map(|entry| &**entry)
    }
    /// The same to be kept: a snapshot of which little has changed shares the rest with the one before.
    pub fn entry(&self, name: &ServerName) -> Option<&Arc<ServerEntry>> {
        self.servers.get(name)
    }
    /// Addresses of this server that others offer, too, all as they were accepted: whoever reads one and does not say whose is
    /// refused. A sentence each, which says how to end that.
    pub fn shared_addresses(&self, server: &ServerName) -> Vec<String> {
        let Some(own) = self.servers.get(server) else { return Vec::new() };
        let kinds = [ItemKind::Resource, ItemKind::ResourceTemplate];
        let addresses = kinds.into_iter().flat_map(|kind| own.of_kind(kind));
        let sentence = |item: &Item| {
            let (kind, name) = (item.definition.kind(), item.definition.name());
            let others = self
                .servers
                .iter()
                .filter(|(other, entry)| *other != server && entry.item(kind, name).is_some());
            let others: Vec<String> = others.map(|(other, _)| format!("`{other}`")).collect();
            let called = crate::drift::called(&decision::Item { kind, name: name.to_owned() });
            (!others.is_empty()).then(|| {
                format!(
                    "`{called}` was accepted of {} as well, so whoever reads it at `/mcp` is refused (`item-ambiguous`): refuse it \
                     of the one that is not meant (`callgate registry reject {server} '{called}'`, or the same of the other), or \
                     have clients read it at `/s/{server}/mcp`",
                    others.join(" and ")
                )
            })
        };
        addresses.filter_map(sentence).take(SHARED_MAX).collect()
    }

    pub fn item(&self, server: &ServerName, kind: ItemKind, name: &str) -> Option<&Item> {
        self.servers.get(server)?.item(kind, name)
    }
    /// The tool or prompt behind a federated name.
    pub fn federated(&self, kind: ItemKind, name: &str) -> Option<&Item> {
        let (server, name) = split(name)?;
        self.item(&server, kind, name)
    }
}

/// `server__tool`: the name of a server's tool or prompt at `/mcp`.
pub fn federated(server: &ServerName, name: &str) -> String {
    format!("{server}__{name}")
}

/// Takes a federated name apart. A server's name holds no `__`, so this has one answer.
pub fn split(federated: &str) -> Option<(ServerName, &str)> {
    let (server, name) = federated.split_once("__")?;
    Some((ServerName::new(server).ok()?, name)).filter(|(_, name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declared, Effect};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn catalogue(declarations: Declarations, environment: &str) -> Catalogue {
        let server = ServerName::new("crm").unwrap();
        let raw = Bytes::from_static(br#"{"name":"get_customer","annotations":{"readOnlyHint":true}}"#);
        let tool = Arc::new(Definition::new(server.clone(), ItemKind::Tool, raw).unwrap());
        let entry = ServerEntry::new(Environment::new(environment).unwrap(), declarations, [tool]);
        Catalogue::new(BTreeMap::from([(server, entry)]))
    }

    #[test]
    fn a_changed_declaration_or_environment_is_another_catalogue() {
        let base = catalogue(Declarations::default(), "local");
        assert_eq!(base.digest(), catalogue(Declarations::default(), "local").digest());
        assert_ne!(base.digest(), catalogue(Declarations::default(), "production").digest());
        let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
        let declared = Declarations { trust_annotations: false, tools: vec![("get_*".into(), read)] };
        assert_ne!(base.digest(), catalogue(declared, "local").digest());
    }

    #[test]
    fn a_federated_name_finds_its_item_and_a_wrong_one_does_not() {
        let catalogue = catalogue(Declarations::default(), "local");
        assert!(catalogue.federated(ItemKind::Tool, "crm__get_customer").is_some());
        for wrong in ["get_customer", "crm__", "crm_get_customer", "CRM__get_customer", "crm__get_customer "]
        {
            assert!(catalogue.federated(ItemKind::Tool, wrong).is_none(), "{wrong}");
        }
        assert!(catalogue.federated(ItemKind::Prompt, "crm__get_customer").is_none());
    }

    proptest! {
        #[test]
        fn a_federated_name_splits_into_what_it_was_made_of(server in "[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,5})?", name in "[!-~]{1,20}") {
            let server = ServerName::new(server).unwrap();
            let joined = federated(&server, &name);
            prop_assert_eq!(split(&joined), Some((server, name.as_str())));
        }
    }
}
