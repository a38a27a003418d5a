//! What tools do that are worded alike.
//!
//! RECORDS are files of labelled tools that were made up: `## server NAME`, and under it of each tool
//! `name<TAB>description<TAB>arguments<TAB>LABEL`. A LABEL is `r`, `s` or `c` (the level), letters of categories (`f` financial,
//! `a` administrative, `d` destructive, `k` credential access, `x` external communication, `e` execution) or `-`, and `?` where
//! people would differ. `--real FOLDER` adds labelled definitions of real tools in `FOLDER/tools.jsonl`, with `server`, `label`
//! and `unsure`. `--out` writes the table; `--check` says what tables find of servers that they were not learnt from.
//!
//! `risk` is about categories and what is critical, `effect` about whether anything is changed: a table each.

use crate::descent::descend;
use crate::{Options, lines, write};
use callgate_catalog::risk::alike::{Features, QUESTIONS, Question, changes_table, table, worded};
use callgate_catalog::risk::{Siblings, Tool};
use callgate_catalog::{Category, Claimed};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Servers that a feature is found on, or nothing is learnt from it.
const SERVERS: usize = 3;
/// How much an error counts beside the size of the weights, by what is asked, and where people would differ.
const COST: f64 = 0.3;
const COST_OF_EFFECT: f64 = 1.0;
const UNSURE: f64 = 0.6;
/// Parts that servers are cut into for `--check`.
const FOLDS: usize = 6;

const LETTERS: [(char, Question); 6] = [
    ('f', Question::Of(Category::Financial)),
    ('a', Question::Of(Category::Administrative)),
    ('d', Question::Of(Category::Destructive)),
    ('k', Question::Of(Category::CredentialAccess)),
    ('x', Question::Of(Category::ExternalCommunication)),
    ('e', Question::Of(Category::Execution)),
];

/// What a table answers.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Risk(Question),
    /// Whether it changes anything.
    Effect,
}

struct Label {
    level: char,
    categories: String,
    unsure: bool,
}

struct Example {
    server: usize,
    label: Label,
    features: Vec<u64>,
}

impl Label {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(' ');
        let level = parts.next().and_then(|level| level.chars().next()).unwrap();
        let categories = parts.next().unwrap().to_owned();
        Self { level, categories, unsure: parts.next().is_some() }
    }

    /// As corpora have it: `{"risk": "read_only"|"side_effect"|"critical", "categories": […]}`.
    fn of(tool: &Value) -> Option<Self> {
        let level = match tool["label"]["risk"].as_str()? {
            "read_only" => 'r',
            "side_effect" => 's',
            _ => 'c',
        };
        let named = |name: &str| match name {
            "credential_access" | "credential-access" => 'k',
            "external_communication" | "external-communication" => 'x',
            "code_execution" | "execution" => 'e',
            other => other.chars().next().unwrap_or('-'),
        };
        let categories = tool["label"]["categories"].as_array()?;
        let categories = categories.iter().filter_map(Value::as_str).map(named).collect();
        Some(Self { level, categories, unsure: tool["unsure"] == true })
    }

    fn says(&self, asked: Asked) -> bool {
        match asked {
            Asked::Effect => self.level != 'r',
            Asked::Risk(Question::Critical) => self.level == 'c',
            Asked::Risk(question @ Question::Of(_)) => {
                LETTERS.iter().any(|(letter, of)| *of == question && self.categories.contains(*letter))
            }
        }
    }
}

/// Labelled definitions by servers.
type Servers = BTreeMap<String, Vec<(Label, Value)>>;

