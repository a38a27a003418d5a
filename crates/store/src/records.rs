//! What is recorded of each server, and every step of it. Which step leads where is [`State::after`]'s to say.

use crate::db::{Outcome, Row, Tx, args, statements};
use crate::untold::utc;
use crate::{Pin, PinState, Scope, Store, StoreError};
use catalog::record::{Approved, Change, Facts, Grant, Known, Record, State, Step};
use decision::{EventName, ServerName, Timestamp};
use std::collections::BTreeMap;

statements! {
    ONE = "SELECT server, state, facts, approved_at, approved_by, until, wiring, approved_version, version, changed_at, \
        changed_by, because FROM server_records WHERE tenant = $1 AND environment = $2 AND server = $3";
    ALL = "SELECT server, state, facts, approved_at, approved_by, until, wiring, approved_version, version, changed_at, \
        changed_by, because FROM server_records WHERE tenant = $1 AND environment = $2 ORDER BY server";
    INSERT = "INSERT INTO server_records (tenant, environment, server, state, facts, approved_at, approved_by, until, \
        wiring, approved_version, version, changed_at, changed_by, because) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE server_records SET state = $4, facts = $5, approved_at = $6, approved_by = $7, until = $8, \
        wiring = $9, approved_version = $10, version = $11, changed_at = $12, changed_by = $13, because = $14 \
        WHERE tenant = $1 AND environment = $2 AND server = $3 AND version = $11 - 1";
    NOTE = "INSERT INTO server_steps (tenant, environment, server, version, at, by_whom, step, from_state, to_state, \
        until, because, facts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    STEPS = "SELECT at, by_whom, step, from_state, to_state, until, because, facts FROM server_steps \
        WHERE tenant = $1 AND environment = $2 AND server = $3 ORDER BY version DESC LIMIT $4";
}

/// Longest name of a person, and longest reason, in bytes.
const BY_BYTES_MAX: usize = 256;
const BECAUSE_BYTES_MAX: usize = 2_000;

/// A step that somebody takes.
#[derive(Debug)]
pub struct Taking<'a> {
    pub step: Step,
    pub by: &'a str,
    pub because: Option<&'a str>,
    /// What the record says from then on; `None` leaves the facts as they are.
    pub facts: Option<&'a Facts>,
    /// For [`Step::Approve`], and for no other.
    pub grant: Option<&'a Grant>,
    /// Only if the record is still of this version: what somebody decides is what they looked at. Zero stands for no
    /// record.
    pub seen: Option<u64>,
}

