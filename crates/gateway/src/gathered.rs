//! What is pinned of every server, ready for a snapshot. Of servers about which nothing has changed it is what the snapshot
//! before has: there may be hundreds of servers and thousands of tools, and mostly one of them has changed.

use crate::gate::{Live, Peer, Withdrawn};
use crate::resolve::NOT_NORMAL;
use crate::schemas::{self, Judge};
use crate::settings::{Mode, ServerSettings, Settings};
use crate::sighted;
use bytes::Bytes;
use catalog::ServerEntry;
use decision::{Digest, Item, ItemKind, ServerName, Timestamp};
use std::{collections::BTreeMap, fmt::Write as _, num::NonZero, panic::resume_unwind, sync::Arc, thread};
use store::{Definition, Pin, PinState, Server, Store, StoreError};
use wire::Eras;

/// Servers whose definitions are read one by one; of more, all are read at once.
const FEW: usize = 8;

/// Everything of a snapshot that is of one server.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) servers: BTreeMap<ServerName, Arc<ServerEntry>>,
    pub(crate) peers: BTreeMap<ServerName, Peer>,
    /// What was pinned of each then.
    pub(crate) marks: BTreeMap<ServerName, Digest>,
}

pub(crate) async fn gather(
    store: &Store,
    settings: &Settings,
    before: Option<&Live>,
    eras: &BTreeMap<ServerName, Eras>,
    now: Timestamp,
) -> Result<Gathered, StoreError> {
    let scope = settings.scope();
    // where nothing is known yet, all of it is read in one go
    let all = async {
        let start = before.is_none() && settings.servers.len() > FEW;
        if start { store.all_accepted(&scope).await.map(Some) } else { Ok(None) }
    };
    let (pins, all) = tokio::try_join!(store.all_pins(&scope), all)?;
    let (known, mut seen) = (store.list_servers(&scope).await?, store.observations(&scope).await?);
    let known: BTreeMap<&ServerName, &Server> = known.iter().map(|server| (&server.name, server)).collect();
    let mut gathered = Gathered::default();
    let mut changed = Vec::new();
    for (name, server) in &settings.servers {
        let pins = pins.get(name).map(Vec::as_slice).unwrap_or_default();
        let mark = mark(pins, seen.get(name));
        gathered.marks.insert(name.clone(), mark);
        match before.and_then(|before| shared(before, name, server, (mark, now))) {
            Some((entry, peer)) => gathered.put(name, entry, peer, eras, known.get(name).copied()),
            None => changed.push((name, server, pins)),
        }
    }
    let mut all = match all {
        None if changed.len() > FEW => Some(store.all_accepted(&scope).await?),
        all => all,
    };
    let mut read = Vec::new();
    for (name, server, pins) in changed {
        let accepted = match &mut all {
            Some(all) => all.remove(name).unwrap_or_default(),
            None => store.accepted(&scope, name).await?,
        };
        let kept = sighted::still_served(store, &scope, name, pins).await?;
        let any = pins.iter().any(|pin| pin.state != PinState::Approved);
        let unoffered = if any { store.unoffered_tools(&scope, name).await? } else { Vec::new() };
        let declarations = server.declarations.at(now);
        let observed = seen.remove(name).unwrap_or_default();
        let before = before.and_then(|before| usable(before, name, server));
        read.push(Read { name, server, pins, accepted, kept, unoffered, declarations, observed, before });
    }
    for (name, entry, said) in schemas::aside(|| side_by_side(read, Read::judged)) {
        gathered.put(name, Arc::new(entry), Some(said), eras, known.get(name).copied());
    }
    Ok(gathered)
}

/// What the store has of one server that is to be judged anew.
struct Read<'a> {
    name: &'a ServerName,
    server: &'a ServerSettings,
    pins: &'a [Pin],
    accepted: Vec<Definition>,
    /// Accepted, and served on though something else is shown.
    kept: Vec<Definition>,
    /// What is accepted or shown of tools that are not as they were accepted.
    unoffered: Vec<Definition>,
    declarations: catalog::Declarations,
    observed: Observed,
    /// What was found usable before.
    before: Option<&'a ServerEntry>,
}

