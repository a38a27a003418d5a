//! An approval as people read it on a terminal.

use super::Word;
use crate::say::{Say, one_line, when};
use decision::Timestamp;
use decision::approval::{Approval, Part, State, Vote};
use store::Gateway;

pub(super) fn word(word: Word) -> &'static str {
    match word {
        Word::Yes => "yes",
        Word::No => "no",
        Word::Revoke => "to take it back",
    }
}

/// Where it stands, in a colour.
pub(super) fn state(say: Say, one: &Approval, now: Timestamp) -> String {
    let (colour, word) = stands(one, None, now);
    say.paint(colour, word)
}

/// A colour and a word for where it stands. What makes it void is so by what is in force here, and may be otherwise again.
pub(super) fn stands(one: &Approval, void: Option<Part>, now: Timestamp) -> (u8, &'static str) {
    match one.state {
        State::Proposed | State::Approved if now >= one.expires_at => (2, "expired"),
        State::Proposed if void.is_some() => (2, "void"),
        State::Proposed => (33, "waits"),
        State::Approved => (32, "approved"),
        State::Executed => (32, "executed"),
        State::Executing => (33, "executing"),
        State::Denied => (31, "denied"),
        State::Failed => (31, "failed"),
        State::Unknown => (31, "outcome unknown"),
        State::Expired => (2, "expired"),
        State::Cancelled => (2, "cancelled"),
    }
}

/// Who has to agree, and how many did: `finance 1/2, security 0/1`.
pub(super) fn needs(one: &Approval) -> String {
    let have = one.progress();
    let need =
        |(need, have): (&decision::approval::Need, &u8)| format!("{} {have}/{}", need.group, need.count);
    one.cure.needs.iter().zip(&have).map(need).collect::<Vec<_>>().join(", ")
}

/// How long people have.
pub(super) fn left(one: &Approval, now: Timestamp) -> String {
    if !one.state.is_open() || now >= one.expires_at {
        return "–".to_owned();
    }
    match one.expires_at.since(now) / 1_000_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn vote(vote: &Vote) -> String {
    let lent: Vec<String> = vote.lent.iter().map(|(group, by)| format!("`{group}` lent by {by}")).collect();
    let lent = if lent.is_empty() { String::new() } else { format!(" ({})", lent.join(", ")) };
    let said = if vote.yes { "yes" } else { "no" };
    let reason = vote.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} said {said}{reason}{lent}, {}", vote.person, when(vote.at))
}

/// Everything, in the order in which somebody asks.
pub(super) fn whole(say: Say, one: &Approval, void: Option<Part>, now: Timestamp) -> Vec<String> {
    let preview = &one.preview;
    let mut lines = vec![preview.summary.clone(), String::new()];
    let row = |key: &str, value: String| format!("{}  {value}", say.paint(2, &format!("{key:<12}")));
    let terms = &one.terms;
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            lines.push(row(key, value));
        }
    };
    let (colour, word) = stands(one, void, now);
    let beside = match (void, &one.ended) {
        (_, Some(ended)) => format!(", {} ({})", when(ended.at), ended),
        (Some(part), None) if one.state.is_open() => format!(": {}", part.counts_nothing()),
        (None, None) if one.state.is_open() && now < one.expires_at => format!(", {} left", left(one, now)),
        (_, None) => String::new(),
    };
    put("state", say.paint(colour, word) + &beside);
    put("needs", needs(one));
    put("why", preview.because.join("; "));
    put("rules", preview.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    put("asks", terms.principal.describe());
    let host = terms.host.as_deref().map(|host| one_line(&inspect::shown::visible(host)));
    put("through", host.map(|host| format!("{host} (its own claim)")).unwrap_or_default());
    put("server", terms.target.server.to_string());
    put("what", inspect::shown::visible(&terms.target.item.name));
    put("effect", preview.effect.clone());
    put("risk", preview.tier.clone());
    put("kind", preview.categories.join(", "));
    put("beware", preview.warnings().join("; "));
    let hides = preview.hides().map(|hides| format!("{hides}: {}", preview.masked.join(", ")));
    put("masked", hides.unwrap_or_default());
    put("undo", preview.undo.clone().unwrap_or_default());
    put("scope", "this call, once".to_owned());
    put("proposed", when(one.proposed_at));
    put("until", when(one.expires_at));
    lines.push(String::new());
    lines.extend(preview.arguments.lines().map(|line| format!("  {line}")));
    if !preview.read.is_empty() {
        lines.extend([String::new(), say.paint(2, "what the agent read before it asked")]);
        let read = preview.read.iter();
        lines.extend(read.map(|one| format!("  {}  {} on {}", when(one.at), one.item, one.server)));
    }
    if !one.votes.is_empty() {
        lines.push(String::new());
        lines.extend(one.votes.iter().map(vote));
    }
    lines
}

/// Who goes by other rules than the call was held by, where that makes the yes void.
pub(super) fn elsewhere(say: Say, against: &[Gateway]) -> Vec<String> {
    let line = |other: &Gateway| format!("{} {}", say.paint(33, "!"), one_line(&other.makes_void()));
    against.iter().map(line).collect()
}
