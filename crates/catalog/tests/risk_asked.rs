//! What came of reading the servers that had been kept unread for measuring: words that stand for what is asked for, names that
//! end in what comes back, lists of deeds that are quoted in part, programs that take messages. All tools are made up.

use callgate_catalog::Category::{
    Administrative, CredentialAccess, Destructive, ExternalCommunication, Financial,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};

fn among(name: &str, description: &str, arguments: Value, siblings: &[&str]) -> Judgement {
    let schema = json!({ "type": "object", "properties": arguments });
    let definition = json!({ "name": name, "description": description, "inputSchema": schema });
    let siblings = Siblings::of(siblings.iter().copied());
    judge(&Tool::of(&definition, Claimed::default()), &siblings)
}

fn judged(name: &str, description: &str, arguments: Value) -> Judgement {
    among(name, description, arguments, &[])
}

fn text() -> Value {
    json!({ "type": "string" })
}

#[test]
fn what_is_asked_for_is_what_is_done() {
    for (name, description) in [
        ("read-beehive", "Make a request to read one beehive."),
        ("list_hives", "Execute the Apiary Cloud `list_hives` operation."),
        ("describe_hive", "Invoke the describe endpoint of the hive service"),
        ("hive_model_insights", "Send a prompt to the hive model and get back its answer."),
        ("investigateSwarm", "Investigate a swarm: when it left, where it went."),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert_eq!(found.effect, Effect::None, "{name}: {found:#?}");
    }
    for (name, description) in [
        ("drop_hive", "Make a request to delete one beehive."),
        ("hive", "Sends a request to remove the hive from the farm"),
        ("delete_hive", "Execute the Apiary Cloud `delete_hive` operation."),
        ("send_prompt", "Send a prompt to whoever keeps the bees"),
        ("review_swarm_report", "Review a swarm report: submit an opinion, with a comment if there is one"),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert_ne!(found.effect, Effect::None, "{name}: {found:#?}");
    }
}

#[test]
fn a_name_that_ends_in_what_comes_back_does_nothing() {
    for (name, description) in [
        ("hive_run_results", "Per-frame results of one run of a schedule"),
        ("honey_cleanup_candidates", "Jars that could be thrown away; never throws one away itself"),
        ("browser_go_forward", "Go to the next page"),
        ("forward_geocode", "Forward geocode an address"),
        ("resolve_keeper", "Resolve a display name to an email address, with fuzzy matching"),
    ] {
        let found = judged(name, description, json!({ "what": text(), "near": text() }));
        assert!(!found.categories.contains(&ExternalCommunication), "{name}: {found:#?}");
        assert_ne!(found.level, Level::Critical, "{name}: {found:#?}");
    }
    let sent = judged("forward_letter", "Forward a letter to somebody", json!({ "to": text() }));
    assert!(sent.categories.contains(&ExternalCommunication), "{sent:#?}");
    let run = judged("run_results", "Runs the results script again", json!({ "id": text() }));
    assert_ne!(run.effect, Effect::None, "the verb leads: {run:#?}");
    let ticket = judged("resolve_ticket", "Resolve a ticket", json!({ "id": text(), "note": text() }));
    assert_ne!(ticket.effect, Effect::None, "{ticket:#?}");
}

#[test]
fn deeds_of_which_some_are_quoted_are_all_its_deeds() {
    let said = "Operation to perform: create-hive, delete-hive, get-hive, get-hives. Choose \"get-hive\" or \"get-hives\" \
        where nothing may be written.";
    let arguments = json!({ "operation": { "type": "string", "description": said } });
    let found = judged("manage_hives", "Manage the hives of a farm.", arguments);
    assert!(found.level == Level::Critical && found.categories.contains(&Destructive), "{found:#?}");
}

