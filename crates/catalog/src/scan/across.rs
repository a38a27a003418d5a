//! Servers side by side: one name for two tools, a tool that passes for another, a server that does.

use super::addresses::Twinned;
use super::{Finding, addresses, name};
use crate::listing::Offer;
use inspect::text::skeleton;
use inspect::{Detector, Severity, Sighting};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

/// From here on two descriptions say the same.
const SAME_TEXT: f32 = 0.7;
/// Fewer words than these are the same by chance.
const FEW_WORDS: usize = 8;
/// Shortest name in which a letter more or less is no chance.
const NAME_MIN: usize = 6;
/// Longest name whose letters are counted, which takes the square of its length; the gateway takes no longer ones.
const NAME_MAX: usize = 256;

/// So many names after a name, in order, are looked at beside it.
const NEIGHBOURS: usize = 24;

/// Stands between a server's name and its tool's where the gateway shows the tools of all.
const BETWEEN: &str = "__";

/// Where a tool stands: its server and its place there.
type Spot = (usize, usize);

pub(super) fn look(offers: &[Offer]) -> Vec<Finding> {
    beside(offers, Twinned::Excused, |_| true)
}

/// What is to be said of the last of these beside the others: of hundreds of servers, a small part of all pairs.
pub(super) fn look_at_last(offers: &[Offer]) -> Vec<Finding> {
    let last = offers.len().saturating_sub(1);
    beside(offers, Twinned::Copied, |server| server == last)
}

/// Names beside which a tool might pass for another, in the form they are compared in.
#[derive(Debug, Default)]
pub struct Alike(BTreeSet<String>);

impl Alike {
    pub fn to<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(skeleton).collect())
    }

    /// Whether a tool of this name has to be looked at beside those.
    pub fn is(&self, name: &str) -> bool {
        let name = skeleton(name);
        let near = |other: &String| {
            *other == name || (other.len().min(name.len()) >= NAME_MIN && is_near(other, &name))
        };
        let after = self.0.range::<str, _>((Bound::Included(name.as_str()), Bound::Unbounded));
        let before = self.0.range::<str, _>((Bound::Unbounded, Bound::Excluded(name.as_str())));
        after.take(NEIGHBOURS).any(near) || before.rev().take(NEIGHBOURS).any(near)
    }
}

/// What the servers say that `counts` holds for, which may be only the later of two.
fn beside(offers: &[Offer], twinned: Twinned, counts: impl Fn(usize) -> bool) -> Vec<Finding> {
    let mut found = listed_again(offers, &counts);
    if offers.len() < 2 {
        return found;
    }
    found.extend(servers(offers, &counts));
    found.extend(prefixed(offers, &counts));
    let twins = Twins::among(offers);
    let mut by_skeleton: BTreeMap<String, Vec<Spot>> = BTreeMap::new();
    for (i, offer) in offers.iter().enumerate() {
        for (j, tool) in offer.tools.iter().enumerate() {
            by_skeleton.entry(skeleton(name(tool))).or_default().push((i, j));
        }
    }
    for spots in by_skeleton.values() {
        for (n, a) in spots.iter().enumerate() {
            let others = spots.get(n + 1..).unwrap_or_default().iter();
            let others = others.filter(|b| b.0 != a.0 && counts(b.0));
            found.extend(others.filter_map(|b| same_name(offers, &twins, *a, *b)));
        }
    }
    found.extend(near_names(offers, &twins, &by_skeleton, &counts));
    found.extend(addresses::look(offers, |a, b| twins.are(a, b), twinned, &counts));
    found
}

fn tool(offers: &[Offer], spot: Spot) -> Option<&Value> {
    offers.get(spot.0)?.tools.get(spot.1)
}

fn server(offers: &[Offer], i: usize) -> &str {
    offers.get(i).and_then(|offer| offer.server.as_deref()).unwrap_or_default()
}

fn of(spot: Spot, detector: Detector, severity: Severity, confidence: f32, because: String) -> Finding {
    Finding::at(
        format!("/{}/tools/{}", spot.0, spot.1),
        Sighting::new(detector, severity, confidence, because),
    )
}

/// Two servers with a tool of one name.
fn same_name(offers: &[Offer], twins: &Twins<'_>, a: Spot, b: Spot) -> Option<Finding> {
    let (one, other) = (tool(offers, a)?, tool(offers, b)?);
    let (first, second) = (server(offers, a.0), server(offers, b.0));
    if first == second && !first.is_empty() {
        return None;
    }
    let title = inspect::shown::visible(name(other));
    let both = format!("`{}` and `{}`", inspect::shown::visible(first), inspect::shown::visible(second));
    if spelled(name(one)) != spelled(name(other)) {
        let because = format!("`{title}` of {both} looks like the other's and is another name");
        let severity = if alike(one, other) > 0.4 { Severity::High } else { Severity::Medium };
        return Some(of(b, Detector::Impersonation, severity, 0.8, because));
    }
    let likeness = alike(one, other);
    if likeness < SAME_TEXT {
        let because =
            format!("{both} both have a `{title}`, each its own: which one is called depends on the client");
        return Some(of(b, Detector::NameCollision, Severity::Low, 0.3, because));
    }
    if twins.are(a.0, b.0) {
        let because = format!("{both} offer the same tools: one server, it seems, under two names");
        return Some(of(b, Detector::NameCollision, Severity::Info, 0.2, because));
    }
    let because =
        format!("`{title}` of {both} is the other's to the word, on a server that is otherwise another");
    Some(of(b, Detector::Impersonation, Severity::High, 0.75, because))
}

