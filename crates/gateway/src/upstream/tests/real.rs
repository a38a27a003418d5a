//! Against the workspace's own reference server, which is built on the Rust SDK: every transport and era.

use super::program::program;
use super::*;
use crate::settings::Reach;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

/// The server over HTTP, until dropped.
struct Served {
    reach: Reach,
    means: Means,
    child: Option<Child>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

async fn over_http() -> Served {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child =
        Command::new(program()).args(["--port", &port.to_string()]).stderr(Stdio::null()).spawn().unwrap();
    let url: url::Url = format!("http://127.0.0.1:{port}/mcp").parse().unwrap();
    until_true(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    Served { means: means_to(&url), reach: Reach::Http { url }, child: Some(child) }
}

fn over_stdio() -> Served {
    let reach = Reach::Stdio {
        command: program(),
        args: vec!["--stdio".to_owned()],
        env: BTreeMap::new(),
        cwd: None,
    };
    Served { reach, means: means(), child: None }
}

const HELLO: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"t","version":"1"}}"#;

struct Talk {
    connection: Connection,
    messages: mpsc::Receiver<FromServer>,
    next: u64,
}

impl Talk {
    async fn open(served: &Served, revision: Revision) -> Self {
        let (mut opening, messages) = opening(revision);
        opening.hello = opening.hello.map(|_| Bytes::from_static(HELLO.as_bytes()));
        let (connection, _) = Connection::open(&served.reach, &served.means, opening).await.unwrap();
        Self { connection, messages, next: 1 }
    }

    fn outgoing(&mut self, method: &str, mut params: Value) -> (Outgoing, mpsc::Receiver<FromServer>) {
        let id = self.next;
        self.next += 1;
        let mut meta = json!({ "progressToken": id });
        if self.connection.revision().is_modern() {
            meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            meta["io.modelcontextprotocol/logLevel"] = json!("debug");
        }
        params["_meta"] = meta;
        let (mut outgoing, related) = call(id);
        outgoing.frame =
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string().into();
        let header = |name: &'static str, value: &str| {
            (::http::HeaderName::from_static(name), ::http::HeaderValue::from_str(value).unwrap())
        };
        outgoing.headers.push(header("mcp-method", method));
        if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
            outgoing.headers.push(header("mcp-name", name));
        }
        (outgoing, related)
    }

    async fn ask(&mut self, method: &str, params: Value) -> (Value, Vec<String>) {
        let (outgoing, mut related) = self.outgoing(method, params);
        let received = self.connection.request(outgoing).await.unwrap();
        let mut methods = Vec::new();
        while let Ok(message) = related.try_recv() {
            methods.push(message.frame.method().unwrap().into_owned());
        }
        (serde_json::from_slice(received.frame.bytes()).unwrap(), methods)
    }

    async fn tool(&mut self, name: &str) -> (Value, Vec<String>) {
        self.ask("tools/call", json!({ "name": name, "arguments": {} })).await
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.unwrap()
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

async fn both_eras(served: &Served, revision: Revision) {
    let mut talk = Talk::open(served, revision).await;
    let (tools, _) = talk.ask("tools/list", json!({})).await;
    assert!(tools["result"]["tools"].as_array().unwrap().len() > 5, "{tools}");
    let (answer, messages) = talk.tool("test_tool_with_progress").await;
    assert_eq!(text(&answer), "reported progress three times", "{answer}");
    assert_eq!(messages, ["notifications/progress"; 3]);
    let (answer, _) = talk.tool("no_such_tool").await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let (answer, _) = talk.tool("test_reconnection").await;
    assert_eq!(text(&answer), "still here", "{answer}");
    // a cancelled call is cancelled at the server
    let (outgoing, _related) =
        talk.outgoing("tools/call", json!({ "name": "reference_slow", "arguments": {} }));
    let cancel = outgoing.cancel.clone();
    let (gave_up, ()) = tokio::join!(talk.connection.request(outgoing), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    match gave_up {
        Err(fault) => assert_eq!((fault.kind, fault.sent), (FaultKind::Cancelled, true)),
        Ok(received) => assert!(received.frame.bytes().windows(9).any(|w| w == b"cancelled")),
    }
    let mut cancelled = String::new();
    for _ in 0..20 {
        cancelled = text(&talk.tool("reference_cancelled").await.0).to_owned();
        if cancelled == "1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cancelled, "1", "the server noticed");
    talk.connection.close().await;
}

async fn legacy_alone(served: &Served) {
    let mut talk = Talk::open(served, Revision::V2025_11_25).await;
    // a question in the middle of a call
    let (outgoing, mut related) = talk
        .outgoing("tools/call", json!({ "name": "test_elicitation", "arguments": { "message": "who?" } }));
    let connection = &talk.connection;
    let messages = &mut talk.messages;
    let answering = async {
        let question = soon(async {
            tokio::select! {
                Some(message) = related.recv() => message,
                Some(message) = messages.recv() => message,
            }
        })
        .await;
        assert_eq!(question.frame.method().unwrap(), "elicitation/create");
        let id = String::from_utf8(question.frame.id_raw().unwrap().to_vec()).unwrap();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"decline"}}}}"#);
        connection.send(answer.into(), &Injected::default()).await.unwrap();
    };
    let (received, ()) = tokio::join!(connection.request(outgoing), answering);
    let answer: Value = serde_json::from_slice(received.unwrap().frame.bytes()).unwrap();
    assert!(text(&answer).contains("action=decline"), "{answer}");
    // a change that no request asked for
    let (answer, mut methods) = talk.tool("test_trigger_tool_change").await;
    assert_eq!(text(&answer), "told");
    if methods.is_empty() {
        let message = soon(talk.messages.recv()).await.unwrap();
        methods.push(message.frame.method().unwrap().into_owned());
    }
    assert_eq!(methods, ["notifications/tools/list_changed"]);
    talk.connection.close().await;
}

