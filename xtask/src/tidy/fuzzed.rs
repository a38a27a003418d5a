//! A fuzz body that nobody runs proves nothing: each is a target, has a corpus, and is replayed by a test.

use crate::files::Tree;
use crate::fuzz::TARGETS;

const BODIES: &str = "fuzz/bodies/";

/// Bodies that are no target, targets without a body, a corpus or a program, and those that no test replays.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let bodies: Vec<&str> = tree
        .ending(".rs")
        .filter_map(|(path, _)| path.strip_prefix(BODIES).and_then(|name| name.strip_suffix(".rs")))
        .collect();
    let mut problems: Vec<String> = bodies
        .iter()
        .filter(|body| !TARGETS.iter().any(|target| target.name == **body))
        .map(|body| format!("{BODIES}{body}.rs is not in the table of xtask/src/fuzz.rs"))
        .collect();
    let manifest = tree.text("fuzz/Cargo.toml").unwrap_or_default();
    for target in TARGETS {
        let name = target.name;
        let mut needs = |fulfilled: bool, what: &str| {
            if !fulfilled {
                problems.push(format!("the fuzz target `{name}` has no {what}"));
            }
        };
        needs(bodies.contains(&name), "body in fuzz/bodies");
        needs(tree.has(&format!("fuzz/targets/{name}.rs")), "program in fuzz/targets");
        needs(manifest.contains(&format!("name = \"{name}\"")), "[[bin]] in fuzz/Cargo.toml");
        needs(tree.has(&format!("fuzz/corpus/{name}")), "corpus in fuzz/corpus");
        if let Some(dictionary) = target.dictionary {
            needs(
                tree.has(&format!("fuzz/dictionaries/{dictionary}.dict")),
                "dictionary in fuzz/dictionaries",
            );
        }
        let replay = format!("replay::all(\"{name}\", {name}::run)");
        let replayed =
            tree.ending(".rs").any(|(path, text)| path.starts_with("crates/") && text.contains(&replay));
        needs(replayed, "test that replays its corpus");
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::Target;

    /// A tree in which every target has everything, but for the files whose path contains `without`.
    fn tree(without: &str) -> Vec<String> {
        let mut files = vec![("fuzz/Cargo.toml".to_owned(), String::new())];
        let mut tests = String::new();
        for Target { name, dictionary, .. } in TARGETS {
            files[0].1.push_str(&format!("[[bin]]\nname = \"{name}\"\n"));
            tests.push_str(&format!("replay::all(\"{name}\", {name}::run);\n"));
            for path in ["bodies/X.rs", "targets/X.rs", "corpus/X/a"] {
                files.push((format!("fuzz/{}", path.replace('X', name)), String::new()));
            }
            files.extend(dictionary.map(|name| (format!("fuzz/dictionaries/{name}.dict"), String::new())));
        }
        files.push(("crates/a/tests/corpus.rs".to_owned(), tests));
        files.retain(|(path, _)| without.is_empty() || !path.contains(without));
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        check(&Tree::of(&files))
    }

    #[test]
    fn a_target_with_everything_is_tidy() {
        assert_eq!(tree(""), Vec::<String>::new());
    }

    #[test]
    fn whatever_a_target_lacks_is_reported() {
        assert_eq!(tree("corpus/scan/"), ["the fuzz target `scan` has no corpus in fuzz/corpus"]);
        assert_eq!(tree("bodies/sse"), ["the fuzz target `sse` has no body in fuzz/bodies"]);
        assert_eq!(tree("targets/sse").len(), 1);
        assert_eq!(tree("tests/corpus.rs").len(), TARGETS.len());
        assert_eq!(tree("Cargo.toml").len(), TARGETS.len());
    }

    #[test]
    fn a_body_that_is_no_target_is_reported() {
        let stray = check(&Tree::of(&[("fuzz/bodies/stray.rs", "")]));
        assert!(stray.iter().any(|problem| problem.contains("stray.rs is not in the table")), "{stray:?}");
    }
}