fn made_up(path: &str, servers: &mut Servers) {
    let mut server = String::new();
    for line in lines(path) {
        if let Some(name) = line.strip_prefix("## server ") {
            server = format!("{path} {name}");
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let arguments = fields[2].split(',').map(str::trim).filter(|name| !name.is_empty());
        let properties: serde_json::Map<String, Value> =
            arguments.map(|name| (name.to_owned(), json!({ "type": "string" }))).collect();
        let schema = json!({ "type": "object", "properties": properties });
        let tool = json!({ "name": fields[0], "description": fields[1], "inputSchema": schema });
        servers.entry(server.clone()).or_default().push((Label::parse(fields[3]), tool));
    }
}

fn real(folder: &str, servers: &mut Servers) {
    for line in lines(&format!("{folder}/tools.jsonl")) {
        let tool: Value = serde_json::from_str(&line).unwrap();
        let server = tool["server"].as_str().unwrap().to_owned();
        servers.entry(server).or_default().extend(Label::of(&tool).map(|label| (label, tool)));
    }
}

fn examples(options: &Options) -> Vec<Example> {
    let mut servers = Servers::new();
    options.files.iter().for_each(|path| made_up(path, &mut servers));
    options.folders.iter().for_each(|folder| real(folder, &mut servers));
    let mut examples = Vec::new();
    for (server, tools) in servers.into_values().enumerate() {
        let siblings = Siblings::of(tools.iter().filter_map(|(_, tool)| tool["name"].as_str()));
        for (label, tool) in tools {
            let mut features = Features::default();
            let words = worded(&Tool::of(&tool, Claimed::default()), &siblings);
            words.iter().for_each(|(part, word)| features.add(*part, word));
            examples.push(Example { server, label, features: features.finish() });
        }
    }
    examples
}

/// The features that several servers have, by number.
fn known(examples: &[&Example]) -> BTreeMap<u64, usize> {
    let mut used: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for example in examples {
        example.features.iter().for_each(|feature| {
            used.entry(*feature).or_default().insert(example.server);
        });
    }
    used.retain(|_, servers| servers.len() >= SERVERS);
    used.into_keys().zip(0..).collect()
}

/// Weights of the features, and what a tool of nothing weighs: logistic regression with the squares of the weights held down.
fn learn(examples: &[&Example], known: &BTreeMap<u64, usize>, asked: Asked) -> Vec<f64> {
    let cost = match asked {
        Asked::Effect => COST_OF_EFFECT,
        Asked::Risk(_) => COST,
    };
    let rows: Vec<(Vec<usize>, f64, f64)> = examples
        .iter()
        .map(|one| {
            let row = one.features.iter().filter_map(|feature| known.get(feature).copied()).collect();
            let sign = if one.label.says(asked) { 1.0 } else { -1.0 };
            (row, sign, if one.label.unsure { cost * UNSURE } else { cost })
        })
        .collect();
    let bias = known.len();
    descend(vec![0.0; bias + 1], |x| {
        let mut down = x.to_vec();
        down[bias] = 0.0;
        let mut cost = x[..bias].iter().map(|one| one * one).sum::<f64>() / 2.0;
        for (row, sign, weight) in &rows {
            let margin = sign * (x[bias] + row.iter().map(|at| x[*at]).sum::<f64>());
            cost +=
                weight * if margin > 0.0 { (-margin).exp().ln_1p() } else { margin.exp().ln_1p() - margin };
            let pull = -weight * sign / (1.0 + margin.exp());
            row.iter().for_each(|at| down[*at] += pull);
            down[bias] += pull;
        }
        (cost, down)
    })
}

fn likely(example: &Example, known: &BTreeMap<u64, usize>, weights: &[f64]) -> f64 {
    let own = example.features.iter().filter_map(|feature| known.get(feature));
    let odds = weights[known.len()] + own.map(|at| weights[*at]).sum::<f64>();
    1.0 / (1.0 + (-odds).exp())
}

/// What each example's answers are by a table that was learnt from other servers.
fn unseen(examples: &[Example], questions: &[Asked]) -> Vec<Vec<f64>> {
    let mut answers = vec![vec![0.0; questions.len()]; examples.len()];
    for part in 0..FOLDS {
        let others: Vec<&Example> = examples.iter().filter(|one| one.server % FOLDS != part).collect();
        let known = known(&others);
        for (at, asked) in questions.iter().enumerate() {
            let weights = learn(&others, &known, *asked);
            for (example, answer) in examples.iter().zip(&mut answers) {
                if example.server % FOLDS == part {
                    answer[at] = likely(example, &known, &weights);
                }
            }
        }
    }
    answers
}

fn check(examples: &[Example], questions: &[Asked], lists: bool) {
    let answers = unseen(examples, questions);
    let servers = examples.iter().map(|one| one.server).max().map_or(0, |last| last + 1);
    println!("{} tools of {servers} servers, each by a table learnt from other servers", examples.len());
    for (at, asked) in questions.iter().enumerate() {
        for least in [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] {
            let sure = examples.iter().zip(&answers).filter(|(one, _)| !one.label.unsure);
            let count = |truth: bool, said: bool| {
                let of = |(one, answer): &(&Example, &Vec<f64>)| {
                    one.label.says(*asked) == truth && (answer[at] >= least) == said
                };
                sure.clone().filter(of).count()
            };
            println!(
                "{asked:?} from {least}: hit {} missed {} false {}",
                count(true, true),
                count(true, false),
                count(false, true)
            );
        }
    }
    if lists {
        answers.iter().for_each(|answer| println!("{answer:?}"));
    }
}

/// A table of what is asked, its weights in steps of one byte, by what lays it.
fn laid<const N: usize>(
    examples: &[Example],
    questions: [Asked; N],
    lay: impl Fn([(f32, f32); N], &[(u64, [i8; N])]) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let all: Vec<&Example> = examples.iter().collect();
    let known = known(&all);
    let learnt = questions.map(|asked| learn(&all, &known, asked));
    let step = |weights: &Vec<f64>| {
        weights[..known.len()].iter().fold(0.0, |most: f64, one| most.max(one.abs())) / f64::from(i8::MAX)
    };
    let steps = learnt.each_ref().map(step);
    let mut heads = [(0.0, 0.0); N];
    for ((head, step), weights) in heads.iter_mut().zip(steps).zip(&learnt) {
        *head = (step as f32, weights[known.len()] as f32);
    }
    let mut features: Vec<(u64, [i8; N])> = Vec::new();
    for (feature, at) in &known {
        let mut own = [0; N];
        for ((own, step), weights) in own.iter_mut().zip(steps).zip(&learnt) {
            *own = (weights[*at] / step).round() as i8;
        }
        features.push((*feature, own));
    }
    features.retain(|(_, own)| own.iter().any(|step| *step != 0));
    println!("{} features", features.len());
    lay(heads, &features).unwrap()
}

/// `learn risk|effect RECORDS… [--real FOLDER]… [--out FILE | --check]`
pub(crate) fn main(options: &Options, effect: bool) {
    let examples = examples(options);
    let questions = QUESTIONS.map(Asked::Risk);
    if options.checks {
        check(&examples, if effect { &[Asked::Effect] } else { &questions }, options.lists);
    }
    let Some(out) = &options.out else { return };
    let table = if effect {
        laid(&examples, [Asked::Effect], changes_table)
    } else {
        laid(&examples, questions, table)
    };
    write(out, &table);
}
