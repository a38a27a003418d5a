//! References inside one schema, and alternatives however they are written.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Hops from one reference to the next.
const HOPS_MAX: usize = 16;

/// Words that only describe: they refuse nothing.
pub(super) fn describes(key: &str) -> bool {
    matches!(
        key,
        "title"
            | "description"
            | "default"
            | "examples"
            | "example"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "$comment"
    )
}

/// The schema with its own reference resolved. `None` when that leads outside, nowhere, in a circle, or when both it and its
/// target restrict the same word.
pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<Cow<'a, Value>> {
    let mut here = Cow::Borrowed(schema);
    for _ in 0..HOPS_MAX {
        let Some(reference) = here.get("$ref") else { return Some(here) };
        let target = root.pointer(reference.as_str()?.strip_prefix('#')?)?;
        let (own, theirs) = (here.as_object()?, target.as_object()?);
        let mut both: Map<String, Value> = theirs.clone();
        for (key, value) in own.iter().filter(|(key, _)| *key != "$ref") {
            if both.contains_key(key) && !describes(key) && both.get(key) != Some(value) {
                return None;
            }
            both.insert(key.clone(), value.clone());
        }
        here = Cow::Owned(Value::Object(both));
    }
    None
}

/// The schemas of which a value must fit one: those of `anyOf`, those of a list of types, or the schema itself. Descriptions
/// around them are left out.
pub(super) fn branches(schema: &Value) -> Vec<Value> {
    let Some(members) = schema.as_object() else { return vec![schema.clone()] };
    let bare: Map<String, Value> = members
        .iter()
        .filter(|(key, _)| !describes(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let alone = bare.len() == 1;
    if let (true, Some(Value::Array(alternatives))) = (alone, bare.get("anyOf")) {
        return alternatives.iter().flat_map(branches).collect();
    }
    if let (true, Some(Value::Array(types))) = (alone, bare.get("type")) {
        return types.iter().map(|one| serde_json::json!({ "type": one })).collect();
    }
    vec![Value::Object(bare)]
}

/// The schema without what only describes, all the way down.
pub(super) fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(key, _)| !describes(key))
                .map(|(key, value)| {
                    // below `properties` a key is a name, whatever it is
                    let named =
                        matches!(key.as_str(), "properties" | "$defs" | "definitions" | "patternProperties");
                    let inner = match value.as_object().filter(|_| named) {
                        Some(named) => Value::Object(
                            named.iter().map(|(name, schema)| (name.clone(), bare(schema))).collect(),
                        ),
                        None if matches!(key.as_str(), "enum" | "const") => value.clone(),
                        None => bare(value),
                    };
                    (key.clone(), inner)
                })
                .collect(),
        ),
        Value::Array(elements) => Value::Array(elements.iter().map(bare).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// Whether a part of the schema that is referred to may stand where fitting more means refusing more, or exactly one.
pub(super) fn bends(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| {
            let bent = matches!(
                key.as_str(),
                "not" | "if" | "oneOf" | "contains" | "dependentSchemas" | "patternProperties"
            );
            (bent && refers(value)) || bends(value)
        }),
        Value::Array(elements) => elements.iter().any(bends),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$ref") || members.values().any(refers),
        Value::Array(elements) => elements.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The places in one schema that it refers to itself.
#[derive(Debug)]
pub(super) struct Referred(BTreeSet<String>);

impl Referred {
    pub(super) fn of(root: &Value) -> Self {
        let mut all = BTreeSet::new();
        collect(root, &mut all);
        Self(all)
    }

    /// Whether something refers to what stood at a place in it, or below. The place begins with the member of the tool that
    /// the schema is.
    pub(super) fn below(&self, place: &str) -> bool {
        let here = place.get(1..).and_then(|rest| place.get(rest.find('/')? + 1..));
        here.is_some_and(|here| {
            let under = format!("{here}/");
            let from = (Bound::Included(under.as_str()), Bound::Unbounded);
            let next = self.0.range::<str, _>(from).next();
            self.0.contains(here) || next.is_some_and(|next| next.starts_with(&under))
        })
    }
}

fn collect(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let reference = value.as_str().filter(|_| key == "$ref");
                all.extend(reference.and_then(|text| text.strip_prefix('#')).map(str::to_owned));
                collect(value, all);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
