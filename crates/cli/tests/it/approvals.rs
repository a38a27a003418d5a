//! Approvals at the command line, with the real gateway and without.

use crate::bed::{Bed, Served, until};
use serde_json::{Value, json};

const HELD: &str = r#"@id("dropping-is-approved") @because("somebody looks before a note is dropped")
@unless-approved("keepers")
forbid (principal, action == Action::"notes__drop_note", resource);
@id("may-drop") permit (principal, action == Action::"notes__drop_note", resource);
"#;

/// A bed in which dropping a note waits for its keepers.
fn bed() -> Bed {
    let bed = Bed::with_notes();
    bed.write("policies/held.cedar", HELD);
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write(
        "callgate.toml",
        &config.replace("[servers.notes]", "[approvals]\nhold-for = \"0s\"\n[servers.notes]"),
    );
    for (name, group) in [("kim", "keepers"), ("sue", "support"), ("tester", "support")] {
        assert_eq!(bed.run(&["user", "add", name, "--group", group]).code, 0);
    }
    bed
}

fn drop_note(gateway: &Served, token: &str, session: &str) -> Value {
    let params = json!({ "name": "drop_note", "arguments": { "note": "n\u{202e}1" } });
    let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params });
    gateway.post(token, Some(session), &call).2
}

fn begin(bed: &Bed, token: &str) -> (Served, String) {
    let gateway = bed.serve();
    let session = gateway.session(token);
    until("the server was looked at", || gateway.tools(token, &session).len() == 3);
    (gateway, session)
}

fn is_held(told: &Value) -> bool {
    told["result"]["_meta"]["callgate/refusal"]["code"] == "approval-required"
}

#[test]
fn a_person_decides_and_the_same_call_is_done_once_also_after_a_restart() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let waiting = bed.json(&["approvals", "list"]);
    let id = waiting[0]["id"].as_str().unwrap();
    let shown = bed.run(&["approvals", "show", id]).out;
    for told in [
        "agent bot wants to run `drop_note` on `notes`",
        "n⟨U+202E⟩1",
        "keepers 0/1",
        "this call, once",
        "hidden or direction",
    ] {
        assert!(shown.contains(told), "`{told}` is missing in\n{shown}");
    }
    // the account that runs this is a user, of another group
    let said = bed.run(&["approvals", "approve", id]);
    assert!(said.code == 3 && said.out.contains("only these may decide: keepers"), "{said:?}");
    let said = bed.run(&["approvals", "approve", id, "--as", "nobody"]);
    assert!(said.code == 1 && said.err.contains("callgate user add nobody"), "{said:?}");
    assert_eq!(bed.run(&["approvals", "approve", id, "--as", "kim"]).code, 0);
    assert_eq!(gateway.stop(), 0);

    let (gateway, session) = begin(&bed, &token);
    let done = drop_note(&gateway, &token, &session);
    assert!(!is_held(&done) && done["result"]["content"][0]["text"] == "a note", "{done}");
    assert_eq!(bed.json(&["approvals", "show", id])["state"], "executed");
    assert!(is_held(&drop_note(&gateway, &token, &session)), "once");
    let said = bed.run(&["approvals", "approve", id, "--as", "kim"]);
    assert!(said.code == 3 && said.out.contains("executed already"), "{said:?}");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn where_no_gateway_runs_the_command_decides_itself_and_records_it() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    assert_eq!(gateway.stop(), 0);
    let id = bed.json(&["approvals", "list"])[0]["id"].as_str().unwrap().to_owned();
    let said = bed.run(&["approvals", "deny", &id, "--as", "kim", "--reason", "keep it"]);
    assert!(said.code == 0 && said.out.contains("denied"), "{said:?}");
    assert!(!bed.files_with("state/ledger", "approval-denied").is_empty());
    assert!(!bed.files_with("state/ledger", r#""via":"command:tester""#).is_empty());
    let (gateway, session) = begin(&bed, &token);
    let told = drop_note(&gateway, &token, &session).to_string();
    assert!(told.contains("approval-denied") && told.contains("keep it"), "{told}");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.run(&["audit", "verify"]).code, 0);
}

