#![no_main]

#[path = "../bodies/jsonc.rs"]
mod body;
#[allow(dead_code, reason = "the command line uses the rest")]
#[path = "../../crates/cli/src/command/import/edit.rs"]
mod edit;
#[allow(dead_code, reason = "the command line uses the rest")]
#[path = "../../crates/cli/src/jsonc.rs"]
mod jsonc;
#[allow(dead_code, reason = "the command line uses the rest")]
#[path = "../../crates/cli/src/command/import/piece.rs"]
mod piece;

/// What the modules above name of the command line.
mod command {
    pub(crate) mod import {
        pub(crate) use crate::{edit, piece};
    }
    pub(crate) mod scan {
        pub(crate) mod clients {
            #[derive(Default)]
            pub(crate) struct Entry {
                pub(crate) file: std::path::PathBuf,
                pub(crate) keys: Vec<String>,
                /// Read by nobody here.
                pub(crate) _name: String,
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
