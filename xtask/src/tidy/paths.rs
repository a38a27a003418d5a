//! Prose may not name files that are not there.

use crate::files::Tree;

/// A word in backticks that starts so is meant as a path of this tree.
const ROOTS: &[&str] =
    &["crates/", "docs/", "xtask/", "tests/", ".ci/", ".githooks/", ".cargo/", "examples/"];

/// Pages at the root that are prose, beside everything under `docs/`.
const PAGES: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// Every page that must be there is, and every path a page names exists.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut problems: Vec<String> = PAGES
        .iter()
        .filter(|page| **page != "README.md" && !tree.has(page))
        .map(|page| format!("{page} is missing"))
        .collect();
    for (page, text) in
        tree.ending(".md").filter(|(page, _)| PAGES.contains(page) || page.starts_with("docs/"))
    {
        for word in words(text) {
            let is_pattern = word.contains(['*', '<', '{', '…', ' ', '$']) || word.contains("NNNN");
            if ROOTS.iter().any(|root| word.starts_with(root)) && !is_pattern && !tree.has(place(word)) {
                problems.push(format!("{page} names `{word}`, which does not exist"));
            }
        }
        for link in links(text) {
            if !tree.has(&resolve(page, link)) {
                problems.push(format!("{page} links to {link}, which does not exist"));
            }
        }
    }
    problems
}

/// The path in `crates/x/src/y.rs:12` or `crates/x/src/y.rs::item`.
fn place(word: &str) -> &str {
    word.split(':').next().unwrap_or(word)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Targets of `[text](target)` that stay in the tree, without their fragment.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).filter_map(
        |target| {
            let target = target.split('#').next().unwrap_or(target);
            let elsewhere = target.contains("://")
                || target.starts_with("mailto:")
                || target.contains(char::is_whitespace);
            (!target.is_empty() && !elsewhere).then_some(target)
        },
    )
}

fn resolve(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(page: &str, text: &str) -> Vec<String> {
        let mut files = vec![("crates/a/src/lib.rs", ""), ("docs/adr/0001-x.md", "")];
        files.extend(PAGES.iter().map(|page| (*page, "")));
        files.push((page, text));
        check(&Tree::of(&files))
    }

    #[test]
    fn a_named_file_folder_or_line_that_exists_is_tidy() {
        let text = "`crates/a/`, `crates/a/src/lib.rs:3`, `docs/adr/NNNN-title.md`, `crates/*/src`, [x](adr/0001-x.md#y) [y](https://a.b/c)";
        assert_eq!(judge("docs/page.md", text), Vec::<String>::new());
    }

    #[test]
    fn a_named_file_that_is_gone_is_reported() {
        assert_eq!(judge("README.md", "see `crates/a/src/gone.rs`").len(), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_reported() {
        assert_eq!(judge("docs/page.md", "[x](../docs/adr/0002-y.md)").len(), 1);
        assert_eq!(judge("docs/page.md", "[x](../docs/adr/0001-x.md)").len(), 0);
    }

    #[test]
    fn a_missing_page_is_reported() {
        assert!(
            check(&Tree::of(&[("README.md", ""), ("CONTRIBUTING.md", "")]))
                .concat()
                .contains("ARCHITECTURE.md")
        );
    }
}
