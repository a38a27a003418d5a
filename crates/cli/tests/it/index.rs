//! The index in the database is a convenience, and whoever can write there can turn it: the ledger has the last word.

use crate::bed::{Bed, free_port};
use decision::{Clock, Entropy, Entry, Timestamp};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};
use store::{
    Store,
    ledger::{Ledger, Options},
};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_683_600_000_000)
    }
}

impl Entropy for Still {
    fn fill(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// Fills the index anew from entries in which these two calls have changed places.
fn turn(state: &Path, one: &str, other: &str) {
    fill_turned(state, one, other, None);
}

/// The same of another log, where one is named, beside what there is.
fn fill_turned(state: &Path, one: &str, other: &str, elsewhere: Option<&str>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (ledger, _) =
            Ledger::open(&state.join("ledger"), Arc::new(Still), &Still, Options::default()).unwrap();
        let log = ledger.public_key().origin().to_owned();
        let entries: Vec<(u64, Entry)> = ledger
            .read_entries(0, 1_000)
            .unwrap()
            .into_iter()
            .map(|(index, bytes)| {
                let text = String::from_utf8(bytes).unwrap();
                let text = text
                    .replace(one, "call_")
                    .replace(other, one)
                    .replace("\"call_\"", &format!("\"{other}\""));
                (index, serde_json::from_str(&text).unwrap())
            })
            .collect();
        ledger.close().await.unwrap();
        let url = format!("sqlite:{}", state.join("callgate.db").display());
        let store = Store::open(&url, Arc::new(Still), Arc::new(Still)).await.unwrap();
        let log = elsewhere.unwrap_or(&log);
        store.wipe_index(log).await.unwrap();
        store.index_entries(log, &entries).await.unwrap();
        store.close().await;
    });
}

