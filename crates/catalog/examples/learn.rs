//! Learns how texts that steer a model are worded: `learn RECORDS… [--real FOLDER]… [--out FILE | --check]`.
//!
//! RECORDS are files of lines `{"kind": "poison"|"honest", "carrier", "text", "spans": [the poisoned sentences]}`;
//! `FOLDER/tools.jsonl` holds definitions of real tools, none of them poisoned, one a line with its `server`. `--out` writes the
//! table; `--check` says what is found of records by a table that was learnt from the other files, and how many real tools of
//! servers that it was not learnt from weigh as much. `docs/detection.md` publishes that.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program may stop at a broken file"
)]

use callgate_catalog::scan::wordings;
use inspect::Seat;
use inspect::text::{self, About, BUCKETS, STEERS, Worded};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Parts that real servers are cut into for `--check`.
const FOLDS: usize = 3;
/// How much a poisoned sentence counts, beside an honest one.
const POISON: f64 = 3.0;
/// How much an error counts beside the size of the weights.
const COST: f64 = 10.0;

#[derive(Deserialize)]
struct Line {
    kind: String,
    carrier: String,
    text: String,
    #[serde(default)]
    spans: Vec<String>,
}

/// What belongs together: a text, or a tool.
struct Sample {
    group: usize,
    poison: bool,
    /// Of each sentence, with whether it is poisoned.
    sentences: Vec<(Row, bool)>,
}

/// Numbers of features, and how much of each.
type Row = Vec<(u32, f64)>;

fn row(worded: &Worded) -> Row {
    let each = 1.0 / (worded.features.len() as f64).sqrt();
    let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
    for feature in &worded.features {
        *counts.entry(*feature).or_default() += each;
    }
    counts.into_iter().collect()
}

fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

fn record(line: &str, group: usize) -> Sample {
    let line: Line = serde_json::from_str(line).unwrap();
    let (seat, asks, value) = match line.carrier.as_str() {
        "title" => (Seat::Title, false, false),
        "param" => (Seat::Prose, true, false),
        "enum" | "default" => (Seat::Value, false, true),
        "instructions" => (Seat::Value, false, false),
        _ => (Seat::Prose, false, false),
    };
    let about = About { asks, value, ..About::default() };
    let spans: Vec<String> = line.spans.iter().map(|span| plain(span)).collect();
    let is_poisoned = |sentence: &str| {
        let sentence = plain(sentence);
        let shared = |span: &String| span.bytes().zip(sentence.bytes()).take_while(|(a, b)| a == b).count();
        !sentence.is_empty()
            && spans.iter().any(|span| {
                span.contains(&sentence)
                    || !span.is_empty() && sentence.contains(span.as_str())
                    || sentence.len() > 20 && shared(span) * 10 > sentence.len() * 6
            })
    };
    let sentences = text::wordings(&line.text, seat, &about);
    let sentences = sentences.iter().filter(|one| !one.features.is_empty());
    let sentences = sentences.map(|one| (row(one), is_poisoned(&one.text))).collect();
    Sample { group, poison: line.kind == "poison", sentences }
}

fn real(line: &str) -> (String, Sample) {
    let mut tool: Value = serde_json::from_str(line).unwrap();
    let server = tool["server"].as_str().unwrap_or_default().to_owned();
    let members = tool.as_object_mut().unwrap();
    members.retain(|key, _| {
        matches!(key.as_str(), "name" | "title" | "description" | "inputSchema" | "outputSchema")
    });
    let worded = wordings(&tool);
    let sentences =
        worded.iter().filter(|one| !one.features.is_empty()).map(|one| (row(one), false)).collect();
    (server, Sample { group: 0, poison: false, sentences })
}

/// A table of weights, and what a sentence of nothing weighs.
struct Table {
    weights: Vec<f64>,
    bias: f64,
}

