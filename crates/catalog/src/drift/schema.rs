//! Two versions of a schema: what they refuse and allow, and in which direction that moved.

use super::alike::{Same, loosened};
use super::fields::{Site, at, is_cut, keys, object, strings, texts, told, unknown};
use super::opened::{is_open, takes_all};
use super::patterns::Trials;
use super::refs::{Referred, bends, branches, describes, resolve};
use super::text::Role;
use super::{Kind, defaults, values};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Who writes the values that the schema is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client: it goes on working if nothing is refused that was allowed.
    Arguments,
    /// The server: the client goes on working if nothing comes that did not come before.
    Results,
}

/// What happened to the set of values that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    Same,
    Wider,
    Narrower,
    /// Some fit now that did not, and the other way round; or it cannot be told.
    Other,
}

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 60;
/// So many pairs of schemas are compared; what is left is called unclear.
const STEPS_MAX: usize = 20_000;
/// So many values are looked at, each as often as it is: a reference has its target compared wherever it stands.
const VALUES_MAX: usize = 1_000_000;

pub(super) struct Walk<'a, 'b> {
    pub(super) site: &'a mut Site<'b>,
    roots: (&'a Value, &'a Value),
    pub(super) direction: Direction,
    /// Where neither direction is safe.
    blurred: bool,
    pub(super) depth: usize,
    steps: usize,
    values: usize,
    /// The argument that is compared, or what it is in; empty for none.
    pub(super) name: String,
    /// Members of the object that is compared that are called otherwise now.
    pub(super) renamed: BTreeSet<String>,
    /// What the new schema refers to, and whether what either refers to may stand where more means less: asked at most once.
    referred: Option<Referred>,
    bent: Option<bool>,
    pub(super) trials: Trials,
}

