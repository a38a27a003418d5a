//! Which tools may be used of a server that nobody has approved.

use crate::risk::{self, Siblings};
use crate::{Effect, Item, Origin, ServerEntry, judge};
use decision::ItemKind;
use std::collections::BTreeSet;

/// The tools that read: as the operator says, or by all that can be read of their definitions. The author's word that one
/// does makes none of it, whether or not the operator trusts it; the word that one does not always counts.
pub fn reads(entry: &ServerEntry) -> BTreeSet<String> {
    let tools: Vec<&Item> = entry.of_kind(ItemKind::Tool).filter(|item| item.drafting.is_none()).collect();
    let siblings = Siblings::of(tools.iter().map(|item| item.definition.name()));
    let denied = |item: &Item| entry.declarations.denies_reading(item.definition.name());
    let reading = tools.into_iter().filter(|item| !denied(item) && only_reads(item, &siblings));
    reading.map(|item| item.definition.name().to_owned()).collect()
}

fn only_reads(item: &Item, siblings: &Siblings) -> bool {
    // what is let through by it must be a read by the rules, not only worded like one, and be given nothing that could be run
    let judged = || {
        let judgement = judge(&item.definition, siblings);
        judgement.effect == risk::Effect::None && !judgement.turned && !judgement.given_to_run
    };
    match item.classified.origin {
        Origin::Operator => item.classified.effect == Effect::Read,
        Origin::TrustedAuthor => item.classified.effect == Effect::Read && judged(),
        Origin::Judged | Origin::Undeclared => judged(),
        Origin::Observed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declarations, Declared, Definition};
    use bytes::Bytes;
    use decision::{Environment, ServerName};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn of(declarations: Declarations) -> BTreeSet<String> {
        let server = ServerName::new("crm").unwrap();
        let tools = json!([
            { "name": "get_customer", "description": "Returns one customer.",
              "inputSchema": { "type": "object", "properties": { "id": { "type": "string" } } } },
            { "name": "delete_customer", "description": "Deletes a customer for good.",
              "annotations": { "readOnlyHint": true } },
            { "name": "frobnicate", "annotations": { "readOnlyHint": true } },
            { "name": "list_orders", "description": "Lists orders.", "annotations": { "readOnlyHint": false } },
        ]);
        let definition = |raw: &serde_json::Value| {
            Arc::new(Definition::new(server.clone(), ItemKind::Tool, Bytes::from(raw.to_string())).unwrap())
        };
        let tools = tools.as_array().unwrap().iter().map(definition);
        reads(&ServerEntry::new(Environment::default(), declarations, tools))
    }

    #[test]
    fn a_tool_reads_by_its_definition_and_never_by_its_authors_word_alone() {
        let names = of(Declarations::default());
        assert_eq!(names, BTreeSet::from(["get_customer".to_owned()]));
        let trusted = of(Declarations { trust_annotations: true, ..Declarations::default() });
        assert!(!trusted.contains("delete_customer"), "its name says otherwise: {trusted:?}");
    }

    #[test]
    fn what_is_only_worded_like_a_read_is_none_of_a_server_that_nobody_approved() {
        let server = ServerName::new("crm").unwrap();
        let raw = json!({ "name": "fold_histogram", "description":
            "Folds the samples of a sensor into a histogram and returns counts per bin." });
        let tool = Definition::new(server, ItemKind::Tool, Bytes::from(raw.to_string())).unwrap();
        let judged = judge(&tool, &Siblings::of(["fold_histogram"]));
        assert!(judged.turned && judged.effect == risk::Effect::None, "{judged:?}");
        let entry = ServerEntry::new(Environment::default(), Declarations::default(), [Arc::new(tool)]);
        assert_eq!(reads(&entry), BTreeSet::new());
    }

    proptest! {
        #[test]
        fn no_word_of_its_author_makes_a_tool_one_that_reads(
            name in "[a-z]{1,8}(_[a-z]{1,8}){0,2}|(get|set|run|sync|do|list|check)_(it|order|all)",
            text in "\\PC{0,60}|(Gets|Sends|Runs|Handles|Order)( a| the)? [a-z]{1,8}\\.",
            trusted in any::<bool>(),
        ) {
            let server = ServerName::new("crm").unwrap();
            let tool = |hints: serde_json::Value| {
                let raw = json!({ "name": name, "description": text, "annotations": hints });
                Arc::new(Definition::new(server.clone(), ItemKind::Tool, Bytes::from(raw.to_string())).unwrap())
            };
            let of = |hints| {
                let declared = Declarations { trust_annotations: trusted, ..Declarations::default() };
                !reads(&ServerEntry::new(Environment::default(), declared, [tool(hints)])).is_empty()
            };
            let claims = of(json!({ "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false }));
            let silent = reads(&ServerEntry::new(Environment::default(), Declarations::default(), [tool(json!({}))]));
            prop_assert!(!claims || !silent.is_empty());
            prop_assert!(!of(json!({ "readOnlyHint": false })), "its word that it does not read counts");
        }
    }

    #[test]
    fn the_operators_word_counts_either_way() {
        let said = |name: &str, effect| {
            let declared = Declared { effect: Some(effect), ..Declared::default() };
            of(Declarations { tools: vec![(name.to_owned(), declared)], ..Declarations::default() })
        };
        assert!(said("frobnicate", Effect::Read).contains("frobnicate"));
        assert!(!said("get_customer", Effect::Write).contains("get_customer"));
    }

    #[test]
    fn what_only_drafts_a_change_is_not_a_read_of_the_server() {
        let draft = Declared { draft: Some(true), ..Declared::default() };
        let names = of(Declarations { tools: vec![("*".to_owned(), draft)], ..Declarations::default() });
        assert!(!names.iter().any(|name| name.starts_with("draft_")), "{names:?}");
    }
}
