#![no_main]

#[path = "../bodies/settings.rs"]
mod body;
#[allow(dead_code, reason = "the command line uses the rest")]
#[path = "../../crates/cli/src/settings/mod.rs"]
mod settings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
