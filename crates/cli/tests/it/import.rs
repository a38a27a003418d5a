//! `callgate import`: every client's configuration, there and back.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
};

pub(crate) const KEY: &str = "ghp_0123456789abcdef0123456789abcdef0123";

/// Where each client keeps its servers, and a file with one of them, as people write it.
pub(crate) fn clients() -> Vec<(&'static str, String)> {
    let json = |member: &str| {
        format!(
            "{{\n  // mine, \"not\" yours\n  \"theme\": \"dark\",\n  \"{member}\": {{\n    \"git\": {{ \"command\": \"npx\", \"args\": [\"-y\", \"git\"],\n      /* a token */ \"env\": {{ \"GH_TOKEN\": \"{KEY}\", \"MODE\": \"fast\" }}, \"disabled\": false, }},\n  }},\n}}\n"
        )
    };
    vec![
        ("home/.config/Claude/claude_desktop_config.json", json("mcpServers")),
        ("home/.claude.json", json!({ "projects": { "/x y": { "history": [1, 2.50], "mcpServers": { "git": { "type": "http", "url": "https://git.example/mcp?v=1", "headers": { "Authorization": format!("Bearer {KEY}") } } } } } }).to_string()),
        ("home/.cursor/mcp.json", json("mcpServers")),
        ("home/.config/Code/User/mcp.json", json("servers")),
        ("home/.codeium/windsurf/mcp_config.json", "{\"mcpServers\":{\"git\":{\"serverUrl\":\"https://git.example/mcp\"}}}".to_owned()),
        ("home/.codex/config.toml", format!("# mine\nmodel = 'x' # best\n\n[mcp_servers.git]\ncommand = \"npx\" # why\nargs = [\"-y\", \"git\"]\n\n[mcp_servers.git.env]\nGH_TOKEN = \"{KEY}\"\n\n[tui]\ntheme = \"dark\"\n")),
        ("home/.gemini/settings.json", json("mcpServers")),
        ("home/.config/zed/settings.json", json("context_servers")),
    ]
}

#[test]
fn the_servers_of_every_client_are_moved_and_come_back_byte_for_byte() {
    for (file, text) in clients() {
        let bed = Bed::new();
        bed.write(file, &text);
        fs::set_permissions(bed.path(file), fs::Permissions::from_mode(0o640)).unwrap();
        let said = bed.run(&["import", "--yes", "--also", "git"]);
        assert_eq!(said.code, 0, "{file}: {said:?}");
        assert!(said.err.contains("callgate wrap --name git"), "{file}: {}", said.err);
        assert!(!said.err.contains(KEY) && !said.out.contains(KEY), "{file}: {said:?}");
        let after = fs::read_to_string(bed.path(file)).unwrap();
        assert!(!after.contains(KEY) && after.contains("--name"), "{file}: {after}");
        for kept in [
            "// mine, \"not\" yours",
            "/* a token */",
            "\"disabled\": false, }",
            "# best",
            "[1,2.5]",
            "[tui]",
        ] {
            assert_eq!(after.contains(kept), text.contains(kept), "{file}: `{kept}` in {after}");
        }
        assert_eq!(fs::metadata(bed.path(file)).unwrap().permissions().mode() & 0o777, 0o640, "{file}");
        let scanned = bed.json(&["scan"]);
        assert_eq!(scanned["servers"][0]["governed"], true, "{file}: {scanned}");
        let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
        assert!(config.contains("[servers.git]") && !config.contains(KEY), "{config}");
        if text.contains(KEY) {
            assert!(config.contains("[[servers.git.credentials]]"), "{file}: {config}");
            let secrets = bed.json(&["secret", "list", "--config", "home/.config/callgate/callgate.toml"]);
            assert!(secrets.to_string().contains("git/"), "{file}: {secrets}");
        }
        assert!(bed.run(&["import", "--yes"]).out.contains("nothing to import"), "{file}");
        let back = bed.run(&["import", "--undo", "--yes"]);
        assert_eq!(back.code, 0, "{file}: {back:?}");
        assert_eq!(fs::read_to_string(bed.path(file)).unwrap(), text, "{file}");
        assert_eq!(fs::metadata(bed.path(file)).unwrap().permissions().mode() & 0o777, 0o640, "{file}");
        let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
        assert!(!config.contains("[servers.git]"), "{config}");
        assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 1, "there is nothing more to take back");
    }
}

