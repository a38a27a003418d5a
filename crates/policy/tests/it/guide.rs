//! `docs/policy.md` is true: its installation is built from its table, its rules are loaded, its questions asked.

use crate::world::{Ask, agent, entry, on_behalf, principal, tool, user};
use catalog::{Catalogue, Declarations, Declared};
use decision::{Actor, AgentName, ItemKind, Principal};
use policy::{Answer, Policies, Problem, Reason, Source};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

const GUIDE: &str = include_str!("../../../../docs/policy.md");

/// The texts between back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn rows(section: &str) -> impl Iterator<Item = Vec<&str>> {
    section
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| who |") && !line.starts_with("| tool |")
        })
        .map(|line| line.trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim).collect())
}

fn catalogue() -> Arc<Catalogue> {
    let section = GUIDE.split("## The installation").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut servers: BTreeMap<String, (Declarations, Vec<(ItemKind, Value)>)> = BTreeMap::new();
    for row in rows(section) {
        let [name, arguments, effect, tier, categories] = row.try_into().unwrap();
        let (server, name) = name.trim_matches('`').split_once("__").unwrap();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for argument in arguments.split(", ") {
            let (name, of) = argument.trim_start_matches('`').split_once("` ").unwrap();
            let schema = match of.trim_end_matches('?') {
                "string" => json!({"type": "string"}),
                "number" => json!({"type": "number"}),
                "list of strings" => json!({"type": "array", "items": {"type": "string"}}),
                other => panic!("{other}"),
            };
            properties.insert(name.to_owned(), schema);
            if !of.ends_with('?') {
                required.push(name);
            }
        }
        let list =
            |text: &str| -> Value { text.split(", ").filter(|t| !t.is_empty()).collect::<Vec<_>>().into() };
        let declared = json!({"effect": effect, "tier": tier, "categories": list(categories)});
        let (declarations, tools) = servers.entry(server.to_owned()).or_default();
        declarations.tools.push((name.to_owned(), serde_json::from_value::<Declared>(declared).unwrap()));
        tools.push(tool(name, Value::Object(properties), &required));
    }
    let docs = servers.entry("docs".to_owned()).or_default();
    docs.1.push((ItemKind::Prompt, json!({"name": "summarise"})));
    docs.1.push((ItemKind::Resource, json!({"uri": "file:///docs/a.md"})));
    assert_eq!(servers.len(), 4, "the table was read");
    Arc::new(Catalogue::new(servers.into_iter().map(|(name, (d, tools))| entry(&name, d, tools)).collect()))
}

/// Each piece of the page from one block of rules to the next: the rules, and what follows.
fn examples() -> Vec<(&'static str, &'static str)> {
    let pieces = GUIDE.split("```cedar\n").skip(1);
    pieces.map(|piece| piece.split_once("```").unwrap()).collect()
}

fn load(rules: &str) -> Result<Policies, Vec<Problem>> {
    Policies::load(vec![Source { path: "docs/policy.md".into(), text: rules.into() }], catalogue())
}

/// `agent `bot` in `a`, `b` for user `alice` in `c``.
fn who(text: &str) -> Principal {
    let (actor, behind) = text.split_once(" for ").map_or((text, None), |(actor, user)| (actor, Some(user)));
    let part = |text: &str| {
        let (name, groups) = text.split_once(" in ").unwrap_or((text, ""));
        (quoted(name).concat(), quoted(groups).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let (name, groups) = part(actor);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let actor = match actor.split(' ').next().unwrap() {
        "agent" => agent(&name, &groups),
        "user" => user(&name, &groups),
        "workload" => principal(Actor::Workload(AgentName::new(name).unwrap()), &groups),
        other => panic!("{other}"),
    };
    match behind.map(part) {
        None => actor,
        Some((name, groups)) => {
            on_behalf(actor, &name, &groups.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}

fn names<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.to_string())).collect::<Vec<_>>().join(", ")
}

fn told(answer: Answer) -> String {
    match answer {
        Answer::Allowed { basis } => format!("allowed by {}", names(basis)),
        Answer::Held(held) => format!("held for {}", names(held.cure.needs)),
        Answer::Refused { reason: Reason::Forbidden, rules, because, .. } => {
            format!("refused by {}: {}", names(rules), because.join("; "))
        }
        Answer::Refused { detail, .. } => format!("refused: {detail}"),
    }
}

fn asked(policies: &Policies, principal: Principal, asks: &str) -> String {
    let ask = Ask::new(policies, principal);
    let words = quoted(asks);
    if asks.starts_with("reads ") {
        return told(ask.call("resources/read", ItemKind::Resource, words[0], words[1], "{}"));
    }
    if asks.starts_with("answers ") {
        let answer = ask.answer(words[0], words[1], words[2]);
        return if answer.is_allowed() { "may be said".to_owned() } else { told(answer) };
    }
    let (server, name) = words[0].split_once("__").unwrap();
    if asks.starts_with("sees ") {
        let seen = ask.see(ItemKind::Tool, server, name).is_allowed();
        return if seen { "yes" } else { "no" }.to_owned();
    }
    told(ask.tool(server, name, words[1]))
}

#[test]
fn every_example_of_the_guide_is_true() {
    let (mut loaded, mut refused, mut questions) = (0, 0, 0);
    for (rules, after) in examples() {
        if let Some((_, expected)) = after.split_once("```refused\n") {
            let expected = expected.split("\n```").next().unwrap();
            let problems = load(rules).expect_err(rules);
            let said = |p: &Problem| match &p.help {
                Some(help) => format!("{p} — {help}"),
                None => p.to_string(),
            };
            assert!(problems.iter().any(|p| said(p).contains(expected)), "{rules}\n{problems:#?}");
            refused += 1;
            continue;
        }
        let policies = load(rules).unwrap_or_else(|problems| panic!("{rules}\n{problems:#?}"));
        loaded += 1;
        let example = after.split("\n## ").next().unwrap();
        for row in rows(example).filter(|row| row.len() == 3 && row[0].contains('`')) {
            assert_eq!(asked(&policies, who(row[0]), row[1]), row[2], "{rules}\n{row:?}");
            questions += 1;
        }
    }
    assert!(loaded >= 7 && refused >= 6 && questions >= 30, "{loaded} {refused} {questions}");
}

#[test]
fn the_rules_of_other_pages_are_of_servers_that_they_set_up() {
    for (path, page) in [
        ("README.md", include_str!("../../../../README.md")),
        ("docs/sign-in.md", include_str!("../../../../docs/sign-in.md")),
    ] {
        let set_up = page.lines().filter_map(|line| line.strip_prefix("[servers.")?.strip_suffix(']'));
        let amount = json!({"amount": {"type": "number"}});
        let server =
            |name: &str| entry(name, Declarations::default(), [tool("refund", amount.clone(), &["amount"])]);
        let catalogue = Arc::new(Catalogue::new(set_up.map(server).collect()));
        let blocks = page.split("```cedar\n").skip(1).filter_map(|piece| Some(piece.split_once("```")?.0));
        let rules: String = blocks.collect();
        assert!(rules.contains("permit"), "{path} has no rules any more");
        let source = Source { path: path.into(), text: rules.as_str().into() };
        if let Err(wrong) = Policies::load(vec![source], catalogue) {
            panic!("{path}: {wrong:#?}");
        }
    }
}
