//! Commands that need no running gateway.

use crate::bed::{Bed, POLICY, until};

#[test]
fn exit_codes_tell_yes_fault_usage_and_no_apart() {
    let bed = Bed::with_notes();
    assert_eq!(bed.run(&["check"]).code, 0);
    assert_eq!(bed.run(&["chekc"]).code, 2);
    assert_eq!(bed.run(&["check", "--config", "none.toml"]).code, 2);
    assert_eq!(bed.run(&["agent", "remove", "nobody"]).code, 1);
    bed.write("callgate.toml", "lisen = 1\n");
    assert_eq!(bed.run(&["check"]).code, 3);
    assert_eq!(bed.run(&["agent", "list"]).code, 1);
}

#[test]
fn check_says_what_of_the_files_is_not_read_does_not_parse_or_is_anybodys_to_change() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::with_notes();
    let said = bed.run(&["check"]).out;
    assert!(!said.contains("is not read") && !said.contains("others can change"), "{said}");
    bed.write("policies/LOUD.CEDAR", "forbid(principal, action, resource);");
    bed.write("policies/sub/one.cedar", "forbid(principal, action, resource);");
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(bed.path("policies/notes.cedar"), open).unwrap();
    let said = bed.run(&["check"]).out;
    for part in ["LOUD.CEDAR` is not read", "policies/sub` is not read", "notes.cedar` (mode 666)"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    bed.write("policies/notes.cedar", "permit(");
    let said = bed.run(&["check"]);
    assert_eq!(said.code, 3);
    assert!(said.out.contains("no rule holds, because what is written does not: see"), "{}", said.out);
    assert!(said.out.contains("notes.cedar:1:") && !said.out.contains("there is no rule in"), "{}", said.out);
}

#[test]
fn a_name_that_no_request_could_have_is_no_allowed_host() {
    let bed = Bed::with_notes();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let check = |name: &str| {
        bed.write("callgate.toml", &format!("allowed-hosts = [\"{name}\"]\n{config}"));
        bed.run(&["check"])
    };
    for name in [
        "",
        "*",
        "*.example.com",
        ".example.com",
        "gate:",
        "gate:99999",
        "http://gate.example.com",
        "gate.example.com/mcp",
        "a b",
        "me@gate",
    ] {
        let said = check(name);
        assert!(
            said.code == 3 && said.err.contains("is no name that a request could have"),
            "{name}: {}",
            said.err
        );
    }
    for name in ["gate.example.com", "Gate.example.com:8443", "[fd12::1]:8443", "10.1.2.3"] {
        assert_eq!(check(name).code, 0, "{name}");
    }
}

#[test]
fn the_help_is_what_the_documentation_says() {
    let bed = Bed::new();
    insta::assert_snapshot!("help", bed.run(&["--help"]).out);
    let said = bed.run(&[]);
    assert_eq!(said.code, 2);
    for words in [&["help"][..], &["help", "agent"], &["help", "agent", "add"]] {
        let asked = bed.run(words);
        let flag = bed.run(&[&words[1..], &["--help"]].concat());
        assert_eq!((asked.code, &asked.out), (0, &flag.out), "{words:?}");
    }
    assert_eq!(bed.run(&["help", "nothing"]).code, 2);
}

#[test]
fn a_token_is_shown_once_and_stored_nowhere() {
    let bed = Bed::with_notes();
    let token = bed.token("bot");
    let secret = token.split('_').nth(2).unwrap();
    assert_eq!(secret.len(), 52);
    assert!(bed.files_with("state", secret).is_empty());
    assert!(!bed.run(&["agent", "list"]).out.contains(secret));
    let second = bed.run(&["agent", "add", "bot"]);
    assert_eq!(second.code, 1, "a name is taken once");
    assert!(second.err.contains("exists already"), "{}", second.err);

    let id = bed.json(&["agent", "list"])[0]["tokens"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bed.run(&["agent", "revoke", &id]).code, 0);
    assert_eq!(bed.json(&["agent", "list"])[0]["tokens"][0]["state"], "revoked");
    assert_eq!(bed.run(&["agent", "revoke", "tok_0000000000000000"]).code, 1);
    assert_eq!(bed.run(&["agent", "add", "other", "--expires", "soon"]).code, 2);
    // what was done is in the record, though no gateway ran
    let report = bed.json(&["audit", "verify"]);
    assert_eq!((report["ok"].as_bool(), report["report"]["events"].as_u64()), (Some(true), Some(3)));
}

