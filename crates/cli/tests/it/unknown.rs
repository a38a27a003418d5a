//! Names that name nothing: told as such, never as an answer.

use crate::bed::{Bed, until};
use serde_json::json;

#[test]
fn an_item_that_a_server_does_not_have_is_none_that_shows_what_was_accepted() {
    let bed = Bed::looked_at();
    let diff = |args: &[&str]| bed.run(&[&["registry", "diff"], args].concat());
    let said = diff(&["notes", "raed_note"]);
    assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
    assert!(said.err.contains("`notes` has no tool `raed_note`: did you mean `read_note`?"), "{said:?}");
    let said = diff(&["notes", "prompt:weather", "--json"]);
    assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
    let all = "`notes` has no prompt `weather`: there is `drop_note`, `hang`, `read_note`";
    assert!(said.err.contains(all), "{said:?}");
    let said = diff(&["ntoes"]);
    assert!(
        said.code == 1 && said.err.contains("there is no server `ntoes`: did you mean `notes`?"),
        "{said:?}"
    );
    assert_eq!(diff(&["notes", "read_note"]).code, 0, "it is shown as it was accepted");
    assert_eq!(diff(&["notes"]).code, 0);
    // what was refused is there all the same
    let script = std::fs::read_to_string(bed.path("notes.sh")).unwrap();
    bed.write("notes.sh", &script.replace("\"name\":\"hang\",", "\"name\":\"hang\",\"description\":\"x\","));
    let gateway = bed.serve();
    until("it was seen", || bed.run(&["registry", "diff", "notes"]).code == 3);
    gateway.stop();
    assert_eq!(bed.run(&["registry", "reject", "notes", "hang"]).code, 0);
    assert_eq!(diff(&["notes", "hang"]).code, 3);
}

#[test]
fn a_server_that_was_never_seen_is_not_said_to_show_what_was_accepted() {
    let bed = Bed::with_notes();
    let said = bed.run(&["registry", "diff", "notes"]);
    assert!(said.code == 0 && said.out.contains("nothing of `notes` was seen yet"), "{said:?}");
}

#[test]
fn no_step_makes_a_record_of_a_server_that_nobody_knows() {
    let bed = Bed::with_notes();
    let steps: [&[&str]; 6] = [
        &["suspend", "ntoes"],
        &["review", "ntoes"],
        &["retire", "ntoes"],
        &["set", "ntoes", "owner=Ada"],
        &["approve", "ntoes", "--until", "90d"],
        &["list", "ntoes"],
    ];
    for step in steps {
        let said = bed.run(&[&["registry"], step].concat());
        assert!(said.code == 1 && said.out.is_empty(), "{step:?}: {said:?}");
        assert!(said.err.contains("there is no server `ntoes`: did you mean `notes`?"), "{step:?}: {said:?}");
    }
    let other = bed.run(&["registry", "suspend", "weather"]);
    assert!(other.err.contains("there is no server `weather`: there is `notes`"), "{other:?}");
    let names = || {
        let all = bed.json(&["registry", "show"]);
        all.as_array().unwrap().iter().map(|one| one["server"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(), [json!("notes")]);
    // one that is only declared is stopped without a record, and one that has a record only is stopped too
    assert_eq!(bed.run(&["registry", "suspend", "notes"]).code, 0);
    assert_eq!(bed.run(&["registry", "add", "weather", "owner=Ada"]).code, 0);
    assert_eq!(bed.run(&["registry", "suspend", "weather"]).code, 0);
    assert_eq!(names(), [json!("notes"), json!("weather")]);
}

#[test]
fn a_server_that_was_seen_once_can_be_stopped_when_it_is_configured_no_more() {
    let bed = Bed::looked_at();
    bed.write("callgate.toml", "listen = \"127.0.0.1:1\"\nstate-dir = \"state\"\n");
    assert_eq!(bed.run(&["registry", "suspend", "notes"]).code, 0);
}
