//! A scripted path behind real listeners, and clients that speak raw bytes.

use arc_swap::ArcSwap;
use bytes::Bytes;
use decision::{AgentName, Code, Environment, InteractionId, Principal, TenantId, Transport};
use gateway::{
    exchange::{Arrival, BodyFault, Entrance, Inbound, Presented, Reply, ReplyBody},
    listen::{
        Admitted, Path, admit, bind,
        http::{Annex, Answering, Drained, Health, Pace, Probes, Site, Visit, serve},
        tls::Tls,
    },
    session::Session,
    settings::{Limits, Settings},
};
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn settings() -> Settings {
    Settings {
        tenant: TenantId::default(),
        environment: Environment::default(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        allowed_hosts: BTreeSet::new(),
        allowed_origins: BTreeSet::new(),
        unauthenticated_loopback: None,
        metrics_networks: Vec::new(),
        stdio_agent: AgentName::new("desktop").unwrap(),
        limits: Limits::default(),
        oauth: None,
        networks: Vec::new(),
        vault: callgate_gateway::settings::VaultSettings::default(),
        issuer: "https://gate.example.com".to_owned(),
        servers: BTreeMap::new(),
        tls: None,
        tls_terminated_upstream: false,
        workloads: Vec::new(),
        approvals: gateway::settings::Approvals {
            hold_for: std::time::Duration::ZERO,
            ..gateway::settings::Approvals::default()
        },
        budgets: Vec::new(),
        idempotency: gateway::settings::Idempotency::default(),
        registry: gateway::settings::RegistrySettings::default(),
    }
}

pub(crate) fn session(id: &str, entrance: Entrance, transport: Transport) -> Arc<Session> {
    let interaction = InteractionId::new("i").unwrap();
    let kek = vault::Kek::from_bytes(&[7; 32]).unwrap();
    Arc::new(Session::new(
        &vault::Opener::new(Arc::new(kek)),
        id.into(),
        Arc::new(Principal::unknown()),
        entrance,
        transport,
        interaction,
        tokio::time::Instant::now(),
    ))
}

/// Stands where the path will stand: judges with `admit`, then does what the message's method says.
#[derive(Clone)]
pub(crate) struct Script(pub(crate) Arc<Stage>);

pub(crate) struct Stage {
    pub(crate) limits: Mutex<Limits>,
    /// One line per arrival, in order.
    pub(crate) seen: Mutex<Vec<String>>,
    /// One line per thing that a scene noticed.
    pub(crate) noticed: Mutex<Vec<String>>,
    /// Lets the scene `wait` go on, once per permit.
    pub(crate) release: Semaphore,
    pub(crate) sent: AtomicUsize,
    pub(crate) sessions: Mutex<BTreeMap<String, Arc<Session>>>,
}

impl Script {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Stage {
            limits: Mutex::new(limits),
            seen: Mutex::default(),
            noticed: Mutex::default(),
            release: Semaphore::new(0),
            sent: AtomicUsize::new(0),
            sessions: Mutex::default(),
        }))
    }
    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.seen.lock().clone()
    }
    pub(crate) fn noticed(&self) -> Vec<String> {
        self.0.noticed.lock().clone()
    }
    fn notice(&self, what: impl Into<String>) {
        self.0.noticed.lock().push(what.into());
    }
    pub(crate) fn keep(&self, session: &Arc<Session>) {
        self.0.sessions.lock().insert(session.id.clone(), Arc::clone(session));
    }
    /// Waits until so many arrivals came.
    pub(crate) async fn arrivals(&self, count: usize) {
        eventually(|| self.0.seen.lock().len() >= count).await;
    }

    async fn scene(&self, method: &str, id: &str, arrival: &Arrival) -> Reply {
        let (name, argument) = method.split_once('/').unwrap_or((method, ""));
        let count = argument.parse::<usize>().unwrap_or(0);
        match name {
            "say" => {
                for n in 1..=count {
                    let said = arrival.outlet.send(Bytes::from(format!("{{\"n\":{n}}}"))).await;
                    self.notice(format!("said {n} {}", if said.is_ok() { "heard" } else { "gone" }));
                }
            }
            "say-then-wait" => {
                for n in 1..=count {
                    let _ = arrival.outlet.send(Bytes::from(format!("{{\"n\":{n}}}"))).await;
                }
                self.wait(id, arrival).await;
                let _ = arrival.outlet.send(Bytes::from_static(b"{\"late\":true}")).await;
            }
            "wait" => self.wait(id, arrival).await,
            "flood" => {
                let big = Bytes::from(vec![b'x'; 64 << 10]);
                while arrival.outlet.send(big.clone()).await.is_ok() && !arrival.cancel.is_cancelled() {
                    self.0.sent.fetch_add(1, Ordering::Relaxed);
                }
                self.notice("flood over");
            }
            "subscribe" => {
                let (outlet, cancel, script) = (arrival.outlet.clone(), arrival.cancel.clone(), self.clone());
                tokio::spawn(async move {
                    let _ = outlet.send(Bytes::from_static(b"{\"ack\":1}")).await;
                    cancel.cancelled().await;
                    script.notice("subscription cancelled");
                });
                return Reply::with(StatusCode::OK, ReplyBody::Subscribed);
            }
            "initialize" => {
                let fresh = session("fresh", arrival.entrance.clone(), arrival.transport);
                let mut reply = Reply::message(answer(id));
                reply.session = Some(fresh);
                return reply;
            }
            "notifications" => return Reply::accepted(),
            "cancel-all" => {
                self.0.release.add_permits(1_000);
                return Reply::accepted();
            }
            "big" => {
                return Reply::message(Bytes::from(format!(
                    "{{\"id\":{id},\"x\":\"{}\"}}",
                    "x".repeat(count)
                )));
            }
            "pretty" => return Reply::message(Bytes::from(format!("{{\n \"id\": {id}\r\n}}"))),
            "panic" => std::panic::resume_unwind(Box::new("as the script says")),
            _ => {}
        }
        Reply::message(answer(id))
    }

    async fn wait(&self, id: &str, arrival: &Arrival) {
        tokio::select! {
            permit = self.0.release.acquire() => permit.unwrap().forget(),
            () = arrival.cancel.cancelled() => self.notice(format!("cancelled {id}")),
        }
    }
}

