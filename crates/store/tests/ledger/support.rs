//! Time, chance and records that tests own.

use decision::{
    CallId, Channel, Claims, Clock, Commitment, Decision, DeedId, Direction, Disclosure, Ending, Entropy,
    Entry, Environment, Intent, InteractionId, Outcome, Principal, Slot, TenantId, Timestamp, Transport,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use store::ledger::{Ledger, LedgerError, Options, Record, Recovered};

#[derive(Debug)]
pub(crate) struct ManualClock(pub(crate) AtomicU64);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_700_000_000_000_000)))
    }
    pub(crate) fn advance(&self, us: u64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Not random at all, and never the same twice.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let n = self.0.fetch_add(1, Ordering::SeqCst);
            let digest = decision::Digest::of(&n.to_be_bytes()).0;
            for (byte, die) in chunk.iter_mut().zip(digest) {
                *byte = die;
            }
        }
    }
}

pub(crate) fn call(n: u64) -> CallId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    CallId::new(Timestamp(1_700_000_000_000_000), random)
}

fn deed(n: u64) -> DeedId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    DeedId::new(Timestamp(1_700_000_000_000_000), random)
}

pub(crate) fn intent(n: u64, arguments: Option<Commitment>) -> Vec<u8> {
    serde_json::to_vec(&Entry::Intent(Box::new(Intent {
        v: 1,
        call: call(n),
        deed: deed(n),
        leg: 0,
        at: Timestamp(1_700_000_000_000_000 + n),
        tenant: TenantId::default(),
        environment: Environment::default(),
        interaction: InteractionId::new("session-1").unwrap(),
        direction: Direction::ToServer,
        errand: false,
        principal: Principal::unknown().into(),
        claimed: Claims::default(),
        channel: Channel {
            transport: Transport::Stdio,
            era: None,
            revision: None,
            server_era: None,
            entrance: "mcp".to_owned(),
        },
        method: Some("tools/call".to_owned()),
        target: None,
        asked: None,
        arguments,
        bytes: 120,
        policy: None,
    })))
    .unwrap()
}

pub(crate) fn closing(n: u64, result: Option<Commitment>) -> Vec<u8> {
    serde_json::to_vec(&Entry::Decision(Box::new(Decision {
        v: 1,
        call: call(n),
        deed: deed(n),
        leg: 0,
        tenant: TenantId::default(),
        environment: Environment::default(),
        interaction: InteractionId::new("session-1").unwrap(),
        opened_at: Timestamp(1_700_000_000_000_000 + n),
        closed_at: Timestamp(1_700_000_000_000_900 + n),
        ending: Ending::Answered,
        evidence: Vec::new(),
        dispatched: true,
        outcome: Some(Outcome { bytes: 10, is_error: false, result, upstream_us: 800 }),
        shown: None,
        progress: 0,
        observed: false,
        policy: None,
        events: Vec::new(),
    })))
    .unwrap()
}

pub(crate) fn opening(slot: Slot, n: u64) -> Disclosure {
    let value = format!("{{\"customer\":\"alice-{n}\"}}").into_bytes();
    Disclosure::new(slot, value.into(), &Dice::new(n << 20))
}

/// The two records of one call, each with a value beside it.
pub(crate) fn pair(n: u64) -> [Record; 2] {
    let (arguments, result) = (opening(Slot::Arguments, 2 * n), opening(Slot::Result, 2 * n + 1));
    let with = |entry: Vec<u8>, value| {
        let bare = Record::raw(entry.clone(), Vec::new());
        Record::raw(entry, vec![value]).or_bare(bare)
    };
    [
        with(intent(n, Some(arguments.commitment())), arguments),
        with(closing(n, Some(result.commitment())), result),
    ]
}

pub(crate) fn plain(entry: Vec<u8>) -> Record {
    Record::raw(entry, Vec::new())
}

/// Checkpoints only when asked for.
pub(crate) fn quiet() -> Options {
    Options { checkpoint_entries: u64::MAX, checkpoint_us: u64::MAX, ..Options::default() }
}

pub(crate) fn open_with(dir: &Path, options: Options) -> Result<(Ledger, Recovered), LedgerError> {
    Ledger::open(dir, ManualClock::new(), &Dice::new(7), options)
}

pub(crate) fn open(dir: &Path) -> (Ledger, Recovered) {
    open_with(dir, quiet()).unwrap()
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
