//! What servers offer, read from a file: the result of `tools/list`, an array of tools, or several servers side by side.
//!
//! Read strictly, because two readers of a key that occurs twice may see two tools. What a tool says of itself is kept
//! as it came, of whatever type it is: who looks for hidden text must see all of it.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

/// Largest file that is read: some 20,000 tools of the usual size.
pub const BYTES_MAX: usize = 64 << 20;
/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 100;

/// The key under `_meta` by which a modern server says what it is.
const IDENTITY: &str = "io.modelcontextprotocol/serverInfo";

/// What one server offers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// Its name, where the file gives one.
    pub server: Option<String>,
    /// What it says it is, an object: `serverInfo` of `initialize` or of `server/discover`.
    pub identity: Option<Value>,
    /// What it tells every client at the start.
    pub instructions: Option<String>,
    /// Each is an object with a `name`.
    pub tools: Vec<Value>,
    /// Each is an object with a `name`.
    pub prompts: Vec<Value>,
    /// Each is an object.
    pub resources: Vec<Value>,
    /// Each is an object.
    pub resource_templates: Vec<Value>,
}

/// Why a file cannot be read. Nothing of it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    #[error("larger than {} MiB", BYTES_MAX >> 20)]
    TooLarge,
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("the key `{0}` occurs twice in one object")]
    DuplicateKey(String),
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error(
        "{0}; wanted is a `tools/list` result, an array of tools, or `[{{\"server\": NAME, \"tools\": […]}}, …]`"
    )]
    Shape(String),
    #[error("{0} has no `name`")]
    Nameless(String),
}

impl ListingError {
    /// The same for the same fault, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotJson(_) => "not-json",
            Self::DuplicateKey(_) => "duplicate-key",
            Self::TooDeep => "too-deep",
            Self::Shape(_) => "wrong-shape",
            Self::Nameless(_) => "no-name",
        }
    }
}

/// The value of JSON that means one thing, of bounded size and nesting.
///
/// Errors: [`ListingError`].
pub fn strict(json: &[u8]) -> Result<Value, ListingError> {
    if json.len() > BYTES_MAX {
        return Err(ListingError::TooLarge);
    }
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    check(json)?;
    serde_json::from_slice(json).map_err(|e| ListingError::NotJson(e.to_string()))
}

/// The servers of one file. A list without a server's name is one server without a name.
///
/// Errors: [`ListingError`].
pub fn read(json: &[u8]) -> Result<Vec<Offer>, ListingError> {
    of(strict(json)?)
}

/// The servers in a value that was read.
///
/// Errors: [`ListingError`].
pub fn of(value: Value) -> Result<Vec<Offer>, ListingError> {
    match value {
        Value::Object(_) => Ok(vec![offer(value, String::new())?]),
        Value::Array(elements) => several(elements),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(ListingError::Shape("neither an object nor an array".to_owned()))
        }
    }
}

/// An array is one of servers if its first element looks like one, and then all of them must.
fn several(elements: Vec<Value>) -> Result<Vec<Offer>, ListingError> {
    if !elements.first().is_some_and(is_server) {
        let tools = named(Value::Array(elements), "tool", "")?;
        let offer = Offer { tools, ..Offer::default() };
        return Ok(if offer.tools.is_empty() { vec![] } else { vec![offer] });
    }
    let each = elements.into_iter().enumerate();
    each.map(|(i, element)| {
        let place = format!("/{i}");
        if !is_server(&element) {
            return Err(ListingError::Shape(format!("`{place}` is no server, and the first element is one")));
        }
        offer(element, place)
    })
    .collect()
}

fn is_server(value: &Value) -> bool {
    value.get("server").is_some() || (value.get("tools").is_some() && value.get("name").is_none())
}

/// One server, or the result of `tools/list`, bare or in its response.
fn offer(value: Value, mut place: String) -> Result<Offer, ListingError> {
    let mut members = match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(ListingError::Shape(format!("`{place}` is no object")));
        }
    };
    if let Some(Value::Object(result)) = members.remove("result") {
        members = result;
        place.push_str("/result");
    }
    let server = text(members.remove("server"), "server", &place)?;
    let known = ["tools", "prompts", "resources", "resourceTemplates", "instructions"];
    if server.is_none() && !known.iter().any(|key| members.contains_key(*key)) {
        return Err(ListingError::Shape("an object without `tools`".to_owned()));
    }
    let identity = identity(&members, &place)?;
    let mut list = |key: &str| members.remove(key).unwrap_or(Value::Array(vec![]));
    let at = |key: &str| format!("{place}/{key}");
    Ok(Offer {
        tools: named(list("tools"), "tool", &at("tools"))?,
        prompts: named(list("prompts"), "prompt", &at("prompts"))?,
        resources: objects(list("resources"), "resource", &at("resources"))?,
        resource_templates: objects(
            list("resourceTemplates"),
            "resource template",
            &at("resourceTemplates"),
        )?,
        instructions: text(members.remove("instructions"), "instructions", &place)?,
        identity,
        server,
    })
}

/// Where a server of either era says what it is.
fn identity(members: &Map<String, Value>, place: &str) -> Result<Option<Value>, ListingError> {
    let modern = || members.get("_meta").and_then(|meta| meta.get(IDENTITY)).cloned();
    match members.get("serverInfo").cloned().or_else(modern) {
        None | Some(Value::Null) => Ok(None),
        Some(identity @ Value::Object(_)) => Ok(Some(identity)),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(ListingError::Shape(format!("`{place}/serverInfo` is no object")))
        }
    }
}

fn text(value: Option<Value>, key: &str, place: &str) -> Result<Option<String>, ListingError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(ListingError::Shape(format!("`{place}/{key}` is no text")))
        }
    }
}

