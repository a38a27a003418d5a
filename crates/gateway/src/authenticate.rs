//! Who is asking. No principal, no session, no credential lookup.

use crate::exchange::{Arrival, Party, Presented};
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::route::{Route, What};
use crate::session::Session;
use decision::{Actor, AgentName, Code, Era, Passed, Principal, Refusal, Transport};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use store::{Revision, Scope, TokenHash, TokenRecord};

/// An authenticated asker, and the session it speaks in.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) principal: Arc<Principal>,
    pub(crate) session: Option<Arc<Session>>,
    /// The revision in force: the session's where there is one.
    pub(crate) revision: wire::Revision,
    /// The raw capabilities the Host declared.
    pub(crate) capabilities: Option<bytes::Bytes>,
}

impl Asker {
    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }
}

/// Known tokens, by hash, as of one revision of the store. Emptied when anything about principals
/// changes, so that a revocation counts as soon as the store says so.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: Mutex<(Revision, ByHash)>,
}

type ByHash = BTreeMap<[u8; 32], Arc<TokenRecord>>;

/// Most tokens kept in memory.
const TOKENS_MAX: usize = 4_096;

impl Tokens {
    /// Forgets everything if the store has changed since.
    pub(crate) fn renew(&self, revision: Revision) {
        let mut known = self.known.lock();
        if known.0 != revision {
            *known = (revision, BTreeMap::new());
        }
    }

    async fn find(&self, gate: &Gate, hash: [u8; 32]) -> Result<Option<Arc<TokenRecord>>, Refusal> {
        let revision = {
            let known = self.known.lock();
            if let Some(record) = known.1.get(&hash) {
                return Ok(Some(Arc::clone(record)));
            }
            known.0
        };
        let record = gate.store.token_by_hash(&TokenHash(hash)).await.map_err(|e| {
            Refusal::new(Code::StageFailed, format!("the store cannot be asked about tokens: {e}"))
        })?;
        let Some(record) = record.map(Arc::new) else {
            return Ok(None);
        };
        let mut known = self.known.lock();
        // what was read before a change must not be remembered after it
        if known.0 == revision && known.1.len() < TOKENS_MAX {
            known.1.insert(hash, Arc::clone(&record));
        }
        Ok(Some(record))
    }
}

/// Finds out who asks, and the session the message belongs to.
pub(crate) async fn asker(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    route: &Route,
    leg: &mut Leg,
) -> Result<Passed<Asker>, Refusal> {
    if gate.is_draining() && matches!(arrival.party, Party::Host) {
        return Err(Refusal::new(Code::Draining, "the gateway is stopping"));
    }
    let (principal, basis) = match &arrival.party {
        Party::Server(server) => {
            // a question is asked of the Host in the name of the session it belongs to
            let session = arrival.session.as_ref().ok_or_else(no_session)?;
            (Arc::clone(&session.principal), format!("server:{server}"))
        }
        Party::Host => host(gate, live, arrival).await?,
    };
    leg.principal = Arc::clone(&principal);
    let session = session(gate, arrival, route, &principal)?;
    let hello = session.as_ref().and_then(|session| session.hello());
    if let Some(session) = &session {
        session.touch(gate.clock.now());
        leg.interaction = session.interaction.clone();
    }
    if let Some(hello) = &hello
        && route.era() == Era::Legacy
    {
        leg.claims = hello.claims.clone();
        leg.speaks(hello.revision.era(), hello.revision.as_str());
    }
    let (revision, capabilities) = match (&route.modern, hello) {
        (Some(modern), _) => (route.revision, Some(modern.capabilities.clone())),
        (None, Some(hello)) => (hello.revision, Some(hello.capabilities)),
        (None, None) => (route.revision, None),
    };
    Ok(Passed::new(Asker { principal, session, revision, capabilities }, vec![basis]))
}

