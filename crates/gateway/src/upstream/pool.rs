//! Every open connection, and who shares which ([`Whose`]). Children are capped, stopped when nobody uses them,
//! and left alone for a while when they keep failing, each by whoever it fails for.

mod hidden;

pub(super) use hidden::HiddenBounds;

use super::connection::{Bounds, Connection, Means, Opening};
use super::held::{Held, Key, Whose};
use super::{Fault, FaultKind, Injected};
use crate::gate::Live;
use crate::settings::{Limits, Reach};
use arc_swap::ArcSwap;
use decision::{Digest, ServerName};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// For a server to be reached and to shake hands.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// The first failure is forgiven at once, the second waits so long, each further one twice as long.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A child that lived so long was not failing.
const STEADY: Duration = Duration::from_secs(60);
/// For calls in flight to finish on a connection that nobody is given any more.
const RETIRE_MAX: Duration = Duration::from_secs(30);
/// The same where only its credential was replaced: as long as a call may be open at all.
const REPLACED_MAX: Duration = Duration::from_secs(60 * 60);
const RETIRE_LOOK: Duration = Duration::from_millis(50);

/// What is there for a key. The lock is held while it is opened, so that nobody opens it twice.
type Slot = tokio::sync::Mutex<Option<Arc<Held>>>;

/// How often a child of one has failed in a row, and why.
#[derive(Debug)]
struct Failing {
    times: u32,
    until: Instant,
    why: String,
}

type Failed = (ServerName, Option<Digest>, Whose);

/// When what nobody uses is given up.
#[derive(Debug, Clone, Copy)]
struct Rest {
    child_idle: Duration,
    hidden: HiddenBounds,
}

/// Every open connection.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    means: Means,
    rest: ArcSwap<Rest>,
    slots: Mutex<BTreeMap<Key, Arc<Slot>>>,
    /// By server, credential and whose it is: one user's bad credential is not another's, and neither is what a session
    /// makes its own child do.
    failing: Mutex<BTreeMap<Failed, Failing>>,
    closed: AtomicBool,
    /// Servers that no record lets anybody connect to.
    shut: ArcSwap<BTreeSet<ServerName>>,
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        result_bytes: limits.result_bytes_max,
        depth: limits.depth_max,
        open: limits.call_timeout.min(OPEN_MAX),
        children: limits.children_max,
    }
}

impl Pool {
    /// A pool that opens connections with `client` and `supervisor`. `environment` is what children may
    /// have of the gateway's own ([`launch::PASSABLE_VARIABLES`]).
    pub fn new(
        client: egress::Client,
        supervisor: launch::Supervisor,
        environment: BTreeMap<String, String>,
        limits: &Limits,
    ) -> Self {
        let bounds = Arc::new(ArcSwap::from_pointee(bounds(limits)));
        let means = Means { client, supervisor, environment, bounds, children: Arc::default() };
        Self::with(means, limits.child_idle, HiddenBounds::of(limits))
    }

