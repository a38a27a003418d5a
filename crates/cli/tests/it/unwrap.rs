//! `callgate unwrap`: one server out of the configuration again, and its clients as they were.

use crate::{bed::Bed, import};
use serde_json::{Value, json};
use std::fs;

const CONFIG: &str = "home/.config/callgate/callgate.toml";

fn read(bed: &Bed, file: &str) -> String {
    fs::read_to_string(bed.path(file)).unwrap()
}

#[test]
fn every_client_has_its_own_entry_again() {
    for (file, text) in import::clients() {
        let bed = Bed::new();
        bed.write(file, &text);
        assert_eq!(bed.run(&["import", "--yes", "--also", "git"]).code, 0);
        let before = (read(&bed, file), read(&bed, CONFIG));
        let said = bed.run_with(&["unwrap", "git", "--config", CONFIG], "n\n");
        assert_eq!(said.code, 3, "{file}: {said:?}");
        assert_eq!((read(&bed, file), read(&bed, CONFIG)), before, "nobody said yes");
        assert!(
            !said.err.contains(import::KEY) && said.err.contains("callgate wrap --name git"),
            "{file}: {said:?}"
        );
        let said = bed.run(&["unwrap", "git", "--yes", "--config", CONFIG]);
        assert_eq!(said.code, 0, "{file}: {said:?}");
        assert_eq!(read(&bed, file), text, "{file}");
        let config = read(&bed, CONFIG);
        assert!(!config.contains("servers.git") && !config.contains("moved here"), "{config}");
        assert!(!bed.path("home/.config/callgate/policies/starter-git.cedar").exists(), "{file}");
        let kept = fs::read_dir(bed.path("home/.local/state/callgate/imports")).unwrap().count();
        assert_eq!(kept, 0, "what was replaced is kept no longer");
        assert_eq!(bed.run(&["import", "--yes", "--also", "git"]).code, 0, "{file}: it can be moved again");
    }
}

