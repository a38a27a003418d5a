//! Names in rules that nobody has, and programs that are not there, as `callgate check` tells them.

use crate::bed::{Bed, free_port};

/// What is warned of, and what is noted beside.
fn said(bed: &Bed) -> (Vec<String>, Vec<String>) {
    let checked = bed.json(&["check"]);
    assert_eq!(checked["ok"], true, "{checked}");
    let of = |one: &serde_json::Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {} ({})", text("rule"), text("message"), text("help"))
    };
    let warnings = checked["warnings"].as_array().unwrap().iter().map(of);
    let notes = checked["notes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
    (warnings.filter(|one| !one.contains("matches nothing")).collect(), notes.collect())
}

fn settings(more: &str) -> String {
    format!("listen = \"127.0.0.1:{}\"\nstate-dir = \"state\"\n{more}", free_port())
}

const RULES: &str = r#"
@id("one") permit (principal == Agent::"my-agnt", action, resource);
@id("two") permit (principal in Group::"suport", action, resource);
@id("three") permit (principal == User::"alise", action, resource);
@id("four") @because("b") @unless-approved("finanse") forbid (principal, action, resource);
@id("five") @because("b") @unless-approved("2 of finance") forbid (principal, action, resource);
@id("six") permit (principal == Workload::"my-agent", action, resource);
@id("good") permit (principal == Agent::"my-agent", action, resource) when { principal in Group::"support" };
@id("own") permit (principal == Agent::"local", action, resource);
"#;

#[test]
fn a_name_in_a_rule_that_nobody_has_is_told_with_the_one_that_was_meant() {
    let bed = Bed::new();
    bed.write("callgate.toml", &settings(""));
    bed.write("policies/rules.cedar", RULES);
    assert_eq!(said(&bed).0, Vec::<String>::new(), "where nothing is kept yet, nobody is known");
    for args in [
        &["user", "add", "alice", "--group", "finance"][..],
        &["agent", "add", "my-agent", "--user", "alice", "--group", "support"],
    ] {
        assert_eq!(bed.run(args).code, 0);
    }
    let expected = [
        "one: there is no agent `my-agnt` (did you mean `my-agent`?)",
        "two: nobody is in the group `suport` (did you mean `support`?)",
        "three: there is no user `alise` (did you mean `alice`?)",
        "six: there is no workload `my-agent` (it is an agent: write `Agent::\"my-agent\"`)",
        "four: nobody is in the group `finanse`, so a call would wait for nobody (did you mean `finance`?)",
        "five: only 1 of `finance` may decide, and 2 have to (put more people into it: `callgate user set NAME --group finance`)",
    ];
    assert_eq!(said(&bed).0, expected);
    assert_eq!(bed.run(&["user", "add", "carl", "--group", "finance"]).code, 0);
    assert!(!said(&bed).0.iter().any(|one| one.starts_with("five")));

    // the same of what the settings ask people for
    let more = "[[budgets]]\nname = \"calls\"\ncounts = \"calls\"\nper = \"agent\"\nwindow = \"60s\"\nat-most = 3\nunless-approved = \"finanse\"\n";
    let escalations = "[approvals.escalate.finnance]\nafter = \"1m\"\nto = \"bosses\"\n[approvals.escalate.finance]\nafter = \"1m\"\nto = \"bosses\"\n";
    bed.write("callgate.toml", &settings(&format!("{escalations}{more}")));
    let notes = said(&bed).1;
    let has = |text: &str| notes.iter().any(|note| note.contains(text));
    assert!(has("the budget `calls`: nobody is in the group `finanse`"), "{notes:?}");
    assert!(
        has("`[approvals.escalate.finnance]` does nothing") && has("did you mean `finance`?"),
        "{notes:?}"
    );
    assert!(has("`[approvals.escalate.finance]`: nobody is in the group `bosses`"), "{notes:?}");

    // and of the console's roles
    bed.write(
        "callgate.toml",
        &settings("[console]\napprovers = [\"fnance\", \"finance\"]\nviewers = [\"auditors\"]\n"),
    );
    let notes = said(&bed).1;
    let console: Vec<&String> = notes.iter().filter(|note| note.starts_with("`[console]`")).collect();
    assert_eq!(console.len(), 2, "{notes:?}");
    assert!(console[0].starts_with("`[console]`, `viewers`: nobody is in the group `auditors`"), "{notes:?}");
    assert_eq!(
        console[1],
        "`[console]`, `approvers`: nobody is in the group `fnance`: did you mean `finance`?"
    );
}

