//! Who a request is from: the tokens the gateway hands out, those of identity providers, the header they
//! arrive in, and what a client is told when they do not do.
//!
//! Only the providers' keys are fetched; all else is pure: it parses, hashes, compares and verifies. Which
//! token of ours belongs to whom is in the store.
//!
//! Start reading at [`bearer`], [`ApiToken`] and [`oauth`].

mod bearer;
mod certificate;
mod challenge;
pub mod oauth;
mod spiffe;
mod token;

pub use bearer::{BEARER_BYTES_MAX, BearerError, bearer};
pub use certificate::{CertificateName, Holder, HolderError, authority, validity};
pub use challenge::{Challenge, Fault, Scope, ScopeError};
pub use spiffe::{SpiffeError, SpiffeId};
pub use token::{ApiToken, TokenError, TokenHash, TokenId};
