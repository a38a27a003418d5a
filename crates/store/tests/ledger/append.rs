//! Appending, reading back, proving.

use crate::support::{call, closing, intent, open, open_with, opening, pair, plain, quiet};
use decision::{Entry, Slot};
use proptest::prelude::*;
use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use store::ledger::{
    Checkpoint, Disclosed, ENTRY_BYTES_MAX, EntryProof, LedgerError, Options, ProofError, PublicKey, Record,
    merkle, verify_consistency, verify_inclusion,
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test]
async fn what_was_answered_is_read_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, recovered) = open(dir.path());
    assert!(recovered.created && recovered.size == 0);
    let mut expected = Vec::new();
    for n in 0..20 {
        let records = pair(n).to_vec();
        expected.extend(records.iter().map(|r| r.entry().to_vec()));
        let appended = ledger.append(records).await.unwrap();
        assert_eq!((appended.first_index, appended.records), (2 * n, 2));
    }
    ledger.close().await.unwrap();
    assert!(matches!(ledger.append(pair(99).to_vec()).await, Err(LedgerError::Closed)));

    let (ledger, recovered) = open(dir.path());
    assert_eq!(
        (recovered.created, recovered.size, recovered.cut, recovered.open),
        (false, 40, None, Vec::new())
    );
    let read: Vec<_> = ledger.read_entries(0, 100).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(read, expected);
    assert_eq!(ledger.read_entries(38, 1).unwrap().len(), 1);
    assert_eq!(ledger.read_entries(40, 9).unwrap(), Vec::new());
    assert_eq!(ledger.latest_checkpoint().unwrap().size, 40, "a clean end signs what there is");
}

#[tokio::test]
async fn an_intent_without_a_decision_is_handed_back_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger
        .append(vec![plain(intent(1, None)), plain(intent(2, None)), plain(intent(3, None))])
        .await
        .unwrap();
    ledger.append(vec![plain(closing(2, None))]).await.unwrap();
    ledger.append(vec![plain(b"{\"kind\":\"something-newer\"}".to_vec())]).await.unwrap();
    drop(ledger);
    let (_ledger, recovered) = open(dir.path());
    let open: Vec<_> = recovered.open.iter().map(|o| (o.index, o.intent.call)).collect();
    assert_eq!(open, [(0, crate::support::call(1)), (2, crate::support::call(3))]);
    assert_eq!(recovered.unreadable, [4]);
}

#[tokio::test]
async fn a_second_gateway_is_refused_and_may_come_when_the_first_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let second = open_with(dir.path(), quiet()).map(|_| ());
    assert!(matches!(second, Err(LedgerError::Locked { .. })), "{second:?}");
    drop(ledger);
    open(dir.path());
}

#[tokio::test]
async fn the_key_is_private_and_the_log_knows_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let key = dir.path().join("log.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let public = std::fs::read_to_string(dir.path().join("log.pub")).unwrap();
    assert_eq!(public.parse::<PublicKey>().unwrap(), *ledger.public_key());
    ledger.append(pair(1).to_vec()).await.unwrap();
    drop(ledger);

    let secret = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let without = open_with(dir.path(), quiet()).map(|_| ());
    assert!(matches!(without, Err(LedgerError::Key { .. })), "{without:?}");
    let other = tempfile::tempdir().unwrap();
    drop(Ledger::open_other(other.path()));
    std::fs::copy(other.path().join("log.key"), &key).unwrap();
    let with_another = open_with(dir.path(), quiet()).map(|_| ());
    assert!(matches!(with_another, Err(LedgerError::Key { .. })), "{with_another:?}");
    std::fs::write(&key, secret).unwrap();
    open(dir.path());
}

struct Ledger;
impl Ledger {
    /// A ledger with other dice, so with another key.
    fn open_other(dir: &std::path::Path) -> store::ledger::Ledger {
        let dice = crate::support::Dice::new(1 << 40);
        store::ledger::Ledger::open(dir, crate::support::ManualClock::new(), &dice, quiet()).unwrap().0
    }
}