/// What a running gateway answers to whoever asks it over its socket.
fn asked(state: &Path, command: &Value) -> String {
    let mut stream = UnixStream::connect(state.join("callgate.sock")).unwrap();
    writeln!(stream, "{}", serde_json::json!({ "callgate": 1, "command": command })).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

/// A bed whose record has two calls with values, and their ids.
fn two_calls() -> (Bed, String, String) {
    let bed = Bed::with_notes();
    let config = bed.notes_config(free_port()) + "keep = { arguments = true, results = true }\n";
    bed.write("callgate.toml", &config);
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    crate::bed::until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    for note in ["innocent", "guilty"] {
        let call = serde_json::json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": "read_note", "arguments": { "note": note } } });
        let answer = gateway.post(&token, Some(&session), &call).2;
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    assert_eq!(gateway.stop(), 0);
    let listed = bed.json(&["audit", "list"]);
    let made: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["method"] == "tools/call")
        .map(|row| row["call"].as_str().unwrap().to_owned())
        .collect();
    let [guilty, innocent] = made.try_into().unwrap();
    (bed, innocent, guilty)
}

#[test]
fn what_the_index_says_is_another_calls_is_not_told_proven_or_erased() {
    let (bed, innocent, guilty) = two_calls();
    turn(&bed.path("state"), &innocent, &guilty);
    for command in [
        &["audit", "show", &innocent][..],
        &["audit", "prove", &innocent],
        &["explain", &innocent],
        &["audit", "erase", &innocent, "arguments"],
    ] {
        let said = bed.run(command);
        assert_eq!(said.code, 2, "{command:?}: {said:?}");
        assert!(said.err.contains("error[index-unfit]: the index does not fit the ledger"), "{said:?}");
        assert!(said.err.contains("`callgate audit rebuild-index`"), "{said:?}");
        assert!(!said.out.contains("guilty"), "{said:?}");
    }
    assert_eq!(bed.files_with("state/ledger", "guilty").len(), 1, "it is still there");
    assert_eq!(bed.run(&["audit", "rebuild-index"]).code, 0);
    let shown: Value = bed.json(&["audit", "show", &innocent]);
    assert_eq!(shown["values"][0]["value"], r#"{"note":"innocent"}"#);
    assert_eq!(bed.run(&["audit", "erase", &innocent, "arguments"]).code, 0);
    assert!(bed.files_with("state/ledger", "innocent").is_empty());
    assert_eq!(bed.files_with("state/ledger", "guilty").len(), 1);
    // a call that is in the other log alone
    let (head, last) = innocent.split_at(innocent.len() - 1);
    let theirs = format!("{head}{}", if last == "0" { "1" } else { "0" });
    fill_turned(&bed.path("state"), &innocent, &theirs, Some("another"));
    for command in [&["audit", "show"][..], &["explain"], &["audit", "prove"]] {
        let said = bed.run(&[command, &[theirs.as_str()]].concat());
        let says = "error[other-log]: call `call_";
        assert!(said.code == 2 && said.err.contains(says) && said.err.contains("`another`"), "{said:?}");
    }
}

/// Cuts the last group off a ledger of one segment.
fn cut_the_end(state: &Path) {
    let segment = state.join("ledger/segments/0000000000.seg");
    let bytes = std::fs::read(&segment).unwrap();
    let magic = b"\0group\0\n";
    let groups: Vec<usize> = (0..bytes.len() - 8).filter(|at| &bytes[*at..at + 8] == magic).collect();
    // half of them, each with the nine bytes in front of its mark
    std::fs::write(&segment, &bytes[..groups[groups.len() / 2] - 9]).unwrap();
}

#[test]
fn a_lost_end_is_found_also_where_the_public_key_is_gone() {
    let (bed, ..) = two_calls();
    let before = bed.json(&["audit", "verify"])["known"].as_u64().unwrap();
    assert!(before > 6, "{before}");
    cut_the_end(&bed.path("state"));
    std::fs::remove_file(bed.path("state/ledger/log.pub")).unwrap();
    for command in [&["audit", "checkpoint"][..], &["agent", "add", "other"], &["serve"]] {
        let said = bed.run(command);
        let log = said.err.clone();
        assert!(said.code == 1 && log.contains("its end is lost"), "{command:?}: {said:?}");
    }
    let verified = bed.run(&["audit", "verify"]);
    assert!(verified.code != 0, "{verified:?}");
    let left = bed.json(&["audit", "verify"])["report"]["entries"].as_u64().unwrap();
    let said = bed.run(&["audit", "rebuild-index", "--accept-loss"]);
    assert!(said.code == 0 && said.err.contains("lost for good"), "{said:?}");
    // what was left is under no checkpoint, and has the log's own MACs
    let raw = std::fs::read(bed.path("state/ledger/segments/0000000000.seg")).unwrap();
    let raw = String::from_utf8_lossy(&raw);
    let detail = |name: &str| {
        raw.split(&format!("\"event\":\"{name}\"")).nth(1).map(|rest| {
            let rest = rest.split_once("\"detail\":").unwrap().1;
            serde_json::Deserializer::from_str(rest).into_iter::<Value>().next().unwrap().unwrap()
        })
    };
    let lost = detail("loss-accepted").unwrap();
    assert_eq!(detail("unsigned-found"), None);
    assert_eq!(lost["left"], left.to_string(), "{lost}");
    assert_eq!(lost["known"], before.to_string());
    assert!(said.err.contains(&format!("{} entries are lost", before - left)), "{said:?}");
}

#[test]
fn a_database_that_is_older_than_its_ledger_is_not_gone_on_with_unsaid() {
    let (bed, ..) = two_calls();
    let database = bed.path("state/callgate.db");
    let saved = std::fs::read(&database).unwrap();
    assert_eq!(bed.serve().stop(), 0);
    let newest = std::fs::read(&database).unwrap();
    for older in [Some(saved), None] {
        for beside in ["-wal", "-shm", ""] {
            let _ = std::fs::remove_file(bed.path(&format!("state/callgate.db{beside}")));
        }
        if let Some(older) = &older {
            std::fs::write(&database, older).unwrap();
        }
        // what only reads does not make it look new
        for command in [&["audit", "list"][..], &["serve"], &["audit", "rebuild-index"]] {
            let said = bed.run(command);
            let told = match (database.exists(), command) {
                (false, _) => "is not there, and the record `",
                (true, _) => "the database is an older copy, or was begun anew",
            };
            assert!(said.code == 1 && said.err.contains(told), "{command:?}: {said:?}");
            assert!(older.is_some() || !database.exists(), "{command:?} begins none in its place");
        }
    }
    let said = bed.run(&["audit", "rebuild-index", "--accept-older-database"]);
    assert!(said.code == 0 && said.err.contains("people are asked anew"), "{said:?}");
    assert!(!bed.files_with("state/ledger", "database-had").is_empty(), "the record says so");
    assert_eq!(bed.serve().stop(), 0);
    assert_eq!(bed.json(&["audit", "verify"])["ok"], true);
    // what went on without it is the older one now
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(bed.path(&format!("state/callgate.db{beside}")));
    }
    std::fs::write(&database, newest).unwrap();
    assert!(bed.run(&["serve"]).err.contains("--accept-older-database"));
}

/// Somebody with a copy of the state folder wrote on, and put their ledger in the place of the gateway's.
#[test]
fn verification_asks_the_database_which_way_the_log_went_and_says_where_it_could_not() {
    let (bed, ..) = two_calls();
    let copied = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").arg("-a").args([bed.path(from), bed.path(to)]).status();
        assert!(done.unwrap().success());
    };
    copied("state", "other");
    assert_eq!(bed.serve().stop(), 0);
    let good = bed.run(&["audit", "verify"]);
    assert!(good.code == 0 && good.out.contains("the database knows "), "{good:?}");
    std::fs::rename(bed.path("state"), bed.path("mine")).unwrap();
    std::fs::rename(bed.path("other"), bed.path("state")).unwrap();
    assert_eq!(bed.run(&["agent", "add", "another"]).code, 0);
    assert_eq!(bed.serve().stop(), 0);
    std::fs::rename(bed.path("state"), bed.path("other")).unwrap();
    std::fs::rename(bed.path("mine"), bed.path("state")).unwrap();
    std::fs::remove_dir_all(bed.path("state/ledger")).unwrap();
    copied("other/ledger", "state/ledger");
    let said = bed.run(&["audit", "verify"]);
    assert!(said.code == 3 && said.out.contains("(log-parted)"), "{said:?}");
    assert!(bed.run(&["serve"]).err.contains("(log-parted)"), "as a gateway does");
    for (beside, why) in [("", "(database-missing)"), ("-is-elsewhere", "")] {
        let database = bed.path("state/callgate.db");
        std::fs::rename(&database, bed.path("aside")).unwrap();
        if !beside.is_empty() {
            std::fs::write(&database, "not a database, and long enough to be looked at as if it were one")
                .unwrap();
        }
        let unasked = bed.run(&["audit", "verify"]);
        assert!(unasked.code == 0 && unasked.out.contains("the database was not asked"), "{unasked:?}");
        assert!(unasked.out.contains(why), "{unasked:?}");
        std::fs::rename(bed.path("aside"), &database).unwrap();
    }
    let named = bed.run(&["audit", "verify", "state/ledger"]);
    assert!(named.code == 0 && named.out.contains("a folder was named"), "{named:?}");
}

