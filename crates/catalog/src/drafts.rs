//! Draft-first for tools whose author never heard of drafts (requirement B13): for a tool `X` that changes things, `draft_X`
//! keeps what would be done and `submit_X` does it. Both are derived from the pinned definition of `X`.

use crate::catalogue::Item;
use crate::{Category, Classified, Definition, Effect, Origin, Tier};
use bytes::Bytes;
use decision::ItemKind;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What stands before the name of the tool that is drafted or submitted.
const DRAFT: &str = "draft_";
const SUBMIT: &str = "submit_";
/// The one argument of `submit_X`.
pub const DRAFT_ID: &str = "draft_id";

/// A tool of the gateway's own, beside the one of the server's that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafting {
    /// Keeps a call of this tool, and does nothing.
    Draft { of: String },
    /// Makes the call of this tool that was kept.
    Submit { of: String },
}

/// What the description of `draft_X` says before what its author says of X, with the names to call them by.
fn prepares(of: &str, submit: &str) -> String {
    format!(
        "Prepares a call of `{of}` and does nothing: checks the arguments, says what would happen and who would have to \
         agree, and gives a `{DRAFT_ID}` for `{submit}`. "
    )
}

fn submits(of: &str, draft: &str) -> String {
    format!("Makes the call of `{of}` that `{draft}` prepared, once.")
}

impl Drafting {
    /// What makes the call of a tool that was kept.
    pub fn submit_of(of: &str) -> String {
        format!("{SUBMIT}{of}")
    }

    /// The definition of such a tool, where its description is to name tools as they are `listed` somewhere.
    pub fn listed(&self, definition: &Definition, listed: impl Fn(&str) -> String) -> Bytes {
        let whole = || definition.raw().clone();
        let Ok(mut raw) = serde_json::from_slice::<serde_json::Value>(definition.raw()) else {
            return whole();
        };
        let described = definition.description();
        let (of, [draft, submit]) = match self {
            Self::Draft { of } | Self::Submit { of } => (of, [DRAFT, SUBMIT].map(|at| format!("{at}{of}"))),
        };
        let (own, there) = match self {
            Self::Draft { .. } => (prepares(of, &submit), prepares(&listed(of), &listed(&submit))),
            Self::Submit { .. } => (submits(of, &draft), submits(&listed(of), &listed(&draft))),
        };
        let Some(rest) = described.strip_prefix(&own) else { return whole() };
        if let Some(members) = raw.as_object_mut() {
            members.insert("description".to_owned(), json!(there + rest));
        }
        if let (Self::Submit { .. }, Some(id)) = (self, raw.pointer_mut(ID_DESCRIBED)) {
            *id = json!(as_given(&listed(&draft)));
        }
        Bytes::from(raw.to_string())
    }
}

const ID_DESCRIBED: &str = "/inputSchema/properties/draft_id/description";

fn as_given(draft: &str) -> String {
    format!("as `{draft}` gave it")
}

/// The two tools beside `item`; none where the author has tools of those names already.
pub(crate) fn beside(tools: &BTreeMap<String, Item>, item: &Item) -> Vec<(String, Item)> {
    let of = item.definition.name().to_owned();
    let names = [format!("{DRAFT}{of}"), format!("{SUBMIT}{of}")];
    if item.classified.effect == Effect::Read || names.iter().any(|name| tools.contains_key(name)) {
        return Vec::new();
    }
    let [draft, submit] = names;
    let schema = item.definition.input_schema();
    let schema =
        schema.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_else(|| json!({ "type": "object" }));
    let prepares = json!({
        "name": draft,
        "description": prepares(&of, &submit) + &item.definition.description(),
        "inputSchema": schema,
        "annotations": { "readOnlyHint": true },
    });
    let submits = json!({
        "name": submit,
        "description": submits(&of, &draft),
        "inputSchema": {
            "type": "object",
            "properties": { DRAFT_ID: { "type": "string", "description": as_given(&draft) } },
            "required": [DRAFT_ID],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": false, "destructiveHint": item.classified.effect == Effect::Destructive },
    });
    let reads = Classified {
        effect: Effect::Read,
        tier: Tier::Low,
        categories: BTreeSet::<Category>::new(),
        origin: Origin::Operator,
    };
    let made = [
        (prepares, reads, Drafting::Draft { of: of.clone() }),
        (submits, item.classified.clone(), Drafting::Submit { of }),
    ];
    let made = made.into_iter().filter_map(|(raw, classified, drafting)| {
        let server = item.definition.server().clone();
        let definition = Definition::new(server, ItemKind::Tool, Bytes::from(raw.to_string())).ok()?;
        let claimed = definition.claimed();
        let name = definition.name().to_owned();
        Some((name, Item { definition: Arc::new(definition), classified, claimed, drafting: Some(drafting) }))
    });
    made.collect()
}
