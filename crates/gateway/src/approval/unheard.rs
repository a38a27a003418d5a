//! What left on people's yes and whose end its asker may not know: the gateway stopped, or its server did not answer. It is told
//! once before people are asked about the same again, and they are told of it as well.

use super::refused::basis;
use super::unkept;
use crate::gate::Gate;
use crate::kept::{self, Heard};
use decision::approval::{Approval, Before, State};
use decision::{Code, Digest, Refusal, Timestamp};
use store::{Kept, Scope};

/// Refuses where the call that this was spent on is not known to be over, or its answer is gone, and nobody said so yet.
pub(super) async fn tell(gate: &Gate, approval: &Approval) -> Result<(), Refusal> {
    let waits = approval.state == State::Executing && approval.waits_until.is_none();
    let sent = || "the same call was sent on the same yes, and has not ended as far as is known".to_owned();
    let is_over = approval.state.is_over() || waits;
    if !is_over {
        return Ok(());
    }
    let lost = match kept::heard(gate, approval).await.map_err(unkept)? {
        Heard::Told => return Ok(()),
        Heard::Lost => true,
        Heard::Open => approval.alone,
    };
    let unheard = if waits { Some(unknown(approval, sent())) } else { over(approval, lost) };
    let Some(unheard) = unheard else { return Ok(()) };
    kept::note(gate, approval, Heard::Told).await.map_err(unkept)?;
    Err(unheard)
}

/// What there is to say of one that is over, where no answer is kept of a call that may have happened.
pub(super) fn told(approval: &Approval) -> Option<Refusal> {
    over(approval, approval.alone)
}

/// The same, where nobody had the answer.
fn over(approval: &Approval, lost: bool) -> Option<Refusal> {
    match approval.state {
        State::Unknown => {
            let sent =
                format!("the call (`{}`) was sent, and whether it happened is not known", approval.call);
            Some(unknown(approval, sent))
        }
        // one that its client made itself was answered, as a rule
        State::Executed | State::Failed if lost => {
            let failed =
                if approval.state == State::Failed { ", and its server said that it failed" } else { "" };
            let made = format!("the call was made (`{}`){failed}, and its answer is not kept", approval.call);
            let help = "look at what it did; to make it once more, make exactly the same call again: people are asked anew";
            Some(refusal(approval, Code::AnswerUnkept, made, help))
        }
        State::Proposed | State::Approved | State::Denied | State::Expired | State::Cancelled => None,
        State::Executing | State::Executed | State::Failed => None,
    }
}

fn unknown(approval: &Approval, sentence: String) -> Refusal {
    let help = "find out whether it happened; if it did not and is still wanted, make exactly the same call again: people are asked anew";
    refusal(approval, Code::OutcomeUnknown, sentence, help)
}

fn refusal(approval: &Approval, code: Code, sentence: String, help: &str) -> Refusal {
    Refusal::new(code, format!("`{}`: {sentence}", approval.id))
        .told(sentence)
        .remedy(help, Vec::new())
        .basis(basis(approval))
}

/// What people are told of the last time that the same left on a yes.
pub(super) async fn before(gate: &Gate, scope: &Scope, subject: &Digest) -> Result<Option<Before>, Refusal> {
    let store = gate.desk.store();
    let Some(last) = store.last_approval(scope, subject).await.map_err(unkept)? else { return Ok(None) };
    if let Some(before) = sentence(&last) {
        return Ok(Some(before));
    }
    // nothing came of asking again: what was before that is told once more, as it is now
    let Some(earlier) = &last.approval.preview.before else { return Ok(None) };
    let found = store.approval(scope, earlier.approval).await.map_err(unkept)?;
    Ok(found.as_ref().and_then(sentence))
}

fn sentence(kept: &Kept) -> Option<Before> {
    let Approval { id, call, votes, .. } = &kept.approval;
    let came = match kept.approval.state {
        State::Executing => "was sent, and has not ended as far as is known",
        State::Executed => "was done",
        State::Failed => "was sent, and its server said that it failed",
        State::Unknown => "was sent, and whether it happened is not known",
        State::Proposed | State::Approved | State::Denied | State::Expired | State::Cancelled => return None,
    };
    let at = votes.iter().filter(|vote| vote.yes).map(|vote| vote.at).max().unwrap_or(kept.changed_at);
    let said = format!("the same call was approved at {} (`{id}`), and it {came} (`{call}`)", minute(at));
    Some(Before { approval: *id, said })
}

/// A time for people.
pub(crate) fn minute(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
