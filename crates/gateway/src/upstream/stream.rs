//! An event stream from a server, read one message at a time.

use super::connection::{FromServer, MESSAGES_MAX, Room};
use super::fault::{Fault, FaultKind};
use super::http;
use super::injected::{Injected, Received};
use ::http::HeaderValue;
use bytes::Bytes;
use egress::BodyStream;
use futures::FutureExt;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::Kind;
use wire::sse::{Decoder, Event, SseError};

/// For a stream to end by itself after the answer, so that its connection can be used again.
const AFTER_ANSWER_MAX: Duration = Duration::from_millis(250);
/// Longest event id that is remembered.
const EVENT_ID_MAX: usize = 1_024;

/// Where a stream stands, over all its reconnections.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Fit to be sent back.
    pub(super) last_event_id: Option<HeaderValue>,
    pub(super) retry: Option<Duration>,
    /// Events read so far.
    pub(super) events: u64,
}

impl Position {
    fn note(&mut self, event: &Event) {
        self.events += 1;
        if let Some(id) = &event.id {
            // an empty id resets (WHATWG); one that no header can carry cannot be sent back
            let kept = Some(id).filter(|id| !id.is_empty() && id.len() <= EVENT_ID_MAX);
            self.last_event_id = kept.and_then(|id| HeaderValue::from_str(id).ok());
        }
        if let Some(retry) = event.retry_ms {
            self.retry = Some(Duration::from_millis(retry));
        }
    }
}

/// One connection's worth of a stream.
pub(super) struct Events {
    body: BodyStream,
    decoder: Decoder,
}

impl Events {
    /// `limit` is for one event.
    pub(super) fn new(body: BodyStream, limit: usize) -> Self {
        // a message within the limit may come in `data:` lines with an id beside it
        Self { body, decoder: Decoder::new(limit.saturating_add(4 << 10)) }
    }

    /// The next event; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self, position: &mut Position) -> Result<Option<Event>, Fault> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    position.note(&event);
                    return Ok(Some(event));
                }
                Ok(None) => {}
                Err(error @ SseError::TooLarge { .. }) => {
                    return Err(Fault::sent(FaultKind::TooLarge, error.to_string()));
                }
                Err(error @ SseError::NotUtf8) => {
                    return Err(Fault::sent(FaultKind::Nonsense, error.to_string()));
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(http::broken(&error)),
                Some(Ok(part)) => {
                    if let Ok(data) = part.into_data() {
                        self.decoder.push(&data);
                    }
                }
            }
        }
    }

    /// Lets go of a stream whose answer has come: at once if it has ended too, else soon.
    pub(super) fn done(mut self) {
        match self.body.frame().now_or_never() {
            Some(None | Some(Err(_))) => {}
            Some(Some(Ok(_))) | None => {
                let rest = async move { while let Some(Ok(_)) = self.body.frame().await {} };
                tokio::spawn(tokio::time::timeout(AFTER_ANSWER_MAX, rest));
            }
        }
    }
}

/// Who waits for an answer on a stream.
pub(super) struct Waiter<'a> {
    pub(super) id: u64,
    pub(super) limits: wire::Limits,
    /// What the server was asked with, and must not say.
    pub(super) injected: &'a Injected,
    pub(super) sink: &'a mpsc::Sender<FromServer>,
    /// A subscription: its messages are not counted against it, and somebody must take them.
    pub(super) endless: bool,
    /// A server of the legacy era may ask the Host something.
    pub(super) questions: bool,
    /// The revision has batches.
    pub(super) batches: bool,
    pub(super) messages: u32,
    pub(super) room: Room,
}

impl Waiter<'_> {
    /// Reads until the answer; `None` if the stream ends before it.
    pub(super) async fn answer(
        &mut self,
        events: &mut Events,
        position: &mut Position,
    ) -> Result<Option<Received>, Fault> {
        while let Some(event) = events.next(position).await? {
            let Some(data) = event.message() else { continue };
            if let Some(received) = self.take(data).await? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// Reads a stream that is not resumed until its answer, and lets go of it. Errors: it ended before.
    pub(super) async fn only_answer(&mut self, mut events: Events) -> Result<Received, Fault> {
        let answer = self.answer(&mut events, &mut Position::default()).await?;
        let answer =
            answer.ok_or_else(|| Fault::sent(FaultKind::Lost, "the stream ended before the answer"))?;
        events.done();
        Ok(answer)
    }

    /// What the server said at once. The answer, if it is in it.
    pub(super) async fn take(&mut self, said: &Bytes) -> Result<Option<Received>, Fault> {
        let messages = wire::batch::messages(said, self.batches)
            .map_err(|error| Fault::sent(FaultKind::Nonsense, error.to_string()))?;
        let mut answer = None;
        for message in messages {
            let received = http::scan(message, &self.limits, self.injected)?;
            match received.frame.kind() {
                Kind::Response | Kind::ErrorResponse if answer.is_some() => {
                    return Err(Fault::sent(FaultKind::Nonsense, "the batch holds two answers"));
                }
                Kind::Response | Kind::ErrorResponse => answer = Some(http::for_us(received, self.id)?),
                Kind::Request | Kind::Notification => self.pass_on(received).await?,
            }
        }
        Ok(answer)
    }

    async fn pass_on(&mut self, received: Received) -> Result<(), Fault> {
        if received.frame.kind() == Kind::Request && !self.questions {
            return Err(Fault::sent(FaultKind::Nonsense, "a modern server does not send requests"));
        }
        self.messages = self.messages.saturating_add(1);
        if self.messages > MESSAGES_MAX && !self.endless {
            let detail = format!("more than {MESSAGES_MAX} messages before the answer");
            return Err(Fault::sent(FaultKind::Nonsense, detail));
        }
        // a full channel holds the server back; the request's time still runs
        if !self.room.pass(received, self.sink).await {
            if self.endless {
                return Err(Fault::sent(FaultKind::Cancelled, "nobody listens to the subscription any more"));
            }
            tracing::debug!(id = self.id, "a message about a request is taken by nobody");
        }
        Ok(())
    }
}
