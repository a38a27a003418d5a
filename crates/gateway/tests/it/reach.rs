//! How a client whose call waits for people learns of it, and that none of the ways is a yes.

use crate::approvals::{call, code, house, refund, scope, state, vote, waiting};
use crate::calls::POLICY;
use crate::house::{House, Told};
use crate::questions::until;
use callgate_gateway::settings::Mode;
use decision::approval::State;
use decision::{ApprovalId, Code, Ending};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;
const KEY: &str = "callgate/approval";
const PATIENT: Duration = Duration::from_secs(20);

/// What a client that can visit an address says of itself.
fn visitor() -> Value {
    json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "url": {} } } })
}

fn visiting(params: Value) -> Value {
    let mut params = params;
    params["_meta"] = visitor();
    params
}

/// The same call with the state that came, and what the client's person did.
fn back(params: Value, told: &Value, action: &str) -> Value {
    let mut params = visiting(params);
    params["requestState"] = told["result"]["requestState"].clone();
    params["inputResponses"] = json!({ KEY: { "action": action } });
    params
}

/// The reason code of a refusal, as a result or as an error.
fn no(told: &Value) -> Option<String> {
    code(told).or_else(|| told["error"]["data"]["code"].as_str().map(str::to_owned))
}

/// The one approval that waits, once it is there.
pub(crate) async fn proposed(house: &House) -> ApprovalId {
    for _ in 0..2_000 {
        if let [one] = waiting(house).await.as_slice() {
            return one.id;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    waiting(house).await[0].id
}

#[tokio::test]
async fn a_modern_client_is_sent_to_the_page_of_the_approval_and_comes_back_for_the_result() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    assert_eq!(told["result"]["resultType"], "input_required", "{told}");
    let asked = &told["result"]["inputRequests"][KEY];
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["mode"], "url");
    assert_eq!(asked["params"]["url"], format!("https://gate.example.com/console/approvals/{id}"));
    assert!(asked["params"]["message"].as_str().unwrap().contains("finance"), "{asked}");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ApprovalRequired });
    let again = call(&house, back(refund(500), &told, "accept")).await;
    assert_eq!(again["result"]["resultType"], "input_required", "having looked is no yes: {again}");
    assert_ne!(again["result"]["requestState"], told["result"]["requestState"], "a fresh state");
    vote(&house, id, "fay", true).await.unwrap();
    let done = call(&house, back(refund(500), &again, "accept")).await;
    assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
    let [sent] = script.heard("tools/call").try_into().unwrap();
    assert!(sent.json()["params"]["requestState"].is_null(), "what was ours stays here: {sent:?}");
    assert!(sent.json()["params"]["inputResponses"].is_null(), "{sent:?}");
    assert_eq!(state(&house, id).await, State::Executed);
    let deeds: std::collections::BTreeSet<_> = decisions(&house).into_iter().map(|one| one.deed).collect();
    assert_eq!(deeds.len(), 1, "all of it is one deed");
}

fn decisions(house: &House) -> Vec<decision::Decision> {
    let about = |one: &decision::Decision| one.evidence.iter().any(|e| e.stage == decision::Stage::Approval);
    let entries = house.entries().into_iter();
    let all = entries.filter_map(|entry| match entry {
        decision::Entry::Decision(one) => Some(*one),
        decision::Entry::Intent(_) | decision::Entry::Event(_) => None,
    });
    all.filter(about).collect()
}

#[tokio::test]
async fn a_client_that_came_back_waits_and_has_its_answer_within_a_moment_of_the_yes() {
    let (house, script) = house(POLICY, PATIENT).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    let comes_back = call(&house, back(refund(500), &told, "accept"));
    let (done, _) = tokio::join!(comes_back, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(script.heard("tools/call").is_empty());
        vote(&house, id, "fay", true).await.unwrap();
    });
    assert_eq!(no(&done), None, "{done}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_client_that_declines_takes_the_approval_back_whatever_people_said() {
    for action in ["decline", "cancel"] {
        for decided in [false, true] {
            let (house, script) = house(POLICY, PATIENT).await;
            let told = call(&house, visiting(refund(500))).await;
            let id = proposed(&house).await;
            if decided {
                vote(&house, id, "fay", true).await.unwrap();
            }
            let refused = call(&house, back(refund(500), &told, action)).await;
            assert_eq!(no(&refused).as_deref(), Some("approval-cancelled"), "{refused}");
            assert_eq!(state(&house, id).await, State::Cancelled);
            let again = call(&house, back(refund(500), &told, "accept")).await;
            assert_eq!(no(&again).as_deref(), Some("approval-cancelled"), "it is over: {again}");
            assert!(waiting(&house).await.is_empty() && script.heard("tools/call").is_empty());
        }
    }
}

