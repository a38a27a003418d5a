//! A server that knows the exchanges it was told, to the byte of the path and the last header. Whatever else
//! it is asked fails the test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exchange {
    method: String,
    target: String,
    /// `None` is a request without a body.
    asked: Option<Value>,
    status: u16,
    answer: Value,
    token: Option<String>,
    namespace: Option<String>,
    pause: Duration,
}

/// The exchange of a file in `tests/exchanges`.
pub(crate) fn documented(name: &str) -> Exchange {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges").join(name).with_extension("http");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with("# OpenBao documentation"), "{name} says where it is from");
    let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let rest: Vec<_> = lines.collect();
    let at = rest.iter().position(|line| line.parse::<u16>().is_ok()).unwrap();
    let (asked, answer) = rest.split_at(at);
    let (status, answer) = answer.split_first().unwrap();
    let asked = asked.join("\n");
    Exchange {
        method: method.to_owned(),
        target: target.to_owned(),
        asked: (!asked.trim().is_empty()).then(|| serde_json::from_str(&asked).unwrap()),
        status: status.parse().unwrap(),
        answer: serde_json::from_str(&answer.join("\n")).unwrap(),
        token: None,
        namespace: None,
        pause: Duration::ZERO,
    }
}

impl Exchange {
    /// With this token in the request.
    pub(crate) fn with(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }
    pub(crate) fn at(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }
    pub(crate) fn asking(mut self, member: &str, value: &str) -> Self {
        self.asked.as_mut().unwrap()[member] = value.into();
        self
    }
    /// Another value at this place of the answer.
    pub(crate) fn saying(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *self.answer.pointer_mut(pointer).unwrap() = value.into();
        self
    }
    /// The documented form of an error.
    pub(crate) fn failing(mut self, status: u16) -> Self {
        self.answer = documented("error").answer;
        self.status = status;
        self
    }
    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
    pub(crate) fn answering(mut self, answer: Value) -> Self {
        self.answer = answer;
        self
    }
    /// What requests are told apart by.
    fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.token.as_deref().unwrap_or("-"))
    }
}

#[derive(Debug, Default)]
struct Shared {
    known: Vec<Exchange>,
    seen: Vec<String>,
    wrong: Vec<String>,
}

pub(crate) struct Fake {
    pub(crate) uri: String,
    shared: Arc<Mutex<Shared>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start(known: &[Exchange]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared { known: known.to_vec(), ..Shared::default() }));
        let ours = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&ours)));
            }
        });
        Self { uri, shared, accepting }
    }

    /// From now on it knows these.
    pub(crate) fn knows(&self, known: &[Exchange]) {
        self.shared.lock().unwrap().known = known.to_vec();
    }

    /// How often each exchange took place, as `POST /v1/auth/approle/login -`.
    pub(crate) fn seen(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in &self.shared.lock().unwrap().seen {
            *counts.entry(line.clone()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn count(&self, exchange: &Exchange) -> usize {
        self.seen().get(&exchange.line()).copied().unwrap_or_default()
    }

    /// Waits until this exchange has taken place so often.
    pub(crate) async fn until(&self, exchange: &Exchange, count: usize) {
        let waiting = async {
            while self.count(exchange) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    /// Nobody answers any more.
    pub(crate) fn die(&self) {
        self.accepting.abort();
        self.knows(&[]);
        self.shared.lock().unwrap().known.push(documented("error").at("dead"));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
        let wrong = std::mem::take(&mut self.shared.lock().unwrap().wrong);
        if !std::thread::panicking() {
            assert!(wrong.is_empty(), "asked for what is not documented: {wrong:#?}");
        }
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    while let Some((line, headers, body)) = read(&mut stream).await {
        let Some(exchange) = choose(&shared, &line, &headers, &body) else { return };
        tokio::time::sleep(exchange.pause).await;
        let body = exchange.answer.to_string();
        let answer = format!(
            "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            exchange.status,
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The exchange that this request begins. A dead server hangs up without a word.
fn choose(
    shared: &Mutex<Shared>,
    line: &str,
    headers: &BTreeMap<String, String>,
    body: &str,
) -> Option<Exchange> {
    let mut shared = shared.lock().unwrap();
    if shared.known.iter().any(|exchange| exchange.target == "dead") {
        return None;
    }
    let header = |name: &str| headers.get(name).cloned();
    let asked = (!body.is_empty()).then(|| serde_json::from_str::<Value>(body).unwrap());
    let matching = shared.known.iter().find(|exchange| {
        format!("{} {} HTTP/1.1", exchange.method, exchange.target) == line
            && exchange.token == header("x-vault-token")
            && exchange.namespace == header("x-vault-namespace")
            && exchange.asked == asked
    });
    let found = matching.cloned();
    let length = body.len().to_string();
    let strange = headers.iter().find(|(name, value)| match name.as_str() {
        "host" | "x-vault-token" | "x-vault-namespace" => false,
        "accept" => *value != "application/json",
        "x-vault-request" => *value != "true",
        "content-length" => **value != length,
        "content-type" => *value != "application/json" || body.is_empty(),
        _ => true,
    });
    if let Some(strange) = strange {
        let strange = format!("{line}: {strange:?}");
        shared.wrong.push(strange);
    }
    match found {
        Some(exchange) => {
            shared.seen.push(exchange.line());
            Some(exchange)
        }
        None => {
            shared.wrong.push(format!("{line} {headers:?} {body}"));
            None
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, BTreeMap<String, String>, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, rest) = head.split_once("\r\n").unwrap();
    let headers: BTreeMap<_, _> = rest
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((line.to_owned(), headers, String::from_utf8(body).unwrap()))
}
