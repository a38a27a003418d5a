//! The one credential this call needs: opened for it, and wiped after.
//!
//! A value that a newer one has replaced is kept in the store until nothing holds it any more.

use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::settings::{Authority, CredentialUse, Place, Source};
use crate::upstream::{Hidden, Injected, Look};
use decision::{Actor, Call, Code, Passed, Permit, Refusal, SecretName, ServerName, Timestamp, UserName};
use http::HeaderName;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};
use store::{RetiredSecret, Revision, Scope, SecretListing, StoreError, StoredSecret};
use vault::{Lease, Sealed, SecretRef, VaultError};

/// Longest that a backend is waited for, logins included, where `call-timeout` is not shorter.
const KV_MAX: Duration = Duration::from_secs(10);
/// For what was begun with a value to be seen as using it: a replica may learn of the new one late.
const SETTLE: Duration = Duration::from_secs(60);
/// Longest that a replaced value is kept, also where something still holds it.
const KEPT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A sealed secret, ready to be opened.
#[derive(Debug)]
pub(crate) struct Known {
    sealed: Sealed,
    at: SecretRef,
    /// When the first value of it was stored: one that was removed and stored anew begins with the first version again.
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Known {
    /// Whether this is one of the values a store lists now.
    fn is(&self, name: &SecretName, user: Option<&UserName>, version: u64) -> bool {
        self.at.name == *name && self.at.user.as_ref() == user && u64::from(self.at.version) == version
    }
    fn is_current(&self, listed: &[SecretListing]) -> bool {
        let is_it = |one: &SecretListing| {
            self.is(&one.name, one.user.as_ref(), one.version) && one.created_at == self.created_at
        };
        listed.iter().any(is_it)
    }
    fn is_removed(&self, listed: &[SecretListing]) -> bool {
        let is_it = |one: &SecretListing| {
            one.name == self.at.name && one.user == self.at.user && one.created_at == self.created_at
        };
        !listed.iter().any(is_it)
    }
}

/// The secrets of one name at one server. The shared one and those of users never stand in for each other.
#[derive(Debug, Default)]
struct Holders {
    shared: Option<Arc<Known>>,
    users: BTreeMap<UserName, Arc<Known>>,
}

type ByServer = BTreeMap<ServerName, BTreeMap<SecretName, Holders>>;

/// Sealed secrets, as of one revision of the store. Nothing in here can be read without the key.
#[derive(Debug, Default)]
pub(crate) struct SealedSecrets {
    known: Mutex<(Revision, ByServer)>,
    /// What was known before a change and is still held by a call or a child.
    held: Mutex<Vec<Weak<Known>>>,
}

impl SealedSecrets {
    /// Forgets everything if the store has changed since.
    pub(crate) fn renew(&self, revision: Revision) {
        if self.known.lock().0 != revision {
            self.begin(revision);
        }
    }

    /// The revision of the store that they are of.
    pub(crate) fn revision(&self) -> Revision {
        self.known.lock().0
    }

    /// Which versions of a server's stored secrets are in force for everybody. None of them is opened.
    pub(crate) async fn versions(
        &self,
        gate: &Gate,
        live: &Live,
        server: &ServerName,
    ) -> Result<Vec<u32>, Refusal> {
        let settings = live.settings.servers.get(server);
        let mut versions = Vec::new();
        for one in settings.iter().flat_map(|settings| &settings.credentials) {
            if matches!(one.source, Source::Stored) {
                let known = self.find(gate, live, server, &one.secret, None).await?;
                versions.push(known.map_or(0, |known| known.at.version));
            }
        }
        Ok(versions)
    }

    /// Forgets everything: what is sealed under which key may have changed.
    pub(crate) fn forget(&self) {
        let revision = self.known.lock().0;
        self.begin(revision);
    }

    fn begin(&self, revision: Revision) {
        let before = std::mem::replace(&mut *self.known.lock(), (revision, BTreeMap::new())).1;
        let holders = before.values().flat_map(BTreeMap::values);
        let all = holders.flat_map(|holders| holders.shared.iter().chain(holders.users.values()));
        let mut held = self.held.lock();
        held.retain(|one| one.strong_count() > 0);
        held.extend(all.filter(|one| Arc::strong_count(one) > 1).map(Arc::downgrade));
    }

    /// Whether a call or a child of this gateway still holds that value.
    fn in_use(&self, retired: &RetiredSecret) -> bool {
        let held = self.held.lock();
        let mut held = held.iter().filter_map(Weak::upgrade);
        held.any(|one| one.is(&retired.name, retired.user.as_ref(), retired.version))
    }

