//! How a text changed, and whether what came in belongs there.

use super::fields::Site;
use super::promises::Plain;
use super::words::{CHARS_MAX, Word, behind, stem, words};
use super::{Kind, negation, promises, vocabulary::Vocabulary};
use std::collections::{BTreeMap, BTreeSet};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Read by every model: descriptions of items, instructions.
    Guide,
    /// The description of an argument or a result.
    Argument,
    /// A title.
    Label,
    /// Where others have a word or a value.
    Value,
}

/// Words that are compared in order; longer texts are compared as bags of words.
const ORDERED_MAX: usize = 1_500;
/// So many pairs of words are held beside each other in all texts of one item; then texts are compared as bags of words.
pub(super) const CELLS_MAX: usize = 20_000_000;
/// So many words make a sentence where a value is usual.
const SENTENCE: usize = 5;

/// A server may say anything where nobody looks.
const UNREAD: f64 = 0.6;

/// Compares two texts that differ; `None` is no text.
pub(super) fn compare(site: &mut Site<'_>, place: &str, role: Role, old: Option<&str>, new: Option<&str>) {
    let (was, is) = (old.unwrap_or_default(), new.unwrap_or_default());
    let (before, after) = (words(was), words(is));
    let (kept, fresh) = difference(&before, &after, &mut site.cells);
    let lost = before.len() - kept;
    let (kind, weight, because) = match (old, new) {
        (None, Some(_)) => {
            (Kind::TextAdded, 0.05, format!("a text of {} where there was none", told(after.len())))
        }
        (Some(_), None) => (Kind::TextRemoved, 0.04, "the text is gone".to_owned()),
        _ if squeezed(was) == squeezed(is) => (Kind::TextSpacing, 0.0, "only white space differs".to_owned()),
        _ if fresh.is_empty() && lost == 0 => {
            (Kind::TextPunctuation, 0.01, "only punctuation, capitals or signs differ".to_owned())
        }
        _ if lost == 0 => (Kind::TextExtended, 0.06, format!("{} came in, none went out", told(fresh.len()))),
        _ if fresh.is_empty() => {
            (Kind::TextShortened, 0.04, format!("{} went out, none came in", told(lost)))
        }
        _ if 2 * kept >= before.len().max(1) => {
            (Kind::TextReworded, 0.05, format!("{} went out, {} came in", told(lost), fresh.len()))
        }
        _ => (Kind::TextRewritten, 0.1, format!("{kept} of {} words are left", before.len())),
    };
    site.push(place, kind, true, weight, because);
    let unread = behind(is);
    if !unread.is_empty() && unread != behind(was) {
        let because =
            format!("more than its first {CHARS_MAX} characters differ, and those behind are not compared");
        site.push(place, Kind::TextTooLong, true, UNREAD, because);
    }
    if let Some((negated, plain)) = negation::lost(&before, &after) {
        let because = format!("it said `{negated}`, and speaks of `{plain}` without that now");
        site.push(place, Kind::NegationLost, true, 0.45, because);
    }
    if matches!(role, Role::Guide | Role::Argument)
        && old.is_some()
        && let said = words(promises::said(was))
        && let Some((plain, because)) =
            promises::lifted(&said, &after, lost, fresh.len(), role == Role::Guide)
    {
        let weight = match plain {
            Plain::Little => site.stakes.doubtful(0.15),
            Plain::Among => site.stakes.doubtful(0.2),
            Plain::Plainly => site.stakes.lifted(),
        };
        site.push(place, Kind::PromiseLifted, true, weight, because);
    }
    arrived(site, place, role, &fresh, is);
}

/// A text that nobody saw before, in a place that is new itself.
pub(super) fn arrival(site: &mut Site<'_>, place: &str, role: Role, text: &str) {
    let all = words(text);
    if !behind(text).is_empty() {
        let because = format!("it has more than {CHARS_MAX} characters, and no more are compared");
        site.push(place, Kind::TextTooLong, true, UNREAD, because);
    }
    arrived(site, place, role, &all.iter().collect::<Vec<_>>(), text);
}

fn told(words: usize) -> String {
    decision::counted(words, "word")
}

