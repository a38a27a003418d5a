//! `callgate demo`: told in the crate `demo`; here is only what it takes from the outside.

use crate::{cli::Given, failure::Failure, sources::SystemEntropy};
use anyhow::Context as _;
use clap::Args;
use std::{path::PathBuf, sync::Arc};

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the last scene: exit code 0 only if every scene went as told
    #[arg(long)]
    check: bool,
    /// Play with the rules in this file instead of the demo's own
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Plays the demo. Its exit code is 0 or 1 by itself, so it does not return but for a fault.
pub(crate) async fn run(args: Demo, given: &Given) -> Result<std::convert::Infallible, Failure> {
    let binary = std::env::current_exe().context("this program does not know where it is")?;
    let options = demo::Options {
        check: args.check,
        binary,
        policy: args.policy,
        colour: given.surroundings.colour,
        entropy: Arc::new(SystemEntropy),
    };
    std::process::exit(demo::run(options).await)
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// `crm`, `payments` or `tickets`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// One of the demo's servers, until its standard input ends. Does not return: a read of standard input that still
/// waits must not hold the process.
pub(crate) async fn server(args: Server) -> ! {
    std::process::exit(demo::server_main(args.args, Arc::new(SystemEntropy)).await)
}
