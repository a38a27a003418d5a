//! Disks that fail: nobody is told a lie, and the ledger comes back.

use crate::support::{Dice, ManualClock, intent, open, pair, plain, quiet};
use decision::{Disclosure, Slot};
use std::{path::Path, sync::Arc};
use store::ledger::{Disclosed, Disk, Fault, Faults, KeptRoom, Ledger, LedgerError, Options, Record};

const REST_US: u64 = 1_000_000;

fn faulty(dir: &Path) -> (Ledger, Arc<Faults>, Arc<ManualClock>) {
    let (faults, clock) = (Arc::new(Faults::default()), ManualClock::new());
    let options = Options { disk: Disk::Faulty(Arc::clone(&faults)), retry_after_us: REST_US, ..quiet() };
    let (ledger, _) = Ledger::open(dir, clock.clone(), &Dice::new(7), options).unwrap();
    (ledger, faults, clock)
}

async fn refused(ledger: &Ledger, n: u64) {
    let answer = ledger.append(pair(n).to_vec()).await;
    assert!(matches!(answer, Err(LedgerError::Unavailable { .. })), "{answer:?}");
}

#[tokio::test]
async fn whatever_fails_nothing_is_answered_and_nothing_is_left_behind() {
    for fault in [
        Fault::NoSpace,
        Fault::ShortWrite { bytes: 0 },
        Fault::ShortWrite { bytes: 30 },
        Fault::ShortWrite { bytes: 700 },
        Fault::Sync,
        Fault::SyncLosesTail { bytes: 100 },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, faults, clock) = faulty(dir.path());
        ledger.append(pair(0).to_vec()).await.unwrap();
        faults.push(fault);
        refused(&ledger, 1).await;
        assert_eq!(faults.waiting(), 0, "{fault:?} happened");
        refused(&ledger, 2).await;
        assert_eq!(
            (ledger.size(), ledger.stats().failures, ledger.stats().failing),
            (2, 1, true),
            "{fault:?}: it rests before it tries again"
        );
        clock.advance(REST_US);
        let appended = ledger.append(pair(3).to_vec()).await.unwrap();
        assert_eq!(appended.first_index, 2, "{fault:?}: no hole");
        assert!(!ledger.stats().failing, "{fault:?}");
        let checkpoint = ledger.checkpoint().await.unwrap();
        drop(ledger);
        let (ledger, recovered) = open(dir.path());
        assert_eq!((recovered.size, recovered.cut), (4, None), "{fault:?}");
        assert_eq!(ledger.latest_checkpoint(), Some(checkpoint));
        assert_eq!(ledger.read_entries(2, 1).unwrap()[0].1, pair(3)[0].entry());
    }
}

#[tokio::test]
async fn after_a_failed_sync_the_file_is_not_written_to_again() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    let first = dir.path().join("segments/0000000000.seg");
    let before = std::fs::read(&first).unwrap();
    faults.push(Fault::Sync);
    refused(&ledger, 1).await;
    clock.advance(REST_US);
    ledger.append(pair(2).to_vec()).await.unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), before);
    assert!(dir.path().join("segments/0000000001.seg").exists());
}

#[tokio::test]
async fn durable_entries_that_vanish_keep_the_ledger_shut() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    ledger.append(pair(1).to_vec()).await.unwrap();
    // The failed sync takes more with it than the group it was for.
    faults.push(Fault::SyncLosesTail { bytes: 4_000 });
    refused(&ledger, 2).await;
    for _ in 0..5 {
        clock.advance(REST_US * 100);
        refused(&ledger, 3).await;
    }
    assert_eq!(ledger.size(), 4);
}

#[tokio::test]
async fn a_disk_that_stays_full_is_tried_ever_more_rarely_and_used_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    for _ in 0..3 {
        faults.push(Fault::NoSpace);
    }
    refused(&ledger, 0).await;
    clock.advance(REST_US);
    refused(&ledger, 0).await;
    assert_eq!(faults.waiting(), 1, "tried again");
    clock.advance(REST_US);
    refused(&ledger, 0).await;
    assert_eq!(faults.waiting(), 1, "too early: the rest has doubled");
    clock.advance(REST_US);
    refused(&ledger, 0).await;
    assert_eq!(faults.waiting(), 0);
    clock.advance(REST_US * 64);
    ledger.append(pair(0).to_vec()).await.unwrap();
    assert_eq!(ledger.size(), 2);
}

