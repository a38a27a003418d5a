//! Tasks (2026-07-28, SEP-2663): every message about one walks the path, its result is inspected as a tool's, and
//! its id is worth something to its principal only.

use crate::crossing::eventually;
use crate::house::{self, House, SECRET, Told};
use crate::questions::until;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use decision::{Code, Ending, Entry, ServerName, Stage};
use futures::StreamExt as _;
use gateway::settings::Mode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const AT: &str = "/s/jobs/mcp";
const TASKS: &str = "io.modelcontextprotocol/tasks";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

/// A server whose every answer is written down before; it remembers what it was asked.
#[derive(Debug, Clone)]
struct Jobs {
    url: String,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    legacy: bool,
    tools: Value,
    /// Results by method.
    says: BTreeMap<String, Value>,
    heard: Vec<(HeaderMap, Value)>,
    listeners: Vec<(Value, tokio::sync::mpsc::UnboundedSender<String>)>,
}

impl Jobs {
    async fn open(legacy: bool) -> Self {
        let memory = Arc::new(Mutex::new(Memory { legacy, tools: tools(), ..Memory::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(answer)).with_state(Arc::clone(&memory));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let jobs = Self { url, memory };
        jobs.says("tools/call", begun("t-1"));
        jobs.says("tasks/get", json!({ "taskId": "t-1", "status": "working" }));
        jobs.says("tasks/update", json!({}));
        jobs.says("tasks/cancel", json!({}));
        jobs
    }
    /// What it answers to a method from now on: a result, or an object with an `error`.
    fn says(&self, method: &str, result: Value) {
        self.memory.lock().says.insert(method.to_owned(), result);
    }
    /// Tells everybody who listens, whatever they listen for.
    fn tells(&self, task: Value) {
        for (id, events) in &self.memory.lock().listeners {
            let mut params = task.clone();
            params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": id });
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": params });
            let _ = events.send(format!("data: {note}\n\n"));
        }
    }
    fn heard(&self, method: &str) -> Vec<(HeaderMap, Value)> {
        self.memory.lock().heard.iter().filter(|(_, body)| body["method"] == method).cloned().collect()
    }
}

fn begun(id: &str) -> Value {
    json!({ "resultType": "task", "taskId": id, "status": "working", "ttlMs": 60_000, "x": 1.50,
        "createdAt": "2026-11-26T00:00:00Z", "lastUpdatedAt": "2026-11-26T00:00:00Z" })
}

fn done(result: Value) -> Value {
    json!({ "taskId": "t-1", "status": "completed", "result": result })
}

fn tools() -> Value {
    let number = json!({ "type": "number" });
    json!([
        { "name": "slow", "inputSchema": { "type": "object", "properties": { "n": number } },
          "execution": { "taskSupport": "optional" } },
        { "name": "typed", "inputSchema": { "type": "object" },
          "outputSchema": { "type": "object", "required": ["n"], "properties": { "n": number } } },
    ])
}

async fn answer(
    State(memory): State<Arc<Mutex<Memory>>>,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let message: Value = serde_json::from_slice(&body).unwrap();
    let mut memory = memory.lock();
    memory.heard.push((headers, message.clone()));
    let (id, method) = (message["id"].clone(), message["method"].as_str().unwrap_or_default());
    if method == "subscriptions/listen" {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let params = json!({ "notifications": message["params"]["notifications"],
            "_meta": { "io.modelcontextprotocol/subscriptionId": id } });
        let ack = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params });
        sender.send(format!("data: {ack}\n\n")).unwrap();
        memory.listeners.push((id, sender));
        let events = futures::stream::poll_fn(move |cx| events.poll_recv(cx));
        let body = axum::body::Body::from_stream(events.map(Ok::<_, std::convert::Infallible>));
        return ([("content-type", "text/event-stream")], body).into_response();
    }
    let offered = json!({ "tools": {}, "tasks": { "list": {}, "requests": { "tools": { "call": {} } } },
        "extensions": { TASKS: {} } });
    let result = match method {
        _ if id.is_null() => return axum::http::StatusCode::ACCEPTED.into_response(),
        "server/discover" if !memory.legacy => {
            Some(json!({ "supportedVersions": ["2026-07-28"], "capabilities": offered }))
        }
        "initialize" if memory.legacy => {
            Some(json!({ "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": offered, "serverInfo": { "name": "jobs", "version": "1" } }))
        }
        "tools/list" => Some(json!({ "tools": memory.tools })),
        _ => memory.says.get(method).cloned(),
    };
    let mut told = json!({ "jsonrpc": "2.0", "id": id });
    match result {
        Some(result)
            if result.get("error").is_some_and(|e| e["code"].is_i64()) && result["status"].is_null() =>
        {
            told["error"] = result["error"].clone();
        }
        Some(mut result) => {
            if !memory.legacy && result["resultType"].is_null() {
                result["resultType"] = json!("complete");
                result["ttlMs"] = json!(0);
                result["cacheScope"] = json!("private");
            }
            told["result"] = result;
        }
        None => told["error"] = json!({ "code": -32601, "message": "no" }),
    }
    axum::Json(told).into_response()
}

