//! Follows what becomes of approvals, notes what is to be told, and tells it.

use super::{Hook, Keys, payload, reachable};
use crate::{Servers, Settings};
use arc_swap::ArcSwap;
use bytes::Bytes;
use decision::approval::{Part, State};
use decision::{ApprovalId, Clock, Digest, Timestamp};
use egress::{Bounds, Client, Full, Request, collect_limited};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::{Delivery, DeliveryState, Desk, Scope, StoreError, Turn};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Waits before each next try; after the last it is given up. About two days.
const WAITS_S: [u64; 8] = [5, 30, 120, 600, 3_600, 14_400, 43_200, 86_400];
/// Between two looks where nothing is heard of.
const LOOK: Duration = Duration::from_secs(2);
/// Deliveries tried at one address at the same time, and approvals looked at, at once.
const AT_ONCE: u64 = 32;
const BOUNDS: Bounds = Bounds {
    first_byte_max: Duration::from_secs(10),
    idle_max: Duration::from_secs(10),
    total_max: Some(Duration::from_secs(15)),
};
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// At a start, what changed in this time is noted if it is not yet.
const BACK_US: u64 = 24 * 3_600_000_000;
/// So far back is looked each time: a change is dated before it is written, and gateways' clocks differ, so one that is
/// dated earlier may show later.
const OVERLAP_US: u64 = 60 * 1_000_000;
/// Most changes that are remembered as noted; what is forgotten is only looked up once more.
const NOTED_MAX: usize = 10_000;

/// Tells the addresses of one gateway.
#[derive(Debug)]
pub struct Sender {
    pub desk: Arc<Desk>,
    pub scope: Scope,
    pub settings: Arc<ArcSwap<Settings>>,
    /// Where people find the console: `https://gate.example.com`.
    pub base: String,
    pub client: Client,
    pub keys: Arc<dyn Keys>,
    pub clock: Arc<dyn Clock>,
    /// Who knows what a yes is worth.
    pub servers: Arc<dyn Servers>,
}

/// How far the sender is: when it looked last, and what it noted of that time.
#[derive(Debug)]
struct Mark {
    looked_at: Timestamp,
    noted: BTreeSet<(ApprovalId, u64)>,
}

impl Mark {
    fn back(now: Timestamp) -> Self {
        Self { looked_at: Timestamp(now.0.saturating_sub(BACK_US)), noted: BTreeSet::new() }
    }
}

/// The addresses that are being told, a task for each.
#[derive(Debug, Default)]
struct Rounds {
    tasks: JoinSet<Result<(), StoreError>>,
    of: BTreeMap<Id, String>,
}

