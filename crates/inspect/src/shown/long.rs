//! Values that are too long for a page: both ends of each are shown, and how to tell what is between them.

use super::{is_hidden, visible};
use decision::Digest;

/// Longest text of arguments that is shown. What is longer has its values cut.
pub(super) const SHOWN_BYTES_MAX: usize = 64 << 10;
/// So much is left of every value, whatever the others have; a shorter one is never cut.
pub(super) const VALUE_BYTES_MIN: usize = 256;
/// More values of that length are not shown at all.
pub(super) const VALUES_MAX: usize = SHOWN_BYTES_MAX / VALUE_BYTES_MIN;
/// How much may be left of each: the most that fits.
const LEFT: [usize; 4] = [16 << 10, 4 << 10, 1 << 10, VALUE_BYTES_MIN];

/// One value of the arguments, masked.
#[derive(Debug)]
pub(super) struct Long {
    /// Where it belongs in the text of all that is short.
    at: usize,
    text: String,
    quoted: bool,
    /// As it would be written in full.
    bytes: usize,
}

/// How much of the arguments is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Whole,
    /// Every member, and both ends of every value.
    Ends,
    Beginning,
}

impl Long {
    pub(super) fn new(at: usize, text: String, quoted: bool) -> Self {
        let bytes = text.chars().map(written).sum();
        Self { at, text, quoted, bytes }
    }

    pub(super) fn is_short(&self) -> bool {
        self.bytes <= VALUE_BYTES_MIN
    }

    fn write(&self, text: &str) -> String {
        let text = visible(text);
        match self.quoted {
            // a string is never refused
            true => serde_json::to_string(&text).unwrap_or_default(),
            false => text,
        }
    }

    /// With at most so much of it: both ends, how much is left out, and the digest of all of it, so that what is between them can
    /// be compared with what somebody has in hand. It is the digest of what is masked already, and gives nothing away.
    pub(super) fn cut(&self, left: usize) -> String {
        if self.bytes <= left {
            return self.write(&self.text);
        }
        let most = |chars: &mut dyn Iterator<Item = char>| {
            let mut room = left / 2;
            let fits = |c: &char| {
                let taken = room.checked_sub(written(*c));
                room = taken.unwrap_or_default();
                taken.is_some()
            };
            chars.take_while(fits).map(char::len_utf8).sum::<usize>()
        };
        let (head, tail) = (most(&mut self.text.chars()), most(&mut self.text.chars().rev()));
        let end = self.text.len().saturating_sub(tail);
        let part = |range: std::ops::Range<usize>| self.text.get(range).unwrap_or_default();
        let out = part(head..end).chars().count();
        let digest = Digest::of(self.text.as_bytes());
        let gap = format!(" ⟨… {out} characters are left out, all of it is {digest} …⟩ ");
        self.write(&[part(0..head), &gap, part(end..self.text.len())].concat())
    }

    /// No more than that many bytes, cut like this.
    fn at_most(&self, left: usize) -> usize {
        if self.bytes <= left { self.bytes } else { left + GAP_BYTES }
    }
}

/// More than what is written between two ends, with quotes.
const GAP_BYTES: usize = 160;

/// How many bytes a character is written with.
fn written(c: char) -> usize {
    match c {
        _ if is_hidden(c) => "⟨U+10FFFF⟩".len(),
        '"' | '\\' => 2,
        _ => c.len_utf8(),
    }
}

/// The short text with the long values where they belong, as much of each as there is room for.
pub(super) fn joined(short: &str, long: &[Long]) -> (String, Fit) {
    let bytes = |left: usize| short.len() + long.iter().map(|one| one.at_most(left)).sum::<usize>();
    let whole = short.len() + long.iter().map(|one| one.bytes).sum::<usize>() <= SHOWN_BYTES_MAX;
    let left = match whole {
        true => Some(SHOWN_BYTES_MAX),
        false => LEFT.into_iter().find(|left| bytes(*left) <= SHOWN_BYTES_MAX),
    };
    let fit = match left {
        Some(_) if whole => Fit::Whole,
        Some(_) => Fit::Ends,
        None => Fit::Beginning,
    };
    let mut text = String::with_capacity(SHOWN_BYTES_MAX.min(short.len().saturating_add(1 << 10)));
    let mut from = 0;
    for one in long {
        text.push_str(short.get(from..one.at).unwrap_or_default());
        text.push_str(&one.cut(left.unwrap_or(VALUE_BYTES_MIN)));
        from = one.at;
        if text.len() > SHOWN_BYTES_MAX && fit == Fit::Beginning {
            break;
        }
    }
    text.push_str(short.get(from..).unwrap_or_default());
    if text.len() > SHOWN_BYTES_MAX + GAP_BYTES {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        return (text, Fit::Beginning);
    }
    (text, fit)
}
