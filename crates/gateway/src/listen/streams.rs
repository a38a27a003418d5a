//! Event streams that a legacy Host may resume.
//!
//! To a legacy Host a broken connection is not a cancellation (specification 2025-11-25, *Resumability
//! and Redelivery*): the call runs on, what it says is kept here, within bounds, and a `GET` with
//! `Last-Event-ID` gets the rest. An event id names the stream and the number within it, sealed for the
//! session and its principal; streams are filed under the session, which the path only finds for its own
//! principal. So an event id is worth nothing to anybody else.

use crate::session::{Session, SessionStream};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Events one stream keeps.
const EVENTS_MAX: usize = 64;
/// Bytes one stream keeps, unless a single event is larger.
const STREAM_BYTES_MAX: usize = 256 << 10;
/// Streams one session keeps.
const STREAMS_MAX: usize = 16;
/// Bytes of finished streams kept for everybody.
const FINISHED_BYTES_MAX: usize = 64 << 20;
/// How long a finished stream can be resumed.
const FINISHED_KEPT: Duration = Duration::from_secs(5 * 60);

/// The stream number of a session's own unsolicited messages.
pub(crate) const SESSION_STREAM: u64 = 0;

/// What a `GET` asks for: a session's own stream, or the rest of one that broke.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub last_event_id: Option<String>,
    /// Where the streams of its listener are kept.
    pub(super) shelf: Arc<Shelf>,
}

/// What a `GET` reads.
#[derive(Debug)]
pub enum Stream {
    /// A session's own messages.
    Session(SessionStream),
    /// What a call said and says.
    Kept(Reader),
}

impl Wanted {
    /// `None` when its event id is none of this session's, or its stream is not kept any more: the two look the same.
    pub fn open(&self, session: &Session) -> Option<Stream> {
        let Some(id) = &self.last_event_id else { return Some(Stream::Session(session.fresh_stream())) };
        let after = session.event_ids().open(id)?;
        if after.stream == SESSION_STREAM {
            return Some(Stream::Session(session.stream(after.number)));
        }
        let log = self.shelf.find(&session.id, after.stream)?;
        Some(Stream::Kept(log.read(after.number)))
    }
}

/// Every stream that can be resumed, by session.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    filed: Mutex<Filed>,
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Filed {
    last: u64,
    sessions: BTreeMap<String, BTreeMap<u64, Arc<Log>>>,
}

impl Shelf {
    /// A new stream of that session; `None` when it has too many open ones already.
    pub(super) fn begin(&self, session: &str) -> Option<Arc<Log>> {
        self.sweep(Instant::now());
        let mut filed = self.filed.lock();
        filed.last += 1;
        let stream = filed.last;
        let streams = filed.sessions.entry(session.to_owned()).or_default();
        if streams.len() >= STREAMS_MAX {
            let oldest =
                streams.iter().find(|(_, log)| log.finished().is_some()).map(|(number, _)| *number)?;
            streams.remove(&oldest);
        }
        let log = Arc::new(Log::new(stream, Arc::clone(&self.bytes)));
        streams.insert(stream, Arc::clone(&log));
        Some(log)
    }

    pub(super) fn find(&self, session: &str, stream: u64) -> Option<Arc<Log>> {
        self.filed.lock().sessions.get(session)?.get(&stream).cloned()
    }

    /// Lets go of all streams of a session that ended.
    pub(super) fn forget(&self, session: &str) {
        self.filed.lock().sessions.remove(session);
    }

    /// Lets go of what finished long ago, and of the oldest finished streams where all are too large.
    pub(super) fn sweep(&self, now: Instant) {
        let mut filed = self.filed.lock();
        let mut finished = BTreeMap::new();
        for (session, streams) in &mut filed.sessions {
            streams.retain(|stream, log| match log.finished() {
                Some(at) if now.duration_since(at) > FINISHED_KEPT => false,
                Some(_) => {
                    finished.insert(*stream, session.clone());
                    true
                }
                None => true,
            });
        }
        for (stream, session) in finished {
            if self.bytes.load(Ordering::Relaxed) <= FINISHED_BYTES_MAX {
                break;
            }
            if let Some(streams) = filed.sessions.get_mut(&session) {
                streams.remove(&stream);
            }
        }
        filed.sessions.retain(|_, streams| !streams.is_empty());
    }

    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        let filed = self.filed.lock();
        (filed.sessions.values().map(BTreeMap::len).sum(), self.bytes.load(Ordering::Relaxed))
    }
}

