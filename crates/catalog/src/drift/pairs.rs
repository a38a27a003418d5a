//! Which item of before is which item of now.

use super::fields::{self, Site};
use super::findings::Both;
use super::names::{Names, Shape, TooMany, confusable, respelled};
use super::renames::{Stems, share};
use super::text::{self, Role};
use super::vocabulary::Vocabulary;
use super::{Change, Item, Kind, Seen, Server};
use crate::risk::Siblings;
use decision::ItemKind;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Two versions of one server, either of which may be missing.
type Pair<'a> = (Option<&'a Server>, Option<&'a Server>);

/// Everything that differs, in no order.
pub(super) fn servers(old: &[Server], new: &[Server]) -> Seen {
    let several = old.len() > 1 || new.len() > 1;
    let mut seen = Seen::default();
    let found = Both::of(old, new);
    for (was, is) in paired(old, new) {
        let name = was.or(is).and_then(|server| server.name.clone());
        let label = match name {
            Some(name) if several => format!("{name}/"),
            Some(_) | None => String::new(),
        };
        let others: BTreeSet<&str> = new
            .iter()
            .filter(|server| !is.is_some_and(|is| std::ptr::eq(is, *server)))
            .flat_map(|server| &server.items)
            .filter(|item| item.kind == ItemKind::Tool)
            .map(|item| item.name.as_str())
            .collect();
        server(&label, was, is, (&found, &others), &mut seen);
    }
    seen
}

/// By name, in order where a name occurs twice. What is left is one server under another name, if it is one on each side.
fn paired<'a>(old: &'a [Server], new: &'a [Server]) -> Vec<Pair<'a>> {
    let mut left: Vec<&Server> = new.iter().collect();
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut gone: Vec<&Server> = Vec::new();
    for server in old {
        match left.iter().position(|other| other.name == server.name) {
            Some(at) => pairs.push((Some(server), Some(left.remove(at)))),
            None => gone.push(server),
        }
    }
    if let ([was], [is]) = (gone.as_slice(), left.as_slice()) {
        pairs.push((Some(was), Some(is)));
        return pairs;
    }
    pairs.extend(gone.into_iter().map(|server| (Some(server), None)));
    pairs.extend(left.into_iter().map(|server| (None, Some(server))));
    pairs
}

