//! The fuzz corpus of stored secrets (see `fuzz/`), on stable.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a body says no")]

extern crate callgate_vault as vault;

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/sealed.rs"]
mod sealed;

#[test]
fn stored_secrets_of_the_corpus_are_taken_back_as_they_were() {
    replay::all("sealed", sealed::run);
}