/// The events of one `POST`'s response.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) stream: u64,
    kept: Mutex<Kept>,
    changed: Notify,
    total: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    last: u64,
    finished: Option<Instant>,
    /// Which reader is the current one; an earlier one is told to stop.
    reader: u64,
    /// How far the current reader is. `None` while nobody reads.
    read: Option<u64>,
}

impl Log {
    fn new(stream: u64, total: Arc<AtomicUsize>) -> Self {
        Self { stream, kept: Mutex::default(), changed: Notify::new(), total }
    }

    fn finished(&self) -> Option<Instant> {
        self.kept.lock().finished
    }

    /// Appends an event. Where the stream is full, what has been read gives way; a reader that is slow
    /// is waited for; with no reader the oldest gives way, but what waits for an answer only where there is nothing else.
    pub(super) async fn push(&self, event: Bytes) {
        loop {
            let changed = self.changed.notified();
            {
                let mut kept = self.kept.lock();
                while !kept.fits(event.len()) && kept.front_is_expendable() {
                    self.evict(&mut kept);
                }
                if kept.fits(event.len()) {
                    kept.last += 1;
                    kept.bytes += event.len();
                    self.total.fetch_add(event.len(), Ordering::Relaxed);
                    let number = kept.last;
                    kept.events.push_back((number, event));
                    break;
                }
            }
            changed.await;
        }
        self.changed.notify_waiters();
    }

    fn evict(&self, kept: &mut Kept) {
        let spared = |(_, event): &(u64, Bytes)| kept.read.is_none() && asks(event);
        let at = kept.events.iter().position(|event| !spared(event)).unwrap_or_default();
        if let Some((_, event)) = kept.events.remove(at) {
            kept.bytes -= event.len();
            self.total.fetch_sub(event.len(), Ordering::Relaxed);
        }
    }

    /// There will be no more events.
    pub(super) fn finish(&self) {
        self.kept.lock().finished = Some(Instant::now());
        self.changed.notify_waiters();
    }

    /// Reads on after event `after`; whoever read before is let go.
    pub(super) fn read(self: &Arc<Self>, after: u64) -> Reader {
        let mut kept = self.kept.lock();
        kept.reader += 1;
        kept.read = Some(after);
        let turn = kept.reader;
        drop(kept);
        self.changed.notify_waiters();
        Reader { log: Arc::clone(self), turn, after }
    }
}

/// Whether it is a question to the Host: a call waits for what is said to it.
fn asks(event: &Bytes) -> bool {
    let read = wire::Frame::scan(event.clone(), &wire::Limits::default());
    read.is_ok_and(|frame| frame.kind() == wire::Kind::Request)
}

impl Drop for Log {
    fn drop(&mut self) {
        self.total.fetch_sub(self.kept.get_mut().bytes, Ordering::Relaxed);
    }
}

impl Kept {
    fn fits(&self, bytes: usize) -> bool {
        self.events.is_empty() || (self.events.len() < EVENTS_MAX && self.bytes + bytes <= STREAM_BYTES_MAX)
    }
    fn front_is_expendable(&self) -> bool {
        match (self.events.front(), self.read) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((number, _)), Some(read)) => *number <= read,
        }
    }
}

/// The one reader of a [`Log`].
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    turn: u64,
    after: u64,
}

impl Reader {
    pub(super) fn stream(&self) -> u64 {
        self.log.stream
    }
    pub(super) fn position(&self) -> u64 {
        self.after
    }

