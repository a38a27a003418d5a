//! Words that hold a tool back and went out, and words that let it do more and came in.

use super::words::Word;
use std::collections::{BTreeSet, HashMap};

/// How plain it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plain {
    /// It may be a matter of wording.
    Little,
    /// It is one among many words that went or came.
    Among,
    Plainly,
}

/// Forms of a word, and words for the same: one that stands for another is none that went out.
type Forms = &'static [&'static str];

/// What narrows wherever it stands.
const NARROW: &[Forms] = &[
    &["only", "solely", "exclusively", "strictly", "restricted", "limited", "limits", "limit"],
    &["inside", "within", "relative", "underneath", "below"],
    &["own", "my", "mine", "yourself", "myself", "caller", "owned"],
    &[
        "confirm",
        "confirms",
        "confirmed",
        "confirmation",
        "confirming",
        "ask",
        "asks",
        "asked",
        "asking",
        "prompt",
        "prompts",
    ],
    &[
        "approval",
        "approve",
        "approved",
        "approves",
        "permission",
        "consent",
        "authorized",
        "authorised",
        "reviewed",
    ],
    &["draft", "drafts"],
    &["staging", "sandbox", "sandboxed", "test", "dev", "development"],
    &["preview", "previews", "dry", "simulate", "simulates", "simulated"],
    &["readonly", "read-only"],
    &["single", "once"],
    &["maximum", "max", "most"],
    &["merged", "archived", "expired", "unused", "empty", "stale", "inactive", "trashed", "unpublished"],
    &["trash", "bin", "restored", "restorable", "undone", "undo", "reversible", "recoverable", "recovered"],
    &["private", "internal", "masked", "redacted", "anonymized", "sanitized", "encrypted"],
    &["allowlist", "allowlisted", "whitelisted", "trusted", "verified", "validated"],
];
/// What narrows in a short change, and is as often a way to put it.
const SLIGHT: &[Forms] = &[
    &["first", "beforehand", "before"],
    &["one"],
    &["that", "which", "whose", "who"],
    &["if", "when", "unless", "until", "after"],
    &["except", "excluding"],
    &["your", "current", "authenticated"],
    &["must", "never", "not", "no", "cannot", "without"],
];
/// What widens wherever it comes in.
const WIDE: &[Forms] = &[
    &["production", "prod", "live"],
    &["everyone", "everybody", "anyone", "anybody", "others"],
    &["unlimited", "unrestricted", "arbitrary", "anywhere", "anything", "regardless"],
    &["bypass", "bypasses", "bypassing", "override", "overrides"],
    &["permanently", "irreversibly", "automatically", "immediately", "silently"],
    &["absolute"],
    &["public", "publicly"],
];
/// What widens where something went out for it.
const SOME: &[Forms] = &[
    &["all", "any", "every", "entire", "whole"],
    &["other"],
    &["more", "multiple", "several", "many"],
    &["external", "global"],
];
/// What is gone where it is denied.
const CHECKS: &[&str] = &[
    "confirmation",
    "confirm",
    "confirming",
    "asking",
    "approval",
    "approvals",
    "permission",
    "consent",
    "review",
    "limit",
    "limits",
    "restriction",
    "restrictions",
    "checking",
    "checks",
    "validation",
    "verification",
    "prompting",
];

/// So many words that went out, or came in, are a short change.
const SHORT: usize = 12;

struct Counts<'a>(HashMap<&'a str, usize>);

impl<'a> Counts<'a> {
    fn of(words: &'a [Word], denied: &[(usize, usize)]) -> Self {
        let mut counts = HashMap::new();
        let denied: BTreeSet<usize> = denied.iter().map(|(_, check)| *check).collect();
        for (_, word) in words.iter().enumerate().filter(|(at, _)| !denied.contains(at)) {
            *counts.entry(word.text.as_str()).or_default() += 1;
        }
        Self(counts)
    }

    fn all(&self, forms: Forms) -> usize {
        forms.iter().filter_map(|form| self.0.get(form)).sum()
    }
}

/// The first of these that the one text says less often than the other, in its words.
fn fewer<'a>(all: &'a [Forms], than: &Counts<'_>, now: &Counts<'_>) -> Option<&'a str> {
    let forms = all.iter().find(|forms| now.all(forms) < than.all(forms))?;
    forms.iter().find(|form| than.0.get(*form) > now.0.get(*form)).copied()
}

/// Where a check is denied: of `without asking` both words.
fn unchecked(words: &[Word]) -> Vec<(usize, usize)> {
    let denies = |word: &Word| ["without", "no", "skips", "skip", "skipping"].contains(&word.text.as_str());
    let found = words.iter().enumerate().filter(|(_, word)| denies(word)).filter_map(|(at, not)| {
        let mut behind = words.iter().enumerate().skip(at + 1).take(3);
        let check = |word: &Word| word.sentence == not.sentence && CHECKS.contains(&word.text.as_str());
        behind.find(|(_, word)| check(word)).map(|(check, _)| (at, check))
    });
    found.collect()
}

