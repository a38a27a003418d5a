//! Stopping anywhere: whatever was answered is there, and what was not is cut.

use crate::support::{copy_dir, open, open_with, pair, quiet};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use store::ledger::{LedgerError, Options, Record};

fn last_segment(dir: &Path) -> PathBuf {
    let mut names: Vec<_> = fs::read_dir(dir.join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names.pop().unwrap()
}

/// Two small records, a value beside the first, so that a test can try every byte.
fn small(n: u64) -> Vec<Record> {
    let entry = format!("{{\"kind\":\"event\",\"n\":{n}}}").into_bytes();
    let disclosures = vec![crate::support::opening(decision::Slot::Result, n)];
    vec![Record::raw(entry.clone(), disclosures), Record::raw(entry, Vec::new())]
}

/// Three answered groups, and the length of the file after each. The ledger is copied while it is
/// open, so that no clean end adds a checkpoint.
async fn three_groups(dir: &Path, copy: &Path) -> Vec<u64> {
    let (ledger, _) = open(dir);
    let mut lengths = vec![fs::metadata(last_segment(dir)).unwrap().len()];
    for n in 0..3 {
        ledger.append(small(n)).await.unwrap();
        lengths.push(fs::metadata(last_segment(dir)).unwrap().len());
    }
    copy_dir(dir, copy);
    lengths
}

#[tokio::test]
async fn a_log_cut_at_any_byte_opens_with_every_group_that_was_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let lengths = three_groups(&live, &copy).await;
    let segment = last_segment(&copy);
    let whole = fs::read(&segment).unwrap();
    assert_eq!(lengths.last(), Some(&(whole.len() as u64)));
    for cut in 0..=whole.len() {
        fs::write(&segment, &whole[..cut]).unwrap();
        let (ledger, recovered) = open(&copy);
        let groups = lengths.iter().skip(1).filter(|end| **end <= cut as u64).count() as u64;
        assert_eq!(recovered.size, groups * 2, "cut at byte {cut}");
        let exact = lengths.contains(&(cut as u64)) || cut < usize::try_from(lengths[0]).unwrap();
        assert_eq!(recovered.cut.is_none(), exact, "cut at byte {cut}: {:?}", recovered.cut);
        if cut % 29 == 0 {
            // It can be written again, and read again.
            ledger.append(pair(50).to_vec()).await.unwrap();
            drop(ledger);
            assert_eq!(open(&copy).1.size, groups * 2 + 2);
        } else {
            drop(ledger);
        }
    }
}

#[tokio::test]
async fn pages_of_the_last_group_that_never_reached_the_disk_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let lengths = three_groups(&live, &copy).await;
    let segment = last_segment(&copy);
    let whole = fs::read(&segment).unwrap();
    let start = usize::try_from(lengths[2]).unwrap();
    for at in (start..whole.len()).step_by(13) {
        let mut torn = whole.clone();
        torn[at..(at + 60).min(whole.len())].fill(0);
        fs::write(&segment, &torn).unwrap();
        let (ledger, recovered) = open(&copy);
        assert_eq!((recovered.size, recovered.cut.unwrap().offset), (4, lengths[2]), "hole at {at}");
        drop(ledger);
    }
}

#[tokio::test]
async fn damage_before_the_last_group_is_never_taken_for_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let lengths = three_groups(&live, &copy).await;
    let segment = last_segment(&copy);
    let whole = fs::read(&segment).unwrap();
    for at in 0..usize::try_from(lengths[2]).unwrap() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&segment, &flipped).unwrap();
        let opened = open_with(&copy, quiet()).map(|(_, recovered)| recovered);
        match opened {
            Err(LedgerError::Damaged { segment: 0, entry, .. }) => {
                let group = lengths.iter().skip(1).filter(|end| **end <= at as u64).count() as u64;
                assert!(
                    (group * 2..=group * 2 + 2).contains(&entry),
                    "byte {at} of group {group}: entry {entry}"
                );
            }
            other => panic!("flip at byte {at}: {other:?}"),
        }
    }
    assert_eq!(fs::read(&segment).unwrap().len(), whole.len(), "a refused ledger is not touched");
}

/// A ledger of so many pairs in small segments, closed.
async fn segmented(pairs: u64) -> (tempfile::TempDir, Options) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1_000, ..quiet() };
    let (ledger, _) = open_with(dir.path(), options.clone()).unwrap();
    for n in 0..pairs {
        ledger.append(pair(n).to_vec()).await.unwrap();
    }
    drop(ledger);
    (dir, options)
}

#[tokio::test]
async fn a_missing_or_foreign_segment_is_damage() {
    let (dir, options) = segmented(6).await;
    let segment = |n: u64| dir.path().join(format!("segments/{n:010}.seg"));
    let kept = fs::read(segment(2)).unwrap();
    fs::remove_file(segment(2)).unwrap();
    let missing = open_with(dir.path(), options.clone()).map(|_| ());
    assert!(matches!(missing, Err(LedgerError::Damaged { segment: 2, .. })), "{missing:?}");
    fs::copy(segment(1), segment(2)).unwrap();
    let copied = open_with(dir.path(), options.clone()).map(|_| ());
    assert!(matches!(copied, Err(LedgerError::Damaged { segment: 2, .. })), "{copied:?}");
    fs::write(segment(2), &kept[..kept.len() - 1]).unwrap();
    let short = open_with(dir.path(), options.clone()).map(|_| ());
    assert!(matches!(short, Err(LedgerError::Damaged { segment: 2, .. })), "{short:?}");
    fs::write(segment(2), kept).unwrap();
    assert_eq!(open_with(dir.path(), options).unwrap().1.size, 12);
}

