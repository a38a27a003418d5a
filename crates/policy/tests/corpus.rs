//! The fuzz corpus of rule texts (see `fuzz/`), on stable.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a body says no")]

extern crate callgate_policy as policy;

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/rules.rs"]
mod rules;

#[test]
fn rule_texts_of_the_corpus_load_or_say_where_they_are_wrong() {
    replay::all("rules", rules::run);
}
