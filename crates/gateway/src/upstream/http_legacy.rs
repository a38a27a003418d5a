//! A legacy server over HTTP: a handshake, a session that stays between it and us, streams that can be resumed.

use super::connection::{CANCEL_GRACE, FromServer, INITIALIZE_ID, Opening, Outgoing, Received, until};
use super::fault::{Fault, FaultKind};
use super::handshake;
use super::http::{self, Body, Endpoint, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID};
use super::injected::Injected;
use super::listen;
use super::stream::{Events, Position, Waiter};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use egress::BodyStream;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Frame, Revision};

/// Longest session id that is accepted.
const SESSION_ID_MAX: usize = 1_024;
/// When a stream that ended is asked for again, unless the server says (2025-11-25 `basic/transports`).
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// The shortest and longest such wait a server can ask for.
const RETRY_BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Attempts in a row to resume a stream without reading an event from it.
const RESUME_MAX: u32 = 8;

/// An open session.
#[derive(Debug)]
pub(super) struct Legacy {
    session: Arc<Session>,
    _stop_when_dropped: DropGuard,
}

/// What every exchange in a session needs.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    revision: Revision,
    id: Option<HeaderValue>,
    /// Credentials for what no request asks for: the unsolicited stream, the end of the session. Those
    /// of the last request, as they are the freshest.
    injected: Mutex<Arc<Injected>>,
    gone: AtomicBool,
    pub(super) stop: CancellationToken,
}

impl Session {
    pub(super) fn headers(&self, last_event_id: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(self.revision.as_str()));
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
        }
        if let Some(id) = last_event_id {
            headers.insert(LAST_EVENT_ID, id.clone());
        }
        headers
    }
    pub(super) fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected.lock())
    }
    pub(super) fn in_session(&self) -> bool {
        self.id.is_some()
    }
    /// The server has forgotten the session.
    pub(super) fn mark_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
    fn note(&self, fault: Fault) -> Fault {
        if fault.kind == FaultKind::SessionGone {
            self.mark_gone();
        }
        fault
    }
}

/// The wait before a stream is asked for again: the server's, within bounds.
pub(super) fn retry(position: &Position) -> Duration {
    position.retry.unwrap_or(RETRY).clamp(RETRY_BOUNDS.0, RETRY_BOUNDS.1)
}

