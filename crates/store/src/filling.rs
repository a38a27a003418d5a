//! The rows of a batch of entries, on their way into the index of one log.

use crate::bulk::{Bulk, Text};
use crate::circumstances::{self, Memory, Met};
use crate::db::{Arg, Outcome, Tx, args, statements};
use crate::entries::{EntryKind, entry_kind_word, halves, seq, when};
use crate::find::ended_number;
use crate::{Ended, StoreError};
use decision::{CallId, Decision, Ending, Entry, Environment, Event, EventName, Intent, TenantId, Timestamp};
use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

statements! {
    SCOPE = "SELECT number FROM scopes WHERE tenant = $1 AND environment = $2";
    NEW_SCOPE = "INSERT INTO scopes (tenant, environment) VALUES ($1, $2) \
        ON CONFLICT (tenant, environment) DO UPDATE SET tenant = excluded.tenant RETURNING number";
}

/// The columns of a call, in the order in which [`Filling::call`] fills them.
const CALL: [&str; 18] = [
    "seq",
    "scope",
    "at",
    "call_high",
    "call_low",
    "deed_high",
    "deed_low",
    "leg",
    "circumstances",
    "interaction",
    "agent",
    "server",
    "ended",
    "code",
    "dispatched",
    "duration_us",
    "shown",
    "closed",
];

static CALLS: LazyLock<Text> = LazyLock::new(|| insertion("calls", &CALL));
static CIRCUMSTANCES: LazyLock<Text> = LazyLock::new(|| insertion("circumstances", &circumstances::NAMES));
static INTERACTIONS: LazyLock<Text> = LazyLock::new(|| insertion("interactions", &["seq", "scope", "name"]));
static OTHERS: LazyLock<Text> = LazyLock::new(|| {
    let columns = ["seq", "tenant", "environment", "kind", "at", "call_high", "call_low", "name", "server"];
    insertion("other_entries", &columns)
});

fn insertion(table: &str, columns: &[&str]) -> Text {
    let before = format!("INSERT INTO {table} ({}) VALUES", columns.join(", "));
    Text::new(columns.len(), &before, "ON CONFLICT DO NOTHING")
}

/// Complete the calls that decisions close, and tell which those were: those that are where their id says, and those
/// that are not.
pub(crate) static CLOSE: LazyLock<Text> =
    LazyLock::new(|| closing("calls.at >= v.column4 AND calls.at < v.column5"));
pub(crate) static CLOSE_ODD: LazyLock<Text> =
    LazyLock::new(|| closing("calls.call_high / 65536 <> calls.at / 1000"));

fn closing(found: &str) -> Text {
    let after = format!(
        ") AS v WHERE calls.scope = v.column1 AND calls.call_high = v.column2 AND calls.call_low = v.column3 \
        AND {found} RETURNING calls.call_high AS call_high, calls.call_low AS call_low"
    );
    let before = "UPDATE calls SET ended = v.column6, code = v.column7, dispatched = v.column8, \
        duration_us = v.column9, shown = v.column10, closed = v.column11 - calls.seq FROM (VALUES";
    Text::new(11, before, &after)
}

/// A decision, and where it is in the log.
type Closed<'a> = (u64, &'a Decision);

/// Entries that are new, put together: a call is mostly indexed whole, and its row need not be written twice.
pub(crate) struct Batch<'a> {
    pub(crate) next: u64,
    calls: Vec<(u64, &'a Intent, Option<Closed<'a>>)>,
    /// Decisions whose intent came earlier, or never.
    late: Vec<Closed<'a>>,
    /// No call has two decisions; if one has, both are to be found.
    twice: Vec<Closed<'a>>,
    events: Vec<(u64, &'a Event)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn of(
        log: &str,
        first: u64,
        entries: impl Iterator<Item = (u64, &'a Entry)>,
    ) -> Outcome<Self> {
        let mut batch =
            Self { next: first, calls: Vec::new(), late: Vec::new(), twice: Vec::new(), events: Vec::new() };
        let mut closing = HashMap::new();
        let mut decisions = Vec::new();
        for (index, entry) in entries {
            if index != batch.next {
                return Err(StoreError::Gap { log: log.to_owned(), expected: batch.next, found: index });
            }
            batch.next = batch.next.saturating_add(1);
            match entry {
                Entry::Intent(intent) => batch.calls.push((index, intent, None)),
                Entry::Decision(decision) => {
                    let closed: Closed<'_> = (index, decision);
                    decisions.push(closed);
                    batch.twice.extend(closing.insert(decision.call, closed));
                }
                Entry::Event(event) => batch.events.push((index, event)),
            }
        }
        for (_, intent, closed) in &mut batch.calls {
            *closed = closing.remove(&intent.call);
        }
        let late = |(index, decision): &Closed<'_>| {
            closing.get(&decision.call).is_some_and(|(last, _)| last == index)
        };
        batch.late = decisions.into_iter().filter(late).collect();
        Ok(batch)
    }
}