impl Store {
    /// What is recorded of a server.
    pub async fn record(&self, scope: &Scope, server: &ServerName) -> Result<Option<Record>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        self.db().row(ONE, key).await?.as_ref().map(read).transpose()
    }

    /// What is recorded of all servers, configured or not.
    pub async fn records(&self, scope: &Scope) -> Result<BTreeMap<ServerName, Record>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        let rows = self.db().rows(ALL, key).await?;
        rows.iter().map(|row| Ok((row.parsed("server")?, read(row)?))).collect()
    }

    /// The steps of a server's record, the last first.
    pub async fn record_steps(
        &self,
        scope: &Scope,
        server: &ServerName,
        limit: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str(), limit];
        self.db().rows(STEPS, key).await?.iter().map(change).collect()
    }

    /// Takes a step, and keeps it. Gateways notice.
    ///
    /// Errors: [`StoreError::Step`] when the state does not allow it; [`StoreError::Moved`] when the record is another
    /// one than the one that was looked at, or than the approval is for.
    pub async fn take_step(
        &self,
        scope: &Scope,
        server: &ServerName,
        taking: &Taking<'_>,
    ) -> Result<(Change, Record), StoreError> {
        let mut tx = self.db().begin().await?;
        let done = self.stepped(&mut tx, scope, server, taking).await?;
        self.commit_noticed(tx, scope).await?;
        Ok(done)
    }

    /// What is stored of a server's items, beside what is `known` of its configuration.
    pub async fn known(&self, scope: &Scope, server: &ServerName, known: Known) -> Result<Known, StoreError> {
        let stored = self.server(scope, server).await?;
        let pins = self.pins(scope, server).await?;
        let info = stored.as_ref().and_then(|server| server.meta.as_ref()?.0.info.clone());
        let known = match info {
            Some(info) => known.with_identity(server, &info),
            None => known,
        };
        let unread = |pin: &&crate::Pin| {
            pin.approved.as_ref().is_some_and(|mark| mark.by == crate::sight::FIRST_SIGHT)
        };
        let mut unpinned = BTreeMap::new();
        let stands_in = |pin: &&Pin| pin.state != PinState::Gone && catalog::is_stand_in(&pin.item.name);
        for pin in pins.iter().filter(stands_in) {
            let raw = self.definition(scope, &pin.seen).await?.unwrap_or_default();
            let why = catalog::why_unpinned(server, pin.item.kind, &raw, &pin.seen);
            unpinned.insert(format!("{}:{}", pin.item.kind.as_str(), pin.item.name), why);
        }
        Ok(Known {
            unpinned,
            seen: stored.is_some_and(|server| server.pinned_at.is_some()),
            pending: pins.iter().filter(|pin| pin.pending()).count(),
            gone: pins.iter().filter(|pin| pin.state == PinState::Gone).count(),
            unread: pins.iter().filter(unread).count(),
            ..known
        })
    }

    /// An approval of what is forgotten is none.
    pub(crate) async fn record_forgotten(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        server: &ServerName,
        by: &str,
    ) -> Outcome<()> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        let Some(row) = tx.row(ONE, key).await? else { return Ok(()) };
        if State::after(Some(read(&row)?.state), Step::Forget) == Some(read(&row)?.state) {
            return Ok(());
        }
        let because = Some("what it offers was forgotten");
        let taking = Taking { step: Step::Forget, by, because, facts: None, grant: None, seen: None };
        self.stepped(tx, scope, server, &taking).await.map(drop)
    }

    async fn stepped(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        server: &ServerName,
        taking: &Taking<'_>,
    ) -> Outcome<(Change, Record)> {
        acceptable(taking)?;
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), server.as_str()];
        let before = tx.row(ONE, key).await?.as_ref().map(read).transpose()?;
        let from = before.as_ref().map(|record| record.state);
        let moved = || StoreError::Moved { what: "record of the server", name: server.to_string() };
        if taking.seen.is_some_and(|seen| seen != before.as_ref().map_or(0, |record| record.version)) {
            return Err(moved());
        }
        let refused = |why: &str| StoreError::Step {
            server: server.to_string(),
            step: taking.step,
            why: why.to_owned(),
        };
        let to = State::after(from, taking.step)
            .ok_or_else(|| refused(&taking.step.refused(from, server.as_str())))?;
        let at = self.now();
        let kept = before.as_ref().map(|record| record.facts.clone()).unwrap_or_default();
        let facts = taking.facts.cloned().unwrap_or_else(|| kept.clone());
        let approved = match (taking.step, taking.grant) {
            (Step::Approve, Some(grant)) if *grant.facts() != facts => return Err(moved()),
            (Step::Approve, Some(grant)) if grant.until() <= at => {
                return Err(refused("its date is over already"));
            }
            (Step::Approve, Some(grant)) => Some(given(grant, at, taking.by)),
            (Step::Approve, None) => return Err(refused("nobody looked whether anything is missing")),
            (Step::Add, _) => None,
            (Step::Set | Step::Review | Step::Suspend | Step::Retire | Step::Forget, _) => {
                before.as_ref().and_then(|record| record.approved.clone())
            }
        };
        let record = Record {
            state: to,
            facts,
            approved,
            version: before.as_ref().map_or(0, |record| record.version) + 1,
            changed_at: at,
            changed_by: taking.by.to_owned(),
            because: taking.because.map(str::to_owned),
        };
        let change = Change {
            at,
            by: taking.by.to_owned(),
            step: taking.step,
            from,
            to,
            until: record.until(),
            because: record.because.clone(),
            facts: kept.changed(&record.facts),
        };
        if !put(tx, scope, server, &record, before.is_some()).await? {
            return Err(moved());
        }
        note(tx, scope, server, &record, &change).await?;
        let mut detail = change.detail(&record.facts, utc);
        // by this, and the server, an event that a crash had told twice is known
        detail.insert("version".to_owned(), record.version.to_string());
        let events = vec![(EventName::ServerRecordChanged, detail)];
        self.note_untold(tx, scope, Some(server), at, events).await?;
        Ok((change, record))
    }
}

