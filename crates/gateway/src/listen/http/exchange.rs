//! One request to an MCP address: exactly one arrival, and its reply as HTTP.
//!
//! An answer is never written before the path returned it, since only then its record is durable. What
//! a call says while it runs (progress, questions) is written when it comes, and turns the response
//! into an event stream.

use super::{
    Body, Door, Ends, body,
    events::{Direct, Feed, Source},
    facts, guard, json, whole,
};
use crate::{
    exchange::{Arrival, BodyFault, Entrance, Found, Inbound, Interim, Outlet, Party, Reply, ReplyBody},
    listen::{
        Path,
        batch::{self, Opened},
        streams::{Stream, Wanted},
    },
    settings::{Limits, Settings},
};
use bytes::Bytes;
use decision::Transport;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::Revision;

/// Messages for the Host that wait for it to read.
const OUTLET_MESSAGES_MAX: usize = 32;
/// The first revision whose streams begin with an event that has only an id (SEP-1699).
const PRIMING_SINCE: &str = "2025-11-25";
/// The first revision in which hanging up means cancel.
const MODERN_SINCE: &str = "2026-07-28";

/// What the listener itself has to know of a request, once the path has it.
struct Open {
    /// Whose events are sent and kept. The path says it before it says anything else.
    found: Found,
    era: Era,
    takes: Takes,
    method: Method,
    cancel: CancellationToken,
}

/// What the `MCP-Protocol-Version` header claims, as far as HTTP behaves differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// Hanging up cancels; nothing is resumed.
    Modern,
    Legacy {
        /// Streams begin with an id.
        primes: bool,
    },
}

impl Era {
    fn of(revision: Option<&str>) -> Self {
        let revision = revision.filter(|text| is_date(text)).unwrap_or_default();
        if revision >= MODERN_SINCE {
            Self::Modern
        } else {
            Self::Legacy { primes: revision >= PRIMING_SINCE }
        }
    }
}

/// Whether the header leaves it open that batches are spoken. What the session speaks, the path knows.
fn may_batch(revision: Option<&str>) -> bool {
    revision.map_or(Ok(Revision::WITHOUT_HEADER), Revision::parse).is_ok_and(Revision::has_batches)
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// What a peer accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Takes {
    json: bool,
    events: bool,
}

impl Takes {
    fn of(headers: &HeaderMap) -> Self {
        let Some(accept) = facts::all(headers, &header::ACCEPT) else {
            return Self { json: true, events: true };
        };
        let mut takes = Self { json: false, events: false };
        for range in accept.split(',') {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let name = name.trim();
            let never =
                |p: &str| matches!(p.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            if parameters.split(';').map(str::trim).any(never) {
                continue;
            }
            let fits = |kind: &str| name == "*/*" || name.eq_ignore_ascii_case(kind);
            takes.json |= fits("application/json") || name.eq_ignore_ascii_case("application/*");
            takes.events |= fits("text/event-stream") || name.eq_ignore_ascii_case("text/*");
        }
        takes
    }
}

impl<P: Path> Door<P> {
    pub(super) async fn exchange(
        self: &Arc<Self>,
        request: Request<Incoming>,
        entrance: Entrance,
        ends: &Ends,
        settings: &Settings,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let facts = facts::of(&parts, ends, settings);
        let era = Era::of(facts.revision.as_deref());
        let takes = Takes::of(&parts.headers);
        let cancel = CancellationToken::new();
        let open = Open {
            found: Found::default(),
            era,
            takes,
            method: parts.method.clone(),
            cancel: cancel.clone(),
        };
        let (outlet, interim) = Outlet::new(OUTLET_MESSAGES_MAX);
        // spawned with the body: a peer that hangs up in the middle is an arrival too
        let task = self.tasks.spawn({
            let door = Arc::clone(self);
            let limits = settings.limits.clone();
            let found = Arc::clone(&open.found);
            // boxed, as what it holds: a task is moved several times while it is made and when it ends
            Box::pin(async move {
                let presented = facts::presented(&parts);
                let inbound = door.inbound(&parts, body, takes, &limits).await;
                let opened = batch::open(inbound, may_batch(facts.revision.as_deref()));
                let arrival = Arrival {
                    inbound: Err(BodyFault::Incomplete),
                    party: Party::Host,
                    transport: Transport::Http,
                    entrance,
                    presented,
                    facts,
                    session: None,
                    outlet,
                    cancel,
                    round: None,
                    credential: None,
                    found,
                    walking: std::sync::OnceLock::new(),
                };
                match opened {
                    Opened::One(inbound) => Box::pin(door.path.govern(Arrival { inbound, ..arrival })).await,
                    Opened::Several(members) => Box::pin(batch::govern(&door.path, &arrival, members)).await,
                }
            })
        });
        self.respond(open, interim, task).await
    }

