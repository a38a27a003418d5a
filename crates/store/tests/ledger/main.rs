//! The ledger, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

extern crate callgate_store as store;

mod append;
mod crash;
mod faults;
mod forge;
mod keyed;
mod lost_cache;
mod replay;
mod sim;
mod support;
mod trace;
mod verify_exported;
mod verify_live;
