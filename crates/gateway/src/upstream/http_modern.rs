//! A modern server over HTTP: every request stands alone, and closing its stream cancels it.

use super::connection::{Opening, Outgoing, Room, until};
use super::fault::{Fault, FaultKind};
use super::http::{self, Body, Endpoint, PROTOCOL_VERSION, Standing};
use super::injected::{Injected, Received};
use super::stream::{Events, Waiter};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::Revision;

/// An address that speaks the modern era. Nothing is open between requests.
#[derive(Debug)]
pub(super) struct Modern {
    endpoint: Endpoint,
    revision: Revision,
    calls: AtomicUsize,
    /// Nothing is sent any more, and what is open ends.
    stop: CancellationToken,
}

impl Modern {
    pub(super) fn new(endpoint: Endpoint, opening: &Opening) -> Self {
        let (calls, stop) = (AtomicUsize::new(0), CancellationToken::new());
        Self { endpoint, revision: opening.revision, calls, stop }
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.stop.is_cancelled()
    }
    fn open(&self) -> Result<(), Fault> {
        match self.is_alive() {
            true => Ok(()),
            false => Err(Fault::unsent(FaultKind::Lost, "the connection was closed")),
        }
    }
    /// Calls that wait for an answer. A subscription waits for none.
    pub(super) fn in_flight(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }
    /// Ends its streams, by which the server knows.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        if outgoing.cancel.is_cancelled() {
            return Err(Fault::unsent(FaultKind::Cancelled, "the caller gave up"));
        }
        self.open()?;
        let _counted = outgoing.timeout.map(|_| Counted::one(&self.calls));
        let deadline = outgoing.timeout.map(|timeout| Instant::now() + timeout);
        let cancel = outgoing.cancel.clone();
        tokio::select! {
            biased;
            // whatever ends this wait drops the stream, which tells the server
            () = cancel.cancelled() => Err(Fault::sent(FaultKind::Cancelled, "the caller gave up")),
            () = self.stop.cancelled() => Err(Fault::sent(FaultKind::Lost, "the connection was closed")),
            answer = self.exchange(outgoing) => answer,
            () = until(deadline) => Err(Fault::sent(FaultKind::Timeout, "no answer in time")),
        }
    }

    async fn exchange(&self, mut outgoing: Outgoing) -> Result<Received, Fault> {
        let limits = self.endpoint.bounds.scan();
        let headers = self.headers(std::mem::take(&mut outgoing.headers));
        // the caller's own time runs outside of this
        let head = outgoing.timeout.map_or(self.endpoint.bounds.open, |_| http::IDLE_MAX);
        let response = self
            .endpoint
            .post(std::mem::take(&mut outgoing.frame), headers, &outgoing.injected, head)
            .await?;
        if response.status() != StatusCode::OK {
            let standing = Standing::Modern;
            let unlike = http::unsuccessful(response, outgoing.id, &limits, standing, &outgoing.injected);
            return Box::pin(unlike).await;
        }
        match http::body(response)? {
            Body::Json(body) => {
                let whole = http::whole(body, limits.bytes).await?;
                http::for_us(http::scan(whole, &limits, &outgoing.injected)?, outgoing.id)
            }
            Body::Events(body) => {
                Box::pin(streamed(Events::new(body, limits.bytes), &outgoing, limits)).await
            }
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, frame: Bytes, injected: &Injected) -> Result<(), Fault> {
        self.open()?;
        let headers = self.headers(Vec::new());
        let response = self.endpoint.post(frame, headers, injected, self.endpoint.bounds.open).await?;
        http::accepted(response, &self.endpoint.bounds.scan(), Standing::Modern, injected).await
    }

    fn headers(&self, routing: Vec<(::http::HeaderName, HeaderValue)>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(self.revision.as_str()));
        http::routing(&mut headers, routing);
        headers
    }
}

/// One call in flight, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::AcqRel);
        Self(calls)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The answer, out of an event stream.
async fn streamed(events: Events, outgoing: &Outgoing, limits: wire::Limits) -> Result<Received, Fault> {
    let mut waiter = Waiter {
        id: outgoing.id,
        limits,
        injected: &outgoing.injected,
        sink: &outgoing.sink,
        endless: outgoing.timeout.is_none(),
        questions: false,
        batches: false,
        messages: 0,
        room: Room::new(),
    };
    waiter.only_answer(events).await
}
