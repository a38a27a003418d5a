//! The risk judge on what directories, consoles and vaults taught it. The definitions are of our own wording.

use callgate_catalog::Category::{Administrative, CredentialAccess, Destructive, ExternalCommunication};
use callgate_catalog::Claimed;
use callgate_catalog::risk::Effect::{Changes, None as Nothing};
use callgate_catalog::risk::{Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

/// A name that ends in `?` is a flag.
fn among(siblings: &[&str], name: &str, description: &str, arguments: &[&str]) -> Judgement {
    let property = |argument: &&str| match argument.strip_suffix('?') {
        Some(flag) => (flag.to_owned(), json!({ "type": "boolean" })),
        None => ((*argument).to_owned(), json!({ "type": "string" })),
    };
    let properties: serde_json::Map<String, Value> = arguments.iter().map(property).collect();
    shaped(siblings, name, description, json!({ "type": "object", "properties": properties }))
}

fn judged(name: &str, description: &str, arguments: &[&str]) -> Judgement {
    among(&[], name, description, arguments)
}

fn shaped(siblings: &[&str], name: &str, description: &str, schema: Value) -> Judgement {
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::of(siblings.iter().copied()))
}

#[test]
fn where_people_and_how_they_sign_in_are_kept_a_group_and_an_application_are_a_matter_of_rights() {
    let directory = [
        "list_users",
        "get_user",
        "list_groups",
        "get_group",
        "list_policies",
        "get_policy",
        "get_mfa_state",
        "create_app",
        "list_sign_ins",
        "delete_group",
    ];
    let forum = [
        "list_posts",
        "get_post",
        "list_groups",
        "get_group",
        "list_topics",
        "get_topic",
        "get_user",
        "create_app",
        "list_drafts",
        "delete_group",
    ];
    for name in ["create_app", "delete_group"] {
        let of = |siblings: &[&str]| among(siblings, name, "", &["id"]).categories.contains(&Administrative);
        assert!(of(&directory) && !of(&forum), "{name}");
    }
}

#[test]
fn whoever_sets_anothers_password_can_sign_in_as_they() {
    let theirs = judged("reset_user_password", "Reset the password of a user", &["user_id"]);
    assert!(theirs.categories.contains(&Administrative) && theirs.categories.contains(&CredentialAccess));
    let kept = judged("update_password", "Update or rotate a password that is kept", &["id"]);
    assert!(!kept.categories.contains(&Administrative), "{kept:?}");
    assert!(judged("create_service_principal", "", &["data"]).categories.contains(&Administrative));
}

#[test]
fn a_password_for_getting_in_is_not_one_that_is_set() {
    let get_in = judged("add_download", "Add a download", &["uri", "username", "password"]);
    let sets = judged("add_tenant", "Add a tenant", &["name", "username", "password"]);
    assert!(!get_in.categories.contains(&CredentialAccess) && sets.categories.contains(&CredentialAccess));
    let database = judged("restore_orchard", "Restore an orchard", &["dbHost", "dbUser", "dbPassword"]);
    assert!(!database.categories.contains(&CredentialAccess), "{database:?}");
}

#[test]
fn who_brings_a_variable_learns_no_secret_and_who_reads_it_does() {
    let secret =
        |name: &str, arguments: &[&str]| judged(name, "", arguments).categories.contains(&CredentialAccess);
    assert!(!secret("set_env_variable", &["name", "value"]) && secret("get_env_variable", &["name"]));
    assert!(secret("delete_env_variable", &["name"]) && secret("set_env_variable", &["name", "secret"]));
    assert!(secret("get_drawer", &["id", "reveal?"]) && !secret("get_drawer", &["id", "deep?"]));
}

#[test]
fn whoever_stores_a_secret_changes_none() {
    let level = |name: &str| judged(name, "", &["name", "value"]).level;
    assert_eq!((level("create_secret"), level("update_secret")), (Level::SideEffect, Level::Critical));
    assert_eq!(level("create_access_token"), Level::Critical);
}

#[test]
fn of_what_kind_a_thing_is_made_is_no_deed() {
    let schema = |argument: &str| json!({ "type": "object", "properties": { argument: { "enum": ["pause_pump", "start_pump"] } } });
    let kind = shaped(&[], "create_drill", "Create a drill", schema("type"));
    let deed = shaped(&[], "create_drill", "Create a drill", schema("action"));
    assert_eq!((kind.effect, kind.level), (Changes, Level::SideEffect));
    assert_ne!(deed.effect, Changes, "{deed:?}");
}

#[test]
fn what_another_does_and_what_is_only_advised_is_no_deed() {
    let waits = judged("get_errand", "State of an errand, maybe waiting for it to finish.", &["id"]);
    assert_eq!(waits.effect, Nothing);
    let advice =
        judged("orchard_overview", "All trees of an orchard. Start here when you need them all.", &[]);
    assert_eq!(advice.effect, Nothing);
    let starts = judged("orchard_round", "All trees of an orchard. Start the pumps there.", &[]);
    assert_ne!(starts.effect, Nothing);
    let several = judged("orchard_pumps", "Pumps in an orchard", &["uuid"]);
    let unknown = judged("orchard_pumps", "Pumps in an orchard", &["uuid", "text"]);
    assert!(several.effect == Nothing && unknown.effect != Nothing);
}

#[test]
fn a_session_of_ones_own_is_no_service_and_what_is_archived_is_sent_to_nobody() {
    let own = judged("close_session", "Terminates an open session of a shell", &["session"]);
    assert_eq!(own.level, Level::SideEffect, "{own:?}");
    assert_eq!(judged("terminate_instance", "Terminates an instance", &["id"]).level, Level::Critical);
    let reaches = |judged: Judgement| judged.categories.contains(&ExternalCommunication);
    assert!(!reaches(judged("archive_shelf", "Send a shelf to the archive", &["id"])));
    assert!(reaches(judged("shelf_letter", "Send a letter to a reader", &["id"])));
    assert!(!reaches(judged("alert_setup", "Configures thresholds", &["cpu"])));
    assert!(reaches(judged("respond_to_invitation", "Respond to an event invitation", &["id", "answer"])));
}

#[test]
fn rights_that_last_and_tags_that_come_off_are_no_loss() {
    let lost =
        |judged: Judgement| judged.categories.contains(&Destructive) && judged.level == Level::Critical;
    assert!(!lost(judged(
        "update_seat",
        "Update a seat. Books are sold with permanent rights of use.",
        &["id", "row"]
    )));
    assert!(lost(judged("update_seat", "Update a seat. The old one is permanently lost.", &["id", "row"])));
    assert!(judged("manage_seat_tags", "Adds or removes tags on seats", &["id"]).level == Level::SideEffect);
    assert!(
        !judged("create_lan", "Create a network", &["name", "subnet", "ip_range"])
            .categories
            .contains(&Administrative)
    );
    assert!(
        judged("create_hole", "Create a hole", &["name", "ip_range"]).categories.contains(&Administrative)
    );
}
