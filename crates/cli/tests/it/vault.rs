//! The vault through the binary: where its key comes from, how it is changed while the gateway serves, and dates.

use crate::bed::{Bed, Served, until};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

const USES: &str = "[[servers.notes.credentials]]\nsecret = \"notes-key\"\nenv = \"NOTES_KEY\"\n";

/// A bed whose server needs a secret, with these lines about the vault.
fn bed(vault: &str) -> Bed {
    let bed = Bed::with_notes();
    configure(&bed, vault);
    bed
}

fn configure(bed: &Bed, vault: &str) {
    let port = bed.port();
    bed.write("callgate.toml", &format!("{}{USES}{vault}", bed.notes_config(port)));
}

fn private(bed: &Bed, name: &str, content: &[u8]) {
    fs::write(bed.path(name), content).unwrap();
    fs::set_permissions(bed.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// What the running server was given, as its own process shows it.
fn children_with(gateway: &Served, needle: &str) -> usize {
    let holds = |pid: &str| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    descendants(gateway.pid()).iter().filter(|pid| holds(pid)).count()
}

fn descendants(pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![pid.to_string()];
    while let Some(pid) = left.pop() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            left.extend(children.split_whitespace().map(str::to_owned));
        }
        found.push(pid);
    }
    found
}

fn ready(bed: &Bed, gateway: &Served) -> (String, String) {
    let token = bed.token("bot");
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    (token, session)
}

#[test]
fn the_key_comes_from_the_environment_and_is_taken_out_of_it() {
    let key = BASE64_STANDARD.encode([0x5a; 32]);
    let bed = bed("[vault]\nkey = { env = \"VAULT_KEY\" }\n");
    let said = bed.run_with(&["secret", "set", "notes-key"], "hunter2-and-more");
    assert!(said.code == 1 && said.err.contains("`VAULT_KEY` is not set"), "{}", said.err);
    let with = |key: &str, args: &[&str], input: &str| bed.run_env(&[("VAULT_KEY", key)], args, input);
    let bad = with("correct horse", &["secret", "set", "notes-key"], "x");
    assert!(
        bad.code == 1 && bad.err.contains("is no key") && !bad.err.contains("correct horse"),
        "{}",
        bad.err
    );
    assert_eq!(with(&key, &["secret", "set", "notes-key"], "hunter2-and-more").code, 0);
    assert!(!bed.path("state/secrets.key").exists());
    assert!(bed.files_with("state", &key).is_empty());
    let other = BASE64_STANDARD.encode([0x5b; 32]);
    let check = with(&other, &["check"], "");
    assert!(check.code == 3 && check.out.contains("the key opens nothing"), "{}", check.out);

    let gateway = bed.serve_env(&[("VAULT_KEY", &key)]);
    let (token, session) = ready(&bed, &gateway);
    assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
    assert_eq!(children_with(&gateway, "hunter2-and-more"), 1, "the server got its secret");
    assert_eq!(
        children_with(&gateway, &key),
        0,
        "neither the gateway's own environment has the key, nor a child's"
    );
    assert_eq!(gateway.stop(), 0);
    assert!(!bed.log().contains(&key));
}

