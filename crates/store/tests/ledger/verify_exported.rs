//! Exports, and attacks on them. The log has 600 entries and a checkpoint every 100.

use crate::{
    forge::{
        Cover, checked, edit_exported, entries, entry, expect, expect_holds, exported_entries,
        roll_back_checkpoints, root_of,
    },
    support::{Dice, ManualClock, closing, copy_dir, open, open_with, pair, quiet},
};
use decision::Slot;
use std::{
    fs,
    path::{Path, PathBuf},
};
use store::ledger::{
    Checkpoint, Damage, Disclose, Ledger, LedgerError, Options, PublicKey, Report, export, verify,
};

struct Exported {
    dir: tempfile::TempDir,
    key: PublicKey,
    notes: Vec<String>,
}

async fn fill(ledger: &Ledger, from: u64, calls: u64) -> Vec<String> {
    let mut notes = Vec::new();
    for start in (from..from + calls).step_by(50) {
        ledger.append((start..start + 50).flat_map(pair).collect()).await.unwrap();
        notes.push(ledger.checkpoint().await.unwrap().note().to_owned());
    }
    notes
}

impl Exported {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 100_000, ..quiet() };
        let (ledger, _) = open_with(&dir.path().join("live"), options).unwrap();
        let notes = fill(&ledger, 0, 300).await;
        let key = ledger.public_key().clone();
        let done = ledger.export(&dir.path().join("out"), Disclose::Kept).await.unwrap();
        assert_eq!((done.checkpoint.size, done.checkpoints, done.disclosures), (600, 6, 600));
        Self { dir, key, notes }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn verify(&self, kept: Option<usize>) -> Report {
        checked(&self.path(), &self.key, kept.map(|n| self.notes[n].as_str()))
    }
}

#[tokio::test]
async fn an_export_holds_and_is_laid_out_as_the_specification_says() {
    let log = Exported::new().await;
    let report = log.verify(Some(3));
    expect_holds(&report, 600);
    assert_eq!((report.entries, report.checkpoints, report.kept), (600, 6, Some(400)));
    assert_eq!((report.values.opened, report.intents, report.decisions), (600, 300, 300));
    let out = log.path();
    for (name, bytes) in
        [("tile/0/000", 8192), ("tile/0/001", 8192), ("tile/0/002.p/88", 2816), ("tile/1/000.p/2", 64)]
    {
        assert_eq!(fs::metadata(out.join(name)).unwrap().len(), bytes, "{name}");
    }
    for name in ["tile/entries/000", "tile/entries/002.p/88", "log.pub", "disclosures/002"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    // The same root by the slow way over the bytes of the bundles.
    let checkpoint = Checkpoint::parse(&fs::read_to_string(out.join("checkpoint")).unwrap()).unwrap();
    assert_eq!(checkpoint.root, root_of(&exported_entries(&out)));
    let secret = fs::read_to_string(log.dir.path().join("live/log.key")).unwrap();
    let seed = secret.lines().next().unwrap().rsplit('+').next().unwrap();
    for file in walk(&out) {
        let bytes = fs::read(file).unwrap();
        assert!(!bytes.windows(seed.len()).any(|w| w == seed.as_bytes()), "the signing key is exported");
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(walk(&path)) } else { out.push(path) }
    }
    out
}

#[tokio::test]
async fn erased_values_are_not_exported_and_everything_else_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(&dir.path().join("live"));
    fill(&ledger, 0, 50).await;
    ledger.erase(10, Slot::Arguments).await.unwrap();
    let done = ledger.export(&dir.path().join("out"), Disclose::Kept).await.unwrap();
    assert_eq!(done.disclosures, 99);
    let report = verify(&dir.path().join("out"), None, None).unwrap();
    expect_holds(&report, 100);
    assert_eq!((report.values.opened, report.values.absent), (99, 1));
    let bare = ledger.export(&dir.path().join("bare"), Disclose::Nothing).await.unwrap();
    assert_eq!((bare.disclosures, dir.path().join("bare/disclosures").exists()), (0, false));
    let report = verify(&dir.path().join("bare"), None, None).unwrap();
    expect_holds(&report, 100);
    assert_eq!((report.values.opened, report.values.absent), (0, 100));
    let again = ledger.export(&dir.path().join("out"), Disclose::Kept).await.map(|_| ());
    assert!(matches!(again, Err(LedgerError::NotEmpty { .. })), "{again:?}");
}