#[test]
fn a_stray_file_among_the_segments_stops_nobody_and_is_told() {
    let (bed, ..) = two_calls();
    bed.write("state/ledger/segments/.DS_Store", "something");
    let said = bed.run(&["audit", "verify"]);
    assert!(said.code == 0 && said.out.contains("! `.DS_Store` lies among the segments"), "{said:?}");
    assert_eq!(bed.serve().stop(), 0);
    assert!(bed.log().contains("a file lies among the ledger's segments"), "{}", bed.log());
}

#[test]
fn an_export_that_cannot_be_written_is_not_said_to_have_been() {
    let (bed, ..) = two_calls();
    bed.write("full/something", "");
    bed.write("file", "");
    for to in ["full", "file", "file/below"] {
        assert_eq!(bed.run(&["audit", "export", to]).code, 1, "{to}");
    }
    assert!(bed.files_with("state/ledger", "exported-with-values").is_empty());
    assert_eq!(bed.run(&["audit", "export", "out"]).code, 0);
    assert_eq!(bed.files_with("state/ledger", "exported-with-values").len(), 1);
}

#[test]
fn a_proof_says_what_it_proves_once_and_nothing_beside_it_counts() {
    let (bed, innocent, _) = two_calls();
    let key = bed.json(&["audit", "checkpoint"])["key"].as_str().unwrap().to_owned();
    let made: Value = serde_json::from_str(&bed.run(&["audit", "prove", &innocent]).out).unwrap();
    assert_eq!(made.as_array().unwrap().len(), 2, "an intent and a decision");
    let check = |proofs: Value| {
        bed.write("proof.json", &proofs.to_string());
        bed.run(&["audit", "prove", "--check", "proof.json", "--key", &key])
    };
    let said = check(made.clone());
    assert_eq!(said.code, 0, "{said:?}");
    for proof in made.as_array().unwrap() {
        let told = format!("entry {}, of {innocent}", proof["proof"]["inclusion"]["index"]);
        assert!(said.out.contains(&told), "{}", said.out);
    }
    let twice = check(serde_json::json!([made[0], made[0]]));
    assert!(twice.code == 0 && twice.out.contains("1 entry is in the log"), "{twice:?}");
    for place in ["", "/proof", "/proof/inclusion"] {
        let mut beside = made.clone();
        let at = beside[0].pointer_mut(place).unwrap().as_object_mut().unwrap();
        at.insert("call".to_owned(), "another".into());
        let said = check(beside);
        assert!(said.code == 1 && said.err.contains("is not what `callgate audit prove` writes"), "{said:?}");
    }
    let mut other = made;
    other[0]["key"] = "nonsense".into();
    let said = check(other);
    assert!(said.code == 3 && said.out.contains("is another one"), "{said:?}");
}