    /// The secret of this name for this server and this user, or the shared one where there is no user.
    async fn find(
        &self,
        gate: &Gate,
        live: &Live,
        server: &ServerName,
        name: &SecretName,
        user: Option<&UserName>,
    ) -> Result<Option<Arc<Known>>, Refusal> {
        let revision = {
            let known = self.known.lock();
            let holders = known.1.get(server).and_then(|names| names.get(name));
            let found = holders.and_then(|holders| match user {
                Some(user) => holders.users.get(user),
                None => holders.shared.as_ref(),
            });
            if let Some(found) = found {
                return Ok(Some(Arc::clone(found)));
            }
            known.0
        };
        let unreadable =
            |e: &dyn std::fmt::Display| Refusal::new(Code::SecretUnreadable, format!("secret `{name}`: {e}"));
        let scope = live.settings.scope();
        // boxed, as all that a call seldom needs: each call carries what it may wait for
        let stored = Box::pin(gate.store.sealed_secret(&scope, name, server, user)).await;
        let stored = stored.map_err(|e| unreadable(&e))?;
        let Some(stored) = stored else { return Ok(None) };
        let (created_at, expires_at) = (stored.listing.created_at, stored.listing.expires_at);
        let (sealed, at) = sealed_at(&scope, stored).map_err(|e| unreadable(&e))?;
        let found = Arc::new(Known { sealed, at, created_at, expires_at });
        let mut known = self.known.lock();
        if known.0 == revision {
            let holders = known.1.entry(server.clone()).or_default().entry(name.clone()).or_default();
            match user {
                Some(user) => drop(holders.users.insert(user.clone(), Arc::clone(&found))),
                None => holders.shared = Some(Arc::clone(&found)),
            }
        }
        Ok(Some(found))
    }
}

/// What was stored, and the place that was bound into it. Errors: a sentence about what is stored.
pub(crate) fn sealed_at(scope: &Scope, stored: StoredSecret) -> Result<(Sealed, SecretRef), String> {
    let at = SecretRef {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        name: stored.listing.name,
        user: stored.listing.user,
        version: u32::try_from(stored.listing.version).map_err(|e| e.to_string())?,
    };
    let sealed = Sealed::from_bytes(stored.sealed.0).map_err(|e| e.to_string())?;
    Ok((sealed, at))
}

/// What the call needs, unless its answer is there already. Whoever was let in may be known no longer when a backend
/// has taken its time, so that is asked once more then.
pub(crate) async fn needed(
    gate: &Arc<Gate>,
    live: &Live,
    permit: &Permit,
    call: &Call,
    asker: &Asker,
    look: &Look,
) -> Result<Passed<Arc<Injected>>, Refusal> {
    match look {
        Look::Found(_) => return Ok(Passed::plain(Arc::default())),
        Look::Empty(_) | Look::Never => {}
    }
    let lease = lease(gate, live, permit, call).await?;
    let server = live.settings.servers.get(&call.target().server);
    let mut sources = server.iter().flat_map(|server| &server.credentials).map(|one| &one.source);
    if sources.any(|source| matches!(source, Source::Kv(_))) {
        // boxed, as all that a call seldom needs
        let lapsed = Box::pin(async { asker.lapse(gate, &gate.live()).await }).await;
        if let Some(code) = lapsed {
            let because = "the asker was let in no longer by the time the secret had come";
            return Err(Refusal::new(code, because));
        }
    }
    Ok(lease)
}

/// Opens what the call's server needs. Needs the call's permit, so there is no credential without one, and reads
/// from the call whose it is, so there is none without a principal.
pub(crate) async fn lease(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
) -> Result<Passed<Arc<Injected>>, Refusal> {
    if !permit.covers(call) {
        return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
    }
    let settings = match call.direction() {
        decision::Direction::ToServer => live.settings.servers.get(&call.target().server),
        // a Host is told nothing that is not its own
        decision::Direction::ToHost => None,
    };
    let Some(settings) = settings else { return Ok(Passed::plain(Arc::default())) };
    let holder = holder(settings.authority, call)?;
    let mut injected = Injected { holder: holder.user().cloned(), ..Injected::default() };
    let mut basis = Vec::with_capacity(settings.credentials.len());
    for one in &settings.credentials {
        let Some(lease) = value(gate, live, permit, call, holder, one, &mut injected.held).await? else {
            continue;
        };
        place(&mut injected, &one.place, &lease).map_err(|because| unusable(&one.source, because))?;
        let mark = one.source.mark();
        basis.push(match holder.user() {
            Some(user) => format!("secret:{}:{user}{mark}", one.secret),
            None => format!("secret:{}{mark}", one.secret),
        });
    }
    if let Some(assertion) = &settings.assertion {
        let begun = Box::pin(gate.assertions.begin(gate, live, permit, call, assertion)).await;
        injected.assertion = Some(begun?);
        basis.push(format!("assertion:{}", assertion.audience));
    }
    Ok(Passed::new(Arc::new(injected), basis))
}

/// Opens what is the gateway's own, for an errand to an identity provider or an address that is told, and no other call.
pub(crate) async fn of_our_own(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
    name: &SecretName,
) -> Result<Passed<Lease>, Refusal> {
    let own = [crate::introspection::PROVIDER, crate::webhooks::WEBHOOK];
    if !permit.covers(call) || !own.contains(&call.target().server.as_str()) {
        return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
    }
    let lease = stored(gate, live, permit, call, Holder::Shared, name, &mut Vec::new()).await?;
    let lease = lease.ok_or_else(|| missing(&call.target().server, name, Holder::Shared))?;
    Ok(Passed::new(lease, vec![format!("secret:{name}")]))
}

/// Whose credential a call goes out with.
#[derive(Debug, Clone, Copy)]
enum Holder<'a> {
    /// Everybody's.
    Shared,
    /// This user's, and nobody else's.
    User(&'a UserName),
    /// The gateway's own, for an errand to a server that people use in their own names: the shared secret where
    /// there is one. No person's call is ever sent with it.
    Errand,
}

impl<'a> Holder<'a> {
    fn user(self) -> Option<&'a UserName> {
        match self {
            Self::User(user) => Some(user),
            Self::Shared | Self::Errand => None,
        }
    }
}

