//! `callgate registry diff OLD NEW`: two files, and nothing else.

use crate::bed::Bed;
use serde_json::{Value, json};

fn tool(description: &str) -> Value {
    json!({ "name": "look_up", "description": description, "inputSchema": { "type": "object" } })
}

fn bed(old: &Value, new: &Value) -> Bed {
    let bed = Bed::new();
    bed.write("old.json", &old.to_string());
    bed.write("new.json", &new.to_string());
    bed
}

const DIFF: [&str; 4] = ["registry", "diff", "old.json", "new.json"];

#[test]
fn programs_get_every_change_and_a_rank() {
    let bed = bed(&json!({ "tools": [tool("Looks up.")] }), &json!({ "tools": [tool("Lo\u{200b}oks up.")] }));
    let said = bed.run(&[&DIFF[..], &["--json"]].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["changes", "rank"]);
    assert!(answer["rank"].as_f64().unwrap() > 0.5);
    let change = answer["changes"][0].as_object().unwrap();
    let members: Vec<&String> = change.keys().collect();
    assert_eq!(members, ["item", "place", "kind", "compatible", "severity", "because"]);
    assert_eq!(change["item"], "look_up");
    assert_eq!((&change["place"], &change["kind"]), (&json!("/description"), &json!("finding-added")));
    assert_eq!((&change["compatible"], &change["severity"]), (&json!(true), &json!("critical")));
}

#[test]
fn what_a_server_calls_itself_is_compared_where_both_files_say_it() {
    let of = |name: &str, version: &str| {
        json!([{ "server": "crm", "tools": [tool("Looks up.")],
            "serverInfo": { "name": name, "version": version } }])
    };
    let silent = json!([{ "server": "crm", "tools": [tool("Looks up.")] }]);
    let (old, newer, other) = (of("crm", "1.0"), of("crm", "1.1"), of("another", "1.0"));
    for (new, kind, severity, place) in [
        (&newer, "version-changed", "info", "/serverInfo/version"),
        (&other, "identity-changed", "medium", "/serverInfo/name"),
        (&silent, "identity-changed", "info", "/serverInfo"),
    ] {
        let said = bed(&old, new).run(&[&DIFF[..], &["--json"]].concat());
        let answer: Value = serde_json::from_str(&said.out).unwrap();
        let changes = answer["changes"].as_array().unwrap();
        assert_eq!(changes.len(), 1, "{answer}");
        let change = &changes[0];
        assert_eq!((&change["item"], &change["place"]), (&json!("server:identity"), &json!(place)));
        assert_eq!((&change["kind"], &change["severity"]), (&json!(kind), &json!(severity)));
    }
}

#[test]
fn each_shape_can_be_beside_each_other() {
    let (one, other) = (tool("Looks up."), tool("Looks around."));
    let shapes = |tool: &Value| {
        [
            json!({ "tools": [tool] }),
            json!([tool]),
            json!([{ "server": "crm", "tools": [tool] }]),
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [tool] } }),
        ]
    };
    let bed = Bed::new();
    for old in shapes(&one) {
        for (same, new) in
            shapes(&one).iter().map(|s| (true, s)).chain(shapes(&other).iter().map(|s| (false, s)))
        {
            bed.write("old.json", &old.to_string());
            bed.write("new.json", &new.to_string());
            let said = bed.run(&[&DIFF[..], &["--json"]].concat());
            assert_eq!(said.code, i32::from(!same), "{old} {new}: {} {}", said.out, said.err);
            let answer: Value = serde_json::from_str(&said.out).unwrap();
            assert_eq!(answer["changes"].as_array().unwrap().is_empty(), same);
            assert_eq!(answer["rank"] == json!(0.0), same);
        }
    }
}