#[tokio::test]
async fn replay_of_a_request_state_after_use_does_nothing_and_asks_nobody() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    assert_eq!(no(&call(&house, back(refund(500), &told, "accept")).await), None);
    for _ in 0..3 {
        let replayed = call(&house, back(refund(500), &told, "accept")).await;
        assert_eq!(no(&replayed).as_deref(), Some("approval-spent"), "{replayed}");
    }
    assert!(waiting(&house).await.is_empty(), "nobody is asked for a replay");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn replay_of_a_request_state_while_the_call_runs_does_not_send_it_again() {
    let policy =
        POLICY.replace("script__refund", "script__hang").replace("when { context.args.amount > 100 }", "");
    let (house, script) = house(&policy, Duration::ZERO).await;
    let hang = || json!({ "name": "script__hang", "arguments": {} });
    let told = call(&house, visiting(hang())).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    let calls = (0..16).map(|_| call(&house, back(hang(), &told, "accept")));
    let told = futures::future::join_all(calls).await;
    let spent = told.iter().filter(|told| no(told).as_deref() == Some("approval-spent")).count();
    assert_eq!((spent, script.heard("tools/call").len()), (15, 1), "{told:?}");
}

#[tokio::test]
async fn the_request_state_of_another_principal_is_nothing() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    vote(&house, proposed(&house).await, "fay", true).await.unwrap();
    let text = POLICY.replace("principal == Agent::\"bot\"", "principal");
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "p.cedar".into(), text }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    let other = format!("Bearer {}", house.agent("other").await);
    for params in [back(refund(500), &told, "accept"), back(refund(500), &told, "decline")] {
        let refused = house.modern_as(&other, "/mcp", "tools/call", params).await.json();
        assert_eq!(no(&refused).as_deref(), Some("state-unknown"), "{refused}");
    }
    assert!(script.heard("tools/call").is_empty() && waiting(&house).await.is_empty());
}

#[tokio::test]
async fn a_request_state_is_for_its_item_and_its_arguments() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    let other = json!({ "name": "script__echo", "arguments": { "text": "a" } });
    assert_eq!(no(&call(&house, back(other, &told, "accept")).await).as_deref(), Some("state-unknown"));
    for amount in [501, 50] {
        let refused = call(&house, back(refund(amount), &told, "accept")).await;
        assert_eq!(no(&refused).as_deref(), Some("approval-void"), "{refused}");
        assert!(refused.to_string().contains("the arguments changed"), "{refused}");
        let declined = call(&house, back(refund(amount), &told, "decline")).await;
        assert_eq!(no(&declined).as_deref(), Some("approval-void"), "{declined}");
    }
    assert_eq!(state(&house, id).await, State::Approved, "the true call still has its yes");
    assert!(script.heard("tools/call").is_empty() && waiting(&house).await.is_empty());
    assert_eq!(no(&call(&house, back(refund(500), &told, "accept")).await), None);
}

#[tokio::test]
async fn a_request_state_ends_with_its_approval_and_none_is_made_up() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    vote(&house, proposed(&house).await, "fay", true).await.unwrap();
    let mut forged = told.clone();
    forged["result"]["requestState"] = json!("bm90IG91cnM");
    assert_eq!(
        no(&call(&house, back(refund(500), &forged, "accept")).await).as_deref(),
        Some("state-unknown")
    );
    house.advance(Duration::from_secs(31 * 60));
    let late = call(&house, back(refund(500), &told, "accept")).await;
    assert_eq!(no(&late).as_deref(), Some("state-unknown"), "{late}");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_policy_that_changed_voids_what_a_client_comes_back_for() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    let text = POLICY.replace("> 100", "> 90");
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "p.cedar".into(), text }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    for _ in 0..2 {
        let refused = call(&house, back(refund(500), &told, "accept")).await;
        assert_eq!(no(&refused).as_deref(), Some("approval-void"), "{refused}");
    }
    assert_eq!(state(&house, id).await, State::Cancelled);
    assert!(script.heard("tools/call").is_empty() && waiting(&house).await.is_empty());
}

