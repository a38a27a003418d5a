//! The fuzz corpora of what definitions are pinned by, and of files that list them (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]

extern crate callgate_catalog as catalog;

#[path = "../../../fuzz/bodies/canonical.rs"]
mod canonical;
#[path = "../../../fuzz/bodies/listing.rs"]
mod listing;
#[path = "../../../fuzz/bodies/observed.rs"]
mod observed;
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn every_value_of_the_corpus_has_one_form_and_every_change_is_noticed() {
    replay::all("canonical", canonical::run);
}

#[test]
fn every_file_of_the_corpus_is_read_as_others_read_it_however_it_is_written() {
    replay::all("listing", listing::run);
}

#[test]
fn no_answer_of_the_corpus_says_that_an_error_did_something() {
    replay::all("observed", observed::run);
}
