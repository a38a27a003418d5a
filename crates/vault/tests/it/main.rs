//! Backends against a server that knows the documented exchanges and nothing else.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod call;
mod fake;
mod kv;
mod local;
mod session;
