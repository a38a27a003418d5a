//! What an item may do: effect, tier and categories, from the operator's declarations.

use crate::{Claimed, Said, Stands, Term};
use decision::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a call can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Read,
    Write,
    /// A change that may not be undone.
    Destructive,
}

impl Effect {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

/// How much is at stake (K4 to K7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    Low,
    Medium,
    High,
    Critical,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What kind of damage is possible (K8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Financial,
    Administrative,
    Destructive,
    CredentialAccess,
    ExternalCommunication,
    Execution,
}

impl Category {
    pub const ALL: [Self; 6] = [
        Self::Financial,
        Self::Administrative,
        Self::Destructive,
        Self::CredentialAccess,
        Self::ExternalCommunication,
        Self::Execution,
    ];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Financial => "financial",
            Self::Administrative => "administrative",
            Self::Destructive => "destructive",
            Self::CredentialAccess => "credential-access",
            Self::ExternalCommunication => "external-communication",
            Self::Execution => "execution",
        }
    }
}

/// On whose word a classification rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The operator declared it.
    Operator,
    /// The author annotated it, and the operator trusts this server's annotations.
    TrustedAuthor,
    /// Its author is trusted, but an answer of it said that its call did more than read: taken for what it is judged to be.
    Observed,
    /// Nobody said anything, and its definition says that it is worse than a write of tier high.
    Judged,
    /// Nobody said anything: taken for a write of tier high.
    Undeclared,
}

impl Origin {
    /// Whose word it is, for people.
    pub fn whose(self) -> &'static str {
        match self {
            Self::Operator => "declared",
            Self::TrustedAuthor => "its author, who is trusted",
            Self::Observed => "its own answers",
            Self::Judged => "judged by its definition",
            Self::Undeclared => "nobody",
        }
    }
}

/// What an item may do, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    pub effect: Effect,
    pub tier: Tier,
    #[serde(default)]
    pub categories: BTreeSet<Category>,
    pub origin: Origin,
}

impl Classified {
    /// What nobody declared is taken for a write of tier high.
    pub fn undeclared() -> Self {
        Self {
            effect: Effect::Write,
            tier: Tier::High,
            categories: BTreeSet::new(),
            origin: Origin::Undeclared,
        }
    }

    /// Both: no word of either is lost, and none is softened.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.effect = self.effect.max(other.effect);
        self.tier = self.tier.max(other.tier);
        self.categories.extend(other.categories);
        self
    }
}

/// One line of the operator's: which tools, and what they are. What is left out follows from the effect: a read is of tier
/// low, a write medium, a destructive one high. Without an effect, what is left out is what it would be if nobody declared it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Declared {
    #[serde(default)]
    pub effect: Option<Effect>,
    #[serde(default)]
    pub tier: Option<Tier>,
    #[serde(default)]
    pub categories: BTreeSet<Category>,
    /// How a call of it can be undone, for those who approve it and those who clean up after it.
    #[serde(default)]
    pub undo: Option<String>,
    /// Who answers for it, where that is not who answers for its server.
    #[serde(default)]
    pub owner: Option<String>,
    /// Offer `draft_X` and `submit_X` beside it.
    #[serde(default)]
    pub draft: Option<bool>,
    /// So long the same call is the same deed, whatever its client says.
    #[serde(default)]
    pub idempotency: Option<Duration>,
    /// A call of which nobody knows whether it happened may be made once more: twice is once.
    #[serde(default)]
    pub repeat_unknown: Option<bool>,
    /// Who says what it is, why, and from when until when that counts.
    #[serde(default)]
    pub term: Term,
}

/// What the operator says of one server's tools. An exact name beats a pattern; of patterns, the one with more
/// literal characters counts. Of equals all count: the most severe effect and tier, and every category. One that is not in
/// force yet, or not any more, counts beside what holds without it: it makes nothing milder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declarations {
    /// `trust-annotations = true`: the author's `readOnlyHint` makes an undeclared tool a read of tier low.
    pub trust_annotations: bool,
    /// A tool's name, or a pattern in which `*` stands for any run of characters.
    pub tools: Vec<(String, Declared)>,
}

