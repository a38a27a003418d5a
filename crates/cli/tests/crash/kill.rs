//! SIGKILL at random moments under load, and a restart over the same state each time.

use crate::{
    bed::until,
    host::{Answered, Crowd},
    yard::{Dice, Yard, copy_dir, is_ready, open},
};
use decision::{CallId, Ending, Entry, Slot};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead as _,
    process::Child,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use store::ledger::{Disclosed, Ledger, Recovered, verify, verify_consistency};

/// Hosts at each upstream.
const HOSTS: usize = 3;
/// Longest time to the kill, from the start, from readiness or from the first answer.
const LIFE_US: u64 = 120_000;

/// What is known of one call.
#[derive(Debug, Default)]
struct Call {
    what: Option<String>,
    ending: Option<Ending>,
}

/// Everything the ledger has shown so far.
#[derive(Default)]
struct Book {
    calls: BTreeMap<CallId, Call>,
    by_what: BTreeMap<String, CallId>,
    /// Without a decision when the last gateway was killed.
    open: BTreeSet<CallId>,
    size: u64,
    last: Vec<u8>,
    closed_unknown: usize,
    cut: usize,
}

impl Book {
    /// Reads what came since the last look. `ready` says whether the life that ended had come to take calls.
    fn read(&mut self, ledger: &Ledger, recovered: &Recovered, ready: bool) {
        assert!(recovered.size >= self.size, "{} entries are gone", self.size - recovered.size);
        if let Some(before) = self.size.checked_sub(1) {
            assert_eq!(ledger.read_entries(before, 1).unwrap()[0].1, self.last, "another entry {before}");
        }
        self.cut += usize::from(recovered.cut.is_some());
        while self.size < recovered.size {
            for (index, bytes) in ledger.read_entries(self.size, 1024).unwrap() {
                assert_eq!(index, self.size);
                match serde_json::from_slice(&bytes).unwrap() {
                    Entry::Intent(intent) => self.intent(ledger, index, intent.call),
                    Entry::Decision(decision) => self.decision(decision.call, decision.ending),
                    Entry::Event(_) => {}
                }
                (self.size, self.last) = (index + 1, bytes);
            }
        }
        if ready {
            let forgotten: Vec<_> =
                self.open.iter().filter(|call| self.calls[call].ending.is_none()).collect();
            assert!(forgotten.is_empty(), "a gateway took calls before it had closed {forgotten:?}");
        }
        self.open = self.calls.iter().filter(|(_, call)| call.ending.is_none()).map(|(id, _)| *id).collect();
        let found: BTreeSet<_> = recovered.open.iter().map(|open| open.intent.call).collect();
        assert_eq!(found, self.open, "what the next start will close");
    }

    fn intent(&mut self, ledger: &Ledger, index: u64, call: CallId) {
        let value = match ledger.disclosure(index, Slot::Arguments).unwrap() {
            Disclosed::Kept(opening) => serde_json::from_slice(&opening.value).unwrap_or_default(),
            Disclosed::Erased | Disclosed::Absent => serde_json::Value::Null,
        };
        let what = value["what"].as_str().map(str::to_owned);
        if let Some(what) = &what {
            assert_eq!(self.by_what.insert(what.clone(), call), None, "{what} has two intents");
        }
        assert!(self.calls.insert(call, Call { what, ending: None }).is_none(), "{call} has two intents");
    }

    fn decision(&mut self, call: CallId, ending: Ending) {
        let known = self.calls.get_mut(&call).expect("an intent before its decision");
        if ending == Ending::Unknown {
            assert!(self.open.contains(&call), "{call} was not open when a gateway was killed");
            self.closed_unknown += 1;
        }
        assert_eq!(known.ending.replace(ending), None, "{call} has two decisions");
    }

    /// Every deed has its intent, every answer its decision.
    fn compare(&self, executed: &[String], answered: &Answered) {
        let mut once = BTreeSet::new();
        for what in executed {
            assert!(once.insert(what), "{what} was executed twice");
            assert!(self.by_what.contains_key(what), "{what} was executed and has no intent");
        }
        for what in answered.done.lock().unwrap().iter() {
            assert!(once.contains(what), "{what} was answered and not executed");
            let call = &self.calls[&self.by_what[what]];
            assert_eq!(call.ending, Some(Ending::Answered), "{what} was answered and has no such decision");
        }
        assert_eq!(*answered.odd.lock().unwrap(), Vec::<String>::new());
        for call in self.calls.values().filter(|call| call.ending == Some(Ending::Answered)) {
            if let Some(what) = &call.what {
                assert!(once.contains(what), "{what} is recorded as answered and was not executed");
            }
        }
    }
}

/// Lets a gateway live for a while that only the dice know; returns whether it had come to take calls.
///
/// Some are killed while they start, some while their Hosts shake hands, most in the middle of calls.
fn live(yard: &Yard, gateway: &mut Child, answered: &Answered, dice: &mut Dice) -> bool {
    let (kind, moment) = (dice.roll(6), Duration::from_micros(dice.roll(LIFE_US)));
    let before = answered.done.lock().unwrap().len();
    if kind > 0 {
        until("the gateway is ready", || {
            assert!(gateway.try_wait().unwrap().is_none(), "{}", yard.bed.log());
            is_ready(yard.port)
        });
    }
    if kind > 1 {
        until("a call was answered", || answered.done.lock().unwrap().len() > before);
    }
    // not to wait for something: this is the moment
    thread::sleep(moment);
    kind > 0
}