#[tokio::test]
async fn a_client_that_can_do_nothing_is_told_in_words_and_for_programs_and_resumes_by_either() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    let told = call(&house, refund(500)).await;
    let id = proposed(&house).await;
    let about = &told["result"]["_meta"][KEY];
    let url = format!("https://gate.example.com/console/approvals/{id}");
    assert_eq!(about["operation"], id.to_string());
    assert_eq!((&about["state"], &about["url"]), (&json!("proposed"), &json!(url)));
    assert_eq!(about["ask"], json!(["finance"]));
    assert!(about["expires"].as_str().unwrap().ends_with('Z'), "{about}");
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains(&url), "{told}");
    let named = |amount: u64, id: &str| {
        let mut params = refund(amount);
        params["_meta"] = json!({ "callgate/operation": id });
        params
    };
    assert_eq!(no(&call(&house, named(500, &id.to_string())).await).as_deref(), Some("approval-required"));
    vote(&house, id, "fay", true).await.unwrap();
    assert_eq!(no(&call(&house, named(501, &id.to_string())).await).as_deref(), Some("state-unknown"));
    assert_eq!(no(&call(&house, named(500, "nonsense")).await).as_deref(), Some("state-unknown"));
    assert_eq!(no(&call(&house, named(500, &id.to_string())).await), None);
    assert_eq!(no(&call(&house, named(500, &id.to_string())).await).as_deref(), Some("approval-spent"));
    assert_eq!(script.heard("tools/call").len(), 1);
}

/// A legacy session of a client that can be asked so.
async fn session(house: &House, revision: &str, elicitation: Value) -> String {
    let params = json!({ "protocolVersion": revision, "capabilities": { "elicitation": elicitation },
        "clientInfo": { "name": "test-host", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
    let told: Told = house.post("/mcp", &[], body).await;
    told.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

async fn open(house: &House, session: &str, params: Value) -> hyper::body::Incoming {
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params });
    house.open_post("/mcp", session, call.to_string()).await
}

async fn answer(house: &House, session: &str, question: &Value, action: &str) {
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } });
    let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(house.post("/mcp", &headers, answer.to_string()).await.status, 202);
}