#[test]
fn a_state_folder_of_another_user_is_used_by_no_command_and_nothing_is_made_in_it() {
    let bed = Bed::new();
    let state = bed.path("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let key = state.join("secrets.key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // to give a folder away takes rights that not everybody has; then one of the system's will do
    let given = std::os::unix::fs::chown(&state, Some(65_534), None).is_ok();
    let theirs = if given { state.as_path() } else { std::path::Path::new("/etc") };
    let config = bed.notes_config(crate::bed::free_port());
    bed.write(
        "callgate.toml",
        &config.replace("state-dir = \"state\"", &format!("state-dir = \"{}\"", theirs.display())),
    );
    let before = std::fs::read_dir(theirs).unwrap().count();
    for words in [
        &["serve"][..],
        &["check"],
        &["secret", "set", "notes-key"],
        &["secret", "list"],
        &["agent", "add", "bot"],
        &["user", "list"],
        &["console"],
        &["audit", "verify"],
        &["registry", "list"],
    ] {
        let said = bed.run_with(words, "hunter2-and-more");
        assert!(said.code == 1 && said.err.contains("belongs to another user"), "{words:?}: {said:?}");
        assert!(!said.err.contains("0700"), "its mode is right: {}", said.err);
    }
    assert_eq!(std::fs::read_dir(theirs).unwrap().count(), before);
}

#[test]
fn an_agent_is_stopped_and_let_in_again_also_one_that_only_the_file_names() {
    let bed = Bed::with_notes();
    let token = bed.token("bot");
    let unknown = bed.run(&["agent", "disable", "nobody"]);
    assert!(
        unknown.code == 1 && unknown.err.contains("`callgate agent add nobody --no-token`"),
        "{unknown:?}"
    );
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write(
        "callgate.toml",
        &format!(
            "{config}[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nclient-ca = \"ca.pem\"\n\
             [[workloads]]\nname = \"billing\"\nspiffe = \"spiffe://acme/billing\"\ngroups = [\"services\"]\n"
        ),
    );
    let disabled = |name: &str| {
        let listed = bed.json(&["agent", "list"]);
        let one = listed.as_array().unwrap().iter().find(|one| one["agent"] == name).cloned();
        one.map(|one| (one["disabled"].as_bool().unwrap(), one["workload"].as_bool().unwrap()))
    };
    assert_eq!(bed.run(&["agent", "disable", "billing"]).code, 0);
    assert_eq!(disabled("billing"), Some((true, true)));
    assert_eq!(bed.run(&["agent", "enable", "billing"]).code, 0);
    assert_eq!(disabled("billing"), Some((false, true)));
    bed.write("callgate.toml", &config);
    assert_eq!(bed.run(&["agent", "disable", "local"]).code, 0);
    assert_eq!(disabled("local"), Some((true, false)));
    let gateway = bed.serve();
    let hello = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } } });
    let asked = || gateway.post(&token, None, &hello).0;
    assert_ne!(asked(), 401);
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
    crate::bed::until("the agent is out", || asked() == 401);
    assert_eq!(bed.run(&["agent", "enable", "bot"]).code, 0);
    crate::bed::until("the agent is in again", || asked() != 401);
    // removing one that is disabled keeps its name out, and says so
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
    let removed = bed.run(&["agent", "remove", "bot"]);
    assert!(removed.out.contains("stays refused until `callgate agent enable bot`"), "{removed:?}");
    assert!(bed.run(&["agent", "list"]).out.contains("removed, and refused until"), "it is shown as such");
    assert_eq!(disabled("bot"), Some((true, false)));
    let again = bed.run(&["agent", "add", "bot"]);
    assert!(again.code == 1 && again.err.contains("`callgate agent enable bot` lifts that"), "{again:?}");
    assert_eq!(bed.run(&["agent", "enable", "bot"]).code, 0);
    assert_eq!(disabled("bot"), None);
    assert_eq!(gateway.stop(), 0);
    assert!(!bed.files_with("state/ledger", "agent-disabled").is_empty(), "it is in the record");
    assert!(!bed.files_with("state/ledger", "agent-enabled").is_empty(), "it is in the record");
}

