//! Newline-delimited JSON-RPC over a pipe: standard input and output, or a `wrap`'s Unix socket.
//!
//! One connection is one session. Requests are governed side by side; one writer writes whole lines.
//! The end of the input ends the session and cancels what is in flight (specification 2026-07-28 and
//! 2025-11-25, *stdio: Shutdown*).

use super::{
    Path,
    batch::{self, Opened},
};
use crate::{
    exchange::{
        Arrival, BodyFault, Entrance, Facts, Found, Inbound, Interim, Outlet, Party, Presented, Reply,
        ReplyBody,
    },
    session::Session,
};
use bytes::{Buf as _, Bytes, BytesMut};
use decision::{AgentName, Transport};
use futures::FutureExt as _;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Lines that wait for the peer to read.
const OUTLET_MESSAGES_MAX: usize = 64;
/// Messages governed at the same time beyond the calls that the path may have in flight. The path
/// refuses calls over its limit, so reading never stops for calls, and the answers and cancellations
/// they wait for always get through. A whole batch finds room in them.
const SPARE_MESSAGES: usize = wire::batch::MEMBERS_MAX;
const READ_BYTES: usize = 16 << 10;

/// What a pipe is told about its one session.
#[derive(Debug, Clone)]
pub struct Talk {
    pub session: Arc<Session>,
    /// Who speaks: fixed by configuration, nothing in the messages changes it.
    pub agent: AgentName,
    pub entrance: Entrance,
    pub message_bytes_max: usize,
    pub calls_in_flight_max: usize,
    /// For calls in flight when asked to stop.
    pub drain_timeout: Duration,
}

/// Talks until the peer ends its input, the session ends, or `closing` is cancelled and what was in
/// flight then is done.
///
/// # Errors
/// What broke the pipe, where it did not just end.
pub async fn converse<P, R, W>(
    path: P,
    reader: R,
    writer: W,
    talk: Talk,
    closing: CancellationToken,
) -> io::Result<()>
where
    P: Path,
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (outlet, queue) = Outlet::new(OUTLET_MESSAGES_MAX);
    let pipe = Pipe {
        path,
        room: Arc::new(Semaphore::new(talk.calls_in_flight_max.saturating_add(SPARE_MESSAGES))),
        calls: TaskTracker::new(),
        outlet,
        talk,
    };
    let writing = tokio::spawn(write(writer, queue));
    let pushing = tokio::spawn(push(Arc::clone(&pipe.talk.session), pipe.outlet.clone()));

    let read = tokio::select! {
        read = pipe.read(reader) => read,
        () = pipe.talk.session.ended.cancelled() => Ok(Over::Ended),
        () = closing.cancelled() => Ok(Over::Closing),
        // nobody reads what we say: nothing can be answered any more
        () = pipe.outlet.closed() => Ok(Over::Ended),
    };
    pipe.calls.close();
    if matches!(read, Ok(Over::Closing)) {
        let _ = time::timeout(pipe.talk.drain_timeout, pipe.calls.wait()).await;
    }
    pipe.talk.session.close();
    let patience = pipe.talk.drain_timeout;
    let calls = pipe.calls.clone();
    drop(pipe);
    // the session's end ends the pushes and the calls, and with the last of their outlets the writer
    let (stop_writing, stop_pushing) = (writing.abort_handle(), pushing.abort_handle());
    let written = time::timeout(patience, async {
        calls.wait().await;
        writing.await
    });
    let written = match written.await {
        Ok(Ok(written)) => written,
        Ok(Err(_)) | Err(_) => Ok(()),
    };
    stop_pushing.abort();
    stop_writing.abort();
    read.and(written)
}

/// Why the reading was over.
enum Over {
    Ended,
    Closing,
}

struct Pipe<P> {
    path: P,
    talk: Talk,
    outlet: Outlet,
    calls: TaskTracker,
    room: Arc<Semaphore>,
}

impl<P: Path> Pipe<P> {
    async fn read<R: AsyncRead + Unpin>(&self, mut reader: R) -> io::Result<Over> {
        let mut lines = Lines::new(self.talk.message_bytes_max);
        loop {
            while let Some(inbound) = lines.next() {
                self.take(inbound).await;
            }
            if reader.read_buf(&mut lines.read).await? == 0 {
                if let Some(inbound) = lines.rest() {
                    self.take(inbound).await;
                }
                return Ok(Over::Ended);
            }
        }
    }

    /// Hands one message, or the members of a batch, to the path. Its first steps are taken here and in order, so that of two
    /// messages sent one after the other the first is begun first.
    async fn take(&self, inbound: Result<Inbound, BodyFault>) {
        let batches = self.talk.session.hello().is_some_and(|hello| hello.revision.has_batches());
        let opened = batch::open(inbound, batches);
        let places = match &opened {
            Opened::One(_) => 1,
            Opened::Several(members) => u32::try_from(members.len()).unwrap_or(u32::MAX),
        };
        let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(places).await else { return };
        let arrival = Arrival {
            inbound: Err(BodyFault::Incomplete),
            party: Party::Host,
            transport: Transport::Stdio,
            entrance: self.talk.entrance.clone(),
            presented: Presented::Configured(self.talk.agent.clone()),
            facts: Facts { loopback_peer: true, ..Facts::default() },
            session: Some(Arc::clone(&self.talk.session)),
            outlet: self.outlet.clone(),
            cancel: self.talk.session.ended.child_token(),
            round: None,
            credential: None,
            found: Found::default(),
            walking: std::sync::OnceLock::new(),
        };
        let path = self.path.clone();
        let mut call = Box::pin(async move {
            match opened {
                Opened::One(inbound) => path.govern(Arrival { inbound, ..arrival }).await,
                Opened::Several(members) => Box::pin(batch::govern(&path, &arrival, members)).await,
            }
        });
        match call.as_mut().now_or_never() {
            Some(reply) => answer(reply, &self.outlet, permit).await,
            None => {
                let outlet = self.outlet.clone();
                self.calls.spawn(async move { answer(call.await, &outlet, permit).await });
            }
        }
    }
}

