//! The console over its own door: requests in, pages and steps out, on a real store and ledger.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here is a failed test"
)]

mod attacks;
mod browser;
mod hooks;
mod house;
mod live;
mod many;
mod pages;
mod review;
mod roles;
mod servers;
mod sign_in;