#[test]
fn the_key_is_a_credential_of_systemd_or_made_of_a_passphrase() {
    let bed = bed("[vault]\nkey = { credential = \"callgate\" }\n");
    let said = bed.run_with(&["secret", "set", "notes-key"], "hunter2");
    assert!(said.code == 1 && said.err.contains("LoadCredential=callgate:PATH"), "{}", said.err);
    // as systemd has it: an access list, which shows as a mode with a group in it
    fs::create_dir(bed.path("creds")).unwrap();
    fs::write(bed.path("creds/callgate"), [7; 32]).unwrap();
    fs::set_permissions(bed.path("creds/callgate"), fs::Permissions::from_mode(0o440)).unwrap();
    let folder = bed.path("creds").display().to_string();
    let with = |args: &[&str], input: &str| bed.run_env(&[("CREDENTIALS_DIRECTORY", &folder)], args, input);
    assert_eq!(with(&["secret", "set", "notes-key"], "hunter2").code, 0);
    assert_eq!(with(&["check"], "").code, 0);

    // moved under a passphrase, with both known meanwhile
    fs::write(bed.path("creds/phrase"), "six random words of a list\n").unwrap();
    let both = "[vault]\nkey = { passphrase = { credential = \"phrase\" } }\nold-keys = [{ credential = \"callgate\" }]\n";
    configure(&bed, both);
    let check = with(&["check"], "");
    assert_eq!(check.code, 0, "the old key still opens: {}", check.out);
    let moved = with(&["secret", "rotate"], "");
    assert!(moved.code == 0 && moved.out.contains("moved 1"), "{} {}", moved.out, moved.err);
    configure(&bed, "[vault]\nkey = { passphrase = { credential = \"phrase\" } }\n");
    assert_eq!(with(&["check"], "").code, 0);
    let kdf = fs::read_to_string(bed.path("state/secrets.kdf")).unwrap();
    assert!(kdf.contains("argon2id") && kdf.contains("65536"), "{kdf}");

    // a file that others may read, a wrong phrase and a short one
    configure(&bed, "[vault]\nkey = { passphrase = { file = \"phrase\" } }\n");
    fs::write(bed.path("phrase"), "six random words of a list").unwrap();
    fs::set_permissions(bed.path("phrase"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(bed.run(&["check"]).out.contains("chmod 600"));
    private(&bed, "phrase", b"six random words of a list");
    assert_eq!(bed.run(&["check"]).code, 0);
    private(&bed, "phrase", b"six other words of a list");
    let nothing = "the passphrase opens nothing of what is stored";
    assert!(bed.run(&["check"]).out.contains(nothing));
    for said in [bed.run_with(&["secret", "set", "other"], "hunter2-and-more"), bed.run(&["serve"])] {
        assert!(said.code == 1 && said.err.contains(nothing), "{said:?}");
    }
    let listed = bed.run(&["secret", "list"]);
    assert!(listed.out.contains("not opened") && listed.err.contains(nothing), "{listed:?}");
    assert_eq!(bed.json(&["secret", "list"]).as_array().unwrap().len(), 1, "nothing was sealed under it");
    private(&bed, "phrase", b"six random words of a list");
    let listed = bed.json(&["secret", "list"]);
    assert_eq!((&listed[0]["state"], &listed[0]["opens"]), (&"good".into(), &true.into()));
    private(&bed, "phrase", b"hunter2");
    assert!(bed.run(&["check"]).out.contains("at least 12"));
    let own = bed.run(&["secret", "rotate"]);
    assert!(own.code == 2 && own.err.contains("vault.old-keys"), "{}", own.err);
}

#[test]
fn a_list_says_which_values_no_key_at_hand_opens() {
    let bed = bed("[vault]\nkey = { file = \"key\" }\n");
    private(&bed, "key", &[7; 32]);
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2").code, 0);
    // moved half-way: what is new is under the new key, and the old one is taken out too early
    private(&bed, "old", &[7; 32]);
    private(&bed, "key", &[8; 32]);
    configure(&bed, "[vault]\nkey = { file = \"key\" }\nold-keys = [{ file = \"old\" }]\n");
    assert_eq!(bed.run_with(&["secret", "set", "other"], "hunter2").code, 0);
    configure(&bed, "[vault]\nkey = { file = \"key\" }\n");
    let check = bed.run(&["check"]);
    assert!(check.code == 3 && check.out.contains("sealed under a key that is not there"), "{}", check.out);
    let listed = bed.run(&["secret", "list"]);
    let line = |name: &str| listed.out.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("notes-key").contains("sealed under a key that is not there"), "{listed:?}");
    assert!(line("other").contains("good"), "{listed:?}");
    let listed = bed.json(&["secret", "list"]);
    let listed = listed.as_array().unwrap();
    let opens: Vec<_> =
        listed.iter().map(|one| (one["secret"].as_str().unwrap(), one["opens"].as_bool())).collect();
    assert_eq!(opens, [("notes-key", Some(false)), ("other", Some(true))]);
}

#[test]
fn a_replaced_value_under_a_lost_key_says_nothing_of_the_one_in_force_and_a_rotation_names_it() {
    let bed = bed("[vault]\nkey = { file = \"key\" }\n");
    private(&bed, "key", &[7; 32]);
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-first").code, 0);
    private(&bed, "old", &[7; 32]);
    private(&bed, "key", &[8; 32]);
    let both = "[vault]\nkey = { file = \"key\" }\nold-keys = [{ file = \"old\" }]\n";
    configure(&bed, both);
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-second").code, 0);
    configure(&bed, "[vault]\nkey = { file = \"key\" }\n");
    let check = bed.run(&["check"]);
    assert!(!check.out.contains("sealed under a key"), "{}", check.out);
    let listed = bed.json(&["secret", "list"]);
    assert_eq!((&listed[0]["version"], &listed[0]["opens"]), (&2.into(), &true.into()));
    let left = bed.run(&["secret", "rotate"]);
    assert!(left.code == 3 && !left.err.contains("another installation"), "{left:?}");
    assert!(left.err.contains("secret `notes-key`, version 1, is under a key that is not there"), "{left:?}");
    assert!(left.err.contains("it was replaced"), "{left:?}");
}

#[test]
fn a_value_that_no_header_takes_is_told_when_it_is_set_and_by_check() {
    let bed = bed("");
    let port = bed.port();
    let server = "[servers.web]\nurl = \"http://127.0.0.1:9/mcp\"\n\
        credentials = [{ secret = \"web-key\", header = \"Authorization\", prefix = \"Bearer \" }]\n";
    bed.write("callgate.toml", &format!("{}{USES}{server}", bed.notes_config(port)));
    let noted = "begins with a byte order mark";
    let said = bed.run_with(&["secret", "set", "web-key"], "\u{feff}hunter2-and-more");
    assert!(said.code == 0 && said.err.contains(noted) && said.err.contains("secret-unusable"), "{said:?}");
    // as a variable of a child it may stand
    let said = bed.run_with(&["secret", "set", "notes-key"], "h\u{fc}nter2-and-more");
    assert!(said.code == 0 && !said.err.contains("secret-unusable"), "{said:?}");
    let check = bed.run(&["check"]);
    assert!(
        check.code == 3 && check.out.contains("secret `web-key` cannot stand in a header"),
        "{}",
        check.out
    );
    assert!(!check.out.contains("notes-key"), "{}", check.out);
    let said = bed.run_with(&["secret", "set", "web-key"], "hunter2-and-more\r\n");
    assert!(said.code == 0 && !said.err.contains("begins") && !said.err.contains("ends with"), "{said:?}");
    assert!(!bed.run(&["check"]).out.contains("cannot stand"));
}

/// A bed with two servers that name the same secret.
fn shared() -> Bed {
    let bed = Bed::with_notes();
    let server = |name: &str| {
        format!(
            "[servers.{name}]\nurl = \"https://{name}.example/mcp\"\n\
             credentials = [{{ secret = \"key\", header = \"Authorization\" }}]\n"
        )
    };
    let port = bed.port();
    bed.write("callgate.toml", &format!("{}{}{}", bed.notes_config(port), server("kid"), server("payments")));
    bed
}

#[test]
fn another_value_is_for_whom_the_first_was_and_who_cannot_have_it_is_said() {
    let bed = shared();
    let set = |args: &[&str]| bed.run_with(&[&["secret", "set", "key"], args].concat(), "hunter2-and-more");
    let said = set(&["--server", "kid", "--expires", "90d", "--rotate-by", "60d"]);
    assert!(said.code == 0 && said.err.contains("`payments` names it too and is not given it"), "{said:?}");
    let check = bed.run(&["check"]).out;
    assert!(
        check.contains("server `payments` needs the secret `key`: it is stored, but only for `kid`"),
        "{check}"
    );
    assert_eq!(bed.json(&["check"])["missing-secrets"][0]["only-for"], serde_json::json!(["kid"]));
    let dates = |one: &serde_json::Value| (one["expires"].clone(), one["rotate-by"].clone());
    let first = bed.json(&["secret", "list"])[0].clone();
    let said = set(&[]);
    assert!(said.code == 0 && said.err.contains("as before, it is for `kid` alone"), "{said:?}");
    let again = bed.json(&["secret", "list"])[0].clone();
    assert_eq!((&again["version"], &again["only-server"]), (&2.into(), &"kid".into()));
    assert_eq!(dates(&again).0, dates(&first).0, "and ends when it did");
    assert!(dates(&again).1.is_string());
    assert_eq!(
        (&again["used-by"], &again["not-given"]),
        (&serde_json::json!(["kid"]), &serde_json::json!(["payments"]))
    );
    let listed = bed.run(&["secret", "list"]).out;
    assert!(listed.contains("not payments"), "{listed}");

    let said = set(&["--server", "payments"]);
    assert!(said.err.contains("it was for `kid` alone, and is for `payments` alone now"), "{said:?}");
    assert_eq!(set(&["--server", "kid", "--any-server"]).code, 2);
    let said = set(&["--any-server", "--expires", "never", "--rotate-by", "never"]);
    assert!(said.code == 0 && said.err.contains("is for any server that names it now"), "{said:?}");
    let last = bed.json(&["secret", "list"])[0].clone();
    assert_eq!((&last["only-server"], dates(&last)), (&serde_json::Value::Null, Default::default()));
    assert_eq!(last["used-by"], serde_json::json!(["kid", "payments"]));
    assert!(!bed.run(&["check"]).out.contains("needs the secret"));
    // the end of a value is not that of the next one once it is over
    assert_eq!(set(&["--expires", "1s"]).code, 0);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let said = bed.run_with(&["secret", "rotate", "key"], "hunter2-again");
    assert!(said.code == 0 && said.err.contains("the end of the old value is over"), "{said:?}");
    assert!(bed.json(&["secret", "list"])[0]["expires"].is_null());
}

#[test]
fn a_persons_secrets_go_with_them_and_are_not_given_to_who_has_the_name_later() {
    let bed = Bed::with_notes();
    let config = bed.notes_config(1)
        + "authority = \"per-user\"\n[[servers.notes.credentials]]\nsecret = \"key\"\nenv = \"NOTES_KEY\"\n";
    bed.write("callgate.toml", &config);
    let set = || bed.run_with(&["secret", "set", "key", "--user", "alice"], "hunter2-of-alice");
    let said = set();
    assert!(said.code == 0 && said.err.contains("nobody is called `alice` here"), "{said:?}");
    assert_eq!(bed.run(&["user", "add", "alice"]).code, 0);
    let one = bed.json(&["secret", "list"])[0].clone();
    assert_eq!((&one["of-somebody-before"], &one["used-by"]), (&true.into(), &serde_json::json!([])));
    assert!(bed.run(&["check"]).out.contains("needs the secret `key`: store it"), "it is given to nobody");
    let said = set();
    assert!(said.code == 0 && !said.err.contains("nobody is called"), "{said:?}");
    assert_eq!(bed.run(&["check"]).code, 0);
    let gone = bed.run(&["user", "remove", "alice"]);
    assert!(gone.code == 0 && gone.out.contains("theirs alone: `key`"), "{gone:?}");
    assert_eq!(bed.json(&["secret", "list"]), serde_json::json!([]));
    assert!(!bed.files_with("state/ledger", "secret-removed").is_empty(), "and the record says so");
}

#[test]
fn a_key_that_opens_nothing_is_put_in_force_nowhere() {
    let bed = bed("[vault]\nkey = { file = \"key\" }\n");
    private(&bed, "key", &[7; 32]);
    private(&bed, "other", &[8; 32]);
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-and-more").code, 0);
    let gateway = bed.serve();
    let (token, session) = ready(&bed, &gateway);
    // by a reload: the old one stays, and is said to
    configure(&bed, "[vault]\nkey = { file = \"other\" }\n");
    until("the reload is refused", || bed.log().contains("THE OLD ONE STAYS IN FORCE"));
    assert!(bed.log().contains("(key-opens-nothing)"), "{}", bed.log());
    assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
    assert_eq!(gateway.stop(), 0);
    // by a start, and by a command
    for said in [bed.run_with(&["secret", "set", "other"], "hunter2-and-more"), bed.run(&["serve"])] {
        assert!(said.code == 1 && said.err.contains("(key-opens-nothing)"), "{said:?}");
    }
    let check = bed.json(&["check"]);
    assert_eq!((&check["ok"], &check["vault"]["code"]), (&false.into(), &"key-opens-nothing".into()));
    assert_eq!(bed.json(&["secret", "list"]).as_array().unwrap().len(), 1, "nothing was sealed under it");
    // where the old one is lost, what is left of it goes, and the new one is good
    let stored = bed.json(&["secret", "list"]);
    for one in stored.as_array().unwrap() {
        assert_eq!(bed.run(&["secret", "remove", one["secret"].as_str().unwrap()]).code, 0);
    }
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-and-more").code, 0);
    assert_eq!(bed.run(&["check"]).code, 0);
}

#[test]
fn everything_moves_under_a_new_key_while_the_gateway_serves() {
    let bed = bed("");
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-first").code, 0);
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-second").code, 0);
    let before = fs::read(bed.path("state/secrets.key")).unwrap();
    let gateway = bed.serve();
    let (token, session) = ready(&bed, &gateway);
    let (over, calls, failed) = (Arc::new(AtomicBool::new(false)), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                // each session starts a child, which takes opening the secret
                let session = gateway.session(&token);
                let answer = gateway.call(&token, &session, "read_note");
                let good = answer["result"]["content"][0]["text"] == "a note";
                calls.fetch_add(1, Ordering::SeqCst);
                failed.fetch_add(u32::from(!good), Ordering::SeqCst);
            }
        });
        let rotate = || {
            let from = calls.load(Ordering::SeqCst);
            until("calls are made", || calls.load(Ordering::SeqCst) > from + 1);
            let said = bed.run(&["secret", "rotate"]);
            assert!(said.code == 0 && said.out.contains("under the new key"), "{} {}", said.out, said.err);
            until("calls go on", || calls.load(Ordering::SeqCst) > from + 4);
        };
        rotate();
        rotate();
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(failed.into_inner(), 0, "of {} calls", calls.into_inner());
    let after = fs::read(bed.path("state/secrets.key")).unwrap();
    assert!(after.len() == 32 && after != before);
    assert!(!bed.path("state/secrets.key.next").exists());
    assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.run(&["check"]).code, 0);
    // the old key opens nothing any more
    private(&bed, "state/secrets.key", &before);
    let check = bed.run(&["check"]);
    assert!(check.code == 3 && check.out.contains("the key opens nothing"), "{}", check.out);
}

