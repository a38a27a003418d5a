//! What the server offers, as its authors would write it down.

use rmcp::model::{JsonObject, Prompt, Resource, ResourceTemplate, Tool};
use serde_json::{Value, json};

/// One red pixel, as PNG, in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// No sound at all, as WAV, in base64.
pub(crate) const SILENCE: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// Tools without arguments: name and description.
const PLAIN: &[(&str, &str)] = &[
    ("test_simple_text", "answers one text"),
    ("test_image_content", "answers one image"),
    ("test_audio_content", "answers one sound"),
    ("test_embedded_resource", "answers one embedded resource"),
    ("test_multiple_content_types", "answers text, an image and a resource"),
    ("test_tool_with_logging", "writes three log messages while it works"),
    ("test_logging_tool", "writes a log message where the caller asked for them"),
    ("test_error_handling", "always fails"),
    ("test_tool_with_progress", "reports progress three times"),
    ("test_reconnection", "takes a moment, so that a client can lose its stream"),
    ("test_elicitation_sep1034_defaults", "asks the user for values that all have defaults"),
    ("test_elicitation_sep1330_enums", "asks the user to choose, in every way a schema can say"),
    ("test_missing_capability", "needs a client that can sample"),
    ("test_streaming_elicitation", "asks the user while it streams"),
    ("test_trigger_tool_change", "says that the list of tools changed"),
    ("test_trigger_prompt_change", "says that the list of prompts changed"),
    ("test_input_required_result_elicitation", "asks for a name, then greets"),
    ("test_input_required_result_sampling", "asks the model a question, then answers with it"),
    ("test_input_required_result_list_roots", "asks for the roots, then lists them"),
    ("test_input_required_result_request_state", "asks, and checks that its state comes back"),
    ("test_input_required_result_multiple_inputs", "asks three things at once"),
    ("test_input_required_result_multi_round", "asks twice, one after the other"),
    ("test_input_required_result_tampered_state", "asks, and refuses a state it did not give"),
    ("test_input_required_result_capabilities", "asks only what the client can answer"),
    ("reference_slow", "works until it is cancelled, for ten seconds at most"),
    ("reference_cancelled", "answers how many slow calls were cancelled"),
    ("reference_fewer", "offers one tool less from now on, and says so"),
];

/// Every tool.
pub(crate) fn tools() -> Vec<Tool> {
    let mut tools: Vec<Tool> = PLAIN
        .iter()
        .map(|(name, about)| tool(name, about, json!({ "type": "object", "properties": {} })))
        .collect();
    tools.push(tool("test_sampling", "asks the client's model", one("prompt", "what to ask the model")));
    tools.push(tool("test_elicitation", "asks the user", one("message", "what to ask the user")));
    tools.push(tool("reference_touch", "says that a resource changed", one("uri", "which resource")));
    tools.push(tool(
        "json_schema_2020_12_tool",
        "has a schema with much of JSON Schema 2020-12",
        schema_2020_12(),
    ));
    tools.push(tool("test_custom_headers", "has arguments that are also headers", custom_headers()));
    tools.extend(jobs());
    tools.push(echo());
    tools
}

/// Those that may take long enough to be followed as a task, and one of the suite's that does not.
fn jobs() -> Vec<Tool> {
    let compute = json!({
        "type": "object",
        "properties": { "seconds": { "type": "integer", "minimum": 0 }, "label": { "type": "string" } },
        "required": ["seconds"],
    });
    let nothing = json!({ "type": "object", "properties": {} });
    vec![
        tool("greet", "greets at once", one("name", "whom to greet")),
        tool("slow_compute", "takes as long as it is told", compute),
        tool("failing_job", "fails after a while", nothing.clone()),
        tool("protocol_error_job", "breaks after a while", nothing.clone()),
        tool("confirm_delete", "asks before it goes on", one("filename", "what to delete")),
        tool("multi_input", "asks two things at once while it works", nothing.clone()),
        tool("test_tool_with_task", "asks for a name, then greets in its own time", nothing),
    ]
}

/// One tool by its name.
pub(crate) fn tool_named(name: &str) -> Option<Tool> {
    tools().into_iter().find(|tool| tool.name == name)
}

fn tool(name: &'static str, about: &'static str, schema: Value) -> Tool {
    Tool::new(name, about, object(schema))
}

/// A schema with one required string.
fn one(name: &str, about: &str) -> Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string", "description": about } },
        "required": [name],
    })
}

