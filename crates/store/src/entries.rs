//! Filling the search index from the ledger.
//!
//! The ledger's files are the truth. The index copies what people search by, cut to a bounded
//! length, and can be wiped and filled again at any time.

use crate::db::{Arg, Outcome, Tx, args, statements};
use crate::words::{direction_word, era_word, kind_word, transport_word, words};
use crate::{Scope, Store, StoreError};
use decision::{Actor, CallId, Channel, Decision, Ending, Entry, Event, Intent, Item, Principal, Target};
use std::{borrow::Borrow, collections::BTreeMap, sync::LazyLock};

statements! {
    /// Holds the log's row until the end, so that a batch is indexed once.
    MARK = "UPDATE indexed SET up_to = up_to WHERE log_id = $1 RETURNING number, up_to";
    NEW_MARK = "INSERT INTO indexed (tenant, environment, log_id, up_to, known) VALUES ('*', '*', $1, 0, 0) \
        ON CONFLICT (log_id) DO NOTHING";
    /// Completes the intent that a decision closes.
    CLOSE = "UPDATE entries SET ending = $4, code = $5, dispatched = $6, duration_us = $7, shown = $8, closed = $9 \
        WHERE call_id = $1 AND tenant = $2 AND environment = $3 AND kind = 'intent'";
    READ_MARK = "SELECT up_to, known FROM indexed WHERE log_id = $1";
    SET_MARK = "UPDATE indexed SET up_to = $2 WHERE log_id = $1";
    WIPE = "DELETE FROM entries WHERE seq BETWEEN $1 AND $2";
    WIPE_MARK = "UPDATE indexed SET up_to = 0, known = 0 WHERE log_id = $1 RETURNING number";
    PLACES = "SELECT seq, kind, at, duration_us, closed FROM entries \
        WHERE call_id = $1 AND tenant = $2 AND environment = $3";
    LOGS = "SELECT number, log_id FROM indexed";
}

/// The columns, in the order in which [`columns`] fills them.
const COLUMNS: [&str; 34] = [
    "seq",
    "tenant",
    "environment",
    "kind",
    "at",
    "call_id",
    "deed_id",
    "leg",
    "interaction",
    "direction",
    "errand",
    "actor_kind",
    "actor_name",
    "user_name",
    "host",
    "model",
    "workflow",
    "transport",
    "era",
    "revision",
    "entrance",
    "method",
    "server",
    "item_kind",
    "item_name",
    "definition",
    "policy",
    "ending",
    "code",
    "dispatched",
    "event",
    "duration_us",
    "shown",
    "closed",
];

/// Entries of one log have numbers next to each other: the log's own, and as many bits for the index in it.
const INDEX_BITS: u32 = 40;

/// The logs that are indexed, by number.
#[derive(Debug, Default)]
pub(crate) struct Logs(BTreeMap<u64, String>);

impl Logs {
    /// The log and the index of an entry, by its number in the table.
    pub(crate) fn place(&self, seq: u64) -> (String, u64) {
        (self.0.get(&(seq >> INDEX_BITS)).cloned().unwrap_or_default(), seq & ((1 << INDEX_BITS) - 1))
    }

    /// The number in the table. That of a log that is not indexed is behind all others.
    pub(crate) fn seq(&self, log: &str, index: u64) -> u64 {
        let number = self.0.iter().find(|(_, known)| *known == log).map(|(number, _)| *number);
        number.map_or(u64::MAX, |number| seq(number, index))
    }
}

fn seq(log: u64, index: u64) -> u64 {
    (log << INDEX_BITS) | index
}

/// Rows per statement: few different texts, so that both engines keep them prepared.
const BATCHES: [usize; 3] = [64, 8, 1];

/// Longest text that is copied into the index, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// The three kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    Intent,
    Decision,
    Event,
}

words! {
    entry_kind_word, entry_kind_from: EntryKind { Intent = "intent", Decision = "decision", Event = "event" }
}

/// Where in the ledger an entry is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub log: String,
    pub index: u64,
    pub kind: EntryKind,
}

