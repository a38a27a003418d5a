//! Items that cannot be pinned as they are. People are shown them under a name that stands in for theirs, which no definition
//! can have, and nobody can accept them.

use crate::{DEFINITION_BYTES_MAX, Definition, DefinitionError};
use bytes::Bytes;
use decision::{Digest, Item, ItemKind, ServerName};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How every name ends that stands in.
const MARK: &str = " (cannot be pinned)";
/// Characters of a name that are shown.
const SHOWN_CHARS: usize = 80;
/// Characters of a reason that are shown.
const REASON_CHARS: usize = 500;
/// Under which the reason is kept where the item is too large to be.
const NOTE: &str = "callgate/cannot-be-pinned";

/// One element of a server's list that is no definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinned {
    /// With the name that stands in.
    pub item: Item,
    /// Over all of it, in a domain of its own: it is that of no definition.
    pub digest: Digest,
    /// As it came; where that is too large to be kept, the reason alone.
    pub raw: Bytes,
    pub because: String,
}

impl Unpinned {
    /// What stands in for an element of which there is no definition, and why there is none.
    pub fn new(kind: ItemKind, raw: &Bytes, why: &DefinitionError) -> Self {
        let digest = digest(kind, raw);
        let because = why.to_string();
        let kept = match raw.len() > DEFINITION_BYTES_MAX {
            true => Bytes::from(json!({ NOTE: because }).to_string()),
            false => raw.clone(),
        };
        let name = match named(kind, raw) {
            Some(name) if name.is_empty() => "(empty)".to_owned(),
            Some(name) => shown(&name),
            None => "(no name)".to_owned(),
        };
        Self { item: Item { kind, name: name + MARK }, digest, raw: kept, because }
    }
}

impl Unpinned {
    /// What stands in for an element that has the name of another before it in the same list, which is the one that counts.
    /// `digest` is that of its definition.
    pub fn twin(item: &Item, raw: &Bytes, digest: Digest) -> Self {
        let name = shown(&item.name);
        let because = twice(&name, digest);
        let digest = digest_of_twin(item.kind, raw);
        Self { item: Item { kind: item.kind, name: name + MARK }, digest, raw: raw.clone(), because }
    }
}

fn twice(name: &str, digest: Digest) -> String {
    format!("`{name}` is listed twice, and the one before it counts; this one is {digest}")
}

/// In a domain of its own: that of no definition, and of nothing else that cannot be pinned.
fn digest_of_twin(kind: ItemKind, raw: &[u8]) -> Digest {
    Digest::of_parts(&[b"callgate/listed-twice/v1\0", kind.as_str().as_bytes(), raw])
}

/// A name as it stands in another, with a print of all of it where it is too long.
fn shown(name: &str) -> String {
    if name.chars().nth(SHOWN_CHARS).is_none() {
        return escaped(name);
    }
    let whole = Digest::of(name.as_bytes()).to_string();
    let print: String = whole.chars().skip("sha256:".len()).take(8).collect();
    format!("{}… #{print}", escaped(name))
}

/// Over all that a server sent.
fn digest(kind: ItemKind, raw: &[u8]) -> Digest {
    Digest::of_parts(&[b"callgate/unpinned/v1\0".as_slice(), kind.as_str().as_bytes(), raw])
}

/// Whether a name stands in for one that cannot be pinned.
pub fn is_stand_in(name: &str) -> bool {
    name.ends_with(MARK)
}

/// Why what is kept under such a name cannot be pinned. `seen`: the digest that was noted of it when it was seen, by which what
/// a server sent and the reason that stands in its place are told apart.
pub fn why_unpinned(server: &ServerName, kind: ItemKind, raw: &Bytes, seen: &Digest) -> String {
    if let Ok(definition) = Definition::new(server.clone(), kind, raw.clone())
        && digest_of_twin(kind, raw) == *seen
    {
        return twice(&shown(definition.name()), definition.digest());
    }
    let read = || Definition::new(server.clone(), kind, raw.clone()).err().map(|why| why.to_string());
    let why = note(kind, raw, seen).or_else(read);
    let why = why.unwrap_or_else(|| "it could not be pinned when it was seen".to_owned());
    match why.chars().nth(REASON_CHARS) {
        Some(_) => why.chars().take(REASON_CHARS).chain(['…']).collect(),
        None => why,
    }
}

/// The reason that is kept in the place of what is too large.
fn note(kind: ItemKind, raw: &Bytes, seen: &Digest) -> Option<String> {
    if digest(kind, raw) == *seen {
        // it is what the server sent, whatever it says of itself
        return None;
    }
    let note: BTreeMap<String, String> = serde_json::from_slice(raw).ok()?;
    note.get(NOTE).filter(|_| note.len() == 1).cloned()
}

/// The beginning of a name in ASCII, with everything else in it written out.
pub(crate) fn escaped(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect()
}

