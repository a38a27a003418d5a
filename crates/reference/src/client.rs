//! The official Rust SDK as a client: the same steps as the scripts in `tests/clients`, and the same line of JSON.

#![expect(deprecated, reason = "servers still sample")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest,
    CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult,
    GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RequestContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde_json::{Map, Value, json};

use crate::catalog::object;
use crate::tools::broken;

/// How long a cancelled call runs before it is cancelled.
const CANCEL_AFTER: Duration = Duration::from_millis(500);
const CANCEL_TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

type Client = RunningService<RoleClient, Host>;

/// A client that counts the progress it hears of, with a person and a model who say what the profile says.
#[derive(Debug, Clone)]
struct Host {
    progress: Arc<AtomicU64>,
    profile: Arc<Map<String, Value>>,
}

impl Host {
    fn said(&self, step: &str, member: &str) -> Value {
        self.profile.get(step).and_then(|what| what.get(member)).cloned().unwrap_or_default()
    }
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().enable_sampling().build();
        let mut config = ClientConfig::default();
        config.capabilities = capabilities;
        config
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let answer = json!({ "action": "accept", "content": self.said("elicit", "content") });
        serde_json::from_value(answer).map_err(broken)
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let content = json!({ "type": "text", "text": self.said("sample", "text") });
        let answer = json!({ "role": "assistant", "model": "none", "content": content });
        serde_json::from_value(answer).map_err(broken)
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does what the job says; what it says about it is one line of JSON.
pub(crate) async fn run(job: &str) -> Result<String> {
    let job: Value = serde_json::from_str(job).context("the job is not JSON")?;
    let pin = text(&job, "pin");
    let name = if pin.is_empty() { "rust".to_owned() } else { format!("rust-{pin}") };
    let mut said = Map::from_iter([("client".to_owned(), json!(name)), ("revision".to_owned(), Value::Null)]);
    match connect(&job, pin).await {
        Err(fault) => drop(said.insert("connect".to_owned(), json!(format!("{fault:#}")))),
        Ok(client) => {
            let revision = client.peer_info().map(|info| info.protocol_version.to_string());
            said.insert("revision".to_owned(), json!(revision));
            let profile = job.get("profile").and_then(Value::as_object).cloned().unwrap_or_default();
            for step in
                ["list", "call", "read", "prompt", "complete", "progress", "elicit", "sample", "cancel"]
            {
                let outcome = match profile.get(step) {
                    None => Value::Null,
                    Some(what) => match take(&client, &job, step, what).await {
                        Ok(()) => json!("ok"),
                        Err(fault) => json!(format!("{fault:#}")),
                    },
                };
                said.insert(step.to_owned(), outcome);
            }
            drop(client.cancel().await);
        }
    }
    Ok(Value::Object(said).to_string())
}

async fn connect(job: &Value, pin: &str) -> Result<Client> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut config = StreamableHttpClientTransportConfig::with_uri(text(job, "url"));
    if !text(job, "token").is_empty() {
        config = config.auth_header(text(job, "token"));
    }
    let lifecycle = if pin == ProtocolVersion::V_2026_07_28.as_str() {
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
    } else {
        ClientLifecycleMode::Initialize
    };
    let transport = StreamableHttpClientTransport::from_config(config);
    let profile = job.get("profile").and_then(Value::as_object).cloned().unwrap_or_default();
    let host = Host { progress: Arc::default(), profile: Arc::new(profile) };
    Ok(host.serve_with_lifecycle(transport, lifecycle).await?)
}

async fn take(client: &Client, job: &Value, step: &str, what: &Value) -> Result<()> {
    let named = |key: &str| format!("{}{}", text(job, "prefix"), text(what, key));
    match step {
        "list" => {
            let offered: Vec<_> = client.list_all_tools().await?.into_iter().map(|tool| tool.name).collect();
            for wanted in what.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let name = format!("{}{wanted}", text(job, "prefix"));
                ensure!(offered.iter().any(|offered| *offered == name), "{name} is not among {offered:?}");
            }
            Ok(())
        }
        "call" | "elicit" | "sample" => expect(what, &call(client, named("name"), what).await?),
        "read" => {
            let result = client.read_resource(ReadResourceRequestParams::new(text(what, "uri"))).await?;
            expect(what, &serde_json::to_string(&result)?)
        }
        "prompt" => {
            let arguments = object(what.get("arguments").cloned().unwrap_or_default());
            let request = GetPromptRequestParams::new(named("name")).with_arguments(arguments);
            expect(what, &serde_json::to_string(&client.get_prompt(request).await?)?)
        }
        "complete" => {
            let argument = what.get("argument").cloned().unwrap_or_default();
            let (name, value) = (text(&argument, "name"), text(&argument, "value"));
            let completion = client.complete_prompt_argument(named("name"), name, value, None).await?;
            expect(what, &completion.values.join(" "))
        }
        "progress" => {
            let before = client.service().progress.load(Ordering::Relaxed);
            call(client, named("name"), what).await?;
            let seen = client.service().progress.load(Ordering::Relaxed) - before;
            let times = what.get("times").and_then(Value::as_u64).unwrap_or(1);
            ensure!(seen >= times, "saw {seen} of {times}");
            Ok(())
        }
        "cancel" => cancel(client, named("name"), named("count")).await,
        other => Err(anyhow!("there is no step `{other}`")),
    }
}

async fn call(client: &Client, name: String, what: &Value) -> Result<String> {
    let arguments = object(what.get("arguments").cloned().unwrap_or_else(|| Value::Object(Map::new())));
    let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await?;
    let said: String =
        result.content.iter().filter_map(|block| block.as_text()).map(|t| t.text.as_str()).collect();
    ensure!(result.is_error != Some(true), "{said}");
    Ok(said)
}

async fn cancel(client: &Client, slow: String, count: String) -> Result<()> {
    let before = call(client, count.clone(), &Value::Null).await?;
    let request = CallToolRequest::new(CallToolRequestParams::new(slow));
    let options = PeerRequestOptions::no_options();
    let open = client.send_cancellable_request(ClientRequest::CallToolRequest(request), options).await?;
    tokio::time::sleep(CANCEL_AFTER).await;
    open.cancel(Some("the test changed its mind".to_owned())).await?;
    for _ in 0..CANCEL_TRIES {
        if call(client, count.clone(), &Value::Null).await? != before {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(anyhow!("the server never heard of it"))
}

fn expect(what: &Value, answered: &str) -> Result<()> {
    let expected = text(what, "expect");
    ensure!(answered.contains(expected), "answered {answered}");
    Ok(())
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}
