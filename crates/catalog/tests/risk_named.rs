//! The risk judge by what an argument can name, what a verb is done to, whose rights or logins change, and what is paid by whom.
//! The definitions are of our own wording.

use callgate_catalog::Category::{
    self, Administrative, CredentialAccess, Destructive, Execution, ExternalCommunication, Financial,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::Effect::{self, Irreversible};
use callgate_catalog::risk::{Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

fn judged(name: &str, description: &str, arguments: &[&str]) -> Judgement {
    among(&[], name, description, arguments)
}

fn among(siblings: &[&str], name: &str, description: &str, arguments: &[&str]) -> Judgement {
    let property = |argument: &&str| ((*argument).to_owned(), json!({ "type": "string" }));
    let properties: serde_json::Map<String, Value> = arguments.iter().map(property).collect();
    shaped(siblings, name, description, json!({ "type": "object", "properties": properties }))
}

fn shaped(siblings: &[&str], name: &str, description: &str, schema: Value) -> Judgement {
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::of(siblings.iter().copied()))
}

fn is(judged: &Judgement, category: Category) -> bool {
    judged.categories.contains(&category)
}

fn critical(judged: &Judgement) -> bool {
    judged.level == Level::Critical
}

/// It is of the category, and of no other level than `level`.
fn holds(judged: &Judgement, category: Category, level: Level) {
    assert!(is(judged, category) && judged.level == level, "{judged:?}");
}

fn lacks(judged: &Judgement, category: Category, level: Level) {
    assert!(!is(judged, category) && judged.level == level, "{judged:?}");
}

#[test]
fn what_is_promised_for_work_is_money() {
    for (name, description, arguments) in [
        ("create_bounty", "Offer a bounty for a lost cat", &["title"][..]),
        ("accept_bounty_claim", "Accept the claim of a finder", &["claim_id"]),
        ("post_errand", "Post an errand. Whoever runs it is paid at the end.", &["title", "budget_eur"]),
        ("ask_human", "Ask a human worker a question. They get paid for the answer.", &["question"]),
    ] {
        holds(&judged(name, description, arguments), Financial, Level::Critical);
    }
    // a sum that somebody wrote down, and one in a tool that speaks of no pay
    lacks(
        &judged("create_project", "Create a project of a garden", &["budget_eur"]),
        Financial,
        Level::SideEffect,
    );
    lacks(
        &judged("add_note", "Add a note of what somebody paid before", &["amount_eur"]),
        Financial,
        Level::SideEffect,
    );
    lacks(
        &judged("post_errand", "Post an errand. Payment is up to others.", &["title", "distance_m"]),
        Financial,
        Level::SideEffect,
    );
}

#[test]
fn what_somebody_owns_is_converted_and_what_a_sum_is_worth_is_reckoned() {
    holds(
        &judged("convert_small_balances", "Convert small balances to gold", &[]),
        Financial,
        Level::Critical,
    );
    holds(
        &judged("approve_vault", "Approve a vault for your shells", &["spender_address"]),
        Financial,
        Level::Critical,
    );
    lacks(&judged("convert_currency", "Convert an amount", &["from", "to"]), Financial, Level::ReadOnly);
}

#[test]
fn a_battery_is_charged_for_nothing() {
    let bills = ["boat_invoice_list", "boat_price_get", "boat_charge_start"];
    let boat = among(&bills, "boat_charge_start", "Start to charge the battery of a boat", &[]);
    lacks(&boat, Financial, Level::SideEffect);
    let guest = among(&bills, "boat_charge_start", "Start to charge a guest's card", &[]);
    holds(&guest, Financial, Level::Critical);
    let patterns = judged("boat_charging_by_pier", "Charging patterns by pier", &[]);
    assert_eq!(patterns.effect, Effect::None, "{patterns:?}");
}

#[test]
fn what_has_its_price_or_may_cost_is_about_money_and_moves_none() {
    let line = judged("add_contract_line", "Add a line to a contract", &["quantity", "unit_price"]);
    holds(&line, Financial, Level::SideEffect);
    lacks(
        &judged("add_contract_line", "Add a line to a contract", &["quantity"]),
        Financial,
        Level::SideEffect,
    );
    let costs = judged("add_berth", "Add a berth, which may incur charges.", &["name"]);
    holds(&costs, Financial, Level::SideEffect);
    // on a server that bills, a card is what pays
    let bills = ["list_invoices", "get_invoice", "list_bills"];
    let card = |siblings: &[&str]| among(siblings, "terminate_card", "Terminate a card", &["card_id"]);
    assert!(is(&card(&bills), Financial) && !is(&card(&["list_boards"]), Financial));
}

#[test]
fn a_login_and_how_people_sign_in_decide_who_may_do_what() {
    for (name, description, arguments) in [
        ("create_login", "Create a login of a sailor", &["sailor_id"][..]),
        ("harbour_authentication_update", "Update how it is done", &["params"]),
        ("delete_authorization", "Delete one by its id", &["id"]),
        ("update_hostname", "Update the settings of a hostname", &["id", "saml_url", "sso_enforced"]),
        ("create_admin", "Create one", &["name"]),
        ("create_mfa_factor", "Create one for a sailor", &["kind"]),
        ("update_ledge", "Update a ledge", &["id", "admin_can_edit", "permission_level"]),
        ("update_room", "Update the name and the privacy of a room", &["id", "private"]),
        ("add_guest_to_pier", "Share a pier with a guest", &["guest_id", "permission_level"]),
    ] {
        holds(&judged(name, description, arguments), Administrative, Level::Critical);
    }
    for (name, description, arguments) in [
        ("update_hostname", "Update the settings of a hostname", &["id", "colour"][..]),
        ("update_room", "Update the name of a room", &["id", "private"]),
        ("start_login", "Start it in a browser", &[]),
        ("copy_playlist_to_user", "Copy songs to somebody", &["user_id"]),
        ("create_delivery_policy", "Create one for a shop", &["policy"]),
        ("admin_create_article", "Create an article", &["title"]),
        ("create_emission_factor", "Create one for a fuel", &["value"]),
        ("update_early_access_stage", "Update the stage of an early access feature", &["stage"]),
    ] {
        lacks(&judged(name, description, arguments), Administrative, Level::SideEffect);
    }
    // to share with somebody is to let in, and no message
    let shared = judged("add_guest_to_pier", "Share a pier with a guest", &["guest_id", "permission_level"]);
    assert!(!is(&shared, ExternalCommunication), "{shared:?}");
    // of a payment, an authorization is a hold on a card
    let bills = ["list_payments", "get_payment", "list_refunds"];
    assert!(!is(&among(&bills, "delete_authorization", "Delete one by its id", &["id"]), Administrative));
}

#[test]
fn whoever_does_work_or_watches_it_is_no_member() {
    let members = |description: &str, arguments: &[&str]| {
        is(&judged("task_add_members", description, arguments), Administrative)
    };
    assert!(!members("Add members as assignees or followers of a task", &["task_id"]));
    assert!(members("Add members who may edit a task", &["task_id", "role"]));
}

#[test]
fn what_is_shut_lets_nobody_in_and_what_is_opened_does() {
    lacks(&judged("lock_gates", "Lock all gates", &[]), Administrative, Level::SideEffect);
    holds(&judged("unlock_gates", "Unlock all gates", &[]), Administrative, Level::Critical);
    holds(&judged("lock_account", "Lock the account of a sailor", &["id"]), Administrative, Level::Critical);
}

#[test]
fn among_people_who_follow_one_another_a_block_is_for_oneself() {
    let block = |siblings: &[&str]| among(siblings, "account_block", "Block an account.", &["account_id"]);
    lacks(&block(&["account_follow", "status_list", "poll_vote"]), Administrative, Level::SideEffect);
    holds(&block(&["account_list", "gate_list", "rule_list"]), Administrative, Level::Critical);
}

#[test]
fn a_name_that_is_deleted_of_a_directory_is_lost_and_one_that_is_added_leads_elsewhere() {
    let deleted = judged("delete_dns_entry", "Delete a DNS entry", &["name"]);
    lacks(&deleted, Administrative, Level::Critical);
    assert!(is(&deleted, Destructive));
    holds(&judged("add_dns_entry", "Add a DNS entry", &["name"]), Administrative, Level::Critical);
}

#[test]
fn a_token_by_which_the_server_gets_in_elsewhere_is_nobody_s_right_here() {
    for (name, arguments) in [
        ("set_tokens", &["access_token", "refresh_token"][..]),
        ("refresh_access_token", &[]),
        ("exchange_authorization_code", &["code"]),
    ] {
        let tool = judged(name, "Keep it for the requests that follow", arguments);
        holds(&tool, CredentialAccess, Level::SideEffect);
        assert!(!is(&tool, Administrative) && !is(&tool, Execution), "{tool:?}");
    }
    // whose token it is, an argument says
    assert!(critical(&judged("set_tokens", "Set the tokens of a sailor", &["account_id", "access_token"])));
    assert!(critical(&judged("revoke_access_token", "Revoke it", &[])));
    let provider = judged("delete_provider_key", "Delete the API key of a provider", &["id"]);
    holds(&provider, CredentialAccess, Level::Critical);
    assert!(!is(&provider, Administrative) && is(&judged("create_api_key", "", &["name"]), Administrative));
}

#[test]
fn a_secret_is_what_is_shown_and_not_what_is_known_of_it() {
    let keys = |description: &str| is(&judged("list_api_keys", description, &[]), CredentialAccess);
    assert!(keys("List the API keys of a pier"));
    assert!(!keys("List the API keys of a pier (metadata only)"));
    assert!(!keys("List the API keys of a pier. The secrets are never returned."));
    let pier = |description: &str| is(&judged("get_pier", description, &["id"]), CredentialAccess);
    assert!(pier("Get a pier, including its name and api_key."));
    assert!(!pier("Get a pier, including its API key settings."));
    assert!(!pier("Get a pier, including its name but not its api_key."));
    let returns = judged("start_crossing", "Start a crossing. Returns an access token for it.", &["id"]);
    holds(&returns, CredentialAccess, Level::SideEffect);
    assert!(is(&judged("update_sailor_login", "Update it", &["id", "login_password"]), CredentialAccess));
}

#[test]
fn a_coin_is_no_secret_and_neither_is_how_long_a_token_lasts() {
    for (name, description, arguments) in [
        ("send_coin_token", "Send tokens to an address", &["amount", "to_address", "private_key"][..]),
        ("get_token_holders", "Get those who hold a crypto token", &["symbol"]),
        ("get_token_status", "Check whether it still lasts", &[]),
        ("create_bucket", "Create a bucket", &["network", "private_key"]),
        ("create_shell", "Create a shell", &["name", "api_key"]),
        ("list_gates", "Lists gates, with your credentials", &[]),
        ("get_env_status", "Get how it goes", &["id"]),
    ] {
        let tool = judged(name, description, arguments);
        assert!(!is(&tool, CredentialAccess), "{tool:?}");
    }
    assert!(is(&judged("get_token", "Get the token", &[]), CredentialAccess));
    assert!(is(&judged("create_provider", "Create one of tides", &["name", "api_key"]), CredentialAccess));
    assert!(is(&judged("show_gate", "Shows the credentials of a gate", &[]), CredentialAccess));
    assert!(is(&judged("get_env_file", "Get it", &["id"]), CredentialAccess));
    assert!(is(
        &judged("get_access_token", "Get the access token of a crypto exchange", &[]),
        CredentialAccess
    ));
    assert!(is(&judged("create_bucket", "Create a bucket", &["private_key"]), CredentialAccess));
}

#[test]
fn what_holds_two_things_together_comes_off_and_both_are_still_there() {
    for (name, description, arguments) in [
        ("remove_tags_from_shells", "Remove tags from shells", &["shell_ids", "tags"][..]),
        ("remove_tag", "Remove a tag", &["path", "tag"]),
        ("delete_job_dependency", "Delete what one job waits for", &["job_id", "other_id"]),
        ("remove_from_cart", "Remove a shell from the cart", &["shell_id"]),
        ("delete_reaction", "Delete a reaction of one's own", &["id"]),
        ("delete_sprint_chore", "Remove a chore from a sprint", &["sprint_id", "chore_id"]),
        ("shell_unbookmark", "Remove a bookmark from a shell", &["id"]),
    ] {
        lacks(&judged(name, description, arguments), Destructive, Level::SideEffect);
    }
    for (name, description, arguments) in [
        ("delete_tag", "Delete a tag, and take it off all shells", &["tag"][..]),
        ("remove_tag", "Remove a tag", &["tag"]),
        ("delete_sprint", "Remove a sprint from a board", &["sprint_id"]),
        ("remove_shell", "Remove a shell from the shelf", &["path", "shell"]),
    ] {
        assert!(is(&judged(name, description, arguments), Destructive), "{name}");
    }
    let guest = judged("remove_pier_collaborator_by_id", "Remove a collaborator from a pier", &["id"]);
    assert!(!is(&guest, Destructive) && critical(&guest), "{guest:?}");
}

#[test]
fn what_is_left_out_and_goes_was_overwritten() {
    let update = |description: &str| judged("update_menu", description, &["id", "dishes"]);
    holds(&update("Update a menu. Omitted dishes are removed."), Destructive, Level::Critical);
    lacks(&update("Update a menu. Omitted dishes are kept."), Destructive, Level::SideEffect);
    let write = |modes: &[&str]| {
        let properties = json!({
            "path": { "type": "string" },
            "content": { "type": "string" },
            "mode": { "type": "string", "enum": modes },
        });
        shaped(&[], "write_note", "Write or append to a note", json!({ "properties": properties }))
    };
    holds(&write(&["rewrite", "append"]), Destructive, Level::Critical);
    lacks(&write(&["append", "prepend"]), Destructive, Level::SideEffect);
    holds(&judged("clean_pantry", "Clean jars from the pantry", &["age"]), Destructive, Level::Critical);
    assert_eq!(judged("clean_text", "Clean a text", &["text"]).effect, Effect::None);
    let archived = judged("archive_menu", "Archive a menu. This cannot be undone.", &["id"]);
    holds(&archived, Destructive, Level::Critical);
}

#[test]
fn people_are_reached_by_whoever_asks_or_speaks_to_them() {
    for (name, description, arguments) in [
        ("ask_expert", "Ask an expert about a shell", &["question"][..]),
        ("start_conversation", "Begin one", &["sailor_user_id", "message"]),
        ("create_survey", "Create a survey of sailors", &["questions", "audience"]),
        ("update_notification", "Update a notification", &["id", "notification_roles"]),
    ] {
        holds(&judged(name, description, arguments), ExternalCommunication, Level::SideEffect);
    }
    for (name, description, arguments) in [
        ("start_conversation", "Begin one", &["title"][..]),
        ("start_conversation", "Begin one", &["message"]),
        ("create_survey", "Create a survey of the sea floor", &["depth"]),
        ("update_notification", "Update a notification", &["id", "sound"]),
        ("send_message", "Send a message to an agent that answers", &["agent_id", "message"]),
        ("mark_shells_ready", "Mark shells. This notifies the system that they can be counted.", &["ids"]),
    ] {
        let tool = judged(name, description, arguments);
        assert!(!is(&tool, ExternalCommunication), "{tool:?}");
    }
    let customer = judged("send_message", "Send a message to a customer of an agent", &["message"]);
    holds(&customer, ExternalCommunication, Level::SideEffect);
}

#[test]
fn a_command_to_a_console_and_a_function_under_test_are_run() {
    for (name, description, arguments) in [
        ("send_command", "Send commands to the castle's server", &["commands"][..]),
        ("test_tide_function", "Test a function of the tides by executing it", &["id"]),
        ("set_script_source", "Replace the source of a script", &["path", "source"]),
        ("run_playbook", "Run a playbook on some hosts", &["name"]),
        ("call_service", "Call a service of the castle", &["service", "data"]),
    ] {
        holds(&judged(name, description, arguments), Execution, Level::Critical);
    }
    for (name, description, arguments) in [
        ("send_command", "Send a command to the lamp", &["command_id"][..]),
        ("test_tide_function", "Test whether a function of the tides is known", &["id"]),
        ("update_ledger_line", "Update a line's name or code", &["id", "code", "name"]),
        ("submit_otp", "Submit the OTP code of a sailor", &["code"]),
        ("call_service", "Call a service of the castle", &["service_id"]),
        ("set_quote_source", "Set where a quote comes from", &["source"]),
    ] {
        let tool = judged(name, description, arguments);
        assert!(!is(&tool, Execution), "{tool:?}");
    }
    assert!(is(&judged("edit_theme_code", "Edit it", &["theme_id", "code"]), Execution));
    // somebody else wrote what is kept
    let saved = |name: &str| judged(name, "Run a SQL query", &["id", "query"]);
    assert!(is(&saved("run_query"), Execution) && !is(&saved("run_saved_query"), Execution));
}

#[test]
fn what_is_run_does_what_it_is_called_after() {
    let run = |name: &str, description: &str| critical(&judged(name, description, &["id"]));
    assert!(run("run_rollback_pipeline", "Run a rollback pipeline of a mill"));
    assert!(!run("run_lint_pipeline", "Run a lint pipeline of a mill"));
    assert!(!run("create_rollback_pipeline", "Create a rollback pipeline of a mill"));
    let between = judged("create_room", "Create a room between two users", &["one_id", "other_id"]);
    assert!(!is(&between, Administrative) && between.effect != Irreversible, "{between:?}");
}
