//! How the scripted server is reached: streamable HTTP, HTTP+SSE of 2024-11-05, and a child process. Thin: each
//! hands a message over and puts what is said where it belongs.

use super::server::{Desk, Memory, belongs, hear};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use decision::{Era, SecretName, ServerName};
use futures::StreamExt as _;
use gateway::settings::{CredentialUse, Mode, Place, Reach, ServerSettings, Source};
use parking_lot::Mutex;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    Stdio,
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

/// Every way there is to a server.
pub(super) const SERVERS: [(Era, Carrier); 5] = [
    (Era::Legacy, Carrier::Stdio),
    (Era::Legacy, Carrier::Http),
    (Era::Legacy, Carrier::Sse),
    (Era::Modern, Carrier::Stdio),
    (Era::Modern, Carrier::Http),
];

/// A running server, and what it heard.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) era: Era,
    pub(super) carrier: Carrier,
    pub(super) name: ServerName,
    notes: PathBuf,
    reach: Reach,
    /// Held for writing by whoever must be the only one to speak with it.
    pub(super) pipe: Arc<tokio::sync::RwLock<()>>,
}

impl Server {
    pub(super) async fn start(era: Era, carrier: Carrier, folder: &Path) -> Self {
        let name = format!("{era:?}-{carrier:?}").to_lowercase();
        let notes = folder.join(&name);
        std::fs::write(&notes, "").unwrap();
        let reach = match carrier {
            Carrier::Stdio => child(era, &notes),
            Carrier::Http => Reach::Http { url: listen(era, notes.clone(), "mcp").await },
            Carrier::Sse => Reach::Sse { url: listen(era, notes.clone(), "sse").await },
        };
        Self { era, carrier, name: ServerName::new(name).unwrap(), notes, reach, pipe: Arc::default() }
    }

    pub(super) fn settings(&self) -> ServerSettings {
        let place = match self.carrier {
            Carrier::Stdio => Place::Env { name: "MATRIX_KEY".into() },
            Carrier::Http | Carrier::Sse => {
                Place::Header { name: "authorization".into(), prefix: "Bearer ".into() }
            }
        };
        let secret = SecretName::new("key").unwrap();
        let credentials = vec![CredentialUse { secret, source: Source::Stored, place }];
        let any = crate::house::server("http://127.0.0.1:9/", Mode::Enforce);
        let call_timeout = Duration::from_secs(20);
        ServerSettings { reach: self.reach.clone(), credentials, call_timeout, ..any }
    }

    /// How often it heard a line that has all these words.
    pub(super) fn heard(&self, words: &[&str]) -> usize {
        let notes = std::fs::read_to_string(&self.notes).unwrap();
        notes.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

/// A server's notes are called as it is.
fn name_of(notes: &Path) -> &str {
    notes.file_name().unwrap().to_str().unwrap()
}

fn write_down(path: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    // one write, so that children that share the file do not mix their lines
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

// a child process

/// This very program, started again with one name; the harness speaks on standard output, so MCP goes beside it.
fn child(era: Era, notes: &Path) -> Reach {
    let shell = "exec 3>&1 1>/dev/null 2>&1 && exec \"$0\" --ignored --exact --nocapture matrix::carriers::a_server_that_is_a_child";
    let program = std::env::current_exe().unwrap().display().to_string();
    let env = [("MATRIX_ERA", format!("{era:?}")), ("MATRIX_NOTES", notes.display().to_string())];
    Reach::Stdio {
        command: "/bin/sh".into(),
        args: vec!["-c".to_owned(), shell.to_owned(), program],
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        cwd: None,
    }
}

/// Not a test: the server that the gateway starts.
#[test]
#[ignore = "started by the gateway, as a server over stdio"]
#[expect(clippy::disallowed_methods, reason = "it is a program of its own")]
fn a_server_that_is_a_child() {
    let own = |name: &str| std::env::var(name).unwrap_or_default();
    let era = if own("MATRIX_ERA") == "Modern" { Era::Modern } else { Era::Legacy };
    let (key, notes, mut memory) = (own("MATRIX_KEY"), PathBuf::from(own("MATRIX_NOTES")), Memory::default());
    let mut out = std::fs::OpenOptions::new().write(true).open("/proc/self/fd/3").unwrap();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap();
        let note = |line: &str| write_down(&notes, line);
        let mut desk = Desk { name: name_of(&notes), era, key: &key, memory: &mut memory, note: &note };
        for said in hear(&mut desk, &message) {
            out.write_all(format!("{said}\n").as_bytes()).unwrap();
        }
    }
}

// over HTTP

#[derive(Debug)]
struct House {
    era: Era,
    notes: PathBuf,
    talks: Mutex<BTreeMap<String, Arc<Talk>>>,
}

/// One conversation: in the modern era there is only one.
#[derive(Debug)]
struct Talk {
    memory: Mutex<Memory>,
    /// Streams that are open, by the id of their request.
    streams: Mutex<BTreeMap<String, UnboundedSender<Value>>>,
    /// What belongs to none of them, and who comes for it.
    rest: UnboundedSender<Value>,
    waiting: Mutex<Option<UnboundedReceiver<Value>>>,
}

impl Default for Talk {
    fn default() -> Self {
        let (rest, waiting) = unbounded_channel();
        Self { memory: Mutex::default(), streams: Mutex::default(), rest, waiting: Mutex::new(Some(waiting)) }
    }
}

impl House {
    fn hear(&self, talk: &Talk, headers: &HeaderMap, message: &Value) -> Vec<Value> {
        let key = headers.get("authorization").and_then(|value| value.to_str().ok());
        let key = key.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let note = |line: &str| write_down(&self.notes, line);
        let mut memory = talk.memory.lock();
        hear(
            &mut Desk { name: name_of(&self.notes), era: self.era, key, memory: &mut memory, note: &note },
            message,
        )
    }

    fn begin(&self) -> (String, Arc<Talk>) {
        let mut talks = self.talks.lock();
        let id = format!("talk-{}", talks.len());
        (id.clone(), Arc::clone(talks.entry(id).or_default()))
    }

    fn talk(&self, id: &str) -> Option<Arc<Talk>> {
        match self.era {
            Era::Modern => Some(Arc::clone(self.talks.lock().entry(String::new()).or_default())),
            Era::Legacy => self.talks.lock().get(id).cloned(),
        }
    }
}

async fn listen(era: Era, notes: PathBuf, path: &str) -> url::Url {
    let house = Arc::new(House { era, notes, talks: Mutex::default() });
    let router = Router::new()
        .route("/mcp", post(streamable).get(rest_of).delete(|| async { StatusCode::OK }))
        .route("/sse", get(sse))
        .route("/messages", post(sse_message))
        .with_state(house);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{at}/{path}").parse().unwrap()
}

fn events(receiver: UnboundedReceiver<Value>, first: Option<String>) -> Response {
    let said = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|said| (format!("event: message\ndata: {said}\n\n"), receiver))
    });
    let all = futures::stream::iter(first).chain(said).map(Ok::<_, Infallible>);
    ([("content-type", "text/event-stream")], Body::from_stream(all)).into_response()
}