async fn modern_alone(served: &Served) {
    let mut talk = Talk::open(served, Revision::V2026_07_28).await;
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let (mut listen, mut heard) = talk.outgoing("subscriptions/listen", filter);
    listen.timeout = None;
    let cancel = listen.cancel.clone();
    let triggers: Vec<_> = (0..20)
        .map(|_| {
            talk.outgoing("tools/call", json!({ "name": "test_trigger_tool_change", "arguments": {} })).0
        })
        .collect();
    let (ended, ()) = tokio::join!(talk.connection.request(listen), async {
        let first = soon(heard.recv()).await.unwrap();
        assert_eq!(first.frame.method().unwrap(), "notifications/subscriptions/acknowledged");
        // the server acknowledges a little before it listens itself
        for trigger in triggers {
            talk.connection.request(trigger).await.unwrap();
            if let Ok(Some(second)) = tokio::time::timeout(Duration::from_millis(200), heard.recv()).await {
                assert_eq!(second.frame.method().unwrap(), "notifications/tools/list_changed");
                cancel.cancel();
                return;
            }
        }
        panic!("the subscription never heard of a change");
    });
    if let Err(fault) = ended {
        assert_eq!(fault.kind, FaultKind::Cancelled, "{fault}");
    }
    talk.connection.close().await;
}

#[tokio::test]
async fn the_reference_server_over_http() {
    let served = over_http().await;
    assert_eq!(detect(&served.reach, &served.means, &Arc::default()).await, Ok(wire::Eras::Both));
    both_eras(&served, Revision::V2025_11_25).await;
    legacy_alone(&served).await;
    modern_alone(&served).await;
}

#[tokio::test]
async fn the_reference_server_over_http_modern() {
    both_eras(&over_http().await, Revision::V2026_07_28).await;
}

#[tokio::test]
async fn the_reference_server_over_a_pipe() {
    let served = over_stdio();
    assert_eq!(detect(&served.reach, &served.means, &Arc::default()).await, Ok(wire::Eras::Both));
    both_eras(&served, Revision::V2025_11_25).await;
    legacy_alone(&served).await;
}

#[tokio::test]
async fn the_reference_server_over_a_pipe_modern() {
    let served = over_stdio();
    both_eras(&served, Revision::V2026_07_28).await;
    modern_alone(&served).await;
}
