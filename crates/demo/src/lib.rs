//! `callgate demo`: three small real servers, a scripted agent that speaks the real protocol, and what happens
//! between them, told as it happens.

mod client;
mod play;
mod servers;

pub use play::{Options, run, snippets};
pub use servers::server_main;

/// 128 random bits.
pub(crate) fn hex(entropy: &dyn decision::Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
