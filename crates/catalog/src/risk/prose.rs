//! What a description says that the tool does: the verb that leads it, the verbs joined to that one, and the verbs it lists.

use super::lexicon::{Act, act, inflected, result};
use super::lists::{items, list_after, lists_deeds};
use super::openings::{advises, names_a_look, requested, told_after_a_colon};
use super::words::{Form, Gap, Token, phrasal, sentences, singular, tokens};

/// Tokens of a description that are read; what matters is said first.
const TOKENS_MAX: usize = 400;
const SENTENCES_MAX: usize = 14;

/// What a description says, taken apart.
#[derive(Debug, Default)]
pub(super) struct Prose {
    /// The leading verb and those joined to it.
    pub(super) acts: Vec<(Act, String)>,
    /// Deeds it lists further on: `Supports adding, renaming and deleting`.
    pub(super) listed: Vec<(Act, String)>,
    /// The first words after the leading verbs, up to a preposition: the object.
    pub(super) object: Vec<String>,
    /// All words of the first sentence.
    pub(super) first: Vec<String>,
    /// A noun leads it, no verb: the description names a result.
    pub(super) names_result: bool,
    /// A verb that nobody knows leads it: something is done to what an article follows.
    pub(super) unknown_verb: bool,
    /// It says that money is taken or paid, or that people are told, beside what it does.
    pub(super) says_paid: bool,
    pub(super) says_told: bool,
    pub(super) says_read_only: bool,
    pub(super) says_final: bool,
    pub(super) says_overwrites: bool,
    /// What it does costs what was there: `discarding local changes`, `destroying what is left`.
    pub(super) says_discards: bool,
    /// What is not among what is given goes.
    pub(super) says_dropped: bool,
    /// It says that it can be undone, or that what was there is kept.
    pub(super) says_undone: bool,
    /// It says that a secret comes back.
    pub(super) returns_secret: bool,
    /// All that is read of it, in small letters, for what is seldom asked.
    pub(super) whole: String,
    /// What it takes away stays where it is kept.
    pub(super) says_stays: bool,
    /// What it deletes can be had back.
    pub(super) says_soft: bool,
    /// What leads it is not said first, or beside something: `by combining`.
    pub(super) loosely: bool,
}

impl Prose {
    pub(super) fn of(text: &str) -> Self {
        let text = super::abroad::in_english(unmarked(body(text)));
        let text: &str = &text;
        let all = joined(tokens(text, TOKENS_MAX));
        let mut prose = Self { first: first_words(&all), ..Self::default() };
        prose.unknown_verb = unknown_verb(&all);
        let whole = text.chars().take(3000).collect::<String>().to_lowercase().replace("e-mail", "email");
        prose.statements(&whole);
        prose.whole = whole;
        let mut sentences = sentences(&all).take(SENTENCES_MAX).peekable();
        prose.names_result =
            sentences.peek().is_some_and(|first| lead(first).is_none() && names_result(first));
        for (index, sentence) in sentences.enumerate() {
            if lists_deeds(sentence) {
                prose.listed.extend(list_after(sentence, 0));
                // what stands first is what it does, and not beside that
                if index == 0 {
                    prose.acts = prose.listed.clone();
                }
            } else if prose.acts.is_empty() && index < 3 && !(index > 0 && advises(sentence)) {
                prose.read_head(sentence);
                prose.loosely |= index > 0 && !prose.acts.is_empty();
            }
        }
        prose.listed.extend(items(text));
        if prose.acts.is_empty() {
            prose.acts = prose.listed.clone();
        }
        prose
    }

    fn read_head(&mut self, sentence: &[Token]) {
        if let Some(look) = names_a_look(sentence) {
            self.acts.push((Act::Read, look));
            return;
        }
        let Some((at, form)) = lead(sentence) else {
            return;
        };
        self.loosely = form == Form::Gerund;
        let end = coordinated(sentence, at, form, &mut self.acts);
        let rest = sentence.get(end..).unwrap_or_default();
        self.object = rest
            .iter()
            .take_while(|token| !preposition(&token.word))
            .take(9)
            .map(|t| t.word.clone())
            .collect();
        let umbrella = self.acts.iter().all(|(act, _)| *act == Act::Umbrella);
        if umbrella {
            let colon = rest
                .iter()
                .position(|token| token.gap == Gap::Colon || token.gap == Gap::Aside || token.word == "by");
            self.listed.extend(colon.map(|colon| list_after(rest, colon)).unwrap_or_default());
        }
        let reviews = self.acts.iter().all(|(act, word)| *act == Act::Read && word.starts_with("review"));
        self.acts.extend(reviews.then(|| told_after_a_colon(rest)).flatten());
        self.acts.extend(later_clauses(rest, form));
    }
}

