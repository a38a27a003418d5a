//! A text that comes in pieces.

use crate::mask::{Hits, Mask, Masked};
use crate::view::LINE_MIN;
use std::fmt;
use zeroize::Zeroize as _;

/// Bytes before a place that decide what it is: the line that base64 was wrapped after, the digit before.
const CONTEXT: usize = LINE_MIN + 2;

/// A text that comes in pieces, without the secrets, wherever the cuts are.
///
/// It holds back what could be the beginning of a secret: one byte less than the longest way to write one,
/// which is every byte of it as the longest escape. Escapes of escapes that are longer still are found in whole
/// texts only.
#[derive(Default)]
pub struct Stream {
    /// What was not given out yet, after a little that was.
    held: Vec<u8>,
    given: usize,
    hits: Hits,
}

/// What is held back may be half a secret.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} bytes held)", self.held.len())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

impl Stream {
    /// Takes the next piece, and gives out what is safe of all so far.
    pub fn push(&mut self, mask: &Mask, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let safe = (self.held.len() + 1).saturating_sub(mask.longest().max(1));
        self.give(mask, self.boundary(safe))
    }

    /// Gives out the rest: nothing comes after it.
    pub fn finish(&mut self, mask: &Mask) -> Vec<u8> {
        self.give(mask, self.held.len())
    }

    /// What was found so far.
    pub fn hits(&self) -> &Hits {
        &self.hits
    }

    fn give(&mut self, mask: &Mask, safe: usize) -> Vec<u8> {
        let mut cut = safe.max(self.given);
        let mut out = Masked { bytes: Vec::new(), hits: Hits::default() };
        let mut copied = self.given;
        for one in mask.find(&self.held, false) {
            if one.range.end <= self.given {
                continue;
            }
            if one.range.end > cut {
                cut = cut.min(one.range.start.max(self.given));
                break;
            }
            out.bytes.extend_from_slice(self.held.get(copied..one.range.start).unwrap_or_default());
            out.put(mask.name(&one));
            copied = one.range.end;
        }
        out.bytes.extend_from_slice(self.held.get(copied..cut).unwrap_or_default());
        self.hits.add(&out.hits);
        let start = self.boundary(cut.saturating_sub(CONTEXT));
        self.held.drain(..start).for_each(drop);
        self.given = cut - start;
        out.bytes
    }

    /// The last place up to `to` that is not inside an escape: what is held begins at one.
    fn boundary(&self, to: usize) -> usize {
        let mut at = 0;
        while let Some(found) = memchr::memchr(b'\\', self.held.get(at..to).unwrap_or_default()) {
            if at + found + 2 > to {
                return at + found;
            }
            at += found + 2;
        }
        to
    }
}
