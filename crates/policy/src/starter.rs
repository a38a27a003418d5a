//! A first policy file for a catalogue: reading what the authors call reading, and nothing else.

use crate::actions::METHODS;
use catalog::{Catalogue, Item, ServerEntry, federated};
use decision::{Digest, ItemKind, ServerName, counted};
use std::fmt::Write as _;

/// Writes a commented policy. Tools whose author marks them read-only are permitted by name, to every principal;
/// everything else is listed as a comment with the very lines that would permit it. It ends in a mark of its own text,
/// by which [`is_untouched`] knows it.
pub fn starter(catalogue: &Catalogue) -> String {
    let mut out = String::from(HEAD);
    let is_looked_at = catalogue.servers().any(|(_, entry)| entry.items().next().is_some());
    out.push_str(if is_looked_at { LISTS } else { NO_LISTS });
    for (server, entry) in catalogue.servers() {
        // a write into a String cannot fail
        let _ = write_server(&mut out, server, entry);
    }
    let digest = Digest::of(out.as_bytes());
    let _ = writeln!(out, "{MARK}{digest}");
    out
}

/// Whether this is a starter as it was written: nobody has changed anything, so it may be written anew or taken away.
pub fn is_untouched(text: &str) -> bool {
    let mark = text.rsplit_once(MARK).and_then(|(body, mark)| Some((body, mark.strip_suffix('\n')?)));
    mark.is_some_and(|(body, mark)| Digest::parse(mark) == Some(Digest::of(body.as_bytes())))
}

const MARK: &str =
    "\n// As long as nobody has changed this file, callgate may write it anew or take it away: ";

const HEAD: &str = "\
// Callgate starter policy. What no rule permits is refused, so this is the whole of what is allowed.
//
";

const NO_LISTS: &str = "\
// No server was looked at yet, so nothing is permitted. Name your servers in the configuration and start
// `callgate serve` once; then `callgate init` writes what they offer into this file.
";

const LISTS: &str = "\
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
            let items = counted(offered, "item");
            writeln!(out, "\n// {items} of the kind {kind:?}; this line permits whatever there is of it:")?;
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
