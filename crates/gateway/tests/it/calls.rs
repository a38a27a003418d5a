//! The path, one refusal at a time: what the Host is told, what is recorded, and what left.

use crate::house::{House, SECRET};
use crate::rogue::{Rogue, Said};
use crate::script::Script;
use decision::{Code, Ending, Stage};
use serde_json::json;

/// Everything but `hidden`; refunds over 100 need the finance group.
pub(crate) const POLICY: &str = r#"
@id("all") @because("the test agent may use the script")
permit (principal == Agent::"bot", action, resource)
unless { resource == Tool::"script__hidden" };

@id("refund-limit") @because("refunds over 100 are for finance to approve") @unless-approved("finance")
forbid (principal, action == Action::"script__refund", resource)
when { context.args.amount > 100 };
"#;

pub(crate) async fn legacy_house() -> (House, Script) {
    let script = Script::start(false).await;
    let house = House::open(&[("script", script.url.clone())], POLICY).await;
    (house, script)
}

pub(crate) async fn modern_house() -> (House, Script) {
    let script = Script::start(true).await;
    let house = House::open(&[("script", script.url.clone())], POLICY).await;
    (house, script)
}

#[tokio::test]
async fn an_allowed_call_is_sent_once_with_the_credential_and_recorded_twice() {
    let (house, script) = modern_house().await;
    let params = json!({ "name": "script__echo", "arguments": { "text": "hello" } });
    let told = house.modern("/mcp", "tools/call", params).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.json()["result"]["content"][0]["text"], r#"echo: {"text":"hello"}"#);
    assert_eq!(told.json()["id"], 7);
    let sent = script.heard("tools/call");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(sent[0].headers["mcp-name"], "echo");
    assert!(!String::from_utf8_lossy(&told.body).contains(SECRET));
    assert_eq!(house.counts(), (1, 1));
    let decision = house.last();
    assert_eq!(decision.ending, Ending::Answered);
    let walked: Vec<Stage> = decision.evidence.iter().map(|one| one.stage).collect();
    assert_eq!(walked, Stage::PATH, "every stage, once, in order");
}

#[tokio::test]
async fn a_legacy_session_lists_and_calls_under_the_names_its_author_chose() {
    let (house, script) = legacy_house().await;
    let session = house.initialize("/s/script/mcp").await;
    let list = house.legacy("/s/script/mcp", &session, 2, "tools/list", json!({})).await;
    let names: Vec<String> = list.json()["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"echo".to_owned()) && !names.contains(&"hidden".to_owned()), "{names:?}");
    let raw = String::from_utf8_lossy(&list.body).into_owned();
    assert!(raw.contains("x-unknown"), "what we do not know is passed on");
    let params = json!({ "name": "echo", "arguments": { "text": "a" } });
    let told = house.legacy("/s/script/mcp", &session, 3, "tools/call", params).await;
    assert_eq!(told.json()["result"]["content"][0]["text"], r#"echo: {"text":"a"}"#);
    assert_eq!(script.heard("tools/call").len(), 1);
    assert_eq!(house.counts(), (3, 3));
}

#[tokio::test]
async fn a_hidden_tool_and_one_that_does_not_exist_are_answered_alike_and_recorded_apart() {
    let (house, script) = modern_house().await;
    let mut answers = Vec::new();
    let mut codes = Vec::new();
    for name in ["script__hidden", "script__nowhere"] {
        let told = house.modern("/mcp", "tools/call", json!({ "name": name, "arguments": {} })).await;
        answers.push((told.status, told.json().to_string().replace(name, "NAME")));
        codes.push(house.last().ending);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(codes[0], Ending::Refused { code: Code::NotPermitted });
    assert_eq!(codes[1], Ending::Refused { code: Code::ItemUnknown });
    let asked = crate::crossing::asked(&house);
    assert_eq!((asked.target, asked.asked.unwrap().name.as_str()), (None, "script__nowhere"));
    // however long it is
    let long = format!("script__{}", "x".repeat(500));
    house.modern("/mcp", "tools/call", json!({ "name": long, "arguments": {} })).await;
    let name = crate::crossing::asked(&house).asked.unwrap().name;
    assert_eq!(name, format!("script__{}…", "x".repeat(120)));
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn an_unknown_argument_is_refused_with_a_reason_the_model_can_read() {
    let (house, script) = modern_house().await;
    let params = json!({ "name": "script__echo", "arguments": { "text": "a", "shout": true } });
    let told = house.modern("/mcp", "tools/call", params).await.json();
    assert_eq!(told["result"]["isError"], true);
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("shout") && text.contains("arguments-invalid"), "{text}");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_held_call_says_whose_yes_it_waits_for() {
    let (house, script) = modern_house().await;
    let call = |amount: u64| json!({ "name": "script__refund", "arguments": { "amount": amount } });
    assert!(house.modern("/mcp", "tools/call", call(40)).await.json()["result"]["isError"].is_null());
    let told = house.modern("/mcp", "tools/call", call(500)).await.json();
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("finance was asked") && text.contains("refunds over 100"), "{text}");
    assert_eq!(told["result"]["_meta"]["callgate/refusal"]["ask"], json!(["finance"]));
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ApprovalRequired });
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token_and_every_attempt_is_recorded() {
    let (house, script) = modern_house().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }).to_string();
    let malformed = Some("error=\"invalid_token\"");
    let ways = [("", None), ("Bearer nonsense", malformed), ("Bearer a b", malformed), ("Basic eA==", None)];
    for (value, error) in ways {
        let told = house.post("/mcp", &[("authorization", value)], body.clone()).await;
        assert_eq!(told.status, 401, "{value}");
        let challenge = told.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert_eq!(error.is_some(), challenge.contains("error="), "{challenge}");
        assert!(error.is_none_or(|error| challenge.contains(error)), "{challenge}");
    }
    assert_eq!(house.counts(), (4, 4));
    assert_eq!(script.everything().iter().filter(|heard| heard.method() == "tools/call").count(), 0);
}

