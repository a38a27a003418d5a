//! `callgate scan` without files: what the MCP clients of this machine are told to start and to reach.

use super::clients::{self, Entry, Unread};
use super::entry::{self, Remark};
use crate::{
    cli::Given,
    failure::Verdict,
    say::{Say, printable},
};
use inspect::Severity;
use serde_json::json;

struct Server {
    entry: Entry,
    remarks: Vec<Remark>,
}

pub(super) fn run(given: &Given) -> Verdict {
    let (entries, unread) = clients::found(&given.surroundings);
    let look = |entry: Entry| Server { remarks: entry::look(&entry), entry };
    let servers: Vec<Server> = entries.into_iter().map(look).collect();
    let flagged = servers.iter().flat_map(|server| &server.remarks).any(|one| one.severity.flags());
    given.say.json(&json!({
        "tools": [], "findings": [],
        "servers": servers.iter().map(|server| json!({
            "client": server.entry.client, "file": server.entry.file, "server": server.entry.name,
            "reached-by": reached(&server.entry), "governed": entry::is_governed(&server.entry),
            "findings": server.remarks,
        })).collect::<Vec<_>>(),
        "unread": unread.iter().map(|one| json!({ "file": one.file, "because": one.why })).collect::<Vec<_>>(),
    }));
    if !given.say.json {
        tell(given.say, &servers, &unread);
    }
    if flagged { Verdict::Flagged } else { Verdict::Yes }
}

/// The address, or the program and its arguments, without what is a secret.
fn reached(entry: &Entry) -> String {
    match &entry.url {
        Some(url) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
        None => {
            let shown =
                entry.command.iter().map(|one| if entry::is_secret("", one) { "••••••" } else { one });
            shown.collect::<Vec<_>>().join(" ")
        }
    }
}

fn tell(say: Say, servers: &[Server], unread: &[Unread]) {
    for one in unread {
        let (file, why) = (one.file.display().to_string(), printable(&one.why));
        say.line(format!("{} `{}` cannot be read: {why}", say.paint(31, "✗"), printable(&file)));
    }
    if servers.is_empty() {
        say.line(
            "no client on this machine names a server; `callgate scan FILE` looks at definitions in a file",
        );
        return;
    }
    let rows = servers.iter().map(|server| {
        let worst = server.remarks.iter().map(|one| one.severity).max();
        vec![
            server.entry.client.to_owned(),
            server.entry.name.clone(),
            if entry::is_governed(&server.entry) { "yes" } else { "no" }.to_owned(),
            worst.map(|worst| worst.as_str().to_owned()).unwrap_or_default(),
            reached(&server.entry),
        ]
    });
    say.table(&["client", "server", "governed", "finding", "reached by"], rows.collect());
    for severity in [Severity::Critical, Severity::High, Severity::Medium] {
        let of = servers.iter().flat_map(|server| server.remarks.iter().map(move |one| (&server.entry, one)));
        for (entry, remark) in of.filter(|(_, remark)| remark.severity == severity) {
            say.line(format!(
                "{} {} {}/{}: {}; {}",
                say.paint(if severity.flags() { 31 } else { 33 }, severity.as_str()),
                remark.detector,
                entry.client,
                printable(&entry.name),
                printable(&remark.because),
                remark.repair,
            ));
        }
    }
    let free = servers.iter().filter(|server| !entry::is_governed(&server.entry)).count();
    let flagged =
        servers.iter().flat_map(|server| &server.remarks).filter(|one| one.severity.flags()).count();
    let mark = if flagged == 0 { say.paint(32, "✓") } else { say.paint(31, "✗") };
    say.line(format!(
        "{mark} {} servers, {free} of them without a gateway, {flagged} findings of severity high or more",
        servers.len()
    ));
    if free > 0 {
        say.line("next: `callgate wrap -- COMMAND` in place of a server's command governs it; docs/configuration.md");
    }
}