    async fn inbound(
        &self,
        parts: &Parts,
        body: Incoming,
        takes: Takes,
        limits: &Limits,
    ) -> Result<Inbound, BodyFault> {
        match parts.method {
            Method::POST => {
                if !is_json(&parts.headers) || !(takes.json || takes.events) {
                    return Err(BodyFault::MediaType);
                }
                let room = &self.large_bodies;
                body::read(body, limits.message_bytes_max, limits.read_timeout, room)
                    .await
                    .map(Inbound::Message)
            }
            Method::GET if !takes.events => Err(BodyFault::MediaType),
            Method::GET => {
                let last_event_id = facts::all(&parts.headers, &facts::LAST_EVENT_ID);
                Ok(Inbound::OpenStream(Wanted { last_event_id, shelf: Arc::clone(&self.shelf) }))
            }
            Method::DELETE => Ok(Inbound::EndSession),
            _ => Err(BodyFault::HttpMethod),
        }
    }

    async fn respond(
        self: &Arc<Self>,
        open: Open,
        mut interim: Interim,
        mut task: JoinHandle<Reply>,
    ) -> Response<Body> {
        // dropped together with this future, or later with the response's body, when the peer hangs up
        let hung_up = (open.era == Era::Modern).then(|| open.cancel.clone().drop_guard());
        if !open.takes.events {
            // whoever cannot read events is told at once that nobody listens
            interim.close();
        }
        let first = tokio::select! {
            biased;
            Some(first) = interim.recv() => first,
            reply = &mut task => {
                let reply = reply.unwrap_or_else(|_| broke());
                return self.answered(&open, reply, interim, hung_up);
            }
        };
        let direct = Direct::running(first, interim, task, hung_up);
        let log = match (open.found.get(), open.era) {
            (Some(session), Era::Legacy { .. }) => self.shelf.begin(&session.id),
            (Some(_), Era::Modern) | (None, _) => None,
        };
        let source = match log {
            None => Source::Direct(Box::new(direct)),
            Some(log) => {
                let reader = log.read(0);
                self.tasks.spawn(direct.carry(log));
                Source::Logged(reader)
            }
        };
        self.stream(&open, source)
    }