async fn house(policy: &str) -> (House, Jobs) {
    let jobs = Jobs::open(false).await;
    (House::open(&[("jobs", jobs.url.clone())], policy).await, jobs)
}

/// A modern request of a client that declares what it likes.
async fn ask_as(house: &House, bearer: &str, at: &str, method: &str, mut params: Value, can: Value) -> Told {
    let name = params.get("taskId").or_else(|| params.get("name")).and_then(Value::as_str).map(str::to_owned);
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"][CAPABILITIES] = can;
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    let headers = [
        ("authorization", bearer),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", name.as_deref().unwrap_or_default()),
    ];
    house.post(at, &headers, body).await
}

/// The same, of one that follows tasks.
async fn ask(house: &House, at: &str, method: &str, params: Value) -> Told {
    let bearer = format!("Bearer {}", house.token);
    let can = json!({ "elicitation": {}, "extensions": { TASKS: {} } });
    ask_as(house, &bearer, at, method, params, can).await
}

async fn begin(house: &House, at: &str, tool: &str) -> String {
    let told = ask(house, at, "tools/call", json!({ "name": tool, "arguments": {} })).await.json();
    assert_eq!(told["result"]["resultType"], "task", "{told}");
    told["result"]["taskId"].as_str().unwrap().to_owned()
}

async fn poll(house: &House, at: &str, task: &str) -> Told {
    ask(house, at, "tasks/get", json!({ "taskId": task })).await
}

/// What everybody is told of a task that is not theirs.
fn is_unknown(told: &Told) {
    let error = json!({ "code": -32602, "message": "Unknown task" });
    assert_eq!((told.status, &told.json()["error"]), (200, &error), "{told:?}");
}

fn refused(house: &House, code: Code) {
    assert_eq!(house.last().ending, Ending::Refused { code });
}

fn withheld(house: &House, told: &Told, code: Code) {
    assert!(told.json()["result"].is_null() || told.json()["result"]["isError"] == true, "{told:?}");
    assert_eq!(house.last().ending, Ending::Failed { code });
}

#[tokio::test]
async fn a_task_is_followed_to_its_end_under_a_handle_and_every_message_is_a_leg_of_its_deed() {
    let (house, jobs) = house(ALL).await;
    let told = ask(&house, AT, "tools/call", json!({ "name": "slow", "arguments": { "n": 1 } })).await;
    let result = &told.json()["result"];
    let task = result["taskId"].as_str().unwrap().to_owned();
    assert!(!String::from_utf8_lossy(&told.body).contains("t-1"), "the server's own id stays with us");
    assert_eq!(
        (&result["status"], &result["ttlMs"], &result["x"]),
        (&json!("working"), &json!(60_000), &json!(1.5))
    );
    let sent = jobs.heard("tools/call").pop().unwrap().1;
    assert_eq!(
        sent["params"]["_meta"][CAPABILITIES]["extensions"],
        json!({ TASKS: {} }),
        "as it was declared"
    );
    let first = house.last();
    let told = poll(&house, AT, &task).await.json();
    assert_eq!((&told["result"]["status"], &told["result"]["taskId"]), (&json!("working"), &json!(task)));
    let (headers, sent) = jobs.heard("tasks/get").pop().unwrap();
    assert_eq!((&sent["params"]["taskId"], &headers["mcp-name"]), (&json!("t-1"), &"t-1".parse().unwrap()));
    assert_eq!(headers["authorization"], format!("Bearer {SECRET}"));
    let second = house.last();
    jobs.says("tasks/get", done(json!({ "content": [{ "type": "text", "text": "hi" }] })));
    let told = poll(&house, AT, &task).await.json();
    assert_eq!(told["result"]["result"]["content"][0]["text"], "hi");
    assert_eq!(told["result"]["taskId"], task.as_str());
    let third = house.last();
    assert_eq!((second.deed, third.deed), (first.deed, first.deed));
    assert_eq!((first.leg, second.leg, third.leg), (0, 1, 2));
    let walked: Vec<Stage> = third.evidence.iter().map(|one| one.stage).collect();
    assert_eq!(walked, Stage::PATH, "every stage, once, in order");
    assert_eq!(house.counts(), (3, 3));
}

