//! One message, from arrival to reply. Everything a peer can ask takes this path.
//!
//! Order is the security property, so it is plain code, top to bottom: no middleware, no
//! registration, no configuration that can reorder it.

use crate::approval::Yes;
use crate::commit::End;
use crate::exchange::{Arrival, Reply};
use crate::gate::{Gate, Live};
use crate::holds::Hold;
use crate::reach::{self, Reached};
use crate::record::Leg;
use crate::reply::{self, Answer, Doors};
use crate::rounds::{self, Asks};
use crate::rules::Deed;
use crate::upstream::Dispatch;
use crate::{
    approval, arguments, authenticate, commit, drafts, host_side, inspect_result, listen, observed,
    permission, replay, resolve, route, rules, secrets, upstream,
};
use decision::twin::Key;
use decision::{Code, Passed, Refusal, Stage};
use futures::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc};

/// Governs one message in a task of its own: a Host that hangs up must not leave a call half recorded. An intent
/// without a decision is found at the next start.
pub async fn govern(gate: &Arc<Gate>, arrival: Arrival) -> Reply {
    let gate = Arc::clone(gate);
    let governed = tokio::spawn(Box::pin(async move { govern_here(&gate, arrival).await }));
    governed.await.unwrap_or_else(|_| reply::broken())
}

/// Governs one message, for those who are a task of their own already. Whatever happens on the path, the record is
/// closed here, and an answer that could not be recorded is not given.
pub(crate) async fn govern_here(gate: &Arc<Gate>, arrival: Arrival) -> Reply {
    let mut arrival = arrival;
    let mut patience = None;
    loop {
        match govern_leg(gate, &arrival).await {
            Step::Reply(reply) => return reply,
            Step::Behind(key, reply) => {
                if !Box::pin(replay::until_over(gate, &arrival, &key, &mut patience)).await {
                    return reply;
                }
            }
            Step::Ask(id, asks) => {
                arrival.round = Some(Box::pin(rounds::ask(gate, &arrival, &id, *asks)).await);
            }
            Step::Hold(hold) => {
                let last = arrival.round.take();
                // boxed, as the path is
                match Box::pin(reach::client(gate, &arrival, hold, last)).await {
                    Reached::GoesOn(round) => arrival.round = Some(round),
                    Reached::Reply(reply) => return reply,
                }
            }
        }
    }
}

/// What a leg comes to.
enum Step {
    Reply(Reply),
    /// Questions of the server to the asker of that id, before the next leg.
    Ask(Vec<u8>, Box<Asks>),
    /// People have to say yes before the next leg.
    Hold(Box<Hold>),
    /// The same call under that key is on its way; the reply is for when it takes too long.
    Behind(Box<Key>, Reply),
}

async fn govern_leg(gate: &Arc<Gate>, arrival: &Arrival) -> Step {
    let live = gate.live();
    let mut leg = Leg::open(gate, &live, arrival);
    // boxed: what is spawned is moved several times, and the state of a path is tens of kilobytes
    let walk = Box::pin(path(gate, &live, arrival, &mut leg));
    let walked = AssertUnwindSafe(walk).catch_unwind().await;
    let outcome = walked.unwrap_or_else(|_| Err(Refusal::new(Code::StageFailed, "a stage panicked")));
    let facts = reply::Facts::of(arrival, &leg);
    let end = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
    let (deed, number, waits) = (leg.deed, leg.leg, leg.waits.take());
    let spent = leg.spent.take().map(|spent| {
        let end = End::of(&leg, &end);
        (spent, end)
    });
    let (answer, behind) = (leg.keyed.noted.take(), leg.keyed.behind.take());
    let unsent = leg.draft.take().filter(|_| !leg.dispatched);
    let saw = leg.saw.take();
    let closed = leg.close(gate, &live, &end).await;
    if let Some(saw) = saw {
        Box::pin(observed::keep(gate, &live, &saw)).await;
    }
    if let Some(draft) = unsent {
        Box::pin(drafts::give_back(gate, &live, draft, deed)).await;
    }
    if let Some((spent, end)) = &spent {
        Box::pin(commit::settle(gate, &live, spent, *end, answer)).await;
    }
    if let Some(round) = arrival.round.as_ref().filter(|round| round.refused().is_err()) {
        Box::pin(replay::abandon(gate, &live, round)).await;
    }
    let outcome = match closed {
        Ok(()) => outcome,
        Err(unrecorded) => Err(unrecorded),
    };
    let outcome = match outcome {
        Ok(Answer::Asks(asks)) => return Step::Ask(facts.id(), asks),
        outcome => outcome,
    };
    let waits = waits.filter(|_| matches!(&outcome, Err(no) if no.code == Code::ApprovalRequired));
    let behind = behind.filter(|_| matches!(&outcome, Err(no) if no.code == Code::IdempotencyInProgress));
    let doors = Doors { oauth: live.settings.oauth.as_deref(), entrance: &arrival.entrance };
    let id = facts.id();
    let reply = reply::reply(&facts, outcome, doors);
    match (waits, behind) {
        (Some(waits), _) => Step::Hold(Box::new(Hold { waits, id, deed, leg: number, reply })),
        (None, Some(key)) => Step::Behind(key, reply),
        (None, None) => Step::Reply(reply),
    }
}