/// Tools whose name one server has twice. Honest servers do, too, and of all only the first is ever served.
fn listed_again(offers: &[Offer], counts: &impl Fn(usize) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (i, offer) in offers.iter().enumerate().filter(|(i, _)| counts(*i)) {
        let mut names = BTreeSet::new();
        for (j, tool) in offer.tools.iter().enumerate() {
            if !name(tool).is_empty() && !names.insert(name(tool)) {
                let title = inspect::shown::visible(name(tool));
                let because =
                    format!("`{title}` is listed more than once: the gateway serves the first alone");
                found.push(of((i, j), Detector::NameCollision, Severity::Info, 0.9, because));
            }
        }
    }
    found
}

/// Tools that are called as the gateway calls those of another server: `alpha__get_thing`, and not by `alpha`.
fn prefixed(offers: &[Offer], counts: &impl Fn(usize) -> bool) -> Vec<Finding> {
    let servers: Vec<String> = (0..offers.len()).map(|i| skeleton(server(offers, i))).collect();
    let known: BTreeSet<&String> = servers.iter().filter(|name| !name.is_empty()).collect();
    let mut found = Vec::new();
    for (i, offer) in offers.iter().enumerate().filter(|(i, _)| counts(*i)) {
        for (j, tool) in offer.tools.iter().enumerate() {
            let Some((before, after)) = name(tool).split_once(BETWEEN) else { continue };
            let prefix = skeleton(before);
            if after.is_empty() || servers.get(i) == Some(&prefix) || !known.contains(&prefix) {
                continue;
            }
            let (title, other) = (inspect::shown::visible(name(tool)), inspect::shown::visible(before));
            let because =
                format!("`{title}` is called as a tool of the server `{other}` would be, which is another");
            found.push(of((i, j), Detector::Impersonation, Severity::High, 0.75, because));
        }
    }
    found
}

/// Which servers are the same one, entered twice. Two that are have many tools in common, and it is asked for each of them.
struct Twins<'a> {
    offers: &'a [Offer],
    texts: RefCell<BTreeMap<usize, Rc<BTreeSet<String>>>>,
    known: RefCell<BTreeMap<(usize, usize), bool>>,
}

impl<'a> Twins<'a> {
    fn among(offers: &'a [Offer]) -> Self {
        Self { offers, texts: RefCell::default(), known: RefCell::default() }
    }

    /// Nearly all tools are the same in every word.
    fn are(&self, a: usize, b: usize) -> bool {
        let known = self.known.borrow().get(&(a, b)).copied();
        known.unwrap_or_else(|| {
            let (of_a, of_b) = (self.texts(a), self.texts(b));
            let same = of_a.intersection(&of_b).count();
            let are = same > 1 && same * 10 >= of_a.len().max(of_b.len()) * 8;
            self.known.borrow_mut().insert((a, b), are);
            are
        })
    }

    fn texts(&self, i: usize) -> Rc<BTreeSet<String>> {
        let all = || self.offers.get(i).map(|offer| offer.tools.iter().map(Value::to_string).collect());
        let mut texts = self.texts.borrow_mut();
        Rc::clone(texts.entry(i).or_insert_with(|| Rc::new(all().unwrap_or_default())))
    }
}

/// A name without what conventions differ in: case, and what stands between its words.
fn spelled(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

/// How much two definitions say the same: the share of words that both descriptions have.
fn alike(one: &Value, other: &Value) -> f32 {
    let words = |tool: &Value| -> BTreeSet<String> {
        let text = tool.get("description").and_then(Value::as_str).unwrap_or_default();
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() > 2)
            .map(str::to_lowercase)
            .collect()
    };
    let (a, b) = (words(one), words(other));
    // the same arguments in every word: one was made from the other
    let arguments = schema(one).filter(|schema| {
        schema.get("properties").and_then(Value::as_object).is_some_and(|all| all.len() > 1)
    });
    if arguments.is_some() && arguments == schema(other) {
        return 1.0;
    }
    let least = a.len().min(b.len());
    if least < 3 {
        // of two that say nothing, nothing says that one is the other's copy
        return if !a.is_empty() && a == b && schema(one) == schema(other) { 1.0 } else { 0.0 };
    }
    // a copy may say more or less than its original; of a few words any two have some
    let both = a.intersection(&b).count();
    let most = a.len().max(b.len());
    // a long text has most of the words of a short one, but no copy lacks any
    if least < FEW_WORDS || most > 3 * least && both < least {
        ratio(both, a.union(&b).count())
    } else {
        ratio(both, least)
    }
}

