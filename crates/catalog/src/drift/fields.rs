//! The members of an item, each with what it means.

use super::alike::Among;
use super::schema::{self, Direction};
use super::stakes::Stakes;
use super::text::{self, Role};
use super::vocabulary::Vocabulary;
use super::{Change, Item, Kind, asked, claims};
use crate::risk::Siblings;
use decision::{ItemKind, canonical};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Where the changes of one item go, and what it was known to speak of.
#[derive(Debug)]
pub(super) struct Site<'a> {
    item: &'a str,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) changes: Vec<Change>,
    /// How many pairs of words may still be held beside each other.
    pub(super) cells: usize,
    pub(super) stakes: Stakes,
    /// How many more values may be judged as what is done.
    pub(super) judgements: usize,
}

/// So many values of one item are judged, which takes most of a tenth of a second.
const JUDGEMENTS_MAX: usize = 1_000;

impl<'a> Site<'a> {
    pub(super) fn new(item: &'a str, vocabulary: &'a Vocabulary) -> Self {
        Self {
            item,
            vocabulary,
            changes: vec![],
            cells: text::CELLS_MAX,
            stakes: Stakes::Changes,
            judgements: JUDGEMENTS_MAX,
        }
    }

    pub(super) fn push(&mut self, place: &str, kind: Kind, compatible: bool, weight: f64, because: String) {
        self.changes.push(Change::new(self.item, place.to_owned(), kind, compatible, weight, because));
    }
}

/// From this length on a place is not made longer, and so much of a name is told in one: every change below has its own copy,
/// and a name may be as long as a definition.
const PLACE_MAX: usize = 1_000;
const KEY_MAX: usize = 200;
/// Stands for what was left out of a place.
const CUT: char = '…';

/// The pointer to a member.
pub(super) fn at(place: &str, key: &str) -> String {
    if place.len() > PLACE_MAX {
        return place.to_owned();
    }
    let cut = key.char_indices().map(|(at, _)| at).find(|at| *at >= KEY_MAX);
    let (key, rest) = cut.and_then(|cut| Some((key.get(..cut)?, CUT.len_utf8()))).unwrap_or((key, 0));
    let mut here = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
    if rest > 0 || here.len() > PLACE_MAX {
        here.push(CUT);
    }
    here
}

/// Whether a place may be that of something else, too.
pub(super) fn is_cut(place: &str) -> bool {
    place.contains(CUT)
}

/// Both sides' keys, each once, in order.
pub(super) fn keys<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

/// What a value is when it is left out.
static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

pub(super) fn object(value: Option<&Value>) -> &Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// Two versions of one item.
pub(super) fn item(
    label: &str,
    was: &Item,
    is: &Item,
    siblings: &(Siblings, Siblings),
    changes: &mut Vec<Change>,
) {
    let same_bytes = was.raw.is_some() && was.raw == is.raw;
    if same_bytes {
        return;
    }
    let (old, new) = (canonical_form(was).unwrap_or_default(), canonical_form(is).unwrap_or_default());
    // 0.0 and -0.0 are equal as values
    if was.value == is.value && old == new {
        return;
    }
    let vocabulary = Vocabulary::of(&was.value, &is.value);
    let mut site = Site::new(label, &vocabulary);
    let tools = was.kind == ItemKind::Tool && was.value != is.value;
    let judged = tools.then(|| claims::judged(&was.value, &is.value, siblings));
    if let Some((old, new)) = &judged {
        site.stakes = Stakes::of(old, new);
    }
    members(&mut site, was.kind, &was.value, &is.value);
    if let Some((old, new)) = &judged {
        claims::compare(&mut site, (&was.value, old), (&is.value, new));
    }
    if canonical::long_numbers(&old) != canonical::long_numbers(&new) {
        // as values they may be equal, and nobody knows here what they are for
        let because = "a number with more digits than are compared is another".to_owned();
        site.push("", Kind::SchemaUnclear, false, 0.3, because);
    }
    let renamed = was.name != is.name;
    if site.changes.is_empty() && !renamed && old != new {
        let because = "a number is written with other digits".to_owned();
        site.push("", Kind::NumberRewritten, true, 0.02, because);
    }
    changes.append(&mut site.changes);
}

fn canonical_form(item: &Item) -> Option<Vec<u8>> {
    match &item.raw {
        Some(raw) => canonical::bytes(raw).ok(),
        None => canonical::bytes(item.value.to_string().as_bytes()).ok(),
    }
}

