//! How much work a value makes for a schema, counted before anybody does it.
//!
//! References let a schema of a few lines unfold into more checks than there are atoms: the validator follows each of them as
//! often as it is met. So the way that it will go is gone once without checking anything, and given up above a bound.

use super::{IN_PLACE, IN_PLACE_LISTS, SchemaError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most checks of one value: some tens of milliseconds.
const STEPS_MAX: u64 = 4_000_000;
/// Bytes that all patterns of a schema may have together once they are compiled.
const PATTERNS_BYTES_MAX: usize = 16 << 20;
/// The same for a single one, at least and at most.
const PATTERN_BYTES: (usize, usize) = (64 << 10, 4 << 20);
/// Most patterns of one schema.
const PATTERNS_MAX: usize = PATTERNS_BYTES_MAX / PATTERN_BYTES.0;
/// Compiled bytes of a pattern for which a letter costs one step.
const PATTERN_STEP_BYTES: usize = 8 << 10;
/// Deepest way through a schema and a value.
const DEPTH_MAX: usize = 1_000;

/// What the steps of a value are counted with.
#[derive(Debug)]
pub(super) struct Steps {
    /// The schemas that are met on any way, the root first.
    nodes: Vec<Node>,
    patterns: usize,
    /// Bounds the steps of each byte of a value, where nothing is checked twice.
    a_byte: Option<u64>,
}

/// A schema, by what it costs and where it leads. Numbers are places in [`Steps::nodes`].
#[derive(Debug, Default)]
struct Node {
    /// Its own lists are gone through.
    weight: u64,
    /// What describes the same value.
    in_place: Vec<usize>,
    /// What each letter costs.
    letter: u64,
    fields: BTreeMap<String, usize>,
    /// What each letter of a field's name costs, and what describes the field.
    patterned: Vec<(u64, usize)>,
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
        let mut making =
            Making { root: schema, places: BTreeMap::new(), nodes: Vec::new(), costs: BTreeMap::new() };
        making.node(schema)?;
        let Making { nodes, costs, .. } = making;
        let plain = |node: &Node| node.in_place.is_empty() && node.every_item.len() <= 1;
        let simple = costs.is_empty() && nodes.iter().all(plain);
        let heaviest = nodes.iter().map(|node| node.weight).max().unwrap_or(1);
        Ok(Self { patterns: costs.len(), a_byte: simple.then_some(heaviest), nodes })
    }

    /// Bytes that each of its patterns may have once compiled.
    pub(super) fn pattern_bytes(&self) -> usize {
        (PATTERNS_BYTES_MAX / self.patterns.max(1)).clamp(PATTERN_BYTES.0, PATTERN_BYTES.1)
    }

    /// Whether a value is checked in bounded time. `bytes` is how long it is.
    pub(super) fn bound(&self, value: &Value, bytes: usize) -> Result<(), TooMany> {
        if self.a_byte.is_some_and(|steps| steps.saturating_mul(bytes as u64) <= STEPS_MAX) {
            return Ok(());
        }
        Walk { nodes: &self.nodes, left: STEPS_MAX, depth: 0 }.go(0, value)
    }
}

struct Making<'a> {
    root: &'a Value,
    /// By where a schema is in memory: what several refer to is one node.
    places: BTreeMap<*const Value, usize>,
    nodes: Vec<Node>,
    /// What a letter costs under each pattern.
    costs: BTreeMap<&'a str, u64>,
}

impl<'a> Making<'a> {
    fn node(&mut self, schema: &'a Value) -> Result<usize, SchemaError> {
        let place = std::ptr::from_ref(schema);
        if let Some(known) = self.places.get(&place) {
            return Ok(*known);
        }
        let at = self.nodes.len();
        self.places.insert(place, at);
        self.nodes.push(Node { weight: 1, ..Node::default() });
        if let Value::Object(members) = schema {
            let node = self.described(members)?;
            if let Some(slot) = self.nodes.get_mut(at) {
                *slot = node;
            }
        }
        Ok(at)
    }

