//! The risk judge on what servers taught it that guard networks, sign people in and run machines. The definitions are of our
//! own wording.

use callgate_catalog::Category::{Administrative, CredentialAccess, Destructive, Execution, Financial};
use callgate_catalog::Claimed;
use callgate_catalog::risk::Effect::Irreversible;
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

fn decides_who(judged: &Judgement) -> bool {
    let administrative = judged.categories.contains(&Administrative);
    assert_eq!(administrative, judged.level == Level::Critical, "{judged:?}");
    administrative
}

#[test]
fn on_a_server_that_guards_a_network_what_traffic_passes_by_is_a_matter_of_rights() {
    let guards = ["list_vlans", "get_vlan", "list_subnets", "create_segment", "update_gateway"];
    let shops = ["list_buyers", "get_buyer", "list_carts", "create_segment", "update_gateway"];
    for name in ["create_segment", "update_gateway", "create_gateway_group"] {
        let tool = |siblings: &[&str]| among(siblings, name, "", &["id", "name"]);
        assert!(decides_who(&tool(&guards)), "{name}");
        assert!(!decides_who(&tool(&shops)), "{name}");
    }
    let addresses = |name: &str| decides_who(&among(&guards, name, "", &["name"]));
    assert!(addresses("update_url_category_list") && !addresses("update_film_category_list"));
    // whom a group of machines belongs to is looked up elsewhere
    assert!(!decides_who(&among(&guards, "create_printer_group", "", &["name"])));
}

#[test]
fn an_application_that_people_sign_in_to_decides_who_they_are() {
    let told = judged("create_client", "Create a client that uses OIDC", &["name"]);
    let asked = judged("update_app", "Update an app of the choir", &["id", "redirect_uris"]);
    let neither = judged("update_app", "Update an app of the choir", &["id", "colour"]);
    assert!(decides_who(&told) && decides_who(&asked) && !decides_who(&neither));
    let siblings = |product: &str| -> Vec<String> {
        ["list_flows", "get_user", "update_application"]
            .iter()
            .map(|name| format!("{product}_{name}"))
            .collect()
    };
    let on = |product: &str| {
        let siblings = siblings(product);
        let siblings: Vec<&str> = siblings.iter().map(String::as_str).collect();
        among(&siblings, &format!("{product}_update_application"), "Update an application", &["id"])
    };
    assert!(decides_who(&on("authhouse")) && !decides_who(&on("authors")));
    // how it gets in itself is no setting of others
    assert!(!decides_who(&judged("update_app", "Update an app of the choir", &["id", "auth_token"])));
}

#[test]
fn what_a_guard_looks_for_and_what_is_seen_from_outside_are_settings_of_security() {
    for (name, description) in [
        ("update_phishing_settings", "Update the settings"),
        ("add_blocked_domain", "Add a domain"),
        ("remove_scanner", "Remove the malware scanner of a boat"),
        ("toggle_upnp", "Turn a router's UPnP on or off"),
        ("create_reverse_proxy", "Create a proxy"),
        ("set_guest_wifi", "Set up the network of guests"),
        ("guest_lan", "Toggle LAN access of a guest"),
        ("remove_tls", "Turn it off for a site"),
        ("add_public_key", "Add a key that may sign in"),
    ] {
        let judged = judged(name, description, &["id"]);
        assert!(judged.categories.contains(&Administrative), "{name}: {judged:?}");
        assert_eq!(judged.level, Level::Critical, "{name}");
    }
    for (name, description) in [
        ("update_reading_settings", "Update the settings"),
        ("add_domain", "Add a domain to a crossword"),
        ("connect_wifi", "Connect a phone to a network"),
        ("create_lan_party", "Create a LAN party"),
        ("add_piano_key", "Add a key to a drawing"),
    ] {
        assert!(!decides_who(&judged(name, description, &["id"])), "{name}");
    }
}

#[test]
fn rights_that_an_argument_gives_are_rights() {
    let raised = judged("update_album", "Update an album", &["id", "permissions"]);
    assert!(decides_who(&raised));
    assert!(!decides_who(&judged("update_album", "Update an album", &["id", "title"])));
    let groups = |name: &str| judged(name, "Update a shelf", &["id", "groups"]);
    assert!(decides_who(&groups("update_org_shelf")) && !decides_who(&groups("update_shelf")));
}

#[test]
fn who_changes_what_is_read_of_a_person_lets_nobody_in() {
    let profile = judged("update_user", "Update a user", &["user_id", "bio", "website"]);
    assert!(!decides_who(&profile));
    for standing in ["role", "email", "is_active", "group_ids", "attributes"] {
        let judged = judged("update_user", "Update a user", &["user_id", "bio", "website", standing]);
        assert!(decides_who(&judged), "{standing}");
    }
    assert!(decides_who(&judged("update_user", "Update a user", &["user_id", "name"])));
    assert!(decides_who(&judged("delete_user", "Delete a user", &["user_id", "bio"])));
}

