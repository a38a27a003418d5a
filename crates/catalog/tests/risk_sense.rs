//! Words that mean one thing of some objects and another of others: what is chosen, converted, closed, forwarded, called in
//! or thrown away. All tools are made up.

use callgate_catalog::Category::{
    Administrative, CredentialAccess, Destructive, ExternalCommunication, Financial,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

fn among(siblings: &[&str], name: &str, description: &str, arguments: &[&str]) -> Judgement {
    let of = |argument: &&str| ((*argument).to_owned(), json!({ "type": "string" }));
    let properties: serde_json::Map<String, Value> = arguments.iter().map(of).collect();
    let schema = json!({ "type": "object", "properties": properties });
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::of(siblings.iter().copied()))
}

fn judged(name: &str, description: &str, arguments: &[&str]) -> Judgement {
    among(&[], name, description, arguments)
}

#[test]
fn whoever_chooses_in_a_form_or_for_later_changes_something_and_whoever_selects_rows_looks() {
    for (name, description, arguments) in [
        ("select_option", "Select an option in a dropdown", &["ref", "values"][..]),
        ("pick_in_form", "Select an element of the page", &["selector", "value"]),
        ("select_orchard", "Select an orchard as the current one", &["id"]),
    ] {
        let judged = judged(name, description, arguments);
        assert_eq!(judged.effect, Effect::Changes, "{name}: {judged:#?}");
    }
    let looks = judged("select_rows", "Select rows of a table", &["table", "columns"]);
    assert_eq!(looks.effect, Effect::None, "{looks:#?}");
}

#[test]
fn what_is_converted_into_a_record_is_changed_and_a_text_is_not() {
    let record = judged("convert_visitor", "Convert a visitor into a contact", &["visitor"]);
    assert_ne!(record.effect, Effect::None, "{record:#?}");
    let text = judged("convert_text", "Convert markdown into HTML", &["text"]);
    assert_eq!(text.effect, Effect::None, "{text:#?}");
}

#[test]
fn an_image_that_is_pulled_comes_beside_the_others() {
    let image = judged("pull_image", "Pull an image", &["repository", "tag"]);
    assert_eq!(image.effect, Effect::Changes, "{image:#?}");
    let branch = judged("pull_branch", "Pull a branch of the remote", &["branch", "path"]);
    assert_eq!(branch.effect, Effect::Irreversible, "{branch:#?}");
}

#[test]
fn what_is_closed_completed_or_exercised_moves_money_where_it_is_held() {
    for (name, description) in [
        ("close_position", "Closes a position"),
        ("close_all_positions", "Closes all open positions"),
        ("complete_draft_order", "Complete a draft order"),
        ("exercise_option", "Exercises an option contract"),
    ] {
        let judged = judged(name, description, &["id"]);
        assert!(
            judged.categories.contains(&Financial) && judged.level == Level::Critical,
            "{name}: {judged:#?}"
        );
    }
    for (name, description) in [
        ("close_job_position", "Closes a position of a job"),
        ("log_exercise", "Logs an exercise of the day"),
        ("complete_work_order", "Completes a work order"),
        ("close_window", "Closes a window"),
    ] {
        let judged = judged(name, description, &["id"]);
        assert!(!judged.categories.contains(&Financial), "{name}: {judged:#?}");
    }
}

#[test]
fn what_a_sentence_says_is_lost_no_table_of_words_takes_back() {
    let reset = judged(
        "reset_from_root",
        "Resets the current row to its root's state, discarding local changes.",
        &["row_id", "keep_as"],
    );
    assert!(reset.categories.contains(&Destructive) && reset.level == Level::Critical, "{reset:#?}");
    let kept = judged("reset_view", "Resets the view without discarding any changes.", &["id"]);
    assert!(!kept.categories.contains(&Destructive), "{kept:#?}");
}

#[test]
fn a_port_of_this_machine_is_no_gate_and_one_of_a_router_is() {
    let local = judged("port_forward", "Forward a local port to a pod", &["pod", "localPort", "targetPort"]);
    assert!(!local.categories.contains(&Administrative) && local.level != Level::Critical, "{local:#?}");
    let stop = judged("stop_port_forward", "Stop a port-forward process", &["id"]);
    assert!(!stop.categories.contains(&Administrative) && stop.level != Level::Critical, "{stop:#?}");
    let router = judged("forward_port", "Forward a port to a host of the network", &["port", "host"]);
    assert!(router.categories.contains(&Administrative), "{router:#?}");
}

#[test]
fn what_is_remembered_of_a_user_gives_no_right_and_scopes_do() {
    let fact = judged("store_fact", "Store a fact about the user", &["fact"]);
    assert!(!fact.categories.contains(&Administrative), "{fact:#?}");
    let directory = ["auth_list_roles", "auth_get_role", "auth_update_resource_server"];
    let scopes =
        among(&directory, "auth_update_resource_server", "Update a resource server", &["id", "scopes"]);
    assert!(scopes.categories.contains(&Administrative), "{scopes:#?}");
}

#[test]
fn whoever_is_called_in_is_reached_and_a_label_reaches_nobody() {
    let called = judged("add_responders", "Add responders to an incident", &["incident_id"]);
    assert!(called.categories.contains(&ExternalCommunication), "{called:#?}");
    for (name, description) in [
        ("modify_message_labels", "Adds or removes labels of a message"),
        ("create_filter", "Creates a filter: matching mail is labelled or archived"),
    ] {
        let judged = judged(name, description, &["id"]);
        assert!(!judged.categories.contains(&ExternalCommunication), "{name}: {judged:#?}");
    }
}

#[test]
fn a_password_that_is_good_once_is_kept_nowhere() {
    let once = judged("create_check", "Create a check and get a one-time password for it", &["phone"]);
    assert!(!once.categories.contains(&CredentialAccess), "{once:#?}");
    let kept = judged("create_account", "Create an account and get a password for it", &["phone"]);
    assert!(kept.categories.contains(&CredentialAccess), "{kept:#?}");
}
