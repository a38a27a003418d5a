//! Measures what following the ledger costs: entries of calls copied into the search index on SQLite, in batches.
//!
//! ```text
//! cargo run --release -p callgate-store --example index                 # batches of 125 and of 3,500 calls
//! cargo run --release -p callgate-store --example index 125 20000       # batches of 125, 20,000 calls
//! cargo run --release -p callgate-store --example index 125 20000 dry   # the entries are made and not indexed
//! ```
//!
//! For instructions, build it and count a run and one of twice as many calls:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/index 125 5000`. What the calls
//! themselves cost is the same difference of two `dry` runs.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement prints, reads real clocks, and fails loudly"
)]

extern crate callgate_store as store;

use decision::{
    Actor, CallId, Channel, Claims, Clock, Code, Decision, DeedId, Digest, Direction, Ending, Entropy, Entry,
    Environment, Era, Intent, InteractionId, Item, ItemKind, Principal, Target, TenantId, Timestamp,
    Transport, User,
};
use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;

/// Calls that are open at the same time.
const OPEN: usize = 8;

#[derive(Debug)]
struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000_000)
    }
}
impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// Makes calls: three agents for three people, 180 tools of five servers, one in fifty refused.
struct Calls {
    made: u64,
    dice: u64,
    principals: Vec<(Arc<Principal>, InteractionId)>,
    targets: Vec<Target>,
    policy: Digest,
    open: VecDeque<Intent>,
}

impl Calls {
    fn new() -> Self {
        let principal = |n: u8| {
            let user =
                User { name: format!("person-{n}@example.com").parse().unwrap(), groups: BTreeSet::new() };
            let principal = Principal {
                tenant: TenantId::default(),
                environment: Environment::default(),
                actor: Actor::Agent(format!("support-bot-{n}").parse().unwrap()),
                groups: BTreeSet::new(),
                user: Some(user),
            };
            let first = CallId::new(Fixed.now(), [n; 10]);
            (Arc::new(principal), InteractionId::new(first.to_string()).unwrap())
        };
        let target = |n: u32| Target {
            server: format!("server-{}", n % 5).parse().unwrap(),
            item: Item { kind: ItemKind::Tool, name: format!("find_customers_by_{n}") },
            definition: Some(Digest::of(&n.to_be_bytes())),
        };
        Self {
            made: 0,
            dice: 88_172_645_463_325_252,
            principals: (0..3).map(principal).collect(),
            targets: (0..180).map(target).collect(),
            policy: Digest::of(b"policy"),
            open: VecDeque::new(),
        }
    }