#[test]
fn what_programs_take_reaches_nobody() {
    for (name, description, argument) in [
        ("produce-message", "Produce records to a Kafka topic", "partition"),
        ("publish_message", "Publish a message to an exchange", "routing_key"),
        ("enqueue", "Publish a message to a queue via AMQP", "vhost"),
    ] {
        let found = judged(name, description, json!({ argument: text(), "body": text() }));
        assert!(!found.categories.contains(&ExternalCommunication), "{name}: {found:#?}");
        assert_ne!(found.effect, Effect::None, "{name}");
    }
    let people = judged("publish_message", "Publish a message to the channel", json!({ "text": text() }));
    assert!(people.categories.contains(&ExternalCommunication), "{people:#?}");
    let made = judged("post_pool", "Create a pool of workers", json!({ "slots": { "type": "integer" } }));
    assert!(!made.categories.contains(&ExternalCommunication), "a method of HTTP: {made:#?}");
    let posted = judged("post_comment", "Create a comment below a thread", json!({ "text": text() }));
    assert!(posted.categories.contains(&ExternalCommunication), "{posted:#?}");
    let mark = judged("unread_message", "Marks a message as unread", json!({ "id": text() }));
    assert!(!mark.categories.contains(&ExternalCommunication) && mark.effect != Effect::None, "{mark:#?}");
}

#[test]
fn groups_of_machines_and_topics_are_no_groups_of_people_and_no_bills() {
    let directory = [
        "list_users",
        "create_user",
        "delete_user",
        "list_groups",
        "set_policy",
        "get_policy",
        "reset_mfa",
        "list_mfa_factors",
        "create_server_group",
    ];
    let machines =
        among("create_server_group", "Create a server group", json!({ "name": text() }), &directory);
    assert!(!machines.categories.contains(&Administrative), "{machines:#?}");
    let password = among(
        "reset_password",
        "Sets a new password.",
        json!({ "username": text(), "password": text() }),
        &["list_realm_users", "list_realm_roles", "reset_password", "get_realm", "list_sso_sessions"],
    );
    assert!(password.categories.contains(&Administrative), "{password:#?}");
    let topics =
        ["list_subscriptions", "get_subscription", "create_topic", "publish", "confirm_subscription"];
    let confirmed =
        among("confirm_subscription", "Confirms a subscription", json!({ "token": text() }), &topics);
    assert!(!confirmed.categories.contains(&Financial), "{confirmed:#?}");
    let paid = ["list_invoices", "get_price", "create_subscription", "cancel_subscription"];
    let paid = among("cancel_subscription", "Cancels a subscription", json!({ "id": text() }), &paid);
    assert!(paid.categories.contains(&Financial), "{paid:#?}");
    let seen =
        judged("change_message_visibility", "Changes when others see it", json!({ "timeout": text() }));
    assert!(!seen.categories.contains(&Administrative), "{seen:#?}");
}

#[test]
fn what_happened_to_a_secret_is_no_secret() {
    for (name, description) in [
        ("get_password_update_events", "Who changed a password when."),
        ("list_farms", "Lists the farms that the current credentials can see"),
        ("search_machines", "Machines by posture: Secure Boot, Credential Guard, encryption of disks"),
    ] {
        let found = judged(name, description, json!({ "from": text() }));
        assert!(!found.categories.contains(&CredentialAccess), "{name}: {found:#?}");
    }
    let told = judged("get_password", "Shows the password of a gate", json!({ "gate": text() }));
    assert!(told.categories.contains(&CredentialAccess), "{told:#?}");
}

#[test]
fn what_holds_two_things_together_and_what_waits_is_not_lost() {
    for (name, description) in [
        ("delete_silence", "Delete a silence by its id"),
        ("delete_binding", "Delete a binding of an exchange"),
        ("delete_queued_event", "Delete a queued event"),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert!(!found.categories.contains(&Destructive), "{name}: {found:#?}");
        assert_ne!(found.effect, Effect::None, "{name}");
    }
    let ended = judged("terminate_workflow", "Forcefully terminates a workflow", json!({ "id": text() }));
    assert!(!ended.categories.contains(&Destructive), "{ended:#?}");
    let gone = judged("delete_event", "Delete an event of a calendar", json!({ "id": text() }));
    assert!(gone.categories.contains(&Destructive), "{gone:#?}");
    for word in ["exclusion", "ioc"] {
        let lets = judged(&format!("create_{word}"), "Creates one.", json!({ "value": text() }));
        assert!(lets.categories.contains(&Administrative), "{word}: {lets:#?}");
    }
}

