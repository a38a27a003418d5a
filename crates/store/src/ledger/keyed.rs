//! What only the log's own key can have written: the MACs of segments and of groups.
//!
//! A checkpoint signs what is there every few seconds; until it does, hashes alone say nothing about who wrote an entry. So
//! the header of a segment has a MAC that binds its place and the tree before it, and a group one that binds the MAC before
//! it, its place, and every frame in it but what erasing overwrites: salts, values and their state. What stands at the end
//! of a log can be cut off without the key, and not be written anew.

use super::frame::{Group, Kind, SegmentHeader, length_of, slot_byte};
use aws_lc_rs::{constant_time::verify_slices_are_equal, error::Unspecified, hkdf, hmac};
use decision::{Digest, Slot};

pub(super) const MAC_BYTES: usize = 32;
/// HMAC-SHA-256.
pub(super) type Mac = [u8; MAC_BYTES];

/// The key of the MACs, derived from the signing key by HKDF-SHA-256: who signs can compute them, and nobody else.
pub(super) struct MacKey(hmac::Key);

impl MacKey {
    pub(super) fn of_seed(seed: &[u8; 32]) -> Result<Self, Unspecified> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"callgate ledger").extract(seed);
        let key = secret.expand(&[b"MACs of segments and groups, format 2"], hmac::HMAC_SHA256)?;
        Ok(Self(key.into()))
    }

    /// The MAC of a segment's header, behind a tree with this root.
    pub(super) fn of_header(&self, header: &SegmentHeader, root: &Digest) -> Mac {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [b"segment\n".as_slice(), &header.place(), &root.0] {
            context.update(part);
        }
        mac(context)
    }

    /// Whether this is the MAC of the header.
    pub(super) fn wrote_header(&self, header: &SegmentHeader, root: &Digest) -> bool {
        header.mac.is_some_and(|mac| equal(&mac, &self.of_header(header, root)))
    }

    /// Begins the MAC of the group that stands behind what has this one.
    pub(super) fn group_behind(&self, before: &Mac) -> Covered {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"group\n");
        context.update(before);
        Covered(context)
    }
}

fn mac(context: hmac::Context) -> Mac {
    let tag = context.sign();
    // the algorithm's tags have this length
    tag.as_ref().try_into().unwrap_or_default()
}

pub(super) fn equal(one: &Mac, other: &Mac) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// The frames of a group, one by one.
pub(super) struct Covered(hmac::Context);

impl Covered {
    fn frame(&mut self, kind: Kind, payload_bytes: usize) {
        let [a, b, c, d] = length_of(payload_bytes).to_be_bytes();
        self.0.update(&[kind.byte(), a, b, c, d]);
    }

    pub(super) fn entry(&mut self, bytes: usize, leaf: &Digest) {
        self.frame(Kind::Entry, bytes);
        self.0.update(&leaf.0);
    }

    pub(super) fn disclosure(&mut self, index: u64, slot: Slot, value_bytes: usize) {
        self.frame(Kind::Disclosure, value_bytes);
        self.0.update(&index.to_be_bytes());
        self.0.update(&[slot_byte(slot)]);
    }

    pub(super) fn checkpoint(&mut self, note: &[u8]) {
        self.frame(Kind::Checkpoint, note.len());
        self.0.update(note);
    }

    /// The MAC of the group that says this of itself.
    pub(super) fn end(mut self, group: &Group) -> Mac {
        let place = group.place();
        self.frame(Kind::Group, place.len());
        self.0.update(&place);
        mac(self.0)
    }
}
