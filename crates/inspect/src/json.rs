//! A JSON text with other words where the secrets stood, and still JSON.

use crate::mask::{Found, Hits, Mask, Masked, Unmaskable};

/// Puts a name in the place of each finding. `found` is in order and does not overlap; `text` is valid JSON.
pub(crate) fn rewrite(mask: &Mask, text: &[u8], found: &[Found]) -> Result<Masked, Unmaskable> {
    let hits = Hits::default();
    let mut out = Masked { bytes: Vec::with_capacity(text.len()), hits };
    let mut copied = 0;
    let mut tokens = Tokens { text, at: 0 };
    let mut token = tokens.next();
    for one in found {
        // what was widened to the end of its token may have swallowed it
        if one.range.end <= copied {
            continue;
        }
        while token.as_ref().is_some_and(|token| token.end() <= one.range.start) {
            token = tokens.next();
        }
        let inside = token.as_ref().filter(|token| one.range.end <= token.end()).ok_or(Unmaskable)?;
        let (start, end) = match inside {
            Token::String { start, end } => {
                if one.range.start <= *start || one.range.end >= *end {
                    return Err(Unmaskable);
                }
                // not with half an escape left over; what was written so far ends at none
                let from = copied.max(start + 1);
                let start = whole(text, from, one.range.start, false);
                (start, whole(text, start, one.range.end, true))
            }
            Token::Bare { start, .. } if one.range.start < *start => return Err(Unmaskable),
            Token::Bare { .. } if mask.is_short(one) => continue,
            Token::Bare { start, end } => (*start, *end),
        };
        out.bytes.extend_from_slice(text.get(copied..start.max(copied)).unwrap_or_default());
        let bare = matches!(inside, Token::Bare { .. });
        out.bytes.extend_from_slice(if bare { b"\"" } else { b"" });
        out.put(mask.name(one));
        out.bytes.extend_from_slice(if bare { b"\"" } else { b"" });
        copied = end;
    }
    out.bytes.extend_from_slice(text.get(copied..).unwrap_or_default());
    Ok(out)
}

/// The start, or the end, of the escape that `to` is inside of; else `to` itself. `from` is at none.
fn whole(text: &[u8], from: usize, to: usize, end: bool) -> usize {
    let mut at = from;
    while at < to {
        let next = at + written(text, at);
        if next > to {
            return if end { next } else { at };
        }
        at = next;
    }
    to
}

/// Bytes of the character at `at` of a string, as it is written.
fn written(text: &[u8], at: usize) -> usize {
    match (text.get(at), text.get(at + 1)) {
        (Some(b'\\'), Some(b'u')) => 6,
        (Some(b'\\'), _) => 2,
        (_, _) => 1,
    }
}

/// What of a JSON text is not punctuation.
enum Token {
    /// With its quotes: a value or a name.
    String { start: usize, end: usize },
    /// A number or a word.
    Bare { start: usize, end: usize },
}

impl Token {
    fn end(&self) -> usize {
        match self {
            Self::String { end, .. } | Self::Bare { end, .. } => *end,
        }
    }
}

struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let punctuation =
            |byte: &u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',') || byte.is_ascii_whitespace();
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| !punctuation(byte))?;
        if self.text.get(start) == Some(&b'"') {
            self.at = start + 1;
            loop {
                let rest = self.text.get(self.at..)?;
                self.at += memchr::memchr2(b'"', b'\\', rest)?;
                let quote = self.text.get(self.at) == Some(&b'"');
                self.at += if quote { 1 } else { 2 };
                if quote {
                    return Some(Token::String { start, end: self.at });
                }
            }
        }
        let rest = self.text.get(start..)?;
        let len = rest.iter().position(|byte| punctuation(byte) || *byte == b'"').unwrap_or(rest.len());
        self.at = start + len;
        Some(Token::Bare { start, end: self.at })
    }
}