pub(crate) fn answer(id: &str) -> Bytes {
    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}"))
}

impl Path for Script {
    async fn govern(&self, arrival: Arrival) -> Reply {
        self.0.seen.lock().push(describe(&arrival));
        let limits = self.0.limits.lock().clone();
        let admitted = match admit(&arrival, &limits) {
            Ok(passed) => passed.value,
            Err(refusal) => {
                let said = format!("{{\"refused\":\"{}\"}}", refusal.code.as_str());
                return Reply::with(status(refusal.code), ReplyBody::Message(said.into()));
            }
        };
        let found = arrival.facts.session.as_ref().and_then(|id| self.0.sessions.lock().get(id).cloned());
        if let Some(session) = &found {
            let _ = arrival.found.set(Arc::clone(session));
        }
        match admitted {
            Admitted::Message(frame) => {
                let id =
                    frame.id_raw().map_or_else(String::new, |id| String::from_utf8_lossy(id).into_owned());
                let method = frame.method().unwrap_or_default().into_owned();
                // everybody is known here but who says otherwise
                if !method.starts_with("stranger") {
                    arrival.facts.acquaintance.make();
                }
                self.scene(&method, &id, &arrival).await
            }
            Admitted::OpenStream(wanted) => match found {
                Some(session) => match wanted.open(&session) {
                    Some(stream) => Reply::with(StatusCode::OK, ReplyBody::Stream(stream)),
                    None => Reply::with(StatusCode::BAD_REQUEST, ReplyBody::Nothing),
                },
                None => Reply::with(StatusCode::NOT_FOUND, ReplyBody::Nothing),
            },
            Admitted::EndSession => match found {
                Some(session) => {
                    session.close();
                    Reply::with(StatusCode::OK, ReplyBody::Nothing)
                }
                None => Reply::with(StatusCode::NOT_FOUND, ReplyBody::Nothing),
            },
        }
    }
}

fn status(code: Code) -> StatusCode {
    if code == Code::HostNotAllowed || code == Code::OriginNotAllowed {
        StatusCode::FORBIDDEN
    } else if code == Code::MessageTooLarge {
        StatusCode::PAYLOAD_TOO_LARGE
    } else if code == Code::MessageTooSlow {
        StatusCode::REQUEST_TIMEOUT
    } else if code == Code::HttpMethodUnsupported {
        StatusCode::METHOD_NOT_ALLOWED
    } else if code == Code::MediaTypeUnsupported {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        StatusCode::BAD_REQUEST
    }
}

fn describe(arrival: &Arrival) -> String {
    let what = match &arrival.inbound {
        Ok(Inbound::Message(bytes)) => format!("message of {}", bytes.len()),
        Ok(Inbound::OpenStream(wanted)) => {
            format!("open {}", wanted.last_event_id.as_deref().unwrap_or("-"))
        }
        Ok(Inbound::EndSession) => "end".to_owned(),
        Err(fault) => match fault {
            BodyFault::TooLarge => "too large",
            BodyFault::TooSlow => "too slow",
            BodyFault::Incomplete => "incomplete",
            BodyFault::MediaType => "media type",
            BodyFault::HttpMethod => "http method",
            BodyFault::Path => "path",
            BodyFault::Batch(_) => "no batch",
        }
        .to_owned(),
    };
    let who = match &arrival.presented {
        Presented::Nothing => String::new(),
        Presented::Authorization(values) => format!(" with {} credentials", values.len()),
        Presented::InUrl => " with a credential in the url".to_owned(),
        Presented::Configured(agent) => format!(" by {agent}"),
        Presented::Kept(_) => " kept".to_owned(),
    };
    format!("{what} at {}{who}", arrival.entrance.label())
}

