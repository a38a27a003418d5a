//! `callgate scan`: what is in definitions, read from files, and what clients on this machine are told to start. Nothing is
//! started, and nothing leaves the machine.

mod clients;
mod entry;
mod machine;

use crate::{
    cli::Given,
    command::listed,
    failure::{Failure, Outcome, Verdict},
    say::{Say, printable},
};
use catalog::{
    Claimed,
    listing::Offer,
    risk::{self, Judgement, Siblings},
    scan::{self, Finding},
};
use clap::Args as ClapArgs;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What the help ends with.
const FORMAT: &str = "\
Without a file, it reads the configurations of Claude Desktop, Claude Code, Cursor, VS Code, Windsurf, Codex, Gemini CLI and Zed, below \
the home folder and here, and says of each server that they name how it is started or reached and what is wrong with that.

FILE holds a `tools/list` result, an array of tool definitions, or \
`[{\"server\": NAME, \"instructions\": TEXT, \"tools\": […]}, …]` for several servers side by side; `instructions` may be left out. \
Several files are looked at side by side too. `-` is standard input.

Exit codes: 0 nothing of severity high or more, 1 something is, 2 a file cannot be read. The last says why with one of the codes \
cannot-open, too-large, not-json, duplicate-key, too-deep, wrong-shape, no-name.";

#[derive(Debug, ClapArgs)]
#[command(after_help = FORMAT)]
pub(crate) struct Args {
    /// Files with definitions; none: the clients of this machine
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Leave the authors' own hints out of the evidence
    #[arg(long)]
    ignore_annotations: bool,
}

/// One tool, as programs read it.
#[derive(Serialize)]
struct Tool<'a> {
    server: &'a str,
    name: &'a str,
    #[serde(flatten)]
    judged: Judgement,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Answer<'a> {
    tools: Vec<Tool<'a>>,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &Args, given: &Given) -> Outcome {
    if args.files.is_empty() {
        return Ok(machine::run(given));
    }
    let mut offers = Vec::new();
    for file in &args.files {
        offers.extend(read(file)?);
    }
    let answer = answer(&offers, args.ignore_annotations);
    let all = || answer.tools.iter().flat_map(|tool| &tool.findings).chain(&answer.findings);
    given.say.json(&answer);
    if !given.say.json {
        tell(given.say, &answer);
    }
    Ok(if all().any(|finding| finding.severity.flags()) { Verdict::Flagged } else { Verdict::Yes })
}

/// The servers in a file; one without a name is called as the file is.
fn read(file: &Path) -> Result<Vec<Offer>, Failure> {
    let mut offers = if file == Path::new("-") {
        listed::offers(file, Ok(std::io::stdin().lock()))?
    } else {
        listed::offers(file, std::fs::File::open(file))?
    };
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for offer in &mut offers {
        offer.server.get_or_insert_with(|| stem.clone());
    }
    Ok(offers)
}

fn answer(offers: &[Offer], ignore_annotations: bool) -> Answer<'_> {
    let scanned = scan::scan(offers);
    let mut tools = Vec::new();
    for (offer, found) in offers.iter().zip(scanned.tools) {
        let siblings = Siblings::of(offer.tools.iter().map(name));
        for (tool, mut findings) in offer.tools.iter().zip(found) {
            let claimed = if ignore_annotations { Claimed::default() } else { claimed(tool) };
            let as_tool = risk::Tool::of(tool, claimed);
            let judged = risk::judge(&as_tool, &siblings);
            findings.extend(scan::contradiction(&as_tool, &siblings));
            findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            tools.push(Tool {
                server: offer.server.as_deref().unwrap_or_default(),
                name: name(tool),
                judged,
                findings,
            });
        }
    }
    Answer { tools, findings: scanned.across }
}

fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn claimed(tool: &Value) -> Claimed {
    tool.get("annotations").and_then(|hints| Claimed::deserialize(hints).ok()).unwrap_or_default()
}

/// A table, what was found, and a sum.
fn tell(say: Say, answer: &Answer<'_>) {
    let rows = answer.tools.iter().map(|tool| {
        let worst = tool.findings.iter().map(|finding| finding.severity).max();
        let categories: Vec<&str> = tool.judged.categories.iter().map(|category| category.as_str()).collect();
        vec![
            tool.server.to_owned(),
            tool.name.to_owned(),
            word(&tool.judged.effect),
            word(&tool.judged.tier),
            categories.join(", "),
            worst.map(|worst| worst.as_str().to_owned()).unwrap_or_default(),
        ]
    });
    say.table(&["server", "tool", "effect", "tier", "categories", "finding"], rows.collect());
    let of_tools = answer.tools.iter().flat_map(|tool| {
        tool.findings.iter().map(move |finding| (format!("{}/{}", tool.server, tool.name), finding))
    });
    let of_all = answer.findings.iter().map(|finding| (String::new(), finding));
    let mut shown: Vec<(String, &Finding)> = of_tools.chain(of_all).collect();
    shown.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    for (whose, finding) in &shown {
        let colour = if finding.severity.flags() { 31 } else { 33 };
        say.line(format!(
            "{} {} {}{}: {}",
            say.paint(colour, finding.severity.as_str()),
            finding.detector.as_str(),
            printable(whose),
            printable(&finding.place),
            printable(&finding.because),
        ));
    }
    let flagged = shown.iter().filter(|(_, finding)| finding.severity.flags()).count();
    let mark = if flagged == 0 { say.paint(32, "✓") } else { say.paint(31, "✗") };
    say.line(format!(
        "{mark} {} tools, {flagged} findings of severity high or more, {} others",
        answer.tools.len(),
        shown.len() - flagged
    ));
}

/// How an enum is written for programs, for people too.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
