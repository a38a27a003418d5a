//! JSON Schema into Cedar types: what a rule may know of an argument.
//!
//! Only what has one Cedar type is declared. Everything else is kept with the reason why not, so that a rule that
//! names it fails when it is loaded and says why. A schema node's keywords are a conjunction, so a `type` decides
//! whatever stands beside it; without one, `enum`, `const`, `$ref` and branches that all agree do.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Deepest nesting of objects, lists and references that is followed.
const DEPTH_MAX: usize = 12;
/// Most properties of one tool that get a type; a schema that refers to itself in breadth ends here.
const NODES_MAX: usize = 4096;

/// The Cedar type of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Long,
    Decimal,
    Bool,
    Set(Box<Type>),
    Record(BTreeMap<String, Field>),
    /// No rule can name it, for this reason.
    Absent(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) of: Type,
    pub(crate) required: bool,
}

impl Type {
    /// The arguments of a tool. A schema that is not one of an object with properties has no nameable arguments.
    pub(crate) fn of_input_schema(schema: &Value) -> Self {
        let mut reader = Reader { root: schema, nodes: 0 };
        match reader.read(schema, 0) {
            record @ Self::Record(_) => record,
            Self::Text | Self::Long | Self::Decimal | Self::Bool | Self::Set(_) | Self::Absent(_) => {
                Self::empty()
            }
        }
    }

    /// A record of texts: the arguments of a prompt, and of the other methods.
    pub(crate) fn texts<'a>(fields: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let field = |(name, required): (&str, bool)| (name.to_owned(), Field { of: Self::Text, required });
        Self::Record(fields.into_iter().map(field).collect())
    }

    pub(crate) fn empty() -> Self {
        Self::Record(BTreeMap::new())
    }

    /// As Cedar's JSON schema format has it. `None` for what is not declared.
    pub(crate) fn cedar(&self) -> Option<Value> {
        Some(match self {
            Self::Text => json!({"type": "String"}),
            Self::Long => json!({"type": "Long"}),
            Self::Bool => json!({"type": "Boolean"}),
            Self::Decimal => json!({"type": "Extension", "name": "decimal"}),
            Self::Set(element) => json!({"type": "Set", "element": element.cedar()?}),
            Self::Record(fields) => {
                let mut attributes = Map::new();
                for (name, field) in fields {
                    if let Some(mut of) = field.of.cedar() {
                        if let Some(of) = of.as_object_mut() {
                            of.insert("required".to_owned(), field.required.into());
                        }
                        attributes.insert(name.clone(), of);
                    }
                }
                json!({"type": "Record", "attributes": attributes})
            }
            Self::Absent(_) => return None,
        })
    }

    /// What a path leads to.
    pub(crate) fn at(&self, path: &[String]) -> Found {
        let Some((first, rest)) = path.split_first() else {
            return match self {
                Self::Absent(why) => Found::Absent(why),
                Self::Text | Self::Long | Self::Decimal | Self::Bool | Self::Set(_) | Self::Record(_) => {
                    Found::Typed
                }
            };
        };
        match self {
            Self::Record(fields) => match fields.get(first) {
                Some(field) => field.of.at(rest),
                None => Found::Missing,
            },
            Self::Absent(why) => Found::Absent(why),
            Self::Text | Self::Long | Self::Decimal | Self::Bool | Self::Set(_) => Found::Inside,
        }
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Found {
    Typed,
    /// It exists, and no rule can name it.
    Absent(&'static str),
    /// There is no such argument.
    Missing,
    /// It goes on inside something that has no parts; the validator says so.
    Inside,
}

struct Reader<'a> {
    root: &'a Value,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self, schema: &'a Value, depth: usize) -> Type {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Type::Absent("its schema nests too deeply or refers to itself");
        }
        let Value::Object(keywords) = schema else {
            return Type::Absent("its schema says nothing about its type");
        };
        match keywords.get("type") {
            Some(Value::String(name)) => self.typed(name, keywords, depth),
            Some(Value::Array(names)) => match names.as_slice() {
                [Value::String(name)] => self.typed(name, keywords, depth),
                names if names.iter().any(|name| name == "null") => Type::Absent("it may be null"),
                _ => Type::Absent("it may have more than one type"),
            },
            Some(_) => Type::Absent("its schema says nothing about its type"),
            None => self.untyped(keywords, depth),
        }
    }

    fn typed(&mut self, name: &str, keywords: &'a Map<String, Value>, depth: usize) -> Type {
        match name {
            "string" => Type::Text,
            "integer" => Type::Long,
            "number" => Type::Decimal,
            "boolean" => Type::Bool,
            "null" => Type::Absent("it may be null"),
            "array" => self.list(keywords, depth),
            "object" => self.record(keywords, depth),
            _ => Type::Absent("its schema names an unknown type"),
        }
    }

    fn list(&mut self, keywords: &'a Map<String, Value>, depth: usize) -> Type {
        if keywords.contains_key("prefixItems") {
            return Type::Absent("its elements may have more than one type");
        }
        match keywords.get("items") {
            Some(items) => match self.read(items, depth + 1) {
                Type::Absent(_) => Type::Absent("its elements have no type a rule can name"),
                of @ (Type::Text
                | Type::Long
                | Type::Decimal
                | Type::Bool
                | Type::Set(_)
                | Type::Record(_)) => Type::Set(Box::new(of)),
            },
            None => Type::Absent("its schema says nothing about its elements"),
        }
    }

    fn record(&mut self, keywords: &'a Map<String, Value>, depth: usize) -> Type {
        let Some(Value::Object(properties)) = keywords.get("properties") else {
            return Type::Absent("its schema does not say which properties it has");
        };
        let names: &[Value] = keywords.get("required").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        let field = |(name, schema): (&String, &'a Value)| {
            let required = names.iter().any(|n| n == name);
            (name.clone(), Field { of: self.read(schema, depth + 1), required })
        };
        Type::Record(properties.iter().map(field).collect())
    }

    fn untyped(&mut self, keywords: &'a Map<String, Value>, depth: usize) -> Type {
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            return match reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(schema) => self.read(schema, depth + 1),
                None => Type::Absent("its schema refers to something that is not in it"),
            };
        }
        if let Some(value) = keywords.get("const") {
            return of_values(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = keywords.get("enum") {
            return of_values(values);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = keywords.get(word) {
                let types: Vec<_> = branches.iter().map(|branch| self.read(branch, depth + 1)).collect();
                return agreed(&types);
            }
        }
        match keywords.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            Some([only]) => self.read(only, depth + 1),
            Some(_) => Type::Absent("its schema is a combination of several"),
            None if keywords.contains_key("properties") => {
                Type::Absent("its schema does not say that it is an object")
            }
            None => Type::Absent("its schema says nothing about its type"),
        }
    }
}

