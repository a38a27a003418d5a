//! Where approvals are proposed, decided, spent and settled. Every step is an entry of the ledger before it counts, and
//! counts only if no other step was taken in between.

use crate::approvals::Turn;
use crate::budgets::{Spending, Takes};
use crate::ledger::{Ledger, LedgerError, Record};
use crate::{Kept, Scope, Store, StoreError};
use catalog::record;
use decision::approval::{Approval, Part, Settled, State, Step, Terms, Unfit, Voter};
use decision::budget::{Over, Use};
use decision::{ApprovalId, CallId, Clock, Entry, Event, EventName, UserName};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, broadcast};

/// Steps on different approvals seldom wait for each other.
const LANES: usize = 64;
/// So often a step is tried anew when another gateway was faster.
const TRIES: u32 = 8;
/// How long a waiter trusts that it is told: on PostgreSQL another gateway may have decided.
const LOOK: Duration = Duration::from_secs(1);

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("there is no approval `{0}`")]
    Missing(ApprovalId),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("others change it at the same time; try again")]
    Raced,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger cannot write: {0}")]
    Ledger(#[from] LedgerError),
    #[error("the entry cannot be written as JSON: {0}")]
    Entry(#[from] serde_json::Error),
}

/// The desk of one gateway. The same store may have several.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    lanes: Vec<Mutex<()>>,
    changed: broadcast::Sender<ApprovalId>,
}

/// What came of spending an approval.
#[derive(Debug)]
pub enum Purchase {
    /// It is spent, and the record says so.
    Made(Box<Approval>, Record),
    /// A budget has no room any more; nothing is spent.
    Over(Vec<(Use, Over)>),
    /// Another call took the key first; nothing is spent.
    Twin,
}