fn given(grant: &Grant, at: Timestamp, by: &str) -> Approved {
    Approved {
        at,
        by: by.to_owned(),
        until: grant.until(),
        wiring: grant.wiring().to_owned(),
        version: grant.version().map(str::to_owned),
    }
}

fn acceptable(taking: &Taking<'_>) -> Outcome<()> {
    if taking.by.is_empty() || taking.by.len() > BY_BYTES_MAX || taking.by.contains('\0') {
        return Err(StoreError::Unacceptable { what: "name of who decides", rule: "1 to 256 bytes of text" });
    }
    let long = |text: &str| text.len() > BECAUSE_BYTES_MAX || text.contains('\0');
    if taking.because.is_some_and(long) {
        return Err(StoreError::Unacceptable { what: "reason", rule: "at most 2000 bytes of text" });
    }
    Ok(())
}

/// Whether it was written: somebody else may have been first.
async fn put(
    tx: &mut Tx,
    scope: &Scope,
    server: &ServerName,
    record: &Record,
    exists: bool,
) -> Outcome<bool> {
    let approved = record.approved.as_ref();
    let row = args![
        scope.tenant.as_str(),
        scope.environment.as_str(),
        server.as_str(),
        record.state.as_str(),
        serde_json::to_string(&record.facts).unwrap_or_default(),
        approved.map(|approved| approved.at),
        approved.map(|approved| approved.by.as_str()),
        approved.map(|approved| approved.until),
        approved.map(|approved| approved.wiring.as_str()),
        approved.and_then(|approved| approved.version.as_deref()),
        record.version,
        record.changed_at,
        record.changed_by.as_str(),
        record.because.as_deref(),
    ];
    Ok(tx.execute(if exists { UPDATE } else { INSERT }, row).await? == 1)
}

async fn note(
    tx: &mut Tx,
    scope: &Scope,
    server: &ServerName,
    record: &Record,
    change: &Change,
) -> Outcome<()> {
    let row = args![
        scope.tenant.as_str(),
        scope.environment.as_str(),
        server.as_str(),
        record.version,
        change.at,
        change.by.as_str(),
        change.step.as_str(),
        change.from.map(State::as_str),
        change.to.as_str(),
        change.until,
        change.because.as_deref(),
        change.facts.join(","),
    ];
    tx.execute(NOTE, row).await.map(drop)
}

fn read(row: &Row) -> Outcome<Record> {
    let facts: String = row.get("facts")?;
    let approved = match (row.time_opt("approved_at")?, row.time_opt("until")?) {
        (Some(at), Some(until)) => Some(Approved {
            at,
            by: row.get("approved_by")?,
            until,
            wiring: row.get("wiring")?,
            version: row.get("approved_version")?,
        }),
        (None, _) | (_, None) => None,
    };
    Ok(Record {
        state: row.word("state", State::parse)?,
        facts: Facts::from_json(&facts).ok_or_else(|| row.unreadable("facts"))?,
        approved,
        version: row.count("version")?,
        changed_at: row.time("changed_at")?,
        changed_by: row.get("changed_by")?,
        because: row.get("because")?,
    })
}

fn change(row: &Row) -> Outcome<Change> {
    let facts: String = row.get("facts")?;
    Ok(Change {
        at: row.time("at")?,
        by: row.get("by_whom")?,
        step: row.word("step", Step::parse)?,
        from: row.word_opt("from_state", State::parse)?,
        to: row.word("to_state", State::parse)?,
        until: row.time_opt("until")?,
        because: row.get("because")?,
        facts: facts.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
    })
}
