//! May it happen now, with these arguments, and is there room for it. A rule or a budget that people can lift names
//! them; whether they did is the next stage's question.

use crate::answers;
use crate::arguments::Arguments;
use crate::budgets::{self, Room};
use crate::gate::{Gate, Live};
use crate::permission;
use crate::resolve::Resolved;
use decision::{Call, Passed, Refusal};
use policy::{Answer, Asked, Held, Question};
use store::Taken;

/// What the next stages need to know.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Holds the call until people have said yes.
    pub(crate) held: Option<Held>,
    /// What it takes of budgets.
    pub(crate) takes: Vec<Taken>,
    /// An earlier leg of the deed took of budgets.
    pub(crate) earlier: bool,
}

/// Whether what the call asks for was done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    New,
    /// It takes nothing of budgets.
    Done,
}

/// Asks *call* of the rules in force, and looks at the budgets.
pub(crate) async fn check(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
    deed: Deed,
) -> Result<Passed<Judged>, Refusal> {
    let question = Question::of(call, &arguments.raw, gate.clock.now());
    let answer = live.policies.call(&question);
    let held = match &answer {
        Answer::Held(held) => Some(held.clone()),
        Answer::Allowed { .. } | Answer::Refused { .. } => None,
    };
    let server = &resolved.target.server;
    let settled = permission::settle(live, server, answer.judged(Asked::Call));
    let (passed, held) = match (settled, held) {
        // where rules are only watched, the record says who would have been asked
        (Ok(passed), _) => (passed, None),
        (Err(_), Some(held)) => (Passed::plain(()), Some(held)),
        (Err(refusal), None) => return Err(refusal),
    };
    let passed = answers::brought(live, &question, &resolved.frame, passed)?;
    let room = match deed {
        Deed::New => budgets::look(gate, live, call, resolved, arguments).await,
        Deed::Done => Ok(Room::default()),
    };
    if live.observes(server) { Ok(watched(passed, room)) } else { bound(passed, held, room?) }
}

fn bound(passed: Passed<()>, held: Option<Held>, room: Room) -> Result<Passed<Judged>, Refusal> {
    if let Some(refusal) = room.refused {
        return Err(refusal);
    }
    let held = match (held, room.held) {
        (Some(rules), Some(budgets)) => Some(Held {
            cure: rules.cure.and(budgets.cure),
            rules: [rules.rules, budgets.rules].concat(),
            because: [rules.because, budgets.because].concat(),
        }),
        (rules, budgets) => rules.or(budgets),
    };
    let reasons = held.iter().flat_map(|held| &held.rules).map(|rule| format!("held:{rule}"));
    let basis = passed.basis.into_iter().chain(reasons).collect();
    Ok(Passed::new(Judged { held, takes: room.takes, earlier: room.earlier }, basis))
}

/// Nothing is refused, everything is counted, and the record says what would have been.
fn watched(passed: Passed<()>, room: Result<Room, Refusal>) -> Passed<Judged> {
    let (room, uncounted) = match room {
        Ok(room) => (room, None),
        Err(refusal) => (Room::default(), Some(refusal)),
    };
    let against = uncounted.or(room.refused).or(room.held.map(|held| held.refusal()));
    let takes = room.takes.into_iter().map(|taken| Taken { lifted: true, ..taken }).collect();
    let mut basis = passed.basis;
    basis.extend(against.iter().flat_map(|no| no.basis.clone()));
    Passed {
        value: Judged { held: None, takes, earlier: room.earlier },
        basis,
        would_refuse: passed.would_refuse.or(against),
    }
}