#[tokio::test]
async fn an_export_needs_no_lock_ends_at_a_checkpoint_and_refuses_a_damaged_log() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let (ledger, _) = open(&live);
    assert!(matches!(
        export(&live, &dir.path().join("none"), Disclose::Kept),
        Err(LedgerError::NoCheckpoint)
    ));
    fill(&ledger, 0, 100).await;
    ledger.append(pair(500).to_vec()).await.unwrap();
    let done = export(&live, &dir.path().join("out"), Disclose::Kept).unwrap();
    assert_eq!(done.checkpoint.size, 200, "what is not signed yet is left out");
    expect_holds(&verify(&dir.path().join("out"), None, None).unwrap(), 200);
    crate::forge::edit_live(&live, Cover::Hashes, |groups| {
        let (g, f) = crate::forge::place_of(groups, 120);
        groups[g][f].payload = closing(900, None);
    });
    let damaged = export(&live, &dir.path().join("bad"), Disclose::Kept);
    assert!(matches!(damaged, Err(LedgerError::Damaged { entry: 200, .. })), "{damaged:?}");
    assert!(!dir.path().join("bad/checkpoint").exists(), "it does not look like an export");
}

#[tokio::test]
async fn a_flipped_entry_is_named_or_between_two_checkpoints() {
    for (cover, damage, place) in
        [(Cover::Entries, Damage::Flipped, entry(270)), (Cover::Hashes, Damage::Rewritten, entries(200, 300))]
    {
        for kept in [None, Some(1), Some(5)] {
            let log = Exported::new().await;
            edit_exported(&log.path(), cover, |entries| {
                let at = entries[270].len() - 4;
                entries[270][at] ^= 1;
            });
            expect(&log.verify(kept), damage, place);
        }
    }
}

#[tokio::test]
async fn a_removed_entry_is_named_or_between_two_checkpoints() {
    for (cover, damage, place) in
        [(Cover::Entries, Damage::Removed, entry(270)), (Cover::Hashes, Damage::Rewritten, entries(200, 300))]
    {
        for kept in [None, Some(5)] {
            let log = Exported::new().await;
            edit_exported(&log.path(), cover, |entries| {
                entries.remove(270);
            });
            expect(&log.verify(kept), damage, place);
        }
    }
}

#[tokio::test]
async fn an_entry_removed_from_one_bundle_only_is_named() {
    let log = Exported::new().await;
    let path = log.path().join("tile/entries/000");
    let bytes = fs::read(&path).unwrap();
    let length = 2 + usize::from(u16::from_be_bytes(bytes[..2].try_into().unwrap()));
    fs::write(&path, &bytes[length..]).unwrap();
    expect(&log.verify(None), Damage::Removed, entry(0));
    fs::remove_file(&path).unwrap();
    expect(&log.verify(None), Damage::Removed, entries(0, 256));
}

#[tokio::test]
async fn bytes_behind_the_entries_of_a_bundle_are_found() {
    for (name, rubbish, index) in [
        ("tile/entries/001", vec![0], 512),
        ("tile/entries/001", vec![0; 100_000], 512),
        ("tile/entries/002.p/88", b"\0\x09abc".to_vec(), 600),
    ] {
        let log = Exported::new().await;
        let path = log.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(rubbish);
        fs::write(&path, bytes).unwrap();
        expect(&log.verify(Some(5)), Damage::Inserted, entry(index));
    }
}

#[tokio::test]
async fn entries_in_another_order_are_named_or_between_two_checkpoints() {
    for (cover, damage, place) in [
        (Cover::Entries, Damage::Reordered, entry(210)),
        (Cover::Hashes, Damage::Rewritten, entries(200, 300)),
    ] {
        for other in [211, 299, 580] {
            for kept in [None, Some(5)] {
                let log = Exported::new().await;
                edit_exported(&log.path(), cover, |entries| entries.swap(210, other));
                expect(&log.verify(kept), damage, place);
            }
        }
    }
}

