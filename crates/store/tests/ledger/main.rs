//! The ledger, from outside.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

extern crate callgate_store as store;

mod append;
mod crash;
mod faults;
mod support;
