//! Attacks on the folder a gateway writes. The log has 60 entries and checkpoints at 20, 40 and 60.

use crate::{
    forge::{
        CHECKPOINT, Cover, DISCLOSURE, checked, edit_live, entries, entry, expect, expect_holds, place_of,
        segment,
    },
    support::{closing, copy_dir, intent, open, opening, pair, plain},
};
use decision::Slot;
use std::{fs, path::Path};
use store::ledger::{
    Damage, Index, Known, Macs, PublicKey, Record, Report, VerifyError, verify, verify_beside,
};

struct Log {
    dir: tempfile::TempDir,
    key: PublicKey,
    /// Notes over 20, 40 and 60 entries.
    notes: Vec<String>,
}

impl Log {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = open(dir.path());
        let mut notes = Vec::new();
        for n in 0..30 {
            ledger.append(pair(n).to_vec()).await.unwrap();
            if n % 10 == 9 {
                notes.push(ledger.checkpoint().await.unwrap().note().to_owned());
            }
        }
        let key = ledger.public_key().clone();
        ledger.close().await.unwrap();
        Self { dir, key, notes }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn verify(&self, kept: Option<usize>) -> Report {
        checked(self.path(), &self.key, kept.map(|n| self.notes[n].as_str()))
    }
}

#[tokio::test]
async fn a_log_nobody_touched_holds_and_says_what_it_cannot_exclude() {
    let log = Log::new().await;
    let report = log.verify(None);
    expect_holds(&report, 60);
    assert_eq!((report.entries, report.intents, report.decisions, report.checkpoints), (60, 30, 30, 3));
    assert_eq!((report.values.opened, report.open_calls_total, report.kept), (60, 0, None));
    assert!(
        report.cannot_exclude.iter().any(|l| l.contains("cut off after the newest checkpoint")),
        "{report:?}"
    );
    assert!(report.cannot_exclude.iter().any(|l| l.contains("another history")));

    let report = log.verify(Some(1));
    expect_holds(&report, 60);
    assert_eq!(report.kept, Some(40));
    assert!(report.cannot_exclude.iter().any(|l| l.contains("after the first 40")));

    let report = verify(log.path(), None, None).unwrap();
    expect_holds(&report, 60);
    assert!(report.cannot_exclude.iter().any(|l| l.contains("with its key")));
}

#[tokio::test]
async fn a_log_that_is_being_written_holds_too() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    ledger.append(vec![plain(intent(1, None))]).await.unwrap();
    let report = verify(dir.path(), None, None).unwrap();
    expect_holds(&report, 0);
    assert_eq!((report.entries, report.open_calls_total, report.open_calls[0].index), (3, 1, 2));
    assert_eq!(report.macs, Macs::Checked);
    assert!(!report.cannot_exclude.iter().any(|l| l.contains("without the signing key")), "{report:?}");
    let report = checked(dir.path(), ledger.public_key(), None);
    expect_holds(&report, 0);
    assert_eq!(report.macs, Macs::Unchecked);
    let admitted = |l: &String| l.contains("3 entries from 0 to 2") && l.contains("were not checked");
    assert!(report.cannot_exclude.iter().any(admitted), "{report:?}");
    let whole = fs::read(segment(dir.path())).unwrap();
    fs::write(segment(dir.path()), &whole[..whole.len() - 5]).unwrap();
    let report = verify(dir.path(), None, None).unwrap();
    assert!(report.holds() && report.entries == 2 && report.unfinished_bytes > 0, "{}", report.text());
}

#[tokio::test]
async fn a_flipped_entry_is_named() {
    for kept in [None, Some(2)] {
        let log = Log::new().await;
        edit_live(log.path(), Cover::Entries, |groups| {
            let (g, f) = place_of(groups, 27);
            let at = groups[g][f].payload.len() / 2;
            groups[g][f].payload[at] ^= 1;
        });
        expect(&log.verify(kept), Damage::Flipped, entry(27));
    }
}

