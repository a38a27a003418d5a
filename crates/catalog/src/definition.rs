//! One element of a server's list, byte for byte, under a digest that notices every change but key order and space.

use crate::unpinned;
use bytes::Bytes;
use decision::{Digest, ItemKind, ServerName, canonical};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest name, URI or template of an item.
pub const NAME_BYTES_MAX: usize = 2048;
/// Longest name of a tool or a prompt; names are shown to people and to models.
pub const TOOL_NAME_BYTES_MAX: usize = 128;
/// Largest definition that is kept.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;

/// Why an element of a list is not a definition. It is not offered to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("the definition is {0} bytes long; at most {DEFINITION_BYTES_MAX} are kept")]
    TooLarge(usize),
    #[error("the definition cannot be read: {0}")]
    Malformed(String),
    #[error("the definition has no `{0}`")]
    Nameless(&'static str),
    #[error("the name `{name}` {fault}")]
    NameUnsafe { name: String, fault: NameFault },
    #[error("{0:?} items are not listed by servers and have no definition")]
    NotListed(ItemKind),
}

/// Why nothing is pinned under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("is empty")]
    Empty,
    #[error("is {bytes} bytes long, and at most {most} are taken")]
    TooLong { bytes: usize, most: usize },
    #[error("holds {}, which nobody sees or which turns a line around", code_point(*.0))]
    Hidden(char),
    #[error("holds {}, and names of tools and prompts are of visible ASCII without quotes, backslashes, `<` and `>`", code_point(*.0))]
    Unshown(char),
    #[error("reads as another item in a command (`prompt:NAME`, `NAME=sha256:…`)")]
    ReadsAsAnother,
    #[error("ends as the names do that stand for what cannot be pinned")]
    StandsIn,
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// A tool, prompt, resource or template as its author defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    server: ServerName,
    kind: ItemKind,
    name: String,
    raw: Bytes,
    digest: Digest,
    /// The part of `raw` that is the schema of a tool's arguments.
    input_schema: Option<Bytes>,
}

/// What the author says of a tool (`annotations`). Shown, and not trusted (K16).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claimed {
    #[serde(rename = "readOnlyHint")]
    pub read_only: Option<bool>,
    #[serde(rename = "destructiveHint")]
    pub destructive: Option<bool>,
    #[serde(rename = "idempotentHint")]
    pub idempotent: Option<bool>,
    #[serde(rename = "openWorldHint")]
    pub open_world: Option<bool>,
}

/// One argument of a prompt. All of them are strings (MCP, *Prompts*).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PromptArgument {
    pub name: String,
    #[serde(default)]
    pub required: bool,
}

impl Definition {
    /// Reads one element of `tools/list`, `prompts/list`, `resources/list` or `resources/templates/list`.
    ///
    /// Errors: [`DefinitionError`] when it is too large, not JSON with one meaning, or has no name that can be shown.
    pub fn new(server: ServerName, kind: ItemKind, raw: Bytes) -> Result<Self, DefinitionError> {
        if raw.len() > DEFINITION_BYTES_MAX {
            return Err(DefinitionError::TooLarge(raw.len()));
        }
        let canonical = canonical::bytes(&raw).map_err(|e| DefinitionError::Malformed(e.to_string()))?;
        let malformed = |e: serde_json::Error| DefinitionError::Malformed(e.to_string());
        let names: Names = serde_json::from_slice(&raw).map_err(malformed)?;
        let (field, name) = match kind {
            ItemKind::Tool | ItemKind::Prompt => ("name", names.name),
            ItemKind::Resource => ("uri", names.uri),
            ItemKind::ResourceTemplate => ("uriTemplate", names.uri_template),
            ItemKind::Server | ItemKind::Question => return Err(DefinitionError::NotListed(kind)),
        };
        let name = name.ok_or(DefinitionError::Nameless(field))?;
        if let Some(fault) = fault(kind, &name) {
            return Err(DefinitionError::NameUnsafe { name: unpinned::escaped(&name), fault });
        }
        // the kind is inside the digest: a prompt's acceptance must never fit a tool of the same text
        let kind_tag = format!("{kind:?}\0");
        let digest = Digest::of_parts(&[b"callgate/definition/v1\0", kind_tag.as_bytes(), &canonical]);
        let schemas: Schemas<'_> = serde_json::from_slice(&raw).unwrap_or_default();
        let input_schema = schemas.input.map(|schema| raw.slice_ref(schema.get().as_bytes()));
        Ok(Self { server, kind, name, raw, digest, input_schema })
    }

