//! The fuzz corpus of what definitions are pinned by (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]

extern crate callgate_catalog as catalog;

#[path = "../../../fuzz/bodies/canonical.rs"]
mod canonical;
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_value_of_the_corpus_has_one_form_and_every_change_is_noticed() {
    replay::all("canonical", canonical::run);
}