impl Store {
    /// Copies entries into the index and returns how many of the log are now in it. `entries` are
    /// consecutive; those that are in already are skipped, so that a batch may be sent twice.
    ///
    /// Errors: [`StoreError::Gap`] when entries before these are missing; then nothing is changed.
    pub async fn index_entries<E: Borrow<Entry> + Sync>(
        &self,
        log: &str,
        entries: &[(u64, E)],
    ) -> Result<u64, StoreError> {
        if log.is_empty() || log.len() > TEXT_BYTES_MAX || log.contains('\0') {
            return Err(StoreError::Unacceptable { what: "name of a log", rule: "1 to 512 bytes of text" });
        }
        let mut tx = self.db().begin().await?;
        let (number, mark) = mark(&mut tx, log).await?;
        let new = entries.iter().map(|(index, entry)| (*index, entry.borrow()));
        let new: Vec<(u64, &Entry)> = new.filter(|(index, _)| *index >= mark).collect();
        let mut next = mark;
        let mut closing = BTreeMap::new();
        let mut cells = Vec::with_capacity(new.len() * COLUMNS.len());
        for &(index, entry) in &new {
            if index != next {
                return Err(StoreError::Gap { log: log.to_owned(), expected: next, found: index });
            }
            next = next.saturating_add(1);
            if let Entry::Decision(decision) = entry
                && let Some((twice, _)) = closing.insert(decision.call, (index, entry))
            {
                // no call has two; if one has, both are to be found
                cells.extend(
                    new.iter()
                        .filter(|(at, _)| *at == twice)
                        .flat_map(|(at, e)| columns(number, *at, e, None)),
                );
            }
        }
        for &(index, entry) in &new {
            // a call is one row; mostly it is indexed whole, and the row need not be written twice
            let closed = match entry {
                Entry::Intent(intent) => closing.remove(&intent.call),
                Entry::Event(_) => None,
                Entry::Decision(_) => continue,
            };
            cells.extend(columns(number, index, entry, closed));
        }
        if next > mark {
            insert(&mut tx, &cells).await?;
            let mut alone = Vec::new();
            for (index, entry) in closing.into_values() {
                if let Entry::Decision(decision) = entry
                    && close(&mut tx, seq(number, index), decision).await? == 0
                {
                    alone.extend(columns(number, index, entry, None));
                }
            }
            insert(&mut tx, &alone).await?;
            tx.execute(SET_MARK, args![log, next]).await?;
        }
        tx.commit().await?;
        Ok(next)
    }

    /// How many entries of this log are in the index, from the first on and without a gap.
    pub async fn indexed_up_to(&self, log: &str) -> Result<u64, StoreError> {
        let row = self.db().row(READ_MARK, args![log]).await?;
        row.map_or(Ok(0), |row| row.count("up_to"))
    }

    /// How many entries of this log are known to have been in it.
    pub async fn known_entries(&self, log: &str) -> Result<u64, StoreError> {
        let row = self.db().row(READ_MARK, args![log]).await?;
        row.map_or(Ok(0), |row| Ok(row.count("up_to")?.max(row.count("known")?)))
    }

    pub(crate) async fn logs(&self) -> Outcome<Logs> {
        let rows = self.db().rows(LOGS, &[]).await?;
        let log = |row: &crate::db::Row| Ok((row.count("number")?, row.get("log_id")?));
        Ok(Logs(rows.iter().map(log).collect::<Outcome<_>>()?))
    }

    /// Empties the index of one log, to fill it again.
    pub async fn wipe_index(&self, log: &str) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        if let Some(row) = tx.row(WIPE_MARK, args![log]).await? {
            let number = row.count("number")?;
            tx.execute(WIPE, args![seq(number, 0), seq(number, (1 << INDEX_BITS) - 1)]).await?;
        }
        tx.commit().await
    }

    /// Where the entries of a call are, oldest first. Empty when the call is not known.
    pub async fn call(&self, scope: &Scope, call: CallId) -> Result<Vec<Place>, StoreError> {
        let key = args![call.to_string(), scope.tenant.as_str(), scope.environment.as_str()];
        let rows = self.db().rows(PLACES, key).await?;
        let logs = self.logs().await?;
        let mut places = Vec::new();
        for row in &rows {
            let at = row.count("at")?;
            let kind = row.word("kind", entry_kind_from)?;
            let place = |seq, kind| {
                let (log, index) = logs.place(seq);
                Place { log, index, kind }
            };
            places.push((at, place(row.count("seq")?, kind)));
            // the row of an intent tells of its decision
            if let Some(closed) = row.count_opt("closed")?.filter(|_| kind == EntryKind::Intent) {
                let closed_at = at.saturating_add(row.count_opt("duration_us")?.unwrap_or_default());
                places.push((closed_at, place(closed, EntryKind::Decision)));
            }
        }
        places.sort();
        Ok(places.into_iter().map(|(_, place)| place).collect())
    }
}