// segments are read side by side and put together in their order
#[tokio::test]
async fn of_several_damaged_segments_the_first_is_told_whichever_is_read_first() {
    let (dir, options) = segmented(40).await;
    let segment = |n: u64| dir.path().join(format!("segments/{n:010}.seg"));
    let last: u64 = last_segment(dir.path()).file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(last > 8, "more than there are processors");
    for n in (1..last).rev() {
        let mut bytes = fs::read(segment(n)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(segment(n), bytes).unwrap();
        let opened = open_with(dir.path(), options.clone()).map(|_| ());
        assert!(
            matches!(opened, Err(LedgerError::Damaged { segment, .. }) if segment == n),
            "segment {n}: {opened:?}"
        );
    }
}

#[tokio::test]
async fn an_end_that_somebody_knows_to_have_been_durable_is_lost_and_not_torn() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let lengths = three_groups(&live, &copy).await;
    let segment = last_segment(&copy);
    let whole = fs::read(&segment).unwrap();
    let knowing = |known| Options { known, ..quiet() };
    let (start, end) = (usize::try_from(lengths[2]).unwrap(), whole.len());
    let zeroed = |from: usize| [&whole[..from], &vec![0; end - from]].concat();
    let header = usize::try_from(lengths[0]).unwrap();
    let ends = [
        (whole[..start].to_vec(), 4),
        (whole[..end - 1].to_vec(), 4),
        (zeroed(end - 60), 4),
        (zeroed(header), 0),
        (whole[..header - 1].to_vec(), 0),
        (Vec::new(), 0),
    ];
    for (damaged, left) in ends {
        fs::write(&segment, &damaged).unwrap();
        let opened = open_with(&copy, knowing(6)).map(|_| ());
        let Err(LedgerError::Lost { segment: 0, entries, known: 6, .. }) = opened else {
            panic!("{} bytes: {opened:?}", damaged.len())
        };
        assert_eq!(entries, left);
        assert_eq!(fs::read(&segment).unwrap(), damaged, "a refused ledger is not touched");
        assert_eq!(
            open_with(&copy, knowing(left)).unwrap().1.size,
            left,
            "what is known to be there is enough"
        );
    }
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.append(pair(0).to_vec()).await.unwrap();
    let value = crate::support::opening(decision::Slot::Arguments, 0);
    drop(ledger);
    let path = last_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(32).position(|w| w == value.salt).unwrap();
    // The state byte stands before the check and the salt.
    bytes[at - 5] = 1;
    fs::write(&path, &bytes).unwrap();
    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.erasures_finished, 1);
    assert_eq!(ledger.disclosure(0, decision::Slot::Arguments).unwrap(), store::ledger::Disclosed::Erased);
    assert!(!fs::read(&path).unwrap().windows(32).any(|w| w == value.salt));
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "run by `a_killed_gateway_has_everything_it_answered`"]
fn child_that_appends_until_it_is_killed() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let options = Options { segment_bytes: 50_000, checkpoint_entries: 16, ..quiet() };
    let (ledger, _) = open_with(Path::new(line.trim()), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for n in 0.. {
            let [first, second]: [Record; 2] = pair(n);
            let appended = ledger.append(vec![first]).await.unwrap();
            println!("answered {}", appended.first_index);
            ledger.append(vec![second]).await.unwrap();
            println!("answered {}", appended.first_index + 1);
        }
    });
}

#[test]
fn a_killed_gateway_has_everything_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    for answers in [1, 40, 171] {
        let folder = dir.path().join(answers.to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "crash::child_that_appends_until_it_is_killed"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        use std::io::Write;
        writeln!(child.stdin.take().unwrap(), "{}", folder.display()).unwrap();
        let mut answered = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while answered < answers {
            let line = lines.next().unwrap().unwrap();
            if let Some(index) = line.rsplit_once("answered ") {
                answered = index.1.parse::<u64>().unwrap() + 1;
            }
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(index) =
                line.rsplit_once("answered ").and_then(|(_, index)| index.parse::<u64>().ok())
            {
                answered = index + 1;
            }
        }
        child.wait().unwrap();
        let (ledger, recovered) = open(&folder);
        assert!(recovered.size >= answered, "{} of {answered}", recovered.size);
        assert_eq!(recovered.open.len() as u64, recovered.size % 2);
        for (index, bytes) in ledger.read_entries(0, 1000).unwrap() {
            let [first, second] = pair(index / 2);
            assert_eq!(bytes, if index % 2 == 0 { first.entry() } else { second.entry() });
        }
    }
}
