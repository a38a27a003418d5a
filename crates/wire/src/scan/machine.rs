//! The machine under [`super::Frame::scan`]: one loop, an explicit stack that
//! cannot outgrow the depth limit, and one arena for the keys of all open objects.

use std::borrow::Cow;
use std::ops::Range;

use super::{Limits, ScanError};
use crate::json::{decode_string, plain_end, skip_whitespace};

/// The most members that are remembered for quick lookup; more are found by walking.
const MEMBERS_MAX: usize = 64;

/// Down to which level members are remembered: `params._meta.progressToken` is one of the third.
const LEVELS: u8 = 3;

/// Half-open byte range; messages are at most `u32::MAX` bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        let cut = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: cut(start), end: cut(end) }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The key of an open object, quotes included.
#[derive(Clone, Copy)]
struct Key {
    span: Span,
    escaped: bool,
}

/// A member of the message itself (`level` 1), of one of its objects (2), or of one of theirs (3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) level: u8,
    pub(super) escaped: bool,
    pub(super) key: Span,
    pub(super) value: Span,
}

/// What a scan remembers: where the value stands, and its first members.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    pub(super) value: Range<usize>,
    /// Members of levels 1 to 3 in the order in which they end.
    pub(super) members: Vec<Known>,
    /// Down to which level `members` is all of them.
    pub(super) complete: u8,
}

enum Open {
    /// `keys` is where this object's keys begin in the arena; `value` where the
    /// value of its last key begins.
    Object {
        keys: usize,
        value: usize,
    },
    Array,
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    open: Vec<Open>,
    keys: Vec<Key>,
    members: Vec<Known>,
    complete: u8,
}