/// An item that nobody saw before: nothing to compare, but what it claims and says is new.
pub(super) fn added(label: &str, is: &Item, siblings: &Siblings, changes: &mut Vec<Change>) {
    // it is measured by itself: an address or a sentence is foreign to what else it says
    let vocabulary = Vocabulary::default();
    let mut site = Site::new(label, &vocabulary);
    if is.kind == ItemKind::Tool {
        claims::first(&mut site, &is.value, siblings);
    }
    changes.append(&mut site.changes);
}

fn members(site: &mut Site<'_>, kind: ItemKind, was: &Value, is: &Value) {
    let (Some(old), Some(new)) = (was.as_object(), is.as_object()) else {
        return any(site, "", was, is);
    };
    for key in keys(old, new) {
        let (before, after) = (old.get(key), new.get(key));
        if before != after {
            member(site, kind, key, before, after);
        }
    }
}

fn member(site: &mut Site<'_>, kind: ItemKind, key: &str, old: Option<&Value>, new: Option<&Value>) {
    let place = at("", key);
    let tool = kind == ItemKind::Tool;
    match key {
        // a name that differs was told when the two were matched
        "name" if matches!(kind, ItemKind::Tool | ItemKind::Prompt) => {}
        "uri" if kind == ItemKind::Resource => {}
        "uriTemplate" if kind == ItemKind::ResourceTemplate => {}
        "description" => texts(site, &place, Role::Guide, old, new),
        "title" | "name" => texts(site, &place, Role::Label, old, new),
        "inputSchema" if tool => schema::compare(site, &place, Direction::Arguments, old, new),
        "outputSchema" if tool => schema::compare(site, &place, Direction::Results, old, new),
        "annotations" if tool => claims::hints(site, &place, object(old), object(new)),
        "arguments" if kind == ItemKind::Prompt => prompt_arguments(site, &place, old, new),
        "icons" => icons(site, &place, old, new),
        "execution" if tool => execution(site, &place, old, new),
        "mimeType" => {
            let because = format!("its content was {} and is {}", told(old), told(new));
            site.push(&place, Kind::ContentTypeChanged, false, 0.2, because);
        }
        _ => unknown(site, &place, old, new),
    }
}

fn icons(site: &mut Site<'_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    let because = "other pictures stand for it".to_owned();
    site.push(place, Kind::IconsChanged, true, 0.05, because);
    strings(site, place, old, new);
}

/// Two texts, or whatever stands in their place.
pub(super) fn texts(site: &mut Site<'_>, place: &str, role: Role, old: Option<&Value>, new: Option<&Value>) {
    let text = |value: Option<&Value>| value.is_none_or(Value::is_string);
    if text(old) && text(new) {
        text::compare(site, place, role, old.and_then(Value::as_str), new.and_then(Value::as_str));
    } else {
        unknown(site, place, old, new);
    }
}

/// A value for a reason: short, and on one line.
pub(super) fn told(value: Option<&Value>) -> String {
    let Some(value) = value else { return "not given".to_owned() };
    let text = value.to_string();
    let mut short: String = text.chars().take(60).flat_map(visible).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let hide = inspect::shown::is_hidden(c);
    let escaped = hide.then(|| c.escape_unicode());
    escaped.into_iter().flatten().chain((!hide).then_some(c))
}

/// A member whose meaning is not known: compared down to its values, and its texts are read.
pub(super) fn unknown(site: &mut Site<'_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    match (old, new) {
        (None, Some(_)) => {
            site.push(place, Kind::MemberAdded, true, 0.06, format!("a new member, {}", told(new)))
        }
        (Some(_), None) => site.push(place, Kind::MemberRemoved, true, 0.04, format!("it was {}", told(old))),
        (Some(old), Some(new)) => return any(site, place, old, new),
        (None, None) => {}
    }
    strings(site, place, old, new);
}

/// Two values of any kind that differ.
fn any(site: &mut Site<'_>, place: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            for key in keys(a, b) {
                let (x, y) = (a.get(key), b.get(key));
                if x != y {
                    unknown(site, &at(place, key), x, y);
                }
            }
        }
        (Value::String(a), Value::String(b)) => text::compare(site, place, Role::Value, Some(a), Some(b)),
        _ => {
            let because = format!("it was {} and is {}", told(Some(old)), told(Some(new)));
            site.push(place, Kind::MemberChanged, true, 0.06, because);
            strings(site, place, Some(old), Some(new));
        }
    }
}

/// The texts of a value that were not in the old one: each is read as one in a place where texts are rare.
pub(super) fn strings(site: &mut Site<'_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    let mut known = BTreeSet::new();
    if let Some(old) = old {
        walk(old, place, &mut |_, text| {
            known.insert(text.to_owned());
        });
    }
    if let Some(new) = new {
        walk(new, place, &mut |place, text| {
            if !known.contains(text) {
                text::arrival(site, place, Role::Value, text);
            }
        });
    }
}

