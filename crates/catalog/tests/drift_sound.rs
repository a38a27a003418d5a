//! What is called compatible breaks no client, as a validator has it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test says no")]

use callgate_catalog::drift::{Item, Server, compare};
use decision::ItemKind;
use proptest::prelude::*;
use serde_json::{Value, json};

fn tool(member: &str, schema: &Value) -> Server {
    let tool = json!({ "name": "t", member: schema });
    Server { items: vec![Item::of(ItemKind::Tool, tool)], ..Server::default() }
}

fn compatible(member: &str, old: &Value, new: &Value) -> bool {
    compare(&[tool(member, old)], &[tool(member, new)]).compatible()
}

/// The same, of which values only list what the schema lists: that is what both sides send. An object inside that lists
/// nothing may be anything.
fn listed(schema: &Value) -> Value {
    let mut closed = inside(schema);
    if let Some(members) = closed.as_object_mut() {
        members.entry("additionalProperties").or_insert(json!(false));
    }
    closed
}

fn inside(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut members: serde_json::Map<String, Value> =
                members.iter().map(|(key, value)| (key.clone(), inside(value))).collect();
            let names =
                members.get("properties").and_then(Value::as_object).is_some_and(|names| !names.is_empty());
            if names {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            Value::Object(members)
        }
        Value::Array(elements) => Value::Array(elements.iter().map(inside).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

fn fits(schema: &Value, value: &Value) -> Option<bool> {
    let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(schema).ok()?;
    Some(validator.is_valid(value))
}

fn single() -> impl Strategy<Value = Value> {
    let types = ["string", "integer", "number", "null", "boolean", "object", "array"];
    let one = prop::sample::select(types.to_vec());
    prop_oneof![
        one.clone().prop_map(|name| json!({ "type": name })),
        prop::collection::btree_set(one, 1..4).prop_map(|names| json!({ "type": names })),
        prop::collection::vec(scalar(), 1..4).prop_map(|values| json!({ "enum": values })),
        scalar().prop_map(|value| json!({ "const": value })),
        (-2i32..3, prop::sample::select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]))
            .prop_map(|(n, key)| json!({ key: n })),
        (
            0u32..3,
            prop::sample::select(vec![
                "minLength",
                "maxLength",
                "minItems",
                "maxItems",
                "minProperties",
                "maxProperties"
            ])
        )
            .prop_map(|(n, key)| json!({ key: n })),
        prop::sample::select(vec!["a", "^a", "b$"]).prop_map(|pattern| json!({ "pattern": pattern })),
        any::<bool>().prop_map(|on| json!({ "uniqueItems": on })),
        (1u32..4).prop_map(|n| json!({ "multipleOf": n })),
        Just(json!({ "$ref": "#/$defs/d" })),
        Just(json!({ "$ref": "#/$defs/e" })),
        any::<bool>().prop_map(Value::Bool),
        Just(json!({})),
    ]
}

fn merged(parts: Vec<Value>) -> Value {
    let mut all = serde_json::Map::new();
    for part in parts {
        if let Value::Object(members) = part {
            all.extend(members);
        } else {
            return part;
        }
    }
    Value::Object(all)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn schema() -> impl Strategy<Value = Value> {
    single().prop_recursive(3, 24, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        let part = prop_oneof![
            3 => prop::collection::btree_map(name(), inner.clone(), 0..3).prop_map(|p| json!({ "properties": p })),
            2 => prop::collection::btree_set(name(), 0..3).prop_map(|names| json!({ "required": names })),
            2 => inner.clone().prop_map(|schema| json!({ "additionalProperties": schema })),
            1 => any::<bool>().prop_map(|on| json!({ "additionalProperties": on })),
            2 => inner.clone().prop_map(|schema| json!({ "items": schema })),
            2 => several().prop_map(|list| json!({ "anyOf": list })),
            1 => several().prop_map(|list| json!({ "allOf": list })),
            1 => several().prop_map(|list| json!({ "oneOf": list })),
            1 => inner.clone().prop_map(|schema| json!({ "not": schema })),
            1 => several().prop_map(|list| json!({ "prefixItems": list })),
            1 => (name(), inner.clone()).prop_map(|(key, schema)| json!({ "patternProperties": { key: schema } })),
            2 => single(),
        ];
        prop::collection::vec(part, 1..4).prop_map(merged)
    })
}

fn root() -> impl Strategy<Value = Value> {
    (schema(), schema(), single()).prop_map(|(mut root, d, e)| {
        // whether a call gives anything is said by an object
        if !root.is_object() {
            root = json!({});
        }
        if let Some(members) = root.as_object_mut() {
            // a reference among parts to itself has no end for a validator either
            let part = |schema: Value| if schema.to_string().contains("$ref") { json!({}) } else { schema };
            members.insert("$defs".to_owned(), json!({ "d": part(d), "e": part(e) }));
        }
        root
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2i32..4).prop_map(|n| json!(n)),
        prop::sample::select(vec!["", "a", "b", "ab"]).prop_map(|text| json!(text)),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        Just(json!(1.5)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(|m| json!(m)),
        ]
    })
}

/// Puts a schema in the place of a part of another, or takes the part out.
fn changed(value: &mut Value, path: &[usize], new: &Value, remove: bool) {
    let keys: Vec<String> = match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(elements) => (0..elements.len()).map(|i| i.to_string()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    let Some((at, rest)) = path.split_first().filter(|_| !keys.is_empty()) else {
        if let (Value::Object(members), Value::Object(more)) = (&mut *value, new) {
            members.extend(more.clone());
        } else {
            *value = new.clone();
        }
        return;
    };
    let key = keys.get(at % keys.len()).unwrap();
    match value {
        Value::Object(members) if remove && rest.len() < 2 => {
            members.shift_remove(key);
        }
        Value::Object(members) => changed(members.get_mut(key).unwrap(), rest, new, remove),
        Value::Array(elements) if remove && rest.len() < 2 && elements.len() > 1 => {
            elements.remove(key.parse::<usize>().unwrap());
        }
        Value::Array(elements) => {
            changed(elements.get_mut(key.parse::<usize>().unwrap()).unwrap(), rest, new, remove)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// In both directions: a client's arguments, and a server's results.
fn sound(old: &Value, new: &Value, values: &[Value]) -> Result<(), TestCaseError> {
    if fits(old, &Value::Null).is_none() || fits(new, &Value::Null).is_none() {
        return Ok(());
    }
    let pairs = [("inputSchema", old, new), ("outputSchema", new, old)];
    for (member, from, to) in pairs {
        if !compatible(member, old, new) {
            continue;
        }
        let sent = listed(from);
        for value in values {
            if fits(&sent, value) == Some(true) && fits(from, value) == Some(true) {
                prop_assert_eq!(fits(to, value), Some(true), "{} {} {} {}", member, old, new, value);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_compatible_change_refuses_nothing_that_was_valid(
        old in root(),
        new in schema(),
        path in prop::collection::vec(0usize..6, 0..7),
        remove in any::<bool>(),
        values in prop::collection::vec(value(), 40),
    ) {
        let mut after = old.clone();
        changed(&mut after, &path, &new, remove);
        prop_assume!(after.is_object());
        sound(&old, &after, &values)?;
        sound(&after, &old, &values)?;
    }

    #[test]
    fn nor_does_one_of_two_schemas_that_have_nothing_to_do_with_each_other(
        old in root(), new in root(), values in prop::collection::vec(value(), 40),
    ) {
        sound(&old, &new, &values)?;
    }
}
