//! Server-sent events, byte for byte.
//!
//! A decoder that takes chunks cut anywhere and a writer for our own streams.
//! Source: WHATWG HTML, *Server-sent events*. Two deviations: a size cap, and events
//! without data are handed out when they carry an id or a retry time, because MCP
//! 2025-11-25 primes its streams with them.

use bytes::Bytes;

/// One event. `None` means the field was not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `event`, the type; absent means `message`.
    pub event: Option<String>,
    /// `data`, its lines joined with LF. Not checked: scan it.
    pub data: Option<Bytes>,
    /// `id`
    pub id: Option<String>,
    /// `retry`, in milliseconds
    pub retry_ms: Option<u64>,
}

impl Event {
    /// The JSON-RPC message of the event, if it is one: type `message` or none, with data.
    pub fn message(&self) -> Option<&Bytes> {
        let plain = self.event.as_deref().is_none_or(|event| event.is_empty() || event == "message");
        self.data.as_ref().filter(|data| plain && !data.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.event.is_none() && self.data.is_none() && self.id.is_none() && self.retry_ms.is_none()
    }
}

/// Why a stream cannot be read on. The decoder gives nothing more after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One event is larger than the limit.
    #[error("an event is larger than {limit} bytes")]
    TooLarge { limit: usize },
    /// A field other than data is not UTF-8.
    #[error("an event field is not UTF-8")]
    NotUtf8,
}

/// Takes bytes and gives events. Holds at most one event and what was pushed and
/// not yet asked for: ask until `None` after every push.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: Vec<u8>,
    /// Start of the line that is being read.
    line: usize,
    /// Up to here the line is known to have no end.
    searched: usize,
    /// Bytes of the fields of the event so far.
    size: usize,
    event: Event,
    data: Vec<u8>,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    in_comment: bool,
    at_start: bool,
    failed: Option<SseError>,
}

impl Decoder {
    /// A decoder for one stream; `limit` is the most bytes one event may have.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            line: 0,
            searched: 0,
            size: 0,
            event: Event::default(),
            data: Vec::new(),
            after_cr: false,
            in_comment: false,
            at_start: true,
            failed: None,
        }
    }

    /// Takes the next chunk, cut anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.line > 0 {
            self.buffer.drain(..self.line);
            self.searched -= self.line;
            self.line = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event, or `None` until more is pushed. What is left at the end
    /// of a stream is not an event.
    ///
    /// # Errors
    /// An event over the limit, or a field that is not text; again on every later call.
    pub fn next_event(&mut self) -> Result<Option<Event>, SseError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.read().inspect_err(|error| {
                self.failed = Some(*error);
                self.buffer = Vec::new();
                self.data = Vec::new();
            }),
        }
    }

    fn read(&mut self) -> Result<Option<Event>, SseError> {
        if self.at_start && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        loop {
            if self.after_cr {
                match self.buffer.get(self.line) {
                    None => return Ok(None),
                    Some(b'\n') => self.skip_to(self.line + 1),
                    Some(_) => {}
                }
                self.after_cr = false;
            }
            let tail = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(len) = tail.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return self.unfinished_line().map(|()| None);
            };
            let end = self.searched + len;
            self.after_cr = self.buffer.get(end) == Some(&b'\r');
            let line = self.line..end;
            self.skip_to(end + 1);
            if std::mem::take(&mut self.in_comment) {
                continue;
            }
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.field(line)?;
        }
    }

    /// False while too little has arrived to tell.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return false;
        }
        self.at_start = false;
        if self.buffer.starts_with(MARK) {
            self.skip_to(MARK.len());
        }
        true
    }

    fn skip_to(&mut self, at: usize) {
        self.line = at;
        self.searched = at;
    }

    /// Bounds what waits for the end of its line; a comment is not kept at all.
    fn unfinished_line(&mut self) -> Result<(), SseError> {
        let end = self.buffer.len();
        if self.in_comment || self.buffer.get(self.line) == Some(&b':') {
            self.in_comment = true;
            self.skip_to(end);
            return Ok(());
        }
        self.searched = end;
        self.grow(end - self.line).map(drop)
    }

    /// The size of the event with so many bytes more, if that is allowed.
    fn grow(&self, more: usize) -> Result<usize, SseError> {
        let size = self.size.saturating_add(more);
        if size > self.limit { Err(SseError::TooLarge { limit: self.limit }) } else { Ok(size) }
    }

    fn field(&mut self, line: std::ops::Range<usize>) -> Result<(), SseError> {
        let len = line.len();
        let line = self.buffer.get(line).unwrap_or_default();
        if line.first() == Some(&b':') {
            return Ok(());
        }
        self.size = self.grow(len)?;
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || std::str::from_utf8(value).map(str::to_owned).map_err(|_| SseError::NotUtf8);
        match name {
            b"data" => {
                if self.event.data.replace(Bytes::new()).is_some() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.event.event = Some(text()?),
            // a NUL makes the id void
            b"id" if !value.contains(&0) => self.event.id = Some(text()?),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.event.retry_ms = text()?.parse().ok();
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.size = 0;
        let mut event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if event.data.is_some() {
            event.data = Some(data.into());
        }
        (!event.is_empty()).then_some(event)
    }
}

/// Writes an event. Line breaks inside the data (CR, LF or CRLF) become separate
/// data lines. An `event` or `id` with a line break or NUL in it cannot be said and
/// is left out: it would let a value write fields of its own.
pub fn encode(event: &Event) -> Bytes {
    let data = event.data.as_deref();
    let mut out = Vec::with_capacity(64 + data.map_or(0, <[u8]>::len));
    let mut field = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    let sayable = |text: &&str| !text.contains(['\r', '\n', '\0']);
    if let Some(kind) = event.event.as_deref().filter(sayable) {
        field("event", kind.as_bytes());
    }
    if let Some(id) = event.id.as_deref().filter(sayable) {
        field("id", id.as_bytes());
    }
    if let Some(retry) = event.retry_ms {
        field("retry", retry.to_string().as_bytes());
    }
    if let Some(mut rest) = data {
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let (line, after) = rest.split_at(at);
            field("data", line);
            rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
        }
        field("data", rest);
    }
    out.push(b'\n');
    out.into()
}

