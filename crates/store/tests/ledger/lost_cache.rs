//! A machine that stops, and its page cache with it: a killed process keeps that, so here every write of a real
//! run is replayed up to any moment, with what was not yet synced dropped, torn or out of order.

use crate::{
    replay::{LEFT, Left, Model},
    support::{open_with, pair, quiet},
    trace::{self, Call},
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};
use store::ledger::{Disclosed, Options, verify};

/// Calls that the traced ledger records: enough for several segments and checkpoints.
const CALLS: u64 = 60;

/// Not a test of its own: the process that is traced.
#[test]
#[ignore = "run by `whatever_a_lost_page_cache_leaves_the_ledger_opens_with_all_it_answered`"]
fn child_whose_writes_are_recorded() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let options = Options { segment_bytes: 12_000, checkpoint_entries: 7, ..quiet() };
    let (ledger, _) = open_with(Path::new(line.trim()), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for n in 0..CALLS {
            let appended = ledger.append(pair(n).to_vec()).await.unwrap();
            println!("answered {}.", appended.first_index + 1);
            if n % 10 == 3 {
                ledger.erase(appended.first_index, decision::Slot::Arguments).await.unwrap();
                println!("erased {}.", appended.first_index);
            }
        }
    });
}

/// Traces a ledger from its making to its end, and returns the calls it made.
fn record(root: &Path, log: &Path) -> Option<Vec<Call>> {
    let mut command = trace::strace(log)?;
    let test = ["--ignored", "--exact", "--nocapture", "lost_cache::child_whose_writes_are_recorded"];
    command.arg(std::env::current_exe().unwrap()).args(test);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", root.join("ledger").display()).unwrap();
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    Some(trace::read(log))
}

/// What had been answered when this call began: the number of entries, and which values are erased for good.
#[derive(Default, Clone)]
struct Answered {
    entries: u64,
    erased: Vec<u64>,
}

impl Answered {
    fn hear(&mut self, call: &Call) {
        let is_answer = call.holds("answered ") || call.holds("erased ");
        if !call.writes() || !is_answer || call.on.contains("/segments/") {
            return;
        }
        let text = String::from_utf8_lossy(&call.bytes()).into_owned();
        let number = |word: &str| text.split_once(word)?.1.split_once('.')?.0.parse::<u64>().ok();
        self.entries = number("answered ").map_or(self.entries, |last| last + 1);
        self.erased.extend(number("erased "));
    }
}

/// Where the groups that were written end.
fn group_ends(calls: &[Call]) -> Vec<u64> {
    let mut ends = vec![0];
    for call in calls.iter().filter(|call| call.name == "pwrite64" && call.on.contains("/segments/")) {
        let bytes = call.bytes();
        // a group's frame: kind, magic, number, offset, first index, bytes, entries, MAC
        if bytes.get(9..17) == Some(b"\0group\0\n".as_slice()) {
            let first = u64::from_be_bytes(bytes[33..41].try_into().unwrap());
            ends.push(first + u64::from(u32::from_be_bytes(bytes[45..49].try_into().unwrap())));
        }
    }
    ends
}

fn examine(image: &Path, answered: &Answered, ends: &[u64], whole: &[Vec<u8>], when: &str) -> u64 {
    let dir = image.join("ledger");
    let options = Options { known: answered.entries, ..quiet() };
    let (ledger, recovered) = open_with(&dir, options).unwrap_or_else(|e| panic!("{when}: {e}"));
    assert!(recovered.size >= answered.entries, "{when}: {} of {}", recovered.size, answered.entries);
    assert!(ends.contains(&recovered.size), "{when}: part of a group was taken for a whole one");
    let entries: Vec<_> = (0..recovered.size)
        .step_by(1024)
        .flat_map(|from| ledger.read_entries(from, 1024).unwrap())
        .map(|(_, bytes)| bytes)
        .collect();
    assert!(whole.starts_with(&entries), "{when}: other entries");
    for index in &answered.erased {
        assert_eq!(
            ledger.disclosure(*index, decision::Slot::Arguments).unwrap(),
            Disclosed::Erased,
            "{when}"
        );
    }
    let key = ledger.public_key().clone();
    drop(ledger);
    let report = verify(&dir, Some(&key), None).unwrap();
    assert!(report.holds(), "{when}: {}", report.text());
    recovered.size
}

#[test]
fn whatever_a_lost_page_cache_leaves_the_ledger_opens_with_all_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (root, log) = (dir.path().join("state"), dir.path().join("trace"));
    fs::create_dir(&root).unwrap();
    let mut model = Model::of(&root);
    let Some(calls) = record(&root, &log) else { return };
    let ends = group_ends(&calls);
    let (ledger, _) = open_with(&root.join("ledger"), quiet()).unwrap();
    let whole: Vec<_> = ledger.read_entries(0, 1024).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    drop(ledger);
    assert_eq!(whole.len() as u64, CALLS * 2);
    assert!(
        calls.iter().filter(|call| call.on.ends_with("/segments") && call.syncs()).count() > 3,
        "segments"
    );

    let (mut answered, mut dice, mut images, mut lost) = (Answered::default(), 1_u64, 0, 0);
    let mut roll = move |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    for (number, call) in trace::by_effect(&calls).into_iter().enumerate() {
        let before = answered.clone();
        answered.hear(call);
        model.take(call);
        let touched =
            call.on.starts_with(root.to_str().unwrap()) || call.opened.starts_with(root.to_str().unwrap());
        if !(touched || answered.entries > before.entries) || call.name == "close" || call.reads() {
            continue;
        }
        for left in LEFT {
            let image: PathBuf = dir.path().join(format!("image-{number}"));
            fs::create_dir(&image).unwrap();
            model.image(&image, left, &mut roll, |_| false);
            let when = format!("{left:?} after call {number} ({} on {})", call.name, call.on);
            let size = examine(&image, &answered, &ends, &whole, &when);
            lost += usize::from(
                left == Left::Nothing
                    && size < ends.iter().copied().filter(|e| *e <= answered.entries + 2).max().unwrap(),
            );
            fs::remove_dir_all(&image).unwrap();
            images += 1;
        }
    }
    println!("{} calls, {images} images, {lost} of them without a group that was written", calls.len());
    assert!(images > 1_000, "{images} images");
    assert_eq!(answered.entries, CALLS * 2);
    assert!(lost > 0, "nothing unsynced was ever dropped");
}
