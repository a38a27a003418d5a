//! Every open connection, and who shares which: a legacy server has one for each Host session, a modern
//! one is shared by all who use the same credential. Children are capped, stopped when nobody uses them,
//! and left alone for a while when they keep failing.

use super::connection::{Bounds, Connection, Means, Opening};
use super::{Fault, FaultKind, Injected};
use crate::settings::{Limits, Reach, Settings};
use decision::{Digest, ServerName, UserName};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
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

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    server: ServerName,
    /// The id of the Host session it belongs to; `None` is shared.
    session: Option<String>,
    /// The user in whose name it is used, where each has a credential of their own: no two users share a
    /// connection then, also not if their credentials are the same.
    holder: Option<UserName>,
    /// For a child: the credentials it was started with. Over HTTP they travel with each request.
    identity: Option<Digest>,
}

impl Key {
    pub(super) fn new(
        server: &ServerName,
        session: Option<&str>,
        reach: &Reach,
        injected: &Injected,
    ) -> Self {
        let identity = match reach {
            Reach::Http { .. } | Reach::Sse { .. } => None,
            Reach::Stdio { .. } => Some(injected.identity()),
        };
        let holder = injected.holder.clone();
        Self { server: server.clone(), session: session.map(str::to_owned), holder, identity }
    }
}

/// An open connection, as the pool keeps it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) connection: Connection,
    /// The credentials of what the gateway says on it by itself: over HTTP those of the last call, for a child
    /// those it was started with. None where no session is held.
    injected: Mutex<Arc<Injected>>,
    next: AtomicU64,
    opened: Instant,
    used: Mutex<Instant>,
}

impl Held {
    /// An id for one request, unique on the connection.
    pub(super) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
    pub(super) fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected.lock())
    }
    /// Lets go of older credentials, where they travel with each request.
    pub(super) fn renew(&self, key: &Key, injected: &Arc<Injected>) {
        if key.identity.is_none() && key.session.is_some() {
            *self.injected.lock() = Arc::clone(injected);
        }
    }
    fn idle(&self) -> Duration {
        if self.connection.in_flight() > 0 { Duration::ZERO } else { self.used.lock().elapsed() }
    }
}

/// What is there for a key. The lock is held while it is opened, so that nobody opens it twice.
type Slot = tokio::sync::Mutex<Option<Arc<Held>>>;

/// How often a server has failed in a row, and why.
#[derive(Debug)]
struct Failing {
    times: u32,
    until: Instant,
    why: String,
}

