//! Asking the search index.

use crate::circumstances::{number, searchable};
use crate::db::{Arg, Outcome, Row, args, statements};
use crate::entries::{Logs, halves, whole};
use crate::words::{direction_from, era_from, kind_from, transport_from};
use crate::{Scope, Store, StoreError};
use decision::{
    AgentName, CallId, Code, DeedId, Digest, Direction, Era, InteractionId, Item, ServerName, Timestamp,
    Transport, UserName,
};
use sqlx::AssertSqlSafe;
use std::fmt;
use std::str::FromStr;

/// How a call ended, without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Answered,
    /// Refused for good: what waits for people is held.
    Refused,
    /// Refused until people say yes: a call that came again, or was sent later, is another row.
    Held,
    Failed,
    Cancelled,
    Unknown,
}

/// The numbers in the rows of calls; one is never changed and never reused.
const ENDED: [(Ended, u64); 5] = [
    (Ended::Answered, 1),
    (Ended::Refused, 2),
    (Ended::Failed, 3),
    (Ended::Cancelled, 4),
    (Ended::Unknown, 5),
];

pub(crate) fn ended_number(ended: Ended) -> u64 {
    let ended = if ended == Ended::Held { Ended::Refused } else { ended };
    ENDED.iter().find(|(known, _)| *known == ended).map_or(0, |(_, number)| *number)
}

fn ended_from_number(number: u64, code: Option<Code>) -> Option<Ended> {
    match ENDED.iter().find(|(_, known)| *known == number).map(|(ended, _)| *ended) {
        Some(Ended::Refused) if code == Some(Code::ApprovalRequired) => Some(Ended::Held),
        ended => ended,
    }
}

/// Which calls. Every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// An agent's or a workload's name.
    pub agent: Option<AgentName>,
    pub user: Option<UserName>,
    pub server: Option<ServerName>,
    /// The name of a tool, prompt, resource or template, as its author wrote it, or as it was asked for where there is none.
    pub item: Option<String>,
    pub interaction: Option<InteractionId>,
    pub code: Option<Code>,
    pub ended: Option<Ended>,
    /// Only what the gateway does on its own account, or only the rest.
    pub errand: Option<bool>,
    /// Opened at or after.
    pub since: Option<Timestamp>,
    /// Opened before.
    pub until: Option<Timestamp>,
    /// Part of a method, item, server, agent, user, host, model or workflow; large and small ASCII letters are alike.
    pub text: Option<String>,
}

/// Where a page ended. Pass it on to get the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    at: Timestamp,
    log: String,
    index: u64,
}

impl Cursor {
    fn place(&self, logs: &Logs) -> (Timestamp, u64) {
        (self.at, logs.seq(&self.log, self.index))
    }
}

/// As text, for an address.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at.0, self.index, self.log)
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not where a page ended")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let read = || {
            let mut parts = text.splitn(3, '.');
            let (at, index, log) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self { at: Timestamp(at.parse().ok()?), index: index.parse().ok()?, log: log.to_owned() })
        };
        read().ok_or(NoCursor)
    }
}

/// A call as the index knows it: its intent, and its decision when there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    pub log: String,
    /// Index of the intent in the log.
    pub intent: u64,
    /// Log and index of the decision. `None` while the call is open.
    pub decision: Option<(String, u64)>,
    pub call: CallId,
    pub deed: DeedId,
    pub leg: u64,
    pub interaction: InteractionId,
    pub at: Timestamp,
    pub direction: Direction,
    pub errand: bool,
    pub actor_kind: String,
    pub actor: Option<String>,
    pub user: Option<String>,
    pub host: Option<String>,
    pub model: Option<String>,
    pub workflow: Option<String>,
    pub transport: Transport,
    pub era: Option<Era>,
    pub revision: Option<String>,
    pub entrance: String,
    pub method: Option<String>,
    pub server: Option<ServerName>,
    /// The name may be cut; the ledger has it whole.
    pub item: Option<Item>,
    /// What was asked for where it is nothing here. Then there is no item.
    pub asked: Option<Item>,
    pub definition: Option<Digest>,
    pub policy: Option<Digest>,
    pub ended: Option<Ended>,
    pub code: Option<Code>,
    pub dispatched: Option<bool>,
    pub duration_us: Option<u64>,
    pub shown: Option<Digest>,
}