impl Table {
    fn sentence(&self, row: &Row) -> f64 {
        self.bias + row.iter().map(|(feature, much)| self.weights[*feature as usize] * much).sum::<f64>()
    }
    fn sample(&self, sample: &Sample) -> f64 {
        sample.sentences.iter().map(|(row, _)| self.sentence(row)).fold(f64::NEG_INFINITY, f64::max)
    }
    /// Weights in steps of one byte.
    fn bytes(&self) -> Vec<u8> {
        let largest = self.weights.iter().fold(0.0, |most: f64, one| most.max(one.abs()));
        let step = largest / f64::from(i8::MAX);
        let head = [(step as f32).to_le_bytes(), (self.bias as f32).to_le_bytes()].concat();
        let steps = self.weights.iter().map(|one| ((one / step).round() as i8).cast_unsigned());
        head.into_iter().chain(steps).collect()
    }
}

/// Logistic regression with the squares of the weights held down, by L-BFGS (Nocedal, 1980).
fn learn<'a>(samples: impl Iterator<Item = &'a Sample>) -> Table {
    let rows: Vec<(&Row, bool)> =
        samples.flat_map(|one| one.sentences.iter().map(|(row, poisoned)| (row, *poisoned))).collect();
    let slope = |x: &[f64]| -> (f64, Vec<f64>) {
        let mut down: Vec<f64> = x.to_vec();
        let mut cost = x.iter().map(|one| one * one).sum::<f64>() / 2.0;
        for (row, poisoned) in &rows {
            let z = x[BUCKETS] + row.iter().map(|(feature, much)| x[*feature as usize] * much).sum::<f64>();
            let (sign, weight): (f64, f64) = if *poisoned { (1.0, POISON) } else { (-1.0, 1.0) };
            let margin: f64 = sign * z;
            cost += COST
                * weight
                * if margin > 0.0 { (-margin).exp().ln_1p() } else { margin.exp().ln_1p() - margin };
            let pull = -COST * weight * sign / (1.0 + margin.exp());
            row.iter().for_each(|(feature, much)| down[*feature as usize] += pull * much);
            down[BUCKETS] += pull;
        }
        (cost, down)
    };
    let mut x = descend(vec![0.0; BUCKETS + 1], slope);
    let bias = x.pop().unwrap_or_default();
    Table { weights: x, bias }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn descend(mut x: Vec<f64>, slope: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    const MEMORY: usize = 8;
    const ROUNDS: usize = 150;
    let (mut cost, mut down) = slope(&x);
    let mut past: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        let mut way = down.clone();
        let mut shares = Vec::new();
        for (s, y, inner) in past.iter().rev() {
            let share = dot(s, &way) / inner;
            way.iter_mut().zip(y).for_each(|(one, y)| *one -= share * y);
            shares.push(share);
        }
        if let Some((_, y, inner)) = past.last() {
            let scale = inner / dot(y, y);
            way.iter_mut().for_each(|one| *one *= scale);
        }
        for ((s, y, inner), share) in past.iter().zip(shares.iter().rev()) {
            let back = share - dot(y, &way) / inner;
            way.iter_mut().zip(s).for_each(|(one, s)| *one += back * s);
        }
        let steep = dot(&way, &down);
        let mut length = if past.is_empty() { 1.0 / dot(&down, &down).sqrt() } else { 1.0 };
        let (next, there) = loop {
            let next: Vec<f64> = x.iter().zip(&way).map(|(x, way)| x - length * way).collect();
            let there = slope(&next);
            if there.0 <= cost - 1e-4 * length * steep || length < 1e-12 {
                break (next, there);
            }
            length /= 2.0;
        };
        let s: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = there.1.iter().zip(&down).map(|(a, b)| a - b).collect();
        let inner = dot(&s, &y);
        let gained = cost - there.0;
        (x, cost, down) = (next, there.0, there.1);
        if inner > 0.0 {
            past.push((s, y, inner));
            past.drain(..past.len().saturating_sub(MEMORY));
        }
        if gained < cost * 1e-6 {
            break;
        }
    }
    x
}

