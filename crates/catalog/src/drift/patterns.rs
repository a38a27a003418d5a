//! What a pattern takes, found out by trying: what fits everything can be written in ways without number. Texts that would
//! do harm are held against both patterns.

use super::fields::{strings, told};
use super::opened::fits_all;
use super::schema::{Shift, Walk};
use super::{Kind, pattern_text};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;
use std::cell::Cell;

/// Texts of one kind. Whoever took one of them before takes nothing new.
struct Kin {
    what: &'static str,
    /// How much it weighs that they are taken now.
    weight: f64,
    texts: &'static [&'static str],
}

const KINS: &[Kin] = &[
    Kin {
        what: "a path out of its folder",
        weight: 0.2,
        texts: &["../../etc/passwd", "a/../../b", "..\\..\\b", "..%2f..%2fb"],
    },
    Kin {
        what: "an absolute path",
        weight: 0.2,
        texts: &["/etc/passwd", "/", "~/.ssh/id_rsa", "C:\\Windows\\win.ini", "\\\\host\\share"],
    },
    Kin {
        what: "an address of any host",
        weight: 0.2,
        texts: &[
            "https://other.example/a?b=c",
            "http://127.0.0.1:8080/",
            "//other.example/a",
            "file:///etc/passwd",
            "https://user@other.example",
        ],
    },
    Kin {
        what: "what a shell acts on",
        weight: 0.2,
        texts: &["a; rm -rf b", "$(id)", "`id`", "a|b", "a && b", "a > b", "--option=a;b"],
    },
    Kin {
        what: "what ends a text in a query or a page",
        weight: 0.2,
        texts: &["' OR 1=1 --", "\"; DROP TABLE a", "<script>a()</script>", "${a}", "{{a}}"],
    },
    Kin { what: "more than one line", weight: 0.15, texts: &["a\nb", "a\r\nb", "1\n1", "\n"] },
];
/// Characters that a text which is far too long is made of.
const LONG: [&str; 4] = ["a", "A", "0", "a b. "];
const LONG_CHARS: usize = 2_000;
const LIFTED_WEIGHT: f64 = 0.4;
const LONG_WEIGHT: f64 = 0.1;
/// What is no text in Latin letters, and what most patterns leave out.
const ODD: [&str; 6] = [" ", "\t", "é", "漢字", "\u{1f600}", "\u{200b}"];

/// So many patterns of one schema are tried, and none that is longer or takes more to hold.
const TRIED_MAX: usize = 128;
const PATTERN_BYTES_MAX: usize = 2_048;
const PROGRAM_BYTES_MAX: usize = 128 << 10;

/// How many more patterns may be tried.
#[derive(Debug)]
pub(super) struct Trials(Cell<usize>);

impl Default for Trials {
    fn default() -> Self {
        Self(Cell::new(TRIED_MAX))
    }
}

/// What trying a new pattern beside an old one showed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tried {
    /// It takes all that was tried, and the old one did not.
    All,
    /// It takes texts that the old one refused, of this kind and so heavy.
    More(&'static str, f64),
    /// Nothing that would weigh.
    Nothing,
    /// Too many patterns were tried before.
    TooMany,
}

