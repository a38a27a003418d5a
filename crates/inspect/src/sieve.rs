//! The first look at a text: which places could begin a secret. Nearly always none.
//!
//! Every form to look for has a head of at least [`HEAD`] bytes, so of every five bytes of text one begins a
//! gram of four that lies inside the head, if there is one (Wu and Manber). A set of bits says of most grams
//! that they are in no head; the rest is compared with the heads, and what remains with the secret itself.

use crate::form::Form;
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes that are looked at together.
const GRAM: usize = 4;
/// From one look to the next.
const STRIDE: usize = 5;
/// Bytes every form begins with.
pub(crate) const HEAD: usize = GRAM + STRIDE - 1;
/// 64-bit words of the set: 2 KiB.
const WORDS: usize = 256;
/// Lower and upper case look the same; what is caught is compared exactly.
const FOLD: u32 = 0x2020_2020;

/// Lists of grams: each holds those of some hashes.
const LISTS: usize = 256;
/// No gram.
const NONE: usize = usize::MAX;

/// Where a gram comes from.
struct Origin {
    gram: u32,
    /// The next of its list.
    next: usize,
    part: usize,
    form: Form,
    offset: usize,
}

/// A place that looks like the beginning of a form.
pub(crate) struct Caught {
    pub(crate) start: usize,
    pub(crate) part: usize,
    pub(crate) form: Form,
}

/// The heads of all forms of all secrets. It is as secret as they are, and wiped.
pub(crate) struct Sieve {
    bits: Box<[u64; WORDS]>,
    /// The first of each list.
    lists: Box<[usize; LISTS]>,
    origins: Vec<Origin>,
}

impl Drop for Sieve {
    fn drop(&mut self) {
        self.bits.zeroize();
        self.origins.iter_mut().for_each(|origin| origin.gram.zeroize());
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sieve({} grams)", self.origins.len())
    }
}

impl Sieve {
    /// For about so many parts.
    pub(crate) fn new(parts: usize) -> Self {
        // room for all: a vector that grows leaves copies behind
        let origins = Vec::with_capacity(parts * crate::form::HEADS_MAX * STRIDE);
        Self { bits: Box::new([0; WORDS]), lists: Box::new([NONE; LISTS]), origins }
    }

    /// Adds the head of one form: its first [`HEAD`] bytes.
    pub(crate) fn add(&mut self, head: &[u8; HEAD], part: usize, form: Form) {
        let mut rest = Zeroizing::new(u64::from_le_bytes(*head));
        for offset in 0..STRIDE {
            let [a, b, c, d, ..] = rest.to_le_bytes();
            *rest >>= 8;
            let gram = read(&[a, b, c, d]);
            let (word, bit) = place(gram);
            let (Some(bits), Some(first)) = (self.bits.get_mut(word), self.lists.get_mut(list(gram))) else {
                continue;
            };
            *bits |= bit;
            let next = std::mem::replace(first, self.origins.len());
            self.origins.push(Origin { gram, next, part, form, offset });
        }
    }

    /// Every place where a form may begin, in no order.
    pub(crate) fn search(&self, text: &[u8], mut caught: impl FnMut(Caught)) {
        for (n, gram) in text.windows(GRAM).step_by(STRIDE).enumerate() {
            let gram = read(gram);
            let (word, bit) = place(gram);
            if self.bits.get(word).is_none_or(|word| word & bit == 0) {
                continue;
            }
            let at = n * STRIDE;
            let mut next = self.lists.get(list(gram)).copied().unwrap_or(NONE);
            while let Some(origin) = self.origins.get(next) {
                if origin.gram == gram
                    && let Some(start) = at.checked_sub(origin.offset)
                {
                    caught(Caught { start, part: origin.part, form: origin.form });
                }
                next = origin.next;
            }
        }
    }
}

fn read(gram: &[u8]) -> u32 {
    gram.first_chunk().map_or(0, |gram| u32::from_le_bytes(*gram)) | FOLD
}

/// The bit of a gram, by multiplicative hashing.
fn place(gram: u32) -> (usize, u64) {
    let hash = gram.wrapping_mul(0x9E37_79B1);
    ((hash >> 24) as usize, 1 << ((hash >> 18) & 63))
}

/// The list of a gram, by other bits of the same hash.
fn list(gram: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> 10 & 255) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_caught_wherever_it_stands_and_once() {
        let mut sieve = Sieve::new(1);
        sieve.add(b"ABCDefgh", 7, Form::Raw);
        for before in 0..20 {
            for after in 0..7 {
                let text = format!("{}ABCDefgh{}", ".".repeat(before), ".".repeat(after));
                let mut starts = Vec::new();
                sieve.search(text.as_bytes(), |caught| starts.push((caught.start, caught.part)));
                assert_eq!(starts, [(before, 7)], "{text}");
            }
        }
    }

    #[test]
    fn nothing_is_caught_in_text_without_a_head() {
        let mut sieve = Sieve::new(1);
        sieve.add(b"ABCDefgh", 0, Form::Raw);
        for text in ["", "ABC", "ABC-Def-gh", "the quick brown fox jumps over the lazy dog"] {
            sieve.search(text.as_bytes(), |caught| panic!("{text} at {}", caught.start));
        }
    }
}
