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
