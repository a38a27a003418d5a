//! Names and contents of the files of C2SP tlog-tiles. Pure.

use super::merkle::{TILE_WIDTH, Tree};
use decision::Digest;
use std::path::PathBuf;

/// `1234067` as `x001/x234/067`, with `.p/W` behind it when the tile is not full.
pub(super) fn number_path(n: u64, width: u64) -> PathBuf {
    let mut groups = vec![format!("{:03}", n % 1000)];
    let mut rest = n / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let text = groups.join("/");
    if width < TILE_WIDTH { PathBuf::from(format!("{text}.p/{width}")) } else { PathBuf::from(text) }
}

/// The hash tile number `n` at a level.
pub(super) fn tile_path(level: usize, n: u64, width: u64) -> PathBuf {
    PathBuf::from(format!("tile/{level}")).join(number_path(n, width))
}

/// The bundle of the entries `n * 256 ..`.
pub(super) fn bundle_path(n: u64, width: u64) -> PathBuf {
    PathBuf::from("tile/entries").join(number_path(n, width))
}

/// The values disclosed of the entries `n * 256 ..`: one JSON object a line. Not part of tlog-tiles.
pub(super) fn disclosures_path(n: u64) -> PathBuf {
    PathBuf::from("disclosures").join(number_path(n, TILE_WIDTH))
}

/// A checkpoint of the past. Not part of tlog-tiles. Zeros in front sort them by size.
pub(super) fn checkpoint_path(size: u64) -> PathBuf {
    PathBuf::from(format!("checkpoints/{size:020}"))
}

/// Adds an entry to a bundle: two bytes of length, then the entry.
pub(super) fn put_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// The entries of a bundle, and whether it ended where its last entry does.
pub(super) fn entries(bundle: &[u8]) -> (Vec<&[u8]>, bool) {
    let (mut rest, mut out) = (bundle, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let Some((entry, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            return (out, false);
        };
        out.push(entry);
        rest = behind;
    }
    (out, rest.is_empty())
}

/// The hashes in a tile; `None` when it is not a whole number of them.
pub(super) fn hashes(tile: &[u8]) -> Option<Vec<Digest>> {
    let (chunks, rest) = tile.as_chunks::<32>();
    (rest.is_empty() && chunks.len() as u64 <= TILE_WIDTH)
        .then(|| chunks.iter().map(|chunk| Digest(*chunk)).collect())
}

/// A finished or last tile.
pub(super) struct Tile {
    pub(super) level: usize,
    pub(super) n: u64,
    pub(super) hashes: Vec<Digest>,
}

impl Tile {
    pub(super) fn path(&self) -> PathBuf {
        tile_path(self.level, self.n, self.hashes.len() as u64)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

/// Turns leaves into tiles of every level.
#[derive(Default)]
pub(super) struct Tiler {
    levels: Vec<(u64, Vec<Digest>)>,
}

impl Tiler {
    /// Takes the next leaf and hands over the tiles it fills.
    pub(super) fn push(&mut self, leaf: Digest, full: &mut dyn FnMut(Tile)) {
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if self.levels.len() == level {
                self.levels.push((0, Vec::new()));
            }
            let Some((n, hashes)) = self.levels.get_mut(level) else { return };
            hashes.push(hash);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let mut tree = Tree::default();
            for hash in hashes.iter() {
                tree.push(*hash);
            }
            full(Tile { level, n: *n, hashes: std::mem::take(hashes) });
            *n += 1;
            hash = tree.root();
            level += 1;
        }
    }

    /// The tiles that are not full.
    pub(super) fn rest(self) -> Vec<Tile> {
        let tiles = self.levels.into_iter().enumerate();
        tiles
            .map(|(level, (n, hashes))| Tile { level, n, hashes })
            .filter(|tile| !tile.hashes.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        assert_eq!(number_path(1_234_067, 256).to_str(), Some("x001/x234/067"));
        assert_eq!(tile_path(0, 273, 112).to_str(), Some("tile/0/273.p/112"));
        assert_eq!(bundle_path(0, 256).to_str(), Some("tile/entries/000"));
        assert_eq!(number_path(1000, 1).to_str(), Some("x001/000.p/1"));
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_the_specification_counts() {
        let (mut tiler, mut full) = (Tiler::default(), Vec::new());
        for i in 0..70_000_u32 {
            tiler.push(Digest::of(&i.to_be_bytes()), &mut |tile| full.push((tile.level, tile.n)));
        }
        let count = |level| full.iter().filter(|(l, _)| *l == level).count();
        assert_eq!((count(0), count(1), count(2)), (273, 1, 0));
        let rest: Vec<_> = tiler.rest().iter().map(|t| (t.level, t.n, t.hashes.len())).collect();
        assert_eq!(rest, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    }

    #[test]
    fn a_bundle_reads_back_and_a_torn_one_says_so() {
        let mut bundle = Vec::new();
        put_entry(&mut bundle, b"one");
        put_entry(&mut bundle, b"");
        assert_eq!(entries(&bundle), (vec![b"one".as_slice(), b""], true));
        assert_eq!(entries(&bundle[..4]), (Vec::new(), false));
        assert_eq!(entries(&bundle[..6]), (vec![b"one".as_slice()], false));
    }
}
