//! What the tools do.

#![expect(deprecated, reason = "legacy clients still log and sample")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "tools that cannot fail answer in the same shape as those that can"
)]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    InputResponses, JsonObject, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
    ServerRequest,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::catalog::{PIXEL, SILENCE};
use crate::jobs;
use crate::rounds::{self, Seal, Step};
use crate::server::{Change, Reference};

/// Between two steps of a tool that takes a while.
const PAUSE: Duration = Duration::from_millis(50);

/// Rounds of questions to a legacy client.
const ROUNDS_MAX: usize = 5;

/// How long the slow tool works when nobody cancels it.
const SLOW: Duration = Duration::from_secs(10);

type Answer = Result<CallToolResponse, ErrorData>;
type Context = RequestContext<RoleServer>;

/// Calls a tool.
pub(crate) async fn call(server: &Reference, request: CallToolRequestParams, context: Context) -> Answer {
    let capabilities = context.client_capabilities();
    let arguments = request.arguments.unwrap_or_default();
    let round = Round {
        name: &request.name,
        arguments: &arguments,
        responses: request.input_responses.as_ref(),
        state: request.request_state.as_deref(),
    };
    match (asked(server, &context, round).await, server.is_modern(&context)) {
        (None, _) => {}
        (Some(Ok(Step::Ask(result))), _) => return Ok(result.into()),
        (Some(Ok(Step::Done(said))), _) if request.name != "test_tool_with_task" => return text(said),
        // its questions are asked before its task begins
        (Some(Ok(Step::Done(_))), _) => {}
        (Some(Err(refused)), true) => return Err(refused),
        (Some(Err(refused)), false) => return failed(&refused),
    }
    let follows = server.is_modern(&context) && capabilities.as_ref().is_some_and(|can| can.supports_tasks());
    let name = round.responses.and_then(|all| all.get("user_name")?.pointer("/content/name")?.as_str());
    if let Some(job) = jobs::call(&server.shared.tasks, (&request.name, &arguments), follows, name) {
        return job.await;
    }
    match request.name.as_ref() {
        "greet" => text(format!("Hello, {}!", told(&arguments, "name"))),
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
        "test_missing_capability" if capabilities.is_none_or(|can| can.sampling.is_none()) => {
            Err(ErrorData::missing_required_client_capability(
                ClientCapabilities::builder().enable_sampling().build(),
            ))
        }
        "test_missing_capability" => text("the client can sample"),
        "test_trigger_tool_change" => change(server, &context, Change::Tools).await,
        "reference_fewer" => {
            server.shared.offer_fewer();
            change(server, &context, Change::Tools).await
        }
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

/// One message to a tool or prompt, as far as questions go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a JsonObject,
    pub(crate) responses: Option<&'a InputResponses>,
    pub(crate) state: Option<&'a str>,
}

/// The next step of a tool or prompt that asks, in the way of the caller's era: a result that asks, or, before that was
/// possible, requests of our own until everything is answered. `None` where the name is of none that asks.
pub(crate) async fn asked(
    server: &Reference,
    context: &Context,
    round: Round<'_>,
) -> Option<Result<Step, ErrorData>> {
    let can_elicit = context.client_capabilities().is_some_and(|can| can.elicitation.is_some());
    let seal = &server.shared.seal;
    let first = rounds::step(seal, round, can_elicit)?;
    if server.is_modern(context) {
        return Some(first);
    }
    Some(asked_at_once(seal, context, round, first, can_elicit).await)
}

async fn asked_at_once(
    seal: &Seal,
    context: &Context,
    round: Round<'_>,
    first: Result<Step, ErrorData>,
    can_elicit: bool,
) -> Result<Step, ErrorData> {
    let (mut step, mut answers) = (first?, InputResponses::new());
    for _ in 0..ROUNDS_MAX {
        let Step::Ask(asks) = step else { return Ok(step) };
        let all = asks.input_requests.into_iter().flatten().map(async |(key, asked)| {
            let answer = question(context, serde_json::to_value(asked).map_err(broken)?).await?;
            Ok::<_, ErrorData>((key, serde_json::from_value(answer).map_err(broken)?))
        });
        answers.extend(futures::future::try_join_all(all).await?);
        let next = Round { responses: Some(&answers), state: asks.request_state.as_deref(), ..round };
        step = rounds::step(seal, next, can_elicit)
            .unwrap_or_else(|| Err(ErrorData::internal_error("it asked before", None)))?;
    }
    Ok(step)
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

pub(crate) fn told<'a>(arguments: &'a JsonObject, name: &str) -> &'a str {
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
