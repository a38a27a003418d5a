//! A response as an event stream (WHATWG HTML, *Server-sent events*).

use super::{Body, exchange::broke};
use crate::{
    exchange::{Interim, Reply, ReplyBody},
    handles::{Event, EventIds},
    listen::streams::{Log, Reader, SESSION_STREAM},
    session::SessionStream,
};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{self, Interval, MissedTickBehavior},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A comment: proxies see life, clients see nothing.
const SIGN_OF_LIFE: &[u8] = b": still here\n\n";

/// Where a stream's events come from.
pub(super) enum Source {
    /// Straight from the call.
    Direct(Box<Direct>),
    /// From the kept events of a call, so that the Host may come back for them.
    Logged(Reader),
    /// A session's unsolicited messages.
    Session(SessionStream),
}

/// What one call says while it runs, then its answer.
pub(super) struct Direct {
    first: Option<Bytes>,
    interim: Interim,
    state: State,
    /// Cancels the call when dropped: the Host hung up in an era where that means cancel.
    hung_up: Option<DropGuard>,
}

enum State {
    Running(JoinHandle<Reply>),
    /// The path returned; this is left to say.
    Returned(Option<Bytes>),
    /// Until the path lets go of the outlet.
    Subscribed,
}

impl Direct {
    pub(super) fn running(
        first: Bytes,
        interim: Interim,
        task: JoinHandle<Reply>,
        hung_up: Option<DropGuard>,
    ) -> Self {
        Self { first: Some(first), interim, state: State::Running(task), hung_up }
    }
    pub(super) fn subscribed(interim: Interim, hung_up: Option<DropGuard>) -> Self {
        Self { first: None, interim, state: State::Subscribed, hung_up }
    }
    pub(super) fn finished(answer: Bytes) -> Self {
        let interim = Interim::empty();
        Self { first: None, interim, state: State::Returned(Some(answer)), hung_up: None }
    }

    /// The next message; `None` when all is said. Cancel-safe.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            match &mut self.state {
                State::Running(task) => tokio::select! {
                    biased;
                    Some(message) = self.interim.recv() => return Some(message),
                    reply = task => self.state = State::after(reply.unwrap_or_else(|_| broke())),
                },
                State::Returned(answer) => {
                    // what was said before the answer goes before it
                    if let Some(message) = self.interim.try_recv() {
                        return Some(message);
                    }
                    let answer = answer.take();
                    self.hang_up_means_nothing();
                    return answer;
                }
                State::Subscribed => {
                    let message = self.interim.recv().await;
                    if message.is_none() {
                        self.hang_up_means_nothing();
                    }
                    return message;
                }
            }
        }
    }

    fn hang_up_means_nothing(&mut self) {
        if let Some(guard) = self.hung_up.take() {
            guard.disarm();
        }
    }

    /// Carries everything into a log, whether or not anybody is there to read it.
    pub(super) async fn carry(mut self, log: Arc<Log>) {
        while let Some(message) = self.next().await {
            log.push(message).await;
        }
        log.finish();
    }
}

impl State {
    fn after(reply: Reply) -> Self {
        match reply.body {
            ReplyBody::Message(answer) => Self::Returned(Some(answer)),
            ReplyBody::Nothing | ReplyBody::Stream(_) => Self::Returned(None),
            ReplyBody::Subscribed => Self::Subscribed,
        }
    }
}

/// A response's body, event by event. Nothing is taken from the source before the peer has room for it.
pub(super) struct Feed {
    source: Source,
    ids: Option<Arc<EventIds>>,
    prelude: Option<Bytes>,
    alive: Interval,
    closing: CancellationToken,
}

impl Feed {
    /// `primes`: begin with an event that has an id and no data, so that a Host whose connection breaks
    /// before the first message knows where to come back to (SEP-1699).
    pub(super) fn new(
        source: Source,
        ids: Option<Arc<EventIds>>,
        primes: bool,
        keep_alive: Duration,
        closing: CancellationToken,
    ) -> Self {
        let position = match &source {
            Source::Direct(_) => None,
            Source::Logged(reader) => Some(Event { stream: reader.stream(), number: reader.position() }),
            Source::Session(own) => Some(Event { stream: SESSION_STREAM, number: own.position() }),
        };
        let prelude = position
            .filter(|_| primes)
            .zip(ids.as_ref())
            .map(|(position, ids)| written(Some(&ids.seal(position)), b""));
        let mut alive = time::interval_at(time::Instant::now() + keep_alive, keep_alive);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { source, ids, prelude, alive, closing }
    }

    pub(super) fn into_body(self) -> Body {
        let chunks = stream::unfold(self, |mut feed| async move {
            let chunk = feed.chunk().await?;
            Some((Ok::<_, Infallible>(Frame::data(chunk)), feed))
        });
        StreamBody::new(chunks).boxed_unsync()
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        if let Some(prelude) = self.prelude.take() {
            return Some(prelude);
        }
        let endless = self.source.is_endless();
        let said = tokio::select! {
            biased;
            said = self.source.next() => said,
            () = self.closing.cancelled(), if endless => None,
            _ = self.alive.tick() => return Some(Bytes::from_static(SIGN_OF_LIFE)),
        };
        self.alive.reset();
        let (event, message) = said?;
        let id = event.zip(self.ids.as_ref()).map(|(event, ids)| ids.seal(event));
        Some(written(id.as_deref(), &message))
    }
}

impl Source {
    async fn next(&mut self) -> Option<(Option<Event>, Bytes)> {
        match self {
            Self::Direct(direct) => direct.next().await.map(|message| (None, message)),
            Self::Logged(reader) => {
                let (number, message) = reader.next().await?;
                Some((Some(Event { stream: reader.stream(), number }), message))
            }
            Self::Session(own) => {
                let (number, message) = own.next().await?;
                Some((Some(Event { stream: SESSION_STREAM, number }), message))
            }
        }
    }

    /// Whether it would go on for ever, so that a drain has to end it.
    fn is_endless(&self) -> bool {
        match self {
            Self::Direct(direct) => matches!(direct.state, State::Subscribed),
            Self::Logged(_) => false,
            Self::Session(_) => true,
        }
    }
}

/// One event. A message may hold line breaks between its tokens, and an event's data ends at one, so each
/// line gets its own `data:`; the peer puts them together with line breaks, which JSON does not mind.
fn written(id: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 64);
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_cannot_be_broken_by_the_line_breaks_in_it() {
        assert_eq!(written(None, b"{}").as_ref(), b"data: {}\n\n");
        assert_eq!(
            written(Some("e"), b"{\n\r\n\"a\":1\r}").as_ref(),
            b"id: e\ndata: {\ndata: \ndata: \ndata: \"a\":1\ndata: }\n\n"
        );
        assert_eq!(written(Some("e"), b"").as_ref(), b"id: e\ndata: \n\n");
    }
}
