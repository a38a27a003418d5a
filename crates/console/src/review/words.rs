//! Two texts, word by word: what both have, and what only one of them has. Pure, and bounded: the same texts are always
//! compared alike, and none takes long.

use std::collections::BTreeMap;
use std::ops::Range;

/// Steps of comparing words, for all texts of one item. Beyond that only words that each side has once are aligned, and what
/// lies between those is called another one as a whole: too much is marked, never too little.
pub(super) const STEPS_MAX: usize = 1 << 21;
/// Shorter than that, what has no space is part of a word.
const WORD_CHARS: usize = 8;
/// Deeper, what is left is another one as a whole.
const DEPTH_MAX: usize = 24;

/// A stretch of both texts, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) same: bool,
    pub(super) before: Range<usize>,
    pub(super) after: Range<usize>,
}

/// Both texts from start to end: stretches that are the same to the letter, and others.
/// `left` are the steps that are left.
pub(super) fn compared(before: &str, after: &str, left: &mut usize) -> Vec<Stretch> {
    let (a, b) = (words(before), words(after));
    let mut pairs = Pairs { a: &a, b: &b, same: Vec::new(), left: *left };
    pairs.align(0..a.len(), 0..b.len(), 0);
    *left = pairs.left;
    let same = std::mem::take(&mut pairs.same);
    joined(stretches(&same, (&a, before.len()), (&b, after.len())), before)
}

/// A word, and where it begins.
type Word<'t> = (usize, &'t str);

/// Runs of letters and digits, runs of white space, and everything else one by one; of writing without spaces, each letter.
fn words(text: &str) -> Vec<Word<'_>> {
    let kind = |c: char| match c {
        '\n' => 0,
        '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => 0,
        c if c.is_whitespace() => 1,
        // marks belong to the letter before them
        c if c.is_alphanumeric() || c == '_' || is_mark(c) => 2,
        _ => 0,
    };
    let mut words = Vec::new();
    let (mut from, mut before) = (0, None);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut chars = text.char_indices().peekable();
    let mut last = None;
    while let Some((at, c)) = chars.next() {
        // a number is one word
        let joins = matches!(c, '.' | ',') && digit(last) && digit(chars.peek().map(|(_, next)| *next));
        let now = if joins { 2 } else { kind(c) };
        last = Some(c);
        if before.is_some_and(|before| before != now || now == 0) {
            words.extend(text.get(from..at).map(|word| (from, word)));
            from = at;
        }
        before = Some(now);
    }
    words.extend(text.get(from..).filter(|rest| !rest.is_empty()).map(|word| (from, word)));
    words
}

/// Vowel signs and accents of the scripts that write them apart.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{5b0}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{e31}'..='\u{e4e}')
}

struct Pairs<'t> {
    a: &'t [Word<'t>],
    b: &'t [Word<'t>],
    /// Places of words that are the same, in order on both sides.
    same: Vec<(usize, usize)>,
    left: usize,
}

