//! Names that look like one another.

use std::collections::BTreeSet;

/// Whether a reader takes one for the other: the same but for characters that look alike, are unseen, or are of another
/// script. A letter of another script stands for any one letter, so that no table of look-alikes has to be complete.
pub(super) fn confusable(a: &str, b: &str) -> bool {
    if a == b {
        return false;
    }
    let (x, y) = (look(a), look(b));
    if x.len() != y.len() || x.is_empty() {
        return false;
    }
    let same = x.iter().zip(&y).filter(|(x, y)| x == y).count();
    x.iter().zip(&y).all(|(x, y)| x == y || !x.is_ascii() || !y.is_ascii()) && same * 5 >= x.len()
}

/// The same word with other separators or capitals: no disguise, but easily taken for one another.
pub(super) fn respelled(a: &str, b: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    a != b && plain(a) == plain(b)
}

/// A name as the eye has it.
fn look(name: &str) -> Vec<char> {
    let shown = name.chars().filter(|c| !crate::definition::hidden(*c));
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

/// How alike two names are, from 0 to 1: what share of their pairs of letters they have in common.
pub(super) fn likeness(a: &str, b: &str) -> f64 {
    let pairs = |name: &str| -> BTreeSet<(char, char)> {
        let letters: Vec<char> =
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(256).collect();
        letters.iter().copied().zip(letters.iter().copied().skip(1)).collect()
    };
    let (x, y) = (pairs(a), pairs(b));
    let all = x.len() + y.len();
    if all == 0 {
        return if a == b { 1.0 } else { 0.0 };
    }
    2.0 * x.intersection(&y).count() as f64 / all as f64
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
}