#[tokio::test]
async fn a_flip_of_any_byte_is_found() {
    let log = Log::new().await;
    let whole = fs::read(segment(log.path())).unwrap();
    for at in (0..whole.len()).step_by(67) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        fs::write(segment(log.path()), &flipped).unwrap();
        let report = log.verify(Some(2));
        assert!(!report.holds(), "flip at byte {at}");
    }
}

#[tokio::test]
async fn a_changed_entry_with_fitting_checks_is_between_two_checkpoints() {
    for kept in [None, Some(0), Some(2)] {
        let log = Log::new().await;
        edit_live(log.path(), Cover::Hashes, |groups| {
            let (g, f) = place_of(groups, 27);
            groups[g][f].payload = closing(13, None);
        });
        expect(&log.verify(kept), Damage::Rewritten, entries(20, 40));
    }
}

#[tokio::test]
async fn a_removed_entry_is_named_or_between_two_checkpoints() {
    for (cover, damage, place) in
        [(Cover::Entries, Damage::Removed, entry(27)), (Cover::Hashes, Damage::Rewritten, entries(20, 40))]
    {
        for kept in [None, Some(2)] {
            let log = Log::new().await;
            edit_live(log.path(), cover, |groups| {
                let (g, f) = place_of(groups, 27);
                groups[g].drain(f..f + 2);
            });
            expect(&log.verify(kept), damage, place);
        }
    }
}

#[tokio::test]
async fn a_removed_group_is_named_or_between_two_checkpoints() {
    let log = Log::new().await;
    edit_live(log.path(), Cover::Entries, |groups| {
        let (g, _) = place_of(groups, 27);
        groups.remove(g);
    });
    expect(&log.verify(None), Damage::Removed, entry(26));

    // The bytes of a group gone, and nothing else touched.
    let log = Log::new().await;
    let whole = fs::read(segment(log.path())).unwrap();
    let starts: Vec<_> =
        whole.windows(8).enumerate().filter(|(_, w)| w == b"\0group\0\n").map(|(at, _)| at - 9).collect();
    let mut without = whole[..starts[3]].to_vec();
    without.extend(&whole[starts[4]..]);
    fs::write(segment(log.path()), without).unwrap();
    expect(&log.verify(None), Damage::Removed, entry(6));
}

#[tokio::test]
async fn an_inserted_entry_is_named_or_between_two_checkpoints() {
    for (cover, damage, place) in
        [(Cover::Entries, Damage::Inserted, entry(27)), (Cover::Hashes, Damage::Rewritten, entries(20, 40))]
    {
        let log = Log::new().await;
        edit_live(log.path(), cover, |groups| {
            let (g, f) = place_of(groups, 27);
            let twin = groups[g][f].clone();
            groups[g].insert(f, twin);
        });
        expect(&log.verify(None), damage, place);
    }
}

#[tokio::test]
async fn entries_in_another_order_are_named_or_between_two_checkpoints() {
    for (cover, damage, place) in
        [(Cover::Entries, Damage::Reordered, entry(23)), (Cover::Hashes, Damage::Rewritten, entries(20, 40))]
    {
        for (a, b) in [(23, 35), (23, 24)] {
            for kept in [None, Some(2)] {
                let log = Log::new().await;
                edit_live(log.path(), cover, |groups| {
                    let ((g, f), (h, e)) = (place_of(groups, a), place_of(groups, b));
                    let (one, other) = (groups[g][f].clone(), groups[h][e].clone());
                    (groups[g][f], groups[h][e]) = (other, one);
                });
                expect(&log.verify(kept), damage, place);
            }
        }
    }
}

#[tokio::test]
async fn a_cut_off_end_is_found_with_a_kept_checkpoint_and_else_admitted() {
    for cover in [Cover::Entries, Cover::Hashes] {
        let log = Log::new().await;
        edit_live(log.path(), cover, |groups| {
            let (g, _) = place_of(groups, 50);
            groups.truncate(g);
        });
        let report = log.verify(None);
        expect_holds(&report, 40);
        assert_eq!(report.entries, 50);
        let admitted =
            |l: &String| l.contains("cut off after the newest checkpoint in the folder (40 entries");
        assert!(report.cannot_exclude.iter().any(admitted), "{}", report.text());
        expect_holds(&log.verify(Some(1)), 40);
        expect(&log.verify(Some(2)), Damage::Truncated, entries(50, 60));
    }
}

