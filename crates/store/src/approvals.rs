//! Approvals as rows. What may become of one is said in `decision`; here a step is written only if no other was taken
//! in between, and so nothing is spent twice, whoever races for it.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::forgetting::unsay;
use crate::{Scope, Store, StoreError};
use decision::approval::{Approval, State};
use decision::{ApprovalId, DeedId, Digest, Timestamp};

statements! {
    PROPOSE = "INSERT INTO approvals (tenant, environment, id, subject, deed, state, version, proposed_at, \
        expires_at, changed_at, body, refusal) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $7, $9, $10) \
        ON CONFLICT DO NOTHING";
    STEP = "UPDATE approvals SET state = $5, deed = $6, changed_at = $7, body = $8, version = version + 1, \
        sealed = CASE WHEN $9 = 1 THEN sealed ELSE NULL END \
        WHERE tenant = $1 AND environment = $2 AND id = $3 AND version = $4 AND ($10 = 0 OR NOT EXISTS ( \
        SELECT 1 FROM approvals o WHERE o.tenant = $1 AND o.environment = $2 AND o.subject = $11 AND o.id <> $3 \
        AND (o.state = 'proposed' OR o.state = 'approved')))";
    ONE = "SELECT version, changed_at, body FROM approvals \
        WHERE tenant = $1 AND environment = $2 AND id = $3";
    OF_SUBJECT = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND subject = $3 AND (state = 'proposed' OR state = 'approved')";
    LAST_OF_SUBJECT = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND subject = $3 ORDER BY proposed_at DESC, id DESC LIMIT 1";
    REFUSED = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND refusal = $3 AND state = 'denied' AND expires_at > $4 ORDER BY changed_at DESC, id DESC LIMIT 1";
    OF_DEED = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND deed = $3 AND state = 'executing'";
    IN_STATE = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND state = $3 AND (proposed_at > $4 OR (proposed_at = $4 AND id > $5)) \
        ORDER BY proposed_at, id LIMIT $6";
    HISTORY = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND state <> 'proposed' AND (changed_at < $3 OR (changed_at = $3 AND id < $4)) \
        ORDER BY changed_at DESC, id DESC LIMIT $5";
    COUNT = "SELECT COUNT(*) AS n FROM approvals WHERE tenant = $1 AND environment = $2 AND state = $3";
    DUE = "SELECT version, changed_at, body FROM approvals WHERE tenant = $1 AND environment = $2 \
        AND state = $3 AND expires_at <= $4 ORDER BY expires_at LIMIT 256";
    KEEP_CALL = "UPDATE approvals SET sealed = $4 WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND sealed IS NULL AND (state = 'proposed' OR state = 'approved')";
    KEEP_ANSWER = "UPDATE approvals SET sealed = $4 WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND (state = 'executed' OR state = 'failed' OR state = 'unknown' OR state = 'executing')";
    LET_GO = "UPDATE approvals SET sealed = NULL WHERE tenant = $1 AND environment = $2 AND id = $3 \
        AND (state = 'proposed' OR state = 'approved')";
    FORGET_ANSWERS = "UPDATE approvals SET sealed = NULL WHERE tenant = $1 AND environment = $2 \
        AND sealed IS NOT NULL AND changed_at < $3 \
        AND (state = 'executed' OR state = 'failed' OR state = 'unknown')";
    SEALED = "SELECT sealed FROM approvals WHERE tenant = $1 AND environment = $2 AND id = $3";
}

/// An approval as it was read: a step counts only if it is still so when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub approval: Approval,
    pub changed_at: Timestamp,
    version: u64,
}

/// So many are asked for in one go where all are wanted.
const AT_ONCE: u32 = 256;

/// Where a page of a list begins: after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub after: Option<(Timestamp, ApprovalId)>,
    pub limit: u32,
}

/// Whether a step was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Taken,
    /// Somebody else took one first; nothing is changed.
    Missed,
}

impl Store {
    /// Keeps a new approval. Missed where one is open for the same subject.
    pub async fn propose(&self, scope: &Scope, approval: &Approval) -> Result<Turn, StoreError> {
        self.propose_with(scope, approval, None).await
    }

