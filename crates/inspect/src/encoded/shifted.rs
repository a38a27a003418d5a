//! Codes that people have: every letter moved, words backwards, digits for letters, spaces between letters.

use super::codes::Code;
use super::common::{is_common, may_be_common};

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
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    // short words tell: a long one is seldom among the common
    let short: Vec<&str> = lower.iter().map(String::as_str).filter(|word| word.len() < 9).collect();
    let mut buffer = String::new();
    let mut score = |map: &dyn Fn(u8) -> u8| {
        let is_word = |word: &&&str| match word.as_bytes() {
            [first, second, ..] if may_be_common(map(*first), map(*second), word.len()) => {
                buffer.clear();
                buffer.extend(word.bytes().map(|b| char::from(map(b))));
                is_common(&buffer)
            }
            _ => false,
        };
        short.iter().filter(is_word).count()
    };
    let enough =
        |count: usize, least: usize| count >= least && count * 3 >= words.len() && count > before + 1;
    let joined =
        |map: &dyn Fn(&str) -> String| words.iter().map(|word| map(word)).collect::<Vec<_>>().join(" ");
    let backwards = |word: &str| word.chars().rev().collect::<String>();
    if enough(short.iter().filter(|word| is_common(&backwards(word))).count(), COMMON_MIN) {
        let inner = words.iter().rev().map(|word| backwards(word)).collect::<Vec<_>>().join(" ");
        return Some((odd("text that is written backwards"), inner));
    }
    for by in [13, 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25] {
        let shift = |word: &str| word.bytes().map(|b| char::from(turn(b, by))).collect::<String>();
        // one of two dozen alphabets fits a few words by chance
        let least = if by == 13 { COMMON_MIN } else { 2 * COMMON_MIN };
        if enough(score(&|b| turn(b, by)), least) {
            return Some((odd("text with every letter moved"), joined(&shift)));
        }
    }
    let mirror = |word: &str| word.bytes().map(|b| char::from(mirrored(b))).collect::<String>();
    enough(score(&mirrored), COMMON_MIN + 1).then(|| (odd("text with a reversed alphabet"), joined(&mirror)))
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
    let bare = |word: &str| read(word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let words = text.split_whitespace();
    let hits = words.clone().filter(|word| spelled(word) && is_common(&bare(word))).count();
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

/// `D o  n o t`: letters one by one, with something between them that is always the same.
fn spaced(text: &str) -> Option<String> {
    const LETTERS_MIN: usize = 10;
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