    pub(super) fn with(means: Means, child_idle: Duration, hidden: HiddenBounds) -> Self {
        let shared = Shared {
            means,
            rest: ArcSwap::from_pointee(Rest { child_idle, hidden }),
            slots: Mutex::default(),
            failing: Mutex::default(),
            closed: AtomicBool::new(false),
            shut: ArcSwap::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Nothing but the configured servers can be reached (requirement W7), and of these none that is shut (R22).
    /// The limits in force count for what is opened from now on.
    pub(crate) fn allow(&self, live: &Live) {
        let limits = &live.settings.limits;
        self.shared.means.bounds.store(Arc::new(bounds(limits)));
        let rest = Rest { child_idle: limits.child_idle, hidden: HiddenBounds::of(limits) };
        self.shared.rest.store(Arc::new(rest));
        self.shared.means.client.set_policy(live.settings.reachable());
        self.bar(live.registry.shut());
    }

    /// Nobody is given a connection to these servers any more.
    pub(super) fn bar(&self, shut: BTreeSet<ServerName>) {
        self.shared.shut.store(Arc::new(shut));
    }

    pub(crate) fn means(&self) -> &Means {
        &self.shared.means
    }
    /// Open connections.
    pub(crate) fn len(&self) -> usize {
        self.shared.slots.lock().len()
    }

    /// The connection of that key, opened as `opening` says if there is none that lives. True where it
    /// was opened now.
    ///
    /// Errors: those of [`Connection::open`]; `Unreachable` at once while the server is left alone
    /// after failures, or the pool is shut down.
    pub(super) async fn take(
        &self,
        key: Key,
        reach: &Reach,
        opening: impl FnOnce() -> Result<Opening, Fault>,
    ) -> Result<(Arc<Held>, bool), Fault> {
        let shared = &self.shared;
        shared.admits(&key.server)?;
        self.make_room(&key).await?;
        let (slot, mut place) = self.place(&key).await;
        if let Some(held) = place.as_ref().filter(|held| held.connection.is_alive()) {
            held.touch();
            return Ok((Arc::clone(held), false));
        }
        if let Some(dead) = place.take() {
            dead.connection.close().await;
            shared.note_end(&key, &dead);
        }
        let opened = match shared.left_alone(&key) {
            Some(fault) => Err(fault),
            None => self.open(&key, reach, opening).await,
        };
        match opened {
            Ok(held) => {
                *place = Some(Arc::clone(&held));
                drop(place);
                let (pool, weak) = (Arc::downgrade(shared), Arc::downgrade(&held));
                tokio::spawn(watch(pool, key.clone(), Arc::clone(&slot), weak));
                self.supersede(&key);
                // shut down, or the server shut, meanwhile: then nobody else will close it
                if let Err(fault) = shared.admits(&key.server) {
                    held.connection.close().await;
                    return Err(fault);
                }
                Ok((held, true))
            }
            Err(fault) => {
                drop(place);
                shared.forget(&key, &slot);
                Err(fault)
            }
        }
    }

    /// The place of that key. One that was given up while it was waited for is nobody's.
    async fn place(&self, key: &Key) -> (Arc<Slot>, OwnedMutexGuard<Option<Arc<Held>>>) {
        loop {
            let slot = Arc::clone(self.shared.slots.lock().entry(key.clone()).or_default());
            let place = Arc::clone(&slot).lock_owned().await;
            let stands = self.shared.slots.lock().get(key).is_some_and(|now| Arc::ptr_eq(now, &slot));
            if stands {
                return (slot, place);
            }
        }
    }

    /// The connection of that key as [`Pool::take`] gives it, where that can be said at once.
    pub(super) fn at_hand(&self, key: &Key) -> Option<Arc<Held>> {
        self.shared.admits(&key.server).ok()?;
        self.running(key).inspect(|held| held.touch())
    }

    /// The connection of that key, if there is one that lives and nobody changes it right now.
    pub(super) fn running(&self, key: &Key) -> Option<Arc<Held>> {
        let slot = self.shared.slots.lock().get(key).map(Arc::clone)?;
        let place = slot.try_lock().ok()?;
        place.as_ref().filter(|held| held.connection.is_alive()).map(Arc::clone)
    }

    async fn open(
        &self,
        key: &Key,
        reach: &Reach,
        opening: impl FnOnce() -> Result<Opening, Fault>,
    ) -> Result<Arc<Held>, Fault> {
        let opening = opening()?;
        // a modern address keeps nothing that its requests do not bring
        let kept = key.identity.is_some() || key.whose != Whose::Everybody;
        let injected = if kept { Arc::clone(&opening.injected) } else { Arc::default() };
        let opened = Connection::open(reach, &self.shared.means, opening).await;
        let (connection, _) = opened.inspect_err(|fault| {
            // a bound of ours is no failure of the server
            if key.identity.is_some() && fault.kind != FaultKind::Busy {
                self.shared.note_failure(key, fault, Duration::ZERO);
            }
        })?;
        Ok(Arc::new(Held::new(connection, injected)))
    }

    /// Retires the child a session had with credentials that are no longer its own.
    fn supersede(&self, key: &Key) {
        if key.whose == Whose::Everybody {
            return;
        }
        let same = |other: &Key| {
            other.server == key.server && other.whose == key.whose && other.identity != key.identity
        };
        let old = self.withdraw(same);
        if !old.is_empty() {
            tokio::spawn(retire(old, RETIRE_MAX));
        }
    }

    /// Nobody is given connections any more whose credential was replaced, if it is a child that has it for life,
    /// or removed. Each ends once its calls in flight have; those with a removed credential not much later.
    pub(crate) fn retire_credentials(
        &self,
        replaced: impl Fn(&Injected) -> bool,
        removed: impl Fn(&Injected) -> bool,
    ) {
        let keys_of = |which: &dyn Fn(&Key, &Injected) -> bool| -> BTreeSet<Key> {
            let open = self.shared.slots.lock();
            let is = |(key, slot): &(&Key, &Arc<Slot>)| {
                // one that is being opened is looked at the next time
                slot.try_lock()
                    .is_ok_and(|place| place.as_ref().is_some_and(|held| which(key, &held.injected())))
            };
            open.iter().filter(is).map(|(key, _)| key.clone()).collect()
        };
        let gone = keys_of(&|_, injected| removed(injected));
        let old =
            keys_of(&|key, injected| key.identity.is_some() && replaced(injected) && !removed(injected));
        for (keys, max) in [(gone, RETIRE_MAX), (old, REPLACED_MAX)] {
            let slots = self.withdraw(|key| keys.contains(key));
            if !slots.is_empty() {
                tokio::spawn(retire(slots, max));
            }
        }
    }

    /// Ends what a session had.
    pub(crate) async fn end_session(&self, session: &str) {
        self.close_where(|key| key.whose.is_session(session)).await;
    }

    /// Nobody is given a connection to that server any more that is open now, as it was reconfigured or removed; each ends
    /// once its calls in flight have. Nobody waits for that: a call may take long, and others' changes are to be in force.
    pub(crate) fn end_server(&self, server: &ServerName) {
        self.shared.failing.lock().retain(|(failing, ..), _| failing != server);
        let slots = self.withdraw(|key| key.server == *server);
        if !slots.is_empty() {
            tokio::spawn(retire(slots, RETIRE_MAX));
        }
    }

    /// The same at once: whoever waits for an answer of it has none, and its subscriptions end.
    pub(crate) async fn cut_server(&self, server: &ServerName) {
        self.shared.failing.lock().retain(|(failing, ..), _| failing != server);
        self.close_where(|key| key.server == *server).await;
    }

    /// Ends everything; nothing is opened any more.
    pub(crate) async fn shut_down(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.close_where(|_| true).await;
    }

    fn withdraw(&self, which: impl Fn(&Key) -> bool) -> Vec<Arc<Slot>> {
        let mut open = self.shared.slots.lock();
        let keys: Vec<Key> = open.keys().filter(|key| which(key)).cloned().collect();
        keys.iter().filter_map(|key| open.remove(key)).collect()
    }

    async fn close_where(&self, which: impl Fn(&Key) -> bool) {
        let closing = self.withdraw(which).into_iter().map(|slot| async move {
            let held = slot.lock().await.take();
            if let Some(held) = held {
                held.connection.close().await;
            }
        });
        futures::future::join_all(closing).await;
    }

    /// The open connections of a session.
    pub(super) async fn of_session(&self, session: &str) -> Vec<Arc<Held>> {
        let slots: Vec<_> = {
            let open = self.shared.slots.lock();
            let of = open.iter().filter(|(key, _)| key.whose.is_session(session));
            of.map(|(_, slot)| Arc::clone(slot)).collect()
        };
        let mut found = Vec::new();
        for slot in slots {
            found
                .extend(slot.lock().await.as_ref().filter(|held| held.connection.is_alive()).map(Arc::clone));
        }
        found
    }
}

impl Shared {
    /// Whether anybody may be given a connection to that server. Errors: why nobody may.
    fn admits(&self, server: &ServerName) -> Result<(), Fault> {
        let because = if self.closed.load(Ordering::Acquire) {
            "the gateway is stopping"
        } else if self.shut.load().contains(server) {
            "the registry does not let anybody connect to it"
        } else {
            return Ok(());
        };
        Err(Fault::unsent(FaultKind::Unreachable, because))
    }

    /// Removes a slot with nothing in it.
    fn forget(&self, key: &Key, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        let same = slots.get(key).is_some_and(|known| Arc::ptr_eq(known, slot));
        // two others: the map and the caller. More are on their way to open it
        if same && Arc::strong_count(slot) <= 2 && slot.try_lock().is_ok_and(|place| place.is_none()) {
            slots.remove(key);
        }
    }

    /// Notes how a connection ended, unless we ended it.
    fn note_end(&self, key: &Key, held: &Held) {
        if let Some(fault) = held.connection.crashed() {
            self.note_failure(key, &fault, held.opened().elapsed());
        }
    }

    fn note_failure(&self, key: &Key, fault: &Fault, lived: Duration) {
        let mut failing = self.failing.lock();
        let now = Instant::now();
        // of what was quiet for so long nothing counts, and sessions come and go
        failing.retain(|_, failed| now.saturating_duration_since(failed.until) < STEADY);
        let failed =
            failing.entry(failed(key)).or_insert(Failing { times: 0, until: now, why: String::new() });
        failed.times = if lived >= STEADY { 1 } else { failed.times.saturating_add(1) };
        failed.why.clone_from(&fault.detail);
        failed.until = now
            + match failed.times {
                0 | 1 => Duration::ZERO,
                n => BACKOFF.saturating_mul(2u32.saturating_pow(n - 2)).min(BACKOFF_MAX),
            };
    }

    fn left_alone(&self, key: &Key) -> Option<Fault> {
        let failing = self.failing.lock();
        let failed = failing.get(&failed(key))?;
        let wait = failed.until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then(|| {
            let seconds = wait.as_secs() + 1;
            let detail = format!("failed {} times, tried again in {seconds} s: {}", failed.times, failed.why);
            Fault::unsent(FaultKind::Unreachable, detail)
        })
    }
}

fn failed(key: &Key) -> Failed {
    (key.server.clone(), key.identity, key.whose.clone())
}

/// Closes what nobody is given any more, each when its calls in flight are over.
async fn retire(slots: Vec<Arc<Slot>>, max: Duration) {
    let retiring = slots.into_iter().map(|slot| async move {
        let Some(held) = slot.lock().await.take() else { return };
        let until = Instant::now() + max;
        while held.connection.in_flight() > 0 && Instant::now() < until {
            tokio::time::sleep(RETIRE_LOOK).await;
        }
        held.connection.close().await;
    });
    futures::future::join_all(retiring).await;
}

/// Stops a child, or gives up a hidden session, that nobody uses, and notes a child that ends by itself.
async fn watch(shared: Weak<Shared>, key: Key, slot: Arc<Slot>, held: Weak<Held>) {
    let Some(child) = held.upgrade().map(|held| held.connection.gone()) else { return };
    let is_child = child.is_some();
    if !is_child && !matches!(key.whose, Whose::Hidden { .. }) {
        return;
    }
    let gone = child.unwrap_or_default();
    let idle_max = |pool: &Shared| {
        let rest = pool.rest.load();
        if is_child { rest.child_idle } else { rest.hidden.idle }
    };
    loop {
        let (Some(pool), Some(now)) = (shared.upgrade(), held.upgrade()) else { return };
        let rest = idle_max(&pool).saturating_sub(now.idle());
        drop((pool, now));
        tokio::select! {
            () = gone.cancelled() => break,
            () = tokio::time::sleep(rest.max(Duration::from_millis(100))) => {}
        }
        let (Some(pool), Some(now)) = (shared.upgrade(), held.upgrade()) else { return };
        // under the lock, so that nobody is given it meanwhile
        let mut place = slot.lock().await;
        let ours = place.as_ref().is_some_and(|there| Arc::ptr_eq(there, &now));
        if ours && now.idle() >= idle_max(&pool) {
            *place = None;
            drop(place);
            pool.forget(&key, &slot);
            now.connection.close().await;
            return;
        }
    }
    let (Some(pool), Some(ended)) = (shared.upgrade(), held.upgrade()) else { return };
    let mut place = slot.lock().await;
    // else whoever took its place has noted it
    if place.as_ref().is_some_and(|there| Arc::ptr_eq(there, &ended)) {
        *place = None;
        drop(place);
        pool.note_end(&key, &ended);
        pool.forget(&key, &slot);
    }
}