fn named(kind: ItemKind, raw: &[u8]) -> Option<String> {
    let key = match kind {
        ItemKind::Tool | ItemKind::Prompt => "name",
        ItemKind::Resource => "uri",
        ItemKind::ResourceTemplate => "uriTemplate",
        ItemKind::Server | ItemKind::Question => return None,
    };
    serde_json::from_slice::<Value>(raw).ok()?.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpinned(kind: ItemKind, raw: &str) -> Unpinned {
        let raw = Bytes::from(raw.to_owned());
        let server = ServerName::new("crm").unwrap();
        let why = Definition::new(server.clone(), kind, raw.clone()).unwrap_err();
        let found = Unpinned::new(kind, &raw, &why);
        assert_eq!(
            why_unpinned(&server, kind, &found.raw, &found.digest),
            found.because,
            "it can be said later"
        );
        found
    }

    #[test]
    fn what_cannot_be_pinned_is_shown_under_a_name_that_no_definition_has_with_the_one_reason() {
        let long = "x".repeat(200);
        for (kind, raw, name, why) in [
            (
                ItemKind::Tool,
                "{\"name\":\"rf\u{200b}und\"}".to_owned(),
                "rf\\u{200b}und",
                "holds U+200B, which nobody sees",
            ),
            (ItemKind::Tool, r#"{"name":"a b"}"#.to_owned(), "a b", "holds U+0020, and names of tools"),
            (ItemKind::Tool, r#"{"name":"prompt:p"}"#.to_owned(), "prompt:p", "reads as another item"),
            (ItemKind::Tool, r#"{"name":""}"#.to_owned(), "(empty)", "is empty"),
            (ItemKind::Prompt, "{}".to_owned(), "(no name)", "has no `name`"),
            (ItemKind::Prompt, format!(r#"{{"name":"{long}"}}"#), &"x".repeat(80), "is 200 bytes long"),
            (
                ItemKind::Resource,
                "{\"uri\":\"file:///\u{202e}a\"}".to_owned(),
                "file:///\\u{202e}a",
                "holds U+202E",
            ),
            (
                ItemKind::Resource,
                r#"{"uri":"file:///a (cannot be pinned)"}"#.to_owned(),
                "file:///a (cannot be pinned)",
                "ends as",
            ),
        ] {
            let found = unpinned(kind, &raw);
            assert!(found.item.name.starts_with(name) && is_stand_in(&found.item.name), "{found:?}");
            assert!(found.because.contains(why), "{found:?}");
            assert!(found.item.name.is_ascii() || found.item.name.contains('…'), "{found:?}");
            let key = if kind == ItemKind::Resource { "uri" } else { "name" };
            let named = Bytes::from(json!({ key: found.item.name }).to_string());
            let server = ServerName::new("crm").unwrap();
            assert!(Definition::new(server, kind, named).is_err(), "nothing else has that name");
        }
    }

    #[test]
    fn what_is_listed_under_the_name_of_another_is_kept_as_it_came_with_its_reason() {
        let server = ServerName::new("crm").unwrap();
        let raw = Bytes::from_static(br#"{"name":"go","description":"another"}"#);
        let definition = Definition::new(server.clone(), ItemKind::Tool, raw.clone()).unwrap();
        let item = Item { kind: ItemKind::Tool, name: "go".to_owned() };
        let twin = Unpinned::twin(&item, &raw, definition.digest());
        assert!(is_stand_in(&twin.item.name) && twin.digest != definition.digest(), "{twin:?}");
        assert!(twin.because.contains(&definition.digest().to_string()), "{twin:?}");
        let why = |digest| why_unpinned(&server, ItemKind::Tool, &twin.raw, digest);
        assert_eq!(why(&twin.digest), twin.because, "it can be said later");
        assert_ne!(why(&Digest::of(b"another")), twin.because);
        assert_eq!(twin.raw, raw, "what it is can be looked at");
    }

    #[test]
    fn what_is_too_large_is_kept_as_its_reason() {
        let raw = format!(r#"{{"name":"big","x":"{}"}}"#, "a".repeat(DEFINITION_BYTES_MAX));
        let found = unpinned(ItemKind::Tool, &raw);
        assert_eq!(found.item.name, "big (cannot be pinned)");
        assert!(found.raw.len() < 1_000 && found.because.contains("at most 1048576 are kept"), "{found:?}");
    }

    #[test]
    fn a_server_cannot_write_the_reason() {
        let said = "this gateway is out of date: run `curl`";
        for mut raw in [json!({ "name": "a b", NOTE: said }), json!({ NOTE: said })] {
            let found = unpinned(ItemKind::Tool, &raw.to_string());
            assert!(!found.because.contains("out of date"), "{found:?}");
            // nor where what it sends is too large to be kept
            raw["x"] = "a".repeat(DEFINITION_BYTES_MAX).into();
            let found = unpinned(ItemKind::Tool, &raw.to_string());
            assert!(found.because.contains("are kept"), "{found:?}");
        }
        let server = ServerName::new("crm").unwrap();
        let long = Bytes::from(json!({ NOTE: "x".repeat(10_000) }).to_string());
        let why = why_unpinned(&server, ItemKind::Tool, &long, &Digest::of(b"other"));
        assert_eq!(why.chars().count(), REASON_CHARS + 1, "and none is without an end");
    }

    #[test]
    fn names_that_begin_alike_stand_apart() {
        let [one, other] = ["a", "b"].map(|end| format!(r#"{{"name":"{}{end}"}}"#, "x".repeat(200)));
        assert_ne!(unpinned(ItemKind::Tool, &one).item, unpinned(ItemKind::Tool, &other).item);
    }
}
