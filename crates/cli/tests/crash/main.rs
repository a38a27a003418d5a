//! The real binary, stopped where it hurts: killed, without its page cache, without room, damaged, doubled.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what fails here is a failed test"
)]

#[path = "../it/bed.rs"]
#[expect(dead_code, reason = "the house is shared with the other tests of the binary, which use more of it")]
mod bed;
mod books;
#[path = "../../../store/tests/it/cluster.rs"]
mod cluster;
mod desk;
mod host;
mod kill;
mod lost_cache;
mod once;
#[path = "../../../store/tests/ledger/replay.rs"]
mod replay;
mod shortage;
mod steps;
mod torn;
#[path = "../../../store/tests/ledger/trace.rs"]
mod trace;
mod two;
mod yard;
