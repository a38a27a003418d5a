//! A whole gateway in this process: real store, real ledger, real sockets on loopback.

use arc_swap::ArcSwap;
use bytes::Bytes;
use callgate_gateway::backends::Backends;
use callgate_gateway::listen::http::{Health, Pace, Probes, Site};
use callgate_gateway::settings::{
    Authority, CredentialUse, Limits, Mode, Place, Reach, ServerSettings, Settings, Source, VaultSettings,
};
use callgate_gateway::{Fit, Gate, Offers, Parts, Written, build, listen, upstream::Pool};
use decision::{AgentName, Clock, Entropy, Entry, Environment, SecretName, ServerName, TenantId, Timestamp};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(crate) struct WallClock;
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the tests run in real time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(now.as_micros()).unwrap())
    }
}

/// The same clock, set wrong by so many microseconds.
#[derive(Debug)]
struct SetClock(Arc<AtomicI64>);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(WallClock.now().0.saturating_add_signed(self.0.load(Ordering::SeqCst)))
    }
}

#[derive(Debug)]
pub(crate) struct Dice;
impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "ids must differ between tests")]
        aws_lc_rs::rand::fill(out).unwrap();
    }
}

pub(crate) const TOKEN_AGENT: &str = "bot";
pub(crate) const SECRET: &str = "sk-live-canary-4242";

/// What happens to a store.
type Meanwhile = Box<dyn FnOnce(store::Store) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A gateway, what it is made of, and a client for it.
pub(crate) struct House {
    pub(crate) gate: Arc<Gate>,
    pub(crate) offers: Arc<Offers>,
    pub(crate) store: store::Store,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) token: String,
    kek: Arc<vault::Kek>,
    pub(crate) database: String,
    pub(crate) tls: Option<listen::tls::Tls>,
    pub(crate) closing: CancellationToken,
    /// What the ledger's disk is to do wrong next.
    pub(crate) faults: Arc<store::ledger::Faults>,
    skew: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
}

/// An HTTP answer, its event stream already taken apart.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) events: Vec<Value>,
}

impl Told {
    /// The last JSON-RPC message: the answer.
    pub(crate) fn json(&self) -> Value {
        match self.events.last() {
            Some(last) => last.clone(),
            None => serde_json::from_slice(&self.body).unwrap_or(Value::Null),
        }
    }
}

pub(crate) fn server(url: &str, mode: Mode) -> ServerSettings {
    ServerSettings {
        reach: Reach::Http { url: url.parse().unwrap() },
        environment: Environment::default(),
        mode,
        call_timeout: Duration::from_secs(3),
        authority: Authority::Shared,
        assertion: None,
        credentials: vec![CredentialUse {
            secret: SecretName::new("key").unwrap(),
            source: Source::Stored,
            place: Place::Header { name: "authorization".into(), prefix: "Bearer ".into() },
        }],
        open_arguments: BTreeSet::new(),
        keep_arguments: true,
        keep_results: true,
        networks: Vec::new(),
        declarations: catalog::Declarations::default(),
        record: catalog::record::Facts::default(),
    }
}

