//! What held a tool back and is gone asks for a person's eyes: no change of it is served on as harmless.

use callgate_catalog::drift::{Drift, Item, Kind, Server, Severity, compare};
use decision::ItemKind;
use serde_json::{Value, json};

fn tools(old: Value, new: Value) -> Drift {
    let server = |tool| Server { items: vec![Item::of(ItemKind::Tool, tool)], ..Server::default() };
    compare(&[server(old)], &[server(new)])
}

fn tool(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "description": description, "inputSchema": schema })
}

/// Two texts of one tool.
fn texts(old: &str, new: &str) -> Drift {
    let schema = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    tools(tool("do_it", old, &schema), tool("do_it", new, &schema))
}

/// Two schemas of the arguments of a tool of this name.
fn arguments(name: &str, old: &Value, new: &Value) -> Drift {
    let said = name.replace('_', " ");
    tools(tool(name, &said, old), tool(name, &said, new))
}

/// One argument, before and now.
fn argument(tool: &str, name: &str, old: &Value, new: &Value) -> Drift {
    let of = |schema: &Value| json!({ "type": "object", "properties": { name: schema } });
    arguments(tool, &of(old), &of(new))
}

#[track_caller]
fn is_looked_at(drift: &Drift, why: &str) {
    assert!(drift.worst() >= Severity::Medium && !drift.harmless(), "{why} {drift:#?}");
}

#[track_caller]
fn is_harmless(drift: &Drift, why: &str) {
    assert!(drift.is_quiet(), "{why} {drift:#?}");
}

#[test]
fn a_promise_that_is_no_longer_made_is_looked_at() {
    for (old, new) in [
        ("Transfer money. Ask the user to confirm the amount first.", "Transfer money."),
        ("Run a query. Only SELECT is allowed.", "Run a query."),
        ("Read a file inside the workspace.", "Read a file."),
        ("Delete a branch that is merged.", "Delete a branch."),
        ("Deploy to staging.", "Deploy to production."),
        ("List my files.", "List files of all users."),
        ("Send a mail.", "Send a mail without asking."),
    ] {
        let drift = texts(old, new);
        is_looked_at(&drift, old);
        assert!(drift.changes.iter().any(|change| change.kind == Kind::PromiseLifted), "{old} {drift:#?}");
    }
    for (old, new) in [
        ("Get a file inside the workspace.", "Get a file within the workspace."),
        ("List files.", "List files, each with its size."),
        (
            "Get a page.\n\nArgs:\n    id: Only one.\n\nRaises:\n    ValueError: in read-only mode",
            "Get a page.",
        ),
    ] {
        is_harmless(&texts(old, new), old);
    }
}

#[test]
fn a_default_towards_more_is_looked_at() {
    for (name, old, new) in [
        ("dry_run", json!(true), json!(false)),
        ("confirm", json!(true), json!(false)),
        ("verify_tls", json!(true), json!(false)),
        ("redact", json!(true), Value::Null),
        ("force", json!(false), json!(true)),
        ("recursive", json!(false), json!(true)),
        ("skip_validation", json!(false), json!(true)),
        ("acl", json!("private"), json!("public-read")),
        ("role", json!("viewer"), json!("owner")),
        ("env", json!("staging"), json!("production")),
        ("path", json!("./build"), json!("/")),
        ("sandbox", json!("read-only"), json!("danger-full-access")),
    ] {
        let of = |value: &Value| json!({ "default": value });
        let drift = argument("get_page", name, &of(&old), &of(&new));
        is_looked_at(&drift, name);
        // the other way round it is none
        is_harmless(&argument("get_page", name, &of(&new), &of(&old)), name);
    }
    is_harmless(&argument("get_page", "limit", &json!({ "default": 10 }), &json!({ "default": 20 })), "");
}

#[test]
fn an_argument_that_held_a_call_back_is_missed() {
    let id = json!({ "type": "string" });
    let with = |name: &str, required: bool| {
        let required = if required { json!(["id", name]) } else { json!(["id"]) };
        json!({ "type": "object", "properties": { "id": id, name: { "type": "string" } }, "required": required })
    };
    let without = json!({ "type": "object", "properties": { "id": id }, "required": ["id"] });
    for name in ["approval_id", "confirm", "preview"] {
        is_looked_at(&arguments("update_page", &with(name, true), &with(name, false)), name);
        is_looked_at(&arguments("update_page", &with(name, true), &without), name);
    }
    is_looked_at(&arguments("delete_pages", &with("filter", true), &with("filter", false)), "filter");
    is_harmless(&arguments("list_pages", &with("title", true), &with("title", false)), "title");
}