pub(super) fn compare(
    site: &mut Site<'_>,
    place: &str,
    direction: Direction,
    old: Option<&Value>,
    new: Option<&Value>,
) {
    let any = Value::Object(Map::new());
    let results = direction == Direction::Results;
    match (old, new) {
        (None, Some(_)) if results => {
            site.push(place, Kind::SchemaAdded, true, 0.04, "results are described now".to_owned());
            strings(site, place, None, new);
            return;
        }
        (Some(_), None) if results => {
            let because = "results are no longer described".to_owned();
            site.push(place, Kind::SchemaRemoved, false, 0.1, because);
            return;
        }
        (None, Some(_)) => {
            site.push(place, Kind::SchemaAdded, true, 0.05, "arguments are described now".to_owned())
        }
        (Some(_), None) => {
            let because = "arguments are no longer described".to_owned();
            site.push(place, Kind::SchemaRemoved, true, 0.4, because);
            return;
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let (old, new) = (old.unwrap_or(&any), new.unwrap_or(&any));
    let mut walk = Walk {
        site,
        roots: (old, new),
        direction,
        blurred: false,
        depth: 0,
        steps: STEPS_MAX,
        values: VALUES_MAX,
        name: String::new(),
        renamed: BTreeSet::new(),
        referred: None,
        bent: None,
        trials: Trials::default(),
    };
    walk.schema(place, old, new);
}

impl Walk<'_, '_> {
    /// Whether a shift lets a client with the old definition go on.
    fn fits(&self, shift: Shift) -> bool {
        match (self.direction, shift) {
            (_, Shift::Same) => true,
            (_, Shift::Other) => false,
            (Direction::Arguments, Shift::Wider) | (Direction::Results, Shift::Narrower) => !self.blurred,
            (Direction::Arguments, Shift::Narrower) | (Direction::Results, Shift::Wider) => false,
        }
    }

    pub(super) fn is_blurred(&self) -> bool {
        self.blurred
    }
    pub(super) fn takes(&self) -> bool {
        self.direction == Direction::Arguments
    }

    /// A change of what fits.
    pub(super) fn shifted(&mut self, place: &str, kind: Kind, shift: Shift, weight: f64, because: String) {
        let fits = self.fits(shift);
        let weight = match shift {
            // what a server answers is its own to widen
            _ if !self.takes() => weight.min(0.1),
            Shift::Wider => self.site.stakes.loosened(weight),
            Shift::Same | Shift::Narrower | Shift::Other => weight,
        };
        self.site.push(place, kind, fits, weight, because);
    }

    /// Wider only by what may be left out.
    pub(super) fn left_out(&mut self, place: &str, kind: Kind, weight: f64, because: String) {
        self.site.push(place, kind, self.fits(Shift::Wider), weight, because);
    }

    /// Below a member of this name.
    pub(super) fn below(&mut self, name: &str, each: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.name, name.to_owned());
        each(self);
        self.name = outer;
    }

    /// Whether one more pair may be compared.
    pub(super) fn step(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or_default();
        left.is_some()
    }

    /// Whether both may be looked at once more.
    fn afford(&mut self, old: &Value, new: &Value) -> bool {
        let left = [old, new].into_iter().try_fold(self.values, |left, value| size(value, left));
        self.values = left.unwrap_or_default();
        left.is_some()
    }

    /// What nobody compared may be anything, in results too: somebody has to look.
    pub(super) fn unclear(&mut self, place: &str, because: &str) {
        self.site.push(place, Kind::SchemaUnclear, false, 0.3, because.to_owned());
    }

    /// Two schemas, wherever they stand.
    pub(super) fn schema(&mut self, place: &str, old: &Value, new: &Value) {
        if !self.afford(old, new) {
            return self.unclear(place, "too large to be compared");
        }
        if old == new {
            return;
        }
        let count = self.site.changes.len();
        if self.depth == DEPTH_MAX {
            return self.unclear(place, "nested too deeply to be compared");
        }
        if !self.step() {
            return self.unclear(place, "too much changed to be compared");
        }
        self.depth += 1;
        let open = Map::new();
        let members = |value: &Value| match value {
            Value::Object(members) => Some(members.clone()),
            Value::Bool(true) => Some(open.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        };
        match (members(old), members(new)) {
            (Some(a), Some(b)) => self.members(place, &a, &b),
            (None, Some(_)) if *old == Value::Bool(false) => {
                self.shifted(
                    place,
                    Kind::SchemaUnclear,
                    Shift::Wider,
                    0.1,
                    "nothing fitted before".to_owned(),
                );
            }
            (Some(_), None) if *new == Value::Bool(false) => {
                self.shifted(
                    place,
                    Kind::SchemaUnclear,
                    Shift::Narrower,
                    0.1,
                    "nothing fits any more".to_owned(),
                );
            }
            _ => {
                let because = format!("it was {} and is {}", told(Some(old)), told(Some(new)));
                self.shifted(place, Kind::SchemaUnclear, Shift::Other, 0.2, because);
            }
        }
        if self.site.changes.len() == count {
            self.site.push(place, Kind::SchemaRewritten, true, 0.01, "other words for the same".to_owned());
        }
        self.depth -= 1;
    }

    fn members(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        if old.get("$ref") != new.get("$ref") {
            return self.references(place, old, new);
        }
        if old.contains_key("anyOf") != new.contains_key("anyOf") {
            let (a, b) = (branches(&Value::Object(old.clone())), branches(&Value::Object(new.clone())));
            // one alone on each side: alternatives beside other words, which are compared word by word
            if a.len() > 1 || b.len() > 1 {
                self.described(place, old, new);
                return self.alternatives(place, "anyOf", &a, &b);
            }
        }
        values::types(self, place, old, new);
        values::choices(self, place, old, new);
        let outer = std::mem::take(&mut self.renamed);
        // properties before what is required of them
        for key in keys(old, new) {
            let (before, after) = (old.get(key), new.get(key));
            if before != after {
                self.word(place, key, (old, new));
            }
        }
        self.renamed = outer;
    }

    /// Only what describes.
    fn described(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for key in keys(old, new).into_iter().filter(|key| describes(key)) {
            if old.get(key) != new.get(key) {
                self.word(place, key, (old, new));
            }
        }
    }

    fn references(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        // to be resolved is to be copied
        if self.values == 0 || self.steps == 0 {
            return self.unclear(place, "too large to be compared");
        }
        let told = format!("it was {} and is {}", told(old.get("$ref")), told(new.get("$ref")));
        let (a, b) = (Value::Object(old.clone()), Value::Object(new.clone()));
        let roots = self.roots;
        match (resolve(roots.0, &a), resolve(roots.1, &b)) {
            (Some(a), Some(b)) => {
                self.shifted(place, Kind::ReferenceChanged, Shift::Same, 0.02, told);
                self.schema(place, &a, &b);
            }
            _ => self.shifted(place, Kind::ReferenceChanged, Shift::Other, 0.15, told),
        }
    }

    fn word(&mut self, place: &str, key: &str, (a, b): (&Map<String, Value>, &Map<String, Value>)) {
        let here = at(place, key);
        let (old, new) = (a.get(key), b.get(key));
        match key {
            "type" | "enum" | "const" => {}
            "description" => texts(self.site, &here, Role::Argument, old, new),
            "title" => texts(self.site, &here, Role::Label, old, new),
            "properties" => self.properties(&here, a, b),
            "required" => values::required(self, &here, (a, b)),
            "additionalProperties" | "unevaluatedProperties" => self.others(&here, a, b, key),
            "items" => self.elements(&here, old, new),
            "anyOf" | "oneOf" if old.is_none() || new.is_none() => self.restriction(&here, old, new),
            "allOf" | "anyOf" | "oneOf" => {
                let list =
                    |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
                self.alternatives(place, key, &list(old), &list(new));
            }
            "$defs" | "definitions" => self.parts(&here, object(old), object(new)),
            "patternProperties"
                if takes_all(object(new), &self.trials) && !takes_all(object(old), &self.trials) =>
            {
                let closed = b.get("additionalProperties") == Some(&Value::Bool(false));
                let because = "members of any name are taken by their pattern".to_owned();
                let weight = if closed { 0.45 } else { 0.2 };
                self.shifted(&here, Kind::OpenedToOthers, Shift::Other, weight, because);
                strings(self.site, &here, old, new);
            }
            "not" | "if" | "then" | "else" | "contains" | "propertyNames" | "dependentSchemas"
            | "patternProperties" | "dependentRequired" | "dependencies" | "prefixItems"
            | "additionalItems" | "unevaluatedItems" => {
                self.condition(&here, old, new);
            }
            "default" => defaults::default(self, &here, old, new),
            "examples" | "example" => {
                self.site.push(&here, Kind::ExampleChanged, true, 0.02, "other examples".to_owned());
                strings(self.site, &here, old, new);
            }
            "$schema" => {
                let because = format!("it was {} and is {}", told(old), told(new));
                self.site.push(&here, Kind::DialectChanged, true, 0.01, because);
            }
            "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor" => {
                let because = format!("it was {} and is {}", told(old), told(new));
                self.shifted(&here, Kind::ReferenceChanged, Shift::Other, 0.15, because);
                strings(self.site, &here, old, new);
            }
            _ if values::bound(self, &here, key, old, new) => {}
            // a word that no validator knows refuses nothing
            _ => unknown(self.site, &here, old, new),
        }
    }

    fn elements(&mut self, place: &str, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(old), Some(new)) if !old.is_array() && !new.is_array() => self.schema(place, old, new),
            (None, Some(_)) => {
                self.shifted(
                    place,
                    Kind::ItemsImposed,
                    Shift::Narrower,
                    0.05,
                    "what a list holds is restricted".to_owned(),
                );
                strings(self.site, place, None, new);
            }
            (Some(_), None) => {
                self.shifted(
                    place,
                    Kind::ItemsLifted,
                    Shift::Wider,
                    0.2,
                    "a list may hold anything".to_owned(),
                );
            }
            _ => self.condition(place, old, new),
        }
    }

    /// Lists of schemas: which were taken out, which came in. One against one is compared.
    fn alternatives(&mut self, place: &str, key: &str, old: &[Value], new: &[Value]) {
        let here = at(place, key);
        let count = self.site.changes.len();
        let mut gone: Vec<(usize, &Value)> = Vec::new();
        let mut alike: Vec<(usize, &Value, &Value)> = Vec::new();
        let mut among = Same::among(new.iter());
        for (i, schema) in old.iter().enumerate() {
            match among.take(schema) {
                Some((j, other)) => alike.push((j, schema, other)),
                None => gone.push((i, schema)),
            }
        }
        let mut left = among.left();
        let opens = |trials: &Trials, schema: &Value| key != "allOf" && is_open(schema, trials);
        if let ([(_, before)], [(j, after)]) = (gone.as_slice(), left.as_slice())
            && !opens(&self.trials, after)
        {
            alike.push((*j, before, after));
            (gone, left) = (vec![], vec![]);
        }
        alike.extend(loosened(&mut gone, &mut left));
        let blurred = self.blurred;
        self.blurred |= key == "oneOf";
        for (j, before, after) in alike {
            self.schema(&format!("{here}/{j}"), before, after);
        }
        let (adds, takes) = match key {
            "anyOf" => (Shift::Wider, Shift::Narrower),
            "allOf" => (Shift::Narrower, Shift::Wider),
            _ => (Shift::Other, Shift::Other),
        };
        for (j, schema) in left {
            let place = format!("{here}/{j}");
            // beside what takes anything the others refuse nothing
            let (weight, all) = match opens(&self.trials, schema) {
                true => (0.45, ", and takes anything"),
                false => (0.06, ""),
            };
            let because = format!("{} came in{all}", told(Some(schema)));
            if schema.get("type").is_some_and(|of| of == "null") && key == "anyOf" {
                self.left_out(&place, Kind::AlternativeAdded, weight, because);
                continue;
            }
            self.shifted(&place, Kind::AlternativeAdded, adds, weight, because);
            super::arguments::arrived(self.site, &place, schema);
        }
        for (i, schema) in gone {
            let because = format!("{} went out", told(Some(schema)));
            self.shifted(&format!("{here}/{i}"), Kind::AlternativeRemoved, takes, 0.06, because);
        }
        self.blurred = blurred;
        if self.site.changes.len() == count {
            self.site.push(&here, Kind::SchemaRewritten, true, 0.01, "the same in another order".to_owned());
        }
    }

    /// Alternatives where there were none: whoever must fit one of them was free before.
    fn restriction(&mut self, place: &str, old: Option<&Value>, new: Option<&Value>) {
        if new.is_some() {
            let because = format!("one of these has to be fitted: {}", told(new));
            self.shifted(place, Kind::ConditionAdded, Shift::Narrower, 0.08, because);
        } else {
            let because = format!("none of these has to be fitted any more: {}", told(old));
            self.shifted(place, Kind::ConditionRemoved, Shift::Wider, 0.2, because);
        }
        for (i, schema) in new.and_then(Value::as_array).into_iter().flatten().enumerate() {
            super::arguments::arrived(self.site, &at(place, &i.to_string()), schema);
        }
    }

    /// Parts that are referred to: one that nobody refers to changes nothing.
    fn parts(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let blurred = self.blurred;
        let (was, is) = self.roots;
        self.blurred |= *self.bent.get_or_insert_with(|| bends(was) || bends(is));
        for key in keys(old, new) {
            let here = at(place, key);
            match (old.get(key), new.get(key)) {
                (Some(before), Some(after)) => self.schema(&here, before, after),
                (None, Some(part)) => {
                    self.site.push(&here, Kind::PartAdded, true, 0.02, format!("`{key}` can be referred to"));
                    super::arguments::arrived(self.site, &here, part);
                }
                (Some(_), None) => {
                    let referred = self.referred.get_or_insert_with(|| Referred::of(is));
                    // a place that was cut is none that can be looked for
                    let dangling = is_cut(&here) || referred.below(&here);
                    let shift = if dangling { Shift::Other } else { Shift::Same };
                    self.shifted(&here, Kind::PartRemoved, shift, 0.02, format!("`{key}` is gone"));
                }
                (None, None) => {}
            }
        }
        self.blurred = blurred;
    }

    /// Conditions and the like, of which neither direction can be told.
    fn condition(&mut self, place: &str, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => {
                let because = format!("a condition came in: {}", told(new));
                self.shifted(place, Kind::ConditionAdded, Shift::Other, 0.08, because);
            }
            (Some(_), None) => {
                let because = format!("a condition is gone: {}", told(old));
                self.shifted(place, Kind::ConditionRemoved, Shift::Other, 0.2, because);
            }
            _ => {
                let because = format!("it was {} and is {}", told(old), told(new));
                self.shifted(place, Kind::SchemaUnclear, Shift::Other, 0.1, because);
            }
        }
        strings(self.site, place, old, new);
    }
}

/// What is left of so many values when those of this one are taken away.
fn size(value: &Value, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    match value {
        Value::Object(members) => members.values().try_fold(left, |left, value| size(value, left)),
        Value::Array(elements) => elements.iter().try_fold(left, |left, value| size(value, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(left),
    }
}
