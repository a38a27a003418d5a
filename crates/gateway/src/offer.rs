//! What is on offer: discovers servers, pins what they show, and puts catalogue, policies and
//! schemas in force as one snapshot.

mod compared;
mod followed;
mod pace;
mod partly;
mod turns;

use crate::errands::{self, Found};
use crate::gate::{Gate, Live};
use crate::gathered::gather;
use crate::record;
use crate::registry::Registry;
use crate::schemas::Schemas;
use crate::secrets;
use crate::session::end_lapsed;
use crate::settings::Settings;
use crate::sighted::{self, AtHand, Looked};
use crate::wishes::Wishes;
use catalog::Catalogue;
use catalog::scan::Finding;
use compared::compared;
use decision::{EventName, Item, ServerName};
use pace::RETRY_MIN;
pub use pace::Unlooked;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use store::{FirstSight, Revision, Seen, ServerMeta, Sighting, Store, StoreError, Writer};
use tokio::sync::mpsc;
use tokio::time::Instant;
use turns::Turns;
use wire::Eras;

/// How often idle sessions are looked for.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// What an operator wrote: everything that a snapshot is made of beside the store.
#[derive(Debug, Clone)]
pub struct Written {
    pub settings: Arc<Settings>,
    pub policies: Vec<policy::Source>,
}

/// A snapshot, and what is wrong with the policies: then nothing is permitted, and `policies` are none.
#[derive(Debug)]
pub struct Built {
    pub live: Live,
    pub problems: Vec<policy::Problem>,
}

/// Why there is no snapshot at all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The rules do not fit the catalogue, or not even an empty set of them does.
    #[error("what servers offer cannot be put into rules: {0:?}")]
    Policies(Vec<policy::Problem>),
}

/// How strictly rules are held against the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// An operator wrote something: whatever is wrong with it is an error. What is wrong with a rule that is in force
    /// already is not what was written.
    Strict,
    /// Servers or the world changed: a rule that no longer fits one server closes that server, and no other.
    Changed,
}

/// Builds the snapshot of what is written over what is pinned.
///
/// With `strict`, policies that do not load are an error for the caller to see in `problems` and the
/// snapshot permits nothing: the caller decides whether to install it.
pub async fn build(
    store: &Store,
    loader: &policy::Loader,
    written: &Written,
    before: Option<&Live>,
    eras: &BTreeMap<ServerName, Eras>,
    fit: Fit,
) -> Result<Built, BuildError> {
    let settings = &written.settings;
    let scope = settings.scope();
    let revision = store.revision().await?;
    // one moment for all of it: a date between two would be missed
    let now = store.clock().now();
    let gathered = gather(store, settings, before, eras, now).await?;
    let catalogue = Arc::new(Catalogue::new(gathered.servers));
    let open = |server: &ServerName, tool: &str| {
        settings.servers.get(server).is_some_and(|server| server.open_arguments.contains(tool))
    };
    let records = store.records(&scope).await?;
    let registry = Registry::new(store.clock(), settings, &records, &catalogue, (before, now));
    let empty = Schemas::default();
    let schemas = Schemas::of(&catalogue, before.map_or(&empty, |live| &live.schemas), open);
    // servers that are looked at mostly offer what they did
    let same = before
        .filter(|before| fit == Fit::Changed && before.policies.are_of(&written.policies, &catalogue))
        .map(|before| (Arc::clone(&before.policies), Vec::new()));
    let (policies, problems) = match same {
        Some(same) => same,
        None => fitted(loader, written, &catalogue, (fit, before))?,
    };
    let live = Live {
        settings: Arc::clone(settings),
        catalogue: Arc::clone(policies.catalogue()),
        policies,
        schemas: Arc::new(schemas),
        registry,
        revision,
        peers: Arc::new(gathered.peers),
        lists: crate::lists::Lists::default(),
        marks: Arc::new(gathered.marks),
    };
    Ok(Built { live, problems })
}