/// The log's number, and how many of its entries are indexed.
async fn mark(tx: &mut Tx, log: &str) -> Outcome<(u64, u64)> {
    let mut row = tx.row(MARK, args![log]).await?;
    if row.is_none() {
        tx.execute(NEW_MARK, args![log]).await?;
        row = tx.row(MARK, args![log]).await?;
    }
    let row = row.ok_or(StoreError::Gap { log: log.to_owned(), expected: 0, found: 0 })?;
    Ok((row.count("number")?, row.count("up_to")?))
}

async fn insert(tx: &mut Tx, cells: &[Arg]) -> Outcome<()> {
    let texts = if tx.numbers_arguments() { &INSERTIONS.0 } else { &INSERTIONS.1 };
    let mut rest = cells;
    for (size, text) in BATCHES.into_iter().zip(texts) {
        while let Some((batch, later)) = rest.split_at_checked(size * COLUMNS.len()) {
            tx.execute(text.as_str(), batch).await?;
            rest = later;
        }
    }
    Ok(())
}

/// Completes the row of the intent; returns how many there were.
async fn close(tx: &mut Tx, closed: u64, decision: &Decision) -> Outcome<u64> {
    let (ending, code) = ended(decision);
    let row = args![
        decision.call.to_string(),
        decision.tenant.as_str(),
        decision.environment.as_str(),
        ending,
        code,
        u64::from(decision.dispatched),
        decision.closed_at.since(decision.opened_at),
        decision.shown,
        closed,
    ];
    tx.execute(CLOSE, row).await
}

/// The statement of each batch, with numbered arguments and with plain ones, built once.
static INSERTIONS: LazyLock<([String; 3], [String; 3])> =
    LazyLock::new(|| (BATCHES.map(|rows| insertion(rows, true)), BATCHES.map(|rows| insertion(rows, false))));

