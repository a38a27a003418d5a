//! Waiting for a server's answer, while it says what it has to say before.

use super::connection::FromServer;
use super::{Fault, FaultKind, Received};
use crate::relay::Relay;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the waiting came to.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub(super) enum Waited {
    Answered(Received),
    /// A question that the Host is put in another way than by passing it on.
    Asked(FromServer),
}

/// Longest life of a call on which progress comes, whatever it says (MCP, basic/lifecycle: a maximum timeout is enforced
/// regardless of progress notifications). While a person is being asked it does not count.
const LIFE_MAX: Duration = Duration::from_secs(3_600);

/// Waits for the answer and carries on what the server says meanwhile. Silence is bounded; while a
/// person is being asked, or progress of this very call comes, the call is not silent. Whatever else a server says is no answer.
pub(super) async fn wait<F>(
    mut request: Pin<&mut F>,
    messages: &mut mpsc::Receiver<FromServer>,
    relay: &mut Relay,
    silence: Duration,
    cancel: &CancellationToken,
) -> Result<Waited, Fault>
where
    F: Future<Output = Result<Received, Fault>>,
{
    let end = Instant::now() + silence.max(LIFE_MAX);
    let mut deadline = Instant::now() + silence;
    let mut timed_out = false;
    let received = loop {
        if cancel.is_cancelled() {
            // whatever it still has to say, nobody waits for more than its end
            tokio::select! {
                biased;
                received = &mut request => break received,
                Some(_) = messages.recv() => continue,
            }
        }
        tokio::select! {
            // before all that it says: a server that talks without end answers nobody
            biased;
            () = tokio::time::sleep_until(deadline), if !timed_out => {
                if relay.asks() {
                    deadline = Instant::now() + silence;
                } else {
                    timed_out = true;
                    cancel.cancel();
                }
            }
            // what the server said before its answer reaches the Host before it
            Some(message) = messages.recv() => {
                if relay.keeps(&message.frame) {
                    return Ok(Waited::Asked(message));
                }
                tokio::select! {
                    counts = relay.carry(message) => if counts {
                        deadline = (Instant::now() + silence).min(end);
                    },
                    () = cancel.cancelled() => {}
                    // a Host that does not read holds its own call up, and not for ever
                    () = tokio::time::sleep(silence) => {
                        cancel.cancel();
                        deadline = Instant::now() + silence;
                    }
                }
            }
            received = &mut request => break received,
        }
    };
    carry_rest(messages, relay, silence, cancel).await;
    match received {
        // a connection that ends after its caller gave up says nothing about the server
        Err(fault) if timed_out && gave_up(&fault) => {
            Err(Fault::sent(FaultKind::Timeout, format!("no answer within {} s", silence.as_secs())))
        }
        Err(fault) if cancel.is_cancelled() && gave_up(&fault) => {
            Err(Fault::sent(FaultKind::Cancelled, "the caller gave up").with_sent(fault.sent))
        }
        Err(fault) => Err(fault),
        Ok(received) => Ok(Waited::Answered(received)),
    }
}

/// What it said before its answer and nobody read yet.
async fn carry_rest(
    messages: &mut mpsc::Receiver<FromServer>,
    relay: &mut Relay,
    silence: Duration,
    cancel: &CancellationToken,
) {
    while !cancel.is_cancelled()
        && let Ok(message) = messages.try_recv()
    {
        tokio::select! {
            _ = relay.carry(message) => {}
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(silence) => cancel.cancel(),
        }
    }
}

/// What may come instead of an answer after a call was given up.
fn gave_up(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Cancelled | FaultKind::Lost)
}