#[test]
fn what_gets_something_does_nothing_that_its_text_only_speaks_of() {
    for (name, description) in [
        ("get_candles", "Candles of a market. For funding history prefer the tool for it."),
        ("get_indices", "Indices that the exchange makes by combining prices"),
        ("get_positions", "Open positions of an account"),
        ("get_design_summary", "Design results of each beam, worst first"),
        ("list_audits", "**STARTING POINT for audits.** LIST all audits of a project."),
        ("get_deeplink", "Builds a link that opens the record in the app"),
        ("list_blocking_parts", "Roll up the parts that block orders"),
        ("search_letters", "Full-text search of letters across all boxes"),
        ("spell_check", "Spell-check a query and get a correction"),
        ("text_search", "Finds places by a text"),
        (
            "components",
            "Search and navigate components. Supports text search, filtering, and tree navigation.",
        ),
        ("check_to_register", "Whether a name is free"),
        ("manage_admins", "List the admins of a page."),
        ("match_selection", "Map-match a track. Configure the address of the service first."),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert_eq!(found.effect, Effect::None, "{name}: {found:#?}");
    }
    for (name, description) in [
        ("get_anon_key", "Generate an anonymous token that never ends"),
        ("get_letter", "Fetches a letter and deletes it from the box"),
        ("list_scheduled", "List what is scheduled, optionally cancel one."),
        ("receive_order", "Receive the items of a purchase order"),
        ("manage_parcels", "List parcels, and delete them"),
        ("hard_delete_row", "Hard-delete a row"),
        ("export_songs_to_file", "Writes all songs"),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert_ne!(found.effect, Effect::None, "{name}: {found:#?}");
    }
}

#[test]
fn a_statement_about_one_deed_does_not_speak_for_the_others() {
    let arguments = json!({ "action": { "type": "string", "description": "What to do. The 'get' action is read-only." } });
    let console = judged("read_console", "Gets messages from or clears the console.", arguments);
    assert_ne!(console.effect, Effect::None, "{console:#?}");
    let packages = judged(
        "manage_packages",
        "Manage packages: query, install, remove. QUERY (read-only): - list_packages: lists them",
        json!({ "package": text() }),
    );
    assert_ne!(packages.effect, Effect::None, "{packages:#?}");
    let mends = judged(
        "validate_references",
        "Validate references.",
        json!({ "collection": text(), "fix_invalid": { "type": "boolean" } }),
    );
    assert_ne!(mends.effect, Effect::None, "{mends:#?}");
}

#[test]
fn whatever_an_interface_offers_is_critical_and_what_comes_in_reaches_nobody() {
    let dispatched = judged(
        "users_and_roles",
        "Endpoints of that category. Use action='describe' to list them, or action='call' to execute one.",
        json!({ "action": text(), "endpoint": text(), "body": { "type": "object" } }),
    );
    assert_eq!(dispatched.level, Level::Critical, "{dispatched:#?}");
    let graph =
        judged("shop_graphql", "Execute raw GraphQL queries and mutations", json!({ "query": text() }));
    assert_eq!(graph.level, Level::Critical, "{graph:#?}");
    let received =
        judged("receive_messages", "Polls for messages and saves them", json!({ "timeout": text() }));
    assert!(!received.categories.contains(&ExternalCommunication), "{received:#?}");
    let blocked = judged("block_contact", "Block a contact", json!({ "number": text() }));
    assert!(!blocked.categories.contains(&Administrative), "{blocked:#?}");
    let hidden = judged("set_layer_visibility", "Shows or hides a layer", json!({ "visible": text() }));
    assert!(!hidden.categories.contains(&Administrative), "{hidden:#?}");
    let alert = judged("update_security_alert", "Updates a security alert", json!({ "id": text() }));
    assert!(!alert.categories.contains(&Administrative), "{alert:#?}");
    let budget =
        judged("update_campaign_budget", "Sets the budget of a campaign", json!({ "budget": text() }));
    assert!(budget.categories.contains(&Financial) && budget.level == Level::Critical, "{budget:#?}");
}

#[test]
fn the_english_half_of_a_description_in_two_languages_counts_and_verbs_may_stand_last() {
    for (name, description) in [
        ("liman_durumu", "Limanın durumunu döndürür; iş bitince kapanır. / Status of a port."),
        ("liman_getir", "Bir limanın tüm satırlarını döndürür."),
        ("statistika_porta", "Статистика порта за месяц."),
    ] {
        let found = judged(name, description, json!({ "id": text() }));
        assert_eq!(found.effect, Effect::None, "{name}: {found:#?}");
    }
    let gone = judged("liman_sil", "Limanı kalıcı olarak siler.", json!({ "id": text() }));
    assert_eq!(gone.effect, Effect::Irreversible, "{gone:#?}");
}
