//! Whether a sentence is English, and what one in another language has in it.

use super::super::lexicon::world::abroad::{speaks_abroad, without_harmless};
use super::super::lexicon::world::{BESIDE, CONTENT, DISCREET, FOLK, PAPERS, SAID, SETTINGS, TIMING};
use super::super::lexicon::{PLACE, SECRET, Topics};
use super::super::rules::names::{deals_in_secrets, is_for_secrets};
use super::super::words::{Kind, Sentence};
use super::Weighed;
use super::signs::Signs;
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
        "için", "och", "att", "som", "det", "yang", "dan", "untuk", "dari", "voor", "elke", "hele", "wordt",
        "naar", "przed", "każdym", "całą", "tym", "önce", "tüm", "före", "varje", "hela", "inte", "för",
        "är", "till", "sebelum", "setiap", "seluruh", "ke", "tidak", "perlu", "před", "každým", "celou",
        "pro", "které", "minden", "előtt", "teljes", "és", "nem", "hogy", "fiecare", "în", "toată",
        "înainte", "și", "nu", "koko", "ennen", "jokaista", "ei",
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

impl Weighed<'_> {
    /// In another language only parts of words are known, less those that are parts of harmless ones.
    pub(super) fn abroad(&self) -> Signs {
        let mut signs = Signs::NONE;
        let lower = without_harmless(self.s.text.to_lowercase());
        let speaks = |wanted: Topics| speaks_abroad(&lower, wanted);
        let things = PAPERS.or(FOLK).or(SAID).or(SETTINGS).but(self.about.own);
        let argument = |name: &String| {
            name.len() > 1
                && lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
        };
        let named = self.about.ours.is_some_and(|ours| ours.iter().any(argument));
        let free = |name: &String| !is_for_secrets(name) && argument(name);
        // the secrets of whatever is around, into an argument that has no business with any
        let poured = speaks(SECRET)
            && speaks(PLACE)
            && speaks(BESIDE)
            && !deals_in_secrets(self.about)
            && self.about.ours.is_some_and(|ours| ours.iter().any(free));
        let file = self.s.any(Kind::Path) && speaks(CONTENT);
        let entry = (self.is_an_entry() || self.is_code()) && !speaks(CONTENT.or(TIMING).or(DISCREET));
        // a word for a file is in every second text about files; something is done with it besides
        let done = speaks(CONTENT) || speaks(TIMING) || speaks(DISCREET);
        // whom somebody knows and what was said is nobody's but theirs
        let theirs = speaks(FOLK.or(SAID).but(self.about.own));
        let thing = (speaks(things) || file) && (named && !entry && done || speaks(BESIDE))
            || theirs && self.about.asks && speaks(CONTENT)
            || poured;
        signs.add(Signs::THING, thing);
        signs.add(Signs::SINK, thing && (self.about.asks || named));
        // whose it is is plain where it is taken as a whole, or behind somebody's back: every server has files and settings
        let taken = poured || speaks(DISCREET) || file || theirs || signs.has(Signs::SINK) && speaks(CONTENT);
        signs.add(Signs::TAKEN, thing && taken);
        signs.add(Signs::HUSH, speaks(DISCREET));
        signs.add(Signs::TIMING, speaks(TIMING));
        signs.add(Signs::ADDRESS, self.s.any(Kind::Mail) || self.s.any(Kind::Url));
        signs
    }
}
