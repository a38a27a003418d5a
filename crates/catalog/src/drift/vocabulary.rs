//! What a definition speaks of: its words and addresses, to tell what in a new text is foreign to it.

use super::pattern_text;
use super::words::{hosts, site, stem, words};
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    stems: BTreeSet<String>,
    sites: BTreeSet<String>,
}

impl Vocabulary {
    /// The words of the old definition, and the names that the new one gives to things.
    pub(super) fn of(old: &Value, new: &Value) -> Self {
        let mut known = Self::default();
        known.everything(old);
        known.keys(new);
        known
    }

    pub(super) fn of_text(text: &str) -> Self {
        let mut known = Self::default();
        known.text(text);
        known
    }

    pub(super) fn knows(&self, stem: &str) -> bool {
        self.stems.contains(stem)
    }

    /// The hosts of a text that share no owner with one that was known.
    pub(super) fn new_hosts(&self, text: &str) -> Vec<String> {
        reached(text).into_iter().filter(|host| !self.sites.contains(site(host))).collect()
    }

    pub(super) fn text(&mut self, text: &str) {
        self.stems.extend(words(text).iter().filter_map(|word| stem(&word.text)).map(str::to_owned));
        self.sites.extend(reached(text).iter().map(|host| site(host).to_owned()));
    }

    fn everything(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(elements) => elements.iter().for_each(|element| self.everything(element)),
            Value::Object(members) => {
                for (key, value) in members {
                    self.text(key);
                    self.everything(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn keys(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| self.keys(element)),
            Value::Object(members) => {
                for (key, value) in members {
                    // a sentence is no name
                    if key.len() <= 64 {
                        self.text(key);
                    }
                    self.keys(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The hosts of a text, or of a pattern.
fn reached(text: &str) -> BTreeSet<String> {
    let mut all = hosts(text);
    if text.contains('\\') && text.len() <= PATTERN_MAX {
        all.extend(hosts(&pattern_text::as_text(text)));
    }
    all
}

/// So long a text is no pattern of addresses.
const PATTERN_MAX: usize = 4_000;
