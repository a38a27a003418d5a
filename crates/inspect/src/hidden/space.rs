//! White space that no layout needs: before a text that is out of sight then, at the end, or of two kinds in turns, which
//! carry something as bits do.

use super::Hidden;
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::unseen::Unseen;

/// Longest run of line breaks or spaces that honest layout needs.
const RUN_MAX: usize = 40;
const LINES_MAX: usize = 12;
/// So often one kind of space follows another within a line where none of them carries anything.
const TURNS_MAX: usize = 12;

pub(super) fn look(text: &str, hidden: &mut Hidden<'_>) {
    let mut say = |because: String| {
        hidden.sightings.push(Sighting::new(Detector::WhiteSpace, Severity::High, 0.95, because));
    };
    let runs = !text.is_ascii() || has_run(text.as_bytes());
    if let Some(run) = runs.then(|| long_run(text)).flatten() {
        let after = excerpt(after(text));
        say(format!("text follows {run} characters of white space, out of sight: `{after}`"));
    } else if let Some(turns) = runs.then(|| turns(text)).flatten() {
        say(format!("kinds of white space take turns {turns} times in one line, as bits do"));
    } else if let Some(run) = trailing(text) {
        say(format!("{run} characters of white space stand at the end, where no layout needs any"));
    }
}

/// How often kinds of space take turns in the first line in which they carry something.
fn turns(text: &str) -> Option<usize> {
    let (mut last, mut turns) = (None, 0);
    for c in text.chars() {
        if !c.is_whitespace() || matches!(c, '\n' | '\r') {
            if turns > TURNS_MAX {
                return Some(turns);
            }
            (last, turns) = (None, 0);
        } else {
            turns += usize::from(last.is_some_and(|last| last != c));
            last = Some(c);
        }
    }
    (turns > TURNS_MAX).then_some(turns)
}

/// The length of the white space at the end, where it is longer than what is left behind by an editor.
fn trailing(text: &str) -> Option<usize> {
    let length = text.len() - text.trim_end().len();
    let end = text.get(text.len() - length..).unwrap_or_default();
    let lines = end.bytes().filter(|b| *b == b'\n').count();
    let run = end.chars().count();
    (run < text.chars().count() && (run - lines > 2 * RUN_MAX || lines > 2 * LINES_MAX)).then_some(run)
}

/// The length of the first run of white space that no layout needs and after which there is text.
fn long_run(text: &str) -> Option<usize> {
    let (mut run, mut lines) = (0, 0);
    let mut before = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() || Unseen::of(c).is_some_and(|unseen| unseen != Unseen::Private) {
            run += 1;
            lines += usize::from(c == '\n');
        } else {
            // on a line of its own it may stand below the end of a long name
            let far = run - lines > if lines == 0 { RUN_MAX } else { 2 * RUN_MAX } && lines < 2;
            let long = before && (lines > LINES_MAX || far || run > 4 * RUN_MAX);
            if long && !closes_a_row(text, at, lines) {
                return Some(run);
            }
            (run, lines, before) = (0, 0, true);
        }
    }
    None
}

/// There is a run that is long enough to be looked at: a sample of every so many bytes meets it.
fn has_run(text: &[u8]) -> bool {
    const LEAST: usize = LINES_MAX + 1;
    let space = |at: usize| text.get(at).is_some_and(|b| b.is_ascii_whitespace() || *b == 0x0b);
    (LEAST - 1..text.len()).step_by(LEAST).filter(|at| space(*at)).any(|at| {
        let before = (1..=LEAST).take_while(|by| at.checked_sub(*by).is_some_and(space)).count();
        let behind = (1..=LEAST).take_while(|by| space(at + by)).count();
        before + behind + 1 >= LEAST
    })
}

/// White space that fills the last cell of a table's row, with nothing behind it: `| a cell       |`.
fn closes_a_row(text: &str, at: usize, lines: usize) -> bool {
    let (before, behind) = text.split_at_checked(at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let rest = behind.split('\n').next().unwrap_or_default();
    lines == 0 && line.trim_start().starts_with('|') && rest.trim_end() == "|"
}

/// The text after its longest white space.
fn after(text: &str) -> &str {
    let mut best = ("", 0);
    let mut start = 0;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| !c.is_whitespace()) {
        let (gap, tail) = rest.split_at(at);
        if start > 0 && gap.len() > best.1 {
            best = (tail, gap.len());
        }
        start += at;
        let word = tail.find(char::is_whitespace).unwrap_or(tail.len());
        rest = tail.split_at(word).1;
        start += word;
    }
    best.0
}
