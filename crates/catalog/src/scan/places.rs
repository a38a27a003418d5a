//! Every text of a definition, and what kind of text belongs where it stands.

use inspect::{Detector, Seat, Severity, Sighting};
use serde_json::Value;

/// Longest name of a member that is taken for a word of some format.
const WORD_MAX: usize = 40;

/// One text.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) text: &'a str,
    pub(super) pointer: String,
    pub(super) seat: Seat,
    /// The member that holds it, or whose list does.
    pub(super) key: &'a str,
    /// The parameter it is about.
    pub(super) parameter: Option<&'a str>,
    /// It is a parameter's name.
    pub(super) is_parameter: bool,
    /// It is about what a caller has to give.
    pub(super) asks: bool,
    /// It is the name of a parameter that is yes or no.
    pub(super) is_flag: bool,
}

impl Place<'_> {
    /// It is no prose of its author's, but data.
    pub(super) fn is_data(&self) -> bool {
        self.seat == Seat::Value && self.key != "instructions"
    }
    /// It says what a caller has to give.
    pub(super) fn is_asking(&self) -> bool {
        self.asks && matches!(self.seat, Seat::Prose | Seat::Title)
    }
    /// One of the deeds that the call is told to do.
    pub(super) fn is_action(&self) -> bool {
        self.key == "enum"
            && matches!(self.parameter, Some("action" | "operation" | "method" | "op" | "command"))
            && self.text.contains(['_', '-'])
    }

    /// What is yes or no carries nothing away, if its name is no sentence.
    pub(super) fn weakened(&self, mut sighting: Sighting) -> Sighting {
        let short = self.text.len() < 24;
        if self.is_flag && short && sighting.detector == Detector::ExfiltrationParameter {
            sighting.severity = sighting.severity.min(Severity::Low);
        }
        sighting
    }

    /// Too short and plain to say anything.
    pub(super) fn is_plain(&self) -> bool {
        self.text.len() < 9
            && self.seat != Seat::Prose
            && self.text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'~' | b'.' | b'@'))
    }
}

/// What a server says at the start.
pub(super) fn instructions(text: &str, pointer: String) -> Place<'_> {
    Place {
        text,
        pointer,
        seat: Seat::Value,
        key: "instructions",
        parameter: None,
        is_parameter: false,
        asks: false,
        is_flag: false,
    }
}

pub(super) fn of(definition: &Value) -> Vec<Place<'_>> {
    let mut walk = Walk { places: Vec::new(), pointer: String::new() };
    walk.value(definition, At { key: "", parameter: None, inside: Inside::Definition, asks: true });
    walk.places
}

/// The same of what a server calls itself. Its name is a title: it asks for nothing, as a parameter's does.
pub(super) fn of_identity(identity: &Value) -> Vec<Place<'_>> {
    let mut places = of(identity);
    for place in places.iter_mut().filter(|place| place.seat == Seat::Name && place.pointer == "/name") {
        place.seat = Seat::Title;
    }
    places
}

/// What the members of an object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Of a tool, a prompt or a resource.
    Definition,
    Schema,
    /// Parameters by name.
    Properties,
    /// Values of the tool's domain: defaults, examples, metadata.
    Free,
}

#[derive(Debug, Clone, Copy)]
struct At<'a> {
    key: &'a str,
    parameter: Option<&'a str>,
    inside: Inside,
    /// Its properties are what a caller has to give.
    asks: bool,
}

struct Walk<'a> {
    places: Vec<Place<'a>>,
    pointer: String,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, at: At<'a>) {
        match value {
            Value::String(text) => self.push(text, seat(at), at, false),
            Value::Array(elements) => {
                for (i, element) in elements.iter().enumerate() {
                    self.under(&i.to_string(), |walk| walk.value(element, at));
                }
            }
            Value::Object(members) => {
                for (key, inner) in members {
                    self.under(key, |walk| walk.member(key, inner, at));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn member(&mut self, key: &'a str, value: &'a Value, at: At<'a>) {
        if at.inside == Inside::Properties {
            // what a result is called asks for nothing
            let seat = if at.asks { Seat::Name } else { Seat::Value };
            self.push(key, seat, At { key, ..at }, at.asks);
            let flag = value.get("type").and_then(Value::as_str) == Some("boolean");
            if let Some(name) = self.places.last_mut() {
                name.is_flag = flag;
            }
            self.value(value, At { key, parameter: Some(key), inside: Inside::Schema, asks: at.asks });
            return;
        }
        let inside = match (at.inside, key) {
            (Inside::Definition, "inputSchema" | "outputSchema") => Inside::Schema,
            (Inside::Definition, "annotations" | "arguments" | "icons") => Inside::Definition,
            (Inside::Definition, _) if value.is_object() => Inside::Free,
            (
                Inside::Schema,
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
            ) => Inside::Properties,
            (Inside::Schema, "default" | "example" | "examples" | "const" | "enum") => Inside::Free,
            (inside, _) => inside,
        };
        // keys that nobody defined can say something too
        if at.inside == Inside::Free && inside == Inside::Free
            || matches!(at.inside, Inside::Definition | Inside::Schema) && is_no_word_of_the_format(key)
        {
            self.push(key, Seat::Name, at, false);
        }
        let parameter = if at.inside == Inside::Definition { None } else { at.parameter };
        let key = if at.inside == Inside::Free && inside == Inside::Free && !at.key.is_empty() {
            at.key
        } else {
            key
        };
        let asks = match key {
            "outputSchema" | "$defs" | "definitions" => false,
            _ => at.asks,
        };
        self.value(value, At { key, parameter, inside, asks });
    }

    fn push(&mut self, text: &'a str, seat: Seat, at: At<'a>, is_parameter: bool) {
        let pointer = self.pointer.clone();
        let asks = at.asks && at.parameter.is_some();
        self.places.push(Place {
            text,
            pointer,
            seat,
            key: at.key,
            parameter: at.parameter,
            is_parameter,
            asks,
            is_flag: false,
        });
    }

    fn under(&mut self, key: &str, then: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        self.pointer.push('/');
        // RFC 6901
        if key.contains(['~', '/']) {
            self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        } else {
            self.pointer.push_str(key);
        }
        then(self);
        self.pointer.truncate(length);
    }
}

/// No member that a definition or a schema has is called like this.
fn is_no_word_of_the_format(key: &str) -> bool {
    key.len() > WORD_MAX || !key.is_ascii() || key.contains(char::is_whitespace)
}

fn seat(at: At<'_>) -> Seat {
    match (at.inside, at.key) {
        (Inside::Definition, "name") => Seat::Name,
        (Inside::Definition | Inside::Schema, "title") => Seat::Title,
        (Inside::Definition | Inside::Schema, "description") => Seat::Prose,
        _ => Seat::Value,
    }
}