#[test]
fn the_groups_of_a_person_are_replaced_and_who_stands_in_their_way_is_named() {
    let bed = Bed::with_notes();
    assert_eq!(bed.run(&["user", "add", "fay", "--group", "finance"]).code, 0);
    let again = bed.run(&["user", "add", "fay", "--group", "support"]);
    assert!(again.code == 1 && again.err.contains("`callgate user set`"), "{again:?}");
    assert_eq!(bed.run(&["user", "set", "fay"]).code, 2, "no group is said in so many words");
    let groups = || bed.json(&["user", "list"])[0]["groups"].clone();
    assert_eq!(bed.run(&["user", "set", "fay", "--group", "support", "--group", "night"]).code, 0);
    assert_eq!(groups(), serde_json::json!(["night", "support"]));
    assert_eq!(bed.run(&["user", "set", "fay", "--no-groups"]).code, 0);
    assert_eq!(groups(), serde_json::json!([]));
    assert_eq!(bed.run(&["user", "set", "nobody", "--no-groups"]).code, 1);
    assert_eq!(bed.run(&["agent", "add", "bot", "--user", "fay"]).code, 0);
    let refused = bed.run(&["user", "remove", "fay"]);
    assert!(refused.code == 1 && refused.err.contains("first `callgate agent remove bot`"), "{refused:?}");
    assert_eq!(bed.run(&["agent", "remove", "bot"]).code, 0);
    assert_eq!(bed.run(&["user", "remove", "fay"]).code, 0);
}

#[test]
fn what_is_good_and_lets_nobody_do_anything_is_told_and_reading_makes_nothing() {
    let bed = Bed::new();
    bed.write("callgate.toml", "state-dir = \"state\"\n");
    for said in [bed.run(&["audit", "list"]), bed.run(&["audit", "list", "--item", "x"])] {
        assert!(said.code == 0 && said.out.contains("there is no call in the record"), "{said:?}");
    }
    assert_eq!(bed.json(&["audit", "list"]), serde_json::json!([]));
    assert!(!bed.path("state").exists());
    let said = bed.run(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("no server is named in `callgate.toml`"), "{}", said.out);
    assert!(said.out.contains("there is no rule in `policies`, so every call is refused"), "{}", said.out);
    assert!(said.out.contains("0 servers, 0 rules: good"), "{}", said.out);
    // a record that has no call yet
    assert_eq!(bed.run(&["agent", "add", "bot"]).code, 0);
    assert!(bed.run(&["audit", "list"]).out.contains("there is no call in the record"));
    assert!(bed.run(&["audit", "list", "--item", "x"]).out.contains("no such call"));
}

#[test]
fn the_key_of_a_checkpoint_is_taken_as_it_was_written() {
    let bed = Bed::with_notes();
    bed.token("bot");
    let said = bed.run(&["audit", "checkpoint"]);
    assert!(said.err.starts_with("key: "), "{said:?}");
    bed.write("key.txt", &said.err);
    assert_eq!(bed.run(&["audit", "export", "out"]).code, 0);
    let path = bed.path("out");
    let out = path.to_str().unwrap();
    let key = said.err.trim();
    for key in ["key.txt", key, key.strip_prefix("key: ").unwrap()] {
        let verified = bed.run(&["audit", "verify", out, "--key", key]);
        assert!(verified.code == 0 && verified.out.contains("given"), "{key}: {verified:?}");
    }
    bed.write("key.txt", "key: nothing\n");
    let none = bed.run(&["audit", "verify", out, "--key", "key.txt"]);
    assert!(none.code == 1 && none.err.contains("holds no public key"), "{none:?}");
}

