//! Objects in a schema: which members they list, and what may stand beside them.

use super::Kind;
use super::fields::{at, object};
use super::refs::bare;
use super::schema::{Direction, Shift, Walk};
use serde_json::{Map, Value, json};

/// Whether a member may be said something of by its name alone: what is listed beside that is not all that holds for it.
fn by_pattern(schema: &Map<String, Value>) -> bool {
    !object(schema.get("patternProperties")).is_empty()
}

impl Walk<'_, '_> {
    pub(super) fn properties(&mut self, place: &str, a: &Map<String, Value>, b: &Map<String, Value>) {
        let (old, new) = (object(a.get("properties")), object(b.get("properties")));
        let mut gone: Vec<&str> =
            old.keys().map(String::as_str).filter(|key| !new.contains_key(*key)).collect();
        for (key, schema) in new {
            let here = at(place, key);
            match old.get(key) {
                Some(before) => self.schema(&here, before, schema),
                None => {
                    let twin = gone.iter().position(|other| {
                        old.get(*other)
                            .is_some_and(|before| bare(before) == bare(schema) && *before != json!({}))
                            && super::names::likeness(other, key) > 0.4
                    });
                    match twin {
                        Some(at) => {
                            let before = gone.remove(at);
                            let because = format!("`{before}` is called `{key}`");
                            self.shifted(&here, Kind::ArgumentRenamed, Shift::Other, 0.1, because);
                            if let Some(before) = old.get(before).filter(|before| *before != schema) {
                                self.schema(&here, before, schema);
                            }
                        }
                        None => self.arrived(&here, key, schema, a, b),
                    }
                }
            }
        }
        for key in gone {
            // a result may lack what it never had to have; an argument that nobody takes is refused or means nothing
            let shift = match b.get("additionalProperties") {
                _ if self.takes() || by_pattern(a) || by_pattern(b) => Shift::Other,
                Some(Value::Bool(false)) => self.by_custom(),
                None if !self.free(b) => self.by_custom(),
                _ => Shift::Wider,
            };
            self.shifted(&at(place, key), Kind::ArgumentRemoved, shift, 0.06, format!("`{key}` is gone"));
        }
    }

    fn arrived(
        &mut self,
        place: &str,
        key: &str,
        schema: &Value,
        a: &Map<String, Value>,
        b: &Map<String, Value>,
    ) {
        let needed =
            b.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == key));
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
