//! Measures how changes of definitions are ranked: `drift_eval FOLDER [--slice tuned|held] [--list]`.
//! `FOLDER/poisoned_metadata.jsonl` is the reader's own; `docs/detection.md` says what its fields are.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "a measuring program may stop at a broken corpus")]

use callgate_catalog::drift::{Drift, Item, Server, compare};
use decision::{Digest, ItemKind};
use serde_json::Value;
use std::collections::BTreeMap;

/// The share of harmless changes that a person reviews.
const REVIEWED: f64 = 0.05;

struct Scored {
    id: String,
    hostile: bool,
    /// What it was made from: all of one group are in one slice.
    group: String,
    held: bool,
    drift: Drift,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let slice =
        arguments.iter().position(|argument| argument == "--slice").and_then(|at| arguments.get(at + 1));
    let Some(folder) = arguments.first().filter(|first| !first.starts_with('-')) else {
        eprintln!("usage: drift_eval FOLDER [--slice tuned|held] [--list]");
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(format!("{folder}/poisoned_metadata.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let scored: Vec<Scored> =
        records.filter(|record| record["expect_drift"].is_boolean()).map(|r| score(&r)).collect();
    for (name, held) in [("tuned", false), ("held out", true)] {
        if slice.is_some_and(|slice| (slice == "held") != held) {
            continue;
        }
        let part: Vec<&Scored> = scored.iter().filter(|one| one.held == held).collect();
        report(name, &part);
        if has("--list") {
            list(&part);
        }
    }
    if slice.is_none() {
        report("together", &scored.iter().collect::<Vec<_>>());
    }
}

fn score(record: &Value) -> Scored {
    let versions: Vec<&Value> = match record["versions"].as_array() {
        Some(versions) => versions.iter().collect(),
        None => vec![&record["before"], &record["after"]],
    };
    // what was approved is the first version; each later one is compared with it
    let drift = versions
        .iter()
        .skip(1)
        .map(|version| compare(&[server(versions.first().unwrap())], &[server(version)]))
        .max_by(|a, b| a.rank.total_cmp(&b.rank))
        .unwrap();
    let group = group(record);
    // a third of the groups, by their names alone
    let digest = Digest::of(group.as_bytes()).to_string();
    let first = digest.strip_prefix("sha256:").and_then(|hex| hex.get(..2)).unwrap();
    let held = u8::from_str_radix(first, 16).unwrap().is_multiple_of(3);
    let id = record["id"].as_str().unwrap().to_owned();
    Scored { id, hostile: record["label"] == "malicious", group, held, drift }
}

/// Real updates by their project, made-up ones by their trick: neither's texts are in both slices.
fn group(record: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let from = record.pointer("/source/repo").map(text).unwrap_or_default();
    let trick = match text(&record["hiding"]) {
        hiding if hiding.is_empty() => text(&record["rug"]),
        hiding => hiding,
    };
    match record["origin"].as_str().unwrap() {
        "constructed" => format!("{}|{trick}", text(&record["class"])),
        "real_versions" => from,
        _ => format!("{from}|{}", text(&record["class"])),
    }
}

/// One tool, with the server's instructions where the record has them.
fn server(version: &Value) -> Server {
    let mut tool = version.clone();
    let instructions = tool.as_object_mut().and_then(|members| members.shift_remove("server_instructions"));
    Server {
        name: None,
        identity: None,
        instructions: instructions.and_then(|text| text.as_str().map(str::to_owned)),
        items: vec![Item::of(ItemKind::Tool, tool)],
    }
}

fn report(name: &str, part: &[&Scored]) {
    let (hostile, harmless): (Vec<&Scored>, Vec<&Scored>) = part.iter().copied().partition(|one| one.hostile);
    let seen = part.iter().filter(|one| !one.drift.changes.is_empty()).count();
    let mut ranks: Vec<f64> = harmless.iter().map(|one| one.drift.rank).collect();
    ranks.sort_by(|a, b| b.total_cmp(a));
    // as many harmless ones as may be reviewed lie at or above the line
    let reviewed = (ranks.len() as f64 * REVIEWED).floor();
    let line =
        ranks.iter().copied().enumerate().find(|(i, _)| *i as f64 >= reviewed).map_or(0.0, |(_, rank)| rank);
    let caught = hostile.iter().filter(|one| one.drift.rank > line).count();
    println!(
        "{name}: {seen} of {} changes seen; {reviewed} of {} harmless reviewed (above {line:.3}): {caught} of {} hostile caught = {:.3}",
        part.len(),
        harmless.len(),
        hostile.len(),
        caught as f64 / hostile.len() as f64
    );
    let above = |one: &Scored| {
        ranks.iter().filter(|rank| **rank >= one.drift.rank).count() as f64 / ranks.len() as f64
    };
    let mean = hostile.iter().map(|one| 1.0 - above(one)).sum::<f64>() / hostile.len() as f64;
    let fits = harmless.iter().filter(|one| one.drift.compatible()).count();
    println!(
        "    a hostile change ranks above {mean:.3} of harmless ones; {fits} harmless ones are compatible"
    );
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for one in &hostile {
        let group = groups.entry(&one.group).or_default();
        group.0 += usize::from(one.drift.rank > line);
        group.1 += 1;
    }
    for (group, (caught, of)) in groups {
        println!("    {caught:3} of {of:3}  {group}");
    }
}

fn list(part: &[&Scored]) {
    let mut part = part.to_vec();
    part.sort_by(|a, b| b.drift.rank.total_cmp(&a.drift.rank));
    for one in part {
        println!(
            "{:.3} {} {} {}",
            one.drift.rank,
            if one.hostile { "HOSTILE" } else { "harmless" },
            one.id,
            one.group
        );
        for change in one.drift.changes.iter().take(4) {
            println!(
                "      {:?} {} {} {}",
                change.severity,
                change.kind.as_str(),
                change.place,
                change.because
            );
        }
    }
}
