//! The risk judge on tools made up for it, over many domains, and what holds of it for any tool.

use callgate_catalog::Category::{
    self, Administrative as Admin, CredentialAccess as Secret, Destructive as Gone, Execution as Exec,
    ExternalCommunication as People, Financial as Money,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::Effect::{self, Changes, Irreversible, None as Nothing, Unknown};
use callgate_catalog::risk::Level::{self, Critical, ReadOnly as Read, SideEffect as Side};
use callgate_catalog::risk::{About, Judgement, Method, Reach, Siblings, Tool, judge};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

type Case = (&'static str, &'static str, &'static str, Effect, Level, &'static [Category]);

/// Name, description, arguments (`name` or `name:one|other` for a choice), and what is expected.
const CASES: &[Case] = &[
    // A library.
    ("find_books", "Find books by author or subject.", "author subject limit", Nothing, Read, &[]),
    ("lend_book", "Record that a reader takes a book home", "book_id reader_id", Changes, Side, &[]),
    ("get_shelf_model", "Generates components for one shelf", "shelf_id", Nothing, Read, &[]),
    ("match_shelf_marks", "Accepts an array of marks or a single string", "marks", Nothing, Read, &[]),
    ("shelfContents", "The books of one shelf, in order", "shelf", Nothing, Read, &[]),
    ("book_withdrawal_list", "Lists withdrawn books", "year", Nothing, Read, &[]),
    (
        "weed_catalogue",
        "Permanently deletes the records of books nobody asked for",
        "before",
        Irreversible,
        Critical,
        &[Gone],
    ),
    ("renew_loan", "Extends a loan by two weeks", "loan_id", Irreversible, Side, &[]),
    ("add_book_tag", "Add a tag to a book", "book_id tag", Changes, Side, &[]),
    ("remove_book_tag", "Remove a tag from a book", "book_id tag", Irreversible, Side, &[]),
    // A hospital.
    ("get-patient-chart", "Returns the chart of a patient", "patient_id", Nothing, Read, &[]),
    ("amendChart", "Amends an entry of a patient's chart", "entry_id text", Irreversible, Side, &[]),
    (
        "notify_next_of_kin",
        "Sends a text message to a patient's next of kin",
        "patient_id message",
        Irreversible,
        Side,
        &[People],
    ),
    ("beds_overview", "Free beds of each ward", "", Nothing, Read, &[]),
    (
        "appointment",
        "Manage appointments: book, move or cancel",
        "action:book|move|cancel id",
        Irreversible,
        Side,
        &[],
    ),
    // A farm.
    ("irrigationStart", "Starts the irrigation of a field", "field minutes", Changes, Side, &[]),
    (
        "barn_sensor_readings",
        "Retrieves the last readings of the barn's sensors",
        "sensor",
        Nothing,
        Read,
        &[],
    ),
    (
        "set_greenhouse_priority",
        "Set the priority of a greenhouse in the heating plan",
        "house priority",
        Changes,
        Side,
        &[],
    ),
    ("compare_yields", "Compare the yields of two fields", "one other", Nothing, Read, &[]),
    // A shop.
    (
        "issue_refund",
        "Refund a buyer for a returned parcel",
        "order_id amount",
        Irreversible,
        Critical,
        &[Money],
    ),
    (
        "charge_card",
        "Charge the stored card of a buyer",
        "buyer amount currency",
        Irreversible,
        Critical,
        &[Money],
    ),
    ("list_refunds", "List refunds of a day", "day", Nothing, Read, &[]),
    ("create_voucher", "Create a voucher for the next order", "percent", Changes, Side, &[Money]),
    (
        "cancel_subscription",
        "Cancel a buyer's paid subscription",
        "customer_id",
        Irreversible,
        Critical,
        &[Money],
    ),
    (
        "payout_create",
        "Create a payout to a seller's bank account",
        "seller amount currency",
        Irreversible,
        Critical,
        &[Money],
    ),
    ("basket_empty", "Empties the basket", "basket", Irreversible, Critical, &[Gone]),
    ("estimate_shipping", "Calculate what shipping would cost", "weight country", Nothing, Read, &[]),
    ("transfer_parcel", "Transfer a parcel to another depot", "parcel depot", Irreversible, Side, &[]),
    ("send_invoice", "Send an invoice to the buyer by email", "invoice_id", Irreversible, Side, &[People]),
    // People and rights.
    ("grantRole", "Grant a role to somebody", "who role", Irreversible, Critical, &[Admin]),
    ("create_api_key", "Create an API key for a service", "name scopes", Changes, Critical, &[Admin, Secret]),
    ("show_api_key", "Shows an API key in clear", "id", Nothing, Read, &[Secret]),
    (
        "rotate_signing_key",
        "Rotates the key that signs sessions",
        "",
        Irreversible,
        Critical,
        &[Admin, Secret],
    ),
    ("add_user_to_group", "Add a user to a group", "user group", Changes, Critical, &[Admin]),
    ("list_group_members", "List the members of a group", "group", Nothing, Read, &[]),
    ("open_firewall_port", "Opens a port in the firewall", "port", Changes, Critical, &[Admin]),
    (
        "reset_password",
        "Resets somebody's password",
        "user new_password",
        Irreversible,
        Critical,
        &[Admin, Secret],
    ),
    ("describe_permission_set", "Describe what a permission set allows", "id", Nothing, Read, &[]),
    // Programs.
    (
        "run_shell",
        "Run a shell command on the build machine",
        "command timeout",
        Irreversible,
        Critical,
        &[Exec],
    ),
    ("sqlQuery", "Run any SQL against the warehouse", "sql", Irreversible, Critical, &[Exec, Gone]),
    ("sql_select", "Run a read-only SQL query against the warehouse", "sql", Nothing, Read, &[]),
    ("evalJs", "Evaluate JavaScript in the page", "script", Irreversible, Critical, &[Exec]),
    (
        "http_request",
        "Send an HTTP request",
        "url method:GET|POST|DELETE body",
        Irreversible,
        Critical,
        &[Exec],
    ),
    ("explain_query", "Explain the plan of an SQL query", "sql", Nothing, Read, &[]),
    ("generate_query", "Generate an SQL query from a question", "question", Nothing, Read, &[]),
    ("run_search", "Run a search over the logs", "query from to", Nothing, Read, &[]),
    (
        "invoke_function",
        "Invokes a function that was uploaded before",
        "function_id payload",
        Irreversible,
        Critical,
        &[Exec],
    ),
    // Machines.
    ("deploy_release", "Deploy a release to production", "release", Changes, Critical, &[]),
    ("restart_instance", "Restart a machine", "instance_id", Changes, Critical, &[]),
    ("droneStatus", "Status of the drone fleet", "", Nothing, Read, &[]),
    ("snapshot_volume", "Take a snapshot of a volume", "volume", Changes, Side, &[]),
    ("volume_destroy", "Destroy a volume and what is on it", "volume force", Irreversible, Critical, &[Gone]),
    ("scale_workers", "Scale a worker group up or down", "group count", Changes, Critical, &[]),
    ("ping_host", "Check whether a host answers", "host", Nothing, Read, &[]),
    // Talk.
    ("post_comment", "Post a comment under an article", "article text", Irreversible, Side, &[People]),
    ("draft_letter", "Draft a letter to a member", "member text", Changes, Side, &[]),
    ("listDeletedMessages", "List the messages that were deleted lately", "channel", Nothing, Read, &[]),
    ("mark_thread_read", "Mark a thread as read", "thread", Changes, Side, &[]),
    ("search_posts", "Search posts that mention a word", "word", Nothing, Read, &[]),
    // Files and music.
    ("putFile", "Write a file; overwrites existing files", "path content", Irreversible, Critical, &[Gone]),
    ("rename_playlist", "Rename a playlist", "id new_name", Irreversible, Side, &[]),
    (
        "export_scores",
        "Export scores to a file in the output folder",
        "piece output_path",
        Changes,
        Side,
        &[],
    ),
    ("convert_tempo", "Convert beats per minute to milliseconds", "bpm", Nothing, Read, &[]),
    ("playlist_manage", "Manage playlists", "action:list|create|delete id", Irreversible, Critical, &[Gone]),
    // Other ways of saying it.
    ("museum_exhibit_get", "Gets one exhibit by its number", "number", Nothing, Read, &[]),
    (
        "exhibit",
        "Get, create or retire exhibits",
        "operation:get|create|delete number",
        Irreversible,
        Critical,
        &[Gone],
    ),
    ("MuseumTicketsBuy", "Buys tickets for a day", "day count", Irreversible, Critical, &[Money]),
    ("room-climate", "Current temperature and humidity of a room", "room", Nothing, Read, &[]),
    ("guided_tours", "This tool retrieves all guided tours of a week", "week", Nothing, Read, &[]),
    ("exhibit_move", "Moves an exhibit to another room", "number room", Irreversible, Side, &[]),
    ("exhibit_upload_image", "Upload a picture of an exhibit", "number image_base64", Changes, Side, &[]),
    ("lockerState", "Tells whether a locker is taken", "locker", Nothing, Read, &[]),
    (
        "search_and_replace",
        "Find a text in all labels and replace it",
        "find replace_with",
        Irreversible,
        Side,
        &[],
    ),
    ("visitor_count", "", "day", Nothing, Read, &[]),
    ("visitor_export", "Exports the visitors of a month as CSV", "month", Nothing, Read, &[]),
    ("audit_events", "List audit events", "action:create|update|delete user", Nothing, Read, &[]),
    ("get_upload_url", "Get a signed URL for uploading a picture", "name", Nothing, Read, &[]),
    ("validate_config", "Validates a configuration without applying it", "config", Nothing, Read, &[]),
    ("wait_for_lift", "Waits until the lift has arrived", "lift", Nothing, Read, &[]),
    ("toggle_lights", "Switch the lights of a room on or off", "room", Changes, Side, &[]),
    ("archive_exhibition", "Archives an exhibition that is over", "id", Changes, Side, &[]),
    ("subscribe_newsletter", "Subscribe a visitor to the newsletter", "address", Changes, Side, &[]),
    ("bulk_delete_photos", "Delete many photos at once", "ids", Irreversible, Critical, &[Gone]),
    ("purgeCdn", "Purge the CDN's cache for a path", "path", Irreversible, Critical, &[Gone]),
    ("share_folder", "Share a folder with somebody by email", "folder email", Irreversible, Side, &[People]),
    (
        "invite_curator",
        "Invites a curator to the museum's workspace",
        "email",
        Irreversible,
        Side,
        &[Admin, People],
    ),
    ("update_webhook", "Update a webhook's address", "id url", Irreversible, Side, &[]),
    ("upsert_rows", "Insert rows, or update them where they exist", "table rows", Irreversible, Side, &[]),
    ("stop_server", "Stops a game server", "id", Irreversible, Critical, &[]),
    ("approve_payment", "Approve a payment that waits", "payment_id", Irreversible, Critical, &[Money]),
    ("dns_lookup", "Look up a name in the DNS", "name", Nothing, Read, &[]),
    ("get_secret_value", "Reads a secret from the store", "name", Nothing, Read, &[Secret]),
    ("put_secret", "Stores a secret", "name secret_value", Changes, Critical, &[Secret]),
    ("assign_policy", "Attach an access policy to a team", "team policy", Changes, Critical, &[Admin]),
    ("python_exec", "Execute Python code in a sandbox", "code", Irreversible, Critical, &[Exec]),
    ("count_tokens", "Count the tokens of a text", "text", Nothing, Read, &[]),
    ("next_page", "Returns the next page of a listing", "page_token", Nothing, Read, &[]),
    ("memory_store", "Remember a fact for later", "fact", Changes, Side, &[]),
    ("memory_recall", "Recall facts about a subject", "subject", Nothing, Read, &[]),
    ("forecast", "Weather forecast for a place", "place", Nothing, Read, &[]),
    ("db_restore", "Restores a database from a backup", "database backup", Irreversible, Critical, &[Gone]),
    ("move_parcels", "Move parcels between depots", "from to", Irreversible, Side, &[]),
    ("transfer_team", "Transfer a team to a new owner", "team new_owner", Irreversible, Critical, &[Admin]),
    ("search_sql_manual", "Search the manual of SQL", "query", Nothing, Read, &[]),
    ("terminate_machine", "Terminates a rented machine", "machine", Irreversible, Critical, &[Gone]),
    ("promote_build", "Promote a build to production", "build", Changes, Critical, &[]),
    (
        "call_api",
        "Execute any operation of the shop's API",
        "operation parameters",
        Irreversible,
        Critical,
        &[Exec],
    ),
    // Nothing to go by.
    ("zorp", "", "", Unknown, Side, &[]),
    ("frobnicate_widget", "Frobnicates.", "widget", Unknown, Side, &[]),
];

fn schema(arguments: &str) -> Value {
    let property = |argument: &str| match argument.split_once(':') {
        Some((name, values)) => {
            (name.to_owned(), json!({ "type": "string", "enum": values.split('|').collect::<Vec<_>>() }))
        }
        None => (argument.to_owned(), json!({ "type": "string" })),
    };
    let properties: serde_json::Map<String, Value> = arguments.split_whitespace().map(property).collect();
    json!({ "type": "object", "properties": properties })
}

fn alone(name: &str, description: &str, schema: &Value) -> Judgement {
    judge(&tool(name, description, schema), &Siblings::default())
}

fn tool<'a>(name: &'a str, description: &'a str, schema: &'a Value) -> Tool<'a> {
    let description = Some(description).filter(|text| !text.is_empty());
    Tool { name, description, input_schema: Some(schema), ..Tool::default() }
}