#[test]
fn a_gateway_erases_beside_an_entry_only_for_the_call_that_it_names() {
    let (bed, innocent, guilty) = two_calls();
    let shown = bed.json(&["audit", "show", &guilty]);
    let index = shown["entries"][0]["index"].as_u64().unwrap();
    let gateway = bed.serve();
    let erase = |call: &str| {
        let command = serde_json::json!({ "do": "erase", "index": index, "slot": "arguments", "call": call, "by": "ops" });
        asked(&bed.path("state"), &command)
    };
    let refused = erase(&innocent);
    assert!(refused.contains("does not fit the ledger"), "{refused}");
    assert_eq!(bed.files_with("state/ledger", "guilty").len(), 1, "it is still there");
    assert!(bed.files_with("state/ledger", "value-erased").is_empty(), "nothing was erased");
    let erased = erase(&guilty);
    assert!(erased.contains("\"was\":\"kept\""), "{erased}");
    assert_eq!(gateway.stop(), 0);
    assert!(bed.files_with("state/ledger", "guilty").is_empty());
}

#[test]
fn what_the_index_has_of_another_gateways_log_is_passed_over() {
    let (bed, innocent, guilty) = two_calls();
    fill_turned(&bed.path("state"), &innocent, &guilty, Some("another"));
    let shown = bed.json(&["audit", "show", &innocent]);
    assert_eq!(shown["values"][0]["value"], r#"{"note":"innocent"}"#, "{shown}");
    assert_eq!(bed.run(&["audit", "erase", &innocent, "arguments"]).code, 0);
    assert_eq!(bed.files_with("state/ledger", "guilty").len(), 1);
}