#[tokio::test]
async fn a_call_that_became_a_task_has_that_task_when_it_is_made_again_under_its_key() {
    let (house, jobs) = house(ALL).await;
    let slow = || json!({ "name": "slow", "arguments": {}, "_meta": { "callgate/idempotency-key": "k" } });
    let first = ask(&house, AT, "tools/call", slow()).await.json();
    assert_eq!(first["result"]["resultType"], "task", "{first}");
    assert_eq!(ask(&house, AT, "tools/call", slow()).await.json(), first);
    let bearer = format!("Bearer {}", house.token);
    let told = ask_as(&house, &bearer, AT, "tools/call", slow(), json!({})).await.json();
    assert_eq!(told["error"]["data"]["code"], "capability-undeclared", "for who follows none: {told}");
    let task = first["result"]["taskId"].as_str().unwrap();
    jobs.says("tasks/get", done(json!({ "content": [] })));
    assert_eq!(poll(&house, AT, task).await.json()["result"]["status"], "completed");
    assert_eq!(ask(&house, AT, "tools/call", slow()).await.json(), first, "and it is to be polled still");
    assert_eq!(jobs.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_task_is_nothing_in_another_hand_or_changed_or_made_up_or_at_another_server() {
    let jobs = Jobs::open(false).await;
    let both = [("jobs", jobs.url.clone()), ("more", jobs.url.clone())];
    let house = House::open(&both, ALL).await;
    let task = begin(&house, AT, "slow").await;
    let other = format!("Bearer {}", house.agent_of("other", "ann").await);
    let mut changed = task.clone();
    changed.replace_range(20..21, if changed.as_bytes()[20] == b'A' { "B" } else { "A" });
    let can = json!({ "extensions": { TASKS: {} } });
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let with = |task: &str| json!({ "taskId": task, "inputResponses": {} });
        is_unknown(&ask_as(&house, &other, AT, method, with(&task), can.clone()).await);
        refused(&house, Code::ItemUnknown);
        for task in [changed.as_str(), &format!("{task}A"), "t-1", "*"] {
            is_unknown(&ask(&house, AT, method, with(task)).await);
            refused(&house, Code::ItemUnknown);
        }
        is_unknown(&ask(&house, "/s/more/mcp", method, with(&task)).await);
        refused(&house, Code::ItemUnknown);
        assert!(jobs.heard(method).is_empty(), "the server heard of none of them");
    }
    assert_eq!(poll(&house, "/mcp", &task).await.json()["result"]["status"], "working");
}

#[tokio::test]
async fn the_same_id_of_two_servers_behind_one_entrance_is_two_tasks() {
    let (one, two) = (Jobs::open(false).await, Jobs::open(false).await);
    let house = House::open(&[("one", one.url.clone()), ("two", two.url.clone())], ALL).await;
    let (first, second) =
        (begin(&house, "/mcp", "one__slow").await, begin(&house, "/mcp", "two__slow").await);
    assert_ne!(first, second);
    two.says("tasks/get", json!({ "taskId": "t-1", "status": "cancelled" }));
    assert_eq!(poll(&house, "/mcp", &first).await.json()["result"]["status"], "working");
    assert_eq!(poll(&house, "/mcp", &second).await.json()["result"]["status"], "cancelled");
    assert_eq!((one.heard("tasks/get").len(), two.heard("tasks/get").len()), (1, 1));
}

#[tokio::test]
async fn who_loses_the_tool_loses_its_tasks() {
    let policy = r#"@id("ann") permit (principal == User::"ann", action, resource);
        @id("agents") permit (principal is Agent, action, resource);"#;
    let (house, jobs) = house(policy).await;
    let task = begin(&house, AT, "slow").await;
    let open = house.offers.clone();
    let written = gateway::Written {
        settings: Arc::clone(&house.gate.live().settings),
        policies: vec![policy::Source {
            path: "test.cedar".into(),
            text: r#"@id("typed") permit (principal, action == Action::"jobs__typed", resource);"#.into(),
        }],
    };
    open.reload(written, || ()).await.unwrap();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        is_unknown(&ask(&house, AT, method, json!({ "taskId": task, "inputResponses": {} })).await);
        refused(&house, Code::NotPermitted);
        assert!(jobs.heard(method).is_empty());
    }
}

