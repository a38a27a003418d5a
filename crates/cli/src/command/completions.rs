//! `callgate completions` and `callgate man`: generated from the command line itself.

use crate::{
    cli::{Cli, Given},
    failure::{Outcome, Verdict},
};
use anyhow::Context as _;
use clap::{Args as ClapArgs, CommandFactory as _};
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Man {
    /// The folder to write the pages to
    dir: PathBuf,
}

/// Writes the completion script to standard output.
pub(crate) fn run(args: &Args, given: &Given) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "callgate", &mut script);
    given.say.raw(String::from_utf8(script)?.trim_end());
    Ok(Verdict::Yes)
}

/// Writes one manual page per command.
pub(crate) fn man(args: &Man, given: &Given) -> Outcome {
    let fail = || format!("cannot write to `{}`", args.dir.display());
    std::fs::create_dir_all(&args.dir).with_context(fail)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).with_context(fail)?;
    given.say.line(format!("wrote the manual pages to `{}`", args.dir.display()));
    Ok(Verdict::Yes)
}

/// Writes the reference of the command line, as `docs/reference/cli.md` has it.
pub(crate) fn reference(given: &Given) {
    let mut out = String::from(
        "# The command line\n\nWritten by `callgate reference`; do not edit.\n\nExit codes: 0 yes, 1 something does not \
         work or is not there, 2 wrong usage, 3 the answer is no, 4 it depends.\n",
    );
    let mut command = Cli::command();
    command.build();
    page(&command, "callgate", &mut out);
    given.say.raw(out.trim_end());
}

fn page(command: &clap::Command, path: &str, out: &mut String) {
    use std::fmt::Write as _;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // a write into a String cannot fail
    let _ = write!(out, "\n## `{path}`\n\n{about}\n");
    let told = |arg: &clap::Arg| {
        !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version"
    };
    let args: Vec<&clap::Arg> = command.get_arguments().filter(|arg| told(arg)).collect();
    if !args.is_empty() {
        let _ = write!(out, "\n| argument | meaning |\n|---|---|\n");
    }
    for arg in args {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let takes_value = arg.get_action().takes_values();
        let values = if values.is_empty() || !takes_value {
            String::new()
        } else {
            format!(" ({})", values.join(", "))
        };
        let _ = writeln!(out, "| `{}` | {help}{values} |", arg.to_string().replace('|', "\\|"));
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        page(sub, &format!("{path} {}", sub.get_name()), out);
    }
}