    fn answered(
        &self,
        open: &Open,
        reply: Reply,
        interim: Interim,
        hung_up: Option<tokio_util::sync::DropGuard>,
    ) -> Response<Body> {
        let Reply { status, body, session, challenge } = reply;
        if open.method == Method::DELETE
            && status.is_success()
            && let Some(session) = open.found.get()
        {
            self.shelf.forget(&session.id);
        }
        let mut response = match body {
            ReplyBody::Subscribed => {
                let direct = Direct::subscribed(interim, hung_up);
                self.stream(open, Source::Direct(Box::new(direct)))
            }
            ReplyBody::Stream(opened) => {
                let source = match opened {
                    Stream::Session(own) => Source::Session(own),
                    Stream::Kept(reader) => Source::Logged(reader),
                };
                let response = self.stream(open, source);
                let _ = hung_up.map(tokio_util::sync::DropGuard::disarm);
                response
            }
            ReplyBody::Message(message) => {
                let _ = hung_up.map(tokio_util::sync::DropGuard::disarm);
                if status == StatusCode::OK && !open.takes.json {
                    self.stream(open, Source::Direct(Box::new(Direct::finished(message))))
                } else {
                    json(status, message)
                }
            }
            ReplyBody::Nothing => {
                let _ = hung_up.map(tokio_util::sync::DropGuard::disarm);
                let mut response = Response::new(whole(Bytes::new()));
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
        };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut say = |name: header::HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        if let Some(session) = session {
            say(header::HeaderName::from_static("mcp-session-id"), &session.id);
        }
        if let Some(challenge) = challenge {
            say(header::WWW_AUTHENTICATE, &challenge);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            say(header::ALLOW, if open.era == Era::Modern { "POST" } else { "POST, GET, DELETE" });
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            say(header::RETRY_AFTER, "1");
        }
        response
    }

    fn stream(&self, open: &Open, source: Source) -> Response<Body> {
        let primes = open.era == (Era::Legacy { primes: true });
        let ids = open.found.get().map(|session| Arc::clone(session.event_ids()));
        let feed = Feed::new(source, ids, primes, self.site.pace.keep_alive, self.closing.clone());
        let mut response = Response::new(feed.into_body());
        let headers = response.headers_mut();
        guard(headers, "text/event-stream");
        // a buffering proxy would keep progress to itself until the call is over
        headers.insert(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }
}

/// One content type, JSON, and nothing that would need unpacking.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = facts::all(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let only =
        |name, coding: &str| facts::all(headers, &name).is_none_or(|all| all.eq_ignore_ascii_case(coding));
    // chunks are put together for us, and whatever else the body was put into on its way would be ours to undo
    let plain = only(header::CONTENT_ENCODING, "identity") && only(header::TRANSFER_ENCODING, "chunked");
    essence.eq_ignore_ascii_case("application/json") && !content_type.contains(',') && plain
}

/// The path itself broke: a defect of ours, which the Host is told nothing about.
pub(super) fn broke() -> Reply {
    tracing::error!("the path broke off without a reply");
    let message = wire::rpc::error(None, wire::rpc::INTERNAL_ERROR, "internal error", None);
    Reply::with(StatusCode::INTERNAL_SERVER_ERROR, ReplyBody::Message(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_era_is_read_from_a_date_and_from_nothing_else() {
        for (revision, era) in [
            (None, Era::Legacy { primes: false }),
            (Some("2025-06-18"), Era::Legacy { primes: false }),
            (Some("2025-11-25"), Era::Legacy { primes: true }),
            (Some("2026-07-28"), Era::Modern),
            (Some("2027-01-01"), Era::Modern),
            (Some("9"), Era::Legacy { primes: false }),
            (Some("2026-07-28, 2026-07-28"), Era::Legacy { primes: false }),
            (Some("latest"), Era::Legacy { primes: false }),
        ] {
            assert_eq!(Era::of(revision), era, "{revision:?}");
        }
    }

    #[test]
    fn accept_is_read_leniently_but_a_plain_no_is_a_no() {
        for (values, json, events) in [
            (&["application/json, text/event-stream"][..], true, true),
            (&["application/json", "text/event-stream"], true, true),
            (&["*/*"], true, true),
            (&["Application/JSON; q=0.5"], true, false),
            (&["text/event-stream"], false, true),
            (&["text/html"], false, false),
            (&["application/json, text/event-stream;q=0"], true, false),
            (&[], true, true),
        ] {
            assert_eq!(Takes::of(&headers("accept", values)), Takes { json, events }, "{values:?}");
        }
    }

    #[test]
    fn a_body_is_json_only_when_one_header_says_so_plainly() {
        for (values, fits) in [
            (&["application/json"][..], true),
            (&["application/json; charset=utf-8"], true),
            (&["text/plain"], false),
            (&["application/json-patch+json"], false),
            (&["application/json", "text/plain"], false),
            (&["text/plain, application/json"], false),
            (&[], false),
        ] {
            assert_eq!(is_json(&headers("content-type", values)), fits, "{values:?}");
        }
        let mut packed = headers("content-type", &["application/json"]);
        packed.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(!is_json(&packed));
        for (coding, fits) in
            [("chunked", true), ("Chunked", true), ("gzip, chunked", false), ("gzip", false)]
        {
            let mut sent = headers("content-type", &["application/json"]);
            sent.insert("transfer-encoding", HeaderValue::from_static(coding));
            assert_eq!(is_json(&sent), fits, "{coding}");
        }
    }
}
