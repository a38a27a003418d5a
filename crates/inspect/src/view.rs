//! A text as it reads once its escapes are undone, and the way back to where each byte of that stood.

use crate::form::is_base64;
use std::cell::OnceCell;
use std::ops::Range;

/// One way of undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    /// `\n`, `\"`, `\/`, `\u0041` as JSON has them, and `\x41`, `\'` as other languages do.
    Backslash,
    /// `%41`.
    Percent,
    /// `&#65;`, `&#x41;`, `&amp;`.
    Entity,
    /// All of these at once, each where it stands.
    Any,
    /// Line breaks in base64, also those written `\n`, with what indents the next line.
    Wrap,
}

impl Undo {
    /// The kinds of escapes: JSON in JSON, an address, a page.
    pub(crate) const KINDS: [Self; 3] = [Self::Backslash, Self::Percent, Self::Entity];
}

/// Bytes that are looked at together, without a branch.
const BLOCK: usize = 64;

/// Which bytes can be part of a secret in any form, or begin another escape. An escape of any other is left as it
/// is: most texts are full of `\n` and `\"`, and need not be copied for that.
pub(crate) struct Matters([bool; 256]);

/// The digits of base64, and what an escape is made of.
#[expect(clippy::indexing_slicing, reason = "a place that is not there would not compile")]
const ALWAYS: [bool; 256] = {
    let (mut always, mut byte) = ([false; 256], 0);
    while byte < 128u8 {
        always[byte as usize] = is_base64(byte) || matches!(byte, b'\\' | b'%' | b'&' | b'#' | b';' | b':');
        byte += 1;
    }
    always
};

impl Matters {
    const ALL: Self = Self([true; 256]);

    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a [u8]>, words: bool) -> Self {
        let mut matters = ALWAYS;
        // the end of a word shows once what ends it is read
        let ends = (0..=255u8).filter(|byte| !is_base64(*byte)).take(if words { 256 } else { 0 });
        for byte in ends.chain(secrets.flatten().copied()) {
            if let Some(slot) = matters.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
        Self(matters)
    }
    fn byte(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|matters| *matters)
    }
    /// A line break may be one in base64. Written as JSON does it is known as it stands.
    fn unit(&self, unit: &Unit) -> bool {
        let wraps = unit.len > 2 && matches!(unit.bytes(), b"\n" | b"\r");
        wraps || unit.bytes().iter().any(|byte| self.byte(*byte))
    }
    /// Whether a text may have a backslash escape that matters, looked at in blocks.
    fn backslash_in(&self, text: &[u8]) -> bool {
        if b"\"\n\t\r\x08\x0c".iter().any(|byte| self.byte(*byte)) {
            return memchr::memchr(b'\\', text).is_some();
        }
        let next = text.get(1..).unwrap_or_default();
        text.chunks(BLOCK).zip(next.chunks(BLOCK)).any(|(text, next)| {
            text.iter().zip(next).fold(false, |any, (a, b)| {
                let other = (*b == b'u') | (*b == b'x') | (*b == b'/') | (*b == b'\\') | (*b == b'\'');
                any | ((*a == b'\\') & other)
            })
        })
    }
}

/// Bytes that are overwritten when they are dropped. At the speed of `memset`, where `zeroize` writes one
/// byte at a time: each text is copied here that has an escape in it.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // it may be looked at, so it must be written
        std::hint::black_box(&self.0);
    }
}

/// A stretch of a view, up to the next one: copied byte by byte, or one unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    at: usize,
    source: usize,
    unit: bool,
}

/// A text, as it is or with one more kind of escape undone. It may be a secret in the clear, so it is wiped.
pub(crate) enum View<'v> {
    Root {
        bytes: &'v [u8],
        matters: &'v Matters,
    },
    Undone {
        parent: &'v View<'v>,
        undo: Undo,
        bytes: Wiped,
        /// Found only where something was caught, which is nearly nowhere.
        stretches: OnceCell<Vec<Stretch>>,
    },
}