#[tokio::test]
async fn what_a_task_is_answered_with_is_judged_as_every_answer_is() {
    let policy = r#"@id("all") permit (principal, action, resource);
        @id("no") @because("nobody decides here") forbid (principal, action == Action::"jobs:elicitation/create", resource)
        when { context has answer && context.answer has action && context.answer.action == "accept" };"#;
    let (house, jobs) = house(policy).await;
    let task = begin(&house, AT, "slow").await;
    let answered = |action: &str| json!({ "taskId": task, "inputResponses": { "q": { "action": action } } });
    ask(&house, AT, "tasks/update", answered("accept")).await;
    refused(&house, Code::RuleDenied);
    assert!(jobs.heard("tasks/update").is_empty());
    ask(&house, AT, "tasks/update", answered("decline")).await;
    assert_eq!(jobs.heard("tasks/update").len(), 1);
}

#[tokio::test]
async fn a_rule_on_arguments_is_asked_when_a_task_begins_and_neither_fails_nor_is_passed_by_later() {
    let policy = r#"@id("all") permit (principal, action, resource);
        @id("few") @because("too many") forbid (principal, action == Action::"jobs__slow", resource)
        when { context.args has n && context.args.n.greaterThan(decimal("5.0")) };"#;
    let (house, jobs) = house(policy).await;
    let told = ask(&house, AT, "tools/call", json!({ "name": "slow", "arguments": { "n": 6 } })).await;
    assert_eq!(told.json()["result"]["isError"], true, "{told:?}");
    refused(&house, Code::RuleDenied);
    assert!(jobs.heard("tools/call").is_empty());
    let task = begin(&house, AT, "slow").await;
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
}

#[tokio::test]
async fn a_tool_that_changed_since_takes_its_tasks_with_it() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
    let server = ServerName::new("jobs").unwrap();
    let mut changed = tools();
    changed[0]["description"] = json!("does something else now");
    jobs.memory.lock().tools = changed;
    house.look("jobs").await;
    is_unknown(&poll(&house, AT, &task).await);
    refused(&house, Code::ItemWithdrawn);
    let scope = house.gate.live().settings.scope();
    house.store.approve(&scope, &server, &store::Which::All, "a person").await.unwrap();
    house.offers.refresh().await;
    is_unknown(&poll(&house, AT, &task).await);
    refused(&house, Code::ItemWithdrawn);
    assert_eq!(jobs.heard("tasks/get").len(), 1);
    let task = begin(&house, AT, "slow").await;
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
}

#[tokio::test]
async fn the_result_of_a_task_is_inspected_as_a_tools_is() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "typed").await;
    jobs.says("tasks/get", done(json!({ "content": [], "structuredContent": { "n": "no number" } })));
    let told = poll(&house, AT, &task).await;
    withheld(&house, &told, Code::ResultInvalid);
    jobs.says("tasks/get", done(json!({ "content": [] })));
    withheld(&house, &poll(&house, AT, &task).await, Code::ResultInvalid);
    jobs.says("tasks/get", done(json!({ "content": [], "structuredContent": { "n": 1.50 } })));
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["result"]["structuredContent"]["n"], 1.5);
    assert!(house.last().outcome.unwrap().result.is_some(), "the record commits to it");
    jobs.says("tasks/get", done(json!({ "content": [], "isError": true })));
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["result"]["isError"], true);
    assert!(house.last().outcome.unwrap().is_error);
    let quoted = format!("the key is {SECRET}");
    jobs.says("tasks/get", done(json!({ "isError": true, "content": [{ "type": "text", "text": quoted }] })));
    let told = poll(&house, AT, &task).await;
    assert!(!String::from_utf8_lossy(&told.body).contains(SECRET), "{told:?}");
    assert!(
        told.json()["result"]["result"]["content"][0]["text"].as_str().unwrap().starts_with("the key is ")
    );
    jobs.says("tasks/get", done(json!({ "isError": true, "content": [], "x": "x".repeat(2 << 20) })));
    let told = poll(&house, AT, &task).await;
    assert!(told.json()["result"].is_null(), "too large");
}