/// Does the work of many servers on all processors, and that of a few at once. Its results are in the order of `all`.
fn side_by_side<T: Send, R: Send>(mut all: Vec<T>, work: fn(T) -> R) -> Vec<R> {
    if all.len() <= FEW {
        return all.into_iter().map(work).collect();
    }
    let most = all.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get));
    thread::scope(|scope| {
        let mut parts = Vec::new();
        while all.len() > most {
            let part = all.split_off(all.len() - most);
            parts.push(scope.spawn(move || part.into_iter().map(work).collect::<Vec<_>>()));
        }
        let mut done: Vec<R> = all.into_iter().map(work).collect();
        for part in parts.into_iter().rev() {
            done.extend(part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    })
}

/// What a peer is known by beside its last discovery: its instructions, and what is not offered.
type Said = (Option<String>, BTreeMap<(ItemKind, String), Withdrawn>);

impl Gathered {
    fn put(
        &mut self,
        name: &ServerName,
        entry: Arc<ServerEntry>,
        said: Option<Said>,
        eras: &BTreeMap<ServerName, Eras>,
        known: Option<&Server>,
    ) {
        self.servers.insert(name.clone(), entry);
        let Some((meta, _)) = known.and_then(|server| server.meta.as_ref()) else { return };
        let remembered = match meta.era {
            decision::Era::Legacy => Eras::Legacy,
            decision::Era::Modern => Eras::Modern,
        };
        let capabilities = meta.capabilities.clone().unwrap_or_else(|| Bytes::from_static(b"{}"));
        let (instructions, withdrawn) = said.unwrap_or_default();
        let eras = eras.get(name).copied().unwrap_or(remembered);
        self.peers.insert(name.clone(), Peer { eras, capabilities, instructions, withdrawn });
    }
}

/// What the snapshot before says of a server of which the same is pinned, and which is declared to be the same.
fn shared(
    before: &Live,
    name: &ServerName,
    server: &ServerSettings,
    (mark, now): (Digest, Timestamp),
) -> Option<(Arc<ServerEntry>, Option<Said>)> {
    let entry = before.catalogue.entry(name)?;
    let same = before.marks.get(name) == Some(&mark)
        && entry.environment == server.environment
        && entry.declarations == server.declarations.at(now)
        && usable(before, name, server).is_some();
    if !same {
        return None;
    }
    let peer = before.peers.get(name)?;
    Some((Arc::clone(entry), Some((peer.instructions.clone(), peer.withdrawn.clone()))))
}

/// What the snapshot before offers of a server whose arguments were as open, and whose rules were as binding, as they are
/// now: it can be used.
fn usable<'a>(before: &'a Live, name: &ServerName, server: &ServerSettings) -> Option<&'a ServerEntry> {
    let was = before.settings.servers.get(name)?;
    let same = was.open_arguments == server.open_arguments && was.mode == server.mode;
    before.catalogue.server(name).filter(|_| same)
}

/// What was observed of a server's tools, by name.
type Observed = BTreeMap<String, Vec<catalog::observed::Observation>>;

/// Stands for everything about a server's pins that a snapshot is made of.
fn mark(pins: &[Pin], observed: Option<&Observed>) -> Digest {
    let mut text = String::from("callgate/pinned/v1\n");
    for pin in pins {
        let (approved, rejected) = (&pin.approved, &pin.rejected);
        let digest = |mark: &Option<store::Mark>| mark.as_ref().map(|mark| mark.digest);
        let name = &pin.item.name;
        let _ = writeln!(
            text,
            "{:?} {} {name} {:?} {:?} {} {:?} {:?}",
            pin.item.kind,
            name.len(),
            pin.state,
            digest(approved),
            pin.seen,
            digest(rejected),
            pin.left.as_ref().filter(|left| left.held).map(|left| left.digest),
        );
    }
    for (name, all) in observed.into_iter().flatten() {
        let _ = writeln!(text, "observed {} {name} {all:?}", name.len());
    }
    Digest::of(text.as_bytes())
}

impl<'a> Read<'a> {
    fn judged(mut self) -> (&'a ServerName, ServerEntry, Said) {
        let mut instructions = None;
        let mut definitions = Vec::new();
        let mut withdrawn = sighted::withdrawn(self.pins);
        for definition in &self.kept {
            withdrawn.remove(&(definition.item.kind, definition.item.name.clone()));
        }
        let (accepted, kept) = (std::mem::take(&mut self.accepted), std::mem::take(&mut self.kept));
        for definition in accepted.into_iter().chain(kept) {
            if definition.item.kind == ItemKind::Server {
                instructions = serde_json::from_slice::<String>(&definition.raw).ok();
                continue;
            }
            match catalog::Definition::new(self.name.clone(), definition.item.kind, definition.raw) {
                Ok(definition) => definitions.push(Arc::new(definition)),
                Err(e) => {
                    tracing::warn!(server = %self.name, error = %e, "a pinned definition cannot be read")
                }
            }
        }
        let mut unoffered = self.unoffered();
        let (mut judge, mut unusable) = (Judge::default(), BTreeMap::new());
        definitions.retain(|definition| {
            let Some(why) = self.unusable(definition, &mut judge) else { return true };
            tracing::warn!(server = %self.name, item = %definition.name(), because = %why, "withheld: nobody could use it");
            let (name, why) = (definition.name().to_owned(), Arc::<str>::from(why));
            unusable.insert(Item { kind: definition.kind(), name: name.clone() }, Arc::clone(&why));
            withdrawn.insert((definition.kind(), name), Withdrawn::Unusable(why));
            unoffered.push(Arc::clone(definition));
            false
        });
        let environment = self.server.environment.clone();
        let (declarations, observed) = (self.declarations, self.observed);
        let entry =
            ServerEntry::with_observed(environment, declarations, definitions, observed).beside(unusable);
        // what a server takes away stays known to rules, or it could keep others' from being put in force
        let tools = self.pins.iter().filter(|pin| pin.item.kind == ItemKind::Tool);
        let absent = tools.filter(|pin| entry.item(ItemKind::Tool, &pin.item.name).is_none());
        let absent = absent.map(|pin| pin.item.name.clone()).collect();
        let entry = entry.without(absent).with_unoffered(&unoffered);
        (self.name, entry, (instructions, withdrawn))
    }

