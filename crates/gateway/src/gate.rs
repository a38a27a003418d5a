//! What the path works on: one immutable snapshot per message, and the services behind it.

use crate::absences::Absences;
use crate::assertion::Assertions;
use crate::authenticate::Tokens;
use crate::backends::Backends;
use crate::budgets::Budgets;
use crate::deeds::Deeds;
use crate::errands::{Guests, Watches};
use crate::exchange::{Arrival, Party};
use crate::holds::Holds;
use crate::interactions::Interactions;
use crate::kept::Running;
use crate::metrics::Metrics;
use crate::places::{Places, Taken};
use crate::registry::Registry;
use crate::replay::Replays;
use crate::schemas::Schemas;
use crate::secrets::SealedSecrets;
use crate::session::{Session, Sessions};
use crate::settings::{Mode, Settings};
use crate::strangers::Strangers;
use crate::tasks::Polls;
use crate::unrecorded::Unrecorded;
use crate::unsettled::Unsettled;
use crate::upstream::{Kept, Parked, Pool};
use arc_swap::ArcSwap;
use bytes::Bytes;
use catalog::record::Absent;
use decision::{
    CallId, Clock, Code, Digest, Entropy, InteractionId, Principal, Refusal, ServerName, UserName,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Everything a message is judged by, in one snapshot: settings, catalogue and policies never
/// change under a call.
#[derive(Debug)]
pub struct Live {
    pub settings: Arc<Settings>,
    pub catalogue: Arc<catalog::Catalogue>,
    pub policies: Arc<policy::Policies>,
    pub schemas: Arc<Schemas>,
    pub peers: Arc<BTreeMap<ServerName, Peer>>,
    /// Which servers may be used, and how far.
    pub registry: Registry,
    /// Of the store, before it was read: what changed since is not in here.
    pub revision: store::Revision,
    pub(crate) lists: crate::lists::Lists,
    /// What was pinned of each server when this was made.
    pub(crate) marks: Arc<BTreeMap<ServerName, decision::Digest>>,
}

impl Live {
    /// What was accepted and is withheld because no use of it could be let through, and why.
    pub fn unusable(&self) -> impl Iterator<Item = (&ServerName, &decision::Item, &str)> {
        let all = self.catalogue.servers();
        all.flat_map(|(server, entry)| entry.withheld().map(move |(item, why)| (server, item, why)))
    }

    /// Whether the rules refuse nothing at a server and the record says what they would have.
    pub fn observes(&self, server: &ServerName) -> bool {
        self.settings.servers.get(server).is_some_and(|server| server.mode == Mode::Observe)
    }

    /// What an operator should know of the rules, as it is where servers only observe.
    pub fn warnings(&self) -> Vec<policy::Problem> {
        let mut warnings = self.policies.warnings().to_vec();
        for warning in &mut warnings {
            let Some(unseen) = warning.unseen.as_ref().filter(|unseen| self.observes(&unseen.server)) else {
                continue;
            };
            warning.message = format!(
                "everybody can use {} of server `{}`, which only observes: no rule permits them, so nobody could see \
                 them if it enforced",
                unseen.tools, unseen.server
            );
        }
        warnings
    }
}

/// What an upstream is known to be, from its last discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub eras: wire::Eras,
    /// The raw capabilities it declared.
    pub capabilities: Bytes,
    /// Its instructions, if they are approved.
    pub instructions: Option<String>,
    /// Items that are not offered because they are new or changed, by kind and name.
    pub withdrawn: BTreeMap<(decision::ItemKind, String), Withdrawn>,
}

/// Why an item is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawn {
    New,
    Changed,
    /// It is what was accepted, and was something else meanwhile.
    Returned,
    /// It was accepted, and nobody could use it: why.
    Unusable(Arc<str>),
}

impl Withdrawn {
    pub(crate) fn because(&self) -> &str {
        match self {
            Self::New => "the item is new and nobody has approved it",
            Self::Changed => "the item's definition changed and nobody has approved that",
            Self::Returned => {
                "the item is what was approved again, and was something else meanwhile: nobody has approved that"
            }
            Self::Unusable(why) => why,
        }
    }
}

/// What of a server's offer changed, for those who listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Lists or permissions may be other ones now.
    Lists,
    /// One resource was updated; on a server where each user has a credential, as this user sees it.
    Resource { server: ServerName, uri: String, of: Option<UserName> },
}

