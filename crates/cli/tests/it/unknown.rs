//! Names that name nothing: told as such, never as an answer.

use crate::bed::{Bed, until};
use serde_json::json;

/// A bed whose server was looked at.
fn looked_at() -> Bed {
    let bed = Bed::with_notes();
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    gateway.stop();
    bed
}

#[test]
fn an_item_that_a_server_does_not_have_is_none_that_shows_what_was_accepted() {
    let bed = looked_at();
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
    assert_eq!(diff(&["notes", "read_note"]).code, 3, "it is shown");
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
