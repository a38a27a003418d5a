//! A console of one's own, with people, and a clock and dice that the test holds.

use arc_swap::ArcSwap;
use bytes::Bytes;
use callgate_console::{Body, Console, Parts, Settings};
use decision::approval::{Approval, Preview, Source, State, Terms};
use decision::{
    Actor, ApprovalId, CallId, Clock, DeedId, Digest, Entropy, Environment, Item, ItemKind, Principal,
    Target, TenantId, Timestamp, User,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use policy::{Role, Visitor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Desk, Scope, Store, ledger::Ledger};
use tokio_util::sync::CancellationToken;

pub(crate) const HOST: &str = "callgate.localhost:7300";
pub(crate) const ORIGIN: &str = "http://callgate.localhost:7300";
pub(crate) const MINUTE: u64 = 60_000_000;
/// 2026-11-26, some time in the morning.
pub(crate) const MORNING: u64 = 1_795_683_600_000_000;

#[derive(Debug)]
pub(crate) struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Dice(AtomicU64);

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&n.to_be_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) struct House {
    pub(crate) console: Arc<Console>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Store,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) scope: Scope,
    pub(crate) closing: CancellationToken,
    pub(crate) servers: Arc<crate::servers::Configuration>,
    clock: Arc<Hand>,
    next: AtomicU64,
    _dir: tempfile::TempDir,
}

