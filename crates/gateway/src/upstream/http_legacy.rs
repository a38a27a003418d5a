//! A legacy server over HTTP. The session stays between it and us; where the server forgets it, another
//! is opened in its place.

use super::connection::{CANCEL_GRACE, Opening, Outgoing, until};
use super::fault::{Fault, FaultKind};
use super::handshake;
use super::http::Endpoint;
use super::http_session::{Hello, Session};
use super::injected::{Injected, Received};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::Revision;

/// A connection: one session at a time.
#[derive(Debug)]
pub(super) struct Legacy {
    session: Mutex<Arc<Session>>,
    hello: Hello,
    /// Held while another session is opened, so that it is opened once.
    renewing: tokio::sync::Mutex<()>,
    /// How many sessions there were before this one.
    renewed: AtomicU64,
    stop: CancellationToken,
}

impl Legacy {
    /// Shakes hands and starts to listen. The frame is the answer to `initialize`.
    pub(super) async fn open(
        endpoint: Endpoint,
        opening: Opening,
    ) -> Result<(Self, Revision, Received), Fault> {
        let frame = handshake::initialize(opening.hello)?;
        let hello = Hello { frame, revision: opening.revision, sink: opening.sink, hidden: opening.hidden };
        let (session, frame) = Session::open(endpoint, &hello, opening.injected).await?;
        let revision = session.revision;
        let renewing = tokio::sync::Mutex::default();
        let (session, renewed, stop) = (Mutex::new(session), AtomicU64::new(0), CancellationToken::new());
        let legacy = Self { session, hello, renewing, renewed, stop };
        Ok((legacy, revision, frame))
    }

    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.lock())
    }

    /// Sends a request and waits for its answer. One that the server refused because it has forgotten
    /// the session is sent again in a new one, once.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        if outgoing.cancel.is_cancelled() {
            return Err(Fault::unsent(FaultKind::Cancelled, "the caller gave up"));
        }
        let deadline = outgoing.timeout.map(|timeout| Instant::now() + timeout);
        let exchange = async {
            let session = self.session();
            match session.request(&outgoing).await {
                Err(fault) if fault.kind == FaultKind::SessionGone => {
                    self.renew(&session, fault).await?.request(&outgoing).await
                }
                answer => answer,
            }
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            () = outgoing.cancel.cancelled() => {
                self.tell_cancelled(outgoing.id, "the caller gave up");
                // it may be done already: then its answer is the truth
                tokio::time::timeout(CANCEL_GRACE, &mut exchange)
                    .await
                    .unwrap_or_else(|_| Err(Fault::sent(FaultKind::Cancelled, "the caller gave up")))
            }
            () = until(deadline) => {
                self.tell_cancelled(outgoing.id, "no answer in time");
                Err(Fault::sent(FaultKind::Timeout, "no answer in time"))
            }
            () = self.stop.cancelled() => Err(Fault::sent(FaultKind::Lost, "the connection was closed")),
        }
    }

    /// Another session in place of `old`, which the server has forgotten. What it had set there, a log
    /// level or subscriptions, is gone with it.
    ///
    /// Errors: `forgotten`, if the new one is refused or speaks another revision.
    async fn renew(&self, old: &Arc<Session>, forgotten: Fault) -> Result<Arc<Session>, Fault> {
        let _once = self.renewing.lock().await;
        let current = self.session();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let opened = Session::open(old.endpoint.clone(), &self.hello, old.injected()).await;
        let (session, _) = opened.map_err(|fault| {
            let detail = format!("{}, and opens no other: {fault}", forgotten.detail);
            Fault { detail, ..forgotten.clone() }
        })?;
        if session.revision != old.revision || self.stop.is_cancelled() {
            session.give_up().await;
            return Err(forgotten);
        }
        old.stop.cancel();
        *self.session.lock() = Arc::clone(&session);
        self.renewed.fetch_add(1, Ordering::AcqRel);
        Ok(session)
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, frame: Bytes, injected: &Injected) -> Result<(), Fault> {
        self.session().send(frame, injected).await
    }

    /// Tells the server without waiting for it; bounded by the time to open.
    fn tell_cancelled(&self, id: u64, reason: &str) {
        let session = self.session();
        let frame = handshake::cancelled(id, reason);
        tokio::spawn(async move {
            let injected = session.injected();
            let told = session.send(frame, &injected);
            tokio::time::timeout(session.endpoint.bounds.open, told).await.ok();
        });
    }

    pub(super) fn sessions(&self) -> u64 {
        self.renewed.load(Ordering::Acquire)
    }
    pub(super) fn is_alive(&self) -> bool {
        !self.session().is_gone() && !self.stop.is_cancelled()
    }
    /// Requests that wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.session().in_flight()
    }

    /// Ends the session.
    pub(super) async fn close(&self) {
        if !self.stop.is_cancelled() {
            self.stop.cancel();
            self.session().give_up().await;
        }
    }
}