fn holder(authority: Authority, call: &Call) -> Result<Holder<'_>, Refusal> {
    let principal = call.principal();
    match (authority, principal.person()) {
        (Authority::Shared, _) => Ok(Holder::Shared),
        (Authority::PerUser, Some(user)) => Ok(Holder::User(user)),
        (Authority::PerUser, None) if principal.actor == Actor::Gateway => Ok(Holder::Errand),
        (Authority::PerUser, None) => {
            let server = &call.target().server;
            let because = format!("server `{server}` is used per user, and no user is behind the asker");
            let remedy = "Sign in as a person, or have the operator say for whom this agent acts.";
            Err(Refusal::new(Code::UserRequired, because).remedy(remedy, Vec::new()))
        }
    }
}

/// The value of one secret for this call, from wherever it comes. `None` only for an errand, which may go without.
async fn value(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
    holder: Holder<'_>,
    one: &CredentialUse,
    held: &mut Vec<Arc<Known>>,
) -> Result<Option<Lease>, Refusal> {
    let server = &call.target().server;
    let name = &one.secret;
    match &one.source {
        Source::Stored => stored(gate, live, permit, call, holder, name, held).await,
        // an errand at a server that people use in their own names, where every path is somebody's
        Source::Kv(place) if matches!(holder, Holder::Errand) && place.path.is_per_user() => Ok(None),
        Source::Kv(place) => {
            let bootstrap = async |credential: SecretName| {
                let opened =
                    stored(gate, live, permit, call, Holder::Shared, &credential, &mut Vec::new()).await?;
                opened.ok_or_else(|| missing(server, &credential, Holder::Shared))
            };
            // what is bounded is each request of it, and there may be four: reading, and logging in between
            let asked = Box::pin(gate.backends.kv(permit, call, name, place, bootstrap));
            let patience =
                live.settings.servers.get(server).map_or(KV_MAX, |one| one.call_timeout.min(KV_MAX));
            let asked = tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| {
                let because = format!("secret `{name}`: the backend did not answer within {patience:?}");
                Err(Refusal::new(Code::SecretBackendUnavailable, because))
            });
            asked.map(Some)
        }
        Source::Variable(variable) => gate.backends.variable(permit, call, name, variable).map(Some),
        Source::File(path) => gate.backends.file(permit, call, name, path).map(Some),
    }
}

/// The value of a secret that is sealed in the store.
async fn stored(
    gate: &Gate,
    live: &Live,
    permit: &Permit,
    call: &Call,
    holder: Holder<'_>,
    name: &SecretName,
    held: &mut Vec<Arc<Known>>,
) -> Result<Option<Lease>, Refusal> {
    let server = &call.target().server;
    let Some(mut known) = gate.secrets.find(gate, live, server, name, holder.user()).await? else {
        return match holder {
            Holder::Errand => Ok(None),
            Holder::Shared | Holder::User(_) => Err(missing(server, name, holder)),
        };
    };
    if known.expires_at.is_some_and(|at| gate.clock.now() >= at) {
        return Err(Refusal::new(Code::SecretMissing, format!("secret `{name}` has expired")));
    }
    let mut lease = gate.opener.lease(permit, call, &known.sealed, &known.at);
    if matches!(lease, Err(VaultError::OtherKey { .. })) {
        // moved under another key since it was read, and that key is gone: what is stored now is read
        gate.secrets.forget();
        if let Some(now) = gate.secrets.find(gate, live, server, name, holder.user()).await? {
            known = now;
            lease = gate.opener.lease(permit, call, &known.sealed, &known.at);
        }
    }
    held.push(known);
    lease.map(Some).map_err(|e| Refusal::new(Code::SecretUnreadable, format!("secret `{name}`: {e}")))
}

