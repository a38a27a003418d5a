//! Pinned schemas, compiled once per definition, when it is first needed: strict, bounded, linear-time, never fetching anything.

mod judge;
mod steps;

pub(crate) use judge::Judge;

use decision::{Digest, ItemKind};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use steps::Steps;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Largest schema that is compiled, in bytes.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// Deepest nesting of a schema.
const SCHEMA_DEPTH_MAX: usize = 64;
/// Most `$ref`s in a schema: small schemas can unfold without end.
const SCHEMA_REFS_MAX: usize = 512;
/// Most problems told of one value.
const PROBLEMS_MAX: usize = 5;
const PROBLEM_CHARS_MAX: usize = 300;

/// Why a schema cannot be enforced. Nothing is checked against it, so nothing passes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("the schema is larger than {SCHEMA_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the schema nests deeper than {SCHEMA_DEPTH_MAX}")]
    TooDeep,
    #[error("the schema has more than {SCHEMA_REFS_MAX} references")]
    TooManyRefs,
    #[error("the schema unfolds to more checks of one value than anybody has time for")]
    Unfolds,
    #[error("the schema has more patterns than are compiled")]
    TooManyPatterns,
    #[error("the schema refers to `{0}`, and there is no one such place in it")]
    DeadRef(String),
    #[error("the schema refers to `{0}`, which is outside of it; nothing is ever fetched")]
    RemoteRef(String),
    #[error("the schema does not compile: {0}")]
    Invalid(String),
}

/// Whether unknown fields are refused where the author did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    Refuse,
    /// The operator opened this tool.
    Allow,
}

/// One compiled schema.
#[derive(Debug)]
pub struct Compiled {
    validator: Validator,
    steps: Steps,
}

/// What a schema says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fits {
    Yes,
    /// The first few problems, each with its place and without the offending value.
    No(Vec<String>),
    /// To find out would take longer than anybody may.
    Unbounded,
}

/// Why nobody finds out whether a value fits.
pub(crate) const UNBOUNDED: &str =
    "to check this against the pinned schema would take longer than anybody may";

impl Fits {
    /// Why a value does not fit, or nobody knows.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::No(problems) => Some(problems.join("; ")),
            Self::Unbounded => Some(UNBOUNDED.to_owned()),
        }
    }
}

/// A schema that was read and is not compiled yet.
#[derive(Debug)]
struct Prepared {
    schema: Value,
    steps: Steps,
}

impl Prepared {
    fn read(raw: &str, unknown: Unknown) -> Result<Self, SchemaError> {
        if raw.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLarge);
        }
        let mut schema: Value = serde_json::from_str(raw).map_err(|e| SchemaError::Invalid(e.to_string()))?;
        let mut refs = 0;
        bound(&schema, 0, &mut refs)?;
        modernise(&mut schema);
        if unknown == Unknown::Refuse {
            let root = schema.clone();
            close(&mut schema, &root, Position::Root);
        }
        let steps = Steps::of(&schema)?;
        Ok(Self { schema, steps })
    }

    fn compile(self) -> Result<Compiled, SchemaError> {
        let bytes = self.steps.pattern_bytes();
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(bytes).dfa_size_limit(bytes))
            .build(&self.schema)
            .map_err(|e| SchemaError::Invalid(cut(e.masked().to_string())))?;
        Ok(Compiled { validator, steps: self.steps })
    }
}

impl Compiled {
    /// Compiles a raw schema. `unknown` says what becomes of fields that it does not mention.
    pub fn new(raw: &str, unknown: Unknown) -> Result<Self, SchemaError> {
        Prepared::read(raw, unknown)?.compile()
    }

    /// Whether a value fits that was `bytes` long.
    pub fn fits(&self, value: &Value, bytes: usize) -> Fits {
        if self.steps.is_quick(value, bytes) {
            self.checked(value)
        } else {
            aside(|| self.bounded(value, bytes))
        }
    }

    fn bounded(&self, value: &Value, bytes: usize) -> Fits {
        if self.steps.bound(value, bytes).is_err() { Fits::Unbounded } else { self.checked(value) }
    }