    /// Not for secrets: quick, and the same in every run.
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }

    fn random(&mut self) -> [u8; 10] {
        let (low, high) = (self.roll().to_be_bytes(), self.roll().to_be_bytes());
        std::array::from_fn(|n| low.iter().chain(&high).nth(n).copied().unwrap())
    }

    fn intent(&mut self) -> Intent {
        let at = Timestamp(Fixed.now().0 + self.made * 143);
        let (call, deed, roll) = (self.random(), self.random(), self.roll());
        let (principal, interaction) =
            self.principals.get(usize::try_from(roll % 3).unwrap()).cloned().unwrap();
        let target = self.targets.get(usize::try_from(roll / 3 % 180).unwrap()).cloned().unwrap();
        self.made += 1;
        Intent {
            v: 1,
            call: CallId::new(at, call),
            deed: DeedId::new(at, deed),
            leg: 0,
            at,
            tenant: principal.tenant.clone(),
            environment: principal.environment.clone(),
            interaction,
            direction: Direction::ToServer,
            errand: false,
            principal,
            claimed: Claims {
                host: Some("claude-code".to_owned()),
                host_version: Some("2.1.0".to_owned()),
                model: Some("claude-opus-5".to_owned()),
                workflow: None,
            },
            channel: Channel {
                transport: Transport::Http,
                era: Some(Era::Modern),
                revision: Some("2026-07-28".to_owned()),
                server_era: None,
                entrance: "mcp".to_owned(),
            },
            method: Some("tools/call".to_owned()),
            target: Some(target),
            asked: None,
            arguments: None,
            bytes: 312,
            policy: Some(self.policy),
        }
    }

    fn decision(&mut self, intent: &Intent) -> Decision {
        let refused = self.roll().is_multiple_of(50);
        Decision {
            v: 1,
            call: intent.call,
            deed: intent.deed,
            leg: 0,
            tenant: intent.tenant.clone(),
            environment: intent.environment.clone(),
            interaction: intent.interaction.clone(),
            opened_at: intent.at,
            closed_at: Timestamp(intent.at.0 + 900 + self.roll() % 512),
            ending: if refused { Ending::Refused { code: Code::RuleDenied } } else { Ending::Answered },
            evidence: Vec::new(),
            dispatched: !refused,
            outcome: None,
            shown: None,
            progress: 0,
            observed: false,
            policy: None,
            events: Vec::new(),
        }
    }

    /// The next entries of the ledger, two for each call.
    fn batch(&mut self, first: u64, calls: usize) -> Vec<(u64, Arc<Entry>)> {
        let mut entries = Vec::with_capacity(calls * 2);
        while entries.len() < calls * 2 {
            let entry = match self.open.pop_front() {
                Some(intent) if self.open.len() + 1 >= OPEN => {
                    Entry::Decision(Box::new(self.decision(&intent)))
                }
                waiting => {
                    waiting.into_iter().for_each(|intent| self.open.push_front(intent));
                    let intent = self.intent();
                    self.open.push_back(intent.clone());
                    Entry::Intent(Box::new(intent))
                }
            };
            entries.push((first + entries.len() as u64, Arc::new(entry)));
        }
        entries
    }
}

/// Bytes written, calls that wrote, times this process waited, and its processor time.
#[derive(Clone, Copy)]
struct Spent {
    bytes: u64,
    writes: u64,
    waits: u64,
    cpu: Duration,
}

fn spent() -> Spent {
    let number = |text: &str, name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default()
    };
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let status = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("status"));
    let waits = threads.filter_map(|thread| status(thread).ok());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Spent {
        bytes: number(&io, "wchar:"),
        writes: number(&io, "syscw:"),
        waits: waits.map(|status| number(&status, "voluntary_ctxt_switches:")).sum(),
        cpu: Duration::from_millis(ticks * 10),
    }
}

async fn measure(dir: &Path, batch: usize, calls: usize, dry: bool) {
    let file = dir.join(format!("index-{batch}.db"));
    let url = format!("sqlite:{}", file.display());
    let store = Store::open(&url, Arc::new(Fixed), Arc::new(Fixed)).await.unwrap();
    let (mut made, mut next, mut wall) = (Calls::new(), 0, Duration::ZERO);
    let before = spent();
    for _ in 0..calls / batch {
        let entries = made.batch(next, batch);
        let started = Instant::now();
        if dry {
            next += std::hint::black_box(entries).len() as u64;
        } else {
            next = store.index_entries("callgate/measured", &entries).await.unwrap();
        }
        wall += started.elapsed();
    }
    let after = spent();
    store.close().await;
    let calls = (calls / batch * batch) as f64;
    let per = |count: u64| count as f64 / calls;
    println!(
        "batches of {batch:>5}: {:>6.1} us wall {:>6.1} us cpu {:>7.0} bytes in {:>5.2} writes {:>6.3} waits a call; the file has {:>4.0} bytes a call",
        wall.as_secs_f64() * 1e6 / calls,
        (after.cpu - before.cpu).as_secs_f64() * 1e6 / calls,
        per(after.bytes - before.bytes),
        per(after.writes - before.writes),
        per(after.waits - before.waits),
        per(std::fs::metadata(&file).unwrap().len()),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| arguments.get(n).and_then(|argument| argument.parse::<usize>().ok());
    let dry = arguments.iter().any(|argument| argument == "dry");
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let batches = number(0).map_or_else(|| vec![125, 3_500], |batch| vec![batch]);
        for batch in batches {
            measure(dir.path(), batch, number(1).unwrap_or(35_000), dry).await;
        }
    });
}
