//! How much work a value makes for a schema, counted before anybody does it.
//!
//! References let a schema of a few lines unfold into more checks than there are atoms: the validator follows each of them as
//! often as it is met. So the way that it will go is gone once without checking anything, and given up above a bound.

use super::{IN_PLACE, IN_PLACE_LISTS, SchemaError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most checks of one value: some tens of milliseconds.
const STEPS_MAX: u64 = 4_000_000;
/// What is checked where others may wait for it: less than a millisecond.
const QUICK_STEPS: u64 = 20_000;
/// Bytes that all patterns of a schema may have together once they are compiled.
const PATTERNS_BYTES_MAX: usize = 16 << 20;
/// The same for a single one, at least and at most.
const PATTERN_BYTES: (usize, usize) = (64 << 10, 4 << 20);
/// What a schema without patterns is once it is compiled, roughly.
const NODE_BYTES: u64 = 64;
/// Most patterns of one schema.
const PATTERNS_MAX: usize = PATTERNS_BYTES_MAX / PATTERN_BYTES.0;
/// Compiled bytes of a pattern for which a letter costs one step.
const PATTERN_STEP_BYTES: usize = 8 << 10;
/// Most schemas that describe one value together, each as often as it is met: the validator unfolds them as it compiles.
const UNFOLDED_MAX: u64 = 20_000;
/// Deepest way through a schema and a value.
const DEPTH_MAX: usize = 256;

/// What the steps of a value are counted with.
#[derive(Debug)]
pub(super) struct Steps {
    /// The schemas that are met on any way, the root first.
    nodes: Vec<Node>,
    /// What a letter costs under each pattern.
    letters: Vec<u64>,
    /// Bounds the steps of each byte of a value, where nothing is checked twice.
    a_byte: Option<u64>,
    /// How many schemas its validator has, where each is unfolded as often as it is met.
    unfolded: u64,
}

/// A schema, by what it costs and where it leads. Numbers are places in [`Steps::nodes`] and [`Steps::letters`].
#[derive(Debug, Default)]
struct Node {
    /// Its own lists are gone through.
    weight: u64,
    /// What describes the same value.
    in_place: Vec<usize>,
    /// It asks for what nothing else has described, and for that all that is in place is checked for each field again.
    asks_again: bool,
    pattern: Option<usize>,
    fields: BTreeMap<String, usize>,
    /// Patterns of names, and what describes the fields that are called so.
    patterned: Vec<(usize, usize)>,
    /// What describes every field, every field's name, the first items and every item.
    every_field: Vec<usize>,
    name: Option<usize>,
    first: Vec<usize>,
    every_item: Vec<usize>,
}

/// More than is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Steps {
    /// Errors: a reference to nothing, or too many patterns.
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaError> {
        let mut making = Making::new(schema);
        making.node(schema);
        let mut nodes = Vec::new();
        while let Some(next) = making.met.get(nodes.len()).copied() {
            nodes.push(making.described(next)?);
        }
        let unfolded = unfolded(&nodes)?;
        let bytes = pattern_bytes(making.patterns.len());
        let letters: Vec<u64> = making.patterns.iter().map(|pattern| letter(pattern, bytes)).collect();
        let plain = |node: &Node| node.in_place.is_empty() && node.every_item.len() <= 1;
        let simple = letters.is_empty() && nodes.iter().all(plain);
        let heaviest = nodes.iter().map(|node| node.weight).max().unwrap_or(1);
        Ok(Self { nodes, letters, a_byte: simple.then_some(heaviest), unfolded })
    }

    /// What it takes to compile it, in bytes that are written for it, roughly.
    pub(super) fn work(&self) -> u64 {
        let patterns = self.letters.iter().map(|letter| letter * PATTERN_STEP_BYTES as u64).sum::<u64>();
        self.unfolded.saturating_mul(NODE_BYTES).saturating_add(patterns)
    }

    /// Bytes that each of its patterns may have once compiled.
    pub(super) fn pattern_bytes(&self) -> usize {
        pattern_bytes(self.letters.len())
    }

    /// Whether a value is checked in next to no time. `bytes` is how long it is.
    pub(super) fn is_quick(&self, value: &Value, bytes: usize) -> bool {
        self.a_byte.is_some_and(|steps| steps.saturating_mul(bytes as u64) <= QUICK_STEPS)
            || Walk { steps: self, left: QUICK_STEPS, depth: 0 }.go(0, value, 1).is_ok()
    }

    /// Whether a value is checked in bounded time. `bytes` is how long it is.
    pub(super) fn bound(&self, value: &Value, bytes: usize) -> Result<(), TooMany> {
        if self.a_byte.is_some_and(|steps| steps.saturating_mul(bytes as u64) <= STEPS_MAX) {
            return Ok(());
        }
        Walk { steps: self, left: STEPS_MAX, depth: 0 }.go(0, value, 1)
    }
}

