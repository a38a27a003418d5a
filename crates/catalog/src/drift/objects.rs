//! Objects in a schema: which members they list, and what may stand beside them.

use super::fields::{at, object};
use super::guards::Turn;
use super::refs::bare;
use super::schema::{Direction, Shift, Walk};
use super::{Kind, asked, guards};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// More members came and went than can be held beside one another.
struct TooMany;

/// Members that are no longer listed: those of one form together, for one of them may be listed under another name.
struct Gone<'a> {
    left: Vec<Option<&'a str>>,
    formed: HashMap<Value, Vec<usize>>,
}

impl<'a> Gone<'a> {
    fn of(old: &'a Map<String, Value>, new: &Map<String, Value>) -> Self {
        let mut gone = Self { left: Vec::new(), formed: HashMap::new() };
        for (key, schema) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            // what says nothing is like anything that says nothing
            if *schema != json!({}) {
                gone.formed.entry(bare(schema)).or_default().push(gone.left.len());
            }
            gone.left.push(Some(key));
        }
        gone
    }

    /// Takes the first of the same form whose name is like this one.
    fn twin(
        &mut self,
        key: &str,
        schema: &Value,
        mut step: impl FnMut() -> bool,
    ) -> Result<Option<&'a str>, TooMany> {
        if self.formed.is_empty() {
            return Ok(None);
        }
        let Some(same) = self.formed.get_mut(&bare(schema)) else { return Ok(None) };
        for (n, at) in same.iter().enumerate() {
            if !step() {
                return Err(TooMany);
            }
            let other = self
                .left
                .get_mut(*at)
                .filter(|other| other.is_some_and(|other| super::names::likeness(other, key) > 0.4));
            if let Some(found) = other.and_then(Option::take) {
                same.remove(n);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn left(self) -> impl Iterator<Item = &'a str> {
        self.left.into_iter().flatten()
    }
}

/// Whether a member may be said something of by its name alone: what is listed beside that is not all that holds for it.
fn by_pattern(schema: &Map<String, Value>) -> bool {
    !object(schema.get("patternProperties")).is_empty()
}

impl Walk<'_, '_> {
    pub(super) fn properties(&mut self, place: &str, a: &Map<String, Value>, b: &Map<String, Value>) {
        let (old, new) = (object(a.get("properties")), object(b.get("properties")));
        let mut gone = Gone::of(old, new);
        let required = b.get("required").and_then(Value::as_array);
        let required: BTreeSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let mut told = false;
        for (key, schema) in new {
            let here = at(place, key);
            if let Some(before) = old.get(key) {
                self.below(key, |walk| walk.schema(&here, before, schema));
                continue;
            }
            match gone.twin(key, schema, || self.step()) {
                Ok(Some(before)) => {
                    let because = format!("`{before}` is called `{key}`");
                    self.renamed.insert(before.to_owned());
                    self.shifted(&here, Kind::ArgumentRenamed, Shift::Other, 0.1, because);
                    if self.takes() && !old.get(before).is_some_and(|was| asked::is_asked(before, was)) {
                        asked::look(self.site, &here, key, schema);
                    }
                    if let Some(before) = old.get(before).filter(|before| *before != schema) {
                        self.schema(&here, before, schema);
                    }
                }
                Ok(None) => self.arrived(&here, required.contains(key.as_str()), (key, schema), a, b),
                Err(TooMany) => {
                    if !told {
                        self.unclear(place, "too many came and went to tell which were renamed");
                    }
                    told = true;
                    self.arrived(&here, required.contains(key.as_str()), (key, schema), a, b);
                }
            }
        }
        for key in gone.left() {
            // a result may lack what it never had to have; an argument that nobody takes is refused or means nothing
            let shift = match b.get("additionalProperties") {
                _ if self.takes() || by_pattern(a) || by_pattern(b) => Shift::Other,
                Some(Value::Bool(false)) => self.by_custom(),
                None if !self.free(b) => self.by_custom(),
                _ => Shift::Wider,
            };
            let weight = match guards::turn(key) {
                Some(Turn::Guards) if self.takes() => self.site.stakes.lifted(),
                _ => 0.06,
            };
            self.shifted(&at(place, key), Kind::ArgumentRemoved, shift, weight, format!("`{key}` is gone"));
        }
    }

    fn arrived(
        &mut self,
        place: &str,
        needed: bool,
        (key, schema): (&str, &Value),
        a: &Map<String, Value>,
        b: &Map<String, Value>,
    ) {
        let others = a.get("additionalProperties");
        let shift = match (self.direction, others) {
            _ if by_pattern(a) || by_pattern(b) => Shift::Other,
            (Direction::Results, Some(Value::Bool(false))) => Shift::Wider,
            // the old definition said what any further member is, and this one may be something else
            (Direction::Results, Some(Value::Object(said))) if !said.is_empty() => Shift::Other,
            (Direction::Results, _) => self.by_custom(),
            (Direction::Arguments, _) if needed => Shift::Narrower,
            // the old definition said what any further argument may be
            (Direction::Arguments, Some(Value::Object(_) | Value::Bool(true))) => Shift::Narrower,
            // an object that lists nothing is a map of anything, unless it is all that a call gives
            (Direction::Arguments, None) if self.free(a) => Shift::Narrower,
            (Direction::Arguments, _) => self.by_custom(),
        };
        self.shifted(place, Kind::ArgumentAdded, shift, 0.06, format!("`{key}` is new"));
        super::arguments::arrived(self.site, place, schema);
        if self.takes() {
            asked::look(self.site, place, key, schema);
        }
    }

    /// The same for whoever sends what is listed and reads what is listed. Below `not` and its like nobody does.
    fn by_custom(&self) -> Shift {
        if self.is_blurred() { Shift::Other } else { Shift::Same }
    }

    fn free(&self, schema: &Map<String, Value>) -> bool {
        self.depth > 1 && object(schema.get("properties")).is_empty()
    }

    /// What may stand beside the properties that are listed.
    pub(super) fn others(&mut self, place: &str, a: &Map<String, Value>, b: &Map<String, Value>, key: &str) {
        let (old, new) = (a.get(key), b.get(key));
        let open = |value: Option<&Value>| matches!(value, None | Some(Value::Bool(true)));
        let closed = |value: Option<&Value>| value == Some(&Value::Bool(false));
        match (old, new) {
            _ if open(old) && open(new) => {
                self.shifted(
                    place,
                    Kind::SchemaRewritten,
                    Shift::Same,
                    0.01,
                    "other words for the same".to_owned(),
                );
            }
            // arguments that nobody lists are not what a client with the old definition sends
            (None, _) if closed(new) && self.takes() && !self.free(a) => {
                self.shifted(
                    place,
                    Kind::ClosedToOthers,
                    self.by_custom(),
                    0.01,
                    "only what is listed is taken".to_owned(),
                );
            }
            _ if open(new) || closed(old) => {
                let said = old.is_some() && closed(old);
                let weight = if said { 0.45 } else { 0.2 };
                let because = "what is not listed is taken too".to_owned();
                self.shifted(place, Kind::OpenedToOthers, Shift::Wider, weight, because);
            }
            _ if open(old) || closed(new) => {
                self.shifted(
                    place,
                    Kind::ClosedToOthers,
                    Shift::Narrower,
                    0.03,
                    "less is taken beside what is listed".to_owned(),
                );
            }
            (Some(old), Some(new)) => self.schema(place, old, new),
            (None, _) | (_, None) => {}
        }
    }
}