#[tokio::test]
async fn a_group_that_cannot_be_cut_off_at_once_is_cut_off_before_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    for fault in [Fault::Sync, Fault::Truncate, Fault::Truncate] {
        faults.push(fault);
    }
    refused(&ledger, 1).await;
    clock.advance(REST_US);
    refused(&ledger, 1).await;
    assert_eq!(faults.waiting(), 0);
    clock.advance(REST_US * 64);
    ledger.append(vec![plain(intent(9, None))]).await.unwrap();
    let read = ledger.read_entries(0, 10).unwrap();
    assert_eq!((read.len(), &read[2].1), (3, &intent(9, None)));
}

#[tokio::test]
async fn everyone_who_waited_for_a_failed_group_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, _clock) = faulty(dir.path());
    let ledger = Arc::new(ledger);
    faults.push(Fault::Sync);
    let waiters: Vec<_> = (0..32)
        .map(|n| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.append(pair(n).to_vec()).await })
        })
        .collect();
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Err(LedgerError::Unavailable { .. })));
    }
    assert_eq!(ledger.size(), 0);
}

#[tokio::test]
async fn a_ledger_that_nobody_asks_to_write_finds_out_by_itself_that_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    let before = ledger.checkpoint().await.unwrap();
    faults.push(Fault::NoSpace);
    refused(&ledger, 1).await;
    let groups = ledger.stats().groups;
    clock.advance(REST_US);
    for _ in 0..1_000 {
        if ledger.stats().groups > groups {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((ledger.stats().groups, ledger.size()), (groups + 1, 2), "one checkpoint, and no entry");
    assert_eq!(ledger.latest_checkpoint().unwrap().root, before.root);
    let key = ledger.public_key().clone();
    drop(ledger);
    let report = store::ledger::verify(dir.path(), Some(&key), Some(before.note())).unwrap();
    assert!(report.holds(), "{}", report.text());
}

#[tokio::test]
async fn a_segment_that_cannot_be_begun_stops_calls_until_it_can_and_leaves_nothing_behind() {
    for faults_of_it in [
        &[Fault::NoName][..],
        &[Fault::NoSpace],
        &[Fault::ShortWrite { bytes: 20 }],
        &[Fault::Sync],
        // full again when it is tried again: the room was for the repair alone
        &[Fault::NoName, Fault::NoName],
        &[Fault::NoSpace, Fault::NoSpace],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (faults, clock) = (Arc::new(Faults::default()), ManualClock::new());
        let disk = Disk::Faulty(Arc::clone(&faults));
        // full after the first entries, so that the next ones begin another
        let options = Options { disk, retry_after_us: REST_US, segment_bytes: 64, ..quiet() };
        let (ledger, _) = Ledger::open(dir.path(), clock.clone(), &Dice::new(7), options.clone()).unwrap();
        ledger.append(pair(0).to_vec()).await.unwrap();
        let segments = || std::fs::read_dir(dir.path().join("segments")).unwrap().count();
        faults_of_it.iter().for_each(|fault| faults.push(*fault));
        // the writer may try by itself as soon as the clock has moved
        while faults.waiting() > 0 {
            refused(&ledger, 1).await;
            assert_eq!((ledger.size(), segments()), (2, 1), "{faults_of_it:?}");
            clock.advance(REST_US * 64);
        }
        clock.advance(REST_US * 64);
        let appended = ledger.append(pair(8).to_vec()).await.unwrap();
        assert_eq!(appended.first_index, 2, "{faults_of_it:?}: no hole");
        // a checkpoint that showed that there is room may have a segment of its own
        assert!(segments() >= 2, "{faults_of_it:?}");
        // and it goes on in the same way
        ledger.append(pair(9).to_vec()).await.unwrap();
        let checkpoint = ledger.checkpoint().await.unwrap();
        let key = ledger.public_key().clone();
        drop(ledger);
        let report = store::ledger::verify(dir.path(), Some(&key), Some(checkpoint.note())).unwrap();
        assert!(report.holds(), "{faults_of_it:?}: {}", report.text());
        let (ledger, recovered) = Ledger::open(dir.path(), clock, &Dice::new(7), options).unwrap();
        assert_eq!((recovered.size, recovered.cut), (6, None), "{faults_of_it:?}");
        assert_eq!(ledger.read_entries(2, 1).unwrap()[0].1, pair(8)[0].entry());
    }
}

#[tokio::test]
async fn a_gateway_that_stops_while_a_segment_cannot_be_begun_opens_with_all_it_answered() {
    for fault in [Fault::NoName, Fault::NoSpace, Fault::ShortWrite { bytes: 20 }, Fault::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let (faults, clock) = (Arc::new(Faults::default()), ManualClock::new());
        let disk = Disk::Faulty(Arc::clone(&faults));
        let options = Options { disk, retry_after_us: REST_US, segment_bytes: 64, ..quiet() };
        let (ledger, _) = Ledger::open(dir.path(), clock.clone(), &Dice::new(7), options).unwrap();
        ledger.append(pair(0).to_vec()).await.unwrap();
        faults.push(fault);
        refused(&ledger, 1).await;
        drop(ledger);
        let (ledger, recovered) = open(dir.path());
        assert_eq!((recovered.size, recovered.cut), (2, None), "{fault:?}");
        ledger.append(pair(1).to_vec()).await.unwrap();
    }
}

/// A ledger of three segments, two of them full, whose writer has just written.
async fn three_segments(dir: &Path) -> (Ledger, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let options = Options { segment_bytes: 1_500, retry_after_us: REST_US, ..quiet() };
    let (ledger, _) = Ledger::open(dir, clock.clone(), &Dice::new(7), options).unwrap();
    let mut n = 0;
    while std::fs::read_dir(dir.join("segments")).unwrap().count() < 3 {
        ledger.append(pair(n).to_vec()).await.unwrap();
        n += 1;
    }
    (ledger, clock)
}

#[tokio::test]
async fn a_segment_that_is_moved_replaced_or_cut_stops_calls_until_it_is_back() {
    type Harm = fn(&Path, &Path);
    let moved: Harm = |path, aside| std::fs::rename(path, aside).unwrap();
    let another: Harm = |path, aside| {
        std::fs::rename(path, aside).unwrap();
        // an older copy, with something behind it that is none of ours
        let bytes = std::fs::read(aside).unwrap();
        std::fs::write(path, [&bytes[..200], &vec![b'x'; bytes.len()]].concat()).unwrap();
    };
    let cut: Harm = |path, aside| {
        std::fs::copy(path, aside).unwrap();
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(150).unwrap();
    };
    for (number, harm) in [(2, moved), (2, another), (2, cut), (0, moved), (1, another), (0, cut)] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, clock) = three_segments(dir.path()).await;
        let path = dir.path().join(format!("segments/{number:010}.seg"));
        let (aside, size) = (dir.path().join("aside"), ledger.size());
        harm(&path, &aside);
        let there = std::fs::read(&path).ok();
        // the others are looked at with the next checkpoint
        let told = match number {
            2 => ledger.append(pair(90).to_vec()).await.map(drop),
            _ => {
                ledger.append(pair(90).to_vec()).await.unwrap();
                ledger.checkpoint().await.map(drop)
            }
        };
        let Err(LedgerError::Unavailable { because }) = &told else { panic!("{number}: {told:?}") };
        assert!(because.contains(&format!("{number:010}.seg")), "{because}");
        for n in 91..93 {
            clock.advance(REST_US * 100);
            refused(&ledger, n).await;
        }
        assert_eq!(std::fs::read(&path).ok(), there, "{number}: what is there is left as it is");
        if number == 2 {
            assert_eq!(ledger.size(), size, "nothing was said to be in the record that is not");
        }
        // its bytes suffice for the last, which is read anew
        match std::fs::metadata(&path) {
            Ok(_) if number != 2 => continue,
            _ => std::fs::rename(&aside, &path).unwrap(),
        }
        clock.advance(REST_US * 100);
        ledger.append(pair(94).to_vec()).await.unwrap();
        ledger.close().await.unwrap();
        open(dir.path());
    }
}