impl Declarations {
    /// What the tool `name` is. `claimed` counts only where the operator trusts this author.
    pub fn classify(&self, name: &str, claimed: Claimed) -> Classified {
        let late = self.closest(name, |_| true).into_iter().filter(|(_, declared)| !in_force(declared));
        let late = late.map(|(_, declared)| resolve(declared)).reduce(Classified::and);
        let holds = self.holding(name, claimed);
        let Some(late) = late else { return holds };
        let stricter = holds.clone().and(late);
        // what nobody declared is judged beside this
        let own = stricter == holds || holds.origin == Origin::Undeclared;
        Classified { origin: if own { holds.origin } else { Origin::Operator }, ..stricter }
    }

    /// What it is by what is in force.
    fn holding(&self, name: &str, claimed: Claimed) -> Classified {
        let said = self.closest(name, in_force).into_iter().map(|(_, declared)| resolve(declared));
        if let Some(classified) = said.reduce(Classified::and) {
            return classified;
        }
        let harmless = claimed.read_only == Some(true) && claimed.destructive != Some(true);
        if self.trust_annotations && harmless {
            return Classified {
                effect: Effect::Read,
                tier: Tier::Low,
                categories: BTreeSet::new(),
                origin: Origin::TrustedAuthor,
            };
        }
        Classified::undeclared()
    }

    /// The declarations that say what a tool is, with their patterns: those that are closest to its name, in force or not.
    pub fn of(&self, name: &str) -> Vec<(&str, &Declared)> {
        self.closest(name, |_| true)
    }

    /// The same for people, of one definition.
    pub fn said_of(&self, name: &str, definition: Digest) -> Vec<Said> {
        let said = |(pattern, declared): (&str, &Declared)| {
            let Classified { effect, tier, .. } = resolve(declared);
            Said {
                pattern: pattern.to_owned(),
                effect,
                tier,
                term: declared.term.clone(),
                stands: declared.term.stands,
                outlived: declared.term.definition.is_some_and(|of| of != definition),
            }
        };
        self.of(name).into_iter().map(said).collect()
    }

    /// Whether whoever declares the tool a read knew of what was observed then: the declaration is in force and begins later.
    pub(crate) fn knew(&self, name: &str, at: Timestamp) -> bool {
        let said = self.closest(name, in_force);
        !said.is_empty()
            && said.iter().all(|(_, declared)| declared.term.since.is_some_and(|since| since > at))
    }

    /// Whether what is in force has this word to say of a tool. What it does not say, the definition does.
    pub(crate) fn says(&self, name: &str, word: fn(&Declared) -> bool) -> bool {
        self.closest(name, in_force).iter().any(|(_, declared)| word(declared))
    }

    /// Whether somebody says, or said, that it does more than read.
    pub(crate) fn denies_reading(&self, name: &str) -> bool {
        self.of(name).iter().any(|(_, declared)| resolve(declared).effect != Effect::Read)
    }

    fn closest(&self, name: &str, counts: impl Fn(&Declared) -> bool) -> Vec<(&str, &Declared)> {
        let fitting = || {
            let tools = self.tools.iter().filter(|(_, declared)| declared.classifies() && counts(declared));
            tools.filter(|(pattern, _)| matches(pattern, name))
        };
        let best = fitting().map(|(pattern, _)| precedence(pattern)).max();
        let equals = fitting().filter(|(pattern, _)| Some(precedence(pattern)) == best);
        equals.map(|(pattern, declared)| (pattern.as_str(), declared)).collect()
    }