fn walk(value: &Value, place: &str, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(place, text),
        Value::Array(elements) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(i, element)| walk(element, &at(place, &i.to_string()), each));
        }
        Value::Object(members) => members.iter().for_each(|(key, value)| walk(value, &at(place, key), each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a tool may, must or must not be called as a task.
fn execution(site: &mut Site<'_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    let support = |value: Option<&Value>| {
        value
            .and_then(|value| value.get("taskSupport"))
            .and_then(Value::as_str)
            .unwrap_or("forbidden")
            .to_owned()
    };
    let (was, is) = (support(old), support(new));
    let fits = was == is || is == "optional";
    let because = format!("its execution was {} and is {}", told(old), told(new));
    site.push(place, Kind::ExecutionChanged, fits, 0.15, because);
    strings(site, place, old, new);
}

/// The arguments of a prompt, by name.
fn prompt_arguments(site: &mut Site<'_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    let count = site.changes.len();
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (was, is) = (list(old), list(new));
    let (before, after) = (named(&was), named(&is));
    for (i, argument) in was.iter().enumerate() {
        let name = &argument["name"];
        if !after.contains_key(name) {
            let because = format!("{} is no longer taken", told(Some(name)));
            site.push(&format!("{place}/{i}"), Kind::ArgumentRemoved, false, 0.1, because);
        }
    }
    for (i, argument) in is.iter().enumerate() {
        let here = format!("{place}/{i}");
        let needed = argument["required"] == true;
        match before.get(&argument["name"]) {
            None => {
                let because = format!("{} is new", told(Some(&argument["name"])));
                site.push(&here, Kind::ArgumentAdded, !needed, 0.08, because);
                texts(site, &at(&here, "description"), Role::Argument, None, argument.get("description"));
                let name = argument.get("name").and_then(Value::as_str).unwrap_or_default();
                asked::look(site, &here, name, argument);
            }
            Some(before) if *before != argument => prompt_argument(site, &here, before, argument),
            Some(_) => {}
        }
    }
    if site.changes.len() == count {
        let now = Among::of(is.iter());
        let reordered =
            !was.is_empty() && was.len() == is.len() && was.iter().all(|argument| now.has(argument));
        if reordered {
            site.push(place, Kind::SchemaRewritten, true, 0.01, "the same in another order".to_owned());
        } else {
            unknown(site, place, old, new);
        }
    }
}

/// The first argument of each name.
fn named(arguments: &[Value]) -> HashMap<&Value, &Value> {
    let mut named = HashMap::new();
    for argument in arguments {
        if let Some(name) = argument.get("name") {
            named.entry(name).or_insert(argument);
        }
    }
    named
}

fn prompt_argument(site: &mut Site<'_>, place: &str, was: &Value, is: &Value) {
    let (Some(old), Some(new)) = (was.as_object(), is.as_object()) else {
        return any(site, place, was, is);
    };
    for key in keys(old, new) {
        let (before, after) = (old.get(key), new.get(key));
        let here = at(place, key);
        match key {
            _ if before == after => {}
            "required" if after == Some(&Value::Bool(true)) => {
                site.push(&here, Kind::RequiredAdded, false, 0.12, "it has to be given now".to_owned());
            }
            "required" => {
                site.push(&here, Kind::RequiredRemoved, true, 0.04, "it may be left out now".to_owned())
            }
            "description" => texts(site, &here, Role::Argument, before, after),
            "title" => texts(site, &here, Role::Label, before, after),
            _ => unknown(site, &here, before, after),
        }
    }
}

/// What a server says it is.
pub(super) fn identity(site: &mut Site<'_>, was: &Value, is: &Value) {
    let (old, new) = (object(Some(was)), object(Some(is)));
    let count = site.changes.len();
    for key in keys(old, new) {
        let (before, after) = (old.get(key), new.get(key));
        let place = format!("/serverInfo{}", at("", key));
        match key {
            _ if before == after => {}
            "name" => {
                let because = format!("it called itself {}, and now {}", told(before), told(after));
                let known = before.is_some();
                site.push(&place, Kind::IdentityChanged, !known, if known { 0.5 } else { 0.1 }, because);
            }
            "version" => {
                let because = format!("its version was {} and is {}", told(before), told(after));
                site.push(&place, Kind::VersionChanged, true, 0.03, because);
            }
            "description" => texts(site, &place, Role::Guide, before, after),
            "title" => texts(site, &place, Role::Label, before, after),
            "icons" => icons(site, &place, before, after),
            _ => unknown(site, &place, before, after),
        }
    }
    if site.changes.len() == count && was != is {
        any(site, "/serverInfo", was, is);
    }
}
