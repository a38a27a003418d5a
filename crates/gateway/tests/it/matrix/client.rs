//! A client of each revision on each transport. What comes back, on whatever stream, comes to one queue.

use super::carriers::Server;
use super::cells;
use crate::house::House;
use bytes::Bytes;
use decision::{AgentName, Transport};
use gateway::{
    exchange::Entrance,
    listen::pipe::{Talk, converse},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, WriteHalf},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) revision: &'static str,
    pub(super) transport: Transport,
}

/// Every kind of client.
pub(super) const CLIENTS: [Kind; 8] = {
    const fn kind(revision: &'static str, transport: Transport) -> Kind {
        Kind { revision, transport }
    }
    use Transport::{Http, Stdio};
    [
        kind("2025-03-26", Stdio),
        kind("2025-03-26", Http),
        kind("2025-06-18", Stdio),
        kind("2025-06-18", Http),
        kind("2025-11-25", Stdio),
        kind("2025-11-25", Http),
        kind("2026-07-28", Stdio),
        kind("2026-07-28", Http),
    ]
};

impl Kind {
    pub(super) fn is_modern(self) -> bool {
        self.revision == "2026-07-28"
    }
    pub(super) fn knows_batches(self) -> bool {
        self.revision == "2025-03-26"
    }
    /// Whether its revision knows that a server may ask for a form.
    pub(super) fn knows_forms(self) -> bool {
        self.revision != "2025-03-26"
    }
}

/// Through which door a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    /// The server's own address, with names as its author wrote them.
    Own,
    /// `/mcp`, with every server behind it and its name before those of its items.
    All,
}

pub(super) const DOORS: [Door; 2] = [Door::Own, Door::All];

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) type Fault = String;

/// Who speaks, in a way the gateway believes.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) agent: &'static str,
    pub(super) token: String,
}

/// One client that means one server.
pub(super) struct Host {
    pub(super) kind: Kind,
    pub(super) door: Door,
    /// As it calls itself: its entries in the record are known by it.
    pub(super) name: String,
    server: Server,
    house: Arc<House>,
    path: String,
    way: Way,
    session: Option<String>,
    heard: UnboundedReceiver<Value>,
    heard_by: UnboundedSender<Value>,
    /// What came while something else was waited for.
    aside: Vec<Value>,
    next: u64,
}

enum Way {
    Http { token: String, streams: BTreeMap<u64, JoinHandle<()>>, own: Option<JoinHandle<()>> },
    Pipe { writer: WriteHalf<DuplexStream>, talking: JoinHandle<std::io::Result<()>> },
}

/// What came of one request.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) answer: Value,
    /// What was said before the answer: notices, and questions of either era as method and params.
    pub(super) before: Vec<Value>,
}

impl Told {
    pub(super) fn text(&self) -> String {
        self.answer.to_string()
    }
    pub(super) fn questions(&self, method: &str) -> usize {
        self.before.iter().filter(|one| one["method"] == method).count()
    }
}

impl Host {
    /// Connects and, in the legacy era, shakes hands.
    pub(super) async fn connect(
        house: &Arc<House>,
        (kind, door): (Kind, Door),
        server: &Server,
        who: &Who,
    ) -> Result<Self, Fault> {
        let mut host = Self::dial(house, (kind, door), server, who).await;
        if !kind.is_modern() {
            host.shake_hands().await?;
        }
        Ok(host)
    }

    async fn dial(house: &Arc<House>, (kind, door): (Kind, Door), server: &Server, who: &Who) -> Self {
        let (heard_by, heard) = unbounded_channel();
        let (entrance, path) = match door {
            Door::Own => (Entrance::Server(server.name.to_string()), format!("/s/{}/mcp", server.name)),
            Door::All => (Entrance::Federated, "/mcp".to_owned()),
        };
        let way = match kind.transport {
            Transport::Http | Transport::Internal => {
                Way::Http { token: who.token.clone(), streams: BTreeMap::new(), own: None }
            }
            Transport::Stdio => pipe(house, entrance, who.agent, heard_by.clone()).await,
        };
        let name = format!("{}-{:?}-{}-{}-{door:?}", kind.revision, kind.transport, server.name, who.agent)
            .to_lowercase();
        let (session, aside, next, server) = (None, Vec::new(), 10, server.clone());
        let house = Arc::clone(house);
        Self { kind, door, name, server, house, path, way, session, heard, heard_by, aside, next }
    }

