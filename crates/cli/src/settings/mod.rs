//! What the operator wrote, and what it means: two types and one crossing, which collects every
//! problem with its place before giving up.

mod approvals;
mod budgets;
mod changed;
mod console;
mod cross;
mod door;
mod effective;
mod file;
mod file_oauth;
mod idempotency;
mod keys;
mod networks;
mod oauth;
mod places;
mod plain;
mod problem;
mod reach;
mod record;
mod registry;
mod state_dirs;
mod term;
mod vault;
mod vault_key;
mod webhooks;

pub(crate) use changed::{changed, digest};
pub(crate) use cross::{Meant, read};
pub(crate) use effective::{effective, schema, without_password};
pub(crate) use plain::is_plain;
pub(crate) use problem::{Located, duration};
pub(crate) use state_dirs::state_dirs;
pub(crate) use vault_key::{KeySource, KeySources, STATE_FILE};
pub(crate) use webhooks::is_in_the_clear;

#[cfg(test)]
mod tests;
