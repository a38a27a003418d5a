//! What the record says, asked of the real `callgate audit`.

use super::place::Place;
use anyhow::Context as _;
use serde_json::Value;

/// What the record has of one call.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) call: String,
    pub(super) ended: String,
    pub(super) code: Option<String>,
    /// Whether a byte may have left for the server.
    pub(super) dispatched: bool,
    /// Where its intent and its decision are.
    pub(super) intent: u64,
    pub(super) decision: u64,
    /// The rules that decided.
    pub(super) rules: Vec<String>,
}

/// The newest call of the agent's.
pub(super) async fn newest(place: &Place) -> anyhow::Result<Seen> {
    let rows = place.ask(&["audit", "list", "--limit", "1"], None).await?.value;
    let row = rows.get(0).context("the record has no call")?;
    let call = text(row, "call")?;
    let shown = place.ask(&["audit", "show", &call], None).await?.value;
    let entries = shown.get("entries").and_then(Value::as_array).context("the call has no entries")?;
    let entry = entries
        .iter()
        .find(|one| one.pointer("/entry/kind").and_then(Value::as_str) == Some("decision"))
        .context("the call has no decision")?;
    let index = entry.get("index").and_then(Value::as_u64).context("the entry has no index")?;
    let entry = entry.get("entry").cloned().unwrap_or_default();
    Ok(Seen {
        ended: text(row, "ended")?,
        code: row.get("code").and_then(Value::as_str).map(ToOwned::to_owned),
        dispatched: entry.get("dispatched") == Some(&Value::Bool(true)),
        intent: row.get("intent").and_then(Value::as_u64).context("the call has no intent")?,
        decision: index,
        rules: rules(&entry),
        call,
    })
}

fn rules(decision: &Value) -> Vec<String> {
    let evidence = decision.get("evidence").and_then(Value::as_array);
    let stages = evidence.into_iter().flatten();
    let rules = stages.filter(|one| one.get("stage").and_then(Value::as_str) == Some("rules"));
    let basis = rules.filter_map(|one| one.get("basis")?.as_array());
    basis.flatten().filter_map(|rule| rule.as_str()).map(bare).collect()
}

/// The name of a rule, without what says that it is one.
fn bare(rule: &str) -> String {
    rule.strip_prefix("rule:").unwrap_or(rule).to_owned()
}

fn text(row: &Value, member: &str) -> anyhow::Result<String> {
    let text = row.get(member).and_then(Value::as_str);
    text.map(ToOwned::to_owned).with_context(|| format!("the record's answer has no `{member}`"))
}

impl Seen {
    pub(super) fn told(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        let by = if self.rules.is_empty() { String::new() } else { format!(" by {}", self.rules.join(", ")) };
        let sent = if self.dispatched { "sent to the server" } else { "nothing was sent to the server" };
        format!("record: entries {} and {}, {}{code}{by}; {sent}", self.intent, self.decision, self.ended)
    }
    pub(super) fn was_answered(&self) -> bool {
        self.ended == "answered" && self.dispatched
    }
    pub(super) fn was_refused(&self, code: &str) -> bool {
        self.ended == "refused" && self.code.as_deref() == Some(code) && !self.dispatched
    }
}