pub(crate) fn settings(servers: BTreeMap<ServerName, ServerSettings>) -> Settings {
    Settings {
        tenant: TenantId::default(),
        environment: Environment::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        allowed_hosts: BTreeSet::new(),
        allowed_origins: BTreeSet::new(),
        unauthenticated_loopback: None,
        metrics_networks: Vec::new(),
        stdio_agent: AgentName::new("local").unwrap(),
        limits: Limits { message_bytes_max: 1 << 20, result_bytes_max: 1 << 20, ..Limits::default() },
        oauth: None,
        networks: Vec::new(),
        vault: VaultSettings::default(),
        issuer: "https://gate.example.com".to_owned(),
        servers,
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

impl House {
    /// Starts a gateway before the servers at `urls`, under `policy`.
    pub(crate) async fn open(urls: &[(&str, String)], policy: &str) -> Self {
        let servers = urls
            .iter()
            .map(|(name, url)| (ServerName::new(*name).unwrap(), server(url, Mode::Enforce)))
            .collect();
        Self::with(settings(servers), policy).await
    }

    pub(crate) async fn with(settings: Settings, policy: &str) -> Self {
        // boxed: every test would have the whole of its making in its own state
        Box::pin(Self::under(settings, policy, None, None, None)).await
    }

    /// On a database that others may use as well.
    pub(crate) async fn on(settings: Settings, policy: &str, database: &str) -> Self {
        Box::pin(Self::under(settings, policy, None, Some(database.to_owned()), None)).await
    }

    /// Where something happens between the first snapshot and the moment from which on the store is watched.
    pub(crate) async fn with_meanwhile<F: Future<Output = ()> + Send + 'static>(
        settings: Settings,
        policy: &str,
        meanwhile: impl FnOnce(store::Store) -> F + Send + 'static,
    ) -> Self {
        let meanwhile: Meanwhile = Box::new(|store| Box::pin(meanwhile(store)));
        Box::pin(Self::under(settings, policy, None, None, Some(meanwhile))).await
    }

    /// Another gateway on the database of this one, with the same key.
    pub(crate) async fn beside(&self, settings: Settings, policy: &str) -> Self {
        let (kek, database) = (Arc::clone(&self.kek), self.database.clone());
        Box::pin(Self::under(settings, policy, Some(kek), Some(database), None)).await
    }

    /// Another gateway with the key of this one.
    pub(crate) async fn after(&self, settings: Settings, policy: &str) -> Self {
        Box::pin(Self::under(settings, policy, Some(Arc::clone(&self.kek)), None, None)).await
    }

    /// The database of this one, as another process opens it.
    pub(crate) async fn another_store(&self) -> store::Store {
        store::Store::open(&self.database, Arc::new(WallClock), Arc::new(Dice)).await.unwrap()
    }

    async fn under(
        settings: Settings,
        policy: &str,
        kek: Option<Arc<vault::Kek>>,
        database: Option<String>,
        meanwhile: Option<Meanwhile>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let skew = Arc::<AtomicI64>::default();
        let clock: Arc<dyn Clock> = Arc::new(SetClock(Arc::clone(&skew)));
        let entropy: Arc<dyn Entropy> = Arc::new(Dice);
        let database = database.unwrap_or_else(|| format!("sqlite:{}", dir.path().join("db").display()));
        let store = store::Store::open(&database, Arc::clone(&clock), Arc::clone(&entropy)).await.unwrap();
        let scope = store::Scope::new(settings.tenant.clone(), settings.environment.clone());
        let token = issue(&store, &scope, TOKEN_AGENT, None).await;
        let fresh = || vault::Kek::load_or_create(&dir.path().join("kek"), entropy.as_ref()).unwrap();
        let kek = kek.unwrap_or_else(|| Arc::new(fresh()));
        seal(&store, &scope, &kek, None, SECRET).await;
        seal_as(&store, &scope, &kek, (vault::ASSERTION_KEY, None), &vault::SigningKey::generate(&Dice))
            .await;
        let faults: Arc<store::ledger::Faults> = Arc::default();
        let (ledger, _) = store::ledger::Ledger::open(
            &dir.path().join("ledger"),
            Arc::clone(&clock),
            entropy.as_ref(),
            store::ledger::Options {
                disk: store::ledger::Disk::Faulty(Arc::clone(&faults)),
                ..store::ledger::Options::default()
            },
        )
        .unwrap();
        let client = egress::Client::new(egress::EgressPolicy::default(), egress::Settings::default());
        let supervisor = supervisor();
        let pool = Pool::new(client, supervisor, BTreeMap::new(), &settings.limits);
        let variables = [("TEST_TOKEN".to_owned(), zeroize::Zeroizing::new(b"sk-of-a-variable".to_vec()))];
        let backends = Backends::new(&settings, variables.into()).unwrap();
        let settings = Arc::new(settings);
        let sources = vec![policy::Source { path: "test.cedar".into(), text: policy.into() }];
        let written = Written { settings: Arc::clone(&settings), policies: sources };
        let loader = policy::Loader::default();
        let nothing = Written { policies: vec![], ..written.clone() };
        let live = build(&store, &loader, &nothing, None, &BTreeMap::new(), Fit::Strict).await.unwrap().live;
        let (wakes, woken) = tokio::sync::mpsc::unbounded_channel();
        let gate = Gate::new(Parts {
            live,
            store: store.clone(),
            ledger: Arc::new(ledger),
            opener: vault::Opener::new(Arc::clone(&kek)),
            backends,
            pool,
            issuers: identity::oauth::Issuers::new(egress::Settings::default(), entropy.as_ref()),
            clock,
            entropy,
            wakes,
        });
        let offers = Offers::new(Arc::clone(&gate), loader, written);
        for server in settings.servers.keys() {
            offers.look(server).await.unwrap();
        }
        assert_eq!(offers.refresh().await.len(), 0, "the test's policy fits");
        if let Some(meanwhile) = meanwhile {
            meanwhile(store.clone()).await;
        }
        tokio::spawn(Arc::clone(&offers).run(woken));
        let ends = CancellationToken::new();
        tokio::spawn(callgate_gateway::execute_approved(Arc::clone(&gate), ends.clone()));
        let bound = listen::bind(&settings).unwrap();
        let address = bound.address;
        let closing = ends;
        let tls = settings.tls.as_ref().map(|tls| listen::tls::Keys::read(tls, &gate_clock()).unwrap());
        let tls = tls.map(|keys| listen::tls::Tls::new(keys, gate.handshakes()));
        let site = Site {
            settings: Arc::new(ArcSwap::new(settings)),
            probes: probes(&gate),
            pace: Pace::default(),
            tls: tls.clone(),
            annexes: Vec::new(),
        };
        tokio::spawn(listen::http::serve(bound, Arc::clone(&gate), site, closing.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        gate.publish_assertion_keys().await;
        Self {
            gate,
            offers,
            store,
            address,
            token,
            tls,
            kek,
            database,
            closing,
            faults,
            skew,
            _dir: dir,
            client,
        }
    }

    pub(crate) fn scope(&self) -> store::Scope {
        self.gate.live().settings.scope()
    }

    /// Looks once at a server, which must be there.
    pub(crate) async fn look(&self, server: &str) {
        self.offers.look(&ServerName::new(server).unwrap()).await.unwrap();
    }

    /// The token of a new agent that acts for this user.
    pub(crate) async fn agent_of(&self, agent: &str, user: &str) -> String {
        let user = decision::User { name: user.parse().unwrap(), groups: BTreeSet::new() };
        self.store.add_user(&self.scope(), &user, "ops").await.unwrap();
        issue(&self.store, &self.scope(), agent, Some(user.name)).await
    }

    /// Stores the shared value of a secret.
    pub(crate) async fn put_secret_named(&self, name: &str, value: &str) {
        self.put_secret_for(name, value, None).await;
    }

    /// The same for one server only.
    pub(crate) async fn put_secret_for(&self, name: &str, value: &str, server: Option<&str>) {
        let secret = vault::Secret::from_input(value.as_bytes().to_vec()).unwrap();
        let server = server.map(|server| ServerName::new(server).unwrap());
        seal_for(&self.store, &self.scope(), &self.kek, (name, None), &secret, (server, None)).await;
    }

    /// Stores a value of the secret `key` that is good for so long.
    pub(crate) async fn put_secret_for_a_time(&self, user: &str, value: &str, time: Duration) {
        let secret = vault::Secret::from_input(value.as_bytes().to_vec()).unwrap();
        let until = Timestamp(WallClock.now().0 + u64::try_from(time.as_micros()).unwrap());
        let to = (None, Some(until));
        seal_for(&self.store, &self.scope(), &self.kek, ("key", Some(user)), &secret, to).await;
    }

    /// Stores a value of the secret `key`.
    pub(crate) async fn put_secret(&self, user: Option<&str>, value: &str) {
        seal(&self.store, &self.scope(), &self.kek, user, value).await;
    }

    /// Sets the wall clock so many seconds ahead of the true time.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.skew.store(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Moves the wall clock on.
    pub(crate) fn advance(&self, by: Duration) {
        self.skew.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Puts another key for assertions in.
    pub(crate) async fn put_assertion_key(&self) {
        let key = vault::SigningKey::generate(&Dice);
        seal_as(&self.store, &self.scope(), &self.kek, (vault::ASSERTION_KEY, None), &key).await;
    }

    /// Moves everything under a new key, as `callgate secret rotate` does, and gives that key.
    pub(crate) async fn move_under_another_key(&self) -> vault::Keys {
        let mut bytes = [0; 32];
        Dice.fill(&mut bytes);
        let new = Arc::new(vault::Kek::from_bytes(&bytes).unwrap());
        let keys = vault::Keys::new(Arc::clone(&new), vec![Arc::clone(&self.kek)]);
        for one in self.store.sealed_everywhere().await.unwrap() {
            let sealed = vault::Sealed::from_bytes(one.sealed.0.clone()).unwrap();
            let at = vault::SecretRef {
                tenant: one.scope.tenant.clone(),
                environment: one.scope.environment.clone(),
                name: one.name.clone(),
                user: one.user.clone(),
                version: u32::try_from(one.version).unwrap(),
            };
            let moved = keys.reseal(&sealed, &at, &Dice).unwrap().unwrap();
            assert!(self.store.reseal_secret(&one, &store::Sealed(moved.as_bytes().to_vec())).await.unwrap());
        }
        vault::Keys::from(new)
    }

    pub(crate) async fn remove_secret(&self) {
        self.store.remove_secret(&self.scope(), &SecretName::new("key").unwrap(), None, "ops").await.unwrap();
    }

    /// How many replaced values of the secret `key` are kept.
    pub(crate) async fn retired(&self) -> usize {
        let retired = self.store.retired_secrets(&self.scope()).await.unwrap();
        retired.iter().filter(|one| one.name.as_str() == "key").count()
    }

    /// Waits until the gateway has seen what changed in the store: until a token that is revoked last is refused.
    pub(crate) async fn until_noticed(&self) {
        let name = format!("probe-{}", self.store.revision().await.unwrap().0);
        let bearer = format!("Bearer {}", issue(&self.store, &self.scope(), &name, None).await);
        let headers = [("authorization", bearer.as_str()), ("mcp-protocol-version", "2025-11-25")];
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let status = async || self.post("/mcp", &headers, ping).await.status;
        assert_ne!(status().await, 401);
        self.store.revoke_tokens(&self.scope(), &AgentName::new(name).unwrap(), "ops").await.unwrap();
        for _ in 0..1_000 {
            if status().await == 401 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(status().await, 401, "within ten seconds");
    }

    /// Says something to a server behind the gateway, past the gateway.
    pub(crate) async fn say_to(&self, url: &str, message: Value) {
        let request = http::Request::post(url).header("content-type", "application/json");
        let body = Full::new(Bytes::from(message.to_string()));
        self.client.request(request.body(body).unwrap()).await.unwrap();
    }

    /// One GET without a credential.
    pub(crate) async fn fetch(&self, path: &str) -> Told {
        let request = http::Request::get(format!("http://{}{path}", self.address));
        let response = self.client.request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Told { status: parts.status.as_u16(), headers: parts.headers, body, events: Vec::new() }
    }

    /// One POST whose answer is read as it comes.
    pub(crate) async fn open_post(&self, path: &str, session: &str, body: String) -> hyper::body::Incoming {
        let request = http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", self.token))
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.client.request(request).await.unwrap().into_body()
    }

    /// A legacy session's own stream.
    pub(crate) async fn get(&self, path: &str, session: &str) -> hyper::body::Incoming {
        let request = http::Request::get(format!("http://{}{path}", self.address))
            .header("accept", "text/event-stream")
            .header("authorization", format!("Bearer {}", self.token))
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::new(Bytes::new()))
            .unwrap();
        let response = self.client.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    }

    /// Ends a legacy session.
    pub(crate) async fn end_session(&self, path: &str, session: &str) {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("mcp-session-id", session),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        assert_eq!(self.plain("DELETE", path, &headers).await.status, 204);
    }

    /// One modern POST whose answer is read as it comes.
    pub(crate) async fn open_modern(&self, path: &str, method: &str, body: String) -> hyper::body::Incoming {
        self.open_as(Some(&self.token), path, method, body).await
    }

    /// The same as whoever has that token, or none.
    pub(crate) async fn open_as(
        &self,
        token: Option<&str>,
        path: &str,
        method: &str,
        body: String,
    ) -> hyper::body::Incoming {
        let mut request = http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap().into_body()
    }

    /// One POST; waits for the whole answer.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Told {
        let bearer = format!("Bearer {}", self.token);
        let own = (!headers.iter().any(|(name, _)| *name == "authorization"))
            .then_some(("authorization", &*bearer));
        let headers: Vec<_> =
            headers.iter().copied().chain(own).filter(|(_, value)| !value.is_empty()).collect();
        let (parts, body) = self.begin("POST", path, &headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let is_stream = parts
            .headers
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let events = if is_stream { events(&body) } else { Vec::new() };
        Told { status: parts.status.as_u16(), headers: parts.headers, body, events }
    }

    /// One request as a client of MCP writes it; the answer is read by whoever asked.
    pub(crate) async fn begin(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder()
            .method(verb)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    /// The token of a new agent that acts for nobody.
    pub(crate) async fn agent(&self, agent: &str) -> String {
        issue(&self.store, &self.scope(), agent, None).await
    }

    /// Waits until the gateway has seen that an agent was disabled; that it never does shows where it matters.
    pub(crate) async fn until_refused(&self, token: &str) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("mcp-protocol-version", "2025-11-25")];
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        for _ in 0..300 {
            if self.post("/mcp", &headers, ping).await.status == 401 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One request of any kind, without a credential.
    pub(crate) async fn plain(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Told {
        let mut request =
            http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::default()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Told { status: parts.status.as_u16(), headers: parts.headers, body, events: Vec::new() }
    }

    /// One modern request, as a correct client sends it.
    pub(crate) async fn modern(&self, path: &str, method: &str, params: Value) -> Told {
        self.modern_as(&format!("Bearer {}", self.token), path, method, params).await
    }

    /// The same with a credential of one's own.
    pub(crate) async fn modern_as(&self, bearer: &str, path: &str, method: &str, mut params: Value) -> Told {
        let name =
            params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        let can = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        if can.is_null() {
            *can = json!({ "elicitation": {} });
        }
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({ "name": "test-host", "version": "1" });
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        let name = name.unwrap_or_default();
        let headers = [
            ("authorization", bearer),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", &name),
        ];
        self.post(path, &headers, body).await
    }

    /// A legacy session: its id.
    pub(crate) async fn initialize(&self, path: &str) -> String {
        let params = json!({ "protocolVersion": "2025-11-25",
            "capabilities": { "elicitation": {}, "sampling": {}, "roots": {} },
            "clientInfo": { "name": "test-host", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
        let told = self.post(path, &[], body).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.headers["mcp-session-id"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn legacy(
        &self,
        path: &str,
        session: &str,
        id: u64,
        method: &str,
        params: Value,
    ) -> Told {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
        self.post(path, &headers, body).await
    }

    /// Every entry of the ledger, in order.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let raw = self.gate.ledger().read_entries(entries.len() as u64, 100_000).unwrap();
            entries.extend(raw.iter().map(|(_, bytes)| serde_json::from_slice::<Entry>(bytes).unwrap()));
            if raw.is_empty() {
                return entries;
            }
        }
    }

    /// Intents and decisions of calls that were no errands.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut asked = BTreeSet::new();
        let mut decided = Vec::new();
        for entry in self.entries() {
            match entry {
                Entry::Intent(intent) if !intent.errand => {
                    assert!(asked.insert(intent.call), "one intent per call")
                }
                Entry::Decision(decision) if asked.contains(&decision.call) => decided.push(decision.call),
                Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => {}
            }
        }
        let distinct: BTreeSet<_> = decided.iter().collect();
        assert_eq!(distinct.len(), decided.len(), "one decision per call");
        (asked.len(), decided.len())
    }

    /// The last decision of a call that was no errand.
    /// Who asked last, as the record has it.
    pub(crate) fn asker(&self) -> decision::Actor {
        let intents = self.entries().into_iter().filter_map(|entry| match entry {
            Entry::Intent(intent) if !intent.errand => Some(intent.principal.actor.clone()),
            Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
        });
        intents.last().unwrap()
    }

    pub(crate) fn last(&self) -> decision::Decision {
        self.decisions().pop().unwrap()
    }

    /// The decisions of calls that were no errands, in order.
    pub(crate) fn decisions(&self) -> Vec<decision::Decision> {
        let entries = self.entries();
        let errands: BTreeSet<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Intent(intent) if intent.errand => Some(intent.call),
                Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
            })
            .collect();
        let decisions = entries.into_iter().filter_map(|entry| match entry {
            Entry::Decision(decision) if !errands.contains(&decision.call) => Some(*decision),
            Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
        });
        decisions.collect()
    }
}

/// Not a test: the supervisor of the servers that are children, which is this very program started again.
#[test]
#[ignore = "started by other tests"]
fn as_supervisor() {
    launch::supervise_main();
    std::process::exit(0);
}

fn supervisor() -> launch::Supervisor {
    // libtest has threads of its own, and the supervisor wants SIGCHLD blocked in all of them
    let own = std::env::current_exe().unwrap().display().to_string();
    let args = [
        "--block-signal=CHLD",
        &own,
        "house::as_supervisor",
        "--exact",
        "--ignored",
        "--nocapture",
        "--quiet",
    ];
    launch::Supervisor { program: "/usr/bin/env".into(), args: args.map(Into::into).into() }
}

fn gate_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

impl Drop for House {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

fn probes(gate: &Arc<Gate>) -> Probes {
    let (metrics, published) = (Arc::clone(gate), Arc::clone(gate));
    Probes {
        alive: Arc::new(|| Health::Good),
        ready: Arc::new(|| Health::Good),
        metrics: Arc::new(move || metrics.metrics_text()),
        keys: Arc::new(move || published.assertion_keys()),
    }
}

async fn issue(
    store: &store::Store,
    scope: &store::Scope,
    agent: &str,
    user: Option<decision::UserName>,
) -> String {
    let name = AgentName::new(agent).unwrap();
    let agent =
        store::NewAgent { name: name.clone(), kind: store::AgentKind::Agent, groups: BTreeSet::new(), user };
    // another gateway on the same database may have added it
    let added = store.add_agent(scope, &agent, "ops").await;
    assert!(matches!(added, Ok(()) | Err(store::StoreError::Exists { .. })), "{added:?}");
    let token = identity::ApiToken::generate(&Dice);
    let expires_at = Timestamp(WallClock.now().0 + 3_600_000_000);
    let hash = store::TokenHash(*token.hash().as_bytes());
    store.add_token(scope, &store::NewToken { agent: name, hash, expires_at }, "ops").await.unwrap();
    token.reveal().to_owned()
}

async fn seal(
    store: &store::Store,
    scope: &store::Scope,
    kek: &Arc<vault::Kek>,
    user: Option<&str>,
    value: &str,
) {
    let secret = vault::Secret::from_input(value.as_bytes().to_vec()).unwrap();
    seal_as(store, scope, kek, ("key", user), &secret).await;
}

async fn seal_as(
    store: &store::Store,
    scope: &store::Scope,
    kek: &Arc<vault::Kek>,
    named: (&str, Option<&str>),
    secret: &vault::Secret,
) {
    seal_for(store, scope, kek, named, secret, (None, None)).await;
}

async fn seal_for(
    store: &store::Store,
    scope: &store::Scope,
    kek: &Arc<vault::Kek>,
    (name, user): (&str, Option<&str>),
    secret: &vault::Secret,
    (server, expires_at): (Option<ServerName>, Option<Timestamp>),
) {
    let name = SecretName::new(name).unwrap();
    let user: Option<decision::UserName> = user.map(|user| user.parse().unwrap());
    let version = store.next_secret_version(scope, &name, user.as_ref()).await.unwrap();
    let at = vault::SecretRef {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        name: name.clone(),
        user: user.clone(),
        version: u32::try_from(version).unwrap(),
    };
    let sealed = vault::Sealer::new(Arc::clone(kek)).seal(secret, &at, &Dice);
    let secret = store::NewSecret {
        name,
        user,
        server,
        version,
        sealed: store::Sealed(sealed.as_bytes().to_vec()),
        expires_at,
        rotate_by: None,
    };
    store.put_secret(scope, &secret, "ops").await.unwrap();
}

/// The JSON messages of an event stream.
pub(crate) fn events(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str(data.trim()).ok())
        .collect()
}