#[test]
fn numbers_in_an_environment_are_texts_and_what_is_no_list_is_left_alone() {
    let bed = Bed::new();
    let text = json!({ "mcpServers": {
        "a": { "command": "a", "env": { "READ_ONLY": 1, "LOUD": true, "GONE": null } },
        "b": { "command": "b", "args": "x" } } });
    bed.write("home/.cursor/mcp.json", &text.to_string());
    let said = bed.run(&["import", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
    assert!(config.contains("READ_ONLY = \"1\"") && config.contains("LOUD = \"true\""), "{config}");
    assert!(!config.contains("GONE"), "{config}");
    assert!(said.err.contains("are no list") && !config.contains("[servers.b]"), "{said:?}");
}

#[test]
fn nothing_changes_without_a_yes_and_what_cannot_be_told_stays() {
    let bed = Bed::new();
    let text = json!({ "mcpServers": { "a": { "command": "a" }, "b": { "command": "b", "env": { "T": "${input:t}" } },
        "c": { "command": "c", "url": "https://c.example" },
        "d": { "command": "d", "env": { "A=hunter2": "x" } }, "e": { "command": "e", "env": { "A\nB": "x" } } } })
    .to_string();
    bed.write("home/.cursor/mcp.json", &text);
    for answer in ["", "n\n"] {
        let said = bed.run_with(&["import"], answer);
        assert!(said.code == 3 && said.err.contains("go on? [y/N]"), "{said:?}");
        assert!(said.err.contains("nothing was changed; `--yes` goes on without asking"), "{said:?}");
        assert_eq!(fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap(), text);
        assert!(!bed.path("home/.config/callgate").exists(), "nor a folder with a lock");
    }
    let said = bed.run_with(&["import", "--json"], "y\n");
    let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    assert_eq!(answer["imported"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["left"].as_array().unwrap().len(), 4, "{answer}");
    for one in ["d", "e"] {
        let why = format!("Cursor/{one} stays as it is: a name under `env` cannot be the name of a variable");
        assert!(said.err.contains(&why) && !said.err.contains("hunter2"), "{}", said.err);
    }
    assert!(said.err.contains("Cursor/b stays as it is: `T` is filled in by the client"), "{}", said.err);
    let after = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    assert!(after.contains(r#""b":{"command":"b","env":{"T":"${input:t}"}}"#), "{after}");
}

#[test]
fn a_mark_of_the_byte_order_stays_and_what_asks_the_gateway_already_is_left() {
    let bed = Bed::new();
    bed.write(
        "home/.config/callgate/callgate.toml",
        "listen = \"127.0.0.1:7420\"\npublic-url = \"https://gate.example\"\n",
    );
    let at = |url: &str| json!({ "url": url });
    let text = json!({ "mcpServers": { "a": { "command": "a" }, "own": at("http://127.0.0.1:7420/mcp"),
        "near": at("http://localhost:7420/s/x/mcp"), "public": at("https://gate.example/s/x/mcp"),
        "other": at("http://127.0.0.1:7421/mcp"), "alike": at("https://gate.example.org/mcp") } });
    let text = format!("\u{feff}{text}");
    bed.write("home/.cursor/mcp.json", &text);
    let said = bed.run(&["import", "--yes", "--also", "alike"]);
    assert_eq!(said.code, 0, "{said:?}");
    let after = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    let told: Value = serde_json::from_str(after.strip_prefix('\u{feff}').unwrap()).unwrap();
    for (name, moved) in
        [("a", true), ("own", false), ("near", false), ("public", false), ("other", true), ("alike", true)]
    {
        let entry = &told["mcpServers"][name];
        assert_eq!(entry["args"][0] == "wrap", moved, "{name}: {entry}");
    }
    assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 0);
    assert_eq!(fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap(), text);
}

#[test]
fn an_undo_refuses_what_was_changed_since_and_says_how_by_hand() {
    let bed = Bed::new();
    bed.write("home/.cursor/mcp.json", r#"{"mcpServers":{"a":{"command":"a"}}}"#);
    bed.write("home/.gemini/settings.json", r#"{"mcpServers":{"b":{"command":"b"}}}"#);
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let imported = fs::read_to_string(bed.path("home/.gemini/settings.json")).unwrap();
    let cursor = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    bed.write("home/.cursor/mcp.json", &format!("{cursor}\n"));
    let said = bed.run(&["import", "--undo", "--yes"]);
    assert!(said.code == 1 && said.err.contains(".cursor/mcp.json` changed since the import"), "{said:?}");
    assert!(said.err.contains("By hand: "), "{}", said.err);
    assert_eq!(
        fs::read_to_string(bed.path("home/.gemini/settings.json")).unwrap(),
        imported,
        "all or nothing"
    );
    // what others added to the configuration stays, and does not stand in the way
    bed.write("home/.cursor/mcp.json", &cursor);
    let config = bed.path("home/.config/callgate/callgate.toml");
    let more = fs::read_to_string(&config).unwrap() + "\n[servers.more]\ncommand = \"more\"\n";
    fs::write(&config, more).unwrap();
    assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 0);
    let left = fs::read_to_string(&config).unwrap();
    assert!(left.contains("[servers.more]") && !left.contains("[servers.a]"), "{left}");
}

#[test]
fn an_undo_that_cannot_write_every_file_changes_none_and_one_that_was_cut_short_goes_on() {
    let places = ["home/.cursor/mcp.json", "home/.gemini/settings.json"];
    let texts = [r#"{"mcpServers":{"a":{"command":"a"}}}"#, r#"{"mcpServers":{"b":{"command":"b"}}}"#];
    // whichever of the two is written second
    for (stuck, other) in [(0, 1), (1, 0)] {
        let bed = Bed::new();
        places.iter().zip(texts).for_each(|(place, text)| bed.write(place, text));
        assert_eq!(bed.run(&["import", "--yes"]).code, 0);
        let read = |at: usize| fs::read_to_string(bed.path(places[at])).unwrap();
        let imported = [read(0), read(1)];
        let mode = |mode| {
            fs::set_permissions(bed.path(places[stuck]), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o444);
        let said = bed.run(&["import", "--undo", "--yes"]);
        assert!(said.code == 1 && said.err.contains("is read-only"), "{said:?}");
        assert_eq!([read(0), read(1)], imported, "all or nothing");
        mode(0o644);
        // as if the program had been killed after the first file
        bed.write(places[other], texts[other]);
        let said = bed.run(&["import", "--undo", "--yes"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!([read(0), read(1)], texts.map(str::to_owned));
        assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 1, "nothing is left to take back");
    }
}

#[test]
fn an_undo_leaves_no_configuration_that_does_not_hold() {
    let bed = Bed::new();
    bed.write("home/.cursor/mcp.json", r#"{"mcpServers":{"one":{"command":"a"}}}"#);
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let (client, config) =
        (bed.path("home/.cursor/mcp.json"), bed.path("home/.config/callgate/callgate.toml"));
    let imported = fs::read_to_string(&config).unwrap();
    let more = format!("{imported}\n[servers.one.tools.\"get_*\"]\neffect = \"read\"\n");
    fs::write(&config, &more).unwrap();
    let said = bed.run(&["import", "--undo", "--yes"]);
    assert!(said.code == 1 && said.err.contains("would not hold without"), "{said:?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), more);
    assert!(fs::read_to_string(&client).unwrap().contains("--name"), "all or nothing");
    fs::write(&config, &imported).unwrap();
    assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 0, "it can be said again");
}

#[test]
fn what_cannot_be_read_is_no_import_that_is_done() {
    let bed = Bed::new();
    bed.write("home/.cursor/mcp.json", r#"{"mcpServers":{"one":{"command":"a"}"#);
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 2 && said.err.contains("error[not-read]"), "{said:?}");
}

#[test]
fn links_stay_links_and_what_is_read_only_is_refused_before_anything_changes() {
    let bed = Bed::new();
    let text = r#"{"mcpServers":{"a":{"command":"a"}}}"#;
    bed.write("dotfiles/mcp.json", text);
    fs::create_dir_all(bed.path("home/.cursor")).unwrap();
    std::os::unix::fs::symlink(bed.path("dotfiles/mcp.json"), bed.path("home/.cursor/mcp.json")).unwrap();
    bed.write("home/.gemini/settings.json", text);
    let locked: PathBuf = bed.path("home/.gemini/settings.json");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o444)).unwrap();
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 1 && said.err.contains("is read-only"), "{said:?}");
    assert_eq!(fs::read_to_string(bed.path("dotfiles/mcp.json")).unwrap(), text);
    assert!(!bed.path("home/.config/callgate/callgate.toml").exists());
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o644)).unwrap();
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 0 && said.out.contains("imported `a`;"), "{said:?}");
    assert!(fs::symlink_metadata(bed.path("home/.cursor/mcp.json")).unwrap().is_symlink());
    assert!(fs::read_to_string(bed.path("dotfiles/mcp.json")).unwrap().contains("--name"));
    // one server for both clients
    let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
    assert_eq!(config.matches("[servers.a").count(), 1, "{config}");
}

#[test]
fn an_import_that_fails_half_way_leaves_every_file_as_it_was() {
    let text = format!(r#"{{"mcpServers":{{"a":{{"command":"a","env":{{"GH_TOKEN":"{KEY}"}}}}}}}}"#);
    let places = ["home/.cursor/mcp.json", "home/.gemini/settings.json"];
    // whichever of the two is written second
    for (stuck, other) in [(places[0], places[1]), (places[1], places[0])] {
        let bed = Bed::new();
        // a name beside which no new file has room
        let long = format!("dotfiles/{}", "n".repeat(252));
        bed.write(&long, &text);
        bed.write(other, &text);
        fs::create_dir_all(bed.path(stuck).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(bed.path(&long), bed.path(stuck)).unwrap();
        let said = bed.run(&["import", "--yes"]);
        assert!(said.code == 1 && said.err.contains("cannot write"), "{said:?}");
        assert!(said.err.contains("nothing is imported"), "{said:?}");
        for file in [stuck, other] {
            assert_eq!(fs::read_to_string(bed.path(file)).unwrap(), text, "{file}");
        }
        let folder = bed.path("home/.config/callgate");
        let config = fs::read_to_string(folder.join("callgate.toml")).unwrap();
        assert!(!config.contains("[servers.a]"), "{config}");
        assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 1, "nothing is left to take back");
        let secrets = || {
            let config = folder.join("callgate.toml");
            bed.json(&["secret", "list", "--config", config.to_str().unwrap()])
        };
        assert_eq!(secrets(), json!([]), "nor in the vault");
        assert!(!said.err.contains("still in the vault"), "{said:?}");
        let left = fs::read_dir(bed.path("dotfiles")).unwrap().count();
        assert_eq!(left, 1, "no half-written file is left");
        // mended, it goes through
        fs::remove_file(bed.path(stuck)).unwrap();
        bed.write(stuck, &text);
        let again = bed.run(&["import", "--yes"]);
        assert_eq!(again.code, 0, "{again:?}");
        assert!(!fs::read_to_string(bed.path(stuck)).unwrap().contains(KEY));
        let stored = secrets();
        assert_eq!(
            (stored[0]["version"].as_u64(), stored.as_array().unwrap().len()),
            (Some(1), 1),
            "{stored}"
        );
    }
}

#[test]
fn what_was_in_the_vault_before_an_import_that_fails_stays_there_and_is_named() {
    let bed = Bed::new();
    let file = "home/.cursor/mcp.json";
    bed.write(file, &format!(r#"{{"mcpServers":{{"a":{{"command":"a","env":{{"GH_TOKEN":"{KEY}"}}}}}}}}"#));
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 0);
    // a name beside which no new file has room
    let long = bed.path(&format!("dotfiles/{}", "n".repeat(252)));
    fs::create_dir_all(bed.path("dotfiles")).unwrap();
    fs::rename(bed.path(file), &long).unwrap();
    std::os::unix::fs::symlink(&long, bed.path(file)).unwrap();
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 1 && said.err.contains("nothing is imported"), "{said:?}");
    assert!(said.err.contains("still in the vault: a/"), "{said:?}");
    let config = bed.path("home/.config/callgate/callgate.toml");
    let stored = bed.json(&["secret", "list", "--config", config.to_str().unwrap()]);
    assert_eq!((stored[0]["version"].as_u64(), stored.as_array().unwrap().len()), (Some(2), 1), "{stored}");
}

#[test]
fn a_client_that_starts_its_new_entry_reaches_the_server_with_its_secret() {
    let bed = crate::wrap::bed();
    let _gateway = crate::wrap::Gateway(&bed);
    let script = bed.path("notes.sh");
    let server = json!({ "command": "/bin/sh", "args": [script], "env": { "NOTES_KEY": KEY } });
    bed.write("home/.cursor/mcp.json", &json!({ "mcpServers": { "notes": server } }).to_string());
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let text = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    let entry: Value = serde_json::from_str(&text).unwrap();
    let entry = &entry["mcpServers"]["notes"];
    let args: Vec<&str> = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let mut command = bed.command();
    assert_eq!(entry["command"].as_str().unwrap(), command.get_program());
    let mut child = command
        .args(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"it","version":"1"}}}}}}"#).unwrap();
    writeln!(stdin, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#).unwrap();
    writeln!(stdin, r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list"}}"#).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heard = lines
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .find(|heard| heard["id"] == 2)
        .unwrap();
    let tools = heard["result"]["tools"].to_string();
    assert!(
        tools.contains("read_note") && !tools.contains("drop_note"),
        "the first policy permits what reads: {heard}"
    );
    drop(stdin);
    child.wait().unwrap();
    // the first policy was filled meanwhile, and goes with the server that it names
    let starter = bed.path("home/.config/callgate/policies/starter-notes.cedar");
    assert!(fs::read_to_string(&starter).unwrap().contains("notes__read_note"));
    let back = bed.run(&["import", "--undo", "--yes"]);
    assert!(back.code == 0 && !back.out.contains('!'), "{back:?}");
    assert!(!starter.exists());
    let config = bed.path("home/.config/callgate/callgate.toml");
    let checked = bed.run(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[test]
fn an_undo_names_the_policies_that_somebody_has_changed() {
    let bed = Bed::new();
    bed.write("home/.cursor/mcp.json", r#"{"mcpServers":{"notes":{"command":"/bin/sh"}}}"#);
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let starter = "home/.config/callgate/policies/starter-notes.cedar";
    bed.write(starter, crate::bed::POLICY);
    let back = bed.run(&["import", "--undo", "--yes"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(bed.path(starter).exists());
    let told = format!("`{}` was changed by hand, so it stays", bed.path(starter).display());
    assert!(back.out.contains(&told), "{back:?}");
    assert!(back.out.contains("the rules that are left do not hold"), "{back:?}");
    assert!(!back.out.contains("every file is as it was"), "{back:?}");
}

#[test]
fn a_server_elsewhere_that_is_shown_nothing_stays_unless_it_is_named() {
    let bed = Bed::new();
    let text = json!({ "mcpServers": { "sentry": { "type": "http", "url": "https://mcp.sentry.example/mcp" },
        "near": { "url": "http://127.0.0.1:7421/mcp" } } })
    .to_string();
    bed.write("home/.cursor/mcp.json", &text);
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 0 && said.err.contains("Cursor/sentry stays as it is: "), "{said:?}");
    assert!(said.err.contains("sign in") && said.err.contains("--also sentry"), "{said:?}");
    let after = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    assert!(after.contains("mcp.sentry.example") && after.contains("near"), "{after}");
    assert!(!after.contains("127.0.0.1:7421"), "{after}");
    let unknown = bed.run(&["import", "--yes", "--also", "centry"]);
    assert!(unknown.code == 1 && unknown.err.contains("`centry`"), "{unknown:?}");
    assert_eq!(bed.run(&["import", "--yes", "--also", "sentry"]).code, 0);
    let after = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    assert!(!after.contains("mcp.sentry.example"), "{after}");
}

#[test]
fn what_its_user_has_turned_off_is_not_turned_on_by_being_moved() {
    let bed = Bed::new();
    let text = json!({ "mcpServers": { "off": { "command": "off-server", "disabled": true },
        "on": { "command": "on-server", "disabled": false } } })
    .to_string();
    bed.write("home/.cursor/mcp.json", &text);
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 0 && said.err.contains("Cursor/off stays as it is: it is turned off"), "{said:?}");
    let after = fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap();
    assert!(after.contains("off-server") && !after.contains("on-server"), "{after}");
}

#[test]
fn a_file_that_is_broken_is_told_where() {
    let bed = Bed::new();
    bed.write("broken.json", r#"{"mcpServers":{"a":{"command":"a"},"b":}}"#);
    let said = bed.run(&["import", "broken.json"]);
    assert!(
        said.code == 2 && said.err.contains("cannot be read: ") && said.err.contains("line 1 column"),
        "{said:?}"
    );
}

#[test]
fn a_thousand_servers_are_moved_in_one_go_but_for_those_that_would_not_do() {
    let bed = Bed::new();
    let mut servers = serde_json::Map::new();
    for n in 0..1_000 {
        servers.insert(format!("s{n}"), json!({ "command": format!("run-{n}"), "args": ["x"] }));
    }
    servers.insert("nul".to_owned(), json!({ "command": "a\u{0}b" }));
    servers.insert(
        "governed".to_owned(),
        json!({ "command": "env", "args": ["X=1", "callgate", "wrap", "--name", "x"] }),
    );
    servers.insert("double".to_owned(), json!({ "command": "a", "url": "https://a.example" }));
    bed.write("home/.cursor/mcp.json", &json!({ "mcpServers": servers }).to_string());
    let said = bed.run(&["import", "--yes", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["imported"].as_array().unwrap().len(), 1_000);
    let left: Vec<&str> =
        answer["left"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(left, ["double", "nul"]);
    let after: Value =
        serde_json::from_str(&fs::read_to_string(bed.path("home/.cursor/mcp.json")).unwrap()).unwrap();
    let moved = after["mcpServers"].as_object().unwrap().values().filter(|one| one["args"][0] == "wrap");
    assert_eq!(moved.count(), 1_000);
}

#[test]
fn every_project_of_one_file_is_told_and_moved_by_itself() {
    let bed = Bed::new();
    let server = |path: &str| json!({ "mcpServers": { "git": { "command": "node", "args": [path], "env": { "API_KEY": KEY } } } });
    let text = json!({ "mcpServers": { "git": { "command": "docker", "args": ["run", "x"] } }, "projects": {
        "/p1": server("/srv/one.js"), "/p2": server("/srv/two.js"), "/p3": { "mcpServers": {
            "git": { "command": "bash", "args": ["-c", "curl https://a.example | sh"], "env": { "T": "${X}" } } } } } });
    bed.write("home/.claude.json", &text.to_string());
    let scanned = bed.json(&["scan"]);
    let projects: Vec<Option<&str>> =
        scanned["servers"].as_array().unwrap().iter().map(|one| one["project"].as_str()).collect();
    assert_eq!(projects, [None, Some("/p1"), Some("/p2"), Some("/p3")], "{scanned}");
    let table = bed.run(&["scan"]);
    assert!(table.out.contains("git (/p2)") && table.out.contains("Claude Code/git (/p1)"), "{table:?}");
    let said = bed.run(&["import", "--yes", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    let of = |list: &str| -> Vec<Value> {
        answer[list].as_array().unwrap().iter().map(|one| one["project"].clone()).collect()
    };
    assert_eq!(
        (of("imported"), of("left")),
        (vec![Value::Null, json!("/p1"), json!("/p2")], vec![json!("/p3")])
    );
    assert!(said.err.contains("Claude Code/git (/p3) stays as it is: `T` is filled in"), "{said:?}");
    let after = fs::read_to_string(bed.path("home/.claude.json")).unwrap();
    assert!(!after.contains(KEY) && after.matches("wrap").count() == 3, "{after}");
    assert_eq!(bed.run(&["import", "--undo", "--yes"]).code, 0);
    assert_eq!(fs::read_to_string(bed.path("home/.claude.json")).unwrap(), text.to_string());
}

#[test]
fn each_server_is_run_where_its_client_would_run_it() {
    let bed = Bed::new();
    let run = |cwd: &str| json!({ "command": "node", "args": ["server.js"], "cwd": cwd });
    let text = json!({ "mcpServers": { "prod-db": run("/srv/p1"), "test-db": run("/srv/p2"), "again": run("/srv/p1"),
        "anywhere": { "command": "x" }, "nowhere": { "command": "node", "args": ["server.js"] },
        "filled": run("${workspaceFolder}"), "near": run("p3") } });
    bed.write("home/.gemini/settings.json", &text.to_string());
    bed.write(
        "home/proj/.mcp.json",
        &json!({ "mcpServers": { "own": { "command": "node", "args": ["server.js"] } } }).to_string(),
    );
    let said = bed.run(&["import", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("cwd = /srv/p2"), "it is shown: {}", said.err);
    for (name, why) in [
        ("nowhere", "`server.js` is a path from the folder"),
        ("filled", "`cwd` is filled in by the client"),
        ("near", "its `cwd` is `p3`"),
    ] {
        assert!(said.err.contains(&format!("Gemini CLI/{name} stays as it is: {why}")), "{}", said.err);
    }
    let file = bed.path("home/proj/.mcp.json");
    assert_eq!(bed.run(&["import", "--yes", file.to_str().unwrap()]).code, 0);
    let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
    let meant: toml::Table = config.parse().unwrap();
    let servers = meant["servers"].as_table().unwrap();
    let mut runs: Vec<(&str, &str)> =
        servers.iter().map(|(name, one)| (name.as_str(), one["cwd"].as_str().unwrap())).collect();
    runs.sort_unstable();
    let (home, work) = (bed.path("home"), bed.path("home/proj"));
    let [home, work] = [&home, &work].map(|path| path.to_str().unwrap());
    // two that differ by nothing but the folder are two, and one that is named twice is one
    let expected = [("again", "/srv/p1"), ("anywhere", home), ("own", work), ("test-db", "/srv/p2")];
    assert_eq!(runs, expected, "{config}");
}

#[test]
fn what_takes_a_credential_from_its_client_stays_and_says_so() {
    let bed = Bed::new();
    let docker = |more: Value| {
        let mut entry = json!({ "command": "docker", "args": ["run", "-i", "-e", "GITHUB_TOKEN", "image"] });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let text = json!({ "mcpServers": { "bare": docker(json!({})), "off": docker(json!({ "disabled": true })),
        "given": docker(json!({ "env": { "GITHUB_TOKEN": KEY } })) } });
    bed.write("home/.cursor/mcp.json", &text.to_string());
    bed.write(
        "home/.codex/config.toml",
        "[mcp_servers.a]\nurl = \"https://a.example/mcp\"\nbearer_token_env_var = \"A\"\n[mcp_servers.b]\nurl = \"https://b.example/mcp\"\nenv_http_headers = { \"X-Key\" = \"B\" }\n",
    );
    let said = bed.run(&["import", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    for (who, why) in [
        ("Cursor/bare", "`-e GITHUB_TOKEN` takes the value from the environment of its client"),
        ("Cursor/off", "`-e GITHUB_TOKEN` takes the value"),
        ("Codex/a", "`bearer_token_env_var` is filled in by the client"),
        ("Codex/b", "`env_http_headers` is filled in by the client"),
    ] {
        assert!(said.err.contains(&format!("{who} stays as it is: {why}")), "{}", said.err);
    }
    assert!(!said.err.contains("--also") && said.out.contains("imported `given`"), "{said:?}");
}

#[test]
fn an_address_that_looks_like_one_of_sse_is_taken_as_one_unless_it_says_otherwise() {
    let bed = Bed::new();
    let at = |more: Value| {
        let mut entry = json!({ "url": "http://127.0.0.1:1/x/sse/?k=1" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let text = json!({ "mcpServers": { "looks": at(json!({})), "says": { "url": "http://127.0.0.1:2/mcp", "type": "sse" },
        "not": at(json!({ "type": "http" })), "stream": { "httpUrl": "http://127.0.0.1:3/sse" },
        "plain": { "url": "http://127.0.0.1:4/mcp" } } });
    bed.write("home/.gemini/settings.json", &text.to_string());
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
    let meant: toml::Table = config.parse().unwrap();
    for (name, is_sse) in
        [("looks", true), ("says", true), ("not", false), ("stream", false), ("plain", false)]
    {
        let transport = meant["servers"][name].get("transport").and_then(toml::Value::as_str);
        assert_eq!(transport == Some("sse"), is_sse, "{name}: {config}");
    }
}

#[test]
fn what_an_address_asks_with_is_a_secret_unless_it_is_plainly_none() {
    let bed = Bed::new();
    let url = format!("http://127.0.0.1:9/mcp?project_ref=abcdefgh&read_only=true&key={KEY}");
    let entry =
        json!({ "mcpServers": { "db": { "type": "http", "url": url, "headers": { "X-Mode": "true" } } } });
    bed.write("home/.cursor/mcp.json", &entry.to_string());
    let said = bed.run(&["import", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    let config = fs::read_to_string(bed.path("home/.config/callgate/callgate.toml")).unwrap();
    assert!(
        config.contains("url = \"http://127.0.0.1:9/mcp?project_ref=abcdefgh&read_only=true\""),
        "{config}"
    );
    assert!(config.contains("query = \"key\"") && config.contains("header = \"X-Mode\""), "{config}");
    assert!(!config.contains("read_only\"") && !config.contains(KEY), "{config}");
    // in a header everything is a secret, and one that is a word is not looked for in what the server says
    let said = bed.run(&["check"]);
    assert!(!said.out.contains("so short or common"), "{said:?}");

    // nothing of that is a credential, so the client may sign in
    let bed = Bed::new();
    let entry = json!({ "mcpServers": { "db": { "url": "https://db.example/mcp?read_only=true" } } });
    bed.write("home/.cursor/mcp.json", &entry.to_string());
    let said = bed.run(&["import", "--yes"]);
    assert!(said.err.contains("is sent no credential"), "{said:?}");
}

#[test]
fn clients_that_share_a_file_have_their_servers_moved_once() {
    let bed = Bed::new();
    let text = json!({ "mcpServers": { "a": { "command": "a" }, "b": { "command": "b" } } }).to_string();
    bed.write("home/.cursor/mcp.json", &text);
    fs::create_dir_all(bed.path("home/.gemini")).unwrap();
    std::os::unix::fs::symlink(bed.path("home/.cursor/mcp.json"), bed.path("home/.gemini/settings.json"))
        .unwrap();
    let said = bed.run(&["import", "--yes"]);
    assert!(said.code == 0 && said.out.contains("imported `a`, `b`;"), "{said:?}");
}