/// Says the reply. A subscription says what it has to say through the outlet.
async fn answer(reply: Reply, outlet: &Outlet, _permit: OwnedSemaphorePermit) {
    match reply.body {
        // a peer that went away is nobody to tell
        ReplyBody::Message(message) => drop(outlet.send(message).await),
        ReplyBody::Nothing | ReplyBody::Stream(_) | ReplyBody::Subscribed => {}
    }
}

/// Says what belongs to no request.
async fn push(session: Arc<Session>, outlet: Outlet) {
    let mut stream = session.fresh_stream();
    while let Some((_, message)) = stream.next().await {
        if outlet.send(message).await.is_err() {
            return;
        }
    }
}

/// Writes whole lines, as many as wait at once.
async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut queue: Interim) -> io::Result<()> {
    let mut waiting = Vec::with_capacity(OUTLET_MESSAGES_MAX);
    while queue.recv_many(&mut waiting, OUTLET_MESSAGES_MAX).await > 0 {
        for message in waiting.drain(..) {
            writer.write_all(&one_line(message)).await?;
            writer.write_all(b"\n").await?;
        }
        writer.flush().await?;
    }
    writer.shutdown().await
}

/// A message may hold line breaks between its tokens; here a line break ends it. A scanned message
/// has none inside a string, so a space means the same.
fn one_line(message: Bytes) -> Bytes {
    if !message.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return message;
    }
    message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

/// Cuts the input into lines, never holding more than one line and one read.
struct Lines {
    read: BytesMut,
    /// How far `read` is known to hold no line break.
    looked: usize,
    bytes_max: usize,
    /// The line was too long and was reported; its rest is thrown away.
    skipping: bool,
}

impl Lines {
    fn new(bytes_max: usize) -> Self {
        Self { read: BytesMut::with_capacity(READ_BYTES), looked: 0, bytes_max, skipping: false }
    }

    fn next(&mut self) -> Option<Result<Inbound, BodyFault>> {
        loop {
            let end = self.read.iter().skip(self.looked).position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| end + self.looked) else {
                self.looked = self.read.len();
                if self.skipping || self.looked > self.bytes_max {
                    let first = !self.skipping;
                    self.skipping = true;
                    self.read.clear();
                    self.looked = 0;
                    if first {
                        return Some(Err(BodyFault::TooLarge));
                    }
                }
                self.read.reserve(READ_BYTES);
                return None;
            };
            let line = self.read.split_to(end);
            self.read.advance(1);
            self.looked = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() > self.bytes_max {
                return Some(Err(BodyFault::TooLarge));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Ok(Inbound::Message(line.freeze())));
            }
        }
    }

    /// What the input ended with instead of a line break.
    fn rest(&mut self) -> Option<Result<Inbound, BodyFault>> {
        let blank = self.read.iter().all(u8::is_ascii_whitespace);
        (!self.skipping && !blank).then_some(Err(BodyFault::Incomplete))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(input: &[u8], chunk: usize, bytes_max: usize) -> Vec<Result<String, BodyFault>> {
        let mut lines = Lines::new(bytes_max);
        let mut out = Vec::new();
        for chunk in input.chunks(chunk.max(1)) {
            lines.read.extend_from_slice(chunk);
            while let Some(inbound) = lines.next() {
                out.push(inbound);
            }
        }
        out.extend(lines.rest());
        let text = |inbound| match inbound {
            Inbound::Message(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Inbound::OpenStream(_) | Inbound::EndSession => unreachable!("a pipe has only messages"),
        };
        out.into_iter().map(|inbound| inbound.map(text)).collect()
    }

    #[test]
    fn an_overlong_line_is_one_fault_and_the_next_line_is_read() {
        for chunk in [1, 3, 7, 100] {
            let got = cut(
                b"{\"a\":1}\n0123456789012345678901234567890123456789\r\n\n  \r\n{\"b\":2}\r\n{\"c",
                chunk,
                10,
            );
            let want = [
                Ok("{\"a\":1}".to_owned()),
                Err(BodyFault::TooLarge),
                Ok("{\"b\":2}\r".to_owned()),
                Err(BodyFault::Incomplete),
            ];
            assert_eq!(got, want, "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_line_break_between_tokens_does_not_end_the_message() {
        assert_eq!(one_line(Bytes::from_static(b"{\r\n}")).as_ref(), b"{  }");
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            parts in proptest::collection::vec("[a-z\r ]{0,12}", 0..8),
            chunk in 1usize..20,
        ) {
            let input = parts.join("\n");
            prop_assert_eq!(cut(input.as_bytes(), chunk, 8), cut(input.as_bytes(), 1000, 8));
        }
    }
}