impl View<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Root { bytes, .. } => bytes,
            Self::Undone { bytes, .. } => &bytes.0,
        }
    }

    fn matters(&self) -> &Matters {
        match self {
            Self::Root { matters, .. } => matters,
            Self::Undone { parent, .. } => parent.matters(),
        }
    }

    /// The same with this undone; `None` if that changes nothing.
    pub(crate) fn undo(&self, undo: Undo) -> Option<View<'_>> {
        let bytes = undone(undo, self.bytes(), self.matters(), None)?;
        Some(View::Undone { parent: self, undo, bytes, stretches: OnceCell::new() })
    }

    /// Where this range of the view stands in the text itself. It never begins or ends inside an escape
    /// that was undone.
    pub(crate) fn source(&self, range: Range<usize>) -> Range<usize> {
        match self {
            Self::Root { .. } => range,
            Self::Undone { parent, undo, stretches, .. } => {
                let stretches = stretches.get_or_init(|| {
                    let mut stretches = Vec::new();
                    let _ = undone(*undo, parent.bytes(), parent.matters(), Some(&mut stretches));
                    stretches
                });
                let stood = |at: usize| {
                    let next = stretches.partition_point(|stretch| stretch.at <= at);
                    let here = stretches.get(next.wrapping_sub(1)).copied();
                    let here = here.unwrap_or(Stretch { at: 0, source: 0, unit: false });
                    let end = stretches.get(next).map_or(parent.bytes().len(), |next| next.source);
                    let offset = here.source + (at - here.at);
                    if here.unit { here.source..end } else { offset..offset + 1 }
                };
                let last = stood(range.end.saturating_sub(1));
                parent.source(stood(range.start).start..last.end)
            }
        }
    }
}

/// The text with every escape of a kind undone that matters, and where each stretch of it came from; `None` if
/// there is none.
fn undone(undo: Undo, text: &[u8], matters: &Matters, stretches: Option<&mut Vec<Stretch>>) -> Option<Wiped> {
    let mut out = Writer { text, copied: 0, bytes: Wiped::default(), stretches };
    match undo {
        Undo::Backslash if !matters.backslash_in(text) => {}
        Undo::Backslash => out.escapes(|text| memchr::memchr(b'\\', text), backslash, matters),
        Undo::Percent => out.escapes(|text| memchr::memchr(b'%', text), percent, matters),
        Undo::Entity => out.escapes(|text| memchr::memchr(b'&', text), entity, matters),
        Undo::Any if matters.backslash_in(text) => {
            out.escapes(|text| memchr::memchr3(b'\\', b'%', b'&', text), any, matters);
        }
        Undo::Any => out.escapes(|text| memchr::memchr2(b'%', b'&', text), any, matters),
        Undo::Wrap => out.wraps(),
    }
    out.finish()
}

/// A value with every escape of a kind undone; `None` if it has none.
pub(crate) fn reading(undo: Undo, value: &[u8]) -> Option<Wiped> {
    undone(undo, value, &Matters::ALL, None)
}

struct Writer<'t, 's> {
    text: &'t [u8],
    copied: usize,
    bytes: Wiped,
    stretches: Option<&'s mut Vec<Stretch>>,
}

impl Writer<'_, '_> {
    fn escapes(
        &mut self,
        sign: impl Fn(&[u8]) -> Option<usize>,
        read: impl Fn(&[u8]) -> Option<Unit>,
        matters: &Matters,
    ) {
        let mut from = 0;
        while let Some(found) = sign(self.text.get(from..).unwrap_or_default()) {
            let at = from + found;
            let unit = read(self.text.get(at..).unwrap_or_default());
            from = at + unit.map_or(1, |unit| unit.len);
            if let Some(unit) = unit.filter(|unit| matters.unit(unit)) {
                self.replace(at, unit);
            }
        }
    }
    /// Leaves out every break in base64.
    fn wraps(&mut self) {
        let feed = |a: u8, b: u8| (b == b'\n') | ((a == b'\\') & (b == b'n'));
        let text = self.text;
        let next = text.get(1..).unwrap_or_default();
        for (n, (pair, next)) in text.chunks(BLOCK).zip(next.chunks(BLOCK)).enumerate() {
            if !pair.iter().zip(next).fold(false, |any, (a, b)| any | feed(*a, *b)) {
                continue;
            }
            for m in memchr::memchr2_iter(b'\n', b'n', next) {
                let written = match (pair.get(m), next.get(m)) {
                    (_, Some(b'\n')) => 1,
                    (Some(b'\\'), _) => 2,
                    (_, _) => continue,
                };
                let end = n * BLOCK + m + 2;
                let start = end - written;
                if start >= self.copied
                    && let Some(gap) = wrap(text, start..end)
                {
                    self.leave_out(gap);
                }
            }
        }
    }
    fn mark(&mut self, source: usize, unit: bool) {
        let at = self.bytes.0.len();
        if let Some(stretches) = &mut self.stretches {
            stretches.push(Stretch { at, source, unit });
        }
    }
    fn copy(&mut self, to: usize) {
        if self.bytes.0.capacity() == 0 {
            // room for all: a vector that grows leaves copies behind
            self.bytes.0.reserve_exact(self.text.len());
        }
        self.bytes.0.extend_from_slice(self.text.get(self.copied..to).unwrap_or_default());
        self.copied = to;
    }
    fn replace(&mut self, at: usize, unit: Unit) {
        self.copy(at);
        self.mark(at, true);
        self.bytes.0.extend_from_slice(unit.bytes());
        self.copied = at + unit.len;
        self.mark(self.copied, false);
    }
    fn leave_out(&mut self, gap: Range<usize>) {
        self.copy(gap.start);
        self.copied = gap.end;
        self.mark(gap.end, false);
    }
    fn finish(mut self) -> Option<Wiped> {
        if self.copied == 0 {
            return None;
        }
        self.copy(self.text.len());
        Some(self.bytes)
    }
}

