//! What the fuzzer asks of the reader and of the edit, of everything that it was ever asked of.

#[path = "../../../../../fuzz/bodies/jsonc.rs"]
mod jsonc;

use crate::replay;

#[test]
fn the_corpus_of_configurations_with_comments_holds() {
    replay::all("jsonc", jsonc::run);
}
