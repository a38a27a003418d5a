//! `callgate scan` without files: what the MCP clients of this machine are told to start and to reach.

use super::clients::{self, Entry, Unread};
use super::entry;
use super::notice::Notice;
use super::table::one_line;
use crate::{say::Say, surroundings::Surroundings};
use serde::Serialize;
use std::path::PathBuf;

/// One server, as programs read it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Server {
    client: &'static str,
    file: PathBuf,
    server: String,
    reached_by: String,
    governed: bool,
    pub(super) findings: Vec<Notice>,
}

impl Server {
    fn of(entry: &Entry) -> Self {
        Self {
            client: entry.client,
            file: entry.file.clone(),
            server: entry.name.clone(),
            reached_by: entry::reached(entry),
            governed: entry::is_governed(entry),
            findings: entry::look(entry),
        }
    }
}

/// Reads files and nothing else.
pub(super) fn look(surroundings: &Surroundings) -> (Vec<Server>, Vec<Unread>) {
    let (entries, unread) = clients::found(surroundings);
    (entries.iter().map(Server::of).collect(), unread)
}

/// A table of the servers.
pub(super) fn tell(say: Say, servers: &[Server], unread: &[Unread]) {
    for one in unread {
        let (file, why) = (one_line(&one.file.display().to_string()), one_line(&one.because));
        say.line(format!("{} `{file}` cannot be read: {why}", say.paint(31, "✗")));
    }
    if servers.is_empty() {
        say.line(
            "no client on this machine names a server; `callgate scan FILE` looks at definitions in a file",
        );
        return;
    }
    let rows = servers.iter().map(|server| {
        let worst = server.findings.iter().map(|one| one.severity).max();
        vec![
            server.client.to_owned(),
            one_line(&server.server),
            if server.governed { "yes" } else { "no" }.to_owned(),
            worst.map(|worst| worst.as_str().to_owned()).unwrap_or_default(),
            one_line(&server.reached_by),
        ]
    });
    say.table(&["client", "server", "governed", "finding", "reached by"], rows.collect());
}

/// How many there are, and of them without a gateway.
pub(super) fn count(servers: &[Server]) -> (usize, usize) {
    (servers.len(), servers.iter().filter(|server| !server.governed).count())
}