    /// What can be read of what is not offered.
    fn unoffered(&mut self) -> Vec<Arc<catalog::Definition>> {
        let all = std::mem::take(&mut self.unoffered).into_iter();
        let read = |one: Definition| catalog::Definition::new(self.name.clone(), one.item.kind, one.raw).ok();
        all.filter_map(read).map(Arc::new).collect()
    }

    /// Why nobody could use it.
    fn unusable(&self, definition: &catalog::Definition, judge: &mut Judge) -> Option<String> {
        let (kind, name) = (definition.kind(), definition.name());
        let tools = || self.pins.iter().filter(|pin| pin.item.kind == ItemKind::Tool);
        let known = |tool: &str| tools().any(|pin| pin.item.name == tool);
        if kind == ItemKind::Tool
            && let Some(of) = catalog::reserved(&self.declarations, name, known)
        {
            return Some(catalog::reserved_because(name, of));
        }
        let address = matches!(kind, ItemKind::Resource | ItemKind::ResourceTemplate);
        // where rules refuse nothing, nobody can walk around them
        if address && self.server.mode == Mode::Enforce && !policy::is_normal_address(name) {
            return Some(NOT_NORMAL.to_owned());
        }
        let known = self.before.and_then(|before| before.item(kind, name));
        if known.is_some_and(|known| known.definition.digest() == definition.digest()) {
            return None;
        }
        judge.problem(definition, schemas::unknown(&self.server.open_arguments, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Mark;

    #[test]
    fn many_are_judged_side_by_side_and_come_back_in_their_order() {
        for count in [0, 1, FEW, FEW + 1, 100, 101] {
            let all: Vec<usize> = (0..count).collect();
            let here = |n: usize| (n, thread::current().id());
            let done = side_by_side(all.clone(), here);
            assert_eq!(done.iter().map(|(n, _)| *n).collect::<Vec<_>>(), all);
            let threads: std::collections::BTreeSet<String> =
                done.iter().map(|(_, thread)| format!("{thread:?}")).collect();
            let many = count > FEW && thread::available_parallelism().is_ok_and(|n| n.get() > 1);
            assert_eq!(threads.len() > 1, many, "{count}");
        }
    }

    #[test]
    fn whatever_a_snapshot_is_made_of_is_another_mark() {
        let mark_of = |digest| Some(Mark { digest, at: Timestamp(1), by: "ann".to_owned() });
        let [one, two] = [b"1", b"2"].map(|text| Digest::of(text));
        let pin = Pin {
            item: Item { kind: ItemKind::Tool, name: "a".to_owned() },
            state: PinState::Approved,
            approved: mark_of(one),
            seen: one,
            seen_at: Timestamp(1),
            rejected: None,
            left: None,
        };
        let left = |held| {
            let (at, seen_by) = (Timestamp(1), None);
            Pin { left: Some(store::Left { times: 1, at, digest: two, seen_by, held }), ..pin.clone() }
        };
        let base = mark(std::slice::from_ref(&pin), None);
        let later = Pin { seen_at: Timestamp(9), ..pin.clone() };
        assert_eq!(mark(std::slice::from_ref(&later), None), base, "when it was seen says nothing");
        assert_eq!(
            mark(&[left(false)], None),
            base,
            "nor does what it was meanwhile, where nobody has to look"
        );
        for other in [
            Pin { item: Item { kind: ItemKind::Prompt, ..pin.item.clone() }, ..pin.clone() },
            Pin { item: Item { name: "b".to_owned(), ..pin.item.clone() }, ..pin.clone() },
            Pin { state: PinState::Changed, ..pin.clone() },
            Pin { approved: mark_of(two), ..pin.clone() },
            Pin { approved: None, ..pin.clone() },
            Pin { seen: two, ..pin.clone() },
            Pin { rejected: mark_of(two), ..pin.clone() },
            left(true),
        ] {
            assert_ne!(mark(std::slice::from_ref(&other), None), base, "{other:?}");
        }
        assert_ne!(mark(&[], None), base);
        let seen = catalog::observed::Observation {
            did: catalog::observed::Did::Deleted,
            how: catalog::observed::How::Flag,
            call: decision::CallId::new(Timestamp(1), [0; 10]),
            at: Timestamp(1),
        };
        let observed = BTreeMap::from([("a".to_owned(), vec![seen])]);
        assert_ne!(mark(std::slice::from_ref(&pin), Some(&observed)), base);
        assert_ne!(mark(&[pin.clone(), pin], None), base);
    }
}