fn server(
    label: &str,
    was: Option<&Server>,
    is: Option<&Server>,
    (found, others): (&Both<'_>, &BTreeSet<&str>),
    seen: &mut Seen,
) {
    let nothing = Server::default();
    let (old, new) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
    let identity = format!("{label}server:identity");
    let count = seen.changes.len();
    let mut tell = |place: &str, kind: Kind, fits: bool, weight: f64, because: String| {
        seen.changes.push(Change::new(&identity, place.to_owned(), kind, fits, weight, because));
    };
    match (was, is) {
        (Some(_), None) => tell("", Kind::ServerRemoved, false, 0.1, "the server is gone".to_owned()),
        (None, Some(_)) => tell("", Kind::ServerAdded, true, 0.3, "the server is new".to_owned()),
        (Some(Server { name: Some(a), .. }), Some(Server { name: Some(b), .. })) if a != b => {
            let weight = if confusable(a, b) { 0.85 } else { 0.2 };
            tell("/server", Kind::ServerRenamed, false, weight, format!("`{a}` is called `{b}`"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    identities(&identity, old, new, seen);
    seen.remember(count, &identity, old.identity.as_ref(), new.identity.as_ref());
    instructions(label, old, new, seen);
    if let Some(is) = is {
        found.server(&format!("{label}server:instructions"), was, is, seen);
    }
    items(label, (old, new), (found, others), seen);
}

fn identities(item: &str, old: &Server, new: &Server, seen: &mut Seen) {
    if old.identity == new.identity {
        return;
    }
    let (Some(was), Some(is)) = (&old.identity, &new.identity) else {
        // a list that does not tell is no server that hides it
        let because = "only one of the two says what the server calls itself".to_owned();
        return seen.changes.push(Change::new(
            item,
            "/serverInfo".to_owned(),
            Kind::IdentityChanged,
            true,
            0.02,
            because,
        ));
    };
    let vocabulary = Vocabulary::of(was, is);
    let mut site = Site::new(item, &vocabulary);
    fields::identity(&mut site, was, is);
    seen.changes.append(&mut site.changes);
}

fn instructions(label: &str, old: &Server, new: &Server, seen: &mut Seen) {
    let (was, is) = (old.instructions.as_deref(), new.instructions.as_deref());
    if was == is {
        return;
    }
    let item = format!("{label}server:instructions");
    // what a server tells every client may speak of all that it offers
    let mut vocabulary = Vocabulary::of_text(was.unwrap_or_default());
    for item in old.items.iter().chain(&new.items) {
        vocabulary.text(&item.name);
    }
    let mut site = Site::new(&item, &vocabulary);
    text::compare(&mut site, "/instructions", Role::Guide, was, is);
    let count = seen.changes.len();
    seen.changes.append(&mut site.changes);
    let value = |text: Option<&str>| text.map(|text| json!({ "instructions": text }));
    seen.remember(count, &item, value(was).as_ref(), value(is).as_ref());
}

fn items(
    label: &str,
    (old, new): (&Server, &Server),
    (found, others): (&Both<'_>, &BTreeSet<&str>),
    seen: &mut Seen,
) {
    let tools = |server: &Server| -> Siblings {
        let names = server.items.iter().filter(|item| item.kind == ItemKind::Tool);
        Siblings::of(names.map(|item| item.name.as_str()))
    };
    let siblings = (tools(old), tools(new));
    let before = old.items.iter().filter(|item| item.kind == ItemKind::Tool);
    let mut known = (Names::of(before.map(|item| item.name.as_str())), Names::of(others.iter().copied()));
    for (was, is) in matched(&old.items, &new.items) {
        let Some(first) = was.or(is) else { continue };
        let item = named(label, first);
        let count = seen.changes.len();
        let mut tell = |place: String, kind: Kind, fits: bool, weight: f64, because: String| {
            seen.changes.push(Change::new(&item, place, kind, fits, weight, because));
        };
        match (was, is) {
            (Some(was), Some(is)) if was.name != is.name => {
                let (kind, weight, because) = rename(was, is);
                tell(pointer(is), kind, false, weight, because);
            }
            (Some(was), None) => {
                let because = format!("`{}` is no longer offered", was.name);
                tell(String::new(), Kind::ItemRemoved, false, 0.1, because);
            }
            (None, Some(is)) => {
                tell(String::new(), Kind::ItemAdded, true, 0.2, format!("`{}` is offered now", is.name));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(is) = is {
            if was.is_none_or(|was| was.name != is.name) {
                shadows(&item, is, &mut known, &mut seen.changes);
            }
            match was {
                Some(was) => fields::item(&item, was, is, &siblings, &mut seen.changes),
                None => fields::added(&item, is, &siblings.1, &mut seen.changes),
            }
            found.item(&item, was.map(|was| (old, was)), (new, is), seen);
        }
        seen.remember(count, &item, was.map(|was| &was.value), is.map(|is| &is.value));
    }
}

/// How an item is called in an answer.
fn named(label: &str, item: &Item) -> String {
    format!("{label}{}", called(item.kind, &item.name))
}

pub(super) fn called(kind: ItemKind, name: &str) -> String {
    let kind = match kind {
        ItemKind::Tool => "",
        ItemKind::Prompt => "prompt:",
        ItemKind::Resource => "resource:",
        ItemKind::ResourceTemplate => "resource-template:",
        ItemKind::Server => "server:",
        ItemKind::Question => "question:",
    };
    format!("{kind}{name}")
}

fn pointer(item: &Item) -> String {
    let field = match item.kind {
        ItemKind::Resource => "/uri",
        ItemKind::ResourceTemplate => "/uriTemplate",
        ItemKind::Tool | ItemKind::Prompt | ItemKind::Server | ItemKind::Question => "/name",
    };
    field.to_owned()
}

fn rename(was: &Item, is: &Item) -> (Kind, f64, String) {
    let (a, b) = (was.name.as_str(), is.name.as_str());
    let foreign = a.is_ascii() && !b.is_ascii();
    if confusable(a, b) || foreign {
        let shown: String = b.chars().flat_map(char::escape_default).collect();
        let because = format!("`{a}` is called `{shown}`, which looks like it and is another name");
        return (Kind::NameConfusable, 0.95, because);
    }
    if was.kind == ItemKind::ResourceTemplate && reaches_more(a, b) {
        return (Kind::ItemRenamed, 0.4, format!("`{a}` is called `{b}`, which reaches more addresses"));
    }
    let weight = if respelled(a, b) { 0.15 } else { 0.25 };
    (Kind::ItemRenamed, weight, format!("`{a}` is called `{b}`"))
}

/// Whether a template takes addresses that the one before did not: what it begins with says less, or more of it takes a slash.
fn reaches_more(old: &str, new: &str) -> bool {
    let opening = |template: &str| template.split('{').next().unwrap_or_default().len();
    let across = |template: &str| {
        ["{+", "{#", "{/", "*}"].map(|open| template.matches(open).count()).iter().sum::<usize>()
    };
    let (before, after) = (opening(old), opening(new));
    let shorter = after < before && old.get(..after) == new.get(..after);
    shorter || across(new) > across(old)
}

/// A new name that others know under another hand.
fn shadows(item: &str, is: &Item, known: &mut (Names<'_>, Names<'_>), changes: &mut Vec<Change>) {
    if is.kind != ItemKind::Tool {
        return;
    }
    let name = is.name.as_str();
    let twin = match known.0.confusable(name) {
        Ok(None) => known.1.confusable(name),
        found => found,
    };
    let mut tell = |kind: Kind, weight: f64, because: String| {
        changes.push(Change::new(item, pointer(is), kind, true, weight, because));
    };
    match (twin, known.1.respelled(name)) {
        (Ok(Some(twin)), _) => {
            let because = format!("the name looks like `{twin}`, which is another item");
            tell(Kind::NameConfusable, 0.9, because);
        }
        (Err(TooMany), _) => {
            let because = "too many names in other scripts to tell which of them it looks like".to_owned();
            tell(Kind::NameConfusable, 0.9, because);
        }
        (Ok(None), Some(twin)) => tell(Kind::NameShadows, 0.6, format!("another server has a tool `{twin}`")),
        (Ok(None), None) => {}
    }
}

/// An item of before and the one that it is now, where there are such.
type Versions<'a> = (Option<&'a Item>, Option<&'a Item>);

/// By kind and name, in order where both occur twice; then by likeness.
fn matched<'a>(old: &'a [Item], new: &'a [Item]) -> Vec<Versions<'a>> {
    let mut by_name: BTreeMap<(ItemKind, &str), Vec<&Item>> = BTreeMap::new();
    for item in new.iter().rev() {
        by_name.entry((item.kind, &item.name)).or_default().push(item);
    }
    let (mut pairs, mut removed) = (Vec::new(), Vec::new());
    for item in old {
        match by_name.get_mut(&(item.kind, item.name.as_str())).and_then(Vec::pop) {
            Some(is) => pairs.push((Some(item), Some(is))),
            None => removed.push(item),
        }
    }
    let mut added: Vec<&Item> = by_name.into_values().flat_map(|items| items.into_iter().rev()).collect();
    let mut likely = Vec::new();
    let mut stems = Stems::default();
    let mut kinds: BTreeMap<ItemKind, Vec<Form<'_>>> = BTreeMap::new();
    for was in removed.iter().take(RENAMES_MAX) {
        let forms = kinds.entry(was.kind).or_insert_with(|| {
            let same = added.iter().filter(|is| is.kind == was.kind).take(RENAMES_MAX);
            same.map(|is| Form::of(is, &mut stems)).collect()
        });
        let form = Form::of(was, &mut stems);
        for is in forms {
            let like = form.like(is);
            if like >= RENAMED {
                likely.push((like, *was, is.item));
            }
        }
    }
    likely.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, was, is) in likely {
        let at = |list: &[&Item], item: &Item| list.iter().position(|other| std::ptr::eq(*other, item));
        if let (Some(from), Some(to)) = (at(&removed, was), at(&added, is)) {
            pairs.push((Some(removed.remove(from)), Some(added.remove(to))));
        }
    }
    pairs.extend(removed.into_iter().map(|was| (Some(was), None)));
    pairs.extend(added.into_iter().map(|is| (None, Some(is))));
    pairs
}

/// From this likeness on, an item that came is taken for one that went.
pub(super) const RENAMED: f64 = 0.6;
/// So many of each side are compared with one another.
const RENAMES_MAX: usize = 200;

/// An item, ready to be held beside many.
struct Form<'a> {
    item: &'a Item,
    shape: Shape<'a>,
    stems: Vec<u32>,
}

impl<'a> Form<'a> {
    fn of(item: &'a Item, stems: &mut Stems) -> Self {
        Self { item, shape: Shape::of(&item.name), stems: stems.of(&item.value) }
    }

    /// How much an item that came looks like one that went, from 0 to 1.
    fn like(&self, other: &Self) -> f64 {
        let (a, b) = (&self.shape, &other.shape);
        if a.is_confusable(b) || a.is_respelled(b) {
            return 1.0;
        }
        0.4 * a.likeness(b) + 0.6 * share(&self.stems, &other.stems)
    }
}
