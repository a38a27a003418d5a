//! A server that does whatever a test tells it to, in either era.

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse, routing::post};
use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

/// What the server says to one request.
pub(crate) enum Said {
    Result(Value),
    Error(Value),
    /// A legacy session of this id, whose requests come with it.
    Begun(String),
    /// This status and nothing else.
    Status(u16),
    /// These messages on the request's own stream, and then the result.
    Stream(Vec<Value>, Value),
    /// These messages, each so many milliseconds after the one before, over and over if it says so, and never a result.
    Open(Vec<(u64, Value)>, bool),
    /// These messages, and when the Host answered the question of this id, its answer as a text.
    Ask(Vec<Value>, &'static str),
}

type Behave = dyn Fn(&Value, &HeaderMap) -> Option<Said> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Rogue {
    pub(crate) url: String,
    state: Arc<Shared>,
}

impl fmt::Debug for Rogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rogue")
    }
}

struct Shared {
    modern: bool,
    behave: Box<Behave>,
    heard: Mutex<Vec<Value>>,
}

impl Rogue {
    /// Offers the tool `go` and the resource `file:///shared`; where `behave` says nothing, it is decent.
    pub(crate) async fn start(
        modern: bool,
        behave: impl Fn(&Value, &HeaderMap) -> Option<Said> + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(Shared { modern, behave: Box::new(behave), heard: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(hear)).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }
    pub(crate) fn heard(&self, method: &str) -> Vec<Value> {
        self.state.heard.lock().iter().filter(|heard| heard["method"] == method).cloned().collect()
    }
    /// What the server was answered to its question of that id.
    pub(crate) fn answers(&self, id: &str) -> Vec<Value> {
        let heard = self.state.heard.lock();
        heard.iter().filter(|heard| heard.get("method").is_none() && heard["id"] == id).cloned().collect()
    }
}

/// A text as a tool's result.
pub(crate) fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// A question of the legacy era.
pub(crate) fn question(id: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create",
        "params": { "message": "sure?", "requestedSchema": { "type": "object", "properties": {} } } })
}

pub(crate) fn notice(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

async fn hear(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    state.heard.lock().push(message.clone());
    let id = message["id"].clone();
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    if method.is_empty() || id.is_null() {
        return axum::http::StatusCode::ACCEPTED.into_response();
    }
    let modern = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
    if modern != state.modern {
        let body =
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32600, "message": "not my era" } });
        return (axum::http::StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    let mut said = (state.behave)(&message, &headers).unwrap_or_else(|| decent(&method));
    let mut begun = None;
    if let Said::Begun(session) = said {
        (begun, said) = (Some([("mcp-session-id", session)]), decent(&method));
    }
    let answer = |mut result: Value| {
        if modern && result.get("resultType").is_none() {
            result["resultType"] = json!("complete");
        }
        json!({ "jsonrpc": "2.0", "id": id, "result": result })
    };
    match said {
        Said::Begun(_) => unreachable!(),
        Said::Result(result) => (begun, axum::Json(answer(result))).into_response(),
        Said::Error(error) => {
            axum::Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response()
        }
        Said::Status(status) => axum::http::StatusCode::from_u16(status).unwrap().into_response(),
        Said::Stream(mut messages, result) => {
            messages.push(answer(result));
            events(futures::stream::iter(messages))
        }
        Said::Open(messages, again) => {
            let rounds = if again { usize::MAX } else { 1 };
            let each =
                move |n: usize| (n / messages.len() < rounds).then(|| messages[n % messages.len()].clone());
            events(futures::stream::unfold(0, move |n| {
                let next = each(n);
                async move {
                    let Some((after, message)) = next else { return std::future::pending().await };
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    Some((message, n + 1))
                }
            }))
        }
        Said::Ask(messages, question) => {
            let state = Arc::clone(&state);
            let last = futures::stream::once(async move {
                loop {
                    let heard = state.heard.lock().iter().find(|heard| heard["id"] == question).cloned();
                    if let Some(heard) = heard {
                        return json!({ "jsonrpc": "2.0", "id": id, "result": text(&heard.to_string()) });
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            events(futures::stream::iter(messages).chain(last))
        }
    }
}

fn events(messages: impl futures::Stream<Item = Value> + Send + 'static) -> axum::response::Response {
    let chunks = messages.map(|message| Ok::<_, Infallible>(format!("data: {message}\n\n")));
    ([("content-type", "text/event-stream")], axum::body::Body::from_stream(chunks)).into_response()
}

fn decent(method: &str) -> Said {
    let capabilities = json!({ "tools": { "listChanged": true }, "resources": {}, "logging": {} });
    Said::Result(match method {
        "server/discover" => json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities,
            "instructions": "the vault opens at nine" }),
        "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities,
            "serverInfo": { "name": "rogue", "version": "1" }, "instructions": "the vault opens at nine" }),
        "tools/list" => json!({ "tools": [{ "name": "go", "inputSchema": { "type": "object" } }] }),
        "resources/list" => json!({ "resources": [{ "uri": "file:///shared", "name": "shared" }] }),
        "resources/read" => json!({ "contents": [{ "uri": "file:///shared", "text": "shared" }] }),
        "tools/call" => text("gone"),
        _ => return Said::Error(json!({ "code": -32601, "message": "no such method" })),
    })
}