/// The services that every call needs. Built once, shared by every call.
#[derive(Debug)]
pub struct Gate {
    live: ArcSwap<Live>,
    pub(crate) store: store::Store,
    pub(crate) ledger: Arc<store::ledger::Ledger>,
    pub(crate) desk: Arc<store::Desk>,
    pub(crate) opener: vault::Opener,
    pub(crate) pool: Pool,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) issuers: identity::oauth::Issuers,
    pub(crate) secrets: SealedSecrets,
    pub(crate) backends: Backends,
    pub(crate) assertions: Assertions,
    pub(crate) deeds: Deeds,
    pub(crate) polls: Polls,
    pub(crate) watches: Watches,
    pub(crate) guests: Guests,
    pub(crate) parked: Parked,
    pub(crate) holds: Holds,
    pub(crate) running: Running,
    pub(crate) kept: Kept,
    pub(crate) budgets: Budgets,
    pub(crate) replays: Replays,
    pub(crate) unsettled: Unsettled,
    pub(crate) unrecorded: Arc<Unrecorded>,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) interactions: Interactions,
    pub(crate) absences: Absences,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    pub(crate) in_flight: Arc<Places>,
    pub(crate) changes: broadcast::Sender<Change>,
    wakes: mpsc::UnboundedSender<ServerName>,
    /// Servers that were named there and not yet looked at: however often one asks, it waits once.
    woken: Mutex<BTreeSet<ServerName>>,
    draining: CancellationToken,
}

/// What a [`Gate`] is built from.
#[derive(Debug)]
pub struct Parts {
    pub live: Live,
    pub store: store::Store,
    pub ledger: Arc<store::ledger::Ledger>,
    pub opener: vault::Opener,
    pub backends: Backends,
    pub pool: Pool,
    /// The identity providers, none in force yet.
    pub issuers: identity::oauth::Issuers,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Where servers are named that should be looked at again; [`crate::Offers::run`] has the other end.
    pub wakes: mpsc::UnboundedSender<ServerName>,
}

impl Gate {
    pub fn new(parts: Parts) -> Arc<Self> {
        parts.pool.allow(&parts.live);
        parts.live.registry.announce(None);
        trust(&parts.issuers, &parts.live.settings);
        let desk = store::Desk::new(parts.store.clone(), Arc::clone(&parts.ledger), Arc::clone(&parts.clock));
        Arc::new(Self {
            live: ArcSwap::from_pointee(parts.live),
            store: parts.store,
            ledger: parts.ledger,
            desk: Arc::new(desk),
            holds: Holds::default(),
            budgets: Budgets::default(),
            replays: Replays::default(),
            unsettled: Unsettled::default(),
            unrecorded: Arc::default(),
            strangers: Arc::default(),
            running: Running::default(),
            opener: parts.opener,
            pool: parts.pool,
            sessions: Sessions::default(),
            tokens: Tokens::default(),
            issuers: parts.issuers,
            secrets: SealedSecrets::default(),
            backends: parts.backends,
            assertions: Assertions::default(),
            wakes: parts.wakes,
            woken: Mutex::default(),
            deeds: Deeds::default(),
            polls: Polls::default(),
            watches: Watches::default(),
            guests: Guests::default(),
            parked: Parked::default(),
            kept: Kept::default(),
            interactions: Interactions::default(),
            absences: Absences::default(),
            clock: parts.clock,
            entropy: parts.entropy,
            metrics: Metrics::new(),
            in_flight: Arc::default(),
            changes: broadcast::channel(256).0,
            draining: CancellationToken::new(),
        })
    }

    /// The snapshot in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }
    /// Whether calls that begin now go by the store as it was at this revision, or later: by what is on offer and by secrets.
    pub fn goes_by(&self, revision: store::Revision) -> bool {
        self.live().revision >= revision && self.secrets.revision() >= revision
    }
    /// Puts another snapshot in force. Calls in flight finish under the one they began with.
    pub fn install(&self, live: Live) {
        self.pool.allow(&live);
        trust(&self.issuers, &live.settings);
        let (before, after) = (self.live(), Arc::new(live));
        self.kept.renew(&before, &after, || self.live.store(Arc::clone(&after)));
        // nobody listening is not an error
        let _ = self.changes.send(Change::Lists);
    }
    /// The servers that cannot be looked at, since when and why.
    pub fn absent(&self) -> BTreeMap<ServerName, Absent> {
        self.absences.all()
    }
    /// How many looks at a server have failed since one that did not.
    pub fn failed_looks(&self, server: &ServerName) -> u32 {
        self.absences.failed(server)
    }
    pub fn metrics_text(&self) -> String {
        self.metrics.render(&self.ledger, self.sessions.count(), &self.pool)
    }
    /// Whether the ledger and the database cannot be used, for whoever watches the metrics.
    pub fn away(&self, ledger: bool, database: bool) {
        self.metrics.ledger_away.set(i64::from(ledger));
        self.metrics.database_away.set(i64::from(database));
    }
    /// Whether the newest files were refused, for whoever watches the metrics.
    pub fn note_files(&self, refused: bool) {
        self.metrics.files_refused.set(i64::from(refused));
    }
    /// Where a listener with TLS counts.
    pub fn handshakes(&self) -> crate::metrics::Handshakes {
        self.metrics.handshakes.clone()
    }
    pub fn ledger(&self) -> &Arc<store::ledger::Ledger> {
        &self.ledger
    }
    /// Where approvals are decided.
    pub fn desk(&self) -> &Arc<store::Desk> {
        &self.desk
    }
    pub fn backends(&self) -> &Backends {
        &self.backends
    }
    /// The vault's opening half.
    pub fn opener(&self) -> &vault::Opener {
        &self.opener
    }
    /// Puts other keys in force. What was sealed under one that is gone has been moved, so it is read anew.
    pub fn replace_keys(&self, keys: vault::Keys) {
        self.opener.replace(keys);
        self.secrets.forget();
    }
    pub fn store(&self) -> &store::Store {
        &self.store
    }

