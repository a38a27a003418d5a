//! Crossing the eras: a legacy client over a modern server, and a modern client over a legacy one. The same rules,
//! the same record, and each end hears its own era only.

use crate::calls::{legacy_house, modern_house};
use crate::house::{House, SECRET, Told};
use crate::questions::until;
use crate::script::Script;
use decision::{Code, Ending, Entry, Era, Intent};
use gateway::Written;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const AT: &str = "/s/script/mcp";

/// What was asked last that was no errand.
pub(crate) fn asked(house: &House) -> Intent {
    let last = house.entries().into_iter().rev().find_map(|entry| match entry {
        Entry::Intent(intent) if !intent.errand => Some(*intent),
        Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
    });
    last.unwrap()
}

pub(crate) fn is_cancelled(house: &House) -> bool {
    house.entries().iter().any(|entry| match entry {
        Entry::Decision(decision) => decision.ending == Ending::Cancelled,
        Entry::Intent(_) | Entry::Event(_) => false,
    })
}

pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is(), "not within half a minute: {what}");
}

fn call(name: &str) -> Value {
    json!({ "name": name, "arguments": {} })
}

/// No word of the modern era in what a legacy client reads.
fn is_legacy(told: &Told) {
    let text = String::from_utf8_lossy(&told.body).into_owned();
    for word in ["resultType", "ttlMs", "cacheScope", "io.modelcontextprotocol", "-3202"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_legacy_client_uses_a_modern_server_and_the_record_names_both_eras() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let list = house.legacy(AT, &session, 2, "tools/list", json!({})).await;
    is_legacy(&list);
    assert!(list.json()["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"));
    let params =
        json!({ "name": "echo", "arguments": { "text": "a" }, "_meta": { "progressToken": "p", "x": 1.50 } });
    let told = house.legacy(AT, &session, 3, "tools/call", params).await;
    is_legacy(&told);
    assert_eq!(told.json()["result"]["content"][0]["text"], r#"echo: {"text":"a"}"#);
    assert_eq!(told.json()["id"], 3);
    let sent = &script.heard("tools/call")[0];
    let meta = &sent.json()["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"], json!({ "name": "test-host", "version": "1" }));
    let declared = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], declared);
    assert_eq!(meta["io.modelcontextprotocol/logLevel"], "info");
    assert_eq!(sent.headers["mcp-method"], "tools/call");
    assert_eq!(sent.headers["mcp-name"], "echo");
    assert_eq!(sent.headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(sent.headers["authorization"], format!("Bearer {SECRET}"));
    assert!(!sent.headers.contains_key("mcp-session-id"));
    assert!(String::from_utf8_lossy(&sent.body).contains(r#""x":1.5"#));
    let intent = asked(&house);
    assert_eq!((intent.channel.era, intent.channel.server_era), (Some(Era::Legacy), Some(Era::Modern)));
    assert_eq!(house.last().ending, Ending::Answered);
    assert_eq!(house.counts(), (3, 3));
    assert!(
        script
            .heard("initialize")
            .iter()
            .all(|heard| heard.headers["authorization"] == format!("Bearer {SECRET}"))
    );
}

#[tokio::test]
async fn a_native_leg_is_recorded_without_another_era_and_sent_without_another_byte() {
    let (house, script) = legacy_house().await;
    let session = house.initialize(AT).await;
    house
        .legacy(
            AT,
            &session,
            3,
            "tools/call",
            json!({ "name": "echo", "arguments": {}, "_meta": { "x": 1 } }),
        )
        .await;
    assert_eq!(asked(&house).channel.server_era, None);
    let sent = script.heard("tools/call")[0].json();
    assert_eq!(sent["params"], json!({ "name": "echo", "arguments": {}, "_meta": { "x": 1 } }));
}

#[tokio::test]
async fn what_a_server_would_show_to_everybody_is_for_the_one_who_was_let_see_it() {
    let (house, _script) = modern_house().await;
    let read = house.modern(AT, "resources/read", json!({ "uri": "test://one" })).await.json();
    assert_eq!(read["result"]["contents"][0]["text"], "1", "{read}");
    assert_eq!(read["result"]["cacheScope"], "private", "the server said public");
}

#[tokio::test]
async fn rules_hide_and_hold_over_the_bridge_what_they_hide_and_hold_without_it() {
    let (modern, modern_script) = modern_house().await;
    let (legacy, legacy_script) = legacy_house().await;
    let session = modern.initialize(AT).await;
    let refund = json!({ "name": "refund", "arguments": { "amount": 500 } });
    let across = async |params: &Value| {
        let up = modern.legacy(AT, &session, 3, "tools/call", params.clone()).await;
        is_legacy(&up);
        let down = legacy.modern(AT, "tools/call", params.clone()).await;
        [(up.json(), modern.last().ending), (down.json(), legacy.last().ending)]
    };
    for (told, ending) in across(&call("hidden")).await {
        assert_eq!(told["error"], json!({ "code": -32602, "message": "Unknown tool: hidden" }));
        assert_eq!(ending, Ending::Refused { code: Code::NotPermitted });
    }
    for (told, ending) in across(&refund).await {
        assert_eq!(told["result"]["isError"], true, "{told}");
        assert_eq!(ending, Ending::Refused { code: Code::ApprovalRequired });
    }
    for (told, ending) in across(&json!({ "name": "echo", "arguments": { "no": 1 } })).await {
        assert_eq!(told["result"]["isError"], true, "{told}");
        assert_eq!(ending, Ending::Refused { code: Code::ArgumentsInvalid });
    }
    assert!(modern_script.heard("tools/call").is_empty() && legacy_script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_legacy_clients_progress_log_lines_and_level_go_through() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let told = house.legacy(AT, &session, 5, "tools/call", params).await;
    assert_eq!(told.events.iter().filter(|event| event["params"]["progressToken"] == "mine").count(), 3);
    let logged =
        |told: &Told| told.events.iter().filter(|event| event["method"] == "notifications/message").count();
    assert_eq!(logged(&house.legacy(AT, &session, 6, "tools/call", call("log")).await), 3);
    house.legacy(AT, &session, 7, "logging/setLevel", json!({ "level": "warning" })).await;
    assert_eq!(logged(&house.legacy(AT, &session, 8, "tools/call", call("log")).await), 1);
    let sent = script.heard("tools/call").pop().unwrap().json();
    assert_eq!(sent["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "warning");
    let ping = house.legacy(AT, &session, 9, "ping", json!({})).await;
    assert_eq!(ping.json()["result"], json!({}));
    assert!(script.heard("ping").is_empty() && script.heard("logging/setLevel").is_empty());
}

#[tokio::test]
async fn a_legacy_client_that_cancels_ends_the_stream_of_a_modern_server() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call("hang") });
    let asking = house.open_post(AT, &session, body.to_string());
    let cancelling = async {
        eventually("the call left", || script.heard("tools/call").len() == 1).await;
        let note =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
        assert_eq!(house.post(AT, &headers, note.to_string()).await.status, 202);
        eventually("the server was let go", || script.given_up() == 1).await;
    };
    let _ = tokio::join!(asking, cancelling);
    assert!(script.heard("notifications/cancelled").is_empty(), "closing the stream is how it is told");
    eventually("recorded", || is_cancelled(&house)).await;
}

#[tokio::test]
async fn a_modern_servers_words_that_a_legacy_client_cannot_read_are_turned_into_its_own() {
    let (house, _script) = modern_house().await;
    let session = house.initialize(AT).await;
    for (code, told) in [(-32602, -32602), (-32020, -32603), (-32022, -32603), (-32042, -32603), (7, 7)] {
        let params = json!({ "name": "fail", "arguments": { "code": code } });
        let answer = house.legacy(AT, &session, 4, "tools/call", params).await;
        assert_eq!(answer.json()["error"]["code"], told, "{code}");
        is_legacy(&answer);
    }
    let params = json!({ "name": "fail", "arguments": { "code": -32021 } });
    let answer = house.legacy(AT, &session, 4, "tools/call", params).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
    assert_eq!(house.last().ending, Ending::Failed { code: Code::HostIncapable });
    let answer = house.legacy(AT, &session, 5, "tools/call", call("odd")).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
    assert_eq!(house.last().ending, Ending::Failed { code: Code::UpstreamNonsense });
}

#[tokio::test]
async fn a_legacy_client_sees_structure_only_where_its_era_has_it() {
    let (house, _script) = modern_house().await;
    let session = house.initialize(AT).await;
    let list = house.legacy(AT, &session, 2, "tools/list", json!({})).await.json();
    let tool = |name: &str| {
        let tools = list["result"]["tools"].as_array().unwrap();
        tools.iter().find(|tool| tool["name"] == name).unwrap().clone()
    };
    assert!(tool("listed").get("outputSchema").is_none());
    assert!(tool("typed").get("outputSchema").is_some());
    let told = house.legacy(AT, &session, 3, "tools/call", call("listed")).await.json();
    assert_eq!(told["result"], json!({ "content": [] }));
    let native = house.modern(AT, "tools/call", call("listed")).await.json();
    assert_eq!(native["result"]["structuredContent"], json!([1]));
}

#[tokio::test]
async fn a_modern_client_uses_a_legacy_server_and_the_record_names_both_eras() {
    let (house, script) = legacy_house().await;
    let discover = house.modern("/mcp", "server/discover", json!({})).await.json();
    assert_eq!(discover["result"]["supportedVersions"], json!(["2026-07-28"]), "{discover}");
    assert!(discover["result"]["capabilities"].get("tools").is_some());
    let list = house.modern("/mcp", "tools/list", json!({})).await.json();
    assert!(list["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "script__echo"));
    let body = json!({ "name": "script__echo", "arguments": { "text": "a" }, "_meta": { "x": 1.5 } });
    let told = house.modern("/mcp", "tools/call", body).await.json();
    assert_eq!(told["result"]["content"][0]["text"], r#"echo: {"text":"a"}"#);
    assert_eq!((&told["result"]["resultType"], &told["id"]), (&json!("complete"), &json!(7)));
    assert!(told["result"].get("ttlMs").is_none());
    let sent = &script.heard("tools/call")[0];
    assert_eq!(
        sent.json()["params"],
        json!({ "name": "echo", "arguments": { "text": "a" }, "_meta": { "x": 1.5 } })
    );
    assert!(sent.headers.contains_key("mcp-session-id"));
    assert!(!sent.headers.contains_key("mcp-method") && !sent.headers.contains_key("mcp-name"));
    let intent = asked(&house);
    assert_eq!((intent.channel.era, intent.channel.server_era), (Some(Era::Modern), Some(Era::Legacy)));
    let read = house.modern("/mcp", "resources/read", json!({ "uri": "test://one" })).await.json();
    assert_eq!(read["result"]["ttlMs"], 0, "{read}");
    assert_eq!(read["result"]["cacheScope"], "private");
    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
}

/// The sessions that calls came in, in order, each once.
fn sessions(script: &Script) -> Vec<String> {
    let mut seen = Vec::new();
    for heard in script.heard("tools/call") {
        let id = heard.headers["mcp-session-id"].to_str().unwrap().to_owned();
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

#[tokio::test]
async fn a_hidden_session_is_shared_by_all_requests_of_one_principal() {
    let (house, script) = legacy_house().await;
    for _ in 0..3 {
        house.modern(AT, "tools/call", call("echo")).await;
    }
    assert_eq!(script.heard("tools/call").len(), 3);
    assert_eq!(sessions(&script).len(), 1);
    let own = house.initialize(AT).await;
    house.legacy(AT, &own, 2, "tools/call", call("echo")).await;
    assert_eq!(sessions(&script).len(), 2, "a legacy client's own session stays its own");
}

#[tokio::test]
async fn two_principals_never_share_a_hidden_session() {
    let script = Script::start(false).await;
    let policy = r#"@id("all") permit (principal, action, resource);"#;
    let house = House::open(&[("script", script.url.clone())], policy).await;
    for (agent, user) in [("one", "ann"), ("two", "ben")] {
        let bearer = format!("Bearer {}", house.agent_of(agent, user).await);
        for _ in 0..2 {
            house.modern_as(&bearer, AT, "tools/call", call("echo")).await;
        }
    }
    assert_eq!(script.heard("tools/call").len(), 4);
    assert_eq!(sessions(&script).len(), 2);
}

#[tokio::test]
async fn a_server_that_forgot_its_session_is_asked_again_in_another_and_nobody_notices() {
    let (house, script) = legacy_house().await;
    house.modern(AT, "tools/call", call("echo")).await;
    script.forget_sessions();
    let told = house.modern(AT, "tools/call", call("echo")).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
    assert_eq!(sessions(&script).len(), 2);
    assert_eq!(script.heard("tools/call").len(), 3, "the one that was refused, and the same again");
}

#[tokio::test]
async fn a_modern_client_that_hangs_up_has_the_call_cancelled_at_a_legacy_server() {
    let (house, script) = legacy_house().await;
    let mut params = call("hang");
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": params }).to_string();
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "hang")];
    tokio::select! {
        _ = house.post(AT, &headers, body) => panic!("answered"),
        () = eventually("the call left", || script.heard("tools/call").len() == 1) => {}
    }
    eventually("the server was told", || script.heard("notifications/cancelled").len() == 1).await;
    let sent = script.heard("tools/call")[0].json();
    assert_eq!(script.heard("notifications/cancelled")[0].json()["params"]["requestId"], sent["id"]);
    eventually("recorded", || is_cancelled(&house)).await;
}

#[tokio::test]
async fn each_modern_request_hears_the_log_level_it_asked_for_whatever_the_session_was_set_to() {
    let (house, script) = legacy_house().await;
    let logged = async |level: Option<&str>| {
        let mut params = call("log");
        if let Some(level) = level {
            params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": level });
        }
        let told = house.modern(AT, "tools/call", params).await;
        told.events.iter().filter(|event| event["method"] == "notifications/message").count()
    };
    assert_eq!(logged(Some("warning")).await, 1);
    assert_eq!(logged(Some("debug")).await, 3);
    assert_eq!(logged(Some("warning")).await, 1);
    assert_eq!(logged(None).await, 0);
    let set: Vec<_> = script
        .heard("logging/setLevel")
        .iter()
        .map(|heard| heard.json()["params"]["level"].clone())
        .collect();
    assert_eq!(set, ["warning", "debug"], "the most that any of them wants");
}

#[tokio::test]
async fn a_legacy_servers_errors_reach_a_modern_client_in_its_own_codes() {
    let (house, _script) = legacy_house().await;
    for (code, told) in [(-32002, -32602), (-32042, -32603), (-32601, -32601), (-32602, -32602)] {
        let params = json!({ "name": "fail", "arguments": { "code": code } });
        let answer = house.modern(AT, "tools/call", params).await;
        assert_eq!(answer.json()["error"]["code"], told, "{code}");
        assert_eq!(answer.status, if told == -32601 { 404 } else { 200 });
    }
    // a legacy server has no result types: what it says there is only a word
    let odd = house.modern(AT, "tools/call", call("odd")).await.json();
    assert_eq!(odd["result"]["resultType"], "complete");
}

const UPDATED: &str = "notifications/resources/updated";
const TOOLS: &str = "notifications/tools/list_changed";

#[tokio::test]
async fn what_a_legacy_client_subscribes_to_at_a_modern_server_is_listened_to_for_it_at_once() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let mut stream = house.get(AT, &session).await;
    let one = json!({ "uri": "test://one" });
    let told = house.legacy(AT, &session, 2, "resources/subscribe", one.clone()).await;
    assert_eq!(told.json()["result"], json!({}), "{told:?}");
    let wanted = json!({ "resourceSubscriptions": ["test://one"] });
    assert!(
        script.listeners().contains(&wanted),
        "it was acknowledged before the answer: {:?}",
        script.listeners()
    );
    script.notify(UPDATED, &one);
    let note = until(&mut stream, |message| message["method"] == UPDATED).await;
    assert_eq!(note, json!({ "jsonrpc": "2.0", "method": UPDATED, "params": one }), "in its own era's words");
    assert!(script.heard("resources/subscribe").is_empty());
    house.legacy(AT, &session, 3, "resources/unsubscribe", one).await;
    eventually("nobody listens", || !script.listeners().contains(&wanted)).await;
    let nowhere = json!({ "uri": "test://nowhere" });
    let told = house.legacy(AT, &session, 4, "resources/subscribe", nowhere).await;
    assert_eq!(told.json()["error"]["code"], -32002, "{told:?}");
}

#[tokio::test]
async fn a_modern_server_that_says_that_its_tools_changed_is_looked_at_and_legacy_sessions_hear_of_it() {
    let (house, script) = modern_house().await;
    let session = house.initialize(AT).await;
    let mut stream = house.get(AT, &session).await;
    let listens = || script.listeners().iter().filter(|filter| filter["toolsListChanged"] == true).count();
    eventually("the gateway listens", || listens() == 1).await;
    let other = house.initialize(AT).await;
    assert_eq!(listens(), 1, "once for a server, however many sessions there are");
    let mut fewer = crate::script::tools();
    fewer.as_array_mut().unwrap().remove(0);
    script.set_tools(fewer);
    script.notify(TOOLS, &json!({}));
    until(&mut stream, |message| message["method"] == TOOLS).await;
    for id in [session, other] {
        house.end_session(AT, &id).await;
    }
    eventually("nobody listens any more", || listens() == 0).await;
}

#[tokio::test]
async fn a_modern_client_listens_to_a_legacy_servers_resource_with_its_own_subscription_id() {
    let (house, script) = legacy_house().await;
    let params = json!({ "notifications": { "resourceSubscriptions": ["test://one", "test://nowhere"] },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": "sub-1", "method": "subscriptions/listen", "params": params });
    let mut stream = house.open_modern(AT, "subscriptions/listen", body.to_string()).await;
    let ack =
        until(&mut stream, |message| message["method"] == "notifications/subscriptions/acknowledged").await;
    assert_eq!(ack["params"]["notifications"], json!({ "resourceSubscriptions": ["test://one"] }));
    let asked = || script.heard("resources/subscribe").len() == 1 && !script.listeners().is_empty();
    eventually("the server was asked", asked).await;
    script.notify(UPDATED, &json!({ "uri": "test://one" }));
    let note = until(&mut stream, |message| message["method"] == UPDATED).await;
    assert_eq!(note["params"]["uri"], "test://one");
    assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub-1");
    drop(stream);
    eventually("it was taken back", || script.heard("resources/unsubscribe").len() == 1).await;
}

/// Subscribes in the modern era: the stream, and which of the resources were granted.
async fn listen(house: &House, at: &str, uris: &[&str]) -> (hyper::body::Incoming, Value) {
    let params = json!({ "notifications": { "resourceSubscriptions": uris },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": "sub-1", "method": "subscriptions/listen", "params": params });
    let mut stream = house.open_modern(at, "subscriptions/listen", body.to_string()).await;
    let ack =
        until(&mut stream, |message| message["method"] == "notifications/subscriptions/acknowledged").await;
    (stream, ack["params"]["notifications"]["resourceSubscriptions"].clone())
}

#[tokio::test]
async fn a_resource_that_several_servers_offer_is_nobodys_to_listen_to_at_the_common_door() {
    let scripts = [Script::start(true).await, Script::start(true).await];
    let urls = [("one", scripts[0].url.clone()), ("two", scripts[1].url.clone())];
    let house = House::open(&urls, crate::calls::POLICY).await;
    for server in ["one", "two"] {
        let server = decision::ServerName::new(server).unwrap();
        let all = store::Which::All;
        house.store.approve(&store::Scope::default(), &server, &all, "a person").await.unwrap();
    }
    house.offers.refresh().await;
    let (_stream, granted) = listen(&house, "/mcp", &["test://one"]).await;
    assert_eq!(granted, Value::Null, "as a call that names it is refused there");
    let told = house.modern("/mcp", "resources/read", json!({ "uri": "test://one" })).await;
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ItemAmbiguous }, "{told:?}");
    let (_stream, granted) = listen(&house, "/s/two/mcp", &["test://one"]).await;
    assert_eq!(granted, json!(["test://one"]));
}

#[tokio::test]
async fn clients_of_both_eras_hear_of_what_a_template_names_and_of_nothing_that_a_rule_closes_meanwhile() {
    for (house, script) in [legacy_house().await, modern_house().await] {
        let uris = ["test://one", "test://many/7"];
        let session = house.initialize(AT).await;
        let mut legacy = house.get(AT, &session).await;
        for (id, uri) in uris.iter().enumerate() {
            let told = house
                .legacy(AT, &session, 20 + id as u64, "resources/subscribe", json!({ "uri": uri }))
                .await;
            assert_eq!(told.json()["result"], json!({}), "{told:?}");
        }
        let (mut modern, granted) = listen(&house, AT, &uris).await;
        assert_eq!(granted, json!(uris));
        let both = |one: &Value| one["resourceSubscriptions"].as_array().is_some_and(|all| all.len() == 2);
        let listens = || {
            let at_a_modern_one = script.listeners().iter().filter(|one| both(one)).count();
            script.heard("resources/subscribe").len() == 4 || at_a_modern_one == 2
        };
        eventually("the server was asked for both", listens).await;

        let closed = r#"@id("closed") @because("closed") forbid (principal, action, resource == McpResource::"script:test://one")
            when { context.now.epoch > 0 };"#;
        let text = format!("{}{closed}", crate::calls::POLICY);
        let policies = vec![policy::Source { path: "test.cedar".into(), text }];
        let settings = Arc::new((*house.gate.live().settings).clone());
        house.offers.reload(Written { settings, policies }, || ()).await.unwrap();
        for uri in uris {
            script.notify(UPDATED, &json!({ "uri": uri }));
        }
        for stream in [&mut legacy, &mut modern] {
            let first = until(stream, |message| message["method"] == UPDATED).await;
            assert_eq!(first["params"]["uri"], "test://many/7", "the other is closed");
        }
    }
}