#[test]
fn a_secret_comes_from_standard_input_and_is_never_seen_again() {
    let bed = Bed::with_notes();
    let config =
        bed.notes_config(1) + "[[servers.notes.credentials]]\nsecret = \"notes-key\"\nenv = \"NOTES_KEY\"\n";
    bed.write("callgate.toml", &config);
    let check = bed.run(&["check"]);
    assert_eq!(check.code, 3);
    assert!(check.out.contains("needs the secret `notes-key`"), "{}", check.out);

    let said = bed.run_with(&["secret", "set", "notes-key"], "hunter2-and-more\n");
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(bed.run(&["check"]).code, 0);
    assert!(bed.files_with("state", "hunter2").is_empty());
    let listed = bed.run(&["secret", "list"]);
    assert!(listed.out.contains("notes-key") && !listed.out.contains("hunter2"), "{}", listed.out);

    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "\n").code, 1, "an empty secret is none");
    assert_eq!(bed.run(&["secret", "set", "notes-key", "hunter2"]).code, 2, "never on the command line");
    assert_eq!(bed.run_with(&["secret", "set", "notes-key"], "second").code, 0);
    assert_eq!(bed.json(&["secret", "list"])[0]["version"], 2);

    // a lost key is not replaced by a new one under which nothing opens
    std::fs::remove_file(bed.path("state/secrets.key")).unwrap();
    let lost = bed.run_with(&["secret", "set", "other"], "x");
    assert!(lost.code == 1 && lost.err.contains("restore it from a backup"), "{}", lost.err);
}

#[test]
fn a_users_own_secret_is_kept_apart_from_the_shared_one() {
    let bed = Bed::with_notes();
    let config = bed.notes_config(1)
        + "authority = \"per-user\"\n[[servers.notes.credentials]]\nsecret = \"key\"\nenv = \"NOTES_KEY\"\n";
    bed.write("callgate.toml", &config);
    assert_eq!(bed.run_with(&["secret", "set", "key"], "everybodys").code, 0);
    let check = bed.run(&["check"]);
    assert!(
        check.code == 3 && check.out.contains("--user"),
        "the shared one stands in for nobody: {}",
        check.out
    );
    assert_eq!(bed.run_with(&["secret", "set", "key", "--user", "alice"], "alices").code, 0);
    assert_eq!(bed.run(&["check"]).code, 0);
    let whose = |bed: &Bed| -> Vec<String> {
        let listed = bed.json(&["secret", "list"]);
        listed.as_array().unwrap().iter().map(|one| one["user"].to_string()).collect()
    };
    assert_eq!(whose(&bed), ["null", "\"alice\""]);
    assert_ne!(bed.run(&["secret", "remove", "key", "--user", "bob"]).code, 0);
    assert_eq!(bed.run(&["secret", "remove", "key"]).code, 0);
    assert_eq!(whose(&bed), ["\"alice\""]);
}

#[test]
fn a_state_directory_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::with_notes();
    std::fs::create_dir(bed.path("state")).unwrap();
    std::fs::set_permissions(bed.path("state"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = bed.run(&["agent", "list"]);
    assert!(said.code == 1 && said.err.contains("chmod 700"), "{}", said.err);
}

#[test]
fn check_points_into_the_policy_file() {
    let bed = Bed::with_notes();
    bed.write("policies/notes.cedar", &POLICY.replace("notes__read_note", "note__read_note"));
    let said = bed.run(&["check"]);
    assert_eq!(said.code, 3);
    let told = said.err.replace(bed.path("").to_str().unwrap(), "/");
    insta::assert_snapshot!("check_policy", told);
    let first = bed.json(&["check"])["errors"][0].clone();
    assert_eq!((first["rule"].as_str(), first["line"].as_u64()), (Some("read-notes"), Some(3)));
    assert!(first["column"].as_u64().is_some_and(|column| column > 1), "{first}");
}

#[test]
fn check_points_into_the_configuration() {
    let bed = Bed::with_notes();
    bed.write("callgate.toml", "[servers.notes]\ncomand = \"x\"\nmode = \"enforce\"\n");
    let said = bed.run(&["check"]);
    assert_eq!(said.code, 3);
    insta::assert_snapshot!("check_settings", said.err);
    for (text, code, line, column) in [
        ("listen = \"é\" x\n", "settings-syntax", 1, 14),
        ("[servers.notes]\ncommand = \"x\"\n  comand = \"é\"\n", "settings-unknown", 3, 3),
        ("[servers.notes]\ncommand = 3\n", "settings-form", 2, 11),
        ("listen = \"nowhere\"\n", "settings-value", 1, 10),
    ] {
        bed.write("callgate.toml", text);
        let problems = bed.json(&["check"])["settings"].clone();
        let first = &problems[0];
        let told = (first["code"].as_str(), first["line"].as_u64(), first["column"].as_u64());
        assert_eq!(told, (Some(code), Some(line), Some(column)), "{problems}");
        assert_eq!(first["file"], "callgate.toml", "as it was named: {problems}");
    }
}

#[test]
fn init_writes_what_holds_and_overwrites_nothing() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["init"]).code, 0);
    assert_eq!(bed.run(&["check"]).code, 0);
    assert!(bed.path("policies/starter.cedar").exists());
    let mine = "# mine\n";
    bed.write("callgate.toml", mine);
    assert_eq!(bed.run(&["init"]).code, 1);
    assert_eq!(std::fs::read_to_string(bed.path("callgate.toml")).unwrap(), mine);
}

