//! What a schema says of single values: types, choices, bounds, patterns, defaults.

use super::alike::Among;
use super::fields::{at, strings, told};
use super::guards::{self, Turn};
use super::refs::describes;
use super::scales::Tops;
use super::schema::{Shift, Walk};
use super::stakes::Stakes;
use super::{Kind, patterns};
use crate::Category;
use crate::risk::{self, Level, Siblings, Tool};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

type Members = Map<String, Value>;

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The types a schema allows: those it names, or those of the values it lists. `None` if that cannot be told.
fn allowed(schema: &Members) -> Option<BTreeSet<&str>> {
    let mut types: BTreeSet<&str> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.as_str()]),
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect::<Option<_>>()?,
        Some(_) => return None,
        None => match listed(schema) {
            Some(values) => values.iter().map(|value| of(value)).collect(),
            None => BTreeSet::from(TYPES),
        },
    };
    if types.contains("number") {
        types.insert("integer");
    }
    Some(types)
}

/// Of an alternative that speaks of single values and lists none: the types it takes, in one text.
pub(super) fn single(schema: &Value) -> Option<String> {
    let members = schema.as_object()?;
    let types = allowed(members)?;
    let nested = types.contains("object") || types.contains("array");
    (!nested).then(|| types.into_iter().collect::<Vec<_>>().join(" "))
}

/// Whether one says nothing that the other does not, and lists no values: some limit may be gone.
pub(super) fn loosens(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return false };
    listed(after).is_none()
        && after.keys().all(|key| key == "type" || describes(key) || before.contains_key(key))
}

fn of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values a schema lists, by `enum` or `const`.
fn listed(schema: &Members) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(one), _) => Some(vec![one]),
        (None, Some(several)) => Some(several.iter().collect()),
        (None, None) => None,
    }
}

pub(super) fn types(walk: &mut Walk<'_, '_>, place: &str, a: &Members, b: &Members) {
    let (old, new) = (a.get("type"), b.get("type"));
    if old == new {
        return;
    }
    let because = format!("the type was {} and is {}", told(old), told(new));
    let (kind, shift, weight) = match (allowed(a), allowed(b)) {
        (Some(before), Some(after)) if before == after => (Kind::SchemaRewritten, Shift::Same, 0.01),
        (Some(before), Some(after)) if before.is_subset(&after) => {
            // whoever takes anything takes what nobody thought of
            let all = TYPES.iter().all(|one| after.contains(one));
            (Kind::TypeWidened, Shift::Wider, if all { 0.2 } else { 0.06 })
        }
        (Some(before), Some(after)) if after.is_subset(&before) => {
            (Kind::TypeNarrowed, Shift::Narrower, 0.04)
        }
        _ => (Kind::TypeChanged, Shift::Other, 0.1),
    };
    let here = at(place, "type");
    // that it may be null means that it may be left out
    let more =
        |a: &Members, b: &Members| Some(allowed(b)?.difference(&allowed(a)?).any(|one| *one != "null"));
    if kind == Kind::TypeWidened && more(a, b) == Some(false) {
        return walk.left_out(&here, kind, weight, because);
    }
    walk.shifted(&here, kind, shift, weight, because);
}

