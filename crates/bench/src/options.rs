//! `--name value` pairs.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut found = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").with_context(|| format!("`{word}` is not an option"))?;
            let value = words.next().with_context(|| format!("`--{name}` has no value"))?;
            found.insert(name.to_owned(), value);
        }
        Ok(Self(found))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of an option that may be left out.
    pub(crate) fn maybe<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.text(name)
            .map(|text| text.parse().ok().with_context(|| format!("`--{name} {text}` cannot be read")))
            .transpose()
    }

    pub(crate) fn need<T: FromStr>(&self, name: &str) -> Result<T> {
        self.maybe(name)?.with_context(|| format!("`--{name}` is needed"))
    }
}