#[test]
fn a_new_value_reaches_a_new_child_and_the_old_child_ends() {
    let bed = bed("");
    assert_eq!(bed.run(&["secret", "rotate", "notes-key"]).code, 1, "there is none yet");
    assert_eq!(bed.run_with(&["secret", "set", "notes-key", "--server", "notes"], "hunter2-first").code, 0);
    let gateway = bed.serve();
    let (token, session) = ready(&bed, &gateway);
    gateway.call(&token, &session, "read_note");
    assert_eq!(children_with(&gateway, "hunter2-first"), 1);
    let said = bed.run_with(&["secret", "rotate", "notes-key"], "hunter2-second");
    assert!(said.code == 0 && said.out.contains("version 2"), "{} {}", said.out, said.err);
    let listed = bed.json(&["secret", "list"]);
    assert_eq!(
        (&listed[0]["only-server"], &listed[0]["old-versions"]),
        (&"notes".into(), &serde_json::json!([1]))
    );
    until("the old child ends", || children_with(&gateway, "hunter2-first") == 0);
    let answer = gateway.call(&token, &session, "read_note");
    assert_eq!(answer["result"]["content"][0]["text"], "a note");
    assert_eq!(children_with(&gateway, "hunter2-second"), 1);
    // a removed one takes its child along
    assert_eq!(bed.run(&["secret", "remove", "notes-key"]).code, 0);
    until("the child ends", || children_with(&gateway, "hunter2-second") == 0);
    assert!(gateway.call(&token, &session, "read_note").to_string().contains("secret-missing"));
}