#[test]
fn people_get_words_and_lines_that_nothing_can_steer() {
    let hostile = "Looks up.\u{1b}[2J\u{e0041}\n\u{2713} nothing changed";
    let bed = bed(&json!([tool("Looks up.")]), &json!([tool(hostile)]));
    let said = bed.run(&DIFF);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("finding-added /description"), "{}", said.out);
    assert!(said.out.contains("-   \"description\": \"Looks up.\""), "{}", said.out);
    assert!(!said.out.contains('\u{1b}') && !said.out.contains('\u{e0041}'), "{}", said.out);
    assert!(!said.out.lines().any(|line| line.starts_with('\u{2713}')), "{}", said.out);
    bed.write("new.json", &json!([tool("Looks up.")]).to_string());
    let said = bed.run(&DIFF);
    assert_eq!((said.code, said.out.trim()), (0, "\u{2713} nothing changed"));
    // a key is as much its author's as any text
    let mut sly = tool("Looks up.");
    sly["a\n\u{2713} nothing changed"] = json!(1);
    bed.write("new.json", &json!([sly]).to_string());
    let said = bed.run(&DIFF);
    assert!(!said.out.lines().any(|line| line.starts_with('\u{2713}')), "{}", said.out);
}

#[test]
fn what_cannot_be_read_ends_with_two_and_a_code_and_no_answer() {
    let good = json!([tool("Looks up.")]).to_string();
    let deep = format!("[{{\"name\":\"a\",\"x\":{}{}}}]", "[".repeat(200), "]".repeat(200));
    let bad: [(&str, &[u8]); 9] = [
        ("not-json", b""),
        ("not-json", b"[{\"name\":\"a\""),
        ("not-json", b"[{\"name\":\"\xff\"}]"),
        ("not-json", b"\x00\x01\x02"),
        ("duplicate-key", br#"[{"name":"a","name":"b"}]"#),
        ("wrong-shape", b"7"),
        ("wrong-shape", br#"{"tools":{}}"#),
        ("no-name", b"[{}]"),
        ("too-deep", deep.as_bytes()),
    ];
    let bed = Bed::new();
    for (code, bytes) in bad {
        for swapped in [false, true] {
            let (this, that) = if swapped { ("new.json", "old.json") } else { ("old.json", "new.json") };
            bed.write(that, &good);
            std::fs::write(bed.path(this), bytes).unwrap();
            for extra in [&[][..], &["--json"]] {
                let said = bed.run(&[&DIFF[..], extra].concat());
                assert_eq!((said.code, said.out.as_str()), (2, ""), "{code} {}", said.err);
                assert!(
                    said.err.contains(&format!("error[{code}]")) && said.err.contains(this),
                    "{}",
                    said.err
                );
            }
        }
    }
}

#[test]
fn what_is_no_file_ends_with_two() {
    let bed = bed(&json!([]), &json!([]));
    for (old, new) in [("none.json", "new.json"), ("old.json", "./none"), (".", "new.json")] {
        let said = bed.run(&["registry", "diff", old, new]);
        assert_eq!(said.code, 2, "{old} {new}: {}", said.err);
        assert!(said.err.contains("error[cannot-open]"), "{}", said.err);
    }
    let said = bed.run(&["registry", "diff", "old.json"]);
    assert!(said.code == 2 && said.err.contains("a second file is missing"), "{}", said.err);
    assert_eq!(bed.run(&["registry", "diff"]).code, 2);
    // larger than is read
    let file = std::fs::File::create(bed.path("new.json")).unwrap();
    file.set_len(65 << 20).unwrap();
    let said = bed.run(&DIFF);
    assert!(said.code == 2 && said.err.contains("error[too-large]"), "{}", said.err);
}

#[test]
fn a_servers_name_still_means_the_server() {
    let bed = Bed::with_notes();
    let said = bed.run(&["registry", "diff", "notes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("nothing of `notes` was seen yet"), "{}", said.out);
    assert!(bed.run(&["registry", "diff", "notes", "read_note"]).err.contains("`notes` has no tool"));
    // files that bear the names of a server and a tool are files
    bed.write("notes", "[]");
    bed.write("read_note", "[]");
    assert!(bed.run(&["registry", "diff", "notes", "read_note"]).out.contains("nothing changed"));
}
