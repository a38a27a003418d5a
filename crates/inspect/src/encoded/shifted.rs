//! Codes that people have: every letter moved, words backwards, digits for letters, spaces between letters.

use super::codes::Code;
use super::common::{common, is_common, may_be_common};
use std::sync::LazyLock;

const fn odd(name: &'static str) -> Code {
    Code { name, whole: true, odd: true }
}

/// Fewest words that can be told from chance, and how many of them must be common ones afterwards.
const WORDS_MIN: usize = 5;
const COMMON_MIN: usize = 3;
/// Most words of one stretch that are tried.
const WORDS_MAX: usize = 120;

pub(super) fn decode(text: &str) -> Vec<(Code, String)> {
    let mut out = Vec::new();
    out.extend(spaced(text).map(|inner| (odd("text with spaces between its letters"), inner)));
    out.extend(digits(text).map(|inner| (odd("text with digits for letters"), inner)));
    for stretch in strange(text) {
        out.extend(moved(&stretch));
    }
    out
}

/// Stretches of plain words among which are none of those that sentences are made of.
fn strange(text: &str) -> Vec<Vec<&str>> {
    let mut out = Vec::new();
    let mut stretch: Vec<&str> = Vec::new();
    let mut known = 0;
    let words = text.split(|c: char| !c.is_ascii_alphabetic() && c != '\'').filter(|word| !word.is_empty());
    for word in words {
        let common = is_common(word);
        known += usize::from(common);
        if common && known * 6 > stretch.len() + 5 {
            if stretch.len() >= WORDS_MIN {
                out.push(std::mem::take(&mut stretch));
            }
            stretch.clear();
            known = 0;
        } else if stretch.len() < WORDS_MAX {
            stretch.push(word);
        }
    }
    if stretch.len() >= WORDS_MIN {
        out.push(stretch);
    }
    out
}

/// The words by which a stretch becomes a sentence.
fn moved(words: &[&str]) -> Option<(Code, String)> {
    let before = words.iter().filter(|word| is_common(word)).count();
    // short words tell: a long one is seldom among the common
    let short = || words.iter().filter(|word| word.len() < LENGTHS);
    let enough =
        |count: usize, least: usize| count >= least && count * 3 >= words.len() && count > before + 1;
    let backwards = |word: &str| word.chars().rev().collect::<String>();
    let turned = |word: &str| match word.as_bytes() {
        [.., second, first] => may_be_common(*first, *second, word.len()) && is_common(&backwards(word)),
        _ => false,
    };
    if enough(short().filter(|word| turned(word)).count(), COMMON_MIN) {
        let inner = words.iter().rev().map(|word| backwards(word)).collect::<Vec<_>>().join(" ");
        return Some((odd("text that is written backwards"), inner));
    }
    let mut may = [0_usize; ALPHABETS];
    for word in short() {
        let mut alphabets = alphabets(word);
        while alphabets != 0 {
            if let Some(count) = may.get_mut(alphabets.trailing_zeros() as usize) {
                *count += 1;
            }
            alphabets &= alphabets - 1;
        }
    }
    let fits = |alphabet: u8, least: usize| {
        let is_word = |word: &&&str| alphabets(word) & 1 << alphabet != 0 && is_common(&read(word, alphabet));
        if !enough(may.get(usize::from(alphabet)).copied().unwrap_or(0), least) {
            return false;
        }
        let mut found: Vec<&str> = short().filter(is_word).copied().collect();
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        // one abbreviation that is said again and again is one word
        found.len() * 2 >= least && enough(count, least)
    };
    let joined = |alphabet| words.iter().map(|word| read(word, alphabet)).collect::<Vec<_>>().join(" ");
    for by in [13, 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25] {
        // one of two dozen alphabets fits a few words by chance
        let least = if by == 13 { COMMON_MIN } else { 2 * COMMON_MIN };
        if fits(by, least) {
            return Some((odd("text with every letter moved"), joined(by)));
        }
    }
    fits(REVERSED, COMMON_MIN + 1).then(|| (odd("text with a reversed alphabet"), joined(REVERSED)))
}

/// Alphabets that are tried: by how many letters it is moved, and the reversed one in place of none.
const ALPHABETS: usize = 26;
const REVERSED: u8 = 0;
/// Words shorter than this are looked up.
const LENGTHS: usize = 9;