    fn checked(&self, value: &Value) -> Fits {
        if self.validator.is_valid(value) { Fits::Yes } else { Fits::No(self.problems(value)) }
    }

    fn problems(&self, value: &Value) -> Vec<String> {
        let problem = |e: jsonschema::ValidationError<'_>| {
            let place = e.instance_path().to_string();
            let place = if place.is_empty() { "arguments".to_owned() } else { format!("`{place}`") };
            cut(format!("{place}: {}", e.masked()))
        };
        self.validator.iter_errors(value).take(PROBLEMS_MAX).map(problem).collect()
    }
}

/// Does what may take tens of milliseconds where no other call waits for this thread.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|here| here.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // a runtime of one thread, in tests, or none
        Ok(_) | Err(_) => work(),
    }
}

/// What was wanted is repeated, and may be as long as a schema: a refusal goes into the record and to the model.
fn cut(problem: String) -> String {
    match problem.char_indices().nth(PROBLEM_CHARS_MAX) {
        Some((end, _)) => format!("{} …", problem.get(..end).unwrap_or_default()),
        None => problem,
    }
}

fn bound(schema: &Value, depth: usize, refs: &mut usize) -> Result<(), SchemaError> {
    if depth > SCHEMA_DEPTH_MAX {
        return Err(SchemaError::TooDeep);
    }
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef")
                    && let Value::String(target) = value
                {
                    *refs += 1;
                    if *refs > SCHEMA_REFS_MAX {
                        return Err(SchemaError::TooManyRefs);
                    }
                    if !target.starts_with('#') {
                        return Err(SchemaError::RemoteRef(target.chars().take(100).collect()));
                    }
                }
                bound(value, depth + 1, refs)?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| bound(item, depth + 1, refs)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Reads draft 7 as 2020-12: tuples are `prefixItems`. An `$id` would move local references away, so it goes.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("$schema");
            if matches!(members.get("$id"), Some(Value::String(_))) {
                members.remove("$id");
            }
            if matches!(members.get("items"), Some(Value::Array(_))) {
                let tuple = members.remove("items").unwrap_or_default();
                members.insert("prefixItems".to_owned(), tuple);
                if let Some(rest) = members.remove("additionalItems") {
                    members.insert("items".to_owned(), rest);
                }
            }
            members.values_mut().for_each(modernise);
        }
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a schema stands for a value of its own or describes one together with its parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Root,
    Value,
    InPlace,
}

const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE: [&str; 4] = ["if", "then", "else", "not"];
const IN_PLACE_MAPS: [&str; 3] = ["dependentSchemas", "$defs", "definitions"];
const VALUES: [&str; 4] = ["items", "contains", "additionalProperties", "unevaluatedItems"];
const VALUE_MAPS: [&str; 2] = ["properties", "patternProperties"];

