//! Each rule of design: a tool that breaks it, and one that does not.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

extern crate callgate_catalog as catalog;

use catalog::Claimed;
use catalog::lint::{Names, Rule, lint};
use catalog::risk::{Siblings, Tool, judge};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn seen(tool: &Value, siblings: &[&str]) -> BTreeSet<Rule> {
    let judged = judge(&Tool::of(tool, Claimed::default()), &Siblings::of(siblings.iter().copied()));
    lint(tool, &judged, &siblings.iter().copied().collect()).into_iter().map(|hint| hint.rule).collect()
}

/// A tool with nothing to say against it.
fn good() -> Value {
    json!({
        "name": "get_invoice", "description": "Gets one invoice by its number.", "outputSchema": { "type": "object" },
        "inputSchema": { "type": "object", "additionalProperties": false, "required": ["invoice_id"],
            "properties": { "invoice_id": { "type": "string", "description": "The invoice's number." } } },
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut tool = good();
    *tool.pointer_mut(pointer).unwrap() = value;
    tool
}

#[test]
fn a_good_tool_has_nothing_said_against_it() {
    assert_eq!(seen(&good(), &["get_invoice", "list_invoices"]), BTreeSet::new());
}

#[test]
fn each_rule_is_broken_by_one_tool() {
    let argument =
        |schema: Value| json!({ "type": "object", "additionalProperties": false, "properties": schema });
    let tool = |name: &str, text: &str, schema: Value| {
        let mut tool = good();
        tool["name"] = name.into();
        tool["description"] = text.into();
        tool["inputSchema"] = argument(schema);
        tool
    };
    for (rule, tool, siblings) in [
        (
            Rule::TaskSpecific,
            tool(
                "run_command",
                "Runs a shell command on the machine.",
                json!({ "command": { "type": "string", "description": "The command." } }),
            ),
            &[][..],
        ),
        (
            Rule::ReadOrWrite,
            tool(
                "manage_invoice",
                "Manages an invoice.",
                json!({ "action": { "enum": ["get", "delete"], "description": "What to do." }, "id": { "type": "string", "description": "Which." } }),
            ),
            &[],
        ),
        (
            Rule::ExplicitTarget,
            tool(
                "delete_invoices",
                "Deletes the invoices that are meant for good.",
                json!({ "query": { "type": "string", "description": "Which." } }),
            ),
            &[],
        ),
        (Rule::StrictSchema, with("/inputSchema/additionalProperties", json!(true)), &[]),
        (
            Rule::StrictSchema,
            with("/inputSchema/properties/invoice_id", json!({ "description": "The number." })),
            &[],
        ),
        (
            Rule::Gated,
            tool(
                "refund_payment",
                "Refunds a payment to the customer.",
                json!({ "payment_id": { "type": "string", "description": "Which." } }),
            ),
            &[],
        ),
        (Rule::StructuredResult, with("/outputSchema", Value::Null), &[]),
        (Rule::AccurateText, with("/description", json!("")), &[]),
        (Rule::AccurateText, with("/inputSchema/properties/invoice_id", json!({ "type": "string" })), &[]),
        (Rule::ReadableText, with("/description", json!("Gets an invoice. ".repeat(200))), &[]),
        (
            Rule::ReadableText,
            with("/description", json!("Gets an invoice ![as here](https://x.example/a.png) by number.")),
            &[],
        ),
        (Rule::Versioned, good(), &["get_invoice", "get_invoice_v2"]),
        (
            Rule::DraftFirst,
            tool(
                "delete_invoice",
                "Deletes an invoice for good.",
                json!({ "invoice_id": { "type": "string", "description": "Which." } }),
            ),
            &[],
        ),
    ] {
        assert!(seen(&tool, siblings).contains(&rule), "{rule:?}: {tool}");
    }
}

#[test]
fn what_can_be_tried_first_is_neither_ungated_nor_without_a_draft() {
    let mut tool = good();
    tool["name"] = "refund_payment".into();
    tool["description"] = "Refunds a payment to the customer.".into();
    tool["inputSchema"]["properties"]["dry_run"] =
        json!({ "type": "boolean", "description": "Only say what would happen." });
    let found = seen(&tool, &[]);
    assert!(!found.contains(&Rule::Gated) && !found.contains(&Rule::DraftFirst), "{found:?}");
}

/// Reading every name anew for every tool took a debug build 7 s for 800 tools.
#[test]
fn thousands_of_tools_are_each_looked_at_without_reading_all_names_again() {
    let names: Vec<String> = (0..3_000).map(|i| format!("send_mail_now_{i}")).collect();
    let mut siblings: Names<'_> = names.iter().map(String::as_str).collect();
    let mut tool = good();
    tool["name"] = "refund_payment".into();
    tool["description"] = "Refunds a payment to the customer.".into();
    let judged = judge(&Tool::of(&tool, Claimed::default()), &Siblings::of(names.iter().map(String::as_str)));
    let is_ungated =
        |siblings: &Names<'_>| lint(&tool, &judged, siblings).iter().any(|hint| hint.rule == Rule::Gated);
    assert!(names.iter().all(|_| is_ungated(&siblings)));
    siblings = names.iter().map(String::as_str).chain(["draft_payment"]).collect();
    assert!(!is_ungated(&siblings));
}
