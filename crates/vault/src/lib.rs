//! Secrets: seal, open, lease.
//!
//! A value is encrypted with AES-256-GCM under a random key of its own, and that key under the
//! key-encryption key ([`Kek`]). Both are bound to tenant, environment, name, user and version, so that
//! a sealed value is worth nothing in another row. [`Sealer`] and [`Opener`] are two types: the
//! control plane gets only the first.
//!
//! There is no way to open a secret without a [`Permit`](decision::Permit) of the call it is for,
//! hence none without a principal. Only [`backend`] speaks to anybody else, and waits.
//!
//! Not done by this crate: memory is wiped, but not locked against swapping; and the separation
//! of [`Sealer`] and [`Opener`] is one of types, not of keys.

pub mod backend;
mod kek;
mod lease;
mod sealed;
mod secret;

pub use kek::{Kek, KekError, KekId};
pub use lease::{Lease, Opener};
pub use sealed::{Sealed, Sealer, SecretRef};
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError};

/// Why a secret could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("what is stored is not a sealed secret")]
    Malformed,
    #[error("the secret was sealed by a newer version of callgate, in format {0}")]
    Format(u8),
    #[error(
        "the secret `{name}` was sealed under the key {sealed}, and the key in use is {ours}; restore the old key file"
    )]
    OtherKey { name: decision::SecretName, sealed: KekId, ours: KekId },
    /// Changed, or moved here from another row.
    #[error(
        "the secret `{name}` was changed since it was stored, or belongs to another name, version, user, tenant or environment"
    )]
    Refused { name: decision::SecretName },
    #[error("the permit is not of this call")]
    NotPermitted,
    #[error("the secret `{name}` belongs to another user, tenant or environment than who asks")]
    NotTheirs { name: decision::SecretName },
    #[error("the secret `{name}` holds characters that cannot be in a header; store it again without them")]
    NotHeaderSafe { name: decision::SecretName },
}
