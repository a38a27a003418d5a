//! What no checkpoint covers yet, and somebody who can write the folder and has not got the key.

use crate::{
    forge::{
        CHECKPOINT, Cover, DISCLOSURE, ENTRY, checked, edit_live, entries, entry, expect, expect_holds,
        leave_macs_out, make_old, place_of,
    },
    support::{closing, copy_dir, intent, open, open_with, pair, plain, quiet},
};
use std::{fs, path::Path};
use store::ledger::{Damage, LedgerError, Macs, Place, PublicKey, verify};

/// A log whose gateway was killed: a checkpoint over two entries, and three groups of two behind it.
async fn killed() -> (tempfile::TempDir, PublicKey) {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(&dir.path().join("running"));
    ledger.append(pair(0).to_vec()).await.unwrap();
    ledger.checkpoint().await.unwrap();
    for n in 1..4 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    copy_dir(&dir.path().join("running"), &dir.path().join("killed"));
    (dir, ledger.public_key().clone())
}

#[track_caller]
fn refused(dir: &Path, at: u64, why: &str) {
    let opened = open_with(dir, quiet()).map(|_| ());
    let Err(LedgerError::Damaged { entry, what, .. }) = &opened else { panic!("{opened:?}") };
    assert!(*entry == at && what.contains(why), "{opened:?}");
}

const NOT_BY_KEY: &str = "not written with the log's key";

#[tokio::test]
async fn entries_under_no_checkpoint_cannot_be_written_anew_without_the_key() {
    type Edit = fn(&mut Vec<Vec<crate::forge::Frame>>);
    let changed: Edit = |groups| {
        let (g, f) = place_of(groups, 5);
        groups[g][f].payload = closing(2, None);
        groups[g].remove(f + 1);
    };
    let removed: Edit = |groups| {
        let (g, f) = place_of(groups, 5);
        groups[g].drain(f..f + 2);
    };
    let without_its_value: Edit = |groups| {
        let (g, f) = place_of(groups, 5);
        assert_eq!(groups[g].remove(f + 1).kind, DISCLOSURE);
    };
    let group_removed: Edit = |groups| {
        let (g, _) = place_of(groups, 4);
        groups.remove(g);
    };
    let groups_turned: Edit = |groups| {
        let (g, _) = place_of(groups, 4);
        groups.swap(g, g + 1);
    };
    let added: Edit = |groups| {
        let mut more = groups.last().unwrap().clone();
        more.retain(|frame| frame.kind == ENTRY);
        (more[0].payload, more[1].payload) = (intent(8, None), closing(8, None));
        groups.push(more);
    };
    let without_checkpoint: Edit = |groups| {
        let group = groups.iter_mut().find(|group| group.iter().any(|frame| frame.kind == CHECKPOINT));
        group.unwrap().retain(|frame| frame.kind != CHECKPOINT);
    };
    for (edit, from, to) in [
        (changed, 4, 6),
        (removed, 4, 5),
        (without_its_value, 4, 6),
        (group_removed, 4, 6),
        (groups_turned, 4, 6),
        (added, 8, 10),
        (without_checkpoint, 2, 3),
    ] {
        let (dir, key) = killed().await;
        let dir = dir.path().join("killed");
        edit_live(&dir, Cover::Hashes, edit);
        let report = verify(&dir, Some(&key), None).unwrap();
        let place = if to > from + 1 { entries(from, to) } else { entry(from) };
        expect(&report, Damage::Unkeyed, place);
        // an auditor without the key sees nothing, and says so
        let report = checked(&dir, &key, None);
        assert!(report.holds(), "{}", report.text());
        assert!(report.cannot_exclude.iter().any(|l| l.contains("were not checked")), "{}", report.text());
        let before = fs::read(crate::forge::segment(&dir)).unwrap();
        refused(&dir, from, NOT_BY_KEY);
        assert_eq!(fs::read(crate::forge::segment(&dir)).unwrap(), before, "nothing was cut");
    }
}

#[tokio::test]
async fn to_leave_the_macs_out_is_no_way_around_them() {
    let (dir, key) = killed().await;
    let dir = dir.path().join("killed");
    leave_macs_out(&dir);
    refused(&dir, 0, "has no MACs");
    let report = verify(&dir, Some(&key), None).unwrap();
    expect(&report, Damage::Unkeyed, entry(0));
}

