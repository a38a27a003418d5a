//! Two gateways where there may be one.

use crate::{
    bed::{Bed, free_port, until},
    yard::{Yard, copy_dir},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

fn second(yard: &Yard, name: &str, database: &str) -> (i32, String) {
    yard.bed.write(
        &format!("{name}/callgate.toml"),
        &format!(
            "listen = \"127.0.0.1:{}\"\nstate-dir = \"state\"\ndatabase = \"{database}\"\n",
            free_port()
        ),
    );
    let said = yard.refused(&["serve", "--config", &format!("{name}/callgate.toml")]);
    (said.code, said.err)
}

#[test]
fn a_second_gateway_on_one_database_refuses_plainly_by_whatever_path_it_comes() {
    let yard = Yard::new();
    let gateway = yard.serve();
    let database = yard.bed.path("state/callgate.db");
    symlink(&database, yard.bed.path("link.db")).unwrap();
    symlink(yard.bed.path("state"), yard.bed.path("folder")).unwrap();
    symlink(yard.bed.path("link.db"), yard.bed.path("link-to-link.db")).unwrap();
    let ways = [
        format!("sqlite:{}", database.display()),
        "sqlite:../state/callgate.db".to_owned(),
        "sqlite:../link.db".to_owned(),
        "sqlite:../link-to-link.db".to_owned(),
        "sqlite:../folder/callgate.db".to_owned(),
        "sqlite:../other-0/.././state/callgate.db".to_owned(),
    ];
    let expected = format!("another gateway (process {}) is using the database", gateway.pid());
    for (number, way) in ways.iter().enumerate() {
        let (code, err) = second(&yard, &format!("other-{number}"), way);
        assert!(code == 1 && err.contains(&expected), "{way}: {err}");
    }
    assert_eq!(gateway.get("/readyz").0, 200, "the first is untouched");
    let mut host = yard.host("desk");
    host.greet().unwrap();
    assert!(host.call("deed-one.").unwrap().message["result"].is_object());
    // a dead one is in nobody's way
    gateway.kill();
    assert_eq!(yard.serve().stop(), 0);
}

#[test]
fn a_second_gateway_on_one_ledger_refuses_plainly() {
    let yard = Yard::new();
    assert_eq!(yard.serve().stop(), 0);
    fs::create_dir_all(yard.bed.path("other/state")).unwrap();
    // without a database of its own it would be refused for that
    fs::copy(yard.bed.path("state/callgate.db"), yard.bed.path("other/own.db")).unwrap();
    let gateway = yard.serve();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(yard.bed.path("other/state"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(yard.ledger(), yard.bed.path("other/state/ledger")).unwrap();
    let (code, err) = second(&yard, "other", "sqlite:own.db");
    assert!(code == 1 && err.contains("another gateway has the ledger"), "{err}");
    symlink(yard.bed.path("state"), yard.bed.path("same")).unwrap();
    yard.bed.write("third.toml", &format!("listen = \"127.0.0.1:{}\"\nstate-dir = \"same\"\n", free_port()));
    let said = yard.refused(&["serve", "--config", "third.toml"]);
    assert!(said.code == 1 && said.err.contains("running already"), "{}", said.err);
    assert_eq!(gateway.stop(), 0);
}

/// The gateway that holds this database, as it wrote itself.
fn holder(lock: &Path) -> Option<String> {
    let pid = fs::read_to_string(lock).ok()?.trim().to_owned();
    let alive = fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    (alive && !pid.is_empty()).then_some(pid)
}

#[test]
fn serve_and_wraps_that_race_are_one_gateway_also_after_it_was_killed() {
    let yard = Yard::new();
    let config = "home/.config/callgate/callgate.toml";
    yard.bed.write(config, &format!("listen = \"127.0.0.1:{}\"\n", free_port()));
    let lock = yard.bed.path("home/.local/state/callgate/callgate.db.lock");
    for round in 0..4 {
        let start = |args: &[&str], input: Stdio| {
            let mut command = yard.bed.command();
            command.args(args).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let script = yard.bed.path("notes.sh");
        let wrap = ["wrap", "--", "/bin/sh", script.to_str().unwrap()];
        let wraps: Vec<_> = (0..3).map(|_| start(&wrap, Stdio::null())).collect();
        let mut serve = start(&["serve", "--config", config], Stdio::null());
        // a Host that says nothing and leaves: the wrap ends well when it found or started the gateway
        for wrap in wraps {
            let output = wrap.wait_with_output().unwrap();
            assert!(output.status.success(), "{round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        until("somebody serves", || holder(&lock).is_some());
        let pid = holder(&lock).unwrap();
        if pid != serve.id().to_string() {
            let output = serve.wait_with_output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && err.contains("running already"), "{round}: {err}");
        } else {
            assert!(serve.try_wait().unwrap().is_none());
            serve.kill().unwrap();
            serve.wait().unwrap();
            continue;
        }
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        until("it is gone", || holder(&lock).is_none());
    }
}

/// A bed with the server `notes` whose gateway keeps what people decide in PostgreSQL.
fn on_postgresql(database: &str) -> Bed {
    let bed = Bed::with_notes();
    bed.write("callgate.toml", &format!("database = \"{database}\"\n{}", bed.notes_config(free_port())));
    bed
}

/// Runs the gateway of another folder until it ends by itself, or for a minute.
fn refused(bed: &Bed, config: &str) -> (Option<i32>, String) {
    let mut command = bed.command();
    command.args(["serve", "--config", config]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_copy_of_a_state_folder_does_not_begin_beside_its_gateway_or_behind_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(database) = crate::cluster::address() else { return };
    let bed = on_postgresql(&database);
    bed.serve().stop();
    copy_dir(&bed.path("state"), &bed.path("copy/state"));
    fs::set_permissions(bed.path("copy/state"), fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!("listen = \"127.0.0.1:{}\"\nstate-dir = \"state\"\n", free_port());
    bed.write("copy/callgate.toml", &format!("database = \"{database}\"\n{config}"));
    let gateway = bed.serve();
    let ((code, err), command) = std::thread::scope(|scope| {
        let command = scope.spawn(|| bed.run(&["agent", "add", "x", "--config", "copy/callgate.toml"]));
        (refused(&bed, "copy/callgate.toml"), command.join().unwrap())
    });
    assert!(code == Some(1) && err.contains("(log-claimed)"), "{code:?} {err}");
    assert!(err.contains("waiting, for 30 s at most"), "it says for what it waits: {err}");
    assert!(command.code == 1 && command.err.contains("(log-claimed)"), "{command:?}");
    assert!(!command.err.contains("in use by a process"), "it knows which: {command:?}");
    assert_eq!(gateway.get("/readyz").0, 200, "the first is untouched");
    gateway.stop();
    let (code, err) = refused(&bed, "copy/callgate.toml");
    assert!(code == Some(1) && err.contains("it is an older copy"), "{code:?} {err}");
    assert_eq!(bed.serve().stop(), 0);
}

#[test]
fn a_gateway_whose_database_is_away_says_so_and_takes_no_calls() {
    let Some(database) = crate::cluster::address() else { return };
    let bed = on_postgresql(&database);
    let empty = bed.json(&["check"]);
    assert_eq!(empty["store"], serde_json::json!([]), "{empty}");
    for _ in 0..2 {
        let none = bed.run(&["audit", "list"]);
        assert!(none.code == 0 && none.out.contains("is empty"), "nothing is made in it: {none:?}");
    }
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    let (_, folder) = database.split_once("host=").unwrap();
    let postmaster = fs::read_to_string(Path::new(folder).join("data/postmaster.pid")).unwrap();
    let pid = postmaster.lines().next().unwrap();
    assert!(Command::new("kill").args(["-QUIT", pid]).status().unwrap().success());
    until("it is not ready", || gateway.get("/readyz").0 == 503);
    until("it takes no calls", || {
        gateway.call(&token, &session, "read_note").to_string().contains("log-unclaimed")
    });
    assert_eq!(gateway.get("/healthz").0, 200);
    bed.write("policies/wrong.cedar", "@id(\"wrong\") permit (principal");
    let said = bed.run(&["check"]);
    assert!(said.code == 3 && said.out.contains("cannot be used"), "{said:?}");
    assert!(!said.out.contains("locked by somebody"), "{said:?}");
    assert!(said.err.contains("wrong.cedar"), "the rest is looked at: {said:?}");
    gateway.kill();
}

#[test]
fn a_gateway_whose_database_is_read_only_says_so_and_takes_no_calls() {
    let Some(database) = crate::cluster::address() else { return };
    let bed = on_postgresql(&database);
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    let call = || gateway.call(&token, &session, "read_note").to_string();
    assert!(call().contains("a note"));
    let (_, folder) = database.split_once("host=").unwrap();
    let data = Path::new(folder).join("data");
    let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap().lines().next().unwrap().to_owned();
    let set = |read_only: &str| {
        fs::write(
            data.join("postgresql.auto.conf"),
            format!("default_transaction_read_only = {read_only}\n"),
        )
        .unwrap();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    assert!(bed.run(&["audit", "list"]).out.contains("read_note"));
    set("on");
    until("it is not ready", || gateway.get("/readyz").0 == 503);
    assert!(call().contains("database-unavailable"), "what is said is so");
    for command in [&["check"][..], &["agent", "list"]] {
        let said = bed.run(command);
        assert!(said.code == 0, "whoever reads can: {command:?}: {said:?}");
    }
    // the refused call is in the record, and not in the index
    let said = bed.run(&["audit", "list", "--json"]);
    assert!(said.code == 4 && said.err.contains("so what was called since"), "{said:?}");
    assert!(said.out.contains("read_note"), "{said:?}");
    set("off");
    until("it is ready", || gateway.get("/readyz").0 == 200);
    until("it takes calls", || call().contains("a note"));
    assert_eq!(gateway.stop(), 0);
}
