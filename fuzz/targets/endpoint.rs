#![no_main]

#[path = "../bodies/endpoint.rs"]
mod body;
#[path = "../../crates/gateway/src/upstream/sse_endpoint.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