/// Entries so large that a few of them need more room than was laid out.
fn large() -> Vec<Record> {
    vec![Record::raw(vec![b' '; 50_000], Vec::new()); 30]
}

/// Begins calls until the disk has no room for another, which it says twice: to more than is needed, and to what is.
async fn until_short(ledger: &Ledger, faults: &Faults) -> Vec<KeptRoom> {
    let mut begun = vec![ledger.append_begin(vec![pair(1)[0].clone()]).await.unwrap()];
    faults.push(Fault::NoRoom);
    faults.push(Fault::NoRoom);
    for n in 2..1_000 {
        match ledger.append_begin(vec![pair(n)[0].clone()]).await {
            Ok(room) => begun.push(room),
            Err(LedgerError::Unavailable { because }) => {
                assert!(because.contains("cannot lay out room in"), "{because}");
                return begun;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there was room for everything");
}

#[tokio::test]
async fn what_has_begun_is_recorded_to_its_end_on_a_disk_without_room_for_more() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, clock) = faulty(dir.path());
    let begun = until_short(&ledger, &faults).await;
    assert!(begun.len() > 20, "{}", begun.len());
    let stats = ledger.stats();
    assert!(stats.short && stats.failures == 1 && faults.waiting() == 0, "{stats:?}");
    faults.push(Fault::NoRoom);
    assert!(ledger.append(pair(1).to_vec()).await.is_err(), "small as it is");
    assert_eq!(faults.waiting(), 1, "it rests");
    for (n, room) in (1..).zip(&begun) {
        ledger.append_end(vec![pair(n)[1].clone()], room).await.unwrap();
    }
    assert!(ledger.stats().short, "that something ended makes no room");
    faults.push(Fault::NoRoom);
    clock.advance(REST_US);
    assert!(ledger.append(pair(1).to_vec()).await.is_err());
    assert_eq!(faults.waiting(), 0, "it tried again, unasked or asked");
    clock.advance(REST_US * 64);
    // without being asked: a gateway that is not ready is sent no calls
    for _ in 0..1_000 {
        if !ledger.stats().short {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(!ledger.stats().short);
    ledger.append(pair(1_000).to_vec()).await.unwrap();
    drop(ledger);
    assert_eq!(open(dir.path()).1.size, 2 * begun.len() as u64 + 2);
}

#[tokio::test]
async fn what_is_too_large_for_the_disk_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, _clock) = faulty(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    for _ in 0..4 {
        faults.push(Fault::NoRoom);
    }
    let told = ledger.append(large()).await.unwrap_err().to_string();
    assert!(told.contains("cannot lay out room in") && told.contains("No space left"), "{told}");
    assert!(!ledger.stats().short && faults.waiting() == 0);
    let room = ledger.append_begin(pair(1).to_vec()).await.unwrap();
    assert_eq!(ledger.append_end(pair(2).to_vec(), &room).await.unwrap().first_index, 4);
}

/// How a call ended, with two megabytes beside it; and without them.
fn kept(n: u64) -> Record {
    let value = Disclosure::new(Slot::Result, vec![b'v'; 2 << 20].into(), &Dice::new(n));
    let bare = Record::raw(format!("{{\"bare\":{n}}}").into_bytes(), Vec::new());
    Record::raw(format!("{{\"whole\":{n}}}").into_bytes(), vec![value]).or_bare(bare)
}

fn entry(ledger: &Ledger, index: u64) -> String {
    String::from_utf8(ledger.read_entries(index, 1).unwrap().remove(0).1).unwrap()
}

#[tokio::test]
async fn a_kept_value_never_takes_the_room_of_how_other_calls_end() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, _clock) = faulty(dir.path());
    let begun = until_short(&ledger, &faults).await;
    let (room, others) = begun.split_first().unwrap();
    let at = ledger.append_end(vec![kept(1)], room).await.unwrap().first_index;
    assert_eq!(entry(&ledger, at), "{\"bare\":1}");
    assert_eq!(ledger.disclosure(at, Slot::Result).unwrap(), Disclosed::Absent);
    for (n, room) in (2..).zip(others) {
        ledger.append_end(vec![pair(n)[1].clone()], room).await.unwrap();
    }
    drop(ledger);
    assert_eq!(open(dir.path()).1.size, 2 * begun.len() as u64);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_left_out_and_nothing_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, _clock) = faulty(dir.path());
    let room = ledger.append_begin(pair(0).to_vec()).await.unwrap();
    // not to all of the group, and not to this one alone
    for _ in 0..4 {
        faults.push(Fault::NoRoom);
    }
    let (large, small) =
        tokio::join!(ledger.append_end(vec![kept(1)], &room), ledger.append(pair(1).to_vec()));
    assert_eq!(entry(&ledger, large.unwrap().first_index), "{\"bare\":1}");
    small.unwrap();
    assert!(!ledger.stats().short && ledger.stats().failures == 0);
    while faults.waiting() > 0 {
        let _ = ledger.append_end(vec![kept(1)], &room).await.unwrap();
    }
    let at = ledger.append_end(vec![kept(2)], &room).await.unwrap().first_index;
    assert_eq!(entry(&ledger, at), "{\"whole\":2}", "and where there is room it is kept");
    assert!(matches!(ledger.disclosure(at, Slot::Result), Ok(Disclosed::Kept(_))));
}