/// Shares of real tools at which a threshold is set.
const SHARES: [f64; 5] = [0.001, 0.0025, 0.005, 0.01, 0.02];

fn check(records: &[Sample], names: &[String], tools: &[(String, Sample)]) {
    let servers: BTreeMap<&str, usize> = tools
        .iter()
        .map(|(server, _)| server.as_str())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .zip(0..)
        .collect();
    let fold = |server: &str| servers[server] % FOLDS;
    let mut unseen = Vec::new();
    for part in 0..FOLDS {
        let others = tools.iter().filter(|(server, _)| fold(server) != part).map(|(_, sample)| sample);
        let table = learn(records.iter().chain(others));
        unseen.extend(
            tools.iter().filter(|(server, _)| fold(server) == part).map(|(_, sample)| table.sample(sample)),
        );
    }
    unseen.sort_by(f64::total_cmp);
    let bounds =
        SHARES.map(|share| unseen[((unseen.len() as f64 * (1.0 - share)) as usize).min(unseen.len() - 1)]);
    println!("{} real tools of {} servers, each weighed by what others taught", tools.len(), servers.len());
    println!(
        "share of real tools above   {}",
        SHARES.map(|share| format!("{:5.2} %", share * 100.0)).join("  ")
    );
    println!("weight                      {}", bounds.map(|bound| format!("{bound:7.2}")).join("  "));
    let withheld = unseen.iter().filter(|weight| **weight >= f64::from(STEERS)).count();
    println!("above {STEERS}, where a text is withheld: {withheld} of {}", unseen.len());
    for (group, name) in names.iter().enumerate() {
        let others = records.iter().filter(|one| one.group != group);
        let table = learn(others.chain(tools.iter().map(|(_, sample)| sample)));
        for (kind, poison) in [("poison", true), ("honest", false)] {
            let weights: Vec<f64> = records
                .iter()
                .filter(|one| one.group == group && one.poison == poison)
                .map(|one| table.sample(one))
                .collect();
            let above = bounds.map(|bound| {
                let many = weights.iter().filter(|weight| **weight > bound).count();
                format!("{:7.3}", many as f64 / weights.len().max(1) as f64)
            });
            println!("{name:20} {kind} {:4}   {}", weights.len(), above.join("  "));
        }
    }
}

fn fail(path: &str, error: &std::io::Error) -> ! {
    eprintln!("{path}: {error}");
    std::process::exit(2)
}

fn main() {
    let (mut files, mut folders, mut out, mut checks) = (Vec::new(), Vec::new(), None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--real" => folders.extend(arguments.next()),
            "--out" => out = arguments.next(),
            "--check" => checks = true,
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        eprintln!("usage: learn RECORDS… [--real FOLDER]… [--out FILE | --check]");
        std::process::exit(2);
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| fail(path, &error));
    let lines = |text: &str| {
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let records: Vec<Sample> = files
        .iter()
        .enumerate()
        .flat_map(|(group, path)| lines(&read(path)).into_iter().map(move |line| record(&line, group)))
        .collect();
    let tools: Vec<(String, Sample)> = folders
        .iter()
        .flat_map(|folder| lines(&read(&format!("{folder}/tools.jsonl"))).into_iter().map(|line| real(&line)))
        .collect();
    let poisoned = records.iter().flat_map(|one| &one.sentences).filter(|(_, poisoned)| *poisoned).count();
    println!("{} records, {poisoned} poisoned sentences; {} real tools", records.len(), tools.len());
    if checks {
        let names: Vec<String> =
            files.iter().map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect();
        check(&records, &names, &tools);
    }
    if let Some(out) = out {
        let table = learn(records.iter().chain(tools.iter().map(|(_, sample)| sample)));
        std::fs::write(&out, table.bytes()).unwrap_or_else(|error| fail(&out, &error));
        println!("wrote {out}");
    }
}
