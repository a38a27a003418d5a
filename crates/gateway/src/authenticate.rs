//! Who is asking. No principal, no session, no credential lookup.

mod kept;
mod standing;

pub(crate) use standing::{Again, Standing};

use crate::exchange::{Arrival, Party, Presented, Vouched};
use crate::gate::{Gate, Live};
use crate::introspection;
use crate::listen::tls::ClientCertificate;
use crate::record::Leg;
use crate::route::{Route, What};
use crate::session::Session;
use crate::workload;
use decision::{Actor, AgentName, Class, Code, Era, Passed, Principal, Refusal, Stage, Transport};
use identity::oauth::Verified;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::{Revision, Scope, TokenHash, TokenRecord};

/// A no to whoever asks, and to whom it is said, where that is known: an agent that was disabled still shows who it is.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    pub(crate) refusal: Refusal,
    known: Option<Arc<Principal>>,
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, known: None }
    }
}

impl TurnedAway {
    fn disabled(principal: &Arc<Principal>, agent: &AgentName) -> Self {
        let refusal = Refusal::new(Code::AgentDisabled, format!("agent `{agent}` is disabled"));
        Self { refusal, known: Some(Arc::clone(principal)) }
    }
}

/// An authenticated asker, and the session it speaks in.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) principal: Arc<Principal>,
    pub(crate) session: Option<Arc<Session>>,
    /// The revision in force: the session's where there is one.
    pub(crate) revision: wire::Revision,
    /// The raw capabilities the Host declared.
    pub(crate) capabilities: Option<bytes::Bytes>,
    /// By what the principal is known.
    pub(crate) standing: Standing,
}

impl Asker {
    /// Why they are not who they were any more, if they are not.
    pub(crate) async fn lapse(&self, gate: &Arc<Gate>, live: &Arc<Live>) -> Option<Code> {
        self.standing.lapse(gate, live, &self.principal, Again::Asked).await
    }
    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }
    /// Whether the Host said that it can be asked this.
    pub(crate) fn declares(&self, question: &str) -> bool {
        let capability = match question {
            "sampling/createMessage" => "sampling",
            "elicitation/create" => "elicitation",
            _ => "roots",
        };
        self.capabilities.as_ref().is_some_and(|raw| wire::json::member(raw, capability).is_some())
    }
}

/// Known tokens, by hash, as of one revision of the store. Emptied when anything about principals
/// changes, so that a revocation counts as soon as the store says so.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: Mutex<(Revision, ByHash)>,
    disabled: Mutex<(Revision, Option<Disabled>)>,
}

