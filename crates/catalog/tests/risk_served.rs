//! The risk judge on what real servers taught it: what is kept, saved to a file, taken apart, shared and let through. The
//! definitions are of our own wording.

use callgate_catalog::Category::{
    Administrative, CredentialAccess, Destructive, ExternalCommunication, Financial,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::Effect::{Changes, Irreversible, None as Nothing};
use callgate_catalog::risk::{Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

/// Arguments are names; `name=text` describes one, `name?` is a flag.
fn judged(name: &str, description: &str, arguments: &[&str]) -> Judgement {
    among(&[], name, description, arguments)
}

fn among(siblings: &[&str], name: &str, description: &str, arguments: &[&str]) -> Judgement {
    let property = |argument: &&str| match (argument.split_once('='), argument.strip_suffix('?')) {
        (Some((name, text)), _) => (name.to_owned(), json!({ "type": "string", "description": text })),
        (None, Some(flag)) => (flag.to_owned(), json!({ "type": "boolean" })),
        (None, None) => ((*argument).to_owned(), json!({ "type": "string" })),
    };
    let properties: serde_json::Map<String, Value> = arguments.iter().map(property).collect();
    shaped(siblings, name, description, json!({ "type": "object", "properties": properties }))
}

fn shaped(siblings: &[&str], name: &str, description: &str, schema: Value) -> Judgement {
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::of(siblings.iter().copied()))
}

#[test]
fn a_getter_that_is_told_where_to_save_its_answer_writes() {
    let where_to = "picture_path=Path of the file to save the picture to";
    let saves = judged("get_orbit_picture", "Gets the picture of an orbit", &["orbit", where_to]);
    assert_eq!((saves.effect, saves.level), (Changes, Level::SideEffect));
    let read = "picture_path=Path of the file to read the picture from";
    assert_eq!(judged("get_orbit_picture", "Gets the picture of an orbit", &["orbit", read]).effect, Nothing);
}

#[test]
fn what_can_be_undone_or_is_kept_is_no_loss() {
    let posts = "Sends a postcard to a pen friend.";
    assert_eq!(judged("send_postcard", posts, &["to", "text"]).effect, Irreversible);
    let undone = format!("{posts} Reversible via recall_postcard.");
    assert_eq!(judged("send_postcard", &undone, &["to", "text"]).effect, Changes);
    let never = format!("{posts} Irreversible by any means.");
    assert_eq!(judged("send_postcard", &never, &["to", "text"]).effect, Irreversible);

    let back = judged(
        "restore_score",
        "Restores an older score of the database. The present one is not lost.",
        &["id"],
    );
    assert!(back.effect == Changes && !back.categories.contains(&Destructive), "{back:?}");
    let over = judged("restore_score", "Restores an older score of the database.", &["id", "version"]);
    assert!(over.effect == Irreversible && over.categories.contains(&Destructive), "{over:?}");
}

#[test]
fn what_was_deleted_and_comes_back_destroys_nothing() {
    let back = judged("restore_photo", "Restore a photo from the trash", &["photo_id"]);
    assert_eq!(back.effect, Changes);
    assert_eq!(judged("undelete_photo", "Undelete a photo", &["photo_id"]).effect, Changes);
    let longer = judged("renew_lease", "Renew the lease of a lock", &["lock_id", "ttl"]);
    assert_eq!(longer.effect, Changes);
}

#[test]
fn a_deletion_that_can_be_taken_back_is_one_and_is_not_critical() {
    let soft = judged("delete_photo", "Soft-deletes a photo", &["photo_id"]);
    assert!(soft.effect == Irreversible && soft.categories.contains(&Destructive), "{soft:?}");
    assert_eq!(soft.level, Level::SideEffect);
    let hard =
        judged("delete_photo", "Permanently deletes a photo, which is not moved to the trash", &["photo_id"]);
    assert_eq!(hard.level, Level::Critical);
}

#[test]
fn what_a_flag_or_a_whole_file_overwrites_is_gone() {
    let copies = judged("copy_reel", "Copy a reel to another shelf", &["from", "to", "overwrite?"]);
    assert!(copies.level == Level::Critical && copies.categories.contains(&Destructive), "{copies:?}");
    assert_eq!(judged("copy_reel", "Copy a reel to another shelf", &["from", "to"]).level, Level::SideEffect);
    let whole = judged("write_script", "Write a script of the play", &["path", "content"]);
    assert!(whole.level == Level::Critical && whole.categories.contains(&Destructive), "{whole:?}");
    let part = judged("write_script", "Append to a script of the play", &["path", "content"]);
    assert_eq!(part.level, Level::SideEffect);
    let denied = "Update the notes of a play. Conflicts are told, never silently overwritten.";
    assert_eq!(judged("update_play", denied, &["id", "notes"]).level, Level::SideEffect);
}

#[test]
fn a_description_that_says_no_more_than_its_name_adds_no_deed() {
    let apart = judged("detach_lens", "Remove a lens from a camera.", &["lens_id", "camera_id"]);
    assert!(apart.level == Level::SideEffect && !apart.categories.contains(&Destructive), "{apart:?}");
    let turned = judged("unassign_courier", "Removes the courier of a task", &["task_id"]);
    assert_eq!((turned.effect, turned.level), (Changes, Level::SideEffect));
    let sets = judged("set_motto", "Set or clear the motto of a club", &["club_id", "motto"]);
    assert_eq!(sets.level, Level::SideEffect);
    let advice = judged("get_tide", "<notes>\nUsing the harbour's id is better than its name.", &["harbour"]);
    assert_eq!(advice.effect, Nothing);
    let asked = judged("get_tide_table", "Request the tide table of a harbour", &["harbour"]);
    assert_eq!(asked.effect, Nothing);
}

#[test]
fn a_trial_run_that_changes_nothing_does_not_speak_for_the_others() {
    let mixed =
        "Control all lamps of a hall at once. Set dry_run to see which would be meant without changing any.";
    assert_ne!(judged("bulk_control", mixed, &["hall", "state", "dry_run?"]).effect, Nothing);
    let looks = "Execute a query without changing anything.";
    assert_eq!(judged("execute_query", looks, &["text"]).effect, Nothing);
}

#[test]
fn the_state_of_a_deed_is_looked_at() {
    for (name, effect) in
        [("rollout_status", Nothing), ("shop_deploy_status", Nothing), ("update_status", Changes)]
    {
        assert_eq!(judged(name, "", &["id"]).effect, effect, "{name}");
    }
}

#[test]
fn the_shapes_of_an_argument_say_what_can_be_chosen() {
    let shape =
        |operation: &str| json!({ "properties": { "operation": { "const": operation }, "params": {} } });
    let chosen = |operations: &[&str]| {
        let shapes: Vec<Value> = operations.iter().map(|operation| shape(operation)).collect();
        let schema = json!({ "type": "object", "properties": { "call": { "anyOf": shapes } } });
        shaped(&[], "garden-deploy-reader", "Run one of these operations (read-only)", schema)
    };
    assert_eq!(chosen(&["get-bed", "list-beds"]).effect, Nothing);
    let writes = chosen(&["get-bed", "update-access-policy"]);
    assert!(writes.level == Level::Critical && writes.categories.contains(&Administrative), "{writes:?}");
}

#[test]
fn who_does_a_piece_of_work_may_do_no_more_than_before() {
    let work = judged("assign_user", "Assign a user to a ticket", &["ticket_id", "user_id"]);
    assert!(!work.categories.contains(&Administrative), "{work:?}");
    let role = judged("assign_user_role", "Assign a role to a user", &["user_id", "role"]);
    assert!(role.categories.contains(&Administrative) && role.level == Level::Critical, "{role:?}");
}

#[test]
fn who_is_let_in_or_shut_out_loses_no_data() {
    let out = judged("remove_member", "Remove a member from a choir", &["choir_id", "member_id"]);
    assert!(out.categories.contains(&Administrative) && !out.categories.contains(&Destructive), "{out:?}");
    let shared =
        judged("create_share", "Create a share of an album", &["album_id", "share_with", "permissions"]);
    assert!(shared.categories.contains(&Administrative) && shared.level == Level::Critical, "{shared:?}");
    let approved = judged("approve_pending", "Approve a pending login request", &["request_id"]);
    assert!(approved.categories.contains(&Administrative), "{approved:?}");
}

#[test]
fn on_a_server_that_guards_a_network_each_rule_lets_through_or_stops() {
    let guards = ["list_firewall_zones", "get_nat_table", "list_vpn_peers", "update_rule"];
    let rule = |siblings: &[&str]| among(siblings, "update_rule", "Update a rule", &["rule_id", "action"]);
    assert!(rule(&guards).categories.contains(&Administrative));
    assert_ne!(rule(&["list_games", "get_game", "update_rule"]).level, Level::Critical);
    let route = judged("create_static_route", "Create a static route", &["network", "via"]);
    assert!(route.categories.contains(&Administrative) && route.level == Level::Critical, "{route:?}");
}

#[test]
fn what_lies_in_a_vault_or_comes_back_as_a_secret_is_one() {
    let item = judged("get_entry", "Get an entry of the vault", &["id"]);
    assert!(item.effect == Nothing && item.categories.contains(&CredentialAccess), "{item:?}");
    let made = judged("create_robot", "Creates a robot. Returns the robot with its credentials.", &["name"]);
    assert!(made.categories.contains(&CredentialAccess), "{made:?}");
    let held = judged("create_robot", "Creates a robot. Credentials are never returned.", &["name"]);
    assert!(!held.categories.contains(&CredentialAccess), "{held:?}");
    let enters = judged("create_mirror", "Create a mirror of a registry", &["source", "auth_password"]);
    assert!(!enters.categories.contains(&CredentialAccess), "{enters:?}");
    let product = judged("rename_team", "Rename a team of the Password Manager", &["team_id", "name"]);
    assert!(!product.categories.contains(&CredentialAccess), "{product:?}");
}

#[test]
fn a_message_that_is_added_is_sent_and_a_post_is_read_by_others() {
    let added = judged("add_message", "Add a message to a channel", &["channel", "text"]);
    assert!(added.effect == Irreversible && added.categories.contains(&ExternalCommunication), "{added:?}");
    let post = judged("create_post", "Create a post in a thread", &["thread_id", "text"]);
    assert!(post.categories.contains(&ExternalCommunication), "{post:?}");
    let draft = judged("create_post", "Create a draft of a post", &["thread_id", "text"]);
    assert!(!draft.categories.contains(&ExternalCommunication), "{draft:?}");
}

#[test]
fn an_order_with_another_price_commits_to_it() {
    let order = judged("modify_order", "Change an open order", &["order_id", "amount", "price"]);
    assert!(order.level == Level::Critical && order.categories.contains(&Financial), "{order:?}");
    let note = judged("modify_order", "Change the note of an open order", &["order_id", "note"]);
    assert_eq!(note.level, Level::SideEffect);
}

#[test]
fn a_container_with_its_own_command_runs_it() {
    let runs = judged("create_box", "Create a box from an image", &["image", "entrypoint"]);
    assert_eq!(runs.level, Level::Critical);
    assert_eq!(
        judged("create_box", "Create a box from an image", &["image", "size"]).level,
        Level::SideEffect
    );
}

#[test]
fn what_only_marks_a_description_does_not_hide_its_verb() {
    assert_eq!(judged("tides", "[BETA] Deletes the tides of a year", &["year"]).effect, Irreversible);
    assert_eq!(judged("tides", "<purpose>\nDeletes the tides of a year", &["year"]).effect, Irreversible);
}

#[test]
fn one_setting_that_is_put_is_turned() {
    assert_eq!(
        judged("put_bell_setting", "Sets a setting of a bell", &["bell_id", "key", "value"]).effect,
        Changes
    );
}

#[test]
fn a_statement_that_is_said_to_select_looks_unless_others_are_named() {
    let selects = judged("run_sql", "Runs an SQL SELECT query on the archive", &["sql"]);
    assert_eq!(selects.effect, Nothing);
    let more = judged("run_sql", "Runs an SQL SELECT or INSERT query on the archive", &["sql"]);
    assert_eq!(more.level, Level::Critical);
}

#[test]
fn a_group_of_an_organization_says_who_may_do_what_and_a_part_of_a_task_is_only_tied_to_it() {
    let group = judged("update_org_group", "Update a group", &["group_id", "name"]);
    assert!(group.categories.contains(&Administrative), "{group:?}");
    assert_eq!(judged("remove_subtask", "Remove a subtask from a chore", &["id"]).level, Level::SideEffect);
}