/// The tokens with their phrasal verbs joined.
fn joined(all: Vec<Token>) -> Vec<Token> {
    let mut joined: Vec<Token> = Vec::with_capacity(all.len());
    for token in all {
        let before = joined.last_mut().filter(|_| token.gap == Gap::Space);
        match before.and_then(|before| Some((phrasal(&before.word, &token.word)?, before))) {
            Some((verb, before)) => before.word = verb,
            None => joined.push(token),
        }
    }
    joined
}

/// The description without what programming languages put below it.
fn body(text: &str) -> &str {
    let ends =
        ["\nArgs:", " Args:\n", "\nParameters:", "\nReturns:", "\nExample", "\nParams:", "\n\nReturns"];
    let end = ends.iter().filter_map(|marker| text.find(marker)).filter(|at| *at > 0).min();
    end.and_then(|end| text.get(..end)).filter(|text| !text.trim().is_empty()).unwrap_or(text)
}

/// The text behind what only marks it: `<instructions>`, `[DEPRECATED]`.
fn unmarked(text: &str) -> &str {
    let mut rest = text.trim_start();
    for _ in 0..3 {
        let mark = [('<', '>'), ('[', ']')].iter().find_map(|(open, close)| {
            let inner = rest.strip_prefix(*open)?;
            let end = inner.find(*close).filter(|end| *end < 40)?;
            inner.get(end + close.len_utf8()..)
        });
        match mark.map(str::trim_start).filter(|after| !after.is_empty()) {
            Some(after) => rest = after,
            None => break,
        }
    }
    rest
}

fn first_words(all: &[Token]) -> Vec<String> {
    let first = sentences(all).next().unwrap_or_default();
    first.iter().take(40).map(|token| token.word.clone()).collect()
}

/// The leading verb: the first that only lead-ins precede, else the first that stands as a deed (`a tool for finding`).
fn lead(sentence: &[Token]) -> Option<(usize, Form)> {
    if let Some(requested) = requested(sentence) {
        return Some(requested);
    }
    let mut at = 0;
    let mut noun = false;
    while let Some(token) = sentence.get(at) {
        if lead_in(&token.word, sentence.get(at + 1..).unwrap_or_default()) {
            noun = article(&token.word);
            at += 1;
            continue;
        }
        let next = sentence.get(at + 1).map(|token| token.word.as_str()).unwrap_or_default();
        if let Some((_, form)) = inflected(&token.word).filter(|_| !noun && !a_noun_here(&token.word, next)) {
            return Some((at, form));
        }
        break;
    }
    let deed = |(at, token): (usize, &Token)| {
        let before = at
            .checked_sub(1)
            .and_then(|at| sentence.get(at))
            .map(|token| token.word.as_str())
            .unwrap_or_default();
        let (_, form) = inflected(&token.word)?;
        let stands = match form {
            Form::Base => matches!(before, "to" | "can" | "will") && !anothers(sentence, at),
            Form::Gerund => matches!(before, "for" | "by"),
            Form::Third => matches!(before, "that" | "which" | "tool" | "this" | "it"),
        };
        stands.then_some((at, form))
    };
    sentence.iter().enumerate().take(16).find_map(deed)
}

/// `waiting for it to finish`: what is waited for does it.
fn anothers(sentence: &[Token], at: usize) -> bool {
    let before = at.checked_sub(2).and_then(|at| sentence.get(at));
    before.is_some_and(|token| matches!(token.word.as_str(), "it" | "them"))
}

/// `Exchange rates`, `Place details`, `Map of`: a word that is a noun before such another.
fn a_noun_here(word: &str, next: &str) -> bool {
    let either = matches!(
        word,
        "exchange"
            | "place"
            | "power"
            | "map"
            | "fund"
            | "trade"
            | "bid"
            | "tip"
            | "stake"
            | "sign"
            | "mail"
            | "ring"
            | "figure"
            | "state"
            | "stream"
            | "hire"
            | "trust"
            | "returns"
            | "charging"
            | "spending"
            | "billing"
    );
    // `Start here when`: advice
    let advice = word == "start" && next == "here";
    advice
        || word == "forward" && next.starts_with("geocod")
        || either
            && (matches!(next, "of" | "for" | "in" | "by" | "over")
                || result(next)
                || result(&singular(next)))
}

