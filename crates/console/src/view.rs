//! What is shown of the words of others, of times, and of approvals.

use crate::{Console, Route, Signed, on};
use decision::approval::{Approval, Need, Part, Preview, State, Unfit};
use decision::{Actor, ItemKind, Timestamp};
use policy::ConsoleAction;
use std::fmt;
use store::Kept;

/// Longest text of others in a line of a list, in characters.
const LINE_CHARS_MAX: usize = 240;

/// Text that is not ours: nothing in it is hidden, and nothing in it turns the rest around. Templates get no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown(String);

impl Shown {
    pub(crate) fn of(text: &str) -> Self {
        Self(inspect::shown::visible(text))
    }
    pub(crate) fn lines(text: &str) -> Self {
        Self(text.split('\n').map(inspect::shown::visible).collect::<Vec<_>>().join("\n"))
    }
    /// So much of it as a line of a list has room for.
    pub(crate) fn short(text: &str) -> Self {
        let mut chars = text.chars();
        let mut cut: String = chars.by_ref().take(LINE_CHARS_MAX).collect();
        if chars.next().is_some() {
            cut.push('…');
        }
        Self::of(&cut)
    }
    pub(crate) fn many<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<Self> {
        texts.into_iter().map(|text| Self::of(text)).collect()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
// escaped by the template like any other text
impl askama::FastWritable for Shown {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(dest.write_str(&self.0)?)
    }
}

/// A part of JSON: each string is set apart, so that one in which letters run the other way moves nothing beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: Shown,
    pub(crate) string: bool,
}

/// Takes JSON apart for the eye. What is no JSON is one piece after the other all the same.
pub(crate) fn pieces(json: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let (mut inside, mut escaped) = (false, false);
    let mut put = |text: &mut String, string| {
        if !text.is_empty() {
            pieces.push(Piece { text: Shown::lines(text), string });
            text.clear();
        }
    };
    for c in json.chars() {
        match (c, inside) {
            ('"', false) => {
                put(&mut text, false);
                (inside, escaped) = (true, false);
                text.push(c);
            }
            ('"', true) if !escaped => {
                text.push(c);
                put(&mut text, true);
                inside = false;
            }
            _ => {
                escaped = inside && c == '\\' && !escaped;
                text.push(c);
            }
        }
    }
    put(&mut text, inside);
    pieces
}

/// A sentence that names arguments: their texts, and words in which letters run the other way, are set apart, so that a name
/// and its value do not run into each other.
pub(crate) fn phrases(text: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    for piece in pieces(text) {
        if piece.string {
            all.push(piece);
            continue;
        }
        let mut plain = String::new();
        for word in piece.text.0.split_inclusive(' ') {
            if word.chars().any(runs_back) {
                all.push(Piece { text: Shown(std::mem::take(&mut plain)), string: false });
                let (name, rest) = word.split_at(word.trim_end().len());
                all.push(Piece { text: Shown(name.to_owned()), string: true });
                plain.push_str(rest);
            } else {
                plain.push_str(word);
            }
        }
        all.push(Piece { text: Shown(plain), string: false });
    }
    all.retain(|piece| !piece.text.is_empty());
    all
}

/// Whether a letter is of a script that is written from right to left.
fn runs_back(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// A moment, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) machine: String,
    pub(crate) people: String,
    pub(crate) ms: u64,
}

pub(crate) fn when(at: Timestamp) -> When {
    let moment = i64::try_from(at.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let moment = moment.unwrap_or_default();
    When {
        machine: moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        people: moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        ms: at.0 / 1_000,
    }
}

/// The day of it, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    when(at).machine.chars().take("2027-01-31".len()).collect()
}

/// `3 min`, `2 h 5 min`, `4 d 3 h`.
pub(crate) fn span(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |n: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{n} {unit}"),
        _ => format!("{n} {unit} {rest} {smaller}"),
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// One need: who, how many of them said yes already.
#[derive(Debug, Clone)]
pub(crate) struct NeedView {
    pub(crate) group: String,
    pub(crate) have: u8,
    pub(crate) count: u8,
    pub(crate) met: bool,
    /// Who may stand in, and from when on.
    pub(crate) escalation: Option<(String, When)>,
}

/// An approval in a list.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) state: &'static str,
    /// What is asked for. Who asks has a place of its own.
    pub(crate) asks: Vec<Piece>,
    pub(crate) server: Shown,
    pub(crate) tool: Shown,
    pub(crate) asker: Shown,
    pub(crate) effect: Shown,
    pub(crate) tier: Shown,
    pub(crate) needs: Vec<NeedView>,
    pub(crate) asked: When,
    pub(crate) until: When,
    pub(crate) left: String,
    pub(crate) proposed: bool,
    /// Nobody's yes to it counts any more, though nobody ended it.
    pub(crate) void: bool,
    /// Waits for whoever looks.
    pub(crate) mine: bool,
    pub(crate) outcome: Shown,
}