impl Rounds {
    fn ended(&mut self, ended: Result<(Id, Result<(), StoreError>), JoinError>) {
        let (id, fault) = match ended {
            Ok((id, told)) => (id, told.err().map(|error| error.to_string())),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let hook = self.of.remove(&id).unwrap_or_default();
        if let Some(error) = fault {
            tracing::warn!(%hook, error, "what is to be told cannot be read; trying again");
        }
    }
}

impl Sender {
    /// Goes on until `closing` is cancelled. Each address is told by itself: one that hangs delays no other.
    pub async fn follow(self, closing: CancellationToken) {
        let this = Arc::new(self);
        let mut changes = this.desk.changes();
        let mut mark = Mark::back(this.clock.now());
        let mut rounds = Rounds::default();
        loop {
            this.client.set_policy(reachable(&this.settings.load().hooks));
            if let Err(error) = this.note(&mut mark).await {
                tracing::warn!(%error, "what is to be told cannot be noted; trying again");
            }
            if let Err(error) = this.begin(&mut rounds).await {
                tracing::warn!(%error, "what is to be told cannot be read; trying again");
            }
            let look = tokio::time::sleep(LOOK);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    () = closing.cancelled() => return,
                    _ = changes.recv() => break,
                    () = &mut look => break,
                    Some(ended) = rounds.tasks.join_next_with_id() => rounds.ended(ended),
                }
            }
        }
    }

    /// Begins a round for every address that is due and has none.
    async fn begin(self: &Arc<Self>, rounds: &mut Rounds) -> Result<(), StoreError> {
        for hook in self.desk.store().due_hooks(&self.scope).await? {
            if !rounds.of.values().any(|busy| *busy == hook) {
                let (this, name) = (Arc::clone(self), hook.clone());
                let task = rounds.tasks.spawn(async move { this.tell(&name).await });
                rounds.of.insert(task.id(), hook);
            }
        }
        Ok(())
    }

    /// Notes what changed in the last day, and tries what is due, once.
    pub async fn once(&self) -> Result<(), StoreError> {
        self.client.set_policy(reachable(&self.settings.load().hooks));
        self.note(&mut Mark::back(self.clock.now())).await?;
        let due = self.desk.store().due_hooks(&self.scope).await?;
        futures::future::try_join_all(due.iter().map(|hook| self.tell(hook))).await.map(drop)
    }

    /// Notes every change since the mark for every address. Where the clock was set back, since what it says now.
    async fn note(&self, mark: &mut Mark) -> Result<(), StoreError> {
        let settings = self.settings.load_full();
        let now = self.clock.now();
        let from = Timestamp(mark.looked_at.min(now).0.saturating_sub(OVERLAP_US));
        let (mut after, mut noted) = ((from, None), BTreeSet::new());
        loop {
            let changed = self.desk.store().approvals_changed(&self.scope, after, AT_ONCE).await?;
            let Some(last) = changed.last() else {
                *mark = Mark { looked_at: now, noted };
                return Ok(());
            };
            after = (last.changed_at, Some(last.approval.id));
            for kept in &changed {
                let key = (kept.approval.id, kept.version());
                if noted.len() < NOTED_MAX {
                    noted.insert(key);
                }
                if mark.noted.contains(&key) {
                    continue;
                }
                let approval = &kept.approval;
                let against = match settings.hooks.is_empty() {
                    true => Vec::new(),
                    false => self.desk.store().gateways_against(&self.scope, approval).await?,
                };
                for hook in &settings.hooks {
                    let event = payload::event(approval.state);
                    let page = || format!("{}/console/approvals/{}", self.base, approval.id);
                    let url = settings.enabled.then(page);
                    let made_at = self.clock.now();
                    let subject = approval.id.to_string();
                    let one = Delivery {
                        id: id(&hook.name, &subject, &event),
                        body: payload::body(hook.form, (approval, &against), url.as_deref(), made_at),
                        hook: hook.name.clone(),
                        subject,
                        event,
                        made_at,
                        next_at: made_at,
                        tries: 0,
                        state: DeliveryState::Waiting,
                        error: None,
                    };
                    self.desk.store().note_delivery(&self.scope, kept, &one).await?;
                }
            }
        }
    }

    /// Tries what is due at one address.
    async fn tell(&self, hook: &str) -> Result<(), StoreError> {
        let due = self.desk.store().due_deliveries(&self.scope, hook, AT_ONCE).await?;
        let tried = futures::future::join_all(due.iter().map(|one| self.one(one))).await;
        tried.into_iter().collect()
    }

    async fn one(&self, one: &Delivery) -> Result<(), StoreError> {
        let store = self.desk.store();
        let settings = self.settings.load_full();
        let Some(hook) = settings.hooks.iter().find(|hook| hook.name == one.hook) else {
            let gone = Some("the address is not configured any more");
            return store.end_delivery(&self.scope, one, DeliveryState::Dead, gone).await;
        };
        // a state that was told late would be taken for the one it has
        if one.tries > 0 && store.drop_outdated(&self.scope, one).await? == Turn::Taken {
            tracing::info!(hook = %one.hook, delivery = %one.id, event = %one.event, "not tried again: a later state is to be told");
            return Ok(());
        }
        let tries = usize::try_from(one.tries).unwrap_or(usize::MAX);
        let wait = WAITS_S.get(tries).copied().unwrap_or(u64::MAX / 2_000_000);
        let next = Timestamp(self.clock.now().0.saturating_add(wait.saturating_mul(1_000_000)));
        if store.take_delivery(&self.scope, one, next).await? == Turn::Missed {
            return Ok(());
        }
        let asked = match self.is_for_nothing(one).await? {
            Some(part) => Err(Fault::later(format!("not sent: {}", part.counts_nothing()))),
            None => self.post(hook, one).await,
        };
        match asked {
            Ok(()) => store.end_delivery(&self.scope, one, DeliveryState::Sent, None).await,
            Err(fault) => {
                let over = fault.is_final || tries + 1 >= WAITS_S.len();
                tracing::warn!(hook = %hook.name, delivery = %one.id, error = %fault.why, over, "an address was not told");
                let state = if over { DeliveryState::Dead } else { DeliveryState::Waiting };
                store.end_delivery(&self.scope, one, state, Some(&fault.why)).await
            }
        }
    }

    /// What changed since people were to be asked for a yes. A gateway that goes by other rules may ask for it, and this
    /// one once its own are as they were; so it stays noted, and is tried again like one that did not arrive.
    async fn is_for_nothing(&self, one: &Delivery) -> Result<Option<Part>, StoreError> {
        let id: Option<ApprovalId> = one.subject.parse().ok();
        let Some(id) = id.filter(|_| one.event == payload::event(State::Proposed)) else { return Ok(None) };
        let kept = self.desk.store().approval(&self.scope, id).await?;
        Ok(kept.and_then(|kept| self.servers.void(&kept.approval)))
    }

    async fn post(&self, hook: &Hook, one: &Delivery) -> Result<(), Fault> {
        let key = self.keys.key(&hook.secret).await.map_err(Fault::later)?;
        let seconds = self.clock.now().0 / 1_000_000;
        let request = Request::post(hook.url.clone())
            .header("content-type", "application/json")
            .header("user-agent", "callgate")
            .header("webhook-id", &one.id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", key.sign(&one.id, seconds, one.body.as_bytes()))
            .body(Full::new(Bytes::from(one.body.clone())));
        let request = request.map_err(|e| Fault::later(e.to_string()))?;
        let response = self.client.send(request, BOUNDS).await.map_err(|e| Fault::later(e.to_string()))?;
        let status = response.status();
        // what it says is not read further, but a connection is given back whole
        let _ = collect_limited(response.into_body(), ANSWER_BYTES_MAX).await;
        match status.as_u16() {
            200..300 => Ok(()),
            // the specification's word for an address that is gone
            410 => Err(Fault { why: "410: the address is gone".to_owned(), is_final: true }),
            other => Err(Fault::later(format!("status {other}"))),
        }
    }
}

/// Why an address was not told.
struct Fault {
    why: String,
    is_final: bool,
}

impl Fault {
    fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: false }
    }
}

/// The same for the same event at the same address, so that whoever is told twice can know.
fn id(hook: &str, subject: &str, event: &str) -> String {
    let digest = Digest::of_parts(&[hook.as_bytes(), b"\0", subject.as_bytes(), b"\0", event.as_bytes()]);
    let hex = digest.to_string();
    format!("msg_{}", hex.trim_start_matches("sha256:").get(..32).unwrap_or_default())
}