async fn streamable(State(house): State<Arc<House>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let begins = house.era == Era::Legacy && message["method"] == "initialize";
    let shown = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
    let (id, talk) = match (begins, house.talk(shown.unwrap_or_default())) {
        (true, _) => house.begin(),
        (false, Some(talk)) => (String::new(), talk),
        // a message of the other era knows of no session
        (false, None) if shown.is_none() => (String::new(), Arc::default()),
        (false, None) => return StatusCode::NOT_FOUND.into_response(),
    };
    let asked = message.get("method").is_some() && !message["id"].is_null();
    let (own, receiver) = unbounded_channel();
    if asked {
        talk.streams.lock().insert(message["id"].to_string(), own);
    }
    let mut said = house.hear(&talk, &headers, &message);
    if let ([only], true) = (said.as_slice(), asked)
        && only["id"] == message["id"]
        && only.get("method").is_none()
    {
        talk.streams.lock().remove(&message["id"].to_string());
        let only = said.remove(0);
        let status = if only["error"]["code"] == -32601 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let answer = (status, axum::Json(only));
        return if begins {
            ([("mcp-session-id", id)], answer).into_response()
        } else {
            answer.into_response()
        };
    }
    for one in said {
        let to = belongs(&one, &message).map(|id| id.to_string());
        let mut streams = talk.streams.lock();
        let stream = to.as_ref().and_then(|id| streams.get(id)).unwrap_or(&talk.rest);
        let done = one.get("method").is_none();
        let _ = stream.send(one);
        if let Some(id) = to.filter(|_| done) {
            streams.remove(&id);
        }
    }
    if asked { events(receiver, None) } else { StatusCode::ACCEPTED.into_response() }
}

/// A legacy session's own stream.
async fn rest_of(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    let id = headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let waiting = house.talks.lock().get(id).and_then(|talk| talk.waiting.lock().take());
    match waiting {
        Some(waiting) if house.era == Era::Legacy => events(waiting, None),
        Some(_) | None => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// HTTP+SSE: everything comes on one stream, which says first where to post.
async fn sse(State(house): State<Arc<House>>) -> Response {
    let (id, talk) = house.begin();
    let waiting = talk.waiting.lock().take().unwrap();
    events(waiting, Some(format!("event: endpoint\ndata: /messages?talk={id}\n\n")))
}

async fn sse_message(
    State(house): State<Arc<House>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(talk) = house.talk(&query["talk"]) else { return StatusCode::NOT_FOUND };
    for said in house.hear(&talk, &headers, &serde_json::from_slice(&body).unwrap()) {
        let _ = talk.rest.send(said);
    }
    StatusCode::ACCEPTED
}