#[test]
fn an_approval_that_is_void_by_what_is_in_force_is_shown_as_void_and_is_ended_by_nobody() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let void = || bed.json(&["approvals", "list"])[0]["void"].clone();
    assert_eq!(void(), Value::Null);
    bed.write("policies/held.cedar", &HELD.replace("somebody looks", "anybody looks"));
    until("the rules are in force", || void() == "policy");
    let listed = bed.run(&["approvals", "list"]).out;
    assert!(listed.contains("void") && !listed.contains("waits"), "{listed}");
    let id = bed.json(&["approvals", "list"])[0]["id"].as_str().unwrap().to_owned();
    let shown = bed.run(&["approvals", "show", &id]).out;
    assert!(shown.contains("void: the policies changed since, so a yes would count for nothing"), "{shown}");
    let said = bed.run(&["approvals", "approve", &id, "--as", "kim"]);
    assert!(said.code == 3 && said.out.contains("a yes would count for nothing"), "{said:?}");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(void(), "policy", "also where no gateway runs");
    bed.write("policies/held.cedar", "permit (");
    let listed = bed.run(&["approvals", "list"]);
    assert!(
        listed.code == 0 && listed.out.contains("waits") && listed.err.contains("is not known"),
        "{listed:?}"
    );
    bed.write("policies/held.cedar", HELD);
    assert_eq!(void(), Value::Null, "the rules are what they were");
    assert_eq!(bed.json(&["approvals", "show", &id])["state"], "proposed");
    let revoke = || bed.run(&["approvals", "revoke", &id, "--as", "kim", "--reason", "not needed"]);
    let refused = revoke();
    assert!(refused.code == 3 && refused.out.contains("neither asked for it nor decided it"), "{refused:?}");
    assert_eq!(bed.json(&["approvals", "show", &id])["state"], "proposed");
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}[console]\nadministrators = [\"keepers\"]\n"));
    assert_eq!(revoke().code, 0);
    let shown = bed.run(&["approvals", "show", &id]).out;
    let state = shown.lines().find(|line| line.starts_with("state")).unwrap();
    assert!(state.contains("cancelled, 20") && state.ends_with("(taken back by kim: not needed)"), "{state}");
    let ended = &bed.json(&["approvals", "show", &id])["ended"];
    assert_eq!((&ended["by"], &ended["reason"]), (&"kim".into(), &"not needed".into()));
}

#[test]
fn a_group_is_lent_for_a_while_and_no_longer() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    let lend = |from: &str, lasts: &str| {
        bed.run(&["approvals", "delegate", from, "sue", "--group", "keepers", "--for", lasts])
    };
    assert_eq!(lend("tester", "3d").code, 1, "not hers to lend");
    assert_eq!(lend("kim", "soon").code, 2);
    assert_eq!(lend("kim", "3d").code, 0);
    assert_eq!(bed.json(&["approvals", "delegations"])[0]["to"], "sue");
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let id = bed.json(&["approvals", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bed.run(&["approvals", "undelegate", "kim", "sue"]).code, 0);
    assert_eq!(bed.run(&["approvals", "approve", &id, "--as", "sue"]).code, 3);
    assert_eq!(lend("kim", "3d").code, 0);
    let said = bed.json(&["approvals", "approve", &id, "--as", "sue"]);
    assert_eq!(
        (said["state"].as_str(), &said["votes"][0]["lent"]["keepers"]),
        (Some("approved"), &json!("kim"))
    );
    // nobody takes back what others decided, not even who lent the group
    assert_eq!(bed.run(&["approvals", "revoke", &id, "--as", "kim"]).code, 3);
    assert_eq!(bed.json(&["approvals", "show", &id])["state"], "approved");
    assert_eq!(bed.run(&["approvals", "revoke", &id, "--as", "sue"]).code, 0);
    assert!(is_held(&drop_note(&gateway, &token, &session)), "taken back before it left");
    assert_eq!(gateway.stop(), 0);
}