#[test]
fn a_machine_whose_power_is_taken_is_out_of_service() {
    for (name, description) in [
        ("crane_power_cycle", ""),
        ("crane_off", "Force off the crane, then wait"),
        ("crane_power", "Press the power button of the crane"),
    ] {
        let judged = judged(name, description, &["seconds"]);
        assert_eq!((judged.effect, judged.level), (Irreversible, Level::Critical), "{name}: {judged:?}");
    }
    assert_eq!(judged("press_button", "Press a button of a page", &["id"]).level, Level::SideEffect);
    assert_eq!(judged("set_power_limit", "Set the power of a lamp", &["id"]).level, Level::SideEffect);
}

#[test]
fn what_is_restarted_is_up_again_unless_a_whole_machine_is() {
    let level = |name: &str| judged(name, "", &["id"]).level;
    assert_eq!(level("restart_service"), Level::SideEffect);
    assert_eq!(level("restart_server"), Level::Critical);
    assert_eq!(level("reboot_router"), Level::Critical);
    assert_eq!(level("stop_service"), Level::Critical);
    assert_eq!(level("deactivate_workflow"), Level::Critical);
}

#[test]
fn settings_that_are_published_are_live() {
    let live = judged("config_update", "Publish a new config of the ferry", &["text"]);
    assert_eq!(live.level, Level::Critical);
    assert_eq!(judged("config_update", "Keep a new config of the ferry", &["text"]).level, Level::SideEffect);
    assert_eq!(judged("poem_update", "Publish a new poem of the ferry", &["text"]).level, Level::SideEffect);
}

#[test]
fn where_orders_are_placed_one_that_is_cancelled_is_a_matter_of_money() {
    let cancel = |siblings: &[&str]| among(siblings, "cancel_order", "Cancel an open order", &["id"]);
    let placed = cancel(&["place_order", "get_orders", "cancel_order"]);
    assert!(placed.level == Level::Critical && placed.categories.contains(&Financial), "{placed:?}");
    let sorted = cancel(&["sort_order", "get_order", "cancel_order"]);
    assert!(!sorted.categories.contains(&Financial), "{sorted:?}");
}

#[test]
fn seats_of_a_subscription_are_paid_on_and_on() {
    let seats = json!({ "type": "object", "properties": { "hall": {
        "type": "object", "properties": { "seats": { "type": "integer" } } } } });
    let billing = ["get_invoice", "list_invoices", "update_subscription"];
    let more = shaped(&billing, "update_subscription", "Update the subscription", seats);
    assert!(more.level == Level::Critical && more.categories.contains(&Financial), "{more:?}");
    let note = among(&billing, "update_subscription", "Update the subscription", &["id", "note"]);
    assert!(note.level == Level::SideEffect && note.categories.contains(&Financial), "{note:?}");
}

#[test]
fn hours_that_payroll_counts_and_entries_of_a_journal_move_no_money_by_themselves() {
    let hours = judged("create_sheet", "Create a payroll timesheet", &["employee"]);
    assert_eq!(hours.level, Level::SideEffect);
    let approved = judged("approve_sheet", "Approve a payroll timesheet", &["id"]);
    assert!(approved.level == Level::Critical && approved.categories.contains(&Financial), "{approved:?}");
    let entry = judged("update_manual_journal", "Update a journal", &["id", "lines"]);
    assert!(entry.level == Level::SideEffect && entry.categories.contains(&Financial), "{entry:?}");
}

#[test]
fn variables_of_a_build_are_secrets_and_what_a_secret_looks_like_is_none() {
    let has = |judged: &Judgement| judged.categories.contains(&CredentialAccess);
    assert!(has(&judged("list_choir_variables", "List the CI/CD variables of a choir", &["id"])));
    assert!(!has(&judged("list_choir_variables", "List the variables of a choir", &["id"])));
    let chosen = |operation: &str| {
        let schema = json!({ "type": "object", "properties": {
            "operation": { "type": "string", "enum": [operation, "rename-choir"] } } });
        shaped(&[], "choir-updater", "Run one of these operations", schema)
    };
    assert!(has(&chosen("set-env-vars")) && !has(&chosen("set-song-bars")));
    assert!(!has(&judged("get_credential_schema", "Show the fields of one", &["kind"])));
    assert!(has(&judged("get_credential", "Show one", &["kind"])));
}

#[test]
fn a_script_that_a_machine_runs_by_itself_and_a_service_of_any_image_are_execution() {
    let runs = |judged: &Judgement| judged.categories.contains(&Execution);
    let script = judged("create_startup_script", "Create a script of a boat", &["name", "content"]);
    assert!(runs(&script) && script.level == Level::Critical, "{script:?}");
    assert!(!runs(&judged("create_film_script", "Create a script of a film", &["name", "content"])));
    let service = judged("service_create_from_image", "Create one", &["image", "name"]);
    assert!(runs(&service) && service.level == Level::Critical, "{service:?}");
    assert!(!runs(&judged("create_poster_from_photo", "Create one", &["image", "name"])));
    assert!(!service.categories.contains(&Destructive));
}
