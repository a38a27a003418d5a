//! Draft-first for tools whose author never heard of drafts (requirement B13): for a tool `X` that changes things, `draft_X`
//! keeps what would be done and `submit_X` does it. Both are derived from the pinned definition of `X`.

use crate::catalogue::Item;
use crate::{Category, Claimed, Classified, Declarations, Definition, Effect, Origin, Tier};
use bytes::Bytes;
use decision::ItemKind;
use serde_json::json;
use std::collections::BTreeSet;
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

/// The tool of which this is a name of the gateway's own, to draft it or to submit what was drafted: no server has a tool of
/// that name, or whoever may draft might call. `known` says which tools a server has, offered or not; one that is declared by
/// its exact name need not have been seen.
pub fn reserved<'n>(
    declarations: &Declarations,
    name: &'n str,
    known: impl Fn(&str) -> bool,
) -> Option<&'n str> {
    let of = name.strip_prefix(DRAFT).or_else(|| name.strip_prefix(SUBMIT))?;
    let reads = || declarations.classify(of, Claimed::default()).effect == Effect::Read;
    let named = || declarations.tools.iter().any(|(pattern, _)| pattern == of);
    (declarations.drafts(of) && (named() || known(of)) && !reads()).then_some(of)
}

/// Why a server's tool of that name is not offered.
pub fn reserved_because(name: &str, of: &str) -> String {
    let (name, of) = (inspect::shown::visible(name), inspect::shown::visible(of));
    format!(
        "`{name}` is the gateway's own name for drafts of `{of}` (`draft = true`), and what has it is no tool of the server's"
    )
}

/// The two tools beside `item`, in the place of what its author calls so.
pub(crate) fn beside(item: &Item) -> Vec<(String, Item)> {
    if item.classified.effect == Effect::Read {
        return Vec::new();
    }
    let of = item.definition.name().to_owned();
    let [draft, submit] = [DRAFT, SUBMIT].map(|at| format!("{at}{of}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declared, ServerEntry};
    use decision::{Environment, ServerName};

    fn declared(pattern: &str, effect: Effect) -> Declarations {
        let declared = Declared { effect: Some(effect), draft: Some(true), ..Declared::default() };
        Declarations { tools: vec![(pattern.to_owned(), declared)], ..Declarations::default() }
    }

    #[test]
    fn what_the_gateway_calls_its_drafts_is_no_name_for_a_servers_tool() {
        let exact = declared("refund", Effect::Write);
        for name in ["draft_refund", "submit_refund"] {
            assert_eq!(reserved(&exact, name, |_| false), Some("refund"), "before it was seen");
        }
        for name in ["draft_", "draft_pay", "Draft_refund", "refund", "draft_draft_refund"] {
            assert_eq!(reserved(&exact, name, |_| true), None, "{name}");
        }
        let all = declared("*", Effect::Write);
        assert_eq!(reserved(&all, "draft_refund", |of| of == "refund"), Some("refund"));
        assert_eq!(reserved(&all, "draft_email", |_| false), None, "of nothing that is there");
        assert_eq!(reserved(&declared("refund", Effect::Read), "draft_refund", |_| true), None, "no draft");
        assert_eq!(reserved(&Declarations::default(), "draft_refund", |_| true), None);
    }

    #[test]
    fn the_gateways_pair_stands_in_the_place_of_a_servers_tools_of_those_names() {
        let tool = |name: &str| {
            let raw = Bytes::from(json!({ "name": name, "description": "the server's" }).to_string());
            Arc::new(Definition::new(ServerName::new("shop").unwrap(), ItemKind::Tool, raw).unwrap())
        };
        let tools = ["refund", "draft_refund", "submit_refund"].map(tool);
        let environment = Environment::new("local").unwrap();
        let entry = ServerEntry::new(environment, declared("refund", Effect::Write), tools);
        let drafting = |name| entry.item(ItemKind::Tool, name).map(|item| item.drafting.clone());
        assert_eq!(drafting("draft_refund"), Some(Some(Drafting::Draft { of: "refund".to_owned() })));
        assert_eq!(drafting("submit_refund"), None);
        assert!(entry.submit("submit_refund").is_some());
    }
}