/// What was there before somebody watched did not happen just now.
#[test]
fn whoever_watches_is_told_when_each_thing_happened() {
    use std::io::BufRead as _;
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let before = bed.json(&["approvals", "list"])[0]["proposed-at"].as_u64().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let mut command = bed.command();
    command.args(["approvals", "watch"]).stdout(std::process::Stdio::piped());
    let mut watching = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(watching.stdout.take().unwrap()).read_line(&mut line).unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
    let told: jiff::Timestamp = format!("{}Z", line.get(..19).unwrap().replace(' ', "T")).parse().unwrap();
    let told = u64::try_from(told.as_second()).unwrap();
    assert!(told.abs_diff(before / 1_000_000) <= 1, "{line}");
}

#[test]
fn cases_are_asked_and_what_is_not_as_written_is_named() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, _) = begin(&bed, &token);
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.run(&["policy", "test"]).code, 1, "there are none");
    let case = |name: &str, call: &str, rest: &str| {
        format!("[[case]]\nname = \"{name}\"\nagent = \"bot\"\ncall = \"notes__{call}\"\n{rest}\n")
    };
    let good = case(
        "reading",
        "read_note",
        "arguments = { note = \"n\" }\nexpect = \"allowed\"\nrules = [\"read-notes\"]",
    ) + &case(
        "dropping",
        "drop_note",
        "expect = \"held\"\nby = \"keepers\"\nrules = [\"dropping-is-approved\"]",
    ) + &case("wrong arguments", "read_note", "arguments = { note = 1 }\nexpect = \"refused\"");
    bed.write("policies/notes.test.toml", &good);
    let said = bed.run(&["policy", "test"]);
    assert!(said.code == 0 && said.out.contains("3 of 3 cases are as written"), "{said:?}");
    let bad = case("dropping is free", "drop_note", "expect = \"allowed\"")
        + &case("two keepers", "drop_note", "expect = \"held\"\nby = \"2 of keepers\"");
    bed.write("bad.test.toml", &bad);
    let said = bed.run(&["policy", "test", "bad.test.toml"]);
    assert!(
        said.code == 3 && said.out.contains("should be allowed, and is held by dropping-is-approved"),
        "{said:?}"
    );
    assert!(said.out.contains("should be held for 2 of keepers"), "{said:?}");
    // one that cannot be asked hides none of the others
    let unknown = case("nothing", "no_note", "expect = \"refused\"");
    bed.write("bad.test.toml", &(unknown + &good));
    let said = bed.run(&["policy", "test", "bad.test.toml"]);
    assert!(said.code == 3 && said.out.contains("3 of 4 cases are as written"), "{said:?}");
    let told = bed.json(&["policy", "test", "bad.test.toml"]);
    let problem = told[0]["problem"].as_str().unwrap();
    assert!(problem == "cannot be asked: no accepted tool is called `notes__no_note`", "{told}");
    assert!(told[0]["ok"] == false && told[0]["answer"].is_null() && told[3]["ok"] == true, "{told}");
    bed.write("bad.test.toml", "[[case]]\nnam = \"x\"\n");
    let said = bed.run(&["policy", "test", "bad.test.toml"]);
    assert!(said.code == 1 && said.err.contains("nam"), "{said:?}");
}

