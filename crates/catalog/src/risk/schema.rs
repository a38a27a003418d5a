//! What the arguments of a tool can name: operations, statements, commands, addresses, amounts.

use super::lexicon::Act;
use super::lists::items;
use super::name::{Name, Siblings};
use super::prose::quoted;
use super::words::split;
use serde_json::{Map, Value};

const ARGUMENTS_MAX: usize = 200;
/// Members that only wrap the arguments, as many generated servers have them.
const WRAPPERS: &[&str] =
    &["request", "input", "params", "parameters", "body", "data", "payload", "args", "arguments", "options"];

/// One argument.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    pub(super) pointer: String,
    pub(super) words: Vec<String>,
    pub(super) schema: &'a Value,
}

impl Argument<'_> {
    pub(super) fn description(&self) -> &str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }
    pub(super) fn is(&self, names: &[&str]) -> bool {
        let joined = self.words.join("_");
        names.contains(&joined.as_str())
    }
    pub(super) fn ends(&self, names: &[&str]) -> bool {
        self.words.last().is_some_and(|last| names.contains(&last.as_str()))
    }
    pub(super) fn has_type(&self, name: &str) -> bool {
        let types = self.schema.get("type");
        types.is_some_and(|types| {
            types.as_str() == Some(name)
                || types.as_array().is_some_and(|types| types.iter().any(|t| t == name))
        })
    }
    /// It can hold free text.
    pub(super) fn is_text(&self) -> bool {
        let listed = self.schema.get("enum").is_some();
        !listed && !["boolean", "integer", "number", "array", "object"].iter().any(|name| self.has_type(name))
    }
}

/// The arguments, those of a wrapper included.
pub(super) fn arguments(schema: Option<&Value>) -> Vec<Argument<'_>> {
    let mut found = Vec::new();
    if let Some(properties) = properties(schema) {
        collect(properties, "/inputSchema/properties", &mut found, 0);
    }
    found
}

fn properties(schema: Option<&Value>) -> Option<&Map<String, Value>> {
    schema?.get("properties")?.as_object()
}

fn collect<'a>(properties: &'a Map<String, Value>, place: &str, found: &mut Vec<Argument<'a>>, depth: usize) {
    for (name, schema) in properties.iter().take(ARGUMENTS_MAX) {
        if found.len() >= ARGUMENTS_MAX {
            return;
        }
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{place}/{escaped}");
        let inner = schema.get("properties").and_then(Value::as_object);
        if let (Some(inner), true, true) =
            (inner, WRAPPERS.contains(&name.to_ascii_lowercase().as_str()), depth < 2)
        {
            collect(inner, &format!("{pointer}/properties"), found, depth + 1);
        }
        found.push(Argument { pointer, words: split(name), schema });
    }
}

/// A deed that an argument can choose.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) act: Act,
    pub(super) value: String,
    pub(super) pointer: String,
}

/// The deeds that arguments such as `action` can choose between: from their enumerations, else from what their
/// descriptions put in quotes.
pub(super) fn operations(arguments: &[Argument<'_>]) -> Vec<Operation> {
    let choosing = arguments.iter().filter(|argument| {
        argument.is(&[
            "action",
            "actions",
            "method",
            "http_method",
            "operation",
            "op",
            "verb",
            "operation_type",
            "action_type",
            "request_method",
        ]) || (argument.is(&["command", "mode", "subcommand", "type"]) && values(argument.schema).is_some())
    });
    let mut found: Vec<Operation> = choosing.flat_map(|argument| deeds(argument)).collect();
    found.extend(arguments.iter().flat_map(variants));
    found
}

/// The deeds of an argument that is one of several shapes, each with its own name of what it does.
fn variants(argument: &Argument<'_>) -> Vec<Operation> {
    let shapes = ["anyOf", "oneOf"].iter().find_map(|of| argument.schema.get(of)?.as_array());
    let named = |shape: &Value| {
        let names = ["operation", "action", "method", "op"];
        let constant =
            names.iter().find_map(|name| shape.get("properties")?.get(name)?.get("const")?.as_str())?;
        let act = deed(constant, true)?;
        Some(Operation { act, value: constant.to_owned(), pointer: argument.pointer.clone() })
    };
    shapes.into_iter().flatten().take(100).filter_map(named).collect()
}

fn deeds(argument: &Argument<'_>) -> Vec<Operation> {
    let operation = |(act, value)| Operation { act, value, pointer: argument.pointer.clone() };
    match values(argument.schema) {
        Some(values) => {
            let surely = !argument.is(&["mode", "type"]);
            let known =
                values.iter().take(100).filter_map(|value| Some((deed(value, surely)?, (*value).to_owned())));
            known.map(operation).collect()
        }
        None => {
            // both: `create-job, delete-job, get-job. Choose "get-job" where nothing may be written`
            let text = argument.description();
            let said = quoted(text).into_iter().chain(listed(text)).chain(items(text));
            said.map(operation).collect()
        }
    }
}

/// The deeds of a list in prose, as `action to perform: list, create or delete` has them: two at least, and little else.
fn listed(text: &str) -> Vec<(Act, String)> {
    let sentences = text.split(['.', '\n', ';']);
    let deeds = |sentence: &str| {
        let parts: Vec<&str> = sentence.split([',', '|', '/']).flat_map(|part| part.split(" or ")).collect();
        let word = |(at, part): (usize, &&str)| {
            let mut words = part.split_whitespace().filter(|word| !matches!(*word, "or" | "and"));
            let word = if at == 0 { words.next_back() } else { words.next() };
            let word = word.unwrap_or_default().trim_matches(|c: char| !c.is_alphanumeric());
            Some((deed(word, false)?, word.to_owned()))
        };
        let deeds: Vec<(Act, String)> = parts.iter().enumerate().filter_map(word).collect();
        if deeds.len() > 1 && deeds.len() * 3 >= parts.len() * 2 { deeds } else { Vec::new() }
    };
    sentences.map(deeds).find(|deeds| !deeds.is_empty()).unwrap_or_default()
}

/// What an enumeration's value does: a method of HTTP, or the verb of its name.
pub(super) fn deed(value: &str, surely: bool) -> Option<Act> {
    match super::Method::parse(value).filter(|_| value.chars().all(char::is_uppercase)) {
        Some(super::Method::Safe) => return Some(Act::Read),
        Some(super::Method::Post) => return Some(Act::Add),
        Some(super::Method::Put | super::Method::Patch) => return Some(Act::Change),
        Some(super::Method::Delete) => return Some(Act::Remove),
        None => {}
    }
    let name = Name::of(value, &Siblings::default());
    let writes = name.acts.iter().map(|(act, _)| *act).max()?;
    (surely || !name.unsure).then_some(writes)
}

fn values(schema: &Value) -> Option<Vec<&str>> {
    let direct = schema.get("enum").and_then(Value::as_array);
    let nested = || {
        let any = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)?;
        any.iter().find_map(|one| one.get("enum").and_then(Value::as_array))
    };
    let items = || schema.get("items")?.get("enum")?.as_array();
    let values = direct.or_else(nested).or_else(items)?;
    let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    if texts.is_empty() { None } else { Some(texts) }
}