    pub fn server(&self) -> &ServerName {
        &self.server
    }
    pub fn kind(&self) -> ItemKind {
        self.kind
    }
    /// A tool's or prompt's name, a resource's URI, a template.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The element exactly as the server sent it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
    /// SHA-256 over the canonical JSON of the element, whatever fields it has.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// `inputSchema` of a tool, as its author wrote it.
    pub fn input_schema(&self) -> Option<&str> {
        std::str::from_utf8(self.input_schema.as_deref()?).ok()
    }
    /// `outputSchema` of a tool, as its author wrote it.
    pub fn output_schema(&self) -> Option<&str> {
        let schemas: Schemas<'_> = serde_json::from_slice(&self.raw).unwrap_or_default();
        schemas.output.map(RawValue::get)
    }
    /// `description`, empty when there is none.
    pub fn description(&self) -> String {
        self.field::<Texts>().description.unwrap_or_default()
    }
    /// What the author says of a tool. Nothing, when the annotations cannot be read.
    pub fn claimed(&self) -> Claimed {
        self.field::<Annotated>().annotations.unwrap_or_default()
    }
    /// The arguments of a prompt.
    pub fn prompt_arguments(&self) -> Vec<PromptArgument> {
        self.field::<Prompted>().arguments.unwrap_or_default()
    }

    /// A view of the element; the empty view where a field has another type than MCP gives it.
    fn field<T: for<'de> Deserialize<'de> + Default>(&self) -> T {
        serde_json::from_slice(&self.raw).unwrap_or_default()
    }
}

#[derive(Deserialize, Default)]
struct Names {
    name: Option<String>,
    uri: Option<String>,
    #[serde(rename = "uriTemplate")]
    uri_template: Option<String>,
}

#[derive(Deserialize, Default)]
struct Schemas<'a> {
    #[serde(rename = "inputSchema", borrow)]
    input: Option<&'a RawValue>,
    #[serde(rename = "outputSchema", borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Texts {
    description: Option<String>,
}

#[derive(Deserialize, Default)]
struct Annotated {
    annotations: Option<Claimed>,
}

#[derive(Deserialize, Default)]
struct Prompted {
    arguments: Option<Vec<PromptArgument>>,
}

/// Names go into rules, terminals and pages: tools and prompts are plain visible ASCII without quotes or
/// backslashes, and do not read as another item in a command (`prompt:NAME`, `NAME=sha256:…`); addresses may be anything but controls and invisible or direction-changing characters.
fn fault(kind: ItemKind, name: &str) -> Option<NameFault> {
    let spoken = matches!(kind, ItemKind::Tool | ItemKind::Prompt);
    let most = if spoken { TOOL_NAME_BYTES_MAX } else { NAME_BYTES_MAX };
    let shown = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '`' | '<' | '>');
    let hidden = name.chars().find(|c| inspect::shown::is_hidden(*c)).map(NameFault::Hidden);
    let unshown = || name.chars().find(|c| spoken && !shown(*c)).map(NameFault::Unshown);
    let others = [
        (name.is_empty(), NameFault::Empty),
        (name.len() > most, NameFault::TooLong { bytes: name.len(), most }),
        (spoken && names_another(name), NameFault::ReadsAsAnother),
        (unpinned::is_stand_in(name), NameFault::StandsIn),
    ];
    let other = || others.into_iter().find(|(holds, _)| *holds).map(|(_, fault)| fault);
    hidden.or_else(unshown).or_else(other)
}

/// Whether somebody who types that name where an item is asked for may mean, and be taken to mean, another one.
fn names_another(name: &str) -> bool {
    let begins = |kind: ItemKind| name.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with(':'));
    name.contains("=sha256:") || ItemKind::ALL.into_iter().any(begins)
}

/// How a definition that was seen relates to the one that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemState {
    /// The accepted one, to the letter.
    Same,
    /// Another definition under an accepted name: not offered until somebody accepts it.
    Changed,
    /// Nobody has accepted anything under this name.
    New,
    /// Accepted, and the server no longer offers it.
    Gone,
}

