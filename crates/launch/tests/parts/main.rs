//! The processes the tests start, one mode each. The modes print what the test reads.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a part of a test"
)]

use callgate_launch::{Child, Command, Grace, Limits, Supervisor, supervise_main};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap();
    match mode.as_str() {
        "__supervise" => return supervise_main(),
        "show" => show(),
        "tree" => tree(),
        "stubborn" => stubborn(),
        "flood-stderr" => flood_stderr(),
        "gateway" => gateway(),
        "rounds" => rounds(),
        "sleep" => std::thread::sleep(Duration::from_secs(60)),
        other => panic!("no mode {other}"),
    }
    ExitCode::SUCCESS
}

/// What reached this process: arguments, environment, descriptors, session.
fn show() {
    println!("args {:?}", std::env::args().skip(2).collect::<Vec<_>>());
    println!("env {:?}", std::env::vars().collect::<Vec<_>>());
    println!("fds {:?}", descriptors());
    println!("cwd {}", std::env::current_dir().unwrap().display());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    println!("group {} session {} pid {}", fields[2], fields[3], std::process::id());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("blocked {}", status.lines().find(|line| line.starts_with("SigBlk")).unwrap());
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    println!("core {}", limits.lines().find(|line| line.starts_with("Max core")).unwrap());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

fn descriptors() -> Vec<String> {
    let own = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut open: Vec<_> =
        own.filter_map(|fd| Some((fd.file_name(), std::fs::read_link(fd.path()).ok()?))).collect();
    open.retain(|(_, target)| !target.to_string_lossy().contains("/proc/"));
    open.into_iter().map(|(fd, _)| fd.to_string_lossy().into_owned()).collect()
}

/// A wrapper with three descendants: one in its group, one in a group of its own, one in a session
/// of its own whose parent has ended. Prints their pids.
fn tree() {
    use std::os::unix::process::CommandExt;
    let own = std::env::current_exe().unwrap();
    let quiet = |mode: &str| {
        let mut command = std::process::Command::new(&own);
        command.arg(mode).stdin(std::process::Stdio::null());
        command
    };
    let near = quiet("sleep").spawn().unwrap().id();
    let apart = quiet("sleep").process_group(0).spawn().unwrap().id();
    let far =
        std::process::Command::new("setsid").args(["--fork", "/bin/sleep", "60"]).spawn().unwrap().wait();
    far.unwrap();
    println!("{} {near} {apart}", std::process::id());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// Lives on after the end of its input and after SIGTERM.
fn stubborn() {
    let mut mask = nix::sys::signal::SigSet::empty();
    mask.add(nix::sys::signal::Signal::SIGTERM);
    mask.thread_block().unwrap();
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

fn flood_stderr() {
    use std::io::Write;
    let mut stderr = std::io::stderr().lock();
    for n in 0..100_000 {
        writeln!(stderr, "line {n} of a server that talks too much").unwrap();
    }
    println!("done");
}

fn supervisor() -> Supervisor {
    Supervisor::this_executable()
}

fn own(mode: &str) -> Command {
    Command::new(std::env::current_exe().unwrap()).arg(mode).env("PATH", "/usr/bin:/bin")
}

/// A gateway with one server, to be killed.
#[tokio::main]
async fn gateway() {
    let mode = std::env::args().nth(2).unwrap();
    let grace = Grace { after_close: Duration::from_millis(200), after_term: Duration::from_millis(200) };
    let limits = Limits { orphaned: grace, ..Limits::default() };
    let mut child = Child::spawn(&supervisor(), own(&mode), limits).await.unwrap();
    let line = child.stdout.as_mut().unwrap().next().await.unwrap().unwrap();
    println!("{} {}", child.pid(), String::from_utf8_lossy(&line));
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// 100 servers one after the other, then what is left: children and descriptors before and after.
#[tokio::main]
async fn rounds() {
    use tokio::io::AsyncWriteExt;
    let mut before = 0;
    for round in 0..100 {
        let mut child =
            Child::spawn(&supervisor(), Command::new("/bin/cat"), Limits::default()).await.unwrap();
        child.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
        assert_eq!(child.stdout.as_mut().unwrap().next().await.unwrap().unwrap(), "hello");
        if round % 2 == 0 {
            child.shutdown(Grace::default()).await;
        } else {
            let ended = child.ended();
            drop(child);
            ended.await;
        }
        if round == 0 {
            before = descriptors().len();
        }
    }
    let own = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let children: String = own.map(|t| std::fs::read_to_string(t.path().join("children")).unwrap()).collect();
    println!("before {before} after {} children {:?}", descriptors().len(), children.trim());
}
