//! A scripted MCP server on loopback that speaks either era and remembers what it was sent.

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc::UnboundedSender;

/// One message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub(crate) fn method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }
}

/// The server: its address and its memory.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) url: String,
    state: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    modern: bool,
    heard: Mutex<Vec<Heard>>,
    tools: Mutex<Value>,
    instructions: Mutex<Option<&'static str>>,
    /// Answers of the Host to questions, by id.
    answers: Mutex<Vec<Value>>,
    answered: tokio::sync::Notify,
    left: tokio::sync::Notify,
    /// How long a resource holds, and for whom; nobody said where that is empty.
    read: Mutex<(u64, &'static str)>,
    /// What a legacy `ask` asks.
    question: Mutex<&'static str>,
    /// Streams of HTTP+SSE, by the query of their endpoint, and the headers that each was asked with.
    streams: Mutex<Vec<Stream>>,
    /// Calls whose asker went away before the answer.
    given_up: AtomicUsize,
    /// How often all sessions were forgotten, and how many were begun.
    session: AtomicUsize,
    begun: AtomicUsize,
    /// Open streams of change notices, and resources that somebody subscribed to.
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    id: Value,
    filter: Value,
    events: tokio::sync::mpsc::UnboundedSender<String>,
}

/// Says that it was let go before its time.
struct Waiting(Arc<Shared>, bool);
impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.1 {
            self.0.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// `echo` reads, `refund` writes money, and the rest misbehaves.
pub(crate) fn tools() -> Value {
    let number = json!({ "type": "number" });
    json!([
        { "name": "echo", "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
          "annotations": { "readOnlyHint": true }, "x-unknown": [1, { "b": 1.10, "a": null }] },
        { "name": "refund", "inputSchema": { "type": "object", "required": ["amount"],
            "properties": { "amount": { "type": "integer" }, "note": { "type": "string" } } } },
        { "name": "hang", "inputSchema": { "type": "object" } },
        { "name": "nonsense", "inputSchema": { "type": "object" } },
        { "name": "die", "inputSchema": { "type": "object" } },
        { "name": "big", "inputSchema": { "type": "object" } },
        { "name": "vast", "inputSchema": { "type": "object" } },
        { "name": "flood", "inputSchema": { "type": "object" } },
        { "name": "progress", "inputSchema": { "type": "object" } },
        { "name": "ask", "inputSchema": { "type": "object" } },
        { "name": "typed", "inputSchema": { "type": "object", "properties": { "n": number } },
          "outputSchema": { "type": "object", "required": ["n"], "properties": { "n": number } } },
        { "name": "hidden", "inputSchema": { "type": "object" } },
        { "name": "log", "inputSchema": { "type": "object" } },
        { "name": "fail", "inputSchema": { "type": "object", "properties": { "code": { "type": "integer" } } } },
        { "name": "again", "inputSchema": { "type": "object" } },
        { "name": "visit", "inputSchema": { "type": "object" } },
        { "name": "odd", "inputSchema": { "type": "object" } },
        { "name": "late", "inputSchema": { "type": "object" } },
        { "name": "listed", "inputSchema": { "type": "object" }, "outputSchema": { "type": "array" } },
    ])
}

type Stream = (String, Option<UnboundedSender<String>>, HeaderMap);

impl Script {
    pub(crate) async fn start(modern: bool) -> Self {
        let state = Arc::new(Shared {
            modern,
            heard: Mutex::default(),
            tools: Mutex::new(tools()),
            instructions: Mutex::default(),
            answers: Mutex::default(),
            answered: tokio::sync::Notify::new(),
            left: tokio::sync::Notify::new(),
            read: Mutex::new((0, "public")),
            question: Mutex::new("elicitation/create"),
            streams: Mutex::default(),
            given_up: AtomicUsize::new(0),
            session: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            listeners: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(hear).get(stream_of).delete(leave));
        let router = router.route("/sse", get(open)).route("/said", post(said));
        let router = router.with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }
    /// The same server where it speaks HTTP+SSE.
    pub(crate) fn sse(&self) -> String {
        self.url.replace("/mcp", "/sse")
    }
    /// The headers of each stream of HTTP+SSE so far.
    pub(crate) fn streams(&self) -> Vec<HeaderMap> {
        self.state.streams.lock().iter().map(|(_, _, headers)| headers.clone()).collect()
    }
    /// Forgets what it heard.
    pub(crate) fn forget(&self) {
        self.state.heard.lock().clear();
    }
    /// Ends them.
    pub(crate) fn cut_streams(&self) {
        self.state.streams.lock().iter_mut().for_each(|(_, stream, _)| *stream = None);
    }
    pub(crate) fn heard(&self, method: &str) -> Vec<Heard> {
        self.state.heard.lock().iter().filter(|heard| heard.method() == method).cloned().collect()
    }
    pub(crate) fn everything(&self) -> Vec<Heard> {
        self.state.heard.lock().clone()
    }
    /// Calls whose asker went away before the answer.
    pub(crate) fn given_up(&self) -> usize {
        self.state.given_up.load(Ordering::SeqCst)
    }
    /// Forgets the sessions that were begun.
    pub(crate) fn forget_sessions(&self) {
        self.state.session.fetch_add(1, Ordering::SeqCst);
    }
    /// Tells everybody who listens for it that something changed.
    pub(crate) fn notify(&self, method: &str, params: &Value) {
        let wants = |filter: &Value| match method {
            _ if !self.state.modern => true,
            "notifications/tools/list_changed" => filter["toolsListChanged"] == true,
            _ => filter["resourceSubscriptions"].as_array().is_some_and(|all| all.contains(&params["uri"])),
        };
        for listener in self.state.listeners.lock().iter().filter(|one| wants(&one.filter)) {
            let mut params = params.clone();
            if self.state.modern {
                params["_meta"]["io.modelcontextprotocol/subscriptionId"] = listener.id.clone();
            }
            let note = json!({ "jsonrpc": "2.0", "method": method, "params": params });
            let _ = listener.events.send(format!("data: {note}\n\n"));
        }
    }
    /// What those who listen want to hear of.
    pub(crate) fn listeners(&self) -> Vec<Value> {
        let listeners = self.state.listeners.lock();
        listeners.iter().filter(|one| !one.events.is_closed()).map(|one| one.filter.clone()).collect()
    }
    /// Ends the streams of all who listen.
    pub(crate) fn hang_up(&self) {
        self.state.listeners.lock().clear();
    }
    /// What a legacy server asks when it is called with `ask`; with nothing, it waits until there is something.
    pub(crate) fn set_question(&self, method: &'static str) {
        *self.state.question.lock() = method;
    }
    /// How long what is read from now on holds, and for whom.
    pub(crate) fn set_read(&self, ttl_ms: u64, scope: &'static str) {
        *self.state.read.lock() = (ttl_ms, scope);
    }
    pub(crate) fn set_tools(&self, tools: Value) {
        *self.state.tools.lock() = tools;
    }
    pub(crate) fn set_instructions(&self, text: &'static str) {
        *self.state.instructions.lock() = Some(text);
    }
}

/// HTTP+SSE: a stream that names its endpoint.
async fn open(State(state): State<Arc<Shared>>, headers: HeaderMap) -> axum::response::Response {
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    let mut streams = state.streams.lock();
    let query = format!("session={}", streams.len());
    sender.send(format!("event: endpoint\ndata: said?{query}\n\n")).unwrap();
    streams.push((query, Some(sender), headers));
    let events = futures::stream::unfold(events, |mut events| async move {
        Some((Ok::<_, Infallible>(events.recv().await?), events))
    });
    ([("content-type", "text/event-stream")], axum::body::Body::from_stream(events)).into_response()
}

/// Who ends a session gets no more answers to what was called in it.
async fn leave(State(state): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    let heard = state.heard.lock();
    let called = |one: &&Heard| one.json()["method"] == "tools/call";
    let last = heard.iter().rev().find(called).and_then(|one| one.headers.get("mcp-session-id"));
    if last.is_some() && last == headers.get("mcp-session-id") {
        state.left.notify_waiters();
    }
    StatusCode::OK
}

/// HTTP+SSE: what is posted is answered on the stream.
async fn said(
    State(state): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let number = state.streams.lock().iter().position(|(known, _, _)| Some(known) == query.as_ref());
    let Some(number) = number else { return StatusCode::NOT_FOUND.into_response() };
    tokio::spawn(async move {
        let answer = hear(State(Arc::clone(&state)), headers, body).await;
        let is_stream = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let mut parts = answer.into_body().into_data_stream();
        while let Some(Ok(part)) = parts.next().await {
            let part = String::from_utf8(part.to_vec()).unwrap();
            let event = if is_stream { part } else { format!("event: message\ndata: {part}\n\n") };
            if let Some(stream) = &state.streams.lock()[number].1 {
                let _ = stream.send(event);
            }
        }
    });
    StatusCode::ACCEPTED.into_response()
}

async fn hear(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    state.heard.lock().push(Heard { headers: headers.clone(), body: body.clone() });
    let message: Value = serde_json::from_slice(&body).unwrap();
    let id = message["id"].clone();
    let method = message["method"].as_str().unwrap_or_default();
    let era_ok =
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string() == state.modern;
    if message.get("method").is_none() {
        state.answers.lock().push(message);
        state.answered.notify_waiters();
        return axum::http::StatusCode::ACCEPTED.into_response();
    }
    if id.is_null() {
        return axum::http::StatusCode::ACCEPTED.into_response();
    }
    let error = |code: i64, text: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } });
        (axum::http::StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
    };
    let complete = |mut result: Value| {
        if state.modern {
            result["resultType"] = json!("complete");
            let (ttl_ms, scope) =
                if method == "resources/read" { *state.read.lock() } else { (0, "private") };
            result["ttlMs"] = json!(ttl_ms);
            if !scope.is_empty() {
                result["cacheScope"] = json!(scope);
            }
        }
        axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
    };
    if !era_ok {
        return error(-32600, "not my era");
    }
    let known = state.session.load(Ordering::SeqCst);
    let shown = headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    if shown.is_some_and(|id| !id.starts_with(&format!("sid-{known}-"))) {
        return axum::http::StatusCode::NOT_FOUND.into_response();
    }
    let with_instructions = |mut result: Value| {
        if let Some(text) = *state.instructions.lock() {
            result["instructions"] = json!(text);
        }
        result
    };
    let resources = json!({ "listChanged": true, "subscribe": true });
    let capabilities = json!({ "tools": { "listChanged": true }, "logging": {}, "resources": resources });
    match method {
        "server/discover" => complete(with_instructions(
            json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities }),
        )),
        "initialize" => {
            let begun = complete(with_instructions(
                json!({ "protocolVersion": message["params"]["protocolVersion"], "capabilities": capabilities,
                "serverInfo": { "name": "script", "version": "1" } }),
            ));
            let begins = state.begun.fetch_add(1, Ordering::SeqCst);
            ([("mcp-session-id", format!("sid-{known}-{begins}"))], begun).into_response()
        }
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => complete(json!({})),
        "subscriptions/listen" => listen(&state, &message),
        "tools/list" => complete(json!({ "tools": state.tools.lock().clone() })),
        "resources/list" => complete(json!({ "resources": [{ "uri": "test://one", "name": "one" }] })),
        "resources/templates/list" => {
            complete(json!({ "resourceTemplates": [{ "uriTemplate": "test://many/{n}", "name": "many" }] }))
        }
        "resources/read" => complete(json!({ "contents": [{ "uri": "test://one", "text": "1" }] })),
        "tools/call" if message["params"]["name"] == "ask" => ask(&state, &message),
        "tools/call" => call(&state, &message, complete).await,
        _ => error(-32601, "no such method"),
    }
}