async fn host(gate: &Gate, live: &Live, arrival: &Arrival) -> Result<(Arc<Principal>, String), Refusal> {
    match &arrival.presented {
        Presented::InUrl => Err(Refusal::new(Code::CredentialInUrl, "a token came in the query string")),
        Presented::Configured(agent) => {
            let principal = match &arrival.session {
                Some(session) => Arc::clone(&session.principal),
                None => Arc::new(plain(live, agent)),
            };
            Ok((principal, format!("configured:{agent}")))
        }
        Presented::Authorization(values) => {
            let text = identity::bearer(values.iter().map(|value| value.as_ref())).map_err(no_bearer)?;
            let token = identity::ApiToken::parse(text)
                .map_err(|e| Refusal::new(Code::CredentialMalformed, e.to_string()))?;
            let record = gate.tokens.find(gate, *token.hash().as_bytes()).await?;
            let record = record
                .ok_or_else(|| Refusal::new(Code::CredentialUnknown, "no such token was issued here"))?;
            let principal = record.principal(gate.clock.now()).map_err(|lapsed| match lapsed {
                store::Lapsed::Revoked => {
                    Refusal::new(Code::CredentialRevoked, format!("{} was revoked", record.id))
                }
                store::Lapsed::Expired => {
                    Refusal::new(Code::CredentialExpired, format!("{} has expired", record.id))
                }
                store::Lapsed::AgentDisabled => {
                    Refusal::new(Code::CredentialRevoked, format!("agent `{}` is disabled", record.agent))
                }
            })?;
            if principal.tenant != live.settings.tenant || principal.environment != live.settings.environment
            {
                return Err(Refusal::new(Code::CredentialUnknown, "the token is for another environment"));
            }
            Ok((Arc::new(principal), format!("token:{}", record.id)))
        }
        Presented::Nothing => match &live.settings.unauthenticated_loopback {
            Some(agent) if arrival.facts.loopback_peer && arrival.transport == Transport::Http => {
                Ok((Arc::new(plain(live, agent)), "unauthenticated-loopback".to_owned()))
            }
            Some(_) | None => Err(Refusal::new(Code::CredentialMissing, "no bearer token")),
        },
    }
}

fn no_bearer(e: identity::BearerError) -> Refusal {
    Refusal::new(Code::CredentialMalformed, e.to_string())
}

/// An agent known by configuration alone.
pub(crate) fn plain(live: &Live, agent: &AgentName) -> Principal {
    Principal {
        tenant: live.settings.tenant.clone(),
        environment: live.settings.environment.clone(),
        actor: Actor::Agent(agent.clone()),
        groups: std::collections::BTreeSet::new(),
        user: None,
    }
}

/// The principal of a connection whose agent is configured, with what the store knows of that agent.
pub async fn configured(gate: &Gate, agent: &AgentName) -> Result<Principal, store::StoreError> {
    let live = gate.live();
    let scope = Scope::new(live.settings.tenant.clone(), live.settings.environment.clone());
    let known = gate.store.list_agents(&scope).await?.into_iter().find(|known| known.name == *agent);
    let mut principal = plain(&live, agent);
    if let Some(known) = known {
        principal.groups = known.groups;
        if let Some(name) = known.user {
            principal.user = gate.store.list_users(&scope).await?.into_iter().find(|user| user.name == name);
        }
    }
    Ok(principal)
}

fn session(
    gate: &Gate,
    arrival: &Arrival,
    route: &Route,
    principal: &Principal,
) -> Result<Option<Arc<Session>>, Refusal> {
    if let Some(session) = &arrival.session {
        return Ok(Some(Arc::clone(session)));
    }
    if route.era() == Era::Modern {
        // 2026-07-28: session headers are ignored
        return Ok(None);
    }
    let begins = matches!(route.what, What::Method(method) if method.name == "initialize");
    if begins {
        return Ok(None);
    }
    let id = arrival.facts.session.as_deref().ok_or_else(no_session)?;
    match gate.sessions.find(id, principal, &arrival.entrance) {
        Some(session) => Ok(Some(session)),
        None => Err(Refusal::new(Code::SessionUnknown, "no such session of this principal at this address")),
    }
}

fn no_session() -> Refusal {
    Refusal::new(Code::SessionRequired, "the message needs a session")
}
