//! The answer as SARIF 2.1.0, for programs that keep findings and show them beside files.

use super::{Report, notice::Notice, rules};
use crate::{
    jsonc,
    say::{Say, printable, tamed_json},
};
use inspect::Severity;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn show(say: Say, report: &Report) -> Result<(), serde_json::Error> {
    say.raw(&tamed_json(&serde_json::to_string_pretty(&log(report))?));
    Ok(())
}

fn log(report: &Report) -> Value {
    let rules = rules::all();
    let mut files = Files::new();
    let mut of = |notice: &Notice| {
        let mut result = result(notice, &mut files);
        if let Some(i) = rules.iter().position(|rule| rule.id == notice.detector) {
            put(&mut result, "ruleIndex", i.into());
        }
        result
    };
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "callgate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "utf16CodeUnits",
            "results": report.notices().chain(report.design()).map(&mut of).collect::<Vec<_>>(),
            "invocations": [{
                "executionSuccessful": report.gaps().next().is_none(),
                "toolExecutionNotifications": report.gaps().map(|gap| json!({
                    "level": "error",
                    "message": { "text": text(&format!("`{}` {}", gap.what, gap.because)) },
                })).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn rule(rule: &rules::Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.what },
        "fullDescription": { "text": rule.what },
        "help": { "text": rule.repair },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "security-severity": score(rule.severity), "tags": ["security", "mcp"] },
    })
}

fn result(notice: &Notice, files: &mut Files) -> Value {
    let mut said = notice.because.clone();
    if let Some(repair) = notice.repair {
        said = format!("{said}; {repair}");
    }
    let mut properties = json!({ "severity": notice.severity });
    if let Some(confidence) = notice.confidence {
        put(&mut properties, "confidence", confidence.into());
    }
    let mut result = json!({
        "ruleId": notice.detector,
        "level": level(notice.severity),
        "message": { "text": text(&said) },
        "locations": [location(notice, files)],
        "partialFingerprints": { "callgateFinding/v1": notice.fingerprint },
        "properties": properties,
    });
    if let Some(mark) = &notice.mark {
        put(&mut result, "baselineState", if mark.known { "unchanged" } else { "new" }.into());
    }
    result
}

/// A member that is not always there.
fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(key.to_owned(), value);
    }
}

/// The files, each read once; nothing for one that is no JSON.
type Files = BTreeMap<PathBuf, Option<jsonc::Node>>;

fn location(notice: &Notice, files: &mut Files) -> Value {
    let whole = printable(&notice.whole_place());
    let mut location = json!({ "logicalLocations": [{ "fullyQualifiedName": whole, "kind": "member" }] });
    if let Some(source) = &notice.spot.source {
        let root = files.entry(source.file.clone()).or_insert_with(|| jsonc::parse(&source.text).ok());
        let at = root.as_ref().and_then(|root| root.at(&notice.spot.pointer));
        let physical = json!({
            "artifactLocation": { "uri": uri(&source.file) },
            "region": { "startLine": at.map_or(1, |at| jsonc::line(&source.text, at.span.start)) },
        });
        put(&mut location, "physicalLocation", physical);
    }
    location
}

/// A relative path stays one, so that whoever shows it finds it in the repository.
fn uri(file: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let mut uri = if file.is_absolute() { "file://".to_owned() } else { String::new() };
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(file.as_os_str()) {
        match plain(byte) {
            true => uri.push(char::from(*byte)),
            false => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.trim_start_matches("./").to_owned()
}

/// Text that is no markup: in a message, brackets make links.
fn text(said: &str) -> String {
    printable(said).replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// As code scanning ranks what is of security: from 9.0 critical, from 7.0 high, from 4.0 medium.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.1",
    }
}