impl Trials {
    fn step(&self) -> bool {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Whether every text fits, by its spelling or by all that can be tried. Not sound: a text that was not tried may be
    /// refused.
    pub(super) fn takes_all(&self, pattern: &str) -> bool {
        fits_all(pattern) || (self.step() && read(pattern).is_some_and(|pattern| all(&pattern)))
    }

    fn between(&self, old: &str, new: &str) -> Tried {
        if !(self.step() && self.step()) {
            return Tried::TooMany;
        }
        let (Some(old), Some(new)) = (read(old), read(new)) else { return Tried::Nothing };
        if all(&new) && !all(&old) {
            return Tried::All;
        }
        let any = |pattern: &Regex, kin: &Kin| kin.texts.iter().any(|text| pattern.is_match(text.as_bytes()));
        let more = KINS.iter().find(|kin| any(&new, kin) && !any(&old, kin));
        match more {
            Some(kin) => Tried::More(kin.what, kin.weight),
            None if long(&new) && !long(&old) => Tried::More("a text of any length", LONG_WEIGHT),
            None => Tried::Nothing,
        }
    }
}

/// The pattern as validators read it: without flags, so that a class has no letters of other scripts, unless it names some.
/// `None` where it looks ahead, is too long, or is none.
fn read(pattern: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let build = |unicode: bool| {
        RegexBuilder::new(pattern).unicode(unicode).size_limit(PROGRAM_BYTES_MAX).build().ok()
    };
    build(false).or_else(|| build(true))
}

/// Whether all texts fit that are tried, but for line ends: a point takes none, and is written for everything all the same.
fn all(pattern: &Regex) -> bool {
    let fits = |text: &str| pattern.is_match(text.as_bytes());
    let visible = (b' '..=b'~').map(char::from);
    visible.clone().all(|one| fits(one.encode_utf8(&mut [0; 4])))
        && fits(&visible.collect::<String>())
        && ODD.iter().all(|text| fits(text))
        && KINS.iter().flat_map(|kin| kin.texts).all(|text| text.contains('\n') || fits(text))
        && LONG.iter().all(|one| fits(&one.repeat(LONG_CHARS)))
}

fn long(pattern: &Regex) -> bool {
    LONG.iter().any(|one| pattern.is_match(one.repeat(LONG_CHARS).as_bytes()))
}

/// Another pattern, or none where there was one.
pub(super) fn changed(walk: &mut Walk<'_, '_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    // one that fits everything is none
    let said = |value: Option<&Value>| value.is_some_and(|one| !one.as_str().is_some_and(fits_all));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut because = format!("`pattern` was {} and is {}", told(old), told(new));
    let (kind, shift, weight) = match (said(old), said(new)) {
        (false, false) => (Kind::SchemaRewritten, Shift::Same, 0.05),
        (false, true) => (Kind::PatternImposed, Shift::Narrower, 0.05),
        (true, false) => (Kind::PatternLifted, Shift::Wider, LIFTED_WEIGHT),
        // what was tried is not all there is, so nothing is called wider for it
        (true, true) => match walk.trials.between(&text(old), &text(new)) {
            Tried::All => {
                because += ", which takes whatever was tried";
                (Kind::PatternLifted, Shift::Other, LIFTED_WEIGHT)
            }
            Tried::More(what, weight) => {
                because += &format!(", which takes {what}");
                (Kind::PatternChanged, Shift::Other, weight)
            }
            Tried::Nothing => (Kind::PatternChanged, Shift::Other, 0.05),
            Tried::TooMany => {
                because += "; too many changed to try what they take";
                (Kind::PatternChanged, Shift::Other, 0.3)
            }
        },
    };
    // what shows in how it is written weighs by what the tool can do
    let more =
        pattern_text::loosened(&text(old), &text(new)).filter(|_| said(old) && said(new) && walk.takes());
    let weight = more.map_or(weight, |_| weight.max(walk.site.stakes.lifted()));
    let because = more.map_or_else(|| because.clone(), |why| format!("{because}: {why}"));
    walk.shifted(place, kind, shift, weight, because);
    strings(walk.site, place, old, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_everything_is_known_in_any_words_and_what_takes_much_is_not() {
        let trials = Trials::default();
        for all in [
            "^(.|x)*$",
            "^[^\\x00]*$",
            "^(?:[a-z]|[^a-z])*$",
            "[^\\n]",
            "^\\w*",
            "^.{0,}$",
            "^(a*|.*b?)$",
            "(.*)+",
            "^[ -\\u{10ffff}\\t]+$",
        ] {
            assert!(trials.takes_all(all), "{all}");
        }
        for some in [
            "^[\\x20-\\x7e]*$",
            "^\\w+$",
            "^[^/]*$",
            "^.{0,255}$",
            "\\w",
            "^\\S+$",
            "(?=a)",
            "^[^;|&$`]*$",
            "(",
        ] {
            assert!(!trials.takes_all(some), "{some}");
        }
    }

    #[test]
    fn a_pattern_that_takes_what_would_do_harm_is_told_from_one_that_takes_other_letters() {
        let trials = Trials::default();
        let between = |old: &str, new: &str| trials.between(old, new);
        let names = r"^[a-z][a-z0-9_-]{0,62}$";
        for (old, new, what) in [
            (names, r"^[a-z0-9_./-]{1,63}$", "a path out of its folder"),
            (r"^[a-z]+\.txt$", r"^/?[a-z/]+$", "an absolute path"),
            (r"^https://api\.example\.com/", r"^https://", "an address of any host"),
            (names, r"^[a-z0-9 _;-]+$", "what a shell acts on"),
            (r"^[\w ]*$", r#"^[\w '=-]*$"#, "what ends a text in a query or a page"),
            (r"^[a-z]{1,9}$", r"^[a-z\n]{1,9}$", "more than one line"),
            (r"^\d{4}$", r"^\d+$", "a text of any length"),
        ] {
            let Tried::More(told, _) = between(old, new) else {
                panic!("{old} {new} {:?}", between(old, new))
            };
            assert_eq!(told, what, "{old} {new}");
        }
        assert_eq!(between(names, "^(.|x)*$"), Tried::All);
        for (old, new) in [
            (names, r"^[a-zA-Z][a-zA-Z0-9_-]{0,127}$"),
            (r"^\d{4}-\d\d$", r"^\d{4}-\d\d-\d\d$"),
            (r"^[\w./-]+$", r"^[\w./ -]+$"),
            ("^https://", "^https?://"),
            ("^a$", "(?=a)"),
            ("^.{0,40}$", "^.{0,99}$"),
        ] {
            assert_eq!(between(old, new), Tried::Nothing, "{old} {new}");
        }
        assert_eq!(Trials(Cell::new(1)).between("a", ".*x?"), Tried::TooMany);
    }
}
