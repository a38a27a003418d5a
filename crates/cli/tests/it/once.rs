//! What an operator sees of calls that are made once.

use crate::bed::{Bed, free_port, until};
use std::fs;

#[test]
fn a_call_that_is_made_again_after_a_restart_has_the_first_answer_and_the_record_says_whose_it_is() {
    let bed = Bed::with_notes();
    let tools = "[servers.notes.tools.read_note]\nidempotency = \"1h\"\n\
        [servers.notes.tools.drop_note]\neffect = \"destructive\"\nrepeat-unknown = true\n";
    bed.write("callgate.toml", &format!("{}{tools}", bed.notes_config(free_port())));
    let token = bed.token("bot");
    let mut calls = Vec::new();
    for _ in 0..2 {
        let gateway = bed.serve();
        let session = gateway.session(&token);
        until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
        assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
        let listed = bed.json(&["audit", "list"]);
        let newest = listed.as_array().unwrap().iter().find(|one| one["item"]["name"] == "read_note");
        calls.push(newest.unwrap()["call"].as_str().unwrap().to_owned());
        assert_eq!(gateway.stop(), 0);
    }
    assert_ne!(calls[0], calls[1]);
    let (first, again) = (bed.run(&["explain", &calls[0]]).out, bed.run(&["explain", &calls[1]]).out);
    assert!(first.contains("key:arguments") && first.contains("it ran and was answered"), "{first}");
    let expected = format!("it had run before, as {}; that answer was given again", calls[0]);
    assert!(again.contains(&expected) && again.contains("rule:read-notes"), "{again}");
    assert!(!again.contains("the server gave"), "{again}");
    let database = fs::read(bed.path("state/callgate.db")).unwrap();
    assert!(!database.windows(6).any(|part| part == b"a note"), "answers are kept sealed");
    let checked = bed.run(&["check"]).out;
    assert!(checked.contains("`notes__drop_note` is destructive, and `repeat-unknown`"), "{checked}");
    bed.write("callgate.toml", &fs::read_to_string(bed.path("callgate.toml")).unwrap().replace("1h", "401d"));
    let checked = bed.run(&["check"]);
    assert!(checked.code == 3 && checked.err.contains("nothing is kept for so long"), "{}", checked.err);
}