#[test]
fn explain_says_who_can_lift_what_holds_a_call_that_was_made_or_not() {
    let bed = bed();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write(
        "callgate.toml",
        &format!("{config}[servers.notes.tools.drop_note]\nundo = \"write it again\"\n"),
    );
    assert_eq!(bed.run(&["user", "add", "kay", "--group", "keepers"]).code, 0);
    let token = bed.json(&["agent", "add", "bot", "--user", "kay"])["token"].as_str().unwrap().to_owned();
    let (gateway, session) = begin(&bed, &token);
    let what_if = ["explain", "notes__drop_note", "--agent", "bot", "--args", "{\"note\":\"n\"}"];
    let said = bed.run(&what_if);
    assert_eq!(said.code, 3, "it does not go by itself");
    let said = said.out;
    for told in [
        "`notes__drop_note` of agent bot for kay would be held by dropping-is-approved",
        "it would wait for keepers",
        "kim can say yes for keepers",
        "kay cannot: nobody approves what was asked in their own name",
    ] {
        assert!(said.contains(told), "`{told}` is missing in\n{said}");
    }
    assert!(!said.contains("sue") && !said.contains("not enough"), "{said}");
    let cure = &bed.json(&what_if)["cure"];
    assert_eq!((&cure["can"][0]["person"], &cure["cannot"][0]["person"]), (&json!("kim"), &json!("kay")));
    assert_eq!(bed.json(&["approvals", "list"]), json!([]), "nobody was asked");
    let misfit = bed.run(&["explain", "notes__drop_note", "--agent", "bot", "--args", "{\"note\":1}"]);
    assert!(misfit.code == 3 && misfit.out.contains("do not fit the pinned schema"), "{misfit:?}");
    assert_eq!(bed.run(&["explain", "notes__nothing", "--agent", "bot"]).code, 1);
    assert_eq!(bed.run(&["explain", "notes__drop_note"]).code, 2, "whose call it would be is not said");

    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let one = bed.json(&["approvals", "list"])[0].clone();
    let (id, made) = (one["id"].as_str().unwrap(), one["call"].as_str().unwrap());
    assert_eq!(one["preview"]["undo"], "write it again", "who approves it knows how to undo it");
    let said = bed.run(&["explain", made]).out;
    assert!(said.contains(&format!("people were asked ({id}, proposed)")), "{said}");
    assert!(said.contains("kim can say yes for keepers") && !said.contains("to undo it"), "{said}");
    assert_eq!(bed.run(&["explain", made, "--agent", "bot"]).code, 2);
    assert_eq!(bed.run(&["user", "remove", "kim"]).code, 0);
    let said = bed.run(&["explain", made]).out;
    assert!(said.contains("that is not enough"), "{said}");
    assert_eq!(bed.run(&["user", "add", "kim", "--group", "keepers"]).code, 0);
    assert_eq!(bed.run(&["approvals", "approve", id, "--as", "kim"]).code, 0);
    assert!(!is_held(&drop_note(&gateway, &token, &session)));
    let made = bed.json(&["approvals", "show", id])["call"].as_str().unwrap().to_owned();
    let said = bed.run(&["explain", &made]).out;
    assert!(
        said.contains("kim said yes for keepers") && said.contains("to undo it: write it again"),
        "{said}"
    );
    assert!(!said.contains("kim can say yes"), "{said}");
    assert_eq!(gateway.stop(), 0);
}

/// Every place in the state folder that holds what was asked.
fn places(bed: &Bed, needle: &str) -> Vec<String> {
    let found = bed.files_with("state", needle);
    found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn drop_needle(gateway: &Served, token: &str, session: &str) -> Value {
    let params = json!({ "name": "drop_note", "arguments": { "note": "NEEDLE-IN-A-NOTE" } });
    let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params });
    gateway.post(token, Some(session), &call).2
}

