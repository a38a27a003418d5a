//! Random lives of a ledger against the simplest model of one: a list of what was answered.

use crate::support::{Dice, ManualClock, copy_dir, opening, pair, quiet};
use decision::Slot;
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use store::ledger::{
    Checkpoint, Disclosed, Disk, Fault, Faults, Ledger, LedgerError, Options, Recovered, export, verify,
};

const REST_US: u64 = 1_000_000;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Fault(Fault),
    Rest,
    Checkpoint,
    Erase(usize),
    /// Closed as it should be, and opened again.
    Restart,
    /// The machine stops: what the disk has now goes on, with this much rubbish of an unfinished group.
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::NoSpace),
        (0_usize..3000).prop_map(|bytes| Fault::ShortWrite { bytes }),
        Just(Fault::Sync),
        // Never more than the group it is for: what was durable stays.
        (1_u64..200).prop_map(|bytes| Fault::SyncLosesTail { bytes }),
        Just(Fault::Truncate),
    ];
    prop_oneof![
        6 => (1_usize..4).prop_map(Step::Append),
        2 => fault.prop_map(Step::Fault),
        3 => Just(Step::Rest),
        2 => Just(Step::Checkpoint),
        1 => any::<usize>().prop_map(Step::Erase),
        1 => Just(Step::Restart),
        1 => (0_usize..700).prop_map(Step::Crash),
    ]
}

struct World {
    root: tempfile::TempDir,
    lives: u64,
    dir: PathBuf,
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    /// The faults of this opening, also those that happened.
    pushed: Vec<Fault>,
    ledger: Option<Ledger>,
    calls: u64,
    /// Nothing was refused since the last answer, so nothing refused can still be in the file.
    clean: bool,
    /// What was answered, in order.
    model: Vec<Vec<u8>>,
    erased: BTreeSet<u64>,
    checkpoints: Vec<Checkpoint>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("0");
        let (clock, faults) = (ManualClock::new(), Arc::new(Faults::default()));
        let mut world = Self {
            root,
            lives: 0,
            dir,
            clock,
            faults,
            pushed: Vec::new(),
            ledger: None,
            calls: 0,
            clean: true,
            model: Vec::new(),
            erased: BTreeSet::new(),
            checkpoints: Vec::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) -> Recovered {
        self.faults = Arc::new(Faults::default());
        self.pushed.clear();
        let disk = Disk::Faulty(Arc::clone(&self.faults));
        let options = Options { disk, retry_after_us: REST_US, segment_bytes: 8_000, ..quiet() };
        let (ledger, recovered) =
            Ledger::open(&self.dir, self.clock.clone(), &Dice::new(7 + self.lives), options).unwrap();
        self.ledger = Some(ledger);
        recovered
    }

