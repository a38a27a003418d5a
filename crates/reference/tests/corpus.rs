//! The fuzz corpus of messages that the official SDK must read as they were judged (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/sdk.rs"]
mod sdk;

#[test]
fn what_was_judged_is_what_the_sdk_reads() {
    replay::all("sdk", sdk::run);
}