    /// A server says that one of its resources is another now.
    pub(crate) fn resource_updated(&self, server: &ServerName, uri: String, of: Option<&UserName>) {
        self.kept.forget(server);
        // nobody listening is not an error
        let _ = self.changes.send(Change::Resource { server: server.clone(), uri, of: of.cloned() });
    }

    /// Whether what happened for `of` is anything to `principal`.
    pub(crate) fn concerns(of: Option<&UserName>, principal: &Principal) -> bool {
        of.is_none_or(|user| principal.person() == Some(user))
    }

    /// Asks for another look at a server: it said that something changed.
    pub fn rediscover(&self, server: &ServerName) {
        self.kept.forget(server);
        self.look_again(server);
    }

    /// The same, though nothing is known to have changed.
    pub(crate) fn look_again(&self, server: &ServerName) {
        if self.woken.lock().insert(server.clone()) {
            // without a listener the gateway is stopping
            let _ = self.wakes.send(server.clone());
        }
    }

    /// Somebody heard that it should be looked at again.
    pub(crate) fn woke(&self, server: &ServerName) {
        self.woken.lock().remove(server);
    }

    /// A place among the calls in flight. A question of a server belongs to a call that has one.
    pub(crate) fn slot(&self, arrival: &Arrival) -> Result<Option<Taken>, Refusal> {
        match arrival.party {
            Party::Server(_) => Ok(None),
            Party::Host => {
                let max = self.live.load().settings.limits.calls_in_flight_max;
                let place = self.in_flight.take(max);
                let full = || Refusal::new(Code::Overloaded, "as many calls are in flight as may be");
                place.map(Some).ok_or_else(full)
            }
        }
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.draining.cancel();
    }
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
    /// Until it takes no new calls any more.
    pub(crate) async fn drained(&self) {
        self.draining.cancelled().await;
    }
    /// Calls that are under way.
    pub fn calls_in_flight(&self) -> usize {
        self.in_flight.taken()
    }
    /// Ends every session and every connection.
    pub async fn shut_down(&self) {
        for session in self.sessions.all() {
            self.sessions.remove(&session.id);
        }
        self.pool.shut_down().await;
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.entropy.fill(&mut out);
        out
    }

    /// The interaction of a call that belongs to no session: the call itself.
    pub(crate) fn interaction_of(&self, call: CallId) -> InteractionId {
        InteractionId::new(call.to_string()).unwrap_or_else(|_| fallback())
    }

    /// An unguessable id for a session or an interaction.
    pub(crate) fn fresh_id(&self, prefix: &str) -> String {
        let hex = Digest(self.random()).to_string();
        format!("{prefix}{}", hex.strip_prefix("sha256:").unwrap_or(&hex))
    }

    /// A session for one connection of a pipe.
    pub fn pipe_session(
        &self,
        principal: Arc<Principal>,
        entrance: crate::exchange::Entrance,
        transport: decision::Transport,
    ) -> Arc<Session> {
        let id = self.fresh_id("s_");
        let interaction = InteractionId::new(id.clone()).unwrap_or_else(|_| fallback());
        let now = tokio::time::Instant::now();
        Arc::new(Session::new(&self.opener, id, principal, entrance, transport, interaction, now))
    }
}

fn trust(issuers: &identity::oauth::Issuers, settings: &Settings) {
    issuers.install(settings.oauth.as_ref(), &settings.tenant, &settings.environment);
}

fn fallback() -> InteractionId {
    // the forms above are always accepted; this keeps the path free of panics
    InteractionId::new("unknown").unwrap_or_else(|_| fallback())
}

impl crate::listen::Path for Arc<Gate> {
    async fn govern(&self, arrival: Arrival) -> crate::exchange::Reply {
        crate::govern::govern_here(self, arrival).await
    }
}