/// The rules over a catalogue, and what is wrong with them: then they permit nothing.
fn fitted(
    loader: &policy::Loader,
    written: &Written,
    catalogue: &Arc<Catalogue>,
    (fit, before): (Fit, Option<&Live>),
) -> Result<(Arc<policy::Policies>, Vec<policy::Problem>), BuildError> {
    let sources = written.policies.clone();
    let loaded = match (fit, before) {
        (Fit::Strict, None) => loader.load(sources, Arc::clone(catalogue)),
        (Fit::Strict, Some(before)) => loader.replace(sources, Arc::clone(catalogue), &before.policies),
        (Fit::Changed, _) => loader.refit(sources, Arc::clone(catalogue)),
    };
    match loaded {
        Ok(policies) => Ok((Arc::new(policies), Vec::new())),
        // no rules: nothing is permitted, nothing is visible
        Err(problems) => match loader.load(Vec::new(), Arc::clone(catalogue)) {
            Ok(none) => Ok((Arc::new(none), problems)),
            Err(more) => Err(BuildError::Policies(more)),
        },
    }
}

/// Keeps the offer current: looks at servers at start, when they say that something changed, and
/// every now and then; installs a new snapshot whenever the store or the files changed.
#[derive(Debug)]
pub struct Offers {
    gate: Arc<Gate>,
    loader: policy::Loader,
    written: parking_lot::Mutex<Written>,
    eras: parking_lot::Mutex<BTreeMap<ServerName, Eras>>,
    at_once: Turns,
    pinning: tokio::sync::Mutex<()>,
    /// One look at a server at a time: who finds nothing new may go by it that what is new was told.
    turns: parking_lot::Mutex<BTreeMap<ServerName, Arc<tokio::sync::Mutex<()>>>>,
    at_hand: AtHand,
    /// New snapshots, and what was wrong with the last.
    building: Wishes<Vec<policy::Problem>>,
}

impl Offers {
    pub fn new(gate: Arc<Gate>, loader: policy::Loader, written: Written) -> Arc<Self> {
        Arc::new(Self {
            gate,
            loader,
            written: parking_lot::Mutex::new(written),
            eras: parking_lot::Mutex::default(),
            at_once: Turns::default(),
            pinning: tokio::sync::Mutex::default(),
            turns: parking_lot::Mutex::default(),
            at_hand: AtHand::default(),
            building: Wishes::default(),
        })
    }

    /// The policies that are in force, as they are written.
    pub fn policies(&self) -> Vec<policy::Source> {
        self.written.lock().policies.clone()
    }

    /// Puts new files in force, and with them what `along` does. Errors: what does not hold; then the old ones stay
    /// in force, and `along` is not done.
    pub async fn reload(&self, written: Written, along: impl FnOnce()) -> Result<(), BuildError> {
        let _one = self.building.hold().await;
        let before = self.gate.live();
        let eras = self.eras.lock().clone();
        let built =
            build(&self.gate.store, &self.loader, &written, Some(&before), &eras, Fit::Strict).await?;
        if !built.problems.is_empty() {
            return Err(BuildError::Policies(built.problems));
        }
        *self.written.lock() = written;
        let moved = before.settings.moved(&built.live.settings);
        along();
        self.install(&before, built.live).await;
        // only now: before, calls would have opened anew what is ended
        for server in moved {
            self.gate.pool.end_server(&server);
            self.eras.lock().remove(&server);
            self.gate.absences.over(&server);
            self.gate.rediscover(&server);
        }
        Ok(())
    }

    /// Builds the snapshot anew from the files in force and what is pinned by now. Who waits while another builds
    /// mostly finds it done: at a start all servers are looked at together.
    pub async fn refresh(&self) -> Vec<policy::Problem> {
        self.building.grant(async || self.rebuild().await).await.unwrap_or_else(|e| {
            tracing::error!(error = %e, "the store cannot be read; the old offer stays in force");
            Vec::new()
        })
    }

    async fn rebuild(&self) -> Result<Vec<policy::Problem>, BuildError> {
        let before = self.gate.live();
        let written = self.written.lock().clone();
        let eras = self.eras.lock().clone();
        let built =
            build(&self.gate.store, &self.loader, &written, Some(&before), &eras, Fit::Changed).await?;
        for server in built.live.policies.closed() {
            tracing::error!(server = %server, "the rules no longer fit this server; it is closed until they do");
        }
        for problem in &built.problems {
            tracing::error!(problem = %problem, "the policies do not fit what servers offer; nothing is permitted");
        }
        self.install(&before, built.live).await;
        drop(before);
        launch::give_memory_back();
        Ok(built.problems)
    }

