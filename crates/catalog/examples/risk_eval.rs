//! Measures the risk judge on labelled tools: `risk_eval FOLDER [--only PREFIX,…] [--except PREFIX,…] [--misses] [--list] [--repeat N]`.
//! `FOLDER/tools.jsonl` is the reader's own; `docs/detection.md` says what its fields are.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "a measuring program may stop at a broken corpus")]

use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Judgement, Level, Method, Siblings, Tool, judge};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Hits and misses of one yes-or-no question.
#[derive(Debug, Default, Clone, Copy)]
struct Matrix {
    hit: u32,
    false_alarm: u32,
    missed: u32,
    rejected: u32,
}

impl Matrix {
    fn add(&mut self, truth: bool, said: bool) {
        *match (truth, said) {
            (true, true) => &mut self.hit,
            (false, true) => &mut self.false_alarm,
            (true, false) => &mut self.missed,
            (false, false) => &mut self.rejected,
        } += 1;
    }
    fn recall(self) -> f64 {
        ratio(self.hit, self.hit + self.missed)
    }
    fn precision(self) -> f64 {
        ratio(self.hit, self.hit + self.false_alarm)
    }
    fn line(self, what: &str) {
        let Self { hit, false_alarm, missed, rejected } = self;
        let (recall, precision) = (self.recall(), self.precision());
        let f1 = 2.0 * recall * precision / (recall + precision);
        println!(
            "{what:32} hit {hit:4}  missed {missed:4}  false {false_alarm:4}  rejected {rejected:4}  recall {recall:.3}  precision {precision:.3}  F1 {f1:.3}"
        );
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole)
}

struct Options {
    folder: String,
    only: Vec<String>,
    except: Vec<String>,
    misses: bool,
    list: bool,
    /// Judges every tool so often, to measure the processor's time from outside.
    repeat: u32,
}

