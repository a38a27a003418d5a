//! Measures the scan of definitions: `scan_eval FOLDER [--slice tuned|held|second] [--misses] [--repeat N]`.
//! `FOLDER/poisoned_metadata.jsonl` and `FOLDER/tools.jsonl` are the reader's own; `docs/detection.md` says what they hold.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measuring program may stop at a broken corpus"
)]

use callgate_catalog::Claimed;
use callgate_catalog::listing::Offer;
use callgate_catalog::risk::{Siblings, Tool};
use callgate_catalog::scan::{Finding, contradiction, scan};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;

struct Options {
    folder: String,
    slice: Option<Slice>,
    misses: bool,
    repeat: u32,
}

/// A part of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slice {
    /// Read from the beginning.
    Tuned,
    /// Held out at first, and read by now.
    Held,
    /// The second cut, across both. Nothing in it was read once it was cut.
    Second,
}

impl Slice {
    fn of(group: &str) -> Self {
        match (hash(&format!("second cut|{group}")).is_multiple_of(5), hash(group).is_multiple_of(3)) {
            (true, _) => Self::Second,
            (false, true) => Self::Held,
            (false, false) => Self::Tuned,
        }
    }
}

fn options() -> Option<Options> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { folder: arguments.next()?, slice: None, misses: false, repeat: 1 };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--slice" => {
                options.slice = match arguments.next()?.as_str() {
                    "tuned" => Some(Slice::Tuned),
                    "held" => Some(Slice::Held),
                    "second" => Some(Slice::Second),
                    _ => return None,
                }
            }
            "--misses" => options.misses = true,
            "--repeat" => options.repeat = arguments.next()?.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

/// Groups are cut by this: whole classes and techniques, whole suites, whole servers; never a text alone.
fn hash(group: &str) -> u8 {
    let digest = decision::Digest::of(group.as_bytes()).to_string();
    let first = digest.rsplit(':').next().and_then(|hex| hex.get(..2)).unwrap();
    u8::from_str_radix(first, 16).unwrap()
}

fn group(record: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let class = text(&record["class"]);
    let repository = text(&record["source"]["repo"]);
    match record["origin"].as_str() {
        Some("constructed") => {
            let how = if record["hiding"].is_string() { &record["hiding"] } else { &record["rug"] };
            format!("{class}|{}", text(how))
        }
        Some("real_versions") => repository,
        _ => format!("{repository}|{class}"),
    }
}

/// A record's servers, in the state that would be served now.
fn offers(record: &Value) -> Vec<Offer> {
    let alone = |definition: &Value| {
        let mut tool = definition.clone();
        let members = tool.as_object_mut().unwrap();
        let instructions =
            members.remove("server_instructions").and_then(|text| text.as_str().map(str::to_owned));
        let tools = if tool["name"].is_string() { vec![tool] } else { vec![] };
        vec![Offer { instructions, tools, ..Offer::default() }]
    };
    match record["shape"].as_str().unwrap() {
        "single" => alone(&record["tool"]),
        "pair" => alone(&record["after"]),
        "sequence" => alone(record["versions"].as_array().unwrap().last().unwrap()),
        _ => {
            let servers = record["servers"].as_array().unwrap();
            let list = |server: &Value, key: &str| server[key].as_array().cloned().unwrap_or_default();
            let one = |server: &Value| Offer {
                server: server["server"].as_str().map(str::to_owned),
                instructions: server["instructions"].as_str().map(str::to_owned),
                tools: list(server, "tools"),
                prompts: list(server, "prompts"),
                resources: list(server, "resources"),
                ..Offer::default()
            };
            servers.iter().map(one).collect()
        }
    }
}

/// Everything that is found, the contradictions of hints too.
fn found(offers: &[Offer]) -> Vec<Finding> {
    let mut found: Vec<Finding> = scan(offers).all().cloned().collect();
    found.extend(offers.iter().flat_map(contradictions).flatten());
    found
}

fn is_flagged(found: &[Finding]) -> bool {
    found.iter().any(|finding| finding.severity.flags())
}

#[derive(Default)]
struct Counts(BTreeMap<String, (u32, u32)>);

impl Counts {
    fn add(&mut self, key: impl Into<String>, hit: bool) {
        let (hits, all) = self.0.entry(key.into()).or_default();
        *hits += u32::from(hit);
        *all += 1;
    }
    fn print(&self, title: &str) {
        println!("{title}");
        for (key, (hits, all)) in &self.0 {
            println!("    {key:52} {hits:4} of {all:4}  {:.3}", f64::from(*hits) / f64::from(*all));
        }
    }
}

