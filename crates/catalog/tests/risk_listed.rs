//! What came of reading servers that nobody had tuned for: deeds that are listed in prose, what stays where it is kept, what goes
//! out to people, what costs as long as it is there. All tools are made up.

use callgate_catalog::Category::{Administrative, Destructive, Execution, ExternalCommunication, Financial};
use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

fn judged(name: &str, description: &str, arguments: Value) -> Judgement {
    let schema = json!({ "type": "object", "properties": arguments });
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::default())
}

fn text() -> Value {
    json!({ "type": "string" })
}

#[test]
fn deeds_that_an_argument_lists_in_prose_are_its_deeds() {
    let says = |said: &str| json!({ "action": { "type": "string", "description": said }, "name": text() });
    for said in [
        "Action to perform - list, create, delete, update",
        "Operation: create-orchard, delete-orchard, get-orchard, or list-orchards. Choose get-orchard to look.",
        "One of list / get / remove",
    ] {
        let judged = judged("manage_orchards", "Orchards of a farm", says(said));
        assert!(judged.categories.contains(&Destructive), "{said}: {judged:#?}");
    }
    let looks =
        judged("manage_orchards", "Orchards of a farm", says("Action to perform: list, get or search"));
    assert_eq!(looks.effect, Effect::None, "{looks:#?}");
    // a sentence with a comma is no list of deeds
    let told =
        judged("show_orchard", "Shows an orchard", says("What to show, for example the trees, the fences"));
    assert_eq!(told.effect, Effect::None, "{told:#?}");
}

#[test]
fn deeds_listed_behind_what_they_are_done_to_are_its_deeds() {
    let all = judged("orchard", "Orchard ops: list/get/prune/create/delete. Returns JSON.", json!({}));
    assert!(all.categories.contains(&Destructive) && all.level == Level::Critical, "{all:#?}");
    let looks = judged("orchard", "Orchard ops: list/get. Returns JSON.", json!({}));
    assert_eq!(looks.level, Level::ReadOnly, "{looks:#?}");
}

#[test]
fn a_list_of_deeds_says_the_same_however_its_lines_break() {
    let arguments = || json!({ "action": text(), "id": text() });
    for said in [
        "Manages an orchard with these actions: - get: Get its state. - destroy: Destroys it.",
        "Manages an orchard with these actions:\n- get: Get its state.\n- destroy: Destroys it.",
        "Handles orchards. Operations: 1. get: Gets one. 2. destroy: Destroys one.",
    ] {
        let judged = judged("orchard", said, arguments());
        assert!(
            judged.level == Level::Critical && judged.categories.contains(&Destructive),
            "{said}: {judged:#?}"
        );
    }
    let starts = judged(
        "press",
        "Manages a press with these actions: - get: Gets it. - start: Starts it.",
        arguments(),
    );
    assert_ne!(starts.effect, Effect::None, "{starts:#?}");
    let looks = judged(
        "press",
        "Manages a press with these actions: - get: Gets it. - list: Lists all.",
        arguments(),
    );
    assert_eq!(looks.effect, Effect::None, "{looks:#?}");
    let or = json!({ "action": { "type": "string", "description": "list, show or destroy" } });
    let or = judged("orchard", "Orchards.", or);
    assert!(or.categories.contains(&Destructive), "{or:#?}");
}

#[test]
fn running_a_program_among_the_deeds_to_choose_is_execution() {
    let chooses = |deed: &str| json!({ "operation": { "type": "string", "enum": ["list", "show", deed] } });
    for deed in ["exec", "run_shell", "eval_code", "execute_command"] {
        let judged = judged("orchard", "Orchards.", chooses(deed));
        assert!(
            judged.categories.contains(&Execution) && judged.level == Level::Critical,
            "{deed}: {judged:#?}"
        );
    }
    let filter = judged("list_deeds", "Lists who did what.", chooses("exec"));
    assert_eq!(filter.effect, Effect::None, "{filter:#?}");
}