#[test]
fn a_provider_may_name_agents_and_groups_and_nobody_who_decides() {
    let bed = Bed::new();
    let issuer = "[oauth]\n[[oauth.issuers]]\nissuer = \"https://login.example.com\"\n[oauth.issuers.claims]\ngroups = \"groups\"\n";
    bed.write("callgate.toml", &settings(&format!("{issuer}prefix = \"corp:\"\n")));
    let rules = r#"
@id("one") permit (principal == Agent::"corp:bot", action, resource);
@id("two") permit (principal in Group::"corp:ops", action, resource);
@id("three") permit (principal == Agent::"bot", action, resource);
@id("four") @because("b") @unless-approved("ops") forbid (principal, action, resource);
@id("five") permit (principal in Group::"corp:finanse", action, resource);
@id("six") @because("b") @unless-approved("corp:finance") forbid (principal, action, resource);
"#;
    bed.write("policies/rules.cedar", rules);
    assert_eq!(bed.run(&["user", "add", "alice", "--group", "corp:finance"]).code, 0);
    let (warnings, notes) = said(&bed);
    let expected = [
        "three: there is no agent `bot` (`callgate agent add bot` adds it)",
        "five: no group `corp:finanse` is known here, and only an identity provider could name it (did you mean `corp:finance`?)",
        "four: nobody is in the group `ops`, so a call would wait for nobody (put people into it: `callgate user set NAME \
         --group ops`; groups in a provider's tokens do not count for deciding)",
    ];
    assert_eq!(warnings, expected);
    // two names of one person
    let two = |notes: &[String]| notes.iter().any(|note| note.contains("`callgate user add corp:alice`"));
    assert!(two(&notes), "{notes:?}");
    assert_eq!(bed.run(&["user", "remove", "alice"]).code, 0);
    assert_eq!(bed.run(&["user", "add", "corp:alice", "--group", "corp:finance"]).code, 0);
    assert!(!two(&said(&bed).1));
}

#[test]
fn a_program_that_is_not_here_is_warned_of() {
    let bed = Bed::new();
    let servers = "[servers.line]\ncommand = \"cat -u now\"\n[servers.gone]\ncommand = \"no-such-program\"\n\
        [servers.folder]\ncommand = \"cat\"\ncwd = \"nowhere\"\n[servers.path]\ncommand = \"/no/such\"\n[servers.good]\ncommand = \"cat\"\n";
    bed.write("callgate.toml", &settings(servers));
    let checked = bed.json(&["check"]);
    assert_eq!(checked["ok"], true, "the gateway may run elsewhere");
    let programs: Vec<&str> =
        checked["programs"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(programs.len(), 4, "{programs:?}");
    assert!(
        programs[0].contains("`folder` would not start here: cannot start in the directory"),
        "{programs:?}"
    );
    assert!(programs[0].contains("make it, or name another as `cwd`"), "{programs:?}");
    assert!(programs[1].contains("`no-such-program` was not found"), "{programs:?}");
    let path: Vec<bool> = programs.iter().map(|one| one.contains("with another PATH")).collect();
    assert_eq!(path, [false, true, false, false], "only what is looked for in it: {programs:?}");
    assert!(programs[3].contains("`/no/such` was not found"), "{programs:?}");
    assert!(programs[2].contains("write `command = \"cat\"` and `args = [\"-u\", \"now\"]`"), "{programs:?}");
    assert!(bed.run(&["check"]).out.contains("`no-such-program` was not found"));
}

#[test]
fn a_file_of_the_listener_that_is_missing_is_told_with_its_line() {
    let bed = Bed::new();
    bed.write("callgate.toml", &settings("[tls]\n\ncertificate = \"gone.pem\"\nkey = \"gone.key\"\n"));
    let said = bed.run(&["check"]);
    assert!(said.code == 3 && said.out.contains("callgate.toml`, line 5: cannot read"), "{said:?}");
    assert_eq!(bed.json(&["check"])["tls-error-line"], 5);
}