/// What came back.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A browser: the cookie it was given, and the token of the page it looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) form: String,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Settings {
            roles: [
                (Role::Viewer, vec!["support"]),
                (Role::Approver, vec!["finance", "security"]),
                (Role::Administrator, vec!["platform"]),
                (Role::RegistryAdministrator, vec!["registry"]),
            ]
            .into_iter()
            .map(|(role, of)| (role, of.into_iter().map(|group| group.parse().unwrap()).collect()))
            .collect(),
            ..Settings::default()
        })
        .await
    }

    /// Another ledger, as after the next start.
    pub(crate) fn next_ledger(&self) -> Arc<Ledger> {
        let dice = Dice(AtomicU64::new(7));
        let dir = self._dir.path().join("next");
        Arc::new(Ledger::open(&dir, self.clock.clone(), &dice, Default::default()).unwrap().0)
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        // memory where there is some: ten thousand rows are not a test of the disk
        let shm = std::path::Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let clock = Arc::new(Hand(AtomicU64::new(MORNING)));
        let dice = Arc::new(Dice(AtomicU64::new(1)));
        let url = format!("sqlite:{}", dir.path().join("store.db").display());
        let store = Store::open(&url, clock.clone(), dice.clone()).await.unwrap();
        let (ledger, _) =
            Ledger::open(&dir.path().join("ledger"), clock.clone(), &*dice, Default::default()).unwrap();
        let (ledger, scope) = (Arc::new(ledger), Scope::default());
        for (name, groups) in [
            ("alice", &["support", "finance"][..]),
            ("bob", &["finance"]),
            ("carol", &["security", "finance"]),
            ("dave", &["platform"]),
            ("erin", &["support"]),
            ("rita", &["registry"]),
            ("mallory", &[]),
        ] {
            store.add_user(&scope, &user(name, groups), "ops").await.unwrap();
        }
        let desk = Arc::new(Desk::new(store.clone(), Arc::clone(&ledger), clock.clone()));
        let closing = CancellationToken::new();
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let servers = Arc::new(crate::servers::Configuration::default());
        let callback = callgate_console::hooks::Callback {
            desk: Arc::clone(&desk),
            scope: scope.clone(),
            settings: Arc::clone(&settings),
            keys: Arc::new(crate::hooks::OneKey),
            clock: clock.clone(),
            servers: servers.clone(),
        };
        let parts = Parts {
            callback,
            desk: Arc::clone(&desk),
            ledger: Arc::clone(&ledger),
            scope: scope.clone(),
            settings,
            clock: clock.clone(),
            entropy: dice,
            servers: servers.clone(),
            looks: servers.clone(),
            closing: closing.clone(),
        };
        let console = Console::new(parts).unwrap();
        Self {
            console,
            desk,
            store,
            ledger,
            scope,
            closing,
            servers,
            clock,
            next: AtomicU64::new(1),
            _dir: dir,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) async fn vote(&self, id: ApprovalId, who: &str, yes: bool) {
        let voter = self.desk.voter(&self.scope, &who.parse().unwrap()).await.unwrap().unwrap();
        self.desk.vote(&self.scope, id, &voter, yes, None, "a test").await.unwrap();
    }

    pub(crate) fn pass(&self, us: u64) {
        self.clock.0.fetch_add(us, Ordering::Relaxed);
    }

    /// Somebody sets the clock back.
    pub(crate) fn turn_back(&self, us: u64) {
        self.clock.0.fetch_sub(us, Ordering::Relaxed);
    }

    /// An approval for alice's bot to pay back so much, which this cure lifts.
    pub(crate) fn refund(&self, amount: u64, cure: &str) -> Approval {
        let now = self.now();
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&n.to_be_bytes());
        let arguments =
            format!("{{\n  \"amount\": {amount},\n  \"to\": \"[email]\",\n  \"note\": \"order {n}\"\n}}");
        let ids = (ApprovalId::new(now, random), DeedId::new(now, random), CallId::new(now, random));
        let until = Timestamp(now.0 + 60 * MINUTE);
        let terms = Terms {
            principal: Arc::new(Principal {
                tenant: TenantId::default(),
                environment: Environment::default(),
                actor: Actor::Agent("refund-bot".parse().unwrap()),
                groups: Default::default(),
                user: Some(user("alice", &["support", "finance"])),
            }),
            host: Some("Claude Code".to_owned()),
            method: "tools/call".to_owned(),
            target: Target {
                server: "crm".parse().unwrap(),
                item: Item { kind: ItemKind::Tool, name: "refund_payment".to_owned() },
                definition: Some(Digest::of(b"definition")),
            },
            arguments: Digest::of(arguments.as_bytes()),
            by_value: None,
            policy: Digest::of(b"policy"),
        };
        let preview = Preview {
            summary: format!("Refund {amount} euro of order {n} to the customer"),
            brief: String::new(),
            effect: "write".to_owned(),
            tier: "high".to_owned(),
            categories: vec!["financial".to_owned()],
            arguments,
            masked: vec!["email".to_owned()],
            hidden: 2,
            labels: vec!["the recipient is outside the company".to_owned()],
            before: None,
            read: vec![Source {
                call: CallId::new(now, [9; 10]),
                at: Timestamp(now.0 - MINUTE),
                server: "crm".parse().unwrap(),
                item: "read_order".to_owned(),
            }],
            undo: Some("void the refund in the CRM within a day".to_owned()),
            because: vec!["refunds above 100 need somebody of finance".to_owned()],
            rules: vec!["large-refunds".parse().unwrap()],
        };
        Approval { preview, ..Approval::proposed(ids, terms, cure.parse().unwrap(), (now, until)) }
    }

    pub(crate) async fn propose(&self, approval: Approval) -> ApprovalId {
        self.desk.propose(&self.scope, approval).await.unwrap().id
    }

    pub(crate) async fn state(&self, id: ApprovalId) -> State {
        self.store.approval(&self.scope, id).await.unwrap().unwrap().approval.state
    }

    /// The code of a new link.
    pub(crate) async fn code(&self, visitor: Visitor) -> String {
        self.console.invite(visitor).await.unwrap().split_once('#').unwrap().1.to_owned()
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Browser {
        let code = self.code(Visitor::Person(name.parse().unwrap())).await;
        self.enter(&code).await
    }

    pub(crate) async fn enter(&self, code: &str) -> Browser {
        let said = self.post(&Browser::default(), "/console/sign-in", &[("code", code)]).await;
        assert_eq!(said.status, StatusCode::SEE_OTHER, "{}", said.text);
        let browser = Browser { cookie: said.cookie().unwrap(), form: String::new() };
        let form = self.get(&browser, "/console").await.form().unwrap_or_default();
        Browser { form, ..browser }
    }

    pub(crate) async fn get(&self, browser: &Browser, path: &str) -> Said {
        self.send(self.request(Method::GET, browser, path).body(Full::default()).unwrap()).await
    }

    /// A form as the browser would send it from one of our pages.
    pub(crate) async fn post(&self, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Said {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        if !browser.form.is_empty() {
            body.append_pair("form", &browser.form);
        }
        let request = self
            .request(Method::POST, browser, path)
            .header("origin", ORIGIN)
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(body.finish())).unwrap()).await
    }

    pub(crate) fn request(&self, method: Method, browser: &Browser, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header("host", HOST);
        match browser.cookie.is_empty() {
            true => request,
            false => request.header("cookie", &browser.cookie),
        }
    }

    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        self.console.answer(request, false, &|| ()).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Said {
        let (head, body) = self.open(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Said { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `name=value` of the cookie that was set.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.header("set-cookie").split(';').next().filter(|pair| pair.len() > 20).map(str::to_owned)
    }

    /// The token in the page's forms.
    pub(crate) fn form(&self) -> Option<String> {
        let (_, rest) = self.text.split_once("name=\"form\" value=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

pub(crate) fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.parse().unwrap(), groups: groups.iter().map(|group| group.parse().unwrap()).collect() }
}