#[test]
fn one_of_several_is_taken_out_and_what_others_wrote_meanwhile_stays() {
    let bed = Bed::new();
    let file = "home/.cursor/mcp.json";
    let text = json!({ "mcpServers": { "a": { "command": "a", "env": { "API_KEY": import::KEY } }, "b": { "command": "b" } } });
    bed.write(file, &text.to_string());
    bed.write("home/.gemini/settings.json", &text.to_string());
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let mut now: Value = serde_json::from_str(&read(&bed, file)).unwrap();
    now["theme"] = json!("dark");
    bed.write(file, &now.to_string());
    let said = bed.run(&["unwrap", "a", "--yes", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["restored"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["secrets-kept"], json!(["a/API_KEY"]));
    let after: Value = serde_json::from_str(&read(&bed, file)).unwrap();
    assert_eq!(after["mcpServers"]["a"], text["mcpServers"]["a"]);
    assert_eq!((&after["theme"], &after["mcpServers"]["b"]["args"][0]), (&json!("dark"), &json!("wrap")));
    let config = read(&bed, CONFIG);
    assert!(!config.contains("servers.a") && config.contains("[servers.b]"), "{config}");
    let said = bed.run(&["unwrap", "aa", "--yes"]);
    assert!(said.code == 1 && said.err.contains("there is no server `aa`"), "{said:?}");
    // what no undo can put back any more is not kept, for it may hold what is nobody's business
    let imports = || {
        let all = fs::read_dir(bed.path("home/.local/state/callgate/imports")).unwrap();
        all.map(|one| fs::read_to_string(one.unwrap().path()).unwrap()).collect::<String>()
    };
    assert!(!imports().contains(import::KEY) && imports().contains("\\\"b\\\""), "{}", imports());
    assert_eq!(bed.run(&["unwrap", "b", "--yes"]).code, 0);
    let after: Value = serde_json::from_str(&read(&bed, file)).unwrap();
    assert_eq!(after["mcpServers"], text["mcpServers"]);
    assert_eq!(imports(), "");
}

#[test]
fn what_cannot_be_given_back_now_is_not_forgotten() {
    let bed = Bed::new();
    let (file, other) = ("home/.cursor/mcp.json", "home/.gemini/settings.json");
    let text = json!({ "mcpServers": { "a": { "command": "a", "args": ["x"] } } }).to_string();
    bed.write(file, &text);
    bed.write(other, &text);
    assert_eq!(bed.run(&["import", "--yes"]).code, 0);
    let governed = read(&bed, file);
    bed.write(file, &governed.replacen('{', "{,", 1));
    let said = bed.run(&["unwrap", "a", "--yes"]);
    assert!(said.code == 1 && said.err.contains("put that right first"), "{said:?}");
    assert!(read(&bed, CONFIG).contains("[servers.a]"), "nothing is changed");
    // another name, and turned off by its user
    let mut now: Value = serde_json::from_str(&governed).unwrap();
    let mut entry = now["mcpServers"].as_object_mut().unwrap().remove("a").unwrap();
    entry["disabled"] = json!(true);
    now["mcpServers"]["mine"] = entry;
    bed.write(file, &now.to_string());
    let said = bed.run(&["unwrap", "a", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    let after: Value = serde_json::from_str(&read(&bed, file)).unwrap();
    assert_eq!(after["mcpServers"]["mine"], json!({ "command": "a", "args": ["x"], "disabled": true }));
    assert_eq!(read(&bed, other), text);
}

#[test]
fn what_nobody_kept_is_told_and_a_configuration_that_would_not_hold_stays() {
    let bed = Bed::new();
    let config = "# mine\nlisten = \"127.0.0.1:7420\"\n\n# -- ours --\n\n# a note on a\n[servers.a] # this\ncommand = \"a\"\n\n# of b\n[servers.b]\ncommand = \"b\"\n\n[[servers.a.credentials]]\nsecret = \"k\"\nenv = \"K\"\n";
    bed.write(CONFIG, config);
    let entry = json!({ "mcpServers": { "a": { "command": "callgate", "args": ["wrap", "--name", "a"] } } })
        .to_string();
    bed.write("home/.cursor/mcp.json", &entry);
    let unnamed = json!({ "mcpServers": { "x": { "command": "callgate", "args": ["wrap", "--", "a"] } } });
    let other = json!({ "mcpServers": { "y": { "command": "callgate", "args": ["wrap", "--", "a", "b"] } } });
    bed.write("home/.gemini/settings.json", &unnamed.to_string());
    bed.write("home/.codeium/windsurf/mcp_config.json", &other.to_string());
    let said = bed.run(&["unwrap", "a", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("has to be changed by hand: what it was before is not known"), "{said:?}");
    let again: Vec<&str> =
        said.err.lines().filter(|line| line.contains("its next start adds the server again")).collect();
    assert!(again.len() == 1 && again[0].contains(".gemini/settings.json"), "{said:?}");
    assert!(!said.out.contains("vault"), "`k` was never stored: {said:?}");
    assert_eq!(read(&bed, "home/.cursor/mcp.json"), entry);
    assert_eq!(
        read(&bed, CONFIG),
        "# mine\nlisten = \"127.0.0.1:7420\"\n\n# -- ours --\n\n# of b\n[servers.b]\ncommand = \"b\"\n"
    );
    let needs = "[servers.b]\ncommand = \"b\"\n[[budgets]]\nname = \"x\"\ncounts = \"calls\"\nserver = \"b\"\nper = \"agent\"\nwindow = \"60s\"\nat-most = 3\n";
    bed.write(CONFIG, needs);
    let said = bed.run(&["unwrap", "b", "--yes"]);
    assert!(said.code == 1 && said.err.contains("would not hold"), "{said:?}");
    assert!(said.err.contains("counted under `[[budgets]]` by `x`: take that out first"), "{said:?}");
    assert_eq!(read(&bed, CONFIG), needs);
}

#[test]
fn what_an_import_kept_of_the_others_can_be_taken_back_after_one_is_taken_out() {
    let files = ["home/.cursor/mcp.json", "home/.codex/config.toml"];
    let texts = [
        json!({ "mcpServers": { "a": { "command": "a" }, "b": { "command": "b", "args": ["wrap"] } } })
            .to_string(),
        "[mcp_servers.a]\ncommand = \"a\"\n\n[mcp_servers.c]\ncommand = \"c\" # mine\n".to_owned(),
    ];
    for gone in ["a", "b", "c"] {
        let bed = Bed::new();
        files.iter().zip(&texts).for_each(|(file, text)| bed.write(file, text));
        assert_eq!(bed.run(&["import", "--yes"]).code, 0);
        assert_eq!(bed.run(&["unwrap", gone, "--yes"]).code, 0);
        let said = bed.run(&["import", "--undo", "--yes"]);
        assert_eq!(said.code, 0, "{gone}: {said:?}");
        files.iter().zip(&texts).for_each(|(file, text)| assert_eq!(read(&bed, file), *text, "{gone}"));
        assert!(!read(&bed, CONFIG).contains("\n[servers."), "{gone}: {}", read(&bed, CONFIG));
    }
    // one import over another, in one file
    for gone in ["a", "b"] {
        let bed = Bed::new();
        let (one, both) = (
            json!({ "mcpServers": { "a": { "command": "a" } } }).to_string(),
            json!({ "command": "b", "args": ["x"] }).to_string(),
        );
        bed.write(files[0], &one);
        assert_eq!(bed.run(&["import", "--yes"]).code, 0);
        let more = read(&bed, files[0]).replacen("{\"a\"", &format!("{{\"b\":{both},\"a\""), 1);
        bed.write(files[0], &more);
        assert_eq!(bed.run(&["import", "--yes"]).code, 0);
        assert_eq!(bed.run(&["unwrap", gone, "--yes"]).code, 0);
        let said = bed.run(&["import", "--undo", "--yes"]);
        // what was written between the two is no import's
        let whole = one.replacen("{\"a\"", &format!("{{\"b\":{both},\"a\""), 1);
        match gone {
            "a" => assert!(said.code == 0 && read(&bed, files[0]) == whole, "{said:?}"),
            _ => assert!(said.code == 1 && said.err.contains("changed since"), "{said:?}"),
        }
        assert!(gone == "b" || !read(&bed, CONFIG).contains("\n[servers."), "{}", read(&bed, CONFIG));
    }
}