/// An escape: how long it is written, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    len: usize,
    meaning: [u8; 4],
    used: usize,
}

impl Unit {
    fn byte(len: usize, byte: u8) -> Self {
        Self { len, meaning: [byte, 0, 0, 0], used: 1 }
    }
    fn char(len: usize, char: char) -> Self {
        let mut meaning = [0; 4];
        let used = char.encode_utf8(&mut meaning).len();
        Self { len, meaning, used }
    }
    fn bytes(&self) -> &[u8] {
        self.meaning.get(..self.used).unwrap_or_default()
    }
}

/// A whole number from all of these digits, of which there is one at least.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let add = |number: u32, digit: &u8| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    };
    digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
}

fn backslash(rest: &[u8]) -> Option<Unit> {
    let byte = match rest.get(1)? {
        byte @ (b'"' | b'\\' | b'/' | b'\'') => *byte,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'x' => {
            let byte = number(rest.get(2..4)?, 16)?;
            return Some(Unit::byte(4, u8::try_from(byte).ok()?));
        }
        b'u' => {
            let first = number(rest.get(2..6)?, 16)?;
            if let Some(char) = char::from_u32(first) {
                return Some(Unit::char(6, char));
            }
            let second = number(rest.get(6..12).and_then(|pair| pair.strip_prefix(b"\\u"))?, 16)?;
            if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
                return None;
            }
            let char = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Some(Unit::char(12, char::from_u32(char)?));
        }
        _ => return None,
    };
    Some(Unit::byte(2, byte))
}

fn percent(rest: &[u8]) -> Option<Unit> {
    let byte = number(rest.get(1..3)?, 16)?;
    Some(Unit::byte(3, u8::try_from(byte).ok()?))
}

/// Longest entity that is read, in bytes.
pub(crate) const ENTITY_MAX: usize = 18;

/// What HTML calls a character of ASCII.
fn named(name: &[u8]) -> Option<char> {
    Some(match name {
        b"amp" | b"AMP" => '&',
        b"lt" | b"LT" => '<',
        b"gt" | b"GT" => '>',
        b"quot" | b"QUOT" => '"',
        b"apos" => '\'',
        b"Tab" => '\t',
        b"NewLine" => '\n',
        b"excl" => '!',
        b"num" => '#',
        b"dollar" => '$',
        b"percnt" => '%',
        b"lpar" => '(',
        b"rpar" => ')',
        b"ast" | b"midast" => '*',
        b"plus" => '+',
        b"comma" => ',',
        b"period" => '.',
        b"sol" => '/',
        b"colon" => ':',
        b"semi" => ';',
        b"equals" => '=',
        b"quest" => '?',
        b"commat" => '@',
        b"lsqb" | b"lbrack" => '[',
        b"bsol" => '\\',
        b"rsqb" | b"rbrack" => ']',
        b"Hat" => '^',
        b"lowbar" | b"UnderBar" => '_',
        b"grave" | b"DiacriticalGrave" => '`',
        b"lcub" | b"lbrace" => '{',
        b"verbar" | b"vert" | b"VerticalLine" => '|',
        b"rcub" | b"rbrace" => '}',
        _ => return None,
    })
}

fn entity(rest: &[u8]) -> Option<Unit> {
    let window = rest.get(..rest.len().min(ENTITY_MAX))?;
    let name = window.get(1..memchr::memchr(b';', window)?)?;
    let len = name.len() + 2;
    let char = match name {
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        name => named(name)?,
    };
    Some(Unit::char(len, char))
}

