//! Hosts come and go; nothing of them stays.

use crate::bed::{Bed, until};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread,
};

const ROUNDS: usize = 500;
const AT_ONCE: usize = 5;

/// One Host over the owner's socket: greets, shakes hands, calls, and is gone.
fn round(socket: &Path) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut say = |line: &str| {
        stream.write_all(line.as_bytes()).unwrap();
        stream.write_all(b"\n").unwrap();
    };
    let mut hear = |wanted: &str| {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the gateway hung up before `{wanted}`");
        }
        line
    };
    say(r#"{"callgate":1,"entrance":{"server":"notes"}}"#);
    hear("\"ok\":true");
    say(concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"round","version":"1"}}}"#
    ));
    hear("\"id\":1");
    say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read_note","arguments":{}}}"#);
    let answer = hear("\"id\":2");
    assert!(answer.contains("a note"), "{answer}");
}

/// Whether what the server showed is pinned and in force; the log says "pinned" a moment before.
fn offered(socket: &Path) -> bool {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"{\"callgate\":1,\"command\":{\"do\":\"ready\",\"server\":\"notes\"}}\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.contains("\"ready\":true")
}

fn rounds(socket: &Path, count: usize) {
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let socket = socket.to_owned();
            thread::spawn(move || (0..count / AT_ONCE).for_each(|_| round(&socket)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks.map(|task| of(task.unwrap()).split_whitespace().count()).sum()
}

/// Resident memory in KiB.
fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn five_hundred_hosts_leave_no_child_no_descriptor_and_no_growth() {
    let bed = Bed::with_notes();
    let served = bed.serve();
    let (pid, socket) = (served.pid(), bed.path("state/callgate.sock"));
    until("the notes are offered", || offered(&socket));
    rounds(&socket, 50);
    until("the children of the first hosts are gone", || children(pid) == 0);
    let (before, warm) = (descriptors(pid), memory(pid));
    rounds(&socket, ROUNDS);
    until("the children are gone", || children(pid) == 0);
    until("the descriptors are gone", || descriptors(pid) <= before + 4);
    let grown = memory(pid).saturating_sub(warm);
    assert!(grown < 24 << 10, "{grown} KiB more than the {warm} KiB of after 50 hosts");
    assert_eq!(served.stop(), 0);
}
