//! What the console's webhooks are given: keys, opened as every secret is, and the way out.

use super::files::InForce;
use crate::sources::SystemClock;
use console::hooks::{Callback, Key, Keys, Sender};
use decision::SecretName;
use futures::future::BoxFuture;
use gateway::Gate;
use std::net::SocketAddr;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// So long a key is used before it is opened anew, where no secret changed meanwhile.
const KEPT: Duration = Duration::from_secs(300);
/// So long it is not asked again for one that cannot be had.
const REFUSED: Duration = Duration::from_secs(10);

type Known = Result<Key, String>;

/// The keys of one gateway. Each opening is an errand with an entry of its own, so they are kept for a while.
struct Vault {
    gate: Weak<Gate>,
    known: Mutex<BTreeMap<SecretName, Kept>>,
}

/// A key, and as of when.
struct Kept {
    at: Instant,
    revision: store::Revision,
    known: Known,
}

impl Vault {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<SecretName, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Keys for Vault {
    fn key(&self, name: &SecretName) -> BoxFuture<'_, Known> {
        let name = name.clone();
        Box::pin(async move {
            let gate = self.gate.upgrade().ok_or("the gateway is stopping")?;
            // a key that was removed speaks for nobody any more, and one that was replaced neither
            let revision = gateway::webhooks::secrets_revision(&gate);
            if let Some(kept) = self.known().get(&name)
                && kept.revision == revision
                && kept.at.elapsed() < if kept.known.is_ok() { KEPT } else { REFUSED }
            {
                return kept.known.clone();
            }
            let opened = gateway::webhook_key(&gate, &name).await.map_err(|refusal| refusal.because);
            let key = opened
                .and_then(|lease| Key::read(lease.bytes()).map_err(|error| format!("`{name}`: {error}")));
            self.known().insert(name, Kept { at: Instant::now(), revision, known: key.clone() });
            key
        })
    }
}

pub(super) fn keys(gate: &Arc<Gate>) -> Arc<dyn Keys> {
    Arc::new(Vault { gate: Arc::downgrade(gate), known: Mutex::default() })
}

/// What takes callbacks.
pub(super) fn callback(
    gate: &Gate,
    in_force: &InForce,
    keys: &Arc<dyn Keys>,
    servers: Arc<dyn console::Servers>,
) -> Callback {
    Callback {
        desk: Arc::clone(gate.desk()),
        scope: gate.live().settings.scope(),
        settings: Arc::clone(&in_force.console),
        keys: Arc::clone(keys),
        clock: Arc::new(SystemClock),
        servers,
    }
}

/// What tells addresses.
pub(super) fn sender(
    gate: &Arc<Gate>,
    in_force: &InForce,
    keys: &Arc<dyn Keys>,
    address: SocketAddr,
) -> Sender {
    Sender {
        desk: Arc::clone(gate.desk()),
        scope: gate.live().settings.scope(),
        settings: Arc::clone(&in_force.console),
        base: gate.live().settings.console_base(address),
        client: egress::Client::new(egress::EgressPolicy::default(), egress::Settings::default()),
        keys: Arc::clone(keys),
        clock: Arc::new(SystemClock),
        servers: super::console::servers(gate, in_force),
    }
}