#[test]
fn what_is_said_to_be_there_still_is_not_lost() {
    let arguments = || json!({ "tree_id": text(), "row_id": text() });
    let off =
        judged("remove_tree_from_row", "Remove a tree from a row. The tree will still exist.", arguments());
    assert!(!off.categories.contains(&Destructive) && off.level != Level::Critical, "{off:#?}");
    let gone = judged("delete_tree", "Delete a tree. The row will still exist.", arguments());
    assert!(gone.categories.contains(&Destructive) && gone.level == Level::Critical, "{gone:#?}");
}

#[test]
fn a_flag_about_what_comes_out_deletes_nothing() {
    let flag = |name: &str| json!({ "song": text(), name: { "type": "boolean" } });
    let clean = judged("copy_song", "Copy a song to another album", flag("remove_background_hum"));
    assert!(!clean.categories.contains(&Destructive), "{clean:#?}");
    for flags in ["remove_original", "delete_source", "remove_song"] {
        let gone = judged("copy_song", "Copy a song to another album", flag(flags));
        assert!(gone.categories.contains(&Destructive), "{flags}: {gone:#?}");
    }
}

#[test]
fn what_is_published_or_mailed_by_a_flag_reaches_people() {
    let article = json!({ "title": text(), "content": text(), "status": text() });
    for (name, description, arguments) in [
        ("publish_entry", "Publish an entry", json!({ "entry_id": text() })),
        ("create_post", "Creates a post", article),
        ("archive_application", "Archive an application", json!({ "id": text(), "send_email": text() })),
        (
            "schedule_campaign",
            "Schedule a campaign draft for a time",
            json!({ "id": text(), "time": text() }),
        ),
        ("add_update", "Create a comment or an update on an item", json!({ "item": text(), "body": text() })),
    ] {
        let judged = judged(name, description, arguments);
        assert!(judged.categories.contains(&ExternalCommunication), "{name}: {judged:#?}");
    }
    let drafted = judged(
        "create_draft_post",
        "Creates a draft of a post",
        json!({ "title": text(), "status": text() }),
    );
    assert!(!drafted.categories.contains(&ExternalCommunication), "{drafted:#?}");
}

#[test]
fn what_costs_as_long_as_it_is_there_is_paid_for() {
    let arguments = || json!({ "size": text() });
    let rented =
        judged("create_greenhouse", "Rent a greenhouse. BILLABLE from creation until stopped.", arguments());
    assert!(rented.categories.contains(&Financial) && rented.level == Level::Critical, "{rented:#?}");
    let free = judged("create_greenhouse", "Draw a greenhouse on the map", arguments());
    assert!(!free.categories.contains(&Financial), "{free:#?}");
}

#[test]
fn whom_a_firewall_lists_and_who_acts_for_another_is_about_rights() {
    let entry = judged(
        "add_address_list_entry",
        "Add an entry to a firewall address list",
        json!({ "list": text(), "address": text() }),
    );
    assert!(entry.categories.contains(&Administrative), "{entry:#?}");
    let delegate = judged("add_delegate", "Add a delegate to a mailbox", json!({ "email": text() }));
    assert!(
        delegate.categories.contains(&Administrative) && delegate.level == Level::Critical,
        "{delegate:#?}"
    );
    let pauses =
        judged("create_break_policy", "Creates a break policy for shifts", json!({ "name": text() }));
    assert!(!pauses.categories.contains(&Administrative), "{pauses:#?}");
}

#[test]
fn a_request_that_is_written_down_is_sent_by_somebody_else() {
    let arguments =
        || json!({ "url": text(), "method": { "enum": ["GET", "POST", "DELETE"] }, "name": text() });
    let kept = judged("createCollectionRequest", "Creates a request in a collection", arguments());
    assert!(!kept.categories.contains(&Execution), "{kept:#?}");
    let sent = judged("send_request", "Sends a request", arguments());
    assert!(sent.categories.contains(&Execution), "{sent:#?}");
}
