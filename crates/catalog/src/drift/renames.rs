//! Whether what is new looks like what was accepted, under another name: an approval does not travel with a text.

use super::names::Shape;
use super::pairs::RENAMED;
use super::words::{stem, words};
use crate::Definition;
use decision::ItemKind;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What share of its words a new item has in common with one that is still offered, to be called a copy. Siblings are
/// alike by nature.
const COPIED: f64 = 0.9;
/// Fewest words by which two definitions can be told to be the same.
const WORDS_MIN: usize = 5;
/// So many new items are compared, each with so many accepted ones.
const NEW_MAX: usize = 100;
const ACCEPTED_MAX: usize = 2_000;

/// Whether what was accepted is still offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Original {
    Gone,
    Offered,
}

/// What a new item looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    /// The name that was accepted.
    pub name: String,
    pub original: Original,
}

impl Likeness {
    /// For the person who looks at it.
    pub fn because(&self) -> String {
        let name = inspect::shown::visible(&self.name);
        match self.original {
            Original::Gone => {
                format!("it looks like `{name}`, renamed: what was accepted of that is not accepted of this")
            }
            Original::Offered => {
                format!("it looks like a copy of `{name}`, which is still offered: look at why there are two")
            }
        }
    }
}

/// Of each new item, the accepted one of the same server that it looks like.
pub fn renames(new: &[Definition], accepted: &[(Definition, Original)]) -> Vec<Option<Likeness>> {
    let mut stems = Stems::default();
    let accepted: Vec<_> = accepted
        .iter()
        .take(ACCEPTED_MAX)
        .map(|(one, original)| (Form::of(one, &mut stems), *original))
        .collect();
    let like = |one: &Definition| {
        let form = Form::of(one, &mut stems);
        let alike = accepted.iter().filter_map(|(other, original)| {
            let like = form.like(other);
            let enough = match original {
                Original::Gone => like >= RENAMED,
                Original::Offered => form.copies(other),
            };
            enough.then_some((like, other, *original))
        });
        // what vanished explains more than what is there
        let best = alike.max_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.total_cmp(&b.0)));
        best.map(|(_, other, original)| Likeness { name: other.shape.name.to_owned(), original })
    };
    let found = new.iter().take(NEW_MAX).map(like);
    found.chain(std::iter::repeat(None)).take(new.len()).collect()
}

/// A definition, ready to be compared with many.
struct Form<'a> {
    kind: ItemKind,
    shape: Shape<'a>,
    stems: Vec<u32>,
    /// The words of its name.
    named: BTreeSet<u32>,
}

impl<'a> Form<'a> {
    fn of(definition: &'a Definition, stems: &mut Stems) -> Self {
        let value: Value = serde_json::from_slice(definition.raw()).unwrap_or_default();
        let name = definition.name();
        let named =
            words(name).iter().filter_map(|word| stem(&word.text)).map(|stem| stems.number(stem)).collect();
        Self { kind: definition.kind(), shape: Shape::of(name), stems: stems.of(&value), named }
    }

    fn like(&self, other: &Form<'_>) -> f64 {
        if self.kind != other.kind || self.shape.name == other.shape.name {
            return 0.0;
        }
        if self.passes_for(other) {
            return 1.0;
        }
        0.4 * self.shape.likeness(&other.shape) + 0.6 * share(&self.stems, &other.stems)
    }

    fn copies(&self, other: &Form<'_>) -> bool {
        let (a, b) = (&self.stems, &other.stems);
        // siblings that differ in what their names say are two: one creates, one deletes
        let one_has = |word: &u32| a.binary_search(word).is_ok() != b.binary_search(word).is_ok();
        let by_name = || self.named.iter().chain(&other.named).any(one_has);
        let same = || a.len().min(b.len()) >= WORDS_MIN && share(a, b) >= COPIED && !by_name();
        self.kind == other.kind && self.shape.name != other.shape.name && (self.passes_for(other) || same())
    }

    fn passes_for(&self, other: &Form<'_>) -> bool {
        self.shape.is_confusable(&other.shape) || self.shape.is_respelled(&other.shape)
    }
}

/// So many different words of a definition are held beside those of others.
const STEMS_MAX: usize = 3_000;

/// Words as numbers: of many definitions each is held beside many others.
#[derive(Debug, Default)]
pub(super) struct Stems(BTreeMap<String, u32>);

impl Stems {
    fn number(&mut self, stem: &str) -> u32 {
        if let Some(known) = self.0.get(stem) {
            return *known;
        }
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(stem.to_owned(), next);
        next
    }

