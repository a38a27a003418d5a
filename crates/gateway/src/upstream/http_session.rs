//! One legacy session over HTTP: its handshake, its requests, and streams that can be resumed.

use super::connection::{FromServer, INITIALIZE_ID, Outgoing, Room};
use super::fault::{Fault, FaultKind};
use super::handshake;
use super::http::{self, Body, Endpoint, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID, Standing};
use super::injected::{Injected, Received};
use super::listen;
use super::stream::{Events, Position, Waiter};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use egress::BodyStream;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::Revision;

/// Longest session id that is accepted.
const SESSION_ID_MAX: usize = 1_024;
/// When a stream that ended is asked for again, unless the server says (2025-11-25 `basic/transports`).
const RETRY: Duration = Duration::from_secs(1);
/// The shortest and longest such wait a server can ask for.
const RETRY_BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Attempts in a row to resume a stream without reading an event from it.
const RESUME_MAX: u32 = 8;

/// How a session begins, the first time and after the server has forgotten it.
#[derive(Debug)]
pub(super) struct Hello {
    /// The whole `initialize` request.
    pub(super) frame: Bytes,
    pub(super) revision: Revision,
    pub(super) sink: mpsc::Sender<FromServer>,
    /// Several Hosts of one principal share it.
    pub(super) hidden: bool,
}

/// An open session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    pub(super) revision: Revision,
    id: Option<HeaderValue>,
    /// Credentials for what no request asks for: the unsolicited stream, the end of the session. Those
    /// of the last request, as they are the freshest.
    injected: Mutex<Arc<Injected>>,
    /// Requests in flight, where messages about them go, and which are calls.
    waiting: Mutex<BTreeMap<u64, (mpsc::Sender<FromServer>, bool)>>,
    gone: AtomicBool,
    pub(super) stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// A request in flight, until it is dropped.
struct InFlight<'a> {
    session: &'a Session,
    id: u64,
    injected: &'a Injected,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.session.waiting.lock().remove(&self.id);
        self.injected.rest();
    }
}

/// The wait before a stream is asked for again: the server's, within bounds.
pub(super) fn retry(position: &Position) -> Duration {
    position.retry.unwrap_or(RETRY).clamp(RETRY_BOUNDS.0, RETRY_BOUNDS.1)
}