/// `enum` and `const`, which may stand for one another.
pub(super) fn choices(walk: &mut Walk<'_, '_>, place: &str, a: &Members, b: &Members) {
    if a.get("enum") == b.get("enum") && a.get("const") == b.get("const") {
        return;
    }
    let key = if b.contains_key("const") || (a.contains_key("const") && !b.contains_key("enum")) {
        "const"
    } else {
        "enum"
    };
    let here = at(place, key);
    let new = b.get(key);
    let (before, after) = match (listed(a), listed(b)) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => {
            let because = format!("only {} is taken", told(new));
            walk.shifted(&here, Kind::EnumImposed, Shift::Narrower, 0.05, because);
            return strings(walk.site, &here, None, new);
        }
        (Some(_), None) => {
            let because = "any value where few were allowed".to_owned();
            return walk.shifted(&here, Kind::EnumLifted, Shift::Wider, 0.45, because);
        }
        (None, None) => {
            let because = format!("it was {} and is {}", told(a.get(key)), told(new));
            return walk.shifted(&here, Kind::SchemaUnclear, Shift::Other, 0.1, because);
        }
    };
    if a.contains_key("const") && b.contains_key("const") {
        let because = format!("it was {} and is {}", told(a.get("const")), told(b.get("const")));
        walk.shifted(&here, Kind::ConstChanged, Shift::Other, 0.15, because);
        return strings(walk.site, &here, a.get("const"), new);
    }
    let (known, now) = (Among::of(before.iter().copied()), Among::of(after.iter().copied()));
    let came: Vec<&&Value> = after.iter().filter(|value| !known.has(value)).collect();
    let went: Vec<&&Value> = before.iter().filter(|value| !now.has(value)).collect();
    if !came.is_empty() {
        let because = format!("{} is taken too", list(&came));
        let weight = gained(walk, &before, &came);
        walk.shifted(&here, Kind::EnumWidened, Shift::Wider, weight, because);
        strings(walk.site, &here, a.get("enum").or_else(|| a.get("const")), new);
    }
    if !went.is_empty() {
        let because = format!("{} is no longer taken", list(&went));
        walk.shifted(&here, Kind::EnumNarrowed, Shift::Narrower, 0.05, because);
    }
    if came.is_empty() && went.is_empty() {
        walk.shifted(
            &here,
            Kind::SchemaRewritten,
            Shift::Same,
            0.01,
            "the same values in another form".to_owned(),
        );
    }
}

/// How much it weighs what more can be chosen.
fn gained(walk: &mut Walk<'_, '_>, before: &[&Value], came: &[&&Value]) -> f64 {
    const LITTLE: f64 = 0.08;
    if !walk.takes() {
        return LITTLE;
    }
    let stakes = walk.site.stakes;
    let reading = if guards::is_deed(&walk.name) { Reading::Named } else { Reading::State };
    if reading == Reading::State && stakes == Stakes::Looks {
        return LITTLE;
    }
    let was = || before.iter().filter_map(|value| value.as_str());
    let mut now = came.iter().filter_map(|value| value.as_str());
    // what nobody looked at may be anything
    let Some(left) = walk.site.judgements.checked_sub(before.len() + came.len()) else { return 0.3 };
    walk.site.judgements = left;
    let tops = Tops::of(was());
    let known = || was().any(|text| deed(text, reading));
    let more = |text: &str| stakes > Stakes::Looks && tops.are_below(text);
    match now.any(|text| more(text) || (deed(text, reading) && !known())) {
        true => stakes.lifted(),
        false => LITTLE,
    }
}

/// How a value is read that may be a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As what is done.
    Named,
    /// As what becomes of something: `deleted`.
    State,
}

/// Whether a tool of that name would be critical, or run something.
pub(super) fn deed(text: &str, reading: Reading) -> bool {
    if text.len() > 60 {
        return false;
    }
    let judge = |name: &str| {
        let judged = risk::judge(&Tool { name, ..Tool::default() }, &Siblings::default());
        judged.level == Level::Critical || judged.categories.contains(&Category::Execution)
    };
    let verb = || {
        text.strip_suffix('d').is_some_and(|verb| judge(verb) || verb.strip_suffix('e').is_some_and(judge))
    };
    judge(text) || (reading == Reading::State && verb())
}

fn list(values: &[&&Value]) -> String {
    let mut shown: Vec<String> = values.iter().take(4).map(|value| told(Some(value))).collect();
    if values.len() > shown.len() {
        shown.push(format!("{} more", values.len() - shown.len()));
    }
    shown.join(", ")
}