/// What a write that failed had written so far is taken away again.
#[test]
fn a_file_that_cannot_be_written_leaves_nothing_beside_it() {
    let bed = Bed::new();
    let shell = "trap '' XFSZ; ulimit -f 0; exec \"$0\" init";
    let said = bed.shell(shell);
    assert!(said.code == 1 && said.err.contains("cannot write"), "{said:?}");
    let left: Vec<_> = std::fs::read_dir(bed.path("")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
}

#[test]
fn init_fills_its_own_policy_when_servers_were_looked_at_and_never_one_of_yours() {
    let bed = Bed::new();
    bed.write("callgate.toml", &bed.notes_config(crate::bed::free_port()));
    assert_eq!(bed.run(&["init"]).code, 0);
    let policy = || std::fs::read_to_string(bed.path("policies/starter.cedar")).unwrap();
    assert!(policy().contains("No server was looked at yet"), "{}", policy());
    let early = bed.run(&["init"]);
    assert!(early.code == 1 && early.err.contains("start `callgate serve`"), "{early:?}");
    let gateway = bed.serve();
    crate::bed::until("the server was looked at", || {
        bed.run(&["registry", "list"]).out.contains("read_note")
    });
    assert_eq!(bed.run(&["init"]).code, 0);
    assert_eq!(gateway.stop(), 0);
    assert!(policy().contains("Action::\"notes__read_note\""), "{}", policy());
    assert_eq!(bed.run(&["init"]).code, 1, "it is as it would be written");
    // somebody's own, from here on
    let mine = policy().replace("notes__hang", "notes__drop_note");
    bed.write("policies/starter.cedar", &mine);
    let said = bed.run(&["init"]);
    assert!(said.code == 1 && said.err.contains("rules of your own"), "{said:?}");
    assert_eq!(policy(), mine);
    // nor is anything added beside rules of one's own
    std::fs::remove_file(bed.path("policies/starter.cedar")).unwrap();
    bed.write("policies/mine.cedar", "");
    assert_eq!(bed.run(&["init"]).code, 1);
    assert!(!bed.path("policies/starter.cedar").exists());
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bed.run(&["completions", shell]).out.contains("callgate"), "{shell}");
    }
    assert_eq!(bed.run(&["man", "pages"]).code, 0);
    let page = std::fs::read_to_string(bed.path("pages/callgate-serve.1")).unwrap();
    assert!(page.contains("log\\-format"), "{page}");
}

#[test]
fn the_reference_in_the_documentation_is_the_one_of_the_program() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let told = Bed::new().run(&["reference"]).out;
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == told, "write it again: cargo run -- reference > docs/reference/cli.md");
}

