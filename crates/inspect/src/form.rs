//! The forms a secret takes without any escape: as it is, base64, hexadecimal.
//!
//! A form is compared with the text byte by byte as it would be written, so that no encoded copy of the secret
//! is ever made.

use crate::sieve::HEAD;
use std::ops::Range;
use zeroize::Zeroizing;

/// What stands before each pair of hexadecimal digits but the first.
const SEPARATORS: [&[u8]; 9] = [b"", b":", b" ", b"-", b", ", b"\\x", b", 0x", b",0x", b" 0x"];
/// Heads of one part: as it is twice, three base64 in two alphabets, hexadecimal.
pub(crate) const HEADS_MAX: usize = 2 + 6 + SEPARATORS.len();

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Raw,
    /// With `+` for a space, as HTML forms write it.
    Plus,
    /// Base64 of a text in which the secret stands so many bytes after a multiple of three.
    Base64(u8),
    /// Pairs of hexadecimal digits of either case, with that separator.
    Hex(usize),
}

/// The heads of every form of a secret of at least [`HEAD`] bytes.
pub(crate) fn heads(secret: &[u8], mut add: impl FnMut(&[u8; HEAD], Form)) {
    let Some(begins) = secret.first_chunk::<HEAD>() else { return };
    let mut head = Zeroizing::new(*begins);
    add(&head, Form::Raw);
    if secret.contains(&b' ') {
        *head = begins.map(plus);
        add(&head, Form::Plus);
    }
    // the first eight bytes hold eight digits of base64 wherever they begin
    let bits = Zeroizing::new(u64::from_be_bytes(*begins));
    for shift in 0..3 {
        let mut values = Zeroizing::new([0; HEAD]);
        let mut rest = Zeroizing::new(*bits << skipped(shift));
        for value in values.iter_mut() {
            let [first, ..] = rest.to_be_bytes();
            (*value, *rest) = (first >> 2, *rest << 6);
        }
        *head = values.map(|value| digit(STANDARD, value));
        add(&head, Form::Base64(shift));
        if values.iter().any(|value| *value >= 62) {
            *head = values.map(|value| digit(URL_SAFE, value));
            add(&head, Form::Base64(shift));
        }
    }
    let mut digits = Zeroizing::new([0; HEAD]);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(begins) {
        pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
    }
    for (n, separator) in SEPARATORS.iter().enumerate() {
        in_pairs(&digits, separator, &mut head);
        add(&head, Form::Hex(n));
    }
}

/// As much of the pairs of hexadecimal digits as there is room for.
fn in_pairs(digits: &[u8; HEAD], separator: &[u8], head: &mut [u8; HEAD]) {
    let mut slots = head.iter_mut();
    for (n, pair) in digits.chunks(2).enumerate() {
        let separator = if n > 0 { separator } else { b"" };
        separator.iter().chain(pair).zip(&mut slots).for_each(|(byte, slot)| *slot = *byte);
    }
}

impl Form {
    /// Where the secret stands, if it begins at `start` in this form.
    pub(crate) fn range(self, secret: &[u8], text: &[u8], start: usize) -> Option<Range<usize>> {
        let rest = text.get(start..)?;
        match self {
            Self::Raw => rest.starts_with(secret).then(|| start..start + secret.len()),
            Self::Plus => {
                let same = rest.len() >= secret.len() && secret.iter().zip(rest).all(|(s, t)| plus(*s) == *t);
                same.then(|| start..start + secret.len())
            }
            Self::Base64(shift) => base64(secret, shift, text, start),
            Self::Hex(n) => hexadecimal(secret, SEPARATORS.get(n)?, rest).map(|len| start..start + len),
        }
    }
}

/// The digits of base64 that are the secret's alone, and those beside them that hold some of its bits.
fn base64(secret: &[u8], shift: u8, text: &[u8], start: usize) -> Option<Range<usize>> {
    let mut at = start;
    for value in sextets(secret, shift) {
        if value_of(*text.get(at)?) != Some(value) {
            return None;
        }
        at += 1;
    }
    let is_digit = |at: usize| text.get(at).is_some_and(|byte| value_of(*byte).is_some());
    let shared_before = shift > 0 && start > 0 && is_digit(start - 1);
    let shared_after = !(secret.len() * 8 - skipped(shift)).is_multiple_of(6) && is_digit(at);
    Some(start - usize::from(shared_before)..at + usize::from(shared_after))
}

