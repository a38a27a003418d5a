//! Which of many values is the same as one: found by what they are, and not by holding each beside each.

use super::refs::bare;
use super::values;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// Schemas of which each can be taken once.
pub(super) struct Same<'a> {
    all: Vec<Option<(usize, &'a Value)>>,
    exactly: HashMap<&'a Value, VecDeque<usize>>,
    barely: HashMap<Value, VecDeque<usize>>,
}

impl<'a> Same<'a> {
    pub(super) fn among(schemas: impl Iterator<Item = &'a Value>) -> Self {
        let mut same = Self { all: Vec::new(), exactly: HashMap::new(), barely: HashMap::new() };
        for (i, schema) in schemas.enumerate() {
            same.all.push(Some((i, schema)));
            same.exactly.entry(schema).or_default().push_back(i);
            same.barely.entry(bare(schema)).or_default().push_back(i);
        }
        same
    }

    /// Takes the first that is the same, else the first that is but for what only describes.
    pub(super) fn take(&mut self, schema: &Value) -> Option<(usize, &'a Value)> {
        let all = &mut self.all;
        let mut first = |queue: &mut VecDeque<usize>| {
            while let Some(at) = queue.pop_front() {
                // it may have been taken by the other way of being the same
                if let Some(found) = all.get_mut(at).and_then(Option::take) {
                    return Some(found);
                }
            }
            None
        };
        let same = self.exactly.get_mut(schema).and_then(&mut first);
        same.or_else(|| self.barely.get_mut(&bare(schema)).and_then(first))
    }

    /// What nobody took, in order.
    pub(super) fn left(self) -> Vec<(usize, &'a Value)> {
        self.all.into_iter().flatten().collect()
    }
}

/// Takes out, each with its place after the change, alternatives for single values that are there with fewer words: what a
/// limit was taken from is no other alternative.
pub(super) fn loosened<'a>(
    gone: &mut Vec<(usize, &'a Value)>,
    left: &mut Vec<(usize, &'a Value)>,
) -> Vec<(usize, &'a Value, &'a Value)> {
    let mut by_types: HashMap<String, VecDeque<(usize, &'a Value)>> = HashMap::new();
    for (i, schema) in gone.iter() {
        if let Some(types) = values::single(schema) {
            by_types.entry(types).or_default().push_back((*i, schema));
        }
    }
    let (mut found, mut taken) = (Vec::new(), HashMap::new());
    left.retain(|(j, after)| {
        let Some(queue) = values::single(after).and_then(|types| by_types.get_mut(&types)) else {
            return true;
        };
        let Some((i, before)) = queue.pop_front_if(|(_, before)| values::loosens(before, after)) else {
            return true;
        };
        found.push((*j, before, *after));
        taken.insert(i, ());
        false
    });
    gone.retain(|(i, _)| !taken.contains_key(i));
    found
}

/// Values of which it is asked whether one is among them.
pub(super) struct Among<'a>(HashMap<&'a Value, ()>);

impl<'a> Among<'a> {
    pub(super) fn of(values: impl Iterator<Item = &'a Value>) -> Self {
        Self(values.map(|value| (value, ())).collect())
    }

    pub(super) fn has(&self, value: &Value) -> bool {
        self.0.contains_key(value)
    }
}
