//! May it happen now, with these arguments. A rule that people can lift names them; whether they did is the next
//! stage's question.

use crate::answers;
use crate::arguments::Arguments;
use crate::gate::{Gate, Live};
use crate::permission;
use crate::resolve::Resolved;
use decision::{Call, Passed, Refusal};
use policy::{Answer, Asked, Held, Question};

/// Asks *call* of the rules in force. What comes back holds the call until people have said yes.
pub(crate) fn check(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
) -> Result<Passed<Option<Held>>, Refusal> {
    let question = Question::of(call, &arguments.raw, gate.clock.now());
    let answer = live.policies.call(&question);
    let held = match &answer {
        Answer::Held(held) => Some(held.clone()),
        Answer::Allowed { .. } | Answer::Refused { .. } => None,
    };
    let settled = permission::settle(live, &resolved.target.server, answer.judged(Asked::Call));
    let passed = match (settled, held) {
        // where rules are only watched, the record says who would have been asked
        (Ok(passed), _) => Passed { value: None, basis: passed.basis, would_refuse: passed.would_refuse },
        (Err(_), Some(held)) => {
            let basis = held.rules.iter().map(|rule| format!("held:{rule}")).collect();
            Passed::new(Some(held), basis)
        }
        (Err(refusal), None) => return Err(refusal),
    };
    answers::brought(live, &question, &resolved.frame, passed)
}
