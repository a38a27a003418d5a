//! Server-sent events: however a stream is cut, it says the same; what was written is read back; and a decoder
//! written down from the WHATWG text, line by line and without any care for speed, agrees.
//!
//! Input: two bytes that say where to cut, then the stream.

use bytes::Bytes;
use wire::sse::{Decoder, Event, SseError, encode};

const LIMIT: usize = 512;

pub(crate) fn run(data: &[u8]) {
    let Some((cuts, stream)) = data.split_first_chunk::<2>() else { return };
    let whole = decode(&[stream], LIMIT);
    let each: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&each, LIMIT), whole);
    let sizes = cuts.map(|cut| usize::from(cut % 16) + 1);
    let (mut chunks, mut rest, mut turn) = (Vec::new(), stream, 0);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes[turn % 2].min(rest.len()));
        chunks.push(chunk);
        (rest, turn) = (after, turn + 1);
    }
    assert_eq!(decode(&chunks, LIMIT), whole);
    // where nothing is over the limit, the book decides
    let (events, error) = decode(&[stream], stream.len());
    match error {
        None => assert_eq!(events, reference(stream)),
        Some(SseError::NotUtf8) => assert!(std::str::from_utf8(stream).is_err()),
        Some(SseError::TooLarge { .. }) => panic!("a stream is larger than itself"),
    }
    for event in &events {
        written(event);
    }
    if let (events, Some(SseError::TooLarge { limit })) = whole {
        assert!(limit == LIMIT && stream.len() > LIMIT && events.iter().all(|event| size(event) <= LIMIT));
    }
}

fn size(event: &Event) -> usize {
    event.data.as_ref().map_or(0, Bytes::len)
        + event.event.as_ref().map_or(0, String::len)
        + event.id.as_ref().map_or(0, String::len)
}

/// What is written reads back as itself; only a type with a NUL is not written.
fn written(event: &Event) {
    let text = encode(event);
    let (again, error) = decode(&[&text], text.len());
    let kind = event.event.clone().filter(|kind| !kind.contains('\0'));
    let expected = Event { event: kind, ..event.clone() };
    assert_eq!(error, None);
    assert_eq!(again, Vec::from_iter((expected != Event::default()).then_some(expected)), "{text:?}");
}

fn decode(chunks: &[&[u8]], limit: usize) -> (Vec<Event>, Option<SseError>) {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_event(), Err(error), "an error lasts");
                    return (events, Some(error));
                }
            }
        }
    }
    assert_eq!(decoder.next_event(), Ok(None));
    (events, None)
}

/// HTML, *Interpreting an event stream*, with the two deviations that `wire::sse` names: an event without data is
/// handed out when it says something else, and every field is kept as it was sent.
fn reference(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut events = Vec::new();
    let mut event = Event::default();
    for line in lines(stream) {
        if line.is_empty() {
            let done = std::mem::take(&mut event);
            if done != Event::default() {
                events.push(done);
            }
            continue;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => continue,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = if value.first() == Some(&b' ') { &value[1..] } else { value };
        let text = String::from_utf8_lossy(value).into_owned();
        match name {
            b"event" => event.event = Some(text),
            b"data" => {
                event.data = Some(match event.data.take() {
                    Some(before) => [&before[..], b"\n", value].concat().into(),
                    None => Bytes::copy_from_slice(value),
                });
            }
            b"id" if !value.contains(&0) => event.id = Some(text),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                event.retry_ms = text.parse().ok();
            }
            _ => {}
        }
    }
    events
}

/// The lines that have an end: CRLF, LF or CR.
fn lines(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[at + end..];
    }
    lines
}
