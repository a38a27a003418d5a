//! Many clients of the modern era over one legacy server, for a long time: of their hidden sessions nothing stays.
//!
//! The gateway is a process of its own, so that what grows is its. What may grow is what is bounded: five page caches of the
//! database, two megabytes each, and what the index remembers. `CALLGATE_SOAK_ROUNDS=400 cargo nextest run --workspace
//! -E 'package(callgate-cli) & test(soak)' --no-capture` is 38,400 calls.

use crate::bed::{Bed, Served, free_port, until};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

const CLIENTS: usize = 24;
const CALLS: usize = 4;
/// Rounds until what is kept for good is there, and those that are measured.
const WARM: usize = 15;
const ROUNDS: usize = 40;
/// The measured rounds are 3,840 calls in 960 sessions: a session of which four kilobytes stay is found, and so is a call of
/// which one does.
const GROWTH_KIB: usize = 3 << 10;

/// One end of a connection that speaks HTTP/1.1 with lengths.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn send(&mut self, first: &str, headers: &str, body: &str) {
        let length = body.len();
        let message = format!(
            "{first}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.0.get_mut().write_all(message.as_bytes()).unwrap();
    }

    /// Head and body of the next message; `None` at the end.
    fn receive(&mut self) -> Option<(String, String)> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let at = head.len();
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = head.get(at..)?.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((head, String::from_utf8(body).ok()?))
    }
}

/// A server of the legacy era with one tool, each connection in a thread of its own.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(Peer(BufReader::new(stream))));
        }
    });
    port
}

fn serve(mut peer: Peer) {
    while let Some((head, body)) = peer.receive() {
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let (status, said) = match (head.starts_with("POST"), message["method"].as_str(), &message["id"]) {
            (false, _, _) if head.starts_with("DELETE") => (200, String::new()),
            (false, _, _) => (405, String::new()),
            (true, _, Value::Null) => (202, String::new()),
            (true, method, id) => {
                (200, json!({ "jsonrpc": "2.0", "id": id, "result": result(method) }).to_string())
            }
        };
        peer.send(&format!("HTTP/1.1 {status} Said"), "Mcp-Session-Id: one-of-many\r\n", &said);
    }
}

fn result(method: Option<&str>) -> Value {
    match method {
        Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "old", "version": "1" } }),
        Some("tools/list") => json!({ "tools": [{ "name": "echo", "inputSchema":
            { "type": "object", "properties": { "text": { "type": "string" } } } }] }),
        _ => json!({ "content": [{ "type": "text", "text": "an echo" }] }),
    }
}

/// One client: a connection that is kept, and its token.
fn call(peer: &mut Peer, token: &str, text: &str) -> String {
    let host = peer.0.get_ref().peer_addr().unwrap();
    let params = json!({ "name": "old__echo", "arguments": { "text": text }, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let headers = format!(
        "Host: {host}\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: old__echo\r\n"
    );
    peer.send("POST /mcp HTTP/1.1", &headers, &body);
    peer.receive().unwrap().1
}

fn sessions(gateway: &Served) -> usize {
    let metrics = gateway.get("/metrics").2;
    let line = metrics.lines().find(|line| line.starts_with("callgate_upstream_connections ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Memory of its own in KiB, which pages of the program are not, and open descriptors.
fn weight(pid: u32) -> (usize, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let own = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    (own.split_whitespace().nth(1).unwrap().parse().unwrap(), descriptors)
}

fn measured() -> usize {
    option_env!("CALLGATE_SOAK_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

#[test]
fn a_soak_of_hidden_sessions_leaves_nothing_in_the_process() {
    let bed = Bed::new();
    let (old, port) = (server(), free_port());
    bed.write(
        "callgate.toml",
        &format!(
            "listen = \"127.0.0.1:{port}\"\nstate-dir = \"state\"\n[limits]\nsession-idle = \"400ms\"\nmax-sessions = {}\n\
             [servers.old]\nurl = \"http://127.0.0.1:{old}/mcp\"\n[servers.old.tools.\"*\"]\neffect = \"read\"\n",
            CLIENTS * 2
        ),
    );
    bed.write("policies/all.cedar", "@id(\"all\") permit (principal, action, resource);");
    let tokens: Vec<_> = (0..CLIENTS).map(|n| bed.token(&format!("bot-{n}"))).collect();
    let gateway = bed.serve();
    let connect = || Peer(BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()));
    until("the server was looked at", || call(&mut connect(), &tokens[0], "first").contains("an echo"));
    let mut peers: Vec<_> = tokens.iter().map(|_| connect()).collect();
    let mut round = |number: usize| {
        thread::scope(|scope| {
            for (peer, token) in peers.iter_mut().zip(&tokens) {
                scope.spawn(move || {
                    for n in 0..CALLS {
                        let told = call(peer, token, &format!("{number} {n}"));
                        assert!(told.contains("an echo"), "{told}");
                    }
                });
            }
        });
        assert!(sessions(&gateway) <= CLIENTS * 2, "no more than may be");
        until("every hidden session ended for want of use", || sessions(&gateway) == 0);
    };
    (0..WARM).for_each(&mut round);
    let (warm, descriptors) = weight(gateway.pid());
    for number in 1..=measured() {
        round(WARM + number);
        if number.is_multiple_of(20) {
            println!(
                "{} calls: {:?} KiB and descriptors",
                (WARM + number) * CLIENTS * CALLS,
                weight(gateway.pid())
            );
        }
    }
    thread::sleep(Duration::from_secs(1));
    let (now, open) = weight(gateway.pid());
    assert!(open <= descriptors + CLIENTS, "descriptors: {descriptors} became {open}");
    assert!(now <= warm + GROWTH_KIB, "KiB: {warm} became {now}");
    assert_eq!(gateway.stop(), 0);
}
