//! One file per command.

pub(crate) mod agent;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod check;
pub(crate) mod check_token;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod init;
mod listed;
pub(crate) mod policy;
pub(crate) mod registry;
mod running;
pub(crate) mod scan;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod user;
pub(crate) mod wrap;