#[tokio::test]
async fn values_are_disclosed_until_they_are_erased_and_proofs_do_not_care() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for n in 0..3 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    let kept = opening(Slot::Arguments, 2);
    assert_eq!(ledger.disclosure(2, Slot::Arguments).unwrap(), Disclosed::Kept(kept.clone()));
    assert_eq!(ledger.disclosure(2, Slot::Result).unwrap(), Disclosed::Absent);
    let (before, entry) = (ledger.checkpoint().await.unwrap(), ledger.read_entries(2, 1).unwrap());
    ledger.erase(2, Slot::Arguments).await.unwrap();
    ledger.erase(2, Slot::Arguments).await.unwrap();
    assert!(matches!(ledger.erase(2, Slot::Result).await, Err(LedgerError::NoDisclosure { .. })));
    assert!(matches!(ledger.erase(99, Slot::Result).await, Err(LedgerError::NoEntry { index: 99 })));
    drop(ledger);

    let (ledger, _) = open(dir.path());
    assert_eq!(ledger.disclosure(2, Slot::Arguments).unwrap(), Disclosed::Erased);
    assert!(matches!(ledger.disclosure(0, Slot::Arguments).unwrap(), Disclosed::Kept(_)));
    assert_eq!(ledger.read_entries(2, 1).unwrap(), entry);
    assert_eq!(ledger.checkpoint().await.unwrap().root, before.root);
    let on_disk = std::fs::read(dir.path().join("segments/0000000000.seg")).unwrap();
    for gone in [kept.value.as_ref(), kept.salt.as_slice()] {
        assert!(!on_disk.windows(gone.len()).any(|w| w == gone), "the value or its salt is still there");
    }
    let left = opening(Slot::Arguments, 0).value;
    assert!(on_disk.windows(left.len()).any(|w| w == left), "the test would see a value that is there");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let big = plain(vec![b' '; ENTRY_BYTES_MAX + 1]);
    assert!(matches!(ledger.append(vec![big]).await, Err(LedgerError::EntrySize { .. })));
    assert!(matches!(ledger.append(vec![plain(Vec::new())]).await, Err(LedgerError::EntrySize { .. })));
    assert!(matches!(ledger.append(Vec::new()).await, Err(LedgerError::Empty)));
    let twice = Record::raw(intent(1, None), vec![opening(Slot::Arguments, 1), opening(Slot::Arguments, 1)]);
    assert!(matches!(ledger.append(vec![twice]).await, Err(LedgerError::SlotTwice { .. })));
    let mut huge = opening(Slot::Result, 1);
    huge.value = vec![b' '; store::ledger::VALUE_BYTES_MAX + 1].into();
    let huge = Record::raw(intent(1, None), vec![huge]);
    assert!(matches!(ledger.append(vec![huge]).await, Err(LedgerError::ValueSize { .. })));
    let many = vec![plain(vec![b' '; ENTRY_BYTES_MAX]); 500];
    assert!(matches!(ledger.append(many).await, Err(LedgerError::AppendSize { .. })));
    ledger.append(vec![plain(vec![b' '; ENTRY_BYTES_MAX])]).await.unwrap();
    assert_eq!(ledger.size(), 1);
}