/// By the first two letters and the length of a word, the alphabets in which a common word begins so, as bits.
static TURNED: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut table = vec![0; 26 * 26 * LENGTHS];
    for word in common().filter(|word| word.len() < LENGTHS) {
        for alphabet in 0..26 {
            // what reads as this word: turned on by the rest of the circle
            let from = if alphabet == REVERSED { REVERSED } else { 26 - alphabet };
            if let Some(alphabets) = place(&read(word, from)).and_then(|place| table.get_mut(place)) {
                *alphabets |= 1_u32 << alphabet;
            }
        }
    }
    table
});

fn place(word: &str) -> Option<usize> {
    let [first, second, ..] = word.as_bytes() else { return None };
    let letter = |b: u8| b.is_ascii_alphabetic().then(|| usize::from(b.to_ascii_lowercase() - b'a'));
    Some((letter(*first)? * 26 + letter(*second)?) * LENGTHS + word.len())
}

fn alphabets(word: &str) -> u32 {
    place(word).and_then(|place| TURNED.get(place)).copied().unwrap_or(0)
}

fn read(word: &str, alphabet: u8) -> String {
    let map = |b| if alphabet == REVERSED { mirrored(b) } else { turn(b, alphabet) };
    word.bytes().map(|b| char::from(map(b))).collect()
}

fn turn(b: u8, by: u8) -> u8 {
    let base = if b.is_ascii_lowercase() { b'a' } else { b'A' };
    if b.is_ascii_alphabetic() { (b - base + by) % 26 + base } else { b }
}

fn mirrored(b: u8) -> u8 {
    match b {
        b'a'..=b'z' => b'a' + b'z' - b,
        b'A'..=b'Z' => b'A' + b'Z' - b,
        _ => b,
    }
}

/// `7h3 u53r`: words in which digits stand for letters, three of which are words then.
fn digits(text: &str) -> Option<String> {
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let spelled = |word: &str| {
        let letters = word.chars().any(|c| c.is_ascii_alphabetic());
        letters && word.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '$' | '!'))
    };
    let read = |word: &str| -> String { word.chars().map(letter).collect() };
    // `{"$contains":` has a sign before it and none in it
    let bare = |word: &'_ str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let words = text.split_whitespace();
    let hits = words.clone().map(bare).filter(|word| spelled(word) && is_common(&read(word))).count();
    (hits >= COMMON_MIN).then(|| {
        words
            .map(|word| if spelled(word) { read(word) } else { word.to_owned() })
            .collect::<Vec<_>>()
            .join(" ")
    })
}

fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '6' | '9' => 'g',
        '7' => 't',
        '8' => 'b',
        _ => c,
    }
}

/// How many letters and digits have none beside them.
fn alone(text: &[u8]) -> usize {
    let (mut count, mut before, mut last) = (0, false, false);
    for b in text.iter().copied().chain([b' ']) {
        let now = b.is_ascii_alphanumeric();
        count += usize::from(!before && last && !now);
        (before, last) = (last, now);
    }
    count
}

/// `D o  n o t`: letters one by one, with something between them that is always the same.
fn spaced(text: &str) -> Option<String> {
    const LETTERS_MIN: usize = 10;
    if text.is_ascii() && alone(text.as_bytes()) < LETTERS_MIN {
        return None;
    }
    let (mut out, mut letters, mut best) = (String::new(), 0, None);
    let mut rest = text.chars().peekable();
    let mut alone = true;
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let single = c.is_alphanumeric() && alone && next.is_none_or(|next| !next.is_alphanumeric());
        alone = !c.is_alphanumeric();
        if single {
            letters += 1;
            out.push(c);
        } else if c.is_alphanumeric() {
            if letters >= LETTERS_MIN {
                best = Some(std::mem::take(&mut out));
            }
            letters = 0;
            out.clear();
        } else if letters > 0 && next.is_some_and(|next| !next.is_alphanumeric()) {
            // a wider gap is between words
            out.push(' ');
        }
    }
    if letters >= LETTERS_MIN {
        best = Some(out);
    }
    // digits alone are numbers in a list, and between letters they are a pattern: `\d{4}-\d{2}`
    let is_text = |text: &String| {
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        letters >= LETTERS_MIN && letters > 4 * text.chars().filter(char::is_ascii_digit).count()
    };
    best.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(is_text)
}
