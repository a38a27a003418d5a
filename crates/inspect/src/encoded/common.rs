//! The commonest words of English: where they are, there is a sentence.

use std::sync::LazyLock;

const WORDS: &str = "the and of to in is you that it for on are with as this be at have from or by not but what all \
    when your can there use an each which do how their if will up other about out then them these so some would make \
    into time has more no could than first been call its now get may must before after any always never also only \
    should was were our we they he she his her my me us without send read user who where here does did had because \
    while until every please ignore previous instructions tell password file files tool key keys secret";

static COMMON: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
    let mut by_shape = vec![Vec::new(); 1 << 9];
    for word in WORDS.split_whitespace() {
        if let Some(words) = by_shape.get_mut(shape(word)) {
            words.push(word);
        }
    }
    by_shape
});

/// Few words share the first two letters and their length.
fn shape(word: &str) -> usize {
    let letter = |at: usize| word.as_bytes().get(at).copied().unwrap_or(0);
    shape_of(letter(0), letter(1), word.len())
}

fn shape_of(first: u8, second: u8, length: usize) -> usize {
    let letter = |b: u8| usize::from(b.to_ascii_lowercase());
    (letter(first) * 31 + letter(second) * 7 + length) & 0x1ff
}

/// Whether a common word may begin with these letters and be as long.
pub(crate) fn may_be_common(first: u8, second: u8, length: usize) -> bool {
    COMMON.get(shape_of(first, second, length)).is_some_and(|words| !words.is_empty())
}

pub(crate) fn common() -> impl Iterator<Item = &'static str> {
    WORDS.split_whitespace()
}

pub(crate) fn is_common(word: &str) -> bool {
    if word.len() > 12 || word.len() < 2 {
        return false;
    }
    COMMON.get(shape(word)).is_some_and(|words| words.iter().any(|common| common.eq_ignore_ascii_case(word)))
}
