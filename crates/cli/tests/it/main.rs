//! The real binary, in a scrubbed environment, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here is a failed test"
)]

mod absent;
mod approvals;
mod architecture;
mod bed;
mod canary;
mod commands;
mod console;
mod demo;
mod door;
mod import;
mod index;
mod moved;
mod names;
mod nothing;
mod once;
mod opaque;
mod registry;
mod registry_api;
mod registry_import;
mod rounds;
mod scan;
mod scan_connect;
mod scan_forms;
mod scan_reach;
mod scene;
mod serve;
mod sign_in;
mod slip;
mod soak;
mod sources;
mod terminal;
mod unknown;
mod unwrap;
mod vault;
mod versions;
mod who_can;
mod wrap;