    fn described(&mut self, members: &'a Map<String, Value>) -> Result<Node, SchemaError> {
        let mut node = Node { weight: weight(members), in_place: self.in_place(members)?, ..Node::default() };
        if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
            node.letter = self.cost(pattern)?;
        }
        let named = |key: &str| members.get(key).and_then(Value::as_object).into_iter().flatten();
        for (name, field) in named("properties") {
            node.fields.insert(name.clone(), self.node(field)?);
        }
        for (pattern, field) in named("patternProperties") {
            node.patterned.push((self.cost(pattern)?, self.node(field)?));
        }
        node.every_field = self.those(members, &["additionalProperties", "unevaluatedProperties"])?;
        node.every_item = self.those(members, &["items", "contains", "unevaluatedItems"])?;
        node.name = self.those(members, &["propertyNames"])?.first().copied();
        for item in members.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
            node.first.push(self.node(item)?);
        }
        Ok(node)
    }

    fn those(&mut self, members: &'a Map<String, Value>, keys: &[&str]) -> Result<Vec<usize>, SchemaError> {
        keys.iter().filter_map(|key| members.get(*key)).map(|schema| self.node(schema)).collect()
    }

    fn in_place(&mut self, members: &'a Map<String, Value>) -> Result<Vec<usize>, SchemaError> {
        let mut all = self.those(members, &IN_PLACE)?;
        let lists = IN_PLACE_LISTS.iter().filter_map(|key| members.get(*key)?.as_array()).flatten();
        let dependent = members.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten();
        for branch in lists.chain(dependent.map(|(_, branch)| branch)) {
            all.push(self.node(branch)?);
        }
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(target) = members.get(key).and_then(Value::as_str) {
                let dead = || SchemaError::DeadRef(target.chars().take(100).collect());
                all.push(self.node(found(self.root, target).ok_or_else(dead)?)?);
            }
        }
        Ok(all)
    }

    fn cost(&mut self, pattern: &'a str) -> Result<u64, SchemaError> {
        if let Some(known) = self.costs.get(pattern) {
            return Ok(*known);
        }
        if self.costs.len() >= PATTERNS_MAX {
            return Err(SchemaError::TooManyPatterns);
        }
        let cost = letter(pattern);
        self.costs.insert(pattern, cost);
        Ok(cost)
    }
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
fn letter(pattern: &str) -> u64 {
    let mut bytes = PATTERN_STEP_BYTES;
    while bytes < PATTERN_BYTES.1 && regex::RegexBuilder::new(pattern).size_limit(bytes).build().is_err() {
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
            found.extend(["$anchor", "$dynamicAnchor"].iter().any(|key| called(key)).then_some(schema));
            members.values().for_each(|value| anchors(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| anchors(item, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Walk<'a> {
    nodes: &'a [Node],
    left: u64,
    depth: usize,
}

impl Walk<'_> {
    fn take(&mut self, steps: u64) -> Result<(), TooMany> {
        self.left = self.left.checked_sub(steps).ok_or(TooMany)?;
        Ok(())
    }

    fn go(&mut self, at: usize, value: &Value) -> Result<(), TooMany> {
        let node = self.nodes.get(at).ok_or(TooMany)?;
        self.take(node.weight)?;
        self.depth += 1;
        // what refers to itself in one place would be gone round for ever
        if self.depth > DEPTH_MAX {
            return Err(TooMany);
        }
        node.in_place.iter().try_for_each(|branch| self.go(*branch, value))?;
        match value {
            Value::Object(fields) => {
                fields.iter().try_for_each(|(name, field)| self.field(node, name, field))?
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.take(1)?;
                    let schemas = node.first.get(at).into_iter().chain(&node.every_item);
                    schemas.copied().try_for_each(|schema| self.go(schema, item))?;
                }
            }
            Value::String(text) => self.take(node.letter.saturating_mul(text.len() as u64))?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, node: &Node, name: &str, field: &Value) -> Result<(), TooMany> {
        self.take(1)?;
        let own = node.fields.get(name).into_iter().chain(&node.every_field);
        own.copied().try_for_each(|schema| self.go(schema, field))?;
        for (letter, schema) in &node.patterned {
            self.take(letter.saturating_mul(name.len() as u64))?;
            self.go(*schema, field)?;
        }
        match node.name {
            Some(schema) => self.go(schema, &Value::String(name.to_owned())),
            None => Ok(()),
        }
    }
}
