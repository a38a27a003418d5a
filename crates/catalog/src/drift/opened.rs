//! Words that stand in a schema and refuse nothing: an author who takes a limit away may leave its look.

use super::refs::describes;
use serde_json::{Map, Value};

/// Patterns of which every text has a match, their anchors and groups taken away.
const ALL: [&str; 12] = [
    "", ".*", ".*?", ".+", ".{0,}", ".{1,}", r"[\s\S]*", r"[\S\s]*", r"[\d\D]*", r"[\w\W]*", "[^]*",
    r"[\s\S]+",
];

/// Whether every text fits, or every one that has a character. Patterns are searched for and not held against all of a
/// text (JSON Schema 2020-12, validation 6.3.3), so one alternative that fits everything is enough. What is written in a
/// more roundabout way is not known.
pub(super) fn fits_all(pattern: &str) -> bool {
    let bare = ungrouped(pattern.trim_start_matches("(?s)"));
    // only what is empty is between two anchors with nothing between them
    let alone = |one: &str| one.starts_with('^') && one.ends_with('$') && ungrouped(one).is_empty();
    pattern != "^$" && bare.split('|').any(|one| !alone(one) && ALL.contains(&ungrouped(one)))
}

/// Without anchors and groups around all of it.
fn ungrouped(pattern: &str) -> &str {
    let mut rest = pattern;
    loop {
        let short = rest.trim_start_matches('^');
        // an escaped dollar is a character
        let short = short.strip_suffix('$').filter(|one| !one.ends_with('\\')).unwrap_or(short);
        let inner = short
            .strip_prefix("(?:")
            .or_else(|| short.strip_prefix('('))
            .and_then(|one| one.strip_suffix(')'))
            .filter(|one| !one.contains(['(', ')', '\\']));
        let shorter = inner.unwrap_or(short);
        if shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

/// Whether a schema refuses nothing.
pub(super) fn is_open(schema: &Value) -> bool {
    match schema {
        Value::Bool(open) => *open,
        Value::Object(members) => members.keys().all(|key| describes(key)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// Whether members of any name and with any value are taken by their pattern.
pub(super) fn takes_all(patterns: &Map<String, Value>) -> bool {
    patterns.iter().any(|(pattern, schema)| fits_all(pattern) && is_open(schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_everything_is_known_however_it_is_anchored() {
        for all in [
            "",
            "^",
            "^$|",
            ".*",
            "^.*$",
            "^(.*)$",
            "(?:.*)",
            r"^[\s\S]*$",
            "^a$|.*",
            "(?s)^.*$",
            "^(a|.*)$",
            ".+",
        ] {
            assert!(fits_all(all), "{all}");
        }
        for some in ["^a$", "^[a-z]*$", r"^\d+$", "^.{3}$", r"\$", "a", "^$", "^a|b$", r"(\.*)", "^.{0,9}$"] {
            assert!(!fits_all(some), "{some}");
        }
    }
}