fn pattern_bytes(patterns: usize) -> usize {
    (PATTERNS_BYTES_MAX / patterns.max(1)).clamp(PATTERN_BYTES.0, PATTERN_BYTES.1)
}

struct Making<'a> {
    root: &'a Value,
    /// By where a schema is in memory: what several refer to is one node.
    places: BTreeMap<*const Value, usize>,
    /// Schemas in the order of their numbers.
    met: Vec<&'a Value>,
    patterns: Vec<&'a str>,
}

impl<'a> Making<'a> {
    fn new(root: &'a Value) -> Self {
        Self { root, places: BTreeMap::new(), met: Vec::new(), patterns: Vec::new() }
    }

    fn node(&mut self, schema: &'a Value) -> usize {
        let next = self.met.len();
        let at = *self.places.entry(std::ptr::from_ref(schema)).or_insert(next);
        if at == next {
            self.met.push(schema);
        }
        at
    }

    fn described(&mut self, schema: &'a Value) -> Result<Node, SchemaError> {
        let Value::Object(members) = schema else { return Ok(Node { weight: 1, ..Node::default() }) };
        let asks_again =
            ["unevaluatedProperties", "unevaluatedItems"].iter().any(|key| members.contains_key(*key));
        let (weight, in_place) = (weight(members), self.in_place(members)?);
        let mut node = Node { weight, in_place, asks_again, ..Node::default() };
        if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
            node.pattern = Some(self.pattern(pattern)?);
        }
        let named = |key: &str| members.get(key).and_then(Value::as_object).into_iter().flatten();
        for (name, field) in named("properties") {
            node.fields.insert(name.clone(), self.node(field));
        }
        for (pattern, field) in named("patternProperties") {
            node.patterned.push((self.pattern(pattern)?, self.node(field)));
        }
        node.every_field = self.those(members, &["additionalProperties", "unevaluatedProperties"]);
        node.every_item = self.those(members, &["items", "contains", "unevaluatedItems"]);
        node.name = self.those(members, &["propertyNames"]).first().copied();
        for item in members.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
            node.first.push(self.node(item));
        }
        Ok(node)
    }

    fn those(&mut self, members: &'a Map<String, Value>, keys: &[&str]) -> Vec<usize> {
        keys.iter().filter_map(|key| members.get(*key)).map(|schema| self.node(schema)).collect()
    }

    fn in_place(&mut self, members: &'a Map<String, Value>) -> Result<Vec<usize>, SchemaError> {
        let mut all = self.those(members, &IN_PLACE);
        let lists = IN_PLACE_LISTS.iter().filter_map(|key| members.get(*key)?.as_array()).flatten();
        let dependent = members.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten();
        for branch in lists.chain(dependent.map(|(_, branch)| branch)) {
            all.push(self.node(branch));
        }
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(target) = members.get(key).and_then(Value::as_str) {
                let dead = || SchemaError::DeadRef(target.chars().take(100).collect());
                all.push(self.node(found(self.root, target).ok_or_else(dead)?));
            }
        }
        Ok(all)
    }

    fn pattern(&mut self, pattern: &'a str) -> Result<usize, SchemaError> {
        if let Some(at) = self.patterns.iter().position(|known| *known == pattern) {
            return Ok(at);
        }
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(SchemaError::TooManyPatterns);
        }
        self.patterns.push(pattern);
        Ok(self.patterns.len() - 1)
    }
}

/// How many schemas they are once those in place are unfolded. Errors: a value would be described more than
/// [`UNFOLDED_MAX`] times, or for ever.
fn unfolded(nodes: &[Node]) -> Result<u64, SchemaError> {
    let mut sizes: Vec<Size> = vec![Size::Unknown; nodes.len()];
    for root in 0..nodes.len() {
        let mut open = vec![root];
        while let Some(at) = open.last().copied() {
            let (Some(node), Some(size)) = (nodes.get(at), sizes.get(at).copied()) else { break };
            let of = |branch: &usize| sizes.get(*branch).copied().unwrap_or(Size::Unknown);
            if size == Size::Unknown {
                if node.in_place.iter().any(|branch| of(branch) == Size::Open) {
                    return Err(SchemaError::Unfolds);
                }
                open.extend(node.in_place.iter().filter(|branch| of(branch) == Size::Unknown));
                sizes.get_mut(at).into_iter().for_each(|size| *size = Size::Open);
                continue;
            }
            open.pop();
            if size == Size::Open {
                let sum = node.in_place.iter().map(|branch| match of(branch) {
                    Size::Known(size) => size,
                    // it is waited for by itself
                    Size::Open | Size::Unknown => u64::MAX,
                });
                let sum = sum.fold(0, u64::saturating_add).saturating_mul(1 + u64::from(node.asks_again));
                let all = sum.saturating_add(1);
                if all > UNFOLDED_MAX {
                    return Err(SchemaError::Unfolds);
                }
                sizes.get_mut(at).into_iter().for_each(|size| *size = Size::Known(all));
            }
        }
    }
    let known = sizes.iter().map(|size| match size {
        Size::Known(size) => *size,
        Size::Open | Size::Unknown => 0,
    });
    Ok(known.fold(0, u64::saturating_add))
}