#[test]
fn a_value_counts_when_the_command_that_set_it_has_ended() {
    let bed = bed("");
    let gateway = {
        assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-of-round-0-").code, 0);
        bed.serve()
    };
    let (token, _) = ready(&bed, &gateway);
    for round in 1..=6 {
        let value = format!("hunter2-of-round-{round}-");
        let said = bed.run_with(&["secret", "rotate", "notes-key"], &value);
        assert!(said.code == 0 && !said.err.contains("does not go by this yet"), "{said:?}");
        let session = gateway.session(&token);
        gateway.call(&token, &session, "read_note");
        assert_eq!(children_with(&gateway, &value), 1, "round {round}");
    }
    assert_eq!(bed.run(&["secret", "remove", "notes-key"]).code, 0);
    let session = gateway.session(&token);
    assert!(gateway.call(&token, &session, "read_note").to_string().contains("secret-missing"));
}

#[test]
fn dates_warn_before_they_bite() {
    let bed = bed("");
    let set = |args: &[&str]| bed.run_with(&[&["secret", "set", "notes-key"], args].concat(), "hunter2");
    for bad in ["yesterday", "2020-01-01", "0d"] {
        assert_eq!(set(&["--expires", bad]).code, 2, "{bad}");
    }
    assert_eq!(set(&["--expires", "90d", "--rotate-by", "60d"]).code, 0);
    let state = || bed.json(&["secret", "list"])[0]["state"].as_str().unwrap().to_owned();
    assert_eq!(state(), "good");
    assert_eq!(set(&["--expires", "90d", "--rotate-by", "10d"]).code, 0);
    assert_eq!(state(), "rotate-soon");
    let check = bed.run(&["check"]);
    assert!(check.code == 0 && check.out.contains("to be rotated by"), "{}", check.out);
    assert_eq!(set(&["--expires", "3s"]).code, 0);
    assert_eq!(state(), "expires-soon");
    let gateway = bed.serve();
    assert!(bed.log().contains("expires at"), "{}", bed.log());
    let token = bed.token("bot");
    until("it has expired", || state() == "expired");
    assert_eq!(bed.run(&["check"]).code, 3);
    let session = gateway.session(&token);
    until("calls are refused", || {
        gateway.call(&token, &session, "read_note").to_string().contains("secret-missing")
    });
    let again = bed.run_with(&["secret", "rotate", "notes-key", "--expires", "90d"], "hunter2-again");
    assert_eq!(again.code, 0, "{}", again.err);
    until("and work again", || {
        gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"] == "a note"
    });
}