/// The one type of all branches, if it is one without parts.
fn agreed(types: &[Type]) -> Type {
    let Some((first, rest)) = types.split_first() else {
        return Type::Absent("its schema says nothing about its type");
    };
    if types.contains(&Type::Absent("it may be null")) {
        return Type::Absent("it may be null");
    }
    match first {
        Type::Text | Type::Long | Type::Decimal | Type::Bool if rest.iter().all(|other| other == first) => {
            first.clone()
        }
        Type::Absent(why) if rest.is_empty() => Type::Absent(why),
        Type::Text | Type::Long | Type::Decimal | Type::Bool => {
            Type::Absent("it may have more than one type")
        }
        Type::Set(_) | Type::Record(_) | Type::Absent(_) => Type::Absent("it may have more than one form"),
    }
}

fn of_values(values: &[Value]) -> Type {
    if values.is_empty() {
        Type::Absent("its schema allows no value")
    } else if values.iter().all(Value::is_string) {
        Type::Text
    } else if values.iter().all(Value::is_boolean) {
        Type::Bool
    } else if values.iter().all(Value::is_i64) {
        Type::Long
    } else if values.iter().any(Value::is_null) {
        Type::Absent("it may be null")
    } else {
        Type::Absent("it may have more than one type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(schema: Value) -> Type {
        let tool = json!({"type": "object", "properties": {"x": schema}, "$defs": {
            "loop": {"$ref": "#/$defs/loop"}, "text": {"type": "string"}
        }});
        match Type::of_input_schema(&tool) {
            Type::Record(mut fields) => fields.remove("x").unwrap().of,
            other @ (Type::Text
            | Type::Long
            | Type::Decimal
            | Type::Bool
            | Type::Set(_)
            | Type::Absent(_)) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn what_has_no_one_cedar_type_is_left_out_with_its_reason() {
        for (schema, why) in [
            (json!({"type": ["string", "null"]}), "it may be null"),
            (json!({"type": ["string", "integer"]}), "it may have more than one type"),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "it may be null"),
            (json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), "it may have more than one type"),
            (json!({"enum": ["a", 1]}), "it may have more than one type"),
            (json!({"enum": ["a", null]}), "it may be null"),
            (json!({"type": "null"}), "it may be null"),
            (json!({}), "its schema says nothing about its type"),
            (json!(true), "its schema says nothing about its type"),
            (json!({"type": "object"}), "its schema does not say which properties it has"),
            (json!({"type": "array"}), "its schema says nothing about its elements"),
            (json!({"type": "array", "items": {}}), "its elements have no type a rule can name"),
            (json!({"$ref": "#/$defs/loop"}), "its schema nests too deeply or refers to itself"),
            (json!({"$ref": "#/nowhere"}), "its schema refers to something that is not in it"),
            (
                json!({"$ref": "https://example.invalid/x"}),
                "its schema refers to something that is not in it",
            ),
        ] {
            assert_eq!(of(schema.clone()), Type::Absent(why), "{schema}");
        }
    }

    #[test]
    fn what_has_one_cedar_type_gets_it() {
        for (schema, expected) in [
            (json!({"type": "string", "enum": ["a"]}), Type::Text),
            (json!({"enum": ["a", "b"]}), Type::Text),
            (json!({"type": ["integer"]}), Type::Long),
            (json!({"type": "number", "minimum": 0}), Type::Decimal),
            (json!({"const": true}), Type::Bool),
            (json!({"$ref": "#/$defs/text"}), Type::Text),
            (json!({"anyOf": [{"type": "string", "format": "email"}, {"$ref": "#/$defs/text"}]}), Type::Text),
            (json!({"type": "array", "items": {"type": "string"}}), Type::Set(Box::new(Type::Text))),
            (json!({"type": "object", "properties": {"a": {"type": "string"}}}), Type::texts([("a", false)])),
        ] {
            assert_eq!(of(schema.clone()), expected, "{schema}");
        }
    }

    #[test]
    fn a_self_similar_schema_ends() {
        let wide = json!({"type": "object", "properties": {
            "a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}
        }});
        assert!(matches!(Type::of_input_schema(&wide), Type::Record(_)));
    }

    proptest! {
        #[test]
        fn any_json_has_a_type_and_a_cedar_record(text in "[{}\\[\\]\":,a-z0-9#/$]{0,60}") {
            if let Ok(schema) = serde_json::from_str::<Value>(&text) {
                prop_assert!(Type::of_input_schema(&schema).cedar().is_some());
            }
        }
    }
}
