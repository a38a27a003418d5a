//! The body of an answer, as it comes.

use crate::{EgressError, Origin, Phase, Sent};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Pieces of a body, bounded in time. Dropping it closes the stream.
#[derive(Debug)]
pub struct BodyStream {
    /// `None` after the end and after an error.
    inner: Option<Incoming>,
    origin: Origin,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
    /// Only a wait is timed, so that a fast body costs no timer.
    waiting: bool,
    total: Option<Pin<Box<Sleep>>>,
}

impl BodyStream {
    pub(crate) fn new(inner: Incoming, origin: Origin, idle_max: Duration, until: Option<Instant>) -> Self {
        Self {
            inner: Some(inner),
            origin,
            idle_max,
            idle: Box::pin(tokio::time::sleep(idle_max)),
            waiting: false,
            total: until.map(|until| Box::pin(tokio::time::sleep_until(until))),
        }
    }

    /// The next piece, `None` at the end. May be dropped while waiting without losing a byte.
    ///
    /// Errors: `Reset` or `Timeout`, after which there is no more.
    pub async fn next(&mut self) -> Option<Result<Bytes, EgressError>> {
        loop {
            match self.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn timed_out(&mut self, cx: &mut Context<'_>) -> Option<Phase> {
        if !self.waiting {
            self.waiting = true;
            self.idle.as_mut().reset(Instant::now() + self.idle_max);
        }
        if self.total.as_mut().is_some_and(|total| total.as_mut().poll(cx).is_ready()) {
            return Some(Phase::Total);
        }
        self.idle.as_mut().poll(cx).is_ready().then_some(Phase::Idle)
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        if polled.is_pending() {
            let phase = match this.timed_out(cx) {
                Some(phase) => phase,
                None => return Poll::Pending,
            };
            this.inner = None;
            let error = EgressError::Timeout { origin: this.origin.clone(), phase, sent: Sent::MaybeSent };
            return Poll::Ready(Some(Err(error)));
        }
        this.waiting = false;
        Poll::Ready(match ready!(polled) {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(_)) => {
                this.inner = None;
                Some(Err(EgressError::Reset { origin: this.origin.clone(), sent: Sent::MaybeSent }))
            }
            None => {
                this.inner = None;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

/// The whole body, if it has at most `max` bytes. Errors: `BodyTooLarge`, as soon as it is known;
/// those of [`BodyStream::next`].
pub async fn collect_limited(mut body: BodyStream, max: usize) -> Result<Bytes, EgressError> {
    let too_large = |origin: &Origin| EgressError::BodyTooLarge { origin: origin.clone(), max };
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > max {
        return Err(too_large(&body.origin));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if first.len() + all.len() + piece.len() > max {
            return Err(too_large(&body.origin));
        }
        // most bodies come in one piece, which is not copied
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