#[tokio::test]
async fn where_only_writing_tells_that_the_disk_is_full_how_a_call_ended_goes_without_its_value() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults, _clock) = faulty(dir.path());
    let room = ledger.append_begin(pair(0).to_vec()).await.unwrap();
    faults.push(Fault::ShortWrite { bytes: 1_000 });
    let at = ledger.append_end(vec![kept(1)], &room).await.unwrap().first_index;
    assert_eq!(entry(&ledger, at), "{\"bare\":1}");
    assert!(!ledger.stats().failing && ledger.stats().failures == 0, "{:?}", ledger.stats());
    let found = std::fs::metadata(dir.path().join("segments/0000000000.seg")).unwrap();
    assert!(found.blocks() * 512 >= found.len() + 256 * 1024, "laid out anew: {} blocks", found.blocks());
    faults.push(Fault::NoSpace);
    faults.push(Fault::NoSpace);
    assert!(ledger.append_end(vec![kept(2)], &room).await.is_err());
    assert!(ledger.stats().failing && faults.waiting() == 0);
    let found = std::fs::metadata(dir.path().join("segments/0000000000.seg")).unwrap();
    assert!(
        found.blocks() * 512 >= found.len() + 256 * 1024,
        "and while it rests: {} blocks",
        found.blocks()
    );
}