#[tokio::test]
async fn a_server_says_no_more_of_a_task_than_its_status_allows_and_of_no_other_task() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    let result = json!({ "content": [] });
    for said in [
        json!({ "status": "working" }),
        json!({ "taskId": "t-2", "status": "working" }),
        json!({ "taskId": "t-1" }),
        json!({ "taskId": "t-1", "status": "odd" }),
        json!({ "taskId": "t-1", "status": "working", "result": result }),
        json!({ "taskId": "t-1", "status": "working", "result": "text" }),
        json!({ "taskId": "t-1", "status": "working", "structuredContent": {} }),
        json!({ "taskId": "t-1", "status": "completed" }),
        json!({ "taskId": "t-1", "status": "completed", "result": result, "inputRequests": {} }),
        json!({ "taskId": "t-1", "status": "completed", "result": { "resultType": "task", "taskId": "t-9" } }),
        json!({ "taskId": "t-1", "status": "failed" }),
        json!({ "taskId": "t-1", "status": "input_required" }),
        json!({ "taskId": "t-1", "status": "working", "resultType": "task" }),
    ] {
        jobs.says("tasks/get", said.clone());
        let told = poll(&house, AT, &task).await;
        assert!(told.json()["result"].is_null(), "{said}: {told:?}");
        assert_eq!(house.last().ending, Ending::Failed { code: Code::UpstreamNonsense }, "{said}");
    }
    jobs.says(
        "tasks/get",
        json!({ "taskId": "t-1", "status": "failed", "error": { "code": -32603, "message": "broke" } }),
    );
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["error"]["message"], "broke");
    assert!(house.last().outcome.unwrap().is_error);
    jobs.says("tasks/get", json!({ "error": { "code": -32602, "message": "no task t-1" } }));
    is_unknown(&poll(&house, AT, &task).await);
    jobs.says("tasks/cancel", json!({ "taskId": "t-1", "status": "cancelled" }));
    let told = ask(&house, AT, "tasks/cancel", json!({ "taskId": task })).await;
    withheld(&house, &told, Code::UpstreamNonsense);
}

#[tokio::test]
async fn a_task_that_asks_is_judged_as_a_question_and_answered_and_a_task_is_cancelled() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    let question = json!({ "method": "elicitation/create", "params": { "message": "sure?",
        "requestedSchema": { "type": "object", "properties": {} } } });
    jobs.says(
        "tasks/get",
        json!({ "taskId": "t-1", "status": "input_required", "inputRequests": { "q": question } }),
    );
    let told = poll(&house, AT, &task).await.json();
    assert_eq!(told["result"]["inputRequests"]["q"], question, "{told}");
    let bearer = format!("Bearer {}", house.token);
    let mute = json!({ "extensions": { TASKS: {} } });
    let told = ask_as(&house, &bearer, AT, "tasks/get", json!({ "taskId": task }), mute).await;
    withheld(&house, &told, Code::HostIncapable);
    jobs.says(
        "tasks/get",
        json!({ "taskId": "t-1", "status": "input_required",
        "inputRequests": { "q": { "method": "tools/call", "params": {} } } }),
    );
    withheld(&house, &poll(&house, AT, &task).await, Code::UpstreamNonsense);
    let answers = json!({ "q": { "action": "accept", "content": { "a": 1.50 } } });
    let told =
        ask(&house, AT, "tasks/update", json!({ "taskId": task, "inputResponses": answers })).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
    let sent = jobs.heard("tasks/update").pop().unwrap().1;
    assert_eq!((&sent["params"]["taskId"], &sent["params"]["inputResponses"]), (&json!("t-1"), &answers));
    let committed = house.entries().into_iter().rev().find_map(|entry| match entry {
        Entry::Intent(intent) if intent.method.as_deref() == Some("tasks/update") => intent.arguments,
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    assert!(committed.is_some(), "the record commits to the answers");
    for answers in [json!(null), json!([1]), json!({ "q": 1 })] {
        let told =
            ask(&house, AT, "tasks/update", json!({ "taskId": task, "inputResponses": answers })).await;
        assert_eq!(told.json()["error"]["code"], -32602, "{told:?}");
        refused(&house, Code::ArgumentsInvalid);
    }
    let told = ask(&house, AT, "tasks/cancel", json!({ "taskId": task })).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
    assert_eq!(jobs.heard("tasks/cancel").pop().unwrap().1["params"]["taskId"], "t-1");
}

#[tokio::test]
async fn a_question_inside_a_task_needs_a_rule() {
    let policy =
        r#"@id("tool") permit (principal == Agent::"bot", action == Action::"jobs__slow", resource);"#;
    let (house, jobs) = house(policy).await;
    let task = begin(&house, AT, "slow").await;
    let question = json!({ "method": "elicitation/create", "params": { "message": "sure?" } });
    jobs.says(
        "tasks/get",
        json!({ "taskId": "t-1", "status": "input_required", "inputRequests": { "q": question } }),
    );
    let told = poll(&house, AT, &task).await;
    assert!(!String::from_utf8_lossy(&told.body).contains("sure?"), "{told:?}");
    assert!(matches!(house.last().ending, Ending::Failed { .. }), "{:?}", house.last().ending);
}

#[tokio::test]
async fn a_client_that_does_not_declare_tasks_gets_none_and_may_not_ask_for_any() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    let bearer = format!("Bearer {}", house.token);
    let call = json!({ "name": "slow", "arguments": {} });
    for can in [json!({}), json!({ "tasks": {} }), json!({ "extensions": { "a/b": {} } })] {
        let told = ask_as(&house, &bearer, AT, "tools/call", call.clone(), can.clone()).await;
        withheld(&house, &told, Code::UpstreamNonsense);
        let told = ask_as(&house, &bearer, AT, "tasks/get", json!({ "taskId": task }), can).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (400, &json!(-32021)), "{told:?}");
        let needed = &told.json()["error"]["data"]["requiredCapabilities"];
        assert_eq!(*needed, json!({ "extensions": { TASKS: {} } }));
        refused(&house, Code::CapabilityUndeclared);
    }
    assert!(jobs.heard("tasks/get").is_empty());
}