/// Looks at the words that came in.
fn arrived(site: &mut Site<'_>, place: &str, role: Role, fresh: &[&Word], whole: &str) {
    for host in site.vocabulary.new_hosts(whole) {
        let weight = match role {
            Role::Guide => 0.4,
            Role::Argument => 0.3,
            Role::Label | Role::Value => 0.65,
        };
        let because = format!("`{host}` was nowhere in the old definition");
        site.push(place, Kind::AddressAdded, true, weight, because);
    }
    if role == Role::Value && fresh.len() >= SENTENCE && whole.contains(' ') {
        let because = "a sentence where others have a word or a value".to_owned();
        site.push(place, Kind::TextMisplaced, true, 0.5, because);
    }
    let share = match role {
        // what is said of a new argument is new: nothing was there to be foreign to
        Role::Argument if fresh.len() == words(whole).len() => 0.25,
        Role::Argument => 0.45,
        Role::Guide | Role::Label | Role::Value => 0.7,
    };
    if let Some((strangeness, of)) = strangest(site.vocabulary, fresh) {
        let because = format!(
            "of {of} words of a new sentence, {:.0} % are foreign to the definition",
            strangeness.share * 100.0
        );
        site.push(place, Kind::TextForeign, true, share * strangeness.weight, because);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Strangeness {
    share: f64,
    weight: f64,
}

/// The sentence that has least to do with what was known, if one is strange enough.
fn strangest(known: &Vocabulary, fresh: &[&Word]) -> Option<(Strangeness, usize)> {
    let mut sentences: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for word in fresh {
        if let Some(stem) = stem(&word.text) {
            sentences.entry(word.sentence).or_default().insert(stem);
        }
    }
    let measured = sentences.values().filter(|stems| stems.len() >= 3).map(|stems| {
        let foreign = stems.iter().filter(|stem| !known.knows(stem)).count();
        let share = foreign as f64 / stems.len() as f64;
        let weight = ((share - 0.5) / 0.5).max(0.0) * (foreign as f64 / 6.0).min(1.0);
        (Strangeness { share, weight }, stems.len())
    });
    measured.max_by(|a, b| a.0.weight.total_cmp(&b.0.weight)).filter(|(strange, _)| strange.weight > 0.0)
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().concat()
}

/// How many words were kept, and those that came in.
fn difference<'a>(old: &[Word], new: &'a [Word], cells: &mut usize) -> (usize, Vec<&'a Word>) {
    let same = |a: &Word, b: &Word| a.text == b.text;
    let head = old.iter().zip(new).take_while(|(a, b)| same(a, b)).count();
    let (old, new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| same(a, b)).count();
    let old = old.get(..old.len() - tail).unwrap_or_default();
    let new = new.get(..new.len() - tail).unwrap_or_default();
    let short = old.len().max(new.len()) <= ORDERED_MAX;
    let left = cells.checked_sub(old.len() * new.len()).filter(|_| short);
    *cells = if short { left.unwrap_or_default() } else { *cells };
    let (kept, fresh) = if left.is_some() { ordered(old, new) } else { unordered(old, new) };
    (head + tail + kept, fresh)
}

fn unordered<'a>(old: &[Word], new: &'a [Word]) -> (usize, Vec<&'a Word>) {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for word in old {
        *left.entry(&word.text).or_default() += 1;
    }
    let fresh: Vec<&Word> = new
        .iter()
        .filter(|word| match left.get_mut(word.text.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        })
        .collect();
    (new.len() - fresh.len(), fresh)
}

/// By longest common subsequence.
fn ordered<'a>(old: &[Word], new: &'a [Word]) -> (usize, Vec<&'a Word>) {
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    let get = |common: &[u16], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or_default();
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a.text == b.text {
                get(&common, i + 1, j + 1) + 1
            } else {
                get(&common, i + 1, j).max(get(&common, i, j + 1))
            };
            if let Some(slot) = common.get_mut(i * width + j) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut kept, mut fresh) = (0, 0, 0, Vec::new());
    while let Some(b) = new.get(j) {
        match old.get(i) {
            Some(a) if a.text == b.text => (i, j, kept) = (i + 1, j + 1, kept + 1),
            Some(_) if get(&common, i + 1, j) >= get(&common, i, j + 1) => i += 1,
            Some(_) | None => {
                fresh.push(b);
                j += 1;
            }
        }
    }
    (kept, fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(old: &str, new: &str) -> (usize, Vec<String>) {
        let (old, new) = (words(old), words(new));
        let (kept, fresh) = difference(&old, &new, &mut CELLS_MAX.clone());
        assert_eq!(kept + fresh.len(), new.len());
        (kept, fresh.iter().map(|word| word.text.clone()).collect())
    }

    #[test]
    fn what_came_in_is_told_apart_from_what_was_kept() {
        assert_eq!(of("one two three", "one four three"), (2, vec!["four".to_owned()]));
        assert_eq!(of("a b c d", "b d x"), (2, vec!["x".to_owned()]));
        assert_eq!(of("", "a"), (0, vec!["a".to_owned()]));
        let long: String = (0..3000).map(|i| format!("w{i} ")).collect();
        let (kept, fresh) = of(&format!("start {long}"), &format!("begin {long} end"));
        assert_eq!((kept, fresh.len()), (3000, 2));
        let (kept, fresh) = of(&format!("start {long}"), &format!("{long} end start"));
        assert_eq!((kept, fresh.len()), (3001, 1));
    }
}
