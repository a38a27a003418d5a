//! The fuzz corpus of this crate's parsers (see `fuzz/`), on stable.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a body says no"
)]
#![expect(clippy::string_slice, reason = "so is a slice")]

extern crate callgate_wire as wire;

#[path = "../../../fuzz/bodies/bridge.rs"]
mod bridge;
#[path = "../../../fuzz/bodies/headers.rs"]
mod headers;
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/scan.rs"]
mod scan;
#[path = "../../../fuzz/bodies/splice.rs"]
mod splice;
#[path = "../../../fuzz/bodies/sse.rs"]
mod sse;
#[path = "../../../fuzz/bodies/template.rs"]
mod template;

#[test]
fn the_scan_reads_its_corpus_as_serde_json_does() {
    replay::all("scan", scan::run);
}

#[test]
fn splices_of_the_corpus_change_only_what_they_mean() {
    replay::all("splice", splice::run);
}

#[test]
fn event_streams_of_the_corpus_read_by_the_book() {
    replay::all("sse", sse::run);
}

#[test]
fn headers_of_the_corpus_say_what_the_body_says() {
    replay::all("headers", headers::run);
}

#[test]
fn templates_of_the_corpus_match_by_the_book() {
    replay::all("template", template::run);
}

#[test]
fn messages_of_the_corpus_cross_the_eras_and_come_back() {
    replay::all("bridge", bridge::run);
}