/// Runs a command on a terminal of its own, answers what it asks in that order, and gives its exit code and all that
/// was on the screen. What shows `at_last` after all answers is asked to stop.
fn on_a_terminal(bed: &Bed, args: &str, answers: &[(&str, &str)], at_last: &str) -> (i32, String) {
    let plain = bed.command();
    let line = format!("exec '{}' {args}", plain.get_program().display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("SHELL", "/bin/sh").current_dir(bed.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut seen, mut left) = (Vec::new(), 0, answers.iter());
    let mut next = left.next();
    let mut buffer = [0; 4096];
    loop {
        let read = screen.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            break;
        }
        shown.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&shown).into_owned();
        if let Some((question, answer)) = next
            && let Some(at) = text.get(seen..).and_then(|rest| rest.find(question))
        {
            seen += at + question.len();
            // the question is there a moment before what is typed is hidden
            until("nothing is shown", || shows_nothing(child.id()));
            keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
            next = left.next();
        }
        if next.is_none()
            && !at_last.is_empty()
            && text.get(seen..).is_some_and(|rest| rest.contains(at_last))
        {
            // Ctrl-C
            keyboard.write_all(&[3]).unwrap();
            seen = text.len();
        }
    }
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert!(next.is_none(), "it did not ask `{:?}`: {text}", next);
    (child.wait().unwrap().code().unwrap_or(-1), text)
}