#[tokio::test]
async fn what_was_judged_is_what_the_upstream_received_byte_for_byte() {
    let (house, script) = modern_house().await;
    // odd spacing, escapes and big numbers survive; only id and name are ours
    let arguments = r#"{ "text" : "\u0068i \ud83d\ude00" }"#;
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"x":1.50,"y":12345678901234567890123}"#;
    let body = format!(
        r#"{{"jsonrpc": "2.0","id":"a-1", "method":"tools/call","params":{{"name":"script__echo",{meta},"arguments":{arguments}}}}}"#
    );
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "script__echo")];
    let told = house.post("/mcp", &headers, body.clone()).await;
    assert_eq!(told.json()["id"], "a-1", "{told:?}");
    let sent = script.heard("tools/call")[0].clone();
    let id = sent.json()["id"].to_string();
    let expected = body.replace("\"a-1\"", &id).replace("script__echo", "echo");
    assert_eq!(String::from_utf8_lossy(&sent.body), expected);
}

#[tokio::test]
async fn progress_reaches_the_host_under_its_own_token_and_is_counted() {
    let (house, _script) = legacy_house().await;
    let session = house.initialize("/s/script/mcp").await;
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let told = house.legacy("/s/script/mcp", &session, 5, "tools/call", params).await;
    let progress: Vec<_> =
        told.events.iter().filter(|event| event["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 3, "{told:?}");
    assert!(progress.iter().all(|event| event["params"]["progressToken"] == "mine"));
    assert_eq!(told.json()["result"]["content"][0]["text"], "done");
    assert_eq!(house.last().progress, 3);
}

#[tokio::test]
async fn an_upstream_that_misbehaves_costs_an_answer_with_a_code_and_nothing_else() {
    let (house, _script) = legacy_house().await;
    let session = house.initialize("/s/script/mcp").await;
    for (id, (tool, code)) in [
        ("hang", Code::UpstreamTimeout),
        ("nonsense", Code::UpstreamNonsense),
        ("die", Code::UpstreamLost),
        ("big", Code::ResultTooLarge),
        ("typed", Code::ResultInvalid),
    ]
    .into_iter()
    .enumerate()
    {
        let params = json!({ "name": tool, "arguments": {} });
        let told = house.legacy("/s/script/mcp", &session, 10 + id as u64, "tools/call", params).await;
        assert_eq!(told.json()["result"]["isError"], true, "{tool}: {told:?}");
        assert_eq!(told.json()["result"]["_meta"]["callgate/refusal"]["code"], code.as_str(), "{tool}");
        assert_eq!(house.last().ending, Ending::Failed { code }, "{tool}");
    }
    let (asked, decided) = house.counts();
    assert_eq!((asked, decided), (6, 6));
}

#[tokio::test]
async fn an_error_is_not_held_to_the_schema_of_what_it_is_not_and_no_content_is_none() {
    for modern in [true, false] {
        let (house, _script) = if modern { modern_house().await } else { legacy_house().await };
        let session = if modern { String::new() } else { house.initialize("/s/script/mcp").await };
        let call = async |id: u64, n: u64| {
            let params = json!({ "name": "typed", "arguments": { "n": n } });
            match modern {
                true => house.modern("/s/script/mcp", "tools/call", params).await.json(),
                false => house.legacy("/s/script/mcp", &session, id, "tools/call", params).await.json(),
            }
        };
        let failed = call(10, 1).await;
        assert_eq!(failed["result"]["isError"], true, "{failed}");
        let why = failed["result"]["structuredContent"]["why"].as_str().unwrap_or_default();
        assert!(
            !why.is_empty() && !failed.to_string().contains(SECRET),
            "it is searched all the same: {failed}"
        );
        let bare = call(11, 2).await;
        assert_eq!(bare["result"]["structuredContent"]["n"], 2, "{bare}");
        assert!(bare["result"].get("content").is_none(), "it passes as it came: {bare}");
        let wrong = call(12, 3).await;
        assert_eq!(wrong["result"]["_meta"]["callgate/refusal"]["code"], "result-invalid", "{wrong}");
    }
}

#[tokio::test]
async fn a_flood_of_messages_ends_by_its_number_or_by_the_time_it_takes() {
    let (house, _script) = legacy_house().await;
    let session = house.initialize("/s/script/mcp").await;
    let params = json!({ "name": "flood", "arguments": {} });
    let told = house.legacy("/s/script/mcp", &session, 10, "tools/call", params).await.json();
    let code = told["result"]["_meta"]["callgate/refusal"]["code"].as_str().unwrap().to_owned();
    assert!(["upstream-nonsense", "upstream-timeout"].contains(&code.as_str()), "{told}");
    assert!(matches!(house.last().ending, Ending::Failed { .. }));
    assert_eq!(house.counts(), (2, 2));
}

#[tokio::test]
async fn calls_without_a_session_are_grouped_by_their_trace_or_by_who_makes_them() {
    let (house, _script) = modern_house().await;
    let call = |meta: serde_json::Value| {
        house.modern("/mcp", "tools/call", json!({ "name": "script__echo", "arguments": {}, "_meta": meta }))
    };
    let mut interactions = Vec::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for meta in [json!({}), json!({}), json!({ "traceparent": parent })] {
        call(meta).await;
        interactions.push(house.last().interaction.to_string());
    }
    assert_eq!(interactions[0], interactions[1], "one principal, one host, no gap");
    assert_eq!(interactions[2], "trace-4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_proxy_s_error_says_nothing_of_whether_the_call_was_passed_on_and_nobody_sends_it_again() {
    for status in [502, 503, 504] {
        let down = move |message: &serde_json::Value, _: &http::HeaderMap| {
            (message["method"] == "tools/call").then_some(Said::Status(status))
        };
        let rogue = Rogue::start(true, down).await;
        let all = r#"@id("all") permit (principal, action, resource);"#;
        let house = House::open(&[("rogue", rogue.url.clone())], all).await;
        let params = json!({ "name": "rogue__go", "arguments": {} });
        let told = house.modern("/mcp", "tools/call", params).await.json().to_string();
        assert!(told.contains("The call was sent, and there is no answer"), "{told}");
        assert!(told.contains("upstream-lost") && !told.contains("could not be reached"), "{told}");
        let last = house.last();
        assert!(last.dispatched && last.ending == Ending::Failed { code: Code::UpstreamLost }, "{last:?}");
        assert_eq!(rogue.heard("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_told_as_that_and_not_as_a_bound_of_ours() {
    let busy = |message: &serde_json::Value, _: &http::HeaderMap| {
        (message["method"] == "tools/call").then_some(Said::Status(429))
    };
    let rogue = Rogue::start(true, busy).await;
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("rogue", rogue.url.clone())], all).await;
    let params = json!({ "name": "rogue__go", "arguments": {} });
    let told = house.modern("/mcp", "tools/call", params).await.json().to_string();
    assert!(told.contains("The server did not take the call: the server itself asks for patience"), "{told}");
    assert!(told.contains("upstream-busy") && !told.contains("max-children"), "{told}");
}
