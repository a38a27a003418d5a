//! `callgate demo`: told in the crate `demo`; here is only what it takes from the outside.

use crate::sources::SystemEntropy;
use clap::Args;
use std::sync::Arc;

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
