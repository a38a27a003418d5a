//! The index of decisions is complete, and their numbers are used once.

use std::collections::BTreeSet;

use crate::files::Tree;

const FOLDER: &str = "docs/adr/";
const INDEX: &str = "docs/adr/README.md";

/// Records that the index forgot, and numbers that are used twice. (Index lines without a record are found by `paths`.)
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let index = tree.text(INDEX).unwrap_or_default();
    let mut problems = Vec::new();
    let mut numbers = BTreeSet::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.starts_with(FOLDER) && *path != INDEX) {
        let name = path.strip_prefix(FOLDER).unwrap_or(path);
        let number: String = name.chars().take_while(char::is_ascii_digit).collect();
        if number.len() != 4 {
            problems.push(format!("{path} is not named NNNN-title.md"));
        } else if !numbers.insert(number.clone()) {
            problems.push(format!("{path}: the number {number} is taken"));
        }
        if !index.contains(&format!("]({name})")) {
            problems.push(format!("{INDEX} does not link to {name}"));
        }
        for part in ["## Context", "## Decision", "## Consequences"] {
            if !text.contains(part) {
                problems.push(format!("{path} has no `{part}`"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "# 1\n## Context\n## Decision\n## Consequences\n";

    #[test]
    fn a_record_in_the_index_is_tidy() {
        let tree = Tree::of(&[(INDEX, "[x](0001-x.md)"), ("docs/adr/0001-x.md", RECORD)]);
        assert_eq!(check(&tree), Vec::<String>::new());
    }

    #[test]
    fn a_record_that_the_index_forgot_is_reported() {
        assert_eq!(check(&Tree::of(&[(INDEX, ""), ("docs/adr/0001-x.md", RECORD)])).len(), 1);
    }

    #[test]
    fn a_number_used_twice_is_reported() {
        let index = "[x](0001-x.md) [y](0001-y.md)";
        let tree =
            Tree::of(&[(INDEX, index), ("docs/adr/0001-x.md", RECORD), ("docs/adr/0001-y.md", RECORD)]);
        assert_eq!(check(&tree), ["docs/adr/0001-y.md: the number 0001 is taken"]);
    }

    #[test]
    fn a_record_without_consequences_is_reported() {
        let tree =
            Tree::of(&[(INDEX, "[x](0001-x.md)"), ("docs/adr/0001-x.md", "## Context\n## Decision\n")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