/// A legacy session's own stream.
async fn stream_of(State(state): State<Arc<Shared>>) -> axum::response::Response {
    if state.modern {
        return axum::http::StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    endless(&state, Value::Null, Value::Null, None)
}

fn listen(state: &Arc<Shared>, message: &Value) -> axum::response::Response {
    let (id, filter) = (message["id"].clone(), message["params"]["notifications"].clone());
    let params =
        json!({ "notifications": filter, "_meta": { "io.modelcontextprotocol/subscriptionId": id } });
    let method = "notifications/subscriptions/acknowledged";
    let ack = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    endless(state, id, filter, Some(format!("data: {ack}\n\n")))
}

fn endless(state: &Arc<Shared>, id: Value, filter: Value, first: Option<String>) -> axum::response::Response {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    first.map(|first| sender.send(first));
    state.listeners.lock().push(Listener { id, filter, events: sender });
    let events = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).map(Ok::<_, Infallible>);
    ([("content-type", "text/event-stream")], axum::body::Body::from_stream(events)).into_response()
}

async fn call(
    state: &Arc<Shared>,
    message: &Value,
    complete: impl Fn(Value) -> axum::response::Response,
) -> axum::response::Response {
    let id = message["id"].clone();
    let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
    match message["params"]["name"].as_str().unwrap_or_default() {
        "hang" => {
            let mut waiting = Waiting(Arc::clone(state), false);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(60)) => {}
                () = state.left.notified() => return stream(vec![String::from("event: message\n")], true),
            }
            waiting.1 = true;
            complete(text("late"))
        }
        "late" => {
            tokio::time::sleep(Duration::from_millis(700)).await;
            complete(text("late"))
        }
        // wants an address visited first, once
        "visit" if heard(state, "visit") == 1 => {
            let visit = json!({ "mode": "url", "elicitationId": "e-1", "url": "https://pay.example/1", "message": "pay" });
            let error =
                json!({ "code": -32042, "message": "visit first", "data": { "elicitations": [visit] } });
            axum::Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response()
        }
        "odd" => {
            let odd = json!({ "resultType": "task", "content": [] });
            axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": odd })).into_response()
        }
        "again" => {
            let result = json!({ "resultType": "input_required", "requestState": "on" });
            axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
        }
        "listed" => complete(json!({ "content": [], "structuredContent": [1] })),
        "fail" => {
            let error = json!({ "code": message["params"]["arguments"]["code"], "message": "no" });
            axum::Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response()
        }
        "log" => {
            let line = |level: &str| {
                let params = json!({ "level": level, "data": level });
                let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
                format!("data: {note}\n\n")
            };
            let mut events: Vec<String> = ["debug", "info", "warning"].map(line).into();
            let asked = message["params"]["_meta"]["io.modelcontextprotocol/logLevel"].is_string();
            events.retain(|_| asked || !state.modern);
            events.push(answer(&id, &text("logged")));
            stream(events, false)
        }
        "nonsense" => (axum::http::StatusCode::OK, "<html>surprise</html>").into_response(),
        "die" => stream(vec![String::from("event: message\n")], true),
        "big" => complete(text(&"x".repeat(3 << 20))),
        "vast" => complete(text(&"x".repeat(9 << 20))),
        "flood" => {
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/message",
                "params": { "level": "info", "data": "x" } });
            let mut events: Vec<String> = (0..200_000).map(|_| format!("data: {note}\n\n")).collect();
            events.push(answer(&id, &text("done")));
            stream(events, false)
        }
        "progress" => {
            let token = message["params"]["_meta"]["progressToken"].clone();
            let mut events: Vec<String> = (1..=3)
                .map(|n| {
                    let params = json!({ "progressToken": token, "progress": n, "total": 3 });
                    let note =
                        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
                    format!("data: {note}\n\n")
                })
                .collect();
            events.push(answer(&id, &text("done")));
            stream(events, false)
        }
        "typed" => complete(match message["params"]["arguments"]["n"].as_i64() {
            // what went wrong, in another form than the schema's
            Some(1) => {
                json!({ "content": [], "isError": true, "structuredContent": { "why": crate::house::SECRET } })
            }
            Some(2) => json!({ "structuredContent": { "n": 2 } }),
            _ => json!({ "content": [], "structuredContent": { "n": "not a number" } }),
        }),
        name => complete(text(&format!("{name}: {}", message["params"]["arguments"]))),
    }
}