impl Pairs<'_> {
    fn equal(&self, i: usize, j: usize) -> bool {
        matches!((self.a.get(i), self.b.get(j)), (Some((_, a)), Some((_, b))) if a == b)
    }

    fn align(&mut self, mut a: Range<usize>, mut b: Range<usize>, depth: usize) {
        while !a.is_empty() && !b.is_empty() && self.equal(a.start, b.start) {
            self.same.push((a.start, b.start));
            (a.start, b.start) = (a.start + 1, b.start + 1);
        }
        let mut tail = 0;
        while !a.is_empty() && !b.is_empty() && self.equal(a.end - 1, b.end - 1) {
            (a.end, b.end, tail) = (a.end - 1, b.end - 1, tail + 1);
        }
        let end = (a.end, b.end);
        // half of what is left: when that does not do, the rest is for what lies between anchors
        if !a.is_empty() && !b.is_empty() && !self.shortest(&a, &b, self.left / 2) && depth < DEPTH_MAX {
            let anchors = self.anchors(a.clone(), b.clone());
            // without one there is nothing to go by
            if !anchors.is_empty() {
                for (i, j) in anchors {
                    self.align(a.start..i, b.start..j, depth + 1);
                    self.same.push((i, j));
                    (a.start, b.start) = (i + 1, j + 1);
                }
                self.align(a, b, depth + 1);
            }
        }
        self.same.extend((0..tail).map(|n| (end.0 + n, end.1 + n)));
    }

    /// The shortest way from one to the other (Myers, 1986), if it is found in so many steps.
    fn shortest(&mut self, a: &Range<usize>, b: &Range<usize>, steps: usize) -> bool {
        let whole = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let (n, m) = (whole(a.len()), whole(b.len()));
        let most = a.len().saturating_add(b.len()).min(steps.isqrt());
        let middle = most + 1;
        // of each diagonal how far the first text was got through, and the same before each edit
        let (mut far, mut before) = (vec![0_i32; 2 * middle + 1], Vec::new());
        let at = |far: &[i32], middle: usize, k: i32| {
            far.get(whole(middle).saturating_add(k).unsigned_abs() as usize).copied().unwrap_or_default()
        };
        let down = |far: &[i32], middle: usize, d: i32, k: i32| {
            k == -d || (k != d && at(far, middle, k - 1) < at(far, middle, k + 1))
        };
        let mut left = steps;
        for edits in 0..=most {
            let d = whole(edits);
            before.push(far.get(middle - edits - 1..=middle + edits + 1).unwrap_or_default().to_vec());
            for k in (-d..=d).step_by(2) {
                let mut x = match down(&far, middle, d, k) {
                    true => at(&far, middle, k + 1),
                    false => at(&far, middle, k - 1) + 1,
                };
                while x < n && x - k < m && self.equal_at(a, b, x, x - k) {
                    (x, left) = (x + 1, left.saturating_sub(1));
                }
                left = left.saturating_sub(1);
                if let Some(place) = far.get_mut((whole(middle) + k).unsigned_abs() as usize) {
                    *place = x;
                }
                if x >= n && x - k >= m {
                    self.left -= steps - left;
                    self.walked(a, b, &before, down);
                    return true;
                }
            }
            if left == 0 {
                break;
            }
        }
        self.left -= steps - left;
        false
    }

    /// Goes the way back, and keeps what is the same on it.
    fn walked(
        &mut self,
        a: &Range<usize>,
        b: &Range<usize>,
        before: &[Vec<i32>],
        down: impl Fn(&[i32], usize, i32, i32) -> bool,
    ) {
        let whole = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let (mut x, mut y) = (whole(a.len()), whole(b.len()));
        let mut way = Vec::new();
        for (edits, far) in before.iter().enumerate().rev() {
            let (d, k) = (whole(edits), x - y);
            let from = if down(far, edits + 1, d, k) { k + 1 } else { k - 1 };
            let (to_x, to_y) = match edits {
                0 => (0, 0),
                _ => {
                    let x = far.get((d + 1 + from).unsigned_abs() as usize).copied().unwrap_or_default();
                    (x, x - from)
                }
            };
            while x > to_x && y > to_y {
                (x, y) = (x - 1, y - 1);
                way.push((a.start + x.unsigned_abs() as usize, b.start + y.unsigned_abs() as usize));
            }
            (x, y) = (to_x, to_y);
        }
        self.same.extend(way.into_iter().rev());
    }

    fn equal_at(&self, a: &Range<usize>, b: &Range<usize>, x: i32, y: i32) -> bool {
        self.equal(a.start + x.unsigned_abs() as usize, b.start + y.unsigned_abs() as usize)
    }

    /// Words that each side has once here, as many as are in the same order (patience).
    fn anchors(&self, a: Range<usize>, b: Range<usize>) -> Vec<(usize, usize)> {
        let once = |words: &[Word<'_>], range: Range<usize>| {
            let mut places = BTreeMap::new();
            for at in range {
                let Some((_, word)) = words.get(at) else { continue };
                places.entry((*word).to_owned()).and_modify(|place| *place = None).or_insert(Some(at));
            }
            places
        };
        let (left, right) = (once(self.a, a), once(self.b, b));
        let mut both: Vec<(usize, usize)> =
            left.iter().filter_map(|(word, i)| Some(((*i)?, (*right.get(word)?)?))).collect();
        both.sort_unstable();
        rising(&both)
    }
}

/// The longest part of pairs, sorted by the first, whose second ones rise too.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // of each length the pile's last pair, by its index, and which one every pair comes after
    let (mut piles, mut after): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    let second = |index: usize| pairs.get(index).map_or(0, |pair| pair.1);
    for (index, (_, j)) in pairs.iter().enumerate() {
        let at = piles.partition_point(|last| second(*last) < *j);
        after.push(at.checked_sub(1).and_then(|before| piles.get(before).copied()));
        match piles.get_mut(at) {
            Some(pile) => *pile = index,
            None => piles.push(index),
        }
    }
    let mut chosen = Vec::new();
    let mut next = piles.last().copied();
    while let Some(index) = next {
        chosen.extend(pairs.get(index));
        next = after.get(index).copied().flatten();
    }
    chosen.reverse();
    chosen
}