impl Legacy {
    /// Shakes hands and starts to listen. The frame is the answer to `initialize`.
    pub(super) async fn open(endpoint: Endpoint, opening: Opening) -> Result<(Self, Revision, Frame), Fault> {
        let hello = handshake::initialize(opening.hello)?;
        let timeout = endpoint.bounds.open;
        let shake = initialize(&endpoint, hello, opening.revision, &opening.injected, &opening.sink);
        let (frame, id) = tokio::time::timeout(timeout, shake)
            .await
            .unwrap_or_else(|_| Err(Fault::sent(FaultKind::Timeout, "no answer to `initialize` in time")))?;
        let revision = handshake::chosen(&frame)?;
        let stop = CancellationToken::new();
        let session = Arc::new(Session {
            endpoint,
            revision,
            id,
            injected: Mutex::new(opening.injected),
            gone: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let legacy = Self { session, _stop_when_dropped: stop.drop_guard() };
        if let Err(fault) = legacy.send(handshake::initialized(), &legacy.session.injected()).await {
            legacy.close().await;
            return Err(fault);
        }
        tokio::spawn(listen::unsolicited(Arc::clone(&legacy.session), opening.sink));
        Ok((legacy, revision, frame))
    }

    /// Sends a request and waits for its answer, over as many streams as the server needs.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        *self.session.injected.lock() = Arc::clone(&outgoing.injected);
        let (id, cancel) = (outgoing.id, outgoing.cancel.clone());
        if outgoing.cancel.is_cancelled() {
            return Err(Fault::unsent(FaultKind::Cancelled, "the caller gave up"));
        }
        let deadline = outgoing.timeout.map(|timeout| Instant::now() + timeout);
        let exchange = self.exchange(outgoing);
        tokio::pin!(exchange);
        let answer = tokio::select! {
            biased;
            answer = &mut exchange => answer,
            () = cancel.cancelled() => {
                self.tell_cancelled(id, "the caller gave up");
                // it may be done already: then its answer is the truth
                tokio::time::timeout(CANCEL_GRACE, &mut exchange)
                    .await
                    .unwrap_or_else(|_| Err(Fault::sent(FaultKind::Cancelled, "the caller gave up")))
            }
            () = until(deadline) => {
                self.tell_cancelled(id, "no answer in time");
                Err(Fault::sent(FaultKind::Timeout, "no answer in time"))
            }
            () = self.session.stop.cancelled() => Err(Fault::sent(FaultKind::Lost, "the connection was closed")),
        };
        answer.map_err(|fault| self.session.note(fault))
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        let session = &self.session;
        let limits = session.endpoint.bounds.scan();
        // the caller's own time runs outside of this
        let head = outgoing.timeout.map_or(session.endpoint.bounds.open, |_| http::IDLE_MAX);
        let post = session.endpoint.post(outgoing.frame, session.headers(None), &outgoing.injected, head);
        let response = post.await?;
        if response.status() != StatusCode::OK {
            let frame = http::unsuccessful(response, outgoing.id, &limits, session.in_session()).await?;
            return Ok(Received { frame, dropped: 0 });
        }
        let body = match http::body(response)? {
            Body::Json(body) => {
                let frame = http::scan(http::whole(body, limits.bytes).await?, &limits)?;
                return Ok(Received { frame: http::for_us(frame, outgoing.id)?, dropped: 0 });
            }
            Body::Events(body) => body,
        };
        let endless = outgoing.timeout.is_none();
        let waiter =
            Waiter { id: outgoing.id, limits, sink: &outgoing.sink, endless, messages: 0, dropped: 0 };
        self.follow(waiter, body, &outgoing.injected).await
    }

    /// Reads streams until the answer. A server may end one at will and have it asked for again (SEP-1699).
    async fn follow(
        &self,
        mut waiter: Waiter<'_>,
        body: BodyStream,
        injected: &Injected,
    ) -> Result<Received, Fault> {
        let limit = waiter.limits.bytes;
        let mut events = Events::new(body, limit);
        let mut position = Position::default();
        let mut fruitless = 0;
        loop {
            let before = position.events;
            let ended = match waiter.answer(&mut events, &mut position).await {
                Ok(Some(frame)) => {
                    events.done();
                    return Ok(Received { frame, dropped: waiter.dropped });
                }
                Ok(None) => Fault::sent(FaultKind::Lost, "the stream ended before the answer"),
                Err(fault) if fault.kind == FaultKind::Lost => fault,
                Err(fault) => return Err(fault),
            };
            fruitless = if position.events > before { 0 } else { fruitless + 1 };
            events = loop {
                let (Some(last), true) = (&position.last_event_id, fruitless < RESUME_MAX) else {
                    return Err(ended);
                };
                tokio::time::sleep(retry(&position) * 2u32.pow(fruitless.min(5))).await;
                match self.resume(last, injected).await {
                    Ok(body) => break Events::new(body, limit),
                    Err(fault) if matches!(fault.kind, FaultKind::Lost | FaultKind::Unreachable) => {
                        fruitless += 1
                    }
                    Err(fault) => return Err(fault),
                }
            };
        }
    }

    async fn resume(&self, last: &HeaderValue, injected: &Injected) -> Result<BodyStream, Fault> {
        let session = &self.session;
        let sent = |fault: Fault| fault.with_sent(true);
        let response = session.endpoint.get(session.headers(Some(last)), injected).await.map_err(sent)?;
        let status = response.status();
        if status == StatusCode::OK
            && let Body::Events(body) = http::body(response)?
        {
            return Ok(body);
        }
        // the request itself was taken, so this is no reason to send it again
        let kind = if status.is_server_error() { FaultKind::Lost } else { FaultKind::Nonsense };
        Err(Fault::sent(kind, format!("the stream cannot be resumed (HTTP {})", status.as_u16())))
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, frame: Bytes, injected: &Injected) -> Result<(), Fault> {
        let session = &self.session;
        let post =
            session.endpoint.post(frame, session.headers(None), injected, session.endpoint.bounds.open);
        let limits = session.endpoint.bounds.scan();
        let sent = http::accepted(post.await?, &limits, session.in_session()).await;
        sent.map_err(|fault| session.note(fault))
    }

    /// Tells the server without waiting for it; bounded by the time to open.
    fn tell_cancelled(&self, id: u64, reason: &str) {
        let session = Arc::clone(&self.session);
        let frame = handshake::cancelled(id, reason);
        tokio::spawn(async move {
            let injected = session.injected();
            let bounds = session.endpoint.bounds;
            let told = session.endpoint.post(frame, session.headers(None), &injected, bounds.open);
            tokio::time::timeout(bounds.open, told).await.ok();
        });
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.session.gone.load(Ordering::Acquire) && !self.session.stop.is_cancelled()
    }

    /// Gives the session up. A server that does not care for that (405) is fine.
    pub(super) async fn close(&self) {
        let session = &self.session;
        if session.stop.is_cancelled() {
            return;
        }
        session.stop.cancel();
        if session.in_session() && !session.gone.load(Ordering::Acquire) {
            let injected = session.injected();
            let told = session.endpoint.delete(session.headers(None), &injected);
            tokio::time::timeout(session.endpoint.bounds.open, told).await.ok();
        }
    }
}

async fn initialize(
    endpoint: &Endpoint,
    hello: Bytes,
    asked: Revision,
    injected: &Injected,
    sink: &mpsc::Sender<FromServer>,
) -> Result<(Frame, Option<HeaderValue>), Fault> {
    let limits = endpoint.bounds.scan();
    let mut headers = HeaderMap::new();
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(asked.as_str()));
    let response = endpoint.post(hello, headers, injected, endpoint.bounds.open).await?;
    if response.status() != StatusCode::OK {
        let frame = http::unsuccessful(response, INITIALIZE_ID, &limits, false).await?;
        return Ok((frame, None));
    }
    let id = session_id(response.headers())?;
    let frame = match http::body(response)? {
        Body::Json(body) => {
            http::for_us(http::scan(http::whole(body, limits.bytes).await?, &limits)?, INITIALIZE_ID)?
        }
        Body::Events(body) => {
            let mut events = Events::new(body, limits.bytes);
            let mut waiter =
                Waiter { id: INITIALIZE_ID, limits, sink, endless: false, messages: 0, dropped: 0 };
            let answer = waiter.answer(&mut events, &mut Position::default()).await?;
            let frame =
                answer.ok_or_else(|| Fault::sent(FaultKind::Lost, "the stream ended before the answer"))?;
            events.done();
            frame
        }
    };
    Ok((frame, id))
}

/// The session id, which must be visible ASCII (2025-11-25 `basic/transports`).
fn session_id(headers: &HeaderMap) -> Result<Option<HeaderValue>, Fault> {
    let Some(id) = headers.get(SESSION_ID) else { return Ok(None) };
    let visible = id.as_bytes().iter().all(|b| (0x21..=0x7e).contains(b));
    if !visible || id.is_empty() || id.len() > SESSION_ID_MAX {
        return Err(Fault::sent(FaultKind::Nonsense, "the server's session id is not one"));
    }
    let mut id = id.clone();
    id.set_sensitive(true);
    Ok(Some(id))
}
