//! The fuzz corpus of what servers say with a leased secret in it (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]
#![expect(clippy::string_slice, reason = "so is a slice")]

extern crate callgate_inspect as inspect;

#[path = "../../../fuzz/bodies/mask.rs"]
mod mask;
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn no_text_of_the_corpus_goes_on_with_the_secret() {
    replay::all("mask", mask::run);
}
