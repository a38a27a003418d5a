//! Tools that work as tasks (SEP-2663) where the caller can follow one, and at once where it cannot.

use std::time::Duration;

use futures::FutureExt as _;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, JsonObject,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::Value;

use crate::rounds::elicitation;
use crate::tools::{broken, told};

/// Between two polls, as we ask for it. A test should not wait for us.
const POLL_MS: u64 = 50;

/// How long a job works that says nothing else.
const WORK: Duration = Duration::from_millis(300);

type Done = Result<CallToolResult, TaskExit>;

/// A job, and whether it can be done at once.
#[derive(Debug, Clone)]
enum Job {
    Compute { seconds: u64, label: String },
    Fail,
    Break,
    Confirm { filename: String },
    AskTwice,
    Greet { name: String },
}

/// Does a tool's work, if the tool is one of those that work as tasks. `name` is what was answered before it began.
pub(crate) fn call(
    tasks: &TaskManager,
    (tool, arguments): (&str, &JsonObject),
    follows: bool,
    name: Option<&str>,
) -> Option<impl Future<Output = Result<CallToolResponse, ErrorData>> + use<>> {
    let job = match tool {
        "slow_compute" => Job::Compute {
            seconds: arguments.get("seconds").and_then(Value::as_u64).unwrap_or_default(),
            label: told(arguments, "label").to_owned(),
        },
        "failing_job" => Job::Fail,
        "protocol_error_job" => Job::Break,
        "confirm_delete" => Job::Confirm { filename: told(arguments, "filename").to_owned() },
        "multi_input" => Job::AskTwice,
        "test_tool_with_task" => Job::Greet { name: name.unwrap_or("nobody").to_owned() },
        _ => return None,
    };
    let tasks = tasks.clone();
    Some(async move {
        if follows {
            let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
            let task = tasks.spawn(options, |context| work(job, context).boxed());
            return Ok(CreateTaskResult::new(task).into());
        }
        let Job::Compute { seconds, label } = job else {
            let needs = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(needs));
        };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(computed(seconds, &label).into())
    })
}

async fn work(job: Job, context: TaskContext) -> Done {
    match job {
        Job::Compute { seconds, label } => {
            tokio::select! {
                () = context.cancelled() => Err(TaskExit::Cancelled),
                () = tokio::time::sleep(Duration::from_secs(seconds)) => Ok(computed(seconds, &label)),
            }
        }
        Job::Fail => {
            tokio::time::sleep(WORK).await;
            Ok(CallToolResult::error(vec![ContentBlock::text("the job failed")]))
        }
        Job::Break => {
            tokio::time::sleep(WORK).await;
            Err(TaskExit::Error(ErrorData::internal_error("the job broke", None)))
        }
        Job::Confirm { filename } => {
            let answer = asked(&context, "confirm", "boolean", "Really delete it?").await?;
            Ok(text(format!("{filename}: {answer}")))
        }
        Job::AskTwice => {
            let name = asked(&context, "name", "string", "What is your name?");
            let sure = asked(&context, "confirm", "boolean", "Are you sure?");
            let (name, sure) = futures::future::try_join(name, sure).await?;
            Ok(text(format!("{name} {sure}")))
        }
        Job::Greet { name } => Ok(text(format!("Hello, {name}!"))),
    }
}

/// What the user filled in for one value, under its own name as key.
async fn asked(context: &TaskContext, member: &str, kind: &str, message: &str) -> Result<Value, TaskExit> {
    let question = serde_json::from_value(elicitation(message, member, kind)).map_err(broken)?;
    let answer = context.request_input(member, question).await?;
    Ok(answer.pointer(&format!("/content/{member}")).cloned().unwrap_or_default())
}

fn computed(seconds: u64, label: &str) -> CallToolResult {
    text(format!("{label}: {seconds} seconds of work"))
}

fn text(said: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(said)])
}