fn missing(server: &ServerName, name: &SecretName, holder: Holder<'_>) -> Refusal {
    let because = match holder.user() {
        Some(user) => {
            format!(
                "no secret `{name}` of user `{user}` is stored for server `{server}` (one from before they were added is none), and no other stands in"
            )
        }
        None => format!("no secret `{name}` is stored for server `{server}`"),
    };
    let remedy = match holder.user() {
        Some(_) => "The server needs a credential of this user's own; the operator can store it.",
        None => "The operator can store the credential that this server needs.",
    };
    Refusal::new(Code::SecretMissing, because).remedy(remedy, Vec::new())
}

/// A value that cannot stand where it should. What the code says by itself is of stored ones too.
fn unusable(source: &Source, because: String) -> Refusal {
    let refusal = Refusal::new(Code::SecretUnusable, because);
    let place = match source {
        Source::Stored => return refusal,
        Source::Kv(_) => "backend",
        Source::Variable(_) => "variable",
        Source::File(_) => "file",
    };
    refusal.told(format!(
        "the secret that the server needs cannot stand in a header or a query: the operator can put it into its {place} again as \
         visible ASCII, without a blank at an end"
    ))
}

fn place(injected: &mut Injected, place: &Place, lease: &Lease) -> Result<(), String> {
    let text = || lease.header().map_err(|e| e.to_string());
    match place {
        Place::Header { name, prefix } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is not a header name"))?;
            injected.headers.push((name, Hidden::after(prefix, text()?.as_bytes(), lease.name())));
        }
        Place::Query { name } => {
            injected.query.push((name.clone(), Hidden::after("", text()?.as_bytes(), lease.name())))
        }
        Place::Env { name } => {
            injected.env.push((name.clone(), Hidden::after("", lease.bytes(), lease.name())))
        }
    }
    Ok(())
}

/// Lets go of connections whose credential is no longer the current one, after the store has changed: each ends
/// when its calls in flight have, and the next call opens one with the new value (requirements V5, V10).
pub(crate) async fn retire_connections(gate: &Gate, live: &Live) {
    if gate.pool.len() == 0 {
        return;
    }
    let scope = live.settings.scope();
    match gate.store.list_secrets(&scope).await {
        Ok(listed) => {
            let replaced = |injected: &Injected| injected.held.iter().any(|one| !one.is_current(&listed));
            let removed = |injected: &Injected| injected.held.iter().any(|one| one.is_removed(&listed));
            gate.pool.retire_credentials(replaced, removed);
        }
        Err(error) => tracing::warn!(%error, "whether credentials were replaced cannot be asked"),
    }
}

/// Whether one of these was removed or replaced, or has expired. The store is asked where it changed since it was `asked`
/// last; a date is reached without a change. What cannot be asked now is asked again later.
pub(crate) async fn is_withdrawn(
    gate: &Gate,
    live: &Live,
    injected: &Injected,
    asked: &mut Option<Revision>,
) -> bool {
    let now = gate.clock.now();
    if injected.held.iter().any(|one| one.expires_at.is_some_and(|at| at <= now)) {
        return true;
    }
    // before the question: a change that comes meanwhile is asked about the next time
    let revision = gate.secrets.known.lock().0;
    if injected.held.is_empty() || *asked == Some(revision) {
        return false;
    }
    let Ok(listed) = gate.store.list_secrets(&live.settings.scope()).await else { return false };
    *asked = Some(revision);
    injected.held.iter().any(|one| !one.is_current(&listed))
}

/// Removes replaced values that nothing uses any more, here and in whatever holds them: what is held in memory
/// does not need the store. How many were removed.
///
/// Errors: [`StoreError`]; what is left is removed the next time.
pub async fn tidy(gate: &Gate) -> Result<usize, StoreError> {
    let live = gate.live();
    let scope = live.settings.scope();
    let now = gate.clock.now();
    let mut removed = 0;
    for retired in gate.store.retired_secrets(&scope).await? {
        let age = Duration::from_micros(now.since(retired.retired_at));
        let reserved = vault::is_reserved(&retired.name);
        let settle = if reserved { crate::assertion::PUBLISHED_MIN } else { SETTLE };
        if age >= settle && (age >= KEPT_MAX || !gate.secrets.in_use(&retired)) {
            gate.store.purge_secret(&scope, &retired).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