/// Kills as many gateways as it is told and looks at what each left.
#[expect(clippy::print_stdout, reason = "the seed and what came of it are worth knowing")]
fn campaign(seed: u64, kills: usize) {
    println!("seed {seed}, {kills} kills");
    let yard = Arc::new(Yard::new());
    assert_eq!(yard.serve().stop(), 0, "both servers are known before the first kill");
    let (mut dice, mut book) = (Dice(seed), Book::default());
    let hosts = (0..HOSTS).flat_map(|_| [yard.host("books"), yard.host("desk")]);
    let crowd = Crowd::start(hosts);
    let notes = Notes::take(&yard);
    for life in 0..kills {
        let mut gateway = yard.spawn();
        let ready = live(&yard, &mut gateway, &crowd.answered, &mut dice);
        gateway.kill().unwrap();
        gateway.wait().unwrap();
        until("nothing the gateway started is left", || yard.processes().is_empty());
        look(&yard, &mut book, &crowd.answered, &notes, ready, life);
    }
    let answered = crowd.stop();
    let kept = notes.stop();
    finish(&yard, &mut book, &answered, &kept);
    println!(
        "{kills} kills: {} calls executed, {} answered, {} closed as unknown, {} unfinished groups cut, {} checkpoints kept, {} entries",
        yard.executed().len(),
        answered.done.lock().unwrap().len(),
        book.closed_unknown,
        book.cut,
        kept.len(),
        book.size
    );
    // else the load was too small to show anything
    assert!(answered.done.lock().unwrap().len() >= kills, "hardly anything was answered");
    let deeds = |call: &&Call| call.what.is_some() && call.ending == Some(Ending::Unknown);
    assert!(book.calls.values().filter(deeds).count() >= kills / 10, "hardly a kill hit a call");
}

/// Looks at a copy, so that the next gateway finds what the last one left.
fn look(yard: &Yard, book: &mut Book, answered: &Answered, notes: &Notes, ready: bool, life: usize) {
    if !yard.ledger().join("log.key").exists() {
        return;
    }
    let newest = notes.kept.lock().unwrap().last().cloned();
    let report = verify(&yard.ledger(), None, newest.as_deref()).unwrap();
    assert!(report.holds(), "after kill {life}: {}", report.text());
    let copy = yard.bed.path("copy");
    copy_dir(&yard.ledger(), &copy);
    let (ledger, recovered) = open(&copy).unwrap();
    book.read(&ledger, &recovered, ready);
    drop(ledger);
    std::fs::remove_dir_all(copy).unwrap();
    book.compare(&yard.executed(), answered);
}

/// One more start, a clean stop, and what the commands say of it all.
fn finish(yard: &Yard, book: &mut Book, answered: &Answered, kept: &[String]) {
    let gateway = yard.bed.serve();
    assert_eq!(gateway.stop(), 0);
    assert!(yard.processes().is_empty());
    let (ledger, recovered) = open(&yard.ledger()).unwrap();
    book.read(&ledger, &recovered, true);
    assert_eq!((recovered.cut, recovered.open.len()), (None, 0), "a clean end");
    book.compare(&yard.executed(), answered);
    let size = ledger.size();
    let root = ledger.latest_checkpoint().unwrap().root;
    for note in kept {
        let old = store::ledger::Checkpoint::parse(note).unwrap();
        old.verify(ledger.public_key()).unwrap();
        let proof = ledger.consistency_proof(old.size, size).unwrap();
        assert!(
            verify_consistency(&proof, &old.root, &root),
            "checkpoint {} is of another history",
            old.size
        );
    }
    drop(ledger);
    for note in [kept.first(), kept.last()].into_iter().flatten() {
        yard.bed.write("kept", note);
        let said = yard.bed.run(&["audit", "verify", "--checkpoint", "kept"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }
    let listed = yard.bed.json(&["audit", "list", "--errands", "--limit", "1000000"]);
    assert_eq!(listed.as_array().unwrap().len(), book.calls.len(), "the index has what the ledger has");
}

/// Checkpoints of running gateways, asked for all the time and kept elsewhere.
struct Notes {
    kept: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Notes {
    fn take(yard: &Arc<Yard>) -> Self {
        let (kept, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (yard, to, until) = (Arc::clone(yard), Arc::clone(&kept), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                if let Some(note) = yard.checkpoint() {
                    to.lock().unwrap().push(note);
                }
                thread::sleep(Duration::from_millis(25));
            }
        });
        Self { kept, stop, thread }
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut self.kept.lock().unwrap())
    }
}

/// Two hundred kills, in four campaigns that run side by side.
const KILLS: usize = 50;

#[test]
fn whatever_moment_a_gateway_is_killed_at_the_record_tells_all() {
    campaign(1, KILLS);
}

#[test]
fn whatever_moment_a_gateway_is_killed_at_the_record_tells_all_second_campaign() {
    campaign(2, KILLS);
}

#[test]
fn whatever_moment_a_gateway_is_killed_at_the_record_tells_all_third_campaign() {
    campaign(3, KILLS);
}

#[test]
fn whatever_moment_a_gateway_is_killed_at_the_record_tells_all_fourth_campaign() {
    campaign(4, KILLS);
}

/// The long campaign: how many kills and which seed come on standard input.
#[test]
#[ignore = "run by `cargo xtask crash`"]
fn as_many_kills_as_are_asked_for() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let (kills, seed) = line.trim().split_once(' ').unwrap();
    campaign(seed.parse().unwrap(), kills.parse().unwrap());
}