impl<'a> Machine<'a> {
    /// Checks what concerns the bytes as a whole: size, byte order mark, UTF-8.
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, ScanError> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if bytes.len() > limit {
            return Err(ScanError::TooLarge { size: bytes.len(), limit });
        }
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(ScanError::ByteOrderMark);
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(ScanError::NotUtf8 { at: error.valid_up_to() });
        }
        Ok(Self {
            bytes,
            at: 0,
            depth: limits.depth,
            open: Vec::with_capacity(limits.depth.min(16)),
            keys: Vec::with_capacity(32),
            members: Vec::with_capacity(24),
            complete: LEVELS,
        })
    }

    /// Reads exactly one value and nothing after it.
    pub(super) fn run(mut self) -> Result<Scanned, ScanError> {
        self.space();
        if self.peek().is_none() {
            return Err(ScanError::Empty);
        }
        let start = self.at;
        loop {
            if self.begin_value()? && self.end_values()? {
                break;
            }
        }
        let value = start..self.at;
        self.space();
        if self.at < self.bytes.len() {
            return Err(ScanError::Trailing { at: self.at });
        }
        Ok(Scanned { value, members: self.members, complete: self.complete })
    }

    /// Begins a value. True if the value is already complete.
    fn begin_value(&mut self) -> Result<bool, ScanError> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| true),
            Some(b'{') => {
                self.push(Open::Object { keys: self.keys.len(), value: 0 })?;
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    self.open.pop();
                    return Ok(true);
                }
                self.key()?;
                Ok(false)
            }
            Some(b'[') => {
                self.push(Open::Array)?;
                if self.peek() == Some(b']') {
                    self.at += 1;
                    self.open.pop();
                    return Ok(true);
                }
                Ok(false)
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| true),
            Some(_) => Err(ScanError::Syntax { at: self.at }),
            None => Err(ScanError::Truncated),
        }
    }

    /// After a complete value: closes what closes. True if the outermost closed,
    /// false if another value follows.
    fn end_values(&mut self) -> Result<bool, ScanError> {
        loop {
            let level = self.open.len();
            let Some(open) = self.open.last() else { return Ok(true) };
            match *open {
                Open::Array => {
                    self.space();
                    match self.peek() {
                        Some(b',') => {
                            self.at += 1;
                            self.space();
                            return Ok(false);
                        }
                        Some(b']') => self.at += 1,
                        Some(_) => return Err(ScanError::Syntax { at: self.at }),
                        None => return Err(ScanError::Truncated),
                    }
                }
                Open::Object { keys, value } => {
                    self.remember(level, value);
                    self.space();
                    match self.peek() {
                        Some(b',') => {
                            self.at += 1;
                            self.space();
                            self.key()?;
                            return Ok(false);
                        }
                        Some(b'}') => self.at += 1,
                        Some(_) => return Err(ScanError::Syntax { at: self.at }),
                        None => return Err(ScanError::Truncated),
                    }
                    self.check_duplicates(keys)?;
                    self.keys.truncate(keys);
                }
            }
            self.open.pop();
        }
    }

    fn push(&mut self, open: Open) -> Result<(), ScanError> {
        if self.open.len() >= self.depth {
            return Err(ScanError::TooDeep { at: self.at, limit: self.depth });
        }
        self.open.push(open);
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Reads a key and its colon, up to the first byte of the value.
    fn key(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(ScanError::Syntax { at: self.at }),
            None => return Err(ScanError::Truncated),
        }
        let start = self.at;
        let escaped = self.string()?;
        self.keys.push(Key { span: Span::new(start, self.at), escaped });
        self.space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(ScanError::Syntax { at: self.at }),
            None => return Err(ScanError::Truncated),
        }
        self.space();
        let at = self.at;
        if let Some(Open::Object { value, .. }) = self.open.last_mut() {
            *value = at;
        }
        Ok(())
    }

    fn remember(&mut self, level: usize, value: usize) {
        let Ok(level @ 1..=LEVELS) = u8::try_from(level) else { return };
        // those of the last level leave room for the others
        let most = if level == LEVELS { MEMBERS_MAX / 2 } else { MEMBERS_MAX };
        match self.keys.last() {
            Some(key) if self.members.len() < most => {
                let value = Span::new(value, self.at);
                self.members.push(Known { level, escaped: key.escaped, key: key.span, value });
            }
            _ => self.complete = self.complete.min(level - 1),
        }
    }

    /// Refuses an object in which two keys are the same text.
    fn check_duplicates(&mut self, from: usize) -> Result<(), ScanError> {
        let bytes = self.bytes;
        let raw = |key: &Key| bytes.get(key.span.range()).unwrap_or_default();
        let keys = self.keys.get_mut(from..).unwrap_or_default();
        if keys.len() < 2 {
            return Ok(());
        }
        let duplicate = if keys.iter().any(|key| key.escaped) {
            let mut decoded: Vec<(Cow<'_, str>, u32)> =
                keys.iter().map(|k| (decode_string(raw(k)).unwrap_or_default(), k.span.start)).collect();
            decoded.sort_unstable();
            decoded.array_windows().find(|[a, b]| a.0 == b.0).map(|[_, b]| b.1)
        } else if keys.len() <= 8 {
            let mut rest = &*keys;
            let mut found = None;
            while let Some((last, before)) = rest.split_last()
                && found.is_none()
            {
                let text = raw(last);
                found = before.iter().any(|key| raw(key) == text).then_some(last.span.start);
                rest = before;
            }
            found
        } else {
            keys.sort_unstable_by(|a, b| raw(a).cmp(raw(b)).then(a.span.start.cmp(&b.span.start)));
            keys.array_windows().find(|[a, b]| raw(a) == raw(b)).map(|[_, b]| b.span.start)
        };
        match duplicate {
            Some(at) => Err(ScanError::DuplicateKey { at: at as usize }),
            None => Ok(()),
        }
    }

    /// Reads a string. True if it holds an escape.
    fn string(&mut self) -> Result<bool, ScanError> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(ScanError::ControlCharacter { at: self.at }),
                None => return Err(ScanError::Truncated),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            Some(_) => return Err(ScanError::Escape { at: start }),
            None => return Err(ScanError::Truncated),
        }
        match self.unit(start + 2)? {
            0xD800..=0xDBFF => {
                if self.bytes.get(start + 6) != Some(&b'\\') || self.bytes.get(start + 7) != Some(&b'u') {
                    return Err(ScanError::LoneSurrogate { at: start });
                }
                if !(0xDC00..=0xDFFF).contains(&self.unit(start + 8)?) {
                    return Err(ScanError::LoneSurrogate { at: start });
                }
                self.at = start + 12;
            }
            0xDC00..=0xDFFF => return Err(ScanError::LoneSurrogate { at: start }),
            _ => self.at = start + 6,
        }
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Result<u32, ScanError> {
        let digits = self.bytes.get(at..at + 4).ok_or(ScanError::Truncated)?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(ScanError::Escape { at })?;
            Ok(unit << 4 | digit)
        })
    }

    fn literal(&mut self, word: &[u8]) -> Result<bool, ScanError> {
        let tail = self.bytes.get(self.at..).unwrap_or_default();
        if tail.starts_with(word) {
            self.at += word.len();
            return Ok(true);
        }
        Err(if word.starts_with(tail) { ScanError::Truncated } else { ScanError::Syntax { at: self.at } })
    }

    /// RFC 8259 §6, and finite as a double.
    fn number(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(ScanError::Number { at: start }),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.required_digits(start)?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.required_digits(start)?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z')) {
            return Err(ScanError::Number { at: start });
        }
        // fewer than 300 digits without an exponent are always finite
        if exponent || self.at - start > 300 {
            let text = self.bytes.get(start..self.at).and_then(|raw| std::str::from_utf8(raw).ok());
            let finite = text.and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
            if !finite {
                return Err(ScanError::NumberRange { at: start });
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn required_digits(&mut self, start: usize) -> Result<(), ScanError> {
        let before = self.at;
        self.digits();
        if self.at == before { Err(ScanError::Number { at: start }) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        self.at = skip_whitespace(self.bytes, self.at);
    }
}