#[test]
fn what_is_erased_of_a_held_call_is_erased_everywhere_and_the_record_says_by_whom() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_needle(&gateway, &token, &session)));
    let one = bed.json(&["approvals", "list"])[0].clone();
    let (id, call) = (one["id"].as_str().unwrap(), one["call"].as_str().unwrap());
    let early = bed.run(&["audit", "erase", call, "arguments"]);
    assert!(early.code == 1 && early.err.contains(&format!("`callgate approvals revoke {id}`")), "{early:?}");
    assert!(bed.run(&["approvals", "show", id]).out.contains("NEEDLE"), "who decides still sees it");
    assert_eq!(bed.run(&["approvals", "deny", id, "--as", "kim", "--reason", "no"]).code, 0);
    let erased = bed.json(&["audit", "erase", call, "arguments"]);
    assert_eq!((&erased["erased"], &erased["forgotten"]), (&json!(1), &json!(1)), "{erased}");
    let again = bed.run(&["audit", "erase", call, "arguments"]);
    assert!(again.out.contains("erased 0 values") && !again.out.contains("copy"), "{again:?}");
    assert!(again.out.contains("`callgate audit list --server notes --item drop_note`"), "{again:?}");
    let shown = bed.run(&["approvals", "show", id]).out;
    assert!(!shown.contains("NEEDLE") && shown.contains("was erased"), "{shown}");
    let told = bed.run(&["audit", "show", call]).out;
    let event = told.lines().find(|line| line.contains("value-erased")).unwrap();
    for said in [r#""by":"tester""#, r#""slot":"arguments""#, r#""was":"kept""#] {
        assert!(event.contains(said), "`{said}` is missing in {event}");
    }
    assert!(told.contains("arguments: erased"), "{told}");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(places(&bed, "NEEDLE"), Vec::<String>::new());
    assert_eq!(bed.run(&["audit", "verify"]).code, 0);
}

#[test]
fn the_calls_of_a_deed_are_erased_in_one_command_and_no_others() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_needle(&gateway, &token, &session)));
    let one = bed.json(&["approvals", "list"])[0].clone();
    let (id, refused) = (one["id"].as_str().unwrap(), one["call"].as_str().unwrap());
    assert!(is_held(&drop_needle(&gateway, &token, &session)), "asked again meanwhile");
    assert_eq!(bed.run(&["approvals", "approve", id, "--as", "kim"]).code, 0);
    assert!(!is_held(&drop_needle(&gateway, &token, &session)));
    // another of the same tool
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let other = bed.json(&["approvals", "list"])[0]["call"].as_str().unwrap().to_owned();
    let by_itself = bed.run(&["audit", "erase", refused, "arguments"]);
    assert!(by_itself.out.contains("erased 1 value;") && by_itself.out.contains("`--deed`"), "{by_itself:?}");
    assert!(!places(&bed, "NEEDLE").is_empty(), "the others have their own");
    let erased = bed.json(&["audit", "erase", refused, "arguments", "--deed"]);
    assert_eq!((&erased["erased"], &erased["calls"]), (&json!(2), &json!(3)), "{erased}");
    assert!(bed.run(&["audit", "show", &other]).out.contains("arguments: {"), "another deed's stay");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(places(&bed, "NEEDLE"), Vec::<String>::new());
    assert_eq!(bed.run(&["audit", "verify"]).code, 0);
}

#[test]
fn what_is_not_kept_any_more_goes_from_approvals_that_there_were_before() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_needle(&gateway, &token, &session)));
    let id = bed.json(&["approvals", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bed.run(&["approvals", "deny", &id, "--as", "kim", "--reason", "no"]).code, 0);
    assert_eq!(gateway.stop(), 0);
    assert!(bed.run(&["approvals", "show", &id]).out.contains("NEEDLE"));
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &(config + "keep = { arguments = false, results = false }\n"));
    let gateway = bed.serve();
    until("it is forgotten", || !bed.run(&["approvals", "show", &id]).out.contains("NEEDLE"));
    assert!(bed.run(&["approvals", "show", &id]).out.contains("`keep.arguments`"));
    assert_eq!(gateway.stop(), 0);
    assert!(!places(&bed, "NEEDLE").iter().any(|place| place.contains("callgate.db")));
}

#[test]
fn what_is_not_kept_is_in_the_database_only_as_long_as_people_decide_by_it() {
    let bed = bed();
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &(config + "keep = { arguments = false, results = false }\n"));
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_needle(&gateway, &token, &session)));
    let one = bed.json(&["approvals", "list"])[0].clone();
    let (id, call) = (one["id"].as_str().unwrap(), one["call"].as_str().unwrap());
    assert!(bed.run(&["approvals", "show", id]).out.contains("NEEDLE"), "who decides sees it");
    assert_eq!(bed.run(&["approvals", "deny", id, "--as", "kim", "--reason", "no"]).code, 0);
    let shown = bed.run(&["approvals", "show", id]).out;
    assert!(!shown.contains("NEEDLE") && shown.contains("`keep.arguments`"), "{shown}");
    let none = bed.run(&["audit", "erase", call, "result"]);
    assert!(none.code == 3 && none.out.contains("erased 0 values"), "{none:?}");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(places(&bed, "NEEDLE"), Vec::<String>::new());
}