fn any(rest: &[u8]) -> Option<Unit> {
    match rest.first()? {
        b'\\' => backslash(rest),
        b'%' => percent(rest),
        _ => entity(rest),
    }
}

/// Digits of base64 that a line must end with to be taken for a wrapped one.
pub(crate) const LINE_MIN: usize = 24;

/// A line feed with the rest of its break and the indentation after it, if base64 goes on there.
fn wrap(text: &[u8], feed: Range<usize>) -> Option<Range<usize>> {
    let line = text.get(..feed.start)?;
    let line = line.strip_suffix(b"\r").or_else(|| line.strip_suffix(b"\\r")).unwrap_or(line);
    if !line.get(line.len().checked_sub(LINE_MIN)?..)?.iter().rev().all(|byte| is_base64(*byte)) {
        return None;
    }
    let indent = text.get(feed.end..)?.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let end = feed.end + indent;
    is_base64(*text.get(end)?).then_some(line.len()..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(undo: Undo, text: &str) -> String {
        let matters = Matters::new(std::iter::empty(), true);
        let root = View::Root { bytes: text.as_bytes(), matters: &matters };
        root.undo(undo)
            .map_or_else(|| "unchanged".to_owned(), |v| String::from_utf8(v.bytes().to_vec()).unwrap())
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (undo, text) in [
            (Undo::Backslash, r"\q \u12 \ud800 \ud800A \udc00 \x4 \"),
            (Undo::Percent, "100% %4 %zz %+1"),
            (Undo::Entity, "a & b; &nosuch; &#; &#x; &#xd800; &#99999999; &amp"),
            (Undo::Wrap, "prose\nand prose\n\nshort\nlines\nand a full stop.\nx"),
        ] {
            assert_eq!(read(undo, text), "unchanged", "{text}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        let line = "abcdefghijklmnopqrstuvwx";
        assert_eq!(
            read(Undo::Backslash, r#"\"\\\/\n\u0041\u00e9\ud83d\ude00\x41\'.\\u0041"#),
            "\"\\/\nAé😀A'.\\u0041"
        );
        assert_eq!(read(Undo::Percent, "a%2Bb%2fc%25"), "a+b/c%");
        assert_eq!(read(Undo::Entity, "&lt;&#65;&#x41;&#0065;&amp;lt;&equals;&rcub;"), "<AAA&lt;=}");
        assert_eq!(read(Undo::Any, r"\u0041%41&#65;%2541"), "AAA%41");
        let wrapped = format!("{line}\r\n  {line}\nqrst {line}\\r\\n  {line}\\nqrst");
        assert_eq!(read(Undo::Wrap, &wrapped), format!("{line}{line}qrst {line}{line}qrst"));
    }

    #[test]
    fn what_is_in_no_secret_is_left_escaped() {
        let text = br#"\n\"\u00e9\u4e2d%20%3F&quot;"#;
        for (secret, words, copied) in
            [(&b"abc"[..], false, false), (b"a\"bc", false, true), (b"abc", true, true)]
        {
            let matters = Matters::new(std::iter::once(secret), words);
            let root = View::Root { bytes: text, matters: &matters };
            assert_eq!(root.undo(Undo::Backslash).is_some(), copied, "{secret:?}");
            assert_eq!(root.undo(Undo::Entity).is_some(), copied, "{secret:?}");
            assert_eq!(root.undo(Undo::Percent).is_some(), words, "{secret:?}");
        }
    }

    #[test]
    fn a_range_is_traced_back_to_whole_escapes() {
        let text = r"x\u00e9\ny%2541z";
        let matters = Matters::new(std::iter::empty(), true);
        let root = View::Root { bytes: text.as_bytes(), matters: &matters };
        let once = root.undo(Undo::Backslash).unwrap();
        assert_eq!(once.bytes(), "xé\ny%2541z".as_bytes());
        // the second byte of the letter is the whole escape
        assert_eq!(once.source(2..3), 1..7);
        assert_eq!(once.source(0..1), 0..1);
        assert_eq!(once.source(3..5), 7..10);
        let twice = once.undo(Undo::Percent).unwrap();
        let thrice = twice.undo(Undo::Percent).unwrap();
        assert_eq!(thrice.bytes(), "xé\nyAz".as_bytes());
        assert_eq!(thrice.source(4..7), 9..16);
    }
}
