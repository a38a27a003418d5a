//! No room: for the ledger, for the database, for log lines; by a limit on files, and on a disk that is full.

use crate::{
    bed::until,
    host::Host,
    yard::{Yard, asked, is_ready},
};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A gateway that is told of a file that may not grow by an error, and not by a signal.
fn spawn(yard: &Yard, err: Stdio) -> Child {
    let plain = yard.bed.command();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(plain.get_program()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command.current_dir(yard.bed.path("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(err);
    command.spawn().unwrap()
}

fn log(yard: &Yard) -> Stdio {
    fs::File::create(yard.bed.path("serve.log")).unwrap().into()
}

/// No file of this process may grow beyond so many bytes, from now on.
fn limit(gateway: u32, bytes: &str) {
    let (pid, limit) = (gateway.to_string(), format!("--fsize={bytes}:"));
    let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(done.success());
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn greeted(yard: &Yard, server: &'static str) -> Host {
    let mut host = yard.host(server);
    until("the server was looked at", || host.greet().is_ok() && host.tools() == 1);
    host
}

/// How the disk says that there is no more room.
#[derive(Clone, Copy, PartialEq)]
enum Lack {
    /// The ledger's is full, which is known before a call begins.
    Disk,
    /// So is the database's, which is the same and is noticed first: it has nothing laid out.
    Both,
    /// A file may not grow, which is known before, too.
    Limit,
}

impl Lack {
    fn code(self) -> &'static str {
        if self == Self::Both { "database-unavailable" } else { "ledger-unavailable" }
    }

    fn metric(self) -> &'static str {
        if self == Self::Both { "callgate_database_unavailable" } else { "callgate_ledger_unavailable" }
    }
}

/// Calls until one is refused for want of a record.
fn call_until_refused(host: &Host, lack: Lack, name: &str) {
    let code = lack.code();
    for n in 0..20_000 {
        let what = format!("deed-{name}-{n}.");
        let answer = host.call(&what).unwrap().message;
        if answer["result"]["content"][0]["text"] == format!("done {what}") {
            continue;
        }
        // room for the intent and none for the decision: that one was sent
        if answer["result"]["_meta"]["callgate/refusal"]["code"] == "outcome-unrecorded" {
            panic!("a call began without room for its end: {answer}");
        }
        assert_eq!(answer["error"]["data"]["code"], code, "{answer}");
        return;
    }
    panic!("there was room for everything");
}

/// What holds while there is no room, and what is true again when there is, without a restart.
fn lack(yard: &Yard, gateway: &mut Child, host: &Host, (of, name): (Lack, &str), relieve: impl FnOnce()) {
    call_until_refused(host, of, name);
    until("it says that it is not ready", || !is_ready(yard.port));
    let counted = || asked(yard.port, "/metrics").unwrap();
    until("the metrics say so", || counted().contains(&format!("\n{} 1\n", of.metric())));
    let before = yard.executed().len();
    for n in 0..5 {
        let what = format!("deed-{name}-refused-{n}.");
        let answer = host.call(&what).unwrap().message;
        assert_eq!(answer["error"]["data"]["code"], of.code(), "{answer}");
    }
    assert_eq!(yard.executed().len(), before, "nothing leaves that cannot be recorded");
    relieve();
    // nobody calls a gateway that is not ready: it must find out by itself
    until("it is ready again", || is_ready(yard.port));
    assert!(counted().contains("\ncallgate_ledger_unavailable 0\n"));
    assert!(gateway.try_wait().unwrap().is_none(), "without a restart");
    let what = format!("deed-{name}-after.");
    let answer = host.call(&what).unwrap().message;
    assert_eq!(answer["result"]["content"][0]["text"], format!("done {what}"), "{answer}");
}

/// Stops it and looks at what the record and the index say of it all.
fn settle(yard: &Yard, mut gateway: Child) {
    let pid = gateway.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(gateway.wait().unwrap().code(), Some(0), "{}", yard.bed.log());
    assert!(!yard.bed.log().contains("panicked"), "{}", yard.bed.log());
    let report = yard.bed.json(&["audit", "verify"]);
    assert_eq!(report["ok"], true, "{report}");
    let intents = report["report"]["intents"].as_u64().unwrap();
    let listed = yard.bed.json(&["audit", "list", "--errands", "--limit", "1000000"]);
    assert_eq!(listed.as_array().unwrap().len() as u64, intents, "the index has caught up");
}

#[test]
fn a_file_that_may_not_grow_stops_calls_and_nothing_else_until_it_may() {
    let yard = Yard::new();
    assert_eq!(yard.serve().stop(), 0);
    let mut gateway = spawn(&yard, log(&yard));
    let host = greeted(&yard, "books");
    let (segment, wal) =
        (yard.ledger().join("segments/0000000000.seg"), yard.bed.path("state/callgate.db-wal"));
    // the ledger has room for some calls yet and for their ends, and the database's log none for one more page
    let mut agents = 0;
    until("the database's log is the longer one", || {
        yard.bed.token(&format!("other-{agents}"));
        agents += 1;
        length(&wal) > length(&segment) + 470_000
    });
    let most = length(&wal) + 4_000;
    let pid = gateway.id();
    limit(pid, &most.to_string());
    let mut answered = 0;
    until("the database is full", || {
        let what = format!("deed-while-{answered}.");
        let answer = host.call(&what).unwrap().message;
        answered += usize::from(answer["result"]["content"][0]["text"] == format!("done {what}"));
        yard.bed.log().contains("the index does not follow the ledger")
    });
    assert!(answered > 0, "a call that can be recorded is not held up by its index");
    lack(&yard, &mut gateway, &host, (Lack::Limit, "limit"), || limit(pid, "unlimited"));
    settle(&yard, gateway);
}

/// Set it to `1` to leave out what needs a disk of its own where nobody may mount one.
const SKIP: &str = "CALLGATE_TEST_SKIP_MOUNT";

/// The start of a command that may mount what nobody else sees: in a namespace of mounts, and where that is for root
/// only, in one of users too. `None` when it is left out on purpose.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
#[expect(clippy::disallowed_methods, reason = "whoever may not mount says so in the environment")]
fn apart() -> Option<Command> {
    for how in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let mut command = Command::new("unshare");
        command.args(how);
        let mut probe = Command::new("unshare");
        probe.args(how).args(["mount", "-t", "tmpfs", "callgate-test", "/mnt"]);
        if probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(command);
        }
    }
    let why = format!("no disk can be mounted, not even in a namespace of its own; {SKIP}=1 leaves this out");
    assert!(std::env::var(SKIP).is_ok_and(|value| value == "1"), "{why}");
    println!("{why}");
    None
}