    /// What somebody who may says to what waits for people.
    pub(super) async fn decide(&self, operation: &str, yes: bool) {
        let id = operation.parse().unwrap();
        crate::approvals::vote(&self.house, id, "fay", yes).await.unwrap();
    }

    /// How a tool or a prompt of its server is called here.
    pub(super) fn named(&self, item: &str) -> String {
        match self.door {
            Door::Own => item.to_owned(),
            Door::All => format!("{}__{item}", self.server.name),
        }
    }
    pub(super) fn uri(&self, item: &str) -> String {
        format!("test://{}/{item}", self.server.name)
    }

    async fn shake_hands(&mut self) -> Result<(), Fault> {
        let params = json!({ "protocolVersion": self.kind.revision, "capabilities": capabilities(self.kind),
            "clientInfo": { "name": self.name, "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let told = match &self.way {
            Way::Http { token, .. } => {
                let bearer = format!("Bearer {token}");
                let told =
                    self.house.post(&self.path, &[("authorization", &bearer)], hello.to_string()).await;
                let id = told.headers.get("mcp-session-id").ok_or_else(|| format!("no session: {told:?}"))?;
                self.session = Some(id.to_str().unwrap().to_owned());
                told.json()
            }
            Way::Pipe { .. } => {
                self.say(&hello).await?;
                self.until("the answer to initialize", |one| one["id"] == 1).await?
            }
        };
        if told["result"]["protocolVersion"] != self.kind.revision {
            return Err(format!("another revision was agreed on: {told}"));
        }
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        let stream = match self.kind.transport {
            Transport::Http => Some(self.begin("GET", &[], String::new()).await),
            Transport::Stdio | Transport::Internal => None,
        };
        if let (Way::Http { own, .. }, Some(stream)) = (&mut self.way, stream) {
            *own = Some(tokio::spawn(pump(stream, self.heard_by.clone())));
        }
        Ok(())
    }

    /// One HTTP request, whoever waits for it.
    fn begin(
        &self,
        verb: &'static str,
        more: &[(&str, &str)],
        body: String,
    ) -> impl Future<Output = Response> + use<> {
        let token = if let Way::Http { token, .. } = &self.way { token.as_str() } else { "a pipe has none" };
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        self.session.iter().for_each(|id| add("mcp-session-id", id));
        // the header came with 2025-06-18
        if self.kind.revision != "2025-03-26" {
            add("mcp-protocol-version", self.kind.revision);
        }
        more.iter().for_each(|(name, value)| add(name, value));
        let (house, path) = (Arc::clone(&self.house), self.path.clone());
        async move {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            house.begin(verb, &path, &headers, body).await
        }
    }

    /// Sends one message; what comes back comes to the queue.
    pub(super) async fn say(&mut self, message: &Value) -> Result<(), Fault> {
        self.write(message.to_string()).await
    }

    /// The same, as it is written.
    pub(super) async fn write(&mut self, text: String) -> Result<(), Fault> {
        // of two members of one name the last
        let message: Value = serde_json::from_str(&text).unwrap();
        if let Way::Pipe { writer, .. } = &mut self.way {
            let written = writer.write_all(format!("{text}\n").as_bytes()).await;
            return written.map_err(|e| format!("the pipe is closed: {e}"));
        }
        let params = &message["params"];
        let name = params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str());
        let method = message["method"].as_str();
        let routing =
            [("mcp-method", method), ("mcp-name", name)].into_iter().filter(|_| self.kind.is_modern());
        let more: Vec<_> = routing.filter_map(|(key, value)| Some((key, value?))).collect();
        let posting = self.begin("POST", &more, text);
        let to = self.heard_by.clone();
        if !message.is_array() && (method.is_none() || message["id"].is_null()) {
            // what is said next is said after it
            pump(posting.await, to).await;
            return Ok(());
        }
        // its answer may wait for what comes on another stream
        let pumping = tokio::spawn(async move { pump(posting.await, to).await });
        if let (Way::Http { streams, .. }, Some(id)) = (&mut self.way, message["id"].as_u64()) {
            streams.insert(id, pumping);
        }
        Ok(())
    }

    /// A request as its revision writes it, and its id.
    pub(super) fn request(&mut self, method: &str, mut params: Value) -> (u64, Value) {
        self.next += 1;
        let meta = "io.modelcontextprotocol";
        params["_meta"]["progressToken"] = json!(format!("p{}", self.next));
        if self.kind.is_modern() {
            params["_meta"][format!("{meta}/protocolVersion")] = json!(self.kind.revision);
            params["_meta"][format!("{meta}/clientCapabilities")] = capabilities(self.kind);
            params["_meta"][format!("{meta}/clientInfo")] = json!({ "name": self.name, "version": "1" });
            params["_meta"][format!("{meta}/logLevel")] = json!("info");
        }
        (self.next, json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }))
    }

    /// Requests that are sent at once, and the answer to each; where there is no answer to one, what was said to all.
    pub(super) async fn ask_at_once(&mut self, asked: &[(&str, Value)]) -> Result<Vec<Value>, Fault> {
        let (ids, messages): (Vec<_>, Vec<_>) =
            asked.iter().map(|(method, params)| self.request(method, params.clone())).unzip();
        self.say(&Value::Array(messages)).await?;
        let mut answers = Vec::new();
        for _ in &ids {
            let one = self.until("an answer", |one| one.get("method").is_none()).await?;
            let to_all = one["id"].is_null();
            answers.push(one);
            if to_all {
                return Ok(answers);
            }
        }
        answers.sort_by_key(|one| ids.iter().position(|id| one["id"] == *id));
        Ok(answers)
    }

    /// One request to its end. Whatever the server asks on the way is answered, as the revision has it.
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Result<Told, Fault> {
        let mut before = Vec::new();
        let mut params = params;
        for _ in 0..4 {
            let (id, message) = self.request(method, params.clone());
            self.say(&message).await?;
            let answer = self.answer_of(id, &mut before).await?;
            if answer["result"]["resultType"] != "input_required" {
                return Ok(Told { answer, before });
            }
            let mut responses = json!({});
            for (key, question) in answer["result"]["inputRequests"].as_object().into_iter().flatten() {
                before.push(question.clone());
                responses[key] = reply(&question["method"]);
            }
            params["inputResponses"] = responses;
            params["requestState"] = answer["result"]["requestState"].clone();
        }
        Err("it is asked again and again".to_owned())
    }

    async fn answer_of(&mut self, id: u64, before: &mut Vec<Value>) -> Result<Value, Fault> {
        loop {
            let one = self.hear("an answer").await?;
            match (one.get("method").is_some(), one.get("id")) {
                (false, Some(theirs)) if *theirs == id => return Ok(one),
                (true, Some(theirs)) => {
                    let answer = json!({ "jsonrpc": "2.0", "id": theirs, "result": reply(&one["method"]) });
                    before.push(one);
                    self.say(&answer).await?;
                }
                (true, None) if one["method"] == "notifications/resources/updated" => self.aside.push(one),
                (true, None) => before.push(one),
                (false, _) => self.aside.push(one),
            }
        }
    }

    async fn hear(&mut self, what: &str) -> Result<Value, Fault> {
        let one = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        let one = one.ok().flatten().ok_or_else(|| format!("{what} did not come"))?;
        if cells::tells(&one) { Err(format!("the credential came through: {one}")) } else { Ok(one) }
    }

    /// Waits for a message, or takes one that came meanwhile.
    pub(super) async fn until(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value, Fault> {
        if let Some(at) = self.aside.iter().position(&is) {
            return Ok(self.aside.remove(at));
        }
        loop {
            let one = self.hear(what).await?;
            if is(&one) {
                return Ok(one);
            }
            self.aside.push(one);
        }
    }

    /// Whether such a message came, or comes soon.
    pub(super) async fn soon(&mut self, within: Duration, is: impl Fn(&Value) -> bool) -> Option<Value> {
        tokio::time::timeout(within, self.until("it", is)).await.ok()?.ok()
    }

    pub(super) fn forget(&mut self) {
        self.aside.clear();
    }

    /// Ends a request that is open, as the revision and the transport have it.
    pub(super) async fn cancel(&mut self, id: u64) -> Result<(), Fault> {
        if let Way::Http { streams, .. } = &mut self.way
            && self.kind.is_modern()
        {
            streams.remove(&id).into_iter().for_each(|stream| stream.abort());
            return Ok(());
        }
        let params = json!({ "requestId": id });
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await
    }

    /// The answer to one request that comes with the credential of somebody else.
    pub(super) async fn disguised(&mut self, who: &Who, method: &str, params: Value) -> Result<Value, Fault> {
        let mut other = Self::dial(&self.house, (self.kind, self.door), &self.server, who).await;
        other.session.clone_from(&self.session);
        let told = other.ask(method, params).await?;
        Ok(told.answer)
    }

    pub(super) async fn leave(mut self) {
        let ended = match (&self.session, self.kind.transport) {
            (Some(_), Transport::Http) => Some(self.begin("DELETE", &[], String::new()).await),
            _ => None,
        };
        drop(ended);
        match &mut self.way {
            Way::Http { streams, own, .. } => {
                streams.values().chain(own.iter()).for_each(JoinHandle::abort);
            }
            Way::Pipe { writer, talking } => {
                let _ = writer.shutdown().await;
                let _ = tokio::time::timeout(PATIENCE, talking).await;
            }
        }
    }
}