impl Line {
    pub(crate) fn of(console: &Console, signed: &Signed, kept: &Kept) -> Self {
        let approval = &kept.approval;
        let now = console.parts.clock.now();
        let (terms, void) = (&approval.terms, void(console, approval));
        let outcome = void.map_or_else(|| outcome(approval), |part| format!("void: {part} changed"));
        Self {
            id: approval.id.to_string(),
            href: Route::Approval(approval.id).path(),
            state: if void.is_some() { "void" } else { state(approval, now).as_str() },
            asks: phrases(&Shown::short(asks(&approval.preview)).to_string()),
            server: Shown::of(terms.target.server.as_str()),
            tool: Shown::short(&terms.target.item.name),
            asker: Shown::of(&terms.principal.describe()),
            effect: Shown::of(&approval.preview.effect),
            tier: Shown::of(&approval.preview.tier),
            needs: needs(approval),
            asked: when(approval.proposed_at),
            until: when(approval.expires_at),
            left: span(approval.expires_at.since(now)),
            proposed: state(approval, now) == State::Proposed,
            mine: void.is_none() && may_decide(console, signed, approval).is_ok(),
            void: void.is_some(),
            outcome: Shown::short(&outcome),
        }
    }
}

/// Of one that was proposed before there was a shorter word, the whole sentence.
fn asks(preview: &Preview) -> &str {
    Some(preview.brief.as_str()).filter(|brief| !brief.is_empty()).unwrap_or(&preview.summary)
}

/// Its state as it is now: what nobody swept up yet is over all the same.
pub(crate) fn state(approval: &Approval, now: Timestamp) -> State {
    match approval.state.is_open() && now >= approval.expires_at {
        true => State::Expired,
        false => approval.state,
    }
}

/// What it was asked for and is another thing now, if it waits: whatever people say, the call would be asked for anew.
pub(crate) fn void(console: &Console, approval: &Approval) -> Option<Part> {
    if state(approval, console.parts.clock.now()) != State::Proposed {
        return None;
    }
    console.parts.servers.void(approval)
}

pub(crate) fn needs(approval: &Approval) -> Vec<NeedView> {
    let view = |(need, have): (&Need, u8)| NeedView {
        group: need.group.to_string(),
        have,
        count: need.count,
        met: have >= need.count,
        escalation: need.escalation.as_ref().map(|one| (one.to.to_string(), when(one.at))),
    };
    approval.cure.needs.iter().zip(approval.progress()).map(view).collect()
}

/// Whether whoever is signed in may say yes or no now. Errors: why not, as a sentence.
pub(crate) fn may_decide(console: &Console, signed: &Signed, approval: &Approval) -> Result<(), String> {
    let now = console.parts.clock.now();
    let Some(voter) = &signed.voter else {
        return Err("You signed in at the gateway's terminal, without a name, and nobody's yes is no yes. \
            A link for a person is made with `callgate console --as NAME`."
            .to_owned());
    };
    // the decision's own reason says more than the rules can
    approval.may_vote(voter, now).map_err(|unfit| sentence(&unfit))?;
    match console.may(signed, ConsoleAction::Decide, &on(approval)) {
        true => Ok(()),
        false => Err("Your groups are asked, but none of them has the role of an approver here.".to_owned()),
    }
}

fn sentence(unfit: &Unfit) -> String {
    let who = |groups: &[String]| groups.join(", ");
    match unfit {
        Unfit::OwnDeed => "This was asked in your own name, and nobody approves their own.".to_owned(),
        Unfit::OwnGroups(group) => {
            format!(
                "The rule wants somebody who shares no group with the asker, and you are both in {group}."
            )
        }
        Unfit::NotAsked(groups) => format!("Members of {} decide this.", who(groups)),
        Unfit::Counted(lender) => {
            format!("{lender}, who lent you the group, counts once and has been counted.")
        }
        Unfit::Decided(_) => "You have decided already; others are still needed.".to_owned(),
        Unfit::Expired => "Its time is over.".to_owned(),
        Unfit::Over(state) => format!("It is {} already.", state.as_str()),
        Unfit::NotApproved(_) | Unfit::Changed(_) | Unfit::NotExecuting => format!("{unfit}."),
    }
}

