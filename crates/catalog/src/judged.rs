//! What an item is when everything counts that is known of it: the operator's word, then its definition.

use crate::risk::{self, Judgement, Siblings, Tool};
use crate::{Category, Classified, Declarations, Definition, Effect, Origin, Tier};
use decision::ItemKind;
use serde_json::Value;

/// What an item is. The operator's declaration counts as it stands; what nobody declared is a write of tier high or, where its
/// definition says so, worse: [`risk::judge`] adds categories, makes a tier critical and a deletion destructive, and never makes
/// anything milder.
pub fn classify(declarations: &Declarations, definition: &Definition, siblings: &Siblings) -> Classified {
    let classified = declarations.classify(definition.name(), definition.claimed());
    match classified.origin {
        Origin::Undeclared if definition.kind() == ItemKind::Tool => {
            let judged = worse(&judge(definition, siblings));
            let both = judged.clone().and(classified);
            // of a declaration that is over, what was stricter stays
            let origin = if both == judged { judged.origin } else { Origin::Operator };
            Classified { origin, ..both }
        }
        Origin::Undeclared | Origin::Operator | Origin::TrustedAuthor | Origin::Judged => classified,
    }
}

/// What can be read of a tool's definition, judged.
pub fn judge(definition: &Definition, siblings: &Siblings) -> Judgement {
    let raw: Value = serde_json::from_slice(definition.raw()).unwrap_or_default();
    risk::judge(&Tool::of(&raw, definition.claimed()), siblings)
}

fn worse(judgement: &Judgement) -> Classified {
    let undeclared = Classified::undeclared();
    // an update cannot be called back either, but it is a change of data, not a deletion (K10)
    let deletes = judgement.effect == risk::Effect::Irreversible
        && judgement.categories.contains(&Category::Destructive);
    let judged = Classified {
        effect: if deletes { Effect::Destructive } else { undeclared.effect },
        tier: judgement.tier.max(Tier::High),
        categories: judgement.categories.clone(),
        origin: Origin::Judged,
    };
    let same = (judged.effect, judged.tier, judged.categories.is_empty())
        == (undeclared.effect, undeclared.tier, true);
    if same { undeclared } else { judged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Declared;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn tool(raw: &str) -> Definition {
        let server = decision::ServerName::new("crm").unwrap();
        Definition::new(server, ItemKind::Tool, Bytes::from(raw.to_owned())).unwrap()
    }
    fn of(raw: &str) -> Classified {
        let siblings = Siblings::of(["get_order", "list_orders", "update_order"]);
        classify(&Declarations::default(), &tool(raw), &siblings)
    }

    // K8, K10, K11, K14
    #[test]
    fn what_nobody_declared_is_as_bad_as_its_definition_says() {
        let deletes = of(
            r#"{"name":"delete_customer","description":"Deletes a customer for good.","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}}}"#,
        );
        assert_eq!((deletes.effect, deletes.origin), (Effect::Destructive, Origin::Judged));
        assert!(deletes.categories.contains(&Category::Destructive) && deletes.tier == Tier::Critical);
        let refunds = of(r#"{"name":"issue_refund","description":"Refunds a payment."}"#);
        assert!(refunds.categories.contains(&Category::Financial), "{refunds:?}");
        let runs = of(
            r#"{"name":"run_command","description":"Runs a shell command.","inputSchema":{"type":"object","properties":{"command":{"type":"string"}}}}"#,
        );
        assert!(runs.categories.contains(&Category::Execution) && runs.tier == Tier::Critical, "{runs:?}");
    }

    #[test]
    fn what_only_reads_by_its_own_word_stays_a_high_write() {
        let reads = of(
            r#"{"name":"get_order","description":"Returns an order.","annotations":{"readOnlyHint":true}}"#,
        );
        assert_eq!(reads, Classified::undeclared());
    }

    #[test]
    fn the_operator_s_word_stands() {
        let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
        let declared = Declarations { tools: vec![("delete_*".to_owned(), read)], ..Declarations::default() };
        let said = classify(&declared, &tool(r#"{"name":"delete_old_views"}"#), &Siblings::default());
        assert_eq!((said.effect, said.origin), (Effect::Read, Origin::Operator));
    }

    proptest! {
        #[test]
        fn nothing_undeclared_is_milder_than_a_high_write(name in "[a-z_]{1,20}", text in "\\PC{0,80}", reads in any::<bool>()) {
            let raw = serde_json::json!({ "name": name, "description": text, "annotations": { "readOnlyHint": reads } });
            let said = of(&raw.to_string());
            let floor = Classified::undeclared();
            prop_assert!(said.effect >= floor.effect && said.tier >= floor.tier);
        }
    }
}