    /// The next event; `None` after the last one, or when another reader took over. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<(u64, Bytes)> {
        loop {
            let changed = self.log.changed.notified();
            {
                let mut kept = self.log.kept.lock();
                if kept.reader != self.turn {
                    return None;
                }
                if let Some((number, event)) =
                    kept.events.iter().find(|(number, _)| *number > self.after).cloned()
                {
                    self.after = number;
                    kept.read = Some(number);
                    drop(kept);
                    self.log.changed.notify_waiters();
                    return Some((number, event));
                }
                if kept.finished.is_some() {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut kept = self.log.kept.lock();
        if kept.reader == self.turn {
            kept.read = None;
        }
        drop(kept);
        self.log.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::future::Future as _;

    fn event(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }
    async fn texts(mut reader: Reader) -> Vec<String> {
        let mut out = Vec::new();
        while let Some((number, event)) = reader.next().await {
            out.push(format!("{number}{}", String::from_utf8_lossy(&event)));
        }
        out
    }

    #[tokio::test]
    async fn a_stream_that_broke_is_read_on_from_any_event_of_its_own_session_only() {
        let shelf = Shelf::default();
        let log = shelf.begin("s1").unwrap();
        let mut broken = log.read(0);
        log.push(event("a")).await;
        assert_eq!(broken.next().await, Some((1, event("a"))));
        drop(broken);
        log.push(event("b")).await;
        log.push(event("c")).await;
        log.finish();
        assert_eq!(texts(log.read(1)).await, ["2b", "3c"]);
        assert_eq!(texts(log.read(0)).await, ["1a", "2b", "3c"]);
        assert!(shelf.find("s2", log.stream).is_none());
        shelf.forget("s1");
        assert!(shelf.find("s1", log.stream).is_none());
    }

    #[tokio::test]
    async fn a_question_waits_for_a_host_that_is_away_whatever_else_is_said() {
        let log = Shelf::default().begin("s").unwrap();
        let question = event(r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#);
        let notice = event(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#);
        log.push(question.clone()).await;
        for _ in 0..3 * EVENTS_MAX {
            log.push(notice.clone()).await;
        }
        let mut back = log.read(0);
        assert_eq!(back.next().await, Some((1, question)));
        assert_eq!(back.next().await.map(|(number, _)| number), Some(2 * EVENTS_MAX as u64 + 3));
    }

    #[tokio::test]
    async fn a_second_reader_takes_over_from_the_first() {
        let log = Shelf::default().begin("s").unwrap();
        let mut first = log.read(0);
        let second = log.read(0);
        assert_eq!(first.next().now_or_never(), Some(None));
        drop(first);
        log.push(event("a")).await;
        log.finish();
        assert_eq!(texts(second).await, ["1a"]);
    }

    #[tokio::test]
    async fn a_slow_reader_is_waited_for_and_an_absent_one_is_not() {
        let log = Shelf::default().begin("s").unwrap();
        let reader = log.read(0);
        for _ in 0..EVENTS_MAX {
            log.push(event("x")).await;
        }
        let mut waiting = Box::pin(log.push(event("y")));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(polled, "the reader has not read, so there is no room");
        drop(reader);
        waiting.await;
        log.finish();
        let all = texts(log.read(0)).await;
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!(all.first().map(String::as_str), Some("2x"), "the oldest gave way");
    }

    #[tokio::test]
    async fn one_event_larger_than_the_bound_still_passes() {
        let shelf = Shelf::default();
        let log = shelf.begin("s").unwrap();
        log.push(event("small")).await;
        log.push(Bytes::from(vec![b'x'; STREAM_BYTES_MAX * 2])).await;
        log.finish();
        assert_eq!(log.read(0).next().await.map(|(n, e)| (n, e.len())), Some((2, STREAM_BYTES_MAX * 2)));
    }

    #[tokio::test]
    async fn finished_streams_go_when_they_are_old_or_too_many_and_leave_no_byte() {
        let shelf = Shelf::default();
        let open = shelf.begin("s").unwrap();
        for _ in 0..STREAMS_MAX * 3 {
            let log = shelf.begin("s").unwrap();
            log.push(event("0123456789")).await;
            log.finish();
        }
        assert_eq!(shelf.held(), (STREAMS_MAX, (STREAMS_MAX - 1) * 10));
        shelf.sweep(Instant::now() + FINISHED_KEPT + Duration::from_secs(1));
        assert_eq!(shelf.held(), (1, 0), "the open one stays");
        drop(open);
        let mut all = Vec::new();
        while let Some(log) = shelf.begin("t") {
            all.push(log);
        }
        assert_eq!(all.len(), STREAMS_MAX, "a session cannot open more than it may");
    }

    #[tokio::test]
    async fn all_finished_streams_together_stay_within_their_bound() {
        let shelf = Shelf::default();
        for n in 0..20 {
            let log = shelf.begin(&format!("s{n}")).unwrap();
            log.push(Bytes::from(vec![b'x'; 8 << 20])).await;
            log.finish();
        }
        shelf.sweep(Instant::now());
        let (_, bytes) = shelf.held();
        assert!(bytes <= FINISHED_BYTES_MAX, "{bytes}");
        assert!(shelf.find("s19", 20).is_some(), "the newest is kept");
        assert!(shelf.find("s0", 1).is_none(), "the oldest went");
    }
}
