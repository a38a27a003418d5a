//! What the gateway answers itself: the handshake, discovery, lists, a Host's answers and notices.
//! Authenticated and recorded like everything else; nothing here leaves for an upstream.

use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance};
use crate::gate::{Gate, Live, Peer};
use crate::listen::{
    Admitted,
    streams::{Stream, Wanted},
};
use crate::record::Leg;
use crate::reply::Answer;
use crate::route::{Route, What, short};
use crate::session::{Hello, Session};
use crate::{lists, permission, subscriptions, tasks, upstream};
use bytes::Bytes;
use decision::{
    Claims, Code, Digest, Era, InteractionId, ItemKind, Principal, Refusal, ServerName, Transport,
};
use serde_json::{Map, Value, json};
use std::{ops::Range, sync::Arc};
use wire::bridge::capabilities::TASKS;
use wire::{Class, Level, Revision, rpc};

/// Name under which the gateway shows itself.
const NAME: &str = "callgate";
/// What a Host says of itself is kept for as long as its session.
const HELLO_BYTES_MAX: usize = 64 << 10;

/// Answers a message that goes no further.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    heard: &Admitted,
    route: &Route,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let frame = match (heard, route.what) {
        (Admitted::Message(frame), What::Method(_) | What::Answer) => frame,
        (Admitted::OpenStream(wanted), _) => return open_stream(wanted, asker),
        (Admitted::EndSession, _) => return end_session(gate, asker),
        (Admitted::Message(_), _) => return Err(Refusal::new(Code::StageFailed, "a verb has no message")),
    };
    let Some(method) = route.method() else {
        return take_answer(asker, frame);
    };
    let id = frame.id_raw().unwrap_or(b"0");
    match (method.class, method.name) {
        (Class::Listed, name) => {
            lists::list(gate, live, arrival, frame, name, asker, leg).map(Answer::Message)
        }
        (_, "initialize") => initialize(gate, live, arrival, frame, asker, leg),
        (_, "ping") => Ok(Answer::Message(rpc::result(id, b"{}"))),
        (_, "server/discover") => {
            let result = discover(gate, live, arrival, asker, leg.claims.host.as_deref())?;
            Ok(Answer::Message(shown(id, &result, leg)))
        }
        (_, "logging/setLevel") => set_level(gate, asker, frame, id).await,
        (_, "subscriptions/listen") => subscriptions::listen(gate, live, arrival, frame, asker, leg),
        (_, "notifications/cancelled") => Ok(cancelled(asker, frame)),
        (_, "notifications/roots/list_changed") => {
            upstream::roots_changed(gate, asker).await;
            Ok(Answer::Accepted)
        }
        (Class::Relayed, _) => Ok(Answer::Accepted),
        (Class::Governed | Class::Local | Class::Refused, name) => {
            Err(Refusal::new(Code::MethodUnsupported, format!("`{name}` has no answer here")))
        }
    }
}

fn shown(id: &[u8], result: &Value, leg: &mut Leg) -> Bytes {
    let raw = result.to_string();
    leg.shown = Some(Digest::of(raw.as_bytes()));
    rpc::result(id, raw.as_bytes())
}