#[tokio::test]
async fn a_call_ends_in_a_full_segment_where_no_other_can_be_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (faults, clock) = (Arc::new(Faults::default()), ManualClock::new());
    let disk = Disk::Faulty(Arc::clone(&faults));
    let options = Options { disk, segment_bytes: 4_000, retry_after_us: REST_US, ..quiet() };
    let (ledger, _) = Ledger::open(dir.path(), clock.clone(), &Dice::new(7), options).unwrap();
    let room = ledger.append_begin(vec![Record::raw(vec![b' '; 5_000], Vec::new())]).await.unwrap();
    faults.push(Fault::NoName);
    refused(&ledger, 1).await;
    assert_eq!(ledger.append_end(pair(2).to_vec(), &room).await.unwrap().first_index, 1);
    assert!(!dir.path().join("segments/0000000001.seg").exists());
    clock.advance(REST_US);
    ledger.append(pair(3).to_vec()).await.unwrap();
    assert!(dir.path().join("segments/0000000001.seg").exists());
    drop(ledger);
    let (ledger, recovered) = open(dir.path());
    assert_eq!((recovered.size, recovered.cut, ledger.size()), (5, None, 5));
}

#[tokio::test]
async fn room_is_asked_of_the_disk_and_given_back_at_the_end() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _faults, _clock) = faulty(dir.path());
    let _room = ledger.append_begin(pair(0).to_vec()).await.unwrap();
    let segment = dir.path().join("segments/0000000000.seg");
    let found = std::fs::metadata(&segment).unwrap();
    assert!(found.blocks() * 512 >= found.len() + 256 * 1024, "{} blocks of 512", found.blocks());
    ledger.close().await.unwrap();
    let left = std::fs::metadata(&segment).unwrap();
    assert!(left.blocks() * 512 < 64 * 1024, "{} blocks of 512", left.blocks());
}