/// A served script.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) script: Script,
    pub(crate) closing: CancellationToken,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    served: JoinHandle<Drained>,
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(Limits::default(), Pace::default())
    }
    pub(crate) fn with(limits: Limits, pace: Pace) -> Self {
        Self::secured(limits, pace, None)
    }
    pub(crate) fn secured(limits: Limits, pace: Pace, tls: Option<Tls>) -> Self {
        let settings = Settings { limits: limits.clone(), ..settings() };
        let bound = bind(&settings).unwrap();
        let address = bound.address;
        let script = Script::new(limits);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let probes = Probes {
            alive: Arc::new(|| Health::Good),
            ready: Arc::new(|| Health::Bad("the ledger is full".to_owned())),
            metrics: Arc::new(|| "callgate_up 1\n".to_owned()),
            keys: Arc::new(|| r#"{"keys":[]}"#.to_owned()),
        };
        let closing = CancellationToken::new();
        let site = Site { settings: Arc::clone(&settings), probes, pace, tls, annexes: vec![annex()] };
        let served = tokio::spawn(serve(bound, script.clone(), site, closing.clone()));
        Self { address, script, closing, settings, served }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
    /// One request on a connection of its own; the whole response as text.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> String {
        let mut client = self.connect().await;
        client.send(&self.request(head, body)).await;
        client.rest().await
    }
    /// A request's bytes: `head` is the request line and headers, separated by `|`.
    pub(crate) fn request(&self, head: &str, body: &str) -> String {
        let mut lines = head.split('|');
        let mut out = format!("{} HTTP/1.1\r\n", lines.next().unwrap());
        let mut host = true;
        for line in lines {
            host &= !line.to_ascii_lowercase().starts_with("host:") && line != "no-host";
            if line != "no-host" {
                out.push_str(line);
                out.push_str("\r\n");
            }
        }
        if host {
            out.push_str(&format!("host: {}\r\n", self.address));
        }
        if !body.is_empty() {
            out.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        out.push_str("\r\n");
        out.push_str(body);
        out
    }
    /// Stops and says how that went.
    pub(crate) async fn stop(self) -> Drained {
        self.closing.cancel();
        timeout(PATIENCE, self.served).await.unwrap().unwrap()
    }
}

/// Says how it was reached.
fn annex() -> Annex {
    let answer = |request: hyper::Request<hyper::body::Incoming>, visit: Visit| -> Answering {
        let text = format!("annex {} secure: {}", request.uri().path(), visit.secure);
        Box::pin(async move { hyper::Response::new(Full::new(Bytes::from(text)).boxed_unsync()) })
    };
    Annex { prefix: "/annex", answer: Arc::new(answer) }
}

/// A request message with a method of the script.
pub(crate) fn call(id: u32, method: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"}}")
}

/// A raw connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }
    /// Reads until `mark` has come; everything read so far.
    pub(crate) async fn until(&mut self, mark: &str) -> String {
        let mut read = Vec::new();
        let wait = async {
            loop {
                let text = String::from_utf8_lossy(&read).into_owned();
                if text.contains(mark) {
                    return text;
                }
                let n = self.0.read_buf(&mut read).await.unwrap();
                assert!(n > 0, "the connection ended before `{mark}`: {text}");
            }
        };
        timeout(PATIENCE, wait).await.unwrap()
    }
    /// Reads to the end of the connection, or of the one response on it.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let wait =
            async { while !whole(&read) && !matches!(self.0.read_buf(&mut read).await, Ok(0) | Err(_)) {} };
        timeout(PATIENCE, wait).await.unwrap();
        String::from_utf8_lossy(&read).into_owned()
    }
    /// Waits until the other side closed, whatever it still says.
    pub(crate) async fn closed(&mut self) {
        let wait = async {
            let mut chunk = vec![0; 16 << 10];
            while !matches!(self.0.read(&mut chunk).await, Ok(0) | Err(_)) {}
        };
        timeout(PATIENCE, wait).await.unwrap();
    }
}

/// Whether these bytes are one whole response.
fn whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// Waits until something is so.
pub(crate) async fn eventually(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

/// File descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