    /// The same with its sealed call: both or neither.
    pub async fn propose_with(
        &self,
        scope: &Scope,
        approval: &Approval,
        call: Option<&[u8]>,
    ) -> Result<Turn, StoreError> {
        let row = args![
            scope.tenant.as_str(),
            scope.environment.as_str(),
            approval.id.to_string(),
            approval.terms.subject(),
            approval.deed.to_string(),
            approval.state.as_str(),
            approval.proposed_at,
            approval.expires_at,
            body(approval)?,
            approval.terms.refusal(),
        ];
        let mut tx = self.db().begin().await?;
        let added = tx.execute(PROPOSE, row).await?;
        if let Some(sealed) = call.filter(|_| added > 0) {
            let id = approval.id.to_string();
            tx.execute(KEEP_CALL, args![scope.tenant.as_str(), scope.environment.as_str(), id, sealed])
                .await?;
        }
        tx.commit().await?;
        Ok(if added == 0 { Turn::Missed } else { Turn::Taken })
    }

    /// Writes what came of a step. What is over keeps no call.
    pub async fn step(&self, scope: &Scope, before: &Kept, after: &Approval) -> Result<Turn, StoreError> {
        let mut tx = self.db().begin().await?;
        let turn = step(&mut tx, scope, before, after, self.now()).await?;
        let forgets = after.forgets && after.has_ended() && turn == Turn::Taken;
        if forgets {
            unsay(&mut tx, scope, after.id).await?;
        }
        tx.commit().await?;
        if forgets && !self.scrub().await.unwrap_or_default() {
            // the step counts all the same; the next checkpoint of the database's log takes the bytes
            tracing::debug!(approval = %after.id, "the database's log could not be emptied now");
        }
        Ok(turn)
    }

