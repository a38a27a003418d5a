//! Secrets that are not in the store: the backends of the settings in force.

use crate::settings::{Backend, KvPlace, Settings};
use arc_swap::ArcSwapOption;
use decision::{Call, Code, Digest, Permit, Refusal, SecretName};
use egress::{Client, Destination, EgressPolicy, News, Origin, Outage, Trust};
use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use vault::Lease;
use vault::backend::{BackendError, Kv, Local, Owner, PathError};
use zeroize::Zeroizing;

/// Largest file of certificates that is read.
const TRUST_BYTES_MAX: u64 = 4 << 20;

/// Variables that a source names, as they were when the gateway started.
pub type Variables = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Why a backend could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum BackendsError {
    #[error("the certificates for the secret backend in `{}` cannot be used: {why}", path.display())]
    Trust { path: PathBuf, why: String },
    #[error("the address of the secret backend cannot be used: {0}")]
    Address(#[from] egress::OriginError),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// The backends of one gateway. A change of other settings does not log out of them.
#[derive(Debug)]
pub struct Backends {
    local: Local,
    owner: Owner,
    kv: ArcSwapOption<Ready>,
}

/// A backend and the settings it was made from.
#[derive(Debug)]
struct Ready {
    from: (Backend, EgressPolicy, Option<Digest>),
    kv: Kv,
    outage: Outage,
}

impl Ready {
    fn note(&self, outcome: &Result<Lease, BackendError>) {
        let fault = outcome.as_ref().err();
        if fault.is_some_and(|error| !is_its_own(error)) {
            // of one secret, or of who asks: it says nothing of the backend
            return;
        }
        let backend = &self.from.0.kv.address;
        match self.outage.note(fault) {
            Some(News::Began(error)) => {
                tracing::warn!(%backend, %error, "the secret backend fails: calls that need it are refused");
            }
            Some(News::Over) => tracing::info!(%backend, "the secret backend answers again"),
            None => {}
        }
    }
}

/// Whether an error is the backend's state, and not that of one secret or of who asks.
fn is_its_own(error: &BackendError) -> bool {
    match error {
        BackendError::Unreachable(_)
        | BackendError::Sealed
        | BackendError::Busy(_)
        | BackendError::Failed(_)
        | BackendError::Malformed(_)
        | BackendError::LoginRefused(_)
        | BackendError::UnwrapRefused(_)
        | BackendError::Denied(_) => true,
        BackendError::Path(_)
        | BackendError::Missing(_)
        | BackendError::Field { .. }
        | BackendError::Variable(_)
        | BackendError::Vault(_)
        | BackendError::File { .. }
        | BackendError::NeedsCredential(_) => false,
    }
}

/// The backends of settings that are not in force yet.
#[derive(Debug)]
pub struct Prepared(Option<Arc<Ready>>);

impl Backends {
    /// The backends of `settings`. Nothing is asked yet. Errors: [`BackendsError`].
    pub fn new(settings: &Settings, variables: Variables) -> Result<Self, BackendsError> {
        let owner = Owner { tenant: settings.tenant.clone(), environment: settings.environment.clone() };
        let backends =
            Self { local: Local::new(owner.clone(), variables), owner, kv: ArcSwapOption::empty() };
        backends.install(backends.prepare(settings)?);
        Ok(backends)
    }

    /// What new settings ask for. A backend whose settings did not change stays as it is, logged in; another begins
    /// without a login and with nothing kept.
    ///
    /// Errors: [`BackendsError`].
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, BackendsError> {
        let Some(backend) = &settings.vault.kv else { return Ok(Prepared(None)) };
        // the authorities themselves, and not where they are: the file may hold others by now
        let authorities = backend.ca_file.as_deref().map(|path| authorities(path).map(|pem| (path, pem)));
        let authorities = authorities.transpose()?;
        let digest = authorities.as_ref().map(|(_, pem)| Digest::of(pem));
        let from = (backend.clone(), reach(backend, settings)?, digest);
        if let Some(ready) = self.kv.load_full().filter(|ready| ready.from == from) {
            return Ok(Prepared(Some(ready)));
        }
        let trust = match authorities {
            Some((path, pem)) => trust(path, &pem)?,
            None => Trust::Platform,
        };
        // a client of its own: what is trusted for secrets is trusted for nothing else
        let client = Client::new(from.1.clone(), egress::Settings { trust, ..egress::Settings::default() });
        let kv = Kv::new(backend.kv.clone(), self.owner.clone(), client)?;
        Ok(Prepared(Some(Arc::new(Ready { from, kv, outage: Outage::default() }))))
    }

    /// Puts in force what was prepared.
    pub fn install(&self, Prepared(ready): Prepared) {
        self.kv.store(ready);
    }

    pub(crate) fn variable(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        variable: &str,
    ) -> Result<Lease, Refusal> {
        self.local.variable(permit, call, name, variable).map_err(|error| refusal(name, &error))
    }

    pub(crate) fn file(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        path: &Path,
    ) -> Result<Lease, Refusal> {
        self.local.file(permit, call, name, path).map_err(|error| refusal(name, &error))
    }

    /// The secret at `place`. `stored` opens the backend's own credential, when a login needs it.
    pub(crate) async fn kv(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        place: &KvPlace,
        stored: impl AsyncFnOnce(SecretName) -> Result<Lease, Refusal>,
    ) -> Result<Lease, Refusal> {
        let ready = self.kv.load_full();
        let Some(ready) = ready else {
            // a call that began under settings which had one
            return Err(Refusal::new(Code::SecretBackendUnavailable, "the backend is no longer configured"));
        };
        let first = ready.kv.lease(permit, call, name, place, None).await;
        let outcome = match first {
            Err(BackendError::NeedsCredential(credential)) => {
                let credential = stored(credential).await?;
                ready.kv.lease(permit, call, name, place, Some(&credential)).await
            }
            outcome => outcome,
        };
        ready.note(&outcome);
        outcome.map_err(|error| refusal(name, &error))
    }
}

/// Why the file with a backend's authorities cannot be used, for whoever only checks.
pub fn unusable_authorities(path: &Path) -> Option<BackendsError> {
    authorities(path).and_then(|pem| trust(path, &pem)).err()
}

/// The backend's own origin and nothing else.
fn reach(backend: &Backend, settings: &Settings) -> Result<EgressPolicy, BackendsError> {
    let uri = backend.kv.address.parse().map_err(|_| egress::OriginError::NotAbsolute)?;
    let networks = settings.networks.iter().chain(&backend.networks).copied();
    let place = networks.fold(Destination::declared(Origin::of(&uri)?), Destination::within);
    Ok(EgressPolicy::default().with(place))
}

fn authorities(path: &Path) -> Result<Vec<u8>, BackendsError> {
    let wrong = |why: String| BackendsError::Trust { path: path.to_owned(), why };
    let mut pem = Vec::new();
    let read = launch::open_plain(path).and_then(|file| file.take(TRUST_BYTES_MAX + 1).read_to_end(&mut pem));
    read.map_err(|e| wrong(e.to_string()))?;
    if pem.len() as u64 > TRUST_BYTES_MAX {
        return Err(wrong(format!("it is larger than {TRUST_BYTES_MAX} bytes")));
    }
    Ok(pem)
}

fn trust(path: &Path, pem: &[u8]) -> Result<Trust, BackendsError> {
    Trust::platform_and_pem(pem).map_err(|why| BackendsError::Trust { path: path.to_owned(), why })
}

/// Whose no it is: the backend's state, its policy, or a secret that is not there.
fn refusal(name: &SecretName, error: &BackendError) -> Refusal {
    let code = match error {
        BackendError::Path(PathError::NoUser) => Code::UserRequired,
        BackendError::Path(PathError::User(_) | PathError::Template(_))
        | BackendError::Missing(_)
        | BackendError::Field { .. }
        | BackendError::Variable(_) => Code::SecretMissing,
        BackendError::Vault(_) | BackendError::File { .. } | BackendError::NeedsCredential(_) => {
            Code::SecretUnreadable
        }
        BackendError::Unreachable(_)
        | BackendError::Sealed
        | BackendError::Busy(_)
        | BackendError::Failed(_)
        | BackendError::Malformed(_) => Code::SecretBackendUnavailable,
        BackendError::LoginRefused(_) | BackendError::UnwrapRefused(_) | BackendError::Denied(_) => {
            Code::SecretBackendRefused
        }
    };
    let refusal = Refusal::new(code, format!("secret `{name}`: {error}"));
    // what the code says by itself is of stored ones; where the file is concerns nobody else
    if let BackendError::File { why, .. } = error {
        return refusal.told(format!("the file with the secret that the server needs cannot be used: {why}"));
    }
    if let BackendError::Variable(_) = error {
        let unset = "the variable with the secret that the server needs was not set when the gateway started";
        return refusal.told(unset);
    }
    if code == Code::SecretMissing {
        let lacks =
            "the backend that the secret comes from has none for the server: the operator can put it there";
        return refusal.told(lacks);
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_calls_is_told_what_is_wrong_with_a_file_and_not_where_it_is() {
        let name = SecretName::new("key".to_owned()).unwrap();
        let why = "others can read or write it (mode 644)".to_owned();
        let open = refusal(&name, &BackendError::File { path: "/srv/dev.key".into(), why });
        let told = open.told.unwrap();
        assert!(told.contains("mode 644") && !told.contains("/srv"), "{told}");
        assert!(open.because.contains("/srv/dev.key"), "{}", open.because);
        let unset = refusal(&name, &BackendError::Variable("KEY".to_owned()));
        assert!(unset.told.is_some_and(|told| told.contains("not set") && !told.contains("KEY")));
        assert_eq!(refusal(&name, &BackendError::Sealed).told, None);
        // nothing that is stored here would help
        let lacks = refusal(&name, &BackendError::Missing("team/key".to_owned())).told.unwrap();
        assert!(lacks.contains("the backend") && !lacks.contains("secret set"), "{lacks}");
    }
}
