//! A slip in a file, while the gateway serves on with what it read before: what an emergency takes goes on.

use crate::bed::{Bed, Said, until};
use std::fs;

/// What the configuration says in which a slip was made, from the whole one.
fn slips(whole: &str) -> Vec<String> {
    vec![
        format!("{whole}\n[servers.notes\n"),
        format!("no such line\n{whole}"),
        format!("listn = \"127.0.0.1:1\"\n{whole}"),
        whole.replace("command = ", "command = 7 # "),
        whole.replace("listen = \"", "listen = \"nowhere "),
        whole.replace("state-dir", "state_dir"),
        whole.replace("state-dir = \"state\"", "state-dir = state"),
        format!("x = '''\n{whole}"),
    ]
}

fn goes_by_older(said: &Said, words: &[&str]) {
    assert!(said.err.contains("warning: the newest files do not hold"), "{words:?}: {said:?}");
}

#[test]
fn an_emptied_configuration_is_refused_and_no_defaults_stand_in_for_it() {
    let bed = Bed::with_notes();
    for empty in ["", " \n\n"] {
        bed.write("callgate.toml", empty);
        for words in [&["check"][..], &["settings"], &["agent", "list"], &["registry", "list"], &["serve"]] {
            let said = bed.run(words);
            assert!(said.code == 1 && said.err.contains("callgate.toml` is empty"), "{words:?}: {said:?}");
        }
    }
    bed.write("callgate.toml", "# defaults\n");
    assert_eq!(bed.run(&["settings"]).code, 0, "somebody says that they are meant");
}

#[test]
fn a_slip_in_the_configuration_takes_no_emergency_command_away() {
    let bed = Bed::with_notes();
    let token = bed.token("bot");
    let whole = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    for (nth, slip) in slips(&whole).into_iter().enumerate() {
        bed.write("callgate.toml", &slip);
        for words in [
            &["agent", "disable", "bot"][..],
            &["agent", "enable", "bot"],
            &["registry", "suspend", "notes"],
            &["registry", "review", "notes"],
            &["user", "list"],
            &["approvals", "list"],
            &["budgets"],
            &["audit", "list"],
            &["audit", "verify"],
            &["console"],
            &["secret", "list"],
            &["settings", "--effective"],
        ] {
            let said = bed.run(words);
            assert_eq!(said.code, 0, "{slip}: {words:?}: {said:?}");
            goes_by_older(&said, words);
            // the remark is none of the answer
            if words[1..] == ["list"] {
                bed.json(words);
            }
        }
        let name = format!("late{nth}");
        assert_eq!(bed.run_with(&["secret", "set", &name], "a secret of some length").code, 0);
        // what shows, judges or changes the file, or begins with it, takes one that holds
        for words in [
            &["check"][..],
            &["settings"],
            &["policy", "who-can", "notes__read_note"],
            &["registry", "export", "managed-settings"],
            &["registry", "import", "server.json"],
            &["secret", "rotate"],
            &["serve"],
            &["init"],
        ] {
            let said = bed.run(words);
            assert!(said.code != 0 && !said.err.contains("goes by what"), "{slip}: {words:?}: {said:?}");
        }
    }
    let quoted = whole.replace("state-dir", "\"state-dir\"") + "oops = = 1\n";
    let one_line = "listen = \"127.0.0.1:1\" state-dir = \"state\"\n".to_owned();
    let wide = format!("\u{feff}{whole}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = format!("{whole}#{}\n", "x".repeat(5 << 20));
    let latin = [whole.as_bytes(), b"# M\xfcller\n"].concat();
    for slip in [quoted.into_bytes(), one_line.into_bytes(), wide, large.into_bytes(), latin] {
        fs::write(bed.path("callgate.toml"), &slip).unwrap();
        for words in [&["agent", "disable", "bot"][..], &["agent", "enable", "bot"]] {
            let said = bed.run(words);
            let begins = String::from_utf8_lossy(&slip[..40]).into_owned();
            assert_eq!(said.code, 0, "{begins}: {words:?}: {said:?}");
            goes_by_older(&said, words);
        }
    }
    // all of it is what the gateway goes by
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
    let hello = serde_json::json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
    assert_eq!(gateway.post(&token, Some(&session), &hello).0, 401);
    // and without one, nothing is
    assert_eq!(gateway.stop(), 0);
    let said = bed.run(&["agent", "enable", "bot"]);
    assert!(said.code == 1 && !said.err.contains("goes by what"), "{said:?}");
}

#[test]
fn a_policy_that_does_not_load_or_cannot_be_read_does_neither() {
    let bed = Bed::with_notes();
    bed.token("bot");
    let gateway = bed.serve();
    bed.write("policies/more.cedar", "permit (principal, action");
    for words in [&["agent", "disable", "bot"][..], &["registry", "suspend", "notes"], &["approvals", "list"]]
    {
        assert_eq!(bed.run(words).code, 0, "{words:?}");
    }
    fs::remove_file(bed.path("policies/more.cedar")).unwrap();
    fs::create_dir(bed.path("policies/more.cedar")).unwrap();
    for words in [&["agent", "enable", "bot"][..], &["registry", "review", "notes"], &["registry", "list"]] {
        let said = bed.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        goes_by_older(&said, words);
    }
    assert_eq!(gateway.stop(), 0);
    // who needs no policies is not kept from working by them
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
}

#[test]
fn a_file_from_elsewhere_leads_no_command_to_another_gateway() {
    let bed = Bed::with_notes();
    bed.token("bot");
    let gateway = bed.serve();
    let state = bed.path("state");
    bed.write("elsewhere/callgate.toml", &format!("state-dir = \"{}\"\nslip\n", state.display()));
    let mut command = bed.command();
    command.current_dir(bed.path("elsewhere")).args(["agent", "disable", "bot"]);
    let said = Said::of(&command.output().unwrap());
    assert!(said.code == 1 && !said.err.contains("goes by what"), "{said:?}");
    assert_eq!(bed.json(&["agent", "list"])[0]["disabled"], false);
    // by another name it is the same file
    std::os::unix::fs::symlink(bed.path("callgate.toml"), bed.path("elsewhere/link.toml")).unwrap();
    let whole = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write(
        "callgate.toml",
        &format!("{}slip\n", whole.replace("\"state\"", &format!("\"{}\"", state.display()))),
    );
    assert_eq!(bed.run(&["agent", "disable", "bot", "--config", "elsewhere/link.toml"]).code, 0);
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn a_gateway_whose_state_is_in_the_usual_place_is_found_and_its_key_is_taken_from_the_environment() {
    let bed = Bed::with_notes();
    let whole = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let key = "[vault]\nkey = { env = \"THE_KEY\" }\n";
    bed.write("callgate.toml", &(whole.replace("state-dir = \"state\"\n", "") + key));
    let env = [("THE_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")];
    let gateway = bed.serve_env(&env);
    bed.write("callgate.toml", &format!("slip\n{whole}{key}"));
    let said = bed.run_env(&env, &["secret", "set", "crm"], "a secret of some length");
    assert_eq!(said.code, 0, "{said:?}");
    goes_by_older(&said, &["secret", "set"]);
    assert_eq!(gateway.stop(), 0);
}