/// 2025-11-25 basic/lifecycle. Over HTTP this begins the session; a pipe is its own.
fn initialize(
    gate: &Arc<Gate>,
    live: &Live,
    arrival: &Arrival,
    frame: &wire::Frame,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let invalid = |what: &str| Refusal::new(Code::ArgumentsInvalid, what).told(what);
    let requested = frame
        .string_at(&["params", "protocolVersion"])
        .ok_or_else(|| invalid("`initialize` needs `protocolVersion`"))?;
    let capabilities = frame
        .member(&["params", "capabilities"])
        .ok_or_else(|| invalid("`initialize` needs `capabilities`"))?;
    let client_info =
        frame.member(&["params", "clientInfo"]).ok_or_else(|| invalid("`initialize` needs `clientInfo`"))?;
    let revision = wire::era::negotiate(&requested);
    let claimed = |key: &str| frame.string_at(&["params", "clientInfo", key]).map(|text| short(&text));
    let named = asker.standing.token().and_then(identity::oauth::Verified::host).map(str::to_owned);
    let claims = Claims {
        host: named.or_else(|| claimed("name")),
        host_version: claimed("version"),
        model: None,
        workflow: None,
    };
    leg.claims = claims.clone();
    leg.speaks(Era::Legacy, revision.as_str());
    if capabilities.len() + client_info.len() > HELLO_BYTES_MAX {
        return Err(invalid("`capabilities` and `clientInfo` are larger than 64 KiB"));
    }
    // a copy: what is shared would keep the whole message for as long as the session
    let own = |range: Range<usize>| Bytes::copy_from_slice(frame.bytes().get(range).unwrap_or_default());
    let hello = Hello { revision, capabilities: own(capabilities), client_info: own(client_info), claims };
    let peers = visible_peers(live, &arrival.entrance, asker, leg.claims.host.as_deref());
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities_of(&peers),
        "serverInfo": server_info(),
    });
    if let (Some(text), Value::Object(members)) = (instructions(gate, arrival, &peers), &mut result) {
        members.insert("instructions".to_owned(), Value::String(text));
    }
    let bytes = shown(frame.id_raw().unwrap_or(b"0"), &result, leg);
    if let Some(session) = &asker.session {
        let first = session.hello().is_none();
        session.set_hello(hello);
        if first {
            lists::follow(gate, session);
        }
        return Ok(Answer::Message(bytes));
    }
    let id = gate.fresh_id("s_");
    let interaction = InteractionId::new(id.clone()).unwrap_or_else(|_| leg.interaction.clone());
    leg.interaction = interaction.clone();
    let principal = Arc::clone(&asker.principal);
    let entrance = arrival.entrance.clone();
    let now = tokio::time::Instant::now();
    let session =
        Arc::new(Session::new(&gate.opener, id, principal, entrance, Transport::Http, interaction, now));
    session.set_hello(hello);
    session.set_standing(asker.standing.clone());
    if !gate.sessions.insert(&session, live.settings.limits.sessions_max) {
        return Err(Refusal::new(Code::Overloaded, "as many sessions are open as may be"));
    }
    lists::follow(gate, &session);
    Ok(Answer::Begun(bytes, session))
}

/// 2026-07-28 server/discover. Where nothing is behind the entrance it is answered as a legacy server would.
fn discover(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    asker: &Asker,
    host: Option<&str>,
) -> Result<Value, Refusal> {
    let peers = visible_peers(live, &arrival.entrance, asker, host);
    let nothing = match &arrival.entrance {
        Entrance::Federated => behind(live, &arrival.entrance).is_empty(),
        // a server of which nothing may be seen is not there
        Entrance::Server(_) => peers.is_empty(),
    };
    if nothing {
        return Err(Refusal::new(Code::MethodUnsupported, "no server is behind this entrance"));
    }
    let mut capabilities = capabilities_of(&peers);
    // only here: a client that initializes cannot follow a task
    if peers.iter().any(|peer| tasks::are_offered_by(peer)) {
        capabilities.insert("extensions".to_owned(), json!({ TASKS: {} }));
    }
    let modern: Vec<&str> = Revision::ALL.iter().filter(|r| r.is_modern()).map(|r| r.as_str()).collect();
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": modern,
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { wire::era::META_SERVER_INFO: server_info() },
    });
    if let (Some(text), Value::Object(members)) = (instructions(gate, arrival, &peers), &mut result) {
        members.insert("instructions".to_owned(), Value::String(text));
    }
    Ok(result)
}

fn server_info() -> Value {
    json!({ "name": NAME, "title": "Callgate", "version": env!("CARGO_PKG_VERSION") })
}

/// The servers behind an entrance that may be used. Each can be spoken to: in the client's era, or across.
pub(crate) fn behind<'l>(live: &'l Live, entrance: &Entrance) -> Vec<(&'l decision::ServerName, &'l Peer)> {
    let only = match entrance {
        Entrance::Federated => None,
        Entrance::Server(name) => Some(name.as_str()),
    };
    let behind = live.peers.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
    behind.filter(|(name, _)| live.registry.is_open(name)).collect()
}

/// Those of them of which this principal may see anything: of the others it must not even learn that they are there.
fn visible_peers<'l>(
    live: &'l Live,
    entrance: &Entrance,
    asker: &Asker,
    host: Option<&str>,
) -> Vec<&'l Peer> {
    let any = |server: &ServerName| sees_any(live, &asker.principal, host, server);
    behind(live, entrance).into_iter().filter(|(server, _)| any(server)).map(|(_, peer)| peer).collect()
}

/// Whether this principal may see anything of a server.
pub(crate) fn sees_any(live: &Live, principal: &Principal, host: Option<&str>, server: &ServerName) -> bool {
    const KINDS: [ItemKind; 4] =
        [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::ResourceTemplate];
    let sees = |kind: ItemKind, name: &str| permission::visible(live, principal, host, server, kind, name);
    let entry = live.catalogue.server(server);
    let mut items = KINDS.into_iter().flat_map(|kind| entry.into_iter().flat_map(move |e| e.of_kind(kind)));
    sees(ItemKind::Server, server.as_str())
        || items.any(|item| sees(item.definition.kind(), item.definition.name()))
}

