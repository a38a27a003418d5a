//! Who a request is from: the tokens the gateway hands out, the header they arrive in, and what a
//! client is told when they do not do.
//!
//! Pure: it parses, hashes and compares. Which token belongs to whom is in the store.
//!
//! Start reading at [`bearer`] and [`ApiToken`].

mod bearer;
mod challenge;
mod token;

pub use bearer::{BEARER_BYTES_MAX, BearerError, bearer};
pub use challenge::{Challenge, Fault, Scope, ScopeError};
pub use token::{ApiToken, TokenError, TokenHash, TokenId};
