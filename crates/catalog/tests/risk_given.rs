//! What is given to be run behind a word of looking: statements, commands and code. All tools are made up.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use bytes::Bytes;
use callgate_catalog::Category::Execution;
use callgate_catalog::risk::{Effect, Judgement, Level, Siblings, Tool, judge};
use callgate_catalog::scan::contradiction;
use callgate_catalog::{Claimed, Declarations, Definition, ServerEntry, record};
use decision::{Environment, ItemKind, ServerName};
use serde_json::{Value, json};
use std::sync::Arc;

fn tool(name: &str, description: &str, arguments: Value) -> Value {
    json!({ "name": name, "description": description,
        "inputSchema": { "type": "object", "properties": arguments } })
}

fn judged(tool: &Value) -> Judgement {
    judge(&Tool::of(tool, Claimed::default()), &Siblings::default())
}

/// Whether a server that nobody approved may be asked for it.
fn counts_as_a_read(tool: &Value) -> bool {
    let server = ServerName::new("orchard").unwrap();
    let raw = Bytes::from(tool.to_string());
    let tool = Definition::new(server, ItemKind::Tool, raw).unwrap();
    let entry = ServerEntry::new(Environment::default(), Declarations::default(), [Arc::new(tool)]);
    !record::reads(&entry).is_empty()
}

fn text() -> Value {
    json!({ "type": "string" })
}

#[test]
fn whoever_looks_by_running_what_it_is_given_runs_it() {
    for (name, description, argument) in [
        ("ask_orchard", "Answers questions about the machine by executing commands.", "command"),
        ("find_trees", "Finds trees. The command is run over SSH.", "command"),
        ("get_harvest", "Gets the harvest by running Python code.", "code"),
        ("view_orchard", "Views it by means of a shell script.", "script"),
        ("count_trees", "Counts trees with Python code that you pass.", "code"),
        ("show_trees", "Shows trees.", "bash"),
        ("describe_orchard", "Describes what there is.", "cli_command"),
        ("query_orchard", "Query the database.", "sql"),
        ("read_rows", "Reads a row.", "sql_statement"),
        ("find_roots", "Finds roots.", "cypher"),
        ("orchard_query", "Query PostgreSQL.", "query"),
        ("query_graphql", "Query the GraphQL API, mutations too.", "query"),
    ] {
        let tool = tool(name, description, json!({ argument: text() }));
        let judged = judged(&tool);
        assert!(
            judged.level == Level::Critical && judged.categories.contains(&Execution),
            "{name}: {judged:#?}"
        );
        assert!(!counts_as_a_read(&tool), "{name}");
        let claimed = Claimed { read_only: Some(true), ..Claimed::default() };
        let found = contradiction(&Tool::of(&tool, claimed), &Siblings::default());
        assert!(found.is_some(), "{name}: called read-only, and nothing is said of it");
    }
    let named_otherwise =
        tool("find_leaves", "Executes the given shell command to find leaves.", json!({ "what": text() }));
    assert_eq!(judged(&named_otherwise).level, Level::Critical, "whatever its argument is called");
    let told = json!({ "input": { "type": "string", "description": "The shell command to run" } });
    let judged = judged(&tool("view_leaf", "Views a leaf.", told));
    assert_eq!(judged.level, Level::Critical, "{judged:#?}");
}

#[test]
fn what_looks_at_a_program_itself_runs_none() {
    for (name, description, argument) in [
        ("explain", "Explain what a shell command does.", "command"),
        ("explain_sql", "Explains how a SQL statement is executed.", "sql"),
        ("check_statement", "Checks a SQL statement. It is not executed.", "sql"),
        ("get_query_plan", "Gets the plan of a query without running it.", "sql"),
        ("lint_code", "Lints Python code.", "code"),
        ("review_code", "Reviews code. Nothing is executed.", "code"),
        ("search_code", "Search code of all orchards.", "query"),
        ("get_command_help", "Get help for a command.", "command"),
        ("get_script", "Get the content of a script.", "script"),
        ("list_scripts", "List scripts that can be run.", "folder"),
        ("get_history", "Get executed commands of a session.", "session"),
        ("get_country", "Get a country by its code.", "code"),
        ("find_crate", "Find a crate.", "tracking_code"),
        ("calculate", "Calculate a mathematical expression.", "expression"),
        ("search_pages", "Search pages with CQL.", "cql"),
        ("search_tickets", "Search tickets using JQL.", "jql"),
        ("query_metrics", "Query metrics with PromQL.", "query"),
    ] {
        let tool = tool(name, description, json!({ argument: text() }));
        let judged = judged(&tool);
        assert_eq!(judged.effect, Effect::None, "{name}: {judged:#?}");
        assert!(counts_as_a_read(&tool), "{name}");
    }
}

#[test]
fn a_statement_that_is_said_to_be_held_to_reading_is_believed_with_little_confidence() {
    let held =
        tool("query_orchard", "Query the database. The connection is read-only.", json!({ "sql": text() }));
    let judged = judged(&held);
    assert!(judged.effect == Effect::None && judged.confidence < 0.7, "{judged:#?}");
    assert!(counts_as_a_read(&held));
}

#[test]
fn what_is_given_a_command_and_does_not_say_what_becomes_of_it_is_no_read_of_an_unknown_server() {
    for (name, description, argument) in [
        ("get_trees", "Gets trees.", "command"),
        ("list_trees", "Lists trees.", "script"),
        ("query_graphql", "Query the GraphQL API.", "query"),
    ] {
        let tool = tool(name, description, json!({ argument: text() }));
        assert!(!counts_as_a_read(&tool), "{name}: {:#?}", judged(&tool));
    }
}

#[test]
fn one_object_of_anything_hides_no_statement() {
    let open = json!({ "params": { "type": "object", "additionalProperties": true } });
    let judged = judged(&tool("run_sql", "Execute one statement in the database.", open));
    assert!(judged.effect == Effect::Irreversible && judged.categories.contains(&Execution), "{judged:#?}");
}