    fn may_lose_a_tail(&self) -> bool {
        let waiting = self.pushed.iter().rev().take(self.faults.waiting());
        waiting.into_iter().any(|fault| matches!(fault, Fault::SyncLosesTail { .. }))
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    /// Everything answered is there, in its order, and nothing else.
    fn check(&self) {
        assert_eq!(self.ledger().size(), self.model.len() as u64);
        let read: Vec<_> =
            self.ledger().read_entries(0, 1024).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
        assert!(read == self.model, "another content");
        for checkpoint in &self.checkpoints {
            let root = crate::forge::root_of(&self.model[..usize::try_from(checkpoint.size).unwrap()]);
            assert_eq!(root, checkpoint.root);
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append(calls) => {
                let records: Vec<_> = (self.calls..).take(calls).flat_map(pair).collect();
                self.calls += calls as u64;
                let entries: Vec<_> = records.iter().map(|record| record.entry().to_vec()).collect();
                match self.ledger().append(records).await {
                    Ok(appended) => {
                        assert_eq!(appended.first_index, self.model.len() as u64, "a hole");
                        self.model.extend(entries);
                        self.clean = true;
                    }
                    Err(LedgerError::Unavailable { .. }) => self.clean = false,
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Fault(fault) => {
                self.faults.push(fault);
                self.pushed.push(fault);
            }
            Step::Rest => self.clock.advance(REST_US * 64),
            Step::Checkpoint => match self.ledger().checkpoint().await {
                Ok(checkpoint) if checkpoint.size > 0 => self.checkpoints.push(checkpoint),
                Ok(_) => {}
                Err(LedgerError::Unavailable { .. }) => self.clean = false,
                Err(other) => panic!("{other}"),
            },
            // An erasure writes in the middle: losing the end of the file with it is no fault of a disk.
            Step::Erase(pick) if !self.model.is_empty() && !self.may_lose_a_tail() => {
                let index = (pick % self.model.len()) as u64;
                let slot = if index.is_multiple_of(2) { Slot::Arguments } else { Slot::Result };
                match self.ledger().erase(index, slot).await {
                    Ok(()) => {
                        self.erased.insert(index);
                        assert_eq!(self.ledger().disclosure(index, slot).unwrap(), Disclosed::Erased);
                    }
                    // A fault may stop it half way; it can be asked for again.
                    Err(LedgerError::Io { .. }) => {
                        self.restart(true).await;
                        // The mark may have been set, and then it was finished at the start.
                        if self.ledger().disclosure(index, slot).unwrap() == Disclosed::Erased {
                            self.erased.insert(index);
                        }
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Erase(_) => {}
            Step::Restart => self.restart(false).await,
            Step::Crash(rubbish) => self.crash(rubbish).await,
        }
    }

    async fn restart(&mut self, erasing: bool) {
        // A pending fault may hit the last checkpoint: then it is not written, and that is all.
        let _ = self.ledger().close().await;
        self.ledger = None;
        let recovered = self.open();
        // A failed group that could not be cut off at once may be found again as a whole.
        self.adopt(&recovered);
        assert!(!erasing || recovered.erasures_finished <= 1);
    }

    async fn crash(&mut self, rubbish: usize) {
        self.lives += 1;
        let next = self.root.path().join(self.lives.to_string());
        copy_dir(&self.dir, &next);
        let mut segments: Vec<_> =
            std::fs::read_dir(next.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        let last = segments.pop().unwrap();
        let mut bytes = std::fs::read(&last).unwrap();
        // Nothing is written behind a group that failed before that is cut off.
        let rubbish = if self.clean { rubbish } else { 0 };
        bytes.extend(std::iter::repeat_n(0xa5, rubbish));
        std::fs::write(last, bytes).unwrap();
        self.ledger().close().await.ok();
        self.ledger = None;
        self.dir = next;
        let recovered = self.open();
        assert_eq!(recovered.cut.is_some(), rubbish > 0 || recovered.cut.is_some());
        self.adopt(&recovered);
    }

    /// What was answered must be there. What was refused may be there when the machine stopped before
    /// it was cut off, and then it is part of the log.
    fn adopt(&mut self, recovered: &Recovered) {
        let found = self.ledger().read_entries(0, 1024).unwrap();
        assert_eq!(found.len() as u64, recovered.size);
        let found: Vec<_> = found.into_iter().map(|(_, bytes)| bytes).collect();
        assert!(found.starts_with(&self.model), "something answered is gone");
        self.model = found;
        self.clean = true;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_was_answered_is_there_and_the_log_verifies(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
                world.check();
            }
            world.restart(false).await;
            world.check();
            let key = world.ledger().public_key().clone();
            let kept = world.checkpoints.last().map(|checkpoint| checkpoint.note().to_owned());
            let report = verify(&world.dir, Some(&key), kept.as_deref()).unwrap();
            assert!(report.holds(), "{}", report.text());
            assert_eq!(report.values.erased, world.erased.len() as u64);
            for index in 0..world.model.len() as u64 {
                let slot = if index.is_multiple_of(2) { Slot::Arguments } else { Slot::Result };
                let expected = match world.ledger().disclosure(index, slot).unwrap() {
                    Disclosed::Kept(opening) => Some(opening),
                    Disclosed::Erased | Disclosed::Absent => None,
                };
                assert_eq!(expected.is_none(), world.erased.contains(&index));
            }
        });
    }
}

#[test]
fn a_log_verifies_and_exports_at_any_moment_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let options = Options { segment_bytes: 60_000, checkpoint_entries: 30, ..quiet() };
    let (ledger, _) = Ledger::open(&live, ManualClock::new(), &Dice::new(7), options).unwrap();
    let (ledger, stop) = (Arc::new(ledger), Arc::new(AtomicBool::new(false)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (ledger, stop) = (Arc::clone(&ledger), Arc::clone(&stop));
            runtime.spawn(async move {
                let mut n = writer << 32;
                while !stop.load(Ordering::Relaxed) && n & 0xffff < 400 {
                    let appended = ledger.append(pair(n).to_vec()).await.unwrap();
                    if n % 5 == 0 {
                        ledger.erase(appended.first_index, Slot::Arguments).await.unwrap();
                    }
                    n += 1;
                }
            })
        })
        .collect();
    let mut proven = 0;
    for round in 0.. {
        if round >= 15 && proven > 100 || round == 500 {
            break;
        }
        let report = verify(&live, None, None).unwrap();
        assert!(report.holds(), "round {round}: {}", report.text());
        assert!(report.proven >= proven);
        proven = report.proven;
        let out = dir.path().join(format!("out-{round}"));
        match export(&live, &out, store::ledger::Disclose::Nothing) {
            Ok(done) => {
                let report = verify(&out, None, None).unwrap();
                assert!(report.holds() && report.proven == done.checkpoint.size, "{}", report.text());
            }
            Err(LedgerError::NoCheckpoint) => assert_eq!(proven, 0),
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
    assert!(proven > 100, "the writers wrote meanwhile");
    let kept = opening(Slot::Arguments, 2);
    assert_ne!(ledger.disclosure(0, Slot::Arguments).unwrap(), Disclosed::Kept(kept));
}