/// The same, of a step that was tried.
pub(crate) fn refusal(error: &store::DeskError) -> Option<String> {
    match error {
        store::DeskError::Unfit(unfit) => Some(sentence(unfit)),
        store::DeskError::Raced => {
            Some("Others changed it at the same time. Look again, and try again.".to_owned())
        }
        store::DeskError::Missing(_)
        | store::DeskError::Store(_)
        | store::DeskError::Ledger(_)
        | store::DeskError::Entry(_) => None,
    }
}

/// How it ended, in a few words.
pub(crate) fn outcome(approval: &Approval) -> String {
    if let Some(no) = approval.denial() {
        let why = no.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return format!("{} said no{why}", no.person);
    }
    if let Some(ended) = &approval.ended {
        return ended.to_string();
    }
    let yes: Vec<_> =
        approval.votes.iter().filter(|vote| vote.yes).map(|vote| vote.person.to_string()).collect();
    match yes.is_empty() {
        true => String::new(),
        false => format!("{} said yes", yes.join(", ")),
    }
}

/// Who acts, in the words of the page.
pub(crate) fn actor(actor: &Actor) -> (&'static str, String) {
    match actor {
        Actor::Agent(name) => ("Agent", name.to_string()),
        Actor::Workload(name) => ("Workload", name.to_string()),
        Actor::User(name) => ("Person", name.to_string()),
        Actor::Server(name) => ("Server", name.to_string()),
        Actor::Gateway => ("Gateway", "on its own account".to_owned()),
        Actor::Unknown => ("Asker", "unknown".to_owned()),
    }
}

pub(crate) fn kind(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tool",
        ItemKind::Prompt => "prompt",
        ItemKind::Resource => "resource",
        ItemKind::ResourceTemplate => "resource template",
        ItemKind::Server => "server",
        ItemKind::Question => "question",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_apart_at_its_strings() {
        let read = |json| {
            let piece = |piece: Piece| (piece.text.to_string(), piece.string);
            pieces(json).into_iter().map(piece).collect::<Vec<_>>()
        };
        let own = |list: &[(&str, bool)]| list.iter().map(|(t, s)| ((*t).to_owned(), *s)).collect::<Vec<_>>();
        assert_eq!(
            read("{\n  \"to\": \"a\\\"b\\\\\",\n  \"n\": 5\n}"),
            own(&[
                ("{\n  ", false),
                ("\"to\"", true),
                (": ", false),
                ("\"a\\\"b\\\\\"", true),
                (",\n  ", false),
                ("\"n\"", true),
                (": 5\n}", false)
            ])
        );
        assert_eq!(read("\"\u{202e}x"), own(&[("\"⟨U+202E⟩x", true)]));
        assert_eq!(read(""), own(&[]));
    }

    #[test]
    fn names_and_values_of_a_sentence_are_set_apart() {
        let all = phrases("run `pay` with مبلغ \"خمسة يورو\", n 5, note \"a…\" and 2 more");
        let apart: Vec<_> =
            all.iter().filter(|piece| piece.string).map(|piece| piece.text.to_string()).collect();
        assert_eq!(apart, ["مبلغ", "\"خمسة يورو\"", "\"a…\""]);
        let whole: String = all.iter().map(|piece| piece.text.to_string()).collect();
        assert_eq!(whole, "run `pay` with مبلغ \"خمسة يورو\", n 5, note \"a…\" and 2 more");
    }

    #[test]
    fn times_are_short() {
        let of = |seconds: u64| span(seconds * 1_000_000);
        assert_eq!([of(0), of(59), of(60), of(3_599)], ["0 s", "59 s", "1 min", "59 min"]);
        assert_eq!([of(3_600), of(3_700), of(86_400 * 2 + 3_600 * 3)], ["1 h", "1 h 1 min", "2 d 3 h"]);
        assert_eq!(when(Timestamp(1_700_000_000_000_000)).people, "2023-11-14 22:13:20");
    }
}