#[tokio::test]
async fn what_cannot_be_a_task_is_withheld() {
    let (house, jobs) = house(ALL).await;
    for (key, value) in [
        ("taskId", json!("x".repeat(64 << 10))),
        ("taskId", json!(7)),
        ("taskId", json!(null)),
        ("status", json!("odd")),
        ("result", json!({ "content": [] })),
        ("content", json!([])),
        ("structuredContent", json!({})),
        ("inputRequests", json!({})),
    ] {
        let mut said = begun("t-1");
        said[key] = value;
        jobs.says("tools/call", said);
        let told = ask(&house, AT, "tools/call", json!({ "name": "slow", "arguments": {} })).await;
        withheld(&house, &told, Code::UpstreamNonsense);
    }
    let long = "x".repeat(1_000);
    jobs.says("tools/call", begun(&long));
    let task = begin(&house, AT, "slow").await;
    jobs.says("tasks/get", json!({ "taskId": long, "status": "working" }));
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
    let odd = "ä \"\\\n\u{1f600}";
    jobs.says("tools/call", begun(odd));
    let task = begin(&house, AT, "slow").await;
    jobs.says("tasks/get", json!({ "taskId": odd, "status": "working" }));
    assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
    assert_eq!(jobs.heard("tasks/get").pop().unwrap().1["params"]["taskId"], odd);
}

#[tokio::test]
async fn the_header_of_a_poll_must_name_its_task() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", CAPABILITIES: { "extensions": { TASKS: {} } } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": { "taskId": task, "_meta": meta } });
    let bearer = format!("Bearer {}", house.token);
    let plain = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tasks/get"),
    ];
    let with = |name| [plain.as_slice(), &[("mcp-name", name)]].concat();
    for headers in [plain.to_vec(), with("t-1"), with("slow")] {
        let told = house.post(AT, &headers, body.to_string()).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (400, &json!(-32020)), "{told:?}");
    }
    assert_eq!(house.post(AT, &with(&task), body.to_string()).await.status, 200);
    assert_eq!(jobs.heard("tasks/get").len(), 1);
}

#[tokio::test]
async fn tasks_are_announced_to_clients_on_a_native_leg_and_to_nobody_else() {
    let (house, _jobs) = house(ALL).await;
    let discovered = ask(&house, AT, "server/discover", json!({})).await.json();
    assert_eq!(discovered["result"]["capabilities"]["extensions"], json!({ TASKS: {} }), "{discovered}");
    assert!(discovered["result"]["capabilities"]["tasks"].is_null());
    let session = house.initialize(AT).await;
    let list = house.legacy(AT, &session, 2, "tools/list", json!({})).await;
    assert!(!String::from_utf8_lossy(&list.body).contains("execution"), "{list:?}");
    let old = Jobs::open(true).await;
    let house = House::open(&[("jobs", old.url.clone())], ALL).await;
    let discovered = ask(&house, AT, "server/discover", json!({})).await.json();
    assert!(discovered["result"]["capabilities"]["tools"].is_object(), "{discovered}");
    assert!(discovered["result"]["capabilities"]["extensions"].is_null());
    let list = ask(&house, AT, "tools/list", json!({})).await;
    assert!(!String::from_utf8_lossy(&list.body).contains("execution"), "{list:?}");
}