impl CallRow {
    /// The place after which the next page starts.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, log: self.log.clone(), index: self.intent }
    }
}

/// How much the index holds for one tenant and environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub intents: u64,
    pub decisions: u64,
    pub events: u64,
    pub answered: u64,
    pub refused: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub unknown: u64,
}

/// Most calls of one page.
const PAGE_MAX: u64 = 1000;

statements! {
    COUNT = "SELECT ended, COUNT(*) AS n, COUNT(closed) AS closed FROM calls \
        WHERE scope = (SELECT number FROM scopes WHERE tenant = $1 AND environment = $2) GROUP BY ended";
    COUNT_OTHERS = "SELECT kind, COUNT(*) AS n FROM other_entries \
        WHERE tenant = $1 AND environment = $2 GROUP BY kind";
}

/// A cross join is one whose order SQLite keeps: the calls lead, by an index that has them newest first.
const FIND: &str = "SELECT e.seq, e.call_high, e.call_low, e.deed_high, e.deed_low, e.leg, i.name AS interaction, \
    e.at, c.direction, c.errand, c.actor_kind, c.actor_name, c.user_name, c.host, c.model, c.workflow, c.transport, \
    c.era, c.revision, c.entrance, c.method, c.server, c.item_kind, c.item_name, c.definition, c.policy, e.ended, \
    e.code, e.dispatched, e.duration_us, e.shown, e.closed FROM calls e CROSS JOIN circumstances c \
    LEFT JOIN interactions i ON i.seq = e.interaction WHERE c.seq = e.circumstances";

const SCOPE: &str = " AND e.scope = (SELECT number FROM scopes WHERE tenant = ?1 AND environment = ?2)";

const AGENT: &str = " AND e.agent = ?1 AND c.actor_kind IN ('agent', 'workload') AND c.actor_name = ?2";

const SERVER: &str = " AND e.server = ?1 AND c.server = ?2";

/// The name of its interaction, or the call that it is named after.
const INTERACTION: &str =
    " AND (i.name = ?1 OR (e.interaction IS NULL AND e.call_high = ?2 AND e.call_low = ?3))";

/// Looks at what calls share before it looks at them.
const TEXT: &str = " AND e.circumstances IN (SELECT seq FROM circumstances WHERE LOWER(method) LIKE ?1 ESCAPE '\\' \
    OR LOWER(item_name) LIKE ?1 ESCAPE '\\' OR LOWER(server) LIKE ?1 ESCAPE '\\' \
    OR LOWER(actor_name) LIKE ?1 ESCAPE '\\' OR LOWER(user_name) LIKE ?1 ESCAPE '\\' \
    OR LOWER(host) LIKE ?1 ESCAPE '\\' OR LOWER(model) LIKE ?1 ESCAPE '\\' OR LOWER(workflow) LIKE ?1 ESCAPE '\\')";

/// A statement that grows by fixed pieces; `?1` in a piece is its first argument, and so on.
struct Question {
    text: String,
    args: Vec<Arg>,
}

impl Question {
    fn and(&mut self, piece: &'static str, args: Vec<Arg>) {
        let mut piece = piece.to_owned();
        for (n, arg) in (1..).zip(args) {
            self.args.push(arg);
            piece = piece.replace(&format!("?{n}"), &format!("${}", self.args.len()));
        }
        self.text.push_str(&piece);
    }

