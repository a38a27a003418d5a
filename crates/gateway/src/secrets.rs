//! The one credential this call needs: opened for it, and wiped after.

use crate::gate::{Gate, Live};
use crate::settings::{Authority, CredentialUse, Place, Source};
use crate::upstream::{Hidden, Injected};
use decision::{Actor, Call, Code, Passed, Permit, Refusal, SecretName, ServerName, Timestamp, UserName};
use http::HeaderName;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use store::{Revision, Scope};
use vault::{Lease, Sealed, SecretRef};

/// A sealed secret, ready to be opened.
#[derive(Debug)]
struct Known {
    sealed: Sealed,
    at: SecretRef,
    expires_at: Option<Timestamp>,
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
}

impl SealedSecrets {
    /// Forgets everything if the store has changed since.
    pub(crate) fn renew(&self, revision: Revision) {
        let mut known = self.known.lock();
        if known.0 != revision {
            *known = (revision, BTreeMap::new());
        }
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
        let scope = Scope::new(live.settings.tenant.clone(), live.settings.environment.clone());
        let stored =
            gate.store.sealed_secret(&scope, name, server, user).await.map_err(|e| unreadable(&e))?;
        let Some(stored) = stored else { return Ok(None) };
        let found = Arc::new(Known {
            at: SecretRef {
                tenant: scope.tenant,
                environment: scope.environment,
                name: stored.listing.name,
                user: stored.listing.user,
                version: u32::try_from(stored.listing.version).map_err(|e| unreadable(&e))?,
            },
            sealed: Sealed::from_bytes(stored.sealed.0).map_err(|e| unreadable(&e))?,
            expires_at: stored.listing.expires_at,
        });
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
        let Some(lease) = value(gate, live, permit, call, holder, one).await? else { continue };
        place(&mut injected, &one.place, &lease)
            .map_err(|e| Refusal::new(Code::SecretUnreadable, format!("secret `{}`: {e}", one.secret)))?;
        let mark = one.source.mark();
        basis.push(match holder.user() {
            Some(user) => format!("secret:{}:{user}{mark}", one.secret),
            None => format!("secret:{}{mark}", one.secret),
        });
    }
    Ok(Passed::new(Arc::new(injected), basis))
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
) -> Result<Option<Lease>, Refusal> {
    let server = &call.target().server;
    let name = &one.secret;
    match &one.source {
        Source::Stored => stored(gate, live, permit, call, holder, name).await,
        // an errand at a server that people use in their own names, where every path is somebody's
        Source::Kv(place) if matches!(holder, Holder::Errand) && place.path.is_per_user() => Ok(None),
        Source::Kv(place) => {
            let bootstrap = async |credential: SecretName| {
                let opened = stored(gate, live, permit, call, Holder::Shared, &credential).await?;
                opened.ok_or_else(|| missing(server, &credential, Holder::Shared))
            };
            gate.backends.kv(permit, call, name, place, bootstrap).await.map(Some)
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
) -> Result<Option<Lease>, Refusal> {
    let server = &call.target().server;
    let Some(known) = gate.secrets.find(gate, live, server, name, holder.user()).await? else {
        return match holder {
            Holder::Errand => Ok(None),
            Holder::Shared | Holder::User(_) => Err(missing(server, name, holder)),
        };
    };
    if known.expires_at.is_some_and(|at| gate.clock.now() >= at) {
        return Err(Refusal::new(Code::SecretMissing, format!("secret `{name}` has expired")));
    }
    let lease = gate.opener.lease(permit, call, &known.sealed, &known.at);
    lease.map(Some).map_err(|e| Refusal::new(Code::SecretUnreadable, format!("secret `{name}`: {e}")))
}

fn missing(server: &ServerName, name: &SecretName, holder: Holder<'_>) -> Refusal {
    let because = match holder.user() {
        Some(user) => {
            format!(
                "no secret `{name}` of user `{user}` is stored for server `{server}`, and no other stands in"
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
            injected.headers.push((name, Hidden::new(value).of(lease.name())));
        }
        Place::Query { name } => {
            injected.query.push((name.clone(), Hidden::new(text()?.as_bytes().to_vec()).of(lease.name())))
        }
        Place::Env { name } => {
            injected.env.push((name.clone(), Hidden::new(lease.bytes().to_vec()).of(lease.name())))
        }
    }
    Ok(())
}