#[tokio::test]
async fn no_task_of_2025_11_25_is_carried_over_any_leg() {
    for legacy in [true, false] {
        let jobs = Jobs::open(legacy).await;
        jobs.says("tools/call", json!({ "content": [] }));
        let house = House::open(&[("jobs", jobs.url.clone())], ALL).await;
        let params = json!({ "protocolVersion": "2025-11-25", "clientInfo": { "name": "h", "version": "1" },
            "capabilities": { "tasks": { "list": {} }, "roots": {}, "extensions": { TASKS: {}, "a/b": {} } } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
        let begun = house.post(AT, &[], body).await;
        let session = begun.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let told = String::from_utf8_lossy(&begun.body).into_owned();
        assert!(!told.contains("task") && told.contains("tools"), "{told}");
        let list = house.legacy(AT, &session, 2, "tools/list", json!({})).await;
        let text = String::from_utf8_lossy(&list.body).into_owned();
        assert!(
            text.contains("slow") && !text.contains("taskSupport") && !text.contains("execution"),
            "{text}"
        );
        let params = json!({ "name": "slow", "arguments": {}, "task": { "ttl": 1 } });
        let called = house.legacy(AT, &session, 3, "tools/call", params).await;
        assert!(called.json()["result"]["content"].is_array(), "{called:?}");
        let heard = jobs.memory.lock().heard.clone();
        let of_calls =
            heard.iter().filter(|(_, body)| body["method"] == "tools/call" || body["method"] == "initialize");
        for (_, body) in of_calls {
            assert!(!body.to_string().contains("task"), "{body}");
        }
        for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update"] {
            let told = house.legacy(AT, &session, 4, method, json!({ "taskId": "t-1" })).await;
            assert_eq!(told.json()["error"]["code"], -32601, "{method}: {told:?}");
            refused(&house, Code::MethodUnsupported);
            assert!(jobs.heard(method).is_empty());
        }
        if legacy {
            let call = json!({ "name": "slow", "arguments": {}, "task": { "ttl": 1 } });
            assert!(ask(&house, AT, "tools/call", call).await.json()["result"]["content"].is_array());
            let down = jobs.memory.lock().heard.iter().any(|(_, body)| body.to_string().contains("task"));
            assert!(!down, "nothing of tasks reaches a legacy server");
            is_unknown(&poll(&house, AT, "t-1").await);
        }
    }
}

#[tokio::test]
async fn a_legacy_client_is_given_no_task_by_a_modern_server() {
    let (house, _jobs) = house(ALL).await;
    let session = house.initialize(AT).await;
    let told = house.legacy(AT, &session, 2, "tools/call", json!({ "name": "slow", "arguments": {} })).await;
    withheld(&house, &told, Code::UpstreamNonsense);
}

#[tokio::test]
async fn a_handle_outlives_the_gateway_that_gave_it() {
    let jobs = Jobs::open(false).await;
    let settings = || {
        let server = house::server(&jobs.url, Mode::Enforce);
        house::settings([(ServerName::new("jobs").unwrap(), server)].into())
    };
    let first = House::with(settings(), ALL).await;
    let task = begin(&first, AT, "slow").await;
    let deed = first.last().deed;
    let again = House::after(&first, settings(), ALL).await;
    drop(first);
    assert_eq!(poll(&again, AT, &task).await.json()["result"]["status"], "working");
    assert_eq!(again.last().deed, deed, "and goes on with the same deed");
    let stranger = House::with(settings(), ALL).await;
    is_unknown(&poll(&stranger, AT, &task).await);
}

/// A stream of notices about these tasks.
async fn listen(house: &House, tasks: &[&str]) -> hyper::body::Incoming {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        CAPABILITIES: { "elicitation": {}, "extensions": { TASKS: {} } } });
    let params = json!({ "notifications": { "taskIds": tasks }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": params });
    house.open_modern(AT, "subscriptions/listen", body.to_string()).await
}

#[tokio::test]
async fn a_subscription_tells_of_ones_own_tasks_as_a_poll_would_and_no_longer_than_one_could() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "typed").await;
    let deed = house.last().deed;
    let mut stream = listen(&house, &[&task, "t-1", "made up"]).await;
    let ack = until(&mut stream, |m| m["method"] == "notifications/subscriptions/acknowledged").await;
    assert_eq!(ack["params"]["notifications"]["taskIds"], json!([task]), "only what is theirs");
    eventually("the server is listened to", || !jobs.memory.lock().listeners.is_empty()).await;
    let (_, asked) = jobs.heard("subscriptions/listen").pop().unwrap();
    assert_eq!(asked["params"]["notifications"], json!({ "taskIds": ["t-1"] }));
    assert_eq!(asked["params"]["_meta"][CAPABILITIES]["extensions"], json!({ TASKS: {} }));
    let odd = json!({ "content": [], "structuredContent": { "n": "no number" } });
    for withheld in [
        json!({ "taskId": "t-2", "status": "working" }),
        json!({ "taskId": "t-1", "status": "working", "result": {} }),
        json!({ "taskId": "t-1", "status": "completed", "result": odd }),
        json!({ "taskId": "t-1", "status": "input_required", "inputRequests": { "q": { "method": "roots/list" } } }),
    ] {
        jobs.tells(withheld);
    }
    jobs.tells(json!({ "taskId": "t-1", "status": "failed", "error": { "code": 1, "message": SECRET } }));
    let first = until(&mut stream, |m| m["method"] == "notifications/tasks").await;
    assert_eq!(
        (&first["params"]["status"], &first["params"]["taskId"]),
        (&json!("failed"), &json!(task)),
        "{first}"
    );
    assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s");
    assert!(!first.to_string().contains(SECRET), "{first}");
    let told = |house: &House| {
        let of_it = |entry: &Entry| match entry {
            Entry::Event(event) => event.detail.get("deed") == Some(&deed.to_string()),
            Entry::Intent(_) | Entry::Decision(_) => false,
        };
        house.entries().iter().filter(|entry| of_it(entry)).count()
    };
    assert_eq!(told(&house), 1, "recorded, and nothing that was withheld");
    let written = gateway::Written {
        settings: Arc::clone(&house.gate.live().settings),
        policies: vec![policy::Source {
            path: "test.cedar".into(),
            text: r#"@id("slow") permit (principal, action == Action::"jobs__slow", resource);"#.into(),
        }],
    };
    house.offers.reload(written, || ()).await.unwrap();
    jobs.tells(json!({ "taskId": "t-1", "status": "cancelled" }));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(told(&house), 1, "who lost the tool hears nothing more");
}

