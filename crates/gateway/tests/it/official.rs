//! The official clients and a refund that finance has to approve: each makes the call once, and its own answer is the result.

use crate::approvals::{house, state, vote};
use crate::calls::POLICY;
use crate::house::House;
use crate::reach::proposed;
use decision::approval::State;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, ClientConfig,
    GetTaskParams, ProtocolVersion, TaskPayload, TaskStatus,
};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

/// One official client: what it is called, how it is started, what it says that it can do, and how that is told.
struct Official {
    name: &'static str,
    script: &'static str,
    more: Value,
    can: Value,
    revision: &'static str,
    /// Whether its person is told where people decide.
    told: bool,
}

fn all() -> Vec<Official> {
    let (url, form, nothing) =
        (json!({ "elicitation": { "url": {} } }), json!({ "elicitation": {} }), json!({}));
    let pin = json!({ "pin": "2026-07-28" });
    let one = |name, script, more: &Value, can: &Value, revision, told| Official {
        name,
        script,
        more: more.clone(),
        can: can.clone(),
        revision,
        told,
    };
    let (modern, legacy) = ("2026-07-28", "2025-11-25");
    let old = json!({ "mode": "legacy" });
    vec![
        one("TypeScript SDK v2, modern, visits an address", "held-v2.mjs", &pin, &url, modern, true),
        one("TypeScript SDK v2, modern, waits", "held-v2.mjs", &pin, &nothing, modern, false),
        one("Python SDK 2, modern, visits an address", "held.py", &nothing, &url, modern, true),
        one("Python SDK 2, modern, waits", "held.py", &nothing, &nothing, modern, false),
        one("TypeScript SDK v1, legacy, visits an address", "held-v1.mjs", &nothing, &url, legacy, true),
        one("TypeScript SDK v1, legacy, is shown a form", "held-v1.mjs", &nothing, &form, legacy, true),
        one("TypeScript SDK v1, legacy, waits", "held-v1.mjs", &nothing, &nothing, legacy, false),
        one("Python SDK 2, legacy, visits an address", "held.py", &old, &url, legacy, true),
        one("Python SDK 2, legacy, waits", "held.py", &old, &nothing, legacy, false),
    ]
}

#[expect(clippy::disallowed_methods, reason = "`cargo xtask test` says where the fetched clients are")]
fn place(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

#[tokio::test]
async fn every_official_client_finishes_the_same_approved_refund() {
    let (Some(node), Some(python)) = (place("CALLGATE_EXTERNALS_NODE"), place("CALLGATE_EXTERNALS_PYTHON"))
    else {
        println!("left out: `cargo xtask test` runs it, with the clients it fetches");
        return;
    };
    for client in all() {
        let (house, script) = house(POLICY, Duration::from_secs(30)).await;
        let mut job = json!({ "url": format!("http://{}/mcp", house.address), "token": house.token,
            "name": "script__refund", "arguments": { "amount": 500 }, "can": client.can });
        job.as_object_mut().unwrap().extend(client.more.as_object().unwrap().clone());
        let mut command = match client.script.ends_with(".py") {
            true => {
                let mut command = Command::new(format!("{python}/bin/python"));
                let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients");
                command.arg(format!("{scripts}/{}", client.script));
                command
            }
            false => {
                let mut command = Command::new("node");
                command.arg(format!("{node}/{}", client.script));
                command
            }
        };
        command.arg(job.to_string()).stdout(Stdio::piped());
        let child = tokio::task::spawn_blocking(move || command.output().unwrap());
        let id = proposed(&house).await;
        // the client is told, or waits for a while
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(script.heard("tools/call").is_empty(), "{}: nothing left yet", client.name);
        vote(&house, id, "fay", true).await.unwrap();
        let said = child.await.unwrap().stdout;
        let said: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(said["text"], r#"refund: {"amount":500}"#, "{}: {said}", client.name);
        assert_eq!((&said["error"], &said["revision"]), (&json!(false), &json!(client.revision)), "{said}");
        let asked = said["asked"].as_array().unwrap();
        assert_eq!(!asked.is_empty(), client.told, "{}: {said}", client.name);
        assert!(asked.iter().all(|one| one.as_str().unwrap().contains(&id.to_string())), "{said}");
        assert_eq!((script.heard("tools/call").len(), state(&house, id).await), (1, State::Executed));
        println!("{}: approved, and done once (revision {})", client.name, client.revision);
    }
}

/// The official Rust SDK, the one that follows tasks of 2026-07-28.
#[derive(Debug, Clone)]
struct Follower;

impl ClientHandler for Follower {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.capabilities = ClientCapabilities::builder().enable_tasks().build();
        config
    }
}

async fn follower(house: &House) -> RunningService<RoleClient, Follower> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let url = format!("http://{}/mcp", house.address);
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(&*house.token);
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = ClientLifecycleMode::Discover { preferred_versions };
    Follower
        .serve_with_lifecycle(StreamableHttpClientTransport::from_config(config), lifecycle)
        .await
        .unwrap()
}

/// Begins the task of a refund that waits for people: its id.
async fn begins(client: &RunningService<RoleClient, Follower>, amount: u64) -> String {
    let arguments = json!({ "amount": amount }).as_object().unwrap().clone();
    let params = CallToolRequestParams::new("script__refund").with_arguments(arguments);
    let told = client.call_tool_once(params).await.unwrap();
    let begun = if let CallToolResponse::Task(begun) = told { Some(begun.task) } else { None };
    let begun = begun.unwrap();
    assert_eq!(begun.status, TaskStatus::Working);
    begun.task_id
}

#[tokio::test]
async fn the_official_rust_client_follows_the_task_of_a_held_call_to_its_end() {
    let (house, script) = house(POLICY, Duration::from_secs(30)).await;
    let client = follower(&house).await;
    let poll = async |task: &str| {
        let asked = client.get_task(GetTaskParams::new(task)).await.unwrap();
        asked.task.payload
    };
    let task = begins(&client, 500).await;
    let id = proposed(&house).await;
    assert_eq!(poll(&task).await, TaskPayload::Working);
    assert!(script.heard("tools/call").is_empty(), "nothing left yet");
    vote(&house, id, "fay", true).await.unwrap();
    let mut is = poll(&task).await;
    for _ in 0..50 {
        if is != TaskPayload::Working {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        is = poll(&task).await;
    }
    let TaskPayload::Completed { result } = is else { panic!("{is:?}") };
    assert_eq!(result["content"][0]["text"], r#"refund: {"amount":500}"#, "{result:?}");
    assert_eq!((script.heard("tools/call").len(), state(&house, id).await), (1, State::Executed));

    let task = begins(&client, 600).await;
    vote(&house, proposed(&house).await, "fay", false).await.unwrap();
    let TaskPayload::Failed { error } = poll(&task).await else { panic!("a no ends it") };
    assert_eq!(error["data"]["code"], "approval-denied", "{error:?}");

    let task = begins(&client, 700).await;
    let id = proposed(&house).await;
    client.cancel_task(CancelTaskParams::new(&*task)).await.unwrap();
    assert_eq!(poll(&task).await, TaskPayload::Cancelled);
    assert_eq!((state(&house, id).await, script.heard("tools/call").len()), (State::Cancelled, 1));
    drop(client.cancel().await);
}
