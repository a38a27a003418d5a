//! Names that look like one another.

use std::collections::{BTreeMap, BTreeSet};

/// A name, ready to be held beside many.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    pub(super) name: &'a str,
    look: Vec<char>,
    plain: String,
    pairs: BTreeSet<(char, char)>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let plain: String =
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let pairs = plain.chars().zip(plain.chars().skip(1)).take(255).collect();
        Self { name, look: look(name), plain, pairs }
    }

    /// Whether a reader takes one for the other: the same but for characters that look alike, are unseen, or are of another
    /// script. A letter of another script stands for any one letter, so that no table of look-alikes has to be complete.
    pub(super) fn is_confusable(&self, other: &Self) -> bool {
        self.name != other.name && passes(&self.look, &other.look)
    }

    /// The same word with other separators or capitals: no disguise, but easily taken for one another.
    pub(super) fn is_respelled(&self, other: &Self) -> bool {
        self.name != other.name && self.plain == other.plain
    }

    /// How alike two names are, from 0 to 1: what share of their pairs of letters they have in common.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        let all = self.pairs.len() + other.pairs.len();
        if all == 0 {
            return if self.name == other.name { 1.0 } else { 0.0 };
        }
        2.0 * self.pairs.intersection(&other.pairs).count() as f64 / all as f64
    }
}

pub(super) fn confusable(a: &str, b: &str) -> bool {
    Shape::of(a).is_confusable(&Shape::of(b))
}

pub(super) fn respelled(a: &str, b: &str) -> bool {
    Shape::of(a).is_respelled(&Shape::of(b))
}

pub(super) fn likeness(a: &str, b: &str) -> f64 {
    Shape::of(a).likeness(&Shape::of(b))
}

fn passes(x: &[char], y: &[char]) -> bool {
    if x.len() != y.len() || x.is_empty() {
        return false;
    }
    let mut same = 0;
    for (x, y) in x.iter().zip(y) {
        if x == y {
            same += 1;
        } else if x.is_ascii() && y.is_ascii() {
            return false;
        }
    }
    same * 5 >= x.len()
}

/// So many letters of names are held beside each other, for all names of one list.
const LETTERS_MAX: usize = 20_000_000;

/// There are more names of other scripts than can be held beside one another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Names beside which others are looked at.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// Of each look the first two, of which one is another name than any.
    looks: BTreeMap<Vec<char>, Vec<&'a str>>,
    /// By how many letters they show, and of those the ones of other scripts.
    long: BTreeMap<usize, Vec<Shape<'a>>>,
    foreign: BTreeMap<usize, Vec<usize>>,
    plain: BTreeMap<String, &'a str>,
    letters: usize,
}

impl<'a> Names<'a> {
    pub(super) fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let (mut looks, mut long) = (BTreeMap::<_, Vec<&'a str>>::new(), BTreeMap::<_, Vec<_>>::new());
        let (mut foreign, mut plain) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for name in names {
            let shape = Shape::of(name);
            let looking = looks.entry(shape.look.clone()).or_default();
            if looking.len() < 2 && !looking.contains(&name) {
                looking.push(name);
            }
            plain.entry(shape.plain.clone()).or_insert(name);
            let length = shape.look.len();
            let same: &mut Vec<_> = long.entry(length).or_default();
            if shape.look.iter().any(|c| !c.is_ascii()) {
                foreign.entry(length).or_default().push(same.len());
            }
            same.push(shape);
        }
        Self { looks, long, foreign, plain, letters: LETTERS_MAX }
    }

    /// One that a reader takes for this one.
    pub(super) fn confusable(&mut self, name: &str) -> Result<Option<&'a str>, TooMany> {
        let shape = Shape::of(name);
        let looking = self.looks.get(&shape.look).into_iter().flatten();
        if let Some(twin) = looking.copied().find(|other| *other != name && !shape.look.is_empty()) {
            return Ok(Some(twin));
        }
        let length = shape.look.len();
        let all = self.long.get(&length).map(Vec::as_slice).unwrap_or_default();
        // two names of plain letters look alike only if they look the same
        let plain = shape.look.iter().all(char::is_ascii);
        let some = self.foreign.get(&length).filter(|_| plain).map(Vec::as_slice).unwrap_or_default();
        let count = if plain { some.len() } else { all.len() };
        self.letters = self.letters.checked_sub(count * length).ok_or(TooMany)?;
        let twin = match plain {
            true => some.iter().filter_map(|at| all.get(*at)).find(|other| shape.is_confusable(other)),
            false => all.iter().find(|other| shape.is_confusable(other)),
        };
        Ok(twin.map(|twin| twin.name))
    }

    /// One that is this one, or this one with other separators or capitals.
    pub(super) fn respelled(&self, name: &str) -> Option<&'a str> {
        self.plain.get(&Shape::of(name).plain).copied()
    }
}

/// A name as the eye has it.
fn look(name: &str) -> Vec<char> {
    let shown = name.chars().filter(|c| !inspect::shown::is_hidden(*c));
    let mut seen: Vec<char> = Vec::new();
    for c in shown {
        let c = match c {
            '1' | 'I' | '|' => 'l',
            '0' => 'O',
            'O' => 'O',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            other => other,
        };
        match (seen.last(), c) {
            (Some('r'), 'n') => {
                seen.pop();
                seen.push('m');
            }
            (Some('v'), 'v') => {
                seen.pop();
                seen.push('w');
            }
            _ => seen.push(c),
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_confusable() {
        for (a, b) in [
            ("delete_page", "d\u{435}lete_p\u{430}ge"),
            ("pay_bill1", "pay_billl"),
            ("return_item", "retum_item"),
            ("send", "se\u{200b}nd"),
            ("LOAD_0", "LOAD_O"),
        ] {
            assert!(confusable(a, b) && confusable(b, a), "{a} {b}");
        }
        for (a, b) in [("send", "send"), ("send", "lend"), ("get_page", "get_pages"), ("a", "\u{4e2d}")] {
            assert!(!confusable(a, b), "{a} {b}");
        }
        assert!(respelled("getUser", "get_user") && !respelled("getUser", "getUsers"));
    }

    #[test]
    fn a_name_is_found_among_those_it_looks_like_without_being_held_beside_each() {
        let twin = |name: &str, among: &[&str]| {
            Names::of(among.iter().copied()).confusable(name).map(|twin| twin.map(str::to_owned))
        };
        assert_eq!(twin("pay_bill1", &["pay_bill1", "pay_billl"]), Ok(Some("pay_billl".to_owned())));
        assert_eq!(twin("send", &["s\u{435}nd"]), Ok(Some("s\u{435}nd".to_owned())));
        assert_eq!(twin("s\u{435}nd", &["lend", "send"]), Ok(Some("send".to_owned())));
        assert_eq!(twin("send", &["send", "lend"]), Ok(None));
        assert_eq!(Names::of(["get_user"].into_iter()).respelled("getUser"), Some("get_user"));
        // a name of another script may be any, and there are bounds to how many are asked about
        let many: Vec<String> = (0..40).map(|n| format!("{n:0>10}")).collect();
        let names = Names::of(many.iter().map(String::as_str));
        let mut names = Names { letters: 700, ..names };
        let foreign = "\u{4e2d}".repeat(10);
        assert_eq!(names.confusable(&foreign), Ok(None));
        assert_eq!(names.confusable(&foreign), Err(TooMany));
        assert_eq!(names.confusable(&"x".repeat(10)), Ok(None), "plain ones are looked up");
    }
}