/// How often a tool was called.
fn heard(state: &Arc<Shared>, tool: &str) -> usize {
    let heard = state.heard.lock();
    heard.iter().filter(|one| one.json()["params"]["name"] == tool && one.method() == "tools/call").count()
}

/// Asks the Host on the call's own stream, and answers with what it said.
fn ask(state: &Arc<Shared>, message: &Value) -> axum::response::Response {
    let id = message["id"].clone();
    if state.modern {
        let asked = json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "sure?",
            "requestedSchema": { "type": "object", "properties": {} } } });
        let first = message["params"]["inputResponses"].is_null();
        let result = if first {
            json!({ "resultType": "input_required", "inputRequests": { "q": asked }, "requestState": "st-1" })
        } else {
            json!({ "resultType": "complete", "content": [{ "type": "text",
                "text": message["params"]["inputResponses"].to_string() }] })
        };
        return axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response();
    }
    let state = Arc::clone(state);
    let asked = Arc::clone(&state);
    let question = async move {
        let mut method = *asked.question.lock();
        while method.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            method = *asked.question.lock();
        }
        let question = json!({ "jsonrpc": "2.0", "id": "q-1", "method": method,
            "params": { "message": "sure?", "requestedSchema": { "type": "object", "properties": {} } } });
        format!("data: {question}\n\n")
    };
    let events = futures::stream::once(question).chain(futures::stream::once(async move {
        loop {
            let answered = state.answered.notified();
            let found = state.answers.lock().iter().find(|answer| answer["id"] == "q-1").cloned();
            if let Some(found) = found {
                let text = found.get("result").or_else(|| found.get("error")).unwrap().to_string();
                return answer(&id, &json!({ "content": [{ "type": "text", "text": text }] }));
            }
            answered.await;
        }
    }));
    let body = axum::body::Body::from_stream(events.map(Ok::<_, Infallible>));
    ([("content-type", "text/event-stream")], body).into_response()
}

fn answer(id: &Value, result: &Value) -> String {
    format!("data: {}\n\n", json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn stream(events: Vec<String>, broken: bool) -> axum::response::Response {
    let chunks = events.into_iter().map(Ok::<_, Infallible>);
    let _ = broken;
    let body = axum::body::Body::from_stream(futures::stream::iter(chunks));
    ([("content-type", "text/event-stream")], body).into_response()
}