#[tokio::test]
async fn a_cut_in_front_of_a_checkpoint_is_found_without_any_other() {
    let log = Log::new().await;
    edit_live(log.path(), Cover::Hashes, |groups| {
        let (g, _) = place_of(groups, 50);
        let last = groups.pop().unwrap();
        assert_eq!(last[0].kind, CHECKPOINT);
        groups.truncate(g);
        groups.push(last);
    });
    expect(&log.verify(None), Damage::Truncated, entries(50, 60));
    // The same over an entry that was taken from the middle of the last stretch.
    let log = Log::new().await;
    edit_live(log.path(), Cover::Hashes, |groups| {
        let (g, f) = place_of(groups, 45);
        groups[g].drain(f..f + 2);
    });
    expect(&log.verify(None), Damage::Truncated, entries(59, 60));
}

/// Two gateways go on from the same 20 entries with the same key.
async fn fork(log: &Log) -> tempfile::TempDir {
    let other = tempfile::tempdir().unwrap();
    copy_dir(log.path(), other.path());
    edit_live(other.path(), Cover::Hashes, |groups| {
        let (g, _) = place_of(groups, 20);
        groups.truncate(g);
    });
    let (ledger, recovered) = open(other.path());
    assert_eq!(recovered.size, 20);
    for n in 100..130 {
        ledger.append(pair(n).to_vec()).await.unwrap();
        if n % 10 == 9 {
            ledger.checkpoint().await.unwrap();
        }
    }
    ledger.close().await.unwrap();
    other
}

#[tokio::test]
async fn another_history_signed_by_the_same_key_is_a_fork_with_a_kept_checkpoint_and_else_admitted() {
    let log = Log::new().await;
    let other = fork(&log).await;
    expect_holds(&checked(other.path(), &log.key, None), 80);
    expect_holds(&checked(other.path(), &log.key, Some(&log.notes[0])), 80);
    expect(&checked(other.path(), &log.key, Some(&log.notes[1])), Damage::Forked, entries(0, 40));
    expect(&checked(other.path(), &log.key, Some(&log.notes[2])), Damage::Forked, entries(0, 60));
}

