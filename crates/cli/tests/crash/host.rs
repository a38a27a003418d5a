//! Hosts that never give up, and write down what they were answered.

use serde_json::{Value, json};
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// One Host at one server's entrance.
pub(crate) struct Host {
    pub(crate) port: u16,
    pub(crate) token: String,
    pub(crate) server: &'static str,
    session: Option<String>,
}

/// A session's id, where one was given, and the JSON-RPC message that came.
pub(crate) struct Heard {
    pub(crate) session: Option<String>,
    pub(crate) message: Value,
}

impl Host {
    pub(crate) fn new(port: u16, token: &str, server: &'static str) -> Self {
        Self { port, token: token.to_owned(), server, session: None }
    }

    /// Posts one message. Errors: nobody there, or the connection broke before a whole answer had come.
    pub(crate) fn post(&self, message: &Value) -> io::Result<Heard> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let body = message.to_string();
        let session = self.session.as_ref().map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /s/{}/mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{session}\
             MCP-Protocol-Version: 2025-11-25\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.server,
            self.port,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut heard = Vec::new();
        // cut off by a reset is cut off as well as at the end
        let _ = stream.read_to_end(&mut heard);
        understand(&String::from_utf8_lossy(&heard)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Shakes hands. Errors: the gateway is not there, or answers with anything but a session.
    pub(crate) fn greet(&mut self) -> io::Result<()> {
        self.session = None;
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "yard", "version": "1" } } });
        self.session = self.post(&hello)?.session;
        if self.session.is_none() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let _ = self.post(&ready);
        Ok(())
    }

    pub(crate) fn call(&self, what: &str) -> io::Result<Heard> {
        self.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": "write", "arguments": { "what": what } } }))
    }

    /// The same call under a key.
    pub(crate) fn call_under(&self, key: &str, what: &str) -> io::Result<Heard> {
        self.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "write",
            "arguments": { "what": what }, "_meta": { "callgate/idempotency-key": key } } }))
    }

    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn forget_session(&mut self) {
        self.session = None;
    }

    pub(crate) fn tools(&self) -> usize {
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let heard = self.post(&list).map(|heard| heard.message).unwrap_or_default();
        heard["result"]["tools"].as_array().map_or(0, Vec::len)
    }
}

/// An answer as one JSON object or as an event stream, chunked or not; `None` when it is not whole.
fn understand(text: &str) -> Option<Heard> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let session = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("mcp-session-id: ").map(str::to_owned));
    let lines = body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let message = lines.filter(|line| line.starts_with('{')).find_map(|line| serde_json::from_str(line).ok());
    match message {
        Some(message) => Some(Heard { session, message }),
        None if body.is_empty() => Some(Heard { session, message: Value::Null }),
        None => None,
    }
}

/// What all Hosts were answered.
#[derive(Default)]
pub(crate) struct Answered {
    pub(crate) done: Mutex<Vec<String>>,
    /// Anything the Hosts should never have been told.
    pub(crate) odd: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// Hosts at work.
pub(crate) struct Crowd {
    pub(crate) answered: Arc<Answered>,
    hosts: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Each Host has a number, and every call an argument that no other call has.
    pub(crate) fn start(hosts: impl IntoIterator<Item = Host>) -> Self {
        let answered = Arc::new(Answered::default());
        let hosts = hosts.into_iter().enumerate().map(|(number, host)| {
            let answered = Arc::clone(&answered);
            thread::spawn(move || work(host, number, &answered))
        });
        Self { hosts: hosts.collect(), answered }
    }

    pub(crate) fn stop(self) -> Arc<Answered> {
        self.answered.stop.store(true, Ordering::Relaxed);
        for host in self.hosts {
            host.join().unwrap();
        }
        self.answered
    }
}

fn work(mut host: Host, number: usize, answered: &Answered) {
    let mut n = 0;
    while !answered.stop.load(Ordering::Relaxed) {
        if host.session.is_none() && host.greet().is_err() {
            // the pause between two looks for a gateway
            thread::sleep(Duration::from_millis(2));
            continue;
        }
        n += 1;
        let what = format!("deed-{number}-{n}.");
        let Ok(heard) = host.call(&what) else {
            host.session = None;
            continue;
        };
        if heard.message["result"]["content"][0]["text"] == format!("done {what}") {
            answered.done.lock().unwrap().push(what);
        } else {
            host.session = None;
            let text = heard.message.to_string();
            if text.contains("done ") {
                answered.odd.lock().unwrap().push(format!("{what} was answered {text}"));
            }
        }
    }
}
