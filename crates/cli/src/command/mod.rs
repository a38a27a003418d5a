//! One file per command.

pub(crate) mod agent;
pub(crate) mod check;
pub(crate) mod secret;
pub(crate) mod user;