/// A word that is no verb anybody knows, yet governs an object: nouns have their articles before them.
fn unknown_verb(all: &[Token]) -> bool {
    let governs = |word: &str| {
        matches!(
            word,
            "a" | "an" | "the" | "all" | "any" | "one" | "your" | "this" | "each" | "every" | "its"
        )
    };
    let mut sentence = sentences(all).next().unwrap_or_default().iter();
    let (Some(first), Some(next)) = (sentence.next(), sentence.next()) else {
        return false;
    };
    let name = first.word.as_str();
    // what is taken is mostly a picture
    let takes = matches!(name, "take" | "takes");
    let other =
        takes || article(name) || asks(name) || preposition(name) || lead_in(name, &[]) || conjunction(name);
    !other && next.gap == Gap::Space && governs(&next.word) && inflected(name).is_none()
}

/// A question that the tool answers.
fn asks(word: &str) -> bool {
    matches!(word, "who" | "what" | "where" | "when" | "which" | "how" | "why" | "whether" | "whose")
}

pub(super) fn article(word: &str) -> bool {
    matches!(word, "the" | "a" | "an" | "your" | "of")
}

/// A sentence without a verb: about an article's noun, or with a noun for what a look brings back. One that begins with a
/// word nobody knows may well begin with a verb.
fn names_result(sentence: &[Token]) -> bool {
    let mut words = sentence.iter().map(|token| token.word.as_str());
    let first = words.clone().next().unwrap_or_default();
    let adjective = matches!(
        first,
        "current" | "available" | "latest" | "detailed" | "full" | "all" | "recent" | "every"
    );
    let nominal = ["tion", "ment", "ness", "ity", "ance", "ence", "ware", "ics", "'s", "’s"]
        .iter()
        .any(|end| first.strip_suffix('s').unwrap_or(first).ends_with(end) || first.ends_with(end))
        || asks(first)
        || matches!(first, "everything" | "last" | "past" | "past-due" | "today" | "free" | "open");
    article(first)
        || nominal
        || adjective
        || words.clone().skip(2).take(2).any(|word| matches!(word, "of" | "over" | "between"))
        || words.clone().nth(1).is_some_and(|word| matches!(word, "of" | "for" | "about"))
        || words.any(|word| result(word) || result(&singular(word)))
}

/// Words that come before the deed: `Use this tool to`, `Allows you to`, `Safely`.
pub(super) fn lead_in(word: &str, rest: &[Token]) -> bool {
    const HELPERS: &str = "allow allows enable enables let lets help helps use used";
    const HELPED: &str = "you users agents clients ai llms models this to for it when us callers";
    let among = |words: &str, word: &str| words.split(' ').any(|one| one == word);
    let next = rest.first().map(|token| token.word.as_str()).unwrap_or_default();
    // `Enables the user to`, but not `Enable the alarm`.
    let somebody_to = article(next) && rest.iter().take(4).any(|token| token.word == "to");
    // `Enables applications to preview`, `Use the engine to analyze`
    let to_deed = || {
        let at = rest.iter().take(6).position(|token| token.word == "to");
        at.and_then(|at| rest.get(at + 1)).is_some_and(|deed| inflected(&deed.word).is_some())
    };
    let leads = matches!(word, "allows" | "enables" | "lets" | "helps" | "use" | "uses") && to_deed();
    let called = matches!(word, "call" | "invoke") && matches!(next, "this" | "me");
    let (helps, uses) = (among(HELPERS, word) || called, word.starts_with("use") || called);
    let helped = among(HELPED, next) || next.ends_with("ing") || somebody_to || (uses && article(next));
    const LEAD_INS: &[&str] = &[
        "this",
        "that",
        "these",
        "the",
        "a",
        "an",
        "tool",
        "tools",
        "function",
        "endpoint",
        "operation",
        "method",
        "command",
        "to",
        "for",
        "of",
        "you",
        "users",
        "agents",
        "clients",
        "can",
        "will",
        "is",
        "it",
        "which",
        "please",
        "consolidated",
        "main",
        "primary",
        "your",
        "ai",
        "llms",
        "models",
        "action",
        "api",
        "only",
        "whenever",
        "essential",
        "us",
        "callers",
        "utility",
    ];
    (helps && helped)
        || leads
        || LEAD_INS.contains(&word)
        || (word.len() > 4 && word.ends_with("ly") && !matches!(word, "apply" | "reply" | "supply"))
}

