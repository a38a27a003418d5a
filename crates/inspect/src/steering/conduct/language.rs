//! Whether a sentence is English.

use super::super::words::Sentence;
use std::collections::BTreeSet;

/// It is in another language: in another script, or with several of the small words of some and none of English.
pub(super) fn is_english(s: &Sentence<'_>, ours: Option<&BTreeSet<String>>) -> bool {
    const ENGLISH: &[&str] = &[
        "the", "and", "to", "with", "you", "this", "that", "it", "be", "are", "for", "not", "by", "from",
        "over", "of", "every", "other", "any", "all", "when", "at", "if", "or", "on", "use",
    ];
    const OTHERS: &[&str] = &[
        "der", "die", "das", "und", "ist", "nicht", "den", "dem", "ein", "eine", "zu", "mit", "von", "vor",
        "wird", "el", "la", "los", "las", "un", "una", "que", "en", "por", "con", "para", "de", "del", "se",
        "lo", "le", "les", "des", "et", "est", "du", "au", "dans", "pour", "si", "sans", "o", "os", "ao",
        "em", "um", "uma", "não", "com", "il", "gli", "di", "che", "per", "non", "i", "al", "prima", "een",
        "het", "van", "niet", "als", "eerst", "w", "z", "na", "do", "się", "nie", "jest", "bir", "ve", "bu",
        "için", "och", "att", "som", "det", "yang", "dan", "untuk", "dari",
    ];
    let ascii = s.text.is_ascii();
    if ascii && s.tokens.len() < 4 {
        return true;
    }
    let word = |text: &str| ENGLISH.contains(&text) && !ours.is_some_and(|ours| ours.contains(text));
    if s.tokens.iter().any(|token| word(&token.text)) {
        return true;
    }
    let script = !ascii && s.text.chars().filter(|c| c.is_alphabetic() && *c > '\u{370}').count() > 3;
    !script && s.tokens.iter().filter(|token| OTHERS.contains(&&*token.text)).count() < 2
}