/// What somebody did, for the entry.
type Detail = Vec<(&'static str, String)>;

impl Desk {
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        let lanes = (0..LANES).map(|_| Mutex::new(())).collect();
        Self { store, ledger, clock, lanes, changed: broadcast::channel(1_024).0 }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Names each approval that was changed here.
    pub fn changes(&self) -> broadcast::Receiver<ApprovalId> {
        self.changed.subscribe()
    }

    /// Proposes it, or gives back the one that is open for the same subject and whose time is not over.
    pub async fn propose(&self, scope: &Scope, approval: Approval) -> Result<Approval, DeskError> {
        self.propose_with(scope, approval, None).await
    }

    /// The same, and keeps with it the sealed call that a yes sends by itself: whoever stops in between would leave a yes
    /// that sends nothing.
    pub async fn propose_with(
        &self,
        scope: &Scope,
        approval: Approval,
        call: Option<&[u8]>,
    ) -> Result<Approval, DeskError> {
        let subject = approval.terms.subject();
        // before the turn: ending one takes a turn of its own
        let open = self.store.open_approval(scope, &subject).await?;
        if let Some(due) = open.filter(|open| self.clock.now() >= open.approval.expires_at) {
            self.end(scope, due.approval.id).await?;
        }
        let _turn = self.lane(&subject.0).await;
        if let Some(open) = self.store.open_approval(scope, &subject).await? {
            return Ok(open.approval);
        }
        let detail = vec![
            ("terms", approval.terms.digest().to_string()),
            ("preview", approval.preview.digest().to_string()),
            ("needs", approval.cure.to_string()),
            ("rules", approval.preview.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            ("expires", approval.expires_at.0.to_string()),
        ];
        self.write(scope, EventName::ApprovalProposed, &approval, detail).await?;
        match self.store.propose_with(scope, &approval, call).await? {
            Turn::Taken => {
                self.tell(approval.id);
                Ok(approval)
            }
            Turn::Missed => {
                self.write(scope, EventName::ApprovalMissed, &approval, Detail::new()).await?;
                let open = self.store.open_approval(scope, &subject).await?;
                open.map(|open| open.approval).ok_or(DeskError::Raced)
            }
        }
    }

    /// One person's yes or no. A yes given while its server is suspended or retired sends nothing by itself, also not on
    /// the day when that is over: its call waits for whoever asked.
    pub async fn vote(
        &self,
        scope: &Scope,
        id: ApprovalId,
        voter: &Voter,
        yes: bool,
        reason: Option<&str>,
        via: &str,
    ) -> Result<Approval, DeskError> {
        let step = Step::Vote { voter: voter.clone(), yes, reason: reason.map(str::to_owned) };
        let mut detail = vec![
            ("by", voter.person.to_string()),
            ("vote", if yes { "yes" } else { "no" }.into()),
            ("via", via.to_owned()),
        ];
        detail.extend(reason.map(|reason| ("reason", reason.to_owned())));
        let after = self.take(scope, id, &step, detail).await?;
        if after.state == State::Approved && self.is_stopped(scope, &after).await? {
            self.store.let_go_of_call(scope, id).await?;
        }
        Ok(after)
    }

    /// Whether people stopped its server.
    async fn is_stopped(&self, scope: &Scope, approval: &Approval) -> Result<bool, DeskError> {
        let records = self.store.records(scope).await?;
        let record = records.get(&approval.terms.target.server);
        Ok(record.is_some_and(|one| matches!(one.state, record::State::Suspended | record::State::Retired)))
    }

    /// Takes it back while nothing has left.
    pub async fn revoke(
        &self,
        scope: &Scope,
        id: ApprovalId,
        by: &str,
        reason: Option<&str>,
    ) -> Result<Approval, DeskError> {
        let step = Step::Revoke { by: by.to_owned(), reason: reason.map(str::to_owned) };
        let mut detail = vec![("by", by.to_owned())];
        detail.extend(reason.map(|reason| ("reason", reason.to_owned())));
        self.take(scope, id, &step, detail).await
    }

    /// Something it was bound to changed.
    pub async fn void(&self, scope: &Scope, id: ApprovalId, part: Part) -> Result<Approval, DeskError> {
        self.take(scope, id, &Step::Void { part }, vec![("changed", part.to_string())]).await
    }

    /// Spends it on this call, and with it what the call takes of budgets: both or neither. The record that says so goes
    /// into the ledger with the call's intent: nothing leaves before that is durable, and a row without such an entry is
    /// given back at the next start.
    pub async fn spend(
        &self,
        scope: &Scope,
        before: &Kept,
        terms: Terms,
        takes: Takes<'_>,
    ) -> Result<Purchase, DeskError> {
        let id = before.approval.id;
        let _turn = self.lane(id.as_bytes()).await;
        let (log, people) = (self.log().to_owned(), self.who_voted(scope, &before.approval).await?);
        let step = Step::Spend { call: takes.call, deed: takes.deed, terms, log, people };
        let after = before.approval.after(step, self.clock.now())?;
        match self.store.spend(scope, Some((before, &after)), takes, &[]).await? {
            Spending::Done => {
                self.tell(id);
                let record = self.record(scope, EventName::ApprovalExecuting, &after, Detail::new())?;
                Ok(Purchase::Made(Box::new(after), record))
            }
            Spending::Missed => Err(DeskError::Raced),
            Spending::Over(full) => Ok(Purchase::Over(full)),
            Spending::Twin => Ok(Purchase::Twin),
        }
    }

    /// Lets another message of the deed leave. Errors: one of that number did already.
    pub async fn next_leg(
        &self,
        scope: &Scope,
        id: ApprovalId,
        deed: decision::DeedId,
        leg: u32,
    ) -> Result<(), DeskError> {
        self.take(scope, id, &Step::Leg { deed, leg }, Detail::new()).await.map(drop)
    }

    /// The deed waits for its client's next message until then.
    pub async fn await_next(
        &self,
        scope: &Scope,
        id: ApprovalId,
        deed: decision::DeedId,
        until: decision::Timestamp,
    ) -> Result<(), DeskError> {
        self.take(scope, id, &Step::Await { deed, until }, Detail::new()).await.map(drop)
    }

    /// Ends deeds whose next message did not come in time; returns how many. Their server was asked, so whether it acted is
    /// not known.
    pub async fn give_up(&self, scope: &Scope) -> Result<usize, DeskError> {
        let mut ended = 0;
        let now = self.clock.now();
        let due = |one: &Approval| one.waits_until.is_some_and(|until| now >= until);
        for one in self.executing(scope).await?.into_iter().filter(due) {
            let detail = vec![("reason", "its next message did not come in time".to_owned())];
            match self.take(scope, one.id, &Step::GiveUp, detail).await {
                Ok(_) => ended += 1,
                // it came after all, at another gateway
                Err(DeskError::Unfit(_) | DeskError::Raced) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    /// What it was spent on never left.
    pub async fn give_back(&self, scope: &Scope, id: ApprovalId, call: CallId) -> Result<(), DeskError> {
        self.take(scope, id, &Step::GiveBack { call, superseded: false }, Detail::new()).await.map(drop)
    }

    /// How the deed ended, once its decision is in the ledger.
    pub async fn settle(&self, scope: &Scope, id: ApprovalId, end: Settled) -> Result<(), DeskError> {
        self.take(scope, id, &Step::Settle { end }, Detail::new()).await.map(drop)
    }

    /// Ends those whose time is over; returns how many.
    pub async fn expire(&self, scope: &Scope) -> Result<usize, DeskError> {
        let mut ended = 0;
        for due in self.store.due_approvals(scope).await? {
            ended += usize::from(self.end(scope, due.approval.id).await?);
        }
        Ok(ended)
    }

    /// Ends one if its time is over, and nobody was faster.
    async fn end(&self, scope: &Scope, id: ApprovalId) -> Result<bool, DeskError> {
        match self.take(scope, id, &Step::Expire, Detail::new()).await {
            Ok(_) => Ok(true),
            Err(DeskError::Unfit(_) | DeskError::Raced) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What this gateway's log says it spent and never settled: what a stop left on its way. What only waited for its client
    /// still does.
    pub async fn unsettled(&self, scope: &Scope) -> Result<Vec<Approval>, DeskError> {
        let mut own = self.executing(scope).await?;
        own.retain(|one| one.log.as_deref() == Some(self.log()) && one.waits_until.is_none());
        Ok(own)
    }

    async fn executing(&self, scope: &Scope) -> Result<Vec<Approval>, DeskError> {
        let kept = self.store.all_approvals_in(scope, State::Executing).await?;
        Ok(kept.into_iter().map(|one| one.approval).collect())
    }

    fn log(&self) -> &str {
        self.ledger.public_key().origin()
    }

    /// Waits until it is something else than proposed, or until `patience` is over. One whose time ends meanwhile is ended.
    /// `None`: it is gone.
    pub async fn decided(
        &self,
        scope: &Scope,
        id: ApprovalId,
        patience: Duration,
    ) -> Result<Option<Approval>, DeskError> {
        let mut changes = self.changes();
        let until = tokio::time::Instant::now() + patience;
        loop {
            let Some(kept) = self.store.approval(scope, id).await? else { return Ok(None) };
            let is_late = self.clock.now() >= kept.approval.expires_at;
            if kept.approval.state == State::Proposed && is_late && self.end(scope, id).await? {
                continue;
            }
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if kept.approval.state != State::Proposed || left.is_zero() {
                return Ok(Some(kept.approval));
            }
            let told = async {
                // one that was missed may have been this one
                while changes.recv().await.is_ok_and(|one| one != id) {}
            };
            let _ = tokio::time::timeout(LOOK.min(left), told).await;
        }
    }

    /// A person who wants to decide, with their groups and what others lent them. `None` for somebody nobody added.
    pub async fn voter(&self, scope: &Scope, person: &UserName) -> Result<Option<Voter>, DeskError> {
        Ok(self.people(scope).await?.into_iter().find(|one| one.person == *person))
    }

    /// Everybody who was added, as one who may want to decide.
    pub async fn people(&self, scope: &Scope) -> Result<Vec<Voter>, DeskError> {
        Ok(self.store.voters(scope).await?)
    }

    /// Whether the yes there is counts as people are now: who said it may have lost a group since, or be gone.
    pub async fn stands(&self, scope: &Scope, approval: &Approval) -> Result<bool, DeskError> {
        Ok(approval.stands(&self.who_voted(scope, approval).await?))
    }

    async fn who_voted(&self, scope: &Scope, approval: &Approval) -> Result<Vec<Voter>, DeskError> {
        let voted = |one: &Voter| approval.votes.iter().any(|vote| vote.person == one.person);
        Ok(self.people(scope).await?.into_iter().filter(voted).collect())
    }

    async fn take(
        &self,
        scope: &Scope,
        id: ApprovalId,
        step: &Step,
        detail: Detail,
    ) -> Result<Approval, DeskError> {
        let _turn = self.lane(id.as_bytes()).await;
        for _ in 0..TRIES {
            let before = self.store.approval(scope, id).await?.ok_or(DeskError::Missing(id))?;
            let step = &self.now_of(scope, &before.approval, step).await?;
            let after = before.approval.after(step.clone(), self.clock.now())?;
            let mut records = Vec::with_capacity(2);
            if let Step::Vote { .. } = step {
                records.push(self.record(scope, EventName::ApprovalVoted, &after, detail.clone())?);
            }
            if before.approval.state != after.state {
                records.push(self.record(scope, named(after.state), &after, detail.clone())?);
            }
            if !records.is_empty() {
                self.ledger.append(records).await?;
            }
            match self.store.step(scope, &before, &after).await? {
                Turn::Taken => {
                    self.tell(id);
                    return Ok(after);
                }
                Turn::Missed => self.write(scope, EventName::ApprovalMissed, &after, Detail::new()).await?,
            }
        }
        Err(DeskError::Raced)
    }

    /// The step as things are now: what is given back gives way to what was proposed meanwhile.
    async fn now_of(&self, scope: &Scope, one: &Approval, step: &Step) -> Result<Step, DeskError> {
        let Step::GiveBack { call, .. } = step else { return Ok(step.clone()) };
        let open = self.store.open_approval(scope, &one.terms.subject()).await?;
        Ok(Step::GiveBack { call: *call, superseded: open.is_some_and(|open| open.approval.id != one.id) })
    }

    async fn lane(&self, of: &impl std::hash::Hash) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        let lanes = u64::try_from(LANES).unwrap_or(1);
        let lane = self.lanes.get(usize::try_from(hasher.finish() % lanes).unwrap_or_default())?;
        Some(lane.lock().await)
    }

    fn tell(&self, id: ApprovalId) {
        // nobody waiting is not an error
        let _ = self.changed.send(id);
    }

    async fn write(
        &self,
        scope: &Scope,
        event: EventName,
        approval: &Approval,
        detail: Detail,
    ) -> Result<(), DeskError> {
        let record = self.record(scope, event, approval, detail)?;
        self.ledger.append(vec![record]).await?;
        Ok(())
    }

    fn record(
        &self,
        scope: &Scope,
        event: EventName,
        approval: &Approval,
        detail: Detail,
    ) -> Result<Record, DeskError> {
        let own = [("approval", approval.id.to_string()), ("state", approval.state.as_str().to_owned())];
        let detail = own.into_iter().chain(detail).map(|(key, value)| (key.to_owned(), value)).collect();
        let entry = Entry::Event(Event {
            v: 1,
            at: self.clock.now(),
            tenant: scope.tenant.clone(),
            environment: scope.environment.clone(),
            event,
            call: Some(approval.call),
            server: Some(approval.terms.target.server.clone()),
            detail,
        });
        Ok(Record::new(entry, Vec::new())?)
    }
}

/// The entry that says that an approval is in this state now.
fn named(state: State) -> EventName {
    match state {
        State::Proposed => EventName::ApprovalProposed,
        State::Approved => EventName::ApprovalGranted,
        State::Denied => EventName::ApprovalDenied,
        State::Expired => EventName::ApprovalExpired,
        State::Cancelled => EventName::ApprovalCancelled,
        State::Executing => EventName::ApprovalExecuting,
        State::Executed => EventName::ApprovalExecuted,
        State::Failed => EventName::ApprovalFailed,
        State::Unknown => EventName::ApprovalUnknown,
    }
}
