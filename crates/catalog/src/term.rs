//! Who declared what a tool is, why, and from when until when that counts.

use crate::{Effect, Tier};
use decision::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// What an operator's declaration says of itself. Nothing of it has to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Term {
    #[serde(default)]
    pub by: Option<String>,
    #[serde(default)]
    pub because: Option<String>,
    #[serde(default)]
    pub since: Option<Timestamp>,
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The definition that was looked at when it was declared.
    #[serde(default)]
    pub definition: Option<Digest>,
    /// Where it stands at the moment for which [`crate::Declarations::at`] was asked.
    #[serde(skip)]
    pub stands: Stands,
}

/// Whether a declaration counts as it stands. One that does not can still make a tool stricter, and never milder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    #[default]
    InForce,
    NotYet,
    Over,
}

impl Stands {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in force",
            Self::NotYet => "not yet in force",
            Self::Over => "over",
        }
    }
}

impl Term {
    pub fn at(&self, now: Timestamp) -> Stands {
        match (self.since, self.until) {
            (_, Some(until)) if until <= now => Stands::Over,
            (Some(since), _) if now < since => Stands::NotYet,
            (_, _) => Stands::InForce,
        }
    }

    /// When it begins and when it ends.
    pub fn dates(&self) -> impl Iterator<Item = Timestamp> {
        self.since.into_iter().chain(self.until)
    }
}

/// One declaration of one tool, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Said {
    /// As it stands in the file: a name, or a pattern.
    pub pattern: String,
    pub effect: Effect,
    pub tier: Tier,
    #[serde(flatten)]
    pub term: Term,
    pub stands: Stands,
    /// It was made for another definition than this one.
    pub outlived: bool,
}

/// What somebody should know of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    Over(Timestamp),
    Ends(Timestamp),
    NotYet(Timestamp),
    Outlived,
}

/// So long before its end somebody should look at it again.
const NEAR_US: u64 = 30 * 24 * 3_600 * 1_000_000;

impl Said {
    /// What to know of it now.
    pub fn remarks(&self, now: Timestamp) -> Vec<Remark> {
        let (since, until) = (self.term.since, self.term.until);
        let dated = match (self.term.at(now), since, until) {
            (Stands::Over, _, Some(until)) => Some(Remark::Over(until)),
            (Stands::NotYet, Some(since), _) => Some(Remark::NotYet(since)),
            (Stands::InForce, _, Some(until)) if until.0 <= now.0.saturating_add(NEAR_US) => {
                Some(Remark::Ends(until))
            }
            (_, _, _) => None,
        };
        dated.into_iter().chain(self.outlived.then_some(Remark::Outlived)).collect()
    }

    /// Who says what, since when and until when.
    pub fn sentence(&self, day: impl Fn(Timestamp) -> String) -> String {
        let Term { by, because, since, until, .. } = &self.term;
        let mut text =
            format!("`{}` is declared {}, {}", self.pattern, self.effect.as_str(), self.tier.as_str());
        let mut say = |word: &str, what: Option<String>| {
            if let Some(what) = what {
                text.push_str(&format!(" {word} {what}"));
            }
        };
        say("by", by.clone());
        say("since", since.map(&day));
        say("until", until.map(&day));
        if let Some(because) = because {
            text.push_str(&format!(": {because}"));
        }
        match self.stands {
            Stands::InForce => {}
            Stands::NotYet | Stands::Over => text.push_str(&format!(" ({})", self.stands.as_str())),
        }
        if self.outlived {
            text.push_str(" (made for another definition)");
        }
        text
    }
}

