//! Which class of message this is. One table, in `wire`; a method without a row is refused.

use crate::exchange::{Arrival, Party};
use crate::listen::Admitted;
use crate::record::Leg;
use bytes::Bytes;
use decision::{Claims, Code, Era, InteractionId, Passed, Refusal, Transport};
use wire::{Class, Kind, Method, Revision, Sender, Shape};

/// What the message is, and in which revision it is spoken.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) what: What,
    pub(crate) revision: Revision,
    /// What a modern message says of its sender in `_meta`.
    pub(crate) modern: Option<Modern>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Method(&'static Method),
    /// An answer to a question we passed on.
    Answer,
    OpenStream,
    EndSession,
}

/// The per-request facts of the modern era, owned.
#[derive(Debug, Clone)]
pub(crate) struct Modern {
    pub(crate) capabilities: Bytes,
    pub(crate) claims: Claims,
    /// The trace it says it belongs to.
    pub(crate) trace: Option<InteractionId>,
}

impl Route {
    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }
    pub(crate) fn method(&self) -> Option<&'static Method> {
        match self.what {
            What::Method(method) => Some(method),
            What::Answer | What::OpenStream | What::EndSession => None,
        }
    }
    /// Whether the message goes on to somebody else and so takes the whole path.
    ///
    /// `subscriptions/listen` does not: the gateway itself is the publisher, and what it has to ask
    /// of upstreams for it are errands.
    pub(crate) fn is_governed(&self) -> bool {
        self.method()
            .is_some_and(|method| method.class == Class::Governed && method.name != "subscriptions/listen")
    }
}

/// Classifies the message by the one method table, for the side that sent it and the revision it speaks.
pub(crate) fn classify(arrival: &Arrival, heard: &Admitted, leg: &mut Leg) -> Result<Passed<Route>, Refusal> {
    let frame = match heard {
        Admitted::Message(frame) => frame,
        Admitted::EndSession => return Ok(Passed::plain(verb(arrival, What::EndSession, leg)?)),
        Admitted::OpenStream(_) => return Ok(Passed::plain(verb(arrival, What::OpenStream, leg)?)),
    };
    leg.hear(frame);
    let method = frame.method();
    if let Some(method) = &method {
        leg.names(method);
    }
    let (revision, modern) = revision(arrival, frame)?;
    leg.speaks(revision.era(), revision.as_str());
    if let Some(modern) = &modern {
        leg.claims = modern.claims.clone();
    }
    let basis = vec![format!("revision:{revision}")];
    let Some(method) = method else {
        return Ok(Passed::new(Route { what: What::Answer, revision, modern }, basis));
    };
    let side = match arrival.party {
        Party::Host => Sender::Client,
        Party::Server(_) => Sender::Server,
    };
    let unsupported =
        |why: &str| Refusal::new(Code::MethodUnsupported, format!("`{}` {why}", method.escape_debug()));
    let row =
        wire::method::lookup(&method, revision).ok_or_else(|| unsupported("is not in the method table"))?;
    if !row.sender.allows(side) {
        return Err(unsupported("may not be sent by this side"));
    }
    if row.class == Class::Refused {
        return Err(unsupported("is not carried"));
    }
    let shape = if frame.kind() == Kind::Request { Shape::Request } else { Shape::Notification };
    if row.shape != shape {
        return Err(Refusal::new(Code::EnvelopeInvalid, format!("`{}` came with the wrong shape", row.name)));
    }
    if shape == Shape::Request && !has_a_progress_token_or_none(frame) {
        let why = "`_meta` has a `progressToken` that is neither a string nor a whole number";
        return Err(Refusal::new(Code::MetaInvalid, why).told(why));
    }
    if revision.is_modern() && arrival.transport == Transport::Http {
        let facts = &arrival.facts;
        wire::headers::check_standard(revision, facts.method.as_deref(), facts.name.as_deref(), frame)
            .map_err(|e| Refusal::new(Code::HeaderMismatch, e.to_string()).told(e.to_string()))?;
    }
    Ok(Passed::new(Route { what: What::Method(row), revision, modern }, basis))
}

