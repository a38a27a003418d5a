//! `callgate scan`: what is in definitions, read from files, and what clients on this machine are told to start. Nothing is
//! started, and nothing leaves the machine.

mod baseline;
pub(crate) mod clients;
mod connect;
pub(crate) mod container;
pub(crate) mod credentials;
pub(crate) mod described;
mod doubled;
pub(crate) mod entry;
pub(crate) mod fetched;
mod launch;
mod machine;
mod markdown;
pub(crate) mod notice;
pub(crate) mod published;
mod report;
mod rules;
mod sarif;
mod table;

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
};
use clap::{Args as ClapArgs, ValueEnum};
use decision::counted;
use report::{Found, Report};
use std::{path::PathBuf, time::Duration};

/// What the help ends with.
const FORMAT: &str = "\
Without a file, it reads the configurations of Claude Desktop, Claude Code, Cursor, VS Code, Windsurf, Codex, Gemini CLI and Zed, below \
the home folder and here, and says of each server that they name how it is started or reached and what is wrong with that. One that is \
there and cannot be read is told, the others are still looked at, and the exit code is 2 (not-read).

FILE holds a `tools/list` result, an array of tool definitions, or \
`[{\"server\": NAME, \"instructions\": TEXT, \"tools\": […]}, …]` for several servers side by side; `instructions` may be left out. \
It may also be a `server.json` of a registry, alone or in a registry's answer, or the configuration of a client. \
Several files are looked at side by side too. `-` is standard input.

An address, or a command after `--`, is a server too. With `--connect` each server is started with an empty environment (but for PATH, HOME \
and TMPDIR) in an empty folder, or reached without a credential, asked what it offers and ended; no tool is called. Without it, only how the server would be started or reached is looked at: the answer says that nothing \
that it offers was, and the exit code is 2.

Exit codes: 0 nothing of severity high or more, or all of it is in the baseline; 1 something is; 2 a file cannot be read, or a server \
was not looked at; 3 you did not want it. For a file the codes are cannot-open, too-large, not-json, duplicate-key, too-deep, wrong-shape, \
no-name, nothing (it names nothing to look at: an export that came out empty); for a server also not-asked, unreachable, timeout, lost, busy, unauthorized, nonsense, not-this-era, refused, bad-address, no-folder.";

#[derive(Debug, ClapArgs)]
#[command(after_help = FORMAT)]
pub(crate) struct Args {
    /// Files with definitions, a `server.json`, or a client's configuration; none: the clients of this machine
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The form of the answer; `sarif` is SARIF 2.1.0, `markdown` is for a comment on a pull request
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Findings that are known: they are shown as such, and do not count for the exit code
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write everything that is found now into the baseline, and end with 0
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// Leave the authors' own hints out of the evidence
    #[arg(long)]
    ignore_annotations: bool,
    /// Start the servers, or reach them, and look at what they say of themselves; shows what would be run, and asks
    #[arg(long)]
    connect: bool,
    /// Go on without being asked
    #[arg(long, requires = "connect")]
    yes: bool,
    /// For each server, from its start to the last list
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "connect", value_parser = clap::value_parser!(u64).range(1..=3600))]
    time_limit: u64,
    /// A server's command and its arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Sarif,
    Markdown,
}

pub(crate) async fn run(args: &Args, given: &Given) -> Outcome {
    let form = match (given.say.json, args.format) {
        (true, Form::Table | Form::Json) => Form::Json,
        (true, Form::Sarif | Form::Markdown) => {
            return Err(Failure::Usage(
                "`--json` and `--format` ask for two forms: leave one out".to_owned(),
            ));
        }
        (false, form) => form,
    };
    let Some(found) = find(args, given).await? else { return Ok(Verdict::No) };
    let mut report = Report::of(found, args.ignore_annotations);
    match &args.baseline {
        Some(file) if args.write_baseline => {
            let count = baseline::write(&mut report, file)?;
            given.say.aside(format!("wrote {} into `{}`", counted(count, "finding"), file.display()));
        }
        Some(file) => baseline::apply(&mut report, file)?,
        None => {}
    }
    let say = given.say.as_json(form == Form::Json);
    match form {
        Form::Table => table::show(say, &report),
        Form::Json => say.json(&report),
        Form::Sarif => sarif::show(say, &report)?,
        Form::Markdown => markdown::show(say, &report),
    }
    let unseen: Vec<String> = report.unseen().filter_map(connect::Seen::fault).collect();
    if !unseen.is_empty() {
        unseen.iter().for_each(|why| given.say.aside(why));
        let message = "not every server was looked at".to_owned();
        return Err(Failure::Unreadable { code: "not-seen", message });
    }
    if let Some((last, others)) = report.unread.as_deref().and_then(<[_]>::split_last) {
        if report.is_of_machine() {
            let message = "not every configuration of a client can be read".to_owned();
            return Err(Failure::Unreadable { code: "not-read", message });
        }
        others.iter().for_each(|one| given.say.failure(&one.failure()));
        return Err(last.failure());
    }
    let flagged = report.notices().any(notice::Notice::counts);
    Ok(if flagged { Verdict::Flagged } else { Verdict::Yes })
}

/// A server by its command, or by its address.
fn named(command: &[String]) -> clients::Entry {
    match command {
        [address] if ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) => {
            clients::Entry::at(address)
        }
        _ => clients::Entry::run(command),
    }
}

/// Everything there is to look at. `None` if somebody was asked and said no.
async fn find(args: &Args, given: &Given) -> Result<Option<Found>, Failure> {
    let mut found = if args.files.is_empty() && args.command.is_empty() {
        Found::on_machine(&given.surroundings)
    } else {
        Found::in_files(&args.files)?
    };
    if !args.command.is_empty() {
        found.servers.push((named(&args.command), None));
    }
    if args.connect {
        let entries: Vec<clients::Entry> = found.servers.iter().map(|(entry, _)| entry.clone()).collect();
        let limit = Duration::from_secs(args.time_limit);
        let Some((offers, seen)) = connect::look(&entries, args.yes, limit, given).await? else {
            return Ok(None);
        };
        found.offers.extend(offers);
        found.seen = Some(seen);
    } else {
        let named = found.servers.iter().filter(|(entry, _)| entry.is_of_command_line());
        found.unasked = named.map(|(entry, _)| connect::Seen::unasked(entry)).collect();
    }
    Ok(Some(found))
}