fn options() -> Option<Options> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options {
        folder: arguments.next()?,
        only: vec![],
        except: vec![],
        misses: false,
        list: false,
        repeat: 1,
    };
    while let Some(argument) = arguments.next() {
        let mut list = || Some(arguments.next()?.split(',').map(str::to_owned).collect());
        match argument.as_str() {
            "--only" => options.only = list()?,
            "--except" => options.except = list()?,
            "--misses" => options.misses = true,
            "--list" => options.list = true,
            "--repeat" => options.repeat = arguments.next()?.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

fn main() {
    let Some(options) = options() else {
        eprintln!(
            "usage: risk_eval FOLDER [--only PREFIX,…] [--except PREFIX,…] [--misses] [--list] [--repeat N]"
        );
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(format!("{}/tools.jsonl", options.folder)).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut servers: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        servers.entry(record["server"].as_str().unwrap()).or_default().push(record);
    }
    servers.retain(|server, _| {
        let starts = |prefixes: &[String]| prefixes.iter().any(|prefix| server.starts_with(prefix.as_str()));
        (options.only.is_empty() || starts(&options.only)) && !starts(&options.except)
    });
    let mut scores = Scores { list: options.list, repeat: options.repeat, ..Scores::default() };
    for (server, tools) in &servers {
        scores.server(server, tools, options.misses);
    }
    scores.print();
}

#[derive(Default)]
struct Scores {
    list: bool,
    repeat: u32,
    write: Matrix,
    by_server: BTreeMap<String, Matrix>,
    destructive: Matrix,
    critical: Matrix,
    level: BTreeMap<(&'static str, &'static str), u32>,
    categories: BTreeMap<&'static str, Matrix>,
    unknown: u32,
    all: u32,
}

impl Scores {
    fn server(&mut self, server: &str, tools: &[&Value], misses: bool) {
        let siblings = Siblings::of(tools.iter().map(|tool| name(tool)));
        for tool in tools {
            let judged = judge(&of(tool), &siblings);
            for _ in 1..self.repeat {
                std::hint::black_box(judge(&of(tool), &siblings));
            }
            self.all += 1;
            self.unknown += u32::from(judged.effect == Effect::Unknown);
            let wrong = self.score(server, tool, &judged);
            if self.list {
                println!(
                    "{server} {} {:?} {:?} {:?} {:?} {} {}",
                    name(tool),
                    judged.effect,
                    judged.level,
                    judged.categories,
                    judged.reach,
                    judged.over_broad,
                    judged.confidence
                );
            }
            if misses && !wrong.is_empty() {
                println!("{server}/{} {wrong:?}\n    {judged:?}", tool["name"].as_str().unwrap());
            }
        }
    }

    fn score(&mut self, server: &str, tool: &Value, judged: &Judgement) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut ask = |matrix: &mut Matrix, what: &str, truth: bool, said: bool| {
            matrix.add(truth, said);
            if truth != said {
                wrong.push(format!("{what} {said}, is {truth}"));
            }
        };
        let hints = &tool["annotations"];
        let by_hand = tool["annotation_style"] == "per_tool";
        if let Some(read_only) = hints["readOnlyHint"].as_bool().filter(|_| by_hand) {
            let said = judged.effect != Effect::None;
            ask(&mut self.write, "writes", !read_only, said);
            self.by_server.entry(server.to_owned()).or_default().add(!read_only, said);
            if let Some(destructive) = hints["destructiveHint"].as_bool().filter(|_| !read_only) {
                ask(&mut self.destructive, "destructive", destructive, judged.effect == Effect::Irreversible);
            }
        }
        let label = &tool["label"];
        if let Some(risk) = label["risk"].as_str() {
            ask(&mut self.critical, "critical", risk == "critical", judged.level == Level::Critical);
            let truth =
                ["read_only", "side_effect", "critical"].into_iter().find(|level| *level == risk).unwrap();
            *self.level.entry((truth, as_str(judged.level))).or_default() += 1;
            let labelled: BTreeSet<&str> =
                label["categories"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for (ours, theirs) in CATEGORIES {
                let said = judged.categories.iter().any(|category| category.as_str() == ours);
                ask(self.categories.entry(ours).or_default(), ours, labelled.contains(theirs), said);
            }
        }
        wrong
    }

    fn print(&self) {
        self.write.line("writes (authors' hints)");
        let Matrix { hit, false_alarm, missed, rejected } = self.write;
        let accuracy = |m: &Matrix| ratio(m.hit + m.rejected, m.hit + m.rejected + m.missed + m.false_alarm);
        let mean = self.by_server.values().map(accuracy).sum::<f64>() / self.by_server.len() as f64;
        println!(
            "accuracy {:.4}  mean over {} servers {mean:.4}  writes found {:.4}  reads called writes {:.4}",
            ratio(hit + rejected, hit + rejected + missed + false_alarm),
            self.by_server.len(),
            self.write.recall(),
            ratio(false_alarm, false_alarm + rejected),
        );
        for (server, matrix) in &self.by_server {
            println!("    {server:24} {:.3}", accuracy(matrix));
        }
        self.destructive.line("destructive among writes");
        self.critical.line("critical (labels)");
        for (category, matrix) in &self.categories {
            matrix.line(category);
        }
        for ((truth, said), count) in &self.level {
            println!("    labelled {truth:12} judged {said:12} {count}");
        }
        println!("unknown {} of {} = {:.4}", self.unknown, self.all, ratio(self.unknown, self.all));
    }
}

const CATEGORIES: [(&str, &str); 6] = [
    ("financial", "financial"),
    ("administrative", "administrative"),
    ("destructive", "destructive"),
    ("credential-access", "credential_access"),
    ("external-communication", "external_communication"),
    ("execution", "code_execution"),
];

fn as_str(level: Level) -> &'static str {
    match level {
        Level::ReadOnly => "read_only",
        Level::SideEffect => "side_effect",
        Level::Critical => "critical",
    }
}

/// A name that occurs twice has a mark, which is no part of it.
fn name(record: &Value) -> &str {
    record["name"].as_str().unwrap().split('#').next().unwrap()
}

/// The tool without its author's hints.
fn of(record: &Value) -> Tool<'_> {
    let method = record["method"].as_str().and_then(Method::parse);
    Tool { name: name(record), method, ..Tool::of(record, Claimed::default()) }
}
