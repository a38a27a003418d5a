//! What answers say that they did: results as real products give them, written down by hand. One half of each set was not
//! looked at while the rules were made.

#![expect(clippy::unwrap_used, reason = "a line that cannot be read is a mistake of the set")]

use callgate_catalog::observed::{BYTES_MAX, Did, How, in_result};
use proptest::prelude::*;
use serde_json::{Value, json};

fn set(text: &'static str) -> impl Iterator<Item = Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap())
}

/// The result of `tools/call` around what a line has.
fn result(line: &Value) -> Vec<u8> {
    let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
    let whole = match (&line["text"], &line["json"], &line["structured"]) {
        (Value::String(said), _, _) => text(said),
        (_, Value::Null, structured) => json!({ "content": [], "structuredContent": structured }),
        (_, said, _) => text(&said.to_string()),
    };
    serde_json::to_vec(&whole).unwrap()
}

const READS: [&str; 2] =
    [include_str!("observed/reads-tuned.jsonl"), include_str!("observed/reads-held.jsonl")];
const WRITES: [&str; 2] =
    [include_str!("observed/writes-tuned.jsonl"), include_str!("observed/writes-held.jsonl")];

fn missed(text: &'static str) -> (Vec<String>, usize) {
    let all: Vec<_> = set(text).collect();
    let missed = all.iter().filter(|line| in_result(&result(line)).is_none());
    (missed.map(|line| line["id"].to_string()).collect(), all.len())
}

#[test]
fn no_answer_of_a_read_is_taken_for_one_of_a_write() {
    for line in READS.into_iter().flat_map(set) {
        assert_eq!(in_result(&result(&line)), None, "{}", line["id"]);
    }
}

#[test]
fn most_answers_of_writes_are_seen() {
    for text in WRITES {
        let (missed, all) = missed(text);
        assert!(missed.len() * 100 <= all * 15, "{missed:?} of {all}");
    }
}

#[test]
fn what_was_done_is_mostly_known_too() {
    let wrong: Vec<_> = WRITES
        .into_iter()
        .flat_map(set)
        .filter_map(|line| {
            Some((line["id"].to_string(), in_result(&result(&line))?.did, line["did"].clone()))
        })
        .filter(|(_, did, said)| said != did.as_str())
        .collect();
    assert!(wrong.len() <= 2, "{wrong:?}");
}

#[test]
fn the_figures_of_the_documentation_are_so() {
    let seen = WRITES.map(|text| {
        let (missed, all) = missed(text);
        (all - missed.len(), all)
    });
    assert_eq!((seen, READS.map(|text| set(text).count())), ([(22, 22), (33, 35)], [24, 32]));
}

fn of(line: Value) -> Option<(Did, How)> {
    in_result(&result(&line)).map(|seen| (seen.did, seen.how))
}

#[test]
fn an_error_says_nothing_and_neither_does_a_long_answer() {
    let mut whole = json!({ "content": [{ "type": "text", "text": "Successfully deleted x" }] });
    let raw = |whole: &Value| serde_json::to_vec(whole).unwrap();
    assert!(in_result(&raw(&whole)).is_some());
    whole["isError"] = json!(true);
    assert_eq!(in_result(&raw(&whole)), None);
    whole["isError"] = json!(false);
    whole["padding"] = json!("x".repeat(BYTES_MAX));
    assert_eq!(in_result(&raw(&whole)), None);
    for wrong in [&b""[..], b"deleted", b"{\"deleted\":true", b"[{\"deleted\":1}]"] {
        assert_eq!(in_result(wrong), None);
    }
}

#[test]
fn nothing_that_went_wrong_was_done() {
    for line in [
        json!({ "json": { "deletedCount": 0, "acknowledged": true } }),
        json!({ "json": { "deleted": true, "error": "not found" } }),
        json!({ "json": { "success": false, "message": "Issue created" } }),
        json!({ "json": { "dryRun": true, "deleted": 3 } }),
        json!({ "json": { "data": { "issueCreate": { "success": false } } } }),
        json!({ "json": { "data": { "issueCreate": null }, "errors": [{ "message": "no" }] } }),
        json!({ "text": "Nothing was deleted." }),
        json!({ "text": "UPDATE 0" }),
    ] {
        assert_eq!(of(line.clone()), None, "{line}");
    }
}

#[test]
fn a_record_is_no_receipt() {
    let receipt = json!({ "json": { "id": 1, "deleted": true } });
    assert_eq!(of(receipt), Some((Did::Deleted, How::Flag)));
    let record = json!({ "json": { "id": 1, "title": "x", "deleted": true } });
    assert_eq!(of(record), None);
    let several = json!({ "json": { "created": true, "updated": true } });
    assert_eq!(of(several), None, "settings of a webhook");
    let epoch = json!({ "json": { "id": "x", "object": "file", "created": 1_714_000_000 } });
    assert_eq!(of(epoch), None, "a time");
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = in_result(&bytes);
    }
    #[test]
    fn any_text_is_read(text in "(Successfully|[a-z]{1,8}|deleted|was|[0-9]{1,3}|\\PC| |:|\n){0,12}") {
        let _ = of(json!({ "text": text }));
    }
    #[test]
    fn what_names_no_change_says_nothing(text in "[b-df-z ]{0,60}") {
        prop_assert_eq!(of(json!({ "text": text })), None);
    }
}