    /// The same as they stand at a moment.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let mut all = self.clone();
        for (_, declared) in &mut all.tools {
            declared.term.stands = declared.term.at(now);
        }
        all
    }

    /// The moments at which something begins or ends to count.
    pub fn dates(&self) -> impl Iterator<Item = Timestamp> {
        self.tools.iter().flat_map(|(_, declared)| declared.term.dates())
    }

    /// How a tool's calls can be undone.
    pub fn undo(&self, name: &str) -> Option<&str> {
        self.said(name, |declared| declared.undo.as_deref())
    }

    /// Who answers for a tool, where somebody else than for its server.
    pub fn owner(&self, name: &str) -> Option<&str> {
        self.said(name, |declared| declared.owner.as_deref())
    }

    /// Whether a tool can be drafted.
    pub fn drafts(&self, name: &str) -> bool {
        self.said(name, |declared| declared.draft).unwrap_or_default()
    }

    /// For how long the same call of a tool is the same deed.
    pub fn idempotency(&self, name: &str) -> Option<Duration> {
        self.said(name, |declared| declared.idempotency)
    }

    /// Whether a call of which nobody knows whether it happened may be made once more.
    pub fn repeats_unknown(&self, name: &str) -> bool {
        self.said(name, |declared| declared.repeat_unknown).unwrap_or_default()
    }

    /// What the operator wrote of a tool, where that is most exact.
    fn said<'a, T: Ord>(&'a self, name: &str, of: impl Fn(&'a Declared) -> Option<T>) -> Option<T> {
        let said = self.tools.iter().filter_map(|(pattern, declared)| Some((pattern, of(declared)?)));
        let fitting = said.filter(|(pattern, _)| matches(pattern, name));
        fitting.map(|(pattern, said)| (precedence(pattern), said)).max().map(|(_, said)| said)
    }

    /// Patterns that fit none of `names`: most likely misspelt.
    pub fn idle<'a>(&'a self, names: &[&str]) -> Vec<&'a str> {
        let fits = |pattern: &str| names.iter().any(|name| matches(pattern, name));
        self.tools.iter().map(|(pattern, _)| pattern.as_str()).filter(|pattern| !fits(pattern)).collect()
    }
}

impl Declared {
    /// What says neither effect nor tier nor category says nothing of what it is, and stands in no other declaration's way.
    fn classifies(&self) -> bool {
        self.effect.is_some() || self.tier.is_some() || !self.categories.is_empty()
    }
}

fn in_force(declared: &Declared) -> bool {
    declared.term.stands == Stands::InForce
}

fn precedence(pattern: &str) -> (bool, usize) {
    (!pattern.contains('*'), pattern.len() - pattern.matches('*').count())
}

fn resolve(declared: &Declared) -> Classified {
    let effect = declared.effect.unwrap_or(Effect::Write);
    let tier = declared.tier.unwrap_or(match declared.effect {
        Some(Effect::Read) => Tier::Low,
        Some(Effect::Write) => Tier::Medium,
        Some(Effect::Destructive) | None => Tier::High,
    });
    Classified { effect, tier, categories: declared.categories.clone(), origin: Origin::Operator }
}