/// Whether the terminal of what `script` started hides what is typed.
fn shows_nothing(script: u32) -> bool {
    let terminal = |pid: &String| {
        let input = fs::read_link(format!("/proc/{pid}/fd/0")).ok()?;
        let told = Command::new("stty").arg("-F").arg(input).arg("-a").output().ok()?;
        Some(String::from_utf8_lossy(&told.stdout).contains("-echo "))
    };
    descendants(script).iter().skip(1).filter_map(terminal).any(|hides| hides)
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal_and_never_shown() {
    const PHRASE: &str = "six random words of a list";
    const VALUE: (&str, &str) = ("value of `notes-key`", "hunter2-and-more");
    let (phrase, again) = ("passphrase of the vault", "the same again");
    let bed = bed("[vault]\nkey = { passphrase = { prompt = true } }\n");
    // a new one is typed twice
    let typo = "six random words of a lisp";
    let (code, screen) =
        on_a_terminal(&bed, "secret set notes-key", &[VALUE, (phrase, PHRASE), (again, typo)], "");
    assert!(code == 1 && screen.contains("the two are not the same; nothing was stored"), "{code} {screen}");
    assert_eq!(bed.json(&["secret", "list"]).as_array().unwrap().len(), 0);
    let (code, screen) =
        on_a_terminal(&bed, "secret set notes-key", &[VALUE, (phrase, "short"), (again, "short")], "");
    assert!(code == 1 && screen.contains("at least 12"), "{code} {screen}");
    let (code, screen) =
        on_a_terminal(&bed, "secret set notes-key", &[VALUE, (phrase, PHRASE), (again, PHRASE)], "");
    assert!(code == 0 && screen.contains("stored secret `notes-key`, version 1"), "{code} {screen}");
    assert!(!screen.contains(PHRASE) && !screen.contains(VALUE.1), "{screen}");
    // a known one once, and one that opens nothing seals nothing
    let (code, screen) = on_a_terminal(&bed, "secret set notes-key", &[VALUE, (phrase, typo)], "");
    assert!(code == 1 && screen.contains("opens nothing of what is stored"), "{code} {screen}");
    let (code, screen) = on_a_terminal(&bed, "secret set notes-key", &[VALUE, (phrase, PHRASE)], "");
    assert!(code == 0 && screen.contains("version 2") && !screen.contains(again), "{code} {screen}");
    // the gateway asks at its start, and takes no call under a wrong one
    let (code, screen) = on_a_terminal(&bed, "serve", &[(phrase, typo)], "");
    assert!(code == 1 && screen.contains("opens nothing of what is stored"), "{code} {screen}");
    let (code, screen) = on_a_terminal(&bed, "serve", &[(phrase, PHRASE)], "callgate takes calls");
    assert!(code == 0 && !screen.contains("is sealed under a key that is not there"), "{code} {screen}");
    assert!(!screen.contains(PHRASE), "{screen}");
    assert!(bed.files_with("state", PHRASE).is_empty());
    // nobody is there to be asked
    let mut nobody = Command::new("setsid");
    nobody.arg("--wait").arg(bed.command().get_program()).args(["secret", "set", "notes-key"]);
    let said =
        nobody.current_dir(bed.path("")).env("HOME", bed.path("home")).stdin(Stdio::null()).output().unwrap();
    assert!(!said.status.success());
    let check = bed.run(&["check"]);
    assert_eq!(check.code, 0, "a check asks nobody: {} {}", check.out, check.err);
}

/// The gateway's stretches of memory for secrets, and how many of them are not locked.
fn for_secrets(gateway: &Served) -> (usize, usize) {
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", gateway.pid())).unwrap();
    let flags = smaps.lines().filter_map(|line| line.strip_prefix("VmFlags:"));
    let has = |flags: &str, flag: &str| flags.split_whitespace().any(|one| one == flag);
    // not to be dumped, wiped in a child
    let ours: Vec<_> = flags.filter(|flags| has(flags, "dd") && has(flags, "wf")).collect();
    (ours.len(), ours.iter().filter(|flags| !has(flags, "lo")).count())
}

#[test]
fn where_memory_may_not_be_locked_it_is_said_and_nothing_is_unlocked_in_silence() {
    let bed = bed("");
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "hunter2-and-more").code, 0);
    let token = bed.token("bot");
    let warning = "keys and secrets may be written to swap";
    for (limit, may_lock) in [(0, false), (64 << 10, true)] {
        let limited = |args: &[&str]| {
            let plain = bed.command();
            // root may lock whatever the limit, as long as it has this capability
            let drops = ["setpriv", "--bounding-set=-ipc_lock"];
            let can = Command::new(drops[0]).args([drops[1], "true"]).output();
            let drops: &[&str] = if can.is_ok_and(|said| said.status.success()) { &drops } else { &[] };
            let mut words = drops.iter().map(ToString::to_string).collect::<Vec<_>>();
            words.extend(["prlimit".to_owned(), format!("--memlock={limit}:{limit}")]);
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg(plain.get_program()).args(args).env_clear();
            command.envs(plain.get_envs().map(|(name, value)| (name, value.unwrap())));
            command.current_dir(bed.path("")).stdin(Stdio::null());
            command
        };
        let check = limited(&["check"]).output().unwrap();
        let check = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.contains(warning), !may_lock, "{limit}: {check}");
        let gateway = bed.started(limited(&["serve"]));
        let session = gateway.session(&token);
        until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
        // values are kept all the same (ADR 0006)
        assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
        assert_eq!(bed.log().contains(warning), !may_lock, "{limit}: {}", bed.log());
        let (all, unlocked) = for_secrets(&gateway);
        assert!(all > 0, "no memory for secrets was found");
        assert_eq!(unlocked, if may_lock { 0 } else { all }, "{limit}: of {all}");
        assert_eq!(gateway.stop(), 0);
    }
}