fn objects(value: Value, what: &str, place: &str) -> Result<Vec<Value>, ListingError> {
    let Value::Array(elements) = value else {
        return Err(ListingError::Shape(format!("`{place}` is no array")));
    };
    match elements.iter().position(|element| !element.is_object()) {
        Some(i) => Err(ListingError::Shape(format!("the {what} at `{place}/{i}` is no object"))),
        None => Ok(elements),
    }
}

fn named(value: Value, what: &str, place: &str) -> Result<Vec<Value>, ListingError> {
    let elements = objects(value, what, place)?;
    let nameless = |element: &Value| element["name"].as_str().is_none_or(str::is_empty);
    match elements.iter().position(nameless) {
        Some(i) => Err(ListingError::Nameless(format!("the {what} at `{place}/{i}`"))),
        None => Ok(elements),
    }
}

/// Whether it is JSON that means one thing and can be walked.
fn check(json: &[u8]) -> Result<(), ListingError> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // the walk below has its own bound, which is the lower one
    let walked = Walk { depth: 0, fault: &fault }.deserialize(&mut deserializer);
    let whole = walked.and_then(|()| deserializer.end());
    whole.map_err(|error| fault.take().unwrap_or(ListingError::NotJson(error.to_string())))
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    depth: usize,
    fault: &'a Cell<Option<ListingError>>,
}

impl Walk<'_> {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
    fn fail<E: de::Error>(self, why: ListingError) -> E {
        let error = E::custom(&why);
        self.fault.set(Some(why));
        error
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(ListingError::TooDeep));
        }
        while elements.next_element_seed(self.deeper())?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(ListingError::TooDeep));
        }
        let mut keys = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(self.deeper())?;
            if let Some(twice) = keys.replace(key) {
                return Err(self.fail(ListingError::DuplicateKey(twice.chars().take(80).collect())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: &Value) -> Result<Vec<Offer>, ListingError> {
        read(value.to_string().as_bytes())
    }

    fn code(json: &str) -> &'static str {
        read(json.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn all_three_shapes_are_read() {
        let tool = json!({ "name": "look", "description": 7 });
        let alone = Offer { tools: vec![tool.clone()], ..Offer::default() };
        for shape in [
            json!({ "tools": [tool] }),
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [tool], "nextCursor": "x" } }),
            json!([tool]),
        ] {
            assert_eq!(of(&shape).unwrap(), std::slice::from_ref(&alone), "{shape}");
        }
        let two = json!([
            { "server": "a", "instructions": "Hello", "tools": [tool] },
            { "server": "b", "prompts": [{ "name": "p" }], "resources": [{ "uri": "x:y" }] },
        ]);
        let info = json!({ "name": "a", "version": "1" });
        for shape in [
            json!([{ "server": "a", "serverInfo": info, "tools": [] }]),
            json!({ "serverInfo": info, "tools": [] }),
            json!({ "result": { "_meta": { "io.modelcontextprotocol/serverInfo": info }, "tools": [] } }),
        ] {
            assert_eq!(of(&shape).unwrap()[0].identity.as_ref(), Some(&info), "{shape}");
        }
        let read = of(&two).unwrap();
        assert_eq!(read[0].server.as_deref(), Some("a"));
        assert_eq!(read[0].instructions.as_deref(), Some("Hello"));
        assert_eq!((read[1].tools.len(), read[1].prompts.len(), read[1].resources.len()), (0, 1, 1));
        assert_eq!(of(&json!([])).unwrap(), []);
        assert_eq!(of(&json!({ "tools": [] })).unwrap(), [Offer::default()]);
    }

    #[test]
    fn a_file_that_means_nothing_or_two_things_is_refused_with_its_code() {
        for bad in ["", "tools", "{\"tools\":[]", "[] []", "\u{0}", r#"[{"name":"\ud800"}]"#, "[NaN]"] {
            assert_eq!(code(bad), "not-json", "{bad}");
        }
        for bad in [
            "7",
            "null",
            "{}",
            r#"{"tools":{}}"#,
            r#"{"tools":[],"serverInfo":"a"}"#,
            r#"{"tools":[[]]}"#,
            r#"[7]"#,
            r#"[{"server":7,"tools":[]}]"#,
            r#"[{"server":"a","tools":[]},{"name":"x"}]"#,
            r#"[{"server":"a","instructions":[]}]"#,
            r#"{"result":{"prompts":7}}"#,
        ] {
            assert_eq!(code(bad), "wrong-shape", "{bad}");
        }
        for bad in [
            r#"{"tools":[{}]}"#,
            r#"[{"name":"a"},{"name":""}]"#,
            r#"[{"name":3}]"#,
            r#"{"prompts":[{"description":"x"}],"tools":[]}"#,
        ] {
            assert_eq!(code(bad), "no-name", "{bad}");
        }
        for bad in [
            r#"[{"name":"a","name":"b"}]"#,
            r#"{"tools":[],"tools":[{"name":"a"}]}"#,
            r#"[{"name":"a","x":[{"y":1,"\u0079":2}]}]"#,
        ] {
            assert_eq!(code(bad), "duplicate-key", "{bad}");
        }
    }

    #[test]
    fn nesting_and_size_have_bounds() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let tool = |inner: &str| format!(r#"[{{"name":"a","x":{inner}}}]"#);
        assert!(read(tool(&nested(DEPTH_MAX - 2)).as_bytes()).is_ok());
        assert_eq!(code(&tool(&nested(DEPTH_MAX - 1))), "too-deep");
        assert_eq!(code(&"[".repeat(1 << 20)), "too-deep");
        assert_eq!(code(&" ".repeat(BYTES_MAX + 1)), "too-large");
    }
}
