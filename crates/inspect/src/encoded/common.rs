//! The commonest words of English: where they are, there is a sentence.

use std::collections::BTreeSet;
use std::sync::LazyLock;

const WORDS: &str = "the and of to in is you that it for on are with as this be at have from or by not but what all \
    when your can there use an each which do how their if will up other about out then them these so some would make \
    into time has more no could than first been call its now get may must before after any always never also only \
    should was were our we they he she his her my me us without send read user who where here does did had because \
    while until every please ignore previous instructions tell password file files tool key keys secret";

static COMMON: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| WORDS.split_whitespace().collect());

pub(crate) fn is_common(word: &str) -> bool {
    if word.len() > 12 || word.len() < 2 {
        return false;
    }
    COMMON.contains(word)
        || word.contains(|c: char| c.is_ascii_uppercase()) && COMMON.contains(&*word.to_ascii_lowercase())
}
