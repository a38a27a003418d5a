//! The ratchet: what must pass, and which unscored scenarios are known to fail.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use toml::Table;

use super::leg::Leg;
use super::results::Results;
use crate::environment::say;
use crate::tally::Tally;

const FILE: &str = "tests/conformance/expected.toml";

/// `tests/conformance/expected.toml`.
#[derive(Debug)]
pub(crate) struct Expected(Table);

impl Expected {
    pub(crate) fn load() -> Result<Self> {
        let text = std::fs::read_to_string(crate::files::root().join(FILE)).context(FILE)?;
        Ok(Self(text.parse().context(FILE)?))
    }

    /// Counts every required scenario, and one check more for each way the run differs from the file.
    pub(crate) fn judge(&self, tally: &mut Tally, leg: &Leg, revision: &str, results: &Results) {
        let what = format!("conformance {revision} {}", leg.name());
        let mut passed = 0;
        for scenario in &results.required {
            let failed = results.failed(scenario);
            match failed {
                Some([]) => passed += 1,
                Some(failures) => failures.iter().for_each(|failure| say(&format!("{scenario}: {failure}"))),
                None => say(&format!("{scenario}: did not run")),
            }
            tally.check(&format!("{what} {scenario}"), failed.is_some_and(<[String]>::is_empty));
        }
        say(&format!("{passed} of {} required scenarios passed", results.required.len()));
        let required = self.required(revision);
        if required != Some(results.required.len()) {
            say(&format!(
                "the suite requires {} scenarios, {FILE} says {required:?}",
                results.required.len()
            ));
            tally.check(&format!("{what}: number of required scenarios"), false);
        }
        let (known, now) = (self.known(leg, revision), results.unscored_failures());
        for scenario in now.difference(&known) {
            results
                .failed(scenario)
                .into_iter()
                .flatten()
                .for_each(|failure| say(&format!("{scenario}: {failure}")));
            tally.check(&format!("{what}: unscored `{scenario}` fails and is not listed in {FILE}"), false);
        }
        for scenario in known.difference(&now) {
            tally.check(&format!("{what}: unscored `{scenario}` passes; remove it from {FILE}"), false);
        }
    }

    fn required(&self, revision: &str) -> Option<usize> {
        usize::try_from(self.0.get("required")?.get(revision)?.as_integer()?).ok()
    }

    fn known(&self, leg: &Leg, revision: &str) -> BTreeSet<String> {
        let list = self
            .0
            .get("unscored-failures")
            .and_then(|legs| legs.get(leg.name()))
            .and_then(|leg| leg.get(revision));
        let names = list.and_then(toml::Value::as_array).into_iter().flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(results: &Results) -> (u64, u64) {
        let text = "[required]\nr1 = 2\n[unscored-failures.direct-rust]\nr1 = [\"tasks\"]\n";
        let mut tally = Tally::default();
        let leg = Leg { direct: true, upstream: super::super::leg::Upstream::Rust };
        Expected(text.parse().unwrap()).judge(&mut tally, &leg, "r1", results);
        (tally.passed, tally.failed)
    }

    #[test]
    fn what_the_file_says_is_good() {
        let results = Results::of(&["a", "b"], &[("a", &[]), ("b", &[]), ("tasks", &["no"])]);
        assert_eq!(judge(&results), (2, 0));
    }

    #[test]
    fn a_required_scenario_that_fails_or_did_not_run_is_a_failure() {
        assert_eq!(
            judge(&Results::of(&["a", "b"], &[("a", &["no"]), ("b", &[]), ("tasks", &["no"])])),
            (1, 1)
        );
        assert_eq!(judge(&Results::of(&["a", "b"], &[("a", &[]), ("tasks", &["no"])])), (1, 1));
    }

    #[test]
    fn a_known_failure_that_passes_must_leave_the_file() {
        assert_eq!(judge(&Results::of(&["a", "b"], &[("a", &[]), ("b", &[]), ("tasks", &[])])), (2, 1));
    }

    #[test]
    fn a_suite_that_requires_something_else_is_a_failure() {
        assert_eq!(judge(&Results::of(&["a"], &[("a", &[]), ("tasks", &["no"])])), (1, 1));
    }
}
