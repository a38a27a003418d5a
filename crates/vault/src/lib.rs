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
//! Keys and open values are in locked memory ([`launch::LockedBytes`]). Not done by this crate: the separation of
//! [`Sealer`] and [`Opener`] is one of types, not of keys; and what a cipher expands of a key while it works is on
//! the heap, wiped after each use.

pub mod backend;
mod handle;
mod kdf;
mod kek;
mod keys;
mod lease;
mod sealed;
mod secret;
mod signing;

pub use handle::Handles;
pub use kdf::{Kdf, long_enough};
pub use kek::{Kek, KekError, KekId, KeyFile, PASSPHRASE_CHARS_MIN, read_locked, read_private};
pub use keys::Keys;
pub use lease::{Lease, Opener};
pub use sealed::{Sealed, Sealer, SecretRef};
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError};
pub use signing::{ASSERTION_KEY, SigningKey};

/// Whether a name is for the gateway's own secrets, which no server is ever given.
pub fn is_reserved(name: &decision::SecretName) -> bool {
    name.as_str().starts_with("callgate/")
}

/// Why a secret could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("what is stored is not a sealed secret")]
    Malformed,
    #[error("the secret was sealed by a newer version of callgate, in format {0}")]
    Format(u8),
    #[error(
        "the secret `{name}` was sealed under the key {sealed}, and the key in use is {ours}; restore the old key, or name it under `vault.old-keys`"
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
