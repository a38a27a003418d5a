//! What changed between two times at which a server was asked what it offers, field by field, and how urgently a person
//! should look.
//!
//! Pure. Of each change it says whether a client that still holds the old definition goes on working: calls that name only
//! what the old definition lists stay valid and mean the same, and results still fit. It also says how much the change
//! asks for a person's eyes. The two are independent: a text that steers a model breaks no client, and a new required
//! argument breaks every client and is harmless.
//!
//! Two definitions whose canonical forms differ have at least one change; equal ones have none.
//! Read in this order: [`Server`], [`Change`], [`compare`].

mod alike;
mod arguments;
mod asked;
mod claims;
mod defaults;
mod fields;
mod findings;
mod guards;
mod kind;
mod names;
mod negation;
mod numbers;
mod objects;
mod opened;
mod pairs;
mod pattern_text;
mod patterns;
mod promises;
mod read;
mod refs;
mod renames;
mod scales;
mod schema;
mod stakes;
mod text;
mod values;
mod vocabulary;
mod words;

use crate::Definition;
use crate::listing::Offer;
use bytes::Bytes;
use decision::{ItemKind, ServerName};
use serde::Serialize;
use serde_json::Value;

pub use inspect::Severity;
pub use kind::Kind;
pub use read::read;
pub use renames::{Likeness, Original, renames};

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// A tool's name, else `prompt:NAME`, `resource:URI`, `resource-template:TEMPLATE`, `server:instructions` or
    /// `server:identity`; behind `SERVER/` where several servers are compared. The old name, where there is one.
    pub item: String,
    /// A JSON pointer into the new definition, or into the old one for what is gone.
    pub place: String,
    pub kind: Kind,
    /// Whether a client that holds the old definition goes on working.
    pub compatible: bool,
    pub severity: Severity,
    pub because: String,
    /// How much it weighs, from 0 to 1; the severity says it in a word.
    #[serde(skip)]
    weight: f64,
}

/// All differences, the urgent ones first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Drift {
    pub changes: Vec<Change>,
    /// How urgently a person should look, from 0 to 1: an order, not a probability.
    pub rank: f64,
    /// What changed, before and now, for who wants to see all of it.
    #[serde(skip)]
    pub changed: Vec<Changed>,
}

/// Something that has changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// As it is called in its changes.
    pub item: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What one server offered at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Server {
    pub name: Option<String>,
    /// What it says it is: `serverInfo` of `initialize`.
    pub identity: Option<Value>,
    pub instructions: Option<String>,
    pub items: Vec<Item>,
}

/// One element of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub kind: ItemKind,
    pub name: String,
    value: Value,
    /// As its author wrote it, where that is known: the digits of numbers are compared in it.
    raw: Option<Bytes>,
}

impl Item {
    /// From JSON that was read before. A name that is missing or no text counts as empty.
    pub fn of(kind: ItemKind, value: Value) -> Self {
        let field = match kind {
            ItemKind::Resource => "uri",
            ItemKind::ResourceTemplate => "uriTemplate",
            ItemKind::Tool | ItemKind::Prompt | ItemKind::Server | ItemKind::Question => "name",
        };
        let name = value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { kind, name, value, raw: None }
    }
}

impl From<&Definition> for Item {
    fn from(definition: &Definition) -> Self {
        let value = serde_json::from_slice(definition.raw()).unwrap_or_default();
        Self {
            kind: definition.kind(),
            name: definition.name().to_owned(),
            value,
            raw: Some(definition.raw().clone()),
        }
    }
}

impl From<&Offer> for Server {
    fn from(offer: &Offer) -> Self {
        let lists = [
            (ItemKind::Tool, &offer.tools),
            (ItemKind::Prompt, &offer.prompts),
            (ItemKind::Resource, &offer.resources),
            (ItemKind::ResourceTemplate, &offer.resource_templates),
        ];
        let items = lists
            .into_iter()
            .flat_map(|(kind, list)| list.iter().map(move |value| Item::of(kind, value.clone())));
        Self {
            name: offer.server.clone(),
            identity: offer.identity.clone(),
            instructions: offer.instructions.clone(),
            items: items.collect(),
        }
    }
}