#[tokio::test]
async fn a_group_of_another_history_of_the_same_key_does_not_fit() {
    let (dir, key) = killed().await;
    let other = dir.path().join("other");
    copy_dir(&dir.path().join("killed"), &other);
    // both go on from the same entries with others of the same length; the last groups say the same
    for (dir, n) in [(&other, 10), (&dir.path().join("killed"), 20)] {
        let (ledger, _) = open(dir);
        ledger.append(vec![plain(intent(n, None))]).await.unwrap();
        ledger.append(vec![plain(intent(30, None))]).await.unwrap();
        std::mem::forget(ledger);
    }
    let [this, that] = [dir.path().join("killed"), other].map(|dir| {
        let image = dir.with_extension("image");
        copy_dir(&dir, &image);
        image
    });
    let [mut bytes, theirs] = [&this, &that].map(|dir| fs::read(crate::forge::segment(dir)).unwrap());
    assert_eq!(bytes.len(), theirs.len());
    let starts: Vec<_> = bytes.windows(8).enumerate().filter(|(_, w)| w == b"\0group\0\n").collect();
    let last = starts.last().unwrap().0 - 9;
    assert_ne!(bytes[last..], theirs[last..], "chained");
    bytes.splice(last.., theirs[last..].iter().copied());
    fs::write(crate::forge::segment(&this), bytes).unwrap();
    refused(&this, 9, NOT_BY_KEY);
    expect(&verify(&this, Some(&key), None).unwrap(), Damage::Unkeyed, entry(9));
}

#[tokio::test]
async fn a_log_of_an_earlier_version_opens_and_has_macs_from_its_next_segment_on() {
    let (dir, key) = killed().await;
    let dir = dir.path().join("killed");
    make_old(&dir);
    let report = verify(&dir, Some(&key), None).unwrap();
    expect_holds(&report, 2);
    assert_eq!(report.macs, Macs::Absent);
    assert!(report.cannot_exclude.iter().any(|l| l.contains("6 entries from 2 to 7")), "{}", report.text());

    let (ledger, recovered) = open(&dir);
    assert_eq!((recovered.size, recovered.unsigned), (8, Some((2, 7))));
    ledger.append(pair(4).to_vec()).await.unwrap();
    let image = dir.with_extension("image");
    copy_dir(&dir, &image);
    drop(ledger);
    let report = verify(&image, Some(&key), None).unwrap();
    expect_holds(&report, 2);
    assert_eq!((report.entries, report.macs), (10, Macs::Checked));
    assert!(report.cannot_exclude.iter().any(|l| l.contains("6 entries from 2 to 7")), "{}", report.text());
    let text = fs::read_to_string(image.join("log.key")).unwrap();
    assert_eq!(text.lines().nth(1), Some("keyed-from 1"));

    // what is behind is kept from whoever has no key, with or without MACs
    let second = image.join("segments/0000000001.seg");
    let bytes = fs::read(&second).unwrap();
    let mut old = bytes[..48].to_vec();
    old[19] = 1;
    old.extend(&decision::Digest::of(&old).0[..4]);
    fs::write(&second, old).unwrap();
    refused(&image, 8, "has no MACs");
    expect(&verify(&image, Some(&key), None).unwrap(), Damage::Unkeyed, entry(8));
    // the same where the key's file is an older copy: a segment that has them says so too
    fs::write(&second, &bytes).unwrap();
    fs::write(image.join("log.key"), format!("{}\n", text.lines().next().unwrap())).unwrap();
    let (ledger, recovered) = open(&image);
    assert_eq!(recovered.unsigned, Some((2, 7)));
    drop(ledger);
    assert_eq!(fs::read_to_string(image.join("log.key")).unwrap(), text, "and it is said again");
}

#[tokio::test]
async fn entries_before_a_segment_are_bound_by_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let small = || store::ledger::Options { segment_bytes: 2_000, ..quiet() };
    let (ledger, _) = open_with(dir.path(), small()).unwrap();
    for n in 0..4 {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    let beside = tempfile::tempdir().unwrap();
    let image = beside.path().join("image");
    copy_dir(dir.path(), &image);
    let first = image.join("segments/0000000001.seg");
    let mut bytes = fs::read(&first).unwrap();
    let at = 48 + 3;
    bytes[at] ^= 1;
    let check = decision::Digest::of(&bytes[..80]).0;
    bytes[80..84].copy_from_slice(&check[..4]);
    fs::write(&first, bytes).unwrap();
    let opened = open_with(&image, small()).map(|_| ());
    let Err(LedgerError::Damaged { segment: 1, what, .. }) = &opened else { panic!("{opened:?}") };
    assert!(what.contains("header was not written with the log's key"), "{what}");
    let report = verify(&image, Some(ledger.public_key()), None).unwrap();
    assert!(matches!(
        report.first().map(|f| (f.damage, f.place)),
        Some((Damage::Unkeyed, Place::Entry { .. }))
    ));
}