    async fn install(&self, before: &Live, live: Live) {
        let changed = before.policies.digest() != live.policies.digest();
        let (old, new) = (before.policies.digest(), live.policies.digest());
        let (shut, were) = (live.registry.shut(), before.registry.shut());
        live.registry.announce(Some(&before.registry));
        let forgotten: Vec<ServerName> =
            before.peers.keys().filter(|server| !live.peers.contains_key(*server)).cloned().collect();
        self.gate.install(live);
        for server in shut.difference(&were) {
            let (gate, server) = (Arc::clone(&self.gate), server.clone());
            // whoever suspends a server does not want to hear what it still has to say
            tokio::spawn(async move { gate.pool.cut_server(&server).await });
        }
        // what a server that was forgotten offers is not known until it is looked at
        were.difference(&shut).chain(&forgotten).for_each(|server| self.gate.rediscover(server));
        if changed {
            let detail = BTreeMap::from([
                ("before".to_owned(), old.to_string()),
                ("after".to_owned(), new.to_string()),
            ]);
            let live = self.gate.live();
            // requirement E13: the record knows which policies were in force when
            let _ = record::event(&self.gate, &live, EventName::PolicyChanged, None, None, detail).await;
        }
    }

    /// Looks at one server: pins, compares and records what it shows.
    pub async fn look(&self, server: &ServerName) -> Result<(), Unlooked> {
        let own = Arc::clone(self.turns.lock().entry(server.clone()).or_default());
        let _alone = own.lock().await;
        // given back before the new snapshot is waited for, which then is one for many
        let turn = self.at_once.look().await;
        let live = self.gate.live();
        let Some(settings) = live.settings.servers.get(server) else {
            return Err("the server is not configured any more".into());
        };
        if !live.registry.looks(server) {
            return Ok(());
        }
        let found = Box::pin(errands::discover(&self.gate, &live, server, settings)).await?;
        let scope = live.settings.scope();
        let lack = partly::lack(&self.gate, &scope, server, &found).await?;
        let heavy = self.at_once.work(&found).await;
        self.eras.lock().insert(server.clone(), found.eras);
        let (items, unpinned) = sighted::sighted(server, &found);
        let (poisoned, place) = sighted::poisoned(&self.gate.live(), &self.at_hand, server, &items);
        let identity = sighted::identity(server, &found, &items);
        let writer = self.gate.store.own_writer();
        let changes = self.pin(&live, &writer, server, &found, items, &poisoned).await?;
        let at_hand = Looked { poisoned, identity, unpinned, ..Looked::default() };
        let looked = sighted::looked(&self.gate.store, &scope, server, &changes, &at_hand).await;
        // what is withheld already is told with what is at hand
        let told = looked.as_ref().unwrap_or(&at_hand);
        self.tell(&live, writer, server, &found, &changes, told).await;
        looked?;
        drop((heavy, turn, live));
        if !changes.is_empty() || !self.is_known(server, &found).await {
            self.refresh().await;
        }
        drop(place);
        // what comes of it is seen in the store
        sighted::look_as_callers(&self.gate, server).await?;
        lack.map_or(Ok(()), Err)
    }

    /// Whether the snapshot in force has this of a server, and all that the store has: then a new one would be the same.
    async fn is_known(&self, server: &ServerName, found: &Found) -> bool {
        let live = self.gate.live();
        let peer = live.peers.get(server);
        peer.is_some_and(|peer| peer.eras == found.eras && peer.capabilities == found.capabilities)
            && self.gate.store.revision().await.is_ok_and(|now| now == live.revision)
    }

    async fn pin(
        &self,
        live: &Live,
        writer: &Writer,
        server: &ServerName,
        found: &Found,
        items: Vec<Seen>,
        poisoned: &BTreeMap<Item, Finding>,
    ) -> Result<Vec<store::Change>, StoreError> {
        let scope = live.settings.scope();
        let era = if found.eras == Eras::Legacy { decision::Era::Legacy } else { decision::Era::Modern };
        let meta = ServerMeta {
            era,
            revision: found.revision.as_str().to_owned(),
            info: found.info.clone(),
            capabilities: Some(found.capabilities.clone()),
        };
        let (pinning, apart) = compared(&self.pinning, &self.gate.store, &scope, server, &items).await?;
        let apart = sighted::as_bad_as(apart, poisoned);
        let mut withheld: BTreeSet<Item> = poisoned.keys().cloned().collect();
        withheld.extend(sighted::caught(&self.gate.store, &scope, server, &items).await?);
        self.gate.store.put_server_meta(&scope, server, &meta).await?;
        let (server, kinds) = (server.clone(), found.kinds());
        let sighting = Sighting { server, kinds, items, first: FirstSight::Pin, withheld, apart };
        let changes = self.gate.store.record_seen(writer, &scope, &sighting).await;
        drop(pinning);
        changes
    }