#[test]
fn a_full_disk_stops_calls_and_nothing_else_until_there_is_room() {
    let Some(mut apart) = apart() else { return };
    apart.arg(std::env::current_exe().unwrap());
    let tests = ["shortage::on_a_disk_of_its_own", "shortage::on_a_disk_of_the_ledgers_own"];
    let test = apart.args(["--ignored", "--exact", "--nocapture", "--test-threads", "1"]).args(tests);
    let said = test.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert!(text.contains("2 passed"), "nothing was run: {text}");
}

/// A gateway whose folder of that name is a small disk, and what fills it.
fn on_a_disk(folder: &str, size: &str) -> (Yard, Child, PathBuf) {
    let yard = Yard::new();
    assert_eq!(yard.serve().stop(), 0);
    let (disk, saved) = (yard.bed.path(folder), yard.bed.path("saved"));
    fs::rename(&disk, &saved).unwrap();
    fs::create_dir_all(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "callgate-test"]).arg(&disk);
    assert!(mount.status().unwrap().success());
    let whole = Command::new("cp").arg("-a").arg(saved.join(".")).arg(&disk).status().unwrap();
    assert!(whole.success());
    let gateway = spawn(&yard, log(&yard));
    (yard, gateway, disk.join("ballast"))
}

fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
}

/// The bed's folder can be removed again.
fn unmount(ballast: &Path) {
    assert!(Command::new("umount").arg(ballast.parent().unwrap()).status().unwrap().success());
}

/// Not a test of its own: what the test above starts where it may mount.
#[test]
#[ignore = "run by `a_full_disk_stops_calls_and_nothing_else_until_there_is_room`"]
fn on_a_disk_of_its_own() {
    let (yard, mut gateway, ballast) = on_a_disk("state", "3m");
    let host = greeted(&yard, "desk");
    fill(&ballast);
    lack(&yard, &mut gateway, &host, (Lack::Both, "full"), || fs::remove_file(&ballast).unwrap());
    settle(&yard, gateway);
    // with the index of SQLite's log there, a full disk is no reason not to read; without it, SQLite would end by a signal
    fill(&ballast);
    assert_eq!(yard.bed.run(&["agent", "list"]).code, 0);
    for end in ["-wal", "-shm"] {
        fs::remove_file(ballast.with_file_name(format!("callgate.db{end}"))).unwrap();
    }
    fill(&ballast);
    let told = yard.bed.run(&["agent", "list"]);
    assert!(told.code == 1 && told.err.contains("the disk is full: make room"), "{} {}", told.code, told.err);
    unmount(&ballast);
}

/// Not a test of its own, like the one above.
#[test]
#[ignore = "run by `a_full_disk_stops_calls_and_nothing_else_until_there_is_room`"]
fn on_a_disk_of_the_ledgers_own() {
    let (yard, mut gateway, ballast) = on_a_disk("state/ledger", "4m");
    let host = greeted(&yard, "desk");
    fill(&ballast);
    lack(&yard, &mut gateway, &host, (Lack::Disk, "ledger"), || fs::remove_file(&ballast).unwrap());
    settle(&yard, gateway);
    unmount(&ballast);
}

#[test]
fn log_lines_that_nobody_can_write_down_stop_nothing() {
    let yard = Yard::new();
    for err in ["/dev/full", "closed"] {
        let err = match err {
            "closed" => {
                // a pipe whose other end is gone
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                Stdio::from(writer)
            }
            path => fs::File::options().write(true).open(path).unwrap().into(),
        };
        let mut gateway = spawn(&yard, err);
        let host = greeted(&yard, "books");
        assert_eq!(
            host.call("deed-unlogged.").unwrap().message["result"]["isError"],
            serde_json::Value::Null
        );
        let pid = gateway.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(gateway.wait().unwrap().code(), Some(0));
        assert_eq!(yard.bed.run(&["audit", "verify"]).code, 0);
    }
    assert_eq!(yard.executed().len(), 2);
}
