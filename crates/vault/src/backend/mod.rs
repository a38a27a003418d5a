//! Secrets that are not sealed in the store: HashiCorp Vault and OpenBao, and, for development, a file
//! or a variable.
//!
//! Here too nothing is read without the [`Permit`](decision::Permit) of the call it is for, and what
//! comes out is a [`Lease`](crate::Lease) like any other.

mod api;
mod kv;
mod local;
mod login;
mod path;

pub use kv::{Kv, KvPlace, KvSettings};
pub use local::{Local, unusable};
pub use login::{Bootstrap, Login};
pub use path::{PathError, PathTemplate};

use crate::VaultError;
use decision::{Call, Environment, Permit, SecretName, TenantId};
use std::path::PathBuf;

/// Why a backend gave no secret. Texts name the place, never a value, a token or what the server said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the secret backend cannot be reached: {0}")]
    Unreachable(#[from] egress::EgressError),
    #[error("the secret backend is sealed or down for maintenance (HTTP 503); unseal it")]
    Sealed,
    #[error("the secret backend does not answer now (HTTP {0}): a standby, a quota, or not yet up to date")]
    Busy(u16),
    #[error("the secret backend failed (HTTP {0})")]
    Failed(u16),
    #[error("the secret backend does not let us in (HTTP {0}); check the role and its credential")]
    LoginRefused(u16),
    #[error(
        "the wrapping token was refused (HTTP {0}): it has expired or was used before; if not by this gateway, treat its secret as stolen"
    )]
    UnwrapRefused(u16),
    #[error("the policy of our token does not allow to read `{0}`")]
    Denied(String),
    #[error("there is no secret at `{0}`, or its version was deleted")]
    Missing(String),
    #[error("the secret at `{path}` has no text under `{field}`")]
    Field { path: String, field: String },
    #[error("the secret backend answered what its interface does not say: {0}")]
    Malformed(&'static str),
    /// The gateway opens the stored secret of this name and asks again.
    #[error("the credential `{0}` of the secret backend is needed")]
    NeedsCredential(SecretName),
    #[error("the file `{}` cannot be used as a secret: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("the variable `{0}` was not set when the gateway started, or holds no secret")]
    Variable(String),
}

/// Of whom the secrets of a backend are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub environment: Environment,
}

impl Owner {
    /// As for a sealed secret: only against the permit of this very call, and only at home.
    fn allows(&self, permit: &Permit, call: &Call, name: &SecretName) -> Result<(), VaultError> {
        if !permit.covers(call) {
            return Err(VaultError::NotPermitted);
        }
        let principal = call.principal();
        if principal.tenant != self.tenant || principal.environment != self.environment {
            return Err(VaultError::NotTheirs { name: name.clone() });
        }
        Ok(())
    }
}
