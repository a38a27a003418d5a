//! A file is read in one sitting, a function on one screen. Tests may be longer.

use crate::files::Tree;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Every source file and function that is too long.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| is_product(path)) {
        let lines: Vec<&str> = before_tests(text);
        if lines.len() > FILE_LINES_MAX {
            problems
                .push(format!("{path}: {} lines before its tests (at most {FILE_LINES_MAX})", lines.len()));
        }
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| opens_function(line)) {
            let close = format!("{}}}", " ".repeat(line.len() - line.trim_start().len()));
            let length =
                lines.iter().skip(start).position(|line| *line == close).map_or(0, |lines| lines + 1);
            if length > FUNCTION_LINES_MAX {
                problems.push(format!(
                    "{path}:{}: a function of {length} lines (at most {FUNCTION_LINES_MAX})",
                    start + 1
                ));
            }
        }
    }
    problems
}

fn is_product(path: &str) -> bool {
    let is_source = path.starts_with("crates/") || path.starts_with("xtask/");
    let is_test = path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs");
    is_source && !is_test
}

/// The lines above the test module, which is last in its file.
fn before_tests(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| matches!(pair, ["#[cfg(test)]", module] if module.starts_with("mod ")));
    lines.into_iter().take(tests.unwrap_or(usize::MAX)).collect()
}

fn opens_function(line: &str) -> bool {
    let line = line.trim_start();
    let is_comment = line.starts_with("//");
    let named = line.starts_with("fn ") || line.contains(" fn ");
    named && !is_comment && !line.ends_with(';') && !line.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)]))
    }

    fn function(lines: usize) -> String {
        format!("    pub(crate) fn long() {{\n{}    }}\n", "        step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_seventy_lines_is_tidy_and_one_more_is_not() {
        assert_eq!(judge("crates/a/src/b.rs", &function(70)).len(), 0);
        assert_eq!(
            judge("crates/a/src/b.rs", &function(71)),
            ["crates/a/src/b.rs:1: a function of 71 lines (at most 70)"]
        );
    }

    #[test]
    fn a_file_of_five_hundred_lines_is_tidy_and_one_more_is_not() {
        assert_eq!(judge("crates/a/src/b.rs", &"// x\n".repeat(500)).len(), 0);
        assert_eq!(judge("crates/a/src/b.rs", &"// x\n".repeat(501)).len(), 1);
    }

    #[test]
    fn tests_may_be_longer() {
        let text = format!("// x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // y\n".repeat(600));
        assert_eq!(judge("crates/a/src/b.rs", &text).len(), 0);
        assert_eq!(judge("crates/a/tests/it/main.rs", &"// x\n".repeat(900)).len(), 0);
    }
}