/// The agents of a scope that were disabled.
type Disabled = (Scope, Arc<BTreeSet<AgentName>>);

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
        drop(known);
        let mut disabled = self.disabled.lock();
        if disabled.0 != revision {
            *disabled = (revision, None);
        }
    }

    /// Refuses an agent that was disabled: one that is known by configuration has no token to revoke.
    async fn enabled(&self, gate: &Gate, live: &Live, principal: &Arc<Principal>) -> Result<(), TurnedAway> {
        let (Actor::Agent(agent) | Actor::Workload(agent)) = &principal.actor else { return Ok(()) };
        let scope = live.settings.scope();
        let (revision, known) = {
            let known = self.disabled.lock();
            (known.0, known.1.clone().filter(|(of, _)| *of == scope))
        };
        let disabled = match known {
            Some((_, disabled)) => disabled,
            None => {
                let disabled = Arc::new(gate.store.disabled_agents(&scope).await.map_err(|e| {
                    Refusal::new(Code::StageFailed, format!("the store cannot be asked about agents: {e}"))
                })?);
                let mut known = self.disabled.lock();
                // what was read before a change must not be remembered after it
                if known.0 == revision {
                    known.1 = Some((scope, Arc::clone(&disabled)));
                }
                disabled
            }
        };
        if disabled.contains(agent) { Err(TurnedAway::disabled(principal, agent)) } else { Ok(()) }
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

/// Whether this gateway may still write its log, and its database. Of two that write one log, each has half of the record,
/// and one yes goes twice; and where nothing can be written, nobody can be shut out.
pub(crate) fn claimed(gate: &Gate) -> Result<(), Refusal> {
    gate.store.writes_log().map_err(|why| Refusal::new(Code::LogUnclaimed, &*why))?;
    gate.store.was_well().map_err(|why| Refusal::new(Code::DatabaseUnavailable, &*why))
}

fn takes_calls(gate: &Gate) -> Result<(), Refusal> {
    if gate.is_draining() {
        return Err(Refusal::new(Code::Draining, "the gateway is stopping"));
    }
    claimed(gate)
}

/// Writes down a stage's answer. What is wrong with a message is told to whoever is somebody here, and the record says who that is. Whoever is nobody
/// learns that and nothing else, with one exception: a foreign `Host` or `Origin` is not asked who it is, as a page in a
/// browser must not be taken for the program of this machine that it speaks through.
pub(crate) async fn before_told<T>(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    (stage, answer): (Stage, Result<Passed<T>, Refusal>),
    leg: &mut Leg,
) -> Result<T, Refusal> {
    let answer = leg.pass(stage, answer);
    let is_foreign = |code| matches!(code, Code::HostNotAllowed | Code::OriginNotAllowed);
    match &answer {
        Err(no) if matches!(arrival.party, Party::Host) && !is_foreign(no.code) => {
            // boxed: hardly anybody speaks badly, and everybody's path would have room for it
            let known = Box::pin(somebody(gate, live, arrival, leg)).await;
            if let Err(no) = known {
                return leg.pass(Stage::Authenticate, Err(no));
            }
            answer
        }
        Ok(_) | Err(_) => answer,
    }
}

/// Who it is, also for the record. Errors: nobody, or somebody who is turned away, whom the record names too.
async fn somebody(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    leg: &mut Leg,
) -> Result<Known, Refusal> {
    match connected(gate, live, arrival).await {
        Ok(known) => {
            leg.principal = Arc::clone(&known.0);
            Ok(known)
        }
        Err(TurnedAway { refusal, known }) => {
            // nothing is asked for them, and the record says who it was
            leg.principal = known.unwrap_or_else(|| Arc::clone(&leg.principal));
            Err(refusal)
        }
    }
}

/// Finds out who asks, and the session the message belongs to.
pub(crate) async fn asker(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    route: &Route,
    leg: &mut Leg,
) -> Result<Passed<Asker>, Refusal> {
    let (principal, basis, standing) = match &arrival.party {
        Party::Server(server) => {
            // a question is asked of the Host in the name of the session it belongs to
            let session = arrival.session.as_ref().ok_or_else(no_session)?;
            leg.principal = Arc::clone(&session.principal);
            (Arc::clone(&session.principal), format!("server:{server}"), Standing::Session)
        }
        Party::Host => {
            let open = if finishes(route) { Ok(()) } else { takes_calls(gate) };
            match somebody(gate, live, arrival, leg).await {
                Ok(known) => open.map(|()| known)?,
                // what keeps a gateway from taking calls may keep it from knowing anybody
                Err(no) if no.code.class() == Class::Authentication => return Err(no),
                Err(no) => return Err(open.err().unwrap_or(no)),
            }
        }
    };
    let session = session(gate, arrival, route, &principal)?;
    let hello = session.as_ref().and_then(|session| session.hello());
    if let Some(session) = &session {
        session.touch();
        // a batch says it several times, of the same session
        let _ = arrival.found.set(Arc::clone(session));
        if standing.is_shown() {
            // the session lives as long as the last credential that was shown for it
            session.set_standing(standing.clone());
        }
        leg.interaction = session.interaction.clone();
    } else if let Some(modern) = &route.modern {
        leg.interaction = modern.trace.clone().unwrap_or_else(|| {
            let idle_us = crate::approval::micros(live.settings.limits.session_idle);
            let (host, now) = (modern.claims.host.as_deref(), gate.clock.now());
            gate.interactions.join(&principal, host, now, idle_us, &leg.interaction)
        });
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
    if arrival.facts.batch.is_some() && !revision.has_batches() {
        let because = format!("the session speaks {revision}, which has no batches");
        return Err(Refusal::new(Code::BatchUnsupported, because));
    }
    if let Some(host) = standing.token().and_then(Verified::host) {
        leg.claims.host = Some(host.to_owned());
    }
    let certificate = arrival.facts.certificate.as_deref().map(workload::label);
    let basis =
        std::iter::once(basis).chain(certificate.map(|label| format!("certificate:{label}"))).collect();
    Ok(Passed::new(Asker { principal, session, revision, capabilities, standing }, basis))
}

/// Who it is that reads what is no message of MCP.
pub(crate) async fn visitor(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
) -> Result<Arc<Principal>, Refusal> {
    let known = connected(gate, live, arrival).await.map_err(|away| away.refusal)?;
    Ok(known.0)
}

/// What helps a call under way to its end is taken to the last.
fn finishes(route: &Route) -> bool {
    match route.what {
        What::Answer | What::EndSession => true,
        What::Method(method) => method.name == "notifications/cancelled",
        What::OpenStream => false,
    }
}

/// A principal, for the record by what it is known, and by what to ask again.
type Known = (Arc<Principal>, String, Standing);

/// Two credentials may come: a certificate with the connection, and one with the message. Both must be
/// right. The message's names who asks; without one, the certificate does.
async fn connected(gate: &Arc<Gate>, live: &Arc<Live>, arrival: &Arrival) -> Result<Known, TurnedAway> {
    let known = match (workload::shown(gate, arrival)?, &arrival.presented) {
        (None, _) => {
            let (principal, basis, standing) = host(gate, live, arrival).await?;
            let standing = match arrival.facts.bare.clone() {
                Some(tls) => Standing::Bare(tls, Box::new(standing)),
                None => standing,
            };
            (principal, basis, standing)
        }
        (Some(certificate), Presented::Nothing) => of_certificate(gate, live, certificate).await?,
        (Some(certificate), _) => {
            let (principal, basis, standing) = host(gate, live, arrival).await?;
            (principal, basis, Standing::Bound(Arc::clone(certificate), Box::new(standing)))
        }
    };
    arrival.facts.acquaintance.make();
    Ok(known)
}

async fn of_certificate(
    gate: &Gate,
    live: &Live,
    certificate: &Arc<ClientCertificate>,
) -> Result<Known, TurnedAway> {
    workload::holds(gate, certificate)?;
    let workload = workload::named(live, certificate)?;
    let principal = Arc::new(Principal {
        tenant: live.settings.tenant.clone(),
        environment: live.settings.environment.clone(),
        actor: Actor::Workload(workload.name.clone()),
        groups: workload.groups.clone(),
        user: None,
    });
    // so that `callgate agent disable` stops a service too
    gate.tokens.enabled(gate, live, &principal).await?;
    let basis = format!("workload:{}", workload.name);
    Ok((principal, basis, Standing::Workload(Arc::clone(certificate))))
}

async fn host(gate: &Arc<Gate>, live: &Arc<Live>, arrival: &Arrival) -> Result<Known, TurnedAway> {
    match &arrival.presented {
        Presented::InUrl => {
            Err(Refusal::new(Code::CredentialInUrl, "a token came in the query string").into())
        }
        Presented::Configured(agent) => {
            let principal = match &arrival.session {
                Some(session) => Arc::clone(&session.principal),
                None => Arc::new(plain(live, agent)),
            };
            gate.tokens.enabled(gate, live, &principal).await?;
            Ok((principal, format!("configured:{agent}"), Standing::Agent))
        }
        Presented::Authorization(values) => {
            let text = identity::bearer(values.iter().map(|value| value.as_ref())).map_err(Refusal::from)?;
            let token = match identity::ApiToken::parse(text) {
                Err(identity::TokenError::Foreign) if live.settings.oauth.is_some() => {
                    return foreign(gate, live, arrival, text).await;
                }
                parsed => parsed.map_err(|e| Refusal::new(Code::CredentialMalformed, e.to_string()))?,
            };
            of_token(gate, live, *token.hash().as_bytes()).await
        }
        Presented::Kept(Vouched(principal, asked_at)) => kept::kept(gate, live, principal, *asked_at).await,
        Presented::Nothing => match &live.settings.unauthenticated_loopback {
            Some(agent) if arrival.facts.loopback_peer && arrival.transport == Transport::Http => {
                let principal = Arc::new(plain(live, agent));
                gate.tokens.enabled(gate, live, &principal).await?;
                let standing = Standing::Here(agent.clone());
                Ok((principal, "unauthenticated-loopback".to_owned(), standing))
            }
            Some(_) | None => Err(Refusal::new(Code::CredentialMissing, "no bearer token").into()),
        },
    }
}

async fn of_token(gate: &Gate, live: &Live, hash: [u8; 32]) -> Result<Known, TurnedAway> {
    let record = gate.tokens.find(gate, hash).await?;
    let record =
        record.ok_or_else(|| Refusal::new(Code::CredentialUnknown, "no such token was issued here"))?;
    let elsewhere = || Refusal::new(Code::CredentialUnknown, "the token is for another environment");
    let is_ours = record.scope == live.settings.scope();
    let principal = record.principal(gate.clock.now()).map_err(|lapsed| match lapsed {
        store::Lapsed::Revoked => {
            Refusal::new(Code::CredentialRevoked, format!("{} was revoked", record.id)).into()
        }
        store::Lapsed::Expired => {
            Refusal::new(Code::CredentialExpired, format!("{} has expired", record.id)).into()
        }
        // one of another environment is not named in the record of this one
        store::Lapsed::AgentDisabled(_) if !is_ours => TurnedAway::from(elsewhere()),
        store::Lapsed::AgentDisabled(principal) => TurnedAway::disabled(&Arc::new(*principal), &record.agent),
    })?;
    if !is_ours {
        return Err(elsewhere().into());
    }
    Ok((Arc::new(principal), format!("token:{}", record.id), Standing::Token(hash)))
}

/// A token that is not ours: a provider's.
async fn foreign(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    token: &str,
) -> Result<Known, TurnedAway> {
    let (resource, now) = (arrival.entrance.resource(), gate.clock.now());
    let opaque = gate.issuers.opaque(token);
    let token = match &opaque {
        Some(opaque) => {
            let errand = introspection::errand(gate, live);
            gate.issuers.vouched(opaque, resource, now, errand).await?
        }
        None => gate.issuers.verify(token, resource, now).await?,
    };
    workload::proved(arrival, &token)?;
    // a provider may still vouch for an agent that was disabled here
    gate.tokens.enabled(gate, live, token.principal()).await?;
    let (principal, described) = (Arc::clone(token.principal()), token.describe().to_owned());
    let standing = match opaque {
        Some(opaque) => Standing::Vouched(token, opaque),
        None => Standing::Signed(token),
    };
    Ok((principal, described, standing))
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
    let scope = live.settings.scope();
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
