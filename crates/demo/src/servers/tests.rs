//! The servers against the rules of MCP, in raw bytes over the real transports.

use super::{Service, crm::Crm, legacy, modern, payments::Payments, stdio, tickets::Tickets};
use crate::client::{Client, pipe};
use decision::{Entropy, Era};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

/// An answer as it came: status, head, body.
struct Raw {
    status: u16,
    head: String,
    body: String,
}

impl Raw {
    fn json(&self) -> Value {
        let text = self.body.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

async fn exchange(address: &str, verb: &str, headers: &str, body: &str) -> Raw {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{verb} /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Raw { status, head: head.to_owned(), body: body.to_owned() }
}

const MEDIA: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
const KEY: &str = "sk_test_0123456789";

async fn payments() -> (String, Arc<Mutex<Vec<String>>>) {
    let (listener, url) = super::http::bind().await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let tell = move |line: &str| sink.lock().unwrap().push(line.to_owned());
    tokio::spawn(modern::at(listener, Payments::new(), KEY.to_owned(), tell, std::future::pending()));
    (url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned(), told)
}

async fn tickets() -> String {
    let (listener, url) = super::http::bind().await.unwrap();
    let entropy = Arc::new(Counting::default());
    tokio::spawn(legacy::at(listener, Tickets::new(), entropy, std::future::pending()));
    url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned()
}

fn asked(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn modern_headers(method: &str, name: Option<&str>) -> String {
    let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    format!(
        "{MEDIA}Authorization: Bearer {KEY}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}"
    )
}

#[test]
fn there_are_twenty_three_tools_and_one_author_left_a_schema_open() {
    let all: [(&dyn Service, usize); 3] = [(&Crm::new(), 9), (&Payments::new(), 7), (&Tickets::new(), 7)];
    let mut open = Vec::new();
    for (service, count) in all {
        let tools = service.tools();
        let names: BTreeSet<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!((names.len(), tools.len()), (count, count), "{}", service.name());
        for tool in &tools {
            assert!(tool["description"].as_str().unwrap().len() > 10, "{tool}");
            assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool}");
            for required in tool["inputSchema"]["required"].as_array().unwrap() {
                assert!(
                    tool["inputSchema"]["properties"].get(required.as_str().unwrap()).is_some(),
                    "{tool}"
                );
            }
            if tool["inputSchema"].get("additionalProperties") != Some(&json!(false)) {
                open.push(tool["name"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(open, ["search_customers"]);
}

#[tokio::test]
async fn payments_answers_nobody_without_the_key() {
    let (address, told) = payments().await;
    let body = asked("tools/list", json!({}));
    for credential in [
        "",
        "Authorization: Bearer sk_test_0123456780\r\n",
        "Authorization: Basic sk_test_0123456789\r\n",
        "Authorization: Bearer sk_test_0123456789\r\nAuthorization: Bearer sk_test_0123456789\r\n",
        "Authorization: Bearer sk_test_\r\n",
        "Authorization: Bearer sk_test_01234567890\r\n",
        "Authorization: Bearer \r\n",
    ] {
        let headers =
            format!("{MEDIA}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n{credential}");
        let raw = exchange(&address, "POST", &headers, &body).await;
        assert_eq!((raw.status, raw.body.as_str()), (401, ""), "{credential}");
        assert_eq!(raw.header("www-authenticate"), Some("Bearer"));
    }
    let raw = exchange(&address, "POST", &modern_headers("tools/list", None), &body).await;
    assert_eq!(raw.status, 200);
    assert!(!raw.body.contains(KEY) && !raw.head.contains(KEY));
    assert_eq!(
        *told.lock().unwrap(),
        ["401 -", "401 -", "401 -", "401 -", "401 -", "401 -", "401 -", "200 tools/list"]
    );
}

#[tokio::test]
async fn payments_is_discovered_and_called_without_a_session() {
    let (address, _) = payments().await;
    let raw = exchange(
        &address,
        "POST",
        &modern_headers("server/discover", None),
        &asked("server/discover", json!({})),
    )
    .await;
    let result = &raw.json()["result"];
    assert_eq!(raw.status, 200);
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "private");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "payments");
    assert!(raw.header("mcp-session-id").is_none());

    let refund = json!({ "name": "refund", "arguments":
        { "payment_id": "P-7001", "amount": 40, "currency": "EUR", "reason": "late" } });
    let raw = exchange(
        &address,
        "POST",
        &modern_headers("tools/call", Some("refund")),
        &asked("tools/call", refund),
    )
    .await;
    let result = &raw.json()["result"];
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["refund"], "R-8001");
    let payment = json!({ "name": "get_payment", "arguments": { "id": "P-7001" } });
    let raw = exchange(
        &address,
        "POST",
        &modern_headers("tools/call", Some("get_payment")),
        &asked("tools/call", payment),
    )
    .await;
    assert_eq!(raw.json()["result"]["structuredContent"]["refunded"], 40.0);
}

#[tokio::test]
async fn payments_refuses_what_the_modern_revision_forbids_with_its_codes() {
    let (address, _) = payments().await;
    let list = asked("tools/list", json!({}));
    let call = asked("tools/call", json!({ "name": "get_balance", "arguments": {} }));
    let old = list.replace("2026-07-28", "2025-11-25");
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();
    let good = |method: &str| modern_headers(method, None);
    for (headers, body, status, code) in [
        (good("tools/list"), bare, 400, -32602),
        (good("tools/list"), old, 400, -32022),
        (good("tools/call"), list.clone(), 400, -32020),
        (good("tools/call"), call.clone(), 400, -32020),
        (modern_headers("tools/call", Some("refund")), call, 400, -32020),
        (good("tools/list").replace("Version: 2026", "Version: 2025"), list.clone(), 400, -32020),
        (good("tools/list").replace("MCP-Protocol-Version", "X-Nothing"), list.clone(), 400, -32020),
        (good("ping"), asked("ping", json!({})), 404, -32601),
        (good("initialize"), asked("initialize", json!({})), 404, -32601),
        (good("prompts/list"), asked("prompts/list", json!({})), 404, -32601),
        (
            modern_headers("tools/call", Some("nothing")),
            asked("tools/call", json!({ "name": "nothing" })),
            200,
            -32602,
        ),
        (good("tools/list"), "{".to_owned(), 400, -32700),
        (good("tools/list"), list.replacen('{', r#"{"id":1,"#, 1), 400, -32700),
    ] {
        let raw = exchange(&address, "POST", &headers, &body).await;
        assert_eq!(
            (raw.status, raw.json()["error"]["code"].as_i64().unwrap()),
            (status, code),
            "{headers}{body}"
        );
    }
    for verb in ["GET", "DELETE"] {
        let raw = exchange(&address, verb, &good("tools/list"), "").await;
        assert_eq!((raw.status, raw.header("allow")), (405, Some("POST")), "{verb}");
    }
    let rebound = format!("Origin: http://evil.example\r\n{}", good("tools/list"));
    assert_eq!(exchange(&address, "POST", &rebound, &list).await.status, 403);
    let plain = good("tools/list").replace("application/json, text/event-stream", "application/json");
    assert_eq!(exchange(&address, "POST", &plain, &list).await.status, 406);
    let typeless = good("tools/list").replace("Content-Type: application/json", "Content-Type: text/plain");
    assert_eq!(exchange(&address, "POST", &typeless, &list).await.status, 415);
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

#[tokio::test]
async fn tickets_gives_a_session_and_answers_only_in_it() {
    let address = tickets().await;
    let list = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
    assert_eq!(exchange(&address, "POST", MEDIA, list).await.status, 400);
    let begun = exchange(&address, "POST", MEDIA, INITIALIZE).await;
    assert_eq!(begun.json()["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(begun.json()["result"]["serverInfo"]["name"], "tickets");
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let other = exchange(&address, "POST", MEDIA, INITIALIZE).await;
    assert_ne!(other.header("mcp-session-id").unwrap(), session);

    let with = format!("{MEDIA}Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(exchange(&address, "POST", &with, initialized).await.status, 202);
    let raw = exchange(&address, "POST", &with, list).await;
    assert_eq!(raw.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        (raw.json()["id"].as_str(), raw.json()["result"]["tools"].as_array().unwrap().len()),
        (Some("a"), 7)
    );
    assert!(raw.json()["result"].get("resultType").is_none());

    let lies = with.replace("2025-06-18", "2025-11-25");
    assert_eq!(exchange(&address, "POST", &lies, list).await.status, 400);
    let foreign = with.replace(&session, "ffffffffffffffffffffffffffffffff");
    assert_eq!(exchange(&address, "POST", &foreign, list).await.status, 404);
    assert_eq!(exchange(&address, "GET", &with, "").await.status, 405);
    assert_eq!(exchange(&address, "DELETE", &foreign, "").await.status, 404);
    assert_eq!(exchange(&address, "DELETE", &with, "").await.status, 204);
    assert_eq!(exchange(&address, "POST", &with, list).await.status, 404);
}

#[tokio::test]
async fn tickets_keeps_what_it_is_told_and_says_what_is_wrong() {
    let address = tickets().await;
    let begun = exchange(&address, "POST", MEDIA, INITIALIZE).await;
    let with = format!("{MEDIA}Mcp-Session-Id: {}\r\n", begun.header("mcp-session-id").unwrap());
    let call = |tool: &str, arguments: Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
            .to_string()
    };
    let body = call("comment_ticket", json!({ "id": "T-88", "text": "on its way" }));
    exchange(&address, "POST", &with, &body).await;
    let raw = exchange(&address, "POST", &with, &call("get_ticket", json!({ "id": "T-88" }))).await;
    assert_eq!(raw.json()["result"]["structuredContent"]["comments"], json!(["on its way"]));
    let raw = exchange(&address, "POST", &with, &call("get_ticket", json!({ "id": "T-1" }))).await;
    assert_eq!(raw.json()["result"]["isError"], true);
    assert_eq!(raw.json()["result"]["content"][0]["text"], "there is no ticket `T-1`");
    let raw = exchange(&address, "POST", &with, &call("get_ticket", json!({}))).await;
    assert_eq!(raw.json()["result"]["isError"], true);
    let raw = exchange(&address, "POST", &with, &call("refund", json!({}))).await;
    assert_eq!(raw.json()["error"]["code"], -32602);
    let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    assert_eq!(exchange(&address, "POST", &with, discover).await.json()["error"]["code"], -32601);
    assert_eq!(exchange(&address, "POST", MEDIA, discover).await.status, 400);
}

#[tokio::test]
async fn crm_speaks_line_by_line_and_only_after_the_handshake() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(theirs);
    let served = tokio::spawn(stdio::speak(Crm::new(), input, output));
    let (read, mut write) = tokio::io::split(ours);
    let mut lines = BufReader::new(read).lines();
    let mut say = async |text: &str| {
        write.write_all(format!("{text}\n").as_bytes()).await.unwrap();
        let line = lines.next_line().await.unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    assert_eq!(say(list).await["error"]["code"], -32600);
    let probe = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    assert_eq!(say(probe).await["error"]["code"], -32601);
    assert_eq!(say("not json").await["error"]["code"], -32700);
    let begun = say(INITIALIZE).await;
    assert_eq!(begun["result"]["protocolVersion"], "2025-06-18");
    for capability in ["tools", "prompts", "resources"] {
        assert!(begun["result"]["capabilities"][capability].is_object(), "{capability}");
    }
    // a notification is not answered: the next answer is that of the next request
    let noted = format!("{}\n{list}", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(say(&noted).await["result"]["tools"].as_array().unwrap().len(), 9);
    let read = r#"{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"crm://handbook/tone"}}"#;
    assert_eq!(say(read).await["result"]["contents"][0]["uri"], "crm://handbook/tone");
    assert_eq!(say(&read.replace("tone", "none")).await["error"]["code"], -32002);
    let get = r#"{"jsonrpc":"2.0","id":4,"method":"prompts/get","params":{"name":"write_apology","arguments":{"customer":"Ada"}}}"#;
    let text = say(get).await["result"]["messages"][0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Ada"));
    assert_eq!(say(&get.replace(r#""customer":"Ada""#, "")).await["error"]["code"], -32602);
    drop((write, lines));
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_demos_client_speaks_each_era_with_its_server_and_keeps_what_it_hears() {
    let (address, told) = payments().await;
    let mut client = Client::new(&format!("http://{address}/mcp"), Some(KEY), Era::Modern);
    assert!(client.open().await.unwrap().is_good());
    assert_eq!(client.tools().await.unwrap().len(), 7);
    let reply = client.call("get_balance", &json!({})).await.unwrap();
    assert_eq!(reply.got("currency"), Some(&json!("EUR")));
    assert_eq!(*told.lock().unwrap(), ["200 server/discover", "200 tools/list", "200 tools/call"]);
    let heard = String::from_utf8(client.heard.clone()).unwrap();
    assert!(heard.contains("content-type: application/json") && heard.contains("create_payout"));
    assert!(!heard.contains(KEY));
    let mut stranger = Client::new(&format!("http://{address}/mcp"), None, Era::Modern);
    let reply = stranger.open().await.unwrap();
    assert_eq!((reply.status, reply.is_good(), stranger.sent), (401, false, 1));

    let address = tickets().await;
    let mut client = Client::new(&format!("http://{address}/mcp"), None, Era::Legacy);
    assert_eq!(client.request("tools/list", json!({})).await.unwrap().status, 400);
    assert!(client.open().await.unwrap().is_good());
    assert_eq!(client.tools().await.unwrap().len(), 7);
    let reply = client.call("get_ticket", &json!({ "id": "T-0" })).await.unwrap();
    assert_eq!((reply.is_good(), reply.text()), (false, "there is no ticket `T-0`"));
    let reply = client.garbled().await.unwrap();
    assert_eq!((reply.status, reply.error()), (400, Some(-32700)));
    client.close().await.unwrap();
    assert_eq!(client.request("tools/list", json!({})).await.unwrap().status, 400);
    // refused, initialize, initialized, list, call, garbled, delete, refused
    assert_eq!(client.sent, 8);
    let mut nobody = Client::new("http://127.0.0.1:9/mcp", None, Era::Legacy);
    assert!(nobody.open().await.is_err());
}

#[tokio::test]
async fn the_demos_client_asks_crm_over_a_pipe() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(theirs);
    let served = tokio::spawn(stdio::speak(Crm::new(), input, output));
    let (read, write) = tokio::io::split(ours);
    assert_eq!(pipe::tools(read, write).await.unwrap().len(), 9);
    served.await.unwrap().unwrap();
}
