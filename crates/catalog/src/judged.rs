//! What an item is when everything counts that is known of it: the operator's word, then its definition.

use crate::observed::{Did, Observation};
use crate::risk::{self, Judgement, Siblings, Tool};
use crate::{Category, Classified, Declarations, Declared, Definition, Effect, Origin, Tier};
use decision::ItemKind;
use serde_json::Value;

/// What an item is. The operator's declaration counts as it stands where it says an effect; what nobody declared, and what a
/// declaration without an effect leaves open, is a write of tier high or, where its definition says so, worse: [`risk::judge`]
/// adds categories, makes a tier critical and a deletion destructive, and never makes anything milder. A trusted author's word
/// counts until an answer was `observed` that says otherwise.
pub fn classify(
    declarations: &Declarations,
    definition: &Definition,
    siblings: &Siblings,
    observed: &[Observation],
) -> Classified {
    let classified = declarations.classify(definition.name(), definition.claimed());
    let seen = !observed.is_empty();
    let says = |word: fn(&Declared) -> bool| declarations.says(definition.name(), word);
    match classified.origin {
        Origin::TrustedAuthor if seen && definition.kind() == ItemKind::Tool => {
            let judged = worse(&judge(definition, siblings)).and(classified);
            let deleted = observed.iter().any(|one| one.did == Did::Deleted);
            let effect = if deleted { Effect::Destructive } else { judged.effect };
            Classified { effect, origin: Origin::Observed, ..judged }
        }
        Origin::Undeclared if definition.kind() == ItemKind::Tool => {
            let judged = worse(&judge(definition, siblings));
            let both = judged.clone().and(classified);
            // of a declaration that is over, what was stricter stays
            let origin = if both == judged { judged.origin } else { Origin::Operator };
            Classified { origin, ..both }
        }
        // whoever adds a category does not say that nothing else is bad about it
        Origin::Operator if definition.kind() == ItemKind::Tool && !says(|one| one.effect.is_some()) => {
            let declared = classified.tier;
            let both = worse(&judge(definition, siblings)).and(classified);
            let tier = if says(|one| one.tier.is_some()) { declared } else { both.tier };
            Classified { tier, origin: Origin::Operator, ..both }
        }
        Origin::Undeclared | Origin::Operator | Origin::TrustedAuthor | Origin::Observed | Origin::Judged => {
            classified
        }
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
    use bytes::Bytes;
    use proptest::prelude::*;

    fn tool(raw: &str) -> Definition {
        let server = decision::ServerName::new("crm").unwrap();
        Definition::new(server, ItemKind::Tool, Bytes::from(raw.to_owned())).unwrap()
    }
    fn of(raw: &str) -> Classified {
        let siblings = Siblings::of(["get_order", "list_orders", "update_order"]);
        classify(&Declarations::default(), &tool(raw), &siblings, &[])
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
        let said = classify(&declared, &tool(r#"{"name":"delete_old_views"}"#), &Siblings::default(), &[]);
        assert_eq!((said.effect, said.origin), (Effect::Read, Origin::Operator));
    }

    #[test]
    fn a_declaration_without_an_effect_makes_nothing_milder_but_what_it_says() {
        let deletes = r#"{"name":"delete_account","description":"Deletes an account for good."}"#;
        let undeclared = of(deletes);
        assert_eq!((undeclared.effect, undeclared.tier), (Effect::Destructive, Tier::Critical));
        let with = |pattern: &str, declared: Declared| {
            let tools = vec![(pattern.to_owned(), declared)];
            let declared = Declarations { tools, ..Declarations::default() };
            classify(&declared, &tool(deletes), &Siblings::default(), &[])
        };
        let mut why = Declared::default();
        why.term.because = Some("seen by Ada".to_owned());
        for nothing in [Declared::default(), why] {
            assert_eq!(with("delete_account", nothing.clone()).effect, Effect::Destructive);
            assert_eq!(with("*", nothing).tier, Tier::Critical);
        }
        let categories = [Category::Financial].into();
        let more = with("*", Declared { categories, ..Declared::default() });
        assert_eq!(
            (more.effect, more.tier, more.origin),
            (Effect::Destructive, Tier::Critical, Origin::Operator)
        );
        assert!(
            more.categories.is_superset(&undeclared.categories)
                && more.categories.contains(&Category::Financial)
        );
        let lower = with("delete_account", Declared { tier: Some(Tier::Low), ..Declared::default() });
        assert_eq!((lower.effect, lower.tier), (Effect::Destructive, Tier::Low), "what is said is said");
    }

    fn saw(did: Did, at: u64) -> Observation {
        let (how, at) = (crate::observed::How::Flag, decision::Timestamp(at));
        Observation { did, how, call: decision::CallId::new(at, [1; 10]), at }
    }

    #[test]
    fn a_trusted_author_s_word_counts_until_an_answer_says_otherwise() {
        let reads = tool(
            r#"{"name":"get_order","description":"Returns an order.","annotations":{"readOnlyHint":true}}"#,
        );
        let trusting = Declarations { trust_annotations: true, ..Declarations::default() };
        let of = |observed: &[Observation]| {
            let said = classify(&trusting, &reads, &Siblings::default(), observed);
            (said.effect, said.tier, said.origin)
        };
        assert_eq!(of(&[]), (Effect::Read, Tier::Low, Origin::TrustedAuthor));
        assert_eq!(of(&[saw(Did::Sent, 1)]), (Effect::Write, Tier::High, Origin::Observed));
        assert_eq!(
            of(&[saw(Did::Sent, 1), saw(Did::Deleted, 1)]),
            (Effect::Destructive, Tier::High, Origin::Observed)
        );
    }

    #[test]
    fn an_operator_who_declared_it_later_knew() {
        use crate::{ServerEntry, record::Known};
        const DAY: u64 = 24 * 3_600 * 1_000_000;
        let of = |effect: Option<Effect>, since: Option<u64>, trust_annotations: bool| {
            let mut read = Declared { effect, ..Declared::default() };
            read.term.since = since.map(decision::Timestamp);
            let tools = effect.map(|_| ("get_order".to_owned(), read)).into_iter().collect();
            let declared = Declarations { tools, trust_annotations }.at(decision::Timestamp(9 * DAY));
            let order = tool(r#"{"name":"get_order","annotations":{"readOnlyHint":true}}"#);
            let seen = [("get_order".to_owned(), vec![saw(Did::Changed, 3 * DAY + 5)])].into();
            let entry =
                ServerEntry::with_observed(Default::default(), declared, [std::sync::Arc::new(order)], seen);
            Known::default().with_items(&entry, |_| Vec::new()).conduct(|at| (at.0 / DAY).to_string())
        };
        let read = Some(Effect::Read);
        assert!(of(read, None, false)[0].starts_with("`get_order` is declared read, but on 3 call "));
        assert_eq!(of(read, Some(3 * DAY), false).len(), 1, "on the same day, before it happened");
        assert_eq!(of(read, Some(4 * DAY), false), [""; 0]);
        assert_eq!(of(Some(Effect::Write), None, false), [""; 0], "nobody says that it reads");
        assert_eq!(of(None, None, false), [""; 0]);
        let trusted = of(None, None, true);
        assert!(
            trusted[0].contains("by the word of its author") && trusted[0].contains("counts as write, high")
        );
        assert_eq!(of(read, Some(4 * DAY), true), [""; 0], "the operator's word is over the author's");
    }

    proptest! {
        #[test]
        fn what_was_observed_makes_nothing_milder(
            name in "(get|delete)_[a-z]{1,5}", trusts in any::<bool>(), reads in any::<bool>(),
            declared in prop::option::of(prop::sample::select(Effect::ALL.to_vec())), did in prop::sample::select(Did::ALL.to_vec()),
        ) {
            let raw = serde_json::json!({ "name": name, "annotations": { "readOnlyHint": reads } });
            let declared = declared.map(|effect| ("*".to_owned(), Declared { effect: Some(effect), ..Declared::default() }));
            let declarations = Declarations { trust_annotations: trusts, tools: declared.into_iter().collect() };
            let of = |observed: &[Observation]| classify(&declarations, &tool(&raw.to_string()), &Siblings::default(), observed);
            let (without, with) = (of(&[]), of(&[saw(did, 1)]));
            prop_assert!(with.effect >= without.effect && with.tier >= without.tier);
            prop_assert!(with.categories.is_superset(&without.categories));
        }

        #[test]
        fn nothing_undeclared_is_milder_than_a_high_write(name in "[a-z_]{1,20}", text in "\\PC{0,80}", reads in any::<bool>()) {
            let raw = serde_json::json!({ "name": name, "description": text, "annotations": { "readOnlyHint": reads } });
            let said = of(&raw.to_string());
            let floor = Classified::undeclared();
            prop_assert!(said.effect >= floor.effect && said.tier >= floor.tier);
        }
    }
}
