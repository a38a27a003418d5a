//! `callgate demo`: that it tells what happens, notices when something else does, and leaves nothing behind.

use crate::bed::Bed;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// What is left in the folder for temporary things, and which processes still stand in it.
fn left_behind(dir: &Path) -> Vec<String> {
    let folders = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let mut left: Vec<String> = folders.filter(|path| path.contains("callgate-demo-")).collect();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // a folder that was removed is still named, with a note behind it
        if let Ok(at) = fs::read_link(process.path().join("cwd"))
            && at.to_string_lossy().starts_with(&*dir.join("callgate-demo-").to_string_lossy())
        {
            left.push(format!("{} stands in {}", process.path().display(), at.display()));
        }
    }
    left
}

fn leaves_nothing(bed: &Bed) {
    // five seconds
    for _ in 0..100 {
        if left_behind(&bed.path("")).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("left behind: {:?}", left_behind(&bed.path("")));
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Starts the demo to stay, and reads on until a line has `until`.
fn staying(bed: &Bed, until: &str) -> (Child, Vec<String>) {
    let mut command = bed.command();
    let mut child = command.arg("demo").stdout(Stdio::piped()).spawn().unwrap();
    let mut told = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.last().is_some_and(|line: &String| line.contains(until)) {
        told.push(lines.next().unwrap_or_else(|| panic!("the demo ended early: {told:?}")).unwrap());
    }
    // what it goes on to say must have somebody to hear it
    thread::spawn(move || lines.for_each(drop));
    (child, told)
}

/// What a Host begins with. Returns the whole answer.
fn initialize(address: &str, bearer: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_scene_goes_as_told_and_nothing_is_left() {
    let bed = Bed::new();
    let said = bed.run(&["demo", "--check"]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    for told in [
        "23 tools exist, this agent sees 9",
        "'include_deleted' was unexpected",
        "\"refund\": \"R-8001\"",
        "only these may decide: finance",
        "says yes: approved",
        "540 were paid back in all",
        "Unknown tool: crm__delete_everything",
        "the log does not hold: entry ",
        "All 9 scenes went as told",
    ] {
        assert!(said.out.contains(told), "`{told}` is missing in\n{}", said.out);
    }
    assert!(!said.out.contains('\u{1b}') && !said.out.contains("sk_demo_"), "{}", said.out);
    let wide: Vec<&str> = said.out.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:?}");
    leaves_nothing(&bed);
}

#[test]
fn rules_that_permit_the_large_refund_make_the_check_fail_and_name_the_scene() {
    let bed = Bed::new();
    let rules = include_str!("../../../demo/assets/demo.cedar");
    // all but the last rule, the one that holds large refunds
    let open = rules.split("@id(\"large-refunds\")").next().unwrap();
    assert!(open.len() < rules.len());
    bed.write("open.cedar", open);
    let said = bed.run(&["demo", "--check", "--policy", "open.cedar"]);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    let wrong: Vec<&str> = said.out.lines().filter(|line| line.contains("not as told:")).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong.iter().all(|line| line.contains("scene 5, A refund of 500")), "{wrong:?}");
    assert!(said.out.contains("\"refund\": \"R-8002\""), "{}", said.out);
    leaves_nothing(&bed);
}

#[test]
fn rules_that_do_not_load_are_shown_and_nothing_is_left() {
    let bed = Bed::new();
    bed.write("broken.cedar", "permit (");
    let said = bed.run(&["demo", "--check", "--policy", "broken.cedar"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("the gateway did not start"), "{}", said.out);
    assert!(said.out.contains("demo.cedar:1"), "{}", said.out);
    leaves_nothing(&bed);
}

#[test]
fn it_stays_up_with_a_token_that_works_and_ends_when_asked() {
    let bed = Bed::new();
    let (mut child, told) = staying(&bed, "claude mcp add");
    let pasted = told.last().unwrap();
    let url = pasted.split_once("http://").and_then(|(_, rest)| rest.split_once("/mcp")).unwrap().0;
    let bearer = pasted.split_once("Authorization: ").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
    assert!(initialize(url, bearer).starts_with("HTTP/1.1 200"));
    assert!(initialize(url, "Bearer cgt_other").starts_with("HTTP/1.1 401"));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(url).is_err());
    leaves_nothing(&bed);
}

#[test]
fn interrupted_in_the_middle_it_ends_what_it_started() {
    let bed = Bed::new();
    let (mut child, _) = staying(&bed, "A read");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    leaves_nothing(&bed);
}
