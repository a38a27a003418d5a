//! A server that does not answer is told of where its operator looks.

use crate::bed::{Bed, until};
use serde_json::Value;

#[test]
fn since_when_a_server_cannot_be_looked_at_and_why_is_said_until_it_answers() {
    let bed = Bed::with_notes();
    let script = std::fs::read_to_string(bed.path("notes.sh")).unwrap();
    bed.write("notes.sh", "exit 3");
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let other = script.replace("notes", "others");
    bed.write("others.sh", &other);
    let path = bed.path("others.sh");
    let others = format!("[servers.others]\ncommand = \"/bin/sh\"\nargs = [\"{}\"]\n", path.display());
    bed.write("callgate.toml", &format!("{config}{others}"));
    let gateway = bed.begin(&[]);
    let shown = |server: &str| bed.run(&["registry", "show", server]);
    until("the gateway has tried", || {
        shown("notes").out.contains("the gateway cannot look at `notes` since ")
    });
    let absent = || bed.json(&["registry", "show", "notes"])["absent"].clone();
    let first = absent();
    assert!(first["since"].is_string() && !first["because"].as_str().unwrap().is_empty(), "{first}");
    for command in [&["registry", "list"][..], &["registry", "show"], &["check"]] {
        let said = bed.run(command);
        assert!(said.out.contains("cannot look at `notes` since "), "{command:?}: {said:?}");
        assert!(!said.out.contains("cannot look at `others`"), "{command:?}: {said:?}");
    }
    // it counts from the first time
    until("it was tried again", || bed.log().matches("server cannot be looked at").count() > 1);
    assert_eq!(absent()["since"], first["since"]);
    bed.write("notes.sh", &script);
    until("it answers", || absent() == Value::Null);
    assert!(!bed.run(&["check"]).out.contains("cannot look at"));
    assert_eq!(gateway.stop(), 0);
    // where no gateway runs nobody knows
    assert_eq!(absent(), Value::Null);
}
