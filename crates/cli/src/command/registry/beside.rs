//! Two texts beside each other, line by line.

use crate::say::{Say, one_line};

/// Lines that went and lines that came, in colour.
pub(super) fn side_by_side(say: Say, before: &str, after: &str) {
    for line in lines(before, after) {
        let line = one_line(&line);
        say.line(match line.as_bytes().first() {
            Some(b'-') => say.paint(31, &line),
            Some(b'+') => say.paint(32, &line),
            Some(_) | None => line,
        });
    }
}

/// Most lines that are compared line by line.
const LINES_MAX: usize = 2_000;

/// The lines of two texts, with `-`, `+` or a space before each, by longest common subsequence.
fn lines(before: &str, after: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if a.len().max(b.len()) > LINES_MAX {
        let all = a.iter().map(|line| format!("- {line}")).chain(b.iter().map(|line| format!("+ {line}")));
        return all.collect();
    }
    // common[i][j]: how many lines a[i..] and b[j..] have in common
    let width = b.len() + 1;
    let mut common = vec![0_u16; (a.len() + 1) * width];
    let get = |common: &[u16], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or_default();
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let best = if x == y {
                get(&common, i + 1, j + 1).saturating_add(1)
            } else {
                get(&common, i + 1, j).max(get(&common, i, j + 1))
            };
            if let Some(slot) = common.get_mut(i * width + j) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => {
                out.push(format!("  {x}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(x), Some(_)) if get(&common, i + 1, j) >= get(&common, i, j + 1) => {
                out.push(format!("- {x}"));
                i += 1;
            }
            (Some(_) | None, Some(y)) => {
                out.push(format!("+ {y}"));
                j += 1;
            }
            (Some(x), None) => {
                out.push(format!("- {x}"));
                i += 1;
            }
            (None, None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_keeps_what_both_have_and_marks_the_rest() {
        let told = lines("a\nb\nc\nd", "a\nc\nx\nd");
        assert_eq!(told, ["  a", "- b", "  c", "+ x", "  d"]);
        assert_eq!(lines("", "new"), ["+ new"]);
        assert_eq!(lines("old", ""), ["- old"]);
        assert!(lines("", "").is_empty());
    }
}
