//! Words that stand in a schema and refuse nothing: an author who takes a limit away may leave its look.

use super::patterns::Trials;
use super::refs::describes;
use serde_json::{Map, Value};

/// Patterns of which every text has a match, their anchors and groups taken away.
const ALL: [&str; 12] = [
    "", ".*", ".*?", ".+", ".{0,}", ".{1,}", r"[\s\S]*", r"[\S\s]*", r"[\d\D]*", r"[\w\W]*", "[^]*",
    r"[\s\S]+",
];

/// Whether every text fits, or every one that has a character. Patterns are searched for and not held against all of a
/// text (JSON Schema 2020-12, validation 6.3.3), so one alternative that fits everything is enough. What is written in a
/// more roundabout way is found out by [trying](Trials).
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
pub(super) fn is_open(schema: &Value, trials: &Trials) -> bool {
    match schema {
        Value::Bool(open) => *open,
        Value::Object(members) => members.iter().all(|(key, value)| refuses_nothing(key, value, trials)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// Every type there is: an integer is a number.
const TYPES: [&str; 6] = ["array", "boolean", "null", "number", "object", "string"];

/// Whether a word of a schema is one that everything fits.
fn refuses_nothing(key: &str, value: &Value, trials: &Trials) -> bool {
    let is_open = |schema: &Value| is_open(schema, trials);
    let list = || value.as_array().map(Vec::as_slice).unwrap_or_default();
    match key {
        "type" => TYPES.iter().all(|one| list().iter().any(|listed| listed == one)),
        "pattern" => value.as_str().is_some_and(|pattern| trials.takes_all(pattern)),
        "minLength" | "minItems" | "minProperties" => value.as_f64().is_some_and(|least| least <= 0.0),
        "uniqueItems" => *value == Value::Bool(false),
        "items" | "additionalProperties" | "unevaluatedProperties" | "unevaluatedItems" => is_open(value),
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "properties" | "patternProperties" => value.as_object().is_some_and(|all| all.values().all(&is_open)),
        "anyOf" => list().iter().any(&is_open),
        "allOf" => value.is_array() && list().iter().all(&is_open),
        _ => describes(key),
    }
}

/// Whether members of any name and with any value are taken by their pattern.
pub(super) fn takes_all(patterns: &Map<String, Value>, trials: &Trials) -> bool {
    patterns.iter().any(|(pattern, schema)| is_open(schema, trials) && trials.takes_all(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_refuses_nothing_is_known_in_other_words() {
        for open in [
            r#"{}"#,
            r#"{"type":["string","number","integer","boolean","object","array","null"]}"#,
            r#"{"type":["null","boolean","object","array","number","string"],"description":"x"}"#,
            r#"{"minLength":0,"pattern":".*"}"#,
            r#"{"anyOf":[{"type":"string"},{}]}"#,
            r#"{"allOf":[{},{"properties":{"a":true}}]}"#,
        ] {
            assert!(is_open(&serde_json::from_str(open).unwrap(), &Trials::default()), "{open}");
        }
        for closed in [
            r#"{"type":["string","number","boolean","object","array"]}"#,
            r#"{"type":"string"}"#,
            r#"{"anyOf":[]}"#,
            r#"{"minLength":1}"#,
            r#"{"properties":{"a":{"type":"null"}}}"#,
            r#"{"oneOf":[{},{}]}"#,
        ] {
            assert!(!is_open(&serde_json::from_str(closed).unwrap(), &Trials::default()), "{closed}");
        }
    }

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