/// What a text says before it lists arguments and results, as a comment in a program does.
pub(super) fn said(text: &str) -> &str {
    let heads = ["Args:", "Arguments:", "Parameters:", "Params:", "Returns:", "Raises:", "Yields:"];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if heads.contains(&line.trim()) {
            break;
        }
        at += line.len();
    }
    text.get(..at).unwrap_or(text)
}

/// What is no longer promised of a tool whose text changed, and how plain that is. `went` and `came` are numbers of words.
/// Of a `guide`, what only may narrow counts too: of an argument it tells as often when it need not be given.
pub(super) fn lifted(
    before: &[Word],
    after: &[Word],
    went: usize,
    came: usize,
    guide: bool,
) -> Option<(Plain, String)> {
    let (unchecked_before, unchecked_after) = (unchecked(before), unchecked(after));
    if unchecked_before.is_empty()
        && let Some((not, check)) = unchecked_after.first()
        && let (Some(not), Some(check)) = (after.get(*not), after.get(*check))
    {
        return Some((Plain::Plainly, format!("`{} {}` came in", not.text, check.text)));
    }
    let (was, is) = (Counts::of(before, &unchecked_before), Counts::of(after, &unchecked_after));
    let short = went <= SHORT && came <= SHORT;
    let plain = if short { Plain::Plainly } else { Plain::Among };
    // what holds back in other words
    let other = fewer(NARROW, &is, &was).is_some();
    let gone = fewer(NARROW, &was, &is);
    let wide = fewer(WIDE, &is, &was);
    let some = fewer(SOME, &is, &was);
    let both = |lost: &str, came: Option<&str>| match came {
        Some(came) => format!("`{lost}` went out, and `{came}` came in"),
        None => format!("`{lost}` went out"),
    };
    match (gone, wide.or(some)) {
        (Some(lost), came @ Some(_)) => return Some((plain, both(lost, came))),
        (Some(lost), None) if !other => return Some((plain, both(lost, None))),
        (Some(lost), None) => return Some((Plain::Little, both(lost, None))),
        (None, _) => {}
    }
    if let Some(word) = wide {
        return Some((if other || !short { Plain::Little } else { plain }, format!("`{word}` came in")));
    }
    if !guide || !short || other {
        return None;
    }
    let slight = fewer(SLIGHT, &was, &is).filter(|_| came == 0 || came * 2 <= went);
    match (slight, some) {
        (Some(lost), _) => Some((Plain::Little, both(lost, some))),
        (None, Some(word)) if went > 0 && came <= 2 * went.max(2) => {
            Some((Plain::Little, format!("`{word}` came in")))
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;

    fn of(old: &str, new: &str) -> Option<Plain> {
        let (old, new) = (words(old), words(new));
        let texts = |words: &[Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
        let (a, b) = (texts(&old), texts(&new));
        let (went, came) = (
            a.iter().filter(|word| !b.contains(word)).count(),
            b.iter().filter(|word| !a.contains(word)).count(),
        );
        lifted(&old, &new, went, came, true).map(|(plain, _)| plain)
    }

    #[test]
    fn a_promise_that_went_out_is_told_from_one_in_other_words() {
        for (old, new) in [
            ("Transfer money. Ask the user to confirm the amount first.", "Transfer money."),
            ("Delete a branch that is merged.", "Delete a branch."),
            ("Delete your own comments only.", "Delete comments."),
            ("Read a file inside the workspace.", "Read a file."),
            ("Run a query. Only SELECT is allowed.", "Run a query."),
            ("List my files.", "List files of all users."),
            ("Deploy to staging.", "Deploy to production."),
            ("Send a mail.", "Send a mail without asking."),
            ("A single SELECT statement", "One or more SQL statements"),
        ] {
            assert_eq!(of(old, new), Some(Plain::Plainly), "{old} {new}");
            assert_ne!(of(new, old), Some(Plain::Plainly), "{new} {old}");
        }
        for (old, new) in [
            ("Read a file inside the workspace.", "Read a file within the workspace."),
            ("Search for files.", "Search for files by name."),
            ("Search files.", "Find files."),
            ("Returns a page of files.", "Returns a page of files. Supports glob syntax."),
            ("Read a file.", "Read a file. Only text is returned."),
        ] {
            assert_eq!(of(old, new), None, "{old} {new}");
        }
        assert_eq!(of("Delete one record.", "Delete records."), Some(Plain::Little));
    }
}