fn schema(tool: &Value) -> Option<&Value> {
    tool.get("inputSchema")
}

fn ratio(part: usize, whole: usize) -> f32 {
    let number = |n: usize| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
    number(part) / number(whole).max(1.0)
}

/// Names of two servers that differ in a letter or an ending, with descriptions that do not.
fn near_names(
    offers: &[Offer],
    twins: &Twins<'_>,
    by_skeleton: &BTreeMap<String, Vec<Spot>>,
    counts: &impl Fn(usize) -> bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let names: Vec<(&String, &Vec<Spot>)> = by_skeleton.iter().collect();
    // sorted names that begin alike stand together
    for (n, (one, spots)) in names.iter().enumerate() {
        for (other, others) in names.get(n + 1..).unwrap_or_default().iter().take(NEIGHBOURS) {
            let of_none = |all: &[Spot]| !all.iter().any(|spot| counts(spot.0));
            if of_none(spots) && of_none(others)
                || one.len() < NAME_MIN
                || other.len() < NAME_MIN
                || !is_near(one, other)
            {
                continue;
            }
            for (a, b) in
                spots.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))).filter(|(a, b)| a.0 != b.0)
            {
                let (a, b) = (a.min(b), a.max(b));
                if !counts(b.0) {
                    continue;
                }
                let (Some(first), Some(second)) = (tool(offers, a), tool(offers, b)) else { continue };
                if alike(first, second) < SAME_TEXT || twins.are(a.0, b.0) {
                    continue;
                }
                let because = format!(
                    "`{}` says the same as `{}` of another server, whose name it nearly has",
                    inspect::shown::visible(name(second)),
                    inspect::shown::visible(name(first)),
                );
                found.push(of(b, Detector::Impersonation, Severity::High, 0.7, because));
            }
        }
    }
    found
}

fn is_near(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.starts_with(short) && long.len() - short.len() < 9 || distance(one, other) < 3
}

/// Which letters a name has, by their last six bits.
fn letters(name: &str) -> u64 {
    name.chars().fold(0, |all, c| all | 1 << (u32::from(c) & 63))
}

/// Whether two steps could make one of the other. A step takes one letter away at most, and brings one; of most pairs that
/// says enough, and a server is held beside thousands of names.
fn may_be_near(one: &str, other: &str) -> bool {
    (letters(one) ^ letters(other)).count_ones() <= 4
}

/// Servers whose names pass for another's.
fn servers(offers: &[Offer], counts: &impl Fn(usize) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (i, _) in offers.iter().enumerate() {
        for (j, _) in offers.iter().enumerate().skip(i + 1).filter(|(j, _)| counts(*j)) {
            let (one, other) = (server(offers, i), server(offers, j));
            let (a, b) = (skeleton(one), skeleton(other));
            let bare = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            let shortest = a.len().min(b.len());
            // one letter in five may be a slip of the pen; numbers at the end count servers
            let near = shortest >= 4
                && bare(one) != bare(other)
                && distance(&a, &b) <= 1 + usize::from(shortest > 7);
            if one == other || !(a == b || near) {
                continue;
            }
            let because = format!(
                "the server `{}` nearly has the name of `{}`",
                inspect::shown::visible(other),
                inspect::shown::visible(one)
            );
            let sighting = Sighting::new(Detector::Impersonation, Severity::High, 0.7, because);
            found.push(Finding::at(format!("/{j}/server"), sighting));
        }
    }
    found
}

/// How many letters have to be put in, taken out, changed or swapped; of more than two it may say any number of more.
fn distance(one: &str, other: &str) -> usize {
    if !may_be_near(one, other) {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if a.len().abs_diff(b.len()) > 2 || a.len() > NAME_MAX {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (get(&row, j) + usize::from(x != y)).min(get(&row, j + 1) + 1).min(get(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(get(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_two_steps_make_of_a_name_may_be_near_it(
            name in "[a-e_é]{0,8}",
            steps in proptest::collection::vec((0..4_u8, 0..9_usize, "[a-zé]"), 0..3),
        ) {
            let mut changed: Vec<char> = name.chars().collect();
            for (step, at, letter) in &steps {
                let letter = letter.chars().next().unwrap();
                let at = at % (changed.len() + 1);
                match step {
                    0 => changed.insert(at, letter),
                    1 if at < changed.len() => drop(changed.remove(at)),
                    2 if at < changed.len() => changed[at] = letter,
                    3 if at + 1 < changed.len() => changed.swap(at, at + 1),
                    _ => {}
                }
            }
            let changed: String = changed.into_iter().collect();
            proptest::prop_assert!(may_be_near(&name, &changed));
            proptest::prop_assert!(distance(&name, &changed) <= steps.len() || steps.len() == 2);
        }
    }

    #[test]
    fn letters_are_counted_of_names_that_a_server_can_have_and_of_no_longer_ones() {
        assert_eq!(distance("send_mail", "send_mial"), 1);
        let long = "x".repeat(NAME_MAX);
        assert_eq!(distance(&format!("abc{long}"), &format!("abd{long}")), usize::MAX);
    }
}
