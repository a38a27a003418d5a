//! What passed, what failed, what was left out.

use std::process::ExitCode;

use crate::environment::{is_ci, say};

/// The count of a run. A step that is no test suite counts as one check.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// What failed or was skipped, and why, in the order it happened.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    /// One check.
    pub(crate) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.notes.push(format!("failed: {name}"));
        }
    }

    /// One thing left out, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.notes.push(format!("skipped: {name}: {why}"));
    }

    /// A suite that said its own numbers. A suite that failed without counting a failure (it did not compile) is one failure.
    pub(crate) fn suite(&mut self, name: &str, succeeded: bool, counted: &Self) {
        self.passed += counted.passed;
        self.failed += counted.failed;
        self.skipped += counted.skipped;
        if counted.failed > 0 {
            self.notes.push(format!("failed: {name}: {} tests", counted.failed));
        } else if !succeeded {
            self.failed += 1;
            self.notes.push(format!("failed: {name}"));
        }
        if counted.skipped > 0 {
            self.notes.push(format!("skipped: {name}: {} tests marked #[ignore]", counted.skipped));
        }
    }

    /// Prints the notes and, last, the line that others read. Success is no failure, something passed and, in CI, nothing skipped.
    pub(crate) fn finish(&self) -> ExitCode {
        for note in &self.notes {
            say(note);
        }
        say(&self.line());
        if self.is_good(is_ci()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }

    fn is_good(&self, strict: bool) -> bool {
        self.failed == 0 && self.passed > 0 && !(strict && self.skipped > 0)
    }
}

/// Adds up what `cargo test` or `cargo nextest` say of each suite. Where nextest has summed up, nothing else counts: it repeats what failing
/// tests printed, and they print as `cargo test` does.
pub(crate) fn count(output: &str) -> Tally {
    let lines: Vec<String> = output.lines().map(plain).collect();
    let mut tally = Tally::default();
    let summaries: Vec<&str> = lines.iter().filter_map(|line| summary(line)).collect();
    for numbers in &summaries {
        tally.passed += before(numbers, "passed");
        tally.failed += before(numbers, "failed") + before(numbers, "timed out");
        tally.skipped += before(numbers, "skipped");
    }
    let results = lines.iter().filter_map(|line| line.strip_prefix("test result: "));
    for numbers in results.filter(|_| summaries.is_empty()) {
        tally.passed += before(numbers, "passed");
        tally.failed += before(numbers, "failed");
        tally.skipped += before(numbers, "ignored");
    }
    tally
}

/// The numbers in `Summary [ 3.0s] 40 tests run: 40 passed, 0 skipped`.
fn summary(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    rest.split_once("tests run: ").or_else(|| rest.split_once("test run: ")).map(|(_, numbers)| numbers)
}

/// The number in front of a word: 3 in `2 passed (1 slow), 3 failed`.
fn before(text: &str, word: &str) -> u64 {
    text.split([',', ';', '.'])
        .filter_map(|part| part.split_once(word))
        .find_map(|(number, _)| number.split_whitespace().last()?.parse().ok())
        .unwrap_or(0)
}

/// A line without terminal colours.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tally: &Tally) -> (u64, u64, u64) {
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn the_words_of_cargo_test_are_counted() {
        let said = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s\n";
        assert_eq!(numbers(&count(said)), (15, 2, 1));
    }

    #[test]
    fn the_words_of_nextest_are_counted() {
        let said = "\u{1b}[1m     Summary\u{1b}[0m [   3.051s] 40 tests run: 37 passed (2 slow), 2 failed, 1 timed out, 4 skipped\n";
        assert_eq!(numbers(&count(said)), (37, 3, 4));
        assert_eq!(numbers(&count("     Summary [ 0.1s] 1 test run: 1 passed, 0 skipped")), (1, 0, 0));
    }

    #[test]
    fn a_failing_test_that_nextest_shows_is_counted_once() {
        let said = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 30 filtered out\n\
                    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 30 filtered out\n\
                    \x20    Summary [  88.8s] 695 tests run: 694 passed, 1 failed, 3 skipped\n";
        assert_eq!(numbers(&count(said)), (694, 1, 3));
    }

    #[test]
    fn a_test_that_prints_such_words_is_not_counted() {
        assert_eq!(numbers(&count("my tests run: 40 passed")), (0, 0, 0));
    }

    #[test]
    fn a_suite_that_does_not_compile_is_a_failure() {
        let mut tally = Tally::default();
        tally.suite("x", false, &Tally::default());
        assert_eq!(numbers(&tally), (0, 1, 0));
        assert!(!tally.is_good(false));
    }

    #[test]
    fn a_skip_is_a_failure_only_in_ci_and_nothing_at_all_is_no_success() {
        let mut tally = Tally::default();
        assert!(!tally.is_good(false));
        tally.check("a", true);
        tally.skip("b", "no database here");
        assert!(tally.is_good(false));
        assert!(!tally.is_good(true));
        assert_eq!(tally.line(), "1 passed, 0 failed, 1 skipped");
    }
}
