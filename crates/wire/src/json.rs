//! Walking JSON that has already been scanned.
//!
//! Everything here assumes bytes that passed [`crate::scan`]: it does not check
//! again, it only finds places. On other bytes it never panics and never loops;
//! it just finds less.

use std::borrow::Cow;
use std::ops::Range;

/// What kind of JSON value starts at the first byte of a raw value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// a number
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

impl Value {
    /// The kind of a raw value, from its first byte. `None` if it starts no value.
    pub fn of(raw: &[u8]) -> Option<Self> {
        match raw.first()? {
            b'{' => Some(Self::Object),
            b'[' => Some(Self::Array),
            b'"' => Some(Self::String),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            b't' | b'f' => Some(Self::Bool),
            b'n' => Some(Self::Null),
            _ => None,
        }
    }
}

/// The members of a raw object, in order: each key, decoded, and where its value
/// stands relative to `raw`.
///
/// Anything that is not an object has no members.
pub fn object_members(raw: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Range<usize>)> {
    members(raw).map(|member| (member.key, member.value_range))
}

/// As [`object_members`], and where the keys stand.
pub fn members(raw: &[u8]) -> Members<'_> {
    let start = skip_whitespace(raw, 0);
    let at = if raw.get(start) == Some(&b'{') { start + 1 } else { raw.len() };
    Members { raw, at }
}

/// The elements of a raw array, in order, as ranges relative to `raw`.
///
/// Anything that is not an array has no elements.
pub fn array_elements(raw: &[u8]) -> Elements<'_> {
    let start = skip_whitespace(raw, 0);
    let at = if raw.get(start) == Some(&b'[') { start + 1 } else { raw.len() };
    Elements { raw, at }
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The name, decoded.
    pub key: Cow<'a, str>,
    /// Where the name stands, quotes included.
    pub key_range: Range<usize>,
    /// Where the value stands, without surrounding whitespace.
    pub value_range: Range<usize>,
}

/// Iterator of [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let mut at = skip_whitespace(self.raw, self.at);
        if self.raw.get(at) == Some(&b',') {
            at = skip_whitespace(self.raw, at + 1);
        }
        if self.raw.get(at) != Some(&b'"') {
            self.at = self.raw.len();
            return None;
        }
        let key_end = skip_string(self.raw, at);
        let colon = skip_whitespace(self.raw, key_end);
        let value = skip_whitespace(self.raw, colon + 1);
        let value_end = skip_value(self.raw, value);
        let key = self.raw.get(at..key_end).and_then(decode_string)?;
        self.at = value_end;
        Some(Member { key, key_range: at..key_end, value_range: value..value_end })
    }
}

/// Iterator of [`array_elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    raw: &'a [u8],
    at: usize,
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut at = skip_whitespace(self.raw, self.at);
        if self.raw.get(at) == Some(&b',') {
            at = skip_whitespace(self.raw, at + 1);
        }
        if matches!(self.raw.get(at), None | Some(b']')) {
            self.at = self.raw.len();
            return None;
        }
        let end = skip_value(self.raw, at);
        self.at = if end > at { end } else { self.raw.len() };
        (end > at).then_some(at..end)
    }
}

/// The raw value of the member `key` of a raw object.
pub fn member<'a>(raw: &'a [u8], key: &str) -> Option<&'a [u8]> {
    raw.get(member_range(raw, key)?)
}

/// Where the value of the member `key` of a raw object stands, relative to `raw`.
pub fn member_range(raw: &[u8], key: &str) -> Option<Range<usize>> {
    object_members(raw).find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The raw value at a path of member names. An empty path is the value itself.
pub fn at_path<'a>(raw: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    path.iter().try_fold(raw, |raw, key| member(raw, key))
}

/// The member `key` of a raw object where it is a string, decoded.
pub fn string_member<'a>(raw: &'a [u8], key: &str) -> Option<Cow<'a, str>> {
    decode_string(member(raw, key)?)
}

/// The member `key` of a raw object where it is a boolean.
pub fn bool_member(raw: &[u8], key: &str) -> Option<bool> {
    match member(raw, key)? {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The text of a raw string (quotes included). Borrowed where nothing is escaped.
///
/// `None` if `raw` is not one string. A lone surrogate, which a scan refuses,
/// reads as U+FFFD.
pub fn decode_string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let text = std::str::from_utf8(inner).ok()?;
    if !text.contains('\\') { Some(Cow::Borrowed(text)) } else { unescape(text).map(Cow::Owned) }
}

/// Whether a raw string means `text`. Most are written plainly, and then their bytes are all there is to look at.
pub(crate) fn is_string(raw: &[u8], text: &str) -> bool {
    match raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inner) if inner.contains(&b'\\') => decode_string(raw).is_some_and(|decoded| decoded == text),
        Some(inner) => inner == text.as_bytes(),
        None => false,
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let kind = escaped.chars().next()?;
        let mut tail = escaped.get(kind.len_utf8()..)?;
        match kind {
            '"' | '\\' | '/' => out.push(kind),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let (unit, after) = hex4(tail)?;
                tail = after;
                let paired = tail.strip_prefix("\\u").and_then(hex4);
                match (unit, paired) {
                    (0xD800..=0xDBFF, Some((low @ 0xDC00..=0xDFFF, after))) => {
                        tail = after;
                        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    _ => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            _ => return None,
        }
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// A JSON string for `text`, quotes included, with no more escapes than needed.
pub fn encode_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let code = u32::from(c);
                out.push_str("\\u00");
                out.extend(char::from_digit(code >> 4, 16));
                out.extend(char::from_digit(code & 15, 16));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The first place at or after `at` that is not JSON whitespace.
pub(crate) fn skip_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The first place at or after `at` that holds a quote, a backslash or a control
/// character, or the end. Eight bytes at a time: most bytes are inside strings.
pub(crate) fn plain_end(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = at;
    let tail = bytes.get(at..).unwrap_or_default();
    let (words, rest) = tail.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        // the lowest flagged byte is exact; a borrow can only flag bytes above it
        let flags = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if flags != 0 {
            return at + (flags.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len())
}

/// The place after the string that starts at `at`.
pub(crate) fn skip_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The place after the value that starts at `at`.
pub(crate) fn skip_value(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => at = skip_string(bytes, at),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') if depth > 0 => {
                at += 1;
                continue;
            }
            Some(_) => at = skip_scalar(bytes, at),
        }
        if depth == 0 {
            return at.min(bytes.len());
        }
    }
}

fn skip_scalar(bytes: &[u8], at: usize) -> usize {
    let tail = bytes.get(at..).unwrap_or_default();
    let len = tail.iter().position(|b| matches!(b, b',' | b':' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
    at + len.unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_known_however_it_is_written() {
        for raw in [r#""name""#, r#""n\u0061me""#, r#""\u006eame""#] {
            assert!(is_string(raw.as_bytes(), "name"), "{raw}");
        }
        for raw in [r#""nam""#, r#""name\\""#, r#""Name""#, "name", r#""n\u0062me""#, r#"""#, ""] {
            assert!(!is_string(raw.as_bytes(), "name"), "{raw}");
        }
    }
}
