//! What a legacy client is told on the open stream of its call: that people were asked, and where. Its answer decides
//! nothing but whether it goes on waiting.

use super::{Mode, message};
use crate::exchange::Arrival;
use crate::gate::Gate;
use crate::holds::Hold;
use crate::session::Session;
use serde_json::json;
use std::sync::Arc;
use wire::{Frame, rpc};

/// A question that is forgotten with whoever asked it.
struct Question<'a> {
    session: &'a Session,
    id: u64,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.session.unask(self.id);
    }
}

/// Tells the client. Comes to an end only where the asker does not want to wait any more; then nobody is asked any more.
pub(super) async fn told(gate: &Arc<Gate>, arrival: &Arrival, hold: &Hold, mode: Mode) {
    let Some(session) = &hold.waits.session else { return std::future::pending().await };
    let (id, answer) = session.ask();
    let question = Question { session, id };
    let fresh = gate.fresh_id("e_");
    let params = match mode {
        Mode::Address => json!({ "mode": "url", "elicitationId": fresh, "url": hold.waits.url,
            "message": message(&hold.waits) }),
        // there is nothing to fill in: a form is answered by whoever asked, and no approval
        Mode::Form => json!({ "message": message(&hold.waits),
            "requestedSchema": { "type": "object", "properties": {} } }),
    };
    let asked =
        rpc::request(id.to_string().as_bytes(), "elicitation/create", Some(params.to_string().as_bytes()));
    if arrival.outlet.send(asked).await.is_err() {
        return std::future::pending().await;
    }
    let answer = answer.await;
    drop(question);
    match answer {
        Ok(frame) if declines(&frame) => take_back(gate, hold).await,
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

fn declines(answer: &Frame) -> bool {
    matches!(answer.string_at(&["result", "action"]).as_deref(), Some("decline" | "cancel"))
}

async fn take_back(gate: &Gate, hold: &Hold) {
    let scope = gate.live().settings.scope();
    let reason = "the asker does not want to wait";
    let taken = gate.desk.revoke(&scope, hold.waits.approval, &hold.waits.asker, Some(reason)).await;
    if let Err(error) = taken {
        // decided or over meanwhile, which the next leg finds
        tracing::info!(%error, approval = %hold.waits.approval, "an approval cannot be taken back");
    }
}
