//! `callgate registry diff OLD NEW`: what changed between two files. Nothing is started and nothing is stored.

use super::beside::side_by_side;
use crate::{
    cli::Given,
    command::listed,
    failure::{Failure, Outcome, Verdict},
    say::{Say, printable},
};
use catalog::drift::{self, Changed, Drift, Severity};
use decision::{ServerName, counted};
use serde_json::Value;
use std::path::Path;

/// The two files, if files are meant and not a server.
pub(super) fn files<'a>(of: &'a str, to: Option<&'a str>) -> Result<Option<(&'a Path, &'a Path)>, Failure> {
    let no_server = ServerName::new(of).is_err();
    match to {
        Some(to) => {
            let (old, new) = (Path::new(of), Path::new(to));
            Ok((no_server || (old.is_file() && new.is_file())).then_some((old, new)))
        }
        None if no_server => {
            Err(Failure::Usage(format!("`{of}` is no server, and a second file is missing")))
        }
        None => Ok(None),
    }
}

pub(super) fn run(old: &Path, new: &Path, given: &Given) -> Outcome {
    let drift = drift::compare(&read(old)?, &read(new)?);
    given.say.json(&drift);
    if !given.say.json {
        tell(given.say, &drift);
    }
    Ok(if drift.changes.is_empty() { Verdict::Yes } else { Verdict::Flagged })
}

fn read(file: &Path) -> Result<Vec<drift::Server>, Failure> {
    let bytes = listed::bytes(file, std::fs::File::open(file))?;
    drift::read(&bytes).map_err(|error| listed::failed(file, error.code(), &error))
}

/// What changed, the urgent first: each item with its changes, and then all of it, line by line.
fn tell(say: Say, drift: &Drift) {
    let mut told: Vec<&str> = Vec::new();
    for change in &drift.changes {
        if !told.contains(&change.item.as_str()) {
            told.push(&change.item);
            item(say, drift, &change.item);
        }
    }
    let breaking = drift.changes.iter().filter(|change| !change.compatible).count();
    say.line(match drift.changes.len() {
        0 => format!("{} nothing changed", say.paint(32, "✓")),
        count => format!(
            "{} of {}; {breaking} would break clients that hold the old definition; rank {:.2}",
            counted(count, "change"),
            counted(told.len(), "item"),
            drift.rank
        ),
    });
}

fn item(say: Say, drift: &Drift, name: &str) {
    say.line(format!("{}:", on_one_line(name)));
    for change in drift.changes.iter().filter(|change| change.item == name) {
        let (word, colour) = match change.severity {
            Severity::Critical => ("critical", 31),
            Severity::High => ("high", 31),
            Severity::Medium => ("medium", 33),
            Severity::Low => ("low", 33),
            Severity::Info => ("info", 2),
        };
        let breaks = if change.compatible { "" } else { " (breaks clients)" };
        say.line(format!(
            "  {} {}{breaks} {}: {}",
            say.paint(colour, word),
            change.kind.as_str(),
            on_one_line(&change.place),
            on_one_line(&change.because)
        ));
    }
    let pretty = |value: &Option<Value>| {
        value.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok()).unwrap_or_default()
    };
    for Changed { before, after, .. } in drift.changed.iter().filter(|changed| changed.item == name) {
        side_by_side(say, &pretty(before), &pretty(after));
    }
    say.line("");
}

/// Text of somebody else's, which must not pass for a line of ours.
fn on_one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}
