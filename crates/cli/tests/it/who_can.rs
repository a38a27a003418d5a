//! `callgate policy who-can` and `what-can` say what the gateway would do.

use crate::bed::{Bed, until};
use serde_json::{Value, json};

/// What is said of each tool to the agent.
fn codes(bed: &Bed) -> Vec<(String, Value)> {
    let all = bed.json(&["policy", "what-can", "bot", "--all"]);
    let one = |can: &Value| (can["name"].as_str().unwrap().to_owned(), can["code"].clone());
    all.as_array().unwrap().iter().map(one).collect()
}

fn is_shut(bed: &Bed, code: &str, why: &str) {
    let who = bed.run(&["policy", "who-can", "notes__read_note"]);
    assert!(who.code == 3 && who.out.contains(code) && !who.out.contains("yes"), "{code}: {who:?}");
    let what = bed.run(&["policy", "what-can", "bot"]);
    assert!(what.code == 3 && what.out.contains("sees 0 of 3") && what.out.contains(why), "{code}: {what:?}");
    assert_eq!(bed.json(&["policy", "what-can", "bot"]), json!([]));
    // what the rules hide is hidden for what they say
    let told = codes(bed);
    let of = |name: &str| told.iter().find(|(one, _)| one == name).unwrap().1.clone();
    assert_eq!((of("read_note"), of("hang"), of("drop_note")), (json!(code), json!(code), Value::Null));
}

#[test]
fn nobody_can_use_a_server_that_is_suspended_retired_or_not_approved() {
    let bed = Bed::looked_at();
    assert_eq!(bed.run(&["policy", "who-can", "notes__read_note"]).code, 0);
    assert_eq!(bed.run(&["registry", "suspend", "notes"]).code, 0);
    is_shut(&bed, "server-suspended", "suspended");
    assert_eq!(bed.run(&["registry", "retire", "notes"]).code, 0);
    is_shut(&bed, "server-retired", "retired");
    let bed = Bed::looked_at();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}environment = \"production\"\n"));
    is_shut(&bed, "server-unapproved", "registry review notes");
}

#[test]
fn of_a_server_that_is_held_to_reads_only_reads_can_be_used() {
    let bed = Bed::looked_at();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}environment = \"staging\"\n"));
    assert_eq!(bed.run(&["policy", "who-can", "notes__read_note"]).code, 0);
    let held = bed.run(&["policy", "who-can", "notes__hang"]);
    assert!(held.code == 3 && held.out.contains("server-held-to-reads"), "{held:?}");
    let what = bed.run(&["policy", "what-can", "bot"]);
    assert!(what.code == 0 && what.out.contains("sees 1 of 3"), "{what:?}");
}

#[test]
fn services_that_only_the_file_names_are_among_those_who_can() {
    let bed = Bed::looked_at();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let with = |groups: &str| {
        let services = format!(
            "{config}[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nclient-ca = \"ca.pem\"\n\
             [[workloads]]\nname = \"billing\"\nspiffe = \"spiffe://acme/billing\"\ngroups = [\"{groups}\"]\n"
        );
        bed.write("callgate.toml", &services);
    };
    let of_it = || {
        let all = bed.json(&["policy", "who-can", "notes__read_note"]);
        let all = all.as_array().unwrap().iter().map(|can| can["principal"].to_string());
        all.filter(|one| one.contains("billing")).collect::<Vec<_>>()
    };
    with("services");
    let said = bed.run(&["policy", "who-can", "notes__read_note"]);
    assert!(said.out.contains("workload billing"), "{said:?}");
    assert!(of_it()[0].contains("services"), "{:?}", of_it());
    assert_eq!(bed.run(&["policy", "what-can", "billing"]).code, 0);
    let listed = bed.run(&["agent", "list"]).out;
    assert!(listed.contains("shows a certificate"), "{listed}");
    // what was stored of it once says nothing of its groups now
    assert_eq!(bed.run(&["agent", "disable", "billing"]).code, 0);
    assert_eq!(bed.run(&["agent", "enable", "billing"]).code, 0);
    with("others");
    assert_eq!(of_it().len(), 1, "{:?}", of_it());
    assert!(of_it()[0].contains("others") && !of_it()[0].contains("services"), "{:?}", of_it());
}