#[test]
fn tools_of_many_domains_are_judged_as_people_would() {
    let mut wrong = Vec::new();
    for (name, description, arguments, effect, level, categories) in CASES {
        let judged = alone(name, description, &schema(arguments));
        let categories: BTreeSet<Category> = categories.iter().copied().collect();
        if (judged.effect, judged.level, &judged.categories) != (*effect, *level, &categories) {
            wrong.push(format!("{name}: {judged:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn a_name_alone_tells_the_three_outcomes_apart() {
    let nothing = json!({});
    for noun in ["Invoice", "Shipment"] {
        assert_eq!(alone(&format!("Get{noun}"), "", &nothing).effect, Nothing);
        assert_eq!(alone(&format!("Update{noun}"), "", &nothing).effect, Changes);
        assert_eq!(alone(&format!("Delete{noun}"), "", &nothing).effect, Irreversible);
    }
}

/// The corners that a table of tools does not reach: transports, claims, siblings, breadth and reach.
#[test]
fn what_is_known_of_the_transport_counts() {
    let empty = json!({});
    let by = |method, name| {
        judge(&Tool { method: Method::parse(method), ..tool(name, "", &empty) }, &Siblings::default())
    };
    assert_eq!(by("GET", "zorp").effect, Nothing);
    assert_eq!(by("POST", "zorp").effect, Changes);
    assert_eq!(by("DELETE", "zorp").effect, Irreversible);
    assert_eq!(by("PUT", "update_seat").effect, Irreversible);
    assert_eq!(by("PATCH", "update_seat").effect, Changes);
    assert_eq!(by("POST", "search_seats").effect, Nothing, "a search may take a body");
    assert_eq!(
        by("GET", "delete_seat").effect,
        Irreversible,
        "a promise of the method is not kept by everybody"
    );
    assert!(Method::parse("BREW").is_none());
}

#[test]
fn a_server_that_bills_makes_its_subscriptions_a_matter_of_money() {
    let schema = schema("id");
    let siblings = Siblings::of(["list_invoices", "get_refund", "subscription_cancel"]);
    let judged = judge(&tool("subscription_cancel", "Cancels a subscription", &schema), &siblings);
    assert_eq!((judged.level, judged.categories), (Critical, BTreeSet::from([Money])));
    assert!(alone("subscription_cancel", "Cancels a subscription", &schema).categories.is_empty());
}

#[test]
fn a_flag_that_deletes_makes_a_change_irreversible() {
    let schema = json!({"properties": {"source": {"type": "string"}, "delete_source": {"type": "boolean"}}});
    let judged = alone("copy_album", "Copies an album", &schema);
    assert_eq!((judged.effect, judged.categories), (Irreversible, BTreeSet::from([Gone])));
    let looks = json!({"properties": {"delete_markers": {"type": "boolean"}}});
    assert_eq!(alone("list_albums", "Lists albums", &looks).effect, Nothing);
}

#[test]
fn a_query_of_a_database_is_execution_where_its_arguments_are_unknown() {
    let query = |description| alone("query_database", description, &json!({})).level;
    assert_eq!(query("Query the database"), Critical);
    assert_eq!(query("Query the database, read-only"), Read);
}

#[test]
fn an_author_s_claim_can_only_make_it_worse() {
    let schema = schema("seat");
    let claiming = |name, read_only, destructive| {
        let claimed = Claimed { read_only, destructive, ..Claimed::default() };
        judge(&Tool { claimed, ..tool(name, "", &schema) }, &Siblings::default()).effect
    };
    assert_eq!(claiming("delete_seat", Some(true), None), Irreversible);
    assert_eq!(claiming("zorp", Some(true), Some(false)), Unknown);
    assert_eq!(claiming("get_seat", Some(false), None), Changes);
    assert_eq!(claiming("add_seat", None, Some(true)), Irreversible);
}

#[test]
fn a_tool_that_mixes_looking_and_writing_is_over_broad_and_one_that_writes_is_not() {
    let broad = |arguments| alone("seats", "Works with seats", &schema(arguments)).over_broad;
    assert!(broad("action:list|delete"));
    assert!(!broad("action:create|delete"));
    assert!(!broad("action:list|get"));
    assert!(alone("run_shell", "Run a shell command", &schema("command")).over_broad);
}

#[test]
fn what_reaches_outside_is_open_and_the_rest_is_closed() {
    let reach = |name, description, arguments| alone(name, description, &schema(arguments)).reach;
    assert_eq!(reach("read_page", "Reads a web page", "url"), Reach::Open);
    assert_eq!(reach("send_letter", "Sends a letter", "text"), Reach::Open);
    assert_eq!(reach("list_seats", "Lists seats", "row"), Reach::Closed);
}

#[test]
fn every_part_of_a_judgement_names_what_led_to_it() {
    let judged = alone("create_api_key", "Create an API key", &schema("name callback_url"));
    for about in [About::Effect, About::Level, About::Category, About::Reach] {
        assert!(judged.evidence.iter().any(|evidence| evidence.about == about), "{about:?}: {judged:#?}");
    }
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!({"type": "string"})),
        Just(json!({"type": ["string", "null"], "description": "'create' - makes, `delete` - removes"})),
        Just(json!({"enum": ["GET", "POST", 3, null]})),
        "[a-z _'.]{0,30}".prop_map(|text| json!({"description": text, "type": "string"})),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let names = prop_oneof![
            Just("action".to_owned()),
            Just("request".to_owned()),
            Just("sql".to_owned()),
            Just("url".to_owned()),
            "[a-zA-Z_~/]{1,12}",
        ];
        prop::collection::btree_map(names, inner, 0..6)
            .prop_map(|properties| json!({"properties": properties}))
    })
}

/// Some case of the table, so that properties hold for tools and not only for noise.
fn any_case() -> impl Strategy<Value = &'static Case> {
    prop::sample::select(CASES.iter().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn judging_is_total_and_says_the_same_twice(
        name in ".{0,40}", description in prop::option::of("(.|\\n){0,200}"), schema in any_schema(), siblings in prop::collection::vec(".{0,20}", 0..6),
    ) {
        let tool = Tool { name: &name, description: description.as_deref(), input_schema: Some(&schema), ..Tool::default() };
        let siblings = Siblings::of(siblings.iter().map(String::as_str));
        let judged = judge(&tool, &siblings);
        prop_assert_eq!(&judged, &judge(&tool, &siblings));
        prop_assert!((0.0..=1.0).contains(&judged.confidence));
        prop_assert_eq!(judged.effect == Nothing, judged.level == Read);
        if judged.effect == Unknown {
            prop_assert!(judged.tier >= callgate_catalog::Tier::High);
        }
        for evidence in &judged.evidence {
            if let Some(inside) = evidence.place.strip_prefix("/inputSchema") {
                prop_assert!(schema.pointer(inside).is_some(), "{} is nowhere", evidence.place);
            }
        }
    }

    #[test]
    fn the_order_of_siblings_does_not_count(names in prop::collection::vec("[a-c]{1,2}(_(get|delete|list|[a-c]{1,2})){0,3}", 0..9), turn in 0usize..9) {
        let mut turned = names.clone();
        if !turned.is_empty() {
            let by = turn % turned.len();
            turned.rotate_left(by);
            turned.reverse();
        }
        prop_assert_eq!(Siblings::of(names.iter().map(String::as_str)), Siblings::of(turned.iter().map(String::as_str)));
    }

    #[test]
    fn one_more_writing_verb_never_lowers_the_effect(case in any_case(), verb in prop::sample::select(vec!["delete", "create", "update", "send"])) {
        let (name, description, arguments, ..) = case;
        let schema = schema(arguments);
        let before = alone(name, description, &schema).effect;
        let names = [format!("{name}_and_{verb}"), format!("{name}_or_{verb}_it")];
        for named in names {
            let after = alone(&named, description, &schema).effect;
            prop_assert!(after >= before, "{named}: {before:?} became {after:?}");
        }
        let lead = description.split_whitespace().next().unwrap_or("x").to_ascii_lowercase();
        let third = lead.ends_with('s');
        let joined = format!("{} and {verb}{} it.", description.trim_end_matches('.'), if third { "s" } else { "" });
        let after = alone(name, &joined, &schema).effect;
        prop_assert!(description.is_empty() || after >= before, "{joined}: {before:?} became {after:?}");
    }

    #[test]
    fn a_claim_never_makes_a_judgement_milder(case in any_case(), claims in any::<[Option<bool>; 4]>()) {
        let (name, description, arguments, ..) = case;
        let schema = schema(arguments);
        let [read_only, destructive, idempotent, open_world] = claims;
        let silent = tool(name, description, &schema);
        let claiming = Tool { claimed: Claimed { read_only, destructive, idempotent, open_world }, ..silent };
        let [silent, claiming] = [silent, claiming].map(|tool| judge(&tool, &Siblings::default()));
        prop_assert!(claiming.effect >= silent.effect && claiming.level >= silent.level && claiming.tier >= silent.tier);
        prop_assert!(claiming.categories.is_superset(&silent.categories));
    }

    #[test]
    fn a_name_is_judged_alike_in_any_casing(case in any_case()) {
        let (name, description, arguments, ..) = case;
        let schema = schema(arguments);
        let snake: String = name.chars().enumerate().fold(String::new(), |mut snake, (at, c)| {
            if c.is_uppercase() && at > 0 {
                snake.push('_');
            }
            snake.extend(c.to_lowercase());
            snake.replace('-', "_")
        });
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        };
        let camel: String = snake.split('_').filter_map(capital).collect();
        let judged = [name.to_string(), snake.replace('_', "-"), snake.to_uppercase(), snake, camel].map(|name| {
            let Judgement { effect, level, tier, categories, .. } = alone(&name, description, &schema);
            (effect, level, tier, categories)
        });
        for other in &judged {
            prop_assert_eq!(other, &judged[0]);
        }
    }
}