#[tokio::test]
async fn two_histories_in_one_folder_are_a_fork_between_the_last_common_checkpoint_and_the_first_that_differs()
 {
    let log = Log::new().await;
    let other = fork(&log).await;
    let note = log.notes[1].clone().into_bytes();
    edit_live(other.path(), Cover::Hashes, |groups| {
        let frame = groups.iter().flatten().find(|frame| frame.kind == CHECKPOINT).unwrap().clone();
        let mut foreign = frame;
        foreign.payload = note;
        groups.last_mut().unwrap().push(foreign);
    });
    // Its check is not recomputed by the toolkit, so do what the format says.
    let bytes = fs::read(segment(other.path())).unwrap();
    let at = bytes.len() - log.notes[1].len();
    let length = u32::try_from(log.notes[1].len()).unwrap().to_be_bytes();
    let check = decision::Digest::of_parts(&[&[CHECKPOINT], &length, log.notes[1].as_bytes()]);
    let mut fixed = bytes;
    fixed[at - 5..at - 1].copy_from_slice(&check.0[..4]);
    fs::write(segment(other.path()), fixed).unwrap();
    expect(&checked(other.path(), &log.key, None), Damage::Forked, entries(20, 40));
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_and_a_key_that_is_not_trusted_are_told() {
    let log = Log::new().await;
    let other = Log::new().await;
    let stranger = tempfile::tempdir().unwrap();
    let dice = crate::support::Dice::new(1 << 50);
    let clock = crate::support::ManualClock::new();
    let (ledger, _) =
        store::ledger::Ledger::open(stranger.path(), clock, &dice, crate::support::quiet()).unwrap();
    let stranger_key = ledger.public_key().clone();
    expect_holds(&other.verify(None), 60);
    let report = checked(log.path(), &stranger_key, None);
    expect_first_kind(&report, Damage::BadSignature);
    assert!(report.findings.iter().any(|f| f.damage == Damage::OtherKey), "{}", report.text());
    assert_eq!(report.proven, 0);
    // A whole new log in place of the old one, with its own key: the kept checkpoint tells.
    ledger.append(pair(0).to_vec()).await.unwrap();
    let report = verify(stranger.path(), None, Some(&log.notes[2])).unwrap();
    expect_first_kind(&report, Damage::OtherKey);

    edit_live(log.path(), Cover::Hashes, |groups| {
        let frame = groups.iter_mut().flatten().find(|frame| frame.kind == CHECKPOINT).unwrap();
        frame.payload[0] ^= 1;
    });
    expect_first_kind(&log.verify(None), Damage::BadSignature);
    let report = log.verify(None);
    assert_eq!(report.proven, 60, "the others still hold");
}

#[track_caller]
fn expect_first_kind(report: &Report, damage: Damage) {
    let kinds: Vec<_> = report.findings.iter().map(|f| f.damage).collect();
    assert!(kinds.contains(&damage), "{}", report.text());
}

#[tokio::test]
async fn a_value_that_does_not_open_its_commitment_is_named_and_an_erased_one_is_fine() {
    let log = Log::new().await;
    edit_live(log.path(), Cover::Hashes, |groups| {
        let (g, f) = place_of(groups, 5);
        let frame = &mut groups[g][f + 1];
        assert_eq!(frame.kind, DISCLOSURE);
        // Another value, and the check inside the frame that needs no key.
        let last = frame.payload.len() - 1;
        frame.payload[last] ^= 1;
        let check = decision::Digest::of(&frame.payload[14..]).0;
        frame.payload[10..14].copy_from_slice(&check[..4]);
    });
    let report = log.verify(None);
    let [finding] = report.findings.as_slice() else { panic!("{}", report.text()) };
    assert_eq!(finding.place, store::ledger::Place::Value { index: 5, slot: Slot::Result });
    assert_eq!((finding.damage, report.proven), (Damage::Disclosure, 60), "the log itself holds");

    let log = Log::new().await;
    let (ledger, _) = open(log.path());
    for index in [0, 7] {
        ledger.erase(index, if index % 2 == 0 { Slot::Arguments } else { Slot::Result }).await.unwrap();
    }
    drop(ledger);
    let report = log.verify(Some(2));
    expect_holds(&report, 60);
    assert_eq!((report.values.opened, report.values.erased, report.values.absent), (58, 2, 0));
}

#[tokio::test]
async fn every_call_has_one_intent_and_one_decision_in_this_order() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let of = |entry| vec![plain(entry)];
    for records in [
        of(intent(1, None)),
        of(intent(1, None)),
        of(closing(1, None)),
        of(closing(1, None)),
        of(closing(2, None)),
        of(intent(3, None)),
        of(b"{\"kind\":\"from-the-future\"}".to_vec()),
    ] {
        ledger.append(records).await.unwrap();
    }
    let stranger = Record::raw(intent(4, None), vec![opening(Slot::Arguments, 9)]);
    ledger.append(vec![stranger, plain(closing(4, None))]).await.unwrap();
    drop(ledger);
    let report = verify(dir.path(), None, None).unwrap();
    let found: Vec<_> = report.findings.iter().map(|f| (f.damage, f.place)).collect();
    let value = store::ledger::Place::Value { index: 7, slot: Slot::Arguments };
    assert_eq!(
        found,
        [
            (Damage::Disclosure, value),
            (Damage::SecondIntent, entry(1)),
            (Damage::SecondDecision, entry(3)),
            (Damage::NoIntent, entry(4)),
        ]
    );
    assert_eq!((report.unreadable, report.open_calls_total), (1, 1));
    assert_eq!(report.open_calls[0].call, crate::support::call(3));
}