/// The path. Each `?` is a refusal; each line is in the record.
async fn path(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let heard = (Stage::Listen, listen::admit(arrival, &live.settings.limits));
    let heard = authenticate::before_told(gate, live, arrival, heard, leg).await?;
    let route = (Stage::Route, route::classify(arrival, &heard, leg));
    let route = authenticate::before_told(gate, live, arrival, route, leg).await?;
    let asker = authenticate::asker(gate, live, arrival, &route, leg).await;
    let asker = leg.pass(Stage::Authenticate, asker)?;
    if !route.is_governed() {
        let answer = Box::pin(host_side::answer(gate, live, arrival, &heard, &route, &asker, leg)).await;
        return answer.and_then(|answer| reply::within(arrival, live, answer));
    }
    arrival.walks(&asker, leg.heard.id.as_deref());
    let _slot = gate.slot(arrival)?;
    let submitted = drafts::submitted(gate, live, arrival, &heard, &asker, leg).await;
    let resolved = submitted.and_then(|draft| {
        let heard = draft.as_ref().map_or(&heard, |draft| &draft.heard);
        let mut resolved = resolve::target(gate, live, arrival, heard, &route, &asker, leg)?;
        resolved.value.submits = draft.map(|draft| draft.submits);
        Ok(resolved)
    });
    let resolved = leg.pass(Stage::Resolve, resolved)?;
    let call = resolve::call(&resolved, &asker, leg);
    leg.pass(Stage::Permission, permission::check(live, &call, &resolved, &asker))?;
    let arguments = leg.pass(Stage::Arguments, arguments::check(live, &call, &resolved, arrival))?;
    let twin = replay::look(gate, live, &call, &resolved, leg).await;
    let twin = leg.pass(Stage::Replay, twin)?;
    let deed = if twin.is_some() { Deed::Done } else { Deed::New };
    let judged = rules::check(gate, live, &call, &resolved, &arguments, deed).await;
    let judged = replay::unless_overtaken(gate, live, leg, judged).await;
    let mut judged = leg.pass(Stage::Rules, judged)?;
    if let Some(twin) = twin {
        return replay::again(gate, live, arrival, (&call, &resolved, &asker), twin, leg);
    }
    if let Some(pending) = &resolved.waiting {
        return Box::pin(reach::task(gate, live, arrival, &resolved, pending, &asker, leg)).await;
    }
    let yes = approval::check(gate, live, (arrival, &call), &resolved, &asker, judged.held.take(), leg).await;
    let yes = replay::unless_overtaken(gate, live, leg, yes).await;
    let yes = leg.pass(Stage::Approval, yes)?;
    if let Yes::Done(answer) = yes {
        return Ok(Answer::Message(answer));
    }
    let spent = commit::spend(gate, live, &call, &resolved, &arguments, (yes, judged), leg).await;
    leg.pass(Stage::Commit, replay::unless_overtaken(gate, live, leg, spent).await)?;
    if let Some(of) = resolved.drafts() {
        let keeping = drafts::keep(gate, live, &arrival.entrance, &call, (&resolved, of), &arguments);
        return Box::pin(keeping).await;
    }

    let permit = leg.permit(&call)?;
    leg.intend(gate, live, &permit).await?;

    let look = gate.kept.look(gate, live, &resolved).await;
    let credential = secrets::needed(gate, live, &permit, &call, &asker, &look).await;
    let credential = leg.pass(Stage::Secrets, credential)?;
    let dispatch =
        Dispatch { permit, call: &call, resolved: &resolved, credential, arrival, asker: &asker, look };
    // boxed: the larger half of the path's state, and a refused call never needs it
    let arrived = Box::pin(upstream::send(gate, live, dispatch, leg)).await;
    let arrived = leg.pass(Stage::Upstream, arrived)?;
    let answer = inspect_result::check(gate, live, &call, &resolved, &asker, arrived, leg);
    let answer =
        answer.and_then(|passed| Ok(Passed { value: reply::within(arrival, live, passed.value)?, ..passed }));
    leg.pass(Stage::Inspect, answer)
}