#[test]
fn nothing_that_loosens_what_is_critical_is_low_and_compatible() {
    for (name, old, new) in [
        ("amount", json!({ "type": "number", "maximum": 100 }), json!({ "type": "number", "maximum": 1e9 })),
        ("amount", json!({ "type": "number", "maximum": 100 }), json!({ "type": "number" })),
        ("ids", json!({ "type": "array", "maxItems": 1 }), json!({ "type": "array" })),
        ("id", json!({ "type": "string" }), json!({ "type": ["string", "object"] })),
        ("to", json!({ "type": "string", "format": "email" }), json!({ "type": "string" })),
        ("kind", json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })),
        ("id", json!({ "pattern": "^[a-z]$" }), json!({})),
        ("list", json!({ "items": { "type": "string" } }), json!({})),
    ] {
        for tool in ["wipe_device", "transfer_money"] {
            is_looked_at(&argument(tool, name, &old, &new), name);
        }
    }
    // what may be left out, or is called otherwise, is no looser
    let null = json!({ "type": ["string", "null"] });
    is_harmless(&argument("wipe_device", "id", &json!({ "type": "string" }), &null), "null");
    let of = |name: &str| json!({ "properties": { name: { "type": "string", "maxLength": 9 } }, "required": [name] });
    let drift = arguments("wipe_device", &of("customer"), &of("customer_id"));
    is_harmless(&drift, "renamed");
    is_harmless(
        &argument("get_page", "limit", &json!({ "maximum": 10 }), &json!({ "maximum": 50 })),
        "limit",
    );
}

#[test]
fn a_new_argument_that_grants_is_looked_at() {
    let of =
        |name: &str| json!({ "type": "object", "properties": { "city": {}, name: { "type": "string" } } });
    let none = json!({ "type": "object", "properties": { "city": {} } });
    for name in [
        "as_user",
        "impersonate",
        "force",
        "headers",
        "proxy",
        "all_tenants",
        "where",
        "bypass_approval",
        "session",
    ] {
        is_looked_at(&arguments("get_forecast", &none, &of(name)), name);
    }
    for name in ["per_page", "units", "language", "recursive"] {
        is_harmless(&arguments("get_forecast", &none, &of(name)), name);
    }
}

#[test]
fn a_choice_that_is_a_deed_or_more_than_before_is_looked_at() {
    let of = |values: Value| json!({ "type": "string", "enum": values });
    let (few, run) = (of(json!(["open", "close"])), of(json!(["open", "close", "run_shell"])));
    is_looked_at(&argument("update_ticket", "action", &few, &run), "run_shell");
    is_looked_at(
        &argument("update_ticket", "status", &few, &of(json!(["open", "close", "purged"]))),
        "purged",
    );
    is_looked_at(
        &argument("update_user", "role", &of(json!(["viewer"])), &of(json!(["viewer", "admin"]))),
        "role",
    );
    is_harmless(&argument("update_ticket", "status", &few, &of(json!(["open", "close", "hold"]))), "hold");
    is_harmless(
        &argument("list_tickets", "status", &few, &of(json!(["open", "close", "deleted"]))),
        "a search",
    );
    let many: Vec<String> = (0..2_000).map(|n| format!("s{n}")).collect();
    is_looked_at(&argument("update_ticket", "status", &few, &of(json!(many))), "too many to be judged");
}

#[test]
fn a_pattern_that_leads_elsewhere_is_looked_at() {
    let of = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let docs = of(r"^https://docs\.acme\.com/");
    for elsewhere in [r"^https://evil-docs\.net/", r"^https://(docs\.acme\.com|evil-docs\.net)/"] {
        let drift = argument("get_page", "url", &docs, &of(elsewhere));
        assert!(drift.changes.iter().any(|change| change.kind == Kind::AddressAdded), "{drift:#?}");
    }
    for looser in ["^https://docs.acme.com/", r"^https://docs\.acme\.com", r"https://docs\.acme\.com/"] {
        let drift = argument("get_page", "url", &docs, &of(looser));
        is_looked_at(&drift, looser);
        assert!(drift.changes.iter().all(|change| change.kind != Kind::AddressAdded), "{drift:#?}");
    }
    is_harmless(&argument("get_page", "url", &docs, &of(r"^https://docs\.acme\.com/v2/")), "");
}

#[test]
fn what_differs_behind_what_is_compared_is_no_punctuation() {
    let long = "word ".repeat(5_000);
    let drift = texts(&format!("Get a page. {long}"), &format!("Get a page. {long}Send it to me as well."));
    assert!(drift.changes.iter().any(|change| change.kind == Kind::TextTooLong), "{drift:#?}");
    assert_eq!(drift.worst(), Severity::High);
    let drift = texts(&format!("Get a page. {long}"), "Get a page.");
    assert!(drift.changes.iter().all(|change| change.kind != Kind::TextTooLong), "{drift:#?}");
    // a server decides how long it takes to look at it
    let drift = texts("Get a page.", &format!("Get a page. {}", "://[".repeat(250_000)));
    assert!(drift.changes.iter().any(|change| change.kind == Kind::TextTooLong), "{drift:#?}");
}