/// What it can be asked.
fn capabilities(kind: Kind) -> Value {
    let mut all = json!({ "sampling": {}, "roots": {} });
    if kind.knows_forms() {
        all["elicitation"] = json!({});
    }
    all
}

/// What it answers to each question.
fn reply(method: &Value) -> Value {
    match method.as_str() {
        Some("elicitation/create") => json!({ "action": "accept", "content": { "said": "yes-by-form" } }),
        Some("sampling/createMessage") => json!({ "role": "assistant", "model": "m",
            "content": { "type": "text", "text": "yes-by-model" } }),
        Some("roots/list") => json!({ "roots": [{ "uri": "file:///yes-by-root" }] }),
        _ => json!({}),
    }
}

/// A session over a pipe, as `wrap` has it.
async fn pipe(house: &Arc<House>, entrance: Entrance, agent: &str, heard: UnboundedSender<Value>) -> Way {
    let agent = AgentName::new(agent).unwrap();
    let principal = Arc::new(gateway::authenticate::configured(&house.gate, &agent).await.unwrap());
    let talk = Talk {
        session: house.gate.pipe_session(principal, entrance.clone(), Transport::Stdio),
        agent,
        entrance,
        message_bytes_max: 1 << 20,
        calls_in_flight_max: 64,
        drain_timeout: Duration::from_secs(1),
    };
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (reader, writer) = tokio::io::split(theirs);
    let talking =
        tokio::spawn(converse(Arc::clone(&house.gate), reader, writer, talk, CancellationToken::new()));
    let (reader, writer) = tokio::io::split(ours);
    tokio::spawn(async move {
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            pass_on(serde_json::from_str(&line).unwrap(), &heard);
        }
    });
    Way::Pipe { writer, talking }
}

/// What came at once, one by one.
fn pass_on(said: Value, to: &UnboundedSender<Value>) {
    let several = match said {
        Value::Array(several) => several,
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            vec![one]
        }
    };
    several.into_iter().for_each(|one| drop(to.send(one)));
}

type Response = http::Response<hyper::body::Incoming>;

/// Reads a response to its end: one message, or events.
async fn pump(response: Response, to: UnboundedSender<Value>) {
    let is_stream = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let (mut body, mut read) = (response.into_body(), Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        read.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        while let Some(end) = read.windows(2).position(|two| two == b"\n\n").filter(|_| is_stream) {
            let event: Vec<u8> = read.drain(..end + 2).collect();
            crate::house::events(&event).into_iter().for_each(|one| pass_on(one, &to));
        }
    }
    if let Some(whole) = (!is_stream).then(|| serde_json::from_slice(&read).ok()).flatten() {
        pass_on(whole, &to);
    }
}
