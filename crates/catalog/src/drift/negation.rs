//! A *not* that went out while what it spoke of stayed.

use super::words::{Word, stem};
use std::collections::BTreeMap;

/// Words that deny what comes behind them; of `don't` and its like what stands before the apostrophe.
const DENIES: &[&str] = &[
    "not", "never", "no", "cannot", "without", "nor", "neither", "don", "doesn", "didn", "won", "isn",
    "aren", "shouldn", "mustn", "couldn", "wouldn", "hasn", "haven",
];
/// Words that deny or except in other ways, wherever they stand.
const ALSO: &[&str] = &[
    "unless",
    "except",
    "excluding",
    "excludes",
    "excluded",
    "refuse",
    "refuses",
    "refused",
    "reject",
    "rejects",
    "rejected",
    "omit",
    "omits",
    "omitted",
    "left",
    "skip",
    "skips",
    "skipped",
    "ignores",
    "ignored",
    "only",
    "forbidden",
    "fails",
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

/// Something that was denied, and never said otherwise, and is now said and no longer denied.
pub(super) fn lost<'a>(before: &[Word], after: &'a [Word]) -> Option<(String, &'a str)> {
    let others = |words: &[Word]| words.iter().filter(|word| ALSO.contains(&word.text.as_str())).count();
    // said in other words
    if others(after) > others(before) {
        return None;
    }
    let ((was_denied, was_plain), (denied, plain)) = (read(before), read(after));
    was_denied.into_iter().find_map(|(stem, told)| {
        let is_lost = !was_plain.contains_key(stem) && !denied.contains_key(stem);
        plain.get(stem).filter(|_| is_lost).map(|word| (told, *word))
    })
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
        assert_eq!(of("Does not delete anything.", "Looks only."), None);
        assert_eq!(of("Not implemented. Deletes.", "Deletes."), None, "another sentence");
    }
}
