//! How the client of a call that waits for people learns of it, by what it said that it can do (requirement B2): an
//! address to visit, a task to poll, a word on the open stream, or a held answer. None of them is a yes: that is given
//! to the approval, and whatever comes back here only walks the whole path again.

mod ask;
mod pending;
mod task;

pub(crate) use pending::{Only, Pending, named, returned};
pub(crate) use task::about_task as task;

use crate::approval::{Until, Waits};
use crate::authenticate::Asker;
use crate::exchange::{Arrival, Reply};
use crate::gate::{Gate, Live};
use crate::holds::{self, Held, Hold};
use crate::kept;
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::rounds::Round;
use crate::tasks;
use decision::approval::Approval;
use decision::{ApprovalId, Era, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use wire::bridge::{capabilities::Askable, rounds};
use wire::{Revision, rpc};

/// The one question of an `input_required` result of ours.
const KEY: &str = "callgate/approval";
/// Where an agent names the approval it comes back for.
pub(crate) const OPERATION: &str = "callgate/operation";

/// How a client is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// An address to visit, in an `input_required` result with this state.
    Visit(String),
    /// A task of ours, of this id.
    Task(String),
    /// A question on the open stream that tells and asks for nothing.
    Ask(Mode),
    /// The answer is held back, with notices of progress.
    Wait,
}

/// How a legacy client can be told on the open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Address,
    Form,
}

impl Way {
    /// The first of the ways that this client can go.
    pub(crate) fn of(
        gate: &Gate,
        approval: &Approval,
        resolved: &Resolved,
        asker: &Asker,
        leg: &Leg,
    ) -> Self {
        let askable = asker.capabilities.as_deref().map(Askable::read).unwrap_or_default();
        // nobody is sent to a page that is not there
        let askable = Askable { url: askable.url && gate.live().settings.approvals.pages, ..askable };
        match asker.era() {
            // what answers a server's own questions has no room for ours
            Era::Modern if askable.url && resolved.method.multi_round && !brings_answers(resolved) => {
                let pending = Pending::of(approval, resolved, leg);
                pending.state(gate, &asker.principal).map_or(Self::Wait, Self::Visit)
            }
            Era::Modern
                if tasks::are_followed_by(asker) && is_tool_call(resolved) && !brings_answers(resolved) =>
            {
                let pending = Pending::of(approval, resolved, leg);
                pending.task(gate, &asker.principal).map_or(Self::Wait, Self::Task)
            }
            Era::Legacy if asker.session.is_some() => match asker.revision {
                Revision::V2025_11_25 if askable.url => Self::Ask(Mode::Address),
                Revision::V2025_06_18 | Revision::V2025_11_25 if askable.form => Self::Ask(Mode::Form),
                Revision::V2024_11_05
                | Revision::V2025_03_26
                | Revision::V2025_06_18
                | Revision::V2025_11_25
                | Revision::V2026_07_28 => Self::Wait,
            },
            Era::Modern | Era::Legacy => Self::Wait,
        }
    }

    /// For the record.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Visit(_) => "visit",
            Self::Task(_) => "task",
            Self::Ask(Mode::Address) => "ask-url",
            Self::Ask(Mode::Form) => "ask-form",
            Self::Wait => "wait",
        }
    }
}

fn is_tool_call(resolved: &Resolved) -> bool {
    resolved.method.name == "tools/call"
}

fn brings_answers(resolved: &Resolved) -> bool {
    let brings = |key| resolved.frame.member(&["params", key]).is_some();
    resolved.state.is_some() || brings("inputResponses") || brings("requestState")
}

/// What programs are told of an approval, beside the text that people and models read.
pub(crate) fn about(live: &Live, approval: &Approval) -> Value {
    json!({
        "operation": approval.id.to_string(),
        "state": approval.state.as_str(),
        "expires": rfc3339(approval.expires_at),
        "url": page(live, approval.id),
        "ask": approval.cure.groups().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

pub(crate) fn rfc3339(at: Timestamp) -> Option<String> {
    let us = i64::try_from(at.0).ok()?;
    jiff::Timestamp::from_microsecond(us).ok().map(|at| at.to_string())
}

/// Where people see it and decide, if there are pages.
pub(crate) fn page(live: &Live, approval: ApprovalId) -> Option<String> {
    let settings = &live.settings;
    let base = || settings.console_base(settings.listen);
    settings.approvals.pages.then(|| format!("{}/console/approvals/{approval}", base()))
}

/// What comes of telling the client.
pub(crate) enum Reached {
    /// Somebody decided, or the asker did: the call walks the whole path again.
    GoesOn(Round),
    Reply(Reply),
}

/// Tells the client, and waits for people as long as it does.
pub(crate) async fn client(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    hold: Box<Hold>,
    last: Option<Round>,
) -> Reached {
    let Waits { approval, message, era, .. } = &hold.waits;
    if hold.waits.executes && hold.waits.until == Until::Decided {
        let session = hold.waits.session.as_deref().filter(|_| *era == Era::Legacy);
        kept::keep(gate, arrival, message, session, *approval).await;
    }
    let held = match &hold.waits.way {
        // to be told of at once; whoever comes back waits
        Way::Visit(_) if !hold.waits.again => Held::Stays,
        Way::Task(_) => Held::Stays,
        Way::Ask(mode) => {
            let told = Box::pin(ask::told(gate, arrival, &hold, *mode));
            holds::wait(gate, arrival, &hold, told).await
        }
        Way::Visit(_) | Way::Wait => holds::wait(gate, arrival, &hold, std::future::pending()).await,
    };
    let session = hold.waits.session.as_ref();
    let took_back =
        arrival.cancel.is_cancelled() || session.is_some_and(|session| session.ended.is_cancelled());
    if hold.waits.executes && took_back && !gate.is_draining() {
        kept::forget_call(gate, hold.waits.approval).await;
    }
    match held {
        Held::GoesOn if arrival.cancel.is_cancelled() => Reached::Reply(hold.reply),
        Held::GoesOn => Reached::GoesOn(hold.next(last)),
        Held::Stays => Reached::Reply(match hold.waits.way.clone() {
            Way::Visit(state) => visit(&hold, &state),
            Way::Task(handle) => task::begun(gate, arrival, *hold, &handle).await,
            Way::Ask(_) | Way::Wait => hold.reply,
        }),
    }
}

/// The result that sends its client to the approval's page.
fn visit(hold: &Hold, state: &str) -> Reply {
    let params = json!({ "mode": "url", "message": message(&hold.waits), "url": hold.waits.url });
    let part = json!({ "method": "elicitation/create", "params": params }).to_string();
    let questions = rounds::keyed([(KEY, part.as_bytes())]);
    Reply::message(rpc::result(&hold.id, &rounds::input_required(&questions, Some(state))))
}

/// For people: what is waited for, and where.
fn message(waits: &Waits) -> String {
    let at = waits.url.as_ref().map(|url| format!(", who can decide at {url}")).unwrap_or_default();
    format!("{} This waits for approval by {}{at}", waits.summary, waits.whom)
}
