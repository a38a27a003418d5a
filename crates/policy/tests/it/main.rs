//! What the rules answer, from a policy, a catalogue and a request.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "so is a panic")]

extern crate callgate_policy as policy;

mod answers;
mod guide;
mod laws;
mod loading;
mod matrix;
mod radius;
mod refit;
mod world;