    async fn tell(
        &self,
        live: &Live,
        writer: Writer,
        server: &ServerName,
        found: &Found,
        changes: &[store::Change],
        looked: &Looked,
    ) {
        for (event, detail) in sighted::reached(server, found, changes, looked) {
            if let Err(e) = record::event(&self.gate, live, event, None, Some(server), detail).await {
                tracing::error!(error = %e.because, "an event cannot be recorded");
            }
        }
        if !changes.is_empty() {
            let known = sighted::known(server, changes, looked);
            sighted::tell(&self.gate, live, writer, move |event| sighted::add(&known, event)).await;
        }
    }

    /// Ends the sessions of those whose token or agent was taken away: a stream does not ask again by itself.
    async fn end_lapsed(&self) {
        let live = self.gate.live();
        for session in self.gate.sessions.all() {
            if session.is_asked_about() {
                // others must not wait for a provider
                let (gate, live) = (Arc::clone(&self.gate), Arc::clone(&live));
                tokio::spawn(async move { end_lapsed(&gate, &live, &session).await });
            } else {
                end_lapsed(&self.gate, &live, &session).await;
            }
        }
    }

    /// Forgets whom and what the gateway remembers from before this revision of the store.
    fn remember_as_of(&self, revision: Revision) {
        self.gate.tokens.renew(revision);
        self.gate.secrets.renew(revision);
        self.gate.assertions.renew(revision);
    }

    /// What follows from what the store says of its revision; returns the one that is followed from now on.
    async fn heard(&self, live: &Live, before: Revision, answer: Result<Revision, StoreError>) -> Revision {
        match answer {
            Ok(now) if now == before => now,
            Ok(now) => {
                self.remember_as_of(now);
                self.end_lapsed().await;
                secrets::retire_connections(&self.gate, live).await;
                self.gate.publish_assertion_keys().await;
                self.refresh().await;
                now
            }
            // what may have been revoked meanwhile cannot be known: remember nobody
            Err(e) => {
                tracing::error!(error = %e, "the store cannot be asked; nobody is let in on memory alone");
                let unknown = Revision(u64::MAX);
                self.remember_as_of(unknown);
                tokio::time::sleep(RETRY_MIN).await;
                unknown
            }
        }
    }

    /// Runs until the gateway drains: one follower per configured server, and a watch on the store.
    pub async fn run(self: Arc<Self>, mut wakes: mpsc::UnboundedReceiver<ServerName>) {
        let mut followers: BTreeMap<ServerName, mpsc::Sender<()>> = BTreeMap::new();
        let mut revision = self.gate.live().revision;
        let mut reaped_at = Instant::now();
        let ask = |since| self.gate.store.changed(since, Duration::from_millis(500));
        // kept from one turn to the next: a server that says again and again that its lists changed must not keep it from
        // its end, nor cost the database a connection each time
        let mut changed = std::pin::pin!(ask(revision));
        loop {
            let live = self.gate.live();
            self.follow_all(&live, &mut followers);
            tokio::select! {
                woken = wakes.recv() => {
                    let Some(server) = woken else { return };
                    self.gate.woke(&server);
                    if let Some(wake) = followers.get(&server) {
                        // a full channel means that it will look anyway
                        let _ = wake.try_send(());
                    }
                }
                answer = &mut changed => {
                    revision = self.heard(&live, revision, answer).await;
                    changed.set(ask(revision));
                }
            }
            let now = Instant::now();
            if now.duration_since(reaped_at) > REAP_EVERY {
                reaped_at = now;
                self.gate.sessions.reap(now, live.settings.limits.session_idle);
                self.end_lapsed().await;
            }
            if self.gate.live().registry.has_lapsed() {
                self.refresh().await;
            }
            if self.gate.is_draining() {
                return;
            }
        }
    }
}