    fn and_if<T>(&mut self, piece: &'static str, value: Option<T>)
    where
        Arg: From<T>,
    {
        if let Some(value) = value {
            self.and(piece, vec![Arg::from(value)]);
        }
    }
}

impl Store {
    /// Calls, newest first, at most `limit` of them and at most 1000. Time, agent, server and code have
    /// an index; the other conditions, used alone, look through the calls from the newest on.
    pub async fn find_calls(
        &self,
        scope: &Scope,
        filter: &Filter,
        limit: u64,
        before: Option<&Cursor>,
    ) -> Result<Vec<CallRow>, StoreError> {
        let logs = self.logs().await?;
        let question = question(scope, filter, limit, before.map(|cursor| cursor.place(&logs)));
        // Built from fixed pieces and numbers only; everything else is an argument.
        let rows = self.db().rows(AssertSqlSafe(question.text), &question.args).await?;
        rows.iter().map(|row| call_row(row, &logs)).collect()
    }

    /// What the index holds. Reads all of it: for people, not for every call.
    pub async fn counts(&self, scope: &Scope) -> Result<Counts, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        let mut counts = Counts::default();
        for row in self.db().rows(COUNT, key).await? {
            let n = row.count("n")?;
            // A decision is in its intent's row, and has one of its own only without that: count calls, not entries.
            counts.intents = counts.intents.saturating_add(n);
            counts.decisions = counts.decisions.saturating_add(row.count("closed")?);
            let ended = match row.count_opt("ended")?.and_then(|number| ended_from_number(number, None)) {
                Some(Ended::Answered) => &mut counts.answered,
                Some(Ended::Refused | Ended::Held) => &mut counts.refused,
                Some(Ended::Failed) => &mut counts.failed,
                Some(Ended::Cancelled) => &mut counts.cancelled,
                Some(Ended::Unknown) => &mut counts.unknown,
                None => continue,
            };
            *ended = ended.saturating_add(n);
        }
        for row in self.db().rows(COUNT_OTHERS, key).await? {
            let kind: String = row.get("kind")?;
            let total = if kind == "decision" { &mut counts.decisions } else { &mut counts.events };
            *total = total.saturating_add(row.count("n")?);
        }
        Ok(counts)
    }
}

fn question(scope: &Scope, filter: &Filter, limit: u64, before: Option<(Timestamp, u64)>) -> Question {
    let mut q = Question { text: FIND.to_owned(), args: Vec::new() };
    q.and(SCOPE, vec![scope.tenant.as_str().into(), scope.environment.as_str().into()]);
    if let Some(agent) = filter.agent.as_ref().map(AgentName::as_str) {
        q.and(AGENT, vec![number(agent).into(), agent.into()]);
    }
    if let Some(server) = filter.server.as_ref().map(ServerName::as_str) {
        q.and(SERVER, vec![number(server).into(), server.into()]);
    }
    q.and_if(" AND c.user_name = ?1", filter.user.as_ref().map(UserName::as_str));
    q.and_if(" AND c.item_name = ?1", filter.item.as_deref().map(|item| searchable(item).into_owned()));
    if let Some(name) = filter.interaction.as_ref().map(InteractionId::as_str) {
        let (high, low) = CallId::parse(name).map(|call| halves(call.as_bytes())).unzip();
        q.and(INTERACTION, vec![name.into(), high.into(), low.into()]);
    }
    q.and_if(" AND e.code = ?1", filter.code.map(Code::as_str));
    q.and_if(" AND e.ended = ?1", filter.ended.map(ended_number));
    let held = || vec![Code::ApprovalRequired.as_str().into()];
    match filter.ended {
        Some(Ended::Held) => q.and(" AND e.code = ?1", held()),
        Some(Ended::Refused) => q.and(" AND (e.code IS NULL OR e.code <> ?1)", held()),
        Some(Ended::Answered | Ended::Failed | Ended::Cancelled | Ended::Unknown) | None => {}
    }
    q.and_if(" AND c.errand = ?1", filter.errand.map(u64::from));
    q.and_if(" AND e.at >= ?1", filter.since);
    q.and_if(" AND e.at < ?1", filter.until);
    q.and_if(TEXT, filter.text.as_deref().map(pattern));
    if let Some((at, seq)) = before {
        q.and(" AND (e.at, e.seq) < (?1, ?2)", vec![at.into(), seq.into()]);
    }
    q.and(" ORDER BY e.at DESC, e.seq DESC LIMIT ?1", vec![limit.min(PAGE_MAX).into()]);
    q
}