#[test]
fn what_a_host_calls_itself_steers_no_terminal_and_adds_no_line() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, _) = begin(&bed, &token);
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "a\u{202e}b\u{3164}\nstate     approved", "version": "1" } } });
    let (_, session, _) = gateway.post(&token, None, &hello);
    let session = session.unwrap();
    gateway.post(&token, Some(&session), &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert!(is_held(&drop_note(&gateway, &token, &session)));
    let id = bed.json(&["approvals", "list"])[0]["id"].as_str().unwrap().to_owned();
    let shown = bed.run(&["approvals", "show", &id]).out;
    let line = shown.lines().find(|line| line.contains("(its own claim)")).unwrap();
    assert!(line.contains("through") && line.contains("⟨U+202E⟩"), "{shown}");
    assert!(!shown.contains(['\u{202e}', '\u{3164}']), "{shown}");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn nobody_is_sent_to_a_console_that_is_off_and_check_says_how_it_is_decided() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    let told = drop_note(&gateway, &token, &session).to_string();
    assert!(told.contains("can be given at http") && told.contains("/console/approvals/"), "{told}");
    assert_eq!(gateway.stop(), 0);
    assert!(!bed.run(&["check"]).out.contains("console"));
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write(
        "callgate.toml",
        &config.replace("[servers.notes]", "[console]\nenabled = false\n[servers.notes]"),
    );
    let checked = bed.run(&["check"]);
    assert!(
        checked.code == 0 && checked.out.contains("the console is off, so calls that wait"),
        "{checked:?}"
    );
    let (gateway, session) = begin(&bed, &token);
    let told = drop_note(&gateway, &token, &session);
    assert!(is_held(&told), "{told}");
    let told = told.to_string();
    assert!(!told.contains("/console/") && told.contains("was asked"), "{told}");
    assert_eq!(gateway.stop(), 0);
}

/// What was spent since is not in an older copy of the database, and would be good once more.
#[test]
fn what_waits_in_a_database_that_is_gone_on_with_though_it_is_older_ends_and_a_spent_yes_is_none() {
    let bed = bed();
    let token = bed.token("bot");
    let (gateway, session) = begin(&bed, &token);
    assert!(
        is_held(&drop_note(&gateway, &token, &session)) && is_held(&drop_needle(&gateway, &token, &session))
    );
    let all = bed.json(&["approvals", "list"]);
    let ids: Vec<String> =
        all.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(bed.run(&["approvals", "approve", &ids[0], "--as", "kim"]).code, 0);
    assert_eq!(gateway.stop(), 0);
    let database = bed.path("state/callgate.db");
    let older = std::fs::read(&database).unwrap();
    let (gateway, session) = begin(&bed, &token);
    assert!(!is_held(&drop_note(&gateway, &token, &session)), "the yes is spent");
    assert_eq!(gateway.stop(), 0);
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(bed.path(&format!("state/callgate.db{beside}")));
    }
    std::fs::write(&database, older).unwrap();
    let said = bed.run(&["audit", "rebuild-index", "--accept-older-database"]);
    assert!(
        said.code == 0 && said.err.contains("2 approvals are ended, so people are asked anew"),
        "{said:?}"
    );
    for id in &ids {
        let shown = bed.json(&["approvals", "show", id]);
        assert_eq!(
            (&shown["state"], &shown["ended"]["reason"]),
            (&"cancelled".into(), &"the database was an older copy".into())
        );
    }
    let (gateway, session) = begin(&bed, &token);
    assert!(is_held(&drop_note(&gateway, &token, &session)), "people are asked about the same again");
    assert_eq!(gateway.stop(), 0);
}
