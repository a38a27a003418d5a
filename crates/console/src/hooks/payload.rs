//! What is said of an approval: no more than people see before they decide.

use super::Form;
use decision::Timestamp;
use decision::approval::{Approval, State};
use serde_json::{Value, json};
use store::Gateway;

/// The event's name: `approval.proposed` and the like.
pub(super) fn event(state: State) -> String {
    format!("approval.{}", state.as_str())
}

/// The body to send about an approval, with the gateways whose rules make a yes to it void. `url` is its page, if there is
/// one.
pub(super) fn body(
    form: Form,
    (approval, against): (&Approval, &[Gateway]),
    url: Option<&str>,
    now: Timestamp,
) -> String {
    match form {
        Form::Generic => generic(approval, against, url, now),
        Form::Slack => slack(approval, against, url),
    }
    .to_string()
}

/// RFC 3339, in UTC.
fn time(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn generic(approval: &Approval, against: &[Gateway], url: Option<&str>, now: Timestamp) -> Value {
    let preview = &approval.preview;
    let have = approval.progress();
    let needs = approval.cure.needs.iter().zip(have);
    let needs = needs.map(|(need, have)| json!({ "group": need.group, "count": need.count, "have": have }));
    let votes = approval.votes.iter().map(|vote| {
        json!({ "person": vote.person, "vote": if vote.yes { "yes" } else { "no" }, "reason": vote.reason, "at": time(vote.at) })
    });
    json!({
        "type": event(approval.state),
        "timestamp": time(now),
        "data": {
            "approval": approval.id,
            "state": approval.state,
            "url": url,
            // a callback says it again, so that its yes is for this and nothing else
            "terms": approval.terms.digest(),
            "summary": preview.summary,
            "server": approval.terms.target.server,
            "item": inspect::shown::visible(&approval.terms.target.item.name),
            "asker": approval.terms.principal.describe(),
            "host": approval.terms.host.as_deref().map(inspect::shown::visible),
            "effect": preview.effect,
            "tier": preview.tier,
            "categories": preview.categories,
            "arguments": preview.arguments,
            "masked": preview.masked,
            "hidden": preview.hidden,
            "labels": preview.warnings(),
            "because": preview.because,
            "rules": preview.rules,
            "undo": preview.undo,
            "needs": needs.collect::<Vec<_>>(),
            "votes": votes.collect::<Vec<_>>(),
            "expires": time(approval.expires_at),
            "ended": approval.ended.as_ref().map(|ended| json!({
                "at": time(ended.at), "by": ended.by, "reason": ended.reason, "changed": ended.changed,
            })),
            // gateways on the same database: a call there makes a yes void
            "other-rules": against.iter().map(|one| &one.log).collect::<Vec<_>>(),
        },
    })
}

/// Most characters of a text block that Slack takes are 3,000.
const SLACK_CHARS_MAX: usize = 2_500;

fn headline(state: State) -> &'static str {
    match state {
        State::Proposed => "Approval is needed",
        State::Approved => "Approved",
        State::Denied => "Denied",
        State::Expired => "Nobody decided in time",
        State::Cancelled => "Taken back, or no longer what it was",
        State::Executing => "On its way",
        State::Executed => "Done",
        State::Failed => "Failed",
        State::Unknown => "Sent, and what came of it is not known",
    }
}

fn slack(approval: &Approval, against: &[Gateway], url: Option<&str>) -> Value {
    let preview = &approval.preview;
    let plain = |text: &str| json!({ "type": "plain_text", "text": cut(text), "emoji": false });
    let headline = match approval.state == State::Proposed {
        true => format!("Approval by {} is needed", approval.cure),
        false => headline(approval.state).to_owned(),
    };
    // plain text everywhere: nothing in a call can become a link, a mention or a heading
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&headline) }),
        json!({ "type": "section", "text": plain(&preview.summary) }),
        json!({ "type": "section", "text": plain(&preview.arguments) }),
    ];
    let beside = preview.hides().into_iter().chain(approval.ended.as_ref().map(ToString::to_string));
    let beside = beside.chain(against.iter().map(Gateway::makes_void));
    let told: Vec<String> = preview.because.iter().cloned().chain(preview.warnings()).chain(beside).collect();
    if !told.is_empty() {
        blocks.push(json!({ "type": "context", "elements": [plain(&told.join("; "))] }));
    }
    blocks.extend(url.map(|url| {
        let button = json!({ "type": "button", "text": plain("Look at it"), "url": url });
        json!({ "type": "actions", "elements": [button] })
    }));
    blocks.retain(|block| block.pointer("/text/text").and_then(Value::as_str) != Some(""));
    json!({ "text": escaped(&format!("{headline}: {}", preview.summary)), "blocks": blocks })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SLACK_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The three characters that Slack's `text` gives a meaning.
fn escaped(text: &str) -> String {
    cut(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}