#[tokio::test]
async fn an_inserted_entry_is_named_or_between_two_checkpoints() {
    for (cover, damage, place) in [
        (Cover::Entries, Damage::Inserted, entry(210)),
        (Cover::Hashes, Damage::Rewritten, entries(200, 300)),
    ] {
        let log = Exported::new().await;
        edit_exported(&log.path(), cover, |entries| entries.insert(210, closing(9999, None)));
        expect(&log.verify(None), damage, place);
    }
}

#[tokio::test]
async fn a_cut_off_end_is_found_by_its_checkpoint_or_a_kept_one_and_else_admitted() {
    for cover in [Cover::Entries, Cover::Hashes] {
        for kept in [None, Some(5)] {
            let log = Exported::new().await;
            edit_exported(&log.path(), cover, |entries| entries.truncate(530));
            expect(&log.verify(kept), Damage::Truncated, entries(530, 600));
        }
    }
    // The checkpoints over the end are cut off with it.
    let log = Exported::new().await;
    edit_exported(&log.path(), Cover::Hashes, |entries| entries.truncate(400));
    roll_back_checkpoints(&log.path(), 400);
    let report = log.verify(None);
    let values = report.findings.iter().all(|f| matches!(f.damage, Damage::Disclosure | Damage::Unread));
    assert!(values && report.proven == 400, "only the values of cut entries are left: {}", report.text());
    fs::write(log.path().join("disclosures/001"), b"").unwrap();
    fs::remove_file(log.path().join("disclosures/002")).unwrap();
    let report = log.verify(None);
    expect_holds(&report, 400);
    assert!(report.cannot_exclude.iter().any(|l| l.contains("(400 entries proven)")), "{}", report.text());
    expect_holds(&log.verify(Some(3)), 400);
    expect(&log.verify(Some(4)), Damage::Truncated, entries(400, 500));
}

#[tokio::test]
async fn wrong_hashes_beside_intact_entries_are_told_apart_from_damage_to_entries() {
    for tile in ["tile/0/001", "tile/1/000.p/2"] {
        let log = Exported::new().await;
        let path = log.path().join(tile);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        let report = log.verify(Some(5));
        let [finding] = report.findings.as_slice() else { panic!("{}", report.text()) };
        assert_eq!((finding.damage, report.proven), (Damage::Hashes, 600), "{tile}");
        fs::remove_file(&path).unwrap();
        let report = log.verify(Some(5));
        let [finding] = report.findings.as_slice() else { panic!("{}", report.text()) };
        assert_eq!((finding.damage, report.proven), (Damage::Hashes, 600), "{tile}");
    }
}

/// The same key goes on from the first 100 entries with another history, and exports it.
async fn fork(log: &Exported) -> PathBuf {
    let (live, out) = (log.dir.path().join("fork"), log.dir.path().join("fork-out"));
    fs::create_dir_all(live.join("segments")).unwrap();
    let seed = tempfile::tempdir().unwrap();
    // The same dice make the same key; from there on everything is another's.
    let (ledger, _) = Ledger::open(seed.path(), ManualClock::new(), &Dice::new(7), quiet()).unwrap();
    fill(&ledger, 0, 50).await;
    fill(&ledger, 1000, 250).await;
    drop(ledger);
    copy_dir(seed.path(), &live);
    export(&live, &out, Disclose::Kept).unwrap();
    out
}

#[tokio::test]
async fn another_history_of_the_same_key_is_a_fork_with_a_kept_checkpoint_and_else_admitted() {
    let log = Exported::new().await;
    let out = fork(&log).await;
    let report = checked(&out, &log.key, None);
    expect_holds(&report, 600);
    assert!(report.cannot_exclude.iter().any(|l| l.contains("another history")));
    expect_holds(&checked(&out, &log.key, Some(&log.notes[0])), 600);
    for (n, size) in [(1, 200), (5, 600)] {
        expect(&checked(&out, &log.key, Some(&log.notes[n])), Damage::Forked, entries(0, size));
    }
    // Entries of one history under the checkpoints of both.
    fs::copy(log.path().join(format!("checkpoints/{:020}", 300)), out.join("checkpoints/foreign")).unwrap();
    expect(&checked(&out, &log.key, None), Damage::Forked, entries(200, 300));
}

