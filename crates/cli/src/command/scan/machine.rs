//! `callgate scan` without files: what the MCP clients of this machine are told to start and to reach.

use super::clients::{Entry, Unread};
use super::entry;
use super::notice::Notice;
use crate::say::{
    Say, one_line,
    table::{whole, wrapped},
};
use serde::Serialize;
use std::path::PathBuf;

/// One server, as programs read it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Server {
    client: &'static str,
    file: PathBuf,
    server: String,
    /// Of servers of one file that are each of another project.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    reached_by: String,
    /// Nothing for one that nobody has set up yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    governed: Option<bool>,
    pub(super) findings: Vec<Notice>,
    #[serde(skip)]
    named: Named,
}

/// Who names a server, which decides how a gateway comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Client,
    /// The command line, by its command.
    Command,
    /// The same, by its address.
    Address,
}

impl Server {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            client: entry.client,
            file: entry.file.clone(),
            server: entry.name.clone(),
            project: entry.project().map(str::to_owned),
            reached_by: entry::reached(entry),
            governed: Some(entry::is_governed(entry)),
            findings: entry::look(entry),
            named: match entry.is_of_command_line() {
                false => Named::Client,
                true if entry.url.is_some() => Named::Address,
                true => Named::Command,
            },
        }
    }

    /// One that a registry describes.
    pub(super) fn described(entry: &Entry, findings: Vec<Notice>) -> Self {
        Self { governed: None, findings, ..Self::of(entry) }
    }
}

/// What could not be read, and a table of the servers.
pub(super) fn tell(say: Say, servers: &[Server], unread: &[Unread]) {
    for one in unread {
        let (file, why) = (one_line(&one.file.display().to_string()), one_line(&one.because));
        say.line(format!("{} `{file}` {}: {why}", say.paint(31, "✗"), one.fate()));
    }
    if servers.is_empty() {
        return;
    }
    let rows = servers.iter().map(|server| {
        // that none stands before it has a column of its own
        let told = server.findings.iter().filter(|one| one.detector != "ungoverned");
        let worst = told.map(|one| one.severity).max();
        vec![
            server.client.to_owned(),
            one_line(&match &server.project {
                Some(project) => format!("{} ({project})", server.server),
                None => server.server.clone(),
            }),
            server.governed.map_or("", |governed| if governed { "yes" } else { "no" }).to_owned(),
            worst.map(|worst| worst.as_str().to_owned()).unwrap_or_default(),
            one_line(&server.reached_by),
        ]
    });
    let [client, governed, finding] = ["client", "governed", "finding"].map(whole);
    let [server, reached] = ["server", "reached by"].map(wrapped);
    say.table(&[client, server, governed, finding, reached], rows.collect());
}

/// How a gateway comes before those that have none.
pub(super) fn next(servers: &[Server], of_machine: bool) -> Vec<&'static str> {
    let free = |named: Named| servers.iter().any(|one| one.governed == Some(false) && one.named == named);
    let all = [
        (
            Named::Client,
            if of_machine {
                "next: `callgate import` puts a gateway before them, shows the changes first, and can take them back"
            } else {
                "next: `callgate import FILE` puts a gateway before them, shows the changes first, and can take them back"
            },
        ),
        (Named::Command, entry::WRAP),
        (Named::Address, entry::DECLARE),
    ];
    all.into_iter().filter(|(named, _)| free(*named)).map(|(_, next)| next).collect()
}

/// How many of them are reached without a gateway.
pub(super) fn free(servers: &[Server]) -> usize {
    servers.iter().filter(|server| server.governed == Some(false)).count()
}