/// Refuses unknown fields where the author forgot to say: `unevaluatedProperties: false` beside whatever
/// describes an object, which sees through `allOf` and `$ref` (2020-12 §11.3). Free-form maps stay free.
fn close(schema: &mut Value, root: &Value, position: Position) {
    let Value::Object(members) = schema else {
        return;
    };
    let silent =
        !members.contains_key("additionalProperties") && !members.contains_key("unevaluatedProperties");
    let describes = position == Position::Root || describes_fields(members, root, 0, &mut BTreeSet::new());
    for key in IN_PLACE_LISTS {
        each(members.get_mut(key), |branch| close(branch, root, Position::InPlace));
    }
    for key in IN_PLACE {
        if let Some(branch) = members.get_mut(key) {
            close(branch, root, Position::InPlace);
        }
    }
    for key in IN_PLACE_MAPS {
        each(members.get_mut(key), |branch| close(branch, root, Position::InPlace));
    }
    for key in VALUES {
        if let Some(value) = members.get_mut(key) {
            close(value, root, Position::Value);
        }
    }
    each(members.get_mut("prefixItems"), |value| close(value, root, Position::Value));
    for key in VALUE_MAPS {
        each(members.get_mut(key), |value| close(value, root, Position::Value));
    }
    if silent && describes && position != Position::InPlace {
        members.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
}

fn each(container: Option<&mut Value>, mut f: impl FnMut(&mut Value)) {
    match container {
        Some(Value::Array(items)) => items.iter_mut().for_each(&mut f),
        Some(Value::Object(members)) => members.values_mut().for_each(&mut f),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
}

/// Whether the schema, with what it composes in place, mentions fields at all. `seen` is what was looked at already.
fn describes_fields<'a>(
    members: &'a Map<String, Value>,
    root: &'a Value,
    depth: usize,
    seen: &mut BTreeSet<*const Map<String, Value>>,
) -> bool {
    if depth > SCHEMA_DEPTH_MAX {
        return true;
    }
    if members.contains_key("properties") || members.contains_key("patternProperties") {
        return true;
    }
    if !seen.insert(std::ptr::from_ref(members)) {
        return false;
    }
    let mut looks = |value: &'a Value| matches!(value, Value::Object(inner) if describes_fields(inner, root, depth + 1, seen));
    let target = members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    if target.and_then(|pointer| root.pointer(pointer)).is_some_and(&mut looks) {
        return true;
    }
    let lists =
        IN_PLACE_LISTS.iter().filter_map(|key| members.get(*key)).filter_map(Value::as_array).flatten();
    lists.chain(["if", "then", "else"].iter().filter_map(|key| members.get(*key))).any(looks)
}

/// The schema of a tool's arguments.
fn input_of(definition: &catalog::Definition) -> &str {
    definition.input_schema().unwrap_or(r#"{"type":"object"}"#)
}

type Key = (Digest, Unknown);

/// A schema that is compiled when it is first needed: a gateway may have thousands of tools, most of which nobody calls today.
#[derive(Debug)]
struct Lazy {
    definition: Arc<catalog::Definition>,
    compiled: OnceLock<Result<Compiled, SchemaError>>,
}

impl Lazy {
    fn of(definition: &Arc<catalog::Definition>) -> Arc<Self> {
        Arc::new(Self { definition: Arc::clone(definition), compiled: OnceLock::new() })
    }
    fn input(&self, unknown: Unknown) -> &Result<Compiled, SchemaError> {
        self.compiled(|| Compiled::new(input_of(&self.definition), unknown))
    }
    fn output(&self) -> &Result<Compiled, SchemaError> {
        self.compiled(|| Compiled::new(self.definition.output_schema().unwrap_or("true"), Unknown::Allow))
    }
    fn compiled(
        &self,
        compile: impl FnOnce() -> Result<Compiled, SchemaError>,
    ) -> &Result<Compiled, SchemaError> {
        // most calls find it compiled
        self.compiled.get().unwrap_or_else(|| aside(|| self.compiled.get_or_init(compile)))
    }
}

/// Which unknown fields a tool takes, as its operator has it.
pub(crate) fn unknown(open: &BTreeSet<String>, tool: &str) -> Unknown {
    if open.contains(tool) { Unknown::Allow } else { Unknown::Refuse }
}

/// The schemas of a catalogue, shared with the snapshot before it.
#[derive(Debug, Default)]
pub struct Schemas {
    inputs: BTreeMap<Key, Arc<Lazy>>,
    outputs: BTreeMap<Digest, Arc<Lazy>>,
}

impl Schemas {
    /// Those of a catalogue, compiled as far as `before` has them compiled. `open` says which tools the operator opened.
    pub fn of(
        catalogue: &catalog::Catalogue,
        before: &Self,
        open: impl Fn(&decision::ServerName, &str) -> bool,
    ) -> Self {
        let mut schemas = Self::default();
        for (server, entry) in catalogue.servers() {
            for item in entry.of_kind(ItemKind::Tool) {
                let definition = &item.definition;
                let unknown = if open(server, definition.name()) { Unknown::Allow } else { Unknown::Refuse };
                let key = (definition.digest(), unknown);
                let input = before.inputs.get(&key).cloned().unwrap_or_else(|| Lazy::of(definition));
                schemas.inputs.insert(key, input);
                if definition.output_schema().is_some() {
                    let output = before.outputs.get(&key.0).cloned();
                    schemas.outputs.insert(key.0, output.unwrap_or_else(|| Lazy::of(definition)));
                }
            }
        }
        schemas
    }

    /// The input schema of a pinned tool. `None` when there is no such tool in the catalogue.
    pub fn input(&self, definition: Digest, unknown: Unknown) -> Option<&Result<Compiled, SchemaError>> {
        self.inputs.get(&(definition, unknown)).map(|lazy| lazy.input(unknown))
    }
    /// The output schema of a pinned tool, where its author declared one.
    pub fn output(&self, definition: Digest) -> Option<&Result<Compiled, SchemaError>> {
        self.outputs.get(&definition).map(|lazy| lazy.output())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A schema that unfolds: each level is looked at `times` as often as the one before.
    fn unfolding(levels: usize, level: impl Fn(Value) -> Value) -> Value {
        let mut defs = Map::new();
        for at in 0..levels {
            let next = json!({"$ref": format!("#/$defs/a{}", at + 1)});
            defs.insert(format!("a{at}"), level(next));
        }
        defs.insert(format!("a{levels}"), json!({}));
        json!({"type":"object", "$ref":"#/$defs/a0", "$defs":defs})
    }

    #[test]
    fn what_unfolds_without_end_is_not_begun() {
        let twice = |next: Value| json!({"allOf":[next.clone(), next]});
        // what nothing else describes is asked for at each level, and for that the levels below are checked once more
        let again = |next: Value| json!({"allOf":[next], "unevaluatedProperties": false});
        let below = |next: Value| json!({"properties":{"x":{"anyOf":[next.clone(), next]}}});
        let round =
            json!({"type":"object","allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"$ref":"#"}]}}});
        for unknown in [Unknown::Refuse, Unknown::Allow] {
            let of = |schema: &Value| Compiled::new(&schema.to_string(), unknown);
            for schema in [unfolding(200, twice), unfolding(20, twice), unfolding(30, again), round.clone()] {
                assert_eq!(of(&schema).unwrap_err(), SchemaError::Unfolds);
            }
            for schema in [unfolding(6, twice), unfolding(6, again)] {
                assert_eq!(of(&schema).unwrap().fits(&json!({}), 2), Fits::Yes);
            }
            // each level of the value doubles it
            let deep = (0..60).fold(json!({}), |inner, _| json!({"x": inner}));
            let below = of(&unfolding(100, below)).unwrap();
            assert_eq!(below.fits(&deep, 400), Fits::Unbounded);
            assert_eq!(below.fits(&json!({"x":{"x":{}}}), 20), Fits::Yes);
        }
    }

    #[test]
    fn a_schema_that_describes_itself_is_used_like_any_other() {
        let tree = json!({"type":"object","properties":{"name":{"type":"string"},
            "parts":{"type":"array","items":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}}});
        let leaf = json!({"name":"leaf","parts":[null]});
        let value = (0..8).fold(leaf, |inner, _| json!({"name":"node","parts":[inner,null]}));
        assert_eq!(strict(&tree).fits(&value, value.to_string().len()), Fits::Yes);
        let escaped = json!({"type":"object","properties":{"a":{"$ref":"#/$defs/a%20b~1c"}},
            "$defs":{"a b/c":{"$anchor":"here","type":"integer"}}});
        assert_eq!(strict(&escaped).fits(&json!({"a":1}), 7), Fits::Yes);
        assert!(matches!(strict(&escaped).fits(&json!({"a":"x"}), 9), Fits::No(_)));
        let dead = json!({"properties":{"a":{"$ref":"#/$defs/none"}}}).to_string();
        assert_eq!(
            Compiled::new(&dead, Unknown::Refuse).unwrap_err(),
            SchemaError::DeadRef("#/$defs/none".into())
        );
    }

    #[test]
    fn patterns_are_bounded_in_what_they_become_and_in_what_they_cost() {
        let with = |patterns: Vec<String>| {
            let properties: Map<String, Value> = patterns
                .into_iter()
                .enumerate()
                .map(|(at, pattern)| (format!("p{at}"), json!({"type":"string","pattern":pattern})))
                .collect();
            Compiled::new(&json!({"type":"object","properties":properties}).to_string(), Unknown::Refuse)
        };
        let large = |count: usize| (0..count).map(|at| format!(r"^\p{{L}}{{150}}x{at}$")).collect();
        assert!(with(large(200)).is_err(), "200 of them would have gigabytes");
        assert_eq!(
            with((0..300).map(|at| format!("^x{at}$")).collect()).unwrap_err(),
            SchemaError::TooManyPatterns
        );
        let usual =
            [r"^\d{4}-\d{2}-\d{2}$", r"^[\p{L} ]{1,40}$", r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"];
        let usual = with(usual.map(str::to_owned).to_vec()).unwrap();
        let fitting =
            json!({"p0":"2026-11-27","p1":"Jürgen Ödön","p2":"8c5a1a43-0000-4000-8000-5f0b0d7c1b11"});
        assert_eq!(usual.fits(&fitting, 100), Fits::Yes);
        let long = "a".repeat(2_000_000);
        let heavy = with(vec![r"^(\p{L}|\p{N}){1,30}$".to_owned()]).unwrap();
        assert_eq!(heavy.fits(&json!({"p0": long}), 2_000_010), Fits::Unbounded);
        assert!(
            matches!(usual.fits(&json!({"p0": long}), 2_000_010), Fits::No(_)),
            "what is cheap is checked"
        );
    }

    #[test]
    fn a_long_list_of_choices_counts_for_each_value_that_is_held_against_it() {
        let choices: Vec<u32> = (0..20_000).collect();
        let schema = json!({"type":"object","properties":{"all":{"type":"array","items":{"enum":choices}}}});
        let many = json!({"all": vec![19_999; 10_000]});
        assert_eq!(strict(&schema).fits(&many, 60_000), Fits::Unbounded);
        assert_eq!(strict(&schema).fits(&json!({"all":[1, 19_999]}), 20), Fits::Yes);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_takes_long_keeps_no_thread_from_those_who_wait_for_it() {
        let choices: Vec<u32> = (0..10_000).collect();
        let schema = json!({"type":"object","properties":{"all":{"type":"array","items":{"enum":choices}}}});
        let schema = strict(&schema);
        let (small, large) = (json!({"all":[1]}), json!({"all": vec![9_999; 300]}));
        assert!(schema.steps.is_quick(&small, 11) && !schema.steps.is_quick(&large, 2_000));
        let (begun, began) = std::sync::mpsc::channel();
        let (told, heard) = std::sync::mpsc::channel::<()>();
        let checking = tokio::spawn(async move {
            aside(|| {
                begun.send(()).unwrap();
                heard.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
            });
            schema.fits(&large, 2_000)
        });
        // on the one thread of the runtime, which the other has
        let others = tokio::spawn(async move {
            began.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
            told.send(()).unwrap();
        });
        assert_eq!(checking.await.unwrap(), Fits::Yes);
        others.await.unwrap();
    }

    fn strict(schema: &Value) -> Compiled {
        Compiled::new(&schema.to_string(), Unknown::Refuse).unwrap()
    }

    #[test]
    fn an_unknown_field_is_refused_even_where_the_author_forgot() {
        let schema = json!({"type":"object","properties":{"id":{"type":"string"},
            "at":{"type":"object","properties":{"x":{"type":"number"}}},
            "tags":{"type":"array","items":{"type":"object","properties":{"k":{}}}},
            "free":{"type":"object"}}});
        let compiled = strict(&schema);
        assert!(
            compiled.problems(&json!({"id":"a","at":{"x":1},"tags":[{"k":1}],"free":{"any":1}})).is_empty()
        );
        for bad in [json!({"id":"a","x":1}), json!({"at":{"x":1,"y":2}}), json!({"tags":[{"k":1,"l":2}]})] {
            assert!(!compiled.problems(&bad).is_empty(), "{bad}");
        }
        assert!(!strict(&json!({"type":"object"})).problems(&json!({"x":1})).is_empty());
    }

    #[test]
    fn composition_and_references_keep_working_when_closed() {
        let schema = json!({"type":"object",
            "allOf":[{"properties":{"a":{"type":"integer"}}},{"$ref":"#/$defs/b"}],
            "properties":{"n":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},
            "$defs":{"b":{"properties":{"b":{"type":"string"}}},"n":{"type":"object","properties":{"v":{}}}}});
        let compiled = strict(&schema);
        assert!(compiled.problems(&json!({"a":1,"b":"x","n":{"v":1}})).is_empty());
        assert!(compiled.problems(&json!({"n":null})).is_empty());
        assert!(!compiled.problems(&json!({"a":1,"c":1})).is_empty());
        assert!(!compiled.problems(&json!({"n":{"v":1,"w":2}})).is_empty());
    }

    #[test]
    fn an_operator_can_open_a_tool_and_an_author_can_mean_it() {
        let raw = r#"{"type":"object","properties":{"a":{}}}"#;
        assert!(Compiled::new(raw, Unknown::Allow).unwrap().problems(&json!({"b":1})).is_empty());
        let meant = json!({"type":"object","additionalProperties":{"type":"integer"}});
        assert!(strict(&meant).problems(&json!({"b":1})).is_empty());
        assert!(!strict(&meant).problems(&json!({"b":"x"})).is_empty());
    }

    #[test]
    fn nothing_is_fetched_and_nothing_unbounded_is_compiled() {
        for (raw, expected) in [
            (json!({"$ref":"http://127.0.0.1:1/x"}).to_string(), "outside"),
            (json!({"properties":{"a":{"$ref":"file:///etc/passwd"}}}).to_string(), "outside"),
            (json!({"properties":{"a":{"pattern":"(?=x)y"}}}).to_string(), "compile"),
            (format!("{}{{}}{}", r#"{"items":"#.repeat(80), "}".repeat(80)), "deeper"),
            (json!({"description":"x".repeat(300_000)}).to_string(), "larger"),
            (
                json!({"allOf": vec![json!({"$ref":"#/$defs/a"}); 600], "$defs":{"a":{}}}).to_string(),
                "references",
            ),
        ] {
            let e = Compiled::new(&raw, Unknown::Refuse).unwrap_err().to_string();
            assert!(e.contains(expected), "{e}");
        }
    }

    #[test]
    fn an_older_draft_is_read_and_problems_hold_no_values() {
        let schema = json!({"$schema":"http://json-schema.org/draft-07/schema#","type":"object",
            "properties":{"pair":{"type":"array","items":[{"type":"integer"},{"type":"string"}],"additionalItems":false}}});
        let compiled = strict(&schema);
        assert!(compiled.problems(&json!({"pair":[1,"a"]})).is_empty());
        let problems = compiled.problems(&json!({"pair":["hunter2","a"]}));
        assert!(problems[0].contains("/pair/0") && !problems[0].contains("hunter2"), "{problems:?}");
        assert!(!compiled.problems(&json!({"pair":[1,"a",2]})).is_empty());
    }

    #[test]
    fn what_a_schema_wants_at_length_is_not_repeated_at_length() {
        let long = "é".repeat(50_000);
        for wants in [json!({ "const": long }), json!({ "enum": [long, "b"] }), json!({ "required": [long] })]
        {
            let schema = json!({ "type": "object", "properties": { "a": wants, "b": {} } });
            let schema = Compiled::new(&schema.to_string(), Unknown::Refuse).unwrap();
            let value = json!({ "a": {} });
            let told = schema.fits(&value, value.to_string().len()).problem().unwrap();
            assert!(told.contains("`/a`: ") && told.chars().count() < 350, "{}", told.len());
        }
    }
}