/// The event for one JSON-RPC message.
pub fn message(data: Bytes, id: Option<String>) -> Event {
    Event { event: Some("message".to_owned()), data: Some(data), id, retry_ms: None }
}

/// A comment line, to keep a quiet stream open.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(1 << 16);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    fn data(text: &str) -> Event {
        Event { data: Some(Bytes::copy_from_slice(text.as_bytes())), ..Event::default() }
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("data: a{end}data:b{end}{end}data{end}{end}");
            assert_eq!(decode(&[text.as_bytes()]), [data("a\nb"), data("")], "{end:?}");
        }
        assert_eq!(decode(&[b"data: a\r", b"\n", b"\r", b"\ndata: b\n\r\n"]), [data("a"), data("b")]);
    }

    #[test]
    fn comments_unknown_fields_and_a_byte_order_mark_are_ignored() {
        let text = b"\xEF\xBB\xBF: hello\n:\n\nfoo: bar\nid\n\n:x\ndata:  a \n\n";
        let id = Event { id: Some(String::new()), ..Event::default() };
        assert_eq!(decode(&[text]), [id.clone(), data(" a ")]);
        assert_eq!(decode(&[b"\xEF", b"\xBB", b"\xBFid\n\n"]), [id]);
    }

    #[test]
    fn a_comment_cut_in_two_is_one_comment() {
        assert!(decode(&[b": a", b"data: x\n\n"]).is_empty());
        assert_eq!(decode(&[b":", b"data: x", b"\r", b"\ndata: y\n\n"]), [data("y")]);
    }

    #[test]
    fn an_id_with_a_nul_is_void() {
        assert_eq!(decode(&[b"id: a\0b\ndata: x\n\n"]), [data("x")]);
    }

    #[test]
    fn a_priming_event_without_data_is_given() {
        let events = decode(&[b"id: 7\nretry: 250\ndata:\n\nretry: x1\nretry\n\n"]);
        let primed = Event { id: Some("7".into()), retry_ms: Some(250), ..data("") };
        assert_eq!(events, std::slice::from_ref(&primed));
        assert_eq!(primed.message(), None);
        assert_eq!(data("{}").message().unwrap(), "{}");
        assert_eq!(Event { event: Some("endpoint".into()), ..data("{}") }.message(), None);
    }

    #[test]
    fn an_unfinished_event_is_not_an_event() {
        assert!(decode(&[b"data: a\n"]).is_empty());
        assert!(decode(&[b"data: a"]).is_empty());
    }

    #[test]
    fn an_event_over_the_limit_ends_the_stream_however_it_is_cut() {
        let whole = |text: &[u8]| {
            let mut decoder = Decoder::new(16);
            decoder.push(text);
            decoder.next_event()
        };
        let over = Err(SseError::TooLarge { limit: 16 });
        assert!(whole(b"data: 12345678\n\n").is_ok_and(|event| event.is_some()));
        assert_eq!(whole(b"data: 123456789012345\n\n"), over);
        assert_eq!(whole(b"data: 123456789012345"), over);
        assert_eq!(whole(b"data: 1234\ndata: 5678\n\n"), over);
        assert_eq!(whole(b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), over);
        assert_eq!(whole(&b"data\n".repeat(9)), over);
        let mut decoder = Decoder::new(16);
        for _ in 0..20 {
            decoder.push(b"d");
            let _ = decoder.next_event();
        }
        assert_eq!(decoder.next_event(), over);
        decoder.push(b"\n\ndata: a\n\n");
        assert_eq!(decoder.next_event(), over);
    }

    #[test]
    fn an_endless_comment_takes_no_memory() {
        let mut decoder = Decoder::new(16);
        decoder.push(b":");
        for _ in 0..100 {
            decoder.push(&[b'x'; 1000]);
            assert_eq!(decoder.next_event(), Ok(None));
            assert!(decoder.buffer.len() <= 1001);
        }
        decoder.push(b"\ndata: a\n\n");
        assert_eq!(decoder.next_event(), Ok(Some(data("a"))));
    }

    #[test]
    fn a_value_cannot_write_fields_of_its_own() {
        let event = Event { event: Some("a\ndata: evil".into()), id: Some("1\r\n\r\n".into()), ..data("ok") };
        assert_eq!(encode(&event), "data: ok\n\n");
        assert_eq!(decode(&[&encode(&data("a\r\n\r\nevent: x"))]), [data("a\n\nevent: x")]);
        assert_eq!(decode(&[KEEP_ALIVE, &encode(&message("{}".into(), None))]), [message("{}".into(), None)]);
    }

    fn event() -> impl Strategy<Value = Event> {
        let line = || prop::option::of("[^\r\n\0]{0,12}");
        let data = prop::option::of("[^\r]{0,40}".prop_map(|text| Bytes::from(text.into_bytes())));
        (line(), data, line(), prop::option::of(any::<u64>()))
            .prop_map(|(event, data, id, retry_ms)| Event { event, data, id, retry_ms })
            .prop_filter("says something", |event| !event.is_empty())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            events in prop::collection::vec(event(), 0..6),
            cuts in prop::collection::vec(1usize..9, 0..64),
        ) {
            let stream: Vec<u8> = events.iter().flat_map(|event| encode(event).to_vec()).collect();
            let mut chunks = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(decode(&chunks), events);
        }

        #[test]
        fn any_bytes_read_the_same_however_they_are_cut(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), Just(b' '), any::<u8>()], 0..80),
            cut in 0usize..80,
        ) {
            let run = |chunks: &[&[u8]]| {
                let mut decoder = Decoder::new(40);
                let mut events = Vec::new();
                for chunk in chunks {
                    decoder.push(chunk);
                    loop {
                        match decoder.next_event() {
                            Ok(Some(event)) => events.push(Ok(event)),
                            Ok(None) => break,
                            Err(error) => {
                                events.push(Err(error));
                                return events;
                            }
                        }
                    }
                }
                events
            };
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(run(&[&bytes]), run(&[a, b]));
        }
    }
}