    /// The words of a definition, its names aside, in order of their numbers.
    pub(super) fn of(&mut self, value: &Value) -> Vec<u32> {
        let members = value.as_object().into_iter().flatten();
        let rest =
            members.filter(|(key, _)| !matches!(key.as_str(), "name" | "uri" | "uriTemplate" | "title"));
        let mut stems = BTreeSet::new();
        for (_, value) in rest {
            if stems.len() >= STEMS_MAX {
                break;
            }
            let words = words(&value.to_string());
            let all = words.iter().filter_map(|word| stem(&word.text));
            stems.extend(all.map(|stem| self.number(stem)));
        }
        stems.into_iter().take(STEMS_MAX).collect()
    }
}

/// What share of all words both have.
pub(super) fn share(a: &[u32], b: &[u32]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let (mut x, mut y, mut both) = (a.iter().peekable(), b.iter().peekable(), 0_usize);
    while let (Some(one), Some(other)) = (x.peek(), y.peek()) {
        match one.cmp(other) {
            Ordering::Less => drop(x.next()),
            Ordering::Greater => drop(y.next()),
            Ordering::Equal => (both, _, _) = (both + 1, x.next(), y.next()),
        }
    }
    both as f64 / (a.len() + b.len() - both) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn tool(name: &str, description: &str, argument: &str) -> Definition {
        let value = json!({ "name": name, "description": description, "inputSchema": {
            "type": "object", "properties": { argument: { "type": "string", "description": "What is meant." } } } });
        Definition::new("crm".parse().unwrap(), ItemKind::Tool, Bytes::from(value.to_string())).unwrap()
    }

    fn told(new: Definition, accepted: Definition, original: Original) -> Option<String> {
        renames(&[new], &[(accepted, original)]).remove(0).map(|like| like.name)
    }

    #[test]
    fn a_new_item_that_says_what_an_accepted_one_said_is_told_to_look_like_it() {
        let text =
            "Finds customers by name, address or telephone number, and orders them by their last purchase.";
        let old = || tool("find_customers", text, "query");
        for original in [Original::Gone, Original::Offered] {
            let same = tool("lookup", text, "query");
            assert_eq!(told(same, old(), original).as_deref(), Some("find_customers"), "{original:?}");
            let respelled = tool("findCustomers", "Another text.", "other");
            assert_eq!(told(respelled, old(), original).as_deref(), Some("find_customers"));
        }
        // one that went may be reworded a little; a sibling that stayed is no copy for being near
        let near = || tool("search_customers", &text.replace("telephone number", "account"), "query");
        assert_eq!(told(near(), old(), Original::Gone).as_deref(), Some("find_customers"));
        assert_eq!(told(near(), old(), Original::Offered), None);
        // long texts that differ in what the names say
        let user = |verb: &str| {
            let text = format!(
                "{verb}s the account whose number is given, with address, groups, roles, keys, quotas, tokens, folders, \
                 mailboxes, certificates, devices, licences, invoices, contracts, schedules, reminders, bookmarks, \
                 pictures, calendars and signatures."
            );
            tool(&format!("{}_account", verb.to_lowercase()), &text, "account")
        };
        assert_eq!(told(user("Create"), user("Delete"), Original::Offered), None);
        let other = || tool("send_invoice", "Sends a bill for an order to whoever placed it.", "order");
        assert_eq!(told(other(), old(), Original::Gone), None);
        // too few words to tell
        let bare = |name: &str| {
            let raw = json!({ "name": name, "inputSchema": { "type": "object" } }).to_string();
            Definition::new("crm".parse().unwrap(), ItemKind::Tool, Bytes::from(raw)).unwrap()
        };
        assert_eq!(told(bare("fresh"), bare("other_one"), Original::Offered), None);
    }

    #[test]
    fn of_several_the_one_that_went_is_named_and_what_is_not_compared_has_no_likeness() {
        let text =
            "Finds customers by name, address or telephone number, and orders them by their last purchase.";
        let new: Vec<_> = (0..NEW_MAX + 5).map(|n| tool(&format!("new_{n}"), text, "query")).collect();
        let accepted = [
            (tool("here", text, "query"), Original::Offered),
            (tool("find_customers", text, "query"), Original::Gone),
            (tool("there", text, "query"), Original::Offered),
        ];
        let found = renames(&new, &accepted);
        assert_eq!(found.len(), new.len());
        assert_eq!(found[0], Some(Likeness { name: "find_customers".to_owned(), original: Original::Gone }));
        assert_eq!(found[NEW_MAX], None);
    }
}