/// The verbs that directly follow one another from `at` on; gives where they end.
fn coordinated(sentence: &[Token], at: usize, form: Form, acts: &mut Vec<(Act, String)>) -> usize {
    let mut end = at;
    while let Some(token) = sentence.get(end) {
        let linked = end == at
            || token.gap == Gap::Comma
            || token.gap == Gap::Aside
            || sentence.get(end - 1).is_some_and(|before| conjunction(&before.word));
        match inflected(&token.word) {
            Some((act, found)) if linked && (found == form || end == at) => {
                acts.push((act, token.word.clone()))
            }
            _ if end > at && conjunction(&token.word) => {}
            Some(_) | None => break,
        }
        end += 1;
    }
    end
}

pub(super) fn conjunction(word: &str) -> bool {
    matches!(word, "and" | "or" | "then" | "optionally" | "also" | "either")
}

/// Verbs of the same form further on that have an object of their own: `finds the row and deletes it`.
fn later_clauses(rest: &[Token], form: Form) -> Vec<(Act, String)> {
    let mut found = Vec::new();
    for (at, token) in rest.iter().enumerate().skip(1).take(30) {
        let before = rest.get(at - 1).map(|token| token.word.as_str()).unwrap_or_default();
        let linked = conjunction(before) || (token.gap == Gap::Comma && form == Form::Third);
        let next = rest.get(at + 1).map(|token| token.word.as_str()).unwrap_or_default();
        let governs = matches!(
            next,
            "it" | "them"
                | "the"
                | "a"
                | "an"
                | "its"
                | "any"
                | "all"
                | "this"
                | "these"
                | "each"
                | "their"
                | "every"
                | "new"
                | "one"
        );
        if let (true, true, Some((act, found_form))) = (linked, governs, inflected(&token.word))
            && found_form == form
        {
            found.push((act, token.word.clone()));
        }
    }
    found
}

fn preposition(word: &str) -> bool {
    matches!(
        word,
        "for"
            | "in"
            | "on"
            | "using"
            | "with"
            | "via"
            | "by"
            | "when"
            | "if"
            | "that"
            | "which"
            | "so"
            | "to"
            | "from"
            | "at"
            | "as"
            | "into"
            | "where"
            | "against"
            | "within"
            | "between"
            | "among"
            | "based"
            | "through"
            | "including"
            | "without"
    )
}

/// Verbs that a text lists in quotes, as the values an argument may take: `'create' - makes one`.
pub(super) fn quoted(text: &str) -> Vec<(Act, String)> {
    let mut found = Vec::new();
    for quote in ['\'', '"', '`'] {
        let parts = text.split(quote).skip(1).step_by(2).take(24);
        let words = parts.filter(|part| part.len() < 40 && !part.contains(char::is_whitespace));
        found.extend(words.filter_map(|part| {
            let first = super::words::split(part).into_iter().next()?;
            Some((act(&first)?, part.to_owned()))
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(text: &str) -> Vec<Act> {
        Prose::of(text).acts.into_iter().map(|(act, _)| act).collect()
    }

    #[test]
    fn the_leading_verb_is_found_behind_what_leads_in() {
        for (text, act) in [
            ("Purges the cache.", Act::Remove),
            ("Use this tool to purge the cache", Act::Remove),
            ("This tool allows you to purge the cache", Act::Remove),
            ("A tool for purging caches.", Act::Remove),
            ("Safely purge the cache", Act::Remove),
            ("Enable the alarm of a room", Act::Flip),
            ("Allows finding a seat", Act::Read),
        ] {
            assert_eq!(acts(text), [act], "{text}");
        }
        assert!(acts("The weather of tomorrow").is_empty());
    }

    #[test]
    fn joined_verbs_count_and_joined_nouns_do_not() {
        assert_eq!(acts("Finds a seat and books it"), [Act::Read, Act::Flip]);
        assert_eq!(acts("Add, move, or erase a seat"), [Act::Add, Act::Change, Act::Remove]);
        assert_eq!(acts("Lists orders, updates and deletes of a day"), [Act::Read]);
        assert_eq!(acts("List seats to delete them later"), [Act::Read]);
    }

    #[test]
    fn listed_deeds_are_found_after_a_colon_and_after_supports() {
        let listed = |text| Prose::of(text).listed.into_iter().map(|(act, _)| act).collect::<Vec<_>>();
        assert_eq!(listed("Manages seats: reserve, move, or delete."), [Act::Flip, Act::Change, Act::Remove]);
        assert_eq!(listed("Seats of the hall. Supports adding and removing rows."), [Act::Add, Act::Remove]);
    }
}