#[tokio::test]
async fn what_is_no_ledger_or_has_no_key_is_an_error_not_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(verify(dir.path(), None, None), Err(VerifyError::NoLedger { .. })));
    let log = Log::new().await;
    assert!(matches!(verify(log.path(), None, Some("not a note")), Err(VerifyError::Kept(_))));
    fs::remove_file(log.path().join("log.pub")).unwrap();
    assert!(matches!(verify(log.path(), None, None), Err(VerifyError::NoKey { .. })));
    expect_holds(&log.verify(None), 60);
}

/// A copy of the whole folder, with its key, that went on by itself.
#[tokio::test]
async fn a_log_that_went_another_way_than_the_index_knows_does_not_hold() {
    let (log, copy) = (Log::new().await, tempfile::tempdir().unwrap());
    copy_dir(log.path(), copy.path());
    let mut ways = Vec::new();
    for (dir, n) in [(log.path(), 100), (copy.path(), 200)] {
        let (ledger, _) = open(dir);
        ledger.append(pair(n).to_vec()).await.unwrap();
        ways.push(ledger.checkpoint().await.unwrap());
        ledger.close().await.unwrap();
    }
    let known = Known { entries: ways[0].size, root: Some((ways[0].size, ways[0].root)) };
    let beside = |dir: &Path, known| verify_beside(dir, Some(&log.key), None, Index::Asked(known)).unwrap();
    let own = beside(log.path(), known);
    assert!(own.holds() && own.index == Index::Asked(known), "{}", own.text());
    assert!(own.text().contains("the database knows 62 entries, and of the first 62 which they are"));
    let other = beside(copy.path(), known);
    expect(&other, Damage::Parted, entries(0, 62));
    assert!(other.text().contains("log-parted"), "{}", other.text());
    let by_itself = verify(copy.path(), Some(&log.key), None).unwrap();
    assert!(by_itself.holds(), "no key says which way is the right one");
    assert!(by_itself.text().contains("the database was not asked"), "{}", by_itself.text());
    assert!(by_itself.cannot_exclude.iter().any(|limit| limit.contains("went another way")));
    // what is lost besides comes first, and what is damaged is not called another way
    expect(&beside(copy.path(), Known { entries: 70, ..known }), Damage::Truncated, entries(62, 70));
    let nothing = beside(log.path(), Known { entries: 0, root: None });
    assert!(nothing.holds() && nothing.text().contains("the database knows nothing of the log"));
}

#[tokio::test]
async fn what_lies_among_the_segments_is_told_and_left_alone() {
    let log = Log::new().await;
    let segments = log.path().join("segments");
    fs::create_dir(segments.join("old")).unwrap();
    let strays = [".DS_Store", "0000000000 (copy).seg", "0000000000.seg~", "old"];
    for name in [".DS_Store", "0000000000.seg~", "0000000000 (copy).seg"] {
        fs::write(segments.join(name), "something").unwrap();
    }
    let report = log.verify(Some(2));
    expect_holds(&report, 60);
    assert_eq!(report.strays, strays);
    for name in strays {
        let told = format!("! `{name}` lies among the segments and is no part of the log");
        assert!(report.text().contains(&told), "{}", report.text());
    }
    let (ledger, recovered) = open(log.path());
    assert_eq!((recovered.size, recovered.strays.len()), (60, 4));
    ledger.close().await.unwrap();
    assert_eq!(fs::read_to_string(segments.join(".DS_Store")).unwrap(), "something");
}

#[tokio::test]
async fn what_is_called_a_segment_and_is_none_keeps_the_log_shut() {
    let log = Log::new().await;
    let segments = log.path().join("segments");
    for name in ["0.seg", "00000000000.seg", "99999999999999999999999.seg"] {
        fs::write(segments.join(name), "").unwrap();
        assert!(crate::support::open_with(log.path(), crate::support::quiet()).is_err(), "{name}");
        assert!(verify(log.path(), None, None).is_err(), "{name}");
        fs::remove_file(segments.join(name)).unwrap();
    }
    // one that was put aside is missing, whatever it is called now
    fs::rename(segments.join("0000000000.seg"), segments.join("0000000000.seg.bak")).unwrap();
    assert!(crate::support::open_with(log.path(), crate::support::quiet()).is_err());
    expect(&log.verify(Some(2)), Damage::Truncated, entries(0, 60));
}