/// Compares what was accepted with what a server offers now. `None` when there is neither.
pub fn compare(pinned: Option<Digest>, seen: Option<Digest>) -> Option<ItemState> {
    match (pinned, seen) {
        (Some(pinned), Some(seen)) if pinned == seen => Some(ItemState::Same),
        (Some(_), Some(_)) => Some(ItemState::Changed),
        (None, Some(_)) => Some(ItemState::New),
        (Some(_), None) => Some(ItemState::Gone),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tool(raw: &str) -> Result<Definition, DefinitionError> {
        Definition::new(
            ServerName::new("crm").unwrap(),
            ItemKind::Tool,
            Bytes::copy_from_slice(raw.as_bytes()),
        )
    }

    #[test]
    fn what_cannot_be_named_or_has_two_meanings_is_not_a_definition() {
        for bad in [
            "{}",
            "[]",
            r#"{"name":7}"#,
            r#"{"name":""}"#,
            r#"{"name":"a\u0000b"}"#,
            r#"{"name":"rf\u200bund"}"#,
            r#"{"name":"a b"}"#,
            r#"{"name":"a\"b"}"#,
            r#"{"name":"look=sha256:00"}"#,
            r#"{"name":"prompt:p"}"#,
            r#"{"name":"tool:look"}"#,
            r#"{"name":"server:instructions"}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","x":{"y":1,"\u0079":2}}"#,
        ] {
            assert!(tool(bad).is_err(), "{bad}");
        }
        let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(TOOL_NAME_BYTES_MAX + 1));
        assert!(matches!(
            tool(&long),
            Err(DefinitionError::NameUnsafe { fault: NameFault::TooLong { bytes: 129, most: 128 }, .. })
        ));
        for fine in [r#"{"name":"prompts:p"}"#, r#"{"name":"a:tool:b"}"#, r#"{"name":"sha256:a=b"}"#] {
            tool(fine).unwrap();
        }
        let huge = format!(r#"{{"name":"a","description":"{}"}}"#, "a".repeat(DEFINITION_BYTES_MAX));
        assert!(matches!(tool(&huge), Err(DefinitionError::TooLarge(_))));
        let server = ServerName::new("crm").unwrap();
        for kind in [ItemKind::Server, ItemKind::Question] {
            let refused = Definition::new(server.clone(), kind, Bytes::from_static(br#"{"name":"a"}"#));
            assert_eq!(refused, Err(DefinitionError::NotListed(kind)));
        }
    }

    #[test]
    fn every_field_is_under_the_digest_and_the_bytes_are_kept() {
        let raw = r#"{"name": "refund", "inputSchema":{"type":"object"},"_meta":{"x":1}}"#;
        let pinned = tool(raw).unwrap();
        assert_eq!(&pinned.raw()[..], raw.as_bytes());
        let reordered = tool(r#"{"_meta":{"x":1},"inputSchema":{"type":"object"},"name":"refund"}"#).unwrap();
        assert_eq!(pinned.digest(), reordered.digest());
        for changed in [
            r#"{"name":"refund","inputSchema":{"type":"object"},"_meta":{"x":2}}"#,
            r#"{"name":"refund","inputSchema":{"type":"object"},"_meta":{"x":1},"title":"Refund"}"#,
            r#"{"name":"refund","inputSchema":{"type":"object"},"_meta":{"x":1.0}}"#,
        ] {
            let seen = tool(changed).unwrap().digest();
            assert_eq!(compare(Some(pinned.digest()), Some(seen)), Some(ItemState::Changed), "{changed}");
        }
    }

    #[test]
    fn a_prompt_with_a_tools_text_is_not_the_tool() {
        let raw = Bytes::from_static(br#"{"name":"refund"}"#);
        let server = ServerName::new("crm").unwrap();
        let tool = Definition::new(server.clone(), ItemKind::Tool, raw.clone()).unwrap();
        let prompt = Definition::new(server, ItemKind::Prompt, raw).unwrap();
        assert_ne!(tool.digest(), prompt.digest());
    }

    #[test]
    fn annotations_of_another_type_claim_nothing() {
        let claimed = tool(r#"{"name":"a","annotations":{"readOnlyHint":"yes"}}"#).unwrap().claimed();
        assert_eq!(claimed, Claimed::default());
        let claimed =
            tool(r#"{"name":"a","annotations":{"readOnlyHint":true,"title":"A"}}"#).unwrap().claimed();
        assert_eq!(claimed.read_only, Some(true));
    }

    #[test]
    fn new_and_gone_are_told_apart() {
        let digest = Digest::of(b"x");
        assert_eq!(compare(None, Some(digest)), Some(ItemState::New));
        assert_eq!(compare(Some(digest), None), Some(ItemState::Gone));
        assert_eq!(compare(Some(digest), Some(digest)), Some(ItemState::Same));
        assert_eq!(compare(None, None), None);
    }

    proptest! {
        #[test]
        fn any_changed_description_is_a_changed_definition(a in ".{0,40}", b in ".{0,40}") {
            let of = |text: &str| {
                tool(&serde_json::json!({"name": "t", "description": text}).to_string()).unwrap().digest()
            };
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}