impl Remark {
    /// For whoever runs the gateway; `tools` are those that the declaration is about.
    pub fn sentence(self, said: &Said, tools: &[&str], day: impl Fn(Timestamp) -> String) -> String {
        let (pattern, all) = (&said.pattern, tools.join("`, `"));
        let by = said.term.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        match self {
            Self::Over(until) => format!(
                "what `{pattern}` is declared{by} is over since {}: `{all}` counts as without it, and never milder; declare \
                 it anew, or take it out",
                day(until)
            ),
            Self::Ends(until) => format!(
                "what `{pattern}` is declared{by} counts until {}: look at `{all}` again, and declare it anew",
                day(until)
            ),
            Self::NotYet(since) => {
                format!(
                    "what `{pattern}` is declared{by} counts from {}, and makes nothing milder before",
                    day(since)
                )
            }
            Self::Outlived => format!(
                "`{all}` was declared{by} for another definition than the one that is accepted: look whether it still holds, \
                 and write the digest of this one"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::reads;
    use crate::risk::Siblings;
    use crate::{
        Category, Claimed, Classified, Declarations, Declared, Definition, Origin, ServerEntry, classify,
    };
    use bytes::Bytes;
    use decision::{Environment, ItemKind};
    use proptest::prelude::*;
    use std::sync::Arc;

    const END: Timestamp = Timestamp(1_000);

    fn until(effect: Effect, tier: Option<Tier>, end: Option<Timestamp>) -> Declared {
        let term = Term { by: Some("Ada".to_owned()), until: end, ..Term::default() };
        Declared { effect: Some(effect), tier, term, ..Declared::default() }
    }
    fn all(tools: &[(&str, Declared)]) -> Declarations {
        let tools = tools.iter().map(|(name, declared)| ((*name).to_owned(), declared.clone())).collect();
        Declarations { tools, ..Declarations::default() }
    }
    fn tool(name: &str, description: &str) -> Definition {
        let raw = serde_json::json!({ "name": name, "description": description, "inputSchema": {
            "type": "object", "properties": { "id": { "type": "string" } } } });
        Definition::new("crm".parse().unwrap(), ItemKind::Tool, Bytes::from(raw.to_string())).unwrap()
    }
    fn is(declarations: &Declarations, now: u64, definition: &Definition) -> (Effect, Tier, Origin) {
        let one = classify(&declarations.at(Timestamp(now)), definition, &Siblings::default(), &[]);
        (one.effect, one.tier, one.origin)
    }

    #[test]
    fn a_declaration_that_is_over_makes_nothing_milder() {
        let delete = tool("delete_customer", "Deletes a customer for good.");
        let read = all(&[("delete_customer", until(Effect::Read, None, Some(END)))]);
        assert_eq!(is(&read, 999, &delete), (Effect::Read, Tier::Low, Origin::Operator));
        assert_eq!(is(&read, 1_000, &delete), (Effect::Destructive, Tier::Critical, Origin::Judged));
        let order = tool("get_order", "Returns one order.");
        let read = all(&[("get_order", until(Effect::Read, None, Some(END)))]);
        assert_eq!(is(&read, 1_000, &order), (Effect::Write, Tier::High, Origin::Undeclared));
        // what others say of it holds again
        let less = all(&[
            ("get_*", until(Effect::Write, Some(Tier::Medium), None)),
            ("get_order", until(Effect::Read, None, Some(END))),
        ]);
        assert_eq!(is(&less, 999, &order), (Effect::Read, Tier::Low, Origin::Operator));
        assert_eq!(is(&less, 1_000, &order), (Effect::Write, Tier::Medium, Origin::Operator));
    }

    #[test]
    fn what_made_a_tool_stricter_stays() {
        let order = tool("get_order", "Returns one order.");
        let severe = until(Effect::Destructive, Some(Tier::Critical), Some(END));
        let alone = all(&[("get_order", severe.clone())]);
        assert_eq!(is(&alone, 1_000, &order), (Effect::Destructive, Tier::Critical, Origin::Operator));
        let beside = all(&[("get_*", until(Effect::Read, None, None)), ("get_order", severe)]);
        assert_eq!(is(&beside, 1_000, &order), (Effect::Destructive, Tier::Critical, Origin::Operator));
        // nor may it be used while its server is held to reads
        let write = all(&[("get_order", until(Effect::Write, None, Some(END)))]);
        let reading = |declarations: Declarations| {
            let definitions = [Arc::new(order.clone())];
            reads(&ServerEntry::new(Environment::default(), declarations, definitions)).len()
        };
        assert_eq!(reading(Declarations::default()), 1);
        assert_eq!((reading(write.at(Timestamp(999))), reading(write.at(END))), (0, 0));
    }

    #[test]
    fn before_its_day_it_makes_nothing_milder_either() {
        let order = tool("get_order", "Returns one order.");
        let mut later = until(Effect::Read, None, None);
        later.term.since = Some(END);
        let later = all(&[("get_order", later)]);
        assert_eq!(is(&later, 999, &order).0, Effect::Write);
        assert_eq!(is(&later, 1_000, &order).0, Effect::Read);
        assert_eq!(later.dates().collect::<Vec<_>>(), [END]);
    }

    #[test]
    fn people_are_told_before_it_ends_when_it_is_over_and_when_it_was_for_another_definition() {
        let order = tool("get_order", "Returns one order.");
        let mut read = until(Effect::Read, None, Some(Timestamp(2 * NEAR_US)));
        read.term.definition = Some(order.digest());
        let declared = all(&[("get_order", read)]);
        let told = |now: u64, definition: &Definition| {
            let now = Timestamp(now);
            let said = declared.at(now).said_of(definition.name(), definition.digest());
            said.iter().flat_map(|said| said.remarks(now)).collect::<Vec<_>>()
        };
        let end = Timestamp(2 * NEAR_US);
        assert_eq!(told(NEAR_US - 1, &order), []);
        assert_eq!(told(NEAR_US, &order), [Remark::Ends(end)]);
        assert_eq!(told(2 * NEAR_US, &order), [Remark::Over(end)]);
        assert_eq!(told(1, &tool("get_order", "Returns an order.")), [Remark::Outlived]);
        // it is kept all the same
        assert_eq!(is(&declared, 1, &tool("get_order", "Returns an order.")).0, Effect::Read);
        let said = declared.at(end).said_of("get_order", order.digest());
        let day = |at: Timestamp| at.0.to_string();
        assert_eq!(
            said[0].sentence(day),
            format!("`get_order` is declared read, low by Ada until {} (over)", end.0)
        );
    }

    fn declared() -> impl Strategy<Value = Declared> {
        let date = || prop::option::of((0..4_u64).prop_map(Timestamp));
        let effect = prop::option::of(prop::sample::select(Effect::ALL.to_vec()));
        let tier = prop::option::of(prop::sample::select(Tier::ALL.to_vec()));
        let categories = prop::collection::btree_set(prop::sample::select(Category::ALL.to_vec()), 0..2);
        (effect, tier, categories, date(), date()).prop_map(|(effect, tier, categories, since, until)| {
            Declared {
                effect,
                tier,
                categories,
                term: Term { since, until, ..Term::default() },
                ..Declared::default()
            }
        })
    }

    proptest! {
        #[test]
        fn without_what_is_not_in_force_nothing_is_stricter(lines in prop::collection::vec(("[ab*]{1,3}", declared()), 0..6), name in "[ab]{1,3}", now in 0..4_u64) {
            let now = Timestamp(now);
            let whole = Declarations { tools: lines, ..Declarations::default() }.at(now);
            let mut without = whole.clone();
            without.tools.retain(|(_, declared)| declared.term.stands == Stands::InForce);
            let of = |declarations: &Declarations| -> Classified { declarations.classify(&name, Claimed::default()) };
            let (with, floor) = (of(&whole), of(&without));
            prop_assert!(with.effect >= floor.effect && with.tier >= floor.tier && with.categories.is_superset(&floor.categories));
        }
    }
}
