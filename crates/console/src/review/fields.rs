//! Two definitions beside each other, field by field.

use super::words;
use decision::canonical;
use serde_json::Value;
use std::collections::BTreeSet;

/// Characters that are kept of what is the same, beside what is not.
const CONTEXT_CHARS: usize = 120;
/// Fewer are not left out.
const SKIPPED_MIN: usize = 40;
/// Deeper, a value is shown as a whole.
const DEPTH_MAX: usize = 32;

/// A place where two definitions differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A JSON pointer; empty where it is all of it.
    pub place: String,
    /// Nothing where the field was not there.
    pub before: Vec<Part>,
    pub after: Vec<Part>,
}

/// A stretch of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Same(String),
    /// Only this side has it.
    Other(String),
    /// So many characters that both sides have.
    Skipped(usize),
}

impl Field {
    /// Everything that is to be shown.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.before.iter().chain(&self.after).filter_map(|part| match part {
            Part::Same(text) | Part::Other(text) => Some(text.as_str()),
            Part::Skipped(_) => None,
        })
    }
}

/// What was found so far, and how much may still be compared.
struct Found {
    fields: Vec<Field>,
    left: usize,
}

/// Where two definitions differ; all of it, where one of them is not there.
pub(super) fn between(before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<Field> {
    let read = |raw: Option<&[u8]>| raw.and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
    let raw = |raw: Option<&[u8]>| raw.map(|raw| String::from_utf8_lossy(raw).into_owned());
    let (was, is) = (read(before), read(after));
    let mut found = Found { fields: Vec::new(), left: words::STEPS_MAX };
    if was.is_some() == before.is_some() && is.is_some() == after.is_some() {
        walk("", was.as_ref(), is.as_ref(), 0, &mut found);
    }
    let is_folded = |(was, is)| canonical::long_numbers(was) != canonical::long_numbers(is);
    // numbers that are written otherwise, or equal as values and not as texts, or something that is no JSON
    if (found.fields.is_empty() && before != after) || before.zip(after).is_some_and(is_folded) {
        put(String::new(), raw(before), raw(after), &mut found);
    }
    found.fields
}

fn walk(place: &str, before: Option<&Value>, after: Option<&Value>, depth: usize, found: &mut Found) {
    if before == after {
        return;
    }
    let nothing = serde_json::Map::new();
    let inside = match (before, after) {
        _ if depth > DEPTH_MAX => None,
        (Some(Value::Object(was)), Some(Value::Object(is))) => Some((was, is)),
        // all of what came or went, a member a row; what is inside of those stays together
        (None, Some(Value::Object(is))) if depth == 0 => Some((&nothing, is)),
        (Some(Value::Object(was)), None) if depth == 0 => Some((was, &nothing)),
        (_, _) => None,
    };
    if let Some((was, is)) = inside {
        let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for key in keys {
            let place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
            walk(&place, was.get(key), is.get(key), depth + 1, found);
        }
        return;
    }
    match (before, after) {
        (Some(Value::Array(was)), Some(Value::Array(is)))
            if was.len() == is.len() && was.iter().chain(is).all(Value::is_object) && depth <= DEPTH_MAX =>
        {
            for (at, (was, is)) in was.iter().zip(is).enumerate() {
                walk(&format!("{place}/{at}"), Some(was), Some(is), depth + 1, found);
            }
        }
        // a text and a number that read alike
        (Some(was), Some(is)) if text(was) == text(is) => {
            put(place.to_owned(), Some(was.to_string()), Some(is.to_string()), found);
        }
        (was, is) => put(place.to_owned(), was.map(text), is.map(text), found),
    }
}

/// A text as it is, everything else as JSON.
fn text(value: &Value) -> String {
    let pretty = || serde_json::to_string_pretty(value).unwrap_or_default();
    value.as_str().map_or_else(pretty, str::to_owned)
}

fn put(place: String, before: Option<String>, after: Option<String>, found: &mut Found) {
    let (before, after) = match (before, after) {
        (Some(was), Some(is)) => marked(&was, &is, &mut found.left),
        (was, is) => {
            let whole = |text: Option<String>| text.into_iter().map(Part::Other).collect();
            (whole(was), whole(is))
        }
    };
    found.fields.push(Field { place, before, after });
}

/// Both sides, with what only one of them has set apart, in whole words.
fn marked(before: &str, after: &str, left: &mut usize) -> (Vec<Part>, Vec<Part>) {
    let all = words::compared(before, after, left);
    let (mut was_parts, mut is_parts) = (Vec::new(), Vec::new());
    let last = all.len().saturating_sub(1);
    for (index, one) in all.iter().enumerate() {
        let was = before.get(one.before.clone()).unwrap_or_default();
        let is = after.get(one.after.clone()).unwrap_or_default();
        if one.same {
            // what is far from every change is left out
            let parts = near(was, index > 0, index < last);
            was_parts.extend(parts.clone());
            is_parts.extend(parts);
        } else {
            was_parts.push(Part::Other(was.to_owned()));
            is_parts.push(Part::Other(is.to_owned()));
        }
    }
    for side in [&mut was_parts, &mut is_parts] {
        side.retain(|part| !matches!(part, Part::Same(text) | Part::Other(text) if text.is_empty()));
    }
    (was_parts, is_parts)
}

/// Of what both sides have, the part beside what they do not: behind a change, and in front of one.
fn near(text: &str, behind: bool, in_front: bool) -> Vec<Part> {
    let chars: Vec<char> = text.chars().collect();
    let begin = if behind { CONTEXT_CHARS.min(chars.len()) } else { 0 };
    let end = chars.len().saturating_sub(if in_front { CONTEXT_CHARS } else { 0 });
    let part = |from: usize, to: usize| chars.get(from..to).unwrap_or_default().iter().collect::<String>();
    // a word about what is left out takes more room than a few characters
    if end.saturating_sub(begin) < SKIPPED_MIN {
        return vec![Part::Same(text.to_owned())];
    }
    vec![Part::Same(part(0, begin)), Part::Skipped(end - begin), Part::Same(part(end, chars.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(before: &Value, after: &Value) -> Vec<Field> {
        between(Some(before.to_string().as_bytes()), Some(after.to_string().as_bytes()))
    }
    fn places(fields: &[Field]) -> Vec<&str> {
        fields.iter().map(|field| field.place.as_str()).collect()
    }
    fn other(parts: &[Part]) -> Vec<&str> {
        parts
            .iter()
            .filter_map(|part| if let Part::Other(text) = part { Some(text.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn a_number_that_only_its_last_digits_tell_apart_is_shown_beside_what_else_differs() {
        let of = |text: &str, number: &str| {
            format!(r#"{{"description":"{text}","inputSchema":{{"default":{number}}}}}"#)
        };
        let (was, is) = (of("pays", "123456789012345678901"), of("refunds", "123456789012345678909"));
        let fields = between(Some(was.as_bytes()), Some(is.as_bytes()));
        let shown: Vec<&str> = fields.iter().flat_map(Field::texts).collect();
        let shown = shown.concat();
        assert!(
            shown.contains("123456789012345678901") && shown.contains("123456789012345678909"),
            "{shown}"
        );
        // and what reads alike is told apart
        let fields = super::between(Some(br#"{"a":"true"}"#), Some(br#"{"a":true}"#));
        assert_eq!((other(&fields[0].before), other(&fields[0].after)), (vec!["\"true\""], vec!["true"]));
    }

    #[test]
    fn only_what_differs_is_shown_where_it_is() {
        let was = json!({"name": "a", "description": "Sends a mail to one person.",
            "inputSchema": {"properties": {"to": {"type": "string"}, "a/b": {"type": "string"}}, "required": ["to"]}});
        let is = json!({"name": "a", "description": "Sends a mail to everybody, one person.",
            "inputSchema": {"properties": {"to": {"type": "string"}, "a/b": {"type": "number"}, "cc": {"type": "string"}},
            "required": ["to", "cc"]}});
        let fields = of(&was, &is);
        assert_eq!(
            places(&fields),
            [
                "/description",
                "/inputSchema/properties/a~1b/type",
                "/inputSchema/properties/cc",
                "/inputSchema/required"
            ]
        );
        assert_eq!((other(&fields[0].before), other(&fields[0].after)), (vec![], vec!["everybody, "]));
        assert_eq!((other(&fields[1].before), other(&fields[1].after)), (vec!["string"], vec!["number"]));
        assert!(fields[2].before.is_empty());
    }

    #[test]
    fn what_came_or_went_is_shown_member_by_member_and_what_cannot_be_read_as_it_is() {
        let tool = json!({"name": "a", "description": "b", "inputSchema": {"type": "object"}}).to_string();
        let fields = between(None, Some(tool.as_bytes()));
        assert_eq!(places(&fields), ["/description", "/inputSchema", "/name"]);
        assert!(fields.iter().all(|field| field.before.is_empty() && !field.after.is_empty()));
        assert_eq!(places(&between(Some(tool.as_bytes()), None)), places(&fields));
        let numbers = between(Some(b"{\"a\":1.0}"), Some(b"{\"a\":1.00}"));
        assert_eq!(other(&numbers[0].after), ["1.00"]);
        assert_eq!(places(&between(Some(b"\xff"), Some(b"{}"))), [""]);
        assert!(between(Some(tool.as_bytes()), Some(tool.as_bytes())).is_empty());
        assert_eq!(
            other(&between(Some(b"\"old\""), Some(b"\"new\""))[0].after),
            ["new"],
            "instructions are a text"
        );
    }

    proptest! {
        // what is skipped or called the same is on both sides, letter by letter
        #[test]
        fn nothing_that_differs_is_left_out(head in "[a-c .]{0,300}", a in "[a-c .\u{202e}]{0,40}", b in "[a-c .]{0,40}", tail in "[a-c .]{0,300}") {
            let (before, after) = (format!("{head}{a}{tail}"), format!("{head}{b}{tail}"));
            let (left, right) = marked(&before, &after, &mut { words::STEPS_MAX });
            for (parts, whole) in [(&left, &before), (&right, &after)] {
                let count = parts.iter().map(|part| match part {
                    Part::Same(text) | Part::Other(text) => text.chars().count(),
                    Part::Skipped(count) => *count,
                });
                prop_assert_eq!(count.sum::<usize>(), whole.chars().count());
            }
            let same = |parts: &[Part]| -> Vec<Part> {
                parts.iter().filter(|part| !matches!(part, Part::Other(_))).cloned().collect()
            };
            prop_assert_eq!(same(&left), same(&right));
        }
    }
}
