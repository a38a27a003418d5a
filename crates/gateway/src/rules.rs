//! May it happen now, with these arguments. A rule that people can lift holds the call for them;
//! until approvals exist, nobody can give that yes yet.

use crate::arguments::Arguments;
use crate::gate::{Gate, Live};
use crate::permission;
use crate::resolve::Resolved;
use decision::{Call, Code, Passed, Refusal};
use policy::{Asked, Question};

/// Asks *call* of the rules in force.
pub(crate) fn check(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
) -> Result<Passed<()>, Refusal> {
    let question = Question::of(call, &arguments.raw, gate.clock.now());
    let answer = live.policies.call(&question).judged(Asked::Call).map_err(|refusal| {
        if refusal.code == Code::ApprovalRequired {
            let told = refusal.told.clone().unwrap_or_default();
            refusal.told(format!("needs approval, and nobody can give it yet: {told}"))
        } else {
            refusal
        }
    });
    permission::settle(live, &resolved.target.server, answer)
}
