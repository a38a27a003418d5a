//! Every invariant of the threat model names tests, and the tests exist.

use std::collections::BTreeSet;

use crate::files::Tree;

const MODEL: &str = "docs/threat-model.md";

/// Invariants (`### I…` headings) without a `Tests:` paragraph, and names in it that no test bears.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let Some(model) = tree.text(MODEL) else { return vec![format!("{MODEL} is missing")] };
    let known: BTreeSet<&str> = tree.ending(".rs").flat_map(|(_, text)| tests_of(text)).collect();
    let mut problems = Vec::new();
    for section in model.split("\n### ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let paragraphs = section.split("\n\n").flat_map(|paragraph| paragraph.split_once("Tests:"));
        let named: Vec<&str> = paragraphs.flat_map(|(_, list)| list.split('`').skip(1).step_by(2)).collect();
        if named.is_empty() {
            problems.push(format!("{MODEL}: `{title}` names no test"));
        }
        for name in named {
            let exists = known.contains(name) || (name.contains('/') && tree.has(name));
            if !exists {
                problems.push(format!("{MODEL}: `{title}` names the test `{name}`, which does not exist"));
            }
        }
    }
    problems
}

/// Names of functions that carry a test attribute.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[") {
            marked = marked || line.starts_with("#[test]") || line.contains("::test");
            return None;
        }
        if line.starts_with("//") {
            return None;
        }
        // Inside `proptest! {}` the attribute stands above the function as well.
        let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name);
        std::mem::take(&mut marked).then_some(name).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(model: &str, source: &str) -> Vec<String> {
        check(&Tree::of(&[(MODEL, model), ("crates/a/src/b.rs", source)]))
    }

    const SOURCE: &str = "#[test]\n#[cfg(unix)]\nfn it_holds() {}\n#[tokio::test(flavor = \"x\")]\n// why\nasync fn it_waits() {}\nfn not_a_test() {}\n";

    #[test]
    fn an_invariant_with_tests_that_exist_is_tidy() {
        assert_eq!(
            judge(
                "# x\n\n### I1 y\nIt has `no_test` here.\n\nTests: `it_holds`, `it_waits`,\n`crates/a/src/b.rs`\n",
                SOURCE
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_invariant_without_a_test_is_reported() {
        assert_eq!(judge("# x\n\n### I1 y\nBelieve me.\n", SOURCE).len(), 1);
    }

    #[test]
    fn a_test_that_does_not_exist_is_reported() {
        assert_eq!(judge("# x\n\n### I1 y\nTests: `it_flies`\n", SOURCE).len(), 1);
    }

    #[test]
    fn a_function_that_is_not_a_test_does_not_count() {
        assert_eq!(judge("# x\n\n### I1 y\nTests: `not_a_test`\n", SOURCE).len(), 1);
    }
}
