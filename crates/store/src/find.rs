//! Asking the search index.

use crate::db::{Arg, Outcome, Row, args, statements};
use crate::entries::Logs;
use crate::words::{direction_from, era_from, kind_from, transport_from, words};
use crate::{Scope, Store, StoreError};
use decision::{
    AgentName, CallId, Code, DeedId, Digest, Direction, Era, InteractionId, Item, ServerName, Timestamp,
    Transport, UserName,
};
use sqlx::AssertSqlSafe;

/// How a call ended, without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Answered,
    Refused,
    Failed,
    Cancelled,
    Unknown,
}

words! {
    ended_word, ended_from: Ended {
        Answered = "answered", Refused = "refused", Failed = "failed", Cancelled = "cancelled", Unknown = "unknown",
    }
}

/// Which calls. Every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// An agent's or a workload's name.
    pub agent: Option<AgentName>,
    pub user: Option<UserName>,
    pub server: Option<ServerName>,
    /// The name of a tool, prompt, resource or template, as its author wrote it.
    pub item: Option<String>,
    pub interaction: Option<InteractionId>,
    pub code: Option<Code>,
    pub ended: Option<Ended>,
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
    COUNT = "SELECT kind, ending, COUNT(*) AS n, COUNT(closed) AS closed FROM entries \
        WHERE tenant = $1 AND environment = $2 GROUP BY kind, ending";
}

const FIND: &str = "SELECT seq, call_id, deed_id, leg, interaction, at, direction, errand, actor_kind, \
    actor_name, user_name, host, model, workflow, transport, era, revision, entrance, method, server, item_kind, \
    item_name, definition, policy, ending, code, dispatched, duration_us, shown, closed \
    FROM entries WHERE kind = 'intent'";

const TEXT: &str = " AND (LOWER(method) LIKE ?1 ESCAPE '\\' OR LOWER(item_name) LIKE ?1 ESCAPE '\\' \
    OR LOWER(server) LIKE ?1 ESCAPE '\\' OR LOWER(actor_name) LIKE ?1 ESCAPE '\\' \
    OR LOWER(user_name) LIKE ?1 ESCAPE '\\' OR LOWER(host) LIKE ?1 ESCAPE '\\' \
    OR LOWER(model) LIKE ?1 ESCAPE '\\' OR LOWER(workflow) LIKE ?1 ESCAPE '\\')";

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
            let kind: String = row.get("kind")?;
            let total = match kind.as_str() {
                "intent" => &mut counts.intents,
                "decision" => &mut counts.decisions,
                _ => &mut counts.events,
            };
            *total = total.saturating_add(n);
            // A decision is in its intent's row, and has one of its own only without that: count calls, not entries.
            if kind != "intent" {
                continue;
            }
            counts.decisions = counts.decisions.saturating_add(row.count("closed")?);
            let ended = match row.word_opt("ending", ended_from)? {
                Some(Ended::Answered) => &mut counts.answered,
                Some(Ended::Refused) => &mut counts.refused,
                Some(Ended::Failed) => &mut counts.failed,
                Some(Ended::Cancelled) => &mut counts.cancelled,
                Some(Ended::Unknown) => &mut counts.unknown,
                None => continue,
            };
            *ended = ended.saturating_add(n);
        }
        Ok(counts)
    }
}

fn question(scope: &Scope, filter: &Filter, limit: u64, before: Option<(Timestamp, u64)>) -> Question {
    let mut q = Question { text: FIND.to_owned(), args: Vec::new() };
    q.and(" AND tenant = ?1", vec![scope.tenant.as_str().into()]);
    q.and(" AND environment = ?1", vec![scope.environment.as_str().into()]);
    if let Some(agent) = &filter.agent {
        q.and(" AND actor_kind IN ('agent', 'workload') AND actor_name = ?1", vec![agent.as_str().into()]);
    }
    q.and_if(" AND user_name = ?1", filter.user.as_ref().map(UserName::as_str));
    q.and_if(" AND server = ?1", filter.server.as_ref().map(ServerName::as_str));
    q.and_if(" AND item_name = ?1", filter.item.as_deref().map(crate::entries::searchable));
    q.and_if(" AND interaction = ?1", filter.interaction.as_ref().map(InteractionId::as_str));
    q.and_if(" AND code = ?1", filter.code.map(Code::as_str));
    q.and_if(" AND ending = ?1", filter.ended.map(ended_word));
    q.and_if(" AND at >= ?1", filter.since);
    q.and_if(" AND at < ?1", filter.until);
    q.and_if(TEXT, filter.text.as_deref().map(pattern));
    if let Some((at, seq)) = before {
        q.and(" AND (at, seq) < (?1, ?2)", vec![at.into(), seq.into()]);
    }
    q.and(" ORDER BY at DESC, seq DESC LIMIT ?1", vec![limit.min(PAGE_MAX).into()]);
    q
}

/// A part of a text as a `LIKE` pattern in which nothing else is special.
fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in crate::entries::searchable(part).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

fn call_row(row: &Row, logs: &Logs) -> Outcome<CallRow> {
    let (log, intent) = logs.place(row.count("seq")?);
    let item_kind = row.word_opt("item_kind", kind_from)?;
    let item_name: Option<String> = row.get("item_name")?;
    let flag = |column| -> Outcome<Option<bool>> { Ok(row.count_opt(column)?.map(|n| n != 0)) };
    Ok(CallRow {
        log,
        intent,
        decision: row.count_opt("closed")?.map(|seq| logs.place(seq)),
        call: row.word("call_id", CallId::parse)?,
        deed: row.word("deed_id", DeedId::parse)?,
        leg: row.count("leg")?,
        interaction: row.parsed("interaction")?,
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
        server: row.parsed_opt("server")?,
        item: item_kind.zip(item_name).map(|(kind, name)| Item { kind, name }),
        definition: row.digest_opt("definition")?,
        policy: row.digest_opt("policy")?,
        ended: row.word_opt("ending", ended_from)?,
        code: row.word_opt("code", Code::parse)?,
        dispatched: flag("dispatched")?,
        duration_us: row.count_opt("duration_us")?,
        shown: row.digest_opt("shown")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_an_index_is_found_by_it_newest_first() {
        let (_dir, db) = crate::open::scratch().await;
        let scope = Scope::default();
        let of = |filter| Filter { since: Some(Timestamp(1)), ..filter };
        let filters = [
            ("entries_at", Filter::default()),
            ("entries_at", of(Filter::default())),
            ("entries_actor", Filter { agent: "a".parse().ok(), ..Filter::default() }),
            ("entries_server", of(Filter { server: "s".parse().ok(), ..Filter::default() })),
            ("entries_code", Filter { code: Some(Code::ALL[0]), ..Filter::default() }),
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
