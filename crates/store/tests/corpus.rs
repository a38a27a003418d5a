//! The fuzz corpus of what auditors are handed (see `fuzz/`), on stable.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a body says no")]

extern crate callgate_store as store;

#[path = "../../../fuzz/bodies/ledger.rs"]
mod ledger;
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn logs_of_the_corpus_hold_only_where_they_are_what_was_signed() {
    replay::all("ledger", ledger::run);
}