#[test]
fn many_at_once_share_groups_and_every_answer_is_true() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 20_000, queue_bytes: 1, ..quiet() };
    let (ledger, _) = open_with(dir.path(), options.clone()).unwrap();
    let ledger = Arc::new(ledger);
    let runtime = runtime();
    let tasks: Vec<_> = (0..64_u64)
        .map(|t| {
            let ledger = Arc::clone(&ledger);
            runtime.spawn(async move {
                for i in 0..8 {
                    let n = t * 8 + i;
                    let appended = ledger.append(pair(n).to_vec()).await.unwrap();
                    let read = ledger.read_entries(appended.first_index, 2).unwrap();
                    let [first, second] = pair(n);
                    assert_eq!(
                        read,
                        [
                            (appended.first_index, first.entry().to_vec()),
                            (appended.first_index + 1, second.entry().to_vec())
                        ]
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let stats = ledger.stats();
    assert_eq!((stats.entries, stats.failures), (1024, 0));
    assert!(stats.groups < 512, "64 appenders never shared a sync: {stats:?}");
    assert_eq!(stats.flush_buckets.iter().sum::<u64>(), stats.groups);
    drop(ledger);
    let (ledger, recovered) = open_with(dir.path(), options).unwrap();
    assert_eq!((recovered.size, recovered.open.len()), (1024, 0));
    assert!(std::fs::read_dir(dir.path().join("segments")).unwrap().count() >= 5, "segments were rotated");
    assert_eq!(ledger.read_entries(0, 5000).unwrap().len(), 1024);
}

#[tokio::test]
async fn checkpoints_come_by_count_and_by_time_and_followers_are_told_of_growth() {
    let dir = tempfile::tempdir().unwrap();
    let clock = crate::support::ManualClock::new();
    let options = Options { checkpoint_entries: 10, checkpoint_us: 60_000_000, ..Options::default() };
    let dice = crate::support::Dice::new(7);
    let (ledger, _) = store::ledger::Ledger::open(dir.path(), clock.clone(), &dice, options).unwrap();
    let mut follower = ledger.subscribe();
    for n in 0..4 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    assert_eq!(ledger.latest_checkpoint(), None);
    ledger.append(pair(4).to_vec()).await.unwrap();
    assert_eq!(ledger.latest_checkpoint().unwrap().size, 10, "ten entries");
    assert_eq!(*follower.borrow_and_update(), 10);
    clock.advance(60_000_001);
    ledger.append(pair(5).to_vec()).await.unwrap();
    assert_eq!(ledger.latest_checkpoint().unwrap().size, 12, "a minute");
    follower.changed().await.unwrap();
    assert_eq!(*follower.borrow(), 12);
    let asked = ledger.checkpoint().await.unwrap();
    assert_eq!(Some(asked), ledger.latest_checkpoint(), "nothing new to sign");
}

#[tokio::test]
async fn an_idle_ledger_signs_what_is_unsigned_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let clock = crate::support::ManualClock::new();
    let options = Options { checkpoint_us: 20_000, ..quiet() };
    let dice = crate::support::Dice::new(7);
    let (ledger, _) = store::ledger::Ledger::open(dir.path(), clock.clone(), &dice, options).unwrap();
    let mut follower = ledger.subscribe();
    ledger.append(pair(0).to_vec()).await.unwrap();
    follower.borrow_and_update();
    clock.advance(20_000);
    follower.changed().await.unwrap();
    assert_eq!(ledger.latest_checkpoint().unwrap().size, 2);
}

#[tokio::test]
async fn one_entry_is_proven_to_somebody_who_has_only_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for n in 0..150 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    let key = ledger.public_key().clone();
    let proof = ledger.prove(299).await.unwrap();
    assert_eq!(proof.entry.as_bytes(), pair(149)[1].entry());
    ledger.append(pair(150).to_vec()).await.unwrap();
    let json = serde_json::to_string(&ledger.prove(7).await.unwrap()).unwrap();
    let proof: EntryProof = serde_json::from_str(&json).unwrap();
    assert_eq!((proof.check(&key), proof.inclusion.size), (Ok(()), 300), "the newest checkpoint covers it");
    assert!(matches!(ledger.prove(302).await, Err(LedgerError::NoEntry { index: 302 })));

    let wrong = EntryProof { entry: proof.entry.replace("answered", "refused"), ..proof.clone() };
    assert_eq!(wrong.check(&key), Err(ProofError::Entry { index: 7 }));
    let newer = ledger.checkpoint().await.unwrap().note().to_owned();
    let wrong = EntryProof { checkpoint: newer, ..proof.clone() };
    assert_eq!(wrong.check(&key), Err(ProofError::Size { proof: 300, checkpoint: 302 }));
    let stranger = tempfile::tempdir().unwrap();
    let stranger = Ledger::open_other(stranger.path()).public_key().clone();
    assert!(matches!(proof.check(&stranger), Err(ProofError::Note(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn proofs_of_the_live_log_hold_between_any_two_of_its_checkpoints(
        sizes in proptest::collection::vec(1_u64..200, 2..6), pick in any::<u64>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 30_000, ..quiet() };
        let (ledger, _) = open_with(dir.path(), options).unwrap();
        let runtime = runtime();
        let mut checkpoints: Vec<Checkpoint> = Vec::new();
        let mut n = 0;
        for size in sizes {
            let records = (n..n + size).map(|n| plain(intent(n, None))).collect();
            n += size;
            runtime.block_on(ledger.append(records)).unwrap();
            checkpoints.push(runtime.block_on(ledger.checkpoint()).unwrap());
        }
        for (i, old) in checkpoints.iter().enumerate() {
            old.verify(ledger.public_key()).unwrap();
            for new in &checkpoints[i..] {
                let proof = ledger.consistency_proof(old.size, new.size).unwrap();
                prop_assert!(verify_consistency(&proof, &old.root, &new.root));
            }
            let index = pick % old.size;
            let proof = ledger.inclusion_proof(index, old.size).unwrap();
            let leaf = merkle::leaf(&intent(index, None));
            prop_assert!(verify_inclusion(&proof, &leaf, &old.root));
            prop_assert!(!verify_inclusion(&proof, &merkle::leaf(b"another"), &old.root));
        }
        prop_assert!(matches!(ledger.inclusion_proof(n, n), Err(LedgerError::NoProof(_))));
        prop_assert!(matches!(ledger.inclusion_proof(0, n + 1), Err(LedgerError::NoProof(_))));
        prop_assert!(matches!(ledger.consistency_proof(2, 1), Err(LedgerError::NoProof(_))));
    }
}

#[tokio::test]
async fn a_follower_is_spared_what_only_the_files_keep() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    assert!(ledger.recent(0).is_none(), "from here on it is followed");
    let mut whole: Entry = serde_json::from_slice(&closing(1, None)).unwrap();
    let Entry::Decision(decision) = &mut whole else { panic!("a decision") };
    decision.events = vec![decision::EventName::CallRequested];
    let record = Record::new(whole.clone(), Vec::new()).unwrap();
    ledger.append(vec![record]).await.unwrap();
    let (_, bytes) = ledger.read_entries(0, 1).unwrap().pop().unwrap();
    assert_eq!(Entry::read(&bytes).unwrap(), whole);
    let (_, told) = ledger.recent(0).unwrap().pop().unwrap();
    whole.shed();
    assert_eq!(*told, whole);
    assert!(matches!(&*told, Entry::Decision(decision) if decision.events.is_empty()));
}

/// On one thread the follower has its turn before the next append: it stands in for one that is quick enough.
#[tokio::test(flavor = "current_thread")]
async fn a_follower_that_comes_when_called_never_has_to_read_the_files() {
    const ENTRIES: u64 = 40_000;
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let ledger = Arc::new(ledger);
    assert!(ledger.recent(0).is_none(), "from here on it is followed");
    let following = Arc::clone(&ledger);
    let follower = tokio::spawn(async move {
        let (mut next, mut visits) = (0, 0);
        while next < ENTRIES / 2 {
            let called = tokio::time::timeout(Duration::from_secs(20), following.recent_is_half_full());
            called.await.expect("it is called");
            let told = following.recent(next).expect("it is all still there");
            (next, visits) = (next + told.len() as u64, visits + 1);
        }
        visits
    });
    let entry: Entry = serde_json::from_slice(&intent(1, None)).unwrap();
    let record = Record::new(entry, Vec::new()).unwrap();
    for _ in 0..ENTRIES / 500 {
        ledger.append(vec![record.clone(); 500]).await.unwrap();
    }
    let visits = follower.await.unwrap();
    assert!((2..=10).contains(&visits), "it came {visits} times");
}

#[tokio::test]
async fn an_entry_is_only_given_as_one_of_the_call_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.append([pair(1), pair(2)].concat()).await.unwrap();
    for (n, index) in [(1, 0), (1, 1), (2, 2), (2, 3)] {
        assert_eq!(ledger.entry_of(call(n), index).unwrap(), ledger.read_entries(index, 1).unwrap()[0].1);
    }
    for (n, index) in [(1, 2), (2, 1), (3, 0), (1, 4)] {
        let other = ledger.entry_of(call(n), index);
        assert!(matches!(other, Err(LedgerError::IndexUnfit { .. })), "{other:?}");
    }
}

fn event(name: decision::EventName) -> Record {
    let event = decision::Event {
        v: 1,
        at: decision::Timestamp(1),
        tenant: decision::TenantId::default(),
        environment: decision::Environment::default(),
        event: name,
        call: None,
        server: None,
        detail: Default::default(),
    };
    Record::new(Entry::Event(event), Vec::new()).unwrap()
}

#[tokio::test]
async fn more_entries_without_a_checkpoint_than_a_gateway_leaves_are_not_signed() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for n in 0..4 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    let beside = tempfile::tempdir().unwrap();
    let killed = beside.path().join("killed");
    crate::support::copy_dir(dir.path(), &killed);
    let keyed = beside.path().join("keyed");
    crate::support::copy_dir(dir.path(), &keyed);
    let (_, recovered) = open_with(&keyed, Options { checkpoint_entries: 7, ..quiet() }).unwrap();
    assert_eq!(recovered.unsigned, None, "MACs say whose they are");
    crate::forge::make_old(&killed);
    let refused = open_with(&killed, Options { checkpoint_entries: 7, ..quiet() }).map(|_| ());
    assert!(matches!(&refused, Err(LedgerError::Damaged { entry: 0, .. })), "{refused:?}");
    let (_, recovered) = open_with(&killed, Options { checkpoint_entries: 8, ..quiet() }).unwrap();
    assert_eq!(recovered.unsigned, Some((0, 7)));
}

#[tokio::test]
async fn a_call_behind_the_end_of_a_gateway_is_not_signed_and_a_start_before_it_is() {
    use decision::EventName::{GatewayStarted, GatewayStopped};
    for (between, taken) in [(None, false), (Some(GatewayStarted), true)] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = open(dir.path());
        ledger.append(pair(1).to_vec()).await.unwrap();
        ledger.append(vec![event(GatewayStopped)]).await.unwrap();
        ledger.close().await.unwrap();
        let (ledger, recovered) = open(dir.path());
        assert_eq!(recovered.unsigned, None);
        let more = between.map(event).into_iter().chain(pair(2)).collect();
        ledger.append(more).await.unwrap();
        let beside = tempfile::tempdir().unwrap();
        let killed = beside.path().join("killed");
        crate::support::copy_dir(dir.path(), &killed);
        crate::forge::make_old(&killed);
        let opened = open_with(&killed, quiet()).map(|(_, recovered)| recovered.unsigned);
        match taken {
            true => assert_eq!(opened.unwrap(), Some((3, 5))),
            false => assert!(matches!(opened, Err(LedgerError::Damaged { entry: 3, .. })), "{opened:?}"),
        }
    }
}

#[tokio::test]
async fn a_copy_that_went_another_way_stays_shut_until_that_is_accepted() {
    let (one, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ledger, _) = open(one.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    assert_eq!(ledger.end().0, 2);
    let both = ledger.end();
    ledger.close().await.unwrap();
    std::fs::create_dir(copy.path().join("segments")).unwrap();
    for name in ["log.key", "log.pub", "segments/0000000000.seg"] {
        std::fs::copy(one.path().join(name), copy.path().join(name)).unwrap();
    }
    let known = |known_root| Options { known: 3, known_root: Some(known_root), ..quiet() };
    let (ledger, _) = open_with(one.path(), Options { known: 0, ..known(both) }).unwrap();
    ledger.append(pair(1).to_vec()).await.unwrap();
    let here = ledger.end();
    ledger.close().await.unwrap();
    let (ledger, recovered) = open_with(copy.path(), Options { known: 2, ..known(both) }).unwrap();
    assert_eq!(recovered.parted, None, "it is the same up to there");
    ledger.append(pair(2).to_vec()).await.unwrap();
    ledger.append(pair(3).to_vec()).await.unwrap();
    ledger.close().await.unwrap();
    let parted = open_with(copy.path(), known(here)).unwrap_err();
    assert!(matches!(parted, LedgerError::Parted { entries: 4 }), "{parted}");
    let accepting = Options { accept_loss: true, ..known(here) };
    let (ledger, recovered) = open_with(copy.path(), accepting).unwrap();
    assert_eq!((recovered.parted, recovered.size), (Some(4), 6));
    ledger.close().await.unwrap();
    open_with(one.path(), known(here)).unwrap().0.close().await.unwrap();
}

#[tokio::test]
async fn what_the_record_says_of_calls_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for n in 0..700 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    let call =
        |record: &store::ledger::Record| decision::Entry::read(record.entry()).unwrap().call().unwrap();
    let asked = [call(&pair(3)[0]), call(&pair(699)[0])];
    let found = ledger.entries_of(&asked.into()).unwrap();
    let calls: Vec<_> = found.iter().filter_map(decision::Entry::call).collect();
    assert_eq!(calls, [asked[0], asked[0], asked[1], asked[1]]);
    assert_eq!(ledger.entries_of(&[].into()).unwrap(), []);
}
