//! How texts that steer a model are worded.
//!
//! RECORDS are files of lines `{"kind": "poison"|"honest", "carrier", "text", "spans": [the poisoned sentences]}`;
//! `FOLDER/tools.jsonl` holds definitions of real tools, none of them poisoned, one a line with its `server`. `--out` writes the
//! table; `--check` says what is found of records by a table that was learnt from the other files, and how many real tools of
//! servers that it was not learnt from weigh as much. `docs/detection.md` publishes that.

use crate::descent::descend;
use crate::{Options, lines, write};
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

/// `learn wording RECORDS… [--real FOLDER]… [--out FILE | --check]`
pub(crate) fn main(options: &Options) {
    let records: Vec<Sample> = options
        .files
        .iter()
        .enumerate()
        .flat_map(|(group, path)| lines(path).into_iter().map(move |line| record(&line, group)))
        .collect();
    let tools: Vec<(String, Sample)> = options
        .folders
        .iter()
        .flat_map(|folder| lines(&format!("{folder}/tools.jsonl")).into_iter().map(|line| real(&line)))
        .collect();
    let poisoned = records.iter().flat_map(|one| &one.sentences).filter(|(_, poisoned)| *poisoned).count();
    println!("{} records, {poisoned} poisoned sentences; {} real tools", records.len(), tools.len());
    if options.checks {
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        check(&records, &options.files.iter().map(name).collect::<Vec<_>>(), &tools);
    }
    if let Some(out) = &options.out {
        let table = learn(records.iter().chain(tools.iter().map(|(_, sample)| sample)));
        write(out, &table.bytes());
    }
}