    pub async fn approval(&self, scope: &Scope, id: ApprovalId) -> Result<Option<Kept>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string()];
        self.db().row(ONE, key).await?.as_ref().map(kept).transpose()
    }

    /// The one that waits for people or to be spent.
    pub async fn open_approval(&self, scope: &Scope, subject: &Digest) -> Result<Option<Kept>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), *subject];
        self.db().row(OF_SUBJECT, key).await?.as_ref().map(kept).transpose()
    }

    /// The youngest of the subject, whatever became of it.
    pub async fn last_approval(&self, scope: &Scope, subject: &Digest) -> Result<Option<Kept>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), *subject];
        self.db().row(LAST_OF_SUBJECT, key).await?.as_ref().map(kept).transpose()
    }

    /// The last no to [this](decision::approval::Terms::refusal) whose time is not over.
    pub async fn standing_no(
        &self,
        scope: &Scope,
        refusal: &Digest,
        now: Timestamp,
    ) -> Result<Option<Kept>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), *refusal, now];
        self.db().row(REFUSED, key).await?.as_ref().map(kept).transpose()
    }

    /// The one that a deed on its way was spent on.
    pub async fn spent_approval(&self, scope: &Scope, deed: DeedId) -> Result<Option<Kept>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), deed.to_string()];
        self.db().row(OF_DEED, key).await?.as_ref().map(kept).transpose()
    }

    /// Those in one state, the oldest first.
    pub async fn approvals_in(
        &self,
        scope: &Scope,
        state: State,
        page: Page,
    ) -> Result<Vec<Kept>, StoreError> {
        let (at, id) = page.after.map_or((Timestamp(0), String::new()), |(at, id)| (at, id.to_string()));
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, state.as_str(), at, id, u64::from(page.limit)];
        self.db().rows(IN_STATE, key).await?.iter().map(kept).collect()
    }

    /// All of them in one state, the oldest first, however many there are.
    pub async fn all_approvals_in(&self, scope: &Scope, state: State) -> Result<Vec<Kept>, StoreError> {
        let (mut all, mut page) = (Vec::new(), Page { after: None, limit: AT_ONCE });
        loop {
            let some = self.approvals_in(scope, state, page).await?;
            let Some(last) = some.last() else { return Ok(all) };
            page.after = Some((last.approval.proposed_at, last.approval.id));
            all.extend(some);
        }
    }

    /// What became of the others, the last change first.
    pub async fn approvals_past(&self, scope: &Scope, page: Page) -> Result<Vec<Kept>, StoreError> {
        let last = (Timestamp(u64::MAX), String::new());
        let (at, id) = page.after.map_or(last, |(at, id)| (at, id.to_string()));
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let key = args![tenant, environment, at, id, u64::from(page.limit)];
        self.db().rows(HISTORY, key).await?.iter().map(kept).collect()
    }

    pub async fn count_approvals(&self, scope: &Scope, state: State) -> Result<u64, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), state.as_str()];
        self.db().row(COUNT, key).await?.map_or(Ok(0), |row| row.count("n"))
    }

    /// Open ones whose time is over, some of them at once.
    pub async fn due_approvals(&self, scope: &Scope) -> Result<Vec<Kept>, StoreError> {
        let mut due = Vec::new();
        for state in [State::Proposed, State::Approved] {
            let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
            let key = args![tenant, environment, state.as_str(), self.now()];
            for row in self.db().rows(DUE, key).await? {
                due.push(kept(&row)?);
            }
        }
        Ok(due)
    }

    /// Keeps the sealed call of one that waits, where none is kept. False where that cannot be any more.
    pub async fn keep_call(&self, scope: &Scope, id: ApprovalId, sealed: &[u8]) -> Result<bool, StoreError> {
        let kept = self.put_sealed(KEEP_CALL, scope, id, sealed).await?;
        Ok(kept || self.sealed_call(scope, id).await?.is_some())
    }

    /// Keeps what came of a call that was sent, sealed, in place of the call.
    pub async fn keep_answer(&self, scope: &Scope, id: ApprovalId, sealed: &[u8]) -> Result<(), StoreError> {
        self.put_sealed(KEEP_ANSWER, scope, id, sealed).await.map(drop)
    }

    /// Lets go of a call that did not leave: it will not without whoever asked.
    pub async fn let_go_of_call(&self, scope: &Scope, id: ApprovalId) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        tx.execute(LET_GO, args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string()]).await?;
        tx.commit().await
    }

    /// Lets go of answers of calls that were over before that time.
    pub async fn forget_answers(&self, scope: &Scope, before: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        tx.execute(FORGET_ANSWERS, args![scope.tenant.as_str(), scope.environment.as_str(), before]).await?;
        tx.commit().await
    }

    async fn put_sealed(
        &self,
        statement: &'static str,
        scope: &Scope,
        id: ApprovalId,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        let row = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string(), sealed];
        let mut tx = self.db().begin().await?;
        let kept = tx.execute(statement, row).await?;
        tx.commit().await?;
        Ok(kept > 0)
    }

    /// What was kept with it, sealed: the call, or what came of it.
    pub async fn sealed_call(&self, scope: &Scope, id: ApprovalId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), id.to_string()];
        let row = self.db().row(SEALED, key).await?;
        row.map_or(Ok(None), |row| row.get("sealed"))
    }
}

/// One step, in a transaction that may do more.
pub(crate) async fn step(
    tx: &mut Tx,
    scope: &Scope,
    before: &Kept,
    after: &Approval,
    now: Timestamp,
) -> Outcome<Turn> {
    let keeps = after.state.is_open() || after.state == State::Executing;
    let row = args![
        scope.tenant.as_str(),
        scope.environment.as_str(),
        after.id.to_string(),
        before.version,
        after.state.as_str(),
        after.deed.to_string(),
        now,
        body(after)?,
        keeps,
        after.state.is_open(),
        after.terms.subject(),
    ];
    let written = tx.execute(STEP, row).await?;
    Ok(if written == 0 { Turn::Missed } else { Turn::Taken })
}

impl Kept {
    /// Counts its changes.
    pub fn version(&self) -> u64 {
        self.version
    }
}

pub(crate) fn body(approval: &Approval) -> Outcome<String> {
    serde_json::to_string(approval).map_err(|_| StoreError::Unacceptable {
        what: "approval",
        rule: "it must be possible to write it as JSON",
    })
}

/// Rows of approvals, for whoever asks for them in another order.
pub(crate) fn kept_rows(rows: &[Row]) -> Outcome<Vec<Kept>> {
    rows.iter().map(kept).collect()
}

fn kept(row: &Row) -> Outcome<Kept> {
    Ok(Kept {
        approval: row.json("body")?,
        changed_at: row.time("changed_at")?,
        version: row.count("version")?,
    })
}
