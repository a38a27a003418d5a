//! Texts in languages that nothing here reads: what such a text orders is not found.
//!
//! Read are English, German, French, Spanish, Italian, Portuguese, Russian, Chinese, Japanese and Korean. Of others the commonest
//! orders are known at most (`lexicon/world/abroad.rs`).

use super::words::Sentence;
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::text::About;

/// Fewest letters, and words, of a text whose language can be told.
const LETTERS_MIN: usize = 12;
const WORDS_MIN: usize = 5;

/// Small words of languages in Latin letters that are not read, and of none that is.
const SMALL: &[&str] = &[
    "het", "een", "niet", "voor", "wordt", "naar", "deze", "zijn", "og", "ikke", "och", "att", "inte", "för",
    "är", "som", "på", "av", "til", "ei", "ja", "että", "kun", "tämä", "jest", "nie", "się", "przez", "oraz",
    "który", "że", "je", "pro", "nebo", "které", "být", "az", "és", "egy", "nem", "hogy", "și", "sau",
    "pentru", "este", "care", "bir", "ve", "için", "ile", "olarak", "yang", "dan", "untuk", "dengan",
    "tidak", "ini", "và", "của", "không", "được", "các", "cho", "người", "koji", "nije", "kako", "ili", "ir",
    "yra", "kas", "või", "amb", "són", "dels", "ang", "mga", "kwa", "ya", "hii", "na",
];
const ENGLISH: &[&str] = &[
    "the", "and", "to", "with", "you", "this", "that", "it", "be", "are", "is", "not", "by", "from", "of",
    "every", "other", "any", "when", "if", "or", "a", "an", "in", "as", "use",
];

pub(super) fn look(sentences: &[Sentence<'_>], seat: Seat, about: &About<'_>) -> Option<Sighting> {
    if seat == Seat::Name || about.value {
        return None;
    }
    let sentence = sentences.iter().find(|one| is_unread(one))?;
    let because = format!("it is in a language that nothing here reads: `{}`", excerpt(sentence.text));
    Some(Sighting::new(Detector::UnreadLanguage, Severity::Low, 0.6, because))
}

fn is_unread(s: &Sentence<'_>) -> bool {
    let count = |is: fn(char) -> bool| s.text.chars().filter(|c| is(*c)).count();
    if !s.text.is_ascii() {
        let letters = count(char::is_alphabetic);
        if letters >= LETTERS_MIN && count(is_strange) * 2 > letters || count(is_of_no_russian) > 1 {
            return true;
        }
    }
    if s.tokens.len() < WORDS_MIN || s.tokens.iter().any(|token| ENGLISH.contains(&&*token.text)) {
        return false;
    }
    let mut small = s.tokens.iter().filter(|token| SMALL.contains(&&*token.text));
    small.next().is_some_and(|first| small.any(|second| second.text != first.text))
}

/// A letter of a script in which no language is read.
fn is_strange(c: char) -> bool {
    let other = matches!(c, '\u{370}'..='\u{3ff}' | '\u{530}'..='\u{8ff}' | '\u{900}'..='\u{10ff}' | '\u{1200}'..='\u{1cff}'
        | '\u{1f00}'..='\u{1fff}');
    other && c.is_alphabetic()
}

/// A Cyrillic letter that Russian has not.
fn is_of_no_russian(c: char) -> bool {
    matches!(c, 'і' | 'ї' | 'є' | 'ґ' | 'ј' | 'љ' | 'њ' | 'ў')
}