fn has_a_progress_token_or_none(frame: &wire::Frame) -> bool {
    let token = frame.at(&["params", "_meta", "progressToken"]);
    token.is_none_or(|raw| raw.trim_ascii_start().starts_with(b"\"") || wire::Id::read(raw).is_some())
}

fn verb(arrival: &Arrival, what: What, leg: &mut Leg) -> Result<Route, Refusal> {
    leg.names(match what {
        What::EndSession => "DELETE",
        What::OpenStream | What::Method(_) | What::Answer => "GET",
    });
    let revision = match arrival.facts.revision.as_deref() {
        None => Revision::WITHOUT_HEADER,
        Some(text) => Revision::parse(text).map_err(|_| unknown_revision(text))?,
    };
    leg.speaks(revision.era(), revision.as_str());
    if revision.is_modern() {
        // 2026-07-28 basic/transports: POST only, anything else is 405
        return Err(Refusal::new(
            Code::HttpMethodUnsupported,
            "the modern era has no event stream to GET or DELETE",
        ));
    }
    Ok(Route { what, revision, modern: None })
}

/// The revision a message speaks: a modern one says so in `_meta`, a legacy one in a header or in its session.
fn revision(arrival: &Arrival, frame: &wire::Frame) -> Result<(Revision, Option<Modern>), Refusal> {
    let header = arrival.facts.revision.as_deref();
    let claimed = wire::era::claimed_revision(frame);
    let header_modern = header.is_some_and(|text| Revision::parse(text).is_ok_and(Revision::is_modern));
    let is_answer = frame.method().is_none();
    if (claimed.is_some() || header_modern) && !is_answer && frame.kind() == Kind::Request {
        return modern(header, claimed.as_deref(), arrival.transport, frame);
    }
    if header_modern {
        return Ok((Revision::LATEST_MODERN, None));
    }
    let session = arrival.session.as_ref().and_then(|session| session.hello());
    if let Some(hello) = session {
        return Ok((hello.revision, None));
    }
    match header {
        // what `initialize` asks for is negotiated, whatever the header says
        _ if frame.method().as_deref() == Some("initialize") => Ok((Revision::LATEST_LEGACY, None)),
        None if arrival.transport == Transport::Stdio => Ok((Revision::LATEST_LEGACY, None)),
        None => Ok((Revision::WITHOUT_HEADER, None)),
        Some(text) => {
            Revision::parse(text).map(|revision| (revision, None)).map_err(|_| unknown_revision(text))
        }
    }
}

fn modern(
    header: Option<&str>,
    claimed: Option<&str>,
    transport: Transport,
    frame: &wire::Frame,
) -> Result<(Revision, Option<Modern>), Refusal> {
    if transport == Transport::Http {
        let mismatch = |why: &str| Refusal::new(Code::HeaderMismatch, why).told(why);
        match (header, claimed) {
            (None, _) => return Err(mismatch("the `MCP-Protocol-Version` header is missing")),
            (Some(header), Some(claimed)) if header != claimed => {
                return Err(mismatch("`MCP-Protocol-Version` and `_meta` name different revisions"));
            }
            (Some(_), _) => {}
        }
    }
    let meta = wire::era::modern_meta(frame).map_err(|e| {
        let code = match e {
            wire::MetaError::Unsupported => Code::RevisionUnsupported,
            wire::MetaError::Missing(_) | wire::MetaError::WrongType(_) => Code::MetaInvalid,
        };
        Refusal::new(code, e.to_string()).told(e.to_string())
    })?;
    let claims = Claims {
        host: meta.client_info.as_ref().map(|info| short(&info.name)),
        host_version: meta.client_info.as_ref().map(|info| short(&info.version)),
        model: None,
        workflow: None,
    };
    let modern = Modern {
        capabilities: Bytes::copy_from_slice(meta.client_capabilities_raw),
        claims,
        trace: crate::interactions::trace(frame),
    };
    Ok((meta.revision, Some(modern)))
}

fn unknown_revision(text: &str) -> Refusal {
    let supported = wire::era::UnknownRevision.to_string();
    Refusal::new(Code::RevisionUnsupported, format!("`{}`: {supported}", short(text))).told(supported)
}

/// A claim, cut to what a record should hold of a stranger's word.
pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
