//! `callgate scan`: what is in definitions, read from files, and what clients on this machine are told to start. Nothing is
//! started, and nothing leaves the machine.

mod baseline;
mod clients;
mod described;
mod entry;
mod machine;
mod markdown;
mod notice;
mod report;
mod rules;
mod sarif;
mod table;

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
};
use clap::{Args as ClapArgs, ValueEnum};
use report::Report;
use std::path::PathBuf;

/// What the help ends with.
const FORMAT: &str = "\
Without a file, it reads the configurations of Claude Desktop, Claude Code, Cursor, VS Code, Windsurf, Codex, Gemini CLI and Zed, below \
the home folder and here, and says of each server that they name how it is started or reached and what is wrong with that.

FILE holds a `tools/list` result, an array of tool definitions, or \
`[{\"server\": NAME, \"instructions\": TEXT, \"tools\": […]}, …]` for several servers side by side; `instructions` may be left out. \
It may also be a `server.json` of a registry, alone or in a registry's answer, or the configuration of a client. \
Several files are looked at side by side too. `-` is standard input.

Exit codes: 0 nothing of severity high or more, or all of it is in the baseline; 1 something is; 2 a file cannot be read. The last says \
why with one of the codes cannot-open, too-large, not-json, duplicate-key, too-deep, wrong-shape, no-name.";

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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Sarif,
    Markdown,
}

pub(crate) fn run(args: &Args, given: &Given) -> Outcome {
    let form = match (given.say.json, args.format) {
        (true, Form::Table | Form::Json) => Form::Json,
        (true, Form::Sarif | Form::Markdown) => {
            return Err(Failure::Usage(
                "`--json` and `--format` ask for two forms: leave one out".to_owned(),
            ));
        }
        (false, form) => form,
    };
    let mut report = if args.files.is_empty() {
        Report::of_machine(&given.surroundings)
    } else {
        Report::of_files(&args.files, args.ignore_annotations)?
    };
    match &args.baseline {
        Some(file) if args.write_baseline => {
            let count = baseline::write(&mut report, file)?;
            given.say.aside(format!("wrote {count} findings into `{}`", file.display()));
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
    let flagged = report.notices().any(notice::Notice::counts);
    Ok(if flagged { Verdict::Flagged } else { Verdict::Yes })
}
