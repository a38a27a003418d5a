//! What crosses the eras on its way out and back: the splices are `wire`'s, what goes into them is the session's.

use super::{Dispatch, Lane};
use crate::authenticate::Asker;
use crate::errands::{self, Wish};
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::session::Subscribed;
use decision::{Code, Era, Refusal};
use std::sync::Arc;
use tokio::sync::oneshot;
use wire::bridge::{answer, capabilities, request};
use wire::{Crossing, Frame, Level, Splice};

/// Most resources of one server that one session may be told of.
const SUBSCRIPTIONS_MAX: usize = 64;

/// The request in the server's era.
pub(super) fn request<'f>(
    splice: Splice<'f>,
    live: &Live,
    dispatch: &Dispatch<'f>,
) -> Result<Splice<'f>, Refusal> {
    let Dispatch { resolved, asker, arrival, .. } = dispatch;
    Ok(match resolved.way.crossing {
        // a task of 2025-11-25, which nobody could follow
        None if resolved.way.era() == Era::Legacy => splice.remove_path(&["params", "task"]),
        None => splice,
        Some(Crossing::LegacyToModern) => {
            let splice = request::for_modern(splice, &speaker(live, resolved, asker)?);
            match &arrival.round {
                Some(round) => round.splice(splice),
                None => splice,
            }
        }
        Some(Crossing::ModernToLegacy) => request::for_legacy(splice, &resolved.frame),
    })
}

/// The answer in the client's era.
pub(super) fn answer<'f>(splice: Splice<'f>, frame: &'f Frame, resolved: &Resolved) -> Splice<'f> {
    match resolved.way.crossing {
        None if resolved.method.cacheable && resolved.way.era() == Era::Modern => {
            answer::for_one(answer::unnamed(splice, frame), frame)
        }
        None => answer::unnamed(splice, frame),
        Some(Crossing::LegacyToModern) => answer::for_legacy(splice, frame),
        Some(Crossing::ModernToLegacy) => {
            answer::for_modern(answer::unnamed(splice, frame), frame, resolved.method)
        }
    }
}

/// What the session's client said of itself once, for a server that has to be told each time.
fn speaker(live: &Live, resolved: &Resolved, asker: &Asker) -> Result<request::Speaker, Refusal> {
    let session = asker.session.as_ref();
    let hello = session.and_then(|session| session.hello());
    let hello = hello.ok_or_else(no_session)?;
    let set = session.and_then(|session| session.log_level()).unwrap_or(Level::UNLESS_SET);
    let askable = ["roots/list", "sampling/createMessage", "elicitation/create"];
    let unknown = askable.into_iter().filter(|name| wire::method::lookup(name, hello.revision).is_none());
    // what its revision cannot be asked, it cannot be asked here
    let unknown: Vec<_> = unknown.filter_map(|name| name.split('/').next()).collect();
    let known = wire::Implementation::read(&hello.client_info).is_some();
    Ok(request::Speaker {
        capabilities: capabilities::crossing(&hello.capabilities, &unknown),
        client_info: if known { hello.client_info } else { super::detect::CLIENT.into() },
        level: logs(live, resolved).then_some(set),
    })
}

/// Which log lines are wanted with one modern request; `None` wants none.
pub(crate) fn level(frame: &Frame) -> Option<Level> {
    Level::parse(&frame.string_at(&["params", "_meta", wire::era::META_LOG_LEVEL])?)
}

/// Has the server of a hidden session say what this request wants to hear.
pub(super) async fn raise_level(live: &Live, resolved: &Resolved, lane: &Lane) {
    if resolved.way.crossing == Some(Crossing::ModernToLegacy)
        && let Some(level) = level(&resolved.frame)
        && logs(live, resolved)
    {
        lane.wants_level(level).await;
    }
}

/// Whether the server writes log lines to its clients.
fn logs(live: &Live, resolved: &Resolved) -> bool {
    let peer = live.peers.get(&resolved.target.server);
    peer.is_some_and(|peer| wire::json::member(&peer.capabilities, "logging").is_some())
}

/// Subscribes to a resource of a modern server, or takes that back: the gateway listens for the session, to all it
/// subscribed to at once, and is told in an errand of its own.
pub(super) async fn subscribe(
    gate: &Arc<Gate>,
    live: &Live,
    dispatch: &Dispatch<'_>,
    leg: &mut Leg,
) -> Result<Frame, Refusal> {
    let Dispatch { call, resolved, asker, .. } = dispatch;
    let (server, uri) = (&call.target().server, &call.target().item.name);
    let session = asker.session.as_ref().ok_or_else(no_session)?;
    let _one = session.subscribing.lock().await;
    let mut now = Subscribed { over: session.ended.child_token(), ..session.subscribed(server) };
    let changed = if call.method() == "resources/subscribe" {
        now.uris.insert(uri.clone())
    } else {
        now.uris.remove(uri)
    };
    if now.uris.len() > SUBSCRIPTIONS_MAX {
        let sentence =
            format!("at most {SUBSCRIPTIONS_MAX} resources of a server may be subscribed to at once");
        return Err(Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence));
    }
    leg.dispatched = true;
    if changed && !now.uris.is_empty() {
        let (began, begun) = oneshot::channel();
        let wish = Wish { uris: now.uris.iter().cloned().collect(), ..Wish::default() };
        let (gate, server, over) = (Arc::clone(gate), server.clone(), now.over.clone());
        let listener = errands::listener(&asker.principal);
        tokio::spawn(async move {
            errands::watch(&gate, &server, &wish, &listener, &over, Some(began)).await;
        });
        let patience = live.settings.servers.get(&call.target().server).map(|server| server.call_timeout);
        let begun = tokio::time::timeout(patience.unwrap_or_default(), begun).await;
        let refused = match begun {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(reason))) => Some(Refusal::new(Code::UpstreamError, reason)),
            Ok(Err(_)) => Some(Refusal::new(Code::UpstreamLost, "the subscription ended as it began")),
            Err(_) => Some(Refusal::new(Code::UpstreamTimeout, "no acknowledgement in time")),
        };
        if let Some(refusal) = refused {
            now.over.cancel();
            return Err(refusal);
        }
    }
    if changed {
        session.resubscribe(&call.target().server, now);
    }
    let answer = wire::rpc::result(resolved.frame.id_raw().unwrap_or(b"0"), b"{}");
    Frame::scan(answer, &wire::Limits::DEFAULT).map_err(|e| Refusal::new(Code::StageFailed, e.to_string()))
}

fn no_session() -> Refusal {
    Refusal::new(Code::SessionRequired, "the host has not initialized")
}