/// Everything that differs between what was offered before and what is offered now.
pub fn compare(old: &[Server], new: &[Server]) -> Drift {
    let Seen { mut changes, changed } = pairs::servers(old, new);
    // the order of a file must not decide the order of the answer
    changes.sort_by(|a, b| {
        b.weight
            .total_cmp(&a.weight)
            .then_with(|| (&a.item, &a.place, a.kind).cmp(&(&b.item, &b.place, b.kind)))
    });
    let rank = rank(&changes);
    Drift { changes, rank, changed }
}

/// How an item of one server is called in its changes.
pub fn called(item: &decision::Item) -> String {
    pairs::called(item.kind, &item.name)
}

fn one(old: &Definition, new: &Definition) -> Drift {
    let server = |definition: &Definition| Server { items: vec![definition.into()], ..Server::default() };
    compare(&[server(old)], &[server(new)])
}

/// How two versions of one item differ, each as it is pinned: a definition, or instructions as a JSON string. `None` where
/// one cannot be read.
pub fn between(server: &ServerName, kind: ItemKind, old: &Bytes, new: &Bytes) -> Option<Drift> {
    if kind == ItemKind::Server {
        let says = |raw: &Bytes| {
            let instructions = Some(serde_json::from_slice::<String>(raw).ok()?);
            Some(Server { instructions, ..Server::default() })
        };
        return Some(compare(&[says(old)?], &[says(new)?]));
    }
    let read = |raw: &Bytes| Definition::new(server.clone(), kind, raw.clone()).ok();
    Some(one(&read(old)?, &read(new)?))
}

/// The heaviest change decides; of others, the heaviest of each kind adds a little. A long harmless update has many changes
/// of few kinds, so their number says nothing.
fn rank(changes: &[Change]) -> f64 {
    let mut seen = Vec::new();
    let mut quiet = 1.0;
    for change in changes.iter().filter(|change| change.weight > 0.0) {
        if seen.contains(&change.kind) || seen.len() == KINDS_COUNTED {
            continue;
        }
        let share = if seen.is_empty() { 1.0 } else { FURTHER };
        seen.push(change.kind);
        quiet *= 1.0 - share * change.weight;
    }
    ((1.0 - quiet) * 10_000.0).round() / 10_000.0
}

const KINDS_COUNTED: usize = 5;
/// How much a further kind of change counts, beside the heaviest.
const FURTHER: f64 = 0.25;

/// What is found on the way.
#[derive(Debug, Default)]
struct Seen {
    changes: Vec<Change>,
    changed: Vec<Changed>,
}

impl Seen {
    /// Remembers both versions of what has changes from `count` on.
    fn remember(&mut self, count: usize, item: &str, before: Option<&Value>, after: Option<&Value>) {
        if self.changes.len() > count {
            self.changed.push(Changed {
                item: item.to_owned(),
                before: before.cloned(),
                after: after.cloned(),
            });
        }
    }
}

impl Change {
    fn new(item: &str, place: String, kind: Kind, compatible: bool, weight: f64, because: String) -> Self {
        let weight = weight.clamp(0.0, 1.0);
        let severity = match weight {
            w if w < 0.08 => Severity::Info,
            w if w < 0.3 => Severity::Low,
            w if w < 0.55 => Severity::Medium,
            w if w < 0.8 => Severity::High,
            _ => Severity::Critical,
        };
        Self { item: item.to_owned(), place, kind, compatible, severity, because, weight }
    }
}

impl Drift {
    /// Whether what was accepted can be served on while somebody looks at what is shown now: no client that holds the old
    /// definition breaks, and nothing that changed asks for a person's eyes at once.
    pub fn harmless(&self) -> bool {
        self.compatible() && self.is_quiet()
    }

    /// How urgent the most urgent change is.
    pub fn worst(&self) -> Severity {
        self.changes.iter().map(|change| change.severity).max().unwrap_or(Severity::Info)
    }

    /// Whether nothing asks for a person's eyes at once, though clients may break.
    pub fn is_quiet(&self) -> bool {
        self.changes.iter().all(|change| change.severity <= Severity::Low)
    }

    /// Whether clients that hold the old definitions go on working.
    pub fn compatible(&self) -> bool {
        self.changes.iter().all(|change| change.compatible)
    }
}
