//! What is told of a call whose twin stands in its way.

use super::KEY;
use crate::approval::minute;
use decision::twin::{self, Standing};
use decision::{Code, Refusal, Timestamp, Twin};
use store::{KeptTwin, StoreError};

pub(super) fn malformed() -> Refusal {
    let sentence = format!("`{KEY}` must be a text of 1 to {} visible ASCII characters", twin::KEY_BYTES_MAX);
    Refusal::new(Code::IdempotencyKeyMalformed, sentence.clone()).told(sentence)
}

fn about(code: Code, twin: Option<&Twin>, sentence: String) -> Refusal {
    let basis = twin.map(|twin| format!("twin:{}", twin.call)).into_iter().collect();
    Refusal::new(code, sentence.clone()).told(sentence).basis(basis)
}

pub(super) fn reused(twin: &Twin) -> Refusal {
    let sentence = format!("this key stands for another call (`{}`), with other arguments", twin.call);
    about(Code::IdempotencyKeyReused, Some(twin), sentence)
        .remedy("give this call a key of its own", Vec::new())
}

/// The twin is on its way, or was faster.
pub(crate) fn in_progress(twin: Option<&Twin>) -> Refusal {
    let which = twin.map(|twin| format!(" (`{}`)", twin.call)).unwrap_or_default();
    let sentence = match twin.map(|twin| twin.standing) {
        Some(Standing::Waits) => {
            format!("the same call{which} waits for answers to what its server asked; it is not sent twice")
        }
        Some(Standing::Sent | Standing::Answered | Standing::Unknown) | None => {
            format!("the same call{which} is on its way; it is not sent twice")
        }
    };
    about(Code::IdempotencyInProgress, twin, sentence)
        .remedy("make exactly the same call again in a moment: it has the first one's answer", Vec::new())
}

/// The twin was sent by a gateway that is gone, and has the record of it.
pub(super) fn left_behind(kept: &KeptTwin, seen_at: Timestamp) -> Refusal {
    let Twin { call, until, .. } = &kept.twin;
    let sentence = format!(
        "the same call (`{call}`) was under way at a gateway that was last there at {}, and what came of it is in the log of that one (`{}`); it is not sent again",
        minute(seen_at),
        kept.log
    );
    let help = format!(
        "an operator has to start that gateway again, which settles it; it stands in the way until {}",
        minute(*until)
    );
    about(Code::IdempotencyInProgress, Some(&kept.twin), sentence).remedy(help, Vec::new())
}

pub(super) fn unknown(twin: &Twin) -> Refusal {
    let sentence = format!(
        "the same call (`{}`) was sent, and whether it happened is not known; it is not sent again",
        twin.call
    );
    let help = format!(
        "find out whether it happened; if it did not, make the call under another `_meta[\"{KEY}\"]`"
    );
    about(Code::IdempotencyOutcomeUnknown, Some(twin), sentence).remedy(help, Vec::new())
}

pub(super) fn answer_unkept(twin: &Twin) -> Refusal {
    let sentence = format!("the same call (`{}`) was made, and its answer is not kept", twin.call);
    let help =
        format!("look at what it did; to make it once more, make the call under another `_meta[\"{KEY}\"]`");
    about(Code::IdempotencyAnswerUnkept, Some(twin), sentence).remedy(help, Vec::new())
}

/// Without its keys nothing can be said to be done once.
pub(crate) fn unkept(error: StoreError) -> Refusal {
    tracing::error!(%error, "keys of calls cannot be kept; calls that have one are refused");
    Refusal::new(Code::IdempotencyUnavailable, error.to_string())
}
