//! Real processes. No test sleeps to wait for something; each waits for the thing itself.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use callgate_launch::{
    Cause, Child, Command, EnvValue, Exit, Grace, LaunchError, Limits, Status, Supervisor,
};
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const PARTS: &str = env!("CARGO_BIN_EXE_launch-test-parts");

fn supervisor() -> Supervisor {
    Supervisor { program: PARTS.into(), args: vec!["__supervise".into()] }
}

fn part(mode: &str) -> Command {
    Command::new(PARTS).arg(mode).env("PATH", "/usr/bin:/bin")
}

async fn spawn(command: Command) -> Child {
    Child::spawn(&supervisor(), command, Limits::default()).await.unwrap()
}

async fn line(child: &mut Child) -> String {
    let line = child.stdout.as_mut().unwrap().next().await.unwrap().unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

fn short() -> Grace {
    Grace { after_close: Duration::from_millis(100), after_term: Duration::from_millis(100) }
}

fn alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Waits until none of these processes exists, at most ten seconds.
fn gone(pids: &[String]) -> bool {
    for _ in 0..1000 {
        if !pids.iter().any(|pid| alive(pid)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// All descendants of `pid`, itself first.
fn descendants(pid: i32) -> Vec<String> {
    let mut found = vec![pid.to_string()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children: Vec<String> = tasks
            .flat_map(|task| {
                let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_server_speaks_over_its_own_pipes_and_ends_when_its_input_does() {
    let mut child = spawn(Command::new("/bin/cat")).await;
    child.stdin.as_mut().unwrap().write_all(b"{\"a\":1}\r\n").await.unwrap();
    assert_eq!(line(&mut child).await, "{\"a\":1}");
    assert_eq!(child.exited(), None);
    let exit = child.shutdown(Grace::default()).await;
    assert_eq!(exit, Exit { status: Status::Code(0), cause: Cause::Closed });
    assert_eq!(exit.to_string(), "exited with code 0 after its input was closed");
}

#[tokio::test]
async fn a_server_sees_only_what_was_named() {
    // a descriptor without close-on-exec, as a careless library leaves one behind
    let careless = std::fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&careless, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut command = part("show").arg("$HOME; `id`").env("KEY", EnvValue::secret(b"s3cret"));
    command.cwd = Some("/usr".into());
    let mut child = spawn(command).await;
    assert_eq!(line(&mut child).await, r#"args ["$HOME; `id`"]"#);
    assert_eq!(line(&mut child).await, r#"env [("KEY", "s3cret"), ("PATH", "/usr/bin:/bin")]"#);
    assert_eq!(line(&mut child).await, r#"fds ["0", "1", "2"]"#);
    assert_eq!(line(&mut child).await, "cwd /usr");
    let (pid, supervisor) = (child.pid(), parent(child.pid()));
    assert_eq!(line(&mut child).await, format!("group {pid} session {supervisor} pid {pid}"));
    assert_eq!(line(&mut child).await, "blocked SigBlk:\t0000000000000000");
    assert_eq!(line(&mut child).await.split_whitespace().collect::<Vec<_>>()[5..7], ["0", "0"]);
    child.shutdown(Grace::default()).await;
}

#[tokio::test]
async fn a_secret_is_neither_in_the_arguments_nor_in_the_environment_of_the_supervisor() {
    let child = spawn(part("sleep").env("KEY", EnvValue::secret(b"s3cret"))).await;
    let supervisor = parent(child.pid());
    for file in ["cmdline", "environ"] {
        let shown = std::fs::read(format!("/proc/{supervisor}/{file}")).unwrap_or_default();
        assert!(!shown.windows(6).any(|bytes| bytes == b"s3cret"), "{file}");
    }
    assert!(!format!("{:?}", EnvValue::secret(b"s3cret")).contains("s3"));
    child.shutdown(short()).await;
}

#[tokio::test]
async fn what_cannot_start_says_why_and_leaves_nothing() {
    let failed = async |command: Command| match Child::spawn(&supervisor(), command, Limits::default()).await
    {
        Ok(child) => format!("{child:?} started and {} {}", child.wait().await, child.stderr_tail()),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        failed(Command::new("no-such-server").env("PATH", "/bin")).await,
        "`no-such-server` was not found; give a path, or name a PATH in which it is"
    );
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server");
    std::fs::write(&script, "echo a shell ran this").unwrap();
    let name = script.display();
    assert_eq!(
        failed(Command::new(&script)).await,
        format!("`{name}` may not be executed; check its mode and owner")
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let no_shell = failed(Command::new(&script)).await;
    assert!(no_shell.starts_with(&format!("cannot start `{name}`: Exec format error")), "{no_shell}");
    let mut lost = Command::new("/bin/cat");
    lost.cwd = Some("/no/such".into());
    assert!(failed(lost).await.starts_with("cannot start in the directory `/no/such`: "));
    assert!(failed(Command::new("/bin/cat").arg("a\0b")).await.starts_with("cannot start `/bin/cat`: "));
    let none = Supervisor { program: "/no/supervisor".into(), args: vec![] };
    let error = Child::spawn(&none, Command::new("/bin/cat"), Limits::default()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Supervisor(_)), "{error}");
    let other = Supervisor { program: "/bin/true".into(), args: vec![] };
    let error = Child::spawn(&other, Command::new("/bin/cat"), Limits::default()).await.unwrap_err();
    assert!(matches!(error, LaunchError::SupervisorLost { .. }), "{error}");
    let deaf = Supervisor { program: "/bin/sleep".into(), args: vec!["1".into()] };
    let limits = Limits { start_max: Duration::from_millis(50), ..Limits::default() };
    let error = Child::spawn(&deaf, Command::new("/bin/cat"), limits).await.unwrap_err();
    assert!(matches!(error, LaunchError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_reported_with_its_code_or_signal() {
    let child = spawn(Command::new("/bin/false")).await;
    assert_eq!(child.wait().await, Exit { status: Status::Code(1), cause: Cause::Itself });
    let child = spawn(part("sleep")).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.pid()), nix::sys::signal::Signal::SIGABRT)
        .unwrap();
    assert_eq!(child.wait().await.to_string(), "was ended by SIGABRT by itself");
}

#[tokio::test]
async fn a_server_that_ignores_the_end_of_its_input_is_told_and_one_that_ignores_that_is_killed() {
    let mut child = spawn(part("sleep")).await;
    assert!(child.stdin.take().is_some());
    assert_eq!(child.shutdown(short()).await, Exit { status: Status::Signal(15), cause: Cause::Terminated });
    let mut child = spawn(part("stubborn")).await;
    assert_eq!(line(&mut child).await, "ready");
    assert_eq!(child.shutdown(short()).await, Exit { status: Status::Signal(9), cause: Cause::Killed });
}

#[tokio::test]
async fn grandchildren_in_groups_and_sessions_of_their_own_end_with_the_server() {
    let mut child = spawn(part("tree")).await;
    line(&mut child).await;
    let supervisor = parent(child.pid());
    let family = descendants(supervisor);
    assert_eq!(family.len(), 5, "supervisor, server and three more: {family:?}");
    child.shutdown(short()).await;
    assert!(!family.iter().any(|pid| alive(pid)), "{family:?}");
}

#[tokio::test]
async fn grandchildren_end_when_the_server_crashes() {
    let mut child = spawn(part("tree")).await;
    line(&mut child).await;
    let family = descendants(parent(child.pid()));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.pid()), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    assert_eq!(child.wait().await.status, Status::Signal(9));
    assert!(!family.iter().any(|pid| alive(pid)), "{family:?}");
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let limits = Limits { orphaned: short(), ..Limits::default() };
    let mut child = Child::spawn(&supervisor(), part("stubborn"), limits).await.unwrap();
    assert_eq!(line(&mut child).await, "ready");
    let ended = child.ended();
    drop(child);
    assert_eq!(ended.await.status, Status::Signal(9));
}

#[tokio::test]
async fn killing_the_supervisor_kills_the_server_and_its_group() {
    let mut child = spawn(part("tree")).await;
    let pids = line(&mut child).await;
    let supervisor = parent(child.pid());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    let left: Vec<String> = descendants(supervisor);
    assert_eq!(child.wait().await.status, Status::Lost);
    let mut pids = pids.split(' ').map(str::to_owned);
    assert!(gone(&[pids.next().unwrap(), pids.next().unwrap()]), "{left:?}");
    // what left the group survives its supervisor: the known limit
    for pid in pids {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.parse().unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .ok();
    }
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_ends_its_server_first() {
    let mut child = spawn(part("tree")).await;
    line(&mut child).await;
    let supervisor = parent(child.pid());
    let family = descendants(supervisor);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    assert_eq!(child.wait().await, Exit { status: Status::Signal(15), cause: Cause::Terminated });
    assert!(!family.iter().any(|pid| alive(pid)), "{family:?}");
}

#[tokio::test]
async fn a_flood_on_stderr_blocks_nobody_and_its_end_is_kept() {
    let mut child = spawn(part("flood-stderr")).await;
    assert_eq!(line(&mut child).await, "done");
    child.wait().await;
    assert!(child.stderr_tail().contains("line 99999 "));
    assert_eq!(child.stderr_tail().len(), Limits::default().stderr_bytes_kept);
    assert!(!format!("{child:?}").contains("108, 105, 110, 101"), "the bytes of `line`");
    assert!(format!("{child:?}").len() < 2000);
}

#[tokio::test]
async fn limits_reach_the_server() {
    let limits = Limits { open_files_max: Some(64), memory_bytes_max: Some(1 << 30), ..Limits::default() };
    let command = Command::new("/bin/cat").arg("/proc/self/limits");
    let mut child = Child::spawn(&supervisor(), command, limits).await.unwrap();
    let mut shown = String::new();
    while let Some(line) = child.stdout.as_mut().unwrap().next().await.unwrap() {
        shown += std::str::from_utf8(&line).unwrap();
        shown.push('\n');
    }
    let of = |name: &str| {
        shown.lines().find(|l| l.starts_with(name)).unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    assert_eq!((of("Max open files"), of("Max data size")), ("64".to_owned(), (1u64 << 30).to_string()));
}

/// Starts a process like the gateway, kills it with SIGKILL and waits for its servers to go.
fn killed_gateway(mode: &str, family: usize) {
    let mut gateway = std::process::Command::new(PARTS)
        .args(["gateway", mode])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let server: i32 = first.split(' ').next().unwrap().parse().unwrap();
    let pids = descendants(parent(server));
    assert_eq!(pids.len(), family, "{first}");
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(gone(&pids), "{pids:?}");
}

#[test]
fn sigkill_of_the_gateway_ends_servers_with_all_their_descendants() {
    killed_gateway("tree", 5);
}

#[test]
fn sigkill_of_the_gateway_ends_a_server_that_ignores_everything() {
    killed_gateway("stubborn", 2);
}

#[test]
fn a_hundred_rounds_leave_no_process_and_no_descriptor() {
    let output = std::process::Command::new(PARTS).arg("rounds").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words[1], words[3], "{shown} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(words[5], "\"\"", "{shown}");
}

#[test]
fn a_supervisor_started_by_hand_says_so_with_its_exit_code() {
    for args in [&["__supervise"][..], &["__supervise", "0"], &["__supervise", "77"], &["__supervise", "x"]] {
        let status = std::process::Command::new(PARTS).args(args).status().unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn what_would_not_start_is_known_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tool");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    let here = |program: &str| Command::new(program).env("PATH", folder.path().to_str().unwrap());
    assert!(matches!(here("tool").look(), Err(LaunchError::NotFound { .. })), "it may not be executed");
    let path = file.to_str().unwrap();
    assert!(matches!(Command::new(path).look(), Err(LaunchError::NotExecutable { .. })));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(here("tool").look().is_ok() && Command::new(path).look().is_ok());
    assert!(matches!(Command::new("tool").look(), Err(LaunchError::NotFound { .. })), "there is no PATH");
    let mut within = Command::new("./tool");
    within.cwd = Some(folder.path().to_owned());
    assert!(within.look().is_ok(), "relative to its folder");
    within.cwd = Some(folder.path().join("nowhere"));
    assert!(matches!(within.look(), Err(LaunchError::Directory { .. })));
}