pub(super) fn required(walk: &mut Walk<'_, '_>, place: &str, (a, b): (&Members, &Members)) {
    let (old, new) = (a.get("required"), b.get("required"));
    fn names(value: Option<&Value>) -> BTreeSet<&str> {
        value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
    let (before, after) = (names(old), names(new));
    for name in after.difference(&before) {
        let because = format!("`{name}` has to be given now");
        walk.shifted(place, Kind::RequiredAdded, Shift::Narrower, 0.08, because);
    }
    for name in before.difference(&after) {
        let because = format!("`{name}` may be left out");
        let stakes = walk.site.stakes;
        match guards::turn(name) {
            // under another name it is asked for still, or told of as gone
            _ if walk.renamed.contains(*name) || !walk.takes() => {
                walk.left_out(place, Kind::RequiredRemoved, 0.06, because);
            }
            Some(Turn::Guards) => {
                walk.shifted(place, Kind::RequiredRemoved, Shift::Wider, stakes.lifted(), because);
            }
            _ => {
                let weight = if guards::bounds(name) { stakes.doubtful(0.06) } else { 0.06 };
                walk.shifted(place, Kind::RequiredRemoved, Shift::Wider, weight, because);
            }
        }
    }
    if before == after {
        let odd = |value: Option<&Value>| !value.is_none_or(Value::is_array);
        let shift = if odd(old) || odd(new) { Shift::Other } else { Shift::Same };
        walk.shifted(place, Kind::SchemaRewritten, shift, 0.01, "the same in another form".to_owned());
    }
}

/// Words whose value is a limit, a pattern or a format. False for any other word.
pub(super) fn bound(
    walk: &mut Walk<'_, '_>,
    place: &str,
    key: &str,
    old: Option<&Value>,
    new: Option<&Value>,
) -> bool {
    let because = format!("`{key}` was {} and is {}", told(old), told(new));
    match key {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            limit(walk, place, old, new, 1.0, because);
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            limit(walk, place, old, new, -1.0, because);
        }
        "uniqueItems" => {
            let on = |value: Option<&Value>| value == Some(&Value::Bool(true));
            let (kind, shift) = match (on(old), on(new)) {
                (false, true) => (Kind::BoundTightened, Shift::Narrower),
                (true, false) => (Kind::BoundLoosened, Shift::Wider),
                (true, true) | (false, false) => (Kind::SchemaRewritten, Shift::Same),
            };
            walk.shifted(place, kind, shift, 0.04, because);
        }
        "multipleOf" | "minContains" | "maxContains" => {
            let (kind, shift) =
                one_or_other(old, new, Kind::BoundTightened, Kind::BoundLoosened, Kind::SchemaUnclear);
            let shift = if key == "multipleOf" { shift } else { Shift::Other };
            walk.shifted(place, kind, shift, 0.06, because);
        }
        "pattern" => patterns::changed(walk, place, old, new),
        "format" | "contentEncoding" | "contentMediaType" | "contentSchema" => {
            let (kind, shift) =
                one_or_other(old, new, Kind::FormatImposed, Kind::FormatLifted, Kind::FormatChanged);
            walk.shifted(place, kind, shift, 0.04, because);
            strings(walk.site, place, old, new);
        }
        _ => return false,
    }
    true
}

fn one_or_other(
    old: Option<&Value>,
    new: Option<&Value>,
    imposed: Kind,
    lifted: Kind,
    changed: Kind,
) -> (Kind, Shift) {
    match (old, new) {
        (None, Some(_)) => (imposed, Shift::Narrower),
        (Some(_), None) => (lifted, Shift::Wider),
        (Some(_), Some(_)) | (None, None) => (changed, Shift::Other),
    }
}

/// A limit that is tighter the larger `sign` times it is.
fn limit(
    walk: &mut Walk<'_, '_>,
    place: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    sign: f64,
    because: String,
) {
    let number = |value: &Value| value.as_f64().map(|number| number * sign);
    let (kind, shift) = match (old, new) {
        (Some(old), Some(new)) => match (number(old), number(new)) {
            (Some(a), Some(b)) if b > a => (Kind::BoundTightened, Shift::Narrower),
            (Some(a), Some(b)) if b < a => (Kind::BoundLoosened, Shift::Wider),
            // what differs beyond a double is told of the whole definition
            (Some(a), Some(b)) if a == b => (Kind::NumberRewritten, Shift::Same),
            _ => (Kind::SchemaUnclear, Shift::Other),
        },
        (None, Some(_)) => (Kind::BoundTightened, Shift::Narrower),
        (Some(_), None) | (None, None) => (Kind::BoundLoosened, Shift::Wider),
    };
    let stakes = walk.site.stakes;
    let weight = match sign < 0.0 {
        _ if kind != Kind::BoundLoosened => 0.04,
        true if guards::is_sum(&walk.name) && stakes > Stakes::Looks => stakes.lifted(),
        false if guards::bounds(&walk.name) => stakes.doubtful(0.1),
        true | false => 0.1,
    };
    walk.shifted(place, kind, shift, weight, because);
}
