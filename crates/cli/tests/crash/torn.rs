//! Pages that changed while nobody ran: what can be recovered is, anything else is refused by name and place.

use crate::yard::{Yard, copy_dir};
use std::{fs, path::Path};

const PAGE: usize = 4096;

/// A yard whose ledger has many pages, after a clean end.
fn yard(calls: usize) -> Yard {
    let yard = Yard::new();
    let gateway = yard.serve();
    let mut host = yard.host("books");
    host.greet().unwrap();
    for n in 0..calls {
        let what = format!("deed-{n}.");
        assert!(host.call(&what).unwrap().message["result"].is_object());
    }
    assert_eq!(gateway.stop(), 0);
    yard
}

fn zeroed(bytes: &[u8], at: usize) -> Vec<u8> {
    let end = (at + PAGE).min(bytes.len());
    [&bytes[..at], &vec![0; end - at], &bytes[end..]].concat()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}

#[test]
fn a_torn_page_of_the_ledger_is_refused_by_place_and_named_by_verify() {
    let yard = yard(12);
    let segment = yard.ledger().join("segments/0000000000.seg");
    let whole = fs::read(&segment).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages >= 5, "{pages} pages");
    let damaged = (0..pages).map(|page| zeroed(&whole, page * PAGE));
    let damaged = damaged.chain((0..pages).map(|page| flipped(&whole, page * PAGE + 700)));
    for (number, bytes) in damaged.enumerate() {
        fs::write(&segment, &bytes).unwrap();
        let said = yard.refused(&["serve"]);
        assert_eq!(said.code, 1, "{number}: {}", said.err);
        let named =
            said.err.contains("the ledger is damaged at entry") || said.err.contains("the ledger ends after");
        assert!(named && said.err.contains("segment 0, byte"), "{number}: {}", said.err);
        assert_eq!(fs::read(&segment).unwrap(), bytes, "{number}: what is refused is left as it is");
        let verified = yard.bed.run(&["audit", "verify"]);
        assert_eq!(verified.code, 3, "{number}: {}{}", verified.out, verified.err);
    }
    fs::write(&segment, whole).unwrap();
    assert_eq!(yard.serve().stop(), 0);
}

#[test]
fn an_end_that_was_lost_is_not_taken_for_a_torn_one_and_can_be_accepted_aloud() {
    let yard = yard(6);
    let segments = yard.ledger().join("segments");
    let segment = segments.join("0000000000.seg");
    let whole = fs::read(&segment).unwrap();
    // pages of the end that read as zeros, an end that is not there, and a segment whose name is gone
    let from = whole.len() - 2 * PAGE;
    let ends = [[&whole[..from], &vec![0; 2 * PAGE]].concat(), whole[..from].to_vec(), Vec::new()];
    for (number, bytes) in ends.iter().enumerate() {
        fs::write(&segment, bytes).unwrap();
        // zeros in the middle of what was several groups are damage; nothing but a lost end can be accepted
        let (why, shown) = match number {
            0 => ("the ledger is damaged at entry", "entry"),
            _ => ("--accept-loss", "the end is lost"),
        };
        for args in [&["serve"][..], &["agent", "add", "other"], &["audit", "rebuild-index"]] {
            let said = yard.refused(args);
            assert!(said.code == 1 && said.err.contains(why), "{number}, {args:?}: {}", said.err);
            assert_eq!(fs::read(&segment).unwrap(), *bytes, "{number}: it is left as it is");
        }
        let verified = yard.bed.run(&["audit", "verify"]);
        assert!(verified.code == 3 && verified.out.contains(shown), "{number}: {}", verified.out);
        assert!(verified.out.starts_with("the log does not hold"), "{number}: {}", verified.out);
    }
    fs::write(&segment, &ends[1]).unwrap();
    let accepted = yard.bed.run(&["audit", "rebuild-index", "--accept-loss"]);
    assert!(
        accepted.code == 0 && accepted.err.contains("are lost for good"),
        "{}{}",
        accepted.out,
        accepted.err
    );
    assert_eq!(yard.bed.run(&["audit", "verify"]).code, 0);
    assert_eq!(yard.serve().stop(), 0);
    assert!(!yard.bed.files_with("state/ledger", "loss-accepted").is_empty(), "the record says so");
}

fn outcome(yard: &Yard, when: &str) -> &'static str {
    let said = yard.bed.run(&["agent", "list"]);
    assert!(!said.err.contains("panicked"), "{when}: {}", said.err);
    let plain =
        ["is damaged or is not a database", "callgate did not write it", "belongs to another program"];
    match said.code {
        0 => "opened",
        1 if plain.iter().any(|text| said.err.contains(text)) => "refused",
        code => panic!("{when}: exit code {code}: {}", said.err),
    }
}

#[test]
fn a_torn_page_of_the_database_is_refused_plainly_or_holds_nothing_that_was_asked() {
    let yard = yard(2);
    let (state, saved) = (yard.bed.path("state"), yard.bed.path("saved"));
    copy_dir(&state, &saved);
    let whole = fs::read(saved.join("callgate.db")).unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / PAGE {
        fs::write(state.join("callgate.db"), zeroed(&whole, page * PAGE)).unwrap();
        for beside in ["callgate.db-wal", "callgate.db-shm"] {
            let _ = fs::remove_file(state.join(beside));
        }
        refused += usize::from(outcome(&yard, &format!("page {page}")) == "refused");
    }
    assert!(refused > 0, "the first page at least");
    fs::write(state.join("callgate.db"), whole).unwrap();
    assert_eq!(yard.serve().stop(), 0);
}

#[test]
fn a_torn_log_of_the_database_loses_no_entry() {
    let yard = yard(2);
    let gateway = yard.serve();
    let mut host = yard.host("desk");
    host.greet().unwrap();
    assert!(host.call("deed-late.").unwrap().message["result"].is_object());
    gateway.kill();
    let wal = yard.bed.path("state/callgate.db-wal");
    let saved = yard.bed.path("saved");
    copy_dir(&yard.bed.path("state"), &saved);
    let whole = fs::read(&wal).unwrap();
    assert!(whole.len() > PAGE, "the log was not emptied");
    for at in [0, PAGE, whole.len() / 2, whole.len().saturating_sub(PAGE)] {
        restore(&saved, &yard.bed.path("state"));
        fs::write(&wal, zeroed(&whole, at)).unwrap();
        let noted = fs::read_to_string(yard.ledger().join("indexed")).unwrap();
        let had: u64 = noted.trim().rsplit(' ').next().unwrap().parse().unwrap();
        if yard.bed.json(&["audit", "verify"])["known"].as_u64().unwrap() < had {
            // the database has lost what it had, revocations and spent yeses too: somebody has to know
            let said = yard.refused(&["serve"]);
            assert!(said.err.contains("--accept-older-database"), "byte {at}: {}", said.err);
            let accepted = yard.bed.run(&["audit", "rebuild-index", "--accept-older-database"]);
            assert_eq!(accepted.code, 0, "byte {at}: {}", accepted.err);
        }
        assert_eq!(yard.serve().stop(), 0, "byte {at}");
        let report = yard.bed.json(&["audit", "verify"]);
        assert_eq!(report["ok"], true, "byte {at}: {report}");
        let intents = report["report"]["intents"].as_u64().unwrap();
        let listed = yard.bed.json(&["audit", "list", "--errands", "--limit", "1000000"]);
        assert_eq!(
            listed.as_array().unwrap().len() as u64,
            intents,
            "byte {at}: the index follows the ledger"
        );
    }
}

fn restore(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap();
    copy_dir(from, to);
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
}