#[tokio::test]
async fn nobody_is_told_of_anothers_task() {
    let (house, jobs) = house(ALL).await;
    let task = begin(&house, AT, "slow").await;
    let mut stream = listen(&house, &["made up"]).await;
    let ack = until(&mut stream, |m| m["method"] == "notifications/subscriptions/acknowledged").await;
    assert!(ack["params"]["notifications"]["taskIds"].is_null(), "{ack}");
    assert!(jobs.heard("subscriptions/listen").is_empty(), "{task}");
}

#[tokio::test]
async fn a_task_takes_of_a_budget_once_however_often_it_is_polled() {
    use policy::budget::Counts;
    let jobs = Jobs::open(false).await;
    let servers = [(ServerName::new("jobs").unwrap(), house::server(&jobs.url, Mode::Enforce))];
    let budget = crate::budgets::budget("rate", Counts::Calls, 2);
    let settings = gateway::Settings { budgets: vec![budget], ..house::settings(servers.into()) };
    let house = House::with(settings, ALL).await;
    let open = async || {
        gateway::tidy_budgets(&house.gate).await.unwrap();
        let log = house.gate.ledger().public_key().origin().to_owned();
        house.store.unsettled_uses(&house.gate.live().settings.scope(), &log).await.unwrap().len()
    };
    let task = begin(&house, AT, "slow").await;
    for _ in 0..5 {
        assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "working");
        assert_eq!(open().await, 1, "the deed is not over");
    }
    jobs.says("tasks/get", done(json!({ "content": [{ "type": "text", "text": "hi" }] })));
    for _ in 0..3 {
        assert_eq!(poll(&house, AT, &task).await.json()["result"]["status"], "completed");
        assert_eq!(open().await, 0, "over, and what it took is kept");
    }
    jobs.says(
        "tasks/get",
        json!({ "taskId": "t-1", "status": "failed", "error": { "code": -32000, "message": "no" } }),
    );
    let second = begin(&house, AT, "slow").await;
    let third = ask(&house, AT, "tools/call", json!({ "name": "slow", "arguments": {} })).await.json();
    assert_eq!(third["result"]["_meta"]["callgate/refusal"]["code"], "budget-exceeded", "{third}");
    assert_eq!(poll(&house, AT, &second).await.json()["result"]["status"], "failed");
    assert_eq!(open().await, 0);
    let again = ask(&house, AT, "tools/call", json!({ "name": "slow", "arguments": {} })).await.json();
    assert_eq!(
        again["result"]["_meta"]["callgate/refusal"]["code"], "budget-exceeded",
        "what failed at the server was done all the same: {again}"
    );
    assert_eq!(jobs.heard("tools/call").len(), 2);
}