/// The one tool with a structured result and annotations.
fn echo() -> Tool {
    let described = json!({
        "name": "reference_echo",
        "title": "Echo",
        "description": "answers what it is told, structured",
        "inputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string" }, "times": { "type": "integer", "minimum": 1, "maximum": 9 } },
            "required": ["text"],
            "additionalProperties": false,
        },
        "outputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string" }, "length": { "type": "integer" } },
            "required": ["text", "length"],
        },
        "annotations": { "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false },
    });
    serde_json::from_value(described).unwrap_or_else(|_| tool("reference_echo", "broken", json!({})))
}

/// As the scenario `json-schema-2020-12` wants it.
fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

fn custom_headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "note": { "type": "string" },
        },
        "required": ["region"],
    })
}

/// Every prompt.
pub(crate) fn prompts() -> Vec<Prompt> {
    listed(json!([
        { "name": "test_simple_prompt", "description": "a prompt without arguments" },
        {
            "name": "test_prompt_with_arguments",
            "description": "a prompt with two arguments",
            "arguments": [
                { "name": "arg1", "description": "the first", "required": true },
                { "name": "arg2", "description": "the second", "required": true },
            ],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "a prompt that carries a resource",
            "arguments": [{ "name": "resourceUri", "description": "which resource", "required": true }],
        },
        { "name": "test_prompt_with_image", "description": "a prompt that carries an image" },
        { "name": "test_input_required_result_prompt", "description": "a prompt that asks the user first" },
    ]))
}

/// Every resource.
pub(crate) fn resources() -> Vec<Resource> {
    listed(json!([
        { "uri": "test://static-text", "name": "static-text", "description": "some text", "mimeType": "text/plain" },
        { "uri": "test://static-binary", "name": "static-binary", "description": "a pixel", "mimeType": "image/png" },
        { "uri": "test://watched-resource", "name": "watched", "description": "may change", "mimeType": "text/plain" },
    ]))
}

/// Every resource template.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    listed(json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "some data by its id",
        "mimeType": "application/json",
    }]))
}

/// The contents of a resource, if there is one of that name.
pub(crate) fn contents(uri: &str) -> Option<Value> {
    match uri {
        "test://static-text" => Some(json!({
            "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource.",
        })),
        "test://static-binary" => Some(json!({ "uri": uri, "mimeType": "image/png", "blob": PIXEL })),
        "test://watched-resource" => {
            Some(json!({ "uri": uri, "mimeType": "text/plain", "text": "It may change." }))
        }
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            Some(json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() }))
        }
    }
}

/// The messages of a prompt, if there is one of that name.
pub(crate) fn messages(name: &str, arguments: &JsonObject) -> Option<Value> {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let user = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: String| json!({ "type": "text", "text": text });
    match name {
        "test_simple_prompt" => Some(json!([user(text("This is a simple prompt for testing.".to_owned()))])),
        "test_prompt_with_arguments" => {
            let (one, two) = (argument("arg1"), argument("arg2"));
            Some(json!([user(text(format!("Prompt with arguments: arg1='{one}', arg2='{two}'")))]))
        }
        "test_prompt_with_embedded_resource" => {
            let embedded = "Embedded resource content for testing.";
            let resource =
                json!({ "uri": argument("resourceUri"), "mimeType": "text/plain", "text": embedded });
            Some(json!([
                user(json!({ "type": "resource", "resource": resource })),
                user(text("Please process the embedded resource above.".to_owned())),
            ]))
        }
        "test_prompt_with_image" => Some(json!([
            user(json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" })),
            user(text("Please analyze the image above.".to_owned())),
        ])),
        _ => None,
    }
}

fn listed<T: serde::de::DeserializeOwned>(items: Value) -> Vec<T> {
    serde_json::from_value(items).unwrap_or_default()
}

/// The members of an object; nothing of anything else.
pub(crate) fn object(value: Value) -> JsonObject {
    if let Value::Object(members) = value { members } else { JsonObject::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_what_is_offered() {
        assert_eq!(prompts().len(), 5);
        assert_eq!(resources().len(), 3);
        assert_eq!(templates().len(), 1);
        assert_eq!(tools().len(), PLAIN.len() + 6 + jobs().len());
        assert!(echo().output_schema.is_some());
    }

    #[test]
    fn a_resource_nobody_offers_has_no_contents() {
        assert!(contents("test://template/7/data").is_some());
        assert!(contents("test://template/7").is_none());
        assert!(contents("test://nothing").is_none());
    }
}