#[test]
fn check_says_what_a_start_would_say_of_the_key_before_any_secret_is_stored() {
    let bed = Bed::with_notes();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let checked = |key: &str| {
        bed.write("callgate.toml", &format!("{config}[vault]\nkey = {key}\n"));
        bed.run(&["check"])
    };
    let file = |bytes: &[u8], mode: u32| {
        std::fs::write(bed.path("a.key"), bytes).unwrap();
        std::fs::set_permissions(bed.path("a.key"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let bad = |key: &str, why: &str| {
        let said = checked(key);
        assert!(
            said.code == 3 && said.out.contains("keys of the vault") && said.out.contains(why),
            "{key}: {said:?}"
        );
    };
    assert_eq!(bed.run(&["check"]).code, 0);
    bad("{ file = \"a.key\" }", "a.key");
    file(&[7; 32], 0o644);
    bad("{ file = \"a.key\" }", "644");
    file(&[0; 32], 0o600);
    bad("{ file = \"a.key\" }", "");
    file(&[7; 31], 0o600);
    bad("{ file = \"a.key\" }", "");
    file(&[7; 32], 0o600);
    assert_eq!(checked("{ file = \"a.key\" }").code, 0);
    bad("{ env = \"NO_SUCH_KEY\" }", "NO_SUCH_KEY");
    bad("{ credential = \"k\" }", "CREDENTIALS_DIRECTORY` is not set");
    let said = bed.run_env(&[("CREDENTIALS_DIRECTORY", "creds")], &["check"], "");
    assert!(said.code == 3 && said.out.contains("`creds`, which is no whole path"), "{said:?}");
    file(b"short\n", 0o600);
    bad("{ passphrase = { file = \"a.key\" } }", "");
    file(b"correct horse battery staple\n", 0o600);
    assert_eq!(checked("{ passphrase = { file = \"a.key\" } }").code, 0);
    assert!(!bed.path("state/secrets.key").exists() && !bed.path("state/secrets.kdf").exists());
    file(&[7; 32], 0o600);
    bad("{ file = \"a.key\" }\nold-keys = [{ env = \"GONE\" }]", "GONE");
}

#[test]
fn check_says_which_files_of_development_cannot_be_used() {
    let bed = Bed::with_notes();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let dev = "[[servers.notes.credentials]]\nsecret = \"k\"\nenv = \"K\"\nsource = { file = \"dev.key\" }\n\
               [vault]\ndevelopment-sources = true\n";
    bed.write("callgate.toml", &format!("{config}{dev}"));
    let missing = bed.run(&["check"]);
    assert!(
        missing.code == 3 && missing.out.contains("dev.key") && missing.out.contains("not found"),
        "{missing:?}"
    );
    bed.write("dev.key", "hunter2");
    let mode =
        |mode| std::fs::set_permissions(bed.path("dev.key"), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let open = bed.run(&["check"]);
    assert!(open.code == 3 && open.out.contains("mode 644") && !open.out.contains("hunter2"), "{open:?}");
    mode(0o600);
    assert_eq!(bed.run(&["check"]).code, 0);
}

// I22: no credential crosses a network in the clear unless its operator was told.
#[test]
fn a_credential_that_leaves_in_the_clear_is_told_of() {
    for (url, told) in [
        ("http://far.example/mcp", true),
        ("http://10.1.2.3/mcp", true),
        ("https://far.example/mcp", false),
        ("http://127.0.0.1:9/mcp", false),
        ("http://[::1]:9/mcp", false),
        ("http://localhost:9/mcp", false),
        ("http://crm.localhost:9/mcp", false),
        ("http://localhost.example:9/mcp", true),
    ] {
        let bed = Bed::new();
        let credential = "[[servers.far.credentials]]\nsecret = \"key\"\nheader = \"Authorization\"\n";
        let server = format!("state-dir = \"state\"\n[servers.far]\nurl = \"{url}\"\n");
        bed.write("callgate.toml", &format!("{server}{credential}"));
        let said = bed.run(&["check"]);
        let says = "is sent a credential over plain HTTP";
        assert_eq!(format!("{}{}", said.out, said.err).contains(says), told, "{url}: {said:?}");
        bed.write("callgate.toml", &server);
        let said = bed.run(&["check"]);
        assert!(!format!("{}{}", said.out, said.err).contains(says), "{url}: {said:?}");
    }
}