/// What is offered: the union of what the servers behind the entrance offer, as far as the gateway carries it.
fn capabilities_of(peers: &[&Peer]) -> Map<String, Value> {
    let mut offered = Map::new();
    let has = |key: &str| {
        peers.iter().any(|peer| wire::json::object_members(&peer.capabilities).any(|(name, _)| name == key))
    };
    if has("tools") {
        offered.insert("tools".to_owned(), json!({ "listChanged": true }));
    }
    if has("prompts") {
        offered.insert("prompts".to_owned(), json!({ "listChanged": true }));
    }
    if has("resources") {
        let subscribe = peers.iter().any(|peer| {
            serde_json::from_slice::<Value>(&peer.capabilities)
                .is_ok_and(|raw| raw.pointer("/resources/subscribe") == Some(&Value::Bool(true)))
        });
        offered.insert("resources".to_owned(), json!({ "listChanged": true, "subscribe": subscribe }));
    }
    if has("completions") {
        offered.insert("completions".to_owned(), json!({}));
    }
    if has("logging") {
        offered.insert("logging".to_owned(), json!({}));
    }
    offered
}

/// A server's own instructions are only repeated where it is alone; of several, each would speak for all.
/// Whoever owns the gateway is told where it is away: a client with no tools looks healthy otherwise. Why is not said here:
/// part of it may be the server's own words, and nobody has looked at those.
fn instructions(gate: &Gate, arrival: &Arrival, peers: &[&Peer]) -> Option<String> {
    let Entrance::Server(_) = &arrival.entrance else { return None };
    let away = arrival
        .entrance
        .server()
        .filter(|server| arrival.transport == decision::Transport::Stdio && gate.absences.is_away(server));
    match (away, peers) {
        (Some(server), _) => Some(format!(
            "Callgate, the gateway before the server `{server}`, cannot start or reach it at the moment, so it may offer nothing \
             here. `callgate registry show {server}` says why."
        )),
        (None, [peer]) => peer.instructions.clone(),
        (None, _) => None,
    }
}

async fn set_level(gate: &Gate, asker: &Asker, frame: &wire::Frame, id: &[u8]) -> Result<Answer, Refusal> {
    let level = frame.string_at(&["params", "level"]).and_then(|text| Level::parse(&text));
    let level = level.ok_or_else(|| {
        let sentence = format!("`level` must be one of {}", Level::ALL.map(Level::as_str).join(", "));
        Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence)
    })?;
    if let Some(session) = &asker.session {
        session.set_log_level(level);
        upstream::set_level(gate, session, level).await;
    }
    Ok(Answer::Message(rpc::result(id, b"{}")))
}

fn cancelled(asker: &Asker, frame: &wire::Frame) -> Answer {
    if let (Some(session), Some(id)) = (&asker.session, frame.at(&["params", "requestId"])) {
        // an id we do not know is late or a mistake; the specification says to ignore it
        session.cancel(id);
    }
    Answer::Accepted
}

fn take_answer(asker: &Asker, frame: &wire::Frame) -> Result<Answer, Refusal> {
    let unexpected =
        || Refusal::new(Code::AnswerUnexpected, "no question of that id is open on this session");
    let session = asker.session.as_ref().ok_or_else(unexpected)?;
    let id = frame.id_raw().and_then(|raw| std::str::from_utf8(raw).ok()).and_then(|text| text.parse().ok());
    let id: u64 = id.ok_or_else(unexpected)?;
    if session.answer(id, frame.clone()) { Ok(Answer::Accepted) } else { Err(unexpected()) }
}

fn open_stream(wanted: &Wanted, asker: &Asker) -> Result<Answer, Refusal> {
    let session =
        asker.session.as_ref().ok_or_else(|| Refusal::new(Code::SessionRequired, "GET needs a session"))?;
    let unknown = || Refusal::new(Code::EventUnknown, "the event id is of no stream that the session keeps");
    let stream = wanted.open(session).ok_or_else(unknown)?;
    if let Stream::Session(stream) = &stream {
        session.note_opened(&asker.standing, stream);
    }
    Ok(Answer::Stream(stream))
}

fn end_session(gate: &Gate, asker: &Asker) -> Result<Answer, Refusal> {
    let session = asker
        .session
        .as_ref()
        .ok_or_else(|| Refusal::new(Code::SessionRequired, "DELETE needs a session"))?;
    gate.sessions.remove(&session.id);
    Ok(Answer::Ended)
}