fn insertion(rows: usize, numbered: bool) -> String {
    let mark = |n: usize| if numbered { format!("${n}") } else { "?".to_owned() };
    let row = |row: usize| {
        let marks: Vec<String> = (1..=COLUMNS.len()).map(|n| mark(row * COLUMNS.len() + n)).collect();
        format!("({})", marks.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO entries ({}) VALUES {} ON CONFLICT (seq) DO NOTHING",
        COLUMNS.join(", "),
        rows.join(", ")
    )
}

/// Everything the index knows of one entry; what an entry does not say stays empty.
#[derive(Default)]
struct Columns {
    call: Option<CallId>,
    deed: Option<String>,
    leg: Option<u64>,
    interaction: Option<String>,
    direction: Option<&'static str>,
    errand: Option<bool>,
    actor_kind: Option<&'static str>,
    actor_name: Option<String>,
    user: Option<String>,
    claims: decision::Claims,
    channel: Option<Channel>,
    method: Option<String>,
    server: Option<String>,
    item: Option<Item>,
    definition: Option<decision::Digest>,
    policy: Option<decision::Digest>,
    ending: Option<&'static str>,
    code: Option<&'static str>,
    dispatched: Option<bool>,
    event: Option<String>,
    duration_us: Option<u64>,
    shown: Option<decision::Digest>,
    closed: Option<u64>,
}

/// The row of an entry; an intent's is completed from its decision.
fn columns(log: u64, index: u64, entry: &Entry, closed: Option<(u64, &Entry)>) -> Vec<Arg> {
    let (kind, tenant, environment, at, known) = match entry {
        Entry::Intent(intent) => {
            let known = of_intent(intent);
            let known = match closed {
                Some((index, Entry::Decision(decision))) => known.closed_by(seq(log, index), decision),
                Some((_, Entry::Intent(_) | Entry::Event(_))) | None => known,
            };
            (EntryKind::Intent, &intent.tenant, &intent.environment, intent.at, known)
        }
        Entry::Decision(closed) => {
            (EntryKind::Decision, &closed.tenant, &closed.environment, closed.closed_at, of_decision(closed))
        }
        Entry::Event(event) => {
            (EntryKind::Event, &event.tenant, &event.environment, event.at, of_event(event))
        }
    };
    let head =
        args![seq(log, index), tenant.as_str(), environment.as_str(), entry_kind_word(kind), at].to_vec();
    head.into_iter().chain(known.args()).collect()
}

impl Columns {
    fn args(self) -> Vec<Arg> {
        let channel = self.channel.as_ref();
        let flag = |flag: Option<bool>| flag.map(u64::from);
        args![
            self.call.map(|call| call.to_string()),
            self.deed,
            self.leg,
            self.interaction,
            self.direction,
            flag(self.errand),
            self.actor_kind,
            self.actor_name,
            self.user,
            self.claims.host.as_deref().map(searchable),
            self.claims.model.as_deref().map(searchable),
            self.claims.workflow.as_deref().map(searchable),
            channel.map(|channel| transport_word(channel.transport)),
            channel.and_then(|channel| channel.era).map(era_word),
            channel.and_then(|channel| channel.revision.as_deref()).map(searchable),
            channel.map(|channel| searchable(&channel.entrance)),
            self.method.as_deref().map(searchable),
            self.server,
            self.item.as_ref().map(|item| kind_word(item.kind)),
            self.item.as_ref().map(|item| searchable(&item.name)),
            self.definition,
            self.policy,
            self.ending,
            self.code,
            flag(self.dispatched),
            self.event,
            self.duration_us,
            self.shown,
            self.closed,
        ]
        .to_vec()
    }

    fn ended(mut self, decision: &Decision) -> Self {
        let (ending, code) = ended(decision);
        self.ending = Some(ending);
        self.code = code;
        self.dispatched = Some(decision.dispatched);
        self.duration_us = Some(decision.closed_at.since(decision.opened_at));
        self.shown = decision.shown;
        self
    }

    fn closed_by(mut self, seq: u64, decision: &Decision) -> Self {
        self.closed = Some(seq);
        self.ended(decision)
    }

    fn by(mut self, principal: &Principal) -> Self {
        let (kind, name) = match &principal.actor {
            Actor::Agent(name) => ("agent", Some(name.to_string())),
            Actor::Workload(name) => ("workload", Some(name.to_string())),
            Actor::User(name) => ("user", Some(name.to_string())),
            Actor::Server(name) => ("server", Some(name.to_string())),
            Actor::Gateway => ("gateway", None),
            Actor::Unknown => ("unknown", None),
        };
        self.actor_kind = Some(kind);
        self.actor_name = name;
        self.user = principal.user.as_ref().map(|user| user.name.to_string());
        self
    }

    fn about(mut self, target: Option<&Target>) -> Self {
        self.server = target.map(|target| target.server.to_string());
        self.item = target.map(|target| target.item.clone());
        self.definition = target.and_then(|target| target.definition);
        self
    }
}

fn of_intent(intent: &Intent) -> Columns {
    let known = Columns {
        call: Some(intent.call),
        deed: Some(intent.deed.to_string()),
        leg: Some(u64::from(intent.leg)),
        interaction: Some(intent.interaction.to_string()),
        direction: Some(direction_word(intent.direction)),
        errand: Some(intent.errand),
        claims: intent.claimed.clone(),
        channel: Some(intent.channel.clone()),
        method: intent.method.clone(),
        policy: intent.policy,
        ..Columns::default()
    };
    known.by(&intent.principal).about(intent.target.as_ref())
}

fn ended(closed: &Decision) -> (&'static str, Option<&'static str>) {
    match &closed.ending {
        Ending::Answered => ("answered", None),
        Ending::Refused { code } => ("refused", Some(code.as_str())),
        Ending::Failed { code } => ("failed", Some(code.as_str())),
        Ending::Cancelled => ("cancelled", None),
        Ending::Unknown => ("unknown", None),
    }
}

fn of_decision(closed: &Decision) -> Columns {
    let known = Columns {
        call: Some(closed.call),
        deed: Some(closed.deed.to_string()),
        leg: Some(u64::from(closed.leg)),
        interaction: Some(closed.interaction.to_string()),
        policy: closed.policy,
        ..Columns::default()
    };
    known.ended(closed)
}

fn of_event(event: &Event) -> Columns {
    let name = serde_json::to_value(event.event).ok();
    Columns {
        call: event.call,
        server: event.server.as_ref().map(ToString::to_string),
        event: name.and_then(|name| name.as_str().map(str::to_owned)),
        ..Columns::default()
    }
}

/// Text of a peer, as the index keeps it: bounded, and without the zero byte that PostgreSQL refuses.
pub(crate) fn searchable(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX && !text.contains('\0') {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if kept.len() + c.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        kept.push(if c == '\0' { ' ' } else { c });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::AssertSqlSafe;

    #[tokio::test]
    async fn a_call_is_found_by_its_name_alone() {
        let (_dir, db) = crate::open::scratch().await;
        for statement in [CLOSE, PLACES] {
            let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan: String = db.row(text, &[]).await.unwrap().unwrap().get("detail").unwrap();
            assert!(plan.contains("USING INDEX entries_call (call_id=? "), "{plan}");
        }
    }
}
