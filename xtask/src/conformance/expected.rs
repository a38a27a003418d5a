//! The ratchet: what must pass, and which unscored scenarios are known to fail.

use std::collections::{BTreeMap, BTreeSet};

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
        let listed = self.impossible(leg);
        let impossible =
            |failure: &str, scenario: &str| listed.contains_key(&format!("{scenario}/{}", id(failure)));
        let mut passed = 0;
        for scenario in &results.required {
            let failed = results.failed(scenario);
            let unexpected: Vec<&String> =
                failed.into_iter().flatten().filter(|failure| !impossible(failure, scenario)).collect();
            match failed {
                Some(_) if unexpected.is_empty() => passed += 1,
                Some(_) => unexpected.iter().for_each(|failure| say(&format!("{scenario}: {failure}"))),
                None => say(&format!("{scenario}: did not run")),
            }
            tally.check(&format!("{what} {scenario}"), failed.is_some() && unexpected.is_empty());
        }
        for (place, reason) in &listed {
            let (scenario, check) = place.split_once('/').unwrap_or_default();
            let fails = results.failed(scenario).into_iter().flatten().any(|failure| id(failure) == check);
            if fails {
                say(&format!("cannot pass: {place}: {reason}"));
            } else {
                tally.check(&format!("{what}: `{place}` passes; remove it from {FILE}"), false);
            }
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

    /// Checks that the other era has no way to pass, as `scenario/check`, and why.
    fn impossible(&self, leg: &Leg) -> BTreeMap<String, String> {
        let checks = self.0.get("impossible").and_then(|legs| legs.get(leg.name())?.as_table());
        let all = checks.into_iter().flatten();
        all.filter_map(|(place, why)| Some((place.clone(), why.as_str()?.to_owned()))).collect()
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

/// The check that a failure is of.
fn id(failure: &str) -> &str {
    failure.split_once(": ").map_or(failure, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(results: &Results) -> (u64, u64) {
        judged("[required]\nr1 = 2\n[unscored-failures.direct-rust]\nr1 = [\"tasks\"]\n", results)
    }

    fn judged(text: &str, results: &Results) -> (u64, u64) {
        let mut tally = Tally::default();
        let leg = Leg { direct: true, upstream: super::super::leg::Upstream::Rust, across: None };
        Expected(text.parse().unwrap()).judge(&mut tally, &leg, "r1", results);
        (tally.passed, tally.failed)
    }

    #[test]
    fn a_check_that_cannot_pass_is_excused_alone_and_must_go_once_it_passes() {
        let text = "[required]\nr1 = 2\n[impossible.direct-rust]\n\"a/x\" = \"nobody can\"\n";
        let run = |failed: &[&str]| judged(text, &Results::of(&["a", "b"], &[("a", failed), ("b", &[])]));
        assert_eq!(run(&["x: no"]), (2, 0));
        assert_eq!(run(&["x: no", "y: no"]), (1, 1), "another check of the scenario");
        assert_eq!(run(&[]), (2, 1), "it passes and is still listed");
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
