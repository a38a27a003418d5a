//! The only way out over HTTP.
//!
//! Every request goes to an origin that the operator declared, over an address that was checked
//! after the name was resolved and once more after connecting. No proxy is read from the
//! environment, no request is sent twice unless it certainly never left, and everything has a bound.
//! No redirect is followed: it is an answer.
//!
//! Start reading at [`Client::send`]; who may be reached is in [`EgressPolicy`].

mod address;
mod body;
mod client;
mod connect;
mod error;
mod fetch;
mod network;
mod outage;
mod policy;
mod seldom;

pub use address::AddressClass;
pub use body::{BodyStream, collect_limited};
pub use client::{Bounds, Client, Settings, Trust};
pub use error::{EgressError, Phase, Sent};
pub use fetch::{Answer, FetchBounds};
pub use http::{Request, Response};
pub use http_body_util::Full;
pub use ipnet::IpNet;
pub use network::{Answering, Network, SystemNetwork};
pub use outage::{News, Outage};
pub use policy::{Destination, EgressPolicy, Origin, OriginError, means_this_machine};
pub use seldom::Seldom;
