//! A vault that is looked after for months, in no time.

use super::*;
use crate::surroundings::Surroundings;
use gateway::{Fit, Parts, Written, backends::Backends, backends::Variables};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Mutex, atomic::AtomicU64, atomic::Ordering},
};
use store::{Store, ledger::Ledger};

#[derive(Debug)]
struct SetClock(AtomicU64);

impl SetClock {
    fn days(&self, days: u64) {
        self.0.fetch_add(days * DAY_US, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the file says, with these lines about the server.
fn place(dir: &Path, more: &str) -> Place {
    let config = dir.join("callgate.toml");
    let text = format!(
        "state-dir = \"state\"\n[servers.crm]\nurl = \"http://127.0.0.1:9/mcp\"\n\
         assertion = {{ header = \"X-Callgate-Assertion\", audience = \"crm\" }}\n{more}"
    );
    fs::write(&config, &text).unwrap();
    Place::at(&config, true, &Surroundings::default()).unwrap_or_else(|_| panic!("{text}"))
}

struct House {
    gate: Arc<Gate>,
    place: Place,
    clock: Arc<SetClock>,
    keeper: Keeper,
}

impl House {
    async fn open(dir: &Path) -> Self {
        let place = place(dir, "");
        let state = place.state().unwrap().to_owned();
        let clock = Arc::new(SetClock(AtomicU64::new(SystemClock.now().0)));
        let store = Store::open(&place.meant.database, clock.clone(), Arc::new(SystemEntropy)).await.unwrap();
        let keys = keys::open(&place, &store, keys::Asking::Never).await.unwrap();
        let options = store::ledger::Options::default();
        let (ledger, _) =
            Ledger::open(&state.join("ledger"), clock.clone(), &SystemEntropy, options).unwrap();
        let settings = Arc::new(place.meant.settings.clone());
        let written = Written { settings: Arc::clone(&settings), policies: Vec::new() };
        let (loader, eras) = (policy::Loader::default(), std::collections::BTreeMap::new());
        let built = gateway::build(&store, &loader, &written, None, &eras, Fit::Strict).await.unwrap();
        let client = egress::Client::new(settings.reachable(), egress::Settings::default());
        let supervisor = launch::Supervisor::this_executable();
        let gate = Gate::new(Parts {
            live: built.live,
            store,
            ledger: Arc::new(ledger),
            opener: vault::Opener::new(keys),
            backends: Backends::new(&settings, Variables::new()).unwrap(),
            pool: gateway::upstream::Pool::new(client, supervisor, Default::default(), &settings.limits),
            issuers: identity::oauth::Issuers::new(egress::Settings::default(), &SystemEntropy),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            wakes: tokio::sync::mpsc::unbounded_channel().0,
        });
        let keeper = Keeper::new(&gate, clock.clone());
        Self { gate, place, clock, keeper }
    }

    async fn look_after(&mut self, days: u64) {
        self.clock.days(days);
        self.keeper.look(&self.place).await;
    }

    /// The version of the key for assertions, and of those before it.
    async fn assertion_key(&self) -> (u64, Vec<u64>) {
        let (store, scope) = (self.gate.store(), self.place.scope());
        let listed = store.list_secrets(&scope).await.unwrap();
        let key = listed.iter().find(|one| one.name.as_str() == ASSERTION_KEY).unwrap();
        let old = store.retired_secrets(&scope).await.unwrap();
        (key.version, old.iter().map(|one| one.version).collect())
    }
}

#[tokio::test]
async fn the_key_for_assertions_is_another_after_ninety_days_and_is_tried_again_where_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::open(dir.path()).await;
    prepare(&house.gate, &house.place, &house.gate.opener().sealer()).await.unwrap();
    assert_eq!(house.assertion_key().await, (1, vec![]));
    house.look_after(89).await;
    assert_eq!(house.assertion_key().await, (1, vec![]), "not before its time");
    // what it needs cannot be had: the old one goes on
    let lock = dir.path().join("state/secrets.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    house.look_after(1).await;
    assert_eq!(house.assertion_key().await, (1, vec![]));
    fs::remove_dir(&lock).unwrap();
    house.look_after(0).await;
    assert_eq!(house.assertion_key().await, (2, vec![1]), "and the old one is still there to check with");
    house.look_after(1).await;
    assert_eq!(house.assertion_key().await, (2, vec![]));
}

#[tokio::test]
async fn a_secret_that_is_about_to_end_is_named_once_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::open(dir.path()).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let named = Named { name: "crm-key".parse().unwrap(), user: None };
    let in_days = |days: u64| Some(Timestamp(house.clock.now().0 + days * DAY_US));
    let new = New { rotate_by: in_days(30), expires_at: in_days(60), ..New::default() };
    let value = vault::Secret::from_input(b"sk-live-canary-4242".to_vec()).unwrap();
    let (store, sealer) = (house.gate.store(), house.gate.opener().sealer());
    secret::put_next(store, &sealer, &house.place.scope(), &named, new, &value, "ops").await.unwrap();
    house.look_after(10).await;
    assert!(!log.take().contains("crm-key"), "not yet");
    house.look_after(7).await;
    let said = log.take();
    assert!(said.contains("crm-key") && said.contains("to be rotated by"), "{said}");
    house.look_after(0).await;
    assert!(!log.take().contains("crm-key"), "once a day");
    house.look_after(1).await;
    assert!(log.take().contains("to be rotated by"));
    house.look_after(13).await;
    assert!(log.take().contains("should have been rotated by"));
    house.look_after(30).await;
    let said = log.take();
    assert!(said.contains("expired at") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn what_a_killed_command_decided_is_recorded_once_nobody_can_be_about_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::open(dir.path()).await;
    let store = Store::open(&house.place.meant.database, house.clock.clone(), Arc::new(SystemEntropy)).await;
    let (store, server) = (store.unwrap(), decision::ServerName::new("crm").unwrap());
    let step = catalog::record::Step::Suspend;
    let taking = store::Taking { step, by: "ada", because: None, facts: None, grant: None, seen: None };
    store.take_step(&house.place.scope(), &server, &taking).await.unwrap();
    house.look_after(0).await;
    let told = |house: &House| {
        house
            .gate
            .ledger()
            .read_entries(0, 100)
            .unwrap()
            .into_iter()
            .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains("server-record-changed"))
            .count()
    };
    assert_eq!(told(&house), 0, "whoever decided may be about to tell it");
    house.clock.0.fetch_add(ABOUT_TO_TELL_US + 1, Ordering::SeqCst);
    house.look_after(0).await;
    house.look_after(0).await;
    assert_eq!(told(&house), 1);
}

/// Somebody is asked.
fn proposed(server: &ServerName) -> decision::approval::Approval {
    use decision::{ApprovalId, CallId, DeedId, Digest, Item, ItemKind, Principal, Target, approval};
    approval::Approval {
        id: ApprovalId::new(Timestamp(1_000_000), [1; 10]),
        deed: DeedId::new(Timestamp(1), [1; 10]),
        call: CallId::new(Timestamp(1), [1; 10]),
        terms: approval::Terms {
            principal: Arc::new(Principal::unknown()),
            host: None,
            method: "tools/call".to_owned(),
            target: Target {
                server: server.clone(),
                item: Item { kind: ItemKind::Tool, name: "refund".to_owned() },
                definition: None,
            },
            arguments: Digest::of(b"a"),
            by_value: None,
            policy: Digest::of(b"p"),
        },
        cure: "finance".parse().unwrap(),
        preview: approval::Preview { summary: "pay".to_owned(), ..approval::Preview::default() },
        proposed_at: Timestamp(1_000_000),
        expires_at: Timestamp(u64::MAX >> 1),
        state: approval::State::Proposed,
        votes: Vec::new(),
        leg: 0,
        waits_until: None,
        alone: false,
        log: None,
        ended: None,
        forgets: false,
    }
}

#[tokio::test]
async fn arguments_that_are_kept_no_more_go_from_what_was_proposed_before_at_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::open(dir.path()).await;
    let (scope, one) = (house.place.scope(), proposed(&"crm".parse().unwrap()));
    house.gate.store().propose(&scope, &one).await.unwrap();
    let forgets = async |house: &House| {
        house.gate.store().approval(&scope, one.id).await.unwrap().unwrap().approval.forgets
    };
    house.look_after(0).await;
    assert!(!forgets(&house).await, "they are kept");
    house.place = place(dir.path(), "keep = { arguments = false }\n");
    house.look_after(0).await;
    assert!(forgets(&house).await);
}
