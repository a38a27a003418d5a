//! The risk judge on tools of fields that its rules were not written for, `data/fields.txt`, and on tools as well-known
//! products name them, `data/products.txt`. Servers marked `blind` were scored and not looked at while rules were tuned. The bounds are a little below what `docs/detection.md` publishes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test says no")]

use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Level, Siblings, Tool, judge};
use serde_json::{Map, Value, json};

struct Case {
    server: &'static str,
    blind: bool,
    definition: Value,
    effect: &'static str,
    level: &'static str,
    categories: Vec<&'static str>,
}

const FIELDS: &str = include_str!("data/fields.txt");
const PRODUCTS: &str = include_str!("data/products.txt");

fn cases(text: &'static str) -> Vec<Case> {
    let (mut server, mut blind, mut cases) = ("", false, Vec::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("## ") {
            (server, blind) = head.strip_suffix(" blind").map_or((head, false), |name| (name, true));
        } else if !line.starts_with('#') {
            let mut fields = line.split('|').map(str::trim);
            let mut next = || fields.next().unwrap();
            let (name, description, arguments) = (next(), next(), next());
            let definition = definition(name, description, arguments);
            let (effect, level) = (next(), next());
            let categories = next().split(',').filter(|category| !category.is_empty()).collect();
            cases.push(Case { server, blind, definition, effect, level, categories });
        }
    }
    cases
}

/// A definition whose arguments are `name`, or `name:one,other` for a choice; `-` for arguments that nobody knows.
fn definition(name: &str, description: &str, arguments: &str) -> Value {
    let description = description.replace("\\n", "\n");
    if arguments == "-" {
        return json!({ "name": name, "description": description });
    }
    let property = |argument: &str| match argument.split_once(':') {
        Some((name, choices)) => (name.to_owned(), json!({ "enum": choices.split(',').collect::<Vec<_>>() })),
        None => (argument.to_owned(), json!({})),
    };
    let properties: Map<String, Value> = arguments.split_whitespace().map(property).collect();
    json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": properties } })
}

/// How often a yes was right, wrong, or missing.
#[derive(Default)]
struct Score {
    hit: f64,
    wrong: f64,
    missed: f64,
}

impl Score {
    fn add(&mut self, is: bool, said: bool) {
        match (is, said) {
            (true, true) => self.hit += 1.0,
            (false, true) => self.wrong += 1.0,
            (true, false) => self.missed += 1.0,
            (false, false) => {}
        }
    }
    #[track_caller]
    fn holds(&self, what: &str, recall: f64, precision: f64) {
        let got = (self.hit / (self.hit + self.missed), self.hit / (self.hit + self.wrong));
        assert!(got.0 >= recall && got.1 >= precision, "{what}: recall and precision are {got:?}");
    }
}

fn score(text: &'static str, blind: bool) -> [Score; 5] {
    let cases = cases(text);
    let mut scores: [Score; 5] = Default::default();
    for case in cases.iter().filter(|case| case.blind == blind) {
        let beside = cases.iter().filter(|other| other.server == case.server);
        let siblings = Siblings::of(beside.filter_map(|other| other.definition["name"].as_str()));
        let judged = judge(&Tool::of(&case.definition, Claimed::default()), &siblings);
        let [writes, reads, destroys, critical, categories] = &mut scores;
        writes.add(case.effect != "none", judged.effect != Effect::None);
        reads.add(case.effect == "none", judged.effect == Effect::None);
        if case.effect != "none" {
            destroys.add(case.effect == "irreversible", judged.effect == Effect::Irreversible);
        }
        critical.add(case.level == "critical", judged.level == Level::Critical);
        for category in judged.categories.iter().map(|category| category.as_str()) {
            categories.add(case.categories.contains(&category), true);
        }
        let said = |name: &&&str| judged.categories.iter().any(|category| category.as_str() == **name);
        categories.missed += case.categories.iter().filter(|name| !said(name)).count() as f64;
    }
    scores
}

#[test]
fn tools_of_fields_that_rules_were_read_against_are_judged_alike() {
    let [writes, reads, destroys, critical, categories] = score(FIELDS, false);
    writes.holds("writes", 0.98, 0.95);
    reads.holds("reads", 0.95, 0.95);
    destroys.holds("destructive among writes", 0.85, 0.85);
    critical.holds("critical", 0.95, 0.95);
    categories.holds("categories", 0.91, 0.91);
}

#[test]
fn tools_of_fields_that_nobody_looked_at_are_judged_nearly_as_well() {
    let [writes, reads, destroys, critical, categories] = score(FIELDS, true);
    writes.holds("writes", 0.98, 0.95);
    reads.holds("reads", 0.85, 0.94);
    destroys.holds("destructive among writes", 0.88, 0.82);
    critical.holds("critical", 0.9, 0.9);
    categories.holds("categories", 0.88, 0.88);
}

#[test]
fn tools_of_products_that_rules_were_read_against_are_judged_alike() {
    let [writes, reads, destroys, critical, categories] = score(PRODUCTS, false);
    writes.holds("writes", 0.98, 0.98);
    reads.holds("reads", 0.98, 0.97);
    destroys.holds("destructive among writes", 0.9, 0.82);
    critical.holds("critical", 0.92, 0.94);
    categories.holds("categories", 0.94, 0.92);
}

#[test]
fn tools_of_products_that_nobody_looked_at_are_judged_nearly_as_well() {
    let [writes, reads, destroys, critical, categories] = score(PRODUCTS, true);
    writes.holds("writes", 0.985, 0.97);
    reads.holds("reads", 0.95, 0.98);
    destroys.holds("destructive among writes", 0.9, 0.77);
    critical.holds("critical", 0.83, 0.83);
    categories.holds("categories", 0.8, 0.75);
}
