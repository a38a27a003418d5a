//! Tests through the front doors of the gateway.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

// under the name that every other crate uses
extern crate callgate_gateway as gateway;

mod listen_abuse;
mod listen_http;
mod listen_pipe;
mod listen_streams;
mod listen_support;
mod listen_unix;