/// Every open connection.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    means: Means,
    child_idle: Duration,
    slots: Mutex<BTreeMap<Key, Arc<Slot>>>,
    /// By server and credential: one user's bad credential is not another's.
    failing: Mutex<BTreeMap<(ServerName, Option<Digest>), Failing>>,
    closed: AtomicBool,
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
        let bounds = Bounds {
            result_bytes: limits.result_bytes_max,
            depth: limits.depth_max,
            open: limits.call_timeout.min(OPEN_MAX),
        };
        let children = Arc::new(Semaphore::new(limits.children_max.min(Semaphore::MAX_PERMITS)));
        let means = Means { client, supervisor, environment, bounds, children };
        Self::with(means, limits.child_idle)
    }

    pub(super) fn with(means: Means, child_idle: Duration) -> Self {
        let shared = Shared {
            means,
            child_idle,
            slots: Mutex::default(),
            failing: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Nothing but the configured servers can be reached (requirement W7).
    pub(crate) fn allow(&self, settings: &Settings) {
        self.shared.means.client.set_policy(settings.reachable());
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
        if shared.closed.load(Ordering::Acquire) {
            return Err(Fault::unsent(FaultKind::Unreachable, "the gateway is stopping"));
        }
        let slot = Arc::clone(shared.slots.lock().entry(key.clone()).or_default());
        let mut place = slot.lock().await;
        if let Some(held) = place.as_ref().filter(|held| held.connection.is_alive()) {
            *held.used.lock() = Instant::now();
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
                // shut down meanwhile: then nobody else will close it
                if shared.closed.load(Ordering::Acquire) {
                    held.connection.close().await;
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

    async fn open(
        &self,
        key: &Key,
        reach: &Reach,
        opening: impl FnOnce() -> Result<Opening, Fault>,
    ) -> Result<Arc<Held>, Fault> {
        let opening = opening()?;
        // a modern address keeps nothing that its requests do not bring
        let kept = key.identity.is_some() || key.session.is_some();
        let injected = Mutex::new(if kept { Arc::clone(&opening.injected) } else { Arc::default() });
        let opened = Connection::open(reach, &self.shared.means, opening).await;
        let (connection, _) = opened.inspect_err(|fault| {
            // a bound of ours is no failure of the server
            if key.identity.is_some() && fault.kind != FaultKind::Busy {
                self.shared.note_failure(key, fault, Duration::ZERO);
            }
        })?;
        let now = Instant::now();
        let held = Held { connection, injected, next: AtomicU64::new(1), opened: now, used: Mutex::new(now) };
        Ok(Arc::new(held))
    }

    /// Retires the child a session had with credentials that are no longer its own.
    fn supersede(&self, key: &Key) {
        if key.session.is_none() {
            return;
        }
        let same = |other: &Key| {
            other.server == key.server && other.session == key.session && other.identity != key.identity
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
        self.close_where(|key| key.session.as_deref() == Some(session)).await;
    }

    /// Nobody is given a connection to that server any more, as it was reconfigured or removed; each
    /// ends once its calls in flight have, which is waited for here.
    pub(crate) async fn end_server(&self, server: &ServerName) {
        self.shared.failing.lock().retain(|(failing, _), _| failing != server);
        retire(self.withdraw(|key| key.server == *server), RETIRE_MAX).await;
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
            let of = open.iter().filter(|(key, _)| key.session.as_deref() == Some(session));
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
            self.note_failure(key, &fault, held.opened.elapsed());
        }
    }

    fn note_failure(&self, key: &Key, fault: &Fault, lived: Duration) {
        let mut failing = self.failing.lock();
        let now = Instant::now();
        let entry = (key.server.clone(), key.identity);
        let failed = failing.entry(entry).or_insert(Failing { times: 0, until: now, why: String::new() });
        // the quiet time after the last wait counts as much as a long life
        let recovered = lived >= STEADY || now.saturating_duration_since(failed.until) >= STEADY;
        failed.times = if recovered { 1 } else { failed.times.saturating_add(1) };
        failed.why.clone_from(&fault.detail);
        failed.until = now
            + match failed.times {
                0 | 1 => Duration::ZERO,
                n => BACKOFF.saturating_mul(2u32.saturating_pow(n - 2)).min(BACKOFF_MAX),
            };
    }

    fn left_alone(&self, key: &Key) -> Option<Fault> {
        let failing = self.failing.lock();
        let failed = failing.get(&(key.server.clone(), key.identity))?;
        let wait = failed.until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then(|| {
            let seconds = wait.as_secs() + 1;
            let detail = format!("failed {} times, tried again in {seconds} s: {}", failed.times, failed.why);
            Fault::unsent(FaultKind::Unreachable, detail)
        })
    }
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

/// Stops a child that nobody uses, and notes one that ends by itself.
async fn watch(shared: Weak<Shared>, key: Key, slot: Arc<Slot>, held: Weak<Held>) {
    let Some(gone) = held.upgrade().and_then(|held| held.connection.gone()) else { return };
    loop {
        let (Some(pool), Some(now)) = (shared.upgrade(), held.upgrade()) else { return };
        let rest = pool.child_idle.saturating_sub(now.idle());
        drop((pool, now));
        tokio::select! {
            () = gone.cancelled() => break,
            () = tokio::time::sleep(rest.max(Duration::from_millis(100))) => {}
        }
        let (Some(pool), Some(now)) = (shared.upgrade(), held.upgrade()) else { return };
        // under the lock, so that nobody is given it meanwhile
        let mut place = slot.lock().await;
        let ours = place.as_ref().is_some_and(|there| Arc::ptr_eq(there, &now));
        if ours && now.idle() >= pool.child_idle {
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
