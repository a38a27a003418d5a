//! What is told of a program in words by which people are deceived.

use super::super::lexicon::world::{DEED, OUGHT, READER, TALE, UNTRUE};
use super::super::lexicon::{FETCH, MODEL, MOVE};
use super::Weighed;

impl Weighed<'_> {
    /// "speak as if", "is to be reported as": somebody is told to. "Behaves as if it were private" is told of a thing.
    pub(super) fn has_it_said(&self, orders: &[usize]) -> bool {
        let s = self.s;
        !orders.is_empty() || s.topics.meets(OUGHT.or(MODEL)) || s.commanded(UNTRUE.or(TALE)).next().is_some()
    }

    /// "like any other": nothing is said of others.
    pub(super) fn likens(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.s.tokens.get(before));
        before.is_some_and(|token| token.text == "like")
    }

    /// "silently checks out", "are silently capped", "are not coming up": what a program does of itself, which carries
    /// nothing away.
    pub(super) fn tells_what_happens(&self, at: usize) -> bool {
        let s = self.s;
        let word = |at: usize| s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let before = at.checked_sub(1).map(word).unwrap_or_default();
        let quietly = matches!(word(at), "silently" | "quietly");
        let happens = s.tokens.get(at + 1).is_some_and(|next| {
            !next.bare && !next.topics.meets(MOVE.or(FETCH).or(DEED)) && next.text.ends_with(['s', 'd'])
        });
        let goes_on = word(at) == "not"
            && matches!(before, "is" | "are" | "was" | "were")
            && word(at + 1).ends_with("ing");
        quietly && happens || goes_on
    }

    /// An example of a call, or of what comes back: values beside the names of arguments.
    pub(super) fn is_code(&self) -> bool {
        ["=\"", "\": \"", "\": [", "\":\""].iter().any(|mark| self.s.text.contains(mark))
    }

    /// A line on one of its own arguments: `name: what it is`.
    pub(super) fn is_an_entry(&self) -> bool {
        let line = self.s.text.trim_start_matches(['-', '*', '•', '`', ' ']);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = line.split(|c: char| !word(c)).next().unwrap_or_default();
        let behind = line.get(name.len()..).unwrap_or_default().trim_start_matches(['`', ' ']);
        !self.about.asks && behind.starts_with([':', '：', '=', '(']) && self.about.is_own(name)
    }

    /// "those that you have permission to see", "make sure that you have permission": a clause of another, told to nobody.
    pub(super) fn only_relates(&self) -> bool {
        let s = self.s;
        let relates = |at: usize| {
            let before = s.tokens.get(at.saturating_sub(2)..at).unwrap_or_default();
            let have = s.tokens.get(at + 1).is_some_and(|next| next.text == "have");
            let leads = s.tokens.get(at).is_some_and(|token| token.leads);
            have && (!leads
                || before.iter().any(|token| {
                    matches!(&*token.text, "that" | "which" | "whether" | "if" | "where" | "unless" | "what")
                }))
        };
        s.places(READER).next().is_some() && s.places(READER).all(relates)
    }
}

/// Where a product's own people answer: `support@…`.
pub(super) fn is_a_desk(mailbox: &str) -> bool {
    const DESKS: &[&str] = &["support", "help", "sales", "contact", "feedback", "security", "privacy"];
    let name = mailbox.split('@').next().unwrap_or_default();
    DESKS.iter().any(|desk| name.split(['-', '.', '_', '+']).any(|word| word == *desk))
}

/// `BACKING_UP` is a state, and no tool.
pub(crate) fn is_a_constant(name: &str) -> bool {
    name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase)
}