fn main() {
    let Some(options) = options() else {
        eprintln!("usage: scan_eval FOLDER [--slice tuned|held|second] [--misses] [--repeat N]");
        std::process::exit(2);
    };
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(format!("{}/{name}", options.folder)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let wanted = |group: &str| options.slice.is_none_or(|slice| slice == Slice::of(group));
    poisoned(&lines("poisoned_metadata.jsonl"), &wanted, options.misses);
    real(&lines("tools.jsonl"), &wanted, &options);
}

fn poisoned(records: &[Value], wanted: &dyn Fn(&str) -> bool, misses: bool) {
    let (mut sums, mut classes, mut hidings) = (Counts::default(), Counts::default(), Counts::default());
    let mut benign = Counts::default();
    for record in records.iter().filter(|record| wanted(&group(record))) {
        let found = found(&offers(record));
        let flagged = is_flagged(&found);
        let class = record["class"].as_str().unwrap();
        let contestable = !record["contestable"].is_null();
        let malicious = record["label"] == "malicious";
        if misses && flagged != malicious {
            println!("{} {class} {} {}: {}", record["id"], record["hiding"], record["rug"], record["note"]);
            for finding in &found {
                println!(
                    "      {:?} {:?} {} {}",
                    finding.severity, finding.detector, finding.place, finding.because
                );
            }
        }
        if !malicious {
            let kind = if record["origin"] == "real_versions" { "real versions" } else { "made to confuse" };
            benign.add(format!("{kind}, flagged"), flagged);
            continue;
        }
        sums.add(if contestable { "contestable" } else { "all but contestable" }, flagged);
        sums.add("all", flagged);
        if record["hard"] == json!(true) {
            sums.add("hard: no trigger words", flagged);
        }
        classes.add(class, flagged);
        if let Some(hiding) = record["hiding"].as_str() {
            hidings.add(hiding, flagged);
            sums.add(
                if hiding.starts_with("field:") {
                    "in fields other than the description"
                } else if hiding == "none" {
                    "hidden by nothing"
                } else {
                    "hidden text"
                },
                flagged,
            );
        }
        if record["rug"].is_string() {
            hidings.add(format!("change: {}", record["rug"].as_str().unwrap()), flagged);
            sums.add("after a change", flagged);
        }
        if record["shape"] == "servers" {
            sums.add("across servers", flagged);
        }
    }
    classes.print("malicious, by class");
    hidings.print("malicious, by hiding or change");
    sums.print("malicious");
    benign.print("benign");
}

/// All of them as one machine has them, and with the contradictions of hints: what `callgate scan` says.
fn side_by_side(servers: &BTreeMap<&str, Vec<Value>>, misses: bool, flagged: &mut Counts) {
    let offer = |(server, tools): (&&str, &Vec<Value>)| Offer {
        server: Some((*server).to_owned()),
        tools: tools.clone(),
        ..Offer::default()
    };
    let offers: Vec<Offer> = servers.iter().map(offer).collect();
    let scanned = scan(&offers);
    for (offer, of_tools) in offers.iter().zip(&scanned.tools) {
        let hints = contradictions(offer);
        for ((tool, findings), hints) in offer.tools.iter().zip(of_tools).zip(hints) {
            let found: Vec<&Finding> =
                findings.iter().chain(&hints).filter(|one| one.severity.flags()).collect();
            flagged.add("real tools, all servers side by side", !found.is_empty());
            if misses && !found.is_empty() {
                println!("{}/{} side by side", offer.server.as_deref().unwrap(), tool["name"]);
            }
            for one in found.iter().filter(|_| misses) {
                println!("      {:?} {:?} {} {}", one.severity, one.detector, one.place, one.because);
            }
        }
    }
}

/// By tool.
fn contradictions(offer: &Offer) -> Vec<Vec<Finding>> {
    let name = |tool: &Value| tool["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = offer.tools.iter().map(name).collect();
    let siblings = Siblings::of(names.iter().map(String::as_str));
    let found = |(tool, name): (&Value, &String)| {
        let claimed = Claimed::deserialize(&tool["annotations"]).unwrap_or_default();
        let (description, input_schema) = (tool["description"].as_str(), tool.get("inputSchema"));
        let tool = Tool { name, description, input_schema, claimed, ..Tool::default() };
        contradiction(&tool, &siblings).into_iter().collect()
    };
    offer.tools.iter().zip(&names).map(found).collect()
}

fn real(records: &[Value], wanted: &dyn Fn(&str) -> bool, options: &Options) {
    let mut servers: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for record in records.iter().filter(|record| wanted(record["server"].as_str().unwrap())) {
        let mut tool = record.clone();
        let members = tool.as_object_mut().unwrap();
        for ours in
            ["server", "source", "label", "label_sample", "annotation_style", "method", "id", "schema_pruned"]
        {
            members.remove(ours);
        }
        let name = record["name"].as_str().unwrap().split('#').next().unwrap();
        members.insert("name".to_owned(), json!(name));
        servers.entry(record["server"].as_str().unwrap()).or_default().push(tool);
    }
    let (mut flagged, mut counts) = (Counts::default(), Counts::default());
    side_by_side(&servers, options.misses, &mut flagged);
    for (server, tools) in servers {
        let offer =
            |tools: Vec<Value>| [Offer { server: Some(server.to_owned()), tools, ..Offer::default() }];
        let together = offer(tools.clone());
        let scanned = scan(&together);
        for _ in 1..options.repeat {
            std::hint::black_box(scan(&together));
        }
        for (tool, findings) in tools.into_iter().zip(&scanned.tools[0]) {
            let name = tool["name"].clone();
            let alone = found(&offer(vec![tool]));
            for (how, found) in [("beside its siblings", findings), ("alone", &alone)] {
                flagged.add(format!("real tools, {how}"), is_flagged(found));
                flagged.add(format!("real tools of {server}, {how}"), is_flagged(found));
                for finding in found.iter() {
                    counts.add(
                        format!("{how} {} {}", finding.detector.as_str(), finding.severity.as_str()),
                        true,
                    );
                }
                if options.misses && is_flagged(found) {
                    println!("{server}/{name} {how}");
                    for finding in found.iter().filter(|finding| finding.severity.flags()) {
                        println!(
                            "      {:?} {:?} {} {}",
                            finding.severity, finding.detector, finding.place, finding.because
                        );
                    }
                }
            }
        }
    }
    flagged.print("flagged wrongly");
    counts.print("findings on real tools (count of count)");
}
