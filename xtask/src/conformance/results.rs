//! What the suite wrote: one folder a scenario, `server-<scenario>-<time>`, with its checks as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The length of `-2026-11-20T13-01-16-068Z` at the end of a folder's name.
const TIME_LENGTH: usize = 25;

/// Every scenario that ran, with what failed in it, and which scenarios the revision requires.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) required: BTreeSet<String>,
    failures: BTreeMap<String, Vec<String>>,
}

impl Results {
    pub(crate) fn read(folder: &Path, requirements: &Path) -> Result<Self> {
        let list =
            std::fs::read_to_string(requirements).with_context(|| requirements.display().to_string())?;
        let mut results = Self { required: required(&list), failures: BTreeMap::new() };
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(scenario) = scenario(&name) else { continue };
            let text = std::fs::read_to_string(path.join("checks.json")).with_context(|| name.clone())?;
            let checks: Value = serde_json::from_str(&text).with_context(|| name.clone())?;
            results.failures.insert(scenario.to_owned(), failures(&checks));
        }
        Ok(results)
    }

    #[cfg(test)]
    pub(crate) fn of(required: &[&str], ran: &[(&str, &[&str])]) -> Self {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            required: required.iter().map(|name| (*name).to_owned()).collect(),
            failures: ran.iter().map(|(name, failed)| ((*name).to_owned(), own(failed))).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    /// What failed in a scenario; `None` where it did not run.
    pub(crate) fn failed(&self, scenario: &str) -> Option<&[String]> {
        self.failures.get(scenario).map(Vec::as_slice)
    }

    /// Scenarios that are not required and failed.
    pub(crate) fn unscored_failures(&self) -> BTreeSet<String> {
        let unscored = self.failures.iter().filter(|(name, _)| !self.required.contains(*name));
        unscored.filter(|(_, failed)| !failed.is_empty()).map(|(name, _)| name.clone()).collect()
    }
}

fn scenario(folder: &str) -> Option<&str> {
    let name = folder.strip_prefix("server-")?;
    name.get(..name.len().checked_sub(TIME_LENGTH)?)
}

fn failures(checks: &Value) -> Vec<String> {
    let text =
        |check: &Value, key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = checks.as_array().into_iter().flatten();
    all.filter(|check| check.get("status").and_then(Value::as_str) == Some("FAILURE"))
        .map(|check| format!("{}: {}", text(check, "id"), text(check, "errorMessage")))
        .collect()
}

/// The list under `server:` in the suite's own requirements file.
fn required(yaml: &str) -> BTreeSet<String> {
    yaml.lines()
        .skip_while(|line| *line != "server:")
        .skip(1)
        .map_while(|line| match line.strip_prefix("  - ") {
            Some(name) => Some(Some(name.trim().to_owned())),
            None if line.trim().is_empty() || line.trim_start().starts_with('#') => Some(None),
            None => None,
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_its_scenario() {
        assert_eq!(scenario("server-server-stateless-2026-11-20T13-01-16-068Z"), Some("server-stateless"));
        assert_eq!(scenario("suite.log"), None);
        assert_eq!(scenario("server-x"), None);
    }

    #[test]
    fn only_the_servers_list_is_required() {
        let yaml = "# x\nserver:\n  - ping\n\n  # why\n  - tools-list\nclient:\n  - initialize\n";
        assert_eq!(required(yaml).into_iter().collect::<Vec<_>>(), ["ping", "tools-list"]);
    }

    #[test]
    fn only_failures_count_as_failures() {
        let checks = serde_json::json!([
            { "id": "a", "status": "SUCCESS" },
            { "id": "b", "status": "WARNING" },
            { "id": "c", "status": "FAILURE", "errorMessage": "no" },
        ]);
        assert_eq!(failures(&checks), ["c: no"]);
    }
}
