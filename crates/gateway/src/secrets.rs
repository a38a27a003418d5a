//! The one credential this call needs: opened for it, and wiped after.

use crate::gate::{Gate, Live};
use crate::settings::{CredentialUse, Place};
use crate::upstream::{Hidden, Injected};
use decision::{Call, Code, Passed, Permit, Refusal, SecretName, ServerName};
use http::HeaderName;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use store::{Revision, Scope, StoredSecret};
use vault::{Lease, Sealed, SecretRef};

type ByName = BTreeMap<(ServerName, SecretName), Arc<StoredSecret>>;

/// Sealed secrets, as of one revision of the store. Nothing in here can be read without the key.
#[derive(Debug, Default)]
pub(crate) struct SealedSecrets {
    known: Mutex<(Revision, ByName)>,
}

impl SealedSecrets {
    /// Forgets everything if the store has changed since.
    pub(crate) fn renew(&self, revision: Revision) {
        let mut known = self.known.lock();
        if known.0 != revision {
            *known = (revision, BTreeMap::new());
        }
    }

    async fn find(
        &self,
        gate: &Gate,
        scope: &Scope,
        server: &ServerName,
        name: &SecretName,
    ) -> Result<Arc<StoredSecret>, Refusal> {
        let key = (server.clone(), name.clone());
        let revision = {
            let known = self.known.lock();
            if let Some(secret) = known.1.get(&key) {
                return Ok(Arc::clone(secret));
            }
            known.0
        };
        let stored = gate
            .store
            .sealed_secret(scope, name, server, None)
            .await
            .map_err(|e| Refusal::new(Code::SecretUnreadable, e.to_string()))?;
        let stored = stored.map(Arc::new).ok_or_else(|| {
            Refusal::new(Code::SecretMissing, format!("no secret `{name}` is stored for server `{server}`"))
        })?;
        let mut known = self.known.lock();
        if known.0 == revision {
            known.1.insert(key, Arc::clone(&stored));
        }
        Ok(stored)
    }
}

/// Opens what the call's server needs. Needs the call's permit, so there is no credential without one.
pub(crate) async fn lease(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
) -> Result<Passed<Arc<Injected>>, Refusal> {
    if !permit.covers(call) {
        return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
    }
    let server = &call.target().server;
    let uses = match call.direction() {
        decision::Direction::ToServer => {
            live.settings.servers.get(server).map(|server| server.credentials.as_slice())
        }
        // a Host is told nothing that is not its own
        decision::Direction::ToHost => None,
    };
    let uses = uses.unwrap_or_default();
    let injected = open(gate, live, permit, call, uses).await?;
    let basis = uses.iter().map(|one| format!("secret:{}", one.secret)).collect();
    Ok(Passed::new(Arc::new(injected), basis))
}

async fn open(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
    uses: &[CredentialUse],
) -> Result<Injected, Refusal> {
    let mut injected = Injected::default();
    let scope = Scope::new(live.settings.tenant.clone(), live.settings.environment.clone());
    let server = &call.target().server;
    for one in uses {
        let stored = gate.secrets.find(gate, &scope, server, &one.secret).await?;
        if stored.expired(gate.clock.now()) {
            return Err(Refusal::new(Code::SecretMissing, format!("secret `{}` has expired", one.secret)));
        }
        let unreadable = |e: &dyn std::fmt::Display| {
            Refusal::new(Code::SecretUnreadable, format!("secret `{}`: {e}", one.secret))
        };
        let at = SecretRef {
            tenant: scope.tenant.clone(),
            environment: scope.environment.clone(),
            name: one.secret.clone(),
            version: u32::try_from(stored.listing.version).map_err(|e| unreadable(&e))?,
        };
        let sealed = Sealed::from_bytes(stored.sealed.0.clone()).map_err(|e| unreadable(&e))?;
        let lease = gate.opener.lease(permit, call, &sealed, &at).map_err(|e| unreadable(&e))?;
        place(&mut injected, &one.place, &lease).map_err(|e| unreadable(&e))?;
    }
    Ok(injected)
}

fn place(injected: &mut Injected, place: &Place, lease: &Lease) -> Result<(), String> {
    let text = || lease.header().map_err(|e| e.to_string());
    match place {
        Place::Header { name, prefix } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is not a header name"))?;
            let secret = text()?;
            let mut value = Vec::with_capacity(prefix.len() + secret.len());
            value.extend_from_slice(prefix.as_bytes());
            value.extend_from_slice(secret.as_bytes());
            injected.headers.push((name, Hidden::new(value)));
        }
        Place::Query { name } => {
            injected.query.push((name.clone(), Hidden::new(text()?.as_bytes().to_vec())))
        }
        Place::Env { name } => injected.env.push((name.clone(), Hidden::new(lease.bytes().to_vec()))),
    }
    Ok(())
}