/// Bits of the secret in a digit that it shares with what stands before it.
fn skipped(shift: u8) -> usize {
    match shift {
        1 => 4,
        2 => 2,
        _ => 0,
    }
}

/// The six-bit values of those base64 digits that the secret alone decides.
fn sextets(secret: &[u8], shift: u8) -> impl ExactSizeIterator<Item = u8> {
    let skip = skipped(shift);
    let count = (secret.len() * 8).saturating_sub(skip) / 6;
    (0..count).map(move |n| {
        let bit = skip + n * 6;
        let byte = |at: usize| u16::from(secret.get(at).copied().unwrap_or_default());
        let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
        let [_, value] = (pair >> (10 - bit % 8) & 63).to_be_bytes();
        value
    })
}

fn digit(alphabet: &[u8; 64], value: u8) -> u8 {
    alphabet.get(usize::from(value)).copied().unwrap_or_default()
}

/// The value of a digit of either alphabet.
const fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether base64 could have this byte.
pub(crate) const fn is_base64(byte: u8) -> bool {
    value_of(byte).is_some()
}

fn hexadecimal(secret: &[u8], separator: &[u8], rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (n, byte) in secret.iter().enumerate() {
        if n > 0 {
            if !rest.get(at..)?.starts_with(separator) {
                return None;
            }
            at += separator.len();
        }
        for nibble in [byte >> 4, byte & 15] {
            if rest.get(at)?.to_ascii_lowercase() != hex(nibble) {
                return None;
            }
            at += 1;
        }
    }
    Some(at)
}

fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or_default()
}

fn plus(byte: u8) -> u8 {
    if byte == b' ' { b'+' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose as engines;

    #[test]
    fn every_head_begins_its_own_form() {
        let secret = b"p4ss w\xfbrd\xff/+";
        let mut forms = Vec::new();
        heads(secret, |_, form| forms.push(form));
        assert!(forms.len() <= HEADS_MAX && forms.contains(&Form::Plus), "{forms:?}");
        let hex: Vec<String> = secret.iter().map(|b| format!("{b:02X}")).collect();
        for (n, separator) in SEPARATORS.iter().enumerate() {
            let text = hex.join(std::str::from_utf8(separator).unwrap());
            assert_eq!(Form::Hex(n).range(secret, text.as_bytes(), 0), Some(0..text.len()), "{text}");
        }
    }

    #[test]
    fn base64_is_found_at_every_place_in_a_longer_text_and_nearly_so_is_not() {
        let secret = b"\xfb\xff\xbe-s3cret-\xff\xfe";
        for engine in [&engines::STANDARD, &engines::URL_SAFE, &engines::STANDARD_NO_PAD] {
            for before in 0..6_usize {
                for after in 0..4_usize {
                    let shift = u8::try_from(before % 3).unwrap();
                    let around = |secret: &[u8]| [&vec![b'<'; before], secret, &vec![b'>'; after]].concat();
                    let text = engine.encode(around(secret));
                    let start = before / 3 * 4 + usize::from(shift) + usize::from(shift > 0);
                    let start = if shift == 0 { before / 3 * 4 } else { start };
                    let found = Form::Base64(shift).range(secret, text.as_bytes(), start);
                    let found = found.unwrap_or_else(|| panic!("{before} {after} {text}"));
                    // every bit of the secret lies inside
                    assert!(found.start * 6 <= before * 8 && found.end * 6 >= (before + secret.len()) * 8);
                    let other = engine.encode(around(b"\xfb\xff\xbe-s3creT-\xff\xfe"));
                    assert_eq!(Form::Base64(shift).range(secret, other.as_bytes(), start), None);
                }
            }
        }
    }
}
