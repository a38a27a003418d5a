//! What the tools do.

#![expect(deprecated, reason = "legacy clients still log and sample")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "tools that cannot fail answer in the same shape as those that can"
)]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, JsonObject,
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ServerRequest,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::catalog::{PIXEL, SILENCE};
use crate::rounds::{self, Step};
use crate::server::{Change, Reference};

/// Between two steps of a tool that takes a while.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the slow tool works when nobody cancels it.
const SLOW: Duration = Duration::from_secs(10);

type Answer = Result<CallToolResponse, ErrorData>;
type Context = RequestContext<RoleServer>;

/// Calls a tool.
pub(crate) async fn call(server: &Reference, request: CallToolRequestParams, context: Context) -> Answer {
    let capabilities = context.client_capabilities();
    let can_elicit = capabilities.as_ref().is_some_and(|can| can.elicitation.is_some());
    let (responses, state) = (request.input_responses.as_ref(), request.request_state.as_deref());
    if server.is_modern(&context)
        && let Some(step) = rounds::step(&server.shared.seal, &request.name, responses, state, can_elicit)
    {
        return match step? {
            Step::Ask(result) => Ok(result.into()),
            Step::Done(said) => text(said),
        };
    }
    let arguments = request.arguments.unwrap_or_default();
    match request.name.as_ref() {
        "test_tool_with_logging" => log_three_times(server, &context).await,
        "test_logging_tool" => {
            server.log(&context, "from the logging tool").await;
            text("logged where asked")
        }
        "test_tool_with_progress" => progress_three_times(&context).await,
        "test_reconnection" => {
            tokio::time::sleep(PAUSE * 2).await;
            text("still here")
        }
        "test_sampling" => sample(&context, &arguments).await,
        "test_elicitation" => elicit(&context, told(&arguments, "message"), person()).await,
        "test_elicitation_sep1034_defaults" => {
            elicit(&context, "Please review the defaults", defaults()).await
        }
        "test_elicitation_sep1330_enums" => elicit(&context, "Please choose", choices()).await,
        "test_missing_capability" if capabilities.is_none_or(|can| can.sampling.is_none()) => {
            Err(ErrorData::missing_required_client_capability(
                ClientCapabilities::builder().enable_sampling().build(),
            ))
        }
        "test_missing_capability" => text("the client can sample"),
        "test_trigger_tool_change" => change(server, &context, Change::Tools).await,
        "test_trigger_prompt_change" => change(server, &context, Change::Prompts).await,
        "reference_touch" => {
            change(server, &context, Change::Resource(told(&arguments, "uri").to_owned())).await
        }
        "reference_slow" => slow(server, &context).await,
        "reference_cancelled" => text(server.shared.cancelled().to_string()),
        "reference_echo" => echo(&arguments),
        "json_schema_2020_12_tool" => text(format!("Hello, {}!", told(&arguments, "name"))),
        "test_custom_headers" => text(format!("The region is {}.", told(&arguments, "region"))),
        name => fixed(name),
    }
}

/// Tools that always answer the same.
fn fixed(name: &str) -> Answer {
    let image = json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" });
    let resource = |uri: &str, kind: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let content = match name {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": SILENCE, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => {
            json!([resource(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content."
            )])
        }
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image,
            resource(
                "test://mixed-content-resource",
                "application/json",
                "{\"test\":\"data\",\"value\":123}"
            ),
        ]),
        "test_error_handling" => json!([text("This tool intentionally returns an error for testing")]),
        _ => return Err(ErrorData::invalid_params(format!("there is no tool `{name}`"), None)),
    };
    let blocks: Vec<ContentBlock> = read(content)?;
    Ok(if name == "test_error_handling" {
        CallToolResult::error(blocks)
    } else {
        CallToolResult::success(blocks)
    }
    .into())
}

async fn log_three_times(server: &Reference, context: &Context) -> Answer {
    for (step, message) in
        ["Tool execution started", "Tool processing data", "Tool execution completed"].iter().enumerate()
    {
        if step > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        server.log(context, message).await;
    }
    text("logged three times")
}

async fn progress_three_times(context: &Context) -> Answer {
    let token = context.meta.get_progress_token();
    for (step, done) in [0.0, 50.0, 100.0].into_iter().enumerate() {
        if step > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(token) = &token {
            let progress = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            context.peer.notify_progress(progress).await.map_err(broken)?;
        }
    }
    text("reported progress three times")
}

async fn sample(context: &Context, arguments: &JsonObject) -> Answer {
    match question(context, rounds::sampling(told(arguments, "prompt"), 100)).await {
        Ok(answer) => text(format!("LLM response: {}", rounds::said(&answer))),
        Err(refused) => failed(&refused),
    }
}

async fn elicit(context: &Context, message: &str, schema: Value) -> Answer {
    let params = json!({ "message": message, "requestedSchema": schema });
    match question(context, json!({ "method": "elicitation/create", "params": params })).await {
        Ok(answer) => {
            let action = answer.get("action").and_then(Value::as_str).unwrap_or("nothing");
            let content = answer.get("content").unwrap_or(&Value::Null);
            text(format!("User response: action={action}, content={content}"))
        }
        Err(refused) => failed(&refused),
    }
}

/// Asks the client, as legacy servers do: a request of our own while theirs is open.
async fn question(context: &Context, request: Value) -> Result<Value, ErrorData> {
    let request: ServerRequest = read(request)?;
    let answer = context.peer.send_request(request).await.map_err(broken)?;
    serde_json::to_value(answer).map_err(broken)
}

/// Tells whoever listens that something changed.
async fn change(server: &Reference, context: &Context, change: Change) -> Answer {
    server.shared.tell(change.clone());
    if !server.is_modern(context) {
        server.tell_session(context, &change).await.map_err(broken)?;
    }
    text("told")
}

async fn slow(server: &Reference, context: &Context) -> Answer {
    tokio::select! {
        () = context.ct.cancelled() => {
            server.shared.count_cancelled();
            failed(&ErrorData::internal_error("cancelled", None))
        }
        () = tokio::time::sleep(SLOW) => text("nobody cancelled"),
    }
}

fn echo(arguments: &JsonObject) -> Answer {
    let times = arguments.get("times").and_then(Value::as_u64).map_or(1, |times| times.clamp(1, 9));
    let said: String = (0..times).map(|_| told(arguments, "text")).collect();
    Ok(CallToolResult::structured(json!({ "length": said.chars().count(), "text": said })).into())
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
    })
}

fn choices() -> Value {
    let titled = |word: &str| {
        json!([
            { "const": "value1", "title": format!("First {word}") },
            { "const": "value2", "title": format!("Second {word}") },
            { "const": "value3", "title": format!("Third {word}") },
        ])
    };
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
    })
}

fn told<'a>(arguments: &'a JsonObject, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn text(said: impl Into<String>) -> Answer {
    Ok(CallToolResult::success(vec![ContentBlock::text(said.into())]).into())
}

fn failed(why: &ErrorData) -> Answer {
    Ok(CallToolResult::error(vec![ContentBlock::text(why.message.to_string())]).into())
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(broken)
}

pub(crate) fn broken(fault: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(fault.to_string(), None)
}

/// A log message of this server.
pub(crate) fn log_message(message: &str) -> LoggingMessageNotificationParam {
    LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message)).with_logger("reference")
}
