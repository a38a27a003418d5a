//! A *not* that went out while what it spoke of stayed.

use super::words::{Word, stem};
use std::collections::{BTreeMap, BTreeSet};

/// Words that deny what comes behind them; of `don't` and its like what stands before the apostrophe.
const DENIES: &[&str] = &[
    "not", "never", "no", "cannot", "without", "nor", "neither", "don", "doesn", "didn", "won", "isn",
    "aren", "shouldn", "mustn", "couldn", "wouldn", "hasn", "haven",
];
/// Words that deny or except in other ways, wherever they stand in a sentence.
const ALSO: &[&str] = &[
    "unless",
    "except",
    "excluding",
    "excludes",
    "excluded",
    "exempt",
    "refuse",
    "refuses",
    "refused",
    "reject",
    "rejects",
    "rejected",
    "decline",
    "declines",
    "declined",
    "omit",
    "omits",
    "omitted",
    "left",
    "skip",
    "skips",
    "skipped",
    "ignore",
    "ignores",
    "ignored",
    "only",
    "forbid",
    "forbids",
    "forbidden",
    "fail",
    "fails",
    "failed",
    "disallow",
    "disallows",
    "disallowed",
    "prohibit",
    "prohibits",
    "prohibited",
    "prevent",
    "prevents",
    "prevented",
    "deny",
    "denies",
    "denied",
    "block",
    "blocks",
    "blocked",
    "avoid",
    "avoids",
    "avoided",
    "illegal",
    "invalid",
    "impossible",
    "unable",
    "unsupported",
    "unavailable",
    "unchanged",
    "untouched",
    "unaffected",
    "disabled",
    "lack",
    "lacks",
    "lacking",
    "missing",
    "absent",
    "instead",
    "rather",
    "hardly",
    "rarely",
    "nothing",
    "none",
    "nobody",
    "nowhere",
    "fewer",
    "error",
    "errors",
    "raise",
    "raises",
    "throw",
    "throws",
];
/// So many words behind it, in its sentence, may be what it denies.
const REACH: usize = 3;

/// What a text denies, by stem, as it says so; and what it says without that.
fn read(words: &[Word]) -> (BTreeMap<&str, String>, BTreeMap<&str, &str>) {
    let (mut denied, mut plain) = (BTreeMap::new(), BTreeMap::new());
    let mut last: Option<(usize, &Word)> = None;
    for (i, word) in words.iter().enumerate() {
        if DENIES.contains(&word.text.as_str()) {
            last = Some((i, word));
            continue;
        }
        let Some(stem) = stem(&word.text) else { continue };
        match last.filter(|(at, not)| i - at <= REACH && not.sentence == word.sentence) {
            Some((_, not)) => {
                denied.entry(stem).or_insert_with(|| format!("{} {}", not.text, word.text));
                // the first word of meaning is what is denied
                last = None;
            }
            None => {
                plain.insert(stem, word.text.as_str());
            }
        }
    }
    (denied, plain)
}

/// Something that was denied, and never said otherwise, and is now said and no longer denied. Where its sentence denies in
/// other words, and none that said it did before, it is said otherwise.
pub(super) fn lost<'a>(before: &[Word], after: &'a [Word]) -> Option<(String, &'a str)> {
    let ((was_denied, was_plain), (denied, plain)) = (read(before), read(after));
    was_denied.into_iter().find_map(|(stem, told)| {
        let is_lost = !was_plain.contains_key(stem) && !denied.contains_key(stem);
        let word = plain.get(stem).filter(|_| is_lost)?;
        let otherwise = others(after, stem) > others(before, stem);
        (!otherwise).then_some((told, *word))
    })
}

/// How many words that deny in other ways stand in the sentences that speak of this.
fn others(words: &[Word], of: &str) -> usize {
    let spoken = words.iter().filter(|word| stem(&word.text) == Some(of)).map(|word| word.sentence);
    let spoken: BTreeSet<usize> = spoken.collect();
    words.iter().filter(|word| spoken.contains(&word.sentence) && ALSO.contains(&word.text.as_str())).count()
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;

    #[test]
    fn what_is_no_longer_denied_is_found_and_what_is_denied_otherwise_is_not() {
        let of = |old: &str, new: &str| lost(&words(old), &words(new)).map(|(was, is)| format!("{was}/{is}"));
        assert_eq!(
            of("Never deletes records.", "Deletes records.").as_deref(),
            Some("never deletes/deletes")
        );
        assert_eq!(of("It does not send mail.", "It sends mail.").as_deref(), Some("not send/sends"));
        assert_eq!(
            of("Doesn't overwrite files", "Overwrites files").as_deref(),
            Some("doesn overwrite/overwrites")
        );
        assert_eq!(of("Does not delete.", "Never deletes."), None);
        assert_eq!(of("Does not delete. Deletes drafts.", "Deletes drafts."), None);
        assert_eq!(of("Names must not be empty.", "Empty names are refused."), None);
        assert_eq!(of("An error if the file does not exist.", "An error unless the file exists."), None);
        for said in ["Empty names are declined.", "An empty name is invalid.", "Empty names raise an error."]
        {
            assert_eq!(of("Names must not be empty.", said), None, "{said}");
        }
        assert_eq!(
            of("Never deletes records.", "Deletes records. Only for administrators.").as_deref(),
            Some("never deletes/deletes"),
            "what another sentence excepts is something else"
        );
        assert_eq!(of("Does not delete anything.", "Looks only."), None);
        assert_eq!(of("Not implemented. Deletes.", "Deletes."), None, "another sentence");
    }
}