/// Rows that wait, and what is remembered while they are made.
pub(crate) struct Filling {
    log: u64,
    pub(crate) memory: Memory,
    calls: Bulk,
    circumstances: Bulk,
    interactions: Bulk,
    others: Bulk,
    key: Vec<u8>,
}

impl Filling {
    pub(crate) fn new(log: u64, mut memory: Memory, wiped: u64) -> Self {
        memory.turn_to(log, wiped);
        let [calls, circumstances, interactions, others] =
            [&CALLS, &CIRCUMSTANCES, &INTERACTIONS, &OTHERS].map(|text| Bulk::new(text));
        Self { log, memory, calls, circumstances, interactions, others, key: Vec::new() }
    }

    pub(crate) async fn fill(&mut self, tx: &mut Tx, batch: &Batch<'_>) -> Outcome<()> {
        for (index, intent, closed) in &batch.calls {
            let met = self.meet(tx, seq(self.log, *index), intent).await?;
            self.call(*index, intent, *closed, met);
            for bulk in [&mut self.calls, &mut self.circumstances, &mut self.interactions] {
                if bulk.is_full() {
                    bulk.write(tx).await?;
                }
            }
        }
        for (index, event) in &batch.events {
            self.event(*index, event);
        }
        for (index, decision) in &batch.twice {
            self.alone(*index, decision);
        }
        for (index, decision) in self.close(tx, &batch.late).await? {
            self.alone(index, decision);
        }
        for bulk in [&mut self.calls, &mut self.circumstances, &mut self.interactions, &mut self.others] {
            bulk.write(tx).await?;
        }
        Ok(())
    }

    /// The circumstances of an intent, which are said now if they are not remembered.
    async fn meet(&mut self, tx: &mut Tx, seq: u64, intent: &Intent) -> Outcome<Met> {
        circumstances::key(intent, &mut self.key);
        if let Some(met) = self.memory.circumstances.get(&self.key) {
            return Ok(met);
        }
        let scope = self.scope(tx, &intent.tenant, &intent.environment).await?;
        let met = Met::new(seq, scope, intent);
        self.circumstances.row(circumstances::row(seq, intent));
        self.memory.circumstances.put(self.key.as_slice().into(), met);
        Ok(met)
    }

    async fn scope(&mut self, tx: &mut Tx, tenant: &TenantId, environment: &Environment) -> Outcome<u64> {
        let key = (tenant.clone(), environment.clone());
        if let Some(number) = self.memory.scopes.get(&key) {
            return Ok(*number);
        }
        let args = args![tenant.as_str(), environment.as_str()];
        let mut row = tx.row(SCOPE, args).await?;
        if row.is_none() {
            row = tx.row(NEW_SCOPE, args).await?;
        }
        let number = row.map_or(Ok(0), |row| row.count("number"))?;
        self.memory.scopes.insert(key, number);
        Ok(number)
    }

    /// The entry that has the name of an intent's interaction; none when that is the call's own.
    fn interaction(&mut self, seq: u64, scope: u64, intent: &Intent) -> Option<u64> {
        let name = intent.interaction.as_str();
        if let Some(known) = self.memory.interactions.get(name.as_bytes()) {
            return Some(known);
        }
        if CallId::parse(name) == Some(intent.call) {
            return None;
        }
        self.interactions.row([seq.into(), scope.into(), name.into()]);
        self.memory.interactions.put(name.as_bytes().into(), seq);
        Some(seq)
    }