#[test]
fn an_agent_that_is_disabled_can_do_nothing_and_is_told_of_once() {
    let bed = Bed::looked_at();
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
    let who = bed.run(&["policy", "who-can", "notes__read_note"]);
    let bots = who.out.lines().find(|line| line.contains("agent bot")).unwrap();
    assert!(bots.contains("agent-disabled") && !bots.contains("yes"), "{who:?}");
    let what = bed.run(&["policy", "what-can", "bot"]);
    assert!(what.code == 3 && what.out.contains("sees 0 of 3"), "{what:?}");
    assert_eq!(what.out.matches("callgate agent enable bot").count(), 1, "{what:?}");
    assert!(codes(&bed).iter().all(|(_, code)| code == "agent-disabled"));
    let explain = ["explain", "notes__read_note", "--agent", "bot"];
    let told = bed.run(&explain);
    assert!(told.code == 3 && told.out.contains("would be refused (agent-disabled)"), "{told:?}");
    assert_eq!(bed.json(&explain)["code"], "agent-disabled");
    assert_eq!(bed.run(&["agent", "enable", "bot"]).code, 0);
    assert_eq!(bed.run(&["policy", "what-can", "bot"]).code, 0);
}

#[test]
fn of_a_server_that_only_observes_they_say_what_happens_and_what_would_if_it_enforced() {
    let bed = Bed::looked_at();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let refused = bed.run(&["policy", "who-can", "notes__drop_note"]);
    assert!(refused.code == 3 && !refused.out.contains("yes"), "{refused:?}");
    assert!(bed.run(&["check"]).err.contains("nobody can see `notes__drop_note`"));
    bed.write("callgate.toml", &format!("{config}mode = \"observe\"\n"));

    let who = bed.run(&["policy", "who-can", "notes__drop_note"]);
    assert!(who.code == 0 && who.out.contains("yes"), "{who:?}");
    let one = bed.json(&["policy", "who-can", "notes__drop_note"])[0].clone();
    assert_eq!(one["answer"], "allowed", "{one}");
    assert_eq!(one["under-enforcement"]["answer"], "refused", "{one}");
    let what = bed.run(&["policy", "what-can", "bot"]);
    assert!(what.out.contains("sees 3 of 3") && what.out.contains("only observes"), "{what:?}");
    let explain = ["explain", "notes__drop_note", "--agent", "bot"];
    let told = bed.run(&explain);
    assert_eq!(told.code, 0, "{told:?}");
    let told = told.out;
    assert!(told.contains("would be allowed, because `notes` only observes"), "{told}");
    assert!(told.contains("if it enforced, it would be refused: no rule permits it"), "{told}");
    let told = bed.json(&explain);
    assert_eq!(
        (&told["answer"], &told["under-enforcement"]["answer"]),
        (&json!("allowed"), &json!("refused"))
    );
    let checked = bed.run(&["check"]);
    assert!(!checked.err.contains("nobody can see"), "{checked:?}");
    assert!(checked.err.replace('\n', " ").contains("everybody can use `notes__drop_note`"), "{checked:?}");

    // and it is what happens
    let token = bed.token("other");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("all is shown", || gateway.tools(&token, &session).len() == 3);
    let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": { "name": "drop_note", "arguments": {} } });
    let answer = gateway.post(&token, Some(&session), &call).2;
    assert_eq!(answer["result"]["content"][0]["text"], "a note", "{answer}");
    gateway.stop();

    // what tests of rules expect is of the rules
    let case = |expect: &str| {
        bed.write(
            "policies/a.test.toml",
            &format!("[[case]]\nname = \"drop\"\nagent = \"bot\"\ncall = \"notes__drop_note\"\nexpect = \"{expect}\"\n"),
        );
        bed.run(&["policy", "test"]).code
    };
    assert_eq!((case("hidden"), case("allowed")), (0, 3));

    // how the server stands, and whoever is disabled, are no matter of rules
    assert_eq!(bed.run(&["agent", "disable", "bot"]).code, 0);
    assert_eq!(bed.run(&["policy", "what-can", "bot"]).code, 3);
    assert_eq!(bed.run(&["registry", "suspend", "notes"]).code, 0);
    let who = bed.run(&["policy", "who-can", "notes__drop_note"]);
    assert!(who.code == 3 && who.out.contains("server-suspended"), "{who:?}");
    // without a rule, not every call is refused
    std::fs::remove_file(bed.path("policies/notes.cedar")).unwrap();
    let said = bed.run(&["check"]).out;
    assert!(said.contains("every call of a server that does not only observe is refused"), "{said}");
}