/// From start to end, what is the same and what is not in turn.
fn stretches(
    same: &[(usize, usize)],
    (a, a_end): (&[Word<'_>], usize),
    (b, b_end): (&[Word<'_>], usize),
) -> Vec<Stretch> {
    let start = |words: &[Word<'_>], at: usize, end: usize| words.get(at).map_or(end, |(start, _)| *start);
    let mut all: Vec<Stretch> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let mut put = |is_same: bool, before: Range<usize>, after: Range<usize>| match all.last_mut() {
        _ if before.is_empty() && after.is_empty() => {}
        Some(last) if last.same == is_same => (last.before.end, last.after.end) = (before.end, after.end),
        Some(_) | None => all.push(Stretch { same: is_same, before, after }),
    };
    for (x, y) in same {
        let (from, to) = (start(a, *x, a_end), start(b, *y, b_end));
        put(false, i..from, j..to);
        (i, j) = (start(a, x + 1, a_end), start(b, y + 1, b_end));
        put(true, from..i, to..j);
    }
    put(false, i..a_end, j..b_end);
    all
}

/// A space, a comma or the inside of a word between two changes is not what anybody reads as kept: it goes with them, on both
/// sides.
fn joined(stretches: Vec<Stretch>, before: &str) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    let count = stretches.len();
    for (index, one) in stretches.into_iter().enumerate() {
        let small = |text: &str| {
            let chars = text.chars().count();
            (chars <= 3 && !text.contains(char::is_alphanumeric))
                || (chars <= WORD_CHARS && !text.contains(char::is_whitespace))
        };
        let between = index > 0 && index + 1 < count;
        let kept = one.same && !(between && before.get(one.before.clone()).is_some_and(small));
        match all.last_mut() {
            Some(last) if last.same == kept => {
                (last.before.end, last.after.end) = (one.before.end, one.after.end);
            }
            Some(_) | None => all.push(Stretch { same: kept, ..one }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(before: &str, after: &str) -> String {
        let all = compared(before, after, &mut { STEPS_MAX });
        let text = |one: &Stretch| match one.same {
            true => before.get(one.before.clone()).unwrap().to_owned(),
            false => format!(
                "[{}|{}]",
                before.get(one.before.clone()).unwrap(),
                after.get(one.after.clone()).unwrap()
            ),
        };
        all.iter().map(text).collect()
    }

    #[test]
    fn a_change_in_the_middle_stands_out_between_two_others() {
        let before = "Reads one order. Sends it to the customer only. Never deletes.";
        let after = "Gets one order. Sends it to the partner only. Never removes.";
        assert_eq!(
            shown(before, after),
            "[Reads|Gets] one order. Sends it to the [customer|partner] only. Never [deletes|removes]."
        );
        assert_eq!(shown("支払いを返金します", "支払いを削除します"), "支払いを[返金|削除]します");
        assert_eq!(shown("يرسل رسالة إلى العميل", "يرسل رسالة إلى الشريك"), "يرسل رسالة إلى [العميل|الشريك]");
        assert_eq!(shown("a b c", "x y z"), "[a b c|x y z]", "the spaces alone are nothing that stays");
        assert_eq!(
            (shown("", "x").as_str(), shown("x", "").as_str(), shown("x", "x").as_str()),
            ("[|x]", "[x|]", "x")
        );
    }

    #[test]
    fn long_texts_are_aligned_by_what_they_have_once() {
        let line = |n: usize| format!("line {n} says the same as every other line does, and more\n");
        let before: String = (0..1_500).map(line).collect();
        let after = before
            .replace("line 0 says", "line 0 denies")
            .replace("line 700 says", "line 700 hides")
            .replace("line 1499 says", "line 1499 asks");
        let changed: Vec<_> =
            compared(&before, &after, &mut { STEPS_MAX }).into_iter().filter(|one| !one.same).collect();
        let words: Vec<_> = changed.iter().map(|one| after.get(one.after.clone()).unwrap()).collect();
        assert_eq!(words, ["denies", "hides", "asks"]);
        // a text that says the same all over, with something before it and less at its end
        let same = "This tool moves money between accounts. ".repeat(100);
        let after = format!("Changed: {}", &same.get(..3_900).unwrap());
        let all = compared(&same, &after, &mut { STEPS_MAX });
        assert_eq!(all.iter().filter(|one| !one.same).count(), 2, "{all:?}");
        // nothing to go by: all of it is another one, and soon so
        let (a, b) = ("a b ".repeat(20_000), "b c ".repeat(20_000));
        assert!(compared(&a, &b, &mut { STEPS_MAX }).iter().any(|one| !one.same && one.before.len() > 1_000));
    }

    proptest! {
        #[test]
        fn every_letter_is_there_and_what_is_called_the_same_is(a in "[a-c .,\n\u{202e}\u{4e00}\u{627}]{0,80}", b in "[a-c .,\n\u{4e00}\u{627}]{0,80}") {
            let all = compared(&a, &b, &mut { STEPS_MAX });
            let (mut i, mut j) = (0, 0);
            for one in &all {
                prop_assert_eq!((one.before.start, one.after.start), (i, j));
                (i, j) = (one.before.end, one.after.end);
                if one.same {
                    prop_assert_eq!(a.get(one.before.clone()).unwrap(), b.get(one.after.clone()).unwrap());
                }
            }
            prop_assert_eq!((i, j), (a.len(), b.len()));
        }
    }
}