    fn call(&mut self, index: u64, intent: &Intent, closed: Option<Closed<'_>>, met: Met) {
        let seq = seq(self.log, index);
        let interaction = self.interaction(seq, met.scope, intent);
        let (call_high, call_low) = halves(intent.call.as_bytes());
        let (deed_high, deed_low) = halves(intent.deed.as_bytes());
        let own: [Arg; 12] = [
            seq.into(),
            met.scope.into(),
            intent.at.into(),
            call_high.into(),
            call_low.into(),
            deed_high.into(),
            deed_low.into(),
            u64::from(intent.leg).into(),
            met.seq.into(),
            interaction.into(),
            met.agent.into(),
            met.server.into(),
        ];
        self.calls.row(own);
        let after = closed.map(|(at, _)| at.cast_signed() - index.cast_signed());
        self.calls.row(end(closed.map(|(_, decision)| decision)));
        self.calls.row([after.into()]);
    }

    /// Completes calls that were open; returns the decisions that belong to none.
    async fn close<'a>(&mut self, tx: &mut Tx, late: &[Closed<'a>]) -> Outcome<Vec<Closed<'a>>> {
        let mut open: BTreeMap<(i64, i64), Closed<'_>> =
            late.iter().map(|closed| (halves(closed.1.call.as_bytes()), *closed)).collect();
        for text in [&CLOSE, &CLOSE_ODD] {
            let mut bulk = Bulk::new(text);
            for ((high, low), (index, decision)) in &open {
                let scope = self.scope(tx, &decision.tenant, &decision.environment).await?;
                let (from, until) = when(decision.call);
                bulk.row(args![scope, *high, *low, from, until].iter().cloned());
                bulk.row(end(Some(decision)));
                bulk.row([seq(self.log, *index).into()]);
            }
            for row in bulk.write(tx).await? {
                open.remove(&(row.get("call_high")?, row.get("call_low")?));
            }
        }
        Ok(open.into_values().collect())
    }

    fn alone(&mut self, index: u64, decision: &Decision) {
        let whose = (&decision.tenant, &decision.environment);
        let kind = EntryKind::Decision;
        self.other(index, kind, whose, decision.closed_at, Some(decision.call), (None, None));
    }

    fn event(&mut self, index: u64, event: &Event) {
        let name = word(event.event);
        let name = name.as_deref();
        let server = event.server.as_ref().map(|server| server.as_str());
        let whose = (&event.tenant, &event.environment);
        self.other(index, EntryKind::Event, whose, event.at, event.call, (name, server));
    }

    fn other(
        &mut self,
        index: u64,
        kind: EntryKind,
        (tenant, environment): (&TenantId, &Environment),
        at: Timestamp,
        call: Option<CallId>,
        (name, server): (Option<&str>, Option<&str>),
    ) {
        let (high, low) = call.map(|call| halves(call.as_bytes())).unzip();
        let (tenant, environment) = (tenant.as_str(), environment.as_str());
        let kind = entry_kind_word(kind);
        let row =
            args![seq(self.log, index), tenant, environment, kind, at, high, low, name, server].to_vec();
        self.others.row(row);
    }
}

/// What an event is called.
pub(crate) fn word(event: EventName) -> Option<String> {
    serde_json::to_value(event).ok().and_then(|name| name.as_str().map(str::to_owned))
}

/// How a call ended, and why.
fn ended(decision: &Decision) -> (Ended, Option<&'static str>) {
    match &decision.ending {
        Ending::Answered => (Ended::Answered, None),
        Ending::Refused { code } => (Ended::Refused, Some(code.as_str())),
        Ending::Failed { code } => (Ended::Failed, Some(code.as_str())),
        Ending::Cancelled => (Ended::Cancelled, None),
        Ending::Unknown => (Ended::Unknown, None),
    }
}

/// What a decision says in the row of its call.
fn end(decision: Option<&Decision>) -> [Arg; 5] {
    let ended = decision.map(ended);
    [
        ended.map(|(ended, _)| ended_number(ended)).into(),
        ended.and_then(|(_, code)| code).into(),
        decision.map(|decision| u64::from(decision.dispatched)).into(),
        decision.map(|decision| decision.closed_at.since(decision.opened_at)).into(),
        decision.and_then(|decision| decision.shown).into(),
    ]
}
