//! A first policy file for a catalogue: reading what the authors call reading, and nothing else.

use crate::actions::METHODS;
use catalog::{Catalogue, Item, ServerEntry, federated};
use decision::{ItemKind, ServerName};
use std::fmt::Write as _;

/// Writes a commented policy. Tools whose author marks them read-only are permitted by name, to every principal;
/// everything else is listed as a comment with the very lines that would permit it.
pub fn starter(catalogue: &Catalogue) -> String {
    let mut out = String::from(HEAD);
    for (server, entry) in catalogue.servers() {
        // a write into a String cannot fail
        let _ = write_server(&mut out, server, entry);
    }
    out
}

const HEAD: &str = "\
// Callgate starter policy. What no rule permits is refused, so this is the whole of what is allowed.
//
// The lists below hold the tools whose authors say that they only read. Nobody has checked that: read the
// names, take out what you do not want, and put the agents or groups that need them in place of `principal`:
//     permit (principal in Group::\"support\", action in [ … ], resource);
// `callgate check` tells you what a change to this file would mean.
";

fn write_server(out: &mut String, server: &ServerName, entry: &ServerEntry) -> std::fmt::Result {
    writeln!(out, "\n// ---- {server} ({})", entry.environment)?;
    let reads = |item: &&Item| item.claimed.read_only == Some(true) && item.claimed.destructive != Some(true);
    let (reading, others): (Vec<&Item>, Vec<&Item>) = entry.of_kind(ItemKind::Tool).partition(reads);
    if !reading.is_empty() {
        writeln!(out, "@id(\"{server}-reads\")")?;
        writeln!(out, "@because(\"the authors of these tools say that they only read\")")?;
        writeln!(out, "permit (\n    principal,\n    action in [")?;
        for item in &reading {
            writeln!(out, "        Action::\"{}\",", federated(server, item.definition.name()))?;
        }
        // Cedar's lists end without a comma
        out.truncate(out.len() - 2);
        writeln!(out, "\n    ],\n    resource\n);")?;
    }
    if !others.is_empty() {
        writeln!(
            out,
            "\n// These may change something, or their author does not say. Each line permits one of them:"
        )?;
    }
    for item in others {
        let action = federated(server, item.definition.name());
        writeln!(out, "// {}", line(&action))?;
    }
    for method in METHODS {
        let kind = match method.name {
            "prompts/get" => ItemKind::Prompt,
            "resources/read" => ItemKind::Resource,
            _ => continue,
        };
        let offered = entry.of_kind(kind).count();
        if offered > 0 {
            writeln!(out, "\n// {offered} items of the kind {kind:?}; this line permits them all:")?;
            writeln!(out, "// {}", line(&format!("{server}:{}", method.name)))?;
        }
    }
    Ok(())
}

fn line(action: &str) -> String {
    let id: String = action
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.:/".contains(c) { c } else { '-' })
        .collect();
    format!("@id(\"{id}\") permit (principal, action == Action::\"{action}\", resource);")
}
