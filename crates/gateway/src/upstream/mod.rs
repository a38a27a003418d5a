//! Connections to MCP servers: both eras, HTTP and stdio, raw frames.
//!
//! Start at [`connection`]. [`pool`] says who shares which connection.

mod connection;
mod crossing;
mod detect;
mod fault;
pub(crate) mod handshake;
mod held;
mod http;
mod http_legacy;
mod http_modern;
mod http_session;
mod injected;
mod kept;
mod lane;
mod listen;
mod loose;
mod mend;
mod parked;
mod pending;
mod pool;
mod send;
mod sse;
mod sse_endpoint;
mod stdio;
mod stream;
mod wait;

pub(crate) use connection::{Bounds, Connection, FromServer, Means, Opening, Outgoing};
pub(crate) use crossing::level;
pub(crate) use detect::detect;
pub(crate) use fault::{Fault, FaultKind};
pub(crate) use injected::{Hidden, Injected, Received};
pub(crate) use kept::{Kept, Look};
pub(crate) use lane::{Lane, roots_changed, set_level};
pub(crate) use mend::{Unread, page};
pub(crate) use parked::Parked;
pub use pool::Pool;
pub(crate) use send::{Arrived, Dispatch, InFlight, refused, send, to_asker};

#[cfg(test)]
mod tests;