/// A part of a text as a `LIKE` pattern in which nothing else is special.
fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in searchable(part).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

fn id(row: &Row, high: &'static str, low: &'static str) -> Outcome<[u8; 16]> {
    Ok(whole((row.get(high)?, row.get(low)?)))
}

fn call_row(row: &Row, logs: &Logs) -> Outcome<CallRow> {
    let seq = row.count("seq")?;
    let (log, intent) = logs.place(seq);
    let call = CallId::from_bytes(id(row, "call_high", "call_low")?);
    let interaction = match row.get::<Option<String>>("interaction")? {
        Some(_) => row.parsed("interaction")?,
        None => InteractionId::new(call.to_string()).map_err(|_| row.unreadable("interaction"))?,
    };
    let item_kind = row.word_opt("item_kind", kind_from)?;
    let item_name: Option<String> = row.get("item_name")?;
    let code = row.word_opt("code", Code::parse)?;
    let server = row.parsed_opt("server")?;
    let named = item_kind.zip(item_name).map(|(kind, name)| Item { kind, name });
    let (item, asked) = if server.is_some() { (named, None) } else { (None, named) };
    let flag = |column| -> Outcome<Option<bool>> { Ok(row.count_opt(column)?.map(|n| n != 0)) };
    Ok(CallRow {
        log,
        intent,
        decision: row
            .get::<Option<i64>>("closed")?
            .map(|closed| logs.place(seq.saturating_add_signed(closed))),
        call,
        deed: DeedId::from_bytes(id(row, "deed_high", "deed_low")?),
        leg: row.count("leg")?,
        interaction,
        at: row.time("at")?,
        direction: row.word("direction", direction_from)?,
        errand: flag("errand")?.unwrap_or_default(),
        actor_kind: row.get("actor_kind")?,
        actor: row.get("actor_name")?,
        user: row.get("user_name")?,
        host: row.get("host")?,
        model: row.get("model")?,
        workflow: row.get("workflow")?,
        transport: row.word("transport", transport_from)?,
        era: row.word_opt("era", era_from)?,
        revision: row.get("revision")?,
        entrance: row.get("entrance")?,
        method: row.get("method")?,
        server,
        item,
        asked,
        definition: row.digest_opt("definition")?,
        policy: row.digest_opt("policy")?,
        ended: row.count_opt("ended")?.and_then(|number| ended_from_number(number, code)),
        code,
        dispatched: flag("dispatched")?,
        duration_us: row.count_opt("duration_us")?,
        shown: row.digest_opt("shown")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_through_an_address() {
        let cursor = Cursor { at: Timestamp(7), log: "gate.example/a.b".to_owned(), index: 9 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "1", "1.2", "x.2.log", "1.-2.log"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NoCursor), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_has_an_index_is_found_by_it_newest_first() {
        let (_dir, db) = crate::open::scratch().await;
        let scope = Scope::default();
        let of = |filter| Filter { since: Some(Timestamp(1)), ..filter };
        let filters = [
            ("calls_at", Filter::default()),
            ("calls_at", of(Filter::default())),
            ("calls_agent", Filter { agent: "a".parse().ok(), ..Filter::default() }),
            ("calls_server", of(Filter { server: "s".parse().ok(), ..Filter::default() })),
            ("calls_code", Filter { code: Some(Code::ALL[0]), ..Filter::default() }),
        ];
        for (index, filter) in filters {
            for before in [None, Some((Timestamp(5), 7))] {
                let question = question(&scope, &filter, 10, before);
                let text = format!("EXPLAIN QUERY PLAN {}", question.text);
                let rows = db.rows(AssertSqlSafe(text), &question.args).await.unwrap();
                let plan: Vec<String> = rows.iter().map(|row| row.get("detail").unwrap()).collect();
                let plan = plan.join("; ");
                assert!(plan.contains(&format!("USING INDEX {index} ")), "{filter:?}: {plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{filter:?} is sorted: {plan}");
            }
        }
    }
}
