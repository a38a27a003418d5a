//! The Merkle tree of RFC 6962: hashes, growth, proofs and their checks. Pure.

use decision::Digest;
use serde::{Deserialize, Serialize};

/// log2 of the width of a tile (C2SP tlog-tiles): hashes at this level are kept in memory.
pub(super) const TILE_HEIGHT: u8 = 8;
/// Hashes or entries in a full tile.
pub(super) const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// The hash of an entry, RFC 6962 section 2.1: SHA-256 over a zero byte and the entry.
pub fn leaf(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// The hash of two subtrees, RFC 6962 section 2.1.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of the tree without entries: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// A tree that can only grow. It keeps the roots of its complete subtrees, largest first, and the
/// hash of every full tile, which is what proofs are cut from: 32 bytes for 256 entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    size: u64,
    stack: Vec<Digest>,
    tiles: Vec<Digest>,
}

/// A place a [`Tree`] can go back to when what followed did not become durable.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    size: u64,
    stack: Vec<Digest>,
    tiles: usize,
}

/// The root over complete subtrees, largest first.
fn root_of(stack: &[Digest]) -> Digest {
    let mut subtrees = stack.iter().rev();
    match subtrees.next() {
        None => empty_root(),
        Some(smallest) => subtrees.fold(*smallest, |right, left| node(left, &right)),
    }
}

impl Mark {
    /// The tree's size and root there.
    pub(super) fn end(&self) -> (u64, Digest) {
        (self.size, root_of(&self.stack))
    }
}

impl Tree {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn push(&mut self, leaf: Digest) {
        let (mut hash, mut left, mut level) = (leaf, self.size, 0);
        while left & 1 == 1 {
            let Some(sibling) = self.stack.pop() else { break };
            hash = node(&sibling, &hash);
            left >>= 1;
            level += 1;
            if level == TILE_HEIGHT {
                self.tiles.push(hash);
            }
        }
        self.stack.push(hash);
        self.size += 1;
    }

    pub(super) fn root(&self) -> Digest {
        root_of(&self.stack)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { size: self.size, stack: self.stack.clone(), tiles: self.tiles.len() }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.size = mark.size;
        self.stack = mark.stack;
        self.tiles.truncate(mark.tiles);
    }

    /// The hash of the full tile number `n`.
    pub(super) fn tile(&self, n: u64) -> Option<Digest> {
        self.tiles.get(usize::try_from(n).ok()?).copied()
    }
}

/// A proof was asked for that the tree cannot give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no proof from {from} to a log of {size} entries")]
pub struct NoProof {
    pub from: u64,
    pub size: u64,
}

/// That an entry is in the tree of a given size (RFC 6962 section 2.1.1): hashes, leaf side first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    pub index: u64,
    pub size: u64,
    pub hashes: Vec<Digest>,
}

/// That the tree of `old` entries is a prefix of the tree of `size` (RFC 6962 section 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    pub old: u64,
    pub size: u64,
    pub hashes: Vec<Digest>,
}

/// Largest power of two below `n`, for `n` of at least two.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The hash over `start..end` from the hashes of complete subtrees: `get(level, index)` gives the
/// root over `index * 2^level .. (index + 1) * 2^level`.
pub(super) fn range<E>(
    get: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
    start: u64,
    end: u64,
) -> Result<Digest, E> {
    let n = end.saturating_sub(start);
    if n == 0 {
        return Ok(empty_root());
    }
    if n.is_power_of_two() && start.is_multiple_of(n) {
        let level = u8::try_from(n.trailing_zeros()).unwrap_or(63);
        return get(level, start / n);
    }
    let middle = start + split(n);
    let left = range(get, start, middle)?;
    Ok(node(&left, &range(get, middle, end)?))
}

/// PATH(index, D\[size\]) of RFC 6962. The caller has checked `index < size`.
pub(super) fn inclusion<E>(
    get: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, E> {
    let (mut start, mut end, mut hashes) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            hashes.push(range(get, middle, end)?);
            end = middle;
        } else {
            hashes.push(range(get, start, middle)?);
            start = middle;
        }
    }
    hashes.reverse();
    Ok(hashes)
}

/// PROOF(old, D\[size\]) of RFC 6962. The caller has checked `old <= size`.
pub(super) fn consistency<E>(
    get: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
    old: u64,
    size: u64,
) -> Result<Vec<Digest>, E> {
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut hashes) = (0, size, Vec::new());
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            hashes.push(range(get, middle, end)?);
            end = middle;
        } else {
            hashes.push(range(get, start, middle)?);
            start = middle;
        }
    }
    // The old tree's own root is left out when the verifier has it already.
    if start != 0 {
        hashes.push(range(get, start, end)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// Checks an inclusion proof against a root that is trusted (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(proof: &InclusionProof, leaf: &Digest, root: &Digest) -> bool {
    if proof.index >= proof.size {
        return false;
    }
    let (mut at, mut last, mut hash) = (proof.index, proof.size - 1, *leaf);
    for step in &proof.hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Checks a consistency proof between two roots (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(proof: &ConsistencyProof, old_root: &Digest, root: &Digest) -> bool {
    if proof.old > proof.size {
        return false;
    }
    if proof.old == proof.size {
        return proof.hashes.is_empty() && old_root == root;
    }
    if proof.old == 0 {
        return proof.hashes.is_empty() && *old_root == empty_root();
    }
    let mut steps = proof.hashes.iter();
    let first = if proof.old.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (proof.old - 1, proof.size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut hash) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(step, &old_hash);
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && hash == *root
}

#[cfg(test)]
mod tests;