#[tokio::test]
async fn a_foreign_or_broken_checkpoint_is_told() {
    let log = Exported::new().await;
    let path = log.path().join("checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    fs::write(&path, note.replacen("600", "599", 1)).unwrap();
    let report = log.verify(None);
    let first = report.first().unwrap();
    assert_eq!((first.damage, report.proven), (Damage::BadSignature, 600), "{}", report.text());
    fs::write(&path, "nothing\n").unwrap();
    assert_eq!(log.verify(None).first().unwrap().damage, Damage::BadSignature);
    fs::remove_file(&path).unwrap();
    assert!(!log.verify(None).holds());
}

#[tokio::test]
async fn a_changed_value_is_named() {
    let log = Exported::new().await;
    let path = log.path().join("disclosures/001");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let line = |n: usize| serde_json::from_str::<serde_json::Value>(lines[n]).unwrap();
    let mut changed = line(3);
    changed["value"] = line(4)["value"].clone();
    fs::write(&path, text.replace(lines[3], &changed.to_string())).unwrap();
    let report = log.verify(None);
    let [finding] = report.findings.as_slice() else { panic!("{}", report.text()) };
    assert_eq!(finding.place, store::ledger::Place::Value { index: 259, slot: Slot::Result });
    assert_eq!(report.proven, 600);
}

#[tokio::test]
async fn a_value_that_stands_twice_hides_none_that_is_gone() {
    let log = Exported::new().await;
    let path = log.path().join("disclosures/001");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines[3] = lines[4];
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let report = log.verify(None);
    let [finding] = report.findings.as_slice() else { panic!("{}", report.text()) };
    assert_eq!(finding.place, store::ledger::Place::Value { index: 260, slot: Slot::Arguments });
    assert_eq!((report.values.opened, report.values.absent), (599, 1));
}

#[tokio::test]
async fn a_file_that_is_no_part_of_an_export_is_named_and_not_passed_over() {
    for (name, like) in [
        ("disclosures/003", "disclosures/001"),
        ("disclosures/x001/000", "disclosures/001"),
        ("tile/entries/002.p/12", "tile/entries/002.p/88"),
        ("tile/entries/003", "tile/entries/001"),
        ("tile/2/000", "tile/1/000.p/2"),
        ("tile/0/000.p/3", "tile/0/000"),
        ("notes.txt", "checkpoint"),
    ] {
        let log = Exported::new().await;
        let path = log.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(log.path().join(like), &path).unwrap();
        let report = log.verify(Some(5));
        let [finding] = report.findings.as_slice() else { panic!("{name}: {}", report.text()) };
        assert_eq!((finding.damage, report.proven), (Damage::Unread, 600), "{name}");
        assert!(finding.what.contains(name), "{}", finding.what);
    }
    // the whole bundle of that name is read in place of the part, which then is not
    let log = Exported::new().await;
    let part = log.path().join("tile/entries/002.p/88");
    fs::copy(&part, log.path().join("tile/entries/002")).unwrap();
    expect(&log.verify(None), Damage::Unread, store::ledger::Place::Log);
}

#[tokio::test]
async fn an_export_is_for_its_owner_also_in_a_folder_that_is_open() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(&dir.path().join("live"));
    fill(&ledger, 0, 200).await;
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
    ledger.export(&out, Disclose::Kept).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&out), 0o700);
    for path in walk(&out) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
    }
}

#[tokio::test]
async fn an_entry_of_an_export_that_no_checkpoint_covers_is_a_finding() {
    let log = Exported::new().await;
    edit_exported(&log.path(), Cover::Hashes, |entries| entries.push(closing(9999, None)));
    let report = log.verify(Some(5));
    expect(&report, Damage::Unsigned, entries(600, 601));
    assert_eq!(report.proven, 600);
    // an older checkpoint in place of the newest, to have the rest free
    let log = Exported::new().await;
    edit_exported(&log.path(), Cover::Hashes, |entries| entries[599] = closing(9999, None));
    roll_back_checkpoints(&log.path(), 400);
    expect(&log.verify(None), Damage::Unsigned, entries(400, 600));
}
