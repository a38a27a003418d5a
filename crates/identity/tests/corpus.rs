//! The fuzz corpus of what callers say of themselves (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]
#![expect(clippy::string_slice, reason = "so is a slice")]

extern crate callgate_identity as identity;

#[path = "../../../fuzz/bodies/jwt.rs"]
mod jwt;
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/tokens.rs"]
mod tokens;

#[test]
fn tokens_of_the_corpus_are_taken_as_they_were_sent_or_not_at_all() {
    replay::all("tokens", tokens::run);
}

#[test]
fn access_tokens_of_the_corpus_are_good_only_by_the_book() {
    replay::all("jwt", jwt::run);
}