/// Rules that read what `read_note` may be called with.
const BY_ARGUMENT: &str = "@id(\"not-that\") @because(\"not this note\")\n\
    forbid (principal, action in [Action::\"notes__read_note\", Action::\"notes__hang\"], resource)\n\
    when { context.args has note && context.args.note == \"secret\" };\n";

#[test]
fn without_arguments_it_depends_on_them_where_a_rule_reads_them() {
    let bed = Bed::looked_at();
    let who = |tool: &str, more: &[&str]| bed.run(&[&["policy", "who-can", tool], more].concat());
    let all = ["--args", "{}"];
    assert_eq!(who("notes__read_note", &[]).code, 0);
    bed.write("policies/more.cedar", BY_ARGUMENT);
    let said = who("notes__read_note", &[]);
    assert!(said.code == 4 && said.out.contains("depends") && said.out.contains("not-that"), "{said:?}");
    assert!(!said.out.contains("could not be evaluated"), "{said:?}");
    let one = bed.json(&["policy", "who-can", "notes__read_note"])[0].clone();
    assert_eq!((&one["answer"], &one["rules"]), (&json!("depends"), &json!(["not-that"])));
    assert_eq!(who("notes__read_note", &["--args", "{\"note\":\"a\"}"]).code, 0);
    let no = who("notes__read_note", &["--args", "{\"note\":\"secret\"}"]);
    assert!(no.code == 3 && no.out.contains("not-that"), "{no:?}");
    // one that is not there decides nothing, and what nothing permits does not depend
    assert_eq!((who("notes__hang", &[]).code, who("notes__drop_note", &[]).code), (0, 3));
    // what does not fit is told, and not what the rules make of it
    let unfit = who("notes__read_note", &["--args", "{\"note\":5}"]);
    assert!(unfit.code == 3 && unfit.out.contains("do not fit the pinned schema"), "{unfit:?}");
    assert_eq!(
        bed.json(&["policy", "who-can", "notes__read_note", "--args", "{\"none\":5}"])[0]["code"],
        "arguments-invalid"
    );
    assert_eq!(who("notes__drop_note", &all).code, 3);

    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}open-arguments = [\"read_note\"]\n"));
    assert_eq!(who("notes__read_note", &["--args", "{\"none\":5,\"note\":\"a\"}"]).code, 0);
    bed.write("callgate.toml", &format!("{config}mode = \"observe\"\n"));
    let one = bed.json(&["policy", "who-can", "notes__read_note"])[0].clone();
    assert_eq!((&one["answer"], &one["under-enforcement"]["answer"]), (&json!("allowed"), &json!("depends")));
}

#[test]
fn explain_without_arguments_says_what_holds_whatever_they_are() {
    let bed = Bed::looked_at();
    bed.write("policies/more.cedar", BY_ARGUMENT);
    let explain = ["explain", "notes__read_note", "--agent", "bot"];
    let said = bed.run(&explain);
    assert_eq!(said.code, 4, "{said:?}");
    let said = said.out;
    assert!(
        said.contains("would depend on the arguments, which not-that reads: give them with `--args`"),
        "{said}"
    );
    let one = bed.json(&explain);
    assert_eq!((&one["answer"], &one["rules"]), (&json!("depends"), &json!(["not-that"])));
    let with = [&explain[..], &["--args", "{\"note\":\"a\"}"]].concat();
    assert_eq!(bed.json(&with)["answer"], "allowed");
    assert_eq!(bed.run(&with).code, 0);
    // no argument that is missing is wrong where none was said
    let refused = bed.run(&["explain", "notes__drop_note", "--agent", "bot"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let refused = refused.out;
    assert!(refused.contains("would be refused") && !refused.contains("pinned schema"), "{refused}");
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}mode = \"observe\"\n"));
    let one = bed.json(&explain);
    assert_eq!((&one["answer"], &one["under-enforcement"]["answer"]), (&json!("allowed"), &json!("depends")));
}
