//! SHA-256 digests, and salted commitments to values that may be erased later.

use crate::Entropy;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A SHA-256, printed as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// The digest of the concatenation. Callers put a domain first and lengths where parts vary.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        // it has as many bytes as SHA-256 gives
        Self(<[u8; 32]>::try_from(context.finish().as_ref()).unwrap_or_default())
    }

    /// Reads the printed form. `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut out = [0; 32];
        for (slot, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *slot =
                u8::from_str_radix(pair, 16).ok().filter(|_| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        }
        Some(Self(out))
    }
}

/// The printed form, for those who print many.
struct Printed([u8; PRINTED_BYTES]);

const PREFIX: &[u8; 7] = b"sha256:";
const PRINTED_BYTES: usize = PREFIX.len() + 64;

impl Printed {
    fn of(digest: &Digest) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; PRINTED_BYTES];
        let (prefix, digits) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.0) {
            for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            }
        }
        Self(text)
    }

    fn text(&self) -> &str {
        // all of it is ASCII
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Printed::of(self).text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(Printed::of(self).text())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a digest")))
    }
}

/// Which sensitive value of an entry a commitment stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    Arguments,
    Result,
}

impl Slot {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Result => "result",
        }
    }
}

/// SHA-256 over a domain, the slot, a 32-byte salt and the value. It stays in the
/// entry for ever; without the salt it tells nothing about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Digest);

/// The opening of a commitment: kept beside the entry, erasable, or never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    pub slot: Slot,
    pub salt: [u8; 32],
    pub value: bytes::Bytes,
}

impl Disclosure {
    pub fn new(slot: Slot, value: bytes::Bytes, entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        Self { slot, salt, value }
    }

    pub fn commitment(&self) -> Commitment {
        let slot = self.slot.as_str().as_bytes();
        Commitment(Digest::of_parts(&[b"callgate/commitment/v1\0", slot, b"\0", &self.salt, &self.value]))
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disclosure({:?}, {} bytes)", self.slot, self.value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_nothing_else_does() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("sha256:+f"), None);
        assert_eq!(Digest::parse(&digest.to_string().replace("ba", "+a")), None);
    }

    #[test]
    fn a_commitment_depends_on_salt_slot_and_value() {
        let opening = |slot, salt, value: &'static [u8]| {
            Disclosure { slot, salt: [salt; 32], value: bytes::Bytes::from_static(value) }.commitment()
        };
        let base = opening(Slot::Arguments, 1, b"x");
        assert_eq!(base, opening(Slot::Arguments, 1, b"x"));
        for other in [
            opening(Slot::Result, 1, b"x"),
            opening(Slot::Arguments, 2, b"x"),
            opening(Slot::Arguments, 1, b"y"),
        ] {
            assert_ne!(base, other);
        }
    }
}