/// `*` stands for any run of characters; everything else for itself. Linear in the pattern times the name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(effect: Option<Effect>, tier: Option<Tier>) -> Declared {
        Declared { effect, tier, ..Declared::default() }
    }

    #[test]
    fn whose_a_tool_is_says_nothing_of_what_it_is_and_the_closest_says_it() {
        let owned = |by: &str| Declared { owner: Some(by.to_owned()), ..Declared::default() };
        let reads = Declared { effect: Some(Effect::Read), ..Declared::default() };
        let tools = vec![
            ("*".to_owned(), reads),
            ("pay*".to_owned(), owned("treasury")),
            ("pay_refund".to_owned(), owned("support")),
        ];
        let declarations = Declarations { tools, ..Declarations::default() };
        let owners = ["pay_refund", "pay_out", "list"].map(|tool| declarations.owner(tool));
        assert_eq!(owners, [Some("support"), Some("treasury"), None]);
        assert_eq!(declarations.classify("pay_refund", Claimed::default()).effect, Effect::Read);
    }

    #[test]
    fn how_to_undo_a_call_says_nothing_of_what_it_is() {
        let undo = |text: &str| Declared { undo: Some(text.to_owned()), ..Declared::default() };
        let all =
            Declared { effect: Some(Effect::Destructive), undo: Some("call".into()), ..Declared::default() };
        let tools = vec![("*".to_owned(), all), ("refund".to_owned(), undo("charge again"))];
        let declarations = Declarations { tools, ..Declarations::default() };
        assert_eq!(declarations.classify("refund", Claimed::default()).effect, Effect::Destructive);
        assert_eq!(declarations.undo("refund"), Some("charge again"));
        assert_eq!(declarations.undo("other"), Some("call"));
    }

    #[test]
    fn how_a_call_can_be_repeated_says_nothing_of_what_it_is() {
        let window = |secs| Declared { idempotency: Some(Duration::from_secs(secs)), ..Declared::default() };
        let read = Declared { effect: Some(Effect::Read), repeat_unknown: Some(true), ..Declared::default() };
        let tools = vec![
            ("*".to_owned(), window(60)),
            ("refund".to_owned(), window(600)),
            ("get_*".to_owned(), read),
        ];
        let declarations = Declarations { tools, ..Declarations::default() };
        assert_eq!(declarations.classify("refund", Claimed::default()), Classified::undeclared());
        assert_eq!(declarations.idempotency("refund"), Some(Duration::from_secs(600)));
        assert_eq!(declarations.idempotency("get_order"), Some(Duration::from_secs(60)));
        assert!(declarations.repeats_unknown("get_order") && !declarations.repeats_unknown("refund"));
    }

    #[test]
    fn what_nobody_declared_is_a_high_write_whatever_its_author_claims() {
        let claimed = Claimed { read_only: Some(true), ..Claimed::default() };
        let classified = Declarations::default().classify("get_customer", claimed);
        assert_eq!(classified, Classified::undeclared());
    }

    #[test]
    fn an_author_is_believed_only_where_the_operator_says_so_and_only_without_contradiction() {
        let trusting = Declarations { trust_annotations: true, tools: vec![] };
        let read = Claimed { read_only: Some(true), ..Claimed::default() };
        assert_eq!(trusting.classify("a", read).origin, Origin::TrustedAuthor);
        let both = Claimed { read_only: Some(true), destructive: Some(true), ..Claimed::default() };
        assert_eq!(trusting.classify("a", both), Classified::undeclared());
        assert_eq!(trusting.classify("a", Claimed::default()), Classified::undeclared());
    }

    #[test]
    fn a_name_beats_a_pattern_and_of_equal_patterns_the_severe_one_counts() {
        let declarations = Declarations {
            trust_annotations: false,
            tools: vec![
                ("get_*".into(), says(Some(Effect::Read), None)),
                ("get_secret".into(), says(Some(Effect::Read), Some(Tier::Critical))),
                ("*_keys".into(), says(Some(Effect::Destructive), None)),
                ("get_k*".into(), says(Some(Effect::Read), None)),
            ],
        };
        let of = |name| {
            let c = declarations.classify(name, Claimed::default());
            (c.effect, c.tier)
        };
        assert_eq!(of("get_order"), (Effect::Read, Tier::Low));
        assert_eq!(of("get_secret"), (Effect::Read, Tier::Critical));
        assert_eq!(of("get_keys"), (Effect::Destructive, Tier::High), "five literal characters each");
        assert_eq!(of("drop"), (Effect::Write, Tier::High));
        assert_eq!(declarations.idle(&["get_order"]), ["get_secret", "*_keys", "get_k*"]);
    }

    #[test]
    fn a_tier_without_an_effect_stays_a_write() {
        let declarations =
            Declarations { trust_annotations: true, tools: vec![("a".into(), says(None, Some(Tier::Low)))] };
        let read = Claimed { read_only: Some(true), ..Claimed::default() };
        assert_eq!(declarations.classify("a", read).effect, Effect::Write);
    }

    #[test]
    fn of_equal_patterns_no_word_is_lost() {
        let with = |tier, category| Declared {
            effect: Some(Effect::Read),
            tier: Some(tier),
            categories: BTreeSet::from([category]),
            ..Declared::default()
        };
        let mut declarations = Declarations {
            trust_annotations: false,
            tools: vec![
                ("*_keys".into(), with(Tier::Critical, Category::CredentialAccess)),
                ("list_*".into(), says(Some(Effect::Write), Some(Tier::Low))),
                ("l*keys".into(), with(Tier::Low, Category::Financial)),
            ],
        };
        for _ in 0..3 {
            let classified = declarations.classify("list_keys", Claimed::default());
            assert_eq!((classified.effect, classified.tier), (Effect::Write, Tier::Critical));
            assert_eq!(classified.categories.len(), 2);
            declarations.tools.rotate_left(1);
        }
    }

    fn declared() -> impl Strategy<Value = Declared> {
        let categories = prop::collection::btree_set(prop::sample::select(Category::ALL.to_vec()), 0..3);
        (
            prop::option::of(prop::sample::select(Effect::ALL.to_vec())),
            prop::option::of(prop::sample::select(Tier::ALL.to_vec())),
            categories,
        )
            .prop_map(|(effect, tier, categories)| Declared {
                effect,
                tier,
                categories,
                ..Declared::default()
            })
            .prop_filter("what says nothing is no declaration", Declared::classifies)
    }

    fn declarations() -> impl Strategy<Value = Declarations> {
        let line = ("[ab*]{1,3}", declared());
        (any::<bool>(), prop::collection::vec(line, 0..6))
            .prop_map(|(trust_annotations, tools)| Declarations { trust_annotations, tools })
    }

    fn claimed() -> impl Strategy<Value = Claimed> {
        any::<[Option<bool>; 4]>().prop_map(|[read_only, destructive, idempotent, open_world]| Claimed {
            read_only,
            destructive,
            idempotent,
            open_world,
        })
    }

    /// The obvious definition, exponential in the worst case.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                by_definition(&pattern[1..], name) || (!name.is_empty() && by_definition(pattern, &name[1..]))
            }
            (Some(p), Some(n)) if p == n => by_definition(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        /// K16: what an author says of its own tools counts only where the operator trusts it and says nothing else.
        #[test]
        fn a_claim_never_changes_what_the_operator_declared(
            declarations in declarations(), name in "[ab]{1,3}", claims in prop::array::uniform2(claimed()),
        ) {
            let [one, other] = claims.map(|claimed| declarations.classify(&name, claimed));
            if one.origin == Origin::Operator || !declarations.trust_annotations {
                prop_assert_eq!(&one, &other);
            }
            let silent = Declarations { trust_annotations: false, ..declarations };
            let undeclared = silent.classify(&name, Claimed::default()).origin == Origin::Undeclared;
            prop_assert_eq!(one.origin == Origin::Operator, !undeclared);
            // and a claim that contradicts itself is worth nothing
            prop_assert!(one.origin != Origin::TrustedAuthor || claims[0].destructive != Some(true));
        }

        #[test]
        fn the_order_of_the_lines_does_not_matter(declarations in declarations(), name in "[ab]{1,3}", by in 0usize..6) {
            let mut turned = declarations.clone();
            turned.tools.rotate_left(by % declarations.tools.len().max(1));
            turned.tools.reverse();
            let claimed = Claimed { read_only: Some(true), ..Claimed::default() };
            prop_assert_eq!(declarations.classify(&name, claimed), turned.classify(&name, claimed));
        }

        #[test]
        fn a_further_line_of_equal_weight_never_lowers_anything(
            declarations in declarations(), further in declared(), name in "[ab]{1,3}",
        ) {
            let fits = |pattern: &str| matches(pattern, &name);
            let best = declarations.tools.iter().filter(|(p, _)| fits(p)).max_by_key(|(p, _)| precedence(p));
            prop_assume!(best.is_some());
            let mut more = declarations.clone();
            more.tools.push((best.unwrap().0.clone(), further));
            let (was, is) =
                (declarations.classify(&name, Claimed::default()), more.classify(&name, Claimed::default()));
            prop_assert!(is.effect >= was.effect && is.tier >= was.tier, "{was:?} became {is:?}");
            prop_assert!(is.categories.is_superset(&was.categories));
        }

        #[test]
        fn an_exact_name_is_the_last_word(declarations in declarations(), exact in declared(), name in "[ab]{1,3}") {
            let mut more = declarations;
            more.tools.retain(|(pattern, _)| *pattern != name);
            more.tools.push((name.clone(), exact.clone()));
            let classified = more.classify(&name, Claimed::default());
            prop_assert_eq!(classified, resolve(&exact));
        }

        #[test]
        fn a_pattern_matches_as_defined(pattern in "[ab*]{0,7}", name in "[ab]{0,9}") {
            prop_assert_eq!(matches(&pattern, &name), by_definition(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
