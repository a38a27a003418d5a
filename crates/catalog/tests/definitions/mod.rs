//! Definitions of one tool each, and whether the scan flags them.

use callgate_catalog::listing::read;
use callgate_catalog::scan::scan;
use serde_json::{Map, Value, json};

pub(crate) fn flags(tool: &Value) -> bool {
    let offers = read(json!([tool]).to_string().as_bytes()).unwrap();
    scan(&offers).all().any(|one| one.severity.flags())
}

/// A tool of this name, with this text as its description.
pub(crate) fn told(name: &str, text: &str, arguments: &[&str]) -> Value {
    let properties: Map<String, Value> =
        arguments.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "name": name, "description": text, "inputSchema": { "type": "object", "properties": properties } })
}

pub(crate) fn asked(name: &str, argument: &str, text: &str) -> Value {
    json!({ "name": name, "description": "Does what its name says.", "inputSchema": { "type": "object",
        "properties": { argument: { "type": "string", "description": text } } } })
}