impl Session {
    /// Shakes hands and starts to listen. The frame is the answer to `initialize`.
    pub(super) async fn open(
        endpoint: Endpoint,
        hello: &Hello,
        injected: Arc<Injected>,
    ) -> Result<(Arc<Self>, Received), Fault> {
        let shake = initialize(&endpoint, hello, &injected);
        let (frame, id) = tokio::time::timeout(endpoint.bounds.open, shake)
            .await
            .unwrap_or_else(|_| Err(Fault::sent(FaultKind::Timeout, "no answer to `initialize` in time")))?;
        let stop = CancellationToken::new();
        let session = Arc::new(Self {
            revision: handshake::chosen(&frame.frame)?,
            endpoint,
            id,
            injected: Mutex::new(Arc::clone(&injected)),
            waiting: Mutex::default(),
            gone: AtomicBool::new(false),
            stop: stop.clone(),
            _stop_when_dropped: stop.drop_guard(),
        });
        if let Err(fault) = session.send(handshake::initialized(), &injected).await {
            session.give_up().await;
            return Err(fault);
        }
        // between calls a secret is in locked memory alone
        injected.rest();
        listen::start(&session, hello.sink.clone(), hello.hidden);
        Ok((session, frame))
    }

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
    fn standing(&self) -> Standing {
        if self.id.is_some() { Standing::Session } else { Standing::Stateless }
    }
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.lock().len()
    }
    /// Where messages about that request go, if it is in flight.
    pub(super) fn waiting(&self, id: u64) -> Option<mpsc::Sender<FromServer>> {
        self.waiting.lock().get(&id).map(|(sink, _)| sink.clone())
    }
    /// Where messages about the only call in flight go.
    pub(super) fn only_waiting(&self) -> Option<mpsc::Sender<FromServer>> {
        let waiting = self.waiting.lock();
        let mut sinks = waiting.values().filter(|(_, is_call)| *is_call).map(|(sink, _)| sink);
        match (sinks.next(), sinks.next()) {
            (Some(only), None) => Some(only.clone()),
            (_, _) => None,
        }
    }
    fn note(&self, fault: Fault) -> Fault {
        if fault.kind == FaultKind::SessionGone {
            self.gone.store(true, Ordering::Release);
        }
        fault
    }

    /// Sends a request and waits for its answer, over as many streams as the server needs.
    pub(super) async fn request(&self, outgoing: &Outgoing) -> Result<Received, Fault> {
        *self.injected.lock() = Arc::clone(&outgoing.injected);
        self.waiting.lock().insert(outgoing.id, (outgoing.sink.clone(), !outgoing.beside_calls));
        let _in_flight = InFlight { session: self, id: outgoing.id, injected: &outgoing.injected };
        self.exchange(outgoing).await.map_err(|fault| self.note(fault))
    }

    async fn exchange(&self, outgoing: &Outgoing) -> Result<Received, Fault> {
        let limits = self.endpoint.bounds.scan();
        // the caller's own time runs outside of this
        let head = outgoing.timeout.map_or(self.endpoint.bounds.open, |_| http::IDLE_MAX);
        let post = self.endpoint.post(outgoing.frame.clone(), self.headers(None), &outgoing.injected, head);
        let response = post.await?;
        if response.status() != StatusCode::OK {
            let standing = self.standing();
            return http::unsuccessful(response, outgoing.id, &limits, standing, &outgoing.injected).await;
        }
        let mut waiter = Waiter {
            id: outgoing.id,
            limits,
            injected: &outgoing.injected,
            sink: &outgoing.sink,
            endless: outgoing.timeout.is_none(),
            questions: true,
            batches: self.revision.has_batches(),
            messages: 0,
            room: Room::new(),
        };
        match http::body(response)? {
            Body::Json(body) => {
                let whole = http::whole(body, limits.bytes).await?;
                if waiter.batches && wire::batch::is_batch(&whole) {
                    let none = || Fault::sent(FaultKind::Nonsense, "the batch holds no answer");
                    return waiter.take(&whole).await?.ok_or_else(none);
                }
                http::for_us(http::scan(whole, &limits, &outgoing.injected)?, outgoing.id)
            }
            Body::Events(body) => self.follow(waiter, body, &outgoing.injected).await,
        }
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
                Ok(Some(received)) => {
                    events.done();
                    return Ok(received);
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
        let sent = |fault: Fault| fault.with_sent(true);
        let response = self.endpoint.get(self.headers(Some(last)), injected).await.map_err(sent)?;
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
        let post = self.endpoint.post(frame, self.headers(None), injected, self.endpoint.bounds.open);
        let limits = self.endpoint.bounds.scan();
        let sent = http::accepted(post.await?, &limits, self.standing(), injected).await;
        sent.map_err(|fault| self.note(fault))
    }

    /// Gives the session up. A server that does not care for that (405) is fine.
    pub(super) async fn give_up(&self) {
        self.stop.cancel();
        if self.id.is_some() && !self.is_gone() {
            let injected = self.injected();
            let told = self.endpoint.delete(self.headers(None), &injected);
            tokio::time::timeout(self.endpoint.bounds.open, told).await.ok();
        }
    }
}

async fn initialize(
    endpoint: &Endpoint,
    hello: &Hello,
    injected: &Injected,
) -> Result<(Received, Option<HeaderValue>), Fault> {
    let limits = endpoint.bounds.scan();
    let mut headers = HeaderMap::new();
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(hello.revision.as_str()));
    let response = endpoint.post(hello.frame.clone(), headers, injected, endpoint.bounds.open).await?;
    if response.status() != StatusCode::OK {
        let standing = Standing::Opening;
        let received = http::unsuccessful(response, INITIALIZE_ID, &limits, standing, injected).await?;
        return Ok((received, None));
    }
    let id = session_id(response.headers())?;
    let frame = match http::body(response)? {
        Body::Json(body) => {
            let whole = http::whole(body, limits.bytes).await?;
            http::for_us(http::scan(whole, &limits, injected)?, INITIALIZE_ID)?
        }
        Body::Events(body) => {
            let events = Events::new(body, limits.bytes);
            let mut waiter = Waiter {
                id: INITIALIZE_ID,
                limits,
                injected,
                sink: &hello.sink,
                endless: false,
                questions: true,
                batches: false,
                messages: 0,
                room: Room::new(),
            };
            waiter.only_answer(events).await?
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