#[test]
fn check_names_tools_whose_calls_a_budget_cannot_count() {
    let bed = Bed::with_notes();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let budget = |argument: &str| {
        format!(
            "[[budgets]]\nname = \"notes-a-day\"\ncounts = \"distinct\"\nargument = \"{argument}\"\nserver = \"notes\"\n\
             tool = \"*_note\"\nper = \"agent\"\nwindow = \"day\"\nat-most = 9\n"
        )
    };
    let gateway = bed.serve();
    crate::bed::until("the server was looked at", || bed.run(&["registry", "list"]).out.contains("notes"));
    assert_eq!(gateway.stop(), 0);
    bed.write("callgate.toml", &format!("{config}{}", budget("note")));
    let said = bed.run(&["check"]);
    assert!(said.code == 0 && !said.out.contains("its calls are refused"), "{said:?}");
    bed.write("callgate.toml", &format!("{config}{}", budget("title")));
    let said = bed.run(&["check"]);
    assert_eq!(said.code, 0, "a warning: {said:?}");
    for tool in ["notes__read_note", "notes__drop_note"] {
        let told = format!(
            "the budget `notes-a-day` counts `title`, which `{tool}` does not have: its calls are refused"
        );
        assert!(said.out.contains(&told), "{}", said.out);
    }
    assert!(!said.out.contains("`notes__hang` does not have"), "it is not covered: {}", said.out);
    assert_eq!(bed.json(&["check"])["uncountable"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_exported_for_clients_is_json_with_and_without_asking_for_it() {
    let bed = Bed::with_notes();
    let export = ["registry", "export", "managed-settings"];
    let asked = bed.json(&export);
    assert_eq!(asked["allowManagedMcpServersOnly"], true);
    let plain = bed.run(&export).out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), asked);
}

#[test]
fn a_time_is_for_a_token_and_an_unknown_token_is_looked_for_where_they_are_listed() {
    let bed = Bed::with_notes();
    let both = bed.run(&["agent", "add", "bot", "--no-token", "--expires", "1d"]);
    assert!(both.code == 2 && both.err.contains("--no-token"), "{both:?}");
    assert_eq!(bed.run(&["agent", "add", "bot", "--no-token"]).code, 0);
    assert!(bed.run(&["agent", "revoke", "tok_x"]).err.contains("callgate agent list"));
    for unknown in ["tok_x", "tok_0123456789abcdef"] {
        let said = bed.run(&["agent", "revoke", unknown]);
        assert!(said.code == 1 && !said.err.contains("token list"), "{said:?}");
    }
}

#[test]
fn a_limit_is_of_what_is_shown_and_not_of_other_budgets() {
    let bed = Bed::with_notes();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let budget = |name: &str| {
        format!(
            "[[budgets]]\nname = \"{name}\"\ncounts = \"calls\"\nat-most = 9\nper = \"everybody\"\nwindow = \"1h\"\n"
        )
    };
    bed.write("callgate.toml", &format!("{config}{}{}", budget("aaa"), budget("bbb")));
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    let call = serde_json::json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": { "name": "read_note", "arguments": {} } });
    assert!(gateway.post(&token, Some(&session), &call).2["result"].is_object());
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.json(&["budgets"]).as_array().unwrap().len(), 2);
    assert_eq!(bed.json(&["budgets", "--limit", "1"])[0]["budget"], "aaa");
    assert_eq!(bed.json(&["budgets", "bbb", "--limit", "1"])[0]["budget"], "bbb");
}

#[test]
fn a_new_agent_is_told_how_it_comes_into_a_client_and_the_token_can_be_piped() {
    let bed = Bed::with_notes();
    let said = bed.run(&["agent", "add", "bot"]);
    assert!(said.code == 0 && said.out.lines().count() == 1 && said.out.starts_with("cgt_"), "{said:?}");
    assert!(said.err.contains("claude mcp add") && said.err.contains(".vscode/mcp.json"), "{said:?}");
    assert!(said.err.contains(&format!("http://127.0.0.1:{}/mcp", bed.port())), "{said:?}");
    assert!(!said.err.contains(said.out.trim()), "it is said once: {said:?}");
}

#[test]
fn a_stop_holds_when_its_command_has_ended() {
    let bed = Bed::with_notes();
    let tokens: Vec<(String, String)> =
        ["a", "b", "c"].map(|name| (name.to_owned(), bed.token(name))).to_vec();
    let gateway = bed.serve();
    for ((name, token), what) in tokens.iter().zip(["disable", "revoke", "remove"]) {
        let session = gateway.session(token);
        assert_eq!(bed.run(&["agent", what, name]).code, 0);
        let ping = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        assert_eq!(gateway.post(token, Some(&session), &ping).0, 401, "{what}");
    }
}

#[test]
fn init_knows_what_callgate_wrote_of_single_servers() {
    let bed = Bed::looked_at();
    let starter = bed.path("policies/notes.cedar");
    std::fs::remove_file(starter).unwrap();
    assert_eq!(bed.run(&["init"]).code, 0);
    let text = std::fs::read_to_string(bed.path("policies/starter.cedar")).unwrap();
    bed.write("policies/starter-notes.cedar", &text);
    let said = bed.run(&["init"]);
    assert!(said.code == 1 && said.err.contains("one by one"), "{said:?}");
    assert!(!said.err.contains("of your own"), "{said:?}");
}