/// How many schemas one unfolds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Unknown,
    /// What is in its place is counted first.
    Open,
    Known(u64),
}

/// What a schema costs a value without what it refers to.
fn weight(members: &Map<String, Value>) -> u64 {
    let own = ["enum", "const", "required", "dependentRequired", "properties"];
    let sizes = own.iter().filter_map(|key| members.get(*key)).map(|value| match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        Value::String(text) => text.len() / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    });
    1 + sizes.sum::<usize>() as u64
}

/// What a letter costs under a pattern: it is matched in linear time, times how large it became.
fn letter(pattern: &str, bytes_max: usize) -> u64 {
    // as JSON Schema has them, these are of ASCII
    let pattern = &pattern.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]");
    let mut bytes = PATTERN_STEP_BYTES;
    while bytes < bytes_max && regex::RegexBuilder::new(pattern).size_limit(bytes).build().is_err() {
        bytes *= 4;
    }
    (bytes / PATTERN_STEP_BYTES) as u64
}

/// Where a reference leads: to the root, a place in it, or what has that anchor. An anchor that several have leads nowhere.
fn found<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let target = target.strip_prefix('#')?;
    if target.is_empty() {
        return Some(root);
    }
    let plain = percent_encoding::percent_decode_str(target).decode_utf8().ok()?;
    if plain.starts_with('/') {
        return root.pointer(&plain);
    }
    let mut anchored = Vec::new();
    anchors(root, &plain, &mut anchored);
    match anchored.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn anchors<'a>(schema: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match schema {
        Value::Object(members) => {
            let called = |key: &&str| members.get(*key).and_then(Value::as_str) == Some(name);
            found.extend(["$anchor", "$dynamicAnchor"].iter().any(called).then_some(schema));
            members.values().for_each(|value| anchors(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| anchors(item, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Walk<'a> {
    steps: &'a Steps,
    left: u64,
    depth: usize,
}

impl Walk<'_> {
    fn take(&mut self, steps: u64) -> Result<(), TooMany> {
        self.left = self.left.checked_sub(steps).ok_or(TooMany)?;
        Ok(())
    }

    /// `times` is how often all of this is done.
    fn go(&mut self, at: usize, value: &Value, times: u64) -> Result<(), TooMany> {
        let steps = self.steps;
        let node = steps.nodes.get(at).ok_or(TooMany)?;
        self.take(node.weight.saturating_mul(times))?;
        self.depth += 1;
        // what refers to itself in one place would be gone round for ever
        if self.depth > DEPTH_MAX {
            return Err(TooMany);
        }
        let parts = match value {
            Value::Object(fields) => fields.len(),
            Value::Array(items) => items.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        };
        let again = if node.asks_again { 1 + parts as u64 } else { 1 };
        for branch in &node.in_place {
            self.go(*branch, value, times.saturating_mul(again))?;
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.field(node, name, field, times)?;
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.take(times)?;
                    for schema in node.first.get(at).into_iter().chain(&node.every_item) {
                        self.go(*schema, item, times)?;
                    }
                }
            }
            Value::String(text) => self.letters(node.pattern, text, times)?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        self.depth -= 1;
        Ok(())
    }

    fn letters(&mut self, pattern: Option<usize>, text: &str, times: u64) -> Result<(), TooMany> {
        let letter = pattern.and_then(|pattern| self.steps.letters.get(pattern)).copied();
        self.take(letter.unwrap_or_default().saturating_mul(text.len() as u64).saturating_mul(times))
    }

    fn field(&mut self, node: &Node, name: &str, field: &Value, times: u64) -> Result<(), TooMany> {
        self.take(times)?;
        for schema in node.fields.get(name).into_iter().chain(&node.every_field) {
            self.go(*schema, field, times)?;
        }
        for (pattern, schema) in &node.patterned {
            self.letters(Some(*pattern), name, times)?;
            self.go(*schema, field, times)?;
        }
        match node.name {
            Some(schema) => self.go(schema, &Value::String(name.to_owned()), times),
            None => Ok(()),
        }
    }
}