#[tokio::test]
async fn a_legacy_client_is_told_on_its_open_stream_and_its_accept_is_no_yes() {
    let url = json!({ "url": {} });
    for (elicitation, mode) in [(url, Some("url")), (json!({}), None), (json!({ "form": {} }), None)] {
        let (house, script) = house(POLICY, PATIENT).await;
        let session = session(&house, "2025-11-25", elicitation).await;
        let mut body = open(&house, &session, refund(500)).await;
        let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
        let id = proposed(&house).await;
        assert_eq!(question["params"]["mode"].as_str(), mode, "{question}");
        assert!(question.to_string().contains(&id.to_string()), "{question}");
        assert_eq!(mode.is_some(), question["params"]["elicitationId"].is_string());
        answer(&house, &session, &question, "accept").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(state(&house, id).await, State::Proposed, "a form is no second pair of eyes");
        assert!(script.heard("tools/call").is_empty());
        vote(&house, id, "fay", true).await.unwrap();
        let done = until(&mut body, |message| message["id"] == 9).await;
        assert_eq!(no(&done), None, "{done}");
        assert_eq!(script.heard("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn a_legacy_client_that_declines_takes_the_approval_back() {
    let (house, script) = house(POLICY, PATIENT).await;
    let session = session(&house, "2025-06-18", json!({})).await;
    let mut body = open(&house, &session, refund(500)).await;
    let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
    let id = proposed(&house).await;
    answer(&house, &session, &question, "decline").await;
    let refused = until(&mut body, |message| message["id"] == 9).await;
    assert_eq!(no(&refused).as_deref(), Some("approval-cancelled"), "{refused}");
    assert_eq!(state(&house, id).await, State::Cancelled);
    assert!(vote(&house, id, "fay", true).await.is_err());
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_or_gives_up_has_asked_for_nothing_any_more() {
    let (house, script) = house(POLICY, PATIENT).await;
    let mut params = refund(500);
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1 });
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params }).to_string();
    let headers = [("authorization", format!("Bearer {}", house.token))];
    let headers = [
        ("authorization", headers[0].1.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "script__refund"),
    ];
    let mut open = house.begin("POST", "/mcp", &headers, body).await.into_body();
    until(&mut open, |message| message["method"] == "notifications/progress").await;
    drop(open);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(script.heard("tools/call").is_empty(), "nobody waits, so nothing is sent");
    assert_eq!(state(&house, id).await, State::Approved);

    let session = session(&house, "2025-11-25", Value::Null).await;
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
    let other = json!({ "name": "script__refund", "arguments": { "amount": 700 } });
    let (told, _) = tokio::join!(house.legacy("/mcp", &session, 9, "tools/call", other), async {
        let id = proposed(&house).await;
        house.post("/mcp", &headers, cancel.to_string()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        vote(&house, id, "fay", true).await.unwrap();
    });
    assert_eq!(code(&told.json()).as_deref(), Some("approval-required"), "{told:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_gateway_that_drains_lets_waiting_calls_go_and_keeps_their_approvals() {
    let (house, script) = house(POLICY, PATIENT).await;
    let began = Instant::now();
    let (told, id) = tokio::join!(call(&house, refund(500)), async {
        let id = proposed(&house).await;
        house.gate.drain();
        id
    });
    assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(state(&house, id).await, State::Proposed);
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_decision_reaches_the_waiting_client_in_a_quarter_of_a_second() {
    let (house, script) = house(POLICY, PATIENT).await;
    let mut times = Vec::new();
    for amount in 500..521 {
        let (at, told) = tokio::join!(
            async {
                let id = proposed(&house).await;
                tokio::time::sleep(Duration::from_millis(30)).await;
                let at = Instant::now();
                vote(&house, id, "fay", true).await.unwrap();
                at
            },
            async { (call(&house, refund(amount)).await, Instant::now()) }
        );
        assert_eq!(code(&told.0), None, "{}", told.0);
        times.push(told.1.saturating_duration_since(at));
    }
    times.sort();
    let median = times[times.len() / 2];
    println!(
        "from the decision to the waiting client's answer: median {median:?}, worst {:?}",
        times[times.len() - 1]
    );
    assert_eq!(script.heard("tools/call").len(), 21);
    // the machine may be busy with other tests
    assert!(median < Duration::from_millis(1_000), "{median:?}");
}

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What a client that can follow a task says of itself.
fn following(params: Value) -> Value {
    let mut params = params;
    params["_meta"] =
        json!({ "io.modelcontextprotocol/clientCapabilities": { "extensions": { TASKS: {} } } });
    params
}

/// A message about a task, as its client sends it.
async fn about(house: &House, bearer: &str, method: &str, task: &Value) -> Value {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "extensions": { TASKS: {} } },
        "io.modelcontextprotocol/clientInfo": { "name": "test-host", "version": "1" } });
    let params = json!({ "taskId": task, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    let name = task.as_str().unwrap();
    let headers = [
        ("authorization", bearer),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", name),
    ];
    house.post("/mcp", &headers, body).await.json()
}

#[tokio::test]
async fn a_client_that_follows_tasks_polls_and_the_poll_that_finds_the_yes_sends_the_call_once() {
    let (house, script) = house(POLICY, PATIENT).await;
    let mine = format!("Bearer {}", house.token);
    let told = call(&house, following(refund(500))).await;
    assert_eq!(told["result"]["resultType"], "task", "{told}");
    assert_eq!(told["result"]["status"], "working");
    let (task, id) = (told["result"]["taskId"].clone(), proposed(&house).await);
    let waits = about(&house, &mine, "tasks/get", &task).await;
    assert_eq!(waits["result"]["status"], "working", "{waits}");
    assert!(waits["result"]["statusMessage"].as_str().unwrap().contains("finance"), "{waits}");
    let other = format!("Bearer {}", house.agent("other").await);
    let refused = about(&house, &other, "tasks/get", &task).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("Unknown task"), "{refused}");
    assert!(script.heard("tools/call").is_empty());
    vote(&house, id, "fay", true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(script.heard("tools/call").is_empty(), "nobody polled, so nobody asks for it");
    let polls = futures::future::join_all((0..8).map(|_| about(&house, &mine, "tasks/get", &task))).await;
    let done = |poll: &Value| poll["result"]["status"] == "completed";
    assert!(polls.iter().all(|poll| done(poll) || poll["result"]["status"] == "working"), "{polls:?}");
    let last = about(&house, &mine, "tasks/get", &task).await;
    assert_eq!(last["result"]["status"], "completed", "{last}");
    assert_eq!(last["result"]["result"]["content"][0]["text"], r#"refund: {"amount":500}"#);
    assert_eq!((script.heard("tools/call").len(), state(&house, id).await), (1, State::Executed));
}

#[tokio::test]
async fn a_task_that_was_denied_fails_and_one_that_is_cancelled_takes_the_approval_back() {
    let (house, script) = house(POLICY, PATIENT).await;
    let mine = format!("Bearer {}", house.token);
    let task = call(&house, following(refund(500))).await["result"]["taskId"].clone();
    vote(&house, proposed(&house).await, "fay", false).await.unwrap();
    let failed = about(&house, &mine, "tasks/get", &task).await;
    assert_eq!(failed["result"]["status"], "failed", "{failed}");
    assert_eq!(failed["result"]["error"]["data"]["code"], "approval-denied");
    let task = call(&house, following(refund(700))).await["result"]["taskId"].clone();
    let id = proposed(&house).await;
    assert!(about(&house, &mine, "tasks/cancel", &task).await["error"].is_null());
    assert_eq!(state(&house, id).await, State::Cancelled);
    assert_eq!(about(&house, &mine, "tasks/get", &task).await["result"]["status"], "cancelled");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn what_executes_on_approval_leaves_without_its_client_and_its_result_waits_for_the_same_call() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let (house, script) = house(&policy, Duration::ZERO).await;
    let told = call(&house, refund(500)).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    until_state(&house, id, State::Executed).await;
    assert_eq!(script.heard("tools/call").len(), 1);
    let other = format!("Bearer {}", house.agent("other").await);
    let theirs = house.modern_as(&other, "/mcp", "tools/call", refund(500)).await.json();
    assert_ne!(theirs["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{theirs}");
    let done = call(&house, refund(500)).await;
    assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");
    assert_eq!(done["id"], 7);
    let mut named = refund(500);
    named["_meta"] = json!({ "callgate/operation": id.to_string() });
    let again = call(&house, named).await;
    assert_eq!(again["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{again}");
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"), "another deed");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_call_that_leaves_by_itself_is_kept_with_its_approval_and_not_after_it() {
    let (house, _script) = house(&executing(), Duration::ZERO).await;
    let mut changes = house.gate.desk().changes();
    let kept = async {
        let id = changes.recv().await.unwrap();
        // whoever stopped here would have left a yes that sends nothing
        house.store.sealed_call(&scope(&house), id).await.unwrap()
    };
    let (kept, told) = tokio::join!(kept, call(&house, refund(500)));
    assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
    assert!(kept.is_some());
}

#[tokio::test]
async fn a_kept_call_of_an_agent_that_was_disabled_is_not_sent() {
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let (house, script) = house(&policy, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = proposed(&house).await;
    let bot = crate::house::TOKEN_AGENT.parse().unwrap();
    house.store.disable_agent(&scope(&house), &bot, "ops").await.unwrap();
    house.until_refused(&house.token).await;
    vote(&house, id, "fay", true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(script.heard("tools/call").is_empty());
    assert_eq!(state(&house, id).await, State::Approved);
    let kept = house.store.sealed_call(&scope(&house), id).await.unwrap();
    assert!(kept.is_none(), "nor on the day when the agent is enabled again");
}

fn executing() -> String {
    POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval")
}

/// Settings as they are but for this, and these rules.
async fn reload(house: &House, rules: &str, change: impl FnOnce(&mut gateway::Settings)) {
    let mut settings = (*house.gate.live().settings).clone();
    change(&mut settings);
    let policies = vec![policy::Source { path: "test.cedar".into(), text: rules.to_owned() }];
    let newer = gateway::Written { settings: std::sync::Arc::new(settings), policies };
    house.offers.reload(newer, || ()).await.unwrap();
}

// I27: one yes is one call, also where nothing holds the call any more by the time it leaves.
#[tokio::test]
async fn a_kept_call_that_no_rule_holds_any_more_uses_its_yes_up_or_is_not_sent() {
    // the rules are the same, and the server only observes
    let (house, script) = house(&executing(), Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = proposed(&house).await;
    reload(&house, &executing(), |settings| {
        settings.servers.values_mut().for_each(|server| server.mode = Mode::Observe);
    })
    .await;
    vote(&house, id, "fay", true).await.unwrap();
    until_state(&house, id, State::Executed).await;
    assert_eq!(script.heard("tools/call").len(), 1);
    let done = call(&house, refund(500)).await;
    assert_eq!(done["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{done}");

    // the rules are others
    let (house, script) = self::house(&executing(), Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = proposed(&house).await;
    reload(&house, ALL, |_| {}).await;
    vote(&house, id, "fay", true).await.unwrap();
    until_state(&house, id, State::Cancelled).await;
    assert!(script.heard("tools/call").is_empty(), "the yes was to what the rules were");
}

#[tokio::test]
async fn a_yes_to_a_call_that_went_on_without_it_is_not_good_for_the_next() {
    let (house, script) = house(POLICY, PATIENT).await;
    let waits = call(&house, refund(500));
    let (told, _) = tokio::join!(waits, async {
        let id = proposed(&house).await;
        reload(&house, ALL, |_| {}).await;
        vote(&house, id, "fay", true).await.unwrap();
    });
    assert_eq!(code(&told).as_deref(), Some("approval-void"), "{told}");
    assert!(script.heard("tools/call").is_empty());
    assert_eq!(code(&call(&house, refund(500)).await), None, "nobody has to be asked");
    reload(&house, POLICY, |_| {}).await;
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(script.heard("tools/call").len(), 1);
    // a client that came back for what nobody decided goes on, and leaves nothing to decide
    let (house, script) = self::house(POLICY, Duration::ZERO).await;
    let told = call(&house, visiting(refund(500))).await;
    let id = proposed(&house).await;
    reload(&house, ALL, |_| {}).await;
    assert_eq!(no(&call(&house, back(refund(500), &told, "accept")).await), None);
    assert_eq!((script.heard("tools/call").len(), state(&house, id).await), (1, State::Cancelled));
}

#[tokio::test]
async fn a_kept_call_whose_client_gave_up_is_not_sent_whatever_people_decide() {
    let (house, script) = house(&executing(), PATIENT).await;
    {
        let gives_up = call(&house, refund(500));
        let waited = tokio::time::timeout(Duration::from_secs(1), gives_up).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    let id = proposed(&house).await;
    let scope = scope(&house);
    for _ in 0..1_000 {
        if house.store.sealed_call(&scope, id).await.unwrap().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    vote(&house, id, "fay", true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(script.heard("tools/call").is_empty());
    assert_eq!(state(&house, id).await, State::Approved, "who asks again has it");
}

async fn until_state(house: &House, id: ApprovalId, wanted: State) {
    for _ in 0..1_000 {
        if state(house, id).await == wanted {
            // its answer is kept right after
            return tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(state(house, id).await, wanted);
}

/// The answer that was kept of it is gone, as where its gateway was killed before it was kept.
async fn lose_answer(house: &House, id: ApprovalId) {
    house.store.keep_answer(&scope(house), id, b"lost").await.unwrap();
}

fn naming(params: Value, id: ApprovalId) -> Value {
    let mut named = params;
    named["_meta"]["callgate/operation"] = json!(id.to_string());
    named
}

#[tokio::test]
async fn of_a_call_that_left_without_its_client_and_whose_answer_is_lost_its_asker_is_told_once() {
    let (house, script) = house(&executing(), Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    until_state(&house, id, State::Executed).await;
    lose_answer(&house, id).await;
    let named = call(&house, naming(refund(500), id)).await;
    assert_eq!(code(&named).as_deref(), Some("answer-unkept"), "{named}");
    let told = call(&house, refund(500)).await;
    assert_eq!(code(&told).as_deref(), Some("answer-unkept"), "{told}");
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Not sent again: the call was made (`call_") && text.contains("not kept"),
        "{text}"
    );
    assert!(waiting(&house).await.is_empty(), "and nobody is asked again");
    let told = call(&house, refund(500)).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"), "now that it is known: {told}");
    let [one] = waiting(&house).await.try_into().unwrap();
    let [warning] = one.preview.warnings().try_into().unwrap();
    assert!(
        warning.starts_with("the same call was approved at ") && warning.contains("it was done"),
        "{warning}"
    );
    assert!(warning.contains(&id.to_string()), "{warning}");
    // a no to that does not make what was done before unknown to the next who is asked
    house.gate.desk().revoke(&scope(&house), one.id, "ops", None).await.unwrap();
    call(&house, refund(500)).await;
    let [next] = waiting(&house).await.try_into().unwrap();
    assert_eq!(next.preview.before, one.preview.before);
    assert_eq!(script.heard("tools/call").len(), 1);
}

/// What a call of `die` needs people's yes for.
const MAY_DIE: &str = r#"@id("all") permit (principal, action, resource);
    @id("ask") @because("it kills") @unless-approved("finance") forbid (principal, action == Action::"script__die", resource);"#;

#[tokio::test]
async fn of_a_call_whose_end_is_not_known_its_asker_is_told_once_and_so_is_whoever_is_asked_again() {
    let (house, script) = house(MAY_DIE, Duration::ZERO).await;
    let die = || json!({ "name": "script__die", "arguments": {} });
    call(&house, die()).await;
    let id = proposed(&house).await;
    vote(&house, id, "fay", true).await.unwrap();
    let lost = call(&house, die()).await;
    assert_eq!(code(&lost).as_deref(), Some("upstream-lost"), "{lost}");
    let text = lost["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("The call was sent, and there is no answer: "), "{text}");
    assert_eq!(state(&house, id).await, State::Unknown);
    let sent = script.heard("tools/call").len();
    let told = call(&house, die()).await;
    assert_eq!(code(&told).as_deref(), Some("outcome-unknown"), "{told}");
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("whether it happened is not known") && text.contains("find out"), "{text}");
    assert!(waiting(&house).await.is_empty());
    // another asker's call is another deed
    let other = format!("Bearer {}", house.agent("other").await);
    let theirs = house.modern_as(&other, "/mcp", "tools/call", die()).await.json();
    assert_eq!(code(&theirs).as_deref(), Some("approval-required"), "{theirs}");
    let [theirs] = waiting(&house).await.try_into().unwrap();
    assert_eq!(theirs.preview.before, None);
    assert_eq!(code(&call(&house, die()).await).as_deref(), Some("approval-required"));
    let mine = waiting(&house).await.into_iter().find(|one| one.id != theirs.id).unwrap();
    let [warning] = mine.preview.warnings().try_into().unwrap();
    assert!(warning.contains("whether it happened is not known"), "{warning}");
    let named = call(&house, naming(die(), id)).await;
    assert_eq!(code(&named).as_deref(), Some("outcome-unknown"), "as often as it is named: {named}");
    assert_eq!(script.heard("tools/call").len(), sent);
}

#[tokio::test]
async fn a_task_whose_call_was_lost_says_that_it_was_sent_and_not_that_it_waits_for_people() {
    let (house, _script) = house(MAY_DIE, PATIENT).await;
    let mine = format!("Bearer {}", house.token);
    let told = call(&house, following(json!({ "name": "script__die", "arguments": {} }))).await;
    let (task, id) = (told["result"]["taskId"].clone(), proposed(&house).await);
    vote(&house, id, "fay", true).await.unwrap();
    about(&house, &mine, "tasks/get", &task).await;
    until_state(&house, id, State::Unknown).await;
    lose_answer(&house, id).await;
    let lost = about(&house, &mine, "tasks/get", &task).await;
    assert_eq!(lost["result"]["status"], "failed", "{lost}");
    let error = &lost["result"]["error"];
    assert_eq!(error["data"]["code"], "outcome-unknown", "{lost}");
    assert_ne!(error["data"]["class"], "approval-needed");
    assert!(
        error["message"].as_str().unwrap().contains("was sent, and whether it happened is not known"),
        "{lost}"
    );
}
